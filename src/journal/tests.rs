//! The journal whole: written through a real ring, read as followers do, reopened, damaged.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use super::format::{ENTRY_HEADER_SIZE, encode_envelope};
use super::read::{EntrySource, Read};
use super::write::{Ticket, Writer};
use super::*;
use crate::buffer::Pool;
use crate::envelope::{Codings, Envelope, RequestFields, Route};
use crate::limits::{MIB, PACKED_ENTRY_SIZE_MAX};
use crate::ring::poll::Poll;
use crate::ring::uring::Uring;
use crate::ring::{Completion, Features, Ring};

/// Beside the sources: the system's temporary folder may be memory without direct IO.
fn folder() -> tempfile::TempDir {
    let parent = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    tempfile::tempdir_in(parent).unwrap()
}

fn options(directory: &Path, direct: bool) -> Options {
    Options {
        directory: directory.join("journal"),
        shards: 1,
        segment_size: 4 * MIB as u64,
        size_max: 64 * MIB as u64,
        direct,
    }
}

struct Shard {
    journal: Arc<Journal>,
    writer: Writer,
    ring: Box<dyn Ring>,
    pool: Pool,
    now: u64,
}

impl Shard {
    fn open(options: &Options, followed: u64) -> (Self, RecoveryReport) {
        let (journal, mut recovered, report) = Journal::open(options, &|_, _| followed).unwrap();
        let start = recovered.remove(0);
        let alignment = start.first.alignment;
        let ring: Box<dyn Ring> = match Uring::new(Features::Auto) {
            Ok(ring) => Box::new(ring),
            Err(_) => Box::new(Poll::new("file".to_owned()).unwrap()),
        };
        start.mailbox.register(ring.waker());
        let writer = Writer::new(
            start.incarnation,
            start.log,
            start.first,
            start.base,
            start.position,
            start.mailbox,
        );
        let pool = Pool::new(128 * MIB, alignment);
        (Self { journal, writer, ring, pool, now: 0 }, report)
    }

    fn append(&mut self, tag: u64, body: &[u8]) -> Ticket {
        let envelope = Envelope {
            route: Route::JsonLogs,
            codings: Codings::IDENTITY,
            tenant: "acme",
            arrival_nanos: tag,
            fields: RequestFields::EMPTY,
        };
        let mut bytes = Vec::new();
        encode_envelope(&envelope, &mut bytes);
        if body.len() <= PACKED_ENTRY_SIZE_MAX {
            return self.writer.append_packed(&bytes, body, &mut self.pool).unwrap();
        }
        let needed = ENTRY_HEADER_SIZE + bytes.len() + body.len() + self.writer.alignment();
        let mut buffer = self.pool.acquire(needed).unwrap();
        buffer.extend_from_slice(&[0; ENTRY_HEADER_SIZE]);
        buffer.extend_from_slice(&bytes);
        buffer.extend_from_slice(body);
        self.writer.append_extent(buffer, bytes.len(), &mut self.pool).unwrap()
    }

    fn turn(&mut self) {
        self.now += 1_000_000;
        self.writer.handle_mailbox();
        self.writer.poll_commit(&mut *self.ring, &mut self.pool, self.now);
        self.ring.turn(Some(1_000_000)).unwrap();
        while let Some(event) = self.ring.next_event() {
            match event.completion {
                Completion::Wrote { buffer, result } => {
                    self.writer.handle_wrote(
                        &mut *self.ring,
                        &mut self.pool,
                        event.token.0,
                        (buffer, result),
                        self.now,
                    );
                }
                Completion::Synced { result } => {
                    self.writer.handle_synced(result, self.now);
                }
                _ => {}
            }
        }
    }

    fn commit(&mut self, ticket: Ticket) {
        for _ in 0..20_000 {
            if self.writer.durable() >= ticket {
                return;
            }
            self.turn();
        }
        panic!("not durable after 20,000 turns: {:?}", self.writer.poisoned());
    }

    /// Everything readable from `from` on: tags and bodies; damaged ranges as `None`.
    fn read(&self, from: u64) -> Vec<Option<(u64, Vec<u8>)>> {
        let range = self.journal.shards()[0];
        let mut entries = Vec::new();
        self.journal
            .read(0, from.max(range.oldest)..range.frontier, &mut |read| match read {
                Read::Entry { envelope, body, .. } => {
                    assert_eq!(envelope.tenant, "acme");
                    entries.push(Some((envelope.arrival_nanos, body.to_vec())));
                }
                Read::Unknown { .. } | Read::Damaged { .. } => entries.push(None),
            })
            .unwrap();
        entries
    }
}

