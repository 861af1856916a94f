//! What was sent over a socket, read back from Parquet line by line.

use std::collections::HashMap;
use std::path::Path;

use inrush::batch::Table;
use serde_json::{Value as Json, json};

use crate::bodies::Message;
use crate::read_back::{double, rows};
use crate::server::Server;
use crate::{PATH, TYPE_2, folder, snappy, written};

const STALE: u64 = 0x7ff0_0000_0000_0002;
/// 2026-01-01T00:00 UTC in milliseconds.
const TIME: i64 = 1_767_225_600_000;
const MILLI: i64 = 1_000_000;
/// The last millisecond that nanoseconds reach.
const MOST: i64 = i64::MAX / MILLI;

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn bits(bits: u64) -> Json {
    json!(format!("{bits:016x}"))
}

fn doubles(values: &[f64]) -> Json {
    values.iter().map(|&value| double(value)).collect()
}

/// Sends bodies, each answered with 204, and ends the server once all is stored.
fn store(data: &Path, content_type: &str, bodies: &[Vec<u8>]) {
    let server = Server::start(data, &[]);
    for body in bodies {
        let headers = [("Content-Type", content_type), ("Content-Encoding", "snappy")];
        let reply = server.post(PATH, &headers, &snappy(body));
        assert_eq!(reply.status, 204, "{}", reply.text());
    }
    server.wait_until_stored();
    assert_eq!(server.stop().code(), Some(0));
}

/// Rows of a table by the name of their series, each with the given columns, in the order of time.
fn by_name(data: &Path, table: Table, columns: &[&str]) -> HashMap<String, Vec<Vec<Json>>> {
    let names: HashMap<Json, String> = rows(data, Table::MetricSeries)
        .into_iter()
        .map(|row| (row["SeriesId"].clone(), row["MetricName"].as_str().unwrap().to_owned()))
        .collect();
    let mut found: HashMap<String, Vec<(i64, Vec<Json>)>> = HashMap::new();
    for row in rows(data, table) {
        assert_eq!(row["Tenant"], "acme");
        let cells = columns.iter().map(|&column| row[column].clone()).collect();
        let name = names[&row["SeriesId"]].clone();
        found.entry(name).or_default().push((row["Timestamp"].as_i64().unwrap(), cells));
    }
    let sorted = |(name, mut rows): (String, Vec<(i64, Vec<Json>)>)| {
        rows.sort_by_key(|row| (row.0, format!("{:?}", row.1)));
        (name, rows.into_iter().map(|row| row.1).collect())
    };
    found.into_iter().map(sorted).collect()
}

const SAMPLE: [&str; 3] = ["Timestamp", "Value", "StartTimestamp"];
const HISTOGRAM: [&str; 14] = [
    "Timestamp",
    "StartTimestamp",
    "Kind",
    "Count",
    "Sum",
    "Scale",
    "ZeroThreshold",
    "ZeroCount",
    "PositiveOffset",
    "PositiveCounts",
    "NegativeOffset",
    "NegativeCounts",
    "CustomBounds",
    "ResetHint",
];
const EXEMPLAR: [&str; 5] = ["Timestamp", "Value", "TraceId", "SpanId", "Attributes"];

fn metadata(data: &Path) -> Vec<[Json; 4]> {
    let columns = ["MetricFamily", "MetricType", "Unit", "Help"];
    let mut rows: Vec<_> = rows(data, Table::MetricMetadata)
        .into_iter()
        .map(|row| columns.map(|column| row[column].clone()))
        .collect();
    rows.sort_by_key(|row| row[0].as_str().unwrap().to_owned());
    rows
}

// ── 2.0 ───────────────────────────────────────────────────────────────────────────────────────

const SYMBOLS: [&str; 12] = [
    "",
    "__name__",
    "up",
    "latency",
    "custom",
    "dead",
    "trace_id",
    "0102030405060708090a0b0c0d0e0f10",
    "user",
    "ä",
    "How long.",
    "seconds",
];

