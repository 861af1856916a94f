//! HTTP/1.1 request heads (RFC 9112, sections 2, 3 and 5).
//!
//! Place: first reader of a connection's bytes. A head handed out is complete, within limits, and
//! borrows its bytes. Whatever two readers could understand in two ways is refused.
//!
//! Two ways lead to the same head. The usual one, all bytes there and nothing odd, is one pass over the
//! lines that fills the table of fields (`parse_whole`). Anything else, a head in pieces, a fault, empty
//! lines in front, goes line by line through the state machine below, which alone names faults. The
//! tests feed everything both ways.
//!
//! ```text
//!            ┌─ empty line, at most a few
//!            ▼  │
//! ExpectRequestLine ── line ──► ExpectField ── empty line ──► item
//!                                 ▲    │ line
//!                                 └────┘
//! ```

use super::super::head::{Fields, RequestHead};
use super::super::{Method, Parsed, Version, is_token, is_token_byte};
use crate::envelope::Route;
use crate::limits;

/// The bounds of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadOptions {
    /// From the request line's first byte to the head's last.
    pub size_max: usize,
    /// The one path whose heads may take [`HeadOptions::wide_size_max`]…
    pub wide_path: &'static str,
    pub wide_size_max: usize,
    /// Line end not counted.
    pub request_line_size_max: usize,
    /// No more than [`limits::HEAD_FIELD_COUNT_MAX`].
    pub field_count_max: usize,
    /// Empty lines passed over in front of the request line.
    pub empty_line_count_max: usize,
}

impl Default for HeadOptions {
    fn default() -> Self {
        Self {
            size_max: limits::HEAD_SIZE_MAX,
            wide_path: Route::Firehose.path(),
            wide_size_max: limits::HEAD_SIZE_MAX_FIREHOSE,
            request_line_size_max: limits::REQUEST_LINE_SIZE_MAX,
            field_count_max: limits::HEAD_FIELD_COUNT_MAX,
            empty_line_count_max: limits::EMPTY_LINE_COUNT_MAX,
        }
    }
}

/// What is wrong with a head or with the framing it announces. Offsets count from the first byte
/// given to [`parse`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HeadError {
    /// A line that ends in LF without CR.
    LineFeedBare {
        offset: u32,
    },
    /// A CR that no LF follows.
    CarriageReturnBare {
        offset: u32,
    },
    /// NUL or another control byte.
    ControlByte {
        offset: u32,
    },
    /// More empty lines before the request line than old clients send.
    EmptyLineCountOverLimit,
    /// The first byte cannot begin a method; most often TLS sent to a plaintext listener.
    NotHttp,
    /// Not `method SP target SP HTTP/1.x`, each with one blank.
    RequestLineMalformed {
        offset: u32,
    },
    RequestLineOverLimit,
    /// A token that is no registered method.
    MethodUnknown,
    /// `PRI`: the preface of HTTP/2, never a method.
    MethodIsPreface,
    /// A major version other than 1.
    VersionUnsupported,
    /// A byte that no target may hold: control, blank, `#`, anything but ASCII.
    TargetByte {
        offset: u32,
    },
    /// A target form that does not fit the method, or an absolute form with an odd authority.
    TargetMalformed,
    /// White space before the first field, or a folded field.
    FieldFolded {
        offset: u32,
    },
    /// A field name that is empty or has a byte no token has, such as a blank before the colon.
    FieldNameInvalid {
        offset: u32,
    },
    HeadSizeOverLimit,
    FieldCountOverLimit,
    HostMissing,
    HostRepeated,
    HostInvalid,
    /// Transfer-Encoding together with Content-Length.
    LengthContradictsChunked,
    LengthInvalid,
    /// More than one Content-Length, in one field or several, equal or not.
    LengthRepeated,
    /// Transfer-Encoding in a request of HTTP/1.0.
    TransferCodingInHttp10,
    /// A Transfer-Encoding that is not exactly one `chunked`.
    TransferCodingInvalid,
    /// A well-formed chain of codings that ends in `chunked`: legal, but we undo no other.
    TransferCodingUnsupported,
    /// An expectation other than `100-continue`.
    ExpectationUnknown,
}

