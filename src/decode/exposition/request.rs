//! What the request says of all its series: labels of the path and the query, and a time.
//!
//! Place: read once a block; of remote write, which has `extra_label` alone, once a body. The query is a form's (`+` is a blank there), the path is Pushgateway's:
//!
//! ```text
//! ?extra_label=name=value&extra_label=…&timestamp=milliseconds
//! /metrics/job/name/label/value/label@base64/dmFsdWU=
//! ```
//!
//! Labels of the request replace labels of the same name in the lines, those of the query replace
//! those of the path, later ones earlier ones. An empty value in the path is no label; in the query it
//! takes the label away, as an empty value is an absent label. `__name__` renames every series.
#![deny(clippy::indexing_slicing)]

use super::line::{Label, Piece, Texts};
use crate::decode::{DecodeError, Fault};
use crate::limits;

/// The labels of one request, kept from block to block for their memory only.
#[derive(Default)]
pub struct Request {
    /// Their texts, one after the other.
    text: Vec<u8>,
    labels: Vec<Label>,
    name: Option<Piece>,
    /// What tells these labels from others, in a form that no line can end with.
    key: Vec<u8>,
    pub time_nanos: Option<i64>,
    label_start: usize,
    name_end: usize,
}

impl Request {
    /// Forgets the request before and reads this one.
    pub fn read(&mut self, query: Option<&[u8]>, path_rest: &[u8]) -> Result<(), DecodeError> {
        self.text.clear();
        self.labels.clear();
        self.key.clear();
        self.name = None;
        let milliseconds = read(query, path_rest, self)?;
        self.time_nanos = (milliseconds > 0).then(|| milliseconds.saturating_mul(1_000_000));
        let Self { text, labels, .. } = self;
        let texts = Texts { line: &[], resolved: &[], of_request: text };
        labels.sort_unstable_by_key(|label| texts.resolve(label.name));
        if !self.is_empty() {
            // A series in a line never holds a newline, so what comes behind one is ours.
            self.key.push(b'\n');
            let texts = Texts { line: &[], resolved: &[], of_request: &self.text };
            let name = self.name.map(|name| (&b"__name__"[..], texts.resolve(name)));
            let labels = self
                .labels
                .iter()
                .map(|label| (texts.resolve(label.name), texts.resolve(label.value)));
            for (name, value) in name.into_iter().chain(labels) {
                for part in [name, value] {
                    self.key.extend_from_slice(&(part.len() as u64).to_le_bytes());
                    self.key.extend_from_slice(part);
                }
            }
        }
        Ok(())
    }

    pub const fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.name.is_none()
    }

    pub fn text(&self) -> &[u8] {
        &self.text
    }

    const fn texts(&self) -> Texts<'_> {
        Texts { line: &[], resolved: &[], of_request: self.text.as_slice() }
    }

    /// The name that every series gets, if they get one.
    pub fn metric_name(&self) -> Option<&[u8]> {
        self.name.map(|name| self.texts().resolve(name))
    }

    /// Names and values in the order of the names; an empty value takes a label away.
    pub fn sorted(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let texts = self.texts();
        self.labels.iter().map(move |label| (texts.resolve(label.name), texts.resolve(label.value)))
    }

    /// What the labels add to a series in columns, in values of eight bytes.
    pub fn weight(&self) -> u64 {
        self.labels.len() as u64 + self.text.len() as u64 / 8
    }

    pub const fn name(&self) -> Option<Piece> {
        self.name
    }

    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// Puts these labels in the place of those of the same name, and sorts all.
    pub fn apply(&self, labels: &mut Vec<Label>, texts: Texts<'_>) {
        labels.retain(|label| {
            let name = texts.resolve(label.name);
            !self.labels.iter().any(|own| texts.resolve(own.name) == name)
        });
        labels.extend(self.labels.iter().filter(|own| !own.value.is_empty()));
        labels.sort_unstable_by_key(|label| texts.resolve(label.name));
    }
}

/// Whoever hears labels byte by byte.
trait Receiver {
    fn begin(&mut self);
    fn push(&mut self, byte: u8);
    fn end_name(&mut self);
    /// Answers with false where the label is one too many.
    fn end_label(&mut self, keeps_empty: bool) -> bool;
}

impl Receiver for Request {
    fn begin(&mut self) {
        self.label_start = self.text.len();
    }

