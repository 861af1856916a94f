//! The straight line of one request.
//!
//! ```text
//! head ─ route ─ auth ─ media, codings ─ admit ──▶ body ──▶ content ─ decode ─ append ─▶ (commit) ─▶ reply
//!        └──────────── `admit` ─────────────┘        └──────────── `take_…` ──────────┘
//! ```
//!
//! Place: called by `connection` when a head is complete, and again when its body is. Everything that
//! can refuse a request from its head alone does so in `admit`, before a byte of the body is waited
//! for. Routes whose bodies have no bound take the line once a block: `cut.rs`. The reply goes out when the shard's writer has made the ticket durable.

mod cut;

pub use cut::{BlockTaken, Cut, block_end};

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::auth::{self, AuthError, KeyTable, Memo};
use crate::batch::{RecordSink, Validating};
use crate::buffer::{AlignedBuffer, Pool, PoolError};
use crate::content::{self, Arena, ContentError};
use crate::counters::TenantCounters;
use crate::decode::{self, DecodeError, Fault, Verdict, firehose};
use crate::envelope::{Coding, Codings, Envelope, FieldId, RequestFields, Route};
use crate::http::head::RequestHead;
use crate::http::http1::framing::BodyFraming;
use crate::journal::Pressure;
use crate::journal::format::{
    ENTRY_HEADER_SIZE, encode_envelope, parse_envelope, patch_arrival, patch_codings,
};
use crate::journal::write::{AppendError, Ticket, Writer};
use crate::limits::{
    self, BLOCK_SIZE_MAX, COMMIT_WORK, LARGE_BODY, LARGE_DELIVERY, PACKED_ENTRY_SIZE_MAX,
    TURN_WORK_MAX, UNCUT_CODED_SIZE_MAX, size,
};
use crate::outcome::Cause;
use crate::route::{self, Endpoint};

/// Keys and tenants as one shard holds them: nothing in it is shared with another shard.
pub struct Keys {
    pub table: KeyTable,
    /// By the table's tenant index.
    pub tenants: Vec<Tenant>,
    /// Whose requests without any credential are, by place in `tenants`; on plaintext listeners alone.
    pub keyless: Option<u32>,
}

/// What a connection remembers of its peer from one request to the next.
pub struct Peer {
    memo: Memo,
    /// It came over TLS: nobody is let in there without a key.
    is_encrypted: bool,
}

impl Peer {
    #[must_use]
    pub const fn new(is_encrypted: bool) -> Self {
        Self { memo: Memo::new(), is_encrypted }
    }
}

#[derive(Clone)]
pub struct Tenant {
    pub name: Rc<str>,
    pub counters: Arc<TenantCounters>,
}

/// A request whose head was accepted.
#[derive(Clone)]
pub struct Admission {
    pub route: Route,
    pub tenant: Tenant,
    pub codings: Codings,
    pub body_limit: usize,
    /// Bytes of the encoded envelope, which `Ingest::envelope` holds until the next head.
    pub envelope_length: usize,
}

impl Admission {
    /// Whether a body of a cut route is likely one block, and so is collected and tried as one entry.
    pub fn is_tried_whole(&self, length: Option<u64>) -> bool {
        let limit = if self.codings.is_identity() { BLOCK_SIZE_MAX } else { UNCUT_CODED_SIZE_MAX };
        length.is_some_and(|length| length <= limit as u64)
    }

    /// Room in front of a body that is received in place.
    pub const fn front(&self) -> usize {
        ENTRY_HEADER_SIZE + self.envelope_length
    }
}

/// What became of a complete body.
pub enum Taken {
    Refused(Cause),
    /// In the journal's collecting commit; the reply waits for the ticket.
    Appended {
        ticket: Ticket,
        verdict: Verdict,
    },
    /// Too much work for a shard's turn, or to be cut: `entry` is header room, envelope and body.
    Large {
        entry: AlignedBuffer,
    },
}

/// A shard's stations between head and journal, with the memory they reuse.
pub struct Ingest {
    pub keys: Keys,
    pub writer: Writer,
    auth_scratch: auth::Scratch,
    decode_scratch: decode::Scratch,
    arena: Arena,
    fields: Vec<u8>,
    envelope: Vec<u8>,
    coder: Option<Box<cut::Coder>>,
    pressure: Arc<AtomicU8>,
    /// Where this shard stands, for routes that have no key on this listener.
    pub is_draining: bool,
    /// Bytes of bodies, as sent and decoded, that were looked at in this turn.
    work: u64,
}

