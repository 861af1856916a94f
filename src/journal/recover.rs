//! From the files of a stopped or killed process to logs that go on.
//!
//! * Bad bytes with a valid commit behind them are damage to acknowledged data. Recovery goes on behind
//!   them and counts them; followers meet the range, copy it to quarantine and pass by.
//! * Bad bytes with none behind them are a torn tail: never acknowledged. Whole entries of the torn
//!   commit are kept by writing them again.
//! * The log goes on in a fresh segment whose base is where the log before it ends, so a torn tail is
//!   never read as damage later.
//!
//! Only the last segment of each shard is looked at; the rest is checked as followers read it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Sender, sync_channel};

use super::commit::{BLOCK_SIZE, Commit};
use super::format::{ENTRY_HEADER_SIZE, Life};
use super::log::{SegmentPlace, ShardLog, list};
use super::scan::{Found, SegmentReader};
use super::segment::{
    self, Command, OpenError, Options, ReadySegment, SegmentMailbox, ShardSegments, io_error,
    make_segment, open_segment, segment_path, sync_folder,
};
use crate::buffer::{AlignedBuffer, Pool};
use crate::limits::{ALIGNMENT_MIN, PACKED_ENTRY_SIZE_MAX, size};

/// What a shard's writer starts from.
pub struct Recovered {
    pub incarnation: u64,
    pub log: Arc<ShardLog>,
    pub first: ReadySegment,
    pub base: u64,
    pub position: u64,
    pub mailbox: SegmentMailbox,
}

/// What recovery found, to be said at start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Ranges of acknowledged data in last segments that are damaged.
    pub damaged_ranges: u64,
    /// Commits that were being written when the process ended.
    pub torn_commits: u64,
    /// Whole entries of torn commits that were kept.
    pub salvaged_entries: u64,
    /// Bytes that the store has yet to read.
    pub pending_bytes: u64,
}

pub(super) struct Opened {
    pub incarnation: u64,
    pub shards: Vec<ShardSegments>,
    pub orphans: Vec<Arc<ShardLog>>,
    pub recovered: Vec<Recovered>,
    pub report: RecoveryReport,
    pub total: u64,
}

/// Segments ready at once: one that is written, one spare, one on its way.
const MAILBOX_COUNT: usize = 4;

pub(super) fn open(
    options: &Options,
    followed: &dyn Fn(u64, u32) -> u64,
    commands: &Sender<Command>,
) -> Result<Opened, OpenError> {
    let needed = 2 * options.segment_size * u64::from(options.shards);
    if options.size_max < needed {
        return Err(OpenError::SizeTooSmall { size_max: options.size_max, needed });
    }
    fs::create_dir_all(&options.directory).map_err(io_error("make", &options.directory))?;
    let incarnation = incarnation(&options.directory)?;
    let mut opened = Opened {
        incarnation,
        shards: Vec::new(),
        orphans: Vec::new(),
        recovered: Vec::new(),
        report: RecoveryReport::default(),
        total: 0,
    };
    let mut known: Vec<u32> = list(&options.directory)
        .map_err(io_error("list", &options.directory))?
        .iter()
        .filter_map(|path| path.file_name()?.to_str()?.parse().ok())
        .chain(0..options.shards)
        .collect();
    known.sort_unstable();
    known.dedup();
    for shard in known {
        let followed = followed(incarnation, shard);
        open_shard(options, shard, followed, commands, &mut opened)?;
    }
    Ok(opened)
}

/// Reads or draws the journal's name.
fn incarnation(directory: &Path) -> Result<u64, OpenError> {
    let path = directory.join("incarnation");
    let mut text = String::new();
    match File::open(&path).and_then(|mut file| file.read_to_string(&mut text)) {
        Ok(_) => u64::from_str_radix(text.trim(), 16)
            .map_err(|_| OpenError::IncarnationUnreadable { path }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut bytes = [0; 8];
            getrandom::fill(&mut bytes)
                .map_err(|error| io_error("draw a name for", &path)(io::Error::other(error)))?;
            let incarnation = u64::from_le_bytes(bytes);
            let temporary = path.with_extension("new");
            let write = || {
                let mut file = File::create(&temporary)?;
                writeln!(file, "{incarnation:016x}")?;
                file.sync_all()?;
                fs::rename(&temporary, &path)?;
                sync_folder(directory)
            };
            write().map_err(io_error("write", &path))?;
            Ok(incarnation)
        }
        Err(error) => Err(io_error("read", &path)(error)),
    }
}

