//! Datadog metrics: messages from a seed, the same as JSON, and what they mean, by the plainest code
//! that follows the protocol page.

use std::collections::{BTreeMap, BTreeSet};

use inrush::batch::RejectCause;
use inrush::batch::record::{HistogramKind, MetricType, Temporality};
use prost::Message as _;

use super::ARRIVAL_NANOS;
use super::bodies::Random;
use super::messages::datadog::agentpayload::metric_payload::{MetricPoint, MetricSeries, Resource};
use super::messages::datadog::agentpayload::sketch_payload::Sketch;
use super::messages::datadog::agentpayload::sketch_payload::sketch::Dogsketch;
use super::messages::datadog::agentpayload::{Metadata, MetricPayload, Origin, SketchPayload};
use super::mutate::Shape;
use super::oracle::Refusal;
use super::record::{FullSeries, HistogramRecord, OwnedValue, Pairs, Record, SampleRecord};

// ── Messages ──────────────────────────────────────────────────────────────────────────────────

static LEAF: Shape = Shape { messages: &[], packed: &[] };
static METADATA: Shape = Shape { messages: &[(1, &LEAF)], packed: &[] };
static METRIC_SERIES: Shape =
    Shape { messages: &[(1, &LEAF), (4, &LEAF), (9, &METADATA)], packed: &[] };
pub static METRIC_PAYLOAD: Shape = Shape { messages: &[(1, &METRIC_SERIES)], packed: &[] };
static DOGSKETCH: Shape = Shape { messages: &[], packed: &[(7, 0), (8, 0)] };
static SKETCH: Shape = Shape { messages: &[(7, &DOGSKETCH), (8, &METADATA)], packed: &[] };
pub static SKETCH_PAYLOAD: Shape = Shape { messages: &[(1, &SKETCH)], packed: &[] };

fn some<T>(random: &mut Random, max: usize, mut make: impl FnMut(&mut Random) -> T) -> Vec<T> {
    (0..random.below(max + 1)).map(|_| make(random)).collect()
}

fn word(random: &mut Random) -> String {
    random
        .pick(&[
            "",
            "a",
            "checkout",
            "x.y-z/1",
            "ä日",
            "i-0abc",
            "with \"quotes\"\\",
            "\u{1f980}\n",
        ])
        .into()
}

fn tag(random: &mut Random) -> String {
    let key = random.pick(&[
        "env",
        "service",
        "version",
        "host",
        "device",
        "pod_name",
        "pod_uid",
        "kube_deployment",
        "kube_stateful_set",
        "kube_cluster_name",
        "container_id",
        "container_name",
        "image_tag",
        "image_name",
        "team",
        "kube_service",
        "source_type_name",
        "Env",
        "",
    ]);
    match random.below(6) {
        0 => key.to_owned(),
        1 => format!("{key}:"),
        2 => format!("{key}:a:b:{}", word(random)),
        _ => format!("{key}:{}", word(random)),
    }
}

fn seconds(random: &mut Random) -> i64 {
    match random.below(12) {
        0 => 0,
        1 => -(random.below(1000) as i64),
        2 => 1_700_000_000_000 + random.below(1000) as i64,
        3 => [i64::MAX, i64::MIN, 9_223_372_036, 9_223_372_037][random.below(4)],
        _ => 1_767_225_600 + random.below(100_000) as i64,
    }
}

fn value(random: &mut Random) -> f64 {
    match random.below(6) {
        0 => 0.0,
        1 => random.below(1000) as f64,
        2 => -(random.draw() as f64) / 1e15,
        3 => f64::from_bits(random.draw() & !(1 << 62)),
        _ => random.draw() as f64 / 4096.0,
    }
}

fn metadata(random: &mut Random) -> Option<Metadata> {
    (random.below(3) == 0).then(|| Metadata {
        origin: (random.below(3) > 0).then(|| Origin {
            origin_product: random.below(20) as u32,
            origin_category: random.below(400) as u32,
            origin_service: random.draw() as u32,
        }),
    })
}

pub fn metric_payload(random: &mut Random) -> MetricPayload {
    MetricPayload { series: some(random, 6, metric_series) }
}

