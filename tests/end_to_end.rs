//! The real binary over real sockets and files: what is posted stands in Parquet, value by value.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

#[path = "store/read_back.rs"]
#[allow(dead_code, reason = "used in part")]
mod read_back;
#[path = "support/server.rs"]
mod server;
mod support;

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use inrush::batch::Table;
use prost::Message;
use read_back::rows;
use serde_json::{Value, json};
use server::{Server, read_reply, request};
use support::messages::opentelemetry::proto as otlp;
use support::messages::prometheus as v1;

fn folder() -> tempfile::TempDir {
    // Beside the build: the system's temporary folder may be memory without direct IO.
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn snappy(bytes: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(bytes).unwrap()
}

const REMOTE_WRITE: [(&str, &str); 3] = [
    ("Content-Type", "application/x-protobuf"),
    ("Content-Encoding", "snappy"),
    ("X-Prometheus-Remote-Write-Version", "0.1.0"),
];

fn series(name: &str, job: &str, value: f64, time: i64) -> v1::TimeSeries {
    let label = |name: &str, value: &str| v1::Label { name: name.into(), value: value.into() };
    v1::TimeSeries {
        labels: vec![label("__name__", name), label("job", job)],
        samples: vec![v1::Sample { value, timestamp: time }],
        ..Default::default()
    }
}

fn log_request(
    service: &str,
    bodies: &[&str],
) -> otlp::collector::logs::v1::ExportLogsServiceRequest {
    use otlp::common::v1::{AnyValue, KeyValue, any_value};
    let text = |text: &str| AnyValue { value: Some(any_value::Value::StringValue(text.into())) };
    let record = |body: &&str| otlp::logs::v1::LogRecord {
        time_unix_nano: 1_700_000_000_000_000_001,
        severity_number: 9,
        severity_text: "INFO".into(),
        body: Some(text(body)),
        trace_id: vec![0xab; 16],
        span_id: vec![0xcd; 8],
        ..Default::default()
    };
    otlp::collector::logs::v1::ExportLogsServiceRequest {
        resource_logs: vec![otlp::logs::v1::ResourceLogs {
            resource: Some(otlp::resource::v1::Resource {
                attributes: vec![KeyValue {
                    key: "service.name".into(),
                    value: Some(text(service)),
                    ..Default::default()
                }],
                ..Default::default()
            }),
            scope_logs: vec![otlp::logs::v1::ScopeLogs {
                log_records: bodies.iter().map(record).collect(),
                ..Default::default()
            }],
            ..Default::default()
        }],
    }
}

fn texts(rows: &[Value], column: &str) -> Vec<String> {
    let mut texts: Vec<_> =
        rows.iter().map(|row| row[column].as_str().unwrap_or("").to_owned()).collect();
    texts.sort();
    texts
}

#[test]
fn three_protocols_reach_parquet_value_by_value() {
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);

    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    let body = v1::WriteRequest {
        timeseries: vec![
            series("up", "node", 1.5, 1_700_000_000_123),
            series("up", "node", stale, 1_700_000_015_123),
        ],
        ..Default::default()
    };
    let reply = server.post("/api/v1/write", &REMOTE_WRITE, &snappy(&body.encode_to_vec()));
    assert_eq!((reply.status, reply.body.len()), (204, 0), "{reply:?}");
    assert_eq!(reply.field("content-length"), None);

    // Two gzip members of protobuf, split at a record border: both must arrive.
    let mut members = gzip(&log_request("shop", &["first"]).encode_to_vec());
    members.extend(gzip(&log_request("shop", &["second"]).encode_to_vec()));
    let headers = [("Content-Type", "application/x-protobuf"), ("Content-Encoding", "gzip")];
    let reply = server.post("/v1/logs", &headers, &members);
    assert_eq!((reply.status, reply.body.len()), (200, 0), "{reply:?}");
    assert_eq!(reply.field("content-type").as_deref(), Some("application/x-protobuf"));

    let lines = "{\"message\":\"a\",\"level\":\"warn\",\"n\":7}\n{\"message\":\"b\"}\n";
    let headers = [("Content-Type", "application/x-ndjson"), ("x-groundcover-service-name", "cli")];
    let reply = server.post("/json/logs", &headers, lines.as_bytes());
    assert_eq!((reply.status, reply.text().as_str()), (200, "{}"), "{reply:?}");

    let acknowledged = Instant::now();
    server.wait_until_stored();
    assert!(acknowledged.elapsed() < Duration::from_secs(5));

    let samples = rows(&data, Table::MetricSamples);
    assert_eq!(samples.len(), 2);
    assert_eq!(samples[0]["Value"], read_back::double(1.5));
    assert_eq!(samples[1]["Value"], read_back::double(stale), "the stale marker's very bits");
    let series = rows(&data, Table::MetricSeries);
    assert_eq!(series.len(), 1, "one series, however often it is sent");
    assert_eq!(series[0]["MetricName"], "up");
    assert_eq!(series[0]["ServiceName"], "node");
    assert_eq!(series[0]["SeriesId"], samples[0]["SeriesId"]);
    assert_eq!(series[0]["Tenant"], "acme");

    let logs = rows(&data, Table::Logs);
    assert_eq!(texts(&logs, "Body"), ["a", "b", "first", "second"]);
    let first = logs.iter().find(|row| row["Body"] == "first").unwrap();
    assert_eq!(first["ServiceName"], "shop");
    assert_eq!(first["TraceId"], "ab".repeat(16));
    assert_eq!(first["SpanId"], "cd".repeat(8));
    assert_eq!(first["Timestamp"], json!(1_700_000_000_000_000_001i64));
    assert_eq!(first["Protocol"], "otlp");
    let a = logs.iter().find(|row| row["Body"] == "a").unwrap();
    assert_eq!(a["ServiceName"], "cli");
    assert_eq!(a["SeverityNumber"], 13);
    assert_eq!(a["LogAttributes"]["n"], "7");

    assert_eq!(server.metric("inrush_records_total{tenant=\"acme\",signal=\"logs\"}"), 4.0);
    assert_eq!(server.metric("inrush_records_total{tenant=\"acme\",signal=\"metrics\"}"), 2.0);
    assert!(server.stop().success());
}

