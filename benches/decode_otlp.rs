//! OTLP: our walk over a decompressed body of each signal, prost beside us.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use inrush::batch::Validating;
use inrush::decode::{Scratch, Verdict, decode};
use inrush::envelope::Route;
use prost::Message;

use crate::support::messages::opentelemetry::proto::collector::logs::v1::ExportLogsServiceRequest;
use crate::support::messages::opentelemetry::proto::collector::metrics::v1::ExportMetricsServiceRequest;
use crate::support::messages::opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest;
use crate::support::oracle::{self, Refusal};
use crate::support::record::Record;
use crate::support::{bodies, decode_both, envelope};

const RECORDS: usize = 500;
const POINTS: usize = 2000;

pub fn bench(c: &mut Criterion) {
    let logs = bodies::otlp_logs(1, RECORDS);
    let logs = Body { route: Route::OtlpLogs, unit: "records", count: RECORDS, payload: logs };
    logs.bench::<ExportLogsServiceRequest>(c, oracle::otlp_logs);
    let traces = bodies::otlp_traces(1, RECORDS);
    let traces = Body { route: Route::OtlpTraces, unit: "spans", count: RECORDS, payload: traces };
    traces.bench::<ExportTraceServiceRequest>(c, oracle::otlp_traces);
    let metrics = bodies::otlp_metrics(1, POINTS);
    let metrics =
        Body { route: Route::OtlpMetrics, unit: "points", count: POINTS, payload: metrics };
    metrics.bench::<ExportMetricsServiceRequest>(c, oracle::otlp_metrics);
}

struct Body {
    route: Route,
    unit: &'static str,
    count: usize,
    payload: Vec<u8>,
}

impl Body {
    fn bench<M: Message + Default>(
        &self,
        c: &mut Criterion,
        rival: fn(&[u8]) -> Result<Vec<Record>, Refusal>,
    ) {
        let mut scratch = Scratch::default();
        let (verdict, records) =
            decode_both(self.route, &self.payload, &mut scratch).expect("a typical body");
        let Verdict { logs, spans, samples, .. } = verdict;
        assert_eq!(logs + spans + samples, self.count as u64);
        let rival = rival(&self.payload).expect("prost accepts it too");
        assert!(records == rival, "both read the same records");

        let envelope = envelope(self.route);
        let name = match self.route {
            Route::OtlpLogs => "logs",
            Route::OtlpTraces => "traces",
            _ => "metrics",
        };
        for (unit, throughput) in [
            (self.unit, Throughput::Elements(self.count as u64)),
            ("bytes", Throughput::Bytes(self.payload.len() as u64)),
        ] {
            let mut group = c.benchmark_group(format!("decode_otlp_{name}/{unit}"));
            group.throughput(throughput);
            group.bench_function("validate", |bench| {
                bench.iter(|| {
                    decode(&envelope, black_box(&self.payload), &mut scratch, &mut Validating)
                });
            });
            group.bench_function("prost", |bench| {
                bench.iter(|| M::decode(black_box(self.payload.as_slice())));
            });
            group.finish();
        }
    }
}
