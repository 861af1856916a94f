//! `opentelemetry.proto.metrics.v1`: metrics and their data.
//!
//! Place: under `tree`; the points themselves are in `points`. A metric's name may stand behind its
//! data, a temporality behind its points. So a metric is walked twice, the second time only for a sink
//! that fills:
//!
//! ```text
//! check   every field in wire order, points judged and counted      the verdict of both passes
//! push    the run of the member that stands, point by point         bytes that are checked by now
//! ```
//!
//! `data` is a oneof. Its last member stands; occurrences of it that no other member parts are one
//! message in pieces, which are merged by joining them. What stands before is checked and dropped.
#![deny(clippy::indexing_slicing)]

use super::Scratch;
use super::common::check_key_value;
use super::points::{self, Judged, Kind};
use super::tree::{self, Names};
use crate::batch::RecordSink;
use crate::batch::record::{Identity, Metadata, MetricType, Nothing, Series, Temporality, Text};
use crate::decode::wire::protobuf::{Known, LENGTH, Reader, VARINT, WireError, tag};
use crate::decode::{DecodeError, Verdict};
use crate::envelope::Envelope;

const NAME: u32 = tag(1, LENGTH);
const DESCRIPTION: u32 = tag(2, LENGTH);
const UNIT: u32 = tag(3, LENGTH);
const GAUGE: u32 = tag(5, LENGTH);
const SUM: u32 = tag(7, LENGTH);
const HISTOGRAM: u32 = tag(9, LENGTH);
const EXPONENTIAL_HISTOGRAM: u32 = tag(10, LENGTH);
const SUMMARY: u32 = tag(11, LENGTH);
const METADATA: u32 = tag(12, LENGTH);
const METRIC: Known = Known::fields(&[1, 2, 3, 5, 7, 9, 10, 11, 12]);

/// Of every member of `data`, as far as it has them.
const POINTS: u32 = tag(1, LENGTH);
const TEMPORALITY: u32 = tag(2, VARINT);
const IS_MONOTONIC: u32 = tag(3, VARINT);

const NAMES: Names =
    Names { resources: "resource_metrics", scopes: "scope_metrics", items: "metrics" };

pub fn decode<S: RecordSink>(
    envelope: &Envelope<'_>,
    payload: &[u8],
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<Verdict, DecodeError> {
    tree::walk(payload, &NAMES, sink, |message, sink, verdict| {
        let metric = check(message, verdict)?;
        if S::FILLS {
            push(&metric, envelope.arrival_nanos, scratch, sink)?;
        }
        Ok(())
    })
}

/// The members of `data`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Member {
    Gauge,
    Sum,
    Histogram,
    ExponentialHistogram,
    Summary,
}

impl Member {
    const fn of(tag: u32) -> Option<Self> {
        Some(match tag {
            GAUGE => Self::Gauge,
            SUM => Self::Sum,
            HISTOGRAM => Self::Histogram,
            EXPONENTIAL_HISTOGRAM => Self::ExponentialHistogram,
            SUMMARY => Self::Summary,
            _ => return None,
        })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Sum => "sum",
            Self::Histogram => "histogram",
            Self::ExponentialHistogram => "exponential_histogram",
            Self::Summary => "summary",
        }
    }

    const fn metric_type(self) -> MetricType {
        match self {
            Self::Gauge => MetricType::Gauge,
            Self::Sum => MetricType::Sum,
            Self::Histogram => MetricType::Histogram,
            Self::ExponentialHistogram => MetricType::ExponentialHistogram,
            Self::Summary => MetricType::Summary,
        }
    }

    const fn points(self) -> Kind {
        match self {
            Self::Gauge | Self::Sum => Kind::Number,
            Self::Histogram => Kind::Classic,
            Self::ExponentialHistogram => Kind::Exponential,
            Self::Summary => Kind::Summary,
        }
    }

    const fn fields(self) -> Known {
        match self {
            Self::Gauge | Self::Summary => Known::fields(&[1]),
            Self::Sum => Known::fields(&[1, 2, 3]),
            Self::Histogram | Self::ExponentialHistogram => Known::fields(&[1, 2]),
        }
    }

    const fn has_temporality(self) -> bool {
        matches!(self, Self::Sum | Self::Histogram | Self::ExponentialHistogram)
    }
}

/// A checked metric.
struct Metric<'a> {
    name: Text<'a>,
    description: Text<'a>,
    unit: Text<'a>,
    /// The member that stands, and the metric's fields from its run's first piece on.
    data: Option<(Member, Reader<'a>)>,
}

