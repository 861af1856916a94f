//! Firehose against `serde_json`, `base64` and `flate2`: the same logs from the same bytes.

use std::collections::BTreeMap;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use inrush::decode::{DecodeError, Scratch, Verdict};
use inrush::envelope::{Envelope, FieldId, RequestFields, Route};
use serde_json::{Value as Json, json};

use crate::bodies_firehose::{gzip, request};
use crate::support::bodies::Random;
use crate::support::record::{LogRecord, OwnedValue, Record};
use crate::support::{ARRIVAL_NANOS, decode_recording, envelope};

pub const ID: &str = "ed4acda5-034f-9f42-bba1-f29aea6d7d8f";
pub const ARN: &str = "arn:aws:firehose:eu-west-1:123456789012:deliverystream/logs";
pub const ATTRIBUTES: &str =
    r#"{"commonAttributes":{"env":"prod","cloud.region":"moon","team":"\u00e9"}}"#;

/// A log with the resource it is of.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub resource: BTreeMap<String, Json>,
    pub time_nanos: i64,
    pub body: Json,
    pub attributes: BTreeMap<String, Json>,
    pub severity_number: i32,
}

fn json_of(value: &OwnedValue) -> Json {
    match value {
        OwnedValue::Empty => Json::Null,
        OwnedValue::Text(text) => json!(text),
        OwnedValue::Bool(value) => json!(value),
        OwnedValue::Int(value) => json!(value),
        OwnedValue::Double(bits) => json!(f64::from_bits(bits.0)),
        OwnedValue::Bytes(bytes) => json!(bytes),
        OwnedValue::Array(values) => values.iter().map(json_of).collect(),
        OwnedValue::Map(pairs) => json!(map_of(pairs)),
        OwnedValue::Json(text) => serde_json::from_str(text).unwrap(),
    }
}

fn map_of(pairs: &[(String, OwnedValue)]) -> BTreeMap<String, Json> {
    let map: BTreeMap<_, _> =
        pairs.iter().map(|(key, value)| (key.clone(), json_of(value))).collect();
    assert_eq!(map.len(), pairs.len(), "a name twice in {pairs:?}");
    map
}

pub struct Decoder {
    pub scratch: Scratch,
    fields: Vec<u8>,
}

impl Decoder {
    /// Without any header.
    pub fn bare() -> Self {
        Self { scratch: Scratch::default(), fields: Vec::new() }
    }

    pub fn new() -> Self {
        Self::bare()
            .with(FieldId::FirehoseRequestId, ID)
            .with(FieldId::FirehoseSourceArn, ARN)
            .with(FieldId::FirehoseCommonAttributes, ATTRIBUTES)
    }

    pub fn with(mut self, id: FieldId, value: &str) -> Self {
        assert!(RequestFields::push(&mut self.fields, id, value.as_bytes()));
        self
    }

    /// Both passes, which must say the same; nothing is ever rejected.
    pub fn decode(&mut self, body: &[u8]) -> Result<(Verdict, Vec<Row>), DecodeError> {
        let envelope =
            Envelope { fields: RequestFields::new(&self.fields), ..envelope(Route::Firehose) };
        let recording = crate::support::record::Recording::default();
        let (verdict, records) = decode_recording(&envelope, body, &mut self.scratch, recording)?;
        assert_eq!((verdict.rejected, verdict.kept()), (0, verdict.logs));
        let mut resource = BTreeMap::new();
        let mut rows = Vec::new();
        for record in records {
            match record {
                Record::Resource { attributes, .. } => resource = map_of(&attributes),
                Record::Log(log) => rows.push(row(&resource, &log)),
                _ => {}
            }
        }
        Ok((verdict, rows))
    }
}

