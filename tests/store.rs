//! The store as a whole: entries in, Parquet out, read back and compared value by value.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

#[cfg(feature = "crash-points")]
#[path = "store/crash.rs"]
mod crash;
#[path = "store/journal.rs"]
mod journal;
#[path = "store/otlp.rs"]
mod otlp;
#[path = "store/read_back.rs"]
mod read_back;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use inrush::batch::record::{
    Attributes, Exemplar, Histogram, HistogramKind, Identity, Log, Metadata, MetricType, Nothing,
    Resource, Sample, Scope, Series, Temporality, Text, Value, Values,
};
use inrush::batch::{RecordSink, RejectCause, Table};
use inrush::counters::StoreCounters;
use inrush::decode::Fault;
use inrush::envelope::{Envelope, FieldId, RequestFields, Route};
use inrush::journal::read::EntrySource;
use inrush::store::{self, Options, PartSink};
use journal::{MemoryJournal, Script, Scripts, Stored, body_of};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::statistics::Statistics;
use read_back::{double, hex, list, parts, rows, rows_of_part};
use serde_json::{Value as Json, json};

const HOUR: u64 = 3_600_000_000_000;
/// 2026-01-01T00:00 UTC.
const NEW_YEAR: u64 = 1_767_225_600_000_000_000;

const LOGS: (Route, &str, u64) = (Route::OtlpLogs, "acme", NEW_YEAR);
const METRICS: (Route, &str, u64) = (Route::RemoteWrite, "acme", NEW_YEAR);

// ── Running ───────────────────────────────────────────────────────────────────────────────────

fn options(folder: &Path) -> Options {
    let mut options = Options::new(folder.to_path_buf());
    options.max_delay = Duration::from_millis(40);
    options
}

fn start(options: Options, journal: &Arc<MemoryJournal>) -> (store::Store, Arc<StoreCounters>) {
    let counters = Arc::new(StoreCounters::default());
    let source = Arc::clone(journal) as Arc<dyn EntrySource>;
    let decoder = Arc::new(Scripts(Arc::clone(journal)));
    let store = store::start_with(options, source, Arc::clone(&counters), decoder).unwrap();
    (store, counters)
}

fn store_all(options: Options, journal: &Arc<MemoryJournal>) -> Arc<StoreCounters> {
    let (store, counters) = start(options, journal);
    store.drain().unwrap();
    counters
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..4000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("waited in vain: {what}");
}

// ── Records ───────────────────────────────────────────────────────────────────────────────────

struct Pairs<'a>(&'a [(&'a str, Value<'a>)]);
impl Attributes for Pairs<'_> {
    fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
        self.0.iter().for_each(|&(key, value)| visit(key.into(), value));
    }
}

struct List<'a>(&'a [Value<'a>]);
impl Values for List<'_> {
    fn walk(&self, visit: &mut dyn FnMut(Value<'_>)) {
        self.0.iter().for_each(|&value| visit(value));
    }
}

fn text(text: &str) -> Value<'_> {
    Value::Text(text.into())
}

fn log<'a>(time_nanos: i64, body: Value<'a>, attributes: &'a dyn Attributes) -> Log<'a> {
    Log {
        time_nanos,
        observed_time_nanos: time_nanos,
        trace_id: None,
        span_id: None,
        trace_flags: 0,
        severity_text: Text::EMPTY,
        severity_number: 0,
        body,
        attributes,
        event_name: Text::EMPTY,
    }
}

fn push_log(sink: &mut PartSink<'_>, time_nanos: i64, body: &str) {
    sink.log(&log(time_nanos, text(body), &Nothing));
    sink.keep();
}

fn resource(sink: &mut PartSink<'_>, service: &str) {
    let attributes = [("service.name", text(service))];
    sink.resource(&Resource { attributes: &Pairs(&attributes), schema_url: Text::EMPTY });
}

fn series<'a>(name: &'a str, labels: &'a dyn Attributes, raw: Option<&'a [u8]>) -> Series<'a> {
    Series {
        identity: Identity::Labels,
        name: name.into(),
        metric_type: MetricType::Unknown,
        unit: Text::EMPTY,
        description: Text::EMPTY,
        temporality: Temporality::Unspecified,
        is_monotonic: false,
        labels,
        raw,
    }
}

fn sample(time_nanos: i64, value: f64) -> Sample {
    Sample { time_nanos, value, value_int: None, start_time_nanos: 0, flags: 0 }
}

fn push_sample(sink: &mut PartSink<'_>, time_nanos: i64, value: f64) {
    sink.sample(&sample(time_nanos, value));
    sink.keep();
}

