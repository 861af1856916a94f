//! Data points of `opentelemetry.proto.metrics.v1` in JSON, one reader for all kinds: their fields never
//! mean two things.
//!
//! A point whose values contradict each other is rejected, and its exemplars go with it.
#![deny(clippy::indexing_slicing)]

use super::common::{
    Field, Pairs, attributes, each, each_again, fields, id, members, members_again,
};
use super::number::{double, int_or_double, signed32, unsigned, unsigned32, whole};
use crate::batch::record::{
    Exemplar, Histogram, HistogramKind, Identity, MetricType, Sample, Series, Temporality, Text,
    Value,
};
use crate::batch::{RecordSink, RejectCause};
use crate::decode::otlp::Scratch;
use crate::decode::otlp::common::first_known;
use crate::decode::wire::json::{Reader, Str};
use crate::decode::{DecodeError, Verdict};
use crate::limits;

/// Prometheus' NaN for a series that ended, which "no recorded value" means.
const STALE: u64 = 0x7ff0_0000_0000_0002;
/// Prometheus' plain NaN: a point without value.
const NO_VALUE: u64 = 0x7ff8_0000_0000_0001;
const NO_RECORDED_VALUE: u32 = 1;
/// Doubles are exact to here.
const EXACT_MAX: u64 = 1 << 53;

/// What a point takes from its metric.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub metric_type: MetricType,
    pub name: Text<'a>,
    pub unit: Text<'a>,
    pub description: Text<'a>,
    pub temporality: Temporality,
    pub is_monotonic: bool,
    pub arrival_nanos: u64,
}

impl Context<'_> {
    pub const fn new(metric_type: MetricType, arrival_nanos: u64) -> Self {
        Self {
            metric_type,
            name: Text::EMPTY,
            unit: Text::EMPTY,
            description: Text::EMPTY,
            temporality: Temporality::Unspecified,
            is_monotonic: false,
            arrival_nanos,
        }
    }
}

fields! { PointField {
    Start = "startTimeUnixNano",
    Time = "timeUnixNano",
    AsDouble = "asDouble",
    AsInt = "asInt",
    Value = "value",
    Flags = "flags",
    Count = "count",
    Sum = "sum",
    Min = "min",
    Max = "max",
    Scale = "scale",
    ZeroCount = "zeroCount",
    ZeroThreshold = "zeroThreshold",
    Positive = "positive",
    Negative = "negative",
    ;
    Attributes = "attributes",
    Exemplars = "exemplars",
    Bounds = "explicitBounds",
    Counts = "bucketCounts",
    Quantiles = "quantileValues",
} }
fields! { BucketsField { Offset = "offset", ; Counts = "bucketCounts", } }
fields! { QuantileField { Quantile = "quantile", Value = "value", ; } }
fields! { ExemplarField {
    Time = "timeUnixNano",
    AsDouble = "asDouble",
    AsInt = "asInt",
    Value = "value",
    SpanId = "spanId",
    TraceId = "traceId",
    ;
    Attributes = "filteredAttributes",
} }

impl PointField {
    /// Whether points of this kind have the field.
    const fn is_of(self, kind: MetricType) -> bool {
        let is_number = matches!(kind, MetricType::Gauge | MetricType::Sum);
        let is_classic = matches!(kind, MetricType::Histogram);
        let is_exponential = matches!(kind, MetricType::ExponentialHistogram);
        let is_summary = matches!(kind, MetricType::Summary);
        match self {
            Self::Start | Self::Time | Self::Flags | Self::Attributes => true,
            Self::AsDouble | Self::AsInt | Self::Value => is_number,
            Self::Count | Self::Sum => !is_number,
            Self::Min | Self::Max => is_classic || is_exponential,
            Self::Scale
            | Self::ZeroCount
            | Self::ZeroThreshold
            | Self::Positive
            | Self::Negative => is_exponential,
            Self::Exemplars => !is_summary,
            Self::Bounds | Self::Counts => is_classic,
            Self::Quantiles => is_summary,
        }
    }
}

/// A value of the `oneof`, still text.
#[derive(Clone, Copy)]
enum Number<'a> {
    None,
    Double(&'a [u8]),
    Int(&'a [u8]),
}

impl Number<'_> {
    /// As a double and, where that is not exact, as the integer.
    fn read(self) -> (f64, Option<i64>) {
        match self {
            Self::None => (f64::from_bits(NO_VALUE), None),
            Self::Double(text) => (double(text), None),
            Self::Int(text) => match int_or_double(text) {
                #[allow(clippy::cast_precision_loss, reason = "then the integer stands beside it")]
                Value::Int(number) => {
                    (number as f64, (number.unsigned_abs() > EXACT_MAX).then_some(number))
                }
                _ => (double(text), None),
            },
        }
    }
}

