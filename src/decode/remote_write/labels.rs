//! Label pairs of remote write 1.0: the check, and the two forms in which a sink sees them.
//!
//! Place: under `v1`. Senders write the labels first, together and sorted, so one walk finds all that
//! is asked (names ascending, hence unique; `__name__` there; text ASCII, hence UTF-8) and the labels
//! stay on the wire. Whatever is written otherwise is collected into a list and sorted.
//!
//! ```text
//! TimeSeries   label label label label │ sample …          ordered: `Leading::region` is the view
//! TimeSeries   label sample label label                    collected, sorted, then the samples
//! ```
//!
//! An empty value is an absent label. An empty name is refused whatever its value: it names nothing.
#![deny(clippy::indexing_slicing)]

use crate::batch::record::{Attributes, Text, Value};
use crate::decode::wire::protobuf::{Known, LENGTH, Reader, WireError, tag};
use crate::decode::{DecodeError, Fault};
use crate::limits;

/// `TimeSeries.labels` and `Exemplar.labels`.
pub const LABELS: u32 = tag(1, LENGTH);
const NAME: u32 = tag(1, LENGTH);
const VALUE: u32 = tag(2, LENGTH);
const LABEL: Known = Known::fields(&[1, 2]);

const METRIC_NAME: &[u8] = b"__name__";
/// [`METRIC_NAME`] as [`prefix`] gives it.
const METRIC_NAME_PREFIX: u64 = u64::from_be_bytes(*b"__name__");

pub type Pair<'a> = (Text<'a>, Text<'a>);
/// Name and value as they stand on the wire.
type RawLabel<'a> = (&'a [u8], &'a [u8]);

/// The list for labels that are not in order on the wire.
#[derive(Default)]
pub struct Scratch {
    pairs: Vec<Pair<'static>>,
}

impl Scratch {
    /// The list's memory, empty, for pairs that live as long as one payload.
    pub fn lend<'a>(&mut self) -> Vec<Pair<'a>> {
        std::mem::take(&mut self.pairs)
    }

    /// Takes the memory back. Collecting an emptied list into one of the same layout reuses its
    /// memory; a test holds the standard library to that.
    pub fn restore(&mut self, mut pairs: Vec<Pair<'_>>) {
        pairs.clear();
        self.pairs = pairs.into_iter().map(|_| (Text::EMPTY, Text::EMPTY)).collect();
    }
}

/// The labels at the head of a series.
pub struct Leading<'a> {
    /// Their fields, tags and lengths included.
    pub region: &'a [u8],
    pub metric_name: &'a [u8],
    /// Whether the names of those that have a value ascend strictly.
    pub is_ordered: bool,
}

/// Reads the label fields that stand first in `series` and leaves it behind them. Looks at everything
/// but UTF-8 and, in case they are not in order, repeated names.
#[inline]
pub fn read_leading<'a>(series: &mut Reader<'a>) -> Result<Leading<'a>, DecodeError> {
    let start = *series;
    let mut metric_name: &[u8] = &[];
    let mut is_ordered = true;
    let mut previous_name: &[u8] = &[];
    let mut previous_prefix = 0;
    let mut count = 0;
    loop {
        let (name, value) = match plain_label(series.rest()) {
            Some((name, value, rest)) => {
                series.continue_at(rest);
                (name, value)
            }
            None => match any_label(series)
                .map_err(|error| DecodeError::from(error).within("labels", Some(count)))?
            {
                Some(label) => label,
                None => break,
            },
        };
        if name.is_empty() {
            return Err(empty_name(&start, count));
        }
        count += 1;
        if value.is_empty() {
            continue;
        }
        let prefix = prefix(name);
        if prefix == METRIC_NAME_PREFIX && name.len() == METRIC_NAME.len() {
            metric_name = value;
        }
        is_ordered &= prefix > previous_prefix || prefix == previous_prefix && name > previous_name;
        previous_prefix = prefix;
        previous_name = name;
    }
    check_count(count, &start)?;
    let size = start.rest().len() - series.rest().len();
    let region = start.rest().get(..size).unwrap_or_default();
    Ok(Leading { region, metric_name, is_ordered })
}

