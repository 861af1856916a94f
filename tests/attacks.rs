//! Work for nothing, against the real binary over real sockets: every attack is ended or stays without
//! effect, its memory is bounded, it is counted, and an honest neighbour on the same shard is served.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

#[path = "support/floods.rs"]
mod floods;
#[path = "conformance/grpc/peer.rs"]
#[allow(dead_code, reason = "used in part")]
mod peer;
#[path = "support/server.rs"]
mod server;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use floods::{FLOODS, frame, start_of_session};
use inrush::http::http2::frame::{Kind, flag};
use peer::{Fixture, LOGS, complete, log, message};
use server::{KEY, Server, read_reply, request};

const MIB: u64 = 1024 * 1024;

fn resident_bytes(server: &Server) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// A connection that sends a log after the other and wants each acknowledged.
struct Neighbour {
    stop: Arc<AtomicBool>,
    served: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<Duration>,
}

impl Neighbour {
    fn start(server: &Server) -> Self {
        let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut stream = server.connect();
        let body = br#"[{"message":"from the neighbour"}]"#;
        let bytes = request("POST", "/json/logs", &[("Content-Type", "application/json")], body);
        let thread = {
            let (stop, served) = (Arc::clone(&stop), Arc::clone(&served));
            std::thread::spawn(move || {
                let mut longest = Duration::ZERO;
                while !stop.load(Ordering::Relaxed) {
                    let started = Instant::now();
                    stream.write_all(&bytes).unwrap();
                    assert_eq!(read_reply(&mut stream).unwrap().status, 200);
                    longest = longest.max(started.elapsed());
                    served.fetch_add(1, Ordering::Relaxed);
                }
                longest
            })
        };
        Self { stop, served, thread }
    }

    fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    /// The longest wait for a reply.
    fn stop(self) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Sends until the server ends it; answers what the server said, and how many bytes it took.
fn flood(server: &Server, step: floods::Step) -> (Vec<u8>, u64) {
    let mut stream = TcpStream::connect(&server.http).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut reader = stream.try_clone().unwrap();
    let said = std::thread::spawn(move || {
        let mut said = Vec::new();
        let _ = reader.read_to_end(&mut said);
        said
    });
    let mut bytes = start_of_session();
    let mut sent = 0;
    for round in 0..200_000u32 {
        step(&mut bytes, round, KEY);
        if bytes.len() > 16 * 1024 {
            sent += bytes.len() as u64;
            if stream.write_all(&bytes).is_err() || said.is_finished() {
                break;
            }
            bytes.clear();
        }
    }
    let _ = stream.shutdown(std::net::Shutdown::Write);
    (said.join().unwrap(), sent)
}

#[test]
fn floods_are_ended_and_counted_and_cost_their_neighbours_little() {
    let fixture = peer::start();
    let server = &fixture.server;
    let neighbour = Neighbour::start(server);
    for (words, label, step) in FLOODS {
        let before = resident_bytes(server);
        let sample = format!("inrush_http2_abuse_total{{abuse=\"{label}\"}}");
        let counted = server.metric(&sample);
        let served = neighbour.served();
        let mut taken = 0;
        for _ in 0..5 {
            let (said, sent) = flood(server, step);
            assert!(
                said.windows(words.len()).any(|window| window == words.as_bytes()),
                "{words} is not said"
            );
            taken += sent;
        }
        assert_eq!(server.metric(&sample), counted + 5.0, "{sample}");
        assert!(taken < 5 * 8 * MIB, "{words}: {taken} bytes were taken");
        let grown = resident_bytes(server).saturating_sub(before);
        assert!(grown < 24 * MIB, "{words}: {grown} bytes more");
        let deadline = Instant::now() + Duration::from_secs(2);
        while neighbour.served() == served {
            assert!(Instant::now() < deadline, "{words}: the neighbour is not served");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    let longest = neighbour.stop();
    assert!(longest < Duration::from_secs(2), "the neighbour waited {longest:?}");
    assert!(fixture.kept() > 0.0);
}

/// One connection with a valid key and much work in little: each message inflates to just below what goes
/// to a large-body thread.
#[test]
fn a_connection_full_of_small_bombs_has_its_share_of_a_turn_and_no_more() {
    let fixture = peer::start();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    // Some 3 MB in small records.
    let record = log("a record of the usual size, with some words to read and nothing of interest");
    for _ in 0..3_000_000 / record.len() {
        encoder.write_all(&record).unwrap();
    }
    let bomb = message(1, &encoder.finish().unwrap());
    let mut peer = fixture.connect();
    let neighbour = Neighbour::start(&fixture.server);
    while neighbour.served() < 20 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let fields = complete(&[("grpc-encoding", "gzip")]);
    let ids: Vec<u32> = (0..100)
        .map(|_| {
            let id = peer.head(LOGS, &fields, false);
            peer.data(id, &bomb, true);
            id
        })
        .collect();
    let before = neighbour.served();
    // Replies of others wait in `others`.
    let started = Instant::now();
    let mut answered = 0;
    while answered < ids.len() {
        let frame = peer.frame().unwrap();
        answered +=
            usize::from(frame.header.kind == Kind::Headers && frame.header.has(flag::END_STREAM));
    }
    let meanwhile = neighbour.served() - before;
    println!("{meanwhile} replies for the neighbour in {:?}", started.elapsed());
    assert!(meanwhile >= 8, "only {meanwhile} while 100 bombs were looked at");
    neighbour.stop();
}

/// Heads that never end hold memory without a key. Those who hold most go; nobody else notices.
#[test]
fn half_heads_do_not_fill_the_memory() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let fixture = peer::start();
    let server = &fixture.server;
    let before = resident_bytes(server);
    let neighbour = Neighbour::start(server);
    let mut bytes = start_of_session();
    frame(&mut bytes, Kind::Headers, 0, 1, &[0; 60_000]);
    frame(&mut bytes, Kind::Continuation, 0, 1, &[0; 60_000]);
    frame(&mut bytes, Kind::Continuation, 0, 1, &[0; 30_000]);
    // 300 MB as sent, and more as it would be held.
    let open: Vec<_> = (0..2000)
        .map(|_| {
            let mut stream = TcpStream::connect(&server.http).unwrap();
            // Those who went before may make room for others at any time.
            let _ = stream.write_all(&bytes);
            stream
        })
        .collect();
    std::thread::sleep(Duration::from_millis(500));
    let grown = resident_bytes(server).saturating_sub(before);
    let shard = "inrush_connections_evicted_total{shard=\"0\"}";
    let evicted = server.metric(shard);
    println!("{} MiB more, {evicted} evicted", grown / MIB);
    // What may wait is 64 MiB; the rest is what the allocator has not given back, and the neighbour's rows.
    assert!(grown < 200 * MIB, "{} MiB for 300 MB of half heads", grown / MIB);
    assert!(evicted > 1000.0, "{evicted} evicted");
    assert!(neighbour.stop() < Duration::from_secs(2));
    drop(open);
}

/// Replies that nobody reads are held back and bounded too.
#[test]
fn replies_that_nobody_reads_do_not_fill_the_memory() {
    let fixture = peer::start();
    let server = &fixture.server;
    let neighbour = Neighbour::start(server);
    std::thread::sleep(Duration::from_secs(2));
    let before = resident_bytes(server);
    let ask = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n".repeat(20_000);
    // 1.2 GB of replies.
    let open: Vec<_> = (0..400)
        .map(|_| {
            let mut stream = TcpStream::connect(&server.http).unwrap();
            stream.set_write_timeout(Some(Duration::from_millis(20))).unwrap();
            let _ = stream.write_all(&ask);
            stream
        })
        .collect();
    let grown = resident_bytes(server).saturating_sub(before);
    println!("{} MiB before, {} MiB more", before / MIB, grown / MIB);
    // As above: 64 MiB may wait, the rest is the allocator's.
    assert!(grown < 160 * MIB, "{} MiB for 400 who read nothing", grown / MIB);
    assert!(neighbour.stop() < Duration::from_secs(2));
    drop(open);
}

#[test]
fn connections_above_the_limit_are_closed_as_they_come() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&data, &[("INRUSH_LIMITS_CONNECTIONS", "3")]);
    let mut open: Vec<_> = (0..3).map(|_| server.connect()).collect();
    for stream in &mut open {
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert_eq!(read_reply(stream).unwrap().status, 200);
    }
    let mut fourth = server.connect();
    let _ = fourth.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(read_reply(&mut fourth).is_none());
    assert_eq!(server.metric("inrush_connections_over_limit_total{shard=\"0\"}"), 1.0);
    drop(open.pop());
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let mut next = server.connect();
        let _ = next.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
        if read_reply(&mut next).is_some() {
            break;
        }
        assert!(Instant::now() < deadline, "room is found again");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn upload(peer: &mut peer::Peer, id: u32, body: &[u8]) {
    for (index, piece) in body.chunks(16_384).enumerate() {
        peer.data(id, piece, (index + 1) * 16_384 >= body.len());
    }
}

/// Many large bodies at once on one connection, more than there is memory for: they wait, and all arrive.
#[test]
fn more_bodies_than_memory_wait_for_it() {
    let fixture: Fixture = peer::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let text = "x".repeat(2_000_000);
    let statuses = runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(&fixture.server.http).await.unwrap();
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let calls: Vec<_> = (0..48)
            .map(|_| {
                let (sender, http) = (sender.clone(), fixture.server.http.clone());
                let content = bytes::Bytes::from(message(0, &log(&text)));
                tokio::spawn(async move {
                    let mut request =
                        http::Request::builder().method("POST").uri(format!("http://{http}{LOGS}"));
                    for (name, value) in complete(&[]) {
                        request = request.header(name, value);
                    }
                    let mut sender = sender.ready().await.unwrap();
                    let (reply, mut sending) =
                        sender.send_request(request.body(()).unwrap(), false).unwrap();
                    sending.send_data(content, true).unwrap();
                    let (head, mut body) = reply.await.unwrap().into_parts();
                    if let Some(status) = head.headers.get("grpc-status") {
                        return status.to_str().unwrap().to_owned();
                    }
                    while let Some(piece) = body.data().await {
                        let _ = body.flow_control().release_capacity(piece.unwrap().len());
                    }
                    let trailers = body.trailers().await.unwrap().unwrap();
                    trailers["grpc-status"].to_str().unwrap().to_owned()
                })
            })
            .collect();
        let mut statuses = Vec::new();
        for call in calls {
            statuses.push(call.await.unwrap());
        }
        statuses
    });
    assert_eq!(statuses, vec!["0".to_owned(); 48]);
    assert_eq!(fixture.kept(), 48.0);
}

