//! What senders get back, over real sockets: the forms and fields that decide whether they keep their data.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

#[path = "../perf/bodies.rs"]
mod bodies;
#[allow(dead_code, reason = "a part of it is used here")]
#[path = "store/read_back.rs"]
mod read_back;
#[path = "support/server.rs"]
mod server;

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use inrush::batch::Table;
use read_back::rows;
use server::{KEY, Reply, Server, read_reply, request};

const OTLP: [&str; 3] = ["/v1/logs", "/v1/traces", "/v1/metrics"];
const PROTOBUF: (&str, &str) = ("Content-Type", "application/x-protobuf");
const JSON: (&str, &str) = ("Content-Type", "application/json");
const WRITE: &str = "/api/v1/write";
const IMPORT: &str = "/api/v1/import/prometheus";

fn folder() -> tempfile::TempDir {
    // Beside the build: the system's temporary folder may be memory without direct IO.
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn lz4(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = snap::write::FrameEncoder::new(Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.into_inner().unwrap()
}

/// A body of one chunk.
fn chunked(body: &[u8]) -> Vec<u8> {
    if body.is_empty() {
        return b"0\r\n\r\n".to_vec();
    }
    [format!("{:x}\r\n", body.len()).as_bytes(), body, b"\r\n0\r\n\r\n"].concat()
}

fn send(server: &Server, bytes: &[u8]) -> Reply {
    let mut stream = server.connect();
    stream.write_all(bytes).unwrap();
    read_reply(&mut stream).unwrap()
}

/// The code of a `google.rpc.Status`, in the form that the content type names.
fn status_code(reply: &Reply) -> u64 {
    match reply.field("content-type").as_deref() {
        Some("application/x-protobuf") => {
            assert_eq!(reply.body[0], 0x08, "{reply:?}");
            reply.body[1].into()
        }
        Some("application/json") => {
            let status: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
            status["code"].as_u64().unwrap()
        }
        other => panic!("{other:?}"),
    }
}

/// The Collector's exporter may be told to send LZ4; it drops what is answered with 415.
#[test]
fn lz4_is_read_on_the_paths_of_otlp() {
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);
    let coded = ("Content-Encoding", "lz4");
    let logs = bodies::otlp_logs(7, 40);
    let post =
        |path, headers: &[(&str, &str)], body: &[u8]| server.post(path, headers, body).status;
    assert_eq!(post("/v1/logs", &[PROTOBUF, coded], &lz4(&logs)), 200);
    // Larger than a shard validates itself, and of several frames.
    let large = lz4(&logs).repeat(600);
    assert!(logs.len() * 600 > 5 << 20);
    assert_eq!(post("/v1/logs", &[PROTOBUF, coded], &large), 200);
    for path in OTLP {
        let both = [JSON, ("Content-Encoding", "LZ4")];
        assert_eq!(post(path, &both, &lz4(b"{}")), 200, "{path}");
        assert_eq!(post(path, &both, &lz4(b"{}")[..12]), 400, "cut off");
        assert_eq!(post(path, &both, b"{}"), 400, "not coded at all");
        assert_eq!(post(path, &both, &lz4(&vec![b' '; 65 << 20])), 413, "a bomb");
    }
    for (path, status) in [(IMPORT, 400), (WRITE, 415), ("/json/logs", 415)] {
        assert_eq!(post(path, &[coded], &lz4(b"up 1\n")), status, "{path}");
    }
    let reply = server.post("/v1/logs", &[PROTOBUF, ("Content-Encoding", "br")], b"");
    assert_eq!(reply.status, 415);
    assert!(reply.field("accept-encoding").unwrap().contains("lz4"));
    server.wait_until_stored();
    assert_eq!(server.stop().code(), Some(0));
    assert_eq!(rows(&data, Table::Logs).len(), 40 * 601);
}

/// The name that the Collector gives to Snappy's framed format.
#[test]
fn framed_snappy_has_a_name_of_its_own() {
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);
    let logs = framed(&bodies::otlp_logs(7, 10));
    for name in ["x-snappy-framed", "X-Snappy-Framed", "snappy"] {
        let reply = server.post("/v1/logs", &[PROTOBUF, ("Content-Encoding", name)], &logs);
        assert_eq!(reply.status, 200, "{name}: {}", reply.text());
    }
    let coded = [("Content-Encoding", "x-snappy-framed")];
    assert_eq!(server.post(IMPORT, &coded, &framed(b"up 1\n")).status, 204);
    server.wait_until_stored();
    assert_eq!(server.stop().code(), Some(0));
    assert_eq!(rows(&data, Table::Logs).len(), 30);
    assert_eq!(rows(&data, Table::MetricSamples).len(), 1);
}

