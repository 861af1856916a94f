//! What a body says once and its records repeat is weighed: a small body must not become a large part.

#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::{Value as Json, json};

use super::{Scratch, Verdict, decode};
use crate::batch::Validating;
use crate::envelope::{Codings, Envelope, FieldId, RequestFields, Route};

const HALF_MIB: usize = 512 * 1024;

fn verdict_of(route: Route, fields: &[(FieldId, &[u8])], body: &[u8]) -> Verdict {
    let mut pushed = Vec::new();
    for (id, value) in fields {
        assert!(RequestFields::push(&mut pushed, *id, value));
    }
    let envelope = Envelope {
        route,
        codings: Codings::IDENTITY,
        tenant: "acme",
        arrival_nanos: 1_767_225_600_000_000_000,
        fields: RequestFields::new(&pushed),
    };
    decode(&envelope, body, &mut Scratch::default(), &mut Validating).unwrap()
}

/// Judges a body of `few` records and one of `many`, which `body` makes.
fn only_many_are_too_many<B: AsRef<[u8]>>(
    route: Route,
    fields: &[(FieldId, &[u8])],
    [few, many]: [usize; 2],
    body: impl Fn(usize) -> B,
) {
    for (count, is_over) in [(few, false), (many, true)] {
        let verdict = verdict_of(route, fields, body(count).as_ref());
        assert!(verdict.kept() >= count as u64, "{route:?}, {count}: {verdict:?}");
        assert_eq!(verdict.is_over_limit(), is_over, "{route:?}, {count}: {verdict:?}");
    }
}

fn text(size: usize) -> String {
    "x".repeat(size)
}

fn length_delimited(number: u8, content: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = content.len();
    while length >= 0x80 {
        field.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    field.push(u8::try_from(length).unwrap());
    field.extend_from_slice(content);
    field
}

fn msgpack(value: &Json) -> Vec<u8> {
    rmp_serde::to_vec_named(value).unwrap()
}

fn spans(count: usize) -> Json {
    let service = |index| if index % 2 == 0 { "a" } else { "b" };
    let span = |index| json!({"trace_id": 1, "span_id": index + 1, "service": service(index)});
    (0..count).map(span).collect()
}

#[test]
fn fields_around_a_list_of_json_logs_are() {
    only_many_are_too_many(Route::JsonLogs, &[], [4000, 9000], |count| {
        let records = vec!["{}"; count].join(",");
        format!(r#"{{"big":"{}","logs":[{records}]}}"#, text(HALF_MIB))
    });
}

#[test]
fn what_the_head_says_of_json_logs_is() {
    let cluster = text(30_000);
    let fields = [(FieldId::GroundcoverCluster, cluster.as_bytes())];
    only_many_are_too_many(Route::JsonLogs, &fields, [50_000, 80_000], |count| "{}".repeat(count));
}

#[test]
fn what_a_head_or_a_chunk_says_of_datadog_spans_is() {
    let id = text(30_000);
    let fields = [(FieldId::DatadogContainerId, id.as_bytes())];
    only_many_are_too_many(Route::DatadogTracesV04, &fields, [50_000, 80_000], |count| {
        msgpack(&json!([spans(count)]))
    });
    let big = || text(HALF_MIB);
    for around in [
        json!({"tags": {"a": big()}, "chunks": [{}]}),
        json!({"hostname": big(), "chunks": [{}]}),
        json!({"chunks": [{"origin": big()}]}),
        json!({"chunks": [{"tags": {"a": big()}}]}),
    ] {
        only_many_are_too_many(Route::DatadogTracesV07, &[], [3000, 5000], |count| {
            let mut body = around.clone();
            body["chunks"][0]["spans"] = spans(count);
            msgpack(&body)
        });
    }
}

/// A request of one resource with one scope: its owner's text stands in the resource or in the scope.
fn otlp(item: &[u8], count: usize, resource: &[u8], scope: &[u8]) -> Vec<u8> {
    let items: Vec<u8> = length_delimited(2, item).repeat(count);
    let scoped = [length_delimited(1, scope), items].concat();
    length_delimited(1, &[length_delimited(1, resource), length_delimited(2, &scoped)].concat())
}

#[test]
fn resources_scopes_and_metrics_of_otlp_are() {
    let big = text(HALF_MIB);
    let value = length_delimited(2, &length_delimited(1, big.as_bytes()));
    let attribute = length_delimited(1, &[length_delimited(1, b"k"), value].concat());
    let name = length_delimited(1, big.as_bytes());
    let log = length_delimited(3, b"INFO");
    let span = [length_delimited(1, &[1; 16]), length_delimited(2, &[1; 8])].concat();
    let point = length_delimited(1, &[0x21, 0, 0, 0, 0, 0, 0, 0, 0]);
    let metric = length_delimited(5, &point);
    for (route, item) in
        [(Route::OtlpLogs, &log), (Route::OtlpTraces, &span), (Route::OtlpMetrics, &metric)]
    {
        for (resource, scope) in [(&attribute[..], &b""[..]), (b"", &name)] {
            only_many_are_too_many(route, &[], [4000, 9000], |count| {
                otlp(item, count, resource, scope)
            });
        }
    }
    only_many_are_too_many(Route::OtlpMetrics, &[], [4000, 9000], |count| {
        let points = length_delimited(5, &point.repeat(count));
        otlp(&[length_delimited(2, big.as_bytes()), points].concat(), 1, b"", b"")
    });
}

#[test]
fn resources_scopes_and_metrics_of_otlp_json_are() {
    let json = [(FieldId::ContentType, &b"application/json"[..])];
    let attributes = || json!([{"key": "k", "value": {"stringValue": text(HALF_MIB)}}]);
    for (route, names, item) in [
        (Route::OtlpLogs, ["resourceLogs", "scopeLogs", "logRecords"], json!({})),
        (
            Route::OtlpTraces,
            ["resourceSpans", "scopeSpans", "spans"],
            json!({"traceId": "11".repeat(16), "spanId": "11".repeat(8)}),
        ),
        (
            Route::OtlpMetrics,
            ["resourceMetrics", "scopeMetrics", "metrics"],
            json!({"gauge": {"dataPoints": [{"asDouble": 1}]}}),
        ),
    ] {
        for owner in ["resource", "scope"] {
            only_many_are_too_many(route, &json, [4000, 9000], |count| {
                let mut scoped = json!({names[2]: vec![&item; count]});
                let mut resource = json!({});
                let into = if owner == "scope" { &mut scoped } else { &mut resource };
                into[owner] = json!({"attributes": attributes()});
                resource[names[1]] = json!([scoped]);
                json!({names[0]: [resource]}).to_string()
            });
        }
    }
    only_many_are_too_many(Route::OtlpMetrics, &json, [4000, 9000], |count| {
        let points = json!({"dataPoints": vec![json!({"asDouble": 1}); count]});
        let metrics = json!([{"description": text(HALF_MIB), "gauge": points}]);
        json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}).to_string()
    });
}

