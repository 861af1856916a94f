//! Other encodings of a message, all of them allowed: fields in any order, unknown fields and groups
//! between them, fields repeated, messages in two pieces, packed numbers unpacked and the reverse,
//! varints longer than they need be.

use super::bodies::Random;

/// Which fields of a message hold messages, and which packed numbers.
pub struct Shape {
    pub messages: &'static [(u32, &'static Shape)],
    /// Fields of packed numbers and the wire type of one number.
    pub packed: &'static [(u32, u32)],
}

const LEAF: Shape = Shape { messages: &[], packed: &[] };
const EXEMPLAR: Shape = Shape { messages: &[(1, &LEAF)], packed: &[] };
const HISTOGRAM: Shape = Shape {
    messages: &[(8, &LEAF), (11, &LEAF)],
    packed: &[(9, 0), (10, 1), (12, 0), (13, 1), (16, 1)],
};
const TIME_SERIES: Shape =
    Shape { messages: &[(1, &LEAF), (2, &LEAF), (3, &EXEMPLAR), (4, &HISTOGRAM)], packed: &[] };
pub static WRITE_REQUEST: Shape = Shape { messages: &[(1, &TIME_SERIES), (3, &LEAF)], packed: &[] };

static ANY_VALUE: Shape = Shape { messages: &[(5, &ARRAY), (6, &KEY_VALUES)], packed: &[] };
static ARRAY: Shape = Shape { messages: &[(1, &ANY_VALUE)], packed: &[] };
static KEY_VALUES: Shape = Shape { messages: &[(1, &KEY_VALUE)], packed: &[] };
static KEY_VALUE: Shape = Shape { messages: &[(2, &ANY_VALUE)], packed: &[] };
static RESOURCE: Shape = Shape { messages: &[(1, &KEY_VALUE), (3, &LEAF)], packed: &[] };
static SCOPE: Shape = Shape { messages: &[(3, &KEY_VALUE)], packed: &[] };
static LOG_RECORD: Shape = Shape { messages: &[(5, &ANY_VALUE), (6, &KEY_VALUE)], packed: &[] };
static SCOPE_LOGS: Shape = Shape { messages: &[(1, &SCOPE), (2, &LOG_RECORD)], packed: &[] };
static RESOURCE_LOGS: Shape = Shape { messages: &[(1, &RESOURCE), (2, &SCOPE_LOGS)], packed: &[] };
pub static LOGS_REQUEST: Shape = Shape { messages: &[(1, &RESOURCE_LOGS)], packed: &[] };

static EVENT: Shape = Shape { messages: &[(3, &KEY_VALUE)], packed: &[] };
static LINK: Shape = Shape { messages: &[(4, &KEY_VALUE)], packed: &[] };
static SPAN: Shape =
    Shape { messages: &[(9, &KEY_VALUE), (11, &EVENT), (13, &LINK), (15, &LEAF)], packed: &[] };
static SCOPE_SPANS: Shape = Shape { messages: &[(1, &SCOPE), (2, &SPAN)], packed: &[] };
static RESOURCE_SPANS: Shape =
    Shape { messages: &[(1, &RESOURCE), (2, &SCOPE_SPANS)], packed: &[] };
pub static TRACES_REQUEST: Shape = Shape { messages: &[(1, &RESOURCE_SPANS)], packed: &[] };

static OTLP_EXEMPLAR: Shape = Shape { messages: &[(7, &KEY_VALUE)], packed: &[] };
static NUMBER_POINT: Shape =
    Shape { messages: &[(5, &OTLP_EXEMPLAR), (7, &KEY_VALUE)], packed: &[] };
static CLASSIC_POINT: Shape =
    Shape { messages: &[(8, &OTLP_EXEMPLAR), (9, &KEY_VALUE)], packed: &[(6, 1), (7, 1)] };
static BUCKETS: Shape = Shape { messages: &[], packed: &[(2, 0)] };
static EXPONENTIAL_POINT: Shape = Shape {
    messages: &[(1, &KEY_VALUE), (8, &BUCKETS), (9, &BUCKETS), (11, &OTLP_EXEMPLAR)],
    packed: &[],
};
static SUMMARY_POINT: Shape = Shape { messages: &[(6, &LEAF), (7, &KEY_VALUE)], packed: &[] };
static NUMBERS: Shape = Shape { messages: &[(1, &NUMBER_POINT)], packed: &[] };
static CLASSICS: Shape = Shape { messages: &[(1, &CLASSIC_POINT)], packed: &[] };
static EXPONENTIALS: Shape = Shape { messages: &[(1, &EXPONENTIAL_POINT)], packed: &[] };
static SUMMARIES: Shape = Shape { messages: &[(1, &SUMMARY_POINT)], packed: &[] };
static METRIC: Shape = Shape {
    messages: &[
        (5, &NUMBERS),
        (7, &NUMBERS),
        (9, &CLASSICS),
        (10, &EXPONENTIALS),
        (11, &SUMMARIES),
        (12, &KEY_VALUE),
    ],
    packed: &[],
};
static SCOPE_METRICS: Shape = Shape { messages: &[(1, &SCOPE), (2, &METRIC)], packed: &[] };
static RESOURCE_METRICS: Shape =
    Shape { messages: &[(1, &RESOURCE), (2, &SCOPE_METRICS)], packed: &[] };
