//! What a peer may do without getting anything done, and how often.
//!
//! Every kind has a burst and a rate; whatever a request brings to its reply gives some of it back, so
//! that a busy honest connection never meets a limit however long it lives.

use crate::counters::{ABUSE_COUNT, Abuse};

impl Abuse {
    /// The debug data of the GOAWAY that ends it. `too_many_pings` is the text that gRPC clients read, and
    /// ping less often thereafter.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Resets => "too_many_resets",
            Self::RefusedStreams => "too_many_refused_streams",
            Self::StreamErrors => "too_many_stream_errors",
            Self::Settings => "too_many_settings",
            Self::Pings => "too_many_pings",
            Self::SmallData => "too_many_small_data_frames",
            Self::WindowUpdates => "too_many_window_updates",
            Self::Priorities => "too_many_priorities",
            Self::UselessFrames => "too_many_useless_frames",
            Self::Continuations => "too_many_continuations",
            Self::HeaderLists => "header_list_too_large",
        }
    }

    /// At once, a second, and given back by a request that was answered.
    ///
    /// Deadlines of gRPC clients expire in bursts when a server is slow: a whole set of streams may be reset
    /// several times over. Pings come every 10 s, and one with each read while a client measures bandwidth;
    /// C-core sends window updates of five bytes.
    const fn allowance(self) -> (u32, u32, u32) {
        match self {
            Self::Resets => (512, 32, 4),
            // A pool of threads that all begin at once, or begin again when their deadlines have passed.
            Self::RefusedStreams => (1024, 64, 4),
            Self::StreamErrors => (128, 8, 0),
            Self::Settings => (64, 4, 0),
            Self::Pings => (512, 16, 4),
            // A frame for every byte of a small call is legal; a frame of size gives one back.
            Self::SmallData => (16_384, 1024, 4),
            Self::WindowUpdates => (8192, 512, 16),
            Self::Priorities => (1024, 64, 4),
            Self::UselessFrames => (1024, 64, 1),
            // Bounded for each header block, see `session`.
            Self::Continuations | Self::HeaderLists => (0, 0, 0),
        }
    }
}

/// Counts of one connection.
#[derive(Debug, Default)]
pub struct Ledger {
    counts: [u32; ABUSE_COUNT],
    second: u64,
}

impl Ledger {
    /// Counts one; `Err` when it is too many.
    pub fn note(&mut self, abuse: Abuse, now_nanos: u64) -> Result<(), Abuse> {
        let second = now_nanos / 1_000_000_000;
        let passed = u32::try_from(second.saturating_sub(self.second)).unwrap_or(u32::MAX);
        if passed > 0 {
            self.second = second;
            for (count, kind) in self.counts.iter_mut().zip(Abuse::ALL) {
                *count = count.saturating_sub(kind.allowance().1.saturating_mul(passed));
            }
        }
        let Some(count) = self.counts.get_mut(abuse.place()) else { return Ok(()) };
        *count = count.saturating_add(1);
        if *count > abuse.allowance().0 { Err(abuse) } else { Ok(()) }
    }

    /// Something that counts was followed by something of use.
    pub fn give_back(&mut self, abuse: Abuse) {
        if let Some(count) = self.counts.get_mut(abuse.place()) {
            *count = count.saturating_sub(1);
        }
    }

    /// A request was answered.
    pub fn note_answered(&mut self) {
        for (count, kind) in self.counts.iter_mut().zip(Abuse::ALL) {
            *count = count.saturating_sub(kind.allowance().2);
        }
    }
}
