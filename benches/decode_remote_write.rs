//! Remote write 1.0 and 2.0: our walk over a decompressed body, prost beside us.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use inrush::batch::Validating;
use inrush::decode::{Scratch, decode};
use inrush::envelope::Route;
use prost::Message as _;

use crate::support::messages::io::prometheus::write::v2;
use crate::support::messages::prometheus::WriteRequest;
use crate::support::{
    bodies, decode_both, decode_both_2, envelope, envelope_2, oracle, record::by_kind,
};

const SAMPLES: usize = 2000;

pub fn bench(c: &mut Criterion) {
    let body = bodies::remote_write(1, SAMPLES);
    let mut scratch = Scratch::default();
    let (verdict, records) =
        decode_both(Route::RemoteWrite, &body, &mut scratch).expect("a typical body is accepted");
    assert_eq!(verdict.samples, SAMPLES as u64);
    let rival = oracle::remote_write(&body).expect("prost accepts it too");
    assert!(by_kind(records) == by_kind(rival), "both read the same records");

    let envelope = envelope(Route::RemoteWrite);
    for (group, throughput) in [
        ("decode_remote_write/samples", Throughput::Elements(SAMPLES as u64)),
        ("decode_remote_write/bytes", Throughput::Bytes(body.len() as u64)),
    ] {
        let mut group = c.benchmark_group(group);
        group.throughput(throughput);
        group.bench_function("validate", |bench| {
            bench.iter(|| decode(&envelope, black_box(&body), &mut scratch, &mut Validating));
        });
        group.bench_function("prost", |bench| {
            bench.iter(|| WriteRequest::decode(black_box(&*body)));
        });
        group.finish();
    }

    let body_2 = bodies::remote_write_2(1, SAMPLES);
    let (verdict, _) = decode_both_2(&body_2, &mut scratch).expect("a typical body is accepted");
    assert_eq!((verdict.samples, verdict.rejected), (SAMPLES as u64, 0));
    let envelope = envelope_2();
    let mut group = c.benchmark_group("decode_remote_write_2/samples");
    group.throughput(Throughput::Elements(SAMPLES as u64));
    group.bench_function("validate", |bench| {
        bench.iter(|| decode(&envelope, black_box(&body_2), &mut scratch, &mut Validating));
    });
    group.bench_function("prost", |bench| {
        bench.iter(|| v2::Request::decode(black_box(&*body_2)));
    });
    group.bench_function("prost of the equal 1.0 body", |bench| {
        bench.iter(|| WriteRequest::decode(black_box(&*body)));
    });
    group.finish();
}
