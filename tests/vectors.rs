//! Golden vectors: what real senders sent comes out as the rows that independent libraries read in it.
//! `tests/vectors/README.md` says who made which.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod support;

use inrush::batch::Validating;
use inrush::batch::record::Temporality;
use inrush::content::{self, Arena};
use inrush::decode::{DecodeError, Scratch, Verdict, decode};
use inrush::envelope::{Coding, Codings, Envelope, FieldId, RequestFields, Route};
use serde_json::{Value, json};
use support::ARRIVAL_NANOS;
use support::record::{OwnedValue, Pairs, Record, Recording};

/// Body and rows of one vector, with the route it was sent to.
struct Vector {
    name: &'static str,
    route: Route,
    /// What of the head the decoder sees.
    fields: &'static [(FieldId, &'static str)],
    body: &'static [u8],
    rows: &'static str,
}

macro_rules! vector {
    ($name:literal, $route:ident, $fields:expr) => {
        Vector {
            name: $name,
            route: Route::$route,
            fields: $fields,
            body: include_bytes!(concat!("vectors/", $name)),
            rows: include_str!(concat!("vectors/", $name, ".rows")),
        }
    };
}

const PROTOBUF: &[(FieldId, &str)] = &[(FieldId::ContentType, "application/x-protobuf")];
const JSON: &[(FieldId, &str)] = &[(FieldId::ContentType, "application/json")];
const TEXT_JSON: &[(FieldId, &str)] = &[(FieldId::ContentType, "text/json")];
const LINES: &[(FieldId, &str)] = &[(FieldId::ContentType, "application/x-ndjson")];
const FORM: &[(FieldId, &str)] = &[(FieldId::ContentType, "application/x-www-form-urlencoded")];
const PYTHON: &[(FieldId, &str)] = &[
    (FieldId::ContentType, "application/msgpack"),
    (FieldId::DatadogLanguage, "python"),
    (FieldId::DatadogLanguageVersion, "3.11.7"),
    (FieldId::DatadogInterpreter, "CPython"),
    (FieldId::DatadogTracerVersion, "4.16.0"),
];
const NODE: &[(FieldId, &str)] = &[
    (FieldId::ContentType, "application/msgpack"),
    (FieldId::DatadogLanguage, "nodejs"),
    (FieldId::DatadogLanguageVersion, "v20.20.2"),
    (FieldId::DatadogTracerVersion, "5.132.0"),
];
const DELIVERY: &[(FieldId, &str)] = &[
    (FieldId::FirehoseRequestId, "ed4acda5-034f-9f42-bba1-f29aea6d7d8f"),
    (
        FieldId::FirehoseSourceArn,
        "arn:aws:firehose:eu-west-1:123456789012:deliverystream/shop-logs",
    ),
    (
        FieldId::FirehoseCommonAttributes,
        r#"{"commonAttributes": {"deployment": "blue", "team": "k\u00e4se"}}"#,
    ),
];

