//! The one table from every stage's answer to a reply: route × cause → status, fields, body.
//!
//! Place: last stage of a request; the only code that knows status codes. Each protocol gets its own
//! error form, because its senders read it:
//!
//! ```text
//! remote write, exposition, no endpoint   text, but JSON where the path is one of Datadog's
//! OTLP                                    google.rpc.Status, protobuf or JSON as the request was
//! gRPC                                    trailers: grpc-status, grpc-message, google.rpc.Status
//! Datadog                                 {"errors":["…"]}
//! Firehose                                {"requestId":"…","timestamp":N,"errorMessage":"…"}
//! JSON logs                               {"error":"…"}
//! ```
//!
//! What senders do with a status decides it: a passing fault is 503 with Retry-After everywhere, as OTLP
//! senders drop on 500 and stock Prometheus on 429.

#![deny(clippy::indexing_slicing)]

mod form;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use crate::auth::AuthError;
use crate::content::ContentError;
use crate::decode::{DecodeError, Fault, Verdict};
use crate::envelope::Route;
use crate::http::grpc::{GrpcFault, is_grpc};
use crate::http::head::{Fields, RequestHead};
use crate::http::http1::chunked::ChunkError;
use crate::http::http1::head::HeadError;
use crate::http::reply::{Body, Reply, Value};
use crate::http::{is_token, list_members};
use crate::route::{
    self, CodingError, Endpoint, Media, MediaError, RouteError, Unkept, accepted_codings,
};
use form::{Form, Text};

/// Everything that can come of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cause {
    /// The body is durable.
    Acknowledged(Verdict),
    Health,
    Info,
    ValidateOk,
    VmHandshake,
    /// Read away; there was nothing in it to keep.
    Unkept,
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
    /// What is wrong with a gRPC call as such.
    Grpc(GrpcFault),
    /// To a health check of gRPC.
    Serving(bool),
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
    /// Remote write 2.0: the reply counts what was written.
    pub remote_write_2: bool,
    /// `Origin`, when a browser sent it; empty where it is too long to be repeated.
    pub origin: Option<&'a [u8]>,
    /// `Access-Control-Request-Headers` of a preflight.
    pub requested_headers: Option<&'a [u8]>,
    /// `X-Amz-Firehose-Request-Id`, else what the body says.
    pub firehose_request_id: Option<&'a [u8]>,
    /// Now, in milliseconds since the Unix epoch: Firehose wants it back.
    pub now_millis: u64,
    /// Records of the body that were kept before it was refused: a body that is cut has no undo.
    pub kept: u64,
    /// vmagent, which repeats a 413 for ever and drops on 400.
    pub is_vmagent: bool,
    /// Exposition with labels in the path, as the Pushgateway takes it: its clients want a 200.
    pub is_push: bool,
    /// The reply is gRPC's: the status stands in trailers, whatever the status of HTTP.
    pub grpc: bool,
}

impl<'a> RequestEcho<'a> {
    /// What the head itself tells; `selected` as `route::select` found it.
    #[must_use]
    pub fn new(
        head: &RequestHead<'a>,
        selected: Result<Endpoint, RouteError>,
        now_millis: u64,
    ) -> Self {
        let fields = &head.fields;
        let endpoint = selected.ok();
        // A refusal of the method alone has the form of the route.
        let route = match selected {
            Ok(Endpoint::Ingest(route)) => Some(route),
            Err(RouteError::MethodNotAllowed { route, .. }) => route,
            _ => None,
        };
        Self {
            endpoint,
            json: route.is_none_or(|route| route::reply_is_json(route, fields)),
            remote_write_2: endpoint == Some(Endpoint::Ingest(Route::RemoteWrite))
                && route::media_type(Route::RemoteWrite, fields) == Ok(Media::RemoteWrite2),
            origin: fields.first("origin"),
            requested_headers: match endpoint {
                Some(Endpoint::Preflight) => fields.first("access-control-request-headers"),
                _ => None,
            },
            firehose_request_id: match route {
                Some(Route::Firehose) => {
                    fields.first("x-amz-firehose-request-id").filter(|id| !id.is_empty())
                }
                _ => None,
            },
            now_millis,
            kept: 0,
            is_vmagent: route == Some(Route::RemoteWrite) && is_vmagent(fields),
            is_push: route == Some(Route::ImportPrometheus)
                && !route::path_labels(Route::ImportPrometheus, head.path).is_empty(),
            grpc: is_grpc(head),
        }
    }

