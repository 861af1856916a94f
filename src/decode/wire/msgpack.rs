//! `MessagePack` read straight through: one place in the payload that moves on.
//!
//! Place: under decoders that know which values they want. Nothing is copied or allocated; counts and
//! lengths that the peer announces are only ever compared with what is there. Headers need not be of
//! the shortest form, text may come as `bin`, and any family of integers will do: senders differ.
#![deny(clippy::indexing_slicing)]

use crate::decode::{DecodeError, Fault};

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

/// An integer of 64 bits with the byte of its family.
const WIDE_SIZE: usize = 9;

type Answer<T> = Result<T, ReadError>;

/// A value's kind, by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Nil,
    Bool,
    Int,
    Float,
    Text,
    Bytes,
    Array,
    Map,
    Extension,
}

#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    payload: &'a [u8],
    place: usize,
}

impl<'a> Reader<'a> {
    pub const fn new(payload: &'a [u8]) -> Self {
        Self { payload, place: 0 }
    }

    /// Bytes from the start of the payload.
    pub const fn place(&self) -> usize {
        self.place
    }

    pub const fn is_empty(&self) -> bool {
        self.place >= self.payload.len()
    }

    pub const fn fault(&self, fault: Fault) -> ReadError {
        ReadError { fault, at: self.place }
    }

    #[cold]
    fn truncated(&self) -> ReadError {
        ReadError { fault: Fault::MsgpackTruncated, at: self.payload.len() }
    }

    #[cold]
    fn wrong(&self) -> ReadError {
        match self.payload.get(self.place) {
            None => self.truncated(),
            Some(0xc1) => self.fault(Fault::MsgpackReserved),
            Some(_) => self.fault(Fault::MsgpackTypeWrong),
        }
    }

    /// The first byte of the next value.
    #[inline]
    fn first(&self) -> Answer<u8> {
        self.payload.get(self.place).copied().ok_or_else(|| self.truncated())
    }

    /// `N` bytes behind the first one, as a big-endian number.
    #[inline]
    fn operand<const N: usize>(&self) -> Answer<u64> {
        let bytes = self.payload.get(self.place + 1..).and_then(|rest| rest.first_chunk::<N>());
        let bytes = bytes.ok_or_else(|| self.truncated())?;
        Ok(bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    /// The kind of the next value.
    pub fn kind(&self) -> Answer<Kind> {
        Ok(match self.first()? {
            0xc0 => Kind::Nil,
            0xc2 | 0xc3 => Kind::Bool,
            0x00..=0x7f | 0xe0..=0xff | 0xcc..=0xd3 => Kind::Int,
            0xca | 0xcb => Kind::Float,
            0xa0..=0xbf | 0xd9..=0xdb => Kind::Text,
            0xc4..=0xc6 => Kind::Bytes,
            0x90..=0x9f | 0xdc | 0xdd => Kind::Array,
            0x80..=0x8f | 0xde | 0xdf => Kind::Map,
            0xc7..=0xc9 | 0xd4..=0xd8 => Kind::Extension,
            0xc1 => return Err(self.wrong()),
        })
    }

    /// Passes a nil, if that comes next.
    #[inline]
    pub fn take_nil(&mut self) -> bool {
        let is_nil = self.payload.get(self.place) == Some(&0xc0);
        self.place += usize::from(is_nil);
        is_nil
    }

    /// The announced number of elements. A number that cannot be there is refused at once.
    #[inline]
    pub fn array(&mut self) -> Answer<usize> {
        let (count, header) = match self.first()? {
            first @ 0x90..=0x9f => (u64::from(first & 0x0f), 1),
            0xdc => (self.operand::<2>()?, 3),
            0xdd => (self.operand::<4>()?, 5),
            _ => return Err(self.wrong()),
        };
        self.announced(count, 1, header)
    }

    /// The announced number of pairs.
    #[inline]
    pub fn map(&mut self) -> Answer<usize> {
        let (count, header) = match self.first()? {
            first @ 0x80..=0x8f => (u64::from(first & 0x0f), 1),
            0xde => (self.operand::<2>()?, 3),
            0xdf => (self.operand::<4>()?, 5),
            _ => return Err(self.wrong()),
        };
        self.announced(count, 2, header)
    }

    /// Every element takes a byte at least.
    #[inline]
    fn announced(&mut self, count: u64, width: usize, header: usize) -> Answer<usize> {
        let left = self.payload.len() - (self.place + header).min(self.payload.len());
        match usize::try_from(count) {
            Ok(count) if count.saturating_mul(width) <= left => {
                self.place += header;
                Ok(count)
            }
            _ => Err(self.truncated()),
        }
    }

    /// Text or bytes.
    #[inline(always)]
    pub fn text(&mut self) -> Answer<&'a [u8]> {
        match self.take_short_text() {
            Some(text) => Ok(text),
            None => self.long_text(),
        }
    }

    /// Text below 256 bytes in its two usual forms, if one comes next. This and its like are inlined always:
    /// where several decoders share them they become calls, which cost more than what they do.
    #[inline(always)]
    pub fn take_short_text(&mut self) -> Option<&'a [u8]> {
        let (size, header) = match *self.payload.get(self.place..)? {
            [first @ 0xa0..=0xbf, ..] => (usize::from(first & 0x1f), 1),
            [0xd9, size, ..] => (usize::from(size), 2),
            _ => return None,
        };
        let start = self.place + header;
        let text = self.payload.get(start..start + size)?;
        self.place = start + size;
        Some(text)
    }

