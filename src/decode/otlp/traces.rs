//! `opentelemetry.proto.trace.v1`: spans, their events and links.
//!
//! Place: under `tree`. One walk over a span checks all of it, events and links included; a sink walks
//! those again as views. A span needs its ids: one without them is rejected alone, the rest stays.
#![deny(clippy::indexing_slicing)]

use super::common::{KeyValues, check_key_value, first_known, id};
use super::tree::{self, Names};
use crate::batch::record::{Event, Events, Link, Links, Span, SpanKind, StatusCode, Text};
use crate::batch::{RecordSink, RejectCause};
use crate::decode::wire::protobuf::{
    FIXED32, FIXED64, Known, LENGTH, Occurrences, Reader, VARINT, WireError, tag,
};
use crate::decode::{DecodeError, Verdict};
use crate::envelope::Envelope;
use crate::limits;

const TRACE_ID: u32 = tag(1, LENGTH);
const SPAN_ID: u32 = tag(2, LENGTH);
const TRACE_STATE: u32 = tag(3, LENGTH);
const PARENT_SPAN_ID: u32 = tag(4, LENGTH);
const NAME: u32 = tag(5, LENGTH);
const KIND: u32 = tag(6, VARINT);
const START_TIME: u32 = tag(7, FIXED64);
const END_TIME: u32 = tag(8, FIXED64);
const ATTRIBUTES: u32 = tag(9, LENGTH);
const DROPPED_ATTRIBUTES_COUNT: u32 = tag(10, VARINT);
const EVENTS: u32 = tag(11, LENGTH);
const DROPPED_EVENTS_COUNT: u32 = tag(12, VARINT);
const LINKS: u32 = tag(13, LENGTH);
const DROPPED_LINKS_COUNT: u32 = tag(14, VARINT);
const STATUS: u32 = tag(15, LENGTH);
const FLAGS: u32 = tag(16, FIXED32);
const SPAN: Known = Known::fields(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);

const EVENT_TIME: u32 = tag(1, FIXED64);
const EVENT_NAME: u32 = tag(2, LENGTH);
const EVENT_ATTRIBUTES: u32 = tag(3, LENGTH);
const EVENT_DROPPED_COUNT: u32 = tag(4, VARINT);
const EVENT: Known = Known::fields(&[1, 2, 3, 4]);

const LINK_TRACE_ID: u32 = tag(1, LENGTH);
const LINK_SPAN_ID: u32 = tag(2, LENGTH);
const LINK_TRACE_STATE: u32 = tag(3, LENGTH);
const LINK_ATTRIBUTES: u32 = tag(4, LENGTH);
const LINK_DROPPED_COUNT: u32 = tag(5, VARINT);
const LINK_FLAGS: u32 = tag(6, FIXED32);
const LINK: Known = Known::fields(&[1, 2, 3, 4, 5, 6]);

/// Field 1 was another code once and is reserved: senders that still write it mean field 3 as well.
const STATUS_MESSAGE: u32 = tag(2, LENGTH);
const STATUS_CODE: u32 = tag(3, VARINT);
const STATUS_FIELDS: Known = Known::fields(&[2, 3]);

const NAMES: Names = Names { resources: "resource_spans", scopes: "scope_spans", items: "spans" };

pub fn decode<S: RecordSink>(
    envelope: &Envelope<'_>,
    payload: &[u8],
    sink: &mut S,
) -> Result<Verdict, DecodeError> {
    tree::walk(payload, &NAMES, sink, |message, sink, verdict| {
        span(message, envelope.arrival_nanos, sink, verdict)
    })
}

#[inline]
fn span<S: RecordSink>(
    message: Reader<'_>,
    arrival_nanos: u64,
    sink: &mut S,
    verdict: &mut Verdict,
) -> Result<(), DecodeError> {
    let mut span = message;
    let mut trace_id: &[u8] = &[];
    let mut span_id: &[u8] = &[];
    let mut parent_span_id: &[u8] = &[];
    let mut trace_state = Text::EMPTY;
    let mut name = Text::EMPTY;
    let mut kind = 0;
    let mut start_time_nanos = 0;
    let mut end_time_nanos = 0;
    let mut flags = 0;
    let mut status = Status::default();
    let (mut attribute_index, mut event_index, mut link_index) = (0, 0, 0);
    while let Some(tag) = span.tag()? {
        match tag {
            ATTRIBUTES => {
                let pair = span.message()?;
                check_key_value(pair, 0)
                    .map_err(|error| error.within("attributes", Some(attribute_index)))?;
                attribute_index += 1;
            }
            TRACE_ID => trace_id = span.bytes()?,
            SPAN_ID => span_id = span.bytes()?,
            PARENT_SPAN_ID => parent_span_id = span.bytes()?,
            TRACE_STATE => trace_state = Text(span.bytes()?),
            NAME => name = Text(span.bytes()?),
            KIND => kind = span.int32()?,
            START_TIME => start_time_nanos = span.fixed64()?,
            END_TIME => end_time_nanos = span.fixed64()?,
            EVENTS => {
                let event = span.message()?;
                check_event(event).map_err(|error| error.within("events", Some(event_index)))?;
                event_index += 1;
            }
            LINKS => {
                let link = span.message()?;
                check_link(link).map_err(|error| error.within("links", Some(link_index)))?;
                link_index += 1;
            }
            STATUS => {
                let piece = span.message()?;
                status.merge(piece).map_err(|error| error.within("status", None))?;
            }
            FLAGS => flags = span.fixed32()?,
            DROPPED_ATTRIBUTES_COUNT | DROPPED_EVENTS_COUNT | DROPPED_LINKS_COUNT => {
                span.varint()?;
            }
            other => span.skip(other, SPAN)?,
        }
    }

    let (Some(trace_id), Some(span_id)) = (id(trace_id), id(span_id)) else {
        verdict.count_reject(RejectCause::IdInvalid, message.offset());
        sink.reject(RejectCause::IdInvalid);
        return Ok(());
    };
    sink.span(&Span {
        trace_id,
        span_id,
        parent_span_id: id(parent_span_id),
        trace_state,
        trace_flags: flags.to_le_bytes()[0],
        name,
        kind: SpanKind::from_number(kind),
        start_time_nanos: first_known([start_time_nanos, end_time_nanos, arrival_nanos]),
        duration_nanos: duration(start_time_nanos, end_time_nanos),
        attributes: &KeyValues { holder: message.rest(), number: ATTRIBUTES >> 3 },
        events: &EventViews(message.rest()),
        links: &LinkViews(message.rest()),
        status_code: StatusCode::from_number(status.code),
        status_message: status.message,
    });
    sink.keep();
    verdict.values += limits::EVENT_WEIGHT * u64::from(event_index + link_index);
    verdict.spans += 1;
    Ok(())
}

