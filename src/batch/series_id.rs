//! The 128-bit name of a series, a function of what tells it from others and of nothing else.
//!
//! Place: computed once for each series that a sink meets, then remembered under its raw bytes.
//! Ids are on disk and joined on: the encoding below never changes; another one gets another version.
//!
//! ```text
//! id        name_hash[0..4] · encoding_hash[4..16]     both xxh3, big endian; sorting by id groups a metric
//! encoding  version u8 · identity u8 · tenant · name
//!           full identity only: unit · type · temporality · monotonic u8 · resource · scope name ·
//!                               scope version · scope attributes
//!           labels
//! text      length u32 (little endian) · bytes
//! map       count u32 · { key text · kind u8 · value text } …    sorted by key, keys unique
//! ```

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::json::append_value;
use super::record::{Attributes, Identity, MetricType, Temporality, Value};
use super::text::{append_text, at, place};

const VERSION: u8 = 1;

pub type SeriesId = [u8; 16];

/// An attribute in its text form, by places in `Flattening::bytes`.
#[derive(Clone, Copy)]
struct Item {
    key: (u32, u32),
    value: (u32, u32),
    kind: u8,
}

/// Reused memory for encodings.
#[derive(Default)]
pub(super) struct Encoder {
    pub(super) bytes: Vec<u8>,
    texts: Vec<u8>,
    items: Vec<Item>,
}

impl Encoder {
    fn text(&mut self, bytes: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        append_text(&mut self.bytes, bytes);
        let length = place(self.bytes.len() - start - 4);
        self.bytes[start..start + 4].copy_from_slice(&length.to_le_bytes());
    }

    /// Appends the map in its canonical order. Of equal keys the last one stays, as in the columns.
    pub(super) fn map(&mut self, attributes: &dyn Attributes) {
        self.texts.clear();
        self.items.clear();
        let (texts, items) = (&mut self.texts, &mut self.items);
        attributes.walk(&mut |key, value| {
            let key_start = place(texts.len());
            append_text(texts, key.0);
            let value_start = place(texts.len());
            append_value(texts, value);
            let end = place(texts.len());
            let (key, value_range) = ((key_start, value_start), (value_start, end));
            items.push(Item { key, value: value_range, kind: kind(value) });
        });
        let slice = |range: (u32, u32)| &texts[at(range.0)..at(range.1)];
        // Later places sort later among equal keys, so the last of a run is the last one sent.
        items.sort_unstable_by(|a, b| slice(a.key).cmp(slice(b.key)).then(a.key.cmp(&b.key)));
        let count_place = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        let mut count = 0u32;
        for (index, item) in items.iter().enumerate() {
            if items.get(index + 1).is_some_and(|next| slice(next.key) == slice(item.key)) {
                continue;
            }
            for (range, kind) in [(item.key, None), (item.value, Some(item.kind))] {
                self.bytes.extend(kind);
                self.bytes.extend_from_slice(&(range.1 - range.0).to_le_bytes());
                self.bytes.extend_from_slice(slice(range));
            }
            count += 1;
        }
        self.bytes[count_place..count_place + 4].copy_from_slice(&count.to_le_bytes());
    }
}

/// What distinguishes attribute values of equal text. On disk as part of ids.
const fn kind(value: Value<'_>) -> u8 {
    match value {
        Value::Text(_) => 0,
        Value::Bool(_) => 1,
        Value::Int(_) => 2,
        Value::Double(_) => 3,
        Value::Bytes(_) => 4,
        Value::Array(_) => 5,
        Value::Map(_) => 6,
        Value::Json(_) => 7,
        Value::Empty => 8,
    }
}

/// The part of a series' identity that its owners give, encoded once for all series they own.
#[derive(Default)]
pub(super) struct OwnerEncoding {
    pub(super) resource: Vec<u8>,
    pub(super) scope: Vec<u8>,
}

/// All that an id depends on.
pub(super) struct SeriesParts<'a> {
    pub(super) identity: Identity,
    pub(super) tenant: &'a str,
    pub(super) name: &'a [u8],
    pub(super) unit: &'a [u8],
    pub(super) metric_type: MetricType,
    pub(super) temporality: Temporality,
    pub(super) is_monotonic: bool,
    pub(super) owner: &'a OwnerEncoding,
    pub(super) labels: &'a dyn Attributes,
}

pub(super) fn encode_resource(
    encoder: &mut Encoder,
    attributes: &dyn Attributes,
    into: &mut Vec<u8>,
) {
    encoder.bytes.clear();
    encoder.map(attributes);
    into.clear();
    into.extend_from_slice(&encoder.bytes);
}

pub(super) fn encode_scope(
    encoder: &mut Encoder,
    (name, version): (&[u8], &[u8]),
    attributes: &dyn Attributes,
    into: &mut Vec<u8>,
) {
    encoder.bytes.clear();
    encoder.text(name);
    encoder.text(version);
    encoder.map(attributes);
    into.clear();
    into.extend_from_slice(&encoder.bytes);
}

/// The temporality's name, as in its column.
pub(super) const fn temporality_name(temporality: Temporality) -> &'static str {
    match temporality {
        Temporality::Unspecified => "unspecified",
        Temporality::Delta => "delta",
        Temporality::Cumulative => "cumulative",
    }
}

