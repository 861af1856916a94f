//! JSON text (RFC 8259) read straight through, without a tape: one place in the payload that moves on.
//!
//! Place: under decoders that know which members they want. The protocol asks for what it expects;
//! the reader checks the syntax of all that it passes, so a body read to its end is well-formed.
//! Nothing is copied: a string is the bytes between its quotes, escapes and all, until asked for more.
//!
//! Two ways to pass over a value: [`Reader::check_value`] looks at every character and knows the
//! depth; [`Reader::pass_value`] only follows quotes and brackets, 64 bytes at a time, for text that
//! was checked before or will be checked after.
//!
//! Text that is not UTF-8 is no fault here, nor is an escaped surrogate without its other half:
//! both become U+FFFD where the text is kept.
#![deny(clippy::indexing_slicing)]

use std::borrow::Cow;

use super::scan::{container_end, string_end};
use super::{is_blank, word_end};
use crate::decode::wire::scan_text::string_mark;
use crate::decode::{DecodeError, Fault};
use crate::limits;

/// What is wrong, and at which byte of the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadError {
    pub fault: Fault,
    pub at: usize,
}

impl From<ReadError> for DecodeError {
    #[cold]
    fn from(error: ReadError) -> Self {
        Self::at(error.fault, error.at as u64)
    }
}

type Answer<T> = Result<T, ReadError>;

/// The inside of a string, as it stands in the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Str<'a> {
    pub raw: &'a [u8],
    pub has_escapes: bool,
}

impl<'a> Str<'a> {
    /// The text itself. Allocates only where there are escapes.
    #[must_use]
    pub fn text(self) -> Cow<'a, [u8]> {
        if !self.has_escapes {
            return Cow::Borrowed(self.raw);
        }
        let mut text = Vec::with_capacity(self.raw.len());
        self.write(&mut text);
        Cow::Owned(text)
    }

    /// Appends the text itself.
    pub fn write(self, into: &mut Vec<u8>) {
        unescape(self.raw, &mut |bytes| into.extend_from_slice(bytes));
    }
}

