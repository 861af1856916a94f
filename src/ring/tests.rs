//! One suite for every implementation of [`Ring`].

#![allow(clippy::disallowed_methods, reason = "tests wait in real time")]

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};

use super::poll::Poll;
use super::simulated::{Simulated, World};
use super::uring::Uring;
use super::*;

/// The other side of a ring under test.
trait Outside {
    type Ring: Ring;
    type Peer;

    fn ring(&self) -> Self::Ring;
    fn listener(&mut self) -> Descriptor;
    fn connect(&mut self) -> Self::Peer;
    fn send(&mut self, peer: &mut Self::Peer, bytes: &[u8]);
    fn end(&mut self, peer: &mut Self::Peer);
    /// Exactly `count` bytes.
    fn receive(&mut self, peer: &mut Self::Peer, count: usize) -> Vec<u8>;
    fn file(&mut self, capacity: usize) -> Descriptor;
    fn file_bytes(&mut self, file: Descriptor) -> Vec<u8>;
}

/// Real sockets and files.
struct Real<R> {
    make: fn() -> Result<R, Errno>,
    listener: Option<TcpListener>,
    files: Vec<File>,
}

impl<R> Real<R> {
    /// `None`, and a word about it, where the kernel refuses such a ring.
    fn with(make: fn() -> Result<R, Errno>) -> Option<Self> {
        match make() {
            Ok(_) => Some(Self { make, listener: None, files: Vec::new() }),
            Err(error) => {
                println!("skipped: the kernel refuses this ring ({error})");
                None
            }
        }
    }
}

fn uring() -> Option<Real<Uring>> {
    Real::with(|| Uring::new(Features::Auto))
}

fn baseline() -> Option<Real<Uring>> {
    Real::with(|| Uring::new(Features::Baseline))
}

fn poll() -> Option<Real<Poll>> {
    Real::with(|| Poll::new("file".to_owned()))
}

impl<R: Ring> Outside for Real<R> {
    type Ring = R;
    type Peer = TcpStream;

    fn ring(&self) -> R {
        (self.make)().unwrap()
    }

    fn listener(&mut self) -> Descriptor {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let descriptor = Descriptor(listener.as_raw_fd());
        self.listener = Some(listener);
        descriptor
    }

    fn connect(&mut self) -> TcpStream {
        TcpStream::connect(self.listener.as_ref().unwrap().local_addr().unwrap()).unwrap()
    }

    fn send(&mut self, peer: &mut TcpStream, bytes: &[u8]) {
        peer.write_all(bytes).unwrap();
    }

    fn end(&mut self, peer: &mut TcpStream) {
        peer.shutdown(Shutdown::Write).unwrap();
    }

    fn receive(&mut self, peer: &mut TcpStream, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        peer.read_exact(&mut bytes).unwrap();
        bytes
    }

    fn file(&mut self, capacity: usize) -> Descriptor {
        let file = tempfile::tempfile().unwrap();
        file.set_len(capacity as u64).unwrap();
        let descriptor = Descriptor(file.as_raw_fd());
        self.files.push(file);
        descriptor
    }

    fn file_bytes(&mut self, file: Descriptor) -> Vec<u8> {
        let file = self.files.iter_mut().find(|known| known.as_raw_fd() == file.0).unwrap();
        std::io::Seek::rewind(file).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    }
}

impl Outside for World {
    type Ring = Simulated;
    type Peer = Descriptor;

    fn ring(&self) -> Simulated {
        Simulated::new(self.clone())
    }

    fn listener(&mut self) -> Descriptor {
        World::listener(self)
    }

    fn connect(&mut self) -> Descriptor {
        World::connect(self)
    }

    fn send(&mut self, peer: &mut Descriptor, bytes: &[u8]) {
        self.peer_sends(*peer, bytes);
    }

    fn end(&mut self, peer: &mut Descriptor) {
        self.peer_ends(*peer);
    }

    fn receive(&mut self, peer: &mut Descriptor, count: usize) -> Vec<u8> {
        let bytes = self.peer_receives(*peer);
        assert_eq!(bytes.len(), count);
        bytes
    }

    fn file(&mut self, capacity: usize) -> Descriptor {
        World::file(self, capacity)
    }

    fn file_bytes(&mut self, file: Descriptor) -> Vec<u8> {
        World::file_bytes(self, file)
    }
}

