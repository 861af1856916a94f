//! JSON logs: `POST /json/logs`, in every shape that real senders give them.
//!
//! Place: behind `content`. The declared media type only tells whether to go by lines; a body is
//! otherwise a stream of values with blanks or nothing between them, and of arrays of such. A body
//! that promises lines but is JSON printed over several is read as such. Lines of `text/plain` that
//! are no JSON are messages.
//!
//! **Records.** An object is a record; so is a string, as its message; `{"logs":[…]}` is a batch
//! whose other fields belong to each of its records. Other values are refused one by one and
//! counted, as is a record over [`limits::JSON_RECORD_SIZE_MAX`]. A record whose ends can be told
//! but whose inside is no JSON, is nested too deep or has too many values is kept: its text is the
//! body, the attribute `_parse_error` says why. So is a line that is no sequence of values. Structure
//! broken beyond that refuses the whole body, with line and column.
//!
//! So nothing inside a record decides whether it is kept, and the validating pass need not look
//! there: it only finds the ends.
//!
//! **Fields.** Nested objects are flattened with dots, arrays stay values, of equal names the last one
//! counts. Null counts as absent when a meaning is looked for. First usable of:
//!
//! | column | fields, in this order | else |
//! |---|---|---|
//! | time | `timestamp` `time` `ts` `date` `@timestamp` `datetime` `_time` `observed_timestamp` `asctime` | arrival |
//! | body | `message` `msg` `log` `body` `content` `text` `short_message` `event` | the whole record as text |
//! | severity | `level` `severity` `severity_text` `lvl` `log.level`; `severity_number` | unspecified |
//! | trace | `trace_id` `traceId` `trace.id`; `span_id` `spanId` `span.id`; `trace_flags` | none |
//! | service | head, `service.name`, `service` if text | none |
//!
//! A field that became time, body, trace, span or resource is no attribute any more; severity stays
//! one, and so does a time or id that could not be read. An object under `log` is not a body, nor
//! is anything but text under `event`: both also name groups of fields.
//!
//! **Resource.** The `x-groundcover-*` fields of the head win over fields of the same meaning in the
//! record. Text under `fields::RESOURCE_KEYS` goes there: what names the service, its
//! environment, cluster, namespace and host by OpenTelemetry's or groundcover's own names. Bare
//! `host`, `hostname`, `env` and `source` stay attributes: their meaning varies, and a forwarder's
//! body with many hosts would begin a new resource with every record.
//!
//! Observed time is always arrival.

#![deny(clippy::indexing_slicing)]

mod fields;
mod media;
pub(super) mod record;
mod severity;
mod time;
mod view;

use std::ops::Range;

use super::wire::json::{self, Document, Lines, Piece, SplitError};
use super::{DecodeError, Verdict};
use crate::batch::record::{Nothing, Resource, Scope, Text, Value};
use crate::batch::{RecordSink, RejectCause};
use crate::envelope::Envelope;
use crate::limits;
use media::Shape;
use record::{Context, Filler};

/// Memory reused from body to body: tapes of one record and of one object around a batch.
#[derive(Default)]
pub struct Scratch {
    batch: Document,
    record: Document,
    filler: Filler,
}

/// Decodes a body; see the head of this module. Both kinds of sink get the same verdict.
pub fn decode<S: RecordSink>(
    envelope: &Envelope<'_>,
    payload: &[u8],
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<Verdict, DecodeError> {
    const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
    let mut shape = media::shape(envelope.fields).map_err(|fault| DecodeError::at(fault, 0))?;
    let start = if payload.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    // JSON printed over several lines, under a type that promises lines: they would tear it.
    let range = start..payload.len();
    let is_torn = match shape {
        Shape::Values => false,
        Shape::Lines => {
            !json::begins_with_whole_line(payload, range.clone())
                && json::is_splittable(payload, range.clone(), Lines::Json)
        }
        Shape::TextLines => json::is_splittable(payload, range.clone(), Lines::Text),
    };
    if is_torn {
        shape = Shape::Values;
    }
    let Scratch { batch, record, filler } = scratch;
    filler.begin();
    let mut walk = Walk {
        payload,
        is_text: shape == Shape::TextLines,
        context: Context::new(envelope),
        verdict: Verdict::default(),
        record,
        filler,
        sink,
    };
    if !S::FILLS {
        walk.sink.resource(&Resource { attributes: &Nothing, schema_url: Text::EMPTY });
        walk.sink.scope(&NO_SCOPE);
    }
    let mut visit = |piece, range| walk.handle_piece(piece, range, batch);
    match shape {
        Shape::Values => json::split_values(payload, range, &mut visit)
            .map_err(|error| refuse(payload, error))?,
        Shape::Lines => json::split_lines(payload, range, Lines::Json, &mut visit),
        Shape::TextLines => json::split_lines(payload, range, Lines::Text, &mut visit),
    }
    let Walk { mut verdict, context, .. } = walk;
    verdict.repeat(context.head_size(), verdict.logs);
    Ok(verdict)
}

const NO_SCOPE: Scope<'static> = Scope {
    name: Text::EMPTY,
    version: Text::EMPTY,
    attributes: &Nothing,
    schema_url: Text::EMPTY,
};

