//! `opentelemetry.proto.common.v1` in JSON.
//!
//! Place: under every OTLP/JSON signal. First the check, which reads each character once; then the views,
//! which read checked text again and know no faults. A view that walks a value passes over it by
//! its brackets first, to see whether another member of the `oneof` follows: at most once a level,
//! and levels are bounded.
#![deny(clippy::indexing_slicing)]

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::number;
use crate::batch::RecordSink;
use crate::batch::record::{Attributes, Text, Value, Values};
use crate::decode::wire::hex;
pub(super) use crate::decode::wire::json::fields;
pub use crate::decode::wire::json::{Field, each, each_again, members, members_again};
use crate::decode::wire::json::{ReadError, Reader, Str};
use crate::decode::{DecodeError, Fault};
use crate::limits;

/// Values this deep add their steps to an error's path; below, the offset alone tells the place.
const PATH_DEPTH_MAX: usize = 1;

// ── Scalars ───────────────────────────────────────────────────────────────────────────────────

/// The text for a sink that looks at it.
#[inline]
pub fn kept<'a, S: RecordSink>(text: Str<'a>) -> Cow<'a, [u8]> {
    if S::FILLS { text.text() } else { Cow::Borrowed(text.raw) }
}

/// An id in hex; `None` for another length, other characters, or zeros only.
#[inline]
pub fn id<const SIZE: usize>(text: Str<'_>) -> Option<[u8; SIZE]> {
    if text.raw.is_empty() { None } else { hex::id(&text.text()) }
}

/// An enum by number, or by one of `names`, whose numbers count from 0. Others are 0.
pub fn enumeration(reader: &mut Reader<'_>, names: &[&str]) -> Result<i32, ReadError> {
    if reader.peek() != Some(b'"') {
        return Ok(number::signed32(reader.number()?));
    }
    let text = reader.string()?.text();
    let by_name = names.iter().position(|name| name.as_bytes() == &*text);
    Ok(match by_name {
        Some(place) => i32::try_from(place).unwrap_or(0),
        None => number::whole(&text).and_then(|number| i32::try_from(number).ok()).unwrap_or(0),
    })
}

// ── AnyValue: the check ───────────────────────────────────────────────────────────────────────

fields! { Pair { Key = "key", Value = "value", ; } }
fields! { Member {
    Text = "stringValue",
    Int = "intValue",
    Double = "doubleValue",
    Bool = "boolValue",
    Array = "arrayValue",
    Map = "kvlistValue",
    Bytes = "bytesValue",
    ;
} }
fields! { Elements { ; Values = "values", } }

/// Checks a list of KeyValues; answers where it is.
#[inline]
pub fn attributes(
    reader: &mut Reader<'_>,
    name: &'static str,
) -> Result<Option<usize>, DecodeError> {
    each(reader, name, |reader| check_pair(reader, 0))
}

#[inline]
fn check_pair(reader: &mut Reader<'_>, depth: usize) -> Result<(), DecodeError> {
    if depth < limits::NESTING_DEPTH_MAX && take_plain_pair(reader) {
        return Ok(());
    }
    check_pair_by_members(reader, depth)
}

/// Takes a pair as most SDKs write most of them: the key, then a text or an integer, no blanks and no escapes.
#[inline(always)]
fn take_plain_pair(reader: &mut Reader<'_>) -> bool {
    let mut pair = *reader;
    if !(pair.take(b"{\"key\":\"")
        && pair.take_plain_inside().is_some()
        && pair.take(b",\"value\":{\""))
    {
        return false;
    }
    let is_value = if pair.take(b"stringValue\":\"") {
        pair.take_plain_inside().is_some()
    } else {
        pair.take(b"intValue\":") && pair.number().is_ok()
    };
    if !(is_value && pair.take(b"}}")) {
        return false;
    }
    *reader = pair;
    true
}

#[inline(never)]
fn check_pair_by_members(reader: &mut Reader<'_>, depth: usize) -> Result<(), DecodeError> {
    quiet_members(reader, |reader, field| match field {
        Pair::Key => {
            reader.string()?;
            Ok(())
        }
        Pair::Value => {
            check_value(reader, depth).map_err(|error| step(error, depth, "value", None))
        }
    })
}

/// [`members`] that adds no steps: values nest deeper than a path is long.
#[inline]
fn quiet_members<'a, F: Field>(
    reader: &mut Reader<'a>,
    mut member: impl FnMut(&mut Reader<'a>, F) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    reader.begin_object()?;
    let mut is_first = true;
    while let Some(name) = reader.next_key(&mut is_first)? {
        match F::find(name) {
            Some(field) if !reader.take_null()? => member(reader, field)?,
            Some(_) => {}
            None => reader.check_value(0)?,
        }
    }
    Ok(())
}

/// Checks an AnyValue that stands `depth` values deep.
#[inline]
pub fn check_value(reader: &mut Reader<'_>, depth: usize) -> Result<(), DecodeError> {
    let mut plain = *reader;
    if depth < limits::NESTING_DEPTH_MAX
        && plain.take(b"{\"stringValue\":\"")
        && plain.take_plain_inside().is_some()
        && plain.take(b"}")
    {
        *reader = plain;
        return Ok(());
    }
    check_value_by_members(reader, depth)
}

