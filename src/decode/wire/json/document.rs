//! One JSON record as simd-json's tape, within bounds, and what to do with text it refuses.
//!
//! Place: behind the splitter, on the filling pass only. The record is copied first: simd-json
//! unescapes in place, and the payload belongs to the journal.
//!
//! simd-json and RFC 8259 are strict where senders are not. Before a record is given up, a mended
//! copy is tried, in which these become what a lenient reader would make of them:
//!
//! | in the text | becomes |
//! |---|---|
//! | bytes that are not UTF-8, inside a string | U+FFFD |
//! | an escaped surrogate without its other half | U+FFFD |
//! | a control character inside a string | its escape |
//! | a number beyond `f64`, such as `1e999` | a string of its digits |
//! | `NaN`, `Infinity`, `-Infinity` | a string |

use std::borrow::Cow;
use std::ops::Range;

use simd_json::{Buffers, INPUT_PADDING, Node, Tape};

use super::scan::{container_end, string_end};
use super::{is_blank, is_number, skip_blanks, split_array, word_end};
use crate::limits;

/// Why a record has no tape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nested deeper than [`limits::NESTING_DEPTH_MAX`].
    Depth,
    /// More nodes than [`limits::JSON_RECORD_NODE_COUNT_MAX`].
    NodeCount,
    /// Not JSON, with line and column in words.
    Syntax(String),
}

impl std::fmt::Display for Fault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Depth => formatter.write_str("values are nested too deep"),
            Self::NodeCount => formatter.write_str("the record has too many values"),
            Self::Syntax(text) => formatter.write_str(text),
        }
    }
}

/// Memory for the tape of one record, reused. At most 16 MiB for the worst record.
pub struct Document {
    text: Vec<u8>,
    buffers: Buffers,
    /// Empty between records; keeps its memory.
    tape: Tape<'static>,
}

impl Default for Document {
    fn default() -> Self {
        Self {
            text: Vec::new(),
            buffers: Buffers::with_max_depth(0, limits::NESTING_DEPTH_MAX),
            tape: Tape(Vec::new()),
        }
    }
}

