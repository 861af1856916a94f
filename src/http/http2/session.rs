//! One connection's state: settings, streams, windows, header compression.
//!
//! [`Session::step`] reads one frame, or a part of a DATA frame, and says what it means for a request.
//! Bytes of DATA are lent on as they come, never collected here. What must be answered at once
//! (acknowledgements, resets, window updates) is appended to `out`.
//!
//! ```text
//! idle ─ HEADERS ─▶ Open ─ END_STREAM ─▶ Complete ─ reply ─▶ gone
//!                     └──── reset by either side, early reply ───▶ gone
//! ```

use super::abuse::Ledger;
use super::frame::{
    FRAME_HEADER_SIZE, FrameHeader, Kind, flag, number_31, push_go_away, push_ping, push_reset,
    push_settings, push_settings_ack, push_window_update, setting,
};
use super::head::{Head, check_trailers, request_head};
use super::hpack::{Decoder, FieldList, HpackError};
use super::send::Pending;
use super::{ErrorCode, PREFACE};
use crate::counters::Abuse;
use crate::limits::{
    HEADER_BLOCK_SIZE_MAX, HEADER_LIST_SIZE_MAX, HTTP2_CONNECTION_WINDOW, HTTP2_CONTINUATION_MAX,
    HTTP2_FRAME_SIZE_MAX, HTTP2_SETTING_COUNT_MAX, HTTP2_SMALL_DATA_SIZE, HTTP2_STREAM_COUNT_MAX,
    HTTP2_STREAM_WINDOW,
};

/// The window that both sides start from (section 6.9.2).
const WINDOW_DEFAULT: u32 = 65_535;
const WINDOW_MAX: i64 = 0x7fff_ffff;
/// Less than this is added to a stream's window only where the peer may be waiting for it.
const WINDOW_STEP: i64 = 16 * 1024;
/// Streams of which we remember that it was we who ended them early: what their senders had under way
/// is no fault.
const ENDED_EARLY_COUNT: usize = 1024;

/// What a frame meant.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a box would be an allocation per request")]
pub enum Event<'i, 'f> {
    /// A request; with `ends` it has no body.
    Head { stream: u32, head: Head<'f>, ends: bool },
    /// A request whose fields pass the limits.
    HeadTooLarge { stream: u32, ends: bool, grpc: bool },
    /// Bytes of a request's body.
    Data { stream: u32, bytes: &'i [u8], ends: bool },
    /// Trailers ended the request.
    Ended { stream: u32 },
    /// The stream is gone, by the peer's doing or for a fault of its own.
    Reset { stream: u32 },
}

#[derive(Debug)]
pub struct Step<'i, 'f> {
    /// Bytes of the input that are dealt with. Zero, without an event: more input is needed.
    pub used: usize,
    pub event: Option<Event<'i, 'f>>,
}

/// The end of the connection (section 5.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionError {
    pub code: ErrorCode,
    /// Goes out as debug data of GOAWAY.
    pub words: &'static str,
    pub abuse: Option<Abuse>,
}

const fn fail<T>(code: ErrorCode, words: &'static str) -> Result<T, SessionError> {
    Err(SessionError { code, words, abuse: None })
}

impl From<Abuse> for SessionError {
    fn from(abuse: Abuse) -> Self {
        Self { code: ErrorCode::EnhanceYourCalm, words: abuse.words(), abuse: Some(abuse) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The request still comes.
    Open,
    /// The request is complete; its reply is to be sent.
    Complete,
}

#[derive(Debug)]
pub(super) struct Stream {
    pub id: u32,
    pub state: State,
    /// What the peer may still send.
    pub(super) receive_window: i64,
    received: u64,
    declared: Option<u64>,
    pub send_window: i64,
    /// What of the reply waits for the peer's window.
    pub pending: Option<Box<Pending>>,
}

/// A stream that we ended before its sender did.
#[derive(Clone, Copy, Debug)]
struct EndedEarly {
    id: u32,
    /// What its sender could send before it heard of the end.
    window: i64,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// So many bytes of the preface have come.
    Preface(usize),
    FirstSettings,
    Open,
}

/// A header block that is not complete.
#[derive(Clone, Copy, Debug)]
struct OpenBlock {
    stream: u32,
    ends: bool,
    continuations: u32,
}

/// A DATA frame that is being read.
#[derive(Clone, Copy, Debug)]
struct OpenData {
    stream: u32,
    left: usize,
    padding: usize,
    ends: bool,
    /// Nobody wants it.
    is_swallowed: bool,
}

/// How far a graceful end has come (section 6.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Going {
    No,
    /// GOAWAY without a limit, and a PING whose return says that the peer has read it.
    Announced {
        since_nanos: u64,
    },
    /// GOAWAY with the last stream that is served.
    Final,
}

#[derive(Debug)]
pub struct Session {
    stage: Stage,
    is_greeted: bool,
    decoder: Decoder,
    block: Vec<u8>,
    open_block: Option<OpenBlock>,
    data: Option<OpenData>,
    skip: usize,
    /// By rising id.
    pub(super) streams: Vec<Stream>,
    /// Requests taken back while we were at work on them.
    orphans: usize,
    /// The highest id that the peer has used.
    last_stream: u32,
    /// The highest id of a request that was looked at: what GOAWAY names.
    last_served: u32,
    ended_early: std::collections::VecDeque<EndedEarly>,
    receive_window: i64,
    /// Received and not given back yet.
    unreturned: u32,
    pub(super) send_window: i64,
    pub(super) peer_window: i64,
    pub(super) sent: u64,
    pub(super) peer_frame_size: usize,
    /// The peer has made its table smaller: our next block says that we do not use it.
    pub(super) size_update_due: bool,
    settings_sent_nanos: u64,
    is_acknowledged: bool,
    ledger: Ledger,
    going: Going,
}

const DRAIN_PING: [u8; 8] = *b"draining";

impl Session {
    #[must_use]
    pub fn new(now_nanos: u64) -> Self {
        Self {
            stage: Stage::Preface(0),
            is_greeted: false,
            decoder: Decoder::new(),
            block: Vec::new(),
            open_block: None,
            data: None,
            skip: 0,
            streams: Vec::new(),
            orphans: 0,
            last_stream: 0,
            last_served: 0,
            ended_early: std::collections::VecDeque::new(),
            receive_window: i64::from(HTTP2_CONNECTION_WINDOW),
            unreturned: 0,
            send_window: i64::from(WINDOW_DEFAULT),
            peer_window: i64::from(WINDOW_DEFAULT),
            sent: 0,
            peer_frame_size: 16_384,
            size_update_due: false,
            settings_sent_nanos: now_nanos,
            is_acknowledged: false,
            ledger: Ledger::default(),
            going: Going::No,
        }
    }

