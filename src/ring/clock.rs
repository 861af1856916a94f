//! The only reader of clocks on the data path, once a turn.

#![allow(clippy::disallowed_methods, reason = "this is where the clock is read")]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Monotonic and wall time of one turn.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Nanoseconds since the clock was made; never goes back.
    pub monotonic_nanos: u64,
    /// Nanoseconds since the Unix epoch.
    pub wall_nanos: u64,
}

pub struct Clock {
    start: Instant,
}

impl Default for Clock {
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock {
    pub fn now(&self) -> Now {
        let monotonic = self.start.elapsed().as_nanos();
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        Now {
            monotonic_nanos: u64::try_from(monotonic).unwrap_or(u64::MAX),
            wall_nanos: u64::try_from(wall).unwrap_or(u64::MAX),
        }
    }
}
