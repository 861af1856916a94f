//! What a core owns: a ring, its connections, its journal, and the turn that drives them.
//!
//! Place: between the kernel and everything that handles a request. One turn: wait for completions,
//! handle each, start the next commit, answer what became durable, send.

mod large;
mod mailbox;
mod placement;
#[cfg(test)]
mod tests;

pub use large::{LargeBodies, LargeDone};
pub use mailbox::{Mailbox, Sender, mailbox};
pub use placement::{Load, Placement};

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use crate::buffer::Pool;
use crate::connection::{
    Buffers, Connection, ConnectionId, Context, Http2Scratch, LargeJob, ReceiveStep, RefusalLog,
    Table, Waiting,
};
use crate::counters::ShardCounters;
use crate::http::grpc::GrpcFault;
use crate::http::http1::head::HeadOptions;
use crate::http::http1::reply::DateField;
use crate::http::reply::Reply;
use crate::ingest::{Ingest, Keys, Taken};
use crate::limits::{WAITING_SIZE_FREE, WAITING_SIZE_MAX};
use crate::outcome::Cause;
use crate::ring::clock::{Clock, Now};
use crate::ring::{Completion, Descriptor, Errno, Event, Ring, Token};
use crate::tls;

/// What other threads say to a shard.
pub enum Message {
    /// A connection that another shard accepted.
    Connection(Accepted),
    Keys(Box<dyn FnOnce() -> Keys + Send>),
    /// Certificates changed: for connections that come from now on.
    Tls(tls::Acceptor),
    Large(LargeDone),
    /// Stop accepting, answer what is in flight, commit, return.
    Drain,
}

/// The sweep over deadlines. Timeouts are seconds; a quarter of one is near enough.
const SWEEP_NANOS: u64 = 250_000_000;
/// How long a drain waits for peers that keep a request half-sent.
const DRAIN_NANOS: u64 = 10_000_000_000;
/// The allocator lets free pages rest for a second before it gives them back.
const GIVE_BACK_SWEEPS: u32 = 8;
/// After EMFILE and the like a listener rests.
const ACCEPT_PAUSE_NANOS: u64 = 100_000_000;

mod kind {
    pub const ACCEPT: u64 = 1;
    pub const RECEIVE: u64 = 2;
    pub const SEND: u64 = 3;
    pub const CLOSE: u64 = 4;
    pub const JOURNAL: u64 = 5;
    pub const IGNORED: u64 = 6;
}

/// Kind, generation and slot in one number.
const fn token(kind: u64, id: ConnectionId) -> Token {
    Token(kind << 56 | (id.generation as u64) << 32 | id.slot as u64)
}

fn connection_of(token: Token) -> ConnectionId {
    let low = |bits: u64| u32::try_from(bits & 0xffff_ffff).unwrap_or(0);
    ConnectionId { slot: low(token.0), generation: low(token.0 >> 32) & 0x00ff_ffff }
}

/// What the shard's writer must be made with.
pub const JOURNAL_TOKEN: Token = Token(kind::JOURNAL << 56);

/// A socket that is not a connection yet.
#[derive(Clone, Copy)]
pub struct Accepted {
    socket: Descriptor,
    speaks_tls: bool,
}

/// A socket that listens.
#[derive(Clone, Copy)]
pub struct Listen {
    pub socket: Descriptor,
    pub speaks_tls: bool,
}

struct Listener {
    listen: Listen,
    operation: Option<crate::ring::OperationId>,
    /// When it may be armed again.
    rests_until: u64,
}