impl HeadError {
    /// The fault in words, without its place.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::LineFeedBare { .. } => "a line of the head ends without a carriage return",
            Self::CarriageReturnBare { .. } => "a carriage return without a line feed",
            Self::ControlByte { .. } => "a control byte in the head",
            Self::EmptyLineCountOverLimit => "too many empty lines before the request line",
            Self::NotHttp => "this is not HTTP; is the client speaking TLS to a plaintext port?",
            Self::RequestLineMalformed { .. } => {
                "the request line is not a method, a target and HTTP/1.x with one blank between each"
            }
            Self::RequestLineOverLimit => "the request target is too long",
            Self::MethodUnknown => "the method is not one this server knows",
            Self::MethodIsPreface => "PRI is the preface of HTTP/2 and not a method",
            Self::VersionUnsupported => "this version of HTTP is not spoken here",
            Self::TargetByte { .. } => "the request target has a byte that must be percent-encoded",
            Self::TargetMalformed => "the request target has a form that does not fit its method",
            Self::FieldFolded { .. } => "a line of the head begins with white space",
            Self::FieldNameInvalid { .. } => "a field name is not a token followed by a colon",
            Self::HeadSizeOverLimit => "the head of the request is too large",
            Self::FieldCountOverLimit => "the request has too many header fields",
            Self::HostMissing => "the Host field is missing",
            Self::HostRepeated => "the Host field is repeated",
            Self::HostInvalid => "the Host field is not a host with an optional port",
            Self::LengthContradictsChunked => {
                "Content-Length and Transfer-Encoding exclude each other"
            }
            Self::LengthInvalid => "Content-Length is not a decimal number",
            Self::LengthRepeated => "Content-Length is given more than once",
            Self::TransferCodingInHttp10 => "HTTP/1.0 has no Transfer-Encoding",
            Self::TransferCodingInvalid => "Transfer-Encoding is not exactly one `chunked`",
            Self::TransferCodingUnsupported => "no transfer coding but `chunked` is supported",
            Self::ExpectationUnknown => "the only expectation that can be met is 100-continue",
        }
    }

    /// Where in the head, if the fault has one place.
    #[must_use]
    pub const fn offset(self) -> Option<u32> {
        match self {
            Self::LineFeedBare { offset }
            | Self::CarriageReturnBare { offset }
            | Self::ControlByte { offset }
            | Self::RequestLineMalformed { offset }
            | Self::TargetByte { offset }
            | Self::FieldFolded { offset }
            | Self::FieldNameInvalid { offset } => Some(offset),
            _ => None,
        }
    }
}

/// How far a head was looked at: kept by the caller between two calls of [`parse`] on bytes that
/// start at the same place, so that a head that trickles in costs no more than one that comes whole.
#[derive(Clone, Debug, Default)]
pub struct HeadScan {
    state: ScanState,
    /// Start of the first line that is not yet complete.
    line_start: usize,
    /// Up to here no LF stands in that line.
    searched: usize,
    empty_line_count: usize,
    field_count: usize,
    request_line: RequestLine,
    wide: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ScanState {
    #[default]
    ExpectRequestLine,
    ExpectField,
}

/// Places of the request line's parts.
#[derive(Clone, Copy, Debug)]
struct RequestLine {
    start: usize,
    method: Method,
    version: Version,
    target_start: usize,
    target_end: usize,
    fields_start: usize,
}

impl Default for RequestLine {
    fn default() -> Self {
        Self {
            start: 0,
            method: Method::Get,
            version: Version::Http11,
            target_start: 0,
            target_end: 0,
            fields_start: 0,
        }
    }
}

impl HeadScan {
    /// Whether a head has begun: tells the head timeout from the idle timeout.
    #[must_use]
    pub const fn has_begun(&self) -> bool {
        self.searched > 0
    }

