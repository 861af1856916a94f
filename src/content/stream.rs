//! Codings taken off while the body comes, for routes whose bodies have no bound.
//!
//! Place: beside `decode`, which wants the whole body; this wants constant memory. Input goes in as
//! it arrives, output comes out as far as there is room for it.
//!
//! ```text
//! input ─▶ outer stage ─▶ (64 KiB between) ─▶ inner stage ─▶ output
//! ```
//!
//! One format cannot be decoded so: a Snappy block may copy from anywhere in its output. It is
//! collected, and [`Stream::memory`] says what that takes as soon as the block has declared it.

use flate2::{Decompress, FlushDecompress, Status};
use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, ResetDirective};

use super::buffer::Buffer;
use super::{ContentError, member_count_max, snappy, sniff};
use crate::envelope::{Coding, Codings};
use crate::limits::{KIB, MIB, PAYLOAD_SIZE_MAX};

/// Between two stacked codings.
const BETWEEN_SIZE: usize = 64 * KIB;
/// inflate keeps a window of 32 KiB and its tables.
const INFLATE_MEMORY: usize = 64 * KIB;
/// The largest window, and what libzstd holds besides: one block in and one out.
const ZSTD_MEMORY: usize = 8 * MIB + 512 * KIB;
/// One chunk as it came and what it decodes to.
const SNAPPY_FRAMED_MEMORY: usize = 256 * KIB;
/// A chunk of 64 KiB of content cannot be longer, however badly it was compressed.
const SNAPPY_CHUNK_SIZE_MAX: usize = 4 + 4 + 32 + 64 * KIB + 64 * KIB / 6;

/// What one step used and made. Either all input was read, and all that it yields was written, or the
/// output is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub read: usize,
    pub written: usize,
}

/// The decoder of one body.
pub struct Stream {
    /// In the order of decoding.
    stages: [Option<Stage>; 2],
    between: Vec<u8>,
    between_start: usize,
    /// The outer stage has nothing more to give.
    outer_ended: bool,
    /// Some of the body has come.
    has_begun: bool,
}

enum Stage {
    Inflate(Box<Inflate>),
    Zstd(Box<Zstd>),
    Snappy(Box<Snappy>),
    /// LZ4: no route takes it whose bodies have no bound.
    Unread,
}

impl Stream {
    /// Without codings a stream copies.
    #[must_use]
    pub fn new(codings: Codings) -> Self {
        let stage = |coding| match coding {
            Coding::Identity => None,
            Coding::Gzip => Some(Stage::Inflate(Box::new(Inflate::new(true)))),
            Coding::Deflate => Some(Stage::Inflate(Box::new(Inflate::new(false)))),
            Coding::Zstd => Some(Stage::Zstd(Box::new(Zstd::new()))),
            Coding::Snappy => Some(Stage::Snappy(Box::default())),
            Coding::Lz4 => Some(Stage::Unread),
        };
        let [first, second] = codings.0;
        let stages = match (stage(second), stage(first)) {
            (None, inner) => [inner, None],
            stages => stages.into(),
        };
        Self { stages, between: Vec::new(), between_start: 0, outer_ended: false, has_begun: false }
    }

    /// Bytes that the stream may come to hold, as far as is known by now. Grows at most once a stage:
    /// when a Snappy block has declared its size.
    #[must_use]
    pub fn memory(&self) -> usize {
        BETWEEN_SIZE + self.stages.iter().flatten().map(Stage::memory).sum::<usize>()
    }