#[inline]
fn check<'a>(message: Reader<'a>, verdict: &mut Verdict) -> Result<Metric<'a>, DecodeError> {
    let mut fields = message;
    let before = *verdict;
    let mut metric =
        Metric { name: Text::EMPTY, description: Text::EMPTY, unit: Text::EMPTY, data: None };
    let mut metadata_index = 0;
    loop {
        let at = fields;
        let Some(tag) = fields.tag()? else {
            // Each point may be the first of its series.
            let size = metric.name.0.len() + metric.description.0.len() + metric.unit.0.len();
            verdict.repeat(size, verdict.owned() - before.owned());
            return Ok(metric);
        };
        match tag {
            NAME => metric.name = Text(fields.bytes()?),
            DESCRIPTION => metric.description = Text(fields.bytes()?),
            UNIT => metric.unit = Text(fields.bytes()?),
            METADATA => {
                let pair = fields.message()?;
                check_key_value(pair, 0)
                    .map_err(|error| error.within("metadata", Some(metadata_index)))?;
                metadata_index += 1;
            }
            other => {
                let Some(member) = Member::of(other) else {
                    fields.skip(other, METRIC)?;
                    continue;
                };
                if metric.data.is_none_or(|(standing, _)| standing != member) {
                    // The points of another member are dropped, and with them their counts.
                    *verdict = before;
                    metric.data = Some((member, at));
                }
                let data = fields.message()?;
                check_data(member, data, verdict)
                    .map_err(|error| error.within(member.name(), None))?;
            }
        }
    }
}

#[inline]
fn check_data(
    member: Member,
    mut data: Reader<'_>,
    verdict: &mut Verdict,
) -> Result<(), DecodeError> {
    let kind = member.points();
    let mut index = 0;
    while let Some(tag) = data.tag()? {
        match tag {
            POINTS => {
                let point = data.message()?;
                check_point(kind, point, verdict)
                    .map_err(|error| error.within("data_points", Some(index)))?;
                index += 1;
            }
            TEMPORALITY if member.has_temporality() => drop(data.varint()?),
            IS_MONOTONIC if member == Member::Sum => drop(data.varint()?),
            other => data.skip(other, member.fields())?,
        }
    }
    Ok(())
}

/// Counts a point and its exemplars, or its rejection; exemplars of a rejected point go with it.
#[inline]
fn check_point(kind: Kind, point: Reader<'_>, verdict: &mut Verdict) -> Result<(), DecodeError> {
    let Judged { exemplars, values, fault } = points::check(kind, point)?;
    match fault {
        None => {
            if kind == Kind::Number {
                verdict.samples += 1;
            } else {
                verdict.histograms += 1;
            }
            verdict.exemplars += exemplars;
            verdict.values += values as u64;
        }
        Some(cause) => verdict.count_reject(cause, point.offset()),
    }
    Ok(())
}

/// Says a checked metric to the sink. There are no faults left; if ever there were, they are the
/// body's.
fn push<S: RecordSink>(
    metric: &Metric<'_>,
    arrival_nanos: u64,
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<(), DecodeError> {
    let Some((member, run)) = metric.data else { return Ok(()) };
    if !metric.name.is_empty() {
        // Kept for readers; the sender counts points only.
        sink.metadata(&Metadata {
            family: metric.name,
            metric_type: member.metric_type(),
            unit: metric.unit,
            help: metric.description,
        });
        sink.keep();
    }
    let mut series = Series {
        identity: Identity::Full,
        name: metric.name,
        metric_type: member.metric_type(),
        unit: metric.unit,
        description: metric.description,
        temporality: Temporality::Unspecified,
        is_monotonic: false,
        labels: &Nothing,
        raw: None,
    };
    let visit_run = |each: &mut dyn FnMut(Reader<'_>) -> Result<(), WireError>| {
        let mut run = run;
        while let Some(tag) = run.tag()? {
            if Member::of(tag) == Some(member) {
                each(run.message()?)?;
            } else {
                run.skip(tag, Known::fields(&[]))?;
            }
        }
        Ok::<(), WireError>(())
    };
    if member.has_temporality() {
        visit_run(&mut |mut data| {
            while let Some(tag) = data.tag()? {
                match tag {
                    TEMPORALITY => series.temporality = temporality(data.int32()?),
                    IS_MONOTONIC if member == Member::Sum => {
                        series.is_monotonic = data.varint()? != 0;
                    }
                    other => data.skip(other, Known::fields(&[]))?,
                }
            }
            Ok(())
        })?;
    }
    visit_run(&mut |mut data| {
        while let Some(tag) = data.tag()? {
            match tag {
                POINTS => {
                    let point = data.message()?;
                    points::push(member.points(), point, &series, arrival_nanos, scratch, sink)?;
                }
                other => data.skip(other, Known::fields(&[]))?,
            }
        }
        Ok(())
    })?;
    Ok(())
}

/// Numbers from a later version say nothing yet.
pub(super) const fn temporality(number: i32) -> Temporality {
    match number {
        1 => Temporality::Delta,
        2 => Temporality::Cumulative,
        _ => Temporality::Unspecified,
    }
}
