//! Sizes and delays as people write them.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

/// Bytes: `"10GiB"`, `"128MiB"`, `"64KiB"`, `"1024"`, or a whole number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// A span of time: `"5s"`, `"300ms"`, `"2m"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Delay(pub Duration);

fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim()))
}

fn parse_size(text: &str) -> Option<Size> {
    let (number, unit) = split(text.trim())?;
    let shift = match unit {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift).map(Size)
}

fn parse_delay(text: &str) -> Option<Delay> {
    let (number, unit) = split(text.trim())?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(millis).map(|millis| Delay(Duration::from_millis(millis)))
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a size such as \"10GiB\", \"128MiB\" or a number of bytes")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
        parse_size(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Size, E> {
        u64::try_from(number)
            .map(Size)
            .map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &self))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Size, E> {
        Ok(Size(number))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

struct DelayVisitor;

impl Visitor<'_> for DelayVisitor {
    type Value = Delay;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a time such as \"5s\", \"300ms\" or \"2m\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Delay, E> {
        parse_delay(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

impl<'de> Deserialize<'de> for Delay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(DelayVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_delays_have_units() {
        assert_eq!(parse_size("10GiB"), Some(Size(10 << 30)));
        assert_eq!(parse_size("128 MiB"), Some(Size(128 << 20)));
        assert_eq!(parse_size("7"), Some(Size(7)));
        for bad in ["", "GiB", "1.5GiB", "10 GB", "-1", "99999999999TiB"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
        assert_eq!(parse_delay("300ms"), Some(Delay(Duration::from_millis(300))));
        assert_eq!(parse_delay("2m"), Some(Delay(Duration::from_secs(120))));
        for bad in ["5", "5 parsecs", "s"] {
            assert_eq!(parse_delay(bad), None, "{bad}");
        }
    }
}
