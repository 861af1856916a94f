//! One accepted socket: the pump between the ring and the requests on it.
//!
//! Place: owned by a shard's table. `handle_…` takes what the ring brought; `poll_…` says what the ring
//! should do next. No socket is touched here.
//!
//! ```text
//!            ┌────────────── keep-alive ──────────────┐
//!            ▼                                        │
//!      ExpectHead ─ head ─▶ (AwaitBudget) ─▶ ExpectBody or ExpectCut ─▶ request in the pipeline ─▶ reply
//!            │ fault               │ refused      │ fault
//!            ▼                     ▼              ▼
//!         Discard (small known rest, then the next head)  or  Linger (reply, half-close, read away)
//! ```

mod body;
mod buffers;
mod cut;
mod discard;
mod exchange;
mod http1;
mod http2;
mod records;
mod refusal_log;
mod table;

pub use body::BodyState;
pub use buffers::Buffers;
pub use cut::{CutBody, CutStep};
use discard::DiscardedBody;
pub use exchange::{Exchange, Pipeline};
pub use http2::Http2Scratch;
use http2::{Http2, Wire};
pub use refusal_log::RefusalLog;
pub use table::{ConnectionId, Table};

use std::collections::VecDeque;

use crate::buffer::{AlignedBuffer, Pool};
use crate::counters::ShardCounters;
use crate::http::http1::head::{HeadOptions, HeadScan};
use crate::http::http1::reply::DateField;
use crate::http::reply::Reply;
use crate::ingest::{Ingest, Peer};
use crate::journal::write::Ticket;
use crate::limits;
use crate::outcome::Cause;
use crate::ring::clock::Now;
use crate::ring::{Descriptor, OperationId};
use crate::tls;

/// A request, or a block of its body, that waits for its commit.
pub struct Waiting {
    pub ticket: Ticket,
    pub connection: ConnectionId,
    pub sequence: u64,
    /// The answer; none for a block that is not its body's last.
    pub cause: Option<Cause>,
    pub records: Records,
}

/// What to count when the commit is durable.
#[derive(Clone)]
pub struct Records {
    pub route: crate::envelope::Route,
    pub kept: u64,
    pub counters: std::sync::Arc<crate::counters::TenantCounters>,
}

/// A body whose validation goes to a large-body thread.
pub struct LargeJob {
    pub connection: ConnectionId,
    pub sequence: u64,
    pub entry: AlignedBuffer,
    pub envelope_length: usize,
    /// Of a gRPC call, monotonic: behind it the entry is not kept.
    pub deadline_nanos: Option<u64>,
    pub records: Records,
}

/// What a connection may use of its shard while it handles something.
pub struct Context<'a> {
    pub id: ConnectionId,
    pub ingest: &'a mut Ingest,
    pub pool: &'a mut Pool,
    pub waiting: &'a mut VecDeque<Waiting>,
    pub large: &'a mut Vec<LargeJob>,
    pub reply: &'a mut Reply,
    pub date: &'a DateField,
    pub counters: &'a ShardCounters,
    pub refusals: &'a mut RefusalLog,
    pub options: &'a HeadOptions,
    pub http2: &'a mut Http2Scratch,
    pub buffers: &'a mut Buffers,
    /// Memory for the TLS records of one receive.
    pub records: &'a mut Vec<u8>,
    pub now: Now,
    /// Blocks of cut bodies that may still be checked in this turn.
    pub blocks_left: &'a mut u32,
    /// Steps of TLS handshakes that may still be made in this turn.
    pub handshakes_left: &'a mut u32,
    /// Something waits for the next turn, which should come at once.
    pub is_busy: &'a mut bool,
    /// Much waits on this shard already: what finds no memory is refused and does not wait.
    pub is_crowded: bool,
}

