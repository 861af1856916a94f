//! RFC 9110, sections 6 and 8.6, with RFC 9112, sections 4 and 6: what every reply carries.

use inrush::http::Version;
use inrush::http::http1::reply::{DateField, ReplyTo, encode};
use inrush::http::reply::{Body, FIELD_BYTES_SIZE_MAX, FIELD_COUNT_MAX, Reply, Value};

const PLAIN: ReplyTo = ReplyTo { version: Version::Http11, head_only: false, close: false };

fn text(reply: &Reply, request: ReplyTo) -> String {
    let mut out = b"before".to_vec();
    let mut date = DateField::new();
    date.refresh(784_111_777);
    encode(reply, request, &date, &mut out);
    String::from_utf8(out).unwrap().strip_prefix("before").unwrap().to_owned()
}

fn with_body(status: u16, body: &'static str) -> Reply {
    let mut reply = Reply::new();
    reply.status = status;
    reply.content_type = Some("text/plain");
    reply.body = Body::Static(body.as_bytes());
    reply
}

#[test]
fn a_reply_states_type_length_and_date() {
    assert_eq!(
        text(&with_body(200, "hello"), PLAIN),
        "HTTP/1.1 200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
         content-type: text/plain\r\ncontent-length: 5\r\n\r\nhello"
    );
}

