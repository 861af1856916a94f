//! The subcommands of the binary.

pub mod check;
pub mod key;
pub mod serve;
pub mod tail;
