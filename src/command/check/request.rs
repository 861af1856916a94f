//! The request that a captured body came in: its head, as the server would read it.
//!
//! What the user does not say is assumed: the media type that this endpoint's senders use, and the
//! coding that the first bytes show.

use std::path::Path;

use crate::content::sniff;
use crate::envelope::{Coding, Codings, FieldId, RequestFields, Route};
use crate::http::Parsed;
use crate::http::http1::head::{self, HeadError, HeadOptions, HeadScan};
use crate::ingest;
use crate::outcome::{Cause, RequestEcho};
use crate::route::{self, Endpoint, RouteError};

/// Other readings of a payload that are tried where the one asked for finds nothing. Any JSON is a log
/// to the last one, so it counts where no other does.
pub(super) const OTHER_READINGS: [(Route, &str); 17] = [
    (Route::OtlpLogs, PROTOBUF),
    (Route::OtlpTraces, PROTOBUF),
    (Route::OtlpMetrics, PROTOBUF),
    (Route::RemoteWrite, PROTOBUF),
    (Route::RemoteWrite, REMOTE_WRITE_2),
    (Route::OtlpLogs, JSON),
    (Route::OtlpTraces, JSON),
    (Route::OtlpMetrics, JSON),
    (Route::DatadogSeriesV1, JSON),
    (Route::DatadogSeriesV2, PROTOBUF),
    (Route::DatadogSketches, PROTOBUF),
    (Route::DatadogAgentTraces, PROTOBUF),
    (Route::DatadogTracesV04, MSGPACK),
    (Route::DatadogTracesV05, MSGPACK),
    (Route::DatadogTracesV07, MSGPACK),
    (Route::DatadogTracesV04, JSON),
    (Route::Firehose, JSON),
];
pub(super) const LAST_READING: (Route, &str) = (Route::JsonLogs, JSON);

const PROTOBUF: &str = "application/x-protobuf";
const REMOTE_WRITE_2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
pub(super) const JSON: &str = "application/json";
const MSGPACK: &str = "application/msgpack";

/// What is wrong with the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// Not `Name: value`; the text may be a secret and is not kept.
    HeaderInvalid {
        number: usize,
    },
    EndpointInvalid,
    Endpoint(RouteError),
    EndpointTakesNoBody,
    Head(HeadError),
}

impl std::fmt::Display for RequestError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::HeaderInvalid { number } => {
                write!(formatter, "--header number {number} is not of the form 'Name: value'")
            }
            Self::EndpointInvalid => {
                write!(formatter, "--as wants the path of an endpoint, such as /v1/logs")
            }
            Self::Endpoint(error) => {
                write!(formatter, "--as: {}; there are", error.message())?;
                for route in Route::ALL {
                    write!(formatter, " {}", route.path())?;
                }
                Ok(())
            }
            Self::EndpointTakesNoBody => write!(formatter, "--as: this endpoint takes no body"),
            Self::Head(error) => write!(formatter, "the headers: {}", error.message()),
        }
    }
}

impl std::error::Error for RequestError {}

/// What is the same for all files.
pub(super) struct Request {
    endpoint: String,
    route: Route,
    headers: Vec<(String, String)>,
    /// What a `Content-Length` among the headers says.
    announced_size: Option<String>,
}

/// The head that one file gets, and what the server makes of it.
pub(super) struct Body {
    pub(super) route: Route,
    pub(super) codings: Result<Codings, Cause>,
    /// The request fields that decoders see.
    pub(super) fields: Vec<u8>,
    is_reply_json: bool,
    media: String,
    is_media_assumed: bool,
    coding: Option<&'static str>,
    announced_size: Option<String>,
}