const VECTORS: [Vector; 32] = [
    vector!("opentelemetry-python-logs-all.protobuf.gz", OtlpLogs, PROTOBUF),
    vector!("opentelemetry-python-traces-all.protobuf.gz", OtlpTraces, PROTOBUF),
    vector!("opentelemetry-python-metrics-all.protobuf.gz", OtlpMetrics, PROTOBUF),
    vector!("opentelemetry-js-logs-all.protobuf.gz", OtlpLogs, PROTOBUF),
    vector!("opentelemetry-js-traces-all.protobuf.gz", OtlpTraces, PROTOBUF),
    vector!("opentelemetry-js-metrics-all.protobuf.gz", OtlpMetrics, PROTOBUF),
    vector!("opentelemetry-js-logs-all.json", OtlpLogs, JSON),
    vector!("opentelemetry-js-traces-all.json", OtlpTraces, JSON),
    vector!("opentelemetry-js-metrics-all.json", OtlpMetrics, JSON),
    vector!("datadogpy-series-v1.json", DatadogSeriesV1, JSON),
    vector!("datadogpy-series-v1.json.zlib", DatadogSeriesV1, JSON),
    vector!("datadog-api-client-series-v1.json", DatadogSeriesV1, TEXT_JSON),
    vector!("datadog-api-client-series-v1.json.zlib", DatadogSeriesV1, TEXT_JSON),
    vector!("datadog-api-client-series-v1.json.gz", DatadogSeriesV1, TEXT_JSON),
    vector!("datadog-api-client-series-v2.json", DatadogSeriesV2, JSON),
    vector!("datadog-api-client-series-v2.json.zlib", DatadogSeriesV2, JSON),
    vector!("datadog-api-client-series-v2.json.gz", DatadogSeriesV2, JSON),
    vector!("datadog-api-client-series-v2.json.zst", DatadogSeriesV2, JSON),
    vector!("ddtrace-python-v0.4.msgpack", DatadogTracesV04, PYTHON),
    vector!("ddtrace-python-v0.4-events.msgpack", DatadogTracesV04, PYTHON),
    vector!("ddtrace-python-v0.5.msgpack", DatadogTracesV05, PYTHON),
    vector!("dd-trace-js-v0.4.msgpack", DatadogTracesV04, NODE),
    vector!("firehose-cloudwatch.json", Firehose, DELIVERY),
    vector!("firehose-cloudwatch.json.gz", Firehose, DELIVERY),
    vector!("firehose-direct.json", Firehose, DELIVERY),
    vector!("syslog-ng-default.json", JsonLogs, FORM),
    vector!("syslog-ng-lines.json", JsonLogs, LINES),
    vector!("syslog-ng-array.json", JsonLogs, JSON),
    vector!("winston-one.json", JsonLogs, JSON),
    vector!("winston-batch.json", JsonLogs, JSON),
    vector!("pino-http-send-json.json", JsonLogs, JSON),
    vector!("pino-http-send-ndjson.json", JsonLogs, &[]),
];

impl Vector {
    /// Samples of Datadog's clients are compared by their bits: the JSON reader rounds the smallest.
    fn is_exact(&self) -> bool {
        self.route.is_datadog()
    }

    fn payload(&self) -> Vec<u8> {
        let coding = match self.name.rsplit('.').next() {
            Some("gz") => Coding::Gzip,
            Some("zlib") => Coding::Deflate,
            Some("zst") => Coding::Zstd,
            _ => Coding::Identity,
        };
        let mut arena = Arena::default();
        content::decode(Codings::one(coding), self.body, &mut arena, 1 << 20).unwrap().to_vec()
    }

