//! An honest sender beside an attacker: how long its replies take, quiet and under a flood.
//!
//! `attack --http ADDR --key KEY --flood LABEL --seconds N [--rate N] [--sink]`. The sender posts a log after
//! the other; the attacker opens a connection `--rate` times a second, floods it until it is ended, and
//! begins again. With `--sink` the flood goes to a socket of this program that reads and answers nothing:
//! the same work on this core, none for the server. A line of JSON tells the sender's latencies.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a tool may panic, and looks at the clock"
)]

#[path = "../tests/support/floods.rs"]
#[allow(dead_code, reason = "used in part")]
mod floods;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use floods::{FLOODS, Step, start_of_session};

/// What the sink takes of a flood: as much as the server does, which reads on behind its last word so that
/// the peer can hear it.
const SINK_BYTES: usize = 2 * 1024 * 1024 + 64 * 1024;
/// What there is to send.
const FLOOD_BYTES: usize = 4 * 1024 * 1024;

/// Posts until `stop`; nanoseconds of each reply.
fn post(address: &str, key: &str, stop: &AtomicBool) -> Vec<u64> {
    let body = br#"[{"message":"an honest record","level":"info","service":"neighbour"}]"#;
    let head = format!(
        "POST /json/logs HTTP/1.1\r\nHost: a\r\napikey: {key}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    let request = [head.as_bytes(), body].concat();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut nanos, mut reply) = (Vec::new(), [0; 1024]);
    while !stop.load(Ordering::Relaxed) {
        let started = Instant::now();
        stream.write_all(&request).unwrap();
        let count = stream.read(&mut reply).unwrap();
        assert!(reply[..count].starts_with(b"HTTP/1.1 200"), "{}", reply[..count].escape_ascii());
        nanos.push(u64::try_from(started.elapsed().as_nanos()).unwrap());
        // Not a load of its own: what is measured is how long one reply takes.
        std::thread::sleep(Duration::from_micros(200));
    }
    nanos
}

/// All that a flood sends, made once: the sender's core is to be as idle as it can.
fn bytes_of(step: Step, key: &str) -> Vec<u8> {
    let mut bytes = start_of_session();
    let mut round = 0;
    while bytes.len() < FLOOD_BYTES {
        step(&mut bytes, round, key);
        round += 1;
    }
    bytes
}

/// One connection, flooded until it is ended.
fn flood(address: &str, bytes: &[u8]) {
    let Ok(mut stream) = TcpStream::connect(address) else { return };
    let _ = stream.set_write_timeout(Some(Duration::from_secs(1)));
    let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let _ = stream.read_to_end(&mut Vec::new());
}

fn sink(listener: &TcpListener) {
    let mut taken = [0; 16 * 1024];
    for stream in listener.incoming().map_while(Result::ok) {
        let (mut stream, mut total) = (stream, 0);
        while total < SINK_BYTES
            && let Ok(count @ 1..) = stream.read(&mut taken)
        {
            total += count;
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |name| arguments.iter().skip_while(|given| *given != name).nth(1).cloned();
    let address = value("--http").expect("--http ADDR");
    let key = value("--key").expect("--key KEY");
    let label = value("--flood").expect("--flood LABEL");
    let seconds = value("--seconds").map_or(3, |text| text.parse().unwrap());
    let rate: u64 = value("--rate").map_or(50, |text| text.parse().unwrap());
    let (_, _, step) = FLOODS.into_iter().find(|flood| flood.1 == label).expect("a known flood");
    let bytes = bytes_of(step, &key);
    let mut target = address.clone();
    if arguments.iter().any(|argument| argument == "--sink") {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        target = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || sink(&listener));
    }
    let (stop, floods) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut nanos = std::thread::scope(|scope| {
        let neighbour = scope.spawn(|| post(&address, &key, &stop));
        let attacker = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let started = Instant::now();
                flood(&target, &bytes);
                floods.fetch_add(1, Ordering::Relaxed);
                let pause = Duration::from_micros(1_000_000 / rate);
                std::thread::sleep(pause.saturating_sub(started.elapsed()));
            }
        });
        std::thread::sleep(Duration::from_secs(seconds));
        stop.store(true, Ordering::Relaxed);
        attacker.join().unwrap();
        neighbour.join().unwrap()
    });
    nanos.sort_unstable();
    let at = |part: usize| nanos[(nanos.len() - 1) * part / 100] / 1000;
    println!(
        "{{\"flood\":\"{label}\",\"floods\":{},\"requests\":{},\"p50_us\":{},\"p99_us\":{}}}",
        floods.load(Ordering::Relaxed),
        nanos.len(),
        at(50),
        at(99)
    );
}
