//! RFC 7541, section 5: integers and strings.

use super::blocks::{NOT_INDEXED, decode_fresh, number, pairs, refuses, size_update};
use inrush::http::http2::hpack::{HpackError, huffman, integer};

/// 5.1: every width of prefix, around each place where a further byte begins.
#[test]
fn integers_return_from_every_prefix() {
    for bits in 1..=8 {
        let edge = (1usize << bits) - 1;
        let around = |number: usize| [number.saturating_sub(1), number, number + 1];
        let edges = [0, edge, edge + 127, edge + (1 << 14), edge + (1 << 21) - 1];
        for value in edges.into_iter().flat_map(around) {
            let bytes = number(0, bits, value);
            assert_eq!(integer::decode(bytes[0], bits, &bytes[1..]), Ok((value, &b""[..])));
            for cut in 1..bytes.len() {
                let cut_off = integer::decode(bytes[0], bits, &bytes[1..cut]);
                assert_eq!(cut_off, Err(HpackError::Truncated), "{value} cut at {cut}");
            }
        }
    }
}

/// 5.1: what stands above the prefix is not part of the number.
#[test]
fn bits_above_the_prefix_do_not_count() {
    assert_eq!(integer::decode(0b1110_0101, 5, b""), Ok((5, &b""[..])));
    assert_eq!(integer::decode(0b0001_1111, 4, &[3]), Ok((18, &b""[..])));
}

/// 5.1: too large a value or too many bytes are errors, also where the bytes carry nothing.
#[test]
fn over_long_integers_are_errors() {
    let too_large = Err(HpackError::IntegerTooLarge);
    let largest = [0xff, 0xff, 0xff, 0x7f];
    assert_eq!(integer::decode(0x7f, 7, &largest), Ok((127 + (1 << 28) - 1, &b""[..])));
    assert_eq!(integer::decode(0x7f, 7, &[0xff; 10]), too_large);
    assert_eq!(integer::decode(0x7f, 7, &[0x80, 0x80, 0x80, 0x80, 0]), too_large);
    assert_eq!(integer::decode(0x7f, 7, &[0x80; 100_000]), too_large);
    // A few zeroes are wasteful and no error.
    assert_eq!(integer::decode(0x7f, 7, &[0x80, 0x80, 0]), Ok((127, &b""[..])));
    for first in [0xff, 0x7f, 0x3f, 0x1f, 0x0f] {
        refuses(&[&[first][..], &[0xff; 12]].concat(), HpackError::IntegerTooLarge);
    }
    refuses(&[&[NOT_INDEXED, 0x7f][..], &[0x80; 12]].concat(), HpackError::IntegerTooLarge);
}

/// 5.2: a string of the length that it states, or an error.
#[test]
fn strings_are_complete() {
    refuses(&[NOT_INDEXED], HpackError::Truncated);
    refuses(&[NOT_INDEXED, 1], HpackError::Truncated);
    refuses(&[NOT_INDEXED, 1, b'a'], HpackError::Truncated);
    refuses(&[NOT_INDEXED, 1, b'a', 2, b'b'], HpackError::Truncated);
    refuses(&[NOT_INDEXED, 1, b'a', 0x82, 0xff], HpackError::Truncated);
    // A length in the gigabytes asks for no memory.
    refuses(&[&[NOT_INDEXED, 1, b'a'][..], &number(0, 7, 1 << 27)].concat(), HpackError::Truncated);
    assert_eq!(decode_fresh(&[NOT_INDEXED, 1, b'a', 0]), Ok(pairs(&[("a", "")])));
    // Empty in Huffman code.
    assert_eq!(decode_fresh(&[NOT_INDEXED, 1, b'a', 0x80]), Ok(pairs(&[("a", "")])));
    // Names may be, as far as this layer goes.
    assert_eq!(decode_fresh(&[NOT_INDEXED, 0, 0]), Ok(pairs(&[("", "")])));
}

/// Bits to bytes, filled up with ones.
pub fn pack(codes: &[(u32, u8)]) -> Vec<u8> {
    let mut bits: Vec<bool> = Vec::new();
    for (code, length) in codes {
        bits.extend((0..*length).rev().map(|bit| code >> bit & 1 == 1));
    }
    let byte = |bits: &[bool]| {
        (0..8).fold(0, |byte, bit| byte << 1 | u8::from(*bits.get(bit).unwrap_or(&true)))
    };
    bits.chunks(8).map(byte).collect()
}

fn decoded(coded: &[u8]) -> Result<Vec<u8>, HpackError> {
    let mut text = Vec::new();
    let length = huffman::decode(coded, usize::MAX, &mut text)?;
    assert_eq!(length, text.len());
    Ok(text)
}

