//! Datadog traces: our walk over a body, typed `rmp-serde` of the same body beside us.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use inrush::batch::Validating;
use inrush::decode::{Scratch, decode};
use inrush::envelope::Route;

use crate::bodies_datadog_traces::{Typed, Typed5, v04, v05};
use crate::support::envelope;

const RECORDS: usize = 2000;

pub fn bench(c: &mut Criterion) {
    let mut scratch = Scratch::default();
    let typed: fn(&[u8]) = |body| drop(black_box(rmp_serde::from_slice::<Typed>(body)));
    let typed_5: fn(&[u8]) = |body| drop(black_box(rmp_serde::from_slice::<Typed5>(body)));
    for (name, route, body, rival) in [
        ("v0.4", Route::DatadogTracesV04, v04(1, RECORDS), typed),
        ("v0.5", Route::DatadogTracesV05, v05(1, RECORDS), typed_5),
    ] {
        let envelope = envelope(route);
        let verdict = decode(&envelope, &body, &mut scratch, &mut Validating)
            .expect("a typical body is accepted");
        assert_eq!((verdict.spans, verdict.rejected), (RECORDS as u64, 0));
        let mut group = c.benchmark_group(format!("decode_datadog_traces/{name}"));
        group.throughput(Throughput::Elements(RECORDS as u64));
        group.bench_function("validate", |bench| {
            bench.iter(|| decode(&envelope, black_box(&body), &mut scratch, &mut Validating));
        });
        group.bench_function("rmp-serde", |bench| bench.iter(|| rival(black_box(&body))));
        group.finish();
    }
}
