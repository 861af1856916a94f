//! No allocation per request in steady state: the whole server runs in this process, its allocator
//! counts what shard threads ask for while warm bodies of every protocol come in.
//!
//! What is at stake: an allocator's lock or page fault between socket and reply, on the thread that
//! every connection of a core waits for.

#![allow(unsafe_code, reason = "a global allocator cannot be implemented without")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

#[path = "../perf/bodies.rs"]
mod bodies;
#[path = "../perf/bodies_datadog_metrics.rs"]
mod bodies_datadog_metrics;
#[path = "../perf/bodies_datadog_traces.rs"]
mod bodies_datadog_traces;
#[path = "../perf/bodies_exposition.rs"]
mod bodies_exposition;
#[path = "../perf/bodies_firehose.rs"]
mod bodies_firehose;
#[path = "../perf/bodies_json.rs"]
mod bodies_json;
#[path = "../perf/bodies_otlp_json.rs"]
mod bodies_otlp_json;

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use inrush::config::{Config, Size};
use inrush::http::http2::PREFACE;
use inrush::http::http2::frame::{FrameHeader, Kind, flag, push_header};
use inrush::http::http2::hpack::encode;

static COUNTS: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
/// Where the first of them were made, and how many of each.
static PLACES: Mutex<BTreeMap<String, u64>> = Mutex::new(BTreeMap::new());
const TOLD_MAX: u64 = 2000;

thread_local! {
    /// The allocator is telling about an allocation, which allocates.
    static TELLING: Cell<bool> = const { Cell::new(false) };
}

struct Counting;

fn is_shard() -> bool {
    let mut name = [0u8; 16];
    // SAFETY: PR_GET_NAME writes at most 16 bytes to the place given.
    unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    name.starts_with(b"shard-")
}

fn note() {
    if !COUNTS.load(Ordering::Relaxed) || TELLING.get() || !is_shard() {
        return;
    }
    TELLING.set(true);
    if ALLOCATIONS.fetch_add(1, Ordering::Relaxed) < TOLD_MAX {
        let stack = Backtrace::force_capture().to_string();
        let ours: Vec<_> = stack.lines().filter(|line| line.contains(" ./src/")).take(3).collect();
        *PLACES.lock().unwrap().entry(ours.join("\n")).or_default() += 1;
    }
    TELLING.set(false);
}

