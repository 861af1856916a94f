//! Mapping, tolerance and refusals of each version. Bodies are written as JSON and then made into
//! `MessagePack` by the code that reads JSON bodies; what real tracers send is in `tests/vectors`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

use serde_json::{Value, json};

use super::{Scratch, decode, json::write_msgpack};
use crate::batch::{JsonLines, RejectCause, Validating};
use crate::decode::{DecodeError, Fault, Verdict};
use crate::envelope::{Codings, Envelope, FieldId, RequestFields, Route};
use crate::limits;

const ARRIVAL: u64 = 1_800_000_000_000_000_000;

fn fields(pairs: &[(FieldId, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for &(id, text) in pairs {
        assert!(RequestFields::push(&mut bytes, id, text.as_bytes()));
    }
    bytes
}

fn packed(body: &Value) -> Vec<u8> {
    let mut written = Vec::new();
    write_msgpack(body.to_string().as_bytes(), &mut written).unwrap();
    written
}

/// Rows and verdict; the validating pass must say the same.
fn decoded(route: Route, fields: &[u8], body: &[u8]) -> Result<(Vec<Value>, Verdict), DecodeError> {
    let envelope = Envelope {
        route,
        codings: Codings::IDENTITY,
        tenant: "acme",
        arrival_nanos: ARRIVAL,
        fields: RequestFields::new(fields),
    };
    let mut scratch = Scratch::default();
    let validated = decode(&envelope, body, &mut scratch, &mut Validating);
    let mut lines = JsonLines::default();
    lines.begin(&envelope);
    let filled = decode(&envelope, body, &mut scratch, &mut lines);
    assert_eq!(validated, filled);
    let verdict = filled?;
    let text = String::from_utf8(lines.take()).unwrap();
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len() as u64, verdict.spans);
    Ok((rows, verdict))
}

fn rows(route: Route, body: &Value) -> Vec<Value> {
    decoded(route, &[], &packed(body)).unwrap().0
}

fn fault(route: Route, body: &[u8]) -> (Fault, String) {
    let error = decoded(route, &[], body).unwrap_err();
    (error.fault, error.path.to_string())
}

fn span(trace_id: u64, span_id: u64) -> Value {
    json!({
        "service": "shop", "name": "http.request", "resource": "GET /cart", "type": "web",
        "trace_id": trace_id, "span_id": span_id, "parent_id": 0,
        "start": 1_700_000_000_000_000_000_i64, "duration": 250_000_000, "error": 0,
    })
}

fn with(mut span: Value, key: &str, value: Value) -> Value {
    span[key] = value;
    span
}

#[test]
fn a_span_becomes_one_of_opentelemetry() {
    let mut one = span(u64::MAX, 0x8000_0000_0000_0001);
    one["parent_id"] = json!(7);
    one["error"] = json!(1);
    one["meta"] = json!({
        "env": "prod", "version": "1.2", "span.kind": "Client", "_dd.p.tid": "6553f10000000000",
        "error.msg": "boom", "error.type": "ValueError", "error.stack": "at x", "http.url": "http://a/b",
        "http.status_code": "500", "service": "another", "team": "a:b",
    });
    one["metrics"] = json!({"_sampling_priority_v1": 1, "rows": 2.5, "big": -3});
    one["meta_struct"] = json!({"appsec": "x"});
    let head = fields(&[
        (FieldId::DatadogLanguage, "python"),
        (FieldId::DatadogLanguageVersion, "3.11.2"),
        (FieldId::DatadogTracerVersion, "4.0.1"),
        (FieldId::DatadogContainerId, "c0ffee"),
    ]);
    let body = json!([[one]]);
    for (route, bytes) in [
        (Route::DatadogTracesV03, packed(&body)),
        (Route::DatadogTracesV04, packed(&body)),
        (Route::DatadogTracesV04, body.to_string().into_bytes()),
        (Route::DatadogTracesV03, format!(" \n{body}").into_bytes()),
    ] {
        let (rows, verdict) = decoded(route, &head, &bytes).unwrap();
        assert_eq!((verdict.spans, verdict.rejected), (1, 0));
        let row = &rows[0];
        assert_eq!(row["TraceId"], "6553f10000000000ffffffffffffffff");
        assert_eq!(row["SpanId"], "8000000000000001");
        assert_eq!(row["ParentSpanId"], "0000000000000007");
        assert_eq!(
            (&row["SpanName"], &row["SpanKind"]),
            (&json!("http.request"), &json!("Client"))
        );
        assert_eq!((&row["StatusCode"], &row["StatusMessage"]), (&json!("Error"), &json!("boom")));
        assert_eq!(row["Timestamp"], "2023-11-14T22:13:20Z");
        assert_eq!(row["Duration"], 250_000_000);
        assert_eq!(row["ServiceName"], "shop");
        assert_eq!(
            row["ResourceAttributes"],
            json!({
                "service.name": "shop", "telemetry.sdk.name": "Datadog",
                "telemetry.sdk.language": "python", "telemetry.sdk.version": "Datadog-4.0.1",
                "process.runtime.version": "3.11.2", "container.id": "c0ffee",
                "deployment.environment.name": "prod", "deployment.environment": "prod",
                "service.version": "1.2",
            })
        );
        assert_eq!(
            row["SpanAttributes"],
            json!({
                "dd.span.Resource": "GET /cart", "span.type": "web",
                "datadog.trace.id": "18446744073709551615", "datadog.span.id": "9223372036854775809",
                "exception.message": "boom", "exception.type": "ValueError",
                "exception.stacktrace": "at x", "url.full": "http://a/b",
                "http.response.status_code": "500", "team": "a:b",
                "_sampling_priority_v1": 1, "rows": 2.5, "big": -3, "appsec": "x",
            })
        );
    }
}

/// The tag stands on one span, at any place; a chunk may hold several traces.
#[test]
fn the_high_half_of_a_trace_id_comes_from_anywhere_in_the_chunk() {
    let tagged = |trace: u64, id: u64, key: &str, value: &str| {
        with(span(trace, id), "meta", json!({ key: value }))
    };
    let body = json!([
        [
            span(1, 1),
            span(2, 2),
            tagged(1, 3, "_dd.p.tid", "00000000000000aa"),
            tagged(2, 4, "_dd.p.tid", "00000000000000bb"),
            span(3, 5)
        ],
        [span(1, 6)],
        [
            tagged(4, 7, "otel.trace_id", "00000000000000cc0000000000000004"),
            tagged(5, 8, "otel.trace_id", "00000000000000cc0000000000000004")
        ],
        [
            tagged(6, 9, "_dd.p.tid", "00000000000000AA"),
            tagged(7, 10, "_dd.p.tid", "aa"),
            tagged(8, 11, "_dd.p.tid", "zz000000000000aa")
        ],
    ]);
    let high: Vec<String> = rows(Route::DatadogTracesV04, &body)
        .iter()
        .map(|row| row["TraceId"].as_str().unwrap()[..16].trim_start_matches('0').to_owned())
        .collect();
    assert_eq!(high, ["aa", "bb", "aa", "bb", "", "", "cc", "", "", "", ""]);
}

#[test]
fn version_5_refers_to_its_texts() {
    let texts = json!(["", "shop", "op", "GET /", "web", "k", "v", "n"]);
    let good = json!([1, 2, 3, 1, 2, 0, 1_700_000_000_000_000_000_i64, 5, 0, {}, {}, 4]);
    // Pairs of numbers cannot be members of JSON: the maps are put in by hand.
    let mut body = packed(&json!([texts, [[good]]]));
    let maps = body.windows(10).position(|at| at == [0xdf, 0, 0, 0, 0, 0xdf, 0, 0, 0, 0]).unwrap();
    let meta = [0x81, 5, 6];
    // Java's tracer has text for a key here.
    let metrics =
        [&[0x82, 7, 0xcb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0xa4][..], b"_was", &[1]].concat();
    body.splice(maps..maps + 10, [&meta[..], &metrics].concat());
    let (rows, _) = decoded(Route::DatadogTracesV05, &[], &body).unwrap();
    assert_eq!((&rows[0]["SpanName"], &rows[0]["ServiceName"]), (&json!("op"), &json!("shop")));
    assert_eq!(rows[0]["SpanKind"], "Server");
    let attributes = &rows[0]["SpanAttributes"];
    assert_eq!(
        (&attributes["k"], &attributes["n"], &attributes["_was"]),
        (&json!("v"), &json!(1), &json!(1))
    );
    assert_eq!(attributes["dd.span.Resource"], "GET /");
    for end in 0..body.len() {
        assert!(end == 0 || decoded(Route::DatadogTracesV05, &[], &body[..end]).is_err(), "{end}");
    }
    let past = json!([["", "a"], [[[1, 2, 1, 1, 2, 0, 0, 0, 0, {}, {}, 0]]]]);
    let (found, path) = fault(Route::DatadogTracesV05, &packed(&past));
    assert_eq!((found, path.as_str()), (Fault::DatadogTextPastEnd, "traces[0].spans[0].name"));
    let short = json!([[""], [[[0, 0, 0, 1, 2, 0, 0, 0, 0, {}, {}]]]]);
    assert_eq!(fault(Route::DatadogTracesV05, &packed(&short)).0, Fault::DatadogSpanLengthWrong);
    assert_eq!(fault(Route::DatadogTracesV05, &[0x91, 0x90]).0, Fault::DatadogBodyLengthWrong);
    assert_eq!(fault(Route::DatadogTracesV05, &[0x92, 0x91, 1, 0x90]).1, "strings[0]");
}

/// A reference is a byte or two on the wire and a text in a column.
#[test]
fn references_weigh_what_they_stand_for() {
    let mut body = vec![0x92, 0x91, 0xdb];
    body.extend_from_slice(&(1u32 << 20).to_be_bytes());
    body.resize(body.len() + (1 << 20), b'x');
    body.extend_from_slice(&[0x91, 0xdc, 0x0f, 0xff]);
    for _ in 0..0x0fff {
        body.extend_from_slice(&[0x9c, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0x80, 0x80, 0]);
    }
    let envelope = Envelope {
        route: Route::DatadogTracesV05,
        codings: Codings::IDENTITY,
        tenant: "acme",
        arrival_nanos: ARRIVAL,
        fields: RequestFields::EMPTY,
    };
    let verdict = decode(&envelope, &body, &mut Scratch::default(), &mut Validating).unwrap();
    assert_eq!(verdict.spans, 0x0fff);
    assert!(verdict.weight() > limits::BODY_WEIGHT_MAX);
}

#[test]
fn version_7_says_more_of_all_spans() {
    let body = json!({
        "container_id": "c1", "language_name": "go", "language_version": "1.25", "tracer_version": "2.0",
        "runtime_id": "r1", "env": "prod", "hostname": "web-1", "app_version": "9", "unknown": [{"a": 1}],
        "tags": {"region": "eu"},
        "chunks": [
            null,
            {"priority": 2, "origin": "rum", "tags": {"_dd.p.tid": "00000000000000aa", "t": "1"}, "spans": [null, span(1, 1)], "dropped_trace": false},
            {"priority": -128, "spans": null},
            {"priority": -128, "tags": null, "spans": [with(span(2, 2), "meta", json!({"env": "dev"}))]},
        ],
    });
    let rows = rows(Route::DatadogTracesV07, &body);
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["TraceId"], "00000000000000aa0000000000000001");
    assert_eq!(
        rows[0]["ResourceAttributes"],
        json!({
            "region": "eu", "service.name": "shop", "telemetry.sdk.name": "Datadog",
            "telemetry.sdk.language": "go", "telemetry.sdk.version": "Datadog-2.0",
            "process.runtime.version": "1.25", "service.instance.id": "r1", "container.id": "c1",
            "deployment.environment.name": "prod", "deployment.environment": "prod",
            "host.name": "web-1", "service.version": "9",
        })
    );
    let attributes = &rows[0]["SpanAttributes"];
    assert_eq!((&attributes["_dd.origin"], &attributes["t"]), (&json!("rum"), &json!("1")));
    assert_eq!(attributes["_sampling_priority_v1"], 2);
    assert!(attributes.get("_dd.p.tid").is_none());
    assert_eq!(rows[1]["ResourceAttributes"]["deployment.environment.name"], "dev");
    assert!(rows[1]["SpanAttributes"].get("_sampling_priority_v1").is_none());
}

