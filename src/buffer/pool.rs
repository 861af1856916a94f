//! Size classes of aligned buffers under one budget: a shard's memory for bodies and commits.
//!
//! Place: owned by a shard. What is lent out and what lies free both count against the budget, so
//! the sum can be printed at start and holds.

use super::AlignedBuffer;
use crate::limits::{BODY_SIZE_MAX, KIB, MIB, REQUEST_FIELDS_SIZE_MAX};

/// Room for the largest body with everything around it.
const LARGEST: usize = BODY_SIZE_MAX + REQUEST_FIELDS_SIZE_MAX + 64 * KIB;

/// Capacities by class: steps of four, so that growing copies a body at most a third more often
/// than it is long.
const CLASSES: [usize; 7] =
    [16 * KIB, 64 * KIB, 256 * KIB, MIB + 256 * KIB, 5 * MIB, 17 * MIB, LARGEST];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolError {
    /// The budget is used up for now.
    BudgetExhausted,
    /// No class is that large.
    OverLargestClass,
}

pub struct Pool {
    free: [Vec<AlignedBuffer>; CLASSES.len()],
    alignment: usize,
    budget: usize,
    /// Lent out and lying free.
    allocated: usize,
    lent: usize,
}

impl Pool {
    /// The least budget that can hold one body of the largest class while smaller ones go on.
    pub const BUDGET_MIN: usize = LARGEST + 32 * MIB;

    /// Kept for packed blocks: bodies in receipt must not stop the commits that free them.
    pub const COMMIT_RESERVE: usize = 8 * MIB;

    pub fn new(budget: usize, alignment: usize) -> Self {
        Self { free: Default::default(), alignment, budget, allocated: 0, lent: 0 }
    }

    pub const fn budget(&self) -> usize {
        self.budget
    }

    /// Bytes in use by borrowers.
    pub const fn lent(&self) -> usize {
        self.lent
    }

    fn class_of(size: usize) -> Option<usize> {
        CLASSES.iter().position(|&capacity| size <= capacity)
    }

    fn capacity_of(&self, class: usize) -> usize {
        CLASSES[class].next_multiple_of(self.alignment)
    }

    /// An empty buffer of at least `size` bytes. Its bytes are what an earlier use left there.
    pub fn acquire(&mut self, size: usize) -> Result<AlignedBuffer, PoolError> {
        let class = Self::class_of(size).ok_or(PoolError::OverLargestClass)?;
        let capacity = self.capacity_of(class);
        if let Some(mut buffer) = self.free[class].pop() {
            buffer.clear();
            self.lent += capacity;
            return Ok(buffer);
        }
        if self.allocated + capacity > self.budget {
            self.shed(capacity);
        }
        if self.allocated + capacity > self.budget {
            return Err(PoolError::BudgetExhausted);
        }
        self.allocated += capacity;
        self.lent += capacity;
        Ok(AlignedBuffer::new(capacity, self.alignment))
    }

    /// The same for a body: leaves what commits need to go on.
    pub fn acquire_body(&mut self, size: usize) -> Result<AlignedBuffer, PoolError> {
        let class = Self::class_of(size).ok_or(PoolError::OverLargestClass)?;
        if self.lent + self.capacity_of(class) + Self::COMMIT_RESERVE > self.budget {
            return Err(PoolError::BudgetExhausted);
        }
        self.acquire(size)
    }

    /// Takes `size` bytes off the budget for memory that is not of the pool, such as a decoder's window.
    pub fn reserve_body(&mut self, size: usize) -> Result<(), PoolError> {
        if self.lent + size + Self::COMMIT_RESERVE > self.budget {
            return Err(PoolError::BudgetExhausted);
        }
        if self.allocated + size > self.budget {
            self.shed(size);
        }
        self.allocated += size;
        self.lent += size;
        Ok(())
    }

    /// Gives back what [`Self::reserve_body`] took.
    pub fn unreserve(&mut self, size: usize) {
        self.allocated -= size;
        self.lent -= size;
    }

    /// Takes a buffer back.
    pub fn release(&mut self, buffer: AlignedBuffer) {
        let capacity = buffer.capacity();
        self.lent -= capacity;
        match (0..CLASSES.len()).find(|&class| self.capacity_of(class) == capacity) {
            // The two largest classes are rare; kept memory would stand idle for hours.
            Some(class) if class < 5 => self.free[class].push(buffer),
            _ => self.allocated -= capacity,
        }
    }

    /// Frees idle buffers, the largest first, until `size` fits.
    fn shed(&mut self, size: usize) {
        for class in (0..CLASSES.len()).rev() {
            while self.allocated + size > self.budget {
                let Some(buffer) = self.free[class].pop() else { break };
                self.allocated -= buffer.capacity();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_buffers_give_way_and_the_budget_holds() {
        let mut pool = Pool::new(2 * MIB, 4096);
        let small: Vec<_> = (0..16).map(|_| pool.acquire(64 * KIB).unwrap()).collect();
        assert_eq!(pool.lent(), MIB);
        assert_eq!(pool.acquire(MIB).unwrap_err(), PoolError::BudgetExhausted);
        for buffer in small {
            pool.release(buffer);
        }
        let large = pool.acquire(MIB).unwrap();
        assert!(large.capacity() >= MIB);
        assert_eq!(pool.acquire(MIB).unwrap_err(), PoolError::BudgetExhausted);
        assert_eq!(pool.acquire(65 * MIB + MIB).unwrap_err(), PoolError::OverLargestClass);
        pool.release(large);
        assert_eq!(pool.lent(), 0);
    }
}
