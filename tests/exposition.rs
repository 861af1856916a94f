//! The exposition decoder against a plain one, written from the description of the formats: the same
//! records from the same text, damaged or not, and from the same text cut at any line end.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod support;

use std::collections::BTreeMap;

use inrush::batch::Validating;
use inrush::batch::record::MetricType;
use inrush::decode::{Scratch, Verdict, decode};
use inrush::envelope::{Envelope, FieldId, RequestFields, Route};

use support::bodies::Random;
use support::record::{Bits, OwnedValue, Record, Recording, SampleRecord};
use support::{ARRIVAL_NANOS, envelope};

// ── The plain one ───────────────────────────────────────────────────────────────────────────────────

type Bytes = Vec<u8>;
type Pairs = Vec<(Bytes, Bytes)>;

/// What is left of a line, taken off the front.
#[derive(Clone)]
struct Rest(Bytes);

impl Rest {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.0.remove(0);
        }
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        if self.peek() != Some(byte) {
            return None;
        }
        self.0.remove(0);
        Some(())
    }

    fn until(&mut self, stops: &[u8]) -> Bytes {
        let mut taken = Vec::new();
        while let Some(byte) = self.peek().filter(|byte| !stops.contains(byte)) {
            taken.push(byte);
            self.0.remove(0);
        }
        taken
    }

    fn string(&mut self) -> Option<Bytes> {
        self.eat(b'"')?;
        let mut text = Vec::new();
        loop {
            let byte = self.peek()?;
            self.0.remove(0);
            match byte {
                b'"' => return Some(text),
                b'\\' => {
                    let next = self.peek()?;
                    self.0.remove(0);
                    match next {
                        b'n' => text.push(b'\n'),
                        b'"' | b'\\' => text.push(next),
                        _ => text.extend([b'\\', next]),
                    }
                }
                _ => text.push(byte),
            }
        }
    }

    /// Behind the opening brace.
    fn labels(&mut self, names: &mut Vec<Bytes>) -> Option<Pairs> {
        let mut pairs = Vec::new();
        loop {
            self.blanks();
            if self.eat(b'}').is_some() {
                return Some(pairs);
            }
            let is_quoted = self.peek() == Some(b'"');
            let name = if is_quoted {
                self.string()?
            } else {
                let mut name = self.until(b"=,{}\"");
                while matches!(name.last(), Some(b' ' | b'\t')) {
                    name.pop();
                }
                name
            };
            self.blanks();
            if is_quoted && self.peek() != Some(b'=') {
                names.push(name);
            } else {
                self.eat(b'=')?;
                self.blanks();
                let value = self.string()?;
                if name == b"__name__" && !value.is_empty() {
                    names.push(value);
                } else if !name.is_empty() && !value.is_empty() {
                    pairs.push((name, value));
                }
            }
            self.blanks();
            if self.eat(b'}').is_some() {
                return Some(pairs);
            }
            self.eat(b',')?;
        }
    }

    /// A value and a time.
    fn tail(&mut self) -> Option<(f64, Option<i64>, Option<i64>)> {
        self.blanks();
        let text = String::from_utf8(self.until(b" \t#")).ok()?;
        let value = number(&text)?;
        let int = text.parse::<i64>().ok().filter(|int| int.unsigned_abs() > 1 << 53);
        self.blanks();
        let text = String::from_utf8(self.until(b" \t#")).ok()?;
        let time = if text.is_empty() { None } else { Some(time(&text)?) };
        self.blanks();
        match self.peek() {
            None | Some(b'#') => Some((value, int, time)),
            Some(_) => None,
        }
    }
}

fn number(text: &str) -> Option<f64> {
    let bare = text.strip_prefix(['+', '-']).unwrap_or(text).to_ascii_lowercase();
    match bare.as_str() {
        "nan" => return Some(f64::from_bits(0x7ff8_0000_0000_0001)),
        "inf" | "infinity" => {}
        _ if bare.chars().all(|char| "0123456789+-.e".contains(char)) => {}
        _ => return None,
    }
    text.parse().ok()
}

