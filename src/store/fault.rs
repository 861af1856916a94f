//! Named places between every two steps of a plan, where a test build can end the process.
//!
//! Place: called by the store's steps; nothing in a usual build. With the feature `crash-points`,
//! `INRUSH_CRASH_AT=NAME` aborts at the point of that name, `NAME:3` at its third pass. An abort runs
//! no destructor and flushes nothing, as a kill would.

/// All points, in the order in which a plan meets them.
pub const POINTS: &[&str] = &[
    "plan-before-write",
    "plan-written",
    "quarantine-before-rename",
    "part-created",
    "part-encoded",
    "part-synced",
    "parts-written",
    "names-written",
    "part-before-rename",
    "part-renamed",
    "parts-renamed",
    "folders-synced",
    "done-written",
    "state-before-rename",
    "state-renamed",
];

#[cfg(not(feature = "crash-points"))]
#[inline]
pub fn point(name: &'static str) {
    debug_assert!(POINTS.contains(&name), "{name} is not in the list");
}

#[cfg(feature = "crash-points")]
pub fn point(name: &'static str) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static WANTED: LazyLock<Option<(String, u64)>> = LazyLock::new(|| {
        let wanted = std::env::var("INRUSH_CRASH_AT").ok()?;
        Some(match wanted.split_once(':') {
            Some((name, pass)) => (name.to_string(), pass.parse().unwrap_or(1)),
            None => (wanted, 1),
        })
    });
    static PASSES: AtomicU64 = AtomicU64::new(0);

    assert!(POINTS.contains(&name), "{name} is not in the list");
    if let Some((wanted, pass)) = WANTED.as_ref()
        && wanted == name
        && PASSES.fetch_add(1, Ordering::SeqCst) + 1 == *pass
    {
        std::process::abort();
    }
}
