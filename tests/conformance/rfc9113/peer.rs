//! A client made of frames, and what a session says to them: whole, byte by byte, and cut at each index.

use inrush::http::http2::frame::{FrameHeader, Kind, push_header};
use inrush::http::http2::hpack::{FieldList, encode};
use inrush::http::http2::{ErrorCode, Event, PREFACE, Session, Step};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Head { stream: u32, path: String, length: Option<u64>, ends: bool },
    TooLarge { stream: u32 },
    Data { stream: u32, bytes: Vec<u8>, ends: bool },
    Ended { stream: u32 },
    Reset { stream: u32 },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub kind: Kind,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub seen: Vec<Seen>,
    pub sent: Vec<Sent>,
    pub error: Option<ErrorCode>,
}

impl Answer {
    pub fn sent_of(&self, kind: Kind) -> Vec<&Sent> {
        self.sent.iter().filter(|sent| sent.kind == kind).collect()
    }

    /// The codes of RST_STREAM, by stream.
    pub fn resets(&self) -> Vec<(u32, u32)> {
        let code = |sent: &Sent| u32::from_be_bytes(sent.payload[..4].try_into().unwrap());
        self.sent_of(Kind::ResetStream).iter().map(|sent| (sent.stream, code(sent))).collect()
    }
}

pub fn frames(mut bytes: &[u8]) -> Vec<Sent> {
    let mut frames = Vec::new();
    while let Some(header) = FrameHeader::parse(bytes) {
        let (payload, rest) = bytes[9..].split_at(header.length);
        let FrameHeader { kind, flags, stream, .. } = header;
        frames.push(Sent { kind, flags, stream, payload: payload.to_vec() });
        bytes = rest;
    }
    assert!(bytes.is_empty());
    frames
}

/// Bytes under way to a session.
#[derive(Clone, Debug, Default)]
pub struct Wire(pub Vec<u8>);

impl Wire {
    /// The preface and empty settings.
    pub fn new() -> Self {
        Self(PREFACE.to_vec()).frame(Kind::Settings, 0, 0, b"")
    }

    pub fn frame(mut self, kind: Kind, flags: u8, stream: u32, payload: &[u8]) -> Self {
        push_header(&mut self.0, payload.len(), kind, flags, stream);
        self.0.extend_from_slice(payload);
        self
    }

    pub fn headers(self, stream: u32, ends: bool, fields: &[(&str, &str)]) -> Self {
        let flags = 0x4 | u8::from(ends);
        self.frame(Kind::Headers, flags, stream, &block(fields))
    }

    pub fn post(self, stream: u32) -> Self {
        self.headers(stream, false, &POST)
    }

    pub fn data(self, stream: u32, ends: bool, bytes: &[u8]) -> Self {
        self.frame(Kind::Data, u8::from(ends), stream, bytes)
    }
}

pub const POST: [(&str, &str); 3] =
    [(":method", "POST"), (":scheme", "http"), (":path", "/v1/logs")];

pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        encode::field(name, value.as_bytes(), &mut block);
    }
    block
}

/// Feeds a session in pieces of these ends.
fn feed_pieces(wire: &[u8], ends: impl Iterator<Item = usize>) -> Answer {
    let mut session = Session::new(0);
    let (mut fields, mut out, mut answer) = (FieldList::new(), Vec::new(), Answer::default());
    let mut start = 0;
    for end in ends {
        loop {
            match session.step(&wire[start..end], &mut fields, &mut out, 1) {
                Ok(Step { used: 0, event: None }) => break,
                Ok(step) => {
                    start += step.used;
                    note(&mut answer.seen, step.event);
                }
                Err(error) => {
                    session.end(&error, &mut out);
                    answer.error = Some(error.code);
                    answer.sent = frames(&out);
                    return answer;
                }
            }
        }
    }
    answer.sent = frames(&out);
    // How much of a body was seen before its stream was reset is a matter of how it arrived.
    let resets = answer.resets();
    let is_reset = |stream| resets.iter().any(|(reset, _)| *reset == stream);
    answer.seen.retain(|seen| !matches!(seen, Seen::Data { stream, .. } if is_reset(*stream)));
    answer
}

fn note(seen: &mut Vec<Seen>, event: Option<Event<'_, '_>>) {
    match event {
        None => {}
        Some(Event::Head { stream, head, ends }) => seen.push(Seen::Head {
            stream,
            path: head.head.path.to_owned(),
            length: head.length,
            ends,
        }),
        Some(Event::HeadTooLarge { stream, .. }) => seen.push(Seen::TooLarge { stream }),
        Some(Event::Data { stream, bytes, ends }) => match seen.last_mut() {
            Some(Seen::Data { stream: before, bytes: held, ends: ended })
                if *before == stream && !*ended =>
            {
                held.extend_from_slice(bytes);
                *ended = ends;
            }
            _ => seen.push(Seen::Data { stream, bytes: bytes.to_vec(), ends }),
        },
        Some(Event::Ended { stream }) => seen.push(Seen::Ended { stream }),
        Some(Event::Reset { stream }) => seen.push(Seen::Reset { stream }),
    }
}

/// The one answer to these bytes, however they arrive.
pub fn feed(wire: &Wire) -> Answer {
    let wire = &wire.0;
    let whole = feed_pieces(wire, std::iter::once(wire.len()));
    assert_eq!(feed_pieces(wire, 0..=wire.len()), whole, "byte by byte differs from whole");
    if wire.len() < 4096 {
        for cut in 0..wire.len() {
            let cut_once = feed_pieces(wire, [cut, wire.len()].into_iter());
            assert_eq!(cut_once, whole, "cut at {cut} differs from whole");
        }
    }
    whole
}

/// Without the byte-by-byte round: for long attacks.
pub fn feed_whole(wire: &Wire) -> Answer {
    feed_pieces(&wire.0, std::iter::once(wire.0.len()))
}

#[track_caller]
pub fn ends_connection(wire: &Wire, code: ErrorCode) {
    let answer = feed(wire);
    assert_eq!(answer.error, Some(code), "{answer:?}");
    let last = answer.sent.last().unwrap();
    assert_eq!(last.kind, Kind::GoAway);
    assert_eq!(&last.payload[4..8], code.number().to_be_bytes());
}

#[track_caller]
pub fn resets_stream(wire: &Wire, stream: u32, code: ErrorCode) {
    let answer = feed(wire);
    assert_eq!(answer.error, None, "{answer:?}");
    assert_eq!(answer.resets(), [(stream, code.number())], "{answer:?}");
}
