//! Names and folders of the store.
//!
//! ```text
//! DATA/store/state                                      done positions and the pending plan
//! DATA/store/writing/NAME.tmp                           parts not yet published; matches no *.parquet
//! DATA/store/TABLE/arrived=YYYY-MM-DDTHH/NAME.parquet   by hour of arrival
//! NAME = INCARNATION-PLAN-WORKER-INDEX, lowercase hex, zero padded
//! DATA/quarantine/INCARNATION-SHARD-POSITION.entry
//! ```

use std::fs::{self, File};
use std::io::{self, ErrorKind::NotADirectory, ErrorKind::NotFound};
use std::path::{Path, PathBuf};

use crate::batch::Table;

#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) data: PathBuf,
    pub(super) store: PathBuf,
    pub(super) writing: PathBuf,
    pub(super) quarantine: PathBuf,
    pub(super) state: PathBuf,
}

impl Layout {
    /// Makes the folders that are always there, durably.
    pub(super) fn create(data: &Path) -> io::Result<Self> {
        let store = data.join("store");
        let layout = Self {
            data: data.to_path_buf(),
            writing: store.join("writing"),
            quarantine: data.join("quarantine"),
            state: store.join("state"),
            store,
        };
        for folder in [&layout.data, &layout.store, &layout.writing, &layout.quarantine] {
            fs::create_dir_all(folder)?;
        }
        sync_folder(&layout.data)?;
        sync_folder(&layout.store)?;
        Ok(layout)
    }

    /// Removes what an attempt left unpublished.
    pub(super) fn remove_temporaries(&self) -> io::Result<()> {
        for file in fs::read_dir(&self.writing)? {
            fs::remove_file(file?.path())?;
        }
        Ok(())
    }

    /// Whether any part carries this incarnation.
    pub(super) fn has_parts_of(&self, incarnation: u64) -> io::Result<bool> {
        let prefix = format!("{incarnation:016x}-");
        for table in Table::ALL {
            for hour in folders(&self.store.join(table.name()))? {
                for part in fs::read_dir(hour)? {
                    if part?.file_name().to_string_lossy().starts_with(&prefix) {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }
}

fn folders(parent: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(parent) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut folders = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            folders.push(entry.path());
        }
    }
    Ok(folders)
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The final name of a part, relative to the store's folder.
pub(super) fn part_name(table: Table, hour: u64, stem: &str) -> String {
    format!("{}/{}/{stem}.parquet", table.name(), hour_folder(hour))
}

pub(super) fn part_stem(incarnation: u64, plan: u64, worker: usize, index: usize) -> String {
    format!("{incarnation:016x}-{plan:012x}-{worker:02x}-{index:04x}")
}

/// Whether a name from the state file is one that [`part_name`] could have made: nothing else is
/// ever removed or renamed.
pub(super) fn is_part_name(name: &str) -> bool {
    let mut steps = name.split('/');
    let (Some(table), Some(hour), Some(file), None) =
        (steps.next(), steps.next(), steps.next(), steps.next())
    else {
        return false;
    };
    Table::ALL.iter().any(|known| known.name() == table)
        && hour.strip_prefix("arrived=").is_some_and(|hour| !hour.contains(".."))
        && file.strip_suffix(".parquet").is_some_and(|stem| {
            !stem.is_empty() && stem.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
        })
}

/// `arrived=YYYY-MM-DDTHH` of an hour since the epoch, UTC.
pub(super) fn hour_folder(hour: u64) -> String {
    let (year, month, day) = civil_date(hour / 24);
    format!("arrived={year:04}-{month:02}-{day:02}T{:02}", hour % 24)
}

/// The proleptic Gregorian date of a day since the epoch. Counts eras of 400 years from 1 March,
/// so that the leap day is the last of its year.
const fn civil_date(day: u64) -> (u64, u64, u64) {
    const DAYS_TO_EPOCH: u64 = 719_468;
    const DAYS_OF_ERA: u64 = 146_097;
    let shifted = day + DAYS_TO_EPOCH;
    let (era, day_of_era) = (shifted / DAYS_OF_ERA, shifted % DAYS_OF_ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day_of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_have_the_names_of_their_dates() {
        let cases = [
            (0, "arrived=1970-01-01T00"),
            (23, "arrived=1970-01-01T23"),
            (24 * 59 + 5, "arrived=1970-03-01T05"),
            (24 * 11_016, "arrived=2000-02-29T00"),
            (24 * 11_017, "arrived=2000-03-01T00"),
            (1_767_225_599 / 3600, "arrived=2025-12-31T23"),
            (1_767_225_600 / 3600, "arrived=2026-01-01T00"),
            (4_107_542_400 / 3600, "arrived=2100-03-01T00"),
        ];
        for (hour, name) in cases {
            assert_eq!(hour_folder(hour), name);
        }
    }

    #[test]
    fn only_names_of_parts_are_taken_from_a_state_file() {
        let stem = part_stem(0xabc, 7, 1, 2);
        assert_eq!(stem, "0000000000000abc-000000000007-01-0002");
        assert!(is_part_name(&part_name(Table::Logs, 1000, &stem)));
        for bad in [
            "logs/arrived=2026-01-01T00/../../x.parquet",
            "../logs/arrived=2026-01-01T00/a.parquet",
            "state",
            "logs/arrived=2026/a.parquet/b",
            "other/arrived=2026-01-01T00/a.parquet",
            "logs/arrived=2026-01-01T00/.parquet",
            "logs/hour/ab.parquet",
            "",
        ] {
            assert!(!is_part_name(bad), "{bad}");
        }
    }
}
