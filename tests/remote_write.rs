//! Remote write 1.0 and 2.0 over real sockets: what a sender sees.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

#[path = "../perf/bodies.rs"]
mod bodies;
#[allow(dead_code, reason = "a part of it is used here")]
#[path = "store/read_back.rs"]
mod read_back;
#[path = "support/server.rs"]
mod server;
#[path = "remote_write/stored.rs"]
mod stored;

use bodies::Message;
use inrush::batch::Table;
use read_back::rows;
use server::{Reply, Server, read_reply, request};
use std::io::Write as _;

const PATH: &str = "/api/v1/write";
const TYPE_2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

fn folder() -> tempfile::TempDir {
    // Beside the build: the system's temporary folder may be memory without direct IO.
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn snappy(bytes: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(bytes).unwrap()
}

fn written(reply: &Reply) -> Option<[u64; 3]> {
    let counts = ["Samples", "Histograms", "Exemplars"].map(|kind| {
        let field = reply.field(&format!("X-Prometheus-Remote-Write-{kind}-Written"))?;
        Some(field.parse().unwrap())
    });
    assert!(counts.iter().all(Option::is_some) || counts.iter().all(Option::is_none), "{reply:?}");
    counts[0].map(|_| counts.map(Option::unwrap))
}

/// A request of 2.0 with one series for each name, each with one sample.
fn request_2(names: &[&str], time: u64) -> Vec<u8> {
    let mut request = Message::default();
    request.text(4, "").text(4, "__name__");
    for name in names {
        request.text(4, name);
    }
    // The first two symbols are the empty one and the label's name.
    for (place, _) in (2_u8..).zip(names) {
        request.message(5, |series| {
            series.bytes(1, &[1, place]).message(2, |sample| {
                sample.fixed64(1, 1.5_f64.to_bits()).varint(2, time);
            });
        });
    }
    request.0
}

#[test]
fn version_2_is_answered_with_counts_and_version_1_without() {
    let folder = folder();
    let server = Server::start(&folder.path().join("data"), &[]);
    let post_2 = |body: &[u8]| {
        server.post(
            PATH,
            &[("Content-Type", TYPE_2), ("Content-Encoding", "snappy")],
            &snappy(body),
        )
    };

    let reply = post_2(&request_2(&["up", "down"], 1_767_225_600_000));
    assert_eq!((reply.status, written(&reply)), (204, Some([2, 0, 0])), "{reply:?}");

    // One of three is refused alone: an empty name is no name.
    let reply = post_2(&request_2(&["up", "", "down"], 1_767_225_600_001));
    assert_eq!((reply.status, written(&reply)), (400, Some([2, 0, 0])), "{reply:?}");
    let text = reply.text();
    assert!(text.starts_with("records rejected: 1; first at byte "), "{text}");
    assert!(text.ends_with("a series has no __name__ label\n"), "{text}");

    // Nothing of a body that cannot be read is written.
    let mut past_end = request_2(&["up"], 1_767_225_600_002);
    past_end.extend_from_slice(&[0x2a, 4, 0x0a, 2, 1, 9]);
    let reply = post_2(&past_end);
    assert_eq!((reply.status, written(&reply)), (400, Some([0, 0, 0])), "{reply:?}");
    assert!(reply.text().contains("timeseries[1].labels_refs[1]"), "{}", reply.text());
    let reply = server.post(PATH, &[("Content-Type", TYPE_2)], b"\xff\xff\xff");
    assert_eq!((reply.status, written(&reply)), (400, Some([0, 0, 0])), "{reply:?}");

    // Version 1 never counts, and the version header chooses nothing.
    let body = snappy(&bodies::remote_write(1, 3));
    for headers in [
        &[("Content-Type", "application/x-protobuf"), ("Content-Encoding", "snappy")][..],
        &[("Content-Type", ""), ("X-Prometheus-Remote-Write-Version", "2.0.0")],
    ] {
        let reply = server.post(PATH, headers, &body);
        assert_eq!((reply.status, written(&reply), reply.body.len()), (204, None, 0), "{reply:?}");
    }
    assert_eq!(written(&server.post(PATH, &[], b"\xff\xff")), None);

    server.wait_until_stored();
    assert_eq!(server.stop().code(), Some(0));
}

/// The bit of the head reaches its own reply, also where several wait in one pipeline.
#[test]
fn pipelined_versions_keep_their_own_form() {
    let folder = folder();
    let server = Server::start(&folder.path().join("data"), &[]);
    let first = request(
        "POST",
        PATH,
        &[("Content-Type", "application/x-protobuf")],
        &snappy(&bodies::remote_write(1, 2)),
    );
    let second = request(
        "POST",
        PATH,
        &[("Content-Type", "Application/X-Protobuf ; PROTO=\"io.prometheus.write.v2.Request\"")],
        &snappy(&bodies::remote_write_2(1, 2)),
    );
    let mut stream = server.connect();
    stream.write_all(&[first.clone(), second.clone(), first, second].concat()).unwrap();
    for expected in [None, Some([2, 0, 0]), None, Some([2, 0, 0])] {
        let reply = read_reply(&mut stream).unwrap();
        assert_eq!((reply.status, written(&reply)), (204, expected), "{reply:?}");
    }
}

/// vmagent's users write `?extra_label=…` to tell their agents apart: ignored, all agents were one.
#[test]
fn labels_of_the_query_are_added_to_every_series() {
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);
    let version_1 = |pairs: &[(&str, &str)]| {
        let mut request = Message::default();
        request.message(1, |series| {
            for (name, value) in pairs {
                series.message(1, |label| {
                    label.text(1, name).text(2, value);
                });
            }
            series.message(2, |sample| {
                sample.fixed64(1, 1.5_f64.to_bits()).varint(2, 1_767_225_600_000);
            });
        });
        snappy(&request.0)
    };
    let target = |query: &str| format!("{PATH}?{query}");
    let post = |query: &str, headers: &[(&str, &str)], body: &[u8]| {
        let reply = server.post(&target(query), headers, body);
        (reply.status, reply.text())
    };
    let up = [("__name__", "up"), ("dc", "own"), ("job", "x"), ("z", "1")];
    let unsorted = [("z", "1"), ("job", "x"), ("__name__", "down")];
    let query =
        "extra_label=dc=eu&timestamp=no&token=wrong&extra%5Flabel=agent%3Da+b&extra_label=job=";
    for body in [version_1(&up), version_1(&unsorted)] {
        assert_eq!(post(query, &[], &body), (204, String::new()));
    }
    let two = [("Content-Type", TYPE_2), ("Content-Encoding", "snappy")];
    let body = snappy(&request_2(&["two"], 1_767_225_600_000));
    assert_eq!(post("extra_label=a=1&extra_label=z=2", &two, &body), (204, String::new()));
    assert_eq!(post("extra_label=__name__=three", &[], &version_1(&up)), (204, String::new()));
    assert_eq!(post("extra_labels=a=1", &[], &version_1(&[("__name__", "four")])).0, 204);
    let (status, text) = post("extra_label=novalue", &[], &version_1(&up));
    assert_eq!(status, 400);
    assert!(text.contains("extra_label") && text.contains("query"), "{text}");
    server.wait_until_stored();
    assert_eq!(server.stop().code(), Some(0));
    let labels: std::collections::BTreeMap<_, _> = rows(&data, Table::MetricSeries)
        .into_iter()
        .map(|row| (row["MetricName"].as_str().unwrap().to_owned(), row["Labels"].clone()))
        .collect();
    assert_eq!(
        serde_json::to_value(labels).unwrap(),
        serde_json::json!({
            "up": {"agent": "a b", "dc": "eu", "z": "1"},
            "down": {"agent": "a b", "dc": "eu", "z": "1"},
            "two": {"a": "1", "z": "2"},
            "three": {"dc": "own", "job": "x", "z": "1"},
            "four": {},
        })
    );
}