    fn push(&mut self, byte: u8) {
        self.text.push(byte);
    }

    fn end_name(&mut self) {
        self.name_end = self.text.len();
    }

    fn end_label(&mut self, keeps_empty: bool) -> bool {
        let name = Piece::of_request(self.label_start, self.name_end);
        let value = Piece::of_request(self.name_end, self.text.len());
        if name.is_empty() || value.is_empty() && !keeps_empty {
            return true;
        }
        let texts = Texts { line: &[], resolved: &[], of_request: &self.text };
        let text = texts.resolve(name);
        if text == b"__name__" {
            // A series without a name means nothing: this one cannot be taken away.
            self.name = if value.is_empty() { self.name } else { Some(value) };
            return true;
        }
        let label = Label::of_request(name, value);
        let same = self.labels.iter().position(|other| texts.resolve(other.name) == text);
        match same.and_then(|place| self.labels.get_mut(place)) {
            Some(other) => *other = label,
            None => self.labels.push(label),
        }
        true
    }
}

/// Only checks. Counts every label, so a request that repeats one may be refused early; [`Request`]
/// is always read behind this count.
#[derive(Default)]
struct Checking;

impl Receiver for Checking {
    fn begin(&mut self) {}
    fn push(&mut self, _byte: u8) {}
    fn end_name(&mut self) {}
    fn end_label(&mut self, _keeps_empty: bool) -> bool {
        true
    }
}

/// Refuses what [`Request::read`] would refuse, without keeping anything.
pub fn check(query: Option<&[u8]>, path_rest: &[u8]) -> Result<(), DecodeError> {
    read(query, path_rest, &mut Checking).map(drop)
}

/// Answers with `timestamp`, 0 where there is none.
fn read(
    query: Option<&[u8]>,
    path_rest: &[u8],
    into: &mut impl Receiver,
) -> Result<i64, DecodeError> {
    let mut count = 0;
    read_path(path_rest, into, &mut count).map_err(|error| error.within("path", None))?;
    read_query(query.unwrap_or_default(), into, &mut count)
        .map_err(|error| error.within("query", None))
}

fn count_label(count: &mut usize, offset: usize) -> Result<(), DecodeError> {
    *count += 1;
    if *count > limits::REQUEST_LABEL_COUNT_MAX {
        return Err(at(Fault::LabelCountOverLimit, offset));
    }
    Ok(())
}

#[cold]
const fn at(fault: Fault, offset: usize) -> DecodeError {
    DecodeError::at(fault, offset as u64)
}

/// Pairs behind `/metrics/`. Any other path is the endpoint's own.
fn read_path(path: &[u8], into: &mut impl Receiver, count: &mut usize) -> Result<(), DecodeError> {
    const START: &[u8] = b"/metrics/";
    let Some(mut rest) = path.strip_prefix(START) else { return Ok(()) };
    while !rest.is_empty() {
        let name_at = path.len() - rest.len();
        let Some(slash) = memchr::memchr(b'/', rest) else {
            return Err(at(Fault::PathLabelWithoutValue, name_at));
        };
        count_label(count, name_at)?;
        let name = rest.get(..slash).unwrap_or_default();
        rest = rest.get(slash + 1..).unwrap_or_default();
        let value_at = path.len() - rest.len();
        let end = memchr::memchr(b'/', rest).unwrap_or(rest.len());
        let value = rest.get(..end).unwrap_or_default();
        rest = rest.get(end + 1..).unwrap_or_default();

        let plain = name.strip_suffix(b"@base64").or_else(|| name.strip_suffix(b"%40base64"));
        into.begin();
        percent_decode(plain.unwrap_or(name), Plus::Itself, name_at, |byte| into.push(byte))?;
        into.end_name();
        if plain.is_some() {
            let mut base64 = Base64::default();
            percent_decode(value, Plus::Itself, value_at, |byte| {
                if let Some(byte) = base64.next(byte) {
                    into.push(byte);
                }
            })?;
            if !base64.is_whole() {
                return Err(at(Fault::PathLabelNotBase64, value_at));
            }
        } else {
            percent_decode(value, Plus::Itself, value_at, |byte| into.push(byte))?;
        }
        into.end_label(false);
    }
    Ok(())
}

