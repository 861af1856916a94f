//! OTLP/JSON bodies for benches and load, written as the JavaScript and Go SDKs write them: seeded, so that
//! every run and every rival gets the same.

#![allow(dead_code, reason = "each of the programs that include this file uses a part of it")]

use std::fmt::Write;

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

const RESOURCE: &str = r#"{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"checkout"}},{"key":"telemetry.sdk.language","value":{"stringValue":"nodejs"}},{"key":"process.pid","value":{"intValue":4711}}],"droppedAttributesCount":0},"#;

/// `count` items under one resource and one scope.
fn tree(
    names: [&str; 3],
    seed: u64,
    count: usize,
    mut item: impl FnMut(&mut Random, &mut String),
) -> Vec<u8> {
    let mut random = Random(seed | 1);
    let [resources, scopes, items] = names;
    let mut body = format!(
        "{{\"{resources}\":[{RESOURCE}\"{scopes}\":[{{\"scope\":{{\"name\":\"http\",\"version\":\"1.4.2\"}},\"{items}\":["
    );
    for index in 0..count {
        if index > 0 {
            body.push(',');
        }
        item(&mut random, &mut body);
    }
    body.push_str("]}]}]}");
    body.into_bytes()
}

fn nanos(random: &mut Random) -> u64 {
    1_767_225_600_000_000_000 + random.below(60_000_000_000)
}

/// About 677 bytes a record.
pub fn otlp_logs(seed: u64, records: usize) -> Vec<u8> {
    tree(["resourceLogs", "scopeLogs", "logRecords"], seed, records, |random, body| {
        let time = nanos(random);
        let (user, status) = (random.below(1_000_000), 200 + random.below(300));
        let (trace, span) = (random.below(u64::MAX / 4) | 1, random.below(u64::MAX / 4) | 1);
        // Writing to memory does not fail.
        let _ = write!(
            body,
            r#"{{"timeUnixNano":"{time}","observedTimeUnixNano":"{}","severityNumber":9,"severityText":"INFO","body":{{"stringValue":"request finished route=/api/v1/orders/{user} upstream=payments attempt=1 cached=false"}},"attributes":[{{"key":"http.request.method","value":{{"stringValue":"POST"}}}},{{"key":"http.response.status_code","value":{{"intValue":{status}}}}},{{"key":"url.path","value":{{"stringValue":"/api/v1/orders/{user}"}}}},{{"key":"client.address","value":{{"stringValue":"192.0.2.{}"}}}},{{"key":"enduser.id","value":{{"stringValue":"user-{user}"}}}}],"droppedAttributesCount":0,"flags":1,"traceId":"{trace:032x}","spanId":"{span:016x}"}}"#,
            time + 1_200_000,
            user % 256,
        );
    })
}

/// Spans with six attributes and one event.
pub fn otlp_traces(seed: u64, spans: usize) -> Vec<u8> {
    tree(["resourceSpans", "scopeSpans", "spans"], seed, spans, |random, body| {
        let time = nanos(random);
        let (user, status) = (random.below(1_000_000), 200 + random.below(300));
        let (trace, span) = (random.below(u64::MAX / 4) | 1, random.below(u64::MAX / 4) | 1);
        let _ = write!(
            body,
            r#"{{"traceId":"{trace:032x}","spanId":"{span:016x}","parentSpanId":"{:016x}","name":"POST /api/v1/orders","kind":2,"startTimeUnixNano":"{time}","endTimeUnixNano":"{}","attributes":[{{"key":"http.request.method","value":{{"stringValue":"POST"}}}},{{"key":"http.response.status_code","value":{{"intValue":{status}}}}},{{"key":"url.path","value":{{"stringValue":"/api/v1/orders/{user}"}}}},{{"key":"server.address","value":{{"stringValue":"checkout.internal"}}}},{{"key":"network.protocol.version","value":{{"stringValue":"1.1"}}}},{{"key":"enduser.id","value":{{"stringValue":"user-{user}"}}}}],"droppedAttributesCount":0,"events":[{{"attributes":[],"name":"body read","timeUnixNano":"{time}","droppedAttributesCount":0}}],"droppedEventsCount":0,"status":{{"code":0}},"links":[],"droppedLinksCount":0,"flags":257}}"#,
            span ^ 2,
            time + 1 + random.below(90_000_000),
        );
    })
}

/// Metrics of one point each: a sum, and every fourth time a histogram.
pub fn otlp_metrics(seed: u64, points: usize) -> Vec<u8> {
    let mut index = 0;
    tree(["resourceMetrics", "scopeMetrics", "metrics"], seed, points, |random, body| {
        index += 1;
        let (time, count, value) = (nanos(random), random.below(100), random.below(1_000_000));
        let labels = format!(
            r#""attributes":[{{"key":"http.route","value":{{"stringValue":"/api/v1/orders"}}}},{{"key":"instance","value":{{"intValue":{}}}}}],"startTimeUnixNano":"1767225600000000000","timeUnixNano":"{time}""#,
            value % 500
        );
        let _ = if index % 4 == 0 {
            write!(
                body,
                r#"{{"name":"http.server.request.duration","description":"Duration","unit":"s","histogram":{{"aggregationTemporality":2,"dataPoints":[{{{labels},"count":{count},"sum":{}.5,"bucketCounts":[{count},0,0,0],"explicitBounds":[0.1,1,10],"min":0.25,"max":1.5}}]}}}}"#,
                value
            )
        } else {
            write!(
                body,
                r#"{{"name":"http.server.requests","description":"Requests","unit":"1","sum":{{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{{{labels},"asDouble":{value}}}]}}}}"#
            )
        };
    })
}
