//! Writes the bodies that `perf/run` sends, in the codings that typical senders use, and the wrk
//! scripts that send them.
//!
//! `make_bodies DIR KEY [--quick] [--only KIND]`. One folder a body kind: `NNN.body` as sent, `NNN.payload` decoded
//! (for `decode_cost`), `NNN.rival` where a rival reads another form of it, `wrk.lua`. The same arguments make the same bytes.
//!
//! *cold*: many bodies with seeds of their own, so that series and texts are new for as long as the
//! set lasts. *warm*: few bodies, and for remote write the same series in all of them.

#![allow(clippy::unwrap_used, reason = "a tool may panic")]

mod bodies;
mod bodies_datadog_metrics;
#[path = "bodies_datadog_traces.rs"]
mod bodies_datadog_traces;
mod bodies_exposition;
mod bodies_firehose;
mod bodies_json;
mod bodies_otlp_json;

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

/// Samples of Prometheus' default `max_samples_per_send`.
const SAMPLES: usize = 2_000;
/// A few batches of the SDKs' 512, as a collector's exporter joins them.
const OTLP_RECORDS: usize = 500;
/// What a collector's batch of metrics holds by default is 8,192; SDKs send less.
const OTLP_POINTS: usize = 2_000;
const JSON_RECORDS: usize = 1_000;
/// A scrape that one block holds.
const LINES: usize = 2_000;
/// One that is cut into three blocks or more.
const LINES_CUT: usize = 12_000;
/// Series of an Agent's payload: what fills its limit of decoded bytes with room to spare.
const DATADOG_SERIES: usize = 2_000;
/// Spans of a tracer's flush, under a second of a busy service.
const DATADOG_SPANS: usize = 2_000;

struct Kind {
    name: &'static str,
    path: &'static str,
    records: usize,
    headers: &'static [(&'static str, &'static str)],
    coding: Option<&'static str>,
    /// Distinct bodies.
    count: usize,
    make: fn(u64) -> Vec<u8>,
    /// What the rival decoder gets, where it is not the payload.
    rival: Option<fn(u64) -> Vec<u8>>,
}

const PROTOBUF: (&str, &str) = ("Content-Type", "application/x-protobuf");
const REMOTE_WRITE: &[(&str, &str)] =
    &[PROTOBUF, ("X-Prometheus-Remote-Write-Version", "0.1.0"), ("User-Agent", "Prometheus/3.5.0")];
const REMOTE_WRITE_2: &[(&str, &str)] = &[
    ("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request"),
    ("X-Prometheus-Remote-Write-Version", "2.0.0"),
    ("User-Agent", "Prometheus/3.5.0"),
];
const OTLP: &[(&str, &str)] = &[PROTOBUF, ("User-Agent", "OTel-OTLP-Exporter-Go/1.38.0")];
const OTLP_JSON: &[(&str, &str)] = &[
    ("Content-Type", "application/json"),
    ("User-Agent", "OTel-OTLP-Exporter-JavaScript/0.208.0"),
];
const JSON: &[(&str, &str)] =
    &[("Content-Type", "application/json"), ("User-Agent", "Vector/0.50")];
const FIREHOSE: &[(&str, &str)] = &[
    ("Content-Type", "application/json"),
    ("User-Agent", "Amazon Kinesis Data Firehose Agent/1.0"),
    ("X-Amz-Firehose-Request-Id", "ed4acda5-034f-9f42-bba1-f29aea6d7d8f"),
    ("X-Amz-Firehose-Source-Arn", "arn:aws:firehose:eu-west-1:123456789012:deliverystream/logs"),
];
const EXPOSITION: &[(&str, &str)] = &[("Content-Type", "text/plain; version=0.0.4")];

const DATADOG_1: &[(&str, &str)] =
    &[("Content-Type", "application/json"), ("User-Agent", "datadogpy/0.53.0")];
const DATADOG_TRACER: &[(&str, &str)] = &[
    ("Content-Type", "application/msgpack"),
    ("Datadog-Meta-Lang", "python"),
    ("Datadog-Meta-Lang-Version", "3.11.7"),
    ("Datadog-Meta-Tracer-Version", "4.16.0"),
];
const DATADOG: &[(&str, &str)] = &[PROTOBUF, ("User-Agent", "datadog-agent/7.80.0")];

