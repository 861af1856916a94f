//! What an Agent posts, `AgentPayload` in protobuf, as `MessagePack` of v0.7.
//!
//! ```text
//! AgentPayload    hostName 1  env 2  tracerPayloads 5  tags 6
//! TracerPayload   v0.7's: containerID 1 … runtimeID 5  chunks 6  tags 7  env 8  hostname 9  appVersion 10
//! TraceChunk      priority 1  origin 2  spans 3  tags 4
//! Span            service 1 … type 12  meta_struct 13  spanLinks 14  spanEvents 15
//! ```
//!
//! Every message is checked to its end, and written with the names it has in `MessagePack`; fields that
//! are not there are not written, so a body grows little. Fields stand in any order, so those that
//! repeat are counted first.
#![deny(clippy::indexing_slicing)]

use super::written::Written;
use crate::batch::RejectCause;
use crate::decode::wire::protobuf::{FIXED64, Known, LENGTH, Reader, VARINT, WireError, tag};
use crate::decode::{DecodeError, Verdict};
use crate::limits;

/// Host and environment of the Agent, for tracers that name none.
#[derive(Clone, Copy, Default)]
pub struct Agent<'a> {
    pub hostname: &'a [u8],
    pub env: &'a [u8],
    /// Forms that are not read: the one before tracer payloads, and the one of interned texts.
    pub not_taken: Verdict,
}

const HOST_NAME: u32 = tag(1, LENGTH);
const ENV: u32 = tag(2, LENGTH);
const OLD_TRACES: u32 = tag(3, LENGTH);
const OLD_TRANSACTIONS: u32 = tag(4, LENGTH);
const TRACER_PAYLOADS: u32 = tag(5, LENGTH);
const TAGS: u32 = tag(6, LENGTH);
const VERSION: u32 = tag(7, LENGTH);
const TARGET_RATE: u32 = tag(8, FIXED64);
const ERROR_RATE: u32 = tag(9, FIXED64);
const HAS_RARE_SAMPLER: u32 = tag(10, VARINT);
const INTERNED_PAYLOADS: u32 = tag(11, LENGTH);
const AGENT_PAYLOAD: Known = Known::fields(&[1, 2, 5, 6, 7, 8, 9, 10, 11]);

const CHUNKS: u32 = tag(6, LENGTH);
const PAYLOAD_TAGS: u32 = tag(7, LENGTH);
const TRACER_PAYLOAD: Known = Known::fields(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);

const PRIORITY: u32 = tag(1, VARINT);
const ORIGIN: u32 = tag(2, LENGTH);
const SPANS: u32 = tag(3, LENGTH);
const CHUNK_TAGS: u32 = tag(4, LENGTH);
const DROPPED: u32 = tag(5, VARINT);
const CHUNK: Known = Known::fields(&[1, 2, 3, 4, 5]);

const PARENT_ID: u32 = tag(6, VARINT);
const ERROR: u32 = tag(9, VARINT);
const META: u32 = tag(10, LENGTH);
const METRICS: u32 = tag(11, LENGTH);
const META_STRUCT: u32 = tag(13, LENGTH);
const LINKS: u32 = tag(14, LENGTH);
const EVENTS: u32 = tag(15, LENGTH);
const SPAN: Known = Known::fields(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);

/// Writes an array of tracer payloads.
pub fn write<'a>(payload: &'a [u8], written: &mut Written<'_>) -> Result<Agent<'a>, DecodeError> {
    let mut agent = Agent::default();
    let mut tag_count = 0;
    let mut message = Reader::new(payload);
    while let Some(field) = message.tag()? {
        match field {
            HOST_NAME => agent.hostname = message.bytes()?,
            ENV => agent.env = message.bytes()?,
            TAGS => {
                let entry = message.message()?;
                pair(entry, tag(2, LENGTH), &[][..], Reader::bytes)
                    .map_err(|error| within(error, "tags", tag_count))?;
                tag_count += 1;
            }
            TRACER_PAYLOADS | VERSION => drop(message.bytes()?),
            TARGET_RATE | ERROR_RATE => drop(message.fixed64()?),
            HAS_RARE_SAMPLER => drop(message.varint()?),
            OLD_TRACES | OLD_TRANSACTIONS | INTERNED_PAYLOADS => {
                let at = message.offset();
                message.bytes()?;
                agent.not_taken.count_reject(RejectCause::TracesNotTaken, at);
            }
            other => message.skip(other, AGENT_PAYLOAD)?,
        }
    }
    let header = written.begin_array();
    let mut index = 0;
    let mut message = Reader::new(payload);
    while let Some(field) = message.tag()? {
        if field == TRACER_PAYLOADS {
            tracer_payload(message.message()?, payload, tag_count, written)
                .map_err(|error| error.within("tracerPayloads", Some(index)))?;
            index += 1;
        } else {
            message.skip(field, Known::fields(&[]))?;
        }
    }
    written.end(header, index);
    Ok(agent)
}

