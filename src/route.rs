//! Which endpoint a request head asks for, in which media type and codings, and how much it may bring.
//!
//! Place: after `http`, before `auth`; decides from the head alone, so that a refusal costs no body.
//! Paths are compared raw: nothing is percent-decoded or normalised, so there is no second reading.

#![deny(clippy::indexing_slicing)]

use crate::envelope::{Coding, Codings, Route};
use crate::http::grpc::{HEALTH_PATH, is_grpc};
use crate::http::head::{Fields, RequestHead};
use crate::http::{Method, Version, is_token, list_members, trim_blanks};
use crate::limits;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Ingest(Route),
    /// `GET /health`, without a key.
    Health,
    /// `GET /info`, what Datadog tracers ask first; without a key.
    Info,
    /// `GET /datadog/api/v1/validate`: is this key good?
    DatadogValidate,
    /// `GET /api/v1/write?get_vm_proto_version=1`: may vmagent send zstd?
    VmHandshake,
    /// `grpc.health.v1.Health/Check`
    GrpcHealth,
    /// What Datadog's Agents and tracers post besides and we keep nothing of.
    Unkept(Unkept),
    /// A browser asks whether it may send (Fetch standard, CORS preflight); without a key.
    Preflight,
    /// OPTIONS of any other kind; without a key.
    Options {
        allow: &'static str,
    },
}

impl Endpoint {
    /// Whether the request must present a key.
    #[must_use]
    pub const fn needs_key(self) -> bool {
        match self {
            Self::Ingest(_) | Self::DatadogValidate | Self::VmHandshake => true,
            Self::Unkept(unkept) => unkept.needs_key(),
            Self::Health
            | Self::Info
            | Self::GrpcHealth
            | Self::Preflight
            | Self::Options { .. } => false,
        }
    }

    /// The label of this endpoint in metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ingest(route) => route.path(),
            Self::Health => "/health",
            Self::Info => "/info",
            Self::DatadogValidate => "/datadog/api/v1/validate",
            Self::VmHandshake => "vm_handshake",
            Self::GrpcHealth => crate::http::grpc::HEALTH_PATH,
            Self::Unkept(unkept) => unkept.path(),
            Self::Preflight | Self::Options { .. } => "options",
        }
    }
}

/// Posts that hold no telemetry. They are answered as their senders need it, read away and counted:
/// a stock Agent repeats what is refused, and its queue then pushes out what we do want.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unkept {
    CheckRun,
    /// Metadata of the host, and events.
    Intake,
    Metadata,
    HostMetadata,
    /// Statistics over spans, computed by the Agent.
    Stats,
    /// Tracers tell of themselves; they have no key.
    Telemetry,
}

impl Unkept {
    pub const ALL: [Self; crate::counters::UNKEPT_COUNT] = [
        Self::CheckRun,
        Self::Intake,
        Self::Metadata,
        Self::HostMetadata,
        Self::Stats,
        Self::Telemetry,
    ];

    /// The path, also its label in metrics; for telemetry the start of it.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::CheckRun => "/datadog/api/v1/check_run",
            Self::Intake => "/datadog/intake",
            Self::Metadata => "/datadog/api/v1/metadata",
            Self::HostMetadata => "/datadog/api/v2/host_metadata",
            Self::Stats => "/datadog/api/v0.2/stats",
            Self::Telemetry => "/telemetry/proxy",
        }
    }

    /// Takes the path with or without the prefix, as series are taken.
    fn find(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|unkept| match unkept {
            Self::Telemetry => {
                path.strip_prefix(unkept.path()).is_some_and(|rest| rest.starts_with('/'))
            }
            _ => unkept.path() == path || unkept.path().strip_prefix("/datadog") == Some(path),
        })
    }

    const fn needs_key(self) -> bool {
        !matches!(self, Self::Telemetry)
    }
}

/// Why no endpoint takes the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RouteError {
    /// `route` is whose error form applies.
    NotFound { route: Option<Route> },
    /// `allow` is the value of the `Allow` field, `route` whose error form applies.
    MethodNotAllowed { allow: &'static str, route: Option<Route> },
    /// A gRPC method over HTTP/1.1, which has no trailers that gRPC could use.
    GrpcNeedsHttp2 { route: Route },
    /// A gRPC method with another media type than gRPC's.
    NotGrpc,
}

impl RouteError {
    /// The fault in words.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::NotFound { .. } => "there is no such endpoint",
            Self::MethodNotAllowed { .. } => "the endpoint does not take this method",
            Self::GrpcNeedsHttp2 { .. } => "gRPC needs HTTP/2",
            Self::NotGrpc => "the method takes application/grpc only",
        }
    }
}