/// From start to end; 0 where either is unknown or the end lies before the start.
#[inline]
pub(super) const fn duration(start_time_nanos: u64, end_time_nanos: u64) -> u64 {
    if start_time_nanos == 0 { 0 } else { end_time_nanos.saturating_sub(start_time_nanos) }
}

/// All occurrences of a span's status: of each field the last one.
#[derive(Default)]
struct Status<'a> {
    message: Text<'a>,
    code: i32,
}

impl<'a> Status<'a> {
    #[inline]
    fn merge(&mut self, mut piece: Reader<'a>) -> Result<(), DecodeError> {
        while let Some(tag) = piece.tag()? {
            match tag {
                STATUS_MESSAGE => self.message = Text(piece.bytes()?),
                STATUS_CODE => self.code = piece.int32()?,
                other => piece.skip(other, STATUS_FIELDS)?,
            }
        }
        Ok(())
    }
}

fn check_event(mut event: Reader<'_>) -> Result<(), DecodeError> {
    let mut index = 0;
    while let Some(tag) = event.tag()? {
        match tag {
            EVENT_ATTRIBUTES => {
                let pair = event.message()?;
                check_key_value(pair, 0)
                    .map_err(|error| error.within("attributes", Some(index)))?;
                index += 1;
            }
            EVENT_TIME => drop(event.fixed64()?),
            EVENT_NAME => drop(event.bytes()?),
            EVENT_DROPPED_COUNT => drop(event.varint()?),
            other => event.skip(other, EVENT)?,
        }
    }
    Ok(())
}

fn check_link(mut link: Reader<'_>) -> Result<(), DecodeError> {
    let mut index = 0;
    while let Some(tag) = link.tag()? {
        match tag {
            LINK_ATTRIBUTES => {
                let pair = link.message()?;
                check_key_value(pair, 0)
                    .map_err(|error| error.within("attributes", Some(index)))?;
                index += 1;
            }
            LINK_TRACE_ID | LINK_SPAN_ID | LINK_TRACE_STATE => drop(link.bytes()?),
            LINK_DROPPED_COUNT => drop(link.varint()?),
            LINK_FLAGS => drop(link.fixed32()?),
            other => link.skip(other, LINK)?,
        }
    }
    Ok(())
}

/// The events of a checked span.
struct EventViews<'a>(&'a [u8]);

impl Events for EventViews<'_> {
    fn walk(&self, visit: &mut dyn FnMut(&Event<'_>)) {
        for message in Occurrences::of(self.0, EVENTS >> 3) {
            let (mut time_nanos, mut name) = (0, Text::EMPTY);
            // Checked bytes have no faults; if ever they had, what was read so far stands.
            let _ = read_event(Reader::new(message), &mut time_nanos, &mut name);
            visit(&Event {
                time_nanos: first_known([time_nanos, 0, 0]),
                name,
                attributes: &KeyValues { holder: message, number: EVENT_ATTRIBUTES >> 3 },
            });
        }
    }
}

fn read_event<'a>(
    mut event: Reader<'a>,
    time_nanos: &mut u64,
    name: &mut Text<'a>,
) -> Result<(), WireError> {
    while let Some(tag) = event.tag()? {
        match tag {
            EVENT_TIME => *time_nanos = event.fixed64()?,
            EVENT_NAME => *name = Text(event.bytes()?),
            other => event.skip(other, Known::fields(&[]))?,
        }
    }
    Ok(())
}

/// The links of a checked span.
struct LinkViews<'a>(&'a [u8]);

impl Links for LinkViews<'_> {
    fn walk(&self, visit: &mut dyn FnMut(&Link<'_>)) {
        for message in Occurrences::of(self.0, LINKS >> 3) {
            let (mut ids, mut trace_state) = ([&[][..]; 2], Text::EMPTY);
            let _ = read_link(Reader::new(message), &mut ids, &mut trace_state);
            let [trace_id, span_id] = ids;
            visit(&Link {
                trace_id: id(trace_id),
                span_id: id(span_id),
                trace_state,
                attributes: &KeyValues { holder: message, number: LINK_ATTRIBUTES >> 3 },
            });
        }
    }
}

fn read_link<'a>(
    mut link: Reader<'a>,
    [trace_id, span_id]: &mut [&'a [u8]; 2],
    trace_state: &mut Text<'a>,
) -> Result<(), WireError> {
    while let Some(tag) = link.tag()? {
        match tag {
            LINK_TRACE_ID => *trace_id = link.bytes()?,
            LINK_SPAN_ID => *span_id = link.bytes()?,
            LINK_TRACE_STATE => *trace_state = Text(link.bytes()?),
            other => link.skip(other, Known::fields(&[]))?,
        }
    }
    Ok(())
}