/// A label field as every sender writes it: name, then value, together shorter than 128 bytes. Gives
/// name, value and what stands behind the field.
#[inline(always)]
fn plain_label(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let [0x0a, length, 0x0a, name_length, rest @ ..] = bytes else { return None };
    let (name, rest) = rest.split_at_checked(usize::from(*name_length))?;
    let [0x12, value_length, rest @ ..] = rest else { return None };
    // The sum being below 128, none of the three lengths goes on in a second byte.
    if *length >= 0x80
        || usize::from(*length) != usize::from(*name_length) + usize::from(*value_length) + 4
    {
        return None;
    }
    let (value, rest) = rest.split_at_checked(usize::from(*value_length))?;
    Some((name, value, rest))
}

/// A label field in whatever form, or `None` if the next field is something else.
#[inline(never)]
fn any_label<'a>(series: &mut Reader<'a>) -> Result<Option<RawLabel<'a>>, WireError> {
    let mut ahead = *series;
    if ahead.tag()? != Some(LABELS) {
        return Ok(None);
    }
    let label = read_label(ahead.message()?, |_| Ok(()))?;
    *series = ahead;
    Ok(Some(label))
}

/// Name and value of one label; of repeated ones the last. `text` sees all of them.
#[inline]
fn read_label<'a>(
    mut label: Reader<'a>,
    mut text: impl FnMut(Reader<'a>) -> Result<(), WireError>,
) -> Result<RawLabel<'a>, WireError> {
    let mut name: &[u8] = &[];
    let mut value: &[u8] = &[];
    while let Some(tag) = label.tag()? {
        match tag {
            NAME => {
                let reader = label.message()?;
                text(reader)?;
                name = reader.rest();
            }
            VALUE => {
                let reader = label.message()?;
                text(reader)?;
                value = reader.rest();
            }
            other => label.skip(other, LABEL)?,
        }
    }
    Ok((name, value))
}

/// The first eight bytes of a name, zeros behind a shorter one, as a number that compares as the
/// names do: where two prefixes differ, so do the names, in the same direction.
#[inline(always)]
fn prefix(name: &[u8]) -> u64 {
    match name.first_chunk::<8>() {
        Some(head) => u64::from_be_bytes(*head),
        None => {
            name.iter().fold(0, |bits, &byte| bits << 8 | u64::from(byte)) << (64 - 8 * name.len())
        }
    }
}

/// Checks that all texts in a region of label fields are UTF-8.
#[inline]
pub fn check_utf8(series: &Reader<'_>, region: &[u8]) -> Result<(), DecodeError> {
    // Tags are ASCII, and so are lengths below 128: one sweep answers for all texts together.
    if region.is_ascii() { Ok(()) } else { check_utf8_one_by_one(*series) }
}

#[inline(never)]
fn check_utf8_one_by_one(mut series: Reader<'_>) -> Result<(), DecodeError> {
    let mut index = 0;
    while let Some(LABELS) = series.tag()? {
        read_label(series.message()?, |text| check_text(&text))
            .map_err(|error| DecodeError::from(error).within("labels", Some(index)))?;
        index += 1;
    }
    Ok(())
}

/// Refuses a text that is not UTF-8, at its first wrong byte.
#[inline]
pub fn check_text(text: &Reader<'_>) -> Result<(), WireError> {
    match std::str::from_utf8(text.rest()) {
        Ok(_) => Ok(()),
        Err(error) => Err(WireError {
            fault: Fault::TextNotUtf8,
            offset: text.offset() + error.valid_up_to() as u64,
        }),
    }
}

#[inline]
fn check_count(count: u32, at: &Reader<'_>) -> Result<(), DecodeError> {
    if count as usize > limits::LABEL_COUNT_MAX {
        return Err(at.fault(Fault::LabelCountOverLimit).into());
    }
    Ok(())
}

#[cold]
fn empty_name(at: &Reader<'_>, index: u32) -> DecodeError {
    DecodeError::from(at.fault(Fault::LabelNameEmpty)).within("labels", Some(index))
}

