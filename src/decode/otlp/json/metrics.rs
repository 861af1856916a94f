//! `opentelemetry.proto.metrics.v1` in JSON: a metric and the list of its points.
//!
//! Place: between `tree` and `points`. Name, unit and temporality may stand after the points they
//! belong to, so a filling pass reads the metric and its data twice, as `tree` does with holders.
#![deny(clippy::indexing_slicing)]

use super::common::{Field, each, enumeration, fields, kept, members, members_again};
use super::points::{self, Context};
use super::tree::{self, Names};
use crate::batch::record::{Metadata, MetricType, Temporality, Text};
use crate::batch::{RecordSink, Validating};
use crate::decode::otlp::Scratch;
use crate::decode::wire::json::{Reader, Str};
use crate::decode::{DecodeError, Verdict};

fields! { MetricField {
    Name = "name",
    Description = "description",
    Unit = "unit",
    Gauge = "gauge",
    Sum = "sum",
    Histogram = "histogram",
    Exponential = "exponentialHistogram",
    Summary = "summary",
    ;
} }
fields! { DataField {
    Temporality = "aggregationTemporality",
    IsMonotonic = "isMonotonic",
    ;
    Points = "dataPoints",
} }

const TEMPORALITIES: [&str; 3] = [
    "AGGREGATION_TEMPORALITY_UNSPECIFIED",
    "AGGREGATION_TEMPORALITY_DELTA",
    "AGGREGATION_TEMPORALITY_CUMULATIVE",
];

const NAMES: Names =
    Names { resources: "resourceMetrics", scopes: "scopeMetrics", items: "metrics" };

pub fn walk<S: RecordSink>(
    reader: &mut Reader<'_>,
    arrival_nanos: u64,
    verdict: &mut Verdict,
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<(), DecodeError> {
    tree::walk(reader, &NAMES, sink, verdict, |reader, sink, verdict| {
        metric(reader, arrival_nanos, verdict, scratch, sink)
    })
}

/// The member of the `oneof` that stands so far.
struct Data<'a> {
    metric_type: MetricType,
    name: &'static str,
    place: Reader<'a>,
}

fn metric<S: RecordSink>(
    reader: &mut Reader<'_>,
    arrival_nanos: u64,
    verdict: &mut Verdict,
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<(), DecodeError> {
    let mut name = Str::default();
    let mut description = Str::default();
    let mut unit = Str::default();
    let mut data: Option<Data<'_>> = None;
    let before = *verdict;
    members(reader, |reader, field| {
        let metric_type = match field {
            MetricField::Name => {
                name = reader.string()?;
                return Ok(());
            }
            MetricField::Description => {
                description = reader.string()?;
                return Ok(());
            }
            MetricField::Unit => {
                unit = reader.string()?;
                return Ok(());
            }
            MetricField::Gauge => MetricType::Gauge,
            MetricField::Sum => MetricType::Sum,
            MetricField::Histogram => MetricType::Histogram,
            MetricField::Exponential => MetricType::ExponentialHistogram,
            MetricField::Summary => MetricType::Summary,
        };
        // Only the last counts. The others are checked, for which no sink is needed.
        *verdict = before;
        let next = Data { metric_type, name: field.name(), place: *reader };
        let lost = data.replace(next);
        let context = Context::new(metric_type, arrival_nanos);
        if !S::FILLS {
            return read_data(reader, &context, verdict, scratch, sink);
        }
        if let Some(mut lost) = lost {
            let context = Context::new(lost.metric_type, arrival_nanos);
            let verdict = &mut Verdict::default();
            read_data(&mut lost.place, &context, verdict, scratch, &mut Validating)?;
        }
        Ok(reader.pass_value()?)
    })?;
    // Each point may be the first of its series.
    let size = name.raw.len() + description.raw.len() + unit.raw.len();
    if !S::FILLS {
        verdict.repeat(size, verdict.owned() - before.owned());
        return Ok(());
    }
    let (name, description, unit) = (kept::<S>(name), kept::<S>(description), kept::<S>(unit));
    let Some(mut data) = data else { return Ok(()) };
    let metric_type = data.metric_type;
    if !name.is_empty() {
        // Kept for readers; the sender counts points only.
        sink.metadata(&Metadata {
            family: Text(&name),
            metric_type,
            unit: Text(&unit),
            help: Text(&description),
        });
        sink.keep();
    }
    let context = Context {
        name: Text(&name),
        unit: Text(&unit),
        description: Text(&description),
        ..Context::new(metric_type, arrival_nanos)
    };
    read_data(&mut data.place, &context, verdict, scratch, sink)
        .map_err(|error| error.within(data.name, None))?;
    verdict.repeat(size, verdict.owned() - before.owned());
    Ok(())
}

/// Reads Gauge, Sum, Histogram, ExponentialHistogram or Summary, which differ in their points.
fn read_data<S: RecordSink>(
    reader: &mut Reader<'_>,
    context: &Context<'_>,
    verdict: &mut Verdict,
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<(), DecodeError> {
    let mut context = *context;
    let mut again = *reader;
    members(reader, |reader, field| {
        match field {
            DataField::Temporality => {
                context.temporality = match enumeration(reader, &TEMPORALITIES)? {
                    1 => Temporality::Delta,
                    2 => Temporality::Cumulative,
                    _ => Temporality::Unspecified,
                };
            }
            DataField::IsMonotonic => context.is_monotonic = reader.boolean()?,
            DataField::Points if S::FILLS => reader.pass_value()?,
            DataField::Points => {
                each(reader, field.name(), |reader| {
                    points::point(reader, &context, verdict, scratch, sink)
                })?;
            }
        }
        Ok(())
    })?;
    if !S::FILLS {
        return Ok(());
    }
    let mut fault = None;
    members_again(&mut again, |reader, field| {
        if !matches!(field, DataField::Points) || fault.is_some() {
            return reader.pass_value();
        }
        fault = each(reader, field.name(), |reader| {
            points::point(reader, &context, verdict, scratch, sink)
        })
        .err();
        Ok(())
    })
    .map_err(|error| fault.unwrap_or_else(|| error.into()))?;
    fault.map_or(Ok(()), Err)
}
