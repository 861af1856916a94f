//! RFC 9113, section 8: what makes a request.

use super::peer::{POST, Seen, Wire, block, feed, resets_stream};
use inrush::http::http2::ErrorCode;
use inrush::http::http2::frame::Kind;

fn with(extra: &[(&str, &str)]) -> Wire {
    let fields: Vec<_> = POST.iter().chain(extra).copied().collect();
    Wire::new().headers(1, false, &fields)
}

#[track_caller]
fn is_malformed(wire: &Wire) {
    resets_stream(wire, 1, ErrorCode::Protocol);
}

#[track_caller]
fn is_request(wire: &Wire) {
    let answer = feed(wire);
    assert!(matches!(answer.seen[..], [Seen::Head { stream: 1, .. }]), "{answer:?}");
}

/// 8.3.1
#[test]
fn pseudo_fields_stand_once_each_and_first() {
    for missing in 0..3 {
        let mut fields = POST.to_vec();
        fields.remove(missing);
        is_malformed(&Wire::new().headers(1, true, &fields));
    }
    for repeated in POST {
        is_malformed(&with(&[repeated]));
    }
    is_malformed(&with(&[(":unknown", "x")]));
    is_malformed(&with(&[(":status", "200")]));
    is_malformed(&Wire::new().headers(
        1,
        true,
        &[(":method", "POST"), ("a", "b"), (":scheme", "http"), (":path", "/")],
    ));
    // C-core sends the scheme first.
    is_request(&Wire::new().headers(
        1,
        false,
        &[
            (":scheme", "http"),
            (":method", "POST"),
            (":authority", "localhost"),
            (":path", "/v1/logs"),
            ("te", "trailers"),
        ],
    ));
}

#[test]
fn paths_begin_with_a_slash() {
    let path = |method, path| {
        Wire::new().headers(1, true, &[(":method", method), (":scheme", "http"), (":path", path)])
    };
    for bad in ["", "v1/logs", "http://host/v1/logs", "/a b", "/\u{e9}", "/a#b", "/a\tb", "*"] {
        is_malformed(&path("POST", bad));
    }
    is_request(&path("OPTIONS", "*"));
    is_request(&path("POST", "/?"));
}

/// 8.2.1
#[test]
fn names_and_values_hold_nothing_that_could_end_them() {
    for name in ["", "Upper", "with space", "co:lon", "nul\0", "cr\r", "high\u{80}", "\u{7f}"] {
        is_malformed(&with(&[(name, "x")]));
    }
    for value in ["nul\0", "cr\rlf", "lf\n", " leading", "trailing ", "\ttab", "tab\t"] {
        is_malformed(&with(&[("x-field", value)]));
    }
    is_request(&with(&[("x-field", ""), ("x-other", "inner \t blank"), ("x-high", "\u{e9}")]));
}

/// 8.2.2
#[test]
fn fields_of_connections_are_malformed() {
    for name in ["connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"] {
        is_malformed(&with(&[(name, "x")]));
    }
    is_malformed(&with(&[("te", "gzip")]));
    is_request(&with(&[("te", "trailers")]));
}

/// 8.3.1: two names of the host that differ.
#[test]
fn host_and_authority_agree() {
    let authority = |host| {
        Wire::new().headers(
            1,
            true,
            &[
                (":method", "POST"),
                (":scheme", "http"),
                (":path", "/"),
                (":authority", "a:1"),
                ("host", host),
            ],
        )
    };
    is_request(&authority("a:1"));
    is_malformed(&authority("b:1"));
    is_malformed(&with(&[("host", "a"), ("host", "a")]));
}

/// 8.1.1: content-length is the sum of the DATA.
#[test]
fn a_stated_length_must_be_kept() {
    let posted = |length, body: &[u8]| with(&[("content-length", length)]).data(1, true, body);
    let kept = feed(&posted("3", b"abc"));
    assert_eq!(kept.seen[1], Seen::Data { stream: 1, bytes: b"abc".to_vec(), ends: true });
    is_malformed(&posted("4", b"abc"));
    is_malformed(&posted("2", b"abc"));
    for bad in ["", "+3", "3,3", "-1", "0x3", "18446744073709551616"] {
        is_malformed(&posted(bad, b"abc"));
    }
    is_malformed(&with(&[("content-length", "3"), ("content-length", "4")]));
    let fields: Vec<_> = POST.iter().copied().chain([("content-length", "3")]).collect();
    is_malformed(&Wire::new().headers(1, true, &fields));
    // Padding does not count.
    let padded =
        with(&[("content-length", "3")]).frame(Kind::Data, 0x9, 1, &[2, b'a', b'b', b'c', 0, 0]);
    assert!(feed(&padded).resets().is_empty());
}

/// 8.1: trailers end a request and hold no pseudo-header fields.
#[test]
fn trailers_end_a_request() {
    let trailers = |ends, fields: &[(&str, &str)]| {
        Wire::new().post(1).data(1, false, &[b'x'; 300]).headers(1, ends, fields)
    };
    assert_eq!(feed(&trailers(true, &[("a", "b")])).seen.last(), Some(&Seen::Ended { stream: 1 }));
    is_malformed(&trailers(false, &[("a", "b")]));
    is_malformed(&trailers(true, &[(":path", "/")]));
    is_malformed(&trailers(true, &[("Upper", "b")]));
    let short =
        with(&[("content-length", "301")]).data(1, false, &[b'x'; 300]).headers(1, true, &[]);
    is_malformed(&short);
}

/// Never indexed or indexed, a field is a field (RFC 7541, section 6.2.3).
#[test]
fn secrets_may_be_sent_as_never_indexed() {
    let mut payload = block(&POST);
    payload.extend_from_slice(&[0x10, 6]);
    payload.extend_from_slice(b"apikey");
    payload.push(3);
    payload.extend_from_slice(b"key");
    is_request(&Wire::new().frame(Kind::Headers, 0x4, 1, &payload));
}
