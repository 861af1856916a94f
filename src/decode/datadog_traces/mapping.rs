//! A span as OpenTelemetry says it: names by its semantic conventions, the Agent's own repairs.
#![deny(clippy::indexing_slicing)]

use std::io::Write as _;

use serde_json::Value as Json;

use super::Common;
use super::span::{Form, RawEvent, RawLink, RawSpan, Typed, each_meta, each_metric};
use crate::batch::RecordSink;
use crate::batch::record::{
    Attributes, Event, Events, Link, Links, Resource, Scope, Span, SpanKind, StatusCode, Text,
    Value, Values,
};
use crate::decode::wire::hex;
use crate::decode::wire::msgpack::{Kind, Reader};
use crate::limits;

/// 2000-01-01: a span that starts before it has no clock.
const START_NANOS_MIN: i64 = 946_684_800_000_000_000;

/// The resource that was said last.
#[derive(Default)]
pub struct Said {
    service: Vec<u8>,
    env: Vec<u8>,
    version: Vec<u8>,
    is_any: bool,
    sdk_version: Vec<u8>,
}

impl Said {
    pub fn clear(&mut self) {
        self.is_any = false;
    }

    /// Whether this is another resource than the last one.
    fn replace(&mut self, service: &[u8], env: &[u8], version: &[u8]) -> bool {
        if self.is_any && self.service == service && self.env == env && self.version == version {
            return false;
        }
        self.is_any = true;
        for (kept, text) in
            [(&mut self.service, service), (&mut self.env, env), (&mut self.version, version)]
        {
            kept.clear();
            kept.extend_from_slice(text);
        }
        true
    }
}

/// What of `meta` decides about more than one attribute.
#[derive(Clone, Copy, Default)]
struct Tags<'a> {
    env: &'a [u8],
    version: &'a [u8],
    kind: &'a [u8],
    error_message: &'a [u8],
    links: &'a [u8],
    events: &'a [u8],
}

/// Says the span, and its resource where that is another one. There is nothing to do for a sink that
/// does not look.
pub fn say<S: RecordSink>(
    raw: &RawSpan<'_>,
    high: u64,
    form: Form<'_>,
    common: &Common<'_>,
    said: &mut Said,
    sink: &mut S,
) {
    if !S::FILLS {
        sink.keep();
        return;
    }
    let mut tags = Tags { env: common.env, version: common.app_version, ..Tags::default() };
    each_meta(raw.meta, form, |key, value| match key {
        b"env" if !value.is_empty() => tags.env = value,
        b"version" if !value.is_empty() => tags.version = value,
        b"span.kind" => tags.kind = value,
        b"error.msg" | b"error.message" => tags.error_message = value,
        b"_dd.span_links" => tags.links = value,
        b"events" => tags.events = value,
        _ => {}
    });
    let service = if raw.service.is_empty() { b"unnamed-service" } else { raw.service };
    if said.replace(service, tags.env, tags.version) {
        let mut sdk_version = std::mem::take(&mut said.sdk_version);
        sdk_version.clear();
        if !common.tracer_version.is_empty() {
            sdk_version.extend_from_slice(b"Datadog-");
            sdk_version.extend_from_slice(common.tracer_version);
        }
        let attributes = ResourceView {
            service,
            env: tags.env,
            version: tags.version,
            sdk_version: &sdk_version,
            common,
        };
        sink.resource(&Resource { attributes: &attributes, schema_url: Text::EMPTY });
        sink.scope(&Scope {
            name: Text::from("Datadog"),
            version: Text(common.tracer_version),
            attributes: &crate::batch::record::Nothing,
            schema_url: Text::EMPTY,
        });
        said.sdk_version = sdk_version;
    }
    let (start, duration) = times(raw, common.arrival_nanos);
    let links = objects(tags.links);
    let events = objects(tags.events);
    let view =
        SpanView { raw, form, common, has_links: links.is_some(), has_events: events.is_some() };
    let is_own_parent = raw.parent_id == raw.trace_id && raw.parent_id == raw.span_id;
    sink.span(&Span {
        trace_id: wide(high, raw.trace_id),
        span_id: raw.span_id.to_be_bytes(),
        parent_span_id: (raw.parent_id != 0 && !is_own_parent).then(|| raw.parent_id.to_be_bytes()),
        trace_state: Text::EMPTY,
        trace_flags: 0,
        name: Text(if raw.name.is_empty() { b"unnamed_operation" } else { raw.name }),
        kind: kind(tags.kind, raw.kind),
        start_time_nanos: start,
        duration_nanos: duration,
        attributes: &view,
        events: &EventViews { wire: raw.events, json: events.as_deref().unwrap_or_default() },
        links: &LinkViews { wire: raw.links, json: links.as_deref().unwrap_or_default() },
        status_code: if raw.error == 0 { StatusCode::Unset } else { StatusCode::Error },
        status_message: if raw.error == 0 { Text::EMPTY } else { Text(tags.error_message) },
    });
    sink.keep();
}

fn wide(high: u64, low: u64) -> [u8; 16] {
    (u128::from(high) << 64 | u128::from(low)).to_be_bytes()
}