impl Request {
    pub(super) fn new(endpoint: &str, headers: &[String]) -> Result<Self, RequestError> {
        if !endpoint.starts_with('/') {
            return Err(RequestError::EndpointInvalid);
        }
        let mut pairs = Vec::new();
        let mut announced_size = None;
        for (index, header) in headers.iter().enumerate() {
            let invalid = RequestError::HeaderInvalid { number: index + 1 };
            if header.contains(['\r', '\n']) {
                return Err(invalid);
            }
            let (name, value) = header.split_once(':').ok_or(invalid)?;
            let value = value.trim();
            // The framing is ours: the file is whole.
            if name.eq_ignore_ascii_case("content-length") {
                announced_size = Some(value.to_owned());
            } else if !["transfer-encoding", "expect", "host", "connection"]
                .iter()
                .any(|framing| name.eq_ignore_ascii_case(framing))
            {
                pairs.push((name.to_owned(), value.to_owned()));
            }
        }
        let mut request = Self {
            endpoint: endpoint.to_owned(),
            route: Route::JsonLogs,
            headers: pairs,
            announced_size,
        };
        let text = request.head(&[]);
        let mut scan = HeadScan::default();
        let parsed = head::parse(&text, &HeadOptions::default(), &mut scan);
        let head = match parsed {
            Ok(Parsed::Item { value, .. }) => value,
            Ok(Parsed::NeedMore) => return Err(RequestError::EndpointInvalid),
            Err(error) => return Err(RequestError::Head(error)),
        };
        request.route = match route::select(&head).map_err(RequestError::Endpoint)? {
            Endpoint::Ingest(route) => route,
            _ => return Err(RequestError::EndpointTakesNoBody),
        };
        Ok(request)
    }

    pub(super) const fn is_cut(&self) -> bool {
        self.route.is_cut()
    }

    pub(super) const fn read_limit(&self) -> usize {
        route::body_limit(self.route)
    }

    fn head(&self, assumed: &[(&str, &str)]) -> Vec<u8> {
        let mut text = format!("POST {} HTTP/1.1\r\nHost: check\r\n", self.endpoint);
        let given = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in given.chain(assumed.iter().copied()) {
            text.push_str(name);
            text.push_str(": ");
            text.push_str(value);
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        text.into_bytes()
    }

    fn is_given(&self, name: &str) -> bool {
        self.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
    }

    /// The head for a file, through the server's reader, and what it decides.
    pub(super) fn body(&self, path: &Path, bytes: &[u8]) -> Body {
        let mut assumed = Vec::new();
        if !self.is_given("content-type") {
            assumed.push(("content-type", assumed_media(self.route, path, bytes)));
        }
        let mut coding = None;
        if !self.is_given("content-encoding") {
            coding = found_coding(self.route, bytes);
            if let Some(coding) = coding {
                assumed.push(("content-encoding", coding));
            }
        }
        let text = self.head(&assumed);
        let mut body = Body {
            route: self.route,
            codings: Err(Cause::Internal),
            fields: Vec::new(),
            is_reply_json: true,
            media: String::new(),
            is_media_assumed: !self.is_given("content-type"),
            coding,
            announced_size: self.announced_size.clone(),
        };
        let mut scan = HeadScan::default();
        match head::parse(&text, &HeadOptions::default(), &mut scan) {
            Ok(Parsed::Item { value: head, .. }) => {
                body.codings = ingest::check_head(&head, self.route).and_then(|codings| {
                    ingest::keep_fields(&head, self.route, &mut body.fields).map(|()| codings)
                });
                body.is_reply_json = route::reply_is_json(self.route, &head.fields);
                let media = head.fields.last("content-type").unwrap_or_default();
                body.media = super::words::printable(&String::from_utf8_lossy(media));
            }
            Ok(Parsed::NeedMore) => {}
            Err(error) => body.codings = Err(Cause::Head(error)),
        }
        body
    }
}

impl Body {
    pub(super) fn echo(&self) -> RequestEcho<'static> {
        RequestEcho {
            endpoint: Some(Endpoint::Ingest(self.route)),
            json: self.is_reply_json,
            ..RequestEcho::default()
        }
    }

    /// Whether the payload was meant to be JSON.
    pub(super) fn is_json(&self) -> bool {
        matches!(self.route, Route::JsonLogs | Route::DatadogSeriesV1)
            || self.media.starts_with(JSON)
    }

    pub(super) fn is_media(&self, media: &str) -> bool {
        self.media == media
    }

    /// `/v1/logs, application/x-protobuf (assumed), gzip (found)`. Without query and key.
    pub(super) fn words(&self) -> String {
        let assumed = if self.is_media_assumed { " (assumed)" } else { "" };
        let mut words = format!("{}, {}{assumed}", self.route.path(), self.media);
        match (self.coding, self.codings) {
            (Some(coding), _) => words = format!("{words}, {coding} (found)"),
            (None, Ok(codings)) => {
                for coding in codings.0.iter().filter(|coding| **coding != Coding::Identity) {
                    words = format!("{words}, {}", coding.name());
                }
            }
            (None, Err(_)) => {}
        }
        words
    }