    /// Our settings, and the connection's window, which no setting can state (section 6.9.2).
    fn greet(&mut self, out: &mut Vec<u8>) {
        self.is_greeted = true;
        push_settings(
            out,
            &[
                (setting::MAX_CONCURRENT_STREAMS, HTTP2_STREAM_COUNT_MAX),
                (setting::INITIAL_WINDOW_SIZE, HTTP2_STREAM_WINDOW),
                (setting::MAX_FRAME_SIZE, HTTP2_FRAME_SIZE_MAX),
                (
                    setting::MAX_HEADER_LIST_SIZE,
                    u32::try_from(HEADER_LIST_SIZE_MAX).unwrap_or(u32::MAX),
                ),
            ],
        );
        push_window_update(out, 0, HTTP2_CONNECTION_WINDOW - WINDOW_DEFAULT);
    }

    /// Reads on. The error ends the connection: [`Session::end`] says so to the peer.
    pub fn step<'i, 'f>(
        &mut self,
        input: &'i [u8],
        fields: &'f mut FieldList,
        out: &mut Vec<u8>,
        now_nanos: u64,
    ) -> Result<Step<'i, 'f>, SessionError> {
        if !self.is_greeted {
            self.greet(out);
        }
        let nothing = |used| Ok(Step { used, event: None });
        if let Stage::Preface(matched) = self.stage {
            return self.read_preface(matched, input).map(|used| Step { used, event: None });
        }
        if self.data.is_some() {
            return self.read_data(input, out, now_nanos);
        }
        if self.skip > 0 {
            let used = self.skip.min(input.len());
            self.skip -= used;
            return nothing(used);
        }
        let Some(header) = FrameHeader::parse(input) else { return nothing(0) };
        self.check_order(&header)?;
        let payload = input.get(FRAME_HEADER_SIZE..).unwrap_or_default();
        match header.kind {
            Kind::Data => {
                let Some(front) = self.begin_data(&header, payload, out, now_nanos)? else {
                    return nothing(0);
                };
                let content = payload.get(front..).unwrap_or_default();
                let step = self.read_data(content, out, now_nanos)?;
                Ok(Step { used: FRAME_HEADER_SIZE + front + step.used, ..step })
            }
            Kind::Unknown(_) => {
                self.ledger.note(Abuse::UselessFrames, now_nanos)?;
                self.skip = header.length;
                nothing(FRAME_HEADER_SIZE)
            }
            _ => {
                let Some(payload) = payload.get(..header.length) else { return nothing(0) };
                let event = self.read_frame(&header, payload, fields, out, now_nanos)?;
                Ok(Step { used: FRAME_HEADER_SIZE + header.length, event })
            }
        }
    }