fn row(resource: &BTreeMap<String, Json>, log: &LogRecord) -> Row {
    assert_eq!(log.observed_time_nanos, ARRIVAL_NANOS as i64);
    Row {
        resource: resource.clone(),
        time_nanos: log.time_nanos,
        body: json_of(&log.body),
        attributes: map_of(&log.attributes),
        severity_number: log.severity_number,
    }
}

pub fn map(json: Json) -> BTreeMap<String, Json> {
    serde_json::from_value(json).unwrap()
}

// ── The oracle ────────────────────────────────────────────────────────────────────────────────

fn common_resource() -> BTreeMap<String, Json> {
    map(json!({
        "cloud.provider": "aws", "cloud.region": "eu-west-1", "aws.firehose.arn": ARN,
        "env": "prod", "team": "é",
    }))
}

/// For bodies of [`generate`]: a tree of everything, and no bounds.
fn oracle(body: &[u8]) -> Result<Vec<Row>, serde_json::Error> {
    let body: Json = serde_json::from_slice(body)?;
    let body_time = body["timestamp"].as_i64().map(|millis| millis * 1_000_000);
    let mut rows = Vec::new();
    for record in body["records"].as_array().into_iter().flatten() {
        let data = record["data"].as_str();
        let mut say = |resource: BTreeMap<_, _>,
                       time: Option<i64>,
                       body: Json,
                       mut attributes: BTreeMap<_, _>| {
            attributes.insert("aws.firehose.request_id".to_owned(), json!(ID));
            let time_nanos = time.or(body_time).unwrap_or(ARRIVAL_NANOS as i64);
            rows.push(Row { resource, time_nanos, body, attributes, severity_number: 0 });
        };
        let decoded = data.map(|data| STANDARD.decode(data));
        let (Some(data), Some(Ok(mut bytes))) = (data, decoded) else {
            let text = data.map_or_else(|| record.to_string(), str::to_owned);
            say(common_resource(), None, json!(text), map(json!({"_parse_error": "?"})));
            continue;
        };
        if bytes.starts_with(b"\x1f\x8b\x08") {
            let mut inflated = Vec::new();
            if flate2::read::MultiGzDecoder::new(&*bytes).read_to_end(&mut inflated).is_err() {
                say(common_resource(), None, json!(data), map(json!({"_parse_error": "?"})));
                continue;
            }
            bytes = inflated;
        }
        let documents: Result<Vec<Json>, _> =
            serde_json::Deserializer::from_slice(&bytes).into_iter().collect();
        let Some(documents) =
            documents.ok().filter(|documents| documents.iter().all(Json::is_object))
        else {
            for line in String::from_utf8_lossy(&bytes).split('\n') {
                let line = line.strip_suffix('\r').unwrap_or(line);
                if !line.trim().is_empty() {
                    say(common_resource(), None, json!(line), BTreeMap::new());
                }
            }
            continue;
        };
        for document in documents {
            match document["messageType"].as_str() {
                Some("CONTROL_MESSAGE") => {}
                Some("DATA_MESSAGE") => {
                    let mut resource = common_resource();
                    resource.insert("cloud.account.id".to_owned(), document["owner"].clone());
                    resource
                        .insert("aws.log.group.names".to_owned(), json!([document["logGroup"]]));
                    resource
                        .insert("aws.log.stream.names".to_owned(), json!([document["logStream"]]));
                    for event in document["logEvents"].as_array().unwrap() {
                        let mut attributes = BTreeMap::new();
                        if event["id"] != "" {
                            attributes.insert("aws.log.event.id".to_owned(), event["id"].clone());
                        }
                        if let Some(fields) = event.get("extractedFields") {
                            attributes.insert(
                                "aws.log.event.extracted_fields".to_owned(),
                                fields.clone(),
                            );
                        }
                        let time = event["timestamp"].as_i64().map(|millis| millis * 1_000_000);
                        say(resource.clone(), time, event["message"].clone(), attributes);
                    }
                }
                _ => {
                    let mut attributes = map(document);
                    let time = attributes.remove("time").and_then(|time| time.as_i64());
                    let body = attributes.remove("message").unwrap();
                    say(common_resource(), time.map(|millis| millis * 1_000_000), body, attributes);
                }
            }
        }
    }
    Ok(rows)
}