fn read_query(
    query: &[u8],
    into: &mut impl Receiver,
    count: &mut usize,
) -> Result<i64, DecodeError> {
    let mut time = None;
    let mut start = 0;
    for pair in query.split(|&byte| byte == b'&') {
        let pair_at = start;
        start += pair.len() + 1;
        let equals = memchr::memchr(b'=', pair).unwrap_or(pair.len());
        let key = pair.get(..equals).unwrap_or_default();
        let value = pair.get(equals + 1..).unwrap_or_default();
        let value_at = (pair_at + equals + 1).min(query.len());
        if is_key(key, b"extra_label") {
            count_label(count, pair_at)?;
            let mut has_name = false;
            into.begin();
            percent_decode(value, Plus::Blank, value_at, |byte| {
                if byte == b'=' && !has_name {
                    has_name = true;
                    into.end_name();
                } else {
                    into.push(byte);
                }
            })?;
            if !has_name {
                return Err(at(Fault::ExtraLabelWithoutEquals, pair_at));
            }
            into.end_label(true);
        } else if time.is_none() && is_key(key, b"timestamp") {
            time = Some(read_time(value, value_at)?);
        }
    }
    Ok(time.unwrap_or_default())
}

/// A 64-bit integer; nothing at all is 0.
fn read_time(value: &[u8], value_at: usize) -> Result<i64, DecodeError> {
    let mut text = [0u8; 24];
    let mut length = 0;
    percent_decode(value, Plus::Blank, value_at, |byte| {
        if let Some(place) = text.get_mut(length) {
            *place = byte;
        }
        length += 1;
    })?;
    if length == 0 {
        return Ok(0);
    }
    text.get(..length)
        .and_then(|text| std::str::from_utf8(text).ok())
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| at(Fault::TimestampNotAnInteger, value_at))
}

/// Whether a pair of the query is a label for each series.
pub fn is_extra_label(pair: &[u8]) -> bool {
    is_key(pair.split(|&byte| byte == b'=').next().unwrap_or_default(), b"extra_label")
}

/// A key that cannot be decoded is not ours.
fn is_key(key: &[u8], wanted: &[u8]) -> bool {
    let mut rest = wanted;
    let mut is_same = true;
    let decoded = percent_decode(key, Plus::Blank, 0, |byte| match rest {
        [first, after @ ..] if *first == byte => rest = after,
        _ => is_same = false,
    });
    decoded.is_ok() && is_same && rest.is_empty()
}

/// What `+` stands for: a blank in a form, itself in a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plus {
    Blank,
    Itself,
}

fn percent_decode(
    text: &[u8],
    plus: Plus,
    text_at: usize,
    mut push: impl FnMut(u8),
) -> Result<(), DecodeError> {
    let mut rest = text;
    loop {
        rest = match rest {
            [] => return Ok(()),
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                push(hex_digit(*high) << 4 | hex_digit(*low));
                rest
            }
            [b'%', ..] => {
                let offset = text_at + text.len() - rest.len();
                return Err(at(Fault::PercentEncodingInvalid, offset));
            }
            [b'+', rest @ ..] if plus == Plus::Blank => {
                push(b' ');
                rest
            }
            [byte, rest @ ..] => {
                push(*byte);
                rest
            }
        };
    }
}

/// Of a hexadecimal digit.
const fn hex_digit(digit: u8) -> u8 {
    if digit.is_ascii_digit() { digit - b'0' } else { (digit | 0x20) - b'a' + 10 }
}

/// Base64 of the URL's alphabet (RFC 4648, section 5), padding optional.
#[derive(Default)]
struct Base64 {
    bits: u32,
    bit_count: u32,
    digit_count: usize,
    is_padded: bool,
    is_faulty: bool,
}

impl Base64 {
    fn next(&mut self, digit: u8) -> Option<u8> {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            b'=' => {
                self.is_padded = true;
                return None;
            }
            _ => {
                self.is_faulty = true;
                return None;
            }
        };
        self.is_faulty |= self.is_padded;
        self.digit_count += 1;
        self.bits = (self.bits << 6 | u32::from(value)) & 0xffff;
        self.bit_count += 6;
        if self.bit_count < 8 {
            return None;
        }
        self.bit_count -= 8;
        Some((self.bits >> self.bit_count).to_le_bytes()[0])
    }

    const fn is_whole(&self) -> bool {
        !self.is_faulty && self.digit_count % 4 != 1
    }
}