// ── Values ────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_log_reads_back_value_by_value() {
    let (folder, journal) = (tempfile::tempdir().unwrap(), MemoryJournal::new(1));
    journal.script(0, LOGS, |_, sink| {
        let nested = [Value::Int(1), text("\"\n"), Value::Double(f64::NAN), Value::Empty];
        let list = List(&nested);
        let inner_pairs = [("k", Value::Bytes(&[1, 2, 3]))];
        let inner = Pairs(&inner_pairs);
        let attributes = [
            ("text", text("as is")),
            ("int", Value::Int(-5)),
            ("bool", Value::Bool(true)),
            ("double", Value::Double(1.5)),
            ("bytes", Value::Bytes(b"\0\xff")),
            ("list", Value::Array(&list)),
            ("map", Value::Map(&inner)),
            ("int", Value::Int(6)),
            ("json", Value::Json("{\"a\":1.0}")),
            ("empty", Value::Empty),
        ];
        let resource_attributes = [("service.name", text("shop")), ("pid", Value::Int(7))];
        sink.resource(&Resource {
            attributes: &Pairs(&resource_attributes),
            schema_url: "r-url".into(),
        });
        let scope_attributes = [("lib", text("x"))];
        sink.scope(&Scope {
            name: "scope".into(),
            version: "1.2".into(),
            attributes: &Pairs(&scope_attributes),
            schema_url: "s-url".into(),
        });
        sink.log(&Log {
            observed_time_nanos: NEW_YEAR as i64 + 6,
            trace_id: Some([0xab; 16]),
            span_id: Some([0x01; 8]),
            trace_flags: 255,
            severity_text: "WARN".into(),
            severity_number: 13,
            event_name: "login".into(),
            ..log(NEW_YEAR as i64 + 5, text("hello"), &Pairs(&attributes))
        });
        sink.keep();
        Ok(())
    });
    let counters = store_all(options(folder.path()), &journal);
    let expected = json!({
        "Timestamp": NEW_YEAR + 5, "ObservedTimestamp": NEW_YEAR + 6,
        "TraceId": "ab".repeat(16), "SpanId": "01".repeat(8), "TraceFlags": 255,
        "SeverityText": "WARN", "SeverityNumber": 13, "ServiceName": "shop", "Body": "hello",
        "ResourceSchemaUrl": "r-url",
        "ResourceAttributes": {"service.name": "shop", "pid": "7"},
        "ScopeSchemaUrl": "s-url", "ScopeName": "scope", "ScopeVersion": "1.2",
        "ScopeAttributes": {"lib": "x"},
        "LogAttributes": {
            "text": "as is", "int": "6", "bool": "true", "double": "1.5", "bytes": "\"AP8=\"",
            "list": "[1,\"\\\"\\n\",\"NaN\",null]", "map": "{\"k\":\"AQID\"}",
            "json": "{\"a\":1.0}", "empty": "",
        },
        "EventName": "login", "Tenant": "acme", "Protocol": "otlp",
    });
    assert_eq!(rows(folder.path(), Table::Logs), [expected]);
    assert_eq!((counters.rows.value(), counters.parts.value(), counters.plans.value()), (1, 1, 1));
    let part = &parts(folder.path(), Table::Logs)[0];
    assert_eq!(
        part.strip_prefix(folder.path()).unwrap().to_str().unwrap(),
        "store/logs/arrived=2026-01-01T00/0000000000000001-000000000000-00-0000.parquet"
    );
    assert_eq!(fs::metadata(part).unwrap().len(), counters.part_bytes.value());
}

#[test]
fn an_owner_holds_until_the_next_one_and_no_owner_is_empty() {
    let (folder, journal) = (tempfile::tempdir().unwrap(), MemoryJournal::new(1));
    journal.script(0, LOGS, |_, sink| {
        push_log(sink, 1, "none");
        resource(sink, "a");
        push_log(sink, 2, "resource only");
        let scope = |name: &'static str| Scope {
            name: name.into(),
            version: Text::EMPTY,
            attributes: &Nothing,
            schema_url: Text::EMPTY,
        };
        sink.scope(&scope("one"));
        push_log(sink, 3, "first scope");
        sink.scope(&scope("two"));
        push_log(sink, 4, "second scope");
        resource(sink, "b");
        push_log(sink, 5, "a new resource has no scope yet");
        Ok(())
    });
    store_all(options(folder.path()), &journal);
    let found: Vec<Json> = rows(folder.path(), Table::Logs)
        .iter()
        .map(|row| json!([row["Timestamp"], row["ServiceName"], row["ScopeName"]]))
        .collect();
    let expected =
        json!([[1, "", ""], [2, "a", ""], [3, "a", "one"], [4, "a", "two"], [5, "b", ""]]);
    assert_eq!(Json::Array(found), expected);
}

#[test]
fn text_that_is_not_utf8_is_replaced_and_counted_but_not_for_undone_rows() {
    struct Bad;
    impl Attributes for Bad {
        fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
            visit(Text(b"k\xff"), Value::Text(Text(b"v\xc0\xaf")));
        }
    }
    let (folder, journal) = (tempfile::tempdir().unwrap(), MemoryJournal::new(1));
    for fails in [true, false] {
        journal.script(0, LOGS, move |_, sink| {
            sink.log(&log(1, Value::Text(Text(b"b\xed\xa0\x80")), &Bad));
            sink.keep();
            if fails { Err(Fault::Truncated) } else { Ok(()) }
        });
    }
    let counters = store_all(options(folder.path()), &journal);
    let row = &rows(folder.path(), Table::Logs)[0];
    assert_eq!(row["Body"], "b\u{fffd}\u{fffd}\u{fffd}");
    assert_eq!(row["LogAttributes"], json!({"k\u{fffd}": "v\u{fffd}\u{fffd}"}));
    assert_eq!(counters.texts_replaced.value(), 3);
    assert_eq!(counters.rows.value(), 1);
}

/// As deep as decoders let through, in a body and in an attribute.
#[test]
fn deep_values_become_json_as_deep() {
    struct Nested<'a>(Option<&'a Nested<'a>>);
    impl Values for Nested<'_> {
        fn walk(&self, visit: &mut dyn FnMut(Value<'_>)) {
            if let Some(inner) = self.0 {
                visit(Value::Array(inner));
            }
        }
    }
    fn nest(depth: usize, inner: &Nested<'_>, then: &mut dyn FnMut(&Nested<'_>)) {
        if depth == 0 { then(inner) } else { nest(depth - 1, &Nested(Some(inner)), then) }
    }
    let (folder, journal) = (tempfile::tempdir().unwrap(), MemoryJournal::new(1));
    journal.script(0, LOGS, |_, sink| {
        nest(inrush::limits::NESTING_DEPTH_MAX, &Nested(None), &mut |value| {
            let attributes = [("deep", Value::Array(value))];
            sink.log(&log(1, Value::Array(value), &Pairs(&attributes)));
            sink.keep();
        });
        Ok(())
    });
    store_all(options(folder.path()), &journal);
    let depth = inrush::limits::NESTING_DEPTH_MAX + 1;
    let expected = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let row = &rows(folder.path(), Table::Logs)[0];
    assert_eq!(row["Body"], expected);
    assert_eq!(row["LogAttributes"]["deep"], expected);
}

