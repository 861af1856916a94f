//! Bodies of replies: each protocol's own form of success, of partial success and of refusal.

use std::fmt;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest, Sha256};

use super::{Cause, RequestEcho};
use crate::auth::AuthError;
use crate::content::ContentError;
use crate::decode::{DecodeError, Verdict};
use crate::envelope::Route;
use crate::http::grpc::{self, code};
use crate::http::reply::{Body, Reply, Value};
use crate::route::{Endpoint, RouteError, Unkept};

const GRPC: &str = "application/grpc";
const TEXT: &str = "text/plain; charset=utf-8";
/// Bare: some exporters compare the whole field and ignore the body otherwise.
const JSON: &str = "application/json";
const PROTOBUF: &str = "application/x-protobuf";

/// The error form of a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    StatusProtobuf,
    StatusJson,
    Datadog,
    Firehose,
    JsonLogs,
}

impl Form {
    pub(super) fn of(request: &RequestEcho<'_>, cause: &Cause) -> Self {
        let route = match (request.endpoint, *cause) {
            (Some(Endpoint::Ingest(route)), _)
            | (
                _,
                Cause::Route(
                    RouteError::GrpcNeedsHttp2 { route }
                    | RouteError::MethodNotAllowed { route: Some(route), .. }
                    | RouteError::NotFound { route: Some(route) },
                ),
            ) => route,
            (Some(Endpoint::DatadogValidate | Endpoint::Unkept(_)), _) => return Self::Datadog,
            _ => return Self::Text,
        };
        match route {
            Route::RemoteWrite | Route::ImportPrometheus => Self::Text,
            Route::OtlpLogs | Route::OtlpTraces | Route::OtlpMetrics => {
                if request.json {
                    Self::StatusJson
                } else {
                    Self::StatusProtobuf
                }
            }
            Route::OtlpGrpcLogs | Route::OtlpGrpcTraces | Route::OtlpGrpcMetrics => Self::Text,
            Route::DatadogSeriesV1
            | Route::DatadogSeriesV2
            | Route::DatadogSketches
            | Route::DatadogTracesV03
            | Route::DatadogTracesV04
            | Route::DatadogTracesV05
            | Route::DatadogTracesV07
            | Route::DatadogAgentTraces => Self::Datadog,
            Route::Firehose => Self::Firehose,
            Route::JsonLogs => Self::JsonLogs,
        }
    }

    /// Writes `message` as this form's body and sets the media type.
    pub(super) fn write_refusal(
        self,
        request: &RequestEcho<'_>,
        cause: &Cause,
        message: &str,
        reply: &mut Reply,
    ) {
        let code = grpc_code(reply.status, cause);
        reply.content_type = Some(match self {
            Self::Text => TEXT,
            Self::StatusProtobuf => PROTOBUF,
            _ => JSON,
        });
        let body = reply.owned_body();
        match self {
            Self::Text => {
                body.extend_from_slice(message.as_bytes());
                body.push(b'\n');
            }
            Self::StatusProtobuf => write_status_protobuf(code, message, cause, body),
            Self::StatusJson => write_status_json(code, message, cause, body),
            Self::Datadog => {
                body.extend_from_slice(b"{\"errors\":[\"");
                push_escaped(body, message.as_bytes());
                body.extend_from_slice(b"\"]}");
            }
            Self::Firehose => {
                push_firehose_start(request, body);
                body.extend_from_slice(b",\"errorMessage\":\"");
                push_escaped(body, message.as_bytes());
                body.extend_from_slice(b"\"}");
            }
            // To the letter what the product's gateway answers.
            Self::JsonLogs
                if matches!(cause, Cause::Auth(AuthError::Missing | AuthError::Invalid)) =>
            {
                body.extend_from_slice(b"{\"error\": \"Authentication required\"}");
            }
            Self::JsonLogs => {
                body.extend_from_slice(b"{\"error\":\"");
                push_escaped(body, message.as_bytes());
                body.extend_from_slice(b"\"}");
            }
        }
    }
}