    fn read_preface(&mut self, matched: usize, input: &[u8]) -> Result<usize, SessionError> {
        let wanted = PREFACE.get(matched..).unwrap_or_default();
        let count = wanted.len().min(input.len());
        if input.get(..count) != wanted.get(..count) {
            return fail(ErrorCode::Protocol, "the connection does not begin with the preface");
        }
        self.stage = match matched + count {
            whole if whole == PREFACE.len() => Stage::FirstSettings,
            part => Stage::Preface(part),
        };
        Ok(count)
    }

    /// What may follow what, and how long frames may be (sections 3.4, 4.2, 4.3).
    fn check_order(&mut self, header: &FrameHeader) -> Result<(), SessionError> {
        if header.length > crate::limits::size(u64::from(HTTP2_FRAME_SIZE_MAX)) {
            return fail(ErrorCode::FrameSize, "a frame is longer than MAX_FRAME_SIZE");
        }
        if let Stage::FirstSettings = self.stage {
            if header.kind != Kind::Settings || header.has(flag::ACK) {
                return fail(ErrorCode::Protocol, "the first frame is not SETTINGS");
            }
            self.stage = Stage::Open;
        }
        match self.open_block {
            Some(open) if header.kind != Kind::Continuation || header.stream != open.stream => {
                fail(ErrorCode::Protocol, "a header block is interrupted by another frame")
            }
            None if header.kind == Kind::Continuation => {
                fail(ErrorCode::Protocol, "CONTINUATION without a header block")
            }
            _ => Ok(()),
        }
    }

    fn read_frame<'i, 'f>(
        &mut self,
        header: &FrameHeader,
        payload: &'i [u8],
        fields: &'f mut FieldList,
        out: &mut Vec<u8>,
        now_nanos: u64,
    ) -> Result<Option<Event<'i, 'f>>, SessionError> {
        let on_stream = !matches!(header.kind, Kind::Settings | Kind::Ping | Kind::GoAway);
        if header.kind != Kind::WindowUpdate && on_stream == (header.stream == 0) {
            return fail(ErrorCode::Protocol, "a frame on a stream where it may not be");
        }
        match header.kind {
            Kind::Headers => self.read_headers(header, payload, fields, out, now_nanos),
            Kind::Continuation => self.read_continuation(header, payload, fields, out, now_nanos),
            Kind::Settings => self.read_settings(header, payload, out, now_nanos).map(|()| None),
            Kind::Ping => self.read_ping(header, payload, out, now_nanos).map(|()| None),
            Kind::WindowUpdate => self.read_window_update(header.stream, payload, out, now_nanos),
            Kind::ResetStream => self.read_reset(header.stream, payload, now_nanos),
            Kind::Priority => {
                // No tree is kept: priorities of requests that all take microseconds mean nothing.
                self.ledger.note(Abuse::Priorities, now_nanos)?;
                if payload.len() == 5 {
                    return Ok(None);
                }
                match self.find(header.stream) {
                    Some(_) => {
                        self.stream_error(header.stream, ErrorCode::FrameSize, out, now_nanos)
                    }
                    // There is no stream to reset; it counts as a priority.
                    None => Ok(None),
                }
            }
            // A client's only means to say that it pushes nothing more, and it cannot push.
            Kind::GoAway if payload.len() >= 8 => {
                self.ledger.note(Abuse::UselessFrames, now_nanos)?;
                Ok(None)
            }
            Kind::GoAway => fail(ErrorCode::FrameSize, "GOAWAY has at least eight bytes"),
            Kind::PushPromise => fail(ErrorCode::Protocol, "a client cannot push"),
            // Both are read elsewhere.
            Kind::Data | Kind::Unknown(_) => Ok(None),
        }
    }

    // ── Streams ───────────────────────────────────────────────────────────────────────────────

    pub(super) fn find(&self, id: u32) -> Option<usize> {
        self.streams.binary_search_by_key(&id, |stream| stream.id).ok()
    }

