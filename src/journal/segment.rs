//! Segment files, and the `segments` thread that makes, zeroes, syncs, recycles and removes them.
//!
//! Place: beside the data path. Shards never open, rename or unlink: they take ready segments from a
//! mailbox and give finished ones back. Space is written with zeros once and synced, folder too, so that
//! a commit never waits for the file system's metadata.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use rustix::fs::{AtFlags, FallocateFlags, Mode, OFlags, StatxFlags};

use super::log::ShardLog;
use crate::buffer::AlignedBuffer;
use crate::limits::{ALIGNMENT_MIN, BODY_SIZE_MAX, MIB};
use crate::ring::{Descriptor, Waker};

/// A segment holds the largest body with all that stands around it.
pub const SEGMENT_SIZE_MIN: u64 = (BODY_SIZE_MAX + 2 * MIB) as u64;

#[derive(Clone, Debug)]
pub struct Options {
    /// `DATA/journal`
    pub directory: PathBuf,
    pub shards: u32,
    pub segment_size: u64,
    /// All segments of all shards.
    pub size_max: u64,
    /// False: buffered writes and `fdatasync`, also where direct IO would be to be had.
    pub direct: bool,
}

/// Why the journal cannot be opened, in words that say what to do.
#[derive(Debug)]
pub enum OpenError {
    Io {
        what: &'static str,
        path: PathBuf,
        error: io::Error,
    },
    /// The incarnation file is not one.
    IncarnationUnreadable {
        path: PathBuf,
    },
    SizeTooSmall {
        size_max: u64,
        needed: u64,
    },
}

impl std::fmt::Display for OpenError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io { what, path, error } => {
                write!(formatter, "cannot {what} {}: {error}", path.display())
            }
            Self::IncarnationUnreadable { path } => write!(
                formatter,
                "{} is damaged: it must hold 16 hex digits. Restore it from a backup; its value is \
                 the first part of every Parquet file's name",
                path.display()
            ),
            Self::SizeTooSmall { size_max, needed } => write!(
                formatter,
                "journal.max_size is {size_max} bytes but two segments a shard need {needed}: raise \
                 journal.max_size or lower --shards"
            ),
        }
    }
}

impl std::error::Error for OpenError {}

pub(super) fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |error| OpenError::Io { what, path, error }
}

/// A segment that a shard may write.
#[derive(Debug)]
pub struct ReadySegment {
    pub generation: u64,
    pub file: Descriptor,
    pub capacity: usize,
    pub alignment: usize,
    /// Writes are buffered: a commit needs a sync.
    pub needs_sync: bool,
}

/// How full the journal is: what shards look at before they admit a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Pressure {
    Low = 0,
    /// Would be full within 30 s: routes whose senders retry are refused.
    High = 1,
    /// The last tenth is kept for senders that drop on any refusal.
    Reserve = 2,
    Full = 3,
}

impl Pressure {
    pub const fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Low,
            1 => Self::High,
            2 => Self::Reserve,
            _ => Self::Full,
        }
    }
}

pub(super) enum Command {
    /// The shard began its spare and wants another.
    Want {
        shard: u32,
    },
    /// The shard writes this segment no more.
    Finished {
        shard: u32,
        generation: u64,
    },
    /// Every follower is behind this segment.
    Retired {
        shard: u32,
        generation: u64,
        path: PathBuf,
    },
    /// How to wake the shard when its segment is ready.
    Waker {
        shard: u32,
        waker: Waker,
    },
    Stop,
}

/// The shard's side.
pub struct SegmentMailbox {
    pub(super) segment_size: usize,
    pub(super) shard: u32,
    pub(super) ready: Receiver<ReadySegment>,
    pub(super) commands: Sender<Command>,
}

impl ReadySegment {
    /// Stands for the first segment where a full device gave none: holds nothing.
    pub(super) const fn none(alignment: usize) -> Self {
        Self { generation: 0, file: Descriptor(-1), capacity: 0, alignment, needs_sync: false }
    }
}

impl SegmentMailbox {
    pub fn try_receive(&self) -> Option<ReadySegment> {
        self.ready.try_recv().ok()
    }

    /// Says that the shard has begun its spare: the old one may be closed, a new one is wanted.
    pub fn give_back(&self, finished: ReadySegment) {
        let generation = finished.generation;
        // The thread is gone only when the process stops.
        let _ = self.commands.send(Command::Finished { shard: self.shard, generation });
        let _ = self.commands.send(Command::Want { shard: self.shard });
    }

    pub fn register(&self, waker: Waker) {
        let _ = self.commands.send(Command::Waker { shard: self.shard, waker });
    }
}