/// Hands the pieces of an unescaped, checked string to `push`.
fn unescape(raw: &[u8], push: &mut dyn FnMut(&[u8])) {
    let mut rest = raw;
    while let Some(place) = memchr::memchr(b'\\', rest) {
        push(rest.get(..place).unwrap_or_default());
        let Some((&kind, mut after)) = rest.get(place + 1..).and_then(<[u8]>::split_first) else {
            return;
        };
        match kind {
            b'b' => push(b"\x08"),
            b'f' => push(b"\x0c"),
            b'n' => push(b"\n"),
            b'r' => push(b"\r"),
            b't' => push(b"\t"),
            b'u' => {
                let mut unit = hex_unit(after);
                after = after.get(4..).unwrap_or_default();
                if (0xd800..0xdc00).contains(&unit)
                    && let Some(second) = after.strip_prefix(b"\\u")
                    && let low @ 0xdc00..0xe000 = hex_unit(second)
                {
                    unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                    after = second.get(4..).unwrap_or_default();
                }
                let character = char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER);
                push(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            other => push(&[other]),
        }
        rest = after;
    }
    push(rest);
}

/// Four checked hex digits.
fn hex_unit(digits: &[u8]) -> u32 {
    let digits = digits.iter().take(4);
    digits.fold(0, |unit, &digit| unit << 4 | char::from(digit).to_digit(16).unwrap_or(0))
}

/// A key by its meaning. The plain spelling is looked up as it stands; escapes, and words parted by
/// `_`, cost a second look.
#[inline]
pub fn key<T>(key: Str<'_>, of: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
    of(key.raw).or_else(|| {
        memchr::memchr2(b'_', b'\\', key.raw)?;
        odd_key(key, &of)
    })
}

/// A key that has one spelling. Escapes cost a second look.
#[inline]
pub fn plain_key<T>(key: Str<'_>, of: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
    if key.has_escapes { escaped_key(key, &of) } else { of(key.raw) }
}

#[cold]
#[inline(never)]
fn escaped_key<T>(key: Str<'_>, of: &dyn Fn(&[u8]) -> Option<T>) -> Option<T> {
    let mut buffer = [0; KEY_SIZE_MAX];
    let mut size = 0;
    unescape(key.raw, &mut |piece| {
        if let Some(slot) = buffer.get_mut(size..).and_then(|rest| rest.get_mut(..piece.len())) {
            slot.copy_from_slice(piece);
        }
        size += piece.len();
    });
    of(buffer.get(..size)?)
}

/// Longer than any key that is known.
const KEY_SIZE_MAX: usize = 48;

#[cold]
#[inline(never)]
fn odd_key<T>(key: Str<'_>, of: &dyn Fn(&[u8]) -> Option<T>) -> Option<T> {
    let mut buffer = [0; KEY_SIZE_MAX];
    let mut size = 0;
    let mut is_word_start = false;
    let mut fits = true;
    unescape(key.raw, &mut |piece| {
        for &byte in piece {
            if byte == b'_' && !is_word_start && size > 0 {
                is_word_start = true;
                continue;
            }
            fits &= !is_word_start || byte.is_ascii_lowercase();
            let byte = if is_word_start { byte.to_ascii_uppercase() } else { byte };
            is_word_start = false;
            match buffer.get_mut(size) {
                Some(slot) => *slot = byte,
                None => fits = false,
            }
            size += 1;
        }
    });
    if !fits || is_word_start {
        return None;
    }
    of(buffer.get(..size)?)
}

/// A place in the payload.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    #[must_use]
    pub const fn at(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    #[must_use]
    pub const fn place(&self) -> usize {
        self.at
    }

    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.bytes
    }

    /// The fault at this place; at the end of the text it is that the text ends.
    #[cold]
    #[must_use]
    pub fn fault(&self, fault: Fault) -> ReadError {
        if self.at >= self.bytes.len() && fault == Fault::JsonSyntax {
            return ReadError { fault: Fault::JsonTruncated, at: self.bytes.len() };
        }
        ReadError { fault, at: self.at }
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The first byte that is not blank. It is not taken.
    #[inline]
    pub fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = self.byte()?;
            if byte > b' ' || !is_blank(byte) {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Takes `wanted` if the text goes on with it, blanks not tolerated.
    #[inline]
    pub fn take(&mut self, wanted: &[u8]) -> bool {
        let found = self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(wanted));
        self.at += if found { wanted.len() } else { 0 };
        found
    }

    /// Takes the inside of a string, and its end, where it has no escapes. The opening quote is taken.
    #[inline]
    pub fn take_plain_inside(&mut self) -> Option<&'a [u8]> {
        let end = string_mark(self.bytes, self.at);
        if self.bytes.get(end) != Some(&b'"') {
            return None;
        }
        let inside = self.bytes.get(self.at..end)?;
        self.at = end + 1;
        Some(inside)
    }

    #[inline]
    fn expect(&mut self, wanted: u8) -> Answer<()> {
        if self.peek() != Some(wanted) {
            return Err(self.fault(Fault::JsonSyntax));
        }
        self.at += 1;
        Ok(())
    }

    /// Takes `null`; answers whether it stood here.
    #[inline]
    pub fn take_null(&mut self) -> Answer<bool> {
        if self.peek() != Some(b'n') {
            return Ok(false);
        }
        self.literal(b"null")?;
        Ok(true)
    }

    fn literal(&mut self, word: &[u8]) -> Answer<()> {
        for &wanted in word {
            if self.byte() != Some(wanted) {
                return Err(self.fault(Fault::JsonSyntax));
            }
            self.at += 1;
        }
        Ok(())
    }

    /// The fault of a value that cannot stand for the field it is given for: of another JSON type,
    /// or no JSON value at all.
    #[cold]
    #[inline(never)]
    fn type_fault(&mut self) -> ReadError {
        let start = self.at;
        match self.peek() {
            Some(b'{' | b'[' | b'"') => self.fault(Fault::JsonTypeWrong),
            _ => match self.check_value(0) {
                Ok(()) => ReadError { fault: Fault::JsonTypeWrong, at: start },
                Err(error) => error,
            },
        }
    }

    /// Takes the start of an object.
    #[inline]
    pub fn begin_object(&mut self) -> Answer<()> {
        if self.peek() != Some(b'{') {
            return Err(self.type_fault());
        }
        self.at += 1;
        Ok(())
    }

    /// Takes the start of an array.
    #[inline]
    pub fn begin_array(&mut self) -> Answer<()> {
        if self.peek() != Some(b'[') {
            return Err(self.type_fault());
        }
        self.at += 1;
        Ok(())
    }

    /// The next key of an object, up to its value; `None` behind the object. `is_first` is true before
    /// the first.
    #[inline]
    pub fn next_key(&mut self, is_first: &mut bool) -> Answer<Option<Str<'a>>> {
        let mut next = self.peek();
        if !*is_first && next == Some(b',') {
            self.at += 1;
            next = self.peek();
        } else if next == Some(b'}') {
            self.at += 1;
            return Ok(None);
        } else if !*is_first {
            return Err(self.fault(Fault::JsonSyntax));
        }
        *is_first = false;
        if next != Some(b'"') {
            return Err(self.fault(Fault::JsonSyntax));
        }
        self.at += 1;
        let key = self.string_inside()?;
        self.expect(b':')?;
        Ok(Some(key))
    }

    /// Whether an array goes on; its end is taken.
    #[inline]
    pub fn next_element(&mut self, is_first: &mut bool) -> Answer<bool> {
        let next = self.peek();
        if next == Some(b']') {
            self.at += 1;
            return Ok(false);
        }
        if !*is_first {
            if next != Some(b',') {
                return Err(self.fault(Fault::JsonSyntax));
            }
            self.at += 1;
            if self.peek() == Some(b']') {
                return Err(self.fault(Fault::JsonSyntax));
            }
        }
        *is_first = false;
        Ok(true)
    }

    /// A string, where one has to stand.
    #[inline]
    pub fn string(&mut self) -> Answer<Str<'a>> {
        if self.peek() != Some(b'"') {
            return Err(self.type_fault());
        }
        self.at += 1;
        self.string_inside()
    }

    #[inline]
    fn string_inside(&mut self) -> Answer<Str<'a>> {
        match self.take_plain_inside() {
            Some(raw) => Ok(Str { raw, has_escapes: false }),
            None => self.string_with_escapes(),
        }
    }

    #[inline(never)]
    fn string_with_escapes(&mut self) -> Answer<Str<'a>> {
        let start = self.at;
        loop {
            self.at = string_mark(self.bytes, self.at);
            match self.byte() {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                _ => return Err(self.fault(Fault::JsonSyntax)),
            }
        }
        let raw = self.bytes.get(start..self.at).unwrap_or_default();
        self.at += 1;
        Ok(Str { raw, has_escapes: true })
    }

    fn escape(&mut self) -> Answer<()> {
        self.at += 1;
        match self.byte() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.byte().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return Err(self.fault(Fault::JsonSyntax));
                    }
                    self.at += 1;
                }
            }
            _ => return Err(self.fault(Fault::JsonSyntax)),
        }
        Ok(())
    }

    /// The digits of a number that stands bare or in quotes, or one of the names in quotes that stand
    /// for what JSON numbers cannot say.
    #[inline]
    pub fn number(&mut self) -> Answer<&'a [u8]> {
        match self.peek() {
            Some(b'"') => {
                let start = self.at;
                self.at += 1;
                let text = self.string_inside()?;
                let is_name = matches!(text.raw, b"NaN" | b"Infinity" | b"-Infinity");
                if is_name || number_end(text.raw, 0) == Ok(text.raw.len()) {
                    return Ok(text.raw);
                }
                Err(ReadError { fault: Fault::JsonNumberInvalid, at: start })
            }
            Some(b'-' | b'0'..=b'9') => self.bare_number(),
            _ => Err(self.type_fault()),
        }
    }

    #[inline]
    fn bare_number(&mut self) -> Answer<&'a [u8]> {
        let start = self.at;
        match number_end(self.bytes, start) {
            Ok(end) => {
                self.at = end;
                Ok(self.bytes.get(start..end).unwrap_or_default())
            }
            Err(at) => {
                self.at = at;
                Err(self.fault(Fault::JsonSyntax))
            }
        }
    }

    /// `true` or `false`.
    #[inline]
    pub fn boolean(&mut self) -> Answer<bool> {
        match self.peek() {
            Some(b't') => self.literal(b"true").map(|()| true),
            Some(b'f') => self.literal(b"false").map(|()| false),
            _ => Err(self.type_fault()),
        }
    }

    /// Checks any value and passes over it. `depth`: arrays and objects around it that count.
    pub fn check_value(&mut self, depth: usize) -> Answer<()> {
        match self.peek() {
            Some(b'"') => {
                self.at += 1;
                self.string_inside().map(drop)
            }
            Some(b'-' | b'0'..=b'9') => self.bare_number().map(drop),
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            Some(b'{' | b'[') if depth >= limits::NESTING_DEPTH_MAX => {
                Err(self.fault(Fault::NestingOverLimit))
            }
            Some(b'{') => {
                self.at += 1;
                let mut is_first = true;
                while self.next_key(&mut is_first)?.is_some() {
                    self.check_value(depth + 1)?;
                }
                Ok(())
            }
            Some(b'[') => {
                self.at += 1;
                let mut is_first = true;
                while self.next_element(&mut is_first)? {
                    self.check_value(depth + 1)?;
                }
                Ok(())
            }
            _ => Err(self.fault(Fault::JsonSyntax)),
        }
    }

    /// Passes over any value by its quotes and brackets alone.
    pub fn pass_value(&mut self) -> Answer<()> {
        let end = match self.peek() {
            Some(b'"') => string_end(self.bytes, self.at),
            Some(b'{' | b'[') => container_end(self.bytes, self.at),
            _ => Some(word_end(self.bytes, self.at)).filter(|&end| end > self.at),
        };
        self.at = end.ok_or_else(|| self.fault(Fault::JsonSyntax))?;
        Ok(())
    }
}

/// Where the number that begins at `start` ends (RFC 8259, section 6); the place of the character that
/// cannot stand there, if it is none.
#[inline]
fn number_end(bytes: &[u8], start: usize) -> Result<usize, usize> {
    let digits = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    let first = start + usize::from(bytes.get(start) == Some(&b'-'));
    let mut end = match bytes.get(first) {
        Some(b'0') => first + 1,
        Some(b'1'..=b'9') => digits(first + 1),
        _ => return Err(first),
    };
    if bytes.get(end) == Some(&b'.') {
        let fraction = end + 1;
        end = digits(fraction);
        if end == fraction {
            return Err(end);
        }
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = end + 1 + sign;
        end = digits(exponent);
        if end == exponent {
            return Err(end);
        }
    }
    Ok(end)
}