#[test]
fn samples_keep_their_bits() {
    let (folder, journal) = (tempfile::tempdir().unwrap(), MemoryJournal::new(1));
    // The stale marker is a signalling NaN: one canonicalisation would make a usual NaN of it.
    let bits: [u64; 7] = [
        0x7ff0_0000_0000_0002,
        0x7ff8_0000_0000_0001,
        0xfff0_0000_0000_0001,
        f64::NEG_INFINITY.to_bits(),
        (-0.0f64).to_bits(),
        1,
        42.5f64.to_bits(),
    ];
    journal.script(0, METRICS, move |_, sink| {
        sink.series(&series("up", &Nothing, Some(b"raw")));
        for (index, &bits) in bits.iter().enumerate() {
            push_sample(sink, index as i64, f64::from_bits(bits));
        }
        sink.sample(&Sample {
            time_nanos: -1,
            value: 9_007_199_254_740_992.0,
            value_int: Some(9_007_199_254_740_993),
            start_time_nanos: 3,
            flags: 1,
        });
        sink.keep();
        Ok(())
    });
    store_all(options(folder.path()), &journal);
    let rows = rows(folder.path(), Table::MetricSamples);
    let found: Vec<&str> = rows[1..].iter().map(|row| row["Value"].as_str().unwrap()).collect();
    assert_eq!(found, bits.map(|bits| format!("{bits:016x}")));
    let id = rows[0]["SeriesId"].clone();
    assert_eq!(
        rows[0],
        json!({
            "SeriesId": id, "Timestamp": -1, "Value": double(9_007_199_254_740_992.0),
            "ValueInt": 9_007_199_254_740_993i64, "StartTimestamp": 3, "Flags": 1, "Tenant": "acme",
        })
    );
    assert_eq!(rows[1]["ValueInt"], Json::Null);
}

#[test]
fn histograms_exemplars_and_metadata_read_back_value_by_value() {
    let (folder, journal) = (tempfile::tempdir().unwrap(), MemoryJournal::new(1));
    journal.script(0, METRICS, |_, sink| {
        sink.metadata(&Metadata {
            family: "latency".into(),
            metric_type: MetricType::Histogram,
            unit: "seconds".into(),
            help: "How long.".into(),
        });
        sink.keep();
        sink.series(&series("latency", &Nothing, Some(b"l")));
        let native = Histogram {
            kind: HistogramKind::Native,
            time_nanos: 1,
            start_time_nanos: 2,
            flags: 3,
            count: 4.5,
            sum: None,
            min: Some(0.0),
            max: Some(-0.0),
            bounds: &[],
            bucket_counts: &[],
            scale: -4,
            zero_threshold: 1e-128,
            zero_count: 0.5,
            positive_offset: -7,
            positive_counts: &[1.0, 0.0, 2.5],
            negative_offset: 9,
            negative_counts: &[0.5],
            custom_bounds: &[0.1, 0.2],
            quantiles: &[],
            reset_hint: 3,
        };
        sink.histogram(&native);
        sink.keep();
        sink.histogram(&Histogram {
            kind: HistogramKind::Summary,
            time_nanos: 2,
            quantiles: &[(0.5, 1.25), (0.99, f64::NAN)],
            sum: Some(10.0),
            ..native
        });
        sink.keep();
        let bounds = (&[0.5, 1.0][..], &[1.0, 2.0, 3.0][..]);
        sink.histogram(&Histogram {
            kind: HistogramKind::Classic,
            time_nanos: 3,
            bounds: bounds.0,
            bucket_counts: bounds.1,
            ..native
        });
        sink.keep();
        let attributes = [("user", text("u1"))];
        sink.exemplar(&Exemplar {
            time_nanos: 7,
            value: 0.25,
            trace_id: Some([0xfe; 16]),
            span_id: None,
            attributes: &Pairs(&attributes),
        });
        sink.keep();
        Ok(())
    });
    store_all(options(folder.path()), &journal);
    let histograms = rows(folder.path(), Table::MetricHistograms);
    let id = histograms[0]["SeriesId"].clone();
    let list = |values: &[f64]| Json::Array(values.iter().map(|&value| double(value)).collect());
    assert_eq!(
        histograms[0],
        json!({
            "SeriesId": id, "Timestamp": 1, "StartTimestamp": 2, "Flags": 3, "Kind": "native",
            "Count": double(4.5), "Sum": null, "Min": double(0.0), "Max": double(-0.0),
            "Bounds": [], "BucketCounts": [], "Scale": -4, "ZeroThreshold": double(1e-128),
            "ZeroCount": double(0.5), "PositiveOffset": -7,
            "PositiveCounts": list(&[1.0, 0.0, 2.5]), "NegativeOffset": 9,
            "NegativeCounts": list(&[0.5]), "CustomBounds": list(&[0.1, 0.2]), "Quantiles": [],
            "ResetHint": 3, "Tenant": "acme",
        })
    );
    assert_eq!(histograms[1]["Kind"], "summary");
    assert_eq!(histograms[1]["Sum"], double(10.0));
    assert_eq!(
        histograms[1]["Quantiles"],
        json!([
            {"Quantile": double(0.5), "Value": double(1.25)},
            {"Quantile": double(0.99), "Value": double(f64::NAN)},
        ])
    );
    assert_eq!(histograms[2]["Kind"], "classic");
    assert_eq!(histograms[2]["Bounds"], list(&[0.5, 1.0]));
    assert_eq!(histograms[2]["BucketCounts"], list(&[1.0, 2.0, 3.0]));
    assert_eq!(
        rows(folder.path(), Table::MetricExemplars),
        [json!({
            "SeriesId": id, "Timestamp": 7, "Value": double(0.25), "TraceId": "fe".repeat(16),
            "SpanId": "", "Attributes": {"user": "u1"}, "Tenant": "acme",
        })]
    );
    assert_eq!(
        rows(folder.path(), Table::MetricMetadata),
        [json!({
            "MetricFamily": "latency", "MetricType": "histogram", "Unit": "seconds",
            "Help": "How long.", "Tenant": "acme", "LastSeen": NEW_YEAR,
        })]
    );
}

