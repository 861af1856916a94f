//! Datadog's clients and Firehose over a socket: what they post stands in Parquet, value by value, and
//! they are told what they need to be told.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

#[path = "store/read_back.rs"]
#[allow(dead_code, reason = "used in part")]
mod read_back;
#[path = "support/server.rs"]
mod server;

use std::io::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use inrush::batch::Table;
use read_back::{double, rows};
use serde::Serialize;
use serde_json::{Value, json};
use server::{KEY, Reply, Server, read_reply, request};

const START: i64 = 1_700_000_000_000_000_000;
const RATES: &str = "{\"rate_by_service\":{\"service:,env:\":1}}";
const MSGPACK: (&str, &str) = ("Content-Type", "application/msgpack");
const JSON: (&str, &str) = ("Content-Type", "application/json");
const PROTOBUF: (&str, &str) = ("Content-Type", "application/x-protobuf");

fn folder() -> tempfile::TempDir {
    // Beside the build: the system's temporary folder may be memory without direct IO.
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn send(server: &Server, method: &str, path: &str, fields: &[(&str, &str)], body: &[u8]) -> Reply {
    let mut stream = server.connect();
    stream.write_all(&request(method, path, fields, body)).unwrap();
    read_reply(&mut stream).unwrap()
}

fn told(reply: &Reply) -> (u16, String) {
    (reply.status, reply.text())
}

fn packed(value: &impl Serialize) -> Vec<u8> {
    rmp_serde::to_vec_named(value).unwrap()
}

fn span(name: &str, id: u64, parent: u64) -> Value {
    json!({
        "service": "shop", "name": name, "resource": "GET /cart", "type": "web", "trace_id": 7,
        "span_id": id, "parent_id": parent, "start": START, "duration": 250, "error": 0,
        "meta": {"_dd.p.tid": "6553f10000000000", "env": "prod", "http.method": "GET"},
        "metrics": {"_sampling_priority_v1": 1.5},
    })
}

/// The one row that `pick` is true of.
fn one(rows: &[Value], pick: impl Fn(&Value) -> bool) -> &Value {
    let mut found = rows.iter().filter(|row| pick(row));
    let row = found.next().unwrap();
    assert!(found.next().is_none(), "{row}");
    row
}

#[test]
fn traces_of_every_version_and_method_reach_parquet() {
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);
    let lang = [MSGPACK, ("Datadog-Meta-Lang", "go"), ("Datadog-Meta-Tracer-Version", "2.3.0")];
    let mut names = Vec::new();
    let mut id = 1;
    for method in ["PUT", "POST"] {
        for version in ["v0.3", "v0.4", "v0.7", "json", "v0.5"] {
            let name = format!("{version}.{method}");
            let (path, fields, body) = match version {
                "json" => ("/v0.4/traces".to_owned(), &[JSON][..], {
                    json!([[span(&name, id, 0), span("child", id + 1, id)]])
                        .to_string()
                        .into_bytes()
                }),
                "v0.5" => ("/v0.5/traces".to_owned(), &lang[..], {
                    let texts =
                        ["", "shop", &name, "GET /cart", "web", "_dd.p.tid", "6553f10000000000"];
                    let map = std::collections::BTreeMap::from([(5u8, 6u8)]);
                    let none = std::collections::BTreeMap::<u8, f64>::new();
                    let first = (1u8, 2u8, 3u8, 7u64, id, 0u64, START, 250, 0, map, &none, 4u8);
                    let meta = std::collections::BTreeMap::<u8, u8>::new();
                    let second = (1u8, 0u8, 3u8, 7u64, id + 1, id, START, 250, 1, meta, &none, 4u8);
                    packed(&(texts, [(first, second)]))
                }),
                "v0.7" => ("/v0.7/traces".to_owned(), &[MSGPACK][..], {
                    packed(&json!({
                        "language_name": "go", "tracer_version": "2.3.0", "env": "prod",
                        "chunks": [{"priority": 1, "spans": [span(&name, id, 0), span("child", id + 1, id)]}],
                    }))
                }),
                _ => (format!("/{version}/traces"), &lang[..], {
                    packed(&json!([[span(&name, id, 0), span("child", id + 1, id)]]))
                }),
            };
            let reply = send(&server, method, &path, fields, &body);
            let expected = if version == "v0.3" { "OK\n" } else { RATES };
            assert_eq!(told(&reply), (200, expected.to_owned()), "{name}");
            assert_eq!(reply.field("datadog-agent-state").unwrap().len(), 64);
            names.push((name, id));
            id += 2;
        }
    }
    server.wait_until_stored();
    let rows = rows(&data, Table::Spans);
    assert_eq!(rows.len(), 2 * names.len());
    for (name, id) in names {
        let row = one(&rows, |row| row["SpanName"] == name.as_str());
        let child = one(&rows, |row| row["ParentSpanId"] == format!("{id:016x}").as_str());
        for row in [row, child] {
            assert_eq!(row["TraceId"], "6553f100000000000000000000000007", "{name}");
            assert_eq!((&row["Timestamp"], &row["Duration"]), (&json!(START), &json!(250)));
            assert_eq!((&row["ServiceName"], &row["SpanKind"]), (&json!("shop"), &json!("Server")));
            assert_eq!((&row["Tenant"], &row["Protocol"]), (&json!("acme"), &json!("datadog")));
            let is_json = name.starts_with("json");
            let language = &row["ResourceAttributes"]["telemetry.sdk.language"];
            assert_eq!(language == "go", !is_json, "{row}");
            assert_eq!(row["SpanAttributes"]["dd.span.Resource"], "GET /cart");
        }
        assert_eq!(
            (&row["SpanId"], &row["ParentSpanId"]),
            (&json!(format!("{id:016x}")), &json!(""))
        );
        assert_eq!(child["SpanId"], format!("{:016x}", id + 1));
        if name.starts_with("v0.5") {
            assert_eq!(
                (&child["StatusCode"], &child["SpanName"]),
                (&json!("Error"), &json!("unnamed_operation"))
            );
        } else {
            assert_eq!(row["SpanAttributes"]["http.request.method"], "GET");
            assert_eq!(row["ResourceAttributes"]["deployment.environment.name"], "prod");
        }
    }
    assert!(server.stop().success());
}