/// A body whose bytes depend on its tag.
fn body(tag: u64, length: usize) -> Vec<u8> {
    let mut state = tag.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[0]
        })
        .collect()
}

/// Lengths of all kinds: empty, packed, just around the border, extents.
fn length(tag: u64) -> usize {
    [0, 1, 7, 100, 5000, PACKED_ENTRY_SIZE_MAX, PACKED_ENTRY_SIZE_MAX + 1, 70_000, 900_000]
        [usize::try_from(tag).unwrap() % 9]
}

fn written_and_read_back(direct: bool) {
    let folder = folder();
    let options = options(folder.path(), direct);
    let (mut shard, report) = Shard::open(&options, 0);
    assert_eq!(report, RecoveryReport::default());
    let mut expected = Vec::new();
    for tag in 0..200 {
        let body = body(tag, length(tag));
        let ticket = shard.append(tag, &body);
        expected.push((tag, body));
        if tag % 5 == 4 {
            shard.commit(ticket);
        }
    }
    // Within a commit packed entries stand before extents.
    let sorted = |mut entries: Vec<Option<(u64, Vec<u8>)>>| {
        entries.sort();
        entries.into_iter().map(Option::unwrap).collect::<Vec<_>>()
    };
    assert!(sorted(shard.read(0)) == expected);
    assert!(shard.journal.shards()[0].frontier > 4 * options.segment_size, "over many segments");
    drop(shard);

    let (mut shard, report) = Shard::open(&options, 0);
    assert_eq!((report.damaged_ranges, report.torn_commits), (0, 0));
    let ticket = shard.append(200, b"after");
    shard.commit(ticket);
    expected.push((200, b"after".to_vec()));
    assert!(sorted(shard.read(0)) == expected, "a reopened log goes on");
}

#[test]
fn entries_of_all_sizes_come_back_over_segments_and_restarts() {
    written_and_read_back(true);
}

#[test]
fn entries_come_back_with_buffered_writes() {
    written_and_read_back(false);
}

/// What is at stake: the padding behind the header of a commit without small entries is not damage.
#[test]
fn commits_of_large_entries_alone_read_back() {
    let folder = folder();
    let (mut shard, _) = Shard::open(&options(folder.path(), true), 0);
    for tag in 0..4 {
        shard.append(2 * tag, &body(2 * tag, 40_000));
        let ticket = shard.append(2 * tag + 1, &body(2 * tag + 1, 100_000));
        shard.commit(ticket);
    }
    let tags: Vec<_> = shard.read(0).into_iter().map(|entry| entry.map(|(tag, _)| tag)).collect();
    assert_eq!(tags, (0..8).map(Some).collect::<Vec<_>>());
}

#[test]
fn a_plan_ends_at_a_commit_and_covers_what_was_asked() {
    let folder = folder();
    let (mut shard, _) = Shard::open(&options(folder.path(), true), 0);
    for tag in 0..20 {
        let ticket = shard.append(tag, &body(tag, 5000));
        shard.commit(ticket);
    }
    let range = shard.journal.shards()[0];
    let mut from = range.oldest;
    let mut plans = 0;
    let mut entries = 0;
    while from < range.frontier {
        let end = shard.journal.plan_end(0, from, 20_000).unwrap();
        assert!(end > from && (end - from >= 20_000 || end == range.frontier));
        shard.journal.read(0, from..end, &mut |_| entries += 1).unwrap();
        from = end;
        plans += 1;
    }
    assert_eq!(entries, 20);
    assert!(plans > 4);
}

#[test]
fn retired_segments_are_recycled_and_positions_go_on() {
    let folder = folder();
    let mut options = options(folder.path(), true);
    options.size_max = 3 * options.segment_size;
    let (mut shard, _) = Shard::open(&options, 0);
    for tag in 0..40 {
        let ticket = shard.append(tag, &body(tag, 900_000));
        shard.commit(ticket);
        shard.journal.retire(0, shard.journal.shards()[0].frontier);
    }
    assert!(shard.journal.shards()[0].frontier > 30 * MIB as u64);
    let files = fs::read_dir(options.directory.join("0")).unwrap().count();
    assert!(files <= 3, "{files} files are within the cap");
    let frontier = shard.journal.shards()[0].frontier;
    drop(shard);
    let (shard, report) = Shard::open(&options, frontier);
    assert_eq!((report.damaged_ranges, report.torn_commits), (0, 0));
    assert!(shard.journal.shards()[0].frontier > frontier);
    assert!(shard.read(frontier).is_empty());
}

