//! `io.prometheus.write.v2.Request` (remote write 2.0).
//!
//! Place: under `decode`, beside `v1`. Symbols may stand behind the series that refer to them, so the
//! request is walked twice: for its table, then for its series; and each series twice as well, as its
//! labels, metadata and time of creation may stand behind its records.
//!
//! ```text
//! fault of            answers with
//! encoding, symbols,  the whole body refused
//! references
//! a series            each of its records rejected, the rest kept: no name, a name empty or twice,
//!                     samples beside histograms
//! a record            that one rejected: a histogram that contradicts itself, a time out of range, an
//!                     exemplar without a time
//! ```
//!
//! A record that is rejected is still walked: a fault of its encoding refuses the body.
//! Metadata rides along with series. It is said to a sink that fills, and counted nowhere.
#![deny(clippy::indexing_slicing)]

use super::Scratch;
use super::histogram::{self, Rules};
use super::labels::{METRIC_NAME, RawLabels};
use super::symbols::{
    Checked, ExemplarIds, Names, OfExemplar, Ordered, PACKED_REFS, SINGLE_REF, Symbols, Table,
};
use super::v1::{is_out_of_range, metric_type_of, nanos};
use crate::batch::record::{
    Attributes, Exemplar, Identity, Metadata, MetricType, Sample, Series, Temporality, Text,
};
use crate::batch::{RecordSink, RejectCause};
use crate::decode::wire::protobuf::{FIXED64, Known, LENGTH, Reader, VARINT, WireError, tag};
use crate::decode::{DecodeError, Fault, Verdict};
use crate::limits;

const SYMBOLS: u32 = tag(4, LENGTH);
const TIMESERIES: u32 = tag(5, LENGTH);
const REQUEST: Known = Known::fields(&[4, 5]);
/// What a 1.0 message has in their place.
const SERIES_OF_1: u32 = tag(1, LENGTH);
const METADATA_OF_1: u32 = tag(3, LENGTH);

const SAMPLES: u32 = tag(2, LENGTH);
const HISTOGRAMS: u32 = tag(3, LENGTH);
const EXEMPLARS: u32 = tag(4, LENGTH);
const METADATA: u32 = tag(5, LENGTH);
/// Up to the third release candidate; reserved since. In another form it is passed over.
const CREATED_TIMESTAMP: u32 = tag(6, VARINT);
const TIME_SERIES: Known = Known::fields(&[1, 2, 3, 4, 5]);

const VALUE: u32 = tag(1, FIXED64);
const TIMESTAMP: u32 = tag(2, VARINT);
const START_TIMESTAMP: u32 = tag(3, VARINT);
const SAMPLE: Known = Known::fields(&[1, 2, 3]);

const EXEMPLAR_VALUE: u32 = tag(2, FIXED64);
const EXEMPLAR_TIMESTAMP: u32 = tag(3, VARINT);
const EXEMPLAR: Known = Known::fields(&[1, 2, 3]);

const METADATA_TYPE: u32 = tag(1, VARINT);
const METADATA_HELP: u32 = tag(3, VARINT);
const METADATA_UNIT: u32 = tag(4, VARINT);
const METADATA_FIELDS: Known = Known::fields(&[1, 3, 4]);

