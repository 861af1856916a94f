//! A journal in memory: every entry is a commit of its own, 100 bytes long. Entries carry a script
//! instead of a payload; the decoder here runs it, so that a test says records in Rust.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use inrush::decode::{DecodeError, Fault, Scratch, Verdict};
use inrush::envelope::{Codings, Envelope, RequestFields, Route};
use inrush::journal::read::{EntrySource, Read, ReadError, ShardRange};
use inrush::store::{EntryDecoder, PartSink};

pub type Script = Arc<dyn Fn(&Envelope<'_>, &mut PartSink<'_>) -> Result<(), Fault> + Send + Sync>;

#[derive(Clone)]
pub enum Stored {
    Entry { route: Route, tenant: String, arrival: u64, fields: Vec<u8>, script: Script },
    Unknown(Vec<u8>),
    Damaged(Vec<u8>),
}

pub struct MemoryJournal {
    incarnation: u64,
    shards: Mutex<BTreeMap<u32, Vec<Stored>>>,
    pub retired: Mutex<BTreeMap<u32, u64>>,
}

pub const ENTRY_SIZE: u64 = 100;
pub const FIRST_POSITION: u64 = 4096;

impl MemoryJournal {
    pub fn new(incarnation: u64) -> Arc<Self> {
        Arc::new(Self { incarnation, shards: Mutex::default(), retired: Mutex::default() })
    }

    pub fn append(&self, shard: u32, stored: Stored) {
        self.shards.lock().unwrap().entry(shard).or_default().push(stored);
    }

    pub fn script(
        &self,
        shard: u32,
        (route, tenant, arrival): (Route, &str, u64),
        script: impl Fn(&Envelope<'_>, &mut PartSink<'_>) -> Result<(), Fault> + Send + Sync + 'static,
    ) {
        let script = Arc::new(script);
        let tenant = tenant.to_string();
        self.append(shard, Stored::Entry { route, tenant, arrival, fields: Vec::new(), script });
    }

    fn frontier(&self, shard: u32) -> u64 {
        let count = self.shards.lock().unwrap().get(&shard).map_or(0, Vec::len);
        FIRST_POSITION + count as u64 * ENTRY_SIZE
    }
}

impl EntrySource for MemoryJournal {
    fn incarnation(&self) -> u64 {
        self.incarnation
    }

    fn shards(&self) -> Vec<ShardRange> {
        let shards: Vec<u32> = self.shards.lock().unwrap().keys().copied().collect();
        let range = |shard| {
            let retired = self.retired.lock().unwrap();
            let oldest = retired.get(&shard).copied().unwrap_or(FIRST_POSITION);
            ShardRange { shard, oldest, frontier: self.frontier(shard) }
        };
        shards.into_iter().map(range).collect()
    }

    fn plan_end(&self, shard: u32, from: u64, size_max: u64) -> Result<u64, ReadError> {
        let wanted = (from - FIRST_POSITION).saturating_add(size_max) / ENTRY_SIZE + 1;
        let wanted = wanted.saturating_mul(ENTRY_SIZE).saturating_add(FIRST_POSITION);
        Ok(wanted.min(self.frontier(shard)))
    }

    fn read(
        &self,
        shard: u32,
        range: Range<u64>,
        visit: &mut dyn FnMut(Read<'_>),
    ) -> Result<(), ReadError> {
        if self.retired.lock().unwrap().get(&shard).is_some_and(|&retired| range.start < retired) {
            return Err(ReadError::OutOfRange { position: range.start });
        }
        let index = |position: u64| {
            assert_eq!((position - FIRST_POSITION) % ENTRY_SIZE, 0, "ends of commits only");
            ((position - FIRST_POSITION) / ENTRY_SIZE) as usize
        };
        for number in index(range.start)..index(range.end) {
            let stored = self.shards.lock().unwrap()[&shard][number].clone();
            let position = FIRST_POSITION + number as u64 * ENTRY_SIZE;
            match &stored {
                Stored::Entry { route, tenant, arrival, fields, .. } => {
                    let envelope = Envelope {
                        route: *route,
                        codings: Codings::IDENTITY,
                        tenant,
                        arrival_nanos: *arrival,
                        fields: RequestFields::new(fields),
                    };
                    let body = body_of(shard, number);
                    visit(Read::Entry { position, envelope, body: &body });
                }
                Stored::Unknown(bytes) => visit(Read::Unknown { position, bytes }),
                Stored::Damaged(bytes) => visit(Read::Damaged { position, bytes }),
            }
        }
        Ok(())
    }

    fn retire(&self, shard: u32, position: u64) {
        let before = self.retired.lock().unwrap().insert(shard, position).unwrap_or(0);
        assert!(before <= position, "the store never goes back");
    }
}

/// What stands in place of a payload: the script's place.
pub fn body_of(shard: u32, number: usize) -> Vec<u8> {
    [u64::from(shard).to_le_bytes(), (number as u64).to_le_bytes()].concat()
}

/// Runs the script that a body names.
pub struct Scripts(pub Arc<MemoryJournal>);

impl EntryDecoder for Scripts {
    fn decode(
        &self,
        envelope: &Envelope<'_>,
        payload: &[u8],
        _scratch: &mut Scratch,
        sink: &mut PartSink<'_>,
    ) -> Result<Verdict, DecodeError> {
        let (shard, number) = payload.split_at(8);
        let shard = u64::from_le_bytes(shard.try_into().unwrap()) as u32;
        let number = u64::from_le_bytes(number.try_into().unwrap()) as usize;
        let stored = self.0.shards.lock().unwrap()[&shard][number].clone();
        let Stored::Entry { script, .. } = stored else { unreachable!() };
        script(envelope, sink).map_err(|fault| DecodeError::at(fault, 0))?;
        Ok(Verdict::default())
    }
}