const ALLOW_ALL: &str = "GET, HEAD, POST, PUT, OPTIONS";
const ALLOW_READ: &str = "GET, HEAD, OPTIONS";
const ALLOW_POST: &str = "POST, OPTIONS";
const ALLOW_POST_PUT: &str = "POST, PUT, OPTIONS";
/// The remote write path, where vmagent also asks by GET.
const ALLOW_REMOTE_WRITE: &str = "GET, POST, OPTIONS";
/// vmagent pushes its own metrics by GET, curl -T and Pushgateway clients by PUT.
const ALLOW_IMPORT: &str = "GET, POST, PUT, OPTIONS";

/// A path without its method.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Ingest(Route),
    Read(Endpoint),
    Unkept(Unkept),
}

impl Place {
    const fn allow(self) -> &'static str {
        match self {
            Self::Read(_) => ALLOW_READ,
            Self::Unkept(_) => ALLOW_POST_PUT,
            Self::Ingest(Route::RemoteWrite) => ALLOW_REMOTE_WRITE,
            Self::Ingest(Route::ImportPrometheus) => ALLOW_IMPORT,
            // Java and JavaScript tracers.
            Self::Ingest(route) if route.is_of_tracers() => ALLOW_POST_PUT,
            Self::Ingest(_) => ALLOW_POST,
        }
    }

    /// Whose error form applies.
    const fn route(self) -> Option<Route> {
        match self {
            Self::Ingest(route) => Some(route),
            Self::Read(Endpoint::DatadogValidate) | Self::Unkept(_) => Some(DATADOG),
            Self::Read(_) => None,
        }
    }
}

/// Finds the endpoint of a request.
pub fn select(head: &RequestHead<'_>) -> Result<Endpoint, RouteError> {
    if head.path == "*" && head.method == Method::Options {
        return Ok(Endpoint::Options { allow: ALLOW_ALL });
    }
    if head.path == HEALTH_PATH && head.version == Version::Http2 {
        return match head.method {
            Method::Post if is_grpc(head) => Ok(Endpoint::GrpcHealth),
            Method::Post => Err(RouteError::NotGrpc),
            Method::Options => Ok(Endpoint::Options { allow: ALLOW_POST }),
            _ => Err(RouteError::MethodNotAllowed { allow: ALLOW_POST, route: None }),
        };
    }
    let Some(place) = place(head.path) else {
        let route = unknown_path_route(head.path);
        return Err(match head.method {
            Method::Trace | Method::Connect => {
                RouteError::MethodNotAllowed { allow: ALLOW_ALL, route }
            }
            _ => RouteError::NotFound { route },
        });
    };
    if let Place::Ingest(
        route @ (Route::OtlpGrpcLogs | Route::OtlpGrpcTraces | Route::OtlpGrpcMetrics),
    ) = place
        && head.version != Version::Http2
    {
        return Err(RouteError::GrpcNeedsHttp2 { route });
    }
    let refused = Err(RouteError::MethodNotAllowed { allow: place.allow(), route: place.route() });
    match (head.method, place) {
        (Method::Options, _) => Ok(if is_preflight(&head.fields) {
            Endpoint::Preflight
        } else {
            Endpoint::Options { allow: place.allow() }
        }),
        (Method::Get | Method::Head, Place::Read(endpoint)) => Ok(endpoint),
        (Method::Get, Place::Ingest(Route::RemoteWrite)) if asks_vm_version(head.query) => {
            Ok(Endpoint::VmHandshake)
        }
        (Method::Post, Place::Ingest(route)) => Ok(Endpoint::Ingest(route)),
        (Method::Post | Method::Put, Place::Unkept(unkept)) => Ok(Endpoint::Unkept(unkept)),
        (Method::Get | Method::Put, Place::Ingest(route)) if place.allow() == ALLOW_IMPORT => {
            Ok(Endpoint::Ingest(route))
        }
        (Method::Put, Place::Ingest(route)) if place.allow() == ALLOW_POST_PUT => {
            Ok(Endpoint::Ingest(route))
        }
        _ => refused,
    }
}

