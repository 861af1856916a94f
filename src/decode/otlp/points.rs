//! Data points of every kind, and their exemplars.
//!
//! Place: under `metrics`. Each kind has one reader, which both passes use: the first checks what is
//! nested and judges the lists, the second collects them into scratch memory and hands the point to
//! the sink.
//!
//! What a point's values say is refused for the point alone: lists that contradict each other, or are
//! longer than the limit. A point that says that nothing was recorded is not judged: its values carry
//! no meaning.
#![deny(clippy::indexing_slicing)]

use super::Scratch;
use super::common::{KeyValues, check_key_value, first_known, id};
use crate::batch::record::{Exemplar, Histogram, HistogramKind, Sample, Series};
use crate::batch::{RecordSink, RejectCause};
use crate::decode::DecodeError;
use crate::decode::wire::protobuf::{
    FIXED64, Known, LENGTH, Occurrences, Reader, VARINT, WireError, tag,
};
use crate::limits;

/// Of all kinds of points.
const START_TIME: u32 = tag(2, FIXED64);
const TIME: u32 = tag(3, FIXED64);

const NUMBER_DOUBLE: u32 = tag(4, FIXED64);
const NUMBER_EXEMPLARS: u32 = tag(5, LENGTH);
const NUMBER_INT: u32 = tag(6, FIXED64);
const NUMBER_ATTRIBUTES: u32 = tag(7, LENGTH);
const NUMBER_FLAGS: u32 = tag(8, VARINT);
const NUMBER: Known = Known::fields(&[2, 3, 4, 5, 6, 7, 8]);

const CLASSIC_COUNT: u32 = tag(4, FIXED64);
const CLASSIC_SUM: u32 = tag(5, FIXED64);
const CLASSIC_BUCKET_COUNT: u32 = tag(6, FIXED64);
const CLASSIC_BUCKET_COUNTS: u32 = tag(6, LENGTH);
const CLASSIC_BOUND: u32 = tag(7, FIXED64);
const CLASSIC_BOUNDS: u32 = tag(7, LENGTH);
const CLASSIC_EXEMPLARS: u32 = tag(8, LENGTH);
const CLASSIC_ATTRIBUTES: u32 = tag(9, LENGTH);
const CLASSIC_FLAGS: u32 = tag(10, VARINT);
const CLASSIC_MIN: u32 = tag(11, FIXED64);
const CLASSIC_MAX: u32 = tag(12, FIXED64);
const CLASSIC: Known = Known::fields(&[2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);

const EXPONENTIAL_ATTRIBUTES: u32 = tag(1, LENGTH);
const EXPONENTIAL_COUNT: u32 = tag(4, FIXED64);
const EXPONENTIAL_SUM: u32 = tag(5, FIXED64);
const EXPONENTIAL_SCALE: u32 = tag(6, VARINT);
const EXPONENTIAL_ZERO_COUNT: u32 = tag(7, FIXED64);
const EXPONENTIAL_POSITIVE: u32 = tag(8, LENGTH);
const EXPONENTIAL_NEGATIVE: u32 = tag(9, LENGTH);
const EXPONENTIAL_FLAGS: u32 = tag(10, VARINT);
const EXPONENTIAL_EXEMPLARS: u32 = tag(11, LENGTH);
const EXPONENTIAL_MIN: u32 = tag(12, FIXED64);
const EXPONENTIAL_MAX: u32 = tag(13, FIXED64);
const EXPONENTIAL_ZERO_THRESHOLD: u32 = tag(14, FIXED64);
const EXPONENTIAL: Known = Known::fields(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);

const BUCKETS_OFFSET: u32 = tag(1, VARINT);
const BUCKETS_COUNT: u32 = tag(2, VARINT);
const BUCKETS_COUNTS: u32 = tag(2, LENGTH);
const BUCKETS: Known = Known::fields(&[1, 2]);

const SUMMARY_COUNT: u32 = tag(4, FIXED64);
const SUMMARY_SUM: u32 = tag(5, FIXED64);
const SUMMARY_QUANTILES: u32 = tag(6, LENGTH);
const SUMMARY_ATTRIBUTES: u32 = tag(7, LENGTH);
const SUMMARY_FLAGS: u32 = tag(8, VARINT);
const SUMMARY: Known = Known::fields(&[2, 3, 4, 5, 6, 7, 8]);

const QUANTILE: u32 = tag(1, FIXED64);
const QUANTILE_VALUE: u32 = tag(2, FIXED64);
const VALUE_AT_QUANTILE: Known = Known::fields(&[1, 2]);

const EXEMPLAR_TIME: u32 = tag(2, FIXED64);
const EXEMPLAR_DOUBLE: u32 = tag(3, FIXED64);
const EXEMPLAR_SPAN_ID: u32 = tag(4, LENGTH);
const EXEMPLAR_TRACE_ID: u32 = tag(5, LENGTH);
const EXEMPLAR_INT: u32 = tag(6, FIXED64);
const EXEMPLAR_ATTRIBUTES: u32 = tag(7, LENGTH);
const EXEMPLAR: Known = Known::fields(&[2, 3, 4, 5, 6, 7]);

/// The flag of a point whose values carry no meaning: OpenTelemetry's form of a stale marker.
const NO_RECORDED_VALUE: u32 = 1;
/// Prometheus' stale marker: such points are told apart from others without looking at flags.
const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);
/// A point without a value; JavaScript's NaN comes as such. Prometheus' quiet NaN.
const NO_VALUE: f64 = f64::from_bits(0x7ff8_0000_0000_0001);
/// Integers up to here are doubles exactly.
const INT_EXACT_MAX: u64 = 1 << 53;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    Classic,
    Exponential,
    Summary,
}

