//! Damaged `MessagePack` of v0.4 and v0.5: `rmp-serde` reads it as any value, and plain code says by the
//! protocol's tolerance whether a body of such values is one. Verdicts and counts of spans must agree.

use std::fmt;
use std::io::Cursor;

use inrush::decode::Scratch;
use inrush::envelope::Route;
use serde::{Deserialize, Deserializer, de};

use super::{SEEDS, body};
use crate::compare::damage;
use crate::support::bodies::Random;
use crate::support::decode_both;
use crate::support::record::{Record, SpanRecord};

/// Whatever `MessagePack` has. Of texts only that they are such matters here.
#[derive(Clone, Debug, PartialEq)]
enum Any {
    Nil,
    Bool,
    /// Its 64 bits, and whether it was written as a number without a sign.
    Int(u64, bool),
    Float,
    Text(Vec<u8>),
    Array(Vec<Any>),
    Map(Vec<(Any, Any)>),
    Extension,
}

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Any;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("anything")
            }
            fn visit_unit<E>(self) -> Result<Any, E> {
                Ok(Any::Nil)
            }
            fn visit_bool<E>(self, _: bool) -> Result<Any, E> {
                Ok(Any::Bool)
            }
            fn visit_u64<E>(self, number: u64) -> Result<Any, E> {
                Ok(Any::Int(number, true))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Any, E> {
                Ok(Any::Int(number.cast_unsigned(), number >= 0))
            }
            fn visit_f32<E>(self, _: f32) -> Result<Any, E> {
                Ok(Any::Float)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Any, E> {
                Ok(Any::Float)
            }
            fn visit_str<E>(self, text: &str) -> Result<Any, E> {
                Ok(Any::Text(text.as_bytes().to_vec()))
            }
            /// Of `bin`, and of text that is not UTF-8.
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Any, E> {
                Ok(Any::Text(bytes.to_vec()))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut access: A) -> Result<Any, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = access.next_element()? {
                    elements.push(element);
                }
                Ok(Any::Array(elements))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut access: A) -> Result<Any, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = access.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Any::Map(pairs))
            }
            /// What `rmp-serde` makes of an extension.
            fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Any, D::Error> {
                Any::deserialize(inner).map(|_| Any::Extension)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

fn any(body: &[u8]) -> Option<Any> {
    let mut deserializer = rmp_serde::Deserializer::new(Cursor::new(body));
    let value = Any::deserialize(&mut deserializer).ok()?;
    (deserializer.get_ref().position() == body.len() as u64).then_some(value)
}

impl Any {
    fn text(&self) -> Option<&[u8]> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    fn is_text_or_nil(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Nil)
    }

    fn is_number_or_nil(&self) -> bool {
        matches!(self, Self::Int(..) | Self::Float | Self::Nil)
    }

    fn id(&self) -> Option<u64> {
        match self {
            Self::Nil => Some(0),
            Self::Int(bits, _) => Some(*bits),
            _ => None,
        }
    }

    fn is_signed(&self) -> bool {
        match self {
            Self::Int(bits, is_positive) => !is_positive || i64::try_from(*bits).is_ok(),
            other => *other == Self::Nil,
        }
    }

    /// Nil, or a map of such pairs.
    fn is_map_of(&self, is_pair: impl Fn(&Self, &Self) -> bool) -> bool {
        match self {
            Self::Nil => true,
            Self::Map(pairs) => pairs.iter().all(|(key, value)| is_pair(key, value)),
            _ => false,
        }
    }

    /// A list of what may be nil, or nil.
    fn each(&self, mut visit: impl FnMut(&Self) -> bool) -> bool {
        match self {
            Self::Nil => true,
            Self::Array(list) => list.iter().all(|one| *one == Self::Nil || visit(one)),
            _ => false,
        }
    }
}

/// Spans that are kept, and those that are rejected for their ids.
type Counts = (u64, u64);

fn is_typed(value: &Any) -> bool {
    value.is_map_of(|key, value| match (key.text(), value) {
        (None, _) => false,
        (_, Any::Nil) => true,
        (Some(b"string_value"), value) => value.text().is_some(),
        (Some(b"bool_value"), value) => *value == Any::Bool,
        (Some(b"int_value"), value) => matches!(value, Any::Int(..)),
        (Some(b"double_value"), value) => value.is_number_or_nil(),
        (Some(b"array_value"), Any::Map(pairs)) => pairs.iter().all(|(key, value)| match value {
            Any::Array(list) if key.text() == Some(b"values") => list.iter().all(is_typed),
            _ => key.text().is_some(),
        }),
        (Some(b"array_value"), _) => false,
        _ => true,
    })
}