impl Ingest {
    pub fn new(
        keys: Keys,
        writer: Writer,
        decode_scratch: decode::Scratch,
        pressure: Arc<AtomicU8>,
    ) -> Self {
        Self {
            keys,
            writer,
            auth_scratch: auth::Scratch::new(),
            decode_scratch,
            arena: Arena::with_capacity(LARGE_BODY),
            fields: Vec::with_capacity(1024),
            envelope: Vec::with_capacity(1024),
            coder: None,
            pressure,
            is_draining: false,
            work: 0,
        }
    }

    /// A turn of the shard begins.
    pub const fn begin_turn(&mut self) {
        self.work = 0;
    }

    /// Bytes of bodies, as sent and decoded, that were looked at in this turn.
    pub const fn work(&self) -> u64 {
        self.work
    }

    /// Whether a connection that brought some of this turn's work leaves the rest for the next one.
    pub const fn has_worked_enough(&self) -> bool {
        self.work > TURN_WORK_MAX || self.work > COMMIT_WORK && self.writer.may_begin()
    }

    /// From a complete head to the decision whether its body is wanted. `Err` holds the answer, be it
    /// a refusal or a reply that needs no body.
    pub fn admit(
        &mut self,
        head: &RequestHead<'_>,
        endpoint: Endpoint,
        framing: BodyFraming,
        peer: &mut Peer,
    ) -> Result<Admission, Cause> {
        let tenant = if endpoint.needs_key() {
            let (table, scratch) = (&self.keys.table, &mut self.auth_scratch);
            let keyless = self.keys.keyless.filter(|_| !peer.is_encrypted);
            auth::authenticate_remembering(table, head, scratch, &mut peer.memo).or_else(
                |error| match (error, keyless) {
                    // A wrong credential is a mistake that somebody should learn of.
                    (AuthError::Missing, Some(tenant)) => Ok(tenant),
                    (error, _) => Err(Cause::Auth(error)),
                },
            )?
        } else {
            0
        };
        let route = match endpoint {
            Endpoint::Ingest(route) => route,
            Endpoint::Health => return Err(Cause::Health),
            Endpoint::Info => return Err(Cause::Info),
            Endpoint::GrpcHealth => return Err(Cause::Serving(!self.is_draining)),
            Endpoint::DatadogValidate => return Err(Cause::ValidateOk),
            Endpoint::VmHandshake => return Err(Cause::VmHandshake),
            Endpoint::Unkept(_) => return Err(Cause::Unkept),
            Endpoint::Preflight => return Err(Cause::Preflight),
            Endpoint::Options { .. } => return Err(Cause::Options),
        };
        let codings = check_head(head, route)?;
        self.admit_load(route)?;
        let body_limit = route::body_limit(route);
        if let BodyFraming::Length(length) = framing
            && length > body_limit as u64
        {
            return Err(Cause::BodyTooLarge);
        }
        let tenant = usize::try_from(tenant)
            .ok()
            .and_then(|index| self.keys.tenants.get(index))
            .ok_or(Cause::Internal)?
            .clone();
        self.encode_envelope(head, route, codings, &tenant)?;
        let envelope_length = self.envelope.len();
        Ok(Admission { route, tenant, codings, body_limit, envelope_length })
    }

    /// Refuses what the journal could not take for long.
    fn admit_load(&self, route: Route) -> Result<(), Cause> {
        if self.is_draining {
            return Err(Cause::Draining);
        }
        if self.writer.poisoned().is_some() {
            return Err(Cause::JournalPoisoned);
        }
        // Datadog tracers drop on any refusal; all other senders keep their data.
        let drops = route.is_of_tracers();
        match Pressure::from_number(self.pressure.load(Ordering::Relaxed)) {
            Pressure::Low => Ok(()),
            Pressure::High | Pressure::Reserve if drops => Ok(()),
            Pressure::High | Pressure::Reserve | Pressure::Full => Err(Cause::JournalFull),
        }
    }