/// Refused for good, an Agent drops a payload; refused for now, it sends it for ever.
#[test]
fn an_agents_traces_reach_parquet() {
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);
    // AgentPayload { hostName, tracerPayloads { languageName, chunks { priority, spans { … } } } }
    let field = |number: u8, bytes: &[u8]| {
        [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
    };
    let span = [&field(1, b"shop")[..], &field(2, b"agent.span"), &[0x20, 7, 0x28, 8]].concat();
    let chunk = [&[0x08, 1][..], &field(3, &span)].concat();
    let payload = [field(2, b"go"), field(6, &chunk)].concat();
    let body = [field(1, b"agent-1"), field(5, &payload)].concat();
    let mut coded = Vec::with_capacity(zstd_safe::compress_bound(body.len()));
    zstd_safe::compress(&mut coded, &body, 3).unwrap();
    let zstd = [PROTOBUF, ("Content-Encoding", "zstd"), ("X-Datadog-Reported-Languages", "go")];
    let reply = send(&server, "POST", "/api/v0.2/traces", &zstd, &coded);
    assert_eq!(told(&reply), (200, "{}".to_owned()));
    coded.truncate(10);
    let reply = send(&server, "POST", "/datadog/api/v0.2/traces", &zstd, &coded);
    assert_eq!(told(&reply).0, 400);
    assert_eq!(
        send(&server, "POST", "/datadog/api/v0.2/traces", &[PROTOBUF], b"\x2a\x09").status,
        400
    );
    assert_eq!(send(&server, "POST", "/datadog/api/v0.2/traces", &[PROTOBUF], b"").status, 200);
    server.wait_until_stored();
    let rows = rows(&data, Table::Spans);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["SpanName"], "agent.span");
    assert_eq!(rows[0]["ResourceAttributes"]["host.name"], "agent-1");
    assert_eq!(rows[0]["ResourceAttributes"]["telemetry.sdk.language"], "go");
    assert!(server.stop().success());
}

