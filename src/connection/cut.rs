//! A body that is cut into blocks while it comes.
//!
//! Place: beside `body`, for routes without a bound. Nothing is read from the socket while a block waits
//! for the journal, for memory or for the shard's next turn: the peer is slowed down, nobody else is.
//!
//! ```text
//! socket ─ (chunks) ─▶ input ─ (codings) ─▶ block ─ full, or the last ─▶ `Ingest::take_block`
//! ```

use super::http1::note_refusal;
use super::{Connection, Context, Phase, Records, Waiting};
use crate::buffer::{AlignedBuffer, Pool};
use crate::content::stream::Stream;
use crate::http::http1::chunked::{ChunkStep, Decoder};
use crate::http::http1::framing::BodyFraming;
use crate::ingest::{Admission, BlockTaken, Cut};
use crate::limits::{BLOCK_SIZE_MAX, BLOCK_TIMEOUT, BODY_RATE_MIN, BODY_RATE_WINDOW, KIB, size};
use crate::outcome::Cause;
use crate::ring::clock::Now;

/// A room at least this large is received in place.
const IN_PLACE_SIZE_MIN: usize = 24 * KIB;
/// Bytes handed to a decoder at once, of those that came.
const INPUT_SIZE_MAX: usize = 16 * KIB;

enum Framing {
    /// Bytes that are still to come.
    Length(u64),
    Chunked(Decoder),
    /// HTTP/2 says where it ends: see [`CutBody::end`].
    Open,
    Ended,
}

/// How far a body has come with the bytes it has.
pub enum CutStep {
    /// It wants more of them.
    Hungry,
    /// It waits for the next turn, the journal or memory.
    Stalled,
    /// All of it is in the journal. An answer, unless it comes with a commit.
    Done(Option<Cause>),
    /// It is refused, and what was kept of it stays. An answer, unless it comes with a commit.
    Refused(Option<Cause>),
}

/// See the head of this file.
pub struct CutBody {
    pub admission: Admission,
    pub sequence: u64,
    cut: Cut,
    /// Room in front, envelope, and the text so far. Absent until there is memory for it, and while
    /// the kernel fills it.
    block: Option<AlignedBuffer>,
    framing: Framing,
    /// Coded bytes that are not decoded yet.
    input: Vec<u8>,
    stream: Option<Stream>,
    /// Bytes of the pool's budget that stand for the stream's memory.
    reserved: usize,
    /// The codings have given all there is.
    is_drained: bool,
    is_stalled: bool,
    /// Bytes since the rate window began.
    window_bytes: usize,
    kept: u64,
}

impl CutBody {
    pub fn new(admission: Admission, sequence: u64, framing: BodyFraming, envelope: &[u8]) -> Self {
        let is_coded = !admission.codings.is_identity();
        Self {
            cut: Cut::new(&admission, envelope),
            stream: is_coded.then(|| Stream::new(admission.codings)),
            admission,
            sequence,
            block: None,
            framing: match framing {
                BodyFraming::Empty | BodyFraming::Length(0) => Framing::Ended,
                BodyFraming::Length(length) => Framing::Length(length),
                BodyFraming::Chunked => Framing::Chunked(Decoder::new()),
            },
            input: Vec::new(),
            reserved: 0,
            is_drained: false,
            is_stalled: true,
            window_bytes: 0,
            kept: 0,
        }
    }

    /// A body that was read in one piece and turned out to be more than one block.
    pub fn from_whole(admission: Admission, sequence: u64, envelope: &[u8], body: &[u8]) -> Self {
        let mut cut = Self::new(admission, sequence, BodyFraming::Empty, envelope);
        cut.input = body.to_vec();
        cut
    }

    /// A body whose end is told by [`CutBody::end`].
    pub fn open(admission: Admission, sequence: u64, envelope: &[u8]) -> Self {
        let framing = Framing::Open;
        Self { framing, ..Self::new(admission, sequence, BodyFraming::Chunked, envelope) }
    }

    /// Nothing follows.
    pub fn end(&mut self) {
        self.framing = Framing::Ended;
    }

