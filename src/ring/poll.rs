//! The ring where io_uring is forbidden: epoll for sockets, one thread for files.
//!
//! Place: one per shard, in the stead of [`super::uring::Uring`]; same meaning of every operation.
//!
//! ```text
//! begin ─► submitted ─ turn ─► tried at once if the socket is ready ─► event
//!                                 │ EAGAIN                               ▲
//!                                 └─► waits ── epoll (edge) ── tried ────┘
//! write, sync ─► file-N thread ── eventfd ───────────────────────────► event
//! ```
//!
//! Guarantees: operations are tried in the order in which they were begun; a socket is registered once
//! (edge-triggered), so waiting costs no system call; one that is still readable when its share of a
//! turn is used up is tried again in the next one, which then does not wait. A buffer in flight is held
//! in its slot, or by the file thread.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{Timespec, epoll};
use rustix::net::{RecvFlags, SendFlags, Shutdown, SocketFlags};

use super::files::{Files, Job};
use super::wake::EventWake;
use super::{
    Completion, Descriptor, Errno, Event, OperationId, Ring, SmallBuffer, Token, Waker, borrow, own,
};
use crate::buffer::AlignedBuffer;
use crate::limits::{RECEIVE_BUFFER_COUNT, RECEIVE_BUFFER_SIZE, size};

/// Events of one `epoll_wait`; more come with the next turn.
const EVENT_COUNT: usize = 512;
/// Connections that one listener hands out in a turn.
const ACCEPTS_A_TURN: usize = 64;
/// Small receives of one socket in a turn: 64 KiB, then the others have theirs.
const RECEIVES_A_TURN: usize = 4;
/// `epoll` data that is no socket.
const WAKE: u64 = u64::MAX;
const FILES: u64 = u64::MAX - 1;

enum Operation {
    Accept,
    Small {
        multishot: bool,
    },
    Into {
        buffer: AlignedBuffer,
        end: usize,
    },
    Send {
        bytes: Vec<u8>,
        from: usize,
    },
    /// The file thread has it.
    File {
        is_write: bool,
    },
}

struct Slot {
    generation: u32,
    token: Token,
    socket: usize,
    operation: Option<Operation>,
}

/// What is known of a descriptor. Readiness is what epoll last said, less what a try found out.
#[derive(Clone, Default)]
struct Socket {
    is_registered: bool,
    /// Slots of the operations that wait for it.
    reading: Option<u32>,
    sending: Option<u32>,
    is_readable: bool,
    is_writable: bool,
    /// The peer's end or a fault was told: no further edge comes, so reads go on until they say so.
    has_ended: bool,
    /// It stands in `again`.
    is_again: bool,
}

enum Submission {
    Read(usize),
    Send(usize),
    Cancel(OperationId),
    Shutdown(Descriptor, Shutdown),
    Close(Descriptor, Token),
}

pub struct Poll {
    epoll: OwnedFd,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// By number of the descriptor.
    sockets: Vec<Socket>,
    submitted: Vec<Submission>,
    /// Readable sockets whose share of a turn was used up.
    again: Vec<usize>,
    ready: Vec<epoll::Event>,
    events: VecDeque<Event>,
    memory: AlignedBuffer,
    free_small: Vec<u16>,
    wake: Arc<EventWake>,
    files_wake: Arc<EventWake>,
    files: Files,
}

