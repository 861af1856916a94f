//! Values as text (RFC 8259, and the OTLP mapping of JSON for bytes and for doubles that JSON lacks).
//!
//! Place: where a column of text or a map meets a value that is not text. Text at the top stays as
//! it is; all else becomes JSON: bytes a base64 string, NaN and the infinities strings, doubles the
//! shortest digits that read back to the same bits. Output is always UTF-8.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::record::{Text, Value};
use super::text::repaired;
use crate::limits::NESTING_DEPTH_MAX;

/// Decoders refuse values deeper than [`NESTING_DEPTH_MAX`]; a mistake there must not end in an
/// exhausted stack here. What lies deeper is written as null.
const DEPTH_MAX: usize = NESTING_DEPTH_MAX + 16;

/// Appends the text form of `value`. An empty value is the empty text. Answers in how many texts
/// bad UTF-8 was replaced.
pub(super) fn append_value(into: &mut Vec<u8>, value: Value<'_>) -> u64 {
    match value {
        Value::Empty => 0,
        Value::Text(text) => super::text::append_text(into, text.0),
        other => {
            let mut writer = Writer { into, replaced: 0, cut: None };
            writer.value(other, 0);
            writer.replaced
        }
    }
}

/// Appends `value` as JSON, text too, and cuts what is long: a text where it is, a list or a map behind
/// the members that fit. The place says that something was cut.
pub(super) fn append_cut_json(into: &mut Vec<u8>, value: Value<'_>, cut: Cut) {
    let end = into.len() + cut.value_size_max;
    Writer { into, replaced: 0, cut: Some((cut.text_size_max, end)) }.value(value, 0);
}

/// Where [`append_cut_json`] cuts.
#[derive(Clone, Copy)]
pub(super) struct Cut {
    /// One text, or bytes.
    pub(super) text_size_max: usize,
    /// About all of a value.
    pub(super) value_size_max: usize,
}

struct Writer<'a> {
    into: &'a mut Vec<u8>,
    replaced: u64,
    /// The longest text, and where no member is begun any more.
    cut: Option<(usize, usize)>,
}

