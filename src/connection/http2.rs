//! HTTP/2 on a connection: from streams to requests, and from answers to streams.
//!
//! ```text
//!            ┌─ whole in one piece ──────────────────────────────┐
//! Head ─ admit ─▶ Fresh ─▶ Collected (memory of the pool) ───────┴▶ Ingest ─▶ Waiting ─▶ reply
//!            │        └──▶ Cut (blocks, any size) ───────────────────┘
//!            └─ refused: reply at once, the rest of the body is cut off
//! ```

use super::http1::{HandedOver, hand_over, note_refusal};
use super::{BodyState, Context, CutBody, CutStep, Exchange};
use crate::envelope::{Codings, Route};
use crate::http::Version;
use crate::http::grpc::{self, GrpcFault, MessageReader};
use crate::http::head::RequestHead;
use crate::http::http1::framing::BodyFraming;
use crate::http::http1::head::HeadError;
use crate::http::http1::reply::ReplyTo;
use crate::http::http2::head::Head;
use crate::http::http2::hpack::{FieldList, encode};
use crate::http::http2::{ErrorCode, Event, Session, SessionError, Step};
use crate::http::reply::{Reply, Value};
use crate::ingest::{Admission, Ingest, Peer};
use crate::limits::{
    BODY_BUDGET_TIMEOUT, BODY_RATE_WINDOW, BODY_SIZE_MAX, HEAD_TIMEOUT, HTTP2_STREAM_WINDOW_MAX,
    IDLE_TIMEOUT, KIB, MIB, REPLIES_SIZE_MAX, SEND_TIMEOUT, TURN_WORK_MAX, size,
};
use crate::outcome::{Cause, RequestEcho, render};
use crate::ring::clock::Now;
use crate::route::{self, Endpoint, RouteError, Unkept};

/// What a stream of a cut body may send ahead of its blocks.
const CUT_WINDOW: u32 = 256 * 1024;
/// A health check names a service.
const HEALTH_SIZE_MAX: usize = KIB;
/// What a message's prefix may take at once; with its front it fits the class of 256 KiB.
const MESSAGE_SIZE_AT_ONCE: usize = 248 * KIB;
/// Memory of a body grows when less room than this is left.
const GROW_AHEAD_SIZE: usize = 64 * KIB;

/// Memory that replies and heads of all connections of a shard use in turn.
#[derive(Default)]
pub struct Http2Scratch {
    fields: FieldList,
    head: Vec<u8>,
    trailers: Vec<u8>,
    message: Vec<u8>,
}

/// What a connection lends to its HTTP/2 side.
pub struct Wire<'a> {
    pub out: &'a mut Vec<u8>,
    pub peer: &'a mut Peer,
}

/// A request's body on its way.
enum Body {
    /// Admitted just now; its envelope still stands in `Ingest`.
    Fresh {
        admission: Admission,
        length: Option<u64>,
        reader: Option<MessageReader>,
    },
    Collected(Box<Collected>),
    /// `held` came while the body could not go on.
    Cut {
        body: Box<CutBody>,
        held: Vec<u8>,
        has_ended: bool,
    },
    /// Read away, then answered.
    Discarded {
        cause: Cause,
        received: u64,
    },
    /// A health check; the coding is that of compressed messages.
    Health {
        reader: MessageReader,
        codings: Codings,
        message: Vec<u8>,
    },
    /// Complete; the answer comes with a commit, or from a large-body thread.
    Waiting,
}

struct Collected {
    state: BodyState,
    reader: Option<MessageReader>,
    /// In front of the body, while there is no memory for either.
    envelope: Vec<u8>,
    /// Came when there was no memory: at most what the stream's window let through.
    held: Vec<u8>,
    is_parked: bool,
    has_ended: bool,
}

struct Stream {
    id: u32,
    exchange: Exchange,
    body: Body,
    /// Its sender took it back while it waited.
    is_orphan: bool,
    since_nanos: u64,
    /// Of a gRPC call, monotonic.
    deadline_nanos: Option<u64>,
}

/// The HTTP/2 side of a connection.
pub struct Http2 {
    session: Session,
    /// By rising id.
    streams: Vec<Stream>,
    /// The stream whose envelope stands in `Ingest`.
    fresh: Option<u32>,
    settled: Vec<(u32, Cause)>,
    spare: Option<Box<Collected>>,
    /// Bytes of bodies that wait outside the pool.
    held: usize,
    /// The last frame, or when the present half of one began.
    since_nanos: u64,
    /// The beginning of a frame waits for its rest.
    is_partial: bool,
    /// Since when the peer's windows let nothing of the waiting replies through, and what had gone then.
    pending_since: Option<(u64, u64)>,
    /// A fault ended it, or it was drained: what is in `out` is the last.
    has_ended: bool,
}

impl Http2 {
    pub fn new(now: Now) -> Self {
        Self {
            session: Session::new(now.monotonic_nanos),
            streams: Vec::new(),
            fresh: None,
            settled: Vec::new(),
            spare: None,
            held: 0,
            since_nanos: now.monotonic_nanos,
            is_partial: false,
            pending_since: None,
            has_ended: false,
        }
    }

