//! The bins of an Agent's sketch as the buckets of an exponential histogram.
//!
//! The Agent keeps, for values rounded to powers of gamma = 1 + 1/64, how often each occurred: key `k`
//! above 0 stands for gamma^(k - 1338), which is 1e-9 at its smallest; `-k` for the same below zero; 0
//! for what lies closer to zero. Each bin's count goes to the bucket that holds the value of its key.
//!
//! ```text
//! keys     1337      1338      1339            values 1.6 % apart
//! scale 6  ──┼──────┼──────┼──────┼──────      bounds 1.1 % apart: no two keys share a bucket
//! ```
//!
//! A sketch is sparse, buckets are a dense list. Where a side would have more of them than the limit, the
//! scale goes down, which joins buckets in pairs, until both sides fit.
#![deny(clippy::indexing_slicing)]

use crate::limits;

/// log2(1 + 1/64).
const GAMMA_LOG2: f64 = 0.022_367_813_028_454_51;
/// The key of the value 1.
const BIAS: i32 = 1338;
/// Keys are 16 bits wide; the last one stands for what is larger than all others.
pub const KEY_MAX: i32 = i16::MAX as i32;
/// The largest whose bounds lie no further apart than gamma.
pub const SCALE: i32 = 6;
/// gamma^-1337, the value of key 1: what is smaller has key 0.
pub const ZERO_THRESHOLD: f64 = 9.941_854_089_121_45e-10;

/// The bucket, at the largest scale, that holds the value of a key above 0. Bounds belong to the bucket
/// below them.
fn bucket(key: i32) -> i32 {
    let exponent = f64::from(key - BIAS) * GAMMA_LOG2 * f64::from(1 << SCALE);
    #[allow(clippy::cast_possible_truncation, reason = "at most 45,000")]
    let bucket = exponent.ceil() as i32;
    bucket - 1
}

/// The keys of one sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Side {
    smallest: i32,
    largest: i32,
}

impl Side {
    const EMPTY: Self = Self { smallest: i32::MAX, largest: 0 };

    #[inline]
    fn add(&mut self, key: i32) {
        self.smallest = self.smallest.min(key);
        self.largest = self.largest.max(key);
    }

    fn buckets(self) -> Option<(i32, i32)> {
        (self.largest > 0).then(|| (bucket(self.smallest), bucket(self.largest)))
    }
}

/// Which keys a sketch has. Enough to know the size of its histogram.
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    positive: Side,
    negative: Side,
    pub is_in_range: bool,
}

impl Keys {
    pub const EMPTY: Self =
        Self { positive: Side::EMPTY, negative: Side::EMPTY, is_in_range: true };

    #[inline]
    pub fn add(&mut self, key: i32) {
        match key {
            0 => {}
            1..=KEY_MAX => self.positive.add(key),
            ..0 if key >= -KEY_MAX => self.negative.add(-key),
            _ => self.is_in_range = false,
        }
    }

    pub fn layout(&self) -> Layout {
        let sides = [self.positive.buckets(), self.negative.buckets()];
        let mut scale = SCALE;
        loop {
            let shift = SCALE - scale;
            let sides = sides.map(|side| {
                side.map_or(Buckets::default(), |(first, last)| {
                    let offset = first >> shift;
                    let count = usize::try_from((last >> shift) - offset + 1).unwrap_or(0);
                    Buckets { offset, count }
                })
            });
            if sides.iter().all(|side| side.count <= limits::HISTOGRAM_BUCKET_COUNT_MAX) {
                let [positive, negative] = sides;
                return Layout { scale, positive, negative };
            }
            scale -= 1;
        }
    }
}

/// A dense run of buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Buckets {
    pub offset: i32,
    pub count: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    pub scale: i32,
    pub positive: Buckets,
    pub negative: Buckets,
}

/// Memory for one sketch.
#[derive(Default)]
pub struct Bins {
    pub keys: Vec<i32>,
    pub counts: Vec<u32>,
    pub positive: Vec<f64>,
    pub negative: Vec<f64>,
    pub zero_count: f64,
}

impl Bins {
    pub fn clear(&mut self) {
        self.keys.clear();
        self.counts.clear();
    }