    /// Decodes some of `input` into `output`. With `is_last` nothing follows the input: the body is
    /// complete, and found whole, when such a step leaves room in the output. A body without bytes is
    /// an empty one, whatever coding its sender names.
    pub fn step(
        &mut self,
        input: &[u8],
        is_last: bool,
        output: &mut [u8],
    ) -> Result<Progress, ContentError> {
        self.has_begun |= !input.is_empty();
        if !self.has_begun {
            return Ok(Progress::default());
        }
        let [outer, inner] = &mut self.stages;
        let Some(outer) = outer else { return Ok(copy(input, output)) };
        let Some(inner) = inner else { return outer.step(input, is_last, output) };
        let mut done = Progress::default();
        loop {
            let rest = self.between.get(self.between_start..).unwrap_or_default();
            let space = output.get_mut(done.written..).unwrap_or_default();
            let used = inner.step(rest, self.outer_ended, space)?;
            self.between_start += used.read;
            done.written += used.written;
            if done.written == output.len() || self.outer_ended {
                return Ok(done);
            }
            self.between.resize(BETWEEN_SIZE, 0);
            let rest = input.get(done.read..).unwrap_or_default();
            let made = outer.step(rest, is_last, &mut self.between)?;
            self.outer_ended = is_last && made.written < BETWEEN_SIZE;
            self.between.truncate(made.written);
            self.between_start = 0;
            done.read += made.read;
            if made.written == 0 && !self.outer_ended {
                return Ok(done);
            }
        }
    }
}

fn copy(input: &[u8], output: &mut [u8]) -> Progress {
    let size = input.len().min(output.len());
    if let (Some(from), Some(to)) = (input.get(..size), output.get_mut(..size)) {
        to.copy_from_slice(from);
    }
    Progress { read: size, written: size }
}

impl Stage {
    fn memory(&self) -> usize {
        match self {
            Self::Inflate(_) => INFLATE_MEMORY,
            Self::Zstd(_) => ZSTD_MEMORY,
            Self::Snappy(snappy) => snappy.memory(),
            Self::Unread => 0,
        }
    }

    fn step(
        &mut self,
        input: &[u8],
        is_last: bool,
        output: &mut [u8],
    ) -> Result<Progress, ContentError> {
        match self {
            Self::Inflate(inflate) => inflate.step(input, is_last, output),
            Self::Zstd(zstd) => zstd.step(input, is_last, output),
            Self::Snappy(snappy) => snappy.step(input, is_last, output),
            Self::Unread => Err(ContentError::Corrupt { offset: 0 }),
        }
    }
}

/// How far a body has come, in coded bytes and in members, frames or chunks.
#[derive(Default)]
struct Tally {
    read: u64,
    members: usize,
}

impl Tally {
    fn begin_member(&mut self) -> Result<(), ContentError> {
        let read = usize::try_from(self.read).unwrap_or(usize::MAX);
        if self.members >= member_count_max(read) {
            return Err(ContentError::MemberCountOverLimit { offset: self.read });
        }
        self.members += 1;
        Ok(())
    }
}

/// gzip members, or one zlib or raw deflate stream.
struct Inflate {
    is_gzip: bool,
    state: InflateState,
    tally: Tally,
}

enum InflateState {
    /// The first bytes of a member, up to the two that tell zlib from raw deflate.
    ExpectMember([u8; 2], usize),
    Member(Decompress),
    /// Behind the last member: zeros at most.
    Padding,
}

impl Inflate {
    const fn new(is_gzip: bool) -> Self {
        Self {
            is_gzip,
            state: InflateState::ExpectMember([0; 2], 0),
            tally: Tally { read: 0, members: 0 },
        }
    }

