//! Readers of the formats that protocols are written in: protobuf, JSON, numbers as text. No
//! protocol knows another.

pub mod hex;
pub mod json;
pub mod number;
pub mod protobuf;
