//! The numbers that `admin` shows. Written where things happen, read by `admin`; with the journal the
//! only place where shards and background threads meet.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::envelope::{Route, Signal};

/// Endpoints whose bodies are answered and not kept.
pub const UNKEPT_COUNT: usize = 6;
/// Distinct paths without an endpoint that are counted apart; the rest is one number.
pub const UNKNOWN_PATH_COUNT_MAX: usize = 64;
/// A longer path is cut for its label.
const UNKNOWN_PATH_SIZE_MAX: usize = 96;

/// A number with any writers.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// For the only writer: no locked instruction.
    pub fn add_own(&self, amount: u64) {
        self.0.store(self.value().wrapping_add(amount), Ordering::Relaxed);
    }

    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Upper bounds of the commit histogram in nanoseconds; the last bucket has none.
pub const COMMIT_BOUNDS_NANOS: [u64; 14] = [
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    500_000_000,
    1_000_000_000,
    5_000_000_000,
];

#[derive(Debug, Default)]
pub struct Latency {
    pub buckets: [Counter; COMMIT_BOUNDS_NANOS.len() + 1],
    pub sum_nanos: Counter,
}

impl Latency {
    pub fn observe_own(&self, nanos: u64) {
        let bucket = COMMIT_BOUNDS_NANOS.partition_point(|&bound| bound < nanos);
        self.buckets[bucket].add_own(1);
        self.sum_nanos.add_own(nanos);
    }
}

/// Places of a shard's request table: every route, and one for all other endpoints.
pub const ENDPOINT_COUNT: usize = Route::ALL.len() + 1;
/// Distinct refusal causes that are counted apart.
pub const CAUSE_COUNT_MAX: usize = 40;

pub fn endpoint_index(route: Option<Route>) -> usize {
    route.map_or(ENDPOINT_COUNT - 1, |route| usize::from(route.number()) - 1)
}

pub fn endpoint_label(index: usize) -> &'static str {
    Route::ALL.get(index).map_or("other", |route| route.path())
}

/// What one shard tells of itself; the shard is the only writer. Padded, so that no other shard's
/// numbers share its cache lines.
#[derive(Debug)]
#[repr(align(128))]
pub struct ShardCounters {
    pub requests: [Counter; ENDPOINT_COUNT],
    /// By endpoint and cause; the labels are in the order in which causes were first seen.
    pub refusals: Box<[[Counter; CAUSE_COUNT_MAX]; ENDPOINT_COUNT]>,
    causes: Mutex<Vec<&'static str>>,
    /// Records that were rejected while the rest of their body was kept, by endpoint.
    pub rejected: [Counter; ENDPOINT_COUNT],
    /// Bodies that were answered and not kept, in the order of `route::Unkept::ALL`.
    pub unkept: [Counter; UNKEPT_COUNT],
    /// HTTP/2 connections that were ended for what they did too often, by `Abuse::place`.
    pub http2_abuse: [Counter; ABUSE_COUNT],
    /// TLS handshakes that were made: in full, and resumed.
    pub tls_handshakes: [Counter; 2],
    /// TLS connections that were ended for a fault, by `TlsFault::place`.
    pub tls_failures: [Counter; TLS_FAULT_COUNT],
    unknown_paths: Mutex<BTreeMap<String, u64>>,
    pub connections: Counter,
    pub accepted: Counter,
    pub received_bytes: Counter,
    pub commits: Latency,
    pub turns: Counter,
    /// When the last turn began, monotonic; with `turns` it tells a stuck shard.
    pub turn_nanos: Counter,
    pub body_bytes_lent: Counter,
}

