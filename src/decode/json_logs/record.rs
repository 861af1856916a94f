//! One parsed record to one log.
//!
//! Place: the filling pass of JSON logs, and of Firehose for the JSON inside its records.

#![deny(clippy::indexing_slicing)]

use std::fmt::Display;

use simd_json::{Node, StaticNode};

use super::fields::{Fields, HEAD_KEY_COUNT, RESOURCE_KEYS, SERVICE_NAME, SOURCE, Sources};
use super::view::with_value;
use super::{NO_SCOPE, severity, time};
use crate::batch::RecordSink;
use crate::batch::record::{Attributes, Log, Resource, Text, Value};
use crate::decode::wire::json::DocumentFault;
use crate::envelope::{Envelope, FieldId};

/// The attribute that says why a record was kept as text.
const PARSE_ERROR: &str = "_parse_error";

/// What a request says about all its records.
#[derive(Clone, Copy)]
pub(in crate::decode) struct Context<'a> {
    arrival_nanos: i64,
    /// Of a record that says no time.
    pub time_nanos: i64,
    /// In the order of the first [`RESOURCE_KEYS`].
    head: [Option<&'a [u8]>; HEAD_KEY_COUNT],
    /// Of every record's resource, where the record does not say the same key.
    pub resource: &'a PairList,
    /// An attribute of every record.
    pub attribute: Option<(&'static str, &'a [u8])>,
}

static NO_PAIRS: PairList = PairList(Vec::new());

impl<'a> Context<'a> {
    pub fn new(envelope: &Envelope<'a>) -> Self {
        let find = |id| envelope.fields.find(id).filter(|value| !value.is_empty());
        let arrival_nanos = i64::try_from(envelope.arrival_nanos).unwrap_or(i64::MAX);
        Self {
            arrival_nanos,
            time_nanos: arrival_nanos,
            resource: &NO_PAIRS,
            attribute: None,
            head: [
                find(FieldId::GroundcoverServiceName),
                find(FieldId::GroundcoverEnvName),
                find(FieldId::GroundcoverEnvType),
                find(FieldId::GroundcoverCluster),
                find(FieldId::GroundcoverSource),
            ],
        }
    }

    /// Bytes that the request's head adds to each record.
    pub fn head_size(&self) -> usize {
        self.head.iter().flatten().map(|value| value.len()).sum()
    }

    fn head(&self, index: usize) -> Option<&'a [u8]> {
        self.head.get(index).copied().flatten()
    }

    /// A log with nothing but its body and attributes.
    pub fn log<'l>(&self, body: Value<'l>, attributes: &'l dyn Attributes) -> Log<'l> {
        Log {
            time_nanos: self.time_nanos,
            observed_time_nanos: self.arrival_nanos,
            trace_id: None,
            span_id: None,
            trace_flags: 0,
            severity_text: Text::EMPTY,
            severity_number: 0,
            body,
            attributes,
            event_name: Text::EMPTY,
        }
    }
}

/// Memory and state of the filling pass.
#[derive(Default)]
pub(in crate::decode) struct Filler {
    fields: Fields,
    resource: PairList,
    /// The one that the sink has; `None` before the first.
    resource_said: PairList,
    is_resource_said: bool,
}

impl Filler {
    /// The sink has no resource yet, or one that was not said here.
    pub fn begin(&mut self) {
        self.is_resource_said = false;
    }

    /// A record kept as its text.
    pub fn fill_text<S: RecordSink>(
        &mut self,
        context: &Context<'_>,
        record: &[u8],
        fault: Option<&dyn Display>,
        sink: &mut S,
    ) {
        self.begin_resource(context);
        self.say_resource(context, sink);
        let error = fault.map(ToString::to_string);
        let attributes = OwnAttributes { context, error: error.as_deref() };
        sink.log(&context.log(Value::Text(Text(record)), &attributes));
        if fault.is_some() {
            sink.unparsed();
        }
    }

