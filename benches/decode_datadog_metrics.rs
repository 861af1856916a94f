//! Datadog metrics: our walk over a decompressed body; `serde_json` into a tree beside us for JSON, prost
//! for protobuf.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use inrush::batch::Validating;
use inrush::decode::{Scratch, decode};
use inrush::envelope::Route;
use prost::Message as _;

use crate::bodies_datadog_metrics::{series_1, series_2, sketches};
use crate::support::envelope;
use crate::support::messages::datadog::agentpayload::{MetricPayload, SketchPayload};

const RECORDS: usize = 2000;

type Rival = (&'static str, fn(&[u8]));

pub fn bench(c: &mut Criterion) {
    let mut scratch = Scratch::default();
    let serde_json: Rival = ("serde_json", |body| {
        drop(black_box(serde_json::from_slice::<serde_json::Value>(body)));
    });
    let series: Rival = ("prost", |body| drop(black_box(MetricPayload::decode(body))));
    let sketch: Rival = ("prost", |body| drop(black_box(SketchPayload::decode(body))));
    for (name, route, body, (rival, work)) in [
        ("series_1", Route::DatadogSeriesV1, series_1(1, 1, RECORDS), serde_json),
        ("series_2", Route::DatadogSeriesV2, series_2(1, 1, RECORDS), series),
        ("sketches", Route::DatadogSketches, sketches(1, 1, RECORDS), sketch),
    ] {
        let envelope = envelope(route);
        let verdict = decode(&envelope, &body, &mut scratch, &mut Validating)
            .expect("a typical body is accepted");
        assert_eq!((verdict.kept(), verdict.rejected), (RECORDS as u64, 0));
        let mut group = c.benchmark_group(format!("decode_datadog_metrics/{name}"));
        group.throughput(Throughput::Elements(RECORDS as u64));
        group.bench_function("validate", |bench| {
            bench.iter(|| decode(&envelope, black_box(&body), &mut scratch, &mut Validating));
        });
        group.bench_function(rival, |bench| bench.iter(|| work(black_box(&body))));
        group.finish();
    }
}
