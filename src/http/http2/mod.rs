//! HTTP/2 (RFC 9113) without IO: bytes in, events and bytes out.
//!
//! Place: beside `http1`, below `connection`. [`Session`] holds what both ends of one connection must
//! agree on: settings, streams, windows, the table of header compression.

pub mod abuse;
pub mod frame;
pub mod head;
pub mod hpack;
mod send;
mod session;

pub use session::{Event, Session, SessionError, Step};

/// What a client sends first (section 3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Error codes (section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    NoError,
    Protocol,
    Internal,
    FlowControl,
    SettingsTimeout,
    StreamClosed,
    FrameSize,
    RefusedStream,
    Cancel,
    Compression,
    EnhanceYourCalm,
}

impl ErrorCode {
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::NoError => 0x0,
            Self::Protocol => 0x1,
            Self::Internal => 0x2,
            Self::FlowControl => 0x3,
            Self::SettingsTimeout => 0x4,
            Self::StreamClosed => 0x5,
            Self::FrameSize => 0x6,
            Self::RefusedStream => 0x7,
            Self::Cancel => 0x8,
            Self::Compression => 0x9,
            Self::EnhanceYourCalm => 0xb,
        }
    }
}
