//! The table, spelled out: cause × endpoint → status, and each protocol's bodies to the byte.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use super::form::Text;
use super::{Cause, RequestEcho, render};
use crate::auth::AuthError;
use crate::batch::RejectCause;
use crate::content::ContentError;
use crate::decode::{DecodeError, Fault, Verdict};
use crate::envelope::Route;
use crate::http::http1::chunked::ChunkError;
use crate::http::http1::head::HeadError;
use crate::http::reply::{Reply, Value};
use crate::route::{CodingError, Endpoint, MediaError, RouteError, Unkept};

const EPOCH_MILLIS: u64 = 1_795_461_630_123;

const COLUMNS: [(Option<Endpoint>, &str); 12] = [
    (Some(Endpoint::Ingest(Route::RemoteWrite)), "text/plain; charset=utf-8"),
    (Some(Endpoint::Ingest(Route::ImportPrometheus)), "text/plain; charset=utf-8"),
    (Some(Endpoint::Ingest(Route::OtlpLogs)), "application/x-protobuf"),
    (Some(Endpoint::Ingest(Route::OtlpMetrics)), "application/x-protobuf"),
    (Some(Endpoint::Ingest(Route::DatadogSeriesV1)), "application/json"),
    (Some(Endpoint::Ingest(Route::DatadogSeriesV2)), "application/json"),
    (Some(Endpoint::Ingest(Route::DatadogTracesV03)), "application/json"),
    (Some(Endpoint::Ingest(Route::DatadogTracesV05)), "application/json"),
    (Some(Endpoint::Ingest(Route::Firehose)), "application/json"),
    (Some(Endpoint::Ingest(Route::JsonLogs)), "application/json"),
    (Some(Endpoint::DatadogValidate), "application/json"),
    (None, "text/plain; charset=utf-8"),
];

fn decode_error() -> DecodeError {
    DecodeError::at(Fault::VarintOverlong, 17).within("time", None).within("log_records", Some(3))
}

/// One row a cause: the status in the order of `COLUMNS`.
#[rustfmt::skip]
fn refusals() -> Vec<(Cause, [u16; 12])> {
    let all = |status: u16| [status; 12];
    let coding = [415, 400, 415, 415, 400, 400, 400, 400, 415, 415, 400, 415];
    let payload = [400, 413, 413, 413, 413, 413, 413, 413, 413, 413, 413, 413];
    let auth = [401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 403, 401];
    vec![
        (Cause::Head(HeadError::HostMissing), all(400)),
        (Cause::Head(HeadError::LengthContradictsChunked), all(400)),
        (Cause::Head(HeadError::TransferCodingInvalid), all(400)),
        (Cause::Head(HeadError::MethodIsPreface), all(400)),
        (Cause::Head(HeadError::RequestLineOverLimit), all(414)),
        (Cause::Head(HeadError::HeadSizeOverLimit), all(431)),
        (Cause::Head(HeadError::FieldCountOverLimit), all(431)),
        (Cause::Head(HeadError::ExpectationUnknown), all(417)),
        (Cause::Head(HeadError::MethodUnknown), all(501)),
        (Cause::Head(HeadError::TransferCodingUnsupported), all(501)),
        (Cause::Head(HeadError::VersionUnsupported), all(505)),
        (Cause::Chunk(ChunkError::SizeInvalid), all(400)),
        (Cause::Chunk(ChunkError::FramingOverLimit), all(400)),
        (Cause::Route(RouteError::NotFound { route: None }), all(404)),
        (Cause::Coding(CodingError::Unsupported), coding),
        (Cause::Coding(CodingError::CountOverLimit), coding),
        (Cause::Media(MediaError::Unsupported), all(415)),
        (Cause::Auth(AuthError::Missing), auth),
        (Cause::Auth(AuthError::Invalid), auth),
        (Cause::BodyTooLarge, all(413)),
        (Cause::PayloadTooLarge, payload),
        (Cause::Content(ContentError::OutputOverLimit), payload),
        (Cause::Content(ContentError::Truncated), all(400)),
        (Cause::Content(ContentError::Corrupt { offset: 3 }), all(400)),
        (Cause::Content(ContentError::ChecksumWrong { offset: 3 }), all(400)),
        (Cause::Content(ContentError::TrailingGarbage { offset: 3 }), all(400)),
        (Cause::Content(ContentError::WindowOverLimit), all(400)),
        (Cause::Content(ContentError::DictionaryNeeded), all(400)),
        (Cause::Decode(decode_error()), all(400)),
        (Cause::Decode(DecodeError::at(Fault::MediaTypeWrong, 0)), all(415)),
        (Cause::Overloaded { retry_after_seconds: 2 }, all(503)),
        (Cause::JournalFull, all(503)),
        (Cause::JournalPoisoned, all(503)),
        (Cause::Draining, all(503)),
        (Cause::Internal, all(503)),
        (Cause::BodyTimeout, all(408)),
        (Cause::HeadTimeout, all(408)),
        (Cause::RequestFieldsTooLarge, all(431)),
    ]
}

