//! HTTP/1.1 on a connection: heads, bodies, replies in order.

use super::{
    BodyState, Connection, Context, CutBody, DiscardedBody, Exchange, LargeJob, Phase, Records,
    Waiting, Wire,
};
use crate::envelope::Route;
use crate::http::head::RequestHead;
use crate::http::http1::chunked::ChunkStep;
use crate::http::http1::framing::{BodyFraming, body_framing, expects_continue, keeps_alive};
use crate::http::http1::head::{HeadError, HeadScan, parse};
use crate::http::http1::reply::{ReplyTo, encode};
use crate::http::{Method, Parsed};
use crate::ingest::{Admission, Taken};
use crate::journal::format::ENTRY_HEADER_SIZE;
use crate::limits::{
    BODY_BUDGET_TIMEOUT, BODY_RATE_WINDOW, BODY_SIZE_MAX, HEAD_TIMEOUT, IDLE_TIMEOUT, IDLE_TRIM,
    KIB, LINGER_SIZE_MAX, LINGER_TIMEOUT, SEND_TIMEOUT, TLS_HANDSHAKE_TIMEOUT, size,
};
use crate::outcome::{Cause, RequestEcho, render};
use crate::ring::clock::Now;
use crate::route::{self, Endpoint, RouteError, Unkept};
use crate::tls::TlsFault;

/// A refused body of this size or less is read away, so that the connection lives on.
const DISCARD_SIZE_MAX: u64 = 64 * KIB as u64;

impl Connection {
    /// Uses as many of `bytes` as it can now and answers how many.
    pub(super) fn consume(&mut self, bytes: &[u8], context: &mut Context<'_>) -> usize {
        let mut used = 0;
        let work = context.ingest.work();
        while used < bytes.len() {
            if context.ingest.work() != work && context.ingest.has_worked_enough() {
                self.yields = true;
                *context.is_busy = true;
                break;
            }
            let rest = &bytes[used..];
            let step = match &mut self.phase {
                Phase::ExpectHead { .. } if self.is_fresh && rest.starts_with(b"PRI ") => {
                    self.begin_http2(context.now);
                    Some(0)
                }
                Phase::Http2 { .. } => self.consume_http2(rest, context),
                Phase::ExpectHead { .. } => {
                    if !self.may_begin() {
                        self.is_blocked = !self.is_last;
                        break;
                    }
                    self.consume_head(rest, context)
                }
                Phase::ExpectBody { body } if body.is_chunked() => {
                    Some(self.consume_chunked(rest, context))
                }
                Phase::ExpectBody { body } => {
                    let count = body.missing().min(rest.len());
                    body.append(&rest[..count]);
                    self.since_nanos = body.note_progress(count, self.since_nanos, context.now);
                    if body.is_complete() {
                        self.finish_body(context);
                    }
                    Some(count)
                }
                Phase::ExpectCut { .. } => self.consume_cut(rest, context),
                Phase::Discard { .. } => Some(self.consume_discarded(rest, context)),
                Phase::Linger { discarded } => {
                    *discarded += rest.len();
                    if *discarded > LINGER_SIZE_MAX {
                        self.phase = Phase::Ended;
                    }
                    Some(rest.len())
                }
                Phase::AwaitBudget { .. } => None,
                Phase::Ended => Some(rest.len()),
            };
            match step {
                Some(count) => used += count,
                None => break,
            }
        }
        used
    }

    pub(super) fn expect_head(&mut self, now: Now) {
        self.phase = Phase::ExpectHead { scan: HeadScan::default() };
        self.since_nanos = now.monotonic_nanos;
        self.head_begun = false;
    }

