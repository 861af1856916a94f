//! Where a string or a container ends: quotes, escapes and brackets, 64 bytes at a time.
//!
//! Place: the inner loop of the splitter; every byte of a JSON body passes here once. Plain loops
//! over fixed blocks, which the compiler turns into vector code; no `unsafe`.

const BLOCK_SIZE: usize = 64;
/// The end of the string whose opening quote is at `start`, behind its closing quote.
#[must_use]
pub fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes.get(at) == Some(&b'"') {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// The end of the object or array that opens at `start`: where brackets outside strings balance.
/// Which kind closes which is not looked at.
#[must_use]
pub fn container_end(bytes: &[u8], start: usize) -> Option<usize> {
    // Empty ones, which a body can hold by the million.
    if matches!(bytes.get(start + 1), Some(b'}' | b']')) {
        return Some(start + 2);
    }
    let mut state = State::default();
    let mut at = start;
    let mut blocks = bytes.get(start..)?.chunks_exact(BLOCK_SIZE);
    for block in &mut blocks {
        if let Some(end) = state.block(block.try_into().ok()?) {
            return Some(at + end);
        }
        at += BLOCK_SIZE;
    }
    let tail = blocks.remainder();
    let mut block = [b' '; BLOCK_SIZE];
    block.get_mut(..tail.len())?.copy_from_slice(tail);
    state.block(&block).map(|end| at + end)
}

/// What one block hands to the next.
#[derive(Default)]
struct State {
    depth: usize,
    /// All ones inside a string.
    in_string: u64,
    /// One where the next block's first byte is escaped.
    is_escaped: u64,
}

impl State {
    /// Answers where, in the block, the container ends.
    #[inline(always)]
    fn block(&mut self, block: &[u8; BLOCK_SIZE]) -> Option<usize> {
        let mut quotes = mask(block, |byte| byte == b'"');
        if self.is_escaped != 0 || has(block, b'\\') {
            quotes &= !self.escaped(mask(block, |byte| byte == b'\\'));
        }
        let in_string = prefix_xor(quotes) ^ self.in_string;
        self.in_string = 0u64.wrapping_sub(in_string >> 63);
        // Most blocks of a flat record have none: their kinds are told one by one.
        // `[` and `{`, `]` and `}` differ in one bit.
        let is_bracket = |byte: u8| matches!(byte | 0x20, b'{' | b'}');
        let mut brackets = mask(block, is_bracket) & !in_string;
        while brackets != 0 {
            let place = brackets.trailing_zeros() as usize;
            if matches!(block.get(place), Some(b'{' | b'[')) {
                self.depth += 1;
            } else if self.depth <= 1 {
                return Some(place + 1);
            } else {
                self.depth -= 1;
            }
            brackets &= brackets - 1;
        }
        None
    }

    /// Bytes that an odd run of backslashes stands before. Adding the starts of the runs at odd
    /// places to the runs carries each of them to its end; where it ends then tells its parity.
    #[inline]
    fn escaped(&mut self, backslash: u64) -> u64 {
        const EVEN: u64 = 0x5555_5555_5555_5555;
        let backslash = backslash & !self.is_escaped;
        let follows = backslash << 1 | self.is_escaped;
        let odd_starts = backslash & !EVEN & !follows;
        let (carried, overflow) = odd_starts.overflowing_add(backslash);
        self.is_escaped = u64::from(overflow);
        (EVEN ^ carried << 1) & follows
    }
}

/// One bit a byte: whether `is` holds for it. The compiler turns the comparison into vector code;
/// each eight answers, all ones or none, then give one bit each to a product's top byte.
#[inline(always)]
fn mask(block: &[u8; BLOCK_SIZE], is: impl Fn(u8) -> bool) -> u64 {
    const DIAGONAL: u64 = 0x8040_2010_0804_0201;
    const ONES: u64 = 0x0101_0101_0101_0101;
    let mut hits = [0u8; BLOCK_SIZE];
    for (hit, &byte) in hits.iter_mut().zip(block) {
        *hit = if is(byte) { 0xff } else { 0 };
    }
    let mut mask = 0;
    for (place, word) in hits.as_chunks::<8>().0.iter().enumerate() {
        let bits = (u64::from_le_bytes(*word) & DIAGONAL).wrapping_mul(ONES) >> 56;
        mask |= bits << (8 * place);
    }
    mask
}

#[inline(always)]
fn has(block: &[u8; BLOCK_SIZE], wanted: u8) -> bool {
    block.iter().fold(false, |any, &byte| any | (byte == wanted))
}

/// Each bit: the parity of the bits up to and with it. From quotes to what they enclose.
#[inline(always)]
const fn prefix_xor(mut bits: u64) -> u64 {
    bits ^= bits << 1;
    bits ^= bits << 2;
    bits ^= bits << 4;
    bits ^= bits << 8;
    bits ^= bits << 16;
    bits ^= bits << 32;
    bits
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]
mod tests {
    use super::*;

    /// The same question, byte by byte.
    fn container_end_plain(bytes: &[u8], start: usize) -> Option<usize> {
        let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
        for (at, &byte) in bytes.iter().enumerate().skip(start) {
            if escaped {
                // Outside strings an escape only takes a quote's meaning away.
                escaped = false;
                if byte == b'"' || byte == b'\\' {
                    continue;
                }
            }
            match byte {
                b'\\' => escaped = true,
                b'"' => in_string = !in_string,
                b'{' | b'[' if !in_string => depth += 1,
                b'}' | b']' if !in_string => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }

    #[test]
    fn vector_and_plain_scan_agree() {
        let mut random = crate::decode::wire::json::tests::Random(0x5eed_0001);
        for _ in 0..20_000 {
            let seed = random.0;
            let length = random.below(300);
            let text: Vec<u8> =
                (0..length).map(|_| b"{}[]\"\"\"\\\\aaaaaaaaaaaa,: \n"[random.below(24)]).collect();
            let text = [b"{".as_slice(), &text].concat();
            assert_eq!(
                container_end(&text, 0),
                container_end_plain(&text, 0),
                "seed {seed:#x}: {}",
                text.escape_ascii()
            );
        }
    }

    #[test]
    fn runs_of_backslashes_across_block_ends() {
        for before in 0..130 {
            for run in 0..70 {
                let text = format!("{{\"{}{}\"}}}}\"}}", "a".repeat(before), "\\".repeat(run));
                assert_eq!(
                    container_end(text.as_bytes(), 0),
                    container_end_plain(text.as_bytes(), 0),
                    "{before} {run}"
                );
            }
        }
    }

    #[test]
    fn strings_end_at_the_first_bare_quote() {
        assert_eq!(string_end(br#""a\"b" c"#, 0), Some(6));
        assert_eq!(string_end(br#""a\\" c"#, 0), Some(5));
        assert_eq!(string_end(br#""a\"#, 0), None);
        assert_eq!(string_end(br#"""#, 0), None);
        assert_eq!(string_end(br#""""#, 0), Some(2));
    }
}
