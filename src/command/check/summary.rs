//! The sink that remembers what a body holds: how many of what, of whom, and when.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};

use super::words::{Names, counted, kept};
use crate::batch::record::{
    Attributes, Exemplar, Histogram, HistogramKind, Log, Metadata, Resource, Sample, Scope, Series,
    Span, StatusCode, Text, Value,
};
use crate::batch::utc;
use crate::batch::{RecordSink, RejectCause};
use crate::decode::Verdict;
use crate::envelope::{Route, Signal};

/// Counts of different things by their hashes. Bounded: beyond, it says `at least`.
#[derive(Default)]
struct Different {
    hashes: HashSet<u64>,
    is_over: bool,
}

impl Different {
    const COUNT_MAX: usize = 8 << 20;

    /// Whether it is a new one.
    fn add(&mut self, hash: u64) -> bool {
        if self.hashes.len() < Self::COUNT_MAX {
            return self.hashes.insert(hash);
        }
        let is_new = !self.hashes.contains(&hash);
        self.is_over |= is_new;
        is_new
    }

    fn words(&self, one: &str, many: &str) -> String {
        let at_least = if self.is_over { "at least " } else { "" };
        format!("{at_least}{}", counted(self.hashes.len() as u64, one, many))
    }
}

/// A record between its call and `keep`.
#[derive(Clone, Copy)]
enum Open {
    Other,
    Histogram(HistogramKind),
    Span { is_error: bool },
}

pub(super) struct Summary {
    route: Route,
    resource: u64,
    scope: u64,
    resources: Different,
    scopes: Different,
    series: Different,
    traces: Different,
    services: Names,
    metrics: Names,
    families: Names,
    attributes: Names,
    /// What a record gets that has no time of its own.
    arrival_nanos: i64,
    times: Option<(i64, i64)>,
    untimed: u64,
    open: Open,
    error_spans: u64,
    histograms: [(HistogramKind, u64); 4],
    rejected: Vec<(RejectCause, u64)>,
    /// JSON records kept as text, and why the first of them could not be read.
    unparsed: u64,
    first_unparsed: Option<String>,
}

impl Summary {
    /// Whether every record could be read.
    pub(super) const fn is_parsed(&self) -> bool {
        self.unparsed == 0
    }

    pub(super) fn new(route: Route, arrival_nanos: u64) -> Self {
        Self {
            arrival_nanos: i64::try_from(arrival_nanos).unwrap_or(i64::MAX),
            untimed: 0,
            route,
            resource: 0,
            scope: 0,
            resources: Different::default(),
            scopes: Different::default(),
            series: Different::default(),
            traces: Different::default(),
            services: Names::default(),
            metrics: Names::default(),
            families: Names::default(),
            attributes: Names::default(),
            times: None,
            open: Open::Other,
            error_spans: 0,
            histograms: [
                HistogramKind::Classic,
                HistogramKind::Exponential,
                HistogramKind::Native,
                HistogramKind::Summary,
            ]
            .map(|kind| (kind, 0)),
            rejected: Vec::new(),
            unparsed: 0,
            first_unparsed: None,
        }
    }

    /// `43 log records of 1 resource, 2 scopes`
    pub(super) fn headline(&self, verdict: &Verdict) -> String {
        let mut words = kept(verdict);
        let mut owners = Vec::new();
        if !self.series.hashes.is_empty() {
            owners.push(self.series.words("series", "series"));
        }
        if !self.traces.hashes.is_empty() {
            owners.push(self.traces.words("trace", "traces"));
        }
        if self.route != Route::JsonLogs {
            for (set, one, many) in
                [(&self.resources, "resource", "resources"), (&self.scopes, "scope", "scopes")]
            {
                if !set.hashes.is_empty() && verdict.kept() > 0 {
                    owners.push(set.words(one, many));
                }
            }
        }
        if !owners.is_empty() {
            words = format!("{words} of {}", owners.join(", "));
        }
        words
    }

    /// The lines behind the first.
    pub(super) fn write(&self, verdict: &Verdict, out: &mut impl Write) -> io::Result<()> {
        if self.rejected.len() > 1 {
            for (cause, count) in &self.rejected {
                writeln!(out, "    rejected: {count} because of: {}", cause.message())?;
            }
        }
        if self.unparsed > 0 {
            let records = counted(self.unparsed, "record is", "records are");
            let first = self.first_unparsed.as_deref().unwrap_or_default();
            writeln!(out, "    note: {records} kept as text with _parse_error; first: {first}")?;
        }
        if verdict.spans > 0 && self.error_spans > 0 {
            writeln!(out, "    errors: {}", counted(self.error_spans, "span", "spans"))?;
        }
        let kinds: Vec<String> = self
            .histograms
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(kind, count)| format!("{count} {}", kind.name()))
            .collect();
        if !kinds.is_empty() {
            writeln!(out, "    histograms: {}", kinds.join(", "))?;
        }
        let keys = if self.route.signal() == Signal::Metrics { "labels" } else { "attributes" };
        for (title, names) in [
            ("services", &self.services),
            ("metrics", &self.metrics),
            ("families", &self.families),
            (keys, &self.attributes),
        ] {
            if !names.is_empty() {
                writeln!(out, "    {}", names.words(title))?;
            }
        }
        if self.untimed > 0 {
            let records = counted(self.untimed, "record has", "records have");
            writeln!(out, "    note: {records} no time and would get that of arrival")?;
        }
        if let Some((first, last)) = self.times {
            if first == last {
                writeln!(out, "    time: {}", utc(first))?;
            } else {
                writeln!(out, "    times: {} to {}", utc(first), utc(last))?;
            }
        }
        Ok(())
    }

    fn add_time(&mut self, nanos: i64) {
        if nanos == self.arrival_nanos {
            self.untimed += 1;
            return;
        }
        let (first, last) = self.times.unwrap_or((nanos, nanos));
        self.times = Some((first.min(nanos), last.max(nanos)));
    }

    fn add_keys(&mut self, attributes: &dyn Attributes) {
        attributes.walk(&mut |key, _| self.attributes.add(&key.lossy()));
    }
}

