//! RFC 9113 (HTTP/2): a file per section, a function per requirement. The peer is made of frames.

mod attacks;
mod peer;
mod section_3_start;
mod section_4_frames;
mod section_5_streams;
mod section_6_definitions;
mod section_8_messages;