/// `agent` is the whole body, whose tags are those of all its tracers.
fn tracer_payload(
    message: Reader<'_>,
    agent: &[u8],
    agent_tag_count: u32,
    written: &mut Written<'_>,
) -> Result<(), DecodeError> {
    const TEXTS: [(u32, &[u8]); 8] = [
        (tag(1, LENGTH), b"container_id"),
        (tag(2, LENGTH), b"language_name"),
        (tag(3, LENGTH), b"language_version"),
        (tag(4, LENGTH), b"tracer_version"),
        (tag(5, LENGTH), b"runtime_id"),
        (tag(8, LENGTH), b"env"),
        (tag(9, LENGTH), b"hostname"),
        (tag(10, LENGTH), b"app_version"),
    ];
    let mut texts: [&[u8]; TEXTS.len()] = [&[]; TEXTS.len()];
    let (mut chunk_count, mut tag_count) = (0, agent_tag_count);
    let mut fields = message;
    while let Some(field) = fields.tag()? {
        let text = TEXTS.iter().zip(&mut texts).find(|((known, _), _)| *known == field);
        if let Some((_, text)) = text {
            *text = fields.bytes()?;
            continue;
        }
        match field {
            CHUNKS => {
                fields.bytes()?;
                chunk_count += 1;
            }
            PAYLOAD_TAGS => {
                fields.bytes()?;
                tag_count += 1;
            }
            other => fields.skip(other, TRACER_PAYLOAD)?,
        }
    }
    written.comes_from(limits::size(message.offset()));
    let header = written.begin_small_map();
    let mut count = 0;
    for ((_, name), text) in TEXTS.iter().zip(texts) {
        // What the Agent says stands where the tracer says nothing.
        if !text.is_empty() {
            written.text(name);
            written.text(text);
            count += 1;
        }
    }
    if tag_count > 0 {
        written.text(b"tags");
        let tags = written.begin_map();
        each(Reader::new(agent), TAGS, &mut |pair, _| {
            text_pair(pair, written).map_err(Into::into)
        })?;
        each(message, PAYLOAD_TAGS, &mut |pair, index| {
            text_pair(pair, written).map_err(|error| within(error, "tags", index))
        })?;
        written.end(tags, tag_count);
        count += 1;
    }
    written.text(b"chunks");
    let chunks = written.begin_array();
    each(message, CHUNKS, &mut |chunk, index| {
        self::chunk(chunk, written).map_err(|error| error.within("chunks", Some(index)))
    })?;
    written.end(chunks, chunk_count);
    written.end_small_map(header, count + 1);
    Ok(())
}

fn chunk(message: Reader<'_>, written: &mut Written<'_>) -> Result<(), DecodeError> {
    let (mut priority, mut origin): (i32, &[u8]) = (0, &[]);
    let (mut span_count, mut tag_count) = (0, 0);
    let mut fields = message;
    while let Some(field) = fields.tag()? {
        match field {
            PRIORITY => priority = fields.int32()?,
            ORIGIN => origin = fields.bytes()?,
            DROPPED => drop(fields.varint()?),
            SPANS => {
                fields.bytes()?;
                span_count += 1;
            }
            CHUNK_TAGS => {
                fields.bytes()?;
                tag_count += 1;
            }
            other => fields.skip(other, CHUNK)?,
        }
    }
    let header = written.begin_small_map();
    written.text(b"priority");
    written.signed(i64::from(priority));
    let mut count = 2;
    if !origin.is_empty() {
        written.text(b"origin");
        written.text(origin);
        count += 1;
    }
    if tag_count > 0 {
        written.text(b"tags");
        let tags = written.begin_map();
        each(message, CHUNK_TAGS, &mut |pair, index| {
            text_pair(pair, written).map_err(|error| within(error, "tags", index))
        })?;
        written.end(tags, tag_count);
        count += 1;
    }
    written.text(b"spans");
    let spans = written.begin_array();
    each(message, SPANS, &mut |span, index| {
        self::span(span, written).map_err(|error| error.within("spans", Some(index)))
    })?;
    written.end(spans, span_count);
    written.end_small_map(header, count);
    Ok(())
}

