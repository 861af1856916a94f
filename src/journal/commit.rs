//! One group commit in memory: collects entries, then is sealed with its place. No IO.
//!
//! ```text
//! blocks:   │ commit header │ entry │ entry │ … pad │  │ entry │ … pad │     256 KiB each
//! extents:  │ entry ─────────────────────── pad │  │ entry ─── pad │         one entry each
//! ```
//!
//! While it collects, nothing knows where it will lie: headers get position, generation and checksum
//! when it is sealed.

use super::format::{
    COMMIT_HEADER_SIZE, CommitHeader, ENTRY_ALIGNMENT, ENTRY_HEADER_SIZE, EntryHeader, Life,
};
use crate::buffer::{AlignedBuffer, Pool, PoolError};
use crate::limits::{KIB, size};

/// Capacity of a packed block; the size of commit that the device takes best.
pub const BLOCK_SIZE: usize = 256 * KIB;

pub struct Commit {
    blocks: Vec<AlignedBuffer>,
    extents: Vec<Extent>,
    entry_count: u32,
    /// Aligned bytes of all extents.
    extents_size: usize,
}

struct Extent {
    buffer: AlignedBuffer,
    envelope_length: u32,
    body_length: u64,
    content_crc: u32,
}

impl Default for Commit {
    fn default() -> Self {
        Self {
            blocks: Vec::with_capacity(8),
            extents: Vec::with_capacity(8),
            entry_count: 0,
            extents_size: 0,
        }
    }
}

impl Commit {
    pub const fn entry_count(&self) -> u32 {
        self.entry_count
    }

    /// Forgets everything that was collected.
    pub fn clear(&mut self, pool: &mut Pool) {
        self.blocks.drain(..).for_each(|block| pool.release(block));
        self.extents.drain(..).for_each(|extent| pool.release(extent.buffer));
        self.entry_count = 0;
        self.extents_size = 0;
    }

    /// Bytes that the commit will take when it is sealed, at `alignment`.
    pub fn sealed_size(&self, alignment: usize) -> usize {
        let blocks: usize =
            self.blocks.iter().map(|block| block.len().next_multiple_of(alignment)).sum();
        blocks.max(alignment) + self.extents_size
    }

    /// Makes sure that the last block has `needed` bytes of room, and that there is a first block
    /// with room for the commit header.
    fn reserve(&mut self, needed: usize, pool: &mut Pool) -> Result<(), PoolError> {
        if self.blocks.last().is_some_and(|block| block.remaining() >= needed) {
            return Ok(());
        }
        let mut block = pool.acquire(BLOCK_SIZE)?;
        if self.blocks.is_empty() {
            block.extend_from_slice(&[0; COMMIT_HEADER_SIZE]);
        }
        self.blocks.push(block);
        Ok(())
    }

    /// Copies a small entry in.
    pub fn append_packed(
        &mut self,
        envelope: &[u8],
        body: &[u8],
        pool: &mut Pool,
    ) -> Result<(), PoolError> {
        let length = ENTRY_HEADER_SIZE + envelope.len() + body.len();
        let padded = length.next_multiple_of(ENTRY_ALIGNMENT);
        if padded + COMMIT_HEADER_SIZE > BLOCK_SIZE {
            return Err(PoolError::OverLargestClass);
        }
        self.reserve(padded, pool)?;
        let Some(block) = self.blocks.last_mut() else { return Err(PoolError::BudgetExhausted) };
        let header = EntryHeader {
            position: 0,
            padded_length: padded as u64,
            body_length: body.len() as u64,
            envelope_length: u32::try_from(envelope.len()).unwrap_or(u32::MAX),
            content_crc: EntryHeader::content_crc(envelope, body),
        };
        // The checksum of an unsealed header is overwritten by `seal`; lengths are read from it.
        block.extend_from_slice(&header.encode(Life { incarnation: 0, shard: 0, generation: 0 }));
        block.extend_from_slice(envelope);
        block.extend_from_slice(body);
        block.pad_to(ENTRY_ALIGNMENT);
        self.entry_count += 1;
        Ok(())
    }

