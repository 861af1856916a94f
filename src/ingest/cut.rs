//! Bodies of any size: cut at line ends into blocks, each an entry of its own.
//!
//! Place: beside the straight line of `ingest`, for the routes that are *cut* and not *whole*. Memory is
//! one block, whatever the body's size. The reply waits for the ticket of the last block.
//!
//! ```text
//! text so far:  ├── whole lines ──┤─ begun line ─┤
//!                  block, its own      goes in front of the next block
//!                  entry and ticket
//! ```
//!
//! A body that came compressed is journalled compressed: its blocks are coded anew with zstd level 1.

use std::sync::atomic::Ordering;

use zstd_safe::{CCtx, CParameter};

use super::{Admission, Ingest, Refusal, append_cause, entry_of, validate};
use crate::buffer::{AlignedBuffer, Pool};
use crate::decode::{DecodeError, Fault, Verdict};
use crate::envelope::{Coding, Codings, FieldId, RequestFields};
use crate::journal::Pressure;
use crate::journal::format::{
    ENTRY_HEADER_SIZE, encode_envelope, parse_envelope, patch_arrival, patch_codings,
};
use crate::journal::write::{AppendError, Ticket};
use crate::limits::{
    BLOCK_SIZE_MAX, EXPOSITION_LINE_SIZE_MAX, PACKED_ENTRY_SIZE_MAX, REQUEST_FIELDS_SIZE_MAX,
};
use crate::outcome::Cause;

/// Where the block ends in `text`, which is full or the last of its body: behind its last whole line.
pub fn block_end(text: &[u8], is_last: bool) -> Result<usize, DecodeError> {
    if is_last {
        return Ok(text.len());
    }
    let end = memchr::memrchr(b'\n', text).map_or(0, |place| place + 1);
    if text.len() - end > EXPOSITION_LINE_SIZE_MAX {
        return Err(DecodeError::at(Fault::LineOverLimit, end as u64));
    }
    Ok(end)
}

/// What is known of a body that is being cut.
pub struct Cut {
    /// The request's envelope, as admitted.
    base: Vec<u8>,
    /// The envelope of the block that is being filled.
    envelope: Vec<u8>,
    is_coded: bool,
    /// Of the first block; all of a body have one, so that its lines without a time agree.
    arrival_nanos: Option<u64>,
    /// Decoded bytes in front of the block.
    offset: u64,
    /// All blocks so far.
    verdict: Verdict,
    ticket: Option<Ticket>,
    /// The block was found good: where it ends, and what it holds.
    checked: Option<(usize, Verdict)>,
    /// The metadata lines of the family that is open where the block ends. Kept here, as a block may
    /// wait while the shard checks other bodies.
    open_family: Vec<u8>,
}

/// What became of a block.
#[derive(Debug, PartialEq)]
pub enum BlockTaken {
    /// In the journal's collecting commit, with so many records.
    Appended {
        kept: u64,
    },
    /// No room in the journal or the pool at the moment; to be tried again.
    Stalled,
    Refused(Cause),
}

impl Cut {
    /// `envelope` as the admission encoded it.
    pub fn new(admission: &Admission, envelope: &[u8]) -> Self {
        Self {
            base: envelope.to_vec(),
            envelope: envelope.to_vec(),
            is_coded: !admission.codings.is_identity(),
            arrival_nanos: None,
            offset: 0,
            verdict: Verdict::default(),
            ticket: None,
            checked: None,
            open_family: Vec::new(),
        }
    }

    /// Room in front of the text. Coded blocks get theirs when they are coded.
    pub const fn front(&self) -> usize {
        if self.is_coded { 0 } else { ENTRY_HEADER_SIZE + self.envelope.len() }
    }

    /// Bytes of memory that a block needs.
    pub fn block_size(&self, alignment: usize) -> usize {
        (ENTRY_HEADER_SIZE + self.base.len() + OPEN_FAMILY_ROOM + BLOCK_SIZE_MAX)
            .next_multiple_of(alignment)
    }

    /// Begins a block with the line that the one before it left.
    pub fn begin(&self, block: &mut AlignedBuffer, begun_line: &[u8]) {
        block.clear();
        if !self.is_coded {
            block.extend_from_slice(&[0; ENTRY_HEADER_SIZE]);
            block.extend_from_slice(&self.envelope);
        }
        block.extend_from_slice(begun_line);
    }

