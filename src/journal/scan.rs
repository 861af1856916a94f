//! Walks the commits of one segment file: for recovery and for followers. Plain reads, never the ring.
//!
//! Guarantees: memory is one window, or one large entry; a read error is damage of the blocks that
//! give it, not the end; nothing is taken for an entry that is not sealed for this very place.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::format::{COMMIT_HEADER_SIZE, CommitHeader, ENTRY_HEADER_SIZE, EntryHeader, Life};
use super::segment;
use crate::buffer::AlignedBuffer;
use crate::limits::{ALIGNMENT_MIN, KIB, MIB, size};

const WINDOW_SIZE: usize = 512 * KIB;
/// Damaged bytes are handed out in pieces of at most this size.
const DAMAGE_SIZE_MAX: u64 = MIB as u64;

/// What stands at a place of a commit.
pub enum Found<'a> {
    /// Envelope and body, as they lie.
    Entry {
        position: u64,
        content: &'a [u8],
        envelope_length: usize,
    },
    Damaged {
        position: u64,
        bytes: &'a [u8],
    },
}

pub struct SegmentReader {
    file: File,
    pub life: Life,
    /// Position of the file's first byte.
    pub base: u64,
    pub capacity: u64,
    alignment: usize,
    window: AlignedBuffer,
    /// Offsets in the file that `window` holds.
    held: Range<u64>,
}

