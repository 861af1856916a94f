//! HTTP: what a request head and a reply are, whichever version carried them.
//!
//! Place: after `tls`, before `route` and `auth`. No IO, no clock: bytes come in, views and bytes go out.
//! Faults are only named here; `outcome` turns them into replies.

#![deny(clippy::indexing_slicing)]

pub mod grpc;
pub mod head;
pub mod http1;
pub mod http2;
pub mod reply;

/// What a parser answers when nothing is wrong: a whole item, or that it ends beyond the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed<T> {
    /// `size` bytes of the input belong to the item.
    Item {
        value: T,
        size: usize,
    },
    NeedMore,
}

/// A request method (RFC 9110, section 9). Methods nobody defined never get this far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Options,
    Patch,
    Trace,
    Connect,
    /// Registered with IANA, of no use here.
    Other,
}

impl Method {
    /// The longest registered name has 17 bytes; anything longer than this is unknown.
    pub const SIZE_MAX: usize = 24;

    /// Case matters (RFC 9110, section 9.1). `None` for a method that is not registered. `PRI` is
    /// registered only so that it is never used, and is `None` too.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"OPTIONS" => Self::Options,
            b"PATCH" => Self::Patch,
            b"TRACE" => Self::Trace,
            b"CONNECT" => Self::Connect,
            b"ACL" | b"BASELINE-CONTROL" | b"BIND" | b"CHECKIN" | b"CHECKOUT" | b"COPY"
            | b"LABEL" | b"LINK" | b"LOCK" | b"MERGE" | b"MKACTIVITY" | b"MKCALENDAR"
            | b"MKCOL" | b"MKREDIRECTREF" | b"MKWORKSPACE" | b"MOVE" | b"ORDERPATCH"
            | b"PROPFIND" | b"PROPPATCH" | b"QUERY" | b"REBIND" | b"REPORT" | b"SEARCH"
            | b"UNBIND" | b"UNCHECKOUT" | b"UNLINK" | b"UNLOCK" | b"UPDATE"
            | b"UPDATEREDIRECTREF" | b"VERSION-CONTROL" => Self::Other,
            _ => return None,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    Http10,
    /// Also 1.2 and later minor versions, which must be served as the highest one known.
    Http11,
    Http2,
}

/// Bytes of a token (RFC 9110, section 5.6.2).
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::indexing_slicing,
            reason = "byte < 256, evaluated at compile time"
        )]
        {
            table[byte] = (byte as u8).is_ascii_alphanumeric()
                || matches!(
                    byte as u8,
                    b'!' | b'#'
                        | b'$'
                        | b'%'
                        | b'&'
                        | b'\''
                        | b'*'
                        | b'+'
                        | b'-'
                        | b'.'
                        | b'^'
                        | b'_'
                        | b'`'
                        | b'|'
                        | b'~'
                );
        }
        byte += 1;
    }
    table
};

#[inline]
pub(crate) fn is_token_byte(byte: u8) -> bool {
    TOKEN.get(usize::from(byte)).copied().unwrap_or(false)
}

/// Whether `bytes` is a token: not empty, and of token bytes only.
#[inline]
#[must_use]
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().fold(true, |good, &byte| good & is_token_byte(byte))
}

/// Optional white space (RFC 9110, section 5.6.3) taken off both ends: blanks and tabs, nothing else.
#[inline]
#[must_use]
pub fn trim_blanks(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The members of a comma list (RFC 9110, section 5.6.1), blanks trimmed, empty members left out.
pub fn list_members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim_blanks).filter(|member| !member.is_empty())
}
