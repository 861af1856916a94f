//! Bodies of Datadog's tracers for benches and load: seeded, so that every run and every rival gets the
//! same. Beside them what `rmp-serde` makes of them in typed structs.
//!
//! Chunks of six spans, about 420 bytes a span in v0.4: a request with its queries and calls, tags and
//! metrics as tracers set them, the high half of the trace id on the first span.

#![allow(dead_code, reason = "each of the programs that include this file uses a part of it")]
#![allow(clippy::cast_possible_truncation, reason = "counts are small")]

use std::collections::HashMap;

use serde::Deserialize;

/// xorshift64*.
struct Random(u64);

impl Random {
    fn draw(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 1
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        let place = usize::try_from(self.draw() % from.len() as u64).unwrap_or_default();
        from.get(place).copied().unwrap_or_default()
    }
}

/// 2026-01-01T00:00:00Z
const EPOCH_NANOS: u64 = 1_767_225_600_000_000_000;
const SPANS_PER_CHUNK: usize = 6;

const SERVICES: [&str; 5] = ["cart", "checkout-api", "ledger", "catalogue", "recommendations"];
const KINDS: [(&str, &str, &str); 4] = [
    ("web.request", "GET /api/v1/carts/{cart_id}/items", "web"),
    ("postgresql.query", "SELECT id, amount FROM payments WHERE cart_id = ? LIMIT ?", "sql"),
    ("redis.command", "HGETALL", "cache"),
    ("http.client.request", "POST /v2/charges", "http"),
];