/// The body of a 2xx for a durable body.
pub(super) fn write_acknowledgement(
    request: &RequestEcho<'_>,
    verdict: &Verdict,
    reply: &mut Reply,
) {
    let Some(Endpoint::Ingest(route)) = request.endpoint else {
        return;
    };
    match route {
        Route::RemoteWrite | Route::ImportPrometheus => {}
        Route::OtlpLogs | Route::OtlpTraces | Route::OtlpMetrics if request.json => {
            write_otlp_json(route, verdict, reply);
        }
        Route::OtlpLogs | Route::OtlpTraces | Route::OtlpMetrics => {
            reply.content_type = Some(PROTOBUF);
            write_otlp_protobuf(verdict, reply);
        }
        Route::OtlpGrpcLogs | Route::OtlpGrpcTraces | Route::OtlpGrpcMetrics => {
            // The message alone: its five bytes of framing and the trailers belong to gRPC.
            reply.content_type = Some("application/grpc");
            write_otlp_protobuf(verdict, reply);
        }
        Route::DatadogSeriesV1 | Route::DatadogSketches => {
            // datadogpy takes the mere presence of `errors` for a failure.
            reply.content_type = Some(JSON);
            reply.body = Body::Static(b"{\"status\":\"ok\"}");
        }
        Route::DatadogSeriesV2 => {
            reply.content_type = Some(JSON);
            reply.body = Body::Static(b"{\"errors\":[]}");
        }
        Route::DatadogTracesV03 => {
            reply.content_type = Some(TEXT);
            reply.body = Body::Static(b"OK\n");
        }
        Route::DatadogTracesV04 | Route::DatadogTracesV05 | Route::DatadogTracesV07 => {
            // A rate below 1 would make tracers drop spans before they reach us.
            reply.content_type = Some(JSON);
            reply.body = Body::Static(b"{\"rate_by_service\":{\"service:,env:\":1}}");
        }
        Route::DatadogAgentTraces => {
            reply.content_type = Some(JSON);
            reply.body = Body::Static(b"{}");
        }
        Route::Firehose => {
            reply.content_type = Some(JSON);
            let body = reply.owned_body();
            push_firehose_start(request, body);
            body.push(b'}');
        }
        Route::JsonLogs => {
            reply.content_type = Some(JSON);
            if verdict.rejected == 0 {
                reply.body = Body::Static(b"{}");
            } else {
                let body = reply.owned_body();
                body.extend_from_slice(b"{\"rejected\":");
                push_decimal(body, verdict.rejected);
                body.extend_from_slice(b",\"error\":\"");
                push_escaped(body, reject_text(verdict).as_str().as_bytes());
                body.extend_from_slice(b"\"}");
            }
        }
    }
}

/// What tracers ask before they send: they use what is listed, so only what is kept is. With
/// `client_drop_p0s` they would drop unsampled traces and send statistics instead.
const INFO: &str = "{\"version\":\"7.65.0\",\
    \"endpoints\":[\"/v0.3/traces\",\"/v0.4/traces\",\"/v0.5/traces\",\"/v0.7/traces\"],\
    \"client_drop_p0s\":false,\"span_events\":true,\"span_meta_structs\":true}";

pub(super) fn write_info(reply: &mut Reply) {
    reply.content_type = Some(JSON);
    reply.body = Body::Static(INFO.as_bytes());
}

/// The lowercase hex SHA-256 of `/info`, which tracers compare with that of what they read.
pub(super) fn info_state() -> &'static str {
    static STATE: LazyLock<String> =
        LazyLock::new(|| Sha256::digest(INFO).iter().map(|byte| format!("{byte:02x}")).collect());
    &STATE
}

/// The answers that a stock Agent gets elsewhere.
pub(super) fn write_unkept(request: &RequestEcho<'_>, reply: &mut Reply) {
    let body: &[u8] = match request.endpoint {
        Some(Endpoint::Unkept(Unkept::Telemetry)) => return,
        Some(Endpoint::Unkept(Unkept::CheckRun | Unkept::HostMetadata)) => b"{\"status\":\"ok\"}",
        _ => b"{}",
    };
    reply.content_type = Some(JSON);
    reply.body = Body::Static(body);
}

