//! The write-ahead log: one per shard, fixed-size segments, group commit, recovery.
//!
//! Place: after `decode` on the acknowledgement path; the followers read behind it. It stores opaque
//! bytes with a header and knows no protocol.
//!
//! ```text
//! DATA/journal/incarnation           drawn when the journal was made; names what leaves it
//! DATA/journal/SHARD/GENERATION.segment
//!
//! segment:  commit ─ commit ─ commit ─ (zeros, or what an earlier life left)
//! commit:   header 64 B ─ packed entries ─ pad │ large entry ─ pad │ …      each │ is aligned
//! entry:    header 48 B ─ envelope ─ body ─ pad
//! ```
//!
//! A position is an address over all segments of a shard: a segment begins at its base, which is where
//! the one before it ends. A commit starts only after the one before it is durable, so a valid commit
//! header proves everything before it.

mod commit;
pub mod format;
mod log;
pub mod read;
mod recover;
mod scan;
mod segment;
pub mod write;

pub use log::{Journal, JournalCounters, ShardLog};
pub use recover::{Recovered, RecoveryReport};
pub use segment::{OpenError, Options, Pressure, SEGMENT_SIZE_MIN};

#[cfg(test)]
mod tests;