/// The path's place; one slash more at the end makes no difference to any sender we know.
fn place(path: &str) -> Option<Place> {
    let path = match path.strip_suffix('/') {
        Some("") | None => path,
        Some(stripped) => stripped,
    };
    Some(match path {
        "/health" => Place::Read(Endpoint::Health),
        "/info" => Place::Read(Endpoint::Info),
        "/datadog/api/v1/validate" | "/api/v1/validate" => Place::Read(Endpoint::DatadogValidate),
        // What VictoriaMetrics and Cortex call it.
        "/api/v1/push" => Place::Ingest(Route::RemoteWrite),
        "/api/v1/series" => Place::Ingest(Route::DatadogSeriesV1),
        "/api/v2/series" => Place::Ingest(Route::DatadogSeriesV2),
        "/api/beta/sketches" => Place::Ingest(Route::DatadogSketches),
        "/datadog/api/v0.2/traces" => Place::Ingest(Route::DatadogAgentTraces),
        _ => {
            if let Some(&route) = Route::ALL.iter().find(|route| route.path() == path) {
                return Some(Place::Ingest(route));
            }
            if let Some(unkept) = Unkept::find(path) {
                return Some(Place::Unkept(unkept));
            }
            // The Pushgateway's form carries labels in the path.
            let rest = path.strip_prefix(Route::ImportPrometheus.path())?;
            if !rest.starts_with('/') {
                return None;
            }
            Place::Ingest(Route::ImportPrometheus)
        }
    })
}

/// Stands for all of Datadog's endpoints where only the form of errors matters.
const DATADOG: Route = Route::DatadogSeriesV1;

/// Whose errors a path without an endpoint gets. Datadog's clients have one form for all of theirs, some
/// of them read nothing but JSON; Prometheus and its relatives share `/api/v1/`, and read text.
fn unknown_path_route(path: &str) -> Option<Route> {
    // Tracers for JavaScript and Rust ask for it whatever `/info` lists.
    if path == "/v0.7/config" {
        return Some(Route::DatadogTracesV07);
    }
    const STARTS: [&str; 6] =
        ["/datadog/", "/api/v0.2/", "/api/v1/", "/api/v2/", "/api/beta/", "/api/intake/"];
    const PROMETHEUS: [&str; 12] = [
        "write",
        "push",
        "read",
        "import",
        "export",
        "query",
        "query_range",
        "label",
        "labels",
        "targets",
        "rules",
        "otlp",
    ];
    let is_of_prometheus = path.strip_prefix("/api/v1/").is_some_and(|rest| {
        rest.split('/').next().is_some_and(|first| PROMETHEUS.contains(&first))
    });
    let is_of_datadog = !is_of_prometheus && STARTS.iter().any(|start| path.starts_with(start));
    is_of_datadog.then_some(DATADOG)
}

/// The Pushgateway's labels in the path behind the route's own, from `/metrics/` on, which may stand
/// anywhere there, as for VictoriaMetrics; other paths carry nothing.
#[must_use]
pub fn path_labels(route: Route, path: &str) -> &str {
    let rest = path.strip_prefix(route.path()).unwrap_or_default();
    rest.find("/metrics/").and_then(|start| rest.get(start..)).unwrap_or_default()
}

/// Whether an OPTIONS request is a browser's question before the real one.
fn is_preflight(fields: &Fields<'_>) -> bool {
    fields.first("origin").is_some() && fields.first("access-control-request-method").is_some()
}

fn asks_vm_version(query: Option<&str>) -> bool {
    query.is_some_and(|query| query.split('&').any(|pair| pair == "get_vm_proto_version=1"))
}

/// The largest body as sent.
#[must_use]
pub const fn body_limit(route: Route) -> usize {
    match route {
        Route::RemoteWrite => limits::REMOTE_WRITE_SIZE_MAX,
        route if route.is_cut() => usize::MAX,
        _ => limits::BODY_SIZE_MAX,
    }
}

/// The largest body after its codings.
#[must_use]
pub const fn payload_limit(route: Route) -> usize {
    match route {
        Route::RemoteWrite => limits::REMOTE_WRITE_SIZE_MAX,
        _ => limits::PAYLOAD_SIZE_MAX,
    }
}

/// Why the codings of a body are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CodingError {
    /// A coding this route does not take.
    Unsupported,
    /// More codings on top of each other than two.
    CountOverLimit,
}

/// The codings a route takes, as `Accept-Encoding` lists them.
#[must_use]
pub const fn accepted_codings(route: Route) -> &'static str {
    match route {
        Route::RemoteWrite => "snappy, zstd",
        Route::Firehose => "gzip, identity",
        Route::OtlpLogs | Route::OtlpTraces | Route::OtlpMetrics => {
            "gzip, deflate, zstd, snappy, lz4, identity"
        }
        _ => "gzip, deflate, zstd, snappy, identity",
    }
}

