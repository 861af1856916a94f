//! The real binary over HTTP/2 without TLS: what gRPC calls bring stands in Parquet once, whatever becomes of
//! the server meanwhile.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

#[path = "conformance/grpc/peer.rs"]
#[allow(dead_code, reason = "used in part")]
mod peer;
#[path = "store/read_back.rs"]
#[allow(dead_code, reason = "used in part")]
mod read_back;
#[path = "support/server.rs"]
pub mod server;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use h2::client::{self, SendRequest};
use inrush::batch::Table;
use peer::{LOGS, METRICS, TRACES, call, complete, gauge, log, message, span};
use server::{KEY, Server};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

#[test]
fn the_three_signals_reach_parquet_across_a_restart() {
    let folder = folder();
    let data = folder.path().join("data");
    let slow = [("INRUSH_STORE_MAX_DELAY", "1h")];
    let server = Server::start(&data, &slow);
    for (path, content) in [(LOGS, log("a record")), (TRACES, span(16)), (METRICS, gauge())] {
        call(&server, "POST", path, &complete(&[]), &message(0, &content)).ok();
    }
    // Nothing but the journal knows of them.
    server.kill();
    let server = Server::start(&data, &[]);
    server.wait_until_stored();
    assert!(server.stop().success());
    let server = Server::start(&data, &[]);
    assert!(server.stop().success());

    let logs = read_back::rows(&data, Table::Logs);
    assert_eq!(logs.len(), 1);
    assert_eq!((&logs[0]["Body"], &logs[0]["Tenant"]), (&"a record".into(), &"acme".into()));
    assert_eq!(logs[0]["Protocol"], "otlp");
    let spans = read_back::rows(&data, Table::Spans);
    assert_eq!(spans.len(), 1);
    assert_eq!(
        (&spans[0]["SpanName"], &spans[0]["TraceId"]),
        (&"span".into(), &"07".repeat(16).into())
    );
    let samples = read_back::rows(&data, Table::MetricSamples);
    assert_eq!(samples.len(), 1);
    assert_eq!(samples[0]["Value"], read_back::double(7.0));
    assert_eq!(read_back::rows(&data, Table::MetricSeries).len(), 1);
}

/// No gRPC: bodies of any route, without a length, of sizes around each limit.
#[test]
fn other_routes_are_served_over_http_2() {
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);
    let line = b"{\"message\":\"0123456789012345678901234567890123456789\"}\n";
    let mut expected = 0;
    for size in [1000, 15_000, 31_000, 66_000, 300_000, 5_000_000, 20_000_000] {
        let body = line.repeat(size / line.len());
        for stated in [String::new(), body.len().to_string()] {
            let fields = [("content-type", "application/x-ndjson"), ("content-length", &stated)];
            let fields: Vec<_> = [("apikey", KEY)]
                .into_iter()
                .chain(fields)
                .filter(|(_, value)| !value.is_empty())
                .collect();
            let reply = call(&server, "POST", "/json/logs", &fields, &body);
            assert_eq!((reply.status, reply.body.as_slice()), (200, &b"{}"[..]), "{size}");
            assert_eq!(reply.field("content-length"), Some("2"));
            expected += size / line.len();
        }
    }
    let reply = call(&server, "GET", "/health", &[], b"");
    assert_eq!(reply.status, 200);
    assert!(server.stop().success());
    assert_eq!(read_back::rows(&data, Table::Logs).len(), expected);
}

/// What became of a call, by its tag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Acknowledged,
    /// Answered, or turned away by GOAWAY: no row.
    Refused,
    /// No answer: a row or none.
    Unknown,
}

type Fates = Arc<Mutex<BTreeMap<u64, Fate>>>;

/// One call with its tag as text; its content now in one frame, now in three.
async fn send_tag(
    mut sender: SendRequest<bytes::Bytes>,
    http: &str,
    tag: u64,
) -> Result<Fate, h2::Error> {
    let mut request = http::Request::builder().method("POST").uri(format!("http://{http}{LOGS}"));
    for (name, value) in complete(&[]) {
        request = request.header(name, value);
    }
    let (reply, mut sending) = sender.send_request(request.body(()).unwrap(), false)?;
    let padded = format!("{tag}/{}", "x".repeat(usize::try_from(tag % 13 * 3000).unwrap()));
    let mut content = bytes::Bytes::from(message(0, &log(&padded)));
    if tag.is_multiple_of(2) {
        // Where the reply is there already, the stream takes no more: the reply counts.
        let _ = sending.send_data(content.split_to(3), false);
        let _ = sending.send_data(content.split_to(content.len() / 2), false);
        tokio::task::yield_now().await;
    }
    let _ = sending.send_data(content, true);
    let (head, mut body) = reply.await?.into_parts();
    assert_eq!(head.status, 200);
    if let Some(status) = head.headers.get("grpc-status") {
        // Draining, or slower than what comes in.
        assert!(
            [b"14", b"8 "].iter().any(|code| code.starts_with(status.as_bytes())),
            "{status:?}"
        );
        return Ok(Fate::Refused);
    }
    while let Some(piece) = body.data().await {
        body.flow_control().release_capacity(piece?.len())?;
    }
    let trailers = body.trailers().await?.unwrap();
    assert_eq!(trailers.get("grpc-status").unwrap(), "0");
    Ok(Fate::Acknowledged)
}