    /// Reads a head, and its body if all of that is there. `None`: the head is not complete.
    fn consume_head(&mut self, bytes: &[u8], context: &mut Context<'_>) -> Option<usize> {
        let Phase::ExpectHead { scan } = &mut self.phase else { return None };
        let mut scan = std::mem::take(scan);
        match parse(bytes, context.options, &mut scan) {
            Ok(Parsed::NeedMore) => {
                if !self.head_begun {
                    self.head_begun = true;
                    self.since_nanos = context.now.monotonic_nanos;
                }
                self.phase = Phase::ExpectHead { scan };
                None
            }
            Ok(Parsed::Item { value: head, size }) => {
                self.head_begun = false;
                self.is_fresh = false;
                let body = &bytes[size..];
                Some(size + self.handle_head(&head, body, context))
            }
            Err(error) => {
                // HEAD never gets a body (RFC 9110, section 9.3.2), whatever else is wrong.
                let head_only = bytes.trim_ascii_start().starts_with(b"HEAD ");
                self.refuse_unreadable(Cause::Head(error), head_only, bytes, context);
                Some(bytes.len())
            }
        }
    }

    /// Decides about a request and answers how many of the bytes behind its head were used.
    fn handle_head(
        &mut self,
        head: &RequestHead<'_>,
        rest: &[u8],
        context: &mut Context<'_>,
    ) -> usize {
        let selected = route::select(head);
        let endpoint = selected.ok();
        let now_millis = context.now.wall_nanos / 1_000_000;
        let echo = RequestEcho::new(head, selected, now_millis);
        let reply_to = ReplyTo {
            version: head.version,
            head_only: head.method == Method::Head,
            close: !keeps_alive(head) || context.ingest.is_draining,
        };
        let exchange = Exchange::new(&echo, reply_to);
        let ingested = match endpoint {
            Some(Endpoint::Ingest(route)) => Some(route),
            _ => None,
        };
        context.counters.requests[crate::counters::endpoint_index(ingested)].add_own(1);
        // What follows a request that ends the connection is not a request.
        self.is_last |= reply_to.close;
        let framing = match body_framing(head) {
            Ok(framing) => framing,
            Err(error) => {
                self.refuse_framing(exchange, error, context);
                return rest.len();
            }
        };
        let expects_continue = match expects_continue(head) {
            Ok(expects) => expects,
            Err(error) => {
                let sequence = self.pipeline.push(exchange);
                let cause = Cause::Head(error);
                return self.refuse(sequence, ingested, cause, framing, rest, context);
            }
        };
        if let Err(RouteError::NotFound { .. }) = selected {
            context.counters.count_unknown_path(head.path);
        }
        let admitted = match selected {
            Ok(endpoint) => context.ingest.admit(head, endpoint, framing, &mut self.peer),
            Err(error) => Err(Cause::Route(error)),
        };
        if matches!(admitted, Err(Cause::Preflight | Cause::Options)) {
            // The only replies that repeat header names, of which an exchange keeps none.
            return self.answer_at_once(exchange, &echo, admitted.err(), framing, rest, context);
        }
        let sequence = self.pipeline.push(exchange);
        match admitted {
            Err(Cause::Unkept) => {
                self.read_away(sequence, endpoint, framing, context);
                self.continue_due = expects_continue && rest.is_empty();
                0
            }
            // A peer that waits for 100 may or may not send its body now: no way to tell.
            Err(cause) if expects_continue => {
                note_refusal(ingested, &cause, context);
                self.pipeline.settle(sequence, cause);
                self.end_with_linger(context.now);
                rest.len()
            }
            Err(cause) => self.refuse(sequence, ingested, cause, framing, rest, context),
            Ok(admission) => {
                self.continue_due = expects_continue && rest.is_empty();
                self.accept(sequence, admission, framing, rest, context)
            }
        }
    }

    /// Answers a request whose body is read and not kept.
    fn read_away(
        &mut self,
        sequence: u64,
        endpoint: Option<Endpoint>,
        framing: BodyFraming,
        context: &mut Context<'_>,
    ) {
        if let Some(Endpoint::Unkept(unkept)) = endpoint
            && let Some(place) = Unkept::ALL.into_iter().position(|known| known == unkept)
        {
            context.counters.unkept[place].add_own(1);
        }
        match framing {
            BodyFraming::Length(length) if length > BODY_SIZE_MAX as u64 => {
                self.pipeline.settle(sequence, Cause::BodyTooLarge);
                self.end_with_linger(context.now);
            }
            BodyFraming::Empty | BodyFraming::Length(0) => {
                self.pipeline.settle(sequence, Cause::Unkept);
                self.expect_head(context.now);
            }
            _ => self.begin_discard(DiscardedBody::awaited(framing, sequence), context.now),
        }
    }