/// `{"requestId":"…","timestamp":N`, still open. A string for a timestamp counts as no answer.
fn push_firehose_start(request: &RequestEcho<'_>, body: &mut Vec<u8>) {
    body.extend_from_slice(b"{\"requestId\":\"");
    push_escaped(body, request.firehose_request_id.unwrap_or_default());
    body.extend_from_slice(b"\",\"timestamp\":");
    push_decimal(body, request.now_millis);
}

/// Why the first of the rejected records was refused.
pub(super) fn reject_text(verdict: &Verdict) -> Text {
    use fmt::Write as _;
    let mut text = Text::new();
    if let Some((cause, offset)) = verdict.first_reject {
        // Text cuts instead of failing.
        let _ = write!(text, "first at byte {offset}: {}", cause.message());
    }
    text
}

/// How many records were refused, and why the first of them.
pub(super) fn write_rejects(verdict: &Verdict, text: &mut Text) -> fmt::Result {
    use fmt::Write as _;
    write!(text, "records rejected: {}; {}", verdict.rejected, reject_text(verdict).as_str())
}

/// `ExportLogsServiceResponse` and its sisters, which are alike on the wire. Without rejects it must
/// be unset, and the message is then zero bytes long.
fn write_otlp_protobuf(verdict: &Verdict, reply: &mut Reply) {
    if verdict.rejected == 0 {
        return;
    }
    let text = reject_text(verdict);
    let text = text.as_str().as_bytes();
    let partial = 1 + varint_size(verdict.rejected) + bytes_size(text);
    let body = reply.owned_body();
    push_tag(body, 1, 2);
    push_varint(body, partial as u64);
    push_tag(body, 1, 0);
    push_varint(body, verdict.rejected);
    push_bytes(body, 2, text);
}

fn write_otlp_json(route: Route, verdict: &Verdict, reply: &mut Reply) {
    reply.content_type = Some(JSON);
    if verdict.rejected == 0 {
        reply.body = Body::Static(b"{}");
        return;
    }
    let name = match route {
        Route::OtlpTraces => "rejectedSpans",
        Route::OtlpMetrics => "rejectedDataPoints",
        _ => "rejectedLogRecords",
    };
    let body = reply.owned_body();
    body.extend_from_slice(b"{\"partialSuccess\":{\"");
    body.extend_from_slice(name.as_bytes());
    body.extend_from_slice(b"\":\"");
    push_decimal(body, verdict.rejected);
    body.extend_from_slice(b"\",\"errorMessage\":\"");
    push_escaped(body, reject_text(verdict).as_str().as_bytes());
    body.extend_from_slice(b"\"}}");
}

/// The reply to a gRPC call. Success is a message; everything else is trailers alone, as Java's exporter
/// looks for a retryable status only there.
pub(super) fn write_grpc(request: &RequestEcho<'_>, cause: &Cause, reply: &mut Reply) {
    let status = reply.status;
    reply.status = 200;
    reply.content_type = Some(GRPC);
    reply.push("grpc-accept-encoding", Value::Static(grpc::ACCEPT_ENCODING));
    match cause {
        Cause::Acknowledged(verdict) => return write_otlp_protobuf(verdict, reply),
        Cause::Serving(true) => return reply.body = Body::Static(&[0x08, 1]),
        Cause::Serving(false) => return reply.body = Body::Static(&[0x08, 2]),
        _ => {}
    }
    let mut text = Text::new();
    super::write_sentence(request, cause, &mut text);
    let message = text.as_str();
    let code = match cause {
        Cause::Content(error) if *error != ContentError::OutputOverLimit => code::INTERNAL,
        _ => grpc_code(status, cause),
    };
    reply.push(GRPC_STATUS, Value::Number(u64::from(code)));
    let mut coded = String::with_capacity(message.len());
    for byte in message.bytes().take(GRPC_MESSAGE_SIZE_MAX) {
        match byte {
            b' '..=b'~' if byte != b'%' => coded.push(char::from(byte)),
            _ => {
                let _ = fmt::Write::write_fmt(&mut coded, format_args!("%{byte:02X}"));
            }
        }
    }
    reply.push("grpc-message", Value::Bytes(coded.as_bytes()));
    if violated_field(cause).is_some() {
        let mut details = Vec::with_capacity(1024);
        write_status_protobuf(code, message, cause, &mut details);
        let details = STANDARD_NO_PAD.encode(details);
        reply.push("grpc-status-details-bin", Value::Bytes(details.as_bytes()));
    }
    if let Some(seconds) = retry_delay(cause) {
        // Python's exporter reads the one, all others the other.
        let mut delay = Vec::with_capacity(8);
        push_tag(&mut delay, 1, 0);
        push_varint(&mut delay, seconds);
        let mut info = Vec::with_capacity(8);
        push_bytes(&mut info, 1, &delay);
        let mut any = Vec::with_capacity(64);
        push_bytes(&mut any, 1, RETRY_INFO_TYPE.as_bytes());
        push_bytes(&mut any, 2, &info);
        let mut details = Vec::with_capacity(256);
        push_tag(&mut details, 1, 0);
        push_varint(&mut details, u64::from(code));
        push_bytes(&mut details, 2, message.as_bytes());
        push_bytes(&mut details, 3, &any);
        let details = STANDARD_NO_PAD.encode(details);
        reply.push("grpc-status-details-bin", Value::Bytes(details.as_bytes()));
        reply.push(
            "google.rpc.retryinfo-bin",
            Value::Bytes(STANDARD_NO_PAD.encode(info).as_bytes()),
        );
    }
}

