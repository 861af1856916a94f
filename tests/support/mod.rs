//! What tests and benches of the decoders share: owned records, an oracle, generators of messages.
#![allow(dead_code, reason = "each of the programs that include this folder uses a part of it")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

#[path = "../../perf/bodies.rs"]
pub mod bodies;
pub mod generate;
#[rustfmt::skip]
#[path = "../../proto/generated/mod.rs"]
#[allow(clippy::all, clippy::pedantic, reason = "generated")]
pub mod messages;
pub mod mutate;
pub mod oracle;
pub mod record;

use inrush::decode::{DecodeError, Scratch, Verdict, decode};
use inrush::envelope::{Codings, Envelope, RequestFields, Route};
use record::{Record, Recording};

/// When every body of these tests arrived.
pub const ARRIVAL_NANOS: u64 = 1_767_225_600_123_456_789;

pub fn envelope(route: Route) -> Envelope<'static> {
    Envelope {
        route,
        codings: Codings::IDENTITY,
        tenant: "tenant",
        arrival_nanos: ARRIVAL_NANOS,
        fields: RequestFields::EMPTY,
    }
}

/// Our decoder's records, after it has said the same with the sink that only counts.
pub fn decode_both(
    route: Route,
    payload: &[u8],
    scratch: &mut Scratch,
) -> Result<(Verdict, Vec<Record>), DecodeError> {
    let mut recording = Recording::default();
    let filled = decode(&envelope(route), payload, scratch, &mut recording);
    let validated = decode(&envelope(route), payload, scratch, &mut inrush::batch::Validating);
    assert_eq!(filled, validated, "the sink must not change the verdict");
    let verdict = filled?;
    Ok((verdict, recording.finish(&verdict)))
}