    /// A parsed object or string. `batch`: the fields around it, or why they could not be read.
    pub fn fill<S: RecordSink>(
        &mut self,
        context: &Context<'_>,
        nodes: &[Node<'_>],
        batch: Result<&[Node<'_>], &DocumentFault>,
        record: &[u8],
        sink: &mut S,
    ) {
        let error = batch.err().map(ToString::to_string);
        let sources = Sources { batch: batch.unwrap_or_default(), record: nodes };
        self.fields.collect(sources);
        let is_message = matches!(nodes.first(), Some(Node::String(_)));

        let time_nanos = self.take_time(sources).unwrap_or(context.time_nanos);
        let message = self.take_message(sources);
        let (severity_number, severity_text) = self.severity(sources);
        let trace_id = self.take_id(sources, |picked| picked.trace_ids);
        let span_id = self.take_id(sources, |picked| picked.span_ids);
        let trace_flags = self.take_trace_flags(sources);
        self.take_resource(context, sources);
        self.fields.take_repeated(sources);
        self.say_resource(context, sink);

        let own = OwnAttributes { context, error: error.as_deref() };
        let attributes = RecordAttributes { fields: &self.fields, sources, own };
        let mut log = |body: Value<'_>| {
            sink.log(&Log {
                time_nanos,
                trace_id,
                span_id,
                trace_flags,
                severity_text,
                severity_number,
                ..context.log(body, &attributes)
            });
        };
        match message {
            _ if is_message => with_value(nodes, 0, &mut log),
            Some(at) => with_value(nodes, at, &mut log),
            None => log(Value::Text(Text(record))),
        }
        if error.is_some() {
            sink.unparsed();
        }
    }

    fn take(&mut self, index: usize) {
        if let Some(field) = self.fields.list.get_mut(index) {
            field.is_taken = true;
        }
    }

    /// The node of a picked field, and in which nodes it is.
    fn node<'a>(&self, index: usize, sources: Sources<'a>) -> Option<&'a Node<'a>> {
        let field = self.fields.list.get(index)?;
        sources.of(field).get(field.value)
    }

    fn take_time(&mut self, sources: Sources<'_>) -> Option<i64> {
        for index in self.fields.picked.times.into_iter().flatten() {
            let nanos = match self.node(index, sources) {
                Some(Node::String(text)) => time::from_text(text.as_bytes()),
                Some(Node::Static(StaticNode::I64(number))) => time::from_int(*number),
                Some(Node::Static(StaticNode::U64(number))) => {
                    i64::try_from(*number).ok().and_then(time::from_int)
                }
                Some(Node::Static(StaticNode::F64(number))) => time::from_float(*number),
                _ => None,
            };
            if nanos.is_some() {
                self.take(index);
                return nanos;
            }
        }
        None
    }

    /// The node of the body. Objects that were candidates and lost are flattened after all.
    fn take_message(&mut self, sources: Sources<'_>) -> Option<usize> {
        let mut body = None;
        for (rank, index) in self.fields.picked.messages.into_iter().enumerate() {
            let Some(index) = index else { continue };
            let node = self.node(index, sources);
            let is_object = matches!(node, Some(Node::Object { .. }));
            let is_body = match rank {
                super::fields::MESSAGE_LOG => !is_object,
                super::fields::MESSAGE_EVENT => matches!(node, Some(Node::String(_))),
                _ => true,
            };
            if is_body && body.is_none() {
                body = self.fields.list.get(index).map(|field| field.value);
                self.take(index);
            } else if matches!(node, Some(Node::Object { len, .. }) if *len > 0) {
                self.fields.flatten_field(index, sources);
            }
        }
        body
    }

    fn severity<'a>(&self, sources: Sources<'a>) -> (i32, Text<'a>) {
        let picked = &self.fields.picked;
        let explicit =
            picked.severity_number.and_then(|index| match self.node(index, sources)? {
                Node::Static(StaticNode::U64(number @ 1..=24)) => i32::try_from(*number).ok(),
                _ => None,
            });
        let level =
            picked.levels.iter().flatten().find_map(|&index| match self.node(index, sources)? {
                Node::String("") => None,
                Node::String(text) => {
                    let number = severity::from_text(text.as_bytes());
                    let is_word = !text.bytes().all(|byte| byte.is_ascii_digit());
                    let name = if is_word || number == 0 { text } else { severity::name(number) };
                    Some((number, Text::from(name)))
                }
                Node::Static(StaticNode::U64(number)) => {
                    let number = severity::from_int(i64::try_from(*number).ok()?);
                    Some((number, Text::from(severity::name(number))))
                }
                _ => None,
            });
        match (explicit, level) {
            (Some(number), Some((_, text))) => (number, text),
            (Some(number), None) => (number, severity::name(number).into()),
            (None, Some(level)) => level,
            (None, None) => (0, Text::EMPTY),
        }
    }

    /// The first well-formed id; all zeros is none (W3C trace context, section 3.2.2).
    fn take_id<const N: usize>(
        &mut self,
        sources: Sources<'_>,
        candidates: impl Fn(&super::fields::Picked) -> [Option<usize>; 3],
    ) -> Option<[u8; N]> {
        for index in candidates(&self.fields.picked).into_iter().flatten() {
            if let Some(Node::String(text)) = self.node(index, sources)
                && let Some(id) = hex::<N>(text.as_bytes())
                && id != [0; N]
            {
                self.take(index);
                return Some(id);
            }
        }
        None
    }

    fn take_trace_flags(&mut self, sources: Sources<'_>) -> u8 {
        let Some(index) = self.fields.picked.trace_flags else { return 0 };
        let flags = match self.node(index, sources) {
            Some(Node::String(text)) => hex::<1>(text.as_bytes()).map(|[flags]| flags),
            Some(Node::Static(StaticNode::U64(number))) => u8::try_from(*number).ok(),
            _ => None,
        };
        if flags.is_some() {
            self.take(index);
        }
        flags.unwrap_or_default()
    }

    fn begin_resource(&mut self, context: &Context<'_>) {
        self.resource.clear();
        for (index, key) in RESOURCE_KEYS.iter().enumerate().take(HEAD_KEY_COUNT) {
            if let Some(value) = context.head(index) {
                self.resource.push(key.as_bytes(), value);
            }
        }
    }

    fn take_resource(&mut self, context: &Context<'_>, sources: Sources<'_>) {
        self.begin_resource(context);
        let picked = self.fields.picked;
        for (place, (key, index)) in RESOURCE_KEYS.iter().zip(picked.resource).enumerate() {
            let is_from_head = context.head(place).is_some();
            let service =
                if place == SERVICE_NAME && !is_from_head { picked.service } else { None };
            if let Some(index) = index
                && is_from_head
            {
                self.take(index);
            } else if place != SOURCE
                && let Some(index) = index.or(service)
                && let Some(Node::String(value)) = self.node(index, sources)
            {
                self.resource.push(key.as_bytes(), value.as_bytes());
                self.take(index);
            }
        }
    }

    /// Tells the sink the resource if it is not the one it has.
    fn say_resource<S: RecordSink>(&mut self, context: &Context<'_>, sink: &mut S) {
        if self.is_resource_said && self.resource == self.resource_said {
            return;
        }
        let attributes = Joined { first: &self.resource, second: context.resource };
        sink.resource(&Resource { attributes: &attributes, schema_url: Text::EMPTY });
        sink.scope(&NO_SCOPE);
        std::mem::swap(&mut self.resource, &mut self.resource_said);
        self.is_resource_said = true;
    }
}

fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    };
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    if pairs.len() != N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, &[high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(bytes)
}

/// Pairs of text, one after another: `{ key length u32 · key · value length u32 · value } …`.
#[derive(Default, PartialEq, Eq)]
pub(in crate::decode) struct PairList(Vec<u8>);

impl PairList {
    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn push(&mut self, key: &[u8], value: &[u8]) {
        for text in [key, value] {
            // Records and heads are bounded far below 4 GiB.
            let length = u32::try_from(text.len()).unwrap_or_default();
            self.0.extend_from_slice(&length.to_le_bytes());
            self.0.extend_from_slice(text);
        }
    }
}

impl Attributes for PairList {
    fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
        let mut rest = self.0.as_slice();
        let mut next = || {
            let (length, after) = rest.split_first_chunk::<4>()?;
            let length = crate::limits::size(u64::from(u32::from_le_bytes(*length)));
            let (text, after) = after.split_at_checked(length)?;
            rest = after;
            Some(Text(text))
        };
        while let (Some(key), Some(value)) = (next(), next()) {
            visit(key, Value::Text(value));
        }
    }
}

/// The pairs of two lists; of equal keys the first list's counts.
pub(in crate::decode) struct Joined<'a> {
    pub first: &'a dyn Attributes,
    pub second: &'a dyn Attributes,
}

impl Attributes for Joined<'_> {
    fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
        self.first.walk(visit);
        self.second.walk(&mut |key, value| {
            let mut is_said = false;
            self.first.walk(&mut |said, _| is_said |= said == key);
            if !is_said {
                visit(key, value);
            }
        });
    }
}

/// What is not from the record's fields.
#[derive(Clone, Copy)]
struct OwnAttributes<'a> {
    context: &'a Context<'a>,
    /// Why the record, or the object around a batch, could not be read.
    error: Option<&'a str>,
}

impl OwnAttributes<'_> {
    fn has(&self, key: &[u8]) -> bool {
        self.context.attribute.is_some_and(|(own, _)| own.as_bytes() == key)
            || self.error.is_some() && key == PARSE_ERROR.as_bytes()
    }
}

impl Attributes for OwnAttributes<'_> {
    fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
        if let Some((key, value)) = self.context.attribute {
            visit(key.into(), Value::Text(Text(value)));
        }
        if let Some(error) = self.error {
            visit(PARSE_ERROR.into(), Value::Text(error.into()));
        }
    }
}

/// The fields that went nowhere else.
struct RecordAttributes<'a> {
    fields: &'a Fields,
    sources: Sources<'a>,
    own: OwnAttributes<'a>,
}

impl Attributes for RecordAttributes<'_> {
    fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
        for field in self.fields.list.iter().filter(|field| !field.is_taken) {
            let key = Text(self.fields.key(field, self.sources));
            if !self.own.has(key.0) {
                with_value(self.sources.of(field), field.value, &mut |value| visit(key, value));
            }
        }
        self.own.walk(visit);
    }
}
