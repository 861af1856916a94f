//! Times as log senders write them, to nanoseconds since the Unix epoch.
//!
//! | form | example |
//! |---|---|
//! | RFC 3339, `T` or blank, any fraction, `Z`, an offset, or none for UTC | `2026-01-02T03:04:05.678901Z` |
//! | the same with a comma, as Python's `asctime` has it | `2026-01-02 03:04:05,678` |
//! | a number, or a string of one: the unit is told by its size | `1767323045.678`, `1767323045678` |
//!
//! Zero is no time: it is what senders write that have none.

const SECOND: i64 = 1_000_000_000;

/// Text in any of the forms above.
pub(super) fn from_text(text: &[u8]) -> Option<i64> {
    let text = text.trim_ascii();
    if text.get(4) == Some(&b'-') { from_date(text) } else { from_digits(text) }
}

/// Nanoseconds of one unit of a number of this size: below 1e11 seconds, then milliseconds,
/// microseconds, nanoseconds. All four are unambiguous from 1973 to 5138.
const fn unit(size: u64) -> i64 {
    match size {
        0..100_000_000_000 => SECOND,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        _ => 1,
    }
}

pub(super) fn from_int(number: i64) -> Option<i64> {
    if number == 0 {
        return None;
    }
    number.checked_mul(unit(number.unsigned_abs()))
}

/// To the microsecond: a double of seconds since 1970 holds no more.
pub(super) fn from_float(number: f64) -> Option<i64> {
    const EXACT_MAX: f64 = 9.2e18;
    if number == 0.0 || !number.is_finite() || number.abs() > EXACT_MAX {
        return None;
    }
    #[allow(clippy::cast_possible_truncation, reason = "bounded just above; sign taken off by abs")]
    #[allow(clippy::cast_sign_loss, reason = "abs")]
    let unit = unit(number.abs() as u64);
    if unit == 1 {
        #[allow(clippy::cast_possible_truncation, reason = "bounded above")]
        return Some(number as i64);
    }
    #[allow(clippy::cast_precision_loss, reason = "1, 1e3 and 1e6 are exact")]
    let micros = (number * (unit / 1_000) as f64).round();
    if micros.abs() > EXACT_MAX / 1e3 {
        return None;
    }
    #[allow(clippy::cast_possible_truncation, reason = "bounded just above")]
    Some(micros as i64 * 1_000)
}

/// Digits, perhaps with a sign and a fraction; exact.
fn from_digits(text: &[u8]) -> Option<i64> {
    let (is_negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let point = memchr::memchr(b'.', digits).unwrap_or(digits.len());
    let (whole, fraction) = digits.split_at_checked(point)?;
    let whole = i64::try_from(number(whole)?).ok()?;
    let unit = unit(whole.unsigned_abs());
    let mut nanos = whole.checked_mul(unit)?;
    if let [b'.', fraction @ ..] = fraction {
        nanos = nanos.checked_add(fraction_nanos(fraction)? / (SECOND / unit))?;
    }
    let nanos = if is_negative { -nanos } else { nanos };
    (nanos != 0).then_some(nanos)
}

/// One to nineteen digits.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    digits.iter().try_fold(0u64, |sum, byte| {
        byte.is_ascii_digit().then(|| sum * 10 + u64::from(byte - b'0'))
    })
}

/// A fraction of a second; what is finer than a nanosecond is dropped.
fn fraction_nanos(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let padded = digits.iter().copied().chain(std::iter::repeat(b'0')).take(9);
    Some(padded.fold(0, |sum, byte| sum * 10 + i64::from(byte - b'0')))
}

/// `YYYY-MM-DD` `T` or blank `HH:MM:SS`, a fraction, a zone.
fn from_date(text: &[u8]) -> Option<i64> {
    let (fixed, mut rest) = text.split_at_checked(19)?;
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, between, h0, h1, b':', n0, n1, b':', s0, s1] =
        *fixed
    else {
        return None;
    };
    if !matches!(between, b'T' | b't' | b' ' | b'_') {
        return None;
    }
    let field = |digits: &[u8]| number(digits).and_then(|value| i64::try_from(value).ok());
    let (year, month, day) = (field(&[y0, y1, y2, y3])?, field(&[m0, m1])?, field(&[d0, d1])?);
    let (hour, minute, second) = (field(&[h0, h1])?, field(&[n0, n1])?, field(&[s0, s1])?);
    // A leap second is the next minute's first.
    if !(1..=12).contains(&month)
        || !(1..=days_in_month(year, month)).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    let mut nanos = 0;
    if let [b'.' | b',', after @ ..] = rest {
        let count = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, after) = after.split_at_checked(count)?;
        nanos = fraction_nanos(digits)?;
        rest = after;
    }
    let offset = offset_seconds(rest.trim_ascii_start())?;
    let days = days_since_epoch(year, month, day);
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - offset;
    seconds.checked_mul(SECOND)?.checked_add(nanos)
}