impl Default for ShardCounters {
    fn default() -> Self {
        Self {
            requests: Default::default(),
            refusals: Box::new(std::array::from_fn(|_| {
                std::array::from_fn(|_| Counter::default())
            })),
            causes: Mutex::new(Vec::with_capacity(CAUSE_COUNT_MAX)),
            rejected: Default::default(),
            unkept: Default::default(),
            http2_abuse: Default::default(),
            tls_handshakes: Default::default(),
            tls_failures: Default::default(),
            unknown_paths: Mutex::default(),
            connections: Counter::default(),
            accepted: Counter::default(),
            received_bytes: Counter::default(),
            commits: Latency::default(),
            turns: Counter::default(),
            turn_nanos: Counter::default(),
            body_bytes_lent: Counter::default(),
        }
    }
}

impl ShardCounters {
    /// Counts a refusal. Refusals are rare and never on the fast path of a good sender; the lock is
    /// shared with `admin` alone, once a scrape.
    #[cold]
    pub fn refuse(&self, route: Option<Route>, cause: &'static str) {
        let mut causes = self.causes.lock().unwrap_or_else(PoisonError::into_inner);
        let place = causes.iter().position(|&known| known == cause).unwrap_or_else(|| {
            causes.push(cause);
            causes.len() - 1
        });
        drop(causes);
        self.refusals[endpoint_index(route)][place.min(CAUSE_COUNT_MAX - 1)].add_own(1);
    }

    /// Counts a request for a path that nothing answers: which of its posts a sender loses here must
    /// be seen by who runs it. The paths first seen have their own number.
    #[cold]
    pub fn count_unknown_path(&self, path: &str) {
        const OTHER: &str = "other";
        let mut end = path.len().min(UNKNOWN_PATH_SIZE_MAX);
        while !path.is_char_boundary(end) {
            end -= 1;
        }
        let path = path.get(..end).unwrap_or_default();
        let mut paths = self.unknown_paths.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = paths.get_mut(path) {
            *count += 1;
        } else if paths.len() < UNKNOWN_PATH_COUNT_MAX {
            paths.insert(path.to_owned(), 1);
        } else {
            *paths.entry(OTHER.to_owned()).or_default() += 1;
        }
    }

    pub fn unknown_paths(&self) -> BTreeMap<String, u64> {
        self.unknown_paths.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn causes(&self) -> Vec<&'static str> {
        self.causes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Acknowledged records of one tenant on one shard.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct TenantCounters {
    records: [Counter; 3],
}

impl TenantCounters {
    pub fn add_own(&self, signal: Signal, records: u64) {
        self.records[signal as usize].add_own(records);
    }

    pub fn value(&self, signal: Signal) -> u64 {
        self.records[signal as usize].value()
    }
}

/// All tenants' counters, by tenant and shard.
#[derive(Debug, Default)]
pub struct Tenants {
    known: Mutex<BTreeMap<(String, u32), Arc<TenantCounters>>>,
}

impl Tenants {
    /// The same counters for the same tenant and shard, also after keys were reloaded.
    pub fn counters(&self, tenant: &str, shard: u32) -> Arc<TenantCounters> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry((tenant.to_owned(), shard)).or_default())
    }

    /// Sums over shards.
    pub fn totals(&self) -> BTreeMap<String, [u64; 3]> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut totals: BTreeMap<String, [u64; 3]> = BTreeMap::new();
        for ((tenant, _), counters) in known.iter() {
            let total = totals.entry(tenant.clone()).or_default();
            for signal in Signal::ALL {
                total[signal as usize] += counters.value(signal);
            }
        }
        totals
    }
}

/// What the store tells of itself.
#[derive(Debug, Default)]
pub struct StoreCounters {
    /// Committed journal bytes that are not yet readable in Parquet.
    pub lag_bytes: Counter,
    pub plans: Counter,
    pub parts: Counter,
    pub part_bytes: Counter,
    pub rows: Counter,
    /// Texts in which invalid UTF-8 was replaced.
    pub texts_replaced: Counter,
    /// Records that could not be read and were stored as their text, by endpoint.
    pub unparsed: [Counter; ENDPOINT_COUNT],
    /// Entries that could not be decoded and went to quarantine.
    pub quarantined_entries: Counter,
    /// Plans that failed and are tried again (disk full, IO errors).
    pub plan_failures: Counter,
}