#[expect(clippy::cast_possible_truncation, reason = "an int32 is the low 32 bits")]
fn span(message: Reader<'_>, written: &mut Written<'_>) -> Result<(), DecodeError> {
    const TEXTS: [(u32, &[u8]); 4] = [
        (tag(1, LENGTH), b"service"),
        (tag(2, LENGTH), b"name"),
        (tag(3, LENGTH), b"resource"),
        (tag(12, LENGTH), b"type"),
    ];
    const NUMBERS: [(u32, &[u8]); 6] = [
        (tag(4, VARINT), b"trace_id"),
        (tag(5, VARINT), b"span_id"),
        (PARENT_ID, b"parent_id"),
        (tag(7, VARINT), b"start"),
        (tag(8, VARINT), b"duration"),
        (ERROR, b"error"),
    ];
    type Write = fn(Reader<'_>, &mut Written<'_>) -> Result<(), WireError>;
    /// Whether the field is a map; it is an array otherwise.
    const REPEATED: [(u32, &str, bool, Write); 5] = [
        (META, "meta", true, text_pair),
        (METRICS, "metrics", true, number_pair),
        (META_STRUCT, "meta_struct", true, bytes_pair),
        (LINKS, "span_links", false, link),
        (EVENTS, "span_events", false, event),
    ];
    let mut texts: [&[u8]; TEXTS.len()] = [&[]; TEXTS.len()];
    let mut numbers = [0; NUMBERS.len()];
    let mut counts = [0; REPEATED.len()];
    let mut fields = message;
    while let Some(field) = fields.tag()? {
        if let Some((_, text)) = TEXTS.iter().zip(&mut texts).find(|(known, _)| known.0 == field) {
            *text = fields.bytes()?;
        } else if let Some((_, number)) =
            NUMBERS.iter().zip(&mut numbers).find(|(known, _)| known.0 == field)
        {
            *number = fields.varint()?;
        } else if let Some((_, count)) =
            REPEATED.iter().zip(&mut counts).find(|(known, _)| known.0 == field)
        {
            fields.bytes()?;
            *count += 1;
        } else {
            fields.skip(field, SPAN)?;
        }
    }
    written.comes_from(limits::size(message.offset()));
    let header = written.begin_small_map();
    let mut count = 0;
    for ((_, name), text) in TEXTS.iter().zip(texts).filter(|(_, text)| !text.is_empty()) {
        written.text(name);
        written.text(text);
        count += 1;
    }
    for ((field, name), number) in NUMBERS.iter().zip(numbers).filter(|&(_, number)| number != 0) {
        written.text(name);
        match *field {
            ..=PARENT_ID => written.unsigned(number),
            ERROR => written.signed(i64::from(number as i32)),
            _ => written.signed(number.cast_signed()),
        }
        count += 1;
    }
    for ((field, name, is_map, write), members) in REPEATED.into_iter().zip(counts) {
        if members == 0 {
            continue;
        }
        written.text(name.as_bytes());
        let open = if is_map { written.begin_map() } else { written.begin_array() };
        each(message, field, &mut |member, index| {
            write(member, written).map_err(|error| within(error, name, index))
        })?;
        written.end(open, members);
        count += 1;
    }
    written.end_small_map(header, count);
    Ok(())
}

/// Hands the messages of one field, whose frame was checked before, to `visit`.
fn each<'a>(
    mut message: Reader<'a>,
    wanted: u32,
    visit: &mut dyn FnMut(Reader<'a>, u32) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let mut index = 0;
    while let Some(field) = message.tag()? {
        if field == wanted {
            visit(message.message()?, index)?;
            index += 1;
        } else {
            message.skip(field, Known::fields(&[]))?;
        }
    }
    Ok(())
}

#[cold]
fn within(error: WireError, name: &'static str, index: u32) -> DecodeError {
    DecodeError::from(error).within(name, Some(index))
}

const KEY: u32 = tag(1, LENGTH);
const PAIR: Known = Known::fields(&[1, 2]);

