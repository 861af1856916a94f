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
//! A cache of series checked before would not pay: finding the end of the labels and hashing them with
//! 128 bits took 58 ns, before any table is looked up, and the whole walk of a sample takes 67.
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

pub const METRIC_NAME: &[u8] = b"__name__";
/// [`METRIC_NAME`] as [`prefix`] gives it.
pub const METRIC_NAME_PREFIX: u64 = u64::from_be_bytes(*b"__name__");

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

/// The labels at the head of a series, all of them in order.
pub struct Leading<'a> {
    /// Their fields, tags and lengths included.
    pub region: &'a [u8],
    pub metric_name: &'a [u8],
}

/// Reads the label fields that stand first in `series` and leaves it behind them. Looks at everything
/// but UTF-8. `None` if the names of those that have a value do not ascend strictly; then some may be
/// repeated, and nothing is said of what comes after.
#[inline]
pub fn read_leading<'a>(series: &mut Reader<'a>) -> Result<Option<Leading<'a>>, DecodeError> {
    let start = *series;
    let mut walk = LabelWalk { rest: series.rest(), ..LabelWalk::default() };
    loop {
        walk.plain_labels();
        series.continue_at(walk.rest);
        let Some((name, value)) = any_label(series)
            .map_err(|error| DecodeError::from(error).within("labels", Some(walk.count)))?
        else {
            break;
        };
        walk.rest = series.rest();
        if name.is_empty() {
            return Err(empty_name(&start, walk.count));
        }
        walk.count += 1;
        if value.is_empty() {
            continue;
        }
        let name_prefix = prefix(name);
        if !walk.ascends_to(name, name_prefix) {
            return Ok(None);
        }
        if name == METRIC_NAME {
            walk.metric_name = value;
        }
        walk.previous_prefix = name_prefix;
        walk.previous_name = name;
    }
    check_count(walk.count, &start)?;
    let size = start.rest().len() - walk.rest.len();
    let region = start.rest().get(..size).unwrap_or_default();
    Ok(Some(Leading { region, metric_name: walk.metric_name }))
}

/// Where a walk over leading labels stands.
#[derive(Default)]
struct LabelWalk<'a> {
    rest: &'a [u8],
    previous_name: &'a [u8],
    previous_prefix: u64,
    metric_name: &'a [u8],
    count: u32,
}

impl<'a> LabelWalk<'a> {
    /// Passes over labels as every sender writes them, and stops before the first field that is not
    /// one: in another form, without name or value, out of order. A function of its own, so that
    /// all it needs stays in registers; inlined, half of its instructions moved spilled values.
    #[inline(never)]
    fn plain_labels(&mut self) {
        let mut rest = self.rest;
        let mut previous_name = self.previous_name;
        let mut previous_prefix = self.previous_prefix;
        let mut count = self.count;
        while let Some((name, value, behind)) = plain_label(rest) {
            if name.is_empty() || value.is_empty() {
                break;
            }
            let prefix = prefix_within(rest.get(PLAIN_NAME_AT..).unwrap_or_default(), name);
            if prefix <= previous_prefix && (prefix < previous_prefix || name <= previous_name) {
                break;
            }
            if prefix == METRIC_NAME_PREFIX && name.len() == METRIC_NAME.len() {
                self.metric_name = value;
            }
            previous_prefix = prefix;
            previous_name = name;
            count += 1;
            rest = behind;
        }
        self.rest = rest;
        self.previous_name = previous_name;
        self.previous_prefix = previous_prefix;
        self.count = count;
    }

    fn ascends_to(&self, name: &[u8], prefix: u64) -> bool {
        prefix > self.previous_prefix || prefix == self.previous_prefix && name > self.previous_name
    }
}

/// Where the name stands in a field that [`plain_label`] accepts.
const PLAIN_NAME_AT: usize = 4;

/// A label field as every sender writes it: name, then value, together shorter than 128 bytes. Gives
/// name, value and what stands behind the field.
///
/// ```text
/// 0a length  0a name_length name…  12 value_length value… │ behind
/// ```
#[inline(always)]
fn plain_label(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let [0x0a, length, 0x0a, name_length, ..] = bytes else { return None };
    let (field, behind) = bytes.split_at_checked(usize::from(*length) + 2)?;
    let value_at = usize::from(*name_length) + PLAIN_NAME_AT;
    let name = field.get(PLAIN_NAME_AT..value_at)?;
    let [0x12, value_length, value @ ..] = field.get(value_at..)? else { return None };
    // A length of 128 and more goes on in a second byte; the two inside are smaller than the outer.
    let is_plain = *length < 0x80 && usize::from(*value_length) == value.len();
    is_plain.then_some((name, value, behind))
}