/// No bytes are no records, whatever a sender says of them. A block of Snappy is never empty, and
/// Prometheus refuses it as well.
#[test]
fn empty_bodies_of_every_coding_and_framing() {
    let folder = folder();
    let server = Server::start(&folder.path().join("data"), &[]);
    let routes = [("/v1/logs", 200), ("/v1/metrics", 200), (IMPORT, 204), ("/json/logs", 200)];
    for (path, expected) in routes.into_iter().chain([(WRITE, 400)]) {
        for coding in
            ["", "identity", "gzip", "deflate", "zstd", "snappy", "x-snappy-framed", "lz4"]
        {
            let expected = match (path, coding) {
                (WRITE, "" | "snappy" | "zstd" | "x-snappy-framed") => expected,
                (WRITE, _) | ("/json/logs", "lz4") => 415,
                (IMPORT, "lz4") => 400,
                _ => expected,
            };
            let headers = [PROTOBUF, ("Content-Encoding", coding)];
            let headers = if path == "/json/logs" { [JSON, headers[1]] } else { headers };
            let sized = server.post(path, &headers, b"");
            assert_eq!(sized.status, expected, "{path} {coding:?}: {}", sized.text());
            let headers = [headers[0], headers[1], ("Transfer-Encoding", "chunked")];
            let reply = send(&server, &request("POST", path, &headers, &chunked(b"")));
            assert_eq!(reply.status, expected, "{path} {coding:?}, chunked: {}", reply.text());
        }
    }
    // Two codings that are empty because of what they hold are another matter: these are whole.
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(b"").unwrap();
    let zlib = encoder.finish().unwrap();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&zlib).unwrap();
    let both = encoder.finish().unwrap();
    let headers = [("Content-Encoding", "deflate, gzip"), ("Transfer-Encoding", "chunked")];
    let reply = send(&server, &request("POST", IMPORT, &headers, &chunked(&both)));
    assert_eq!(reply.status, 204, "{}", reply.text());
}

/// An exporter ignores a body of another type than it sent.
#[test]
fn a_refused_method_answers_in_the_encoding_of_the_request() {
    let folder = folder();
    let server = Server::start(&folder.path().join("data"), &[]);
    for path in OTLP {
        for method in ["GET", "PUT", "DELETE", "PATCH"] {
            for (sent, expected) in [
                (PROTOBUF.1, PROTOBUF.1),
                ("Application/X-Protobuf; a", PROTOBUF.1),
                (JSON.1, JSON.1),
                ("application/json; charset = utf-8", JSON.1),
                // What cannot be read is answered as the Collector does.
                ("text/plain", JSON.1),
                ("", JSON.1),
            ] {
                let headers = [("Content-Type", sent), ("apikey", "")];
                let reply = send(&server, &request(method, path, &headers, b""));
                assert_eq!(reply.status, 405, "{method} {path}");
                assert_eq!(reply.field("allow").as_deref(), Some("POST, OPTIONS"));
                assert_eq!(reply.field("content-type").as_deref(), Some(expected), "{sent:?}");
                assert_eq!(status_code(&reply), 12);
            }
        }
    }
    let reply = send(
        &server,
        &request("GET", "/firehose/logs", &[("X-Amz-Firehose-Request-Id", "r-1")], b""),
    );
    assert_eq!(reply.status, 405);
    assert!(reply.text().contains("\"requestId\":\"r-1\""), "{}", reply.text());
}

