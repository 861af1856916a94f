//! One body, two decoders, one answer; and the three ways to damage a body.

use inrush::decode::{Fault, Scratch};
use inrush::envelope::Route;

use crate::support::bodies::Random;
use crate::support::decode_both;
use crate::support::oracle::Refusal;
use crate::support::record::{Record, by_kind};

/// Where we answer otherwise than prost, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// prost refuses text that is not UTF-8. In OTLP it does arrive, and replacing it beats losing
    /// the batch.
    TextNotUtf8Tolerated,
    /// prost counts nested messages up to 100, of which an AnyValue takes two or three; we count
    /// values up to 64.
    NestingCountedInValues,
    /// prost lets unknown groups nest to 100, we to 64.
    GroupNestingBelowProst,
    /// To prost, a field of the other version of remote write is a field it does not know.
    OtherVersionRefused,
}

impl Difference {
    fn between(ours: &Result<(), Fault>, oracle: &Result<(), Refusal>) -> Option<Self> {
        match (ours, oracle) {
            (Ok(()), Err(Refusal::Wire(cause))) if cause.contains("UTF-8") => {
                Some(Self::TextNotUtf8Tolerated)
            }
            (Ok(()), Err(Refusal::Wire(cause))) if cause.contains("recursion limit") => {
                Some(Self::NestingCountedInValues)
            }
            (Err(Fault::NestingOverLimit), Ok(())) => Some(Self::GroupNestingBelowProst),
            (Err(Fault::RemoteWriteIs2), Ok(())) => Some(Self::OtherVersionRefused),
            _ => None,
        }
    }
}

pub struct Pair {
    pub route: Route,
    pub oracle: fn(&[u8]) -> Result<Vec<Record>, Refusal>,
    /// The differences this protocol may show.
    pub differences: &'static [Difference],
}

impl Pair {
    /// Decodes `body` both ways and compares. `context` tells how to make the body again.
    pub fn compare(&self, body: &[u8], scratch: &mut Scratch, context: &str) -> bool {
        let ours = decode_both(self.route, body, scratch);
        let oracle = (self.oracle)(body);
        match (ours, oracle) {
            (Ok((_, ours)), Ok(oracle)) => {
                let (ours, oracle) = (by_kind(ours), by_kind(oracle));
                for (index, (ours, oracle)) in ours.iter().zip(&oracle).enumerate() {
                    assert_eq!(ours, oracle, "record {index}, {context}");
                }
                assert_eq!(ours.len(), oracle.len(), "{context}");
                true
            }
            (Err(error), Err(_)) => {
                assert!(error.offset <= body.len() as u64, "{error} in {}, {context}", body.len());
                false
            }
            (ours, oracle) => {
                let verdicts = (ours.map(|_| ()).map_err(|error| error.fault), oracle.map(|_| ()));
                let difference = Difference::between(&verdicts.0, &verdicts.1);
                assert!(
                    difference.is_some_and(|found| self.differences.contains(&found)),
                    "{verdicts:?}, {context}"
                );
                false
            }
        }
    }

    /// Every beginning of `body`.
    pub fn compare_cuts(&self, body: &[u8], context: &str) {
        let mut scratch = Scratch::default();
        for end in 0..=body.len() {
            self.compare(&body[..end], &mut scratch, &format!("cut at {end}, {context}"));
        }
    }

    /// `body` with a few bits turned, bytes replaced, parts removed or doubled.
    pub fn compare_damaged(&self, body: &[u8], seed: u64, rounds: usize) {
        let mut scratch = Scratch::default();
        let mut random = Random::new(seed);
        for round in 0..rounds {
            let damaged = damage(body, &mut random);
            self.compare(&damaged, &mut scratch, &format!("seed {seed} round {round}"));
        }
    }
}

/// `body` with a few bits turned, bytes replaced, parts removed or doubled.
pub fn damage(body: &[u8], random: &mut Random) -> Vec<u8> {
    let mut damaged = body.to_vec();
    for _ in 0..=random.below(3) {
        if damaged.is_empty() {
            break;
        }
        let place = random.below(damaged.len());
        match random.below(5) {
            0 => damaged[place] = random.draw() as u8,
            1 => {
                damaged.remove(place);
            }
            2 => damaged.insert(place, random.draw() as u8),
            3 => {
                let end = (place + random.below(40)).min(damaged.len());
                let part = damaged[place..end].to_vec();
                damaged.splice(place..place, part);
            }
            _ => damaged[place] ^= 1 << random.below(8),
        }
    }
    damaged
}