impl SegmentReader {
    /// Opens for direct reads where they are to be had: a buffered reader's readahead would fight the
    /// direct writes, and it would keep the pages of what is read once.
    pub fn open(path: &Path, life: Life, base: u64) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = match rustix::fs::open(path, flags | OFlags::DIRECT, Mode::empty()) {
            Ok(file) => file,
            Err(rustix::io::Errno::INVAL) => rustix::fs::open(path, flags, Mode::empty())?,
            Err(error) => return Err(error.into()),
        };
        let alignment = segment::alignment_of(&file).0;
        let file = File::from(file);
        let capacity = file.metadata()?.len();
        Ok(Self {
            file,
            life,
            base,
            capacity,
            alignment,
            window: AlignedBuffer::new(WINDOW_SIZE, alignment),
            held: 0..0,
        })
    }

    /// Makes `length` bytes from `offset` of the file available, as far as the file reaches. Blocks
    /// that cannot be read are zeros.
    fn fetch(&mut self, offset: u64, length: usize) -> io::Result<&[u8]> {
        let wanted = (offset + length as u64).min(self.capacity);
        if offset < self.held.start || wanted > self.held.end {
            let start = offset - offset % self.alignment as u64;
            let needed = size(wanted - start);
            if needed > self.window.capacity() {
                self.window = AlignedBuffer::new(needed, self.alignment);
            } else if self.window.capacity() > 4 * WINDOW_SIZE && needed <= WINDOW_SIZE {
                self.window = AlignedBuffer::new(WINDOW_SIZE, self.alignment);
            }
            // Most of what follows is wanted next, too; of a large entry only the entry.
            let fill = self.window.capacity().min(size(self.capacity - start));
            let filled = self.read_blocks(start, fill)?;
            self.held = start..start + filled as u64;
        }
        let from = size(offset.min(self.held.end) - self.held.start);
        let to = size(wanted.min(self.held.end).max(offset.min(self.held.end)) - self.held.start);
        Ok(&self.window.as_slice()[from..to])
    }

    fn read_blocks(&mut self, start: u64, fill: usize) -> io::Result<usize> {
        self.window.clear();
        let mut filled = 0;
        while filled < fill {
            let place = &mut self.window.whole_mut()[filled..fill];
            match self.file.read_at(place, start + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.raw_os_error() == Some(libc::EIO) => {
                    // One block at a time: only the blocks that fail are lost.
                    let block = self.alignment.min(fill - filled);
                    let place = &mut self.window.whole_mut()[filled..filled + block];
                    if self.file.read_exact_at(place, start + filled as u64).is_err() {
                        self.window.whole_mut()[filled..filled + block].fill(0);
                    }
                    filled += block;
                }
                Err(error) => return Err(error),
            }
        }
        self.window.set_len(filled);
        Ok(filled)
    }

    /// The commit that starts at `position`, if one does.
    pub fn commit_at(&mut self, position: u64) -> io::Result<Option<CommitHeader>> {
        let Some(offset) = position.checked_sub(self.base) else { return Ok(None) };
        if offset + COMMIT_HEADER_SIZE as u64 > self.capacity {
            return Ok(None);
        }
        let (life, base, capacity) = (self.life, self.base, self.capacity);
        let header = CommitHeader::parse(self.fetch(offset, COMMIT_HEADER_SIZE)?, life);
        Ok(header.filter(|header| {
            header.position == position && header.base == base && header.length <= capacity - offset
        }))
    }

    /// The first commit header of this life at or behind `offset` of the file, whatever its base.
    pub fn search_commit(&mut self, offset: u64) -> io::Result<Option<(u64, CommitHeader)>> {
        let mut at = offset.next_multiple_of(ALIGNMENT_MIN as u64);
        let life = self.life;
        while at + COMMIT_HEADER_SIZE as u64 <= self.capacity {
            if let Some(header) = CommitHeader::parse(self.fetch(at, COMMIT_HEADER_SIZE)?, life)
                && header.position.checked_sub(header.base) == Some(at)
            {
                return Ok(Some((at, header)));
            }
            at += ALIGNMENT_MIN as u64;
        }
        Ok(None)
    }

    /// Visits every entry of a commit, and every damaged range between them.
    pub fn walk_commit(
        &mut self,
        header: &CommitHeader,
        visit: &mut dyn FnMut(Found<'_>),
    ) -> io::Result<()> {
        let end = header.position + header.length;
        let mut position = header.position + COMMIT_HEADER_SIZE as u64;
        let (life, base) = (self.life, self.base);
        let mut left = header.entry_count;
        while left > 0 && position < end {
            let head = self.fetch(position - base, ENTRY_HEADER_SIZE)?;
            let Some(entry) = EntryHeader::parse(head, life, position)
                .filter(|entry| entry.padded_length <= end - position)
            else {
                let next = self.search_entry(position + 8, end)?;
                self.damage(position..next, visit)?;
                // How many entries the damage took is not known; all that follow are looked at.
                left = u32::MAX;
                position = next;
                continue;
            };
            left -= 1;
            let bytes = self.fetch(position - base, size(entry.length()))?;
            let content = bytes.get(ENTRY_HEADER_SIZE..size(entry.length()));
            match content {
                Some(content) if crc32c::crc32c(content) == entry.content_crc => {
                    let envelope_length = size(u64::from(entry.envelope_length));
                    visit(Found::Entry { position, content, envelope_length });
                }
                _ => self.damage(position..position + entry.padded_length, visit)?,
            }
            position += entry.padded_length;
        }
        Ok(())
    }

    /// The first entry header at or behind `from`, else `end`.
    fn search_entry(&mut self, from: u64, end: u64) -> io::Result<u64> {
        let (life, base) = (self.life, self.base);
        let mut position = from.next_multiple_of(8);
        while position + (ENTRY_HEADER_SIZE as u64) < end {
            let head = self.fetch(position - base, ENTRY_HEADER_SIZE)?;
            if EntryHeader::parse(head, life, position).is_some() {
                return Ok(position);
            }
            position += 8;
        }
        Ok(end)
    }

    /// Hands out a damaged range, in pieces.
    pub fn damage(
        &mut self,
        range: Range<u64>,
        visit: &mut dyn FnMut(Found<'_>),
    ) -> io::Result<()> {
        let mut at = range.start;
        while at < range.end {
            let length = (range.end - at).min(DAMAGE_SIZE_MAX);
            let offset = at - self.base;
            let bytes = self.fetch(offset, size(length))?;
            visit(Found::Damaged { position: at, bytes });
            at += length;
        }
        Ok(())
    }
}