/// What is kept as text and what is left out is accepted all the same: only these numbers tell.
#[test]
fn records_that_are_left_out_or_kept_as_text_are_counted() {
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);
    let json = [("Content-Type", "application/json")];
    let reply = server.post("/json/logs", &json, br#"[{"message":"a"},5,{"a":tru},6]"#);
    assert_eq!(reply.status, 200, "{reply:?}");
    let delivery = br#"{"records":[{"data":"!"},{"data":"QQ=="},{"data":null}]}"#;
    let reply = server.post("/firehose/logs", &json, delivery);
    assert_eq!(reply.status, 200, "{reply:?}");
    server.wait_until_stored();
    let metric = |name, route| server.metric(&format!("{name}{{route=\"{route}\"}}"));
    assert_eq!(metric("inrush_rejected_records_total", "/json/logs"), 2.0);
    assert_eq!(metric("inrush_unparsed_records_total", "/json/logs"), 1.0);
    assert_eq!(metric("inrush_unparsed_records_total", "/firehose/logs"), 2.0);
    assert_eq!(metric("inrush_rejected_records_total", "/firehose/logs"), 0.0);
    assert!(server.stop().success());
}

/// A small body that would be gigabytes of columns is refused; one that is as large as it may be is stored in
/// parts, and the server stays as small as it is for others.
#[test]
fn a_body_that_repeats_much_is_refused_or_stored_in_bounded_memory() {
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data, &[("INRUSH_STORE_PART_SIZE", "16MiB")]);
    let body = |count: usize| {
        let (text, records) = ("x".repeat(512 * 1024), vec!["{}"; count].join(","));
        format!(r#"{{"big":"{text}","logs":[{records}]}}"#)
    };
    let json = [("Content-Type", "application/json")];
    let reply = server.post("/json/logs", &json, body(9000).as_bytes());
    assert_eq!(reply.status, 400, "{reply:?}");
    assert_eq!(server.post("/json/logs", &json, body(500).as_bytes()).status, 200);
    server.wait_until_stored();
    assert_eq!(rows(&data, Table::Logs).len(), 500);
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let peak: u64 = peak.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(peak < 250 * 1024, "{peak} KiB");
    assert!(server.stop().success());
}

