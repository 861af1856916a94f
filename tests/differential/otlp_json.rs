//! OTLP/JSON: the same records as from the same message in protobuf; the same syntax as `serde_json`.

use inrush::batch::Validating;
use inrush::decode::{DecodeError, Fault, Scratch, Verdict, decode};
use inrush::envelope::{Envelope, FieldId, RequestFields, Route};
use prost::Message as _;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::support::bodies::Random;
use crate::support::generate::{logs_request, metrics_request, traces_request};
use crate::support::messages::opentelemetry::proto::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value,
};
use crate::support::messages::opentelemetry::proto::logs::v1::LogRecord;
use crate::support::messages::opentelemetry::proto::metrics::v1::{
    Exemplar, Metric, NumberDataPoint, exemplar, metric, number_data_point,
};
use crate::support::messages::opentelemetry::proto::resource::v1::Resource;
use crate::support::messages::opentelemetry::proto::trace::v1::Span;
use crate::support::record::{Bits, OwnedValue, Record, Recording};
use crate::support::{decode_both, envelope};

/// Our records, after the pass that only counts has said the same, fault and place included.
pub fn decode_json(
    route: Route,
    body: &[u8],
    scratch: &mut Scratch,
) -> Result<(Verdict, Vec<Record>), DecodeError> {
    let mut fields = Vec::new();
    assert!(RequestFields::push(&mut fields, FieldId::ContentType, b"application/json"));
    let envelope = Envelope { fields: RequestFields::new(&fields), ..envelope(route) };
    let mut recording = Recording::default();
    let filled = decode(&envelope, body, scratch, &mut recording);
    let validated = decode(&envelope, body, scratch, &mut Validating);
    assert_eq!(filled, validated, "the sink must not change the verdict");
    let verdict = filled?;
    Ok((verdict, recording.finish(&verdict)))
}

// ── Messages as JSON ──────────────────────────────────────────────────────────────────────────

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Names for what JSON numbers cannot say.
fn double(value: f64) -> Value {
    if value.is_nan() {
        json!("NaN")
    } else if value.is_infinite() {
        json!(if value > 0.0 { "Infinity" } else { "-Infinity" })
    } else {
        json!(value)
    }
}

/// A field without presence: prost leaves out a negative zero like any other.
fn plain(value: f64) -> Value {
    double(value + 0.0)
}

fn doubles(values: &[f64]) -> Value {
    values.iter().map(|&value| double(value)).collect()
}

fn counts(values: &[u64]) -> Value {
    values.iter().map(|value| json!(value.to_string())).collect()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = (0..3)
            .fold(0, |bits, place| bits << 8 | u32::from(chunk.get(place).copied().unwrap_or(0)));
        for place in 0..=chunk.len() {
            text.push(char::from(DIGITS[(bits >> (18 - 6 * place) & 63) as usize]));
        }
    }
    text
}

fn value(value: &AnyValue) -> Value {
    use any_value::Value as Kind;
    match &value.value {
        None | Some(Kind::StringValueStrindex(_)) => json!({}),
        Some(Kind::StringValue(text)) => json!({"stringValue": text}),
        Some(Kind::BoolValue(bool)) => json!({"boolValue": bool}),
        Some(Kind::IntValue(int)) if int % 2 == 0 => json!({"intValue": int}),
        Some(Kind::IntValue(int)) => json!({"intValue": int.to_string()}),
        Some(Kind::DoubleValue(number)) => json!({"doubleValue": double(*number)}),
        Some(Kind::BytesValue(bytes)) => json!({"bytesValue": base64(bytes)}),
        Some(Kind::ArrayValue(array)) => {
            let values: Value = array.values.iter().map(self::value).collect();
            json!({"arrayValue": {"values": values}})
        }
        Some(Kind::KvlistValue(list)) => json!({"kvlistValue": {"values": pairs(&list.values)}}),
    }
}

fn pairs(pairs: &[KeyValue]) -> Value {
    let pair = |pair: &KeyValue| match &pair.value {
        Some(any) => json!({"key": pair.key, "value": value(any)}),
        None => json!({"key": pair.key, "value": null}),
    };
    pairs.iter().map(pair).collect()
}

fn resource(resource: Option<&Resource>) -> Value {
    resource.map_or(Value::Null, |resource| json!({"attributes": pairs(&resource.attributes)}))
}

