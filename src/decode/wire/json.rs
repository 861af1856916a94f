//! JSON text (RFC 8259) cut into records, and one record as a tape.
//!
//! Place: under the decoders of JSON protocols. [`split_values`] and [`split_lines`] find where
//! records begin and end, without parsing them, in memory that does not depend on the body: they
//! only count braces and follow quotes. [`Document`] then turns one record, which is bounded, into
//! simd-json's tape. So a body of 64 MiB of `[0,0,0…` costs a walk and no tape of 1 GiB. [`Reader`] is
//! the other way, for protocols that say which members there are: no splitting and no tape.
//!
//! ```text
//! body     [ {"a":1} , {"b":[2]} , "text" ]      {"c":3}{"d":4}      {"e":5}\n{"f":6}\r\n
//! pieces     ───────   ─────────   ──────        ─────── ──────      ───────  ───────
//! ```

#![deny(clippy::indexing_slicing)]

mod document;
mod members;
mod reader;
mod scan;

pub use document::{Document, Fault as DocumentFault, batch_member};
pub(crate) use members::fields;
pub use members::{Field, each, each_again, members, members_again};
pub use reader::{ReadError, Reader, Str, key, plain_key};

use std::ops::Range;

use crate::decode::Fault;
pub(in crate::decode) use scan::container_end;
use scan::{container, string_end};

/// What a piece of a body looks like from outside. Nobody looked inside yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Begins with `{`; braces and quotes balance. `may_be_batch`: it is not an element of an array,
    /// but an array stands directly inside.
    Object { may_be_batch: bool },
    /// Begins and ends with a quote.
    Text,
    /// An array inside an array, a number, `true`, `false`, `null`, or a bare word inside an array.
    Other,
    /// A line that is not a sequence of values.
    BrokenLine,
}

/// Where and why a body cannot be cut further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitError {
    pub fault: Fault,
    /// Bytes from the start of the payload.
    pub at: usize,
}

impl SplitError {
    #[cold]
    const fn new(fault: Fault, at: usize) -> Self {
        Self { fault, at }
    }
}

/// Line and column of a byte, both from 1; columns count bytes.
#[cold]
#[must_use]
pub fn line_column(payload: &[u8], at: usize) -> (u32, u32) {
    let before = payload.get(..at).unwrap_or(payload);
    let line = memchr::memchr_iter(b'\n', before).count() + 1;
    let column = before.len() - memchr::memrchr(b'\n', before).map_or(0, |end| end + 1) + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

/// Cuts `range` of `payload` into values: objects, strings and arrays one after another, separated by
/// blanks or by nothing; an array's elements are pieces of their own, one level deep.
///
/// A number or literal at the top is [`Fault::JsonNotARecord`]: there is nothing else it could be
/// part of, and its sender should know.
pub fn split_values(
    payload: &[u8],
    range: Range<usize>,
    visit: &mut impl FnMut(Piece, Range<usize>),
) -> Result<(), SplitError> {
    let bytes = payload.get(..range.end).unwrap_or(payload);
    let mut at = range.start;
    loop {
        at = skip_blanks(bytes, at);
        match bytes.get(at) {
            None => return Ok(()),
            Some(b'{') => {
                let object = container(bytes, at).ok_or_else(|| truncated(bytes))?;
                visit(Piece::Object { may_be_batch: object.has_array }, at..object.end);
                at = object.end;
            }
            Some(b'[') => at = split_array(bytes, at, visit)?,
            Some(b'"') => {
                let end = string_end(bytes, at).ok_or_else(|| truncated(bytes))?;
                visit(Piece::Text, at..end);
                at = end;
            }
            Some(_) => {
                let end = word_end(bytes, at);
                let word = bytes.get(at..end).unwrap_or_default();
                let fault = if is_scalar(word) { Fault::JsonNotARecord } else { Fault::JsonSyntax };
                return Err(SplitError::new(fault, at));
            }
        }
    }
}

/// Cuts an array that begins at `start` into its elements; answers where it ends.
pub fn split_array(
    bytes: &[u8],
    start: usize,
    visit: &mut impl FnMut(Piece, Range<usize>),
) -> Result<usize, SplitError> {
    let mut at = skip_blanks(bytes, start + 1);
    if bytes.get(at) == Some(&b']') {
        return Ok(at + 1);
    }
    loop {
        let (piece, end) = match bytes.get(at) {
            None => return Err(truncated(bytes)),
            Some(b'{') => (Piece::Object { may_be_batch: false }, container_end(bytes, at)),
            Some(b'"') => (Piece::Text, string_end(bytes, at)),
            Some(b'[') => (Piece::Other, container_end(bytes, at)),
            Some(_) => (Piece::Other, Some(word_end(bytes, at))),
        };
        let end = end.ok_or_else(|| truncated(bytes))?;
        if end == at {
            return Err(SplitError::new(Fault::JsonSyntax, at));
        }
        visit(piece, at..end);
        at = skip_blanks(bytes, end);
        match bytes.get(at) {
            None => return Err(truncated(bytes)),
            Some(b',') => at = skip_blanks(bytes, at + 1),
            Some(b']') => return Ok(at + 1),
            Some(_) => return Err(SplitError::new(Fault::JsonSyntax, at)),
        }
    }
}

/// What lines are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// JSON by declaration.
    Json,
    /// Text, in which `42` and `[INFO]` are words like others: a line is JSON only if it is a
    /// sequence of objects and strings.
    Text,
}