/// What the check says of a point whose bytes are whole.
pub(super) struct Judged {
    pub(super) exemplars: u64,
    /// Elements of all its lists.
    pub(super) values: usize,
    pub(super) fault: Option<RejectCause>,
}

/// Checks a point of this kind.
#[inline]
pub(super) fn check(kind: Kind, point: Reader<'_>) -> Result<Judged, DecodeError> {
    match kind {
        Kind::Number => {
            let number = NumberPoint::read::<true>(point)?;
            Ok(Judged { exemplars: number.exemplars, values: 0, fault: None })
        }
        Kind::Classic => {
            let classic = ClassicPoint::read::<true>(point, |_| {}, |_| {})?;
            let values = classic.lists.bounds + classic.lists.counts;
            Ok(Judged { exemplars: classic.exemplars, values, fault: classic.fault() })
        }
        Kind::Exponential => {
            let exponential = ExponentialPoint::read::<true>(point, |_| {}, |_| {})?;
            let values = exponential.positive.counts + exponential.negative.counts;
            Ok(Judged { exemplars: exponential.exemplars, values, fault: exponential.fault() })
        }
        Kind::Summary => {
            let summary = SummaryPoint::read::<true>(point, |_| {})?;
            Ok(Judged { exemplars: 0, values: 2 * summary.quantiles, fault: summary.fault() })
        }
    }
}

