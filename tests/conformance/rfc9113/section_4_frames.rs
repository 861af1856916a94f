//! RFC 9113, section 4: frames and header blocks.

use super::peer::{POST, Seen, Wire, block, ends_connection, feed};
use inrush::http::http2::ErrorCode;
use inrush::http::http2::frame::Kind;

/// 4.1: unknown types, and flags that a type does not define, are ignored.
#[test]
fn unknown_frames_are_ignored() {
    let wire = Wire::new()
        .frame(Kind::Unknown(0x10), 0xff, 0, b"priority update")
        .frame(Kind::Unknown(0xaa), 0, 7, b"")
        .frame(Kind::Ping, 0xf0, 0, b"12345678")
        .post(1);
    let answer = feed(&wire);
    assert_eq!(answer.error, None);
    assert_eq!(answer.sent_of(Kind::Ping)[0].payload, b"12345678");
    assert!(matches!(answer.seen[..], [Seen::Head { stream: 1, .. }]));
}

/// 4.1: the reserved bit is ignored.
#[test]
fn the_reserved_bit_means_nothing() {
    let mut wire = Wire::new();
    let start = wire.0.len();
    wire = wire.post(1);
    wire.0[start + 5] |= 0x80;
    assert!(matches!(feed(&wire).seen[..], [Seen::Head { stream: 1, .. }]));
}

/// 4.2: a frame above our maximum.
#[test]
fn frames_have_a_largest_size() {
    let wire = Wire::new().post(1).frame(Kind::Data, 0, 1, &vec![0; 64 * 1024]);
    let answer = super::peer::feed_whole(&wire);
    assert_eq!((answer.error, answer.resets()), (None, Vec::new()), "the largest is taken");
    let mut wire = Wire::new().post(1);
    wire.0.extend_from_slice(&[1, 0, 1, 0, 0, 0, 0, 0, 1]);
    ends_connection(&wire, ErrorCode::FrameSize);
}

/// 4.3: a block in parts is one block, and nothing comes between them.
#[test]
fn header_blocks_may_be_cut_anywhere() {
    let whole = block(&POST);
    for cut in 0..=whole.len() {
        let wire = Wire::new()
            .frame(Kind::Headers, 0, 1, &whole[..cut])
            .frame(Kind::Continuation, 0, 1, b"")
            .frame(Kind::Continuation, 0x4, 1, &whole[cut..]);
        assert!(matches!(feed(&wire).seen[..], [Seen::Head { stream: 1, ends: false, .. }]));
    }
    let open = || Wire::new().frame(Kind::Headers, 0, 1, &whole);
    ends_connection(&open().frame(Kind::Ping, 0, 0, &[0; 8]), ErrorCode::Protocol);
    ends_connection(&open().frame(Kind::Unknown(0x20), 0, 0, b""), ErrorCode::Protocol);
    ends_connection(&open().frame(Kind::Continuation, 4, 3, b""), ErrorCode::Protocol);
    ends_connection(&open().headers(3, false, &POST), ErrorCode::Protocol);
    ends_connection(&Wire::new().frame(Kind::Continuation, 4, 1, b""), ErrorCode::Protocol);
}

/// 4.3: a block that does not decode ends the connection, as the tables may differ.
#[test]
fn a_broken_block_ends_the_connection() {
    ends_connection(&Wire::new().frame(Kind::Headers, 0x5, 1, &[0x80]), ErrorCode::Compression);
    ends_connection(
        &Wire::new().frame(Kind::Headers, 0x5, 1, &[0x82, 0x41, 0x05, b'a']),
        ErrorCode::Compression,
    );
}