#[test]
fn a_full_journal_refuses_and_heals_when_followers_catch_up() {
    let folder = folder();
    let mut options = options(folder.path(), true);
    options.size_max = 2 * options.segment_size;
    let (mut shard, _) = Shard::open(&options, 0);
    let mut tag = 0;
    let refused = loop {
        let envelope = [0; 20];
        let mut buffer = shard.pool.acquire(600_000).unwrap();
        buffer.extend_from_slice(&[0; ENTRY_HEADER_SIZE]);
        buffer.extend_from_slice(&envelope);
        buffer.extend_from_slice(&body(tag, 500_000));
        match shard.writer.append_extent(buffer, 20, &mut shard.pool) {
            Ok(_) => (0..20).for_each(|_| shard.turn()),
            Err((error, buffer)) => {
                shard.pool.release(buffer);
                if error == super::write::AppendError::Full {
                    break error;
                }
                // A burst may wait for a segment; only a longer wait is full.
                (0..100).for_each(|_| shard.turn());
            }
        }
        tag += 1;
        assert!(tag < 100);
    };
    assert_eq!(refused, super::write::AppendError::Full);
    shard.journal.retire(0, shard.journal.shards()[0].frontier);
    std::thread::sleep(std::time::Duration::from_millis(500));
    for _ in 0..50 {
        shard.turn();
    }
    let ticket = shard.append(1000, b"again");
    shard.commit(ticket);
}

/// Writes three commits of two entries, ends, lets `harm` at the segment file, and reopens.
fn after_harm(harm: impl Fn(&fs::File, &[(u64, u64)])) -> (Vec<Option<u64>>, RecoveryReport) {
    let folder = folder();
    let options = options(folder.path(), true);
    let (mut shard, _) = Shard::open(&options, 0);
    let mut places = Vec::new();
    for commit in 0..3 {
        let start = shard.journal.shards()[0].frontier;
        shard.append(2 * commit, &body(2 * commit, 3000));
        let ticket = shard.append(2 * commit + 1, &body(2 * commit + 1, 3000));
        shard.commit(ticket);
        places.push((start, shard.journal.shards()[0].frontier));
    }
    drop(shard);
    let path = options.directory.join("0").join(format!("{:016x}.segment", 1));
    let file = fs::File::options().read(true).write(true).open(path).unwrap();
    harm(&file, &places);
    let (mut shard, report) = Shard::open(&options, 0);
    let ticket = shard.append(99, b"later");
    shard.commit(ticket);
    let tags = shard.read(0).into_iter().map(|entry| entry.map(|(tag, _)| tag)).collect();
    // A second start must see the same log: a torn tail is not damage later.
    drop(shard);
    let (shard, again) = Shard::open(&options, 0);
    assert_eq!((again.damaged_ranges, again.torn_commits), (0, 0));
    let tags_again: Vec<_> =
        shard.read(0).into_iter().map(|entry| entry.map(|(tag, _)| tag)).collect();
    assert_eq!(tags, tags_again);
    (tags, report)
}

#[test]
fn an_unharmed_log_recovers_whole() {
    let (tags, report) = after_harm(|_, _| {});
    assert_eq!(tags, [0, 1, 2, 3, 4, 5, 99].map(Some));
    assert_eq!((report.damaged_ranges, report.torn_commits), (0, 0));
}

#[test]
fn a_torn_last_commit_keeps_its_whole_entries() {
    let (tags, report) = after_harm(|file, places| {
        // The second entry's bytes of the last commit.
        file.write_all_at(&[0xff; 100], places[2].0 + 64 + 3100 + 200).unwrap();
    });
    assert_eq!(tags, [0, 1, 2, 3, 4, 99].map(Some));
    assert_eq!((report.damaged_ranges, report.torn_commits, report.salvaged_entries), (0, 1, 1));
}

