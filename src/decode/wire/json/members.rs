//! Objects by the members that a message knows, and lists.
//!
//! Place: on top of the reader, under the protocols that say which members there are. First the check,
//! which reads each character once and names the way to a fault; `…_again` reads checked text.
#![deny(clippy::indexing_slicing)]

use super::{ReadError, Reader, Str};
use crate::decode::DecodeError;

/// A key that a message knows.
pub trait Field: Copy {
    fn of(key: &[u8]) -> Option<Self>;
    /// The field that a key of the text stands for.
    fn find(key: Str<'_>) -> Option<Self>;
    fn name(self) -> &'static str;
    /// Whether its value is a list, whose elements name themselves in a path.
    fn is_list(self) -> bool;
}

/// The keys of a message. Those behind the semicolon hold lists. `plain` ones have one spelling; the
/// others are protobuf's, which may be written with `_` between their words.
macro_rules! fields {
    (plain $name:ident $fields:tt) => {
        $crate::decode::wire::json::fields! { plain_key, $name $fields }
    };
    ($name:ident $fields:tt) => {
        $crate::decode::wire::json::fields! { key, $name $fields }
    };
    ($find:ident, $name:ident { $($variant:ident = $text:literal,)* ; $($list:ident = $list_text:literal,)* }) => {
        #[derive(Clone, Copy)]
        enum $name { $($variant,)* $($list,)* }

        impl $crate::decode::wire::json::Field for $name {
            #[inline]
            fn of(key: &[u8]) -> Option<Self> {
                match key {
                    $(_ if key == $text.as_bytes() => Some(Self::$variant),)*
                    $(_ if key == $list_text.as_bytes() => Some(Self::$list),)*
                    _ => None,
                }
            }
            #[inline]
            fn find(key: $crate::decode::wire::json::Str<'_>) -> Option<Self> {
                $crate::decode::wire::json::$find(key, Self::of)
            }
            fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* $(Self::$list => $list_text,)* }
            }
            fn is_list(self) -> bool {
                match self { $(Self::$variant => false,)* $(Self::$list => true,)* }
            }
        }
    };
}
pub(crate) use fields;

/// Reads an object; hands over every member that is known and not null, and checks the others.
#[inline]
pub fn members<'a, F: Field>(
    reader: &mut Reader<'a>,
    mut member: impl FnMut(&mut Reader<'a>, F) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    reader.begin_object()?;
    let mut is_first = true;
    while let Some(name) = reader.next_key(&mut is_first)? {
        match F::find(name) {
            Some(field) => {
                if !reader.take_null()? {
                    member(reader, field).map_err(|error| {
                        if field.is_list() { error } else { error.within(field.name(), None) }
                    })?;
                }
            }
            None => reader.check_value(0)?,
        }
    }
    Ok(())
}

/// Reads a list and hands over every element that is not null. Answers where the list is.
#[inline]
pub fn each<'a>(
    reader: &mut Reader<'a>,
    name: &'static str,
    mut element: impl FnMut(&mut Reader<'a>) -> Result<(), DecodeError>,
) -> Result<Option<usize>, DecodeError> {
    let place = reader.place();
    let mut index = 0;
    let outside = |error: ReadError| DecodeError::from(error).within(name, None);
    reader.begin_array().map_err(outside)?;
    let mut is_first = true;
    while reader.next_element(&mut is_first).map_err(outside)? {
        if !reader.take_null().map_err(outside)? {
            element(reader).map_err(|error| error.within(name, Some(index)))?;
        }
        index += 1;
    }
    Ok(Some(place))
}

/// Reads checked text again: what [`members`] would hand over.
pub fn members_again<'a, F: Field>(
    reader: &mut Reader<'a>,
    mut member: impl FnMut(&mut Reader<'a>, F) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    reader.begin_object()?;
    let mut is_first = true;
    while let Some(name) = reader.next_key(&mut is_first)? {
        match F::find(name) {
            Some(field) if !reader.take_null()? => member(reader, field)?,
            Some(_) => {}
            None => reader.pass_value()?,
        }
    }
    Ok(())
}

/// Reads a checked list again, nulls too.
pub fn each_again<'a>(
    payload: &'a [u8],
    list: Option<usize>,
    mut element: impl FnMut(&mut Reader<'a>) -> Result<(), ReadError>,
) {
    let Some(place) = list else { return };
    let mut reader = Reader::at(payload, place);
    let mut is_first = true;
    let mut read = || -> Result<(), ReadError> {
        reader.begin_array()?;
        while reader.next_element(&mut is_first)? {
            element(&mut reader)?;
        }
        Ok(())
    };
    let answer = read();
    debug_assert!(answer.is_ok(), "views are made over checked text: {answer:?}");
}
