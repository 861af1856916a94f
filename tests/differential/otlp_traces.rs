//! OTLP traces against prost.

use inrush::decode::Scratch;
use inrush::envelope::Route;
use prost::Message as _;

use crate::compare::{Difference, Pair};
use crate::support::bodies::{self, Random};
use crate::support::generate::traces_request;
use crate::support::mutate::{TRACES_REQUEST, mutate};
use crate::support::oracle;

pub const PAIR: Pair = Pair {
    route: Route::OtlpTraces,
    oracle: oracle::otlp_traces,
    differences: &[
        Difference::TextNotUtf8Tolerated,
        Difference::NestingCountedInValues,
        Difference::GroupNestingBelowProst,
    ],
};

#[test]
fn every_kind_of_message_gives_the_records_of_prost() {
    let mut scratch = Scratch::default();
    for seed in 0..3000 {
        let body = traces_request(&mut Random::new(seed)).encode_to_vec();
        assert!(PAIR.compare(&body, &mut scratch, &format!("seed {seed}")), "seed {seed}");
    }
}

#[test]
fn any_encoding_of_a_message_gives_the_records_of_prost() {
    let mut scratch = Scratch::default();
    for seed in 0..4000 {
        let mut random = Random::new(seed);
        let body = traces_request(&mut random).encode_to_vec();
        let body = mutate(&mut random, &body, &TRACES_REQUEST);
        assert!(PAIR.compare(&body, &mut scratch, &format!("seed {seed}")), "seed {seed}");
    }
}

#[test]
fn damaged_messages_are_refused_or_read_as_prost_does() {
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let mut body = traces_request(&mut random).encode_to_vec();
        if seed % 2 == 0 {
            body = mutate(&mut random, &body, &TRACES_REQUEST);
        }
        PAIR.compare_damaged(&body, seed, 100);
    }
    PAIR.compare_damaged(&bodies::otlp_traces(1, 12), 1, 5000);
}

#[test]
fn a_message_cut_anywhere_is_refused_or_read_as_prost_does() {
    let body = bodies::otlp_traces(2, 40);
    assert!(body.len() >= 4096);
    PAIR.compare_cuts(&body, "typical body");

    let mut random = Random::new(3);
    let mut all = Vec::new();
    while all.len() < 4096 {
        let body = traces_request(&mut random).encode_to_vec();
        all.extend_from_slice(&mutate(&mut random, &body, &TRACES_REQUEST));
    }
    PAIR.compare_cuts(&all, "seed 3");
}
