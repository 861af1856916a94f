//! Content codings (RFC 9110, section 8.4): what a body is once its compression is taken off.
//!
//! Place: between the complete body and `decode`, and again in the followers. No IO. Output goes
//! into a reused [`Arena`]; it grows in steps as output is earned, never by what the peer
//! announces, and never past the caller's limit. Nothing allocates once an arena has seen its
//! traffic.
//!
//! | coding | what is read |
//! |---|---|
//! | gzip | every member; zeros behind the last are passed over, anything else is refused |
//! | deflate | one zlib stream, or raw deflate |
//! | zstd | every frame, skippable ones too; no dictionary; windows up to 8 MiB |
//! | snappy | one block, or the framed format, told apart by its ten-byte identifier |
//! | lz4 | every frame, skippable ones too, linked blocks or not; no dictionary |

#![deny(clippy::indexing_slicing)]

mod buffer;
mod deflate;
mod error;
mod inflate;
mod lz4;
mod snappy;
pub mod sniff;
pub mod stream;
mod zstd;

pub use error::ContentError;

use crate::envelope::{Coding, Codings};
use buffer::Buffer;

/// Reused output memory and decompressors. Holds up to two buffers, as two codings may be stacked.
#[derive(Default)]
pub struct Arena {
    first: Buffer,
    second: Buffer,
    engines: Engines,
}

/// Made when the first body of their coding comes.
#[derive(Default)]
struct Engines {
    inflate: Option<inflate::Decompressor>,
    zstd: Option<zstd_safe::DCtx<'static>>,
    snappy: snap::raw::Decoder,
}

impl Arena {
    /// An arena whose first buffer holds `capacity` bytes from the start.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { first: Buffer::with_capacity(capacity), ..Self::default() }
    }

    /// Bytes of output memory held.
    pub fn capacity(&self) -> usize {
        self.first.capacity() + self.second.capacity()
    }

    /// Bytes that the last decoding made.
    pub fn produced(&self) -> usize {
        self.first.filled_size() + self.second.filled_size()
    }

    /// Gives output memory back: the first buffer keeps at most `limit` bytes, the second, which
    /// only stacked codings use, none. For after a body that was larger than most.
    pub fn shrink_to(&mut self, limit: usize) {
        self.first.shrink_to(limit);
        self.second.shrink_to(0);
    }
}

/// Takes `codings` off `input`, the last one first. Identity answers with `input` itself.
///
/// `limit` bounds the output of each coding; one byte more is [`ContentError::OutputOverLimit`].
/// Memory stays below twice the output that was really produced plus 64 KiB or 32 times the input,
/// whichever is more, and never passes the limit.
pub fn decode<'a>(
    codings: Codings,
    input: &'a [u8],
    arena: &'a mut Arena,
    limit: usize,
) -> Result<&'a [u8], ContentError> {
    let Arena { first, second, engines } = arena;
    match codings.0 {
        [Coding::Identity, Coding::Identity] if input.len() > limit => {
            Err(ContentError::OutputOverLimit)
        }
        [Coding::Identity, Coding::Identity] => Ok(input),
        [coding, Coding::Identity] | [Coding::Identity, coding] => {
            decode_one(coding, input, first, engines, limit)?;
            Ok(first.filled())
        }
        [inner, outer] => {
            decode_one(outer, input, second, engines, limit)?;
            decode_one(inner, second.filled(), first, engines, limit)?;
            Ok(first.filled())
        }
    }
}

fn decode_one(
    coding: Coding,
    input: &[u8],
    output: &mut Buffer,
    engines: &mut Engines,
    limit: usize,
) -> Result<(), ContentError> {
    output.clear();
    match coding {
        Coding::Identity => {
            output.reserve(input.len(), limit)?;
            if let Some(space) = output.space(limit).get_mut(..input.len()) {
                space.copy_from_slice(input);
                output.advance(input.len());
            }
            Ok(())
        }
        Coding::Gzip => {
            inflate::gzip(engines.inflate.get_or_insert_default(), input, output, limit)
        }
        Coding::Deflate => {
            inflate::zlib_or_raw(engines.inflate.get_or_insert_default(), input, output, limit)
        }
        Coding::Zstd => zstd::frames(
            engines.zstd.get_or_insert_with(zstd_safe::DCtx::create),
            input,
            output,
            limit,
        ),
        Coding::Snappy if sniff::is_snappy_framed(input) => {
            snappy::framed(&mut engines.snappy, input, output, limit)
        }
        Coding::Snappy => snappy::block(&mut engines.snappy, input, output, limit),
        Coding::Lz4 => lz4::frames(input, output, limit),
    }
}

/// How many members, frames or chunks a body may have: some freely, then one for every 64 bytes.
/// An empty gzip member is 20 bytes, an empty zstd frame 8, and either costs as much time as
/// inflating several hundred bytes.
const fn member_count_max(input_size: usize) -> usize {
    1024 + input_size / 64
}

/// Where `rest`, a tail of `input`, begins.
fn offset(input: &[u8], rest: &[u8]) -> u64 {
    (input.len() - rest.len()) as u64
}
