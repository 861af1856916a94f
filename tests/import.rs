//! Bodies that are cut on the way in: the real binary, every coding and framing, faults in the middle.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

#[path = "store/read_back.rs"]
#[allow(dead_code, reason = "used in part")]
mod read_back;
#[path = "support/server.rs"]
mod server;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::path::Path;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use inrush::batch::Table;
use read_back::rows;
use serde_json::Value;
use server::{Server, read_reply, request};

const PATH: &str = "/api/v1/import/prometheus";
/// Three blocks and the beginning of a fourth.
const LINE_COUNT: usize = 30_000;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// About 115 bytes a line; the value is the line's number.
fn lines(case: &str, count: usize) -> Vec<u8> {
    let mut text = String::from("# TYPE cut_test gauge\n# HELP cut_test of blocks\n");
    for number in 0..count {
        let time = 1_700_000_000_000_u64 + number as u64;
        let spread = number % 100;
        text.push_str(&format!(
            "cut_test{{case=\"{case}\",spread=\"{spread}\",pad=\"{:-<50}\"}} {number} {time}\n",
            ""
        ));
    }
    text.into_bytes()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut coded = vec![0; zstd_safe::compress_bound(bytes.len())];
    let size = zstd_safe::compress(&mut coded[..], bytes, 3).unwrap();
    coded.truncate(size);
    coded
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = snap::write::FrameEncoder::new(Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.into_inner().unwrap()
}

fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for chunk in body.chunks(size) {
        bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
        bytes.extend(chunk);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}

fn series_label(data: &Path, label: &str) -> BTreeMap<String, String> {
    rows(data, Table::MetricSeries)
        .iter()
        .map(|row| {
            let value = row["Labels"][label].as_str().unwrap_or_default().to_owned();
            (row["SeriesId"].as_str().unwrap().to_owned(), value)
        })
        .collect()
}

fn value_of(row: &Value) -> f64 {
    f64::from_bits(u64::from_str_radix(row["Value"].as_str().unwrap(), 16).unwrap())
}

/// Line numbers come back as they went in: small and whole.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and in range")]
fn number_of(value: f64) -> usize {
    assert!(value.fract() == 0.0 && (0.0..1e9).contains(&value), "{value}");
    value as usize
}

/// The values of every case, in order.
fn values(data: &Path) -> BTreeMap<String, Vec<usize>> {
    let cases = series_label(data, "case");
    let mut values: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for row in rows(data, Table::MetricSamples) {
        let case = &cases[row["SeriesId"].as_str().unwrap()];
        values.entry(case.clone()).or_default().push(number_of(value_of(&row)));
    }
    for values in values.values_mut() {
        values.sort_unstable();
    }
    values
}

#[test]
fn every_coding_and_framing_reaches_parquet_line_by_line() {
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);
    type Encode = fn(&[u8]) -> Vec<u8>;
    let codings: [(&str, &str, Encode); 8] = [
        ("plain", "identity", <[u8]>::to_vec),
        ("gzip", "gzip", gzip),
        ("zlib", "deflate", zlib),
        ("deflate", "deflate", deflate),
        ("zstd", "zstd", zstd),
        ("block", "snappy", |bytes| snap::raw::Encoder::new().compress_vec(bytes).unwrap()),
        ("framed", "snappy", framed),
        ("stacked", "gzip, zstd", |bytes| zstd(&gzip(bytes))),
    ];
    for (name, coding, encode) in codings {
        for size in [0, 700, 100_000] {
            let case = format!("{name}-{size}");
            let body = encode(&lines(&case, LINE_COUNT));
            let mut stream = server.connect();
            if size == 0 {
                let headers = [("Content-Encoding", coding)];
                stream.write_all(&request("POST", PATH, &headers, &body)).unwrap();
            } else {
                let fields = [("Content-Encoding", coding), ("Transfer-Encoding", "chunked")];
                stream.write_all(&request("POST", PATH, &fields, &chunked(&body, size))).unwrap();
            }
            let reply = read_reply(&mut stream).unwrap();
            assert_eq!(reply.status, 204, "{case}: {}", reply.text());
            // The connection lives on.
            stream.write_all(&request("GET", "/health", &[], b"")).unwrap();
            assert_eq!(read_reply(&mut stream).unwrap().status, 200, "{case}");
        }
    }
    server.wait_until_stored();
    let values = values(&data);
    assert_eq!(values.len(), 24);
    for (case, values) in &values {
        assert!(*values == (0..LINE_COUNT).collect::<Vec<_>>(), "{case}: {} lines", values.len());
    }
    let metadata = rows(&data, Table::MetricMetadata);
    assert!(!metadata.is_empty());
    for row in metadata {
        assert_eq!(row["MetricFamily"], "cut_test");
        assert_eq!((&row["MetricType"], &row["Help"]), (&"gauge".into(), &"of blocks".into()));
    }
    assert!(server.stop().success());
}

