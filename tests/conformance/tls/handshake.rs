//! Handshakes in pieces, broken ones, slow ones, and many at once.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{World, client, post, session};
use crate::server::read_reply;

/// What a client says first.
fn client_hello(world: &World) -> Vec<u8> {
    let mut client = session(&world.client(&["http/1.1"]));
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

/// A fleet that comes back with full buffers: each client sends a large body right behind its handshake,
/// more of them than a turn has handshakes for.
#[test]
fn large_bodies_right_behind_the_handshakes_of_a_fleet_arrive() {
    let world = World::start(&[]);
    let body = format!("[{{\"message\":\"{}\"}}]", "x".repeat(300 * 1024));
    let clients: Vec<_> = (0..60)
        .map(|_| {
            let mut stream = world.connect(&world.client(&["http/1.1"]));
            // Up to the client's last words, which wait for the others'.
            while stream.conn.is_handshaking() {
                if stream.conn.wants_write() && !stream.conn.wants_read() {
                    stream.conn.write_tls(&mut stream.sock).unwrap();
                    continue;
                }
                if stream.conn.wants_write() {
                    stream.conn.write_tls(&mut stream.sock).unwrap();
                }
                stream.conn.read_tls(&mut stream.sock).unwrap();
                stream.conn.process_new_packets().unwrap();
            }
            stream
        })
        .collect();
    let threads: Vec<_> = clients
        .into_iter()
        .map(|mut stream| {
            let json = [("Content-Type", "application/json")];
            let request = crate::server::request("POST", "/json/logs", &json, body.as_bytes());
            stream.conn.set_buffer_limit(None);
            stream.conn.writer().write_all(&request).unwrap();
            std::thread::spawn(move || {
                while stream.conn.wants_write() {
                    stream.conn.write_tls(&mut stream.sock).unwrap();
                }
                read_reply(&mut stream).map(|reply| reply.status)
            })
        })
        .collect();
    let statuses: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert_eq!(statuses, vec![Some(200); 60]);
}

#[test]
fn a_hello_may_come_in_pieces() {
    let world = World::start(&[]);
    for cut in [1, 4, 5, 6, 43, 100] {
        let config = world.client(&["http/1.1"]);
        let (mut conn, mut tcp) = (session(&config), world.tcp());
        let mut hello = Vec::new();
        conn.write_tls(&mut hello).unwrap();
        tcp.write_all(&hello[..cut]).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        tcp.write_all(&hello[cut..]).unwrap();
        assert_eq!(post(&mut rustls::StreamOwned::new(conn, tcp)).unwrap().status, 200);
    }
}

/// RFC 8446, section 6.2: a fault is told by an alert before the end.
#[test]
fn what_is_not_tls_gets_an_alert() {
    let world = World::start(&[]);
    let mut damaged = client_hello(&world);
    damaged[5] = 0xee;
    for bytes in
        [b"\x00\x01\x02\x03\x04\x05\x06\x07\x08".as_slice(), b"\x16\x03\x01\xff\xff\x01", &damaged]
    {
        let mut tcp = world.tcp();
        tcp.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        tcp.read_to_end(&mut answer).unwrap();
        assert_eq!(answer.first(), Some(&21), "an alert record: {answer:?}");
        assert_eq!(answer[5], 2, "fatal");
    }
    assert_eq!(world.server.metric("inrush_tls_failures_total{cause=\"malformed\"}"), 3.0);
}

#[test]
fn http_in_the_clear_is_told_what_the_port_speaks() {
    let world = World::start(&[]);
    let mut tcp = world.tcp();
    tcp.write_all(b"POST /json/logs HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n[]").unwrap();
    let reply = read_reply(&mut tcp).unwrap();
    assert_eq!(reply.status, 400);
    assert!(reply.text().contains("https://"), "{}", reply.text());
    assert_eq!(tcp.read(&mut [0]).unwrap(), 0, "nothing behind it");
}

/// Load balancers look whether a port is open: no fault of anybody.
#[test]
fn a_connection_without_a_byte_is_no_failure() {
    let world = World::start(&[]);
    drop(world.tcp());
    // One that begins and leaves is one.
    let mut tcp = world.tcp();
    tcp.write_all(&client_hello(&world)).unwrap();
    tcp.read_exact(&mut [0; 5]).unwrap();
    drop(tcp);
    let deadline = Instant::now() + Duration::from_secs(10);
    while world.server.metric("inrush_tls_failures_total{cause=\"abandoned\"}") < 1.0 {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(20));
    }
    let page = world.server.get_admin("/metrics").text();
    assert_eq!(page.matches("\ninrush_tls_failures_total{").count(), 1, "{page}");
}

#[test]
fn a_handshake_that_is_not_done_in_time_is_ended() {
    let world = World::start(&[]);
    let begun = Instant::now();
    let mut slow: Vec<_> = [0, 1, 40, 5000]
        .map(|count| {
            let hello = client_hello(&world);
            let mut tcp = world.tcp();
            tcp.write_all(&hello[..count.min(hello.len())]).unwrap();
            tcp
        })
        .into();
    for tcp in &mut slow {
        let _ = tcp.read_to_end(&mut Vec::new());
    }
    let lasted = begun.elapsed();
    assert!(lasted > Duration::from_secs(9) && lasted < Duration::from_secs(15), "{lasted:?}");
    assert_eq!(world.server.metric("inrush_tls_failures_total{cause=\"timeout\"}"), 3.0);
}

/// A whole fleet comes at once; who is there already is served meanwhile, and everybody gets in.
#[test]
fn a_fleet_does_not_starve_who_is_there() {
    let world = World::start(&[]);
    let config = Arc::new(client(&world.development(), &rustls::version::TLS13, &["http/1.1"]));
    let mut present = world.connect(&config);
    assert_eq!(post(&mut present).unwrap().status, 200);
    std::thread::scope(|scope| {
        let fleet: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut streams: Vec<_> = (0..100)
                        .map(|_| {
                            let (mut conn, mut tcp) = (session(&config), world.tcp());
                            conn.write_tls(&mut tcp).unwrap();
                            rustls::StreamOwned::new(conn, tcp)
                        })
                        .collect();
                    for stream in &mut streams {
                        assert_eq!(post(stream).unwrap().status, 200);
                    }
                })
            })
            .collect();
        while !fleet.iter().all(|thread| thread.is_finished()) {
            let begun = Instant::now();
            assert_eq!(post(&mut present).unwrap().status, 200);
            assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        }
    });
}