#[test]
fn links_and_events_in_both_places() {
    let mut wire = span(1, 1);
    wire["span_links"] = json!([
        {"trace_id": 5, "trace_id_high": 6, "span_id": 7, "tracestate": "a=b", "flags": 2_147_483_649_u32, "attributes": {"k": "v"}, "x": []},
        null, {},
    ]);
    wire["span_events"] = json!([
        {"time_unix_nano": 1_700_000_000_000_000_001_i64, "name": "e", "attributes": {
            "s": {"type": 0, "string_value": "x"}, "b": {"type": 1, "bool_value": true},
            "i": {"type": 2, "int_value": -5}, "d": {"type": 3, "double_value": 1.5},
            "a": {"type": 4, "array_value": {"values": [{"type": 2, "int_value": 1}, {"type": 0, "string_value": "y"}]}},
            "n": null}},
    ]);
    let mut tags = span(1, 2);
    tags["meta"] = json!({
        "_dd.span_links": "[{\"trace_id\":\"00000000000000060000000000000005\",\"span_id\":\"0000000000000007\",\"tracestate\":\"a=b\",\"attributes\":{\"k\":\"v\"}}]",
        "events": "[{\"name\":\"e\",\"time_unix_nano\":1700000000000000001,\"attributes\":{\"i\":-5,\"l\":[1]}}]",
    });
    let mut neither = span(1, 3);
    neither["meta"] = json!({"_dd.span_links": "no JSON", "events": "[1]"});
    let rows = rows(Route::DatadogTracesV04, &json!([[wire, tags, neither]]));
    let link = json!({"TraceId": "00000000000000060000000000000005", "SpanId": "0000000000000007", "TraceState": "a=b", "Attributes": {"k": "v"}});
    assert_eq!(rows[0]["Links"], json!([link, {}]));
    assert_eq!(rows[1]["Links"], json!([link]));
    assert_eq!(
        rows[0]["Events"],
        json!([{"Name": "e", "Timestamp": "2023-11-14T22:13:20.000000001Z",
            "Attributes": {"s": "x", "b": true, "i": -5, "d": 1.5, "a": [1, "y"], "n": null}}])
    );
    assert_eq!(rows[1]["Events"][0]["Attributes"], json!({"i": -5, "l": [1]}));
    assert!(rows[1]["SpanAttributes"].get("events").is_none());
    // What is not such a list stays the tag that it is.
    assert_eq!(rows[2]["SpanAttributes"]["_dd.span_links"], "no JSON");
    assert_eq!(rows[2]["SpanAttributes"]["events"], "[1]");
    assert!(rows[2].get("Links").is_none() && rows[2].get("Events").is_none());
}