    fn decode(&self, payload: &[u8]) -> Result<(Verdict, Vec<Record>), DecodeError> {
        let mut fields = Vec::new();
        for &(id, text) in self.fields {
            assert!(RequestFields::push(&mut fields, id, text.as_bytes()));
        }
        let envelope = Envelope {
            route: self.route,
            codings: Codings::IDENTITY,
            tenant: "tenant",
            arrival_nanos: ARRIVAL_NANOS,
            fields: RequestFields::new(&fields),
        };
        let mut recording = Recording::default();
        let mut scratch = Scratch::default();
        let filled = decode(&envelope, payload, &mut scratch, &mut recording);
        let validated = decode(&envelope, payload, &mut scratch, &mut Validating);
        assert_eq!(filled, validated, "{}: the sink must not change the verdict", self.name);
        let verdict = filled?;
        Ok((verdict, recording.finish(&verdict)))
    }
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn pairs(pairs: &Pairs) -> Value {
    Value::Object(pairs.iter().map(|(key, inner)| (key.clone(), value(inner))).collect())
}

fn value(owned: &OwnedValue) -> Value {
    match owned {
        OwnedValue::Empty => Value::Null,
        OwnedValue::Text(text) => json!(text),
        OwnedValue::Bool(bool) => json!(bool),
        OwnedValue::Int(int) => json!(int),
        OwnedValue::Double(double) => json!(f64::from_bits(double.0)),
        OwnedValue::Bytes(bytes) => json!({ "bytes": hex(bytes) }),
        OwnedValue::Array(values) => Value::Array(values.iter().map(value).collect()),
        OwnedValue::Map(map) => pairs(map),
        OwnedValue::Json(text) => serde_json::from_str(text).unwrap(),
    }
}

fn merge(base: &Value, more: Value) -> Value {
    let mut object = base.as_object().unwrap().clone();
    object.extend(more.as_object().unwrap().clone());
    Value::Object(object)
}

/// Each record with all that it belongs to, in the form of the rows.
fn rows(records: &[Record], is_exact: bool) -> Vec<Value> {
    let double = |bits: support::record::Bits| f64::from_bits(bits.0);
    let sampled = |bits: support::record::Bits| {
        if is_exact { json!(format!("{:016x}", bits.0)) } else { json!(double(bits)) }
    };
    let mut rows = Vec::new();
    let (mut resource, mut scope, mut series) = (json!({}), json!({}), json!({}));
    for record in records {
        match record {
            Record::Resource { attributes, .. } => {
                resource = json!({ "resource": pairs(attributes) });
            }
            Record::Scope { name, version, attributes, .. } => {
                let own = json!({
                    "scope": name, "version": version, "scope_attributes": pairs(attributes),
                });
                scope = merge(&resource, own);
            }
            Record::Log(log) => rows.push(merge(
                &scope,
                json!({
                    "row": "log", "time": log.time_nanos, "observed": log.observed_time_nanos,
                    "trace_id": log.trace_id.map(|id| hex(&id)),
                    "span_id": log.span_id.map(|id| hex(&id)), "flags": log.trace_flags,
                    "severity_text": log.severity_text, "severity_number": log.severity_number,
                    "body": value(&log.body), "attributes": pairs(&log.attributes),
                    "event_name": log.event_name,
                }),
            )),
            Record::Span(span) => {
                let events: Vec<Value> = span
                    .events
                    .iter()
                    .map(|event| {
                        json!({
                            "time": event.time_nanos, "name": event.name,
                            "attributes": pairs(&event.attributes),
                        })
                    })
                    .collect();
                let links: Vec<Value> = span
                    .links
                    .iter()
                    .map(|link| {
                        json!({
                            "trace_id": link.trace_id.map(|id| hex(&id)),
                            "span_id": link.span_id.map(|id| hex(&id)),
                            "trace_state": link.trace_state, "attributes": pairs(&link.attributes),
                        })
                    })
                    .collect();
                rows.push(merge(
                    &scope,
                    json!({
                        "row": "span", "trace_id": hex(&span.trace_id),
                        "span_id": hex(&span.span_id),
                        "parent_span_id": span.parent_span_id.map(|id| hex(&id)),
                        "trace_state": span.trace_state, "flags": span.trace_flags,
                        "name": span.name, "kind": span.kind.name(),
                        "start": span.start_time_nanos, "duration": span.duration_nanos,
                        "attributes": pairs(&span.attributes), "events": events, "links": links,
                        "status": span.status_code.name(), "status_message": span.status_message,
                    }),
                ));
            }
            Record::FullSeries(own) => {
                let temporality = match own.temporality {
                    Temporality::Unspecified => "Unspecified",
                    Temporality::Delta => "Delta",
                    Temporality::Cumulative => "Cumulative",
                };
                let own = json!({
                    "name": own.name, "unit": own.unit, "description": own.description,
                    "type": own.metric_type.name(), "temporality": temporality,
                    "monotonic": own.is_monotonic, "labels": pairs(&own.labels),
                });
                series = merge(&scope, own);
            }
            Record::Sample(sample) => rows.push(merge(
                &series,
                json!({
                    "row": "sample", "time": sample.time_nanos, "start": sample.start_time_nanos,
                    "flags": sample.flags, "value": sampled(sample.value), "int": sample.value_int,
                }),
            )),
            Record::Exemplar { time_nanos, value, trace_id, span_id, attributes } => {
                rows.push(merge(
                    &series,
                    json!({
                        "row": "exemplar", "time": time_nanos, "value": double(*value),
                        "trace_id": trace_id.map(|id| hex(&id)),
                        "span_id": span_id.map(|id| hex(&id)), "attributes": pairs(attributes),
                    }),
                ));
            }
            Record::Histogram(own) => {
                let common = json!({
                    "row": "histogram", "kind": own.kind.name(), "time": own.time_nanos,
                    "start": own.start_time_nanos, "flags": own.flags,
                    "count": double(own.count), "sum": own.sum.map(double),
                    "min": own.min.map(double), "max": own.max.map(double),
                });
                let special = match own.kind.name() {
                    "classic" => {
                        let bounds: Vec<f64> =
                            own.bounds.iter().map(|bound| f64::from_bits(bound.0)).collect();
                        json!({ "bounds": bounds, "counts": own.bucket_counts })
                    }
                    _ => json!({
                        "scale": own.scale, "zero_count": double(own.zero_count),
                        "zero_threshold": double(own.zero_threshold),
                        "positive": [json!(own.positive_offset), json!(own.positive_counts)],
                        "negative": [json!(own.negative_offset), json!(own.negative_counts)],
                    }),
                };
                rows.push(merge(&merge(&series, common), special));
            }
            // Said beside the points; they carry the same.
            Record::Metadata { .. } => {}
            other => panic!("no row for {other:?}"),
        }
    }
    rows
}

fn sorted(rows: impl IntoIterator<Item = Value>) -> Vec<String> {
    let mut lines: Vec<String> = rows.into_iter().map(|row| row.to_string()).collect();
    lines.sort();
    lines
}

#[test]
fn vectors_decode_to_their_rows() {
    for vector in &VECTORS {
        let (verdict, records) = vector.decode(&vector.payload()).unwrap();
        let expected = vector.rows.lines().map(|line| serde_json::from_str(line).unwrap());
        let expected = sorted(expected);
        assert!(!expected.is_empty());
        assert_eq!(verdict.kept(), expected.len() as u64, "{}", vector.name);
        let found = sorted(rows(&records, vector.is_exact()));
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "{}", vector.name);
        }
        assert_eq!(found.len(), expected.len(), "{}", vector.name);
    }
}

