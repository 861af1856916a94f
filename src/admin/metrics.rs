//! `/metrics` in the Prometheus text format 0.0.4.
//!
//! Label sets are shard × route and tenant × signal, never the product: the page stays small however
//! many tenants there are.

use std::fmt::{Display, Write};

use super::Status;
use crate::counters::{
    Abuse, COMMIT_BOUNDS_NANOS, Counter, ENDPOINT_COUNT, TlsFault, endpoint_label,
};
use crate::envelope::Signal;
use crate::journal::Pressure;
use crate::route::Unkept;

struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (index, (key, text)) in labels.iter().enumerate() {
            self.0.push(if index == 0 { '{' } else { ',' });
            let _ = write!(self.0, "{key}=\"");
            for character in text.chars() {
                match character {
                    '\\' => self.0.push_str("\\\\"),
                    '"' => self.0.push_str("\\\""),
                    '\n' => self.0.push_str("\\n"),
                    other => self.0.push(other),
                }
            }
            self.0.push('"');
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }
}

#[allow(clippy::cast_precision_loss, reason = "seconds for people and graphs")]
fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

pub fn render(status: &Status) -> String {
    let mut page = Page(String::with_capacity(16 * 1024));
    requests(&mut page, status);
    records(&mut page, status);
    commits(&mut page, status);
    journal(&mut page, status);
    store(&mut page, status);
    page.0
}

fn requests(page: &mut Page, status: &Status) {
    page.family("inrush_requests_total", "counter", "Request heads, by shard and endpoint.");
    for (shard, counters) in status.shards.iter().enumerate() {
        let shard = shard.to_string();
        for (index, requests) in counters.requests.iter().enumerate() {
            if requests.value() > 0 {
                let labels = [("shard", &*shard), ("route", endpoint_label(index))];
                page.sample("inrush_requests_total", &labels, requests.value());
            }
        }
    }
    page.family(
        "inrush_unkept_total",
        "counter",
        "Posts of Datadog Agents and tracers that hold no telemetry: answered, not kept.",
    );
    for (index, unkept) in Unkept::ALL.into_iter().enumerate() {
        let count: u64 = status
            .shards
            .iter()
            .filter_map(|shard| shard.unkept.get(index))
            .map(Counter::value)
            .sum();
        if count > 0 {
            page.sample("inrush_unkept_total", &[("path", unkept.path())], count);
        }
    }
    page.family(
        "inrush_http2_abuse_total",
        "counter",
        "HTTP/2 connections that were ended for what they did too often.",
    );
    for abuse in Abuse::ALL {
        let count: u64 = status
            .shards
            .iter()
            .filter_map(|shard| shard.http2_abuse.get(abuse.place()))
            .map(Counter::value)
            .sum();
        if count > 0 {
            page.sample("inrush_http2_abuse_total", &[("abuse", abuse.label())], count);
        }
    }
    page.family(
        "inrush_tls_handshakes_total",
        "counter",
        "TLS handshakes that were made, in full or resumed.",
    );
    for (index, kind) in ["full", "resumed"].into_iter().enumerate() {
        let count: u64 =
            status.shards.iter().map(|shard| shard.tls_handshakes[index].value()).sum();
        page.sample("inrush_tls_handshakes_total", &[("kind", kind)], count);
    }
    page.family(
        "inrush_tls_failures_total",
        "counter",
        "TLS connections that were ended for a fault.",
    );
    for fault in TlsFault::ALL {
        let count: u64 =
            status.shards.iter().map(|shard| shard.tls_failures[fault.place()].value()).sum();
        if count > 0 {
            page.sample("inrush_tls_failures_total", &[("cause", fault.label())], count);
        }
    }
    page.family(
        "inrush_unknown_paths_total",
        "counter",
        "Requests for paths that no endpoint has, answered with 404.",
    );
    let mut paths = std::collections::BTreeMap::new();
    for (path, count) in status.shards.iter().flat_map(|shard| shard.unknown_paths()) {
        *paths.entry(path).or_insert(0) += count;
    }
    for (path, count) in paths {
        page.sample("inrush_unknown_paths_total", &[("path", &path)], count);
    }
    page.family("inrush_refusals_total", "counter", "Requests not taken, by endpoint and cause.");
    let mut refusals = std::collections::BTreeMap::new();
    for counters in &status.shards {
        let causes = counters.causes();
        for index in 0..ENDPOINT_COUNT {
            for (place, &cause) in causes.iter().enumerate() {
                let count = counters.refusals[index].get(place).map_or(0, Counter::value);
                if count > 0 {
                    *refusals.entry((endpoint_label(index), cause)).or_insert(0) += count;
                }
            }
        }
    }
    for ((route, cause), count) in refusals {
        page.sample("inrush_refusals_total", &[("route", route), ("cause", cause)], count);
    }
    by_shard(page, status, "inrush_connections", "gauge", "Open connections.", |shard| {
        shard.connections.value()
    });
    by_shard(
        page,
        status,
        "inrush_connections_accepted_total",
        "counter",
        "Connections accepted.",
        |shard| shard.accepted.value(),
    );
    by_shard(
        page,
        status,
        "inrush_received_bytes_total",
        "counter",
        "Bytes received on sockets.",
        |shard| shard.received_bytes.value(),
    );
    by_shard(
        page,
        status,
        "inrush_body_bytes",
        "gauge",
        "Memory lent to bodies and commits in flight.",
        |shard| shard.body_bytes_lent.value(),
    );
    by_shard(page, status, "inrush_turns_total", "counter", "Turns of the event loop.", |shard| {
        shard.turns.value()
    });
}