    pub const fn has_ended(&self) -> bool {
        self.has_ended
    }

    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    pub fn is_stalled(&self) -> bool {
        self.streams.iter().any(|stream| match &stream.body {
            Body::Cut { body, .. } => body.is_stalled(),
            Body::Collected(collected) => collected.is_parked,
            _ => false,
        })
    }

    /// Bytes that wait outside the pool: bodies without memory, and half a header block.
    pub fn held(&self) -> usize {
        self.held + self.session.held()
    }

    pub fn is_idle_for(&self, nanos: u64, now_nanos: u64) -> bool {
        self.session.is_empty() && now_nanos.saturating_sub(self.since_nanos) > nanos
    }

    /// Gives back what an idle connection does not need.
    pub fn trim(&mut self) {
        self.streams.shrink_to_fit();
        self.settled.shrink_to_fit();
        self.spare = None;
        self.session.trim();
    }

    fn find(&self, id: u32) -> Option<usize> {
        self.streams.binary_search_by_key(&id, |stream| stream.id).ok()
    }

    // ── What came ─────────────────────────────────────────────────────────────────────────────

    /// Uses as many of `bytes` as it can now and answers how many.
    pub fn consume(
        &mut self,
        bytes: &[u8],
        wire: &mut Wire<'_>,
        context: &mut Context<'_>,
    ) -> usize {
        let now = context.now.monotonic_nanos;
        let mut fields = std::mem::take(&mut context.http2.fields);
        let mut used = 0;
        let work = context.ingest.work();
        self.is_partial = false;
        // A peer that reads no replies is not read either, and one that brings much work has its share.
        while !self.has_ended
            && wire.out.len() <= REPLIES_SIZE_MAX
            && (context.ingest.work() == work || !context.ingest.has_worked_enough())
        {
            let rest = &bytes[used..];
            match self.session.step(rest, &mut fields, wire.out, now) {
                Ok(Step { used: 0, event: None }) => {
                    self.is_partial = !rest.is_empty();
                    break;
                }
                Ok(step) => {
                    used += step.used;
                    if self.session.is_between_frames() {
                        self.since_nanos = now;
                    }
                    if let Some(event) = step.event {
                        self.handle(event, wire, context);
                    }
                }
                Err(error) => {
                    self.fail(&error, wire.out, context);
                    used = bytes.len();
                }
            }
        }
        context.http2.fields = fields;
        self.keep_fresh(wire, context);
        self.count_held();
        used
    }

    fn count_held(&mut self) {
        self.held = self
            .streams
            .iter()
            .map(|stream| match &stream.body {
                Body::Cut { held, .. } => held.capacity(),
                Body::Collected(collected) => collected.held.capacity(),
                _ => 0,
            })
            .sum();
    }

    fn fail(&mut self, error: &SessionError, out: &mut Vec<u8>, context: &mut Context<'_>) {
        if let Some(abuse) = error.abuse {
            context.counters.http2_abuse[abuse.place()].add_own(1);
        }
        context.refusals.note_session(error.words, context.now);
        self.session.end(error, out);
        self.release(context.pool);
        self.has_ended = true;
    }

    fn handle(&mut self, event: Event<'_, '_>, wire: &mut Wire<'_>, context: &mut Context<'_>) {
        match event {
            Event::Head { stream, head, ends } => {
                self.keep_fresh(wire, context);
                self.handle_head(stream, &head, ends, wire, context);
            }
            Event::HeadTooLarge { stream, grpc, .. } => {
                context.counters.requests[crate::counters::endpoint_index(None)].add_own(1);
                let cause = Cause::Head(HeadError::HeadSizeOverLimit);
                note_refusal(None, &cause, context);
                let echo = RequestEcho { grpc, ..RequestEcho::default() };
                self.push(stream, &echo, false, Body::Waiting, None, context);
                self.answer(stream, &cause, wire.out, context);
            }
            Event::Data { stream, bytes, ends } => {
                self.handle_data(stream, bytes, ends, wire, context);
            }
            Event::Ended { stream } => self.handle_data(stream, &[], true, wire, context),
            Event::Reset { stream } => self.handle_reset(stream, context),
        }
    }

    fn push(
        &mut self,
        id: u32,
        echo: &RequestEcho<'_>,
        head_only: bool,
        body: Body,
        deadline_nanos: Option<u64>,
        context: &Context<'_>,
    ) {
        let reply_to = ReplyTo { version: Version::Http2, head_only, close: false };
        // Most connections have one at a time, and many connections have none most of the time.
        if self.streams.capacity() == 0 {
            self.streams.reserve_exact(1);
        }
        self.streams.push(Stream {
            id,
            exchange: Exchange::new(echo, reply_to),
            body,
            is_orphan: false,
            since_nanos: context.now.monotonic_nanos,
            deadline_nanos,
        });
    }

