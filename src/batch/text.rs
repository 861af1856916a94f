//! Text as columns hold it: always UTF-8, end to end, with the place where each one stops.
//!
//! Place: below every column of text. What a sender calls UTF-8 is checked here for the first time;
//! bytes that are none become U+FFFD and are counted, as dropping a row for one bad byte would be
//! worse than showing that it was there.

use std::borrow::Cow;

/// A place in a column. Columns of one part stay far below 4 GiB: the store writes them once they are
/// full, between two records, and one record is some times `limits::PAYLOAD_SIZE_MAX` at most.
#[must_use]
pub(super) fn place(length: usize) -> u32 {
    u32::try_from(length).expect("columns of one part stay below 4 GiB")
}

/// A place as an index.
#[must_use]
pub(super) const fn at(place: u32) -> usize {
    place as usize
}

/// The text, with U+FFFD for every maximal sequence that is not UTF-8.
pub(super) fn repaired(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// Appends `bytes` as UTF-8; answers how many texts were repaired: 0 or 1.
#[inline]
pub(super) fn append_text(into: &mut Vec<u8>, bytes: &[u8]) -> u64 {
    if std::str::from_utf8(bytes).is_ok() {
        into.extend_from_slice(bytes);
        0
    } else {
        into.extend_from_slice(repaired(bytes).as_bytes());
        1
    }
}

/// One text per row.
#[derive(Default)]
pub(super) struct TextColumn {
    ends: Vec<u32>,
    pub(super) bytes: Vec<u8>,
}

impl TextColumn {
    pub(super) const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Ends the row whose bytes were appended to `bytes`.
    #[inline]
    pub(super) fn end_row(&mut self) {
        self.ends.push(place(self.bytes.len()));
    }

    pub(super) fn row(&self, row: usize) -> &[u8] {
        let start = if row == 0 { 0 } else { at(self.ends[row - 1]) };
        &self.bytes[start..at(self.ends[row])]
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.ends.truncate(rows);
        self.bytes.truncate(self.ends.last().map_or(0, |&end| at(end)));
    }

    pub(super) const fn size(&self) -> usize {
        self.ends.len() * 4 + self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_bytes_are_replaced_and_counted_once_per_text() {
        let mut column = TextColumn::default();
        assert_eq!(append_text(&mut column.bytes, b"fine"), 0);
        column.end_row();
        assert_eq!(append_text(&mut column.bytes, b"a\xff\xfeb\xc3"), 1);
        column.end_row();
        assert_eq!(column.row(0), b"fine");
        assert_eq!(column.row(1), "a\u{fffd}\u{fffd}b\u{fffd}".as_bytes());
    }

    #[test]
    fn truncating_drops_half_written_rows() {
        let mut column = TextColumn::default();
        for text in ["one", "", "three"] {
            append_text(&mut column.bytes, text.as_bytes());
            column.end_row();
        }
        column.bytes.extend_from_slice(b"open");
        column.truncate(2);
        assert_eq!((column.len(), column.bytes.as_slice()), (2, b"one".as_slice()));
        append_text(&mut column.bytes, b"x");
        column.end_row();
        assert_eq!(column.row(2), b"x");
    }
}
