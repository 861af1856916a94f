//! Every stage's bench in one binary: one link instead of ten.
//! `cargo bench --bench stages -- NAME` runs those whose name holds NAME.

#[path = "../perf/bodies_json.rs"]
mod bodies_json;

mod codings;
mod decode_json_logs;
mod decode_otlp;
mod decode_remote_write;
mod journal;

fn main() {
    let mut criterion = criterion::Criterion::default().configure_from_args();
    codings::bench(&mut criterion);
    decode_remote_write::bench(&mut criterion);
    decode_otlp::bench(&mut criterion);
    decode_json_logs::bench(&mut criterion);
    journal::bench(&mut criterion);
    criterion.final_summary();
}
