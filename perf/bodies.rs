//! Typical bodies for benches and load, made from a seed: the same seed, the same bytes.
//!
//! Shapes follow what agents send: a node exporter's and a Kubernetes cluster's label sets, service
//! logs with resource attributes. Encoded by hand, so that a load generator needs no codec.
#![allow(dead_code, reason = "each of the programs that include this file uses a part of it")]
#![allow(clippy::cast_possible_truncation, reason = "lengths and random parts are small")]

/// xorshift64*: small, seeded, good enough to vary bodies.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        // Zero is the one state that never changes.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn draw(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.draw()) * bound as u128) >> 64) as usize
    }

    pub fn hex(&mut self, digits: usize) -> String {
        (0..digits).map(|_| char::from_digit(self.below(16) as u32, 16).unwrap_or('0')).collect()
    }

    pub fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from.get(self.below(from.len())).copied().unwrap_or_default()
    }
}

/// A protobuf message under construction.
#[derive(Default)]
pub struct Message(pub Vec<u8>);

impl Message {
    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    pub fn varint(&mut self, number: u32, value: u64) -> &mut Self {
        self.raw_varint(u64::from(number << 3));
        self.raw_varint(value);
        self
    }

    pub fn fixed64(&mut self, number: u32, value: u64) -> &mut Self {
        self.raw_varint(u64::from(number << 3 | 1));
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub fn fixed32(&mut self, number: u32, value: u32) -> &mut Self {
        self.raw_varint(u64::from(number << 3 | 5));
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub fn bytes(&mut self, number: u32, value: &[u8]) -> &mut Self {
        self.raw_varint(u64::from(number << 3 | 2));
        self.raw_varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    pub fn text(&mut self, number: u32, value: &str) -> &mut Self {
        self.bytes(number, value.as_bytes())
    }

    pub fn message(&mut self, number: u32, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let mut inner = Self::default();
        fill(&mut inner);
        self.bytes(number, &inner.0)
    }
}

/// 2026-01-01T00:00:00Z
const EPOCH_SECONDS: u64 = 1_767_225_600;

const METRICS: &[&str] = &[
    "container_cpu_usage_seconds_total",
    "container_memory_working_set_bytes",
    "container_network_receive_bytes_total",
    "container_network_transmit_packets_total",
    "http_server_request_duration_seconds_bucket",
    "kube_pod_container_status_ready",
    "process_resident_memory_bytes",
    "go_gc_duration_seconds",
];
const NAMESPACES: &[&str] = &["checkout", "payments", "kube-system", "monitoring", "search"];
const SERVICES: &[&str] = &["cart", "checkout-api", "ledger", "catalogue", "recommendations"];
const REGIONS: &[&str] = &["eu-central-1", "us-east-1", "ap-southeast-2"];

/// A decoded `prometheus.WriteRequest`: `samples` samples, each in a TimeSeries of its own with ten
/// labels, about 350 bytes each.
pub fn remote_write(seed: u64, samples: usize) -> Vec<u8> {
    remote_write_of(seed, seed ^ 0x5eed, samples)
}

/// The same with seeds of its own for the series and for their values: a sender's next scrape has the
/// same `series_seed` and another `value_seed`.
pub fn remote_write_of(series_seed: u64, value_seed: u64, samples: usize) -> Vec<u8> {
    let mut request = Message::default();
    scrape(series_seed, value_seed, samples, |labels, value, timestamp| {
        request.message(1, |series| {
            for (name, value) in labels {
                series.message(1, |label| {
                    label.text(1, name).text(2, value);
                });
            }
            series.message(2, |sample| {
                sample.fixed64(1, value.to_bits()).varint(2, timestamp);
            });
        });
    });
    request.0
}

/// The media type of [`remote_write_2`].
pub const REMOTE_WRITE_2_TYPE: &[u8] =
    b"application/x-protobuf;proto=io.prometheus.write.v2.Request";

/// The samples of [`remote_write`] as a decoded `io.prometheus.write.v2.Request`: symbols in the order
/// of their first use, metadata with each series, as Prometheus writes it.
pub fn remote_write_2(seed: u64, samples: usize) -> Vec<u8> {
    remote_write_2_of(seed, seed ^ 0x5eed, samples)
}

/// The same with seeds of its own for the series and for their values.
pub fn remote_write_2_of(series_seed: u64, value_seed: u64, samples: usize) -> Vec<u8> {
    let mut table = SymbolTable::default();
    table.reference("");
    let mut all_series = Message::default();
    scrape(series_seed, value_seed, samples, |labels, value, timestamp| {
        let mut refs = Message::default();
        for (name, value) in labels {
            refs.raw_varint(table.reference(name));
            refs.raw_varint(table.reference(value));
        }
        let help = table.reference("What is measured, in a sentence or two.");
        all_series.message(5, |series| {
            series.bytes(1, &refs.0);
            series.message(2, |sample| {
                sample.fixed64(1, value.to_bits()).varint(2, timestamp);
            });
            series.message(5, |metadata| {
                metadata.varint(1, 2).varint(3, help);
            });
        });
    });
    let mut request = table.symbols;
    request.0.extend_from_slice(&all_series.0);
    request.0
}

#[derive(Default)]
struct SymbolTable {
    symbols: Message,
    places: std::collections::HashMap<String, u64>,
}

impl SymbolTable {
    fn reference(&mut self, text: &str) -> u64 {
        if let Some(&place) = self.places.get(text) {
            return place;
        }
        self.symbols.text(4, text);
        let place = self.places.len() as u64;
        self.places.insert(text.to_owned(), place);
        place
    }
}

/// Labels, value and time in milliseconds of each sample.
fn scrape(
    series_seed: u64,
    value_seed: u64,
    samples: usize,
    mut each: impl FnMut(&[(&str, String); 10], f64, u64),
) {
    let mut random = Random::new(series_seed);
    let mut values = Random::new(value_seed);
    for index in 0..samples {
        let service = random.pick(SERVICES);
        let region = random.pick(REGIONS);
        let labels: [(&str, String); 10] = [
            ("__name__", random.pick(METRICS).to_owned()),
            ("cluster", format!("production-{region}")),
            ("container", service.to_owned()),
            ("endpoint", "http-metrics".to_owned()),
            (
                "instance",
                format!("10.{}.{}.{}:9100", random.below(64), random.below(256), random.below(256)),
            ),
            ("job", format!("kubernetes-{service}")),
            ("namespace", random.pick(NAMESPACES).to_owned()),
            (
                "node",
                format!("ip-10-{}-{}.{region}.compute.internal", random.below(99), index % 512),
            ),
            ("pod", format!("{service}-{}-{}", random.hex(10), random.hex(5))),
            ("service", service.to_owned()),
        ];
        let value = values.below(1_000_000) as f64 / 16.0;
        let timestamp = EPOCH_SECONDS * 1000 + values.below(15_000) as u64;
        each(&labels, value, timestamp);
    }
}

fn attribute(message: &mut Message, number: u32, key: &str, value: &str) {
    message.message(number, |pair| {
        pair.text(1, key).message(2, |any| {
            any.text(1, value);
        });
    });
}

fn integer_attribute(message: &mut Message, number: u32, key: &str, value: u64) {
    message.message(number, |pair| {
        pair.text(1, key).message(2, |any| {
            any.varint(3, value);
        });
    });
}

/// Records under one resource of [`otlp_logs`].
const RECORDS_PER_RESOURCE: usize = 50;

/// An `ExportLogsServiceRequest`: `records` records of about 330 bytes with five attributes each, fifty
/// of them under each resource, which has nine.
pub fn otlp_logs(seed: u64, records: usize) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut request = Message::default();
    let mut left = records;
    while left > 0 {
        let count = left.min(RECORDS_PER_RESOURCE);
        left -= count;
        request.message(1, |holder| {
            holder.message(1, |resource| resource_attributes(resource, &mut random));
            holder.message(2, |scope_holder| {
                scope_holder.message(1, |scope| {
                    scope.text(1, "io.opentelemetry.contrib.slog").text(2, "1.4.2");
                });
                for _ in 0..count {
                    scope_holder.message(2, |record| log_record(record, &mut random));
                }
            });
            holder.text(3, "https://opentelemetry.io/schemas/1.26.0");
        });
    }
    request.0
}

fn resource_attributes(resource: &mut Message, random: &mut Random) {
    let service = random.pick(SERVICES);
    let region = random.pick(REGIONS);
    attribute(resource, 1, "service.name", service);
    attribute(resource, 1, "service.version", "2026.4.1");
    attribute(resource, 1, "deployment.environment", "production");
    attribute(resource, 1, "cloud.region", region);
    attribute(resource, 1, "k8s.cluster.name", &format!("production-{region}"));
    attribute(resource, 1, "k8s.namespace.name", random.pick(NAMESPACES));
    attribute(resource, 1, "k8s.pod.name", &format!("{service}-{}", random.hex(10)));
    attribute(resource, 1, "host.name", &format!("ip-10-0-{}", random.below(256)));
    integer_attribute(resource, 1, "process.pid", 1 + random.below(60_000) as u64);
}

fn log_record(record: &mut Message, random: &mut Random) {
    let nanos = EPOCH_SECONDS * 1_000_000_000 + random.below(1_000_000_000) as u64;
    let (number, text) = *[(9, "INFO"), (9, "INFO"), (13, "WARN"), (17, "ERROR")]
        .get(random.below(4))
        .unwrap_or(&(9, "INFO"));
    record.fixed64(1, nanos).varint(2, number).text(3, text);
    record.message(5, |body| {
        body.text(
            1,
            &format!(
                "request finished route=/api/v1/{}/{} upstream={} attempt={} cached=false",
                random.pick(SERVICES),
                random.hex(8),
                random.pick(NAMESPACES),
                random.below(3),
            ),
        );
    });
    attribute(record, 6, "http.request.method", random.pick(&["GET", "POST", "PUT"]));
    integer_attribute(record, 6, "http.response.status_code", 200 + random.below(300) as u64);
    attribute(record, 6, "url.path", &format!("/api/v1/{}", random.pick(SERVICES)));
    attribute(record, 6, "client.address", &format!("192.0.2.{}", random.below(256)));
    attribute(record, 6, "thread.name", &format!("worker-{}", random.below(64)));
    let trace_id: Vec<u8> = [random.draw(), random.draw() | 1].map(u64::to_le_bytes).concat();
    record.fixed32(8, 1);
    record.bytes(9, &trace_id);
    record.bytes(10, &(random.draw() | 1).to_le_bytes());
    record.fixed64(11, nanos + 1_200_000);
}

/// An `ExportTraceServiceRequest`: `spans` spans of about 500 bytes with eight attributes each and an
/// event on every fourth, fifty of them under each resource, which has nine.
pub fn otlp_traces(seed: u64, spans: usize) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut request = Message::default();
    let mut left = spans;
    while left > 0 {
        let count = left.min(RECORDS_PER_RESOURCE);
        left -= count;
        request.message(1, |holder| {
            holder.message(1, |resource| resource_attributes(resource, &mut random));
            holder.message(2, |scope_holder| {
                scope_holder.message(1, |scope| {
                    scope.text(1, "opentelemetry.instrumentation.http").text(2, "0.54.0");
                });
                for _ in 0..count {
                    scope_holder.message(2, |message| span(message, &mut random));
                }
            });
        });
    }
    request.0
}

fn span(span: &mut Message, random: &mut Random) {
    let start = EPOCH_SECONDS * 1_000_000_000 + random.below(1_000_000_000) as u64;
    let end = start + 1_000_000 + random.below(90_000_000) as u64;
    let service = random.pick(SERVICES);
    let status = 200 + random.below(300) as u64;
    span.bytes(1, &[random.draw(), random.draw() | 1].map(u64::to_le_bytes).concat());
    span.bytes(2, &(random.draw() | 1).to_le_bytes());
    span.bytes(4, &(random.draw() | 1).to_le_bytes());
    span.text(5, &format!("GET /api/v1/{service}/{{id}}"));
    span.varint(6, 2 + random.below(2) as u64).fixed64(7, start).fixed64(8, end);
    attribute(span, 9, "http.request.method", random.pick(&["GET", "POST", "PUT"]));
    let host = format!("{service}.production.example.com");
    attribute(span, 9, "url.full", &format!("https://{host}/api/v1/{service}/{}", random.hex(8)));
    attribute(span, 9, "http.route", &format!("/api/v1/{service}/{{id}}"));
    integer_attribute(span, 9, "http.response.status_code", status);
    attribute(span, 9, "server.address", &host);
    integer_attribute(span, 9, "server.port", 8443);
    attribute(span, 9, "client.address", &format!("192.0.2.{}", random.below(256)));
    attribute(span, 9, "user_agent.original", "python-requests/2.32.3 (Linux x86_64)");
    if random.below(4) == 0 {
        span.message(11, |event| {
            event.fixed64(1, start + 500_000).text(2, "exception");
            attribute(event, 3, "exception.type", "TimeoutError");
            attribute(event, 3, "exception.message", "upstream did not answer in time");
        });
    }
    span.message(15, |message| {
        if status >= 500 {
            message.text(2, "upstream failed").varint(3, 2);
        }
    });
    span.fixed32(16, 0x101);
}

/// Points of each metric of [`otlp_metrics`], and metrics under each resource.
const POINTS_PER_METRIC: usize = 10;
const METRICS_PER_RESOURCE: usize = 20;

/// An `ExportMetricsServiceRequest`: `points` number points of about 105 bytes, gauges and sums in
/// turn, ten points each with three attributes.
pub fn otlp_metrics(seed: u64, points: usize) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut request = Message::default();
    let mut left = points;
    while left > 0 {
        request.message(1, |holder| {
            holder.message(1, |resource| resource_attributes(resource, &mut random));
            holder.message(2, |scope_holder| {
                scope_holder.message(1, |scope| {
                    scope.text(1, "opentelemetry.instrumentation.system").text(2, "0.54.0");
                });
                for index in 0..METRICS_PER_RESOURCE {
                    let count = left.min(POINTS_PER_METRIC);
                    left -= count;
                    if count > 0 {
                        scope_holder
                            .message(2, |message| metric(message, &mut random, index, count));
                    }
                }
            });
        });
    }
    request.0
}

fn metric(metric: &mut Message, random: &mut Random, index: usize, points: usize) {
    metric.text(1, random.pick(METRICS)).text(2, "What it counts.").text(3, "By");
    let is_sum = index.is_multiple_of(2);
    metric.message(if is_sum { 7 } else { 5 }, |data| {
        for _ in 0..points {
            data.message(1, |point| number_point(point, random, is_sum));
        }
        if is_sum {
            data.varint(2, 2).varint(3, 1);
        }
    });
}

fn number_point(point: &mut Message, random: &mut Random, is_integer: bool) {
    let nanos = EPOCH_SECONDS * 1_000_000_000;
    point.fixed64(2, nanos).fixed64(3, nanos + random.below(1_000_000_000) as u64);
    if is_integer {
        point.fixed64(6, random.below(1 << 40) as u64);
    } else {
        point.fixed64(4, (random.below(1_000_000) as f64 / 16.0).to_bits());
    }
    attribute(point, 7, "device", &format!("nvme{}n1", random.below(16)));
    attribute(point, 7, "direction", random.pick(&["read", "write"]));
    attribute(point, 7, "service", random.pick(SERVICES));
}
