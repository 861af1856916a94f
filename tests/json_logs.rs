//! JSON logs end to end through the decoder: every shape of `json-logs` section 2, field by field, and
//! against `serde_json` on generated bodies.
//!
//! Every body in this file goes through both passes, and their verdicts must be equal.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;

use inrush::batch::record::{
    Attributes, Exemplar, Histogram, Log, Metadata, Resource, Sample, Scope, Series, Span, Value,
};
use inrush::batch::{RecordSink, RejectCause, Validating};
use inrush::decode::json_logs::{self, Scratch};
use inrush::decode::{DecodeError, Fault, Verdict};
use inrush::envelope::{Codings, Envelope, FieldId, RequestFields, Route};
use inrush::limits;
use serde_json::{Value as Json, json};

/// 2026-11-23T12:00:00Z
const ARRIVAL: i64 = 1_795_435_200_000_000_000;

#[derive(Clone, Debug, PartialEq)]
struct Row {
    resource: BTreeMap<String, Json>,
    time: i64,
    observed: i64,
    trace_id: Option<[u8; 16]>,
    span_id: Option<[u8; 8]>,
    flags: u8,
    severity: (i32, String),
    body: Json,
    attributes: BTreeMap<String, Json>,
}

fn json_of(value: Value<'_>) -> Json {
    match value {
        Value::Empty => Json::Null,
        Value::Text(text) => Json::String(text.lossy().into_owned()),
        Value::Bool(value) => value.into(),
        Value::Int(value) => value.into(),
        Value::Double(value) => value.into(),
        Value::Bytes(bytes) => bytes.into(),
        Value::Array(values) => {
            let mut array = Vec::new();
            values.walk(&mut |value| array.push(json_of(value)));
            Json::Array(array)
        }
        Value::Map(members) => {
            let mut map = serde_json::Map::new();
            members.walk(&mut |key, value| {
                map.insert(key.lossy().into_owned(), json_of(value));
            });
            Json::Object(map)
        }
        Value::Json(text) => serde_json::from_str(text).unwrap(),
    }
}

/// Walks twice, as a sink may, and wants the same; and no name twice.
fn map_of(attributes: &dyn Attributes) -> BTreeMap<String, Json> {
    let walk = || {
        let mut list = Vec::new();
        attributes.walk(&mut |key, value| list.push((key.lossy().into_owned(), json_of(value))));
        list
    };
    let list = walk();
    assert_eq!(list, walk());
    let map: BTreeMap<_, _> = list.iter().cloned().collect();
    assert_eq!(map.len(), list.len(), "a name twice in {list:?}");
    map
}

/// Keeps everything, and holds the decoder to the order that the sink's contract demands.
#[derive(Default)]
struct Recording {
    rows: Vec<Row>,
    resource: Option<BTreeMap<String, Json>>,
    resource_count: usize,
    has_scope: bool,
    is_open: bool,
}

impl RecordSink for Recording {
    const FILLS: bool = true;