impl RecordSink for Summary {
    const FILLS: bool = true;

    fn resource(&mut self, resource: &Resource<'_>) {
        let mut hasher = DefaultHasher::new();
        hash_attributes(resource.attributes, &mut hasher);
        resource.schema_url.hash(&mut hasher);
        self.resource = hasher.finish();
        self.resources.add(self.resource);
        resource.attributes.walk(&mut |key, value| {
            if let (b"service.name", Value::Text(name)) = (key.0, value) {
                self.services.add(&name.lossy());
            }
        });
    }

    fn scope(&mut self, scope: &Scope<'_>) {
        let mut hasher = DefaultHasher::new();
        (scope.name, scope.version, scope.schema_url).hash(&mut hasher);
        hash_attributes(scope.attributes, &mut hasher);
        self.scope = hasher.finish();
        self.scopes.add(self.scope);
    }

    fn log(&mut self, log: &Log<'_>) {
        self.open = Open::Other;
        self.add_time(log.time_nanos);
        self.add_keys(log.attributes);
        if matches!(self.route, Route::JsonLogs | Route::Firehose) {
            log.attributes.walk(&mut |key, value| {
                if let (b"_parse_error", Value::Text(text)) = (key.0, value) {
                    self.unparsed += 1;
                    let first = || super::words::printable(&text.lossy());
                    self.first_unparsed.get_or_insert_with(first);
                }
            });
        }
    }

    fn span(&mut self, span: &Span<'_>) {
        self.open = Open::Span { is_error: span.status_code == StatusCode::Error };
        self.add_time(span.start_time_nanos);
        self.add_keys(span.attributes);
        let mut hasher = DefaultHasher::new();
        span.trace_id.hash(&mut hasher);
        self.traces.add(hasher.finish());
    }

    fn series(&mut self, series: &Series<'_>) {
        let mut hasher = DefaultHasher::new();
        (self.resource, self.scope, series.name, series.unit, series.metric_type).hash(&mut hasher);
        hash_attributes(series.labels, &mut hasher);
        if self.series.add(hasher.finish()) {
            self.metrics.add(&series.name.lossy());
            self.add_keys(series.labels);
        }
    }

    fn sample(&mut self, sample: &Sample) {
        self.open = Open::Other;
        self.add_time(sample.time_nanos);
    }

    fn histogram(&mut self, histogram: &Histogram<'_>) {
        self.open = Open::Histogram(histogram.kind);
        self.add_time(histogram.time_nanos);
    }

    fn exemplar(&mut self, _exemplar: &Exemplar<'_>) {
        self.open = Open::Other;
    }

    fn metadata(&mut self, metadata: &Metadata<'_>) {
        self.open = Open::Other;
        self.families.add(&metadata.family.lossy());
    }

    fn keep(&mut self) {
        match self.open {
            Open::Other => {}
            Open::Histogram(kind) => {
                for (known, count) in &mut self.histograms {
                    *count += u64::from(*known == kind);
                }
            }
            Open::Span { is_error } => self.error_spans += u64::from(is_error),
        }
    }

    fn reject(&mut self, cause: RejectCause) {
        match self.rejected.iter_mut().find(|(known, _)| *known == cause) {
            Some((_, count)) => *count += 1,
            None => self.rejected.push((cause, 1)),
        }
    }
}

fn hash_attributes(attributes: &dyn Attributes, hasher: &mut DefaultHasher) {
    attributes.walk(&mut |key: Text<'_>, value| {
        key.hash(hasher);
        hash_value(value, hasher);
    });
}

fn hash_value(value: Value<'_>, hasher: &mut DefaultHasher) {
    std::mem::discriminant(&value).hash(hasher);
    match value {
        Value::Empty => {}
        Value::Text(text) => text.hash(hasher),
        Value::Bool(bool) => bool.hash(hasher),
        Value::Int(int) => int.hash(hasher),
        Value::Double(double) => double.to_bits().hash(hasher),
        Value::Bytes(bytes) => bytes.hash(hasher),
        Value::Array(values) => values.walk(&mut |value| hash_value(value, hasher)),
        Value::Map(map) => hash_attributes(map, hasher),
        Value::Json(text) => text.hash(hasher),
    }
}
