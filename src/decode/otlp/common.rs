//! `opentelemetry.proto.common.v1`: AnyValue and KeyValue.
//!
//! Place: under every OTLP signal. First the check, which walks a value once and allows it or names
//! its fault; then the views, which walk checked bytes again and know no faults.
//!
//! A message that occurs twice is merged, and merging is the same as joining bytes. So a value is
//! not one slice but all occurrences of its field in its holder:
//!
//! ```text
//! KeyValue   key ▒▒▒  value ▓▓▓▓▓  value ▓▓▓          a value in two pieces
//!                            │            │
//! AnyValue           array ░░░   text  array ░░  array ░░      the last member stands: an array
//!                                        └── run of two ──┘    of both last pieces, without the first
//! ```
//!
//! Elements of arrays and maps are repeated fields and never merge, so pieces do not multiply with
//! depth, and walking a value costs a small constant times its size.
#![deny(clippy::indexing_slicing)]

use crate::batch::record::{Attributes, Text, Value, Values};
use crate::decode::wire::protobuf::{
    FIXED64, Known, LENGTH, Occurrences, Reader, VARINT, WireError, tag,
};
use crate::decode::{DecodeError, Fault};
use crate::limits;

const STRING: u32 = tag(1, LENGTH);
const BOOL: u32 = tag(2, VARINT);
const INT: u32 = tag(3, VARINT);
const DOUBLE: u32 = tag(4, FIXED64);
const ARRAY: u32 = tag(5, LENGTH);
const MAP: u32 = tag(6, LENGTH);
const BYTES: u32 = tag(7, LENGTH);
/// Place in a string table that only profiles have; elsewhere an oddity that reads as no value.
const STRING_INDEX: u32 = tag(8, VARINT);
const ANY_VALUE: Known = Known::fields(&[1, 2, 3, 4, 5, 6, 7, 8]);

const KEY: u32 = tag(1, LENGTH);
const VALUE: u32 = tag(2, LENGTH);
/// As [`STRING_INDEX`], for the key.
const KEY_INDEX: u32 = tag(3, VARINT);
const KEY_VALUE: Known = Known::fields(&[1, 2, 3]);

/// ArrayValue and KeyValueList have one field, of the same number.
const ELEMENTS: u32 = tag(1, LENGTH);
const ELEMENT_LIST: Known = Known::fields(&[1]);

/// Values this deep add their steps to an error's path; below, the offset alone tells the place,
/// so that the outer steps, which name the record, still fit.
const PATH_DEPTH_MAX: usize = 1;

// ── Times and ids ──────────────────────────────────────────────────────────────────────────────

/// The first time that is not 0, which means unknown. Times past the year 2262 stop there.
#[inline]
pub(super) fn first_known(times: [u64; 3]) -> i64 {
    let nanos = times.into_iter().find(|&nanos| nanos != 0).unwrap_or(0);
    i64::try_from(nanos).unwrap_or(i64::MAX)
}

/// An id of another length, or of zeros only, is no id. A log, a link, an exemplar may go without; a span may not.
#[inline]
pub(super) fn id<const SIZE: usize>(bytes: &[u8]) -> Option<[u8; SIZE]> {
    let id = <[u8; SIZE]>::try_from(bytes).ok()?;
    (id != [0; SIZE]).then_some(id)
}

// ── The check ─────────────────────────────────────────────────────────────────────────────────

/// Checks a KeyValue whose value stands `depth` values deep, 0 at an attribute.
#[inline]
pub fn check_key_value(message: Reader<'_>, depth: usize) -> Result<(), DecodeError> {
    if is_plain_pair(message.rest()) {
        Ok(())
    } else {
        check_key_value_field_by_field(message, depth)
    }
}

/// Whether these bytes are a pair as every SDK writes it: a key and then a text, bool, double or small
/// integer, all shorter than 128 bytes and nothing else. Most pairs are, and this is a fifth of the general walk.
#[inline(always)]
fn is_plain_pair(message: &[u8]) -> bool {
    let [0x0a, key_length, after_key_length @ ..] = message else { return false };
    // Lengths of two bytes have the high bit set, and then no slice below is long enough to fit.
    let Some([0x12, value_length, value @ ..]) = after_key_length.get(usize::from(*key_length)..)
    else {
        return false;
    };
    if *key_length >= 0x80 || usize::from(*value_length) != value.len() || *value_length >= 0x80 {
        return false;
    }
    match value {
        [0x0a, length, text @ ..] => usize::from(*length) == text.len(),
        [0x10 | 0x18, number] => *number < 0x80,
        [0x18, first, second] => *first >= 0x80 && *second < 0x80,
        [0x21, double @ ..] => double.len() == 8,
        _ => false,
    }
}

