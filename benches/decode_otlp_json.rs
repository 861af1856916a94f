//! OTLP/JSON: our walk over a decompressed body, `serde_json` into a tree beside us.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use inrush::batch::Validating;
use inrush::decode::{Scratch, decode};
use inrush::envelope::{Envelope, FieldId, RequestFields, Route};

use crate::bodies_otlp_json::{otlp_logs, otlp_metrics, otlp_traces};
use crate::support::envelope;

const RECORDS: usize = 500;

pub fn bench(c: &mut Criterion) {
    let mut fields = Vec::new();
    assert!(RequestFields::push(&mut fields, FieldId::ContentType, b"application/json"));
    let mut scratch = Scratch::default();
    for (name, route, body) in [
        ("logs", Route::OtlpLogs, otlp_logs(1, RECORDS)),
        ("traces", Route::OtlpTraces, otlp_traces(1, RECORDS)),
        ("metrics", Route::OtlpMetrics, otlp_metrics(1, RECORDS)),
    ] {
        let envelope = Envelope { fields: RequestFields::new(&fields), ..envelope(route) };
        let verdict = decode(&envelope, &body, &mut scratch, &mut Validating)
            .expect("a typical body is accepted");
        assert_eq!((verdict.kept(), verdict.rejected), (RECORDS as u64, 0));
        let mut group = c.benchmark_group(format!("decode_otlp_json/{name}"));
        group.throughput(Throughput::Elements(RECORDS as u64));
        group.bench_function("validate", |bench| {
            bench.iter(|| decode(&envelope, black_box(&body), &mut scratch, &mut Validating));
        });
        group.bench_function("serde_json", |bench| {
            bench.iter(|| serde_json::from_slice::<serde_json::Value>(black_box(&body)));
        });
        group.finish();
    }
}
