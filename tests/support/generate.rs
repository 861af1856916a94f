//! Messages of every kind, from a seed: each optional part is there or not, lists are empty, short
//! or long, numbers lie at their bounds as often as between them.

use super::bodies::Random;
use super::messages::io::prometheus::write::v2;
use super::messages::opentelemetry::proto::collector::logs::v1::ExportLogsServiceRequest;
use super::messages::opentelemetry::proto::collector::metrics::v1::ExportMetricsServiceRequest;
use super::messages::opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest;
use super::messages::opentelemetry::proto::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList, any_value,
};
use super::messages::opentelemetry::proto::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use super::messages::opentelemetry::proto::metrics::v1 as otlp_metrics;
use super::messages::opentelemetry::proto::resource::v1::Resource;
use super::messages::opentelemetry::proto::trace::v1 as otlp_trace;
use super::messages::prometheus as v1;

/// The stale marker: a signalling NaN that arithmetic would turn into another.
pub const STALE: u64 = 0x7ff0_0000_0000_0002;

fn one_in(random: &mut Random, chances: usize) -> bool {
    random.below(chances) == 0
}

fn some<T>(
    random: &mut Random,
    count_max: usize,
    mut make: impl FnMut(&mut Random) -> T,
) -> Vec<T> {
    (0..random.below(count_max + 1)).map(|_| make(random)).collect()
}

fn text(random: &mut Random) -> String {
    let length = match random.below(8) {
        0 => 0,
        1 => 120 + random.below(20),
        2 => 300,
        _ => random.below(24),
    };
    let alphabet: &[char] = match random.below(4) {
        0 => &['ä', '日', '\u{1f980}', 'x'],
        _ => &['a', 'b', '_', '.', 'Z', '7', ' '],
    };
    (0..length).map(|_| alphabet[random.below(alphabet.len())]).collect()
}

fn double(random: &mut Random) -> f64 {
    match random.below(8) {
        0 => f64::from_bits(STALE),
        1 => f64::NAN,
        2 => f64::INFINITY,
        3 => 0.0,
        4 => -0.0,
        _ => random.draw() as f64 / 4096.0,
    }
}

fn integer(random: &mut Random) -> i64 {
    match random.below(6) {
        0 => i64::MIN,
        1 => i64::MAX,
        2 => 0,
        3 => -1,
        _ => (random.draw() >> random.below(64)) as i64,
    }
}

fn milliseconds(random: &mut Random) -> i64 {
    match random.below(4) {
        // 1.0 refuses a whole body for one time that nanoseconds do not reach.
        0 if one_in(random, 8) => integer(random),
        0 => integer(random) / 1_000_000,
        _ => 1_767_225_600_000 + random.below(1_000_000) as i64,
    }
}

pub fn write_request(random: &mut Random) -> v1::WriteRequest {
    v1::WriteRequest {
        timeseries: some(random, 8, time_series),
        metadata: some(random, 3, |random| v1::MetricMetadata {
            r#type: random.below(10) as i32,
            metric_family_name: text(random),
            help: text(random),
            unit: text(random),
        }),
    }
}

fn time_series(random: &mut Random) -> v1::TimeSeries {
    let mut labels: Vec<_> = some(random, 12, label);
    labels.push(v1::Label { name: "__name__".to_owned(), value: "m".to_owned() + &text(random) });
    labels.sort_by(|left, right| left.name.cmp(&right.name));
    // Once in a while what must be refused.
    if !one_in(random, 40) {
        labels.dedup_by(|left, right| left.name == right.name);
        labels.retain(|label| !label.name.is_empty());
    }
    if one_in(random, 4) {
        labels.reverse();
    }
    v1::TimeSeries {
        labels,
        samples: some(random, 3, |random| v1::Sample {
            value: double(random),
            timestamp: milliseconds(random),
        }),
        exemplars: some(random, 2, |random| v1::Exemplar {
            labels: some(random, 4, |random| match random.below(6) {
                0 => v1::Label { name: "trace_id".to_owned(), value: random.hex(32) },
                1 => v1::Label { name: "span_id".to_owned(), value: random.hex(16) },
                2 => v1::Label { name: "trace_id".to_owned(), value: text(random) },
                3 => v1::Label { name: "span_id".to_owned(), value: "0".repeat(16) },
                _ => v1::Label { name: "e".to_owned() + &text(random), value: text(random) },
            }),
            value: double(random),
            timestamp: milliseconds(random),
        }),
        histograms: some(random, 2, histogram),
    }
}

