//! `grpc.health.v1.Health` (grpc `doc/health-checking.md`), as load balancers ask it.

use super::peer::{Fixture, HEALTH, LOGS, METRICS, TRACES, complete, field, message, start};
use inrush::http::grpc::code;
use inrush::http::http2::frame::Kind;

const SERVING: [u8; 2] = [0x08, 1];
const NOT_SERVING: [u8; 2] = [0x08, 2];

fn check(fixture: &Fixture, request: &[u8]) -> super::peer::Reply {
    // Without a key: whoever asks may send nothing.
    fixture.call_with(HEALTH, &[("apikey", "")], &message(0, request))
}

#[test]
fn the_server_and_its_services_are_serving() {
    let fixture = start();
    assert_eq!(check(&fixture, b"").ok(), SERVING);
    assert_eq!(check(&fixture, &field(1, b"")).ok(), SERVING);
    for path in [LOGS, TRACES, METRICS] {
        let service = path.trim_start_matches('/').trim_end_matches("/Export");
        assert_eq!(check(&fixture, &field(1, service.as_bytes())).ok(), SERVING);
    }
}

#[test]
fn an_unknown_service_is_not_found() {
    let fixture = start();
    let prefix = "opentelemetry.proto.collector.logs.v1.Logs";
    for service in ["unknown", prefix, &"x".repeat(300)] {
        check(&fixture, &field(1, service.as_bytes())).is_refused(code::NOT_FOUND);
    }
}

#[test]
fn watch_and_list_are_unimplemented() {
    let fixture = start();
    for method in ["Watch", "List", "check"] {
        let path = format!("/grpc.health.v1.Health/{method}");
        fixture.call_with(&path, &[], &message(0, b"")).is_refused(code::UNIMPLEMENTED);
    }
}

#[test]
fn a_check_is_one_message_like_any_call() {
    let fixture = start();
    let mut peer = fixture.connect();
    let whole = message(0, &field(1, b"unknown"));
    let mut ask = |pieces: &[&[u8]]| {
        let id = peer.head(HEALTH, &complete(&[("apikey", "")]), false);
        for (index, piece) in pieces.iter().enumerate() {
            peer.data(id, piece, index + 1 == pieces.len());
        }
        peer.reply(id)
    };
    for cut in 0..=whole.len() {
        let (first, second) = whole.split_at(cut);
        ask(&[first, second, b""]).is_refused(code::NOT_FOUND);
    }
    ask(&[b""]).is_refused(code::UNIMPLEMENTED);
    ask(&[&whole[..4]]).is_refused(code::INTERNAL);
    ask(&[&message(0, b"").repeat(2)]).is_refused(code::UNIMPLEMENTED);
    ask(&[&message(2, b"")]).is_refused(code::INTERNAL);
    ask(&[&message(0, &[0; 2000])]).is_refused(code::RESOURCE_EXHAUSTED);
}

/// Clients with a default coding compress this message too.
#[test]
fn a_compressed_check_is_told_so() {
    let fixture = start();
    let call = |encoding, body: &[u8]| {
        fixture.call_with(HEALTH, &[("grpc-encoding", encoding)], &message(1, body))
    };
    call("", b"x").is_refused(code::INTERNAL);
    call("identity", b"x").is_refused(code::INTERNAL);
    call("br", b"x").is_refused(code::UNIMPLEMENTED);
    let asks = |content: &[u8]| {
        use std::io::Write as _;
        let level = flate2::Compression::default();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
        encoder.write_all(content).unwrap();
        call("gzip", &encoder.finish().unwrap())
    };
    assert_eq!(asks(b"").ok(), SERVING);
    asks(&field(1, b"unknown")).is_refused(code::NOT_FOUND);
    asks(&[0; 100_000]).is_refused(code::RESOURCE_EXHAUSTED);
    call("gzip", b"x").is_refused(code::INTERNAL);
}

/// Balancers take a draining server out before its sockets close.
#[test]
fn a_draining_server_is_not_serving() {
    let fixture = start();
    let mut peer = fixture.connect();
    // Keeps the connection open.
    let open = peer.head(LOGS, &complete(&[]), false);
    let ask = |peer: &mut super::peer::Peer| {
        let id = peer.head(HEALTH, &complete(&[]), false);
        peer.data(id, &message(0, b""), true);
        peer.reply(id)
    };
    assert_eq!(ask(&mut peer).ok(), SERVING);
    fixture.server.signal(15);
    peer.wait_for(Kind::GoAway);
    assert_eq!(ask(&mut peer).ok(), NOT_SERVING);
    peer.data(open, &message(0, b""), true);
    peer.reply(open).ok();
}