pub(super) fn series_id(encoder: &mut Encoder, parts: &SeriesParts<'_>) -> SeriesId {
    encoder.bytes.clear();
    encoder.bytes.push(VERSION);
    encoder.bytes.push(match parts.identity {
        Identity::Labels => 0,
        Identity::Full => 1,
    });
    encoder.text(parts.tenant.as_bytes());
    let name_start = encoder.bytes.len() + 4;
    encoder.text(parts.name);
    let name_hash = xxh3_64(&encoder.bytes[name_start..]);
    if parts.identity == Identity::Full {
        encoder.text(parts.unit);
        encoder.text(parts.metric_type.name().as_bytes());
        encoder.text(temporality_name(parts.temporality).as_bytes());
        encoder.bytes.push(u8::from(parts.is_monotonic));
        encoder.bytes.extend_from_slice(&parts.owner.resource);
        encoder.bytes.extend_from_slice(&parts.owner.scope);
    }
    encoder.map(parts.labels);
    let mut id = xxh3_128(&encoder.bytes).to_be_bytes();
    for (into, from) in id.iter_mut().zip(name_hash.to_be_bytes()).take(4) {
        *into = from;
    }
    id
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::super::record::Text;
    use super::*;

    struct Pairs<'a>(&'a [(&'a str, Value<'a>)]);
    impl Attributes for Pairs<'_> {
        fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
            for &(key, value) in self.0 {
                visit(key.into(), value);
            }
        }
    }

    struct Case<'a> {
        full: bool,
        tenant: &'a str,
        name: &'a str,
        unit: &'a str,
        metric_type: MetricType,
        temporality: Temporality,
        is_monotonic: bool,
        resource: &'a [(&'a str, Value<'a>)],
        scope: (&'a str, &'a str, &'a [(&'a str, Value<'a>)]),
        labels: &'a [(&'a str, Value<'a>)],
    }

    const TEXT_A: Value<'static> = Value::Text(Text(b"a"));
    const TEXT_1: Value<'static> = Value::Text(Text(b"1"));

    fn base() -> Case<'static> {
        Case {
            full: true,
            tenant: "t",
            name: "requests",
            unit: "By",
            metric_type: MetricType::Sum,
            temporality: Temporality::Cumulative,
            is_monotonic: true,
            resource: &[("service.name", TEXT_A)],
            scope: ("s", "1", &[]),
            labels: &[("code", TEXT_1), ("method", TEXT_A)],
        }
    }

    fn id(case: &Case<'_>) -> SeriesId {
        let mut encoder = Encoder::default();
        let mut owner = OwnerEncoding::default();
        encode_resource(&mut encoder, &Pairs(case.resource), &mut owner.resource);
        let names = (case.scope.0.as_bytes(), case.scope.1.as_bytes());
        encode_scope(&mut encoder, names, &Pairs(case.scope.2), &mut owner.scope);
        let parts = SeriesParts {
            identity: if case.full { Identity::Full } else { Identity::Labels },
            tenant: case.tenant,
            name: case.name.as_bytes(),
            unit: case.unit.as_bytes(),
            metric_type: case.metric_type,
            temporality: case.temporality,
            is_monotonic: case.is_monotonic,
            owner: &owner,
            labels: &Pairs(case.labels),
        };
        series_id(&mut encoder, &parts)
    }

    fn hex(id: SeriesId) -> String {
        id.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Ids are on disk: these values never change. Computed apart from this code, with another
    /// implementation of the hash, from the encoding drawn above.
    #[test]
    fn golden_ids() {
        assert_eq!(hex(id(&base())), "acf39e680014870e7be4d1202fb06dd1");
        assert_eq!(hex(id(&Case { full: false, ..base() })), "acf39e68ff08697366f6b728b522feb5");
        let empty = Case { full: false, tenant: "", name: "", labels: &[], ..base() };
        assert_eq!(hex(id(&empty)), "2d0680058457a2642a4d039812e4f2ff");
    }

    #[test]
    fn the_order_of_labels_and_repeated_keys_do_not_matter() {
        let turned = Case { labels: &[("method", TEXT_A), ("code", TEXT_1)], ..base() };
        assert_eq!(id(&turned), id(&base()));
        let repeated =
            Case { labels: &[("code", TEXT_A), ("method", TEXT_A), ("code", TEXT_1)], ..base() };
        assert_eq!(id(&repeated), id(&base()));
    }

    #[test]
    fn every_part_of_the_identity_matters() {
        let others = [
            Case { full: false, ..base() },
            Case { tenant: "u", ..base() },
            Case { name: "request", ..base() },
            Case { unit: "s", ..base() },
            Case { metric_type: MetricType::Gauge, ..base() },
            Case { temporality: Temporality::Delta, ..base() },
            Case { is_monotonic: false, ..base() },
            Case { resource: &[], ..base() },
            Case { scope: ("s1", "", &[]), ..base() },
            Case { scope: ("s", "1", &[("k", TEXT_A)]), ..base() },
            Case { labels: &[("code", Value::Int(1)), ("method", TEXT_A)], ..base() },
            Case { labels: &[("code", TEXT_1)], ..base() },
            // The same bytes cut elsewhere: lengths keep them apart.
            Case { labels: &[("code1", Value::Text(Text(b""))), ("method", TEXT_A)], ..base() },
        ];
        let mut ids: Vec<_> = others.iter().map(id).collect();
        ids.push(id(&base()));
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), others.len() + 1);
    }

    #[test]
    fn prometheus_identity_ignores_what_comes_apart() {
        let labels = Case { full: false, ..base() };
        let other = Case {
            full: false,
            unit: "s",
            metric_type: MetricType::Gauge,
            temporality: Temporality::Delta,
            is_monotonic: false,
            resource: &[],
            ..base()
        };
        assert_eq!(id(&labels), id(&other));
    }

    #[test]
    fn series_of_one_metric_share_their_first_bytes() {
        let (one, other) = (id(&base()), id(&Case { labels: &[], tenant: "other", ..base() }));
        assert_eq!(one[..4], other[..4]);
        assert_ne!(one[4..], other[4..]);
    }
}