/// Start and duration, with what cannot be repaired as the Agent does.
fn times(raw: &RawSpan<'_>, arrival_nanos: i64) -> (i64, u64) {
    let is_sound = raw.duration >= 0 && raw.start.checked_add(raw.duration).is_some();
    let duration = if is_sound { raw.duration } else { 0 };
    let start = if raw.start < START_NANOS_MIN {
        arrival_nanos - duration.min(arrival_nanos)
    } else {
        raw.start
    };
    (start, duration.cast_unsigned())
}

fn kind(tag: &[u8], span_type: &[u8]) -> SpanKind {
    for (name, kind) in [
        ("server", SpanKind::Server),
        ("client", SpanKind::Client),
        ("producer", SpanKind::Producer),
        ("consumer", SpanKind::Consumer),
        ("internal", SpanKind::Internal),
    ] {
        if tag.eq_ignore_ascii_case(name.as_bytes()) {
            return kind;
        }
    }
    match span_type {
        b"web" => SpanKind::Server,
        b"http" => SpanKind::Client,
        _ => SpanKind::Unspecified,
    }
}

/// The objects of a JSON array; none if it is not one or too long, and then it stays an attribute.
fn objects(text: &[u8]) -> Option<Vec<Json>> {
    if text.is_empty() || text.len() > limits::EMBEDDED_JSON_SIZE_MAX {
        return None;
    }
    let list: Vec<Json> = serde_json::from_slice(text).ok()?;
    list.iter().all(Json::is_object).then_some(list)
}

/// Names that the semantic conventions have for a tag; all others keep theirs.
fn renamed(key: &[u8]) -> &[u8] {
    match key {
        b"error.type" => b"exception.type",
        b"error.msg" | b"error.message" => b"exception.message",
        b"error.stack" => b"exception.stacktrace",
        b"http.url" => b"url.full",
        b"http.method" => b"http.request.method",
        b"http.status_code" => b"http.response.status_code",
        b"http.useragent" => b"user_agent.original",
        other => other,
    }
}

struct ResourceView<'a> {
    service: &'a [u8],
    env: &'a [u8],
    version: &'a [u8],
    sdk_version: &'a [u8],
    common: &'a Common<'a>,
}

impl Attributes for ResourceView<'_> {
    fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
        let common = self.common;
        each_meta(common.payload_tags, Form::Map, |key, value| {
            visit(Text(key), Value::Text(Text(value)));
        });
        for (key, text) in [
            ("service.name", self.service),
            ("telemetry.sdk.name", b"Datadog"),
            ("telemetry.sdk.language", common.language),
            ("telemetry.sdk.version", self.sdk_version),
            ("process.runtime.version", common.language_version),
            ("service.instance.id", common.runtime_id),
            ("container.id", common.container_id),
            ("deployment.environment.name", self.env),
            ("deployment.environment", self.env),
            ("host.name", common.hostname),
            ("service.version", self.version),
        ] {
            if !text.is_empty() {
                visit(Text::from(key), Value::Text(Text(text)));
            }
        }
    }
}

struct SpanView<'a> {
    raw: &'a RawSpan<'a>,
    form: Form<'a>,
    common: &'a Common<'a>,
    /// Links and events stand in tags, and were read from there.
    has_links: bool,
    has_events: bool,
}

impl Attributes for SpanView<'_> {
    #[expect(clippy::cast_precision_loss, reason = "priorities are small")]
    fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
        let (raw, common) = (self.raw, self.common);
        let resource = if raw.resource.is_empty() { raw.name } else { raw.resource };
        for (key, text) in
            [("dd.span.Resource", resource), ("span.type", raw.kind), ("_dd.origin", common.origin)]
        {
            if !text.is_empty() {
                visit(Text::from(key), Value::Text(Text(text)));
            }
        }
        for (key, id) in [("datadog.trace.id", raw.trace_id), ("datadog.span.id", raw.span_id)] {
            let mut digits = [0; 20];
            let mut room = &mut digits[..];
            // Twenty digits are enough for 64 bits.
            let _ = write!(room, "{id}");
            let left = room.len();
            let size = digits.len() - left;
            visit(Text::from(key), Value::Text(Text(digits.get(..size).unwrap_or_default())));
        }
        if let Some(priority) = common.priority {
            visit(Text::from("_sampling_priority_v1"), Value::Double(priority as f64));
        }
        each_meta(common.chunk_tags, Form::Map, |key, value| {
            if key != b"_dd.p.tid" {
                visit(Text(key), Value::Text(Text(value)));
            }
        });
        each_meta(raw.meta, self.form, |key, value| {
            let is_elsewhere = match key {
                b"service" | b"env" | b"version" | b"span.kind" | b"_dd.p.tid" => true,
                b"_dd.span_links" => self.has_links,
                b"events" => self.has_events,
                _ => false,
            };
            if !is_elsewhere {
                visit(Text(renamed(key)), Value::Text(Text(value)));
            }
        });
        each_metric(raw.metrics, self.form, |key, number| {
            visit(Text(renamed(key)), Value::Double(number));
        });
        let Some(mut map) = raw.meta_struct else { return };
        for _ in 0..map.map().unwrap_or_default() {
            let Ok(key) = map.text() else { return };
            if map.take_nil() {
                continue;
            }
            let is_text = map.kind() == Ok(Kind::Text);
            let Ok(value) = map.text() else { return };
            visit(Text(key), if is_text { Value::Text(Text(value)) } else { Value::Bytes(value) });
        }
    }
}