    fn stream(&mut self, id: u32) -> Option<&mut Stream> {
        let place = self.find(id)?;
        self.streams.get_mut(place)
    }

    const fn is_idle(&self, id: u32) -> bool {
        id > self.last_stream || id.is_multiple_of(2)
    }

    pub(super) fn remove(&mut self, id: u32) {
        if let Some(place) = self.find(id) {
            self.streams.remove(place);
        }
    }

    pub(super) fn note_ended_early(&mut self, id: u32, window: i64) {
        if self.ended_early.len() >= ENDED_EARLY_COUNT {
            self.ended_early.pop_front();
        }
        self.ended_early.push_back(EndedEarly { id, window });
    }

    fn ended_early(&mut self, id: u32) -> Option<&mut EndedEarly> {
        self.ended_early.iter_mut().rev().find(|ended| ended.id == id)
    }

    /// Turns a new stream away unseen: its sender may repeat it (section 8.7).
    fn refuse_stream(
        &mut self,
        id: u32,
        out: &mut Vec<u8>,
        now_nanos: u64,
    ) -> Result<(), SessionError> {
        self.ledger.note(Abuse::RefusedStreams, now_nanos)?;
        push_reset(out, id, ErrorCode::RefusedStream);
        self.note_ended_early(id, i64::from(HTTP2_STREAM_WINDOW));
        Ok(())
    }

    /// Resets a stream for a fault of its own (section 5.4.2).
    fn stream_error<'i, 'f>(
        &mut self,
        id: u32,
        code: ErrorCode,
        out: &mut Vec<u8>,
        now_nanos: u64,
    ) -> Result<Option<Event<'i, 'f>>, SessionError> {
        self.ledger.note(Abuse::StreamErrors, now_nanos)?;
        push_reset(out, id, code);
        let window = self.stream(id).map_or(0, |stream| stream.receive_window);
        self.note_ended_early(id, window);
        if let Some(data) = &mut self.data
            && data.stream == id
        {
            data.is_swallowed = true;
        }
        let was_known = self.find(id).is_some();
        self.remove(id);
        Ok(was_known.then_some(Event::Reset { stream: id }))
    }

    /// Work goes on for a request that its sender took back: it still counts as a stream.
    pub const fn note_orphan(&mut self) {
        self.orphans += 1;
    }

    pub const fn note_orphan_done(&mut self) {
        self.orphans = self.orphans.saturating_sub(1);
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty() && self.orphans == 0
    }

    /// A request was answered, or refused for what is no fault of its sender.
    pub fn note_answered(&mut self) {
        self.ledger.note_answered();
    }

    // ── Header blocks ─────────────────────────────────────────────────────────────────────────

    fn read_headers<'i, 'f>(
        &mut self,
        header: &FrameHeader,
        payload: &'i [u8],
        fields: &'f mut FieldList,
        out: &mut Vec<u8>,
        now_nanos: u64,
    ) -> Result<Option<Event<'i, 'f>>, SessionError> {
        let mut fragment = payload;
        if header.has(flag::PADDED) {
            let Some((&padding, rest)) = fragment.split_first() else {
                return fail(ErrorCode::FrameSize, "HEADERS without its padding length");
            };
            let Some(length) = rest.len().checked_sub(usize::from(padding)) else {
                return fail(ErrorCode::Protocol, "padding is longer than its frame");
            };
            fragment = rest.get(..length).unwrap_or_default();
        }
        if header.has(flag::PRIORITY) {
            let Some(rest) = fragment.get(5..) else {
                return fail(ErrorCode::FrameSize, "HEADERS without its priority");
            };
            fragment = rest;
        }
        let id = header.stream;
        if id.is_multiple_of(2) {
            return fail(ErrorCode::Protocol, "clients open streams of odd numbers");
        }
        if id <= self.last_stream && self.find(id).is_none() && self.ended_early(id).is_none() {
            return fail(ErrorCode::StreamClosed, "HEADERS on a stream that is closed");
        }
        let open = OpenBlock { stream: id, ends: header.has(flag::END_STREAM), continuations: 0 };
        if header.has(flag::END_HEADERS) {
            return self.finish_block(open, fragment, fields, out, now_nanos);
        }
        self.block.clear();
        self.block.extend_from_slice(fragment);
        self.open_block = Some(open);
        Ok(None)
    }

