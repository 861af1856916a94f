//! RFC 9113, section 6: each frame's own rules.

use super::peer::{POST, Seen, Wire, block, ends_connection, feed, frames, resets_stream};
use inrush::http::http2::frame::Kind;
use inrush::http::http2::hpack::FieldList;
use inrush::http::http2::{ErrorCode, Event, Session, Step};

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

/// 6.8: whoever has not read the last GOAWAY yet goes on for a while, and that ends nobody else's call.
#[test]
fn what_comes_behind_the_last_goaway_is_passed_over() {
    let mut session = Session::new(0);
    let (mut fields, mut out) = (FieldList::new(), Vec::new());
    let mut feed = |session: &mut Session, wire: Wire| {
        let mut start = 0;
        loop {
            match session.step(&wire.0[start..], &mut fields, &mut out, 1).unwrap() {
                Step { used: 0, event: None } => return std::mem::take(&mut out),
                step => start += step.used,
            }
        }
    };
    feed(&mut session, Wire::new().post(1).data(1, false, b"half"));
    let mut announced = Vec::new();
    session.announce_end(&mut announced, 1);
    let said = feed(&mut session, Wire::default().frame(Kind::Ping, 1, 0, b"draining"));
    assert_eq!(frames(&said).last().unwrap().payload[..4], [0, 0, 0, 1], "stream 1 is served");
    let late = Wire::default()
        .post(3)
        .frame(Kind::WindowUpdate, 0, 3, &[0, 0, 0, 9])
        .data(3, false, &[0; 1000])
        .frame(Kind::ResetStream, 0, 3, &[0, 0, 0, 8])
        .post(5)
        .data(5, true, b"x");
    assert!(feed(&mut session, late).is_empty());
    feed(&mut session, Wire::default().data(1, true, b" and half"));
    assert!(session.reply(1, &[0x88], b"", b"", &mut Vec::new()));
    assert!(session.has_ended());
}

/// 6.9: windows are given in lots, and never beyond what is wanted.
#[test]
fn a_body_costs_few_window_updates() {
    const SIZE: u64 = 1_000_009;
    for frame_size in [16_384usize, 65_536] {
        let mut session = Session::new(0);
        let (mut fields, mut out) = (FieldList::new(), Vec::new());
        let mut wire = Wire::new().post(1).0;
        let (mut window, mut sent, mut seen, mut updates) = (262_143i64, 0, 0, 0);
        while seen < SIZE {
            let count = (SIZE - sent).min(frame_size as u64).min(u64::try_from(window).unwrap());
            let count = usize::try_from(count).unwrap();
            wire = Wire(wire).data(1, sent + count as u64 == SIZE, &vec![7; count]).0;
            sent += count as u64;
            window -= i64::try_from(count).unwrap();
            let mut start = 0;
            // In the pieces that a receive buffer has.
            while start < wire.len() {
                let end = wire.len().min(start + 16_384);
                let step = session.step(&wire[start..end], &mut fields, &mut out, 1).unwrap();
                start += step.used;
                if let Some(Event::Data { bytes, .. }) = step.event {
                    seen += bytes.len() as u64;
                    session.expect(1, SIZE - seen, 8 << 20, &mut out);
                } else if step.used == 0 {
                    assert!(end < wire.len(), "a frame is not taken");
                }
            }
            wire.clear();
            for frame in frames(&std::mem::take(&mut out)) {
                if frame.kind == Kind::WindowUpdate && frame.stream == 1 {
                    updates += 1;
                    window += i64::from(u32::from_be_bytes(frame.payload.try_into().unwrap()));
                }
            }
            assert!(sent == SIZE || window > 0, "the sender is never left without a window");
            assert!(sent as i64 + window <= SIZE as i64 + 262_143, "no more than is wanted");
        }
        assert!(updates <= 3, "{updates} updates for frames of {frame_size}");
    }
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