fn metric_series(random: &mut Random) -> MetricSeries {
    MetricSeries {
        resources: some(random, 3, |random| Resource {
            r#type: random.pick(&["host", "host", "device", "cluster", "", "env"]).into(),
            name: word(random),
        }),
        metric: if random.below(10) == 0 { String::new() } else { format!("m.{}", word(random)) },
        tags: some(random, 6, tag),
        points: some(random, 4, |random| MetricPoint {
            value: value(random),
            timestamp: seconds(random),
        }),
        r#type: random.below(6) as i32 - 1,
        unit: random.pick(&["", "byte", "ms"]).into(),
        source_type_name: random.pick(&["", "System"]).into(),
        interval: [0, 0, 1, 10, 60, -5, i64::MAX][random.below(7)],
        metadata: metadata(random),
    }
}

pub fn sketch_payload(random: &mut Random) -> SketchPayload {
    SketchPayload {
        sketches: some(random, 5, |random| Sketch {
            metric: if random.below(10) == 0 {
                String::new()
            } else {
                format!("d.{}", word(random))
            },
            host: word(random),
            distributions: if random.below(20) == 0 { vec![vec![8, 1]] } else { Vec::new() },
            tags: some(random, 5, tag),
            dogsketches: some(random, 3, dogsketch),
            metadata: metadata(random),
        }),
        metadata: if random.below(4) == 0 { vec![1, 2, 3] } else { Vec::new() },
    }
}

fn dogsketch(random: &mut Random) -> Dogsketch {
    let spread = [1, 30, 500, 3000, 32768][random.below(5)];
    let base = [0, 1, 1300, -1400][random.below(4)];
    let mut k: Vec<i32> = some(random, 30, |random| {
        (base + random.below(spread) as i32) * if random.below(3) == 0 { -1 } else { 1 }
    });
    if random.below(8) > 0 {
        k.retain(|key| key.abs() <= 32767);
    }
    let mut n: Vec<u32> =
        k.iter().map(|_| (random.draw() >> (32 + random.below(32))) as u32).collect();
    if random.below(20) == 0 {
        n.push(1);
    }
    Dogsketch {
        ts: seconds(random),
        cnt: if random.below(20) == 0 { -1 } else { random.draw() as i64 >> 20 & 0xffff },
        min: value(random),
        max: value(random),
        avg: value(random),
        sum: value(random),
        k,
        n,
    }
}

// ── What they mean ────────────────────────────────────────────────────────────────────────────

type Sets = BTreeMap<String, BTreeSet<String>>;

#[derive(Default)]
struct Owner {
    resource: Sets,
    labels: Sets,
}

fn convention(tag: &str) -> Option<&'static str> {
    const NAMES: [(&str, &str); 19] = [
        ("container_id", "container.id"),
        ("container_name", "container.name"),
        ("env", "deployment.environment.name"),
        ("image_name", "container.image.name"),
        ("image_tag", "container.image.tags"),
        ("kube_cluster_name", "k8s.cluster.name"),
        ("kube_container_name", "k8s.container.name"),
        ("kube_cronjob", "k8s.cronjob.name"),
        ("kube_daemon_set", "k8s.daemonset.name"),
        ("kube_deployment", "k8s.deployment.name"),
        ("kube_job", "k8s.job.name"),
        ("kube_namespace", "k8s.namespace.name"),
        ("kube_node", "k8s.node.name"),
        ("kube_replica_set", "k8s.replicaset.name"),
        ("kube_stateful_set", "k8s.statefulset.name"),
        ("pod_name", "k8s.pod.name"),
        ("pod_uid", "k8s.pod.uid"),
        ("service", "service.name"),
        ("version", "service.version"),
    ];
    NAMES.iter().find(|(found, _)| *found == tag).map(|(_, name)| *name)
}

impl Owner {
    fn new(
        hosts: &[&str],
        resources: &[(&str, &str)],
        own: &[(&str, &str)],
        tags: &[String],
    ) -> Self {
        let mut owner = Self::default();
        let mut hosts: Vec<&str> = hosts.to_vec();
        for &(kind, name) in resources {
            match (kind, name) {
                (_, "") | ("", _) => {}
                ("host", name) => hosts.push(name),
                ("device", name) => owner.label("device", name),
                (kind, name) => owner.attribute(convention(kind).unwrap_or(kind), name),
            }
        }
        hosts.retain(|host| !host.is_empty());
        for host in &hosts {
            owner.attribute("host.name", host);
        }
        for (key, value) in own {
            if !value.is_empty() {
                owner.label(key, value);
            }
        }
        for tag in tags {
            let (key, value) = match tag.split_once(':') {
                _ if tag.is_empty() => continue,
                None | Some(("", _)) => (tag.as_str(), "no_label_value"),
                Some(pair) => pair,
            };
            match convention(key) {
                Some(name) => owner.attribute(name, value),
                None if key == "host" && hosts.is_empty() => owner.attribute("host.name", value),
                None => owner.label(key, value),
            }
        }
        owner
    }

