//! `{"series":[…]}` of V1 and V2, walked down to the points, without a tree.
//!
//! The two versions share no field of two meanings, so one reader takes both: points as `[time, value]` or
//! `{"timestamp":…,"value":…}`, types as words or numbers. Members stand in any order: a series is
//! checked to its end, noting where its lists are; a sink that fills hears them in a second walk.
//!
//! What the text leaves open is decided so: `null` is absent, also in a list; of members with one name
//! the last that is not null stands, but `series` goes on where it stopped. Unknown members are
//! checked for syntax alone. Python writes `NaN` and `Infinity` bare: such a point is rejected.
#![deny(clippy::indexing_slicing)]

use super::Scratch;
use super::point::{self, Interval, Kind};
use super::tags::Taken;
use crate::batch::record::{Identity, Nothing, Series, Text};
use crate::batch::{RecordSink, RejectCause};
use crate::decode::wire::json::{
    Field, ReadError, Reader, Str, each, each_again, fields, line_column, members, members_again,
};
use crate::decode::wire::number;
use crate::decode::{DecodeError, Fault, Verdict};
use crate::limits;

fields! { plain BodyField { ; Series = "series", } }
fields! { plain SeriesField {
    Metric = "metric",
    Type = "type",
    Interval = "interval",
    Host = "host",
    Device = "device",
    Unit = "unit",
    Source = "source_type_name",
    ;
    Points = "points",
    Tags = "tags",
    Resources = "resources",
} }
fields! { plain PointField { Timestamp = "timestamp", Value = "value", ; } }
fields! { plain ResourceField { Type = "type", Name = "name", ; } }

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