    fn step(
        &mut self,
        input: &[u8],
        is_last: bool,
        output: &mut [u8],
    ) -> Result<Progress, ContentError> {
        let mut done = Progress::default();
        loop {
            let rest = input.get(done.read..).unwrap_or_default();
            let space = output.get_mut(done.written..).unwrap_or_default();
            let at = self.tally.read;
            match &mut self.state {
                InflateState::ExpectMember(start, count) => {
                    let Some(&byte) = rest.first() else { break };
                    if *count == 0 && self.tally.members > 0 && byte != 0x1f {
                        // A member that begins like none: padding of zeros, or something else.
                        self.state = InflateState::Padding;
                        continue;
                    }
                    if let Some(place) = start.get_mut(*count) {
                        *place = byte;
                    }
                    *count += 1;
                    done.read += 1;
                    self.tally.read += 1;
                    if *count < start.len() {
                        continue;
                    }
                    let start = *start;
                    self.tally.begin_member()?;
                    let mut member = self.member(start)?;
                    // The two bytes are no output yet in any of the formats.
                    member
                        .decompress(&start, &mut [], FlushDecompress::None)
                        .map_err(|_| ContentError::Corrupt { offset: self.tally.read - 2 })?;
                    self.state = InflateState::Member(member);
                }
                InflateState::Member(member) => {
                    let (read, written) = (member.total_in(), member.total_out());
                    let status = member.decompress(rest, space, FlushDecompress::None);
                    let read = member.total_in() - read;
                    let written = member.total_out() - written;
                    done.read += crate::limits::size(read);
                    done.written += crate::limits::size(written);
                    self.tally.read += read;
                    match status {
                        Ok(Status::StreamEnd) => {
                            self.state = if self.is_gzip {
                                InflateState::ExpectMember([0; 2], 0)
                            } else {
                                InflateState::Padding
                            };
                        }
                        Ok(_) if read == 0 && written == 0 => break,
                        Ok(_) => {}
                        Err(error) if error.needs_dictionary().is_some() => {
                            return Err(ContentError::DictionaryNeeded);
                        }
                        Err(_) => return Err(ContentError::Corrupt { offset: at + read }),
                    }
                }
                InflateState::Padding => {
                    if !self.is_gzip && !rest.is_empty() || rest.iter().any(|&byte| byte != 0) {
                        return Err(ContentError::TrailingGarbage { offset: at });
                    }
                    done.read += rest.len();
                    self.tally.read += rest.len() as u64;
                    break;
                }
            }
        }
        if is_last && done.read == input.len() && done.written < output.len() {
            match self.state {
                InflateState::Padding => {}
                InflateState::ExpectMember(_, 0) if self.tally.members > 0 => {}
                _ => return Err(ContentError::Truncated),
            }
        }
        Ok(done)
    }

    /// As `inflate::zlib_or_raw` tells them apart.
    fn member(&self, [method, flags]: [u8; 2]) -> Result<Decompress, ContentError> {
        if self.is_gzip {
            return Ok(Decompress::new_gzip(15));
        }
        let is_zlib =
            method & 0x0f == 8 && method >> 4 <= 7 && u16::from_be_bytes([method, flags]) % 31 == 0;
        if is_zlib && flags & 0x20 != 0 {
            return Err(ContentError::DictionaryNeeded);
        }
        Ok(Decompress::new(is_zlib))
    }
}

struct Zstd {
    context: DCtx<'static>,
    /// Inside a frame.
    is_open: bool,
    /// The library holds output back. It takes calls that can move nothing for a fault.
    has_output: bool,
    tally: Tally,
}

impl Zstd {
    fn new() -> Self {
        let mut context = DCtx::create();
        // Fails for values out of range only, and then the library's own limit holds.
        let _ = context.set_parameter(DParameter::WindowLogMax(23));
        let _ = context.reset(ResetDirective::SessionOnly);
        Self { context, is_open: false, has_output: false, tally: Tally::default() }
    }

    fn step(
        &mut self,
        input: &[u8],
        is_last: bool,
        output: &mut [u8],
    ) -> Result<Progress, ContentError> {
        let mut done = Progress::default();
        loop {
            let rest = input.get(done.read..).unwrap_or_default();
            let space = output.get_mut(done.written..).unwrap_or_default();
            if !self.is_open {
                if rest.is_empty() {
                    break;
                }
                self.tally.begin_member()?;
                self.is_open = true;
            }
            if space.is_empty() || rest.is_empty() && !self.has_output {
                break;
            }
            let room = space.len();
            let (mut from, mut to) = (InBuffer::around(rest), OutBuffer::around(space));
            let hint = self
                .context
                .decompress_stream(&mut to, &mut from)
                .map_err(|code| super::zstd::fault(code, self.tally.read))?;
            let (read, written) = (from.pos(), to.pos());
            done.read += read;
            done.written += written;
            self.tally.read += read as u64;
            self.has_output = written == room;
            if hint == 0 {
                self.is_open = false;
            } else if read == 0 && written == 0 {
                break;
            }
        }
        let is_done = is_last && done.read == input.len() && done.written < output.len();
        if is_done && (self.is_open || self.tally.members == 0) {
            return Err(ContentError::Truncated);
        }
        Ok(done)
    }
}