fn label(random: &mut Random) -> v1::Label {
    let name = match random.below(6) {
        // Names that share their first eight bytes, and one that is the beginning of another.
        0 => "container_id".to_owned(),
        1 => "container".to_owned(),
        2 => "containe".to_owned(),
        3 => format!("container_{}", random.below(3)),
        4 => "l".to_owned() + &text(random),
        _ => text(random),
    };
    v1::Label { name, value: text(random) }
}

fn histogram(random: &mut Random) -> v1::Histogram {
    let is_float = one_in(random, 2);
    let mut total = 0;
    let (negative_spans, negative_counts) = side(random, &mut total);
    let (positive_spans, positive_counts) = side(random, &mut total);
    let zero_count = random.below(50) as u64;
    let sum = double(random);
    let mut count = total + zero_count;
    if sum.is_nan() && one_in(random, 2) {
        count += 1000;
    }
    if one_in(random, 60) {
        count += 1 + count / 2;
    }
    let mut message = v1::Histogram {
        sum,
        schema: if one_in(random, 40) {
            integer(random) as i32
        } else {
            random.below(13) as i32 - 4
        },
        zero_threshold: double(random),
        negative_spans,
        positive_spans,
        reset_hint: random.below(5) as i32,
        timestamp: milliseconds(random),
        custom_values: if one_in(random, 60) { vec![1.0, 2.0] } else { vec![] },
        ..v1::Histogram::default()
    };
    let as_floats = |counts: &[i64]| counts.iter().map(|&count| count as f64).collect();
    let as_deltas = |counts: &[i64]| {
        let mut before = 0;
        counts.iter().map(|&count| count - std::mem::replace(&mut before, count)).collect()
    };
    if is_float {
        message.count = Some(v1::histogram::Count::CountFloat(count as f64));
        message.zero_count = Some(v1::histogram::ZeroCount::ZeroCountFloat(zero_count as f64));
        message.negative_counts = as_floats(&negative_counts);
        message.positive_counts = as_floats(&positive_counts);
    } else {
        message.count = Some(v1::histogram::Count::CountInt(count));
        message.zero_count = Some(v1::histogram::ZeroCount::ZeroCountInt(zero_count));
        message.negative_deltas = as_deltas(&negative_counts);
        message.positive_deltas = as_deltas(&positive_counts);
    }
    message
}

fn side(random: &mut Random, total: &mut u64) -> (Vec<v1::BucketSpan>, Vec<i64>) {
    let mut counts = Vec::new();
    let spans: Vec<_> = some(random, 5, |random| {
        let length = random.below(6) as u32;
        for _ in 0..length {
            let count = random.below(1000);
            *total += count as u64;
            counts.push(count as i64);
        }
        let gap = if one_in(random, 12) { 9_000 } else { 20 };
        v1::BucketSpan { offset: random.below(gap) as i32, length }
    });
    let mut spans = spans;
    if let Some(first) = spans.first_mut() {
        first.offset -= 10;
    }
    if one_in(random, 60) {
        spans.push(v1::BucketSpan { offset: integer(random) as i32, length: random.draw() as u32 });
    }
    (spans, counts)
}

