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

pub mod http;

pub mod route;

pub mod auth;

pub mod content;
pub mod decode;

pub mod batch;
pub mod journal;

pub mod store;

pub mod outcome;

pub mod command;

pub mod counters;

pub mod buffer;
pub mod ring;