    fn read_continuation<'i, 'f>(
        &mut self,
        header: &FrameHeader,
        payload: &'i [u8],
        fields: &'f mut FieldList,
        out: &mut Vec<u8>,
        now_nanos: u64,
    ) -> Result<Option<Event<'i, 'f>>, SessionError> {
        let Some(open) = &mut self.open_block else { return Ok(None) };
        open.continuations += 1;
        if open.continuations > HTTP2_CONTINUATION_MAX {
            return Err(Abuse::Continuations.into());
        }
        if self.block.len() + payload.len() > HEADER_BLOCK_SIZE_MAX {
            return Err(Abuse::HeaderLists.into());
        }
        self.block.extend_from_slice(payload);
        if !header.has(flag::END_HEADERS) {
            return Ok(None);
        }
        let open = *open;
        self.open_block = None;
        // Large heads are rare: their memory is not kept.
        let block = std::mem::take(&mut self.block);
        self.finish_block(open, &block, fields, out, now_nanos)
    }

    fn finish_block<'i, 'f>(
        &mut self,
        open: OpenBlock,
        block: &[u8],
        fields: &'f mut FieldList,
        out: &mut Vec<u8>,
        now_nanos: u64,
    ) -> Result<Option<Event<'i, 'f>>, SessionError> {
        let OpenBlock { stream: id, ends, .. } = open;
        fields.clear();
        // Also where nobody wants it: the table is shared with the peer (RFC 7541, section 2.2).
        match self.decoder.decode(block, fields) {
            Ok(()) => {}
            Err(HpackError::Flood) => return Err(Abuse::HeaderLists.into()),
            Err(error) => return fail(ErrorCode::Compression, error.words()),
        }
        let fields: &'f FieldList = fields;
        if id > self.last_stream {
            return self.open_stream(id, ends, fields, out, now_nanos);
        }
        match self.find(id).and_then(|place| self.streams.get(place)) {
            // We ended it early, and the peer did not know yet.
            None => {
                self.ledger.note(Abuse::UselessFrames, now_nanos)?;
                Ok(None)
            }
            Some(stream) if stream.state == State::Complete => {
                self.stream_error(id, ErrorCode::StreamClosed, out, now_nanos)
            }
            Some(stream) => {
                let is_short = stream.declared.is_some_and(|length| length != stream.received);
                if !ends || is_short || fields.is_over_limit() || check_trailers(fields).is_err() {
                    return self.stream_error(id, ErrorCode::Protocol, out, now_nanos);
                }
                if let Some(stream) = self.stream(id) {
                    stream.state = State::Complete;
                }
                Ok(Some(Event::Ended { stream: id }))
            }
        }
    }

    fn open_stream<'i, 'f>(
        &mut self,
        id: u32,
        ends: bool,
        fields: &'f FieldList,
        out: &mut Vec<u8>,
        now_nanos: u64,
    ) -> Result<Option<Event<'i, 'f>>, SessionError> {
        self.last_stream = id;
        if self.going == Going::Final {
            // The peer is told that it is not served, and sends it elsewhere.
            self.ledger.note(Abuse::RefusedStreams, now_nanos)?;
            self.note_ended_early(id, i64::from(HTTP2_STREAM_WINDOW));
            return Ok(None);
        }
        if self.streams.len() + self.orphans
            >= crate::limits::size(u64::from(HTTP2_STREAM_COUNT_MAX))
        {
            return self.refuse_stream(id, out, now_nanos).map(|()| None);
        }
        self.last_served = id;
        let mut stream = Stream {
            id,
            state: if ends { State::Complete } else { State::Open },
            receive_window: i64::from(if self.is_acknowledged {
                HTTP2_STREAM_WINDOW
            } else {
                // Until it has read our settings the peer goes by the default.
                HTTP2_STREAM_WINDOW.max(WINDOW_DEFAULT)
            }),
            received: 0,
            declared: None,
            send_window: self.peer_window,
            pending: None,
        };
        if fields.is_over_limit() {
            self.streams.push(stream);
            let grpc = fields.iter().any(|(name, value)| {
                name == b"content-type" && crate::http::grpc::is_grpc_type(value)
            });
            return Ok(Some(Event::HeadTooLarge { stream: id, ends, grpc }));
        }
        match request_head(fields) {
            Ok(head) if !ends || head.length.unwrap_or(0) == 0 => {
                stream.declared = head.length;
                self.streams.push(stream);
                Ok(Some(Event::Head { stream: id, head, ends }))
            }
            _ => self.stream_error(id, ErrorCode::Protocol, out, now_nanos),
        }
    }

