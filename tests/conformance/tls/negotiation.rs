//! Versions (RFC 8446, RFC 5246), application protocols (RFC 7301), resumption, early data.

use std::io::{Read, Write};
use std::sync::Arc;

use inrush::http::http2::PREFACE;
use rustls::{HandshakeKind, ProtocolVersion, version};

use super::{BODY, World, client, post};
use crate::server::{read_reply, request};

#[test]
fn both_versions_are_spoken() {
    let world = World::start(&[]);
    for (version, spoken) in
        [(&version::TLS12, ProtocolVersion::TLSv1_2), (&version::TLS13, ProtocolVersion::TLSv1_3)]
    {
        let mut stream =
            world.connect(&Arc::new(client(&world.development(), version, &["http/1.1"])));
        assert_eq!(post(&mut stream).unwrap().status, 200);
        assert_eq!(stream.conn.protocol_version(), Some(spoken));
    }
}

/// RFC 7301, section 3.2: the server's order holds; an unknown protocol beside a known one is no harm.
#[test]
fn h2_is_preferred_and_spoken_at_once() {
    let world = World::start(&[]);
    for protocols in [&["h2"] as &[&str], &["http/1.1", "h2"], &["foo", "h2", "http/1.1"]] {
        let mut stream = world.connect(&world.client(protocols));
        stream.write_all(PREFACE).unwrap();
        stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).unwrap();
        let mut header = [0; 9];
        stream.read_exact(&mut header).unwrap();
        assert_eq!(stream.conn.alpn_protocol(), Some(b"h2".as_slice()));
        assert_eq!(header[3], 4, "the first frame of a server is SETTINGS");
    }
}

#[test]
fn http11_is_spoken_where_it_is_asked_for_or_nothing_is() {
    let world = World::start(&[]);
    let asked = &["http/1.1"] as &[&str];
    for (protocols, agreed) in [(asked, Some(b"http/1.1".as_slice())), (&[], None)] {
        let mut stream = world.connect(&world.client(protocols));
        assert_eq!(post(&mut stream).unwrap().status, 200);
        assert_eq!(stream.conn.alpn_protocol(), agreed);
        // And goes on.
        assert_eq!(post(&mut stream).unwrap().status, 200);
    }
}

/// Old gRPC stacks negotiate nothing and begin with the preface.
#[test]
fn h2_is_recognised_without_alpn() {
    let world = World::start(&[]);
    let mut stream = world.connect(&world.client(&[]));
    stream.write_all(PREFACE).unwrap();
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).unwrap();
    let mut header = [0; 9];
    stream.read_exact(&mut header).unwrap();
    assert_eq!(header[3], 4);
}

/// RFC 7301, section 3.2: no protocol in common is a fatal alert.
#[test]
fn an_unknown_protocol_alone_is_refused() {
    let world = World::start(&[]);
    let mut stream = world.connect(&world.client(&["foo"]));
    let error = stream.write_all(b"x").unwrap_err().to_string();
    assert!(error.contains("NoApplicationProtocol"), "{error}");
    let failures = "inrush_tls_failures_total{cause=\"no_application_protocol\"}";
    assert_eq!(world.server.metric(failures), 1.0);
}

#[test]
fn sessions_are_resumed() {
    let world = World::start(&[]);
    for version in [&version::TLS12, &version::TLS13] {
        let config = Arc::new(client(&world.development(), version, &["http/1.1"]));
        for expected in [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed] {
            let mut stream = world.connect(&config);
            assert_eq!(post(&mut stream).unwrap().status, 200);
            assert_eq!(stream.conn.handshake_kind(), Some(expected));
        }
    }
    assert_eq!(world.server.metric("inrush_tls_handshakes_total{kind=\"resumed\"}"), 4.0);
    assert_eq!(world.server.metric("inrush_tls_handshakes_total{kind=\"full\"}"), 2.0);
}

/// RFC 8446, section 8: early data can be replayed, so a resumed client is never allowed any.
#[test]
fn early_data_is_never_offered() {
    let world = World::start(&[]);
    let mut config = client(&world.development(), &version::TLS13, &["http/1.1"]);
    config.enable_early_data = true;
    let config = Arc::new(config);
    for _ in 0..2 {
        let mut stream = world.connect(&config);
        assert!(stream.conn.early_data().is_none());
        assert_eq!(post(&mut stream).unwrap().status, 200);
    }
}

/// Tenants without a key are for listeners in the clear on this machine.
#[test]
fn nobody_is_let_in_over_tls_without_a_key() {
    let world = World::start(&["--http-tenant", "dev"]);
    let keyless = request("POST", "/json/logs", &[("apikey", "")], BODY);
    let mut plain = world.server.connect();
    plain.write_all(&keyless).unwrap();
    assert_eq!(read_reply(&mut plain).unwrap().status, 200);
    let mut stream = world.connect(&world.client(&["http/1.1"]));
    stream.write_all(&keyless).unwrap();
    assert_eq!(read_reply(&mut stream).unwrap().status, 401);
}
