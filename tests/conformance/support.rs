//! Feeding of vectors: whole, byte by byte, and cut at each index; the answers must agree.

use inrush::http::http1::chunked::{ChunkError, ChunkStep, Decoder};
use inrush::http::http1::framing::{self, BodyFraming};
use inrush::http::http1::head::{HeadError, HeadOptions, HeadScan, parse};
use inrush::http::{Method, Parsed, Version};

/// A head without borrows, with what follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub method: Method,
    pub path: String,
    pub query: Option<String>,
    pub version: Version,
    pub fields: Vec<(String, Vec<u8>)>,
    pub framing: Result<BodyFraming, HeadError>,
    pub keeps_alive: bool,
    pub expects_continue: Result<bool, HeadError>,
    pub size: usize,
}

/// `None` while more is needed.
pub type Answer = Option<Result<Head, HeadError>>;

pub fn parse_once(bytes: &[u8], options: &HeadOptions, scan: &mut HeadScan) -> Answer {
    match parse(bytes, options, scan) {
        Err(error) => Some(Err(error)),
        Ok(Parsed::NeedMore) => None,
        Ok(Parsed::Item { value: head, size }) => {
            agrees_with_httparse(&bytes[..size], &head.fields);
            Some(Ok(Head {
                method: head.method,
                path: head.path.to_owned(),
                query: head.query.map(str::to_owned),
                version: head.version,
                fields: head
                    .fields
                    .iter()
                    .map(|(name, value)| {
                        (String::from_utf8(name.to_vec()).unwrap(), value.to_vec())
                    })
                    .collect(),
                framing: framing::body_framing(&head),
                keeps_alive: framing::keeps_alive(&head),
                expects_continue: framing::expects_continue(&head),
                size,
            }))
        }
    }
}

/// What we accept, an independent parser reads as the same fields.
fn agrees_with_httparse(head: &[u8], fields: &inrush::http::head::Fields<'_>) {
    let start = head.iter().position(|byte| !b"\r\n".contains(byte)).unwrap();
    let line = head[start..].iter().position(|&byte| byte == b'\n').unwrap();
    let mut table = [httparse::EMPTY_HEADER; 100];
    let section = &head[start + line + 1..];
    match httparse::parse_headers(section, &mut table) {
        Ok(httparse::Status::Complete((size, found))) => {
            assert_eq!(size, section.len(), "{}", head.escape_ascii());
            let found = found.iter().map(|field| (field.name.as_bytes(), field.value));
            assert!(fields.iter().eq(found), "{}", head.escape_ascii());
        }
        other => panic!("{other:?} for {}", head.escape_ascii()),
    }
}

/// The one answer to `bytes`, however they arrive.
pub fn feed_with(bytes: &[u8], options: &HeadOptions) -> Answer {
    let whole = parse_once(bytes, options, &mut HeadScan::default());

    let mut scan = HeadScan::default();
    let bytewise = (0..=bytes.len()).find_map(|end| parse_once(&bytes[..end], options, &mut scan));
    assert_eq!(bytewise, whole, "byte by byte differs from whole: {}", bytes.escape_ascii());

    for cut in 0..bytes.len() {
        let mut scan = HeadScan::default();
        let first = parse_once(&bytes[..cut], options, &mut scan);
        let answer = match first {
            Some(answer) => Some(answer),
            None => parse_once(bytes, options, &mut scan),
        };
        assert_eq!(answer, whole, "cut at {cut} differs from whole: {}", bytes.escape_ascii());
    }
    whole
}

pub fn feed(bytes: impl AsRef<[u8]>) -> Answer {
    feed_with(bytes.as_ref(), &HeadOptions::default())
}

#[track_caller]
pub fn accepts(bytes: impl AsRef<[u8]>) -> Head {
    let bytes = bytes.as_ref();
    match feed(bytes) {
        Some(Ok(head)) => head,
        other => panic!("{other:?} for {}", bytes.escape_ascii()),
    }
}

#[track_caller]
pub fn refuses(bytes: impl AsRef<[u8]>) -> HeadError {
    let bytes = bytes.as_ref();
    match feed(bytes) {
        Some(Err(error)) => error,
        other => panic!("{other:?} for {}", bytes.escape_ascii()),
    }
}

/// A POST with these further lines, each ended by the caller.
pub fn post(lines: &str) -> Vec<u8> {
    format!("POST /v1/logs HTTP/1.1\r\nHost: h\r\n{lines}\r\n").into_bytes()
}

/// What a chunked body came to: its data, and how many bytes it took.
#[derive(Debug, PartialEq, Eq)]
pub enum Unchunked {
    Whole { data: Vec<u8>, size: usize },
    Cut { data: Vec<u8> },
    Refused(ChunkError),
}

/// Runs a decoder over `pieces` as a connection does: what a step leaves is offered again.
pub fn unchunk_pieces<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Unchunked {
    let mut decoder = Decoder::new();
    let mut data = Vec::new();
    let mut size = 0;
    for piece in pieces {
        let mut rest = piece;
        while !rest.is_empty() {
            match decoder.step(rest) {
                Err(error) => return Unchunked::Refused(error),
                Ok(ChunkStep::NeedMore { consumed }) => {
                    assert_eq!(consumed, rest.len(), "needs more with bytes left");
                    size += consumed;
                    rest = &[];
                }
                Ok(ChunkStep::Data { start, end }) => {
                    assert!(start < end, "empty data");
                    data.extend_from_slice(&rest[start..end]);
                    size += end;
                    rest = &rest[end..];
                }
                Ok(ChunkStep::End { consumed }) => {
                    size += consumed;
                    return Unchunked::Whole { data, size };
                }
            }
        }
    }
    Unchunked::Cut { data }
}

/// The one answer to a chunked body, however it arrives.
pub fn unchunk(bytes: impl AsRef<[u8]>) -> Unchunked {
    let bytes = bytes.as_ref();
    let whole = unchunk_pieces(std::iter::once(bytes));
    let bytewise = unchunk_pieces(bytes.chunks(1));
    assert_eq!(bytewise, whole, "byte by byte: {}", bytes.escape_ascii());
    for cut in 0..bytes.len() {
        let (left, right) = bytes.split_at(cut);
        let answer = unchunk_pieces([left, right].into_iter());
        assert_eq!(answer, whole, "cut at {cut}: {}", bytes.escape_ascii());
    }
    whole
}

#[track_caller]
pub fn data_of(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    match unchunk(bytes) {
        Unchunked::Whole { data, size } => {
            assert_eq!(size, bytes.len(), "bytes behind the body");
            data
        }
        other => panic!("{other:?} for {}", bytes.escape_ascii()),
    }
}

#[track_caller]
pub fn chunk_error(bytes: impl AsRef<[u8]>) -> ChunkError {
    match unchunk(&bytes) {
        Unchunked::Refused(error) => error,
        other => panic!("{other:?} for {}", bytes.as_ref().escape_ascii()),
    }
}

/// xorshift64*: small, seeded, repeatable.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `bound`, which is not zero.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}
