//! What a follower sees of the journal.

use std::ops::Range;

use crate::envelope::Envelope;

/// One shard's log, as far as it may be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardRange {
    pub shard: u32,
    /// The first position that is still there.
    pub oldest: u64,
    /// Everything below is durable. Always the end of a commit.
    pub frontier: u64,
}

/// What stands at a place of the log.
pub enum Read<'a> {
    /// A whole entry with a good checksum.
    Entry { position: u64, envelope: Envelope<'a>, body: &'a [u8] },
    /// A good checksum, but an envelope that this version cannot read (an unknown route or coding).
    Unknown { position: u64, bytes: &'a [u8] },
    /// Damaged bytes: acknowledged data that the device did not give back.
    Damaged { position: u64, bytes: &'a [u8] },
}

#[derive(Debug)]
pub enum ReadError {
    /// The range was retired already, or was never written.
    OutOfRange {
        position: u64,
    },
    Io(std::io::Error),
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OutOfRange { position } => {
                write!(formatter, "position {position} is not in the journal")
            }
            Self::Io(error) => write!(formatter, "reading the journal: {error}"),
        }
    }
}

impl std::error::Error for ReadError {}

/// The journals of all shards, for one follower. Shared by its threads.
pub trait EntrySource: Send + Sync {
    /// Drawn when the journal was created; part of every name that leaves it.
    fn incarnation(&self) -> u64;

    /// All shards' logs, also of shards that this process no longer runs.
    fn shards(&self) -> Vec<ShardRange>;

    /// The end of the commit that holds the byte `from + size_max`, or the frontier if it is nearer:
    /// where a plan that starts at `from` (a commit's end) may stop.
    fn plan_end(&self, shard: u32, from: u64, size_max: u64) -> Result<u64, ReadError>;

    /// Visits everything in `range` (ends of commits) in order. Memory: one commit block or one
    /// large entry at a time.
    fn read(
        &self,
        shard: u32,
        range: Range<u64>,
        visit: &mut dyn FnMut(Read<'_>),
    ) -> Result<(), ReadError>;

    /// Everything below `position` is no longer needed: its segments may be recycled.
    fn retire(&self, shard: u32, position: u64);
}
