//! Rows of the columns, in any order, as Arrow arrays.
//!
//! Place: the last step before a part is encoded. Repeating texts leave as dictionaries over the
//! part's interner, so that no row copies them; the file's schema calls them plain text all the same.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::types::UInt32Type;
use arrow_array::{
    Array, ArrayRef, DictionaryArray, FixedSizeBinaryArray, ListArray, MapArray, PrimitiveArray,
    StringArray, StructArray, TimestampNanosecondArray, UInt32Array,
};
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field, Fields};

use super::interner::Interner;
use super::map::MapColumn;
use super::table::map_entries;
use super::text::at;

pub type Result<T> = std::result::Result<T, ArrowError>;

/// The texts of an interner, as the values of every dictionary of a part.
pub(super) fn texts(interner: &Interner) -> Result<ArrayRef> {
    let rows = (0..interner.len()).map(|number| interner.text(super::text::place(number)));
    Ok(Arc::new(strings(rows)?))
}

/// Texts that differ from row to row.
pub(super) fn strings<'a>(rows: impl Iterator<Item = &'a [u8]>) -> Result<StringArray> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut offsets: Vec<i32> = Vec::with_capacity(rows.size_hint().0 + 1);
    offsets.push(0);
    for row in rows {
        bytes.extend_from_slice(row);
        offsets.push(offset(bytes.len())?);
    }
    StringArray::try_new(offset_buffer(offsets)?, Buffer::from_vec(bytes), None)
}

fn offset(length: usize) -> Result<i32> {
    i32::try_from(length).map_err(|_| ArrowError::OffsetOverflowError(length))
}

fn offset_buffer(offsets: Vec<i32>) -> Result<OffsetBuffer<i32>> {
    debug_assert!(offsets.is_sorted());
    Ok(OffsetBuffer::new(ScalarBuffer::from(offsets)))
}

pub(super) fn dictionary(numbers: Vec<u32>, values: &ArrayRef) -> Result<ArrayRef> {
    let keys = UInt32Array::from(numbers);
    Ok(Arc::new(DictionaryArray::<UInt32Type>::try_new(keys, Arc::clone(values))?))
}

pub(super) fn timestamps(nanos: Vec<i64>) -> ArrayRef {
    Arc::new(TimestampNanosecondArray::from(nanos).with_timezone("UTC"))
}

pub(super) fn ids<'a>(ids: impl Iterator<Item = &'a [u8; 16]>) -> Result<ArrayRef> {
    let mut bytes = Vec::with_capacity(ids.size_hint().0 * 16);
    ids.for_each(|id| bytes.extend_from_slice(id));
    Ok(Arc::new(FixedSizeBinaryArray::try_new(16, Buffer::from_vec(bytes), None)?))
}

/// Both digits of every byte.
const HEX: [[u8; 2]; 256] = {
    let digits = *b"0123456789abcdef";
    let mut table = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    table
};

/// Lowercase hex; an id of zeros is none and becomes the empty text.
pub(super) fn hex<'a, const N: usize>(ids: impl Iterator<Item = &'a [u8; N]>) -> Result<ArrayRef> {
    let count = ids.size_hint().0;
    let mut bytes: Vec<u8> = Vec::with_capacity(count * N * 2);
    let mut offsets: Vec<i32> = Vec::with_capacity(count + 1);
    offsets.push(0);
    for id in ids {
        if *id != [0; N] {
            bytes.extend_from_slice(id.map(|byte| HEX[usize::from(byte)]).as_flattened());
        }
        offsets.push(offset(bytes.len())?);
    }
    let offsets = offset_buffer(offsets)?;
    Ok(Arc::new(StringArray::try_new(offsets, Buffer::from_vec(bytes), None)?))
}

/// Maps of `column`'s rows; keys leave as a dictionary over `keys`.
pub(super) fn maps(
    column: &MapColumn,
    rows: impl Iterator<Item = usize>,
    keys: &ArrayRef,
) -> Result<ArrayRef> {
    let mut offsets: Vec<i32> = Vec::with_capacity(rows.size_hint().0 + 1);
    let mut numbers = Vec::new();
    let mut bytes: Vec<u8> = Vec::new();
    let mut value_offsets: Vec<i32> = vec![0];
    offsets.push(0);
    for row in rows {
        for &entry in column.row(row) {
            numbers.push(entry.key);
            bytes.extend_from_slice(column.value(entry));
            value_offsets.push(offset(bytes.len())?);
        }
        offsets.push(offset(numbers.len())?);
    }
    let values: ArrayRef = Arc::new(StringArray::try_new(
        offset_buffer(value_offsets)?,
        Buffer::from_vec(bytes),
        None,
    )?);
    map_array(offsets, dictionary(numbers, keys)?, values)
}

/// Maps that many rows share, such as a resource's: values leave as a dictionary, too, in which each
/// shared map's values stand once.
pub(super) fn shared_maps(
    column: &MapColumn,
    rows: impl Iterator<Item = usize>,
    keys: &ArrayRef,
) -> Result<ArrayRef> {
    let mut offsets: Vec<i32> = Vec::with_capacity(rows.size_hint().0 + 1);
    let (mut key_numbers, mut value_numbers) = (Vec::new(), Vec::new());
    let mut values: Vec<&[u8]> = Vec::new();
    // The place of each shared map's first value in `values`, plus one; 0 until it is used.
    let mut places: Vec<u32> = vec![0; column.len()];
    offsets.push(0);
    for row in rows {
        let entries = column.row(row);
        if !entries.is_empty() {
            if places[row] == 0 {
                places[row] = super::text::place(values.len()) + 1;
                values.extend(entries.iter().map(|&entry| column.value(entry)));
            }
            let first = places[row] - 1;
            key_numbers.extend(entries.iter().map(|entry| entry.key));
            value_numbers.extend(first..first + super::text::place(entries.len()));
        }
        offsets.push(offset(key_numbers.len())?);
    }
    let values: ArrayRef = Arc::new(strings(values.into_iter())?);
    map_array(offsets, dictionary(key_numbers, keys)?, dictionary(value_numbers, &values)?)
}

