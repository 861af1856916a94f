//! The fields of one record: nested objects flattened, the last of equal names kept, and the ones
//! with a meaning picked out.
//!
//! ```text
//! {"a":1,"b":{"c":2,"d":{}},"e":[3]}   →   a = 1 · b.c = 2 · b.d = {} · e = [3]
//! ```

#![deny(clippy::indexing_slicing)]

use std::ops::Range;

use simd_json::Node;

use super::view::{node_count, text};
use crate::limits;

/// What a field's name means. Numbers are ranks: the lowest that is present and usable wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Attribute,
    Time(usize),
    Message(usize),
    Level(usize),
    SeverityNumber,
    TraceId(usize),
    SpanId(usize),
    TraceFlags,
    /// `service`, which stands for `service.name` where that is missing.
    Service,
    /// An index of [`RESOURCE_KEYS`].
    Resource(usize),
}

/// Fields that say what the record is about. The first five can come from the request's head; of
/// those, `source` only from there: as a field of a record it mostly names a file.
pub(super) const RESOURCE_KEYS: [&str; 16] = [
    "service.name",
    "env_name",
    "gc_env_type",
    "cluster",
    "source",
    "clusterId",
    "namespace",
    "gc_source_type",
    "service.namespace",
    "service.version",
    "deployment.environment",
    "deployment.environment.name",
    "host.name",
    "k8s.cluster.name",
    "k8s.namespace.name",
    "k8s.pod.name",
];
pub(super) const SERVICE_NAME: usize = 0;
pub(super) const SOURCE: usize = 4;
/// Of [`RESOURCE_KEYS`], those that the request's head may set.
pub(super) const HEAD_KEY_COUNT: usize = 5;

const TIME_COUNT: usize = 9;
const MESSAGE_COUNT: usize = 8;
/// `log`: an object of this name holds fields about the log (ECS), no message.
pub(super) const MESSAGE_LOG: usize = 2;
/// `event`: structlog's message where it is text, else fields about an event.
pub(super) const MESSAGE_EVENT: usize = 7;
const LEVEL_COUNT: usize = 5;
const ID_COUNT: usize = 3;

pub(super) fn role(key: &[u8]) -> Role {
    match key {
        b"timestamp" => Role::Time(0),
        b"time" => Role::Time(1),
        b"ts" => Role::Time(2),
        b"date" => Role::Time(3),
        b"@timestamp" => Role::Time(4),
        b"datetime" => Role::Time(5),
        b"_time" => Role::Time(6),
        b"observed_timestamp" => Role::Time(7),
        b"asctime" => Role::Time(8),
        b"message" => Role::Message(0),
        b"msg" => Role::Message(1),
        b"log" => Role::Message(MESSAGE_LOG),
        b"body" => Role::Message(3),
        b"content" => Role::Message(4),
        b"text" => Role::Message(5),
        b"short_message" => Role::Message(6),
        b"event" => Role::Message(MESSAGE_EVENT),
        b"level" => Role::Level(0),
        b"severity" => Role::Level(1),
        b"severity_text" => Role::Level(2),
        b"lvl" => Role::Level(3),
        b"log.level" => Role::Level(4),
        b"severity_number" => Role::SeverityNumber,
        b"trace_id" => Role::TraceId(0),
        b"traceId" => Role::TraceId(1),
        b"trace.id" => Role::TraceId(2),
        b"span_id" => Role::SpanId(0),
        b"spanId" => Role::SpanId(1),
        b"span.id" => Role::SpanId(2),
        b"trace_flags" => Role::TraceFlags,
        b"service" => Role::Service,
        b"service.name" => Role::Resource(SERVICE_NAME),
        b"env_name" => Role::Resource(1),
        b"gc_env_type" => Role::Resource(2),
        b"cluster" => Role::Resource(3),
        b"source" => Role::Resource(SOURCE),
        b"clusterId" => Role::Resource(5),
        b"namespace" => Role::Resource(6),
        b"gc_source_type" => Role::Resource(7),
        b"service.namespace" => Role::Resource(8),
        b"service.version" => Role::Resource(9),
        b"deployment.environment" => Role::Resource(10),
        b"deployment.environment.name" => Role::Resource(11),
        b"host.name" => Role::Resource(12),
        b"k8s.cluster.name" => Role::Resource(13),
        b"k8s.namespace.name" => Role::Resource(14),
        b"k8s.pod.name" => Role::Resource(15),
        _ => Role::Attribute,
    }
}