    fn handle_head(
        &mut self,
        id: u32,
        head: &Head<'_>,
        ends: bool,
        wire: &mut Wire<'_>,
        context: &mut Context<'_>,
    ) {
        let Head { head, length } = head;
        let selected = route::select(head);
        let endpoint = selected.ok();
        let echo = RequestEcho::new(head, selected, context.now.wall_nanos / 1_000_000);
        let head_only = head.method == crate::http::Method::Head;
        let route = match endpoint {
            Some(Endpoint::Ingest(route)) => Some(route),
            _ => None,
        };
        context.counters.requests[crate::counters::endpoint_index(route)].add_own(1);
        if let Err(RouteError::NotFound { .. }) = selected {
            context.counters.count_unknown_path(head.path);
        }
        let framing = match *length {
            _ if ends => BodyFraming::Empty,
            Some(length) => BodyFraming::Length(length),
            None => BodyFraming::Chunked,
        };
        let timeout = if echo.grpc { grpc::timeout_nanos(&head.fields) } else { Ok(None) };
        let admitted = match (selected, timeout) {
            (Ok(endpoint), Ok(_)) => context.ingest.admit(head, endpoint, framing, wire.peer),
            (Ok(_), Err(fault)) => Err(Cause::Grpc(fault)),
            (Err(error), _) => Err(Cause::Route(error)),
        };
        let deadline =
            timeout.ok().flatten().map(|nanos| context.now.monotonic_nanos.saturating_add(nanos));
        let body = match admitted {
            Err(cause @ (Cause::Preflight | Cause::Options)) => {
                // The only replies that repeat header names, of which an exchange keeps none.
                self.push(id, &echo, head_only, Body::Waiting, None, context);
                render(&echo, &cause, context.reply);
                return self.send_reply(id, wire.out, context);
            }
            Err(Cause::Unkept) => {
                if let Some(Endpoint::Unkept(unkept)) = endpoint
                    && let Some(place) = Unkept::ALL.into_iter().position(|known| known == unkept)
                {
                    context.counters.unkept[place].add_own(1);
                }
                Body::Discarded { cause: Cause::Unkept, received: 0 }
            }
            Err(Cause::Serving(_)) => {
                let (reader, codings) = message_reader(head);
                Body::Health { reader, codings, message: Vec::new() }
            }
            Err(cause) => {
                note_refusal(route, &cause, context);
                self.push(id, &echo, head_only, Body::Waiting, None, context);
                return self.answer(id, &cause, wire.out, context);
            }
            Ok(admission) => {
                self.fresh = Some(id);
                let mut admission = admission;
                let reader = echo.grpc.then(|| {
                    let (reader, codings) = message_reader(head);
                    admission.codings = codings;
                    reader
                });
                Body::Fresh { admission, length: *length, reader }
            }
        };
        self.push(id, &echo, head_only, body, deadline, context);
        if ends {
            return self.handle_data(id, &[], true, wire, context);
        }
        if head
            .fields
            .first("expect")
            .is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"))
        {
            context.http2.head.clear();
            encode::status(100, &mut context.http2.head);
            self.session.interim(id, &context.http2.head, wire.out);
        }
        // Memory for a stated length is taken in one piece; a message's is not known yet.
        if let (Some(length), false) = (*length, echo.grpc) {
            self.session.expect(id, length, HTTP2_STREAM_WINDOW_MAX, wire.out);
        }
    }

    /// The envelope of a request moves out of `Ingest` before the next one takes its place.
    fn keep_fresh(&mut self, wire: &mut Wire<'_>, context: &mut Context<'_>) {
        let Some(id) = self.fresh.take() else { return };
        let Some(place) = self.find(id) else { return };
        let stream = &mut self.streams[place];
        if !matches!(stream.body, Body::Fresh { .. }) {
            return;
        }
        let Body::Fresh { admission, length, reader } =
            std::mem::replace(&mut stream.body, Body::Waiting)
        else {
            return;
        };
        let sequence = u64::from(id);
        if admission.route.is_cut() && !admission.is_tried_whole(length) {
            let mut body = Box::new(CutBody::open(admission, sequence, context.ingest.envelope()));
            let step = body.advance(&mut stream.since_nanos, context);
            stream.body = Body::Cut { body, held: Vec::new(), has_ended: false };
            return self.finish_cut_step(id, step, wire, context);
        }
        let alignment = context.ingest.writer.alignment();
        let mut collected = Collected {
            state: BodyState::new(admission, sequence, length, alignment),
            reader,
            envelope: Vec::new(),
            held: Vec::new(),
            is_parked: false,
            has_ended: false,
        };
        match context.pool.acquire_body(collected.state.needed()) {
            Ok(buffer) => collected.state.begin(buffer, context.ingest.envelope()),
            Err(_) if context.is_crowded => {
                let cause = Cause::Overloaded { retry_after_seconds: 1 };
                return self.refuse(id, cause, wire, context);
            }
            Err(_) => {
                collected.is_parked = true;
                collected.envelope = context.ingest.envelope().to_vec();
            }
        }
        stream.body = Body::Collected(match self.spare.take() {
            Some(mut spare) => {
                *spare = collected;
                spare
            }
            None => Box::new(collected),
        });
    }

