//! Protobuf wire format (protobuf.dev, "Encoding"): a reader that borrows and never allocates.
//!
//! Place: under the decoders of remote write and OTLP. It knows tags, varints, fixed widths, lengths
//! and groups; which field means what is the protocols' affair.
//!
//! ```text
//! payload   0 ──────────────── offset ──────────────── end of this message ─────── end of payload
//! reader                        └── rest (borrowed) ──┘
//! ```
//!
//! A reader keeps what is left of its message and where that message ends in the payload, so every
//! fault knows its byte without a counter being moved on the way. A fault here is three words long;
//! the protocols turn it into a [`DecodeError`] with a field path on their cold path.
#![deny(clippy::indexing_slicing)]

use crate::decode::{DecodeError, Fault};
use crate::limits;

pub const VARINT: u32 = 0;
pub const FIXED64: u32 = 1;
pub const LENGTH: u32 = 2;
const GROUP_START: u32 = 3;
const GROUP_END: u32 = 4;
pub const FIXED32: u32 = 5;

/// Bytes of the longest varint: 64 bits in groups of seven.
const VARINT_SIZE_MAX: usize = 10;

/// A tag as it stands on the wire: field number and wire type in one number.
#[must_use]
pub const fn tag(number: u32, wire_type: u32) -> u32 {
    number << 3 | wire_type
}

/// Field numbers that a message knows, as bits. Numbers from 64 on cannot be among them.
#[derive(Clone, Copy)]
pub struct Known(u64);

impl Known {
    #[must_use]
    pub const fn fields(mut numbers: &[u32]) -> Self {
        let mut bits = 0;
        while let [number, rest @ ..] = numbers {
            assert!(*number < u64::BITS, "a known field's number has to fit the set");
            bits |= 1 << *number;
            numbers = rest;
        }
        Self(bits)
    }

    const fn holds(self, number: u32) -> bool {
        number < u64::BITS && self.0 >> number & 1 == 1
    }
}

/// What is wrong, and at which byte of the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireError {
    pub fault: Fault,
    pub offset: u64,
}

impl From<WireError> for DecodeError {
    #[cold]
    fn from(error: WireError) -> Self {
        Self::at(error.fault, error.offset)
    }
}

/// What is left of one message.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// Where `rest` ends, from the start of the payload.
    end: usize,
}

impl<'a> Reader<'a> {
    /// A reader of a whole payload; offsets count from its first byte.
    #[inline]
    #[must_use]
    pub const fn new(payload: &'a [u8]) -> Self {
        Self { rest: payload, end: payload.len() }
    }

    /// Bytes of the payload before what is left.
    #[inline]
    #[must_use]
    pub const fn offset(&self) -> u64 {
        (self.end - self.rest.len()) as u64
    }

    /// What is left of the message.
    #[inline]
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Goes on at `rest`, which is a tail of what was left.
    #[inline]
    pub fn continue_at(&mut self, rest: &'a [u8]) {
        debug_assert!(
            self.rest.as_ptr_range().end == rest.as_ptr_range().end
                && rest.len() <= self.rest.len(),
            "only a tail of what was left can follow"
        );
        self.rest = rest;
    }

    /// A fault at the place where the reader stands.
    #[cold]
    #[must_use]
    pub const fn fault(&self, fault: Fault) -> WireError {
        WireError { fault, offset: self.offset() }
    }

    /// The next field's tag, or `None` at the end of the message. Whether its number and wire type
    /// are possible at all is looked at by [`Reader::skip`]: a tag that a caller knows is possible.
    #[inline(always)]
    pub fn tag(&mut self) -> Result<Option<u32>, WireError> {
        match self.rest {
            [] => Ok(None),
            [byte, rest @ ..] if *byte < 0x80 => {
                self.rest = rest;
                Ok(Some(u32::from(*byte)))
            }
            _ => self.tag_long().map(Some),
        }
    }

    #[inline(never)]
    fn tag_long(&mut self) -> Result<u32, WireError> {
        let start = *self;
        let value = self.varint_long()?;
        u32::try_from(value).map_err(|_| start.fault(Fault::FieldNumberOverLimit))
    }

