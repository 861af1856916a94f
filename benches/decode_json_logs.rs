//! JSON logs: the validating pass, the filling pass into a sink that looks at every value, and what
//! a server without a splitter would do: `serde_json` into a tree.

#![allow(clippy::unwrap_used, reason = "a bench may panic")]

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use inrush::batch::record::{
    Attributes, Exemplar, Histogram, Log, Metadata, Resource, Sample, Scope, Series, Span, Text,
    Value,
};
use inrush::batch::{RecordSink, RejectCause, Validating};
use inrush::decode::json_logs::{self, Scratch};
use inrush::decode::{DecodeError, Verdict};
use inrush::envelope::{Codings, Envelope, FieldId, RequestFields, Route};

use crate::bodies_json;

const RECORDS: usize = 2_000;

/// Adds up the length of every text, so that nothing can be left out.
#[derive(Default)]
struct Measuring {
    size: usize,
    kept: u64,
}

impl Measuring {
    fn value(&mut self, value: Value<'_>) {
        match value {
            Value::Text(text) => self.size += text.0.len(),
            Value::Array(values) => values.walk(&mut |value| self.value(value)),
            Value::Map(members) => self.attributes(members),
            _ => self.size += 1,
        }
    }

    fn attributes(&mut self, attributes: &dyn Attributes) {
        attributes.walk(&mut |key: Text<'_>, value| {
            self.size += key.0.len();
            self.value(value);
        });
    }
}

impl RecordSink for Measuring {
    const FILLS: bool = true;

    fn resource(&mut self, resource: &Resource<'_>) {
        self.attributes(resource.attributes);
    }
    fn scope(&mut self, _: &Scope<'_>) {}
    fn log(&mut self, log: &Log<'_>) {
        self.value(log.body);
        self.attributes(log.attributes);
    }
    fn span(&mut self, _: &Span<'_>) {}
    fn series(&mut self, _: &Series<'_>) {}
    fn sample(&mut self, _: &Sample) {}
    fn histogram(&mut self, _: &Histogram<'_>) {}
    fn exemplar(&mut self, _: &Exemplar<'_>) {}
    fn metadata(&mut self, _: &Metadata<'_>) {}
    fn keep(&mut self) {
        self.kept += 1;
    }
    fn reject(&mut self, _: RejectCause) {}
}

pub fn bench(criterion: &mut Criterion) {
    let array = bodies_json::json_logs(7, RECORDS);
    let lines = bodies_json::json_logs_ndjson(7, RECORDS);
    let mut fields = Vec::new();
    assert!(RequestFields::push(&mut fields, FieldId::ContentType, b"application/x-ndjson"));
    let envelope = |fields| Envelope {
        route: Route::JsonLogs,
        codings: Codings::IDENTITY,
        tenant: "bench",
        arrival_nanos: 1_790_000_000_000_000_000,
        fields,
    };
    let as_array = envelope(RequestFields::EMPTY);
    let as_lines = envelope(RequestFields::new(&fields));
    let mut scratch = Scratch::default();

    let mut group = criterion.benchmark_group("json_logs");
    group.throughput(Throughput::Bytes(array.len() as u64));

    let expected: Vec<serde_json::Value> = serde_json::from_slice(&array).unwrap();
    for (name, envelope, body) in [("array", &as_array, &array), ("lines", &as_lines, &lines)] {
        let mut validate = || -> Result<Verdict, DecodeError> {
            json_logs::decode(envelope, black_box(body), &mut scratch, &mut Validating)
        };
        assert_eq!(validate().unwrap().kept(), expected.len() as u64);
        group.bench_function(format!("{name}/validate"), |bencher| bencher.iter(&mut validate));

        let mut fill = || {
            let mut sink = Measuring::default();
            json_logs::decode(envelope, black_box(body), &mut scratch, &mut sink).unwrap();
            sink
        };
        assert_eq!(fill().kept, expected.len() as u64);
        group.bench_function(format!("{name}/fill"), |bencher| bencher.iter(|| fill().size));
    }
    group.bench_function("array/serde_json", |bencher| {
        bencher.iter(|| serde_json::from_slice::<serde_json::Value>(black_box(&array)).unwrap());
    });
    group.finish();
}
