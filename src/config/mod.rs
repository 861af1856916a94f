//! From file, environment and flags to one checked [`Config`].
//!
//! Place: before everything; nothing below `server` knows it. Later sources win: `inrush.toml`, then
//! `INRUSH_…`, then flags. Unknown names are refused by name, whatever their source.

mod value;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
pub use value::{Delay, Size};

use crate::buffer::Pool;
use crate::journal::SEGMENT_SIZE_MIN;
use crate::limits::{KIB, MIB, TENANT_SIZE_MAX};
use crate::tls::ClientAuth;

/// Everything that can be set, with its default.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Everything that inrush keeps: journal, store, keys.
    pub data_dir: PathBuf,
    /// Plaintext listeners.
    pub http: Vec<SocketAddr>,
    /// TLS listeners. Where only one kind of listener is given, the other has none.
    pub https: Vec<SocketAddr>,
    /// Metrics and health.
    pub admin: SocketAddr,
    /// Shards; 0 is a quarter of the cores, at least one.
    pub shards: u32,
    /// Threads that decode and write Parquet; 0 is the cores that are no shard's, at least one.
    pub store_workers: u32,
    /// Tenant of requests without any credential on plaintext listeners: tracers send no key.
    pub http_tenant: Option<String>,
    /// Also where such a listener can be reached from other machines.
    pub http_tenant_anywhere: bool,
    pub log_level: String,
    pub store: StoreConfig,
    pub journal: JournalConfig,
    pub limits: LimitsConfig,
    pub ring: RingConfig,
    pub tls: TlsConfig,
}

/// Without a certificate one is made for development, in the data folder.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// PEM: the server's own certificate first, then those that lead to an authority.
    pub certificate: Option<PathBuf>,
    /// PEM: its private key.
    pub key: Option<PathBuf>,
    /// PEM: authorities of client certificates.
    pub client_ca: Option<PathBuf>,
    /// `none`, `optional` or `required`; by default `required` with `client_ca`, else `none`.
    pub client_auth: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// Rows are readable at most this long after the reply.
    pub max_delay: Delay,
    /// Rows of one part are held in memory up to about this size.
    pub part_size: Size,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JournalConfig {
    /// All segments; full means refusals until the store has caught up.
    pub max_size: Size,
    pub segment_size: Size,
    /// False: buffered writes and `fdatasync`.
    pub direct: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Memory of one shard for bodies in flight and commits.
    pub body_memory: Size,
    /// Threads that validate bodies of more than 4 MiB.
    pub large_body_threads: u32,
    /// Connections of all shards; further ones are closed as they come.
    pub connections: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RingConfig {
    /// `auto` is `uring`, and `poll` where the kernel refuses it.
    pub mode: RingMode,
    /// `auto`, or `baseline` for what kernel 6.1 has.
    pub features: RingFeatures,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RingMode {
    Auto,
    Uring,
    Poll,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RingFeatures {
    Auto,
    Baseline,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("./inrush-data"),
            http: vec![SocketAddr::from(([127, 0, 0, 1], 8080))],
            https: vec![SocketAddr::from(([0, 0, 0, 0], 8443))],
            admin: SocketAddr::from(([127, 0, 0, 1], 8081)),
            shards: 0,
            store_workers: 0,
            http_tenant: None,
            http_tenant_anywhere: false,
            log_level: "info".to_owned(),
            store: StoreConfig::default(),
            journal: JournalConfig::default(),
            limits: LimitsConfig::default(),
            ring: RingConfig::default(),
            tls: TlsConfig::default(),
        }
    }
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { max_delay: Delay(Duration::from_secs(5)), part_size: Size(256 * MIB as u64) }
    }
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self {
            max_size: Size(10 * 1024 * MIB as u64),
            segment_size: Size(128 * MIB as u64),
            direct: true,
        }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self { body_memory: Size(192 * MIB as u64), large_body_threads: 2, connections: 32_768 }
    }
}

impl Default for RingConfig {
    fn default() -> Self {
        Self { mode: RingMode::Auto, features: RingFeatures::Auto }
    }
}

