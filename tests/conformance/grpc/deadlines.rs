//! Deadlines: `grpc-timeout`, and that nothing is kept of a call that is told that it was too late.

use std::time::{Duration, Instant};

use super::peer::{LOGS, complete, log, message, start};
use inrush::http::grpc::code;

#[test]
fn a_timeout_has_a_unit_and_at_most_eight_digits() {
    let fixture = start();
    let good =
        ["1H", "99999999H", "1M", "60S", "00000060S", "99999999m", "99999999u", "99999999n", ""];
    for timeout in good {
        fixture.call(&[("grpc-timeout", timeout)]).ok();
    }
    for bad in ["S", "10", "123456789S", "1s", "1h", "-1S", "+1S", "1.5S", "1 S", "0x1S", "1SS"] {
        fixture.call(&[("grpc-timeout", bad)]).is_refused(code::INTERNAL);
    }
    assert_eq!(fixture.kept(), good.len() as f64);
}

/// Too late before it came: its client has gone on long since, and will send it again.
#[test]
fn an_expired_call_is_not_kept() {
    let fixture = start();
    for (timeout, wait) in [("0n", 0), ("1n", 20), ("0H", 0), ("20m", 60), ("20000u", 60)] {
        let mut peer = fixture.connect();
        let id = peer.head(LOGS, &complete(&[("grpc-timeout", timeout)]), false);
        let message = message(0, &log("too late"));
        peer.data(id, &message[..7], false);
        std::thread::sleep(Duration::from_millis(wait));
        peer.data(id, &message[7..], true);
        peer.reply(id).is_refused(code::DEADLINE_EXCEEDED);
        // In one piece behind its head.
        let id = peer.head(LOGS, &complete(&[("grpc-timeout", timeout)]), false);
        std::thread::sleep(Duration::from_millis(wait));
        peer.data(id, &message, true);
        peer.reply(id).is_refused(code::DEADLINE_EXCEEDED);
    }
    assert_eq!(fixture.kept(), 0.0);
}

/// A large body is looked at beside the shard; meanwhile its time may pass.
#[test]
fn a_call_that_expires_while_it_is_looked_at_is_not_kept() {
    use std::io::Write as _;
    let fixture = start();
    let line = log(&"x".repeat(1 << 20));
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..50 {
        encoder.write_all(&line).unwrap();
    }
    let coded = message(1, &encoder.finish().unwrap());
    let mut peer = fixture.connect();
    let fields = complete(&[("grpc-timeout", "10m"), ("grpc-encoding", "gzip")]);
    let id = peer.head(LOGS, &fields, false);
    for (index, piece) in coded.chunks(16_384).enumerate() {
        peer.data(id, piece, (index + 1) * 16_384 >= coded.len());
    }
    peer.reply(id).is_refused(code::DEADLINE_EXCEEDED);
    assert_eq!(fixture.kept(), 0.0);
}

/// The clock ends it, not the next frame.
#[test]
fn a_call_that_stands_still_is_ended_at_its_deadline() {
    let fixture = start();
    let mut peer = fixture.connect();
    let started = Instant::now();
    let id = peer.head(LOGS, &complete(&[("grpc-timeout", "300m")]), false);
    peer.data(id, &message(0, &log("never complete"))[..9], false);
    peer.reply(id).is_refused(code::DEADLINE_EXCEEDED);
    assert!((300..10_000).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
    // The connection goes on.
    peer.call(&[("grpc-timeout", "20S")], &[&message(0, &log("in time"))]).ok();
    assert_eq!(fixture.kept(), 1.0);
}