/// What the files of one shard say.
struct FoundLog {
    segments: Vec<SegmentPlace>,
    /// Files that hold no commit.
    unused: Vec<PathBuf>,
    /// The end of the log; all below is commits or damage.
    end: u64,
    salvaged: Vec<(Vec<u8>, usize)>,
    generation_max: u64,
    total: u64,
}

fn open_shard(
    options: &Options,
    shard: u32,
    followed: u64,
    commands: &Sender<Command>,
    opened: &mut Opened,
) -> Result<(), OpenError> {
    let directory = options.directory.join(shard.to_string());
    fs::create_dir_all(&directory).map_err(io_error("make", &directory))?;
    let mut found = examine(opened.incarnation, shard, &directory, followed, &mut opened.report)
        .map_err(io_error("read", &directory))?;
    opened.total += found.total;
    // What the store has read is never named again, even if the device lost it.
    let end = found.end.max(followed).next_multiple_of(ALIGNMENT_MIN as u64);
    let oldest_pending =
        found.segments.first().map_or(end, |first| first.base).max(followed).min(end);
    opened.report.pending_bytes += end - oldest_pending;
    let is_orphan = shard >= options.shards;
    if is_orphan && found.salvaged.is_empty() {
        for path in found.unused {
            opened.total -= fs::metadata(&path).map_or(0, |metadata| metadata.len());
            fs::remove_file(&path).map_err(io_error("remove", &path))?;
        }
        if found.segments.is_empty() {
            let _ = fs::remove_dir(&directory);
            return Ok(());
        }
        let log = ShardLog::new(shard, options.directory.clone(), found.end, found.segments);
        opened.orphans.push(Arc::new(log));
        return Ok(());
    }

    let generation = found.generation_max + 1;
    let path = segment_path(&options.directory, shard, generation);
    let mut has_first = true;
    let reused = found.unused.iter().position(|unused| {
        fs::metadata(unused).is_ok_and(|metadata| metadata.len() == options.segment_size)
    });
    match reused {
        Some(index) => {
            let unused = found.unused.swap_remove(index);
            fs::rename(&unused, &path)
                .and_then(|()| sync_folder(&directory))
                .map_err(io_error("rename", &unused))?;
        }
        None => match make_segment(&path, options.segment_size) {
            Ok(()) => opened.total += options.segment_size,
            // The device is full: the log is followed and refuses until there is room. Entries that
            // would have to be written again need room now.
            Err(error)
                if error.kind() == io::ErrorKind::StorageFull
                    && found.salvaged.is_empty()
                    && !is_orphan =>
            {
                tracing::warn!(
                    target: "journal",
                    shard,
                    "the device is full: nothing is taken until there is room for a segment"
                );
                has_first = false;
            }
            Err(error) => return Err(io_error("make", &path)(error)),
        },
    }
    for path in found.unused {
        opened.total -= fs::metadata(&path).map_or(0, |metadata| metadata.len());
        fs::remove_file(&path).map_err(io_error("remove", &path))?;
    }
    let mut segments = found.segments;
    let mut open = BTreeMap::new();
    let (first, position) = if has_first {
        let (file, first) =
            open_segment(&path, generation, options.direct).map_err(io_error("open", &path))?;
        let life = Life { incarnation: opened.incarnation, shard, generation };
        let position = write_first(&path, life, end, first.alignment, &found.salvaged)
            .map_err(io_error("write", &path))?;
        segments.push(SegmentPlace { generation, base: end, path });
        open.insert(generation, file);
        (first, position)
    } else {
        let known = File::open(options.directory.join("incarnation"))
            .map_err(io_error("open", &options.directory))?;
        (ReadySegment::none(segment::alignment_of(&known).0), end)
    };
    let log = Arc::new(ShardLog::new(shard, options.directory.clone(), position, segments));
    if is_orphan {
        opened.orphans.push(log);
        return Ok(());
    }
    let (ready, receiver) = sync_channel(MAILBOX_COUNT);
    opened.shards.push(ShardSegments {
        shard,
        log: Arc::clone(&log),
        ready,
        next_generation: generation + 1,
        open,
        waker: None,
        recyclable: Vec::new(),
        wanted: 1,
    });
    opened.recovered.push(Recovered {
        incarnation: opened.incarnation,
        log,
        first,
        base: end,
        position,
        mailbox: SegmentMailbox {
            segment_size: size(options.segment_size),
            shard,
            ready: receiver,
            commands: commands.clone(),
        },
    });
    Ok(())
}

