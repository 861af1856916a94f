//! A whole shard on the simulated ring: what it answers, and when, while the device misbehaves.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::rc::Rc;

use super::*;
use crate::auth::KeyTable;
use crate::ingest::Tenant;
use crate::journal::write::Writer;
use crate::journal::{Journal, Options};
use crate::limits::MIB;
use crate::ring::simulated::{Simulated, World};

const SECRET: [u8; 32] = [7; 32];
const KEY: &str = "a-key-of-the-simulation";

struct Simulation {
    world: World,
    shard: Shard<Simulated>,
    file: Descriptor,
    _journal: Arc<Journal>,
    _folder: tempfile::TempDir,
}

impl Simulation {
    fn new() -> Self {
        let parent = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
        let folder = tempfile::tempdir_in(parent).unwrap();
        let options = Options {
            directory: folder.path().join("journal"),
            shards: 1,
            segment_size: 4 * MIB as u64,
            size_max: 64 * MIB as u64,
            direct: true,
        };
        let (journal, mut recovered, _) = Journal::open(&options, &|_, _| 0).unwrap();
        let mut recovered = recovered.remove(0);
        let world = World::default();
        let file = world.file(recovered.first.capacity);
        recovered.first.file = file;
        let pool = Pool::new(192 * MIB, recovered.first.alignment);
        let writer = Writer::new(
            recovered.incarnation,
            recovered.log,
            recovered.first,
            recovered.base,
            recovered.position,
            recovered.mailbox,
        )
        .with_token(JOURNAL_TOKEN);
        let digest = KeyTable::digest(&SECRET, KEY.as_bytes());
        let keys = Keys {
            table: KeyTable::new(&SECRET, std::iter::once((digest, 0))),
            keyless: None,
            tenants: vec![Tenant { name: Rc::from("acme"), counters: Arc::default() }],
        };
        let ingest =
            Ingest::new(keys, writer, crate::decode::Scratch::default(), journal.pressure());
        let (own, mailbox) = mailbox(8);
        let parts = Parts {
            listeners: vec![super::Listen { socket: world.listener(), speaks_tls: false }],
            acceptor: None,
            ingest,
            pool,
            large: LargeBodies::start(1).unwrap(),
            own: own.clone(),
            mailbox,
            others: vec![own],
            placement: Placement::new(0, [Load::default()].into(), 1),
            counters: Arc::default(),
            connection_count_max: 1024,
        };
        let shard = Shard::new(Simulated::new(world.clone()), parts);
        Self { world, shard, file, _journal: journal, _folder: folder }
    }

    fn turns(&mut self, count: usize) {
        for _ in 0..count {
            self.shard.turn().unwrap();
        }
    }

