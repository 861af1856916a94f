//! A thread that writes files for a ring that cannot: `poll`'s other half.
//!
//! Place: behind [`super::poll::Poll`], one a shard, named `file-N`. Guarantees: a buffer goes to the
//! thread with its job and comes back with the result; jobs are done in order; writes that follow one
//! another in a file and wait together are one `pwritev`, so a commit of many pieces is one flush of
//! the device.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::wake::EventWake;
use super::{Descriptor, Errno, Wake, borrow};
use crate::buffer::AlignedBuffer;

/// Jobs that are out at once; the rest waits with the ring, so that neither side ever blocks.
const JOB_COUNT_MAX: usize = 256;
/// Pieces of one `pwritev`; the kernel takes 1,024.
const GATHER_COUNT_MAX: usize = 64;
/// How long the end of a ring waits for a device.
const END_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) enum Job {
    Write { file: Descriptor, offset: u64, buffer: AlignedBuffer, from: usize },
    Sync { file: Descriptor },
}

/// What became of a job: its write's buffer, and the bytes written.
pub(super) struct Done {
    pub operation: u32,
    pub buffer: Option<AlignedBuffer>,
    pub result: Result<usize, Errno>,
}

pub(super) struct Files {
    /// `None` once the ring ends.
    jobs: Option<SyncSender<(u32, Job)>>,
    done: Receiver<Done>,
    waiting: VecDeque<(u32, Job)>,
    out: usize,
    thread: Option<JoinHandle<()>>,
}

impl Files {
    /// `wake` is told of every job that is done.
    pub(super) fn start(name: String, wake: Arc<EventWake>) -> Result<Self, Errno> {
        let (jobs, receiver) = sync_channel(JOB_COUNT_MAX);
        let (sender, done) = sync_channel(JOB_COUNT_MAX);
        let thread = std::thread::Builder::new()
            .name(name)
            .spawn(move || run(&receiver, &sender, &wake))
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::AGAIN))?;
        Ok(Self {
            jobs: Some(jobs),
            done,
            waiting: VecDeque::with_capacity(JOB_COUNT_MAX),
            out: 0,
            thread: Some(thread),
        })
    }

    pub(super) fn submit(&mut self, operation: u32, job: Job) {
        self.waiting.push_back((operation, job));
        self.feed();
    }

    fn feed(&mut self) {
        let Some(jobs) = &self.jobs else { return };
        while self.out < JOB_COUNT_MAX
            && let Some(job) = self.waiting.pop_front()
        {
            if let Err(back) = jobs.try_send(job) {
                // The thread is gone, which only its own panic can bring: nothing is written any more.
                let (std::sync::mpsc::TrySendError::Full(job)
                | std::sync::mpsc::TrySendError::Disconnected(job)) = back;
                self.waiting.push_front(job);
                return;
            }
            self.out += 1;
        }
    }

    pub(super) fn next_done(&mut self) -> Option<Done> {
        let done = self.done.try_recv().ok()?;
        self.out -= 1;
        self.feed();
        Some(done)
    }
}