/// A page is shown no reply that does not name it, and takes a hidden refusal for a broken connection.
#[test]
fn every_reply_to_a_page_names_its_origin() {
    let folder = folder();
    let server = Server::start(&folder.path().join("data"), &[]);
    let origin = |size: usize| format!("https://{}", "a".repeat(size - 8));
    let names = |reply: &Reply, origin: &str| {
        let fits = origin.len() <= 270;
        let expected = if fits { origin } else { "*" };
        assert_eq!(
            reply.field("access-control-allow-origin").as_deref(),
            Some(expected),
            "{}: {}",
            origin.len(),
            reply.status
        );
        let credentials = reply.field("access-control-allow-credentials");
        assert_eq!(credentials.as_deref(), fits.then_some("true"));
        assert!(reply.field("access-control-expose-headers").is_some());
    };
    for size in [9, 64, 112, 113, 120, 121, 200, 255, 256, 269, 270, 271, 300, 1000] {
        let origin = origin(size);
        let from = ("Origin", origin.as_str());
        let replies = [
            (server.post("/v1/logs", &[JSON, from], b"{}"), 200),
            (server.post("/v1/logs", &[JSON, from], b"{"), 400),
            (server.post("/v1/logs", &[JSON, from, ("apikey", "wrong")], b"{}"), 401),
            (server.post("/v1/nothing", &[JSON, from], b"{}"), 404),
            (server.post(WRITE, &[from, ("Content-Encoding", "gzip")], b""), 415),
            (send(&server, &request("GET", "/v1/logs", &[from], b"")), 405),
        ];
        for (reply, status) in replies {
            assert_eq!(reply.status, status);
            names(&reply, &origin);
        }
        // Heads that cannot be read: too large, a field too many, nothing HTTP allows.
        let large = "y".repeat(inrush::limits::HEAD_SIZE_MAX);
        let many = "a: b\r\n".repeat(200);
        for (rest, status) in [
            (format!("Big: {large}\r\n\r\n"), 431),
            (format!("{many}\r\n"), 431),
            ("Space : x\r\n\r\n".to_owned(), 400),
        ] {
            let head = format!("POST /v1/logs HTTP/1.1\r\nHost: x\r\noRIGIN:  {origin} \r\n{rest}");
            let reply = send(&server, head.as_bytes());
            assert_eq!(reply.status, status, "{rest:.20}");
            names(&reply, &origin);
        }
    }
    // What a header may not hold is not repeated, and does not split the reply.
    for bad in ["https://a\u{7f}", "https://a\tb", ""] {
        let head = format!("POST /v1/logs HTTP/1.1\r\nHost: x\r\nOrigin: {bad}\r\nA : b\r\n\r\n");
        let reply = send(&server, head.as_bytes());
        assert_eq!(reply.field("access-control-allow-origin").as_deref(), Some("*"), "{bad:?}");
    }
    // No page asked.
    let reply = send(&server, b"POST /v1/logs HTTP/1.1\r\nHost: x\r\nX-Origin: a\r\nA : b\r\n\r\n");
    assert_eq!((reply.status, reply.field("access-control-allow-origin")), (400, None));
}

/// vmagent holds its whole queue back for a block that is answered with 413, for ever.
#[test]
fn a_block_too_large_is_dropped_by_whoever_sent_it() {
    let folder = folder();
    let server = Server::start(&folder.path().join("data"), &[]);
    for (headers, expected) in [
        (&[("Content-Encoding", "zstd")][..], 400),
        (&[("X-VictoriaMetrics-Remote-Write-Version", "1")], 400),
        (&[("User-Agent", "vmagent"), ("Content-Encoding", "snappy")], 400),
        (&[("User-Agent", "Prometheus/3.5.3"), ("Content-Encoding", "snappy")], 413),
        (&[], 413),
    ] {
        let fields: String = headers.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
        let head = format!("POST {WRITE} HTTP/1.1\r\nHost: x\r\napikey: {KEY}\r\n{fields}");
        let sized = format!("{head}Content-Length: {}\r\n\r\n", (32 << 20) + 1);
        let chunk = format!("{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n", (32 << 20) + 1);
        for bytes in [sized, chunk] {
            let reply = send(&server, bytes.as_bytes());
            assert_eq!(reply.status, expected, "{headers:?}");
            assert!(reply.text().contains("33554432 bytes"), "{}", reply.text());
            assert_eq!(reply.field("connection").as_deref(), Some("close"));
        }
    }
}

/// Its senders name all sorts of types, and the reader looks at none of them.
#[test]
fn an_exposition_is_read_whatever_its_type() {
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);
    let types = [
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
        "text/plain; version=0.0.4",
        "application/x-www-form-urlencoded",
        "",
        "nonsense;;=",
    ];
    for (place, name) in types.iter().enumerate() {
        let body =
            format!("# TYPE up gauge\nup{{place=\"{place}\"}} {place} 1700000000.5\n# EOF\n");
        let reply = server.post(IMPORT, &[("Content-Type", name)], body.as_bytes());
        assert_eq!(reply.status, 204, "{name}: {}", reply.text());
    }
    // Labels of the path, and the status that goes with them.
    for (below, status) in [("/metrics/job/x", 200), ("/foo/metrics/job/y", 200), ("/foo", 204)] {
        let reply = server.post(&format!("{IMPORT}{below}"), &[], b"pushed 1\n");
        assert_eq!(reply.status, status, "{below}");
    }
    server.wait_until_stored();
    assert_eq!(server.stop().code(), Some(0));
    assert_eq!(rows(&data, Table::MetricSamples).len(), types.len() + 3);
    let mut jobs: Vec<_> = rows(&data, Table::MetricSeries)
        .into_iter()
        .filter(|row| row["MetricName"] == "pushed")
        .map(|row| row["Labels"]["job"].as_str().map(str::to_owned))
        .collect();
    jobs.sort();
    assert_eq!(jobs, [None, Some("x".to_owned()), Some("y".to_owned())]);
}