pub fn decode<S: RecordSink>(
    payload: &[u8],
    arrival_nanos: i64,
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<Verdict, DecodeError> {
    read(payload, arrival_nanos, scratch, sink).map_err(|mut error| {
        error.line_column = Some(line_column(payload, limits::size(error.offset)));
        error
    })
}

fn read<S: RecordSink>(
    payload: &[u8],
    arrival_nanos: i64,
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<Verdict, DecodeError> {
    let start = if payload.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    let mut reader = Reader::at(payload, start);
    let mut verdict = Verdict::default();
    if reader.peek().is_none() {
        return Ok(verdict);
    }
    members(&mut reader, |reader, field| match field {
        BodyField::Series => each(reader, field.name(), |reader| {
            series(reader, arrival_nanos, &mut verdict, scratch, sink)
        })
        .map(drop),
    })?;
    match reader.peek() {
        None => Ok(verdict),
        Some(_) => Err(reader.fault(Fault::JsonSyntax).into()),
    }
}

/// A checked series: its texts, and where its lists are.
#[derive(Default)]
struct Found<'a> {
    metric: Str<'a>,
    host: Str<'a>,
    device: Str<'a>,
    unit: Str<'a>,
    source: Str<'a>,
    kind: Kind,
    interval: &'a [u8],
    points: Option<usize>,
    tags: Option<usize>,
    resources: Option<usize>,
    tags_taken: Taken,
    resources_taken: Taken,
}

fn series<S: RecordSink>(
    reader: &mut Reader<'_>,
    arrival_nanos: i64,
    verdict: &mut Verdict,
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<(), DecodeError> {
    reader.peek();
    let place = reader.place() as u64;
    let before = *verdict;
    let mut found = Found::default();
    members(reader, |reader, field| {
        match field {
            SeriesField::Metric => found.metric = reader.string()?,
            SeriesField::Type => found.kind = kind(reader)?,
            SeriesField::Interval => found.interval = reader.number()?,
            SeriesField::Host => found.host = reader.string()?,
            SeriesField::Device => found.device = reader.string()?,
            SeriesField::Unit => found.unit = reader.string()?,
            SeriesField::Source => found.source = reader.string()?,
            SeriesField::Points => {
                // Only the last list counts.
                *verdict = before;
                found.points = each(reader, field.name(), |reader| {
                    let (place, point) = Point::read(reader)?;
                    match point.time(arrival_nanos) {
                        Ok(_) => verdict.samples += 1,
                        Err(cause) => verdict.count_reject(cause, place),
                    }
                    Ok(())
                })?;
            }
            SeriesField::Tags => {
                let taken = &mut found.tags_taken;
                *taken = Taken::default();
                found.tags = each(reader, field.name(), |reader| {
                    taken.add(reader.string()?.raw.len());
                    Ok(())
                })?;
            }
            SeriesField::Resources => {
                let taken = &mut found.resources_taken;
                *taken = Taken::default();
                found.resources = each(reader, field.name(), |reader| {
                    let start = reader.place();
                    members(reader, |reader, field| match field {
                        ResourceField::Type | ResourceField::Name => text(reader),
                    })?;
                    taken.add(reader.place() - start);
                    Ok(())
                })?;
            }
        }
        Ok(())
    })?;
    let own = found.host.raw.len() + found.device.raw.len() + found.source.raw.len();
    let taken = found.tags_taken.and(found.resources_taken);
    if let Some(cause) = taken.refusal(found.metric.raw, own) {
        let points = verdict.samples + verdict.rejected - before.samples - before.rejected;
        *verdict = before;
        for _ in 0..points {
            verdict.count_reject(cause, place);
            sink.reject(cause);
        }
    } else if S::FILLS {
        let has_samples = verdict.samples > before.samples;
        say(reader.payload(), &found, has_samples, arrival_nanos, scratch, sink);
    }
    Ok(())
}

fn text(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    reader.string()?;
    Ok(())
}

/// A type by its word or number. Senders write others than there are: those are no fault.
fn kind(reader: &mut Reader<'_>) -> Result<Kind, ReadError> {
    match reader.peek() {
        Some(b'"') => {
            let word = reader.string()?;
            Ok(Kind::from_word(word.raw))
        }
        Some(b'-' | b'0'..=b'9') => Ok(match reader.number()? {
            b"1" => Kind::from_number(1),
            b"2" => Kind::from_number(2),
            _ => Kind::Gauge,
        }),
        _ => reader.check_value(0).map(|()| Kind::Gauge),
    }
}

/// What stands for a time or a value.
#[derive(Clone, Copy)]
enum Slot<'a> {
    Absent,
    Null,
    Number(&'a [u8]),
    /// `NaN` and its like.
    Word,
}

impl<'a> Slot<'a> {
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Result<Self, ReadError> {
        if matches!(reader.peek(), Some(b'0'..=b'9')) {
            return reader.number().map(Self::Number);
        }
        if reader.take_null()? {
            return Ok(Self::Null);
        }
        if reader.take(b"NaN") || reader.take(b"Infinity") || reader.take(b"-Infinity") {
            return Ok(Self::Word);
        }
        Ok(match reader.number()? {
            b"NaN" | b"Infinity" | b"-Infinity" => Self::Word,
            number => Self::Number(number),
        })
    }
}

struct Point<'a> {
    time: Slot<'a>,
    value: Slot<'a>,
}

impl<'a> Point<'a> {
    /// A point of either form, and where it stands.
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Result<(u64, Self), DecodeError> {
        let is_object = reader.peek() == Some(b'{');
        let place = reader.place() as u64;
        let mut point = Self { time: Slot::Absent, value: Slot::Absent };
        if is_object {
            members(reader, |reader, field| {
                match field {
                    PointField::Timestamp => point.time = Slot::read(reader)?,
                    PointField::Value => point.value = Slot::read(reader)?,
                }
                Ok(())
            })?;
            return Ok((place, point));
        }
        reader.begin_array()?;
        let mut is_first = true;
        let mut index = 0;
        while reader.next_element(&mut is_first)? {
            match index {
                0 => point.time = Slot::read(reader)?,
                1 => point.value = Slot::read(reader)?,
                _ => reader.check_value(0)?,
            }
            index += 1;
        }
        Ok((place, point))
    }

    /// The time, or why there is no sample.
    #[inline]
    fn time(&self, arrival_nanos: i64) -> Result<i64, RejectCause> {
        match self.value {
            Slot::Number(_) => {}
            Slot::Absent | Slot::Null => return Err(RejectCause::ValueMissing),
            Slot::Word => return Err(RejectCause::ValueNotANumber),
        }
        match self.time {
            Slot::Absent => Ok(arrival_nanos),
            Slot::Null | Slot::Word => Err(RejectCause::TimeNotANumber),
            Slot::Number(text) => {
                let nanos = number::seconds_nanos(text).ok_or(RejectCause::TimeNotANumber)?;
                point::time(nanos, arrival_nanos)
            }
        }
    }

    fn value(&self) -> (f64, Option<i64>) {
        match self.value {
            Slot::Number(text) => number::value(text).unwrap_or_default(),
            _ => (0.0, None),
        }
    }
}

/// Says a checked series and its points.
fn say<S: RecordSink>(
    payload: &[u8],
    found: &Found<'_>,
    has_samples: bool,
    arrival_nanos: i64,
    scratch: &mut Scratch,
    sink: &mut S,
) {
    if has_samples {
        say_series(payload, found, scratch, sink);
    }
    let interval = Interval {
        nanos: number::seconds_nanos(found.interval).unwrap_or_default(),
        seconds: number::value(found.interval).map_or(0.0, |(seconds, _)| seconds),
    };
    each_again(payload, found.points, |reader| {
        if reader.take_null()? {
            return Ok(());
        }
        // A fault cannot be: the text is checked.
        let Ok((_, point)) = Point::read(reader) else { return Ok(()) };
        match point.time(arrival_nanos) {
            Ok(time_nanos) => {
                let (value, value_int) = point.value();
                sink.sample(&point::sample(found.kind, interval, time_nanos, value, value_int));
                sink.keep();
            }
            Err(cause) => sink.reject(cause),
        }
        Ok(())
    });
}

fn say_series<S: RecordSink>(
    payload: &[u8],
    found: &Found<'_>,
    scratch: &mut Scratch,
    sink: &mut S,
) {
    let tags = &mut scratch.tags;
    tags.begin_series();
    tags.host(&found.host.text());
    each_again(payload, found.resources, |reader| {
        if reader.take_null()? {
            return Ok(());
        }
        let (mut kind, mut name) = (Str::default(), Str::default());
        members_again(reader, |reader, field| {
            match field {
                ResourceField::Type => kind = reader.string()?,
                ResourceField::Name => name = reader.string()?,
            }
            Ok(())
        })?;
        tags.resource(&kind.text(), &name.text());
        Ok(())
    });
    tags.label("device", &found.device.text());
    tags.label("source_type_name", &found.source.text());
    each_again(payload, found.tags, |reader| {
        if !reader.take_null()? {
            tags.tag(&reader.string()?.text());
        }
        Ok(())
    });
    tags.say(
        &Series {
            identity: Identity::Full,
            name: Text(&found.metric.text()),
            metric_type: found.kind.metric_type(),
            unit: Text(&found.unit.text()),
            description: Text::EMPTY,
            temporality: found.kind.temporality(),
            is_monotonic: false,
            labels: &Nothing,
            raw: None,
        },
        sink,
    );
}
