//! The planner: follows the journal, plan by plan.
//!
//! Place: thread `store-plan`. One plan at a time, always in this order; the process may end between
//! any two lines and the next one continues without losing or doubling a row:
//!
//! ```text
//! plan (id, ranges)      → state, synced          names of earlier attempts are removed before
//! workers write parts under temporary names, each synced; bad entries to quarantine, synced
//! final names            → state, synced          from here on a restart removes these names
//! rename every part, sync every folder touched    rows become visible
//! done positions         → state, synced          from here on the plan is never looked at again
//! journal retired below
//! ```
//!
//! An error anywhere leaves the plan pending: it is tried again with the same ranges, later and later.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Options;
use super::fault::point;
use super::layout::sync_folder;
use super::part::{Part, publish};
use super::state::{MAPPING_VERSION, Plan, PlanRange, State};
use super::worker::{Context, Job, Worker, Written, read_error};

/// The first wait after a failure; doubles up to the last.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// Failures in a row after which a drain gives up: the journal keeps what is left.
const DRAIN_ATTEMPTS_MAX: u32 = 5;
/// A plan smaller than this is not worth a second worker's parts.
const SHARE_SIZE_MIN: u64 = 1024 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Follow,
    /// To the frontier, then end.
    Drain,
    /// End at once.
    Stop,
}