/// Fields of every kind of point.
struct Point<'a> {
    start: &'a [u8],
    time: &'a [u8],
    flags: &'a [u8],
    number: Number<'a>,
    count: &'a [u8],
    sum: Option<&'a [u8]>,
    min: Option<&'a [u8]>,
    max: Option<&'a [u8]>,
    scale: &'a [u8],
    zero_count: &'a [u8],
    zero_threshold: &'a [u8],
    positive_offset: &'a [u8],
    negative_offset: &'a [u8],
    attributes: Option<usize>,
    attributes_end: usize,
    exemplars: Option<usize>,
    exemplar_count: u64,
    bound_count: usize,
    count_count: usize,
    /// Elements of the longest list.
    list_count_max: usize,
    /// Elements of all lists.
    value_count: usize,
    is_consistent: bool,
}

/// Whether a count is one: a whole number that is not negative.
fn is_count(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_digit)
        || whole(text).is_some_and(|number| u64::try_from(number).is_ok())
}

#[allow(clippy::cast_precision_loss, reason = "counts are kept as doubles")]
fn count(text: &[u8]) -> f64 {
    unsigned(text) as f64
}

/// Reads a list of numbers into `into`, where `fills`; answers how many.
fn numbers<'a>(
    reader: &mut Reader<'a>,
    name: &'static str,
    into: Option<&mut Vec<f64>>,
    of: fn(&[u8]) -> f64,
    mut check: impl FnMut(&'a [u8]),
) -> Result<usize, DecodeError> {
    let mut found = 0;
    let mut into = into;
    if let Some(into) = into.as_deref_mut() {
        into.clear();
    }
    each(reader, name, |reader| {
        let text = reader.number()?;
        check(text);
        found += 1;
        // A list past the limit is judged by its length and never said.
        if let Some(into) = into.as_deref_mut()
            && into.len() < limits::HISTOGRAM_BUCKET_COUNT_MAX
        {
            into.push(of(text));
        }
        Ok(())
    })?;
    Ok(found)
}

