//! The follower of the journal that makes it readable: columns, Parquet parts, exactly once.
//!
//! Place: behind the acknowledgement, on threads of its own. [`follow`] tells the order of steps,
//! [`layout`] the names of files.
//!
//! Guarantee: a row of every committed record stands in exactly one published part, whatever step the
//! process or the machine stopped at, and however plans were cut or workers counted before and after.

pub mod fault;
mod follow;
mod layout;
mod part;
mod part_sink;
mod quarantine;
mod state;
mod worker;

pub use part::{encode, properties};
pub use part_sink::PartSink;
pub use quarantine::{EnvelopeHead, Head};
pub use worker::{Decoders, EntryDecoder};

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::batch::{SeenSeries, SinkOptions};
use crate::counters::StoreCounters;
use crate::journal::read::EntrySource;
use crate::limits::MIB;

/// Columns of one part are numbered with 32 bits; one record may come on top.
const PART_SIZE_MAX_MAX: usize = 1024 * MIB;

#[derive(Clone, Debug)]
pub struct Options {
    /// Holds `store/` and `quarantine/`.
    pub data_dir: PathBuf,
    /// Rows are readable at most this long after their reply, as long as the machine keeps up.
    pub max_delay: Duration,
    /// Threads that decode and encode.
    pub workers: usize,
    /// Journal bytes of one plan, over all shards.
    pub plan_size_max: u64,
    /// Bytes of columns at which a worker writes parts.
    pub part_size_max: usize,
    /// Series whose row of the day is known to be written; about 100 bytes each, and again per worker.
    pub series_seen_max: usize,
}

impl Options {
    #[must_use]
    pub fn new(data_dir: PathBuf) -> Self {
        Self {
            data_dir,
            max_delay: Duration::from_secs(5),
            workers: 1,
            plan_size_max: 64 * MIB as u64,
            part_size_max: 64 * MIB,
            series_seen_max: 1024 * 1024,
        }
    }
}

/// A running store. Dropped without [`Store::drain`] it stops soon and publishes nothing more.
pub struct Store {
    source: Arc<dyn EntrySource>,
    shared: Arc<follow::Shared>,
    planner: Option<JoinHandle<io::Result<()>>>,
}

/// Starts the threads `store-plan` and `store-0` on.
///
/// Errors: folders that cannot be made, a state file that is damaged (see its text), no threads.
pub fn start(
    options: Options,
    source: Arc<dyn EntrySource>,
    counters: Arc<StoreCounters>,
) -> io::Result<Store> {
    start_with(options, source, counters, Arc::new(Decoders))
}

/// [`start`] with decoders of one's own: for tests.
#[doc(hidden)]
pub fn start_with(
    options: Options,
    source: Arc<dyn EntrySource>,
    counters: Arc<StoreCounters>,
    decoder: Arc<dyn EntryDecoder>,
) -> io::Result<Store> {
    let shared = Arc::new(follow::Shared::new());
    let seed = getrandom::u64().map_err(|error| io::Error::other(error.to_string()))?;
    let context = worker::Context {
        layout: layout::Layout::create(&options.data_dir)?,
        source: Arc::clone(&source),
        decoder,
        counters,
        seen: Arc::new(SeenSeries::new(options.series_seen_max)),
        stop: Arc::clone(&shared.stop),
        part_size_max: options.part_size_max.min(PART_SIZE_MAX_MAX),
        sink: SinkOptions { seed, series_cache_max: options.series_seen_max },
    };
    let planner = follow::Planner::new(options, context, Arc::clone(&shared))?;
    let thread =
        std::thread::Builder::new().name("store-plan".to_string()).spawn(move || planner.run())?;
    Ok(Store { source, shared, planner: Some(thread) })
}

/// How far the store of `incarnation` has read each shard's journal, a pending plan counted: positions
/// below must never be used again. Empty where there is no readable state; [`start`] then says why.
#[must_use]
pub fn followed(data_dir: &Path, incarnation: u64) -> BTreeMap<u32, u64> {
    let Ok(state) = layout::Layout::create(data_dir)
        .and_then(|layout| state::State::load(&layout, incarnation))
    else {
        return BTreeMap::new();
    };
    let mut followed = state.done;
    for range in state.pending.iter().flat_map(|plan| &plan.ranges) {
        let place = followed.entry(range.shard).or_default();
        *place = (*place).max(range.to);
    }
    followed
}

impl Store {
    /// Committed journal bytes that are not yet readable in Parquet.
    #[must_use]
    pub fn lag_bytes(&self) -> u64 {
        self.lag().bytes()
    }

    /// [`Store::lag_bytes`] for others, such as the metrics page.
    #[must_use]
    pub fn lag(&self) -> Lag {
        Lag { source: Arc::clone(&self.source), shared: Arc::clone(&self.shared) }
    }

    /// Follows to the frontier, publishes, and stops. The error is what kept it from that; what is
    /// left then stays in the journal.
    pub fn drain(mut self) -> io::Result<()> {
        self.shared.drain();
        self.join()
    }

    fn join(&mut self) -> io::Result<()> {
        match self.planner.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(_panic)) => Err(io::Error::other("the store's planner panicked")),
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if self.planner.is_some() {
            self.shared.stop();
            // The error was logged where it happened.
            let _ = self.join();
        }
    }
}

/// The distance between journal and store, at any time.
#[derive(Clone)]
pub struct Lag {
    source: Arc<dyn EntrySource>,
    shared: Arc<follow::Shared>,
}

impl Lag {
    /// Committed journal bytes that are not yet readable in Parquet; 0 only when all are.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        lag(&*self.source, &follow::lock(&self.shared.done))
    }
}

fn lag(source: &dyn EntrySource, done: &BTreeMap<u32, u64>) -> u64 {
    let behind = source.shards().into_iter().map(|range| {
        let done = done.get(&range.shard).copied().unwrap_or(range.oldest).max(range.oldest);
        range.frontier.saturating_sub(done)
    });
    behind.sum()
}