fn write_request_2(symbols: &[&[u8]], series: &[u8], count: usize) -> Vec<u8> {
    let symbols = symbols.iter().flat_map(|symbol| length_delimited(4, symbol));
    symbols.chain(length_delimited(5, series).repeat(count)).collect()
}

#[test]
fn symbols_of_remote_write_are() {
    const MEDIA_TYPE: &[u8] = b"application/x-protobuf;proto=io.prometheus.write.v2.Request";
    let fields = [(FieldId::ContentType, MEDIA_TYPE)];
    let big = text(HALF_MIB);
    let symbols: [&[u8]; 5] = [b"", b"__name__", b"up", b"a", big.as_bytes()];
    let sample = length_delimited(2, &[0x10, 1]);
    let name = length_delimited(1, &[1, 2]);
    let exemplar = length_delimited(4, &length_delimited(1, &[3, 4]));
    let help = length_delimited(5, &[0x18, 4]);
    for series in [
        [length_delimited(1, &[1, 2, 3, 4]), sample.clone()].concat(),
        // In no order.
        [length_delimited(1, &[3, 4, 1, 2]), sample.clone()].concat(),
        [name.clone(), sample.clone(), exemplar].concat(),
        [name.clone(), sample.clone(), help].concat(),
    ] {
        only_many_are_too_many(Route::RemoteWrite, &fields, [4000, 9000], |count| {
            write_request_2(&symbols, &series, count)
        });
    }
    // One long text somewhere does not make all labels long.
    let series = [length_delimited(1, &[1, 2, 3, 2]), sample].concat();
    let verdict =
        verdict_of(Route::RemoteWrite, &fields, &write_request_2(&symbols, &series, 9000));
    assert_eq!(verdict.repeated, 9000 * (8 + 2 + 1 + 2));
}

/// Columns are parted between records only.
#[test]
fn one_series_that_refers_to_more_than_a_payload_holds_is_refused() {
    const MEDIA_TYPE: &[u8] = b"application/x-protobuf;proto=io.prometheus.write.v2.Request";
    let big = text(HALF_MIB);
    let mut symbols = vec![b"".to_vec(), big.into_bytes()];
    symbols.extend((0..200).map(|index| format!("{index:03}").into_bytes()));
    let symbols: Vec<&[u8]> = symbols.iter().map(Vec::as_slice).collect();
    let refs: Vec<u8> = (2..130).flat_map(|name| [name.min(127), 1]).collect();
    let mut fields = Vec::new();
    assert!(RequestFields::push(&mut fields, FieldId::ContentType, MEDIA_TYPE));
    let envelope = Envelope {
        route: Route::RemoteWrite,
        codings: Codings::IDENTITY,
        tenant: "acme",
        arrival_nanos: 0,
        fields: RequestFields::new(&fields),
    };
    for series in [
        [length_delimited(1, &refs), length_delimited(2, &[0x10, 1])].concat(),
        length_delimited(4, &length_delimited(1, &refs)),
    ] {
        let body = write_request_2(&symbols, &series, 1);
        let error = decode(&envelope, &body, &mut Scratch::default(), &mut Validating).unwrap_err();
        assert_eq!(error.fault, super::Fault::WeightOverLimit);
    }
}

#[test]
fn labels_that_a_request_adds_to_an_exposition_are() {
    let query = format!("extra_label=a={}", text(8000));
    let fields = [(FieldId::Query, query.as_bytes())];
    only_many_are_too_many(Route::ImportPrometheus, &fields, [15_000, 20_000], |count| {
        "up 1\n".repeat(count)
    });
}