    fn attribute(&mut self, key: &str, value: &str) {
        self.resource.entry(key.to_owned()).or_default().insert(value.to_owned());
    }

    fn label(&mut self, key: &str, value: &str) {
        self.labels.entry(key.to_owned()).or_default().insert(value.to_owned());
    }
}

fn pairs(sets: &Sets) -> Pairs {
    sets.iter()
        .map(|(key, values)| {
            let mut values: Vec<_> = values.iter().cloned().map(OwnedValue::Text).collect();
            let value =
                if values.len() == 1 { values.remove(0) } else { OwnedValue::Array(values) };
            (key.clone(), value)
        })
        .collect()
}

/// Records in the order in which a sink hears them.
#[derive(Default)]
struct Said {
    records: Vec<Record>,
    resource: Option<Pairs>,
}

impl Said {
    fn series(&mut self, owner: &Owner, mut series: FullSeries) {
        let resource = pairs(&owner.resource);
        if self.resource.as_ref() != Some(&resource) {
            self.records
                .push(Record::Resource { attributes: resource.clone(), schema_url: String::new() });
            self.records.push(Record::Scope {
                name: String::new(),
                version: String::new(),
                attributes: Vec::new(),
                schema_url: String::new(),
            });
            self.resource = Some(resource);
        }
        series.labels = pairs(&owner.labels);
        self.records.push(Record::FullSeries(series));
    }

    /// `None` among `answers` of a series without a name.
    fn all(
        &mut self,
        owner: &Owner,
        series: FullSeries,
        answers: Vec<Result<Record, RejectCause>>,
    ) {
        let nameless = series.name.is_empty();
        if !nameless && answers.iter().any(Result::is_ok) {
            self.series(owner, series);
        }
        for answer in answers {
            self.records.push(match answer {
                _ if nameless => Record::Rejected(RejectCause::NameMissing),
                Ok(record) => record,
                Err(cause) => Record::Rejected(cause),
            });
        }
    }
}

fn time(seconds: i64) -> Result<i64, RejectCause> {
    let nanos = i128::from(seconds) * 1_000_000_000;
    if nanos <= 0 {
        return Ok(ARRIVAL_NANOS as i64);
    }
    i64::try_from(nanos).map_err(|_| RejectCause::TimeOutOfRange)
}

pub fn series(body: &[u8]) -> Result<Vec<Record>, Refusal> {
    Ok(series_of(&MetricPayload::decode(body)?))
}

