//! What a body means, by prost and the plainest code that follows the protocol pages: no views, no
//! fast paths, no shared lines with what it judges.

use std::collections::BTreeMap;

use inrush::batch::RejectCause;
use inrush::batch::record::{HistogramKind, MetricType, SpanKind, StatusCode, Temporality};
use inrush::limits;
use prost::Message as _;

use super::ARRIVAL_NANOS;
use super::messages::io::prometheus::write::v2;
use super::messages::opentelemetry::proto::collector::logs::v1::ExportLogsServiceRequest;
use super::messages::opentelemetry::proto::collector::metrics::v1::ExportMetricsServiceRequest;
use super::messages::opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest;
use super::messages::opentelemetry::proto::common::v1::{AnyValue, KeyValue, any_value};
use super::messages::opentelemetry::proto::metrics::v1 as otlp_metrics;
use super::messages::opentelemetry::proto::trace::v1::Span;
use super::messages::prometheus as v1;
use super::record::{
    Bits, EventRecord, FullSeries, HistogramRecord, LinkRecord, LogRecord, OwnedValue, Pairs,
    Record, SampleRecord, SpanRecord,
};

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
    let times = (series.samples.iter().map(|sample| sample.timestamp))
        .chain(series.exemplars.iter().map(|exemplar| exemplar.timestamp))
        .chain(series.histograms.iter().map(|histogram| histogram.timestamp));
    if times.into_iter().any(|time| time.checked_mul(1_000_000).is_none()) {
        return Err(Refusal::Meaning("time"));
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

/// Remote write 2.0: the records kept, and why the others were not.
pub fn remote_write_2(body: &[u8]) -> Result<(Vec<Record>, Vec<RejectCause>), Refusal> {
    let request = v2::Request::decode(body)?;
    if request.symbols.first().is_some_and(|symbol| !symbol.is_empty()) {
        return Err(Refusal::Meaning("symbol zero"));
    }
    let symbol = |reference: u32| {
        request.symbols.get(reference as usize).ok_or(Refusal::Meaning("past the table"))
    };
    let labels = |refs: &[u32]| -> Result<Vec<v1::Label>, Refusal> {
        for &reference in refs {
            symbol(reference)?;
        }
        if !refs.len().is_multiple_of(2) {
            return Err(Refusal::Meaning("odd"));
        }
        refs.chunks(2)
            .map(|pair| {
                Ok(v1::Label { name: symbol(pair[0])?.clone(), value: symbol(pair[1])?.clone() })
            })
            .collect()
    };
    let mut records = Vec::new();
    let mut rejects = Vec::new();
    for series in &request.timeseries {
        let own = labels(&series.labels_refs)?;
        let mut exemplars = Vec::new();
        for exemplar in &series.exemplars {
            exemplars.push(v1::Exemplar {
                labels: labels(&exemplar.labels_refs)?,
                value: exemplar.value,
                timestamp: exemplar.timestamp,
            });
        }
        let metadata = series.metadata.unwrap_or_default();
        for reference in [metadata.help_ref, metadata.unit_ref] {
            if reference != 0 {
                symbol(reference)?;
            }
        }
        // As 1.0 sees the labels alone.
        let mut alone = v1::TimeSeries { labels: own.clone(), ..Default::default() };
        let mixed = !series.samples.is_empty() && !series.histograms.is_empty();
        let cause = match time_series(&alone, &mut Vec::new()) {
            Err(Refusal::Meaning("label count")) => Some(RejectCause::OverLimit),
            Err(_) if own.iter().any(|label| label.name.is_empty()) => {
                Some(RejectCause::LabelNameEmpty)
            }
            Err(Refusal::Meaning("label name repeated")) => Some(RejectCause::LabelNameRepeated),
            Err(_) => Some(RejectCause::MetricNameMissing),
            Ok(()) if mixed => Some(RejectCause::SamplesBesideHistograms),
            Ok(()) => None,
        };
        let owned = series.samples.len() + series.histograms.len() + series.exemplars.len();
        if let Some(cause) = cause {
            rejects.extend(std::iter::repeat_n(cause, owned.max(1)));
            continue;
        }
        let fits = |time: i64| time.checked_mul(1_000_000).is_some();
        let name = &own.iter().find(|l| l.name == "__name__" && !l.value.is_empty()).unwrap().value;
        metadata_2(&request, series, name, &mut records);
        let mut kept = Vec::new();
        for sample in &series.samples {
            if !fits(sample.timestamp) {
                rejects.push(RejectCause::TimeOutOfRange);
                continue;
            }
            kept.push(Record::Sample(SampleRecord {
                start_time_nanos: nanos(sample.start_timestamp),
                ..SampleRecord::new(nanos(sample.timestamp), sample.value)
            }));
        }
        for exemplar in exemplars {
            if exemplar.labels.iter().any(|label| label.name.is_empty()) {
                rejects.push(RejectCause::LabelNameEmpty);
            } else if exemplar.timestamp == 0 {
                rejects.push(RejectCause::ExemplarInvalid);
            } else if !fits(exemplar.timestamp) {
                rejects.push(RejectCause::TimeOutOfRange);
            } else {
                alone.exemplars = vec![exemplar];
                let mut one = Vec::new();
                time_series(&alone, &mut one)?;
                kept.extend(one.into_iter().skip(1));
            }
        }
        for message in &series.histograms {
            match histogram_2(message) {
                Err(_) => rejects.push(RejectCause::Inconsistent),
                Ok(_) if !fits(message.timestamp) => rejects.push(RejectCause::TimeOutOfRange),
                Ok(record) => kept.push(Record::Histogram(Box::new(record))),
            }
        }
        if !kept.is_empty() {
            // An exemplar makes 1.0 say the series.
            alone.exemplars = vec![v1::Exemplar::default()];
            let mut said = Vec::new();
            time_series(&alone, &mut said)?;
            records.extend(said.into_iter().take(1));
            records.extend(kept);
        }
    }
    Ok((records, rejects))
}

fn metadata_2(
    request: &v2::Request,
    series: &v2::TimeSeries,
    name: &str,
    records: &mut Vec<Record>,
) {
    let metadata = series.metadata.unwrap_or_default();
    let text =
        |reference: u32| request.symbols.get(reference as usize).cloned().unwrap_or_default();
    let (metric_type, suffixes): (_, &[&str]) = match metadata.r#type {
        1 => (MetricType::Counter, &[]),
        2 => (MetricType::Gauge, &[]),
        3 => (MetricType::Histogram, &["_bucket", "_count", "_sum", "_created"]),
        4 => (MetricType::GaugeHistogram, &["_bucket", "_gcount", "_gsum"]),
        5 => (MetricType::Summary, &["_count", "_sum", "_created"]),
        6 => (MetricType::Info, &[]),
        7 => (MetricType::StateSet, &[]),
        _ => (MetricType::Unknown, &[]),
    };
    let (help, unit) = (text(metadata.help_ref), text(metadata.unit_ref));
    if metric_type == MetricType::Unknown && help.is_empty() && unit.is_empty() {
        return;
    }
    let family = suffixes
        .iter()
        .filter(|_| series.histograms.is_empty())
        .find_map(|suffix| name.strip_suffix(suffix))
        .filter(|family| !family.is_empty())
        .unwrap_or(name);
    records.push(Record::Metadata { family: family.to_owned(), metric_type, unit, help });
}

