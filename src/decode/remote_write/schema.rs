//! Which message a remote-write body holds (remote write 2.0, "Content-Type").
//!
//! Only the `proto` parameter decides. The version header does not: senders of 1.0 leave it out, and
//! a header that contradicts the body must not choose how the body is read.
#![deny(clippy::indexing_slicing)]

/// The messages that remote write has had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// `prometheus.WriteRequest`
    V1,
    /// `io.prometheus.write.v2.Request`
    V2,
}

/// The schema that a `Content-Type` names; `None` for a message that nobody defines. No field, no
/// parameter, or one that cannot be parsed is 1.0, as its senders predate the parameter.
#[must_use]
pub fn of(content_type: Option<&[u8]>) -> Option<Schema> {
    let Some(proto) = content_type.and_then(|field| parameter(field, b"proto")) else {
        return Some(Schema::V1);
    };
    if proto.equals(b"prometheus.WriteRequest") {
        Some(Schema::V1)
    } else if proto.equals(b"io.prometheus.write.v2.Request") {
        Some(Schema::V2)
    } else {
        None
    }
}

/// A parameter's value, still with its escapes if it was quoted.
struct ParameterValue<'a> {
    text: &'a [u8],
    quoted: bool,
}

impl ParameterValue<'_> {
    fn equals(&self, wanted: &[u8]) -> bool {
        if !self.quoted {
            return self.text == wanted;
        }
        let mut escaped = false;
        let plain = self.text.iter().filter(|&&byte| {
            escaped = byte == b'\\' && !escaped;
            !escaped
        });
        plain.eq(wanted)
    }
}

/// The first parameter of that name (RFC 9110, section 5.6.6), in any case.
fn parameter<'a>(field: &'a [u8], wanted: &[u8]) -> Option<ParameterValue<'a>> {
    let mut rest = after(field, b';')?;
    loop {
        rest = rest.trim_ascii_start();
        let name_length = rest.iter().position(|byte| matches!(byte, b'=' | b';'))?;
        let (name, tail) = rest.split_at_checked(name_length)?;
        let Some(value) = tail.strip_prefix(b"=") else {
            // Empty parameters, as in `a/b;;c=d`, may be sent.
            rest = tail.strip_prefix(b";")?;
            continue;
        };
        let (value, tail) = match value.strip_prefix(b"\"") {
            Some(quoted) => {
                let end = quoted_length(quoted)?;
                let (text, tail) = quoted.split_at_checked(end)?;
                (ParameterValue { text, quoted: true }, after(tail, b';'))
            }
            None => {
                let end = value.iter().position(|&byte| byte == b';').unwrap_or(value.len());
                let (text, tail) = value.split_at_checked(end)?;
                (
                    ParameterValue { text: text.trim_ascii_end(), quoted: false },
                    tail.strip_prefix(b";"),
                )
            }
        };
        if name.eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = tail?;
    }
}

/// What stands behind the first `separator`.
fn after(bytes: &[u8], separator: u8) -> Option<&[u8]> {
    let place = bytes.iter().position(|&byte| byte == separator)?;
    bytes.get(place + 1..)
}

/// Bytes of a quoted text before its closing quote.
fn quoted_length(quoted: &[u8]) -> Option<usize> {
    let mut escaped = false;
    quoted.iter().position(|&byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_proto_parameter_chooses() {
        for (content_type, schema) in [
            ("application/x-protobuf", Some(Schema::V1)),
            ("application/x-protobuf;proto=prometheus.WriteRequest", Some(Schema::V1)),
            ("application/x-protobuf;proto=io.prometheus.write.v2.Request", Some(Schema::V2)),
            ("application/x-protobuf; PROTO=io.prometheus.write.v2.Request ", Some(Schema::V2)),
            (r#"application/x-protobuf; proto="io.prometheus.write.v2.Request""#, Some(Schema::V2)),
            (r#"a/b; proto="io\.prometheus.write.v2.Request""#, Some(Schema::V2)),
            (r#"a/b; x="a;proto=z\"" ; proto=io.prometheus.write.v2.Request"#, Some(Schema::V2)),
            ("a/b;;charset=utf-8;proto=io.prometheus.write.v2.Request;q=1", Some(Schema::V2)),
            ("a/b;proto=io.prometheus.write.v2.request", None),
            ("a/b;proto=io.prometheus.write.v3.Request", None),
            ("a/b;proto=", None),
            ("a/b;protocol=x", Some(Schema::V1)),
            ("a/b;proto", Some(Schema::V1)),
            ("", Some(Schema::V1)),
        ] {
            assert_eq!(of(Some(content_type.as_bytes())), schema, "{content_type}");
        }
        assert_eq!(of(None), Some(Schema::V1));
    }

    #[test]
    fn any_cut_of_a_field_is_answered() {
        let field = br#"application/x-protobuf; a="b\"c;d" ;proto="prometheus.WriteRequest";e=f"#;
        for end in 0..=field.len() {
            let _ = of(Some(&field[..end]));
        }
    }
}
