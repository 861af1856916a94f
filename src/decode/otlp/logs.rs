//! `opentelemetry.proto.logs.v1`: log records.
#![deny(clippy::indexing_slicing)]

use super::common::{KeyValues, Member, check_key_value, check_value, first_known, id};
use super::tree::{self, Names};
use crate::batch::RecordSink;
use crate::batch::record::{Log, Text, Value};
use crate::decode::wire::protobuf::{FIXED32, FIXED64, Known, LENGTH, Reader, VARINT, tag};
use crate::decode::{DecodeError, Verdict};
use crate::envelope::Envelope;

const TIME: u32 = tag(1, FIXED64);
const SEVERITY_NUMBER: u32 = tag(2, VARINT);
const SEVERITY_TEXT: u32 = tag(3, LENGTH);
const BODY: u32 = tag(5, LENGTH);
const ATTRIBUTES: u32 = tag(6, LENGTH);
const DROPPED_COUNT: u32 = tag(7, VARINT);
const FLAGS: u32 = tag(8, FIXED32);
const TRACE_ID: u32 = tag(9, LENGTH);
const SPAN_ID: u32 = tag(10, LENGTH);
const OBSERVED_TIME: u32 = tag(11, FIXED64);
const EVENT_NAME: u32 = tag(12, LENGTH);
const LOG_RECORD: Known = Known::fields(&[1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12]);

const NAMES: Names =
    Names { resources: "resource_logs", scopes: "scope_logs", items: "log_records" };

pub fn decode<S: RecordSink>(
    envelope: &Envelope<'_>,
    payload: &[u8],
    sink: &mut S,
) -> Result<Verdict, DecodeError> {
    tree::walk(payload, &NAMES, sink, |record, sink, verdict| {
        log_record(record, envelope.arrival_nanos, sink)?;
        verdict.logs += 1;
        Ok(())
    })
}

#[inline]
fn log_record<S: RecordSink>(
    message: Reader<'_>,
    arrival_nanos: u64,
    sink: &mut S,
) -> Result<(), DecodeError> {
    let mut record = message;
    let mut time_nanos = 0;
    let mut observed_time_nanos = 0;
    let mut severity_number = 0;
    let mut severity_text = Text::EMPTY;
    let mut flags = 0;
    let mut trace_id: &[u8] = &[];
    let mut span_id: &[u8] = &[];
    let mut event_name = Text::EMPTY;
    let mut attribute_index = 0;
    while let Some(tag) = record.tag()? {
        match tag {
            ATTRIBUTES => {
                let pair = record.message()?;
                check_key_value(pair, 0)
                    .map_err(|error| error.within("attributes", Some(attribute_index)))?;
                attribute_index += 1;
            }
            TIME => time_nanos = record.fixed64()?,
            OBSERVED_TIME => observed_time_nanos = record.fixed64()?,
            SEVERITY_NUMBER => severity_number = record.int32()?,
            SEVERITY_TEXT => severity_text = Text(record.bytes()?),
            BODY => {
                let body = record.message()?;
                check_value(body, 0).map_err(|error| error.within("body", None))?;
            }
            FLAGS => flags = record.fixed32()?,
            TRACE_ID => trace_id = record.bytes()?,
            SPAN_ID => span_id = record.bytes()?,
            DROPPED_COUNT => drop(record.varint()?),
            EVENT_NAME => event_name = Text(record.bytes()?),
            other => record.skip(other, LOG_RECORD)?,
        }
    }

    // A sink that looks at no values needs no last member.
    let body = if S::FILLS { Member::last_in(message.rest(), BODY >> 3) } else { Member::Empty };
    let body: Value<'_> = body.as_value();
    sink.log(&Log {
        time_nanos: first_known([time_nanos, observed_time_nanos, arrival_nanos]),
        observed_time_nanos: first_known([observed_time_nanos, arrival_nanos, 0]),
        trace_id: id(trace_id),
        span_id: id(span_id),
        trace_flags: flags.to_le_bytes()[0],
        severity_text,
        severity_number,
        body,
        attributes: &KeyValues { holder: message.rest(), number: ATTRIBUTES >> 3 },
        event_name,
    });
    sink.keep();
    Ok(())
}