    // ── Data ──────────────────────────────────────────────────────────────────────────────────

    /// Reads what precedes a DATA frame's content and says how long that is; none if it is not there.
    fn begin_data(
        &mut self,
        header: &FrameHeader,
        payload: &[u8],
        out: &mut Vec<u8>,
        now_nanos: u64,
    ) -> Result<Option<usize>, SessionError> {
        let id = header.stream;
        let (used, padding) = match (header.has(flag::PADDED), payload.first()) {
            (false, _) => (0, 0),
            (true, _) if header.length == 0 => {
                return fail(ErrorCode::FrameSize, "DATA without its padding length");
            }
            (true, None) => return Ok(None),
            (true, Some(&padding)) => (1, usize::from(padding)),
        };
        let Some(content) = header.length.checked_sub(used + padding) else {
            return fail(ErrorCode::Protocol, "padding is longer than its frame");
        };
        if id == 0 || self.is_idle(id) {
            return fail(ErrorCode::Protocol, "DATA on a stream that is not open");
        }
        // Padding counts too (section 6.9.1).
        let length = i64::try_from(header.length).unwrap_or(i64::MAX);
        if length > self.receive_window {
            return fail(ErrorCode::FlowControl, "DATA beyond the connection's window");
        }
        self.receive_window -= length;
        self.return_window(u32::try_from(header.length).unwrap_or(0), out);
        let ends = header.has(flag::END_STREAM);
        if content >= HTTP2_SMALL_DATA_SIZE {
            self.ledger.give_back(Abuse::SmallData);
        } else if !ends {
            self.ledger.note(Abuse::SmallData, now_nanos)?;
        }
        let mut data = OpenData { stream: id, left: content, padding, ends, is_swallowed: true };
        match self.stream(id) {
            Some(stream) if stream.state == State::Open => {
                data.is_swallowed = false;
                stream.receive_window -= length;
            }
            Some(_) => {}
            None => match self.ended_early(id) {
                // It was under way when we ended the stream.
                Some(ended) if length <= ended.window => ended.window -= length,
                Some(_) => self.ledger.note(Abuse::UselessFrames, now_nanos)?,
                None => {
                    self.ledger.note(Abuse::StreamErrors, now_nanos)?;
                    push_reset(out, id, ErrorCode::StreamClosed);
                    self.note_ended_early(id, 0);
                }
            },
        }
        self.data = Some(data);
        Ok(Some(used))
    }

    fn read_data<'i, 'f>(
        &mut self,
        input: &'i [u8],
        out: &mut Vec<u8>,
        now_nanos: u64,
    ) -> Result<Step<'i, 'f>, SessionError> {
        let Some(data) = &mut self.data else { return Ok(Step { used: 0, event: None }) };
        let used = data.left.min(input.len());
        if used == 0 && data.left > 0 {
            return Ok(Step { used: 0, event: None });
        }
        data.left -= used;
        let data = *data;
        let is_whole = data.left == 0;
        let bytes = input.get(..used).unwrap_or_default();
        let id = data.stream;
        let event = match self.stream(id) {
            Some(stream) if stream.state == State::Complete => {
                self.stream_error(id, ErrorCode::StreamClosed, out, now_nanos)?
            }
            Some(stream) if !data.is_swallowed => {
                let ends = data.ends && is_whole;
                stream.received += bytes.len() as u64;
                let received = stream.received;
                let contradicts = stream
                    .declared
                    .is_some_and(|length| received > length || (ends && received != length));
                if stream.receive_window < 0 {
                    self.stream_error(id, ErrorCode::FlowControl, out, now_nanos)?
                } else if contradicts {
                    self.stream_error(id, ErrorCode::Protocol, out, now_nanos)?
                } else {
                    if ends {
                        stream.state = State::Complete;
                    }
                    let is_event = ends || !bytes.is_empty();
                    is_event.then_some(Event::Data { stream: id, bytes, ends })
                }
            }
            _ => None,
        };
        if is_whole {
            self.skip = data.padding;
            self.data = None;
        }
        Ok(Step { used, event })
    }

    /// The connection's window goes back at once: what came was taken or thrown away, and one stream's
    /// body must not hold up the others. In lots, not with every frame.
    fn return_window(&mut self, length: u32, out: &mut Vec<u8>) {
        self.unreturned += length;
        if self.unreturned >= HTTP2_CONNECTION_WINDOW / 2 {
            push_window_update(out, 0, self.unreturned);
            self.receive_window += i64::from(self.unreturned);
            self.unreturned = 0;
        }
    }