    /// Takes an admitted body: whole, if it came with the head, else into memory of the pool.
    fn accept(
        &mut self,
        sequence: u64,
        admission: Admission,
        framing: BodyFraming,
        rest: &[u8],
        context: &mut Context<'_>,
    ) -> usize {
        let length = match framing {
            BodyFraming::Empty => Some(0),
            BodyFraming::Length(length) => Some(length),
            BodyFraming::Chunked => None,
        };
        if let Some(body) = length.and_then(|length| rest.get(..size(length))) {
            self.prefers_single = false;
            let arrival = context.now.wall_nanos;
            let taken = context.ingest.take_slice(&admission, body, arrival, context.pool);
            let used = body.len();
            self.expect_head(context.now);
            self.handle_taken(sequence, admission, taken, context);
            return used;
        }
        if admission.route.is_cut() && !admission.is_tried_whole(length) {
            let body = CutBody::new(admission, sequence, framing, context.ingest.envelope());
            self.begin_cut(body, context);
            return 0;
        }
        let alignment = context.ingest.writer.alignment();
        let state = BodyState::new(admission, sequence, length, alignment);
        let mut body = match self.spare_body.take() {
            Some(mut body) => {
                *body = state;
                body
            }
            None => Box::new(state),
        };
        self.since_nanos = context.now.monotonic_nanos;
        match context.pool.acquire_body(body.needed()) {
            Ok(buffer) => {
                body.begin(buffer, context.ingest.envelope());
                self.phase = Phase::ExpectBody { body };
            }
            Err(_) => {
                let needed = body.needed();
                let envelope = context.ingest.envelope().to_vec();
                self.phase = Phase::AwaitBudget { body, envelope, needed };
            }
        }
        0
    }

    /// Tries again what a parked body waits for.
    pub fn retry_parked(&mut self, context: &mut Context<'_>) {
        if self.awaits_handshake {
            return self.retry_handshake(context);
        }
        if std::mem::take(&mut self.yields) {
            self.resume(context);
            self.end_behind_stash(context);
        }
        if matches!(self.phase, Phase::ExpectCut { .. }) {
            return self.retry_cut(context);
        }
        if let Phase::Http2 { http2 } = &mut self.phase {
            let mut wire = Wire { out: &mut self.out, peer: &mut self.peer };
            http2.retry(&mut wire, context);
            self.check_http2_end(context.now);
            return;
        }
        let Phase::AwaitBudget { needed, .. } = &self.phase else { return };
        let Ok(buffer) = context.pool.acquire_body(*needed) else { return };
        if let Phase::AwaitBudget { mut body, envelope, .. } =
            std::mem::replace(&mut self.phase, Phase::Ended)
        {
            body.begin(buffer, &envelope);
            self.phase = Phase::ExpectBody { body };
            self.since_nanos = context.now.monotonic_nanos;
            self.resume(context);
        }
    }

