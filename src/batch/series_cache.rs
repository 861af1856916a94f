//! What is known of series: their ids under the raw bytes they came as, and whose row was written.
//!
//! Place: [`SeriesCache`] belongs to one sink; [`SeenSeries`] is shared by all sinks of a store and
//! learns from done plans only. Both are bounded by two generations: when the younger one is full
//! it becomes the older one, and what nobody asked for since is forgotten.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{PoisonError, RwLock};

use super::series_id::SeriesId;

/// Keys are seeded hashes already.
#[derive(Default)]
struct PassThrough(u64);

impl Hasher for PassThrough {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("keys are 128-bit numbers")
    }

    #[allow(clippy::cast_possible_truncation, reason = "either half is a good hash")]
    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
}

/// What a sink remembers of a series.
#[derive(Clone, Copy, Default)]
pub(super) struct Slot {
    pub(super) id: SeriesId,
    /// The columns in which it has a number, and the number.
    pub(super) columns: u64,
    pub(super) number: u32,
    /// The arrival day whose row is written, plus one, in a done plan or in this one; 0 for none.
    pub(super) day: u32,
}

type Generation = HashMap<u128, Slot, BuildHasherDefault<PassThrough>>;

pub(super) struct SeriesCache {
    young: Generation,
    old: Generation,
    generation_max: usize,
}

impl SeriesCache {
    pub(super) fn new(count_max: usize) -> Self {
        let generation_max = (count_max / 2).max(1);
        Self { young: Generation::default(), old: Generation::default(), generation_max }
    }

    #[inline]
    pub(super) fn find(&mut self, key: u128) -> Option<&mut Slot> {
        if !self.young.contains_key(&key) {
            let slot = self.old.remove(&key)?;
            return Some(self.insert(key, slot));
        }
        self.young.get_mut(&key)
    }

    pub(super) fn insert(&mut self, key: u128, slot: Slot) -> &mut Slot {
        if self.young.len() >= self.generation_max {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.entry(key).insert_entry(slot).into_mut()
    }

    /// Gives a series back what was known of it before an entry that was undone.
    pub(super) fn restore(&mut self, key: u128, before: Slot) {
        for generation in [&mut self.young, &mut self.old] {
            if let Some(slot) = generation.get_mut(&key) {
                *slot = before;
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

/// Series whose `metric_series` row of a day stands in a done plan. Starts empty: a restart writes
/// rows again, which readers take as a set.
pub struct SeenSeries {
    // Keyed by ids, which peers can choose: the standard hasher, as this is asked once per series
    // and day only.
    generations: RwLock<[HashMap<SeriesId, u32>; 2]>,
    generation_max: usize,
}

impl SeenSeries {
    /// Remembers at most `count_max` series.
    #[must_use]
    pub fn new(count_max: usize) -> Self {
        Self { generations: RwLock::default(), generation_max: (count_max / 2).max(1) }
    }

    /// Whether the row of this day (days since the epoch) is in a done plan.
    #[must_use]
    pub fn contains(&self, id: &SeriesId, day: u32) -> bool {
        let generations = self.generations.read().unwrap_or_else(PoisonError::into_inner);
        generations.iter().any(|generation| generation.get(id).is_some_and(|&seen| seen == day))
    }

    /// To be called when the plan that wrote these rows is done, never before.
    pub fn mark(&self, rows: &[(SeriesId, u32)]) {
        let mut generations = self.generations.write().unwrap_or_else(PoisonError::into_inner);
        for &(id, day) in rows {
            let [young, old] = &mut *generations;
            if young.len() >= self.generation_max && !young.contains_key(&id) {
                std::mem::swap(young, old);
                young.clear();
            }
            // Of two days around midnight the later one is the one asked for from now on.
            let seen = young.entry(id).or_insert(day);
            *seen = day.max(*seen);
        }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        let generations = self.generations.read().unwrap_or_else(PoisonError::into_inner);
        generations.iter().map(HashMap::len).sum()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_asked_for() {
        let mut cache = SeriesCache::new(100);
        cache.insert(1, Slot { number: 1, ..Slot::default() });
        for key in 2..10_000u128 {
            cache.insert(key, Slot::default());
            assert_eq!(cache.find(1).map(|slot| slot.number), Some(1), "at {key}");
            assert!(cache.young.len() + cache.old.len() <= 100);
        }
        assert!(cache.find(5).is_none());
    }

    #[test]
    fn what_was_undone_is_restored_in_either_generation() {
        let mut cache = SeriesCache::new(4);
        for key in 1..=3 {
            cache.insert(key, Slot { day: 9, columns: 7, ..Slot::default() });
        }
        assert!(!cache.young.is_empty() && !cache.old.is_empty());
        for key in 1..=3 {
            cache.restore(key, Slot { day: 5, ..Slot::default() });
        }
        for key in 1..=3 {
            assert!(cache.find(key).is_none_or(|slot| slot.day == 5 && slot.columns == 0));
        }
    }

    #[test]
    fn the_seen_set_is_bounded_and_knows_days_apart() {
        let seen = SeenSeries::new(64);
        let id = |number: u128| number.to_be_bytes();
        seen.mark(&[(id(1), 5)]);
        assert!(seen.contains(&id(1), 5) && !seen.contains(&id(1), 6) && !seen.contains(&id(2), 5));
        seen.mark(&[(id(1), 6)]);
        assert!(seen.contains(&id(1), 6));
        for number in 0..1000 {
            seen.mark(&[(id(number), 6)]);
            assert!(seen.len() <= 64 && !seen.is_empty());
        }
        assert!(!seen.contains(&id(1), 6) && seen.contains(&id(999), 6));
    }
}