/// A map of text to text.
struct TextMap<'a>(Option<Reader<'a>>);

impl Attributes for TextMap<'_> {
    fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
        each_meta(self.0, Form::Map, |key, value| visit(Text(key), Value::Text(Text(value))));
    }
}

/// A map of text to typed values, checked.
struct TypedMap<'a>(Option<Reader<'a>>);

impl Attributes for TypedMap<'_> {
    fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
        let Some(mut map) = self.0 else { return };
        for _ in 0..map.map().unwrap_or_default() {
            let (Ok(key), Ok(value)) = (map.text(), Typed::read(&mut map, 1)) else { return };
            visit_typed(value, &mut |value| visit(Text(key), value));
        }
    }
}

struct TypedArray<'a>(Reader<'a>);

impl Values for TypedArray<'_> {
    fn walk(&self, visit: &mut dyn FnMut(Value<'_>)) {
        let mut array = self.0;
        for _ in 0..array.array().unwrap_or_default() {
            let Ok(value) = Typed::read(&mut array, 1) else { return };
            visit_typed(value, visit);
        }
    }
}

fn visit_typed(value: Typed<'_>, visit: &mut dyn FnMut(Value<'_>)) {
    match value {
        Typed::Empty => visit(Value::Empty),
        Typed::Text(text) => visit(Value::Text(Text(text))),
        Typed::Bool(bool) => visit(Value::Bool(bool)),
        Typed::Int(int) => visit(Value::Int(int)),
        Typed::Double(double) => visit(Value::Double(double)),
        Typed::Array(array) => visit(Value::Array(&TypedArray(array))),
    }
}

/// The members of a JSON object.
struct JsonMap<'a>(Option<&'a Json>);

impl Attributes for JsonMap<'_> {
    fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
        for (key, value) in self.0.and_then(Json::as_object).into_iter().flatten() {
            let key = Text::from(key.as_str());
            match value {
                Json::String(text) => visit(key, Value::Text(Text::from(text.as_str()))),
                Json::Bool(bool) => visit(key, Value::Bool(*bool)),
                Json::Null => visit(key, Value::Empty),
                other => match (other.as_i64(), other.as_f64()) {
                    (Some(int), _) => visit(key, Value::Int(int)),
                    (_, Some(double)) => visit(key, Value::Double(double)),
                    _ => visit(key, Value::Json(&other.to_string())),
                },
            }
        }
    }
}

struct EventViews<'a> {
    wire: Option<Reader<'a>>,
    json: &'a [Json],
}

impl Events for EventViews<'_> {
    fn walk(&self, visit: &mut dyn FnMut(&Event<'_>)) {
        let mut wire = self.wire.unwrap_or(Reader::new(&[0x90]));
        for _ in 0..wire.array().unwrap_or_default() {
            if wire.take_nil() {
                continue;
            }
            let Ok(event) = RawEvent::read(&mut wire) else { return };
            visit(&Event {
                time_nanos: i64::try_from(event.time_nanos).unwrap_or(i64::MAX),
                name: Text(event.name),
                attributes: &TypedMap(event.attributes),
            });
        }
        for event in self.json {
            visit(&Event {
                time_nanos: event.get("time_unix_nano").and_then(Json::as_i64).unwrap_or_default(),
                name: Text::from(event.get("name").and_then(Json::as_str).unwrap_or_default()),
                attributes: &JsonMap(event.get("attributes")),
            });
        }
    }
}

struct LinkViews<'a> {
    wire: Option<Reader<'a>>,
    json: &'a [Json],
}

impl Links for LinkViews<'_> {
    fn walk(&self, visit: &mut dyn FnMut(&Link<'_>)) {
        let mut wire = self.wire.unwrap_or(Reader::new(&[0x90]));
        for _ in 0..wire.array().unwrap_or_default() {
            if wire.take_nil() {
                continue;
            }
            let Ok(link) = RawLink::read(&mut wire) else { return };
            let trace_id = wide(link.trace_id_high, link.trace_id);
            visit(&Link {
                trace_id: (trace_id != [0; 16]).then_some(trace_id),
                span_id: (link.span_id != 0).then(|| link.span_id.to_be_bytes()),
                trace_state: Text(link.trace_state),
                attributes: &TextMap(link.attributes),
            });
        }
        for link in self.json {
            let text = |name| link.get(name).and_then(Json::as_str).unwrap_or_default();
            visit(&Link {
                trace_id: hex::id(text("trace_id").as_bytes()),
                span_id: hex::id(text("span_id").as_bytes()),
                trace_state: Text::from(text("tracestate")),
                attributes: &JsonMap(link.get("attributes")),
            });
        }
    }
}
