//! The journal as the rest of the process sees it: frontiers, segments, reading, retiring.
//!
//! Place: where shards and followers meet. A shard writes its frontier and tells of new segments
//! without a lock; readers take locks among themselves.

use std::fs;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::format::{Life, parse_envelope};
use super::read::{EntrySource, Read, ReadError, ShardRange};
use super::recover::{self, Recovered, RecoveryReport};
use super::scan::{Found, SegmentReader};
use super::segment::{self, Command, OpenError, Options, Pressure, Segments};
use crate::counters::Counter;

/// Numbers of the journal for `admin`.
#[derive(Debug, Default)]
pub struct JournalCounters {
    /// Damaged ranges met by followers.
    pub damaged_ranges: Counter,
}

#[derive(Clone, Debug)]
pub(super) struct SegmentPlace {
    pub generation: u64,
    pub base: u64,
    pub path: PathBuf,
}

struct Places {
    started: Receiver<(u64, u64)>,
    /// Oldest first.
    segments: Vec<SegmentPlace>,
}

/// One shard's log: written by the shard, read by followers.
pub struct ShardLog {
    shard: u32,
    directory: PathBuf,
    frontier: AtomicU64,
    retired: AtomicU64,
    poisoned: AtomicBool,
    full: AtomicBool,
    started: Sender<(u64, u64)>,
    places: Mutex<Places>,
}

impl ShardLog {
    pub(super) fn new(
        shard: u32,
        directory: PathBuf,
        frontier: u64,
        segments: Vec<SegmentPlace>,
    ) -> Self {
        let (sender, receiver) = channel();
        let oldest = segments.first().map_or(frontier, |segment| segment.base);
        Self {
            shard,
            directory,
            frontier: AtomicU64::new(frontier),
            retired: AtomicU64::new(oldest),
            poisoned: AtomicBool::new(false),
            full: AtomicBool::new(false),
            started: sender,
            places: Mutex::new(Places { started: receiver, segments }),
        }
    }

    pub const fn shard(&self) -> u32 {
        self.shard
    }

    pub fn frontier(&self) -> u64 {
        self.frontier.load(Ordering::Acquire)
    }

    /// Everything below is no longer needed.
    pub fn retired(&self) -> u64 {
        self.retired.load(Ordering::Relaxed)
    }

    pub fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Relaxed)
    }

    /// The shard waits for a segment: the size cap is reached or the device is full.
    pub fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    pub(super) fn note_full(&self, is_full: bool) {
        self.full.store(is_full, Ordering::Relaxed);
    }

    pub(super) fn poison(&self) {
        self.poisoned.store(true, Ordering::Relaxed);
    }

    pub(super) fn advance_frontier(&self, position: u64) {
        self.frontier.store(position, Ordering::Release);
    }

    pub(super) fn start_segment(&self, generation: u64, base: u64) {
        // The receiver lives as long as this log.
        let _ = self.started.send((generation, base));
    }

    fn with_segments<T>(&self, body: impl FnOnce(&mut Vec<SegmentPlace>) -> T) -> T {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        while let Ok((generation, base)) = places.started.try_recv() {
            let path = segment::segment_path(&self.directory, self.shard, generation);
            places.segments.push(SegmentPlace { generation, base, path });
        }
        body(&mut places.segments)
    }

    fn segments(&self) -> Vec<SegmentPlace> {
        self.with_segments(|segments| segments.clone())
    }

    fn range(&self) -> ShardRange {
        let frontier = self.frontier();
        let oldest =
            self.with_segments(|segments| segments.first().map_or(frontier, |first| first.base));
        ShardRange { shard: self.shard, oldest, frontier }
    }

    /// Segments that lie wholly below `position` leave the list.
    fn retire(&self, position: u64) -> Vec<SegmentPlace> {
        self.retired.fetch_max(position, Ordering::Relaxed);
        self.with_segments(|segments| {
            let keep = segments.iter().skip(1).take_while(|next| next.base <= position).count();
            segments.drain(..keep).collect()
        })
    }
}

/// Handles the part of a range that lies in one segment; false ends the walk.
type SegmentVisit<'a> = dyn FnMut(&mut SegmentReader, Range<u64>) -> Result<bool, ReadError> + 'a;

pub struct Journal {
    incarnation: u64,
    logs: Vec<Arc<ShardLog>>,
    commands: Sender<Command>,
    pressure: Arc<AtomicU8>,
    thread: Mutex<Option<JoinHandle<()>>>,
    pub counters: JournalCounters,
}

impl Journal {
    /// Recovers all logs and starts the `segments` thread. `followed` tells for incarnation and
    /// shard how far the store has read, so that positions are never used twice.
    pub fn open(
        options: &Options,
        followed: &dyn Fn(u64, u32) -> u64,
    ) -> Result<(Arc<Self>, Vec<Recovered>, RecoveryReport), OpenError> {
        let (commands, receiver) = segment::channel();
        let opened = recover::open(options, followed, &commands)?;
        let pressure = Arc::new(AtomicU8::new(Pressure::Low as u8));
        let segments = Segments {
            options: options.clone(),
            commands: receiver,
            orphans: opened.orphans.clone(),
            total: opened.total,
            pressure: Arc::clone(&pressure),
            used_before: 0,
            drain_rate: 0.0,
            failures: 0,
            shards: opened.shards,
        };
        let logs: Vec<_> = segments
            .shards
            .iter()
            .map(|shard| Arc::clone(&shard.log))
            .chain(opened.orphans)
            .collect();
        let thread = segments
            .start()
            .map_err(segment::io_error("start a thread for", &options.directory))?;
        let journal = Self {
            incarnation: opened.incarnation,
            logs,
            commands,
            pressure,
            thread: Mutex::new(Some(thread)),
            counters: JournalCounters::default(),
        };
        Ok((Arc::new(journal), opened.recovered, opened.report))
    }