/// What the connection waits for from its peer.
enum Phase {
    ExpectHead {
        scan: HeadScan,
    },
    /// A body was accepted, but there is no memory for it at the moment.
    AwaitBudget {
        body: Box<BodyState>,
        envelope: Vec<u8>,
        needed: usize,
    },
    ExpectBody {
        body: Box<BodyState>,
    },
    /// A body of any size, cut into blocks while it comes.
    ExpectCut {
        body: Box<CutBody>,
    },
    /// A body that nobody wants, small enough to be read away.
    Discard {
        body: Box<DiscardedBody>,
    },
    /// Requests and replies of HTTP/2, many at once.
    Http2 {
        http2: Box<Http2>,
    },
    /// The last reply goes out; what the peer still sends is thrown away so that it can read it.
    Linger {
        discarded: usize,
    },
    /// Nothing more is read.
    Ended,
}

/// The receive operation in flight, if any.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Receiving {
    Nothing,
    Multishot(OperationId),
    Single(OperationId),
    Into(OperationId),
    /// Cancelled; its last completion is still to come.
    Ending,
}

/// What the ring should do for a connection's input.
#[derive(Debug, PartialEq, Eq)]
pub enum ReceiveStep {
    Nothing,
    Small {
        multishot: bool,
    },
    /// Into the body's buffer, up to this length.
    Into {
        end: usize,
    },
    Cancel(OperationId),
}

pub struct Connection {
    pub socket: Descriptor,
    phase: Phase,
    receiving: Receiving,
    /// Bytes that came before they could be used: a partial head, or more requests than may be in
    /// flight.
    stash: Vec<u8>,
    pipeline: Pipeline,
    /// Lent by the shard while there is something to say.
    out: Vec<u8>,
    /// Of the last body that came in parts, for the next one.
    spare_body: Option<Box<BodyState>>,
    is_sending: bool,
    /// Bytes that are being sent.
    sending_size: usize,
    /// What the shard has counted of [`Connection::waiting_size`].
    pub counted_size: usize,
    sent: usize,
    peer: Peer,
    tls: Option<Box<tls::Session>>,
    /// Bytes of a handshake wait for a turn that has room for them.
    awaits_handshake: bool,
    /// The last body was received in place: the next head is received singly, so that there is
    /// nothing to cancel before the next body.
    prefers_single: bool,
    /// The peer sends no more.
    peer_ended: bool,
    /// No request is read any more; after the last reply the socket closes.
    is_last: bool,
    half_closed: bool,
    continue_due: bool,
    /// Bytes of a further request wait in the stash until it may be begun.
    is_blocked: bool,
    /// Its share of this turn is used up: what is in the stash waits for the next one.
    yields: bool,
    /// When the present wait began, monotonic.
    since_nanos: u64,
    send_since_nanos: u64,
    head_begun: bool,
    /// It holds no more than an idle connection must; until bytes come.
    is_trimmed: bool,
    /// No request has come yet: it may be HTTP/2.
    is_fresh: bool,
    /// Operations whose last completion is still to come.
    operations: u32,
    pub is_closing: bool,
    /// The close is on its way: the descriptor is not ours any more.
    is_closed: bool,
}

impl Connection {
    pub fn new(socket: Descriptor, tls: Option<Box<tls::Session>>, now: Now) -> Self {
        Self {
            socket,
            phase: Phase::ExpectHead { scan: HeadScan::default() },
            receiving: Receiving::Nothing,
            stash: Vec::new(),
            pipeline: Pipeline::default(),
            out: Vec::new(),
            spare_body: None,
            is_sending: false,
            sending_size: 0,
            counted_size: 0,
            sent: 0,
            peer: Peer::new(tls.is_some()),
            tls,
            awaits_handshake: false,
            prefers_single: false,
            peer_ended: false,
            is_last: false,
            half_closed: false,
            continue_due: false,
            is_blocked: false,
            yields: false,
            is_closed: false,
            since_nanos: now.monotonic_nanos,
            send_since_nanos: now.monotonic_nanos,
            head_begun: false,
            is_trimmed: false,
            is_fresh: true,
            operations: 0,
            is_closing: false,
        }
    }

    // ── What came ─────────────────────────────────────────────────────────────────────────────

    /// Bytes from a receive buffer: used up or copied before this returns.
    pub fn handle_bytes(&mut self, bytes: &[u8], context: &mut Context<'_>) {
        context.counters.received_bytes.add_own(bytes.len() as u64);
        self.is_trimmed = false;
        if self.tls.is_some() {
            return self.handle_records(bytes, context);
        }
        self.handle_plain(bytes, context);
    }