/// HTTP/2 frames that cost work and carry nothing. Names of `inrush_http2_abuse_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abuse {
    /// Requests taken back by their sender: Rapid Reset.
    Resets,
    /// Streams that we had to reset: MadeYouReset.
    StreamErrors,
    Settings,
    Pings,
    /// DATA that carries little and ends nothing.
    SmallData,
    WindowUpdates,
    Priorities,
    /// Frames of unknown types, and on streams that are gone.
    UselessFrames,
    /// CONTINUATION frames of one header block.
    Continuations,
    /// Header lists over their limits: many fields, or large ones.
    HeaderLists,
}

pub const ABUSE_COUNT: usize = 10;

impl Abuse {
    pub const ALL: [Self; ABUSE_COUNT] = [
        Self::Resets,
        Self::StreamErrors,
        Self::Settings,
        Self::Pings,
        Self::SmallData,
        Self::WindowUpdates,
        Self::Priorities,
        Self::UselessFrames,
        Self::Continuations,
        Self::HeaderLists,
    ];

    #[must_use]
    pub const fn place(self) -> usize {
        self as usize
    }

    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Resets => "resets",
            Self::StreamErrors => "stream_errors",
            Self::Settings => "settings",
            Self::Pings => "pings",
            Self::SmallData => "small_data",
            Self::WindowUpdates => "window_updates",
            Self::Priorities => "priorities",
            Self::UselessFrames => "useless_frames",
            Self::Continuations => "continuations",
            Self::HeaderLists => "header_lists",
        }
    }
}

pub const TLS_FAULT_COUNT: usize = 8;

/// Faults that end TLS connections. Names of `inrush_tls_failures_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFault {
    /// The peer refused us with an alert: it does not trust the certificate, most often.
    RefusedByPeer,
    /// No version, cipher suite or signature scheme that both know.
    Incompatible,
    /// ALPN: the peer speaks neither HTTP/2 nor HTTP/1.1.
    NoProtocol,
    /// The peer's certificate is missing or not good.
    ClientCertificate,
    /// Not TLS, or not as it should be.
    Malformed,
    /// HTTP in the clear on a TLS port.
    PlainHttp,
    /// The handshake was not done in time.
    Timeout,
    /// The peer left in the middle of the handshake.
    Abandoned,
}

impl TlsFault {
    pub const ALL: [Self; TLS_FAULT_COUNT] = [
        Self::RefusedByPeer,
        Self::Incompatible,
        Self::NoProtocol,
        Self::ClientCertificate,
        Self::Malformed,
        Self::PlainHttp,
        Self::Timeout,
        Self::Abandoned,
    ];

    #[must_use]
    pub const fn place(self) -> usize {
        self as usize
    }

    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::RefusedByPeer => "refused_by_peer",
            Self::Incompatible => "incompatible",
            Self::NoProtocol => "no_application_protocol",
            Self::ClientCertificate => "client_certificate",
            Self::Malformed => "malformed",
            Self::PlainHttp => "plain_http",
            Self::Timeout => "timeout",
            Self::Abandoned => "abandoned",
        }
    }

    /// What somebody who reads the log can do about it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::RefusedByPeer => {
                "the peer refused the connection with an alert: does it trust our certificate?"
            }
            Self::Incompatible => "the peer knows no TLS version, cipher suite or signature we do",
            Self::NoProtocol => "the peer speaks neither h2 nor http/1.1 (ALPN)",
            Self::ClientCertificate => "the peer's certificate is missing or not trusted",
            Self::Malformed => "what the peer sent is not TLS",
            Self::PlainHttp => "the peer sent plain HTTP to a TLS port: it should use https://",
            Self::Timeout => "the TLS handshake was not done in time",
            Self::Abandoned => "the peer left in the middle of the TLS handshake",
        }
    }
}