#[inline(never)]
fn check_key_value_field_by_field(
    mut message: Reader<'_>,
    depth: usize,
) -> Result<(), DecodeError> {
    while let Some(tag) = message.tag()? {
        match tag {
            KEY => drop(message.bytes()?),
            VALUE => {
                let value = message.message()?;
                check_value(value, depth).map_err(|error| step(error, depth, "value", None))?;
            }
            KEY_INDEX => drop(message.varint()?),
            other => message.skip(other, KEY_VALUE)?,
        }
    }
    Ok(())
}

/// Checks an AnyValue that stands `depth` values deep. Most are one text.
#[inline]
pub fn check_value(message: Reader<'_>, depth: usize) -> Result<(), DecodeError> {
    let mut text = message;
    if depth < limits::NESTING_DEPTH_MAX
        && matches!(text.tag(), Ok(Some(STRING)))
        && text.bytes().is_ok()
        && text.is_empty()
    {
        return Ok(());
    }
    check_value_field_by_field(message, depth)
}

#[inline(never)]
fn check_value_field_by_field(mut message: Reader<'_>, depth: usize) -> Result<(), DecodeError> {
    if depth >= limits::NESTING_DEPTH_MAX {
        return Err(message.fault(Fault::NestingOverLimit).into());
    }
    while let Some(tag) = message.tag()? {
        match tag {
            STRING | BYTES => drop(message.bytes()?),
            BOOL | INT | STRING_INDEX => drop(message.varint()?),
            DOUBLE => drop(message.fixed64()?),
            ARRAY => {
                let list = message.message()?;
                check_elements(list, depth, check_value)
                    .map_err(|error| step(error, depth, "array_value", None))?;
            }
            MAP => {
                let list = message.message()?;
                check_elements(list, depth, check_key_value)
                    .map_err(|error| step(error, depth, "kvlist_value", None))?;
            }
            other => message.skip(other, ANY_VALUE)?,
        }
    }
    Ok(())
}

fn check_elements(
    mut list: Reader<'_>,
    depth: usize,
    check: fn(Reader<'_>, usize) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let mut index = 0;
    while let Some(tag) = list.tag()? {
        match tag {
            ELEMENTS => {
                let element = list.message()?;
                check(element, depth + 1)
                    .map_err(|error| step(error, depth, "values", Some(index)))?;
                index += 1;
            }
            other => list.skip(other, ELEMENT_LIST)?,
        }
    }
    Ok(())
}

#[cold]
fn step(error: DecodeError, depth: usize, name: &'static str, index: Option<u32>) -> DecodeError {
    if depth < PATH_DEPTH_MAX { error.within(name, index) } else { error }
}

// ── Views over checked bytes ──────────────────────────────────────────────────────────────────

/// The KeyValue fields of one number in a message.
#[derive(Clone, Copy)]
pub struct KeyValues<'a> {
    pub holder: &'a [u8],
    pub number: u32,
}

impl Attributes for KeyValues<'_> {
    fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
        for pair in Occurrences::of(self.holder, self.number) {
            walk_pair(pair, visit);
        }
    }
}

/// The KeyValue fields of a message that may occur several times in its holder: all of them.
#[derive(Clone, Copy)]
pub struct MergedKeyValues<'a> {
    pub holder: &'a [u8],
    /// Of the message in its holder.
    pub message: u32,
    /// Of the pairs in the message.
    pub number: u32,
}

impl Attributes for MergedKeyValues<'_> {
    fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
        for holder in Occurrences::of(self.holder, self.message) {
            KeyValues { holder, number: self.number }.walk(visit);
        }
    }
}

fn walk_pair(pair: &[u8], visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
    let key = Occurrences::of(pair, KEY >> 3).last().unwrap_or_default();
    let member = Member::last_of(Pieces::Field { holder: pair, number: VALUE >> 3 });
    visit(Text(key), member.as_value());
}