    fn encode_envelope(
        &mut self,
        head: &RequestHead<'_>,
        route: Route,
        codings: Codings,
        tenant: &Tenant,
    ) -> Result<(), Cause> {
        self.fields.clear();
        keep_fields(head, route, &mut self.fields)?;
        let envelope = Envelope {
            route,
            codings,
            tenant: &tenant.name,
            arrival_nanos: 0,
            fields: RequestFields::new(&self.fields),
        };
        self.envelope.clear();
        encode_envelope(&envelope, &mut self.envelope);
        Ok(())
    }

    /// Takes the codings off a small message that is no body.
    pub fn unpack<'a>(
        &'a mut self,
        codings: Codings,
        message: &'a [u8],
        limit: usize,
    ) -> Result<&'a [u8], ContentError> {
        content::decode(codings, message, &mut self.arena, limit)
    }

    /// The envelope of the last admission, to be put in front of a body that comes in parts.
    pub fn envelope(&self) -> &[u8] {
        &self.envelope
    }

    /// What the last body, if it was one of Firehose, told besides its records.
    pub fn firehose_told(&self, route: Route) -> Option<&firehose::Told> {
        (route == Route::Firehose).then_some(&self.decode_scratch.firehose.told)
    }

    /// Takes a body that came whole with its head.
    pub fn take_slice(
        &mut self,
        admission: &Admission,
        body: &[u8],
        arrival_nanos: u64,
        pool: &mut Pool,
    ) -> Taken {
        let mut envelope = std::mem::take(&mut self.envelope);
        let validated = self.validate(admission, &mut envelope, body, arrival_nanos);
        let taken = match validated {
            Err(Refusal::Cause(cause)) => Taken::Refused(cause),
            Ok(verdict) if envelope.len() + body.len() <= PACKED_ENTRY_SIZE_MAX => {
                match self.writer.append_packed(&envelope, body, pool) {
                    Ok(ticket) => Taken::Appended { ticket, verdict },
                    Err(error) => Taken::Refused(append_cause(error)),
                }
            }
            // Rare: a large envelope, or a small body that inflates far.
            validated => match entry_of(&envelope, body, pool) {
                Err(_) => Taken::Refused(Cause::Overloaded { retry_after_seconds: 1 }),
                Ok(entry) => match validated {
                    Ok(verdict) => self.append_extent(entry, envelope.len(), verdict, pool),
                    Err(_) => Taken::Large { entry },
                },
            },
        };
        self.envelope = envelope;
        taken
    }

    /// Takes a body that was collected behind its envelope: `entry` is header room, envelope, body.
    pub fn take_entry(
        &mut self,
        admission: &Admission,
        mut entry: AlignedBuffer,
        arrival_nanos: u64,
        pool: &mut Pool,
    ) -> Taken {
        let front = admission.front();
        let (head, body) = entry.as_mut_slice().split_at_mut(front);
        let envelope = &mut head[ENTRY_HEADER_SIZE..];
        match self.validate(admission, envelope, body, arrival_nanos) {
            Err(Refusal::Cause(cause)) => {
                pool.release(entry);
                Taken::Refused(cause)
            }
            Err(Refusal::Large) => Taken::Large { entry },
            Ok(verdict) => self.append_entry(entry, admission.envelope_length, verdict, pool),
        }
    }

    /// Appends a validated entry, by copy or as its own extent.
    pub fn append_entry(
        &mut self,
        entry: AlignedBuffer,
        envelope_length: usize,
        verdict: Verdict,
        pool: &mut Pool,
    ) -> Taken {
        if entry.len() <= PACKED_ENTRY_SIZE_MAX {
            let content = &entry.as_slice()[ENTRY_HEADER_SIZE..];
            let (envelope, body) = content.split_at(envelope_length);
            let appended = self.writer.append_packed(envelope, body, pool);
            pool.release(entry);
            return match appended {
                Ok(ticket) => Taken::Appended { ticket, verdict },
                Err(error) => Taken::Refused(append_cause(error)),
            };
        }
        self.append_extent(entry, envelope_length, verdict, pool)
    }

    fn append_extent(
        &mut self,
        entry: AlignedBuffer,
        envelope_length: usize,
        verdict: Verdict,
        pool: &mut Pool,
    ) -> Taken {
        match self.writer.append_extent(entry, envelope_length, pool) {
            Ok(ticket) => Taken::Appended { ticket, verdict },
            Err((error, entry)) => {
                pool.release(entry);
                Taken::Refused(append_cause(error))
            }
        }
    }

    /// Completes the envelope and walks the body in full, as a follower will.
    fn validate(
        &mut self,
        admission: &Admission,
        envelope: &mut [u8],
        body: &[u8],
        arrival_nanos: u64,
    ) -> Result<Verdict, Refusal> {
        let codings = true_codings(admission.route, admission.codings, body);
        patch_codings(envelope, codings);
        patch_arrival(envelope, arrival_nanos);
        let limit = match admission.route {
            Route::Firehose => LARGE_DELIVERY,
            route if route.is_cut() => BLOCK_SIZE_MAX,
            _ => LARGE_BODY,
        };
        if codings.is_identity() && body.len() > limit {
            return Err(Refusal::Large);
        }
        let validated = validate(envelope, body, limit, &mut self.arena, &mut self.decode_scratch);
        let decoded = if codings.is_identity() { 0 } else { self.arena.produced() };
        self.work += (body.len() + decoded) as u64;
        validated
    }
}