    fn handle_plain(&mut self, bytes: &[u8], context: &mut Context<'_>) {
        if self.stash.is_empty() {
            let used = self.consume(bytes, context);
            if used < bytes.len() && !matches!(self.phase, Phase::Ended) {
                self.stash.extend_from_slice(&bytes[used..]);
            }
            return;
        }
        self.stash.extend_from_slice(bytes);
        if !self.yields {
            self.resume(context);
        }
    }

    /// Goes on with stashed bytes.
    pub fn resume(&mut self, context: &mut Context<'_>) {
        if self.stash.is_empty() {
            return;
        }
        let mut stash = std::mem::take(&mut self.stash);
        let used = self.consume(&stash, context);
        if matches!(self.phase, Phase::Ended) {
            stash.clear();
        } else {
            stash.drain(..used);
        }
        // A large head or a full pipeline is rare; its memory is not kept.
        if stash.is_empty() && stash.capacity() > limits::RECEIVE_BUFFER_SIZE {
            stash = Vec::new();
        }
        self.stash = stash;
    }

    /// The peer sends no more (`FIN`), or the socket failed.
    pub fn handle_end(&mut self, context: &mut Context<'_>, failed: bool) {
        self.peer_ended = true;
        if let Some(tls) = &self.tls
            && tls.is_handshaking()
            && !tls.is_untouched()
            && !tls.has_failed()
        {
            self.note_tls_fault(tls::TlsFault::Abandoned, context);
        }
        if let Phase::Http2 { http2 } = &mut self.phase
            && !failed
        {
            if !self.is_blocked && !self.yields {
                http2.handle_end(context.pool);
                self.check_http2_end(context.now);
            }
            return;
        }
        if !failed && (self.is_blocked || self.yields) {
            // Complete requests may still wait in the stash; `resume` ends the connection behind them.
            return;
        }
        if let Phase::ExpectCut { body } = &self.phase
            && !failed
            && body.is_stalled()
        {
            // The rest of the body may be in the stash; `retry_cut` ends the connection behind it.
            return;
        }
        self.abandon_request(context.pool);
        self.phase = Phase::Ended;
        self.stash.clear();
        self.is_last = true;
        if failed {
            self.is_closing = true;
        }
    }

    /// Half a request has no answer; those before it still get theirs.
    fn abandon_request(&mut self, pool: &mut Pool) {
        if let Phase::ExpectCut { body } = &self.phase {
            self.pipeline.abandon(body.sequence);
        }
        if let Phase::ExpectBody { body } | Phase::AwaitBudget { body, .. } = &self.phase {
            self.pipeline.abandon(body.sequence);
        }
        if let Phase::Discard { body } = &self.phase
            && let Some(sequence) = body.answers()
        {
            self.pipeline.abandon(sequence);
        }
        self.release_body(pool);
    }

    /// More bytes of a body, in the buffer that [`Connection::take_receive_buffer`] gave out.
    pub fn handle_received(
        &mut self,
        buffer: AlignedBuffer,
        count: usize,
        context: &mut Context<'_>,
    ) {
        context.counters.received_bytes.add_own(count as u64);
        if let Phase::ExpectCut { body } = &mut self.phase {
            self.prefers_single = true;
            body.put_back(buffer, count);
            self.since_nanos = body.note_progress(count, self.since_nanos, context.now);
            return self.advance_cut(context);
        }
        let Phase::ExpectBody { body } = &mut self.phase else {
            context.pool.release(buffer);
            return;
        };
        body.put_back(buffer);
        self.since_nanos = body.note_progress(count, self.since_nanos, context.now);
        if body.is_complete() {
            self.prefers_single = true;
            self.finish_body(context);
        }
    }

    /// The buffer of the body, for a receive in place.
    pub fn take_receive_buffer(&mut self) -> Option<AlignedBuffer> {
        match &mut self.phase {
            Phase::ExpectBody { body } => body.take_buffer(),
            Phase::ExpectCut { body } => body.take_block(),
            _ => None,
        }
    }