fn scope(scope: Option<&InstrumentationScope>) -> Value {
    scope.map_or(Value::Null, |scope| {
        json!({"name": scope.name, "version": scope.version, "attributes": pairs(&scope.attributes)})
    })
}

fn log(log: &LogRecord) -> Value {
    json!({
        "timeUnixNano": log.time_unix_nano.to_string(),
        "observedTimeUnixNano": log.observed_time_unix_nano,
        "severityNumber": log.severity_number,
        "severityText": log.severity_text,
        "body": log.body.as_ref().map(value),
        "attributes": pairs(&log.attributes),
        "droppedAttributesCount": log.dropped_attributes_count,
        "flags": log.flags,
        "traceId": hex(&log.trace_id),
        "spanId": hex(&log.span_id),
        "eventName": log.event_name,
    })
}

fn span(span: &Span) -> Value {
    let events: Value = span
        .events
        .iter()
        .map(|event| {
            json!({
                "timeUnixNano": event.time_unix_nano.to_string(),
                "name": event.name,
                "attributes": pairs(&event.attributes),
            })
        })
        .collect();
    let links: Value = span
        .links
        .iter()
        .map(|link| {
            json!({
                "traceId": hex(&link.trace_id),
                "spanId": hex(&link.span_id),
                "traceState": link.trace_state,
                "attributes": pairs(&link.attributes),
                "flags": link.flags,
            })
        })
        .collect();
    json!({
        "traceId": hex(&span.trace_id),
        "spanId": hex(&span.span_id),
        "parentSpanId": hex(&span.parent_span_id),
        "traceState": span.trace_state,
        "name": span.name,
        "kind": span.kind,
        "startTimeUnixNano": span.start_time_unix_nano.to_string(),
        "endTimeUnixNano": span.end_time_unix_nano,
        "attributes": pairs(&span.attributes),
        "events": events,
        "links": links,
        "flags": span.flags,
        "status": span.status.as_ref().map(|status| json!({
            "message": status.message, "code": status.code,
        })),
    })
}

fn exemplars(exemplars: &[Exemplar]) -> Value {
    exemplars
        .iter()
        .map(|exemplar| {
            let mut made = json!({
                "timeUnixNano": exemplar.time_unix_nano.to_string(),
                "spanId": hex(&exemplar.span_id),
                "traceId": hex(&exemplar.trace_id),
                "filteredAttributes": pairs(&exemplar.filtered_attributes),
            });
            match exemplar.value {
                Some(exemplar::Value::AsDouble(number)) => made["asDouble"] = double(number),
                Some(exemplar::Value::AsInt(int)) => made["asInt"] = json!(int.to_string()),
                None => {}
            }
            made
        })
        .collect()
}

fn number_point(point: &NumberDataPoint) -> Value {
    let mut made = json!({
        "startTimeUnixNano": point.start_time_unix_nano.to_string(),
        "timeUnixNano": point.time_unix_nano.to_string(),
        "exemplars": exemplars(&point.exemplars),
        "attributes": pairs(&point.attributes),
        "flags": point.flags,
    });
    match point.value {
        Some(number_data_point::Value::AsDouble(number)) => made["asDouble"] = double(number),
        Some(number_data_point::Value::AsInt(int)) => made["asInt"] = json!(int.to_string()),
        None => {}
    }
    made
}