/// The key of a map's entry and its value, which is read by `read` where its tag is `value`.
fn pair<'a, T>(
    mut entry: Reader<'a>,
    value: u32,
    mut found: T,
    read: impl Fn(&mut Reader<'a>) -> Result<T, WireError>,
) -> Result<(&'a [u8], T), WireError> {
    let mut key: &[u8] = &[];
    while let Some(field) = entry.tag()? {
        match field {
            KEY => key = entry.bytes()?,
            field if field == value => found = read(&mut entry)?,
            other => entry.skip(other, PAIR)?,
        }
    }
    Ok((key, found))
}

fn text_pair(entry: Reader<'_>, written: &mut Written<'_>) -> Result<(), WireError> {
    let (key, value) = pair(entry, tag(2, LENGTH), &[][..], Reader::bytes)?;
    written.text(key);
    written.text(value);
    Ok(())
}

fn number_pair(entry: Reader<'_>, written: &mut Written<'_>) -> Result<(), WireError> {
    let (key, value) = pair(entry, tag(2, FIXED64), 0.0, Reader::double)?;
    written.text(key);
    written.double(value);
    Ok(())
}

fn bytes_pair(entry: Reader<'_>, written: &mut Written<'_>) -> Result<(), WireError> {
    let (key, value) = pair(entry, tag(2, LENGTH), &[][..], Reader::bytes)?;
    written.text(key);
    written.bin(value);
    Ok(())
}

fn link(message: Reader<'_>, written: &mut Written<'_>) -> Result<(), WireError> {
    const NUMBERS: [(u32, &[u8]); 4] = [
        (tag(1, VARINT), b"trace_id"),
        (tag(2, VARINT), b"trace_id_high"),
        (tag(3, VARINT), b"span_id"),
        (tag(6, VARINT), b"flags"),
    ];
    const ATTRIBUTES: u32 = tag(4, LENGTH);
    const STATE: u32 = tag(5, LENGTH);
    const LINK: Known = Known::fields(&[1, 2, 3, 4, 5, 6]);
    let mut numbers = [0; NUMBERS.len()];
    let (mut state, mut attribute_count): (&[u8], _) = (&[], 0);
    let mut fields = message;
    while let Some(field) = fields.tag()? {
        if let Some((_, number)) =
            NUMBERS.iter().zip(&mut numbers).find(|(known, _)| known.0 == field)
        {
            *number = fields.varint()?;
            continue;
        }
        match field {
            STATE => state = fields.bytes()?,
            ATTRIBUTES => {
                fields.bytes()?;
                attribute_count += 1;
            }
            other => fields.skip(other, LINK)?,
        }
    }
    let header = written.begin_small_map();
    let mut count = 0;
    for ((_, name), number) in NUMBERS.iter().zip(numbers).filter(|&(_, number)| number != 0) {
        written.text(name);
        written.unsigned(number);
        count += 1;
    }
    if !state.is_empty() {
        written.text(b"tracestate");
        written.text(state);
        count += 1;
    }
    if attribute_count > 0 {
        written.text(b"attributes");
        attributes(message, ATTRIBUTES, attribute_count, text_pair, written)?;
        count += 1;
    }
    written.end_small_map(header, count);
    Ok(())
}

fn event(message: Reader<'_>, written: &mut Written<'_>) -> Result<(), WireError> {
    const TIME: u32 = tag(1, FIXED64);
    const NAME: u32 = tag(2, LENGTH);
    const ATTRIBUTES: u32 = tag(3, LENGTH);
    const EVENT: Known = Known::fields(&[1, 2, 3]);
    let (mut time, mut name, mut attribute_count): (_, &[u8], _) = (0, &[], 0);
    let mut fields = message;
    while let Some(field) = fields.tag()? {
        match field {
            TIME => time = fields.fixed64()?,
            NAME => name = fields.bytes()?,
            ATTRIBUTES => {
                fields.bytes()?;
                attribute_count += 1;
            }
            other => fields.skip(other, EVENT)?,
        }
    }
    let header = written.begin_small_map();
    written.text(b"time_unix_nano");
    written.unsigned(time);
    written.text(b"name");
    written.text(name);
    let mut count = 2;
    if attribute_count > 0 {
        written.text(b"attributes");
        attributes(message, ATTRIBUTES, attribute_count, typed_pair, written)?;
        count += 1;
    }
    written.end_small_map(header, count);
    Ok(())
}

