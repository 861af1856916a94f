//! The binary killed at random under load: everything acknowledged is in Parquet, once; nothing
//! refused is.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

#[path = "store/read_back.rs"]
#[allow(dead_code, reason = "used in part")]
mod read_back;
#[path = "support/server.rs"]
mod server;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use inrush::batch::Table;
use server::{Server, read_reply, request};

const ROUNDS: u64 = 10;
const SENDERS: u64 = 4;

/// What became of a body, by its tag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    /// Answered with success: all rows, once.
    Acknowledged,
    /// Answered with a refusal: no row.
    Refused,
    /// No answer: all rows or none, never a part of them.
    Unknown,
}

/// A body of `records` lines that all carry the tag; every tenth is invalid as a whole.
fn body(tag: u64, records: u64) -> Vec<u8> {
    let mut body = Vec::new();
    for record in 0..records {
        let pad = "x".repeat(usize::try_from(tag % 7 * 40).unwrap());
        writeln!(body, "{{\"message\":\"{tag}/{record}\",\"pad\":\"{pad}\"}},").unwrap();
    }
    body.truncate(body.len() - 2);
    let mut array = b"[".to_vec();
    array.extend(body);
    if tag % 10 != 9 {
        array.push(b']');
    }
    array
}

/// Small and packed, or large enough for an extent of its own.
fn records_of(tag: u64) -> u64 {
    [1, 3, 20, 700][usize::try_from(tag / 3 % 4).unwrap()]
}

fn send_until(stop: &AtomicBool, http: &str, tags: &AtomicU64, fates: &Mutex<BTreeMap<u64, Fate>>) {
    'connection: while !stop.load(Ordering::Relaxed) {
        let Ok(mut stream) = std::net::TcpStream::connect(http) else {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        };
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        while !stop.load(Ordering::Relaxed) {
            let tag = tags.fetch_add(1, Ordering::Relaxed);
            fates.lock().unwrap().insert(tag, Fate::Unknown);
            let bytes = request("POST", "/json/logs", &[], &body(tag, records_of(tag)));
            if stream.write_all(&bytes).is_err() {
                continue 'connection;
            }
            let Some(reply) = read_reply(&mut stream) else { continue 'connection };
            let fate = match reply.status {
                200 => Fate::Acknowledged,
                400 => Fate::Refused,
                other => panic!("{tag}: {other} {}", reply.text()),
            };
            fates.lock().unwrap().insert(tag, fate);
        }
    }
}

#[test]
fn ten_kills_under_load_lose_nothing_and_double_nothing() {
    let seed = std::env::var("CRASH_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        u64::from(now.subsec_nanos()) | 1
    });
    println!("CRASH_SEED={seed}");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let data = folder.path().join("data");
    let tags = Arc::new(AtomicU64::new(0));
    let fates = Arc::new(Mutex::new(BTreeMap::new()));
    let mut random = seed;
    for round in 0..ROUNDS {
        let server = Server::start(&data, &[("INRUSH_STORE_MAX_DELAY", "100ms")]);
        let stop = Arc::new(AtomicBool::new(false));
        let senders: Vec<_> = (0..SENDERS)
            .map(|_| {
                let (stop, http) = (Arc::clone(&stop), server.http.clone());
                let (tags, fates) = (Arc::clone(&tags), Arc::clone(&fates));
                std::thread::spawn(move || send_until(&stop, &http, &tags, &fates))
            })
            .collect();
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        std::thread::sleep(Duration::from_millis(100 + random % 500));
        server.kill();
        stop.store(true, Ordering::Relaxed);
        for sender in senders {
            sender.join().unwrap();
        }
        let acknowledged =
            fates.lock().unwrap().values().filter(|&&fate| fate == Fate::Acknowledged).count();
        println!("round {round}: {acknowledged} bodies acknowledged so far");
    }
    let server = Server::start(&data, &[]);
    assert!(server.stop().success());

    let mut found: BTreeMap<u64, BTreeMap<u64, u64>> = BTreeMap::new();
    for row in read_back::rows(&data, Table::Logs) {
        let (tag, record) = row["Body"].as_str().unwrap().split_once('/').unwrap();
        let counts = found.entry(tag.parse().unwrap()).or_default();
        *counts.entry(record.parse().unwrap()).or_default() += 1;
    }
    let fates = fates.lock().unwrap();
    let acknowledged = fates.values().filter(|&&fate| fate == Fate::Acknowledged).count();
    assert!(acknowledged > 100, "there was load: {acknowledged}");
    assert!(fates.values().any(|&fate| fate == Fate::Refused));
    for (&tag, &fate) in fates.iter() {
        let rows = found.remove(&tag).unwrap_or_default();
        assert!(rows.values().all(|&count| count == 1), "{tag} ({fate:?}) is doubled: {rows:?}");
        let complete = rows.len() as u64 == records_of(tag);
        match fate {
            Fate::Acknowledged => assert!(complete, "{tag}: {} rows", rows.len()),
            Fate::Refused => assert!(rows.is_empty(), "{tag} was refused"),
            Fate::Unknown => assert!(rows.is_empty() || complete, "{tag}: {} rows", rows.len()),
        }
    }
    assert!(found.is_empty(), "rows that nobody sent: {found:?}");
    assert!(read_back::list(&data.join("quarantine")).is_empty());
}
