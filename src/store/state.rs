//! What the store has done and is about to do, as one small file.
//!
//! Place: written before every effect of a plan, see [`super::follow`]. JSON, so that an operator can
//! read it; with a checksum, as a position that a bad sector changed would double or lose rows.
//! Replaced as a whole: a reader finds the old state or the new one.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};

use serde::{Deserialize, Serialize};

use super::fault::point;
use super::layout::{Layout, is_part_name, sync_folder};

/// Of this file's form.
const VERSION: u32 = 1;
/// Of the mapping from entries to rows: raised when the same entry would become other rows.
pub(super) const MAPPING_VERSION: u32 = 2;

/// A stretch of one shard's journal, from the end of a commit to the end of a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PlanRange {
    pub(super) shard: u32,
    pub(super) from: u64,
    pub(super) to: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Plan {
    pub(super) id: u64,
    pub(super) mapping: u32,
    pub(super) ranges: Vec<PlanRange>,
    /// Final names of its parts relative to the store's folder; empty until all are written.
    pub(super) names: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) version: u32,
    pub(super) incarnation: String,
    /// Everything below, by shard, is published.
    pub(super) done: BTreeMap<u32, u64>,
    pub(super) plan_next: u64,
    pub(super) pending: Option<Plan>,
}

#[derive(Serialize, Deserialize)]
struct StateFile {
    state: State,
    crc32c: String,
}

impl State {
    pub(super) fn new(incarnation: u64) -> Self {
        Self {
            version: VERSION,
            incarnation: format!("{incarnation:016x}"),
            done: BTreeMap::new(),
            plan_next: 0,
            pending: None,
        }
    }

    /// Reads the state of this incarnation, or starts a new one.
    ///
    /// A damaged file is an error, never a fresh start: that would publish every row of the journal
    /// a second time. So is a missing one beside parts of the same incarnation.
    pub(super) fn load(layout: &Layout, incarnation: u64) -> io::Result<Self> {
        let fresh = |why: &str| {
            if layout.has_parts_of(incarnation)? {
                return Err(refusal(layout, why));
            }
            Ok(Self::new(incarnation))
        };
        let bytes = match fs::read(&layout.state) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return fresh("is missing, but parts of this journal are there");
            }
            Err(error) => return Err(error),
        };
        let state = Self::parse(&bytes).map_err(|why| refusal(layout, why))?;
        if state.incarnation != format!("{incarnation:016x}") {
            tracing::warn!(
                found = state.incarnation,
                journal = format!("{incarnation:016x}"),
                "the store's state belongs to another journal; starting at this one's oldest entry"
            );
            return fresh("belongs to another journal, but parts of this one are there");
        }
        Ok(state)
    }

    fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let file: StateFile = serde_json::from_slice(bytes).map_err(|_| "is not readable")?;
        let state = file.state;
        if file.crc32c != checksum(&state) {
            return Err("does not match its checksum");
        }
        if state.version != VERSION {
            return Err("is of a version that this program does not know");
        }
        let names = state.pending.iter().flat_map(|plan| &plan.names);
        if names.into_iter().any(|name| !is_part_name(name)) {
            return Err("names a file that is no part");
        }
        Ok(state)
    }

    /// Replaces the file; durable when this returns.
    pub(super) fn write(&self, layout: &Layout) -> io::Result<()> {
        let file = StateFile { crc32c: checksum(self), state: self.clone() };
        let mut bytes = serde_json::to_vec(&file)?;
        bytes.push(b'\n');
        let temporary = layout.store.join("state.new");
        let mut into = File::create(&temporary)?;
        into.write_all(&bytes)?;
        into.sync_all()?;
        point("state-before-rename");
        fs::rename(&temporary, &layout.state)?;
        point("state-renamed");
        sync_folder(&layout.store)
    }
}

/// Over the state in its one serialized form.
fn checksum(state: &State) -> String {
    let bytes = serde_json::to_vec(state).unwrap_or_default();
    format!("{:08x}", crc32c::crc32c(&bytes))
}

fn refusal(layout: &Layout, why: &str) -> io::Error {
    let path = layout.state.display();
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!(
            "{path} {why}; without it rows would be stored twice. Restore it, or move the folder \
             of the store away to build it anew from the journal"
        ),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn sample() -> State {
        let mut state = State::new(0xfeed);
        state.done = [(0, 4096), (3, u64::MAX)].into();
        state.plan_next = 8;
        state.pending = Some(Plan {
            id: 7,
            mapping: MAPPING_VERSION,
            ranges: vec![PlanRange { shard: 0, from: 4096, to: 8192 }],
            names: vec!["logs/arrived=2026-01-01T00/00-01.parquet".to_string()],
        });
        state
    }

    #[test]
    fn a_state_reads_back_as_written() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::create(folder.path()).unwrap();
        sample().write(&layout).unwrap();
        assert_eq!(State::load(&layout, 0xfeed).unwrap(), sample());
        assert!(!layout.store.join("state.new").exists());
    }

    /// Cut anywhere or with any bit turned, it is refused: a wrong position would lose or double rows.
    #[test]
    fn every_damage_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::create(folder.path()).unwrap();
        sample().write(&layout).unwrap();
        let good = fs::read(&layout.state).unwrap();
        for length in 0..good.len() - 1 {
            assert!(State::parse(&good[..length]).is_err(), "cut at {length}");
        }
        for index in 0..good.len() - 1 {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[index] ^= 1 << bit;
                if let Ok(state) = State::parse(&bad) {
                    // Case of the checksum's own digits, or of an escape: still the same state.
                    assert_eq!(state, sample(), "bit {bit} of byte {index}");
                }
            }
        }
        fs::write(&layout.state, &good[..good.len() / 2]).unwrap();
        let error = State::load(&layout, 0xfeed).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(
            fs::read(&layout.state).unwrap(),
            good[..good.len() / 2],
            "left for the operator"
        );
    }

    #[test]
    fn another_incarnation_starts_anew() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::create(folder.path()).unwrap();
        sample().write(&layout).unwrap();
        assert_eq!(State::load(&layout, 0xbeef).unwrap(), State::new(0xbeef));
    }

    /// The journal would be stored a second time.
    #[test]
    fn a_lost_state_beside_parts_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::create(folder.path()).unwrap();
        let hour = layout.store.join("logs/arrived=2026-01-01T00");
        fs::create_dir_all(&hour).unwrap();
        fs::write(hour.join("000000000000beef-000000000000-00-0000.parquet"), b"").unwrap();
        assert!(State::load(&layout, 0xbeef).is_err());
        assert_eq!(State::load(&layout, 0xfeed).unwrap(), State::new(0xfeed));
    }
}
