//! The write-ahead log: one per shard, fixed-size segments, group commit, recovery.
//!
//! Place: after `decode` on the acknowledgement path; the followers read behind it. It stores opaque
//! bytes with a header and knows no protocol.

pub mod read;
