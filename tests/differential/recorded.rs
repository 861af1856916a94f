//! Bodies recorded from real senders, whole, cut and damaged, against prost.

use inrush::content::{Arena, decode as decode_content};
use inrush::decode::Scratch;
use inrush::envelope::{Coding, Codings};
use prost::Message as _;

use crate::compare::Pair;
use crate::support::messages::opentelemetry::proto::collector::logs::v1::ExportLogsServiceRequest;
use crate::support::messages::prometheus::{TimeSeries, WriteRequest};
use crate::{otlp_logs, remote_write};

/// Prometheus 2.42 of Debian, scraping itself: its first samples.
const SAMPLES: &[u8] = include_bytes!("../vectors/prometheus-2.42-samples.snappy");
/// The same Prometheus: metadata in a request of its own.
const METADATA: &[u8] = include_bytes!("../vectors/prometheus-2.42-metadata.snappy");
/// vmagent of Debian, scraping a target of four samples, in its zstd dialect.
const VMAGENT: &[u8] = include_bytes!("../vectors/vmagent-1.145.0-samples.zst");
/// OpenTelemetry Python: 43 records of the logging handler, gzip.
const LOGS: &[u8] = include_bytes!("../vectors/opentelemetry-python-logs.protobuf.gz");

fn payload(coding: Coding, body: &[u8]) -> Vec<u8> {
    let mut arena = Arena::default();
    decode_content(Codings::one(coding), body, &mut arena, 1 << 20).unwrap().to_vec()
}

fn agree(pair: &Pair, payload: &[u8], name: &str) {
    assert!(payload.len() >= 4096);
    assert!(pair.compare(payload, &mut Scratch::default(), name));
    pair.compare_damaged(payload, 7, 2000);
    pair.compare_cuts(payload, name);
}

#[test]
fn samples_of_prometheus() {
    let payload = payload(Coding::Snappy, SAMPLES);
    let message = WriteRequest::decode(&payload[..]).unwrap();
    let counts = (message.timeseries.len(), message.metadata.len());
    assert!(counts.0 > 100 && counts.1 == 0, "{counts:?}");
    agree(&remote_write::PAIR, &payload, "samples of Prometheus");
}

#[test]
fn metadata_of_prometheus() {
    let payload = payload(Coding::Snappy, METADATA);
    let message = WriteRequest::decode(&payload[..]).unwrap();
    assert!(message.metadata.len() > 100 && message.timeseries.is_empty());
    agree(&remote_write::PAIR, &payload, "metadata of Prometheus");
}

#[test]
fn samples_of_vmagent() {
    let payload = payload(Coding::Zstd, VMAGENT);
    let message = WriteRequest::decode(&payload[..]).unwrap();
    let label = |series: &TimeSeries, name: &str| {
        series.labels.iter().find(|label| label.name == name).map(|label| label.value.clone())
    };
    let value = |name: &str| {
        let found = |series: &&TimeSeries| label(series, "__name__").as_deref() == Some(name);
        let series = message.timeseries.iter().find(found).unwrap();
        assert_eq!(label(series, "replica").as_deref(), Some("a"));
        (series.samples[0].value.to_bits(), label(series, "path"))
    };
    let path = Some("k\u{e4}se \"x\"".to_owned());
    assert_eq!(value("interop_requests_total"), (3f64.to_bits(), path));
    assert_eq!(value("interop_temperature").0, (-1.5f64).to_bits());
    assert_eq!(value("interop_inf").0, f64::INFINITY.to_bits());
    assert_eq!(value("up").0, 1f64.to_bits());
    let pair = &remote_write::PAIR;
    assert!(pair.compare(&payload, &mut Scratch::default(), "samples of vmagent"));
    pair.compare_damaged(&payload, 7, 2000);
    pair.compare_cuts(&payload, "samples of vmagent");
}

#[test]
fn logs_of_opentelemetry_python() {
    let payload = payload(Coding::Gzip, LOGS);
    let message = ExportLogsServiceRequest::decode(&payload[..]).unwrap();
    let records: usize = message
        .resource_logs
        .iter()
        .flat_map(|resource| &resource.scope_logs)
        .map(|scope| scope.log_records.len())
        .sum();
    assert_eq!(records, 43);
    agree(&otlp_logs::PAIR, &payload, "logs of OpenTelemetry Python");
}
