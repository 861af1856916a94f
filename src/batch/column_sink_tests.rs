//! A sink that rolls back holds what a sink holds that never met the entry, seed by seed.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "tests")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_array::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::super::record::{
    Attributes, Event, Events, HistogramKind, Link, Links, MetricType, SpanKind, StatusCode,
    Temporality, Value,
};
use super::super::table::Table;
use super::*;
use crate::envelope::{Codings, RequestFields, Route};

/// xorshift64*
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % bound
    }
}

/// Attributes with repeated keys and bad text; panics after some of them if told to.
struct Few {
    seed: u64,
    panics: bool,
}

impl Attributes for Few {
    fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
        let mut random = Random(self.seed | 1);
        for _ in 0..random.below(6) {
            let key = [&b"job"[..], b"service.name", b"k", b"k\xff", b""][random.below(5) as usize];
            let text = [&b"v"[..], b"", b"longer text", b"\xc3("][random.below(4) as usize];
            let number = i64::from(random.below(100) as u32);
            let value =
                if random.below(2) == 0 { Value::Text(Text(text)) } else { Value::Int(number) };
            visit(Text(key), value);
        }
        assert!(!self.panics, "in the middle of a row");
    }
}

/// Up to three events or links, of which the last one's attributes may panic.
struct FewEvents<'a>(&'a Few);

impl FewEvents<'_> {
    fn each(&self, mut visit: impl FnMut(i64, &Few)) {
        let count = self.0.seed % 4;
        for index in 0..count {
            let panics = self.0.panics && index + 1 == count;
            visit(index as i64, &Few { seed: self.0.seed + index, panics });
        }
    }
}

impl Events for FewEvents<'_> {
    fn walk(&self, visit: &mut dyn FnMut(&Event<'_>)) {
        self.each(|time_nanos, attributes| {
            visit(&Event { time_nanos, name: Text(b"e\xff"), attributes });
        });
    }
}

impl Links for FewEvents<'_> {
    fn walk(&self, visit: &mut dyn FnMut(&Link<'_>)) {
        self.each(|number, attributes| {
            visit(&Link {
                trace_id: (number > 0).then_some([4; 16]),
                span_id: Some([5; 8]),
                trace_state: Text(b"t=1"),
                attributes,
            });
        });
    }
}

/// One entry: what it says depends on its seed alone. Ends early, with a panic, at a failing step.
fn entry(sink: &mut ColumnSink, seed: u64, fails_at: Option<u64>) {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let routes = [Route::OtlpLogs, Route::OtlpTraces, Route::OtlpMetrics];
    let route = routes[random.below(3) as usize];
    let tenant = ["a", "b"][random.below(2) as usize];
    let arrival_nanos = random.below(2) * NANOS_PER_HOUR * 23 + random.below(9);
    sink.begin(&Envelope {
        route,
        codings: Codings::IDENTITY,
        tenant,
        arrival_nanos,
        fields: RequestFields::EMPTY,
    });
    let mark = sink.mark();
    let run = catch_unwind(AssertUnwindSafe(|| {
        let mut has_series = false;
        for step in 0..30 {
            let panics = fails_at == Some(step);
            let attributes = Few { seed: random.below(1 << 40), panics };
            record(sink, &mut random, &attributes, &mut has_series);
            assert!(!panics, "between two rows");
            if random.below(4) == 0 { sink.reject(RejectCause::OverLimit) } else { sink.keep() }
        }
    }));
    assert_eq!(run.is_err(), fails_at.is_some());
    if run.is_err() {
        sink.rollback(&mark);
    }
}