    /// The id that the body of a Firehose request says, where a thread beside the shard has read it.
    pub fn note_firehose_request_id(&mut self, sequence: u64, id: &[u8]) {
        match &mut self.phase {
            Phase::Http2 { http2 } => http2.note_body_request_id(sequence, id),
            _ => self.pipeline.note_firehose_request_id(sequence, id),
        }
    }

    /// The request's commit is durable, or it was refused after its body.
    pub fn handle_outcome(&mut self, sequence: u64, cause: Cause) {
        if let Phase::Http2 { http2 } = &mut self.phase {
            return http2.settle(sequence, cause);
        }
        self.pipeline.settle(sequence, cause);
    }

    /// The request's commit was given up, or a commit with one of its blocks.
    pub fn handle_loss(&mut self, sequence: u64, cause: Cause, context: &mut Context<'_>) {
        if let Phase::Http2 { http2 } = &mut self.phase {
            return http2.lose(sequence, cause, context.pool);
        }
        self.pipeline.settle(sequence, cause);
        self.abandon_cut(sequence, context.now, context.pool);
    }

    /// So many reply bytes of `length` more were taken. True when that was all.
    pub fn handle_sent(&mut self, length: usize, count: usize, now: Now) -> bool {
        self.send_since_nanos = now.monotonic_nanos;
        self.sent += count;
        let is_whole = self.sent >= length;
        if is_whole {
            self.is_sending = false;
            self.sent = 0;
        }
        is_whole
    }

    pub const fn sent(&self) -> usize {
        self.sent
    }

    // ── What to do next ───────────────────────────────────────────────────────────────────────

    /// Writes the replies that are due, in request order.
    pub fn flush(&mut self, context: &mut Context<'_>) {
        let before = self.unsent();
        context.buffers.lend(&mut self.out);
        if let Phase::Http2 { http2 } = &mut self.phase {
            http2.flush(&mut self.out, context);
            self.check_http2_end(context.now);
        }
        self.write_replies(context);
        if self.continue_due && self.pipeline.only_last_is_open() {
            self.out.extend_from_slice(crate::http::http1::reply::CONTINUE);
            self.continue_due = false;
        }
        self.seal(context.buffers);
        if before == 0 && self.unsent() > 0 && !self.is_sending {
            self.send_since_nanos = context.now.monotonic_nanos;
        }
        if self.is_blocked && self.may_begin() {
            self.is_blocked = false;
            if !self.yields {
                self.resume(context);
            }
            self.end_behind_stash(context);
            self.write_replies(context);
            self.seal(context.buffers);
        }
        context.buffers.take_back_empty(&mut self.out);
    }

    /// The peer's end, once what it sent before has been looked at.
    fn end_behind_stash(&mut self, context: &mut Context<'_>) {
        if self.peer_ended && !self.is_blocked && !self.yields {
            self.handle_end(context, false);
        }
    }

    /// Whether a further request may be begun: the last one is not read yet, the pipeline has room,
    /// and the peer takes its replies.
    fn may_begin(&self) -> bool {
        if let Phase::Http2 { .. } = self.phase {
            return self.unsent() <= limits::REPLIES_SIZE_MAX;
        }
        !self.is_last && !self.pipeline.is_full() && self.unsent() <= limits::REPLIES_SIZE_MAX
    }

    /// Bytes to send, if there are some and none are being sent.
    pub fn poll_send(&mut self) -> Option<Vec<u8>> {
        if self.is_sending || self.is_closing {
            return None;
        }
        let out = self.tls.as_mut().map_or(&mut self.out, |tls| tls.outgoing());
        if out.is_empty() {
            return None;
        }
        self.is_sending = true;
        self.sending_size = out.len();
        Some(std::mem::take(out))
    }

