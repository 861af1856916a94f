//! Output memory of one coding: grows in steps, never by what a peer announces.
//!
//! ```text
//! bytes    0 ── filled ─────────── len (always initialised: zeroed once, when it grew)
//!          └ output ┘└── space ──┘
//! ```

use super::ContentError;

/// The first step. Most bodies of agents decode to less.
const STEP_SIZE_MIN: usize = 64 * 1024;
/// What text compresses to is 5 to 20 times smaller; beyond this an announced size must be earned
/// by doubling.
const PLAUSIBLE_RATIO: usize = 32;

#[derive(Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    filled: usize,
}

impl Buffer {
    pub fn with_capacity(capacity: usize) -> Self {
        Self { bytes: vec![0; capacity], filled: 0 }
    }

    pub fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// Gives memory above `size` back. What was decoded is forgotten.
    pub fn shrink_to(&mut self, size: usize) {
        self.filled = 0;
        if self.bytes.len() > size {
            self.bytes.truncate(size);
            self.bytes.shrink_to_fit();
        }
    }

    pub fn clear(&mut self) {
        self.filled = 0;
    }

    pub fn filled(&self) -> &[u8] {
        self.bytes.get(..self.filled).unwrap_or_default()
    }

    pub fn filled_size(&self) -> usize {
        self.filled
    }

    /// Where output goes next: all memory there is, but not past the limit.
    pub fn space(&mut self, limit: usize) -> &mut [u8] {
        let end = self.bytes.len().min(limit);
        self.bytes.get_mut(self.filled..end).unwrap_or_default()
    }

    /// What is filled, and [`Self::space`] behind it.
    pub fn split(&mut self, limit: usize) -> (&[u8], &mut [u8]) {
        let end = self.bytes.len().min(limit).max(self.filled);
        let (filled, behind) = self.bytes.split_at_mut(self.filled);
        (filled, behind.get_mut(..end - self.filled).unwrap_or_default())
    }

    /// `count` bytes of [`Self::space`] were written.
    pub fn advance(&mut self, count: usize) {
        let filled = self.filled + count;
        assert!(filled <= self.bytes.len());
        self.filled = filled;
    }

    /// Makes room for `announced` bytes more as far as that is plausible for so much input.
    pub fn expect(&mut self, announced: usize, input_size: usize, limit: usize) {
        let plausible = input_size.saturating_mul(PLAUSIBLE_RATIO).max(STEP_SIZE_MIN);
        let size = self.filled.saturating_add(announced.min(plausible)).min(limit);
        if size > self.bytes.len() {
            self.resize(size);
        }
    }

    /// Makes room for exactly `count` bytes more, which the caller knows the input can yield.
    pub fn reserve(&mut self, count: usize, limit: usize) -> Result<(), ContentError> {
        let size = self.filled.checked_add(count).ok_or(ContentError::OutputOverLimit)?;
        if size > limit {
            return Err(ContentError::OutputOverLimit);
        }
        if size > self.bytes.len() {
            self.resize(size);
        }
        Ok(())
    }

    /// Twice the memory, up to the limit.
    pub fn grow(&mut self, limit: usize) -> Result<(), ContentError> {
        if self.bytes.len() >= limit {
            return Err(ContentError::OutputOverLimit);
        }
        let size = self.bytes.len().saturating_mul(2).max(STEP_SIZE_MIN).min(limit);
        self.resize(size);
        Ok(())
    }

    fn resize(&mut self, size: usize) {
        self.bytes.reserve_exact(size - self.bytes.len());
        self.bytes.resize(size, 0);
    }
}