    pub fn pressure(&self) -> Arc<AtomicU8> {
        Arc::clone(&self.pressure)
    }

    pub fn logs(&self) -> &[Arc<ShardLog>] {
        &self.logs
    }

    /// Bytes between what is retired and what is durable.
    pub fn used_bytes(&self) -> u64 {
        self.logs.iter().map(|log| log.frontier().saturating_sub(log.retired())).sum()
    }

    /// Ends the `segments` thread; shards must have stopped.
    pub fn stop(&self) {
        let _ = self.commands.send(Command::Stop);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }

    fn log(&self, shard: u32) -> Result<&ShardLog, ReadError> {
        self.logs
            .iter()
            .find(|log| log.shard == shard)
            .map(|log| &**log)
            .ok_or(ReadError::OutOfRange { position: 0 })
    }

    /// Calls `body` with a reader of each segment that `range` touches, and the part of the range
    /// that lies in it.
    fn each_segment(
        &self,
        shard: u32,
        range: Range<u64>,
        body: &mut SegmentVisit<'_>,
    ) -> Result<(), ReadError> {
        let log = self.log(shard)?;
        if range.end > log.frontier() {
            return Err(ReadError::OutOfRange { position: range.end });
        }
        let segments = log.segments();
        if segments.first().is_none_or(|first| first.base > range.start) {
            return Err(ReadError::OutOfRange { position: range.start });
        }
        for (index, place) in segments.iter().enumerate() {
            let end = segments.get(index + 1).map_or(u64::MAX, |next| next.base);
            let part = range.start.max(place.base)..range.end.min(end);
            if part.is_empty() {
                continue;
            }
            let life = Life { incarnation: self.incarnation, shard, generation: place.generation };
            let mut reader =
                SegmentReader::open(&place.path, life, place.base).map_err(ReadError::Io)?;
            if !body(&mut reader, part)? {
                break;
            }
        }
        Ok(())
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.stop();
    }
}

impl EntrySource for Journal {
    fn incarnation(&self) -> u64 {
        self.incarnation
    }

    fn shards(&self) -> Vec<ShardRange> {
        self.logs.iter().map(|log| log.range()).collect()
    }

    fn plan_end(&self, shard: u32, from: u64, size_max: u64) -> Result<u64, ReadError> {
        let frontier = self.log(shard)?.frontier();
        if frontier.saturating_sub(from) <= size_max {
            return Ok(frontier);
        }
        let mut stop = frontier;
        self.each_segment(shard, from..frontier, &mut |reader, part| {
            let mut position = part.start;
            while position < part.end {
                let next = match reader.commit_at(position).map_err(ReadError::Io)? {
                    Some(header) => position + header.length,
                    None => next_commit(reader, position, part.end)?,
                };
                position = next.min(part.end);
                if position - from >= size_max {
                    stop = position;
                    return Ok(false);
                }
            }
            Ok(true)
        })?;
        Ok(stop)
    }

    fn read(
        &self,
        shard: u32,
        range: Range<u64>,
        visit: &mut dyn FnMut(Read<'_>),
    ) -> Result<(), ReadError> {
        let damaged = &self.counters.damaged_ranges;
        let mut found = |found: Found<'_>| match found {
            Found::Damaged { position, bytes } => {
                damaged.add(1);
                visit(Read::Damaged { position, bytes });
            }
            Found::Entry { position, content, envelope_length } => {
                let (envelope, body) = content.split_at(envelope_length);
                match parse_envelope(envelope) {
                    Some(envelope) => visit(Read::Entry { position, envelope, body }),
                    None => visit(Read::Unknown { position, bytes: content }),
                }
            }
        };
        self.each_segment(shard, range, &mut |reader, part| {
            let mut position = part.start;
            while position < part.end {
                match reader.commit_at(position).map_err(ReadError::Io)? {
                    Some(header) => {
                        reader.walk_commit(&header, &mut found).map_err(ReadError::Io)?;
                        position += header.length;
                    }
                    None => {
                        let next = next_commit(reader, position, part.end)?;
                        reader.damage(position..next, &mut found).map_err(ReadError::Io)?;
                        position = next;
                    }
                }
            }
            Ok(true)
        })
    }

    fn retire(&self, shard: u32, position: u64) {
        let Ok(log) = self.log(shard) else { return };
        for place in log.retire(position) {
            let _ = self.commands.send(Command::Retired {
                shard,
                generation: place.generation,
                path: place.path,
            });
        }
    }
}

/// Where the log goes on behind damage at `position`.
fn next_commit(reader: &mut SegmentReader, position: u64, end: u64) -> Result<u64, ReadError> {
    let found = reader.search_commit(position + 1 - reader.base).map_err(ReadError::Io)?;
    Ok(found.map_or(end, |(offset, _)| (reader.base + offset).min(end)))
}

/// Files that a folder holds, by name; an absent folder holds none.
pub(super) fn list(directory: &std::path::Path) -> std::io::Result<Vec<PathBuf>> {
    match fs::read_dir(directory) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