    #[inline(always)]
    pub fn varint(&mut self) -> Result<u64, WireError> {
        match self.rest {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            _ => self.varint_long(),
        }
    }

    /// An `int32` or an enum: the low 32 bits, as every protobuf library takes them.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "the format sends 32-bit values as 64 bits")]
    #[allow(clippy::cast_possible_wrap, reason = "negative numbers are sent as their bits")]
    pub fn int32(&mut self) -> Result<i32, WireError> {
        Ok(self.varint()? as i32)
    }

    /// A `uint32`: the low 32 bits.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "the format sends 32-bit values as 64 bits")]
    pub fn uint32(&mut self) -> Result<u32, WireError> {
        Ok(self.varint()? as u32)
    }

    #[inline]
    pub fn int64(&mut self) -> Result<i64, WireError> {
        Ok(self.varint()?.cast_signed())
    }

    /// A zigzag `sint64`.
    #[inline]
    pub fn sint64(&mut self) -> Result<i64, WireError> {
        let bits = self.varint()?;
        Ok((bits >> 1).cast_signed() ^ -(bits & 1).cast_signed())
    }

    /// A zigzag `sint32`.
    #[inline]
    pub fn sint32(&mut self) -> Result<i32, WireError> {
        let bits = self.uint32()?;
        Ok((bits >> 1).cast_signed() ^ -(bits & 1).cast_signed())
    }

    /// Varints of two bytes and more. Up to eight bytes at once where the message has at least four:
    /// a millisecond timestamp takes six and often stands last.
    #[inline]
    fn varint_long(&mut self) -> Result<u64, WireError> {
        if let Some(word) = self.next_word() {
            let stops = !word & 0x8080_8080_8080_8080;
            let size = (stops.trailing_zeros() as usize + 1) / 8;
            // Behind the end of the message the word has zeros, which look like stops.
            if stops != 0
                && let Some(rest) = self.rest.get(size..)
            {
                // All bits up to and including the highest of the byte that goes on no more.
                let groups = word & (stops ^ (stops - 1)) & 0x7f7f_7f7f_7f7f_7f7f;
                let pairs = groups & 0x007f_007f_007f_007f | (groups & 0x7f00_7f00_7f00_7f00) >> 1;
                let quads = pairs & 0x0000_3fff_0000_3fff | (pairs & 0x3fff_0000_3fff_0000) >> 2;
                self.rest = rest;
                return Ok(quads & 0x0fff_ffff | (quads & 0x0fff_ffff_0000_0000) >> 4);
            }
        }
        self.varint_bytewise()
    }

    /// The next eight bytes, or all that is left if that is at least four, with zeros behind them.
    #[inline(always)]
    fn next_word(&self) -> Option<u64> {
        if let Some(head) = self.rest.first_chunk::<8>() {
            return Some(u64::from_le_bytes(*head));
        }
        // Two loads that overlap; where they do, they hold the same bytes.
        let low = u64::from(u32::from_le_bytes(*self.rest.first_chunk::<4>()?));
        let high = u64::from(u32::from_le_bytes(*self.rest.last_chunk::<4>()?));
        Some(low | high << (8 * (self.rest.len() - 4)))
    }

    /// The last three bytes of a message, varints of nine and ten bytes, and faults.
    #[inline(never)]
    fn varint_bytewise(&mut self) -> Result<u64, WireError> {
        let start = *self;
        let mut value = 0;
        for position in 0..VARINT_SIZE_MAX {
            let Some((&byte, rest)) = self.rest.split_first() else {
                return Err(start.fault(Fault::Truncated));
            };
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << (7 * position);
            if byte < 0x80 {
                // The tenth byte has room for one bit.
                if position == VARINT_SIZE_MAX - 1 && byte > 1 {
                    break;
                }
                return Ok(value);
            }
        }
        Err(start.fault(Fault::VarintOverlong))
    }