    /// Records of it that were kept so far.
    pub const fn kept(&self) -> u64 {
        self.kept
    }

    /// Bytes that fit now.
    pub fn fits(&self) -> usize {
        match self.stream {
            _ if self.is_stalled => 0,
            Some(_) => INPUT_SIZE_MAX.saturating_sub(self.input.len()),
            None => self.room(),
        }
    }

    pub const fn is_stalled(&self) -> bool {
        self.is_stalled
    }

    fn room(&self) -> usize {
        let used = self.block.as_ref().map_or(0, |block| block.len() - self.cut.front());
        BLOCK_SIZE_MAX.saturating_sub(used)
    }

    const fn has_ended(&self) -> bool {
        matches!(self.framing, Framing::Ended)
    }

    /// Where a receive in place may end, if one pays: a body without codings and of known length.
    pub fn in_place_end(&self) -> Option<usize> {
        let Framing::Length(left) = self.framing else { return None };
        if self.stream.is_some() || self.is_stalled {
            return None;
        }
        let block = self.block.as_ref()?;
        let count = self.room().min(size(left.min(BLOCK_SIZE_MAX as u64)));
        (count >= IN_PLACE_SIZE_MIN || count as u64 == left).then_some(block.len() + count)
    }

    pub fn take_block(&mut self) -> Option<AlignedBuffer> {
        self.block.take()
    }

    /// Bytes that the kernel has put in the block.
    pub fn put_back(&mut self, block: AlignedBuffer, count: usize) {
        self.block = Some(block);
        self.note_length(count);
    }

    fn note_length(&mut self, count: usize) {
        if let Framing::Length(left) = &mut self.framing {
            *left = left.saturating_sub(count as u64);
            if *left == 0 {
                self.framing = Framing::Ended;
            }
        }
    }

    /// Counts progress; answers when the rate window began.
    pub fn note_progress(&mut self, count: usize, since_nanos: u64, now: Now) -> u64 {
        self.window_bytes += count;
        if self.window_bytes >= BODY_RATE_MIN * size(BODY_RATE_WINDOW.as_secs()) {
            self.window_bytes = 0;
            return now.monotonic_nanos;
        }
        since_nanos
    }

