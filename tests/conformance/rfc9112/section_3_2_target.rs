//! RFC 9112, section 3.2: request targets and Host.

use crate::support::{accepts, refuses};
use inrush::http::Method;
use inrush::http::http1::head::HeadError;

fn target(method: &str, target: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: h\r\n\r\n")
}

fn parts(text: &str) -> (String, Option<String>) {
    let head = accepts(target("POST", text));
    (head.path, head.query)
}

#[test]
fn origin_form_is_split_at_the_first_question_mark() {
    let owned = |path: &str, query: Option<&str>| (path.to_owned(), query.map(str::to_owned));
    assert_eq!(parts("/"), owned("/", None));
    assert_eq!(parts("/v1/logs"), owned("/v1/logs", None));
    assert_eq!(parts("/v1/logs?"), owned("/v1/logs", Some("")));
    assert_eq!(parts("/a?b=c?d&e=/f"), owned("/a", Some("b=c?d&e=/f")));
}

/// Nothing is decoded or normalised here: one reading of a path, everywhere.
#[test]
fn paths_stay_raw() {
    for path in ["/%2e%2e/x", "//v1/logs", "/a/../b", "/v1%2Flogs", "/a;b=c", "/a|b{c}"] {
        assert_eq!(parts(path).0, path);
    }
}

/// 3.2.2: absolute form MUST be accepted, whatever Host says.
#[test]
fn absolute_form_is_read_as_its_path() {
    for (text, path, query) in [
        ("http://other/v1/logs", "/v1/logs", None),
        ("HTTPS://other:443/v1/logs?x=y", "/v1/logs", Some("x=y")),
        ("http://[::1]:80/v1/logs", "/v1/logs", None),
        ("http://other", "/", None),
        ("http://other?x", "/", Some("x")),
        ("http://other/?x", "/", Some("x")),
    ] {
        assert_eq!(parts(text), (path.to_owned(), query.map(str::to_owned)), "{text}");
    }
}

#[test]
fn absolute_forms_with_an_odd_authority_are_refused() {
    for text in [
        "http:///x",
        "http://user@h/x",
        "http://user:secret@h/x",
        "http://h:port/x",
        "http://a,b/x",
        "http://h:999999/x",
        "ftp://h/x",
        "file:///etc/passwd",
        "://h/x",
        "http:/h/x",
        "h/x",
        "h",
        "http://[::1/x",
        "http://[]/x",
        "http://[::1]x/",
        "v1/logs",
        "?x",
    ] {
        assert_eq!(refuses(target("POST", text)), HeadError::TargetMalformed, "{text}");
    }
}

/// 3.2.4: the asterisk is for OPTIONS alone.
#[test]
fn asterisk_form_is_for_options() {
    let head = accepts(target("OPTIONS", "*"));
    assert_eq!((head.method, head.path.as_str()), (Method::Options, "*"));
    assert_eq!(accepts(target("OPTIONS", "http://h")).path, "*");
    assert_eq!(accepts(target("OPTIONS", "http://h/")).path, "/");
    for method in ["GET", "POST", "HEAD"] {
        assert_eq!(refuses(target(method, "*")), HeadError::TargetMalformed);
    }
    assert_eq!(refuses(target("OPTIONS", "*?x")), HeadError::TargetMalformed);
    assert_eq!(refuses(target("OPTIONS", "**")), HeadError::TargetMalformed);
}

/// 3.2.3: authority form is for CONNECT alone, and CONNECT takes no other.
#[test]
fn authority_form_is_for_connect() {
    assert_eq!(accepts(target("CONNECT", "h:443")).path, "h:443");
    assert_eq!(accepts(target("CONNECT", "[::1]:443")).path, "[::1]:443");
    for text in ["/", "h", "h:", "http://h:80/", "user@h:1", "*"] {
        assert_eq!(refuses(target("CONNECT", text)), HeadError::TargetMalformed, "{text}");
    }
    assert_eq!(refuses(target("GET", "h:443")), HeadError::TargetMalformed);
}

/// A fragment is never sent; other bytes must be percent-encoded.
#[test]
fn bytes_that_no_target_has_are_refused() {
    for byte in (0..=255_u8).filter(|byte| !byte.is_ascii_graphic() || *byte == b'#') {
        let mut bytes = b"GET /a".to_vec();
        bytes.push(byte);
        bytes.extend_from_slice(b"b HTTP/1.1\r\nHost: h\r\n\r\n");
        let error = refuses(&bytes);
        let expected = match byte {
            b'\n' => HeadError::LineFeedBare { offset: 6 },
            b'\r' => HeadError::CarriageReturnBare { offset: 6 },
            b' ' => HeadError::RequestLineMalformed { offset: 7 },
            b'\t' => HeadError::TargetByte { offset: 6 },
            0..=0x1f | 0x7f => HeadError::ControlByte { offset: 6 },
            _ => HeadError::TargetByte { offset: 6 },
        };
        assert_eq!(error, expected, "byte {byte:#04x}");
    }
    for byte in (0x21..=0x7e_u8).filter(|byte| *byte != b'#' && *byte != b'?') {
        let path = format!("/a{}b", char::from(byte));
        assert_eq!(parts(&path).0, path);
    }
}

fn hosts(lines: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\n{lines}\r\n").into_bytes()
}

/// 3.2: a server MUST respond 400 to HTTP/1.1 without Host, or with more than one, or an invalid one.
#[test]
fn host_is_there_exactly_once() {
    assert_eq!(refuses(hosts("")), HeadError::HostMissing);
    assert_eq!(refuses(hosts("Host: h\r\nHost: h\r\n")), HeadError::HostRepeated);
    assert_eq!(refuses(hosts("Host: a\r\nhOST: b\r\n")), HeadError::HostRepeated);
    assert_eq!(refuses(hosts("Host: a\r\nX: y\r\nHost:\r\n")), HeadError::HostRepeated);
    // Absolute form makes no exception.
    assert_eq!(refuses("GET http://h/ HTTP/1.1\r\n\r\n"), HeadError::HostMissing);
}

#[test]
fn host_is_a_host_with_an_optional_port() {
    for host in [
        "h",
        "example.com",
        "example.com:8080",
        "127.0.0.1",
        "[::1]",
        "[2001:db8::1]:443",
        "",
        "a_b",
        "h:",
        "xn--bcher-kva.example",
        "H%41",
    ] {
        accepts(hosts(&format!("Host: {host}\r\n")));
        accepts(hosts(&format!("Host:\t {host} \t\r\n")));
    }
    for host in [
        "a, b", "a,b", "user@h", "h/path", "h?q", "h#f", "a b", "http://h", "h:80:80", "h:8o",
        "h:-1", "[::1", "::1", "[g::]", "h\u{e9}", "h\\", "\"h\"", "h:123456", "[::1]:x",
    ] {
        assert_eq!(
            refuses(hosts(&format!("Host: {host}\r\n"))),
            HeadError::HostInvalid,
            "{host:?}"
        );
    }
}

/// HTTP/1.0 had no Host; what it sends must make sense all the same.
#[test]
fn http_1_0_may_leave_host_out() {
    accepts("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(refuses("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"), HeadError::HostRepeated);
    assert_eq!(refuses("GET / HTTP/1.0\r\nHost: a b\r\n\r\n"), HeadError::HostInvalid);
}
