//! Readers of the formats that protocols are written in: protobuf, JSON, numbers and
//! delimiters as text. No protocol knows another.

pub mod hex;
pub mod json;
pub mod msgpack;
pub mod number;
pub mod protobuf;
pub mod scan;
mod scan_text;
