//! RFC 7541, appendix C: every example, the fields and the table behind each.

use super::blocks::{decode, hex, number, pairs, size_update, table};
use inrush::http::http2::hpack::{Decoder, integer};

/// A block, its fields, and the table behind it.
type Example<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [(&'a str, &'a str)]);

#[track_caller]
fn check(decoder: &mut Decoder, examples: &[Example<'_>]) {
    for (place, (block, fields, behind)) in examples.iter().enumerate() {
        assert_eq!(decode(decoder, &hex(block)), Ok(pairs(fields)), "block {place}");
        assert_eq!(table(decoder), pairs(behind), "table behind block {place}");
    }
}

#[test]
fn c_1_integers() {
    assert_eq!(number(0, 5, 10), [0x0a]);
    assert_eq!(number(0, 5, 1337), [0x1f, 0x9a, 0x0a]);
    assert_eq!(number(0, 8, 42), [0x2a]);
    assert_eq!(integer::decode(0xea, 5, b"rest"), Ok((10, &b"rest"[..])));
    assert_eq!(integer::decode(0xff, 5, &[0x9a, 0x0a, 1]), Ok((1337, &[1u8][..])));
    assert_eq!(integer::decode(0x2a, 8, b""), Ok((42, &b""[..])));
}

#[test]
fn c_2_representations() {
    let custom = &[("custom-key", "custom-header")];
    check(
        &mut Decoder::new(),
        &[("400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", custom, custom)],
    );
    let sample = "040c 2f73 616d 706c 652f 7061 7468";
    check(&mut Decoder::new(), &[(sample, &[(":path", "/sample/path")], &[])]);
    let secret = "1008 7061 7373 776f 7264 0673 6563 7265 74";
    check(&mut Decoder::new(), &[(secret, &[("password", "secret")], &[])]);
    check(&mut Decoder::new(), &[("82", &[(":method", "GET")], &[])]);
}

const AUTHORITY: (&str, &str) = (":authority", "www.example.com");
const NO_CACHE: (&str, &str) = ("cache-control", "no-cache");
const CUSTOM: (&str, &str) = ("custom-key", "custom-value");

/// The three requests of C.3 and C.4, which differ in their bytes only.
fn check_requests(blocks: [&str; 3]) {
    let get = (":method", "GET");
    check(
        &mut Decoder::new(),
        &[
            (blocks[0], &[get, (":scheme", "http"), (":path", "/"), AUTHORITY], &[AUTHORITY]),
            (
                blocks[1],
                &[get, (":scheme", "http"), (":path", "/"), AUTHORITY, NO_CACHE],
                &[NO_CACHE, AUTHORITY],
            ),
            (
                blocks[2],
                &[get, (":scheme", "https"), (":path", "/index.html"), AUTHORITY, CUSTOM],
                &[CUSTOM, NO_CACHE, AUTHORITY],
            ),
        ],
    );
}

pub const REQUESTS_PLAIN: [&str; 3] = [
    "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
    "8286 84be 5808 6e6f 2d63 6163 6865",
    "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
];

pub const REQUESTS_HUFFMAN: [&str; 3] = [
    "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
    "8286 84be 5886 a8eb 1064 9cbf",
    "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
];

#[test]
fn c_3_requests() {
    check_requests(REQUESTS_PLAIN);
}

#[test]
fn c_4_requests_in_huffman_code() {
    check_requests(REQUESTS_HUFFMAN);
}

const DATE_21: (&str, &str) = ("date", "Mon, 21 Oct 2013 20:13:21 GMT");
const DATE_22: (&str, &str) = ("date", "Mon, 21 Oct 2013 20:13:22 GMT");
const LOCATION: (&str, &str) = ("location", "https://www.example.com");
const PRIVATE: (&str, &str) = ("cache-control", "private");
const GZIP: (&str, &str) = ("content-encoding", "gzip");
const COOKIE: (&str, &str) =
    ("set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1");
const FOUND: (&str, &str) = (":status", "302");
const REDIRECT: (&str, &str) = (":status", "307");

/// The three responses of C.5 and C.6, with a table of 256 bytes: fields are evicted.
fn check_responses(blocks: [&str; 3]) {
    let mut decoder = Decoder::new();
    assert_eq!(decode(&mut decoder, &size_update(256)), Ok(Vec::new()));
    check(
        &mut decoder,
        &[
            (blocks[0], &[FOUND, PRIVATE, DATE_21, LOCATION], &[LOCATION, DATE_21, PRIVATE, FOUND]),
            (
                blocks[1],
                &[REDIRECT, PRIVATE, DATE_21, LOCATION],
                &[REDIRECT, LOCATION, DATE_21, PRIVATE],
            ),
            (
                blocks[2],
                &[(":status", "200"), PRIVATE, DATE_22, LOCATION, GZIP, COOKIE],
                &[COOKIE, GZIP, DATE_22],
            ),
        ],
    );
}

pub const RESPONSES_PLAIN: [&str; 3] = [
    "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a \
     3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
    "4803 3330 37c1 c0bf",
    "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 \
     677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 \
     553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
];

pub const RESPONSES_HUFFMAN: [&str; 3] = [
    "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e \
     919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
    "4883 640e ffc1 c0bf",
    "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 \
     821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed \
     4ee5 b106 3d50 07",
];

#[test]
fn c_5_responses() {
    check_responses(RESPONSES_PLAIN);
}

#[test]
fn c_6_responses_in_huffman_code() {
    check_responses(RESPONSES_HUFFMAN);
}
