//! `prometheus.WriteRequest` (remote write 1.0, with exemplars, histograms and metadata as senders
//! have added them since).
//!
//! A sender makes one TimeSeries of each sample, so a series' labels are the hot path of the whole
//! protocol; see `labels`. Unknown fields are passed over: Cortex numbers a source 2 in the request,
//! VictoriaMetrics account and project 11 and 12 in metadata.
#![deny(clippy::indexing_slicing)]

use super::Scratch;
use super::histogram::{self, Rules};
use super::labels::{self, ExemplarIds, LABELS, Leading, OfExemplar, OnWire, Sorted, check_text};
use crate::batch::RecordSink;
use crate::batch::record::{
    Attributes, Exemplar, Identity, Metadata, MetricType, Sample, Series, Temporality, Text,
};
use crate::decode::wire::protobuf::{FIXED64, Known, LENGTH, Reader, VARINT, WireError, tag};
use crate::decode::{DecodeError, Fault, Verdict};

const TIMESERIES: u32 = tag(1, LENGTH);
const METADATA: u32 = tag(3, LENGTH);
const SYMBOLS_OF_2: u32 = tag(4, LENGTH);
const SERIES_OF_2: u32 = tag(5, LENGTH);
const WRITE_REQUEST: Known = Known::fields(&[1, 3]);

const SAMPLES: u32 = tag(2, LENGTH);
const EXEMPLARS: u32 = tag(3, LENGTH);
const HISTOGRAMS: u32 = tag(4, LENGTH);
const TIME_SERIES: Known = Known::fields(&[1, 2, 3, 4]);

const SAMPLE_VALUE: u32 = tag(1, FIXED64);
const SAMPLE_TIMESTAMP: u32 = tag(2, VARINT);
const SAMPLE: Known = Known::fields(&[1, 2]);

const EXEMPLAR_VALUE: u32 = tag(2, FIXED64);
const EXEMPLAR_TIMESTAMP: u32 = tag(3, VARINT);
const EXEMPLAR: Known = Known::fields(&[1, 2, 3]);

const METADATA_TYPE: u32 = tag(1, VARINT);
const METADATA_FAMILY: u32 = tag(2, LENGTH);
const METADATA_HELP: u32 = tag(4, LENGTH);
const METADATA_UNIT: u32 = tag(5, LENGTH);
const METRIC_METADATA: Known = Known::fields(&[1, 2, 4, 5]);

const NANOS_PER_MILLI: i64 = 1_000_000;

