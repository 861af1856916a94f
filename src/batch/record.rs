//! Records as decoders see them: borrowed, flat, one at a time.
//!
//! Place: between `decode`, which makes them, and a [`super::RecordSink`], which counts them or
//! fills columns. Times are nanoseconds since the Unix epoch, UTC.

use std::borrow::Cow;

/// Bytes that the sender says are UTF-8. Nobody has looked yet: the validating pass of a format
/// that tolerates bad text never needs to; whoever keeps the text replaces what is not UTF-8.
#[derive(Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord, Hash)]
pub struct Text<'a>(pub &'a [u8]);

impl<'a> Text<'a> {
    pub const EMPTY: Self = Text(&[]);

    /// The text, with U+FFFD for what is not UTF-8.
    pub fn lossy(self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.0)
    }

    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Text(text.as_bytes())
    }
}

impl std::fmt::Debug for Text<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:?}", self.lossy())
    }
}

/// A value of an attribute, a body, an array.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    Empty,
    Text(Text<'a>),
    Bool(bool),
    Int(i64),
    Double(f64),
    Bytes(&'a [u8]),
    Array(&'a dyn Values),
    Map(&'a dyn Attributes),
    /// JSON text already, kept as it came.
    Json(&'a str),
}

/// Pairs of key and value that can be walked, any number of times.
pub trait Attributes {
    fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>));
}

/// Values that can be walked, any number of times.
pub trait Values {
    fn walk(&self, visit: &mut dyn FnMut(Value<'_>));
}

/// No attributes, values, events or links.
pub struct Nothing;

impl Attributes for Nothing {
    fn walk(&self, _visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {}
}

impl Values for Nothing {
    fn walk(&self, _visit: &mut dyn FnMut(Value<'_>)) {}
}

impl Attributes for [(Text<'_>, Value<'_>)] {
    fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
        for &(key, value) in self {
            visit(key, value);
        }
    }
}

/// Label pairs.
impl Attributes for [(Text<'_>, Text<'_>)] {
    fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
        for &(key, value) in self {
            visit(key, Value::Text(value));
        }
    }
}

/// What the telemetry is about. Owns scopes.
#[derive(Clone, Copy)]
pub struct Resource<'a> {
    pub attributes: &'a dyn Attributes,
    pub schema_url: Text<'a>,
}

/// What produced the telemetry. Owns logs, spans and series.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    pub name: Text<'a>,
    pub version: Text<'a>,
    pub attributes: &'a dyn Attributes,
    pub schema_url: Text<'a>,
}

#[derive(Clone, Copy)]
pub struct Log<'a> {
    pub time_nanos: i64,
    pub observed_time_nanos: i64,
    pub trace_id: Option<[u8; 16]>,
    pub span_id: Option<[u8; 8]>,
    /// The low eight bits (W3C trace flags).
    pub trace_flags: u8,
    pub severity_text: Text<'a>,
    /// As sent; 0 is unspecified.
    pub severity_number: i32,
    pub body: Value<'a>,
    pub attributes: &'a dyn Attributes,
    pub event_name: Text<'a>,
}

/// Which side of a call a span stands for. Numbers are OpenTelemetry's; unknown ones are unspecified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpanKind {
    Unspecified,
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

impl SpanKind {
    pub const fn from_number(number: i32) -> Self {
        match number {
            1 => Self::Internal,
            2 => Self::Server,
            3 => Self::Client,
            4 => Self::Producer,
            5 => Self::Consumer,
            _ => Self::Unspecified,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "Unspecified",
            Self::Internal => "Internal",
            Self::Server => "Server",
            Self::Client => "Client",
            Self::Producer => "Producer",
            Self::Consumer => "Consumer",
        }
    }
}

/// How a span ended. Numbers are OpenTelemetry's; unknown ones are unset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StatusCode {
    Unset,
    Ok,
    Error,
}

impl StatusCode {
    pub const fn from_number(number: i32) -> Self {
        match number {
            1 => Self::Ok,
            2 => Self::Error,
            _ => Self::Unset,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Unset => "Unset",
            Self::Ok => "Ok",
            Self::Error => "Error",
        }
    }
}

/// One timed operation. A span without valid ids is rejected before it becomes one of these.
#[derive(Clone, Copy)]
pub struct Span<'a> {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub parent_span_id: Option<[u8; 8]>,
    pub trace_state: Text<'a>,
    /// The low eight bits (W3C trace flags).
    pub trace_flags: u8,
    pub name: Text<'a>,
    pub kind: SpanKind,
    pub start_time_nanos: i64,
    /// 0 where the end lies before the start.
    pub duration_nanos: u64,
    pub attributes: &'a dyn Attributes,
    pub events: &'a dyn Events,
    pub links: &'a dyn Links,
    pub status_code: StatusCode,
    pub status_message: Text<'a>,
}

