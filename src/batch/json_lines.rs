//! The sink that writes each kept record as a line of JSON, named as the tables name it.
//!
//! Place: what `tail` shows. Attributes keep their JSON kinds here, where a table has text. A line is to be
//! looked at: long values are cut in it, and say so. Lines are handed on as soon as they make a piece,
//! between two records of a body too, as each line has its resource and its scope.

use super::json::{Cut, append_cut_json};
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

/// Where values are cut.
const CUT: Cut = Cut { text_size_max: 4 * 1024, value_size_max: 64 * 1024 };

/// Takes a piece of whole lines; answers whether anybody wants more.
pub type Receiver = Box<dyn FnMut(Vec<u8>) -> bool + Send>;

/// Lines of the bodies between two [`JsonLines::take`]s.
#[derive(Default)]
pub struct JsonLines {
    lines: Vec<u8>,
    /// Where the open record starts.
    open: usize,
    /// Where the body starts, as far as it was not handed on.
    begun: usize,
    /// The size of a piece, and who takes it.
    receiver: Option<(usize, Receiver)>,
    is_gone: bool,
    /// `,"Tenant":…,"Protocol":…` of the body.
    body: Vec<u8>,
    /// `,"ServiceName":…,"ResourceAttributes":{…}` of the present resource, and so on.
    resource: Vec<u8>,
    scope: Vec<u8>,
    series: Vec<u8>,
}

impl JsonLines {
    /// Lines that are handed on whenever they make a piece of about `piece_size`.
    #[must_use]
    pub fn handed_on(piece_size: usize, receiver: Receiver) -> Self {
        Self { receiver: Some((piece_size, receiver)), ..Self::default() }
    }

    /// What follows comes from one body.
    pub fn begin(&mut self, envelope: &Envelope<'_>) {
        self.begun = self.lines.len();
        self.body.clear();
        for owner in [&mut self.resource, &mut self.scope, &mut self.series] {
            owner.clear();
        }
        text(&mut self.body, "Tenant", Text::from(envelope.tenant));
        text(&mut self.body, "Protocol", Text::from(envelope.route.protocol()));
    }

    /// Forgets the lines of the body, those that were handed on left out: it turned out to be no good.
    pub fn rollback(&mut self) {
        self.lines.truncate(self.begun);
        self.open = self.begun;
    }

    /// The lines so far, each with its line end.
    pub fn take(&mut self) -> Vec<u8> {
        (self.open, self.begun) = (0, 0);
        std::mem::take(&mut self.lines)
    }