    #[inline]
    pub fn fixed64(&mut self) -> Result<u64, WireError> {
        match self.rest.split_first_chunk::<8>() {
            Some((head, rest)) => {
                self.rest = rest;
                Ok(u64::from_le_bytes(*head))
            }
            None => Err(self.fault(Fault::Truncated)),
        }
    }

    #[inline]
    pub fn fixed32(&mut self) -> Result<u32, WireError> {
        match self.rest.split_first_chunk::<4>() {
            Some((head, rest)) => {
                self.rest = rest;
                Ok(u32::from_le_bytes(*head))
            }
            None => Err(self.fault(Fault::Truncated)),
        }
    }

    /// A double; its bits stay as they came.
    #[inline]
    pub fn double(&mut self) -> Result<f64, WireError> {
        Ok(f64::from_bits(self.fixed64()?))
    }

    #[inline(always)]
    pub fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        Ok(self.message()?.rest)
    }

    /// A length-delimited field as a reader of its own.
    #[inline(always)]
    pub fn message(&mut self) -> Result<Reader<'a>, WireError> {
        let start = *self;
        let length = limits::size(self.varint()?);
        match self.rest.split_at_checked(length) {
            Some((inner, rest)) => {
                self.rest = rest;
                Ok(Reader { rest: inner, end: self.end - rest.len() })
            }
            None => Err(start.fault(Fault::LengthPastEnd)),
        }
    }

    /// Passes over a field that the caller does not know. A number it does know has come with a wire
    /// type that this field cannot have.
    #[inline(never)]
    pub fn skip(&mut self, tag: u32, known: Known) -> Result<(), WireError> {
        let number = tag >> 3;
        if number == 0 {
            return Err(self.fault(Fault::FieldNumberZero));
        }
        if tag & 7 > FIXED32 {
            return Err(self.fault(Fault::WireTypeUnknown));
        }
        if known.holds(number) {
            return Err(self.fault(Fault::WireTypeWrong));
        }
        match tag & 7 {
            GROUP_START => self.skip_group(number),
            GROUP_END => Err(self.fault(Fault::GroupUnbalanced)),
            _ => self.skip_plain(tag),
        }
    }

    /// Passes over a value by its wire type; groups are not among them.
    #[inline]
    fn skip_plain(&mut self, tag: u32) -> Result<(), WireError> {
        match tag & 7 {
            VARINT => self.varint().map(drop),
            FIXED64 => self.fixed64().map(drop),
            FIXED32 => self.fixed32().map(drop),
            LENGTH => self.bytes().map(drop),
            _ => Err(self.fault(Fault::WireTypeUnknown)),
        }
    }

    /// Passes over a group up to its balanced end. Groups inside are kept on a small stack rather
    /// than by recursion, so depth costs nothing and has a limit.
    #[cold]
    fn skip_group(&mut self, number: u32) -> Result<(), WireError> {
        let mut open = [0; limits::NESTING_DEPTH_MAX];
        let mut depth = 1;
        if let Some(outermost) = open.first_mut() {
            *outermost = number;
        }
        loop {
            let at = *self;
            let Some(tag) = self.tag()? else {
                return Err(at.fault(Fault::GroupUnbalanced));
            };
            let number = tag >> 3;
            if number == 0 {
                return Err(at.fault(Fault::FieldNumberZero));
            }
            match tag & 7 {
                GROUP_START => {
                    let Some(slot) = open.get_mut(depth) else {
                        return Err(at.fault(Fault::NestingOverLimit));
                    };
                    *slot = number;
                    depth += 1;
                }
                GROUP_END => {
                    depth -= 1;
                    if open.get(depth) != Some(&number) {
                        return Err(at.fault(Fault::GroupUnbalanced));
                    }
                    if depth == 0 {
                        return Ok(());
                    }
                }
                _ => self.skip_plain(tag)?,
            }
        }
    }
}

/// The length-delimited fields of one number, in wire order. For bytes that were checked before: a
/// fault ends the walk.
#[derive(Clone, Copy)]
pub struct Occurrences<'a> {
    reader: Reader<'a>,
    tag: u32,
}

