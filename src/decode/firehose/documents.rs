//! What is inside one record: documents of JSON, glued together or on lines of their own, and lines
//! that are no JSON.
//!
//! ```text
//! {"a":1}{"b":2}\n{"c":\n3}      three logs: objects may stand back to back and over several lines
//! [{"a":1},{"b":2}]              two logs
//! GET / 200\n  at main\r\n       two logs, their texts as they are but for the line's end
//! {"a":1\n{"b":2}                the first line is kept as text with `_parse_error`
//! {thread-7} started             text: something stands behind the brace on its line
//! ```
//!
//! Once an object's end is not found or is not the end, the rest goes by lines, so that each byte is
//! looked at a bounded number of times. A metric of a CloudWatch metric stream is kept as any other JSON
//! is, under the event name `aws.cloudwatch.metric`, and counted: there is a better place for it.

#![deny(clippy::indexing_slicing)]

use std::fmt::Display;

use memchr::memmem;

use super::cloudwatch::{EventAttributes, Message};
use super::text_start;
use crate::batch::record::{Log, Nothing, Resource, Scope, Text, Value};
use crate::batch::{RecordSink, Validating};
use crate::decode::Verdict;
use crate::decode::json_logs::record::{Context, Filler, Joined};
use crate::decode::wire::json::{Document, Piece, ReadError, Reader, container_end, split_array};
use crate::limits;

pub(super) const NO_SCOPE: Scope<'static> = Scope {
    name: Text::EMPTY,
    version: Text::EMPTY,
    attributes: &Nothing,
    schema_url: Text::EMPTY,
};

/// Where logs go.
pub(super) struct Output<'a, S> {
    pub context: Context<'a>,
    /// Bytes that the request adds to every log.
    pub shared_size: usize,
    pub document: &'a mut Document,
    pub filler: &'a mut Filler,
    pub verdict: Verdict,
    /// How many of them are metrics of a metric stream.
    pub metric_count: u64,
    pub sink: &'a mut S,
}