fn echo(endpoint: Option<Endpoint>) -> RequestEcho<'static> {
    RequestEcho {
        endpoint,
        firehose_request_id: Some(b"ed4acda5-034f-9f42-bba1-f29aea6d7d8f"),
        now_millis: EPOCH_MILLIS,
        ..RequestEcho::default()
    }
}

fn rendered(request: &RequestEcho<'_>, cause: Cause) -> Reply {
    let mut reply = Reply::new();
    // What a former reply left must not shine through.
    reply.push("stale", Value::Number(1));
    reply.owned_body().extend_from_slice(b"stale");
    reply.close = true;
    render(request, &cause, &mut reply);
    assert_eq!(reply.field("stale"), None);
    reply
}

fn ingest(route: Route, cause: Cause) -> Reply {
    rendered(&echo(Some(Endpoint::Ingest(route))), cause)
}

fn body(reply: &Reply) -> String {
    String::from_utf8(reply.body.as_bytes().to_vec()).unwrap()
}

#[test]
fn every_refusal_has_its_status_and_form_at_every_endpoint() {
    for (cause, statuses) in refusals() {
        for ((endpoint, content_type), status) in COLUMNS.into_iter().zip(statuses) {
            let reply = rendered(&echo(endpoint), cause);
            assert_eq!(reply.status, status, "{endpoint:?} × {cause:?}");
            assert_eq!(reply.content_type, Some(content_type), "{endpoint:?} × {cause:?}");
            assert!(!reply.body.as_bytes().is_empty());
            assert!(reply.body.as_bytes().len() < 2048);
            if content_type == "application/json" {
                let value: serde_json::Value =
                    serde_json::from_slice(reply.body.as_bytes()).unwrap();
                assert!(value.is_object());
            }
            assert!(cause.is_refusal());
        }
    }
}

/// Which refusals end the connection: those after which the next request's place is not known, and
/// those that send the client elsewhere.
#[test]
fn the_connection_ends_where_it_cannot_go_on() {
    for (cause, _) in refusals() {
        let closes = matches!(
            cause,
            Cause::Head(_)
                | Cause::Chunk(_)
                | Cause::BodyTooLarge
                | Cause::BodyTimeout
                | Cause::HeadTimeout
                | Cause::JournalPoisoned
                | Cause::Draining
        );
        assert_eq!(ingest(Route::JsonLogs, cause).close, closes, "{cause:?}");
    }
    assert!(!ingest(Route::JsonLogs, Cause::Acknowledged(Verdict::default())).close);
}

#[test]
fn every_label_is_one_word_of_its_own_kind() {
    let labels: std::collections::BTreeSet<_> =
        refusals().iter().map(|(cause, _)| cause.metric_label()).collect();
    for label in &labels {
        assert!(
            label.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte == b'2')
        );
    }
    assert_eq!(labels.len(), 20, "{labels:?}");
}