    /// What all blocks held, and what the reply must wait for.
    pub const fn verdict(&self) -> (&Verdict, Option<Ticket>) {
        (&self.verdict, self.ticket)
    }

    /// The envelope of the next block: the base, and the family that is open.
    fn carry(&mut self) {
        let mut envelope = std::mem::take(&mut self.envelope);
        envelope.clear();
        if let Some(base) = parse_envelope(&self.base) {
            let mut fields = base.fields.as_bytes().to_vec();
            if !self.open_family.is_empty() {
                // Where it does not fit the block goes without; its samples are the same.
                let _ = RequestFields::push(&mut fields, FieldId::OpenFamily, &self.open_family);
            }
            let fields = RequestFields::new(&fields);
            encode_envelope(&crate::envelope::Envelope { fields, ..base }, &mut envelope);
        }
        self.envelope = envelope;
    }
}

/// What `OpenFamily` may add to an envelope.
const OPEN_FAMILY_ROOM: usize = 16 * 1024;
const _: () = assert!(OPEN_FAMILY_ROOM < REQUEST_FIELDS_SIZE_MAX);

/// A shard's memory for coding blocks anew; made when the first one comes.
pub struct Coder {
    context: CCtx<'static>,
    output: Vec<u8>,
}

impl Coder {
    fn new() -> Self {
        let mut context = CCtx::create();
        // A valid level cannot be refused.
        let _ = context.set_parameter(CParameter::CompressionLevel(1));
        Self { context, output: vec![0; zstd_safe::compress_bound(BLOCK_SIZE_MAX)] }
    }

    fn code(&mut self, text: &[u8]) -> Option<&[u8]> {
        let size = self.context.compress2(&mut self.output[..], text).ok()?;
        self.output.get(..size)
    }
}

impl Ingest {
    /// Takes the block in `block`, and leaves there the beginning of the next one, unless `is_last`.
    pub fn take_block(
        &mut self,
        cut: &mut Cut,
        block: &mut AlignedBuffer,
        is_last: bool,
        now_nanos: u64,
        pool: &mut Pool,
    ) -> BlockTaken {
        let front = cut.front();
        let (end, verdict) = match cut.checked {
            Some(checked) => checked,
            None => match self.check_block(cut, block, is_last, now_nanos) {
                Ok(checked) => *cut.checked.insert(checked),
                Err(cause) => return BlockTaken::Refused(cause),
            },
        };
        if let Err(cause) = self.journal_has_room() {
            return cause.map_or(BlockTaken::Stalled, BlockTaken::Refused);
        }
        let kept = verdict.kept();
        if end == 0 && cut.ticket.is_some() {
            // The body ended with the line that ended its last block.
            cut.checked = None;
            return BlockTaken::Appended { kept: 0 };
        }
        let appended = if cut.is_coded {
            self.append_coded(cut, &block.as_slice()[..end], pool)
        } else {
            self.append_plain(cut, block, front + end, is_last, pool)
        };
        let ticket = match appended {
            Ok(ticket) => ticket,
            Err(AppendError::Busy) => return BlockTaken::Stalled,
            Err(error) => return BlockTaken::Refused(append_cause(error)),
        };
        cut.ticket = Some(ticket);
        cut.offset += end as u64;
        cut.verdict.add(&verdict);
        cut.checked = None;
        cut.carry();
        if cut.is_coded {
            let text = block.as_mut_slice();
            let left = text.len() - end;
            text.copy_within(end.., 0);
            block.set_len(left);
        } else if !is_last {
            // `append_plain` left the begun line in a new block, without what goes in front of it.
            let line = block.len();
            let front = cut.front();
            block.set_len(front + line);
            let text = block.as_mut_slice();
            text.copy_within(..line, front);
            text[..ENTRY_HEADER_SIZE].fill(0);
            text[ENTRY_HEADER_SIZE..front].copy_from_slice(&cut.envelope);
        }
        BlockTaken::Appended { kept }
    }