#[test]
fn a_series_row_tells_its_identity_and_its_service() {
    let (folder, journal) = (tempfile::tempdir().unwrap(), MemoryJournal::new(1));
    journal.script(0, METRICS, |_, sink| {
        let labels = [("job", text("node")), ("zone", text("z"))];
        sink.series(&series("up", &Pairs(&labels), Some(b"1")));
        push_sample(sink, 1, 1.0);
        Ok(())
    });
    let otlp = (Route::OtlpMetrics, "acme", NEW_YEAR + 9);
    journal.script(0, otlp, |_, sink| {
        resource(sink, "shop");
        let scope_attributes = [("s", Value::Int(1))];
        sink.scope(&Scope {
            name: "meter".into(),
            version: "3".into(),
            attributes: &Pairs(&scope_attributes),
            schema_url: Text::EMPTY,
        });
        let labels = [("code", Value::Int(200))];
        sink.series(&Series {
            identity: Identity::Full,
            metric_type: MetricType::Sum,
            unit: "By".into(),
            description: "Bytes.".into(),
            temporality: Temporality::Delta,
            is_monotonic: true,
            ..series("bytes", &Pairs(&labels), None)
        });
        push_sample(sink, 1, 1.0);
        Ok(())
    });
    store_all(options(folder.path()), &journal);
    let mut rows = rows(folder.path(), Table::MetricSeries);
    rows.sort_by_key(|row| row["MetricName"].to_string());
    let ids = [rows[0]["SeriesId"].clone(), rows[1]["SeriesId"].clone()];
    assert_ne!(ids[0], ids[1]);
    let expected = [
        json!({
            "SeriesId": ids[0], "MetricName": "bytes", "MetricType": "sum", "Unit": "By",
            "Description": "Bytes.", "Temporality": "delta", "IsMonotonic": true,
            "Labels": {"code": "200"}, "ResourceAttributes": {"service.name": "shop"},
            "ScopeName": "meter", "ScopeVersion": "3", "ScopeAttributes": {"s": "1"},
            "ServiceName": "shop", "Tenant": "acme", "Protocol": "otlp", "FirstSeen": NEW_YEAR + 9,
        }),
        json!({
            "SeriesId": ids[1], "MetricName": "up", "MetricType": "unknown", "Unit": "",
            "Description": "", "Temporality": "unspecified", "IsMonotonic": false,
            "Labels": {"job": "node", "zone": "z"}, "ResourceAttributes": {}, "ScopeName": "",
            "ScopeVersion": "", "ScopeAttributes": {}, "ServiceName": "node", "Tenant": "acme",
            "Protocol": "remote_write", "FirstSeen": NEW_YEAR,
        }),
    ];
    assert_eq!(rows, expected);
}

/// The cache goes by raw bytes; what they leave out must not be confused.
#[test]
fn equal_raw_bytes_of_other_tenants_resources_and_scopes_are_other_series() {
    let (folder, journal) = (tempfile::tempdir().unwrap(), MemoryJournal::new(1));
    for tenant in ["acme", "bolt"] {
        journal.script(0, (Route::OtlpMetrics, tenant, NEW_YEAR), |_, sink| {
            for (service, name) in [("a", "x"), ("a", "y"), ("b", "x"), ("a", "x")] {
                resource(sink, service);
                sink.scope(&Scope {
                    name: name.into(),
                    version: Text::EMPTY,
                    attributes: &Nothing,
                    schema_url: Text::EMPTY,
                });
                for identity in [Identity::Full, Identity::Labels] {
                    sink.series(&Series { identity, ..series("m", &Nothing, Some(b"raw")) });
                    push_sample(sink, 1, 1.0);
                }
            }
            Ok(())
        });
    }
    store_all(options(folder.path()), &journal);
    let mut ids: Vec<String> = rows(folder.path(), Table::MetricSamples)
        .iter()
        .map(|row| row["SeriesId"].to_string())
        .collect();
    assert_eq!(ids.len(), 16);
    ids.sort();
    ids.dedup();
    // For each tenant three owners, and one series that knows no owner.
    assert_eq!(ids.len(), 2 * (3 + 1));
    assert_eq!(rows(folder.path(), Table::MetricSeries).len(), ids.len());
}

// ── Order, statistics, hours ──────────────────────────────────────────────────────────────────

fn sorted_part(data: &Path, table: Table, columns: [&str; 2]) -> (Vec<(String, i64)>, PathBuf) {
    let parts = parts(data, table);
    assert_eq!(parts.len(), 1);
    let key = |row: &Json| {
        (row[columns[0]].as_str().unwrap().to_string(), row[columns[1]].as_i64().unwrap())
    };
    let keys: Vec<(String, i64)> = rows_of_part(&parts[0]).iter().map(key).collect();
    assert!(keys.is_sorted(), "{}", table.name());
    let reader = SerializedFileReader::new(File::open(&parts[0]).unwrap()).unwrap();
    for group in reader.metadata().row_groups() {
        let sorting = group.sorting_columns().unwrap();
        assert!(sorting.iter().all(|sorting| !sorting.descending));
        let name = |index: i32| group.column(index as usize).column_path().string();
        let names: Vec<String> = sorting.iter().map(|sorting| name(sorting.column_idx)).collect();
        assert_eq!(names, columns);
    }
    (keys, parts[0].clone())
}

/// Rows of many entries and shards, in wild order, over several row groups.
#[test]
fn parts_are_sorted_with_statistics_that_say_so() {
    const ROWS: u64 = 300_000;
    let (folder, journal) = (tempfile::tempdir().unwrap(), MemoryJournal::new(1));
    for entry in 0..10u64 {
        journal.script((entry % 2) as u32, METRICS, move |_, sink| {
            for index in 0..ROWS / 10 {
                let number = (index * 7919 + entry * 31) % 1000;
                let label = number.to_string();
                let labels = [("n", text(&label))];
                sink.series(&series("m", &Pairs(&labels), Some(label.as_bytes())));
                push_sample(sink, ((index * 104_729) % 5000) as i64, 1.0);
            }
            Ok(())
        });
        journal.script(0, LOGS, move |_, sink| {
            resource(sink, ["b", "", "a"][(entry % 3) as usize]);
            for index in 0..50u64 {
                push_log(sink, (index * 7 % 50) as i64 - 25, "x");
            }
            Ok(())
        });
    }
    store_all(options(folder.path()), &journal);
    sorted_part(folder.path(), Table::Logs, ["ServiceName", "Timestamp"]);
    let (keys, part) = sorted_part(folder.path(), Table::MetricSamples, ["SeriesId", "Timestamp"]);
    assert_eq!(keys.len() as u64, ROWS);
    let reader = SerializedFileReader::new(File::open(part).unwrap()).unwrap();
    assert!(reader.metadata().num_row_groups() > 1, "row groups are bounded");
    let mut row = 0;
    for group in reader.metadata().row_groups() {
        let last = row + group.num_rows() as usize - 1;
        let Some(Statistics::FixedLenByteArray(ids)) = group.column(0).statistics() else {
            panic!("no statistics of ids");
        };
        assert_eq!(hex(ids.min_opt().unwrap().data()), keys[row].0);
        assert_eq!(hex(ids.max_opt().unwrap().data()), keys[last].0);
        let Some(Statistics::Int64(times)) = group.column(1).statistics() else {
            panic!("no statistics of times");
        };
        let greatest = keys[row..=last].iter().map(|key| key.1).max().unwrap();
        assert_eq!(times.max_opt(), Some(&greatest));
        row = last + 1;
    }
}

