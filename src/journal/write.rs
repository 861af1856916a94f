//! A shard's end of the journal: append, group commit, frontier.
//!
//! Place: between `decode` and the reply. One commit is in flight; the next one collects meanwhile.
//!
//! ```text
//! append ─▶ collecting ─ seal ─▶ in flight: writes ─▶ (sync, if buffered) ─▶ durable ─▶ replies
//!                         ▲                                                    │
//!                         └──────────── the next segment, from the mailbox ────┘
//! ```
//!
//! After a failed write or sync the writer is poisoned: nothing is tried again in place.

use std::collections::VecDeque;
use std::sync::Arc;

use super::commit::Commit;
use super::format::Life;
use super::log::ShardLog;
use super::segment::{ReadySegment, SegmentMailbox};
use crate::buffer::{AlignedBuffer, Pool, PoolError};
use crate::ring::{Descriptor, Errno, Ring, Token};

/// A claim on a group commit: durable when [`Writer::durable`] has reached it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendError {
    /// No memory to collect more while the device is busy.
    Busy,
    /// No segment is left and none can be made.
    Full,
    /// The device failed; this shard writes no more.
    Poisoned,
    /// No segment can hold an entry of this size.
    TooLarge,
}

/// How long a commit may wait for a segment before nothing more is taken: while the `segments` thread
/// is merely slower than a burst, requests wait instead of being refused.
const STALL_GRACE_NANOS: u64 = 500_000_000;

/// How long collected entries wait for a segment before they are given up: senders give an export about
/// ten seconds and then send again.
const STALL_NANOS: u64 = 2_000_000_000;

/// A commit that is not followed by another for this long is covered by an empty one, so that a
/// valid header proves it.
const COVER_AFTER_NANOS: u64 = 50_000_000;

struct Segment {
    ready: ReadySegment,
    base: u64,
}

struct InFlight {
    number: u64,
    end: u64,
    writes: usize,
    started_nanos: u64,
    is_empty: bool,
    pieces: Vec<PieceState>,
}

/// Where a piece goes, and how much of it is written.
#[derive(Clone, Copy)]
struct PieceState {
    offset: u64,
    written: usize,
}

pub struct Writer {
    incarnation: u64,
    shard: u32,
    alignment: usize,
    segment: Segment,
    spare: VecDeque<ReadySegment>,
    mailbox: SegmentMailbox,
    log: Arc<ShardLog>,
    /// Where the next commit starts.
    position: u64,
    collecting: Commit,
    in_flight: Option<InFlight>,
    /// Number of the commit that collects.
    number: u64,
    durable: u64,
    poisoned: Option<Errno>,
    /// When the last commit with entries became durable without another behind it.
    uncovered_since: Option<u64>,
    /// Since when the collecting commit waits for a segment.
    stalled_since: Option<u64>,
    /// It has waited too long: nothing more is taken.
    is_full: bool,
    pieces: Vec<AlignedBuffer>,
    piece_states: Vec<PieceState>,
    token: Token,
    /// What any segment holds.
    segment_size: usize,
}

impl Writer {
    pub fn new(
        incarnation: u64,
        log: Arc<ShardLog>,
        first: ReadySegment,
        base: u64,
        position: u64,
        mailbox: SegmentMailbox,
    ) -> Self {
        // A full device gave no first segment: full until the mailbox brings one.
        let is_stalled = first.capacity == 0;
        log.note_full(is_stalled);
        let segment_size = mailbox.segment_size;
        Self {
            incarnation,
            shard: log.shard(),
            alignment: first.alignment,
            segment: Segment { ready: first, base },
            spare: VecDeque::with_capacity(4),
            mailbox,
            log,
            position,
            collecting: Commit::default(),
            in_flight: None,
            number: 1,
            durable: 0,
            poisoned: None,
            uncovered_since: None,
            stalled_since: is_stalled.then_some(0),
            is_full: is_stalled,
            pieces: Vec::with_capacity(64),
            piece_states: Vec::with_capacity(64),
            token: Token(0),
            segment_size,
        }
    }

    /// Names the writes and syncs of this writer in the ring's completions.
    #[must_use]
    pub const fn with_token(mut self, token: Token) -> Self {
        self.token = token;
        self
    }

    pub const fn alignment(&self) -> usize {
        self.alignment
    }

