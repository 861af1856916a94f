//! A request head, whichever version of HTTP carried it (RFC 9110, sections 5 and 6).
//!
//! Place: made by `http1::head` (later also from HPACK), read by `route`, `auth` and `ingest`.
//! Borrows the bytes it was made from; holds places in them, no copies, no allocation.

use super::{Method, Version, trim_blanks};
use crate::limits;

/// A complete request head within all limits.
#[derive(Clone)]
pub struct RequestHead<'a> {
    pub method: Method,
    /// The raw path, never percent-decoded: `/…`, `*` with OPTIONS, `host:port` with CONNECT.
    pub path: &'a str,
    /// What stands behind the first `?`, raw. Holds credentials: never log it.
    pub query: Option<&'a str>,
    pub version: Version,
    pub fields: Fields<'a>,
}

impl std::fmt::Debug for RequestHead<'_> {
    /// Without the query string, which may hold a key.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("RequestHead")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("version", &self.version)
            .field("fields", &self.fields)
            .finish_non_exhaustive()
    }
}

/// The fields of a head in the order of arrival.
///
/// Places take half the room of slices: the table is filled and handed on for every request.
#[derive(Clone)]
pub struct Fields<'a> {
    bytes: &'a [u8],
    places: [Place; limits::HEAD_FIELD_COUNT_MAX],
    /// One byte of each name's hash: a request is asked for some fifteen names, and most are absent.
    tags: [u8; limits::HEAD_FIELD_COUNT_MAX],
    /// A bit for the low six bits of every tag: most absent names are told by this alone.
    present: u64,
    count: usize,
}

/// A byte that tells most names apart, whatever their case.
#[inline]
fn tag(name: &[u8]) -> u8 {
    let fold = |byte: Option<&u8>| byte.copied().unwrap_or(0) | 0x20;
    let length = name.len().to_le_bytes();
    let length = length.first().copied().unwrap_or(0);
    length.wrapping_mul(37)
        ^ fold(name.first()).wrapping_mul(7)
        ^ fold(name.last()).wrapping_mul(29)
}

/// Where a name and its value stand in the bytes of the head.
#[derive(Clone, Copy, Default)]
struct Place {
    name_start: u32,
    name_length: u32,
    value_start: u32,
    value_length: u32,
}

/// A field that must stand alone (RFC 9110, section 5.3) came more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldRepeated;

impl<'a> Fields<'a> {
    /// No fields yet, all of which will stand in `bytes` (less than 4 GiB).
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            places: [Place::default(); limits::HEAD_FIELD_COUNT_MAX],
            tags: [0; limits::HEAD_FIELD_COUNT_MAX],
            present: 0,
            count: 0,
        }
    }

    /// Adds a field by its places `(start, length)` in the bytes given to [`Fields::new`]. False,
    /// and nothing added, where the table is full or a place is not inside the bytes.
    #[inline]
    #[must_use]
    pub fn push(&mut self, name: (usize, usize), value: (usize, usize)) -> bool {
        let inside = |(start, length): (usize, usize)| {
            start.checked_add(length).is_some_and(|end| end <= self.bytes.len())
        };
        let narrow = |(start, length): (usize, usize)| {
            Some((u32::try_from(start).ok()?, u32::try_from(length).ok()?))
        };
        let (Some(name_place), Some(value_place)) = (narrow(name), narrow(value)) else {
            return false;
        };
        if !inside(name) || !inside(value) {
            return false;
        }
        let name_tag = tag(self.bytes.get(name.0..name.0 + name.1).unwrap_or_default());
        let (Some(slot), Some(tag_slot)) =
            (self.places.get_mut(self.count), self.tags.get_mut(self.count))
        else {
            return false;
        };
        *tag_slot = name_tag;
        self.present |= 1 << (name_tag & 63);
        *slot = Place {
            name_start: name_place.0,
            name_length: name_place.1,
            value_start: value_place.0,
            value_length: value_place.1,
        };
        self.count += 1;
        true
    }

    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    #[inline]
    fn slice(&self, start: u32, length: u32) -> &'a [u8] {
        let start = limits::size(u64::from(start));
        self.bytes.get(start..start + limits::size(u64::from(length))).unwrap_or_default()
    }

    /// Every field: name as sent, value without the blanks around it.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + '_ {
        self.places.iter().take(self.count).map(|place| {
            (
                self.slice(place.name_start, place.name_length),
                trim_blanks(self.slice(place.value_start, place.value_length)),
            )
        })
    }

    /// The values of every field of this name, which must be given in lower case.
    #[inline]
    pub fn all<'s>(
        &'s self,
        lowercase_name: &'s str,
    ) -> impl Iterator<Item = &'a [u8]> + use<'a, 's> {
        debug_assert!(!lowercase_name.bytes().any(|byte| byte.is_ascii_uppercase()));
        let wanted = tag(lowercase_name.as_bytes());
        let absent = self.present & (1 << (wanted & 63)) == 0;
        self.tags
            .iter()
            .zip(&self.places)
            .take(if absent { 0 } else { self.count })
            .filter(move |&(&tag, place)| {
                tag == wanted
                    && self
                        .slice(place.name_start, place.name_length)
                        .eq_ignore_ascii_case(lowercase_name.as_bytes())
            })
            .map(move |(_, place)| trim_blanks(self.slice(place.value_start, place.value_length)))
    }

    #[must_use]
    pub fn first(&self, lowercase_name: &str) -> Option<&'a [u8]> {
        self.all(lowercase_name).next()
    }

    #[must_use]
    pub fn last(&self, lowercase_name: &str) -> Option<&'a [u8]> {
        self.all(lowercase_name).last()
    }

    /// The value of a field that may come at most once.
    pub fn single(&self, lowercase_name: &str) -> Result<Option<&'a [u8]>, FieldRepeated> {
        let mut values = self.all(lowercase_name);
        let first = values.next();
        if values.next().is_some() { Err(FieldRepeated) } else { Ok(first) }
    }
}

impl std::fmt::Debug for Fields<'_> {
    /// Names only: values may be credentials, and debug output ends up in logs.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_list()
            .entries(self.iter().map(|(name, _)| String::from_utf8_lossy(name)))
            .finish()
    }
}
