//! Refusals: Trailers-Only, codes, messages and details.

use super::peer::{LOGS, Reply, TRACES, complete, field, log, message, span, start};
use crate::server::KEY;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use inrush::http::grpc::code;
use inrush::http::http2::frame::{Kind, flag};

/// Path, fields and DATA.
type Call<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [u8]);

/// One HEADERS frame that ends the stream, whatever the fault.
#[test]
fn refusals_are_trailers_alone() {
    let fixture = start();
    let message = message(0, &log("text"));
    let calls: [Call<'_>; 6] = [
        // A head that is too large is a refused call too.
        (LOGS, &[("x", "y"); 120], &message),
        (LOGS, &[("apikey", "wrong")], &message),
        ("/unknown.Service/Method", &[], &message),
        (LOGS, &[("grpc-timeout", "x")], &message),
        (LOGS, &[], &message[..6]),
        (LOGS, &[], b"\0\0\0\0\x01\xff"),
    ];
    for (path, fields, body) in calls {
        let mut peer = fixture.connect();
        let id = peer.head(path, &complete(fields), false);
        peer.data(id, body, true);
        let reply = loop {
            let frame = peer.frame().unwrap();
            if frame.header.stream == id {
                break frame;
            }
        };
        assert_eq!(reply.header.kind, Kind::Headers, "{path}");
        assert!(reply.header.has(flag::END_STREAM | flag::END_HEADERS));
    }
}

#[test]
fn messages_are_percent_encoded() {
    let fixture = start();
    for body in [&b"\0\0\0\0\x01\xff"[..], b"\x07\0\0\0\0", b""] {
        let reply = fixture.call_with(LOGS, &[], body);
        let message = reply.field("grpc-message").unwrap();
        assert!(message.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{message}");
        assert!(message.len() < 1024);
    }
}

/// Where the fault stands, as over HTTP/1.1.
#[test]
fn a_broken_request_is_named_by_its_field() {
    let fixture = start();
    let broken = field(1, &field(2, &field(2, &[0x2a, 9, 1])));
    let reply = fixture.call_with(LOGS, &[], &message(0, &broken));
    reply.is_refused(code::INVALID_ARGUMENT);
    let words = reply.field("grpc-message").unwrap();
    assert!(words.contains("resource_logs[0].scope_logs[0]"), "{words}");
    // The same for programs: a BadRequest that names the field, and nothing that asks to repeat it.
    let details = STANDARD_NO_PAD.decode(reply.field("grpc-status-details-bin").unwrap()).unwrap();
    assert_eq!(details[..2], [0x08, code::INVALID_ARGUMENT]);
    let has = |text: &[u8]| details.windows(text.len()).any(|window| window == text);
    assert!(has(b"google.rpc.BadRequest") && has(b"resource_logs[0].scope_logs[0]"));
    assert!(!has(b"RetryInfo"));
}

/// OK all the same: the message says how many were not kept, and why.
#[test]
fn partial_success_is_a_success() {
    let fixture = start();
    let content = [span(16), span(3)].concat();
    let reply = fixture.call_with(TRACES, &[], &message(0, &content));
    let partial = reply.ok();
    assert_eq!(partial[0], 0x0a, "partial_success");
    assert_eq!(&partial[2..4], [0x08, 1], "rejected_spans");
    assert_eq!(partial[4], 0x12, "error_message");
    assert_eq!(fixture.kept(), 1.0);
}

/// A length-delimited field of a message, by its number.
fn inside(message: &[u8], number: u8) -> Vec<u8> {
    let mut rest = message;
    while let [tag, behind @ ..] = rest {
        let (length, behind) = behind.split_first().unwrap();
        if tag & 7 == 0 {
            assert!(*length < 0x80);
            rest = behind;
            continue;
        }
        let (mut length, mut behind) = (usize::from(*length), behind);
        if length >= 0x80 {
            length = (length & 0x7f) | usize::from(behind[0]) << 7;
            behind = &behind[1..];
        }
        let (content, behind) = behind.split_at(length);
        if tag >> 3 == number {
            return content.to_vec();
        }
        rest = behind;
    }
    panic!("no field {number} in {}", message.escape_ascii());
}

/// Told to come again: without RetryInfo some exporters drop.
fn asks_to_come_again(reply: &Reply, expected: u8) {
    reply.is_refused(expected);
    let decoded = |name| STANDARD_NO_PAD.decode(reply.field(name).unwrap()).unwrap();
    let status = decoded("grpc-status-details-bin");
    assert_eq!(status[..2], [0x08, expected], "the same code");
    assert_eq!(inside(&status, 2), reply.field("grpc-message").unwrap().as_bytes());
    let any = inside(&status, 3);
    assert_eq!(inside(&any, 1), b"type.googleapis.com/google.rpc.RetryInfo");
    let retry_info = inside(&any, 2);
    let delay = inside(&retry_info, 1);
    assert!(delay[0] == 0x08 && delay[1] >= 1, "whole seconds: {delay:?}");
    assert_eq!(decoded("google.rpc.retryinfo-bin"), retry_info, "Python's exporter reads this one");
}

/// A server that drains is UNAVAILABLE, with a time to come again; calls under way are answered.
#[test]
fn a_draining_server_is_unavailable() {
    let fixture = start();
    let mut peer = fixture.connect();
    let message = message(0, &log("under way"));
    let open = peer.head(LOGS, &complete(&[]), false);
    peer.data(open, &message[..8], false);
    // A whole exchange, so that the server has read what came before it.
    peer.call(&[], &[&message]).ok();
    fixture.server.signal(15);
    let go_away = peer.wait_for(Kind::GoAway);
    assert_eq!(go_away.payload, [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0], "no limit yet, no error");
    let late = peer.head(LOGS, &complete(&[]), false);
    let reply = peer.reply(late);
    asks_to_come_again(&reply, code::UNAVAILABLE);
    peer.data(open, &message[8..], true);
    peer.reply(open).ok();
    // The PING says that GOAWAY was read; then the last stream is named.
    let ping = peer.wait_for(Kind::Ping);
    peer.send(Kind::Ping, flag::ACK, 0, &ping.payload);
    let last = peer.wait_for(Kind::GoAway);
    assert_eq!(last.payload, [late.to_be_bytes(), [0; 4]].concat());
    assert!(peer.frame().is_none(), "and the connection ends");
}

/// Secrets stand in no reply.
#[test]
fn no_refusal_repeats_a_key() {
    let fixture = start();
    let path = format!("/unknown/{KEY}");
    for reply in [fixture.call_with(&path, &[], b""), fixture.call_with(LOGS, &[], b"")] {
        assert!(!format!("{:?}", reply.head).contains(KEY));
    }
}
