//! Remote write 2.0 against prost, and against 1.0 where both can say the same.

use std::collections::BTreeSet;

use inrush::batch::RejectCause;
use inrush::decode::{Fault, Scratch};
use inrush::envelope::Route;
use prost::Message as _;

use crate::compare::damage;
use crate::support::bodies::{self, Random};
use crate::support::generate::write_request_2;
use crate::support::mutate::{WRITE_REQUEST_2, mutate, mutate_ordered};
use crate::support::oracle::{self, Refusal};
use crate::support::record::{Record, by_kind};
use crate::support::{decode_both, decode_both_2};

/// Records that were kept without metadata, what was said of families, and causes in any order: the
/// oracle has a list for each kind of record, we the order of the wire.
fn sorted(records: Vec<Record>) -> (Vec<Record>, BTreeSet<String>, Vec<RejectCause>) {
    let mut kept = Vec::new();
    let mut families = BTreeSet::new();
    let mut causes = Vec::new();
    for record in records {
        match record {
            Record::Rejected(cause) => causes.push(cause),
            Record::Metadata { .. } => drop(families.insert(format!("{record:?}"))),
            other => kept.push(other),
        }
    }
    (by_kind(kept), families, coarse(causes))
}

/// Why a histogram is refused first depends on the order of the checks.
fn coarse(mut causes: Vec<RejectCause>) -> Vec<RejectCause> {
    for cause in &mut causes {
        if matches!(
            cause,
            RejectCause::HistogramSchemaUnknown
                | RejectCause::HistogramSpansContradictBuckets
                | RejectCause::HistogramCountContradictsBuckets
                | RejectCause::HistogramCountInvalid
                | RejectCause::HistogramBoundsInvalid
                | RejectCause::OverLimit
        ) {
            *cause = RejectCause::Inconsistent;
        }
    }
    causes.sort_by_key(|cause| format!("{cause:?}"));
    causes
}

#[derive(Default, Debug)]
pub struct Tally {
    pub whole: usize,
    part: usize,
    pub refused: usize,
}

pub fn compare(body: &[u8], scratch: &mut Scratch, tally: &mut Tally, context: &str) {
    match (decode_both_2(body, scratch), oracle::remote_write_2(body)) {
        (Ok((verdict, ours)), Ok((kept, causes))) => {
            let ours = sorted(ours);
            let theirs = sorted(kept);
            for (index, (ours, theirs)) in ours.0.iter().zip(&theirs.0).enumerate() {
                assert_eq!(ours, theirs, "record {index}, {context}");
            }
            assert_eq!(ours.0.len(), theirs.0.len(), "{context}");
            assert_eq!(ours.1, theirs.1, "{context}");
            assert_eq!(ours.2, coarse(causes), "{context}");
            assert_eq!(verdict.metadata, 0);
            match verdict.rejected {
                0 => tally.whole += 1,
                _ => tally.part += 1,
            }
        }
        (Err(error), Err(_)) => {
            assert!(error.offset <= body.len() as u64, "{error}, {context}");
            tally.refused += 1;
        }
        // prost lets unknown groups nest to 100, we to 64.
        (Err(error), Ok(_)) if error.fault == Fault::NestingOverLimit => {}
        // To prost, a field of 1.0 is a field it does not know.
        (Err(error), Ok(_)) if error.fault == Fault::RemoteWriteIs1 => {}
        (Err(error), Ok(_)) => panic!("we refuse: {error}, {context}"),
        (Ok(_), Err(refusal)) => panic!("prost refuses: {refusal:?}, {context}"),
    }
}

#[test]
fn every_kind_of_message_gives_the_records_of_prost() {
    let mut scratch = Scratch::default();
    let mut tally = Tally::default();
    for seed in 0..6000 {
        let body = write_request_2(&mut Random::new(seed)).encode_to_vec();
        compare(&body, &mut scratch, &mut tally, &format!("seed {seed}"));
    }
    assert!(tally.whole > 1000 && tally.part > 1000 && tally.refused > 100, "{tally:?}");
}

#[test]
fn any_encoding_of_a_message_gives_the_records_of_prost() {
    let mut scratch = Scratch::default();
    let mut tally = Tally::default();
    for seed in 0..6000 {
        let mut random = Random::new(seed);
        let body = write_request_2(&mut random).encode_to_vec();
        // Symbols before, behind and between the series, in their order.
        let body = mutate_ordered(&mut random, &body, &WRITE_REQUEST_2, 4);
        compare(&body, &mut scratch, &mut tally, &format!("seed {seed}"));
    }
    assert!(tally.whole > 500 && tally.part > 500 && tally.refused > 100, "{tally:?}");
}

#[test]
fn damaged_messages_are_refused_or_read_as_prost_does() {
    let mut scratch = Scratch::default();
    let mut tally = Tally::default();
    let mut rounds = |body: &[u8], seed: u64, count: usize| {
        let mut random = Random::new(seed);
        for round in 0..count {
            let damaged = damage(body, &mut random);
            compare(&damaged, &mut scratch, &mut tally, &format!("seed {seed} round {round}"));
        }
    };
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let mut body = write_request_2(&mut random).encode_to_vec();
        if seed % 2 == 0 {
            body = mutate(&mut random, &body, &WRITE_REQUEST_2);
        }
        rounds(&body, seed, 100);
    }
    rounds(&bodies::remote_write_2(1, 12), 1, 5000);
    assert!(tally.whole > 500 && tally.part > 500 && tally.refused > 5000, "{tally:?}");
}

#[test]
fn a_message_cut_anywhere_is_refused_or_read_as_prost_does() {
    let mut scratch = Scratch::default();
    let mut tally = Tally::default();
    let mut cuts = |body: &[u8], context: &str| {
        for end in 0..=body.len() {
            let context = format!("cut at {end}, {context}");
            compare(&body[..end], &mut scratch, &mut tally, &context);
        }
    };
    cuts(&bodies::remote_write_2(2, 14), "typical body");
    for seed in 0..12 {
        let mut random = Random::new(seed);
        let body = write_request_2(&mut random).encode_to_vec();
        cuts(&mutate_ordered(&mut random, &body, &WRITE_REQUEST_2, 4), &format!("seed {seed}"));
    }
}

/// The same samples in both versions are the same records, but for metadata.
#[test]
fn both_versions_of_a_scrape_give_the_same_records() {
    let mut scratch = Scratch::default();
    for seed in 0..20 {
        let (_, first) =
            decode_both(Route::RemoteWrite, &bodies::remote_write(seed, 200), &mut scratch)
                .unwrap();
        let (verdict, second) =
            decode_both_2(&bodies::remote_write_2(seed, 200), &mut scratch).unwrap();
        let (second, families, causes) = sorted(second);
        assert!(by_kind(first) == second, "seed {seed}");
        assert_eq!((verdict.samples, families.len(), causes.len()), (200, 8, 0), "seed {seed}");
    }
}

/// What is at stake: an oracle that says the same of everything would agree with anything.
#[test]
fn the_oracle_tells_faults_apart() {
    assert!(matches!(oracle::remote_write_2(&[0x22]), Err(Refusal::Wire(_))));
    assert!(matches!(oracle::remote_write_2(&[0x22, 1, b'x']), Err(Refusal::Meaning(_))));
    assert!(matches!(oracle::remote_write_2(&[0x22, 0]), Ok((kept, _)) if kept.is_empty()));
}
