//! Decimal numbers as text: what is one, which double it means, and which time.
//!
//! Place: under decoders of text. [`is_number`] and [`value`] accept the same: the forms of Go's
//! `ParseFloat` (signs, points without digits on one side, exponents, `inf`, `infinity` and `nan` in
//! any case) without hexadecimal floats and without `_`. A sign before `nan` is taken as well, as C
//! prints it. What is too large for a double is infinite, what is too small is 0.
#![deny(clippy::indexing_slicing)]

/// The NaN that text stands for; a stale marker cannot be written as text.
pub const NORMAL_NAN: f64 = f64::from_bits(0x7ff8_0000_0000_0001);

const NANOS_PER_SECOND: u128 = 1_000_000_000;
const NANOS_PER_MILLI: u128 = 1_000_000;

/// Digits of a mantissa that count: more than any double or time needs, and 10^27 fits twice.
const DIGIT_COUNT_MAX: u32 = 27;

/// Whether [`value`] would answer.
#[inline]
#[must_use]
pub fn is_number(text: &[u8]) -> bool {
    let digits = unsigned(text);
    let integer = count_digits(digits);
    // Most values end here.
    if integer == digits.len() && integer > 0 {
        return true;
    }
    is_other_number(digits, integer)
}

/// Whether [`time_nanos`] would answer: a number that is finite as written.
#[inline]
#[must_use]
pub fn is_time(text: &[u8]) -> bool {
    is_number(text) && !unsigned(text).first().is_some_and(u8::is_ascii_alphabetic)
}

fn is_other_number(text: &[u8], integer: usize) -> bool {
    let mut rest = text.get(integer..).unwrap_or_default();
    let mut count = integer;
    if let [b'.', fraction @ ..] = rest {
        let fraction_count = count_digits(fraction);
        count += fraction_count;
        rest = fraction.get(fraction_count..).unwrap_or_default();
    }
    if count == 0 {
        return is_nan(text) || is_infinity(text);
    }
    match rest {
        [] => true,
        [b'e' | b'E', exponent @ ..] => {
            let digits = unsigned(exponent);
            !digits.is_empty() && count_digits(digits) == digits.len()
        }
        _ => false,
    }
}

#[inline]
fn unsigned(text: &[u8]) -> &[u8] {
    match text {
        [b'+' | b'-', rest @ ..] => rest,
        _ => text,
    }
}

#[inline]
fn count_digits(text: &[u8]) -> usize {
    text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len())
}

const fn is_nan(text: &[u8]) -> bool {
    text.eq_ignore_ascii_case(b"nan")
}

const fn is_infinity(text: &[u8]) -> bool {
    text.eq_ignore_ascii_case(b"inf") || text.eq_ignore_ascii_case(b"infinity")
}