impl Poll {
    /// `name` is that of the thread that writes files.
    pub fn new(name: String) -> Result<Self, Errno> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let wake = Arc::new(EventWake::new()?);
        let files_wake = Arc::new(EventWake::new()?);
        for (data, source) in [(WAKE, &wake), (FILES, &files_wake)] {
            let data = epoll::EventData::new_u64(data);
            epoll::add(&epoll, source.as_fd(), data, epoll::EventFlags::IN)?;
        }
        let memory_size = usize::from(RECEIVE_BUFFER_COUNT) * RECEIVE_BUFFER_SIZE;
        let mut memory = AlignedBuffer::new(memory_size, RECEIVE_BUFFER_SIZE);
        memory.set_len(memory_size);
        Ok(Self {
            epoll,
            slots: Vec::with_capacity(1024),
            free: Vec::with_capacity(1024),
            sockets: Vec::with_capacity(1024),
            submitted: Vec::with_capacity(1024),
            again: Vec::with_capacity(1024),
            ready: Vec::with_capacity(EVENT_COUNT),
            events: VecDeque::with_capacity(1024),
            memory,
            free_small: (0..RECEIVE_BUFFER_COUNT).collect(),
            files: Files::start(name, Arc::clone(&files_wake))?,
            wake,
            files_wake,
        })
    }

    fn begin(&mut self, operation: Operation, token: Token, socket: usize) -> (u32, OperationId) {
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                self.slots.push(Slot {
                    generation: 0,
                    token: Token(0),
                    socket: 0,
                    operation: None,
                });
                u32::try_from(self.slots.len() - 1).expect("operations are bounded by descriptors")
            }
        };
        let slot = &mut self.slots[index as usize];
        assert!(slot.operation.is_none());
        slot.generation = slot.generation.wrapping_add(1);
        slot.token = token;
        slot.socket = socket;
        slot.operation = Some(operation);
        (index, OperationId(u64::from(slot.generation) << 32 | u64::from(index)))
    }

    fn begin_read(&mut self, operation: Operation, token: Token, on: Descriptor) -> OperationId {
        let place = self.place(on);
        let (index, id) = self.begin(operation, token, place);
        let before = self.sockets[place].reading.replace(index);
        assert!(before.is_none(), "one read at a time");
        self.submitted.push(Submission::Read(place));
        id
    }

    /// The socket's place; made when its number is new.
    fn place(&mut self, descriptor: Descriptor) -> usize {
        let place = usize::try_from(descriptor.0).expect("an open descriptor is not negative");
        if place >= self.sockets.len() {
            self.sockets.resize(place + 1, Socket::default());
        }
        place
    }

    /// The operation's last completion: its slot is free.
    fn finish(&mut self, index: u32, completion: impl FnOnce(Operation) -> Completion) {
        let slot = &mut self.slots[index as usize];
        let Some(operation) = slot.operation.take() else { return };
        let (token, place) = (slot.token, slot.socket);
        if let Some(socket) = self.sockets.get_mut(place) {
            socket.reading.take_if(|reading| *reading == index);
            socket.sending.take_if(|sending| *sending == index);
        }
        self.free.push(index);
        self.events.push_back(Event { token, completion: completion(operation) });
    }

    /// Ends an operation that waits for a socket.
    fn fail(&mut self, index: u32, error: Errno) {
        self.finish(index, |operation| match operation {
            Operation::Accept => Completion::Accepted { result: Err(error), more: false },
            Operation::Small { .. } => Completion::Small { result: Err(error), more: false },
            Operation::Into { buffer, .. } => Completion::Received { buffer, result: Err(error) },
            Operation::Send { bytes, .. } => Completion::Sent { buffer: bytes, result: Err(error) },
            Operation::File { .. } => Completion::Synced { result: Err(error) },
        });
    }

    /// Known to epoll, or the fault why not.
    fn register(&mut self, place: usize) -> Result<(), Errno> {
        use epoll::EventFlags as Flags;
        let socket = &mut self.sockets[place];
        if socket.is_registered {
            return Ok(());
        }
        let flags = Flags::IN | Flags::OUT | Flags::RDHUP | Flags::ET;
        let descriptor = descriptor(place);
        let data = epoll::EventData::new_u64(place as u64);
        epoll::add(&self.epoll, borrow(&descriptor), data, flags)?;
        // What can be read is told at once; that replies can be sent is likely, and found out if not.
        *socket = Socket { is_registered: true, is_writable: true, ..socket.clone() };
        Ok(())
    }

    // ── What was begun ────────────────────────────────────────────────────────────────────────

    fn submit(&mut self, submission: Submission) {
        match submission {
            Submission::Read(place) => match self.register(place) {
                Ok(()) => self.try_read(place),
                Err(error) => self.fail_all(place, error),
            },
            Submission::Send(place) => match self.register(place) {
                Ok(()) => self.try_send(place),
                Err(error) => self.fail_all(place, error),
            },
            Submission::Cancel(id) => {
                let index = u32::try_from(id.0 & 0xffff_ffff).unwrap_or(u32::MAX);
                let Some(slot) = self.slots.get(index as usize) else { return };
                let is_same = u64::from(slot.generation) == id.0 >> 32;
                // A file's operation cannot be called back; it ends soon.
                if is_same && !matches!(slot.operation, None | Some(Operation::File { .. })) {
                    self.fail(index, Errno::CANCELED);
                }
            }
            Submission::Shutdown(socket, how) => {
                let _ = rustix::net::shutdown(borrow(&socket), how);
            }
            Submission::Close(descriptor, token) => {
                let place = self.place(descriptor);
                self.fail_all(place, Errno::CANCELED);
                self.sockets[place] = Socket::default();
                drop(own(descriptor));
                self.events.push_back(Event { token, completion: Completion::Closed });
            }
        }
    }

    fn fail_all(&mut self, place: usize, error: Errno) {
        let socket = &self.sockets[place];
        for index in [socket.reading, socket.sending].into_iter().flatten() {
            self.fail(index, error);
        }
    }

    // ── Sockets ───────────────────────────────────────────────────────────────────────────────

    fn try_read(&mut self, place: usize) {
        let socket = &self.sockets[place];
        let (true, Some(index)) = (socket.is_readable, socket.reading) else { return };
        match self.slots[index as usize].operation {
            Some(Operation::Accept) => self.try_accept(place, index),
            Some(Operation::Small { multishot }) => self.try_small(place, index, multishot),
            Some(Operation::Into { .. }) => self.try_into_buffer(place, index),
            Some(Operation::Send { .. } | Operation::File { .. }) | None => {}
        }
    }

    fn try_accept(&mut self, place: usize, index: u32) {
        let token = self.slots[index as usize].token;
        let listener = descriptor(place);
        for _ in 0..ACCEPTS_A_TURN {
            match rustix::net::accept_with(borrow(&listener), SocketFlags::CLOEXEC) {
                Ok(socket) => {
                    let result = Ok(super::disown(socket));
                    let completion = Completion::Accepted { result, more: true };
                    self.events.push_back(Event { token, completion });
                }
                Err(Errno::AGAIN) => {
                    self.sockets[place].is_readable = false;
                    return;
                }
                // Errors of the connection, which is gone (accept(2)).
                Err(Errno::INTR | Errno::CONNABORTED | Errno::PROTO) => {}
                Err(error) => return self.fail(index, error),
            }
        }
        self.try_again(place);
    }

    fn try_small(&mut self, place: usize, index: u32, multishot: bool) {
        let token = self.slots[index as usize].token;
        let from = descriptor(place);
        for _ in 0..RECEIVES_A_TURN {
            // Without a free buffer the bytes wait in the socket; buffers come back with this turn.
            let Some(id) = self.free_small.pop() else { break };
            let start = usize::from(id) * RECEIVE_BUFFER_SIZE;
            let space = &mut self.memory.as_mut_slice()[start..start + RECEIVE_BUFFER_SIZE];
            let result = rustix::net::recv(borrow(&from), space, RecvFlags::DONTWAIT);
            let count = result.map(|(count, _)| count);
            if !matches!(count, Ok(1..)) {
                self.free_small.push(id);
            }
            match count {
                Ok(0) => {
                    let result = Ok(SmallBuffer { id: u16::MAX, length: 0 });
                    return self.finish(index, |_| Completion::Small { result, more: false });
                }
                Ok(count) => {
                    self.note_received(place, count < RECEIVE_BUFFER_SIZE);
                    let length = u32::try_from(count).unwrap_or(u32::MAX);
                    let result = Ok(SmallBuffer { id, length });
                    if !multishot {
                        return self.finish(index, |_| Completion::Small { result, more: false });
                    }
                    let completion = Completion::Small { result, more: true };
                    self.events.push_back(Event { token, completion });
                }
                Err(Errno::AGAIN) => self.sockets[place].is_readable = false,
                Err(Errno::INTR) => {}
                Err(error) => return self.fail(index, error),
            }
            if !self.sockets[place].is_readable {
                return;
            }
        }
        self.try_again(place);
    }

    /// Its share of this turn is used up.
    fn try_again(&mut self, place: usize) {
        if !std::mem::replace(&mut self.sockets[place].is_again, true) {
            self.again.push(place);
        }
    }

    fn try_into_buffer(&mut self, place: usize, index: u32) {
        let from = descriptor(place);
        let Some(Operation::Into { buffer, end }) = &mut self.slots[index as usize].operation
        else {
            return;
        };
        let before = buffer.len();
        let end = *end;
        let space = &mut buffer.whole_mut()[before..end];
        match rustix::net::recv(borrow(&from), space, RecvFlags::DONTWAIT) {
            Ok((count, _)) => {
                buffer.set_len(before + count);
                self.note_received(place, count < end - before);
                self.finish(index, |operation| match operation {
                    Operation::Into { buffer, .. } => {
                        Completion::Received { buffer, result: Ok(count) }
                    }
                    _ => unreachable!("matched above"),
                });
            }
            Err(Errno::AGAIN) => self.sockets[place].is_readable = false,
            Err(error) => self.fail(index, error),
        }
    }

    /// A receive that got less than it had room for has emptied the socket (epoll(7), question 9);
    /// whatever comes later brings an edge. After the peer's end there is none.
    fn note_received(&mut self, place: usize, is_short: bool) {
        let socket = &mut self.sockets[place];
        socket.is_readable = !is_short || socket.has_ended;
    }

    fn try_send(&mut self, place: usize) {
        let to = descriptor(place);
        let socket = &mut self.sockets[place];
        let (true, Some(index)) = (socket.is_writable, socket.sending) else { return };
        let Some(Operation::Send { bytes, from }) = &self.slots[index as usize].operation else {
            return;
        };
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        match rustix::net::send(borrow(&to), &bytes[*from..], flags) {
            Err(Errno::AGAIN) => socket.is_writable = false,
            result => self.finish(index, |operation| match operation {
                Operation::Send { bytes, .. } => Completion::Sent { buffer: bytes, result },
                _ => unreachable!("matched above"),
            }),
        }
    }

    fn handle_ready(&mut self, place: usize, flags: epoll::EventFlags) {
        use epoll::EventFlags as Flags;
        let Some(socket) = self.sockets.get_mut(place) else { return };
        let ended = flags.intersects(Flags::RDHUP | Flags::HUP | Flags::ERR);
        socket.has_ended |= ended;
        socket.is_readable |= ended || flags.contains(Flags::IN);
        socket.is_writable |= flags.intersects(Flags::OUT | Flags::HUP | Flags::ERR);
        self.try_send(place);
        self.try_read(place);
    }

    fn collect_files(&mut self) {
        while let Some(done) = self.files.next_done() {
            self.finish(done.operation, |operation| match (operation, done.buffer) {
                (Operation::File { is_write: true }, Some(buffer)) => {
                    Completion::Wrote { buffer, result: done.result }
                }
                _ => Completion::Synced { result: done.result.map(drop) },
            });
        }
    }
}

