//! What an Agent posts against `prost`, whole and damaged.

use std::collections::HashMap;

use inrush::decode::{Fault, Scratch};
use inrush::envelope::Route;
use prost::Message as _;

use super::{
    Bin, Chunk, Event, Link, Number, Payload, SEEDS, Span, Typed, TypedArray, check, chunk, texts,
};
use crate::compare::damage;
use crate::support::bodies::Random;
use crate::support::decode_both;
use crate::support::messages::datadog::trace as wire;

fn pairs<V, W>(
    map: impl IntoIterator<Item = (String, V)>,
    of: impl Fn(V) -> W,
) -> HashMap<String, W> {
    map.into_iter().map(|(key, value)| (key, of(value))).collect()
}

/// As `prost` writes it: what is false or zero is left out.
fn written(value: &Typed) -> wire::AttributeAnyValue {
    let kind = value.r#type.unwrap_or(match value {
        Typed { string_value: Some(_), .. } => 0,
        Typed { bool_value: Some(_), .. } => 1,
        Typed { int_value: Some(_), .. } => 2,
        Typed { double_value: Some(_), .. } => 3,
        _ => 4,
    });
    let element = |value: &Typed| {
        let value = written(value);
        wire::AttributeArrayValue {
            r#type: value.r#type,
            string_value: value.string_value,
            bool_value: value.bool_value,
            int_value: value.int_value,
            double_value: value.double_value,
        }
    };
    wire::AttributeAnyValue {
        r#type: i32::from(kind),
        string_value: value.string_value.clone().unwrap_or_default(),
        bool_value: value.bool_value.unwrap_or_default(),
        int_value: value.int_value.unwrap_or_default(),
        double_value: value.double_value.map_or(0.0, |number| number.0),
        array_value: value.array_value.as_ref().map(|array| wire::AttributeArray {
            values: array.values.iter().map(element).collect(),
        }),
    }
}

fn span(span: Span) -> wire::Span {
    let link = |link: Link| wire::SpanLink {
        trace_id: link.trace_id,
        trace_id_high: link.trace_id_high,
        span_id: link.span_id,
        attributes: link.attributes.into_iter().collect(),
        tracestate: link.tracestate,
        flags: link.flags,
    };
    let event = |event: Event| wire::SpanEvent {
        time_unix_nano: event.time_unix_nano,
        name: event.name,
        attributes: pairs(event.attributes, |value| written(&value)),
    };
    wire::Span {
        service: span.service,
        name: span.name,
        resource: span.resource,
        r#type: span.r#type,
        trace_id: span.trace_id,
        span_id: span.span_id,
        parent_id: span.parent_id,
        start: span.start,
        duration: span.duration,
        error: span.error,
        meta: span.meta.into_iter().collect(),
        metrics: pairs(span.metrics, |number| number.0),
        meta_struct: pairs(span.meta_struct, |bin| bin.0),
        span_links: span.span_links.into_iter().map(link).collect(),
        span_events: span.span_events.into_iter().map(event).collect(),
    }
}

fn body(random: &mut Random) -> wire::AgentPayload {
    let map = |random: &mut Random, keys: &[&str]| texts(random, keys).into_iter().collect();
    let trace_chunk = |random: &mut Random| {
        let mut spans = chunk(random, false);
        if let Some(span) = spans.first_mut() {
            span.meta_struct.insert(random.hex(3), Bin(random.hex(9).into_bytes()));
        }
        wire::TraceChunk {
            priority: [-128, -1, 0, 1, 2][random.below(5)],
            origin: random.pick(&["", "rum"]).to_owned(),
            spans: spans.into_iter().map(span).collect(),
            tags: map(random, &["_dd.p.dm", "zz"]),
            dropped_trace: random.below(2) == 0,
        }
    };
    let payload = |random: &mut Random| wire::TracerPayload {
        container_id: random.pick(&["", "c0ffee"]).to_owned(),
        language_name: random.pick(&["", "go"]).to_owned(),
        env: random.pick(&["", "prod"]).to_owned(),
        hostname: random.pick(&["", "h1"]).to_owned(),
        tags: map(random, &["region", "zone"]),
        chunks: (0..random.below(3)).map(|_| trace_chunk(random)).collect(),
        ..wire::TracerPayload::default()
    };
    wire::AgentPayload {
        host_name: random.pick(&["", "agent-1"]).to_owned(),
        env: random.pick(&["", "staging"]).to_owned(),
        tags: map(random, &["region", "agent"]),
        agent_version: "7.65.0".to_owned(),
        target_tps: 10.0,
        tracer_payloads: (0..random.below(3)).map(|_| payload(random)).collect(),
        ..wire::AgentPayload::default()
    }
}