/// What `inrush check` asks of a head too: all that head and route alone decide about a body.
pub fn check_head(head: &RequestHead<'_>, route: Route) -> Result<Codings, Cause> {
    route::media_type(route, &head.fields).map_err(Cause::Media)?;
    route::codings(route, &head.fields).map_err(Cause::Coding)
}

/// Appends the parts of a head that decoders may look at.
pub fn keep_fields(head: &RequestHead<'_>, route: Route, into: &mut Vec<u8>) -> Result<(), Cause> {
    for &(name, id) in FieldId::kept_headers(route) {
        // Agents that forward JSON put their user's media type beside their own: the decoder chooses.
        let are_all_kept = (route, id) == (Route::JsonLogs, FieldId::ContentType);
        let last = head.fields.last(name).filter(|_| !are_all_kept);
        let all = head.fields.all(name).filter(|_| are_all_kept);
        for value in all.chain(last) {
            if !RequestFields::push(into, id, value) {
                return Err(Cause::RequestFieldsTooLarge);
            }
        }
    }
    if route == Route::RemoteWrite
        && let Some(query) = head.query
    {
        keep_extra_labels(query, into)?;
    }
    if route == Route::ImportPrometheus {
        let path = route::path_labels(route, head.path);
        let query = head.query.unwrap_or_default();
        decode::exposition::check_request(Some(query.as_bytes()), path.as_bytes())
            .map_err(Cause::Decode)?;
        let kept =
            auth::push_query(query, |query| RequestFields::push(into, FieldId::Query, query))
                && (path.is_empty()
                    || RequestFields::push(into, FieldId::PathLabels, path.as_bytes()));
        if !kept {
            return Err(Cause::RequestFieldsTooLarge);
        }
    }
    Ok(())
}

/// Of a query of remote write only the labels for its series mean something.
fn keep_extra_labels(query: &str, into: &mut Vec<u8>) -> Result<(), Cause> {
    let mut kept = String::new();
    for pair in query.split('&') {
        if decode::exposition::is_extra_label(pair.as_bytes()) {
            let separator = if kept.is_empty() { "" } else { "&" };
            kept.extend([separator, pair]);
        }
    }
    if kept.is_empty() {
        return Ok(());
    }
    decode::exposition::check_request(Some(kept.as_bytes()), &[]).map_err(Cause::Decode)?;
    if !RequestFields::push(into, FieldId::Query, kept.as_bytes()) {
        return Err(Cause::RequestFieldsTooLarge);
    }
    Ok(())
}

pub enum Refusal {
    Cause(Cause),
    /// Not wrong so far, but too large for a shard's turn.
    Large,
}

/// Header room, envelope and body in a buffer of the pool.
fn entry_of(envelope: &[u8], body: &[u8], pool: &mut Pool) -> Result<AlignedBuffer, PoolError> {
    let length = ENTRY_HEADER_SIZE + envelope.len() + body.len();
    let mut entry = pool.acquire(length)?;
    entry.extend_from_slice(&[0; ENTRY_HEADER_SIZE]);
    entry.extend_from_slice(envelope);
    entry.extend_from_slice(body);
    Ok(entry)
}