#[test]
fn a_fault_in_the_middle_answers_with_the_count_that_was_kept() {
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);
    let send = |headers: &[(&str, &str)], body: &[u8]| {
        let mut stream = server.connect();
        // The server may answer and stop reading before all is sent.
        let _ = stream.write_all(&request("POST", PATH, headers, body));
        read_reply(&mut stream).unwrap()
    };
    let kept = |text: &str| -> usize {
        let end = text.find(" records in front of it were kept").unwrap();
        text[..end].rsplit(' ').next().unwrap().parse().unwrap()
    };
    let coded = gzip(&lines("cut", LINE_COUNT));
    let reply = send(&[("Content-Encoding", "gzip")], &coded[..coded.len() - 5000]);
    assert_eq!(reply.status, 400);
    let cut = kept(&reply.text());
    let mut coded = gzip(&lines("damaged", LINE_COUNT));
    let place = coded.len() - 3000;
    coded[place..place + 100].fill(0xff);
    let reply = send(&[("Content-Encoding", "gzip")], &coded);
    assert_eq!(reply.status, 400);
    let damaged = kept(&reply.text());
    let mut body = lines("long", 20_000);
    let place = body.len();
    body.extend(format!("long{{x=\"{}\"}} 1\n", "y".repeat(300_000)).bytes());
    body.extend(lines("behind", 10_000));
    let reply = send(&[], &body);
    assert_eq!(reply.status, 400);
    assert!(
        reply.text().contains(&format!("longer than 256 KiB at byte {place}")),
        "{}",
        reply.text()
    );
    let long = kept(&reply.text());
    server.wait_until_stored();
    let values = values(&data);
    for (case, kept) in [("cut", cut), ("damaged", damaged), ("long", long)] {
        // Metadata counts as a record: once for each block that opens or goes on with the family.
        let values = &values[case];
        assert!(kept >= values.len() && kept <= values.len() + 4, "{case}: {kept}");
        assert!(*values == (0..values.len()).collect::<Vec<_>>(), "{case} has whole blocks");
        assert!(values.len() > 8000, "{case}: {}", values.len());
    }
    assert!(!values.contains_key("behind"));
    assert!(server.stop().success());
}

#[test]
fn arguments_paths_methods_and_bad_lines() {
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);
    let status = |bytes: Vec<u8>| {
        let mut stream = server.connect();
        stream.write_all(&bytes).unwrap();
        let reply = read_reply(&mut stream).unwrap();
        (reply.status, reply.text())
    };
    let query =
        format!("{PATH}?timestamp=1700000000123&extra_label=dc%3Deu&extra_label=case=args&token=x");
    assert_eq!(status(request("POST", &query, &[], b"a 1\nb{dc=\"us\"} 2 1700000001\n")).0, 204);
    let push = format!("{PATH}/metrics/job/batch/case@base64/cHVzaA");
    assert_eq!(status(request("PUT", &push, &[], b"pushed 3\n")).0, 200);
    let gzipped = gzip(b"by_get{case=\"get\"} 4\n");
    let fields =
        [("Content-Encoding", "gzip"), ("Content-Type", "application/x-www-form-urlencoded")];
    assert_eq!(status(request("GET", PATH, &fields, &gzipped)).0, 204);
    assert_eq!(
        status(request("POST", PATH, &[], b"good{case=\"bad\"} 5\nbad{x=\"} 1\nworse\n")).0,
        204
    );
    assert_eq!(status(request("POST", PATH, &[], b"")).0, 204);
    for (path, words) in [
        (format!("{PATH}?timestamp=soon"), "timestamp"),
        (format!("{PATH}?extra_label=novalue"), "extra_label"),
        (format!("{PATH}/metrics/job"), "path"),
        (format!("{PATH}/metrics/job@base64/!!!"), "base64"),
    ] {
        let (code, text) = status(request("POST", &path, &[], b"a 1\n"));
        assert_eq!(code, 400, "{path}");
        assert!(text.contains(words), "{path}: {text}");
    }
    let (code, text) = status(request("POST", PATH, &[("Content-Encoding", "br")], b"a 1\n"));
    assert_eq!(code, 400, "{text}");
    assert_eq!(status(request("DELETE", PATH, &[], b"")).0, 405);
    server.wait_until_stored();
    let series = rows(&data, Table::MetricSeries);
    let labels = |name: &str| {
        let row = series.iter().find(|row| row["MetricName"] == name).unwrap();
        row["Labels"].clone()
    };
    assert_eq!(labels("a"), serde_json::json!({"case": "args", "dc": "eu"}));
    assert_eq!(labels("b"), serde_json::json!({"case": "args", "dc": "eu"}));
    assert_eq!(labels("pushed"), serde_json::json!({"case": "push", "job": "batch"}));
    let values = values(&data);
    assert_eq!(values["args"], [1, 2]);
    assert_eq!(values["get"], [4]);
    assert_eq!(values["bad"], [5]);
    assert!(server.stop().success());
}