fn descriptor(place: usize) -> Descriptor {
    Descriptor(i32::try_from(place).expect("made from a descriptor"))
}

impl Ring for Poll {
    fn accept(&mut self, listener: Descriptor, token: Token) -> OperationId {
        // There is no flag for a single accept that does not wait.
        let _ = rustix::io::ioctl_fionbio(borrow(&listener), true);
        self.begin_read(Operation::Accept, token, listener)
    }

    fn receive_small(&mut self, socket: Descriptor, multishot: bool, token: Token) -> OperationId {
        self.begin_read(Operation::Small { multishot }, token, socket)
    }

    fn receive_into(
        &mut self,
        socket: Descriptor,
        buffer: AlignedBuffer,
        end: usize,
        token: Token,
    ) -> OperationId {
        assert!(buffer.len() < end && end <= buffer.capacity());
        self.begin_read(Operation::Into { buffer, end }, token, socket)
    }

    fn send(
        &mut self,
        socket: Descriptor,
        bytes: Vec<u8>,
        from: usize,
        token: Token,
    ) -> OperationId {
        assert!(from < bytes.len());
        let place = self.place(socket);
        let (index, id) = self.begin(Operation::Send { bytes, from }, token, place);
        let before = self.sockets[place].sending.replace(index);
        assert!(before.is_none(), "one send at a time");
        self.submitted.push(Submission::Send(place));
        id
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
        let (index, id) = self.begin(Operation::File { is_write: true }, token, usize::MAX);
        self.files.submit(index, Job::Write { file, offset, buffer, from });
        id
    }