#[test]
fn a_last_commit_without_a_header_never_was() {
    let (tags, report) = after_harm(|file, places| {
        file.write_all_at(&[0; 64], places[2].0).unwrap();
    });
    assert_eq!(tags, [0, 1, 2, 3, 99].map(Some));
    assert_eq!((report.damaged_ranges, report.torn_commits), (0, 0));
}

#[test]
fn damage_before_a_valid_commit_is_told_and_passed() {
    let (tags, report) = after_harm(|file, places| {
        file.write_all_at(&[0; 64], places[1].0).unwrap();
    });
    assert_eq!(tags, [Some(0), Some(1), None, Some(4), Some(5), Some(99)]);
    assert_eq!(report.damaged_ranges, 1);
}

#[test]
fn a_damaged_entry_costs_only_itself() {
    let (tags, _) = after_harm(|file, places| {
        file.write_all_at(&[0xff; 8], places[1].0 + 64 + 500).unwrap();
    });
    assert_eq!(tags, [Some(0), Some(1), None, Some(3), Some(4), Some(5), Some(99)]);
    let (tags, _) = after_harm(|file, places| {
        // Its header, so that the next entry has to be searched for.
        file.write_all_at(&[0xff; 8], places[1].0 + 64).unwrap();
    });
    assert_eq!(tags, [Some(0), Some(1), None, Some(3), Some(4), Some(5), Some(99)]);
}

#[test]
fn a_damaged_first_block_does_not_lose_the_segment() {
    let (tags, report) = after_harm(|file, _| {
        file.write_all_at(&[0xff; 64], 0).unwrap();
    });
    // The first block held only the empty commit of the start.
    assert_eq!(tags, [None, Some(0), Some(1), Some(2), Some(3), Some(4), Some(5), Some(99)]);
    assert_eq!(report.damaged_ranges, 1);
}

#[test]
fn an_idle_writer_covers_its_last_commit() {
    let folder = folder();
    let (mut shard, _) = Shard::open(&options(folder.path(), true), 0);
    let ticket = shard.append(1, b"x");
    shard.commit(ticket);
    let before = shard.journal.shards()[0].frontier;
    for _ in 0..200 {
        shard.turn();
    }
    let after = shard.journal.shards()[0].frontier;
    assert_eq!(after - before, 4096, "one empty commit, once");
}

#[test]
fn a_log_of_a_shard_that_is_gone_is_still_followed() {
    let folder = folder();
    let mut two = options(folder.path(), true);
    two.shards = 2;
    let (journal, recovered, _) = Journal::open(&two, &|_, _| 0).unwrap();
    assert_eq!(recovered.len(), 2);
    drop((journal, recovered));
    let one = options(folder.path(), true);
    let (journal, recovered, _) = Journal::open(&one, &|_, _| 0).unwrap();
    assert_eq!((recovered.len(), journal.shards().len()), (1, 2));
}

#[test]
fn a_failed_write_poisons_and_nothing_is_tried_again() {
    let folder = folder();
    let (mut shard, _) = Shard::open(&options(folder.path(), true), 0);
    let ticket = shard.append(1, b"x");
    shard.writer.poll_commit(&mut *shard.ring, &mut shard.pool, 1);
    let buffer = loop {
        shard.ring.turn(Some(100_000_000)).unwrap();
        // The `segments` thread may wake us in between.
        let events = std::iter::from_fn(|| shard.ring.next_event());
        let wrote = events.into_iter().find_map(|event| match event.completion {
            Completion::Wrote { buffer, .. } => Some(buffer),
            _ => None,
        });
        if let Some(buffer) = wrote {
            break buffer;
        }
    };
    let error = crate::ring::Errno::IO;
    shard.writer.handle_wrote(&mut *shard.ring, &mut shard.pool, 0, (buffer, Err(error)), 2);
    assert_eq!(shard.writer.poisoned(), Some(error));
    assert!(shard.writer.durable() < ticket);
    let refused = shard.writer.append_packed(&[0; 20], b"y", &mut shard.pool);
    assert_eq!(refused, Err(super::write::AppendError::Poisoned));
    shard.writer.poll_commit(&mut *shard.ring, &mut shard.pool, 3);
    shard.ring.turn(Some(1_000_000)).unwrap();
    let mut events = std::iter::from_fn(|| shard.ring.next_event());
    assert!(events.all(|event| matches!(event.completion, Completion::Woken)));
}
