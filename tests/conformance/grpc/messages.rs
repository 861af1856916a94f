//! Messages: five bytes of prefix and a content, cut into DATA frames anywhere.

use super::peer::{LOGS, complete, log, message, start};
use inrush::http::grpc::code;
use inrush::http::http2::frame::{Kind, flag};

#[test]
fn a_message_may_be_cut_at_each_index() {
    let fixture = start();
    let mut peer = fixture.connect();
    let message = message(0, &log("a record"));
    for cut in 0..=message.len() {
        let (first, second) = message.split_at(cut);
        peer.call(&[], &[first, second]).ok();
        // The end in a frame of its own, as clients do that half-close late.
        peer.call(&[], &[first, second, b""]).ok();
    }
    assert_eq!(fixture.kept(), 2.0 * (message.len() + 1) as f64);
}

#[test]
fn a_message_may_come_byte_by_byte_and_empty_between() {
    let fixture = start();
    let mut peer = fixture.connect();
    let message = message(0, &log("text"));
    let pieces: Vec<&[u8]> = message.chunks(1).collect();
    peer.call(&[], &pieces).ok();
    let with_empty: Vec<&[u8]> = pieces.iter().flat_map(|piece| [&b""[..], piece]).collect();
    peer.call(&[], &with_empty).ok();
    assert_eq!(fixture.kept(), 2.0);
}

/// Larger than a frame, than a stream's first window, than what is journalled packed.
#[test]
fn a_message_may_take_many_frames() {
    let fixture = start();
    for size in [16_384, 65_535, 70_000, 3_000_000] {
        fixture.call_with(LOGS, &[], &message(0, &log(&"x".repeat(size)))).ok();
    }
    assert_eq!(fixture.kept(), 4.0);
}

#[test]
fn padding_is_no_part_of_a_message() {
    let fixture = start();
    let mut peer = fixture.connect();
    let message = message(0, &log("text"));
    let id = peer.head(LOGS, &complete(&[]), false);
    for (index, byte) in message.iter().enumerate() {
        let ends = if index + 1 == message.len() { flag::END_STREAM } else { 0 };
        peer.send(Kind::Data, flag::PADDED | ends, id, &[3, *byte, 0, 0, 0]);
    }
    peer.reply(id).ok();
    assert_eq!(fixture.kept(), 1.0);
}

/// A client that ends its call by trailers.
#[test]
fn trailers_may_end_a_call() {
    let fixture = start();
    let mut peer = fixture.connect();
    let id = peer.head(LOGS, &complete(&[]), false);
    peer.data(id, &message(0, &log("text")), false);
    peer.send(Kind::Headers, flag::END_HEADERS | flag::END_STREAM, id, b"");
    peer.reply(id).ok();
    assert_eq!(fixture.kept(), 1.0);
}

#[test]
fn an_empty_message_is_a_message() {
    let fixture = start();
    assert_eq!(fixture.call_with(LOGS, &[], &message(0, b"")).ok(), b"");
    assert_eq!(fixture.kept(), 0.0);
}

#[test]
fn a_call_without_a_message_is_unimplemented() {
    let fixture = start();
    fixture.call_with(LOGS, &[], b"").is_refused(code::UNIMPLEMENTED);
    let mut peer = fixture.connect();
    let id = peer.head(LOGS, &complete(&[]), true);
    peer.reply(id).is_refused(code::UNIMPLEMENTED);
    peer.call(&[], &[b"", b"", b""]).is_refused(code::UNIMPLEMENTED);
}

#[test]
fn a_message_that_breaks_off_is_an_internal_fault() {
    let fixture = start();
    let mut peer = fixture.connect();
    let message = message(0, &log("a record"));
    for cut in 1..message.len() {
        peer.call(&[], &[&message[..cut]]).is_refused(code::INTERNAL);
        peer.call(&[], &[&message[..1], &message[1..cut], b""]).is_refused(code::INTERNAL);
    }
    assert_eq!(fixture.kept(), 0.0);
}

#[test]
fn the_flag_is_zero_or_one() {
    let fixture = start();
    let mut peer = fixture.connect();
    for bad in [2, 3, 0x80, 0x81, 0xff] {
        let message = message(bad, &log("text"));
        peer.call(&[], &[&message]).is_refused(code::INTERNAL);
        peer.call(&[], &[&message[..3], &message[3..]]).is_refused(code::INTERNAL);
    }
    assert_eq!(fixture.kept(), 0.0);
}

/// Nothing of it is kept, also where the first message is complete before the second is seen.
#[test]
fn two_messages_in_a_unary_call_are_unimplemented() {
    let fixture = start();
    let mut peer = fixture.connect();
    let one = message(0, &log("text"));
    let two = one.repeat(2);
    for cut in 0..=two.len() {
        let (first, second) = two.split_at(cut);
        let id = peer.head(LOGS, &complete(&[]), false);
        peer.data(id, first, false);
        peer.data(id, second, true);
        peer.reply(id).is_refused(code::UNIMPLEMENTED);
    }
    peer.call(&[], &[&one, &message(0, b"")]).is_refused(code::UNIMPLEMENTED);
    assert_eq!(fixture.kept(), 0.0);
}

/// The length is anybody's word: the refusal comes before the content.
#[test]
fn a_message_may_be_too_large() {
    let fixture = start();
    let mut peer = fixture.connect();
    for length in [u32::MAX, 1 << 31, 1 << 30, 128 << 20] {
        let prefix = [&[0][..], &length.to_be_bytes()].concat();
        let id = peer.head(LOGS, &complete(&[]), false);
        peer.data(id, &prefix, false);
        peer.reply(id).is_refused(code::RESOURCE_EXHAUSTED);
        peer.wait_for(Kind::ResetStream);
    }
    // And in one piece with its end, where it is only a lie.
    let prefix = [&[0][..], &u32::MAX.to_be_bytes()].concat();
    peer.call(&[], &[&prefix]).is_refused(code::RESOURCE_EXHAUSTED);
}

/// Calls of one connection are independent: their frames may be mixed in any order.
#[test]
fn calls_may_be_interleaved() {
    let fixture = start();
    let mut peer = fixture.connect();
    let message = message(0, &log("text"));
    let ids: Vec<u32> = (0..20).map(|_| peer.head(LOGS, &complete(&[]), false)).collect();
    for piece in message.chunks(4) {
        for &id in &ids {
            peer.data(id, piece, false);
        }
    }
    // Answered one by one, in whichever order they end.
    for &id in ids.iter().rev() {
        peer.data(id, b"", true);
        peer.reply(id).ok();
    }
    assert_eq!(fixture.kept(), 20.0);
}