    fn resource(&mut self, resource: &Resource<'_>) {
        assert!(!self.is_open);
        self.resource = Some(map_of(resource.attributes));
        self.resource_count += 1;
        self.has_scope = false;
    }
    fn scope(&mut self, _: &Scope<'_>) {
        assert!(!self.is_open && self.resource.is_some());
        self.has_scope = true;
    }
    fn log(&mut self, log: &Log<'_>) {
        assert!(!self.is_open && self.has_scope);
        self.is_open = true;
        self.rows.push(Row {
            resource: self.resource.clone().unwrap(),
            time: log.time_nanos,
            observed: log.observed_time_nanos,
            trace_id: log.trace_id,
            span_id: log.span_id,
            flags: log.trace_flags,
            severity: (log.severity_number, log.severity_text.lossy().into_owned()),
            body: json_of(log.body),
            attributes: map_of(log.attributes),
        });
    }
    fn keep(&mut self) {
        assert!(self.is_open);
        self.is_open = false;
    }
    fn reject(&mut self, _: RejectCause) {
        panic!("what is no record is never begun");
    }
    fn span(&mut self, _: &Span<'_>) {}
    fn series(&mut self, _: &Series<'_>) {}
    fn sample(&mut self, _: &Sample) {}
    fn histogram(&mut self, _: &Histogram<'_>) {}
    fn exemplar(&mut self, _: &Exemplar<'_>) {}
    fn metadata(&mut self, _: &Metadata<'_>) {}
}

struct Decoder {
    scratch: Scratch,
    fields: Vec<u8>,
    resource_count: usize,
}

impl Decoder {
    fn new(media_type: &str) -> Self {
        let new = Self { scratch: Scratch::default(), fields: Vec::new(), resource_count: 0 };
        if media_type.is_empty() { new } else { new.with(FieldId::ContentType, media_type) }
    }

    fn with(mut self, id: FieldId, value: &str) -> Self {
        assert!(RequestFields::push(&mut self.fields, id, value.as_bytes()));
        self
    }

    fn decode(&mut self, body: &[u8]) -> Result<(Verdict, Vec<Row>), DecodeError> {
        let envelope = Envelope {
            route: Route::JsonLogs,
            codings: Codings::IDENTITY,
            tenant: "tenant",
            arrival_nanos: u64::try_from(ARRIVAL).unwrap(),
            fields: RequestFields::new(&self.fields),
        };
        let validated = json_logs::decode(&envelope, body, &mut self.scratch, &mut Validating);
        let mut sink = Recording::default();
        let filled = json_logs::decode(&envelope, body, &mut self.scratch, &mut sink);
        assert_eq!(validated, filled, "{}", body.get(..1_000).unwrap_or(body).escape_ascii());
        self.resource_count = sink.resource_count;
        filled.map(|verdict| {
            assert_eq!(verdict.kept(), sink.rows.len() as u64);
            assert_eq!(verdict.logs, verdict.kept());
            assert!(sink.rows.iter().all(|row| row.observed == ARRIVAL));
            (verdict, sink.rows)
        })
    }
}

fn rows_as(media_type: &str, body: &[u8]) -> Vec<Row> {
    let (verdict, rows) = Decoder::new(media_type).decode(body).unwrap();
    assert_eq!(verdict.rejected, 0);
    rows
}

/// The one row of an object under `application/json`.
fn row(body: &str) -> Row {
    let mut rows = rows_as("application/json", body.as_bytes());
    assert_eq!(rows.len(), 1, "{body}");
    rows.pop().unwrap()
}

fn bodies(rows: &[Row]) -> Vec<Json> {
    rows.iter().map(|row| row.body.clone()).collect()
}

fn refusal(media_type: &str, body: &str) -> DecodeError {
    Decoder::new(media_type).decode(body.as_bytes()).unwrap_err()
}

fn attributes(pairs: Json) -> BTreeMap<String, Json> {
    serde_json::from_value(pairs).unwrap()
}

// ── Shapes ────────────────────────────────────────────────────────────────────────────────────

#[test]
fn shapes_of_real_senders() {
    const JSON: &str = "application/json";
    const LINES: &str = "application/x-ndjson";
    const FORM: &str = "application/x-www-form-urlencoded";
    let two = [json!("a"), json!("b")];
    for (sender, media_type, body) in [
        ("array", JSON, r#"[{"message":"a"},{"message":"b"}]"#),
        ("array, pretty", JSON, "[\n  {\n \"message\": \"a\"\n },\r\n {\"message\" : \"b\"}\n]\n"),
        ("lines, none after the last", LINES, "{\"message\":\"a\"}\n{\"message\":\"b\"}"),
        ("lines, CRLF and blanks", LINES, "\r\n{\"message\":\"a\"}\r\n\r\n{\"message\":\"b\"}\r\n"),
        ("curl -d @lines", FORM, r#"{"message":"a"}{"message":"b"}"#),
        ("curl -d @lines with its type", LINES, r#"{"message":"a"}{"message":"b"}"#),
        ("fluent bit json", JSON, r#"[{"date":1.5e9,"log":"a"},{"date":1.5e9,"log":"b"}]"#),
        (
            "fluent bit json_lines",
            LINES,
            "{\"date\":1,\"log\":\"a\"}\n{\"date\":1,\"log\":\"b\"}\n",
        ),
        ("fluent bit json_stream", JSON, r#"{"date":1,"log":"a"}{"date":1,"log":"b"}"#),
        ("fluent bit gelf", JSON, "{\"short_message\":\"a\"}\n{\"short_message\":\"b\"}\n"),
        ("fluent bit body_key, no type", "", r#"{"log":"a"}{"log":"b"}"#),
        ("vector json", JSON, r#"[{"message":"a"},{"message":"b"}]"#),
        ("vector with prefix", JSON, r#"{"logs":[{"message":"a"},{"message":"b"}]}"#),
        ("vector text", "text/plain", "a\nb\n"),
        ("pino-http-send", "", "{\"level\":30,\"msg\":\"a\"}\n{\"level\":30,\"msg\":\"b\"}\n"),
        ("pino batch", JSON, r#"{"logs":[{"level":30,"msg":"a"},{"level":30,"msg":"b"}]}"#),
        ("pino batch in lines", LINES, r#"{"logs":[{"level":30,"msg":"a"},{"msg":"b"}]}"#),
        ("array in a line", LINES, r#"[{"msg":"a"},{"msg":"b"}]"#),
        ("strings", JSON, r#"["a","b"]"#),
        ("top strings", JSON, "\"a\"\"b\""),
        ("lines of strings", LINES, "\"a\"\n\"b\"\n"),
        ("structlog", LINES, "{\"event\":\"a\"}\n{\"event\":\"b\"}\n"),
        ("charset", "application/json; charset=utf-8", r#"[{"text":"a"},{"text":"b"}]"#),
        ("other name", "application/stream+json", "{\"body\":\"a\"}\n{\"content\":\"b\"}\n"),
        ("JSON as text", "text/plain", "[{\"message\":\"a\"},\n{\"message\":\"b\"}]"),
        ("pretty, as lines", LINES, "[\n  {\"message\": \"a\"},\n  {\n\"message\": \"b\"}\n]\n"),
        ("pretty, one by one", LINES, "{\n\"message\": \"a\"}\n{\n\"message\": \"b\"\n}\n"),
        ("byte order mark", JSON, "\u{feff}[{\"message\":\"a\"},{\"message\":\"b\"}]"),
        ("byte order mark, lines", LINES, "\u{feff}{\"message\":\"a\"}\n{\"message\":\"b\"}"),
    ] {
        assert_eq!(bodies(&rows_as(media_type, body.as_bytes())), two, "{sender}");
    }
}

#[test]
fn nothing_is_success_with_nothing() {
    for media_type in ["", "application/json", "application/x-ndjson", "text/plain"] {
        for body in ["", " \r\n\t\n", "[]", " [ ] ", "[][]", "\u{feff}", "{\"logs\":[]}"] {
            let (verdict, _) = Decoder::new(media_type).decode(body.as_bytes()).unwrap();
            assert_eq!(verdict, Verdict::default(), "{media_type} {body:?}");
        }
    }
}

#[test]
fn binary_types_are_refused() {
    for media_type in ["application/msgpack", "application/x-protobuf", "image/png"] {
        assert_eq!(refusal(media_type, "[]").fault, Fault::MediaTypeWrong);
    }
}

#[test]
fn the_last_of_two_content_types_decides() {
    let mut decoder =
        Decoder::new("application/json").with(FieldId::ContentType, "application/x-ndjson");
    let (_, rows) = decoder.decode(b"{\"message\":\"a\"}\nbroken\n").unwrap();
    assert_eq!(bodies(&rows), ["a", "broken"]);
}

/// What GELF has besides: keys that begin with an underscore, a level of syslog, seconds with a fraction.
#[test]
fn a_gelf_record() {
    let row = row(
        r#"{"version":"1.1","host":"web-1","short_message":"a","full_message":"a\nb","timestamp":1767323045.25,"level":4,"_user_id":9001}"#,
    );
    assert_eq!(row.body, "a");
    assert_eq!((row.time, row.severity.0), (1_767_323_045_250_000_000, 13));
    assert_eq!(
        row.attributes,
        attributes(json!({
            "version": "1.1", "host": "web-1", "full_message": "a\nb", "level": 4, "_user_id": 9001,
        }))
    );
}

/// One of them must not refuse the body it is in.
#[test]
fn integers_beyond_64_bits_become_doubles() {
    let rows = rows_as(
        "application/json",
        br#"[{"message":"a","n":18446744073709551616,"m":-9223372036854775809,"k":9223372036854775808},
            {"message":"b","n":9223372036854775807}]"#,
    );
    assert_eq!(bodies(&rows), ["a", "b"]);
    assert_eq!(
        rows[0].attributes,
        attributes(
            json!({"n": 18_446_744_073_709_551_616.0, "m": -9_223_372_036_854_775_809.0, "k": 9_223_372_036_854_775_808.0})
        )
    );
    assert_eq!(rows[1].attributes, attributes(json!({"n": i64::MAX})));
}

#[test]
fn times_of_fluent_bit_in_every_format() {
    for (value, nanos) in [
        ("1767323045.678901", 678_901_000),
        ("\"2026-01-02T03:04:05.678901Z\"", 678_901_000),
        ("\"2026-01-02 03:04:05.678901\"", 678_901_000),
        ("1767323045", 0),
        ("1767323045678", 678_000_000),
    ] {
        let row = row(&format!("{{\"date\":{value},\"log\":\"a\"}}"));
        assert_eq!(
            (row.time, row.attributes.len()),
            (1_767_323_045_000_000_000 + nanos, 0),
            "{value}"
        );
    }
}

// ── Fields ────────────────────────────────────────────────────────────────────────────────────

#[test]
fn time_fields_in_their_order() {
    const SECOND: i64 = 1_000_000_000;
    let time = 1_767_323_045 * SECOND;
    for key in [
        "timestamp",
        "time",
        "ts",
        "date",
        "@timestamp",
        "datetime",
        "_time",
        "observed_timestamp",
        "asctime",
    ] {
        let row = row(&format!("{{\"{key}\":\"2026-01-02T03:04:05Z\",\"message\":\"m\"}}"));
        assert_eq!((row.time, row.attributes.len()), (time, 0), "{key}");
    }
    let row_of = row(r#"{"ts":1767323046,"time":1767323045,"date":7,"message":"m"}"#);
    assert_eq!(row_of.time, time);
    assert_eq!(row_of.attributes, attributes(json!({"ts": 1_767_323_046, "date": 7})));
    for (value, nanos) in [
        ("1767323045.678901", 678_901_000),
        ("1767323045123", 123_000_000),
        ("1767323045123456", 123_456_000),
        ("1767323045123456789", 123_456_789),
        ("\"1767323045123\"", 123_000_000),
        ("\"2026-01-02 03:04:05,123\"", 123_000_000),
        ("\"2026-01-02 03:04:05.678901\"", 678_901_000),
        ("\"2026-01-02T04:04:05.5+01:00\"", 500_000_000),
    ] {
        let row = row(&format!("{{\"timestamp\":{value}}}"));
        assert_eq!((row.time, row.attributes.len()), (time + nanos, 0), "{value}");
    }
}

#[test]
fn a_bad_time_is_arrival_and_stays_an_attribute() {
    for value in [r#""yesterday""#, "true", "{}", "[1]", "1e300", "0", "18446744073709551615"] {
        let row = row(&format!("{{\"timestamp\":{value},\"message\":\"m\"}}"));
        assert_eq!(row.time, ARRIVAL, "{value}");
        assert!(row.attributes.contains_key("timestamp"), "{value}");
    }
    // The next of the list may be good.
    let row_of = row(r#"{"timestamp":"soon","ts":1767323045,"message":"m"}"#);
    assert_eq!(row_of.time, 1_767_323_045_000_000_000);
    assert_eq!(row_of.attributes, attributes(json!({"timestamp": "soon"})));
    assert_eq!(row(r#"{"time":null,"ts":1767323045}"#).time, 1_767_323_045_000_000_000);
    assert_eq!(row(r#"{"message":"m"}"#).time, ARRIVAL);
}

#[test]
fn message_fields_in_their_order() {
    let keys = ["message", "msg", "log", "body", "content", "text", "short_message", "event"];
    for (first, key) in keys.iter().enumerate() {
        let members: Vec<String> =
            keys[first..].iter().rev().map(|key| format!("\"{key}\":\"{key}!\"")).collect();
        let row = row(&format!("{{{}}}", members.join(",")));
        assert_eq!(row.body, format!("{key}!"));
        assert_eq!(row.attributes.len(), keys.len() - first - 1, "the others stay");
        assert!(!row.attributes.contains_key(*key));
    }
}

#[test]
fn messages_that_are_not_text() {
    assert_eq!(row(r#"{"message":{"a":[1,{"b":null}]}}"#).body, json!({"a": [1, {"b": null}]}));
    assert_eq!(row(r#"{"message":[1,"a"]}"#).body, json!([1, "a"]));
    assert_eq!(row(r#"{"message":7}"#).body, json!(7));
    assert_eq!(row(r#"{"message":""}"#).body, "");
    // Null is absent.
    let row_of = row(r#"{"message":null,"msg":"m"}"#);
    assert_eq!(row_of.body, "m");
    assert_eq!(row_of.attributes, attributes(json!({"message": null})));
    // An object that another message was preferred to is flattened as any other.
    let row_of = row(r#"{"message":"m","body":{"a":1,"b":{"c":2}},"text":{}}"#);
    assert_eq!(row_of.body, "m");
    assert_eq!(row_of.attributes, attributes(json!({"body.a": 1, "body.b.c": 2, "text": {}})));
    // ECS: fields about the log, and about an event.
    let row_of = row(r#"{"log":{"level":"warn"},"event":{"dataset":"d"},"text":"t"}"#);
    assert_eq!(row_of.body, "t");
    assert_eq!(row_of.severity, (13, "warn".into()));
    assert_eq!(row_of.attributes, attributes(json!({"log.level": "warn", "event.dataset": "d"})));
}

#[test]
fn without_a_message_the_record_is_the_body() {
    let text = r#"{ "a" : 1, "b":"\u00e9" }"#;
    let row = row(text);
    assert_eq!(row.body, text);
    assert_eq!(row.attributes, attributes(json!({"a": 1, "b": "é"})));
    assert_eq!(bodies(&rows_as("", b"[{}]")), ["{}"]);
}

#[test]
fn severities() {
    for (record, number, text) in [
        (r#"{"level":"info"}"#, 9, "info"),
        (r#"{"severity":"ERROR"}"#, 17, "ERROR"),
        (r#"{"severity_text":"Warning"}"#, 13, "Warning"),
        (r#"{"lvl":"dbg"}"#, 5, "dbg"),
        (r#"{"log.level":"fatal"}"#, 21, "fatal"),
        (r#"{"log":{"level":"fatal"}}"#, 21, "fatal"),
        (r#"{"level":30}"#, 9, "INFO"),
        (r#"{"level":"50"}"#, 17, "ERROR"),
        (r#"{"level":30.0}"#, 9, "INFO"),
        (r#"{"level":3e1}"#, 9, "INFO"),
        (r#"{"level":30.5,"lvl":"warn"}"#, 13, "warn"),
        (r#"{"level":1e300}"#, 0, ""),
        (r#"{"severity_number":13.0}"#, 13, "WARN"),
        (r#"{"level":3}"#, 17, "ERROR"),
        (r#"{"level":"notice"}"#, 10, "notice"),
        (r#"{"level":"loud"}"#, 0, "loud"),
        (r#"{"level":null,"lvl":"warn"}"#, 13, "warn"),
        (r#"{"severity":"x","level":"warn"}"#, 13, "warn"),
        (r#"{"severity_number":14}"#, 14, "WARN"),
        (r#"{"severity_number":14,"severity_text":"odd"}"#, 14, "odd"),
        (r#"{"severity_number":99,"level":"warn"}"#, 13, "warn"),
        (r#"{"a":1}"#, 0, ""),
    ] {
        let row = row(record);
        assert_eq!(row.severity, (number, text.into()), "{record}");
        // Kept as attribute too.
        assert!(!row.attributes.is_empty(), "{record}");
    }
}

#[test]
fn nested_fields_are_flattened_and_arrays_kept() {
    let row_of =
        row(r#"{"message":"m","a":{"b":{"c":1,"d":[1,{"e":2}]},"f":null},"g":{},"h":[],"i":true,
            "j":-1.5,"k":9223372036854775807,"l":9223372036854775808,"m":18446744073709551616,"":2,
            "n":{"":{"":3}}}"#);
    assert_eq!(
        row_of.attributes,
        attributes(json!({
            "a.b.c": 1, "a.b.d": [1, {"e": 2}], "a.f": null, "g": {}, "h": [], "i": true, "j": -1.5,
            "k": i64::MAX, "l": 9_223_372_036_854_775_808.0, "m": 18_446_744_073_709_551_616.0,
            "": 2, "n..": 3,
        }))
    );
}

#[test]
fn the_last_of_equal_names_wins() {
    for (record, expected) in [
        (r#"{"a":1,"a":2}"#, json!({"a": 2})),
        (r#"{"a":1,"a":{"b":2}}"#, json!({"a.b": 2})),
        (r#"{"a":{"b":1},"a":{"c":2}}"#, json!({"a.c": 2})),
        (r#"{"x":{"a":1,"b":0,"a":2}}"#, json!({"x.a": 2, "x.b": 0})),
        (r#"{"a.b":1,"a":{"b":2}}"#, json!({"a.b": 2})),
        (r#"{"a":{"b":2},"a.b":1}"#, json!({"a.b": 1})),
        (r#"{"\u0061":1,"a":2}"#, json!({"a": 2})),
    ] {
        assert_eq!(row(record).attributes, attributes(expected), "{record}");
    }
    let row_of = row(r#"{"message":"a","message":"b","timestamp":5,"timestamp":1767323045}"#);
    assert_eq!((row_of.body, row_of.time), (json!("b"), 1_767_323_045_000_000_000));
    assert_eq!(row_of.attributes, attributes(json!({})));
    // Many equal names cost no more than sorting them.
    let many = format!("{{{}\"a\":1}}", "\"a\":0,".repeat(30_000));
    assert_eq!(row(&many).attributes, attributes(json!({"a": 1})));
}

#[test]
fn trace_ids() {
    let (trace, span) = ("0123456789abcdef0123456789ABCDEF", "0123456789abcdef");
    let trace_bytes = 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef_u128.to_be_bytes();
    let span_bytes = 0x0123_4567_89ab_cdef_u64.to_be_bytes();
    for record in [
        format!(r#"{{"trace_id":"{trace}","span_id":"{span}","trace_flags":"01"}}"#),
        format!(r#"{{"traceId":"{trace}","spanId":"{span}","trace_flags":1}}"#),
        format!(r#"{{"trace":{{"id":"{trace}"}},"span":{{"id":"{span}"}},"trace_flags":1}}"#),
    ] {
        let row = row(&record);
        assert_eq!(row.trace_id, Some(trace_bytes));
        assert_eq!(row.span_id, Some(span_bytes));
        assert_eq!((row.flags, row.attributes.len()), (1, 0));
    }
    for value in [
        "",
        "0",
        "00000000000000000000000000000000",
        &trace[1..],
        "g123456789abcdef0123456789abcdef",
    ] {
        let row = row(&format!(r#"{{"trace_id":"{value}"}}"#));
        assert_eq!((row.trace_id, row.attributes.len()), (None, 1), "{value}");
    }
}

#[test]
fn what_names_the_service_goes_to_the_resource() {
    for record in [r#"{"service.name":"s"}"#, r#"{"service":{"name":"s"}}"#, r#"{"service":"s"}"#] {
        let row = row(record);
        assert_eq!(row.resource, attributes(json!({"service.name": "s"})), "{record}");
        assert_eq!(row.attributes, attributes(json!({})), "{record}");
    }
    let row_of = row(r#"{"service":"a","service.name":"b","service.version":3}"#);
    assert_eq!(row_of.resource, attributes(json!({"service.name": "b"})));
    assert_eq!(row_of.attributes, attributes(json!({"service": "a", "service.version": 3})));
    let row_of = row(
        r#"{"env_name":"e","clusterId":"c","namespace":"n","gc_source_type":"g","host":{"name":"h"},
            "hostname":"i","env":"j","source":"main.c"}"#,
    );
    assert_eq!(
        row_of.resource,
        attributes(json!({
            "env_name": "e", "clusterId": "c", "namespace": "n", "gc_source_type": "g",
            "host.name": "h",
        }))
    );
    assert_eq!(
        row_of.attributes,
        attributes(json!({"hostname": "i", "env": "j", "source": "main.c"}))
    );
}

#[test]
fn the_head_wins_over_the_record() {
    let mut decoder = Decoder::new("")
        .with(FieldId::GroundcoverEnvName, "env")
        .with(FieldId::GroundcoverServiceName, "service")
        .with(FieldId::GroundcoverEnvType, "type")
        .with(FieldId::GroundcoverCluster, "cluster")
        .with(FieldId::GroundcoverSource, "source");
    let body = r#"[{"env_name":"x","service.name":"x","service":"y","cluster":"x","source":"x","a":1},
        "text", {"broken"}]"#;
    let (_, rows) = decoder.decode(body.as_bytes()).unwrap();
    let expected = attributes(json!({
        "env_name": "env", "service.name": "service", "gc_env_type": "type", "cluster": "cluster",
        "source": "source",
    }));
    assert_eq!(rows.len(), 3);
    for row in &rows {
        assert_eq!(row.resource, expected);
    }
    assert_eq!(rows[0].attributes, attributes(json!({"service": "y", "a": 1})));
    assert_eq!(decoder.resource_count, 1);
}

#[test]
fn a_resource_is_told_only_when_it_changes() {
    let mut decoder = Decoder::new("");
    let body = r#"[{"service":"a"},{"service":"a","x":1},{"service":"b"},{"service":"b"},{},{}]"#;
    let (_, rows) = decoder.decode(body.as_bytes()).unwrap();
    assert_eq!(decoder.resource_count, 3);
    let names: Vec<_> = rows
        .iter()
        .map(|row| row.resource.get("service.name").cloned().unwrap_or_default())
        .collect();
    assert_eq!(names, [json!("a"), json!("a"), json!("b"), json!("b"), Json::Null, Json::Null]);
    // The next body's sink is another one.
    decoder.decode(b"{}").unwrap();
    assert_eq!(decoder.resource_count, 1);
}

#[test]
fn fields_around_a_batch_belong_to_its_records() {
    let body = r#"{"source":"app","service":"s","x":{"y":1},"message":"outer",
        "logs":[{"msg":"a","x":{"y":2}},"b",{"msg":"c","service.name":"t"}],"z":3}"#;
    let rows = rows_as("application/json", body.as_bytes());
    assert_eq!(bodies(&rows), ["a", "b", "c"]);
    let mut expected = attributes(json!({"source": "app", "x.y": 1, "message": "outer", "z": 3}));
    assert_eq!(rows[1].attributes, expected);
    assert_eq!(rows[1].resource, attributes(json!({"service.name": "s"})));
    expected.insert("x.y".into(), json!(2));
    assert_eq!(rows[0].attributes, expected);
    assert_eq!(rows[2].resource, attributes(json!({"service.name": "t"})));
    // Around it broken, inside whole: every record says so.
    let rows = rows_as("", br#"{"x":tru,"logs":[{"msg":"a"}]}"#);
    assert_eq!(bodies(&rows), ["a"]);
    assert!(rows[0].attributes.contains_key("_parse_error"));
    // No batch: several arrays, or no objects in it.
    assert_eq!(rows_as("", br#"{"logs":[{"msg":"a"}],"tags":["x"]}"#).len(), 1);
    assert_eq!(rows_as("", br#"{"message":"m","logs":["a","b"]}"#)[0].body, "m");
    // Texts are messages, as they are in an array.
    let rows = rows_as("", br#"{"logs":["a",{"msg":"b"}]}"#);
    assert_eq!([&rows[0].body, &rows[1].body], ["a", "b"]);
}

// ── What is broken ────────────────────────────────────────────────────────────────────────────

#[test]
fn a_broken_line_costs_only_itself() {
    let body = "{\"msg\":\"a\"}\n{\"msg\":\"b\"\n{\"msg\" \"c\"}\nnot JSON\n{\"msg\":\"d\"}\n";
    let rows = rows_as("application/x-ndjson", body.as_bytes());
    assert_eq!(bodies(&rows), ["a", "{\"msg\":\"b\"", "{\"msg\" \"c\"}", "not JSON", "d"]);
    for row in &rows[1..4] {
        assert_eq!(row.time, ARRIVAL);
        let error = row.attributes["_parse_error"].as_str().unwrap();
        assert!(error.contains("line 1 column"), "{error}");
    }
    assert!(rows[4].attributes.is_empty());
    // Only a body whose first line is torn is read across its lines.
    let rows = rows_as("application/x-ndjson", b"{\"msg\":\"a\"}\n{\"b\":\n1}\n");
    assert_eq!(bodies(&rows), ["a", "{\"b\":", "1}"]);
    // Text that never claimed to be JSON has no error.
    let rows = rows_as("text/plain", b"plain\n42\n{\"msg\":\"a\"}\n{broken\n");
    assert_eq!(bodies(&rows), ["plain", "42", "a", "{broken"]);
    assert!(rows.iter().all(|row| row.attributes.is_empty()));
    for text in ["[INFO]\n[WARN] disk\n{x}", "[2026-11-23] up\n\"a\" b\n[1,2]", "null\n1\n[]]"] {
        let rows = rows_as("text/plain", text.as_bytes());
        assert_eq!(bodies(&rows), text.lines().collect::<Vec<_>>(), "{text}");
    }
}

#[test]
fn a_broken_element_costs_only_itself() {
    for element in [r#"{"a" 1}"#, r#"{"a":1,}"#, r#"{"a":tru}"#, r#"{"a":[1}}"#, r#""\q""#, "{,}"] {
        let body = format!("[{{\"msg\":\"a\"}}, {element},\n{{\"msg\":\"b\"}}]");
        let rows = rows_as("application/json", body.as_bytes());
        assert_eq!(bodies(&rows), ["a", element, "b"]);
        assert!(rows[1].attributes.contains_key("_parse_error"), "{element}");
    }
}

#[test]
fn broken_structure_refuses_the_body() {
    for (body, fault, line_column) in [
        ("[{\"a\":1},\n {\"a\":1}", Fault::JsonTruncated, (2, 9)),
        ("{\"a\":1", Fault::JsonTruncated, (1, 7)),
        ("[{\"a\":1}\n{\"a\":1}]", Fault::JsonSyntax, (2, 1)),
        ("[{\"a\":1},]", Fault::JsonSyntax, (1, 10)),
        ("a=b", Fault::JsonSyntax, (1, 1)),
        ("{}\n]", Fault::JsonSyntax, (2, 1)),
        // Braces that do not balance: no end can be told.
        ("[{\"a\":[1},{}]", Fault::JsonTruncated, (1, 14)),
        ("42", Fault::JsonNotARecord, (1, 1)),
        ("{}\nnull", Fault::JsonNotARecord, (2, 1)),
    ] {
        let error = refusal("application/json", body);
        assert_eq!((error.fault, error.line_column), (fault, Some(line_column)), "{body}");
    }
}

#[test]
fn values_that_are_no_records_are_counted() {
    let body = r#"[{"msg":"a"},1,null,true,[{"msg":"x"}],"b",-1.5e3]"#;
    let (verdict, rows) = Decoder::new("").decode(body.as_bytes()).unwrap();
    assert_eq!(bodies(&rows), ["a", "b"]);
    assert_eq!((verdict.logs, verdict.rejected), (2, 5));
    assert_eq!(verdict.first_reject, Some((RejectCause::NotARecord, 13)));
    let (verdict, _) = Decoder::new("application/x-ndjson").decode(b"1\n{}\nnull\n[[]]\n").unwrap();
    assert_eq!((verdict.logs, verdict.rejected), (1, 3));
}

#[test]
fn senders_looser_than_the_grammar_keep_their_fields() {
    let row_of = row("{\"message\":\"tab\there \\ud800\",\"a\":NaN,\"b\":1e999,\"c\":-0}");
    assert_eq!(row_of.body, "tab\there \u{fffd}");
    assert_eq!(row_of.attributes, attributes(json!({"a": "NaN", "b": "1e999", "c": 0})));
    let rows = rows_as("", b"{\"message\":\"caf\xe9\",\"a\":1}");
    assert_eq!(rows[0].body, "caf\u{fffd}");
    assert_eq!(rows[0].attributes, attributes(json!({"a": 1})));
    // Where no message is picked, the text of the record is replaced on the way out.
    assert_eq!(rows_as("", b"{\"a\":\"\xe9\"}")[0].body, "{\"a\":\"\u{fffd}\"}");
}

// ── Bounds ────────────────────────────────────────────────────────────────────────────────────

#[test]
fn records_over_their_bounds() {
    let sized = |size: usize| format!("{{\"message\":\"{}\"}}", "a".repeat(size - 14));
    let (verdict, _) = Decoder::new("")
        .decode(format!("[{},{{}}]", sized(limits::JSON_RECORD_SIZE_MAX)).as_bytes())
        .unwrap();
    assert_eq!((verdict.logs, verdict.rejected), (2, 0));
    for media_type in ["", "application/x-ndjson"] {
        let body = format!("{{}}{}{{}}", sized(limits::JSON_RECORD_SIZE_MAX + 1));
        let (verdict, _) = Decoder::new(media_type).decode(body.as_bytes()).unwrap();
        assert_eq!((verdict.logs, verdict.rejected), (2, 1));
        assert_eq!(verdict.first_reject, Some((RejectCause::OverLimit, 2)));
    }
    // A batch is as large as it likes: its records are what is bounded.
    let body = format!("{{\"logs\":[{}{{}}]}}", "{\"message\":\"m\"},".repeat(100_000));
    assert_eq!(rows_as("", body.as_bytes()).len(), 100_001);
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(64), "]".repeat(64));
    let wide = format!("{{\"a\":[{}0]}}", "0,".repeat(limits::JSON_RECORD_NODE_COUNT_MAX));
    for record in [deep, wide] {
        let row = row(&record);
        assert_eq!(row.body, record);
        assert!(row.attributes.contains_key("_parse_error"));
    }
    // Names repeat their prefix: what would multiply the record is kept as a value.
    let name = "n".repeat(10_000);
    let mut record = String::new();
    for _ in 0..60 {
        record += &format!("{{\"{name}\":");
    }
    record += &format!("{{{}\"z\":0}}", "\"a\":0,".repeat(1_000));
    record += &"}".repeat(60);
    let row = row(&record);
    let size: usize = row.attributes.keys().map(String::len).sum();
    assert!(size <= 5 * record.len(), "{size}");
}

/// One long name around many fields is the same at the top, under a batch, and where a message is an object.
#[test]
fn a_long_name_around_many_fields_does_not_multiply_a_record() {
    let name = "n".repeat(300_000);
    let fields: Vec<String> = (0..20_000).map(|index| format!("\"f{index}\":1")).collect();
    let object = format!("{{{}}}", fields.join(","));
    for body in [
        format!(r#"[{{"{name}":{object}}}]"#),
        format!(r#"[{{"a":{{"{name}":{object}}}}}]"#),
        format!(r#"{{"{name}":{object},"logs":[{{}},{{"x":1}}]}}"#),
        format!(r#"[{{"message":"m","msg":{{"{name}":{object}}}}}]"#),
    ] {
        for row in rows_as("application/json", body.as_bytes()) {
            let size: usize = row.attributes.keys().map(String::len).sum();
            assert!(size < 3 * body.len(), "{size}");
        }
    }
    // Usual nesting is as deep as it was.
    let nested = row(r#"{"a":{"b":{"c":{"d":1,"e":[1]}}},"k8s":{"pod":{"label":"p"}}}"#);
    let keys: Vec<&str> = nested.attributes.keys().map(String::as_str).collect();
    assert_eq!(keys, ["a.b.c.d", "a.b.c.e", "k8s.pod.label"]);
}

/// 64 MiB of the worst: a walk each, no tape, no stack.
#[test]
fn bombs_cost_a_walk() {
    let size = limits::PAYLOAD_SIZE_MAX;
    let mut decoder = Decoder::new("application/json");
    let mut body = b"[".to_vec();
    body.extend_from_slice(&b"0,".repeat(size / 2 - 1));
    body.extend_from_slice(b"0]");
    let (verdict, _) = decoder.decode(&body).unwrap();
    assert_eq!((verdict.logs, verdict.rejected), (0, size as u64 / 2));
    body.fill(b'[');
    assert_eq!(decoder.decode(&body).unwrap_err().fault, Fault::JsonTruncated);
    body.fill(b'"');
    body.truncate(1 << 20);
    assert_eq!(decoder.decode(&body).unwrap().0.logs, 1 << 19);
    let nested = "{\"a\":".repeat(100_000);
    assert_eq!(decoder.decode(nested.as_bytes()).unwrap_err().fault, Fault::JsonTruncated);
    let nested = nested + "1" + &"}".repeat(100_000);
    assert_eq!(decoder.decode(nested.as_bytes()).unwrap().0.logs, 1);
}

// ── Generated ─────────────────────────────────────────────────────────────────────────────────

/// xorshift64*; a failure prints the state it began from.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 1).unwrap() % bound
    }

    fn choose<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }

    fn blank(&mut self) -> &'static str {
        self.choose(&["", "", "", " ", "\t", "  "])
    }

    /// Text of a JSON value. No name has a meaning, no number is beyond both readers.
    fn value(&mut self, depth: usize, out: &mut String) {
        match self.below(if depth == 0 { 6 } else { 8 }) {
            0 => out.push_str(self.choose(&["true", "false", "null"])),
            1 => out.push_str(&i64::from_le_bytes(self.next().to_le_bytes()).to_string()),
            2 => out
                .push_str(self.choose(&["0", "-1", "12", "1.5", "-2.25e3", "1E-2", "1e22", "0.1"])),
            3..=5 => self.string(out),
            6 => {
                out.push('[');
                for index in 0..self.below(4) {
                    out.push_str(if index > 0 { "," } else { "" });
                    out.push_str(self.blank());
                    self.value(depth - 1, out);
                    out.push_str(self.blank());
                }
                out.push(']');
            }
            _ => self.object(depth - 1, out),
        }
    }

    fn string(&mut self, out: &mut String) {
        out.push('"');
        for _ in 0..self.below(12) {
            out.push_str(self.choose(&[
                "a",
                "long text of no meaning ",
                "}",
                "{",
                "[",
                "]",
                ",",
                ":",
                "\\\"",
                "\\\\",
                "\\n",
                "\\u00e9",
                "\\ud83d\\ude00",
                "é",
                "\u{1f600}",
                "\\/",
                " ",
            ]));
        }
        out.push('"');
    }

    fn object(&mut self, depth: usize, out: &mut String) {
        out.push('{');
        for index in 0..self.below(6) {
            out.push_str(if index > 0 { "," } else { "" });
            out.push_str(self.blank());
            out.push_str(self.choose(&[
                "\"k1\"",
                "\"k2\"",
                "\"k3\"",
                "\"a longer name\"",
                "\"quoted\\\"\"",
                "\"\"",
                "\"é\"",
            ]));
            out.push_str(self.blank());
            out.push(':');
            out.push_str(self.blank());
            self.value(depth, out);
            out.push_str(self.blank());
        }
        out.push('}');
    }
}

fn flatten(prefix: &str, value: &Json, into: &mut BTreeMap<String, Json>) {
    match value {
        Json::Object(map) if !map.is_empty() || prefix.is_empty() => {
            for (key, value) in map {
                let nested = matches!(value, Json::Object(map) if !map.is_empty());
                let name = format!("{prefix}{key}");
                if nested {
                    flatten(&format!("{name}."), value, into);
                } else {
                    into.insert(name, value.clone());
                }
            }
        }
        _ => unreachable!("only called for objects"),
    }
}

/// Numbers as numbers: readers differ in the last bit, and in whether `-0` is whole.
fn is_same(ours: &Json, theirs: &Json) -> bool {
    match (ours, theirs) {
        (Json::Number(ours), Json::Number(theirs)) => {
            let (a, b) = (ours.as_f64().unwrap(), theirs.as_f64().unwrap());
            ours == theirs || (a - b).abs() <= a.abs() * 1e-15
        }
        (Json::Array(ours), Json::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| is_same(a, b))
        }
        (Json::Object(ours), Json::Object(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().zip(theirs).all(|((k, a), (l, b))| k == l && is_same(a, b))
        }
        _ => ours == theirs,
    }
}

fn generate(random: &mut Random) -> (&'static str, String) {
    let shape = random.below(6);
    let count = random.below(6);
    let mut records = Vec::new();
    for _ in 0..count {
        let mut record = String::new();
        random.object(4, &mut record);
        records.push(record);
    }
    match shape {
        0 => ("application/json", format!("[{}]", records.join(","))),
        1 => ("application/json", format!("[ {}\n]\r\n", records.join(" ,\n "))),
        2 => ("application/x-ndjson", records.join("\n")),
        3 => ("application/json", records.concat()),
        4 => ("", records.join("\n") + "\n"),
        _ => ("application/x-ndjson", records.concat()),
    }
}

#[test]
fn generated_bodies_agree_with_serde_json() {
    let mut random = Random(0x5eed_2000);
    for _ in 0..4_000 {
        let seed = random.0;
        let (media_type, body) = generate(&mut random);
        let expected: Vec<Json> = serde_json::Deserializer::from_str(&body)
            .into_iter::<Json>()
            .flat_map(|value| match value.unwrap() {
                Json::Array(elements) => elements,
                value => vec![value],
            })
            .collect();
        let rows = rows_as(media_type, body.as_bytes());
        assert_eq!(rows.len(), expected.len(), "seed {seed:#x}: {body}");
        for (row, expected) in rows.iter().zip(&expected) {
            let mut flat = BTreeMap::new();
            flatten("", expected, &mut flat);
            let ours = Json::Object(row.attributes.clone().into_iter().collect());
            let theirs = Json::Object(flat.into_iter().collect());
            assert!(is_same(&ours, &theirs), "seed {seed:#x}: {body}\n{ours}\n{theirs}");
            // The body is the record as it was sent.
            let again: Json = serde_json::from_str(row.body.as_str().unwrap()).unwrap();
            assert!(again == *expected, "seed {seed:#x}");
        }
    }
}

/// Whatever the damage: both passes agree (asserted in `decode`), lines lose nothing but themselves,
/// and what `serde_json` still reads is still read.
#[test]
fn corrupted_bodies_harm_nobody() {
    let mut random = Random(0x5eed_2001);
    let mut decoders = BTreeMap::new();
    for _ in 0..20_000 {
        let seed = random.0;
        let (media_type, body) = generate(&mut random);
        let mut body = body.into_bytes();
        for _ in 0..1 + random.below(3) {
            if !body.is_empty() {
                let place = random.below(body.len());
                body[place] = b"{}[]\",:\\ \n0a\xff\x00"[random.below(14)];
            }
        }
        let decoder = decoders.entry(media_type).or_insert_with(|| Decoder::new(media_type));
        let answer = decoder.decode(&body);
        let values: Result<Vec<Json>, _> =
            serde_json::Deserializer::from_slice(&body).into_iter().collect();
        match (&answer, values) {
            (Err(error), Ok(values)) => {
                let is_scalar = |value: &Json| !matches!(value, Json::Object(_) | Json::Array(_));
                assert!(
                    error.fault == Fault::JsonNotARecord && values.iter().any(is_scalar),
                    "seed {seed:#x}: {error}: {}",
                    body.escape_ascii()
                );
            }
            (Ok((verdict, rows)), Ok(values)) if media_type != "application/x-ndjson" => {
                let count: usize =
                    values.iter().map(|value| value.as_array().map_or(1, Vec::len)).sum();
                assert_eq!(
                    verdict.logs + verdict.rejected,
                    count as u64,
                    "seed {seed:#x}: {}",
                    body.escape_ascii()
                );
                let is_clean = rows.iter().all(|row| !row.attributes.contains_key("_parse_error"));
                assert!(is_clean, "seed {seed:#x}: {}", body.escape_ascii());
            }
            _ => {}
        }
        if media_type == "application/x-ndjson" {
            assert!(answer.is_ok(), "seed {seed:#x}: lines are never refused");
        }
    }
}

#[test]
fn bodies_cut_at_every_byte() {
    let mut random = Random(0x5eed_2002);
    let mut records = Vec::new();
    let mut size = 0;
    while size < 4_500 {
        let mut record = String::new();
        random.object(3, &mut record);
        size += record.len();
        records.push(record);
    }
    let array = format!("[{}]", records.join(","));
    let mut decoder = Decoder::new("application/json");
    for cut in 1..array.len() {
        let error = decoder.decode(&array.as_bytes()[..cut]).unwrap_err();
        assert_eq!((error.fault, error.offset), (Fault::JsonTruncated, cut as u64), "{cut}");
    }
    assert_eq!(decoder.decode(array.as_bytes()).unwrap().0.logs, records.len() as u64);

    let lines = records.join("\n");
    let mut decoder = Decoder::new("application/x-ndjson");
    for cut in 0..=lines.len() {
        let (verdict, _) = decoder.decode(&lines.as_bytes()[..cut]).unwrap();
        let begun =
            lines.as_bytes()[..cut].split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        assert_eq!((verdict.logs, verdict.rejected), (begun.count() as u64, 0), "{cut}");
    }

    // Glued: what ends between two records is whole.
    let glued = records.concat();
    let mut decoder = Decoder::new("");
    let mut ends = vec![0];
    for record in &records {
        ends.push(ends.last().unwrap() + record.len());
    }
    for cut in 0..=glued.len() {
        match decoder.decode(&glued.as_bytes()[..cut]) {
            Ok((verdict, _)) => assert_eq!(ends[limits::size(verdict.logs)], cut),
            Err(error) => assert_eq!(error.fault, Fault::JsonTruncated, "{cut}"),
        }
    }
}
