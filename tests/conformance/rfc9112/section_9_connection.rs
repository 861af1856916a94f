//! RFC 9112, section 9: how long a connection lives, and that pipelined requests stay apart.

use crate::support::{accepts, parse_once, post};
use inrush::http::http1::framing::BodyFraming;
use inrush::http::http1::head::{HeadOptions, HeadScan};

/// 9.3: HTTP/1.1 persists by default.
#[test]
fn http_1_1_lives_on_unless_told_otherwise() {
    assert!(accepts(post("")).keeps_alive);
    assert!(accepts(post("Connection: keep-alive\r\n")).keeps_alive);
    assert!(accepts(post("Connection: upgrade\r\n")).keeps_alive);
    for lines in [
        "Connection: close\r\n",
        "Connection: Close\r\n",
        "connection: keep-alive, CLOSE\r\n",
        "Connection: ,, close ,\r\n",
        "Connection: keep-alive\r\nConnection: close\r\n",
    ] {
        assert!(!accepts(post(lines)).keeps_alive, "{lines:?}");
    }
    assert!(accepts(post("Connection: closed\r\n")).keeps_alive, "another word");
}

/// 9.3: HTTP/1.0 ends unless keep-alive is asked for.
#[test]
fn http_1_0_ends_unless_told_otherwise() {
    let with = |lines: &str| accepts(format!("GET / HTTP/1.0\r\n{lines}\r\n")).keeps_alive;
    assert!(!with(""));
    assert!(with("Connection: keep-alive\r\n"));
    assert!(with("Connection: Keep-Alive\r\n"));
    assert!(!with("Connection: keep-alive, close\r\n"));
    assert!(!with("Keep-Alive: timeout=5\r\n"));
}

/// The JDK's client asks for h2c on every cleartext POST: it must be served as if it had not.
#[test]
fn upgrade_to_h2c_is_ignored() {
    let head = accepts(post(
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
         HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\nContent-Length: 3\r\n",
    ));
    assert!(head.keeps_alive);
    assert_eq!(head.framing, Ok(BodyFraming::Length(3)));
}

/// 9.3.2: each request ends where its framing says, and the next begins there.
#[test]
fn pipelined_requests_stay_apart() {
    let bytes = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 24\r\n\r\n\
        GET /smuggled HTTP/1.1\r\nPOST /b HTTP/1.1\r\nHost: h\r\n\r\nGET /c HTTP/1.0\r\n\r\n";
    let options = HeadOptions::default();
    let mut scan = HeadScan::default();
    let mut rest = &bytes[..];
    let mut paths = Vec::new();
    while !rest.is_empty() {
        let head = parse_once(rest, &options, &mut scan).unwrap().unwrap();
        let body = match head.framing.unwrap() {
            BodyFraming::Length(length) => usize::try_from(length).unwrap(),
            _ => 0,
        };
        paths.push(head.path);
        rest = &rest[head.size + body..];
    }
    assert_eq!(paths, ["/a", "/b", "/c"]);
}