const KINDS: &[Kind] = &[
    Kind {
        name: "remote_write-warm",
        path: "/api/v1/write",
        records: SAMPLES,
        headers: REMOTE_WRITE,
        coding: Some("snappy"),
        count: 16,
        make: |seed| bodies::remote_write_of(1, seed, SAMPLES),
        rival: None,
    },
    Kind {
        name: "remote_write-cold",
        path: "/api/v1/write",
        records: SAMPLES,
        headers: REMOTE_WRITE,
        coding: Some("snappy"),
        count: 192,
        make: |seed| bodies::remote_write(1000 + seed, SAMPLES),
        rival: None,
    },
    Kind {
        name: "remote_write_2-warm",
        path: "/api/v1/write",
        records: SAMPLES,
        headers: REMOTE_WRITE_2,
        coding: Some("snappy"),
        count: 16,
        make: |seed| bodies::remote_write_2_of(1, seed, SAMPLES),
        rival: Some(|seed| bodies::remote_write_of(1, seed, SAMPLES)),
    },
    Kind {
        name: "remote_write_2-cold",
        path: "/api/v1/write",
        records: SAMPLES,
        headers: REMOTE_WRITE_2,
        coding: Some("snappy"),
        count: 192,
        make: |seed| bodies::remote_write_2(1000 + seed, SAMPLES),
        rival: Some(|seed| bodies::remote_write(1000 + seed, SAMPLES)),
    },
    Kind {
        name: "otlp_logs-gzip-warm",
        path: "/v1/logs",
        records: OTLP_RECORDS,
        headers: OTLP,
        coding: Some("gzip"),
        count: 16,
        make: |seed| bodies::otlp_logs(seed, OTLP_RECORDS),
        rival: None,
    },
    Kind {
        name: "otlp_logs-gzip-cold",
        path: "/v1/logs",
        records: OTLP_RECORDS,
        headers: OTLP,
        coding: Some("gzip"),
        count: 192,
        make: |seed| bodies::otlp_logs(1000 + seed, OTLP_RECORDS),
        rival: None,
    },
    Kind {
        name: "otlp_logs-identity-cold",
        path: "/v1/logs",
        records: OTLP_RECORDS,
        headers: OTLP,
        coding: None,
        count: 192,
        make: |seed| bodies::otlp_logs(1000 + seed, OTLP_RECORDS),
        rival: None,
    },
    Kind {
        name: "otlp_traces-gzip-cold",
        path: "/v1/traces",
        records: OTLP_RECORDS,
        headers: OTLP,
        coding: Some("gzip"),
        count: 192,
        make: |seed| bodies::otlp_traces(1000 + seed, OTLP_RECORDS),
        rival: None,
    },
    Kind {
        name: "otlp_traces-identity-cold",
        path: "/v1/traces",
        records: OTLP_RECORDS,
        headers: OTLP,
        coding: None,
        count: 192,
        make: |seed| bodies::otlp_traces(1000 + seed, OTLP_RECORDS),
        rival: None,
    },
    Kind {
        name: "otlp_metrics-gzip-cold",
        path: "/v1/metrics",
        records: OTLP_POINTS,
        headers: OTLP,
        coding: Some("gzip"),
        count: 192,
        make: |seed| bodies::otlp_metrics(1000 + seed, OTLP_POINTS),
        rival: None,
    },
    Kind {
        name: "otlp_metrics-identity-cold",
        path: "/v1/metrics",
        records: OTLP_POINTS,
        headers: OTLP,
        coding: None,
        count: 192,
        make: |seed| bodies::otlp_metrics(1000 + seed, OTLP_POINTS),
        rival: None,
    },
    Kind {
        name: "otlp_json_logs-identity-cold",
        path: "/v1/logs",
        records: OTLP_RECORDS,
        headers: OTLP_JSON,
        coding: None,
        count: 192,
        make: |seed| bodies_otlp_json::otlp_logs(2 * seed + 1001, OTLP_RECORDS),
        rival: None,
    },
    Kind {
        name: "otlp_json_logs-gzip-cold",
        path: "/v1/logs",
        records: OTLP_RECORDS,
        headers: OTLP_JSON,
        coding: Some("gzip"),
        count: 192,
        make: |seed| bodies_otlp_json::otlp_logs(2 * seed + 1001, OTLP_RECORDS),
        rival: None,
    },
    Kind {
        name: "json_logs-identity-warm",
        path: "/json/logs",
        records: JSON_RECORDS,
        headers: JSON,
        coding: None,
        count: 16,
        make: |seed| bodies_json::json_logs(2 * seed + 1, JSON_RECORDS),
        rival: None,
    },
    Kind {
        name: "json_logs-identity-cold",
        path: "/json/logs",
        records: JSON_RECORDS,
        headers: JSON,
        coding: None,
        count: 192,
        make: |seed| bodies_json::json_logs(2 * seed + 1001, JSON_RECORDS),
        rival: None,
    },
    Kind {
        name: "json_logs-gzip-cold",
        path: "/json/logs",
        records: JSON_RECORDS,
        headers: JSON,
        coding: Some("gzip"),
        count: 192,
        make: |seed| bodies_json::json_logs(2 * seed + 1001, JSON_RECORDS),
        rival: None,
    },
    Kind {
        name: "firehose_cloudwatch-identity-cold",
        path: "/firehose/logs",
        records: JSON_RECORDS,
        headers: FIREHOSE,
        coding: None,
        count: 192,
        make: |seed| bodies_firehose::cloudwatch(2 * seed + 1001, JSON_RECORDS),
        rival: None,
    },
    Kind {
        name: "firehose_direct-gzip-cold",
        path: "/firehose/logs",
        records: JSON_RECORDS,
        headers: FIREHOSE,
        coding: Some("gzip"),
        count: 192,
        make: |seed| bodies_firehose::direct(2 * seed + 1001, JSON_RECORDS),
        rival: None,
    },
    Kind {
        name: "exposition-identity-warm",
        path: "/api/v1/import/prometheus",
        records: LINES,
        headers: EXPOSITION,
        coding: None,
        count: 16,
        make: |seed| bodies_exposition::exposition(1, seed, LINES),
        rival: None,
    },
    Kind {
        name: "exposition-identity-cold",
        path: "/api/v1/import/prometheus",
        records: LINES,
        headers: EXPOSITION,
        coding: None,
        count: 192,
        make: |seed| bodies_exposition::exposition(1000 + seed, seed, LINES),
        rival: None,
    },
    Kind {
        name: "exposition-gzip-cold",
        path: "/api/v1/import/prometheus",
        records: LINES,
        headers: EXPOSITION,
        coding: Some("gzip"),
        count: 192,
        make: |seed| bodies_exposition::exposition(1000 + seed, seed, LINES),
        rival: None,
    },
    Kind {
        name: "exposition-cut-identity-cold",
        path: "/api/v1/import/prometheus",
        records: LINES_CUT,
        headers: EXPOSITION,
        coding: None,
        count: 48,
        make: |seed| bodies_exposition::exposition(1000 + seed, seed, LINES_CUT),
        rival: None,
    },
    Kind {
        name: "exposition-cut-gzip-cold",
        path: "/api/v1/import/prometheus",
        records: LINES_CUT,
        headers: EXPOSITION,
        coding: Some("gzip"),
        count: 48,
        make: |seed| bodies_exposition::exposition(1000 + seed, seed, LINES_CUT),
        rival: None,
    },
    Kind {
        name: "datadog_series_1-identity-cold",
        path: "/datadog/api/v1/series",
        records: DATADOG_SERIES,
        headers: DATADOG_1,
        coding: None,
        count: 192,
        make: |seed| bodies_datadog_metrics::series_1(1000 + seed, seed, DATADOG_SERIES),
        rival: None,
    },
    Kind {
        name: "datadog_series_1-deflate-cold",
        path: "/datadog/api/v1/series",
        records: DATADOG_SERIES,
        headers: DATADOG_1,
        coding: Some("deflate"),
        count: 192,
        make: |seed| bodies_datadog_metrics::series_1(1000 + seed, seed, DATADOG_SERIES),
        rival: None,
    },
    Kind {
        name: "datadog_series_2-zstd-warm",
        path: "/datadog/api/v2/series",
        records: DATADOG_SERIES,
        headers: DATADOG,
        coding: Some("zstd"),
        count: 16,
        make: |seed| bodies_datadog_metrics::series_2(1, seed, DATADOG_SERIES),
        rival: None,
    },
    Kind {
        name: "datadog_series_2-zstd-cold",
        path: "/datadog/api/v2/series",
        records: DATADOG_SERIES,
        headers: DATADOG,
        coding: Some("zstd"),
        count: 192,
        make: |seed| bodies_datadog_metrics::series_2(1000 + seed, seed, DATADOG_SERIES),
        rival: None,
    },
    Kind {
        name: "datadog_sketches-zstd-cold",
        path: "/datadog/api/beta/sketches",
        records: DATADOG_SERIES,
        headers: DATADOG,
        coding: Some("zstd"),
        count: 192,
        make: |seed| bodies_datadog_metrics::sketches(1000 + seed, seed, DATADOG_SERIES),
        rival: None,
    },
    Kind {
        name: "datadog_traces_4-identity-cold",
        path: "/v0.4/traces",
        records: DATADOG_SPANS,
        headers: DATADOG_TRACER,
        coding: None,
        count: 192,
        make: |seed| bodies_datadog_traces::v04(1000 + seed, DATADOG_SPANS),
        rival: None,
    },
    Kind {
        name: "datadog_traces_5-identity-cold",
        path: "/v0.5/traces",
        records: DATADOG_SPANS,
        headers: DATADOG_TRACER,
        coding: None,
        count: 192,
        make: |seed| bodies_datadog_traces::v05(1000 + seed, DATADOG_SPANS),
        rival: None,
    },
];