    /// What the receiving side should do.
    pub fn poll_receive(&mut self) -> ReceiveStep {
        let wanted = self.wanted();
        match (self.receiving, wanted) {
            (Receiving::Ending, _) => ReceiveStep::Nothing,
            (Receiving::Nothing, wanted) => wanted,
            (Receiving::Multishot(_), ReceiveStep::Small { .. })
            | (Receiving::Single(_), ReceiveStep::Small { .. })
            | (Receiving::Into(_), ReceiveStep::Into { .. }) => ReceiveStep::Nothing,
            // The rest of this turn's work comes in the next one: what comes meanwhile waits behind it.
            (Receiving::Multishot(_) | Receiving::Single(_), ReceiveStep::Nothing)
                if self.yields
                    && !self.is_closing
                    && self.stash.len() <= limits::WAITING_SIZE_FREE =>
            {
                ReceiveStep::Nothing
            }
            // A body in place is worth a cancelled multishot only if it is large.
            (
                Receiving::Multishot(operation)
                | Receiving::Single(operation)
                | Receiving::Into(operation),
                _,
            ) => {
                self.receiving = Receiving::Ending;
                ReceiveStep::Cancel(operation)
            }
        }
    }

    fn wanted(&self) -> ReceiveStep {
        if self.is_closing || self.peer_ended || self.yields || self.awaits_handshake {
            return ReceiveStep::Nothing;
        }
        match &self.phase {
            // Pipelined bytes wait in the stash; nothing more is read until they are used.
            Phase::ExpectHead { .. } if self.is_blocked || !self.may_begin() => {
                ReceiveStep::Nothing
            }
            Phase::ExpectHead { .. } => ReceiveStep::Small { multishot: !self.prefers_single },
            Phase::ExpectBody { body } => match self.in_place_end(body.in_place_end()) {
                Some(end) => ReceiveStep::Into { end },
                None => ReceiveStep::Small { multishot: !self.prefers_single },
            },
            Phase::ExpectCut { body } if body.is_stalled() => ReceiveStep::Nothing,
            Phase::ExpectCut { body } => match self.in_place_end(body.in_place_end()) {
                Some(end) => ReceiveStep::Into { end },
                None => ReceiveStep::Small { multishot: false },
            },
            Phase::Http2 { .. } if self.is_blocked || !self.may_begin() => ReceiveStep::Nothing,
            Phase::Http2 { .. } | Phase::Discard { .. } | Phase::Linger { .. } => {
                ReceiveStep::Small { multishot: true }
            }
            Phase::AwaitBudget { .. } | Phase::Ended => ReceiveStep::Nothing,
        }
    }

    /// Records are opened elsewhere than where the body lies.
    fn in_place_end(&self, end: Option<usize>) -> Option<usize> {
        end.filter(|_| self.tls.is_none())
    }

    pub fn note_receiving(&mut self, step: &ReceiveStep, operation: OperationId) {
        self.operations += 1;
        self.receiving = match step {
            ReceiveStep::Small { multishot: true } => Receiving::Multishot(operation),
            ReceiveStep::Small { multishot: false } => Receiving::Single(operation),
            _ => Receiving::Into(operation),
        };
    }

    pub fn note_receive_ended(&mut self) {
        self.operations -= 1;
        self.receiving = Receiving::Nothing;
    }

    pub fn note_sending(&mut self) {
        self.operations += 1;
    }

    pub fn note_send_ended(&mut self) {
        self.operations -= 1;
    }

    /// Whether the reply side is done and the socket should be shut for sending, so that the peer
    /// sees the last reply and then the end.
    pub fn poll_half_close(&mut self) -> bool {
        let due = matches!(self.phase, Phase::Linger { .. })
            && !self.half_closed
            && self.pipeline.is_empty()
            && self.unsent() == 0
            && !self.is_sending;
        self.half_closed |= due;
        due
    }

    /// Whether the socket may be closed now. Operations in flight are ended first.
    pub fn poll_close(&mut self) -> bool {
        let replied = self.pipeline.is_empty() && self.unsent() == 0 && !self.is_sending;
        if replied && self.is_last && !matches!(self.phase, Phase::Linger { .. }) {
            self.is_closing = true;
        }
        let due = self.is_closing && self.operations == 0 && !self.is_closed;
        self.is_closed |= due;
        due
    }

