//! Text exposition: our walk over a block, and the same with every record handed out.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use inrush::batch::Validating;
use inrush::decode::{Scratch, decode};
use inrush::envelope::Route;

use crate::bodies_exposition::exposition;
use crate::support::{decode_both, envelope, record::Recording};

const LINES: usize = 6000;

/// One block: about a mebibyte.
pub fn bench(c: &mut Criterion) {
    let body = exposition(1, 1, LINES);
    let mut scratch = Scratch::default();
    let (verdict, _) = decode_both(Route::ImportPrometheus, &body, &mut scratch)
        .expect("a typical body is accepted");
    assert_eq!((verdict.samples, verdict.rejected), (LINES as u64, 0));

    let envelope = envelope(Route::ImportPrometheus);
    for (group, throughput) in [
        ("decode_exposition/lines", Throughput::Elements(LINES as u64)),
        ("decode_exposition/bytes", Throughput::Bytes(body.len() as u64)),
    ] {
        let mut group = c.benchmark_group(group);
        group.throughput(throughput);
        group.bench_function("validate", |bench| {
            bench.iter(|| decode(&envelope, black_box(&body), &mut scratch, &mut Validating));
        });
        group.bench_function("record", |bench| {
            bench.iter(|| {
                let mut sink = Recording::default();
                decode(&envelope, black_box(&body), &mut scratch, &mut sink).map(|_| sink.records)
            });
        });
        group.finish();
    }
}