fn encode(coding: Option<&str>, payload: &[u8]) -> Vec<u8> {
    match coding {
        Some("snappy") => snap::raw::Encoder::new().compress_vec(payload).unwrap(),
        Some("gzip") => {
            // The level that Go's and Rust's gzip writers choose by default.
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(payload).unwrap();
            encoder.finish().unwrap()
        }
        Some("deflate") => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(payload).unwrap();
            encoder.finish().unwrap()
        }
        Some("zstd") => {
            let mut coded = Vec::with_capacity(zstd_safe::compress_bound(payload.len()));
            zstd_safe::compress(&mut coded, payload, 1).unwrap();
            coded
        }
        _ => payload.to_vec(),
    }
}

/// Requests are put together once; sending one is a table look-up. The results go to stderr as JSON.
fn wrk_script(kind: &Kind, count: usize, key: &str) -> String {
    let mut script = format!("-- {}: {count} bodies of {} records.\n", kind.name, kind.records);
    script.push_str("local folder = debug.getinfo(1, \"S\").source:match(\"^@(.*)/[^/]*$\")\n");
    script.push_str("local headers = {\n");
    let coding = kind.coding.map(|coding| ("Content-Encoding", coding));
    for (name, value) in kind.headers.iter().copied().chain(coding).chain([("apikey", key)]) {
        script.push_str(&format!("  [\"{name}\"] = \"{value}\",\n"));
    }
    script.push_str(&format!(
        r#"}}
local requests, next_request = {{}}, 0

function init(arguments)
  for index = 0, {last} do
    local file = assert(io.open(string.format("%s/%03d.body", folder, index), "rb"))
    requests[index] = wrk.format("POST", "{path}", headers, file:read("*a"))
    file:close()
  end
end

function request()
  next_request = (next_request + 1) % {count}
  return requests[next_request]
end

function done(summary, latency)
  io.stderr:write(string.format(
    '{{"requests":%d,"microseconds":%d,"refused":%d,"failed":%d,"p50_us":%d,"p99_us":%d}}\n',
    summary.requests, summary.duration, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"#,
        last = count - 1,
        path = kind.path,
    ));
    script
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().expect("make_bodies DIR KEY [--quick]");
    let key = arguments.next().expect("make_bodies DIR KEY [--quick]");
    let options: Vec<_> = arguments.collect();
    let quick = options.iter().any(|option| option == "--quick");
    let only =
        options.iter().position(|option| option == "--only").and_then(|at| options.get(at + 1));
    let mut list = Vec::new();
    for kind in KINDS.iter().filter(|kind| only.is_none_or(|only| kind.name.contains(only))) {
        let count = if quick { kind.count.min(64) } else { kind.count };
        let folder = Path::new(&folder).join(kind.name);
        fs::create_dir_all(&folder).unwrap();
        let (mut payload_size, mut body_size) = (0, 0);
        for index in 0..count {
            let payload = (kind.make)(index as u64);
            let body = encode(kind.coding, &payload);
            payload_size += payload.len();
            body_size += body.len();
            fs::write(folder.join(format!("{index:03}.payload")), &payload).unwrap();
            fs::write(folder.join(format!("{index:03}.body")), &body).unwrap();
            if let Some(rival) = kind.rival {
                fs::write(folder.join(format!("{index:03}.rival")), rival(index as u64)).unwrap();
            }
        }
        fs::write(folder.join("wrk.lua"), wrk_script(kind, count, &key)).unwrap();
        list.push(serde_json::json!({
            "name": kind.name,
            "records": kind.records,
            "bodies": count,
            "coding": kind.coding.unwrap_or("identity"),
            "has_rival_bodies": kind.rival.is_some(),
            "payload_bytes_per_record": payload_size / (count * kind.records),
            "body_bytes_per_record": body_size / (count * kind.records),
            "body_bytes": body_size / count,
        }));
    }
    let list = serde_json::to_string_pretty(&list).unwrap();
    fs::write(Path::new(&folder).join("kinds.json"), list).unwrap();
}
