//! OTLP/JSON: the same requests as protobuf JSON, walked by our own reader.
//!
//! ```text
//! tree.rs     request ─ resource ─ scope ─ item      the same three levels for every signal
//! common.rs   members, lists, AnyValue: the check, and the views that a sink walks
//! number.rs   numbers as JSON writes them
//! logs.rs     LogRecord         traces.rs   Span         metrics.rs, points.rs   data points
//! ```
//!
//! Members stand in any order, owners after what they own. The pass that only counts does not mind and reads
//! everything once. A sink that fills must hear owners first: there each level is read twice, and the
//! first time what is owned is passed over by its brackets. Values become views over the text.
//!
//! What the text leaves open is decided so: `null` is absent, whatever the field; of members with one name,
//! and of a `oneof`, the last that is not null stands, messages are not merged; but lists of resources,
//! scopes, records and points go on where they stop, as nothing that was sent may be lost. Unknown
//! members are checked for syntax alone. Numbers out of their type's range stop at its bounds,
//! `intValue` becomes a double. `bytesValue` that is not base64 is kept as text.
#![deny(clippy::indexing_slicing)]

mod common;
mod logs;
mod metrics;
mod number;
mod points;
mod traces;
mod tree;

use super::Scratch;
use crate::batch::{RecordSink, Validating};
use crate::decode::wire::json::{Reader, line_column};
use crate::decode::{DecodeError, Fault, Verdict};
use crate::envelope::{Envelope, Signal};
use crate::limits;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Walks an `Export…ServiceRequest` of the route's signal. Zero bytes are a request without records.
pub fn decode<S: RecordSink>(
    envelope: &Envelope<'_>,
    payload: &[u8],
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<Verdict, DecodeError> {
    read(envelope, payload, scratch, sink).map_err(|mut error| {
        // The filling pass meets faults in another order: the one that was told to the sender counts.
        if S::FILLS
            && let Err(first) = read(envelope, payload, scratch, &mut Validating)
        {
            error = first;
        }
        error.line_column = Some(line_column(payload, limits::size(error.offset)));
        error
    })
}

fn read<S: RecordSink>(
    envelope: &Envelope<'_>,
    payload: &[u8],
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<Verdict, DecodeError> {
    let start = if payload.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    let mut reader = Reader::at(payload, start);
    let arrival_nanos = envelope.arrival_nanos;
    let mut verdict = Verdict::default();
    match reader.peek() {
        None => return Ok(verdict),
        Some(b'{') => {}
        Some(_) => {
            reader.check_value(0)?;
            return Err(DecodeError::at(Fault::JsonTypeWrong, start as u64));
        }
    }
    match envelope.route.signal() {
        Signal::Logs => logs::walk(&mut reader, arrival_nanos, &mut verdict, sink)?,
        Signal::Traces => traces::walk(&mut reader, arrival_nanos, &mut verdict, sink)?,
        Signal::Metrics => metrics::walk(&mut reader, arrival_nanos, &mut verdict, scratch, sink)?,
    }
    match reader.peek() {
        None => Ok(verdict),
        Some(_) => Err(reader.fault(Fault::JsonSyntax).into()),
    }
}
