//! Columns and Parquet: what a stored row costs after its reply, step by step.
//!
//! `decode` walks into a sink that wants everything and keeps nothing; `fill` is the same walk into
//! columns; `sort` and `encode` end at a part in memory. Beside `encode` stands the usual way: the
//! same rows as plain Arrow arrays through `ArrowWriter` as it comes, at the same zstd level.

use crate::support::{bodies, envelope_2};
use std::hint::black_box;
use std::sync::Arc;

use arrow_array::RecordBatch;
use criterion::{Criterion, Throughput};
use inrush::batch::record::{
    Exemplar, Histogram, Log, Metadata, Resource, Sample, Scope, Series, Span,
};
use inrush::batch::{ColumnSink, Columns, RecordSink, RejectCause, SeenSeries, SinkOptions, Table};
use inrush::decode::{Scratch, decode};
use inrush::envelope::{Codings, Envelope, RequestFields, Route};
use inrush::store;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

/// Wants what a column sink wants, keeps nothing.
struct Discard;

impl RecordSink for Discard {
    const FILLS: bool = true;
    fn resource(&mut self, resource: &Resource<'_>) {
        black_box(resource);
    }
    fn scope(&mut self, scope: &Scope<'_>) {
        black_box(scope);
    }
    fn log(&mut self, log: &Log<'_>) {
        black_box(log);
    }
    fn span(&mut self, span: &Span<'_>) {
        black_box(span);
    }
    fn series(&mut self, series: &Series<'_>) {
        black_box(series);
    }
    fn sample(&mut self, sample: &Sample) {
        black_box(sample);
    }
    fn histogram(&mut self, histogram: &Histogram<'_>) {
        black_box(histogram);
    }
    fn exemplar(&mut self, exemplar: &Exemplar<'_>) {
        black_box(exemplar);
    }
    fn metadata(&mut self, metadata: &Metadata<'_>) {
        black_box(metadata);
    }
    fn keep(&mut self) {}
    fn reject(&mut self, _cause: RejectCause) {}
}

fn envelope(route: Route) -> Envelope<'static> {
    Envelope {
        route,
        codings: Codings::IDENTITY,
        tenant: "acme",
        arrival_nanos: 1_767_225_600_000_000_000,
        fields: RequestFields::EMPTY,
    }
}

fn walk(
    envelope: &Envelope<'_>,
    bodies: &[Vec<u8>],
    scratch: &mut Scratch,
    sink: &mut impl RecordSink,
) {
    for body in bodies {
        decode(envelope, black_box(body), scratch, sink).expect("typical bodies are good");
    }
}

fn fill(envelope: &Envelope<'_>, bodies: &[Vec<u8>], scratch: &mut Scratch, sink: &mut ColumnSink) {
    for body in bodies {
        sink.begin(envelope);
        decode(envelope, black_box(body), scratch, sink).expect("typical bodies are good");
    }
}

fn sink() -> ColumnSink {
    let options = SinkOptions { seed: 7, series_cache_max: 1 << 20 };
    ColumnSink::new(options, Arc::new(SeenSeries::new(1 << 20)))
}

fn take_one(sink: &mut ColumnSink) -> Columns {
    sink.take().pop().expect("all bodies arrived in one hour")
}

fn batches(part: Vec<u8>) -> Vec<RecordBatch> {
    let part = bytes::Bytes::from(part);
    let reader = ParquetRecordBatchReaderBuilder::try_new(part).expect("a part is Parquet");
    let reader = reader.with_batch_size(8192).build().expect("its columns are known");
    reader.map(|batch| batch.expect("every page reads")).collect()
}

/// `ArrowWriter` as it comes, at our level of zstd.
fn encode_usual(table: Table, batches: &[RecordBatch]) -> Vec<u8> {
    let level = ZstdLevel::try_new(1).expect("a level");
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), table.schema(), Some(properties))
        .expect("every table has a schema");
    for batch in batches {
        writer.write(batch).expect("memory takes everything");
    }
    writer.into_inner().expect("memory takes everything")
}

fn bench_table(
    c: &mut Criterion,
    (name, table, envelope): (&str, Table, &Envelope<'_>),
    bodies: &[Vec<u8>],
    warm: bool,
) {
    let mut scratch = Scratch::default();
    let mut columns_sink = sink();
    if warm {
        fill(envelope, bodies, &mut scratch, &mut columns_sink);
        columns_sink.take();
    }
    fill(envelope, bodies, &mut scratch, &mut columns_sink);
    let columns = take_one(&mut columns_sink);
    let part = store::encode(table, &columns, Vec::new()).expect("memory takes everything");
    let rows = batches(part.clone());
    let usual = encode_usual(table, &rows);
    assert_eq!(batches(usual.clone()), rows, "both hold the same rows");
    let count = columns.row_count(table) as u64;
    println!(
        "{name}: {count} rows, {:.1} bytes a row; {:.1} as usual",
        part.len() as f64 / count as f64,
        usual.len() as f64 / count as f64
    );

    let mut group = c.benchmark_group(format!("columns/{name}"));
    group.throughput(Throughput::Elements(count)).sample_size(10);
    group.bench_function("decode", |bench| {
        bench.iter(|| walk(envelope, bodies, &mut scratch, &mut Discard));
    });
    group.bench_function("fill", |bench| {
        bench.iter(|| {
            if !warm {
                columns_sink.abandon();
            }
            fill(envelope, bodies, &mut scratch, &mut columns_sink);
            columns_sink.take()
        });
    });
    group.bench_function("sort", |bench| bench.iter(|| columns.sorted(black_box(table))));
    group.bench_function("gather", |bench| {
        let order = columns.sorted(table);
        bench.iter(|| {
            let batches = columns.gather(table, &order).expect("rows are there");
            batches.map(|batch| batch.map_or(0, |batch| batch.num_rows())).sum::<usize>()
        });
    });
    group.bench_function("encode", |bench| {
        bench.iter(|| store::encode(table, black_box(&columns), Vec::new()));
    });
    group.bench_function("encode_usual", |bench| bench.iter(|| encode_usual(table, &rows)));
    group.finish();
}

pub fn bench(c: &mut Criterion) {
    let logs: Vec<Vec<u8>> = (0..100).map(|seed| bodies::otlp_logs(seed, 500)).collect();
    let (otlp_logs, version_1) = (envelope(Route::OtlpLogs), envelope(Route::RemoteWrite));
    bench_table(c, ("logs", Table::Logs, &otlp_logs), &logs, false);
    // Twenty scrapes of the same series.
    let scrape: Vec<Vec<u8>> = (0..5).map(|seed| bodies::remote_write(seed, 2000)).collect();
    let scrapes: Vec<Vec<u8>> = (0..20).flat_map(|_| scrape.clone()).collect();
    let samples = ("samples_warm", Table::MetricSamples, &version_1);
    bench_table(c, samples, &scrapes, true);
    let scrape: Vec<Vec<u8>> = (0..5).map(|seed| bodies::remote_write_2(seed, 2000)).collect();
    let scrapes: Vec<Vec<u8>> = (0..20).flat_map(|_| scrape.clone()).collect();
    let samples = ("samples_warm_2", Table::MetricSamples, &envelope_2());
    bench_table(c, samples, &scrapes, true);
    let cold: Vec<Vec<u8>> = (0..25).map(|seed| bodies::remote_write(seed, 2000)).collect();
    let series = ("series_cold", Table::MetricSeries, &version_1);
    bench_table(c, series, &cold, false);
}
