//! Every stage's bench in one binary: one link instead of ten.
//! `cargo bench --bench stages -- NAME` runs those whose name holds NAME.

#[path = "../perf/bodies_datadog_metrics.rs"]
mod bodies_datadog_metrics;
#[path = "../perf/bodies_datadog_traces.rs"]
mod bodies_datadog_traces;
#[path = "../perf/bodies_exposition.rs"]
mod bodies_exposition;
#[path = "../perf/bodies_firehose.rs"]
mod bodies_firehose;
#[path = "../perf/bodies_json.rs"]
mod bodies_json;
#[path = "../perf/bodies_otlp_json.rs"]
mod bodies_otlp_json;

mod auth;
mod codings;
mod columns;
mod decode_datadog_metrics;
mod decode_datadog_traces;
mod decode_exposition;
mod decode_firehose;
mod decode_json_logs;
mod decode_otlp;
mod decode_otlp_json;
mod decode_remote_write;
mod head;
mod http2;
mod journal;
#[path = "../tests/support/mod.rs"]
mod support;

fn main() {
    let mut criterion = criterion::Criterion::default().configure_from_args();
    head::bench(&mut criterion);
    http2::bench(&mut criterion);
    auth::bench(&mut criterion);
    codings::bench(&mut criterion);
    decode_remote_write::bench(&mut criterion);
    decode_otlp::bench(&mut criterion);
    decode_exposition::bench(&mut criterion);
    decode_otlp_json::bench(&mut criterion);
    decode_json_logs::bench(&mut criterion);
    decode_datadog_metrics::bench(&mut criterion);
    decode_datadog_traces::bench(&mut criterion);
    decode_firehose::bench(&mut criterion);
    journal::bench(&mut criterion);
    columns::bench(&mut criterion);
    criterion.final_summary();
}
