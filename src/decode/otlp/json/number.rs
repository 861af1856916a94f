//! Numbers as OTLP/JSON writes them: bare or in quotes, with exponents, integers beyond every width.
//!
//! Place: under the filling pass; the text is a number by RFC 8259, or `NaN`, `Infinity`, `-Infinity`.
#![deny(clippy::indexing_slicing)]

use crate::batch::record::Value;

/// The number, if it is a whole one of at most 38 digits.
pub fn whole(text: &[u8]) -> Option<i128> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let mut number: i128 = 0;
    let mut fraction: i32 = 0;
    let mut is_fraction = false;
    let mut exponent: i32 = 0;
    for (place, &byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                number = number.checked_mul(10)?.checked_add(i128::from(byte - b'0'))?;
                fraction += i32::from(is_fraction);
            }
            b'.' => is_fraction = true,
            b'e' | b'E' => {
                let text = digits.get(place + 1..)?;
                let text = text.strip_prefix(b"+").unwrap_or(text);
                exponent = std::str::from_utf8(text).ok()?.parse().ok()?;
                break;
            }
            _ => return None,
        }
    }
    if number != 0 {
        // More than 38 places either way cannot be whole and fit.
        let scale = exponent.checked_sub(fraction)?;
        let factor = 10i128.checked_pow(scale.unsigned_abs())?;
        if scale >= 0 {
            number = number.checked_mul(factor)?;
        } else if number % factor == 0 {
            number /= factor;
        } else {
            return None;
        }
    }
    Some(if text.starts_with(b"-") { -number } else { number })
}

pub fn double(text: &[u8]) -> f64 {
    match text {
        b"NaN" => f64::NAN,
        b"Infinity" => f64::INFINITY,
        b"-Infinity" => f64::NEG_INFINITY,
        _ => std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN),
    }
}

/// An `intValue`: a double where no `i64` can hold it.
pub fn int_or_double(text: &[u8]) -> Value<'static> {
    match whole(text).map(i64::try_from) {
        Some(Ok(number)) => Value::Int(number),
        _ => Value::Double(double(text)),
    }
}

/// At the bounds of the type where the number is outside; the whole part of a fraction.
pub fn unsigned(text: &[u8]) -> u64 {
    let plain = text.iter().try_fold(0u64, |number, &byte| match byte {
        b'0'..=b'9' => number.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    });
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    plain.unwrap_or_else(|| match whole(text) {
        Some(number) => u64::try_from(number.max(0)).unwrap_or(u64::MAX),
        None => double(text) as u64,
    })
}

pub fn unsigned32(text: &[u8]) -> u32 {
    u32::try_from(unsigned(text)).unwrap_or(u32::MAX)
}

pub fn signed32(text: &[u8]) -> i32 {
    #[allow(clippy::cast_possible_truncation, reason = "saturates")]
    whole(text).map_or_else(
        || double(text) as i32,
        |number| i32::try_from(number.clamp(i32::MIN.into(), i32::MAX.into())).unwrap_or(0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_in_every_form() {
        for (text, number) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("-0.0e5", Some(0)),
            ("0e999999999", Some(0)),
            ("5.0", Some(5)),
            ("5.50", None),
            ("55e-1", None),
            ("50e-1", Some(5)),
            ("1.5e1", Some(15)),
            ("1e2", Some(100)),
            ("1E+2", Some(100)),
            ("1e+21", Some(1_000_000_000_000_000_000_000)),
            ("1.767225600123456789e18", Some(1_767_225_600_123_456_789)),
            ("-9223372036854775808", Some(i128::from(i64::MIN))),
            ("1e999", None),
            ("1e-999", None),
            ("1e99999999999", None),
            ("NaN", None),
            ("-Infinity", None),
        ] {
            assert_eq!(whole(text.as_bytes()), number, "{text}");
        }
    }

    #[test]
    fn numbers_outside_their_type_stop_at_its_bounds() {
        for (text, number) in [
            ("18446744073709551615", u64::MAX),
            ("18446744073709551616", u64::MAX),
            ("1e30", u64::MAX),
            ("1e300", u64::MAX),
            ("-1", 0),
            ("-1.5", 0),
            ("1.5", 1),
            ("1e2", 100),
            ("NaN", 0),
        ] {
            assert_eq!(unsigned(text.as_bytes()), number, "{text}");
        }
        assert_eq!(signed32(b"-1e10"), i32::MIN);
        assert_eq!(signed32(b"-3"), -3);
        assert_eq!(unsigned32(b"4294967296"), u32::MAX);
        assert!(matches!(int_or_double(b"9223372036854775807"), Value::Int(i64::MAX)));
        assert!(matches!(int_or_double(b"1e+21"), Value::Double(1e21)));
        assert!(matches!(int_or_double(b"1.5"), Value::Double(1.5)));
    }
}
