//! Two clients: `h2` for calls as they are meant, and frames by hand for all others.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;

use crate::server::{KEY, Server};
use bytes::Bytes;
use h2::client;
use inrush::http::http2::PREFACE;
use inrush::http::http2::frame::{FrameHeader, Kind, flag, push_header};
use inrush::http::http2::hpack::{Decoder, FieldList, encode};

pub const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
pub const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
pub const METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
pub const HEALTH: &str = "/grpc.health.v1.Health/Check";

pub type Fields = Vec<(String, String)>;

/// A server in a folder that goes with it.
pub struct Fixture {
    pub server: Server,
    _folder: tempfile::TempDir,
}

pub fn start() -> Fixture {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let server = Server::start(&folder.path().join("data"), &[]);
    Fixture { server, _folder: folder }
}

impl Fixture {
    /// Records that were acknowledged so far.
    pub fn kept(&self) -> f64 {
        let of = |signal: &str| {
            self.server
                .metric(&format!("inrush_records_total{{tenant=\"acme\",signal=\"{signal}\"}}"))
        };
        of("logs") + of("traces") + of("metrics")
    }

    /// A call of the logs service with one record, with these fields besides.
    pub fn call(&self, fields: &[(&str, &str)]) -> Reply {
        self.call_with(LOGS, fields, &message(0, &log("record")))
    }

    pub fn call_with(&self, path: &str, fields: &[(&str, &str)], body: &[u8]) -> Reply {
        call(&self.server, "POST", path, &complete(fields), body)
    }

    pub fn connect(&self) -> Peer {
        Peer::connect(&self.server)
    }
}

/// A call's usual fields, where the given ones do not replace them; an empty value leaves one out.
pub fn complete<'a>(fields: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let usual = [("te", "trailers"), ("content-type", "application/grpc"), ("apikey", KEY)];
    let is_given = |name| fields.iter().any(|(given, _)| *given == name);
    let usual = usual.into_iter().filter(|(name, _)| !is_given(*name));
    usual.chain(fields.iter().copied()).filter(|(_, value)| !value.is_empty()).collect()
}

/// A message behind its prefix.
pub fn message(is_compressed: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&[is_compressed][..], &length, content].concat()
}

/// A length-delimited field of protobuf.
pub fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut length = content.len();
    while length >= 0x80 {
        bytes.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    bytes.push(u8::try_from(length).unwrap());
    bytes.extend_from_slice(content);
    bytes
}

/// `ExportLogsServiceRequest` of one record with this text.
pub fn log(text: &str) -> Vec<u8> {
    field(1, &field(2, &field(2, &field(5, &field(1, text.as_bytes())))))
}

/// `ExportTraceServiceRequest` of one span with a trace id of so many bytes.
pub fn span(id_length: usize) -> Vec<u8> {
    let span = [field(1, &vec![7; id_length]), field(2, &[8; 8]), field(5, b"span")].concat();
    field(1, &field(2, &field(2, &span)))
}

/// `ExportMetricsServiceRequest` of one gauge.
pub fn gauge() -> Vec<u8> {
    // A time and an integer as fixed64.
    let point =
        [&[0x19][..], &1_700_000_000_000_000_000u64.to_le_bytes(), &[0x31], &7u64.to_le_bytes()]
            .concat();
    let metric = [field(1, b"gauge"), field(5, &field(1, &point))].concat();
    field(1, &field(2, &field(2, &metric)))
}

#[derive(Debug, Default)]
pub struct Reply {
    pub status: u16,
    pub head: Fields,
    pub body: Vec<u8>,
    /// None where the head was all there was.
    pub trailers: Option<Fields>,
    /// The code of RST_STREAM in place of an end.
    pub reset: Option<u32>,
}

fn find<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
}

impl Reply {
    pub fn field(&self, name: &str) -> Option<&str> {
        find(&self.head, name)
    }

    /// The status, wherever it may stand.
    pub fn code(&self) -> Option<u8> {
        let status = find(self.trailers.as_ref().unwrap_or(&self.head), "grpc-status")?;
        assert!(status == "0" || !status.starts_with('0'), "{status}");
        Some(status.parse().unwrap())
    }

    /// The message's content of a success.
    #[track_caller]
    pub fn ok(&self) -> &[u8] {
        assert_eq!((self.status, self.code()), (200, Some(0)), "{self:?}");
        assert_eq!(self.field("content-type"), Some("application/grpc"));
        assert!(self.field("grpc-status").is_none() && self.trailers.is_some(), "{self:?}");
        let (prefix, content) = self.body.split_at(5);
        assert_eq!(prefix[0], 0);
        assert_eq!(u32::from_be_bytes(prefix[1..].try_into().unwrap()) as usize, content.len());
        content
    }

