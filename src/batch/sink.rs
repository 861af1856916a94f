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
//! from its call until `keep` or `reject`; the next record is not begun before. What cannot even be said
//! as a record, such as a span without ids, is rejected while none is open.

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
}

impl RejectCause {
    /// The cause in words, for partial-success replies, the log and `check`.
    pub const fn message(self) -> &'static str {
        match self {
            Self::NotARecord => "not a record",
            Self::OverLimit => "over the limit of one record",
            Self::Inconsistent => "values contradict each other",
            Self::IdInvalid => "an id is not valid",
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