#[test]
fn an_hour_of_arrival_is_a_folder_whatever_the_records_say() {
    let (folder, journal) = (tempfile::tempdir().unwrap(), MemoryJournal::new(1));
    for arrival in [NEW_YEAR - 1, NEW_YEAR, NEW_YEAR + HOUR] {
        journal.script(0, (Route::JsonLogs, "acme", arrival), |_, sink| {
            push_log(sink, i64::MIN, "x");
            push_log(sink, i64::MAX, "y");
            Ok(())
        });
    }
    store_all(options(folder.path()), &journal);
    let hours: Vec<(String, usize)> = parts(folder.path(), Table::Logs)
        .iter()
        .map(|part| {
            let hour = part.parent().unwrap().file_name().unwrap().to_str().unwrap().to_string();
            (hour, rows_of_part(part).len())
        })
        .collect();
    let hour = |name: &str| (format!("arrived={name}"), 2);
    assert_eq!(hours, [hour("2025-12-31T23"), hour("2026-01-01T00"), hour("2026-01-01T01")]);
}

#[test]
fn a_series_row_comes_once_a_day_and_again_after_a_restart() {
    let (folder, journal) = (tempfile::tempdir().unwrap(), MemoryJournal::new(1));
    let write = |arrival: u64| {
        journal.script(0, (Route::RemoteWrite, "acme", arrival), |_, sink| {
            for time in 0..2 {
                sink.series(&series("up", &Nothing, Some(b"raw")));
                push_sample(sink, time, 1.0);
            }
            Ok(())
        });
    };
    let count = || rows(folder.path(), Table::MetricSeries).len();
    let (store, _) = start(options(folder.path()), &journal);
    for (arrival, expected) in [
        (NEW_YEAR, 1),
        (NEW_YEAR + 1, 1),
        (NEW_YEAR + 5 * HOUR, 1),
        (NEW_YEAR + 23 * HOUR, 1),
        (NEW_YEAR + 24 * HOUR, 2),
        (NEW_YEAR + 25 * HOUR, 2),
    ] {
        write(arrival);
        wait_until("stored", || store.lag_bytes() == 0);
        assert_eq!(count(), expected);
    }
    drop(store);
    write(NEW_YEAR + 26 * HOUR);
    store_all(options(folder.path()), &journal);
    assert_eq!(count(), 3);
    assert_eq!(rows(folder.path(), Table::MetricSamples).len(), 14);
}

#[test]
fn metadata_that_repeats_is_one_row_of_a_plan() {
    let (folder, journal) = (tempfile::tempdir().unwrap(), MemoryJournal::new(1));
    for (minute, fails) in [(0, false), (2, false), (5, true), (1, false)] {
        let at = (Route::RemoteWrite, "acme", NEW_YEAR + minute * 60_000_000_000);
        journal.script(0, at, move |_, sink| {
            for help in ["h", "other"] {
                sink.metadata(&Metadata {
                    family: "f".into(),
                    metric_type: MetricType::Gauge,
                    unit: Text::EMPTY,
                    help: help.into(),
                });
                if minute == 2 && help == "other" {
                    sink.reject(RejectCause::Inconsistent);
                } else {
                    sink.keep();
                }
            }
            if fails { Err(Fault::Truncated) } else { Ok(()) }
        });
    }
    store_all(options(folder.path()), &journal);
    let mut found: Vec<(String, u64)> = rows(folder.path(), Table::MetricMetadata)
        .iter()
        .map(|row| {
            let minutes = (row["LastSeen"].as_u64().unwrap() - NEW_YEAR) / 60_000_000_000;
            (row["Help"].as_str().unwrap().to_string(), minutes)
        })
        .collect();
    found.sort();
    // Not the undone fifth minute, nor the rejected second one; never back to an earlier time.
    assert_eq!(found, [("h".to_string(), 2), ("other".to_string(), 1)]);
}

// ── Undoing ───────────────────────────────────────────────────────────────────────────────────

#[test]
fn rejected_records_leave_nothing() {
    let (folder, journal) = (tempfile::tempdir().unwrap(), MemoryJournal::new(1));
    journal.script(0, LOGS, |_, sink| {
        for index in 0..6 {
            let attributes = [("k", Value::Int(index))];
            let body = "x".repeat(index as usize);
            sink.log(&log(index, text(&body), &Pairs(&attributes)));
            if index % 2 == 0 { sink.keep() } else { sink.reject(RejectCause::OverLimit) }
        }
        Ok(())
    });
    journal.script(0, METRICS, |_, sink| {
        sink.series(&series("up", &Nothing, Some(b"raw")));
        for (time_nanos, kept) in [(1, false), (2, true), (3, false)] {
            sink.sample(&Sample { value_int: Some(time_nanos), ..sample(time_nanos, 1.0) });
            if kept { sink.keep() } else { sink.reject(RejectCause::Inconsistent) }
        }
        Ok(())
    });
    store_all(options(folder.path()), &journal);
    let logs: Vec<Json> = rows(folder.path(), Table::Logs)
        .iter()
        .map(|row| json!([row["Timestamp"], row["Body"], row["LogAttributes"]["k"]]))
        .collect();
    assert_eq!(logs, [json!([0, "", "0"]), json!([2, "xx", "2"]), json!([4, "xxxx", "4"])]);
    let samples = rows(folder.path(), Table::MetricSamples);
    assert_eq!(samples.len(), 1);
    assert_eq!(samples[0]["ValueInt"], 2);
}