/// Says a checked point to the sink, of the series that `metric` and the point's attributes name.
pub(super) fn push<S: RecordSink>(
    kind: Kind,
    point: Reader<'_>,
    metric: &Series<'_>,
    arrival_nanos: u64,
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<(), WireError> {
    // A fault cannot be: the bytes are checked. Its place would be enough.
    let wire = |error: DecodeError| WireError { fault: error.fault, offset: error.offset };
    match kind {
        Kind::Number => {
            let number = NumberPoint::read::<false>(point).map_err(wire)?;
            say_series(metric, point, NUMBER_ATTRIBUTES, number.labels, sink);
            let (value, value_int) = sample_value(number.value, number.flags);
            let time_nanos = first_known([number.time_nanos, arrival_nanos, 0]);
            sink.sample(&Sample {
                time_nanos,
                value,
                value_int,
                start_time_nanos: first_known([number.start_time_nanos, 0, 0]),
                flags: number.flags,
            });
            sink.keep();
            if number.exemplars > 0 {
                push_exemplars(point, NUMBER_EXEMPLARS, time_nanos, sink)?;
            }
        }
        Kind::Classic => {
            let Scratch { bounds, counts, .. } = scratch;
            bounds.clear();
            counts.clear();
            let classic = ClassicPoint::read::<false>(
                point,
                |bound| push_bounded(bounds, bound),
                |count| push_bounded(counts, as_double(count)),
            )
            .map_err(wire)?;
            if let Some(cause) = classic.fault() {
                sink.reject(cause);
                return Ok(());
            }
            say_series(metric, point, CLASSIC_ATTRIBUTES, classic.labels, sink);
            let time_nanos = first_known([classic.time_nanos, arrival_nanos, 0]);
            sink.histogram(&Histogram {
                time_nanos,
                start_time_nanos: first_known([classic.start_time_nanos, 0, 0]),
                flags: classic.flags,
                count: as_double(classic.count),
                sum: classic.sum,
                min: classic.min,
                max: classic.max,
                bounds,
                bucket_counts: counts,
                ..nothing(HistogramKind::Classic)
            });
            sink.keep();
            if classic.exemplars > 0 {
                push_exemplars(point, CLASSIC_EXEMPLARS, time_nanos, sink)?;
            }
        }
        Kind::Exponential => {
            let Scratch { counts: positive, negative_counts: negative, .. } = scratch;
            positive.clear();
            negative.clear();
            let exponential = ExponentialPoint::read::<false>(
                point,
                |count| push_bounded(positive, as_double(count)),
                |count| push_bounded(negative, as_double(count)),
            )
            .map_err(wire)?;
            if let Some(cause) = exponential.fault() {
                sink.reject(cause);
                return Ok(());
            }
            say_series(metric, point, EXPONENTIAL_ATTRIBUTES, exponential.labels, sink);
            let time_nanos = first_known([exponential.time_nanos, arrival_nanos, 0]);
            sink.histogram(&Histogram {
                time_nanos,
                start_time_nanos: first_known([exponential.start_time_nanos, 0, 0]),
                flags: exponential.flags,
                count: as_double(exponential.count),
                sum: exponential.sum,
                min: exponential.min,
                max: exponential.max,
                scale: exponential.scale,
                zero_threshold: exponential.zero_threshold,
                zero_count: as_double(exponential.zero_count),
                positive_offset: exponential.positive.offset,
                positive_counts: positive,
                negative_offset: exponential.negative.offset,
                negative_counts: negative,
                ..nothing(HistogramKind::Exponential)
            });
            sink.keep();
            if exponential.exemplars > 0 {
                push_exemplars(point, EXPONENTIAL_EXEMPLARS, time_nanos, sink)?;
            }
        }
        Kind::Summary => {
            let quantiles = &mut scratch.quantiles;
            quantiles.clear();
            let summary = SummaryPoint::read::<false>(point, |pair| push_bounded(quantiles, pair))
                .map_err(wire)?;
            if let Some(cause) = summary.fault() {
                sink.reject(cause);
                return Ok(());
            }
            say_series(metric, point, SUMMARY_ATTRIBUTES, summary.labels, sink);
            sink.histogram(&Histogram {
                time_nanos: first_known([summary.time_nanos, arrival_nanos, 0]),
                start_time_nanos: first_known([summary.start_time_nanos, 0, 0]),
                flags: summary.flags,
                count: as_double(summary.count),
                sum: Some(summary.sum),
                quantiles,
                ..nothing(HistogramKind::Summary)
            });
            sink.keep();
        }
    }
    Ok(())
}

/// A histogram without values, for the kinds to fill in what they have.
pub(super) const fn nothing(kind: HistogramKind) -> Histogram<'static> {
    Histogram {
        kind,
        time_nanos: 0,
        start_time_nanos: 0,
        flags: 0,
        count: 0.0,
        sum: None,
        min: None,
        max: None,
        bounds: &[],
        bucket_counts: &[],
        scale: 0,
        zero_threshold: 0.0,
        zero_count: 0.0,
        positive_offset: 0,
        positive_counts: &[],
        negative_offset: 0,
        negative_counts: &[],
        custom_bounds: &[],
        quantiles: &[],
        reset_hint: 0,
    }
}

fn say_series<S: RecordSink>(
    metric: &Series<'_>,
    point: Reader<'_>,
    attributes: u32,
    labels: Stretch<'_>,
    sink: &mut S,
) {
    let labels_view = KeyValues { holder: point.rest(), number: attributes >> 3 };
    sink.series(&Series { labels: &labels_view, raw: labels.bytes(), ..*metric });
}