#[test]
fn spans_are_repaired_as_the_agent_does() {
    let nils = json!({"service": null, "name": null, "resource": null, "type": null, "trace_id": 9, "span_id": 9, "parent_id": 9,
        "start": null, "duration": null, "error": null, "meta": null, "metrics": null, "meta_struct": null, "span_links": null,
        "span_events": null, "error_code": 3, "future": {"a": [1, {"b": null}]}});
    let mut backwards = span(9, 2);
    backwards["duration"] = json!(-5);
    let mut overflow = span(9, 3);
    overflow["duration"] = json!(i64::MAX);
    let mut early = span(9, 4);
    early["start"] = json!(5);
    let named = with(span(9, 5), "resource", json!(""));
    let rows =
        rows(Route::DatadogTracesV04, &json!([[nils, backwards, overflow, early, named, null]]));
    let row = &rows[0];
    assert_eq!(
        (&row["ServiceName"], &row["SpanName"]),
        (&json!("unnamed-service"), &json!("unnamed_operation"))
    );
    assert!(row.get("ParentSpanId").is_none());
    assert_eq!(row["Timestamp"], "2027-01-15T08:00:00Z");
    assert_eq!((&rows[1]["Duration"], &rows[2]["Duration"]), (&json!(0), &json!(0)));
    assert_eq!(rows[3]["Timestamp"], "2027-01-15T07:59:59.750Z");
    assert_eq!(rows[4]["SpanAttributes"]["dd.span.Resource"], "http.request");
}

