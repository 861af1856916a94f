//! What follows a head: how long its body is, and what becomes of the connection
//! (RFC 9112, sections 6 and 9; RFC 9110, section 10.1.1).
//!
//! Place: between a parsed head and the reading of its body. Every doubt is an error here: two
//! readers of one connection that disagree about a length are how requests are smuggled.

use super::super::head::{FieldRepeated, RequestHead};
use super::super::{Version, is_token, list_members};
use super::head::HeadError;

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFraming {
    /// Nothing was announced, or a length of zero: the next byte starts the next head.
    Empty,
    /// Exactly so many bytes, never zero.
    Length(u64),
    Chunked,
}

/// The framing of the request's body (RFC 9112, section 6.3), for every method alike.
pub fn body_framing(head: &RequestHead<'_>) -> Result<BodyFraming, HeadError> {
    let transfer_coding = head.fields.single("transfer-encoding");
    let length = head.fields.single("content-length");
    match (transfer_coding, length) {
        (Ok(None), Ok(None)) => Ok(BodyFraming::Empty),
        (Ok(None), Ok(Some(length))) => content_length(length),
        (Ok(None), Err(FieldRepeated)) => Err(HeadError::LengthRepeated),
        (_, Ok(Some(_)) | Err(FieldRepeated)) => Err(HeadError::LengthContradictsChunked),
        (_, Ok(None)) if head.version == Version::Http10 => Err(HeadError::TransferCodingInHttp10),
        (Err(FieldRepeated), _) => Err(HeadError::TransferCodingInvalid),
        (Ok(Some(codings)), _) => transfer_codings(codings),
    }
}

/// Digits only: no sign, no blank, no list, nothing past 64 bits.
fn content_length(value: &[u8]) -> Result<BodyFraming, HeadError> {
    if value.contains(&b',') {
        return Err(HeadError::LengthRepeated);
    }
    if value.is_empty() {
        return Err(HeadError::LengthInvalid);
    }
    let mut length: u64 = 0;
    for &byte in value {
        if !byte.is_ascii_digit() {
            return Err(HeadError::LengthInvalid);
        }
        length = length
            .checked_mul(10)
            .and_then(|length| length.checked_add(u64::from(byte - b'0')))
            .ok_or(HeadError::LengthInvalid)?;
    }
    Ok(if length == 0 { BodyFraming::Empty } else { BodyFraming::Length(length) })
}

fn transfer_codings(value: &[u8]) -> Result<BodyFraming, HeadError> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(BodyFraming::Chunked);
    }
    // A clean list whose last member alone is `chunked` is legal, but there is no such sender.
    let mut members = value.split(|&byte| byte == b',').map(super::super::trim_blanks).rev();
    let ends_chunked = members.next().is_some_and(|last| last.eq_ignore_ascii_case(b"chunked"));
    let rest_is_clean =
        members.all(|member| is_token(member) && !member.eq_ignore_ascii_case(b"chunked"));
    if ends_chunked && rest_is_clean {
        Err(HeadError::TransferCodingUnsupported)
    } else {
        Err(HeadError::TransferCodingInvalid)
    }
}

/// Whether the client wants the connection to live on (RFC 9112, section 9.3).
#[must_use]
pub fn keeps_alive(head: &RequestHead<'_>) -> bool {
    let mut close = false;
    let mut keep_alive = false;
    for value in head.fields.all("connection") {
        for member in list_members(value) {
            close |= member.eq_ignore_ascii_case(b"close");
            keep_alive |= member.eq_ignore_ascii_case(b"keep-alive");
        }
    }
    !close && (head.version != Version::Http10 || keep_alive)
}

/// Whether the client waits for `100 Continue` before it sends the body.
///
/// False in HTTP/1.0, where the field has no meaning, and where no body was announced.
pub fn expects_continue(head: &RequestHead<'_>) -> Result<bool, HeadError> {
    if head.version == Version::Http10 {
        return Ok(false);
    }
    let mut expected = false;
    for value in head.fields.all("expect") {
        for member in list_members(value) {
            if !member.eq_ignore_ascii_case(b"100-continue") {
                return Err(HeadError::ExpectationUnknown);
            }
            expected = true;
        }
    }
    Ok(expected && body_framing(head)? != BodyFraming::Empty)
}
