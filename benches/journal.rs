//! Journal: appending to the collecting commit, and whole commits through the real ring; beside it
//! `pwrite` + `fdatasync` of the same bytes into a file that was written with zeros once, which is
//! what a log without direct writes does.

#![allow(clippy::unwrap_used, reason = "a bench may panic")]

use std::fs::File;
use std::hint::black_box;
use std::io::Write as _;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput};
use inrush::buffer::{AlignedBuffer, Pool};
use inrush::envelope::{Codings, Envelope, RequestFields, Route};
use inrush::journal::format::{ENTRY_HEADER_SIZE, encode_envelope};
use inrush::journal::read::{EntrySource, Read};
use inrush::journal::write::{Ticket, Writer};
use inrush::journal::{Journal, Options};
use inrush::ring::uring::Uring;
use inrush::ring::{Completion, Features, Ring};

const MIB: usize = 1024 * 1024;
const PACKED: usize = 4 * 1024;
const EXTENT: usize = 256 * 1024;

struct Shard {
    journal: Arc<Journal>,
    writer: Writer,
    ring: Uring,
    pool: Pool,
    now_nanos: u64,
    envelope: Vec<u8>,
}

impl Shard {
    fn open(folder: &Path) -> Self {
        let options = Options {
            directory: folder.join("journal"),
            shards: 1,
            segment_size: 128 * MIB as u64,
            size_max: 512 * MIB as u64,
            direct: true,
        };
        let (journal, mut recovered, _) = Journal::open(&options, &|_, _| 0).unwrap();
        let start = recovered.remove(0);
        let pool = Pool::new(192 * MIB, start.first.alignment);
        let ring = Uring::new(Features::Auto).unwrap();
        start.mailbox.register(ring.waker());
        let writer = Writer::new(
            start.incarnation,
            start.log,
            start.first,
            start.base,
            start.position,
            start.mailbox,
        );
        let mut envelope = Vec::new();
        let head = Envelope {
            route: Route::JsonLogs,
            codings: Codings::IDENTITY,
            tenant: "bench",
            arrival_nanos: 1,
            fields: RequestFields::EMPTY,
        };
        encode_envelope(&head, &mut envelope);
        Self { journal, writer, ring, pool, now_nanos: 0, envelope }
    }

    fn append_packed(&mut self, body: &[u8]) -> Ticket {
        self.writer.append_packed(&self.envelope, body, &mut self.pool).unwrap()
    }

    /// A body where it was received: header room, envelope, body.
    fn received(&mut self, body: &[u8]) -> AlignedBuffer {
        let mut buffer = self.pool.acquire(body.len() + 8 * 1024).unwrap();
        buffer.extend_from_slice(&[0; ENTRY_HEADER_SIZE]);
        buffer.extend_from_slice(&self.envelope);
        buffer.extend_from_slice(body);
        buffer
    }

    fn append_extent(&mut self, buffer: AlignedBuffer) -> Ticket {
        self.writer.append_extent(buffer, self.envelope.len(), &mut self.pool).unwrap()
    }

    /// Turns until the ticket is durable; gives segments back as a store that keeps up would.
    fn commit(&mut self, ticket: Ticket) {
        while self.writer.durable() < ticket {
            self.now_nanos += 1000;
            self.writer.handle_mailbox();
            self.writer.poll_commit(&mut self.ring, &mut self.pool, self.now_nanos);
            self.ring.turn(Some(1_000_000)).unwrap();
            while let Some(event) = self.ring.next_event() {
                if let Completion::Wrote { buffer, result } = event.completion {
                    let (ring, pool) = (&mut self.ring, &mut self.pool);
                    let index = event.token.0;
                    let now = self.now_nanos;
                    self.writer.handle_wrote(ring, pool, index, (buffer, result), now);
                }
            }
        }
        let range = self.journal.shards()[0];
        if range.frontier - range.oldest > 256 * MIB as u64 {
            self.journal.retire(0, range.frontier);
        }
    }

    /// The bodies of every entry from `from` on.
    fn bodies(&self, from: u64) -> Vec<Vec<u8>> {
        let mut bodies = Vec::new();
        let frontier = self.journal.shards()[0].frontier;
        self.journal
            .read(0, from..frontier, &mut |read| match read {
                Read::Entry { body, .. } => bodies.push(body.to_vec()),
                Read::Unknown { .. } | Read::Damaged { .. } => panic!("only whole entries"),
            })
            .unwrap();
        bodies
    }
}

/// What a commit holds: so many entries of so many bytes.
fn commit(shard: &mut Shard, count: usize, body: &[u8]) {
    let mut last = Ticket(0);
    for _ in 0..count {
        last = if body.len() < EXTENT {
            shard.append_packed(body)
        } else {
            let buffer = shard.received(body);
            shard.append_extent(buffer)
        };
    }
    shard.commit(last);
}

pub fn bench(criterion: &mut Criterion) {
    let parent = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    let folder = tempfile::tempdir_in(parent).unwrap();
    let mut shard = Shard::open(folder.path());
    let body = |length: usize| -> Vec<u8> {
        (0..length as u64)
            .map(|at| at.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[0])
            .collect()
    };
    let (small, large) = (body(PACKED), body(EXTENT));

    // Once: what is committed is what was appended.
    let from = shard.journal.shards()[0].frontier;
    commit(&mut shard, 3, &small);
    commit(&mut shard, 2, &large);
    let expected: Vec<_> = [&small, &small, &small, &large, &large].into_iter().cloned().collect();
    assert!(shard.bodies(from) == expected, "the journal gives back what it took");

    let mut group = criterion.benchmark_group("journal_append");
    group.throughput(Throughput::Bytes(PACKED as u64));
    let mut appended = 0;
    group.bench_function("packed_4k", |bencher| {
        bencher.iter(|| {
            let ticket = shard.append_packed(black_box(&small));
            appended += 1;
            if appended % 1024 == 0 {
                shard.commit(ticket);
            }
        });
    });
    group.throughput(Throughput::Bytes(EXTENT as u64));
    let mut extents = 0;
    group.bench_function("extent_256k", |bencher| {
        bencher.iter_batched(
            || (),
            |()| {
                // The copy stands for the receive; the append adds a checksum and no copy.
                let buffer = shard.received(black_box(&large));
                let ticket = shard.append_extent(buffer);
                extents += 1;
                if extents % 64 == 0 {
                    shard.commit(ticket);
                }
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();

    let mut rival = File::create_new(folder.path().join("rival")).unwrap();
    (0..256).for_each(|_| rival.write_all(&vec![0; MIB]).unwrap());
    rival.sync_all().unwrap();
    for (name, count, body) in [
        ("one_4k", 1, &small),
        ("64_of_4k", 64, &small),
        ("one_256k", 1, &large),
        ("four_256k", 4, &large),
    ] {
        let mut group = criterion.benchmark_group(format!("journal_commit/{name}"));
        let size = count * body.len();
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function("inrush", |bencher| {
            bencher.iter(|| commit(&mut shard, count, black_box(body)));
        });
        let mut position = 0;
        group.bench_function("pwrite_fdatasync", |bencher| {
            bencher.iter(|| {
                if position + size > 256 * MIB {
                    position = 0;
                }
                for _ in 0..count {
                    rival.write_all_at(black_box(body), position as u64).unwrap();
                    position += body.len();
                }
                rival.sync_data().unwrap();
            });
        });
        group.finish();
    }
}