#[allow(clippy::cast_precision_loss, reason = "counts above 2^53 are rounded, as documented")]
pub(super) const fn as_double(count: u64) -> f64 {
    count as f64
}

/// Lists past the limit are judged by their length and never said, so their ends need no room.
pub(super) fn push_bounded<T>(list: &mut Vec<T>, element: T) {
    if list.len() < limits::HISTOGRAM_BUCKET_COUNT_MAX {
        list.push(element);
    }
}

/// Fields of one number that stand together.
#[derive(Clone, Copy)]
struct Stretch<'a> {
    /// From the first one's tag to the end of the message.
    start: &'a [u8],
    /// What stands behind the last one.
    behind: usize,
    is_broken: bool,
}

impl<'a> Stretch<'a> {
    const EMPTY: Self = Self { start: &[], behind: 0, is_broken: false };

    /// Notes a field that stands between two states of its message's reader.
    #[inline(always)]
    const fn note(&mut self, before: Reader<'a>, after: Reader<'a>) {
        if self.start.is_empty() {
            self.start = before.rest();
        } else if self.behind != before.rest().len() {
            self.is_broken = true;
        }
        self.behind = after.rest().len();
    }

    fn bytes(self) -> Option<&'a [u8]> {
        if self.is_broken { None } else { self.start.get(..self.start.len() - self.behind) }
    }
}

/// The value of a number's oneof.
#[derive(Clone, Copy)]
pub(super) enum Number {
    None,
    Double(f64),
    Int(i64),
}

impl Number {
    #[allow(clippy::cast_precision_loss, reason = "callers keep the integer beside it")]
    pub(super) const fn as_double(self) -> f64 {
        match self {
            Self::None => NO_VALUE,
            Self::Double(value) => value,
            Self::Int(value) => value as f64,
        }
    }
}

/// A sample's double, and its integer where the double is not exact.
pub(super) const fn sample_value(value: Number, flags: u32) -> (f64, Option<i64>) {
    if flags & NO_RECORDED_VALUE != 0 {
        return (STALE, None);
    }
    let value_int = match value {
        Number::Int(int) if int.unsigned_abs() > INT_EXACT_MAX => Some(int),
        _ => None,
    };
    (value.as_double(), value_int)
}

#[inline(always)]
fn attribute<const CHECK: bool>(
    reader: &mut Reader<'_>,
    name: &'static str,
    index: &mut u32,
) -> Result<(), DecodeError> {
    let pair = reader.message()?;
    if CHECK {
        check_key_value(pair, 0).map_err(|error| error.within(name, Some(*index)))?;
        *index += 1;
    }
    Ok(())
}

#[inline]
fn exemplar<const CHECK: bool>(
    reader: &mut Reader<'_>,
    index: &mut u64,
) -> Result<(), DecodeError> {
    let message = reader.message()?;
    if CHECK {
        check_exemplar(message).map_err(|error| {
            error.within("exemplars", Some(u32::try_from(*index).unwrap_or(u32::MAX)))
        })?;
    }
    *index += 1;
    Ok(())
}

struct NumberPoint<'a> {
    start_time_nanos: u64,
    time_nanos: u64,
    value: Number,
    flags: u32,
    exemplars: u64,
    labels: Stretch<'a>,
}

impl<'a> NumberPoint<'a> {
    #[inline(always)]
    fn read<const CHECK: bool>(mut reader: Reader<'a>) -> Result<Self, DecodeError> {
        let mut point = Self {
            start_time_nanos: 0,
            time_nanos: 0,
            value: Number::None,
            flags: 0,
            exemplars: 0,
            labels: Stretch::EMPTY,
        };
        let mut attribute_index = 0;
        loop {
            let at = reader;
            let Some(tag) = reader.tag()? else { return Ok(point) };
            match tag {
                NUMBER_ATTRIBUTES => {
                    attribute::<CHECK>(&mut reader, "attributes", &mut attribute_index)?;
                    point.labels.note(at, reader);
                }
                START_TIME => point.start_time_nanos = reader.fixed64()?,
                TIME => point.time_nanos = reader.fixed64()?,
                NUMBER_DOUBLE => point.value = Number::Double(reader.double()?),
                NUMBER_INT => point.value = Number::Int(reader.fixed64()?.cast_signed()),
                NUMBER_FLAGS => point.flags = reader.uint32()?,
                NUMBER_EXEMPLARS => exemplar::<CHECK>(&mut reader, &mut point.exemplars)?,
                other => reader.skip(other, NUMBER)?,
            }
        }
    }
}