/// Where the bytes of one AnyValue stand.
#[derive(Clone, Copy)]
enum Pieces<'a> {
    /// An element of an array: one piece.
    Whole(&'a [u8]),
    /// All occurrences of a field.
    Field { holder: &'a [u8], number: u32 },
}

impl<'a> Pieces<'a> {
    fn visit(self, mut each: impl FnMut(&'a [u8])) {
        match self {
            Self::Whole(bytes) => each(bytes),
            Self::Field { holder, number } => Occurrences::of(holder, number).for_each(each),
        }
    }
}

/// The member of an AnyValue's `oneof` that stands after merging.
pub enum Member<'a> {
    Empty,
    Text(&'a [u8]),
    Bool(bool),
    Int(i64),
    Double(f64),
    Array(Array<'a>),
    Map(Map<'a>),
    Bytes(&'a [u8]),
}

impl<'a> Member<'a> {
    /// Of all occurrences of field `number` in `holder`.
    pub fn last_in(holder: &'a [u8], number: u32) -> Self {
        Self::last_of(Pieces::Field { holder, number })
    }

    fn last_of(pieces: Pieces<'a>) -> Self {
        let mut merge = Merge { member: Self::Empty, pieces, arrays: 0, maps: 0 };
        pieces.visit(|piece| {
            // Checked bytes have no faults; if ever they had, what was read so far stands.
            let _ = merge.read(Reader::new(piece));
        });
        merge.member
    }

    pub fn as_value(&self) -> Value<'_> {
        match self {
            Self::Empty => Value::Empty,
            Self::Text(text) => Value::Text(Text(text)),
            Self::Bool(bool) => Value::Bool(*bool),
            Self::Int(int) => Value::Int(*int),
            Self::Double(double) => Value::Double(*double),
            Self::Array(array) => Value::Array(array),
            Self::Map(map) => Value::Map(map),
            Self::Bytes(bytes) => Value::Bytes(bytes),
        }
    }
}

struct Merge<'a> {
    member: Member<'a>,
    pieces: Pieces<'a>,
    /// Occurrences of either list so far, over all pieces.
    arrays: u32,
    maps: u32,
}

impl<'a> Merge<'a> {
    fn read(&mut self, mut piece: Reader<'a>) -> Result<(), WireError> {
        while let Some(tag) = piece.tag()? {
            self.member = match tag {
                STRING => Member::Text(piece.bytes()?),
                BOOL => Member::Bool(piece.varint()? != 0),
                INT => Member::Int(piece.int64()?),
                DOUBLE => Member::Double(piece.double()?),
                BYTES => Member::Bytes(piece.bytes()?),
                STRING_INDEX => {
                    piece.varint()?;
                    Member::Empty
                }
                ARRAY => {
                    let list = piece.bytes()?;
                    let run = match self.member {
                        Member::Array(Array(run)) => run.joined(self.pieces, ARRAY >> 3),
                        _ => Run::One { list, before: self.arrays },
                    };
                    self.arrays += 1;
                    Member::Array(Array(run))
                }
                MAP => {
                    let list = piece.bytes()?;
                    let run = match self.member {
                        Member::Map(Map(run)) => run.joined(self.pieces, MAP >> 3),
                        _ => Run::One { list, before: self.maps },
                    };
                    self.maps += 1;
                    Member::Map(Map(run))
                }
                other => {
                    piece.skip(other, ANY_VALUE)?;
                    continue;
                }
            };
        }
        Ok(())
    }
}

/// Occurrences of one list member that were not parted by another member: one list.
#[derive(Clone, Copy)]
enum Run<'a> {
    /// `before` occurrences of the same number stand before it.
    One {
        list: &'a [u8],
        before: u32,
    },
    Joined {
        pieces: Pieces<'a>,
        number: u32,
        before: u32,
    },
}

impl<'a> Run<'a> {
    fn joined(self, pieces: Pieces<'a>, number: u32) -> Self {
        match self {
            Self::One { before, .. } => Self::Joined { pieces, number, before },
            Self::Joined { .. } => self,
        }
    }

    /// Visits every element of the list.
    fn elements(self, mut each: impl FnMut(&'a [u8])) {
        match self {
            Self::One { list, .. } => Occurrences::of(list, ELEMENTS >> 3).for_each(each),
            Self::Joined { pieces, number, before } => {
                let mut seen = 0;
                pieces.visit(|piece| {
                    for list in Occurrences::of(piece, number) {
                        if seen >= before {
                            Occurrences::of(list, ELEMENTS >> 3).for_each(&mut each);
                        }
                        seen += 1;
                    }
                });
            }
        }
    }
}

/// An ArrayValue.
#[derive(Clone, Copy)]
pub struct Array<'a>(Run<'a>);

impl Values for Array<'_> {
    fn walk(&self, visit: &mut dyn FnMut(Value<'_>)) {
        self.0.elements(|element| visit(Member::last_of(Pieces::Whole(element)).as_value()));
    }
}

/// A KeyValueList.
#[derive(Clone, Copy)]
pub struct Map<'a>(Run<'a>);

impl Attributes for Map<'_> {
    fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
        self.0.elements(|pair| walk_pair(pair, visit));
    }
}