    fn consume_chunked(&mut self, bytes: &[u8], context: &mut Context<'_>) -> usize {
        let Phase::ExpectBody { body } = &mut self.phase else { return bytes.len() };
        let step = body.chunked.step(bytes);
        // A size that cannot fit is refused when it is announced, not when it has come.
        let announced = body.chunked.announced().saturating_add(body.body_length() as u64);
        if step.is_ok() && announced > body.admission.body_limit as u64 {
            return self.refuse_body(Cause::BodyTooLarge, bytes, context);
        }
        match step {
            Ok(ChunkStep::NeedMore { consumed }) => {
                self.since_nanos = body.note_progress(consumed, self.since_nanos, context.now);
                consumed
            }
            Ok(ChunkStep::Data { start, end }) => {
                let data = &bytes[start..end];
                if body.body_length() + data.len() > body.admission.body_limit {
                    return self.refuse_body(Cause::BodyTooLarge, bytes, context);
                }
                if body.append_growing(data, context.pool).is_err() {
                    let cause = Cause::Overloaded { retry_after_seconds: 1 };
                    return self.refuse_body(cause, bytes, context);
                }
                self.since_nanos = body.note_progress(end, self.since_nanos, context.now);
                end
            }
            Ok(ChunkStep::End { consumed }) => {
                self.finish_body(context);
                consumed
            }
            Err(error) => self.refuse_body(Cause::Chunk(error), bytes, context),
        }
    }

    /// The body is complete: through content and decode into the journal.
    pub(super) fn finish_body(&mut self, context: &mut Context<'_>) {
        let Phase::ExpectBody { mut body } = std::mem::replace(&mut self.phase, Phase::Ended)
        else {
            return;
        };
        self.expect_head(context.now);
        let Some(buffer) = body.take_buffer() else { return };
        let arrival = context.now.wall_nanos;
        let taken = context.ingest.take_entry(&body.admission, buffer, arrival, context.pool);
        self.handle_taken(body.sequence, body.admission.clone(), taken, context);
        self.spare_body = Some(body);
    }

    fn handle_taken(
        &mut self,
        sequence: u64,
        admission: Admission,
        taken: Taken,
        context: &mut Context<'_>,
    ) {
        if let Some(told) = context.ingest.firehose_told(admission.route) {
            context.counters.firehose_metrics.add_own(told.metric_count);
            self.pipeline.note_firehose_request_id(sequence, &told.request_id);
        }
        match hand_over(sequence, admission, taken, None, context) {
            HandedOver::Waits => {}
            HandedOver::Refused(cause) => self.pipeline.settle(sequence, cause),
            HandedOver::Cut(body) => self.begin_cut(body, context),
        }
    }

    // ── Refusals ──────────────────────────────────────────────────────────────────────────────

    /// Answers a request whose body is not wanted, and makes sure that the body is never taken for
    /// the next request.
    fn refuse(
        &mut self,
        sequence: u64,
        route: Option<Route>,
        cause: Cause,
        framing: BodyFraming,
        rest: &[u8],
        context: &mut Context<'_>,
    ) -> usize {
        note_refusal(route, &cause, context);
        self.pipeline.settle(sequence, cause);
        match framing {
            BodyFraming::Empty => {
                self.expect_head(context.now);
                0
            }
            BodyFraming::Length(length) if length <= DISCARD_SIZE_MAX => {
                self.begin_discard(DiscardedBody::answered(length), context.now);
                0
            }
            _ => {
                self.end_with_linger(context.now);
                rest.len()
            }
        }
    }

    /// Answers in the middle of a body and ends the connection.
    fn refuse_body(&mut self, cause: Cause, bytes: &[u8], context: &mut Context<'_>) -> usize {
        if let Phase::ExpectBody { body } | Phase::AwaitBudget { body, .. } = &mut self.phase {
            note_refusal(Some(body.admission.route), &cause, context);
            let sequence = body.sequence;
            if let Some(buffer) = body.take_buffer() {
                context.pool.release(buffer);
            }
            self.pipeline.settle(sequence, cause);
        }
        self.end_with_linger(context.now);
        bytes.len()
    }

    fn refuse_framing(&mut self, exchange: Exchange, error: HeadError, context: &mut Context<'_>) {
        let cause = Cause::Head(error);
        note_refusal(exchange.route(), &cause, context);
        let sequence = self.pipeline.push(exchange);
        self.pipeline.settle(sequence, cause);
        self.end_with_linger(context.now);
    }

