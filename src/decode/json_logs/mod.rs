//! Stub until its decoder lands.
use super::{DecodeError, Fault, Verdict};
use crate::batch::RecordSink;
use crate::envelope::Envelope;

/// Memory reused from body to body.
#[derive(Default)]
pub struct Scratch {}

pub fn decode<S: RecordSink>(
    _envelope: &Envelope<'_>,
    _payload: &[u8],
    _scratch: &mut Scratch,
    _sink: &mut S,
) -> Result<Verdict, DecodeError> {
    Err(DecodeError::at(Fault::RouteNotDecodable, 0))
}