    /// Body bytes on their way to the block, as many as fit at most.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.stream.is_some() {
            self.input.extend_from_slice(bytes);
        } else if let Some(block) = &mut self.block {
            block.extend_from_slice(bytes);
        }
    }

    /// Takes the memory that is still missing. False if there is none.
    fn acquire(&mut self, alignment: usize, pool: &mut Pool) -> bool {
        let wanted = self.stream.as_ref().map_or(0, Stream::memory).max(self.input.capacity());
        if wanted > self.reserved {
            if pool.reserve_body(wanted - self.reserved).is_err() {
                return false;
            }
            self.reserved = wanted;
        }
        if self.block.is_none() {
            let Ok(mut block) = pool.acquire_body(self.cut.block_size(alignment)) else {
                return false;
            };
            self.cut.begin(&mut block, &[]);
            self.block = Some(block);
        }
        true
    }

    /// Decodes into the block as far as there is input and room.
    fn decode(&mut self) -> Result<(), Cause> {
        let is_last = self.has_ended();
        let (Some(stream), Some(block)) = (&mut self.stream, &mut self.block) else {
            self.is_drained = is_last;
            return Ok(());
        };
        let filled = block.len();
        let room = BLOCK_SIZE_MAX.saturating_sub(filled - self.cut.front());
        let space = &mut block.whole_mut()[filled..filled + room];
        let done = stream.step(&self.input, is_last, space).map_err(Cause::Content)?;
        block.set_len(filled + done.written);
        self.input.drain(..done.read);
        self.is_drained = is_last && done.written < room;
        Ok(())
    }

    /// Decodes, and hands over every block that is complete. `since` is when the present wait began.
    pub fn advance(&mut self, since: &mut u64, context: &mut Context<'_>) -> CutStep {
        loop {
            if !self.acquire(context.ingest.writer.alignment(), context.pool) {
                return self.stall(since, context);
            }
            if let Err(cause) = self.decode() {
                return self.refuse(cause, context);
            }
            let is_last = self.is_drained;
            let is_full = self.room() == 0;
            if !is_full && !is_last {
                // A Snappy block may just have said how much memory it takes.
                let wanted = self.stream.as_ref().map_or(0, Stream::memory);
                if wanted > self.reserved {
                    continue;
                }
                if self.is_stalled {
                    self.is_stalled = false;
                    *since = context.now.monotonic_nanos;
                }
                return CutStep::Hungry;
            }
            if *context.blocks_left == 0 {
                *context.is_busy = true;
                return self.stall(since, context);
            }
            *context.blocks_left -= 1;
            let Some(mut block) = self.block.take() else { return CutStep::Stalled };
            let arrival = context.now.wall_nanos;
            let taken = context.ingest.take_block(
                &mut self.cut,
                &mut block,
                is_last,
                arrival,
                context.pool,
            );
            self.block = Some(block);
            match taken {
                BlockTaken::Stalled => return self.stall(since, context),
                BlockTaken::Refused(cause) => return self.refuse(cause, context),
                BlockTaken::Appended { kept } => {
                    self.kept += kept;
                    *since = context.now.monotonic_nanos;
                    self.is_stalled = false;
                    if is_last {
                        let cause = Cause::Acknowledged(*self.cut.verdict().0);
                        return CutStep::Done(self.finish(cause, kept, context));
                    }
                    let _ = wait_for(self, None, kept, context);
                }
            }
        }
    }

    fn stall(&mut self, since: &mut u64, context: &Context<'_>) -> CutStep {
        if !self.is_stalled {
            self.is_stalled = true;
            *since = context.now.monotonic_nanos;
        }
        CutStep::Stalled
    }

    /// Ends the body early; what was kept of it stays.
    pub fn refuse(&mut self, cause: Cause, context: &mut Context<'_>) -> CutStep {
        note_refusal(Some(self.admission.route), &cause, context);
        CutStep::Refused(self.finish(cause, 0, context))
    }

    fn finish(&mut self, cause: Cause, kept: u64, context: &mut Context<'_>) -> Option<Cause> {
        let (route, verdict) = (self.admission.route, self.cut.verdict().0);
        context.refusals.note_rejected(context.counters, route, verdict, context.now);
        let answer = wait_for(self, Some(cause), kept, context);
        self.release(context.pool);
        answer
    }

    /// Why a wait that began so many nanoseconds ago has been too long.
    pub fn overdue(&self, waited: u64) -> Option<Cause> {
        let (limit, cause) = if self.is_stalled {
            (BLOCK_TIMEOUT, Cause::Overloaded { retry_after_seconds: 1 })
        } else {
            (BODY_RATE_WINDOW, Cause::BodyTimeout)
        };
        (u128::from(waited) > limit.as_nanos()).then_some(cause)
    }

    /// Gives every buffer and the budget back.
    pub fn release(&mut self, pool: &mut Pool) {
        if let Some(block) = self.block.take() {
            pool.release(block);
        }
        self.stream = None;
        self.input = Vec::new();
        pool.unreserve(std::mem::take(&mut self.reserved));
    }
}

impl Connection {
    /// Begins a body that will be cut.
    pub(super) fn begin_cut(&mut self, body: CutBody, context: &mut Context<'_>) {
        self.phase = Phase::ExpectCut { body: Box::new(body) };
        self.since_nanos = context.now.monotonic_nanos;
        self.advance_cut(context);
    }