/// The next event, for at most two seconds of turns.
fn next(ring: &mut impl Ring) -> Event {
    for _ in 0..200 {
        if let Some(event) = ring.next_event() {
            return event;
        }
        ring.turn(Some(10_000_000)).unwrap();
    }
    panic!("no completion within two seconds");
}

fn quiet(ring: &mut impl Ring) {
    for _ in 0..3 {
        ring.turn(Some(5_000_000)).unwrap();
        assert!(ring.next_event().is_none());
    }
}

fn accept_one<O: Outside>(outside: &mut O, ring: &mut O::Ring) -> (O::Peer, Descriptor) {
    let listener = outside.listener();
    ring.accept(listener, Token(1));
    let peer = outside.connect();
    let event = next(ring);
    assert_eq!(event.token, Token(1));
    let Completion::Accepted { result: Ok(socket), more: true } = event.completion else {
        panic!("{event:?}")
    };
    (peer, socket)
}

fn accept_is_multishot(mut outside: impl Outside) {
    let mut ring = outside.ring();
    let listener = outside.listener();
    let operation = ring.accept(listener, Token(1));
    let _peers: Vec<_> = (0..3).map(|_| outside.connect()).collect();
    for _ in 0..3 {
        let event = next(&mut ring);
        assert!(matches!(event.completion, Completion::Accepted { result: Ok(_), more: true }));
    }
    ring.cancel(operation);
    let event = next(&mut ring);
    assert!(
        matches!(
            event.completion,
            Completion::Accepted { result: Err(Errno::CANCELED), more: false }
        ),
        "the last completion of a cancelled accept still comes"
    );
}

fn small_receives_lend_bytes_and_tell_the_end(mut outside: impl Outside) {
    let mut ring = outside.ring();
    let (mut peer, socket) = accept_one(&mut outside, &mut ring);
    ring.receive_small(socket, true, Token(2));
    for text in [&b"first"[..], b"second"] {
        outside.send(&mut peer, text);
        let Completion::Small { result: Ok(buffer), more: true } = next(&mut ring).completion
        else {
            panic!()
        };
        assert_eq!(ring.small_bytes(&buffer), text);
        ring.release_small(buffer);
    }
    outside.end(&mut peer);
    let Completion::Small { result: Ok(buffer), more: false } = next(&mut ring).completion else {
        panic!()
    };
    assert_eq!(ring.small_bytes(&buffer), b"");
    ring.release_small(buffer);
    quiet(&mut ring);
}

fn small_buffers_come_round_many_times(mut outside: impl Outside) {
    let mut ring = outside.ring();
    let (mut peer, socket) = accept_one(&mut outside, &mut ring);
    ring.receive_small(socket, true, Token(2));
    for round in 0..2 * u32::from(crate::limits::RECEIVE_BUFFER_COUNT) + 5 {
        outside.send(&mut peer, &round.to_le_bytes());
        let Completion::Small { result: Ok(buffer), more: true } = next(&mut ring).completion
        else {
            panic!()
        };
        assert_eq!(ring.small_bytes(&buffer), round.to_le_bytes());
        ring.release_small(buffer);
    }
}

fn a_single_receive_leaves_the_rest_in_the_socket(mut outside: impl Outside) {
    let mut ring = outside.ring();
    let (mut peer, socket) = accept_one(&mut outside, &mut ring);
    ring.receive_small(socket, false, Token(2));
    outside.send(&mut peer, b"head");
    let Completion::Small { result: Ok(buffer), more: false } = next(&mut ring).completion else {
        panic!()
    };
    assert_eq!(ring.small_bytes(&buffer), b"head");
    ring.release_small(buffer);
    outside.send(&mut peer, b"body and more");
    quiet(&mut ring);
    let mut buffer = AlignedBuffer::new(4096, 4096);
    buffer.extend_from_slice(b"> ");
    ring.receive_into(socket, buffer, 6, Token(3));
    let event = next(&mut ring);
    assert_eq!(event.token, Token(3));
    let Completion::Received { buffer, result: Ok(4) } = event.completion else { panic!() };
    assert_eq!(buffer.as_slice(), b"> body");
}

fn cancelled_receives_give_their_buffer_back(mut outside: impl Outside) {
    let mut ring = outside.ring();
    let (_peer, socket) = accept_one(&mut outside, &mut ring);
    let buffer = AlignedBuffer::new(4096, 4096);
    let operation = ring.receive_into(socket, buffer, 100, Token(3));
    quiet(&mut ring);
    ring.cancel(operation);
    let Completion::Received { buffer, result: Err(Errno::CANCELED) } = next(&mut ring).completion
    else {
        panic!()
    };
    assert_eq!((buffer.len(), buffer.capacity()), (0, 4096));
}

