//! What the specifications demand: a folder per RFC, a file per section, a function per requirement.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "conformance/support.rs"]
mod support;

#[path = "conformance/rfc7541/mod.rs"]
mod rfc7541;
#[path = "conformance/rfc9110/mod.rs"]
mod rfc9110;
#[path = "conformance/rfc9112/mod.rs"]
mod rfc9112;
#[path = "conformance/rfc9113/mod.rs"]
mod rfc9113;
