//! Work for nothing: each known attack is ended by its own limit, and honest traffic meets none.

use super::peer::{POST, Wire, block, feed_whole};
use inrush::counters::Abuse;
use inrush::http::http2::abuse::Ledger;
use inrush::http::http2::frame::Kind;
use inrush::http::http2::hpack::FieldList;
use inrush::http::http2::{ErrorCode, Session, Step};

/// Whether it is ended, and with which words.
#[track_caller]
fn is_ended(wire: &Wire, words: &str) {
    let answer = feed_whole(wire);
    assert_eq!(answer.error, Some(ErrorCode::EnhanceYourCalm));
    let last = answer.sent.last().unwrap();
    assert_eq!(last.kind, Kind::GoAway);
    assert_eq!(last.payload[8..].escape_ascii().to_string(), words);
}

fn repeated(count: u32, mut step: impl FnMut(Wire, u32) -> Wire) -> Wire {
    (0..count).fold(Wire::new(), |wire, index| step(wire, 2 * index + 1))
}

/// CVE-2023-44487
#[test]
fn rapid_reset() {
    let wire = repeated(2000, |wire, id| {
        wire.headers(id, true, &POST).frame(Kind::ResetStream, 0, id, &[0, 0, 0, 8])
    });
    is_ended(&wire, "too_many_resets");
}

/// CVE-2025-8671: faults that make the server reset.
#[test]
fn made_you_reset() {
    let ways: [fn(Wire, u32) -> Wire; 5] = [
        |wire, id| wire.frame(Kind::WindowUpdate, 0, id, &[0; 4]),
        |wire, id| wire.frame(Kind::WindowUpdate, 0, id, &[0x7f, 0xff, 0xff, 0xff]),
        |wire, id| wire.frame(Kind::Priority, 0, id, &[0; 4]),
        |wire, id| wire.data(id, true, b"x"),
        |wire, id| wire.headers(id, true, &POST),
    ];
    for way in ways {
        let wire = repeated(500, |wire, id| way(wire.headers(id, true, &POST), id));
        is_ended(&wire, "too_many_stream_errors");
    }
}

/// Streams above the limit, for ever.
#[test]
fn refused_streams() {
    is_ended(&repeated(4000, |wire, id| wire.headers(id, true, &POST)), "too_many_refused_streams");
}

/// DATA on streams that are over, beyond what could have been under way.
#[test]
fn data_on_dead_streams() {
    let dead = Wire::new().post(1).frame(Kind::ResetStream, 0, 1, &[0, 0, 0, 8]);
    let wire = (0..3000).fold(dead, |wire, _| wire.data(1, false, &[0; 300]));
    is_ended(&wire, "too_many_useless_frames");
}

/// CVE-2024-27316 and its kin: CONTINUATION without end, in many frames and in large ones.
#[test]
fn continuation_flood() {
    let start = || Wire::new().frame(Kind::Headers, 0, 1, &block(&POST));
    let many = (0..300).fold(start(), |wire, _| wire.frame(Kind::Continuation, 0, 1, b"a"));
    is_ended(&many, "too_many_continuations");
    let large = (0..10).fold(start(), |wire, _| wire.frame(Kind::Continuation, 0, 1, &[0; 60_000]));
    is_ended(&large, "header_list_too_large");
}

/// CVE-2016-6581: one large table entry, named again and again. And its sister with a tiny one.
#[test]
fn header_bombs() {
    for length in [4000usize, 1] {
        let mut payload = block(&POST);
        payload.push(0x40);
        payload.extend_from_slice(&[1, b'x', 0x7f]);
        let mut rest = length.saturating_sub(127);
        if length < 127 {
            payload.pop();
            payload.push(u8::try_from(length).unwrap());
        } else {
            while rest >= 128 {
                payload.push(u8::try_from(rest & 127).unwrap() | 128);
                rest >>= 7;
            }
            payload.push(u8::try_from(rest).unwrap());
        }
        payload.extend(std::iter::repeat_n(b'v', length));
        // Index 62 is the newest entry.
        payload.extend(std::iter::repeat_n(0x80 | 62, 20_000));
        is_ended(&Wire::new().frame(Kind::Headers, 0x5, 1, &payload), "header_list_too_large");
    }
}

/// A list over the limit, but not absurd, gets its reply.
#[test]
fn a_list_over_the_limit_is_one_requests_fault() {
    let fields: Vec<_> = POST.iter().copied().chain((0..150).map(|_| ("cookie", "a"))).collect();
    let answer = feed_whole(&Wire::new().headers(1, true, &fields).post(3));
    assert_eq!(answer.error, None);
    assert_eq!(answer.seen[0], super::peer::Seen::TooLarge { stream: 1 });
    assert_eq!(answer.seen.len(), 2);
}

/// CVE-2019-9515
#[test]
fn settings_flood() {
    let wire = repeated(200, |wire, _| wire.frame(Kind::Settings, 0, 0, b""));
    is_ended(&wire, "too_many_settings");
    let long = Wire::new().frame(Kind::Settings, 0, 0, &[0, 9, 0, 0, 0, 0].repeat(33));
    is_ended(&long, "too_many_settings");
}

/// CVE-2019-9512
#[test]
fn ping_flood() {
    is_ended(&repeated(2000, |wire, _| wire.frame(Kind::Ping, 0, 0, &[0; 8])), "too_many_pings");
}