/// The name of the field that no success carries in its head.
pub const GRPC_STATUS: &str = "grpc-status";
/// Header lists of 8 KiB are all that some clients take, and a proxy may add to it.
const GRPC_MESSAGE_SIZE_MAX: usize = 300;
const RETRY_INFO_TYPE: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// How long the sender should wait, where waiting helps. Without it RESOURCE_EXHAUSTED means: drop.
const fn retry_delay(cause: &Cause) -> Option<u64> {
    match cause {
        Cause::Overloaded { retry_after_seconds: 0 } => Some(1),
        Cause::Overloaded { retry_after_seconds } => Some(*retry_after_seconds as u64),
        Cause::JournalFull => Some(super::RETRY_AFTER_FULL_SECONDS),
        Cause::JournalPoisoned | Cause::Draining | Cause::Internal => Some(1),
        _ => None,
    }
}

/// The code in `google.rpc.Status`, which goes by gRPC's numbers.
fn grpc_code(status: u16, cause: &Cause) -> u8 {
    match (status, cause) {
        (_, Cause::Grpc(fault)) => fault.code(),
        (_, Cause::Draining) => code::UNAVAILABLE,
        (400 | 431, _) => code::INVALID_ARGUMENT,
        (401, _) => code::UNAUTHENTICATED,
        (403, _) => code::PERMISSION_DENIED,
        (404 | 405 | 415 | 501, _) => code::UNIMPLEMENTED,
        (408, _) => code::DEADLINE_EXCEEDED,
        (413, _) | (503, Cause::Overloaded { .. } | Cause::JournalFull) => code::RESOURCE_EXHAUSTED,
        (503, _) => code::UNAVAILABLE,
        _ => code::UNKNOWN,
    }
}

const BAD_REQUEST_TYPE: &str = "type.googleapis.com/google.rpc.BadRequest";

/// `Status { code = 1, message = 2, details = 3 }`; a decode fault adds a
/// `BadRequest { field_violations = 1 { field = 1, description = 2 } }`.
fn write_status_protobuf(code: u8, message: &str, cause: &Cause, body: &mut Vec<u8>) {
    push_tag(body, 1, 0);
    push_varint(body, u64::from(code));
    push_bytes(body, 2, message.as_bytes());
    if let Some(field) = violated_field(cause) {
        let violation = bytes_size(field.as_str().as_bytes()) + bytes_size(message.as_bytes());
        let bad_request = 1 + varint_size(violation as u64) + violation;
        let any = bytes_size(BAD_REQUEST_TYPE.as_bytes())
            + 1
            + varint_size(bad_request as u64)
            + bad_request;
        push_tag(body, 3, 2);
        push_varint(body, any as u64);
        push_bytes(body, 1, BAD_REQUEST_TYPE.as_bytes());
        push_tag(body, 2, 2);
        push_varint(body, bad_request as u64);
        push_tag(body, 1, 2);
        push_varint(body, violation as u64);
        push_bytes(body, 1, field.as_str().as_bytes());
        push_bytes(body, 2, message.as_bytes());
    }
}