/// Where no endpoint takes a request, its path tells who asks: datadogpy raises another error than its
/// own for what is not JSON.
#[test]
fn a_refusal_without_an_endpoint_has_the_form_of_those_who_ask() {
    const TEXT: &str = "text/plain; charset=utf-8";
    const JSON: &str = "application/json";
    let allow = "POST, OPTIONS";
    for (route, content_type, not_found, not_allowed) in [
        (None, TEXT, "there is no such endpoint\n", "the endpoint does not take this method\n"),
        (
            Some(Route::RemoteWrite),
            TEXT,
            "there is no such endpoint\n",
            "the endpoint does not take this method\n",
        ),
        (
            Some(Route::DatadogSeriesV1),
            JSON,
            "{\"errors\":[\"there is no such endpoint\"]}",
            "{\"errors\":[\"the endpoint does not take this method\"]}",
        ),
        (
            Some(Route::JsonLogs),
            JSON,
            "{\"error\":\"there is no such endpoint\"}",
            "{\"error\":\"the endpoint does not take this method\"}",
        ),
    ] {
        let reply = rendered(&echo(None), Cause::Route(RouteError::NotFound { route }));
        assert_eq!((reply.status, reply.content_type), (404, Some(content_type)), "{route:?}");
        assert_eq!(body(&reply), not_found);
        let cause = Cause::Route(RouteError::MethodNotAllowed { allow, route });
        let reply = rendered(&echo(None), cause);
        assert_eq!((reply.status, reply.content_type), (405, Some(content_type)), "{route:?}");
        assert_eq!(
            (body(&reply).as_str(), reply.field("allow")),
            (not_allowed, Some(Value::Static(allow)))
        );
    }
}

// ── Success ───────────────────────────────────────────────────────────────────────────────────

#[test]
fn full_success_is_what_each_sender_takes_for_success() {
    let verdict = Verdict { logs: 3, samples: 5, ..Verdict::default() };
    let rate = "{\"rate_by_service\":{\"service:,env:\":1}}";
    for (route, status, content_type, expected) in [
        (Route::RemoteWrite, 204, None, ""),
        (Route::ImportPrometheus, 204, None, ""),
        (Route::OtlpLogs, 200, Some("application/x-protobuf"), ""),
        (Route::OtlpTraces, 200, Some("application/x-protobuf"), ""),
        (Route::OtlpMetrics, 200, Some("application/x-protobuf"), ""),
        (Route::OtlpGrpcLogs, 200, Some("application/grpc"), ""),
        (Route::DatadogSeriesV1, 202, Some("application/json"), "{\"status\":\"ok\"}"),
        (Route::DatadogSeriesV2, 202, Some("application/json"), "{\"errors\":[]}"),
        (Route::DatadogTracesV03, 200, Some("text/plain; charset=utf-8"), "OK\n"),
        (Route::DatadogTracesV04, 200, Some("application/json"), rate),
        (Route::DatadogTracesV05, 200, Some("application/json"), rate),
        (Route::DatadogTracesV07, 200, Some("application/json"), rate),
        (
            Route::Firehose,
            200,
            Some("application/json"),
            "{\"requestId\":\"ed4acda5-034f-9f42-bba1-f29aea6d7d8f\",\"timestamp\":1795461630123}",
        ),
        (Route::JsonLogs, 200, Some("application/json"), "{}"),
    ] {
        let reply = ingest(route, Cause::Acknowledged(verdict));
        assert_eq!(reply.status, status, "{route:?}");
        assert_eq!(reply.content_type, content_type, "{route:?}");
        assert_eq!(body(&reply), expected, "{route:?}");
        // No Written headers for remote write 1.0.
        assert_eq!(reply.fields().count(), usize::from(route.is_of_tracers()), "{route:?}");
    }
    let json = RequestEcho { json: true, ..echo(Some(Endpoint::Ingest(Route::OtlpLogs))) };
    let reply = rendered(&json, Cause::Acknowledged(verdict));
    assert_eq!((reply.content_type, body(&reply).as_str()), (Some("application/json"), "{}"));
}