/// CVE-2019-9518
#[test]
fn empty_and_tiny_data() {
    for bytes in [&b""[..], b"x"] {
        let wire = (0..20_000).fold(Wire::new().post(1), |wire, _| wire.data(1, false, bytes));
        is_ended(&wire, "too_many_small_data_frames");
    }
}

/// CVE-2019-9511
#[test]
fn window_update_flood() {
    let wire = repeated(20_000, |wire, _| wire.frame(Kind::WindowUpdate, 0, 0, &[0, 0, 0, 1]));
    is_ended(&wire, "too_many_window_updates");
}

/// CVE-2019-9513
#[test]
fn priority_and_unknown_floods() {
    let wire = repeated(3000, |wire, id| wire.frame(Kind::Priority, 0, id, &[0; 5]));
    is_ended(&wire, "too_many_priorities");
    let wire = repeated(3000, |wire, _| wire.frame(Kind::Unknown(99), 0, 0, b""));
    is_ended(&wire, "too_many_useless_frames");
}

/// Legal, if odd: a call's bytes and its head in frames of one byte.
#[test]
fn frames_of_one_byte_are_only_slow() {
    let coded = block(&POST);
    let mut wire = Wire::new().frame(Kind::Headers, 0, 1, &coded[..1]);
    for (index, byte) in coded.iter().enumerate().skip(1) {
        let flags = if index + 1 == coded.len() { 0x4 } else { 0 };
        wire = wire.frame(Kind::Continuation, flags, 1, &[*byte]);
    }
    for index in 0..8000 {
        wire = wire.data(1, index == 7999, b"x");
    }
    let answer = feed_whole(&wire);
    assert_eq!(answer.error, None, "{:?}", answer.sent.last());
}

/// A full journal, or a key that is wrong: calls are refused from their heads alone, one after the other,
/// while their bodies are under way.
#[test]
fn calls_that_are_refused_early_meet_no_limit() {
    let mut session = Session::new(0);
    let (mut fields, mut out) = (FieldList::new(), Vec::new());
    let mut start = Wire::new().frame(Kind::Settings, 1, 0, b"").0;
    for call in 0..5000u32 {
        let id = 2 * call + 1;
        let head = Wire(std::mem::take(&mut start)).post(id);
        step_all(&mut session, &head.0, &mut fields, &mut out).unwrap();
        assert!(session.reply(id, &[0x88], b"", b"", &mut out));
        // Its sender has not heard of it yet, and then takes back what is left.
        let rest = Wire::default().data(id, false, &[0; 500]).data(id, false, &[0; 4]).frame(
            Kind::ResetStream,
            0,
            id,
            &[0, 0, 0, 8],
        );
        step_all(&mut session, &rest.0, &mut fields, &mut out).unwrap();
        out.clear();
    }
}

fn step_all(
    session: &mut Session,
    bytes: &[u8],
    fields: &mut FieldList,
    out: &mut Vec<u8>,
) -> Result<(), inrush::http::http2::SessionError> {
    let mut start = 0;
    loop {
        match session.step(&bytes[start..], fields, out, 1)? {
            Step { used: 0, event: None } => return Ok(()),
            step => start += step.used,
        }
    }
}

/// A gRPC client for days: calls with a ping, window updates and a prefix of its own frame each; now and
/// then a deadline that expires.
#[test]
fn honest_traffic_meets_no_limit() {
    let mut session = Session::new(0);
    let (mut fields, mut out) = (FieldList::new(), Vec::new());
    let mut bytes = Wire::new().0;
    for call in 0..100_000u32 {
        let id = 2 * call + 1;
        let mut wire = Wire(std::mem::take(&mut bytes))
            .post(id)
            .frame(Kind::WindowUpdate, 0, 0, &[0, 0, 0, 5])
            .frame(Kind::WindowUpdate, 0, id, &[0, 0, 0, 5])
            .frame(Kind::Ping, 0, 0, &u64::from(call).to_be_bytes())
            .data(id, false, &[0, 0, 0, 0, 9])
            .data(id, true, b"012345678");
        let is_taken_back = call % 16 == 0;
        if is_taken_back {
            wire = wire.frame(Kind::ResetStream, 0, id, &[0, 0, 0, 8]);
        }
        // A hundred calls a millisecond of one second: no rate gives anything back.
        let mut start = 0;
        loop {
            match session.step(&wire.0[start..], &mut fields, &mut out, 1).unwrap() {
                Step { used: 0, event: None } => break,
                step => start += step.used,
            }
        }
        if !is_taken_back {
            assert!(session.reply(id, &[0x88], b"", b"", &mut out));
            session.note_answered();
        }
        out.clear();
    }
    assert!(session.is_empty());
}

#[test]
fn allowances_come_back_with_time() {
    let mut ledger = Ledger::default();
    for _ in 0..512 {
        ledger.note(Abuse::Pings, 0).unwrap();
    }
    assert_eq!(ledger.note(Abuse::Pings, 0), Err(Abuse::Pings));
    for second in 1..60u64 {
        for _ in 0..10 {
            ledger.note(Abuse::Pings, (second + 1) * 1_000_000_000).unwrap();
        }
    }
}
