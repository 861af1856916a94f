//! Datadog traces against typed `rmp-serde`, the JSON form against `serde_json`, an Agent's against `prost`.

#[path = "datadog_agent.rs"]
mod agent;
#[path = "datadog_damaged.rs"]
mod damaged;

use std::collections::BTreeMap;
use std::fmt;

use inrush::batch::RejectCause;
use inrush::batch::record::StatusCode;
use inrush::decode::Scratch;
use inrush::envelope::Route;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::compare::damage;
use crate::support::bodies::Random;
use crate::support::record::{Bits, OwnedValue, Pairs, Record, SpanRecord};
use crate::support::{ARRIVAL_NANOS, decode_both};

const SEEDS: u64 = 2000;
const YEAR_2000_NANOS: i64 = 946_684_800_000_000_000;

/// A number in any of its forms: integer, float, double.
#[derive(Clone, Copy, Debug)]
struct Number(f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 {
            serializer.serialize_i64(self.0 as i64)
        } else if f64::from(self.0 as f32).to_bits() == self.0.to_bits() {
            serializer.serialize_f32(self.0 as f32)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        f64::deserialize(deserializer).map(Self)
    }
}

/// What stands as `bin`.
#[derive(Clone, Debug, PartialEq)]
struct Bin(Vec<u8>);

