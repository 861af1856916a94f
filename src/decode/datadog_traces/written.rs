//! `MessagePack` written from a body of another form, and where in that body each part of it stood.
//!
//! One decoder does for all forms, but its places are those of what was written. They are turned into
//! places of the body by writing it once more with a place to look for: faults and rejects are rare, and
//! a list of places would cost every body.
#![deny(clippy::indexing_slicing)]

use crate::decode::wire::json::Str;

/// Numbers and texts get their shortest form, so that no body grows much on the way.
pub struct Written<'a> {
    bytes: &'a mut Vec<u8>,
    /// The place in `bytes` that is looked for.
    sought: usize,
    /// Where in the body the last value up to that place stood.
    source: usize,
}

/// A header whose count is not known yet.
#[derive(Clone, Copy)]
pub struct Header(usize);

impl<'a> Written<'a> {
    pub fn new(bytes: &'a mut Vec<u8>, sought: usize) -> Self {
        bytes.clear();
        Self { bytes, sought, source: 0 }
    }

    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Makes room for as much as the body has, in one piece.
    pub fn reserve(&mut self, size: usize) {
        self.bytes.reserve_exact(size);
    }

    pub const fn source(&self) -> usize {
        self.source
    }

    /// What is written next stands at `place` in the body.
    #[inline]
    pub const fn comes_from(&mut self, place: usize) {
        if self.bytes.len() <= self.sought {
            self.source = place;
        }
    }

    pub fn begin_map(&mut self) -> Header {
        self.begin(0xdf)
    }

    pub fn begin_array(&mut self) -> Header {
        self.begin(0xdd)
    }

    fn begin(&mut self, kind: u8) -> Header {
        self.bytes.extend_from_slice(&[kind, 0, 0, 0, 0]);
        Header(self.bytes.len() - 4)
    }

    pub fn end(&mut self, Header(place): Header, count: u32) {
        if let Some(header) = self.bytes.get_mut(place..place + 4) {
            header.copy_from_slice(&count.to_be_bytes());
        }
    }

    /// A map of at most fifteen pairs, whose count is put in by [`Written::end_small_map`].
    pub fn begin_small_map(&mut self) -> Header {
        self.bytes.push(0x80);
        Header(self.bytes.len() - 1)
    }

    pub fn end_small_map(&mut self, Header(place): Header, count: u8) {
        assert!(count < 16, "a small map has room for fifteen pairs");
        if let Some(header) = self.bytes.get_mut(place) {
            *header = 0x80 | count;
        }
    }

    pub fn nil(&mut self) {
        self.bytes.push(0xc0);
    }

    pub fn boolean(&mut self, value: bool) {
        self.bytes.push(if value { 0xc3 } else { 0xc2 });
    }

    pub fn text(&mut self, text: &[u8]) {
        match (u8::try_from(text.len()), u32::try_from(text.len())) {
            (Ok(size @ 0..32), _) => self.bytes.push(0xa0 | size),
            (Ok(size), _) => self.bytes.extend_from_slice(&[0xd9, size]),
            (_, size) => {
                self.bytes.push(0xdb);
                // A payload is below 4 GiB.
                self.bytes.extend_from_slice(&size.unwrap_or(u32::MAX).to_be_bytes());
            }
        }
        self.bytes.extend_from_slice(text);
    }

    pub fn json_text(&mut self, text: Str<'_>) {
        if !text.has_escapes {
            return self.text(text.raw);
        }
        let header = self.begin(0xdb);
        let start = self.bytes.len();
        text.write(self.bytes);
        let size = u32::try_from(self.bytes.len() - start).unwrap_or(u32::MAX);
        self.end(header, size);
    }

    pub fn bin(&mut self, bytes: &[u8]) {
        self.bytes.push(0xc6);
        let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.bytes.extend_from_slice(&size.to_be_bytes());
        self.bytes.extend_from_slice(bytes);
    }

    pub fn unsigned(&mut self, number: u64) {
        match u8::try_from(number) {
            Ok(small @ 0..0x80) => self.bytes.push(small),
            Ok(byte) => self.bytes.extend_from_slice(&[0xcc, byte]),
            Err(_) => {
                self.bytes.push(0xcf);
                self.bytes.extend_from_slice(&number.to_be_bytes());
            }
        }
    }

    pub fn signed(&mut self, number: i64) {
        if let Ok(number) = u64::try_from(number) {
            return self.unsigned(number);
        }
        match i8::try_from(number) {
            Ok(byte) => self.bytes.extend_from_slice(&[0xd0, byte.cast_unsigned()]),
            Err(_) => {
                self.bytes.push(0xd3);
                self.bytes.extend_from_slice(&number.to_be_bytes());
            }
        }
    }

    pub fn double(&mut self, number: f64) {
        // Zero, not minus zero: the shortest default of a field.
        if number.to_bits() == 0 {
            return self.unsigned(0);
        }
        self.bytes.push(0xcb);
        self.bytes.extend_from_slice(&number.to_be_bytes());
    }
}
