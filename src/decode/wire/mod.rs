//! Readers of the formats that protocols are written in: protobuf, JSON. No protocol knows another.

pub mod hex;
pub mod json;
pub mod protobuf;
mod scan;