/// The peer's end behind a whole request is no reason to forget it, also while its blocks wait for a turn.
#[test]
fn a_whole_exposition_is_answered_though_its_sender_says_no_more() {
    let fixture = peer::start();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for line in 0..400_000 {
        writeln!(encoder, "some_metric{{label=\"value\"}} {}", line % 10).unwrap();
    }
    let body = encoder.finish().unwrap();
    let mut peer = fixture.connect();
    let fields = [("apikey", KEY), ("content-encoding", "gzip")];
    let id = peer.head("/api/v1/import/prometheus", &fields, false);
    upload(&mut peer, id, &body);
    peer.shutdown();
    assert_eq!(peer.reply(id).status, 204);
    assert_eq!(fixture.kept(), 400_000.0);
}

/// Five bytes that announce 64 MiB do not take 64 MiB.
#[test]
fn memory_follows_what_came_and_not_what_was_announced() {
    let fixture = peer::start();
    let mut peers: Vec<_> = (0..40).map(|_| fixture.connect()).collect();
    for peer in &mut peers {
        let id = peer.head(LOGS, &complete(&[]), false);
        peer.data(id, &[0, 3, 0, 0, 0], false);
    }
    std::thread::sleep(Duration::from_millis(300));
    let lent = fixture.server.metric("inrush_body_bytes{shard=\"0\"}");
    assert!(lent < 40.0 * 512.0 * 1024.0, "{lent} bytes are lent");
    // There is room for others.
    fixture.call(&[]).ok();
}

