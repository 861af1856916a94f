//! LZ4 frames (lz4 `doc/lz4_Frame_format.md`, version 1.6.4).
//!
//! Place: inside `content`. The frame is read here and its blocks are decoded straight into the output,
//! which serves linked blocks as their window: nothing is copied out of a ring, nothing allocated.
//!
//! ```text
//! magic u32 · flags u8 · block maximum u8 · [content size u64] · [dictionary u32] · header checksum u8
//! { size u32, its high bit: stored · block · [checksum u32] } … · 0 u32 · [content checksum u32]
//! ```

use lz4_flex::block::{DecompressError, decompress_into, decompress_into_with_dict};
use xxhash_rust::xxh32::xxh32;

use super::buffer::Buffer;
use super::{ContentError, member_count_max};

const MAGIC: u32 = 0x184d_2204;
/// The low four bits are free.
const MAGIC_SKIPPABLE: u32 = 0x184d_2a50;
/// How far back a linked block may reach.
const WINDOW_SIZE: usize = 64 * 1024;

/// Decodes all frames of a body. There must be at least one.
pub(super) fn frames(input: &[u8], output: &mut Buffer, limit: usize) -> Result<(), ContentError> {
    let count_max = member_count_max(input.len());
    let mut rest = input;
    let mut count = 0;
    while !rest.is_empty() || count == 0 {
        let offset = super::offset(input, rest);
        if count == count_max {
            return Err(ContentError::MemberCountOverLimit { offset });
        }
        let Some((magic, after)) = rest.split_first_chunk::<4>() else {
            let begins = |magic: u32| magic.to_le_bytes().starts_with(rest);
            let is_begun = begins(MAGIC) || (0..16).any(|low| begins(MAGIC_SKIPPABLE + low));
            return Err(if is_begun {
                ContentError::Truncated
            } else if count > 0 {
                ContentError::TrailingGarbage { offset }
            } else {
                ContentError::Corrupt { offset }
            });
        };
        rest = match u32::from_le_bytes(*magic) {
            MAGIC => frame(input, after, output, limit)?,
            magic if magic & !0x0f == MAGIC_SKIPPABLE => {
                let mut after = after;
                let size = crate::limits::size(u64::from(take_u32(&mut after)?));
                after.get(size..).ok_or(ContentError::Truncated)?
            }
            _ if count > 0 => return Err(ContentError::TrailingGarbage { offset }),
            _ => return Err(ContentError::Corrupt { offset }),
        };
        count += 1;
    }
    Ok(())
}

/// Decodes the frame whose header begins at `rest`, a tail of `input`; answers what stands behind it.
fn frame<'a>(
    input: &[u8],
    mut rest: &'a [u8],
    output: &mut Buffer,
    limit: usize,
) -> Result<&'a [u8], ContentError> {
    let offset = super::offset(input, rest);
    let header = Header::parse(&mut rest, offset)?;
    let start = output.filled_size();
    let announced = match header.content_size {
        Some(size) => {
            let size = crate::limits::size(size);
            if start.saturating_add(size) > limit {
                return Err(ContentError::OutputOverLimit);
            }
            size
        }
        None => rest.len().saturating_mul(4),
    };
    output.expect(announced, rest.len(), limit);
    loop {
        let offset = super::offset(input, rest);
        let word = take_u32(&mut rest)?;
        if word == 0 {
            break;
        }
        let is_stored = word >> 31 == 1;
        let size = crate::limits::size(u64::from(word & 0x7fff_ffff));
        if size > header.block_size_max {
            return Err(ContentError::Corrupt { offset });
        }
        let (block, after) = rest.split_at_checked(size).ok_or(ContentError::Truncated)?;
        rest = after;
        if header.has_block_checksums {
            let offset = super::offset(input, rest);
            if take_u32(&mut rest)? != xxh32(block, 0) {
                return Err(ContentError::ChecksumWrong { offset });
            }
        }
        if is_stored {
            stored(block, output, limit)?;
        } else if !compressed(block, &header, start, output, limit)? {
            return Err(ContentError::Corrupt { offset });
        }
    }
    let content = output.filled().get(start..).unwrap_or_default();
    let offset = super::offset(input, rest);
    if header.content_size.is_some_and(|size| size != content.len() as u64) {
        return Err(ContentError::ChecksumWrong { offset });
    }
    if header.has_content_checksum && take_u32(&mut rest)? != xxh32(content, 0) {
        return Err(ContentError::ChecksumWrong { offset });
    }
    Ok(rest)
}