pub struct Shard<R: Ring> {
    ring: R,
    clock: Clock,
    table: Table,
    listeners: Vec<Listener>,
    ingest: Ingest,
    pool: Pool,
    waiting: VecDeque<Waiting>,
    large_jobs: Vec<LargeJob>,
    large: LargeBodies,
    /// Jobs that are out.
    large_pending: usize,
    own: Sender<Message>,
    mailbox: Mailbox<Message>,
    others: Vec<Sender<Message>>,
    placement: Placement,
    /// Where a listener speaks TLS.
    acceptor: Option<tls::Acceptor>,
    counters: Arc<ShardCounters>,
    reply: Reply,
    date: DateField,
    head_options: HeadOptions,
    http2: Http2Scratch,
    buffers: Buffers,
    records: Vec<u8>,
    /// Connections to look at before the turn ends.
    touched: Vec<ConnectionId>,
    swept_nanos: u64,
    parked: usize,
    /// Blocks of cut bodies that may still be checked in this turn.
    blocks_left: u32,
    /// Steps of TLS handshakes that may still be made in this turn.
    handshakes_left: u32,
    /// Something waits for the next turn, which comes at once.
    is_busy: bool,
    draining_since: Option<u64>,
    /// What waits on all connections, as of the end of their last turns.
    waiting_size: usize,
    connection_count_max: usize,
    /// Sweeps that still look for memory to give back: connections fell idle.
    give_back_left: u32,
    ids: Vec<ConnectionId>,
    refusals: RefusalLog,
}

/// What a shard is made of, besides its ring.
pub struct Parts {
    pub listeners: Vec<Listen>,
    pub acceptor: Option<tls::Acceptor>,
    pub ingest: Ingest,
    pub pool: Pool,
    pub large: LargeBodies,
    pub own: Sender<Message>,
    pub mailbox: Mailbox<Message>,
    /// By shard index; the own place is not used.
    pub others: Vec<Sender<Message>>,
    pub placement: Placement,
    pub counters: Arc<ShardCounters>,
    /// Further connections are closed as they come.
    pub connection_count_max: usize,
}

impl<R: Ring> Shard<R> {
    pub fn new(ring: R, parts: Parts) -> Self {
        parts.mailbox.register(ring.waker());
        let listeners = parts
            .listeners
            .into_iter()
            .map(|listen| Listener { listen, operation: None, rests_until: 0 })
            .collect();
        Self {
            ring,
            clock: Clock::default(),
            table: Table::default(),
            listeners,
            ingest: parts.ingest,
            pool: parts.pool,
            waiting: VecDeque::with_capacity(1024),
            large_jobs: Vec::with_capacity(8),
            large: parts.large,
            large_pending: 0,
            own: parts.own,
            mailbox: parts.mailbox,
            others: parts.others,
            placement: parts.placement,
            acceptor: parts.acceptor,
            counters: parts.counters,
            reply: Reply::new(),
            date: DateField::new(),
            head_options: HeadOptions::default(),
            http2: Http2Scratch::default(),
            buffers: Buffers::default(),
            records: Vec::new(),
            touched: Vec::with_capacity(1024),
            swept_nanos: 0,
            parked: 0,
            blocks_left: 0,
            handshakes_left: 0,
            is_busy: false,
            draining_since: None,
            waiting_size: 0,
            give_back_left: 0,
            connection_count_max: parts.connection_count_max,
            ids: Vec::with_capacity(1024),
            refusals: RefusalLog::default(),
        }
    }

    /// Turns until drained, poisoned and empty, or the ring fails.
    pub fn run(mut self) -> Result<(), Errno> {
        while !self.turn()? {}
        Ok(())
    }

    /// One turn. True when the shard has nothing left to do.
    pub fn turn(&mut self) -> Result<bool, Errno> {
        let now = self.clock.now();
        self.arm_listeners(now);
        let wait = if std::mem::take(&mut self.is_busy) { Some(0) } else { self.wait_nanos(now) };
        self.blocks_left = crate::limits::BLOCKS_A_TURN;
        self.ingest.begin_turn();
        self.handshakes_left = crate::limits::TLS_HANDSHAKES_A_TURN;
        self.ring.turn(wait)?;
        let now = self.clock.now();
        self.date.refresh(now.wall_nanos / 1_000_000_000);
        while let Some(event) = self.ring.next_event() {
            self.handle(event, now);
        }
        self.handle_mailbox(now);
        self.submit_large();
        if now.monotonic_nanos.saturating_sub(self.swept_nanos) >= SWEEP_NANOS {
            self.sweep(now);
        }
        self.retry_parked(now);
        self.flush_touched(now);
        self.ingest.writer.handle_mailbox();
        self.refuse_stalled(now);
        self.ingest.writer.poll_commit(&mut self.ring, &mut self.pool, now.monotonic_nanos);
        self.counters.turns.add_own(1);
        self.counters.turn_nanos.set(now.monotonic_nanos);
        self.counters.body_bytes_lent.set(self.pool.lent() as u64);
        Ok(self.is_done(now))
    }