    /// Text or bytes in any form.
    pub fn long_text(&mut self) -> Answer<&'a [u8]> {
        let (size, header) = match self.first()? {
            first @ 0xa0..=0xbf => (u64::from(first & 0x1f), 1),
            0xd9 | 0xc4 => (self.operand::<1>()?, 2),
            0xda | 0xc5 => (self.operand::<2>()?, 3),
            0xdb | 0xc6 => (self.operand::<4>()?, 5),
            _ => return Err(self.wrong()),
        };
        let start = self.place + header;
        let end = usize::try_from(size).ok().and_then(|size| start.checked_add(size));
        let text = end.and_then(|end| self.payload.get(start..end));
        let text = text.ok_or_else(|| self.truncated())?;
        self.place = start + text.len();
        Ok(text)
    }

    /// An integer of any family as 64 bits; whether it is negative tells how to read them.
    fn int(&mut self) -> Answer<(u64, bool)> {
        let first = self.first()?;
        let signed = |bits: u64, width: u32| {
            let shift = 64 - width;
            let number = (bits << shift).cast_signed() >> shift;
            (number.cast_unsigned(), number < 0)
        };
        let (number, size) = match first {
            0x00..=0x7f => ((u64::from(first), false), 1),
            0xe0..=0xff => (signed(u64::from(first), 8), 1),
            0xcc => ((self.operand::<1>()?, false), 2),
            0xcd => ((self.operand::<2>()?, false), 3),
            0xce => ((self.operand::<4>()?, false), 5),
            0xcf => ((self.operand::<8>()?, false), 9),
            0xd0 => (signed(self.operand::<1>()?, 8), 2),
            0xd1 => (signed(self.operand::<2>()?, 16), 3),
            0xd2 => (signed(self.operand::<4>()?, 32), 5),
            0xd3 => (signed(self.operand::<8>()?, 64), 9),
            _ => return Err(self.wrong()),
        };
        self.place += size;
        Ok(number)
    }

    /// 64 bits: a negative number is the same bits seen as signed.
    #[inline]
    pub fn unsigned(&mut self) -> Answer<u64> {
        match self.wide() {
            Some((_, bits)) => {
                self.place += WIDE_SIZE;
                Ok(bits)
            }
            None => self.int().map(|(bits, _)| bits),
        }
    }

    /// An integer below 65,536 in one of its three usual forms, if one comes next: a reference nearly always is.
    #[inline(always)]
    pub fn take_small(&mut self) -> Option<usize> {
        let (number, size) = match *self.payload.get(self.place..)? {
            [first @ 0x00..=0x7f, ..] => (usize::from(first), 1),
            [0xcc, number, ..] => (usize::from(number), 2),
            [0xcd, high, low, ..] => (usize::from(u16::from_be_bytes([high, low])), 3),
            _ => return None,
        };
        self.place += size;
        Some(number)
    }

    /// An integer, if one comes next.
    pub fn reference(&mut self) -> Answer<Option<u64>> {
        match self.kind()? {
            Kind::Int => self.unsigned().map(Some),
            _ => Ok(None),
        }
    }

    /// An integer of 64 bits with its family, if one comes next: what ids and times nearly always are.
    #[inline(always)]
    fn wide(&self) -> Option<(u8, u64)> {
        let whole = self.payload.get(self.place..)?.first_chunk::<WIDE_SIZE>()?;
        let (&family, bits) =
            whole.split_first().filter(|(family, _)| matches!(family, 0xcf | 0xd3))?;
        Some((family, u64::from_be_bytes(bits.try_into().ok()?)))
    }

    #[inline]
    pub fn signed(&mut self) -> Answer<i64> {
        if let Some((family, bits)) = self.wide()
            && (family == 0xd3 || bits <= i64::MAX.cast_unsigned())
        {
            self.place += WIDE_SIZE;
            return Ok(bits.cast_signed());
        }
        let at = self.place;
        match self.int()? {
            (bits, false) if bits > i64::MAX.cast_unsigned() => {
                Err(ReadError { fault: Fault::MsgpackIntegerOverLimit, at })
            }
            (bits, _) => Ok(bits.cast_signed()),
        }
    }

    /// An integer or a float.
    #[inline]
    #[expect(
        clippy::cast_precision_loss,
        reason = "metrics are doubles, whatever form they come in"
    )]
    pub fn number(&mut self) -> Answer<f64> {
        match self.first()? {
            0xca => {
                let bits = u32::try_from(self.operand::<4>()?).unwrap_or_default();
                self.place += 5;
                Ok(f64::from(f32::from_bits(bits)))
            }
            0xcb => {
                let bits = self.operand::<8>()?;
                self.place += 9;
                Ok(f64::from_bits(bits))
            }
            _ => match self.int()? {
                (bits, true) => Ok(bits.cast_signed() as f64),
                (bits, false) => Ok(bits as f64),
            },
        }
    }

    pub fn boolean(&mut self) -> Answer<bool> {
        let first = self.first()?;
        if !matches!(first, 0xc2 | 0xc3) {
            return Err(self.wrong());
        }
        self.place += 1;
        Ok(first == 0xc3)
    }

    /// Passes any one value, however deep: what is still owed is a number, not a stack.
    pub fn skip(&mut self) -> Answer<()> {
        let mut owed = 1u64;
        while owed > 0 {
            if owed > (self.payload.len() - self.place.min(self.payload.len())) as u64 {
                return Err(self.truncated());
            }
            owed -= 1;
            match self.kind()? {
                Kind::Nil | Kind::Bool => self.place += 1,
                Kind::Int => drop(self.int()?),
                Kind::Float => drop(self.number()?),
                Kind::Text | Kind::Bytes => drop(self.text()?),
                Kind::Array => owed += self.array()? as u64,
                Kind::Map => owed += 2 * self.map()? as u64,
                Kind::Extension => self.skip_extension()?,
            }
        }
        Ok(())
    }

    fn skip_extension(&mut self) -> Answer<()> {
        // A type byte stands between the length and the data.
        let (size, header) = match self.first()? {
            0xd4 => (1, 2),
            0xd5 => (2, 2),
            0xd6 => (4, 2),
            0xd7 => (8, 2),
            0xd8 => (16, 2),
            0xc7 => (self.operand::<1>()?, 3),
            0xc8 => (self.operand::<2>()?, 4),
            0xc9 => (self.operand::<4>()?, 6),
            _ => return Err(self.wrong()),
        };
        let end =
            usize::try_from(size).ok().and_then(|size| (self.place + header).checked_add(size));
        match end.filter(|&end| end <= self.payload.len()) {
            Some(end) => {
                self.place = end;
                Ok(())
            }
            None => Err(self.truncated()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

    use super::*;

    fn read<'a, T>(bytes: &'a [u8], of: impl Fn(&mut Reader<'a>) -> Answer<T>) -> Answer<T> {
        for end in 0..bytes.len() {
            let cut = of(&mut Reader::new(&bytes[..end]));
            assert!(matches!(cut, Err(error) if error.fault == Fault::MsgpackTruncated), "{end}");
        }
        let mut reader = Reader::new(bytes);
        let value = of(&mut reader)?;
        assert!(reader.is_empty(), "{bytes:x?}");
        // The same by passing over it.
        let mut reader = Reader::new(bytes);
        reader.skip()?;
        assert!(reader.is_empty(), "{bytes:x?}");
        Ok(value)
    }

    #[test]
    fn integers_of_every_family() {
        for (bytes, bits) in [
            (&[0x00][..], 0),
            (&[0x7f], 127),
            (&[0xe0], (-32i64).cast_unsigned()),
            (&[0xff], u64::MAX),
            (&[0xcc, 0xff], 255),
            (&[0xcd, 1, 0], 256),
            (&[0xce, 0, 1, 0, 0], 65_536),
            (&[0xcf, 0x80, 0, 0, 0, 0, 0, 0, 1], 1 << 63 | 1),
            (&[0xd0, 0x80], (-128i64).cast_unsigned()),
            (&[0xd1, 0x80, 0], (-32_768i64).cast_unsigned()),
            (&[0xd2, 0xff, 0xff, 0xff, 0xfe], (-2i64).cast_unsigned()),
            (&[0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0], 1 << 63),
        ] {
            assert_eq!(read(bytes, Reader::unsigned), Ok(bits), "{bytes:x?}");
        }
        let large = [0xcf, 0x80, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(
            Reader::new(&large).signed(),
            Err(ReadError { fault: Fault::MsgpackIntegerOverLimit, at: 0 })
        );
        assert_eq!(read(&[0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0], Reader::signed), Ok(i64::MIN));
        assert_eq!(read(&[0xcf, 0x7f, 0, 0, 0, 0, 0, 0, 1], Reader::signed), Ok(0x7f << 56 | 1));
        assert_eq!(read(&[0xce, 0xff, 0, 0, 0], Reader::signed), Ok(0xff << 24));
        assert_eq!(read(&[0xfe], Reader::signed), Ok(-2));
        for wrong in [0xc0, 0xc2, 0xa0, 0x90, 0x80, 0xca] {
            let error = Reader::new(&[wrong, 0, 0, 0, 0]).unsigned().unwrap_err();
            assert_eq!(error.fault, Fault::MsgpackTypeWrong, "{wrong:x}");
        }
    }

    #[test]
    fn numbers_texts_and_headers() {
        assert_eq!(read(&[0xca, 0x3f, 0x80, 0, 0], Reader::number), Ok(1.0));
        assert_eq!(read(&[0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0], Reader::number), Ok(1.5));
        assert_eq!(read(&[0xff], Reader::number), Ok(-1.0));
        assert_eq!(read(&[0xcc, 200], Reader::number), Ok(200.0));
        assert_eq!(read(&[0xa2, b'a', b'b'], Reader::text), Ok(&b"ab"[..]));
        assert_eq!(read(&[0xa0], Reader::text), Ok(&b""[..]));
        for header in
            [&[0xd9, 2][..], &[0xda, 0, 2], &[0xdb, 0, 0, 0, 2], &[0xc4, 2], &[0xc5, 0, 2]]
        {
            let bytes = [header, b"ab"].concat();
            assert_eq!(read(&bytes, Reader::text), Ok(&b"ab"[..]), "{header:x?}");
        }
        for header in [&[0x92][..], &[0xdc, 0, 2], &[0xdd, 0, 0, 0, 2]] {
            let bytes = [header, &[1, 2]].concat();
            let mut reader = Reader::new(&bytes);
            assert_eq!((reader.array(), reader.unsigned()), (Ok(2), Ok(1)));
            assert_eq!(Reader::new(&bytes).skip(), Ok(()));
        }
        for header in [&[0x81][..], &[0xde, 0, 1], &[0xdf, 0, 0, 0, 1]] {
            let bytes = [header, &[1, 2]].concat();
            assert_eq!(Reader::new(&bytes).map(), Ok(1));
        }
        assert_eq!(read(&[0xc3], Reader::boolean), Ok(true));
        assert!(Reader::new(&[0xc0]).take_nil() && !Reader::new(&[0x01]).take_nil());
    }

    #[test]
    fn announced_counts_cost_nothing() {
        for bytes in [
            &[0xdd, 0xff, 0xff, 0xff, 0xff][..],
            &[0xdf, 0xff, 0xff, 0xff, 0xff, 1, 2],
            &[0xdb, 0xff, 0xff, 0xff, 0xff, b'a'],
            &[0xc9, 0xff, 0xff, 0xff, 0xff, 1],
            &[0x9f, 1, 2],
        ] {
            assert_eq!(Reader::new(bytes).skip().unwrap_err().fault, Fault::MsgpackTruncated);
        }
        assert_eq!(Reader::new(&[0xc1]).skip().unwrap_err().fault, Fault::MsgpackReserved);
    }

    #[test]
    fn anything_is_passed_however_deep() {
        let mut deep = vec![0x91; 1_000_000];
        deep.push(0xc0);
        let mut reader = Reader::new(&deep);
        assert_eq!(reader.skip(), Ok(()));
        assert!(reader.is_empty());
        let extensions: [&[u8]; 4] = [
            &[0xd4, 1, 2],
            &[0xd8, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0xc7, 1, 9, 7],
            &[0xc8, 0, 0, 9],
        ];
        for bytes in extensions {
            let mut reader = Reader::new(bytes);
            assert_eq!(reader.skip(), Ok(()), "{bytes:x?}");
            assert!(reader.is_empty());
        }
    }
}
