//! The kernel as a shard sees it: about ten operations on sockets, files and the clock.
//!
//! Place: at both ends of a request: bytes come from here, replies and commits leave through here.
//! The ring owns every byte the kernel may touch: a buffer goes in with an operation and comes back
//! with its completion. One interface, several implementations, one test suite:
//!
//! * [`uring::Uring`]: io_uring, kernel 6.1 and newer.
//! * [`poll::Poll`]: epoll and a file thread, where io_uring is forbidden.
//! * [`simulated::Simulated`]: in memory, for tests of what stands above.

pub mod clock;
mod descriptor;
mod files;
pub mod poll;
pub mod simulated;
pub mod uring;
mod wake;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use descriptor::{Descriptor, borrow, disown, own};
pub use rustix::io::Errno;

use crate::buffer::AlignedBuffer;

/// Which of io_uring's features are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Features {
    /// Newer ones too, where the kernel has them.
    Auto,
    /// What kernel 6.1 has.
    Baseline,
}

/// What the caller calls an operation; comes back with each of its completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token(pub u64);

/// An operation in flight, for [`Ring::cancel`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OperationId(pub u64);

/// Bytes in a receive buffer of the ring: to be read in this turn and given back.
#[derive(Debug, PartialEq, Eq)]
pub struct SmallBuffer {
    pub(crate) id: u16,
    pub(crate) length: u32,
}

#[derive(Debug)]
pub enum Completion {
    /// A connection, or why there is none. Without `more` the listener must be armed again.
    Accepted {
        result: Result<Descriptor, Errno>,
        more: bool,
    },
    /// Bytes; a length of zero is the peer's end. Without `more` nothing further comes from this
    /// operation.
    Small {
        result: Result<SmallBuffer, Errno>,
        more: bool,
    },
    /// The buffer given, with `result` more bytes than before; zero is the peer's end.
    Received {
        buffer: AlignedBuffer,
        result: Result<usize, Errno>,
    },
    /// The reply bytes given, and how many of them were taken.
    Sent {
        buffer: Vec<u8>,
        result: Result<usize, Errno>,
    },
    Wrote {
        buffer: AlignedBuffer,
        result: Result<usize, Errno>,
    },
    Synced {
        result: Result<(), Errno>,
    },
    /// Somebody used the [`Waker`].
    Woken,
    Closed,
}

#[derive(Debug)]
pub struct Event {
    pub token: Token,
    pub completion: Completion,
}

/// Wakes a shard from any thread.
pub trait Wake: Send + Sync {
    fn wake(&self);
}

pub type Waker = Arc<dyn Wake>;

pub trait Ring {
    /// Hands out connections until it says that there are no more.
    fn accept(&mut self, listener: Descriptor, token: Token) -> OperationId;

    /// Receives into the ring's own buffers: once, or (`multishot`) until it is cancelled, the peer
    /// ends, or buffers run out.
    fn receive_small(&mut self, socket: Descriptor, multishot: bool, token: Token) -> OperationId;

    /// Receives behind the buffer's content, at most up to `end` bytes of content.
    fn receive_into(
        &mut self,
        socket: Descriptor,
        buffer: AlignedBuffer,
        end: usize,
        token: Token,
    ) -> OperationId;

    /// Sends `bytes[from..]`, or a part of it.
    fn send(
        &mut self,
        socket: Descriptor,
        bytes: Vec<u8>,
        from: usize,
        token: Token,
    ) -> OperationId;

    /// Writes `buffer[from..]` at `offset` of the file, or a part of it.
    fn write(
        &mut self,
        file: Descriptor,
        offset: u64,
        buffer: AlignedBuffer,
        from: usize,
        token: Token,
    ) -> OperationId;

    /// Makes what was written durable (`fdatasync`).
    fn sync(&mut self, file: Descriptor, token: Token) -> OperationId;

    /// Ends an operation early; its last completion still comes.
    fn cancel(&mut self, operation: OperationId);

    /// Shuts the socket for sending and receiving at once.
    fn shutdown(&mut self, socket: Descriptor, sending_only: bool);

    fn close(&mut self, socket: Descriptor, token: Token);

    /// For other threads.
    fn waker(&self) -> Waker;

    /// Submits everything, waits for the first completion or until `wait_nanos` have passed
    /// (`None`: without end), and collects what is complete.
    fn turn(&mut self, wait_nanos: Option<u64>) -> Result<(), Errno>;

    /// The next completion of this turn.
    fn next_event(&mut self) -> Option<Event>;

    fn small_bytes(&self, buffer: &SmallBuffer) -> &[u8];

    fn release_small(&mut self, buffer: SmallBuffer);
}