    /// Whether the limit that holds is the wide one.
    #[must_use]
    pub const fn is_wide(&self) -> bool {
        self.wide
    }
}

/// Reads one request head from the start of `bytes`.
///
/// While the answer is `NeedMore` the caller adds bytes behind those it has and calls again with the
/// same `scan`. With an item `scan` is ready for the next head; `size` counts empty lines passed over
/// in front. After an error the connection is lost: where the next request starts is not known.
pub fn parse<'a>(
    bytes: &'a [u8],
    options: &HeadOptions,
    scan: &mut HeadScan,
) -> Result<Parsed<RequestHead<'a>>, HeadError> {
    if scan.searched == 0
        && let Some((head, size)) = parse_whole(bytes, options)
    {
        return Ok(Parsed::Item { value: head, size });
    }
    loop {
        let unseen = bytes.get(scan.searched..).unwrap_or_default();
        let Some(distance) = memchr::memchr(b'\n', unseen) else {
            scan.searched = bytes.len();
            check_open_line(bytes, options, scan)?;
            return Ok(Parsed::NeedMore);
        };
        let line_feed = scan.searched + distance;
        let line = bytes.get(scan.line_start..line_feed).unwrap_or_default();
        let line_start = scan.line_start;
        match scan.state {
            ScanState::ExpectRequestLine => {
                check_first_byte(line, line_start)?;
                check_request_line_size(line, options)?;
                let line = without_carriage_return(line, line_start)?;
                if line.is_empty() {
                    scan.empty_line_count += 1;
                    if scan.empty_line_count > options.empty_line_count_max {
                        return Err(HeadError::EmptyLineCountOverLimit);
                    }
                } else {
                    let (parts, path, _) = request_line(bytes, line, line_start, line_feed + 1)?;
                    scan.request_line = parts;
                    scan.wide = path.strip_suffix('/').unwrap_or(path) == options.wide_path;
                    scan.state = ScanState::ExpectField;
                }
            }
            ScanState::ExpectField => {
                if line_feed + 1 - scan.request_line.start > head_size_max(options, scan) {
                    return Err(HeadError::HeadSizeOverLimit);
                }
                let line = without_carriage_return(line, line_start)?;
                if line.is_empty() {
                    let head = assemble(bytes, line_feed + 1, scan)?;
                    *scan = HeadScan::default();
                    return Ok(Parsed::Item { value: head, size: line_feed + 1 });
                }
                check_field_line(line, line_start)?;
                scan.field_count += 1;
                if scan.field_count > options.field_count_max.min(limits::HEAD_FIELD_COUNT_MAX) {
                    return Err(HeadError::FieldCountOverLimit);
                }
            }
        }
        scan.line_start = line_feed + 1;
        scan.searched = line_feed + 1;
    }
}

fn head_size_max(options: &HeadOptions, scan: &HeadScan) -> usize {
    if scan.wide { options.wide_size_max } else { options.size_max }
}

/// Whatever is wrong already with a line whose end is not there yet.
fn check_open_line(bytes: &[u8], options: &HeadOptions, scan: &HeadScan) -> Result<(), HeadError> {
    let line = bytes.get(scan.line_start..).unwrap_or_default();
    match scan.state {
        ScanState::ExpectRequestLine => {
            check_first_byte(line, scan.line_start)?;
            check_request_line_size(line, options)
        }
        ScanState::ExpectField => {
            if bytes.len() - scan.request_line.start > head_size_max(options, scan) {
                return Err(HeadError::HeadSizeOverLimit);
            }
            Ok(())
        }
    }
}

/// `line` may still hold its CR, or not yet.
fn check_request_line_size(line: &[u8], options: &HeadOptions) -> Result<(), HeadError> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() <= options.request_line_size_max {
        return Ok(());
    }
    // Too long before the first blank is a method nobody knows, not a target that is too long.
    let method = line.get(..=Method::SIZE_MAX).unwrap_or(line);
    if method.contains(&b' ') {
        Err(HeadError::RequestLineOverLimit)
    } else {
        Err(HeadError::MethodUnknown)
    }
}