fn request_2() -> Vec<u8> {
    let time = TIME.cast_unsigned();
    let mut request = Message::default();
    for symbol in SYMBOLS {
        request.text(4, symbol);
    }
    request.message(5, |series| {
        series.bytes(1, &[1, 2]);
        for (index, value) in [1.5_f64.to_bits(), STALE, 0xfff8_0000_0000_0009].iter().enumerate() {
            series.message(2, |sample| {
                sample.fixed64(1, *value).varint(2, time + index as u64);
                if index == 0 {
                    sample.varint(3, time - 60_000);
                }
            });
        }
        // As up to the third release candidate.
        series.varint(6, time - 90_000);
        series.message(4, |exemplar| {
            exemplar.bytes(1, &[6, 7, 8, 9]).fixed64(2, 0.25_f64.to_bits()).varint(3, time + 7);
        });
    });
    request.message(5, |series| {
        series.bytes(1, &[1, 3]).message(3, |histogram| {
            // 2 and 3 above zero with a gap of one between, 1 below, 4 at zero.
            histogram.varint(1, 10).fixed64(3, 7.5_f64.to_bits()).varint(4, zigzag(3));
            histogram.fixed64(5, 1e-128_f64.to_bits()).varint(6, 4);
            histogram.message(8, |span| {
                span.varint(1, zigzag(-2)).varint(2, 1);
            });
            histogram.bytes(9, &[2]);
            for offset in [3, 1] {
                histogram.message(11, |span| {
                    span.varint(1, zigzag(offset)).varint(2, 1);
                });
            }
            histogram.bytes(12, &[4, 2]).varint(14, 2).varint(15, time).varint(17, time - 1000);
        });
        series.message(5, |metadata| {
            metadata.varint(1, 3).varint(3, 10).varint(4, 11);
        });
    });
    request.message(5, |series| {
        series.bytes(1, &[1, 4]).message(3, |histogram| {
            histogram.fixed64(2, 2.5_f64.to_bits()).fixed64(3, 1.0_f64.to_bits());
            histogram.varint(4, zigzag(-53)).varint(15, time).fixed64(16, 0.5_f64.to_bits());
            histogram.message(11, |span| {
                span.varint(2, 2);
            });
            histogram.fixed64(13, 1.0_f64.to_bits()).fixed64(13, 1.5_f64.to_bits());
        });
    });
    request.message(5, |series| {
        series.bytes(1, &[1, 5]).message(3, |histogram| {
            histogram.fixed64(3, STALE).varint(15, time);
        });
    });
    request.0
}

#[test]
fn a_body_of_2_0_reads_back_line_by_line() {
    let folder = folder();
    let data = folder.path().join("data");
    store(&data, TYPE_2, &[request_2()]);
    let time = TIME * MILLI;

    let mut samples = by_name(&data, Table::MetricSamples, &SAMPLE);
    let created = json!(time - 90_000 * MILLI);
    assert_eq!(
        samples.remove("up").unwrap(),
        [
            [json!(time), double(1.5), json!(time - 60_000 * MILLI)],
            [json!(time + MILLI), bits(STALE), created.clone()],
            [json!(time + 2 * MILLI), bits(0xfff8_0000_0000_0009), created],
        ]
    );
    assert!(samples.is_empty(), "{samples:?}");

    let mut histograms = by_name(&data, Table::MetricHistograms, &HISTOGRAM);
    // Prometheus' bucket 3 is OpenTelemetry's 2; with custom bounds both count from 0.
    assert_eq!(
        histograms.remove("latency").unwrap(),
        [vec![
            json!(time),
            json!(time - 1000 * MILLI),
            json!("native"),
            double(10.0),
            double(7.5),
            json!(3),
            double(1e-128),
            double(4.0),
            json!(2),
            doubles(&[2.0, 0.0, 3.0]),
            json!(-3),
            doubles(&[1.0]),
            json!([]),
            json!(2),
        ]]
    );
    assert_eq!(
        histograms.remove("custom").unwrap(),
        [vec![
            json!(time),
            json!(0),
            json!("native"),
            double(2.5),
            double(1.0),
            json!(-53),
            double(0.0),
            double(0.0),
            json!(0),
            doubles(&[1.0, 1.5]),
            json!(0),
            json!([]),
            doubles(&[0.5]),
            json!(0),
        ]]
    );
    let dead = histograms.remove("dead").unwrap();
    assert_eq!((dead.len(), &dead[0][4]), (1, &bits(STALE)));
    assert!(histograms.is_empty(), "{histograms:?}");

    let exemplars = by_name(&data, Table::MetricExemplars, &EXEMPLAR);
    let id = json!("0102030405060708090a0b0c0d0e0f10");
    let expected = [json!(time + 7 * MILLI), double(0.25), id, json!(""), json!({"user": "ä"})];
    assert_eq!(exemplars["up"], [expected]);
    assert_eq!(exemplars.len(), 1);
    assert_eq!(metadata(&data), [["latency", "histogram", "seconds", "How long."].map(Json::from)]);
}

