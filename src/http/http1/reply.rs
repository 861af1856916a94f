//! Replies as HTTP/1.1 bytes (RFC 9112, section 4; RFC 9110, sections 6.6.1 and 8.6).
//!
//! Place: last before the socket. Appends to memory of the caller and allocates nothing itself.

use super::super::Version;
use super::super::reply::{Reply, Value, reason};

/// The whole interim reply to `Expect: 100-continue`.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The whole reply to a request in the clear on a TLS port.
pub const PLAIN_HTTP: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\n\
    content-length: 45\r\nconnection: close\r\n\r\nthis port speaks TLS: use https:// as scheme\n";

/// What of the request matters to the form of its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyTo {
    pub version: Version,
    /// HEAD: the same fields as for GET, and no body.
    pub head_only: bool,
    /// The connection ends after this reply.
    pub close: bool,
}

impl ReplyTo {
    /// For a request whose head could not be read.
    pub const UNREADABLE: Self = Self { version: Version::Http11, head_only: false, close: true };
}

/// The text of the `Date` field, made once a second.
#[derive(Clone, Debug)]
pub struct DateField {
    text: [u8; Self::SIZE],
    seconds: u64,
}

impl Default for DateField {
    fn default() -> Self {
        Self::new()
    }
}

impl DateField {
    /// `Sun, 06 Nov 1994 08:49:37 GMT`
    pub const SIZE: usize = 29;

    #[must_use]
    pub fn new() -> Self {
        Self { text: imf_fixdate(0), seconds: 0 }
    }

    /// Takes the time in seconds since the Unix epoch; cheap when the second did not change.
    #[inline]
    pub fn refresh(&mut self, now_seconds: u64) {
        if now_seconds != self.seconds {
            self.seconds = now_seconds;
            self.text = imf_fixdate(now_seconds);
        }
    }

    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.text
    }
}

/// IMF-fixdate (RFC 9110, section 5.6.7); years past 9999 stay there.
fn imf_fixdate(seconds: u64) -> [u8; DateField::SIZE] {
    const DAYS: [&[u8; 3]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];
    const MONTHS: [&[u8; 3]; 12] = [
        b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov",
        b"Dec",
    ];
    /// 9999-12-31T23:59:59Z
    const SECONDS_MAX: u64 = 253_402_300_799;
    let seconds = seconds.min(SECONDS_MAX);
    let (days, second_of_day) = (seconds / 86_400, seconds % 86_400);
    // Years start in March here, so that the leap day is a year's last: 400 years repeat exactly.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month_index = (month_from_march + 2) % 12;
    let year = era * 400 + year_of_era + u64::from(month_index < 2);

    let name = |names: &[&'static [u8; 3]], index: u64| {
        names.get(crate::limits::size(index)).copied().copied().unwrap_or(*b"   ")
    };
    let digit = |number: u64| b'0' + u8::try_from(number % 10).unwrap_or(0);
    let pair = |number: u64| [digit(number / 10), digit(number)];
    let [w0, w1, w2] = name(&DAYS, days % 7);
    let [m0, m1, m2] = name(&MONTHS, month_index);
    let [d0, d1] = pair(day);
    let ([y0, y1], [y2, y3]) = (pair(year / 100), pair(year % 100));
    let [h0, h1] = pair(second_of_day / 3_600);
    let [n0, n1] = pair(second_of_day / 60 % 60);
    let [s0, s1] = pair(second_of_day % 60);
    [
        w0, w1, w2, b',', b' ', d0, d1, b' ', m0, m1, m2, b' ', y0, y1, y2, y3, b' ', h0, h1, b':',
        n0, n1, b':', s0, s1, b' ', b'G', b'M', b'T',
    ]
}

/// Appends the reply to `out`.
///
/// 1xx and 204 carry neither body nor length; everything else states its length, also for HEAD.
/// Never chunked, so that HTTP/1.0 needs no other form.
pub fn encode(reply: &Reply, request: ReplyTo, date: &DateField, out: &mut Vec<u8>) {
    let body = reply.body.as_bytes();
    let bodiless = reply.status == 204 || reply.status < 200;
    debug_assert!(!bodiless || body.is_empty(), "a {} has no body", reply.status);
    // One growth at most: the fixed text is below 256 bytes.
    out.reserve(512 + body.len());
    match reply.status {
        204 => out.extend_from_slice(b"HTTP/1.1 204 No Content\r\ndate: "),
        200 => out.extend_from_slice(b"HTTP/1.1 200 OK\r\ndate: "),
        status => {
            out.extend_from_slice(b"HTTP/1.1 ");
            push_number(out, u64::from(status));
            out.push(b' ');
            out.extend_from_slice(reason(status).as_bytes());
            out.extend_from_slice(b"\r\ndate: ");
        }
    }
    out.extend_from_slice(date.as_bytes());
    out.extend_from_slice(b"\r\n");
    if let (Some(content_type), false) = (reply.content_type, bodiless) {
        push_field(out, "content-type", Value::Static(content_type));
    }
    if !bodiless {
        push_field(out, "content-length", Value::Number(body.len() as u64));
    }
    for (name, value) in reply.fields() {
        push_field(out, name, value);
    }
    if reply.close || request.close {
        out.extend_from_slice(b"connection: close\r\n");
    } else if request.version == Version::Http10 {
        // Without this word an old client takes the end of the connection for granted.
        out.extend_from_slice(b"connection: keep-alive\r\n");
    }
    out.extend_from_slice(b"\r\n");
    if !request.head_only && !bodiless {
        out.extend_from_slice(body);
    }
}

fn push_field(out: &mut Vec<u8>, name: &str, value: Value<'_>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    match value {
        Value::Static(text) => out.extend_from_slice(text.as_bytes()),
        Value::Number(number) => push_number(out, number),
        Value::Bytes(bytes) => out.extend_from_slice(bytes),
    }
    out.extend_from_slice(b"\r\n");
}

fn push_number(out: &mut Vec<u8>, number: u64) {
    // Decimal digits of 2^64: 20.
    let mut digits = [b'0'; 20];
    let mut rest = number;
    let mut used = 0;
    for slot in digits.iter_mut().rev() {
        *slot = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        used += 1;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - used..).unwrap_or_default());
}