/// Codes of the RFC's table, of each length, with their bytes.
const CODES: [(u8, (u32, u8)); 16] = [
    (b'0', (0x0, 5)),
    (b't', (0x9, 5)),
    (b' ', (0x14, 6)),
    (b':', (0x5c, 7)),
    (b'X', (0xfc, 8)),
    (b'!', (0x3f8, 10)),
    (b'|', (0x7fc, 11)),
    (b'#', (0xffa, 12)),
    (0, (0x1ff8, 13)),
    (b'^', (0x3ffc, 14)),
    (b'{', (0x7ffe, 15)),
    (b'\\', (0x7fff0, 19)),
    (0x80, (0xfffe6, 20)),
    (0x99, (0x1fffdc, 21)),
    (b'\n', (0x3ffffffc, 30)),
    (0x16, (0x3ffffffe, 30)),
];

/// 5.2 and appendix B: codes of every length, alone and next to every other.
#[test]
fn huffman_codes_of_every_length() {
    for (first, first_code) in CODES {
        assert_eq!(decoded(&pack(&[first_code])), Ok(vec![first]));
        for (second, second_code) in CODES {
            assert_eq!(decoded(&pack(&[first_code, second_code])), Ok(vec![first, second]));
        }
    }
}

/// 5.2: fewer than eight bits of padding, all of them ones.
#[test]
fn huffman_padding_is_short_and_of_ones() {
    assert_eq!(decoded(b""), Ok(Vec::new()));
    assert_eq!(decoded(&[0b0000_0111]), Ok(b"0".to_vec()));
    for bad in [0b0000_0000, 0b0000_0110, 0b0000_0011, 0b0000_0101] {
        assert_eq!(decoded(&[bad]), Err(HpackError::HuffmanPadding), "{bad:08b}");
    }
    // Seven bits are padding, eight are not: also where they are all there is.
    assert_eq!(decoded(&[0b0001_0011, 0b0100_1111]), Err(HpackError::HuffmanPadding));
    assert_eq!(decoded(&pack(&[(0x0, 5), (0x14, 6), (0x14, 6)])), Ok(b"0  ".to_vec()));
    assert_eq!(decoded(&[0xff]), Err(HpackError::HuffmanPadding));
    assert_eq!(decoded(&[0b0000_0111, 0xff]), Err(HpackError::HuffmanPadding));
    assert_eq!(decoded(&[0xf8, 0xff]), Err(HpackError::HuffmanPadding));
    refuses(&[NOT_INDEXED, 1, b'a', 0x81, 0xff], HpackError::HuffmanPadding);
    refuses(&[NOT_INDEXED, 0x81, 0x00, 0], HpackError::HuffmanPadding);
}

/// 5.2: the end of string must not stand in one, wherever its bits begin.
#[test]
fn huffman_strings_do_not_hold_their_end() {
    let end = (0x3fff_ffff, 30);
    assert_eq!(decoded(&[0xff; 4]), Err(HpackError::HuffmanEndOfString));
    for (_, code) in CODES {
        assert_eq!(decoded(&pack(&[code, end])), Err(HpackError::HuffmanEndOfString));
        assert_eq!(decoded(&pack(&[code, end, code])), Err(HpackError::HuffmanEndOfString));
    }
    let block = [&[NOT_INDEXED, 1, b'a', 0x84][..], &[0xff; 4]].concat();
    refuses(&block, HpackError::HuffmanEndOfString);
}

/// A code's end may be anywhere: cut strings are refused or are the start of the whole.
#[test]
fn huffman_strings_cut_at_each_index() {
    let codes: Vec<_> = CODES.iter().map(|(_, code)| *code).collect();
    let text: Vec<u8> = CODES.iter().map(|(byte, _)| *byte).collect();
    let coded = pack(&codes);
    assert_eq!(decoded(&coded), Ok(text.clone()));
    for cut in 0..coded.len() {
        match decoded(&coded[..cut]) {
            Ok(start) => assert!(text.starts_with(&start), "cut at {cut}"),
            Err(error) => assert_eq!(error, HpackError::HuffmanPadding, "cut at {cut}"),
        }
    }
}

/// What is over the room is checked and counted, not stored.
#[test]
fn huffman_strings_over_their_room_are_only_counted() {
    let mut text = Vec::new();
    let coded = pack(&[(0x0, 5); 800]);
    assert_eq!(huffman::decode(&coded, 10, &mut text), Ok(800));
    assert_eq!(text, b"0".repeat(10));
}

/// 5.1 in an update: the prefix has five bits.
#[test]
fn updates_have_a_prefix_of_five_bits() {
    assert_eq!(size_update(30), [0x3e]);
    assert_eq!(decode_fresh(&[0x3f, 0]), Ok(Vec::new()));
    refuses(&[0x3f], HpackError::Truncated);
}
