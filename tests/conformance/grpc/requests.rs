//! Requests: path, method, `te`, content type, metadata and keys.

use super::peer::{LOGS, METRICS, Reply, TRACES, call, complete, gauge, log, message, span, start};
use crate::server::{KEY, read_reply, request};
use inrush::http::grpc::code;
use inrush::http::http2::ErrorCode;
use inrush::http::http2::frame::Kind;

#[test]
fn the_three_services_answer_with_a_message_and_trailers() {
    let fixture = start();
    for (path, content) in [(LOGS, log("text")), (TRACES, span(16)), (METRICS, gauge())] {
        let reply = fixture.call_with(path, &[], &message(0, &content));
        assert_eq!(reply.ok(), b"", "nothing was rejected: {path}");
        let names: Vec<_> = reply.trailers.iter().flatten().map(|(name, _)| name).collect();
        assert_eq!(names, ["grpc-status"]);
    }
    assert_eq!(fixture.kept(), 3.0);
}

#[test]
fn unknown_services_and_methods_are_unimplemented() {
    let fixture = start();
    for path in [
        "/opentelemetry.proto.collector.logs.v1.LogsService/Import",
        "/opentelemetry.proto.collector.logs.v1.LogsService",
        "/opentelemetry.proto.collector.logs.v2.LogsService/Export",
        "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
        // Paths are case-sensitive.
        "/opentelemetry.proto.collector.logs.v1.LogsService/export",
        "/Opentelemetry.proto.collector.logs.v1.LogsService/Export",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/",
    ] {
        fixture.call_with(path, &[], &message(0, &log("text"))).is_refused(code::UNIMPLEMENTED);
    }
    assert_eq!(fixture.kept(), 0.0);
}

#[test]
fn the_method_is_post() {
    let fixture = start();
    for method in ["GET", "PUT", "DELETE"] {
        let reply = call(&fixture.server, method, LOGS, &complete(&[]), b"");
        assert_eq!((reply.status, reply.code()), (405, None), "{method}");
        assert!(reply.field("allow").unwrap().contains("POST"));
    }
}

/// Proxies drop it, and nothing here depends on it. Any other value is no HTTP/2 (RFC 9113, 8.2.2).
#[test]
fn te_says_trailers_or_is_not_there() {
    let fixture = start();
    fixture.call(&[("te", "")]).ok();
    let mut peer = fixture.connect();
    let reply = peer.call(&[("te", "gzip")], &[&message(0, &log("text"))]);
    assert_eq!(reply.reset, Some(ErrorCode::Protocol.number()));
}

#[test]
fn the_content_type_is_grpc_alone_or_with_protobuf() {
    let fixture = start();
    for good in [
        "application/grpc",
        "application/grpc+proto",
        "application/grpc;charset=utf-8",
        "application/grpc; charset=utf-8",
        "application/grpc+proto; charset=utf-8",
        "Application/gRPC",
    ] {
        fixture.call(&[("content-type", good)]).ok();
    }
    assert_eq!(fixture.kept(), 6.0);
}

/// So that no client takes for gRPC what is none.
#[test]
fn other_content_types_are_answered_with_415() {
    let fixture = start();
    for bad in [
        "",
        "application/grpc-web",
        "application/grpc-web+proto",
        "application/grpc-web-text",
        "application/grpcs",
        "application/gRP",
        "application/x-protobuf",
        "application/json",
        "text/plain",
    ] {
        let reply = fixture.call(&[("content-type", bad)]);
        assert_eq!((reply.status, reply.code()), (415, None), "{bad}: {reply:?}");
    }
    assert_eq!(fixture.kept(), 0.0);
}

/// A format that gRPC allows and this server does not read.
#[test]
fn other_formats_of_messages_are_unimplemented() {
    let fixture = start();
    for format in ["application/grpc+json", "application/grpc+thrift", "application/grpc+"] {
        fixture.call(&[("content-type", format)]).is_refused(code::UNIMPLEMENTED);
    }
}

/// Custom metadata, binary or not, is nobody's business here.
#[test]
fn unknown_metadata_is_ignored() {
    let fixture = start();
    let reply = fixture.call(&[
        ("user-agent", "grpc-go/1.76.0"),
        ("grpc-accept-encoding", "identity,deflate,gzip"),
        ("accept-encoding", "identity"),
        ("grpc-trace-bin", "AAAR/o+1Ym=="),
        ("x-custom-bin", "AQI,AwQ"),
        ("grpc-previous-rpc-attempts", "2"),
        ("grpc-unknown", "x"),
    ]);
    reply.ok();
}

#[test]
fn a_key_may_stand_in_every_field_that_the_server_reads() {
    let fixture = start();
    let bearer = format!("Bearer {KEY}");
    use base64::Engine as _;
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("groundcover:{KEY}"));
    let basic = format!("Basic {basic}");
    for (name, value) in [
        ("token", KEY),
        ("api_key", KEY),
        ("dd-api-key", KEY),
        ("x-amz-firehose-access-key", KEY),
        ("authorization", KEY),
        ("authorization", &bearer),
        ("authorization", &basic),
    ] {
        fixture.call(&[("apikey", ""), (name, value)]).ok();
    }
    // Where one is wrong, another may be right.
    fixture.call(&[("apikey", "wrong"), ("token", KEY)]).ok();
    assert_eq!(fixture.kept(), 8.0);
}

#[test]
fn without_a_good_key_a_call_is_unauthenticated() {
    let fixture = start();
    let other = "another-key-0123456789";
    let calls: [&[(&str, &str)]; 5] = [
        &[("apikey", "")],
        &[("apikey", other)],
        &[("apikey", ""), ("authorization", "Bearer another-key-0123456789")],
        &[("apikey", ""), ("authorization", "Basic !!")],
        &[("apikey", ""), ("x-unknown-key", KEY)],
    ];
    for fields in calls {
        let reply: Reply = fixture.call(fields);
        reply.is_refused(code::UNAUTHENTICATED);
        assert!(!reply.field("grpc-message").unwrap().contains(other));
    }
    assert_eq!(fixture.kept(), 0.0);
}

/// The client must not go on with a long upload: RST_STREAM(NO_ERROR) behind the trailers.
#[test]
fn an_early_refusal_ends_the_upload() {
    let fixture = start();
    let mut peer = fixture.connect();
    let id = peer.head(LOGS, &complete(&[("apikey", "")]), false);
    peer.reply(id).is_refused(code::UNAUTHENTICATED);
    let reset = peer.wait_for(Kind::ResetStream);
    assert_eq!((reset.header.stream, reset.payload), (id, vec![0; 4]));
    // What was under way is no fault of the peer's.
    peer.data(id, &[0; 1000], false);
    peer.data(id, &[0; 1000], true);
    peer.call(&[], &[&message(0, &log("next"))]).ok();
}

#[test]
fn http_1_has_no_grpc() {
    let fixture = start();
    let mut stream = fixture.server.connect();
    let bytes = request("POST", LOGS, &[("Content-Type", "application/grpc")], b"");
    std::io::Write::write_all(&mut stream, &bytes).unwrap();
    assert_eq!(read_reply(&mut stream).unwrap().status, 501);
}