fn by_shard(
    page: &mut Page,
    status: &Status,
    name: &str,
    kind: &str,
    help: &str,
    value: impl Fn(&crate::counters::ShardCounters) -> u64,
) {
    page.family(name, kind, help);
    for (shard, counters) in status.shards.iter().enumerate() {
        page.sample(name, &[("shard", &shard.to_string())], value(counters));
    }
}

fn records(page: &mut Page, status: &Status) {
    page.family(
        "inrush_records_total",
        "counter",
        "Records acknowledged as durable, by tenant and signal.",
    );
    for (tenant, totals) in status.tenants.totals() {
        for signal in Signal::ALL {
            let labels = [("tenant", &*tenant), ("signal", signal.name())];
            page.sample("inrush_records_total", &labels, totals[signal as usize]);
        }
    }
    page.family(
        "inrush_rejected_records_total",
        "counter",
        "Records that were rejected while the rest of their body was kept, by endpoint.",
    );
    for index in 0..ENDPOINT_COUNT {
        let count: u64 = status.shards.iter().map(|shard| shard.rejected[index].value()).sum();
        if count > 0 {
            let labels = [("route", endpoint_label(index))];
            page.sample("inrush_rejected_records_total", &labels, count);
        }
    }
    page.family(
        "inrush_unparsed_records_total",
        "counter",
        "Records that could not be read and are stored as their text with _parse_error, by endpoint.",
    );
    for (index, unparsed) in status.store.unparsed.iter().enumerate() {
        if unparsed.value() > 0 {
            let labels = [("route", endpoint_label(index))];
            page.sample("inrush_unparsed_records_total", &labels, unparsed.value());
        }
    }
}

fn commits(page: &mut Page, status: &Status) {
    let name = "inrush_commit_seconds";
    page.family(name, "histogram", "From the start of a group commit until it is durable.");
    for (shard, counters) in status.shards.iter().enumerate() {
        let shard = shard.to_string();
        let mut total = 0;
        for (index, bucket) in counters.commits.buckets.iter().enumerate() {
            total += bucket.value();
            let bound = COMMIT_BOUNDS_NANOS
                .get(index)
                .map_or_else(|| "+Inf".to_owned(), |&bound| seconds(bound).to_string());
            let labels = [("shard", &*shard), ("le", &*bound)];
            page.sample("inrush_commit_seconds_bucket", &labels, total);
        }
        let labels = [("shard", &*shard)];
        let sum = seconds(counters.commits.sum_nanos.value());
        page.sample("inrush_commit_seconds_sum", &labels, sum);
        page.sample("inrush_commit_seconds_count", &labels, total);
    }
}

fn journal(page: &mut Page, status: &Status) {
    page.single(
        "inrush_journal_bytes",
        "gauge",
        "Durable journal bytes that followers still need.",
        status.journal.used_bytes(),
    );
    page.single(
        "inrush_journal_pressure",
        "gauge",
        "0 low, 1 high, 2 only the reserve is left, 3 full.",
        status.pressure() as u8,
    );
    page.single(
        "inrush_journal_damaged_ranges_total",
        "counter",
        "Ranges of acknowledged data that the device did not give back.",
        status.recovery.damaged_ranges + status.journal.counters.damaged_ranges.value(),
    );
    page.family("inrush_degraded", "gauge", "1 where the server goes on with a fault, by cause.");
    let found = status.degradations();
    for cause in ["journal_damage", "quarantine", "shard_poisoned", "store_failing"] {
        page.sample("inrush_degraded", &[("cause", cause)], u8::from(found.contains(&cause)));
    }
    page.single(
        "inrush_ready",
        "gauge",
        "1 while /readyz says ready.",
        u8::from(status.readiness().is_ready && status.pressure() != Pressure::Full),
    );
}

fn store(page: &mut Page, status: &Status) {
    page.family(
        "inrush_follower_lag_bytes",
        "gauge",
        "Durable journal bytes that a follower has not finished; 0 only when all is readable.",
    );
    page.sample("inrush_follower_lag_bytes", &[("follower", "store")], status.lag.bytes());
    let store = &status.store;
    for (name, help, value) in [
        ("inrush_store_plans_total", "Plans published.", &store.plans),
        ("inrush_store_parts_total", "Parquet files written.", &store.parts),
        ("inrush_store_part_bytes_total", "Bytes of Parquet files.", &store.part_bytes),
        ("inrush_store_rows_total", "Rows published.", &store.rows),
        ("inrush_store_plan_failures_total", "Plans tried again.", &store.plan_failures),
        (
            "inrush_store_texts_replaced_total",
            "Texts in which bytes that are not UTF-8 were replaced.",
            &store.texts_replaced,
        ),
        (
            "inrush_quarantined_entries_total",
            "Entries copied to quarantine.",
            &store.quarantined_entries,
        ),
    ] {
        page.single(name, "counter", help, value.value());
    }
}