/// An entry of every kind of row that ends well (0) or in one of three bad ways.
fn mixed_entry(what: u32, fields: &[u8]) -> Stored {
    struct Panics;
    impl Attributes for Panics {
        fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
            visit("k".into(), Value::Int(1));
            panic!("in the middle of a row");
        }
    }
    let script: Script = Arc::new(move |_, sink: &mut PartSink<'_>| {
        resource(sink, "s");
        sink.series(&series("up", &Nothing, Some(b"raw")));
        push_sample(sink, i64::from(what), 1.0);
        push_log(sink, i64::from(what), "x");
        sink.metadata(&Metadata {
            family: "f".into(),
            metric_type: MetricType::Gauge,
            unit: Text::EMPTY,
            help: Text::EMPTY,
        });
        sink.keep();
        match what {
            1 => return Err(Fault::Truncated),
            2 => panic!("a decoder's bug"),
            3 => sink.log(&log(3, text("half"), &Panics)),
            _ => {}
        }
        Ok(())
    });
    let (route, tenant) = (Route::RemoteWrite, "acme".to_string());
    Stored::Entry { route, tenant, arrival: NEW_YEAR, fields: fields.to_vec(), script }
}

fn kept_entry(path: &Path) -> (store::Head, Vec<u8>) {
    let bytes = fs::read(path).unwrap();
    let line = bytes.iter().position(|&byte| byte == b'\n').unwrap();
    (serde_json::from_slice(&bytes[..line]).unwrap(), bytes[line + 1..].to_vec())
}

/// Errors and panics, in the middle of everything, with good entries around them.
#[test]
fn an_entry_that_cannot_be_decoded_goes_to_quarantine_with_all_its_rows() {
    let (folder, journal) = (tempfile::tempdir().unwrap(), MemoryJournal::new(0xabc));
    let mut fields = Vec::new();
    assert!(RequestFields::push(&mut fields, FieldId::Query, b"a=b"));
    for what in [1, 0, 2, 3, 4] {
        journal.append(5, mixed_entry(what, &fields));
    }
    journal.append(5, Stored::Unknown(b"unknown".to_vec()));
    journal.append(5, Stored::Damaged(b"damaged".to_vec()));
    let counters = store_all(options(folder.path()), &journal);
    let times = |table| -> Vec<i64> {
        rows(folder.path(), table).iter().map(|row| row["Timestamp"].as_i64().unwrap()).collect()
    };
    assert_eq!(times(Table::Logs), [0, 4]);
    assert_eq!(times(Table::MetricSamples), [0, 4]);
    // The row that the undone first entry would have written comes with the second one.
    assert_eq!(rows(folder.path(), Table::MetricSeries).len(), 1);
    assert_eq!(rows(folder.path(), Table::MetricMetadata).len(), 1);
    assert_eq!(counters.quarantined_entries.value(), 5);

    let mut kept = list(&folder.path().join("quarantine"));
    kept.sort();
    let name = |index: u64| format!("0000000000000abc-0005-{:016x}.entry", 4096 + index * 100);
    let names: Vec<&str> =
        kept.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, [0, 2, 3, 5, 6].map(name));
    let (first, rest) = kept_entry(&kept[0]);
    let envelope = first.envelope.as_ref().unwrap();
    assert_eq!((first.kind.as_str(), first.shard, first.position), ("entry", 5, 4096));
    assert_eq!((envelope.route, envelope.tenant.as_str()), (1, "acme"));
    assert_eq!(envelope.arrival_nanos, NEW_YEAR);
    assert!(first.cause.contains("ends inside a field"), "{}", first.cause);
    let (kept_fields, body) = rest.split_at(envelope.fields_size);
    assert_eq!((kept_fields, body), (&fields[..], &body_of(5, 0)[..]));
    assert_eq!((first.body_size, first.crc32c), (16, crc32c::crc32c(&rest)));
    assert_eq!(kept_entry(&kept[1]).0.cause, "the decoder panicked");
    assert_eq!(kept_entry(&kept[3]).0.kind, "unknown");
    let (last, rest) = kept_entry(&kept[4]);
    assert_eq!((last.kind.as_str(), &rest[..]), ("damaged", &b"damaged"[..]));
}

// ── Following ─────────────────────────────────────────────────────────────────────────────────

/// Entries of three rows each over two hours; every fifth fails.
fn numbered_logs(journal: &MemoryJournal, shards: u32, entries: u64) {
    for entry in 0..entries {
        let shard = (entry % u64::from(shards)) as u32;
        let arrival = NEW_YEAR + (entry % 2) * HOUR;
        journal.script(shard, (Route::JsonLogs, "acme", arrival), move |_, sink| {
            for index in 0..3 {
                push_log(sink, (entry * 3 + index) as i64, "x");
            }
            if entry % 5 == 4 { Err(Fault::Truncated) } else { Ok(()) }
        });
    }
}

fn expected_times(entries: u64) -> Vec<i64> {
    let good = (0..entries).filter(|entry| entry % 5 != 4);
    good.flat_map(|entry| entry * 3..entry * 3 + 3).map(|time| time as i64).collect()
}

fn log_times(data: &Path) -> Vec<i64> {
    let mut times: Vec<i64> =
        rows(data, Table::Logs).iter().map(|row| row["Timestamp"].as_i64().unwrap()).collect();
    times.sort_unstable();
    times
}

