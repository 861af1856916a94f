//! Amazon Data Firehose, HTTP endpoint delivery: `POST /firehose/logs`.
//!
//! ```text
//! mod.rs         the request: {"requestId","timestamp","records":[{"data":base64}…]}
//! documents.rs   what is inside one record: gzip, documents, lines
//! cloudwatch.rs  a document that is a CloudWatch Logs subscription message
//! request.rs     what head and body say about all records: id, stream, common attributes
//! ```
//!
//! Firehose sends a refused body again, the same bytes, until its retry time is over. So only text
//! that is not JSON, or holds no `records`, is refused; whatever is wrong inside a record is kept: the
//! text of `data` as it came is the body of a log whose attribute `_parse_error` says why.
//!
//! One record at a time is decoded and inflated, within bounds for the record and for the body. So are logs
//! counted: a record whose logs would be too many for one body is kept as it came, the others as usual.
//! Members stand in any order, unknown ones are checked for syntax alone. Validating reads the text
//! once; a sink that fills needs id and time of the request first and passes over the records for them.

#![deny(clippy::indexing_slicing)]

mod cloudwatch;
mod documents;
mod request;

use base64_simd::{AsOut, STANDARD, STANDARD_NO_PAD};

use super::json_logs::record::{Context, Filler, PairList};
use super::wire::json::{Document, Reader, Str, line_column};
use super::{DecodeError, Fault, Verdict};
use crate::batch::RecordSink;
use crate::batch::record::{Nothing, Resource, Text};
use crate::content::{self, Arena};
use crate::envelope::{Coding, Codings, Envelope};
use crate::limits;
use documents::{NO_SCOPE, Output};
use request::About;

/// Memory reused from body to body: one record decoded, the same inflated, the tape of a document.
#[derive(Default)]
pub struct Scratch {
    decoded: Vec<u8>,
    inflated: Arena,
    document: Document,
    filler: Filler,
    resource: PairList,
    /// What the records may inflate to where a shard's turn is spent; the fault is [`Fault::TurnOverLimit`].
    pub turn_size_max: Option<usize>,
}

/// Decodes a body; see the head of this module. Both kinds of sink get the same verdict.
pub fn decode<S: RecordSink>(
    envelope: &Envelope<'_>,
    payload: &[u8],
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<Verdict, DecodeError> {
    let Scratch { decoded, inflated, document, filler, resource, turn_size_max } = scratch;
    filler.begin();
    let about = if S::FILLS { About::read(envelope, payload, resource) } else { About::default() };
    let mut context = Context::new(envelope);
    context.resource = resource;
    context.attribute = about.attribute();
    context.time_nanos = about.time_nanos.unwrap_or(context.time_nanos);
    if !S::FILLS {
        sink.resource(&Resource { attributes: &Nothing, schema_url: Text::EMPTY });
        sink.scope(&NO_SCOPE);
    }
    let mut walk = Walk {
        decoded,
        inflated,
        inflated_left: limits::FIREHOSE_INFLATED_SIZE_MAX,
        turn_left: turn_size_max.unwrap_or(usize::MAX),
        output: Output {
            shared_size: context.head_size() + request::shared_size(envelope),
            context,
            document,
            filler,
            verdict: Verdict::default(),
            sink,
        },
    };
    let walked = walk.body(payload).map(|()| walk.output.verdict);
    inflated.shrink_to(limits::FIREHOSE_INFLATED_SIZE_KEPT);
    decoded.shrink_to(limits::FIREHOSE_INFLATED_SIZE_KEPT);
    walked.map_err(|error| DecodeError {
        line_column: Some(line_column(payload, limits::size(error.offset))),
        ..error
    })
}

struct Walk<'a, S> {
    decoded: &'a mut Vec<u8>,
    inflated: &'a mut Arena,
    /// How much the body's records may still inflate to.
    inflated_left: usize,
    turn_left: usize,
    output: Output<'a, S>,
}

