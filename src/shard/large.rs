//! Large-body threads: they validate what would hold a shard's turn for longer than about 6 ms.
//!
//! Place: beside the shards. A job is a whole entry; it comes back with its verdict, and the shard
//! journals and replies. Each thread owns one big arena.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use super::Message;
use super::mailbox::Sender;
use crate::buffer::AlignedBuffer;
use crate::connection::LargeJob;
use crate::content::Arena;
use crate::decode::{self, Verdict, firehose};
use crate::ingest::validate_large;
use crate::limits::LARGE_BODY;
use crate::outcome::Cause;

/// Jobs that may wait for a thread; more are refused as overload.
const WAITING_COUNT_MAX: usize = 8;

struct Job {
    large: LargeJob,
    shard: Sender<Message>,
}

/// What comes back: the entry, and what was found.
pub struct LargeDone {
    pub job: LargeJob,
    pub result: Result<Verdict, Cause>,
    /// What a body of Firehose told besides.
    pub told: firehose::Told,
}

#[derive(Clone)]
pub struct LargeBodies {
    jobs: SyncSender<Job>,
}

impl LargeBodies {
    /// Threads end when the last shard has dropped its handle.
    pub fn start(threads: usize) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(WAITING_COUNT_MAX);
        let receiver = Arc::new(Mutex::new(receiver));
        for index in 0..threads {
            let receiver = Arc::clone(&receiver);
            std::thread::Builder::new()
                .name(format!("large-{index}"))
                .spawn(move || run(&receiver))?;
        }
        Ok(Self { jobs: sender })
    }

    /// Gives the entry back if all threads are busy and enough jobs wait.
    pub fn try_submit(
        &self,
        large: LargeJob,
        shard: &Sender<Message>,
    ) -> Result<(), AlignedBuffer> {
        self.jobs.try_send(Job { large, shard: shard.clone() }).map_err(|error| match error {
            std::sync::mpsc::TrySendError::Full(job)
            | std::sync::mpsc::TrySendError::Disconnected(job) => job.large.entry,
        })
    }
}

fn run(jobs: &Mutex<Receiver<Job>>) {
    let mut arena = Arena::default();
    let mut scratch = decode::Scratch::default();
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { large, shard }) = job else { return };
        let result = validate_large(&large.entry, large.envelope_length, &mut arena, &mut scratch);
        arena.shrink_to(LARGE_BODY);
        let told = scratch.firehose.told.clone();
        let mut message = Message::Large(LargeDone { job: large, result, told });
        // The shard empties its mailbox every turn; only its end makes this fail for good.
        for _ in 0..1000 {
            match shard.try_send(message) {
                Ok(()) => break,
                Err(back) => message = back,
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
}
