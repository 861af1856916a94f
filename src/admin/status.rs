//! What the whole process can say of itself.

#![allow(clippy::disallowed_methods, reason = "admin is off the data path and has its own clock")]

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use crate::counters::{Counter, ShardCounters, StoreCounters, Tenants};
use crate::journal::{Journal, Pressure, RecoveryReport};
use crate::store::Lag;

pub struct Status {
    pub(super) shards: Vec<Arc<ShardCounters>>,
    pub(super) tenants: Arc<Tenants>,
    pub(super) journal: Arc<Journal>,
    pub(super) store: Arc<StoreCounters>,
    pub(super) lag: Lag,
    pub(super) recovery: RecoveryReport,
    /// Readers of `/tail`.
    pub(super) tails: Arc<AtomicUsize>,
    draining: AtomicBool,
    started: Instant,
    /// By shard: turns when last looked at, and when that was.
    turns: Vec<(Counter, Counter)>,
}

/// The answer of `/readyz`.
pub struct Readiness {
    pub is_ready: bool,
    pub text: String,
}

/// A shard whose turn is older than this is stuck.
const TURN_MILLIS_MAX: u64 = 1_000;

impl Status {
    pub fn new(
        shards: Vec<Arc<ShardCounters>>,
        tenants: Arc<Tenants>,
        journal: Arc<Journal>,
        store: Arc<StoreCounters>,
        lag: Lag,
        recovery: RecoveryReport,
    ) -> Self {
        let turns = shards.iter().map(|_| (Counter::default(), Counter::default())).collect();
        Self {
            shards,
            tenants,
            journal,
            store,
            lag,
            recovery,
            tails: Arc::default(),
            draining: AtomicBool::new(false),
            started: Instant::now(),
            turns,
        }
    }

    pub fn begin_drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub(super) fn pressure(&self) -> Pressure {
        if self.journal.logs().iter().any(|log| log.is_full()) {
            return Pressure::Full;
        }
        Pressure::from_number(self.journal.pressure().load(Ordering::Relaxed))
    }

    pub(super) fn poisoned(&self) -> Vec<u32> {
        let poisoned = self.journal.logs().iter().filter(|log| log.is_poisoned());
        poisoned.map(|log| log.shard()).collect()
    }

    /// What is wrong though the server goes on.
    pub(super) fn degradations(&self) -> Vec<&'static str> {
        let mut found = Vec::new();
        if self.recovery.damaged_ranges > 0 || self.journal.counters.damaged_ranges.value() > 0 {
            found.push("journal_damage");
        }
        if self.store.quarantined_entries.value() > 0 {
            found.push("quarantine");
        }
        if !self.poisoned().is_empty() {
            found.push("shard_poisoned");
        }
        if self.store.plan_failures.value() > 0 && self.lag.bytes() > 0 {
            found.push("store_failing");
        }
        found
    }

    /// Shards whose turn counter stood still for too long.
    fn stuck(&self) -> Vec<usize> {
        let millis = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut stuck = Vec::new();
        for (index, (shard, (turns, since))) in self.shards.iter().zip(&self.turns).enumerate() {
            let now = shard.turns.value();
            if now != turns.value() {
                turns.set(now);
                since.set(millis);
            } else if since.value() > 0 && millis - since.value() > TURN_MILLIS_MAX {
                stuck.push(index);
            }
        }
        stuck
    }

    pub fn readiness(&self) -> Readiness {
        let mut reasons = Vec::new();
        if self.is_draining() {
            reasons.push("draining".to_owned());
        }
        let poisoned = self.poisoned();
        if !poisoned.is_empty() && poisoned.len() >= self.shards.len() {
            reasons.push("every shard's journal has failed".to_owned());
        }
        if self.pressure() == Pressure::Full {
            reasons.push("the journal is full".to_owned());
        }
        for shard in self.stuck() {
            reasons.push(format!("shard {shard} does not turn"));
        }
        let mut text = String::new();
        let is_ready = reasons.is_empty();
        text.push_str(if is_ready { "ready\n" } else { "not ready\n" });
        for reason in reasons {
            let _ = writeln!(text, "{reason}");
        }
        for degradation in self.degradations() {
            let _ = writeln!(text, "degraded: {degradation}");
        }
        if !poisoned.is_empty() {
            let _ = writeln!(text, "poisoned shards: {poisoned:?}");
        }
        Readiness { is_ready, text }
    }
}
