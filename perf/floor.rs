//! The floor: receives HTTP/1.1 POST bodies, appends them to a file that was written with zeros once,
//! commits directly in groups, replies 204. Nothing is read, checked or remembered: what durable
//! ingestion costs at least on this machine.
//!
//! `floor --http ADDR --data-dir DIR`. One thread, one ring with the flags of `src/ring/uring.rs`;
//! bodies up to 4 MiB with a Content-Length, no pipelining. The file wraps around.

#![allow(
    unsafe_code,
    reason = "the kernel reads and writes memory that this program owns for ever"
)]
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a tool may panic")]

use std::alloc::{Layout, alloc_zeroed};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use io_uring::types::Fd;
use io_uring::{IoUring, cqueue, opcode, squeue};

const BUFFER_SIZE: usize = 4 << 20;
const FILE_SIZE: u64 = 256 << 20;
const ALIGNMENT: usize = 4096;
/// Below this, copying into a common block is cheaper than a padded write.
const PACKED_MAX: usize = 32 << 10;
const GROUP_MAX: usize = 32;
const REPLY: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

const ACCEPT: u64 = 1 << 32;
const RECEIVE: u64 = 2 << 32;
const SEND: u64 = 3 << 32;
const WRITE: u64 = 4 << 32;

fn aligned() -> *mut u8 {
    // SAFETY: the layout has a size; the memory is never freed, only reused.
    unsafe { alloc_zeroed(Layout::from_size_align(BUFFER_SIZE, ALIGNMENT).unwrap()) }
}

fn piece(start: *mut u8, length: usize) -> libc::iovec {
    libc::iovec { iov_base: start.cast(), iov_len: length.next_multiple_of(ALIGNMENT) }
}

#[derive(Clone, Copy)]
struct Connection {
    buffer: *mut u8,
    filled: usize,
    /// Head and body together; zero until the head is complete.
    wanted: usize,
}

impl Connection {
    /// Whether the request is complete. `None`: not a request that the floor takes.
    fn advance(&mut self) -> Option<bool> {
        if self.wanted == 0 {
            // SAFETY: the kernel has filled that many bytes and is done with them.
            let bytes = unsafe { std::slice::from_raw_parts(self.buffer, self.filled) };
            let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
                return (self.filled < 16 << 10).then_some(false);
            };
            let head = std::str::from_utf8(bytes.get(..end)?).ok()?.to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"))?;
            self.wanted = end + 4 + length.trim().parse::<usize>().ok()?;
        }
        let fits = self.filled <= self.wanted && self.wanted <= BUFFER_SIZE;
        fits.then_some(self.filled == self.wanted)
    }
}

struct Floor {
    ring: IoUring,
    file: File,
    position: u64,
    /// By descriptor.
    connections: Vec<Connection>,
    /// Requests that are complete and wait for the next group.
    ready: Vec<usize>,
    group: Vec<usize>,
    pieces: Vec<libc::iovec>,
    block: *mut u8,
}

impl Floor {
    fn push(&mut self, entry: squeue::Entry) {
        // SAFETY: buffers live for ever and are not touched while an operation owns them.
        while unsafe { self.ring.submission().push(&entry) }.is_err() {
            self.ring.submit().unwrap();
        }
    }

    fn receive(&mut self, socket: usize) {
        let Connection { buffer, filled, wanted } = self.connections[socket];
        let end = if wanted == 0 { BUFFER_SIZE } else { wanted };
        // SAFETY: `filled` is at most `end`, which is at most the buffer's size.
        let start = unsafe { buffer.add(filled) };
        let entry = opcode::Recv::new(Fd(socket as i32), start, (end - filled) as u32).build();
        self.push(entry.user_data(RECEIVE | socket as u64));
    }

    fn accepted(&mut self, socket: usize) {
        while self.connections.len() <= socket {
            self.connections.push(Connection { buffer: aligned(), filled: 0, wanted: 0 });
        }
        self.receive(socket);
    }

    fn received(&mut self, socket: usize, count: i32) {
        let connection = &mut self.connections[socket];
        connection.filled += count.max(0) as usize;
        match if count > 0 { connection.advance() } else { None } {
            Some(true) => self.ready.push(socket),
            Some(false) => self.receive(socket),
            None => {
                (connection.filled, connection.wanted) = (0, 0);
                // SAFETY: nothing is in flight on this socket.
                unsafe { libc::close(socket as i32) };
            }
        }
    }