    fn wait_nanos(&self, now: Now) -> Option<u64> {
        // Also without connections: the watchdog wants to see turns.
        let sweep = SWEEP_NANOS;
        let until = |deadline: u64| deadline.saturating_sub(now.monotonic_nanos);
        let commit = self.ingest.writer.deadline().map_or(sweep, until);
        let accept = self
            .listeners
            .iter()
            .filter(|listener| listener.operation.is_none() && self.draining_since.is_none())
            .map(|listener| until(listener.rests_until))
            .min()
            .unwrap_or(sweep);
        Some(sweep.min(commit).min(accept.max(1_000_000)))
    }

    // ── Events ────────────────────────────────────────────────────────────────────────────────

    fn handle(&mut self, event: Event, now: Now) {
        let id = connection_of(event.token);
        match event.completion {
            Completion::Accepted { result, more } => {
                self.handle_accepted(id.slot, result, more, now)
            }
            Completion::Small { result, more } => {
                match result {
                    Ok(small) => {
                        let length = small.length;
                        if length > 0 {
                            self.with(id, now, |connection, ring, context| {
                                connection.handle_bytes(ring.small_bytes(&small), context);
                            });
                        } else {
                            self.with(id, now, |connection, _, context| {
                                connection.handle_end(context, false);
                            });
                        }
                        self.ring.release_small(small);
                    }
                    // Buffers are back by the end of this turn; the receive is armed again.
                    Err(Errno::NOBUFS | Errno::CANCELED | Errno::INTR | Errno::AGAIN) => {}
                    Err(_) => self.with(id, now, |connection, _, context| {
                        connection.handle_end(context, true);
                    }),
                }
                if !more {
                    self.with(id, now, |connection, _, _| connection.note_receive_ended());
                }
            }
            Completion::Received { buffer, result } => {
                let Some(connection) = self.table.find(id) else {
                    self.pool.release(buffer);
                    return;
                };
                connection.note_receive_ended();
                self.with(id, now, |connection, _, context| {
                    let count = result.unwrap_or(0);
                    connection.handle_received(buffer, count, context);
                    match result {
                        Ok(0) => connection.handle_end(context, false),
                        Ok(_) | Err(Errno::CANCELED | Errno::INTR | Errno::AGAIN) => {}
                        Err(_) => connection.handle_end(context, true),
                    }
                });
            }
            Completion::Sent { buffer, result } => self.handle_sent(id, buffer, result, now),
            Completion::Wrote { buffer, result } => {
                let nanos = self.ingest.writer.handle_wrote(
                    &mut self.ring,
                    &mut self.pool,
                    event.token.0 - JOURNAL_TOKEN.0,
                    (buffer, result),
                    self.clock.now().monotonic_nanos,
                );
                self.handle_commit(nanos);
            }
            Completion::Synced { result } => {
                let nanos =
                    self.ingest.writer.handle_synced(result, self.clock.now().monotonic_nanos);
                self.handle_commit(nanos);
            }
            Completion::Woken => {}
            Completion::Closed => {
                if event.token.0 >> 56 == kind::CLOSE {
                    if let Some(connection) = self.table.remove(id) {
                        self.waiting_size -= connection.counted_size;
                    }
                    self.note_load();
                }
            }
        }
    }