/// A sender that moves from 1.0 to 2.0 goes on with the same series.
#[test]
fn both_versions_of_a_series_are_one() {
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);
    for seed in 0..3 {
        let first = crate::bodies::remote_write_of(5, seed, 50);
        let second = crate::bodies::remote_write_2_of(5, seed + 100, 50);
        let headers = [("Content-Type", "application/x-protobuf")];
        assert_eq!(server.post(PATH, &headers, &snappy(&first)).status, 204);
        let reply = server.post(PATH, &[("Content-Type", TYPE_2)], &snappy(&second));
        assert_eq!((reply.status, written(&reply)), (204, Some([50, 0, 0])));
    }
    server.wait_until_stored();
    assert_eq!(server.stop().code(), Some(0));
    let series = rows(&data, Table::MetricSeries);
    assert_eq!(series.len(), 50);
    for row in series {
        assert_eq!(row["Labels"].as_object().unwrap().len(), 9, "{row}");
    }
    assert_eq!(rows(&data, Table::MetricSamples).len(), 300);
}

// ── 1.0 ───────────────────────────────────────────────────────────────────────────────────────

fn series(request: &mut Message, name: &str, fill: impl FnOnce(&mut Message)) {
    request.message(1, |series| {
        series.message(1, |label| {
            label.text(1, "__name__").text(2, name);
        });
        fill(series);
    });
}

fn sample(series: &mut Message, value: u64, milliseconds: i64) {
    series.message(2, |sample| {
        sample.fixed64(1, value).varint(2, milliseconds.cast_unsigned());
    });
}

#[test]
fn samples_of_1_0_read_back_bit_by_bit_in_any_order() {
    let one = 1.0_f64.to_bits();
    let mut request = Message::default();
    series(&mut request, "special", |series| {
        let values =
            [STALE, 0x7ff8_0000_0000_0001, (-0.0_f64).to_bits(), 1, f64::INFINITY.to_bits()];
        for (index, value) in (0..).zip(values) {
            sample(series, value, TIME + index);
        }
    });
    // Later, earlier, the same again, and at the same time with another value.
    for (value, time) in [(one, 5), (one, 3), (one, 5), (STALE, 5)] {
        series(&mut request, "disordered", |series| sample(series, value, TIME + time));
    }
    // There is no refusing of one record in 1.0: a time past 64 bits of nanoseconds stops there.
    series(&mut request, "far", |series| {
        for time in [-MOST, -1, 0, 4_102_444_800_000, MOST] {
            sample(series, one, time);
        }
    });
    let folder = folder();
    let data = folder.path().join("data");
    store(&data, "application/x-protobuf", &[request.0]);

    let samples = by_name(&data, Table::MetricSamples, &["Timestamp", "Value"]);
    let rows = |name: &str| samples[name].iter().map(|row| row[1].clone()).collect::<Vec<_>>();
    let special = [STALE, 0x7ff8_0000_0000_0001, 1 << 63, 1, f64::INFINITY.to_bits()];
    assert_eq!(rows("special"), special.map(bits));
    let disordered = [(3, one), (5, one), (5, one), (5, STALE)];
    let disordered = disordered.map(|(time, value)| [json!((TIME + time) * MILLI), bits(value)]);
    assert_eq!(samples["disordered"], disordered);
    let far: Vec<_> = samples["far"].iter().map(|row| row[0].as_i64().unwrap()).collect();
    let expected = [-MOST, -1, 0, 4_102_444_800_000, MOST].map(|time| time * MILLI);
    assert_eq!(far, expected);
}

