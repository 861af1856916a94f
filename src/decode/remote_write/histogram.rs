//! Native histograms (Prometheus "Native Histograms" specification); both versions number them alike.
//!
//! Place: under `v1` and `v2`. A side of a histogram is sparse: spans say which buckets are there, values how
//! full they are. A sink gets it dense, from the first bucket to the last, gaps filled with zeros:
//!
//! ```text
//! spans    (offset 3, length 2) (offset 4, length 1)
//! values   a b c
//! dense    a b 0 0 0 0 c          starting at bucket 3, which OpenTelemetry calls 2
//! ```
//!
//! Offsets and lengths are the peer's word, and nothing is allocated by them. A side that would span more
//! than [`limits::HISTOGRAM_BUCKET_COUNT_MAX`] buckets, gaps and all, loses resolution until it does not: each
//! step merges two buckets into one, as Prometheus does, so counts stay exact and bounds bounds.
#![deny(clippy::indexing_slicing)]

use super::v1::nanos;
use crate::batch::RejectCause;
use crate::batch::record::{Histogram, HistogramKind};
use crate::decode::wire::protobuf::{FIXED64, Known, LENGTH, Reader, VARINT, WireError, tag};
use crate::decode::{DecodeError, Fault};
use crate::limits;

const COUNT_INT: u32 = tag(1, VARINT);
const COUNT_FLOAT: u32 = tag(2, FIXED64);
const SUM: u32 = tag(3, FIXED64);
const SCHEMA: u32 = tag(4, VARINT);
const ZERO_THRESHOLD: u32 = tag(5, FIXED64);
const ZERO_COUNT_INT: u32 = tag(6, VARINT);
const ZERO_COUNT_FLOAT: u32 = tag(7, FIXED64);
const NEGATIVE_SPANS: u32 = tag(8, LENGTH);
const NEGATIVE_DELTA: u32 = tag(9, VARINT);
const NEGATIVE_DELTAS: u32 = tag(9, LENGTH);
const NEGATIVE_COUNT: u32 = tag(10, FIXED64);
const NEGATIVE_COUNTS: u32 = tag(10, LENGTH);
const POSITIVE_SPANS: u32 = tag(11, LENGTH);
const POSITIVE_DELTA: u32 = tag(12, VARINT);
const POSITIVE_DELTAS: u32 = tag(12, LENGTH);
const POSITIVE_COUNT: u32 = tag(13, FIXED64);
const POSITIVE_COUNTS: u32 = tag(13, LENGTH);
const RESET_HINT: u32 = tag(14, VARINT);
const TIMESTAMP: u32 = tag(15, VARINT);
const CUSTOM_VALUE: u32 = tag(16, FIXED64);
const CUSTOM_VALUES: u32 = tag(16, LENGTH);
const START_TIMESTAMP: u32 = tag(17, VARINT);
const HISTOGRAM: Known = Known::fields(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
/// Field 17 is the start time in 2.0 and nothing in 1.0.
const HISTOGRAM_2: Known =
    Known::fields(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]);

const SPAN_OFFSET: u32 = tag(1, VARINT);
const SPAN_LENGTH: u32 = tag(2, VARINT);
const SPAN: Known = Known::fields(&[1, 2]);

/// Exponential schemas. Prometheus itself writes up to 8 and halves the resolution of finer ones on
/// arrival; they mean the same as OpenTelemetry's scales, so they are kept as they came.
const SCHEMA_MIN: i32 = -4;
const SCHEMA_MAX: i32 = 52;
/// Custom bounds, which 1.0 says senders must not use. Bucket `i` of this schema ends at bound `i`, and
/// one more goes to infinity.
const SCHEMA_CUSTOM_BOUNDS: i32 = -53;

/// How far the buckets of a float histogram may miss its count, as a share of the larger. Such
/// histograms are results of arithmetic and carry its rounding; a thousandth is no rounding.
const FLOAT_COUNT_TOLERANCE: f64 = 1e-3;