    fn sync(&mut self, file: Descriptor, token: Token) -> OperationId {
        let (index, id) = self.begin(Operation::File { is_write: false }, token, usize::MAX);
        self.files.submit(index, Job::Sync { file });
        id
    }

    fn cancel(&mut self, operation: OperationId) {
        self.submitted.push(Submission::Cancel(operation));
    }

    fn shutdown(&mut self, socket: Descriptor, sending_only: bool) {
        let how = if sending_only { Shutdown::Write } else { Shutdown::Both };
        self.submitted.push(Submission::Shutdown(socket, how));
    }

    fn close(&mut self, socket: Descriptor, token: Token) {
        self.submitted.push(Submission::Close(socket, token));
    }

    fn waker(&self) -> Waker {
        self.wake.clone()
    }

    fn turn(&mut self, wait_nanos: Option<u64>) -> Result<(), Errno> {
        let mut submitted = std::mem::take(&mut self.submitted);
        submitted.drain(..).for_each(|submission| self.submit(submission));
        self.submitted = submitted;
        // Places that a try adds lie behind these.
        let count = self.again.len();
        for index in 0..count {
            let place = self.again[index];
            self.sockets[place].is_again = false;
            self.try_read(place);
        }
        self.again.drain(..count);
        let is_busy = !self.events.is_empty() || !self.again.is_empty();
        let wait_nanos = if is_busy { Some(0) } else { wait_nanos };
        // Whole milliseconds: `epoll_pwait2` is newer than many seccomp profiles.
        let timeout = wait_nanos.map(|nanos| {
            let millis = nanos.div_ceil(1_000_000);
            Timespec {
                tv_sec: i64::try_from(millis / 1000).unwrap_or(i64::MAX),
                tv_nsec: i64::try_from(millis % 1000 * 1_000_000).unwrap_or(0),
            }
        });
        let mut ready = std::mem::take(&mut self.ready);
        ready.clear();
        let space = rustix::buffer::spare_capacity(&mut ready);
        match epoll::wait(&self.epoll, space, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
        for event in ready.drain(..) {
            match event.data.u64() {
                WAKE => {
                    self.wake.clear();
                    let completion = Completion::Woken;
                    self.events.push_back(Event { token: Token(0), completion });
                }
                FILES => {
                    self.files_wake.clear();
                    self.collect_files();
                }
                place => self.handle_ready(size(place), event.flags),
            }
        }
        self.ready = ready;
        Ok(())
    }

    fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn small_bytes(&self, buffer: &SmallBuffer) -> &[u8] {
        if buffer.id >= RECEIVE_BUFFER_COUNT {
            return &[];
        }
        let start = usize::from(buffer.id) * RECEIVE_BUFFER_SIZE;
        let length = (buffer.length as usize).min(RECEIVE_BUFFER_SIZE);
        &self.memory.as_slice()[start..start + length]
    }

    fn release_small(&mut self, buffer: SmallBuffer) {
        if buffer.id < RECEIVE_BUFFER_COUNT {
            self.free_small.push(buffer.id);
        }
    }
}

impl Drop for Poll {
    /// What was submitted last still happens: shutdowns and closes, as with io_uring.
    fn drop(&mut self) {
        let submitted = std::mem::take(&mut self.submitted);
        submitted.into_iter().for_each(|submission| self.submit(submission));
        while let Some(event) = self.events.pop_front() {
            if let Completion::Accepted { result: Ok(socket), .. } = event.completion {
                drop(own(socket));
            }
        }
    }
}