fn examine(
    incarnation: u64,
    shard: u32,
    directory: &Path,
    followed: u64,
    report: &mut RecoveryReport,
) -> io::Result<FoundLog> {
    let mut files = BTreeMap::new();
    let mut found = FoundLog {
        segments: Vec::new(),
        unused: Vec::new(),
        end: 0,
        salvaged: Vec::new(),
        generation_max: 0,
        total: 0,
    };
    for path in list(directory)? {
        let generation = path
            .file_stem()
            .and_then(|stem| u64::from_str_radix(stem.to_str()?, 16).ok())
            .filter(|_| path.extension().is_some_and(|extension| extension == "segment"));
        match generation {
            Some(generation) => {
                found.total += fs::metadata(&path)?.len();
                files.insert(generation, path);
            }
            // Half-made when the process ended.
            None => fs::remove_file(&path)?,
        }
    }
    found.generation_max = files.keys().next_back().copied().unwrap_or(0);
    for (generation, path) in files {
        let life = Life { incarnation, shard, generation };
        let mut reader = SegmentReader::open(&path, life, 0)?;
        // Usually the first block; elsewhere only if the first is damaged.
        match reader.search_commit(0)? {
            Some((_, header)) => {
                found.segments.push(SegmentPlace { generation, base: header.base, path });
            }
            None => found.unused.push(path),
        }
    }
    if let Some(last) = found.segments.last() {
        let life = Life { incarnation, shard, generation: last.generation };
        let mut reader = SegmentReader::open(&last.path, life, last.base)?;
        found.end = find_end(&mut reader, followed, &mut found.salvaged, report)?;
    }
    Ok(found)
}

/// Walks the last segment to its end.
fn find_end(
    reader: &mut SegmentReader,
    followed: u64,
    salvaged: &mut Vec<(Vec<u8>, usize)>,
    report: &mut RecoveryReport,
) -> io::Result<u64> {
    let mut position = reader.base;
    let mut last = None;
    loop {
        if let Some(header) = reader.commit_at(position)? {
            position += header.length;
            last = Some(header);
            continue;
        }
        match reader.search_commit(position - reader.base)? {
            Some((offset, _)) => {
                report.damaged_ranges += 1;
                position = reader.base + offset;
            }
            None => break,
        }
    }
    let Some(last) = last else { return Ok(position) };
    let mut whole = true;
    let mut entries = 0;
    reader.walk_commit(&last, &mut |found| match found {
        Found::Entry { .. } => entries += 1,
        Found::Damaged { .. } => whole = false,
    })?;
    if (whole && entries == last.entry_count) || last.position + last.length <= followed {
        return Ok(position);
    }
    report.torn_commits += 1;
    reader.walk_commit(&last, &mut |found| {
        if let Found::Entry { position, content, envelope_length } = found
            && position >= followed
        {
            salvaged.push((content.to_vec(), envelope_length));
        }
    })?;
    report.salvaged_entries += salvaged.len() as u64;
    Ok(last.position)
}

/// Writes the first commit of a fresh segment: what was salvaged, or nothing. It states where the log
/// before it ends.
fn write_first(
    path: &Path,
    life: Life,
    base: u64,
    alignment: usize,
    salvaged: &[(Vec<u8>, usize)],
) -> io::Result<u64> {
    let largest = || io::Error::new(io::ErrorKind::OutOfMemory, "a salvaged entry is too large");
    let content: usize = salvaged.iter().map(|(content, _)| content.len()).sum();
    let mut pool = Pool::new(Pool::BUDGET_MIN + 4 * content + 64 * BLOCK_SIZE, alignment);
    let mut commit = Commit::default();
    for (content, envelope_length) in salvaged {
        if content.len() <= PACKED_ENTRY_SIZE_MAX {
            let (envelope, body) = content.split_at(*envelope_length);
            commit.append_packed(envelope, body, &mut pool).map_err(|_| largest())?;
        } else {
            let mut buffer =
                AlignedBuffer::new(ENTRY_HEADER_SIZE + content.len() + alignment, alignment);
            buffer.extend_from_slice(&[0; ENTRY_HEADER_SIZE]);
            buffer.extend_from_slice(content);
            commit
                .append_extent(buffer, *envelope_length, alignment, &mut pool)
                .map_err(|_| largest())?;
        }
    }
    let mut pieces = Vec::new();
    let length =
        commit.seal(life, base, base, alignment, &mut pool, &mut pieces).map_err(|_| largest())?;
    let file = File::options().write(true).open(path)?;
    let mut offset = 0;
    for piece in pieces {
        file.write_all_at(piece.as_slice(), offset)?;
        offset += piece.len() as u64;
    }
    assert_eq!(size(length), size(offset));
    file.sync_all()?;
    segment::sync_folder(path.parent().unwrap_or(Path::new(".")))?;
    Ok(base + length)
}
