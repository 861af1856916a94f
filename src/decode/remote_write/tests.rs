//! Remote write 1.0: the traps of the format, one test each. The comparison with prost is in
//! `tests/differential.rs`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;
use crate::batch::Validating;
use crate::envelope::{Codings, RequestFields, Route};

#[path = "../../../perf/bodies.rs"]
mod bodies;

fn envelope() -> Envelope<'static> {
    Envelope {
        route: Route::RemoteWrite,
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
    let body = bodies::remote_write(7, 50);
    assert!((300..400).contains(&(body.len() / 50)), "{}", body.len() / 50);
    assert_eq!(validate(&body).unwrap().samples, 50);
}