    /// The last durable commit.
    pub const fn durable(&self) -> Ticket {
        Ticket(self.durable)
    }

    pub const fn poisoned(&self) -> Option<Errno> {
        self.poisoned
    }

    /// Nothing collects and nothing is in flight.
    pub const fn is_idle(&self) -> bool {
        self.in_flight.is_none() && self.collecting.entry_count() == 0
    }

    fn admit(&self, added: usize) -> Result<(), AppendError> {
        if self.poisoned.is_some() {
            return Err(AppendError::Poisoned);
        }
        if self.is_full {
            return Err(AppendError::Full);
        }
        let size_max = self.segment_size;
        if added + 2 * self.alignment > size_max {
            return Err(AppendError::TooLarge);
        }
        // A commit never spans segments, so the collection ends at a segment's size.
        if self.collecting.sealed_size(self.alignment) + added + super::commit::BLOCK_SIZE
            > size_max
            && self.collecting.entry_count() > 0
        {
            return Err(AppendError::Busy);
        }
        Ok(())
    }

    /// Copies an entry into the collecting commit.
    pub fn append_packed(
        &mut self,
        envelope: &[u8],
        body: &[u8],
        pool: &mut Pool,
    ) -> Result<Ticket, AppendError> {
        self.admit(envelope.len() + body.len() + self.alignment)?;
        self.collecting.append_packed(envelope, body, pool).map_err(Self::refusal)?;
        Ok(Ticket(self.number))
    }

    /// Hands a large entry over: `buffer` is header room, envelope, body (`commit.rs`).
    pub fn append_extent(
        &mut self,
        buffer: AlignedBuffer,
        envelope_length: usize,
        pool: &mut Pool,
    ) -> Result<Ticket, (AppendError, AlignedBuffer)> {
        if let Err(error) = self.admit(buffer.len() + self.alignment) {
            return Err((error, buffer));
        }
        match self.collecting.append_extent(buffer, envelope_length, self.alignment, pool) {
            Ok(()) => Ok(Ticket(self.number)),
            Err((error, buffer)) => Err((Self::refusal(error), buffer)),
        }
    }

    const fn refusal(error: PoolError) -> AppendError {
        match error {
            PoolError::OverLargestClass => AppendError::TooLarge,
            PoolError::BudgetExhausted => AppendError::Busy,
        }
    }

    /// When `poll_commit` wants to be called again without other cause.
    pub const fn deadline(&self) -> Option<u64> {
        match self.uncovered_since {
            Some(since) if self.in_flight.is_none() => Some(since + COVER_AFTER_NANOS),
            _ => None,
        }
    }

    /// Something collects that the next [`Writer::poll_commit`] can write.
    pub const fn may_begin(&self) -> bool {
        self.in_flight.is_none() && self.collecting.entry_count() > 0
    }

    /// Takes segments that the `segments` thread has made ready.
    pub fn handle_mailbox(&mut self) {
        while let Some(ready) = self.mailbox.try_receive() {
            self.spare.push_back(ready);
            self.stalled_since = None;
            self.note_full(false);
        }
    }

    fn note_full(&mut self, is_full: bool) {
        if self.is_full != is_full {
            self.is_full = is_full;
            self.log.note_full(is_full);
        }
    }

    /// Gives up what was collected for a commit that waited too long for a segment. Answers the
    /// ticket that will never be durable.
    pub fn poll_stalled(&mut self, pool: &mut Pool, now_nanos: u64) -> Option<Ticket> {
        let since = self.stalled_since?;
        if now_nanos.saturating_sub(since) < STALL_NANOS || self.collecting.entry_count() == 0 {
            return None;
        }
        self.collecting.clear(pool);
        let ticket = Ticket(self.number);
        self.number += 1;
        Some(ticket)
    }

