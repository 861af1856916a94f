//! What tests and benches of the decoders share: owned records, an oracle, generators of messages.
#![allow(dead_code, reason = "each of the programs that include this folder uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

#[path = "../../perf/bodies.rs"]
pub mod bodies;
pub mod datadog_metrics;
pub mod generate;
#[rustfmt::skip]
#[path = "../../proto/generated/mod.rs"]
#[allow(clippy::all, clippy::pedantic, reason = "generated")]
pub mod messages;
pub mod mutate;
pub mod oracle;
pub mod record;

use inrush::decode::{DecodeError, Scratch, Verdict, decode};
use inrush::envelope::{Codings, Envelope, FieldId, RequestFields, Route};
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

/// A body of remote write 2.0, which its media type tells from 1.0.
pub fn envelope_2() -> Envelope<'static> {
    static FIELDS: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| {
        let mut fields = Vec::new();
        assert!(RequestFields::push(
            &mut fields,
            FieldId::ContentType,
            bodies::REMOTE_WRITE_2_TYPE
        ));
        fields
    });
    Envelope { fields: RequestFields::new(&FIELDS), ..envelope(Route::RemoteWrite) }
}

/// [`decode_both`] of remote write 2.0.
pub fn decode_both_2(
    payload: &[u8],
    scratch: &mut Scratch,
) -> Result<(Verdict, Vec<Record>), DecodeError> {
    decode_recording(&envelope_2(), payload, scratch, Recording::with_riding_metadata())
}

/// Our decoder's records, after it has said the same with the sink that only counts.
pub fn decode_both(
    route: Route,
    payload: &[u8],
    scratch: &mut Scratch,
) -> Result<(Verdict, Vec<Record>), DecodeError> {
    decode_recording(&envelope(route), payload, scratch, Recording::default())
}

/// The same under any envelope and with any recording.
pub fn decode_recording(
    envelope: &Envelope<'_>,
    payload: &[u8],
    scratch: &mut Scratch,
    mut recording: Recording,
) -> Result<(Verdict, Vec<Record>), DecodeError> {
    let filled = decode(envelope, payload, scratch, &mut recording);
    let validated = decode(envelope, payload, scratch, &mut inrush::batch::Validating);
    assert_eq!(filled, validated, "the sink must not change the verdict");
    let verdict = filled?;
    Ok((verdict, recording.finish(&verdict)))
}