    /// Calls `body` with the connection and what it may use, and remembers to look at it again.
    fn with(
        &mut self,
        id: ConnectionId,
        now: Now,
        body: impl FnOnce(&mut Connection, &R, &mut Context<'_>),
    ) {
        let Some(connection) = self.table.find(id) else { return };
        let mut context = Context {
            id,
            ingest: &mut self.ingest,
            pool: &mut self.pool,
            waiting: &mut self.waiting,
            large: &mut self.large_jobs,
            reply: &mut self.reply,
            date: &self.date,
            counters: &self.counters,
            refusals: &mut self.refusals,
            options: &self.head_options,
            http2: &mut self.http2,
            buffers: &mut self.buffers,
            records: &mut self.records,
            now,
            blocks_left: &mut self.blocks_left,
            handshakes_left: &mut self.handshakes_left,
            is_busy: &mut self.is_busy,
            is_crowded: self.waiting_size > WAITING_SIZE_MAX / 2,
        };
        let parked = connection.is_parked();
        body(connection, &self.ring, &mut context);
        match (parked, connection.is_parked()) {
            (false, true) => self.parked += 1,
            (true, false) => self.parked -= 1,
            _ => {}
        }
        self.touched.push(id);
    }

    fn handle_accepted(
        &mut self,
        index: u32,
        result: Result<Descriptor, Errno>,
        more: bool,
        now: Now,
    ) {
        if let Some(listener) = self.listeners.get_mut(index as usize)
            && !more
        {
            listener.operation = None;
            listener.rests_until = match result {
                Ok(_) => 0,
                Err(_) => now.monotonic_nanos + ACCEPT_PAUSE_NANOS,
            };
        }
        let Ok(socket) = result else { return };
        let speaks_tls =
            self.listeners.get(index as usize).is_some_and(|listener| listener.listen.speaks_tls);
        let accepted = Accepted { socket, speaks_tls };
        self.counters.accepted.add_own(1);
        if let Some(other) = self.placement.choose()
            && let Some(sender) = self.others.get(other)
            && sender.try_send(Message::Connection(accepted)).is_ok()
        {
            return;
        }
        self.add_connection(accepted, now);
    }

    fn add_connection(&mut self, accepted: Accepted, now: Now) {
        let Accepted { socket, speaks_tls } = accepted;
        if self.table.len() >= self.connection_count_max {
            self.counters.connections_over_limit.add_own(1);
            return self.ring.close(socket, Token(kind::IGNORED << 56));
        }
        set_no_delay(socket);
        let tls = match (&self.acceptor, speaks_tls) {
            (_, false) => None,
            (Some(acceptor), true) if let Ok(session) = tls::Session::new(acceptor) => {
                Some(Box::new(session))
            }
            _ => return self.ring.close(socket, Token(kind::IGNORED << 56)),
        };
        let id = self.table.insert(Connection::new(socket, tls, now));
        self.touched.push(id);
        self.note_load();
    }

    fn note_load(&self) {
        self.placement.note(self.table.len());
        self.counters.connections.set(self.table.len() as u64);
    }

    fn handle_sent(
        &mut self,
        id: ConnectionId,
        buffer: Vec<u8>,
        result: Result<usize, Errno>,
        now: Now,
    ) {
        let Some(connection) = self.table.find(id) else { return };
        connection.note_send_ended();
        match result {
            Ok(count) => {
                if connection.handle_sent(buffer.len(), count, now) {
                    self.buffers.take_back(buffer);
                } else if !connection.is_closing {
                    let from = connection.sent();
                    connection.note_sending();
                    let socket = connection.socket;
                    self.ring.send(socket, buffer, from, token(kind::SEND, id));
                }
            }
            Err(Errno::INTR | Errno::AGAIN) => {
                let from = connection.sent();
                connection.note_sending();
                let socket = connection.socket;
                self.ring.send(socket, buffer, from, token(kind::SEND, id));
            }
            Err(_) => connection.is_closing = true,
        }
        self.touched.push(id);
    }

    /// A commit may have become durable: answer those who waited for it.
    fn handle_commit(&mut self, nanos: Option<u64>) {
        if let Some(nanos) = nanos {
            self.counters.commits.observe_own(nanos);
        }
        let durable = self.ingest.writer.durable();
        while self.waiting.front().is_some_and(|waiting| waiting.ticket <= durable) {
            let Some(waiting) = self.waiting.pop_front() else { break };
            let records = &waiting.records;
            records.counters.add_own(records.route.signal(), records.kept);
            if let Some(cause) = waiting.cause {
                self.settle(waiting.connection, waiting.sequence, cause);
            }
        }
        if self.ingest.writer.poisoned().is_some() {
            self.handle_poison();
        }
    }

    fn settle(&mut self, id: ConnectionId, sequence: u64, cause: Cause) {
        if let Some(connection) = self.table.find(id) {
            connection.handle_outcome(sequence, cause);
            self.touched.push(id);
        }
    }

    /// No segment came for a commit: whoever waits for it is refused rather than left without a reply.
    fn refuse_stalled(&mut self, now: Now) {
        let writer = &mut self.ingest.writer;
        let Some(ticket) = writer.poll_stalled(&mut self.pool, now.monotonic_nanos) else { return };
        // Earlier commits are durable: a stalled one has none in flight before it.
        while let Some(waiting) = self.waiting.pop_front() {
            debug_assert!(waiting.ticket == ticket);
            let (route, cause) = (waiting.records.route, Cause::JournalFull);
            self.counters.refuse(Some(route), cause.metric_label());
            self.refusals.note(Some(route), &cause, now);
            let (id, sequence) = (waiting.connection, waiting.sequence);
            self.with(id, now, |connection, _, context| {
                connection.handle_loss(sequence, cause, context);
            });
        }
        self.flush_touched(now);
    }

    /// The device failed: whoever waits gets the retryable refusal, every connection ends after it,
    /// nobody new comes, so that clients come back on healthy shards.
    fn handle_poison(&mut self) {
        if self.draining_since.is_none() {
            tracing::error!(
                target: "journal",
                error = ?self.ingest.writer.poisoned(),
                "a journal write failed; this shard takes nothing more"
            );
            self.begin_drain(self.clock.now());
        }
        let now = self.clock.now();
        while let Some(Waiting { connection: id, sequence, .. }) = self.waiting.pop_front() {
            self.with(id, now, |connection, _, context| {
                connection.handle_loss(sequence, Cause::JournalPoisoned, context);
            });
        }
    }

    // ── Mailbox ───────────────────────────────────────────────────────────────────────────────

    fn handle_mailbox(&mut self, now: Now) {
        while let Some(message) = self.mailbox.try_receive() {
            match message {
                Message::Connection(accepted) => self.add_connection(accepted, now),
                Message::Tls(acceptor) => self.acceptor = Some(acceptor),
                Message::Keys(keys) => self.ingest.keys = keys(),
                Message::Large(done) => self.handle_large(done, now),
                Message::Drain => self.begin_drain(now),
            }
        }
    }

    fn submit_large(&mut self) {
        while let Some(job) = self.large_jobs.pop() {
            let (id, sequence) = (job.connection, job.sequence);
            match self.large.try_submit(job, &self.own) {
                Ok(()) => self.large_pending += 1,
                Err(entry) => {
                    self.pool.release(entry);
                    let cause = Cause::Overloaded { retry_after_seconds: 1 };
                    self.settle(id, sequence, cause);
                }
            }
        }
    }

    fn handle_large(&mut self, done: LargeDone, now: Now) {
        self.large_pending -= 1;
        let LargeJob { connection, sequence, entry, envelope_length, deadline_nanos, mut records } =
            done.job;
        self.counters.firehose_metrics.add_own(done.told.metric_count);
        if let Some(connection) = self.table.find(connection) {
            connection.note_firehose_request_id(sequence, &done.told.request_id);
        }
        let taken = match done.result {
            Ok(_) if deadline_nanos.is_some_and(|deadline| deadline <= now.monotonic_nanos) => {
                self.pool.release(entry);
                Taken::Refused(Cause::Grpc(GrpcFault::DeadlineExceeded))
            }
            Ok(verdict) => {
                self.ingest.append_entry(entry, envelope_length, verdict, &mut self.pool)
            }
            Err(cause) => {
                self.pool.release(entry);
                Taken::Refused(cause)
            }
        };
        match taken {
            Taken::Appended { ticket, verdict } => {
                records.kept = verdict.kept();
                self.refusals.note_rejected(&self.counters, records.route, &verdict, now);
                self.waiting.push_back(Waiting {
                    ticket,
                    connection,
                    sequence,
                    cause: Some(Cause::Acknowledged(verdict)),
                    records,
                });
            }
            Taken::Refused(cause) => {
                let route = records.route;
                self.counters.refuse(Some(route), cause.metric_label());
                self.refusals.note(Some(route), &cause, now);
                self.settle(connection, sequence, cause);
            }
            Taken::Large { entry } => self.pool.release(entry),
        }
    }

    fn begin_drain(&mut self, now: Now) {
        if self.draining_since.is_some() {
            return;
        }
        self.draining_since = Some(now.monotonic_nanos);
        self.ingest.is_draining = true;
        // What waits in the backlog is still accepted: closing the listener would reset it.
        for listener in std::mem::take(&mut self.listeners) {
            let Listen { socket, speaks_tls } = listener.listen;
            accept_backlog(socket, &mut |socket| {
                self.add_connection(Accepted { socket, speaks_tls }, now);
            });
            if let Some(operation) = listener.operation {
                self.ring.cancel(operation);
            }
            self.ring.close(socket, Token(kind::IGNORED << 56));
        }
        let mut ids = std::mem::take(&mut self.ids);
        self.table.collect_ids(&mut ids);
        for &id in &ids {
            self.with(id, now, |connection, _, context| connection.drain(context.now));
        }
        self.ids = ids;
    }

    // ── The end of a turn ─────────────────────────────────────────────────────────────────────

    fn arm_listeners(&mut self, now: Now) {
        if self.draining_since.is_some() {
            return;
        }
        for (index, listener) in (0u32..).zip(&mut self.listeners) {
            if listener.operation.is_none() && listener.rests_until <= now.monotonic_nanos {
                let id = ConnectionId { slot: index, generation: 0 };
                let operation = self.ring.accept(listener.listen.socket, token(kind::ACCEPT, id));
                listener.operation = Some(operation);
            }
        }
    }

    fn sweep(&mut self, now: Now) {
        self.swept_nanos = now.monotonic_nanos;
        let mut ids = std::mem::take(&mut self.ids);
        self.table.collect_ids(&mut ids);
        let expired = self
            .draining_since
            .is_some_and(|since| now.monotonic_nanos.saturating_sub(since) > DRAIN_NANOS);
        let mut has_trimmed = false;
        for &id in &ids {
            self.with(id, now, |connection, _, context| {
                has_trimmed |= connection.handle_time(context);
                connection.is_closing |= expired;
            });
        }
        self.ids = ids;
        if has_trimmed {
            self.give_back_left = GIVE_BACK_SWEEPS;
        }
        if self.give_back_left > 0 {
            self.give_back_left -= 1;
            crate::buffer::give_back();
        }
    }

    fn retry_parked(&mut self, now: Now) {
        if self.parked == 0 {
            return;
        }
        let mut ids = std::mem::take(&mut self.ids);
        self.table.collect_ids(&mut ids);
        // Not always the same ones first: a turn has only so many blocks.
        let first = crate::limits::size(self.counters.turns.value()) % ids.len().max(1);
        ids.rotate_left(first);
        for &id in &ids {
            if self.table.find(id).is_some_and(|connection| connection.is_parked()) {
                self.with(id, now, |connection, _, context| connection.retry_parked(context));
            }
        }
        // Counted anew: a connection that closed while it waited is not there any more.
        self.parked = 0;
        for &id in &ids {
            let is_parked = self.table.find(id).is_some_and(|connection| connection.is_parked());
            self.parked += usize::from(is_parked);
        }
        self.ids = ids;
    }

    /// Replies, sends, receives and closes of every connection that something happened to.
    fn flush_touched(&mut self, now: Now) {
        let mut next = 0;
        while next < self.touched.len() {
            let id = self.touched[next];
            next += 1;
            let before = self.touched.len();
            self.with(id, now, |connection, _, context| connection.flush(context));
            // `with` remembers; here that would never end.
            self.touched.truncate(before);
            self.drive(id);
        }
        self.touched.clear();
        // A flush may have brought further bodies.
        self.submit_large();
        if self.waiting_size > WAITING_SIZE_MAX {
            self.evict_largest();
        }
    }

    /// Much too much waits: those go who hold most. A peer that sends whole requests and reads its replies
    /// holds nothing.
    #[cold]
    fn evict_largest(&mut self) {
        let mut ids = std::mem::take(&mut self.ids);
        self.table.collect_ids(&mut ids);
        let size = |table: &mut Table, id| table.find(id).map_or(0, |found| found.counted_size);
        ids.sort_by_key(|&id| std::cmp::Reverse(size(&mut self.table, id)));
        for &id in &ids {
            if self.waiting_size <= WAITING_SIZE_MAX / 4 * 3
                || size(&mut self.table, id) <= WAITING_SIZE_FREE
            {
                break;
            }
            self.counters.connections_evicted.add_own(1);
            if let Some(connection) = self.table.find(id) {
                connection.evict(&mut self.pool);
            }
            self.drive(id);
        }
        self.ids = ids;
    }

    fn drive(&mut self, id: ConnectionId) {
        let Some(connection) = self.table.find(id) else { return };
        let waiting = connection.waiting_size();
        let counted = std::mem::replace(&mut connection.counted_size, waiting);
        self.waiting_size = self.waiting_size + waiting - counted;
        let socket = connection.socket;
        if let Some(bytes) = connection.poll_send() {
            connection.note_sending();
            self.ring.send(socket, bytes, 0, token(kind::SEND, id));
        }
        let Some(connection) = self.table.find(id) else { return };
        if connection.poll_half_close() {
            self.ring.shutdown(socket, true);
        }
        match connection.poll_receive() {
            ReceiveStep::Nothing => {}
            ReceiveStep::Cancel(operation) => self.ring.cancel(operation),
            step @ ReceiveStep::Small { multishot } => {
                let operation =
                    self.ring.receive_small(socket, multishot, token(kind::RECEIVE, id));
                connection.note_receiving(&step, operation);
            }
            step @ ReceiveStep::Into { end } => {
                if let Some(buffer) = connection.take_receive_buffer() {
                    let operation =
                        self.ring.receive_into(socket, buffer, end, token(kind::RECEIVE, id));
                    connection.note_receiving(&step, operation);
                }
            }
        }
        if connection.poll_close() {
            connection.release(&mut self.pool);
            self.ring.close(socket, token(kind::CLOSE, id));
            // Never again, until `Closed` frees the slot.
            connection.note_sending();
        } else if connection.needs_shutdown() {
            self.ring.shutdown(socket, false);
        }
    }

    fn is_done(&self, now: Now) -> bool {
        let Some(since) = self.draining_since else { return false };
        let poisoned = self.ingest.writer.poisoned().is_some();
        let committed = poisoned || (self.ingest.writer.is_idle() && self.waiting.is_empty());
        let expired = now.monotonic_nanos.saturating_sub(since) > DRAIN_NANOS + 2_000_000_000;
        (committed && self.table.is_empty() && self.large_pending == 0) || expired
    }
}

/// Replies leave at once. A socket that cannot be told so still works.
fn set_no_delay(socket: Descriptor) {
    let socket = borrow(&socket);
    let _ = rustix::net::sockopt::set_tcp_nodelay(socket, true);
}

/// Takes every connection that waits in a listener's backlog.
fn accept_backlog(listener: Descriptor, take: &mut dyn FnMut(Descriptor)) {
    let listener = borrow(&listener);
    let _ = rustix::io::ioctl_fionbio(listener, true);
    while let Ok(socket) = rustix::net::accept_with(listener, rustix::net::SocketFlags::CLOEXEC) {
        take(crate::ring::disown(socket));
    }
}

fn borrow(descriptor: &Descriptor) -> BorrowedFd<'_> {
    crate::ring::borrow(descriptor)
}

impl<R: Ring> Drop for Shard<R> {
    /// Connections whose peers did not end in time lose their sockets with the shard.
    fn drop(&mut self) {
        self.table.collect_ids(&mut self.ids);
        for &id in &self.ids {
            if let Some(connection) = self.table.find(id) {
                self.ring.shutdown(connection.socket, false);
            }
        }
    }
}
