//! RFC 9110, section 10.1.1: Expect.

use crate::support::{accepts, post};
use inrush::http::http1::head::HeadError;
use inrush::http::http1::reply::CONTINUE;

fn expects(lines: &str) -> Result<bool, HeadError> {
    accepts(post(lines)).expects_continue
}

#[test]
fn continue_is_expected_where_a_body_is_announced() {
    for value in ["100-continue", "100-Continue", "100-CONTINUE", " 100-continue "] {
        assert_eq!(expects(&format!("Expect: {value}\r\nContent-Length: 5\r\n")), Ok(true));
        assert_eq!(
            expects(&format!("Expect: {value}\r\nTransfer-Encoding: chunked\r\n")),
            Ok(true)
        );
    }
    assert_eq!(expects("Content-Length: 5\r\n"), Ok(false));
}

/// A client that announces no body waits for nothing.
#[test]
fn without_a_body_there_is_nothing_to_continue() {
    assert_eq!(expects("Expect: 100-continue\r\n"), Ok(false));
    assert_eq!(expects("Expect: 100-continue\r\nContent-Length: 0\r\n"), Ok(false));
}

/// Another expectation MAY be refused with 417.
#[test]
fn unknown_expectations_are_refused() {
    for value in ["200-ok", "100-continue, x", "x", "100-continue=1", "100 continue"] {
        assert_eq!(
            expects(&format!("Expect: {value}\r\nContent-Length: 5\r\n")),
            Err(HeadError::ExpectationUnknown),
            "{value}"
        );
    }
}

/// A server MUST ignore it in HTTP/1.0.
#[test]
fn http_1_0_expects_nothing() {
    for value in ["100-continue", "x"] {
        let head =
            accepts(format!("POST / HTTP/1.0\r\nExpect: {value}\r\nContent-Length: 5\r\n\r\n"));
        assert_eq!(head.expects_continue, Ok(false));
    }
}

/// Expect does not hide a fault of the framing.
#[test]
fn a_framing_fault_is_told_here_too() {
    assert_eq!(
        expects("Expect: 100-continue\r\nContent-Length: x\r\n"),
        Err(HeadError::LengthInvalid)
    );
}

#[test]
fn the_interim_reply_is_a_head_without_fields() {
    assert_eq!(CONTINUE, b"HTTP/1.1 100 Continue\r\n\r\n");
}
