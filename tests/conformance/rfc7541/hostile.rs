//! Blocks that were not made by an encoder: bounded work and memory, an error or fields, no panic.

use super::appendix_c_examples::{
    REQUESTS_HUFFMAN, REQUESTS_PLAIN, RESPONSES_HUFFMAN, RESPONSES_PLAIN,
};
use super::blocks::{INDEXED, NOT_INDEXED, decode, hex, indexed, literal, number, pairs_of, table};
use super::section_5_primitives::pack;
use crate::support::Random;
use inrush::http::http2::hpack::{Decoder, FieldList, HpackError};

fn blocks() -> Vec<Vec<u8>> {
    [REQUESTS_PLAIN, REQUESTS_HUFFMAN, RESPONSES_PLAIN, RESPONSES_HUFFMAN]
        .iter()
        .flatten()
        .map(|block| hex(block))
        .collect()
}

/// A block that breaks off is an error, or a start of the whole's fields; the table goes along.
#[test]
fn blocks_cut_at_each_index() {
    for stories in [REQUESTS_PLAIN, REQUESTS_HUFFMAN, RESPONSES_PLAIN, RESPONSES_HUFFMAN] {
        for last in 0..stories.len() {
            let block = hex(stories[last]);
            let warm = || {
                let mut decoder = Decoder::new();
                for before in &stories[..last] {
                    decode(&mut decoder, &hex(before)).unwrap();
                }
                decoder
            };
            let whole = decode(&mut warm(), &block).unwrap();
            let mut ends = 0;
            for cut in 0..block.len() {
                match decode(&mut warm(), &block[..cut]) {
                    Ok(fields) => {
                        assert!(whole.starts_with(&fields), "cut at {cut}");
                        assert!(fields.len() < whole.len());
                        ends += 1;
                    }
                    Err(error) => assert_eq!(error, HpackError::Truncated, "cut at {cut}"),
                }
            }
            assert_eq!(ends, whole.len(), "one cut in front of each field is none");
        }
    }
}

/// One large entry that is named again and again; many fields of nothing; one huge string.
#[test]
fn floods_are_ended() {
    let mut decoder = Decoder::new();
    decode(&mut decoder, &literal(INDEXED, "n", &"x".repeat(4000))).unwrap();
    let mut list = FieldList::new();
    let flood = Err(HpackError::Flood);
    assert_eq!(decoder.decode(&indexed(62).repeat(60_000), &mut list), flood);
    assert!(list.bytes().len() <= 140 * 1024, "{}", list.bytes().len());
    assert!(list.places().len() <= 100);
    list.clear();
    assert_eq!(Decoder::new().decode(&indexed(2).repeat(60_000), &mut list), flood);
    assert!(list.places().len() <= 100);
    // Five bits a byte: the longest text that a block can hold.
    let coded = pack(&[(0x0, 5); 8 * 150_000 / 5]);
    let block = [vec![NOT_INDEXED, 1, b'a'], number(0x80, 7, coded.len()), coded].concat();
    list.clear();
    let result = Decoder::new().decode(&block, &mut list);
    assert!(result.is_ok() && list.is_over_limit() || result == flood, "{result:?}");
    assert!(list.bytes().len() <= 280 * 1024, "{}", list.bytes().len());
}

/// Fields and table stay within their limits whatever comes, and the same bytes mean the same twice.
#[test]
fn mutated_blocks() {
    let seed = std::env::var("HPACK_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        u64::from(now.subsec_nanos())
    });
    println!("HPACK_SEED={seed}");
    let mut random = Random::new(seed);
    let blocks = blocks();
    let (mut good, mut bad) = (0, 0);
    for _ in 0..3000 {
        let (mut first, mut second) = (Decoder::new(), Decoder::new());
        // A few blocks on one connection, up to the first that is broken.
        for _ in 0..6 {
            let mut block = random.pick(&blocks).clone();
            for _ in 0..random.below(4) {
                let place = random.below(block.len());
                match random.below(5) {
                    0 => block[place] ^= 1 << random.below(8),
                    1 => block[place] = u8::try_from(random.below(256)).unwrap(),
                    2 => block.insert(place, *random.pick(&[0x80, 0xff, 0x20, 0x3f, 0xbe, 0x7f])),
                    3 => block.truncate(place.max(1)),
                    _ => block.extend_from_within(place..),
                }
            }
            let (mut one, mut other) = (FieldList::new(), FieldList::new());
            let result = first.decode(&block, &mut one);
            assert_eq!(second.decode(&block, &mut other), result);
            assert_eq!(pairs_of(&one), pairs_of(&other));
            assert!(one.bytes().len() <= 140 * 1024 && one.places().len() <= 100);
            if result.is_err() {
                bad += 1;
                break;
            }
            good += 1;
            let kept = table(&mut first);
            let size: usize = kept.iter().map(|(name, value)| name.len() + value.len() + 32).sum();
            // Bytes that are no ASCII are shown by four.
            assert!(size <= 4 * 4096 && kept.len() <= 128, "{size}");
        }
    }
    assert!(good > 500 && bad > 500, "{good} good, {bad} bad");
}