    /// A refusal: a head, and nothing else.
    #[track_caller]
    pub fn is_refused(&self, code: u8) {
        assert_eq!((self.status, self.code()), (200, Some(code)), "{self:?}");
        assert!(self.body.is_empty() && self.trailers.is_none(), "{self:?}");
        assert_eq!(self.field("content-type"), Some("application/grpc"));
        assert!(!self.field("grpc-message").unwrap().is_empty());
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// One call by `h2` on a connection of its own.
pub fn call(
    server: &Server,
    method: &str,
    path: &str,
    fields: &[(&str, &str)],
    body: &[u8],
) -> Reply {
    let mut request =
        http::Request::builder().method(method).uri(format!("http://{}{path}", server.http));
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let (request, body) = (request.body(()).unwrap(), Bytes::copy_from_slice(body));
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().unwrap();
    let call = async {
        let stream = tokio::net::TcpStream::connect(&server.http).await.unwrap();
        let (sender, connection) = client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let mut sender = sender.ready().await.unwrap();
        let (reply, mut sending) = sender.send_request(request, false).unwrap();
        sending.send_data(body, true).unwrap();
        let (parts, mut content) = reply.await.unwrap().into_parts();
        let mut reply = Reply { status: parts.status.as_u16(), ..Reply::default() };
        let all = |map: &http::HeaderMap| {
            map.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect()
        };
        reply.head = all(&parts.headers);
        if content.is_end_stream() {
            return reply;
        }
        while let Some(piece) = content.data().await {
            let piece = piece.unwrap();
            content.flow_control().release_capacity(piece.len()).unwrap();
            reply.body.extend_from_slice(&piece);
        }
        reply.trailers = content.trailers().await.unwrap().map(|map| all(&map));
        reply
    };
    runtime.block_on(async {
        tokio::time::timeout(std::time::Duration::from_secs(20), call).await.unwrap()
    })
}

pub struct Frame {
    pub header: FrameHeader,
    pub payload: Vec<u8>,
}

/// A client made of frames.
pub struct Peer {
    stream: TcpStream,
    decoder: Decoder,
    next_stream: u32,
    /// Of the connection, read while replies were looked for.
    pub others: VecDeque<Frame>,
}

impl Peer {
    pub fn connect(server: &Server) -> Self {
        let mut stream = server.connect();
        let mut start = PREFACE.to_vec();
        push_header(&mut start, 0, Kind::Settings, 0, 0);
        push_header(&mut start, 0, Kind::Settings, flag::ACK, 0);
        stream.write_all(&start).unwrap();
        Self { stream, decoder: Decoder::new(), next_stream: 1, others: VecDeque::new() }
    }

    pub fn send(&mut self, kind: Kind, flags: u8, stream: u32, payload: &[u8]) {
        let mut bytes = Vec::new();
        push_header(&mut bytes, payload.len(), kind, flags, stream);
        bytes.extend_from_slice(payload);
        self.stream.write_all(&bytes).unwrap();
    }

    /// Bytes that are no whole frame.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Whether the server has said something, or ended.
    pub fn is_readable(&self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let is_readable = self.stream.peek(&mut [0]).is_ok();
        self.stream.set_nonblocking(false).unwrap();
        is_readable
    }

    /// Sends no more.
    pub fn shutdown(&mut self) {
        self.stream.shutdown(std::net::Shutdown::Write).unwrap();
    }

    pub fn head(&mut self, path: &str, fields: &[(&str, &str)], ends: bool) -> u32 {
        let id = self.next_stream;
        self.next_stream += 2;
        let mut block = Vec::new();
        for (name, value) in [(":method", "POST"), (":scheme", "http"), (":path", path)] {
            encode::field(name, value.as_bytes(), &mut block);
        }
        for (name, value) in fields {
            encode::field(name, value.as_bytes(), &mut block);
        }
        self.send(Kind::Headers, flag::END_HEADERS | u8::from(ends), id, &block);
        id
    }

    pub fn data(&mut self, stream: u32, bytes: &[u8], ends: bool) {
        self.send(Kind::Data, u8::from(ends), stream, bytes);
    }

    /// A call of the logs service in these pieces of DATA; the last one ends it.
    pub fn call(&mut self, fields: &[(&str, &str)], pieces: &[&[u8]]) -> Reply {
        let id = self.head(LOGS, &complete(fields), false);
        for (index, piece) in pieces.iter().enumerate() {
            self.data(id, piece, index + 1 == pieces.len());
        }
        self.reply(id)
    }

    pub fn frame(&mut self) -> Option<Frame> {
        let mut header = [0; 9];
        self.stream.read_exact(&mut header).ok()?;
        let header = FrameHeader::parse(&header).unwrap();
        let mut payload = vec![0; header.length];
        self.stream.read_exact(&mut payload).unwrap();
        Some(Frame { header, payload })
    }

    /// The next frame of this kind.
    pub fn wait_for(&mut self, kind: Kind) -> Frame {
        loop {
            if let Some(place) = self.others.iter().position(|frame| frame.header.kind == kind) {
                return self.others.remove(place).unwrap();
            }
            let frame = self.frame().expect("the connection goes on");
            self.others.push_back(frame);
        }
    }

    /// The reply on this stream, to its end. Frames of others wait in `others`.
    pub fn reply(&mut self, id: u32) -> Reply {
        let mut reply = Reply::default();
        loop {
            let frame = self.frame().expect("a reply");
            if frame.header.stream != id {
                self.others.push_back(frame);
                continue;
            }
            match frame.header.kind {
                Kind::Headers => {
                    assert!(frame.header.has(flag::END_HEADERS));
                    assert!(frame.payload.len() < 4096, "less than any client's limit");
                    let mut list = FieldList::new();
                    self.decoder.decode(&frame.payload, &mut list).unwrap();
                    let mut fields: Fields =
                        list.iter().map(|(name, value)| (text(name), text(value))).collect();
                    if reply.status == 0 {
                        let (name, status) = fields.remove(0);
                        assert_eq!(name, ":status");
                        reply.status = status.parse().unwrap();
                        reply.head = fields;
                    } else {
                        reply.trailers = Some(fields);
                    }
                }
                Kind::Data => reply.body.extend_from_slice(&frame.payload),
                Kind::ResetStream => {
                    reply.reset = Some(u32::from_be_bytes(frame.payload.try_into().unwrap()));
                    return reply;
                }
                Kind::WindowUpdate => continue,
                other => panic!("{other:?} on a stream"),
            }
            if frame.header.has(flag::END_STREAM) {
                return reply;
            }
        }
    }
}