fn attributes(
    mut message: Reader<'_>,
    wanted: u32,
    count: u32,
    write: fn(Reader<'_>, &mut Written<'_>) -> Result<(), WireError>,
    written: &mut Written<'_>,
) -> Result<(), WireError> {
    let header = written.begin_map();
    while let Some(field) = message.tag()? {
        if field == wanted {
            write(message.message()?, written)?;
        } else {
            message.skip(field, Known::fields(&[]))?;
        }
    }
    written.end(header, count);
    Ok(())
}

fn typed_pair(entry: Reader<'_>, written: &mut Written<'_>) -> Result<(), WireError> {
    let (key, value) = pair(entry, tag(2, LENGTH), TypedFields::default(), |entry| {
        TypedFields::read(entry.message()?, true)
    })?;
    written.text(key);
    value.write(written)
}

/// A value with its type, which is 0, text, where none is written. Elements of an array are no arrays.
struct TypedFields<'a> {
    kind: i32,
    text: &'a [u8],
    bool: bool,
    int: i64,
    double: f64,
    /// Checked; nothing in an element.
    array: Option<Reader<'a>>,
}

impl Default for TypedFields<'_> {
    fn default() -> Self {
        Self { kind: 0, text: &[], bool: false, int: 0, double: 0.0, array: None }
    }
}

const VALUES: u32 = tag(1, LENGTH);
const ARRAY_VALUE: Known = Known::fields(&[1]);

impl<'a> TypedFields<'a> {
    fn read(mut message: Reader<'a>, may_be_array: bool) -> Result<Self, WireError> {
        const TYPE: u32 = tag(1, VARINT);
        const TEXT: u32 = tag(2, LENGTH);
        const BOOL: u32 = tag(3, VARINT);
        const INT: u32 = tag(4, VARINT);
        const DOUBLE: u32 = tag(5, FIXED64);
        const ARRAY: u32 = tag(6, LENGTH);
        const TYPED: Known = Known::fields(&[1, 2, 3, 4, 5, 6]);
        const ELEMENT: Known = Known::fields(&[1, 2, 3, 4, 5]);
        let mut fields = Self::default();
        while let Some(field) = message.tag()? {
            match field {
                TYPE => fields.kind = message.int32()?,
                TEXT => fields.text = message.bytes()?,
                BOOL => fields.bool = message.varint()? != 0,
                INT => fields.int = message.int64()?,
                DOUBLE => fields.double = message.double()?,
                ARRAY if may_be_array => {
                    let array = message.message()?;
                    each_value(array, |_| ())?;
                    fields.array = Some(array);
                }
                other => message.skip(other, if may_be_array { TYPED } else { ELEMENT })?,
            }
        }
        Ok(fields)
    }

    fn write(&self, written: &mut Written<'_>) -> Result<(), WireError> {
        let name: &[u8] = match self.kind {
            0 => b"string_value",
            1 => b"bool_value",
            2 => b"int_value",
            3 => b"double_value",
            4 => b"array_value",
            // A type that we do not know: no value.
            _ => {
                written.nil();
                return Ok(());
            }
        };
        let header = written.begin_small_map();
        written.text(b"type");
        written.signed(i64::from(self.kind));
        written.text(name);
        match self.kind {
            0 => written.text(self.text),
            1 => written.boolean(self.bool),
            2 => written.signed(self.int),
            3 => written.double(self.double),
            _ => {
                let inner = written.begin_small_map();
                written.text(b"values");
                let values = written.begin_array();
                let mut count = 0;
                let array = self.array.unwrap_or(Reader::new(&[]));
                let mut result = Ok(());
                each_value(array, |element| {
                    count += 1;
                    if element.kind == 4 {
                        written.nil();
                    } else if result.is_ok() {
                        result = element.write(written);
                    }
                })?;
                result?;
                written.end(values, count);
                written.end_small_map(inner, 1);
            }
        }
        written.end_small_map(header, 2);
        Ok(())
    }
}

fn each_value<'a>(
    mut array: Reader<'a>,
    mut visit: impl FnMut(TypedFields<'a>),
) -> Result<(), WireError> {
    while let Some(field) = array.tag()? {
        match field {
            VALUES => visit(TypedFields::read(array.message()?, false)?),
            other => array.skip(other, ARRAY_VALUE)?,
        }
    }
    Ok(())
}