fn write_status_json(code: u8, message: &str, cause: &Cause, body: &mut Vec<u8>) {
    body.extend_from_slice(b"{\"code\":");
    push_decimal(body, u64::from(code));
    body.extend_from_slice(b",\"message\":\"");
    push_escaped(body, message.as_bytes());
    body.push(b'"');
    if let Some(field) = violated_field(cause) {
        body.extend_from_slice(b",\"details\":[{\"@type\":\"");
        body.extend_from_slice(BAD_REQUEST_TYPE.as_bytes());
        body.extend_from_slice(b"\",\"fieldViolations\":[{\"field\":\"");
        push_escaped(body, field.as_str().as_bytes());
        body.extend_from_slice(b"\",\"description\":\"");
        push_escaped(body, message.as_bytes());
        body.extend_from_slice(b"\"}]}]");
    }
    body.push(b'}');
}

/// The path of the field that a decode fault is about; a fault of anything else has none.
fn violated_field(cause: &Cause) -> Option<Text> {
    use fmt::Write as _;
    let Cause::Decode(DecodeError { path, .. }) = cause else {
        return None;
    };
    path.iter().next()?;
    let mut text = Text::new();
    // Text cuts instead of failing.
    let _ = write!(text, "{path}");
    Some(text)
}

fn push_tag(into: &mut Vec<u8>, field: u8, wire_type: u8) {
    into.push(field << 3 | wire_type);
}

fn push_varint(into: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        into.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    into.push((value & 0x7f) as u8);
}

/// A length-delimited field with a number below 16.
fn push_bytes(into: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    push_tag(into, field, 2);
    push_varint(into, bytes.len() as u64);
    into.extend_from_slice(bytes);
}

fn varint_size(value: u64) -> usize {
    crate::limits::size(u64::from((64 - (value | 1).leading_zeros()).div_ceil(7)))
}

/// What [`push_bytes`] takes.
fn bytes_size(bytes: &[u8]) -> usize {
    1 + varint_size(bytes.len() as u64) + bytes.len()
}

fn push_decimal(into: &mut Vec<u8>, number: u64) {
    use std::io::Write as _;
    // Writing to a vector cannot fail.
    let _ = write!(into, "{number}");
}

/// The inside of a JSON string; what is not UTF-8 is replaced.
fn push_escaped(into: &mut Vec<u8>, bytes: &[u8]) {
    for piece in bytes.utf8_chunks() {
        for &byte in piece.valid().as_bytes() {
            match byte {
                b'"' | b'\\' => into.extend_from_slice(&[b'\\', byte]),
                0..0x20 | 0x7f => {
                    const HEX: &[u8; 16] = b"0123456789abcdef";
                    let digit = |number: u8| HEX.get(usize::from(number & 15)).copied();
                    into.extend_from_slice(b"\\u00");
                    into.extend(digit(byte >> 4));
                    into.extend(digit(byte));
                }
                _ => into.push(byte),
            }
        }
        if !piece.invalid().is_empty() {
            into.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

/// A short text without allocation. What does not fit is cut at a character.
pub(super) struct Text {
    bytes: [u8; Self::SIZE_MAX],
    size: usize,
    full: bool,
}

impl Text {
    /// Room for a fault with its place and eight steps of a path.
    pub(super) const SIZE_MAX: usize = 512;

    pub(super) const fn new() -> Self {
        Self { bytes: [0; Self::SIZE_MAX], size: 0, full: false }
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(self.bytes.get(..self.size).unwrap_or_default()).unwrap_or_default()
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.full {
            return Ok(());
        }
        let room = Self::SIZE_MAX - self.size;
        self.full = text.len() > room;
        let mut end = text.len().min(room);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let piece = text.get(..end).unwrap_or_default();
        if let Some(slots) = self.bytes.get_mut(self.size..self.size + piece.len()) {
            slots.copy_from_slice(piece.as_bytes());
            self.size += piece.len();
        }
        Ok(())
    }
}
