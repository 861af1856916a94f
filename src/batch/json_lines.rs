//! The sink that writes each kept record as a line of JSON, named as the tables name it.
//!
//! Place: what `tail` shows. Attributes keep their JSON kinds here, where a table has text.

use super::json::append_json;
use super::record::{
    Attributes, Event, Exemplar, Histogram, Link, Log, Metadata, Resource, Sample, Scope, Series,
    Span, Text, Value,
};
use super::sink::{RecordSink, RejectCause};
use super::utc;
use crate::envelope::{Envelope, Signal};

/// Which signals are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signals {
    wanted: [bool; Signal::ALL.len()],
}

impl Signals {
    pub const ALL: Self = Self { wanted: [true; Signal::ALL.len()] };

    pub fn only(signal: Signal) -> Self {
        let mut wanted = [false; Signal::ALL.len()];
        wanted[signal as usize] = true;
        Self { wanted }
    }

    pub const fn has(self, signal: Signal) -> bool {
        self.wanted[signal as usize]
    }
}

/// Lines of the bodies between two [`JsonLines::take`]s.
#[derive(Default)]
pub struct JsonLines {
    lines: Vec<u8>,
    /// Where the open record starts.
    open: usize,
    /// `,"Tenant":…,"Protocol":…` of the body.
    body: Vec<u8>,
    /// `,"ServiceName":…,"ResourceAttributes":{…}` of the present resource, and so on.
    resource: Vec<u8>,
    scope: Vec<u8>,
    series: Vec<u8>,
}

impl JsonLines {
    /// What follows comes from one body.
    pub fn begin(&mut self, envelope: &Envelope<'_>) {
        self.body.clear();
        for owner in [&mut self.resource, &mut self.scope, &mut self.series] {
            owner.clear();
        }
        text(&mut self.body, "Tenant", Text::from(envelope.tenant));
        text(&mut self.body, "Protocol", Text::from(envelope.route.protocol()));
    }

    /// Forgets the lines since `length`: their body turned out to be no good.
    pub fn rollback(&mut self, length: usize) {
        self.lines.truncate(length);
        self.open = length;
    }

    pub fn len(&self) -> usize {
        self.lines.len()
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The lines so far, each with its line end.
    pub fn take(&mut self) -> Vec<u8> {
        self.open = 0;
        std::mem::take(&mut self.lines)
    }

    fn start(&mut self, signal: &str, time_nanos: i64) {
        self.lines.truncate(self.open);
        self.lines.extend_from_slice(b"{\"Signal\":\"");
        self.lines.extend_from_slice(signal.as_bytes());
        self.lines.push(b'"');
        time(&mut self.lines, "Timestamp", time_nanos);
        self.lines.extend_from_slice(&self.body);
    }

    fn point(&mut self, kind: &str, time_nanos: i64) {
        self.start("metrics", time_nanos);
        text(&mut self.lines, "Kind", Text::from(kind));
        self.lines.extend_from_slice(&self.series);
    }

    /// Closes the record; it counts once it is kept.
    fn end(&mut self) {
        self.lines.extend_from_slice(b"}\n");
    }
}

fn value(into: &mut Vec<u8>, name: &str, value: Value<'_>) {
    into.extend_from_slice(b",\"");
    into.extend_from_slice(name.as_bytes());
    into.extend_from_slice(b"\":");
    append_json(into, value);
}

/// Unset text is left out, so that a line stays readable.
fn text(into: &mut Vec<u8>, name: &str, text: Text<'_>) {
    if !text.is_empty() {
        value(into, name, Value::Text(text));
    }
}

fn time(into: &mut Vec<u8>, name: &str, nanos: i64) {
    if nanos != 0 {
        text(into, name, Text::from(utc(nanos).as_str()));
    }
}

fn hex(into: &mut Vec<u8>, name: &str, id: Option<&[u8]>) {
    if let Some(id) = id {
        let digits: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        text(into, name, Text::from(digits.as_str()));
    }
}

fn map(into: &mut Vec<u8>, name: &str, attributes: &dyn Attributes) {
    let start = into.len();
    value(into, name, Value::Map(attributes));
    if into.ends_with(b"{}") {
        into.truncate(start);
    }
}

fn numbers(into: &mut Vec<u8>, name: &str, numbers: &[f64]) {
    if numbers.is_empty() {
        return;
    }
    value(into, name, Value::Empty);
    into.truncate(into.len() - b"null".len());
    for (index, &number) in numbers.iter().enumerate() {
        into.push(if index == 0 { b'[' } else { b',' });
        append_json(into, Value::Double(number));
    }
    into.push(b']');
}

fn event(into: &mut Vec<u8>, event: &Event<'_>) {
    text(into, "Name", event.name);
    time(into, "Timestamp", event.time_nanos);
    map(into, "Attributes", event.attributes);
}

fn link(into: &mut Vec<u8>, link: &Link<'_>) {
    hex(into, "TraceId", link.trace_id.as_ref().map(<[u8; 16]>::as_slice));
    hex(into, "SpanId", link.span_id.as_ref().map(<[u8; 8]>::as_slice));
    text(into, "TraceState", link.trace_state);
    map(into, "Attributes", link.attributes);
}

/// An array of objects; `walk` calls its argument with a writer for each of them.
fn objects(
    into: &mut Vec<u8>,
    name: &str,
    walk: impl FnOnce(&mut dyn FnMut(&dyn Fn(&mut Vec<u8>))),
) {
    let start = into.len();
    value(into, name, Value::Empty);
    into.truncate(into.len() - b"null".len());
    into.push(b'[');
    let mut count = 0;
    walk(&mut |write| {
        if count > 0 {
            into.push(b',');
        }
        count += 1;
        into.push(b'{');
        let fields = into.len();
        write(into);
        // Each field brings a comma in front of it.
        if into.len() > fields {
            into.remove(fields);
        }
        into.push(b'}');
    });
    into.push(b']');
    if count == 0 {
        into.truncate(start);
    }
}

impl RecordSink for JsonLines {
    const FILLS: bool = true;

