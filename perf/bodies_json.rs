//! JSON log bodies for benches and load: seeded, so that every run and every rival gets the same.

#![allow(dead_code, reason = "each of the programs that include this file uses a part of it")]

use std::io::Write;

/// xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 1) % bound
    }

    fn choose(&mut self, choices: &[&'static str]) -> &'static str {
        choices
            .iter()
            .copied()
            .cycle()
            .nth(usize::try_from(self.below(64)).unwrap_or_default())
            .unwrap_or_default()
    }
}

/// An array of objects, about 365 bytes a record.
pub fn json_logs(seed: u64, records: usize) -> Vec<u8> {
    let mut random = Random(seed | 1);
    let mut body = Vec::with_capacity(records * 380 + 2);
    body.push(b'[');
    for index in 0..records {
        if index > 0 {
            body.push(b',');
        }
        record(&mut random, index, &mut body);
    }
    body.push(b']');
    body
}

/// The same records, one a line.
pub fn json_logs_ndjson(seed: u64, records: usize) -> Vec<u8> {
    let mut random = Random(seed | 1);
    let mut body = Vec::with_capacity(records * 380);
    for index in 0..records {
        record(&mut random, index, &mut body);
        body.push(b'\n');
    }
    body
}

fn record(random: &mut Random, index: usize, body: &mut Vec<u8>) {
    let seconds = index / 1_000 % 60;
    let nanos = random.below(1_000_000_000);
    let level = random.choose(&["info", "info", "info", "debug", "warn", "error"]);
    let service = random.choose(&["checkout"]);
    let method = random.choose(&["GET", "POST", "PUT"]);
    let path = random.choose(&["/api/v1/cart", "/api/v1/orders/\\\"7\\\"", "/healthz", "/login"]);
    let status = random.choose(&["200", "201", "404", "500"]);
    let (trace, span) = (random.below(u64::MAX / 4), random.below(u64::MAX / 4));
    let (user, took) = (random.below(1_000_000), random.below(100_000));
    // Writing to memory does not fail.
    let _ = write!(
        body,
        "{{\"timestamp\":\"2026-11-23T12:00:{seconds:02}.{nanos:09}Z\",\"level\":\"{level}\",\
         \"service.name\":\"{service}\",\"message\":\"{method} {path} answered {status}\",\
         \"http\":{{\"method\":\"{method}\",\"status_code\":{status},\"duration_ms\":{}.{:02}}},\
         \"user_id\":{user},\"region\":\"eu-west-1\",\"cached\":{},\"k8s.pod.name\":\"{service}-5d9c7b6f4-x2x{}z\",\
         \"trace_id\":\"{trace:032x}\",\"span_id\":\"{span:016x}\"}}",
        took / 100,
        took % 100,
        user % 2 == 0,
        took % 3,
    );
}
