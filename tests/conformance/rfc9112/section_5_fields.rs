//! RFC 9112, section 5: field syntax.

use crate::support::{accepts, feed, post, refuses};
use inrush::http::http1::head::HeadError;

const FIELD_OFFSET: u32 = 33;

/// Where the lines given to `post` begin.
#[test]
fn offsets_below_are_those_of_the_first_extra_field() {
    assert_eq!(&post("X")[33..34], b"X");
}

fn value_of(lines: &str) -> Vec<u8> {
    accepts(post(lines)).fields[1].1.clone()
}

/// 5.1: no white space between name and colon: MUST be refused with 400.
#[test]
fn blanks_before_the_colon_are_refused() {
    for (lines, index) in [("X : y\r\n", 1), ("X\t: y\r\n", 1), ("X Y: z\r\n", 1)] {
        assert_eq!(
            refuses(post(lines)),
            HeadError::FieldNameInvalid { offset: FIELD_OFFSET + index },
            "{lines:?}"
        );
    }
    let smuggled = post("Transfer-Encoding : chunked\r\n");
    assert!(matches!(refuses(smuggled), HeadError::FieldNameInvalid { .. }));
}

/// 5.1: a name is a token.
#[test]
fn names_have_token_bytes_only() {
    for byte in 0..=255_u8 {
        let mut bytes = b"POST /v1/logs HTTP/1.1\r\nHost: h\r\nX".to_vec();
        bytes.push(byte);
        bytes.extend_from_slice(b"Y: z\r\n\r\n");
        let is_token = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        match feed(&bytes) {
            Some(Ok(head)) => {
                assert!(is_token || byte == b':', "accepted byte {byte:#04x}");
                let name = if is_token { format!("X{}Y", char::from(byte)) } else { "X".into() };
                assert_eq!(head.fields[1].0, name);
            }
            Some(Err(_)) => assert!(!is_token && byte != b':', "refused byte {byte:#04x}"),
            None => panic!("byte {byte:#04x} needs more"),
        }
    }
}

#[test]
fn empty_names_and_lines_without_colon_are_refused() {
    for lines in [": y\r\n", ":\r\n", "X\r\n", "no colon here\r\n", "X;y\r\n"] {
        assert!(matches!(refuses(post(lines)), HeadError::FieldNameInvalid { .. }), "{lines:?}");
    }
}

/// 5.2: line folding MUST be refused or replaced; it hides chunked from some readers.
#[test]
fn folded_fields_are_refused() {
    for lines in ["X: y\r\n z\r\n", "X: y\r\n\tz\r\n", "Transfer-Encoding:\r\n chunked\r\n"] {
        assert!(matches!(refuses(post(lines)), HeadError::FieldFolded { .. }), "{lines:?}");
    }
}

#[test]
fn blanks_around_a_value_are_not_part_of_it() {
    assert_eq!(value_of("X:y\r\n"), b"y");
    assert_eq!(value_of("X: \t y z \t \r\n"), b"y z");
    assert_eq!(value_of("X:\r\n"), b"");
    assert_eq!(value_of("X: \t \r\n"), b"");
    assert_eq!(value_of("X: a:b\r\n"), b"a:b");
}

/// RFC 9110, 5.5: control bytes in a value are dangerous; obs-text is opaque.
#[test]
fn values_hold_no_control_bytes() {
    for byte in 0..=255_u8 {
        let mut bytes = b"POST /v1/logs HTTP/1.1\r\nHost: h\r\nX: a".to_vec();
        bytes.push(byte);
        bytes.extend_from_slice(b"b\r\n\r\n");
        let good = matches!(byte, b'\t' | b' '..=0x7e | 0x80..);
        match feed(&bytes) {
            Some(Ok(head)) => {
                assert!(good, "accepted byte {byte:#04x}");
                assert_eq!(head.fields[1].1, [b'a', byte, b'b']);
            }
            Some(Err(error)) => {
                assert!(!good, "refused byte {byte:#04x}: {error:?}");
                let offset = FIELD_OFFSET + 4;
                let expected = match byte {
                    b'\r' => HeadError::CarriageReturnBare { offset },
                    b'\n' => HeadError::LineFeedBare { offset },
                    _ => HeadError::ControlByte { offset },
                };
                assert_eq!(error, expected);
            }
            None => panic!("byte {byte:#04x} needs more"),
        }
    }
}

/// An underscore is legal in a name, and is not a hyphen.
#[test]
fn underscores_are_not_hyphens() {
    use inrush::http::http1::framing::BodyFraming;
    let head = accepts(post("Content_Length: 5\r\nTransfer_Encoding: chunked\r\n"));
    assert_eq!(head.framing, Ok(BodyFraming::Empty));
    assert_eq!(head.fields[1].0, "Content_Length");
}

/// Datadog's Java tracer sends this field with nothing in it.
#[test]
fn empty_values_are_legal() {
    assert_eq!(value_of("Datadog-Client-Computed-Stats:\r\n"), b"");
}

#[test]
fn order_and_spelling_of_fields_are_kept() {
    let head = accepts(post("b: 1\r\nA: 2\r\nB: 3\r\n"));
    let names: Vec<_> = head.fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Host", "b", "A", "B"]);
}

/// More fields than the small table of the fast path holds.
#[test]
fn counts_around_the_small_table_are_all_the_same() {
    for count in 14..=20 {
        let lines: String = (0..count).map(|index| format!("X-{index}: {index}\r\n")).collect();
        let head = accepts(post(&lines));
        assert_eq!(head.fields.len(), count + 1);
        assert_eq!(head.fields[count].1, (count - 1).to_string().as_bytes());
    }
}
