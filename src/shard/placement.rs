//! Where a new connection lives: with the less loaded of the accepting shard and one random other.
//!
//! The kernel spreads connections unevenly over `SO_REUSEPORT` listeners, and agents keep them for
//! days. Two choices are enough to bring the busiest shard close to the mean.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Open connections of a shard, on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Load(AtomicUsize);

impl Load {
    pub fn set(&self, connections: usize) {
        self.0.store(connections, Ordering::Relaxed);
    }

    fn value(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

pub struct Placement {
    shard: usize,
    loads: Arc<[Load]>,
    state: u64,
}

impl Placement {
    pub fn new(shard: usize, loads: Arc<[Load]>, seed: u64) -> Self {
        Self { shard, loads, state: seed | 1 }
    }

    pub fn note(&self, connections: usize) {
        self.loads[self.shard].set(connections);
    }

    /// The other shard that should take the connection, if one should.
    pub fn choose(&mut self) -> Option<usize> {
        let others = self.loads.len().checked_sub(1).filter(|&others| others > 0)?;
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        let drawn = crate::limits::size(self.state % others as u64);
        let other = if drawn >= self.shard { drawn + 1 } else { drawn };
        (self.loads[other].value() < self.loads[self.shard].value()).then_some(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_less_loaded_shard_is_chosen() {
        let loads: Arc<[Load]> = (0..3).map(|_| Load::default()).collect();
        let mut placement = Placement::new(1, Arc::clone(&loads), 42);
        assert_eq!(placement.choose(), None, "equal loads stay");
        placement.note(5);
        loads[0].set(5);
        loads[2].set(1);
        let chosen: Vec<_> = (0..100).map(|_| placement.choose()).collect();
        assert!(chosen.contains(&Some(2)) && chosen.contains(&None));
        assert!(!chosen.contains(&Some(0)) && !chosen.contains(&Some(1)));
        let mut alone = Placement::new(0, [Load::default()].into(), 1);
        assert_eq!(alone.choose(), None);
    }
}
