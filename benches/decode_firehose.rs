//! Firehose: our walk over a decompressed body, base64 and gzip of its records included; `serde_json` into
//! trees, with `base64` and `flate2`, beside us.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use inrush::batch::Validating;
use inrush::decode::{Scratch, decode};
use inrush::envelope::Route;

use crate::bodies_firehose::{cloudwatch, direct, trees};
use crate::support::envelope;

const RECORDS: usize = 500;

pub fn bench(c: &mut Criterion) {
    let mut scratch = Scratch::default();
    let envelope = envelope(Route::Firehose);
    for (name, body) in [("cloudwatch", cloudwatch(1, RECORDS)), ("direct", direct(1, RECORDS))] {
        let verdict = decode(&envelope, &body, &mut scratch, &mut Validating)
            .expect("a typical body is accepted");
        assert_eq!((verdict.logs, verdict.rejected), (RECORDS as u64, 0));
        let mut group = c.benchmark_group(format!("decode_firehose/{name}"));
        group.throughput(Throughput::Elements(RECORDS as u64));
        group.bench_function("validate", |bench| {
            bench.iter(|| decode(&envelope, black_box(&body), &mut scratch, &mut Validating));
        });
        group.bench_function("serde_json", |bench| bench.iter(|| trees(black_box(&body))));
        group.finish();
    }
}
