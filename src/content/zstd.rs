//! zstd frames (RFC 8878).
//!
//! Place: inside `content`. Each frame's header is read here first, so that a window, a dictionary
//! or an announced size is judged before any work; then the whole frame is decoded in one call
//! straight into the output, which serves as its window: nothing is copied out of a ring.
//! A checksum, if the frame has one, is verified by the library.

use zstd_safe::DCtx;
use zstd_safe::zstd_sys::ZSTD_ErrorCode as Code;

use super::buffer::Buffer;
use super::{ContentError, member_count_max};

const MAGIC: u32 = 0xfd2f_b528;
/// The low four bits are free.
const MAGIC_SKIPPABLE: u32 = 0x184d_2a50;
/// RFC 8878, section 3.1.1.1.2: what every decoder should take, and what we take.
const WINDOW_SIZE_MAX: u64 = 8 * 1024 * 1024;

/// Decodes all frames of a body. There must be at least one.
pub(super) fn frames(
    context: &mut DCtx<'static>,
    input: &[u8],
    output: &mut Buffer,
    limit: usize,
) -> Result<(), ContentError> {
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
            let is_begun = (0..16).any(|low| begins(MAGIC_SKIPPABLE + low)) || begins(MAGIC);
            return Err(if is_begun {
                ContentError::Truncated
            } else if count > 0 {
                ContentError::TrailingGarbage { offset }
            } else {
                ContentError::Corrupt { offset }
            });
        };
        match u32::from_le_bytes(*magic) {
            MAGIC => {
                let size = frame(context, rest, offset, output, limit)?;
                rest = rest.get(size..).unwrap_or_default();
            }
            magic if magic & !0x0f == MAGIC_SKIPPABLE => {
                let (size, after) =
                    after.split_first_chunk::<4>().ok_or(ContentError::Truncated)?;
                let size = crate::limits::size(u64::from(u32::from_le_bytes(*size)));
                rest = after.get(size..).ok_or(ContentError::Truncated)?;
            }
            _ if count > 0 => return Err(ContentError::TrailingGarbage { offset }),
            _ => return Err(ContentError::Corrupt { offset }),
        }
        count += 1;
    }
    Ok(())
}

/// Decodes the frame at the start of `input`; answers its length.
fn frame(
    context: &mut DCtx<'static>,
    input: &[u8],
    offset: u64,
    output: &mut Buffer,
    limit: usize,
) -> Result<usize, ContentError> {
    let header = Header::parse(input, offset)?;
    if header.has_dictionary {
        return Err(ContentError::DictionaryNeeded);
    }
    if header.window_size.is_some_and(|size| size > WINDOW_SIZE_MAX) {
        return Err(ContentError::WindowOverLimit);
    }
    let size = zstd_safe::find_frame_compressed_size(input).map_err(|code| fault(code, offset))?;
    let frame = input.get(..size).ok_or(ContentError::Truncated)?;
    let announced = match header.content_size {
        Some(content_size) => {
            let content_size = crate::limits::size(content_size);
            if output.filled_size().saturating_add(content_size) > limit {
                return Err(ContentError::OutputOverLimit);
            }
            content_size
        }
        None => size.saturating_mul(4),
    };
    output.expect(announced, size, limit);
    loop {
        match context.decompress(output.space(limit), frame) {
            Ok(written) => {
                output.advance(written);
                return Ok(size);
            }
            Err(code) if zstd_safe::is_error_kind(code, Code::ZSTD_error_dstSize_tooSmall) => {
                output.grow(limit)?;
            }
            Err(code) => return Err(fault(code, offset)),
        }
    }
}

#[cold]
pub(super) fn fault(code: usize, offset: u64) -> ContentError {
    let is = |kind| zstd_safe::is_error_kind(code, kind);
    if is(Code::ZSTD_error_srcSize_wrong) {
        ContentError::Truncated
    } else if is(Code::ZSTD_error_checksum_wrong) {
        ContentError::ChecksumWrong { offset }
    } else if is(Code::ZSTD_error_frameParameter_windowTooLarge) {
        ContentError::WindowOverLimit
    } else if is(Code::ZSTD_error_dictionary_wrong) {
        ContentError::DictionaryNeeded
    } else {
        ContentError::Corrupt { offset }
    }
}

/// What a frame header says (RFC 8878, section 3.1.1.1).
#[derive(Debug, PartialEq, Eq)]
struct Header {
    /// `None` for a single segment: its window is the output itself, which has its own limit.
    window_size: Option<u64>,
    content_size: Option<u64>,
    has_dictionary: bool,
}

impl Header {
    fn parse(frame: &[u8], offset: u64) -> Result<Self, ContentError> {
        let mut rest = frame.get(4..).unwrap_or_default();
        let descriptor = take(&mut rest, 1)?;
        if descriptor & 0x08 != 0 {
            return Err(ContentError::Corrupt { offset: offset + 4 });
        }
        let is_single_segment = descriptor & 0x20 != 0;
        let window_size = if is_single_segment {
            None
        } else {
            let window = take(&mut rest, 1)?;
            let base = 1u64 << (10 + (window >> 3));
            Some(base + base / 8 * (window & 7))
        };
        let dictionary_id = take(&mut rest, (1 << (descriptor & 3)) >> 1)?;
        let content_size = match (descriptor >> 6, is_single_segment) {
            (0, false) => None,
            (0, true) => Some(take(&mut rest, 1)?),
            (1, _) => Some(take(&mut rest, 2)? + 256),
            (2, _) => Some(take(&mut rest, 4)?),
            _ => Some(take(&mut rest, 8)?),
        };
        Ok(Self { window_size, content_size, has_dictionary: dictionary_id != 0 })
    }
}

/// A little-endian number of up to eight bytes.
fn take(rest: &mut &[u8], size: usize) -> Result<u64, ContentError> {
    let (bytes, after) = rest.split_at_checked(size).ok_or(ContentError::Truncated)?;
    *rest = after;
    Ok(bytes.iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte)))
}
