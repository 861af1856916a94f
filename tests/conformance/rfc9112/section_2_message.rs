//! RFC 9112, section 2: message format, line ends, versions; the bounds of a head as a whole.

use crate::support::{Random, accepts, feed, feed_with, parse_once, post, refuses};
use inrush::http::http1::head::{HeadError, HeadOptions, HeadScan};
use inrush::http::{Method, Version};
use inrush::limits;

#[test]
fn a_head_ends_with_an_empty_line_and_no_earlier() {
    let head = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    for end in 0..head.len() {
        assert_eq!(feed(&head[..end]), None, "at {end}");
    }
    assert_eq!(accepts(head).size, head.len());
}

#[test]
fn bytes_behind_a_head_are_not_its_own() {
    let head = accepts(b"GET / HTTP/1.1\r\nHost: h\r\n\r\nGET /next HTTP/1.1\r\n\r\n");
    assert_eq!((head.path.as_str(), head.size), ("/", 27));
}

/// 2.2: an empty line before the request line SHOULD be ignored; a flood of them is none.
#[test]
fn few_empty_lines_before_the_request_line_are_passed_over() {
    let request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    for count in 0..=limits::EMPTY_LINE_COUNT_MAX {
        let bytes = "\r\n".repeat(count) + request;
        assert_eq!(accepts(&bytes).size, bytes.len());
    }
    let many = "\r\n".repeat(limits::EMPTY_LINE_COUNT_MAX + 1) + request;
    assert_eq!(refuses(many), HeadError::EmptyLineCountOverLimit);
}

/// 2.2: bare LF MAY be taken for a line end; a hardened server does not.
#[test]
fn bare_line_feed_is_refused_wherever_a_line_ends() {
    assert_eq!(refuses("GET / HTTP/1.1\nHost: h\r\n\r\n"), HeadError::LineFeedBare { offset: 14 });
    assert_eq!(refuses("GET / HTTP/1.1\r\nHost: h\n\r\n"), HeadError::LineFeedBare { offset: 23 });
    assert_eq!(refuses("GET / HTTP/1.1\r\nHost: h\r\n\n"), HeadError::LineFeedBare { offset: 25 });
    assert_eq!(refuses("\nGET / HTTP/1.1\r\n\r\n"), HeadError::LineFeedBare { offset: 0 });
}

/// 2.2: a bare CR MUST be considered invalid or replaced.
#[test]
fn bare_carriage_return_is_refused_everywhere() {
    for (bytes, offset) in [
        ("GET\r / HTTP/1.1\r\nHost: h\r\n\r\n", 3),
        ("GET / HTTP/1.1\r\r\nHost: h\r\n\r\n", 14),
        ("GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n", 23),
        ("GET / HTTP/1.1\r\nHost: h\r\r\n\r\n", 23),
        ("\rGET / HTTP/1.1\r\nHost: h\r\n\r\n", 0),
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\r\n", 25),
    ] {
        assert_eq!(refuses(bytes), HeadError::CarriageReturnBare { offset }, "{bytes:?}");
    }
}

/// 2.2: white space between the start line and the first field hides fields from some readers.
#[test]
fn white_space_before_the_first_field_is_refused() {
    for blank in [" ", "\t"] {
        let bytes = format!("GET / HTTP/1.1\r\n{blank}Host: h\r\n\r\n");
        assert_eq!(refuses(bytes), HeadError::FieldFolded { offset: 16 });
        let bytes = format!("GET / HTTP/1.1\r\n{blank}\r\nHost: h\r\n\r\n");
        assert_eq!(refuses(bytes), HeadError::FieldFolded { offset: 16 });
    }
}