#[test]
fn plans_and_parts_of_any_size_hold_every_row_once() {
    let max = usize::MAX;
    for (workers, plan_size_max, part_size_max, entries) in [
        (1, 1, 1, 50),
        (3, 1, max, 50),
        (2, 1000, 4096, 50),
        // A part a record, so that the entries that fail do so behind their first part.
        (4, u64::MAX, 1, 20),
        (1, u64::MAX, max, 50),
    ] {
        let (folder, journal) = (tempfile::tempdir().unwrap(), MemoryJournal::new(9));
        numbered_logs(&journal, 3, entries);
        let mut options = options(folder.path());
        (options.workers, options.plan_size_max) = (workers, plan_size_max);
        options.part_size_max = part_size_max;
        let counters = store_all(options, &journal);
        assert_eq!(log_times(folder.path()), expected_times(entries), "{workers} workers");
        assert_eq!(counters.rows.value() as usize, expected_times(entries).len());
        assert_eq!(counters.quarantined_entries.value(), entries / 5);
        assert_eq!(counters.lag_bytes.value(), 0);
        for range in journal.shards() {
            assert_eq!(range.oldest, range.frontier, "everything is retired");
        }
        assert!(list(&folder.path().join("store/writing")).is_empty());
    }
}

/// An entry larger than a part: owners come along from part to part, and a series' row comes once.
#[test]
fn an_entry_of_many_parts_has_the_rows_of_one() {
    let stored = |part_size_max| {
        let (folder, journal) = (tempfile::tempdir().unwrap(), MemoryJournal::new(9));
        journal.script(0, (Route::OtlpMetrics, "acme", NEW_YEAR), |_, sink| {
            for owner in ["a", "", "a"] {
                resource(sink, owner);
                sink.scope(&Scope {
                    name: "scope".into(),
                    version: "1".into(),
                    attributes: &Pairs(&[("s", text("t"))]),
                    schema_url: Text::EMPTY,
                });
                for time in 0..3 {
                    push_log(sink, time, &"a body of some size ".repeat(200));
                    let labels = Pairs(&[("k", text("v"))]);
                    sink.series(&Series {
                        identity: Identity::Full,
                        ..series("up", &labels, Some(b"raw"))
                    });
                    push_sample(sink, time, 1.0);
                    push_sample(sink, time, 2.0);
                    let attributes = &Pairs(&[("e", text("x"))]);
                    sink.exemplar(&Exemplar {
                        time_nanos: time,
                        value: 1.0,
                        trace_id: None,
                        span_id: None,
                        attributes,
                    });
                    sink.keep();
                }
            }
            Ok(())
        });
        let mut options = options(folder.path());
        options.part_size_max = part_size_max;
        store_all(options, &journal);
        let count = parts(folder.path(), Table::Logs).len();
        let tables =
            [Table::Logs, Table::MetricSeries, Table::MetricSamples, Table::MetricExemplars];
        let rows = tables.map(|table| {
            let mut rows: Vec<String> =
                rows(folder.path(), table).iter().map(ToString::to_string).collect();
            rows.sort();
            rows
        });
        (count, rows)
    };
    let ((parts, parted), (part, whole)) = (stored(1), stored(usize::MAX));
    assert!(parts > 4 && part == 1, "{parts}, {part}");
    assert_eq!(parted, whole);
    assert_eq!(whole.map(|rows| rows.len()), [9, 2, 18, 9]);
}

/// Whatever fails behind the first part of an entry takes all of the entry's rows back.
#[test]
fn an_entry_that_fails_behind_its_first_part_leaves_no_row() {
    let (folder, journal) = (tempfile::tempdir().unwrap(), MemoryJournal::new(9));
    for what in [4, 2, 5, 1, 3, 6] {
        journal.append(0, mixed_entry(what, &[]));
    }
    let mut options = options(folder.path());
    options.part_size_max = 1;
    let counters = store_all(options, &journal);
    assert_eq!(log_times(folder.path()), [4, 5, 6]);
    assert_eq!(rows(folder.path(), Table::MetricSamples).len(), 3);
    assert_eq!(rows(folder.path(), Table::MetricSeries).len(), 1);
    assert_eq!(counters.quarantined_entries.value(), 3);
    assert_eq!(list(&folder.path().join("quarantine")).len(), 3);
    assert!(list(&folder.path().join("store/writing")).is_empty());
}

/// Large ranges are split over the workers, each writing parts of its own.
#[test]
fn workers_share_a_large_plan() {
    let (folder, journal) = (tempfile::tempdir().unwrap(), MemoryJournal::new(9));
    numbered_logs(&journal, 2, 40_000);
    let mut options = options(folder.path());
    options.workers = 3;
    store_all(options, &journal);
    let mut workers: Vec<String> = parts(folder.path(), Table::Logs)
        .iter()
        .map(|part| part.file_name().unwrap().to_str().unwrap()[30..32].to_string())
        .collect();
    workers.sort();
    workers.dedup();
    assert_eq!(workers, ["00", "01", "02"]);
    assert_eq!(log_times(folder.path()), expected_times(40_000));
}

#[test]
fn rows_become_readable_and_the_lag_says_when() {
    let (folder, journal) = (tempfile::tempdir().unwrap(), MemoryJournal::new(9));
    let (store, _) = start(options(folder.path()), &journal);
    assert_eq!(store.lag_bytes(), 0);
    for round in 1..=3 {
        let lag = store.lag();
        journal.script(0, LOGS, |_, sink| {
            push_log(sink, 1, "x");
            Ok(())
        });
        wait_until("no lag", || lag.bytes() == 0);
        assert_eq!(rows(folder.path(), Table::Logs).len(), round);
    }
    store.drain().unwrap();
}

/// Stopped, not drained: nothing more is published, and the next start continues.
#[test]
fn a_dropped_store_stops_soon_and_loses_nothing() {
    let (folder, journal) = (tempfile::tempdir().unwrap(), MemoryJournal::new(9));
    let blocked = Arc::new(AtomicBool::new(true));
    let entered = Arc::new(AtomicBool::new(false));
    let (gate, flag) = (Arc::clone(&blocked), Arc::clone(&entered));
    journal.script(0, LOGS, move |_, sink| {
        flag.store(true, Ordering::SeqCst);
        while gate.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        push_log(sink, 1, "x");
        Ok(())
    });
    numbered_logs(&journal, 1, 10);
    let (store, _) = start(options(folder.path()), &journal);
    wait_until("the worker is busy", || entered.load(Ordering::SeqCst));
    let opener = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        blocked.store(false, Ordering::SeqCst);
    });
    drop(store);
    opener.join().unwrap();
    assert_eq!(parts(folder.path(), Table::Logs), Vec::<PathBuf>::new());
    store_all(options(folder.path()), &journal);
    assert_eq!(log_times(folder.path()).len(), expected_times(10).len() + 1);
}