/// Alignment of direct IO on this file, and whether the kernel tells one. At least a page: a block
/// that holds acknowledged bytes is never written again, whatever the sector size says.
pub fn alignment_of(file: &impl AsFd) -> (usize, bool) {
    let told = rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN)
        .ok()
        .filter(|stat| stat.stx_mask & StatxFlags::DIOALIGN.bits() != 0)
        .map_or(0, |stat| stat.stx_dio_offset_align.max(stat.stx_dio_mem_align));
    let alignment = (told as usize).max(ALIGNMENT_MIN).next_power_of_two();
    (alignment, told > 0)
}

pub(super) fn segment_path(directory: &Path, shard: u32, generation: u64) -> PathBuf {
    directory.join(shard.to_string()).join(format!("{generation:016x}.segment"))
}

pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// A file full of zeros at `path`, synced; made under another name so that a half-made one is never
/// taken for a segment.
pub(super) fn make_segment(path: &Path, segment_size: u64) -> io::Result<()> {
    let temporary = path.with_extension("making");
    let made = (|| {
        let file = File::create(&temporary)?;
        let mut zeros = AlignedBuffer::new(MIB, ALIGNMENT_MIN);
        zeros.set_len(MIB);
        let written = write_zeros_direct(&temporary, segment_size, zeros.as_slice())?;
        let mut left = segment_size - written;
        while left > 0 {
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(zeros.len());
            file.write_all_at(&zeros.as_slice()[..count], segment_size - left)?;
            left -= count as u64;
        }
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        sync_folder(path.parent().unwrap_or(Path::new(".")))
    })();
    if made.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    made
}

/// Writes zeros past the page cache as far as whole pieces go, and answers how far; nowhere if there
/// is no direct IO here. Buffered, zeroing cost more CPU than the shard that filled the segment: every
/// zero is copied into pages that push others out.
fn write_zeros_direct(path: &Path, size: u64, zeros: &[u8]) -> io::Result<u64> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::DIRECT;
    let Ok(file) = rustix::fs::open(path, flags, Mode::empty()) else { return Ok(0) };
    let (alignment, is_told) = alignment_of(&file);
    if !is_told || !zeros.len().is_multiple_of(alignment) {
        return Ok(0);
    }
    // All blocks at once: writes that make the file longer one by one cost more. Where the file system
    // knows no such thing they do it.
    match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, size) {
        Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => {}
        Err(error) => return Err(error.into()),
    }
    let file = File::from(file);
    let end = size - size % zeros.len() as u64;
    let mut at = 0;
    while at < end {
        file.write_all_at(zeros, at)?;
        at += zeros.len() as u64;
    }
    Ok(end)
}

/// Opens a made segment for a shard's commits.
pub(super) fn open_segment(
    path: &Path,
    generation: u64,
    direct: bool,
) -> io::Result<(OwnedFd, ReadySegment)> {
    let buffered = OFlags::WRONLY | OFlags::CLOEXEC;
    let opened = if direct {
        rustix::fs::open(path, buffered | OFlags::DIRECT | OFlags::DSYNC, Mode::empty())
    } else {
        Err(rustix::io::Errno::INVAL)
    };
    let (file, needs_sync) = match opened {
        Ok(file) if alignment_of(&file).1 => (file, false),
        Ok(_) | Err(rustix::io::Errno::INVAL) => {
            (rustix::fs::open(path, buffered, Mode::empty())?, true)
        }
        Err(error) => return Err(error.into()),
    };
    let ready = ReadySegment {
        generation,
        file: Descriptor(file.as_raw_fd()),
        capacity: usize::try_from(rustix::fs::fstat(&file)?.st_size).unwrap_or(0),
        alignment: alignment_of(&file).0,
        needs_sync,
    };
    Ok((file, ready))
}

pub(super) struct ShardSegments {
    pub shard: u32,
    pub log: Arc<ShardLog>,
    pub ready: SyncSender<ReadySegment>,
    pub next_generation: u64,
    /// Descriptors that the shard may still write.
    pub open: BTreeMap<u64, OwnedFd>,
    pub waker: Option<Waker>,
    /// Retired or unused files, to be taken before new ones are made.
    pub recyclable: Vec<PathBuf>,
    /// Segments asked for and not yet delivered.
    pub wanted: u32,
}

/// Files kept for the next segments; more are removed.
const RECYCLABLE_COUNT_MAX: usize = 2;

pub(super) struct Segments {
    pub options: Options,
    pub commands: Receiver<Command>,
    pub shards: Vec<ShardSegments>,
    /// Logs of shards that no longer run: only to be retired.
    pub orphans: Vec<Arc<ShardLog>>,
    /// Bytes of all segment files.
    pub total: u64,
    pub pressure: Arc<AtomicU8>,
    pub used_before: u64,
    pub drain_rate: f64,
    /// Segments that could not be made; every fiftieth is logged.
    pub failures: u64,
}

impl Segments {
    const TICK: Duration = Duration::from_millis(200);

    pub fn start(self) -> io::Result<std::thread::JoinHandle<()>> {
        std::thread::Builder::new().name("segments".to_owned()).spawn(move || self.run())
    }