#[test]
fn series_of_both_versions_reach_parquet() {
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);
    let v1 = json!({"series": [{"metric": "v1.load", "type": "rate", "interval": 10, "host": "web-1",
        "points": [[1_700_000_000, 2.5], [null, 1]], "tags": ["env:prod", "disk:sda"]}]});
    let v2 = json!({"series": [{"metric": "v2.load", "type": 3, "unit": "byte",
        "points": [{"timestamp": 1_700_000_000, "value": 0.5}], "resources": [{"type": "host", "name": "web-2"}]}]});
    // MetricSeries { resources, metric, points { timestamp, value } }, as the Agent orders it.
    let mut protobuf = b"\x0a\x28\x0a\x0d\x0a\x04host\x12\x05web-3\x12\x06pb.val\x22\x0f\x10\x80\xe2\xcf\xaa\x06\x09".to_vec();
    protobuf.extend_from_slice(&3.5f64.to_le_bytes());
    let told_v2 = "{\"errors\":[]}";
    for (path, fields, body, expected) in [
        ("/datadog/api/v1/series", [JSON], v1.to_string().into_bytes(), "{\"status\":\"ok\"}"),
        ("/datadog/api/v2/series", [JSON], v2.to_string().into_bytes(), told_v2),
        ("/api/v2/series/", [PROTOBUF], protobuf, told_v2),
    ] {
        let reply = server.post(path, &fields, &body);
        assert_eq!(told(&reply), (202, expected.to_owned()), "{path}");
    }
    server.wait_until_stored();
    let (series, samples) = (rows(&data, Table::MetricSeries), rows(&data, Table::MetricSamples));
    assert_eq!((series.len(), samples.len()), (3, 4));
    for (name, host, kind, temporality, value, start) in [
        ("v1.load", "web-1", "sum", "delta", 25.0, 1_699_999_990_000_000_000i64),
        ("v2.load", "web-2", "gauge", "unspecified", 0.5, 0),
        ("pb.val", "web-3", "gauge", "unspecified", 3.5, 0),
    ] {
        let row = one(&series, |row| row["MetricName"] == name);
        assert_eq!((&row["MetricType"], &row["Temporality"]), (&json!(kind), &json!(temporality)));
        assert_eq!(row["ResourceAttributes"]["host.name"], host);
        let sample = one(&samples, |sample| {
            sample["SeriesId"] == row["SeriesId"] && sample["Timestamp"] == START
        });
        assert_eq!(sample["Value"], double(value), "{name}");
        assert_eq!(sample["StartTimestamp"].as_i64().unwrap_or(0), start, "{name}");
    }
    let v1 = one(&series, |row| row["MetricName"] == "v1.load");
    assert_eq!(v1["Labels"], json!({"disk": "sda"}));
    assert!(server.stop().success());
}

fn deliver(server: &Server, method: &str, fields: &[(&str, &str)], body: &[u8]) -> (u16, Value) {
    let key = [("apikey", ""), ("X-Amz-Firehose-Access-Key", KEY), JSON];
    let fields = [&key[..], fields].concat();
    let reply = send(server, method, "/firehose/logs", &fields, body);
    assert_eq!(reply.field("content-type").as_deref(), Some("application/json"));
    let told: Value = serde_json::from_slice(&reply.body).unwrap();
    assert!(told["timestamp"].is_u64(), "{told}");
    (reply.status, told)
}