/// A number's double, and the integer itself where a double cannot hold it: `1` or `-1`, no point, no
/// exponent, beyond 2^53.
#[must_use]
pub fn value(text: &[u8]) -> Option<(f64, Option<i64>)> {
    const EXACT_MAX: u64 = 1 << 53;
    let digits = unsigned(text);
    let is_negative = text.first() == Some(&b'-');
    // Up to nineteen digits never wrap.
    if let 1..=19 = digits.len()
        && digits.iter().all(u8::is_ascii_digit)
    {
        let integer = digits
            .iter()
            .fold(0u64, |integer, digit| integer.wrapping_mul(10) + u64::from(digit - b'0'));
        if integer <= EXACT_MAX {
            #[expect(clippy::cast_precision_loss, reason = "at most 2^53")]
            let value = integer as f64;
            return Some((if is_negative { -value } else { value }, None));
        }
    }
    if is_nan(digits) {
        return Some((NORMAL_NAN, None));
    }
    if !is_number(text) {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    let value: f64 = text.parse().ok()?;
    let exact = text.parse::<i64>().ok().filter(|integer| integer.unsigned_abs() > EXACT_MAX);
    Some((value, exact))
}

/// A time of VictoriaMetrics' kind as nanoseconds: from -2^31 to 2^31 in seconds, fractions allowed,
/// anything else in milliseconds. Exact to the nanosecond, whatever the form: Go's OpenMetrics
/// encoder writes `1.520879607789e+09`. Times outside the years 1677 to 2262 stop at their end.
#[must_use]
pub fn time_nanos(text: &[u8]) -> Option<i64> {
    const SECONDS_END: u128 = 1 << 31;
    let decimal = Decimal::read(text)?;
    let (whole, has_fraction) = decimal.whole();
    let is_seconds =
        whole < SECONDS_END || decimal.is_negative && whole == SECONDS_END && !has_fraction;
    let unit = if is_seconds { NANOS_PER_SECOND } else { NANOS_PER_MILLI };
    let nanos = i64::try_from(decimal.times(unit)).unwrap_or(i64::MAX);
    // The earliest time lies one below.
    Some(if decimal.is_negative {
        if nanos == i64::MAX { i64::MIN } else { -nanos }
    } else {
        nanos
    })
}

/// A time in seconds, fractions allowed, as nanoseconds: exact, what lies below a nanosecond is cut.
/// Times outside the years 1677 to 2262 stop at their end.
#[must_use]
pub fn seconds_nanos(text: &[u8]) -> Option<i64> {
    if let Some(nanos) = plain_seconds(text) {
        return Some(nanos);
    }
    let decimal = Decimal::read(text)?;
    let nanos = i64::try_from(decimal.times(NANOS_PER_SECOND)).unwrap_or(i64::MAX);
    Some(match decimal.is_negative {
        true if nanos == i64::MAX => i64::MIN,
        true => -nanos,
        false => nanos,
    })
}

/// Times of today: digits, perhaps a point and more digits.
#[inline]
fn plain_seconds(text: &[u8]) -> Option<i64> {
    const DIGIT_COUNT_MAX: usize = 10;
    let whole = count_digits(text);
    if whole == 0 || whole > DIGIT_COUNT_MAX {
        return None;
    }
    let (seconds, rest) = text.split_at_checked(whole)?;
    let digit = |number: i64, digit: &u8| number * 10 + i64::from(digit - b'0');
    let mut nanos = seconds.iter().fold(0, digit).checked_mul(1_000_000_000)?;
    if let [b'.', fraction @ ..] = rest {
        if fraction.is_empty() || count_digits(fraction) != fraction.len() {
            return None;
        }
        let zeros = std::iter::repeat(&b'0');
        let fraction = fraction.iter().chain(zeros).take(9).fold(0, digit);
        nanos = nanos.checked_add(fraction)?;
    } else if !rest.is_empty() {
        return None;
    }
    Some(nanos)
}

/// `mantissa` × 10^`exponent`.
struct Decimal {
    is_negative: bool,
    mantissa: u128,
    exponent: i32,
    /// Digits behind the mantissa's that were not 0.
    is_cut: bool,
}

impl Decimal {
    fn read(text: &[u8]) -> Option<Self> {
        if !is_number(text) {
            return None;
        }
        let is_negative = text.first() == Some(&b'-');
        let digits = unsigned(text);
        let mut decimal = Self { is_negative, mantissa: 0, exponent: 0, is_cut: false };
        let mut count = 0;
        let mut is_fraction = false;
        let mut written_exponent: i32 = 0;
        for (place, &byte) in digits.iter().enumerate() {
            match byte {
                b'0'..=b'9' if count < DIGIT_COUNT_MAX => {
                    decimal.mantissa = decimal.mantissa * 10 + u128::from(byte - b'0');
                    count += u32::from(decimal.mantissa > 0);
                    decimal.exponent -= i32::from(is_fraction);
                }
                b'0'..=b'9' => {
                    decimal.is_cut |= byte != b'0';
                    decimal.exponent += i32::from(!is_fraction);
                }
                b'.' => is_fraction = true,
                b'e' | b'E' => {
                    written_exponent = exponent(digits.get(place + 1..).unwrap_or_default());
                    break;
                }
                // `inf` and `nan` are no times.
                _ => return None,
            }
        }
        decimal.exponent = decimal.exponent.saturating_add(written_exponent);
        Some(decimal)
    }

    /// The number without its fraction, and whether there is one.
    fn whole(&self) -> (u128, bool) {
        let (whole, has_fraction) = self.scaled(0);
        (whole, has_fraction || self.is_cut)
    }

    /// `unit` a power of ten.
    fn times(&self, unit: u128) -> u128 {
        self.scaled(i32::try_from(unit.ilog10()).unwrap_or_default()).0
    }

    fn scaled(&self, shift: i32) -> (u128, bool) {
        let exponent = self.exponent.saturating_add(shift);
        let power = 10u128.checked_pow(exponent.unsigned_abs());
        match (power, exponent >= 0) {
            _ if self.mantissa == 0 => (0, false),
            (Some(power), true) => (self.mantissa.saturating_mul(power), false),
            (None, true) => (u128::MAX, false),
            (Some(power), false) => (self.mantissa / power, !self.mantissa.is_multiple_of(power)),
            (None, false) => (0, true),
        }
    }
}

fn exponent(text: &[u8]) -> i32 {
    let value = unsigned(text).iter().fold(0i32, |value, digit| {
        value.saturating_mul(10).saturating_add(i32::from(digit.wrapping_sub(b'0')))
    });
    if text.first() == Some(&b'-') { -value } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_exact_to_the_nanosecond() {
        for (text, nanos) in [
            ("1700000000", 1_700_000_000_000_000_000),
            ("1700000000.5", 1_700_000_000_500_000_000),
            ("1700000000.123456789", 1_700_000_000_123_456_789),
            // Beyond what a double holds, and below a nanosecond.
            ("1700000000.1234567891", 1_700_000_000_123_456_789),
            ("1.7000000001234567e9", 1_700_000_000_123_456_700),
            ("17e8", 1_700_000_000_000_000_000),
            ("0.000000001", 1),
            ("0", 0),
            ("-1.5", -1_500_000_000),
            ("9223372036.854775807", i64::MAX),
            ("9223372037", i64::MAX),
            ("99999999999", i64::MAX),
            ("1e300", i64::MAX),
            ("-1e300", i64::MIN),
            ("00000000001", 1_000_000_000),
        ] {
            assert_eq!(seconds_nanos(text.as_bytes()), Some(nanos), "{text}");
        }
        for text in ["", "x", "1.2.3", "1_000", "nan", "inf", "1.x", "17000000000x"] {
            assert_eq!(seconds_nanos(text.as_bytes()), None, "{text}");
        }
    }

    /// The short way answers as the long one does.
    #[test]
    fn plain_seconds_are_those_of_decimals() {
        for text in ["0.0", "1.25", "9223372036.8547758", "9223372035", "123.000000000000", "7."] {
            let nanos =
                Decimal::read(text.as_bytes()).map(|decimal| decimal.times(NANOS_PER_SECOND));
            assert_eq!(
                seconds_nanos(text.as_bytes()).map(i64::cast_unsigned).map(u128::from),
                nanos
            );
        }
    }
}