/// Peers that move slowly but move are served as long as they like; those that stand still are told so.
#[test]
fn slow_is_not_dead_and_dead_is_told() {
    let fixture = peer::start();
    let server = &fixture.server;
    std::thread::scope(|scope| {
        // A body that nobody keeps, at 10 KiB a second.
        scope.spawn(|| {
            let mut peer = fixture.connect();
            let id = peer.head("/datadog/api/v1/check_run", &[("dd-api-key", KEY)], false);
            for round in 0..28 {
                peer.data(id, &[b' '; 5120], round == 27);
                std::thread::sleep(Duration::from_millis(500));
            }
            assert_eq!(peer.reply(id).status, 202);
        });
        // Half a frame.
        scope.spawn(|| {
            let mut peer = fixture.connect();
            peer.call(&[], &[&message(0, &log("first"))]).ok();
            let started = Instant::now();
            peer.raw(&[0, 0, 40, 1, 4, 0, 0, 0, 3]);
            while !peer.is_readable() {
                assert!(started.elapsed() < Duration::from_secs(60));
                peer.raw(&[0x80]);
                std::thread::sleep(Duration::from_secs(2));
            }
            let last = peer.wait_for(Kind::GoAway);
            assert!(String::from_utf8_lossy(&last.payload).contains("too slowly"));
        });
        // A window of nothing, which is given by and by.
        scope.spawn(|| {
            let mut peer = fixture.connect();
            peer.send(Kind::Settings, 0, 0, &[0, 4, 0, 0, 0, 0]);
            let started = Instant::now();
            while started.elapsed() < Duration::from_secs(40) {
                let id = peer.head(LOGS, &complete(&[]), false);
                peer.data(id, &message(0, &log("slow reader")), true);
                std::thread::sleep(Duration::from_millis(400));
                peer.send(Kind::WindowUpdate, 0, id, &[0, 0, 1, 0]);
                peer.reply(id).ok();
            }
        });
        // And one that is never given.
        scope.spawn(|| {
            let mut peer = fixture.connect();
            peer.send(Kind::Settings, 0, 0, &[0, 4, 0, 0, 0, 0]);
            let id = peer.head(LOGS, &complete(&[]), false);
            peer.data(id, &message(0, &log("never read")), true);
            std::thread::sleep(Duration::from_secs(25));
            let last = peer.wait_for(Kind::GoAway);
            assert!(String::from_utf8_lossy(&last.payload).contains("no window"));
        });
    });
    assert!(server.metric("inrush_connections{shard=\"0\"}") < 4.0);
}

/// A resource of a megabyte that two thousand series share: six kilobytes on the wire, two gigabytes if
/// they were ever held as they stand in rows.
#[test]
fn a_resource_that_many_rows_share_is_stored_in_bounded_memory() {
    let fixture = peer::start();
    let field = |tag: u8, content: &[u8]| {
        let mut bytes = vec![tag];
        let mut length = content.len();
        while length >= 0x80 {
            bytes.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        bytes.push(u8::try_from(length).unwrap());
        bytes.extend_from_slice(content);
        bytes
    };
    let pair = |name: &str, value: &[u8]| {
        [field(0x0a, name.as_bytes()), field(0x12, &field(0x0a, value))].concat()
    };
    let mut points = Vec::new();
    for index in 0..1900 {
        let mut point = vec![0x19];
        point.extend_from_slice(&1_700_000_000_000_000_000u64.to_le_bytes());
        point.push(0x21);
        point.extend_from_slice(&1f64.to_le_bytes());
        point.extend(field(0x3a, &pair("index", index.to_string().as_bytes())));
        points.extend(field(0x0a, &point));
    }
    let metric = [field(0x0a, b"shared"), field(0x2a, &points)].concat();
    let resource = field(0x0a, &pair("large", &vec![b'r'; 1 << 20]));
    let body = field(0x0a, &[field(0x0a, &resource), field(0x12, &field(0x12, &metric))].concat());
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&body).unwrap();
    let server = &fixture.server;
    let fields = [("Content-Type", "application/x-protobuf"), ("Content-Encoding", "gzip")];
    let reply = server.post("/v1/metrics", &fields, &encoder.finish().unwrap());
    assert_eq!(reply.status, 200, "{}", reply.text());
    server.wait_until_stored();
    assert_eq!(fixture.kept(), 1900.0);
    assert_eq!(server.metric("inrush_quarantined_entries_total"), 0.0);
    let text = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak = line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024;
    println!("{} MiB at most", peak / MIB);
    assert!(peak < 1024 * MIB, "{} MiB", peak / MIB);
}