/// Both formats of that name; ten bytes tell them apart.
#[derive(Default)]
struct Snappy {
    form: SnappyForm,
    /// A chunk, or a block, as far as it has come.
    collected: Vec<u8>,
    /// Bytes of a chunk that are passed over without being collected.
    skipped: usize,
    decoder: snap::raw::Decoder,
    decoded: Buffer,
    /// How much of `decoded` was handed on.
    given: usize,
    tally: Tally,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum SnappyForm {
    #[default]
    Unknown,
    Framed,
    /// With its declared size.
    Block(usize),
    /// A block that was decoded.
    Ended,
}

const IDENTIFIER_SIZE: usize = 10;

impl Snappy {
    fn memory(&self) -> usize {
        match self.form {
            SnappyForm::Block(size) => size + block_size_max(size),
            _ => SNAPPY_FRAMED_MEMORY.max(self.decoded.capacity() + self.collected.capacity()),
        }
    }

    fn step(
        &mut self,
        input: &[u8],
        is_last: bool,
        output: &mut [u8],
    ) -> Result<Progress, ContentError> {
        let mut done = Progress::default();
        loop {
            let ready = self.decoded.filled().get(self.given..).unwrap_or_default();
            let space = output.get_mut(done.written..).unwrap_or_default();
            let given = copy(ready, space).written;
            self.given += given;
            done.written += given;
            if done.written == output.len() {
                return Ok(done);
            }
            let rest = input.get(done.read..).unwrap_or_default();
            let ends = is_last && rest.is_empty();
            let used = match self.form {
                SnappyForm::Unknown => self.sniff(rest, ends)?,
                SnappyForm::Framed => self.chunk(rest, ends)?,
                SnappyForm::Block(size) => self.block(rest, ends, size)?,
                SnappyForm::Ended => None,
            };
            let Some(read) = used else { return Ok(done) };
            done.read += read;
            self.tally.read += read as u64;
        }
    }

    /// Collects up to `size` bytes; answers how many were used.
    fn collect(&mut self, rest: &[u8], size: usize) -> usize {
        let used = size.saturating_sub(self.collected.len()).min(rest.len());
        self.collected.extend_from_slice(rest.get(..used).unwrap_or_default());
        used
    }

    fn sniff(&mut self, rest: &[u8], ends: bool) -> Result<Option<usize>, ContentError> {
        let used = self.collect(rest, IDENTIFIER_SIZE);
        if self.collected.len() < IDENTIFIER_SIZE && !ends {
            return Ok((used > 0).then_some(used));
        }
        if sniff::is_snappy_framed(&self.collected) {
            self.form = SnappyForm::Framed;
            self.collected.clear();
        } else {
            let (size, _) = snappy::declared_size(&self.collected)?;
            if size > PAYLOAD_SIZE_MAX {
                return Err(ContentError::OutputOverLimit);
            }
            self.form = SnappyForm::Block(size);
        }
        Ok(Some(used))
    }

    fn chunk(&mut self, rest: &[u8], ends: bool) -> Result<Option<usize>, ContentError> {
        if self.skipped > 0 {
            let used = self.skipped.min(rest.len());
            self.skipped -= used;
            return match used {
                0 if ends => Err(ContentError::Truncated),
                0 => Ok(None),
                used => Ok(Some(used)),
            };
        }
        if rest.is_empty() {
            return if ends && !self.collected.is_empty() {
                Err(ContentError::Truncated)
            } else {
                Ok(None)
            };
        }
        let mut used = self.collect(rest, 4);
        let Some(&[kind, low, middle, high]) = self.collected.first_chunk::<4>() else {
            return Ok(Some(used));
        };
        let size = usize::from(low) | usize::from(middle) << 8 | usize::from(high) << 16;
        let offset =
            self.tally.read.saturating_sub(self.collected.len().saturating_sub(used) as u64);
        if snappy::is_skippable(kind) {
            self.tally.begin_member()?;
            self.collected.clear();
            self.skipped = size;
            return Ok(Some(used));
        }
        if 4 + size > SNAPPY_CHUNK_SIZE_MAX {
            return Err(ContentError::Corrupt { offset });
        }
        used += self.collect(rest.get(used..).unwrap_or_default(), 4 + size);
        if self.collected.len() == 4 + size {
            self.tally.begin_member()?;
            self.decoded.clear();
            self.given = 0;
            snappy::framed(&mut self.decoder, &self.collected, &mut self.decoded, MIB)
                .map_err(|error| error.moved(offset))?;
            self.collected.clear();
        }
        Ok(Some(used))
    }