pub fn series_of(payload: &MetricPayload) -> Vec<Record> {
    let mut said = Said::default();
    for series in &payload.series {
        let resources: Vec<_> = series
            .resources
            .iter()
            .map(|resource| (resource.r#type.as_str(), resource.name.as_str()))
            .collect();
        let own = [("source_type_name", series.source_type_name.as_str())];
        let owner = Owner::new(&[], &resources, &own, &series.tags);
        let is_sum = matches!(series.r#type, 1 | 2);
        let points = series.points.iter().map(|point| {
            let time = time(point.timestamp)?;
            let mut sample = SampleRecord::new(time, point.value);
            let factor = if series.interval > 0 { series.interval } else { 1 };
            if series.r#type == 2 {
                sample.value = (point.value * factor as f64).into();
            }
            if series.r#type == 2 || series.r#type == 1 && series.interval > 0 {
                let start = i128::from(time) - i128::from(factor) * 1_000_000_000;
                sample.start_time_nanos = i64::try_from(start.max(0)).unwrap();
            }
            Ok(Record::Sample(sample))
        });
        let points = points.collect();
        let full = FullSeries {
            name: series.metric.clone(),
            metric_type: if is_sum { MetricType::Sum } else { MetricType::Gauge },
            unit: series.unit.clone(),
            description: String::new(),
            temporality: if is_sum { Temporality::Delta } else { Temporality::Unspecified },
            is_monotonic: false,
            labels: Vec::new(),
        };
        said.all(&owner, full, points);
    }
    said.records
}

pub fn sketches(body: &[u8]) -> Result<Vec<Record>, Refusal> {
    let payload = SketchPayload::decode(body)?;
    let mut said = Said::default();
    for sketch in &payload.sketches {
        let owner = Owner::new(&[&sketch.host], &[], &[], &sketch.tags);
        let old = sketch.distributions.iter().map(|_| Err(RejectCause::DistributionNotTaken));
        let answers = old.chain(sketch.dogsketches.iter().map(histogram)).collect::<Vec<_>>();
        let full = FullSeries {
            name: sketch.metric.clone(),
            metric_type: MetricType::ExponentialHistogram,
            unit: String::new(),
            description: String::new(),
            temporality: Temporality::Delta,
            is_monotonic: false,
            labels: Vec::new(),
        };
        // Rejections of old distributions are told before the series.
        let before = said.records.len();
        let rejected = sketch.distributions.len();
        said.all(&owner, full, answers);
        let end = said.records.len();
        let owners = said.records[before..end]
            .iter()
            .take_while(|record| {
                matches!(
                    record,
                    Record::Resource { .. } | Record::Scope { .. } | Record::FullSeries(_)
                )
            })
            .count();
        said.records[before..before + owners + rejected].rotate_left(owners);
    }
    Ok(said.records)
}

fn histogram(sketch: &Dogsketch) -> Result<Record, RejectCause> {
    let time_nanos = time(sketch.ts)?;
    if sketch.k.len() > 16384 || sketch.n.len() > 16384 {
        return Err(RejectCause::OverLimit);
    }
    if sketch.k.len() != sketch.n.len() {
        return Err(RejectCause::SketchBinsUneven);
    }
    if sketch.k.iter().any(|key| !(-32767..=32767).contains(key)) {
        return Err(RejectCause::SketchKeyOutOfRange);
    }
    if sketch.cnt < 0 {
        return Err(RejectCause::SketchCountNegative);
    }
    let gamma_log = (1.0 + 1.0 / 64.0_f64).log2();
    let mut scale = 6;
    let mut zero_count;
    let sides = loop {
        zero_count = 0.0;
        let mut sides = [BTreeMap::<i32, f64>::new(), BTreeMap::new()];
        for (key, count) in sketch.k.iter().zip(&sketch.n) {
            let side = match key {
                0 => {
                    zero_count += f64::from(*count);
                    continue;
                }
                1.. => &mut sides[0],
                _ => &mut sides[1],
            };
            let exponent = f64::from(i32::abs(*key) - 1338) * gamma_log * 2f64.powi(scale);
            *side.entry(exponent.ceil() as i32 - 1).or_default() += f64::from(*count);
        }
        let widest = sides.iter().filter_map(|side| Some(side.keys().max()? - side.keys().min()?));
        if widest.max().unwrap_or(0) < 4096 {
            break sides;
        }
        scale -= 1;
    };
    let dense = |side: &BTreeMap<i32, f64>| {
        let (Some(first), Some(last)) = (side.keys().min(), side.keys().max()) else {
            return (0, Vec::new());
        };
        (*first, (*first..=*last).map(|place| side.get(&place).copied().unwrap_or(0.0)).collect())
    };
    let (positive_offset, positive_counts) = dense(&sides[0]);
    let (negative_offset, negative_counts) = dense(&sides[1]);
    Ok(Record::Histogram(Box::new(HistogramRecord {
        time_nanos,
        count: (sketch.cnt as f64).into(),
        sum: Some(sketch.sum.into()),
        min: Some(sketch.min.into()),
        max: Some(sketch.max.into()),
        scale,
        zero_threshold: 9.941_854_089_121_45e-10.into(),
        zero_count: zero_count.into(),
        positive_offset,
        positive_counts,
        negative_offset,
        negative_counts,
        ..HistogramRecord::new(HistogramKind::Exponential)
    })))
}

// ── The same as JSON ──────────────────────────────────────────────────────────────────────────

/// Which version of the API a body is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    V1,
    V2,
}