/// Whether a classic histogram's lists fit each other, told one number at a time.
#[derive(Default)]
pub(super) struct ClassicLists {
    bounds: usize,
    counts: usize,
    last_bound: f64,
    is_unordered: bool,
}

impl ClassicLists {
    #[inline(always)]
    pub(super) fn bound(&mut self, bound: f64) {
        // A NaN is greater than nothing.
        let ascends = if self.bounds == 0 { !bound.is_nan() } else { bound > self.last_bound };
        self.is_unordered |= !ascends;
        self.last_bound = bound;
        self.bounds += 1;
    }

    #[inline(always)]
    pub(super) const fn count(&mut self) {
        self.counts += 1;
    }

    pub(super) const fn fault(&self, flags: u32) -> Option<RejectCause> {
        if self.bounds > limits::HISTOGRAM_BUCKET_COUNT_MAX
            || self.counts > limits::HISTOGRAM_BUCKET_COUNT_MAX
        {
            return Some(RejectCause::OverLimit);
        }
        if flags & NO_RECORDED_VALUE != 0 {
            return None;
        }
        let fit = self.counts == self.bounds + 1 || self.counts == 0 && self.bounds == 0;
        if self.is_unordered || !fit { Some(RejectCause::Inconsistent) } else { None }
    }
}

struct ClassicPoint<'a> {
    start_time_nanos: u64,
    time_nanos: u64,
    count: u64,
    sum: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    flags: u32,
    lists: ClassicLists,
    exemplars: u64,
    labels: Stretch<'a>,
}

impl<'a> ClassicPoint<'a> {
    #[inline]
    fn read<const CHECK: bool>(
        mut reader: Reader<'a>,
        mut bound: impl FnMut(f64),
        mut bucket_count: impl FnMut(u64),
    ) -> Result<Self, DecodeError> {
        let mut point = Self {
            start_time_nanos: 0,
            time_nanos: 0,
            count: 0,
            sum: None,
            min: None,
            max: None,
            flags: 0,
            lists: ClassicLists::default(),
            exemplars: 0,
            labels: Stretch::EMPTY,
        };
        let mut attribute_index = 0;
        loop {
            let at = reader;
            let Some(tag) = reader.tag()? else { return Ok(point) };
            match tag {
                CLASSIC_ATTRIBUTES => {
                    attribute::<CHECK>(&mut reader, "attributes", &mut attribute_index)?;
                    point.labels.note(at, reader);
                }
                START_TIME => point.start_time_nanos = reader.fixed64()?,
                TIME => point.time_nanos = reader.fixed64()?,
                CLASSIC_COUNT => point.count = reader.fixed64()?,
                CLASSIC_SUM => point.sum = Some(reader.double()?),
                CLASSIC_MIN => point.min = Some(reader.double()?),
                CLASSIC_MAX => point.max = Some(reader.double()?),
                CLASSIC_FLAGS => point.flags = reader.uint32()?,
                CLASSIC_BUCKET_COUNTS => {
                    let mut packed = reader.message()?;
                    while !packed.is_empty() {
                        bucket_count(packed.fixed64()?);
                        point.lists.count();
                    }
                }
                CLASSIC_BUCKET_COUNT => {
                    bucket_count(reader.fixed64()?);
                    point.lists.count();
                }
                CLASSIC_BOUNDS => {
                    let mut packed = reader.message()?;
                    while !packed.is_empty() {
                        let value = packed.double()?;
                        bound(value);
                        point.lists.bound(value);
                    }
                }
                CLASSIC_BOUND => {
                    let value = reader.double()?;
                    bound(value);
                    point.lists.bound(value);
                }
                CLASSIC_EXEMPLARS => exemplar::<CHECK>(&mut reader, &mut point.exemplars)?,
                other => reader.skip(other, CLASSIC)?,
            }
        }
    }

    fn fault(&self) -> Option<RejectCause> {
        self.lists.fault(self.flags)
    }
}

/// One side of an exponential histogram; its counts go to the reader's caller.
#[derive(Default)]
struct Buckets {
    offset: i32,
    counts: usize,
}