#[test]
fn spans_without_ids_are_rejected_alone() {
    let body = json!([[span(0, 1), span(1, 0), span(1, 1)], []]);
    let (rows, verdict) = decoded(Route::DatadogTracesV04, &[], &packed(&body)).unwrap();
    assert_eq!((rows.len(), verdict.rejected), (1, 2));
    assert_eq!(verdict.first_reject.map(|reject| reject.0), Some(RejectCause::IdInvalid));
}

/// Java's tracer finds out by these which routes there are.
#[test]
fn probes_and_empty_bodies_hold_nothing() {
    for (route, body) in [
        (Route::DatadogTracesV03, &[0x92, 0x90, 0x90][..]),
        (Route::DatadogTracesV04, &[0x92, 0x90, 0x90]),
        (Route::DatadogTracesV05, &[0x92, 0x90, 0x90]),
        (Route::DatadogTracesV04, &[0x90]),
        (Route::DatadogTracesV04, &[0xc0]),
        (Route::DatadogTracesV04, b"[]"),
        (Route::DatadogTracesV04, b"[[]]"),
        (Route::DatadogTracesV04, b"null"),
        (Route::DatadogTracesV07, &[0x80]),
        (Route::DatadogTracesV04, b""),
        (Route::DatadogTracesV05, b""),
        (Route::DatadogTracesV07, b""),
        (Route::DatadogTracesV05, &[0x93, 0x90, 0x90, 0xc0]),
    ] {
        let (rows, verdict) = decoded(route, &[], body).unwrap();
        assert!(rows.is_empty() && verdict == Verdict::default(), "{route:?} {body:x?}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let bad = |key: &str, value: Value| {
        packed(&json!([[span(1, 1)], [span(1, 1), with(span(1, 2), key, value)]]))
    };
    for (key, value) in [
        ("service", json!(1)),
        ("trace_id", json!("1")),
        ("start", json!(1.5)),
        ("meta", json!([])),
        ("meta", json!({"a": 1})),
        ("metrics", json!({"a": "1"})),
        ("span_links", json!([{"span_id": "a"}])),
        ("span_events", json!({})),
    ] {
        let (found, path) = fault(Route::DatadogTracesV04, &bad(key, value));
        assert_eq!((found, path), (Fault::MsgpackTypeWrong, format!("traces[1].spans[1].{key}")));
    }
    let (found, path) = fault(Route::DatadogTracesV04, &bad("duration", json!(u64::MAX)));
    assert_eq!(
        (found, path.as_str()),
        (Fault::MsgpackIntegerOverLimit, "traces[1].spans[1].duration")
    );
    assert_eq!(fault(Route::DatadogTracesV04, &[0x90, 0x90]).0, Fault::DatadogTrailingBytes);
    assert_eq!(fault(Route::DatadogTracesV04, &[0x81, 0x90]).0, Fault::MsgpackTypeWrong);
    let error = decoded(Route::DatadogTracesV04, &[], b"[[{\"a\":}]]").unwrap_err();
    assert_eq!((error.offset, error.line_column), (7, Some((1, 8))));
    let mut deep = json!({"type": 0, "string_value": ""});
    for _ in 0..70 {
        deep = json!({"type": 4, "array_value": {"values": [deep]}});
    }
    // Not through JSON, which has the same bound.
    let mut events = Vec::new();
    let mut level = vec![0xa0];
    for _ in 0..70 {
        level =
            [&[0x81, 0xab][..], b"array_value", &[0x81, 0xa6], b"values", &[0x91], &level].concat();
    }
    events.extend_from_slice(&[0x91, 0x91, 0x81, 0xab]);
    events.extend_from_slice(b"span_events");
    events.extend_from_slice(&[0x91, 0x81, 0xaa]);
    events.extend_from_slice(b"attributes");
    events.extend_from_slice(&[0x81, 0xa1, b'a']);
    events.extend_from_slice(&level);
    assert_eq!(fault(Route::DatadogTracesV04, &events).0, Fault::NestingOverLimit);
    assert!(deep.is_object());
}

/// Any cut and any damage ends in the same verdict of both passes, and in no panic.
#[test]
fn cut_and_damaged_bodies_are_refused_or_read() {
    let mut whole = span(1, 1);
    whole["meta"] =
        json!({"a": "b", "_dd.p.tid": "00000000000000aa", "events": "[{\"name\":\"e\"}]"});
    whole["metrics"] = json!({"m": 1.5});
    whole["span_links"] = json!([{"trace_id": 5, "span_id": 7}]);
    whole["span_events"] =
        json!([{"name": "e", "attributes": {"s": {"type": 0, "string_value": "x"}}}]);
    let bodies = [
        (Route::DatadogTracesV04, packed(&json!([[whole.clone()], [span(2, 2)]]))),
        (Route::DatadogTracesV04, json!([[whole.clone()]]).to_string().into_bytes()),
        (
            Route::DatadogTracesV05,
            packed(&json!([["", "a"], [[[1, 1, 1, 1, 2, 0, 0, 0, 0, {}, {}, 0]]]])),
        ),
        (Route::DatadogTracesV07, packed(&json!({"env": "x", "chunks": [{"spans": [whole]}]}))),
    ];
    for (route, body) in bodies {
        for end in 1..body.len() {
            assert!(decoded(route, &[], &body[..end]).is_err(), "{route:?} cut at {end}");
        }
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut below = |bound: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % bound as u64).unwrap()
        };
        let (mut read, mut refused) = (0, 0);
        for _ in 0..20_000 {
            let mut damaged = body.clone();
            for _ in 0..=below(3) {
                let place = below(damaged.len());
                damaged[place] = u8::try_from(below(256)).unwrap();
            }
            match decoded(route, &[], &damaged) {
                Ok(_) => read += 1,
                Err(error) => {
                    assert!(error.offset <= body.len() as u64);
                    refused += 1;
                }
            }
        }
        assert!(read > 100 && refused > 100, "{route:?} {read} {refused}");
    }
}