pub fn decode<S: RecordSink>(
    payload: &[u8],
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<Verdict, DecodeError> {
    let pairs = scratch.labels.lend();
    let mut walk =
        Walk { sink, verdict: Verdict::default(), pairs, scratch: &mut scratch.histogram };
    let result = walk.write_request(Reader::new(payload));
    let Walk { verdict, pairs, .. } = walk;
    scratch.labels.restore(pairs);
    result.map(|()| verdict)
}

/// One walk over one payload.
struct Walk<'a, 's, S> {
    sink: &'s mut S,
    verdict: Verdict,
    /// Labels of a series whose wire order is not theirs.
    pairs: Vec<(Text<'a>, Text<'a>)>,
    scratch: &'s mut histogram::Scratch,
}

impl<'a, S: RecordSink> Walk<'a, '_, S> {
    fn write_request(&mut self, mut request: Reader<'a>) -> Result<(), DecodeError> {
        let mut series_index = 0;
        let mut metadata_index = 0;
        while let Some(tag) = request.tag()? {
            match tag {
                TIMESERIES => {
                    let series = request.message()?;
                    self.time_series(series)
                        .map_err(|error| error.within("timeseries", Some(series_index)))?;
                    series_index += 1;
                }
                METADATA => {
                    let metadata = request.message()?;
                    self.metadata(metadata)
                        .map_err(|error| error.within("metadata", Some(metadata_index)))?;
                    metadata_index += 1;
                }
                // What a 2.0 message has; passed over, all of it would be lost with a success.
                SYMBOLS_OF_2 | SERIES_OF_2 => {
                    return Err(DecodeError::at(Fault::RemoteWriteIs2, request.offset()));
                }
                other => request.skip(other, WRITE_REQUEST)?,
            }
        }
        Ok(())
    }

    #[inline]
    fn time_series(&mut self, message: Reader<'a>) -> Result<(), DecodeError> {
        let mut rest = message;
        let Some(Leading { region, metric_name }) = labels::read_leading(&mut rest)? else {
            return self.time_series_out_of_order(message);
        };
        if holds_label(rest)? {
            return self.time_series_out_of_order(message);
        }
        labels::check_utf8(&message, region)?;
        let labels = OnWire(region);
        let series = series(Text(metric_name), &labels, Some(region), &message)?;
        self.records(rest, &series)
    }

    #[inline(never)]
    fn time_series_out_of_order(&mut self, message: Reader<'a>) -> Result<(), DecodeError> {
        let mut pairs = std::mem::take(&mut self.pairs);
        let result = labels::collect(message, &mut pairs).and_then(|name| {
            let labels = Sorted(&pairs);
            let series = series(name, &labels, None, &message)?;
            self.records(message, &series)
        });
        self.pairs = pairs;
        result
    }

    /// Samples, exemplars and histograms in wire order; labels were read before. A series that has
    /// none of them is not said.
    #[inline]
    fn records(&mut self, mut message: Reader<'a>, series: &Series<'_>) -> Result<(), DecodeError> {
        let mut is_said = false;
        let mut say = |sink: &mut S| {
            if !std::mem::replace(&mut is_said, true) {
                sink.series(series);
            }
        };
        let mut sample_index = 0;
        let mut exemplar_index = 0;
        let mut histogram_index = 0;
        while let Some(tag) = message.tag()? {
            match tag {
                SAMPLES => {
                    let at = message.message()?;
                    let sample = read_sample(at).map_err(|error| {
                        DecodeError::from(error).within("samples", Some(sample_index))
                    })?;
                    if is_out_of_range(sample.time_nanos) {
                        return Err(out_of_range(&at).within("samples", Some(sample_index)));
                    }
                    say(self.sink);
                    self.sink.sample(&sample);
                    self.sink.keep();
                    self.verdict.samples += 1;
                    sample_index += 1;
                }
                EXEMPLARS => {
                    let exemplar = message.message()?;
                    say(self.sink);
                    self.exemplar(exemplar)
                        .map_err(|error| error.within("exemplars", Some(exemplar_index)))?;
                    exemplar_index += 1;
                }
                HISTOGRAMS => {
                    let at = message.message()?;
                    say(self.sink);
                    let histogram =
                        histogram::read(at, self.scratch, Rules::VERSION_1, S::FILLS)
                            .map_err(|error| error.within("histograms", Some(histogram_index)))?;
                    if is_out_of_range(histogram.time_nanos) {
                        return Err(out_of_range(&at).within("histograms", Some(histogram_index)));
                    }
                    self.sink.histogram(&histogram);
                    self.sink.keep();
                    self.verdict.values += self.scratch.value_count();
                    self.verdict.histograms += 1;
                    histogram_index += 1;
                }
                LABELS => drop(message.bytes()?),
                other => message.skip(other, TIME_SERIES)?,
            }
        }
        Ok(())
    }

    fn exemplar(&mut self, message: Reader<'a>) -> Result<(), DecodeError> {
        let mut exemplar = message;
        let mut ids = ExemplarIds::default();
        let mut value = 0.0;
        let mut timestamp = 0;
        let mut label_index = 0;
        while let Some(tag) = exemplar.tag()? {
            match tag {
                LABELS => {
                    ids.read_label(exemplar.message()?).map_err(|error| {
                        DecodeError::from(error).within("labels", Some(label_index))
                    })?;
                    label_index += 1;
                }
                EXEMPLAR_VALUE => value = exemplar.double()?,
                EXEMPLAR_TIMESTAMP => timestamp = exemplar.int64()?,
                other => exemplar.skip(other, EXEMPLAR)?,
            }
        }
        if is_out_of_range(nanos(timestamp)) {
            return Err(out_of_range(&message));
        }
        let attributes = OfExemplar { message, ids };
        self.sink.exemplar(&Exemplar {
            time_nanos: nanos(timestamp),
            value,
            trace_id: ids.trace_id,
            span_id: ids.span_id,
            attributes: &attributes,
        });
        self.sink.keep();
        self.verdict.exemplars += 1;
        Ok(())
    }

    /// One family's metadata. Some senders write empty messages: they say nothing of no family.
    fn metadata(&mut self, mut message: Reader<'a>) -> Result<(), DecodeError> {
        let mut metric_type = MetricType::Unknown;
        let mut family = Text::EMPTY;
        let mut help = Text::EMPTY;
        let mut unit = Text::EMPTY;
        while let Some(tag) = message.tag()? {
            match tag {
                METADATA_TYPE => metric_type = metric_type_of(message.int32()?),
                METADATA_FAMILY => family = text(&mut message, "metric_family_name")?,
                METADATA_HELP => help = text(&mut message, "help")?,
                METADATA_UNIT => unit = text(&mut message, "unit")?,
                other => message.skip(other, METRIC_METADATA)?,
            }
        }
        if family.is_empty() {
            return Ok(());
        }
        self.sink.metadata(&Metadata { family, metric_type, unit, help });
        self.sink.keep();
        self.verdict.metadata += 1;
        Ok(())
    }
}

