//! `SketchPayload`: distributions as the Agent sends them, one exponential histogram a sketch.
//!
//! A sketch says no interval, so a histogram has no start. What its values say wrong rejects the sketch
//! alone. `distributions`, which Agents sent before they had sketches, are rejected: nothing that was
//! sent is lost without a word.
#![deny(clippy::indexing_slicing)]

use super::bins::{self, Keys, Layout};
use super::series::check_metadata;
use super::tags::Taken;
use super::{Scratch, point};
use crate::batch::record::{
    Histogram, HistogramKind, Identity, MetricType, Nothing, Series, Temporality, Text,
};
use crate::batch::{RecordSink, RejectCause};
use crate::decode::wire::protobuf::{
    FIXED64, Known, LENGTH, Occurrences, Reader, VARINT, WireError, tag,
};
use crate::decode::{DecodeError, Verdict};
use crate::limits;

const SKETCHES: u32 = tag(1, LENGTH);
/// Of the whole payload: names the sender, is not kept.
const COMMON: u32 = tag(2, LENGTH);
const PAYLOAD: Known = Known::fields(&[1, 2]);

const METRIC: u32 = tag(1, LENGTH);
const HOST: u32 = tag(2, LENGTH);
const DISTRIBUTIONS: u32 = tag(3, LENGTH);
const TAGS: u32 = tag(4, LENGTH);
const DOGSKETCHES: u32 = tag(7, LENGTH);
const METADATA: u32 = tag(8, LENGTH);
const SKETCH: Known = Known::fields(&[1, 2, 3, 4, 7, 8]);

const TIME: u32 = tag(1, VARINT);
const COUNT: u32 = tag(2, VARINT);
const MIN: u32 = tag(3, FIXED64);
const MAX: u32 = tag(4, FIXED64);
const AVERAGE: u32 = tag(5, FIXED64);
const SUM: u32 = tag(6, FIXED64);
const KEY: u32 = tag(7, VARINT);
const KEYS: u32 = tag(7, LENGTH);
const BIN_COUNT: u32 = tag(8, VARINT);
const BIN_COUNTS: u32 = tag(8, LENGTH);
const DOGSKETCH: Known = Known::fields(&[1, 2, 3, 4, 5, 6, 7, 8]);