/// 2.3: the version is case-sensitive, one digit each side.
#[test]
fn version_is_exact() {
    assert_eq!(accepts("GET / HTTP/1.1\r\nHost: h\r\n\r\n").version, Version::Http11);
    assert_eq!(accepts("GET / HTTP/1.0\r\n\r\n").version, Version::Http10);
    for version in [
        "http/1.1",
        "Http/1.1",
        "HTTP/1.10",
        "HTTP/01.1",
        "HTTP/1.01",
        "HTTP/1",
        "HTTP/1.",
        "HTTP/.1",
        "HTTP/+1.1",
        "HTTP/1.-1",
        "HTTP/1,1",
        "HTTP 1.1",
        "HTTP/1.1x",
        "xHTTP/1.1",
        "HTTP/A.1",
        "HTTP/1.B",
        "HTTP//1.1",
        "HTTPS/1.1",
        "1.1",
        "HTTP/11",
    ] {
        let error = refuses(format!("GET / {version}\r\nHost: h\r\n\r\n"));
        assert!(matches!(error, HeadError::RequestLineMalformed { .. }), "{version}: {error:?}");
    }
}

/// RFC 9110, 2.5: a higher minor version is served as the highest one known.
#[test]
fn higher_minor_versions_count_as_1_1() {
    assert_eq!(accepts("GET / HTTP/1.2\r\nHost: h\r\n\r\n").version, Version::Http11);
    assert_eq!(refuses("GET / HTTP/1.9\r\n\r\n"), HeadError::HostMissing);
}

#[test]
fn other_major_versions_are_refused_as_such() {
    for version in ["HTTP/0.9", "HTTP/2.0", "HTTP/3.0", "HTTP/9.9"] {
        let bytes = format!("GET / {version}\r\nHost: h\r\n\r\n");
        assert_eq!(refuses(bytes), HeadError::VersionUnsupported, "{version}");
    }
}

/// A ClientHello on the plaintext port may hold no LF: the connection must not wait for one.
#[test]
fn tls_on_a_plaintext_port_is_refused_at_its_first_byte() {
    assert_eq!(refuses(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), HeadError::NotHttp);
    assert_eq!(refuses(b"\x00"), HeadError::NotHttp);
    assert_eq!(refuses(b"\xff\r\n"), HeadError::NotHttp);
    assert_eq!(refuses(b"{\"not\":\"http\"}\n"), HeadError::NotHttp);
}

/// The bound of a whole head holds while reading, also when no line end ever comes.
#[test]
fn head_size_has_a_bound() {
    let options = HeadOptions { size_max: 200, ..HeadOptions::default() };
    let start = "GET / HTTP/1.1\r\nHost: h\r\nA: ";
    let exact = format!("{start}{}\r\n\r\n", "x".repeat(200 - start.len() - 4));
    assert_eq!(exact.len(), 200);
    assert!(matches!(feed_with(exact.as_bytes(), &options), Some(Ok(_))));
    let over = format!("{start}{}\r\n\r\n", "x".repeat(201 - start.len() - 4));
    assert_eq!(feed_with(over.as_bytes(), &options), Some(Err(HeadError::HeadSizeOverLimit)));
    let endless = format!("{start}{}", "x".repeat(400));
    assert_eq!(feed_with(endless.as_bytes(), &options), Some(Err(HeadError::HeadSizeOverLimit)));
    // Empty lines in front are not part of the head.
    let shifted = format!("\r\n{exact}");
    assert!(matches!(feed_with(shifted.as_bytes(), &options), Some(Ok(_))));
}

#[test]
fn default_head_limit_is_the_documented_one() {
    let build = |path: &str, size: usize| {
        let start = format!("POST {path} HTTP/1.1\r\nHost: h\r\nA: ");
        format!("{start}{}\r\n\r\n", "x".repeat(size - start.len() - 4))
    };
    let whole = |bytes: String| {
        parse_once(bytes.as_bytes(), &HeadOptions::default(), &mut HeadScan::default()).unwrap()
    };
    assert!(whole(build("/v1/logs", limits::HEAD_SIZE_MAX)).is_ok());
    assert_eq!(
        whole(build("/v1/logs", limits::HEAD_SIZE_MAX + 1)),
        Err(HeadError::HeadSizeOverLimit)
    );
    // Firehose's common attributes alone may take 128 KiB.
    for path in
        ["/firehose/logs", "/firehose/logs/", "/firehose/logs?a=b", "http://h/firehose/logs"]
    {
        assert!(whole(build(path, limits::HEAD_SIZE_MAX_FIREHOSE)).is_ok(), "{path}");
        assert_eq!(
            whole(build(path, limits::HEAD_SIZE_MAX_FIREHOSE + 1)),
            Err(HeadError::HeadSizeOverLimit)
        );
    }
    assert_eq!(
        whole(build("/firehose/logs/x", limits::HEAD_SIZE_MAX + 1)),
        Err(HeadError::HeadSizeOverLimit)
    );
    assert_eq!(
        whole(build("/x?/firehose/logs", limits::HEAD_SIZE_MAX + 1)),
        Err(HeadError::HeadSizeOverLimit)
    );
}

