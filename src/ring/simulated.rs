//! The ring in memory: sockets and files are byte vectors, time is what the caller says.
//!
//! Place: in tests of what stands above the ring. Deterministic: completions come in the order of
//! submission. [`World`] is the other side: it connects, sends, reads files, injects faults.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{
    Completion, Descriptor, Errno, Event, OperationId, Ring, SmallBuffer, Token, Wake, Waker,
};
use crate::buffer::AlignedBuffer;
use crate::limits::{RECEIVE_BUFFER_COUNT, RECEIVE_BUFFER_SIZE, size};

/// An endpoint of a simulated connection.
#[derive(Default)]
struct Socket {
    to_server: VecDeque<u8>,
    to_peer: Vec<u8>,
    peer_ended: bool,
    server_ended: bool,
    closed: bool,
}

#[derive(Default)]
struct State {
    sockets: BTreeMap<i32, Socket>,
    files: BTreeMap<i32, Vec<u8>>,
    waiting: VecDeque<i32>,
    next: i32,
    /// The next writes fail so.
    write_faults: VecDeque<Errno>,
    /// The next writes take at most this many bytes.
    write_size_max: Option<usize>,
    /// Writes stay pending.
    writes_held: bool,
    /// Sends take at most this many bytes.
    send_size_max: Option<usize>,
}

/// The outside of the simulation.
#[derive(Clone, Default)]
pub struct World {
    state: Rc<RefCell<State>>,
}

impl World {
    fn allocate(state: &mut State) -> i32 {
        state.next += 1;
        state.next
    }

    pub fn listener(&self) -> Descriptor {
        Descriptor(Self::allocate(&mut self.state.borrow_mut()))
    }

    pub fn connect(&self) -> Descriptor {
        let mut state = self.state.borrow_mut();
        let id = Self::allocate(&mut state);
        state.sockets.insert(id, Socket::default());
        state.waiting.push_back(id);
        Descriptor(id)
    }

    pub fn file(&self, capacity: usize) -> Descriptor {
        let mut state = self.state.borrow_mut();
        let id = Self::allocate(&mut state);
        state.files.insert(id, vec![0; capacity]);
        Descriptor(id)
    }

    pub fn peer_sends(&self, socket: Descriptor, bytes: &[u8]) {
        if let Some(socket) = self.state.borrow_mut().sockets.get_mut(&socket.0) {
            socket.to_server.extend(bytes);
        }
    }

    pub fn peer_ends(&self, socket: Descriptor) {
        if let Some(socket) = self.state.borrow_mut().sockets.get_mut(&socket.0) {
            socket.peer_ended = true;
        }
    }

    /// Everything the server sent since the last call.
    pub fn peer_receives(&self, socket: Descriptor) -> Vec<u8> {
        self.state
            .borrow_mut()
            .sockets
            .get_mut(&socket.0)
            .map(|socket| std::mem::take(&mut socket.to_peer))
            .unwrap_or_default()
    }

    pub fn is_closed(&self, socket: Descriptor) -> bool {
        self.state.borrow().sockets.get(&socket.0).is_none_or(|socket| socket.closed)
    }

    pub fn file_bytes(&self, file: Descriptor) -> Vec<u8> {
        self.state.borrow().files.get(&file.0).cloned().unwrap_or_default()
    }

    pub fn fail_next_write(&self, error: Errno) {
        self.state.borrow_mut().write_faults.push_back(error);
    }

    pub fn limit_writes(&self, size_max: Option<usize>) {
        self.state.borrow_mut().write_size_max = size_max;
    }

    /// A device that takes its time: no write completes until it is released.
    pub fn hold_writes(&self, held: bool) {
        self.state.borrow_mut().writes_held = held;
    }

    pub fn limit_sends(&self, size_max: Option<usize>) {
        self.state.borrow_mut().send_size_max = size_max;
    }
}

enum Pending {
    Accept { more: bool },
    Small { socket: i32, multishot: bool },
    Into { socket: i32, buffer: AlignedBuffer, end: usize },
    Send { socket: i32, bytes: Vec<u8>, from: usize },
    Write { file: i32, offset: u64, buffer: AlignedBuffer, from: usize },
    Sync,
    Close { socket: i32 },
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(&self) {
        self.0.store(true, Ordering::Release);
    }
}