    /// Starts the next commit if there is something to commit and nothing in flight. Piece `i` is
    /// written under [`Writer::token`] plus `i`.
    pub fn poll_commit(
        &mut self,
        ring: &mut (impl Ring + ?Sized),
        pool: &mut Pool,
        now_nanos: u64,
    ) {
        let token = self.token;
        if self.in_flight.is_some() || self.poisoned.is_some() {
            return;
        }
        let is_empty = self.collecting.entry_count() == 0;
        let cover =
            self.uncovered_since.is_some_and(|since| now_nanos >= since + COVER_AFTER_NANOS);
        if is_empty && !cover {
            return;
        }
        let sealed = self.collecting.sealed_size(self.alignment) as u64;
        let segment_end = self.segment.base + self.segment.ready.capacity as u64;
        if self.position + sealed > segment_end && !self.next_segment() {
            let since = *self.stalled_since.get_or_insert(now_nanos);
            self.note_full(now_nanos.saturating_sub(since) > STALL_GRACE_NANOS);
            return;
        }
        self.stalled_since = None;
        let life = Life {
            incarnation: self.incarnation,
            shard: self.shard,
            generation: self.segment.ready.generation,
        };
        let sealed = self.collecting.seal(
            life,
            self.segment.base,
            self.position,
            self.alignment,
            pool,
            &mut self.pieces,
        );
        // No block for an empty commit: the budget is in use, later is as good.
        let Ok(length) = sealed else { return };
        self.piece_states.clear();
        let mut offset = self.position - self.segment.base;
        let writes = self.pieces.len();
        for (index, piece) in self.pieces.drain(..).enumerate() {
            self.piece_states.push(PieceState { offset, written: 0 });
            let next = offset + piece.len() as u64;
            ring.write(self.segment.ready.file, offset, piece, 0, Token(token.0 + index as u64));
            offset = next;
        }
        self.position += length;
        self.in_flight = Some(InFlight {
            number: self.number,
            end: self.position,
            writes,
            started_nanos: now_nanos,
            is_empty,
            pieces: std::mem::take(&mut self.piece_states),
        });
        self.number += 1;
        self.uncovered_since = None;
    }

    fn next_segment(&mut self) -> bool {
        self.handle_mailbox();
        let Some(ready) = self.spare.pop_front() else { return false };
        // Readers must know of the segment before the frontier enters it.
        self.log.start_segment(ready.generation, self.position);
        self.mailbox.give_back(
            std::mem::replace(&mut self.segment, Segment { ready, base: self.position }).ready,
        );
        true
    }

    /// One write came back. Answers the nanoseconds of the commit when it became durable.
    pub fn handle_wrote(
        &mut self,
        ring: &mut (impl Ring + ?Sized),
        pool: &mut Pool,
        index: u64,
        (buffer, result): (AlignedBuffer, Result<usize, Errno>),
        now_nanos: u64,
    ) -> Option<u64> {
        let token = self.token;
        let file = self.segment.ready.file;
        let in_flight = self.in_flight.as_mut()?;
        let piece = in_flight.pieces.get_mut(crate::limits::size(index))?;
        let again = match result {
            Ok(0) => Err(Errno::IO),
            Ok(written) => {
                piece.written += written;
                Ok(piece.written < buffer.len())
            }
            Err(Errno::INTR | Errno::AGAIN) => Ok(true),
            Err(error) => Err(error),
        };
        match again {
            Ok(true) => {
                let (offset, from) = (piece.offset + piece.written as u64, piece.written);
                ring.write(file, offset, buffer, from, Token(token.0 + index));
                return None;
            }
            Ok(false) => {}
            Err(error) => {
                self.poisoned = Some(error);
                self.log.poison();
            }
        }
        pool.release(buffer);
        in_flight.writes -= 1;
        if in_flight.writes > 0 {
            return None;
        }
        if self.poisoned.is_some() {
            self.in_flight = None;
            return None;
        }
        if self.segment.ready.needs_sync {
            ring.sync(file, token);
            return None;
        }
        self.finish(now_nanos)
    }

    pub fn handle_synced(&mut self, result: Result<(), Errno>, now_nanos: u64) -> Option<u64> {
        self.in_flight.as_ref()?;
        if let Err(error) = result {
            self.poisoned = Some(error);
            self.log.poison();
            self.in_flight = None;
            return None;
        }
        self.finish(now_nanos)
    }

    fn finish(&mut self, now_nanos: u64) -> Option<u64> {
        let in_flight = self.in_flight.take()?;
        self.durable = in_flight.number;
        self.log.advance_frontier(in_flight.end);
        self.piece_states = in_flight.pieces;
        self.uncovered_since = (!in_flight.is_empty).then_some(now_nanos);
        Some(now_nanos.saturating_sub(in_flight.started_nanos))
    }

    /// For logs and tests: the file of the open segment.
    pub const fn file(&self) -> Descriptor {
        self.segment.ready.file
    }
}