pub fn decode<S: RecordSink>(
    payload: &[u8],
    arrival_nanos: i64,
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<Verdict, DecodeError> {
    let mut verdict = Verdict::default();
    let mut message = Reader::new(payload);
    let mut index = 0;
    while let Some(tag) = message.tag()? {
        match tag {
            SKETCHES => {
                let sketch = message.message()?;
                read(sketch, arrival_nanos, &mut verdict, scratch, sink)
                    .map_err(|error| error.within("sketches", Some(index)))?;
                index += 1;
            }
            COMMON => drop(message.bytes()?),
            other => message.skip(other, PAYLOAD)?,
        }
    }
    Ok(verdict)
}

fn read<S: RecordSink>(
    message: Reader<'_>,
    arrival_nanos: i64,
    verdict: &mut Verdict,
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<(), DecodeError> {
    let before = *verdict;
    let mut fields = message;
    let (mut metric, mut host) = (&[][..], &[][..]);
    let (mut index, mut distributions) = (0, 0);
    let mut taken = Taken::default();
    while let Some(tag) = fields.tag()? {
        match tag {
            METRIC => metric = fields.bytes()?,
            HOST => host = fields.bytes()?,
            DISTRIBUTIONS => {
                let distribution = fields.message()?;
                verdict.count_reject(RejectCause::DistributionNotTaken, distribution.offset());
                distributions += 1;
            }
            TAGS => taken.add(fields.bytes()?.len()),
            DOGSKETCHES => {
                let sketch = fields.message()?;
                let found = Sketch::read(sketch, |_| {}, |_| {})
                    .map_err(|error| DecodeError::from(error).within("dogsketches", Some(index)))?;
                match found.judge(arrival_nanos) {
                    Ok((_, layout)) => {
                        verdict.histograms += 1;
                        verdict.values += (layout.positive.count + layout.negative.count) as u64;
                    }
                    Err(cause) => verdict.count_reject(cause, sketch.offset()),
                }
                index += 1;
            }
            METADATA => {
                let metadata = fields.message()?;
                check_metadata(metadata)
                    .map_err(|error| DecodeError::from(error).within("metadata", None))?;
            }
            other => fields.skip(other, SKETCH)?,
        }
    }
    if let Some(cause) = taken.refusal(metric, host.len()) {
        *verdict = before;
        for _ in 0..index + distributions {
            verdict.count_reject(cause, message.offset());
            sink.reject(cause);
        }
    } else if S::FILLS {
        for _ in 0..distributions {
            sink.reject(RejectCause::DistributionNotTaken);
        }
        let has_histograms = verdict.histograms > before.histograms;
        if has_histograms {
            say_series(message, metric, host, scratch, sink);
        }
        for sketch in Occurrences::of(message.rest(), DOGSKETCHES >> 3) {
            say(Reader::new(sketch), arrival_nanos, scratch, sink)?;
        }
    }
    Ok(())
}

fn say_series<S: RecordSink>(
    message: Reader<'_>,
    metric: &[u8],
    host: &[u8],
    scratch: &mut Scratch,
    sink: &mut S,
) {
    let tags = &mut scratch.tags;
    tags.begin_series();
    tags.host(host);
    for tag in Occurrences::of(message.rest(), TAGS >> 3) {
        tags.tag(tag);
    }
    tags.say(
        &Series {
            identity: Identity::Full,
            name: Text(metric),
            metric_type: MetricType::ExponentialHistogram,
            unit: Text::EMPTY,
            description: Text::EMPTY,
            temporality: Temporality::Delta,
            is_monotonic: false,
            labels: &Nothing,
            raw: None,
        },
        sink,
    );
}

fn say<S: RecordSink>(
    message: Reader<'_>,
    arrival_nanos: i64,
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<(), WireError> {
    let bins = &mut scratch.bins;
    bins.clear();
    let (keys, counts) = (&mut bins.keys, &mut bins.counts);
    let sketch =
        Sketch::read(message, |key| push_bounded(keys, key), |count| push_bounded(counts, count))?;
    let (time_nanos, layout) = match sketch.judge(arrival_nanos) {
        Ok(judged) => judged,
        Err(cause) => {
            sink.reject(cause);
            return Ok(());
        }
    };
    bins.fill(&layout);
    sink.histogram(&Histogram {
        kind: HistogramKind::Exponential,
        time_nanos,
        start_time_nanos: 0,
        flags: 0,
        count: sketch.count as f64,
        sum: Some(sketch.sum),
        min: Some(sketch.min),
        max: Some(sketch.max),
        bounds: &[],
        bucket_counts: &[],
        scale: layout.scale,
        zero_threshold: bins::ZERO_THRESHOLD,
        zero_count: bins.zero_count,
        positive_offset: layout.positive.offset,
        positive_counts: &bins.positive,
        negative_offset: layout.negative.offset,
        negative_counts: &bins.negative,
        custom_bounds: &[],
        quantiles: &[],
        reset_hint: 0,
    });
    sink.keep();
    Ok(())
}

/// Lists past the limit are judged by their length and never said, so their ends need no room.
fn push_bounded<T>(list: &mut Vec<T>, element: T) {
    if list.len() < limits::SKETCH_BIN_COUNT_MAX {
        list.push(element);
    }
}

/// A Dogsketch, its bins apart.
struct Sketch {
    seconds: i64,
    count: i64,
    min: f64,
    max: f64,
    sum: f64,
    keys: Keys,
    key_count: usize,
    bin_count: usize,
}

impl Sketch {
    #[inline]
    fn read(
        mut message: Reader<'_>,
        mut key: impl FnMut(i32),
        mut count: impl FnMut(u32),
    ) -> Result<Self, WireError> {
        let mut sketch = Self {
            seconds: 0,
            count: 0,
            min: 0.0,
            max: 0.0,
            sum: 0.0,
            keys: Keys::EMPTY,
            key_count: 0,
            bin_count: 0,
        };
        let mut add_key = |sketch: &mut Self, found: i32| {
            sketch.key_count += 1;
            sketch.keys.add(found);
            key(found);
        };
        let mut add_count = |sketch: &mut Self, found: u32| {
            sketch.bin_count += 1;
            count(found);
        };
        while let Some(tag) = message.tag()? {
            match tag {
                TIME => sketch.seconds = message.int64()?,
                COUNT => sketch.count = message.int64()?,
                MIN => sketch.min = message.double()?,
                MAX => sketch.max = message.double()?,
                AVERAGE => drop(message.double()?),
                SUM => sketch.sum = message.double()?,
                KEYS => {
                    let mut keys = message.message()?;
                    while !keys.is_empty() {
                        add_key(&mut sketch, keys.sint32()?);
                    }
                }
                KEY => add_key(&mut sketch, message.sint32()?),
                BIN_COUNTS => {
                    let mut counts = message.message()?;
                    while !counts.is_empty() {
                        add_count(&mut sketch, counts.uint32()?);
                    }
                }
                BIN_COUNT => add_count(&mut sketch, message.uint32()?),
                other => message.skip(other, DOGSKETCH)?,
            }
        }
        Ok(sketch)
    }

    /// Time and buckets, or why there is no histogram.
    fn judge(&self, arrival_nanos: i64) -> Result<(i64, Layout), RejectCause> {
        let time_nanos = point::time(point::nanos(self.seconds), arrival_nanos)?;
        if self.key_count.max(self.bin_count) > limits::SKETCH_BIN_COUNT_MAX {
            return Err(RejectCause::OverLimit);
        }
        if self.key_count != self.bin_count {
            return Err(RejectCause::SketchBinsUneven);
        }
        if !self.keys.is_in_range {
            return Err(RejectCause::SketchKeyOutOfRange);
        }
        if self.count < 0 {
            return Err(RejectCause::SketchCountNegative);
        }
        Ok((time_nanos, self.keys.layout()))
    }
}