#[test]
fn partial_success_counts_what_was_rejected() {
    let verdict = Verdict {
        logs: 10,
        rejected: 300,
        first_reject: Some((RejectCause::OverLimit, 77)),
        ..Verdict::default()
    };
    let cause = Cause::Acknowledged(verdict);
    let message = "first at byte 77: over the limit of one record";

    // partial_success = 1 { rejected = 1, error_message = 2 }
    let mut inner = vec![0x08, 0xac, 0x02, 0x12, 46];
    inner.extend_from_slice(message.as_bytes());
    let mut expected = vec![0x0a, 51];
    expected.extend_from_slice(&inner);
    assert_eq!(message.len(), 46);
    let reply = ingest(Route::OtlpLogs, cause);
    assert_eq!(reply.status, 200);
    assert_eq!(reply.body.as_bytes(), expected);

    for (route, name) in [
        (Route::OtlpLogs, "rejectedLogRecords"),
        (Route::OtlpTraces, "rejectedSpans"),
        (Route::OtlpMetrics, "rejectedDataPoints"),
    ] {
        let json = RequestEcho { json: true, ..echo(Some(Endpoint::Ingest(route))) };
        assert_eq!(
            body(&rendered(&json, cause)),
            format!("{{\"partialSuccess\":{{\"{name}\":\"300\",\"errorMessage\":\"{message}\"}}}}")
        );
    }
    let reply = ingest(Route::JsonLogs, cause);
    assert_eq!(reply.status, 200);
    assert_eq!(body(&reply), format!("{{\"rejected\":300,\"error\":\"{message}\"}}"));
    // Datadog's V1 client takes any `errors` for a failure, and Firehose any unknown field.
    assert_eq!(body(&ingest(Route::DatadogSeriesV1, cause)), "{\"status\":\"ok\"}");
    assert!(!body(&ingest(Route::Firehose, cause)).contains("reject"));
}

/// What is at stake: a sender of 2.0 takes 2xx without counts for a failure, and one of 1.0 a count of
/// 0 for one. A count belongs to every request that was looked into, and to no other.
#[test]
fn remote_write_2_counts_what_was_written() {
    let written = |reply: &Reply| {
        ["samples", "histograms", "exemplars"].map(|kind| {
            reply
                .fields()
                .find(|(name, _)| *name == format!("x-prometheus-remote-write-{kind}-written"))
                .map(|(_, value)| match value {
                    Value::Number(number) => number,
                    other => panic!("{other:?}"),
                })
        })
    };
    let echo_1 = echo(Some(Endpoint::Ingest(Route::RemoteWrite)));
    let echo_2 = RequestEcho { remote_write_2: true, ..echo_1 };
    let whole = Verdict { samples: 7, histograms: 2, exemplars: 1, ..Verdict::default() };
    let part =
        Verdict { rejected: 3, first_reject: Some((RejectCause::TimeOutOfRange, 41)), ..whole };
    let reply = rendered(&echo_2, Cause::Acknowledged(whole));
    assert_eq!((reply.status, reply.content_type, body(&reply).as_str()), (204, None, ""));
    assert_eq!(written(&reply), [Some(7), Some(2), Some(1)]);
    assert_eq!(
        written(&rendered(&echo_2, Cause::Acknowledged(Verdict::default()))),
        [Some(0); 3],
        "nothing was sent, and all of it was written"
    );
    let reply = rendered(&echo_2, Cause::Acknowledged(part));
    assert_eq!((reply.status, reply.close), (400, false));
    assert_eq!(written(&reply), [Some(7), Some(2), Some(1)]);
    assert_eq!(
        body(&reply),
        "records rejected: 3; first at byte 41: a timestamp lies outside of the years 1677 to 2262\n"
    );
    for (cause, _) in refusals() {
        let counts = matches!(cause, Cause::PayloadTooLarge | Cause::Content(_) | Cause::Decode(_));
        let expected = if counts { [Some(0); 3] } else { [None; 3] };
        assert_eq!(written(&rendered(&echo_2, cause)), expected, "{cause:?}");
        assert_eq!(written(&rendered(&echo_1, cause)), [None; 3], "{cause:?}");
    }
    for verdict in [whole, part, Verdict::default()] {
        let reply = rendered(&echo_1, Cause::Acknowledged(verdict));
        assert_eq!((reply.status, written(&reply)), (204, [None; 3]));
    }
    // With everything a browser is told beside them, all of it fits.
    let browser = RequestEcho { origin: Some(b"https://example.com"), ..echo_2 };
    let reply = rendered(&browser, Cause::Acknowledged(whole));
    assert_eq!(written(&reply), [Some(7), Some(2), Some(1)]);
    assert!(reply.field("access-control-expose-headers").is_some());
}