#[allow(clippy::cast_possible_wrap, reason = "a small constant")]
const BUCKET_COUNT_MAX: i64 = limits::HISTOGRAM_BUCKET_COUNT_MAX as i64;
/// Buckets of one side as they were sent, before any are merged: a quarter MiB of memory that is kept.
const VALUE_COUNT_MAX: usize = 4 * limits::HISTOGRAM_BUCKET_COUNT_MAX;

/// Memory for one histogram.
#[derive(Default)]
pub struct Scratch {
    negative: Side,
    positive: Side,
    bounds: Vec<f64>,
}

impl Scratch {
    /// Values that the histogram read last takes in columns, gaps filled.
    pub fn value_count(&self) -> u64 {
        self.negative.width() + self.positive.width() + self.bounds.len() as u64
    }
}

/// In what the versions differ.
#[derive(Clone, Copy)]
pub struct Rules {
    /// 2.0: custom bounds are allowed, field 17 is the start time.
    pub version_2: bool,
    /// Milliseconds, for a histogram that does not tell its own; 0 is unset.
    pub start_timestamp: i64,
}

impl Rules {
    pub const VERSION_1: Self = Self { version_2: false, start_timestamp: 0 };
}

/// The buckets above or below zero, as they were sent.
#[derive(Default)]
struct Side {
    /// Spans that have a length: their first bucket, by Prometheus' count, and their length.
    spans: Vec<(i64, u32)>,
    /// Their lengths added up.
    announced: u64,
    /// Where the next span's offset counts from.
    next_bucket: i64,
    any_span: bool,
    /// Values of the integer form, deltas added up.
    integers: Values,
    /// Values of the float form.
    floats: Values,
    /// The last value of the integer form.
    running: i64,
    integer_sum: u64,
    float_sum: f64,
    /// How the sender's buckets become ours.
    merging: Merging,
    /// The spans' values with gaps filled.
    dense: Vec<f64>,
}

/// From Prometheus' count of buckets to OpenTelemetry's, of a coarser scale if need be.
#[derive(Clone, Copy, Default)]
struct Merging {
    /// OpenTelemetry's bucket `i` ends at `base^(i+1)`, Prometheus' at `base^i`; custom bounds are counted alike.
    origin: i64,
    /// Scales down: so many times two buckets become one.
    scale_count: u32,
}

impl Merging {
    const fn place(self, bucket: i64) -> i64 {
        (bucket - self.origin) >> self.scale_count
    }
}

#[derive(Default)]
struct Values {
    counts: Vec<f64>,
    /// A value below zero, not a number, or past 64 bits.
    any_invalid: bool,
}

impl Values {
    fn clear(&mut self) {
        self.counts.clear();
        self.any_invalid = false;
    }

    fn push(&mut self, count: f64) -> Result<(), Fault> {
        if self.counts.len() >= VALUE_COUNT_MAX {
            return Err(Fault::HistogramBucketCountOverLimit);
        }
        self.any_invalid |= count < 0.0 || count.is_nan();
        self.counts.push(count);
        Ok(())
    }
}

impl Side {
    fn clear(&mut self) {
        self.spans.clear();
        self.integers.clear();
        self.floats.clear();
        self.dense.clear();
        self.announced = 0;
        self.merging = Merging::default();
        self.next_bucket = 0;
        self.any_span = false;
        self.running = 0;
        self.integer_sum = 0;
        self.float_sum = 0.0;
    }

    fn read_span(&mut self, message: Reader<'_>) -> Result<(), WireError> {
        let mut span = message;
        let mut offset = 0;
        let mut length = 0;
        while let Some(tag) = span.tag()? {
            match tag {
                SPAN_OFFSET => offset = span.sint32()?,
                SPAN_LENGTH => length = span.uint32()?,
                other => span.skip(other, SPAN)?,
            }
        }
        self.push_span(offset, length).map_err(|fault| message.fault(fault))
    }