/// The two texts that a record's fields come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The object around a batch: its fields belong to every record in it.
    Batch,
    Record,
}

/// Nodes of both sources; none for a record that is in no batch.
#[derive(Clone, Copy)]
pub(super) struct Sources<'a> {
    pub batch: &'a [Node<'a>],
    pub record: &'a [Node<'a>],
}

impl<'a> Sources<'a> {
    pub fn of(self, field: &Field) -> &'a [Node<'a>] {
        match field.source {
            Source::Batch => self.batch,
            Source::Record => self.record,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Key {
    /// A node of the tape.
    Node(usize),
    /// A range of [`Fields::joined`].
    Joined(usize, usize),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    key: Key,
    pub value: usize,
    pub source: Source,
    /// Went into a column of its own, or lost to a later field of the same name.
    pub is_taken: bool,
}

/// Indexes of fields by role.
#[derive(Clone, Copy, Default)]
pub(super) struct Picked {
    pub times: [Option<usize>; TIME_COUNT],
    pub messages: [Option<usize>; MESSAGE_COUNT],
    pub levels: [Option<usize>; LEVEL_COUNT],
    pub severity_number: Option<usize>,
    pub trace_ids: [Option<usize>; ID_COUNT],
    pub span_ids: [Option<usize>; ID_COUNT],
    pub trace_flags: Option<usize>,
    pub service: Option<usize>,
    pub resource: [Option<usize>; RESOURCE_KEYS.len()],
}

/// Reused from record to record.
#[derive(Default)]
pub(super) struct Fields {
    pub list: Vec<Field>,
    pub picked: Picked,
    /// Names of flattened fields, one after another.
    joined: Vec<u8>,
    joined_size_max: usize,
    /// Keys of one object, sorted, where two may be equal.
    order: Vec<usize>,
    /// One bit a node: a key that a later equal one replaces. Empty unless there is one.
    replaced: Vec<u64>,
}

/// What the prefixes of all flattened names of one record may take: names repeat them, so a long name
/// around many fields, or deep nesting, could otherwise multiply a record's size. An object that has no room
/// is kept as one value. Audit logs, whose names are the longest that are usual, take three times their size.
const JOINED_SIZE_FREE: usize = 4 * limits::KIB;
const JOINED_RATIO_MAX: usize = 4;

impl Fields {
    pub fn key<'a>(&'a self, field: &Field, sources: Sources<'a>) -> &'a [u8] {
        match field.key {
            Key::Node(at) => text(sources.of(field), at),
            Key::Joined(start, end) => self.joined.get(start..end).unwrap_or_default(),
        }
    }

    /// Lists the fields of both sources. `record_size`: of the record's text.
    pub fn collect(&mut self, sources: Sources<'_>, record_size: usize) {
        let batch_size: usize = sources.batch.iter().map(node_size).sum();
        self.joined_size_max = JOINED_SIZE_FREE + JOINED_RATIO_MAX * (record_size + batch_size);
        self.list.clear();
        self.joined.clear();
        self.picked = Picked::default();
        if !sources.batch.is_empty() {
            self.replaced.clear();
            self.flatten(sources.batch, 0, 0..0, Source::Batch);
        }
        self.replaced.clear();
        self.flatten(sources.record, 0, 0..0, Source::Record);
    }

    /// Lists the fields of an object that was kept whole so far, under its own name.
    pub fn flatten_field(&mut self, index: usize, sources: Sources<'_>) {
        let Some(&field) = self.list.get(index) else { return };
        let name = text(sources.of(&field), field.value - 1);
        if !self.has_room(sources.of(&field), field.value, name.len() + 1) {
            return;
        }
        if let Some(field) = self.list.get_mut(index) {
            field.is_taken = true;
        }
        let start = self.joined.len();
        self.joined.extend_from_slice(name);
        self.joined.push(b'.');
        let prefix = start..self.joined.len();
        self.flatten(sources.of(&field), field.value, prefix, field.source);
    }

    /// Whether the object's members may have a prefix of so many bytes.
    fn has_room(&self, nodes: &[Node<'_>], object: usize, prefix_size: usize) -> bool {
        let count = match nodes.get(object) {
            Some(Node::Object { len, .. }) => *len,
            _ => 0,
        };
        self.joined.len() + count.saturating_mul(prefix_size) <= self.joined_size_max
    }

    /// `prefix` is a range of [`Self::joined`], with its dot at the end.
    fn flatten(&mut self, nodes: &[Node<'_>], object: usize, prefix: Range<usize>, source: Source) {
        let end = object + node_count(nodes, object);
        self.mark_replaced(nodes, object + 1..end);
        let mut at = object + 1;
        while at < end {
            let (key, value) = (at, at + 1);
            at = value + node_count(nodes, value);
            if self.is_replaced(key) {
                continue;
            }
            let name = text(nodes, key);
            let start = self.joined.len();
            let is_nested = match nodes.get(value) {
                Some(Node::Object { len, .. }) => *len > 0,
                _ => false,
            };
            if prefix.is_empty() {
                // Where the records stood.
                if source == Source::Batch && name == b"logs" {
                    continue;
                }
                let is_message = || matches!(role(name), Role::Message(rank) if rank != MESSAGE_LOG && rank != MESSAGE_EVENT);
                if is_nested
                    && !(source == Source::Record && is_message())
                    && self.has_room(nodes, value, name.len() + 1)
                {
                    self.joined.extend_from_slice(name);
                    self.joined.push(b'.');
                    self.flatten(nodes, value, start..self.joined.len(), source);
                } else {
                    self.push(Key::Node(key), name, value, source, nodes);
                }
                continue;
            }
            self.joined.extend_from_within(prefix.clone());
            self.joined.extend_from_slice(name);
            let name_end = self.joined.len();
            if is_nested && self.has_room(nodes, value, name_end + 1 - start) {
                self.joined.push(b'.');
                self.flatten(nodes, value, start..name_end + 1, source);
            } else {
                let joined = std::mem::take(&mut self.joined);
                let name = joined.get(start..name_end).unwrap_or_default();
                self.push(Key::Joined(start, name_end), name, value, source, nodes);
                self.joined = joined;
            }
        }
    }

    fn push(&mut self, key: Key, name: &[u8], value: usize, source: Source, nodes: &[Node<'_>]) {
        let index = self.list.len();
        self.list.push(Field { key, value, source, is_taken: false });
        if matches!(nodes.get(value), Some(Node::Static(simd_json::StaticNode::Null))) {
            return;
        }
        let picked = &mut self.picked;
        let role = role(name);
        // What a record says of itself is in the record.
        if source == Source::Batch && !matches!(role, Role::Resource(_) | Role::Service) {
            return;
        }
        let slot = match role {
            Role::Attribute => return,
            Role::Time(rank) => picked.times.get_mut(rank),
            Role::Message(rank) => picked.messages.get_mut(rank),
            Role::Level(rank) => picked.levels.get_mut(rank),
            Role::SeverityNumber => Some(&mut picked.severity_number),
            Role::TraceId(rank) => picked.trace_ids.get_mut(rank),
            Role::SpanId(rank) => picked.span_ids.get_mut(rank),
            Role::TraceFlags => Some(&mut picked.trace_flags),
            Role::Service => Some(&mut picked.service),
            Role::Resource(rank) => picked.resource.get_mut(rank),
        };
        if let Some(slot) = slot {
            *slot = Some(index);
        }
    }

    fn is_replaced(&self, key: usize) -> bool {
        self.replaced.get(key / 64).is_some_and(|word| word >> (key % 64) & 1 == 1)
    }

    /// Marks the keys of one object that a later equal key replaces.
    fn mark_replaced(&mut self, nodes: &[Node<'_>], members: Range<usize>) {
        let mut seen = Seen::default();
        let mut is_unique = true;
        let mut at = members.start;
        while at < members.end {
            is_unique &= seen.add(text(nodes, at));
            at += 1 + node_count(nodes, at + 1);
        }
        if is_unique {
            return;
        }
        self.order.clear();
        let mut at = members.start;
        while at < members.end {
            self.order.push(at);
            at += 1 + node_count(nodes, at + 1);
        }
        self.order.sort_unstable_by(|&a, &b| text(nodes, a).cmp(text(nodes, b)).then(a.cmp(&b)));
        for pair in self.order.windows(2) {
            if let &[earlier, later] = pair
                && text(nodes, earlier) == text(nodes, later)
            {
                if self.replaced.is_empty() {
                    self.replaced.resize(nodes.len().div_ceil(64), 0);
                }
                if let Some(word) = self.replaced.get_mut(earlier / 64) {
                    *word |= 1 << (earlier % 64);
                }
            }
        }
    }

    /// Takes fields out whose name, once flattened, a later one has too: `{"a.b":1,"a":{"b":2}}`,
    /// or a batch and its record.
    pub fn take_repeated(&mut self, sources: Sources<'_>) {
        // Without flattened names there is one object, whose keys are unique by now.
        if self.joined.is_empty() && sources.batch.is_empty() {
            return;
        }
        let mut seen = Seen::default();
        if self.list.iter().fold(true, |unique, field| unique & seen.add(self.key(field, sources)))
        {
            return;
        }
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        order.extend(0..self.list.len());
        let key = |index: usize| {
            self.list.get(index).map(|field| self.key(field, sources)).unwrap_or_default()
        };
        order.sort_unstable_by(|&a, &b| key(a).cmp(key(b)).then(a.cmp(&b)));
        // Only equal neighbours stay, the earlier of each two.
        let mut count = 0;
        for place in 1..order.len() {
            if let (Some(&earlier), Some(&later)) = (order.get(place - 1), order.get(place))
                && key(earlier) == key(later)
                && let Some(slot) = order.get_mut(count)
            {
                *slot = earlier;
                count += 1;
            }
        }
        for &index in order.iter().take(count) {
            if let Some(field) = self.list.get_mut(index) {
                field.is_taken = true;
            }
        }
        self.order = order;
    }
}

/// About the bytes that a node has in a text.
const fn node_size(node: &Node<'_>) -> usize {
    match node {
        Node::String(text) => text.len() + 2,
        _ => 2,
    }
}

/// Tells for sure that keys are all different, or that two may be equal.
#[derive(Default)]
struct Seen([u64; 8]);

impl Seen {
    /// Answers whether `key` differs from all before it for sure.
    fn add(&mut self, key: &[u8]) -> bool {
        let mix = if let (Some(first), Some(last)) = (key.first_chunk::<8>(), key.last_chunk::<8>())
        {
            u64::from_le_bytes(*first) ^ u64::from_le_bytes(*last).rotate_left(29)
        } else {
            key.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte))
        };
        let hash = (mix ^ (key.len() as u64) << 59).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 55;
        let bit = 1u64 << (hash % 64);
        let Some(word) = self.0.get_mut(limits::size(hash / 64)) else { return false };
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ranks in `role` and the list of names must say the same.
    #[test]
    fn resource_roles_are_indexes_of_resource_keys() {
        for (index, key) in RESOURCE_KEYS.iter().enumerate() {
            assert_eq!(role(key.as_bytes()), Role::Resource(index), "{key}");
        }
    }

    #[test]
    fn equal_keys_are_never_told_different() {
        let mut seen = Seen::default();
        for key in ["", "a", "ab", "abcdefgh", "abcdefghi", "time", "a much longer key than that"] {
            seen.add(key.as_bytes());
            assert!(!seen.add(key.as_bytes()), "{key}");
        }
        assert!(Seen::default().add(b""));
    }
}