/// 6.6.1: IMF-fixdate, in GMT, two digits a day.
#[test]
fn dates_are_imf_fixdates() {
    for (seconds, expected) in [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
        (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT"),
        (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
        (1_795_461_630, "Mon, 23 Nov 2026 19:20:30 GMT"),
        (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
        (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
    ] {
        let mut date = DateField::new();
        date.refresh(seconds);
        assert_eq!(date.as_bytes().escape_ascii().to_string(), expected);
    }
}

/// Every day of 400 years, counted one by one.
#[test]
fn dates_agree_with_a_calendar_counted_day_by_day() {
    let months =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let mut date = DateField::new();
    let mut day_count: u64 = 0;
    for year in 1970..2370 {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let lengths = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        for (month, length) in months.iter().zip(lengths) {
            for day in 1..=length {
                date.refresh(day_count * 86_400 + 1);
                let name = days[usize::try_from(day_count % 7).unwrap()];
                let expected = format!("{name}, {day:02} {month} {year} 00:00:01 GMT");
                assert_eq!(date.as_bytes(), expected.as_bytes());
                day_count += 1;
            }
        }
    }
}

/// 8.6: MUST NOT send Content-Length with 1xx or 204; no body, no type either.
#[test]
fn no_content_has_neither_length_nor_body() {
    let mut reply = Reply::new();
    reply.status = 204;
    assert_eq!(
        text(&reply, PLAIN),
        "HTTP/1.1 204 No Content\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n"
    );
}

/// OTLP's full success: a media type, and nothing of it.
#[test]
fn an_empty_body_states_its_length() {
    let mut reply = Reply::new();
    reply.content_type = Some("application/x-protobuf");
    assert!(
        text(&reply, PLAIN)
            .ends_with("content-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n")
    );
}

/// 9.3.2: the same fields as for GET, and no body.
#[test]
fn head_gets_the_fields_without_the_body() {
    let get = text(&with_body(200, "hello"), PLAIN);
    let head = text(&with_body(200, "hello"), ReplyTo { head_only: true, ..PLAIN });
    assert_eq!(format!("{head}hello"), get);
}

#[test]
fn connection_close_is_said_when_either_side_closes() {
    let mut reply = with_body(400, "no");
    assert!(!text(&reply, PLAIN).contains("connection:"));
    assert!(text(&reply, ReplyTo { close: true, ..PLAIN }).contains("\r\nconnection: close\r\n"));
    reply.close = true;
    assert!(text(&reply, PLAIN).contains("\r\nconnection: close\r\n"));
    assert!(text(&reply, ReplyTo::UNREADABLE).contains("\r\nconnection: close\r\n"));
}

/// RFC 9112, 9.3: HTTP/1.0 is told that the connection stays. Never chunked, never 1xx.
#[test]
fn http_1_0_is_told_that_the_connection_stays() {
    let old = ReplyTo { version: Version::Http10, ..PLAIN };
    let reply = text(&with_body(200, "x"), old);
    assert!(reply.contains("\r\nconnection: keep-alive\r\n"));
    assert!(!reply.contains("transfer-encoding"));
    let closing = text(&with_body(200, "x"), ReplyTo { close: true, ..old });
    assert!(closing.contains("\r\nconnection: close\r\n") && !closing.contains("keep-alive"));
}

#[test]
fn every_status_in_use_has_its_words() {
    for status in
        [200, 202, 204, 400, 401, 403, 404, 405, 408, 413, 414, 415, 417, 431, 500, 501, 503, 505]
    {
        let mut reply = Reply::new();
        reply.status = status;
        let text = text(&reply, PLAIN);
        let line = text.lines().next().unwrap();
        assert!(line.starts_with(&format!("HTTP/1.1 {status} ")), "{line}");
        assert!(line.len() > "HTTP/1.1 200 ".len(), "{line}");
    }
    let mut reply = Reply::new();
    reply.status = 299;
    assert!(
        text(&reply, PLAIN).starts_with("HTTP/1.1 299 \r\n"),
        "an empty reason keeps its blank"
    );
}

#[test]
fn fields_are_written_in_order() {
    let mut reply = Reply::new();
    assert!(reply.push("allow", Value::Static("GET")));
    assert!(reply.push("retry-after", Value::Number(u64::MAX)));
    assert!(reply.push("x", Value::Bytes(b"echo")));
    assert!(reply.push("zero", Value::Number(0)));
    assert!(text(&reply, PLAIN).ends_with(
        "\r\nallow: GET\r\nretry-after: 18446744073709551615\r\nx: echo\r\nzero: 0\r\n\r\n"
    ));
    reply.clear();
    assert!(!text(&reply, PLAIN).contains("allow"));
}

/// What a peer sent must not split a reply in two.
#[test]
fn echoed_bytes_cannot_end_a_line() {
    for bytes in [&b"a\r\nset-cookie: x"[..], b"a\nb", b"a\0", b"\x7f", b"\xff", b"a\tb"] {
        let mut reply = Reply::new();
        assert!(!reply.push("access-control-allow-origin", Value::Bytes(bytes)));
        assert_eq!(reply.fields().count(), 0);
    }
}

#[test]
fn fields_have_bounds_and_nothing_is_added_past_them() {
    let mut reply = Reply::new();
    for _ in 0..FIELD_COUNT_MAX {
        assert!(reply.push("a", Value::Number(1)));
    }
    assert!(!reply.push("a", Value::Number(1)));
    assert_eq!(reply.fields().count(), FIELD_COUNT_MAX);
    reply.clear();
    let large = vec![b'x'; FIELD_BYTES_SIZE_MAX - 1];
    assert!(reply.push("a", Value::Bytes(&large)));
    assert!(!reply.push("b", Value::Bytes(b"xy")));
    assert!(reply.push("c", Value::Bytes(b"y")));
    assert_eq!(reply.field("a"), Some(Value::Bytes(&large)));
    assert_eq!(reply.field("b"), None);
    assert_eq!(reply.field("c"), Some(Value::Bytes(b"y")));
}

/// Bodies written for one reply after the other use the same memory.
#[test]
fn owned_bodies_keep_their_memory() {
    let mut reply = Reply::new();
    reply.owned_body().extend_from_slice(&[b'x'; 1000]);
    let first = reply.body.as_bytes().as_ptr();
    reply.clear();
    assert_eq!(reply.body, Body::Empty);
    reply.body = Body::Static(b"static between");
    reply.clear();
    reply.owned_body().extend_from_slice(&[b'y'; 1000]);
    assert_eq!(reply.body.as_bytes().as_ptr(), first);
    assert_eq!(reply.body.as_bytes(), [b'y'; 1000]);
}