/// By moving the point within the digits.
fn time(text: &str) -> Option<i64> {
    let value = number(text)?;
    let lower = text.to_ascii_lowercase();
    if lower.contains(['n', 'i']) {
        return None;
    }
    let (mantissa, exponent) = lower.split_once('e').unwrap_or((&lower, "0"));
    // Any larger ones say the same.
    let exponent = exponent.parse::<f64>().ok()?.clamp(-1000.0, 1000.0) as i32;
    let is_negative = mantissa.starts_with('-');
    let mantissa = mantissa.trim_start_matches(['+', '-']);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    // Generated times are far from the border, where a double decides rightly.
    let is_seconds = (-2_147_483_648.0..2_147_483_648.0).contains(&value);
    let point = whole.len() as i32 + exponent + if is_seconds { 9 } else { 6 };
    let digits = format!("{whole}{fraction}");
    let mut nanos = String::new();
    for place in 0..point.clamp(0, 60) {
        nanos.push(char::from(*digits.as_bytes().get(place as usize).unwrap_or(&b'0')));
    }
    let magnitude = nanos.trim_start_matches('0').parse::<i128>();
    // Over two hundred bits: beyond any time. Nothing left is 0.
    let magnitude =
        magnitude.unwrap_or(if nanos.trim_start_matches('0').is_empty() { 0 } else { i128::MAX });
    let signed = if is_negative { -magnitude } else { magnitude };
    Some(signed.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Family {
    name: Bytes,
    word: Bytes,
    unit: Bytes,
    help: Bytes,
    lines: [Bytes; 3],
    is_changed: bool,
}

#[derive(Default)]
struct Plain {
    records: Vec<Record>,
    samples: u64,
    exemplars: u64,
    metadata: u64,
    rejected: u64,
    family: Option<Family>,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn owned(pairs: Pairs) -> Vec<(String, OwnedValue)> {
    pairs.into_iter().map(|(name, value)| (text(&name), OwnedValue::Text(text(&value)))).collect()
}

fn id(hex: &[u8], size: usize) -> Option<Bytes> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let all = hex.len() == 2 * size && hex.iter().all(|&byte| digit(byte).is_some());
    let id: Bytes = hex
        .chunks(2)
        .filter(|_| all)
        .map(|pair| (digit(pair[0]).unwrap() * 16 + digit(pair[1]).unwrap()) as u8)
        .collect();
    id.iter().any(|&byte| byte != 0).then_some(id)
}

impl Plain {
    fn read(payload: &[u8]) -> Self {
        let mut plain = Self::default();
        for line in payload.split(|&byte| byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let mut rest = Rest(line.to_vec());
            rest.blanks();
            match rest.peek() {
                None => {}
                Some(b'#') => plain.comment(line, rest),
                Some(_) if plain.sample(rest).is_none() => plain.rejected += 1,
                Some(_) => {}
            }
        }
        plain.push_family();
        plain
    }

    fn push_family(&mut self) {
        let Some(family) = self.family.as_mut().filter(|family| family.is_changed) else { return };
        family.is_changed = false;
        let metric_type = match family.word.as_slice() {
            b"counter" => MetricType::Counter,
            b"gauge" => MetricType::Gauge,
            b"histogram" => MetricType::Histogram,
            b"gaugehistogram" => MetricType::GaugeHistogram,
            b"summary" => MetricType::Summary,
            b"info" => MetricType::Info,
            b"stateset" => MetricType::StateSet,
            _ => MetricType::Unknown,
        };
        // A string without its quotes; what would end it there cannot end it here.
        let mut help = Vec::new();
        let mut rest = Rest(family.help.clone());
        while let Some(byte) = rest.peek() {
            rest.0.remove(0);
            match (byte, rest.peek()) {
                (b'\\', Some(b'n')) => help.push(b'\n'),
                (b'\\', Some(next @ (b'\\' | b'"'))) => help.push(next),
                _ => {
                    help.push(byte);
                    continue;
                }
            }
            rest.0.remove(0);
        }
        self.metadata += 1;
        self.records.push(Record::Metadata {
            family: text(&family.name),
            metric_type,
            unit: text(&family.unit),
            help: text(&help),
        });
    }

    fn comment(&mut self, line: &[u8], mut rest: Rest) {
        rest.0.remove(0);
        rest.blanks();
        let keyword = rest.until(b" \t");
        let Some(kind) = [&b"TYPE"[..], b"UNIT", b"HELP"].iter().position(|word| *word == keyword)
        else {
            return;
        };
        rest.blanks();
        let name = if rest.peek() == Some(b'"') { rest.string() } else { Some(rest.until(b" \t")) };
        let Some(name) = name.filter(|name| !name.is_empty()) else { return };
        rest.blanks();
        if self.family.as_ref().is_none_or(|family| family.name != name) {
            self.push_family();
            self.family = Some(Family { name, ..Family::default() });
        }
        let family = self.family.as_mut().unwrap();
        family.is_changed |= family.lines[kind] != line;
        family.lines[kind] = line.to_vec();
        match kind {
            0 => family.word = rest.0.trim_ascii().to_vec(),
            1 => family.unit = rest.0.trim_ascii().to_vec(),
            _ => family.help = rest.0,
        }
    }

    fn sample(&mut self, mut rest: Rest) -> Option<()> {
        let mut names = vec![rest.until(b"{ \t")];
        names.retain(|name| !name.is_empty());
        let mut pairs = Vec::new();
        rest.blanks();
        if rest.eat(b'{').is_some() {
            pairs = rest.labels(&mut names)?;
        }
        let [name] = names.as_slice() else { return None };
        if name.is_empty() {
            return None;
        }
        pairs.sort();
        if pairs.windows(2).any(|two| two[0].0 == two[1].0) {
            return None;
        }
        let (value, value_int, time) = rest.tail()?;
        let time = time.unwrap_or(ARRIVAL_NANOS as i64);

        let suffixes =
            ["", "_total", "_created", "_bucket", "_count", "_sum", "_gcount", "_gsum", "_info"];
        if let Some(family) = &self.family
            && !suffixes.iter().any(|suffix| [&family.name, suffix.as_bytes()].concat() == *name)
        {
            self.push_family();
            self.family = None;
        }
        self.samples += 1;
        self.records.push(Record::Series { name: text(name), labels: owned(pairs) });
        self.records
            .push(Record::Sample(SampleRecord { value_int, ..SampleRecord::new(time, value) }));
        while rest.eat(b'#').is_some() {
            rest.blanks();
            if rest.eat(b'{').is_none() {
                break;
            }
            if self.exemplar(&mut rest, time).is_none() {
                self.rejected += 1;
                break;
            }
        }
        Some(())
    }

    fn exemplar(&mut self, rest: &mut Rest, sample_time: i64) -> Option<()> {
        let mut names = Vec::new();
        let mut pairs = rest.labels(&mut names)?;
        let (value, _, time) = rest.tail()?;
        if !names.is_empty() {
            return None;
        }
        let mut take = |wanted: &[u8], size: usize| {
            let found = pairs
                .iter()
                .position(|(name, value)| name == wanted && id(value, size).is_some())?;
            id(&pairs.remove(found).1, size)
        };
        let trace_id = take(b"trace_id", 16).map(|id| id.try_into().unwrap());
        let span_id = take(b"span_id", 8).map(|id| id.try_into().unwrap());
        self.exemplars += 1;
        self.records.push(Record::Exemplar {
            time_nanos: time.unwrap_or(sample_time),
            value: Bits::from(value),
            trace_id,
            span_id,
            attributes: owned(pairs),
        });
        Some(())
    }
}

// ── Ours ────────────────────────────────────────────────────────────────────────────────────────────

fn ours(payload: &[u8], carried: &[u8], scratch: &mut Scratch) -> (Verdict, Vec<Record>) {
    let mut fields = Vec::new();
    assert!(RequestFields::push(&mut fields, FieldId::OpenFamily, carried));
    let fields = RequestFields::new(&fields);
    let envelope = Envelope { fields, ..envelope(Route::ImportPrometheus) };
    let validated = decode(&envelope, payload, scratch, &mut Validating).unwrap();
    let mut recording = Recording::default();
    let verdict = decode(&envelope, payload, scratch, &mut recording).unwrap();
    assert_eq!(verdict, validated, "{}", payload.escape_ascii());
    (verdict, recording.records)
}

fn compare(payload: &[u8], scratch: &mut Scratch, context: &str) -> Verdict {
    let (verdict, ours) = ours(payload, b"", scratch);
    let plain = Plain::read(payload);
    let context = || format!("{context}: {}", payload.escape_ascii());
    for (index, (ours, plain)) in ours.iter().zip(&plain.records).enumerate() {
        assert_eq!(ours, plain, "record {index}, {}", context());
    }
    assert_eq!(ours.len(), plain.records.len(), "{}", context());
    let counts = (verdict.samples, verdict.exemplars, verdict.metadata, verdict.rejected);
    let wanted = (plain.samples, plain.exemplars, plain.metadata, plain.rejected);
    assert_eq!(counts, wanted, "{}", context());
    verdict
}

// ── Texts ───────────────────────────────────────────────────────────────────────────────────────────

fn blank(random: &mut Random) -> &'static str {
    random.pick(&["", "", "", "", " ", "  ", "\t", " \t "])
}

fn string(random: &mut Random) -> &'static str {
    random.pick(&[
        "\"\"",
        "\"x\"",
        "\"200\"",
        "\"/a=b\"",
        "\"} 1 # {\"",
        "\"a,b\"",
        "\"\\\\\"",
        "\"\\\"\"",
        "\"\\n\"",
        "\"do\\main\"",
        "\"\u{e4}\"",
        "\"a longer text, of more than eight bytes\"",
        "\"\\\\\\\"\"",
        "\"trace_id\"",
        "\"4bf92f3577b34da6a3ce929d0e0e4736\"",
        "\"00f067aa0ba902b7\"",
        "\"0000000000000000\"",
        "\" \"",
    ])
}

