//! RFC 9113, section 6: each frame's own rules.

use super::peer::{POST, Seen, Wire, block, ends_connection, feed, resets_stream};
use inrush::http::http2::ErrorCode;
use inrush::http::http2::frame::Kind;

/// 6.1
#[test]
fn data_loses_its_padding_and_keeps_its_end() {
    let mut padded = vec![5];
    padded.extend_from_slice(b"content");
    padded.extend_from_slice(&[0; 5]);
    let answer = feed(&Wire::new().post(1).frame(Kind::Data, 0x9, 1, &padded).post(3));
    assert_eq!(answer.seen[1], Seen::Data { stream: 1, bytes: b"content".to_vec(), ends: true });
    assert!(matches!(answer.seen[2], Seen::Head { stream: 3, .. }));
    ends_connection(&Wire::new().frame(Kind::Data, 0, 0, b"x"), ErrorCode::Protocol);
    let post = || Wire::new().post(1);
    ends_connection(&post().frame(Kind::Data, 0x8, 1, &[1]), ErrorCode::Protocol);
    ends_connection(&post().frame(Kind::Data, 0x8, 1, b""), ErrorCode::FrameSize);
    let all_padding = feed(&post().frame(Kind::Data, 0x9, 1, &[3, 0, 0, 0]));
    assert_eq!(all_padding.seen[1], Seen::Data { stream: 1, bytes: Vec::new(), ends: true });
}

/// The end often comes in an empty frame of its own.
#[test]
fn an_empty_frame_may_end_a_request() {
    let answer = feed(&Wire::new().post(1).data(1, false, b"abc").data(1, true, b""));
    assert_eq!(answer.seen[1], Seen::Data { stream: 1, bytes: b"abc".to_vec(), ends: true });
}

/// 6.2
#[test]
fn headers_lose_padding_and_priority() {
    let mut payload = vec![3];
    payload.extend_from_slice(&[0x80, 0, 0, 1, 16]);
    payload.extend_from_slice(&block(&POST));
    payload.extend_from_slice(&[0; 3]);
    let answer = feed(&Wire::new().frame(Kind::Headers, 0x2c, 1, &payload));
    assert!(matches!(answer.seen[..], [Seen::Head { stream: 1, .. }]), "{answer:?}");
    ends_connection(&Wire::new().frame(Kind::Headers, 0xc, 1, &[9, 0x82]), ErrorCode::Protocol);
    ends_connection(&Wire::new().frame(Kind::Headers, 0x24, 1, &[0; 4]), ErrorCode::FrameSize);
    ends_connection(&Wire::new().frame(Kind::Headers, 0xc, 1, b""), ErrorCode::FrameSize);
}

/// 6.3: wrong length is the stream's fault where there is a stream.
#[test]
fn priority_has_five_bytes() {
    let wire = Wire::new().post(1).frame(Kind::Priority, 0, 1, &[0; 4]);
    resets_stream(&wire, 1, ErrorCode::FrameSize);
    ends_connection(&Wire::new().frame(Kind::Priority, 0, 0, &[0; 5]), ErrorCode::Protocol);
}

/// 6.4
#[test]
fn a_reset_ends_its_stream() {
    let reset = |payload: &[u8]| Wire::new().post(1).frame(Kind::ResetStream, 0, 1, payload);
    let answer = feed(&reset(&[0, 0, 0, 8]));
    assert_eq!(answer.seen.last(), Some(&Seen::Reset { stream: 1 }));
    assert!(answer.resets().is_empty(), "never RST_STREAM for RST_STREAM");
    ends_connection(&reset(&[0; 3]), ErrorCode::FrameSize);
    ends_connection(&Wire::new().frame(Kind::ResetStream, 0, 0, &[0; 4]), ErrorCode::Protocol);
}

fn setting(identifier: u16, value: u32) -> Wire {
    let mut payload = identifier.to_be_bytes().to_vec();
    payload.extend_from_slice(&value.to_be_bytes());
    Wire::new().frame(Kind::Settings, 0, 0, &payload)
}