/// Every setting's environment variable and its place in the file.
pub const ENVIRONMENT: [(&str, &[&str]); 23] = [
    ("INRUSH_DATA_DIR", &["data_dir"]),
    ("INRUSH_HTTP", &["http"]),
    ("INRUSH_HTTPS", &["https"]),
    ("INRUSH_ADMIN", &["admin"]),
    ("INRUSH_SHARDS", &["shards"]),
    ("INRUSH_STORE_WORKERS", &["store_workers"]),
    ("INRUSH_HTTP_TENANT", &["http_tenant"]),
    ("INRUSH_HTTP_TENANT_ANYWHERE", &["http_tenant_anywhere"]),
    ("INRUSH_LOG_LEVEL", &["log_level"]),
    ("INRUSH_STORE_MAX_DELAY", &["store", "max_delay"]),
    ("INRUSH_STORE_PART_SIZE", &["store", "part_size"]),
    ("INRUSH_JOURNAL_MAX_SIZE", &["journal", "max_size"]),
    ("INRUSH_JOURNAL_SEGMENT_SIZE", &["journal", "segment_size"]),
    ("INRUSH_JOURNAL_DIRECT", &["journal", "direct"]),
    ("INRUSH_LIMITS_BODY_MEMORY", &["limits", "body_memory"]),
    ("INRUSH_LIMITS_LARGE_BODY_THREADS", &["limits", "large_body_threads"]),
    ("INRUSH_LIMITS_CONNECTIONS", &["limits", "connections"]),
    ("INRUSH_RING_MODE", &["ring", "mode"]),
    ("INRUSH_RING_FEATURES", &["ring", "features"]),
    ("INRUSH_TLS_CERTIFICATE", &["tls", "certificate"]),
    ("INRUSH_TLS_KEY", &["tls", "key"]),
    ("INRUSH_TLS_CLIENT_CA", &["tls", "client_ca"]),
    ("INRUSH_TLS_CLIENT_AUTH", &["tls", "client_auth"]),
];

/// Names that start like settings and are something else.
const NOT_SETTINGS: [&str; 2] = ["INRUSH_CONFIG", "INRUSH_CRASH_AT"];

#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError(pub String);

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

/// One setting from a flag: its place in the file, and its values.
pub type Override = (&'static [&'static str], Vec<String>);

/// Joins the sources. `file` is the text of `inrush.toml` and its name.
pub fn load(
    file: Option<(&Path, &str)>,
    environment: impl Iterator<Item = (String, String)>,
    flags: &[Override],
) -> Result<Config, ConfigError> {
    let mut table = toml::Table::new();
    if let Some((path, text)) = file {
        // Parsed once by itself, so that a fault names the file and the line.
        toml::from_str::<Config>(text)
            .map_err(|error| ConfigError(format!("{}: {error}", path.display())))?;
        table = toml::from_str(text)
            .map_err(|error| ConfigError(format!("{}: {error}", path.display())))?;
    }
    for (name, text) in environment {
        if !name.starts_with("INRUSH_") || NOT_SETTINGS.contains(&name.as_str()) {
            continue;
        }
        let Some((_, place)) = ENVIRONMENT.iter().find(|(known, _)| *known == name) else {
            return Err(ConfigError(format!(
                "{name} is not a setting; known are {}",
                ENVIRONMENT.map(|(known, _)| known).join(", ")
            )));
        };
        let values = text.split(',').map(|part| part.trim().to_owned()).collect();
        set(&mut table, place, values)
            .map_err(|error| ConfigError(format!("{name}={text}: {error}")))?;
    }
    for (place, values) in flags {
        set(&mut table, place, values.clone())
            .map_err(|error| ConfigError(format!("{}: {error}", place.join("."))))?;
    }
    // Who names a listener means that one alone.
    for (given, other) in [("http", "https"), ("https", "http")] {
        if table.contains_key(given) && !table.contains_key(other) {
            table.insert(other.to_owned(), toml::Value::Array(Vec::new()));
            break;
        }
    }
    let config: Config = table
        .try_into()
        .map_err(|error: toml::de::Error| ConfigError(error.message().to_owned()))?;
    config.check()
}

fn set(table: &mut toml::Table, place: &[&str], values: Vec<String>) -> Result<(), String> {
    let (last, parents) = place.split_last().ok_or("no place")?;
    let mut at = table;
    for parent in parents {
        at = at
            .entry((*parent).to_owned())
            .or_insert_with(|| toml::Value::Table(toml::Table::new()))
            .as_table_mut()
            .ok_or_else(|| format!("{parent} is not a table"))?;
    }
    let is_list = matches!(*last, "http" | "https");
    let value = if is_list {
        toml::Value::Array(values.into_iter().map(toml::Value::String).collect())
    } else {
        let text = values.into_iter().next_back().unwrap_or_default();
        match *last {
            "shards" | "store_workers" | "large_body_threads" | "connections" => {
                toml::Value::Integer(
                    text.parse().map_err(|_| format!("{text:?} is not a whole number"))?,
                )
            }
            "direct" | "http_tenant_anywhere" => toml::Value::Boolean(
                text.parse().map_err(|_| format!("{text:?} is not true or false"))?,
            ),
            _ => toml::Value::String(text),
        }
    };
    // Checked here and now, so that the fault names its source.
    let mut alone = toml::Table::from_iter([((*last).to_owned(), value.clone())]);
    for parent in parents.iter().rev() {
        alone = toml::Table::from_iter([((*parent).to_owned(), toml::Value::Table(alone))]);
    }
    alone.try_into::<Config>().map_err(|error| error.message().to_owned())?;
    at.insert((*last).to_owned(), value);
    Ok(())
}