    /// Operations that keep a closing connection open must be cut short.
    pub const fn needs_shutdown(&self) -> bool {
        self.is_closing && self.is_sending && !self.is_closed
    }

    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::ExpectHead { .. })
            && !self.head_begun
            && self.pipeline.is_empty()
            && self.unsent() == 0
            && !self.is_sending
    }

    /// Gives back what an idle connection does not need.
    fn trim(&mut self) {
        self.is_trimmed = true;
        for memory in [&mut self.out, &mut self.stash] {
            memory.shrink_to_fit();
        }
        self.pipeline.trim();
        self.spare_body = None;
        if let Phase::Http2 { http2 } = &mut self.phase {
            http2.trim();
        }
        if let Some(tls) = &mut self.tls {
            tls.outgoing().shrink_to_fit();
        }
    }

    /// No new request is begun; what is in flight is answered.
    pub fn drain(&mut self, now: Now) {
        if let Phase::Http2 { http2 } = &mut self.phase {
            return http2.announce_end(&mut self.out, now);
        }
        self.is_last = self.is_last || self.is_idle();
        self.pipeline.close_after_last();
    }

    /// Waits for memory, for the journal or for the next turn.
    pub fn is_parked(&self) -> bool {
        if self.yields {
            return true;
        }
        match &self.phase {
            Phase::AwaitBudget { .. } => true,
            Phase::ExpectCut { body } => body.is_stalled(),
            Phase::Http2 { http2 } => http2.is_stalled(),
            _ => self.awaits_handshake,
        }
    }

    /// Bytes that wait here, for more to come or to go: of heads and records that are not whole, of bodies
    /// without memory, of replies.
    pub fn waiting_size(&self) -> usize {
        let held = if let Phase::Http2 { http2 } = &self.phase { http2.held() } else { 0 };
        let tls = self.tls.as_ref().map_or(0, |tls| tls.partial_size());
        // What is being sent is as large as what is sealed behind it, at most.
        let sending = if self.is_sending { self.sending_size } else { 0 };
        self.stash.capacity() + self.unsent() + sending + tls + held
    }

    /// Closed for holding more than others while a shard's memory runs out.
    pub fn evict(&mut self, pool: &mut Pool) {
        self.release(pool);
        self.stash = Vec::new();
        self.out = Vec::new();
        self.is_blocked = false;
        self.yields = false;
        self.is_closing = true;
    }

    /// Gives every buffer back; the connection is gone.
    pub fn release(&mut self, pool: &mut Pool) {
        self.release_body(pool);
        self.phase = Phase::Ended;
    }

    fn release_body(&mut self, pool: &mut Pool) {
        if let Phase::ExpectBody { body } = &mut self.phase
            && let Some(buffer) = body.take_buffer()
        {
            pool.release(buffer);
        }
        if let Phase::ExpectCut { body } = &mut self.phase {
            body.release(pool);
        }
        if let Phase::Http2 { http2 } = &mut self.phase {
            http2.release(pool);
        }
    }

    // ── HTTP/2 ────────────────────────────────────────────────────────────────────────────────

    /// The connection speaks HTTP/2 from its first byte on.
    pub(super) fn begin_http2(&mut self, now: Now) {
        self.phase = Phase::Http2 { http2: Box::new(Http2::new(now)) };
    }

    pub(super) fn consume_http2(
        &mut self,
        bytes: &[u8],
        context: &mut Context<'_>,
    ) -> Option<usize> {
        let Phase::Http2 { http2 } = &mut self.phase else { return None };
        context.buffers.lend(&mut self.out);
        let mut wire = Wire { out: &mut self.out, peer: &mut self.peer };
        let used = http2.consume(bytes, &mut wire, context);
        self.is_blocked = used < bytes.len() && !self.may_begin();
        self.check_http2_end(context.now);
        (used > 0).then_some(used)
    }

    /// After the last word of a session the peer may still read it, and nothing else is read.
    fn check_http2_end(&mut self, now: Now) {
        let Phase::Http2 { http2 } = &self.phase else { return };
        if http2.has_ended() {
            self.is_blocked = false;
            self.is_last = true;
            self.phase = Phase::Linger { discarded: 0 };
            self.since_nanos = now.monotonic_nanos;
        } else if self.peer_ended && !self.is_blocked && http2.is_empty() {
            self.is_last = true;
            self.phase = Phase::Ended;
        }
    }
}
