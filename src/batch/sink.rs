//! The receiver that decoders push into, and the one that only counts.
//!
//! ```text
//! resource ─ scope ─┬─ log ─────────── keep | reject
//!                   ├─ span ────────── keep | reject
//!                   └─ series ─┬─ sample ──── keep | reject
//!                              ├─ histogram ─ keep | reject
//!                              └─ exemplar ── keep | reject
//! metadata ─────────────────────────────────── keep | reject
//! ```
//!
//! An owner is said before what it owns and stays until the next one of its kind. A record is open
//! from its call until `keep` or `reject`; the next record is not begun before. A `reject` with none
//! open stands for a record that could not be said: its series has no name, its value no meaning.

use super::record::{Exemplar, Histogram, Log, Metadata, Resource, Sample, Scope, Series, Span};

/// Why one record of an otherwise good body is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RejectCause {
    /// Not an object, or a value that cannot be a record.
    NotARecord,
    /// A record over its size, depth or node limit.
    OverLimit,
    /// A value that contradicts another, such as counts that do not add up.
    Inconsistent,
    /// An id of a wrong length where it is required.
    IdInvalid,
    /// A line of text without the metric's name.
    NameMissing,
    /// A line with two metric names.
    NameRepeated,
    /// A label without a value in double quotes.
    QuoteMissing,
    /// A string that its line ends in.
    QuoteUnclosed,
    /// Something else than a comma behind a label.
    CommaMissing,
    /// Labels that their line ends in.
    BraceMissing,
    /// Two labels of one name.
    LabelRepeated,
    /// A line without a value.
    ValueMissing,
    /// A value that is no number, or one of a form that is not taken.
    ValueNotANumber,
    /// A timestamp that is no number.
    TimeNotANumber,
    /// A line that goes on behind its timestamp.
    TextBehindTime,
    /// An exemplar that cannot be read; its sample is kept.
    ExemplarInvalid,
    /// A series without a metric name.
    MetricNameMissing,
    /// A label with an empty name.
    LabelNameEmpty,
    /// Two labels of one name.
    LabelNameRepeated,
    /// A series with samples and histograms at once.
    SamplesBesideHistograms,
    /// A time outside of what 64 bits of nanoseconds hold.
    TimeOutOfRange,
    /// A native histogram with a schema that nobody defines.
    HistogramSchemaUnknown,
    /// A native histogram whose spans and buckets differ in number.
    HistogramSpansContradictBuckets,
    /// A native histogram whose buckets do not add up to its count.
    HistogramCountContradictsBuckets,
    /// A native histogram with a count that cannot be one.
    HistogramCountInvalid,
    /// A native histogram whose custom bounds contradict the rest of it.
    HistogramBoundsInvalid,
    /// A Datadog sketch whose keys and counts differ in number.
    SketchBinsUneven,
    /// A Datadog sketch with a key that stands for no value.
    SketchKeyOutOfRange,
    /// A Datadog sketch of fewer than no values.
    SketchCountNegative,
    /// A Datadog distribution of the form that Agents sent before sketches.
    DistributionNotTaken,
}

impl RejectCause {
    /// The cause in words, for partial-success replies, the log and `check`.
    pub const fn message(self) -> &'static str {
        match self {
            Self::NotARecord => "not a record",
            Self::OverLimit => "over the limit of one record",
            Self::Inconsistent => "values contradict each other",
            Self::IdInvalid => "an id is not valid",
            Self::NameMissing => "the metric's name is missing",
            Self::NameRepeated => "the metric has two names",
            Self::QuoteMissing => "a label has no value in double quotes",
            Self::QuoteUnclosed => "a quote is not closed",
            Self::CommaMissing => "a comma or a closing brace is missing behind a label",
            Self::BraceMissing => "the labels have no closing brace",
            Self::LabelRepeated => "a label stands twice",
            Self::ValueMissing => "the value is missing",
            Self::ValueNotANumber => "the value is not a number",
            Self::TimeNotANumber => "the timestamp is not a number",
            Self::TextBehindTime => "text stands behind the timestamp",
            Self::ExemplarInvalid => "an exemplar cannot be read",
            Self::MetricNameMissing => "a series has no __name__ label",
            Self::LabelNameEmpty => "a label has an empty name",
            Self::LabelNameRepeated => "a series has two labels of the same name",
            Self::SamplesBesideHistograms => "a series has both samples and histograms",
            Self::TimeOutOfRange => "a timestamp lies outside of the years 1677 to 2262",
            Self::HistogramSchemaUnknown => "a native histogram has an unknown schema",
            Self::HistogramSpansContradictBuckets => {
                "a native histogram's spans and buckets differ in number"
            }
            Self::HistogramCountContradictsBuckets => {
                "a native histogram's buckets do not add up to its count"
            }
            Self::HistogramCountInvalid => "a native histogram has an invalid count",
            Self::HistogramBoundsInvalid => {
                "a native histogram's custom bounds contradict its schema, its buckets or each other"
            }
            Self::SketchBinsUneven => "a sketch's keys and counts differ in number",
            Self::SketchKeyOutOfRange => "a sketch has a key that stands for no value",
            Self::SketchCountNegative => "a sketch has a negative count",
            Self::DistributionNotTaken => "a distribution is not a sketch; only sketches are taken",
        }
    }
}

pub trait RecordSink {
    /// Whether values are looked at. A decoder may leave out work, such as expanding buckets,
    /// that only this sink's columns would need; it checks the same things either way.
    const FILLS: bool;

    fn resource(&mut self, resource: &Resource<'_>);
    fn scope(&mut self, scope: &Scope<'_>);
    fn log(&mut self, log: &Log<'_>);
    fn span(&mut self, span: &Span<'_>);
    fn series(&mut self, series: &Series<'_>);
    fn sample(&mut self, sample: &Sample);
    fn histogram(&mut self, histogram: &Histogram<'_>);
    fn exemplar(&mut self, exemplar: &Exemplar<'_>);
    fn metadata(&mut self, metadata: &Metadata<'_>);
    /// The open record is the text of one that could not be read. Only said to a sink that fills: whether
    /// a record can be read does not decide whether it is kept.
    fn unparsed(&mut self) {}
    fn keep(&mut self);
    fn reject(&mut self, cause: RejectCause);
}

/// The sink of the acknowledgement path: the decoder's own checks are all that is wanted.
#[derive(Default)]
pub struct Validating;

impl RecordSink for Validating {
    const FILLS: bool = false;

    #[inline]
    fn resource(&mut self, _resource: &Resource<'_>) {}
    #[inline]
    fn scope(&mut self, _scope: &Scope<'_>) {}
    #[inline]
    fn log(&mut self, _log: &Log<'_>) {}
    #[inline]
    fn span(&mut self, _span: &Span<'_>) {}
    #[inline]
    fn series(&mut self, _series: &Series<'_>) {}
    #[inline]
    fn sample(&mut self, _sample: &Sample) {}
    #[inline]
    fn histogram(&mut self, _histogram: &Histogram<'_>) {}
    #[inline]
    fn exemplar(&mut self, _exemplar: &Exemplar<'_>) {}
    #[inline]
    fn metadata(&mut self, _metadata: &Metadata<'_>) {}
    #[inline]
    fn keep(&mut self) {}
    #[inline]
    fn reject(&mut self, _cause: RejectCause) {}
}