    /// Fills the buckets of both sides from keys and counts. A key may stand several times: the Agent
    /// parts a bin that outgrew 16 bits.
    pub fn fill(&mut self, layout: &Layout) {
        self.zero_count = 0.0;
        for (buckets, side) in
            [(&mut self.positive, layout.positive), (&mut self.negative, layout.negative)]
        {
            buckets.clear();
            buckets.resize(side.count, 0.0);
        }
        for (&key, &count) in self.keys.iter().zip(&self.counts) {
            let (buckets, offset) = match key {
                0 => {
                    self.zero_count += f64::from(count);
                    continue;
                }
                1.. => (&mut self.positive, layout.positive.offset),
                _ => (&mut self.negative, layout.negative.offset),
            };
            let place = (bucket(key.saturating_abs()) >> (SCALE - layout.scale)) - offset;
            let place = usize::try_from(place).ok().and_then(|place| buckets.get_mut(place));
            debug_assert!(place.is_some(), "the layout is made from these keys");
            if let Some(bucket) = place {
                *bucket += f64::from(count);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_those_of_the_agent() {
        let gamma: f64 = 1.0 + 2.0 / 128.0;
        assert_eq!(GAMMA_LOG2, gamma.log2());
        let smallest = 1e-9_f64.ln() / gamma.ln();
        assert_eq!(f64::from(BIAS), -smallest.floor() + 1.0);
        assert!((ZERO_THRESHOLD / gamma.powi(1 - BIAS) - 1.0).abs() < 1e-12);
        assert!(2f64.powf(1.0 / f64::from(1 << SCALE)) <= gamma);
        assert!(2f64.powf(1.0 / f64::from(1 << (SCALE - 1))) > gamma);
    }

    /// What is at stake: a count in a bucket that its value does not belong to.
    #[test]
    fn every_key_falls_into_the_bucket_that_holds_its_value() {
        let gamma: f64 = 1.0 + 2.0 / 128.0;
        assert_eq!(bucket(BIAS), -1, "1 is the upper bound of the bucket below 0");
        let mut before = i32::MIN;
        for key in 1..=KEY_MAX {
            let found = bucket(key);
            assert!(found > before, "key {key} shares a bucket");
            before = found;
            let value = gamma.powi(key - BIAS);
            let bound = |place: i32| 2f64.powf(f64::from(place) / f64::from(1 << SCALE));
            if key != BIAS {
                // Rounding of `powi` and `powf` far from 1, relative.
                let slack = 1.0 + 1e-10;
                assert!(bound(found) < value * slack && value <= bound(found + 1) * slack, "{key}");
            }
        }
    }

    fn layout(keys: &[i32]) -> Layout {
        let mut found = Keys::EMPTY;
        keys.iter().for_each(|&key| found.add(key));
        assert!(found.is_in_range);
        found.layout()
    }

    #[test]
    fn the_widest_sketch_fits_the_limit() {
        let widest = layout(&[1, KEY_MAX, -1, -KEY_MAX]);
        assert_eq!(widest.scale, 2, "733 octaves");
        assert_eq!(widest.positive, widest.negative);
        assert!((2049..=limits::HISTOGRAM_BUCKET_COUNT_MAX).contains(&widest.positive.count));

        // Times from a nanosecond to four minutes keep the full scale.
        let usual = layout(&[1338 - 1337, 1338 + 360]);
        assert_eq!(usual.scale, SCALE);
        assert_eq!(layout(&[]), Layout { positive: Buckets::default(), ..layout(&[0]) });
    }

    #[test]
    fn counts_survive_every_scale() {
        for largest in [1, 1338, 2000, 5000, 10_000, KEY_MAX] {
            let mut bins = Bins {
                keys: vec![-largest, -1, 0, 1, 1, largest],
                counts: vec![5, 7, 11, 13, 17, u32::MAX],
                ..Bins::default()
            };
            let layout = layout(&bins.keys);
            bins.fill(&layout);
            assert_eq!(bins.zero_count, 11.0);
            assert_eq!(bins.negative.iter().sum::<f64>(), 12.0);
            assert_eq!(bins.positive.iter().sum::<f64>(), 30.0 + f64::from(u32::MAX));
            assert!(bins.positive.first().is_some_and(|&count| count >= 30.0), "{largest}");
            assert!(bins.negative.last().is_some_and(|&count| count >= 5.0), "{largest}");
        }
    }

    #[test]
    fn keys_beyond_sixteen_bits_are_none() {
        for key in [KEY_MAX + 1, -KEY_MAX - 1, i32::MAX, i32::MIN] {
            let mut keys = Keys::EMPTY;
            keys.add(key);
            assert!(!keys.is_in_range, "{key}");
        }
    }
}
