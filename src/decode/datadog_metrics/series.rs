//! `MetricPayload`: series of V2 as the Agent writes them.
//!
//! Each series is checked to its end before anything of it is said: fields stand in any order, the Agent
//! itself writes a point's time before its value and fields that the public schema reserves.
#![deny(clippy::indexing_slicing)]

use super::Scratch;
use super::point::{self, Interval, Kind};
use super::tags::Taken;
use crate::batch::RecordSink;
use crate::batch::record::{Identity, Nothing, Series, Text};
use crate::decode::wire::protobuf::{
    FIXED64, Known, LENGTH, Occurrences, Reader, VARINT, WireError, tag,
};
use crate::decode::{DecodeError, Verdict};

const SERIES: u32 = tag(1, LENGTH);
const PAYLOAD: Known = Known::fields(&[1]);

const RESOURCES: u32 = tag(1, LENGTH);
const METRIC: u32 = tag(2, LENGTH);
const TAGS: u32 = tag(3, LENGTH);
const POINTS: u32 = tag(4, LENGTH);
const TYPE: u32 = tag(5, VARINT);
const UNIT: u32 = tag(6, LENGTH);
const SOURCE: u32 = tag(7, LENGTH);
const INTERVAL: u32 = tag(8, VARINT);
const METADATA: u32 = tag(9, LENGTH);
const METRIC_SERIES: Known = Known::fields(&[1, 2, 3, 4, 5, 6, 7, 8, 9]);

const RESOURCE_TYPE: u32 = tag(1, LENGTH);
const RESOURCE_NAME: u32 = tag(2, LENGTH);
const RESOURCE: Known = Known::fields(&[1, 2]);

const POINT_VALUE: u32 = tag(1, FIXED64);
const POINT_TIME: u32 = tag(2, VARINT);
const POINT: Known = Known::fields(&[1, 2]);

const ORIGIN: u32 = tag(1, LENGTH);
const ORIGIN_HOLDER: Known = Known::fields(&[1]);
const ORIGIN_PRODUCT: u32 = tag(4, VARINT);
const ORIGIN_CATEGORY: u32 = tag(5, VARINT);
const ORIGIN_SERVICE: u32 = tag(6, VARINT);
const ORIGIN_FIELDS: Known = Known::fields(&[4, 5, 6]);