fn metric_json(metric: &Metric) -> Value {
    let mut made =
        json!({"name": metric.name, "description": metric.description, "unit": metric.unit});
    match &metric.data {
        None => {}
        Some(metric::Data::Gauge(gauge)) => {
            let points: Value = gauge.data_points.iter().map(number_point).collect();
            made["gauge"] = json!({"dataPoints": points});
        }
        Some(metric::Data::Sum(sum)) => {
            let points: Value = sum.data_points.iter().map(number_point).collect();
            made["sum"] = json!({
                "dataPoints": points,
                "aggregationTemporality": sum.aggregation_temporality,
                "isMonotonic": sum.is_monotonic,
            });
        }
        Some(metric::Data::Histogram(histogram)) => {
            let points: Value = histogram
                .data_points
                .iter()
                .map(|point| {
                    json!({
                        "startTimeUnixNano": point.start_time_unix_nano.to_string(),
                        "timeUnixNano": point.time_unix_nano.to_string(),
                        "count": point.count.to_string(),
                        "sum": point.sum.map(double),
                        "min": point.min.map(double),
                        "max": point.max.map(double),
                        "bucketCounts": counts(&point.bucket_counts),
                        "explicitBounds": doubles(&point.explicit_bounds),
                        "exemplars": exemplars(&point.exemplars),
                        "attributes": pairs(&point.attributes),
                        "flags": point.flags,
                    })
                })
                .collect();
            made["histogram"] = json!({
                "dataPoints": points,
                "aggregationTemporality": histogram.aggregation_temporality,
            });
        }
        Some(metric::Data::ExponentialHistogram(histogram)) => {
            let points: Value = histogram
                .data_points
                .iter()
                .map(|point| {
                    let side = |side: &Option<_>| {
                        side.as_ref().map(
                            |side: &crate::support::messages::opentelemetry::proto::metrics::v1::exponential_histogram_data_point::Buckets| {
                                json!({"offset": side.offset, "bucketCounts": counts(&side.bucket_counts)})
                            },
                        )
                    };
                    json!({
                        "startTimeUnixNano": point.start_time_unix_nano.to_string(),
                        "timeUnixNano": point.time_unix_nano.to_string(),
                        "count": point.count.to_string(),
                        "sum": point.sum.map(double),
                        "min": point.min.map(double),
                        "max": point.max.map(double),
                        "scale": point.scale,
                        "zeroCount": point.zero_count.to_string(),
                        "zeroThreshold": plain(point.zero_threshold),
                        "positive": side(&point.positive),
                        "negative": side(&point.negative),
                        "exemplars": exemplars(&point.exemplars),
                        "attributes": pairs(&point.attributes),
                        "flags": point.flags,
                    })
                })
                .collect();
            made["exponentialHistogram"] = json!({
                "dataPoints": points,
                "aggregationTemporality": histogram.aggregation_temporality,
            });
        }
        Some(metric::Data::Summary(summary)) => {
            let points: Value = summary
                .data_points
                .iter()
                .map(|point| {
                    let quantiles: Value = point
                        .quantile_values
                        .iter()
                        .map(|pair| {
                            json!({"quantile": plain(pair.quantile), "value": plain(pair.value)})
                        })
                        .collect();
                    json!({
                        "startTimeUnixNano": point.start_time_unix_nano.to_string(),
                        "timeUnixNano": point.time_unix_nano.to_string(),
                        "count": point.count.to_string(),
                        "sum": plain(point.sum),
                        "quantileValues": quantiles,
                        "attributes": pairs(&point.attributes),
                        "flags": point.flags,
                    })
                })
                .collect();
            made["summary"] = json!({"dataPoints": points});
        }
    }
    made
}

/// A message of each signal from a seed: as protobuf, as JSON.
fn message(route: Route, seed: u64) -> (Vec<u8>, Vec<u8>) {
    let random = &mut Random::new(seed);
    macro_rules! tree {
        ($request:expr, $resources:ident, $scopes:ident, $items:ident, $names:expr, $item:expr) => {{
            let request = $request;
            let [resources, scopes, items] = $names;
            let list: Vec<Value> = request
                .$resources
                .iter()
                .map(|holder| {
                    let scopes_list: Vec<Value> = holder
                        .$scopes
                        .iter()
                        .map(|holder| {
                            let list: Value = holder.$items.iter().map($item).collect();
                            json!({
                                "scope": scope(holder.scope.as_ref()),
                                items: list,
                                "schemaUrl": holder.schema_url,
                            })
                        })
                        .collect();
                    json!({
                        "resource": resource(holder.resource.as_ref()),
                        scopes: scopes_list,
                        "schemaUrl": holder.schema_url,
                    })
                })
                .collect();
            (request.encode_to_vec(), json!({resources: list}).to_string().into_bytes())
        }};
    }
    match route {
        Route::OtlpLogs => tree!(
            logs_request(random),
            resource_logs,
            scope_logs,
            log_records,
            ["resourceLogs", "scopeLogs", "logRecords"],
            log
        ),
        Route::OtlpTraces => tree!(
            traces_request(random),
            resource_spans,
            scope_spans,
            spans,
            ["resourceSpans", "scopeSpans", "spans"],
            span
        ),
        _ => tree!(
            metrics_request(random),
            resource_metrics,
            scope_metrics,
            metrics,
            ["resourceMetrics", "scopeMetrics", "metrics"],
            metric_json
        ),
    }
}

