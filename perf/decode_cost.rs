//! What a rival decoder costs on the bodies that `perf/run` sends, and what our own stages cost on
//! them: `prost`, `serde_json` and `rmp-serde` into their trees, our codings and our validating walk.
//!
//! `decode_cost DIR`: one line of JSON a body kind, nanoseconds a record. Bodies are cycled as the
//! load cycles them, so that a set larger than the caches is as cold here as there. The figure is the
//! best of several passes: what stands beside us on the core only ever adds.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a tool may panic and read the clock"
)]

#[path = "bodies_datadog_traces.rs"]
mod bodies_datadog_traces;
#[path = "bodies_firehose.rs"]
mod bodies_firehose;
#[path = "../proto/generated/mod.rs"]
#[rustfmt::skip]
#[allow(clippy::all, clippy::pedantic, dead_code, reason = "generated")]
mod messages;

use std::fs;
use std::hint::black_box;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bodies_datadog_traces::{Typed, Typed5};
use inrush::batch::Validating;
use inrush::content::{self, Arena};
use inrush::decode::{Scratch, decode};
use inrush::envelope::{Coding, Codings, Envelope, FieldId, RequestFields, Route};
use inrush::limits;
use messages::datadog::agentpayload::{MetricPayload, SketchPayload};
use messages::opentelemetry::proto::collector::logs::v1::ExportLogsServiceRequest;
use messages::opentelemetry::proto::collector::metrics::v1::ExportMetricsServiceRequest;
use messages::opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest;
use messages::prometheus::WriteRequest;
use prost::Message;
use serde::de::DeserializeOwned;

/// Trees of many small parts are allocated the faster for it: the rival gets what the server has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const LIMIT: usize = 64 * 1024 * 1024;
const REMOTE_WRITE_2_TYPE: &[u8] = b"application/x-protobuf;proto=io.prometheus.write.v2.Request";
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