pub fn decode<S: RecordSink>(
    payload: &[u8],
    arrival_nanos: i64,
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<Verdict, DecodeError> {
    let mut verdict = Verdict::default();
    let mut message = Reader::new(payload);
    let mut index = 0;
    while let Some(tag) = message.tag()? {
        match tag {
            SERIES => {
                let series = message.message()?;
                read(series, arrival_nanos, &mut verdict, scratch, sink)
                    .map_err(|error| error.within("series", Some(index)))?;
                index += 1;
            }
            other => message.skip(other, PAYLOAD)?,
        }
    }
    Ok(verdict)
}

#[inline]
fn read<S: RecordSink>(
    message: Reader<'_>,
    arrival_nanos: i64,
    verdict: &mut Verdict,
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<(), DecodeError> {
    let before = *verdict;
    let found = Found::check(message, arrival_nanos, verdict)?;
    if let Some(cause) = found.taken.refusal(found.metric, found.source.len()) {
        *verdict = before;
        for _ in 0..found.points {
            verdict.count_reject(cause, message.offset());
            sink.reject(cause);
        }
    } else if S::FILLS {
        if verdict.samples > before.samples {
            found.say_series(message, scratch, sink)?;
        }
        found.say_points(message, arrival_nanos, sink)?;
    }
    Ok(())
}

/// A checked series without its lists.
#[derive(Default)]
struct Found<'a> {
    metric: &'a [u8],
    unit: &'a [u8],
    source: &'a [u8],
    kind: i64,
    interval_seconds: i64,
    points: u32,
    taken: Taken,
}

impl<'a> Found<'a> {
    #[inline]
    fn check(
        message: Reader<'a>,
        arrival_nanos: i64,
        verdict: &mut Verdict,
    ) -> Result<Self, DecodeError> {
        let mut found = Self::default();
        let mut fields = message;
        let mut resources = 0;
        while let Some(tag) = fields.tag()? {
            match tag {
                RESOURCES => {
                    let resource = fields.message()?;
                    read_resource(resource)
                        .map_err(|error| within(error, "resources", Some(resources)))?;
                    found.taken.add(resource.rest().len());
                    resources += 1;
                }
                METRIC => found.metric = fields.bytes()?,
                TAGS => found.taken.add(fields.bytes()?.len()),
                POINTS => {
                    let point = fields.message()?;
                    let (time_nanos, _) = read_point(point)
                        .map_err(|error| within(error, "points", Some(found.points)))?;
                    match point::time(time_nanos, arrival_nanos) {
                        Ok(_) => verdict.samples += 1,
                        Err(cause) => verdict.count_reject(cause, point.offset()),
                    }
                    found.points += 1;
                }
                // An enum: the low 32 bits.
                TYPE => found.kind = i64::from(fields.int32()?),
                UNIT => found.unit = fields.bytes()?,
                SOURCE => found.source = fields.bytes()?,
                INTERVAL => found.interval_seconds = fields.int64()?,
                METADATA => {
                    let metadata = fields.message()?;
                    check_metadata(metadata).map_err(|error| within(error, "metadata", None))?;
                }
                other => fields.skip(other, METRIC_SERIES)?,
            }
        }
        Ok(found)
    }

    fn say_series<S: RecordSink>(
        &self,
        message: Reader<'_>,
        scratch: &mut Scratch,
        sink: &mut S,
    ) -> Result<(), WireError> {
        let tags = &mut scratch.tags;
        tags.begin_series();
        for resource in Occurrences::of(message.rest(), RESOURCES >> 3) {
            let (kind, name) = read_resource(Reader::new(resource))?;
            tags.resource(kind, name);
        }
        tags.label("source_type_name", self.source);
        for tag in Occurrences::of(message.rest(), TAGS >> 3) {
            tags.tag(tag);
        }
        let kind = Kind::from_number(self.kind);
        tags.say(
            &Series {
                identity: Identity::Full,
                name: Text(self.metric),
                metric_type: kind.metric_type(),
                unit: Text(self.unit),
                description: Text::EMPTY,
                temporality: kind.temporality(),
                is_monotonic: false,
                labels: &Nothing,
                raw: None,
            },
            sink,
        );
        Ok(())
    }

    fn say_points<S: RecordSink>(
        &self,
        message: Reader<'_>,
        arrival_nanos: i64,
        sink: &mut S,
    ) -> Result<(), WireError> {
        let kind = Kind::from_number(self.kind);
        let interval = Interval::from_seconds(self.interval_seconds);
        for point in Occurrences::of(message.rest(), POINTS >> 3) {
            let (time_nanos, value) = read_point(Reader::new(point))?;
            match point::time(time_nanos, arrival_nanos) {
                Ok(time_nanos) => {
                    sink.sample(&point::sample(kind, interval, time_nanos, value, None));
                    sink.keep();
                }
                Err(cause) => sink.reject(cause),
            }
        }
        Ok(())
    }
}

#[cold]
fn within(error: WireError, name: &'static str, index: Option<u32>) -> DecodeError {
    DecodeError::from(error).within(name, index)
}

/// Time and value. A value of 0 is left out by every protobuf library.
#[inline]
fn read_point(mut point: Reader<'_>) -> Result<(i64, f64), WireError> {
    let (mut seconds, mut value) = (0, 0.0);
    while let Some(tag) = point.tag()? {
        match tag {
            POINT_VALUE => value = point.double()?,
            POINT_TIME => seconds = point.int64()?,
            other => point.skip(other, POINT)?,
        }
    }
    Ok((point::nanos(seconds), value))
}

/// Type and name.
#[inline]
fn read_resource(mut resource: Reader<'_>) -> Result<(&[u8], &[u8]), WireError> {
    let (mut kind, mut name) = (&[][..], &[][..]);
    while let Some(tag) = resource.tag()? {
        match tag {
            RESOURCE_TYPE => kind = resource.bytes()?,
            RESOURCE_NAME => name = resource.bytes()?,
            other => resource.skip(other, RESOURCE)?,
        }
    }
    Ok((kind, name))
}

/// Metadata of a series or a sketch: not kept, but a body is whole or it is refused.
#[inline]
pub fn check_metadata(mut metadata: Reader<'_>) -> Result<(), WireError> {
    while let Some(tag) = metadata.tag()? {
        match tag {
            ORIGIN => {
                let mut origin = metadata.message()?;
                while let Some(tag) = origin.tag()? {
                    match tag {
                        ORIGIN_PRODUCT | ORIGIN_CATEGORY | ORIGIN_SERVICE => {
                            origin.varint()?;
                        }
                        other => origin.skip(other, ORIGIN_FIELDS)?,
                    }
                }
            }
            other => metadata.skip(other, ORIGIN_HOLDER)?,
        }
    }
    Ok(())
}