/// What the body is, not what its sender calls it; the envelope says so. vmagent's queues mix formats
/// after a restart: what is sent as snappy may be zstd and the other way round.
pub fn true_codings(route: Route, named: Codings, body: &[u8]) -> Codings {
    if route != Route::RemoteWrite {
        // No bytes are an empty request, whatever coding a sender names for them.
        return if body.is_empty() { Codings::IDENTITY } else { named };
    }
    Codings::one(if content::sniff::is_zstd(body) { Coding::Zstd } else { Coding::Snappy })
}

/// Takes the codings off and decodes. `limit` is what may be decoded here; a payload over it but
/// within the route's own limit is `Refusal::Large`.
fn validate(
    envelope: &[u8],
    body: &[u8],
    limit: usize,
    arena: &mut Arena,
    scratch: &mut decode::Scratch,
) -> Result<Verdict, Refusal> {
    scratch.firehose.told.clear();
    let envelope = parse_envelope(envelope).ok_or(Refusal::Cause(Cause::Internal))?;
    walk(&envelope, body, limit, arena, scratch, &mut Validating)
}

/// The same with any sink, for whoever wants to see the records.
pub fn walk<S: RecordSink>(
    envelope: &Envelope<'_>,
    body: &[u8],
    limit: usize,
    arena: &mut Arena,
    scratch: &mut decode::Scratch,
    sink: &mut S,
) -> Result<Verdict, Refusal> {
    if envelope.route == Route::RemoteWrite
        && envelope.codings == Codings::one(Coding::Snappy)
        && content::sniff::is_snappy_framed(body)
    {
        // The protocol has blocks only; Prometheus refuses this as well.
        return Err(Refusal::Cause(Cause::Content(ContentError::Corrupt { offset: 0 })));
    }
    let payload_limit = route::payload_limit(envelope.route);
    let payload = match content::decode(envelope.codings, body, arena, limit.min(payload_limit)) {
        Ok(payload) => payload,
        Err(ContentError::OutputOverLimit) if limit < payload_limit => return Err(Refusal::Large),
        Err(ContentError::OutputOverLimit) => return Err(Refusal::Cause(Cause::PayloadTooLarge)),
        Err(error) => return Err(Refusal::Cause(Cause::Content(error))),
    };
    if payload.len() > payload_limit {
        return Err(Refusal::Cause(Cause::PayloadTooLarge));
    }
    scratch.firehose.turn_size_max =
        (limit < limits::PAYLOAD_SIZE_MAX).then_some(limits::FIREHOSE_TURN_SIZE_MAX);
    let verdict =
        decode::decode(envelope, payload, scratch, sink).map_err(|error| match error.fault {
            Fault::TurnOverLimit => Refusal::Large,
            _ => Refusal::Cause(Cause::Decode(error)),
        })?;
    // A delivery is never refused for what it holds: Firehose would bring it again.
    if envelope.route != Route::Firehose && verdict.is_over_limit() {
        let error = DecodeError::at(Fault::WeightOverLimit, payload.len() as u64);
        return Err(Refusal::Cause(Cause::Decode(error)));
    }
    Ok(verdict)
}

/// The same, for the large-body threads, with room for the largest payload.
pub fn validate_large(
    entry: &AlignedBuffer,
    envelope_length: usize,
    arena: &mut Arena,
    scratch: &mut decode::Scratch,
) -> Result<Verdict, Cause> {
    let content = &entry.as_slice()[ENTRY_HEADER_SIZE..];
    let (envelope, body) = content.split_at(envelope_length);
    validate(envelope, body, limits::PAYLOAD_SIZE_MAX, arena, scratch).map_err(|refusal| {
        match refusal {
            Refusal::Cause(cause) => cause,
            Refusal::Large => Cause::PayloadTooLarge,
        }
    })
}

const fn append_cause(error: AppendError) -> Cause {
    match error {
        AppendError::Busy => Cause::Overloaded { retry_after_seconds: 1 },
        AppendError::Full => Cause::JournalFull,
        AppendError::Poisoned => Cause::JournalPoisoned,
        AppendError::TooLarge => Cause::BodyTooLarge,
    }
}

/// What a length needs of the pool, with header room, envelope and padding.
pub fn entry_size(admission: &Admission, length: u64, alignment: usize) -> usize {
    admission.front() + size(length) + alignment
}
