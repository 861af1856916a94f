//! Prometheus remote write (specifications 1.0 and 2.0): 1.0 now, 2.0 takes its place beside it.
//!
//! Place: behind `decode`. The schema is chosen by the `proto` parameter of the media type alone.
//!
//! ```text
//! schema.rs      media type ─ which message
//! v1.rs          WriteRequest ─ TimeSeries ─ sample, exemplar, histogram; MetricMetadata
//! labels.rs      label pairs: the check, the views, the list where the wire is unsorted
//! histogram.rs   native histograms, numbered alike in both versions
//! ```
//!
//! There is no partial success in 1.0, and a sender drops what is answered with 400. So a body is
//! refused only where keeping it would keep something that means nothing.

mod histogram;
mod labels;
pub mod schema;
mod v1;

#[cfg(test)]
mod tests;

use super::{DecodeError, Fault, Verdict};
use crate::batch::RecordSink;
use crate::envelope::{Envelope, FieldId};
use schema::Schema;

/// Memory reused from body to body: one series' labels and one histogram's buckets, both bounded.
#[derive(Default)]
pub struct Scratch {
    labels: labels::Scratch,
    histogram: histogram::Scratch,
}

/// Walks a decompressed remote-write body. [`Fault::MediaTypeWrong`] for a message of neither
/// version, [`Fault::RouteNotDecodable`] for 2.0.
pub fn decode<S: RecordSink>(
    envelope: &Envelope<'_>,
    payload: &[u8],
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<Verdict, DecodeError> {
    match schema::of(envelope.fields.find(FieldId::ContentType)) {
        Some(Schema::V1) => v1::decode(payload, scratch, sink),
        Some(Schema::V2) => Err(DecodeError::at(Fault::RouteNotDecodable, 0)),
        None => Err(DecodeError::at(Fault::MediaTypeWrong, 0)),
    }
}