#[test]
fn field_count_has_a_bound() {
    let build = |count: usize| post(&"A: b\r\n".repeat(count - 1));
    assert_eq!(accepts(build(limits::HEAD_FIELD_COUNT_MAX)).fields.len(), 100);
    assert_eq!(refuses(build(limits::HEAD_FIELD_COUNT_MAX + 1)), HeadError::FieldCountOverLimit);
}

/// Byte by byte a head of 32 KiB must not cost 32 KiB squared: half a billion steps would be seen.
#[test]
fn a_trickling_head_costs_no_more_than_a_whole_one() {
    let bytes = post(&format!("A: {}\r\n", "x".repeat(limits::HEAD_SIZE_MAX - 100)));
    let mut scan = HeadScan::default();
    let options = HeadOptions::default();
    for end in 0..bytes.len() {
        assert_eq!(parse_once(&bytes[..end], &options, &mut scan), None);
        assert_eq!(scan.has_begun(), end > 0);
    }
    assert!(parse_once(&bytes, &options, &mut scan).unwrap().is_ok());
    assert!(!scan.has_begun(), "ready for the next head");
}

/// One scan serves head after head of a connection.
#[test]
fn scan_is_ready_again_after_an_item() {
    let mut scan = HeadScan::default();
    let bytes = b"POST /firehose/logs HTTP/1.1\r\nHost: h\r\n\r\nHEAD /b HTTP/1.0\r\n\r\n";
    let options = HeadOptions::default();
    let first = parse_once(bytes, &options, &mut scan).unwrap().unwrap();
    assert!(!scan.is_wide());
    let second = parse_once(&bytes[first.size..], &options, &mut scan).unwrap().unwrap();
    assert_eq!((first.method, second.method), (Method::Post, Method::Head));
    assert_eq!(first.size + second.size, bytes.len());
}

/// A vector of 4 KiB and more, cut at each index.
#[test]
fn a_large_head_is_the_same_however_it_is_cut() {
    let mut lines = String::new();
    for index in 0..60 {
        lines += &format!("X-Field-{index}: {}\r\n", "value ".repeat(index % 30));
    }
    let bytes = post(&lines);
    assert!(bytes.len() > 4096);
    let head = accepts(&bytes);
    assert_eq!(head.fields.len(), 61);
    assert_eq!(head.fields[3].0, "X-Field-2");
    assert_eq!(head.fields[3].1, b"value value");
}

/// Damage anywhere never panics, and is told alike however the bytes arrive.
#[test]
fn damaged_heads_are_told_alike_however_they_are_cut() {
    let good = b"\r\nPOST http://h/v1/logs?token=a HTTP/1.1\r\nHost: h:80\r\nContent-Length: 5\r\n\
        Transfer-Encoding: chunked\r\nExpect: 100-continue\r\nConnection: close\r\n\r\nhello";
    let alphabet = b"\r\n: \t\0\xff,/?#*@[]HTP1.ae";
    for seed in 0..400 {
        let mut random = Random::new(seed);
        let mut bytes = good.to_vec();
        for _ in 0..=random.below(3) {
            let index = random.below(bytes.len());
            match random.below(4) {
                0 => bytes[index] = *random.pick(alphabet),
                1 => bytes.insert(index, *random.pick(alphabet)),
                2 => bytes.truncate(index.max(1)),
                _ => {
                    bytes.remove(index);
                }
            }
        }
        let answer = std::panic::catch_unwind(|| feed(&bytes));
        assert!(answer.is_ok(), "seed {seed}: {}", bytes.escape_ascii());
    }
}
