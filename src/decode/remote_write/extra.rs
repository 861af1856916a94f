//! Labels that a request adds to each of its series: `?extra_label=name=value`, as VictoriaMetrics reads it.
//!
//! Place: between `v1` or `v2` and the sink, for bodies whose query has such labels; no other body meets
//! this file. They replace labels of the same name. Both lists are sorted, so a series is merged with
//! them while it is walked:
//!
//! ```text
//! series    a="1"        job="x"  z="2"
//! request         dc="e" job="y"              walk: a="1" dc="e" job="y" z="2"
//! ```
#![deny(clippy::indexing_slicing)]

use super::labels::RawLabels;
use crate::batch::record::{
    Attributes, Exemplar, Histogram, Log, Metadata, Resource, Sample, Scope, Series, Span, Text,
    Value,
};
use crate::batch::{RecordSink, RejectCause};
use crate::decode::exposition::RequestLabels;

/// A sink whose series have the labels of a request too.
pub struct Labelling<'s, S> {
    pub sink: &'s mut S,
    pub labels: &'s RequestLabels,
    pub raw: &'s mut RawLabels,
}

impl<S: RecordSink> RecordSink for Labelling<'_, S> {
    const FILLS: bool = S::FILLS;

    fn series(&mut self, series: &Series<'_>) {
        if !S::FILLS {
            return self.sink.series(series);
        }
        let labels = Merged { own: series.labels, added: self.labels };
        let name = self.labels.metric_name().map_or(series.name, Text);
        let raw = self.raw.write(name, &labels);
        self.sink.series(&Series { name, labels: &labels, raw, ..*series });
    }

    fn resource(&mut self, resource: &Resource<'_>) {
        self.sink.resource(resource);
    }

    fn scope(&mut self, scope: &Scope<'_>) {
        self.sink.scope(scope);
    }

    fn log(&mut self, log: &Log<'_>) {
        self.sink.log(log);
    }

    fn span(&mut self, span: &Span<'_>) {
        self.sink.span(span);
    }

    fn sample(&mut self, sample: &Sample) {
        self.sink.sample(sample);
    }

    fn histogram(&mut self, histogram: &Histogram<'_>) {
        self.sink.histogram(histogram);
    }

    fn exemplar(&mut self, exemplar: &Exemplar<'_>) {
        self.sink.exemplar(exemplar);
    }

    fn metadata(&mut self, metadata: &Metadata<'_>) {
        self.sink.metadata(metadata);
    }

    fn keep(&mut self) {
        self.sink.keep();
    }

    fn reject(&mut self, cause: RejectCause) {
        self.sink.reject(cause);
    }
}

/// A series' labels with those of the request in their places.
struct Merged<'l> {
    own: &'l dyn Attributes,
    added: &'l RequestLabels,
}

impl Attributes for Merged<'_> {
    fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
        let mut added = self.added.sorted().peekable();
        let mut say = |name: &[u8], value: &[u8]| {
            // An empty value takes the series' own label away.
            if !value.is_empty() {
                visit(Text(name), Value::Text(Text(value)));
            }
        };
        self.own.walk(&mut |name, value| {
            let mut is_replaced = false;
            while let Some((added, value)) = added.next_if(|(added, _)| *added <= name.0) {
                say(added, value);
                is_replaced = added == name.0;
            }
            if !is_replaced && let Value::Text(value) = value {
                say(name.0, value.0);
            }
        });
        added.for_each(|(name, value)| say(name, value));
    }
}
