//! `opentelemetry.proto.trace.v1`: spans.

use crate::batch::RecordSink;
use crate::decode::{DecodeError, Fault, Verdict};
use crate::envelope::Envelope;

pub fn decode<S: RecordSink>(
    _envelope: &Envelope<'_>,
    _payload: &[u8],
    _sink: &mut S,
) -> Result<Verdict, DecodeError> {
    Err(DecodeError::at(Fault::RouteNotDecodable, 0))
}
