//! Prometheus remote write (specifications 1.0 and 2.0).
//!
//! Place: behind `decode`. The schema is chosen by the `proto` parameter of the media type alone.
//!
//! ```text
//! schema.rs      media type ─ which message
//! v1.rs          WriteRequest ─ TimeSeries ─ sample, exemplar, histogram; MetricMetadata
//! labels.rs      label pairs of 1.0: the check, the views, the list where the wire is unsorted
//! v2.rs          Request ─ symbols; TimeSeries ─ sample, exemplar, histogram, metadata
//! symbols.rs     the table of 2.0 and label pairs as references into it
//! histogram.rs   native histograms, numbered alike in both versions
//! ```
//!
//! There is no partial success in 1.0, and a sender drops what is answered with 400. So a body is
//! refused only where keeping it would keep something that means nothing. In 2.0 a reply counts what
//! was written, so a record that means nothing is refused alone.

mod histogram;
mod labels;
pub mod schema;
mod symbols;
mod v1;
mod v2;

#[cfg(test)]
mod tests;

use super::{DecodeError, Fault, Verdict};
use crate::batch::RecordSink;
use crate::envelope::{Envelope, FieldId};
use schema::Schema;

/// Memory reused from body to body: one series' labels, one histogram's buckets, one request's table
/// of symbols, all bounded.
#[derive(Default)]
pub struct Scratch {
    labels: labels::Scratch,
    histogram: histogram::Scratch,
    table: symbols::Table,
    raw: labels::RawLabels,
    said: v2::Said,
}

/// Walks a decompressed remote-write body. [`Fault::MediaTypeWrong`] for a message of neither version.
pub fn decode<S: RecordSink>(
    envelope: &Envelope<'_>,
    payload: &[u8],
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<Verdict, DecodeError> {
    match schema::of(envelope.fields.find(FieldId::ContentType)) {
        Some(Schema::V1) => v1::decode(payload, scratch, sink),
        Some(Schema::V2) => v2::decode(payload, scratch, sink),
        None => Err(DecodeError::at(Fault::MediaTypeWrong, 0)),
    }
}