impl Buckets {
    fn merge(
        &mut self,
        mut piece: Reader<'_>,
        mut count: impl FnMut(u64),
    ) -> Result<(), DecodeError> {
        while let Some(tag) = piece.tag()? {
            match tag {
                BUCKETS_OFFSET => self.offset = piece.sint32()?,
                BUCKETS_COUNTS => {
                    let mut packed = piece.message()?;
                    while !packed.is_empty() {
                        count(packed.varint()?);
                        self.counts += 1;
                    }
                }
                BUCKETS_COUNT => {
                    count(piece.varint()?);
                    self.counts += 1;
                }
                other => piece.skip(other, BUCKETS)?,
            }
        }
        Ok(())
    }
}

struct ExponentialPoint<'a> {
    start_time_nanos: u64,
    time_nanos: u64,
    count: u64,
    sum: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    scale: i32,
    zero_count: u64,
    zero_threshold: f64,
    positive: Buckets,
    negative: Buckets,
    flags: u32,
    exemplars: u64,
    labels: Stretch<'a>,
}

impl<'a> ExponentialPoint<'a> {
    #[inline]
    fn read<const CHECK: bool>(
        mut reader: Reader<'a>,
        mut positive_count: impl FnMut(u64),
        mut negative_count: impl FnMut(u64),
    ) -> Result<Self, DecodeError> {
        let mut point = Self {
            start_time_nanos: 0,
            time_nanos: 0,
            count: 0,
            sum: None,
            min: None,
            max: None,
            scale: 0,
            zero_count: 0,
            zero_threshold: 0.0,
            positive: Buckets::default(),
            negative: Buckets::default(),
            flags: 0,
            exemplars: 0,
            labels: Stretch::EMPTY,
        };
        let mut attribute_index = 0;
        loop {
            let at = reader;
            let Some(tag) = reader.tag()? else { return Ok(point) };
            match tag {
                EXPONENTIAL_ATTRIBUTES => {
                    attribute::<CHECK>(&mut reader, "attributes", &mut attribute_index)?;
                    point.labels.note(at, reader);
                }
                START_TIME => point.start_time_nanos = reader.fixed64()?,
                TIME => point.time_nanos = reader.fixed64()?,
                EXPONENTIAL_COUNT => point.count = reader.fixed64()?,
                EXPONENTIAL_SUM => point.sum = Some(reader.double()?),
                EXPONENTIAL_MIN => point.min = Some(reader.double()?),
                EXPONENTIAL_MAX => point.max = Some(reader.double()?),
                EXPONENTIAL_SCALE => point.scale = reader.sint32()?,
                EXPONENTIAL_ZERO_COUNT => point.zero_count = reader.fixed64()?,
                EXPONENTIAL_ZERO_THRESHOLD => point.zero_threshold = reader.double()?,
                EXPONENTIAL_FLAGS => point.flags = reader.uint32()?,
                EXPONENTIAL_POSITIVE => {
                    let piece = reader.message()?;
                    point
                        .positive
                        .merge(piece, &mut positive_count)
                        .map_err(|error| error.within("positive", None))?;
                }
                EXPONENTIAL_NEGATIVE => {
                    let piece = reader.message()?;
                    point
                        .negative
                        .merge(piece, &mut negative_count)
                        .map_err(|error| error.within("negative", None))?;
                }
                EXPONENTIAL_EXEMPLARS => exemplar::<CHECK>(&mut reader, &mut point.exemplars)?,
                other => reader.skip(other, EXPONENTIAL)?,
            }
        }
    }

    const fn fault(&self) -> Option<RejectCause> {
        let over = self.positive.counts > limits::HISTOGRAM_BUCKET_COUNT_MAX
            || self.negative.counts > limits::HISTOGRAM_BUCKET_COUNT_MAX;
        if over { Some(RejectCause::OverLimit) } else { None }
    }
}

struct SummaryPoint<'a> {
    start_time_nanos: u64,
    time_nanos: u64,
    count: u64,
    sum: f64,
    flags: u32,
    quantiles: usize,
    labels: Stretch<'a>,
}