/// The record in words. JSON has one NaN, protobuf has all of them.
fn without_nan_bits(record: &Record) -> String {
    let text = format!("{record:?}");
    let mut pieces = text.split("NaN (0x");
    let mut made = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        made.push_str("NaN");
        made.push_str(piece.split_once(')').unwrap().1);
    }
    made
}

const ROUTES: [Route; 3] = [Route::OtlpLogs, Route::OtlpTraces, Route::OtlpMetrics];

#[test]
fn a_message_gives_the_same_records_as_json_and_as_protobuf() {
    let mut scratch = Scratch::default();
    for route in ROUTES {
        let mut kept = 0;
        for seed in 0..1500 {
            let (protobuf, json) = message(route, seed);
            let (expected, records) = decode_both(route, &protobuf, &mut scratch).unwrap();
            let (verdict, found) = decode_json(route, &json, &mut scratch)
                .unwrap_or_else(|error| panic!("{route:?} seed {seed}: {error}"));
            for (ours, theirs) in found.iter().zip(&records) {
                let (ours, theirs) = (without_nan_bits(ours), without_nan_bits(theirs));
                assert_eq!(ours, theirs, "{route:?} seed {seed}");
            }
            assert_eq!(found.len(), records.len(), "{route:?} seed {seed}");
            let counts = |verdict: &Verdict| (verdict.kept(), verdict.rejected);
            assert_eq!(counts(&verdict), counts(&expected), "{route:?} seed {seed}");
            kept += verdict.kept();
        }
        assert!(kept > 1000, "{route:?} {kept}");
    }
}

/// Where we answer otherwise than `serde_json` about a text's syntax: all are about meaning.
fn is_meaning(fault: Fault) -> bool {
    matches!(fault, Fault::JsonTypeWrong | Fault::JsonNumberInvalid | Fault::NestingOverLimit)
}

/// Damaged text: refused exactly where `serde_json` finds no syntax, and never with a panic.
#[track_caller]
fn compare_syntax(route: Route, body: &[u8], scratch: &mut Scratch, context: &str) {
    let ours = decode_json(route, body, scratch);
    // The one difference: no text at all is a request without records.
    let theirs = body.is_empty() || serde_json::from_slice::<IgnoredAny>(body).is_ok();
    match ours {
        Ok(_) => assert!(theirs, "{context}"),
        Err(error) => {
            assert!(!theirs || is_meaning(error.fault), "{error}, {context}");
            assert!(error.offset <= body.len() as u64 && error.line_column.is_some(), "{context}");
        }
    }
}

#[test]
fn a_request_cut_anywhere_is_refused() {
    let mut scratch = Scratch::default();
    for route in ROUTES {
        let (_, body) = (0..)
            .map(|seed| message(route, seed))
            .find(|body| (2000..8000).contains(&body.1.len()))
            .unwrap();
        for end in 1..body.len() {
            let cut = &body[..end];
            assert!(decode_json(route, cut, &mut scratch).is_err(), "{route:?} cut at {end}");
            compare_syntax(route, cut, &mut scratch, "cut");
        }
    }
}

#[test]
fn damaged_requests_are_refused_where_serde_json_refuses_them() {
    let mut scratch = Scratch::default();
    for route in ROUTES {
        for seed in 0..150 {
            let (_, body) = message(route, seed);
            let mut random = Random::new(seed);
            for round in 0..100 {
                let mut damaged = body.clone();
                for _ in 0..=random.below(3) {
                    let place = random.below(damaged.len());
                    match random.below(5) {
                        0 => damaged[place] = random.draw() as u8,
                        1 => damaged[place] = b"{}[]\",:\\0e.-nt"[random.below(14)],
                        2 if damaged.len() > 1 => drop(damaged.remove(place)),
                        3 => damaged.insert(place, random.draw() as u8),
                        _ => damaged[place] ^= 1 << random.below(8),
                    }
                }
                let context = format!("{route:?} seed {seed} round {round}");
                compare_syntax(route, &damaged, &mut scratch, &context);
            }
        }
    }
}

// ── Traps of the protocol page ────────────────────────────────────────────────────────────────

fn one_log(members: &str) -> String {
    format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{{members}}}]}}]}}]}}"#)
}