    fn push_span(&mut self, offset: i32, length: u32) -> Result<(), Fault> {
        // Only the first offset is a place; the others are gaps.
        if self.any_span && offset < 0 {
            return Err(Fault::HistogramSpansContradictBuckets);
        }
        self.any_span = true;
        // A payload has no room for as many spans as would overflow this.
        self.next_bucket = self.next_bucket.saturating_add(i64::from(offset));
        if length == 0 {
            return Ok(());
        }
        // Each of them has a value, so there are no more spans than values.
        self.announced += u64::from(length);
        if self.announced > VALUE_COUNT_MAX as u64 {
            return Err(Fault::HistogramBucketCountOverLimit);
        }
        self.spans.push((self.next_bucket, length));
        self.next_bucket = self.next_bucket.saturating_add(i64::from(length));
        Ok(())
    }

    #[allow(
        clippy::cast_precision_loss,
        reason = "columns hold counts as f64; past 2^53 they round"
    )]
    fn push_delta(&mut self, delta: i64) -> Result<(), Fault> {
        match self.running.checked_add(delta).map(|sum| (sum, u64::try_from(sum))) {
            Some((running, Ok(count))) => {
                self.running = running;
                match self.integer_sum.checked_add(count) {
                    Some(sum) => self.integer_sum = sum,
                    None => self.integers.any_invalid = true,
                }
                self.integers.push(running as f64)
            }
            Some((running, Err(_))) => {
                self.running = running;
                self.integers.push(running as f64)
            }
            None => {
                self.integers.any_invalid = true;
                self.integers.push(0.0)
            }
        }
    }

    fn push_count(&mut self, count: f64) -> Result<(), Fault> {
        self.float_sum += count;
        self.floats.push(count)
    }

    fn read_delta(&mut self, reader: &mut Reader<'_>) -> Result<(), WireError> {
        let at = *reader;
        let delta = reader.sint64()?;
        self.push_delta(delta).map_err(|fault| at.fault(fault))
    }

    fn read_deltas(&mut self, mut packed: Reader<'_>) -> Result<(), WireError> {
        while !packed.is_empty() {
            self.read_delta(&mut packed)?;
        }
        Ok(())
    }

    fn read_count(&mut self, reader: &mut Reader<'_>) -> Result<(), WireError> {
        let at = *reader;
        let count = reader.double()?;
        self.push_count(count).map_err(|fault| at.fault(fault))
    }

    fn read_counts(&mut self, mut packed: Reader<'_>) -> Result<(), WireError> {
        while !packed.is_empty() {
            self.read_count(&mut packed)?;
        }
        Ok(())
    }

    /// Whether spans and values agree, and every value is a count.
    fn check(&self, values: &Values) -> Result<(), Fault> {
        if self.announced != values.counts.len() as u64 {
            return Err(Fault::HistogramSpansContradictBuckets);
        }
        if values.any_invalid {
            return Err(Fault::HistogramCountInvalid);
        }
        Ok(())
    }

    /// The first bucket and the last, by Prometheus' count.
    fn ends(&self) -> Option<(i64, i64)> {
        let (&(first, _), &(last, length)) = (self.spans.first()?, self.spans.last()?);
        Some((first, last.saturating_add(i64::from(length)) - 1))
    }

    /// The first bucket and the last as a sink gets them.
    fn merged_ends(&self) -> Option<(i64, i64)> {
        let (first, last) = self.ends()?;
        Some((self.merging.place(first), self.merging.place(last)))
    }

    fn offset(&self) -> Result<i32, Fault> {
        let (first, _) = self.merged_ends().unwrap_or_default();
        i32::try_from(first).map_err(|_| Fault::HistogramSpansContradictBuckets)
    }

    /// Buckets from the first to the last.
    fn width(&self) -> u64 {
        self.merged_ends().map_or(0, |(first, last)| u64::try_from(last - first + 1).unwrap_or(0))
    }

    /// Whether every bucket is one of those that so many bounds make.
    fn lies_within(&self, bounds: usize) -> bool {
        self.ends().is_none_or(|(first, last)| first >= 0 && last <= bounds as i64)
    }

    fn fill(&mut self, integer: bool) {
        let Some((first, _)) = self.merged_ends() else { return };
        let Self { spans, dense, integers, floats, merging, .. } = self;
        let mut values = if integer { &integers.counts } else { &floats.counts }.as_slice();
        let place = |bucket| usize::try_from(merging.place(bucket) - first).unwrap_or_default();
        for &(start, length) in spans.iter() {
            let Some((counts, rest)) = values.split_at_checked(length as usize) else { return };
            values = rest;
            if merging.scale_count == 0 {
                dense.resize(place(start), 0.0);
                dense.extend_from_slice(counts);
                continue;
            }
            for (bucket, count) in (start..).zip(counts) {
                let place = place(bucket);
                dense.resize(dense.len().max(place + 1), 0.0);
                if let Some(sum) = dense.get_mut(place) {
                    *sum += count;
                }
            }
        }
    }
}

