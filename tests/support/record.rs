//! Records as owned values, and the sink that stores them so.

use inrush::batch::record::*;
use inrush::batch::{RecordSink, RejectCause};
use inrush::decode::Verdict;

/// A double by its bits: two stale markers are equal, and differ from another NaN.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Bits(pub u64);

impl From<f64> for Bits {
    fn from(value: f64) -> Self {
        Self(value.to_bits())
    }
}

impl std::fmt::Debug for Bits {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:?} ({:#x})", f64::from_bits(self.0), self.0)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum OwnedValue {
    Empty,
    Text(String),
    Bool(bool),
    Int(i64),
    Double(Bits),
    Bytes(Vec<u8>),
    Array(Vec<OwnedValue>),
    Map(Pairs),
    Json(String),
}

pub type Pairs = Vec<(String, OwnedValue)>;

pub fn owned_pairs(attributes: &dyn Attributes) -> Pairs {
    let mut pairs = Vec::new();
    attributes.walk(&mut |key, value| {
        pairs.push((key.lossy().into_owned(), owned_value(value)));
    });
    pairs
}

pub fn owned_value(value: Value<'_>) -> OwnedValue {
    match value {
        Value::Empty => OwnedValue::Empty,
        Value::Text(text) => OwnedValue::Text(text.lossy().into_owned()),
        Value::Bool(bool) => OwnedValue::Bool(bool),
        Value::Int(int) => OwnedValue::Int(int),
        Value::Double(double) => OwnedValue::Double(double.into()),
        Value::Bytes(bytes) => OwnedValue::Bytes(bytes.to_vec()),
        Value::Array(values) => {
            let mut array = Vec::new();
            values.walk(&mut |value| array.push(owned_value(value)));
            OwnedValue::Array(array)
        }
        Value::Map(attributes) => OwnedValue::Map(owned_pairs(attributes)),
        Value::Json(json) => OwnedValue::Json(json.to_owned()),
    }
}

fn owned(text: Text<'_>) -> String {
    text.lossy().into_owned()
}

#[derive(Clone, Debug, PartialEq)]
pub struct LogRecord {
    pub time_nanos: i64,
    pub observed_time_nanos: i64,
    pub trace_id: Option<[u8; 16]>,
    pub span_id: Option<[u8; 8]>,
    pub trace_flags: u8,
    pub severity_text: String,
    pub severity_number: i32,
    pub body: OwnedValue,
    pub attributes: Pairs,
    pub event_name: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct SpanRecord {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub parent_span_id: Option<[u8; 8]>,
    pub trace_state: String,
    pub trace_flags: u8,
    pub name: String,
    pub kind: SpanKind,
    pub start_time_nanos: i64,
    pub duration_nanos: u64,
    pub attributes: Pairs,
    pub events: Vec<EventRecord>,
    pub links: Vec<LinkRecord>,
    pub status_code: StatusCode,
    pub status_message: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct EventRecord {
    pub time_nanos: i64,
    pub name: String,
    pub attributes: Pairs,
}

#[derive(Clone, Debug, PartialEq)]
pub struct LinkRecord {
    pub trace_id: Option<[u8; 16]>,
    pub span_id: Option<[u8; 8]>,
    pub trace_state: String,
    pub attributes: Pairs,
}

/// A series of OpenTelemetry's: everything that tells it from others, and its description.
#[derive(Clone, Debug, PartialEq)]
pub struct FullSeries {
    pub name: String,
    pub metric_type: MetricType,
    pub unit: String,
    pub description: String,
    pub temporality: Temporality,
    pub is_monotonic: bool,
    pub labels: Pairs,
}

#[derive(Clone, Debug, PartialEq)]
pub struct SampleRecord {
    pub time_nanos: i64,
    pub value: Bits,
    pub value_int: Option<i64>,
    pub start_time_nanos: i64,
    pub flags: u32,
}

impl SampleRecord {
    /// A sample of a protocol that has nothing but time and value.
    pub fn new(time_nanos: i64, value: f64) -> Self {
        Self { time_nanos, value: value.into(), value_int: None, start_time_nanos: 0, flags: 0 }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct HistogramRecord {
    pub kind: HistogramKind,
    pub time_nanos: i64,
    pub start_time_nanos: i64,
    pub flags: u32,
    pub count: Bits,
    pub sum: Option<Bits>,
    pub min: Option<Bits>,
    pub max: Option<Bits>,
    /// By bits: a point that says that nothing was recorded may hold anything.
    pub bounds: Vec<Bits>,
    pub bucket_counts: Vec<f64>,
    pub custom_bounds: Vec<f64>,
    /// Pairs of quantile and value.
    pub quantiles: Vec<(Bits, Bits)>,
    pub scale: i32,
    pub zero_threshold: Bits,
    pub zero_count: Bits,
    pub positive_offset: i32,
    pub positive_counts: Vec<f64>,
    pub negative_offset: i32,
    pub negative_counts: Vec<f64>,
    pub reset_hint: u8,
}

impl HistogramRecord {
    /// Without any value but its kind.
    pub fn new(kind: HistogramKind) -> Self {
        let zero = Bits(0);
        Self {
            kind,
            time_nanos: 0,
            start_time_nanos: 0,
            flags: 0,
            count: zero,
            sum: None,
            min: None,
            max: None,
            bounds: Vec::new(),
            bucket_counts: Vec::new(),
            custom_bounds: Vec::new(),
            quantiles: Vec::new(),
            scale: 0,
            zero_threshold: zero,
            zero_count: zero,
            positive_offset: 0,
            positive_counts: Vec::new(),
            negative_offset: 0,
            negative_counts: Vec::new(),
            reset_hint: 0,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    Resource {
        attributes: Pairs,
        schema_url: String,
    },
    Scope {
        name: String,
        version: String,
        attributes: Pairs,
        schema_url: String,
    },
    Log(LogRecord),
    Span(Box<SpanRecord>),
    /// Prometheus: a name and sorted labels.
    Series {
        name: String,
        labels: Pairs,
    },
    FullSeries(FullSeries),
    Sample(SampleRecord),
    Exemplar {
        time_nanos: i64,
        value: Bits,
        trace_id: Option<[u8; 16]>,
        span_id: Option<[u8; 8]>,
        attributes: Pairs,
    },
    Histogram(Box<HistogramRecord>),
    Metadata {
        family: String,
        metric_type: MetricType,
        unit: String,
        help: String,
    },
    /// The record before it was rejected.
    Rejected(RejectCause),
}

/// Stores every record, and holds the decoder to the order that a sink is promised.
#[derive(Default)]
pub struct Recording {
    pub records: Vec<Record>,
    kept: u64,
    kept_metadata: u64,
    rejected: u64,
    is_open: bool,
    has_resource: bool,
    has_scope: bool,
    has_series: bool,
}

impl Recording {
    fn open(&mut self, record: Record) {
        assert!(!self.is_open, "a record began before the last one was kept or rejected");
        self.is_open = true;
        self.records.push(record);
    }

    /// The records of a body that was accepted.
    pub fn finish(self, verdict: &Verdict) -> Vec<Record> {
        assert!(!self.is_open);
        // Metadata that a protocol has apart from its records counts; what a sink that fills is told
        // besides does not.
        let (records, metadata) = (self.kept - self.kept_metadata, self.kept_metadata);
        assert_eq!(records, verdict.kept() - verdict.metadata, "the verdict counts what was kept");
        let beside = self.records.iter().any(|record| matches!(record, Record::FullSeries(_)));
        assert!(
            verdict.metadata == metadata || verdict.metadata == 0 && (beside || records == 0),
            "the verdict counts metadata"
        );
        assert_eq!(self.rejected, verdict.rejected, "the verdict counts what was rejected");
        self.records
    }
}

impl RecordSink for Recording {
    const FILLS: bool = true;

    fn resource(&mut self, resource: &Resource<'_>) {
        assert!(!self.is_open);
        self.has_resource = true;
        self.has_scope = false;
        self.records.push(Record::Resource {
            attributes: owned_pairs(resource.attributes),
            schema_url: owned(resource.schema_url),
        });
    }

    fn scope(&mut self, scope: &Scope<'_>) {
        assert!(!self.is_open && self.has_resource);
        self.has_scope = true;
        self.records.push(Record::Scope {
            name: owned(scope.name),
            version: owned(scope.version),
            attributes: owned_pairs(scope.attributes),
            schema_url: owned(scope.schema_url),
        });
    }

    fn log(&mut self, log: &Log<'_>) {
        assert!(self.has_scope);
        self.open(Record::Log(LogRecord {
            time_nanos: log.time_nanos,
            observed_time_nanos: log.observed_time_nanos,
            trace_id: log.trace_id,
            span_id: log.span_id,
            trace_flags: log.trace_flags,
            severity_text: owned(log.severity_text),
            severity_number: log.severity_number,
            body: owned_value(log.body),
            attributes: owned_pairs(log.attributes),
            event_name: owned(log.event_name),
        }));
    }

    fn span(&mut self, span: &Span<'_>) {
        assert!(self.has_scope);
        let mut events = Vec::new();
        span.events.walk(&mut |event| {
            events.push(EventRecord {
                time_nanos: event.time_nanos,
                name: owned(event.name),
                attributes: owned_pairs(event.attributes),
            });
        });
        let mut links = Vec::new();
        span.links.walk(&mut |link| {
            links.push(LinkRecord {
                trace_id: link.trace_id,
                span_id: link.span_id,
                trace_state: owned(link.trace_state),
                attributes: owned_pairs(link.attributes),
            });
        });
        self.open(Record::Span(Box::new(SpanRecord {
            trace_id: span.trace_id,
            span_id: span.span_id,
            parent_span_id: span.parent_span_id,
            trace_state: owned(span.trace_state),
            trace_flags: span.trace_flags,
            name: owned(span.name),
            kind: span.kind,
            start_time_nanos: span.start_time_nanos,
            duration_nanos: span.duration_nanos,
            attributes: owned_pairs(span.attributes),
            events,
            links,
            status_code: span.status_code,
            status_message: owned(span.status_message),
        })));
    }

    fn series(&mut self, series: &Series<'_>) {
        assert!(!self.is_open);
        self.has_series = true;
        if series.identity == Identity::Full {
            assert!(self.has_scope);
            self.records.push(Record::FullSeries(FullSeries {
                name: owned(series.name),
                metric_type: series.metric_type,
                unit: owned(series.unit),
                description: owned(series.description),
                temporality: series.temporality,
                is_monotonic: series.is_monotonic,
                labels: owned_pairs(series.labels),
            }));
            return;
        }
        let labels = owned_pairs(series.labels);
        assert!(labels.is_sorted_by(|left, right| left.0.as_bytes() < right.0.as_bytes()));
        self.records.push(Record::Series { name: owned(series.name), labels });
    }

    fn sample(&mut self, sample: &Sample) {
        assert!(self.has_series);
        self.open(Record::Sample(SampleRecord {
            time_nanos: sample.time_nanos,
            value: sample.value.into(),
            value_int: sample.value_int,
            start_time_nanos: sample.start_time_nanos,
            flags: sample.flags,
        }));
    }

    fn histogram(&mut self, histogram: &Histogram<'_>) {
        assert!(self.has_series);
        self.open(Record::Histogram(Box::new(HistogramRecord {
            kind: histogram.kind,
            time_nanos: histogram.time_nanos,
            start_time_nanos: histogram.start_time_nanos,
            flags: histogram.flags,
            count: histogram.count.into(),
            sum: histogram.sum.map(Bits::from),
            min: histogram.min.map(Bits::from),
            max: histogram.max.map(Bits::from),
            bounds: histogram.bounds.iter().copied().map(Bits::from).collect(),
            bucket_counts: histogram.bucket_counts.to_vec(),
            custom_bounds: histogram.custom_bounds.to_vec(),
            quantiles: histogram
                .quantiles
                .iter()
                .map(|&(quantile, value)| (quantile.into(), value.into()))
                .collect(),
            scale: histogram.scale,
            zero_threshold: histogram.zero_threshold.into(),
            zero_count: histogram.zero_count.into(),
            positive_offset: histogram.positive_offset,
            positive_counts: histogram.positive_counts.to_vec(),
            negative_offset: histogram.negative_offset,
            negative_counts: histogram.negative_counts.to_vec(),
            reset_hint: histogram.reset_hint,
        })));
    }

    fn exemplar(&mut self, exemplar: &Exemplar<'_>) {
        assert!(self.has_series);
        self.open(Record::Exemplar {
            time_nanos: exemplar.time_nanos,
            value: exemplar.value.into(),
            trace_id: exemplar.trace_id,
            span_id: exemplar.span_id,
            attributes: owned_pairs(exemplar.attributes),
        });
    }

    fn metadata(&mut self, metadata: &Metadata<'_>) {
        self.open(Record::Metadata {
            family: owned(metadata.family),
            metric_type: metadata.metric_type,
            unit: owned(metadata.unit),
            help: owned(metadata.help),
        });
    }

    fn keep(&mut self) {
        assert!(std::mem::take(&mut self.is_open), "nothing was open to be kept");
        self.kept += 1;
        self.kept_metadata +=
            u64::from(matches!(self.records.last(), Some(Record::Metadata { .. })));
    }

    fn reject(&mut self, cause: RejectCause) {
        // Nothing is open where the record could not even be said.
        self.is_open = false;
        self.rejected += 1;
        self.records.push(Record::Rejected(cause));
    }
}

/// The order of an oracle that has a list for each kind: metadata last, and within a series samples,
/// exemplars, histograms, each in wire order.
pub fn by_kind(records: Vec<Record>) -> Vec<Record> {
    // Only remote write's messages have such lists.
    if !records.iter().any(|record| matches!(record, Record::Series { .. })) {
        return records;
    }
    let rank = |record: &Record| match record {
        Record::Series { .. } => 0,
        Record::Sample { .. } => 1,
        Record::Exemplar { .. } => 2,
        Record::Histogram(_) => 3,
        _ => 4,
    };
    let (metadata, mut rest): (Vec<_>, Vec<_>) =
        records.into_iter().partition(|record| matches!(record, Record::Metadata { .. }));
    for series in rest.chunk_by_mut(|_, next| !matches!(next, Record::Series { .. })) {
        series.sort_by_key(rank);
    }
    rest.extend(metadata);
    rest
}