    const fn route(&self) -> Option<Route> {
        match self.endpoint {
            Some(Endpoint::Ingest(route)) => Some(route),
            Some(Endpoint::VmHandshake) => Some(Route::RemoteWrite),
            Some(Endpoint::DatadogValidate) => Some(Route::DatadogSeriesV1),
            _ => None,
        }
    }
}

/// By the dialect that it alone speaks, or by its name where it speaks the common one.
fn is_vmagent(fields: &Fields<'_>) -> bool {
    fields.first("x-victoriametrics-remote-write-version").is_some()
        || fields.first("content-encoding").is_some_and(|name| name.eq_ignore_ascii_case(b"zstd"))
        || fields.first("user-agent").is_some_and(|name| name.starts_with(b"vmagent"))
}

/// How long a sender should wait that met a full journal: about the time a store plan takes.
const RETRY_AFTER_FULL_SECONDS: u64 = 5;
/// How long a preflight's answer holds: what the product's gateway says.
const PREFLIGHT_MAX_AGE_SECONDS: u64 = 3600;
/// What a preflight is told when it asks for nothing that can be echoed.
const PREFLIGHT_HEADERS: &str =
    "content-type, content-encoding, authorization, token, apikey, dd-api-key";

/// Fills `reply` with the answer to a request. Sets `close` where the connection cannot go on, or
/// should not; whoever leaves a body unread closes besides.
pub fn render(request: &RequestEcho<'_>, cause: &Cause, reply: &mut Reply) {
    reply.clear();
    reply.status = status(request, cause);
    if request.grpc {
        return form::write_grpc(request, cause, reply);
    }
    push_fields(request, cause, reply);
    push_written(request, cause, reply);
    push_cors(request, cause, reply);
    if reply.status < 300 {
        render_success(request, cause, reply);
    } else {
        let mut text = Text::new();
        write_sentence(request, cause, &mut text);
        Form::of(request, cause).write_refusal(request, cause, text.as_str(), reply);
    }
    reply.close = matches!(
        cause,
        Cause::Head(_)
            | Cause::Chunk(_)
            | Cause::BodyTooLarge
            | Cause::BodyTimeout
            | Cause::HeadTimeout
            | Cause::JournalPoisoned
            | Cause::Draining
    );
}

/// The status and the sentence of a refusal, as its reply says them; the sentence is cut where a
/// reply cuts it.
#[must_use]
pub fn explain(request: &RequestEcho<'_>, cause: &Cause) -> (u16, String) {
    let mut text = Text::new();
    write_sentence(request, cause, &mut text);
    (status(request, cause), text.as_str().to_owned())
}

/// Why the first of the rejected records was refused, as replies say it, and how many there are.
#[must_use]
pub fn explain_rejects(verdict: &Verdict) -> Option<(String, u64)> {
    let text = form::reject_text(verdict);
    (verdict.rejected > 0).then(|| (text.as_str().to_owned(), verdict.rejected))
}

