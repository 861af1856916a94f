//! A store worker: the ranges it is given, decoded into columns, written as parts.
//!
//! Place: thread `store-N`, fed by the planner. Its parts lie under temporary names when it answers;
//! nothing of it is visible to readers. Memory: columns up to `part_size_max` and one entry more, a
//! batch of them in Arrow's form, and one open row group.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::layout::Layout;
use super::part::{Part, PartId, write_part};
use super::quarantine::{self, Kept, Place};
use super::state::PlanRange;
use crate::batch::{ColumnSink, SeenSeries, SeriesId, SinkOptions, Table};
use crate::content::{self, Arena};
use crate::counters::StoreCounters;
use crate::decode::{self, DecodeError, Scratch, Verdict};
use crate::envelope::Envelope;
use crate::journal::read::{EntrySource, Read, ReadError};
use crate::limits::PAYLOAD_SIZE_MAX;

/// What turns a payload into rows: `decode::decode`, or a test's own.
pub trait EntryDecoder: Send + Sync {
    fn decode(
        &self,
        envelope: &Envelope<'_>,
        payload: &[u8],
        scratch: &mut Scratch,
        sink: &mut ColumnSink,
    ) -> Result<Verdict, DecodeError>;
}

/// The decoders of all routes.
pub struct Decoders;

impl EntryDecoder for Decoders {
    fn decode(
        &self,
        envelope: &Envelope<'_>,
        payload: &[u8],
        scratch: &mut Scratch,
        sink: &mut ColumnSink,
    ) -> Result<Verdict, DecodeError> {
        decode::decode(envelope, payload, scratch, sink)
    }
}

/// What a worker shares with the rest of the store.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) layout: Layout,
    pub(super) source: Arc<dyn EntrySource>,
    pub(super) decoder: Arc<dyn EntryDecoder>,
    pub(super) counters: Arc<StoreCounters>,
    pub(super) seen: Arc<SeenSeries>,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) part_size_max: usize,
    pub(super) sink: SinkOptions,
}

/// One worker's share of a plan.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) plan: u64,
    pub(super) ranges: Vec<PlanRange>,
}

/// What a worker made of it.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) parts: Vec<Part>,
    pub(super) series: Vec<(SeriesId, u32)>,
    pub(super) texts_replaced: u64,
}

pub(super) struct Worker {
    number: usize,
    context: Context,
    sink: ColumnSink,
    scratch: Scratch,
    arena: Arena,
    texts_replaced: u64,
}

impl Worker {
    pub(super) fn new(number: usize, context: Context) -> Self {
        Self {
            number,
            sink: ColumnSink::new(context.sink, Arc::clone(&context.seen)),
            context,
            scratch: Scratch::default(),
            arena: Arena::default(),
            texts_replaced: 0,
        }
    }

    /// Does the job, or nothing: after an error the sink is empty again.
    pub(super) fn run(&mut self, job: &Job) -> io::Result<Written> {
        let mut written = Written::default();
        let result = catch_unwind(AssertUnwindSafe(|| self.write(job, &mut written)));
        let result = result.unwrap_or_else(|_| Err(io::Error::other("a store worker panicked")));
        if let Err(error) = result {
            self.sink.abandon();
            self.texts_replaced = self.sink.texts_replaced();
            return Err(error);
        }
        Ok(written)
    }

    /// Forgets what it wrote: the plan failed elsewhere.
    pub(super) fn abandon(&mut self) {
        self.sink.abandon();
        self.texts_replaced = self.sink.texts_replaced();
    }

    fn write(&mut self, job: &Job, written: &mut Written) -> io::Result<()> {
        let source = Arc::clone(&self.context.source);
        for range in &job.ranges {
            // The visitor cannot stop the walk: after an error it passes over the rest.
            let mut failure = None;
            source
                .read(range.shard, range.from..range.to, &mut |read| {
                    if failure.is_none()
                        && let Err(error) = self.entry(job, range.shard, &read, written)
                    {
                        failure = Some(error);
                    }
                })
                .map_err(read_error)?;
            if let Some(error) = failure {
                return Err(error);
            }
        }
        self.flush(job, written)?;
        written.series = self.sink.take_pending();
        let texts_replaced = self.sink.texts_replaced();
        written.texts_replaced = texts_replaced - self.texts_replaced;
        self.texts_replaced = texts_replaced;
        Ok(())
    }

    fn entry(
        &mut self,
        job: &Job,
        shard: u32,
        read: &Read<'_>,
        written: &mut Written,
    ) -> io::Result<()> {
        if self.context.stop.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let place =
            |position| Place { incarnation: self.context.source.incarnation(), shard, position };
        match *read {
            Read::Entry { position, ref envelope, body } => {
                let place = place(position);
                if let Err(cause) = self.decode(envelope, body) {
                    self.quarantine(place, &Kept::Entry { envelope, body }, &cause)?;
                }
            }
            Read::Unknown { position, bytes } => {
                let cause = "an envelope of another version";
                self.quarantine(place(position), &Kept::Unknown(bytes), cause)?;
            }
            Read::Damaged { position, bytes } => {
                let cause = "the device did not give back what was written";
                self.quarantine(place(position), &Kept::Damaged(bytes), cause)?;
            }
        }
        if self.sink.size() >= self.context.part_size_max {
            self.flush(job, written)?;
        }
        Ok(())
    }

    /// Fills columns from one entry, or leaves them as they were and says why.
    fn decode(&mut self, envelope: &Envelope<'_>, body: &[u8]) -> Result<(), String> {
        self.sink.begin(envelope);
        let mark = self.sink.mark();
        let (sink, scratch, arena) = (&mut self.sink, &mut self.scratch, &mut self.arena);
        let decoder = &self.context.decoder;
        let result = catch_unwind(AssertUnwindSafe(|| {
            let payload = content::decode(envelope.codings, body, arena, PAYLOAD_SIZE_MAX)
                .map_err(|error| format!("content coding: {error:?}"))?;
            decoder
                .decode(envelope, payload, scratch, sink)
                .map_err(|error| format!("payload: {error}"))
        }));
        let cause = match result {
            Ok(Ok(_verdict)) => return Ok(()),
            Ok(Err(cause)) => cause,
            Err(_panic) => {
                // Whatever state a decoder was in is gone with its memory.
                self.scratch = Scratch::default();
                self.arena = Arena::default();
                "the decoder panicked".to_string()
            }
        };
        self.sink.rollback(&mark);
        Err(cause)
    }

    fn quarantine(&self, place: Place, kept: &Kept<'_>, cause: &str) -> io::Result<()> {
        if quarantine::keep(&self.context.layout, place, kept, cause)? {
            self.context.counters.quarantined_entries.add(1);
            tracing::error!(
                shard = place.shard,
                position = place.position,
                cause,
                "an entry went to quarantine"
            );
        }
        Ok(())
    }

    fn flush(&mut self, job: &Job, written: &mut Written) -> io::Result<()> {
        for columns in self.sink.take() {
            for table in Table::ALL {
                if columns.row_count(table) == 0 {
                    continue;
                }
                let id = PartId {
                    incarnation: self.context.source.incarnation(),
                    plan: job.plan,
                    worker: self.number,
                    index: written.parts.len(),
                };
                written.parts.push(write_part(&self.context.layout, id, table, &columns)?);
            }
        }
        Ok(())
    }
}

pub(super) fn read_error(error: ReadError) -> io::Error {
    match error {
        ReadError::Io(error) => error,
        ReadError::OutOfRange { .. } => io::Error::new(io::ErrorKind::NotFound, error),
    }
}