    /// Lets the peer send on: `missing` more bytes are wanted on this stream, `most` at a time.
    pub fn expect(&mut self, id: u32, missing: u64, most: u32, out: &mut Vec<u8>) {
        let missing = i64::try_from(missing).unwrap_or(i64::MAX);
        let most = i64::from(most);
        // A frame is off the window as soon as it begins.
        let under_way = self.data.filter(|data| data.stream == id).map_or(0, |data| data.left);
        let Some(stream) = self.stream(id) else { return };
        let window = stream.receive_window + i64::try_from(under_way).unwrap_or(0);
        if stream.state != State::Open || window >= missing || window >= most / 2 {
            return;
        }
        // Little by little is not worth a frame while the peer has something left to send.
        if missing - window < WINDOW_STEP && window >= WINDOW_STEP {
            return;
        }
        let increment = u32::try_from(missing.min(most) - window).unwrap_or(0);
        if increment > 0 {
            stream.receive_window += i64::from(increment);
            push_window_update(out, id, increment);
        }
    }

    // ── Small frames ──────────────────────────────────────────────────────────────────────────

    fn read_settings(
        &mut self,
        header: &FrameHeader,
        payload: &[u8],
        out: &mut Vec<u8>,
        now_nanos: u64,
    ) -> Result<(), SessionError> {
        if header.has(flag::ACK) {
            if !payload.is_empty() {
                return fail(ErrorCode::FrameSize, "an acknowledgement of SETTINGS has no payload");
            }
            self.is_acknowledged = true;
            return Ok(());
        }
        if !payload.len().is_multiple_of(6) {
            return fail(ErrorCode::FrameSize, "SETTINGS is not made of six-byte entries");
        }
        self.ledger.note(Abuse::Settings, now_nanos)?;
        if payload.len() / 6 > HTTP2_SETTING_COUNT_MAX {
            return Err(Abuse::Settings.into());
        }
        for entry in payload.chunks_exact(6) {
            let &[i0, i1, v0, v1, v2, v3] = entry else { continue };
            let value = u32::from_be_bytes([v0, v1, v2, v3]);
            self.apply_setting(u16::from_be_bytes([i0, i1]), value)?;
        }
        push_settings_ack(out);
        self.send_pending(out);
        Ok(())
    }

    fn apply_setting(&mut self, identifier: u16, value: u32) -> Result<(), SessionError> {
        match identifier {
            setting::HEADER_TABLE_SIZE if value < 4096 => self.size_update_due = true,
            setting::ENABLE_PUSH if value > 1 => {
                return fail(ErrorCode::Protocol, "ENABLE_PUSH is 0 or 1");
            }
            setting::INITIAL_WINDOW_SIZE => {
                let window = i64::from(value);
                if window > WINDOW_MAX {
                    return fail(ErrorCode::FlowControl, "INITIAL_WINDOW_SIZE is above 2^31-1");
                }
                let change = window - self.peer_window;
                self.peer_window = window;
                for stream in &mut self.streams {
                    stream.send_window += change;
                    if stream.send_window > WINDOW_MAX {
                        return fail(ErrorCode::FlowControl, "a window is above 2^31-1");
                    }
                }
            }
            setting::MAX_FRAME_SIZE => {
                if !(16_384..1 << 24).contains(&value) {
                    return fail(ErrorCode::Protocol, "MAX_FRAME_SIZE is outside its bounds");
                }
                self.peer_frame_size = crate::limits::size(u64::from(value));
            }
            _ => {}
        }
        Ok(())
    }

    fn read_ping(
        &mut self,
        header: &FrameHeader,
        payload: &[u8],
        out: &mut Vec<u8>,
        now_nanos: u64,
    ) -> Result<(), SessionError> {
        let Ok(opaque) = <[u8; 8]>::try_from(payload) else {
            return fail(ErrorCode::FrameSize, "PING has eight bytes");
        };
        if !header.has(flag::ACK) {
            self.ledger.note(Abuse::Pings, now_nanos)?;
            push_ping(out, flag::ACK, opaque);
        } else if opaque == DRAIN_PING && matches!(self.going, Going::Announced { .. }) {
            self.finish_going(out);
        }
        Ok(())
    }