/// What the planner shares with the handle.
pub(super) struct Shared {
    mode: Mutex<Mode>,
    changed: Condvar,
    /// Published below, by shard.
    pub(super) done: Mutex<BTreeMap<u32, u64>>,
    /// Seen by workers between entries.
    pub(super) stop: Arc<AtomicBool>,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            mode: Mutex::new(Mode::Follow),
            changed: Condvar::new(),
            done: Mutex::default(),
            stop: Arc::default(),
        }
    }

    pub(super) fn drain(&self) {
        *lock(&self.mode) = Mode::Drain;
        self.changed.notify_all();
    }

    pub(super) fn stop(&self) {
        *lock(&self.mode) = Mode::Stop;
        self.stop.store(true, Ordering::Relaxed);
        self.changed.notify_all();
    }

    fn mode(&self) -> Mode {
        *lock(&self.mode)
    }

    /// Waits for `time`, or until the mode is another than `mode`.
    fn wait(&self, mode: Mode, time: Duration) {
        let guard = lock(&self.mode);
        let unchanged = |current: &mut Mode| *current == mode;
        drop(self.changed.wait_timeout_while(guard, time, unchanged));
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

enum Order {
    Run(Job),
    Abandon,
}

/// A worker's thread and the ways to it.
struct Hand {
    orders: Sender<Order>,
    results: Receiver<io::Result<Written>>,
    thread: JoinHandle<()>,
}

impl Hand {
    fn start(number: usize, context: Context) -> io::Result<Self> {
        let (orders, inbox) = channel();
        let (outbox, results) = channel();
        let work = move || {
            let mut worker = Worker::new(number, context);
            for order in inbox {
                match order {
                    Order::Run(job) => {
                        if outbox.send(worker.run(&job)).is_err() {
                            break;
                        }
                    }
                    Order::Abandon => worker.abandon(),
                }
            }
        };
        let thread = std::thread::Builder::new().name(format!("store-{number}")).spawn(work)?;
        Ok(Self { orders, results, thread })
    }
}

/// What a round came to.
enum Round {
    /// Everything committed is readable.
    Idle,
    Done {
        /// The journal holds more than this plan took.
        more: bool,
    },
}

pub(super) struct Planner {
    options: Options,
    context: Context,
    shared: Arc<Shared>,
    state: State,
    hands: Vec<Hand>,
}

impl Planner {
    pub(super) fn new(options: Options, context: Context, shared: Arc<Shared>) -> io::Result<Self> {
        let state = State::load(&context.layout, context.source.incarnation())?;
        context.layout.remove_temporaries()?;
        lock(&shared.done).clone_from(&state.done);
        let mut hands = Vec::new();
        for number in 0..options.workers.max(1) {
            hands.push(Hand::start(number, context.clone())?);
        }
        Ok(Self { options, context, shared, state, hands })
    }

    /// Follows until told to end. The error is what kept a drain from its end.
    pub(super) fn run(mut self) -> io::Result<()> {
        let result = self.follow();
        for hand in self.hands {
            drop((hand.orders, hand.results));
            // A worker catches its panics; there is nothing to learn from the join.
            let _ = hand.thread.join();
        }
        result
    }

    fn follow(&mut self) -> io::Result<()> {
        let tick = self.options.max_delay / 4;
        let mut failures = 0u32;
        // What an earlier process published but could not say to the journal.
        for (&shard, &done) in &self.state.done {
            self.context.source.retire(shard, done);
        }
        loop {
            let mode = self.shared.mode();
            if mode == Mode::Stop {
                return Ok(());
            }
            match self.round() {
                Ok(Round::Idle) => {
                    failures = 0;
                    if mode == Mode::Drain {
                        return Ok(());
                    }
                    self.shared.wait(mode, tick);
                }
                Ok(Round::Done { more }) => {
                    failures = 0;
                    if !more && mode == Mode::Follow {
                        self.shared.wait(mode, tick);
                    }
                }
                Err(_) if self.shared.mode() == Mode::Stop => return Ok(()),
                Err(error) => {
                    failures += 1;
                    self.context.counters.plan_failures.add(1);
                    tracing::error!(%error, failures, "a plan of the store failed and is tried again");
                    if mode == Mode::Drain && failures >= DRAIN_ATTEMPTS_MAX {
                        return Err(error);
                    }
                    let backoff = BACKOFF_MIN * 2u32.pow(failures.min(10) - 1);
                    self.shared.wait(mode, backoff.min(BACKOFF_MAX));
                }
            }
        }
    }

    /// Does the pending plan, or makes one and does it.
    fn round(&mut self) -> io::Result<Round> {
        let mut more = false;
        if self.state.pending.is_none() {
            let (ranges, rest) = self.ranges()?;
            self.show_lag();
            if ranges.is_empty() {
                return Ok(Round::Idle);
            }
            more = rest;
            point("plan-before-write");
            let plan = Plan {
                id: self.state.plan_next,
                mapping: MAPPING_VERSION,
                ranges,
                names: Vec::new(),
            };
            let next = State { plan_next: plan.id + 1, pending: Some(plan), ..self.state.clone() };
            self.replace_state(next)?;
            point("plan-written");
        } else {
            self.undo()?;
        }
        let written = self.write()?;
        let result = self.publish(&written);
        if result.is_err() {
            for hand in &self.hands {
                // A worker that is gone is found out by the next job.
                let _ = hand.orders.send(Order::Abandon);
            }
        }
        result?;
        self.show_lag();
        Ok(Round::Done { more })
    }

    /// From what is done to the frontier of every shard, within the plan's size; and whether that
    /// leaves some.
    fn ranges(&self) -> io::Result<(Vec<PlanRange>, bool)> {
        let mut open: Vec<(u32, u64, u64)> = Vec::new();
        for range in self.context.source.shards() {
            let done = self.state.done.get(&range.shard).copied();
            let from = done.unwrap_or(range.oldest);
            if from < range.oldest {
                tracing::error!(
                    shard = range.shard,
                    from,
                    oldest = range.oldest,
                    "the journal lost entries before they were stored"
                );
            }
            let from = from.max(range.oldest);
            if from < range.frontier {
                open.push((range.shard, from, range.frontier));
            }
        }
        let share = self.options.plan_size_max / u64::try_from(open.len().max(1)).unwrap_or(1);
        let mut ranges = Vec::with_capacity(open.len());
        let mut more = false;
        for (shard, from, frontier) in open {
            let end = self.context.source.plan_end(shard, from, share).map_err(read_error)?;
            let to = end.min(frontier);
            more |= to < frontier;
            if from < to {
                ranges.push(PlanRange { shard, from, to });
            }
        }
        Ok((ranges, more))
    }

    /// Removes what an earlier attempt at the pending plan may have published.
    fn undo(&mut self) -> io::Result<()> {
        // The attempt may have failed after the file that calls the plan done was renamed and before
        // it was synced. As long as that file may count, its parts must not be removed.
        self.state.write(&self.context.layout)?;
        let layout = &self.context.layout;
        layout.remove_temporaries()?;
        let Some(plan) = &mut self.state.pending else {
            return Ok(());
        };
        let mut folders = BTreeSet::new();
        for name in &plan.names {
            let path = layout.store.join(name);
            match fs::remove_file(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            folders.extend(path.parent().map(ToOwned::to_owned));
        }
        // Before the next list replaces this one: a removal that a power cut undoes would bring back
        // a part that no list names any more.
        for folder in folders.iter().filter(|folder| folder.exists()) {
            sync_folder(folder)?;
        }
        plan.names.clear();
        Ok(())
    }

    /// Has the workers write the plan's parts.
    fn write(&mut self) -> io::Result<Vec<Written>> {
        let Some(plan) = &self.state.pending else {
            return Ok(Vec::new());
        };
        let shares = self.shares(&plan.ranges)?;
        let mut running = 0;
        let gone = || io::Error::other("a store worker is gone");
        for (ranges, hand) in shares.into_iter().zip(&self.hands) {
            hand.orders.send(Order::Run(Job { plan: plan.id, ranges })).map_err(|_| gone())?;
            running += 1;
        }
        // All answers are awaited, also after an error: a later job must not get an earlier answer.
        let answers: Vec<_> =
            self.hands[..running].iter().map(|hand| hand.results.recv()).collect();
        let mut written = Vec::new();
        let mut failure = None;
        for answer in answers {
            match answer.unwrap_or_else(|_| Err(gone())) {
                Ok(share) => written.push(share),
                Err(error) => failure = Some(error),
            }
        }
        let Some(error) = failure else {
            point("parts-written");
            return Ok(written);
        };
        for hand in &self.hands {
            let _ = hand.orders.send(Order::Abandon);
        }
        // Space for the next attempt, which overwrites or removes them anyway.
        let _ = self.context.layout.remove_temporaries();
        Err(error)
    }

    /// Splits ranges over the workers, about equal in bytes, at ends of commits.
    fn shares(&self, ranges: &[PlanRange]) -> io::Result<Vec<Vec<PlanRange>>> {
        let total: u64 = ranges.iter().map(|range| range.to - range.from).sum();
        let workers = u64::try_from(self.hands.len()).unwrap_or(1);
        let share_size = total.div_ceil(workers).max(SHARE_SIZE_MIN);
        let mut shares = vec![Vec::new()];
        let mut room = share_size;
        for range in ranges {
            let mut from = range.from;
            while from < range.to {
                let end = self.context.source.plan_end(range.shard, from, room);
                let to = end.map_err(read_error)?.min(range.to);
                if to <= from {
                    return Err(io::Error::other("the journal gave an empty stretch"));
                }
                if let Some(share) = shares.last_mut() {
                    share.push(PlanRange { shard: range.shard, from, to });
                }
                room = room.saturating_sub(to - from);
                from = to;
                if room == 0 && shares.len() < self.hands.len() {
                    shares.push(Vec::new());
                    room = share_size;
                } else if room == 0 {
                    // The last worker takes what rounding left.
                    room = u64::MAX / 2;
                }
            }
        }
        shares.retain(|share| !share.is_empty());
        Ok(shares)
    }

    /// Makes the written parts visible and the plan done.
    fn publish(&mut self, written: &[Written]) -> io::Result<()> {
        let Some(plan) = self.state.pending.clone() else {
            return Ok(());
        };
        let parts: Vec<&Part> = written.iter().flat_map(|share| &share.parts).collect();
        if !parts.is_empty() {
            let names = parts.iter().map(|part| part.name.clone()).collect();
            let next =
                State { pending: Some(Plan { names, ..plan.clone() }), ..self.state.clone() };
            self.replace_state(next)?;
            point("names-written");
            self.rename(&parts)?;
        }
        let mut next = State { pending: None, ..self.state.clone() };
        for range in &plan.ranges {
            next.done.insert(range.shard, range.to);
        }
        self.replace_state(next)?;
        point("done-written");
        lock(&self.shared.done).clone_from(&self.state.done);
        let counters = &self.context.counters;
        counters.plans.add(1);
        for part in parts {
            counters.parts.add(1);
            counters.part_bytes.add(part.size);
            counters.rows.add(part.rows);
        }
        for share in written {
            self.context.seen.mark(&share.series);
            counters.texts_replaced.add(share.texts_replaced);
            for (counter, &count) in counters.unparsed.iter().zip(&share.unparsed) {
                counter.add(count);
            }
        }
        for range in &plan.ranges {
            self.context.source.retire(range.shard, range.to);
        }
        Ok(())
    }

    fn rename(&self, parts: &[&Part]) -> io::Result<()> {
        let mut folders = BTreeSet::new();
        for part in parts {
            point("part-before-rename");
            let folder = publish(&self.context.layout, part)?;
            // The hour and its table: either may be new, or made by an attempt that synced nothing.
            folders.extend(folder.parent().map(ToOwned::to_owned));
            folders.insert(folder);
            point("part-renamed");
        }
        folders.insert(self.context.layout.store.clone());
        point("parts-renamed");
        for folder in &folders {
            sync_folder(folder)?;
        }
        point("folders-synced");
        Ok(())
    }

    /// The state in memory is never ahead of the one on disk. It is behind after a write that failed
    /// past its rename: see `undo`.
    fn replace_state(&mut self, next: State) -> io::Result<()> {
        next.write(&self.context.layout)?;
        self.state = next;
        Ok(())
    }

    fn show_lag(&self) {
        let lag = super::lag(&*self.context.source, &self.state.done);
        self.context.counters.lag_bytes.set(lag);
    }
}