/// Places of the dictionary's texts are kept beside it: eight bytes for a text of one.
#[test]
fn a_dictionary_of_too_many_texts_is_refused_and_its_memory_given_back() {
    let dictionary = |count: usize| {
        let mut body = vec![0x92, 0xdd];
        body.extend_from_slice(&u32::try_from(count).unwrap().to_be_bytes());
        body.resize(body.len() + count, 0xa0);
        body.push(0x90);
        body
    };
    let mut scratch = Scratch::default();
    let mut judged = |count| {
        let envelope = Envelope {
            route: Route::DatadogTracesV05,
            codings: Codings::IDENTITY,
            tenant: "acme",
            arrival_nanos: ARRIVAL,
            fields: RequestFields::EMPTY,
        };
        let result = decode(&envelope, &dictionary(count), &mut scratch, &mut Validating);
        (result.map_err(|error| (error.fault, error.offset)), scratch.texts.capacity())
    };
    let most = limits::DATADOG_TEXT_COUNT_MAX;
    assert_eq!(judged(most), (Ok(Verdict::default()), super::TEXT_COUNT_KEPT));
    let refused = Err((Fault::DatadogTextCountOverLimit, 1));
    assert_eq!(judged(most + 1), (refused, super::TEXT_COUNT_KEPT));
}