fn offset_seconds(zone: &[u8]) -> Option<i64> {
    let (sign, hours, minutes) = match *zone {
        [] | [b'Z' | b'z'] | [b'U', b'T', b'C'] => return Some(0),
        [sign, h0, h1, b':', m0, m1] | [sign, h0, h1, m0, m1] => (sign, [h0, h1], [m0, m1]),
        [sign, h0, h1] => (sign, [h0, h1], [b'0', b'0']),
        _ => return None,
    };
    let (hours, minutes) = (number(&hours)?, number(&minutes)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let seconds = i64::try_from(hours * 3_600 + minutes * 60).ok()?;
    match sign {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

const fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days of the proleptic Gregorian calendar. Counted from a first of March, so that a leap day is
/// the last of its year and months before it have the same lengths in every year.
const fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    const MARCH_0000_TO_1970: i64 = 719_468;
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leaps + (month * 153 + 2) / 5 + day - 1 - MARCH_0000_TO_1970
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-02 03:04:05 UTC.
    const TIME: i64 = 1_767_323_045 * SECOND;

    #[test]
    fn texts_of_real_senders() {
        for (text, nanos) in [
            ("2026-01-02T03:04:05Z", 0),
            ("2026-01-02T03:04:05z", 0),
            ("2026-01-02t03:04:05.678901Z", 678_901_000),
            ("2026-01-02T03:04:05.123456789Z", 123_456_789),
            ("2026-01-02T03:04:05.1234567891234Z", 123_456_789),
            ("2026-01-02 03:04:05.678901", 678_901_000),
            ("2026-01-02 03:04:05,123", 123_000_000),
            ("2026-01-02T03:04:05", 0),
            (" 2026-01-02T03:04:05Z ", 0),
            ("2026-01-02T05:34:05.5+02:30", 500_000_000),
            ("2026-01-02T05:34:05.5+0230", 500_000_000),
            ("2026-01-01T22:04:05-05", 0),
            ("2026-01-02 03:04:05 +0000", 0),
            ("2026-01-02 03:04:05 UTC", 0),
            ("1767323045", 0),
            ("1767323045.123456789", 123_456_789),
            ("1767323045123", 123_000_000),
            ("1767323045123.5", 123_500_000),
            ("1767323045123456", 123_456_000),
            ("1767323045123456789", 123_456_789),
        ] {
            assert_eq!(from_text(text.as_bytes()), Some(TIME + nanos), "{text}");
        }
    }

    #[test]
    fn what_is_no_time() {
        for text in [
            "",
            "yesterday",
            "0",
            "-",
            ".5",
            "1.",
            "1767323045.",
            "1e9",
            "12ms",
            "2026-01-02",
            "2026-13-02T03:04:05Z",
            "2026-02-29T03:04:05Z",
            "2026-01-02T24:04:05Z",
            "2026-01-02T03:60:05Z",
            "2026-01-02T03:04:61Z",
            "2026-01-02T03:04:05.Z",
            "2026-01-02T03:04:05+24:00",
            "2026-01-02T03:04:05 PST",
            "2026-01-02X03:04:05Z",
            "9999-01-02T03:04:05Z",
            "0001-01-02T03:04:05Z",
            "10000000000",
            "99999999999999999999",
        ] {
            assert_eq!(from_text(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn the_unit_is_told_by_size() {
        for (number, nanos) in [
            (1_767_323_045, 0),
            (1_767_323_045_123, 123_000_000),
            (1_767_323_045_123_456, 123_456_000),
            (1_767_323_045_123_456_789, 123_456_789),
        ] {
            assert_eq!(from_int(number), Some(TIME + nanos));
        }
        assert_eq!(from_int(-1), Some(-SECOND));
        assert_eq!(from_int(99_999_999_999), None, "the year 5138 does not fit");
        assert_eq!(
            from_int(100_000_000_000),
            Some(100 * SECOND * 1_000_000 / 1_000_000 * 1_000_000)
        );
        assert_eq!(from_int(0), None);
        assert_eq!(from_float(1_767_323_045.678_901), Some(TIME + 678_901_000));
        assert_eq!(from_float(1_767_323_045_123.25), Some(TIME + 123_250_000));
        assert_eq!(from_float(1_767_323_045_123_456.0), Some(TIME + 123_456_000));
        assert_eq!(from_float(1.5e18), Some(1_500_000_000_000_000_000));
        for number in [0.0, -0.0, f64::NAN, f64::INFINITY, 1e300, 9.9e10] {
            assert_eq!(from_float(number), None, "{number}");
        }
    }

    #[test]
    fn every_day_of_eight_centuries_follows_the_one_before() {
        let mut expected = days_since_epoch(1600, 1, 1);
        assert_eq!(days_since_epoch(1970, 1, 1), 0);
        for year in 1600..2400 {
            for month in 1..=12 {
                for day in 1..=days_in_month(year, month) {
                    assert_eq!(days_since_epoch(year, month, day), expected);
                    expected += 1;
                }
            }
        }
    }
}