/// A line without its CR LF, free of control bytes.
#[inline]
fn without_carriage_return(line: &[u8], start: usize) -> Result<&[u8], HeadError> {
    // Folded without a branch a byte, so that it is vectorised: the first fault is sought only when
    // there is one.
    let (last, content) = line.split_last().unwrap_or((&b'\n', &[]));
    let mut faulty = *last != b'\r';
    for &byte in content {
        faulty |= (byte < b' ' && byte != b'\t') | (byte == 0x7f);
    }
    if faulty { Err(line_error(line, start)) } else { Ok(content) }
}

#[cold]
fn line_error(line: &[u8], start: usize) -> HeadError {
    let content = line.strip_suffix(b"\r").unwrap_or(line);
    let is_control = |byte: u8| (byte < b' ' && byte != b'\t') || byte == 0x7f;
    match content.iter().position(|&byte| is_control(byte)) {
        Some(index) if content.get(index) == Some(&b'\r') => {
            HeadError::CarriageReturnBare { offset: offset(start + index) }
        }
        Some(index) => HeadError::ControlByte { offset: offset(start + index) },
        None => HeadError::LineFeedBare { offset: offset(start + line.len()) },
    }
}

/// A line that cannot begin a method is known for what it is before it ends: TLS sent to a plaintext
/// listener may hold no LF at all.
fn check_first_byte(line: &[u8], start: usize) -> Result<(), HeadError> {
    match line.first() {
        None | Some(b'\r') => Ok(()),
        Some(&byte) if is_token_byte(byte) => Ok(()),
        Some(b' ' | b'\t') => Err(HeadError::RequestLineMalformed { offset: offset(start) }),
        Some(_) => Err(HeadError::NotHttp),
    }
}

/// An offset for an error; heads are far smaller than 4 GiB.
fn offset(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

/// `method SP target SP HTTP/1.x`, exactly; with the path and query of the target.
fn request_line<'a>(
    bytes: &'a [u8],
    line: &[u8],
    start: usize,
    fields_start: usize,
) -> Result<(RequestLine, &'a str, Option<&'a str>), HeadError> {
    let malformed =
        |index: usize| HeadError::RequestLineMalformed { offset: offset(start + index) };
    let method_end = memchr::memchr(b' ', line).ok_or_else(|| malformed(line.len()))?;
    let (method_name, rest) = line.split_at_checked(method_end).ok_or_else(|| malformed(0))?;
    if !is_token(method_name) {
        return Err(malformed(0));
    }
    let rest = rest.get(1..).unwrap_or_default();
    let target_size = memchr::memchr(b' ', rest).ok_or_else(|| malformed(line.len()))?;
    let (target, version) = rest.split_at_checked(target_size).ok_or_else(|| malformed(0))?;
    let version = version.get(1..).unwrap_or_default();
    let target_start = start + method_end + 1;
    if target.is_empty() {
        return Err(malformed(method_end + 1));
    }
    let version = match version {
        b"HTTP/1.1" => Version::Http11,
        b"HTTP/1.0" => Version::Http10,
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            if *major != b'1' {
                // The preface of HTTP/2 says more than that its version is unknown.
                return Err(if method_name == b"PRI" {
                    HeadError::MethodIsPreface
                } else {
                    HeadError::VersionUnsupported
                });
            }
            Version::Http11
        }
        _ => return Err(malformed(method_end + 1 + target_size + 1)),
    };
    if method_name == b"PRI" {
        return Err(HeadError::MethodIsPreface);
    }
    let method = Method::from_name(method_name).ok_or(HeadError::MethodUnknown)?;
    if let Some(index) = target.iter().position(|&byte| !byte.is_ascii_graphic() || byte == b'#') {
        return Err(HeadError::TargetByte { offset: offset(target_start + index) });
    }
    let request_line = RequestLine {
        start,
        method,
        version,
        target_start,
        target_end: target_start + target.len(),
        fields_start,
    };
    let (path, query) = target_parts(bytes, &request_line)?;
    Ok((request_line, path, query))
}

