//! The whole server once more with the features of io_uring that kernel 6.1 has: see `ring` in `support/server.rs`.

#![allow(clippy::duplicate_mod, reason = "each of the programs brings its own support")]

#[path = "crash.rs"]
mod crash;
#[path = "end_to_end.rs"]
mod end_to_end;
#[path = "http2.rs"]
mod http2;

// The peer of `http2` looks for it here.
use http2::server;