#[test]
fn many_large_bodies_at_once_stay_within_the_bound_and_are_all_there() {
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);
    let threads: Vec<_> = (0..12)
        .map(|number| {
            let mut stream = server.connect();
            std::thread::spawn(move || {
                let body = lines(&format!("client{number}"), LINE_COUNT);
                let headers: &[(&str, &str)] =
                    if number % 3 == 0 { &[("Content-Encoding", "zstd")] } else { &[] };
                let body = if headers.is_empty() { body } else { zstd(&body) };
                stream.write_all(&request("POST", PATH, headers, &body)).unwrap();
                // Half closed: the reply still comes.
                stream.shutdown(Shutdown::Write).unwrap();
                read_reply(&mut stream).unwrap().status
            })
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), 204);
    }
    server.wait_until_stored();
    let values = values(&data);
    assert_eq!(values.len(), 12);
    assert!(values.values().all(|values| values.len() == LINE_COUNT));
    assert!(server.stop().success());
}

#[test]
fn bodies_that_wait_for_the_journal_keep_their_own_family() {
    let folder = folder();
    let data = folder.path().join("data");
    // Small enough that bodies wait for the store in the middle.
    let server = Server::start(
        &data,
        &[("INRUSH_JOURNAL_MAX_SIZE", "132MiB"), ("INRUSH_LIMITS_BODY_MEMORY", "100MiB")],
    );
    let threads: Vec<_> = (0..24)
        .map(|number| {
            let mut stream = server.connect();
            std::thread::spawn(move || {
                let family = format!("own_{number}");
                let mut body = format!("# TYPE {family} counter\n# HELP {family} help {number}\n");
                for line in 0..24_000 {
                    body.push_str(&format!(
                        "{family}_total{{pad=\"{:-<180}\"}} {line}\n",
                        line % 50
                    ));
                }
                body.push_str(&format!("# UNIT {family} unit{number}\n"));
                let headers: &[(&str, &str)] =
                    if number % 2 == 0 { &[("Content-Encoding", "zstd")] } else { &[] };
                let body = if headers.is_empty() { body.into() } else { zstd(body.as_bytes()) };
                // A refused body's connection may be closed while it is sent.
                let _ = stream.write_all(&request("POST", PATH, headers, &body));
                read_reply(&mut stream).map_or(0, |reply| reply.status)
            })
        })
        .collect();
    let statuses: Vec<u16> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!(statuses.iter().all(|status| [204, 503].contains(status)), "{statuses:?}");
    let acknowledged = statuses.iter().filter(|&&status| status == 204).count();
    assert!(acknowledged > 0, "{statuses:?}");
    server.wait_until_stored();
    let mut whole = 0;
    for row in rows(&data, Table::MetricMetadata) {
        let number = row["MetricFamily"].as_str().unwrap().strip_prefix("own_").unwrap().to_owned();
        assert_eq!(row["Help"], format!("help {number}"));
        if row["Unit"] != "" {
            assert_eq!(row["Unit"], format!("unit{number}"));
            whole += 1;
        }
    }
    assert!(whole >= acknowledged, "{whole} {statuses:?}");
    assert!(server.stop().success());
}

#[test]
fn a_sender_that_dies_and_a_server_that_is_killed_leave_whole_blocks_once() {
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);
    let body = lines("gone", LINE_COUNT);
    let bytes = request("POST", PATH, &[], &body);
    let mut stream = server.connect();
    stream.write_all(&bytes[..bytes.len() / 2]).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    // One block is in; then the sender goes away.
    while server.metric("inrush_records_total{tenant=\"acme\",signal=\"metrics\"}") == 0.0 {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(stream);
    let body = lines("killed", LINE_COUNT);
    let bytes = request("POST", PATH, &[], &body);
    let mut stream = server.connect();
    stream.write_all(&bytes[..bytes.len() - 100]).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    server.kill();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.is_empty(), "nothing was acknowledged");
    let server = Server::start(&data, &[]);
    server.wait_until_stored();
    let values = values(&data);
    for case in ["gone", "killed"] {
        let values = &values[case];
        assert!(*values == (0..values.len()).collect::<Vec<_>>(), "{case}");
        assert!(values.len() > 5000 && values.len() < LINE_COUNT, "{case}: {}", values.len());
    }
    assert!(server.stop().success());
}