/// A request of 2.0, with what must be refused, in part or as a whole, once in a while.
pub fn write_request_2(random: &mut Random) -> v2::Request {
    let mut symbols = vec![String::new()];
    let mut intern = |random: &mut Random, text: &str| {
        // A sender need not find its symbols again.
        let known = symbols.iter().position(|symbol| symbol == text);
        if let Some(place) = known
            && !one_in(random, 30)
        {
            return place as u32;
        }
        symbols.push(text.to_owned());
        symbols.len() as u32 - 1
    };
    let timeseries = some(random, 8, |random| {
        let mut model = time_series(random);
        let mut samples = std::mem::take(&mut model.samples);
        let mut histograms = std::mem::take(&mut model.histograms);
        if !one_in(random, 10) {
            if one_in(random, 2) { samples.clear() } else { histograms.clear() }
        }
        if one_in(random, 15) {
            model.labels.retain(|label| label.name != "__name__");
        }
        let mut refs = |random: &mut Random, labels: &[v1::Label]| {
            let mut refs = Vec::new();
            for label in labels {
                refs.push(intern(random, &label.name));
                refs.push(intern(random, &label.value));
            }
            if one_in(random, 150) {
                refs.push(0);
            }
            if one_in(random, 150) {
                refs.extend([0, u32::MAX]);
            }
            refs
        };
        v2::TimeSeries {
            labels_refs: refs(random, &model.labels),
            exemplars: model
                .exemplars
                .iter()
                .map(|exemplar| v2::Exemplar {
                    labels_refs: refs(random, &exemplar.labels),
                    value: exemplar.value,
                    timestamp: exemplar.timestamp,
                })
                .collect(),
            samples: samples
                .iter()
                .map(|sample| v2::Sample {
                    value: sample.value,
                    timestamp: sample.timestamp,
                    start_timestamp: start_timestamp(random),
                })
                .collect(),
            histograms: histograms.iter().map(|model| histogram_2(random, model)).collect(),
            metadata: (!one_in(random, 3)).then(|| v2::Metadata {
                r#type: random.below(10) as i32,
                help_ref: {
                    let help = ["", "help", "other help"][random.below(3)];
                    intern(random, help)
                },
                unit_ref: if one_in(random, 200) {
                    u32::MAX
                } else {
                    let unit = ["", "seconds"][random.below(2)];
                    intern(random, unit)
                },
            }),
        }
    });
    if one_in(random, 60) {
        symbols[0].push('x');
    }
    v2::Request { symbols, timeseries }
}

fn start_timestamp(random: &mut Random) -> i64 {
    if one_in(random, 2) { 0 } else { milliseconds(random) }
}

fn histogram_2(random: &mut Random, model: &v1::Histogram) -> v2::Histogram {
    use v2::histogram::{Count, ZeroCount};
    let spans = |spans: &[v1::BucketSpan]| -> Vec<_> {
        spans
            .iter()
            .map(|span| v2::BucketSpan { offset: span.offset, length: span.length })
            .collect()
    };
    let mut message = v2::Histogram {
        sum: model.sum,
        schema: model.schema,
        zero_threshold: model.zero_threshold,
        negative_spans: spans(&model.negative_spans),
        negative_deltas: model.negative_deltas.clone(),
        negative_counts: model.negative_counts.clone(),
        positive_spans: spans(&model.positive_spans),
        positive_deltas: model.positive_deltas.clone(),
        positive_counts: model.positive_counts.clone(),
        reset_hint: model.reset_hint,
        timestamp: model.timestamp,
        custom_values: model.custom_values.clone(),
        start_timestamp: start_timestamp(random),
        count: model.count.map(|count| match count {
            v1::histogram::Count::CountInt(count) => Count::CountInt(count),
            v1::histogram::Count::CountFloat(count) => Count::CountFloat(count),
        }),
        zero_count: model.zero_count.map(|count| match count {
            v1::histogram::ZeroCount::ZeroCountInt(count) => ZeroCount::ZeroCountInt(count),
            v1::histogram::ZeroCount::ZeroCountFloat(count) => ZeroCount::ZeroCountFloat(count),
        }),
    };
    if one_in(random, 3) {
        // Custom bounds: most often as they should be, else one thing wrong.
        let bounds = random.below(6);
        let length = random.below(bounds + 2) as u32;
        let deltas: Vec<i64> = (0..length).map(|_| random.below(9) as i64).collect();
        let mut running = 0;
        let total: i64 = deltas
            .iter()
            .map(|delta| {
                running += delta;
                running
            })
            .sum();
        message = v2::Histogram {
            schema: -53,
            count: Some(Count::CountInt(total as u64)),
            sum: 1.5,
            positive_spans: vec![v2::BucketSpan { offset: 0, length }],
            positive_deltas: deltas,
            custom_values: (0..bounds).map(|bound| bound as f64 - 2.5).collect(),
            timestamp: message.timestamp,
            start_timestamp: message.start_timestamp,
            ..v2::Histogram::default()
        };
        match random.below(16) {
            0 => message.custom_values.reverse(),
            1 => message.custom_values.push(f64::INFINITY),
            2 => message.custom_values.push(f64::NAN),
            3 => message.positive_spans[0].offset = 7,
            4 => message.positive_spans[0].offset = -1,
            5 => message.zero_threshold = 0.5,
            6 => message.negative_spans.push(v2::BucketSpan { offset: 0, length: 1 }),
            7 => message.custom_values.truncate(1),
            _ => {}
        }
    }
    message
}