impl CodingError {
    /// The fault in words.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Unsupported => "the content coding is not one this endpoint reads",
            Self::CountOverLimit => "more than two content codings on top of each other",
        }
    }
}

/// Reads `Content-Encoding` (RFC 9110, section 8.4): every field, in the order of application.
pub fn codings(route: Route, fields: &Fields<'_>) -> Result<Codings, CodingError> {
    if matches!(route, Route::OtlpGrpcLogs | Route::OtlpGrpcTraces | Route::OtlpGrpcMetrics) {
        // gRPC codes its messages, and names that elsewhere.
        return Ok(Codings::IDENTITY);
    }
    let mut found = [Coding::Identity; 2];
    let mut count = 0;
    let mut named = false;
    for name in fields.all("content-encoding").flat_map(list_members) {
        named = true;
        let coding = coding(name).ok_or(CodingError::Unsupported)?;
        if coding == Coding::Identity {
            if route == Route::RemoteWrite {
                return Err(CodingError::Unsupported);
            }
            continue;
        }
        let accepted = match route {
            Route::RemoteWrite => matches!(coding, Coding::Snappy | Coding::Zstd),
            Route::Firehose => coding == Coding::Gzip,
            // The Collector's exporters send it; nobody else does.
            Route::OtlpLogs | Route::OtlpTraces | Route::OtlpMetrics => true,
            _ => coding != Coding::Lz4,
        };
        if !accepted {
            return Err(CodingError::Unsupported);
        }
        *found.get_mut(count).ok_or(CodingError::CountOverLimit)? = coding;
        count += 1;
    }
    if route == Route::RemoteWrite {
        // The protocol knows one coding; senders that forget to name it mean snappy.
        return match count {
            0 if !named => Ok(Codings::one(Coding::Snappy)),
            1 => Ok(Codings(found)),
            _ => Err(CodingError::Unsupported),
        };
    }
    Ok(Codings(found))
}

/// The coding that `grpc-encoding` names for compressed messages; none where it names none.
pub fn grpc_coding(fields: &Fields<'_>) -> Result<Option<Coding>, CodingError> {
    match fields.last("grpc-encoding") {
        None => Ok(None),
        Some(name) => match coding(name).ok_or(CodingError::Unsupported)? {
            Coding::Identity => Ok(None),
            Coding::Lz4 => Err(CodingError::Unsupported),
            coding => Ok(Some(coding)),
        },
    }
}

/// All names under which senders mean a coding, in any case.
fn coding(name: &[u8]) -> Option<Coding> {
    const NAMES: [(&[u8], Coding); 13] = [
        (b"gzip", Coding::Gzip),
        (b"snappy", Coding::Snappy),
        (b"zstd", Coding::Zstd),
        (b"deflate", Coding::Deflate),
        (b"identity", Coding::Identity),
        (b"none", Coding::Identity),
        // The Collector's name for the framed format; both are told apart by their first bytes.
        (b"x-snappy-framed", Coding::Snappy),
        (b"x-gzip", Coding::Gzip),
        (b"zlib", Coding::Deflate),
        (b"x-deflate", Coding::Deflate),
        // The name in Datadog's API clients.
        (b"zstd1", Coding::Zstd),
        (b"x-zstd", Coding::Zstd),
        (b"lz4", Coding::Lz4),
    ];
    NAMES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|&(_, coding)| coding)
}

/// What a body is, once its codings are off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Media {
    /// `prometheus.WriteRequest`
    RemoteWrite1,
    /// `io.prometheus.write.v2.Request`
    RemoteWrite2,
    OtlpProtobuf,
    OtlpJson,
    /// Any JSON text; whether lines or an array, the decoder finds out.
    JsonText,
    /// The route's decoder decides by the body.
    ByRoute,
}

/// Why the media type is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaError {
    /// No type, or one that this route does not take.
    Unsupported,
}

impl MediaError {
    /// The fault in words.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Unsupported => "the media type is not one this endpoint reads",
        }
    }
}

