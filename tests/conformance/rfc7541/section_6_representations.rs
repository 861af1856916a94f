//! RFC 7541, section 6: the forms of a field, and what an index may be.

use super::blocks::{
    INDEXED, NEVER_INDEXED, NOT_INDEXED, decode, decode_fresh, indexed, literal, number, pairs,
    refuses, string, table,
};
use inrush::http::http2::hpack::{Decoder, HpackError, encode};

/// 6.1
#[test]
fn index_zero_is_an_error() {
    refuses(&[0x80], HpackError::IndexZero);
}

/// 2.3.3: the static table from 1 to 61, the dynamic one behind it, and nothing beyond.
#[test]
fn an_index_is_within_the_tables() {
    assert_eq!(decode_fresh(&indexed(1)), Ok(pairs(&[(":authority", "")])));
    assert_eq!(decode_fresh(&indexed(61)), Ok(pairs(&[("www-authenticate", "")])));
    for beyond in [62, 63, 126, 127, 128, 10_000, 1 << 27] {
        refuses(&indexed(beyond), HpackError::IndexTooLarge);
        for (first, bits) in [(INDEXED, 6), (NOT_INDEXED, 4), (NEVER_INDEXED, 4)] {
            let block = [number(first, bits, beyond), string("value")].concat();
            refuses(&block, HpackError::IndexTooLarge);
        }
    }
    let mut decoder = Decoder::new();
    let block = [literal(INDEXED, "a", "b"), indexed(62)].concat();
    assert_eq!(decode(&mut decoder, &block), Ok(pairs(&[("a", "b"), ("a", "b")])));
    assert_eq!(decode(&mut decoder, &indexed(63)), Err(HpackError::IndexTooLarge));
}

/// Appendix A: all names and the values that senders use most, by their numbers.
#[test]
fn the_static_table_has_its_numbers() {
    let known = [
        (2, ":method", "GET"),
        (3, ":method", "POST"),
        (4, ":path", "/"),
        (5, ":path", "/index.html"),
        (6, ":scheme", "http"),
        (7, ":scheme", "https"),
        (8, ":status", "200"),
        (9, ":status", "204"),
        (10, ":status", "206"),
        (11, ":status", "304"),
        (12, ":status", "400"),
        (13, ":status", "404"),
        (14, ":status", "500"),
        (15, "accept-charset", ""),
        (16, "accept-encoding", "gzip, deflate"),
        (19, "accept", ""),
        (23, "authorization", ""),
        (26, "content-encoding", ""),
        (28, "content-length", ""),
        (31, "content-type", ""),
        (38, "host", ""),
        (51, "referer", ""),
        (57, "transfer-encoding", ""),
        (58, "user-agent", ""),
    ];
    for (index, name, value) in known {
        assert_eq!(decode_fresh(&indexed(index)), Ok(pairs(&[(name, value)])));
    }
}

/// 6.2: with a new name or with one of the tables; only 6.2.1 adds to the table.
#[test]
fn literals_are_indexed_or_not() {
    for (first, bits, is_kept) in
        [(INDEXED, 6, true), (NOT_INDEXED, 4, false), (NEVER_INDEXED, 4, false)]
    {
        for (block, field) in [
            (literal(first, "name", "value"), ("name", "value")),
            ([number(first, bits, 58), string("agent")].concat(), ("user-agent", "agent")),
            // The static table's value is not that of the field.
            ([number(first, bits, 2), string("PUT")].concat(), (":method", "PUT")),
        ] {
            let mut decoder = Decoder::new();
            assert_eq!(decode(&mut decoder, &block), Ok(pairs(&[field])));
            let kept = if is_kept { pairs(&[field]) } else { Vec::new() };
            assert_eq!(table(&mut decoder), kept);
        }
    }
}

/// Our own blocks: the shortest form without a table, and read back as written.
#[test]
fn our_encoder_writes_what_a_decoder_reads() {
    let mut block = Vec::new();
    encode::status(200, &mut block);
    assert_eq!(block, [0x88]);
    encode::status(415, &mut block);
    let long = "x".repeat(300);
    let fields = [
        ("content-type", "application/grpc"),
        ("grpc-status", "0"),
        (":method", "POST"),
        ("accept-encoding", "gzip, deflate"),
        ("empty", ""),
        ("accept", ""),
        ("long", &long),
    ];
    for (name, value) in fields {
        encode::field(name, value.as_bytes(), &mut block);
    }
    let mut expected = pairs(&[(":status", "200"), (":status", "415")]);
    expected.extend(pairs(&fields));
    let mut decoder = Decoder::new();
    assert_eq!(decode(&mut decoder, &block), Ok(expected));
    assert_eq!(table(&mut decoder), [], "nothing is put into the peer's table");
}
