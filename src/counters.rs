//! The numbers that `admin` shows. Written where things happen, read by `admin`; with the journal the
//! only place where shards and background threads meet.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number with any writers.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What the store tells of itself.
#[derive(Debug, Default)]
pub struct StoreCounters {
    /// Committed journal bytes that are not yet readable in Parquet.
    pub lag_bytes: Counter,
    pub plans: Counter,
    pub parts: Counter,
    pub part_bytes: Counter,
    pub rows: Counter,
    /// Texts in which invalid UTF-8 was replaced.
    pub texts_replaced: Counter,
    /// Entries that could not be decoded and went to quarantine.
    pub quarantined_entries: Counter,
    /// Plans that failed and are tried again (disk full, IO errors).
    pub plan_failures: Counter,
}
