//! Header blocks to fields (RFC 7541, sections 3 and 6).

use std::collections::VecDeque;

use super::fields::{FIELD_OVERHEAD, FieldList};
use super::tables::STATIC_TABLE;
use super::{HpackError, huffman, integer};
use crate::limits::HEADER_LIST_SIZE_MAX;

/// The dynamic table of the default size (RFC 9113, section 6.5.2). We never announce another.
pub const TABLE_SIZE_MAX: usize = 4096;
/// Updates at the start of one block: a lower size, and the one that holds then (section 4.2).
const SIZE_UPDATE_MAX: u32 = 2;

/// Fields that the peer put there, newest last. Memory grows with them, and then stays: most clients have a
/// few hundred bytes that come again with every request.
#[derive(Debug)]
struct DynamicTable {
    bytes: VecDeque<u8>,
    /// Lengths of name and value, oldest first.
    lengths: VecDeque<(u32, u32)>,
    size: usize,
    size_max: usize,
}

impl DynamicTable {
    const fn new() -> Self {
        Self { bytes: VecDeque::new(), lengths: VecDeque::new(), size: 0, size_max: TABLE_SIZE_MAX }
    }

    /// Drops the oldest until `size` fits (section 4.3).
    fn shrink_to(&mut self, size: usize) {
        while self.size > size {
            let Some((name, value)) = self.lengths.pop_front() else { return };
            let length = crate::limits::size(u64::from(name) + u64::from(value));
            self.bytes.drain(..length.min(self.bytes.len()));
            self.size = self.size.saturating_sub(length + FIELD_OVERHEAD);
        }
    }

    /// Adds a field; one larger than the table empties it, and is no error (section 4.4).
    fn insert(&mut self, name: &[u8], value: &[u8]) {
        let size = name.len() + value.len() + FIELD_OVERHEAD;
        if size > self.size_max {
            return self.shrink_to(0);
        }
        self.shrink_to(self.size_max - size);
        self.bytes.extend(name);
        self.bytes.extend(value);
        let narrow = |length: usize| u32::try_from(length).unwrap_or(0);
        self.lengths.push_back((narrow(name.len()), narrow(value.len())));
        self.size += size;
    }

    /// Appends the name, and the value if wanted, of the `index`-th newest field, from 0; answers with the
    /// length of the name.
    fn copy(&self, index: usize, with_value: bool, into: &mut Vec<u8>) -> Option<usize> {
        let wanted =
            |length: &(u32, u32)| crate::limits::size(u64::from(length.0) + u64::from(length.1));
        let newer: usize = self.lengths.iter().rev().take(index).map(wanted).sum();
        let entry = self.lengths.iter().rev().nth(index)?;
        let (name, whole) = (crate::limits::size(u64::from(entry.0)), wanted(entry));
        let start = self.bytes.len().checked_sub(newer + whole)?;
        let count = if with_value { whole } else { name };
        let (first, second) = self.bytes.as_slices();
        let end = start + count;
        if start < first.len() {
            into.extend_from_slice(first.get(start..end.min(first.len()))?);
        }
        if end > first.len() {
            let from = start.saturating_sub(first.len());
            into.extend_from_slice(second.get(from..end - first.len())?);
        }
        Some(name)
    }
}

/// The decoding side of a connection.
#[derive(Debug)]
pub struct Decoder {
    table: DynamicTable,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    #[must_use]
    pub const fn new() -> Self {
        Self { table: DynamicTable::new() }
    }

    /// Memory for what the table holds and no more: an idle connection keeps it as long as it lives.
    pub fn trim(&mut self) {
        self.table.bytes.shrink_to_fit();
        self.table.lengths.shrink_to_fit();
    }

    /// Appends the fields of a whole block. After an error the connection must end.
    pub fn decode(&mut self, block: &[u8], into: &mut FieldList) -> Result<(), HpackError> {
        let mut rest = block;
        let mut updates = 0;
        let mut has_fields = false;
        while let Some((&first, behind)) = rest.split_first() {
            rest = if first & 0x80 != 0 {
                has_fields = true;
                let (index, behind) = integer::decode(first, 7, behind)?;
                let start = into.memory().len();
                let name_length = self.copy(index, true, into)?;
                into.commit(start, name_length);
                behind
            } else if first & 0x40 != 0 {
                has_fields = true;
                self.literal(first, 6, true, behind, into)?
            } else if first & 0x20 != 0 {
                updates += 1;
                if has_fields || updates > SIZE_UPDATE_MAX {
                    return Err(HpackError::SizeUpdateMisplaced);
                }
                let (size, behind) = integer::decode(first, 5, behind)?;
                if size > TABLE_SIZE_MAX {
                    return Err(HpackError::SizeUpdateTooLarge);
                }
                self.table.size_max = size;
                self.table.shrink_to(size);
                behind
            } else {
                // Never indexed or just not: the same to somebody who forwards nothing.
                has_fields = true;
                self.literal(first, 4, false, behind, into)?
            };
            if into.is_flood() {
                return Err(HpackError::Flood);
            }
        }
        Ok(())
    }

    /// Appends an indexed field, or its name, and answers with the length of the name.
    fn copy(
        &self,
        index: usize,
        with_value: bool,
        into: &mut FieldList,
    ) -> Result<usize, HpackError> {
        let place = index.checked_sub(1).ok_or(HpackError::IndexZero)?;
        if let Some((name, value)) = STATIC_TABLE.get(place) {
            into.memory().extend_from_slice(name.as_bytes());
            if with_value {
                into.memory().extend_from_slice(value.as_bytes());
            }
            return Ok(name.len());
        }
        self.table
            .copy(place - STATIC_TABLE.len(), with_value, into.memory())
            .ok_or(HpackError::IndexTooLarge)
    }

    fn literal<'a>(
        &mut self,
        first: u8,
        bits: u32,
        is_indexed: bool,
        behind: &'a [u8],
        into: &mut FieldList,
    ) -> Result<&'a [u8], HpackError> {
        let (index, mut rest) = integer::decode(first, bits, behind)?;
        let start = into.memory().len();
        let name_length = if index > 0 {
            self.copy(index, false, into)?
        } else {
            rest = string(rest, into.memory())?;
            into.memory().len() - start
        };
        rest = string(rest, into.memory())?;
        if is_indexed {
            let field = into.bytes().get(start..).unwrap_or_default();
            let (name, value) = field.split_at_checked(name_length).unwrap_or((field, &[]));
            self.table.insert(name, value);
        }
        into.commit(start, name_length);
        Ok(rest)
    }
}

/// Appends a string (section 5.2). One larger than a whole list may be is a flood.
fn string<'a>(bytes: &'a [u8], into: &mut Vec<u8>) -> Result<&'a [u8], HpackError> {
    let Some((&first, behind)) = bytes.split_first() else { return Err(HpackError::Truncated) };
    let (length, behind) = integer::decode(first, 7, behind)?;
    let (coded, rest) = behind.split_at_checked(length).ok_or(HpackError::Truncated)?;
    if first & 0x80 == 0 {
        into.extend_from_slice(coded);
        return Ok(rest);
    }
    let room = 2 * HEADER_LIST_SIZE_MAX;
    if huffman::decode(coded, room, into)? > room {
        return Err(HpackError::Flood);
    }
    Ok(rest)
}