impl Config {
    /// Fills what depends on the machine and refuses what cannot work.
    fn check(mut self) -> Result<Self, ConfigError> {
        let fail = |text: String| Err(ConfigError(text));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let cores = u32::try_from(cores).unwrap_or(1);
        if self.shards == 0 {
            self.shards = (cores / 4).max(1);
        }
        if self.store_workers == 0 {
            self.store_workers = cores.saturating_sub(self.shards).max(1);
        }
        if self.shards > 1024 {
            return fail(format!("shards is {}; at most 1024", self.shards));
        }
        if self.http.is_empty() && self.https.is_empty() {
            return fail("no listener: give at least one --https ADDR or --http ADDR".to_owned());
        }
        self.tls.check().map_err(ConfigError)?;
        if let Some(tenant) = &self.http_tenant {
            let is_name = (1..=TENANT_SIZE_MAX).contains(&tenant.len())
                && !tenant.chars().any(|char| char.is_control() || char.is_whitespace());
            if !is_name {
                return fail(format!(
                    "http_tenant {tenant:?}: 1 to {TENANT_SIZE_MAX} bytes without blanks, as for keys"
                ));
            }
            let open = self.http.iter().find(|address| !address.ip().is_loopback());
            if let Some(address) = open.filter(|_| !self.http_tenant_anywhere) {
                return fail(format!(
                    "http_tenant {tenant:?} would let anyone who reaches {address} send without a \
                     key: listen on 127.0.0.1, or allow it with --http-tenant-anywhere"
                ));
            }
        }
        if self.journal.segment_size.0 < SEGMENT_SIZE_MIN {
            return fail(format!(
                "journal.segment_size is {} bytes; at least {SEGMENT_SIZE_MIN}, so that the largest \
                 body fits",
                self.journal.segment_size.0
            ));
        }
        let needed = 2 * self.journal.segment_size.0 * u64::from(self.shards);
        if self.journal.max_size.0 < needed {
            return fail(format!(
                "journal.max_size is {} bytes; two segments for each of {} shards need {needed}",
                self.journal.max_size.0, self.shards
            ));
        }
        if self.limits.body_memory.0 < Pool::BUDGET_MIN as u64 {
            return fail(format!(
                "limits.body_memory is {} bytes; at least {}, so that the largest body fits",
                self.limits.body_memory.0,
                Pool::BUDGET_MIN
            ));
        }
        if self.limits.connections < self.shards {
            return fail(format!(
                "limits.connections is {}; at least one for each of {} shards",
                self.limits.connections, self.shards
            ));
        }
        if self.limits.large_body_threads == 0 {
            return fail("limits.large_body_threads must be at least 1".to_owned());
        }
        if self.store.part_size.0 < (64 * KIB) as u64 {
            return fail("store.part_size must be at least 64KiB".to_owned());
        }
        if self.store.max_delay.0 < Duration::from_millis(10) {
            return fail("store.max_delay must be at least 10ms".to_owned());
        }
        if !matches!(self.log_level.as_str(), "error" | "warn" | "info" | "debug" | "trace") {
            return fail(format!(
                "log_level {:?}: error, warn, info, debug or trace",
                self.log_level
            ));
        }
        Ok(self)
    }
}

impl TlsConfig {
    fn check(&self) -> Result<(), String> {
        match (&self.certificate, &self.key) {
            (Some(_), None) => return Err("tls.certificate is given, tls.key is not".to_owned()),
            (None, Some(_)) => return Err("tls.key is given, tls.certificate is not".to_owned()),
            _ => {}
        }
        match (self.client_auth.as_deref(), &self.client_ca) {
            (None | Some("none"), _) | (Some("optional" | "required"), Some(_)) => Ok(()),
            (Some(auth @ ("optional" | "required")), None) => Err(format!(
                "tls.client_auth is {auth:?}, but tls.client_ca names no authorities to check against"
            )),
            (Some(other), _) => {
                Err(format!("tls.client_auth {other:?}: none, optional or required"))
            }
        }
    }

