//! Requests of one connection between head and reply, in request order.

use std::collections::VecDeque;

use crate::envelope::Route;
use crate::http::http1::reply::ReplyTo;
use crate::limits::{FIREHOSE_REQUEST_ID_SIZE_MAX, PIPELINE_COUNT_MAX};
use crate::outcome::{Cause, RequestEcho};
use crate::route::Endpoint;

/// Bytes of a request that its reply repeats; longer ones are not repeated.
#[derive(Clone, Copy)]
struct Echoed<const N: usize> {
    bytes: [u8; N],
    length: Option<u8>,
}

/// The page that a request came from. Nearly all are short; memory of its own is for those that are not.
enum Origin {
    None,
    Short(Echoed<112>),
    Long(Box<[u8]>),
    /// Longer than any host: the reply names none.
    TooLong,
}

impl Origin {
    /// A scheme, the longest host there is, and a port.
    const SIZE_MAX: usize = 270;

    fn new(value: Option<&[u8]>) -> Self {
        match value {
            None => Self::None,
            Some(value) if value.len() > Self::SIZE_MAX => Self::TooLong,
            Some(value) => {
                let echoed = Echoed::new(Some(value));
                match echoed.length {
                    Some(_) => Self::Short(echoed),
                    None => Self::Long(value.into()),
                }
            }
        }
    }

    fn get(&self) -> Option<&[u8]> {
        match self {
            Self::None => None,
            Self::Short(echoed) => echoed.get(),
            Self::Long(bytes) => Some(bytes),
            Self::TooLong => Some(&[]),
        }
    }
}

impl<const N: usize> Echoed<N> {
    fn new(value: Option<&[u8]>) -> Self {
        let mut bytes = [0; N];
        let length = value.and_then(|value| {
            bytes.get_mut(..value.len())?.copy_from_slice(value);
            u8::try_from(value.len()).ok()
        });
        Self { bytes, length }
    }

    fn get(&self) -> Option<&[u8]> {
        self.length.map(|length| &self.bytes[..usize::from(length)])
    }
}

/// What the reply needs to know of its request, and the answer once there is one.
pub struct Exchange {
    endpoint: Option<Endpoint>,
    json: bool,
    is_push: bool,
    grpc: bool,
    remote_write_2: bool,
    is_vmagent: bool,
    origin: Origin,
    firehose_request_id: Echoed<FIREHOSE_REQUEST_ID_SIZE_MAX>,
    pub reply_to: ReplyTo,
    cause: Option<Cause>,
    /// Records that were kept of a body that was then refused.
    kept: u64,
}

impl Exchange {
    pub fn new(echo: &RequestEcho<'_>, reply_to: ReplyTo) -> Self {
        Self {
            endpoint: echo.endpoint,
            json: echo.json,
            is_push: echo.is_push,
            grpc: echo.grpc,
            remote_write_2: echo.remote_write_2,
            is_vmagent: echo.is_vmagent,
            origin: Origin::new(echo.origin),
            firehose_request_id: Echoed::new(echo.firehose_request_id),
            reply_to,
            cause: None,
            kept: 0,
        }
    }

    /// For a request whose head could not be read; `bytes` are what came of it.
    pub fn unreadable(head_only: bool, bytes: &[u8]) -> Self {
        let echo = RequestEcho { origin: find_origin(bytes), ..RequestEcho::default() };
        Self::new(&echo, ReplyTo { head_only, ..ReplyTo::UNREADABLE })
    }

    /// The route for counters and logs.
    pub const fn route(&self) -> Option<Route> {
        match self.endpoint {
            Some(Endpoint::Ingest(route)) => Some(route),
            _ => None,
        }
    }

    /// The reply will tell how much of a refused body was kept.
    pub const fn note_kept(&mut self, kept: u64) {
        self.kept = kept;
    }

