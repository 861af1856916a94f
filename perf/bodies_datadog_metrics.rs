//! Datadog metric bodies for benches and load: seeded, so that every run and every rival gets the same.
//!
//! Each series has one point and ten tags, as an Agent's checks and a cluster's pods have them.

#![allow(dead_code, reason = "each of the programs that include this file uses a part of it")]
#![allow(clippy::cast_possible_truncation, reason = "varints are cut into bytes")]

use std::fmt::Write;

/// xorshift64*.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 1) % bound
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        let place = usize::try_from(self.below(from.len() as u64)).unwrap_or_default();
        from.get(place).copied().unwrap_or_default()
    }
}

/// 2026-01-01T00:00:00Z
const EPOCH_SECONDS: u64 = 1_767_225_600;

const METRICS: [&str; 8] = [
    "system.cpu.user",
    "system.mem.used",
    "system.net.bytes_rcvd",
    "docker.mem.rss",
    "kubernetes.cpu.usage.total",
    "kubernetes.memory.working_set",
    "trace.http.request.hits",
    "redis.net.commands",
];
const SERVICES: [&str; 5] = ["cart", "checkout-api", "ledger", "catalogue", "recommendations"];
const NAMESPACES: [&str; 4] = ["checkout", "payments", "monitoring", "search"];

/// What a series is, before it is written in either form.
struct Series {
    metric: &'static str,
    host: String,
    tags: [String; 10],
    /// 1 count, 2 rate, 3 gauge.
    kind: u64,
    time: u64,
    value: f64,
}

impl Series {
    fn new(names: &mut Random, values: &mut Random) -> Self {
        let (service, namespace) = (names.pick(&SERVICES), names.pick(&NAMESPACES));
        let pod = names.below(1 << 40);
        let host = names.below(512);
        Self {
            metric: names.pick(&METRICS),
            host: format!("ip-10-0-{}-{}.eu-central-1.compute.internal", host / 64, host % 64),
            tags: [
                "env:production".to_owned(),
                format!("service:{service}"),
                format!("version:1.{}.0", names.below(30)),
                format!("kube_namespace:{namespace}"),
                format!("kube_deployment:{service}"),
                format!("pod_name:{service}-{pod:010x}"),
                format!("kube_container_name:{service}"),
                "kube_cluster_name:production-eu".to_owned(),
                format!("availability-zone:eu-central-1{}", names.pick(&["a", "b", "c"])),
                format!("image_name:registry.internal/{namespace}/{service}"),
            ],
            kind: 1 + names.below(3),
            time: EPOCH_SECONDS + values.below(15),
            value: values.below(16_000_000) as f64 / 16.0,
        }
    }
}

fn series(series_seed: u64, value_seed: u64, count: usize, mut each: impl FnMut(Series)) {
    let mut names = Random::new(series_seed);
    let mut values = Random::new(value_seed ^ 0x5bd1_e995);
    for _ in 0..count {
        each(Series::new(&mut names, &mut values));
    }
}

/// The body of V1, about 500 bytes a series. `series_seed` chooses the series, `value_seed` what they
/// are now.
pub fn series_1(series_seed: u64, value_seed: u64, count: usize) -> Vec<u8> {
    let mut body = String::from("{\"series\":[");
    series(series_seed, value_seed, count, |series| {
        let comma = if body.ends_with('[') { "" } else { "," };
        let kind = match series.kind {
            1 => "count",
            2 => "rate",
            _ => "gauge",
        };
        let _ = write!(
            body,
            r#"{comma}{{"metric":"{}","points":[[{},{}]],"tags":["{}"],"host":"{}","type":"{kind}","interval":{},"source_type_name":"System"}}"#,
            series.metric,
            series.time,
            series.value,
            series.tags.join("\",\""),
            series.host,
            if series.kind == 3 { 0 } else { 10 },
        );
    });
    body.push_str("]}");
    body.into_bytes()
}

fn varint(into: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        into.push(value as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

fn number(into: &mut Vec<u8>, field: u64, value: u64) {
    varint(into, field << 3);
    varint(into, value);
}

fn double(into: &mut Vec<u8>, field: u64, value: f64) {
    varint(into, field << 3 | 1);
    into.extend_from_slice(&value.to_le_bytes());
}

fn bytes(into: &mut Vec<u8>, field: u64, value: &[u8]) {
    varint(into, field << 3 | 2);
    varint(into, value.len() as u64);
    into.extend_from_slice(value);
}

/// The same series as a `MetricPayload`, in the order in which an Agent writes fields.
pub fn series_2(series_seed: u64, value_seed: u64, count: usize) -> Vec<u8> {
    let mut body = Vec::new();
    series(series_seed, value_seed, count, |series| {
        let mut message = Vec::new();
        let mut resource = Vec::new();
        bytes(&mut resource, 1, b"host");
        bytes(&mut resource, 2, series.host.as_bytes());
        bytes(&mut message, 1, &resource);
        bytes(&mut message, 2, series.metric.as_bytes());
        for tag in &series.tags {
            bytes(&mut message, 3, tag.as_bytes());
        }
        number(&mut message, 5, series.kind);
        bytes(&mut message, 7, b"System");
        number(&mut message, 8, if series.kind == 3 { 0 } else { 10 });
        // metadata { origin { product 10, category 11, service 1, and one that is reserved } }
        bytes(&mut message, 9, &[0x0a, 8, 0x18, 9, 0x20, 10, 0x28, 11, 0x30, 1]);
        let mut point = Vec::new();
        number(&mut point, 2, series.time);
        double(&mut point, 1, series.value);
        bytes(&mut message, 4, &point);
        bytes(&mut body, 1, &message);
    });
    body
}

/// A `SketchPayload`: `count` sketches of about thirty bins, latencies around some milliseconds.
pub fn sketches(series_seed: u64, value_seed: u64, count: usize) -> Vec<u8> {
    let mut body = Vec::new();
    let mut bins = Random::new(value_seed ^ 0x0b1b_5eed);
    series(series_seed, value_seed, count, |series| {
        let mut message = Vec::new();
        bytes(&mut message, 1, series.metric.as_bytes());
        bytes(&mut message, 2, series.host.as_bytes());
        for tag in &series.tags {
            bytes(&mut message, 4, tag.as_bytes());
        }
        let (mut keys, mut counts, mut all) = (Vec::new(), Vec::new(), 0);
        // gamma^(1000 - 1338) is five milliseconds.
        let mut key = 1000;
        for _ in 0..30 {
            key += 1 + bins.below(4);
            let found = 1 + bins.below(200);
            varint(&mut keys, key << 1);
            varint(&mut counts, found);
            all += found;
        }
        let mut sketch = Vec::new();
        number(&mut sketch, 1, series.time);
        number(&mut sketch, 2, all);
        double(&mut sketch, 3, 0.005);
        double(&mut sketch, 4, 0.02);
        double(&mut sketch, 5, 0.01);
        double(&mut sketch, 6, all as f64 * 0.01);
        bytes(&mut sketch, 7, &keys);
        bytes(&mut sketch, 8, &counts);
        bytes(&mut message, 7, &sketch);
        bytes(&mut body, 1, &message);
    });
    body
}