    fn handle_data(
        &mut self,
        id: u32,
        bytes: &[u8],
        ends: bool,
        wire: &mut Wire<'_>,
        context: &mut Context<'_>,
    ) {
        let Some(place) = self.find(id) else { return };
        if let Body::Fresh { .. } = &self.streams[place].body {
            if ends {
                return self.take_whole(place, bytes, wire, context);
            }
            self.keep_fresh(wire, context);
        }
        // The place may be gone with a refusal.
        let Some(place) = self.find(id) else { return };
        let stream = &mut self.streams[place];
        let now = context.now.monotonic_nanos;
        match &mut stream.body {
            Body::Fresh { .. } | Body::Waiting => {}
            Body::Discarded { cause, received } => {
                *received += bytes.len() as u64;
                let cause =
                    if *received > BODY_SIZE_MAX as u64 { Cause::BodyTooLarge } else { *cause };
                stream.since_nanos = now;
                if ends || matches!(cause, Cause::BodyTooLarge) {
                    self.answer(id, &cause, wire.out, context);
                } else {
                    self.session.expect(id, MIB as u64, HTTP2_STREAM_WINDOW_MAX, wire.out);
                }
            }
            Body::Health { reader, codings, message } => {
                let read = reader.read_prefix(bytes).and_then(|content| {
                    reader.note_content(content.len())?;
                    if message.len() + content.len() > HEALTH_SIZE_MAX {
                        return Err(GrpcFault::MessageTooLarge);
                    }
                    message.extend_from_slice(content);
                    if ends { reader.check_end() } else { Ok(()) }
                });
                let cause = match read {
                    Err(fault) => Cause::Grpc(fault),
                    Ok(()) if !ends => return,
                    Ok(()) => check_health(reader, *codings, message, context.ingest),
                };
                self.answer(id, &cause, wire.out, context);
            }
            Body::Cut { held, has_ended, .. } => {
                held.extend_from_slice(bytes);
                *has_ended |= ends;
                self.advance_cut(id, wire, context);
            }
            Body::Collected(collected) => {
                let was_parked = collected.is_parked;
                match collected.append(bytes, ends, context) {
                    Err(cause) => self.refuse(id, cause, wire, context),
                    Ok(()) if collected.is_parked => {
                        if !was_parked {
                            stream.since_nanos = now;
                        }
                    }
                    Ok(()) if ends => self.finish_body(place, wire, context),
                    Ok(()) => {
                        stream.since_nanos = collected.state.note_progress(
                            bytes.len(),
                            stream.since_nanos,
                            context.now,
                        );
                        let wanted = collected.wanted();
                        self.session.expect(id, wanted, HTTP2_STREAM_WINDOW_MAX, wire.out);
                    }
                }
            }
        }
    }

    /// A body that came in one piece right behind its head.
    fn take_whole(
        &mut self,
        place: usize,
        bytes: &[u8],
        wire: &mut Wire<'_>,
        context: &mut Context<'_>,
    ) {
        self.fresh = None;
        let stream = &mut self.streams[place];
        let (id, deadline) = (stream.id, stream.deadline_nanos);
        let Body::Fresh { mut admission, reader, .. } =
            std::mem::replace(&mut stream.body, Body::Waiting)
        else {
            return;
        };
        let content = match reader {
            None if bytes.len() > admission.body_limit => Err(Cause::BodyTooLarge),
            None => Ok(bytes),
            Some(mut reader) => whole_message(&mut reader, bytes, &mut admission),
        };
        let content = content.and_then(|content| {
            check_deadline(deadline, context.now)?;
            Ok(content)
        });
        let content = match content {
            Ok(content) => content,
            Err(cause) => return self.refuse_of(id, admission.route, cause, wire, context),
        };
        let arrival = context.now.wall_nanos;
        let taken = context.ingest.take_slice(&admission, content, arrival, context.pool);
        self.note_firehose(id, admission.route, context);
        let handed = hand_over(u64::from(id), admission, taken, deadline, context);
        self.handle_handed(id, handed, wire, context);
    }

    /// A collected body is complete.
    fn finish_body(&mut self, place: usize, wire: &mut Wire<'_>, context: &mut Context<'_>) {
        let stream = &mut self.streams[place];
        let (id, deadline) = (stream.id, stream.deadline_nanos);
        let Body::Collected(mut collected) = std::mem::replace(&mut stream.body, Body::Waiting)
        else {
            return;
        };
        let Some(buffer) = collected.state.take_buffer() else { return };
        let admission = collected.state.admission.clone();
        if let Err(cause) = check_deadline(deadline, context.now) {
            context.pool.release(buffer);
            return self.refuse_of(id, admission.route, cause, wire, context);
        }
        let arrival = context.now.wall_nanos;
        let taken = context.ingest.take_entry(&admission, buffer, arrival, context.pool);
        self.note_firehose(id, admission.route, context);
        self.spare = Some(collected);
        // Whoever waits for memory waits for this one's: it is not for nothing.
        for stream in &mut self.streams {
            if matches!(&stream.body, Body::Collected(collected) if collected.is_parked) {
                stream.since_nanos = context.now.monotonic_nanos;
            }
        }
        let handed = hand_over(u64::from(id), admission, taken, deadline, context);
        self.handle_handed(id, handed, wire, context);
    }

