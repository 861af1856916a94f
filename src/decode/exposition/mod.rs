//! Prometheus text exposition and OpenMetrics: one lenient reader, line by line.

use super::{DecodeError, Fault, Verdict};
use crate::batch::RecordSink;
use crate::envelope::Envelope;

/// Memory reused from block to block.
#[derive(Default)]
pub struct Scratch {
    open_family: Vec<u8>,
}

impl Scratch {
    /// After a decode: the metadata lines (`# TYPE …`, `# UNIT …`, `# HELP …`) of the family that is
    /// open where the block ends, to be carried into the next block of the same body as
    /// `FieldId::OpenFamily`. Empty where none is open.
    pub fn open_family(&self) -> &[u8] {
        &self.open_family
    }
}

/// Walks one block: whole lines, the last with or without its newline.
pub fn decode<S: RecordSink>(
    _envelope: &Envelope<'_>,
    _payload: &[u8],
    _scratch: &mut Scratch,
    _sink: &mut S,
) -> Result<Verdict, DecodeError> {
    Err(DecodeError::at(Fault::RouteNotDecodable, 0))
}

/// Refuses arguments before the body is read.
pub fn check_request(_query: Option<&[u8]>, _path_rest: &[u8]) -> Result<(), DecodeError> {
    Ok(())
}
