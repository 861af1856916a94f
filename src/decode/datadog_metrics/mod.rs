//! Datadog metrics: series of both versions of the API, and the sketches of distributions.
//!
//! ```text
//! json.rs       {"series":[…]}   V1, and V2 as API clients write it: one reader for both
//! series.rs     MetricPayload    V2 as the Agent writes it
//! sketches.rs   SketchPayload    bins.rs   an Agent's sketch as an exponential histogram
//! tags.rs       host, tags and resources as resource and labels
//! point.rs      type, interval, time and value as a sample
//! ```
//!
//! To OpenTelemetry: a count is a delta sum that is not monotonic and began an interval before its time;
//! a rate is the same, its value times the interval (an unknown interval is one second); everything
//! else is a gauge, also a series without a type, as most clients of V1 leave it out. `metadata.origin`
//! says which part of an Agent made a series, in numbers of its own, and is not kept.
//!
//! What is wrong with a point rejects that point; a series without a name, all its points. A body that
//! cannot be read is refused whole.
#![deny(clippy::indexing_slicing)]

mod bins;
mod json;
mod point;
mod series;
mod sketches;
mod tags;

#[cfg(test)]
mod tests;

use super::{DecodeError, Verdict};
use crate::batch::RecordSink;
use crate::envelope::{Envelope, FieldId, Route};

/// Memory reused from body to body; the pass that only counts uses none of it.
#[derive(Default)]
pub struct Scratch {
    tags: tags::Tags,
    bins: bins::Bins,
}

/// Walks a decompressed body. Zero bytes are a body without series: an Agent sends such to keep its
/// connection open.
pub fn decode<S: RecordSink>(
    envelope: &Envelope<'_>,
    payload: &[u8],
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<Verdict, DecodeError> {
    scratch.tags.begin_body();
    let arrival_nanos = i64::try_from(envelope.arrival_nanos).unwrap_or(i64::MAX);
    let is_json = match envelope.route {
        Route::DatadogSeriesV1 => true,
        Route::DatadogSketches => {
            return sketches::decode(payload, arrival_nanos, scratch, sink);
        }
        _ => is_json(envelope.fields.find(FieldId::ContentType), payload),
    };
    if is_json {
        json::decode(payload, arrival_nanos, scratch, sink)
    } else {
        series::decode(payload, arrival_nanos, scratch, sink)
    }
}

/// A media type that names neither says nothing. Then the first byte tells: `{`, also behind blanks, would
/// be a protobuf tag of a group that no message here has. A line feed is the tag of every field 1, and
/// `{` behind it a length of 123: such a body is protobuf.
fn is_json(media_type: Option<&[u8]>, payload: &[u8]) -> bool {
    let media_type = media_type.unwrap_or_default();
    let media_type = media_type.split(|&byte| byte == b';').next().unwrap_or_default();
    let names = |word: &[u8]| {
        media_type.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
    };
    if names(b"json") || names(b"protobuf") {
        return names(b"json");
    }
    payload.first() != Some(&b'\n')
        && payload.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
}