/// Chooses for both sides the finest scale in which neither is too wide, and answers with it.
fn merge(negative: &mut Side, positive: &mut Side, schema: i32) -> Result<i32, Fault> {
    let is_custom = schema == SCHEMA_CUSTOM_BOUNDS;
    let mut merging = Merging { origin: i64::from(!is_custom), scale_count: 0 };
    let mut scale = schema;
    for side in [&*negative, &*positive] {
        let Some((first, last)) = side.ends() else { continue };
        while merging.place(last) - merging.place(first) >= BUCKET_COUNT_MAX {
            if is_custom || scale == SCHEMA_MIN {
                return Err(Fault::HistogramBucketCountOverLimit);
            }
            merging.scale_count += 1;
            scale -= 1;
        }
    }
    negative.merging = merging;
    positive.merging = merging;
    Ok(scale)
}

/// A member of a `oneof` that is an integer or a float.
#[derive(Clone, Copy)]
enum Count {
    Integer(u64),
    Float(f64),
}

/// Reads one histogram; its buckets are in `scratch`, if it is to fill them.
#[inline(never)]
pub fn read<'s>(
    message: Reader<'_>,
    scratch: &'s mut Scratch,
    rules: Rules,
    fills: bool,
) -> Result<Histogram<'s>, DecodeError> {
    let Scratch { negative, positive, bounds } = scratch;
    negative.clear();
    positive.clear();
    bounds.clear();
    let mut count = Count::Integer(0);
    let mut zero_count = Count::Integer(0);
    let mut sum = 0.0;
    let mut schema = 0;
    let mut zero_threshold = 0.0;
    let mut reset_hint = 0;
    let mut timestamp = 0;
    let mut start_timestamp = 0;
    let known = if rules.version_2 { HISTOGRAM_2 } else { HISTOGRAM };
    let mut reader = message;
    while let Some(tag) = reader.tag()? {
        match tag {
            COUNT_INT => count = Count::Integer(reader.varint()?),
            COUNT_FLOAT => count = Count::Float(reader.double()?),
            SUM => sum = reader.double()?,
            SCHEMA => schema = reader.sint32()?,
            ZERO_THRESHOLD => zero_threshold = reader.double()?,
            ZERO_COUNT_INT => zero_count = Count::Integer(reader.varint()?),
            ZERO_COUNT_FLOAT => zero_count = Count::Float(reader.double()?),
            NEGATIVE_SPANS => negative.read_span(reader.message()?)?,
            NEGATIVE_DELTA => negative.read_delta(&mut reader)?,
            NEGATIVE_DELTAS => negative.read_deltas(reader.message()?)?,
            NEGATIVE_COUNT => negative.read_count(&mut reader)?,
            NEGATIVE_COUNTS => negative.read_counts(reader.message()?)?,
            POSITIVE_SPANS => positive.read_span(reader.message()?)?,
            POSITIVE_DELTA => positive.read_delta(&mut reader)?,
            POSITIVE_DELTAS => positive.read_deltas(reader.message()?)?,
            POSITIVE_COUNT => positive.read_count(&mut reader)?,
            POSITIVE_COUNTS => positive.read_counts(reader.message()?)?,
            RESET_HINT => reset_hint = reader.int32()?,
            TIMESTAMP => timestamp = reader.int64()?,
            CUSTOM_VALUE => read_bound(&mut reader, bounds)?,
            CUSTOM_VALUES => {
                let mut packed = reader.message()?;
                while !packed.is_empty() {
                    read_bound(&mut packed, bounds)?;
                }
            }
            START_TIMESTAMP if rules.version_2 => start_timestamp = reader.int64()?,
            other => reader.skip(other, known)?,
        }
    }

    let refuse = |fault| DecodeError::from(message.fault(fault));
    let custom = schema == SCHEMA_CUSTOM_BOUNDS;
    if !rules.version_2 && (custom || !bounds.is_empty()) {
        return Err(refuse(Fault::HistogramCustomBounds));
    }
    if !custom && !(SCHEMA_MIN..=SCHEMA_MAX).contains(&schema) {
        return Err(refuse(Fault::HistogramSchemaUnknown));
    }
    let (count, zero_count, integer) = match count {
        Count::Integer(count) => {
            check_integers(count, zero_count, sum, negative, positive).map_err(refuse)?
        }
        Count::Float(count) => {
            check_floats(count, zero_count, sum, negative, positive).map_err(refuse)?
        }
    };
    let bounds_agree = if custom {
        let has_other_side = !negative.spans.is_empty() || zero_count != 0.0;
        !has_other_side
            && zero_threshold == 0.0
            && rise_strictly(bounds)
            && positive.lies_within(bounds.len())
    } else {
        bounds.is_empty()
    };
    if !bounds_agree {
        return Err(refuse(Fault::HistogramBoundsInvalid));
    }
    let scale = merge(negative, positive, schema).map_err(refuse)?;
    let positive_offset = positive.offset().map_err(refuse)?;
    let negative_offset = negative.offset().map_err(refuse)?;
    if fills {
        positive.fill(integer);
        negative.fill(integer);
    }
    if start_timestamp == 0 {
        start_timestamp = rules.start_timestamp;
    }
    Ok(Histogram {
        kind: HistogramKind::Native,
        time_nanos: nanos(timestamp),
        start_time_nanos: nanos(start_timestamp),
        flags: 0,
        count,
        sum: Some(sum),
        min: None,
        max: None,
        bounds: &[],
        bucket_counts: &[],
        scale,
        zero_threshold,
        zero_count,
        positive_offset,
        positive_counts: &positive.dense,
        negative_offset,
        negative_counts: &negative.dense,
        custom_bounds: bounds,
        quantiles: &[],
        reset_hint: u8::try_from(reset_hint).ok().filter(|hint| *hint <= 3).unwrap_or(0),
    })
}