    fn run(mut self) {
        loop {
            match self.commands.recv_timeout(Self::TICK) {
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(command) => self.handle(command),
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.deliver();
            self.measure();
        }
    }

    fn shard(&mut self, shard: u32) -> Option<&mut ShardSegments> {
        self.shards.iter_mut().find(|known| known.shard == shard)
    }

    fn handle(&mut self, command: Command) {
        match command {
            Command::Want { shard } => {
                if let Some(shard) = self.shard(shard) {
                    shard.wanted += 1;
                }
            }
            Command::Finished { shard, generation } => {
                if let Some(shard) = self.shard(shard) {
                    shard.open.remove(&generation);
                }
            }
            Command::Retired { shard, generation, path } => {
                let segment_size = self.options.segment_size;
                let size = fs::metadata(&path).map(|metadata| metadata.len()).unwrap_or(0);
                let kept = self.shard(shard).is_some_and(|shard| {
                    shard.open.remove(&generation);
                    let keep =
                        size == segment_size && shard.recyclable.len() < RECYCLABLE_COUNT_MAX;
                    if keep {
                        shard.recyclable.push(path.clone());
                    }
                    keep
                });
                if !kept && fs::remove_file(&path).is_ok() {
                    self.total = self.total.saturating_sub(size);
                }
            }
            Command::Waker { shard, waker } => {
                if let Some(shard) = self.shard(shard) {
                    shard.waker = Some(waker);
                }
            }
            Command::Stop => {}
        }
    }

    /// Makes what is wanted, as far as the size cap and the device allow. A failure (device full) is
    /// tried again with the next tick.
    fn deliver(&mut self) {
        for index in 0..self.shards.len() {
            while self.shards[index].wanted > 0 {
                if self.deliver_one(index).is_none() {
                    break;
                }
            }
        }
    }

    fn deliver_one(&mut self, index: usize) -> Option<()> {
        let shard = &mut self.shards[index];
        let generation = shard.next_generation;
        let path = segment_path(&self.options.directory, shard.shard, generation);
        let made = match shard.recyclable.pop() {
            Some(old) => fs::rename(&old, &path)
                .and_then(|()| sync_folder(path.parent().unwrap_or(Path::new("."))))
                .inspect_err(|_| shard.recyclable.push(old)),
            None if self.total + self.options.segment_size > self.options.size_max => return None,
            None => make_segment(&path, self.options.segment_size)
                .inspect(|()| self.total += self.options.segment_size),
        };
        let opened = made.and_then(|()| open_segment(&path, generation, self.options.direct));
        match opened {
            Ok((file, ready)) => {
                shard.next_generation += 1;
                shard.open.insert(generation, file);
                shard.wanted -= 1;
                // The mailbox holds as many as can be wanted at once.
                let _ = shard.ready.try_send(ready);
                if let Some(waker) = &shard.waker {
                    waker.wake();
                }
                Some(())
            }
            Err(error) => {
                if self.failures.is_multiple_of(50) {
                    tracing::warn!(
                        target: "journal",
                        shard = shard.shard,
                        failures = self.failures,
                        %error,
                        "cannot make a journal segment; trying again"
                    );
                }
                self.failures += 1;
                std::thread::sleep(Self::TICK);
                None
            }
        }
    }

    /// Publishes how full the journal is, and when it would be full at the present rate.
    fn measure(&mut self) {
        let used: u64 = self
            .shards
            .iter()
            .map(|shard| &shard.log)
            .chain(&self.orphans)
            .map(|log| log.frontier().saturating_sub(log.retired()))
            .sum();
        #[allow(clippy::cast_precision_loss, reason = "rates need no exact bytes")]
        let (used_f, before_f, size_max) =
            (used as f64, self.used_before as f64, self.options.size_max as f64);
        let growth = (used_f - before_f) / Self::TICK.as_secs_f64();
        // Smoothed over about three seconds: plans retire in steps.
        self.drain_rate += (growth - self.drain_rate) / 15.0;
        self.used_before = used;
        // What is retired within a segment is free only with the segment.
        let open = self.options.segment_size * self.shards.len() as u64;
        #[allow(clippy::cast_precision_loss, reason = "rates need no exact bytes")]
        let capacity = (size_max - open as f64).max(self.options.segment_size as f64);
        let pressure = if used_f >= capacity {
            Pressure::Full
        } else if used_f > 0.9 * capacity {
            Pressure::Reserve
        } else if used_f > 0.8 * capacity
            && self.drain_rate > 0.0
            && (capacity - used_f) / self.drain_rate < 30.0
        {
            Pressure::High
        } else {
            Pressure::Low
        };
        self.pressure.store(pressure as u8, Ordering::Relaxed);
    }
}

pub(super) fn channel() -> (Sender<Command>, Receiver<Command>) {
    mpsc::channel()
}