    /// The id that the body of a Firehose request says; that of the head counts before it.
    pub fn note_firehose_request_id(&mut self, id: &[u8]) {
        if self.firehose_request_id.length.is_none() && !id.is_empty() {
            self.firehose_request_id = Echoed::new(Some(id));
        }
    }

    pub fn echo(&self, now_millis: u64) -> RequestEcho<'_> {
        RequestEcho {
            endpoint: self.endpoint,
            json: self.json,
            remote_write_2: self.remote_write_2,
            origin: self.origin.get(),
            requested_headers: None,
            firehose_request_id: self.firehose_request_id.get(),
            now_millis,
            kept: self.kept,
            is_vmagent: self.is_vmagent,
            is_push: self.is_push,
            grpc: self.grpc,
        }
    }
}

/// The value of the first whole line that names an origin. A browser hides the reply to a head that is
/// too large, as any other, if it does not name the page.
fn find_origin(bytes: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"origin:";
    let end = memchr::memrchr(b'\n', bytes)?;
    let line = bytes[..end]
        .split(|&byte| byte == b'\n')
        .skip(1)
        .find(|line| line.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME)))?;
    Some(line[NAME.len()..].trim_ascii())
}

#[derive(Default)]
pub struct Pipeline {
    exchanges: VecDeque<Exchange>,
    /// Sequence number of the front.
    first: u64,
    close_after_last: bool,
}

impl Pipeline {
    pub fn is_empty(&self) -> bool {
        self.exchanges.is_empty()
    }

    /// Gives its memory back.
    pub fn trim(&mut self) {
        self.exchanges.shrink_to_fit();
    }

    pub fn is_full(&self) -> bool {
        self.exchanges.len() >= PIPELINE_COUNT_MAX
    }

    /// Adds a request and answers its sequence number.
    pub fn push(&mut self, exchange: Exchange) -> u64 {
        // Most connections have one at a time, and many connections have none most of the time.
        if self.exchanges.capacity() == 0 {
            self.exchanges.reserve_exact(1);
        }
        self.exchanges.push_back(exchange);
        self.first + self.exchanges.len() as u64 - 1
    }

    fn find(&mut self, sequence: u64) -> Option<&mut Exchange> {
        let index = sequence.checked_sub(self.first)?;
        self.exchanges.get_mut(usize::try_from(index).ok()?)
    }

    pub fn settle(&mut self, sequence: u64, cause: Cause) {
        if let Some(exchange) = self.find(sequence) {
            exchange.cause = Some(cause);
        }
    }

    /// The id that the body of a Firehose request says.
    pub fn note_firehose_request_id(&mut self, sequence: u64, id: &[u8]) {
        if let Some(exchange) = self.find(sequence) {
            exchange.note_firehose_request_id(id);
        }
    }

    /// The reply will tell how much of a refused body was kept.
    pub fn note_kept(&mut self, sequence: u64, kept: u64) {
        if let Some(exchange) = self.find(sequence) {
            exchange.kept = kept;
        }
    }

    /// Forgets the newest request: its body will never be complete.
    pub fn abandon(&mut self, sequence: u64) {
        if self.first + self.exchanges.len() as u64 == sequence + 1 {
            self.exchanges.pop_back();
        }
    }

    /// The oldest request, if it has its answer.
    pub fn pop_settled(&mut self) -> Option<(Exchange, Cause)> {
        let cause = self.exchanges.front()?.cause?;
        let mut exchange = self.exchanges.pop_front()?;
        self.first += 1;
        if self.close_after_last && self.exchanges.is_empty() {
            exchange.reply_to.close = true;
        }
        Some((exchange, cause))
    }

    /// Nothing is before the newest request, and that has no answer yet.
    pub fn only_last_is_open(&self) -> bool {
        self.exchanges.len() == 1 && self.exchanges.front().is_some_and(|e| e.cause.is_none())
    }

    /// The newest request's reply will say that the connection ends.
    pub const fn close_after_last(&mut self) {
        self.close_after_last = true;
    }
}