/// A string, now and then with escapes that need not be.
fn quoted(random: &mut Random, text: &str) -> String {
    if random.below(8) > 0 {
        return serde_json::to_string(text).unwrap();
    }
    let units: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    format!("\"{units}\"")
}

fn number(random: &mut Random, value: f64) -> String {
    match random.below(6) {
        0 => format!("{value:e}"),
        1 => format!("\"{}\"", serde_json::to_string(&value).unwrap()),
        _ => serde_json::to_string(&value).unwrap(),
    }
}

fn list(random: &mut Random, elements: Vec<String>) -> String {
    let mut elements = elements;
    if random.below(10) == 0 {
        elements.insert(random.below(elements.len() + 1), "null".to_owned());
    }
    format!("[{}]", elements.join(if random.below(4) == 0 { " ,\n" } else { "," }))
}

/// An object with its members in any order, and some that nobody knows.
fn object(random: &mut Random, mut members: Vec<(&str, String)>) -> String {
    if random.below(4) == 0 {
        let odd = random.pick(&["null", "[1,{\"a\":[]}]", "\"x]}\"", "-1.5e9", "true"]);
        members.push((random.pick(&["common", "Metric", "points_", "metadata", ""]), odd.into()));
    }
    for place in (1..members.len()).rev() {
        members.swap(place, random.below(place + 1));
    }
    let members: Vec<_> =
        members.iter().map(|(key, value)| format!("{}:{value}", quoted(random, key))).collect();
    format!("{{{}}}", members.join(if random.below(4) == 0 { " , " } else { "," }))
}

/// `payload` as JSON that means the same. V1 has room for one host and one device.
pub fn as_json(random: &mut Random, payload: &MetricPayload, version: Version) -> String {
    let mut all = Vec::new();
    for series in &payload.series {
        let mut members: Vec<(&str, String)> = Vec::new();
        let metric = quoted(random, &series.metric);
        members.push(("metric", metric));
        let mut points = Vec::new();
        for point in &series.points {
            let (time, value) = (point.timestamp.to_string(), number(random, point.value));
            points.push(match version {
                Version::V1 => format!("[{time},{value}]"),
                Version::V2 => object(random, vec![("timestamp", time), ("value", value)]),
            });
        }
        members.push(("points", list(random, points)));
        let tags = series.tags.iter().map(|tag| quoted(random, tag)).collect();
        members.push(("tags", list(random, tags)));
        let kind = match (version, series.r#type) {
            (Version::V1, 1) => "\"count\"".to_owned(),
            (Version::V1, 2) => "\"rate\"".to_owned(),
            (Version::V1, _) => {
                random.pick(&["\"gauge\"", "\"\"", "null", "\"counter\"", "false"]).to_owned()
            }
            (Version::V2, number) => number.to_string(),
        };
        members.push(("type", kind));
        if series.interval != 0 || random.below(2) == 0 {
            members.push(("interval", series.interval.to_string()));
        }
        if !series.unit.is_empty() {
            members.push(("unit", quoted(random, &series.unit)));
        }
        members.push(("source_type_name", quoted(random, &series.source_type_name)));
        match version {
            Version::V1 => {
                let first =
                    |kind: &str| series.resources.iter().find(|resource| resource.r#type == kind);
                for kind in ["host", "device"] {
                    match first(kind) {
                        Some(resource) => members.push((kind, quoted(random, &resource.name))),
                        None => members.push((kind, "null".to_owned())),
                    }
                }
            }
            Version::V2 => {
                let resources = series
                    .resources
                    .iter()
                    .map(|resource| {
                        let members = vec![
                            ("type", quoted(random, &resource.r#type)),
                            ("name", quoted(random, &resource.name)),
                        ];
                        object(random, members)
                    })
                    .collect();
                members.push(("resources", list(random, resources)));
            }
        }
        all.push(object(random, members));
    }
    let series = list(random, all);
    object(random, vec![("series", series)])
}

/// What V1 can say of a payload.
pub fn for_v1(mut payload: MetricPayload) -> MetricPayload {
    for series in &mut payload.series {
        for kind in ["host", "device"] {
            let mut is_first = true;
            series
                .resources
                .retain(|resource| resource.r#type != kind || std::mem::take(&mut is_first));
        }
        series.resources.retain(|resource| matches!(resource.r#type.as_str(), "host" | "device"));
    }
    payload
}
