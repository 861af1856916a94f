//! inrush: telemetry in over its own protocols, durable before the reply, readable as Parquet.
//!
//! The modules, in the order in which a request meets them:
//!
//! ```text
//! socket ─ ring ─ connection ─ http ─ route ─ auth ─ content ─ decode ─ journal ─ outcome ─ reply
//!                                                                          │
//!                                                     store: plan ─ columns ─ Parquet parts
//! ```
//!
//! `ingest` joins the stages into the straight line of one request; `shard` drives it, one a core.

pub mod command;
pub mod config;
pub mod server;

pub mod shard;

pub mod ring;

pub mod connection;

pub mod tls;

pub mod ingest;

pub mod http;

pub mod route;

pub mod auth;

pub mod content;

pub mod decode;

pub mod journal;

pub mod outcome;

pub mod batch;

pub mod store;

pub mod admin;

pub mod buffer;
pub mod counters;
pub mod envelope;
pub mod limits;
