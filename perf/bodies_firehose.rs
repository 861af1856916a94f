//! Firehose bodies for benches and load: seeded, so that every run and every rival gets the same.

#![allow(dead_code, reason = "each of the programs that include this file uses a part of it")]

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

/// Events of one CloudWatch record.
const EVENTS: usize = 50;

/// xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 1) % bound
    }
}

/// A request of these records.
pub fn request<T: AsRef<[u8]>>(records: &[T]) -> Vec<u8> {
    let mut body = String::from(
        r#"{"requestId":"ed4acda5-034f-9f42-bba1-f29aea6d7d8f","timestamp":1795435200000,"records":["#,
    );
    for (index, record) in records.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        // Writing to memory does not fail.
        let _ = write!(body, "{comma}{{\"data\":\"{}\"}}", STANDARD.encode(record));
    }
    body.push_str("]}");
    body.into_bytes()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
    // Writing to memory does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// CloudWatch Logs subscriptions, gzip inside, of `logs` events, a multiple of 50.
pub fn cloudwatch(seed: u64, logs: usize) -> Vec<u8> {
    let mut random = Random(seed | 1);
    let records: Vec<Vec<u8>> =
        (0..logs / EVENTS).map(|_| gzip(message(&mut random).as_bytes())).collect();
    request(&records)
}

fn message(random: &mut Random) -> String {
    let stream = random.below(1 << 40);
    let mut text = format!(
        "{{\"messageType\":\"DATA_MESSAGE\",\"owner\":\"123456789012\",\"logGroup\":\"/aws/lambda/checkout\",\
         \"logStream\":\"2026/11/23/[$LATEST]{stream:032x}\",\"subscriptionFilters\":[\"all\"],\"logEvents\":["
    );
    for index in 0..EVENTS {
        let comma = if index > 0 { "," } else { "" };
        let (id, took) = (random.below(u64::MAX / 2), random.below(900_000));
        let _ = write!(
            text,
            "{comma}{{\"id\":\"{id:056}\",\"timestamp\":{},\"message\":\"REPORT RequestId: {:016x}-{id:016x}\\t\
             Duration: {}.{:02} ms\\tBilled Duration: {} ms\\tMemory Size: 512 MB\\tMax Memory Used: {} MB\\t\\n\"}}",
            1_795_435_200_000 + index,
            random.below(u64::MAX / 2),
            took / 100,
            took % 100,
            took / 100 + 1,
            random.below(512),
        );
    }
    text.push_str("]}");
    text
}

/// Records put directly, one JSON object each.
pub fn direct(seed: u64, logs: usize) -> Vec<u8> {
    let mut random = Random(seed | 1);
    let records: Vec<String> = (0..logs)
        .map(|index| {
            format!(
                "{{\"timestamp\":{},\"formatVersion\":1,\"webaclId\":\"arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/front/{:08x}\",\
                 \"action\":\"ALLOW\",\"httpRequest\":{{\"clientIp\":\"10.{}.{}.{}\",\"country\":\"DE\",\"uri\":\"/api/v1/cart/{}\",\
                 \"httpMethod\":\"GET\",\"requestId\":\"{:032x}\"}}}}\n",
                1_795_435_200_000 + index,
                random.below(1 << 32),
                random.below(256),
                random.below(256),
                random.below(256),
                random.below(1_000_000),
                random.below(u64::MAX / 2),
            )
        })
        .collect();
    request(&records)
}

/// What a server of ordinary libraries does with a request before it can map anything: a tree of the
/// request and one of each record's document. Answers how many.
pub fn trees(body: &[u8]) -> usize {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let mut count = 0;
    for record in body["records"].as_array().into_iter().flatten() {
        let mut bytes =
            STANDARD.decode(record["data"].as_str().unwrap_or_default()).unwrap_or_default();
        if bytes.starts_with(b"\x1f\x8b") {
            let mut inflated = Vec::new();
            let _ = MultiGzDecoder::new(&*bytes).read_to_end(&mut inflated);
            bytes = inflated;
        }
        let documents =
            serde_json::Deserializer::from_slice(&bytes).into_iter::<serde_json::Value>();
        count += documents.map(std::hint::black_box).count();
    }
    count
}