/// A connection with so many calls at a time, until it ends or every one has made `most`.
fn send(http: &str, tags: &Arc<AtomicU64>, fates: &Fates, streams: usize, most: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let Ok(stream) = tokio::net::TcpStream::connect(http).await else { return };
        let Ok((sender, connection)) = client::handshake(stream).await else { return };
        let connection = tokio::spawn(connection);
        let calls: Vec<_> = (0..streams)
            .map(|_| {
                let (http, tags, fates) = (http.to_owned(), Arc::clone(tags), Arc::clone(fates));
                let sender = sender.clone();
                tokio::spawn(async move {
                    for _ in 0..most {
                        // Nothing is sent any more where this fails.
                        let Ok(ready) = sender.clone().ready().await else { return };
                        let tag = tags.fetch_add(1, Ordering::Relaxed);
                        fates.lock().unwrap().insert(tag, Fate::Unknown);
                        let mut result = send_tag(ready, &http, tag).await;
                        // Begun before our settings were read. What is refused so was not looked at, and
                        // is sent again, as clients of gRPC do by themselves (RFC 9113, section 8.7).
                        while result.as_ref().is_err_and(|error| {
                            error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM)
                        }) {
                            let Ok(ready) = sender.clone().ready().await else { break };
                            result = send_tag(ready, &http, tag).await;
                        }
                        match result {
                            Ok(fate) => fates.lock().unwrap().insert(tag, fate),
                            // Of a stream behind the last one that GOAWAY names.
                            Err(error) if error.is_go_away() && error.is_remote() => {
                                fates.lock().unwrap().insert(tag, Fate::Refused);
                                return;
                            }
                            Err(_) => return,
                        };
                    }
                })
            })
            .collect();
        drop(sender);
        for call in calls {
            call.await.unwrap();
        }
        let _ = connection.await;
    });
}

fn start_senders(
    server: &Server,
    tags: &Arc<AtomicU64>,
    fates: &Fates,
    most: usize,
) -> Vec<std::thread::JoinHandle<()>> {
    (0..3)
        .map(|_| {
            let (http, tags, fates) = (server.http.clone(), Arc::clone(tags), Arc::clone(fates));
            std::thread::spawn(move || send(&http, &tags, &fates, 16, most))
        })
        .collect()
}

/// Rows against fates; answers how many were acknowledged and how many have no answer.
fn compare(data: &Path, fates: &Fates) -> (usize, usize) {
    let mut rows: BTreeMap<u64, u64> = BTreeMap::new();
    for row in read_back::rows(data, Table::Logs) {
        let (tag, _) = row["Body"].as_str().unwrap().split_once('/').unwrap();
        *rows.entry(tag.parse().unwrap()).or_default() += 1;
    }
    let fates = fates.lock().unwrap();
    for (&tag, &fate) in fates.iter() {
        let count = rows.remove(&tag).unwrap_or_default();
        match fate {
            Fate::Acknowledged => assert_eq!(count, 1, "{tag} was acknowledged"),
            Fate::Refused => assert_eq!(count, 0, "{tag} was refused"),
            Fate::Unknown => assert!(count <= 1, "{tag} stands there {count} times"),
        }
    }
    assert!(rows.is_empty(), "rows that nobody sent: {rows:?}");
    let count = |wanted| fates.values().filter(|&&fate| fate == wanted).count();
    (count(Fate::Acknowledged), count(Fate::Unknown))
}

#[test]
fn many_streams_at_once() {
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);
    let (tags, fates) = (Arc::new(AtomicU64::new(0)), Fates::default());
    // More than MAX_CONCURRENT_STREAMS: the client holds the rest back.
    send(&server.http, &tags, &fates, 400, 3);
    assert!(server.stop().success());
    assert_eq!(compare(&data, &fates), (1200, 0));
}

/// Every call gets an answer or is named as one that was not looked at; the exit is clean.
#[test]
fn a_drain_under_load_answers_what_is_under_way() {
    let folder = folder();
    let data = folder.path().join("data");
    let mut server = Server::start(&data, &[]);
    let (tags, fates) = (Arc::new(AtomicU64::new(0)), Fates::default());
    let senders = start_senders(&server, &tags, &fates, usize::MAX);
    std::thread::sleep(Duration::from_millis(400));
    server.signal(15);
    for sender in senders {
        sender.join().unwrap();
    }
    assert!(server.wait().success());
    let (acknowledged, unknown) = compare(&data, &fates);
    println!("{acknowledged} acknowledged");
    assert!(acknowledged > 100, "there was load: {acknowledged}");
    assert_eq!(unknown, 0, "calls without an answer");
}

#[test]
fn kills_under_load_lose_nothing_and_double_nothing() {
    let folder = folder();
    let data = folder.path().join("data");
    let (tags, fates) = (Arc::new(AtomicU64::new(0)), Fates::default());
    for round in 0..5 {
        let server = Server::start(&data, &[("INRUSH_STORE_MAX_DELAY", "100ms")]);
        let senders = start_senders(&server, &tags, &fates, usize::MAX);
        std::thread::sleep(Duration::from_millis(150 + 67 * round));
        server.kill();
        for sender in senders {
            sender.join().unwrap();
        }
    }
    let server = Server::start(&data, &[]);
    assert!(server.stop().success());
    let (acknowledged, unknown) = compare(&data, &fates);
    println!("{acknowledged} acknowledged, {unknown} without an answer");
    assert!(acknowledged > 100, "there was load: {acknowledged}");
    assert!(unknown > 0, "calls were under way");
    assert!(read_back::list(&data.join("quarantine")).is_empty());
}