/// A body that breaks off is refused, or is a shorter body; a kind of sink changes nothing in that.
#[test]
fn vectors_cut_anywhere_are_refused_alike_by_both_passes() {
    for vector in &VECTORS {
        let payload = vector.payload();
        let whole = vector.decode(&payload).unwrap().0.kept();
        let mut refused = 0;
        for end in 0..payload.len() {
            match vector.decode(&payload[..end]) {
                Ok((verdict, _)) => {
                    assert!(verdict.kept() <= whole, "{} cut at {end}", vector.name)
                }
                Err(error) => {
                    assert!(error.offset <= end as u64, "{} cut at {end}", vector.name);
                    refused += 1;
                }
            }
        }
        // A line that breaks off is kept as text.
        let is_by_lines = vector.fields == LINES;
        assert_eq!(refused > payload.len() / 2, !is_by_lines, "{}: {refused}", vector.name);
    }
}

// ── Remote write 2.0 ──────────────────────────────────────────────────────────────────────────

/// A Prometheus 3.5 while its target is there, and once it has gone: stale markers.
const REMOTE_WRITE_2: [(&[u8], &str); 2] = [
    (
        include_bytes!("vectors/prometheus-3.5-samples.snappy"),
        include_str!("vectors/prometheus-3.5-samples.snappy.rows"),
    ),
    (
        include_bytes!("vectors/prometheus-3.5-stale.snappy"),
        include_str!("vectors/prometheus-3.5-stale.snappy.rows"),
    ),
];

fn remote_write_payload(body: &[u8]) -> Vec<u8> {
    let mut arena = Arena::default();
    content::decode(Codings::one(Coding::Snappy), body, &mut arena, 1 << 20).unwrap().to_vec()
}

