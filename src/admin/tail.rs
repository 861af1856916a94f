//! `/tail`: records as they are committed, a line of JSON each, for as long as somebody reads them.
//!
//! Place: one thread `admin-tail` a reader, which looks at the frontiers of the journal a few times a
//! second. Shards know nothing of it, so without a reader it costs nothing. A reader that cannot keep
//! up is told how much it did not see.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

use super::Status;
use crate::batch::{JsonLines, Signals};
use crate::content::{self, Arena};
use crate::decode::{self, Scratch};
use crate::envelope::{Envelope, Signal};
use crate::journal::Journal;
use crate::journal::read::{EntrySource, Read};
use crate::limits::{LARGE_BODY, MIB, PAYLOAD_SIZE_MAX};

/// How often the frontiers are looked at. With the reading it stays well below the second that a
/// record may take to be seen.
const TICK: Duration = Duration::from_millis(50);
/// Readers at once; each may take a core.
const READER_COUNT_MAX: usize = 4;
/// Journal that is read in one go.
const STRETCH_SIZE: u64 = 4 * MIB as u64;
/// A reader this far behind goes on at the frontier.
const BEHIND_SIZE_MAX: u64 = 64 * MIB as u64;
/// A sign of life on a quiet stream, by which a gone reader is noticed too: an empty line.
const QUIET_TICKS_MAX: u32 = 20;
/// Lines are handed on in pieces of about this size, of which so many may wait.
const PIECE_SIZE: usize = MIB;
const PIECE_COUNT_MAX: usize = 4;

/// What a reader asked for.
#[derive(Clone, Debug)]
struct Wanted {
    signals: Signals,
    tenant: Option<String>,
}

impl Wanted {
    /// `signal=logs|spans|metrics` and `tenant=NAME`, percent-encoded as in any query.
    fn parse(query: &str) -> Result<Self, String> {
        let mut wanted = Self { signals: Signals::ALL, tenant: None };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "signal" => {
                    wanted.signals = Signals::only(match text {
                        "logs" => Signal::Logs,
                        "spans" | "traces" => Signal::Traces,
                        "metrics" => Signal::Metrics,
                        _ => return Err("signal is logs, spans or metrics".to_owned()),
                    });
                }
                "tenant" => wanted.tenant = Some(unescape(text).ok_or("tenant is not readable")?),
                _ => return Err("known arguments are signal and tenant".to_owned()),
            }
        }
        Ok(wanted)
    }

    fn has(&self, envelope: &Envelope<'_>) -> bool {
        self.signals.has(envelope.route.signal())
            && self.tenant.as_deref().is_none_or(|tenant| tenant == envelope.tenant)
    }
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let number = digit(rest.next()?)? * 16 + digit(rest.next()?)?;
                u8::try_from(number).ok()?
            }
            b'+' => b' ',
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// The number of readers, given back when one ends.
struct Seat(Arc<AtomicUsize>);

impl Seat {
    fn take(count: &Arc<AtomicUsize>) -> Option<Self> {
        let seat = Self(Arc::clone(count));
        (seat.0.fetch_add(1, Ordering::Relaxed) < READER_COUNT_MAX).then_some(seat)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(super) async fn show(State(status): State<Arc<Status>>, RawQuery(query): RawQuery) -> Response {
    let wanted = match Wanted::parse(&query.unwrap_or_default()) {
        Ok(wanted) => wanted,
        Err(fault) => return (StatusCode::BAD_REQUEST, format!("{fault}\n")).into_response(),
    };
    let Some(seat) = Seat::take(&status.tails) else {
        let text = format!("{READER_COUNT_MAX} readers are all that may tail at once\n");
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    };
    let (sender, receiver) = channel(PIECE_COUNT_MAX);
    let journal = Arc::clone(&status.journal);
    let run = move || {
        let _seat = seat;
        Reader::new(journal, wanted, sender).run(&status);
    };
    if let Err(error) = std::thread::Builder::new().name("admin-tail".to_owned()).spawn(run) {
        let text = format!("cannot start a thread: {error}\n");
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    }
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(pieces(receiver)))
        .into_response()
}

fn pieces(
    receiver: Receiver<Bytes>,
) -> impl tokio_stream::Stream<Item = Result<Bytes, Infallible>> + Send {
    ReceiverStream::new(receiver).map(Ok)
}

/// The reader is gone, or the server stops.
struct Gone;

struct Reader {
    journal: Arc<Journal>,
    wanted: Wanted,
    sender: Sender<Bytes>,
    /// By shard: everything below was shown, or never will be.
    seen: BTreeMap<u32, u64>,
    lines: JsonLines,
    scratch: Scratch,
    arena: Arena,
}

impl Reader {
    fn new(journal: Arc<Journal>, wanted: Wanted, sender: Sender<Bytes>) -> Self {
        let to = sender.clone();
        let receiver = move |lines| to.blocking_send(Bytes::from(lines)).is_ok();
        let seen = journal.shards().iter().map(|range| (range.shard, range.frontier)).collect();
        Self {
            journal,
            wanted,
            sender,
            seen,
            lines: JsonLines::handed_on(PIECE_SIZE, Box::new(receiver)),
            scratch: Scratch::default(),
            arena: Arena::default(),
        }
    }