    fn check_block(
        &mut self,
        cut: &mut Cut,
        block: &AlignedBuffer,
        is_last: bool,
        now_nanos: u64,
    ) -> Result<(usize, Verdict), Cause> {
        let arrival_nanos = *cut.arrival_nanos.get_or_insert(now_nanos);
        let text = &block.as_slice()[cut.front()..];
        let moved = |mut error: DecodeError| {
            error.offset += cut.offset;
            Cause::Decode(error)
        };
        let end = block_end(text, is_last).map_err(moved)?;
        patch_arrival(&mut cut.envelope, arrival_nanos);
        patch_codings(&mut cut.envelope, Codings::IDENTITY);
        let scratch = &mut self.decode_scratch;
        let checked =
            validate(&cut.envelope, &text[..end], BLOCK_SIZE_MAX, &mut self.arena, scratch);
        match checked {
            Ok(mut verdict) => {
                cut.open_family.clear();
                cut.open_family.extend_from_slice(self.decode_scratch.exposition.open_family());
                if let Some((_, place)) = &mut verdict.first_reject {
                    *place += cut.offset;
                }
                Ok((end, verdict))
            }
            Err(Refusal::Cause(Cause::Decode(error))) => Err(moved(error)),
            Err(Refusal::Cause(cause)) => Err(cause),
            Err(Refusal::Large) => Err(Cause::Internal),
        }
    }

    /// A sender in the middle of a body is slowed down where a new one would be refused.
    fn journal_has_room(&self) -> Result<(), Option<Cause>> {
        if self.writer.poisoned().is_some() {
            return Err(Some(Cause::JournalPoisoned));
        }
        match Pressure::from_number(self.pressure.load(Ordering::Relaxed)) {
            Pressure::Low => Ok(()),
            Pressure::High | Pressure::Reserve | Pressure::Full => Err(None),
        }
    }

    /// Hands the block over as it is, and puts a new one with its begun line in its place.
    fn append_plain(
        &mut self,
        cut: &mut Cut,
        block: &mut AlignedBuffer,
        end: usize,
        is_last: bool,
        pool: &mut Pool,
    ) -> Result<Ticket, AppendError> {
        let length = block.len();
        // Arrival and codings are known by now.
        block.as_mut_slice()[ENTRY_HEADER_SIZE..cut.front()].copy_from_slice(&cut.envelope);
        if end <= PACKED_ENTRY_SIZE_MAX {
            let content = &block.as_slice()[ENTRY_HEADER_SIZE..end];
            let (envelope, text) = content.split_at(cut.envelope.len());
            let ticket = self.writer.append_packed(envelope, text, pool)?;
            block.as_mut_slice().copy_within(end.., 0);
            block.set_len(length - end);
            return Ok(ticket);
        }
        let size = if is_last { 1 } else { cut.block_size(self.writer.alignment()) };
        let mut next = pool.acquire_body(size).map_err(|_| AppendError::Busy)?;
        next.extend_from_slice(&block.as_slice()[end..]);
        let mut whole = std::mem::replace(block, next);
        whole.set_len(end);
        match self.writer.append_extent(whole, cut.envelope.len(), pool) {
            Ok(ticket) => Ok(ticket),
            Err((error, mut whole)) => {
                whole.extend_from_slice(block.as_slice());
                pool.release(std::mem::replace(block, whole));
                Err(error)
            }
        }
    }

    fn append_coded(
        &mut self,
        cut: &mut Cut,
        text: &[u8],
        pool: &mut Pool,
    ) -> Result<Ticket, AppendError> {
        let coder = self.coder.get_or_insert_with(|| Box::new(Coder::new()));
        let coded = coder.code(text);
        let (body, codings) = match coded {
            Some(coded) if coded.len() < text.len() => (coded, Codings::one(Coding::Zstd)),
            // Text that does not shrink, or a fault of the library: as it is.
            _ => (text, Codings::IDENTITY),
        };
        patch_codings(&mut cut.envelope, codings);
        if cut.envelope.len() + body.len() <= PACKED_ENTRY_SIZE_MAX {
            return self.writer.append_packed(&cut.envelope, body, pool);
        }
        let entry = entry_of(&cut.envelope, body, pool).map_err(|_| AppendError::Busy)?;
        self.writer.append_extent(entry, cut.envelope.len(), pool).map_err(|(error, entry)| {
            pool.release(entry);
            error
        })
    }
}