#[test]
fn small_endpoints_answer_to_the_letter() {
    let at = |endpoint, cause| rendered(&echo(Some(endpoint)), cause);
    let reply = at(Endpoint::Health, Cause::Health);
    assert_eq!((reply.status, body(&reply).as_str()), (200, "OK\n"));
    let reply = at(Endpoint::DatadogValidate, Cause::ValidateOk);
    assert_eq!((reply.status, body(&reply).as_str()), (200, "{\"valid\":true}"));
    // vmagent compares the whole body with this one byte.
    let reply = at(Endpoint::VmHandshake, Cause::VmHandshake);
    assert_eq!((reply.status, body(&reply).as_str()), (200, "1"));
    let reply = at(Endpoint::DatadogValidate, Cause::Auth(AuthError::Invalid));
    assert_eq!(
        (reply.status, body(&reply).as_str()),
        (403, "{\"errors\":[\"the ingestion key is not valid\"]}")
    );
    let reply = at(Endpoint::Info, Cause::Info);
    let info: serde_json::Value = serde_json::from_slice(reply.body.as_bytes()).unwrap();
    assert_eq!(info["client_drop_p0s"], false);
    let listed: Vec<_> =
        info["endpoints"].as_array().unwrap().iter().map(|path| path.as_str().unwrap()).collect();
    let taken: Vec<_> =
        Route::ALL.iter().filter(|route| route.is_of_tracers()).map(|route| route.path()).collect();
    assert_eq!(listed, taken);
}

/// Java's tracer asks again at each flush where the state does not fit what it read.
#[test]
fn every_reply_to_a_tracer_has_the_state_of_info() {
    for &route in Route::ALL {
        for cause in [Cause::Acknowledged(Verdict::default()), Cause::Auth(AuthError::Missing)] {
            let reply = ingest(route, cause);
            let state = reply.field("datadog-agent-state");
            assert_eq!(state.is_some(), route.is_of_tracers(), "{route:?}");
        }
    }
}

#[test]
fn what_is_not_kept_is_answered_as_its_sender_needs_it() {
    for (unkept, status, text) in [
        (Unkept::CheckRun, 202, "{\"status\":\"ok\"}"),
        (Unkept::Intake, 200, "{}"),
        (Unkept::Metadata, 200, "{}"),
        (Unkept::HostMetadata, 202, "{\"status\":\"ok\"}"),
        (Unkept::Stats, 202, "{}"),
        (Unkept::Telemetry, 202, ""),
    ] {
        let echo = echo(Some(Endpoint::Unkept(unkept)));
        let reply = rendered(&echo, Cause::Unkept);
        assert_eq!((reply.status, body(&reply).as_str()), (status, text), "{unkept:?}");
        let reply = rendered(&echo, Cause::Auth(AuthError::Invalid));
        assert_eq!(reply.status, 401);
        assert_eq!(body(&reply), "{\"errors\":[\"the ingestion key is not valid\"]}");
    }
}