/// JSON in a tag becomes a tree of many times its size: a long one stays a tag.
#[test]
fn long_json_in_a_tag_stays_text() {
    for (size, is_parsed) in [(1000, true), (limits::EMBEDDED_JSON_SIZE_MAX, false)] {
        let events = format!(r#"[{{"name":"{}"}}]"#, "e".repeat(size));
        let body = json!([[with(span(1, 1), "meta", json!({"events": events}))]]);
        let row = rows(Route::DatadogTracesV04, &body).remove(0);
        assert_eq!(row.get("Events").is_some(), is_parsed);
        assert_eq!(row["SpanAttributes"].get("events").is_some(), !is_parsed);
    }
}

/// Small numbers and lists take more bytes as `MessagePack` than a digit and a comma.
#[test]
fn json_that_grows_past_any_body_is_refused_and_its_memory_given_back() {
    let mut scratch = Scratch::default();
    let mut judged = |body: &[u8]| {
        let envelope = Envelope {
            route: Route::DatadogTracesV04,
            codings: Codings::IDENTITY,
            tenant: "acme",
            arrival_nanos: ARRIVAL,
            fields: RequestFields::EMPTY,
        };
        let error = decode(&envelope, body, &mut scratch, &mut Validating).unwrap_err();
        assert!(scratch.written.capacity() <= limits::LARGE_BODY);
        error.fault
    };
    let lists = format!("[{}null]", "[],".repeat(20 << 20));
    assert_eq!(judged(lists.as_bytes()), Fault::JsonGrowthOverLimit);
    let zeros = format!("[{}0]", "0,".repeat(30 << 20));
    assert_eq!(judged(zeros.as_bytes()), Fault::MsgpackTypeWrong);

    let mut written = Vec::new();
    let numbers = "[0,127,128,65535,65536,18446744073709551615,-1,-9223372036854775808,0.5]";
    write_msgpack(numbers.as_bytes(), &mut written).unwrap();
    let read: Vec<Value> = rmp_serde::from_slice(&written).unwrap();
    assert_eq!(read, serde_json::from_str::<Vec<Value>>(numbers).unwrap());
    for size in [0, 31, 32, 255, 256, 65_535, 65_536] {
        let text = "t".repeat(size);
        write_msgpack(format!("\"{text}\"").as_bytes(), &mut written).unwrap();
        assert_eq!(rmp_serde::from_slice::<String>(&written).unwrap(), text);
    }
}