    fn block(
        &mut self,
        rest: &[u8],
        ends: bool,
        size: usize,
    ) -> Result<Option<usize>, ContentError> {
        let used = self.collect(rest, block_size_max(size));
        if used > 0 {
            return Ok(Some(used));
        }
        if !rest.is_empty() {
            return Err(ContentError::Corrupt { offset: self.tally.read });
        }
        if !ends {
            return Ok(None);
        }
        snappy::block(&mut self.decoder, &self.collected, &mut self.decoded, PAYLOAD_SIZE_MAX)?;
        self.collected = Vec::new();
        self.form = SnappyForm::Ended;
        Ok(Some(0))
    }
}

/// More than any encoder makes of `size` bytes.
const fn block_size_max(size: usize) -> usize {
    32 + size + size / 6
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::content::{Arena, decode};

    fn text(size: usize) -> Vec<u8> {
        (0..)
            .flat_map(|line: u64| {
                format!("metric{{le=\"{}\"}} {line}\n", line * line % 977).into_bytes()
            })
            .take(size)
            .collect()
    }

    fn coded(coding: Coding, bytes: &[u8]) -> Vec<u8> {
        let level = flate2::Compression::default();
        match coding {
            Coding::Identity => bytes.to_vec(),
            Coding::Gzip => {
                // Two members.
                let (first, second) = bytes.split_at(bytes.len() / 3);
                let mut all = Vec::new();
                for part in [first, second] {
                    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
                    encoder.write_all(part).unwrap();
                    all.extend(encoder.finish().unwrap());
                }
                all
            }
            Coding::Deflate => {
                let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Coding::Zstd => {
                let mut out = vec![0; zstd_safe::compress_bound(bytes.len())];
                let size = zstd_safe::compress(&mut out[..], bytes, 1).unwrap();
                out.truncate(size);
                out
            }
            Coding::Snappy => snap::raw::Encoder::new().compress_vec(bytes).unwrap(),
            Coding::Lz4 => unreachable!("not streamed"),
        }
    }

    fn framed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = snap::write::FrameEncoder::new(Vec::new());
        encoder.write_all(bytes).unwrap();
        let mut framed = encoder.into_inner().unwrap();
        // A padding chunk.
        framed.extend([0xfe, 3, 0, 0, 1, 2, 3]);
        framed
    }

    /// Input in pieces of `piece` bytes, output of `room` at a time.
    fn run(
        codings: Codings,
        input: &[u8],
        piece: usize,
        room: usize,
    ) -> Result<Vec<u8>, ContentError> {
        let mut stream = Stream::new(codings);
        let mut all = Vec::new();
        let mut output = vec![0; room];
        let mut pieces = input.chunks(piece.max(1)).peekable();
        loop {
            let next = pieces.next();
            let is_last = pieces.peek().is_none();
            let mut rest = next.unwrap_or_default();
            loop {
                let done = stream.step(rest, is_last, &mut output)?;
                all.extend_from_slice(&output[..done.written]);
                rest = &rest[done.read..];
                if done.written < room {
                    assert!(rest.is_empty(), "room is left, so all input was read");
                    break;
                }
            }
            if is_last {
                return Ok(all);
            }
        }
    }

    #[test]
    fn every_coding_and_pair_of_codings_comes_out_whole_whatever_the_pieces() {
        let bytes = text(150_000);
        let mut cases = Vec::new();
        let all = [Coding::Identity, Coding::Gzip, Coding::Deflate, Coding::Zstd, Coding::Snappy];
        for inner in all {
            for outer in all {
                cases.push((Codings([inner, outer]), coded(outer, &coded(inner, &bytes))));
            }
        }
        cases.push((Codings::one(Coding::Snappy), framed(&bytes)));
        for (codings, input) in cases {
            for (piece, room) in
                [(1 << 20, 1 << 20), (16 * 1024, 1000), (7, 65_536), (4096, 150_000)]
            {
                let output = run(codings, &input, piece, room).unwrap();
                assert!(output == bytes, "{codings:?}, pieces of {piece}, room {room}");
            }
        }
    }

    #[test]
    fn every_cut_is_truncated_and_every_flip_is_judged_as_by_the_whole_decoder() {
        let bytes = text(3000);
        let raw_deflate = {
            let mut encoder =
                flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&bytes).unwrap();
            encoder.finish().unwrap()
        };
        let mut cases: Vec<(Coding, Vec<u8>)> =
            [Coding::Gzip, Coding::Deflate, Coding::Zstd, Coding::Snappy]
                .map(|coding| (coding, coded(coding, &bytes)))
                .into();
        cases.push((Coding::Snappy, framed(&bytes)));
        cases.push((Coding::Deflate, raw_deflate));
        let mut arena = Arena::default();
        for (coding, input) in cases {
            let is_raw = coding == Coding::Deflate && input[0] & 0x0f != 8;
            let codings = Codings::one(coding);
            assert_eq!(run(codings, &[], 5, 64), Ok(vec![]), "no bytes, no body");
            for cut in 1..input.len() {
                let whole = decode(codings, &input[..cut], &mut arena, 1 << 20).map(<[u8]>::to_vec);
                let stream = run(codings, &input[..cut], 5, 64);
                assert_eq!(
                    stream.is_ok(),
                    whole.is_ok(),
                    "{coding:?} cut at {cut}: {stream:?} {whole:?}"
                );
            }
            for place in 0..input.len() {
                let mut bad = input.clone();
                bad[place] ^= 0x55;
                let whole = decode(codings, &bad, &mut arena, 1 << 20).map(<[u8]>::to_vec);
                let stream = run(codings, &bad, 1 << 20, 1 << 20);
                // Raw deflate has no checksum, and the two decoders differ in which unused codes they
                // read on past.
                let agree = stream == whole || (stream.is_err() && whole.is_err());
                assert!(agree || is_raw, "{coding:?} flipped at {place}");
            }
        }
    }

