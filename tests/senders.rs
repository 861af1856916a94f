//! Recorded bodies of Datadog's tracers and clients and of Firehose: each is taken whole, by both passes
//! alike, and holds as many records as its sender put there. `tests/vectors/README.md` says who made which;
//! `tests/interop/run` asks the same senders value by value.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

use inrush::content::{self, Arena};
use inrush::decode::Scratch;
use inrush::envelope::{Coding, Codings, Route};
use support::decode_both;

/// Name, route, and how many records it holds.
type Case = (&'static str, Route, u64);

const SERIES: [Case; 9] = [
    ("datadogpy-series-v1.json", Route::DatadogSeriesV1, 9),
    ("datadogpy-series-v1.json.zlib", Route::DatadogSeriesV1, 9),
    ("datadog-api-client-series-v1.json", Route::DatadogSeriesV1, 8),
    ("datadog-api-client-series-v1.json.zlib", Route::DatadogSeriesV1, 8),
    ("datadog-api-client-series-v1.json.gz", Route::DatadogSeriesV1, 8),
    ("datadog-api-client-series-v2.json", Route::DatadogSeriesV2, 9),
    ("datadog-api-client-series-v2.json.zlib", Route::DatadogSeriesV2, 9),
    ("datadog-api-client-series-v2.json.gz", Route::DatadogSeriesV2, 9),
    ("datadog-api-client-series-v2.json.zst", Route::DatadogSeriesV2, 9),
];

const DELIVERIES: [Case; 3] = [
    ("firehose-cloudwatch.json", Route::Firehose, 5),
    ("firehose-cloudwatch.json.gz", Route::Firehose, 5),
    ("firehose-direct.json", Route::Firehose, 8),
];

const TRACES: [Case; 4] = [
    ("ddtrace-python-v0.4.msgpack", Route::DatadogTracesV04, 5),
    ("ddtrace-python-v0.4-events.msgpack", Route::DatadogTracesV04, 5),
    ("ddtrace-python-v0.5.msgpack", Route::DatadogTracesV05, 5),
    ("dd-trace-js-v0.4.msgpack", Route::DatadogTracesV04, 4),
];

fn check(cases: &[Case]) {
    let mut scratch = Scratch::default();
    let mut arena = Arena::default();
    for &(name, route, count) in cases {
        let path = format!("{}/tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
        let body = std::fs::read(path).unwrap();
        let coding = match name.rsplit('.').next() {
            Some("gz") => Coding::Gzip,
            Some("zlib") => Coding::Deflate,
            Some("zst") => Coding::Zstd,
            _ => Coding::Identity,
        };
        let payload = content::decode(Codings::one(coding), &body, &mut arena, 1 << 20).unwrap();
        let (verdict, _) = decode_both(route, payload, &mut scratch).unwrap();
        assert_eq!((verdict.kept(), verdict.rejected), (count, 0), "{name}");
    }
}

#[test]
fn series_of_datadog_clients() {
    check(&SERIES);
}

#[test]
fn deliveries_of_firehose() {
    check(&DELIVERIES);
}

#[test]
fn traces_of_datadog_tracers() {
    check(&TRACES);
}
