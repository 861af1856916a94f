//! `opentelemetry.proto.trace.v1` in JSON. A span needs its ids: one without them is rejected alone.
#![deny(clippy::indexing_slicing)]

use super::common::{
    Field, Pairs, attributes, each, each_again, enumeration, fields, id, kept, members,
    members_again,
};
use super::number::{unsigned, unsigned32};
use super::tree::{self, Names};
use crate::batch::record::{Event, Events, Link, Links, Span, SpanKind, StatusCode, Text};
use crate::batch::{RecordSink, RejectCause};
use crate::decode::otlp::common::first_known;
use crate::decode::wire::json::{Reader, Str};
use crate::decode::{DecodeError, Verdict};
use crate::limits;

fields! { SpanField {
    TraceId = "traceId",
    SpanId = "spanId",
    TraceState = "traceState",
    ParentSpanId = "parentSpanId",
    Name = "name",
    Kind = "kind",
    Start = "startTimeUnixNano",
    End = "endTimeUnixNano",
    DroppedAttributes = "droppedAttributesCount",
    DroppedEvents = "droppedEventsCount",
    DroppedLinks = "droppedLinksCount",
    Status = "status",
    Flags = "flags",
    ;
    Attributes = "attributes",
    Events = "events",
    Links = "links",
} }
fields! { EventField {
    Time = "timeUnixNano",
    Name = "name",
    Dropped = "droppedAttributesCount",
    ;
    Attributes = "attributes",
} }
fields! { LinkField {
    TraceId = "traceId",
    SpanId = "spanId",
    TraceState = "traceState",
    Dropped = "droppedAttributesCount",
    Flags = "flags",
    ;
    Attributes = "attributes",
} }
fields! { StatusField { Message = "message", Code = "code", ; } }

const KINDS: [&str; 6] = [
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];
const CODES: [&str; 3] = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];

const NAMES: Names = Names { resources: "resourceSpans", scopes: "scopeSpans", items: "spans" };

pub fn walk<S: RecordSink>(
    reader: &mut Reader<'_>,
    arrival_nanos: u64,
    verdict: &mut Verdict,
    sink: &mut S,
) -> Result<(), DecodeError> {
    tree::walk(reader, &NAMES, sink, verdict, |reader, sink, verdict| {
        span(reader, arrival_nanos, verdict, sink)
    })
}

#[inline]
fn span<S: RecordSink>(
    reader: &mut Reader<'_>,
    arrival_nanos: u64,
    verdict: &mut Verdict,
    sink: &mut S,
) -> Result<(), DecodeError> {
    let payload = reader.payload();
    reader.peek();
    let place = reader.place() as u64;
    let mut trace_id = Str::default();
    let mut span_id = Str::default();
    let mut parent_span_id = Str::default();
    let mut trace_state = Str::default();
    let mut name = Str::default();
    let mut kind = 0;
    let mut start: &[u8] = b"0";
    let mut end: &[u8] = b"0";
    let mut flags: &[u8] = b"0";
    let mut status = (0, Str::default());
    let (mut list, mut events, mut links) = (None, None, None);
    let (mut event_count, mut link_count) = (0, 0);
    members(reader, |reader, field| {
        match field {
            SpanField::TraceId => trace_id = reader.string()?,
            SpanField::SpanId => span_id = reader.string()?,
            SpanField::ParentSpanId => parent_span_id = reader.string()?,
            SpanField::TraceState => trace_state = reader.string()?,
            SpanField::Name => name = reader.string()?,
            SpanField::Kind => kind = enumeration(reader, &KINDS)?,
            SpanField::Start => start = reader.number()?,
            SpanField::End => end = reader.number()?,
            SpanField::Flags => flags = reader.number()?,
            SpanField::DroppedAttributes | SpanField::DroppedEvents | SpanField::DroppedLinks => {
                reader.number()?;
            }
            SpanField::Status => status = read_status(reader)?,
            SpanField::Attributes => list = attributes(reader, field.name())?,
            SpanField::Events => {
                event_count = 0;
                events = each(reader, field.name(), |reader| {
                    event_count += 1;
                    check_event(reader)
                })?;
            }
            SpanField::Links => {
                link_count = 0;
                links = each(reader, field.name(), |reader| {
                    link_count += 1;
                    check_link(reader)
                })?;
            }
        }
        Ok(())
    })?;
    let (Some(trace_id), Some(span_id)) = (id(trace_id), id(span_id)) else {
        verdict.count_reject(RejectCause::IdInvalid, place);
        sink.reject(RejectCause::IdInvalid);
        return Ok(());
    };
    verdict.values += limits::EVENT_WEIGHT * (event_count + link_count);
    verdict.spans += 1;
    if S::FILLS {
        let (start, end) = (unsigned(start), unsigned(end));
        sink.span(&Span {
            trace_id,
            span_id,
            parent_span_id: id(parent_span_id),
            trace_state: Text(&kept::<S>(trace_state)),
            trace_flags: unsigned32(flags).to_le_bytes()[0],
            name: Text(&kept::<S>(name)),
            kind: SpanKind::from_number(kind),
            start_time_nanos: first_known([start, end, arrival_nanos]),
            duration_nanos: if start == 0 { 0 } else { end.saturating_sub(start) },
            attributes: &Pairs { payload, list },
            events: &EventList { payload, list: events },
            links: &LinkList { payload, list: links },
            status_code: StatusCode::from_number(status.0),
            status_message: Text(&kept::<S>(status.1)),
        });
        sink.keep();
    }
    Ok(())
}