    /// What the user should know besides.
    pub(super) fn notes(&self, bytes: &[u8]) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(size) = &self.announced_size
            && size.parse() != Ok(bytes.len())
        {
            let size = super::words::printable(size);
            notes.push(format!(
                "Content-Length said {size}, the file has {} bytes: it is not what was sent",
                bytes.len()
            ));
        }
        if let Ok(codings) = self.codings {
            let found = ingest::true_codings(self.route, codings, bytes);
            if found != codings && !bytes.is_empty() {
                let name = |codings: Codings| outermost(codings).0[0].name();
                notes.push(format!("labelled {}, but it is {}", name(codings), name(found)));
            }
            if self.route == Route::RemoteWrite && sniff::is_snappy_framed(bytes) {
                notes.push("snappy in its framed format; remote write has blocks".to_owned());
            }
        }
        notes
    }
}

/// The coding that was applied last.
pub(super) fn outermost(codings: Codings) -> Codings {
    match codings.0 {
        [inner, Coding::Identity] => Codings::one(inner),
        [_, outer] => Codings::one(outer),
    }
}

/// A media type as the only request field.
pub(super) fn media_field(media: &str) -> Vec<u8> {
    let mut fields = Vec::new();
    assert!(RequestFields::push(&mut fields, FieldId::ContentType, media.as_bytes()));
    fields
}

fn assumed_media(route: Route, path: &Path, bytes: &[u8]) -> &'static str {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    let extension = path.extension().and_then(|extension| extension.to_str());
    match route {
        Route::ImportPrometheus => "text/plain; version=0.0.4",
        Route::JsonLogs if matches!(extension, Some("ndjson" | "jsonl")) => "application/x-ndjson",
        Route::JsonLogs | Route::Firehose | Route::DatadogSeriesV1 => JSON,
        // No protobuf message of OTLP or Datadog begins with a brace: it would open a group of field 15.
        Route::OtlpLogs | Route::OtlpTraces | Route::OtlpMetrics | Route::DatadogSeriesV2
            if first == Some(&b'{') || extension == Some("json") =>
        {
            JSON
        }
        // No array of MessagePack begins like one of JSON, nor like the mark in front of one.
        Route::DatadogTracesV03 | Route::DatadogTracesV04
            if matches!(first, Some(b'[' | 0xef)) || extension == Some("json") =>
        {
            JSON
        }
        Route::DatadogTracesV03
        | Route::DatadogTracesV04
        | Route::DatadogTracesV05
        | Route::DatadogTracesV07 => MSGPACK,
        _ => PROTOBUF,
    }
}

/// The coding that the first bytes show.
fn found_coding(route: Route, bytes: &[u8]) -> Option<&'static str> {
    if route == Route::RemoteWrite {
        return Some(if sniff::is_zstd(bytes) { "zstd" } else { "snappy" });
    }
    if bytes.starts_with(&[0x1f, 0x8b]) {
        Some("gzip")
    } else if sniff::is_zstd(bytes) {
        Some("zstd")
    } else if sniff::is_snappy_framed(bytes) {
        Some("snappy")
    } else if sniff::is_lz4(bytes) {
        Some("lz4")
    } else {
        None
    }
}

/// What bytes look like that were taken for something else.
pub(super) fn resembles(bytes: &[u8]) -> Option<&'static str> {
    let text = bytes.trim_ascii_start();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        Some("gzip")
    } else if sniff::is_zstd(bytes) {
        Some("zstd")
    } else if sniff::is_snappy_framed(bytes) {
        Some("framed snappy")
    } else if sniff::is_lz4(bytes) {
        Some("lz4")
    } else if matches!(
        text,
        [b'{', b'"' | b'}' | b'\n' | b' ' | b'\r', ..] | [b'[', b'{' | b']', ..]
    ) {
        Some("JSON")
    } else if text.starts_with(b"# HELP ") || text.starts_with(b"# TYPE ") {
        Some("text exposition")
    } else if text.starts_with(b"<") {
        Some("HTML or XML")
    } else {
        None
    }
}
