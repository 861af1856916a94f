//! From decoded fields to a request head (RFC 9113, section 8).
//!
//! What is wrong here is wrong with one request, not with the connection: "malformed" in the RFC's words.

use super::hpack::FieldList;
use crate::http::head::{Fields, RequestHead};
use crate::http::{Method, Version, is_token_byte};

/// Why a request, or its trailers, are malformed (sections 8.1.1, 8.2 and 8.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    PseudoUnknown,
    PseudoRepeated,
    PseudoMissing,
    PseudoAfterField,
    PseudoInTrailers,
    NameInvalid,
    ValueInvalid,
    /// `connection`, `transfer-encoding` and their kin belong to HTTP/1.1.
    ConnectionField,
    TeNotTrailers,
    PathInvalid,
    HostContradicts,
    LengthInvalid,
}

impl Malformed {
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::PseudoUnknown => "a pseudo-header field is not defined for requests",
            Self::PseudoRepeated => "a pseudo-header field stands twice",
            Self::PseudoMissing => "a request needs :method, :scheme and :path",
            Self::PseudoAfterField => "a pseudo-header field stands behind a regular one",
            Self::PseudoInTrailers => "trailers hold a pseudo-header field",
            Self::NameInvalid => "a field name holds a byte that is not allowed",
            Self::ValueInvalid => "a field value holds a byte that is not allowed",
            Self::ConnectionField => "a field belongs to HTTP/1.1 connections",
            Self::TeNotTrailers => "te may only say trailers",
            Self::PathInvalid => ":path is not a path",
            Self::HostContradicts => "host and :authority differ",
            Self::LengthInvalid => "content-length is not a number",
        }
    }
}

/// A request's head and the length that it states for its body.
#[derive(Debug)]
pub struct Head<'a> {
    pub head: RequestHead<'a>,
    pub length: Option<u64>,
}

/// Reads a request's fields. All of them are within the limits of the list.
pub fn request_head(list: &FieldList) -> Result<Head<'_>, Malformed> {
    let (mut method, mut scheme, mut path, mut authority) = (None, None, None, None);
    let (mut host, mut length) = (None, None);
    let mut fields = Fields::new(list.bytes());
    for place in list.places() {
        let (name, value) = list.at(place);
        check_value(value)?;
        if let [b':', pseudo @ ..] = name {
            if fields.count() > 0 {
                return Err(Malformed::PseudoAfterField);
            }
            let slot = match pseudo {
                b"method" => &mut method,
                b"scheme" => &mut scheme,
                b"path" => &mut path,
                b"authority" => &mut authority,
                _ => return Err(Malformed::PseudoUnknown),
            };
            if slot.replace(value).is_some() {
                return Err(Malformed::PseudoRepeated);
            }
            continue;
        }
        check_name(name)?;
        check_connection_field(name, value)?;
        match name {
            b"host" if host.replace(value).is_some() => return Err(Malformed::HostContradicts),
            b"content-length" => {
                let number = parse_length(value).ok_or(Malformed::LengthInvalid)?;
                if length.replace(number).is_some_and(|before| before != number) {
                    return Err(Malformed::LengthInvalid);
                }
            }
            _ => {}
        }
        // Never full: the list has the same limit.
        let _ = fields.push(place.name(), place.value());
    }
    if let (Some(host), Some(authority)) = (host, authority)
        && !host.eq_ignore_ascii_case(authority)
    {
        return Err(Malformed::HostContradicts);
    }
    let method =
        Method::from_name(method.ok_or(Malformed::PseudoMissing)?).unwrap_or(Method::Other);
    let (path, query) = if method == Method::Connect {
        (authority.ok_or(Malformed::PseudoMissing)?, None)
    } else {
        scheme.ok_or(Malformed::PseudoMissing)?;
        split_path(path.ok_or(Malformed::PseudoMissing)?, method)?
    };
    let text = |bytes| std::str::from_utf8(bytes).map_err(|_| Malformed::PathInvalid);
    let head = RequestHead {
        method,
        path: text(path)?,
        query: query.map(text).transpose()?,
        version: Version::Http2,
        fields,
    };
    Ok(Head { head, length })
}

/// Trailers are read away, but must be well-formed all the same (section 8.1).
pub fn check_trailers(list: &FieldList) -> Result<(), Malformed> {
    for (name, value) in list.iter() {
        if name.first() == Some(&b':') {
            return Err(Malformed::PseudoInTrailers);
        }
        check_name(name)?;
        check_value(value)?;
        check_connection_field(name, value)?;
    }
    Ok(())
}

fn split_path(path: &[u8], method: Method) -> Result<(&[u8], Option<&[u8]>), Malformed> {
    let is_star = path == b"*" && method == Method::Options;
    let is_graphic = path.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#');
    if !is_graphic || !(is_star || path.first() == Some(&b'/')) {
        return Err(Malformed::PathInvalid);
    }
    let mut parts = path.splitn(2, |&byte| byte == b'?');
    Ok((parts.next().unwrap_or_default(), parts.next()))
}

fn check_name(name: &[u8]) -> Result<(), Malformed> {
    let is_good = |byte: u8| is_token_byte(byte) && !byte.is_ascii_uppercase();
    match !name.is_empty() && name.iter().all(|&byte| is_good(byte)) {
        true => Ok(()),
        false => Err(Malformed::NameInvalid),
    }
}

/// Section 8.2.1: no NUL, CR or LF, no blank at either end.
fn check_value(value: &[u8]) -> Result<(), Malformed> {
    let is_bad = value.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n'));
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    match is_bad || is_blank(value.first()) || is_blank(value.last()) {
        true => Err(Malformed::ValueInvalid),
        false => Ok(()),
    }
}

fn check_connection_field(name: &[u8], value: &[u8]) -> Result<(), Malformed> {
    match name {
        b"connection" | b"proxy-connection" | b"keep-alive" | b"transfer-encoding" | b"upgrade" => {
            Err(Malformed::ConnectionField)
        }
        b"te" if !value.eq_ignore_ascii_case(b"trailers") => Err(Malformed::TeNotTrailers),
        _ => Ok(()),
    }
}

fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0u64, |number, &byte| {
        let digit = byte.is_ascii_digit().then_some(u64::from(byte.wrapping_sub(b'0')))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}
