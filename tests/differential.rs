//! Our decoders against prost: the same records from the same bytes, the same verdict on damaged ones.
//!
//! What differs on purpose is listed by name in `differential/corruption.rs`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

#[path = "differential/generated.rs"]
mod generated;
#[path = "differential/oracle.rs"]
mod oracle;
#[path = "differential/otlp_logs.rs"]
mod otlp_logs;
#[path = "differential/remote_write.rs"]
mod remote_write;

#[rustfmt::skip]
#[path = "../proto/generated/mod.rs"]
#[allow(dead_code, clippy::all, clippy::pedantic, reason = "generated; tests use a part of it")]
mod messages;
mod support;