#[test]
fn a_graceful_stop_publishes_at_once_and_a_restart_goes_on() {
    let folder = folder();
    let data = folder.path().join("data");
    let slow = [("INRUSH_STORE_MAX_DELAY", "1h")];
    for round in 0..3 {
        let server = Server::start(&data, &slow);
        let body = format!("[{{\"message\":\"round {round}\"}}]");
        let reply = server.post("/json/logs", &[], body.as_bytes());
        assert_eq!(reply.status, 200);
        assert!(server.stop().success());
        assert_eq!(rows(&data, Table::Logs).len(), round + 1, "visible at once after the stop");
    }
}

#[test]
fn requests_in_flight_are_finished_before_the_exit() {
    let folder = folder();
    let data = folder.path().join("data");
    let mut server = Server::start(&data, &[]);
    let mut stream = server.connect();
    let body = br#"[{"message":"half"}]"#;
    let bytes = request("POST", "/json/logs", &[], body);
    stream.write_all(&bytes[..bytes.len() - 5]).unwrap();
    let mut idle = server.connect();
    std::thread::sleep(Duration::from_millis(300));
    server.signal(15);
    std::thread::sleep(Duration::from_millis(300));
    let mut end = Vec::new();
    idle.read_to_end(&mut end).unwrap();
    assert!(end.is_empty(), "an idle connection is closed");
    stream.write_all(&bytes[bytes.len() - 5..]).unwrap();
    let reply = read_reply(&mut stream).unwrap();
    assert_eq!(reply.status, 200);
    assert_eq!(reply.field("connection").as_deref(), Some("close"));
    drop(stream);
    assert!(server.wait().success());
    assert_eq!(rows(&data, Table::Logs).len(), 1);
}

#[test]
fn bodies_in_every_form_of_framing_and_size() {
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);
    // Sizes around the packed limit, the in-place limit, and the shard's own decoding limit.
    let mut expected = 0;
    for size in [0, 10, 1000, 15_000, 31_000, 33_000, 300_000, 5_000_000, 20_000_000] {
        let line = b"{\"message\":\"0123456789012345678901234567890123456789\"}\n";
        let count = size / line.len();
        let body = line.repeat(count);
        let reply = server.post("/json/logs", &[("Content-Type", "application/x-ndjson")], &body);
        assert_eq!(reply.status, 200, "{size}: {}", reply.text());
        let mut chunked = Vec::new();
        for chunk in body.chunks(7777) {
            chunked.extend(format!("{:x};ext=1\r\n", chunk.len()).into_bytes());
            chunked.extend_from_slice(chunk);
            chunked.extend_from_slice(b"\r\n");
        }
        chunked.extend_from_slice(b"0\r\nTrailer: x\r\n\r\n");
        let headers = [("Content-Type", "application/x-ndjson"), ("Transfer-Encoding", "chunked")];
        let reply = server.post("/json/logs", &headers, &chunked);
        assert_eq!(reply.status, 200, "chunked {size}: {}", reply.text());
        expected += 2 * count;
    }
    // Small on the wire, large when inflated: goes to a large-body thread and back.
    let body = gzip(&b"{\"message\":\"inflated\"}\n".repeat(400_000));
    assert!(body.len() < 200_000, "{}", body.len());
    let headers = [("Content-Type", "application/x-ndjson"), ("Content-Encoding", "gzip")];
    assert_eq!(server.post("/json/logs", &headers, &body).status, 200);
    expected += 400_000;
    let records = server.metric("inrush_records_total{tenant=\"acme\",signal=\"logs\"}");
    assert_eq!(records, expected as f64);
    server.wait_until_stored();
    assert_eq!(server.metric("inrush_store_rows_total"), expected as f64);
    assert_eq!(server.metric("inrush_quarantined_entries_total"), 0.0);
    assert!(server.stop().success());
}