fn sends_return_their_bytes_and_close_ends_the_peer(mut outside: impl Outside) {
    let mut ring = outside.ring();
    let (mut peer, socket) = accept_one(&mut outside, &mut ring);
    ring.send(socket, b"..reply".to_vec(), 2, Token(4));
    let Completion::Sent { buffer, result: Ok(5) } = next(&mut ring).completion else { panic!() };
    assert_eq!(buffer, b"..reply");
    assert_eq!(outside.receive(&mut peer, 5), b"reply");
    ring.close(socket, Token(5));
    let event = next(&mut ring);
    assert_eq!(event.token, Token(5));
    assert!(matches!(event.completion, Completion::Closed));
}

fn writes_land_at_their_offset(mut outside: impl Outside) {
    let mut ring = outside.ring();
    let file = outside.file(8192);
    let mut buffer = AlignedBuffer::new(4096, 4096);
    buffer.extend_from_slice(b"skip-content");
    ring.write(file, 4096, buffer, 5, Token(6));
    let Completion::Wrote { buffer, result: Ok(7) } = next(&mut ring).completion else { panic!() };
    assert_eq!(buffer.as_slice(), b"skip-content");
    ring.sync(file, Token(7));
    assert!(matches!(next(&mut ring).completion, Completion::Synced { result: Ok(()) }));
    assert_eq!(&outside.file_bytes(file)[4096..4103], b"content");
}

fn a_waker_ends_the_wait_from_another_thread(outside: impl Outside) {
    let mut ring = outside.ring();
    for _ in 0..3 {
        let waker = ring.waker();
        std::thread::spawn(move || waker.wake()).join().unwrap();
        assert!(matches!(next(&mut ring).completion, Completion::Woken));
    }
    quiet(&mut ring);
}