    /// Takes a large entry as it lies: `buffer` holds room for the header, the envelope and the body.
    /// On failure the buffer comes back.
    pub fn append_extent(
        &mut self,
        buffer: AlignedBuffer,
        envelope_length: usize,
        alignment: usize,
        pool: &mut Pool,
    ) -> Result<(), (PoolError, AlignedBuffer)> {
        assert!(buffer.len() >= ENTRY_HEADER_SIZE + envelope_length);
        let padded = buffer.len().next_multiple_of(alignment);
        if padded > buffer.capacity() {
            return Err((PoolError::OverLargestClass, buffer));
        }
        if let Err(error) = self.reserve(0, pool) {
            return Err((error, buffer));
        }
        let content = &buffer.as_slice()[ENTRY_HEADER_SIZE..];
        let (envelope, body) = content.split_at(envelope_length);
        let extent = Extent {
            envelope_length: u32::try_from(envelope_length).unwrap_or(u32::MAX),
            body_length: body.len() as u64,
            content_crc: EntryHeader::content_crc(envelope, body),
            buffer,
        };
        self.extents_size += padded;
        self.extents.push(extent);
        self.entry_count += 1;
        Ok(())
    }

    /// Gives everything its place and empties the collection. The pieces lie one behind the other
    /// from `position` on. An empty commit is one block with nothing but the header.
    pub fn seal(
        &mut self,
        life: Life,
        base: u64,
        position: u64,
        alignment: usize,
        pool: &mut Pool,
        pieces: &mut Vec<AlignedBuffer>,
    ) -> Result<u64, PoolError> {
        self.reserve(0, pool)?;
        let length = self.sealed_size(alignment) as u64;
        let only_header = self.blocks.first().is_none_or(|block| block.len() == COMMIT_HEADER_SIZE);
        let first_entry = if only_header { alignment } else { COMMIT_HEADER_SIZE };
        let header = CommitHeader {
            base,
            position,
            length,
            entry_count: self.entry_count,
            first_entry: u32::try_from(first_entry).unwrap_or(u32::MAX),
        };
        let mut at = position;
        for (index, mut block) in self.blocks.drain(..).enumerate() {
            let content = block.len();
            block.pad_to(alignment);
            let mut offset = if index == 0 { COMMIT_HEADER_SIZE } else { 0 };
            while offset < content {
                offset = seal_packed(&mut block, offset, content, at, life);
            }
            if index == 0 {
                block.as_mut_slice()[..COMMIT_HEADER_SIZE].copy_from_slice(&header.encode(life));
            }
            at += block.len() as u64;
            pieces.push(block);
        }
        for mut extent in self.extents.drain(..) {
            extent.buffer.pad_to(alignment);
            let header = EntryHeader {
                position: at,
                padded_length: extent.buffer.len() as u64,
                body_length: extent.body_length,
                envelope_length: extent.envelope_length,
                content_crc: extent.content_crc,
            };
            extent.buffer.as_mut_slice()[..ENTRY_HEADER_SIZE].copy_from_slice(&header.encode(life));
            at += extent.buffer.len() as u64;
            pieces.push(extent.buffer);
        }
        assert_eq!(at, position + length);
        self.entry_count = 0;
        self.extents_size = 0;
        Ok(length)
    }
}

/// Rewrites the header of the packed entry at `offset`; the last one of a block takes the padding.
fn seal_packed(
    block: &mut AlignedBuffer,
    offset: usize,
    content: usize,
    block_position: u64,
    life: Life,
) -> usize {
    let total = block.len();
    let bytes = &mut block.as_mut_slice()[offset..];
    let mut header = EntryHeader::parse(bytes, Life { incarnation: 0, shard: 0, generation: 0 }, 0)
        .expect("the header was written by `append_packed`");
    let next = offset + size(header.padded_length);
    header.position = block_position + offset as u64;
    if next == content {
        header.padded_length = (total - offset) as u64;
    }
    bytes[..ENTRY_HEADER_SIZE].copy_from_slice(&header.encode(life));
    next
}
