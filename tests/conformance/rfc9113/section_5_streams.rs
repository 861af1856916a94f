//! RFC 9113, section 5: streams, their states and their windows.

use super::peer::{POST, Seen, Wire, ends_connection, feed, feed_whole, resets_stream};
use inrush::http::http2::ErrorCode;
use inrush::http::http2::frame::Kind;

/// 5.1: nothing but HEADERS and PRIORITY may touch an idle stream.
#[test]
fn idle_streams_take_headers_and_priority_alone() {
    for (kind, payload) in
        [(Kind::Data, &b"x"[..]), (Kind::ResetStream, &[0; 4]), (Kind::WindowUpdate, &[0, 0, 0, 1])]
    {
        ends_connection(&Wire::new().frame(kind, 0, 1, payload), ErrorCode::Protocol);
    }
    assert_eq!(feed(&Wire::new().frame(Kind::Priority, 0, 1, &[0; 5])).error, None);
}

/// 5.1: what follows END_STREAM.
#[test]
fn a_complete_request_takes_no_more() {
    let complete = || Wire::new().headers(1, true, &POST);
    resets_stream(&complete().data(1, true, b"x"), 1, ErrorCode::StreamClosed);
    resets_stream(&complete().headers(1, true, &POST), 1, ErrorCode::StreamClosed);
    let window = complete().frame(Kind::WindowUpdate, 0, 1, &[0, 0, 0, 1]);
    assert_eq!(feed(&window).error, None);
    assert!(feed(&window).resets().is_empty());
}

/// 5.1: what was under way when we reset a stream is passed over, and its header block still decoded.
#[test]
fn frames_behind_our_reset_are_passed_over() {
    let wire = Wire::new()
        .headers(1, false, &[(":method", "POST")])
        .data(1, false, &[b'x'; 300])
        .headers(1, true, &[("trailer", "1")])
        .frame(Kind::WindowUpdate, 0, 1, &[0, 0, 0, 1])
        .post(3);
    let answer = feed(&wire);
    assert_eq!(answer.error, None);
    assert_eq!(answer.resets(), [(1, ErrorCode::Protocol.number())]);
    assert!(matches!(answer.seen[..], [Seen::Head { stream: 3, .. }]));
}

/// 5.1.1: numbers of streams are odd and rise.
#[test]
fn stream_numbers_are_odd_and_rise() {
    ends_connection(&Wire::new().post(2), ErrorCode::Protocol);
    ends_connection(&Wire::new().post(5).post(3), ErrorCode::StreamClosed);
    let skipping = feed(&Wire::new().post(1).post(101));
    assert_eq!(skipping.seen.len(), 2);
    ends_connection(&Wire::new().frame(Kind::Headers, 4, 0, b""), ErrorCode::Protocol);
}

/// 5.1.2: one more than we announced is refused, and may be repeated.
#[test]
fn streams_above_the_limit_are_refused() {
    let mut wire = Wire::new().frame(Kind::Settings, 1, 0, b"");
    for index in 0..101 {
        wire = wire.post(2 * index + 1);
    }
    let answer = feed_whole(&wire);
    assert_eq!(answer.seen.len(), 100);
    assert_eq!(answer.resets(), [(201, ErrorCode::RefusedStream.number())]);
}

/// 5.1: what was under way on a refused stream is no fault: its sender may have sent a whole window.
#[test]
fn data_of_refused_streams_is_passed_over() {
    let mut wire = Wire::new().frame(Kind::Settings, 1, 0, b"");
    for index in 0..100 {
        wire = wire.post(2 * index + 1);
    }
    for index in 100..600 {
        let id = 2 * index + 1;
        wire = wire.post(id).data(id, false, &[0; 300]).data(id, true, &[0; 300]);
    }
    let answer = feed_whole(&wire);
    assert_eq!(answer.error, None, "{:?}", answer.sent.last());
    assert_eq!(answer.resets().len(), 600 - 100);
}

/// 5.2, 6.9: padding and bytes of dead streams count on the connection's window and come back.
#[test]
fn the_connection_window_comes_back_whatever_became_of_the_bytes() {
    let mut padded = vec![200];
    padded.extend_from_slice(&[b'x'; 16_000]);
    let mut wire = Wire::new().headers(1, false, &[(":method", "POST")]);
    for _ in 0..600 {
        wire = wire.frame(Kind::Data, 0x8, 1, &padded);
    }
    let answer = feed_whole(&wire);
    assert_eq!(answer.error, None, "9.6 MB passed a window of 8 MiB");
    let given: u64 = answer
        .sent_of(Kind::WindowUpdate)
        .iter()
        .filter(|sent| sent.stream == 0)
        .map(|sent| u64::from(u32::from_be_bytes(sent.payload[..4].try_into().unwrap())))
        .sum();
    assert!(given > 8 * 1024 * 1024);
}

#[test]
fn a_stream_window_must_be_kept() {
    let within = (0..4).fold(Wire::new().post(1), |wire, _| wire.data(1, false, &[0; 60_000]));
    assert_eq!(feed_whole(&within).resets(), []);
    let wire = within.data(1, false, &[0; 25_000]);
    let answer = feed_whole(&wire);
    assert_eq!(answer.resets(), [(1, ErrorCode::FlowControl.number())]);
    assert_eq!(answer.seen.last(), Some(&Seen::Reset { stream: 1 }));
}