    fn resource(&mut self, resource: &Resource<'_>) {
        self.resource.clear();
        self.scope.clear();
        resource.attributes.walk(&mut |key, service| {
            if key.0 == b"service.name" {
                value(&mut self.resource, "ServiceName", service);
            }
        });
        map(&mut self.resource, "ResourceAttributes", resource.attributes);
    }

    fn scope(&mut self, scope: &Scope<'_>) {
        self.scope.clear();
        text(&mut self.scope, "ScopeName", scope.name);
        text(&mut self.scope, "ScopeVersion", scope.version);
        map(&mut self.scope, "ScopeAttributes", scope.attributes);
    }

    fn log(&mut self, log: &Log<'_>) {
        self.start("logs", log.time_nanos);
        let into = &mut self.lines;
        text(into, "SeverityText", log.severity_text);
        if log.severity_number != 0 {
            value(into, "SeverityNumber", Value::Int(i64::from(log.severity_number)));
        }
        if !matches!(log.body, Value::Empty) {
            value(into, "Body", log.body);
        }
        text(into, "EventName", log.event_name);
        hex(into, "TraceId", log.trace_id.as_ref().map(<[u8; 16]>::as_slice));
        hex(into, "SpanId", log.span_id.as_ref().map(<[u8; 8]>::as_slice));
        map(into, "LogAttributes", log.attributes);
        into.extend_from_slice(&self.resource);
        into.extend_from_slice(&self.scope);
        self.end();
    }

    fn span(&mut self, span: &Span<'_>) {
        self.start("spans", span.start_time_nanos);
        let into = &mut self.lines;
        text(into, "SpanName", span.name);
        text(into, "SpanKind", Text::from(span.kind.name()));
        let duration = i64::try_from(span.duration_nanos).unwrap_or(i64::MAX);
        value(into, "Duration", Value::Int(duration));
        text(into, "StatusCode", Text::from(span.status_code.name()));
        text(into, "StatusMessage", span.status_message);
        hex(into, "TraceId", Some(&span.trace_id));
        hex(into, "SpanId", Some(&span.span_id));
        hex(into, "ParentSpanId", span.parent_span_id.as_ref().map(<[u8; 8]>::as_slice));
        text(into, "TraceState", span.trace_state);
        map(into, "SpanAttributes", span.attributes);
        objects(into, "Events", |visit| {
            span.events.walk(&mut |one| visit(&|into| event(into, one)));
        });
        objects(into, "Links", |visit| {
            span.links.walk(&mut |one| visit(&|into| link(into, one)));
        });
        into.extend_from_slice(&self.resource);
        into.extend_from_slice(&self.scope);
        self.end();
    }

    fn series(&mut self, series: &Series<'_>) {
        self.series.clear();
        text(&mut self.series, "MetricName", series.name);
        text(&mut self.series, "MetricType", Text::from(series.metric_type.name()));
        text(&mut self.series, "Unit", series.unit);
        map(&mut self.series, "Labels", series.labels);
        self.series.extend_from_slice(&self.resource);
        self.series.extend_from_slice(&self.scope);
    }

    fn sample(&mut self, sample: &Sample) {
        self.point("sample", sample.time_nanos);
        let number = sample.value_int.map_or(Value::Double(sample.value), Value::Int);
        value(&mut self.lines, "Value", number);
        time(&mut self.lines, "StartTimestamp", sample.start_time_nanos);
        self.end();
    }