    /// Whether clients show certificates, and by whose authority.
    #[must_use]
    pub fn clients(&self) -> Option<(PathBuf, ClientAuth)> {
        let path = self.client_ca.clone()?;
        match self.client_auth.as_deref() {
            Some("none") => None,
            Some("optional") => Some((path, ClientAuth::Optional)),
            _ => Some((path, ClientAuth::Required)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none() -> std::iter::Empty<(String, String)> {
        std::iter::empty()
    }

    fn variable(name: &str, text: &str) -> std::iter::Once<(String, String)> {
        std::iter::once((name.to_owned(), text.to_owned()))
    }

    #[test]
    fn later_sources_win() {
        let path = Path::new("inrush.toml");
        let file = "shards = 2\nhttp = [\"127.0.0.1:1\"]\n[store]\nmax_delay = \"2s\"\n";
        let config = load(Some((path, file)), none(), &[]).unwrap();
        assert_eq!(config.shards, 2);
        assert_eq!(config.store.max_delay.0, Duration::from_secs(2));
        let config =
            load(Some((path, file)), variable("INRUSH_STORE_MAX_DELAY", "300ms"), &[]).unwrap();
        assert_eq!(config.store.max_delay.0, Duration::from_millis(300));
        let flags: [Override; 1] = [(&["http"], vec!["127.0.0.1:2".into(), "127.0.0.1:3".into()])];
        let config =
            load(Some((path, file)), variable("INRUSH_HTTP", "127.0.0.1:9"), &flags).unwrap();
        assert_eq!(config.http.len(), 2);
        assert_eq!(config.journal.max_size.0, 10 << 30, "untouched settings keep their default");
    }

    #[test]
    fn a_named_listener_is_the_only_kind() {
        let listeners = |environment: &[(&str, &str)]| {
            let variables = environment.iter().map(|(name, text)| ((*name).into(), (*text).into()));
            let config = load(None, variables, &[]).unwrap();
            (config.http.len(), config.https.len())
        };
        assert_eq!(listeners(&[]), (1, 1));
        assert_eq!(listeners(&[("INRUSH_HTTP", "127.0.0.1:1,127.0.0.1:2")]), (2, 0));
        assert_eq!(listeners(&[("INRUSH_HTTPS", "127.0.0.1:1")]), (0, 1));
        let both = [("INRUSH_HTTP", "127.0.0.1:1"), ("INRUSH_HTTPS", "127.0.0.1:2")];
        assert_eq!(listeners(&both), (1, 1));
    }

    #[test]
    fn faults_name_their_source() {
        let error = |file: Option<&str>, name: &str, text: &str| {
            let environment = (!name.is_empty()).then(|| (name.to_owned(), text.to_owned()));
            load(file.map(|text| (Path::new("inrush.toml"), text)), environment.into_iter(), &[])
                .unwrap_err()
                .0
        };
        assert!(error(Some("shard = 2"), "", "").contains("inrush.toml"));
        assert!(error(Some("shard = 2"), "", "").contains("shard"));
        assert!(error(None, "INRUSH_SHARD", "2").contains("INRUSH_SHARD is not a setting"));
        assert!(error(None, "INRUSH_SHARDS", "many").contains("INRUSH_SHARDS=many"));
        assert!(error(None, "INRUSH_HTTP", "nonsense").contains("INRUSH_HTTP=nonsense"));
        assert!(
            error(None, "INRUSH_STORE_MAX_DELAY", "5 weeks").contains("INRUSH_STORE_MAX_DELAY")
        );
        assert!(error(None, "INRUSH_JOURNAL_MAX_SIZE", "1MiB").contains("journal.max_size"));
        assert!(error(None, "INRUSH_TLS_KEY", "a.key").contains("tls.certificate is not"));
        assert!(error(None, "INRUSH_TLS_CLIENT_AUTH", "required").contains("tls.client_ca"));
        assert!(error(None, "INRUSH_TLS_CLIENT_AUTH", "perhaps").contains("none, optional"));
        assert!(error(None, "INRUSH_RING_MODE", "epoll").contains("`uring`, `poll`"));
        assert!(error(None, "INRUSH_RING_FEATURES", "all").contains("`baseline`"));
        assert!(error(None, "INRUSH_HTTP_TENANT", "").contains("http_tenant"));
        let open = Some("http = [\"127.0.0.1:1\", \"0.0.0.0:8126\"]");
        let told = error(open, "INRUSH_HTTP_TENANT", "dev");
        assert!(told.contains("0.0.0.0:8126") && told.contains("--http-tenant-anywhere"), "{told}");
        assert!(error(Some("[journal]\nmax_size = 1.5"), "", "").contains("max_size"));
    }

    #[test]
    fn every_environment_name_is_a_setting() {
        let defaults = Config::default();
        for (name, place) in ENVIRONMENT {
            let text = match *place.last().unwrap() {
                "http" | "https" | "admin" => "127.0.0.1:1",
                "shards" | "store_workers" | "large_body_threads" | "connections" => "1",
                "direct" | "http_tenant_anywhere" => "true",
                "max_delay" => "5s",
                "mode" | "features" => "auto",
                "part_size" | "max_size" | "segment_size" | "body_memory" => "1GiB",
                _ => "info",
            };
            let mut table = toml::Table::new();
            set(&mut table, place, vec![text.to_owned()])
                .unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        assert_eq!(defaults.http.len(), 1);
    }
}