impl Document {
    /// Parses `record`, which is at most [`limits::JSON_RECORD_SIZE_MAX`] long, and hands its nodes
    /// to `then`: the value itself first, then what it holds, in the order of the text.
    pub fn parse<R>(
        &mut self,
        record: &[u8],
        then: impl FnOnce(Result<&[Node<'_>], Fault>) -> R,
    ) -> R {
        self.parse_parts([record, b"", b""], then)
    }

    /// The same for a record whose text stands in three places.
    pub fn parse_parts<R>(
        &mut self,
        parts: [&[u8]; 3],
        then: impl FnOnce(Result<&[Node<'_>], Fault>) -> R,
    ) -> R {
        self.text.clear();
        for part in parts {
            self.text.extend_from_slice(part);
        }
        if node_count_is_over(&self.text) {
            return then(Err(Fault::NodeCount));
        }
        let mut is_mended = false;
        loop {
            let size = self.text.len();
            self.text.resize(size + INPUT_PADDING, b' ');
            let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
            let filled =
                simd_json::fill_tape_padded(&mut self.text, size, &mut self.buffers, &mut tape);
            if filled.is_ok() {
                let answer = then(Ok(&tape.0));
                self.tape = tape.reset();
                return answer;
            }
            self.tape = tape.reset();
            // The failed attempt has unescaped strings in place: begin again from the record.
            self.text.clear();
            if is_mended || !mend(&parts.concat(), &mut self.text) {
                return then(Err(fault(&parts.concat())));
            }
            is_mended = true;
        }
    }
}

/// Names what is wrong with a record. `serde_json` tells line and column; where it finds nothing
/// wrong, the record broke one of our bounds.
#[cold]
fn fault(record: &[u8]) -> Fault {
    match serde_json::from_slice::<serde::de::IgnoredAny>(record) {
        Err(error) => Fault::Syntax(error.to_string()),
        Ok(_) => Fault::Depth,
    }
}

/// Whether a tape of `record` could have more nodes than allowed. Counts what simd-json will index,
/// punctuation included, of which nodes are at least half.
fn node_count_is_over(record: &[u8]) -> bool {
    const INDEX_COUNT_MAX: usize = 2 * limits::JSON_RECORD_NODE_COUNT_MAX;
    if record.len() <= INDEX_COUNT_MAX {
        return false;
    }
    let (mut nodes, mut indexes, mut at) = (0, 0, 0);
    while let Some(&byte) = record.get(at) {
        match byte {
            b'"' => {
                let Some(end) = string_end(record, at) else { return false };
                nodes += 1;
                at = end;
            }
            b'{' | b'[' => {
                nodes += 1;
                at += 1;
            }
            b'}' | b']' | b',' | b':' => at += 1,
            byte if is_blank(byte) => {
                at += 1;
                continue;
            }
            _ => {
                nodes += 1;
                at = word_end(record, at);
            }
        }
        indexes += 1;
        if nodes > limits::JSON_RECORD_NODE_COUNT_MAX || indexes > INDEX_COUNT_MAX + 1 {
            return true;
        }
    }
    false
}

/// Writes a mended copy of `record`; answers whether anything was mended.
#[cold]
fn mend(record: &[u8], into: &mut Vec<u8>) -> bool {
    let mut is_mended = false;
    let mut at = 0;
    while let Some(&byte) = record.get(at) {
        if byte == b'"' {
            let end = string_end(record, at).unwrap_or(record.len());
            is_mended |= mend_string(record.get(at..end).unwrap_or_default(), into);
            at = end;
            continue;
        }
        let end = word_end(record, at);
        if end == at {
            into.push(byte);
            at += 1;
            continue;
        }
        let word = record.get(at..end).unwrap_or_default();
        let is_quoted = matches!(word, b"NaN" | b"Infinity" | b"-Infinity") || is_infinite(word);
        if is_quoted {
            into.push(b'"');
        }
        into.extend_from_slice(word);
        if is_quoted {
            into.push(b'"');
        }
        is_mended |= is_quoted;
        at = end;
    }
    is_mended
}

fn is_infinite(word: &[u8]) -> bool {
    is_number(word)
        && std::str::from_utf8(word)
            .ok()
            .and_then(|word| word.parse::<f64>().ok())
            .is_some_and(f64::is_infinite)
}

fn mend_string(string: &[u8], into: &mut Vec<u8>) -> bool {
    let lossy = String::from_utf8_lossy(string);
    let mut is_mended = matches!(lossy, Cow::Owned(_));
    let mut rest = lossy.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        match (byte, surrogate(rest)) {
            (b'\\', Some(high)) if (0xd800..0xdc00).contains(&high) => {
                let (pair, after) = rest.split_at_checked(6).unwrap_or((rest, b""));
                let low = surrogate(after).filter(|low| (0xdc00..0xe000).contains(low));
                if low.is_some() {
                    let (low, after) = after.split_at_checked(6).unwrap_or((after, b""));
                    into.extend_from_slice(pair);
                    into.extend_from_slice(low);
                    rest = after;
                } else {
                    into.extend_from_slice(b"\\ufffd");
                    is_mended = true;
                    rest = after;
                }
            }
            (b'\\', Some(low)) if (0xdc00..0xe000).contains(&low) => {
                into.extend_from_slice(b"\\ufffd");
                is_mended = true;
                rest = rest.get(6..).unwrap_or_default();
            }
            (b'\\', _) => {
                let (escape, after) = rest.split_at_checked(2).unwrap_or((rest, b""));
                into.extend_from_slice(escape);
                rest = after;
            }
            (0..0x20, _) => {
                const HEX: [u8; 16] = *b"0123456789abcdef";
                let low = HEX.get(usize::from(byte & 0x0f)).copied().unwrap_or(b'0');
                into.extend_from_slice(b"\\u00");
                into.extend_from_slice(&[b'0' + (byte >> 4), low]);
                is_mended = true;
                rest = after;
            }
            _ => {
                into.push(byte);
                rest = after;
            }
        }
    }
    is_mended
}

/// The number of a `\uXXXX` at the start of `text`.
fn surrogate(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Whether an object is a batch: its only array is its member `logs`, which holds objects, or is the
/// only member and empty or holds texts. Answers where that array stands in `payload`.
///
/// pino-http-send posts `{"logs":[…]}`, and prefix and suffix options of agents make the same.
#[must_use]
pub fn batch_member(payload: &[u8], object: Range<usize>) -> Option<Range<usize>> {
    let bytes = payload.get(..object.end)?;
    let mut at = skip_blanks(bytes, object.start + 1);
    let mut member_count = 0;
    let mut found = None;
    loop {
        if bytes.get(at) != Some(&b'"') {
            return None;
        }
        let key_end = string_end(bytes, at)?;
        let key = bytes.get(at..key_end)?;
        at = skip_blanks(bytes, key_end);
        if bytes.get(at) != Some(&b':') {
            return None;
        }
        at = skip_blanks(bytes, at + 1);
        let start = at;
        at = match bytes.get(at)? {
            b'"' => string_end(bytes, at)?,
            b'{' | b'[' => container_end(bytes, at)?,
            _ => word_end(bytes, at),
        };
        if bytes.get(start) == Some(&b'[') {
            if key != b"\"logs\"" || found.is_some() {
                return None;
            }
            found = Some(start..at);
        }
        member_count += 1;
        at = skip_blanks(bytes, at);
        match bytes.get(at)? {
            b',' => at = skip_blanks(bytes, at + 1),
            b'}' if at + 1 == object.end => break,
            _ => return None,
        }
    }
    let array = found?;
    let first = bytes.get(skip_blanks(bytes, array.start + 1))?;
    let is_batch = *first == b'{' || matches!(*first, b']' | b'"') && member_count == 1;
    // Its elements must be told apart as well; else the object is kept as the one record it is.
    let ends = split_array(bytes.get(..array.end)?, array.start, &mut |_, _| {});
    (is_batch && ends == Ok(array.end)).then_some(array)
}