#[test]
fn histograms_of_1_0_read_back_with_hints_and_markers() {
    let time = TIME.cast_unsigned();
    let mut request = Message::default();
    for (hint, name) in ["unknown", "reset", "no_reset", "gauge", "odd"].iter().enumerate() {
        series(&mut request, name, |series| {
            series.message(4, |histogram| {
                histogram.varint(1, 5).fixed64(3, 1.0_f64.to_bits()).varint(6, 5);
                histogram.varint(14, hint as u64).varint(15, time);
            });
        });
    }
    series(&mut request, "float_gauge", |series| {
        series.message(4, |histogram| {
            histogram.fixed64(2, 0.75_f64.to_bits()).fixed64(3, (-2.5_f64).to_bits());
            histogram.varint(4, zigzag(-4)).fixed64(7, 0.25_f64.to_bits());
            histogram.message(8, |span| {
                span.varint(1, zigzag(1)).varint(2, 1);
            });
            histogram.bytes(10, &0.5_f64.to_le_bytes()).varint(14, 3).varint(15, time);
        });
    });
    // The integer and the float form of one: the sum alone says so.
    series(&mut request, "dead", |series| {
        series.message(4, |histogram| {
            histogram.fixed64(3, STALE).varint(15, time);
        });
        series.message(4, |histogram| {
            histogram.fixed64(2, 0).fixed64(3, STALE).varint(15, time + 1);
        });
    });
    let folder = folder();
    let data = folder.path().join("data");
    store(&data, "application/x-protobuf", &[request.0]);

    let histograms = by_name(&data, Table::MetricHistograms, &HISTOGRAM);
    assert_eq!(histograms.len(), 7);
    let time = json!(TIME * MILLI);
    for (name, hint) in [("unknown", 0), ("reset", 1), ("no_reset", 2), ("gauge", 3), ("odd", 0)] {
        assert_eq!(
            histograms[name],
            [vec![
                time.clone(),
                json!(0),
                json!("native"),
                double(5.0),
                double(1.0),
                json!(0),
                double(0.0),
                double(5.0),
                json!(0),
                json!([]),
                json!(0),
                json!([]),
                json!([]),
                json!(hint),
            ]],
            "{name}"
        );
    }
    assert_eq!(
        histograms["float_gauge"],
        [vec![
            time,
            json!(0),
            json!("native"),
            double(0.75),
            double(-2.5),
            json!(-4),
            double(0.0),
            double(0.25),
            json!(0),
            json!([]),
            json!(0),
            doubles(&[0.5]),
            json!([]),
            json!(3),
        ]]
    );
    let sums: Vec<_> = histograms["dead"].iter().map(|row| row[4].clone()).collect();
    assert_eq!(sums, [bits(STALE), bits(STALE)]);
}

#[test]
fn metadata_and_exemplars_of_1_0_come_in_bodies_of_their_own() {
    let mut families = Message::default();
    families.message(3, |_| {});
    families.message(3, |metadata| {
        metadata.varint(1, 1).text(2, "requests_total").text(4, "Requests.").text(5, "requests");
    });
    families.message(3, |metadata| {
        // Help without a family says nothing of anything.
        metadata.text(4, "Nothing.");
    });
    families.message(3, |metadata| {
        metadata.varint(1, 99).text(2, "zone");
    });
    let mut exemplars = Message::default();
    series(&mut exemplars, "requests_total", |series| {
        series.message(3, |exemplar| {
            exemplar.message(1, |label| {
                label.text(1, "span_id").text(2, "0102030405060708");
            });
            exemplar.message(1, |label| {
                label.text(1, "trace_id").text(2, "not an id");
            });
            exemplar.fixed64(2, 2.0_f64.to_bits()).varint(3, TIME.cast_unsigned());
        });
    });
    let folder = folder();
    let data = folder.path().join("data");
    // An empty body and one of empty messages are good: nothing was sent, nothing is stored.
    let empty = vec![0x1a, 0, 0x1a, 0];
    store(&data, "application/x-protobuf", &[families.0, exemplars.0, Vec::new(), empty]);

    assert_eq!(
        metadata(&data),
        [
            ["requests_total", "counter", "requests", "Requests."].map(Json::from),
            ["zone", "unknown", "", ""].map(Json::from),
        ]
    );
    let found = by_name(&data, Table::MetricExemplars, &EXEMPLAR);
    let labels = json!({"trace_id": "not an id"});
    let expected = [json!(TIME * MILLI), double(2.0), json!(""), json!("0102030405060708"), labels];
    assert_eq!(found["requests_total"], [expected]);
    assert_eq!(rows(&data, Table::MetricSeries).len(), 1);
    assert!(rows(&data, Table::MetricSamples).is_empty());
}
