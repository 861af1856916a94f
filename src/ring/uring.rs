//! The ring over io_uring: one per shard, made on the shard's own thread.
//!
//! Guarantees: every buffer in flight is held in `operations` until its last completion, also when
//! the ring is dropped; `user_data` carries a slot and its generation, so a late completion never
//! meets a younger operation; each turn enters the kernel with GETEVENTS, which `DEFER_TASKRUN`
//! needs to run completions at all.
//!
//! What it needs is the 6.1 set: `SINGLE_ISSUER`, `DEFER_TASKRUN`, multishot accept and receive, one
//! provided-buffer ring. [`Features::Auto`] adds `NO_SQARRAY` where the kernel has it.

#![allow(unsafe_code, reason = "the kernel reads and writes memory that this module owns")]

use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::{BufRingEntry, CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use rustix::net::Shutdown;

use super::wake::EventWake;
use super::{
    Completion, Descriptor, Errno, Event, Features, OperationId, Ring, SmallBuffer, Token, Waker,
    borrow, own,
};
use crate::buffer::AlignedBuffer;
use crate::limits::{RECEIVE_BUFFER_COUNT, RECEIVE_BUFFER_SIZE, size};

const SUBMISSION_COUNT: u32 = 1024;
/// Every connection has at most two operations in flight; what overflows waits in the kernel.
const COMPLETION_COUNT: u32 = 8192;
const BUFFER_GROUP: u16 = 1;
const PAGE_SIZE: usize = 4096;
/// Completions of operations that nobody asked about.
const IGNORED: u64 = u64::MAX;

enum Operation {
    Accept,
    Small,
    Into { buffer: AlignedBuffer, before: usize },
    Send { bytes: Vec<u8> },
    Write { buffer: AlignedBuffer },
    Sync,
    Wake,
    Close,
}

struct Slot {
    generation: u32,
    token: Token,
    operation: Option<Operation>,
}

/// The provided-buffer ring: a table that the kernel reads, and the memory it points to.
struct Provided {
    table: AlignedBuffer,
    memory: AlignedBuffer,
    tail: u16,
}

impl Provided {
    fn new() -> Self {
        let table_size = usize::from(RECEIVE_BUFFER_COUNT) * size_of::<BufRingEntry>();
        Self {
            table: AlignedBuffer::new(table_size, PAGE_SIZE),
            memory: AlignedBuffer::new(
                usize::from(RECEIVE_BUFFER_COUNT) * RECEIVE_BUFFER_SIZE,
                PAGE_SIZE,
            ),
            tail: 0,
        }
    }

    /// Puts buffer `id` at the tail; visible to the kernel with the next `publish`.
    #[allow(clippy::cast_possible_truncation, reason = "RECEIVE_BUFFER_SIZE is a small constant")]
    fn push(&mut self, id: u16) {
        const _: () = assert!(RECEIVE_BUFFER_COUNT.is_power_of_two());
        assert!(id < RECEIVE_BUFFER_COUNT);
        let place = usize::from(self.tail & (RECEIVE_BUFFER_COUNT - 1));
        let entries = self.table.as_ptr().cast::<BufRingEntry>();
        // SAFETY: `place` is below the entry count, the table is page-aligned and sized for that
        // count, and between the kernel's head and our tail this entry is ours.
        let entry = unsafe { &mut *entries.add(place) };
        // SAFETY: `id` is below the count, so the address lies in `memory`.
        let address = unsafe { self.memory.as_ptr().add(usize::from(id) * RECEIVE_BUFFER_SIZE) };
        entry.set_addr(address as u64);
        entry.set_len(RECEIVE_BUFFER_SIZE as u32);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    fn publish(&mut self) {
        let entries = self.table.as_ptr().cast::<BufRingEntry>();
        // SAFETY: `entries` is the base of the table; its first entry holds the tail.
        let tail = unsafe { BufRingEntry::tail(entries) };
        // SAFETY: the tail is two aligned bytes inside `table`, shared with the kernel, which only
        // reads it; an atomic store orders the entries before it.
        let tail = unsafe { &*tail.cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
    }
}

pub struct Uring {
    ring: IoUring,
    slots: Vec<Slot>,
    free: Vec<u32>,
    in_flight: usize,
    events: std::collections::VecDeque<Event>,
    provided: Provided,
    /// Buffers given back since the last publish.
    unpublished: bool,
    wake: Arc<EventWake>,
    /// Where the kernel puts the eventfd's counter.
    wake_counter: Box<[u8; 8]>,
}

impl Uring {
    /// Makes the ring on the calling thread, which must be the only one that uses it.
    pub fn new(features: Features) -> Result<Self, Errno> {
        let ring = match features {
            Features::Baseline => build(false),
            // Kernels before 6.6 know no flag of that kind.
            Features::Auto => build(true).or_else(|_| build(false)),
        }?;
        let mut provided = Provided::new();
        // SAFETY: the table lives in `provided` as long as the ring; `Drop` ends the ring first.
        unsafe {
            ring.submitter().register_buf_ring_with_flags(
                provided.table.as_ptr() as u64,
                RECEIVE_BUFFER_COUNT,
                BUFFER_GROUP,
                0,
            )
        }
        .map_err(errno)?;
        for id in 0..RECEIVE_BUFFER_COUNT {
            provided.push(id);
        }
        provided.publish();
        let wake = Arc::new(EventWake::new()?);
        let mut uring = Self {
            ring,
            slots: Vec::with_capacity(1024),
            free: Vec::with_capacity(1024),
            in_flight: 0,
            events: std::collections::VecDeque::with_capacity(1024),
            provided,
            unpublished: false,
            wake,
            wake_counter: Box::new([0; 8]),
        };
        uring.arm_wake();
        Ok(uring)
    }

    fn arm_wake(&mut self) {
        let entry =
            opcode::Read::new(Fd(self.wake.as_fd().as_raw_fd()), self.wake_counter.as_mut_ptr(), 8)
                .build();
        self.begin(Operation::Wake, Token(0), entry);
    }

    /// Stores the operation, which then owns its buffer, and queues its entry.
    fn begin(&mut self, operation: Operation, token: Token, entry: squeue::Entry) -> OperationId {
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                self.slots.push(Slot { generation: 0, token: Token(0), operation: None });
                u32::try_from(self.slots.len() - 1).expect("operations are bounded by descriptors")
            }
        };
        let slot = &mut self.slots[index as usize];
        assert!(slot.operation.is_none());
        slot.generation = slot.generation.wrapping_add(1) & 0x7fff_ffff;
        slot.token = token;
        slot.operation = Some(operation);
        self.in_flight += 1;
        let id = u64::from(slot.generation) << 32 | u64::from(index);
        self.queue(entry.user_data(id));
        OperationId(id)
    }

    /// Shows the kernel the receive buffers that came back.
    fn publish(&mut self) {
        if self.unpublished {
            self.provided.publish();
            self.unpublished = false;
        }
    }

    fn queue(&mut self, entry: squeue::Entry) {
        loop {
            // SAFETY: whatever the entry points to is owned by `operations`, `provided` or
            // `wake_counter` until its completion.
            if unsafe { self.ring.submission().push(&entry) }.is_ok() {
                return;
            }
            // A full submission queue: hand it over and go on. EBUSY heals with the next turn.
            let _ = self.ring.submit();
        }
    }

    fn slot_of(&mut self, user_data: u64) -> Option<usize> {
        let index = size(user_data & 0xffff_ffff);
        let slot = self.slots.get(index)?;
        (u64::from(slot.generation) == user_data >> 32 && slot.operation.is_some()).then_some(index)
    }

    fn collect(&mut self) {
        loop {
            let Some(entry) = self.ring.completion().next() else { break };
            if entry.user_data() != IGNORED {
                self.complete(&entry);
            }
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "errno numbers and lengths fit")]
    fn complete(&mut self, entry: &cqueue::Entry) {
        let Some(index) = self.slot_of(entry.user_data()) else { return };
        let result = entry.result();
        let outcome = if result < 0 {
            Err(Errno::from_raw_os_error(-result))
        } else {
            Ok(result.unsigned_abs())
        };
        let more = cqueue::more(entry.flags());
        let token = self.slots[index].token;
        if more {
            let completion = match self.slots[index].operation {
                Some(Operation::Accept) => Completion::Accepted {
                    result: outcome.map(|fd| Descriptor(fd.cast_signed())),
                    more,
                },
                Some(Operation::Small) => {
                    Completion::Small { result: outcome.map(|n| small(entry, n)), more }
                }
                _ => return,
            };
            self.events.push_back(Event { token, completion });
            return;
        }
        let operation = self.slots[index].operation.take();
        self.in_flight -= 1;
        self.free.push(index as u32);
        let completion = match operation {
            None => return,
            Some(Operation::Accept) => Completion::Accepted {
                result: outcome.map(|fd| Descriptor(fd.cast_signed())),
                more,
            },
            Some(Operation::Small) => {
                Completion::Small { result: outcome.map(|n| small(entry, n)), more }
            }
            Some(Operation::Into { mut buffer, before }) => {
                let result = outcome.map(|n| n as usize);
                buffer.set_len(before + result.unwrap_or(0));
                Completion::Received { buffer, result }
            }
            Some(Operation::Send { bytes }) => {
                Completion::Sent { buffer: bytes, result: outcome.map(|n| n as usize) }
            }
            Some(Operation::Write { buffer }) => {
                Completion::Wrote { buffer, result: outcome.map(|n| n as usize) }
            }
            Some(Operation::Sync) => Completion::Synced { result: outcome.map(drop) },
            Some(Operation::Wake) => {
                self.arm_wake();
                Completion::Woken
            }
            Some(Operation::Close) => Completion::Closed,
        };
        self.events.push_back(Event { token, completion });
    }
}

/// The flags of 6.1; `no_array`: entries lie in submission order, so there is no array of indices for the
/// kernel to read (6.6).
fn build(no_array: bool) -> Result<IoUring, Errno> {
    let mut builder = IoUring::builder();
    builder
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_cqsize(COMPLETION_COUNT)
        .setup_clamp();
    if no_array {
        builder.setup_no_sqarray();
    }
    builder.build(SUBMISSION_COUNT).map_err(errno)
}

fn small(entry: &cqueue::Entry, length: u32) -> SmallBuffer {
    match cqueue::buffer_select(entry.flags()) {
        Some(id) => SmallBuffer { id, length },
        // The peer's end comes without a buffer.
        None => SmallBuffer { id: u16::MAX, length: 0 },
    }
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

impl Ring for Uring {
    fn accept(&mut self, listener: Descriptor, token: Token) -> OperationId {
        let entry = opcode::AcceptMulti::new(Fd(listener.0)).flags(libc::SOCK_CLOEXEC).build();
        self.begin(Operation::Accept, token, entry)
    }

    fn receive_small(&mut self, socket: Descriptor, multishot: bool, token: Token) -> OperationId {
        let entry = if multishot {
            opcode::RecvMulti::new(Fd(socket.0), BUFFER_GROUP).build()
        } else {
            opcode::Recv::new(Fd(socket.0), std::ptr::null_mut(), 0)
                .buf_group(BUFFER_GROUP)
                .build()
                .flags(squeue::Flags::BUFFER_SELECT)
        };
        self.begin(Operation::Small, token, entry)
    }

    fn receive_into(
        &mut self,
        socket: Descriptor,
        buffer: AlignedBuffer,
        end: usize,
        token: Token,
    ) -> OperationId {
        let before = buffer.len();
        assert!(before < end && end <= buffer.capacity());
        // SAFETY: `before` lies inside the buffer, asserted above.
        let start = unsafe { buffer.as_ptr().add(before) };
        let entry = opcode::Recv::new(Fd(socket.0), start, length(end - before)).build();
        self.begin(Operation::Into { buffer, before }, token, entry)
    }

    fn send(
        &mut self,
        socket: Descriptor,
        bytes: Vec<u8>,
        from: usize,
        token: Token,
    ) -> OperationId {
        assert!(from < bytes.len());
        let entry =
            opcode::Send::new(Fd(socket.0), bytes[from..].as_ptr(), length(bytes.len() - from))
                .flags(libc::MSG_NOSIGNAL)
                .build();
        // Moving the Vec moves its handle, not its bytes.
        self.begin(Operation::Send { bytes }, token, entry)
    }

    fn write(
        &mut self,
        file: Descriptor,
        offset: u64,
        buffer: AlignedBuffer,
        from: usize,
        token: Token,
    ) -> OperationId {
        assert!(from < buffer.len());
        let entry = opcode::Write::new(
            Fd(file.0),
            buffer.as_slice()[from..].as_ptr(),
            length(buffer.len() - from),
        )
        .offset(offset)
        .build();
        self.begin(Operation::Write { buffer }, token, entry)
    }

    fn sync(&mut self, file: Descriptor, token: Token) -> OperationId {
        let entry =
            opcode::Fsync::new(Fd(file.0)).flags(io_uring::types::FsyncFlags::DATASYNC).build();
        self.begin(Operation::Sync, token, entry)
    }

    fn cancel(&mut self, operation: OperationId) {
        self.queue(opcode::AsyncCancel::new(operation.0).build().user_data(IGNORED));
    }

    /// By a call of its own, behind what was queued before it. As an operation of the ring a kernel worker
    /// does it some time later, and looks the number up only then: if by that time the socket is closed,
    /// it shuts down the connection that was given the number next.
    fn shutdown(&mut self, socket: Descriptor, sending_only: bool) {
        self.publish();
        // What the kernel does not take now, it takes in the next turn.
        let _ = self.ring.submit();
        let how = if sending_only { Shutdown::Write } else { Shutdown::Both };
        let _ = rustix::net::shutdown(borrow(&socket), how);
    }

    fn close(&mut self, socket: Descriptor, token: Token) {
        let entry = opcode::Close::new(Fd(socket.0)).build();
        self.begin(Operation::Close, token, entry);
    }

    fn waker(&self) -> Waker {
        self.wake.clone()
    }

    fn turn(&mut self, wait_nanos: Option<u64>) -> Result<(), Errno> {
        self.publish();
        let waited = match wait_nanos {
            None => self.ring.submitter().submit_and_wait(1),
            Some(nanos) => {
                let timeout = Timespec::new()
                    .sec(nanos / 1_000_000_000)
                    .nsec(u32::try_from(nanos % 1_000_000_000).unwrap_or(0));
                let arguments = SubmitArgs::new().timespec(&timeout);
                self.ring.submitter().submit_with_args(1, &arguments)
            }
        };
        match waited.map_err(errno) {
            // EBUSY: completions overflowed and must be collected first.
            Ok(_) | Err(Errno::TIME | Errno::INTR | Errno::BUSY | Errno::AGAIN) => {}
            Err(error) => return Err(error),
        }
        self.collect();
        Ok(())
    }

    fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn small_bytes(&self, buffer: &SmallBuffer) -> &[u8] {
        if buffer.id >= RECEIVE_BUFFER_COUNT {
            return &[];
        }
        let length = (buffer.length as usize).min(RECEIVE_BUFFER_SIZE);
        let start = usize::from(buffer.id) * RECEIVE_BUFFER_SIZE;
        // SAFETY: `id` and `length` are checked above, so the range lies in `memory`; the kernel
        // does not write to a buffer between its completion and `release_small`.
        unsafe { std::slice::from_raw_parts(self.provided.memory.as_ptr().add(start), length) }
    }

    fn release_small(&mut self, buffer: SmallBuffer) {
        if buffer.id < RECEIVE_BUFFER_COUNT {
            self.provided.push(buffer.id);
            self.unpublished = true;
        }
    }
}

impl Drop for Uring {
    /// Buffers outlive their operations: everything is cancelled and awaited; what does not come
    /// back within a second stays allocated for ever.
    fn drop(&mut self) {
        let _ = self
            .ring
            .submitter()
            .register_sync_cancel(Some(Timespec::new().sec(1)), CancelBuilder::any());
        for _ in 0..100 {
            if self.turn(Some(10_000_000)).is_err() {
                break;
            }
            while let Some(event) = self.events.pop_front() {
                if let Completion::Accepted { result: Ok(fd), .. } = event.completion {
                    drop(own(fd));
                }
            }
            // The wake-up is armed anew whenever it completes.
            if self.in_flight <= 1 {
                break;
            }
        }
        let slots = std::mem::take(&mut self.slots);
        if slots
            .iter()
            .any(|slot| !matches!(slot.operation, None | Some(Operation::Wake | Operation::Close)))
        {
            std::mem::forget(slots);
            std::mem::forget(std::mem::replace(&mut self.provided, Provided::new()));
        }
        std::mem::forget(std::mem::take(&mut self.wake_counter));
        // The wake read holds the eventfd open in the kernel; one descriptor until the ring is gone.
        let _ = self.wake.as_fd().as_raw_fd();
    }
}
