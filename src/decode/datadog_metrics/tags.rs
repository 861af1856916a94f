//! What a series is about, as OpenTelemetry's resource and labels.
//!
//! Place: on the filling pass, between a series' fields and the sink. Host, resources and tags with a
//! meaning in the semantic conventions go to the resource, all else to the labels:
//!
//! ```text
//! host, resource of type host      host.name; a tag `host` only where the series names no host
//! resource of type device, device  label `device`
//! other resources                  resource attributes, by their type
//! tag `key:value:more`             `key` with `value:more`
//! tag `word`                       `word` with `no_label_value`, as VictoriaMetrics stores it
//! ```
//!
//! A series' tags are a set, in any order, in which a key may stand with several values. So pairs are
//! sorted and the same pair counts once; a key with several values has the sorted array of them. The
//! resource is said again only where it differs from the one before.
#![deny(clippy::indexing_slicing)]

use crate::batch::record::{Attributes, Nothing, Resource, Scope, Series, Text, Value, Values};
use crate::batch::{RecordSink, RejectCause};
use crate::limits;

/// The value of a tag that is a word alone.
const NO_VALUE: &[u8] = b"no_label_value";

/// The semantic convention's name of a tag that says what sent a series.
fn resource_key(tag: &[u8]) -> Option<&'static str> {
    Some(match tag {
        b"env" => "deployment.environment.name",
        b"service" => "service.name",
        b"version" => "service.version",
        b"container_id" => "container.id",
        b"container_name" => "container.name",
        b"image_name" => "container.image.name",
        b"image_tag" => "container.image.tags",
        b"pod_name" => "k8s.pod.name",
        b"pod_uid" => "k8s.pod.uid",
        b"kube_cluster_name" => "k8s.cluster.name",
        b"kube_container_name" => "k8s.container.name",
        b"kube_cronjob" => "k8s.cronjob.name",
        b"kube_daemon_set" => "k8s.daemonset.name",
        b"kube_deployment" => "k8s.deployment.name",
        b"kube_job" => "k8s.job.name",
        b"kube_namespace" => "k8s.namespace.name",
        b"kube_node" => "k8s.node.name",
        b"kube_replica_set" => "k8s.replicaset.name",
        b"kube_stateful_set" => "k8s.statefulset.name",
        _ => return None,
    })
}

/// How many tags and resources a series has, and their bytes.
#[derive(Clone, Copy, Default)]
pub struct Taken {
    count: u32,
    size: usize,
}

impl Taken {
    #[inline]
    pub fn add(&mut self, size: usize) {
        self.count += 1;
        self.size += size;
    }

    pub const fn and(self, other: Self) -> Self {
        Self { count: self.count + other.count, size: self.size + other.size }
    }

    /// Why a series is rejected with all its points. `own_size`: of its host and the like.
    #[inline]
    pub const fn refusal(self, metric: &[u8], own_size: usize) -> Option<RejectCause> {
        if metric.is_empty() {
            Some(RejectCause::NameMissing)
        } else if self.count > limits::SERIES_TAG_COUNT_MAX
            || self.size + own_size > limits::SERIES_TAGS_SIZE_MAX
        {
            Some(RejectCause::OverLimit)
        } else {
            None
        }
    }
}

/// One series at a time. Memory is bounded by [`Taken::refusal`].
#[derive(Default)]
pub struct Tags {
    resource: Pairs,
    labels: Pairs,
    has_host: bool,
    /// The resource that the sink heard last.
    said: Option<Vec<u8>>,
    /// Its memory while there is none.
    spare: Vec<u8>,
}

impl Tags {
    /// Forgets what the sink heard.
    pub fn begin_body(&mut self) {
        if let Some(said) = self.said.take() {
            self.spare = said;
        }
    }

    pub fn begin_series(&mut self) {
        self.resource.clear();
        self.labels.clear();
        self.has_host = false;
    }

    pub fn host(&mut self, name: &[u8]) {
        if !name.is_empty() {
            self.has_host = true;
            self.resource.push(b"host.name", name);
        }
    }