/// Reads `Content-Type` as the route understands it.
///
/// The last field counts where a sender sends several, except for JSON logs: there any field that
/// names JSON will do, as agents let their users add a second one.
pub fn media_type(route: Route, fields: &Fields<'_>) -> Result<Media, MediaError> {
    match route {
        Route::RemoteWrite => remote_write_media(fields.last("content-type")),
        Route::OtlpLogs | Route::OtlpTraces | Route::OtlpMetrics => {
            let essence = fields.last("content-type").map(essence).unwrap_or_default();
            if essence.eq_ignore_ascii_case(b"application/x-protobuf") {
                Ok(Media::OtlpProtobuf)
            } else if essence.eq_ignore_ascii_case(b"application/json") {
                Ok(Media::OtlpJson)
            } else {
                Err(MediaError::Unsupported)
            }
        }
        Route::OtlpGrpcLogs | Route::OtlpGrpcTraces | Route::OtlpGrpcMetrics => {
            let media = fields.last("content-type").and_then(MediaType::parse);
            match media {
                Some(media)
                    if media.is("application/grpc") || media.is("application/grpc+proto") =>
                {
                    Ok(Media::OtlpProtobuf)
                }
                _ => Err(MediaError::Unsupported),
            }
        }
        Route::JsonLogs => json_logs_media(fields),
        _ => Ok(Media::ByRoute),
    }
}

fn remote_write_media(value: Option<&[u8]>) -> Result<Media, MediaError> {
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return Ok(Media::RemoteWrite1);
    };
    let media = MediaType::parse(value).ok_or(MediaError::Unsupported)?;
    if !media.is("application/x-protobuf") {
        return Err(MediaError::Unsupported);
    }
    // The first one counts, as for the decoder; a second one that differs is no type at all.
    let mut found = None;
    for (_, value) in media.parameters().filter(|(name, _)| name.eq_ignore_ascii_case(b"proto")) {
        let named = if value.equals(b"io.prometheus.write.v2.Request") {
            Media::RemoteWrite2
        } else if value.equals(b"prometheus.WriteRequest") {
            Media::RemoteWrite1
        } else {
            return Err(MediaError::Unsupported);
        };
        if found.replace(named).is_some_and(|before| before != named) {
            return Err(MediaError::Unsupported);
        }
    }
    Ok(found.unwrap_or(Media::RemoteWrite1))
}

/// The declared type is wrong too often to mean much: only what is clearly not text is refused.
fn json_logs_media(fields: &Fields<'_>) -> Result<Media, MediaError> {
    const BINARY: [&str; 7] = [
        "application/msgpack",
        "application/x-msgpack",
        "application/vnd.msgpack",
        "application/protobuf",
        "application/x-protobuf",
        "application/grpc",
        "application/vnd.apache.avro",
    ];
    let mut refused = false;
    for value in fields.all("content-type") {
        let essence = essence(value);
        let binary = BINARY.iter().any(|name| essence.eq_ignore_ascii_case(name.as_bytes()))
            || [&b"image/"[..], b"audio/", b"video/"].iter().any(|prefix| {
                essence.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
            });
        if !binary {
            return Ok(Media::JsonText);
        }
        refused = true;
    }
    if refused { Err(MediaError::Unsupported) } else { Ok(Media::JsonText) }
}

/// Whether replies to this request are JSON rather than protobuf: as the request's own type.
#[must_use]
pub fn reply_is_json(route: Route, fields: &Fields<'_>) -> bool {
    match route {
        Route::OtlpLogs | Route::OtlpTraces | Route::OtlpMetrics => !fields
            .last("content-type")
            .is_some_and(|value| essence(value).eq_ignore_ascii_case(b"application/x-protobuf")),
        _ => true,
    }
}

/// What stands in front of the parameters. Where none of them matters, none can be wrong: senders write
/// `charset = utf-8`, and forget values.
fn essence(value: &[u8]) -> &[u8] {
    let end = value.iter().position(|&byte| byte == b';').unwrap_or(value.len());
    trim_blanks(value.get(..end).unwrap_or_default())
}

/// A media type (RFC 9110, section 8.3.1), borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaType<'a> {
    /// `type/subtype` as sent.
    pub essence: &'a [u8],
    parameters: &'a [u8],
}

/// The value of a parameter: a token, or a quoted text still with its escapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParameterValue<'a> {
    inner: &'a [u8],
    quoted: bool,
}

impl ParameterValue<'_> {
    /// Compares the value itself, case and all, with its quotes and escapes taken off.
    #[must_use]
    pub fn equals(self, wanted: &[u8]) -> bool {
        if !self.quoted {
            return self.inner == wanted;
        }
        let mut escaped = false;
        let mut wanted = wanted.iter();
        for &byte in self.inner {
            if byte == b'\\' && !escaped {
                escaped = true;
                continue;
            }
            escaped = false;
            if wanted.next() != Some(&byte) {
                return false;
            }
        }
        wanted.next().is_none()
    }
}