    #[test]
    fn zeros_may_follow_gzip_and_nothing_else() {
        let mut input = coded(Coding::Gzip, b"up 1\n");
        input.extend([0; 20]);
        assert_eq!(run(Codings::one(Coding::Gzip), &input, 3, 100).unwrap(), b"up 1\n");
        input.push(b'x');
        assert!(matches!(
            run(Codings::one(Coding::Gzip), &input, 3, 100),
            Err(ContentError::TrailingGarbage { .. })
        ));
    }

    #[test]
    fn a_snappy_block_says_what_it_takes_before_it_takes_it() {
        let input = coded(Coding::Snappy, &vec![b'a'; 10 * MIB]);
        let mut stream = Stream::new(Codings::one(Coding::Snappy));
        assert!(stream.memory() < MIB);
        stream.step(&input[..12], false, &mut [0; 10]).unwrap();
        assert!(stream.memory() > 20 * MIB);
        let declared_4_gib = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0, 0, 0];
        let refused = run(Codings::one(Coding::Snappy), &declared_4_gib, 100, 100);
        assert_eq!(refused, Err(ContentError::OutputOverLimit));
    }

    #[test]
    fn tiny_members_are_bounded() {
        let member = coded(Coding::Gzip, b"");
        let input = member.repeat(200_000 / member.len());
        let refused = run(Codings::one(Coding::Gzip), &input, 1 << 20, 100);
        assert!(matches!(refused, Err(ContentError::MemberCountOverLimit { .. })), "{refused:?}");
    }
}
