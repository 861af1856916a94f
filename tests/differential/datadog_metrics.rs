//! Datadog metrics against prost, and JSON against the same message in protobuf and against `serde_json`.

use inrush::batch::Validating;
use inrush::decode::{DecodeError, Fault, Scratch, Verdict, decode};
use inrush::envelope::{Envelope, FieldId, RequestFields, Route};
use prost::Message as _;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::compare::{Difference, Pair, damage};
use crate::support::bodies::Random;
use crate::support::datadog_metrics::{
    METRIC_PAYLOAD, SKETCH_PAYLOAD, Version, as_json, for_v1, metric_payload, series, series_of,
    sketch_payload, sketches,
};
use crate::support::envelope;
use crate::support::mutate::mutate;
use crate::support::record::{Record, Recording};

const DIFFERENCES: &[Difference] =
    &[Difference::TextNotUtf8Tolerated, Difference::GroupNestingBelowProst];
pub const SERIES: Pair =
    Pair { route: Route::DatadogSeriesV2, oracle: series, differences: DIFFERENCES };
pub const SKETCHES: Pair =
    Pair { route: Route::DatadogSketches, oracle: sketches, differences: DIFFERENCES };

fn body(pair: &Pair, random: &mut Random) -> Vec<u8> {
    match pair.route {
        Route::DatadogSketches => sketch_payload(random).encode_to_vec(),
        _ => metric_payload(random).encode_to_vec(),
    }
}

fn mutated(pair: &Pair, random: &mut Random) -> Vec<u8> {
    let body = body(pair, random);
    let shape = match pair.route {
        Route::DatadogSketches => &SKETCH_PAYLOAD,
        _ => &METRIC_PAYLOAD,
    };
    mutate(random, &body, shape)
}

#[test]
fn every_kind_of_message_gives_the_records_of_prost() {
    let mut scratch = Scratch::default();
    for pair in [SERIES, SKETCHES] {
        for seed in 0..3000 {
            let body = body(&pair, &mut Random::new(seed));
            assert!(pair.compare(&body, &mut scratch, &format!("seed {seed}")), "seed {seed}");
        }
    }
}

#[test]
fn any_encoding_of_a_message_gives_the_records_of_prost() {
    let mut scratch = Scratch::default();
    for pair in [SERIES, SKETCHES] {
        for seed in 0..4000 {
            let body = mutated(&pair, &mut Random::new(seed));
            assert!(pair.compare(&body, &mut scratch, &format!("seed {seed}")), "seed {seed}");
        }
    }
}

#[test]
fn damaged_messages_are_refused_or_read_as_prost_does() {
    for pair in [SERIES, SKETCHES] {
        for seed in 0..300 {
            let mut random = Random::new(seed);
            let body =
                if seed % 2 == 0 { mutated(&pair, &mut random) } else { body(&pair, &mut random) };
            pair.compare_damaged(&body, seed, 100);
        }
    }
}

#[test]
fn a_message_cut_anywhere_is_refused_or_read_as_prost_does() {
    for pair in [SERIES, SKETCHES] {
        let mut random = Random::new(3);
        let mut all = Vec::new();
        while all.len() < 4096 {
            all.extend_from_slice(&mutated(&pair, &mut random));
        }
        pair.compare_cuts(&all, "seed 3");
    }
}

// ── JSON ──────────────────────────────────────────────────────────────────────────────────────

/// Our records, after the pass that only counts has said the same, fault and place included.
pub fn decode_json(
    route: Route,
    body: &[u8],
    scratch: &mut Scratch,
) -> Result<(Verdict, Vec<Record>), DecodeError> {
    let mut fields = Vec::new();
    assert!(RequestFields::push(&mut fields, FieldId::ContentType, b"application/json"));
    let envelope = Envelope { fields: RequestFields::new(&fields), ..envelope(route) };
    let mut recording = Recording::default();
    let filled = decode(&envelope, body, scratch, &mut recording);
    let validated = decode(&envelope, body, scratch, &mut Validating);
    assert_eq!(filled, validated, "the sink must not change the verdict");
    let verdict = filled?;
    Ok((verdict, recording.finish(&verdict)))
}

const VERSIONS: [(Version, Route); 2] =
    [(Version::V1, Route::DatadogSeriesV1), (Version::V2, Route::DatadogSeriesV2)];

#[test]
fn json_gives_the_records_of_the_same_message_in_protobuf() {
    let mut scratch = Scratch::default();
    let mut samples = 0;
    for (version, route) in VERSIONS {
        for seed in 0..4000 {
            let mut random = Random::new(seed);
            let mut payload = metric_payload(&mut random);
            if version == Version::V1 {
                payload = for_v1(payload);
            }
            let body = as_json(&mut random, &payload, version);
            let context = format!("{version:?} seed {seed}: {body}");
            let (verdict, ours) =
                decode_json(route, body.as_bytes(), &mut scratch).expect(&context);
            let theirs = series_of(&payload);
            for (index, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
                assert_eq!(without_int(ours), *theirs, "record {index}, {context}");
            }
            assert_eq!(ours.len(), theirs.len(), "{context}");
            samples += verdict.samples;
        }
    }
    assert!(samples > 10_000, "the generator makes points: {samples}");
}

/// Protobuf has no integers for values.
fn without_int(record: &Record) -> Record {
    match record {
        Record::Sample(sample) => {
            let mut sample = sample.clone();
            sample.value_int = None;
            Record::Sample(sample)
        }
        other => other.clone(),
    }
}

