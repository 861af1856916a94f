//! OTLP logs: our walk over a decompressed body, prost beside us.

#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use inrush::batch::Validating;
use inrush::decode::{Scratch, decode};
use inrush::envelope::Route;
use prost::Message as _;

use support::messages::opentelemetry::proto::collector::logs::v1::ExportLogsServiceRequest;
use support::{bodies, decode_both, envelope, oracle};

const RECORDS: usize = 500;

pub fn bench(c: &mut Criterion) {
    let body = bodies::otlp_logs(1, RECORDS);
    let mut scratch = Scratch::default();
    let (verdict, records) =
        decode_both(Route::OtlpLogs, &body, &mut scratch).expect("a typical body is accepted");
    assert_eq!(verdict.logs, RECORDS as u64);
    let rival = oracle::otlp_logs(&body).expect("prost accepts it too");
    assert!(records == rival, "both read the same records");

    let envelope = envelope(Route::OtlpLogs);
    for (group, throughput) in [
        ("decode_otlp_logs/records", Throughput::Elements(RECORDS as u64)),
        ("decode_otlp_logs/bytes", Throughput::Bytes(body.len() as u64)),
    ] {
        let mut group = c.benchmark_group(group);
        group.throughput(throughput);
        group.bench_function("validate", |bench| {
            bench.iter(|| decode(&envelope, black_box(&body), &mut scratch, &mut Validating));
        });
        group.bench_function("prost", |bench| {
            bench.iter(|| ExportLogsServiceRequest::decode(black_box(&*body)));
        });
        group.finish();
    }
}