    fn post(&self, socket: Descriptor, body: &str) {
        let request = format!(
            "POST /json/logs HTTP/1.1\r\nHost: x\r\napikey: {KEY}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.world.peer_sends(socket, request.as_bytes());
    }

    fn replies(&self, socket: Descriptor) -> String {
        String::from_utf8(self.world.peer_receives(socket)).unwrap()
    }

    fn is_on_the_device(&self, text: &str) -> bool {
        let bytes = self.world.file_bytes(self.file);
        memchr::memmem::find(&bytes, text.as_bytes()).is_some()
    }
}

/// The promise itself: a reply before the commit must be caught here.
#[test]
fn success_is_said_only_when_the_bytes_are_on_the_device() {
    let mut simulation = Simulation::new();
    let socket = simulation.world.connect();
    simulation.world.hold_writes(true);
    simulation.post(socket, r#"[{"message":"durable"}]"#);
    simulation.turns(20);
    assert_eq!(simulation.replies(socket), "", "nothing is said while the write is in flight");
    assert!(!simulation.is_on_the_device("durable"));
    simulation.world.hold_writes(false);
    simulation.turns(5);
    assert!(simulation.is_on_the_device("durable"));
    assert!(simulation.replies(socket).starts_with("HTTP/1.1 200 OK"));
}

#[test]
fn one_commit_covers_everything_that_came_while_the_one_before_it_ran() {
    let mut simulation = Simulation::new();
    let sockets: Vec<_> = (0..10).map(|_| simulation.world.connect()).collect();
    simulation.world.hold_writes(true);
    simulation.post(sockets[0], r#"[{"message":"first"}]"#);
    simulation.turns(5);
    for &socket in &sockets[1..] {
        simulation.post(socket, r#"[{"message":"next"}]"#);
    }
    simulation.turns(5);
    simulation.world.hold_writes(false);
    let before = simulation.shard.counters.commits.buckets.iter().map(|b| b.value()).sum::<u64>();
    simulation.turns(4);
    for &socket in &sockets {
        assert!(simulation.replies(socket).starts_with("HTTP/1.1 200 OK"));
    }
    let commits = simulation.shard.counters.commits.buckets.iter().map(|b| b.value()).sum::<u64>();
    assert_eq!(commits - before, 2);
}

/// What one connection brings at once is committed in parts: the device writes while the shard looks at the rest.
#[test]
fn a_commit_begins_before_all_that_came_at_once_is_looked_at() {
    let mut simulation = Simulation::new();
    let socket = simulation.world.connect();
    let body = format!("[{{\"message\":\"{}\"}}]", "x".repeat(300_000));
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut encoder, body.as_bytes()).unwrap();
    let body = encoder.finish().unwrap();
    let mut request = format!(
        "POST /json/logs HTTP/1.1\r\nHost: x\r\napikey: {KEY}\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(&body);
    assert!(request.len() * 6 < crate::limits::RECEIVE_BUFFER_SIZE, "all in one piece");
    simulation.world.peer_sends(socket, &request.repeat(6));
    simulation.turns(20);
    assert_eq!(simulation.replies(socket).matches("HTTP/1.1 200 OK").count(), 6);
    let commits = simulation.shard.counters.commits.buckets.iter().map(|b| b.value()).sum::<u64>();
    assert!((2..6).contains(&commits), "{commits} commits");
}

#[test]
fn short_and_interrupted_writes_go_on() {
    let mut simulation = Simulation::new();
    let socket = simulation.world.connect();
    simulation.world.limit_writes(Some(512));
    simulation.world.fail_next_write(Errno::INTR);
    simulation.world.fail_next_write(Errno::AGAIN);
    let body = format!(r#"[{{"message":"{}end"}}]"#, "x".repeat(50_000));
    simulation.post(socket, &body);
    simulation.turns(200);
    assert!(simulation.replies(socket).starts_with("HTTP/1.1 200 OK"));
    assert!(simulation.is_on_the_device("xend"));
}

#[test]
fn a_failed_write_refuses_closes_and_ends_the_shard() {
    let mut simulation = Simulation::new();
    let waiting = simulation.world.connect();
    let idle = simulation.world.connect();
    simulation.turns(2);
    simulation.world.fail_next_write(Errno::IO);
    simulation.post(waiting, r#"[{"message":"lost"}]"#);
    simulation.turns(6);
    let reply = simulation.replies(waiting);
    assert!(reply.starts_with("HTTP/1.1 503"), "{reply}");
    assert!(reply.contains("connection: close"), "{reply}");
    simulation.world.peer_ends(waiting);
    simulation.turns(4);
    assert!(simulation.world.is_closed(waiting) && simulation.world.is_closed(idle));
    assert!(simulation.shard.turn().unwrap(), "nothing is left to do");
}

/// What is at stake: more requests than may be in flight, and then the end, in one segment.
#[test]
fn a_half_closed_peer_gets_an_answer_to_every_request() {
    for count in [1, 16, 17, 40] {
        let mut simulation = Simulation::new();
        let socket = simulation.world.connect();
        (0..count).for_each(|_| simulation.post(socket, r#"[{"message":"m"}]"#));
        simulation.world.peer_ends(socket);
        simulation.turns(60);
        let replies = simulation.replies(socket);
        assert_eq!(replies.matches("HTTP/1.1 200 OK").count(), count);
        assert!(simulation.world.is_closed(socket));
    }
}

#[test]
fn replies_that_are_taken_in_pieces_arrive_whole() {
    let mut simulation = Simulation::new();
    let socket = simulation.world.connect();
    simulation.world.limit_sends(Some(7));
    simulation.post(socket, "[]");
    simulation.turns(60);
    let reply = simulation.replies(socket);
    assert!(reply.starts_with("HTTP/1.1 200 OK") && reply.ends_with("{}"), "{reply}");
}

#[test]
fn a_peer_that_leaves_in_the_middle_of_a_body_gives_its_memory_back() {
    let mut simulation = Simulation::new();
    let socket = simulation.world.connect();
    let head = format!(
        "POST /json/logs HTTP/1.1\r\nHost: x\r\napikey: {KEY}\r\nContent-Length: 900000\r\n\r\n"
    );
    simulation.world.peer_sends(socket, head.as_bytes());
    simulation.world.peer_sends(socket, &[b' '; 100_000]);
    simulation.turns(5);
    assert!(simulation.shard.pool.lent() >= 900_000);
    simulation.world.peer_ends(socket);
    simulation.turns(6);
    assert!(simulation.world.is_closed(socket));
    assert_eq!(simulation.shard.pool.lent(), 0);
    assert!(simulation.shard.table.is_empty());
}