fn read_bound(reader: &mut Reader<'_>, bounds: &mut Vec<f64>) -> Result<(), WireError> {
    let at = *reader;
    let bound = reader.double()?;
    if bounds.len() >= limits::HISTOGRAM_BUCKET_COUNT_MAX {
        return Err(at.fault(Fault::HistogramBucketCountOverLimit));
    }
    bounds.push(bound);
    Ok(())
}

/// Infinity is the end of the last bucket without being said.
fn rise_strictly(bounds: &[f64]) -> bool {
    bounds.iter().all(|bound| bound.is_finite())
        && bounds.windows(2).all(|two| matches!(two, [left, right] if left < right))
}

/// Walks a histogram of 2.0 for faults of its encoding alone: where the histogram itself is refused,
/// they still refuse the body.
#[cold]
pub fn check_encoding(message: Reader<'_>) -> Result<(), WireError> {
    let mut reader = message;
    while let Some(tag) = reader.tag()? {
        match tag {
            COUNT_INT | SCHEMA | ZERO_COUNT_INT | NEGATIVE_DELTA | POSITIVE_DELTA | RESET_HINT
            | TIMESTAMP | START_TIMESTAMP => drop(reader.varint()?),
            COUNT_FLOAT | SUM | ZERO_THRESHOLD | ZERO_COUNT_FLOAT | NEGATIVE_COUNT
            | POSITIVE_COUNT | CUSTOM_VALUE => drop(reader.fixed64()?),
            NEGATIVE_SPANS | POSITIVE_SPANS => {
                let mut span = reader.message()?;
                while let Some(tag) = span.tag()? {
                    match tag {
                        SPAN_OFFSET | SPAN_LENGTH => drop(span.varint()?),
                        other => span.skip(other, SPAN)?,
                    }
                }
            }
            NEGATIVE_DELTAS | POSITIVE_DELTAS => {
                let mut packed = reader.message()?;
                while !packed.is_empty() {
                    packed.varint()?;
                }
            }
            NEGATIVE_COUNTS | POSITIVE_COUNTS | CUSTOM_VALUES => {
                let mut packed = reader.message()?;
                while !packed.is_empty() {
                    packed.fixed64()?;
                }
            }
            other => reader.skip(other, HISTOGRAM_2)?,
        }
    }
    Ok(())
}