#[test]
fn pipelined_requests_are_answered_in_order_and_byte_by_byte_too() {
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);
    let mut stream = server.connect();
    let mut bytes = Vec::new();
    for index in 0..40 {
        match index % 4 {
            0 => bytes.extend(request("POST", "/json/logs", &[], b"[{\"message\":\"p\"}]")),
            1 => bytes.extend(request("GET", "/health", &[], b"")),
            2 => bytes.extend(request("POST", "/nowhere", &[], b"body that is read away")),
            _ => bytes.extend(request("POST", "/json/logs", &[], b"[{\"message\":")),
        }
    }
    stream.write_all(&bytes).unwrap();
    for index in 0..40 {
        let reply = read_reply(&mut stream).unwrap_or_else(|| panic!("no reply {index}"));
        assert_eq!(reply.status, [200, 200, 404, 400][index % 4], "{index}: {}", reply.text());
    }
    for byte in request("POST", "/json/logs", &[], b"[{\"message\":\"slow\"}]") {
        stream.write_all(&[byte]).unwrap();
    }
    assert_eq!(read_reply(&mut stream).unwrap().status, 200);
    server.wait_until_stored();
    assert_eq!(rows(&data, Table::Logs).len(), 11);
}

#[test]
fn what_follows_a_request_that_ends_the_connection_is_not_a_request() {
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);
    let mut stream = server.connect();
    let mut bytes =
        request("POST", "/json/logs", &[("Connection", "close")], b"[{\"message\":\"last\"}]");
    bytes.extend(request("POST", "/json/logs", &[], b"[{\"message\":\"never\"}]"));
    stream.write_all(&bytes).unwrap();
    assert_eq!(read_reply(&mut stream).unwrap().status, 200);
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.is_empty());
    server.wait_until_stored();
    assert_eq!(texts(&rows(&data, Table::Logs), "Body"), ["last"]);
}

/// What is at stake: a peer that sends and never reads must not make the server hold its replies.
#[test]
fn a_peer_that_does_not_read_is_not_read_either_and_gets_every_reply_later() {
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);
    let mut stream = server.connect();
    let one = request("GET", "/health", &[], b"");
    let count = 40_000;
    let mut writer = stream.try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        for _ in 0..count / 100 {
            writer.write_all(&one.repeat(100)).unwrap();
        }
    });
    std::thread::sleep(Duration::from_millis(700));
    let taken = server.metric("inrush_requests_total{shard=\"0\",route=\"other\"}");
    assert!(taken < f64::from(count), "reading stopped at {taken}");
    for index in 0..count {
        let reply = read_reply(&mut stream).unwrap_or_else(|| panic!("no reply {index}"));
        assert_eq!(reply.status, 200);
    }
    sender.join().unwrap();
}