impl<'a> MediaType<'a> {
    /// `None` where the value is not a media type with well-formed parameters.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let value = trim_blanks(value);
        let end = value.iter().position(|&byte| byte == b';').unwrap_or(value.len());
        let (essence, parameters) = value.split_at_checked(end)?;
        let essence = trim_blanks(essence);
        let slash = essence.iter().position(|&byte| byte == b'/')?;
        let (kind, subtype) = essence.split_at_checked(slash)?;
        if !is_token(kind) || !is_token(subtype.get(1..)?) {
            return None;
        }
        let media = Self { essence, parameters };
        // Walked once here, so that whoever walks again cannot meet a fault.
        let mut rest = parameters;
        while !rest.is_empty() {
            rest = next_parameter(rest)?.1;
        }
        Some(media)
    }

    /// Whether this is `lowercase`, whatever the case and the parameters.
    #[must_use]
    pub fn is(&self, lowercase: &str) -> bool {
        self.essence.eq_ignore_ascii_case(lowercase.as_bytes())
    }

    /// Names and values in order; names may be in any case.
    pub fn parameters(&self) -> impl Iterator<Item = (&'a [u8], ParameterValue<'a>)> {
        let mut rest = self.parameters;
        std::iter::from_fn(move || {
            while !rest.is_empty() {
                let (parameter, after) = next_parameter(rest)?;
                rest = after;
                if parameter.is_some() {
                    return parameter;
                }
            }
            None
        })
    }
}

type Parameter<'a> = (&'a [u8], ParameterValue<'a>);

/// Reads `OWS ; OWS [ name = value ]` from the start of `rest`, which begins with `;` or blanks.
/// An empty parameter is legal (RFC 9110, section 5.6.6) and is `None` inside.
fn next_parameter(rest: &[u8]) -> Option<(Option<Parameter<'_>>, &[u8])> {
    let rest = trim_blanks(rest).strip_prefix(b";")?;
    let rest = trim_start(rest);
    if rest.is_empty() || rest.starts_with(b";") {
        return Some((None, rest));
    }
    let equals = rest.iter().position(|&byte| byte == b'=')?;
    let (name, after) = rest.split_at_checked(equals)?;
    if !is_token(name) {
        return None;
    }
    let after = after.get(1..)?;
    if let Some(quoted) = after.strip_prefix(b"\"") {
        let mut escaped = false;
        let end = quoted.iter().position(|&byte| {
            let closes = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            closes
        })?;
        let (inner, behind) = quoted.split_at_checked(end)?;
        let behind = trim_start(behind.get(1..)?);
        if !behind.is_empty() && !behind.starts_with(b";") {
            return None;
        }
        return Some((Some((name, ParameterValue { inner, quoted: true })), behind));
    }
    let end = after.iter().position(|&byte| byte == b';').unwrap_or(after.len());
    let (value, behind) = after.split_at_checked(end)?;
    let value = trim_end(value);
    if !is_token(value) {
        return None;
    }
    Some((Some((name, ParameterValue { inner: value, quoted: false })), behind))
}

fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