pub struct Simulated {
    world: World,
    pending: Vec<(OperationId, Token, Pending)>,
    cancelled: Vec<OperationId>,
    events: VecDeque<Event>,
    small: Vec<Option<Vec<u8>>>,
    next: u64,
    wake: Arc<Flag>,
}

impl Simulated {
    pub fn new(world: World) -> Self {
        Self {
            world,
            pending: Vec::new(),
            cancelled: Vec::new(),
            events: VecDeque::new(),
            small: (0..RECEIVE_BUFFER_COUNT).map(|_| None).collect(),
            next: 0,
            wake: Arc::new(Flag(AtomicBool::new(false))),
        }
    }

    fn begin(&mut self, token: Token, pending: Pending) -> OperationId {
        self.next += 1;
        let id = OperationId(self.next);
        self.pending.push((id, token, pending));
        id
    }

    fn emit(&mut self, token: Token, completion: Completion) {
        self.events.push_back(Event { token, completion });
    }

    fn keep_small(&mut self, bytes: Vec<u8>) -> Option<SmallBuffer> {
        let place = self.small.iter().position(Option::is_none)?;
        let length = u32::try_from(bytes.len()).ok()?;
        self.small[place] = Some(bytes);
        Some(SmallBuffer { id: u16::try_from(place).ok()?, length })
    }

    /// Advances one operation. Gives it back if it stays pending.
    fn advance(&mut self, token: Token, pending: Pending, cancelled: bool) -> Option<Pending> {
        let state = Rc::clone(&self.world.state);
        let mut state = state.borrow_mut();
        match pending {
            Pending::Accept { more } => {
                if cancelled {
                    self.emit(
                        token,
                        Completion::Accepted { result: Err(Errno::CANCELED), more: false },
                    );
                    return None;
                }
                while let Some(id) = state.waiting.pop_front() {
                    self.emit(token, Completion::Accepted { result: Ok(Descriptor(id)), more });
                }
                Some(Pending::Accept { more })
            }
            Pending::Small { socket, multishot } => {
                let entry = state.sockets.get_mut(&socket);
                let Some(entry) = entry.filter(|entry| !entry.closed && !cancelled) else {
                    self.emit(
                        token,
                        Completion::Small { result: Err(Errno::CANCELED), more: false },
                    );
                    return None;
                };
                if !entry.to_server.is_empty() {
                    let length = entry.to_server.len().min(RECEIVE_BUFFER_SIZE);
                    let bytes: Vec<u8> = entry.to_server.drain(..length).collect();
                    let result = self.keep_small(bytes).ok_or(Errno::NOBUFS);
                    let more = multishot && result.is_ok();
                    self.emit(token, Completion::Small { result, more });
                    return more.then_some(Pending::Small { socket, multishot });
                }
                if entry.peer_ended {
                    let end = SmallBuffer { id: u16::MAX, length: 0 };
                    self.emit(token, Completion::Small { result: Ok(end), more: false });
                    return None;
                }
                Some(Pending::Small { socket, multishot })
            }
            Pending::Into { socket, mut buffer, end } => {
                let entry = state.sockets.get_mut(&socket);
                let Some(entry) = entry.filter(|entry| !entry.closed && !cancelled) else {
                    let result = Err(Errno::CANCELED);
                    self.emit(token, Completion::Received { buffer, result });
                    return None;
                };
                if entry.to_server.is_empty() && !entry.peer_ended {
                    return Some(Pending::Into { socket, buffer, end });
                }
                let length = entry.to_server.len().min(end - buffer.len());
                let bytes: Vec<u8> = entry.to_server.drain(..length).collect();
                buffer.extend_from_slice(&bytes);
                self.emit(token, Completion::Received { buffer, result: Ok(length) });
                None
            }
            Pending::Send { socket, bytes, from } => {
                let size_max = state.send_size_max.unwrap_or(usize::MAX);
                let result = match state.sockets.get_mut(&socket) {
                    Some(entry) if !entry.closed && !entry.server_ended => {
                        let length = (bytes.len() - from).min(size_max);
                        entry.to_peer.extend_from_slice(&bytes[from..from + length]);
                        Ok(length)
                    }
                    _ => Err(Errno::PIPE),
                };
                self.emit(token, Completion::Sent { buffer: bytes, result });
                None
            }
            pending @ Pending::Write { .. } if state.writes_held => Some(pending),
            Pending::Write { file, offset, buffer, from } => {
                let result = match state.write_faults.pop_front() {
                    Some(error) => Err(error),
                    None => {
                        let size_max = state.write_size_max.unwrap_or(usize::MAX);
                        let length = (buffer.len() - from).min(size_max);
                        let start = size(offset);
                        match state
                            .files
                            .get_mut(&file)
                            .and_then(|bytes| bytes.get_mut(start..start + length))
                        {
                            Some(place) => {
                                place.copy_from_slice(&buffer.as_slice()[from..from + length]);
                                Ok(length)
                            }
                            None => Err(Errno::IO),
                        }
                    }
                };
                self.emit(token, Completion::Wrote { buffer, result });
                None
            }
            Pending::Sync => {
                self.emit(token, Completion::Synced { result: Ok(()) });
                None
            }
            Pending::Close { socket } => {
                if let Some(entry) = state.sockets.get_mut(&socket) {
                    entry.closed = true;
                }
                self.emit(token, Completion::Closed);
                None
            }
        }
    }
}