#[test]
fn the_type_and_the_coding_are_negotiated() {
    let folder = folder();
    let server = Server::start(&folder.path().join("data"), &[]);
    let body = snappy(&bodies::remote_write(1, 1));
    for (content_type, coding) in [
        ("application/x-protobuf;proto=io.prometheus.write.v3.Request", "snappy"),
        ("application/json", "snappy"),
        (TYPE_2, "gzip"),
        ("application/x-protobuf", "deflate"),
    ] {
        let headers = [("Content-Type", content_type), ("Content-Encoding", coding)];
        let reply = server.post(PATH, &headers, &body);
        assert_eq!((reply.status, written(&reply)), (415, None), "{content_type} {coding}");
    }

    // vmagent: its question, zstd, and queues that name one coding and hold the other.
    let mut stream = server.connect();
    let path = format!("{PATH}?get_vm_proto_version=1");
    stream.write_all(&request("GET", &path, &[], b"")).unwrap();
    let reply = read_reply(&mut stream).unwrap();
    assert_eq!((reply.status, reply.text().as_str()), (200, "1"));
    let plain = bodies::remote_write(1, 5);
    let mut compressed = Vec::with_capacity(zstd_safe::compress_bound(plain.len()));
    zstd_safe::compress(&mut compressed, &plain, 1).unwrap();
    for (coding, body) in [("zstd", &compressed), ("snappy", &compressed), ("zstd", &body)] {
        let headers = [
            ("Content-Encoding", coding),
            ("Content-Type", "application/x-protobuf"),
            ("X-VictoriaMetrics-Remote-Write-Version", "1"),
        ];
        let reply = server.post(PATH, &headers, body);
        assert_eq!((reply.status, written(&reply)), (204, None), "{coding}");
    }
}