fn stored(block: &[u8], output: &mut Buffer, limit: usize) -> Result<(), ContentError> {
    while output.space(limit).len() < block.len() {
        output.grow(limit)?;
    }
    if let Some(space) = output.space(limit).get_mut(..block.len()) {
        space.copy_from_slice(block);
        output.advance(block.len());
    }
    Ok(())
}

/// Decodes one block of a frame whose output begins at `start`; false where it is corrupt. A block does
/// not say what it decodes to, so room is made by trying: the output doubles, and with it what a try
/// may cost.
fn compressed(
    block: &[u8],
    header: &Header,
    start: usize,
    output: &mut Buffer,
    limit: usize,
) -> Result<bool, ContentError> {
    loop {
        let (filled, space) = output.split(limit);
        let room = space.len().min(header.block_size_max);
        let space = space.get_mut(..room).unwrap_or_default();
        let decoded = if header.is_linked {
            let from = start.max(filled.len().saturating_sub(WINDOW_SIZE));
            decompress_into_with_dict(block, space, filled.get(from..).unwrap_or_default())
        } else {
            decompress_into(block, space)
        };
        match decoded {
            Ok(written) => {
                output.advance(written);
                return Ok(true);
            }
            Err(DecompressError::OutputTooSmall { .. }) if room < header.block_size_max => {
                output.grow(limit)?;
            }
            Err(_) => return Ok(false),
        }
    }
}

/// What a frame's descriptor says.
struct Header {
    /// Blocks refer to the ones before.
    is_linked: bool,
    has_block_checksums: bool,
    has_content_checksum: bool,
    content_size: Option<u64>,
    block_size_max: usize,
}

impl Header {
    /// `offset`: of the descriptor, for faults.
    fn parse(rest: &mut &[u8], offset: u64) -> Result<Self, ContentError> {
        const VERSION: u8 = 0xc0;
        const INDEPENDENT: u8 = 0x20;
        const BLOCK_CHECKSUMS: u8 = 0x10;
        const CONTENT_SIZE: u8 = 0x08;
        const CONTENT_CHECKSUM: u8 = 0x04;
        const RESERVED: u8 = 0x02;
        const DICTIONARY: u8 = 0x01;
        let descriptor = *rest;
        let corrupt = |at: u64| ContentError::Corrupt { offset: offset + at };
        let flags = take_u8(rest)?;
        if flags & VERSION != 0x40 || flags & RESERVED != 0 {
            return Err(corrupt(0));
        }
        let maximum = take_u8(rest)?;
        let block_size_max = match maximum {
            0x40 => 64 * 1024,
            0x50 => 256 * 1024,
            0x60 => 1024 * 1024,
            0x70 => 4 * 1024 * 1024,
            _ => return Err(corrupt(1)),
        };
        let content_size = if flags & CONTENT_SIZE == 0 {
            None
        } else {
            let (low, high) = (take_u32(rest)?, take_u32(rest)?);
            Some(u64::from(high) << 32 | u64::from(low))
        };
        if flags & DICTIONARY != 0 {
            take_u32(rest)?;
        }
        let size = descriptor.len() - rest.len();
        let sum = xxh32(descriptor.get(..size).unwrap_or_default(), 0);
        if take_u8(rest)? != sum.to_le_bytes()[1] {
            return Err(ContentError::ChecksumWrong { offset: offset + size as u64 });
        }
        if flags & DICTIONARY != 0 {
            return Err(ContentError::DictionaryNeeded);
        }
        Ok(Self {
            is_linked: flags & INDEPENDENT == 0,
            has_block_checksums: flags & BLOCK_CHECKSUMS != 0,
            has_content_checksum: flags & CONTENT_CHECKSUM != 0,
            content_size,
            block_size_max,
        })
    }
}

fn take_u8(rest: &mut &[u8]) -> Result<u8, ContentError> {
    let (&byte, after) = rest.split_first().ok_or(ContentError::Truncated)?;
    *rest = after;
    Ok(byte)
}

fn take_u32(rest: &mut &[u8]) -> Result<u32, ContentError> {
    let (bytes, after) = rest.split_first_chunk::<4>().ok_or(ContentError::Truncated)?;
    *rest = after;
    Ok(u32::from_le_bytes(*bytes))
}