/// Collects a series' labels wherever they stand in it, checked and sorted, without `__name__`, into
/// `pairs`; answers with the metric's name.
pub fn collect<'a>(
    mut series: Reader<'a>,
    pairs: &mut Vec<Pair<'a>>,
) -> Result<Text<'a>, DecodeError> {
    pairs.clear();
    let start = series;
    let mut count = 0;
    while let Some(tag) = series.tag()? {
        if tag != LABELS {
            series.skip(tag, Known::fields(&[]))?;
            continue;
        }
        let label = series.message()?;
        let (name, value) = read_label(label, |text| check_text(&text))
            .map_err(|error| DecodeError::from(error).within("labels", Some(count)))?;
        if name.is_empty() {
            return Err(empty_name(&label, count));
        }
        count += 1;
        check_count(count, &start)?;
        if !value.is_empty() {
            pairs.push((Text(name), Text(value)));
        }
    }
    pairs.sort_unstable_by_key(|pair| pair.0);
    if pairs.windows(2).any(|two| matches!(two, [left, right] if left.0 == right.0)) {
        return Err(start.fault(Fault::LabelNameRepeated).into());
    }
    match pairs.binary_search_by_key(&METRIC_NAME, |pair| pair.0.0) {
        Ok(place) => Ok(pairs.remove(place).1),
        Err(_) => Ok(Text::EMPTY),
    }
}

/// Labels that were collected and sorted, without `__name__`.
#[derive(Clone, Copy)]
pub struct Sorted<'a>(pub &'a [Pair<'a>]);

impl Attributes for Sorted<'_> {
    fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
        self.0.walk(visit);
    }
}

/// Labels in order on the wire, without `__name__`. The region was checked.
#[derive(Clone, Copy)]
pub struct OnWire<'a>(pub &'a [u8]);

impl Attributes for OnWire<'_> {
    fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
        let mut region = Reader::new(self.0);
        while let Some((name, value)) = next_label(&mut region) {
            if name != METRIC_NAME && !value.is_empty() {
                visit(Text(name), Value::Text(Text(value)));
            }
        }
    }
}

/// The next label of a checked region.
#[inline]
fn next_label<'a>(region: &mut Reader<'a>) -> Option<RawLabel<'a>> {
    match plain_label(region.rest()) {
        Some((name, value, rest)) => {
            region.continue_at(rest);
            Some((name, value))
        }
        None => any_label(region).ok()?,
    }
}

/// Ids that an exemplar's labels hold, and where those labels stand in the exemplar.
#[derive(Clone, Copy, Default)]
pub struct ExemplarIds {
    pub trace_id: Option<[u8; 16]>,
    pub span_id: Option<[u8; 8]>,
    trace_id_place: Option<u64>,
    span_id_place: Option<u64>,
}

impl ExemplarIds {
    /// Checks one label of an exemplar. The first `trace_id` and `span_id` that are ids in hex are
    /// taken out; what is not an id stays a label.
    pub fn read_label(&mut self, label: Reader<'_>) -> Result<(), WireError> {
        let (name, value) = read_label(label, |text| check_text(&text))?;
        match name {
            b"" => return Err(label.fault(Fault::LabelNameEmpty)),
            b"trace_id" if self.trace_id.is_none() => {
                self.trace_id = hex_id(value);
                self.trace_id_place = self.trace_id.map(|_| label.offset());
            }
            b"span_id" if self.span_id.is_none() => {
                self.span_id = hex_id(value);
                self.span_id_place = self.span_id.map(|_| label.offset());
            }
            _ => {}
        }
        Ok(())
    }
}

fn hex_id<const SIZE: usize>(text: &[u8]) -> Option<[u8; SIZE]> {
    let mut id = [0; SIZE];
    let (digits, []) = text.as_chunks::<2>() else { return None };
    if digits.len() != SIZE {
        return None;
    }
    for (byte, [high, low]) in id.iter_mut().zip(digits) {
        let value = char::from(*high).to_digit(16)? << 4 | char::from(*low).to_digit(16)?;
        *byte = u8::try_from(value).ok()?;
    }
    (id != [0; SIZE]).then_some(id)
}

/// An exemplar's labels in wire order, without those that became ids.
#[derive(Clone, Copy)]
pub struct OfExemplar<'a> {
    pub message: Reader<'a>,
    pub ids: ExemplarIds,
}

impl Attributes for OfExemplar<'_> {
    fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
        let mut message = self.message;
        while let Ok(Some(tag)) = message.tag() {
            if tag != LABELS {
                if message.skip(tag, Known::fields(&[])).is_err() {
                    return;
                }
                continue;
            }
            let Ok(label) = message.message() else { return };
            let Ok((name, value)) = read_label(label, |_| Ok(())) else { return };
            let place = Some(label.offset());
            if !value.is_empty()
                && place != self.ids.trace_id_place
                && place != self.ids.span_id_place
            {
                visit(Text(name), Value::Text(Text(value)));
            }
        }
    }
}