impl<S: RecordSink> Output<'_, S> {
    /// Something that could not be read, as a log with the reason.
    pub fn keep_raw(&mut self, text: &[u8], reason: &dyn Display) {
        self.keep_text(text, Some(reason));
    }

    fn count(&mut self, logs: u64, size: usize) {
        self.verdict.logs += logs;
        self.verdict.repeat(self.shared_size + size, logs);
    }

    /// All that `record` holds, if the body has room for it. `data`: its text on the wire, which is kept
    /// where there is none, and where it is no text.
    pub fn take(&mut self, record: &[u8], data: &[u8]) {
        const REASON: &str = "the delivery holds too many logs or too long attributes";
        let before = self.verdict;
        if S::FILLS {
            // Nothing that a sink has heard can be taken back: count first, where it might be too much.
            if self.may_be_full_after(record) {
                let mut counted = Output {
                    context: self.context,
                    shared_size: self.shared_size,
                    document: &mut *self.document,
                    filler: &mut *self.filler,
                    verdict: before,
                    metric_count: 0,
                    sink: &mut Validating,
                };
                counted.take_documents(record, data);
                if is_full(&counted.verdict) {
                    return self.keep_raw(data, &REASON);
                }
            }
            self.take_documents(record, data);
        } else {
            self.take_documents(record, data);
            if is_full(&self.verdict) {
                self.verdict = before;
                self.keep_raw(data, &REASON);
            }
        }
    }

    fn may_be_full_after(&self, record: &[u8]) -> bool {
        // The shortest line, and the shortest event: `{"message":""},`
        let (lines, events) = (record.len() as u64 / 2 + 1, record.len() as u64 / 15 + 1);
        let mut most = self.verdict;
        most.logs += lines;
        most.repeat(self.shared_size, lines);
        most.repeat(3 * limits::CLOUDWATCH_NAME_SIZE_MAX, events);
        is_full(&most)
    }

    fn keep_text(&mut self, text: &[u8], reason: Option<&dyn Display>) {
        self.count(1, 0);
        if S::FILLS {
            self.filler.fill_text(&self.context, text, reason, self.sink);
        } else {
            self.sink.log(&self.context.log(Value::Empty, &Nothing));
        }
        self.sink.keep();
    }

    /// All that `record` holds. `data`: its text on the wire, which is kept where it is no text.
    fn take_documents(&mut self, record: &[u8], data: &[u8]) {
        let record = record.get(text_start(record)..).unwrap_or_default();
        if is_binary(record) {
            return self.keep_raw(data, &"neither JSON nor text");
        }
        let mut is_by_lines = false;
        let (mut at, mut line_end) = (0, 0);
        let mut mark = Message::mark(record, 0);
        while let Some(start) = skip(record, at, b"\r\n") {
            // Sought once a line, however many documents stand on it.
            if start >= line_end {
                let rest = record.get(start..).unwrap_or_default();
                line_end = memchr::memchr(b'\n', rest).map_or(record.len(), |size| start + size);
            }
            let line = record.get(..line_end).unwrap_or_default();
            let Some(first) = skip(line, start, b" \t\r") else {
                at = line_end;
                continue;
            };
            let bounds = if is_by_lines { line } else { record };
            let kind = record.get(first).copied();
            let mut reason: Option<&dyn Display> = None;
            // Sought once a message, however many objects stand before it.
            if mark.is_some_and(|place| place < first) {
                mark = Message::mark(record, first);
            }
            // A message is read without its end being sought before.
            if kind == Some(b'{')
                && mark.is_some_and(|place| place < bounds.len())
                && let Some((message, end)) = Message::read(bounds, first)
                && ends_well(record, end)
            {
                self.take_message(&message);
                at = end;
                continue;
            }
            if matches!(kind, Some(b'{' | b'[')) {
                let end = container_end(bounds, first);
                if let Some(end) = end.filter(|&end| ends_well(record, end))
                    && self.take_value(bounds.get(..end).unwrap_or_default(), first)
                {
                    at = end;
                    continue;
                }
                if !is_by_lines {
                    is_by_lines = true;
                    at = start;
                    continue;
                }
                if kind == Some(b'{') && end.is_none() {
                    reason = Some(&"the JSON text breaks off");
                }
            }
            let line = line.get(start..).unwrap_or_default();
            self.keep_text(line.strip_suffix(b"\r").unwrap_or(line), reason);
            at = line_end;
        }
    }

    /// The object or array that stands from `start` to the end of `text`. Answers whether it was
    /// taken: an array is only if it holds nothing but objects.
    fn take_value(&mut self, text: &[u8], start: usize) -> bool {
        if text.get(start) == Some(&b'{') {
            self.take_object(text.get(start..).unwrap_or_default());
            return true;
        }
        let (mut count, mut is_whole) = (0, true);
        let ends = split_array(text, start, &mut |piece, _| {
            is_whole &= matches!(piece, Piece::Object { .. });
            count += 1;
        });
        if !is_whole || count == 0 || ends != Ok(text.len()) {
            return false;
        }
        let walked = split_array(text, start, &mut |_, range| {
            self.take_object(text.get(range).unwrap_or_default());
        });
        assert!(walked.is_ok(), "the same bytes were walked before");
        true
    }

    fn take_object(&mut self, object: &[u8]) {
        let message = Message::mark(object, 0).and_then(|_| Message::read(object, 0));
        if let Some((message, _)) = message {
            return self.take_message(&message);
        }
        if object.len() > limits::JSON_RECORD_SIZE_MAX {
            return self.keep_raw(object, &"over the limit of one record");
        }
        self.count(1, 0);
        let is_metric = is_metric(object);
        self.metric_count += u64::from(is_metric);
        if S::FILLS {
            let Self { context, document, filler, sink, .. } = self;
            context.event_name = if is_metric { "aws.cloudwatch.metric" } else { "" };
            document.parse(object, |nodes| match nodes {
                Ok(nodes) => filler.fill(context, nodes, Ok(&[]), object, *sink),
                Err(fault) => filler.fill_text(context, object, Some(&fault), *sink),
            });
            context.event_name = "";
        } else {
            self.sink.log(&self.context.log(Value::Empty, &Nothing));
        }
        self.sink.keep();
    }

    fn take_message(&mut self, message: &Message<'_>) {
        self.count(message.event_count, message.size());
        if !S::FILLS {
            for _ in 0..message.event_count {
                self.sink.log(&self.context.log(Value::Empty, &Nothing));
                self.sink.keep();
            }
            return;
        }
        if message.event_count == 0 {
            return;
        }
        let Self { context, filler, sink, .. } = self;
        let attributes = Joined { first: message, second: context.resource };
        sink.resource(&Resource { attributes: &attributes, schema_url: Text::EMPTY });
        sink.scope(&NO_SCOPE);
        filler.begin();
        message.walk(&mut |event| {
            let attributes = EventAttributes { event, request: context.attribute };
            let body = event.message.text();
            let log = context.log(Value::Text(Text(&body)), &attributes);
            sink.log(&Log { time_nanos: event.time_nanos().unwrap_or(log.time_nanos), ..log });
            sink.keep();
        });
    }
}

const fn is_full(verdict: &Verdict) -> bool {
    verdict.weight() > limits::FIREHOSE_WEIGHT_MAX
        || verdict.repeated > limits::BODY_REPEATED_SIZE_MAX
}

/// Whether an object is one metric of a metric stream.
fn is_metric(object: &[u8]) -> bool {
    let read = || -> Result<bool, ReadError> {
        let mut reader = Reader::at(object, 0);
        reader.begin_object()?;
        let (mut is_first, mut has_stream, mut has_name) = (true, false, false);
        while let Some(key) = reader.next_key(&mut is_first)? {
            let is_text = reader.peek() == Some(b'"');
            has_stream |= is_text && key.raw == b"metric_stream_name";
            has_name |= is_text && key.raw == b"metric_name";
            reader.pass_value()?;
        }
        Ok(has_stream && has_name)
    };
    memmem::find(object, b"\"metric_stream_name\"").is_some() && read() == Ok(true)
}

/// The first byte from `at` on that is none of `blanks`.
fn skip(bytes: &[u8], at: usize, blanks: &[u8]) -> Option<usize> {
    let rest = bytes.get(at..)?;
    rest.iter().position(|byte| !blanks.contains(byte)).map(|place| at + place)
}

/// Whether a document may end here: at the end of its line, or where the next one begins.
fn ends_well(record: &[u8], end: usize) -> bool {
    skip(record, end, b" \t\r").is_none_or(|next| matches!(record.get(next), Some(b'\n' | b'{')))
}

/// Control characters that no text has, near the start: protobuf, such as the OpenTelemetry formats of
/// a metric stream, has them in its first bytes.
fn is_binary(record: &[u8]) -> bool {
    const LOOKED_AT: usize = 256;
    record.iter().take(LOOKED_AT).any(|byte| matches!(byte, 0..=8 | 14..=26))
}
