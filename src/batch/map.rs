//! Attributes as a column: one map of text to text per row, keys unique.
//!
//! Place: under the columns of one part. Keys are numbers of the part's [`Interner`]; values stand
//! end to end. A key that comes twice keeps its first place and takes its last value: found in
//! constant time by the stamp that each key carries, so a million equal keys cost no more than a
//! million different ones.
//!
//! ```text
//! cells    [ entries end, bytes end ] per row
//! entries  [ key, start, length ] …        start and length in bytes
//! ```

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::interner::Interner;
use super::json::append_value;
use super::record::{Attributes, Value};
use super::text::{at, place};

#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) key: u32,
    start: u32,
    length: u32,
}

#[derive(Default)]
pub(super) struct MapColumn {
    cells: Vec<(u32, u32)>,
    entries: Vec<Entry>,
    bytes: Vec<u8>,
    /// Never repeats, not after a rollback either: stamps of undone cells match no later one.
    cell_sequence: u64,
    pub(super) replaced: u64,
    /// Before the last row.
    replaced_before: u64,
}

impl MapColumn {
    pub(super) const fn len(&self) -> usize {
        self.cells.len()
    }

    /// Appends a row. `sequence` numbers the cells of all columns that share `keys`.
    pub(super) fn push(&mut self, keys: &mut Interner, sequence: &mut u64, from: &dyn Attributes) {
        *sequence += 1;
        self.cell_sequence = *sequence;
        self.replaced_before = self.replaced;
        from.walk(&mut |key, value| self.push_entry(keys, key.0, value));
        self.end_row();
    }

    pub(super) fn push_empty(&mut self) {
        self.end_row();
    }

    fn end_row(&mut self) {
        self.cells.push((place(self.entries.len()), place(self.bytes.len())));
    }

    #[inline]
    fn push_entry(&mut self, keys: &mut Interner, key: &[u8], value: Value<'_>) {
        let key = keys.intern(key);
        let start = self.bytes.len();
        self.replaced += append_value(&mut self.bytes, value);
        let entry = Entry { key, start: place(start), length: place(self.bytes.len() - start) };
        let stamp = &mut keys.stamps[at(key)];
        if stamp.0 == self.cell_sequence {
            self.entries[at(stamp.1)] = entry;
        } else {
            *stamp = (self.cell_sequence, place(self.entries.len()));
            self.entries.push(entry);
        }
    }

    pub(super) fn row(&self, row: usize) -> &[Entry] {
        let start = if row == 0 { 0 } else { at(self.cells[row - 1].0) };
        &self.entries[start..at(self.cells[row].0)]
    }

    pub(super) fn value(&self, entry: Entry) -> &[u8] {
        &self.bytes[at(entry.start)..at(entry.start) + at(entry.length)]
    }

    /// About the bytes that a row takes.
    pub(super) fn row_size(&self, row: usize) -> usize {
        self.row(row).iter().map(|entry| 32 + at(entry.length)).sum()
    }

    /// The same for rows of the same entries in the same order.
    pub(super) fn row_hash(&self, row: usize, seed: u64) -> u64 {
        let hash = |hash: u64, entry: &Entry| {
            let seed = hash.rotate_left(23) ^ u64::from(entry.key);
            xxh3_64_with_seed(self.value(*entry), seed)
        };
        self.row(row).iter().fold(seed, hash)
    }

    pub(super) fn is_equal(&self, left: usize, right: usize) -> bool {
        let (left, right) = (self.row(left), self.row(right));
        let entries = || left.iter().zip(right);
        left.len() == right.len()
            && entries().all(|(left, right)| left.key == right.key && left.length == right.length)
            && entries().all(|(left, right)| self.value(*left) == self.value(*right))
    }

    /// Appends a row of another column, whose keys are numbers of `from_keys`.
    pub(super) fn push_row(
        &mut self,
        keys: &mut Interner,
        from: &Self,
        from_keys: &Interner,
        row: usize,
    ) {
        self.replaced_before = self.replaced;
        for &entry in from.row(row) {
            let key = keys.intern(from_keys.text(entry.key));
            let start = place(self.bytes.len());
            self.bytes.extend_from_slice(from.value(entry));
            self.entries.push(Entry { key, start, length: entry.length });
        }
        self.end_row();
    }

