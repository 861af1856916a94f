//! Waking a shard from any thread: an eventfd that its ring watches.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};

use super::{Errno, Wake};

pub(super) struct EventWake(OwnedFd);

impl EventWake {
    pub(super) fn new() -> Result<Self, Errno> {
        eventfd(0, EventfdFlags::CLOEXEC).map(Self)
    }

    /// Takes what was counted. Only when the ring was told that there is something: it would wait.
    pub(super) fn clear(&self) {
        let mut counter = [0; 8];
        let _ = rustix::io::read(&self.0, &mut counter);
    }
}

impl AsFd for EventWake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Wake for EventWake {
    fn wake(&self) {
        // A full counter (EAGAIN) already wakes.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }
}