    fn read_window_update<'i, 'f>(
        &mut self,
        id: u32,
        payload: &[u8],
        out: &mut Vec<u8>,
        now_nanos: u64,
    ) -> Result<Option<Event<'i, 'f>>, SessionError> {
        let (Some(increment), 4) = (number_31(payload), payload.len()) else {
            return fail(ErrorCode::FrameSize, "WINDOW_UPDATE has four bytes");
        };
        self.ledger.note(Abuse::WindowUpdates, now_nanos)?;
        let increment = i64::from(increment);
        if id == 0 {
            if increment == 0 {
                return fail(ErrorCode::Protocol, "a window update of nothing");
            }
            self.send_window += increment;
            if self.send_window > WINDOW_MAX {
                return fail(ErrorCode::FlowControl, "the connection's window is above 2^31-1");
            }
            self.send_pending(out);
            return Ok(None);
        }
        if self.is_idle(id) {
            return fail(ErrorCode::Protocol, "WINDOW_UPDATE on a stream that is not open");
        }
        // Of a stream that is gone: it was under way.
        let Some(stream) = self.stream(id) else { return Ok(None) };
        stream.send_window += increment;
        if increment == 0 {
            return self.stream_error(id, ErrorCode::Protocol, out, now_nanos);
        }
        if stream.send_window > WINDOW_MAX {
            return self.stream_error(id, ErrorCode::FlowControl, out, now_nanos);
        }
        self.send_pending(out);
        Ok(None)
    }

    fn read_reset<'i, 'f>(
        &mut self,
        id: u32,
        payload: &[u8],
        now_nanos: u64,
    ) -> Result<Option<Event<'i, 'f>>, SessionError> {
        if payload.len() != 4 {
            return fail(ErrorCode::FrameSize, "RST_STREAM has four bytes");
        }
        if self.is_idle(id) {
            return fail(ErrorCode::Protocol, "RST_STREAM on a stream that is not open");
        }
        let was_known = self.find(id).is_some();
        if let Some(ended) = self.ended_early(id).filter(|ended| ended.window >= 0) {
            // We ended it, and now its sender does: nothing is taken back. Once.
            ended.window = -1;
            return Ok(None);
        }
        self.ledger.note(Abuse::Resets, now_nanos)?;
        self.remove(id);
        // Frames behind a reset are the sender's own fault, but harmless.
        self.note_ended_early(id, -1);
        Ok(was_known.then_some(Event::Reset { stream: id }))
    }

    // ── The end ───────────────────────────────────────────────────────────────────────────────

    /// Begins a graceful end: no further requests; those under way are answered.
    pub fn announce_end(&mut self, out: &mut Vec<u8>, now_nanos: u64) {
        if self.going != Going::No {
            return;
        }
        if !self.is_greeted {
            self.greet(out);
        }
        self.going = Going::Announced { since_nanos: now_nanos };
        push_go_away(out, 0x7fff_ffff, ErrorCode::NoError, "");
        push_ping(out, 0, DRAIN_PING);
    }

    fn finish_going(&mut self, out: &mut Vec<u8>) {
        self.going = Going::Final;
        push_go_away(out, self.last_served, ErrorCode::NoError, "");
    }

    /// The peer did not answer the PING in time: it is told the last stream all the same.
    pub fn check_going(&mut self, out: &mut Vec<u8>, now_nanos: u64) {
        if let Going::Announced { since_nanos } = self.going
            && now_nanos.saturating_sub(since_nanos) > 1_000_000_000
        {
            self.finish_going(out);
        }
    }

    /// The graceful end is complete: nothing is under way and nothing new is served.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.going == Going::Final && self.streams.is_empty()
    }

    /// Says why the connection ends.
    pub fn end(&mut self, error: &SessionError, out: &mut Vec<u8>) {
        self.going = Going::Final;
        push_go_away(out, self.last_served, error.code, error.words);
    }

    /// Bytes of a header block that is not complete.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.block.capacity()
    }

    /// Gives back what an idle connection does not need.
    pub fn trim(&mut self) {
        self.streams.shrink_to_fit();
        self.ended_early.clear();
        self.ended_early.shrink_to_fit();
        self.block = Vec::new();
        self.decoder.trim();
    }

    /// No header block and no preface is half read.
    #[must_use]
    pub fn is_between_frames(&self) -> bool {
        self.open_block.is_none() && matches!(self.stage, Stage::Open)
    }

    /// The peer never acknowledged our settings (section 6.5.3).
    #[must_use]
    pub const fn settings_overdue(&self, now_nanos: u64, limit_nanos: u64) -> bool {
        !self.is_acknowledged && now_nanos.saturating_sub(self.settings_sent_nanos) > limit_nanos
    }
}