    pub fn resource(&mut self, kind: &[u8], name: &[u8]) {
        match kind {
            _ if name.is_empty() => {}
            b"" => {}
            b"host" => self.host(name),
            b"device" => self.labels.push(kind, name),
            _ => self.resource.push(resource_key(kind).map_or(kind, str::as_bytes), name),
        }
    }

    pub fn label(&mut self, key: &str, value: &[u8]) {
        if !value.is_empty() {
            self.labels.push(key.as_bytes(), value);
        }
    }

    /// After the hosts, which decide what a tag `host` is.
    pub fn tag(&mut self, tag: &[u8]) {
        let (key, value) = match memchr::memchr(b':', tag) {
            _ if tag.is_empty() => return,
            None | Some(0) => (tag, NO_VALUE),
            Some(colon) => {
                (tag.get(..colon).unwrap_or_default(), tag.get(colon + 1..).unwrap_or_default())
            }
        };
        match resource_key(key) {
            Some(known) => self.resource.push(known.as_bytes(), value),
            None if key == b"host" && !self.has_host => self.resource.push(b"host.name", value),
            None => self.labels.push(key, value),
        }
    }

    /// Says the series, and its resource before it if that is another one.
    pub fn say<S: RecordSink>(&mut self, series: &Series<'_>, sink: &mut S) {
        self.resource.finish();
        self.labels.finish();
        if self.said.as_ref() != Some(&self.resource.encoded) {
            sink.resource(&Resource { attributes: &self.resource, schema_url: Text::EMPTY });
            sink.scope(&Scope {
                name: Text::EMPTY,
                version: Text::EMPTY,
                attributes: &Nothing,
                schema_url: Text::EMPTY,
            });
            let said = self.said.get_or_insert_with(|| std::mem::take(&mut self.spare));
            said.clone_from(&self.resource.encoded);
        }
        let raw = Some(self.labels.encoded.as_slice());
        sink.series(&Series { labels: &self.labels, raw, ..*series });
    }
}

/// A pair by its places in the text: key, then value.
#[derive(Clone, Copy)]
struct Pair {
    start: usize,
    colon: usize,
    end: usize,
}

impl Pair {
    fn key(self, text: &[u8]) -> &[u8] {
        text.get(self.start..self.colon).unwrap_or_default()
    }

    fn value(self, text: &[u8]) -> &[u8] {
        text.get(self.colon..self.end).unwrap_or_default()
    }
}

#[derive(Default)]
struct Pairs {
    text: Vec<u8>,
    pairs: Vec<Pair>,
    /// All pairs in their order with their lengths: equal bytes, equal pairs.
    encoded: Vec<u8>,
}

impl Pairs {
    fn clear(&mut self) {
        self.text.clear();
        self.pairs.clear();
    }

    fn push(&mut self, key: &[u8], value: &[u8]) {
        let start = self.text.len();
        self.text.extend_from_slice(key);
        let colon = self.text.len();
        self.text.extend_from_slice(value);
        self.pairs.push(Pair { start, colon, end: self.text.len() });
    }

    fn finish(&mut self) {
        let Self { text, pairs, encoded } = self;
        let content = |pair: &Pair| (pair.key(text), pair.value(text));
        pairs.sort_unstable_by(|left, right| content(left).cmp(&content(right)));
        pairs.dedup_by(|left, right| content(left) == content(right));
        encoded.clear();
        for pair in pairs {
            for part in [pair.key(text), pair.value(text)] {
                encoded.extend_from_slice(&(part.len() as u64).to_le_bytes());
                encoded.extend_from_slice(part);
            }
        }
    }
}

impl Attributes for Pairs {
    fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
        let text = &self.text;
        for pairs in self.pairs.chunk_by(|left, right| left.key(text) == right.key(text)) {
            match pairs {
                [] => {}
                [pair] => visit(Text(pair.key(text)), Value::Text(Text(pair.value(text)))),
                [first, ..] => visit(Text(first.key(text)), Value::Array(&Group { text, pairs })),
            }
        }
    }
}

/// The values of one key.
struct Group<'a> {
    text: &'a [u8],
    pairs: &'a [Pair],
}

impl Values for Group<'_> {
    fn walk(&self, visit: &mut dyn FnMut(Value<'_>)) {
        for pair in self.pairs {
            visit(Value::Text(Text(pair.value(self.text))));
        }
    }
}