/// Values, sums and thresholds by their bits: a stale marker is one NaN among others, and the JSON reader
/// rounds 1e-128.
fn remote_write_rows(records: &[Record]) -> Vec<Value> {
    let bits = |bits: support::record::Bits| json!(format!("{:016x}", bits.0));
    let double = |bits: support::record::Bits| f64::from_bits(bits.0);
    let mut rows = Vec::new();
    let mut series = json!({});
    for record in records {
        match record {
            Record::Series { name, labels } => {
                let labels = merge(&pairs(labels), json!({ "__name__": name }));
                series = json!({ "labels": labels });
            }
            Record::Sample(sample) => rows.push(merge(
                &series,
                json!({
                    "row": "sample", "time": sample.time_nanos, "start": sample.start_time_nanos,
                    "value": bits(sample.value),
                }),
            )),
            Record::Histogram(own) => rows.push(merge(
                &series,
                json!({
                    "row": "histogram", "time": own.time_nanos, "start": own.start_time_nanos,
                    "count": double(own.count), "sum": own.sum.map(bits), "scale": own.scale,
                    "zero_count": double(own.zero_count),
                    "zero_threshold": bits(own.zero_threshold),
                    "positive": [json!(own.positive_offset), json!(own.positive_counts)],
                    "negative": [json!(own.negative_offset), json!(own.negative_counts)],
                    "custom_bounds": own.custom_bounds, "hint": own.reset_hint,
                }),
            )),
            Record::Exemplar { time_nanos, value, trace_id, span_id, attributes } => {
                rows.push(merge(
                    &series,
                    json!({
                        "row": "exemplar", "time": time_nanos, "value": bits(*value),
                        "trace_id": trace_id.map(|id| hex(&id)),
                        "span_id": span_id.map(|id| hex(&id)), "attributes": pairs(attributes),
                    }),
                ));
            }
            Record::Metadata { family, metric_type, unit, help } => rows.push(json!({
                "row": "metadata", "family": family, "type": metric_type.name(), "unit": unit,
                "help": help,
            })),
            other => panic!("no row for {other:?}"),
        }
    }
    rows
}

#[test]
fn remote_write_2_of_prometheus_decodes_to_its_rows() {
    for (body, expected) in REMOTE_WRITE_2 {
        let payload = remote_write_payload(body);
        let (verdict, records) = support::decode_both_2(&payload, &mut Scratch::default()).unwrap();
        let is_metadata = |row: &Value| row["row"] == "metadata";
        let expected = expected.lines().map(|line| serde_json::from_str(line).unwrap());
        let (families, expected): (Vec<Value>, Vec<Value>) = expected.partition(is_metadata);
        let (said, found): (Vec<Value>, Vec<Value>) =
            remote_write_rows(&records).into_iter().partition(is_metadata);
        assert!(expected.len() > 10 && families.len() > 10);
        assert_eq!((verdict.kept(), verdict.rejected), (expected.len() as u64, 0));
        let (found, expected) = (sorted(found), sorted(expected));
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected);
        }
        assert_eq!(found.len(), expected.len());
        // Each series brings its family's metadata; it is said once.
        let mut families = sorted(families);
        families.dedup();
        assert_eq!(sorted(said), families);
    }
}

#[test]
fn remote_write_2_of_prometheus_cut_anywhere_is_refused_alike_by_both_passes() {
    for (body, _) in REMOTE_WRITE_2 {
        let payload = remote_write_payload(body);
        let mut scratch = Scratch::default();
        let whole = support::decode_both_2(&payload, &mut scratch).unwrap().0.kept();
        let mut refused = 0;
        for end in 0..payload.len() {
            match support::decode_both_2(&payload[..end], &mut scratch) {
                Ok((verdict, _)) => assert!(verdict.kept() < whole, "cut at {end}"),
                Err(error) => {
                    assert!(error.offset <= end as u64, "cut at {end}");
                    refused += 1;
                }
            }
        }
        assert!(refused > payload.len() / 2, "{refused}");
    }
}