pub fn decode<S: RecordSink>(
    payload: &[u8],
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<Verdict, DecodeError> {
    read_table(payload, &mut scratch.table)?;
    let pairs = scratch.labels.lend();
    if S::FILLS {
        scratch.said.clear();
    }
    let mut walk = Walk {
        sink,
        verdict: Verdict::default(),
        symbols: scratch.table.symbols(payload),
        pair_count: 0,
        names: Names::new(),
        pairs,
        raw: &mut scratch.raw,
        histogram: &mut scratch.histogram,
        said: &mut scratch.said,
    };
    let request = Reader::new(payload);
    let result = walk.request(request).and_then(|()| walk.weigh_labels(request));
    let Walk { verdict, pairs, .. } = walk;
    scratch.labels.restore(pairs);
    result.map(|()| verdict)
}

/// The first walk: symbols, and every other field passed over.
fn read_table(payload: &[u8], table: &mut Table) -> Result<(), DecodeError> {
    table.clear();
    let mut request = Reader::new(payload);
    loop {
        table.read_run(&mut request)?;
        pass_series(&mut request);
        match request.tag()? {
            None => return Ok(()),
            Some(SYMBOLS) => table.read_one(request.message()?)?,
            Some(TIMESERIES) => drop(request.bytes()?),
            // Reserved so that the versions can be told apart.
            Some(SERIES_OF_1 | METADATA_OF_1) => {
                return Err(DecodeError::at(Fault::RemoteWriteIs1, request.offset()));
            }
            Some(other) => request.skip(other, REQUEST)?,
        }
    }
}

/// Passes over series shorter than 128 bytes.
#[inline(always)]
fn pass_series(request: &mut Reader<'_>) {
    let mut rest = request.rest();
    while let [0x2a, length @ 0..0x80, series @ ..] = rest
        && let Some(behind) = series.get(usize::from(*length)..)
    {
        rest = behind;
    }
    request.continue_at(rest);
}

/// One walk over one payload.
struct Walk<'a, 's, S> {
    sink: &'s mut S,
    verdict: Verdict,
    symbols: Symbols<'a>,
    /// Pairs of symbols that series are stored with.
    pair_count: u64,
    names: Names,
    /// Labels of a series whose wire order is not theirs.
    pairs: Vec<(Text<'a>, Text<'a>)>,
    raw: &'s mut RawLabels,
    histogram: &'s mut histogram::Scratch,
    said: &'s mut Said,
}

/// What a series holds beside its records.
#[derive(Clone, Copy, Default)]
struct Survey<'a> {
    /// Its labels, if they stand in one packed run.
    run: Option<Reader<'a>>,
    /// There are several runs, or single references.
    is_scattered: bool,
    has_samples: bool,
    has_histograms: bool,
    has_exemplars: bool,
    metadata: MetadataRefs,
    created_timestamp: i64,
}

/// A series as senders write nearly all: labels in one run, one sample, metadata or none, nothing else.
struct Plain<'a> {
    run: Reader<'a>,
    sample: Reader<'a>,
    metadata: Option<Reader<'a>>,
}

impl<'a> Plain<'a> {
    #[inline(always)]
    fn read(mut series: Reader<'a>) -> Option<Self> {
        let field = |series: &mut Reader<'a>, wanted| match series.tag() {
            Ok(Some(tag)) if tag == wanted => series.message().ok(),
            _ => None,
        };
        let run = field(&mut series, PACKED_REFS)?;
        let sample = field(&mut series, SAMPLES)?;
        let metadata = match series.is_empty() {
            true => None,
            false => Some(field(&mut series, METADATA)?),
        };
        series.is_empty().then_some(Self { run, sample, metadata })
    }
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct MetadataRefs {
    metric_type: i32,
    help: u32,
    unit: u32,
}

/// What the records of a series need of it.
#[derive(Clone, Copy)]
struct Owner<'l> {
    series: Result<Series<'l>, RejectCause>,
    /// Where the series stands.
    offset: u64,
    created_timestamp: i64,
}