#[test]
fn a_firehose_delivery_reaches_parquet_and_its_id_comes_back() {
    const ID: (&str, &str) = ("X-Amz-Firehose-Request-Id", "id-of-the-head");
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);
    let delivery = |id: &str, records: &[&str]| {
        let records: Vec<_> =
            records.iter().map(|record| json!({"data": STANDARD.encode(record)})).collect();
        let time = START / 1_000_000;
        json!({"requestId": id, "timestamp": time, "records": records}).to_string().into_bytes()
    };
    let record = "{\"message\":\"hello\",\"level\":\"warn\"}";
    let (status, told) =
        deliver(&server, "POST", &[ID], &delivery("id-of-the-body", &[record, "plain"]));
    assert_eq!((status, &told["requestId"]), (200, &json!("id-of-the-head")));
    assert!(told.get("errorMessage").is_none());
    // Without the header, the body's own.
    let (status, told) = deliver(&server, "POST", &[], &delivery("id-of-the-body", &["bare"]));
    assert_eq!((status, &told["requestId"]), (200, &json!("id-of-the-body")));
    let empty = ("X-Amz-Firehose-Request-Id", "");
    let (_, told) = deliver(&server, "POST", &[empty], b"{\"records\":[],\"requestId\":\"later\"}");
    assert_eq!(told["requestId"], "later");
    let (status, told) =
        deliver(&server, "POST", &[], b"{\"requestId\":\"refused\",\"records\":7}");
    assert_eq!((status, &told["requestId"]), (400, &json!("refused")));
    let (_, told) = deliver(&server, "POST", &[], b"nothing");
    assert_eq!(told["requestId"], "", "that of the body before it is not its own");
    // Validated beside the shard.
    let large = "x".repeat(5 << 20);
    let (status, told) = deliver(&server, "POST", &[], &delivery("large", &[&large]));
    assert_eq!((status, &told["requestId"]), (200, &json!("large")));
    for method in ["GET", "PUT", "DELETE"] {
        let (status, told) = deliver(&server, method, &[ID], b"");
        assert_eq!((status, &told["requestId"]), (405, &json!("id-of-the-head")), "{method}");
    }
    let metric = "{\"metric_stream_name\":\"s\",\"metric_name\":\"CPU\",\"value\":{\"max\":1.5}}";
    let (status, _) = deliver(&server, "POST", &[ID], &delivery("metrics", &[metric, metric]));
    assert_eq!(status, 200);
    assert_eq!(server.metric("inrush_firehose_metrics_total"), 2.0);

    server.wait_until_stored();
    let rows = rows(&data, Table::Logs);
    assert_eq!(rows.len(), 6);
    let hello = one(&rows, |row| row["Body"] == "hello");
    assert_eq!((&hello["Timestamp"], &hello["SeverityNumber"]), (&json!(START), &json!(13)));
    assert_eq!((&hello["Tenant"], &hello["Protocol"]), (&json!("acme"), &json!("firehose")));
    let id = |body: &str| {
        one(&rows, |row| row["Body"] == body)["LogAttributes"]["aws.firehose.request_id"].clone()
    };
    assert_eq!(
        ["hello", "plain", "bare"].map(id),
        ["id-of-the-head", "id-of-the-head", "id-of-the-body"]
    );
    assert_eq!(rows.iter().filter(|row| row["EventName"] == "aws.cloudwatch.metric").count(), 2);
    assert!(server.stop().success());
}

/// Fluent Bit lets its users add a second Content-Type to its own: the last one that means something.
#[test]
fn json_logs_with_two_media_types_are_read_by_the_one_that_is_known() {
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);
    let broken = b"{\"message\":\"whole\"}\n{\"message\":\"br";
    let lines = ("Content-Type", "application/x-ndjson");
    let nonsense = ("Content-Type", "x/unknown");
    for (fields, status) in [
        ([lines, nonsense], 200),
        ([nonsense, lines], 200),
        ([JSON, lines], 200),
        // An array or a stream has no lines that could be told apart.
        ([lines, JSON], 400),
    ] {
        assert_eq!(server.post("/json/logs", &fields, broken).status, status, "{fields:?}");
    }
    server.wait_until_stored();
    assert_eq!(rows(&data, Table::Logs).len(), 6);
    assert!(server.stop().success());
}

/// Every start of a tracer asks for it; the log is for what somebody should do something about.
#[test]
fn what_tracers_ask_in_vain_is_counted_and_not_logged() {
    let folder = folder();
    let data: &Path = &folder.path().join("data");
    server::add_key(data, "test", KEY, "acme");
    let log = folder.path().join("log");
    let mut command = server::command(data);
    command
        .args(["serve", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--shards", "1"])
        .args(["--log-level", "info", "--data-dir"])
        .arg(data)
        .stderr(std::fs::File::create(&log).unwrap());
    let server = Server::spawn(command, data);
    let reply = server.post("/v0.7/config", &[JSON], b"{}");
    assert_eq!(told(&reply), (404, "{\"errors\":[\"there is no such endpoint\"]}".to_owned()));
    assert_eq!(server.metric("inrush_unknown_paths_total{path=\"/v0.7/config\"}"), 1.0);
    let refused = |log: &Path| std::fs::read_to_string(log).unwrap().matches("not_found").count();
    // The line of another path shows that lines come at all, and in order.
    assert_eq!(server.post("/v0.6/stats", &[JSON], b"{}").status, 404);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while refused(&log) == 0 {
        assert!(std::time::Instant::now() < deadline, "{}", std::fs::read_to_string(&log).unwrap());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(server.stop().success());
    assert_eq!(refused(&log), 1, "{}", std::fs::read_to_string(&log).unwrap());
}