    /// `bytes`: what came of the head.
    fn refuse_unreadable(
        &mut self,
        cause: Cause,
        head_only: bool,
        bytes: &[u8],
        context: &mut Context<'_>,
    ) {
        note_refusal(None, &cause, context);
        let sequence = self.pipeline.push(Exchange::unreadable(head_only, bytes));
        self.pipeline.settle(sequence, cause);
        self.end_with_linger(context.now);
    }

    /// After the replies that are due the connection ends; what still comes is read away.
    pub(super) fn end_with_linger(&mut self, now: Now) {
        self.pipeline.close_after_last();
        self.is_last = true;
        self.phase = Phase::Linger { discarded: 0 };
        self.since_nanos = now.monotonic_nanos;
    }

    fn answer_at_once(
        &mut self,
        exchange: Exchange,
        echo: &RequestEcho<'_>,
        cause: Option<Cause>,
        framing: BodyFraming,
        rest: &[u8],
        context: &mut Context<'_>,
    ) -> usize {
        let cause = cause.unwrap_or(Cause::Internal);
        if !self.pipeline.is_empty() {
            // Not the next reply: it goes without the repeated names.
            let sequence = self.pipeline.push(exchange);
            return self.refuse(sequence, None, cause, framing, rest, context);
        }
        render(echo, &cause, context.reply);
        encode(context.reply, exchange.reply_to, context.date, &mut self.out);
        if exchange.reply_to.close {
            self.is_last = true;
        }
        match framing {
            BodyFraming::Empty => {
                self.expect_head(context.now);
                0
            }
            BodyFraming::Length(length) if length <= DISCARD_SIZE_MAX => {
                self.begin_discard(DiscardedBody::answered(length), context.now);
                0
            }
            _ => {
                self.end_with_linger(context.now);
                rest.len()
            }
        }
    }

    // ── Replies and deadlines ─────────────────────────────────────────────────────────────────

    pub(super) fn write_replies(&mut self, context: &mut Context<'_>) {
        let mut has_replied = false;
        while let Some((exchange, cause)) = self.pipeline.pop_settled() {
            has_replied = true;
            let now_millis = context.now.wall_nanos / 1_000_000;
            render(&exchange.echo(now_millis), &cause, context.reply);
            let mut reply_to = exchange.reply_to;
            reply_to.close |= context.reply.close || (self.is_last && self.pipeline.is_empty());
            encode(context.reply, reply_to, context.date, &mut self.out);
            if reply_to.close {
                self.is_last = true;
                if matches!(self.phase, Phase::ExpectHead { .. }) {
                    self.phase = Phase::Linger { discarded: 0 };
                    self.since_nanos = context.now.monotonic_nanos;
                    self.stash.clear();
                }
            }
        }
        if has_replied && !self.head_begun && matches!(self.phase, Phase::ExpectHead { .. }) {
            // The idle time counts from the last reply.
            self.since_nanos = context.now.monotonic_nanos;
        }
    }

    /// Looks at the clock: called a few times a second. True when memory was given back, as the connection
    /// is idle.
    pub fn handle_time(&mut self, context: &mut Context<'_>) -> bool {
        let was_trimmed = self.is_trimmed;
        self.check_time(context);
        self.is_trimmed && !was_trimmed
    }