    fn note_firehose(&mut self, id: u32, route: Route, context: &Context<'_>) {
        if let Some(told) = context.ingest.firehose_told(route)
            && let Some(place) = self.find(id)
        {
            context.counters.firehose_metrics.add_own(told.metric_count);
            self.streams[place].exchange.note_firehose_request_id(&told.request_id);
        }
    }

    fn handle_handed(
        &mut self,
        id: u32,
        handed: HandedOver,
        wire: &mut Wire<'_>,
        context: &mut Context<'_>,
    ) {
        match handed {
            HandedOver::Waits => {}
            HandedOver::Refused(cause) => self.answer(id, &cause, wire.out, context),
            HandedOver::Cut(body) => {
                let Some(place) = self.find(id) else { return };
                self.streams[place].body =
                    Body::Cut { body: Box::new(body), held: Vec::new(), has_ended: true };
                self.advance_cut(id, wire, context);
            }
        }
    }

    // ── Bodies that are cut ───────────────────────────────────────────────────────────────────

    fn advance_cut(&mut self, id: u32, wire: &mut Wire<'_>, context: &mut Context<'_>) {
        let step = loop {
            let Some(place) = self.find(id) else { return };
            let stream = &mut self.streams[place];
            let Body::Cut { body, held, has_ended } = &mut stream.body else { return };
            let count = body.fits().min(held.len());
            if count > 0 {
                body.push(&held[..count]);
                held.drain(..count);
                stream.since_nanos = body.note_progress(count, stream.since_nanos, context.now);
            }
            if held.is_empty() && *has_ended {
                body.end();
            }
            match body.advance(&mut stream.since_nanos, context) {
                CutStep::Hungry if !held.is_empty() => {}
                step => break step,
            }
        };
        if matches!(step, CutStep::Hungry) {
            self.session.expect(id, u64::from(CUT_WINDOW), CUT_WINDOW, wire.out);
        }
        self.finish_cut_step(id, step, wire, context);
    }

    fn finish_cut_step(
        &mut self,
        id: u32,
        step: CutStep,
        wire: &mut Wire<'_>,
        context: &mut Context<'_>,
    ) {
        let Some(place) = self.find(id) else { return };
        let stream = &mut self.streams[place];
        let cause = match step {
            CutStep::Hungry | CutStep::Stalled => return,
            CutStep::Done(cause) => cause,
            CutStep::Refused(cause) => {
                if let Body::Cut { body, .. } = &stream.body {
                    stream.exchange.note_kept(body.kept());
                }
                cause
            }
        };
        stream.body = Body::Waiting;
        if let Some(cause) = cause {
            self.answer(id, &cause, wire.out, context);
        }
    }

    /// Tries again what bodies wait for.
    pub fn retry(&mut self, wire: &mut Wire<'_>, context: &mut Context<'_>) {
        let mut place = 0;
        while let Some(stream) = self.streams.get_mut(place) {
            let id = stream.id;
            match &mut stream.body {
                Body::Cut { body, .. } if body.is_stalled() => {
                    self.advance_cut(id, wire, context);
                }
                Body::Collected(collected) if collected.is_parked => {
                    self.retry_collected(place, wire, context);
                }
                _ => {}
            }
            // Gone, or still there: the next one has a larger id.
            place = self.streams.partition_point(|stream| stream.id <= id);
        }
        self.count_held();
    }

    /// Memory, perhaps, for a body that waits for it.
    fn retry_collected(&mut self, place: usize, wire: &mut Wire<'_>, context: &mut Context<'_>) {
        let stream = &mut self.streams[place];
        let Body::Collected(collected) = &mut stream.body else { return };
        if context.ingest.work() > TURN_WORK_MAX || !collected.unpark(context) {
            return;
        }
        stream.since_nanos = context.now.monotonic_nanos;
        if collected.has_ended {
            return self.finish_body(place, wire, context);
        }
        let (id, wanted) = (stream.id, collected.wanted());
        self.session.expect(id, wanted, HTTP2_STREAM_WINDOW_MAX, wire.out);
    }

    // ── Answers ───────────────────────────────────────────────────────────────────────────────

    /// What a body said that a thread beside the shard has read.
    pub fn note_body_request_id(&mut self, sequence: u64, text: &[u8]) {
        let place = u32::try_from(sequence).ok().and_then(|id| self.find(id));
        if let Some(place) = place {
            self.streams[place].exchange.note_firehose_request_id(text);
        }
    }

    /// The answer to a request that waited.
    pub fn settle(&mut self, sequence: u64, cause: Cause) {
        if let Ok(id) = u32::try_from(sequence) {
            self.settled.push((id, cause));
        }
    }

