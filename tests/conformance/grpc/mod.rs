//! gRPC over HTTP/2 (grpc `doc/PROTOCOL-HTTP2.md`, `compression.md`, `statuscodes.md`, `health-checking.md`):
//! a file per section, a function per requirement, against the real binary over real sockets.
//!
//! Calls are made by `h2`; what it would never send is made of frames by hand.

mod compression;
mod deadlines;
mod errors;
mod health;
mod messages;
#[allow(dead_code, reason = "used in part")]
mod peer;
mod requests;
