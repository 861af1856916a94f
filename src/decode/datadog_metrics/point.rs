//! A point's time and value, as its series' type and interval say.
#![deny(clippy::indexing_slicing)]

use crate::batch::RejectCause;
use crate::batch::record::{MetricType, Sample, Temporality};

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// What the values of a series are. Words and numbers that nobody defines are gauges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    #[default]
    Gauge,
    Count,
    Rate,
}

impl Kind {
    pub fn from_word(word: &[u8]) -> Self {
        match word {
            b"count" => Self::Count,
            b"rate" => Self::Rate,
            _ => Self::Gauge,
        }
    }

    pub const fn from_number(number: i64) -> Self {
        match number {
            1 => Self::Count,
            2 => Self::Rate,
            _ => Self::Gauge,
        }
    }

    pub const fn metric_type(self) -> MetricType {
        match self {
            Self::Gauge => MetricType::Gauge,
            Self::Count | Self::Rate => MetricType::Sum,
        }
    }

    pub const fn temporality(self) -> Temporality {
        match self {
            Self::Gauge => Temporality::Unspecified,
            Self::Count | Self::Rate => Temporality::Delta,
        }
    }
}

/// The time that one value of a series stands for. Not positive: unknown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Interval {
    pub nanos: i64,
    pub seconds: f64,
}

impl Interval {
    const SECOND: Self = Self { nanos: NANOS_PER_SECOND, seconds: 1.0 };

    #[allow(clippy::cast_precision_loss, reason = "no interval has 2^53 seconds")]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self { nanos: seconds.saturating_mul(NANOS_PER_SECOND), seconds: seconds as f64 }
    }
}

/// The time of a point from nanoseconds that stop at the end of what fits; not positive: unknown.
#[inline]
pub const fn time(nanos: i64, arrival_nanos: i64) -> Result<i64, RejectCause> {
    match nanos {
        i64::MAX => Err(RejectCause::TimeOutOfRange),
        ..=0 => Ok(arrival_nanos),
        _ => Ok(nanos),
    }
}

/// Whole seconds as [`time`] takes them.
#[inline]
pub const fn nanos(seconds: i64) -> i64 {
    seconds.saturating_mul(NANOS_PER_SECOND)
}

pub fn sample(
    kind: Kind,
    interval: Interval,
    time_nanos: i64,
    value: f64,
    value_int: Option<i64>,
) -> Sample {
    let mut sample = Sample { time_nanos, value, value_int, start_time_nanos: 0, flags: 0 };
    let is_known = interval.nanos > 0;
    let interval = if is_known { interval } else { Interval::SECOND };
    match kind {
        Kind::Gauge => return sample,
        Kind::Count if !is_known => return sample,
        Kind::Count => {}
        Kind::Rate => {
            sample.value = value * interval.seconds;
            // A product is no integer that anybody sent.
            sample.value_int = value_int.filter(|_| interval.nanos == NANOS_PER_SECOND);
        }
    }
    sample.start_time_nanos = time_nanos.saturating_sub(interval.nanos).max(0);
    sample
}
