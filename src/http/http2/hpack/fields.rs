//! Decoded fields, in memory that is used again for the next block.

use crate::limits::{HEAD_FIELD_COUNT_MAX, HEADER_LIST_SIZE_MAX};

/// What every field costs besides its bytes (RFC 7541, section 4.1).
pub const FIELD_OVERHEAD: usize = 32;

/// Where a name and its value stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldPlace {
    name_start: u32,
    name_length: u32,
    value_length: u32,
}

impl FieldPlace {
    /// Start and length.
    #[must_use]
    pub fn name(&self) -> (usize, usize) {
        let size = |number| crate::limits::size(u64::from(number));
        (size(self.name_start), size(self.name_length))
    }

    /// Start and length.
    #[must_use]
    pub fn value(&self) -> (usize, usize) {
        let (start, length) = self.name();
        (start + length, crate::limits::size(u64::from(self.value_length)))
    }
}

/// The fields of one header block. Beyond the limits they are counted, and not stored.
#[derive(Debug, Default)]
pub struct FieldList {
    bytes: Vec<u8>,
    places: Vec<FieldPlace>,
    count: usize,
    size: usize,
    is_over_limit: bool,
}

impl FieldList {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.places.clear();
        self.count = 0;
        self.size = 0;
        self.is_over_limit = false;
    }

    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    #[must_use]
    pub fn places(&self) -> &[FieldPlace] {
        &self.places
    }

    #[must_use]
    pub fn at(&self, place: &FieldPlace) -> (&[u8], &[u8]) {
        let slice = |(start, length): (usize, usize)| {
            self.bytes.get(start..start + length).unwrap_or_default()
        };
        (slice(place.name()), slice(place.value()))
    }

    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.places.iter().map(|place| self.at(place))
    }

    /// The list is larger than we said that we take, or has too many fields; it is not complete.
    #[must_use]
    pub const fn is_over_limit(&self) -> bool {
        self.is_over_limit
    }

    /// Far over the limit: decoding on would only be work.
    #[must_use]
    pub const fn is_flood(&self) -> bool {
        self.count > 4 * HEAD_FIELD_COUNT_MAX || self.size > 4 * HEADER_LIST_SIZE_MAX
    }

    /// The memory that fields are decoded into. [`FieldList::commit`] makes a field of what was added.
    pub(super) fn memory(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// The bytes from `start` on are a name of this length, and its value.
    pub(super) fn commit(&mut self, start: usize, name_length: usize) {
        let value_length = self.bytes.len().saturating_sub(start + name_length);
        self.count += 1;
        self.size += name_length + value_length + FIELD_OVERHEAD;
        if self.size > HEADER_LIST_SIZE_MAX || self.count > HEAD_FIELD_COUNT_MAX {
            self.is_over_limit = true;
        }
        if self.is_over_limit {
            self.bytes.truncate(start);
            return;
        }
        let narrow = |number: usize| u32::try_from(number).unwrap_or(0);
        self.places.push(FieldPlace {
            name_start: narrow(start),
            name_length: narrow(name_length),
            value_length: narrow(value_length),
        });
    }
}
