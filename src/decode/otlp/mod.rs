//! OTLP over protobuf (opentelemetry-proto 1.x): logs now; traces, metrics and JSON beside them later.
//!
//! Place: behind `decode`, for OTLP/HTTP and OTLP/gRPC alike: by now both are one protobuf message.
//!
//! ```text
//! tree.rs     request ─ resource ─ scope ─ item      the same three levels for every signal
//! common.rs   AnyValue, KeyValue: the check, and the views that a sink walks
//! logs.rs     LogRecord
//! ```
//!
//! One pass checks the structure of every field that is known, once; text is not looked at, as bad
//! UTF-8 does arrive and replacing it beats losing a batch. Values become views over the payload that
//! are walked again when a sink asks. What the wire may repeat is merged as protobuf says: messages
//! by concatenation, scalars and `oneof` by the last. Several gzip members are one concatenated message
//! by the same rule.

mod common;
mod logs;
mod tree;

#[cfg(test)]
mod tests;

use super::{DecodeError, Verdict};
use crate::batch::RecordSink;
use crate::envelope::Envelope;

/// Memory reused from body to body. These decoders need none: every view is over the payload.
#[derive(Default)]
pub struct Scratch {}

/// Walks an `ExportLogsServiceRequest`. A payload of zero bytes is a request without records.
pub fn decode<S: RecordSink>(
    envelope: &Envelope<'_>,
    payload: &[u8],
    _scratch: &mut Scratch,
    sink: &mut S,
) -> Result<Verdict, DecodeError> {
    logs::decode(envelope, payload, sink)
}