#[test]
fn refusals_name_the_fault_and_keep_the_next_request_apart() {
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);
    let check = |path: &str, headers: &[(&str, &str)], body: &[u8], status: u16, words: &str| {
        let reply = server.post(path, headers, body);
        assert_eq!(reply.status, status, "{path} {headers:?}: {}", reply.text());
        assert!(reply.text().contains(words), "{path}: {:?} has no {words:?}", reply.text());
        reply
    };
    let reply =
        check("/json/logs", &[("apikey", "wrong")], b"[{}]", 401, "Authentication required");
    assert!(reply.field("www-authenticate").is_some());
    check("/json/logs", &[("apikey", "")], b"[{}]", 401, "Authentication required");
    check("/nothing", &[], b"", 404, "");
    check("/v1/traces", &[("Content-Type", "application/x-protobuf")], b"\x08", 400, "");
    check("/firehose/logs", &[], b"{}", 400, "list of records");
    let bad = snappy(b"\x0a\x02\x0a\xff");
    check("/api/v1/write", &REMOTE_WRITE, &bad, 400, "timeseries");
    check("/api/v1/write", &REMOTE_WRITE, b"not snappy", 400, "");
    let gzip_header = [("Content-Type", "application/x-protobuf"), ("Content-Encoding", "gzip")];
    check("/api/v1/write", &gzip_header, b"damaged", 415, "");
    check("/json/logs", &[("Content-Encoding", "br")], b"[]", 415, "");
    let reply = check("/json/logs", &[], b"[{\"message\": tru", 400, "");
    assert_eq!(reply.field("content-type").as_deref(), Some("application/json"));

    // No bytes are an empty request, whatever coding is named; a chunk that cannot fit is refused at once.
    check("/json/logs", &[("Content-Encoding", "gzip")], b"", 200, "");
    let chunked = [("Transfer-Encoding", "chunked")];
    check("/json/logs", &chunked, b"ffffffffff\r\nabc", 413, "");
    let mut stream = server.connect();
    stream.write_all(b"HEAD * HTTP/1.1\r\n\r\n").unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).unwrap();
    assert!(reply.starts_with(b"HTTP/1.1 400") && reply.ends_with(b"\r\n\r\n"));

    // A bomb: 1 GiB of zeros in about 1 MiB.
    let zeros = vec![0; 16 << 20];
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    (0..16).for_each(|_| encoder.write_all(&zeros).unwrap());
    let bomb = encoder.finish().unwrap();
    check("/json/logs", &[("Content-Encoding", "gzip")], &bomb, 413, "");

    // A refused large body is never read as the next request, and the reply survives.
    let mut stream = server.connect();
    let smuggled =
        b"POST /json/logs HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n[{}]".repeat(40_000);
    let head = format!(
        "POST /json/logs HTTP/1.1\r\nHost: x\r\napikey: wrong\r\nContent-Length: {}\r\n\r\n",
        smuggled.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let _ = stream.write_all(&smuggled);
    let reply = read_reply(&mut stream).unwrap();
    assert_eq!(reply.status, 401);
    assert_eq!(reply.field("connection").as_deref(), Some("close"));
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.is_empty(), "one reply and no more");

    let metric = "inrush_refusals_total{route=\"/json/logs\",cause=\"key_invalid\"}";
    assert!(server.metric(metric) >= 2.0);
    server.wait_until_stored();
    assert!(rows(&data, Table::Logs).is_empty());
}

#[test]
fn expect_continue_is_answered_before_the_body() {
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);
    let head = |key: &str| {
        format!(
            "POST /json/logs HTTP/1.1\r\nHost: x\r\napikey: {key}\r\nExpect: 100-continue\r\n\
             Content-Length: 16\r\n\r\n"
        )
    };
    let mut stream = server.connect();
    stream.write_all(head(server::KEY).as_bytes()).unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"[{\"message\":\"x\"}").unwrap();
    assert_eq!(read_reply(&mut stream).unwrap().status, 400, "16 bytes, and a bracket is missing");
    let mut stream = server.connect();
    stream.write_all(head("wrong-key-wrong").as_bytes()).unwrap();
    let reply = read_reply(&mut stream).unwrap();
    assert_eq!(reply.status, 401, "the final status at once");
    assert_eq!(reply.field("connection").as_deref(), Some("close"));
}

