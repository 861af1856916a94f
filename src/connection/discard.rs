//! A body that is read away: its request was refused, or has nothing in it to keep.

use super::{Connection, Context, Phase};
use crate::http::http1::chunked::{ChunkStep, Decoder};
use crate::http::http1::framing::BodyFraming;
use crate::limits::{BODY_RATE_MIN, BODY_RATE_WINDOW, BODY_SIZE_MAX, size};
use crate::outcome::Cause;
use crate::ring::clock::Now;

/// What is still to come of it.
enum Rest {
    Length(u64),
    Chunks(Box<Decoder>),
}

pub struct DiscardedBody {
    rest: Rest,
    /// The request that is answered when all of it has come; none if it is answered already.
    answers: Option<u64>,
    taken: u64,
    window_bytes: usize,
}

/// One look at the bytes.
enum Step {
    More(usize),
    Ended(usize),
    Refused(Cause),
}

impl DiscardedBody {
    /// The rest of a request that is answered already.
    pub fn answered(length: u64) -> Self {
        Self { rest: Rest::Length(length), answers: None, taken: 0, window_bytes: 0 }
    }

    /// The body of request `sequence`, which waits for its end.
    pub fn awaited(framing: BodyFraming, sequence: u64) -> Self {
        let rest = match framing {
            BodyFraming::Empty => Rest::Length(0),
            BodyFraming::Length(length) => Rest::Length(length),
            BodyFraming::Chunked => Rest::Chunks(Box::default()),
        };
        Self { rest, answers: Some(sequence), taken: 0, window_bytes: 0 }
    }

    /// The request that waits for the body's end.
    pub const fn answers(&self) -> Option<u64> {
        self.answers
    }

    fn step(&mut self, bytes: &[u8]) -> Step {
        match &mut self.rest {
            Rest::Length(left) => {
                let count = (*left).min(bytes.len() as u64);
                *left -= count;
                if *left == 0 { Step::Ended(size(count)) } else { Step::More(size(count)) }
            }
            Rest::Chunks(chunked) => match chunked.step(bytes) {
                Ok(ChunkStep::NeedMore { consumed }) => Step::More(consumed),
                Ok(ChunkStep::Data { start, end }) => {
                    self.taken += (end - start) as u64;
                    if self.taken > BODY_SIZE_MAX as u64 {
                        return Step::Refused(Cause::BodyTooLarge);
                    }
                    Step::More(end)
                }
                Ok(ChunkStep::End { consumed }) => Step::Ended(consumed),
                Err(error) => Step::Refused(Cause::Chunk(error)),
            },
        }
    }

    /// Counts progress; answers when the rate window began.
    fn note_progress(&mut self, count: usize, since_nanos: u64, now: Now) -> u64 {
        self.window_bytes += count;
        if self.window_bytes >= BODY_RATE_MIN * size(BODY_RATE_WINDOW.as_secs()) {
            self.window_bytes = 0;
            return now.monotonic_nanos;
        }
        since_nanos
    }
}

impl Connection {
    pub(super) fn begin_discard(&mut self, body: DiscardedBody, now: Now) {
        self.phase = Phase::Discard { body: Box::new(body) };
        self.since_nanos = now.monotonic_nanos;
    }

    pub(super) fn consume_discarded(&mut self, bytes: &[u8], context: &mut Context<'_>) -> usize {
        let Phase::Discard { body } = &mut self.phase else { return bytes.len() };
        let answers = body.answers;
        match body.step(bytes) {
            Step::More(count) => {
                self.since_nanos = body.note_progress(count, self.since_nanos, context.now);
                count
            }
            Step::Ended(count) => {
                self.end_discard(context.now);
                count
            }
            Step::Refused(cause) => {
                if let Some(sequence) = answers {
                    self.pipeline.settle(sequence, cause);
                }
                self.end_with_linger(context.now);
                bytes.len()
            }
        }
    }

    /// All of it has come.
    pub(super) fn end_discard(&mut self, now: Now) {
        if let Phase::Discard { body } = &self.phase
            && let Some(sequence) = body.answers()
        {
            self.pipeline.settle(sequence, Cause::Unkept);
        }
        self.expect_head(now);
    }

    /// It came too slowly, or its sender has gone.
    pub(super) fn give_up_discard(&mut self, now: Now) {
        if let Phase::Discard { body } = &self.phase
            && let Some(sequence) = body.answers()
        {
            self.pipeline.settle(sequence, Cause::BodyTimeout);
        }
        self.end_with_linger(now);
    }
}