// SAFETY: everything is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note();
        // SAFETY: the caller's promise.
        unsafe { System.realloc(place, layout, size) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Body {
    what: &'static str,
    request: Vec<u8>,
}

fn request(what: &'static str, path: &str, key: &str, headers: &str, body: &[u8]) -> Body {
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: inrush\r\napikey: {key}\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    Body { what, request }
}

fn lz4(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Each protocol with a body that comes whole with its head, one that is packed, and an extent.
fn requests(key: &str) -> Vec<Body> {
    let remote_write = "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n\
                        X-Prometheus-Remote-Write-Version: 0.1.0\r\n";
    let remote_write_2 = "Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request\r\n\
                          Content-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 2.0.0\r\n";
    let protobuf = "Content-Type: application/x-protobuf\r\n";
    let json = "Content-Type: application/json\r\n";
    let msgpack = "Content-Type: application/msgpack\r\nDatadog-Meta-Lang: go\r\n\
                   Datadog-Container-ID: c0ffee\r\n";
    let text = "Content-Type: text/plain; version=0.0.4\r\n";
    let mut requests = Vec::new();
    for (what, records) in [("small", 5), ("packed", 60), ("extent", 2000)] {
        for (headers, samples) in [
            (remote_write, bodies::remote_write(7, records)),
            (remote_write_2, bodies::remote_write_2(7, records)),
        ] {
            let samples = snap::raw::Encoder::new().compress_vec(&samples).unwrap();
            requests.push(request(what, "/api/v1/write", key, headers, &samples));
        }
        for (path, headers, payload) in [
            ("/v1/logs", protobuf, bodies::otlp_logs(7, records)),
            ("/v1/traces", protobuf, bodies::otlp_traces(7, records)),
            ("/v1/metrics", protobuf, bodies::otlp_metrics(7, records)),
            ("/v1/logs", json, bodies_otlp_json::otlp_logs(7, records)),
            ("/json/logs", json, bodies_json::json_logs(7, records)),
            ("/datadog/api/v1/series", json, bodies_datadog_metrics::series_1(7, 7, records)),
            ("/datadog/api/v2/series", protobuf, bodies_datadog_metrics::series_2(7, 7, records)),
            (
                "/datadog/api/beta/sketches",
                protobuf,
                bodies_datadog_metrics::sketches(7, 7, records),
            ),
            ("/v0.3/traces", msgpack, bodies_datadog_traces::v04(7, records)),
            ("/v0.4/traces", msgpack, bodies_datadog_traces::v04(7, records)),
            ("/v0.5/traces", msgpack, bodies_datadog_traces::v05(7, records)),
            ("/v0.7/traces", msgpack, bodies_datadog_traces::v07(7, records)),
            ("/v0.4/traces", json, bodies_datadog_traces::json(7, records)),
            ("/firehose/logs", json, bodies_firehose::direct(7, records)),
            ("/firehose/logs", json, bodies_firehose::cloudwatch(7, records.max(50))),
            // One block each: a body that is cut is another matter.
            ("/api/v1/import/prometheus", text, bodies_exposition::exposition(7, 7, records)),
        ] {
            requests.push(request(what, path, key, headers, &payload));
            let headers = format!("{headers}Content-Encoding: gzip\r\n");
            requests.push(request(what, path, key, &headers, &gzip(&payload)));
            if path.starts_with("/v1/") {
                let headers = headers.replace("gzip", "lz4");
                requests.push(request(what, path, key, &headers, &lz4(&payload)));
            }
        }
    }
    requests
}

fn exchange(stream: &mut TcpStream, request: &Body) {
    stream.write_all(&request.request).unwrap();
    let mut reply = [0; 4096];
    let mut length = 0;
    loop {
        length += stream.read(&mut reply[length..]).unwrap();
        let text = std::str::from_utf8(&reply[..length]).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        assert!(head.starts_with("HTTP/1.1 20"), "{}: {text}", request.what);
        let announced = head.to_ascii_lowercase();
        let announced = announced.lines().find_map(|line| line.strip_prefix("content-length:"));
        if body.len() == announced.map_or(0, |length| length.trim().parse().unwrap()) {
            return;
        }
    }
}

/// A client of gRPC, made of frames.
struct Calls {
    stream: TcpStream,
    next: u32,
    bodies: Vec<(&'static str, Vec<u8>)>,
}

impl Calls {
    fn new(mut stream: TcpStream) -> Self {
        let mut start = PREFACE.to_vec();
        push_header(&mut start, 0, Kind::Settings, 0, 0);
        push_header(&mut start, 0, Kind::Settings, flag::ACK, 0);
        stream.write_all(&start).unwrap();
        let message = |content: Vec<u8>| {
            let length = u32::try_from(content.len()).unwrap().to_be_bytes();
            [&[0][..], &length, &content].concat()
        };
        let service = |name| match name {
            "logs" => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            "trace" => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            _ => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        };
        let mut bodies = Vec::new();
        for records in [5, 60] {
            bodies.push((service("logs"), message(bodies::otlp_logs(7, records))));
            bodies.push((service("trace"), message(bodies::otlp_traces(7, records))));
            bodies.push((service("metrics"), message(bodies::otlp_metrics(7, records))));
        }
        Self { stream, next: 1, bodies }
    }

    fn call(&mut self, key: &str, index: usize) {
        let (path, body) = &self.bodies[index % self.bodies.len()];
        let id = self.next;
        self.next += 2;
        let mut block = Vec::new();
        for (name, value) in [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("grpc-timeout", "10S"),
            ("apikey", key),
        ] {
            encode::field(name, value.as_bytes(), &mut block);
        }
        let mut bytes = Vec::new();
        push_header(&mut bytes, block.len(), Kind::Headers, flag::END_HEADERS, id);
        bytes.extend_from_slice(&block);
        let count = body.chunks(16_384).len();
        for (place, piece) in body.chunks(16_384).enumerate() {
            let ends = if place + 1 == count { flag::END_STREAM } else { 0 };
            push_header(&mut bytes, piece.len(), Kind::Data, ends, id);
            bytes.extend_from_slice(piece);
        }
        self.stream.write_all(&bytes).unwrap();
        let mut has_message = false;
        loop {
            let mut header = [0; 9];
            self.stream.read_exact(&mut header).unwrap();
            let frame = FrameHeader::parse(&header).unwrap();
            let mut payload = vec![0; frame.length];
            self.stream.read_exact(&mut payload).unwrap();
            has_message |= frame.kind == Kind::Data;
            if frame.stream == id && frame.has(flag::END_STREAM) && frame.kind == Kind::Headers {
                assert!(has_message, "{path}: {}", payload.escape_ascii());
                return;
            }
        }
    }
}

#[test]
fn a_warm_request_allocates_nothing() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut config = Config {
        data_dir: folder.path().join("data"),
        http: vec!["127.0.0.1:0".parse().unwrap()],
        admin: "127.0.0.1:0".parse().unwrap(),
        shards: 1,
        store_workers: 1,
        ..Config::default()
    };
    // Smaller than what is sent, so that a change of segments is among it.
    config.journal.segment_size = Size(66 << 20);
    let started = inrush::server::start(config).unwrap();
    let key = started.first_key.clone().unwrap();
    let requests = requests(&key);

    let mut streams: Vec<_> = (0..4)
        .map(|_| {
            let stream = TcpStream::connect(started.http[0]).unwrap();
            stream.set_nodelay(true).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            stream
        })
        .collect();
    let stream = TcpStream::connect(started.http[0]).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut calls = Calls::new(stream);
    let mut sent = 0;
    let mut round = |rounds: usize| {
        for index in 0..rounds * requests.len() {
            let stream = &mut streams[(index / 5) % 4];
            exchange(stream, &requests[index % requests.len()]);
            sent += requests[index % requests.len()].request.len();
            if index % 4 == 0 {
                calls.call(&key, index / 4);
            }
        }
    };
    // A first change of segments is part of the warm-up. Further ones are told of over two lists, which
    // take memory for 31 of them at a time: not of a request, and less than one for 15 segments.
    round(25);
    COUNTS.store(true, Ordering::SeqCst);
    round(30);
    COUNTS.store(false, Ordering::SeqCst);
    assert!(sent > 2 * (66 << 20), "a segment in either part: {sent}");
    let allocations = ALLOCATIONS.load(Ordering::SeqCst);
    let places = PLACES.lock().unwrap();
    let is_of_segments =
        |place: &str| place.contains("journal/segment.rs") || place.contains("journal/log.rs");
    let of_segments: u64 =
        places.iter().filter(|(place, _)| is_of_segments(place)).map(|(_, count)| *count).sum();
    assert!(of_segments <= 2, "{of_segments} for changes of segments");
    let told: Vec<_> = places.iter().map(|(place, count)| format!("{count} ×\n{place}")).collect();
    assert_eq!(
        allocations - of_segments,
        0,
        "in {} requests:\n{}",
        30 * requests.len(),
        told.join("\n")
    );
    drop(streams);
    drop(calls);
    started.server.drain();
}