fn label_name(random: &mut Random) -> &'static str {
    random.pick(&[
        "a",
        "b",
        "c",
        "le",
        "code",
        "method",
        "instance",
        "kubernetes_pod",
        "kubernetes_node",
        "kubernetes_namespace",
        "trace_id",
        "span_id",
        "__name__",
        "b.c",
        "x-y",
        "a b",
        "",
        "\"a\"",
        "\"b.c\"",
        "\"q\\\"q\"",
        "\"\"",
        "\u{e4}",
    ])
}

fn labels(random: &mut Random, into: &mut String) {
    into.push('{');
    let is_usual = random.below(2) == 0;
    let count = random.below(12);
    for index in 0..count {
        if is_usual {
            let name = random.pick(&["code", "instance", "job", "le", "method", "namespace_of"]);
            let value = random.hex(1 + random_size(index));
            *into += &format!("{name}{index}=\"{value}\"");
        } else if random.below(12) == 0 {
            *into += string(random);
        } else {
            for part in [blank(random), label_name(random), blank(random), "=", blank(random)] {
                *into += part;
            }
            *into += string(random);
            *into += blank(random);
        }
        if index + 1 < count || random.below(8) == 0 {
            into.push(',');
        }
    }
    into.push('}');
}

const fn random_size(index: usize) -> usize {
    index * 7 % 23
}

