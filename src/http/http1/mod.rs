//! HTTP/1.1 (RFC 9112): heads, body framing, chunked coding, replies.

pub mod chunked;
pub mod framing;
pub mod head;
pub mod reply;