/// The status column of the table.
fn status(request: &RequestEcho<'_>, cause: &Cause) -> u16 {
    let route = request.route();
    match cause {
        // Remote write 2.0 takes 2xx for all of it; what was kept is durable all the same.
        Cause::Acknowledged(verdict) if request.remote_write_2 && verdict.rejected > 0 => 400,
        Cause::Acknowledged(_) => match route {
            Some(Route::ImportPrometheus) if request.is_push => 200,
            Some(Route::RemoteWrite | Route::ImportPrometheus) => 204,
            Some(Route::DatadogSeriesV1 | Route::DatadogSeriesV2 | Route::DatadogSketches) => 202,
            // Firehose and the Java tracer take nothing but 200.
            _ => 200,
        },
        Cause::Health
        | Cause::Info
        | Cause::ValidateOk
        | Cause::VmHandshake
        | Cause::Serving(_) => 200,
        // Only ever rendered as gRPC; for anything else a bad request.
        Cause::Grpc(_) => 400,
        Cause::Unkept => match request.endpoint {
            Some(Endpoint::Unkept(Unkept::Intake | Unkept::Metadata)) => 200,
            _ => 202,
        },
        Cause::Preflight | Cause::Options => 204,
        Cause::Head(error) => match error {
            HeadError::RequestLineOverLimit => 414,
            HeadError::HeadSizeOverLimit | HeadError::FieldCountOverLimit => 431,
            HeadError::MethodUnknown | HeadError::TransferCodingUnsupported => 501,
            HeadError::VersionUnsupported => 505,
            HeadError::ExpectationUnknown => 417,
            _ => 400,
        },
        Cause::Route(RouteError::NotFound { .. }) => 404,
        Cause::Route(RouteError::MethodNotAllowed { .. }) => 405,
        Cause::Coding(_) => match route {
            // Agents retry a 415 for ever and drop on 400.
            Some(Route::ImportPrometheus) => 400,
            Some(route) if route.is_datadog() => 400,
            _ => 415,
        },
        Cause::Media(_) | Cause::Route(RouteError::NotGrpc) => 415,
        // The Datadog Agent takes any other status for an unexpected answer.
        Cause::Auth(_) if request.endpoint == Some(Endpoint::DatadogValidate) => 403,
        Cause::Auth(_) => 401,
        Cause::BodyTooLarge if request.is_vmagent => 400,
        Cause::BodyTooLarge => 413,
        Cause::PayloadTooLarge | Cause::Content(ContentError::OutputOverLimit) => match route {
            // As Prometheus has it; vmagent would repeat a 413 for ever.
            Some(Route::RemoteWrite) => 400,
            _ => 413,
        },
        Cause::Route(RouteError::GrpcNeedsHttp2 { .. }) => 501,
        Cause::Decode(DecodeError { fault: Fault::MediaTypeWrong, .. }) => 415,
        Cause::Chunk(_) | Cause::Content(_) | Cause::Decode(_) => 400,
        Cause::BodyTimeout | Cause::HeadTimeout => 408,
        Cause::RequestFieldsTooLarge => 431,
        Cause::Overloaded { .. }
        | Cause::JournalFull
        | Cause::JournalPoisoned
        | Cause::Draining
        | Cause::Internal => 503,
    }
}

/// The fields that a status or a cause asks for.
fn push_fields(request: &RequestEcho<'_>, cause: &Cause, reply: &mut Reply) {
    if request.route().is_some_and(Route::is_of_tracers) {
        // Java's tracer asks for /info again at each flush where this is missing or another.
        reply.push("datadog-agent-state", Value::Static(form::info_state()));
    }
    match cause {
        Cause::Auth(_) if reply.status == 401 => {
            reply.push("www-authenticate", Value::Static("Bearer realm=\"inrush\""));
        }
        Cause::Route(RouteError::MethodNotAllowed { allow, .. }) => {
            reply.push("allow", Value::Static(allow));
        }
        Cause::Options => {
            if let Some(Endpoint::Options { allow }) = request.endpoint {
                reply.push("allow", Value::Static(allow));
            }
        }
        Cause::Coding(_) => {
            if let Some(route) = request.route() {
                reply.push("accept-encoding", Value::Static(accepted_codings(route)));
            }
        }
        Cause::Overloaded { retry_after_seconds } => {
            // JavaScript senders take 0 for a date in the past.
            let seconds = u64::from(*retry_after_seconds).max(1);
            reply.push("retry-after", Value::Number(seconds));
        }
        Cause::JournalFull => {
            reply.push("retry-after", Value::Number(RETRY_AFTER_FULL_SECONDS));
        }
        Cause::JournalPoisoned | Cause::Draining | Cause::Internal => {
            reply.push("retry-after", Value::Number(1));
        }
        _ => {}
    }
}

/// Remote write 2.0 counts what was written, in success and in refusal. A request that was not looked
/// into has no counts: its sender may repeat it. In 1.0 a count of 0 would be taken for a failure.
fn push_written(request: &RequestEcho<'_>, cause: &Cause, reply: &mut Reply) {
    if !request.remote_write_2 {
        return;
    }
    let written = match cause {
        Cause::Acknowledged(verdict) => *verdict,
        Cause::PayloadTooLarge | Cause::Content(_) | Cause::Decode(_) => Verdict::default(),
        _ => return,
    };
    for (name, count) in [
        ("x-prometheus-remote-write-samples-written", written.samples),
        ("x-prometheus-remote-write-histograms-written", written.histograms),
        ("x-prometheus-remote-write-exemplars-written", written.exemplars),
    ] {
        reply.push(name, Value::Number(count));
    }
}