fn typed(value: wire::AttributeAnyValue) -> Typed {
    let plain = Typed { r#type: u8::try_from(value.r#type).ok(), ..Typed::default() };
    match value.r#type {
        0 => Typed { string_value: Some(value.string_value), ..plain },
        1 => Typed { bool_value: Some(value.bool_value), ..plain },
        2 => Typed { int_value: Some(value.int_value), ..plain },
        3 => Typed { double_value: Some(Number(value.double_value)), ..plain },
        4 => {
            let element = |value: wire::AttributeArrayValue| match value.r#type {
                // An array has no arrays.
                4 => Typed::default(),
                _ => typed(wire::AttributeAnyValue {
                    r#type: value.r#type,
                    string_value: value.string_value,
                    bool_value: value.bool_value,
                    int_value: value.int_value,
                    double_value: value.double_value,
                    array_value: None,
                }),
            };
            let values = value.array_value.unwrap_or_default().values;
            let values = values.into_iter().map(element).collect();
            Typed { array_value: Some(TypedArray { values }), ..plain }
        }
        _ => Typed::default(),
    }
}

/// What `prost` reads, as v0.7 would have it.
fn oracle(body: &[u8]) -> Result<Vec<Payload>, prost::DecodeError> {
    let agent = wire::AgentPayload::decode(body)?;
    let or = |own: String, agent: &String| if own.is_empty() { agent.clone() } else { own };
    let span = |span: wire::Span| Span {
        service: span.service,
        name: span.name,
        resource: span.resource,
        r#type: span.r#type,
        trace_id: span.trace_id,
        span_id: span.span_id,
        parent_id: span.parent_id,
        start: span.start,
        duration: span.duration,
        error: span.error,
        meta: span.meta.into_iter().collect(),
        metrics: span.metrics.into_iter().map(|(key, number)| (key, Number(number))).collect(),
        meta_struct: span.meta_struct.into_iter().map(|(key, bin)| (key, Bin(bin))).collect(),
        span_links: span
            .span_links
            .into_iter()
            .map(|link| Link {
                trace_id: link.trace_id,
                trace_id_high: link.trace_id_high,
                span_id: link.span_id,
                attributes: link.attributes.into_iter().collect(),
                tracestate: link.tracestate,
                flags: link.flags,
            })
            .collect(),
        span_events: span
            .span_events
            .into_iter()
            .map(|event| Event {
                time_unix_nano: event.time_unix_nano,
                name: event.name,
                attributes: event
                    .attributes
                    .into_iter()
                    .map(|(key, value)| (key, typed(value)))
                    .collect(),
            })
            .collect(),
    };
    let chunk = |chunk: wire::TraceChunk| Chunk {
        priority: chunk.priority,
        origin: chunk.origin,
        spans: chunk.spans.into_iter().map(span).collect(),
        tags: chunk.tags.into_iter().collect(),
        dropped_trace: chunk.dropped_trace,
    };
    let payload = |payload: wire::TracerPayload| Payload {
        container_id: payload.container_id,
        language_name: payload.language_name,
        env: or(payload.env, &agent.env),
        hostname: or(payload.hostname, &agent.host_name),
        tags: agent.tags.clone().into_iter().chain(payload.tags).collect(),
        chunks: payload.chunks.into_iter().map(chunk).collect(),
    };
    Ok(agent.tracer_payloads.into_iter().map(payload).collect())
}

#[test]
fn an_agent_gives_the_spans_of_prost() {
    let mut scratch = Scratch::default();
    let mut spans = 0;
    for seed in 0..SEEDS {
        let context = format!("seed {seed}");
        let body = body(&mut Random::new(seed)).encode_to_vec();
        let theirs = oracle(&body).expect(&context);
        let (_, ours) =
            decode_both(Route::DatadogAgentTraces, &body, &mut scratch).expect(&context);
        spans += check(&ours, &theirs, &context);
    }
    assert!(spans > 1000, "the generator makes spans: {spans}");
}

/// We keep what is not UTF-8, where `prost` refuses; and a body may be refused for the depth of what we
/// do not know.
#[test]
fn a_damaged_body_of_an_agent_is_refused_as_prost_does() {
    let mut scratch = Scratch::default();
    let (mut read, mut refused) = (0, 0);
    for seed in 0..SEEDS {
        let mut random = Random::new(seed);
        let body = body(&mut random).encode_to_vec();
        for round in 0..20 {
            let damaged = damage(&body, &mut random);
            let context = format!("seed {seed} round {round}");
            let ours = decode_both(Route::DatadogAgentTraces, &damaged, &mut scratch);
            match (ours, oracle(&damaged)) {
                (Ok(_), Ok(_)) => read += 1,
                (Err(error), Err(_)) => {
                    refused += 1;
                    assert!(error.offset <= damaged.len() as u64, "{error}, {context}");
                }
                (Ok(_), Err(error)) if error.to_string().contains("UTF-8") => {}
                (Err(error), Ok(_)) if error.fault == Fault::NestingOverLimit => {}
                (ours, theirs) => {
                    panic!("{:?}, {:?}, {context}", ours.map(drop), theirs.map(drop))
                }
            }
        }
    }
    assert!(read > 1000 && refused > 1000, "{read} read, {refused} refused");
}