impl<'a, S: RecordSink> Walk<'a, '_, S> {
    fn request(&mut self, mut request: Reader<'a>) -> Result<(), DecodeError> {
        let mut series_index = 0;
        while let Some(tag) = request.tag()? {
            match tag {
                TIMESERIES => {
                    let series = request.message()?;
                    self.time_series(series)
                        .map_err(|error| error.within("timeseries", Some(series_index)))?;
                    series_index += 1;
                }
                SYMBOLS => drop(request.bytes()?),
                other => request.skip(other, REQUEST)?,
            }
        }
        Ok(())
    }

    #[inline]
    fn time_series(&mut self, message: Reader<'a>) -> Result<(), DecodeError> {
        // A sink that fills hears metadata first, and of the labels what only a second look gives.
        if !S::FILLS
            && let Some(plain) = Plain::read(message)
        {
            return self.plain_series(message, plain);
        }
        self.any_series(message)
    }

    /// A series in the form that senders write, to a sink that does not fill: walked once.
    #[inline]
    fn plain_series(&mut self, message: Reader<'a>, plain: Plain<'a>) -> Result<(), DecodeError> {
        let Plain { run, sample, metadata } = plain;
        let mut refs = MetadataRefs::default();
        if let Some(metadata) = metadata {
            read_metadata(metadata, &self.symbols, &mut refs)
                .map_err(|error| error.within("metadata", None))?;
        }
        let checked = self.symbols.check_run(run, &mut self.names)?;
        let name = self.symbols.text(checked.metric_name);
        let is_over_limit = checked.count as usize > limits::LABEL_COUNT_MAX;
        if checked.unordered || is_over_limit || checked.empty_name || name.is_empty() {
            return self.any_series(message);
        }
        self.pair_count += u64::from(checked.count);
        self.pair_count += u64::from(refs != MetadataRefs::default());
        let labels = Ordered { symbols: self.symbols, run };
        let owner = Owner {
            series: Ok(series(name, &labels, None)),
            offset: message.offset(),
            created_timestamp: 0,
        };
        self.sample(sample, &owner, &mut false)
            .map_err(|error| DecodeError::from(error).within("samples", Some(0)))
    }

    #[inline(never)]
    fn any_series(&mut self, message: Reader<'a>) -> Result<(), DecodeError> {
        let survey = survey(message, &self.symbols)?;
        if survey.is_scattered {
            return self.time_series_out_of_order(message, &survey);
        }
        let run = survey.run.unwrap_or(Reader::new(&[]));
        let checked = self.symbols.check_run(run, &mut self.names)?;
        if checked.unordered {
            return self.time_series_out_of_order(message, &survey);
        }
        self.pair_count += u64::from(checked.count);
        let labels = Ordered { symbols: self.symbols, run };
        let name = self.symbols.text(checked.metric_name);
        let is_over_limit = checked.count as usize > limits::LABEL_COUNT_MAX;
        match refusal(&survey, is_over_limit, checked.empty_name, false, name) {
            None => self.accepted(message, &survey, name, &labels),
            Some(cause) => self.records(message, &survey, Err(cause)),
        }
    }

    #[inline(never)]
    fn time_series_out_of_order(
        &mut self,
        message: Reader<'a>,
        survey: &Survey<'a>,
    ) -> Result<(), DecodeError> {
        let mut pairs = std::mem::take(&mut self.pairs);
        pairs.clear();
        let symbols = self.symbols;
        let checked = symbols.check_scattered(message, |name, value| {
            // A series with more is rejected below.
            if pairs.len() < limits::LABEL_COUNT_MAX {
                pairs.push((symbols.text(name), symbols.text(value)));
            }
        });
        let result = checked.and_then(|checked| {
            self.pair_count += u64::from(checked.count);
            let is_over_limit = checked.count as usize > limits::LABEL_COUNT_MAX;
            pairs.sort_unstable_by_key(|pair| pair.0);
            let is_repeated =
                pairs.windows(2).any(|two| matches!(two, [left, right] if left.0 == right.0));
            let name = match pairs.binary_search_by_key(&METRIC_NAME, |pair| pair.0.0) {
                Ok(place) => pairs.remove(place).1,
                Err(_) => Text::EMPTY,
            };
            let labels = super::labels::Sorted(&pairs);
            match refusal(survey, is_over_limit, checked.empty_name, is_repeated, name) {
                None => self.accepted(message, survey, name, &labels),
                Some(cause) => self.records(message, survey, Err(cause)),
            }
        });
        self.pairs = pairs;
        result
    }

    /// Counts the bytes of symbols with each label that is one. A reference costs a byte and stands for
    /// a text of any length: where the longest would be too much everywhere, all are looked up.
    fn weigh_labels(&mut self, mut request: Reader<'a>) -> Result<(), DecodeError> {
        let size_max = u64::from(self.symbols.size_max);
        let bound = self.pair_count.saturating_mul(2 * size_max);
        if bound <= limits::PAYLOAD_SIZE_MAX as u64 {
            self.verdict.repeat(limits::size(bound), 1);
            return Ok(());
        }
        let mut series_index = 0;
        while let Some(tag) = request.tag()? {
            if tag != TIMESERIES {
                request.skip(tag, Known::fields(&[]))?;
                continue;
            }
            let series = request.message()?;
            let (size, _) = self
                .size_of_labels(series, |_, _| {})
                .map_err(|error| error.within("timeseries", Some(series_index)))?;
            let MetadataRefs { help, unit, .. } = survey(series, &self.symbols)?.metadata;
            let metadata = self.symbols.text(help).0.len() + self.symbols.text(unit).0.len();
            self.verdict.repeat(size + metadata, 1);
            series_index += 1;
        }
        Ok(())
    }

    /// Checks the labels of a series or an exemplar, and answers the bytes of their texts.
    fn size_of_labels(
        &self,
        message: Reader<'a>,
        mut pair: impl FnMut(Text<'a>, Text<'a>),
    ) -> Result<(usize, Checked), DecodeError> {
        let mut size = 0;
        let checked = self.symbols.check_scattered(message, |name, value| {
            let (name, value) = (self.symbols.text(name), self.symbols.text(value));
            size += name.0.len() + value.0.len();
            pair(name, value);
        })?;
        // One record cannot be parted when columns are full.
        if size > limits::PAYLOAD_SIZE_MAX {
            return Err(DecodeError::at(Fault::WeightOverLimit, message.offset()));
        }
        Ok((size, checked))
    }

    /// The records of a series that can be said.
    #[inline]
    fn accepted(
        &mut self,
        message: Reader<'a>,
        survey: &Survey<'a>,
        name: Text<'_>,
        labels: &dyn Attributes,
    ) -> Result<(), DecodeError> {
        if !S::FILLS || !(survey.has_samples || survey.has_histograms || survey.has_exemplars) {
            return self.records(message, survey, Ok(series(name, labels, None)));
        }
        let mut raw = std::mem::take(self.raw);
        let result =
            self.records(message, survey, Ok(series(name, labels, raw.write(name, labels))));
        *self.raw = raw;
        result
    }

    /// All that a series owns, in wire order, behind its metadata.
    #[inline]
    fn records(
        &mut self,
        mut message: Reader<'a>,
        survey: &Survey<'a>,
        series: Result<Series<'_>, RejectCause>,
    ) -> Result<(), DecodeError> {
        let owner =
            Owner { series, offset: message.offset(), created_timestamp: survey.created_timestamp };
        if let Ok(series) = &owner.series {
            // Help and unit are as large as a label.
            self.pair_count += u64::from(survey.metadata != MetadataRefs::default());
            if S::FILLS {
                self.metadata(series.name, survey);
            }
        } else if let Err(cause) = owner.series
            && !(survey.has_samples || survey.has_histograms || survey.has_exemplars)
        {
            self.reject(cause, owner.offset);
        }
        let mut is_said = false;
        let mut sample_index = 0;
        let mut histogram_index = 0;
        let mut exemplar_index = 0;
        while let Some(tag) = message.tag()? {
            match tag {
                SAMPLES => {
                    let sample = message.message()?;
                    self.sample(sample, &owner, &mut is_said).map_err(|error| {
                        DecodeError::from(error).within("samples", Some(sample_index))
                    })?;
                    sample_index += 1;
                }
                HISTOGRAMS => {
                    let histogram = message.message()?;
                    self.histogram(histogram, &owner, &mut is_said)
                        .map_err(|error| error.within("histograms", Some(histogram_index)))?;
                    histogram_index += 1;
                }
                EXEMPLARS => {
                    let exemplar = message.message()?;
                    self.exemplar(exemplar, &owner, &mut is_said)
                        .map_err(|error| error.within("exemplars", Some(exemplar_index)))?;
                    exemplar_index += 1;
                }
                PACKED_REFS | METADATA => drop(message.bytes()?),
                // The survey has looked at everything else.
                other => message.skip(other, Known::fields(&[]))?,
            }
        }
        Ok(())
    }

    #[cold]
    fn reject(&mut self, cause: RejectCause, offset: u64) {
        self.verdict.count_reject(cause, offset);
        self.sink.reject(cause);
    }

    /// Says the series in front of its first record, or why it cannot be said.
    #[inline]
    fn say(&mut self, owner: &Owner<'_>, is_said: &mut bool) -> Result<(), RejectCause> {
        let series = owner.series.as_ref().map_err(|cause| *cause)?;
        if !std::mem::replace(is_said, true) {
            self.sink.series(series);
        }
        Ok(())
    }

    #[inline]
    fn sample(
        &mut self,
        message: Reader<'a>,
        owner: &Owner<'_>,
        is_said: &mut bool,
    ) -> Result<(), WireError> {
        let mut sample = message;
        let mut value = 0.0;
        let mut timestamp = 0;
        let mut start_timestamp = 0;
        while let Some(tag) = sample.tag()? {
            match tag {
                VALUE => value = sample.double()?,
                TIMESTAMP => timestamp = sample.int64()?,
                START_TIMESTAMP => start_timestamp = sample.int64()?,
                other => sample.skip(other, SAMPLE)?,
            }
        }
        if start_timestamp == 0 {
            start_timestamp = owner.created_timestamp;
        }
        let time_nanos = nanos(timestamp);
        if is_out_of_range(time_nanos) && owner.series.is_ok() {
            self.reject(RejectCause::TimeOutOfRange, message.offset());
            return Ok(());
        }
        match self.say(owner, is_said) {
            Err(cause) => self.reject(cause, owner.offset),
            Ok(()) => {
                self.sink.sample(&Sample {
                    time_nanos,
                    value,
                    value_int: None,
                    start_time_nanos: nanos(start_timestamp),
                    flags: 0,
                });
                self.sink.keep();
                self.verdict.samples += 1;
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn histogram(
        &mut self,
        message: Reader<'a>,
        owner: &Owner<'_>,
        is_said: &mut bool,
    ) -> Result<(), DecodeError> {
        if let Err(cause) = owner.series {
            histogram::check_encoding(message)?;
            self.reject(cause, owner.offset);
            return Ok(());
        }
        let rules = Rules { version_2: true, start_timestamp: owner.created_timestamp };
        let refused = match histogram::read(message, self.histogram, rules, S::FILLS) {
            Ok(histogram) if is_out_of_range(histogram.time_nanos) => {
                (RejectCause::TimeOutOfRange, message.offset())
            }
            Ok(histogram) => {
                if let (Ok(series), false) = (&owner.series, std::mem::replace(is_said, true)) {
                    self.sink.series(series);
                }
                self.sink.histogram(&histogram);
                self.sink.keep();
                self.verdict.values += self.histogram.value_count();
                self.verdict.histograms += 1;
                return Ok(());
            }
            Err(error) => match histogram::reject_cause(error.fault) {
                None => return Err(error),
                Some(cause) => {
                    histogram::check_encoding(message)?;
                    (cause, error.offset)
                }
            },
        };
        self.reject(refused.0, refused.1);
        Ok(())
    }

    #[inline(never)]
    fn exemplar(
        &mut self,
        message: Reader<'a>,
        owner: &Owner<'_>,
        is_said: &mut bool,
    ) -> Result<(), DecodeError> {
        let mut exemplar = message;
        let mut value = 0.0;
        let mut timestamp = 0;
        while let Some(tag) = exemplar.tag()? {
            match tag {
                EXEMPLAR_VALUE => value = exemplar.double()?,
                EXEMPLAR_TIMESTAMP => timestamp = exemplar.int64()?,
                PACKED_REFS => drop(exemplar.bytes()?),
                SINGLE_REF => drop(exemplar.varint()?),
                other => exemplar.skip(other, EXEMPLAR)?,
            }
        }
        let symbols = self.symbols;
        let mut ids = ExemplarIds::default();
        let mut place = 0;
        let (size, checked) = self.size_of_labels(message, |name, value| {
            ids.read_label(place, name, value);
            place += 1;
        })?;
        self.verdict.repeat(size, 1);
        let time_nanos = nanos(timestamp);
        let refused = match owner.series {
            Err(cause) => Some((cause, owner.offset)),
            Ok(_) if checked.empty_name => Some((RejectCause::LabelNameEmpty, message.offset())),
            // A field that holds 0 is not sent; this one has to be.
            Ok(_) if timestamp == 0 => Some((RejectCause::ExemplarInvalid, message.offset())),
            Ok(_) if is_out_of_range(time_nanos) => {
                Some((RejectCause::TimeOutOfRange, message.offset()))
            }
            Ok(_) => None,
        };
        if let Some((cause, offset)) = refused {
            self.reject(cause, offset);
            return Ok(());
        }
        if self.say(owner, is_said).is_ok() {
            let attributes = OfExemplar { symbols, message, ids };
            self.sink.exemplar(&Exemplar {
                time_nanos,
                value,
                trace_id: ids.trace_id,
                span_id: ids.span_id,
                attributes: &attributes,
            });
            self.sink.keep();
            self.verdict.exemplars += 1;
        }
        Ok(())
    }

    /// What a series says of its family, unless it was said a moment ago.
    fn metadata(&mut self, name: Text<'_>, survey: &Survey<'_>) {
        let MetadataRefs { metric_type, help, unit } = survey.metadata;
        if survey.metadata == MetadataRefs::default() {
            return;
        }
        let metric_type = metric_type_of(metric_type);
        let (help_text, unit_text) = (self.symbols.text(help), self.symbols.text(unit));
        if metric_type == MetricType::Unknown && help_text.is_empty() && unit_text.is_empty() {
            return;
        }
        let family = if survey.has_histograms { name } else { family(name, metric_type) };
        if self.said.is_new(family, survey.metadata) {
            self.sink.metadata(&Metadata { family, metric_type, unit: unit_text, help: help_text });
            self.sink.keep();
        }
    }
}

/// Everything of a series but its records: the encoding of its own fields, its metadata.
#[inline]
fn survey<'a>(mut message: Reader<'a>, symbols: &Symbols<'_>) -> Result<Survey<'a>, DecodeError> {
    let mut survey = Survey::default();
    while let Some(tag) = message.tag()? {
        match tag {
            PACKED_REFS => {
                let run = message.message()?;
                survey.is_scattered |= survey.run.replace(run).is_some();
            }
            SINGLE_REF => {
                message.varint()?;
                survey.is_scattered = true;
            }
            SAMPLES => {
                message.message()?;
                survey.has_samples = true;
            }
            HISTOGRAMS => {
                message.message()?;
                survey.has_histograms = true;
            }
            EXEMPLARS => {
                message.message()?;
                survey.has_exemplars = true;
            }
            METADATA => read_metadata(message.message()?, symbols, &mut survey.metadata)
                .map_err(|error| error.within("metadata", None))?,
            CREATED_TIMESTAMP => survey.created_timestamp = message.int64()?,
            other => message.skip(other, TIME_SERIES)?,
        }
    }
    Ok(survey)
}

/// Of a message that comes in several pieces each field counts where it came last.
fn read_metadata(
    mut message: Reader<'_>,
    symbols: &Symbols<'_>,
    into: &mut MetadataRefs,
) -> Result<(), DecodeError> {
    let reference = |message: &mut Reader<'_>, field| {
        let at = *message;
        let reference = message.uint32()?;
        if symbols.holds(reference) || reference == 0 {
            return Ok(reference);
        }
        Err(DecodeError::from(at.fault(Fault::SymbolRefPastEnd)).within(field, None))
    };
    while let Some(tag) = message.tag()? {
        match tag {
            METADATA_TYPE => into.metric_type = message.int32()?,
            METADATA_HELP => into.help = reference(&mut message, "help_ref")?,
            METADATA_UNIT => into.unit = reference(&mut message, "unit_ref")?,
            other => message.skip(other, METADATA_FIELDS)?,
        }
    }
    Ok(())
}

/// Why a series is rejected with all that it owns.
#[inline]
fn refusal(
    survey: &Survey<'_>,
    is_over_limit: bool,
    empty_name: bool,
    is_repeated: bool,
    name: Text<'_>,
) -> Option<RejectCause> {
    if is_over_limit {
        Some(RejectCause::OverLimit)
    } else if empty_name {
        Some(RejectCause::LabelNameEmpty)
    } else if is_repeated {
        Some(RejectCause::LabelNameRepeated)
    } else if name.is_empty() {
        Some(RejectCause::MetricNameMissing)
    } else if survey.has_samples && survey.has_histograms {
        Some(RejectCause::SamplesBesideHistograms)
    } else {
        None
    }
}

#[inline]
const fn series<'l>(
    name: Text<'l>,
    labels: &'l dyn Attributes,
    raw: Option<&'l [u8]>,
) -> Series<'l> {
    Series {
        identity: Identity::Labels,
        name,
        metric_type: MetricType::Unknown,
        unit: Text::EMPTY,
        description: Text::EMPTY,
        temporality: Temporality::Unspecified,
        is_monotonic: false,
        labels,
        raw,
    }
}