/// A span before it is written in any form.
struct Span {
    service: &'static str,
    name: &'static str,
    resource: &'static str,
    kind: &'static str,
    trace_id: u64,
    span_id: u64,
    parent_id: u64,
    start: u64,
    duration: u64,
    error: u64,
    meta: Vec<(&'static str, String)>,
    metrics: Vec<(&'static str, f64)>,
}

fn chunks(seed: u64, spans: usize) -> Vec<Vec<Span>> {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut chunks = Vec::new();
    let mut left = spans;
    while left > 0 {
        let count = left.min(SPANS_PER_CHUNK);
        left -= count;
        let (trace_id, service) = (random.draw() | 1, random.pick(&SERVICES));
        let begin = EPOCH_NANOS + random.draw() % 1_000_000_000_000;
        let mut root = 0;
        let spans = (0..count).map(|index| {
            let (name, resource, kind) =
                KINDS.get((random.draw() % 4) as usize).copied().unwrap_or_default();
            let span_id = random.draw() | 1;
            let mut meta = vec![
                ("env", "production".to_owned()),
                ("version", format!("1.{}.0", random.draw() % 30)),
                ("component", random.pick(&["net/http", "psycopg", "redis", "express"]).to_owned()),
                ("span.kind", random.pick(&["server", "client", "internal"]).to_owned()),
                ("peer.hostname", format!("10.0.{}.{}", random.draw() % 256, random.draw() % 256)),
                ("http.status_code", random.pick(&["200", "201", "404", "500"]).to_owned()),
                ("runtime-id", format!("{:032x}", u128::from(random.draw()))),
            ];
            let mut metrics = vec![
                ("_dd.measured", 1.0),
                ("db.row_count", (random.draw() % 1000) as f64),
                ("queue.wait_ms", (random.draw() % 100_000) as f64 / 64.0),
            ];
            if index == 0 {
                root = span_id;
                meta.push(("_dd.p.tid", format!("{:08x}00000000", begin / 1_000_000_000)));
                meta.push(("_dd.p.dm", "-1".to_owned()));
                metrics.push(("_sampling_priority_v1", 1.0));
            }
            Span {
                service,
                name,
                resource,
                kind,
                trace_id,
                span_id,
                parent_id: if index == 0 { 0 } else { root },
                start: begin + index as u64 * 1_000_000,
                duration: random.draw() % 50_000_000,
                error: u64::from(random.draw().is_multiple_of(20)),
                meta,
                metrics,
            }
        });
        chunks.push(spans.collect());
    }
    chunks
}

fn text(into: &mut Vec<u8>, text: &str) {
    match text.len() {
        size @ 0..32 => into.push(0xa0 | size as u8),
        size @ 32..256 => into.extend_from_slice(&[0xd9, size as u8]),
        size => {
            into.push(0xda);
            into.extend_from_slice(&(size as u16).to_be_bytes());
        }
    }
    into.extend_from_slice(text.as_bytes());
}

fn number(into: &mut Vec<u8>, number: u64) {
    match number {
        0..128 => into.push(number as u8),
        128..256 => into.extend_from_slice(&[0xcc, number as u8]),
        256..0x1_0000 => {
            into.push(0xcd);
            into.extend_from_slice(&(number as u16).to_be_bytes());
        }
        0x1_0000..0x1_0000_0000 => {
            into.push(0xce);
            into.extend_from_slice(&(number as u32).to_be_bytes());
        }
        _ => {
            into.push(0xcf);
            into.extend_from_slice(&number.to_be_bytes());
        }
    }
}

fn double(into: &mut Vec<u8>, number: f64) {
    into.push(0xcb);
    into.extend_from_slice(&number.to_be_bytes());
}

fn array(into: &mut Vec<u8>, count: usize) {
    if count < 16 {
        into.push(0x90 | count as u8);
    } else {
        into.push(0xdd);
        into.extend_from_slice(&(count as u32).to_be_bytes());
    }
}

fn span(into: &mut Vec<u8>, span: &Span) {
    into.push(0x8c);
    for (key, value) in [
        ("service", span.service),
        ("name", span.name),
        ("resource", span.resource),
        ("type", span.kind),
    ] {
        text(into, key);
        text(into, value);
    }
    for (key, value) in [
        ("trace_id", span.trace_id),
        ("span_id", span.span_id),
        ("parent_id", span.parent_id),
        ("start", span.start),
        ("duration", span.duration),
        ("error", span.error),
    ] {
        text(into, key);
        number(into, value);
    }
    text(into, "meta");
    into.push(0x80 | span.meta.len() as u8);
    for (key, value) in &span.meta {
        text(into, key);
        text(into, value);
    }
    text(into, "metrics");
    into.push(0x80 | span.metrics.len() as u8);
    for (key, value) in &span.metrics {
        text(into, key);
        double(into, *value);
    }
}

fn write_chunks(into: &mut Vec<u8>, chunks: &[Vec<Span>]) {
    array(into, chunks.len());
    for chunk in chunks {
        array(into, chunk.len());
        chunk.iter().for_each(|one| span(into, one));
    }
}

/// The body of v0.3 and v0.4.
pub fn v04(seed: u64, spans: usize) -> Vec<u8> {
    let mut body = Vec::new();
    write_chunks(&mut body, &chunks(seed, spans));
    body
}

/// The same spans by references into a dictionary.
pub fn v05(seed: u64, spans: usize) -> Vec<u8> {
    let chunks = chunks(seed, spans);
    let mut places: HashMap<String, u64> = HashMap::from([(String::new(), 0)]);
    let mut texts = vec![String::new()];
    let mut place = |text: &str| match places.get(text) {
        Some(place) => *place,
        None => {
            let place = texts.len() as u64;
            places.insert(text.to_owned(), place);
            texts.push(text.to_owned());
            place
        }
    };
    let mut traces = Vec::new();
    array(&mut traces, chunks.len());
    for chunk in &chunks {
        array(&mut traces, chunk.len());
        for span in chunk {
            traces.push(0x9c);
            for text in [span.service, span.name, span.resource] {
                number(&mut traces, place(text));
            }
            for value in [span.trace_id, span.span_id, span.parent_id] {
                number(&mut traces, value);
            }
            for value in [span.start, span.duration, span.error] {
                number(&mut traces, value);
            }
            traces.push(0x80 | span.meta.len() as u8);
            for (key, value) in &span.meta {
                number(&mut traces, place(key));
                number(&mut traces, place(value));
            }
            traces.push(0x80 | span.metrics.len() as u8);
            for (key, value) in &span.metrics {
                number(&mut traces, place(key));
                double(&mut traces, *value);
            }
            number(&mut traces, place(span.kind));
        }
    }
    let mut body = vec![0x92];
    array(&mut body, texts.len());
    texts.iter().for_each(|one| text(&mut body, one));
    body.extend_from_slice(&traces);
    body
}

/// The same spans as one tracer payload.
pub fn v07(seed: u64, spans: usize) -> Vec<u8> {
    let chunks = chunks(seed, spans);
    let mut body = vec![0x83];
    for (key, value) in [("language_name", "go"), ("env", "production")] {
        text(&mut body, key);
        text(&mut body, value);
    }
    text(&mut body, "chunks");
    array(&mut body, chunks.len());
    for chunk in &chunks {
        body.push(0x82);
        text(&mut body, "priority");
        number(&mut body, 1);
        text(&mut body, "spans");
        array(&mut body, chunk.len());
        chunk.iter().for_each(|one| span(&mut body, one));
    }
    body
}

/// The same spans as JSON of v0.3 and v0.4.
pub fn json(seed: u64, spans: usize) -> Vec<u8> {
    let chunks: Vec<Vec<_>> = chunks(seed, spans)
        .iter()
        .map(|chunk| {
            let span = |span: &Span| {
                serde_json::json!({
                    "service": span.service, "name": span.name, "resource": span.resource,
                    "type": span.kind, "trace_id": span.trace_id, "span_id": span.span_id,
                    "parent_id": span.parent_id, "start": span.start, "duration": span.duration,
                    "error": span.error,
                    "meta": span.meta.iter().cloned().collect::<HashMap<_, _>>(),
                    "metrics": span.metrics.iter().copied().collect::<HashMap<_, _>>(),
                })
            };
            chunk.iter().map(span).collect()
        })
        .collect();
    // Maps of texts are always written.
    serde_json::to_vec(&chunks).unwrap_or_default()
}

/// A span as `rmp-serde` reads it.
#[derive(Deserialize)]
pub struct TypedSpan {
    pub service: String,
    pub name: String,
    pub resource: String,
    pub r#type: String,
    pub trace_id: u64,
    pub span_id: u64,
    pub parent_id: u64,
    pub start: i64,
    pub duration: i64,
    pub error: i32,
    pub meta: HashMap<String, String>,
    pub metrics: HashMap<String, f64>,
}

/// The same in v0.5.
#[derive(Deserialize)]
pub struct TypedSpan5(
    pub u32,
    pub u32,
    pub u32,
    pub u64,
    pub u64,
    pub u64,
    pub i64,
    pub i64,
    pub i32,
    pub HashMap<u32, u32>,
    pub HashMap<u32, f64>,
    pub u32,
);

pub type Typed = Vec<Vec<TypedSpan>>;
pub type Typed5 = (Vec<String>, Vec<Vec<TypedSpan5>>);
