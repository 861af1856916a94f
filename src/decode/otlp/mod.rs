//! OTLP (opentelemetry-proto 1.x): logs, traces and metrics, as protobuf and as JSON.
//!
//! Place: behind `decode`, for OTLP/HTTP and OTLP/gRPC alike: by now both are one protobuf message.
//!
//! ```text
//! tree.rs     request ─ resource ─ scope ─ item      the same three levels for every signal
//! common.rs   AnyValue, KeyValue: the check, and the views that a sink walks
//! logs.rs     LogRecord
//! traces.rs   Span, Event, Link, Status
//! metrics.rs  Metric and its oneof of data
//! points.rs   data points of every kind, exemplars
//! ```
//!
//! One pass checks the structure of every field that is known, once; text is not looked at, as bad
//! UTF-8 does arrive and replacing it beats losing a batch. Values become views over the payload that
//! are walked again when a sink asks. What the wire may repeat is merged as protobuf says: messages
//! by concatenation, scalars and `oneof` by the last. Several gzip members are one concatenated message
//! by the same rule.

mod common;
mod json;
mod logs;
mod metrics;
mod points;
mod traces;
mod tree;

#[cfg(test)]
mod tests;

use super::{DecodeError, Verdict};
use crate::batch::RecordSink;
use crate::envelope::{Envelope, FieldId, Signal};

/// Memory reused from body to body: numbers of one data point, as a sink takes them in one piece. All
/// else is a view over the payload. No list is longer than a point's bytes.
#[derive(Default)]
pub struct Scratch {
    pub(super) bounds: Vec<f64>,
    pub(super) counts: Vec<f64>,
    pub(super) negative_counts: Vec<f64>,
    pub(super) quantiles: Vec<(f64, f64)>,
}

/// Walks an `Export…ServiceRequest` of the route's signal, in the encoding that the content type names. A
/// protobuf payload of zero bytes is a request without records.
pub fn decode<S: RecordSink>(
    envelope: &Envelope<'_>,
    payload: &[u8],
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<Verdict, DecodeError> {
    if is_json(envelope) {
        return json::decode(envelope, payload, scratch, sink);
    }
    match envelope.route.signal() {
        Signal::Logs => logs::decode(envelope, payload, sink),
        Signal::Traces => traces::decode(envelope, payload, sink),
        Signal::Metrics => metrics::decode(envelope, payload, scratch, sink),
    }
}

/// The media type without its parameters decides; `route` let only two through.
fn is_json(envelope: &Envelope<'_>) -> bool {
    envelope.fields.find(FieldId::ContentType).is_some_and(|value| {
        let end = value.iter().position(|&byte| byte == b';').unwrap_or(value.len());
        value
            .get(..end)
            .is_some_and(|essence| essence.trim_ascii().eq_ignore_ascii_case(b"application/json"))
    })
}
