//! inrush: telemetry in over its own protocols, durable before the reply, readable as Parquet.
//!
//! The modules, in the order in which a request meets them:
//!
//! ```text
//! socket ─ ring ─ connection ─ http ─ route ─ auth ─ content ─ decode ─ journal ─ outcome ─ reply
//!                                                                          │
//!                                                     store: plan ─ columns ─ Parquet parts
//! ```

pub mod envelope;
pub mod limits;

pub mod content;
pub mod decode;

pub mod batch;
pub mod journal;

pub mod store;

pub mod counters;