#[cold]
fn refuse(payload: &[u8], error: SplitError) -> DecodeError {
    DecodeError {
        line_column: Some(json::line_column(payload, error.at)),
        ..DecodeError::at(error.fault, error.at as u64)
    }
}

struct Walk<'a, S> {
    payload: &'a [u8],
    is_text: bool,
    context: Context<'a>,
    verdict: Verdict,
    record: &'a mut Document,
    filler: &'a mut Filler,
    sink: &'a mut S,
}

impl<S: RecordSink> Walk<'_, S> {
    fn handle_piece(&mut self, piece: Piece, range: Range<usize>, batch: &mut Document) {
        if piece == (Piece::Object { may_be_batch: true })
            && let Some(array) = json::batch_member(self.payload, range.clone())
            && range.len() - array.len() <= limits::JSON_RECORD_SIZE_MAX
        {
            return self.handle_batch(range, array, batch);
        }
        self.handle_record(piece, range, Ok(&[]));
    }

    fn handle_batch(&mut self, object: Range<usize>, array: Range<usize>, batch: &mut Document) {
        let payload = self.payload;
        let before = self.verdict.logs;
        let size = object.len() - array.len();
        let elements = payload.get(..array.end).unwrap_or_default();
        let mut split = |batch: Result<&[simd_json::Node<'_>], &json::DocumentFault>| {
            json::split_array(elements, array.start, &mut |piece, range| {
                self.handle_record(piece, range, batch);
            })
        };
        let walked = if S::FILLS {
            // The object around the array, the array taken out.
            let before = payload.get(object.start..array.start).unwrap_or_default();
            let after = payload.get(array.end..object.end).unwrap_or_default();
            batch.parse_parts([before, b"null", after], |nodes| match nodes {
                Ok(nodes) => split(Ok(nodes)),
                Err(fault) => split(Err(&fault)),
            })
        } else {
            split(Ok(&[]))
        };
        assert!(walked.is_ok(), "batch_member has walked the same bytes");
        self.verdict.repeat(size, self.verdict.logs - before);
    }

    fn handle_record(
        &mut self,
        piece: Piece,
        range: Range<usize>,
        batch: Result<&[simd_json::Node<'_>], &json::DocumentFault>,
    ) {
        let offset = range.start as u64;
        let record = self.payload.get(range).unwrap_or_default();
        if piece == Piece::Other {
            self.verdict.count_reject(RejectCause::NotARecord, offset);
        } else if record.len() > limits::JSON_RECORD_SIZE_MAX {
            self.verdict.count_reject(RejectCause::OverLimit, offset);
        } else {
            self.verdict.logs += 1;
            if S::FILLS {
                self.fill(piece, record, batch);
            } else {
                self.sink.log(&self.context.log(Value::Empty, &Nothing));
            }
            self.sink.keep();
        }
    }

    fn fill(
        &mut self,
        piece: Piece,
        record: &[u8],
        batch: Result<&[simd_json::Node<'_>], &json::DocumentFault>,
    ) {
        let Self { context, filler, sink, .. } = self;
        if self.is_text && piece == Piece::BrokenLine {
            return filler.fill_text(context, record, None, *sink);
        }
        self.record.parse(record, |nodes| match nodes {
            Ok(nodes) => filler.fill(context, nodes, batch, record, *sink),
            Err(fault) => filler.fill_text(context, record, Some(&fault), *sink),
        });
    }
}