/// Path and query of a target, by its form (RFC 9112, section 3.2).
fn target_parts<'a>(
    bytes: &'a [u8],
    line: &RequestLine,
) -> Result<(&'a str, Option<&'a str>), HeadError> {
    let target = bytes.get(line.target_start..line.target_end).unwrap_or_default();
    // All bytes were found to be graphic ASCII.
    let target = std::str::from_utf8(target).map_err(|_| HeadError::TargetMalformed)?;
    if line.method == Method::Connect {
        return match target.rsplit_once(':') {
            Some((_, port)) if !port.is_empty() && is_authority(target.as_bytes()) => {
                Ok((target, None))
            }
            _ => Err(HeadError::TargetMalformed),
        };
    }
    if target == "*" {
        return match line.method {
            Method::Options => Ok((target, None)),
            _ => Err(HeadError::TargetMalformed),
        };
    }
    let origin = if target.starts_with('/') {
        target
    } else {
        let (scheme, rest) = target.split_once("://").ok_or(HeadError::TargetMalformed)?;
        if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
            return Err(HeadError::TargetMalformed);
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, origin) = rest.split_at_checked(end).ok_or(HeadError::TargetMalformed)?;
        if authority.is_empty() || !is_authority(authority.as_bytes()) {
            return Err(HeadError::TargetMalformed);
        }
        origin
    };
    Ok(match origin.split_once('?') {
        // An absolute form without a path means `/` (RFC 9110, section 4.2.3), and for OPTIONS the
        // whole server (RFC 9112, section 3.2.4).
        None if origin.is_empty() && line.method == Method::Options => ("*", None),
        None if origin.is_empty() => ("/", None),
        None => (origin, None),
        Some(("", query)) => ("/", Some(query)),
        Some((path, query)) => (path, Some(query)),
    })
}

/// `host [":" port]` without user information; an empty host is an authority too.
fn is_authority(value: &[u8]) -> bool {
    let (host, port) = match value.strip_prefix(b"[") {
        Some(rest) => {
            let Some(end) = memchr::memchr(b']', rest) else {
                return false;
            };
            let (literal, after) = rest.split_at_checked(end).unwrap_or_default();
            let literal_byte = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
            if literal.is_empty() || !literal.iter().all(literal_byte) {
                return false;
            }
            (&b""[..], after.get(1..).unwrap_or_default())
        }
        None => match memchr::memchr(b':', value) {
            Some(colon) => value.split_at_checked(colon).unwrap_or_default(),
            None => (value, &b""[..]),
        },
    };
    // Sub-delimiters of RFC 3986 except the comma: a list of hosts is an attack, not a name.
    let host_byte = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'-' | b'.' | b'_' | b'~' | b'%' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*'
            )
            || matches!(byte, b'+' | b';' | b'=')
    };
    host.iter().all(host_byte)
        && match port.split_first() {
            None => true,
            Some((b':', digits)) => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
            Some(_) => false,
        }
}

/// `name ":" value` with a name that is a token. The value's bytes were checked with the line's.
#[inline]
fn check_field_line(line: &[u8], start: usize) -> Result<(), HeadError> {
    if let Some(b' ' | b'\t') = line.first() {
        return Err(HeadError::FieldFolded { offset: offset(start) });
    }
    let name_size = line.iter().position(|&byte| !is_token_byte(byte)).unwrap_or(line.len());
    if name_size == 0 || line.get(name_size) != Some(&b':') {
        return Err(HeadError::FieldNameInvalid { offset: offset(start + name_size) });
    }
    Ok(())
}