    /// The commit with a part of the request was given up.
    pub fn lose(&mut self, sequence: u64, cause: Cause, pool: &mut crate::buffer::Pool) {
        let place = u32::try_from(sequence).ok().and_then(|id| self.find(id));
        if let Some(place) = place {
            self.streams[place].release(pool);
        }
        self.settle(sequence, cause);
    }

    /// Refuses a request whose body is under way.
    fn refuse(&mut self, id: u32, cause: Cause, wire: &mut Wire<'_>, context: &mut Context<'_>) {
        let Some(place) = self.find(id) else { return };
        let stream = &mut self.streams[place];
        stream.release(context.pool);
        let route = stream.exchange.route();
        note_refusal(route, &cause, context);
        self.answer(id, &cause, wire.out, context);
    }

    fn refuse_of(
        &mut self,
        id: u32,
        route: Route,
        cause: Cause,
        wire: &mut Wire<'_>,
        context: &mut Context<'_>,
    ) {
        note_refusal(Some(route), &cause, context);
        self.answer(id, &cause, wire.out, context);
    }

    fn answer(&mut self, id: u32, cause: &Cause, out: &mut Vec<u8>, context: &mut Context<'_>) {
        let Some(place) = self.find(id) else { return };
        let stream = &mut self.streams[place];
        stream.release(context.pool);
        if stream.is_orphan {
            self.streams.remove(place);
            self.session.note_orphan_done();
            return;
        }
        let now_millis = context.now.wall_nanos / 1_000_000;
        render(&stream.exchange.echo(now_millis), cause, context.reply);
        // Also what we cannot take at the moment: its sender does no wrong.
        if !cause.is_refusal() || cause.is_passing() {
            self.session.note_answered();
        }
        self.send_reply(id, out, context);
    }

    /// Sends what was rendered and forgets the stream.
    fn send_reply(&mut self, id: u32, out: &mut Vec<u8>, context: &mut Context<'_>) {
        let Some(place) = self.find(id) else { return };
        let head_only = self.streams[place].exchange.reply_to.head_only;
        self.streams.remove(place);
        let scratch = &mut *context.http2;
        let body = encode_reply(context.reply, head_only, context.date.as_bytes(), scratch);
        let body = match body {
            ReplyBody::Message => scratch.message.as_slice(),
            ReplyBody::Plain => context.reply.body.as_bytes(),
            ReplyBody::Nothing => &[],
        };
        self.session.reply(id, &scratch.head, body, &scratch.trailers, out);
    }

    /// Sends what is due.
    pub fn flush(&mut self, out: &mut Vec<u8>, context: &mut Context<'_>) {
        for index in 0..self.settled.len() {
            let (id, cause) = self.settled[index];
            self.answer(id, &cause, out, context);
        }
        self.settled.clear();
        self.has_ended |= self.session.has_ended() && self.streams.is_empty();
    }

    // ── The end ───────────────────────────────────────────────────────────────────────────────

    fn handle_reset(&mut self, id: u32, context: &mut Context<'_>) {
        let Some(place) = self.find(id) else { return };
        let stream = &mut self.streams[place];
        if matches!(stream.body, Body::Waiting) {
            stream.is_orphan = true;
            self.session.note_orphan();
            return;
        }
        stream.release(context.pool);
        self.streams.remove(place);
    }

    /// The peer sends no more: half requests have no answer, whole ones still get theirs.
    pub fn handle_end(&mut self, pool: &mut crate::buffer::Pool) {
        self.streams.retain_mut(|stream| {
            let is_whole = match &stream.body {
                Body::Waiting => true,
                Body::Cut { has_ended, .. } => *has_ended,
                Body::Collected(collected) => collected.has_ended,
                _ => false,
            };
            if !is_whole {
                stream.release(pool);
            }
            is_whole
        });
    }

    pub fn announce_end(&mut self, out: &mut Vec<u8>, now: Now) {
        self.session.announce_end(out, now.monotonic_nanos);
    }

    pub fn release(&mut self, pool: &mut crate::buffer::Pool) {
        for stream in &mut self.streams {
            stream.release(pool);
        }
        self.streams.clear();
        self.settled.clear();
    }