    pub(super) fn find(&self, row: usize, key: u32) -> Option<&[u8]> {
        let entry = self.row(row).iter().find(|entry| entry.key == key)?;
        Some(self.value(*entry))
    }

    /// Takes back the row that was pushed last.
    pub(super) fn pop(&mut self) {
        self.replaced = self.replaced_before;
        self.truncate(self.cells.len().saturating_sub(1));
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.cells.truncate(rows);
        let (entries, bytes) = self.cells.last().copied().unwrap_or((0, 0));
        self.entries.truncate(at(entries));
        self.bytes.truncate(at(bytes));
    }

    pub(super) const fn size(&self) -> usize {
        self.cells.len() * 8 + self.entries.len() * 12 + self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::super::record::Text;
    use super::*;

    fn pairs(column: &MapColumn, keys: &Interner, row: usize) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        column
            .row(row)
            .iter()
            .map(|&entry| (text(keys.text(entry.key)), text(column.value(entry))))
            .collect()
    }

    struct Many(usize);
    impl Attributes for Many {
        fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
            for index in 0..self.0 {
                visit(Text(b"k"), Value::Int(i64::try_from(index).unwrap()));
            }
        }
    }

    struct Pairs<'a>(&'a [(Text<'a>, Value<'a>)]);
    impl Attributes for Pairs<'_> {
        fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
            self.0.walk(visit);
        }
    }

    #[test]
    fn the_last_value_of_a_key_wins_in_its_row_only() {
        let (mut keys, mut column, mut sequence) = (Interner::new(1), MapColumn::default(), 0);
        let first = [
            ("a".into(), Value::Int(1)),
            ("b".into(), Value::Empty),
            ("a".into(), Value::Text("z".into())),
        ];
        column.push(&mut keys, &mut sequence, &Pairs(&first));
        column.push(&mut keys, &mut sequence, &Pairs(&first[..1]));
        column.push_empty();
        assert_eq!(
            pairs(&column, &keys, 0),
            [("a".into(), "z".into()), ("b".into(), String::new())]
        );
        assert_eq!(pairs(&column, &keys, 1), [("a".into(), "1".into())]);
        assert_eq!(pairs(&column, &keys, 2), []);
    }

    /// Two keys that differ only in their bad bytes become one text, hence one key.
    #[test]
    fn keys_that_are_repaired_to_the_same_text_are_one_key() {
        let (mut keys, mut column, mut sequence) = (Interner::new(1), MapColumn::default(), 0);
        let bad = [(Text(b"\xff"), Value::Int(1)), (Text(b"\xfe"), Value::Int(2))];
        column.push(&mut keys, &mut sequence, &Pairs(&bad));
        assert_eq!(pairs(&column, &keys, 0), [("\u{fffd}".to_string(), "2".to_string())]);
    }

    #[test]
    fn a_million_equal_keys_take_linear_time() {
        let (mut keys, mut column, mut sequence) = (Interner::new(1), MapColumn::default(), 0);
        column.push(&mut keys, &mut sequence, &Many(1_000_000));
        assert_eq!(pairs(&column, &keys, 0), [("k".to_string(), "999999".to_string())]);
    }

    #[test]
    fn a_row_after_a_rollback_does_not_see_the_undone_one() {
        let (mut keys, mut column, mut sequence) = (Interner::new(1), MapColumn::default(), 0);
        let pair = [("a".into(), Value::Int(1))];
        column.push(&mut keys, &mut sequence, &Pairs(&pair));
        column.push(&mut keys, &mut sequence, &Pairs(&pair));
        column.truncate(1);
        column.push(&mut keys, &mut sequence, &Pairs(&pair));
        assert_eq!(pairs(&column, &keys, 1), [("a".into(), "1".into())]);
        assert_eq!(column.find(1, keys.intern(b"a")), Some(b"1".as_slice()));
    }
}
