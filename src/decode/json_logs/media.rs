//! What the declared media type says about a body's shape.

use crate::decode::Fault;
use crate::envelope::{FieldId, RequestFields};

/// How a body is cut into records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Values one after another: JSON by its declared type, and everything that declares nothing
    /// of use: senders that glue objects together declare `application/json` or a form.
    Values,
    /// Lines, each on its own.
    Lines,
    /// Lines of text that need not be JSON.
    TextLines,
}

/// Reads `Content-Type`. Agents may send two lines of it, their own and their user's: the last one
/// that we know decides.
pub(super) fn shape(fields: RequestFields<'_>) -> Result<Shape, Fault> {
    let mut known = None;
    for (_, value) in fields.iter().filter(|(id, _)| *id == FieldId::ContentType) {
        for value in value.split(|&byte| byte == b',') {
            known = classify(value).or(known);
        }
    }
    known.unwrap_or(Ok(Shape::Values))
}

/// Parameters such as `charset` do not matter: JSON is UTF-8.
fn classify(value: &[u8]) -> Option<Result<Shape, Fault>> {
    let media = value.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    let is = |name: &str| media.eq_ignore_ascii_case(name.as_bytes());
    let begins = |name: &str| {
        media.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name.as_bytes()))
    };
    const LINES: [&str; 8] = [
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
        "application/x-jsonl",
        "application/jsonlines",
        "application/x-jsonlines",
        "application/json-lines",
        "application/stream+json",
    ];
    const BINARY: [&str; 17] = [
        "application/msgpack",
        "application/x-msgpack",
        "application/vnd.msgpack",
        "application/protobuf",
        "application/x-protobuf",
        "application/vnd.google.protobuf",
        "application/cbor",
        "application/avro",
        "application/x-avro-binary",
        "application/vnd.apache.avro",
        "application/vnd.apache.parquet",
        "application/vnd.apache.arrow.stream",
        "application/bson",
        "application/gzip",
        "application/zip",
        "application/zstd",
        "application/pdf",
    ];
    const BINARY_FAMILIES: [&str; 6] =
        ["image/", "audio/", "video/", "font/", "multipart/", "application/grpc"];
    if LINES.iter().any(|name| is(name)) {
        Some(Ok(Shape::Lines))
    } else if is("text/plain") {
        Some(Ok(Shape::TextLines))
    } else if BINARY.iter().any(|name| is(name)) || BINARY_FAMILIES.iter().any(|name| begins(name))
    {
        Some(Err(Fault::MediaTypeWrong))
    } else if is("application/json") || is("text/json") {
        Some(Ok(Shape::Values))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape_of(values: &[&str]) -> Result<Shape, Fault> {
        let mut bytes = Vec::new();
        for value in values {
            assert!(RequestFields::push(&mut bytes, FieldId::ContentType, value.as_bytes()));
        }
        shape(RequestFields::new(&bytes))
    }

    #[test]
    fn types_that_real_senders_use() {
        for (value, expected) in [
            ("application/json", Ok(Shape::Values)),
            ("APPLICATION/JSON ; charset=utf-8", Ok(Shape::Values)),
            ("application/x-www-form-urlencoded", Ok(Shape::Values)),
            ("application/octet-stream", Ok(Shape::Values)),
            ("", Ok(Shape::Values)),
            ("application/x-ndjson", Ok(Shape::Lines)),
            ("application/stream+json;charset=utf-8", Ok(Shape::Lines)),
            ("Application/JsonLines", Ok(Shape::Lines)),
            ("text/plain; charset=us-ascii", Ok(Shape::TextLines)),
            ("application/msgpack", Err(Fault::MediaTypeWrong)),
            ("application/x-protobuf", Err(Fault::MediaTypeWrong)),
            ("application/grpc+proto", Err(Fault::MediaTypeWrong)),
            ("image/png", Err(Fault::MediaTypeWrong)),
        ] {
            assert_eq!(shape_of(&[value]), expected, "{value}");
        }
        assert_eq!(shape_of(&[]), Ok(Shape::Values));
    }

    /// Fluent Bit permits a second line next to its own.
    #[test]
    fn the_last_known_of_several_types_decides() {
        assert_eq!(shape_of(&["application/json", "application/x-ndjson"]), Ok(Shape::Lines));
        assert_eq!(shape_of(&["application/x-ndjson", "x/y"]), Ok(Shape::Lines));
        assert_eq!(shape_of(&["application/msgpack", "application/json"]), Ok(Shape::Values));
        assert_eq!(shape_of(&["application/json, application/x-ndjson"]), Ok(Shape::Lines));
    }
}