/// Browsers hide a reply without these from the page, which then takes a refusal for a broken
/// connection and repeats it.
fn push_cors(request: &RequestEcho<'_>, cause: &Cause, reply: &mut Reply) {
    let Some(origin) = request.origin else {
        return;
    };
    let echoed =
        !origin.is_empty() && reply.push("access-control-allow-origin", Value::Bytes(origin));
    if echoed {
        // Older exporters send beacons, which always carry credentials.
        reply.push("access-control-allow-credentials", Value::Static("true"));
        reply.push("vary", Value::Static("origin"));
    } else {
        reply.push("access-control-allow-origin", Value::Static("*"));
    }
    if *cause != Cause::Preflight {
        reply.push("access-control-expose-headers", Value::Static("retry-after"));
        return;
    }
    reply.push("access-control-allow-methods", Value::Static("POST, PUT, OPTIONS"));
    // A wildcard would not cover Authorization.
    let requested = request.requested_headers.filter(|names| list_members(names).all(is_token));
    let told = requested.is_some_and(|names| {
        list_members(names).next().is_some()
            && reply.push("access-control-allow-headers", Value::Bytes(names))
    });
    if !told {
        reply.push("access-control-allow-headers", Value::Static(PREFLIGHT_HEADERS));
    }
    reply.push("access-control-max-age", Value::Number(PREFLIGHT_MAX_AGE_SECONDS));
}

fn render_success(request: &RequestEcho<'_>, cause: &Cause, reply: &mut Reply) {
    match cause {
        Cause::Acknowledged(verdict) => form::write_acknowledgement(request, verdict, reply),
        Cause::Health => {
            reply.content_type = Some("text/plain; charset=utf-8");
            reply.body = Body::Static(b"OK\n");
        }
        Cause::Info => form::write_info(reply),
        Cause::ValidateOk => {
            reply.content_type = Some("application/json");
            reply.body = Body::Static(b"{\"valid\":true}");
        }
        Cause::Unkept => form::write_unkept(request, reply),
        Cause::VmHandshake => {
            // vmagent compares the whole body with this one byte.
            reply.content_type = Some("text/plain; charset=utf-8");
            reply.body = Body::Static(b"1");
        }
        _ => {}
    }
}

/// What a refusal says.
fn write_sentence(request: &RequestEcho<'_>, cause: &Cause, text: &mut Text) {
    describe(request, cause, text);
    if request.kept > 0 {
        // Text cuts instead of failing.
        let _ = write!(text, "; {} records in front of it were kept", request.kept);
    }
}

/// What is wrong, in words, with its place if it has one.
fn describe(request: &RequestEcho<'_>, cause: &Cause, text: &mut Text) {
    // Text never fails: it cuts what does not fit.
    let _ = match cause {
        Cause::Head(error) => match error.offset() {
            Some(offset) => write!(text, "{} at byte {offset}", error.message()),
            None => text.write_str(error.message()),
        },
        Cause::Chunk(error) => text.write_str(error.message()),
        Cause::Route(error) => text.write_str(error.message()),
        Cause::Coding(error) => match request.route() {
            Some(route) => {
                write!(text, "{}; it reads {}", error.message(), accepted_codings(route))
            }
            None => text.write_str(error.message()),
        },
        Cause::Media(error) => text.write_str(error.message()),
        Cause::Auth(AuthError::Missing) => text.write_str("no ingestion key was presented"),
        Cause::Auth(AuthError::Invalid) => text.write_str("the ingestion key is not valid"),
        Cause::BodyTooLarge => match request.route() {
            Some(route) => {
                write!(text, "the body is larger than {} bytes", route::body_limit(route))
            }
            None => text.write_str("the body is too large"),
        },
        Cause::PayloadTooLarge | Cause::Content(ContentError::OutputOverLimit) => {
            match request.route() {
                Some(route) => write!(
                    text,
                    "the decompressed body is larger than {} bytes",
                    route::payload_limit(route)
                ),
                None => text.write_str("the decompressed body is too large"),
            }
        }
        Cause::Content(error) => describe_content(*error, text),
        Cause::Decode(error) => write!(text, "{error}"),
        Cause::Overloaded { .. } => text.write_str("the server is overloaded; try again"),
        Cause::JournalFull => text.write_str("the journal is full; try again"),
        Cause::JournalPoisoned => text.write_str("the journal cannot be written; try again"),
        Cause::Draining => text.write_str("the server is shutting down; try again"),
        Cause::BodyTimeout => text.write_str("the body came too slowly"),
        Cause::HeadTimeout => text.write_str("the head came too slowly"),
        Cause::RequestFieldsTooLarge => {
            text.write_str("the header fields kept with a body are too large")
        }
        Cause::Grpc(GrpcFault::MessageTooLarge) => match request.route() {
            Some(route) => {
                write!(text, "the message is larger than {} bytes", route::body_limit(route))
            }
            None => text.write_str("the message is too large"),
        },
        Cause::Grpc(fault) => text.write_str(fault.message()),
        Cause::Internal => text.write_str("the server failed; try again"),
        Cause::Acknowledged(verdict) => form::write_rejects(verdict, text),
        Cause::Health
        | Cause::Info
        | Cause::ValidateOk
        | Cause::VmHandshake
        | Cause::Serving(_)
        | Cause::Preflight
        | Cause::Unkept
        | Cause::Options => Ok(()),
    };
}

