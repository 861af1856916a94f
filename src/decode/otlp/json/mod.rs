//! OTLP/JSON: the same requests as protobuf JSON, walked by our own reader.

use super::Scratch;
use crate::batch::RecordSink;
use crate::decode::{DecodeError, Fault, Verdict};
use crate::envelope::Envelope;

pub fn decode<S: RecordSink>(
    _envelope: &Envelope<'_>,
    _payload: &[u8],
    _scratch: &mut Scratch,
    _sink: &mut S,
) -> Result<Verdict, DecodeError> {
    Err(DecodeError::at(Fault::RouteNotDecodable, 0))
}