impl Ring for Simulated {
    fn accept(&mut self, _listener: Descriptor, token: Token) -> OperationId {
        self.begin(token, Pending::Accept { more: true })
    }

    fn receive_small(&mut self, socket: Descriptor, multishot: bool, token: Token) -> OperationId {
        self.begin(token, Pending::Small { socket: socket.0, multishot })
    }

    fn receive_into(
        &mut self,
        socket: Descriptor,
        buffer: AlignedBuffer,
        end: usize,
        token: Token,
    ) -> OperationId {
        self.begin(token, Pending::Into { socket: socket.0, buffer, end })
    }

    fn send(
        &mut self,
        socket: Descriptor,
        bytes: Vec<u8>,
        from: usize,
        token: Token,
    ) -> OperationId {
        self.begin(token, Pending::Send { socket: socket.0, bytes, from })
    }

    fn write(
        &mut self,
        file: Descriptor,
        offset: u64,
        buffer: AlignedBuffer,
        from: usize,
        token: Token,
    ) -> OperationId {
        self.begin(token, Pending::Write { file: file.0, offset, buffer, from })
    }

    fn sync(&mut self, _file: Descriptor, token: Token) -> OperationId {
        self.begin(token, Pending::Sync)
    }

    fn cancel(&mut self, operation: OperationId) {
        self.cancelled.push(operation);
    }

    fn shutdown(&mut self, socket: Descriptor, sending_only: bool) {
        if let Some(socket) = self.world.state.borrow_mut().sockets.get_mut(&socket.0) {
            socket.server_ended = true;
            socket.peer_ended |= !sending_only;
        }
    }

    fn close(&mut self, socket: Descriptor, token: Token) {
        self.begin(token, Pending::Close { socket: socket.0 });
    }

    fn waker(&self) -> Waker {
        self.wake.clone()
    }

    fn turn(&mut self, _wait_nanos: Option<u64>) -> Result<(), Errno> {
        if self.wake.0.swap(false, Ordering::AcqRel) {
            self.emit(Token(0), Completion::Woken);
        }
        let cancelled = std::mem::take(&mut self.cancelled);
        for (id, token, pending) in std::mem::take(&mut self.pending) {
            if let Some(still) = self.advance(token, pending, cancelled.contains(&id)) {
                self.pending.push((id, token, still));
            }
        }
        Ok(())
    }

    fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn small_bytes(&self, buffer: &SmallBuffer) -> &[u8] {
        self.small.get(usize::from(buffer.id)).and_then(Option::as_deref).unwrap_or(&[])
    }

    fn release_small(&mut self, buffer: SmallBuffer) {
        if let Some(place) = self.small.get_mut(usize::from(buffer.id)) {
            *place = None;
        }
    }
}