pub fn point<S: RecordSink>(
    reader: &mut Reader<'_>,
    context: &Context<'_>,
    verdict: &mut Verdict,
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<(), DecodeError> {
    reader.peek();
    let place = reader.place() as u64;
    if S::FILLS {
        scratch.bounds.clear();
        scratch.counts.clear();
        scratch.negative_counts.clear();
        scratch.quantiles.clear();
    }
    let point = read_point::<S>(reader, context.metric_type, scratch)?;
    let is_number = matches!(context.metric_type, MetricType::Gauge | MetricType::Sum);
    let is_classic = context.metric_type == MetricType::Histogram;
    let fits = !is_classic
        || point.count_count == point.bound_count + 1
        || point.count_count == 0 && point.bound_count == 0;
    // A point without recorded value says nothing that could contradict itself.
    let says_nothing = unsigned32(point.flags) & NO_RECORDED_VALUE != 0;
    let cause = if is_number {
        None
    } else if point.list_count_max > limits::HISTOGRAM_BUCKET_COUNT_MAX {
        Some(RejectCause::OverLimit)
    } else {
        (!(says_nothing || fits && point.is_consistent)).then_some(RejectCause::Inconsistent)
    };
    if let Some(cause) = cause {
        verdict.count_reject(cause, place);
        sink.reject(cause);
        return Ok(());
    }
    if is_number {
        verdict.samples += 1;
    } else {
        verdict.histograms += 1;
    }
    verdict.exemplars += point.exemplar_count;
    verdict.values += point.value_count as u64;
    if S::FILLS {
        say(reader.payload(), &point, context, scratch, sink);
    }
    Ok(())
}

#[inline]
fn read_point<'a, S: RecordSink>(
    reader: &mut Reader<'a>,
    kind: MetricType,
    scratch: &mut Scratch,
) -> Result<Point<'a>, DecodeError> {
    let mut point = Point {
        start: b"0",
        time: b"0",
        flags: b"0",
        number: Number::None,
        count: b"0",
        sum: None,
        min: None,
        max: None,
        scale: b"0",
        zero_count: b"0",
        zero_threshold: b"0",
        positive_offset: b"0",
        negative_offset: b"0",
        attributes: None,
        attributes_end: 0,
        exemplars: None,
        exemplar_count: 0,
        bound_count: 0,
        count_count: 0,
        list_count_max: 0,
        value_count: 0,
        is_consistent: true,
    };
    let mut is_consistent = true;
    let (mut longest, mut values) = (0, 0);
    members(reader, |reader, field: PointField| {
        if !field.is_of(kind) {
            // A key that this kind of point does not have is as unknown as any other.
            reader.check_value(0)?;
            return Ok(());
        }
        match field {
            PointField::Start => point.start = reader.number()?,
            PointField::Time => point.time = reader.number()?,
            PointField::AsDouble => point.number = Number::Double(reader.number()?),
            PointField::AsInt | PointField::Value => point.number = Number::Int(reader.number()?),
            PointField::Flags => point.flags = reader.number()?,
            PointField::Count => {
                point.count = reader.number()?;
                is_consistent &= is_count(point.count);
            }
            PointField::Sum => point.sum = Some(reader.number()?),
            PointField::Min => point.min = Some(reader.number()?),
            PointField::Max => point.max = Some(reader.number()?),
            PointField::Scale => point.scale = reader.number()?,
            PointField::ZeroCount => {
                point.zero_count = reader.number()?;
                is_consistent &= is_count(point.zero_count);
            }
            PointField::ZeroThreshold => point.zero_threshold = reader.number()?,
            PointField::Positive | PointField::Negative => {
                let is_positive = matches!(field, PointField::Positive);
                let counts =
                    if is_positive { &mut scratch.counts } else { &mut scratch.negative_counts };
                let counts = S::FILLS.then_some(counts);
                let (offset, found) = read_buckets(reader, counts, &mut is_consistent)?;
                longest = longest.max(found);
                values += found;
                if is_positive {
                    point.positive_offset = offset;
                } else {
                    point.negative_offset = offset;
                }
            }
            PointField::Attributes => {
                point.attributes = attributes(reader, field.name())?;
                point.attributes_end = reader.place();
            }
            PointField::Exemplars => {
                point.exemplar_count = 0;
                point.exemplars = each(reader, field.name(), |reader| {
                    point.exemplar_count += 1;
                    check_exemplar(reader)
                })?;
            }
            PointField::Bounds => {
                let mut before = f64::NEG_INFINITY;
                let mut is_first = true;
                let into = S::FILLS.then_some(&mut scratch.bounds);
                point.bound_count = numbers(reader, field.name(), into, double, |text| {
                    let bound = double(text);
                    let rises = before < bound || std::mem::take(&mut is_first) && !bound.is_nan();
                    is_consistent &= rises;
                    is_first = false;
                    before = bound;
                })?;
            }
            PointField::Counts => {
                let into = S::FILLS.then_some(&mut scratch.counts);
                point.count_count = numbers(reader, field.name(), into, count, |text| {
                    is_consistent &= is_count(text);
                })?;
            }
            PointField::Quantiles => {
                scratch.quantiles.clear();
                let mut found = 0;
                each(reader, field.name(), |reader| {
                    let pair = read_quantile(reader)?;
                    found += 1;
                    if S::FILLS && found <= limits::HISTOGRAM_BUCKET_COUNT_MAX {
                        scratch.quantiles.push((double(pair.0), double(pair.1)));
                    }
                    Ok(())
                })?;
                longest = longest.max(found);
                values += 2 * found;
            }
        }
        Ok(())
    })?;
    point.value_count = values + point.bound_count + point.count_count;
    point.list_count_max = longest.max(point.bound_count).max(point.count_count);
    point.is_consistent = is_consistent;
    Ok(point)
}

/// Reads ExponentialHistogramDataPoint.Buckets; answers the offset.
fn read_buckets<'a>(
    reader: &mut Reader<'a>,
    mut counts: Option<&mut Vec<f64>>,
    is_consistent: &mut bool,
) -> Result<(&'a [u8], usize), DecodeError> {
    let mut offset: &[u8] = b"0";
    let mut found = 0;
    if let Some(counts) = counts.as_deref_mut() {
        counts.clear();
    }
    members(reader, |reader, field| {
        match field {
            BucketsField::Offset => offset = reader.number()?,
            BucketsField::Counts => {
                found = numbers(reader, field.name(), counts.as_deref_mut(), count, |text| {
                    *is_consistent &= is_count(text);
                })?;
            }
        }
        Ok(())
    })?;
    Ok((offset, found))
}

fn read_quantile<'a>(reader: &mut Reader<'a>) -> Result<(&'a [u8], &'a [u8]), DecodeError> {
    let mut pair: (&[u8], &[u8]) = (b"0", b"0");
    members(reader, |reader, field| {
        match field {
            QuantileField::Quantile => pair.0 = reader.number()?,
            QuantileField::Value => pair.1 = reader.number()?,
        }
        Ok(())
    })?;
    Ok(pair)
}

fn check_exemplar(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    members(reader, |reader, field| {
        match field {
            ExemplarField::Time
            | ExemplarField::AsDouble
            | ExemplarField::AsInt
            | ExemplarField::Value => {
                reader.number()?;
            }
            ExemplarField::SpanId | ExemplarField::TraceId => {
                reader.string()?;
            }
            ExemplarField::Attributes => {
                attributes(reader, field.name())?;
            }
        }
        Ok(())
    })
}