#[test]
fn keys_added_and_removed_are_seen_within_a_second_on_open_connections() {
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);
    let mut stream = server.connect();
    let mut status = |key: &str| {
        let bytes = request("POST", "/json/logs", &[("apikey", key)], b"[]");
        stream.write_all(&bytes).unwrap();
        read_reply(&mut stream).unwrap().status
    };
    assert_eq!(status("another-key-0123456789"), 401);
    server::add_key(&data, "second", "another-key-0123456789", "other");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(status("another-key-0123456789"), 200);
    assert_eq!(status(server::KEY), 200);
    let removed = server::command(&data)
        .args(["key", "remove", "second", "--data-dir"])
        .arg(&data)
        .status()
        .unwrap();
    assert!(removed.success());
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(status("another-key-0123456789"), 401);
    assert_eq!(status(server::KEY), 200, "the connection was never dropped");
}

#[test]
fn a_second_server_is_told_what_is_in_its_way() {
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);
    let run = |data: &std::path::Path, http: &str| {
        let output = server::command(data)
            .args(["serve", "--admin", "127.0.0.1:0", "--http", http, "--data-dir"])
            .arg(data)
            .output()
            .unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(run(&data, "127.0.0.1:0").contains("in use by another inrush"));
    let other = folder.path().join("other");
    assert!(run(&other, &server.http).contains("is in use"), "a port in use is told");
    assert!(run(std::path::Path::new("/proc/nothing"), "127.0.0.1:0").contains("cannot be used"));
    let unknown = server::command(&data)
        .args(["serve", "--data-dir"])
        .arg(&other)
        .env("INRUSH_NONSENSE", "1")
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("INRUSH_NONSENSE is not a setting"));
}

#[test]
fn several_shards_share_the_connections() {
    let folder = folder();
    let data = folder.path().join("data");
    server::add_key(&data, "test", server::KEY, "acme");
    let server = Server::start(&data, &[("INRUSH_LIMITS_LARGE_BODY_THREADS", "1")]);
    drop(server);
    // The flag of `Server::start` asks for one shard; the same folder with three goes on.
    let mut command = server::command(&data);
    command.args(["serve", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--shards", "3"]);
    command.arg("--data-dir").arg(&data).env("INRUSH_JOURNAL_SEGMENT_SIZE", "66MiB");
    let server = Server::spawn(command, &data);
    // One after the other: a shard knows what the others have when it places the next one. All at once, the
    // kernel's own choice is what counts, and that is any.
    let streams: Vec<_> = (0..30)
        .map(|_| {
            let mut stream = server.connect();
            let body = b"[{\"message\":\"s\"}]";
            stream.write_all(&request("POST", "/json/logs", &[], body)).unwrap();
            assert_eq!(read_reply(&mut stream).unwrap().status, 200);
            stream
        })
        .collect();
    let connections: Vec<f64> = (0..3)
        .map(|shard| server.metric(&format!("inrush_connections{{shard=\"{shard}\"}}")))
        .collect();
    assert_eq!(connections.iter().sum::<f64>(), 30.0);
    assert!(connections.iter().all(|&count| count > 3.0), "{connections:?}");
    drop(streams);
    assert!(server.stop().success());
    assert_eq!(rows(&data, Table::Logs).len(), 30);
}

#[test]
fn a_body_of_two_bytes_an_event_is_refused_before_it_grows() {
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);
    let span = otlp::trace::v1::Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        events: vec![otlp::trace::v1::span::Event::default(); 2_000_000],
        ..Default::default()
    };
    let body = otlp::collector::trace::v1::ExportTraceServiceRequest {
        resource_spans: vec![otlp::trace::v1::ResourceSpans {
            scope_spans: vec![otlp::trace::v1::ScopeSpans {
                spans: vec![span],
                ..Default::default()
            }],
            ..Default::default()
        }],
    };
    let headers = [("Content-Type", "application/x-protobuf"), ("Content-Encoding", "gzip")];
    let reply = server.post("/v1/traces", &headers, &gzip(&body.encode_to_vec()));
    assert_eq!(reply.status, 400);
    assert!(reply.text().contains("too many records or values"), "{}", reply.text());
    assert!(server.stop().success());
}
