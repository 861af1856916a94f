//! Our decoders against prost: the same records from the same bytes, the same verdict on damaged ones.
//!
//! What differs on purpose is listed by name in `Difference`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

#[path = "differential/compare.rs"]
mod compare;
#[path = "differential/generated.rs"]
mod generated;
#[path = "differential/otlp_logs.rs"]
mod otlp_logs;
#[path = "differential/remote_write.rs"]
mod remote_write;
mod support;
