//! Where the inside of a JSON string first needs a second look: a quote, a backslash, a control character.
//!
//! Place: the inner loop of the streaming JSON reader; every byte of every string passes here once.
//! Strings are short, so what counts is the first sixteen bytes: on x86-64 they are one load, three
//! comparisons and a bit count (SSE2 is part of the architecture). The plain twin serves other
//! machines and tests.

#![allow(unsafe_code, reason = "one vector load, see the head of the file")]
#![deny(clippy::indexing_slicing)]

/// The place, from `at` on, of the first byte of a string's inside that is a quote, a backslash or a
/// control character; the length of `bytes` where there is none.
#[inline]
#[must_use]
pub fn string_mark(bytes: &[u8], mut at: usize) -> usize {
    #[cfg(target_arch = "x86_64")]
    while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk::<16>) {
        let marks = marks(block);
        if marks != 0 {
            return at + marks.trailing_zeros() as usize;
        }
        at += block.len();
    }
    string_mark_plain(bytes, at)
}

/// One bit a byte of `block`.
#[cfg(target_arch = "x86_64")]
#[inline]
fn marks(block: &[u8; 16]) -> u32 {
    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128,
        _mm_set1_epi8,
    };
    // SAFETY: `block` is sixteen readable bytes, the load asks for no alignment, and every x86-64 has
    // SSE2, all that these instructions need.
    let mask = unsafe {
        let bytes = _mm_loadu_si128(block.as_ptr().cast());
        let quotes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"'.cast_signed()));
        let escapes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\'.cast_signed()));
        let controls = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
        _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quotes, escapes), controls))
    };
    mask.cast_unsigned()
}

/// The same question, byte by byte.
#[inline]
fn string_mark_plain(bytes: &[u8], at: usize) -> usize {
    let is_mark = |&byte: &u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    let rest = bytes.get(at..).unwrap_or_default();
    rest.iter().position(is_mark).map_or(bytes.len(), |place| at + place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_find_every_byte_at_every_place() {
        for byte in 0..=u8::MAX {
            for length in 0..50 {
                for place in 0..=length {
                    let mut text = vec![b'a'; length];
                    if let Some(slot) = text.get_mut(place) {
                        *slot = byte;
                    }
                    for start in [0, 1, place.saturating_sub(1), place, length] {
                        let start = start.min(length);
                        assert_eq!(
                            string_mark(&text, start),
                            string_mark_plain(&text, start),
                            "{byte:#x} {length} {place} {start}"
                        );
                    }
                }
            }
        }
        assert_eq!(string_mark_plain(b"ab\"c\\", 0), 2);
        assert_eq!(string_mark_plain(b"ab\"c\\", 3), 4);
        assert_eq!(string_mark(b"a\x7f\xff\x1f", 0), 3);
    }
}