/// The view of a head that was scanned to its end.
fn assemble<'a>(
    bytes: &'a [u8],
    end: usize,
    scan: &HeadScan,
) -> Result<RequestHead<'a>, HeadError> {
    let line = &scan.request_line;
    let (path, query) = target_parts(bytes, line)?;
    let head = RequestHead {
        method: line.method,
        path,
        query,
        version: line.version,
        fields: fields(bytes, line.fields_start, end, scan.field_count)?,
    };
    check_host(&head)?;
    Ok(head)
}

/// The fields of lines that were checked before.
fn fields(bytes: &[u8], start: usize, end: usize, count: usize) -> Result<Fields<'_>, HeadError> {
    let mut fields = Fields::new(bytes);
    let mut line_start = start;
    while fields.count() < count {
        let invalid = HeadError::FieldNameInvalid { offset: offset(line_start) };
        let rest = bytes.get(line_start..end).unwrap_or_default();
        let size = memchr::memchr(b'\n', rest).ok_or(invalid)?;
        let line = rest.get(..size.saturating_sub(1)).unwrap_or_default();
        if !push_field(&mut fields, line, line_start) {
            return Err(invalid);
        }
        line_start += size + 1;
    }
    Ok(fields)
}

/// Adds the field of a line without its CR LF. False where there is no field in it, or no room.
#[inline]
fn push_field(fields: &mut Fields<'_>, line: &[u8], start: usize) -> bool {
    let name_size = line.iter().position(|&byte| !is_token_byte(byte)).unwrap_or(line.len());
    if name_size == 0 || line.get(name_size) != Some(&b':') {
        return false;
    }
    let value_start = name_size + 1;
    fields.push((start, name_size), (start + value_start, line.len() - value_start))
}

/// A whole head in which nothing is odd, in one pass. `None` says only that it is not that simple.
fn parse_whole<'a>(bytes: &'a [u8], options: &HeadOptions) -> Option<(RequestHead<'a>, usize)> {
    let next_line = |start: usize| {
        let rest = bytes.get(start..)?;
        let size = memchr::memchr(b'\n', rest)?;
        let line = rest.get(..size)?.strip_suffix(b"\r")?;
        Some((line, start + size + 1))
    };
    let (first, fields_start) = next_line(0)?;
    if first.is_empty() || first.len() > options.request_line_size_max {
        return None;
    }
    let (line, path, query) = request_line(bytes, first, 0, fields_start).ok()?;
    let mut head = RequestHead {
        method: line.method,
        path,
        query,
        version: line.version,
        fields: Fields::new(bytes),
    };
    let mut line_start = fields_start;
    let size = loop {
        let (line, next) = next_line(line_start)?;
        if line.is_empty() {
            break next;
        }
        if !push_field(&mut head.fields, line, line_start) {
            return None;
        }
        line_start = next;
    };
    // A wide head is rare, and the state machine knows its limit.
    if size > options.size_max || head.fields.count() > options.field_count_max {
        return None;
    }
    // Every line was seen to end in CR LF: any control byte beyond those stands where none may.
    // Counted over the head as a whole, which is many times faster than line by line.
    let mut controls = 0_usize;
    // 64 fit the byte that counts them; a wider counter would take a quarter of each vector.
    for chunk in bytes.get(..size)?.chunks(64) {
        controls += usize::from(chunk.iter().fold(0_u8, |count, &byte| {
            count + u8::from((byte < b' ' && byte != b'\t') | (byte == 0x7f))
        }));
    }
    if controls != 2 * (head.fields.count() + 2) {
        return None;
    }
    check_host(&head).ok()?;
    Some((head, size))
}

/// Exactly one valid Host in HTTP/1.1, at most one in 1.0 (RFC 9112, section 3.2).
fn check_host(head: &RequestHead<'_>) -> Result<(), HeadError> {
    match head.fields.single("host") {
        Err(_) => Err(HeadError::HostRepeated),
        Ok(None) if head.version == Version::Http10 => Ok(()),
        Ok(None) => Err(HeadError::HostMissing),
        Ok(Some(host)) if is_authority(host) => Ok(()),
        Ok(Some(_)) => Err(HeadError::HostInvalid),
    }
}
