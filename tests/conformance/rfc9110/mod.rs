//! RFC 9110, HTTP semantics.

mod section_10_expect;
mod section_15_status;
mod section_6_reply;
mod section_8_content;
