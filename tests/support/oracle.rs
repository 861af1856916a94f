//! What a body means, by prost and the plainest code that follows the protocol pages: no views, no
//! fast paths, no shared lines with what it judges.

use std::collections::BTreeMap;

use inrush::batch::record::{HistogramKind, MetricType};
use inrush::limits;
use prost::Message as _;

use super::ARRIVAL_NANOS;
use super::messages::opentelemetry::proto::collector::logs::v1::ExportLogsServiceRequest;
use super::messages::opentelemetry::proto::common::v1::{AnyValue, KeyValue, any_value};
use super::messages::prometheus as v1;
use super::record::{HistogramRecord, LogRecord, OwnedValue, Pairs, Record, SampleRecord};

/// Why the oracle refuses a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// prost could not read it.
    Wire(String),
    /// The message is whole and means nothing.
    Meaning(&'static str),
}

impl From<prost::DecodeError> for Refusal {
    fn from(error: prost::DecodeError) -> Self {
        Self::Wire(error.to_string())
    }
}

pub fn remote_write(body: &[u8]) -> Result<Vec<Record>, Refusal> {
    let request = v1::WriteRequest::decode(body)?;
    let mut records = Vec::new();
    for series in &request.timeseries {
        time_series(series, &mut records)?;
    }
    for metadata in &request.metadata {
        if metadata.metric_family_name.is_empty() {
            continue;
        }
        records.push(Record::Metadata {
            family: metadata.metric_family_name.clone(),
            metric_type: [
                MetricType::Unknown,
                MetricType::Counter,
                MetricType::Gauge,
                MetricType::Histogram,
                MetricType::GaugeHistogram,
                MetricType::Summary,
                MetricType::Info,
                MetricType::StateSet,
            ]
            .get(usize::try_from(metadata.r#type).unwrap_or(0))
            .copied()
            .unwrap_or(MetricType::Unknown),
            unit: metadata.unit.clone(),
            help: metadata.help.clone(),
        });
    }
    Ok(records)
}

fn time_series(series: &v1::TimeSeries, records: &mut Vec<Record>) -> Result<(), Refusal> {
    let mut labels = BTreeMap::new();
    if series.labels.len() > limits::LABEL_COUNT_MAX {
        return Err(Refusal::Meaning("label count"));
    }
    for label in &series.labels {
        if label.name.is_empty() {
            return Err(Refusal::Meaning("label name empty"));
        }
        if !label.value.is_empty() && labels.insert(&label.name, &label.value).is_some() {
            return Err(Refusal::Meaning("label name repeated"));
        }
    }
    let Some(name) = labels.remove(&"__name__".to_owned()) else {
        return Err(Refusal::Meaning("no metric name"));
    };
    if !series.samples.is_empty() || !series.exemplars.is_empty() || !series.histograms.is_empty() {
        records.push(Record::Series {
            name: name.clone(),
            labels: labels
                .into_iter()
                .map(|(name, value)| (name.clone(), OwnedValue::Text(value.clone())))
                .collect(),
        });
    }
    for sample in &series.samples {
        let sample = SampleRecord::new(nanos(sample.timestamp), sample.value);
        records.push(Record::Sample(sample));
    }
    for exemplar in &series.exemplars {
        let mut trace_id = None;
        let mut span_id = None;
        let mut attributes = Pairs::new();
        for label in &exemplar.labels {
            if label.name.is_empty() {
                return Err(Refusal::Meaning("label name empty"));
            }
            if label.name == "trace_id" && trace_id.is_none() {
                trace_id = hex(&label.value).and_then(|id| <[u8; 16]>::try_from(id).ok());
                if trace_id.is_some() {
                    continue;
                }
            }
            if label.name == "span_id" && span_id.is_none() {
                span_id = hex(&label.value).and_then(|id| <[u8; 8]>::try_from(id).ok());
                if span_id.is_some() {
                    continue;
                }
            }
            if !label.value.is_empty() {
                attributes.push((label.name.clone(), OwnedValue::Text(label.value.clone())));
            }
        }
        records.push(Record::Exemplar {
            time_nanos: nanos(exemplar.timestamp),
            value: exemplar.value.into(),
            trace_id,
            span_id,
            attributes,
        });
    }
    for message in &series.histograms {
        records.push(Record::Histogram(Box::new(histogram(message)?)));
    }
    Ok(())
}

fn nanos(milliseconds: i64) -> i64 {
    let nanos = i128::from(milliseconds) * 1_000_000;
    i64::try_from(nanos.clamp(i64::MIN.into(), i64::MAX.into())).unwrap()
}

/// `None` also for zeros only: no id.
fn hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let bytes: Vec<u8> = (0..text.len() / 2)
        .map(|place| u8::from_str_radix(&text[2 * place..2 * place + 2], 16).unwrap())
        .collect();
    bytes.iter().any(|&byte| byte != 0).then_some(bytes)
}

fn histogram(message: &v1::Histogram) -> Result<HistogramRecord, Refusal> {
    if !message.custom_values.is_empty() || message.schema == -53 {
        return Err(Refusal::Meaning("custom bounds"));
    }
    if !(-4..=52).contains(&message.schema) {
        return Err(Refusal::Meaning("schema"));
    }
    for values in [message.positive_deltas.len(), message.negative_deltas.len()] {
        if values > limits::HISTOGRAM_BUCKET_COUNT_MAX {
            return Err(Refusal::Meaning("values over limit"));
        }
    }
    for values in [message.positive_counts.len(), message.negative_counts.len()] {
        if values > limits::HISTOGRAM_BUCKET_COUNT_MAX {
            return Err(Refusal::Meaning("values over limit"));
        }
    }
    let is_float = matches!(message.count, Some(v1::histogram::Count::CountFloat(_)));
    let (positive_counts, negative_counts) = if is_float {
        (message.positive_counts.clone(), message.negative_counts.clone())
    } else {
        (cumulate(&message.positive_deltas)?, cumulate(&message.negative_deltas)?)
    };
    let total = positive_counts.iter().sum::<f64>() + negative_counts.iter().sum::<f64>();
    let (positive_offset, positive_counts) = dense(&message.positive_spans, &positive_counts)?;
    let (negative_offset, negative_counts) = dense(&message.negative_spans, &negative_counts)?;

    let (count, zero_count) = match message.count {
        Some(v1::histogram::Count::CountFloat(count)) => {
            let zero_count = match message.zero_count {
                Some(v1::histogram::ZeroCount::ZeroCountFloat(count)) => count,
                _ => 0.0,
            };
            if !(count >= 0.0 && zero_count >= 0.0) {
                return Err(Refusal::Meaning("count invalid"));
            }
            let slack = 1e-3 * (total + zero_count).max(count);
            if total + zero_count - count > slack
                || count - (total + zero_count) > slack && !message.sum.is_nan()
            {
                return Err(Refusal::Meaning("count contradicts"));
            }
            (count, zero_count)
        }
        other => {
            let count = match other {
                Some(v1::histogram::Count::CountInt(count)) => count,
                _ => 0,
            };
            let zero_count = match message.zero_count {
                Some(v1::histogram::ZeroCount::ZeroCountInt(count)) => count,
                _ => 0,
            };
            // The generators stay below 2^53, where doubles are exact.
            let total = total as u128 + u128::from(zero_count);
            if total > u128::from(count) || total < u128::from(count) && !message.sum.is_nan() {
                return Err(Refusal::Meaning("count contradicts"));
            }
            (count as f64, zero_count as f64)
        }
    };
    Ok(HistogramRecord {
        time_nanos: nanos(message.timestamp),
        count: count.into(),
        sum: Some(message.sum.into()),
        scale: message.schema,
        zero_threshold: message.zero_threshold.into(),
        zero_count: zero_count.into(),
        positive_offset,
        positive_counts,
        negative_offset,
        negative_counts,
        reset_hint: if (0..=3).contains(&message.reset_hint) {
            message.reset_hint as u8
        } else {
            0
        },
        ..HistogramRecord::new(HistogramKind::Native)
    })
}

fn cumulate(deltas: &[i64]) -> Result<Vec<f64>, Refusal> {
    let mut running = 0i128;
    let mut counts = Vec::new();
    for &delta in deltas {
        running += i128::from(delta);
        if running < 0 || running > i128::from(i64::MAX) {
            return Err(Refusal::Meaning("count invalid"));
        }
        counts.push(running as f64);
    }
    Ok(counts)
}

fn dense(spans: &[v1::BucketSpan], counts: &[f64]) -> Result<(i32, Vec<f64>), Refusal> {
    let mut buckets = BTreeMap::new();
    let mut index = 0i64;
    let mut values = counts.iter();
    for (place, span) in spans.iter().enumerate() {
        if place > 0 && span.offset < 0 {
            return Err(Refusal::Meaning("gap below zero"));
        }
        index += i64::from(span.offset);
        let first = buckets.keys().next().copied().unwrap_or(index);
        if index + i64::from(span.length) - first > limits::HISTOGRAM_BUCKET_COUNT_MAX as i64
            && span.length > 0
        {
            return Err(Refusal::Meaning("too wide"));
        }
        for _ in 0..span.length {
            let Some(&count) = values.next() else {
                return Err(Refusal::Meaning("too few values"));
            };
            if count.is_nan() || count < 0.0 {
                return Err(Refusal::Meaning("count invalid"));
            }
            buckets.insert(index, count);
            index += 1;
        }
    }
    if values.next().is_some() {
        return Err(Refusal::Meaning("too many values"));
    }
    let (Some(&first), Some(&last)) = (buckets.keys().next(), buckets.keys().last()) else {
        return Ok((0, Vec::new()));
    };
    let Ok(offset) = i32::try_from(first - 1) else {
        return Err(Refusal::Meaning("offset out of range"));
    };
    let dense = (first..=last).map(|index| buckets.get(&index).copied().unwrap_or(0.0)).collect();
    Ok((offset, dense))
}

pub fn otlp_logs(body: &[u8]) -> Result<Vec<Record>, Refusal> {
    let request = ExportLogsServiceRequest::decode(body)?;
    let mut records = Vec::new();
    for resource_logs in &request.resource_logs {
        let resource = resource_logs.resource.clone().unwrap_or_default();
        records.push(Record::Resource {
            attributes: pairs(&resource.attributes),
            schema_url: resource_logs.schema_url.clone(),
        });
        for scope_logs in &resource_logs.scope_logs {
            let scope = scope_logs.scope.clone().unwrap_or_default();
            records.push(Record::Scope {
                name: scope.name,
                version: scope.version,
                attributes: pairs(&scope.attributes),
                schema_url: scope_logs.schema_url.clone(),
            });
            for log in &scope_logs.log_records {
                let observed = match log.observed_time_unix_nano {
                    0 => ARRIVAL_NANOS,
                    nanos => nanos,
                };
                let time = match log.time_unix_nano {
                    0 => observed,
                    nanos => nanos,
                };
                records.push(Record::Log(LogRecord {
                    time_nanos: time.min(i64::MAX as u64) as i64,
                    observed_time_nanos: observed.min(i64::MAX as u64) as i64,
                    trace_id: log.trace_id.clone().try_into().ok().filter(|id| *id != [0; 16]),
                    span_id: log.span_id.clone().try_into().ok().filter(|id| *id != [0; 8]),
                    trace_flags: (log.flags & 0xff) as u8,
                    severity_text: log.severity_text.clone(),
                    severity_number: log.severity_number,
                    body: log.body.as_ref().map_or(OwnedValue::Empty, value),
                    attributes: pairs(&log.attributes),
                    event_name: log.event_name.clone(),
                }));
            }
        }
    }
    Ok(records)
}

fn pairs(attributes: &[KeyValue]) -> Pairs {
    attributes
        .iter()
        .map(|pair| (pair.key.clone(), pair.value.as_ref().map_or(OwnedValue::Empty, value)))
        .collect()
}

fn value(any: &AnyValue) -> OwnedValue {
    match &any.value {
        None | Some(any_value::Value::StringValueStrindex(_)) => OwnedValue::Empty,
        Some(any_value::Value::StringValue(text)) => OwnedValue::Text(text.clone()),
        Some(any_value::Value::BoolValue(bool)) => OwnedValue::Bool(*bool),
        Some(any_value::Value::IntValue(int)) => OwnedValue::Int(*int),
        Some(any_value::Value::DoubleValue(double)) => OwnedValue::Double((*double).into()),
        Some(any_value::Value::BytesValue(bytes)) => OwnedValue::Bytes(bytes.clone()),
        Some(any_value::Value::ArrayValue(array)) => {
            OwnedValue::Array(array.values.iter().map(value).collect())
        }
        Some(any_value::Value::KvlistValue(list)) => OwnedValue::Map(pairs(&list.values)),
    }
}
