//! HTTP/1.1 heads: our parser, which also refuses what two readers could read in two ways, beside
//! `httparse` alone, which does not. Then what a request costs until its tenant is known.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use inrush::auth::{KeyTable, Memo, Scratch, authenticate_remembering};
use inrush::envelope::Route;
use inrush::http::http1::chunked::{ChunkStep, Decoder};
use inrush::http::http1::framing;
use inrush::http::http1::head::{HeadOptions, HeadScan, parse};
use inrush::http::http1::reply::{DateField, ReplyTo, encode};
use inrush::http::reply::Reply;
use inrush::http::{Parsed, Version};
use inrush::outcome::{Cause, RequestEcho, render};
use inrush::route::{self, Endpoint};

const REMOTE_WRITE: &str = "POST /api/v1/write HTTP/1.1\r\nHost: ingest.example.com\r\n\
    User-Agent: Prometheus/3.4.0\r\nContent-Length: 48213\r\nAuthorization: Bearer \
    0123456789abcdef0123456789abcdef01234567890\r\nContent-Encoding: snappy\r\nContent-Type: \
    application/x-protobuf\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n\r\n";

const OTLP: &str = "POST /v1/logs HTTP/1.1\r\nhost: ingest.example.com:443\r\nuser-agent: \
    OTel-OTLP-Exporter-Python/1.38.0\r\naccept-encoding: gzip, deflate\r\naccept: */*\r\n\
    connection: keep-alive\r\ncontent-encoding: gzip\r\napikey: \
    0123456789abcdef0123456789abcdef01234567890\r\ncontent-type: application/x-protobuf\r\n\
    content-length: 18211\r\n\r\n";

const BROWSER: &str = "POST /v1/logs HTTP/1.1\r\nHost: ingest.example.com\r\nConnection: \
    keep-alive\r\nContent-Length: 1811\r\nsec-ch-ua-platform: \"Linux\"\r\nUser-Agent: Mozilla/5.0 \
    (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\n\
    sec-ch-ua: \"Chromium\";v=\"142\", \"Not;A Brand\";v=\"24\"\r\nContent-Type: \
    application/x-protobuf\r\nsec-ch-ua-mobile: ?0\r\napikey: 0123456789abcdef0123456789abcdef01234567890\r\n\
    Accept: */*\r\nOrigin: https://shop.example.com\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: \
    cors\r\nSec-Fetch-Dest: empty\r\nReferer: https://shop.example.com/\r\nAccept-Encoding: gzip, \
    deflate, br, zstd\r\nAccept-Language: de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7\r\n\r\n";

const HEADS: [(&str, &str); 3] =
    [("remote_write", REMOTE_WRITE), ("otlp", OTLP), ("browser", BROWSER)];

fn ours(bytes: &[u8], options: &HeadOptions, scan: &mut HeadScan) -> (usize, usize) {
    match parse(bytes, options, scan) {
        Ok(Parsed::Item { value, size }) => (size, black_box(&value).fields.count()),
        _ => (0, 0),
    }
}

fn rival(bytes: &[u8]) -> (usize, usize) {
    let mut table = [httparse::EMPTY_HEADER; 100];
    let mut request = httparse::Request::new(&mut table);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(size)) => (size, black_box(&request).headers.len()),
        _ => (0, 0),
    }
}

pub fn bench(criterion: &mut Criterion) {
    let options = HeadOptions::default();
    let mut scan = HeadScan::default();
    for (name, head) in HEADS {
        let bytes = head.as_bytes();
        assert_eq!(ours(bytes, &options, &mut scan), rival(bytes), "{name}");
        assert_eq!(rival(bytes).0, bytes.len(), "{name}");
        let mut group = criterion.benchmark_group(format!("head/{name}"));
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function("inrush", |bencher| {
            bencher.iter(|| ours(black_box(bytes), &options, &mut scan));
        });
        group.bench_function("httparse", |bencher| bencher.iter(|| rival(black_box(bytes))));
        group.finish();
    }
    bench_request(criterion);
    bench_reply(criterion);
    bench_chunked(criterion);
}

/// From a head's bytes to route, key, codings and framing.
fn bench_request(criterion: &mut Criterion) {
    let secret = [3; 32];
    let key = b"0123456789abcdef0123456789abcdef01234567890";
    let table = KeyTable::new(&secret, std::iter::once((KeyTable::digest(&secret, key), 1)));
    let options = HeadOptions::default();
    let mut scan = HeadScan::default();
    let mut scratch = Scratch::new();
    let mut memo = Memo::new();
    let mut group = criterion.benchmark_group("request");
    group.throughput(Throughput::Elements(1));
    for (name, head) in HEADS {
        let mut run = || {
            let Ok(Parsed::Item { value: head, .. }) =
                parse(black_box(head.as_bytes()), &options, &mut scan)
            else {
                return None;
            };
            let Ok(Endpoint::Ingest(route)) = route::select(&head) else {
                return None;
            };
            let tenant = authenticate_remembering(&table, &head, &mut scratch, &mut memo).ok()?;
            let framing = framing::body_framing(&head).ok()?;
            let expects = framing::expects_continue(&head).ok()?;
            let codings = route::codings(route, &head.fields).ok()?;
            let media = route::media_type(route, &head.fields).ok()?;
            Some((tenant, framing, expects, codings, media, framing::keeps_alive(&head)))
        };
        assert_eq!(run().map(|answer| answer.0), Some(1), "{name}");
        group.bench_function(name, |bencher| bencher.iter(&mut run));
    }
    group.finish();
}

/// From a verdict to the bytes of its reply.
fn bench_reply(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("reply");
    group.throughput(Throughput::Elements(1));
    let mut reply = Reply::new();
    let mut out = Vec::new();
    let date = DateField::new();
    let to = ReplyTo { version: Version::Http11, head_only: false, close: false };
    for (name, route, cause) in [
        ("acknowledged", Route::RemoteWrite, Cause::Acknowledged(Default::default())),
        ("overloaded", Route::OtlpLogs, Cause::Overloaded { retry_after_seconds: 1 }),
    ] {
        let request =
            RequestEcho { endpoint: Some(Endpoint::Ingest(route)), ..RequestEcho::default() };
        let mut run = || {
            out.clear();
            render(&request, black_box(&cause), &mut reply);
            encode(&reply, to, &date, &mut out);
            out.len()
        };
        assert!(run() > 60, "{name}");
        group.bench_function(name, |bencher| bencher.iter(&mut run));
    }
    group.finish();
}

/// A chunked body as Node sends it, and one of tiny chunks.
fn bench_chunked(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("chunked");
    for (name, chunk_size, count) in [("64KiB", 65536, 16), ("16B", 16, 4096)] {
        let mut body = Vec::new();
        for _ in 0..count {
            body.extend_from_slice(format!("{chunk_size:x}\r\n").as_bytes());
            body.resize(body.len() + chunk_size, b'x');
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"0\r\n\r\n");
        let run = || {
            let mut decoder = Decoder::new();
            let mut rest = black_box(&body[..]);
            let mut size = 0;
            loop {
                match decoder.step(rest) {
                    Ok(ChunkStep::Data { start, end }) => {
                        size += end - start;
                        rest = &rest[end..];
                    }
                    Ok(ChunkStep::End { .. }) => return size,
                    _ => return 0,
                }
            }
        };
        assert_eq!(run(), chunk_size * count, "{name}");
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(name, |bencher| bencher.iter(run));
    }
    group.finish();
}
