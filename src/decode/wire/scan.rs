//! Bytes that delimit, 64 at a time: one bit a byte.
//!
//! Place: under decoders of text. Vectors of 16 bytes where every machine of the kind has them, with a
//! safe twin byte by byte for the others and for the tests.
#![deny(clippy::indexing_slicing)]
#![allow(unsafe_code, reason = "calls of vector functions, which ask for a feature of the machine")]

pub const BLOCK_SIZE: usize = 64;

/// One bit a byte, the lowest for the first.
pub struct Masks {
    pub quote: u64,
    pub backslash: u64,
    pub equals: u64,
    pub comma: u64,
    pub brace: u64,
    /// None of quote, equals sign, comma, brace, letters, digits, underscores.
    pub odd: u64,
}

impl Masks {
    /// Of the block at `at`; nothing is set behind the line's end.
    #[inline]
    pub fn read(line: &[u8], at: usize) -> Option<Self> {
        if let Some(block) = line.get(at..).and_then(|rest| rest.first_chunk()) {
            return Some(Self::of(block));
        }
        if let Some(last) = line.last_chunk::<BLOCK_SIZE>() {
            // The line's last 64 bytes, less those before.
            let before = at + BLOCK_SIZE - line.len();
            let masks = Self::of(last);
            return Some(Self {
                quote: masks.quote >> before,
                backslash: masks.backslash >> before,
                equals: masks.equals >> before,
                comma: masks.comma >> before,
                brace: masks.brace >> before,
                odd: masks.odd >> before,
            });
        }
        let rest = line.get(at..)?;
        // Odd bytes outside, so that the brace must come before them.
        let mut block = [0; BLOCK_SIZE];
        block.get_mut(..rest.len())?.copy_from_slice(rest);
        Some(Self::of(&block))
    }

    #[cfg(target_arch = "x86_64")]
    #[inline]
    fn of(block: &[u8; BLOCK_SIZE]) -> Self {
        // SAFETY: SSE2 is part of x86-64; the function asks for nothing else.
        unsafe { Self::of_lanes(block) }
    }

    #[cfg(target_arch = "x86_64")]
    #[inline]
    #[target_feature(enable = "sse2")]
    fn of_lanes(block: &[u8; BLOCK_SIZE]) -> Self {
        use std::arch::x86_64::{
            __m128i, _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x,
            _mm_set1_epi8, _mm_sub_epi8,
        };
        let all = |byte: u8| _mm_set1_epi8(byte.cast_signed());
        let bits = |lane: __m128i| u64::from(_mm_movemask_epi8(lane).cast_unsigned());
        let mut masks = Self { quote: 0, backslash: 0, equals: 0, comma: 0, brace: 0, odd: 0 };
        let mut usual = 0;
        for (index, lane) in block.as_chunks::<16>().0.iter().enumerate() {
            let value = u128::from_le_bytes(*lane);
            #[expect(clippy::cast_possible_truncation, reason = "its two halves")]
            let lane = _mm_set_epi64x((value >> 64) as i64, value as i64);
            let is = |byte| _mm_cmpeq_epi8(lane, all(byte));
            let is_within = |lane: __m128i, first: u8, count: u8| {
                let distance = _mm_sub_epi8(lane, all(first));
                _mm_cmpeq_epi8(_mm_min_epu8(distance, all(count - 1)), distance)
            };
            let letter = is_within(_mm_or_si128(lane, all(0x20)), b'a', 26);
            let plain = _mm_or_si128(_mm_or_si128(letter, is_within(lane, b'0', 10)), is(b'_'));
            let shift = 16 * index;
            masks.quote |= bits(is(b'"')) << shift;
            masks.backslash |= bits(is(b'\\')) << shift;
            masks.equals |= bits(is(b'=')) << shift;
            masks.comma |= bits(is(b',')) << shift;
            masks.brace |= bits(is(b'}')) << shift;
            usual |= bits(plain) << shift;
        }
        masks.odd = !(usual | masks.quote | masks.equals | masks.comma | masks.brace);
        masks
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn of(block: &[u8; BLOCK_SIZE]) -> Self {
        Self::of_each(block)
    }

    /// Byte by byte: for other machines, and to compare with.
    #[cfg(any(test, not(target_arch = "x86_64")))]
    fn of_each(block: &[u8; BLOCK_SIZE]) -> Self {
        let mask = |is: &dyn Fn(u8) -> bool| {
            block.iter().rev().fold(0, |mask, &byte| mask << 1 | u64::from(is(byte)))
        };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        Self {
            quote: mask(&|byte| byte == b'"'),
            backslash: mask(&|byte| byte == b'\\'),
            equals: mask(&|byte| byte == b'='),
            comma: mask(&|byte| byte == b','),
            brace: mask(&|byte| byte == b'}'),
            odd: mask(&|byte| !is_plain(byte) && !matches!(byte, b'"' | b'=' | b',' | b'}')),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_masked_alike_at_every_place() {
        for byte in 0..=u8::MAX {
            for place in 0..BLOCK_SIZE {
                let mut block = [b'a'; BLOCK_SIZE];
                block[place] = byte;
                let (ours, each) = (Masks::of(&block), Masks::of_each(&block));
                let bits = |masks: &Masks| {
                    let Masks { quote, backslash, equals, comma, brace, odd } = *masks;
                    [quote, backslash, equals, comma, brace, odd]
                };
                assert_eq!(bits(&ours), bits(&each), "{byte} at {place}");
            }
        }
    }
}
