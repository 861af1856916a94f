//! Snappy: the block format, and the framed format that some senders give the same name.
//!
//! Place: inside `content`. Format facts: google/snappy `format_description.txt` and
//! `framing_format.txt`.

use snap::raw::Decoder;

use super::buffer::Buffer;
use super::{ContentError, member_count_max};

/// The densest element is a two-byte-offset copy: three bytes for up to 64. No block expands more.
const EXPANSION_MAX: usize = 22;
/// A chunk of the framed format holds at most this many bytes of content.
const CHUNK_CONTENT_SIZE_MAX: usize = 64 * 1024;

/// Decodes one block to the end of `output`.
pub(super) fn block(
    decoder: &mut Decoder,
    input: &[u8],
    output: &mut Buffer,
    limit: usize,
) -> Result<(), ContentError> {
    let (size, header_size) = declared_size(input)?;
    if output.filled_size().saturating_add(size) > limit {
        return Err(ContentError::OutputOverLimit);
    }
    // A size that so many bytes cannot yield is refused before memory is taken for it.
    if size > (input.len() - header_size).saturating_mul(EXPANSION_MAX) {
        return Err(ContentError::Truncated);
    }
    output.reserve(size, limit)?;
    let space = output.space(limit).get_mut(..size).unwrap_or_default();
    match decoder.decompress(input, space) {
        Ok(written) => {
            output.advance(written);
            Ok(())
        }
        Err(error) => Err(fault(&error, header_size)),
    }
}

/// The length a block declares, and how many bytes that takes.
pub(super) fn declared_size(input: &[u8]) -> Result<(usize, usize), ContentError> {
    let mut size = 0u64;
    for (at, &byte) in input.iter().enumerate() {
        size |= u64::from(byte & 0x7f) << (7 * at);
        if at == 4 && byte > 0x0f {
            return Err(ContentError::Corrupt { offset: 4 });
        }
        if byte < 0x80 {
            return Ok((crate::limits::size(size), at + 1));
        }
    }
    Err(ContentError::Truncated)
}

#[cold]
fn fault(error: &snap::Error, header_size: usize) -> ContentError {
    match *error {
        snap::Error::Empty | snap::Error::CopyRead { .. } => ContentError::Truncated,
        snap::Error::Literal { len, src_len, .. } if src_len < len => ContentError::Truncated,
        snap::Error::HeaderMismatch { expected_len, got_len } if got_len < expected_len => {
            ContentError::Truncated
        }
        // The decoder does not say where in the elements.
        _ => ContentError::Corrupt { offset: header_size as u64 },
    }
}

/// Whether a chunk of this type may be passed over (`framing_format.txt`, section 4.6).
pub(super) const fn is_skippable(kind: u8) -> bool {
    matches!(kind, 0x80..=0xfe)
}

/// Decodes the framed format: a stream identifier, then chunks of type u8, length u24, content.
pub(super) fn framed(
    decoder: &mut Decoder,
    input: &[u8],
    output: &mut Buffer,
    limit: usize,
) -> Result<(), ContentError> {
    const COMPRESSED: u8 = 0x00;
    const UNCOMPRESSED: u8 = 0x01;
    const IDENTIFIER: u8 = 0xff;

    output.expect(input.len().saturating_mul(4), input.len(), limit);
    let count_max = member_count_max(input.len());
    let mut count = 0;
    let mut rest = input;
    while let Some((&[kind, size @ ..], after)) = rest.split_first_chunk::<4>() {
        let offset = super::offset(input, rest);
        if count == count_max {
            return Err(ContentError::MemberCountOverLimit { offset });
        }
        count += 1;
        let size = size.iter().rev().fold(0, |sum, &byte| sum << 8 | usize::from(byte));
        let (chunk, after) = after.split_at_checked(size).ok_or(ContentError::Truncated)?;
        match kind {
            COMPRESSED | UNCOMPRESSED => {
                let Some((&checksum, content)) = chunk.split_first_chunk::<4>() else {
                    return Err(ContentError::Corrupt { offset });
                };
                let before = output.filled_size();
                if kind == COMPRESSED {
                    let (announced, _) =
                        declared_size(content).map_err(|_| ContentError::Corrupt { offset })?;
                    if announced > CHUNK_CONTENT_SIZE_MAX {
                        return Err(ContentError::Corrupt { offset });
                    }
                    // The chunk is whole, so a block that ends early is corrupt, not cut.
                    block(decoder, content, output, limit).map_err(|error| match error {
                        ContentError::OutputOverLimit => error,
                        _ => ContentError::Corrupt { offset },
                    })?;
                } else {
                    if content.len() > CHUNK_CONTENT_SIZE_MAX {
                        return Err(ContentError::Corrupt { offset });
                    }
                    output.reserve(content.len(), limit)?;
                    if let Some(space) = output.space(limit).get_mut(..content.len()) {
                        space.copy_from_slice(content);
                        output.advance(content.len());
                    }
                }
                let written = output.filled().get(before..).unwrap_or_default();
                if masked_checksum(written) != u32::from_le_bytes(checksum) {
                    return Err(ContentError::ChecksumWrong { offset });
                }
            }
            IDENTIFIER if chunk == b"sNaPpY" => {}
            kind if is_skippable(kind) => {}
            // A wrong identifier, or a reserved type that must not be skipped.
            _ => return Err(ContentError::Corrupt { offset }),
        }
        rest = after;
    }
    if rest.is_empty() { Ok(()) } else { Err(ContentError::Truncated) }
}

/// CRC-32C, masked so that data which holds checksums of itself does not defeat it.
fn masked_checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}