    fn histogram(&mut self, histogram: &Histogram<'_>) {
        self.point(histogram.kind.name(), histogram.time_nanos);
        let into = &mut self.lines;
        value(into, "Count", Value::Double(histogram.count));
        for (name, number) in
            [("Sum", histogram.sum), ("Min", histogram.min), ("Max", histogram.max)]
        {
            if let Some(number) = number {
                value(into, name, Value::Double(number));
            }
        }
        numbers(into, "Bounds", histogram.bounds);
        numbers(into, "BucketCounts", histogram.bucket_counts);
        if !histogram.positive_counts.is_empty() || !histogram.negative_counts.is_empty() {
            value(into, "Scale", Value::Int(i64::from(histogram.scale)));
            value(into, "ZeroCount", Value::Double(histogram.zero_count));
        }
        for (name, offset, counts) in [
            ("Positive", histogram.positive_offset, histogram.positive_counts),
            ("Negative", histogram.negative_offset, histogram.negative_counts),
        ] {
            if !counts.is_empty() {
                value(into, &format!("{name}Offset"), Value::Int(i64::from(offset)));
                numbers(into, &format!("{name}Counts"), counts);
            }
        }
        numbers(into, "CustomBounds", histogram.custom_bounds);
        objects(into, "Quantiles", |visit| {
            for &(quantile, number) in histogram.quantiles {
                visit(&|into| {
                    value(into, "Quantile", Value::Double(quantile));
                    value(into, "Value", Value::Double(number));
                });
            }
        });
        self.end();
    }

    fn exemplar(&mut self, exemplar: &Exemplar<'_>) {
        self.point("exemplar", exemplar.time_nanos);
        let into = &mut self.lines;
        value(into, "Value", Value::Double(exemplar.value));
        hex(into, "TraceId", exemplar.trace_id.as_ref().map(<[u8; 16]>::as_slice));
        hex(into, "SpanId", exemplar.span_id.as_ref().map(<[u8; 8]>::as_slice));
        map(into, "Attributes", exemplar.attributes);
        self.end();
    }

    fn metadata(&mut self, metadata: &Metadata<'_>) {
        self.start("metrics", 0);
        let into = &mut self.lines;
        text(into, "Kind", Text::from("metadata"));
        text(into, "MetricFamily", metadata.family);
        text(into, "MetricType", Text::from(metadata.metric_type.name()));
        text(into, "Unit", metadata.unit);
        text(into, "Help", metadata.help);
        self.end();
    }

    fn keep(&mut self) {
        self.open = self.lines.len();
    }

    fn reject(&mut self, _cause: RejectCause) {
        self.lines.truncate(self.open);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::super::record::{Events, Links, Nothing, SpanKind, StatusCode};
    use super::*;
    use crate::envelope::{Codings, RequestFields, Route};

    struct Service;

    impl Attributes for Service {
        fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
            visit(Text::from("service.name"), Value::Text(Text::from("shop")));
        }
    }

    struct OneEvent;

    impl Events for OneEvent {
        fn walk(&self, visit: &mut dyn FnMut(&Event<'_>)) {
            for name in ["a\"b", ""] {
                visit(&Event { time_nanos: 0, name: Text::from(name), attributes: &Nothing });
            }
        }
    }

    fn span<'a>(events: &'a dyn Events, links: &'a dyn Links) -> Span<'a> {
        Span {
            trace_id: [1; 16],
            span_id: [2; 8],
            parent_span_id: None,
            trace_state: Text::EMPTY,
            trace_flags: 0,
            name: Text::from("GET /"),
            kind: SpanKind::Server,
            start_time_nanos: 1_700_000_000_000_000_001,
            duration_nanos: 7,
            attributes: &Nothing,
            events,
            links,
            status_code: StatusCode::Unset,
            status_message: Text::EMPTY,
        }
    }

    #[test]
    fn each_kept_record_is_one_line_of_json() {
        let mut lines = JsonLines::default();
        lines.begin(&Envelope {
            route: Route::OtlpTraces,
            codings: Codings::IDENTITY,
            tenant: "acme",
            arrival_nanos: 0,
            fields: RequestFields::EMPTY,
        });
        lines.resource(&Resource { attributes: &Service, schema_url: Text::EMPTY });
        lines.span(&span(&OneEvent, &Nothing));
        lines.keep();
        lines.span(&span(&Nothing, &Nothing));
        lines.reject(RejectCause::IdInvalid);
        lines.span(&span(&Nothing, &Nothing));
        lines.keep();
        let text = String::from_utf8(lines.take()).unwrap();
        let rows: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0]["Timestamp"], "2023-11-14T22:13:20.000000001Z");
        assert_eq!(rows[0]["Tenant"], "acme");
        assert_eq!(rows[0]["ServiceName"], "shop");
        assert_eq!(rows[0]["Events"], serde_json::json!([{ "Name": "a\"b" }, {}]));
        assert!(rows[0].get("Links").is_none());
        assert_eq!(rows[1]["TraceId"], "01".repeat(16));
    }
}