fn is_link(value: &Any) -> bool {
    matches!(value, Any::Map(_))
        && value.is_map_of(|key, value| match key.text() {
            None => false,
            Some(b"trace_id" | b"trace_id_high" | b"span_id" | b"flags") => value.id().is_some(),
            Some(b"tracestate") => value.is_text_or_nil(),
            Some(b"attributes") => {
                value.is_map_of(|key, value| key.is_text_or_nil() && value.is_text_or_nil())
            }
            _ => true,
        })
}

fn is_event(value: &Any) -> bool {
    matches!(value, Any::Map(_))
        && value.is_map_of(|key, value| match key.text() {
            None => false,
            Some(b"time_unix_nano") => value.id().is_some(),
            Some(b"name") => value.is_text_or_nil(),
            Some(b"attributes") => {
                value.is_map_of(|key, value| key.text().is_some() && is_typed(value))
            }
            _ => true,
        })
}

fn count_span(trace_id: Option<u64>, span_id: Option<u64>, counts: &mut Counts) -> bool {
    match (trace_id, span_id) {
        (Some(0), Some(_)) | (Some(_), Some(0)) => counts.1 += 1,
        (Some(_), Some(_)) => counts.0 += 1,
        _ => return false,
    }
    true
}

fn span_4(value: &Any, counts: &mut Counts) -> bool {
    let Any::Map(pairs) = value else { return false };
    let (mut trace_id, mut span_id) = (Some(0), Some(0));
    let is_sound = pairs.iter().all(|(key, value)| match key.text() {
        None => false,
        Some(b"service" | b"name" | b"resource" | b"type") => value.is_text_or_nil(),
        Some(b"trace_id") => {
            trace_id = value.id();
            trace_id.is_some()
        }
        Some(b"span_id") => {
            span_id = value.id();
            span_id.is_some()
        }
        Some(b"parent_id") => value.id().is_some(),
        Some(b"start" | b"duration" | b"error") => value.is_signed(),
        Some(b"meta") => {
            value.is_map_of(|key, value| key.is_text_or_nil() && value.is_text_or_nil())
        }
        Some(b"metrics") => {
            value.is_map_of(|key, value| key.is_text_or_nil() && value.is_number_or_nil())
        }
        Some(b"meta_struct") => {
            value.is_map_of(|key, value| key.text().is_some() && value.is_text_or_nil())
        }
        Some(b"span_links") => value.each(is_link),
        Some(b"span_events") => value.each(is_event),
        _ => true,
    });
    is_sound && count_span(trace_id, span_id, counts)
}

fn span_5(value: &Any, texts: usize, counts: &mut Counts) -> bool {
    let Any::Array(fields) = value else { return false };
    let is_reference = |value: &Any| match value {
        Any::Int(bits, _) => usize::try_from(*bits).is_ok_and(|place| place < texts),
        other => other.is_text_or_nil(),
    };
    fields.len() == 12
        && [0, 1, 2, 11].iter().all(|&field| is_reference(&fields[field]))
        && fields[5].id().is_some()
        && fields[6..9].iter().all(Any::is_signed)
        && fields[9].is_map_of(|key, value| is_reference(key) && is_reference(value))
        && fields[10].is_map_of(|key, value| is_reference(key) && value.is_number_or_nil())
        && count_span(fields[3].id(), fields[4].id(), counts)
}

fn expected(route: Route, body: &[u8]) -> Option<Counts> {
    let mut counts = (0, 0);
    let value = any(body)?;
    let is_sound = if route == Route::DatadogTracesV04 {
        value.each(|chunk| chunk.each(|span| span_4(span, &mut counts)))
    } else {
        let Any::Array(parts) = &value else { return None };
        let [Any::Array(texts), traces, ..] = parts.as_slice() else { return None };
        texts.iter().all(Any::is_text_or_nil)
            && traces.each(|chunk| chunk.each(|span| span_5(span, texts.len(), &mut counts)))
    };
    is_sound.then_some(counts)
}

