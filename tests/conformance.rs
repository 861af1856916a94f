//! What the specifications demand: a folder per specification, a file per section, a function per requirement.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a panic is how a test fails")]

#[path = "support/server.rs"]
mod server;
#[path = "conformance/support.rs"]
mod support;

#[path = "conformance/grpc/mod.rs"]
mod grpc;
#[path = "conformance/rfc7541/mod.rs"]
mod rfc7541;
#[path = "conformance/rfc9110/mod.rs"]
mod rfc9110;
#[path = "conformance/rfc9112/mod.rs"]
mod rfc9112;
#[path = "conformance/rfc9113/mod.rs"]
mod rfc9113;
#[path = "conformance/tls/mod.rs"]
mod tls;