/// The family that a classic histogram's or a summary's series belongs to. A counter's family is its
/// series' name, as in remote write 1.0.
fn family(name: Text<'_>, metric_type: MetricType) -> Text<'_> {
    let suffixes: &[&[u8]] = match metric_type {
        MetricType::Histogram => &[b"_bucket", b"_count", b"_sum", b"_created"],
        MetricType::GaugeHistogram => &[b"_bucket", b"_gcount", b"_gsum"],
        MetricType::Summary => &[b"_count", b"_sum", b"_created"],
        _ => &[],
    };
    let stripped = suffixes.iter().find_map(|suffix| name.0.strip_suffix(*suffix));
    Text(stripped.filter(|family| !family.is_empty()).unwrap_or(name.0))
}

/// What was said of families in this request: a table without chains, so that some may be said twice.
#[derive(Default)]
pub struct Said {
    slots: Vec<Option<(u64, MetadataRefs)>>,
}

impl Said {
    const SLOT_COUNT: u64 = 1024;

    fn clear(&mut self) {
        self.slots.clear();
    }

    /// Whether this was not the last thing said at its slot. Families are told apart by 64 bits.
    fn is_new(&mut self, family: Text<'_>, refs: MetadataRefs) -> bool {
        self.slots.resize(limits::size(Self::SLOT_COUNT), None);
        let hash = xxhash_rust::xxh3::xxh3_64(family.0);
        let slot = self.slots.get_mut(limits::size(hash % Self::SLOT_COUNT));
        slot.is_some_and(|slot| slot.replace((hash, refs)) != Some((hash, refs)))
    }
}
