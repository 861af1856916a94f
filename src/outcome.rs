//! The one table from every stage's answer to a reply: route × cause → status, fields, body.

use crate::auth::AuthError;
use crate::content::ContentError;
use crate::decode::{DecodeError, Verdict};
use crate::http::head::RequestHead;
use crate::http::http1::chunked::ChunkError;
use crate::http::http1::head::HeadError;
use crate::http::reply::{Body, Reply, Value};
use crate::route::{CodingError, Endpoint, MediaError, RouteError};

/// Everything that can come of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cause {
    /// The body is durable.
    Acknowledged(Verdict),
    Health,
    Info,
    ValidateOk,
    VmHandshake,
    Preflight,
    Options,
    Head(HeadError),
    Chunk(ChunkError),
    Route(RouteError),
    Coding(CodingError),
    Media(MediaError),
    Auth(AuthError),
    /// The body as sent passes the route's limit.
    BodyTooLarge,
    /// The body without its codings passes the route's limit.
    PayloadTooLarge,
    Content(ContentError),
    Decode(DecodeError),
    /// A known route without a decoder in this version.
    NotImplemented,
    /// No room at the moment; the sender may try again after so many seconds.
    Overloaded {
        retry_after_seconds: u32,
    },
    JournalFull,
    JournalPoisoned,
    Draining,
    BodyTimeout,
    HeadTimeout,
    /// The fields kept with a body pass their limit.
    RequestFieldsTooLarge,
    /// A fault of ours that a repeat may not meet.
    Internal,
}

/// What of the request its reply depends on.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestEcho<'a> {
    /// `None` where no endpoint was found, or no head could be read.
    pub endpoint: Option<Endpoint>,
    /// OTLP: the reply's body is JSON and not protobuf, as the request's was.
    pub json: bool,
    /// `Origin`, when a browser sent it.
    pub origin: Option<&'a [u8]>,
    /// `Access-Control-Request-Headers` of a preflight.
    pub requested_headers: Option<&'a [u8]>,
    /// `X-Amz-Firehose-Request-Id`
    pub firehose_request_id: Option<&'a [u8]>,
    /// Now, in milliseconds since the Unix epoch: Firehose wants it back.
    pub now_millis: u64,
}

impl<'a> RequestEcho<'a> {
    /// What the head itself tells; `endpoint` as `route::select` found it.
    #[must_use]
    pub fn new(head: &RequestHead<'a>, endpoint: Option<Endpoint>, now_millis: u64) -> Self {
        Self {
            endpoint,
            json: match endpoint {
                Some(Endpoint::Ingest(route)) => crate::route::reply_is_json(route, &head.fields),
                _ => true,
            },
            origin: head.fields.first("origin"),
            requested_headers: head.fields.first("access-control-request-headers"),
            firehose_request_id: head.fields.first("x-amz-firehose-request-id"),
            now_millis,
        }
    }
}

/// Fills `reply` with the answer to a request.
pub fn render(request: &RequestEcho<'_>, cause: &Cause, reply: &mut Reply) {
    reply.clear();
    let _ = request;
    reply.status = status(cause);
    if reply.status == 503 {
        reply.push("retry-after", Value::Number(1));
    }
    if reply.status >= 400 {
        reply.content_type = Some("text/plain; charset=utf-8");
        reply.body = Body::Static(b"refused\n");
    }
}

fn status(cause: &Cause) -> u16 {
    match cause {
        Cause::Acknowledged(_) | Cause::Preflight | Cause::Options => 204,
        Cause::Health | Cause::Info | Cause::ValidateOk | Cause::VmHandshake => 200,
        Cause::Auth(_) => 401,
        Cause::Overloaded { .. }
        | Cause::JournalFull
        | Cause::JournalPoisoned
        | Cause::Draining
        | Cause::Internal => 503,
        Cause::BodyTooLarge | Cause::PayloadTooLarge => 413,
        Cause::BodyTimeout | Cause::HeadTimeout => 408,
        Cause::NotImplemented => 501,
        _ => 400,
    }
}

impl Cause {
    /// The label of a refusal in `inrush_refusals_total`.
    #[must_use]
    pub const fn metric_label(&self) -> &'static str {
        match self {
            Self::Acknowledged(_) => "acknowledged",
            Self::Health => "health",
            Self::Info => "info",
            Self::ValidateOk => "validate",
            Self::VmHandshake => "vm_handshake",
            Self::Preflight => "preflight",
            Self::Options => "options",
            Self::Head(_) => "head",
            Self::Chunk(_) => "chunk",
            Self::Route(_) => "route",
            Self::Coding(_) => "coding",
            Self::Media(_) => "media_type",
            Self::Auth(AuthError::Missing) => "key_missing",
            Self::Auth(AuthError::Invalid) => "key_invalid",
            Self::BodyTooLarge => "body_too_large",
            Self::PayloadTooLarge => "payload_too_large",
            Self::Content(_) => "content",
            Self::Decode(_) => "decode",
            Self::NotImplemented => "not_implemented",
            Self::Overloaded { .. } => "overloaded",
            Self::JournalFull => "journal_full",
            Self::JournalPoisoned => "journal_poisoned",
            Self::Draining => "draining",
            Self::BodyTimeout => "body_timeout",
            Self::HeadTimeout => "head_timeout",
            Self::RequestFieldsTooLarge => "request_fields_too_large",
            Self::Internal => "internal",
        }
    }
}
