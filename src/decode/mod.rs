//! Payloads to records, for every protocol.
//!
//! Place: after `content`. The same decoder validates on the acknowledgement path and fills columns
//! behind it; it depends on the envelope and the payload alone, "now" being the arrival time.
//! A decoder pushes records into a [`RecordSink`], borrows everything, builds no tree, and never
//! panics on what a peer sent.

mod error;
pub mod wire;

pub mod datadog_metrics;
pub mod datadog_traces;
pub mod exposition;
pub mod firehose;
pub mod json_logs;
pub mod otlp;
pub mod remote_write;

pub use error::{DecodeError, Fault, FieldPath, Step};

use crate::batch::{RecordSink, RejectCause};
use crate::envelope::{Envelope, Route};

/// What a body held. Enough for any reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    pub logs: u64,
    pub spans: u64,
    pub samples: u64,
    pub histograms: u64,
    pub exemplars: u64,
    pub metadata: u64,
    /// Values that records bring besides themselves: buckets, bounds, quantiles; an event or a link
    /// stands for [`crate::limits::EVENT_WEIGHT`] of them.
    pub values: u64,
    /// Bytes that the body or its head says once, for each record that they are written with: of
    /// resources and scopes, of fields and tags around a list, of symbols. At most so many: what
    /// is told apart by a look at every record is not.
    pub repeated: u64,
    /// Records that were refused while the rest was kept.
    pub rejected: u64,
    /// Why the first of them was refused, and where it stood in the payload.
    pub first_reject: Option<(RejectCause, u64)>,
}

impl Verdict {
    /// Records kept, of all kinds.
    pub const fn kept(&self) -> u64 {
        self.logs + self.spans + self.samples + self.histograms + self.exemplars + self.metadata
    }

    /// Adds what a further block of the same body held.
    pub fn add(&mut self, other: &Self) {
        self.logs += other.logs;
        self.spans += other.spans;
        self.samples += other.samples;
        self.histograms += other.histograms;
        self.exemplars += other.exemplars;
        self.metadata += other.metadata;
        self.values += other.values;
        self.repeated = self.repeated.saturating_add(other.repeated);
        self.rejected += other.rejected;
        self.first_reject = self.first_reject.or(other.first_reject);
    }

    /// What the records take in columns, in values of eight bytes. The wire can say most of it in two
    /// bytes a piece, so it is bounded apart from the body's size.
    pub const fn weight(&self) -> u64 {
        crate::limits::RECORD_WEIGHT * (self.kept() + self.rejected) + self.values
    }

    /// Whether the records would take more than a follower is asked to hold or to write.
    pub const fn is_over_limit(&self) -> bool {
        self.weight() > crate::limits::BODY_WEIGHT_MAX
            || self.repeated > crate::limits::BODY_REPEATED_SIZE_MAX
    }

    /// Records that are stored with what their owners say.
    pub const fn owned(&self) -> u64 {
        self.logs + self.spans + self.samples + self.histograms
    }

    /// `size` bytes are written with each of `records`.
    pub const fn repeat(&mut self, size: usize, records: u64) {
        self.repeated = self.repeated.saturating_add(records.saturating_mul(size as u64));
    }

    #[cold]
    pub fn count_reject(&mut self, cause: RejectCause, offset: u64) {
        self.rejected += 1;
        if self.first_reject.is_none() {
            self.first_reject = Some((cause, offset));
        }
    }
}

/// Memory that decoders reuse from body to body. Bounded by what one body may need.
#[derive(Default)]
pub struct Scratch {
    pub remote_write: remote_write::Scratch,
    pub otlp: otlp::Scratch,
    pub exposition: exposition::Scratch,
    pub json_logs: json_logs::Scratch,
    pub datadog_metrics: datadog_metrics::Scratch,
    pub datadog_traces: datadog_traces::Scratch,
    pub firehose: firehose::Scratch,
}

/// Whether this version can decode the route; the others are answered with 501.
pub const fn is_decodable(route: Route) -> bool {
    matches!(
        route,
        Route::RemoteWrite
            | Route::ImportPrometheus
            | Route::OtlpLogs
            | Route::OtlpTraces
            | Route::OtlpMetrics
            | Route::OtlpGrpcLogs
            | Route::OtlpGrpcTraces
            | Route::OtlpGrpcMetrics
            | Route::JsonLogs
            | Route::DatadogSeriesV1
            | Route::DatadogSeriesV2
            | Route::DatadogSketches
            | Route::DatadogTracesV03
            | Route::DatadogTracesV04
            | Route::DatadogTracesV05
            | Route::DatadogTracesV07
            | Route::Firehose
    )
}

/// Walks the whole payload and pushes every record. An error refuses the body as a whole; what was
/// pushed before it must then be thrown away by the sink's owner.
pub fn decode<S: RecordSink>(
    envelope: &Envelope<'_>,
    payload: &[u8],
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<Verdict, DecodeError> {
    match envelope.route {
        Route::RemoteWrite => {
            remote_write::decode(envelope, payload, &mut scratch.remote_write, sink)
        }
        Route::ImportPrometheus => {
            exposition::decode(envelope, payload, &mut scratch.exposition, sink)
        }
        Route::OtlpLogs
        | Route::OtlpTraces
        | Route::OtlpMetrics
        | Route::OtlpGrpcLogs
        | Route::OtlpGrpcTraces
        | Route::OtlpGrpcMetrics => otlp::decode(envelope, payload, &mut scratch.otlp, sink),
        Route::JsonLogs => json_logs::decode(envelope, payload, &mut scratch.json_logs, sink),
        Route::DatadogSeriesV1 | Route::DatadogSeriesV2 | Route::DatadogSketches => {
            datadog_metrics::decode(envelope, payload, &mut scratch.datadog_metrics, sink)
        }
        Route::DatadogTracesV03
        | Route::DatadogTracesV04
        | Route::DatadogTracesV05
        | Route::DatadogTracesV07 => {
            datadog_traces::decode(envelope, payload, &mut scratch.datadog_traces, sink)
        }
        Route::Firehose => firehose::decode(envelope, payload, &mut scratch.firehose, sink),
        _ => Err(DecodeError::at(Fault::RouteNotDecodable, 0)),
    }
}

#[cfg(test)]
mod tests;