/// Whether a label stands behind the leading ones, which makes them not all.
#[inline]
fn holds_label(mut rest: Reader<'_>) -> Result<bool, WireError> {
    // One sample and nothing behind it is what senders write.
    if let [0x12, length, sample @ ..] = rest.rest()
        && usize::from(*length) == sample.len()
        && *length < 0x80
    {
        return Ok(false);
    }
    while let Some(tag) = rest.tag()? {
        match tag {
            LABELS => return Ok(true),
            SAMPLES | EXEMPLARS | HISTOGRAMS => drop(rest.bytes()?),
            other => rest.skip(other, TIME_SERIES)?,
        }
    }
    Ok(false)
}

#[inline]
fn series<'l>(
    name: Text<'l>,
    labels: &'l dyn Attributes,
    raw: Option<&'l [u8]>,
    at: &Reader<'_>,
) -> Result<Series<'l>, DecodeError> {
    if name.is_empty() {
        return Err(at.fault(Fault::MetricNameMissing).into());
    }
    Ok(Series {
        identity: Identity::Labels,
        name,
        metric_type: MetricType::Unknown,
        unit: Text::EMPTY,
        description: Text::EMPTY,
        temporality: Temporality::Unspecified,
        is_monotonic: false,
        labels,
        raw,
    })
}

#[inline]
fn read_sample(mut message: Reader<'_>) -> Result<Sample, WireError> {
    let mut value = 0.0;
    let mut timestamp = 0;
    while let Some(tag) = message.tag()? {
        match tag {
            SAMPLE_VALUE => value = message.double()?,
            SAMPLE_TIMESTAMP => timestamp = message.int64()?,
            other => message.skip(other, SAMPLE)?,
        }
    }
    Ok(Sample {
        time_nanos: nanos(timestamp),
        value,
        value_int: None,
        start_time_nanos: 0,
        flags: 0,
    })
}

/// Milliseconds as nanoseconds; times outside the years 1677 to 2262 stop at their end, which
/// [`is_out_of_range`] tells. Kept there, a record would have a time that nobody sent: in 2.0 it is rejected;
/// in 1.0, which knows no refusing of one record, the body is, as Prometheus does.
#[inline]
pub fn nanos(milliseconds: i64) -> i64 {
    milliseconds.saturating_mul(NANOS_PER_MILLI)
}

/// Whether [`nanos`] had to stop at an end of its range: no number of milliseconds is one of them.
#[inline]
pub const fn is_out_of_range(time_nanos: i64) -> bool {
    time_nanos == i64::MIN || time_nanos == i64::MAX
}

#[cold]
fn out_of_range(at: &Reader<'_>) -> DecodeError {
    DecodeError::from(at.fault(Fault::TimeOutOfRange)).within("timestamp", None)
}

fn text<'a>(message: &mut Reader<'a>, field: &'static str) -> Result<Text<'a>, DecodeError> {
    let text = message.message()?;
    check_text(&text).map_err(|error| DecodeError::from(error).within(field, None))?;
    Ok(Text(text.rest()))
}

pub fn metric_type_of(number: i32) -> MetricType {
    match number {
        1 => MetricType::Counter,
        2 => MetricType::Gauge,
        3 => MetricType::Histogram,
        4 => MetricType::GaugeHistogram,
        5 => MetricType::Summary,
        6 => MetricType::Info,
        7 => MetricType::StateSet,
        _ => MetricType::Unknown,
    }
}