    /// Looks at the clock.
    pub fn handle_time(&mut self, wire: &mut Wire<'_>, context: &mut Context<'_>) {
        let now = context.now.monotonic_nanos;
        let nanos =
            |duration: std::time::Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.session.check_going(wire.out, now);
        let waited = now.saturating_sub(self.since_nanos);
        let overdue = |code, words| SessionError { code, words, abuse: None };
        if self.session.settings_overdue(now, nanos(HEAD_TIMEOUT)) {
            let error = overdue(ErrorCode::SettingsTimeout, "SETTINGS were not acknowledged");
            self.fail(&error, wire.out, context);
        } else if (self.is_partial || !self.session.is_between_frames())
            && waited > nanos(HEAD_TIMEOUT)
        {
            let error = overdue(ErrorCode::EnhanceYourCalm, "a frame or a head came too slowly");
            self.fail(&error, wire.out, context);
        } else if self.session.is_empty() && waited > nanos(IDLE_TIMEOUT) {
            self.session.announce_end(wire.out, now);
        }
        let sent = self.session.sent();
        match self.pending_since {
            _ if !self.session.has_pending() => self.pending_since = None,
            Some((since, before)) if before == sent => {
                if now.saturating_sub(since) > nanos(SEND_TIMEOUT) {
                    let words = "no window was given for a reply";
                    self.fail(&overdue(ErrorCode::FlowControl, words), wire.out, context);
                }
            }
            _ => self.pending_since = Some((now, sent)),
        }
        let mut place = 0;
        while let Some(stream) = self.streams.get(place) {
            let id = stream.id;
            let waited = now.saturating_sub(stream.since_nanos);
            let cause = match &stream.body {
                Body::Waiting => None,
                _ if stream.deadline_nanos.is_some_and(|deadline| deadline <= now) => {
                    Some(Cause::Grpc(GrpcFault::DeadlineExceeded))
                }
                Body::Cut { body, .. } => body.overdue(waited),
                Body::Collected(collected) if collected.is_parked => {
                    let is_overdue = context.is_crowded || waited > nanos(BODY_BUDGET_TIMEOUT);
                    is_overdue.then_some(Cause::Overloaded { retry_after_seconds: 1 })
                }
                _ => (waited > nanos(BODY_RATE_WINDOW)).then_some(Cause::BodyTimeout),
            };
            if let Some(cause) = cause {
                self.refuse(id, cause, wire, context);
            }
            place = self.streams.partition_point(|stream| stream.id <= id);
        }
        self.count_held();
    }
}

impl Stream {
    /// Gives the body's memory back.
    fn release(&mut self, pool: &mut crate::buffer::Pool) {
        match &mut self.body {
            Body::Collected(collected) => {
                if let Some(buffer) = collected.state.take_buffer() {
                    pool.release(buffer);
                }
            }
            Body::Cut { body, .. } => body.release(pool),
            _ => {}
        }
        if !matches!(self.body, Body::Waiting) {
            self.body = Body::Waiting;
        }
    }
}

impl Collected {
    /// Takes bytes of the body; without memory they are held, and the body is parked.
    fn append(&mut self, bytes: &[u8], ends: bool, context: &mut Context<'_>) -> Result<(), Cause> {
        let limit = self.state.admission.body_limit;
        self.has_ended |= ends;
        let content = match &mut self.reader {
            None => bytes,
            Some(reader) => {
                let had_prefix = reader.prefix().is_some();
                let content = reader.read_prefix(bytes).map_err(Cause::Grpc)?;
                if let (Some(prefix), false) = (reader.prefix(), had_prefix) {
                    apply_prefix(prefix, reader.uncoded(), &mut self.state.admission)?;
                    // In one step what most messages need; beyond it memory follows what comes.
                    let size = prefix.length.min(MESSAGE_SIZE_AT_ONCE);
                    if !self.is_parked {
                        let _ = self.state.grow(size, context.pool);
                    }
                }
                reader.note_content(content.len()).map_err(Cause::Grpc)?;
                if ends {
                    reader.check_end().map_err(Cause::Grpc)?;
                }
                content
            }
        };
        if self.state.body_length() + self.held.len() + content.len() > limit {
            return Err(Cause::BodyTooLarge);
        }
        if self.is_parked || self.state.append_growing(content, context.pool).is_err() {
            if context.is_crowded {
                return Err(Cause::Overloaded { retry_after_seconds: 1 });
            }
            self.is_parked = true;
            self.held.extend_from_slice(content);
        } else if !ends {
            self.is_parked = !self.grow_ahead(context.pool);
        }
        Ok(())
    }

    /// Memory before the window: what is let through has room. False: there is none, nothing is let through.
    fn grow_ahead(&mut self, pool: &mut crate::buffer::Pool) -> bool {
        let ahead = size(self.missing()).min(GROW_AHEAD_SIZE);
        let has_room = self.state.room() >= ahead;
        has_room || self.state.grow(ahead, pool).is_ok() || self.state.room() > 0
    }

    /// Bytes of the body that are still to come, at most.
    fn missing(&self) -> u64 {
        match &self.reader {
            Some(reader) if reader.prefix().is_some() => reader.missing() as u64,
            _ => {
                let limit = self.state.admission.body_limit;
                limit.saturating_sub(self.state.body_length()) as u64
            }
        }
    }

    /// Bytes that may be let through: no more than there is memory for. The announced length of a message is
    /// its sender's word, so memory grows with what has come.
    fn wanted(&self) -> u64 {
        self.missing().min(self.state.room() as u64)
    }

