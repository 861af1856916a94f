//! Ends: `close_notify` (RFC 8446, section 6.1), truncation, replies behind the peer's end.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;

use super::{BODY, World, post};
use crate::server::{read_reply, request};

#[test]
fn the_last_reply_is_followed_by_close_notify() {
    let world = World::start(&[]);
    let mut stream = world.connect(&world.client(&["http/1.1"]));
    let close = [("Content-Type", "application/json"), ("Connection", "close")];
    stream.write_all(&request("POST", "/json/logs", &close, BODY)).unwrap();
    assert_eq!(read_reply(&mut stream).unwrap().status, 200);
    // Without it this is `UnexpectedEof`.
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

/// A refusal in the middle of an upload reaches the peer, though it goes on sending.
#[test]
fn an_early_refusal_arrives() {
    let world = World::start(&[]);
    let mut stream = world.connect(&world.client(&["http/1.1"]));
    stream
        .write_all(b"POST /json/logs HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
        .unwrap();
    for _ in 0..10 {
        if stream.write_all(&[b' '; 16 * 1024]).is_err() {
            break;
        }
    }
    assert_eq!(read_reply(&mut stream).unwrap().status, 401);
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

#[test]
fn replies_go_out_behind_the_peers_end() {
    let world = World::start(&[]);
    let mut stream = world.connect(&world.client(&["http/1.1"]));
    let json = [("Content-Type", "application/json")];
    stream.write_all(&request("POST", "/json/logs", &json, BODY)).unwrap();
    stream.conn.send_close_notify();
    stream.flush().unwrap();
    stream.sock.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_reply(&mut stream).unwrap().status, 200);
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

/// Many peers close without a word when they are done; it costs nobody anything.
#[test]
fn an_end_between_requests_needs_no_word() {
    let world = World::start(&[]);
    let mut stream = world.connect(&world.client(&["http/1.1"]));
    assert_eq!(post(&mut stream).unwrap().status, 200);
    stream.sock.shutdown(Shutdown::Both).unwrap();
    let page = world.server.get_admin("/metrics").text();
    assert!(!page.contains("\ninrush_tls_failures_total{"), "{page}");
}

#[test]
fn a_truncated_body_is_not_kept() {
    let world = World::start(&[]);
    for with_word in [false, true] {
        let mut stream = world.connect(&world.client(&["http/1.1"]));
        let json = [("Content-Type", "application/json")];
        let whole = request("POST", "/json/logs", &json, BODY);
        stream.write_all(&whole[..whole.len() - 1]).unwrap();
        if with_word {
            stream.conn.send_close_notify();
        }
        stream.flush().unwrap();
        stream.sock.shutdown(Shutdown::Write).unwrap();
        let end = stream.read(&mut [0]);
        let is_end = match &end {
            Ok(count) => *count == 0,
            Err(error) => error.kind() == ErrorKind::UnexpectedEof,
        };
        assert!(is_end, "{end:?}");
    }
    let kept = "inrush_records_total{signal=\"logs\",tenant=\"acme\"}";
    assert_eq!(world.server.metric(kept), 0.0);
    assert_eq!(post(&mut world.connect(&world.client(&[]))).unwrap().status, 200);
}

/// A drain answers what is in flight and says so.
#[test]
fn a_drain_ends_sessions_properly() {
    let world = World::start(&[]);
    let mut idle = world.connect(&world.client(&["http/1.1"]));
    assert_eq!(post(&mut idle).unwrap().status, 200);
    let (server, folder) = world.into_parts();
    assert!(server.stop().success());
    assert_eq!(idle.read(&mut [0]).unwrap(), 0);
    drop(folder);
}
