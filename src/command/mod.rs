//! The subcommands of the binary.

pub mod key;
pub mod serve;