/// A disk that refuses for a while: counted, tried again, nothing lost or doubled.
#[test]
fn a_plan_that_fails_is_tried_again_until_it_succeeds() {
    let (folder, journal) = (tempfile::tempdir().unwrap(), MemoryJournal::new(9));
    numbered_logs(&journal, 2, 20);
    // A file where the table's folder must be.
    let table = folder.path().join("store/logs");
    fs::create_dir_all(table.parent().unwrap()).unwrap();
    fs::write(&table, b"in the way").unwrap();
    let (store, counters) = start(options(folder.path()), &journal);
    wait_until("two failures", || counters.plan_failures.value() >= 2);
    assert!(store.lag_bytes() > 0);
    assert_eq!(journal.retired.lock().unwrap().len(), 0);
    fs::remove_file(&table).unwrap();
    wait_until("no lag", || store.lag_bytes() == 0);
    store.drain().unwrap();
    assert_eq!(log_times(folder.path()), expected_times(20));
    assert_eq!(counters.quarantined_entries.value(), 4, "each entry is counted once");
}

/// Half of a plan's parts are published when the next rename fails.
#[test]
fn a_plan_that_fails_half_published_is_undone_and_done_again() {
    let (folder, journal) = (tempfile::tempdir().unwrap(), MemoryJournal::new(9));
    numbered_logs(&journal, 2, 20);
    // The second hour's folder cannot be made.
    let hour = folder.path().join("store/logs/arrived=2026-01-01T01");
    fs::create_dir_all(hour.parent().unwrap()).unwrap();
    fs::write(&hour, b"in the way").unwrap();
    let (store, counters) = start(options(folder.path()), &journal);
    wait_until("two failures", || counters.plan_failures.value() >= 2);
    drop(store);
    fs::remove_file(&hour).unwrap();
    store_all(options(folder.path()), &journal);
    assert_eq!(log_times(folder.path()), expected_times(20));
}

#[test]
fn a_drain_that_cannot_end_says_why() {
    let (folder, journal) = (tempfile::tempdir().unwrap(), MemoryJournal::new(9));
    numbered_logs(&journal, 1, 5);
    fs::create_dir_all(folder.path().join("store")).unwrap();
    fs::write(folder.path().join("store/logs"), b"in the way").unwrap();
    let (store, _) = start(options(folder.path()), &journal);
    assert!(store.drain().is_err());
}

/// Readers list and open while the store works: never half a file, and rows never go away.
#[test]
fn whatever_matches_the_pattern_is_whole() {
    let (folder, journal) = (tempfile::tempdir().unwrap(), MemoryJournal::new(9));
    numbered_logs(&journal, 2, 200);
    let mut options = options(folder.path());
    options.plan_size_max = 1;
    let (store, _) = start(options, &journal);
    let mut before = 0;
    while store.lag_bytes() > 0 {
        let now = log_times(folder.path()).len();
        assert!(before <= now);
        before = now;
    }
    store.drain().unwrap();
    assert_eq!(log_times(folder.path()), expected_times(200));
}

// ── Starting ──────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_damaged_state_is_refused_by_name() {
    let (folder, journal) = (tempfile::tempdir().unwrap(), MemoryJournal::new(9));
    numbered_logs(&journal, 1, 5);
    store_all(options(folder.path()), &journal);
    let path = folder.path().join("store/state");
    let state = fs::read_to_string(&path).unwrap();
    // One digit of the done position.
    let damaged = state.replace("\"0\":4596", "\"0\":4496");
    assert_ne!(damaged, state);
    fs::write(&path, &damaged).unwrap();
    let source = Arc::clone(&journal) as Arc<dyn EntrySource>;
    let error = store::start(options(folder.path()), source, Arc::default()).err().unwrap();
    assert!(error.to_string().contains("store/state"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), damaged, "left for the operator");
}

#[test]
fn another_incarnation_starts_at_its_oldest_and_leaves_the_old_parts() {
    let folder = tempfile::tempdir().unwrap();
    for incarnation in [9, 10] {
        let journal = MemoryJournal::new(incarnation);
        numbered_logs(&journal, 1, 5);
        store_all(options(folder.path()), &journal);
    }
    let mut twice = [expected_times(5), expected_times(5)].concat();
    twice.sort_unstable();
    assert_eq!(log_times(folder.path()), twice);
    assert_eq!(parts(folder.path(), Table::Logs).len(), 4);
}

#[test]
fn every_table_can_be_written_with_its_properties() {
    for table in Table::ALL {
        let empty = arrow_array::RecordBatch::new_empty(table.schema());
        let properties = Some(store::properties(table));
        let mut writer =
            parquet::arrow::ArrowWriter::try_new(Vec::new(), table.schema(), properties).unwrap();
        writer.write(&empty).unwrap();
        let bytes = bytes::Bytes::from(writer.into_inner().unwrap());
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
        assert_eq!(reader.schema().fields(), table.schema().fields(), "{}", table.name());
    }
}

/// The usual decoders are wired in: a route without one ends in quarantine, not in an error.
#[test]
fn a_route_that_this_version_cannot_decode_is_kept_aside() {
    let (folder, journal) = (tempfile::tempdir().unwrap(), MemoryJournal::new(9));
    journal.script(0, (Route::DatadogAgentTraces, "acme", NEW_YEAR), |_: &Envelope<'_>, _| Ok(()));
    let (source, counters) = (Arc::clone(&journal) as Arc<dyn EntrySource>, Arc::default());
    let store = store::start(options(folder.path()), source, Arc::clone(&counters)).unwrap();
    store.drain().unwrap();
    assert_eq!(counters.quarantined_entries.value(), 1);
    let kept = list(&folder.path().join("quarantine"));
    assert!(kept_entry(&kept[0]).0.cause.contains("no decoder"));
}