// ── Refusals to the byte ──────────────────────────────────────────────────────────────────────

const DECODE_TEXT: &str =
    "a varint is longer than ten bytes or exceeds 64 bits at byte 17 in log_records[3].time";

#[test]
fn a_decode_fault_is_named_with_its_place_in_every_form() {
    let cause = Cause::Decode(decode_error());
    assert_eq!(body(&ingest(Route::RemoteWrite, cause)), format!("{DECODE_TEXT}\n"));
    assert_eq!(
        body(&ingest(Route::DatadogSeriesV2, cause)),
        format!("{{\"errors\":[\"{DECODE_TEXT}\"]}}")
    );
    assert_eq!(body(&ingest(Route::JsonLogs, cause)), format!("{{\"error\":\"{DECODE_TEXT}\"}}"));
    assert_eq!(
        body(&ingest(Route::Firehose, cause)),
        format!(
            "{{\"requestId\":\"ed4acda5-034f-9f42-bba1-f29aea6d7d8f\",\
             \"timestamp\":1795461630123,\"errorMessage\":\"{DECODE_TEXT}\"}}"
        )
    );
    let json = RequestEcho { json: true, ..echo(Some(Endpoint::Ingest(Route::OtlpLogs))) };
    let status: serde_json::Value =
        serde_json::from_slice(rendered(&json, cause).body.as_bytes()).unwrap();
    assert_eq!(
        status,
        serde_json::json!({
            "code": 3,
            "message": DECODE_TEXT,
            "details": [{
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": [{ "field": "log_records[3].time", "description": DECODE_TEXT }],
            }],
        })
    );
}