#[test]
fn a_damaged_body_is_refused_as_rmp_serde_and_the_protocol_do() {
    let mut scratch = Scratch::default();
    for route in [Route::DatadogTracesV04, Route::DatadogTracesV05] {
        let (mut read, mut refused) = (0, 0);
        for seed in 0..SEEDS {
            let mut random = Random::new(seed);
            let body = body(route, &mut random);
            assert!(expected(route, &body).is_some(), "{route:?} seed {seed}");
            for round in 0..20 {
                let damaged = damage(&body, &mut random);
                let context = format!("{route:?} seed {seed} round {round}: {damaged:02x?}");
                let ours = decode_both(route, &damaged, &mut scratch);
                match (ours, expected(route, &damaged)) {
                    (Ok((verdict, _)), Some(counts)) => {
                        assert_eq!((verdict.spans, verdict.rejected), counts, "{context}");
                        read += 1;
                    }
                    (Err(_), None) => refused += 1,
                    // Nothing at all is discovery.
                    (Ok(_), None) if damaged.is_empty() => {}
                    (ours, theirs) => {
                        panic!("{:?}, not {theirs:?}, {context}", ours.map(|(verdict, _)| verdict))
                    }
                }
            }
        }
        assert!(read > 1000 && refused > 1000, "{route:?}: {read} read, {refused} refused");
    }
}

fn spans(body: &[u8]) -> Vec<SpanRecord> {
    let mut scratch = Scratch::default();
    let (_, records) = decode_both(Route::DatadogTracesV05, body, &mut scratch).unwrap();
    let span = |record| match record {
        Record::Span(span) => Some(*span),
        _ => None,
    };
    records.into_iter().filter_map(span).collect()
}

/// References and numbers of every width, ids with a sign, text in place of a reference, and a
/// dictionary with text that is not UTF-8, with bytes, and with nothing.
#[test]
fn odd_forms_of_version_5_are_read() {
    let texts = b"\x96\xa0\xa4shop\xa2\xff\xfe\xc0\xc4\x02bn\xa1k";
    let span = |fields: &[&[u8]]| {
        [&b"\x92"[..], texts, b"\x91\x91\x9c", &fields.concat(), b"\x80\x80\x00"].concat()
    };
    let wide = span(&[
        b"\xcf\0\0\0\0\0\0\0\x01",
        b"\xcd\0\x02",
        b"\xd0\x04",
        b"\xff",
        b"\xd3\x80\0\0\0\0\0\0\x01",
        b"\xd1\xff\xfe",
        b"\xd3\x17\x97\x9c\xfe\x36\x2a\x00\x00",
        b"\xce\0\0\0\x05",
        b"\xd2\xff\xff\xff\xff",
    ]);
    let found = &spans(&wide)[0];
    assert_eq!(found.name, "\u{fffd}\u{fffd}");
    assert_eq!(found.trace_id[8..], [0xff; 8]);
    assert_eq!(found.span_id, [0x80, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(found.parent_span_id, Some([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe]));
    assert_eq!((found.start_time_nanos, found.duration_nanos), (1_700_000_000_000_000_000, 5));
    assert_eq!(found.status_code, inrush::batch::record::StatusCode::Error);

    let ids: &[&[u8]] = &[b"\x01", b"\x02", b"\x00", b"\x00", b"\x00", b"\x00"];
    // Nothing in the dictionary is the empty text; text itself, and nothing, stand for references.
    for (name, expected) in [
        (&b"\x03"[..], "unnamed_operation"),
        (b"\xa3raw", "raw"),
        (b"\xc0", "unnamed_operation"),
        (b"\x05", "k"),
    ] {
        let body = span(&[&[b"\x01", name, b"\x04"][..], ids].concat());
        let found = &spans(&body)[0];
        assert_eq!(found.name, expected);
        assert!(format!("{:?}", found.attributes).contains("bn"), "{found:?}");
    }
    for name in [&b"\x06"[..], b"\xff", b"\xd3\xff\xff\xff\xff\xff\xff\xff\xff", b"\xc2", b"\x90"] {
        let body = span(&[&[b"\x01", name, b"\x04"][..], ids].concat());
        let error = decode_both(Route::DatadogTracesV05, &body, &mut Scratch::default());
        assert_eq!(error.unwrap_err().path.to_string(), "traces[0].spans[0].name");
        assert_eq!(expected(Route::DatadogTracesV05, &body), None);
    }
}