// ── Generated bodies ──────────────────────────────────────────────────────────────────────────

fn word(random: &mut Random) -> String {
    let words = [
        "GET /",
        "\"quoted\"",
        "tab\tnew\nline",
        "é漢🦀",
        "",
        "{\"a\":[1]}",
        "back\\slash",
        "\u{1}",
    ];
    let word = random.pick(&words).to_owned();
    if random.below(20) == 0 { word.repeat(random.below(120)) } else { word }
}

fn document(random: &mut Random) -> String {
    match random.below(5) {
        0 => json!({
            "messageType": "CONTROL_MESSAGE", "owner": "CloudwatchLogs", "logGroup": "", "logStream": "",
            "subscriptionFilters": [], "logEvents": [{"id": "", "timestamp": 1, "message": "CWL CONTROL MESSAGE: x"}],
        })
        .to_string(),
        1 | 2 => {
            let events: Vec<Json> = (0..random.below(5))
                .map(|_| {
                    let mut event = json!({"message": word(random)});
                    if random.below(4) > 0 {
                        event["timestamp"] = json!(1_795_435_200_000 + random.below(1_000_000));
                    }
                    if random.below(2) > 0 {
                        event["id"] = json!(random.hex(56));
                    } else {
                        event["id"] = json!("");
                    }
                    if random.below(4) == 0 {
                        event["extractedFields"] = json!({"@aws.region": word(random)});
                    }
                    event
                })
                .collect();
            // serde_json sorts members; order is varied by hand.
            let parts = [
                r#""messageType":"DATA_MESSAGE""#.to_owned(),
                format!(r#""owner":"{}""#, random.below(1_000_000)),
                format!(r#""logGroup":{},"logStream":{}"#, json!(random.hex(4) + &word(random)), json!(random.hex(3))),
                format!(r#""logEvents":{}"#, json!(events)),
                r#""subscriptionFilters":["a",{"b":[]}],"policyLevel":null"#.to_owned(),
            ];
            let turn = random.below(parts.len());
            let parts: Vec<_> = parts.iter().cycle().skip(turn).take(parts.len()).cloned().collect();
            format!("{{{}}}", parts.join(", "))
        }
        _ => {
            let mut object = json!({
                "message": word(random), "k1": random.below(100), "k2": word(random), "k3": random.below(2) == 0,
            });
            if random.below(2) == 0 {
                object["time"] = json!(1_795_435_200_000 + random.below(1_000_000));
            }
            if random.below(3) == 0 { serde_json::to_string_pretty(&object).unwrap() } else { object.to_string() }
        }
    }
}

fn record(random: &mut Random) -> Vec<u8> {
    let between = random.pick(&["", "\n", " ", "\r\n", "\n\n\t"]).to_owned();
    let mut bytes = match random.below(8) {
        0 => Vec::new(),
        1 => random
            .pick(&["plain", "  indented\r\n\r\nlines\n", "2026 [x] {y}\n\tat z", "[INFO] a\n[1]"])
            .into(),
        _ => {
            let documents: Vec<_> = (0..1 + random.below(3)).map(|_| document(random)).collect();
            let end = if random.below(2) == 0 { "\n" } else { "" };
            (documents.join(&between) + end).into_bytes()
        }
    };
    match random.below(4) {
        0 => bytes = gzip(&bytes),
        1 => {
            let (left, right) = bytes.split_at(random.below(bytes.len() + 1));
            bytes = [gzip(left), gzip(right)].concat();
        }
        _ => {}
    }
    if random.below(30) == 0 && bytes.starts_with(b"\x1f\x8b\x08") {
        let place = 10 + random.below(bytes.len() - 10);
        bytes[place] ^= 1;
    }
    bytes
}

fn generate(random: &mut Random) -> Vec<u8> {
    let records: Vec<_> = (0..random.below(6)).map(|_| record(random)).collect();
    let mut body = request(&records);
    if random.below(10) == 0 {
        let odd = random.pick(&[r#"{"data":"!"}"#, r#"{"data":5}"#, "{}", "[]"]);
        let comma = if records.is_empty() { "" } else { "," };
        body.truncate(body.len() - 2);
        body.extend_from_slice(format!("{comma}{odd}]}}").as_bytes());
    }
    body
}

/// What an error says is ours to choose.
fn without_reasons(rows: &mut [Row]) {
    for row in rows {
        if let Some(reason) = row.attributes.get_mut("_parse_error") {
            *reason = json!("?");
        }
    }
}

#[test]
fn generated_requests_give_the_logs_of_the_oracle() {
    let mut decoder = Decoder::new();
    let mut kinds = [0; 3];
    for seed in 0..4000 {
        let body = generate(&mut Random::new(seed));
        let (_, mut ours) = decoder.decode(&body).unwrap();
        let theirs = oracle(&body).unwrap();
        without_reasons(&mut ours);
        assert_eq!(ours, theirs, "seed {seed}");
        for row in ours {
            let kind = if row.attributes.contains_key("_parse_error") { 0 } else { 1 };
            kinds[if row.resource.contains_key("aws.log.group.names") { 2 } else { kind }] += 1;
        }
    }
    assert!(kinds.iter().all(|&count| count > 100), "{kinds:?}");
}

/// Accepted are the bodies that are JSON with a list of records, and no others. Text that is not UTF-8,
/// and a surrogate without its other half, are no faults to us.
#[test]
fn damaged_requests_are_refused_as_the_oracle_does() {
    let mut decoder = Decoder::new();
    let (mut accepted, mut refused) = (0, 0);
    for seed in 0..6000 {
        let mut random = Random::new(seed);
        let mut body = generate(&mut random);
        // Most of a body is base64: damage near its ends is damage to the structure.
        let reach = if random.below(2) == 0 { body.len() } else { body.len().min(120) };
        let place = random.below(reach);
        match random.below(3) {
            0 => body[place] = b"{}[]\",:\\ \n0a"[random.below(12)],
            1 => drop(body.drain(place..body.len().min(place + 1 + random.below(3)))),
            _ => body.insert(place, random.draw() as u8),
        }
        let theirs = serde_json::from_slice::<Json>(&body);
        let ours = decoder.decode(&body);
        match (&theirs, &ours) {
            (Ok(json), Ok(_)) => {
                accepted += 1;
                assert!(json["records"].is_array(), "seed {seed}");
            }
            (Ok(json), Err(error)) => assert!(!json["records"].is_array(), "seed {seed}: {error}"),
            (Err(_), Err(_)) => refused += 1,
            (Err(error), Ok(_)) => {
                let lossy = String::from_utf8_lossy(&body);
                // A number beyond f64 is JSON all the same.
                let is_known = error.to_string().starts_with("number out of range")
                    || std::str::from_utf8(&body).is_err()
                        && serde_json::from_str::<Json>(&lossy).is_ok();
                assert!(is_known, "seed {seed}: {error}");
            }
        }
    }
    assert!(accepted > 1000 && refused > 1000, "{accepted} {refused}");
}

#[test]
fn a_request_cut_anywhere_is_refused_at_its_end() {
    let body = generate(&mut Random::new(7));
    let mut decoder = Decoder::new();
    for end in 0..body.len() {
        let error = decoder.decode(&body[..end]).unwrap_err();
        assert_eq!(error.fault, inrush::decode::Fault::JsonTruncated, "{end}");
        assert_eq!(error.offset, end as u64);
    }
    assert!(decoder.decode(&body).is_ok());
}