impl<S: RecordSink> Walk<'_, S> {
    fn body(&mut self, payload: &[u8]) -> Result<(), DecodeError> {
        let mut reader = Reader::at(payload, 0);
        reader.begin_object().map_err(|error| match error.fault {
            Fault::JsonTypeWrong => DecodeError::at(Fault::FirehoseRecordsMissing, error.at as u64),
            _ => error.into(),
        })?;
        let (mut is_first, mut has_records) = (true, false);
        while let Some(key) = reader.next_key(&mut is_first)? {
            if is(key, b"records") {
                self.records(&mut reader)?;
                has_records = true;
            } else {
                reader.check_value(1)?;
            }
        }
        if reader.peek().is_some() {
            return Err(reader.fault(Fault::JsonSyntax).into());
        }
        if has_records { Ok(()) } else { Err(DecodeError::at(Fault::FirehoseRecordsMissing, 0)) }
    }

    fn records(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        reader.begin_array().map_err(|error| DecodeError::from(error).within("records", None))?;
        let (mut is_first, mut index) = (true, 0);
        loop {
            let within = |error| DecodeError::from(error).within("records", Some(index));
            if !reader.next_element(&mut is_first).map_err(within)? {
                return Ok(());
            }
            // Blanks are passed over.
            reader.peek();
            let start = reader.place();
            let data = data(reader).map_err(within)?;
            match data {
                Some(data) => self.record(data),
                None => {
                    let record = reader.payload().get(start..reader.place()).unwrap_or_default();
                    self.output.keep_raw(record, &"the record has no text in data");
                }
            }
            index += 1;
            if index > limits::FIREHOSE_RECORD_COUNT_MAX {
                let error = DecodeError::at(Fault::WeightOverLimit, start as u64);
                return Err(error.within("records", Some(index)));
            }
            if self.turn_left == 0 {
                return Err(DecodeError::at(Fault::TurnOverLimit, start as u64));
            }
        }
    }

    fn record(&mut self, data: Str<'_>) {
        let data = &*data.text();
        let size_max = data.len() / 4 * 3 + 3;
        if self.decoded.len() < size_max {
            self.decoded.resize(size_max, 0);
        }
        // Padding is the rule; text without it can be read as well.
        let base64 = if data.len().is_multiple_of(4) { STANDARD } else { STANDARD_NO_PAD };
        let Ok(record) = base64.decode(data, self.decoded.as_mut_slice().as_out()) else {
            return self.output.keep_raw(data, &"data is not base64");
        };
        if !record.starts_with(b"\x1f\x8b\x08") {
            return self.output.take(record, data);
        }
        let limit = self.inflated_left.min(limits::FIREHOSE_RECORD_SIZE_MAX);
        match content::decode(Codings::one(Coding::Gzip), record, self.inflated, limit) {
            Ok(inflated) => {
                // The call itself has its price, whatever it yields.
                self.inflated_left = self.inflated_left.saturating_sub(inflated.len() + 1024);
                self.turn_left = self.turn_left.saturating_sub(inflated.len() + 1024);
                self.output.take(inflated, data);
            }
            Err(error) => {
                // How far it came before it failed is not known: at most so far.
                const RATIO_MAX: usize = 1032;
                let tried = record.len().saturating_mul(RATIO_MAX).min(limit);
                self.inflated_left = self.inflated_left.saturating_sub(tried + 1024);
                self.turn_left = self.turn_left.saturating_sub(tried + 1024);
                self.output.keep_raw(data, &format_args!("gzip: {error}"));
            }
        }
    }
}

/// Reads one element of `records`; answers its `data` if that is text.
fn data<'a>(reader: &mut Reader<'a>) -> Result<Option<Str<'a>>, super::wire::json::ReadError> {
    if reader.peek() != Some(b'{') {
        reader.check_value(2)?;
        return Ok(None);
    }
    reader.begin_object()?;
    let (mut is_first, mut data) = (true, None);
    while let Some(key) = reader.next_key(&mut is_first)? {
        if !is(key, b"data") {
            reader.check_value(3)?;
        } else if reader.peek() == Some(b'"') {
            data = Some(reader.string()?);
        } else {
            data = None;
            reader.check_value(3)?;
        }
    }
    Ok(data)
}

/// Whether a key is `name`, escapes undone.
fn is(key: Str<'_>, name: &[u8]) -> bool {
    key.raw == name || key.has_escapes && *key.text() == *name
}
