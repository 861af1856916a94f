//! Labels as client libraries write them, checked 64 bytes at a time.
//!
//! Place: in front of `line` where nobody wants the values. What this accepts, `line` accepts; about
//! anything unusual (escapes, blanks, quoted or odd names, absent labels, `__name__`, a comma behind the
//! last label) it says nothing, and the walk is made.
//!
//! ```text
//! code="200",path="/a=b"}      one bit a byte
//! ....=.........=........      equals signs outside strings: each just before an opening quote
//! .....^...^.....^.....^       quotes; every second one closes, just before a comma or the brace
//! ```
#![deny(clippy::indexing_slicing)]

use crate::decode::wire::scan::{BLOCK_SIZE, Masks};

/// More names than this are left to the walk.
const NAME_COUNT_MAX: usize = 16;
const METRIC_NAME: u64 = u64::from_be_bytes(*b"__name__");

/// Labels from behind an opening brace on; answers with the place behind the closing one.
#[inline]
pub fn labels(line: &[u8], start: usize) -> Option<usize> {
    let mut names = Names::new(line, start);
    let mut at = start;
    // What one block hands to the next: all ones inside a string, and single bits.
    let (mut in_string_before, mut equals_before) = (0, 0);
    let (mut opens_before, mut closes_before) = (0, 0);
    while at < line.len() {
        let block = Masks::read(line, at)?;
        // From an opening quote up to the byte before the closing one.
        let in_string = prefix_xor(block.quote) ^ in_string_before;
        let outside = !in_string;
        let braces = block.brace & outside;
        let brace = braces & braces.wrapping_neg();
        // Up to and with the brace; all where there is none.
        let within = brace ^ brace.wrapping_sub(1);
        let opens = block.quote & in_string & within;
        let closes = block.quote & outside & within;
        let equals = block.equals & outside & within;
        let commas = block.comma & outside & within;
        let is_usual = (block.odd & outside | block.backslash) & within == 0
            && opens == equals << 1 | equals_before
            && commas | brace == closes << 1 | closes_before
            && (opens << 1 | opens_before) & closes == 0;
        if !is_usual {
            return None;
        }
        let mut marks = equals | commas;
        while marks != 0 {
            let place = at + marks.trailing_zeros() as usize;
            if equals & marks & marks.wrapping_neg() != 0 {
                names.end(place)?;
            } else {
                names.start = place + 1;
            }
            marks &= marks - 1;
        }
        if brace != 0 {
            return names.are_unique().then_some(at + brace.trailing_zeros() as usize + 1);
        }
        in_string_before = 0u64.wrapping_sub(in_string >> 63);
        (equals_before, opens_before, closes_before) = (equals >> 63, opens >> 63, closes >> 63);
        at += BLOCK_SIZE;
    }
    None
}

/// The names met so far, by their first eight bytes.
struct Names<'a> {
    line: &'a [u8],
    start: usize,
    count: usize,
    prefixes: [u64; NAME_COUNT_MAX],
    before: (u64, &'a [u8]),
    ascend: bool,
}

impl<'a> Names<'a> {
    #[inline]
    const fn new(line: &'a [u8], start: usize) -> Self {
        let prefixes = [0; NAME_COUNT_MAX];
        Self { line, start, count: 0, prefixes, before: (0, &[]), ascend: true }
    }

    /// A name ends.
    #[inline]
    fn end(&mut self, end: usize) -> Option<()> {
        let name = self.line.get(self.start..end)?;
        // A label's quotes and the brace follow, so eight bytes are rarely too many.
        let first = self.line.get(self.start..)?.first_chunk::<8>()?;
        let prefix = match name.len() {
            0 => return None,
            length @ 1..8 => u64::from_be_bytes(*first) & !(u64::MAX >> (8 * length)),
            _ => u64::from_be_bytes(*first),
        };
        if prefix == METRIC_NAME && name.len() == 8 {
            return None;
        }
        *self.prefixes.get_mut(self.count)? = prefix;
        self.count += 1;
        self.ascend &= prefix > self.before.0 || prefix == self.before.0 && name > self.before.1;
        self.before = (prefix, name);
        Some(())
    }

    /// Only sure of no repetition is yes: names may share their beginning.
    #[inline]
    fn are_unique(&self) -> bool {
        self.ascend || self.differ_at_once()
    }

    #[inline(never)]
    fn differ_at_once(&self) -> bool {
        let prefixes = self.prefixes.get(..self.count).unwrap_or_default();
        prefixes
            .iter()
            .enumerate()
            .all(|(index, prefix)| !prefixes.get(index + 1..).unwrap_or_default().contains(prefix))
    }
}

/// Each bit becomes the parity of itself and all below: a string's bits where the input has quotes.
#[inline]
const fn prefix_xor(bits: u64) -> u64 {
    let mut sum = bits;
    sum ^= sum << 1;
    sum ^= sum << 2;
    sum ^= sum << 4;
    sum ^= sum << 8;
    sum ^= sum << 16;
    sum ^ sum << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_lists_end_behind_their_brace_wherever_they_stand() {
        for text in
            ["a=\"b\"} 1", "a=\"}\",b=\"x,y=\",c=\"long text, with {all} of = it\"} 1 2 # {}"]
        {
            for before in 0..200 {
                let line = format!("{}{text}", "x".repeat(before));
                let end = before + text.find("} 1").unwrap_or(text.len() - 1) + 1;
                assert_eq!(labels(line.as_bytes(), before), Some(end), "{line}");
            }
        }
    }

    #[test]
    fn the_unusual_is_left_to_the_walk() {
        for text in [
            "",
            "}",
            "a",
            "a=",
            "a=\"",
            "a=\"b",
            "a=\"b\"",
            "a=\"b\",",
            "a=\"b\",}",
            "a=\"\"}",
            "a =\"b\"}",
            "a= \"b\"}",
            "a=\"b\" }",
            "=\"b\"}",
            "a.b=\"c\"}",
            "\"a\"=\"b\"}",
            "\"a\"}",
            "a=\"b\\n\"}",
            "a=b}",
            "a\"b\"}",
            "a==\"b\"}",
            "a=\"b\",,c=\"d\"}",
            "a=\"b\"c=\"d\"}",
            "__name__=\"b\"}",
            "a=\"b\",a=\"c\"}",
            "b=\"b\",a=\"c\",b=\"d\"}",
            "a,b=\"c\"}",
            ",a=\"b\"}",
        ] {
            for before in 0..130 {
                let line = format!("{}{text}", "x".repeat(before));
                assert_eq!(labels(line.as_bytes(), before), None, "{line}");
            }
        }
    }
}