pub fn logs_request(random: &mut Random) -> ExportLogsServiceRequest {
    ExportLogsServiceRequest { resource_logs: some(random, 3, resource_logs) }
}

fn resource_logs(random: &mut Random) -> ResourceLogs {
    ResourceLogs {
        resource: resource(random),
        scope_logs: some(random, 3, |random| ScopeLogs {
            scope: scope(random),
            log_records: some(random, 5, log_record),
            schema_url: text(random),
        }),
        schema_url: text(random),
    }
}

fn resource(random: &mut Random) -> Option<Resource> {
    (!one_in(random, 5)).then(|| Resource {
        attributes: attributes(random),
        dropped_attributes_count: random.draw() as u32 >> random.below(32),
        entity_refs: some(random, 2, |random| EntityRef {
            schema_url: text(random),
            r#type: text(random),
            id_keys: some(random, 2, text),
            description_keys: some(random, 2, text),
        }),
    })
}

fn scope(random: &mut Random) -> Option<InstrumentationScope> {
    (!one_in(random, 5)).then(|| InstrumentationScope {
        name: text(random),
        version: text(random),
        attributes: attributes(random),
        dropped_attributes_count: random.below(3) as u32,
    })
}

fn nanos(random: &mut Random) -> u64 {
    match random.below(4) {
        0 => 0,
        1 => u64::MAX,
        _ => 1_767_225_600_000_000_000 + random.below(1_000_000) as u64,
    }
}

fn log_record(random: &mut Random) -> LogRecord {
    LogRecord {
        time_unix_nano: nanos(random),
        severity_number: random.below(30) as i32 - 2,
        severity_text: text(random),
        body: (!one_in(random, 5)).then(|| any_value(random, 0)),
        attributes: attributes(random),
        dropped_attributes_count: random.below(300) as u32,
        flags: random.draw() as u32,
        trace_id: id(random, 16),
        span_id: id(random, 8),
        observed_time_unix_nano: nanos(random),
        event_name: text(random),
    }
}

fn id(random: &mut Random, size: usize) -> Vec<u8> {
    match random.below(5) {
        0 => vec![0; size],
        1 => vec![1; random.below(20)],
        _ => (0..size).map(|_| random.draw() as u8).collect(),
    }
}

fn attributes(random: &mut Random) -> Vec<KeyValue> {
    some(random, 6, |random| key_value(random, 0))
}

fn key_value(random: &mut Random, depth: usize) -> KeyValue {
    KeyValue {
        key: text(random),
        value: (!one_in(random, 8)).then(|| any_value(random, depth)),
        key_strindex: if one_in(random, 8) { random.below(1000) as i32 } else { 0 },
    }
}