type Rival = Option<(&'static str, fn(&[u8]))>;

fn prost<M: Message + Default>(payload: &[u8]) {
    drop(black_box(M::decode(payload).unwrap()));
}

fn serde_json_value(payload: &[u8]) {
    drop(black_box(serde_json::from_slice::<serde_json::Value>(payload).unwrap()));
}

fn rmp_serde_typed<T: DeserializeOwned>(payload: &[u8]) {
    drop(black_box(rmp_serde::from_slice::<T>(payload).unwrap()));
}

fn firehose_trees(payload: &[u8]) {
    assert!(bodies_firehose::trees(payload) > 0);
}

/// Inflated by an ordinary library.
fn inflated(codings: Codings, body: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    if codings == Codings::one(Coding::Gzip) {
        flate2::read::MultiGzDecoder::new(body).read_to_end(&mut payload).unwrap();
    } else {
        flate2::read::ZlibDecoder::new(body).read_to_end(&mut payload).unwrap();
    }
    payload
}

/// The walk over one payload, answering how many records it holds. A body that is cut at line ends is
/// walked as the server does it, block by block; the family that is open at a cut is left out, it costs
/// a line a block.
fn walk(envelope: &Envelope<'_>, payload: &[u8], scratch: &mut Scratch) -> u64 {
    let mut rest = payload;
    let mut records = 0;
    loop {
        let mut size = rest.len();
        if envelope.route.is_cut() && size > limits::BLOCK_SIZE_MAX {
            let block = rest.get(..limits::BLOCK_SIZE_MAX).unwrap_or_default();
            size = block.iter().rposition(|&byte| byte == b'\n').map_or(size, |place| place + 1);
        }
        let (block, after) = rest.split_at(size);
        let verdict = decode(envelope, block, scratch, &mut Validating).unwrap();
        assert_eq!(verdict.rejected, 0);
        records += verdict.kept() - verdict.metadata;
        rest = after;
        if rest.is_empty() {
            return records;
        }
    }
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
        let rivals = match kind["has_rival_bodies"].as_bool() {
            Some(true) => read(&folder.join(name), count, "rival"),
            _ => payloads.clone(),
        };
        let mut fields = Vec::new();
        let (route, rival): (_, Rival) = match name.split('-').next().unwrap() {
            "remote_write" => (Route::RemoteWrite, Some(("prost", prost::<WriteRequest>))),
            "remote_write_2" => {
                assert!(RequestFields::push(
                    &mut fields,
                    FieldId::ContentType,
                    REMOTE_WRITE_2_TYPE
                ));
                (Route::RemoteWrite, Some(("prost of 1.0", prost::<WriteRequest>)))
            }
            "otlp_logs" => (Route::OtlpLogs, Some(("prost", prost::<ExportLogsServiceRequest>))),
            "otlp_traces" => {
                (Route::OtlpTraces, Some(("prost", prost::<ExportTraceServiceRequest>)))
            }
            "otlp_metrics" => {
                (Route::OtlpMetrics, Some(("prost", prost::<ExportMetricsServiceRequest>)))
            }
            "otlp_json_logs" => {
                assert!(RequestFields::push(
                    &mut fields,
                    FieldId::ContentType,
                    b"application/json"
                ));
                (Route::OtlpLogs, Some(("serde_json", serde_json_value)))
            }
            "datadog_series_1" => (Route::DatadogSeriesV1, Some(("serde_json", serde_json_value))),
            "datadog_series_2" => (Route::DatadogSeriesV2, Some(("prost", prost::<MetricPayload>))),
            "datadog_sketches" => (Route::DatadogSketches, Some(("prost", prost::<SketchPayload>))),
            "datadog_traces_4" => {
                (Route::DatadogTracesV04, Some(("rmp-serde", rmp_serde_typed::<Typed>)))
            }
            "datadog_traces_5" => {
                (Route::DatadogTracesV05, Some(("rmp-serde", rmp_serde_typed::<Typed5>)))
            }
            "firehose_cloudwatch" | "firehose_direct" => {
                (Route::Firehose, Some(("serde_json", firehose_trees)))
            }
            // No decoder that stands alone: `perf/run` puts a server that stores beside it.
            "exposition" => (Route::ImportPrometheus, None),
            _ => (Route::JsonLogs, Some(("serde_json", serde_json_value))),
        };
        // The aims of these count what inflates a body on both sides; the others' rivals get it inflated.
        let rival_inflates = name.starts_with("firehose") || name.starts_with("datadog_series_1");
        let codings = match kind["coding"].as_str().unwrap() {
            "gzip" => Codings::one(Coding::Gzip),
            "snappy" => Codings::one(Coding::Snappy),
            "deflate" => Codings::one(Coding::Deflate),
            "zstd" => Codings::one(Coding::Zstd),
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
            fields: RequestFields::new(&fields),
        };
        let mut scratch = Scratch::default();
        let validate = measure(&payloads, records, |payload| {
            assert_eq!(walk(&envelope, payload, &mut scratch), records as u64);
        });
        // What the server does: each payload comes out of the decompressor straight into the walk.
        let both = measure(&bodies, records, |body| {
            let payload = content::decode(codings, body, &mut arena, LIMIT).unwrap();
            black_box(walk(&envelope, payload, &mut scratch));
        });
        let checksum = measure(&bodies, records, |body| {
            black_box(crc32c::crc32c(body));
        });
        let (rival, rival_cost) = match rival {
            Some((rival, work)) if rival_inflates && !codings.is_identity() => {
                (rival, measure(&bodies, records, |body| work(&inflated(codings, body))))
            }
            Some((rival, work)) => (rival, measure(&rivals, records, work)),
            None => ("none", 0.0),
        };
        let line = serde_json::json!({
            "name": name, "rival": rival, "rival_ns": rival_cost, "content_ns": content,
            "validate_ns": validate, "content_and_validate_ns": both, "checksum_ns": checksum,
        });
        println!("{line}");
    }
}
