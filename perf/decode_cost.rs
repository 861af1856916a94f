//! What a rival decoder costs on the bodies that `perf/run` sends, and what our own stages cost on
//! them: `prost` and `serde_json` into their trees, our codings and our validating walk.
//!
//! `decode_cost DIR`: one line of JSON a body kind, nanoseconds a record. Bodies are cycled as the
//! load cycles them, so that a set larger than the caches is as cold here as there. The figure is the
//! best of several passes: what stands beside us on the core only ever adds.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a tool may panic and read the clock"
)]

#[path = "../proto/generated/mod.rs"]
#[rustfmt::skip]
#[allow(clippy::all, clippy::pedantic, dead_code, reason = "generated")]
mod messages;

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use inrush::batch::Validating;
use inrush::content::{self, Arena};
use inrush::decode::{Scratch, decode};
use inrush::envelope::{Coding, Codings, Envelope, RequestFields, Route};
use messages::opentelemetry::proto::collector::logs::v1::ExportLogsServiceRequest;
use messages::prometheus::WriteRequest;
use prost::Message;

/// Trees of many small parts are allocated the faster for it: the rival gets what the server has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const LIMIT: usize = 64 * 1024 * 1024;
const PASSES: usize = 15;
const SECONDS_MAX: u64 = 3;

/// CPU of this thread, as the server's costs are CPU: time that neighbours take is nobody's cost.
fn cpu() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap())
}

/// Nanoseconds of CPU a record, best pass over all bodies.
fn measure(bodies: &[Vec<u8>], records: usize, mut work: impl FnMut(&[u8])) -> f64 {
    let begin = Instant::now();
    let mut best = Duration::MAX;
    for _ in 0..PASSES {
        let start = cpu();
        bodies.iter().for_each(|body| work(black_box(body)));
        best = best.min(cpu().saturating_sub(start));
        if begin.elapsed() > Duration::from_secs(SECONDS_MAX) {
            break;
        }
    }
    best.as_nanos() as f64 / (bodies.len() * records) as f64
}

fn read(folder: &Path, count: usize, suffix: &str) -> Vec<Vec<u8>> {
    (0..count).map(|index| fs::read(folder.join(format!("{index:03}.{suffix}"))).unwrap()).collect()
}

fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).expect("decode_cost DIR"));
    let only = std::env::args().nth(2);
    let kinds = fs::read(folder.join("kinds.json")).unwrap();
    let kinds: Vec<serde_json::Value> = serde_json::from_slice(&kinds).unwrap();
    for kind in &kinds {
        let name = kind["name"].as_str().unwrap();
        if only.as_deref().is_some_and(|only| !name.contains(only)) {
            continue;
        }
        let number = |key: &str| usize::try_from(kind[key].as_u64().unwrap()).unwrap();
        let (records, count) = (number("records"), number("bodies"));
        let bodies = read(&folder.join(name), count, "body");
        let payloads = read(&folder.join(name), count, "payload");
        let (route, rival) = match name.split('-').next().unwrap() {
            "remote_write" => (Route::RemoteWrite, "prost"),
            "otlp_logs" => (Route::OtlpLogs, "prost"),
            // No decoder that stands alone: `perf/run` puts a server that stores beside it.
            "exposition" => (Route::ImportPrometheus, "none"),
            _ => (Route::JsonLogs, "serde_json"),
        };
        let codings = match kind["coding"].as_str().unwrap() {
            "gzip" => Codings::one(Coding::Gzip),
            "snappy" => Codings::one(Coding::Snappy),
            _ => Codings::IDENTITY,
        };
        let mut arena = Arena::default();
        let content = measure(&bodies, records, |body| {
            black_box(content::decode(codings, body, &mut arena, LIMIT).unwrap().len());
        });
        let envelope = Envelope {
            route,
            codings: Codings::IDENTITY,
            tenant: "perf",
            arrival_nanos: 1_767_225_600_000_000_000,
            fields: RequestFields::EMPTY,
        };
        let mut scratch = Scratch::default();
        let validate = measure(&payloads, records, |payload| {
            let verdict = decode(&envelope, payload, &mut scratch, &mut Validating).unwrap();
            assert_eq!(verdict.kept() - verdict.metadata, records as u64);
        });
        // What the server does: each payload comes out of the decompressor straight into the walk.
        let both = measure(&bodies, records, |body| {
            let payload = content::decode(codings, body, &mut arena, LIMIT).unwrap();
            black_box(decode(&envelope, payload, &mut scratch, &mut Validating).unwrap());
        });
        let checksum = measure(&bodies, records, |body| {
            black_box(crc32c::crc32c(body));
        });
        let rival_cost = measure(&payloads, records, |payload| match route {
            Route::RemoteWrite => drop(black_box(WriteRequest::decode(payload).unwrap())),
            Route::ImportPrometheus => {}
            Route::OtlpLogs => drop(black_box(ExportLogsServiceRequest::decode(payload).unwrap())),
            _ => drop(black_box(serde_json::from_slice::<serde_json::Value>(payload).unwrap())),
        });
        let line = serde_json::json!({
            "name": name, "rival": rival, "rival_ns": rival_cost, "content_ns": content,
            "validate_ns": validate, "content_and_validate_ns": both, "checksum_ns": checksum,
        });
        println!("{line}");
    }
}