fn histogram_2(message: &v2::Histogram) -> Result<HistogramRecord, Refusal> {
    let spans = |spans: &[v2::BucketSpan]| -> Vec<_> {
        spans
            .iter()
            .map(|span| v1::BucketSpan { offset: span.offset, length: span.length })
            .collect()
    };
    let bounds = &message.custom_values;
    let custom = message.schema == -53;
    let model = v1::Histogram {
        count: message.count.map(|count| match count {
            v2::histogram::Count::CountInt(count) => v1::histogram::Count::CountInt(count),
            v2::histogram::Count::CountFloat(count) => v1::histogram::Count::CountFloat(count),
        }),
        zero_count: message.zero_count.map(|count| match count {
            v2::histogram::ZeroCount::ZeroCountInt(c) => v1::histogram::ZeroCount::ZeroCountInt(c),
            v2::histogram::ZeroCount::ZeroCountFloat(c) => {
                v1::histogram::ZeroCount::ZeroCountFloat(c)
            }
        }),
        sum: message.sum,
        schema: if custom { 0 } else { message.schema },
        zero_threshold: message.zero_threshold,
        negative_spans: spans(&message.negative_spans),
        negative_deltas: message.negative_deltas.clone(),
        negative_counts: message.negative_counts.clone(),
        positive_spans: spans(&message.positive_spans),
        positive_deltas: message.positive_deltas.clone(),
        positive_counts: message.positive_counts.clone(),
        reset_hint: message.reset_hint,
        timestamp: message.timestamp,
        custom_values: Vec::new(),
    };
    let mut record = histogram(&model)?;
    record.start_time_nanos = nanos(message.start_timestamp);
    if !custom {
        return if bounds.is_empty() { Ok(record) } else { Err(Refusal::Meaning("bounds")) };
    }
    let rising = bounds.iter().all(|bound| bound.is_finite())
        && bounds.windows(2).all(|pair| pair[0] < pair[1]);
    let has_spans = |spans: &[v2::BucketSpan]| spans.iter().any(|span| span.length > 0);
    let positive = has_spans(&message.positive_spans);
    // Custom buckets are counted from 0, others from 1 less than Prometheus does.
    let first = if positive { record.positive_offset + 1 } else { 0 };
    if has_spans(&message.negative_spans)
        || f64::from_bits(record.zero_count.0) != 0.0
        || message.zero_threshold != 0.0
        || !rising
        || first < 0
        || record.scale != 0
        || positive && first as usize + record.positive_counts.len() > bounds.len() + 1
    {
        return Err(Refusal::Meaning("bounds"));
    }
    record.positive_offset = first;
    record.scale = -53;
    record.custom_bounds.clone_from(bounds);
    Ok(record)
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
        if values > 4 * limits::HISTOGRAM_BUCKET_COUNT_MAX {
            return Err(Refusal::Meaning("values over limit"));
        }
    }
    for values in [message.positive_counts.len(), message.negative_counts.len()] {
        if values > 4 * limits::HISTOGRAM_BUCKET_COUNT_MAX {
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
    let mut positive = buckets(&message.positive_spans, &positive_counts)?;
    let mut negative = buckets(&message.negative_spans, &negative_counts)?;
    let mut scale = message.schema;
    while is_too_wide(&positive) || is_too_wide(&negative) {
        if scale == -4 {
            return Err(Refusal::Meaning("too wide"));
        }
        (positive, negative) = (halved(&positive), halved(&negative));
        scale -= 1;
    }
    let (positive_offset, positive_counts) = dense(&positive)?;
    let (negative_offset, negative_counts) = dense(&negative)?;

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
        scale,
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

/// Buckets by Prometheus' count.
fn buckets(spans: &[v1::BucketSpan], counts: &[f64]) -> Result<BTreeMap<i64, f64>, Refusal> {
    let mut buckets = BTreeMap::new();
    let mut index = 0i64;
    let mut values = counts.iter();
    for (place, span) in spans.iter().enumerate() {
        if place > 0 && span.offset < 0 {
            return Err(Refusal::Meaning("gap below zero"));
        }
        index += i64::from(span.offset);
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
    Ok(buckets)
}

/// Prometheus' way to halve the resolution: of two buckets the one with the even index ends where both do.
fn halved(buckets: &BTreeMap<i64, f64>) -> BTreeMap<i64, f64> {
    let mut halved = BTreeMap::new();
    for (&index, &count) in buckets {
        *halved.entry((index + 1).div_euclid(2)).or_default() += count;
    }
    halved
}

fn is_too_wide(buckets: &BTreeMap<i64, f64>) -> bool {
    match (buckets.first_key_value(), buckets.last_key_value()) {
        (Some((first, _)), Some((last, _))) => {
            last - first >= limits::HISTOGRAM_BUCKET_COUNT_MAX as i64
        }
        _ => false,
    }
}

fn dense(buckets: &BTreeMap<i64, f64>) -> Result<(i32, Vec<f64>), Refusal> {
    let (Some((&first, _)), Some((&last, _))) =
        (buckets.first_key_value(), buckets.last_key_value())
    else {
        return Ok((0, Vec::new()));
    };
    let offset = i32::try_from(first - 1).map_err(|_| Refusal::Meaning("offset"))?;
    let counts = (first..=last).map(|index| buckets.get(&index).copied().unwrap_or(0.0)).collect();
    Ok((offset, counts))
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

fn saturated(nanos: u64) -> i64 {
    nanos.min(i64::MAX as u64) as i64
}

fn some_id<const SIZE: usize>(bytes: &[u8]) -> Option<[u8; SIZE]> {
    <[u8; SIZE]>::try_from(bytes).ok().filter(|id| *id != [0; SIZE])
}

pub fn otlp_traces(body: &[u8]) -> Result<Vec<Record>, Refusal> {
    let request = ExportTraceServiceRequest::decode(body)?;
    let mut records = Vec::new();
    for resource_spans in &request.resource_spans {
        let resource = resource_spans.resource.clone().unwrap_or_default();
        records.push(Record::Resource {
            attributes: pairs(&resource.attributes),
            schema_url: resource_spans.schema_url.clone(),
        });
        for scope_spans in &resource_spans.scope_spans {
            let scope = scope_spans.scope.clone().unwrap_or_default();
            records.push(Record::Scope {
                name: scope.name,
                version: scope.version,
                attributes: pairs(&scope.attributes),
                schema_url: scope_spans.schema_url.clone(),
            });
            records.extend(scope_spans.spans.iter().map(span));
        }
    }
    Ok(records)
}

fn span(span: &Span) -> Record {
    let (Some(trace_id), Some(span_id)) = (some_id(&span.trace_id), some_id(&span.span_id)) else {
        return Record::Rejected(RejectCause::IdInvalid);
    };
    let (start, end) = (span.start_time_unix_nano, span.end_time_unix_nano);
    let status = span.status.clone().unwrap_or_default();
    Record::Span(Box::new(SpanRecord {
        trace_id,
        span_id,
        parent_span_id: some_id(&span.parent_span_id),
        trace_state: span.trace_state.clone(),
        trace_flags: (span.flags & 0xff) as u8,
        name: span.name.clone(),
        kind: match span.kind {
            1 => SpanKind::Internal,
            2 => SpanKind::Server,
            3 => SpanKind::Client,
            4 => SpanKind::Producer,
            5 => SpanKind::Consumer,
            _ => SpanKind::Unspecified,
        },
        start_time_nanos: saturated(match (start, end) {
            (0, 0) => ARRIVAL_NANOS,
            (0, end) => end,
            (start, _) => start,
        }),
        duration_nanos: if start == 0 || end < start { 0 } else { end - start },
        attributes: pairs(&span.attributes),
        events: span
            .events
            .iter()
            .map(|event| EventRecord {
                time_nanos: saturated(event.time_unix_nano),
                name: event.name.clone(),
                attributes: pairs(&event.attributes),
            })
            .collect(),
        links: span
            .links
            .iter()
            .map(|link| LinkRecord {
                trace_id: some_id(&link.trace_id),
                span_id: some_id(&link.span_id),
                trace_state: link.trace_state.clone(),
                attributes: pairs(&link.attributes),
            })
            .collect(),
        status_code: match status.code {
            1 => StatusCode::Ok,
            2 => StatusCode::Error,
            _ => StatusCode::Unset,
        },
        status_message: status.message,
    }))
}

pub fn otlp_metrics(body: &[u8]) -> Result<Vec<Record>, Refusal> {
    let request = ExportMetricsServiceRequest::decode(body)?;
    let mut records = Vec::new();
    for resource_metrics in &request.resource_metrics {
        let resource = resource_metrics.resource.clone().unwrap_or_default();
        records.push(Record::Resource {
            attributes: pairs(&resource.attributes),
            schema_url: resource_metrics.schema_url.clone(),
        });
        for scope_metrics in &resource_metrics.scope_metrics {
            let scope = scope_metrics.scope.clone().unwrap_or_default();
            records.push(Record::Scope {
                name: scope.name,
                version: scope.version,
                attributes: pairs(&scope.attributes),
                schema_url: scope_metrics.schema_url.clone(),
            });
            for message in &scope_metrics.metrics {
                metric(message, &mut records);
            }
        }
    }
    Ok(records)
}

fn metric(message: &otlp_metrics::Metric, records: &mut Vec<Record>) {
    use otlp_metrics::metric::Data;
    let Some(data) = &message.data else { return };
    let (metric_type, temporality, is_monotonic) = match data {
        Data::Gauge(_) => (MetricType::Gauge, 0, false),
        Data::Sum(sum) => (MetricType::Sum, sum.aggregation_temporality, sum.is_monotonic),
        Data::Histogram(histogram) => {
            (MetricType::Histogram, histogram.aggregation_temporality, false)
        }
        Data::ExponentialHistogram(histogram) => {
            (MetricType::ExponentialHistogram, histogram.aggregation_temporality, false)
        }
        Data::Summary(_) => (MetricType::Summary, 0, false),
    };
    if !message.name.is_empty() {
        records.push(Record::Metadata {
            family: message.name.clone(),
            metric_type,
            unit: message.unit.clone(),
            help: message.description.clone(),
        });
    }
    let series = |attributes: &[KeyValue]| {
        Record::FullSeries(FullSeries {
            name: message.name.clone(),
            metric_type,
            unit: message.unit.clone(),
            description: message.description.clone(),
            temporality: match temporality {
                1 => Temporality::Delta,
                2 => Temporality::Cumulative,
                _ => Temporality::Unspecified,
            },
            is_monotonic,
            labels: pairs(attributes),
        })
    };
    match data {
        Data::Gauge(otlp_metrics::Gauge { data_points })
        | Data::Sum(otlp_metrics::Sum { data_points, .. }) => {
            for point in data_points {
                records.push(series(&point.attributes));
                records.push(number_point(point));
                exemplars(&point.exemplars, point.time_unix_nano, records);
            }
        }
        Data::Histogram(histogram) => {
            for point in &histogram.data_points {
                match classic_point(point) {
                    Ok(record) => {
                        records.push(series(&point.attributes));
                        records.push(record);
                        exemplars(&point.exemplars, point.time_unix_nano, records);
                    }
                    Err(cause) => records.push(Record::Rejected(cause)),
                }
            }
        }
        Data::ExponentialHistogram(histogram) => {
            for point in &histogram.data_points {
                match exponential_point(point) {
                    Ok(record) => {
                        records.push(series(&point.attributes));
                        records.push(record);
                        exemplars(&point.exemplars, point.time_unix_nano, records);
                    }
                    Err(cause) => records.push(Record::Rejected(cause)),
                }
            }
        }
        Data::Summary(summary) => {
            for point in &summary.data_points {
                if point.quantile_values.len() > limits::HISTOGRAM_BUCKET_COUNT_MAX {
                    records.push(Record::Rejected(RejectCause::OverLimit));
                    continue;
                }
                records.push(series(&point.attributes));
                records.push(Record::Histogram(Box::new(HistogramRecord {
                    time_nanos: point_time(point.time_unix_nano),
                    start_time_nanos: saturated(point.start_time_unix_nano),
                    flags: point.flags,
                    count: (point.count as f64).into(),
                    sum: Some(point.sum.into()),
                    quantiles: point
                        .quantile_values
                        .iter()
                        .map(|pair| (pair.quantile.into(), pair.value.into()))
                        .collect(),
                    ..HistogramRecord::new(HistogramKind::Summary)
                })));
            }
        }
    }
}

fn point_time(nanos: u64) -> i64 {
    saturated(if nanos == 0 { ARRIVAL_NANOS } else { nanos })
}

const NO_VALUE: Bits = Bits(0x7ff8_0000_0000_0001);
const STALE: Bits = Bits(0x7ff0_0000_0000_0002);

fn number_point(point: &otlp_metrics::NumberDataPoint) -> Record {
    use otlp_metrics::number_data_point::Value;
    let (value, value_int) = match point.value {
        _ if point.flags & 1 == 1 => (STALE, None),
        None => (NO_VALUE, None),
        Some(Value::AsDouble(double)) => (double.into(), None),
        Some(Value::AsInt(int)) => {
            let beyond = i128::from(int).abs() > 1 << 53;
            ((int as f64).into(), beyond.then_some(int))
        }
    };
    Record::Sample(SampleRecord {
        time_nanos: point_time(point.time_unix_nano),
        value,
        value_int,
        start_time_nanos: saturated(point.start_time_unix_nano),
        flags: point.flags,
    })
}

fn classic_point(point: &otlp_metrics::HistogramDataPoint) -> Result<Record, RejectCause> {
    let (bounds, counts) = (&point.explicit_bounds, &point.bucket_counts);
    if bounds.len().max(counts.len()) > limits::HISTOGRAM_BUCKET_COUNT_MAX {
        return Err(RejectCause::OverLimit);
    }
    if point.flags & 1 == 0 {
        let lengths_fit =
            bounds.is_empty() && counts.is_empty() || counts.len() == bounds.len() + 1;
        let ascend = bounds.windows(2).all(|pair| pair[0] < pair[1]);
        if !lengths_fit || !ascend || bounds.iter().any(|bound| bound.is_nan()) {
            return Err(RejectCause::Inconsistent);
        }
    }
    Ok(Record::Histogram(Box::new(HistogramRecord {
        time_nanos: point_time(point.time_unix_nano),
        start_time_nanos: saturated(point.start_time_unix_nano),
        flags: point.flags,
        count: (point.count as f64).into(),
        sum: point.sum.map(Bits::from),
        min: point.min.map(Bits::from),
        max: point.max.map(Bits::from),
        bounds: bounds.iter().copied().map(Bits::from).collect(),
        bucket_counts: counts.iter().map(|&count| count as f64).collect(),
        ..HistogramRecord::new(HistogramKind::Classic)
    })))
}

fn exponential_point(
    point: &otlp_metrics::ExponentialHistogramDataPoint,
) -> Result<Record, RejectCause> {
    let side = |side: &Option<otlp_metrics::exponential_histogram_data_point::Buckets>| {
        let side = side.clone().unwrap_or_default();
        if side.bucket_counts.len() > limits::HISTOGRAM_BUCKET_COUNT_MAX {
            return Err(RejectCause::OverLimit);
        }
        Ok((side.offset, side.bucket_counts.iter().map(|&count| count as f64).collect()))
    };
    let (positive_offset, positive_counts) = side(&point.positive)?;
    let (negative_offset, negative_counts) = side(&point.negative)?;
    Ok(Record::Histogram(Box::new(HistogramRecord {
        time_nanos: point_time(point.time_unix_nano),
        start_time_nanos: saturated(point.start_time_unix_nano),
        flags: point.flags,
        count: (point.count as f64).into(),
        sum: point.sum.map(Bits::from),
        min: point.min.map(Bits::from),
        max: point.max.map(Bits::from),
        scale: point.scale,
        zero_threshold: point.zero_threshold.into(),
        zero_count: (point.zero_count as f64).into(),
        positive_offset,
        positive_counts,
        negative_offset,
        negative_counts,
        ..HistogramRecord::new(HistogramKind::Exponential)
    })))
}

fn exemplars(messages: &[otlp_metrics::Exemplar], point_nanos: u64, records: &mut Vec<Record>) {
    use otlp_metrics::exemplar::Value;
    for message in messages {
        records.push(Record::Exemplar {
            time_nanos: match message.time_unix_nano {
                0 => point_time(point_nanos),
                nanos => saturated(nanos),
            },
            value: match message.value {
                None => NO_VALUE,
                Some(Value::AsDouble(double)) => double.into(),
                Some(Value::AsInt(int)) => (int as f64).into(),
            },
            trace_id: some_id(&message.trace_id),
            span_id: some_id(&message.span_id),
            attributes: pairs(&message.filtered_attributes),
        });
    }
}