#[derive(Clone, Copy)]
pub struct Event<'a> {
    /// 0 is unset.
    pub time_nanos: i64,
    pub name: Text<'a>,
    pub attributes: &'a dyn Attributes,
}

#[derive(Clone, Copy)]
pub struct Link<'a> {
    pub trace_id: Option<[u8; 16]>,
    pub span_id: Option<[u8; 8]>,
    pub trace_state: Text<'a>,
    pub attributes: &'a dyn Attributes,
}

/// Events of one span, in the order of the wire; can be walked any number of times.
pub trait Events {
    fn walk(&self, visit: &mut dyn FnMut(&Event<'_>));
}

/// Links of one span, likewise.
pub trait Links {
    fn walk(&self, visit: &mut dyn FnMut(&Link<'_>));
}

impl Events for Nothing {
    fn walk(&self, _visit: &mut dyn FnMut(&Event<'_>)) {}
}

impl Links for Nothing {
    fn walk(&self, _visit: &mut dyn FnMut(&Link<'_>)) {}
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetricType {
    Unknown,
    Counter,
    Gauge,
    Histogram,
    GaugeHistogram,
    ExponentialHistogram,
    Summary,
    Info,
    StateSet,
    Sum,
}

impl MetricType {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::ExponentialHistogram => "exponentialhistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::StateSet => "stateset",
            Self::Sum => "sum",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Temporality {
    Unspecified,
    Delta,
    Cumulative,
}

/// How a series is told from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// Prometheus: tenant, name and sorted labels; type and unit come apart.
    Labels,
    /// OpenTelemetry: also unit, type, temporality, monotonicity, resource and scope.
    Full,
}

/// Owns samples, histograms and exemplars. A decoder may say the same series many times.
#[derive(Clone, Copy)]
pub struct Series<'a> {
    pub identity: Identity,
    pub name: Text<'a>,
    pub metric_type: MetricType,
    pub unit: Text<'a>,
    pub description: Text<'a>,
    pub temporality: Temporality,
    pub is_monotonic: bool,
    /// Without the name; for Prometheus sorted by key and unique.
    pub labels: &'a dyn Attributes,
    /// Bytes that stand together on the wire and determine the series within tenant, resource and
    /// scope: for [`Identity::Labels`] alone, for [`Identity::Full`] with the other fields here, so that
    /// they are the labels' bytes. Equal bytes, equal series: a sink need not hash labels one by one.
    pub raw: Option<&'a [u8]>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    pub time_nanos: i64,
    /// Bits are kept as they came: a stale marker is a signalling NaN.
    pub value: f64,
    /// Set where the sender's integer lies beyond 2^53.
    pub value_int: Option<i64>,
    /// 0 is unset.
    pub start_time_nanos: i64,
    pub flags: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HistogramKind {
    Classic,
    Exponential,
    /// Prometheus native; offsets are stored in OpenTelemetry's convention, as are its bounds.
    Native,
    Summary,
}

impl HistogramKind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Exponential => "exponential",
            Self::Native => "native",
            Self::Summary => "summary",
        }
    }
}

/// Counts are `f64`: native float histograms have fractions.
#[derive(Clone, Copy, Debug)]
pub struct Histogram<'a> {
    pub kind: HistogramKind,
    pub time_nanos: i64,
    pub start_time_nanos: i64,
    pub flags: u32,
    pub count: f64,
    pub sum: Option<f64>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    /// Upper bounds, classic only.
    pub bounds: &'a [f64],
    pub bucket_counts: &'a [f64],
    pub scale: i32,
    pub zero_threshold: f64,
    pub zero_count: f64,
    /// Index of the first positive count: bucket `i` is (base^i, base^(i+1)].
    pub positive_offset: i32,
    pub positive_counts: &'a [f64],
    pub negative_offset: i32,
    pub negative_counts: &'a [f64],
    /// Bounds of native schema -53.
    pub custom_bounds: &'a [f64],
    /// Pairs of quantile and value, summary only.
    pub quantiles: &'a [(f64, f64)],
    /// Prometheus: 0 unknown, 1 yes, 2 no, 3 gauge.
    pub reset_hint: u8,
}

#[derive(Clone, Copy)]
pub struct Exemplar<'a> {
    pub time_nanos: i64,
    pub value: f64,
    pub trace_id: Option<[u8; 16]>,
    pub span_id: Option<[u8; 8]>,
    pub attributes: &'a dyn Attributes,
}

/// What a metric family is, apart from its series.
#[derive(Clone, Copy, Debug)]
pub struct Metadata<'a> {
    pub family: Text<'a>,
    pub metric_type: MetricType,
    pub unit: Text<'a>,
    pub help: Text<'a>,
}
