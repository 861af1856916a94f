//! RFC 7541, section 4 (and 2.3, 6.3): the dynamic table, its size, and who changes it.

use super::blocks::{
    INDEXED, NEVER_INDEXED, NOT_INDEXED, Pairs, decode, decode_fresh, indexed, literal, pairs,
    refuses, size_update, string, table,
};
use inrush::http::http2::hpack::{Decoder, HpackError};

fn names(table: &Pairs) -> String {
    table.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(" ")
}

/// A decoder with a table of this size that has read these names, each of one byte, without values.
fn with_entries(size: usize, entries: &str) -> Decoder {
    let mut decoder = Decoder::new();
    let blocks = entries.split(' ').flat_map(|name| literal(INDEXED, name, ""));
    let block: Vec<u8> = size_update(size).into_iter().chain(blocks).collect();
    decode(&mut decoder, &block).unwrap();
    decoder
}

/// 4.1: name, value and 32.
#[test]
fn an_entry_costs_its_bytes_and_32() {
    assert_eq!(names(&table(&mut with_entries(99, "a b c"))), "c b a");
    assert_eq!(names(&table(&mut with_entries(98, "a b c"))), "c b");
    // As decoded: Huffman code does not make an entry smaller. `www.example.com` is 12 bytes in it.
    let mut decoder = Decoder::new();
    decode(&mut decoder, &size_update(32 + 10 + 15 - 1)).unwrap();
    decode(&mut decoder, &super::blocks::hex("41 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff")).unwrap();
    assert_eq!(table(&mut decoder), []);
}

/// 2.3.2 and 4.4: the oldest go first, and the newest has the lowest index.
#[test]
fn the_oldest_are_evicted_first() {
    let mut decoder = with_entries(100, "a b c d e");
    assert_eq!(names(&table(&mut decoder)), "e d c");
    // One of two entries' size takes the place of two.
    decode(&mut decoder, &literal(INDEXED, &"f".repeat(34), "")).unwrap();
    assert_eq!(names(&table(&mut decoder)), format!("{} e", "f".repeat(34)));
}

/// 4.4: larger than the table empties it, and is a field all the same.
#[test]
fn an_entry_larger_than_the_table_empties_it() {
    for (value_length, expected) in [(67, 1), (68, 0)] {
        let mut decoder = with_entries(100, "a b c");
        let value = "x".repeat(value_length);
        let fields = decode(&mut decoder, &literal(INDEXED, "n", &value));
        assert_eq!(fields, Ok(pairs(&[("n", &value)])));
        assert_eq!(table(&mut decoder).len(), expected);
    }
}

/// 4.4: a new entry may take its name from the one that it evicts.
#[test]
fn a_name_outlives_the_entry_that_it_came_from() {
    let mut decoder = with_entries(40, "oldest");
    let block = [vec![0x40 | 62], string("12")].concat();
    assert_eq!(decode(&mut decoder, &block), Ok(pairs(&[("oldest", "12")])));
    assert_eq!(table(&mut decoder), pairs(&[("oldest", "12")]));
}

/// 2.3.2: duplicates are entries of their own.
#[test]
fn an_entry_may_stand_twice() {
    assert_eq!(names(&table(&mut with_entries(4096, "a a a"))), "a a a");
}

/// 4.3: a lower size evicts at once, also where it rises again behind.
#[test]
fn a_lower_size_evicts_at_once() {
    let mut decoder = with_entries(4096, "a b c");
    decode(&mut decoder, &size_update(66)).unwrap();
    assert_eq!(names(&table(&mut decoder)), "c b");
    decode(&mut decoder, &[size_update(33), size_update(4096)].concat()).unwrap();
    assert_eq!(names(&table(&mut decoder)), "c");
    decode(&mut decoder, &[size_update(0), size_update(4096)].concat()).unwrap();
    assert_eq!(table(&mut decoder), []);
}

/// 4.2 and 6.3: zero is a size, our maximum is one, and above it is an error.
#[test]
fn a_size_is_at_most_what_was_agreed() {
    for good in [0, 1, 4095, 4096] {
        assert_eq!(decode_fresh(&size_update(good)), Ok(Vec::new()));
    }
    for bad in [4097, 65_536, 1 << 24] {
        refuses(&size_update(bad), HpackError::SizeUpdateTooLarge);
    }
    assert_eq!(table(&mut with_entries(0, "a")), []);
}

/// The table never holds more than 4096 bytes, and then as many entries as fit.
#[test]
fn the_table_has_the_default_size() {
    let mut decoder = Decoder::new();
    for round in 0..1000 {
        decode(&mut decoder, &literal(INDEXED, &format!("{round:03}"), "")).unwrap();
    }
    assert_eq!(table(&mut decoder).len(), 4096 / 35);
    assert_eq!(table(&mut decoder)[0].0, "999");
}

/// 4.2: an update stands at the start of its block; a lower size and the final one are two.
#[test]
fn size_updates_stand_at_a_blocks_start() {
    let field = indexed(2);
    let misplaced = HpackError::SizeUpdateMisplaced;
    refuses(&[field.clone(), size_update(100)].concat(), misplaced);
    refuses(&[literal(NOT_INDEXED, "a", "b"), size_update(100)].concat(), misplaced);
    refuses(&[literal(NEVER_INDEXED, "a", "b"), size_update(100)].concat(), misplaced);
    refuses(&[literal(INDEXED, "a", "b"), size_update(100)].concat(), misplaced);
    let two = [size_update(0), size_update(100)].concat();
    assert_eq!(decode_fresh(&two), Ok(Vec::new()));
    assert_eq!(decode_fresh(&[two.clone(), field].concat()), Ok(pairs(&[(":method", "GET")])));
    refuses(&[two, size_update(100)].concat(), misplaced);
}

/// 2.2: the table holds for the connection, whatever becomes of the fields.
#[test]
fn fields_beyond_the_limits_still_fill_the_table() {
    let mut decoder = Decoder::new();
    let block = [literal(NOT_INDEXED, "pad", "x").repeat(101), literal(INDEXED, "kept", "1")];
    let mut list = inrush::http::http2::hpack::FieldList::new();
    decoder.decode(&block.concat(), &mut list).unwrap();
    assert!(list.is_over_limit());
    assert_eq!(table(&mut decoder), pairs(&[("kept", "1")]));
}