/// Says the series of a point, the point, and its exemplars.
fn say<S: RecordSink>(
    payload: &[u8],
    point: &Point<'_>,
    context: &Context<'_>,
    scratch: &Scratch,
    sink: &mut S,
) {
    let time_nanos = first_known([unsigned(point.time), context.arrival_nanos, 0]);
    let start_time_nanos = first_known([unsigned(point.start), 0, 0]);
    let flags = unsigned32(point.flags);
    sink.series(&Series {
        identity: Identity::Full,
        name: context.name,
        metric_type: context.metric_type,
        unit: context.unit,
        description: context.description,
        temporality: context.temporality,
        is_monotonic: context.is_monotonic,
        labels: &Pairs { payload, list: point.attributes },
        raw: None,
    });
    let kind = match context.metric_type {
        MetricType::Histogram => HistogramKind::Classic,
        MetricType::ExponentialHistogram => HistogramKind::Exponential,
        MetricType::Summary => HistogramKind::Summary,
        _ => {
            let (mut value, mut value_int) = point.number.read();
            if flags & NO_RECORDED_VALUE != 0 {
                (value, value_int) = (f64::from_bits(STALE), None);
            }
            sink.sample(&Sample { time_nanos, value, value_int, start_time_nanos, flags });
            sink.keep();
            return say_exemplars(payload, point.exemplars, time_nanos, sink);
        }
    };
    let none = HistogramNothing::default();
    let is = |wanted: HistogramKind| kind == wanted;
    let (classic, exponential) = (is(HistogramKind::Classic), is(HistogramKind::Exponential));
    sink.histogram(&Histogram {
        kind,
        time_nanos,
        start_time_nanos,
        flags,
        count: count(point.count),
        sum: match point.sum {
            // A summary's sum has no presence.
            None if is(HistogramKind::Summary) => Some(0.0),
            sum => sum.map(double),
        },
        min: point.min.map(double),
        max: point.max.map(double),
        bounds: if classic { &scratch.bounds } else { &none.numbers },
        bucket_counts: if classic { &scratch.counts } else { &none.numbers },
        scale: if exponential { signed32(point.scale) } else { 0 },
        zero_threshold: if exponential { double(point.zero_threshold) } else { 0.0 },
        zero_count: if exponential { count(point.zero_count) } else { 0.0 },
        positive_offset: if exponential { signed32(point.positive_offset) } else { 0 },
        positive_counts: if exponential { &scratch.counts } else { &none.numbers },
        negative_offset: if exponential { signed32(point.negative_offset) } else { 0 },
        negative_counts: if exponential { &scratch.negative_counts } else { &none.numbers },
        custom_bounds: &none.numbers,
        quantiles: if is(HistogramKind::Summary) { &scratch.quantiles } else { &none.pairs },
        reset_hint: 0,
    });
    sink.keep();
    if !is(HistogramKind::Summary) {
        say_exemplars(payload, point.exemplars, time_nanos, sink);
    }
}

/// Lists that a kind of point does not have.
#[derive(Default)]
struct HistogramNothing {
    numbers: [f64; 0],
    pairs: [(f64, f64); 0],
}

fn say_exemplars<S: RecordSink>(
    payload: &[u8],
    list: Option<usize>,
    point_time_nanos: i64,
    sink: &mut S,
) {
    each_again(payload, list, |reader| {
        if reader.take_null()? {
            return Ok(());
        }
        let mut time: &[u8] = b"0";
        let mut number = Number::None;
        let mut trace_id = Str::default();
        let mut span_id = Str::default();
        let mut list = None;
        members_again(reader, |reader, field| {
            match field {
                ExemplarField::Time => time = reader.number()?,
                ExemplarField::AsDouble => number = Number::Double(reader.number()?),
                ExemplarField::AsInt | ExemplarField::Value => {
                    number = Number::Int(reader.number()?);
                }
                ExemplarField::SpanId => span_id = reader.string()?,
                ExemplarField::TraceId => trace_id = reader.string()?,
                ExemplarField::Attributes => {
                    list = Some(reader.place());
                    reader.pass_value()?;
                }
            }
            Ok(())
        })?;
        let point_time = u64::try_from(point_time_nanos).unwrap_or(0);
        sink.exemplar(&Exemplar {
            time_nanos: first_known([unsigned(time), point_time, 0]),
            value: number.read().0,
            trace_id: id(trace_id),
            span_id: id(span_id),
            attributes: &Pairs { payload, list },
        });
        sink.keep();
        Ok(())
    });
}