    /// Hands on what there is. Answers whether anybody wants more.
    pub fn flush(&mut self) -> bool {
        if !self.lines.is_empty() && !self.is_gone {
            let lines = self.take();
            self.is_gone = self.receiver.as_mut().is_some_and(|(_, receiver)| !receiver(lines));
        }
        !self.is_gone
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
    append_cut_json(into, value, CUT);
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
        append_cut_json(into, Value::Double(number), CUT);
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
    let (mut count, mut left_out) = (0, 0);
    let end = into.len() + CUT.value_size_max;
    walk(&mut |write| {
        if into.len() > end {
            left_out += 1;
            return;
        }
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
    if left_out > 0 {
        into.extend_from_slice(format!(",\"…[cut, {left_out} more]\"").as_bytes());
    }
    into.push(b']');
    if count == 0 {
        into.truncate(start);
    }
}

impl RecordSink for JsonLines {
    const FILLS: bool = true;

    fn resource(&mut self, resource: &Resource<'_>) {
        if self.is_gone {
            return;
        }
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
        if self.is_gone {
            return;
        }
        self.scope.clear();
        text(&mut self.scope, "ScopeName", scope.name);
        text(&mut self.scope, "ScopeVersion", scope.version);
        map(&mut self.scope, "ScopeAttributes", scope.attributes);
    }

    fn log(&mut self, log: &Log<'_>) {
        if self.is_gone {
            return;
        }
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
        if self.is_gone {
            return;
        }
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
        if self.is_gone {
            return;
        }
        self.series.clear();
        text(&mut self.series, "MetricName", series.name);
        text(&mut self.series, "MetricType", Text::from(series.metric_type.name()));
        text(&mut self.series, "Unit", series.unit);
        map(&mut self.series, "Labels", series.labels);
        self.series.extend_from_slice(&self.resource);
        self.series.extend_from_slice(&self.scope);
    }

    fn sample(&mut self, sample: &Sample) {
        if self.is_gone {
            return;
        }
        self.point("sample", sample.time_nanos);
        let number = sample.value_int.map_or(Value::Double(sample.value), Value::Int);
        value(&mut self.lines, "Value", number);
        time(&mut self.lines, "StartTimestamp", sample.start_time_nanos);
        self.end();
    }

    fn histogram(&mut self, histogram: &Histogram<'_>) {
        if self.is_gone {
            return;
        }
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
        if self.is_gone {
            return;
        }
        self.point("exemplar", exemplar.time_nanos);
        let into = &mut self.lines;
        value(into, "Value", Value::Double(exemplar.value));
        hex(into, "TraceId", exemplar.trace_id.as_ref().map(<[u8; 16]>::as_slice));
        hex(into, "SpanId", exemplar.span_id.as_ref().map(<[u8; 8]>::as_slice));
        map(into, "Attributes", exemplar.attributes);
        self.end();
    }

    fn metadata(&mut self, metadata: &Metadata<'_>) {
        if self.is_gone {
            return;
        }
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
        if self.receiver.as_ref().is_some_and(|(piece_size, _)| self.open >= *piece_size) {
            self.flush();
        }
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

    struct Long(usize);

    impl Attributes for Long {
        fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
            // Two bytes a character, so that half of all cuts would fall into one.
            let text = "é".repeat(self.0);
            visit(Text::from("text"), Value::Text(Text::from(text.as_str())));
            visit(Text::from("json"), Value::Json(&format!("[\"{text}\"]")));
            visit(Text::from("bytes"), Value::Bytes(text.as_bytes()));
        }
    }

    struct Many;

    impl Attributes for Many {
        fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
            for index in 0..100_000 {
                visit(Text::from(format!("key {index}").as_str()), Value::Int(index));
            }
        }
    }

    impl Events for Many {
        fn walk(&self, visit: &mut dyn FnMut(&Event<'_>)) {
            for _ in 0..100_000 {
                visit(&Event { time_nanos: 1, name: Text::from("e"), attributes: &Nothing });
            }
        }
    }

    fn envelope() -> Envelope<'static> {
        Envelope {
            route: Route::OtlpTraces,
            codings: Codings::IDENTITY,
            tenant: "acme",
            arrival_nanos: 0,
            fields: RequestFields::EMPTY,
        }
    }

    #[test]
    fn what_is_long_is_cut_and_says_so() {
        for (size, is_cut) in [(10, false), (2048, false), (2049, true), (1_000_000, true)] {
            let mut lines = JsonLines::default();
            lines.begin(&envelope());
            lines.resource(&Resource { attributes: &Long(size), schema_url: Text::EMPTY });
            lines.span(&span(&Nothing, &Nothing));
            lines.keep();
            let line = lines.take();
            assert!(line.len() < 20_000, "{}", line.len());
            let row: serde_json::Value = serde_json::from_slice(&line).unwrap();
            let attributes = &row["ResourceAttributes"];
            let says = |key: &str, size: usize| {
                let text = attributes[key].to_string();
                assert_eq!(text.contains(&format!("…[cut, {size} bytes]")), is_cut, "{key}");
            };
            says("text", size * 2);
            says("bytes", size * 2);
            assert_eq!(attributes["json"].is_string(), is_cut || size == 2048);
        }
        let mut lines = JsonLines::default();
        lines.begin(&envelope());
        lines.resource(&Resource { attributes: &Many, schema_url: Text::EMPTY });
        lines.span(&span(&Many, &Nothing));
        lines.keep();
        let line = lines.take();
        assert!(line.len() < 150_000, "{}", line.len());
        let row: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert!(row["ResourceAttributes"]["…"].as_str().unwrap().ends_with(" more]"));
        assert!(
            row["Events"].as_array().unwrap().last().unwrap().as_str().unwrap().contains("cut")
        );
    }

    /// A body's lines together are many times its size: they are not collected.
    #[test]
    fn lines_leave_in_pieces_in_the_middle_of_a_body_until_nobody_wants_them() {
        let (sender, receiver) = std::sync::mpsc::sync_channel(2);
        let to = move |piece: Vec<u8>| sender.try_send(piece).is_ok();
        let mut lines = JsonLines::handed_on(1000, Box::new(to));
        lines.begin(&envelope());
        for _ in 0..1000 {
            lines.span(&span(&Nothing, &Nothing));
            lines.keep();
            assert!(lines.lines.len() < 1500);
        }
        assert!(!lines.flush());
        let pieces: Vec<Vec<u8>> = receiver.try_iter().collect();
        assert_eq!(pieces.len(), 2);
        for piece in pieces {
            assert!((1000..1500).contains(&piece.len()) && piece.ends_with(b"}\n"));
        }
    }
}
