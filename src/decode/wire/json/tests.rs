//! The splitter and the tape: every shape, every cut, every limit.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use super::*;

/// xorshift64*: enough for tests, and a failure prints the state it began from.
pub(crate) struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        limits::size(self.next() >> 1) % bound
    }
}

use crate::limits;

fn values(text: &str) -> Result<Vec<(Piece, &str)>, SplitError> {
    let mut pieces = Vec::new();
    split_values(text.as_bytes(), 0..text.len(), &mut |piece, range| {
        pieces.push((piece, &text[range]));
    })?;
    Ok(pieces)
}

fn lines(text: &str) -> Vec<(Piece, &str)> {
    let mut pieces = Vec::new();
    split_lines(text.as_bytes(), 0..text.len(), Lines::Json, &mut |piece, range| {
        pieces.push((piece, &text[range]));
    });
    pieces
}

const OBJECT: Piece = Piece::Object { may_be_batch: false };
const WITH_ARRAY: Piece = Piece::Object { may_be_batch: true };

#[test]
fn values_follow_each_other_with_or_without_blanks() {
    let expected = vec![(OBJECT, r#"{"a":1}"#), (OBJECT, r#"{"b":"}{"}"#), (Piece::Text, r#""c""#)];
    assert_eq!(values(r#"{"a":1}{"b":"}{"}"c""#).unwrap(), expected);
    assert_eq!(values(" {\"a\":1}\r\n\t{\"b\":\"}{\"}\n\n\"c\" ").unwrap(), expected);
}

#[test]
fn arrays_are_opened_one_level() {
    assert_eq!(
        values(r#"[ {"a":[{}]} ,[{"b":1}],"c",4 , null]{}"#).unwrap(),
        [
            (OBJECT, r#"{"a":[{}]}"#),
            (Piece::Other, r#"[{"b":1}]"#),
            (Piece::Text, r#""c""#),
            (Piece::Other, "4"),
            (Piece::Other, "null"),
            (OBJECT, "{}"),
        ]
    );
    // Only what is no element itself can be a batch.
    assert_eq!(values(r#"{"a":[{}]}"#).unwrap(), [(WITH_ARRAY, r#"{"a":[{}]}"#)]);
    assert_eq!(lines(r#"{"a":[{}]}"#), [(WITH_ARRAY, r#"{"a":[{}]}"#)]);
    assert_eq!(values("[]").unwrap(), []);
    assert_eq!(values(" [ ] []").unwrap(), []);
}

#[test]
fn broken_structure_names_fault_and_place() {
    for (text, fault, at) in [
        ("[1,]", Fault::JsonSyntax, 3),
        ("[,1]", Fault::JsonSyntax, 1),
        ("[1 2]", Fault::JsonSyntax, 3),
        ("[1:2]", Fault::JsonSyntax, 2),
        ("[{}}", Fault::JsonSyntax, 3),
        ("{}]", Fault::JsonSyntax, 2),
        ("a=b", Fault::JsonSyntax, 0),
        ("{},{}", Fault::JsonSyntax, 2),
        ("42", Fault::JsonNotARecord, 0),
        ("{} -1.5e3", Fault::JsonNotARecord, 3),
        ("null", Fault::JsonNotARecord, 0),
        ("01", Fault::JsonSyntax, 0),
        ("[", Fault::JsonTruncated, 1),
        ("[{}", Fault::JsonTruncated, 3),
        ("[{},", Fault::JsonTruncated, 4),
        ("{\"a\":\"", Fault::JsonTruncated, 6),
        ("\"abc", Fault::JsonTruncated, 4),
        ("[[1]", Fault::JsonTruncated, 4),
    ] {
        assert_eq!(values(text), Err(SplitError { fault, at }), "{text}");
    }
}

#[test]
fn a_bad_line_costs_only_itself() {
    assert_eq!(
        lines("{\"a\":1}\r\n\n  {\"b\":\nhello\n42\n\"text\"\n{}{}\n[{},3]\n{\"c\":3}"),
        [
            (OBJECT, r#"{"a":1}"#),
            (Piece::BrokenLine, r#"{"b":"#),
            (Piece::BrokenLine, "hello"),
            (Piece::Other, "42"),
            (Piece::Text, "\"text\""),
            (OBJECT, "{}"),
            (OBJECT, "{}"),
            (OBJECT, "{}"),
            (Piece::Other, "3"),
            (OBJECT, r#"{"c":3}"#),
        ]
    );
    assert_eq!(lines("\n\r\n \t\n"), []);
    assert_eq!(lines(""), []);
}

#[test]
fn lines_and_columns_count_from_one() {
    assert_eq!(line_column(b"ab\ncd", 0), (1, 1));
    assert_eq!(line_column(b"ab\ncd", 2), (1, 3));
    assert_eq!(line_column(b"ab\ncd", 3), (2, 1));
    assert_eq!(line_column(b"ab\ncd", 5), (2, 3));
    assert_eq!(line_column(b"", 9), (1, 1));
}

#[test]
fn scalars_are_those_of_the_grammar() {
    for word in ["0", "-0", "12", "1.5", "-1.5e+3", "1E9", "true", "false", "null", "1e999"] {
        assert!(is_scalar(word.as_bytes()), "{word}");
    }
    for word in ["", "-", "01", "1.", ".5", "1e", "1e+", "+1", "True", "NaN", "0x1", "1a"] {
        assert!(!is_scalar(word.as_bytes()), "{word}");
    }
}

fn batch(text: &str) -> Option<&str> {
    batch_member(text.as_bytes(), 0..text.len()).map(|range| &text[range])
}

#[test]
fn only_an_object_whose_one_array_is_logs_is_a_batch() {
    assert_eq!(batch(r#"{"logs":[{"a":1},{}]}"#), Some(r#"[{"a":1},{}]"#));
    assert_eq!(batch(r#" {"logs":[]}"#.trim()), Some("[]"));
    assert_eq!(batch(r#"{"logs": ["a",{}]}"#), Some(r#"["a",{}]"#));
    assert_eq!(batch(r#"{ "x" : {"y":[1]} , "logs" : [ {} ] }"#), Some("[ {} ]"));
    for text in [
        r#"{"logs":[{}],"tags":["a"]}"#,
        r#"{"logs":[{}],"logs":[{}]}"#,
        r#"{"message":"m","logs":["a","b"]}"#,
        r#"{"message":"m","logs":[]}"#,
        r#"{"logs":[1,{}]}"#,
        r#"{"logs":{"a":[]}}"#,
        r#"{"logs":"[{}]"}"#,
        r#"{"a":{"logs":[{}]}}"#,
        r#"{"logs":[{}}"#,
        r#"{"logs":[{} {}]}"#,
        "{}",
    ] {
        assert_eq!(batch(text), None, "{text}");
    }
}

fn nodes_of(record: &[u8]) -> Result<String, DocumentFault> {
    Document::default().parse(record, |nodes| nodes.map(|nodes| format!("{nodes:?}")))
}

/// simd-json refuses these; their senders exist.
#[test]
fn what_simd_json_refuses_is_mended() {
    for (record, expected) in [
        (br#"{"a":"\ud800"}"#.as_slice(), "\u{fffd}"),
        (br#"{"a":"\udc00x"}"#, "\u{fffd}x"),
        (br#"{"a":"\ud800\ud800\udc00"}"#, "\u{fffd}\u{10000}"),
        (br#"{"a":"\ud83d\ude00 \\ud800"}"#, "\u{1f600} \\\\ud800"),
        (b"{\"a\":\"caf\xe9\"}", "caf\u{fffd}"),
        (b"{\"a\":\"x\ty\nz\"}", "x\\ty\\nz"),
        (br#"{"a":1e999}"#, "1e999"),
        (br#"{"a":-1E+999}"#, "-1E+999"),
        (br#"{"a":NaN}"#, "NaN"),
        (br#"{"a":-Infinity}"#, "-Infinity"),
    ] {
        let nodes = nodes_of(record).unwrap();
        let text = format!("String(\"{expected}\")");
        assert!(nodes.contains(&text), "{nodes} has no {text}");
    }
}

#[test]
fn a_record_that_cannot_be_mended_says_where() {
    for (record, expected) in [
        (r#"{"a" 1}"#, "expected `:` at line 1 column 6"),
        (r#"{"a":1,}"#, "key must be a string at line 1 column 8"),
        (r#"{"a":tru}"#, "expected ident at line 1 column 9"),
        (r#"{"a":"\q"}"#, "invalid escape at line 1 column 8"),
        (r#"{"a":[1}"#, "expected `,` or `]` at line 1 column 8"),
    ] {
        assert_eq!(nodes_of(record.as_bytes()), Err(DocumentFault::Syntax(expected.into())));
    }
}

#[test]
fn numbers_keep_their_kind() {
    for (record, expected) in [
        ("{\"a\":-0}", "I64(0)"),
        ("{\"a\":-0.0}", "F64(-0.0)"),
        ("{\"a\":9223372036854775807}", "U64(9223372036854775807)"),
        ("{\"a\":-9223372036854775808}", "I64(-9223372036854775808)"),
        ("{\"a\":18446744073709551615}", "U64(18446744073709551615)"),
        ("{\"a\":18446744073709551616}", "F64(1.8446744073709552e19)"),
        ("{\"a\":-9223372036854775809}", "F64(-9.223372036854776e18)"),
        ("{\"a\":1e-999}", "F64(0.0)"),
        ("{\"a\":1.5}", "F64(1.5)"),
    ] {
        let nodes = nodes_of(record.as_bytes()).unwrap();
        assert!(nodes.contains(expected), "{record}: {nodes}");
    }
}

#[test]
fn depth_and_node_count_are_bounded() {
    let nested = |depth: usize| format!("{}{}", "{\"a\":".repeat(depth), "1") + &"}".repeat(depth);
    assert!(nodes_of(nested(64).as_bytes()).is_ok());
    assert_eq!(nodes_of(nested(65).as_bytes()), Err(DocumentFault::Depth));
    assert!(nodes_of("[".repeat(100_000).as_bytes()).is_err());

    let wide = |count: usize| format!("[{}0]", "0,".repeat(count - 2));
    assert!(nodes_of(wide(limits::JSON_RECORD_NODE_COUNT_MAX).as_bytes()).is_ok());
    assert_eq!(
        nodes_of(wide(limits::JSON_RECORD_NODE_COUNT_MAX + 1).as_bytes()),
        Err(DocumentFault::NodeCount)
    );
    // Words side by side are no nodes of a valid record, but simd-json would index each.
    assert_eq!(
        nodes_of(format!("[{}]", "a ".repeat(limits::JSON_RECORD_NODE_COUNT_MAX * 2)).as_bytes()),
        Err(DocumentFault::NodeCount)
    );
}

#[test]
fn a_document_is_reused_after_failures() {
    let mut document = Document::default();
    for _ in 0..3 {
        assert!(document.parse(br#"{"a":"\n"}"#, |nodes| nodes.is_ok()));
        assert!(document.parse(br#"{"a":"\n" 1}"#, |nodes| nodes.is_err()));
        assert!(document.parse(b"{\"a\":\"\xff\"}", |nodes| nodes.is_ok()));
    }
}

/// Deep and wide bodies cost a walk: no stack, no memory.
#[test]
fn bombs_are_walked_in_place() {
    let deep = "[".repeat(1 << 20);
    assert_eq!(values(&deep).unwrap_err().fault, Fault::JsonTruncated);
    let balanced = deep + &"]".repeat(1 << 20);
    assert_eq!(values(&balanced).unwrap(), [(Piece::Other, &balanced[1..balanced.len() - 1])]);
}

/// Whatever the bytes: no panic, and pieces are in order, apart, and inside the body.
#[test]
fn any_bytes_give_ordered_pieces() {
    let mut random = Random(0x5eed_0002);
    for _ in 0..20_000 {
        let seed = random.0;
        let length = random.below(200);
        let text: Vec<u8> =
            (0..length).map(|_| b"{}[]\"\\,:\n 1ae{}\"\xff"[random.below(17)]).collect();
        let mut end = 0;
        let mut check = |_: Piece, range: Range<usize>| {
            assert!(range.start >= end && range.start < range.end, "seed {seed:#x}");
            assert!(range.end <= text.len(), "seed {seed:#x}");
            end = range.end;
        };
        let _ = split_values(&text, 0..text.len(), &mut check);
        end = 0;
        split_lines(&text, 0..text.len(), Lines::Json, &mut |piece, range| {
            assert!(range.start >= end && range.start < range.end, "seed {seed:#x}");
            if matches!(piece, Piece::Object { .. }) {
                let _ = batch_member(&text, range.clone());
                let _ = nodes_of(&text[range.clone()]);
            }
            end = range.end;
        });
    }
}