fn number_text(random: &mut Random) -> &'static str {
    random.pick(&[
        "0",
        "1",
        "-1",
        "+1",
        "17.25",
        "1e3",
        "1.5E-3",
        ".5",
        "1.",
        "NaN",
        "nan",
        "-nan",
        "Inf",
        "-inf",
        "+Infinity",
        "0x10",
        "1_0",
        "1e",
        "-",
        ".",
        "e1",
        "9007199254740993",
        "-9007199254740993",
        "18446744073709551616",
        "123456789012345678",
        "1e999",
        "4.9e-324",
        "0.1",
        "{",
        "x",
    ])
}

fn time_text(random: &mut Random) -> &'static str {
    random.pick(&[
        "0",
        "1",
        "-5",
        "1520879607.789",
        "1520879607.123456789",
        "1.520879607789e+09",
        "1395066363000",
        "1395066363000.5",
        "-3982045",
        "99999999999999999999",
        "1e3",
        "nan",
        "inf",
        "t",
        "1 2",
    ])
}

fn metric_name(random: &mut Random) -> &'static str {
    random.pick(&[
        "up",
        "up",
        "http_requests_total",
        "http_requests",
        "a:b",
        "a.b-c/d",
        "h_bucket",
        "h_sum",
    ])
}

fn text_line(random: &mut Random, into: &mut String) {
    let is_odd = random.below(3) == 0;
    match random.below(12) {
        0 => *into += random.pick(&["", " ", "# EOF", "#", "# a comment", "\t"]),
        1 | 2 => {
            let keyword = random.pick(&["TYPE", "HELP", "UNIT"]);
            let name =
                random.pick(&["up", "http_requests", "h", "\"a\\\"b\"", "\"up\"", "a.b-c/d"]);
            let rest = random.pick(&[
                "counter",
                "gauge",
                "histogram",
                "summary",
                "untyped",
                "info",
                "stateset",
                "x\\n\\\\\\\"\\y",
                "",
                "  two  words ",
                "gaugehistogram",
            ]);
            *into += &format!("# {keyword} {name} {rest}");
        }
        _ => {
            if random.below(8) != 0 {
                *into += metric_name(random);
            }
            if is_odd {
                *into += blank(random);
            }
            if random.below(4) != 0 {
                labels(random, into);
            }
            into.push(' ');
            if is_odd {
                *into += blank(random);
            }
            *into += number_text(random);
            if random.below(2) == 0 {
                into.push(' ');
                *into += time_text(random);
            }
            for _ in 0..random.below(8).saturating_sub(5) {
                *into += random.pick(&[" # ", "#", " #"]);
                labels(random, into);
                *into += &format!(" {}", number_text(random));
                if random.below(2) == 0 {
                    *into += &format!(" {}", time_text(random));
                }
            }
            if random.below(10) == 0 {
                *into += random.pick(&[" # comment", "#", " ", "\t"]);
            }
        }
    }
    *into += random.pick(&["\n", "\n", "\n", "\r\n"]);
}