macro_rules! suite {
    ($($test:ident)*) => {
        mod on_uring { $(#[test] fn $test() { super::uring().map(super::$test); })* }
        mod on_baseline { $(#[test] fn $test() { super::baseline().map(super::$test); })* }
        mod on_poll { $(#[test] fn $test() { super::poll().map(super::$test); })* }
        mod on_simulated { $(#[test] fn $test() { super::$test(super::World::default()); })* }
    };
}

suite! {
    accept_is_multishot
    small_receives_lend_bytes_and_tell_the_end
    small_buffers_come_round_many_times
    a_single_receive_leaves_the_rest_in_the_socket
    cancelled_receives_give_their_buffer_back
    sends_return_their_bytes_and_close_ends_the_peer
    writes_land_at_their_offset
    a_waker_ends_the_wait_from_another_thread
}

macro_rules! suite_of_real_rings {
    ($($test:ident)*) => {
        mod real_uring { $(#[test] fn $test() { super::uring().map(super::$test); })* }
        mod real_baseline { $(#[test] fn $test() { super::baseline().map(super::$test); })* }
        mod real_poll { $(#[test] fn $test() { super::poll().map(super::$test); })* }
    };
}

suite_of_real_rings! {
    dropping_the_ring_ends_its_operations
    a_send_waits_for_a_peer_that_does_not_read
    bytes_in_front_of_the_end_are_received_first
    every_socket_has_its_turn_when_buffers_are_few
    what_was_sent_goes_out_before_the_shutdown
    a_reset_is_told
    pieces_of_a_commit_all_land
    a_failed_write_gives_its_buffer_back
    a_closed_number_may_come_again
    a_shutdown_never_meets_the_next_connection
}

/// What is at stake: a buffer that the kernel still fills must not be freed with the ring.
fn dropping_the_ring_ends_its_operations<R: Ring>(mut outside: Real<R>) {
    let mut ring = outside.ring();
    let (mut peer, socket) = accept_one(&mut outside, &mut ring);
    ring.receive_into(socket, AlignedBuffer::new(4096, 4096), 100, Token(3));
    ring.turn(Some(1_000_000)).unwrap();
    drop(ring);
    drop::<OwnedFd>(super::own(socket));
    let mut rest = Vec::new();
    peer.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty());
}

fn a_send_waits_for_a_peer_that_does_not_read<R: Ring>(mut outside: Real<R>) {
    let mut ring = outside.ring();
    let (mut peer, socket) = accept_one(&mut outside, &mut ring);
    let bytes: Vec<u8> = (0..16 << 20).map(|at: u32| at.to_le_bytes()[1]).collect();
    let reader = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(100));
        let mut received = vec![0; 16 << 20];
        peer.read_exact(&mut received).unwrap();
        received
    });
    let (mut from, mut buffer) = (0, bytes.clone());
    while from < bytes.len() {
        ring.send(socket, buffer, from, Token(4));
        let Completion::Sent { buffer: back, result: Ok(count) } = next(&mut ring).completion
        else {
            panic!()
        };
        from += count;
        buffer = back;
    }
    assert!(reader.join().unwrap() == bytes);
}

/// What is at stake: with edges, an end that comes together with bytes is told only once.
fn bytes_in_front_of_the_end_are_received_first<R: Ring>(mut outside: Real<R>) {
    let mut ring = outside.ring();
    let (mut peer, socket) = accept_one(&mut outside, &mut ring);
    outside.send(&mut peer, b"head body");
    outside.end(&mut peer);
    std::thread::sleep(std::time::Duration::from_millis(20));
    ring.receive_into(socket, AlignedBuffer::new(4096, 4096), 4, Token(2));
    let Completion::Received { buffer, result: Ok(4) } = next(&mut ring).completion else {
        panic!()
    };
    assert_eq!(buffer.as_slice(), b"head");
    quiet(&mut ring);
    ring.receive_small(socket, false, Token(2));
    let Completion::Small { result: Ok(small), .. } = next(&mut ring).completion else { panic!() };
    assert_eq!(ring.small_bytes(&small), b" body");
    ring.release_small(small);
    ring.receive_small(socket, true, Token(2));
    let Completion::Small { result: Ok(small), more: false } = next(&mut ring).completion else {
        panic!()
    };
    assert_eq!(ring.small_bytes(&small), b"");
    ring.receive_into(socket, buffer, 8, Token(2));
    let Completion::Received { result: Ok(0), .. } = next(&mut ring).completion else { panic!() };
}

fn every_socket_has_its_turn_when_buffers_are_few<R: Ring>(mut outside: Real<R>) {
    let mut ring = outside.ring();
    let listener = outside.listener();
    ring.accept(listener, Token(0));
    let count = usize::from(crate::limits::RECEIVE_BUFFER_COUNT) / 4;
    let size = 8 * crate::limits::RECEIVE_BUFFER_SIZE;
    let mut peers = Vec::new();
    let mut sockets = Vec::new();
    for at in 0..count {
        peers.push(outside.connect());
        let Completion::Accepted { result: Ok(socket), .. } = next(&mut ring).completion else {
            panic!()
        };
        ring.receive_small(socket, true, Token(at as u64));
        sockets.push(socket);
    }
    for peer in &mut peers {
        outside.send(peer, &vec![7; size]);
        outside.end(peer);
    }
    let mut received = vec![0; count];
    let mut ended = 0;
    while ended < count {
        let event = next(&mut ring);
        let at = usize::try_from(event.token.0).unwrap();
        match event.completion {
            Completion::Small { result: Ok(small), more } => {
                let length = ring.small_bytes(&small).len();
                received[at] += length;
                ended += usize::from(length == 0);
                ring.release_small(small);
                if !more && length > 0 {
                    ring.receive_small(sockets[at], true, event.token);
                }
            }
            Completion::Small { result: Err(Errno::NOBUFS), more: false } => {
                ring.receive_small(sockets[at], true, event.token);
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(received.iter().all(|&bytes| bytes == size), "{received:?}");
}

fn what_was_sent_goes_out_before_the_shutdown<R: Ring>(mut outside: Real<R>) {
    let mut ring = outside.ring();
    let (mut peer, socket) = accept_one(&mut outside, &mut ring);
    ring.send(socket, b"last words".to_vec(), 0, Token(4));
    ring.shutdown(socket, true);
    let Completion::Sent { result: Ok(10), .. } = next(&mut ring).completion else { panic!() };
    let mut rest = Vec::new();
    peer.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"last words");
    ring.send(socket, b"too late".to_vec(), 0, Token(4));
    let Completion::Sent { result: Err(Errno::PIPE), .. } = next(&mut ring).completion else {
        panic!()
    };
}

fn a_reset_is_told<R: Ring>(mut outside: Real<R>) {
    let mut ring = outside.ring();
    let (peer, socket) = accept_one(&mut outside, &mut ring);
    ring.receive_small(socket, true, Token(2));
    quiet(&mut ring);
    let linger = Some(std::time::Duration::ZERO);
    rustix::net::sockopt::set_socket_linger(&peer, linger).unwrap();
    drop(peer);
    let Completion::Small { result: Err(Errno::CONNRESET), more: false } =
        next(&mut ring).completion
    else {
        panic!()
    };
}

fn pieces_of_a_commit_all_land<R: Ring>(mut outside: Real<R>) {
    const PIECE: usize = 4096;
    let count = 700;
    let mut ring = outside.ring();
    let file = outside.file(count * PIECE);
    for at in 0..count {
        let mut buffer = AlignedBuffer::new(PIECE, PIECE);
        buffer.extend_from_slice(&[u8::try_from(at % 251).unwrap(); PIECE]);
        ring.write(file, (at * PIECE) as u64, buffer, 0, Token(at as u64));
    }
    let mut left: std::collections::BTreeSet<u64> = (0..count as u64).collect();
    while !left.is_empty() {
        let event = next(&mut ring);
        let Completion::Wrote { result: Ok(PIECE), .. } = event.completion else { panic!() };
        assert!(left.remove(&event.token.0));
    }
    let bytes = outside.file_bytes(file);
    for (at, piece) in bytes.chunks(PIECE).enumerate() {
        assert!(piece.iter().all(|&byte| usize::from(byte) == at % 251), "piece {at}");
    }
}

fn a_failed_write_gives_its_buffer_back<R: Ring>(outside: Real<R>) {
    let mut ring = outside.ring();
    let read_only = File::open("/dev/null").unwrap();
    let mut buffer = AlignedBuffer::new(4096, 4096);
    buffer.extend_from_slice(b"content");
    ring.write(Descriptor(read_only.as_raw_fd()), 0, buffer, 0, Token(6));
    let Completion::Wrote { buffer, result: Err(Errno::BADF) } = next(&mut ring).completion else {
        panic!()
    };
    assert_eq!(buffer.as_slice(), b"content");
}

/// What is at stake: the kernel gives a closed number to the next connection, which must not inherit
/// what was known of the one before.
fn a_closed_number_may_come_again<R: Ring>(mut outside: Real<R>) {
    let mut ring = outside.ring();
    let listener = outside.listener();
    ring.accept(listener, Token(0));
    for round in 0..20u8 {
        let mut peer = outside.connect();
        let Completion::Accepted { result: Ok(socket), .. } = next(&mut ring).completion else {
            panic!()
        };
        ring.receive_small(socket, true, Token(2));
        quiet(&mut ring);
        outside.send(&mut peer, &[round]);
        let Completion::Small { result: Ok(small), more: true } = next(&mut ring).completion else {
            panic!()
        };
        assert_eq!(ring.small_bytes(&small), [round]);
        ring.release_small(small);
        outside.end(&mut peer);
        let Completion::Small { result: Ok(small), more: false } = next(&mut ring).completion
        else {
            panic!()
        };
        assert_eq!(ring.small_bytes(&small), b"");
        ring.close(socket, Token(3));
        let Completion::Closed = next(&mut ring).completion else { panic!() };
    }
}

/// What is at stake: a refused request's connection is shut down and closed, and the number goes to another
/// one at once. A shutdown that comes late would end that one without a reply.
fn a_shutdown_never_meets_the_next_connection<R: Ring>(mut outside: Real<R>) {
    let mut ring = outside.ring();
    let listener = outside.listener();
    ring.accept(listener, Token(0));
    let accepted = |outside: &mut Real<R>, ring: &mut R| {
        let peer = outside.connect();
        loop {
            match next(ring).completion {
                Completion::Accepted { result: Ok(socket), .. } => return (peer, socket),
                Completion::Closed => {}
                other => panic!("{other:?}"),
            }
        }
    };
    for _ in 0..500 {
        let (first, socket) = accepted(&mut outside, &mut ring);
        ring.shutdown(socket, true);
        ring.close(socket, Token(3));
        let (mut second, socket) = accepted(&mut outside, &mut ring);
        ring.turn(Some(1_000_000)).unwrap();
        ring.send(socket, b"reply".to_vec(), 0, Token(4));
        loop {
            match next(&mut ring).completion {
                Completion::Closed => {}
                Completion::Sent { result, .. } => break assert_eq!(result, Ok(5)),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(outside.receive(&mut second, 5), b"reply");
        drop(first);
        ring.close(socket, Token(3));
    }
}