    /// Tries again to get memory. True when everything that was held has its place.
    fn unpark(&mut self, context: &mut Context<'_>) -> bool {
        if !self.state.has_buffer() {
            let Ok(buffer) = context.pool.acquire_body(self.state.needed()) else { return false };
            self.state.begin(buffer, &self.envelope);
            self.envelope = Vec::new();
        }
        if self.state.append_growing(&self.held, context.pool).is_err() {
            return false;
        }
        self.held = Vec::new();
        self.is_parked = !self.has_ended && !self.grow_ahead(context.pool);
        !self.is_parked
    }
}

fn check_deadline(deadline: Option<u64>, now: Now) -> Result<(), Cause> {
    match deadline {
        Some(deadline) if deadline <= now.monotonic_nanos => {
            Err(Cause::Grpc(GrpcFault::DeadlineExceeded))
        }
        _ => Ok(()),
    }
}

/// The reader of a call's message, and the coding that its head names for a compressed one.
fn message_reader(head: &RequestHead<'_>) -> (MessageReader, Codings) {
    match route::grpc_coding(&head.fields) {
        Ok(Some(coding)) => (MessageReader::default(), Codings::one(coding)),
        Ok(None) => (MessageReader::default(), Codings::IDENTITY),
        Err(_) => (MessageReader::new(GrpcFault::EncodingUnknown), Codings::IDENTITY),
    }
}

/// The answer to a whole health check.
fn check_health(
    reader: &MessageReader,
    codings: Codings,
    message: &[u8],
    ingest: &mut Ingest,
) -> Cause {
    let is_compressed = reader.prefix().is_some_and(|prefix| prefix.is_compressed);
    let is_serving = Cause::Serving(!ingest.is_draining);
    let message = match (is_compressed, codings.is_identity()) {
        (true, true) => return Cause::Grpc(reader.uncoded()),
        (true, false) => match ingest.unpack(codings, message, HEALTH_SIZE_MAX) {
            Ok(message) => message,
            Err(error) => return Cause::Content(error),
        },
        (false, _) => message,
    };
    match grpc::names_known_service(message) {
        true => is_serving,
        false => Cause::Grpc(GrpcFault::ServiceUnknown),
    }
}

/// Applies what a message's prefix says. Before it the admission's coding is the one of compressed
/// messages.
fn apply_prefix(
    prefix: grpc::Prefix,
    uncoded: GrpcFault,
    admission: &mut Admission,
) -> Result<(), Cause> {
    if prefix.length > admission.body_limit {
        return Err(Cause::Grpc(GrpcFault::MessageTooLarge));
    }
    match (prefix.is_compressed, admission.codings.is_identity()) {
        (true, true) => Err(Cause::Grpc(uncoded)),
        (true, false) => Ok(()),
        (false, _) => {
            admission.codings = Codings::IDENTITY;
            Ok(())
        }
    }
}

fn whole_message<'a>(
    reader: &mut MessageReader,
    bytes: &'a [u8],
    admission: &mut Admission,
) -> Result<&'a [u8], Cause> {
    let content = reader.read_prefix(bytes).map_err(Cause::Grpc)?;
    if let Some(prefix) = reader.prefix() {
        apply_prefix(prefix, reader.uncoded(), admission)?;
    }
    reader.note_content(content.len()).map_err(Cause::Grpc)?;
    reader.check_end().map_err(Cause::Grpc)?;
    Ok(content)
}

/// Where the bytes of a reply's DATA stand.
enum ReplyBody {
    Nothing,
    Plain,
    /// Behind a gRPC prefix, in the scratch.
    Message,
}

/// Writes a reply's header blocks into the scratch.
fn encode_reply(
    reply: &Reply,
    head_only: bool,
    date: &[u8],
    scratch: &mut Http2Scratch,
) -> ReplyBody {
    let Http2Scratch { head, trailers, message, .. } = scratch;
    head.clear();
    trailers.clear();
    encode::status(reply.status, head);
    let body = reply.body.as_bytes();
    let is_grpc = reply.content_type == Some("application/grpc");
    if let Some(content_type) = reply.content_type {
        encode::field("content-type", content_type.as_bytes(), head);
    }
    if !is_grpc {
        encode::field("date", date, head);
    }
    for (name, value) in reply.fields() {
        let mut digits = [0; 20];
        let value = match value {
            Value::Static(text) => text.as_bytes(),
            Value::Bytes(bytes) => bytes,
            Value::Number(number) => decimal(number, &mut digits),
        };
        encode::field(name, value, head);
    }
    if is_grpc {
        if reply.field("grpc-status").is_some() {
            return ReplyBody::Nothing;
        }
        encode::field("grpc-status", b"0", trailers);
        message.clear();
        message.push(0);
        message.extend_from_slice(&u32::try_from(body.len()).unwrap_or(0).to_be_bytes());
        message.extend_from_slice(body);
        return ReplyBody::Message;
    }
    if reply.status >= 200 && reply.status != 204 {
        let mut digits = [0; 20];
        encode::field("content-length", decimal(body.len() as u64, &mut digits), head);
    }
    if head_only { ReplyBody::Nothing } else { ReplyBody::Plain }
}

fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        if number == 0 {
            return &digits[start..];
        }
    }
}