fn body_value(value: &str) -> OwnedValue {
    let body = one_log(&format!(r#""body":{value}"#));
    let (_, records) =
        decode_json(Route::OtlpLogs, body.as_bytes(), &mut Scratch::default()).unwrap();
    match records.into_iter().next_back() {
        Some(Record::Log(log)) => log.body,
        other => panic!("{other:?}"),
    }
}

#[test]
fn values_in_every_spelling() {
    let text = |text: &str| OwnedValue::Text(text.to_owned());
    let number = |number: f64| OwnedValue::Double(number.into());
    for (json, expected) in [
        (r#"{"intValue":"10"}"#, OwnedValue::Int(10)),
        (r#"{"intValue":10}"#, OwnedValue::Int(10)),
        (r#"{"intValue":1e2}"#, OwnedValue::Int(100)),
        (r#"{"intValue":"1e2"}"#, OwnedValue::Int(100)),
        (r#"{"intValue":5.0}"#, OwnedValue::Int(5)),
        (r#"{"intValue":"-9223372036854775808"}"#, OwnedValue::Int(i64::MIN)),
        (r#"{"intValue":1e+21}"#, number(1e21)),
        (r#"{"doubleValue":"1.5"}"#, number(1.5)),
        (r#"{"doubleValue":7}"#, number(7.0)),
        (r#"{"doubleValue":"-Infinity"}"#, number(f64::NEG_INFINITY)),
        (r#"{"doubleValue":null}"#, OwnedValue::Empty),
        ("null", OwnedValue::Empty),
        ("{}", OwnedValue::Empty),
        (r#"{"bool_value":true}"#, OwnedValue::Bool(true)),
        (r#"{"string\u0056alue":"x"}"#, text("x")),
        (r#"{"stringValue":"\ud83e\uddc0 \ud800 \"\\\/\n"}"#, text("🧀 \u{fffd} \"\\/\n")),
        ("{\"stringValue\":\"a\u{e9}\"}", text("a\u{e9}")),
        (r#"{"bytesValue":"-_8="}"#, OwnedValue::Bytes(vec![0xfb, 0xff])),
        (r#"{"bytesValue":"+/8"}"#, OwnedValue::Bytes(vec![0xfb, 0xff])),
        (r#"{"bytesValue":"no base64!"}"#, text("no base64!")),
        (r#"{"stringValue":"a","intValue":1,"boolValue":null}"#, OwnedValue::Int(1)),
        (
            r#"{"array_value":{"values":[null,{"x":[{}]},{"kvlistValue":{"values":[]}}]}}"#,
            OwnedValue::Array(vec![OwnedValue::Empty, OwnedValue::Empty, OwnedValue::Map(vec![])]),
        ),
    ] {
        assert_eq!(body_value(json), expected, "{json}");
    }
}

#[test]
fn a_record_in_any_spelling() {
    let members = r#""trace_id":"0AF7651916CD43DD8448EB211C80319c","spanId":"00","flags":"259",
        "severityNumber":"SEVERITY_NUMBER_WARN2","time_unix_nano":1767225600123456789,
        "observedTimeUnixNano":null,"severityText":"old","severityText":"new","unknown":[{"a":1}]"#;
    let body = one_log(members);
    let body = [b"\xef\xbb\xbf \r\n", body.as_bytes(), b"\n\t "].concat();
    let (_, records) = decode_json(Route::OtlpLogs, &body, &mut Scratch::default()).unwrap();
    let Some(Record::Log(log)) = records.last() else { panic!("{records:?}") };
    assert_eq!(log.time_nanos, 1_767_225_600_123_456_789);
    assert_eq!(log.observed_time_nanos, crate::support::ARRIVAL_NANOS.cast_signed());
    assert_eq!(log.trace_id.unwrap()[..2], [0x0a, 0xf7]);
    assert_eq!((log.span_id, log.trace_flags, log.severity_number), (None, 3, 14));
    assert_eq!(log.severity_text, "new");
}

/// JavaScript's SDK puts `schemaUrl` into the resource; Go's maps put `resource` behind what it owns.
#[test]
fn owners_may_stand_behind_what_they_own() {
    let body = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}],"schemaUrl":"s",
        "scope":{"name":"n"}}],"schemaUrl":"r","resource":{"schemaUrl":"x","attributes":
        [{"value":{"stringValue":"v"},"key":"k"}]}}]}"#;
    let (_, records) =
        decode_json(Route::OtlpLogs, body.as_bytes(), &mut Scratch::default()).unwrap();
    assert!(matches!(&records[0], Record::Resource { schema_url, attributes }
        if schema_url == "r" && attributes[0].0 == "k"));
    assert!(matches!(&records[1], Record::Scope { schema_url, name, .. }
        if schema_url == "s" && name == "n"));
}

#[test]
fn faults_name_field_and_place() {
    let record = "resourceLogs[0].scopeLogs[0].logRecords[0]";
    for (members, fault, path) in [
        (r#""body":7"#, Fault::JsonTypeWrong, ".body"),
        (r#""severityText":{}"#, Fault::JsonTypeWrong, ".severityText"),
        (r#""flags":"x""#, Fault::JsonNumberInvalid, ".flags"),
        (
            r#""attributes":[null,{"value":{"intValue":[]}}]"#,
            Fault::JsonTypeWrong,
            ".attributes[1].value.intValue",
        ),
        (r#""body":{"stringValue":"\x"}"#, Fault::JsonSyntax, ".body.stringValue"),
        ("\"body\":{\"stringValue\":\"\t\"}", Fault::JsonSyntax, ".body.stringValue"),
    ] {
        let body = one_log(members);
        let error =
            decode_json(Route::OtlpLogs, body.as_bytes(), &mut Scratch::default()).unwrap_err();
        assert_eq!(error.fault, fault, "{members}");
        assert_eq!(error.path.to_string(), format!("{record}{path}"), "{members}");
        assert_eq!(error.line_column, Some((1, u32::try_from(error.offset).unwrap() + 1)));
    }
    for (body, fault) in [
        ("[]", Fault::JsonTypeWrong),
        ("7", Fault::JsonTypeWrong),
        ("{}x", Fault::JsonSyntax),
        ("{", Fault::JsonTruncated),
        (r#"{"resourceLogs":{}}"#, Fault::JsonTypeWrong),
    ] {
        let error =
            decode_json(Route::OtlpLogs, body.as_bytes(), &mut Scratch::default()).unwrap_err();
        assert_eq!(error.fault, fault, "{body}");
    }
    for body in ["", "{}", " {} ", r#"{"resourceLogs":null}"#, r#"{"resourceLogs":[null,{}]}"#] {
        assert!(decode_json(Route::OtlpLogs, body.as_bytes(), &mut Scratch::default()).is_ok());
    }
}

#[test]
fn values_nest_to_a_limit_and_a_bomb_is_refused() {
    let nested = |depth: usize| {
        let open = r#"{"arrayValue":{"values":["#.repeat(depth - 1);
        let close = "]}}".repeat(depth - 1);
        one_log(&format!(r#""body":{open}{{}}{close}"#))
    };
    let verdict = |body: &str| {
        decode_json(Route::OtlpLogs, body.as_bytes(), &mut Scratch::default())
            .map(|_| ())
            .map_err(|error| error.fault)
    };
    assert_eq!(verdict(&nested(64)), Ok(()));
    assert_eq!(verdict(&nested(65)), Err(Fault::NestingOverLimit));
    assert_eq!(verdict(&nested(100_000)), Err(Fault::NestingOverLimit));
    let unknown = one_log(&format!(r#""x":{}"#, "[".repeat(100_000)));
    assert_eq!(verdict(&unknown), Err(Fault::NestingOverLimit));
}

#[test]
fn a_bare_value_is_a_points_number() {
    let body = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","unit":null,
        "sum":{"dataPoints":[{"value":7},{"asInt":"9007199254740993"},{"flags":1,"asInt":3},{"asDouble":null}],
        "isMonotonic":true,"aggregationTemporality":"AGGREGATION_TEMPORALITY_DELTA"}}]}]}]}"#;
    let (verdict, records) =
        decode_json(Route::OtlpMetrics, body.as_bytes(), &mut Scratch::default()).unwrap();
    assert_eq!(verdict.samples, 4);
    let samples: Vec<_> = records
        .iter()
        .filter_map(|record| match record {
            Record::Sample(sample) => Some((sample.value, sample.value_int)),
            _ => None,
        })
        .collect();
    assert_eq!(
        samples,
        [
            (7.0.into(), None),
            (9_007_199_254_740_992.0.into(), Some(9_007_199_254_740_993)),
            (Bits(0x7ff0_0000_0000_0002), None),
            (Bits(0x7ff8_0000_0000_0001), None),
        ]
    );
}