/// `google.rpc.Status` as prost reads it: the Collector's exporter always parses the binary form.
#[test]
fn otlp_refusals_are_status_messages() {
    #[derive(Clone, PartialEq, prost::Message)]
    struct Status {
        #[prost(int32, tag = "1")]
        code: i32,
        #[prost(string, tag = "2")]
        message: String,
        #[prost(message, repeated, tag = "3")]
        details: Vec<Any>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    struct Any {
        #[prost(string, tag = "1")]
        type_url: String,
        #[prost(bytes = "vec", tag = "2")]
        value: Vec<u8>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    struct BadRequest {
        #[prost(message, repeated, tag = "1")]
        field_violations: Vec<FieldViolation>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    struct FieldViolation {
        #[prost(string, tag = "1")]
        field: String,
        #[prost(string, tag = "2")]
        description: String,
    }
    use prost::Message;

    for (cause, _) in refusals() {
        let reply = ingest(Route::OtlpLogs, cause);
        let status = Status::decode(reply.body.as_bytes()).unwrap();
        let expected = match (reply.status, cause) {
            (400 | 431, _) => 3,
            (401, _) => 16,
            (403, _) => 7,
            (404 | 405 | 415 | 501, _) => 12,
            (408, _) => 4,
            (413, _) | (503, Cause::Overloaded { .. } | Cause::JournalFull) => 8,
            (503, _) => 14,
            _ => 2,
        };
        assert_eq!(status.code, expected, "{cause:?}");
        assert!(!status.message.is_empty());
        // A violation without a field tells nothing that the message does not.
        let names_field = cause == Cause::Decode(decode_error());
        assert_eq!(status.details.len(), usize::from(names_field), "{cause:?}");
        let json = RequestEcho { json: true, ..echo(Some(Endpoint::Ingest(Route::OtlpLogs))) };
        assert_eq!(body(&rendered(&json, cause)).contains("fieldViolations"), names_field);
    }
    let reply = ingest(Route::OtlpLogs, Cause::Decode(decode_error()));
    let status = Status::decode(reply.body.as_bytes()).unwrap();
    assert_eq!(status.message, DECODE_TEXT);
    assert_eq!(status.details[0].type_url, "type.googleapis.com/google.rpc.BadRequest");
    let bad_request = BadRequest::decode(status.details[0].value.as_slice()).unwrap();
    assert_eq!(
        bad_request.field_violations,
        [FieldViolation { field: "log_records[3].time".into(), description: DECODE_TEXT.into() }]
    );
}

/// Fluent Bit and people behind the product's gateway know this text.
#[test]
fn json_logs_without_key_get_the_gateways_answer() {
    for error in [AuthError::Missing, AuthError::Invalid] {
        let reply = ingest(Route::JsonLogs, Cause::Auth(error));
        assert_eq!(body(&reply), "{\"error\": \"Authentication required\"}");
    }
    assert_eq!(
        body(&ingest(Route::RemoteWrite, Cause::Auth(AuthError::Missing))),
        "no ingestion key was presented\n"
    );
}

#[test]
fn texts_say_what_is_wrong_and_what_would_be_right() {
    for (route, cause, expected) in [
        (
            Route::RemoteWrite,
            Cause::Coding(CodingError::Unsupported),
            "the content coding is not one this endpoint reads; it reads snappy, zstd\n",
        ),
        (Route::RemoteWrite, Cause::BodyTooLarge, "the body is larger than 33554432 bytes\n"),
        (
            Route::RemoteWrite,
            Cause::PayloadTooLarge,
            "the decompressed body is larger than 33554432 bytes\n",
        ),
        (
            Route::RemoteWrite,
            Cause::Content(ContentError::Corrupt { offset: 12 }),
            "the compressed body is corrupt at byte 12\n",
        ),
        (
            Route::RemoteWrite,
            Cause::Head(HeadError::FieldFolded { offset: 40 }),
            "a line of the head begins with white space at byte 40\n",
        ),
    ] {
        assert_eq!(body(&ingest(route, cause)), expected);
    }
}

/// A refused method answers in the form of the path it was tried on.
#[test]
fn a_refused_method_keeps_the_form_of_its_path() {
    let cause = |route| {
        Cause::Route(RouteError::MethodNotAllowed { allow: "POST, OPTIONS", route: Some(route) })
    };
    let reply = rendered(&echo(None), cause(Route::JsonLogs));
    assert_eq!(body(&reply), "{\"error\":\"the endpoint does not take this method\"}");
    let reply = rendered(&echo(None), cause(Route::RemoteWrite));
    assert_eq!(body(&reply), "the endpoint does not take this method\n");
    let reply = rendered(
        &echo(None),
        Cause::Route(RouteError::GrpcNeedsHttp2 { route: Route::OtlpGrpcLogs }),
    );
    assert_eq!((reply.status, body(&reply).as_str()), (501, "gRPC needs HTTP/2\n"));
}

/// The request id is the peer's: it must come back as JSON whatever it holds.
#[test]
fn a_firehose_request_id_cannot_break_the_reply() {
    for (id, expected) in [
        (&b"plain"[..], "plain"),
        (b"", ""),
        (b"\"},\"x\":\"", "\"},\"x\":\""),
        (b"back\\slash", "back\\slash"),
        (b"\x01\x1f\x7f\t", "\x01\x1f\x7f\t"),
        ("ümlaut".as_bytes(), "ümlaut"),
        (b"bad\xff\xfeutf", "bad\u{fffd}\u{fffd}utf"),
    ] {
        let request = RequestEcho {
            firehose_request_id: Some(id),
            ..echo(Some(Endpoint::Ingest(Route::Firehose)))
        };
        for cause in [Cause::Acknowledged(Verdict::default()), Cause::Internal] {
            let reply = rendered(&request, cause);
            let value: serde_json::Value = serde_json::from_slice(reply.body.as_bytes()).unwrap();
            assert_eq!(value["requestId"], expected);
            assert_eq!(value["timestamp"], EPOCH_MILLIS, "a number, never a string");
            let keys = value.as_object().unwrap().len();
            assert_eq!(keys, if cause.is_refusal() { 3 } else { 2 }, "no unknown field");
        }
    }
}

// ── Browsers ──────────────────────────────────────────────────────────────────────────────────

fn value_of<'r>(reply: &'r Reply, name: &str) -> Option<&'r [u8]> {
    reply.field(name).map(|value| match value {
        Value::Static(text) => text.as_bytes(),
        Value::Bytes(bytes) => bytes,
        Value::Number(_) => panic!("{name} is a number"),
    })
}

#[test]
fn a_preflight_is_told_what_it_may_send() {
    let request = RequestEcho {
        origin: Some(b"https://shop.example"),
        requested_headers: Some(b"content-type, Authorization,x-custom"),
        ..echo(Some(Endpoint::Preflight))
    };
    let reply = rendered(&request, Cause::Preflight);
    assert_eq!((reply.status, reply.body.as_bytes()), (204, &b""[..]));
    assert_eq!(value_of(&reply, "access-control-allow-origin"), Some(&b"https://shop.example"[..]));
    assert_eq!(value_of(&reply, "access-control-allow-credentials"), Some(&b"true"[..]));
    assert_eq!(value_of(&reply, "access-control-allow-methods"), Some(&b"POST, PUT, OPTIONS"[..]));
    assert_eq!(
        value_of(&reply, "access-control-allow-headers"),
        Some(&b"content-type, Authorization,x-custom"[..])
    );
    assert_eq!(reply.field("access-control-max-age"), Some(Value::Number(3600)));
    assert_eq!(value_of(&reply, "vary"), Some(&b"origin"[..]));

    for odd in [&b""[..], b" , ", b"a b", b"a\x7f", b"a,b(c", &[b'x'; 10_000]] {
        let request = RequestEcho { requested_headers: Some(odd), ..request };
        let reply = rendered(&request, Cause::Preflight);
        let allowed = value_of(&reply, "access-control-allow-headers").unwrap();
        assert!(allowed.starts_with(b"content-type, content-encoding, authorization, "));
    }
}

/// Without these fields fetch throws, and the exporter takes the refusal for a network error.
#[test]
fn every_reply_to_a_browser_carries_its_origin() {
    for (cause, _) in refusals() {
        for (endpoint, _) in COLUMNS {
            let request = RequestEcho { origin: Some(b"null"), ..echo(endpoint) };
            let reply = rendered(&request, cause);
            assert_eq!(value_of(&reply, "access-control-allow-origin"), Some(&b"null"[..]));
            assert_eq!(
                value_of(&reply, "access-control-expose-headers"),
                Some(&b"retry-after"[..])
            );
            assert_eq!(value_of(&reply, "vary"), Some(&b"origin"[..]));
            let without = rendered(&echo(endpoint), cause);
            assert!(without.fields().all(|(name, _)| !name.starts_with("access-control")));
        }
    }
}

/// An origin that cannot be echoed must neither break the reply nor lose it its fields.
#[test]
fn an_origin_that_cannot_be_echoed_becomes_a_star() {
    for origin in [&[b'x'; 5000][..], b"a\xffb", b""] {
        let request =
            RequestEcho { origin: Some(origin), ..echo(Some(Endpoint::Ingest(Route::OtlpLogs))) };
        let reply = rendered(&request, Cause::Internal);
        assert_eq!(value_of(&reply, "access-control-allow-origin"), Some(&b"*"[..]));
        assert_eq!(reply.field("access-control-allow-credentials"), None);
    }
}

#[test]
fn texts_are_cut_at_a_character() {
    use std::fmt::Write as _;
    let mut text = Text::new();
    write!(text, "{}", "a".repeat(Text::SIZE_MAX - 1)).unwrap();
    write!(text, "é and what follows").unwrap();
    write!(text, "x").unwrap();
    assert_eq!(text.as_str(), "a".repeat(Text::SIZE_MAX - 1));
}