/// The body as `serde` types, strict where ours is lenient.
#[derive(Deserialize)]
struct Body {
    series: Option<Vec<Option<Series>>>,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "what is there to be read is checked by reading it")]
struct Series {
    metric: Option<String>,
    points: Option<Vec<Option<Point>>>,
    tags: Option<Vec<Option<String>>>,
    interval: Option<Number>,
    host: Option<String>,
    device: Option<String>,
    unit: Option<String>,
    source_type_name: Option<String>,
    resources: Option<Vec<Option<Resource>>>,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "what is there to be read is checked by reading it")]
struct Resource {
    r#type: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Bare(f64),
    Quoted(Quoted),
}

/// A number in quotes, or one of the names for what JSON numbers cannot say.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Quoted(f64);

impl TryFrom<String> for Quoted {
    type Error = serde_json::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "NaN" | "Infinity" | "-Infinity" => Ok(Self(f64::NAN)),
            // No blanks around.
            text => serde_json::from_str(&format!("[{text}]").replace(char::is_whitespace, "x"))
                .map(|[number]: [f64; 1]| Self(number)),
        }
    }
}

impl Number {
    fn read(&self) -> f64 {
        match self {
            Self::Bare(number) => *number,
            Self::Quoted(Quoted(number)) => *number,
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Point {
    Pair(Vec<Option<Number>>),
    Object { timestamp: Option<Number>, value: Option<Number> },
}

impl Point {
    /// Time and value of a sample, as closely as doubles tell.
    fn sample(&self) -> Option<(f64, f64)> {
        let (time, value) = match self {
            Self::Pair(slots) => {
                let time = match slots.first()? {
                    Some(time) => time.read(),
                    None => return None,
                };
                (time, slots.get(1)?.as_ref()?.read())
            }
            Self::Object { timestamp, value } => {
                (timestamp.as_ref().map_or(0.0, Number::read), value.as_ref()?.read())
            }
        };
        (time < 9_223_372_036.5).then_some((time, value))
    }
}

fn compare_with_serde(route: Route, body: &[u8], scratch: &mut Scratch, context: &str) -> bool {
    let is_blank = body.iter().all(u8::is_ascii_whitespace);
    let syntax = serde_json::from_slice::<IgnoredAny>(body);
    match decode_json(route, body, scratch) {
        Err(error) => {
            assert!(error.offset <= body.len() as u64 && error.line_column.is_some(), "{context}");
            if matches!(error.fault, Fault::JsonSyntax | Fault::JsonTruncated) {
                assert!(syntax.is_err(), "{error}, {context}");
            } else {
                assert!(serde_json::from_slice::<Body>(body).is_err(), "{error}, {context}");
            }
            false
        }
        Ok((verdict, records)) => {
            let tolerated = is_blank
                || std::str::from_utf8(body).is_err()
                || String::from_utf8_lossy(body).contains("\\u")
                || verdict.first_reject.is_some();
            assert!(syntax.is_ok() || tolerated, "{context}");
            let Ok(theirs) = serde_json::from_slice::<Body>(body) else { return true };
            let mut samples = Vec::new();
            for series in theirs.series.unwrap_or_default().into_iter().flatten() {
                if series.metric.is_none_or(|metric| metric.is_empty()) {
                    continue;
                }
                let points = series.points.unwrap_or_default();
                samples.extend(points.into_iter().flatten().filter_map(|point| point.sample()));
            }
            let ours = records.iter().filter_map(|record| match record {
                Record::Sample(sample) => Some(sample.time_nanos),
                _ => None,
            });
            let ours: Vec<i64> = ours.collect();
            assert_eq!(ours.len(), samples.len(), "{context}");
            for (ours, (theirs, _)) in ours.iter().zip(&samples) {
                let theirs = theirs * 1e9;
                let far = (*ours as f64 - theirs).abs() > 1e4;
                assert!(!far || theirs < 1.0, "{ours} {theirs}, {context}");
            }
            true
        }
    }
}

#[test]
fn damaged_json_is_refused_where_serde_refuses_it() {
    let mut scratch = Scratch::default();
    let (mut read, mut refused) = (0, 0);
    for (version, route) in VERSIONS {
        for seed in 0..150 {
            let mut random = Random::new(seed);
            let payload = metric_payload(&mut random);
            let body = as_json(&mut random, &payload, version);
            for round in 0..100 {
                let mut damaged = damage(body.as_bytes(), &mut random);
                if round % 2 == 0 && !damaged.is_empty() {
                    let place = random.below(damaged.len());
                    damaged[place] = b"{}[]\",:\\0e.-nt"[random.below(14)];
                }
                let text = String::from_utf8_lossy(&damaged).into_owned();
                let context = format!("{version:?} seed {seed} round {round}: {text}");
                if compare_with_serde(route, &damaged, &mut scratch, &context) {
                    read += 1;
                } else {
                    refused += 1;
                }
            }
        }
    }
    assert!(read > 1000 && refused > 5000, "{read} {refused}");
}

#[test]
fn json_cut_anywhere_is_refused() {
    let mut scratch = Scratch::default();
    for (version, route) in VERSIONS {
        let body = (0..)
            .map(|seed| {
                let mut random = Random::new(seed);
                let payload = metric_payload(&mut random);
                as_json(&mut random, &payload, version)
            })
            .find(|body| body.len() > 1500)
            .unwrap();
        for end in 1..body.len() {
            let cut = &body.as_bytes()[..end];
            assert!(decode_json(route, cut, &mut scratch).is_err(), "{version:?} cut at {end}");
        }
    }
}