impl Writer<'_> {
    fn value(&mut self, value: Value<'_>, depth: usize) {
        match value {
            Value::Empty => self.into.extend_from_slice(b"null"),
            Value::Text(text) => self.string(text),
            Value::Bool(true) => self.into.extend_from_slice(b"true"),
            Value::Bool(false) => self.into.extend_from_slice(b"false"),
            Value::Int(number) => self.int(number),
            Value::Double(number) => self.double(number),
            Value::Bytes(bytes) => self.bytes(bytes),
            Value::Json(text) if self.is_long(text.len()) => self.string(text.into()),
            Value::Json(text) => self.into.extend_from_slice(text.as_bytes()),
            Value::Array(_) | Value::Map(_) if depth >= DEPTH_MAX => {
                self.into.extend_from_slice(b"null");
            }
            Value::Array(values) => {
                self.into.push(b'[');
                let mut first = true;
                let mut left_out = 0;
                values.walk(&mut |element| {
                    if self.is_full() {
                        left_out += 1;
                        return;
                    }
                    if !std::mem::take(&mut first) {
                        self.into.push(b',');
                    }
                    self.value(element, depth + 1);
                });
                if left_out > 0 {
                    let comma = if first { "" } else { "," };
                    self.display(format_args!("{comma}\"…[cut, {left_out} more]\""));
                }
                self.into.push(b']');
            }
            Value::Map(attributes) => {
                self.into.push(b'{');
                let mut first = true;
                let mut left_out = 0;
                attributes.walk(&mut |key, element| {
                    if self.is_full() {
                        left_out += 1;
                        return;
                    }
                    if !std::mem::take(&mut first) {
                        self.into.push(b',');
                    }
                    self.string(key);
                    self.into.push(b':');
                    self.value(element, depth + 1);
                });
                if left_out > 0 {
                    let comma = if first { "" } else { "," };
                    self.display(format_args!("{comma}\"…\":\"[cut, {left_out} more]\""));
                }
                self.into.push(b'}');
            }
        }
    }

    fn is_long(&self, size: usize) -> bool {
        self.cut.is_some_and(|(size_max, _)| size > size_max)
    }

    fn is_full(&self) -> bool {
        self.cut.is_some_and(|(_, end)| self.into.len() > end)
    }

    /// The commonest value that is not text: without the machinery of formatting.
    #[allow(clippy::cast_possible_truncation, reason = "a remainder of ten is one digit")]
    fn int(&mut self, number: i64) {
        // A sign and nineteen digits.
        let mut digits = [0; 20];
        let mut start = digits.len();
        let mut rest = number.unsigned_abs();
        loop {
            start -= 1;
            digits[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if number < 0 {
            start -= 1;
            digits[start] = b'-';
        }
        self.into.extend_from_slice(&digits[start..]);
    }

    fn display(&mut self, arguments: std::fmt::Arguments<'_>) {
        // Writing to a Vec has no way to fail.
        let _ = self.into.write_fmt(arguments);
    }

    /// The form that the collector's exporters give: plain digits between 1e-6 and 1e21, an
    /// exponent with its sign outside.
    fn double(&mut self, number: f64) {
        let magnitude = number.abs();
        if number.is_nan() {
            self.into.extend_from_slice(b"\"NaN\"");
        } else if number.is_infinite() {
            let text: &[u8] = if number > 0.0 { b"\"Infinity\"" } else { b"\"-Infinity\"" };
            self.into.extend_from_slice(text);
        } else if magnitude == 0.0 || (1e-6..1e21).contains(&magnitude) {
            self.display(format_args!("{number}"));
        } else {
            let start = self.into.len();
            self.display(format_args!("{number:e}"));
            let exponent = self.into[start..].iter().position(|&byte| byte == b'e');
            if let Some(exponent) = exponent.map(|offset| start + offset + 1)
                && self.into.get(exponent).is_some_and(u8::is_ascii_digit)
            {
                self.into.insert(exponent, b'+');
            }
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        if let Some((size_max, _)) = self.cut
            && bytes.len() > size_max
        {
            // Whole groups of three, so that no padding stands in the middle.
            self.bytes(&bytes[..size_max / 3 * 3]);
            self.into.pop();
            self.display(format_args!("…[cut, {} bytes]\"", bytes.len()));
            return;
        }
        self.into.push(b'"');
        let start = self.into.len();
        let size = base64::encoded_len(bytes.len(), true).unwrap_or(0);
        self.into.resize(start + size, 0);
        let written = STANDARD.encode_slice(bytes, &mut self.into[start..]).unwrap_or(0);
        self.into.truncate(start + written);
        self.into.push(b'"');
    }

    fn string(&mut self, text: Text<'_>) {
        if let Some((size_max, _)) = self.cut
            && text.0.len() > size_max
        {
            // Not inside of a character.
            let end = (size_max.saturating_sub(3)..=size_max)
                .rev()
                .find(|&end| text.0[end] & 0xc0 != 0x80)
                .unwrap_or(size_max);
            self.string(Text(&text.0[..end]));
            self.into.pop();
            self.display(format_args!("…[cut, {} bytes]\"", text.0.len()));
            return;
        }
        self.into.push(b'"');
        if std::str::from_utf8(text.0).is_ok() {
            self.escaped(text.0);
        } else {
            self.replaced += 1;
            self.escaped(repaired(text.0).as_bytes());
        }
        self.into.push(b'"');
    }

    /// `text` is UTF-8; only ASCII is ever escaped, so runs in between are copied whole.
    fn escaped(&mut self, text: &[u8]) {
        let mut run = 0;
        for (index, &byte) in text.iter().enumerate() {
            if byte >= 0x20 && byte != b'"' && byte != b'\\' {
                continue;
            }
            self.into.extend_from_slice(&text[run..index]);
            run = index + 1;
            match byte {
                b'"' => self.into.extend_from_slice(b"\\\""),
                b'\\' => self.into.extend_from_slice(b"\\\\"),
                b'\n' => self.into.extend_from_slice(b"\\n"),
                b'\r' => self.into.extend_from_slice(b"\\r"),
                b'\t' => self.into.extend_from_slice(b"\\t"),
                0x08 => self.into.extend_from_slice(b"\\b"),
                0x0c => self.into.extend_from_slice(b"\\f"),
                control => self.display(format_args!("\\u{control:04x}")),
            }
        }
        self.into.extend_from_slice(&text[run..]);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::super::record::{Attributes, Values};
    use super::*;

    fn text(value: Value<'_>) -> String {
        let mut into = Vec::new();
        append_value(&mut into, value);
        String::from_utf8(into).unwrap()
    }

    struct List<'a>(Vec<Value<'a>>);
    impl Values for List<'_> {
        fn walk(&self, visit: &mut dyn FnMut(Value<'_>)) {
            self.0.iter().for_each(|&value| visit(value));
        }
    }

    /// An array in an array, without end.
    struct Endless;
    impl Values for Endless {
        fn walk(&self, visit: &mut dyn FnMut(Value<'_>)) {
            visit(Value::Array(&Self));
        }
    }

    #[test]
    fn text_stays_and_other_kinds_become_json() {
        assert_eq!(text(Value::Text("a \"b\"".into())), "a \"b\"");
        assert_eq!(text(Value::Empty), "");
        assert_eq!(text(Value::Bool(true)), "true");
        for number in [0, 9, 10, -1, -10, 12345, i64::MAX, i64::MIN] {
            assert_eq!(text(Value::Int(number)), number.to_string());
        }
        assert_eq!(text(Value::Bytes(&[0xff, 0, 1, 2])), "\"/wABAg==\"");
        assert_eq!(text(Value::Bytes(&[])), "\"\"");
        assert_eq!(text(Value::Json("{\"a\": 1.0}")), "{\"a\": 1.0}");
    }

    #[test]
    fn doubles_read_back_to_the_same_bits() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1e-7, "1e-7"),
            (-1.5e-9, "-1.5e-9"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
        ];
        for (number, expected) in cases {
            let written = text(Value::Double(number));
            assert_eq!(written, expected);
            assert_eq!(written.parse::<f64>().unwrap().to_bits(), number.to_bits());
        }
        assert_eq!(text(Value::Double(f64::NAN)), "\"NaN\"");
        assert_eq!(text(Value::Double(f64::INFINITY)), "\"Infinity\"");
        assert_eq!(text(Value::Double(f64::NEG_INFINITY)), "\"-Infinity\"");
    }

    #[test]
    fn what_is_nested_is_valid_json_whatever_its_text() {
        let nasty: String = (0..0x80).map(char::from).chain("é\u{2028}🦀\"".chars()).collect();
        let pairs = [(Text(nasty.as_bytes()), Value::Text(Text(nasty.as_bytes())))];
        let attributes: &[(Text<'_>, Value<'_>)] = &pairs;
        struct Pairs<'a>(&'a [(Text<'a>, Value<'a>)]);
        impl Attributes for Pairs<'_> {
            fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
                self.0.walk(visit);
            }
        }
        let map = Pairs(attributes);
        let list =
            List(vec![Value::Map(&map), Value::Empty, Value::Double(f64::NAN), Value::Int(1)]);
        let parsed: serde_json::Value = serde_json::from_str(&text(Value::Array(&list))).unwrap();
        assert_eq!(parsed[0][&nasty], nasty);
        assert_eq!(parsed[1], serde_json::Value::Null);
        assert_eq!(parsed[2], "NaN");
        assert_eq!(parsed[3], 1);
        assert_eq!(text(Value::Array(&List(vec![]))), "[]");
    }

    #[test]
    fn depth_ends_in_null_and_not_in_the_stack() {
        let written = text(Value::Array(&Endless));
        let (open, close) = ("[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
        assert_eq!(written, format!("{open}null{close}"));
    }

    #[test]
    fn bad_text_inside_is_replaced_and_counted() {
        let list = List(vec![Value::Text(Text(b"\xc3(")), Value::Text(Text(b"ok"))]);
        let mut into = Vec::new();
        assert_eq!(append_value(&mut into, Value::Array(&list)), 1);
        assert_eq!(into, "[\"\u{fffd}(\",\"ok\"]".as_bytes());
    }
}