fn map_array(offsets: Vec<i32>, keys: ArrayRef, values: ArrayRef) -> Result<ArrayRef> {
    let field = map_entries(keys.data_type().clone(), values.data_type().clone());
    let DataType::Struct(fields) = field.data_type() else {
        unreachable!("made a line above");
    };
    let entries = StructArray::try_new(fields.clone(), vec![keys, values], None)?;
    Ok(Arc::new(MapArray::try_new(field, offset_buffer(offsets)?, entries, None, false)?))
}

/// Numbers of each row, end to end.
pub(super) struct ListColumn<T> {
    ends: Vec<u32>,
    values: Vec<T>,
}

impl<T> Default for ListColumn<T> {
    fn default() -> Self {
        Self { ends: Vec::new(), values: Vec::new() }
    }
}

impl<T: Copy> ListColumn<T> {
    pub(super) fn push(&mut self, row: &[T]) {
        self.values.extend_from_slice(row);
        self.end_row();
    }

    /// Appends to the row that [`ListColumn::end_row`] ends.
    pub(super) fn push_value(&mut self, value: T) {
        self.values.push(value);
    }

    pub(super) fn end_row(&mut self) {
        self.ends.push(super::text::place(self.values.len()));
    }

    pub(super) fn row(&self, row: usize) -> &[T] {
        &self.values[self.range(row)]
    }

    /// The places of a row's values among all.
    pub(super) fn range(&self, row: usize) -> Range<usize> {
        let start = if row == 0 { 0 } else { at(self.ends[row - 1]) };
        start..at(self.ends[row])
    }

    pub(super) fn value(&self, place: usize) -> &T {
        &self.values[place]
    }

    pub(super) const fn value_count(&self) -> usize {
        self.values.len()
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.ends.truncate(rows);
        self.values.truncate(self.ends.last().map_or(0, |&end| at(end)));
    }

    pub(super) const fn size(&self) -> usize {
        self.ends.len() * 4 + self.values.len() * size_of::<T>()
    }

    fn offsets_and_values<R>(
        &self,
        rows: impl Iterator<Item = usize>,
        mut take: impl FnMut(&mut R, &[T]),
        into: &mut R,
    ) -> Result<OffsetBuffer<i32>> {
        let mut offsets = Vec::with_capacity(rows.size_hint().0 + 1);
        offsets.push(0);
        let mut length = 0;
        for row in rows {
            let values = self.row(row);
            take(into, values);
            length += values.len();
            offsets.push(offset(length)?);
        }
        offset_buffer(offsets)
    }
}

pub(super) fn double_lists(
    column: &ListColumn<f64>,
    rows: impl Iterator<Item = usize>,
) -> Result<ArrayRef> {
    let mut values = Vec::new();
    let offsets = column.offsets_and_values(
        rows,
        |into: &mut Vec<f64>, row| into.extend_from_slice(row),
        &mut values,
    )?;
    let values: ArrayRef =
        Arc::new(PrimitiveArray::<arrow_array::types::Float64Type>::from(values));
    let field = super::table::element(DataType::Float64);
    Ok(Arc::new(ListArray::try_new(field, offsets, values, None)?))
}

pub(super) fn quantile_lists(
    column: &ListColumn<(f64, f64)>,
    rows: impl Iterator<Item = usize>,
) -> Result<ArrayRef> {
    let mut pairs: Vec<(f64, f64)> = Vec::new();
    let offsets = column.offsets_and_values(
        rows,
        |into: &mut Vec<_>, row| into.extend_from_slice(row),
        &mut pairs,
    )?;
    let (quantiles, values): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
    let double = |values: Vec<f64>| -> ArrayRef {
        Arc::new(PrimitiveArray::<arrow_array::types::Float64Type>::from(values))
    };
    let fields = super::table::quantile_fields();
    let structs =
        StructArray::try_new(fields.clone(), vec![double(quantiles), double(values)], None)?;
    let field = super::table::element(DataType::Struct(fields));
    Ok(Arc::new(ListArray::try_new(field, offsets, Arc::new(structs), None)?))
}

/// Lists of structs: how many each row has, and the structs' columns, rows end to end.
pub(super) fn struct_lists<const N: usize>(
    names: [&str; N],
    counts: impl Iterator<Item = usize>,
    columns: Vec<ArrayRef>,
) -> Result<ArrayRef> {
    let mut offsets = Vec::with_capacity(counts.size_hint().0 + 1);
    offsets.push(0);
    let mut length = 0;
    for count in counts {
        length += count;
        offsets.push(offset(length)?);
    }
    let fields: Fields = names
        .into_iter()
        .zip(&columns)
        .map(|(name, column)| Field::new(name, column.data_type().clone(), false))
        .collect();
    let structs = StructArray::try_new(fields.clone(), columns, None)?;
    let field = super::table::element(DataType::Struct(fields));
    Ok(Arc::new(ListArray::try_new(field, offset_buffer(offsets)?, Arc::new(structs), None)?))
}