/// Cuts `range` of `payload` at line ends first, so that a bad line costs only itself. A line is
/// usually one object; it may be any sequence of values.
pub fn split_lines(
    payload: &[u8],
    range: Range<usize>,
    lines: Lines,
    visit: &mut impl FnMut(Piece, Range<usize>),
) {
    let bytes = payload.get(..range.end).unwrap_or(payload);
    let mut start = skip_blanks(bytes, range.start);
    while start < bytes.len() {
        let rest = bytes.get(start..).unwrap_or_default();
        let end = memchr::memchr(b'\n', rest).map_or(bytes.len(), |length| start + length);
        let line = start..trim_end(bytes, start, end);
        start = skip_blanks(bytes, end);
        let text = bytes.get(..line.end).unwrap_or_default();
        if text.get(line.start) != Some(&b'{') {
            split_odd_line(text, line, lines, visit);
            continue;
        }
        match container(text, line.start) {
            None => visit(Piece::BrokenLine, line),
            Some(object) if object.end == line.end => {
                visit(Piece::Object { may_be_batch: object.has_array }, line);
            }
            Some(_) => split_odd_line(text, line, lines, visit),
        }
    }
}

/// A line that is not one object. It is walked twice, as nothing of it may be said before its end
/// is known.
fn split_odd_line(
    text: &[u8],
    line: Range<usize>,
    lines: Lines,
    visit: &mut impl FnMut(Piece, Range<usize>),
) {
    if lines == Lines::Json && is_scalar(text.get(line.clone()).unwrap_or_default()) {
        visit(Piece::Other, line);
    } else if is_splittable(text, line.clone(), lines) {
        let walked = split_values(text, line, visit);
        assert!(walked.is_ok(), "the same bytes were walked before");
    } else {
        visit(Piece::BrokenLine, line);
    }
}

/// Whether [`split_values`] finds the end of `range` and, in text, nothing but records.
#[must_use]
pub fn is_splittable(payload: &[u8], range: Range<usize>, lines: Lines) -> bool {
    let mut has_other = false;
    let walked = split_values(payload, range, &mut |piece, _| has_other |= piece == Piece::Other);
    walked.is_ok() && !(has_other && lines == Lines::Text)
}

/// Whether the first line of `range` that is not blank is a sequence of values, or no line is.
#[must_use]
pub fn begins_with_whole_line(payload: &[u8], range: Range<usize>) -> bool {
    let bytes = payload.get(..range.end).unwrap_or(payload);
    let start = skip_blanks(bytes, range.start);
    let rest = bytes.get(start..).unwrap_or_default();
    let end = memchr::memchr(b'\n', rest).map_or(bytes.len(), |length| start + length);
    is_splittable(payload, start..end, Lines::Json)
}

#[cold]
fn truncated(bytes: &[u8]) -> SplitError {
    SplitError::new(Fault::JsonTruncated, bytes.len())
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn skip_blanks(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(|&byte| is_blank(byte)) {
        at += 1;
    }
    at
}

/// The end of `start..end` without the blanks at its end. Its first byte is none.
fn trim_end(bytes: &[u8], start: usize, mut end: usize) -> usize {
    while end > start && bytes.get(end - 1).is_some_and(|&byte| is_blank(byte)) {
        end -= 1;
    }
    end
}

/// The end of a run of bytes that have no meaning for structure.
fn word_end(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(|&byte| {
        !is_blank(byte) && !matches!(byte, b'{' | b'}' | b'[' | b']' | b',' | b':' | b'"')
    }) {
        at += 1;
    }
    at
}

/// Whether `word` is a number or literal of RFC 8259.
#[must_use]
pub fn is_scalar(word: &[u8]) -> bool {
    matches!(word, b"true" | b"false" | b"null") || is_number(word)
}

/// RFC 8259, section 6.
fn is_number(word: &[u8]) -> bool {
    let digits = |rest: &mut &[u8]| {
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        *rest = rest.get(count..).unwrap_or_default();
        count
    };
    let mut rest = word.strip_prefix(b"-").unwrap_or(word);
    let has_leading_zero = rest.first() == Some(&b'0');
    let whole = digits(&mut rest);
    if whole == 0 || has_leading_zero && whole > 1 {
        return false;
    }
    if let Some(after) = rest.strip_prefix(b".") {
        rest = after;
        if digits(&mut rest) == 0 {
            return false;
        }
    }
    if let [b'e' | b'E', after @ ..] = rest {
        rest = match after {
            [b'+' | b'-', after @ ..] => after,
            after => after,
        };
        if digits(&mut rest) == 0 {
            return false;
        }
    }
    rest.is_empty()
}

#[cfg(test)]
pub(crate) mod tests;
