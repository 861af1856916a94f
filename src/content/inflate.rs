//! gzip (RFC 1952), zlib (RFC 1950) and raw deflate (RFC 1951), through libdeflate.
//!
//! Place: inside `content`. Every member of a gzip body is decoded: the one-shot call of the usual
//! safe binding stops after the first and says nothing. libdeflate verifies CRC-32, Adler-32 and
//! lengths; a body it refuses is walked again, slowly, by [`super::deflate`] to name the fault.
//!
//! libdeflate works on whole buffers. Where the output does not fit, the member is decoded again
//! into twice the space: all repeats together cost less than one pass over the final output.

#![allow(unsafe_code, reason = "style.md, section 8: the calls of libdeflate")]

use std::ptr::NonNull;

use libdeflate_sys as sys;

use super::buffer::Buffer;
use super::deflate::{self, Walk};
use super::{ContentError, member_count_max};

/// CRC-32 and length.
const GZIP_TRAILER_SIZE: usize = 8;
/// Adler-32.
const ZLIB_TRAILER_SIZE: usize = 4;

/// libdeflate's tables, 11 KiB, reused from body to body.
pub(super) struct Decompressor {
    raw: NonNull<sys::libdeflate_decompressor>,
}

// SAFETY: the decompressor is plain memory that no thread but the owner of `self` touches; every
// call takes `&mut self`.
unsafe impl Send for Decompressor {}

impl Default for Decompressor {
    fn default() -> Self {
        // SAFETY: takes nothing; the answer is null or a decompressor that we own.
        let raw = unsafe { sys::libdeflate_alloc_decompressor() };
        // As for any failed allocation of a fixed small size, there is no way on.
        let Some(raw) = NonNull::new(raw) else {
            std::alloc::handle_alloc_error(std::alloc::Layout::new::<[u64; 1408]>())
        };
        Self { raw }
    }
}

