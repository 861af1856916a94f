//! `opentelemetry.proto.logs.v1` in JSON.
#![deny(clippy::indexing_slicing)]

use super::common::{
    AnyValue, Field, Pairs, attributes, check_value, enumeration, fields, id, kept, members,
};
use super::number::{unsigned, unsigned32};
use super::tree::{self, Names};
use crate::batch::RecordSink;
use crate::batch::record::{Log, Text};
use crate::decode::otlp::common::first_known;
use crate::decode::wire::json::{Reader, Str};
use crate::decode::{DecodeError, Verdict};

fields! { LogField {
    Time = "timeUnixNano",
    ObservedTime = "observedTimeUnixNano",
    SeverityNumber = "severityNumber",
    SeverityText = "severityText",
    Body = "body",
    Dropped = "droppedAttributesCount",
    Flags = "flags",
    TraceId = "traceId",
    SpanId = "spanId",
    EventName = "eventName",
    ;
    Attributes = "attributes",
} }

const SEVERITIES: [&str; 25] = [
    "SEVERITY_NUMBER_UNSPECIFIED",
    "SEVERITY_NUMBER_TRACE",
    "SEVERITY_NUMBER_TRACE2",
    "SEVERITY_NUMBER_TRACE3",
    "SEVERITY_NUMBER_TRACE4",
    "SEVERITY_NUMBER_DEBUG",
    "SEVERITY_NUMBER_DEBUG2",
    "SEVERITY_NUMBER_DEBUG3",
    "SEVERITY_NUMBER_DEBUG4",
    "SEVERITY_NUMBER_INFO",
    "SEVERITY_NUMBER_INFO2",
    "SEVERITY_NUMBER_INFO3",
    "SEVERITY_NUMBER_INFO4",
    "SEVERITY_NUMBER_WARN",
    "SEVERITY_NUMBER_WARN2",
    "SEVERITY_NUMBER_WARN3",
    "SEVERITY_NUMBER_WARN4",
    "SEVERITY_NUMBER_ERROR",
    "SEVERITY_NUMBER_ERROR2",
    "SEVERITY_NUMBER_ERROR3",
    "SEVERITY_NUMBER_ERROR4",
    "SEVERITY_NUMBER_FATAL",
    "SEVERITY_NUMBER_FATAL2",
    "SEVERITY_NUMBER_FATAL3",
    "SEVERITY_NUMBER_FATAL4",
];

const NAMES: Names = Names { resources: "resourceLogs", scopes: "scopeLogs", items: "logRecords" };

pub fn walk<S: RecordSink>(
    reader: &mut Reader<'_>,
    arrival_nanos: u64,
    verdict: &mut Verdict,
    sink: &mut S,
) -> Result<(), DecodeError> {
    tree::walk(reader, &NAMES, sink, verdict, |reader, sink, verdict| {
        log_record(reader, arrival_nanos, sink)?;
        verdict.logs += 1;
        Ok(())
    })
}

/// Numbers and ids stay text until a sink wants them: nothing about them is decided here.
#[inline]
fn log_record<S: RecordSink>(
    reader: &mut Reader<'_>,
    arrival_nanos: u64,
    sink: &mut S,
) -> Result<(), DecodeError> {
    let payload = reader.payload();
    let mut time: &[u8] = b"0";
    let mut observed_time: &[u8] = b"0";
    let mut flags: &[u8] = b"0";
    let mut severity_number = 0;
    let mut severity_text = Str::default();
    let mut trace_id = Str::default();
    let mut span_id = Str::default();
    let mut event_name = Str::default();
    let mut body = None;
    let mut list = None;
    members(reader, |reader, field| {
        match field {
            LogField::Time => time = reader.number()?,
            LogField::ObservedTime => observed_time = reader.number()?,
            LogField::SeverityNumber => severity_number = enumeration(reader, &SEVERITIES)?,
            LogField::SeverityText => severity_text = reader.string()?,
            LogField::Body => {
                body = Some(reader.place());
                check_value(reader, 0)?;
            }
            LogField::Attributes => list = attributes(reader, field.name())?,
            LogField::Dropped => {
                reader.number()?;
            }
            LogField::Flags => flags = reader.number()?,
            LogField::TraceId => trace_id = reader.string()?,
            LogField::SpanId => span_id = reader.string()?,
            LogField::EventName => event_name = reader.string()?,
        }
        Ok(())
    })?;
    if S::FILLS {
        let (time, observed) = (unsigned(time), unsigned(observed_time));
        AnyValue::at(payload, body).say(payload, &mut |body| {
            sink.log(&Log {
                time_nanos: first_known([time, observed, arrival_nanos]),
                observed_time_nanos: first_known([observed, arrival_nanos, 0]),
                trace_id: id(trace_id),
                span_id: id(span_id),
                trace_flags: unsigned32(flags).to_le_bytes()[0],
                severity_text: Text(&kept::<S>(severity_text)),
                severity_number,
                body,
                attributes: &Pairs { payload, list },
                event_name: Text(&kept::<S>(event_name)),
            });
        });
        sink.keep();
    }
    Ok(())
}