    fn run(mut self, status: &Status) {
        let mut quiet = 0;
        while !status.is_draining() && !self.sender.is_closed() {
            match self.round() {
                Err(Gone) => return,
                Ok(true) => quiet = 0,
                Ok(false) => {
                    quiet += 1;
                    if quiet >= QUIET_TICKS_MAX {
                        quiet = 0;
                        if self.send(Bytes::from_static(b"\n")).is_err() {
                            return;
                        }
                    }
                    std::thread::sleep(TICK);
                }
            }
        }
    }

    /// Shows what was committed since the last round; whether there was something.
    fn round(&mut self) -> Result<bool, Gone> {
        let mut found = false;
        for range in self.journal.shards() {
            let seen = self.seen.get(&range.shard).copied().unwrap_or(range.oldest);
            if seen >= range.frontier {
                continue;
            }
            found = true;
            let behind = range.frontier - seen;
            if seen < range.oldest || behind > BEHIND_SIZE_MAX {
                self.skip(range.shard, behind, range.frontier)?;
                continue;
            }
            let end = self.journal.plan_end(range.shard, seen, STRETCH_SIZE);
            let end = end.unwrap_or(range.frontier).min(range.frontier);
            self.seen.insert(range.shard, end);
            if !self.read(range.shard, seen..end) {
                // Retired while it was read, or damaged: the store says more about that.
                self.skip(range.shard, end - seen, end)?;
            }
            if !self.lines.flush() {
                return Err(Gone);
            }
        }
        Ok(found)
    }

    fn skip(&mut self, shard: u32, size: u64, to: u64) -> Result<(), Gone> {
        self.seen.insert(shard, to);
        self.send(Bytes::from(format!("{{\"Signal\":\"skipped\",\"JournalBytes\":{size}}}\n")))
    }

    /// Whether the range could be read.
    fn read(&mut self, shard: u32, range: Range<u64>) -> bool {
        let journal = Arc::clone(&self.journal);
        let read = journal.read(shard, range, &mut |read| {
            if let Read::Entry { ref envelope, body, .. } = read
                && !self.sender.is_closed()
                && self.wanted.has(envelope)
            {
                self.entry(envelope, body);
            }
        });
        read.is_ok()
    }

    fn entry(&mut self, envelope: &Envelope<'_>, body: &[u8]) {
        let (lines, scratch, arena) = (&mut self.lines, &mut self.scratch, &mut self.arena);
        lines.begin(envelope);
        let decoded = catch_unwind(AssertUnwindSafe(|| {
            let payload = content::decode(envelope.codings, body, arena, PAYLOAD_SIZE_MAX).ok()?;
            decode::decode(envelope, payload, scratch, lines).ok()
        }));
        if !matches!(decoded, Ok(Some(_))) {
            // Never acknowledged as it was checked before; the store puts it into quarantine.
            lines.rollback();
            self.scratch = Scratch::default();
        }
        self.arena.shrink_to(LARGE_BODY);
    }

    fn send(&self, piece: Bytes) -> Result<(), Gone> {
        self.sender.blocking_send(piece).map_err(|_| Gone)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn arguments_say_what_is_wanted() {
        let wanted = Wanted::parse("signal=spans&tenant=a%20b+c").unwrap();
        assert_eq!(wanted.signals, Signals::only(Signal::Traces));
        assert_eq!(wanted.tenant.as_deref(), Some("a b c"));
        assert_eq!(Wanted::parse("").unwrap().signals, Signals::ALL);
        for query in ["signal=log", "signal", "tenants=a", "tenant=%2", "tenant=%ff"] {
            assert!(Wanted::parse(query).is_err(), "{query}");
        }
    }

    #[test]
    fn seats_come_back() {
        let count = Arc::new(AtomicUsize::new(0));
        let seats: Vec<_> = (0..READER_COUNT_MAX).map(|_| Seat::take(&count).unwrap()).collect();
        assert!(Seat::take(&count).is_none());
        drop(seats);
        assert!(Seat::take(&count).is_some());
    }
}