fn read_status<'a>(reader: &mut Reader<'a>) -> Result<(i32, Str<'a>), DecodeError> {
    let mut status = (0, Str::default());
    members(reader, |reader, field| {
        match field {
            StatusField::Message => status.1 = reader.string()?,
            StatusField::Code => status.0 = enumeration(reader, &CODES)?,
        }
        Ok(())
    })?;
    Ok(status)
}

fn check_event(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    members(reader, |reader, field| {
        match field {
            EventField::Name => {
                reader.string()?;
            }
            EventField::Time | EventField::Dropped => {
                reader.number()?;
            }
            EventField::Attributes => {
                attributes(reader, field.name())?;
            }
        }
        Ok(())
    })
}

fn check_link(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    members(reader, |reader, field| {
        match field {
            LinkField::TraceId | LinkField::SpanId | LinkField::TraceState => {
                reader.string()?;
            }
            LinkField::Dropped | LinkField::Flags => {
                reader.number()?;
            }
            LinkField::Attributes => {
                attributes(reader, field.name())?;
            }
        }
        Ok(())
    })
}

struct EventList<'a> {
    payload: &'a [u8],
    list: Option<usize>,
}

impl Events for EventList<'_> {
    fn walk(&self, visit: &mut dyn FnMut(&Event<'_>)) {
        let payload = self.payload;
        each_again(payload, self.list, |reader| {
            if reader.take_null()? {
                return Ok(());
            }
            let mut time: &[u8] = b"0";
            let mut name = Str::default();
            let mut list = None;
            members_again(reader, |reader, field| {
                match field {
                    EventField::Time => time = reader.number()?,
                    EventField::Name => name = reader.string()?,
                    EventField::Attributes => {
                        list = Some(reader.place());
                        reader.pass_value()?;
                    }
                    EventField::Dropped => reader.pass_value()?,
                }
                Ok(())
            })?;
            visit(&Event {
                time_nanos: first_known([unsigned(time), 0, 0]),
                name: Text(&name.text()),
                attributes: &Pairs { payload, list },
            });
            Ok(())
        });
    }
}

struct LinkList<'a> {
    payload: &'a [u8],
    list: Option<usize>,
}

impl Links for LinkList<'_> {
    fn walk(&self, visit: &mut dyn FnMut(&Link<'_>)) {
        let payload = self.payload;
        each_again(payload, self.list, |reader| {
            if reader.take_null()? {
                return Ok(());
            }
            let mut trace_id = Str::default();
            let mut span_id = Str::default();
            let mut trace_state = Str::default();
            let mut list = None;
            members_again(reader, |reader, field| {
                match field {
                    LinkField::TraceId => trace_id = reader.string()?,
                    LinkField::SpanId => span_id = reader.string()?,
                    LinkField::TraceState => trace_state = reader.string()?,
                    LinkField::Attributes => {
                        list = Some(reader.place());
                        reader.pass_value()?;
                    }
                    LinkField::Dropped | LinkField::Flags => reader.pass_value()?,
                }
                Ok(())
            })?;
            visit(&Link {
                trace_id: id(trace_id),
                span_id: id(span_id),
                trace_state: Text(&trace_state.text()),
                attributes: &Pairs { payload, list },
            });
            Ok(())
        });
    }
}