/// The cause of a fault that lies in the histogram and not in its encoding.
pub const fn reject_cause(fault: Fault) -> Option<RejectCause> {
    Some(match fault {
        Fault::HistogramSchemaUnknown => RejectCause::HistogramSchemaUnknown,
        Fault::HistogramSpansContradictBuckets => RejectCause::HistogramSpansContradictBuckets,
        Fault::HistogramCountContradictsBuckets => RejectCause::HistogramCountContradictsBuckets,
        Fault::HistogramCountInvalid => RejectCause::HistogramCountInvalid,
        Fault::HistogramBucketCountOverLimit => RejectCause::OverLimit,
        Fault::HistogramBoundsInvalid => RejectCause::HistogramBoundsInvalid,
        _ => return None,
    })
}

/// A histogram of integers adds up exactly, but for observations that are not numbers: they are in
/// the count and in no bucket, and make the sum NaN.
#[allow(clippy::cast_precision_loss, reason = "columns hold counts as f64; past 2^53 they round")]
fn check_integers(
    count: u64,
    zero_count: Count,
    sum: f64,
    negative: &Side,
    positive: &Side,
) -> Result<(f64, f64, bool), Fault> {
    // The other member of the `oneof` says nothing about this form.
    let zero_count = if let Count::Integer(zero_count) = zero_count { zero_count } else { 0 };
    negative.check(&negative.integers)?;
    positive.check(&positive.integers)?;
    let total = negative
        .integer_sum
        .checked_add(positive.integer_sum)
        .and_then(|total| total.checked_add(zero_count))
        .ok_or(Fault::HistogramCountContradictsBuckets)?;
    let agrees = if sum.is_nan() { total <= count } else { total == count };
    if !agrees {
        return Err(Fault::HistogramCountContradictsBuckets);
    }
    Ok((count as f64, zero_count as f64, true))
}

fn check_floats(
    count: f64,
    zero_count: Count,
    sum: f64,
    negative: &Side,
    positive: &Side,
) -> Result<(f64, f64, bool), Fault> {
    let zero_count = if let Count::Float(zero_count) = zero_count { zero_count } else { 0.0 };
    negative.check(&negative.floats)?;
    positive.check(&positive.floats)?;
    if count.is_nan() || count < 0.0 || zero_count.is_nan() || zero_count < 0.0 {
        return Err(Fault::HistogramCountInvalid);
    }
    let total = negative.float_sum + positive.float_sum + zero_count;
    let slack = FLOAT_COUNT_TOLERANCE * f64::max(total, count);
    // Infinite counts differ by NaN or lie within an infinite slack; neither is a contradiction.
    let too_many = total - count > slack;
    let too_few = count - total > slack && !sum.is_nan();
    if too_many || too_few {
        return Err(Fault::HistogramCountContradictsBuckets);
    }
    Ok((count, zero_count, false))
}