pub fn any_value(random: &mut Random, depth: usize) -> AnyValue {
    let kinds = if depth < 4 { 12 } else { 7 };
    AnyValue {
        value: match random.below(kinds) {
            0 => None,
            1 => Some(any_value::Value::BoolValue(one_in(random, 2))),
            2 => Some(any_value::Value::IntValue(integer(random))),
            3 => Some(any_value::Value::DoubleValue(double(random))),
            4 => Some(any_value::Value::BytesValue(text(random).into_bytes())),
            5 => Some(any_value::Value::StringValueStrindex(integer(random) as i32)),
            7 => Some(any_value::Value::ArrayValue(ArrayValue {
                values: some(random, 3, |random| any_value(random, depth + 1)),
            })),
            8 => Some(any_value::Value::KvlistValue(KeyValueList {
                values: some(random, 3, |random| key_value(random, depth + 1)),
            })),
            _ => Some(any_value::Value::StringValue(text(random))),
        },
    }
}

pub fn traces_request(random: &mut Random) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: some(random, 3, |random| otlp_trace::ResourceSpans {
            resource: resource(random),
            scope_spans: some(random, 3, |random| otlp_trace::ScopeSpans {
                scope: scope(random),
                spans: some(random, 5, span),
                schema_url: text(random),
            }),
            schema_url: text(random),
        }),
    }
}

/// Ids that a span needs are seldom wrong, so that some spans are there.
fn needed_id(random: &mut Random, size: usize) -> Vec<u8> {
    if one_in(random, 8) { id(random, size) } else { vec![1 + random.below(255) as u8; size] }
}

fn span(random: &mut Random) -> otlp_trace::Span {
    otlp_trace::Span {
        trace_id: needed_id(random, 16),
        span_id: needed_id(random, 8),
        trace_state: text(random),
        parent_span_id: id(random, 8),
        name: text(random),
        kind: random.below(9) as i32 - 1,
        start_time_unix_nano: nanos(random),
        end_time_unix_nano: nanos(random),
        attributes: attributes(random),
        dropped_attributes_count: random.below(300) as u32,
        events: some(random, 3, |random| otlp_trace::span::Event {
            time_unix_nano: nanos(random),
            name: text(random),
            attributes: attributes(random),
            dropped_attributes_count: random.below(3) as u32,
        }),
        dropped_events_count: random.below(300) as u32,
        links: some(random, 3, |random| otlp_trace::span::Link {
            trace_id: id(random, 16),
            span_id: id(random, 8),
            trace_state: text(random),
            attributes: attributes(random),
            dropped_attributes_count: random.below(3) as u32,
            flags: random.draw() as u32,
        }),
        dropped_links_count: random.below(300) as u32,
        status: (!one_in(random, 3)).then(|| otlp_trace::Status {
            message: text(random),
            code: random.below(5) as i32 - 1,
        }),
        flags: random.draw() as u32,
    }
}

pub fn metrics_request(random: &mut Random) -> ExportMetricsServiceRequest {
    ExportMetricsServiceRequest {
        resource_metrics: some(random, 3, |random| otlp_metrics::ResourceMetrics {
            resource: resource(random),
            scope_metrics: some(random, 3, |random| otlp_metrics::ScopeMetrics {
                scope: scope(random),
                metrics: some(random, 5, metric),
                schema_url: text(random),
            }),
            schema_url: text(random),
        }),
    }
}

fn metric(random: &mut Random) -> otlp_metrics::Metric {
    use otlp_metrics::metric::Data;
    let aggregation_temporality = random.below(5) as i32 - 1;
    otlp_metrics::Metric {
        name: text(random),
        description: text(random),
        unit: text(random),
        metadata: some(random, 2, |random| key_value(random, 0)),
        data: match random.below(6) {
            0 => None,
            1 => Some(Data::Gauge(otlp_metrics::Gauge {
                data_points: some(random, 4, number_point),
            })),
            2 => Some(Data::Sum(otlp_metrics::Sum {
                data_points: some(random, 4, number_point),
                aggregation_temporality,
                is_monotonic: one_in(random, 2),
            })),
            3 => Some(Data::Histogram(otlp_metrics::Histogram {
                data_points: some(random, 4, classic_point),
                aggregation_temporality,
            })),
            4 => Some(Data::ExponentialHistogram(otlp_metrics::ExponentialHistogram {
                data_points: some(random, 4, exponential_point),
                aggregation_temporality,
            })),
            _ => Some(Data::Summary(otlp_metrics::Summary {
                data_points: some(random, 4, summary_point),
            })),
        },
    }
}