    /// Uses as much of `bytes` as fits. `None`: nothing more fits at the moment.
    pub(super) fn consume_cut(&mut self, bytes: &[u8], context: &mut Context<'_>) -> Option<usize> {
        let Phase::ExpectCut { body } = &mut self.phase else { return None };
        if body.is_stalled {
            return None;
        }
        let bytes = &bytes[..body.fits().min(bytes.len())];
        let (used, data) = match &mut body.framing {
            Framing::Length(left) => {
                let count = bytes.len().min(size((*left).min(usize::MAX as u64)));
                (count, 0..count)
            }
            Framing::Chunked(chunked) => match chunked.step(bytes) {
                Ok(ChunkStep::NeedMore { consumed }) => (consumed, 0..0),
                Ok(ChunkStep::Data { start, end }) => (end, start..end),
                Ok(ChunkStep::End { consumed }) => {
                    body.framing = Framing::Ended;
                    (consumed, 0..0)
                }
                Err(error) => {
                    self.refuse_cut(Cause::Chunk(error), context);
                    return Some(bytes.len());
                }
            },
            Framing::Open | Framing::Ended => (0, 0..0),
        };
        body.push(&bytes[data]);
        body.note_length(used);
        self.since_nanos = body.note_progress(used, self.since_nanos, context.now);
        self.advance_cut(context);
        Some(used)
    }

    /// Goes on with a body that waited for the next turn, the journal or memory.
    pub(super) fn retry_cut(&mut self, context: &mut Context<'_>) {
        self.advance_cut(context);
        if !self.is_parked() {
            self.resume(context);
        }
        if self.peer_ended && !self.is_parked() && !self.is_blocked {
            self.handle_end(context, false);
        }
    }

    /// Decodes, and hands over every block that is complete.
    pub(super) fn advance_cut(&mut self, context: &mut Context<'_>) {
        let Phase::ExpectCut { body } = &mut self.phase else { return };
        let step = body.advance(&mut self.since_nanos, context);
        self.finish_cut_step(step, context);
    }

    fn finish_cut_step(&mut self, step: CutStep, context: &mut Context<'_>) {
        let (cause, is_refused) = match step {
            CutStep::Hungry | CutStep::Stalled => return,
            CutStep::Done(cause) => (cause, false),
            CutStep::Refused(cause) => (cause, true),
        };
        let Phase::ExpectCut { body } = std::mem::replace(&mut self.phase, Phase::Ended) else {
            return;
        };
        if is_refused {
            self.pipeline.note_kept(body.sequence, body.kept);
        }
        if let Some(cause) = cause {
            self.pipeline.settle(body.sequence, cause);
        }
        match is_refused {
            true => self.end_with_linger(context.now),
            false => self.expect_head(context.now),
        }
    }

    /// Answers in the middle of a body, after what was kept of it is durable, and ends the connection.
    pub(super) fn refuse_cut(&mut self, cause: Cause, context: &mut Context<'_>) {
        let Phase::ExpectCut { body } = &mut self.phase else { return };
        let step = body.refuse(cause, context);
        self.finish_cut_step(step, context);
    }

    /// A block of the body was lost with its commit: the request was answered, what follows is not read.
    pub(super) fn abandon_cut(&mut self, sequence: u64, now: Now, pool: &mut Pool) {
        if let Phase::ExpectCut { body } = &mut self.phase
            && body.sequence == sequence
        {
            body.release(pool);
            self.end_with_linger(now);
        }
    }

    /// Looks at the clock for a body that is being cut.
    pub(super) fn check_cut_time(&mut self, waited: u64, context: &mut Context<'_>) {
        let Phase::ExpectCut { body } = &self.phase else { return };
        if let Some(cause) = body.overdue(waited) {
            self.refuse_cut(cause, context);
        }
    }
}

/// The block's records are counted, and the request answered if there is an answer, when all blocks so
/// far are durable. Hands the answer back where they are already.
#[must_use]
fn wait_for(
    body: &CutBody,
    cause: Option<Cause>,
    kept: u64,
    context: &mut Context<'_>,
) -> Option<Cause> {
    let route = body.admission.route;
    let counters = std::sync::Arc::clone(&body.admission.tenant.counters);
    match body.cut.verdict().1 {
        Some(ticket) if ticket > context.ingest.writer.durable() => {
            context.waiting.push_back(Waiting {
                ticket,
                connection: context.id,
                sequence: body.sequence,
                cause,
                records: Records { route, kept, counters },
            });
            None
        }
        _ => {
            counters.add_own(route.signal(), kept);
            cause
        }
    }
}
