//! Remote write 1.0 against prost.

use inrush::decode::Scratch;
use inrush::envelope::Route;
use prost::Message as _;

use crate::compare::{Difference, Pair};
use crate::support::bodies::{self, Random};
use crate::support::generate::write_request;
use crate::support::mutate::{WRITE_REQUEST, mutate};
use crate::support::oracle;

pub const PAIR: Pair = Pair {
    route: Route::RemoteWrite,
    oracle: oracle::remote_write,
    differences: &[Difference::GroupNestingBelowProst, Difference::OtherVersionRefused],
};

#[test]
fn every_kind_of_message_gives_the_records_of_prost() {
    let mut scratch = Scratch::default();
    let mut accepted = 0;
    for seed in 0..3000 {
        let body = write_request(&mut Random::new(seed)).encode_to_vec();
        accepted += usize::from(PAIR.compare(&body, &mut scratch, &format!("seed {seed}")));
    }
    assert!(accepted > 1500, "the generator must make bodies that are accepted: {accepted}");
}

#[test]
fn any_encoding_of_a_message_gives_the_records_of_prost() {
    let mut scratch = Scratch::default();
    let mut accepted = 0;
    for seed in 0..4000 {
        let mut random = Random::new(seed);
        let body = write_request(&mut random).encode_to_vec();
        let body = mutate(&mut random, &body, &WRITE_REQUEST);
        accepted += usize::from(PAIR.compare(&body, &mut scratch, &format!("seed {seed}")));
    }
    assert!(accepted > 800, "{accepted}");
}

#[test]
fn damaged_messages_are_refused_or_read_as_prost_does() {
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let mut body = write_request(&mut random).encode_to_vec();
        if seed % 2 == 0 {
            body = mutate(&mut random, &body, &WRITE_REQUEST);
        }
        PAIR.compare_damaged(&body, seed, 100);
    }
    PAIR.compare_damaged(&bodies::remote_write(1, 12), 1, 5000);
}

#[test]
fn a_message_cut_anywhere_is_refused_or_read_as_prost_does() {
    let body = bodies::remote_write(2, 14);
    assert!(body.len() >= 4096);
    PAIR.compare_cuts(&body, "typical body");

    let mut random = Random::new(3);
    let mut all = Vec::new();
    while all.len() < 4096 {
        let body = write_request(&mut random).encode_to_vec();
        let body = mutate(&mut random, &body, &WRITE_REQUEST);
        if PAIR.compare(&body, &mut Scratch::default(), "seed 3") {
            all.extend_from_slice(&body);
        }
    }
    PAIR.compare_cuts(&all, "seed 3");
}