impl<'a> Occurrences<'a> {
    #[must_use]
    pub const fn of(message: &'a [u8], number: u32) -> Self {
        Self { reader: Reader::new(message), tag: tag(number, LENGTH) }
    }
}

impl<'a> Iterator for Occurrences<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let tag = self.reader.tag().ok()??;
            if tag == self.tag {
                return self.reader.bytes().ok();
            }
            self.reader.skip(tag, Known::fields(&[])).ok()?;
        }
    }
}

/// Messages written by hand, for the tests of every protobuf protocol.
#[cfg(test)]
#[path = "../../../perf/bodies.rs"]
pub mod bodies;

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        reason = "tests"
    )]
    use super::*;

    fn encoded(mut value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while value >= 0x80 {
            bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    }

    /// The word-wise paths depend on what stands behind a varint; each length meets each distance
    /// from the end, with bytes behind it that go on and that do not.
    #[test]
    fn varints_of_every_length_are_read_before_any_rest() {
        for bits in 0..=64 {
            for value in [(1_u128 << bits) - 1, (1_u128 << bits) / 3 * 2] {
                let value = value as u64;
                let varint = encoded(value);
                for behind in 0..12 {
                    for filler in [0x00, 0x7f, 0x80, 0xff] {
                        let mut bytes = varint.clone();
                        bytes.extend(std::iter::repeat_n(filler, behind));
                        let mut reader = Reader::new(&bytes);
                        assert_eq!(reader.varint(), Ok(value), "{bytes:x?}");
                        assert_eq!(reader.offset(), varint.len() as u64, "{bytes:x?}");
                    }
                }
                for end in 0..varint.len() {
                    let error = Reader::new(&varint[..end]).varint().unwrap_err();
                    assert_eq!(error, WireError { fault: Fault::Truncated, offset: 0 });
                }
            }
        }
    }

    #[test]
    fn a_varint_may_be_padded_to_ten_bytes_and_no_further() {
        let mut padded = vec![0x85];
        for _ in 0..8 {
            padded.push(0x80);
            let mut whole = padded.clone();
            whole.push(0);
            assert_eq!(Reader::new(&whole).varint(), Ok(5), "{whole:x?}");
        }
        padded.extend([0x80, 0x00]);
        assert_eq!(Reader::new(&padded).varint().unwrap_err().fault, Fault::VarintOverlong);
        // Ten bytes, but a 65th bit.
        let past = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert_eq!(Reader::new(&past).varint().unwrap_err().fault, Fault::VarintOverlong);
    }

    #[test]
    fn numbers_of_32_bits_are_the_low_ones_and_zigzag_turns_signs() {
        assert_eq!(Reader::new(&encoded(u64::MAX)).int32(), Ok(-1));
        assert_eq!(Reader::new(&encoded(1 << 32 | 7)).uint32(), Ok(7));
        for (bits, value) in
            [(0, 0), (1, -1), (2, 1), (u64::MAX, i64::MIN), (u64::MAX - 1, i64::MAX)]
        {
            assert_eq!(Reader::new(&encoded(bits)).sint64(), Ok(value));
        }
        assert_eq!(Reader::new(&encoded(u64::from(u32::MAX))).sint32(), Ok(i32::MIN));
    }

    fn skip_all(bytes: &[u8]) -> Result<(), WireError> {
        let mut reader = Reader::new(bytes);
        while let Some(tag) = reader.tag()? {
            reader.skip(tag, Known::fields(&[1]))?;
        }
        Ok(())
    }

    #[test]
    fn tags_that_cannot_be_are_refused() {
        for (bytes, fault) in [
            (&[0x00, 0x00][..], Fault::FieldNumberZero),
            (&[0x02, 0x00], Fault::FieldNumberZero),
            (&[0x16], Fault::WireTypeUnknown),
            (&[0x17], Fault::WireTypeUnknown),
            (&[0x0a, 0x00], Fault::WireTypeWrong),
            (&[0x14], Fault::GroupUnbalanced),
            (&[0x80, 0x80, 0x80, 0x80, 0x10, 0x00], Fault::FieldNumberOverLimit),
        ] {
            assert_eq!(skip_all(bytes).unwrap_err().fault, fault, "{bytes:x?}");
        }
        // The largest number there is.
        assert_eq!(skip_all(&[0xf8, 0xff, 0xff, 0xff, 0x0f, 0x00]), Ok(()));
    }

    #[test]
    fn every_wire_type_is_passed_over_and_refused_where_it_is_cut() {
        let mut all = vec![0x10, 0xff, 0x01];
        all.extend([0x11, 1, 2, 3, 4, 5, 6, 7, 8]);
        all.extend([0x12, 3, 1, 2, 3]);
        all.extend([0x15, 1, 2, 3, 4]);
        all.extend([0x13, 0x1b, 0x22, 1, 9, 0x1c, 0x28, 1, 0x14]);
        assert_eq!(skip_all(&all), Ok(()));
        let ends = [0, 3, 12, 17, 22, all.len()];
        for end in 0..all.len() {
            assert_eq!(skip_all(&all[..end]).is_ok(), ends.contains(&end), "cut at {end}");
        }
    }

    #[test]
    fn groups_balance_by_number_and_nest_to_a_limit() {
        assert_eq!(skip_all(&[0x13, 0x1c]).unwrap_err().fault, Fault::GroupUnbalanced);
        assert_eq!(skip_all(&[0x13, 0x1b, 0x14]).unwrap_err().fault, Fault::GroupUnbalanced);
        assert_eq!(skip_all(&[0x13]).unwrap_err().fault, Fault::GroupUnbalanced);
        assert_eq!(skip_all(&[0x13, 0x06, 0x14]).unwrap_err().fault, Fault::FieldNumberZero);
        assert_eq!(skip_all(&[0x13, 0x16, 0x14]).unwrap_err().fault, Fault::WireTypeUnknown);
        for depth in [limits::NESTING_DEPTH_MAX, limits::NESTING_DEPTH_MAX + 1] {
            let nested = [vec![0x13; depth], vec![0x14; depth]].concat();
            let expected = match skip_all(&nested) {
                Ok(()) => depth == limits::NESTING_DEPTH_MAX,
                Err(error) => {
                    error.fault == Fault::NestingOverLimit && depth > limits::NESTING_DEPTH_MAX
                }
            };
            assert!(expected, "{depth}");
        }
        // A bomb ends at the limit, whatever its size.
        let error = skip_all(&vec![0x13; 1 << 20]).unwrap_err();
        assert_eq!(error.offset, limits::NESTING_DEPTH_MAX as u64);
    }

    #[test]
    fn a_length_that_lies_is_refused_where_it_stands() {
        for length in [4, 127, 128, 1 << 31, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = vec![0x08, 0x01, 0x12];
            bytes.extend(encoded(length));
            bytes.extend([1, 2, 3]);
            let mut reader = Reader::new(&bytes);
            reader.tag().unwrap();
            reader.varint().unwrap();
            reader.tag().unwrap();
            let error = reader.bytes().unwrap_err();
            assert_eq!(error, WireError { fault: Fault::LengthPastEnd, offset: 3 });
        }
    }

    #[test]
    fn an_inner_message_knows_its_place_in_the_payload() {
        let bytes = [0x0a, 0x04, 0x12, 0x02, 0x08, 0x80, 0x10, 0x01];
        let mut outer = Reader::new(&bytes);
        outer.tag().unwrap();
        let mut middle = outer.message().unwrap();
        middle.tag().unwrap();
        let mut inner = middle.message().unwrap();
        assert_eq!(inner.offset(), 4);
        inner.tag().unwrap();
        // The number goes on behind the message's end, where another field's bytes stand.
        assert_eq!(inner.varint(), Err(WireError { fault: Fault::Truncated, offset: 5 }));
        assert_eq!((middle.is_empty(), outer.offset()), (true, 6));
    }
}
