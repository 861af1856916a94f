//! The process ended between any two steps (feature `crash-points`), and a next one continuing.

use std::path::Path;
use std::process::Command;

use super::{expected_times, list, log_times, numbered_logs, options, store_all};
use crate::journal::MemoryJournal;
use inrush::store::fault::POINTS;

const ENTRIES: u64 = 30;

/// Workers, part size and plan size of a run: a plan may be redone with others.
const SIZES: [(usize, usize, usize); 3] = [(1, 1 << 20, 1 << 20), (2, 1, 900), (1, 4096, 1)];

/// Not a test by itself: the process that is ended, and the one that continues.
#[test]
fn child() {
    let Ok(folder) = std::env::var("INRUSH_TEST_FOLDER") else { return };
    let journal = MemoryJournal::new(77);
    numbered_logs(&journal, 3, ENTRIES);
    let mut options = options(Path::new(&folder));
    let number = |name: &str| std::env::var(name).unwrap().parse::<usize>().unwrap();
    options.workers = number("INRUSH_TEST_WORKERS");
    options.part_size_max = number("INRUSH_TEST_PART_SIZE");
    options.plan_size_max = number("INRUSH_TEST_PLAN_SIZE") as u64;
    store_all(options, &journal);
}

fn run(folder: &Path, sizes: (usize, usize, usize), crash_at: Option<String>) -> bool {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "crash::child"])
        .env("INRUSH_TEST_FOLDER", folder)
        .env("INRUSH_TEST_WORKERS", sizes.0.to_string())
        .env("INRUSH_TEST_PART_SIZE", sizes.1.to_string())
        .env("INRUSH_TEST_PLAN_SIZE", sizes.2.to_string())
        .env_remove("INRUSH_CRASH_AT");
    if let Some(point) = crash_at {
        command.env("INRUSH_CRASH_AT", point);
    }
    command.output().unwrap().status.success()
}

/// Ended at every point, at its first and later passes, and once more while the plan is redone with
/// other sizes; then every row is there once.
#[test]
fn every_row_once_wherever_the_process_ends() {
    let mut crashes = 0;
    for (index, point) in POINTS.iter().enumerate() {
        for pass in 1..=4 {
            let folder = tempfile::tempdir().unwrap();
            let again = POINTS[(index + pass * 4) % POINTS.len()];
            let sizes = |run: usize| SIZES[(index + pass + run) % SIZES.len()];
            let first = format!("{point}:{pass}");
            let what = format!("{first}, then {again}, {:?} first", sizes(0));
            crashes += usize::from(!run(folder.path(), sizes(0), Some(first)));
            crashes += usize::from(!run(folder.path(), sizes(1), Some(again.to_string())));
            assert!(run(folder.path(), sizes(2), None), "{what}");
            assert_eq!(log_times(folder.path()), expected_times(ENTRIES), "{what}");
            let kept = list(&folder.path().join("quarantine"));
            let kept = kept.iter().filter(|path| path.extension().unwrap() == "entry").count();
            assert_eq!(kept as u64, ENTRIES / 5, "{what}");
            assert!(list(&folder.path().join("store/writing")).is_empty(), "{what}");
        }
    }
    assert!(crashes > POINTS.len() * 4, "only {crashes} runs were ended");
}
