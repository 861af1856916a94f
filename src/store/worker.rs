//! A store worker: the ranges it is given, decoded into columns, written as parts.
//!
//! Place: thread `store-N`, fed by the planner. Its parts lie under temporary names when it answers;
//! nothing of it is visible to readers. Memory: columns up to `part_size_max` and one record more, a
//! batch of them in Arrow's form, and one open row group.
//!
//! An entry larger than a part is written as several. If it turns out bad behind the first of them, the
//! job is begun anew with that entry set aside: as nothing was published, no reader sees a difference.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::layout::Layout;
use super::part::{Part, PartId, write_part};
use super::part_sink::{PartSink, Parted};
use super::quarantine::{self, Kept, Place};
use super::state::PlanRange;
use crate::batch::{ColumnSink, Columns, SeenSeries, SeriesId, SinkOptions, Table};
use crate::content::{self, Arena};
use crate::counters::{ENDPOINT_COUNT, StoreCounters};
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
        sink: &mut PartSink<'_>,
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
        sink: &mut PartSink<'_>,
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
    pub(super) unparsed: [u64; ENDPOINT_COUNT],
}

/// Why a job was not done to its end.
enum Stop {
    Io(io::Error),
    /// An entry that was written in part is bad: it is set aside now.
    Again,
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

pub(super) struct Worker {
    number: usize,
    context: Context,
    sink: ColumnSink,
    scratch: Scratch,
    arena: Arena,
    texts_replaced: u64,
    /// Entries of the present job that failed after a part of them was written, and why.
    set_aside: HashMap<(u32, u64), String>,
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
            set_aside: HashMap::new(),
        }
    }

    /// Does the job, or nothing: after an error the sink is empty again.
    pub(super) fn run(&mut self, job: &Job) -> io::Result<Written> {
        self.set_aside.clear();
        loop {
            let mut written = Written::default();
            let result = catch_unwind(AssertUnwindSafe(|| self.write(job, &mut written)));
            let panicked = || Stop::Io(io::Error::other("a store worker panicked"));
            match result.unwrap_or_else(|_| Err(panicked())) {
                Ok(()) => return Ok(written),
                Err(Stop::Again) => {
                    self.abandon();
                    for part in written.parts {
                        fs::remove_file(part.temporary)?;
                    }
                }
                Err(Stop::Io(error)) => {
                    self.abandon();
                    return Err(error);
                }
            }
        }
    }

    /// Forgets what it wrote: the plan failed elsewhere.
    pub(super) fn abandon(&mut self) {
        self.sink.abandon();
        self.texts_replaced = self.sink.texts_replaced();
    }

    fn write(&mut self, job: &Job, written: &mut Written) -> Result<(), Stop> {
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
        written.unparsed = self.sink.take_unparsed();
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
    ) -> Result<(), Stop> {
        if self.context.stop.load(Ordering::Relaxed) {
            return Err(Stop::Io(io::ErrorKind::Interrupted.into()));
        }
        let place =
            |position| Place { incarnation: self.context.source.incarnation(), shard, position };
        match *read {
            Read::Entry { position, ref envelope, body } => {
                let place = place(position);
                let kept = Kept::Entry { envelope, body };
                if let Some(cause) = self.set_aside.get(&(shard, position)) {
                    self.quarantine(place, &kept, cause)?;
                } else if let Err(cause) = self.decode(envelope, body, job, written)? {
                    match cause {
                        Bad::Whole(cause) => self.quarantine(place, &kept, &cause)?,
                        Bad::Parted(cause) => {
                            self.set_aside.insert((shard, position), cause);
                            return Err(Stop::Again);
                        }
                    }
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

    /// Fills columns from one entry, and parts where they are full. Or says why it cannot, and leaves
    /// the columns as they were unless parts were written.
    fn decode(
        &mut self,
        envelope: &Envelope<'_>,
        body: &[u8],
        job: &Job,
        written: &mut Written,
    ) -> io::Result<Result<(), Bad>> {
        self.sink.begin(envelope);
        let mark = self.sink.mark();
        let Self { number, context, sink, scratch, arena, .. } = self;
        let mut write = |columns| {
            if context.stop.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            write_parts(context, *number, job, columns, written)
        };
        let mut parts = PartSink::new(sink, context.part_size_max, &mut write);
        let result = catch_unwind(AssertUnwindSafe(|| {
            let payload = content::decode(envelope.codings, body, arena, PAYLOAD_SIZE_MAX)
                .map_err(|error| format!("content coding: {error:?}"))?;
            context
                .decoder
                .decode(envelope, payload, scratch, &mut parts)
                .map_err(|error| format!("payload: {error}"))
        }));
        let is_parted = match parts.finish() {
            Parted::No => false,
            Parted::Yes => true,
            Parted::Failed(error) => return Err(error),
        };
        let cause = match result {
            Ok(Ok(_verdict)) => return Ok(Ok(())),
            Ok(Err(cause)) => cause,
            Err(_panic) => {
                // Whatever state a decoder was in is gone with its memory.
                self.scratch = Scratch::default();
                self.arena = Arena::default();
                "the decoder panicked".to_string()
            }
        };
        if is_parted {
            return Ok(Err(Bad::Parted(cause)));
        }
        self.sink.rollback(&mark);
        Ok(Err(Bad::Whole(cause)))
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
        let columns = self.sink.take();
        write_parts(&self.context, self.number, job, columns, written)
    }
}

/// Why an entry does not become rows.
enum Bad {
    /// The columns are as they were before it.
    Whole(String),
    /// Rows of it stand in parts that were written.
    Parted(String),
}

fn write_parts(
    context: &Context,
    worker: usize,
    job: &Job,
    columns: Vec<Columns>,
    written: &mut Written,
) -> io::Result<()> {
    for columns in columns {
        for table in Table::ALL {
            if columns.row_count(table) == 0 {
                continue;
            }
            let id = PartId {
                incarnation: context.source.incarnation(),
                plan: job.plan,
                worker,
                index: written.parts.len(),
            };
            written.parts.push(write_part(&context.layout, id, table, &columns)?);
        }
    }
    Ok(())
}

pub(super) fn read_error(error: ReadError) -> io::Error {
    match error {
        ReadError::Io(error) => error,
        ReadError::OutOfRange { .. } => io::Error::new(io::ErrorKind::NotFound, error),
    }
}
