//! Our decoders against prost: the same records from the same bytes, the same verdict on damaged ones.
//!
//! What differs on purpose is listed by name in `Difference`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

#[path = "../perf/bodies_firehose.rs"]
mod bodies_firehose;
#[path = "differential/compare.rs"]
mod compare;
#[path = "differential/datadog_metrics.rs"]
mod datadog_metrics;
#[path = "differential/datadog_metrics_traps.rs"]
mod datadog_metrics_traps;
#[path = "differential/datadog_traces.rs"]
mod datadog_traces;
#[path = "differential/firehose.rs"]
mod firehose;
#[path = "differential/firehose_traps.rs"]
mod firehose_traps;
#[path = "differential/generated.rs"]
mod generated;
#[path = "differential/otlp_json.rs"]
mod otlp_json;
#[path = "differential/otlp_logs.rs"]
mod otlp_logs;
#[path = "differential/otlp_logs_traps.rs"]
mod otlp_logs_traps;
#[path = "differential/otlp_metrics.rs"]
mod otlp_metrics;
#[path = "differential/otlp_metrics_traps.rs"]
mod otlp_metrics_traps;
#[path = "differential/otlp_traces.rs"]
mod otlp_traces;
#[path = "differential/otlp_traces_traps.rs"]
mod otlp_traces_traps;
#[path = "differential/recorded.rs"]
mod recorded;
#[path = "differential/remote_write.rs"]
mod remote_write;
#[path = "differential/remote_write_2.rs"]
mod remote_write_2;
#[path = "differential/remote_write_2_traps.rs"]
mod remote_write_2_traps;
#[path = "differential/remote_write_traps.rs"]
mod remote_write_traps;
mod support;