fn trim_end(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;
    use crate::http::Parsed;
    use crate::http::http1::head::{HeadOptions, HeadScan, parse};

    fn request_with(method: &str, target: &str, lines: &str) -> Result<Endpoint, RouteError> {
        let bytes = format!("{method} {target} HTTP/1.1\r\nHost: h\r\n{lines}\r\n");
        match parse(bytes.as_bytes(), &HeadOptions::default(), &mut HeadScan::default()) {
            Ok(Parsed::Item { value, .. }) => select(&value),
            other => panic!("{other:?}"),
        }
    }

    fn request(method: &str, target: &str) -> Result<Endpoint, RouteError> {
        request_with(method, target, "")
    }

    fn is_not_found(found: Result<Endpoint, RouteError>) -> bool {
        matches!(found, Err(RouteError::NotFound { .. }))
    }

    fn is_grpc(route: Route) -> bool {
        matches!(route, Route::OtlpGrpcLogs | Route::OtlpGrpcTraces | Route::OtlpGrpcMetrics)
    }

    #[test]
    fn every_route_is_found_at_its_path() {
        for &route in Route::ALL {
            for suffix in ["", "/", "?a=b", "/?a=b"] {
                let found = request("POST", &format!("{}{suffix}", route.path()));
                if is_grpc(route) {
                    assert_eq!(found, Err(RouteError::GrpcNeedsHttp2 { route }));
                } else {
                    assert_eq!(found, Ok(Endpoint::Ingest(route)), "{}{suffix}", route.path());
                }
            }
            // Below the import path, every path is one of its own.
            let below: &[_] = if route.is_cut() { &[] } else { &["//", "/x"] };
            for suffix in below.iter().chain(&["x", "%2F"]) {
                let found = request("POST", &format!("{}{suffix}", route.path()));
                assert!(is_not_found(found), "{}{suffix}", route.path());
            }
        }
    }

    #[test]
    fn grpc_is_routed_on_http_2_by_post_alone() {
        let head = |method, path| RequestHead {
            method,
            path,
            query: None,
            version: Version::Http2,
            fields: Fields::new(b""),
        };
        for route in Route::ALL.iter().copied().filter(|&route| is_grpc(route)) {
            assert_eq!(select(&head(Method::Post, route.path())), Ok(Endpoint::Ingest(route)));
            assert!(matches!(
                select(&head(Method::Get, route.path())),
                Err(RouteError::MethodNotAllowed { allow: ALLOW_POST, .. })
            ));
        }
        // OTLP over plain HTTP is served on both versions.
        assert_eq!(select(&head(Method::Post, "/v1/logs")), Ok(Endpoint::Ingest(Route::OtlpLogs)));
    }

    #[test]
    fn aliases_lead_to_their_routes() {
        for (path, route) in [
            ("/api/v1/push", Route::RemoteWrite),
            ("/api/v1/series", Route::DatadogSeriesV1),
            ("/api/v2/series/", Route::DatadogSeriesV2),
            ("/api/beta/sketches", Route::DatadogSketches),
            ("/datadog/api/v0.2/traces", Route::DatadogAgentTraces),
            ("/api/v1/import/prometheus/metrics/job/x/instance/y", Route::ImportPrometheus),
        ] {
            assert_eq!(request("POST", path), Ok(Endpoint::Ingest(route)), "{path}");
        }
    }

    /// A catch-all 200 made agents lose data silently.
    #[test]
    fn unknown_paths_are_not_found() {
        for path in [
            "/",
            "//",
            "/v1",
            "/v1/",
            "/v1/log",
            "/v1/profiles",
            "/v1//logs",
            "/V1/logs",
            "/api/v1/import/prometheusx",
            "/api/v1/importprometheus",
            "/healthz",
            "/v1%2Flogs",
            "/v1/./logs",
            "/datadog/api/v3/series",
            "/v0.6/traces",
            "/v0.7/config",
            "/telemetry/proxyx",
            "/telemetry",
            "/datadog/api/v1/distribution_points",
            "/api/intake/metrics/v3/series",
        ] {
            assert!(is_not_found(request("POST", path)), "{path}");
        }
    }

    /// datadogpy takes an answer that is not JSON for a fault of its own; Prometheus' relatives show text.
    #[test]
    fn errors_outside_of_the_endpoints_have_the_form_of_their_clients() {
        let datadog = Some(Route::DatadogSeriesV1);
        for (method, path, route) in [
            ("POST", "/datadog/api/v1/distribution_points", datadog),
            ("POST", "/datadog/nowhere", datadog),
            ("POST", "/datadog/", datadog),
            ("POST", "/api/v1/distribution_points", datadog),
            ("GET", "/api/v2/events", datadog),
            ("POST", "/api/v2/logs", datadog),
            ("POST", "/api/intake/metrics/v3/series", datadog),
            ("POST", "/api/beta/x", datadog),
            ("POST", "/api/v1/writer", datadog),
            ("POST", "/v0.7/config", Some(Route::DatadogTracesV07)),
            ("POST", "/api/v1/write/x", None),
            ("POST", "/api/v1/import", None),
            ("POST", "/api/v1/import/csv", None),
            ("POST", "/api/v1/import/native", None),
            ("POST", "/api/v1/read", None),
            ("GET", "/api/v1/query", None),
            ("GET", "/api/v1/label/job/values", None),
            ("POST", "/api/v3/x", None),
            ("POST", "/datadogs", None),
            ("POST", "/", None),
        ] {
            assert_eq!(request(method, path), Err(RouteError::NotFound { route }), "{path}");
        }
        for (method, path, allow, route) in [
            ("POST", "/datadog/api/v1/validate", ALLOW_READ, datadog),
            ("DELETE", "/api/v1/check_run", ALLOW_POST_PUT, datadog),
            ("GET", "/intake/", ALLOW_POST_PUT, datadog),
            ("TRACE", "/api/v2/nowhere", ALLOW_ALL, datadog),
            ("GET", "/api/v2/series", ALLOW_POST, Some(Route::DatadogSeriesV2)),
            ("PATCH", "/api/v1/write", ALLOW_REMOTE_WRITE, Some(Route::RemoteWrite)),
            ("TRACE", "/nowhere", ALLOW_ALL, None),
            ("POST", "/health", ALLOW_READ, None),
        ] {
            let expected = Err(RouteError::MethodNotAllowed { allow, route });
            assert_eq!(request(method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn what_agents_post_besides_is_known_by_both_names() {
        for (path, unkept) in [
            ("/datadog/api/v1/check_run", Unkept::CheckRun),
            ("/api/v1/check_run", Unkept::CheckRun),
            ("/datadog/intake/?api_key=k", Unkept::Intake),
            ("/intake/", Unkept::Intake),
            ("/api/v1/metadata", Unkept::Metadata),
            ("/datadog/api/v2/host_metadata", Unkept::HostMetadata),
            ("/api/v0.2/stats", Unkept::Stats),
            ("/telemetry/proxy/api/v2/apmtelemetry", Unkept::Telemetry),
        ] {
            assert_eq!(request("POST", path), Ok(Endpoint::Unkept(unkept)), "{path}");
            assert!(request("GET", path).is_err(), "{path}");
            assert_eq!(Endpoint::Unkept(unkept).needs_key(), unkept != Unkept::Telemetry);
        }
    }

    /// Java and JavaScript tracers send PUT, Go and Python POST.
    #[test]
    fn put_is_for_tracers_and_exposition() {
        for &route in Route::ALL.iter().filter(|&&route| !is_grpc(route)) {
            let puts = route.is_of_tracers() || route == Route::ImportPrometheus;
            assert_eq!(request("PUT", route.path()).is_ok(), puts, "{route:?}");
            // vmagent pushes its own metrics by GET.
            assert_eq!(
                request("GET", route.path()).is_ok(),
                route == Route::ImportPrometheus,
                "{route:?}"
            );
            assert!(request("DELETE", route.path()).is_err());
        }
    }

    #[test]
    fn small_endpoints_are_read() {
        for method in ["GET", "HEAD"] {
            assert_eq!(request(method, "/health"), Ok(Endpoint::Health));
            assert_eq!(request(method, "/info"), Ok(Endpoint::Info));
            for path in ["/datadog/api/v1/validate?api_key=k", "/api/v1/validate"] {
                assert_eq!(request(method, path), Ok(Endpoint::DatadogValidate));
            }
        }
        assert!(!Endpoint::Health.needs_key() && !Endpoint::Info.needs_key());
        assert!(!Endpoint::Preflight.needs_key());
        assert!(Endpoint::DatadogValidate.needs_key() && Endpoint::VmHandshake.needs_key());
        assert!(Endpoint::Ingest(Route::JsonLogs).needs_key());
    }

    #[test]
    fn vmagents_question_is_told_from_a_get() {
        for target in
            ["/api/v1/write?get_vm_proto_version=1", "/api/v1/push?a=b&get_vm_proto_version=1"]
        {
            assert_eq!(request("GET", target), Ok(Endpoint::VmHandshake));
        }
        for target in [
            "/api/v1/write",
            "/api/v1/write?get_vm_proto_version=2",
            "/api/v1/write?xget_vm_proto_version=1",
            "/v1/logs?get_vm_proto_version=1",
        ] {
            let error = request("GET", target).unwrap_err();
            assert!(matches!(error, RouteError::MethodNotAllowed { .. }), "{target}");
        }
        // A POST with the same query is a write.
        assert_eq!(
            request("POST", "/api/v1/write?get_vm_proto_version=1"),
            Ok(Endpoint::Ingest(Route::RemoteWrite))
        );
    }

    /// A preflight carries no key and must be told from a plain OPTIONS.
    #[test]
    fn a_preflight_has_an_origin_and_a_method() {
        let lines = "Origin: https://a\r\nAccess-Control-Request-Method: POST\r\n";
        assert_eq!(request_with("OPTIONS", "/v1/logs", lines), Ok(Endpoint::Preflight));
        assert_eq!(
            request_with("OPTIONS", "/v1/logs", "Origin: https://a\r\n"),
            Ok(Endpoint::Options { allow: ALLOW_POST })
        );
        let nowhere = request_with("OPTIONS", "/nowhere", lines);
        assert_eq!(nowhere, Err(RouteError::NotFound { route: None }));
    }

    #[test]
    fn remote_write_has_limits_of_its_own() {
        assert_eq!(body_limit(Route::RemoteWrite), 32 << 20);
        assert_eq!(payload_limit(Route::RemoteWrite), 32 << 20);
        for route in [Route::OtlpLogs, Route::Firehose, Route::JsonLogs] {
            assert_eq!((body_limit(route), payload_limit(route)), (64 << 20, 64 << 20));
        }
    }
}