impl Drop for Files {
    /// What is being written owns its buffer on the thread, so a device that hangs costs a thread, not
    /// memory that somebody else uses.
    fn drop(&mut self) {
        self.jobs = None;
        loop {
            match self.done.recv_timeout(END_TIMEOUT) {
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => return,
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(jobs: &Receiver<(u32, Job)>, done: &SyncSender<Done>, wake: &EventWake) {
    let mut group: Vec<(u32, Job)> = Vec::with_capacity(GATHER_COUNT_MAX);
    let mut next = None;
    loop {
        let Some(job) = next.take().or_else(|| jobs.recv().ok()) else { return };
        group.push(job);
        while group.len() < GATHER_COUNT_MAX
            && let Ok(job) = jobs.try_recv()
        {
            if group.last().is_some_and(|(_, last)| continues(last, &job.1)) {
                group.push(job);
            } else {
                next = Some(job);
                break;
            }
        }
        let result = perform(&group);
        settle(&mut group, result, |finished| {
            let _ = done.send(finished);
        });
        wake.wake();
    }
}

/// Whether `job` writes where `before` ends.
fn continues(before: &Job, job: &Job) -> bool {
    match (before, job) {
        (
            Job::Write { file, offset, buffer, from },
            Job::Write { file: next_file, offset: next_offset, .. },
        ) => file == next_file && offset + (buffer.len() - from) as u64 == *next_offset,
        _ => false,
    }
}

fn perform(group: &[(u32, Job)]) -> Result<usize, Errno> {
    match group.first() {
        Some((_, Job::Sync { file })) => rustix::fs::fdatasync(borrow(file)).map(|()| 0),
        Some((_, Job::Write { file, offset, .. })) => {
            let mut slices = [IoSlice::new(&[]); GATHER_COUNT_MAX];
            let mut count = 0;
            for (place, (_, job)) in slices.iter_mut().zip(group) {
                if let Job::Write { buffer, from, .. } = job {
                    *place = IoSlice::new(buffer.as_slice().get(*from..).unwrap_or_default());
                    count += 1;
                }
            }
            rustix::io::pwritev(borrow(file), slices.get(..count).unwrap_or_default(), *offset)
        }
        None => Ok(0),
    }
}

/// Parts what one call wrote among its jobs. A job that got nothing of a short write is told so as an
/// interruption, after which its owner writes again.
fn settle(group: &mut Vec<(u32, Job)>, result: Result<usize, Errno>, mut finish: impl FnMut(Done)) {
    let mut left = result;
    for (index, (operation, job)) in group.drain(..).enumerate() {
        match job {
            Job::Sync { .. } => finish(Done { operation, buffer: None, result: left }),
            Job::Write { buffer, from, .. } => {
                let wanted = buffer.len() - from;
                let result = match &mut left {
                    Err(error) => Err(*error),
                    Ok(0) if index > 0 => Err(Errno::INTR),
                    Ok(bytes) => {
                        let part = wanted.min(*bytes);
                        *bytes -= part;
                        Ok(part)
                    }
                };
                finish(Done { operation, buffer: Some(buffer), result });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(offset: u64, length: usize) -> Job {
        let mut buffer = AlignedBuffer::new(4096, 4096);
        buffer.set_len(length);
        Job::Write { file: Descriptor(3), offset, buffer, from: 0 }
    }

    #[test]
    fn only_writes_that_follow_one_another_in_one_file_are_gathered() {
        assert!(continues(&write(0, 512), &write(512, 512)));
        assert!(!continues(&write(0, 512), &write(1024, 512)));
        assert!(!continues(&write(0, 512), &Job::Sync { file: Descriptor(3) }));
        assert!(!continues(&Job::Sync { file: Descriptor(3) }, &write(0, 512)));
    }

    /// What is at stake: a short write that is taken for a whole one would be a hole in the journal.
    #[test]
    fn a_short_write_is_parted_among_its_pieces() {
        let parted = |result| {
            let mut group: Vec<_> =
                (0..3).map(|at| (at, write(u64::from(at) * 512, 512))).collect();
            let mut results = Vec::new();
            settle(&mut group, result, |done| results.push((done.operation, done.result)));
            results
        };
        assert_eq!(parted(Ok(1536)), [(0, Ok(512)), (1, Ok(512)), (2, Ok(512))]);
        assert_eq!(parted(Ok(700)), [(0, Ok(512)), (1, Ok(188)), (2, Err(Errno::INTR))]);
        assert_eq!(parted(Ok(0)), [(0, Ok(0)), (1, Err(Errno::INTR)), (2, Err(Errno::INTR))]);
        assert_eq!(parted(Err(Errno::IO)), [0, 1, 2].map(|at| (at, Err(Errno::IO))));
    }
}
