//! RFC 9112, section 6: which framing a body has. Here requests are smuggled, or not.

use crate::support::{accepts, post};
use inrush::http::http1::framing::BodyFraming;
use inrush::http::http1::head::HeadError;

fn framing(lines: &str) -> Result<BodyFraming, HeadError> {
    accepts(post(lines)).framing
}

/// 6.3, 7: a request without either has no body.
#[test]
fn no_framing_fields_mean_no_body() {
    assert_eq!(framing(""), Ok(BodyFraming::Empty));
    assert_eq!(framing("Content-Length: 0\r\n"), Ok(BodyFraming::Empty));
    assert_eq!(framing("Content-Length: 0000\r\n"), Ok(BodyFraming::Empty));
}

#[test]
fn content_length_is_decimal_digits() {
    assert_eq!(framing("Content-Length: 5\r\n"), Ok(BodyFraming::Length(5)));
    assert_eq!(framing("content-length:   5 \t\r\n"), Ok(BodyFraming::Length(5)));
    assert_eq!(framing("CONTENT-LENGTH: 007\r\n"), Ok(BodyFraming::Length(7)));
    assert_eq!(
        framing("Content-Length: 18446744073709551615\r\n"),
        Ok(BodyFraming::Length(u64::MAX))
    );
}

/// 6.3, 5: an invalid length is unrecoverable: MUST be 400 and the connection closed.
#[test]
fn invalid_lengths_are_refused() {
    for value in [
        "",
        "+5",
        "-5",
        "5 5",
        "0x5",
        "5_0",
        "5.0",
        "5e3",
        "five",
        "\u{665}",
        "5;",
        "'5'",
        "\"5\"",
        "18446744073709551616",
        "99999999999999999999999999",
        "5\t5",
    ] {
        assert_eq!(
            framing(&format!("Content-Length: {value}\r\n")),
            Err(HeadError::LengthInvalid),
            "{value:?}"
        );
    }
}

/// 6.3, 5: differing lengths MUST be refused; equal ones MAY be collapsed, and are not.
#[test]
fn repeated_lengths_are_refused_even_if_equal() {
    for lines in [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nX: y\r\ncontent-length: 5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: 5,6\r\n",
        "Content-Length: 5,\r\n",
        "Content-Length: ,5\r\n",
        "Content-Length:\r\nContent-Length: 5\r\n",
    ] {
        assert_eq!(framing(lines), Err(HeadError::LengthRepeated), "{lines:?}");
    }
}

#[test]
fn chunked_is_named_in_any_case() {
    for value in ["chunked", "Chunked", "CHUNKED", " \tchunked\t "] {
        assert_eq!(framing(&format!("Transfer-Encoding: {value}\r\n")), Ok(BodyFraming::Chunked));
    }
}

/// 6.1: with both, a sender is confused or an attacker: CL.TE and TE.CL.
#[test]
fn both_framings_together_are_refused() {
    for lines in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        "Transfer-Encoding: identity\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: junk\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\nContent-Length: 6\r\n",
        "Transfer-Encoding:\r\nContent-Length: 5\r\n",
    ] {
        assert_eq!(framing(lines), Err(HeadError::LengthContradictsChunked), "{lines:?}");
    }
}

/// 6.3, 4: a final coding other than chunked MUST be 400; TE.TE in all its disguises.
#[test]
fn anything_but_one_chunked_is_refused() {
    for value in [
        "",
        "identity",
        "gzip",
        "xchunked",
        "chunkedx",
        "chunked, identity",
        "chunked, chunked",
        "chunked,",
        ",chunked",
        ", chunked",
        "chunked;q=1",
        "chunked; a=b",
        "\"chunked\"",
        "'chunked'",
        "chunk",
        "chunked gzip",
        "gzip chunked",
        "chunke\u{212a}",
        "x/y, chunked",
        "chunked, gzip, chunked",
    ] {
        assert_eq!(
            framing(&format!("Transfer-Encoding: {value}\r\n")),
            Err(HeadError::TransferCodingInvalid),
            "{value:?}"
        );
    }
    for lines in [
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked\r\ntransfer-encoding:\r\n",
    ] {
        assert_eq!(framing(lines), Err(HeadError::TransferCodingInvalid), "{lines:?}");
    }
}

/// Only blanks and tabs surround a value: a vertical tab or form feed never gets this far.
#[test]
fn odd_white_space_around_chunked_is_refused_with_its_line() {
    for byte in ["\u{b}", "\u{c}", "\0"] {
        for value in [format!("{byte}chunked"), format!("chunked{byte}")] {
            let error = crate::support::refuses(post(&format!("Transfer-Encoding: {value}\r\n")));
            assert!(matches!(error, HeadError::ControlByte { .. }), "{value:?}: {error:?}");
        }
    }
}

/// 6.1: an unknown coding below a good chunked: 501 is the RFC's word.
#[test]
fn other_codings_below_chunked_are_not_implemented() {
    for value in ["gzip, chunked", "gzip,chunked", "deflate , gzip, Chunked", "x-y, chunked"] {
        assert_eq!(
            framing(&format!("Transfer-Encoding: {value}\r\n")),
            Err(HeadError::TransferCodingUnsupported),
            "{value:?}"
        );
    }
}

/// 6.1: Transfer-Encoding in HTTP/1.0 is faulty framing.
#[test]
fn http_1_0_has_no_transfer_coding() {
    let head = accepts("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(head.framing, Err(HeadError::TransferCodingInHttp10));
    let head = accepts("POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\n");
    assert_eq!(head.framing, Ok(BodyFraming::Length(3)));
}

/// A body is a body under any method (CL.0): its bytes must never be read as a request.
#[test]
fn framing_does_not_depend_on_the_method() {
    for method in ["GET", "HEAD", "OPTIONS", "DELETE", "PUT", "PATCH", "TRACE"] {
        let head = accepts(format!("{method} / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n"));
        assert_eq!(head.framing, Ok(BodyFraming::Length(3)), "{method}");
    }
}