fn record(sink: &mut ColumnSink, random: &mut Random, attributes: &Few, has_series: &mut bool) {
    let time_nanos = random.below(1000) as i64;
    let name = ["x", "y", "z"][random.below(3) as usize];
    match random.below(9) {
        0 => sink.resource(&Resource { attributes, schema_url: name.into() }),
        1 => sink.scope(&Scope {
            name: name.into(),
            version: Text(b"1\xff"),
            attributes,
            schema_url: Text::EMPTY,
        }),
        2 => sink.log(&Log {
            time_nanos,
            observed_time_nanos: 0,
            trace_id: None,
            span_id: Some([1; 8]),
            trace_flags: 0,
            severity_text: name.into(),
            severity_number: 1,
            body: Value::Map(attributes),
            attributes,
            event_name: Text::EMPTY,
        }),
        3 => {
            let raw = attributes.seed.to_le_bytes();
            sink.series(&Series {
                identity: if raw[0].is_multiple_of(2) { Identity::Full } else { Identity::Labels },
                name: name.into(),
                metric_type: MetricType::Sum,
                unit: Text::EMPTY,
                description: Text::EMPTY,
                temporality: Temporality::Delta,
                is_monotonic: true,
                labels: attributes,
                raw: raw[1].is_multiple_of(2).then_some(&raw),
            });
            *has_series = true;
        }
        4 => sink.metadata(&Metadata {
            family: name.into(),
            metric_type: MetricType::Gauge,
            unit: Text::EMPTY,
            help: Text::EMPTY,
        }),
        8 => sink.span(&Span {
            trace_id: [7; 16],
            span_id: [8; 8],
            parent_span_id: (time_nanos % 2 == 0).then_some([9; 8]),
            trace_state: name.into(),
            trace_flags: 1,
            name: Text(b"s\xff"),
            kind: SpanKind::Server,
            start_time_nanos: time_nanos,
            duration_nanos: u64::MAX,
            attributes: &Few { seed: attributes.seed, panics: false },
            events: &FewEvents(attributes),
            links: &FewEvents(attributes),
            status_code: StatusCode::Error,
            status_message: name.into(),
        }),
        5 if *has_series => sink.sample(&Sample {
            time_nanos,
            value: 1.0,
            value_int: (time_nanos % 2 == 0).then_some(time_nanos),
            start_time_nanos: 0,
            flags: 0,
        }),
        6 if *has_series => {
            sink.exemplar(&Exemplar {
                time_nanos,
                value: 2.0,
                trace_id: Some([3; 16]),
                span_id: None,
                attributes,
            });
        }
        7 if *has_series => sink.histogram(&Histogram {
            kind: HistogramKind::Classic,
            time_nanos,
            start_time_nanos: 0,
            flags: 0,
            count: 1.0,
            sum: None,
            min: None,
            max: None,
            bounds: &[1.0, 2.0][..random.below(3) as usize],
            bucket_counts: &[],
            scale: 0,
            zero_threshold: 0.0,
            zero_count: 0.0,
            positive_offset: 0,
            positive_counts: &[],
            negative_offset: 0,
            negative_counts: &[],
            custom_bounds: &[],
            quantiles: &[(0.5, 1.0)][..random.below(2) as usize],
            reset_hint: 0,
        }),
        _ => {}
    }
}

fn sink() -> ColumnSink {
    let options = SinkOptions { seed: 3, series_cache_max: 1000 };
    ColumnSink::new(options, Arc::new(SeenSeries::new(1000)))
}

/// Everything that would be stored, by hour.
fn contents(sink: &mut ColumnSink) -> Vec<(u64, Vec<RecordBatch>)> {
    let mut contents = Vec::new();
    for columns in sink.take() {
        let mut batches = Vec::new();
        for table in Table::ALL {
            if columns.row_count(table) == 0 {
                continue;
            }
            // Through a part: numbers of texts may differ, the texts may not.
            let part = crate::store::encode(table, &columns, Vec::new()).unwrap();
            let part = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(part)).unwrap();
            batches.extend(part.build().unwrap().map(|batch| batch.unwrap()));
        }
        if !batches.is_empty() {
            contents.push((columns.hour(), batches));
        }
    }
    contents.sort_by_key(|(hour, _)| *hour);
    contents
}

/// Sinks that met failing entries hold what sinks hold that never met them.
#[test]
fn undone_entries_leave_no_trace() {
    for seed in 1..=150u64 {
        let mut random = Random(seed);
        let (mut tried, mut spared) = (sink(), sink());
        for number in 0..12 {
            let entry_seed = seed * 1000 + number;
            if random.below(3) == 0 {
                entry(&mut tried, entry_seed, Some(random.below(30)));
            } else {
                entry(&mut tried, entry_seed, None);
                entry(&mut spared, entry_seed, None);
            }
        }
        assert_eq!(tried.texts_replaced(), spared.texts_replaced(), "seed {seed}");
        assert_eq!(contents(&mut tried), contents(&mut spared), "seed {seed}");
        assert_eq!(tried.take_pending(), spared.take_pending(), "seed {seed}");
    }
}

