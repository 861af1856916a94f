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
//! extra.rs       labels that the request's query adds to each series
//! ```
//!
//! There is no partial success in 1.0, and a sender drops what is answered with 400. So a body is
//! refused only where keeping it would keep something that means nothing. In 2.0 a reply counts what
//! was written, so a record that means nothing is refused alone.

mod extra;
mod histogram;
mod labels;
pub mod schema;
mod symbols;
mod v1;
mod v2;

#[cfg(test)]
mod tests;

use super::exposition::RequestLabels;
use super::{DecodeError, Fault, Verdict};
use crate::batch::RecordSink;
use crate::envelope::{Envelope, FieldId};
use extra::Labelling;
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
    request_labels: RequestLabels,
    labelled: labels::RawLabels,
}

/// Walks a decompressed remote-write body. [`Fault::MediaTypeWrong`] for a message of neither version.
pub fn decode<S: RecordSink>(
    envelope: &Envelope<'_>,
    payload: &[u8],
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<Verdict, DecodeError> {
    let schema = schema::of(envelope.fields.find(FieldId::ContentType))
        .ok_or(DecodeError::at(Fault::MediaTypeWrong, 0))?;
    match envelope.fields.find(FieldId::Query) {
        None => decode_as(schema, payload, scratch, sink),
        Some(query) => decode_labelled(schema, query, payload, scratch, sink),
    }
}

fn decode_as<S: RecordSink>(
    schema: Schema,
    payload: &[u8],
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<Verdict, DecodeError> {
    match schema {
        Schema::V1 => v1::decode(payload, scratch, sink),
        Schema::V2 => v2::decode(payload, scratch, sink),
    }
}

/// The same where the query holds labels for every series.
#[cold]
fn decode_labelled<S: RecordSink>(
    schema: Schema,
    query: &[u8],
    payload: &[u8],
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<Verdict, DecodeError> {
    let mut labels = std::mem::take(&mut scratch.request_labels);
    let mut raw = std::mem::take(&mut scratch.labelled);
    let result = labels.read(Some(query), &[]).and_then(|()| {
        let mut sink = Labelling { sink, labels: &labels, raw: &mut raw };
        let mut verdict = decode_as(schema, payload, scratch, &mut sink)?;
        // Few bytes of the query become many: once for every record's series at most.
        let records = verdict.samples + verdict.histograms + verdict.exemplars;
        verdict.values = verdict.values.saturating_add(records.saturating_mul(labels.weight()));
        Ok(verdict)
    });
    scratch.request_labels = labels;
    scratch.labelled = raw;
    result
}