/// A label field in whatever form, or `None` if the next field is something else.
#[inline]
fn any_label<'a>(series: &mut Reader<'a>) -> Result<Option<RawLabel<'a>>, WireError> {
    // Most series end their labels here, with the tag of a sample.
    if let [0x12, ..] | [] = series.rest() {
        return Ok(None);
    }
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
#[inline]
fn prefix(name: &[u8]) -> u64 {
    match name.first_chunk::<8>() {
        Some(head) => u64::from_be_bytes(*head),
        None => name
            .iter()
            .zip((0..u64::BITS).step_by(8))
            .fold(0, |bits, (&byte, place)| bits | u64::from(byte) << (u64::BITS - 8 - place)),
    }
}

/// [`prefix`] of a name of one byte or more that `bytes` begins with: one load wherever the payload
/// has eight bytes from there on, and a mask over those that are not the name's.
#[inline(always)]
pub fn prefix_within(bytes: &[u8], name: &[u8]) -> u64 {
    match bytes.first_chunk::<8>() {
        Some(head) => {
            let foreign = 8_usize.saturating_sub(name.len()) & 7;
            u64::from_be_bytes(*head) >> (8 * foreign) << (8 * foreign)
        }
        None => prefix(name),
    }
}

/// Checks that all texts in a region of label fields are UTF-8.
#[inline]
pub fn check_utf8(series: &Reader<'_>, region: &[u8]) -> Result<(), DecodeError> {
    // Tags are ASCII, and so are lengths below 128: one sweep answers for all texts together.
    if is_ascii(region) { Ok(()) } else { check_utf8_one_by_one(*series) }
}

/// As `<[u8]>::is_ascii`, which looks at the last bytes of a slice one by one: here the last 32 are
/// looked at together, some of them twice.
#[inline]
pub fn is_ascii(bytes: &[u8]) -> bool {
    let Some(last) = bytes.last_chunk::<32>() else {
        return bytes.is_ascii();
    };
    let mut seen = *last;
    for chunk in bytes.as_chunks::<32>().0 {
        for (seen, byte) in seen.iter_mut().zip(chunk) {
            *seen |= byte;
        }
    }
    seen.iter().fold(0, |all, byte| all | byte) < 0x80
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

/// Labels of 2.0 written as 1.0 senders write them. So a sink knows a series by one hash over bytes that
/// stand together, and as the same one whichever version brings it.
#[derive(Default)]
pub struct RawLabels {
    bytes: Vec<u8>,
}

impl RawLabels {
    /// References make long labels out of a few bytes. Who sends more than this has its series found
    /// by id, which asks for no memory that is kept.
    const SIZE_MAX: usize = 16 * 1024;

    /// `labels` are sorted, without the metric's name and without empty values.
    pub fn write(&mut self, metric_name: Text<'_>, labels: &dyn Attributes) -> Option<&[u8]> {
        self.bytes.clear();
        let mut fits = true;
        let mut is_named = false;
        labels.walk(&mut |name, value| {
            let Value::Text(value) = value else { return };
            if !is_named && name.0 > METRIC_NAME {
                is_named = true;
                fits = self.push(METRIC_NAME, metric_name.0);
            }
            fits = fits && self.push(name.0, value.0);
        });
        if !is_named {
            fits = fits && self.push(METRIC_NAME, metric_name.0);
        }
        fits.then_some(self.bytes.as_slice())
    }

    /// One label field, unless that makes too many bytes.
    fn push(&mut self, name: &[u8], value: &[u8]) -> bool {
        if self.bytes.len() + name.len() + value.len() > Self::SIZE_MAX {
            return false;
        }
        let field =
            2 + length_size(name.len()) + name.len() + length_size(value.len()) + value.len();
        if let (Ok(field @ 0..0x80), Ok(name_length), Ok(value_length)) =
            (u8::try_from(field), u8::try_from(name.len()), u8::try_from(value.len()))
        {
            // The two lengths inside are smaller than the outer, so all take one byte.
            self.bytes.reserve(usize::from(field) + 2);
            self.bytes.extend_from_slice(&[0x0a, field, 0x0a, name_length]);
            self.bytes.extend_from_slice(name);
            self.bytes.extend_from_slice(&[0x12, value_length]);
        } else {
            self.field(field);
            self.field(name.len());
            self.bytes.extend_from_slice(name);
            self.bytes.push(0x12);
            self.length(value.len());
        }
        self.bytes.extend_from_slice(value);
        true
    }

    /// A field of number 1 up to its content: a label, and a label's name.
    fn field(&mut self, length: usize) {
        self.bytes.push(0x0a);
        self.length(length);
    }

    #[allow(clippy::cast_possible_truncation, reason = "seven bits at a time")]
    fn length(&mut self, mut length: usize) {
        while length >= 0x80 {
            self.bytes.push(length as u8 | 0x80);
            length >>= 7;
        }
        self.bytes.push(length as u8);
    }
}

/// Bytes of a length below 2^21 as a varint.
const fn length_size(length: usize) -> usize {
    1 + (length >= 0x80) as usize + (length >= 0x4000) as usize
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

pub fn hex_id<const SIZE: usize>(text: &[u8]) -> Option<[u8; SIZE]> {
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