fn point_flags(random: &mut Random) -> u32 {
    if one_in(random, 3) { random.draw() as u32 } else { 0 }
}

fn number_point(random: &mut Random) -> otlp_metrics::NumberDataPoint {
    use otlp_metrics::number_data_point::Value;
    otlp_metrics::NumberDataPoint {
        start_time_unix_nano: nanos(random),
        time_unix_nano: nanos(random),
        exemplars: some(random, 2, exemplar),
        attributes: attributes(random),
        flags: point_flags(random),
        value: match random.below(5) {
            0 => None,
            1 | 2 => Some(Value::AsDouble(double(random))),
            _ => Some(Value::AsInt(integer(random))),
        },
    }
}

fn exemplar(random: &mut Random) -> otlp_metrics::Exemplar {
    use otlp_metrics::exemplar::Value;
    otlp_metrics::Exemplar {
        filtered_attributes: attributes(random),
        time_unix_nano: nanos(random),
        span_id: id(random, 8),
        trace_id: id(random, 16),
        value: match random.below(5) {
            0 => None,
            1 | 2 => Some(Value::AsDouble(double(random))),
            _ => Some(Value::AsInt(integer(random))),
        },
    }
}

fn optional(random: &mut Random) -> Option<f64> {
    (!one_in(random, 3)).then(|| double(random))
}

fn classic_point(random: &mut Random) -> otlp_metrics::HistogramDataPoint {
    let mut explicit_bounds: Vec<f64> =
        (0..random.below(6)).map(|place| place as f64 + random.below(9) as f64 / 10.0).collect();
    let mut bucket_counts = Vec::new();
    if !explicit_bounds.is_empty() || one_in(random, 2) {
        bucket_counts = explicit_bounds.iter().map(|_| random.draw() >> random.below(64)).collect();
        bucket_counts.push(u64::MAX);
    }
    // Once in a while what must be refused.
    match random.below(30) {
        0 => bucket_counts.push(1),
        1 => explicit_bounds.push(double(random)),
        2 => bucket_counts.clear(),
        3 => explicit_bounds.reverse(),
        _ => {}
    }
    otlp_metrics::HistogramDataPoint {
        attributes: attributes(random),
        start_time_unix_nano: nanos(random),
        time_unix_nano: nanos(random),
        count: random.draw() >> random.below(64),
        sum: optional(random),
        bucket_counts,
        explicit_bounds,
        exemplars: some(random, 2, exemplar),
        flags: point_flags(random),
        min: optional(random),
        max: optional(random),
    }
}

fn exponential_point(random: &mut Random) -> otlp_metrics::ExponentialHistogramDataPoint {
    let side = |random: &mut Random| {
        (!one_in(random, 3)).then(|| otlp_metrics::exponential_histogram_data_point::Buckets {
            offset: integer(random) as i32,
            bucket_counts: some(random, 6, |random| random.draw() >> random.below(64)),
        })
    };
    otlp_metrics::ExponentialHistogramDataPoint {
        attributes: attributes(random),
        start_time_unix_nano: nanos(random),
        time_unix_nano: nanos(random),
        count: random.draw() >> random.below(64),
        sum: optional(random),
        scale: integer(random) as i32,
        zero_count: random.below(9) as u64,
        positive: side(random),
        negative: side(random),
        flags: point_flags(random),
        exemplars: some(random, 2, exemplar),
        min: optional(random),
        max: optional(random),
        zero_threshold: double(random),
    }
}

fn summary_point(random: &mut Random) -> otlp_metrics::SummaryDataPoint {
    otlp_metrics::SummaryDataPoint {
        attributes: attributes(random),
        start_time_unix_nano: nanos(random),
        time_unix_nano: nanos(random),
        count: random.draw() >> random.below(64),
        sum: double(random),
        quantile_values: some(random, 4, |random| {
            otlp_metrics::summary_data_point::ValueAtQuantile {
                quantile: double(random),
                value: double(random),
            }
        }),
        flags: point_flags(random),
    }
}
