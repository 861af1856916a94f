//! RFC 9112, section 3: the request line and its method.

use crate::support::{accepts, feed_with, refuses};
use inrush::http::Method;
use inrush::http::http1::head::{HeadError, HeadOptions};
use inrush::limits;

fn line(line: &str) -> String {
    format!("{line}\r\nHost: h\r\n\r\n")
}

/// 3: lenient readers split at any white space; two readers then see two targets.
#[test]
fn exactly_one_blank_stands_between_the_parts() {
    for bytes in [
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET\t/ HTTP/1.1",
        "GET /\tHTTP/1.1",
        "GET / HTTP/1.1\t",
        "GET /a b HTTP/1.1",
        "GET /",
        "GET",
        "GET ",
        "GET / ",
        "/ HTTP/1.1",
        " GET / HTTP/1.1",
        "GET  HTTP/1.1",
        "GET /\u{b}HTTP/1.1",
    ] {
        let error = refuses(line(bytes));
        assert!(
            matches!(
                error,
                HeadError::RequestLineMalformed { .. }
                    | HeadError::NotHttp
                    | HeadError::TargetByte { .. }
                    | HeadError::ControlByte { .. }
            ),
            "{bytes:?}: {error:?}"
        );
    }
}

#[test]
fn each_method_is_known_by_its_name() {
    for (name, method) in [
        ("GET", Method::Get),
        ("HEAD", Method::Head),
        ("POST", Method::Post),
        ("PUT", Method::Put),
        ("DELETE", Method::Delete),
        ("OPTIONS", Method::Options),
        ("PATCH", Method::Patch),
        ("TRACE", Method::Trace),
        ("PROPFIND", Method::Other),
        ("QUERY", Method::Other),
    ] {
        assert_eq!(accepts(line(&format!("{name} / HTTP/1.1"))).method, method);
    }
}

/// 3.1: the method is case-sensitive.
#[test]
fn methods_in_other_case_are_unknown() {
    for name in ["get", "Post", "pOST", "FOO", "GETT", "GE", "X-METHOD"] {
        let error = refuses(line(&format!("{name} / HTTP/1.1")));
        assert_eq!(error, HeadError::MethodUnknown, "{name}");
    }
}

#[test]
fn a_method_that_is_no_token_is_malformed() {
    for name in ["GE(T", "G\u{e9}T", "GET,", "GET:", "G@T", "\"GET\""] {
        let error = refuses(line(&format!("{name} / HTTP/1.1")));
        assert!(
            matches!(error, HeadError::RequestLineMalformed { .. } | HeadError::NotHttp),
            "{name}: {error:?}"
        );
    }
}

/// 3: a method longer than any that is known: 501.
#[test]
fn a_method_that_never_ends_is_unknown() {
    let options = HeadOptions { request_line_size_max: 100, ..HeadOptions::default() };
    let endless = "A".repeat(101);
    assert_eq!(feed_with(endless.as_bytes(), &options), Some(Err(HeadError::MethodUnknown)));
}

/// 3: a target that is too long: 414; 8,000 octets should be supported.
#[test]
fn request_line_has_a_bound_above_8000_octets() {
    let build = |size: usize| format!("GET /{} HTTP/1.1", "a".repeat(size - 14));
    assert_eq!(accepts(line(&build(8000))).path.len(), 8000 - 13);
    assert_eq!(build(limits::REQUEST_LINE_SIZE_MAX).len(), limits::REQUEST_LINE_SIZE_MAX);
    let options = HeadOptions { request_line_size_max: 120, ..HeadOptions::default() };
    assert!(matches!(feed_with(line(&build(120)).as_bytes(), &options), Some(Ok(_))));
    for size in [121, 122, 1000] {
        assert_eq!(
            feed_with(line(&build(size)).as_bytes(), &options),
            Some(Err(HeadError::RequestLineOverLimit)),
            "{size}"
        );
    }
    // Without its end, too.
    assert_eq!(
        feed_with(&build(1000).as_bytes()[..500], &options),
        Some(Err(HeadError::RequestLineOverLimit))
    );
}

/// The preface of HTTP/2 must never be dispatched as a method.
#[test]
fn pri_is_never_a_method() {
    assert_eq!(refuses("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), HeadError::MethodIsPreface);
    assert_eq!(refuses(line("PRI * HTTP/1.1")), HeadError::MethodIsPreface);
    assert_eq!(refuses(line("PRI / HTTP/1.1")), HeadError::MethodIsPreface);
}