#[inline(never)]
fn check_value_by_members(reader: &mut Reader<'_>, depth: usize) -> Result<(), DecodeError> {
    if depth >= limits::NESTING_DEPTH_MAX {
        return Err(reader.fault(Fault::NestingOverLimit).into());
    }
    quiet_members(reader, |reader, field: Member| {
        let checked = match field {
            Member::Text | Member::Bytes => reader.string().map(drop).map_err(DecodeError::from),
            Member::Int | Member::Double => reader.number().map(drop).map_err(DecodeError::from),
            Member::Bool => reader.boolean().map(drop).map_err(DecodeError::from),
            Member::Array => check_elements(reader, depth, check_value),
            Member::Map => check_elements(reader, depth, check_pair),
        };
        checked.map_err(|error| step(error, depth, field.name(), None))
    })
}

fn check_elements(
    reader: &mut Reader<'_>,
    depth: usize,
    check: fn(&mut Reader<'_>, usize) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    quiet_members(reader, |reader, Elements::Values| {
        reader.begin_array()?;
        let mut is_first = true;
        let mut index = 0;
        while reader.next_element(&mut is_first)? {
            if !reader.take_null()? {
                check(reader, depth + 1)
                    .map_err(|error| step(error, depth, "values", Some(index)))?;
            }
            index += 1;
        }
        Ok(())
    })
}

#[cold]
fn step(error: DecodeError, depth: usize, name: &'static str, index: Option<u32>) -> DecodeError {
    if depth < PATH_DEPTH_MAX { error.within(name, index) } else { error }
}

// ── Views over checked text ───────────────────────────────────────────────────────────────────

/// A list of KeyValues; a null among them is none.
#[derive(Clone, Copy)]
pub struct Pairs<'a> {
    pub payload: &'a [u8],
    pub list: Option<usize>,
}

impl Attributes for Pairs<'_> {
    fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
        each_again(self.payload, self.list, |reader| {
            if reader.take_null()? {
                return Ok(());
            }
            let mut name = Str::default();
            let mut value = None;
            members_again(reader, |reader, field| match field {
                Pair::Key => {
                    name = reader.string()?;
                    Ok(())
                }
                Pair::Value => {
                    value = Some(AnyValue::read(reader)?);
                    Ok(())
                }
            })?;
            let name = name.text();
            value.unwrap_or_default().say(self.payload, &mut |value| visit(Text(&name), value));
            Ok(())
        });
    }
}

/// An ArrayValue's list; a null among them is an empty value, so that the others keep their places.
struct Array<'a> {
    payload: &'a [u8],
    list: Option<usize>,
}

impl Values for Array<'_> {
    fn walk(&self, visit: &mut dyn FnMut(Value<'_>)) {
        each_again(self.payload, self.list, |reader| {
            let value =
                if reader.take_null()? { AnyValue::default() } else { AnyValue::read(reader)? };
            value.say(self.payload, visit);
            Ok(())
        });
    }
}

/// The member that stands for a checked AnyValue, and where its value is.
#[derive(Clone, Copy, Default)]
pub struct AnyValue(Option<(Member, usize)>);

impl AnyValue {
    pub fn at(payload: &[u8], place: Option<usize>) -> Self {
        let read = place.map(|place| Self::read(&mut Reader::at(payload, place)));
        read.and_then(Result::ok).unwrap_or_default()
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, ReadError> {
        let mut last = None;
        members_again(reader, |reader, field: Member| {
            reader.peek();
            last = Some((field, reader.place()));
            reader.pass_value()
        })?;
        Ok(Self(last))
    }

    /// Hands the value to `say`.
    pub fn say(self, payload: &[u8], say: &mut dyn FnMut(Value<'_>)) {
        let Some((field, place)) = self.0 else { return say(Value::Empty) };
        let mut reader = Reader::at(payload, place);
        match field {
            Member::Text => {
                let text = reader.string().unwrap_or_default().text();
                say(Value::Text(Text(&text)));
            }
            Member::Int => say(number::int_or_double(reader.number().unwrap_or_default())),
            Member::Double => {
                say(Value::Double(number::double(reader.number().unwrap_or_default())));
            }
            Member::Bool => say(Value::Bool(reader.boolean().unwrap_or_default())),
            Member::Bytes => {
                let text = reader.string().unwrap_or_default().text();
                match from_base64(&text) {
                    Some(bytes) => say(Value::Bytes(&bytes)),
                    None => say(Value::Text(Text(&text))),
                }
            }
            Member::Array => {
                let list = elements(&mut reader);
                say(Value::Array(&Array { payload, list }));
            }
            Member::Map => {
                let list = elements(&mut reader);
                say(Value::Map(&Pairs { payload, list }));
            }
        }
    }
}

/// Where the list of an ArrayValue or a KeyValueList is.
fn elements(reader: &mut Reader<'_>) -> Option<usize> {
    let mut list = None;
    let read = members_again(reader, |reader, Elements::Values| {
        list = Some(reader.place());
        reader.pass_value()
    });
    debug_assert!(read.is_ok(), "views are made over checked text: {read:?}");
    list
}

/// Either alphabet, padded or not.
fn from_base64(text: &[u8]) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let is_url_safe = memchr::memchr2(b'-', b'_', text).is_some();
    let alphabet = if is_url_safe { &URL_SAFE } else { &STANDARD };
    GeneralPurpose::new(alphabet, LENIENT).decode(text).ok()
}