    /// Starts the next group: small requests in one block, each large one from where it was received.
    fn commit(&mut self) {
        if !self.group.is_empty() || self.ready.is_empty() {
            return;
        }
        self.pieces.clear();
        self.group.extend(self.ready.drain(..self.ready.len().min(GROUP_MAX)));
        let mut packed = 0;
        for &socket in &self.group {
            let Connection { buffer, filled, .. } = self.connections[socket];
            if filled < PACKED_MAX && packed + filled <= BUFFER_SIZE {
                // SAFETY: the block has room, as just compared, and neither buffer is in flight.
                unsafe { self.block.add(packed).copy_from_nonoverlapping(buffer, filled) };
                packed += filled;
            } else {
                self.pieces.push(piece(buffer, filled));
            }
        }
        if packed > 0 {
            self.pieces.push(piece(self.block, packed));
        }
        let total: usize = self.pieces.iter().map(|piece| piece.iov_len).sum();
        if self.position + total as u64 > FILE_SIZE {
            self.position = 0;
        }
        let (pieces, count) = (self.pieces.as_ptr(), self.pieces.len() as u32);
        let write = opcode::Writev::new(Fd(self.file.as_raw_fd()), pieces, count);
        self.position += total as u64;
        self.push(write.offset(self.position - total as u64).build().user_data(WRITE));
    }

    fn committed(&mut self, result: i32) {
        assert!(result > 0, "write failed: {}", std::io::Error::from_raw_os_error(-result));
        assert_eq!(result as usize, self.pieces.iter().map(|piece| piece.iov_len).sum());
        for socket in std::mem::take(&mut self.group) {
            let connection = &mut self.connections[socket];
            (connection.filled, connection.wanted) = (0, 0);
            let (reply, length) = (REPLY.as_ptr(), REPLY.len() as u32);
            let send = opcode::Send::new(Fd(socket as i32), reply, length);
            let send = send.flags(libc::MSG_NOSIGNAL).build();
            self.push(send.flags(squeue::Flags::SKIP_SUCCESS).user_data(SEND));
            self.receive(socket);
        }
    }
}

/// Written with zeros once, so that a commit changes no metadata.
fn prepare(folder: &Path) -> File {
    std::fs::create_dir_all(folder).unwrap();
    let path = folder.join("floor.data");
    let mut file = File::create(&path).unwrap();
    (0..FILE_SIZE >> 20).for_each(|_| file.write_all(&[0; 1 << 20]).unwrap());
    file.sync_all().unwrap();
    let flags = libc::O_DIRECT | libc::O_DSYNC;
    OpenOptions::new().write(true).custom_flags(flags).open(path).unwrap()
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |name| arguments.iter().skip_while(|given| *given != name).nth(1);
    let listener = TcpListener::bind(value("--http").expect("--http ADDR")).unwrap();
    let file = prepare(Path::new(value("--data-dir").expect("--data-dir DIR")));
    let ring = IoUring::builder().setup_single_issuer().setup_defer_taskrun().build(1024).unwrap();
    println!("listening   http://{}", listener.local_addr().unwrap());
    let mut floor = Floor {
        ring,
        file,
        position: 0,
        connections: Vec::new(),
        ready: Vec::new(),
        group: Vec::new(),
        pieces: Vec::new(),
        block: aligned(),
    };
    let accept = opcode::AcceptMulti::new(Fd(listener.as_raw_fd())).build().user_data(ACCEPT);
    floor.push(accept.clone());
    let mut completions = Vec::new();
    loop {
        floor.ring.submit_and_wait(1).unwrap();
        completions.extend(floor.ring.completion().map(|entry| (entry.user_data(), entry)));
        for (token, entry) in completions.drain(..) {
            match token & !0xffff_ffff {
                ACCEPT if entry.result() >= 0 => floor.accepted(entry.result() as usize),
                RECEIVE => floor.received((token & 0xffff_ffff) as usize, entry.result()),
                WRITE => floor.committed(entry.result()),
                _ => {}
            }
            if token == ACCEPT && !cqueue::more(entry.flags()) {
                floor.push(accept.clone());
            }
        }
        floor.commit();
    }
}