pub static METRICS_REQUEST: Shape = Shape { messages: &[(1, &RESOURCE_METRICS)], packed: &[] };

/// A field of a well-formed message: its tag, and what stands behind the tag without a length.
struct Field {
    tag: u64,
    content: Vec<u8>,
}

fn read_varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (byte, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return value;
        }
    }
    unreachable!()
}

pub fn write_varint(into: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        into.push(value as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

/// Like [`write_varint`], now and then with bytes that say nothing.
fn write_varint_padded(random: &mut Random, into: &mut Vec<u8>, value: u64) {
    let start = into.len();
    write_varint(into, value);
    if random.below(30) == 0 {
        while into.len() - start < 1 + random.below(10) {
            *into.last_mut().unwrap() |= 0x80;
            into.push(0);
        }
    }
}

fn take<'a>(bytes: &mut &'a [u8], size: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(size);
    *bytes = rest;
    taken
}

fn varint_size(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| *byte < 0x80).unwrap() + 1
}

fn fields(mut bytes: &[u8]) -> Vec<Field> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = read_varint(&mut bytes);
        let size = match tag & 7 {
            0 => varint_size(bytes),
            1 => 8,
            2 => read_varint(&mut bytes) as usize,
            5 => 4,
            _ => panic!("what prost encodes has no groups"),
        };
        fields.push(Field { tag, content: take(&mut bytes, size).to_vec() });
    }
    fields
}

/// Encodes `message` another way. The meaning may change where a scalar comes twice; what it means
/// then is for the oracle to say.
pub fn mutate(random: &mut Random, message: &[u8], shape: &Shape) -> Vec<u8> {
    let mut out = Vec::new();
    for field in fields(message) {
        let number = (field.tag >> 3) as u32;
        let nested = shape.messages.iter().find(|(found, _)| *found == number);
        let packed = shape.packed.iter().find(|(found, _)| *found == number);
        if let Some((_, shape)) = nested {
            let content = mutate(random, &field.content, shape);
            // In two pieces: the same where it merges, another where it repeats.
            if random.below(40) == 0 {
                let inner = fields_or_none(&content);
                if let Some(inner) = inner {
                    let cut = random.below(inner.len() + 1);
                    let (left, right) = inner.split_at(cut);
                    out.push(Field { tag: field.tag, content: left.concat() });
                    out.push(Field { tag: field.tag, content: right.concat() });
                    continue;
                }
            }
            out.push(Field { tag: field.tag, content });
        } else if let Some((_, wire_type)) = packed
            && field.tag & 7 == 2
            && random.below(2) == 0
        {
            let mut numbers = field.content.as_slice();
            while !numbers.is_empty() {
                let size = if *wire_type == 1 { 8 } else { varint_size(numbers) };
                let content = take(&mut numbers, size).to_vec();
                // Some single, some as a packed run of one.
                let wire_type = if random.below(3) == 0 { 2 } else { u64::from(*wire_type) };
                out.push(Field { tag: field.tag & !7 | wire_type, content });
            }
        } else {
            if random.below(25) == 0 {
                out.push(Field { tag: field.tag, content: field.content.clone() });
            }
            out.push(field);
        }
    }
    if random.below(2) == 0 {
        for place in (1..out.len()).rev() {
            out.swap(place, random.below(place + 1));
        }
    }
    let mut bytes = Vec::new();
    for field in &out {
        if random.below(20) == 0 {
            unknown(random, &mut bytes, 0);
        }
        write_varint_padded(random, &mut bytes, field.tag);
        if field.tag & 7 == 2 {
            write_varint_padded(random, &mut bytes, field.content.len() as u64);
        }
        bytes.extend_from_slice(&field.content);
    }
    bytes
}

/// The encoded fields of a message, or `None` if it holds a group.
fn fields_or_none(mut bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let start = bytes;
        let tag = read_varint(&mut bytes);
        let size = match tag & 7 {
            0 => varint_size(bytes),
            1 => 8,
            2 => read_varint(&mut bytes) as usize,
            5 => 4,
            _ => return None,
        };
        take(&mut bytes, size);
        fields.push(start[..start.len() - bytes.len()].to_vec());
    }
    Some(fields)
}

/// A field that no message knows, or a balanced group of such.
fn unknown(random: &mut Random, into: &mut Vec<u8>, depth: usize) {
    let number = match random.below(4) {
        0 => 1000,
        1 => (1 << 29) - 1,
        _ => 60 + random.below(40) as u64,
    };
    match random.below(if depth < 4 { 5 } else { 4 }) {
        0 => {
            write_varint(into, number << 3);
            write_varint(into, random.draw() >> random.below(64));
        }
        1 => {
            write_varint(into, number << 3 | 1);
            into.extend_from_slice(&random.draw().to_le_bytes());
        }
        2 => {
            write_varint(into, number << 3 | 2);
            let size = random.below(200);
            write_varint(into, size as u64);
            into.extend((0..size).map(|_| random.draw() as u8));
        }
        3 => {
            write_varint(into, number << 3 | 5);
            into.extend_from_slice(&(random.draw() as u32).to_le_bytes());
        }
        _ => {
            write_varint(into, number << 3 | 3);
            for _ in 0..random.below(4) {
                unknown(random, into, depth + 1);
            }
            write_varint(into, number << 3 | 4);
        }
    }
}