/// The same entries in columns that are handed out between them: the same rows.
#[test]
fn taking_columns_between_entries_changes_no_row() {
    let (mut often, mut once) = (sink(), sink());
    let mut rows = 0;
    for seed in 0..40 {
        entry(&mut often, seed, None);
        entry(&mut once, seed, None);
        let taken = often.take();
        rows += taken
            .iter()
            .map(|columns| Table::ALL.map(|table| columns.row_count(table)).iter().sum::<usize>())
            .sum::<usize>();
    }
    let metadata = |columns: &Columns| columns.row_count(Table::MetricMetadata);
    let all = once.take();
    let expected: usize = all
        .iter()
        .map(|columns| Table::ALL.map(|table| columns.row_count(table)).iter().sum::<usize>())
        .sum();
    // Metadata is told apart inside one set of columns only.
    assert!(rows >= expected && all.iter().map(metadata).sum::<usize>() > 0);
    assert_eq!(often.take_pending(), once.take_pending());
}

/// Owners that come in turns, as a forwarder's do, are held once each, whatever their size.
#[test]
fn owners_said_in_turns_stand_once() {
    struct Big(u8);
    impl Attributes for Big {
        fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
            let text = vec![self.0; 100_000];
            visit("big".into(), Value::Text(Text(&text)));
            visit("bad".into(), Value::Text(Text(b"\xff")));
        }
    }
    let mut sink = sink();
    sink.begin(&Envelope {
        route: Route::OtlpLogs,
        codings: Codings::IDENTITY,
        tenant: "a",
        arrival_nanos: 1,
        fields: RequestFields::EMPTY,
    });
    let say = |sink: &mut ColumnSink, turn: u8| {
        sink.resource(&Resource { attributes: &Big(turn % 2), schema_url: "r".into() });
        sink.scope(&Scope {
            name: "s".into(),
            version: Text::EMPTY,
            attributes: &Big(2 + turn % 2),
            schema_url: Text::EMPTY,
        });
    };
    for turn in 0..2 {
        say(&mut sink, turn);
    }
    let (size, replaced) = (sink.size(), sink.texts_replaced());
    let mark = sink.mark();
    for turn in 2..200 {
        say(&mut sink, turn);
    }
    assert_eq!((sink.size(), sink.texts_replaced()), (size, replaced));
    // Undone ones are found no more.
    sink.resource(&Resource { attributes: &Big(9), schema_url: Text::EMPTY });
    sink.rollback(&mark);
    assert_eq!(sink.size(), size + 32, "but for its place");
    sink.resource(&Resource { attributes: &Big(8), schema_url: Text::EMPTY });
    sink.resource(&Resource { attributes: &Big(9), schema_url: Text::EMPTY });
    assert!(sink.size() > size + 200_000);
}

#[test]
fn size_follows_what_is_held() {
    let mut sink = sink();
    entry(&mut sink, 1, None);
    let one = sink.size();
    for seed in 2..50 {
        entry(&mut sink, seed, None);
    }
    assert!(sink.size() > one * 4);
    sink.take();
    assert_eq!(sink.size(), 0);
}

/// A metric's name stands nowhere in its points' labels: equal label bytes of two metrics, or of one
/// name as two kinds, are different series, the same ones again are not.
#[test]
fn equal_label_bytes_of_other_metrics_are_other_series() {
    let mut sink = sink();
    sink.begin(&Envelope {
        route: Route::OtlpMetrics,
        codings: Codings::IDENTITY,
        tenant: "a",
        arrival_nanos: 1,
        fields: RequestFields::EMPTY,
    });
    let base = Series {
        identity: Identity::Full,
        name: "n".into(),
        metric_type: MetricType::Sum,
        unit: "u".into(),
        description: Text::EMPTY,
        temporality: Temporality::Delta,
        is_monotonic: false,
        labels: &Nothing,
        raw: Some(b""),
    };
    let all = [
        base,
        Series { name: "u".into(), unit: "n".into(), ..base },
        Series { name: Text::EMPTY, unit: Text::EMPTY, ..base },
        Series { name: "x".into(), unit: "x".into(), ..base },
        Series { metric_type: MetricType::Gauge, ..base },
        Series { temporality: Temporality::Cumulative, ..base },
        Series { is_monotonic: true, ..base },
    ];
    for series in all.iter().chain(&all).chain(all.iter().rev()) {
        sink.series(series);
    }
    let pending = sink.take_pending();
    assert_eq!(pending.len(), all.len());
    let ids: std::collections::BTreeSet<_> = pending.iter().collect();
    assert_eq!(ids.len(), all.len());
}
