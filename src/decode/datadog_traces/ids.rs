//! The high halves of the trace ids of one chunk.
//!
//! A span has the low 64 bits; the rest is in a tag of the chunk's first span, or in one of every
//! span, or nowhere. A chunk may hold several traces.
#![deny(clippy::indexing_slicing)]

use super::Common;
use super::span::{Form, RawSpan, each_meta};
use crate::decode::wire::hex;
use crate::limits;

#[derive(Default)]
pub struct HighHalves {
    /// Low and high half, sorted once all are known.
    pairs: Vec<(u64, u64)>,
    /// Of traces without their own.
    of_chunk: u64,
}

impl HighHalves {
    pub fn clear(&mut self) {
        self.pairs.clear();
        self.pairs.shrink_to(limits::LARGE_BODY / 256);
        self.of_chunk = 0;
    }

    pub fn note(&mut self, span: &RawSpan<'_>, form: Form<'_>) {
        each_meta(span.meta, form, |key, value| match key {
            b"_dd.p.tid" => {
                if let Some(high) = high_half(value) {
                    self.pairs.push((span.trace_id, high));
                }
            }
            // The Rust tracer has it here, and nowhere else.
            b"otel.trace_id" => {
                if let Some(id) = hex::id::<16>(value)
                    && let (Some(high), Some(low)) = (id.first_chunk::<8>(), id.last_chunk::<8>())
                    && u64::from_be_bytes(*low) == span.trace_id
                {
                    self.pairs.push((span.trace_id, u64::from_be_bytes(*high)));
                }
            }
            _ => {}
        });
    }

    pub fn finish(&mut self, common: &Common<'_>) {
        each_meta(common.chunk_tags, Form::Map, |key, value| {
            if key == b"_dd.p.tid" {
                self.of_chunk = high_half(value).unwrap_or_default();
            }
        });
        // The first that says it, of those that say it.
        self.pairs.sort_by_key(|pair| pair.0);
        self.pairs.dedup_by_key(|pair| pair.0);
    }

    pub fn find(&self, low: u64) -> u64 {
        let found = self.pairs.binary_search_by_key(&low, |pair| pair.0);
        let pair = found.ok().and_then(|place| self.pairs.get(place));
        pair.map_or(self.of_chunk, |pair| pair.1)
    }
}

/// Sixteen lowercase digits; anything else is none.
fn high_half(text: &[u8]) -> Option<u64> {
    if text.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    hex::id::<8>(text).map(u64::from_be_bytes)
}