impl Drop for Decompressor {
    fn drop(&mut self) {
        // SAFETY: `raw` came from `libdeflate_alloc_decompressor` and is freed only here.
        unsafe { sys::libdeflate_free_decompressor(self.raw.as_ptr()) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrapper {
    Gzip,
    Zlib,
    None,
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Done { read: usize, written: usize },
    OutputFull,
    Bad,
}

impl Decompressor {
    /// Decodes one member from the start of `input` into `output`.
    fn step(&mut self, wrapper: Wrapper, input: &[u8], output: &mut [u8]) -> Step {
        let call = match wrapper {
            Wrapper::Gzip => sys::libdeflate_gzip_decompress_ex,
            Wrapper::Zlib => sys::libdeflate_zlib_decompress_ex,
            Wrapper::None => sys::libdeflate_deflate_decompress_ex,
        };
        let (mut read, mut written) = (0, 0);
        // SAFETY: `raw` is live until drop; both slices are live and exclusive as Rust has it, and
        // libdeflate stays within the lengths it is told; the two counts are local.
        let answer = unsafe {
            call(
                self.raw.as_ptr(),
                input.as_ptr().cast(),
                input.len(),
                output.as_mut_ptr().cast(),
                output.len(),
                &raw mut read,
                &raw mut written,
            )
        };
        match answer {
            sys::libdeflate_result_LIBDEFLATE_SUCCESS => {
                assert!(read <= input.len());
                assert!(written <= output.len());
                Step::Done { read, written }
            }
            sys::libdeflate_result_LIBDEFLATE_INSUFFICIENT_SPACE => Step::OutputFull,
            _ => Step::Bad,
        }
    }

    /// Decodes one member to the end of `output`; answers how much input it used.
    fn member(
        &mut self,
        wrapper: Wrapper,
        input: &[u8],
        output: &mut Buffer,
        limit: usize,
    ) -> Result<Option<usize>, ContentError> {
        loop {
            match self.step(wrapper, input, output.space(limit)) {
                Step::Done { read, written } => {
                    output.advance(written);
                    return Ok(Some(read));
                }
                Step::OutputFull => output.grow(limit)?,
                Step::Bad => return Ok(None),
            }
        }
    }
}

/// Decodes all members of a gzip body.
///
/// Zeros after the last member are passed over, as gzip(1) does: they carry nothing. Anything else
/// there is refused.
pub(super) fn gzip(
    decompressor: &mut Decompressor,
    input: &[u8],
    output: &mut Buffer,
    limit: usize,
) -> Result<(), ContentError> {
    // The last member's length modulo 2^32. The peer's word, so a hint only: `expect` holds it
    // against the limit and against what the input could plausibly hold.
    if let Some((_, trailer)) = input.split_last_chunk::<4>() {
        let announced = usize::try_from(u32::from_le_bytes(*trailer)).unwrap_or(usize::MAX);
        output.expect(announced, input.len(), limit);
    }
    let count_max = member_count_max(input.len());
    let mut rest = input;
    let mut count = 0;
    while !rest.is_empty() || count == 0 {
        let offset = super::offset(input, rest);
        if count > 0 && rest.first() != Some(&0x1f) {
            if rest.iter().all(|&byte| byte == 0) {
                break;
            }
            return Err(ContentError::TrailingGarbage { offset });
        }
        if count == count_max {
            return Err(ContentError::MemberCountOverLimit { offset });
        }
        count += 1;
        let Some(read) = decompressor.member(Wrapper::Gzip, rest, output, limit)? else {
            return Err(gzip_fault(decompressor, rest, offset, count == 1, output, limit));
        };
        rest = rest.get(read..).unwrap_or_default();
    }
    Ok(())
}

/// zlib, or raw deflate: what some senders mean by `deflate`.
///
/// Two bytes tell them apart for sure: a raw stream whose low nibble is 8 would begin with a stored
/// block and padding that is not zero, which no encoder writes.
pub(super) fn zlib_or_raw(
    decompressor: &mut Decompressor,
    input: &[u8],
    output: &mut Buffer,
    limit: usize,
) -> Result<(), ContentError> {
    let wrapper = match input {
        [] => return Err(ContentError::Truncated),
        [method, flags, ..]
            if method & 0x0f == 8
                && method >> 4 <= 7
                && u16::from_be_bytes([*method, *flags]) % 31 == 0 =>
        {
            if flags & 0x20 != 0 {
                return Err(ContentError::DictionaryNeeded);
            }
            Wrapper::Zlib
        }
        _ => Wrapper::None,
    };
    output.expect(input.len().saturating_mul(4), input.len(), limit);
    let Some(read) = decompressor.member(wrapper, input, output, limit)? else {
        let (header, trailer) =
            if wrapper == Wrapper::Zlib { (2, ZLIB_TRAILER_SIZE) } else { (0, 0) };
        return Err(stream_fault(decompressor, input, header, trailer, output, limit));
    };
    if read < input.len() {
        return Err(ContentError::TrailingGarbage { offset: read as u64 });
    }
    Ok(())
}

/// Names what is wrong with a gzip member that libdeflate refused.
#[cold]
fn gzip_fault(
    decompressor: &mut Decompressor,
    member: &[u8],
    offset: u64,
    is_first: bool,
    output: &mut Buffer,
    limit: usize,
) -> ContentError {
    match gzip_header_size(member) {
        Ok(size) => {
            stream_fault(decompressor, member, size, GZIP_TRAILER_SIZE, output, limit).moved(offset)
        }
        // After a whole member, what does not even begin like one is no broken member.
        Err(ContentError::Corrupt { offset: 0 }) if !is_first => {
            ContentError::TrailingGarbage { offset }
        }
        Err(error) => error.moved(offset),
    }
}

/// Names what is wrong with a member of which header and wrapper are known: the stream itself, or
/// the `trailer_size` bytes of checksum behind it. Offsets count from the start of the member.
#[cold]
fn stream_fault(
    decompressor: &mut Decompressor,
    member: &[u8],
    header_size: usize,
    trailer_size: usize,
    output: &mut Buffer,
    limit: usize,
) -> ContentError {
    let stream = member.get(header_size..).unwrap_or_default();
    match decompressor.member(Wrapper::None, stream, output, limit) {
        Ok(Some(read)) if stream.len() < read + trailer_size => ContentError::Truncated,
        Ok(Some(read)) => ContentError::ChecksumWrong { offset: (header_size + read) as u64 },
        Ok(None) => match deflate::walk(stream) {
            Walk::Truncated => ContentError::Truncated,
            Walk::Corrupt { at } => ContentError::Corrupt { offset: (header_size + at) as u64 },
            Walk::Unknown => ContentError::Corrupt { offset: header_size as u64 },
        },
        Err(error) => error,
    }
}

/// The length of a gzip header (RFC 1952, section 2.3). Offsets of errors count from its start.
#[cold]
fn gzip_header_size(member: &[u8]) -> Result<usize, ContentError> {
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    const HEADER_CHECKSUM: u8 = 2;
    const RESERVED: u8 = 0xe0;
    for (at, expected) in [0x1f, 0x8b, 8].into_iter().enumerate() {
        match member.get(at) {
            None => return Err(ContentError::Truncated),
            Some(&byte) if byte != expected => {
                // A wrong magic is told as one fault at its start.
                return Err(ContentError::Corrupt { offset: if at == 2 { 2 } else { 0 } });
            }
            Some(_) => {}
        }
    }
    let flags = *member.get(3).ok_or(ContentError::Truncated)?;
    if flags & RESERVED != 0 {
        return Err(ContentError::Corrupt { offset: 3 });
    }
    let mut at = 10;
    if flags & EXTRA != 0 {
        let length = member.get(at..at + 2).ok_or(ContentError::Truncated)?;
        let length = length.iter().rev().fold(0, |sum, &byte| sum << 8 | usize::from(byte));
        at += 2 + length;
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            let rest = member.get(at..).ok_or(ContentError::Truncated)?;
            at += memchr::memchr(0, rest).ok_or(ContentError::Truncated)? + 1;
        }
    }
    if flags & HEADER_CHECKSUM != 0 {
        at += 2;
    }
    if at > member.len() {
        return Err(ContentError::Truncated);
    }
    Ok(at)
}