/// 6.5
#[test]
fn settings_have_bounds_and_unknown_ones_none() {
    for (identifier, value) in [(1, 0), (2, 1), (4, 0x7fff_ffff), (5, 16_384), (5, (1 << 24) - 1)] {
        assert_eq!(feed(&setting(identifier, value)).error, None, "{identifier} {value}");
    }
    for (identifier, value) in [(0xfe03, 1), (0x9, 1), (0x0a0a, u32::MAX)] {
        assert_eq!(feed(&setting(identifier, value)).error, None, "{identifier} {value}");
    }
    ends_connection(&setting(2, 2), ErrorCode::Protocol);
    ends_connection(&setting(4, 0x8000_0000), ErrorCode::FlowControl);
    ends_connection(&setting(5, 16_383), ErrorCode::Protocol);
    ends_connection(&setting(5, 1 << 24), ErrorCode::Protocol);
    ends_connection(&Wire::new().frame(Kind::Settings, 0, 0, &[0; 5]), ErrorCode::FrameSize);
    ends_connection(&Wire::new().frame(Kind::Settings, 1, 0, &[0; 6]), ErrorCode::FrameSize);
    ends_connection(&Wire::new().frame(Kind::Settings, 0, 1, b""), ErrorCode::Protocol);
}

/// 6.6
#[test]
fn clients_do_not_push() {
    ends_connection(&Wire::new().frame(Kind::PushPromise, 4, 1, &[0; 4]), ErrorCode::Protocol);
}

/// 6.7
#[test]
fn pings_are_answered_and_answers_are_not() {
    let answer = feed(&Wire::new().frame(Kind::Ping, 0, 0, b"abcdefgh").frame(
        Kind::Ping,
        1,
        0,
        b"abcdefgh",
    ));
    let pings = answer.sent_of(Kind::Ping);
    assert_eq!(pings.len(), 1);
    assert_eq!((pings[0].flags, pings[0].payload.as_slice()), (1, &b"abcdefgh"[..]));
    ends_connection(&Wire::new().frame(Kind::Ping, 0, 0, &[0; 7]), ErrorCode::FrameSize);
    ends_connection(&Wire::new().frame(Kind::Ping, 0, 1, &[0; 8]), ErrorCode::Protocol);
}

/// 6.8
#[test]
fn a_client_may_say_goodbye_and_go_on() {
    let answer = feed(&Wire::new().frame(Kind::GoAway, 0, 0, &[0; 8]).post(1));
    assert!(matches!(answer.seen[..], [Seen::Head { stream: 1, .. }]));
    ends_connection(&Wire::new().frame(Kind::GoAway, 0, 0, &[0; 7]), ErrorCode::FrameSize);
}

/// 6.9
#[test]
fn windows_grow_by_something_and_not_too_far() {
    let update = |stream, increment: u32| {
        Wire::new().post(1).frame(Kind::WindowUpdate, 0, stream, &increment.to_be_bytes())
    };
    assert_eq!(feed(&update(0, 5)).error, None);
    ends_connection(&update(0, 0), ErrorCode::Protocol);
    resets_stream(&update(1, 0), 1, ErrorCode::Protocol);
    ends_connection(&update(0, 0x7fff_ffff), ErrorCode::FlowControl);
    resets_stream(&update(1, 0x7fff_ffff), 1, ErrorCode::FlowControl);
    ends_connection(&Wire::new().frame(Kind::WindowUpdate, 0, 0, &[0; 3]), ErrorCode::FrameSize);
    // 6.9.2: a change of the initial size may carry a stream's window over the top.
    let wire = Wire::new().post(1).frame(Kind::WindowUpdate, 0, 1, &[0x7f, 0, 0, 0]).frame(
        Kind::Settings,
        0,
        0,
        &[0, 4, 0x7f, 0xff, 0xff, 0xff],
    );
    ends_connection(&wire, ErrorCode::FlowControl);
}
