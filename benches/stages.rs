//! Benches of all stages in one binary; `cargo bench -- NAME` picks some.

#![allow(clippy::unwrap_used, reason = "a bench may panic")]

#[path = "../perf/bodies_json.rs"]
mod bodies_json;

mod codings;
mod decode_json_logs;

fn main() {
    let mut criterion = criterion::Criterion::default().configure_from_args();
    codings::bench(&mut criterion);
    decode_json_logs::bench(&mut criterion);
    criterion.final_summary();
}