fn describe_content(error: ContentError, text: &mut Text) -> std::fmt::Result {
    match error {
        ContentError::OutputOverLimit => text.write_str("the decompressed body is too large"),
        ContentError::Truncated => text.write_str("the compressed body breaks off"),
        ContentError::Corrupt { offset } => {
            write!(text, "the compressed body is corrupt at byte {offset}")
        }
        ContentError::ChecksumWrong { offset } => {
            write!(text, "the compressed body contradicts its checksum or length at byte {offset}")
        }
        ContentError::TrailingGarbage { offset } => {
            write!(text, "bytes follow the compressed body at byte {offset}")
        }
        ContentError::WindowOverLimit => text.write_str("the zstd window is larger than 8 MiB"),
        ContentError::DictionaryNeeded => text.write_str("the compressed body needs a dictionary"),
        ContentError::MemberCountOverLimit { offset } => {
            write!(text, "the compressed body has too many tiny members at byte {offset}")
        }
    }
}

impl Cause {
    /// The label of a refusal in `inrush_refusals_total`. A fixed, small set.
    #[must_use]
    pub const fn metric_label(&self) -> &'static str {
        match self {
            Self::Acknowledged(_) => "acknowledged",
            Self::Health => "health",
            Self::Info => "info",
            Self::ValidateOk => "validate",
            Self::VmHandshake => "vm_handshake",
            Self::Unkept => "unkept",
            Self::Preflight => "preflight",
            Self::Options => "options",
            Self::Head(HeadError::HeadSizeOverLimit | HeadError::FieldCountOverLimit) => {
                "head_too_large"
            }
            Self::Head(_) => "head",
            Self::Chunk(_) => "chunked",
            Self::Route(RouteError::NotFound { .. }) => "not_found",
            Self::Route(RouteError::MethodNotAllowed { .. }) => "method",
            Self::Route(RouteError::GrpcNeedsHttp2 { .. }) => "grpc_needs_http2",
            Self::Coding(_) => "content_coding",
            Self::Media(_) | Self::Route(RouteError::NotGrpc) => "media_type",
            Self::Auth(AuthError::Missing) => "key_missing",
            Self::Auth(AuthError::Invalid) => "key_invalid",
            Self::BodyTooLarge => "body_too_large",
            Self::PayloadTooLarge | Self::Content(ContentError::OutputOverLimit) => {
                "payload_too_large"
            }
            Self::Content(_) => "content",
            Self::Decode(_) => "decode",
            Self::Overloaded { .. } => "overloaded",
            Self::JournalFull => "journal_full",
            Self::JournalPoisoned => "journal_poisoned",
            Self::Draining => "draining",
            Self::BodyTimeout => "body_timeout",
            Self::HeadTimeout => "head_timeout",
            Self::RequestFieldsTooLarge => "request_fields_too_large",
            Self::Grpc(fault) => fault.label(),
            Self::Serving(_) => "health",
            Self::Internal => "internal",
        }
    }

    /// A refusal for what is no fault of the sender, who may come again.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Overloaded { .. }
                | Self::JournalFull
                | Self::JournalPoisoned
                | Self::Draining
                | Self::Internal
        )
    }

    /// Whether the request was refused, rather than answered.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        !matches!(
            self,
            Self::Acknowledged(_)
                | Self::Health
                | Self::Info
                | Self::ValidateOk
                | Self::VmHandshake
                | Self::Unkept
                | Self::Serving(_)
                | Self::Preflight
                | Self::Options
        )
    }
}