fn block(random: &mut Random) -> Vec<u8> {
    let mut text = String::new();
    for _ in 0..1 + random.below(12) {
        text_line(random, &mut text);
    }
    if random.below(3) == 0 {
        text.pop();
    }
    text.into_bytes()
}

// ── Comparisons ─────────────────────────────────────────────────────────────────────────────────────

#[test]
fn every_kind_of_line_gives_the_plain_decoders_records() {
    let mut scratch = Scratch::default();
    let mut all = Verdict::default();
    for seed in 0..6000 {
        let body = block(&mut Random::new(seed));
        let verdict = compare(&body, &mut scratch, &format!("seed {seed}"));
        all.samples += verdict.samples;
        all.exemplars += verdict.exemplars;
        all.metadata += verdict.metadata;
        all.rejected += verdict.rejected;
    }
    // The generator must make enough of each.
    assert!(all.samples > 10_000 && all.rejected > 5000, "{all:?}");
    assert!(all.exemplars > 300 && all.metadata > 3000, "{all:?}");
}

#[test]
fn damaged_lines_give_the_plain_decoders_records() {
    let mut scratch = Scratch::default();
    for seed in 0..8000 {
        let mut random = Random::new(1_000_000 + seed);
        let mut body = block(&mut random);
        for _ in 0..=random.below(4) {
            let alphabet = b"{}\",=# \\\t\r\n0a.eE-+_\xff\0n";
            let byte = alphabet[random.below(alphabet.len())];
            let place = random.below(body.len() + 1);
            match random.below(3) {
                0 => body.insert(place, byte),
                1 if place < body.len() => drop(body.remove(place)),
                _ if place < body.len() => body[place] = byte,
                _ => {}
            }
        }
        compare(&body, &mut scratch, &format!("seed {seed}"));
    }
}

#[test]
fn every_beginning_gives_the_plain_decoders_records() {
    let mut scratch = Scratch::default();
    for seed in 0..60 {
        let body = block(&mut Random::new(2_000_000 + seed));
        for end in 0..=body.len() {
            compare(&body[..end], &mut scratch, &format!("seed {seed} cut at {end}"));
        }
    }
}

/// What a reader of metadata sees in the end: the last record of each family.
fn families(records: &[Record]) -> BTreeMap<String, Record> {
    let mut families = BTreeMap::new();
    for record in records {
        if let Record::Metadata { family, .. } = record {
            families.insert(family.clone(), record.clone());
        }
    }
    families
}

fn without_metadata(records: &[Record]) -> Vec<&Record> {
    records.iter().filter(|record| !matches!(record, Record::Metadata { .. })).collect()
}

#[test]
fn blocks_hold_what_the_whole_holds_wherever_it_is_cut() {
    let mut scratch = Scratch::default();
    let mut carried_count = 0;
    for seed in 0..1500 {
        let mut random = Random::new(3_000_000 + seed);
        let body = block(&mut random);
        let (whole, whole_records) = ours(&body, b"", &mut scratch);
        let ends: Vec<_> =
            (0..body.len()).filter(|&place| body[place] == b'\n').map(|place| place + 1).collect();
        for cut in [1, 2, 3] {
            let mut records = Vec::new();
            let (mut start, mut carried, mut sum) = (0, Vec::new(), Verdict::default());
            // Every cut-th line end, and the rest.
            for end in ends.iter().copied().skip(cut - 1).step_by(cut).chain([body.len()]) {
                let (verdict, part) = ours(&body[start..end], &carried, &mut scratch);
                carried = scratch.exposition.open_family().to_vec();
                carried_count += usize::from(!carried.is_empty());
                sum.samples += verdict.samples;
                sum.exemplars += verdict.exemplars;
                sum.rejected += verdict.rejected;
                records.extend(part);
                start = end;
            }
            let context = format!("seed {seed}, cut {cut}: {}", body.escape_ascii());
            assert_eq!(without_metadata(&records), without_metadata(&whole_records), "{context}");
            assert_eq!(families(&records), families(&whole_records), "{context}");
            let counts = |verdict: &Verdict| (verdict.samples, verdict.exemplars, verdict.rejected);
            assert_eq!(counts(&sum), counts(&whole), "{context}");
        }
    }
    assert!(carried_count > 1000, "families must be open at cuts: {carried_count}");
}