    fn check_time(&mut self, context: &mut Context<'_>) {
        let now = context.now.monotonic_nanos;
        let nanos =
            |duration: std::time::Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let waited = now.saturating_sub(self.since_nanos);
        if (self.is_sending || self.unsent() > 0)
            && now.saturating_sub(self.send_since_nanos) > nanos(SEND_TIMEOUT)
        {
            self.is_closing = true;
            return;
        }
        if let Some(tls) = &self.tls
            && tls.is_handshaking()
            && !tls.has_failed()
        {
            if waited > nanos(TLS_HANDSHAKE_TIMEOUT) {
                if !tls.is_untouched() {
                    self.note_tls_fault(TlsFault::Timeout, context);
                }
                self.is_closing = true;
            }
            return;
        }
        let is_idle = self.is_idle();
        match &mut self.phase {
            Phase::ExpectHead { .. } if self.head_begun => {
                if waited > nanos(HEAD_TIMEOUT) {
                    let begun = std::mem::take(&mut self.stash);
                    self.refuse_unreadable(Cause::HeadTimeout, false, &begun, context);
                }
            }
            Phase::ExpectHead { .. } if is_idle => {
                if waited > nanos(IDLE_TIMEOUT) {
                    self.is_last = true;
                    self.phase = Phase::Ended;
                } else if waited > nanos(IDLE_TRIM) && !self.is_trimmed {
                    self.trim();
                }
            }
            Phase::ExpectHead { .. } => {}
            Phase::ExpectBody { .. } => {
                if waited > nanos(BODY_RATE_WINDOW) {
                    self.refuse_body(Cause::BodyTimeout, &[], context);
                }
            }
            Phase::ExpectCut { .. } => self.check_cut_time(waited, context),
            Phase::AwaitBudget { .. } => {
                if waited > nanos(BODY_BUDGET_TIMEOUT) {
                    let cause = Cause::Overloaded { retry_after_seconds: 1 };
                    self.refuse_body(cause, &[], context);
                }
            }
            Phase::Discard { .. } => {
                if waited > nanos(BODY_RATE_WINDOW) {
                    self.give_up_discard(context.now);
                }
            }
            Phase::Linger { .. } => {
                if waited > nanos(LINGER_TIMEOUT) && self.half_closed {
                    self.phase = Phase::Ended;
                }
            }
            Phase::Http2 { http2 } => {
                let mut wire = Wire { out: &mut self.out, peer: &mut self.peer };
                http2.handle_time(&mut wire, context);
                if http2.is_idle_for(nanos(IDLE_TRIM), now) && !self.is_trimmed {
                    self.trim();
                }
                self.check_http2_end(context.now);
            }
            Phase::Ended => {}
        }
    }
}

/// What a complete body became.
pub(super) enum HandedOver {
    /// Its answer comes with a commit, or from a large-body thread.
    Waits,
    Refused(Cause),
    /// Small as it came, but of more blocks than one.
    Cut(CutBody),
}

/// Passes on what `Ingest` made of a complete body. Behind its deadline, monotonic, nobody wants it any
/// more.
pub(super) fn hand_over(
    sequence: u64,
    admission: Admission,
    taken: Taken,
    deadline_nanos: Option<u64>,
    context: &mut Context<'_>,
) -> HandedOver {
    let records = |kept| Records {
        route: admission.route,
        kept,
        counters: std::sync::Arc::clone(&admission.tenant.counters),
    };
    match taken {
        Taken::Refused(cause) => {
            note_refusal(Some(admission.route), &cause, context);
            return HandedOver::Refused(cause);
        }
        Taken::Appended { ticket, verdict } => {
            let route = admission.route;
            context.refusals.note_rejected(context.counters, route, &verdict, context.now);
            context.waiting.push_back(Waiting {
                ticket,
                connection: context.id,
                sequence,
                cause: Some(Cause::Acknowledged(verdict)),
                records: records(verdict.kept()),
            });
        }
        Taken::Large { entry } if admission.route.is_cut() => {
            let content = &entry.as_slice()[ENTRY_HEADER_SIZE..];
            let (envelope, body) = content.split_at(admission.envelope_length);
            let cut = CutBody::from_whole(admission, sequence, envelope, body);
            context.pool.release(entry);
            return HandedOver::Cut(cut);
        }
        Taken::Large { entry } => context.large.push(LargeJob {
            connection: context.id,
            sequence,
            entry,
            envelope_length: admission.envelope_length,
            deadline_nanos,
            records: records(0),
        }),
    }
    HandedOver::Waits
}

pub(super) fn note_refusal(route: Option<Route>, cause: &Cause, context: &mut Context<'_>) {
    if cause.is_refusal() {
        context.counters.refuse(route, cause.metric_label());
        context.refusals.note(route, cause, context.now);
    }
}
