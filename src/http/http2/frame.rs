//! Frames (RFC 9113, sections 4 and 6): nine bytes of header, and the few payloads that a server writes.

use super::ErrorCode;

/// Length, type, flags, stream (section 4.1).
pub const FRAME_HEADER_SIZE: usize = 9;

/// Bits of the flags field that matter to a server.
pub mod flag {
    /// Of SETTINGS and PING.
    pub const ACK: u8 = 0x1;
    /// Of DATA and HEADERS.
    pub const END_STREAM: u8 = 0x1;
    pub const END_HEADERS: u8 = 0x4;
    pub const PADDED: u8 = 0x8;
    pub const PRIORITY: u8 = 0x20;
}

/// Setting identifiers (section 6.5.2).
pub mod setting {
    pub const HEADER_TABLE_SIZE: u16 = 0x1;
    pub const ENABLE_PUSH: u16 = 0x2;
    pub const MAX_CONCURRENT_STREAMS: u16 = 0x3;
    pub const INITIAL_WINDOW_SIZE: u16 = 0x4;
    pub const MAX_FRAME_SIZE: u16 = 0x5;
    pub const MAX_HEADER_LIST_SIZE: u16 = 0x6;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Data,
    Headers,
    Priority,
    ResetStream,
    Settings,
    PushPromise,
    Ping,
    GoAway,
    WindowUpdate,
    Continuation,
    /// To be ignored (section 4.1).
    Unknown(u8),
}

impl Kind {
    const fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Data,
            1 => Self::Headers,
            2 => Self::Priority,
            3 => Self::ResetStream,
            4 => Self::Settings,
            5 => Self::PushPromise,
            6 => Self::Ping,
            7 => Self::GoAway,
            8 => Self::WindowUpdate,
            9 => Self::Continuation,
            other => Self::Unknown(other),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    pub length: usize,
    pub kind: Kind,
    pub flags: u8,
    pub stream: u32,
}

impl FrameHeader {
    /// The header at the start of `bytes`; none if it is not complete. The reserved bit is ignored.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let &[l0, l1, l2, kind, flags, s0, s1, s2, s3] = bytes.first_chunk()?;
        Some(Self {
            length: crate::limits::size(u64::from(u32::from_be_bytes([0, l0, l1, l2]))),
            kind: Kind::from_number(kind),
            flags,
            stream: u32::from_be_bytes([s0, s1, s2, s3]) & 0x7fff_ffff,
        })
    }

    #[must_use]
    pub const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// A payload's first four bytes as a number without its top bit.
#[must_use]
pub fn number_31(payload: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(*payload.first_chunk()?) & 0x7fff_ffff)
}

const fn kind_number(kind: Kind) -> u8 {
    match kind {
        Kind::Data => 0,
        Kind::Headers => 1,
        Kind::Priority => 2,
        Kind::ResetStream => 3,
        Kind::Settings => 4,
        Kind::PushPromise => 5,
        Kind::Ping => 6,
        Kind::GoAway => 7,
        Kind::WindowUpdate => 8,
        Kind::Continuation => 9,
        Kind::Unknown(number) => number,
    }
}

/// Appends a frame header; `length` is below 2^24, as every frame that a server writes.
pub fn push_header(out: &mut Vec<u8>, length: usize, kind: Kind, flags: u8, stream: u32) {
    debug_assert!(length < 1 << 24);
    let [_, l0, l1, l2] = u32::try_from(length).unwrap_or(0).to_be_bytes();
    let [s0, s1, s2, s3] = stream.to_be_bytes();
    out.extend_from_slice(&[l0, l1, l2, kind_number(kind), flags, s0, s1, s2, s3]);
}

pub fn push_settings(out: &mut Vec<u8>, settings: &[(u16, u32)]) {
    push_header(out, settings.len() * 6, Kind::Settings, 0, 0);
    for (identifier, value) in settings {
        out.extend_from_slice(&identifier.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}

pub fn push_settings_ack(out: &mut Vec<u8>) {
    push_header(out, 0, Kind::Settings, flag::ACK, 0);
}

pub fn push_ping(out: &mut Vec<u8>, flags: u8, opaque: [u8; 8]) {
    push_header(out, 8, Kind::Ping, flags, 0);
    out.extend_from_slice(&opaque);
}

pub fn push_window_update(out: &mut Vec<u8>, stream: u32, increment: u32) {
    push_header(out, 4, Kind::WindowUpdate, 0, stream);
    out.extend_from_slice(&increment.to_be_bytes());
}

pub fn push_reset(out: &mut Vec<u8>, stream: u32, code: ErrorCode) {
    push_header(out, 4, Kind::ResetStream, 0, stream);
    out.extend_from_slice(&code.number().to_be_bytes());
}

/// `words` is debug data (section 6.8): gRPC clients log it.
pub fn push_go_away(out: &mut Vec<u8>, last_stream: u32, code: ErrorCode, words: &str) {
    push_header(out, 8 + words.len(), Kind::GoAway, 0, 0);
    out.extend_from_slice(&last_stream.to_be_bytes());
    out.extend_from_slice(&code.number().to_be_bytes());
    out.extend_from_slice(words.as_bytes());
}