impl Serialize for Bin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Bin;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bin, E> {
                Ok(Bin(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Typed {
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    string_value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bool_value: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    int_value: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    double_value: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    array_value: Option<TypedArray>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct TypedArray {
    values: Vec<Typed>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Link {
    trace_id: u64,
    trace_id_high: u64,
    span_id: u64,
    attributes: BTreeMap<String, String>,
    tracestate: String,
    flags: u32,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Event {
    time_unix_nano: u64,
    name: String,
    attributes: BTreeMap<String, Typed>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Span {
    service: String,
    name: String,
    resource: String,
    r#type: String,
    trace_id: u64,
    span_id: u64,
    parent_id: u64,
    start: i64,
    duration: i64,
    error: i32,
    meta: BTreeMap<String, String>,
    metrics: BTreeMap<String, Number>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    meta_struct: BTreeMap<String, Bin>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    span_links: Vec<Link>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    span_events: Vec<Event>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Span5(
    u32,
    u32,
    u32,
    u64,
    u64,
    u64,
    i64,
    i64,
    i32,
    BTreeMap<u32, u32>,
    BTreeMap<u32, Number>,
    u32,
);

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
struct Chunk {
    priority: i32,
    origin: String,
    spans: Vec<Span>,
    tags: BTreeMap<String, String>,
    dropped_trace: bool,
}

impl Default for Chunk {
    fn default() -> Self {
        let (origin, spans, tags) = Default::default();
        Self { priority: -128, origin, spans, tags, dropped_trace: false }
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Payload {
    container_id: String,
    language_name: String,
    env: String,
    hostname: String,
    chunks: Vec<Chunk>,
    tags: BTreeMap<String, String>,
}

// ── Bodies ────────────────────────────────────────────────────────────────────────────────────

fn number(random: &mut Random) -> Number {
    let whole = random.below(200_000) as f64 - 100_000.0;
    Number(match random.below(3) {
        0 => whole,
        1 => whole + 0.25,
        _ => whole / 1000.0,
    })
}

fn texts(random: &mut Random, keys: &[&str]) -> BTreeMap<String, String> {
    (0..random.below(6))
        .map(|_| {
            (random.pick(keys).to_owned(), random.pick(&["", "a", "längere", "GET"]).to_owned())
        })
        .collect()
}

/// What a value is meant to be, and how its tracer writes it: the one member, the one member unless it
/// is false or zero, every member, or the member without a type.
fn typed(random: &mut Random, depth: usize) -> Typed {
    let kind = random.below(if depth < 3 { 5 } else { 4 }) as u8;
    let way = random.below(4);
    let mut value = Typed { r#type: (way != 3).then_some(kind), ..Typed::default() };
    let is_small = random.below(3) == 0;
    let mut put = |kind: u8, random: &mut Random| match kind {
        0 => value.string_value = Some(if is_small { String::new() } else { random.hex(5) }),
        1 => value.bool_value = Some(!is_small),
        2 if is_small => value.int_value = Some(0),
        2 => value.int_value = Some(random.draw().cast_signed() >> random.below(64)),
        3 => value.double_value = Some(if is_small { Number(0.0) } else { number(random) }),
        _ => {
            let count = if is_small { 0 } else { random.below(3) };
            let values = (0..count).map(|_| typed(random, depth + 1)).collect();
            value.array_value = Some(TypedArray { values });
        }
    };
    match way {
        1 if is_small => {}
        2 => (0..5).for_each(|kind| put(kind, random)),
        _ => put(kind, random),
    }
    value
}

/// All of one trace; `plain` leaves out what v0.5 has no place for.
fn chunk(random: &mut Random, plain: bool) -> Vec<Span> {
    let trace_id = random.draw() >> random.below(64) | 1;
    let count = random.below(5);
    let tagged = random.below(2 * count + 1);
    (0..count)
        .map(|index| {
            let mut span = Span {
                service: random.pick(&["", "shop", "cart", "bücher"]).to_owned(),
                name: random.pick(&["", "http.request", "sql"]).to_owned(),
                resource: random.pick(&["", "GET /", "SELECT 1"]).to_owned(),
                r#type: random.pick(&["", "web", "sql"]).to_owned(),
                trace_id,
                // One in eight is no id.
                span_id: if random.below(8) == 0 { 0 } else { random.draw() >> random.below(64) },
                parent_id: if random.below(2) == 0 { 0 } else { random.draw() },
                start: YEAR_2000_NANOS + (random.draw() >> 8).cast_signed() - (1 << 54),
                duration: random.draw().cast_signed() >> random.below(64),
                error: random.below(3) as i32 - 1,
                meta: texts(random, &["team", "http.url", "error.type", "k", "a.b"]),
                ..Span::default()
            };
            for _ in 0..random.below(4) {
                let key = random.pick(&["_dd.measured", "rows", "http.status_code"]).to_owned();
                span.metrics.insert(key, number(random));
            }
            if index == tagged {
                span.meta.insert("_dd.p.tid".to_owned(), random.hex(16));
            }
            if plain {
                return span;
            }
            for _ in 0..random.below(3) {
                span.span_links.push(Link {
                    trace_id: random.draw(),
                    trace_id_high: random.draw() >> random.below(64),
                    span_id: random.draw() >> random.below(64),
                    attributes: texts(random, &["x", "y"]),
                    tracestate: random.pick(&["", "dd=s:1"]).to_owned(),
                    flags: random.draw() as u32,
                });
                let mut event = Event {
                    time_unix_nano: random.draw() >> 1,
                    name: random.hex(3),
                    ..Event::default()
                };
                for _ in 0..random.below(3) {
                    event.attributes.insert(random.hex(2), typed(random, 1));
                }
                span.span_events.push(event);
            }
            span
        })
        .collect()
}

fn chunks(random: &mut Random, plain: bool) -> Vec<Vec<Span>> {
    (0..random.below(4)).map(|_| chunk(random, plain)).collect()
}

fn body(route: Route, random: &mut Random) -> Vec<u8> {
    match route {
        Route::DatadogTracesV05 => {
            let chunks = chunks(random, true);
            let mut table: Vec<String> = Vec::new();
            let mut place = |text: &String| {
                let found = table.iter().position(|known| known == text);
                found.unwrap_or_else(|| {
                    table.push(text.clone());
                    table.len() - 1
                }) as u32
            };
            let mut traces: Vec<Vec<Span5>> = Vec::new();
            for spans in &chunks {
                let row = |span: &Span| {
                    let meta =
                        span.meta.iter().map(|(key, value)| (place(key), place(value))).collect();
                    let metrics =
                        span.metrics.iter().map(|(key, value)| (place(key), *value)).collect();
                    Span5(
                        place(&span.service),
                        place(&span.name),
                        place(&span.resource),
                        span.trace_id,
                        span.span_id,
                        span.parent_id,
                        span.start,
                        span.duration,
                        span.error,
                        meta,
                        metrics,
                        place(&span.r#type),
                    )
                };
                traces.push(spans.iter().map(row).collect());
            }
            rmp_serde::to_vec(&(table, traces)).unwrap()
        }
        Route::DatadogTracesV07 => {
            let payload = Payload {
                container_id: random.pick(&["", "c0ffee"]).to_owned(),
                language_name: random.pick(&["", "go"]).to_owned(),
                env: random.pick(&["", "prod"]).to_owned(),
                hostname: random.pick(&["", "h1"]).to_owned(),
                tags: texts(random, &["region", "zone"]),
                chunks: (0..random.below(4))
                    .map(|_| Chunk {
                        priority: [-128, -1, 0, 1, 2][random.below(5)],
                        origin: random.pick(&["", "rum"]).to_owned(),
                        spans: chunk(random, false),
                        tags: texts(random, &["_dd.p.dm", "zz"]),
                        dropped_trace: random.below(2) == 0,
                    })
                    .collect(),
            };
            rmp_serde::to_vec_named(&payload).unwrap()
        }
        _ => {
            let mut chunks = chunks(random, false);
            for span in chunks.iter_mut().flatten() {
                for _ in 0..random.below(2) {
                    span.meta_struct.insert(random.hex(3), Bin(random.hex(9).into_bytes()));
                }
            }
            rmp_serde::to_vec_named(&chunks).unwrap()
        }
    }
}

// ── What the oracle says ──────────────────────────────────────────────────────────────────────

/// A body as v0.7 has it, whichever form it came in.
fn oracle(route: Route, body: &[u8]) -> Result<Payload, rmp_serde::decode::Error> {
    let chunk = |spans| Chunk { spans, ..Chunk::default() };
    Ok(match route {
        Route::DatadogTracesV07 => rmp_serde::from_slice(body)?,
        Route::DatadogTracesV05 => {
            let (table, traces): (Vec<String>, Vec<Vec<Span5>>) = rmp_serde::from_slice(body)?;
            let text = |place: u32| {
                let found = table.get(place as usize).cloned();
                found.ok_or(rmp_serde::decode::Error::LengthMismatch(place))
            };
            let mut chunks = Vec::new();
            for trace in traces {
                let mut spans = Vec::new();
                for row in trace {
                    let mut span = Span {
                        service: text(row.0)?,
                        name: text(row.1)?,
                        resource: text(row.2)?,
                        trace_id: row.3,
                        span_id: row.4,
                        parent_id: row.5,
                        start: row.6,
                        duration: row.7,
                        error: row.8,
                        r#type: text(row.11)?,
                        ..Span::default()
                    };
                    for (key, value) in row.9 {
                        span.meta.insert(text(key)?, text(value)?);
                    }
                    for (key, value) in row.10 {
                        span.metrics.insert(text(key)?, value);
                    }
                    spans.push(span);
                }
                chunks.push(chunk(spans));
            }
            Payload { chunks, ..Payload::default() }
        }
        _ => {
            let chunks: Vec<Vec<Span>> = rmp_serde::from_slice(body)?;
            Payload { chunks: chunks.into_iter().map(chunk).collect(), ..Payload::default() }
        }
    })
}

/// Attributes by name: which of several of a name stands last is all that counts.
type Named = BTreeMap<String, String>;

fn named(pairs: &Pairs) -> Named {
    pairs.iter().map(|(key, value)| (key.clone(), format!("{value:?}"))).collect()
}

fn said(text: impl Into<String>) -> String {
    format!("{:?}", OwnedValue::Text(text.into()))
}

/// The page's rule: the type names the member; one that its tracer left out is false, zero or nothing.
fn said_typed(value: &Typed) -> OwnedValue {
    let array = |array: &TypedArray| array.values.iter().map(said_typed).collect();
    let double = |number: Number| OwnedValue::Double(Bits::from(number.0));
    match value.r#type {
        Some(0) => OwnedValue::Text(value.string_value.clone().unwrap_or_default()),
        Some(1) => OwnedValue::Bool(value.bool_value.unwrap_or_default()),
        Some(2) => OwnedValue::Int(value.int_value.unwrap_or_default()),
        Some(3) => double(value.double_value.unwrap_or(Number(0.0))),
        Some(4) => OwnedValue::Array(value.array_value.as_ref().map(array).unwrap_or_default()),
        Some(other) => panic!("nobody writes type {other}"),
        // One member, as it is.
        None => {
            let text = value.string_value.clone().map(OwnedValue::Text);
            text.or(value.bool_value.map(OwnedValue::Bool))
                .or(value.int_value.map(OwnedValue::Int))
                .or(value.double_value.map(double))
                .or(value.array_value.as_ref().map(|value| OwnedValue::Array(array(value))))
                .unwrap_or(OwnedValue::Empty)
        }
    }
}

fn renamed(key: &str) -> String {
    match key {
        "http.url" => "url.full",
        "error.type" => "exception.type",
        "http.status_code" => "http.response.status_code",
        other => other,
    }
    .to_owned()
}

fn expected_attributes(span: &Span, chunk: &Chunk) -> Named {
    let mut named = Named::new();
    let resource = if span.resource.is_empty() { &span.name } else { &span.resource };
    for (key, text) in
        [("dd.span.Resource", resource), ("span.type", &span.r#type), ("_dd.origin", &chunk.origin)]
    {
        if !text.is_empty() {
            named.insert(key.to_owned(), said(text.as_str()));
        }
    }
    named.insert("datadog.trace.id".to_owned(), said(span.trace_id.to_string()));
    named.insert("datadog.span.id".to_owned(), said(span.span_id.to_string()));
    let double = |number: f64| format!("{:?}", OwnedValue::Double(number.into()));
    if chunk.priority != -128 {
        named.insert("_sampling_priority_v1".to_owned(), double(f64::from(chunk.priority)));
    }
    for (key, text) in chunk.tags.iter().chain(&span.meta) {
        if key != "_dd.p.tid" {
            named.insert(renamed(key), said(text.as_str()));
        }
    }
    for (key, number) in &span.metrics {
        named.insert(renamed(key), double(number.0));
    }
    for (key, bin) in &span.meta_struct {
        named.insert(key.clone(), format!("{:?}", OwnedValue::Bytes(bin.0.clone())));
    }
    named
}

fn check_span(ours: &SpanRecord, span: &Span, chunk: &Chunk, context: &str) {
    assert_eq!(ours.trace_id[8..], span.trace_id.to_be_bytes(), "{context}");
    let tid = chunk.spans.iter().find_map(|span| span.meta.get("_dd.p.tid"));
    let high = tid.map_or(0, |tid| u64::from_str_radix(tid, 16).unwrap());
    assert_eq!(ours.trace_id[..8], high.to_be_bytes(), "{context}");
    assert_eq!(ours.span_id, span.span_id.to_be_bytes(), "{context}");
    let parent = (span.parent_id != 0).then(|| span.parent_id.to_be_bytes());
    assert_eq!(ours.parent_span_id, parent, "{context}");
    let name = if span.name.is_empty() { "unnamed_operation" } else { &span.name };
    assert_eq!(ours.name, name, "{context}");
    let is_sound = span.duration >= 0 && span.start.checked_add(span.duration).is_some();
    let duration = if is_sound { span.duration } else { 0 };
    assert_eq!(ours.duration_nanos, duration.cast_unsigned(), "{context}");
    let arrival = ARRIVAL_NANOS.cast_signed();
    let start =
        if span.start < YEAR_2000_NANOS { arrival - duration.min(arrival) } else { span.start };
    assert_eq!(ours.start_time_nanos, start, "{context}");
    let is_error = ours.status_code == StatusCode::Error;
    assert_eq!(is_error, span.error != 0, "{context}");
    assert_eq!(named(&ours.attributes), expected_attributes(span, chunk), "{context}");
    assert_eq!(ours.links.len(), span.span_links.len(), "{context}");
    for (ours, link) in ours.links.iter().zip(&span.span_links) {
        let wide = u128::from(link.trace_id_high) << 64 | u128::from(link.trace_id);
        assert_eq!(ours.trace_id, (wide != 0).then(|| wide.to_be_bytes()), "{context}");
        assert_eq!(ours.span_id, (link.span_id != 0).then(|| link.span_id.to_be_bytes()));
        assert_eq!(ours.trace_state, link.tracestate, "{context}");
        let expected = link.attributes.iter().map(|(key, text)| (key.clone(), said(text.as_str())));
        assert_eq!(named(&ours.attributes), expected.collect(), "{context}");
    }
    assert_eq!(ours.events.len(), span.span_events.len(), "{context}");
    for (ours, event) in ours.events.iter().zip(&span.span_events) {
        assert_eq!(ours.time_nanos.cast_unsigned(), event.time_unix_nano, "{context}");
        assert_eq!(ours.name, event.name, "{context}");
        let typed =
            |(key, value): (&String, &Typed)| (key.clone(), format!("{:?}", said_typed(value)));
        assert_eq!(named(&ours.attributes), event.attributes.iter().map(typed).collect());
    }
}

/// Compares everything that was said; the number of spans is the answer.
fn check(records: &[Record], payloads: &[Payload], context: &str) -> usize {
    let mut resource = Named::new();
    let mut ours = Vec::new();
    for record in records {
        match record {
            Record::Resource { attributes, .. } => resource = named(attributes),
            Record::Span(span) => ours.push((resource.clone(), span)),
            Record::Scope { .. } | Record::Rejected(RejectCause::IdInvalid) => {}
            other => panic!("{other:?}, {context}"),
        }
    }
    let mut theirs = Vec::new();
    for payload in payloads {
        for chunk in &payload.chunks {
            let spans = chunk.spans.iter().filter(|span| span.trace_id != 0 && span.span_id != 0);
            theirs.extend(spans.map(|span| (span, chunk, payload)));
        }
    }
    assert_eq!(ours.len(), theirs.len(), "{context}");
    for ((resource, ours), (span, chunk, payload)) in ours.iter().zip(&theirs) {
        check_span(ours, span, chunk, context);
        let service = if span.service.is_empty() { "unnamed-service" } else { &span.service };
        assert_eq!(resource["service.name"], said(service), "{context}");
        for (key, text) in [
            ("container.id", &payload.container_id),
            ("telemetry.sdk.language", &payload.language_name),
            ("deployment.environment.name", &payload.env),
            ("host.name", &payload.hostname),
        ] {
            let expected = (!text.is_empty()).then(|| said(text.as_str()));
            assert_eq!(resource.get(key), expected.as_ref(), "{key}, {context}");
        }
        for (key, text) in &payload.tags {
            assert_eq!(resource[key], said(text.as_str()), "{context}");
        }
    }
    ours.len()
}

const ROUTES: [Route; 4] = [
    Route::DatadogTracesV03,
    Route::DatadogTracesV04,
    Route::DatadogTracesV05,
    Route::DatadogTracesV07,
];

#[test]
fn every_version_gives_the_spans_of_rmp_serde() {
    let mut scratch = Scratch::default();
    for route in ROUTES {
        let mut spans = 0;
        for seed in 0..SEEDS {
            let context = format!("{route:?} seed {seed}");
            let body = body(route, &mut Random::new(seed));
            let theirs = oracle(route, &body).expect(&context);
            let (_, ours) = decode_both(route, &body, &mut scratch).expect(&context);
            spans += check(&ours, &[theirs], &context);
        }
        assert!(spans > 1000, "the generator makes spans: {spans}");
    }
}

#[test]
fn json_gives_the_spans_of_serde_json() {
    let mut scratch = Scratch::default();
    for seed in 0..SEEDS {
        let context = format!("seed {seed}");
        let body = serde_json::to_vec(&chunks(&mut Random::new(seed), false)).unwrap();
        let theirs: Vec<Vec<Span>> = serde_json::from_slice(&body).expect(&context);
        let chunks = theirs.into_iter().map(|spans| Chunk { spans, ..Chunk::default() }).collect();
        let (_, ours) = decode_both(Route::DatadogTracesV04, &body, &mut scratch).expect(&context);
        check(&ours, &[Payload { chunks, ..Payload::default() }], &context);
    }
}

/// Both passes agree (`decode_both` holds them to it), and what is refused names a byte of the body.
#[test]
fn damaged_bodies_are_read_alike_by_both_passes() {
    let mut scratch = Scratch::default();
    for route in ROUTES {
        let (mut read, mut refused) = (0, 0);
        for seed in 0..SEEDS {
            let mut random = Random::new(seed);
            let body = body(route, &mut random);
            for round in 0..20 {
                let damaged = damage(&body, &mut random);
                match decode_both(route, &damaged, &mut scratch) {
                    Ok(_) => read += 1,
                    Err(error) => {
                        refused += 1;
                        let size = damaged.len() as u64;
                        assert!(
                            error.offset <= size,
                            "{error}, {route:?} seed {seed} round {round}"
                        );
                    }
                }
            }
        }
        assert!(read > 1000 && refused > 1000, "{route:?}: {read} read, {refused} refused");
    }
}

/// A body says how long it is, so no beginning of it is a body; nothing at all is discovery.
#[test]
fn a_body_cut_anywhere_is_refused_as_rmp_serde_does() {
    let mut scratch = Scratch::default();
    for route in ROUTES {
        for seed in 0..40 {
            let body = body(route, &mut Random::new(seed));
            for end in 1..body.len() {
                let context = format!("{route:?} seed {seed} cut at {end}");
                assert!(oracle(route, &body[..end]).is_err(), "{context}");
                assert!(decode_both(route, &body[..end], &mut scratch).is_err(), "{context}");
            }
        }
    }
}