impl<'a> SummaryPoint<'a> {
    #[inline]
    fn read<const CHECK: bool>(
        mut reader: Reader<'a>,
        mut quantile: impl FnMut((f64, f64)),
    ) -> Result<Self, DecodeError> {
        let mut point = Self {
            start_time_nanos: 0,
            time_nanos: 0,
            count: 0,
            sum: 0.0,
            flags: 0,
            quantiles: 0,
            labels: Stretch::EMPTY,
        };
        let (mut attribute_index, mut quantile_index) = (0, 0);
        loop {
            let at = reader;
            let Some(tag) = reader.tag()? else { return Ok(point) };
            match tag {
                SUMMARY_ATTRIBUTES => {
                    attribute::<CHECK>(&mut reader, "attributes", &mut attribute_index)?;
                    point.labels.note(at, reader);
                }
                START_TIME => point.start_time_nanos = reader.fixed64()?,
                TIME => point.time_nanos = reader.fixed64()?,
                SUMMARY_COUNT => point.count = reader.fixed64()?,
                SUMMARY_SUM => point.sum = reader.double()?,
                SUMMARY_FLAGS => point.flags = reader.uint32()?,
                SUMMARY_QUANTILES => {
                    let message = reader.message()?;
                    let pair = read_quantile(message)
                        .map_err(|error| error.within("quantile_values", Some(quantile_index)))?;
                    quantile(pair);
                    point.quantiles += 1;
                    quantile_index += 1;
                }
                other => reader.skip(other, SUMMARY)?,
            }
        }
    }

    const fn fault(&self) -> Option<RejectCause> {
        if self.quantiles > limits::HISTOGRAM_BUCKET_COUNT_MAX {
            Some(RejectCause::OverLimit)
        } else {
            None
        }
    }
}

fn read_quantile(mut message: Reader<'_>) -> Result<(f64, f64), DecodeError> {
    let (mut quantile, mut value) = (0.0, 0.0);
    while let Some(tag) = message.tag()? {
        match tag {
            QUANTILE => quantile = message.double()?,
            QUANTILE_VALUE => value = message.double()?,
            other => message.skip(other, VALUE_AT_QUANTILE)?,
        }
    }
    Ok((quantile, value))
}

fn check_exemplar(mut exemplar: Reader<'_>) -> Result<(), DecodeError> {
    let mut index = 0;
    while let Some(tag) = exemplar.tag()? {
        match tag {
            EXEMPLAR_ATTRIBUTES => {
                attribute::<true>(&mut exemplar, "filtered_attributes", &mut index)?;
            }
            EXEMPLAR_TIME | EXEMPLAR_DOUBLE | EXEMPLAR_INT => drop(exemplar.fixed64()?),
            EXEMPLAR_SPAN_ID | EXEMPLAR_TRACE_ID => drop(exemplar.bytes()?),
            other => exemplar.skip(other, EXEMPLAR)?,
        }
    }
    Ok(())
}

/// Says the exemplars of a point. One without a time has its point's.
fn push_exemplars<S: RecordSink>(
    point: Reader<'_>,
    field: u32,
    point_time_nanos: i64,
    sink: &mut S,
) -> Result<(), WireError> {
    for message in Occurrences::of(point.rest(), field >> 3) {
        let mut exemplar = Reader::new(message);
        let mut time_nanos = 0;
        let mut value = Number::None;
        let (mut trace_id, mut span_id) = (&[][..], &[][..]);
        while let Some(tag) = exemplar.tag()? {
            match tag {
                EXEMPLAR_TIME => time_nanos = exemplar.fixed64()?,
                EXEMPLAR_DOUBLE => value = Number::Double(exemplar.double()?),
                EXEMPLAR_INT => value = Number::Int(exemplar.fixed64()?.cast_signed()),
                EXEMPLAR_SPAN_ID => span_id = exemplar.bytes()?,
                EXEMPLAR_TRACE_ID => trace_id = exemplar.bytes()?,
                other => exemplar.skip(other, Known::fields(&[]))?,
            }
        }
        sink.exemplar(&Exemplar {
            time_nanos: first_known([time_nanos, point_time_nanos.cast_unsigned(), 0]),
            value: value.as_double(),
            trace_id: id(trace_id),
            span_id: id(span_id),
            attributes: &KeyValues { holder: message, number: EXEMPLAR_ATTRIBUTES >> 3 },
        });
        sink.keep();
    }
    Ok(())
}
