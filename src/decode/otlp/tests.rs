//! OTLP: the traps of the format, one test each. The comparison with prost is in
//! `tests/differential.rs`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;
use crate::batch::Validating;
use crate::envelope::{Codings, RequestFields, Route};

#[path = "../../../perf/bodies.rs"]
mod bodies;

fn envelope() -> Envelope<'static> {
    Envelope {
        route: Route::OtlpLogs,
        codings: Codings::IDENTITY,
        tenant: "tenant",
        arrival_nanos: 1,
        fields: RequestFields::EMPTY,
    }
}

fn validate(payload: &[u8]) -> Result<Verdict, DecodeError> {
    decode(&envelope(), payload, &mut Scratch::default(), &mut Validating)
}

#[test]
fn a_typical_body_is_whole() {
    let body = bodies::otlp_logs(7, 100);
    assert!((300..420).contains(&(body.len() / 100)), "{}", body.len() / 100);
    assert_eq!(validate(&body).unwrap().logs, 100);
}
