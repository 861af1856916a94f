//! `inrush tail` against the real server: live, filtered, and gone without a trace.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

#[path = "support/server.rs"]
mod server;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::Value;
use server::{Server, add_key, command, read_reply};

/// A running `inrush tail`, its lines read by a thread.
struct Tail {
    child: Child,
    lines: Receiver<(Instant, String)>,
}

impl Tail {
    fn start(server: &Server, arguments: &[&str]) -> Self {
        let before = readers(server);
        let mut command: Command = command(&server.data);
        command.arg("tail").args(["--admin", &server.admin]).args(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines() {
                let Ok(line) = line else { return };
                if sender.send((Instant::now(), line)).is_err() {
                    return;
                }
            }
        });
        // It shows what is committed from its start on.
        wait_for_readers(server, before + 1);
        Self { child, lines }
    }

    fn next(&self) -> (Instant, String) {
        self.lines.recv_timeout(Duration::from_secs(10)).unwrap()
    }

    fn next_json(&self) -> Value {
        serde_json::from_str(&self.next().1).unwrap()
    }

    fn assert_quiet(&self) {
        let next = self.lines.recv_timeout(Duration::from_millis(400));
        assert_eq!(next.map(|(_, line)| line), Err(RecvTimeoutError::Timeout));
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Threads that serve a tail.
fn readers(server: &Server) -> usize {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap();
    tasks
        .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok())
        .filter(|name| name.trim() == "admin-tail")
        .count()
}

fn wait_for_readers(server: &Server, count: usize) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while readers(server) != count {
        assert!(Instant::now() < deadline, "{} readers, not {count}", readers(server));
        std::thread::sleep(Duration::from_millis(10));
    }
}

const JSON: (&str, &str) = ("Content-Type", "application/json");

#[test]
fn a_record_is_seen_within_a_second_of_its_reply() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"), &[]);
    // What came before is not shown.
    assert_eq!(server.post("/json/logs", &[JSON], b"[{\"message\":\"before\"}]").status, 200);
    let tail = Tail::start(&server, &["--json"]);
    for round in 0..5 {
        let body = format!("[{{\"message\":\"m{round}\",\"level\":\"warn\",\"n\":{round}}}]");
        assert_eq!(server.post("/json/logs", &[JSON], body.as_bytes()).status, 200);
        let replied = Instant::now();
        let (seen, line) = tail.next();
        let row: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(row["Signal"], "logs");
        assert_eq!(row["Tenant"], "acme");
        assert_eq!(row["Protocol"], "json");
        assert_eq!(row["Body"], format!("m{round}"));
        assert_eq!(row["LogAttributes"]["n"], round);
        let late = seen.saturating_duration_since(replied);
        assert!(late < Duration::from_secs(1), "{late:?}");
    }
    tail.assert_quiet();
    tail.kill();
    assert!(server.stop().success());
}

#[test]
fn signal_and_tenant_choose_what_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    add_key(&data, "test", server::KEY, "acme");
    add_key(&data, "other", "other-key-0123456789", "bank-co");
    let server = Server::start(&data, &[]);
    let metrics = Tail::start(&server, &["metrics", "--json"]);
    let spans = Tail::start(&server, &["spans"]);
    let bank = Tail::start(&server, &["--tenant", "bank-co", "--json"]);
    let post = |key: &str, path: &str, body: &[u8]| {
        let mut stream = server.connect();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\napikey: {key}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        assert!(read_reply(&mut stream).unwrap().status < 300, "{path}");
    };
    let span = br#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},
        "scopeSpans":[{"spans":[{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7","name":"GET /",
        "kind":2,"startTimeUnixNano":"1700000000000000000","endTimeUnixNano":"1700000000250000000"}]}]}]}"#;
    post(server::KEY, "/v1/traces", span);
    post(server::KEY, "/api/v1/import/prometheus", b"up{job=\"a\"} 1 1700000000000\n");
    post("other-key-0123456789", "/json/logs", b"[{\"message\":\"theirs\"}]");
    let (_, line) = spans.next();
    assert_eq!(
        line,
        "22:13:20      acme  shop  Server GET /  250.0 ms  trace 4bf92f3577b34da6a3ce929d0e0e4736 \
         span 00f067aa0ba902b7"
    );
    let row = metrics.next_json();
    assert_eq!((&row["MetricName"], &row["Value"]), (&"up".into(), &1.into()));
    assert_eq!(row["Labels"]["job"], "a");
    assert_eq!(bank.next_json()["Body"], "theirs");
    for tail in [metrics, spans, bank] {
        tail.assert_quiet();
        tail.kill();
    }
    assert!(server.stop().success());
}

/// A reader that has its place: the head of its reply has come.
fn open(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(&server.admin).unwrap();
    stream.write_all(b"GET /tail HTTP/1.1\r\nHost: admin\r\n\r\n").unwrap();
    let mut start = [0; 12];
    stream.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
    stream
}

/// A reader that does not read must neither stop the server nor keep it from its end; readers that are
/// gone leave their place to others.
#[test]
fn readers_come_go_and_stall() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"), &[]);
    let _stalled = open(&server);
    for _ in 0..3 {
        // With the stalled one these are all that may read at once.
        let readers: Vec<_> = (0..3).map(|_| open(&server)).collect();
        assert_eq!(server.get_admin("/tail").status, 503);
        drop(readers);
        wait_for_readers(&server, 1);
    }
    let body =
        format!("[{}]", vec![format!("{{\"message\":\"{}\"}}", "x".repeat(1000)); 2000].join(","));
    for _ in 0..20 {
        assert_eq!(server.post("/json/logs", &[JSON], body.as_bytes()).status, 200);
    }
    let refused = server.get_admin("/tail?signal=everything");
    assert_eq!(refused.status, 400, "{}", refused.text());
    let begun = Instant::now();
    assert!(server.stop().success());
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn what_is_wrong_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(&folder.path().join("data"));
    let output = command.args(["tail", "--admin", "127.0.0.1:1"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("no server answers at http://127.0.0.1:1/tail"), "{said}");
    assert!(said.contains("--admin"), "{said}");
}

/// Each line has its resource: a body of half a megabyte is gigabytes of lines, which nobody would read.
#[test]
fn a_large_resource_is_cut_in_every_line() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"), &[]);
    let tail = Tail::start(&server, &["--json"]);
    let text = "x".repeat(512 * 1024);
    let body = serde_json::json!({"resourceLogs": [{
        "resource": {"attributes": [{"key": "k", "value": {"stringValue": text}}]},
        "scopeLogs": [{"logRecords": vec![serde_json::json!({"body": {"stringValue": "a"}}); 3000]}],
    }]});
    assert_eq!(server.post("/v1/logs", &[JSON], body.to_string().as_bytes()).status, 200);
    for _ in 0..3000 {
        let row = tail.next_json();
        let shown = row["ResourceAttributes"]["k"].as_str().unwrap();
        assert!(shown.ends_with("…[cut, 524288 bytes]") && shown.len() < 5000);
    }
    tail.assert_quiet();
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let peak: u64 = peak.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(peak < 300 * 1024, "{peak} KiB");
    tail.kill();
    assert!(server.stop().success());
}
