//! The sink that fills columns.
//!
//! Place: behind the acknowledgement, one per store worker. Driven entry by entry:
//!
//! ```text
//! begin(envelope) ─ mark ─ decode(…, sink) ─┬─ fine
//!                                           └─ error or panic: rollback(mark), entry to quarantine
//! … take: the columns of every arrival hour, to be written as parts
//! ```
//!
//! Guarantee: after `rollback` the columns hold what they held at `mark`. Rows depend on the entry
//! alone; the one thing remembered is whose `metric_series` row was written, see [`SeenSeries`].

use std::sync::Arc;

use xxhash_rust::xxh3::{Xxh3, xxh3_128_with_seed};

use super::columns::{
    Columns, Counts, EventRow, ExemplarRow, HistogramRow, LinkRow, LogRow, MetadataKey, Owner,
    ResourceRow, SampleRow, ScopeRow, SeriesRow, SpanRow,
};
use super::interner::Interner;
use super::json::append_value;
use super::record::{
    Exemplar, Histogram, Identity, Log, Metadata, Nothing, Resource, Sample, Scope, Series, Span,
    Text,
};
use super::series_cache::{SeenSeries, SeriesCache, Slot};
use super::series_id::{
    Encoder, OwnerEncoding, SeriesId, SeriesParts, encode_resource, encode_scope, series_id,
};
use super::sink::{RecordSink, RejectCause};
use super::text::{at, place};
use crate::counters::{ENDPOINT_COUNT, endpoint_index};
use crate::envelope::{Envelope, Signal};

const NANOS_PER_HOUR: u64 = 3_600_000_000_000;
const NONE: u32 = u32::MAX;

/// How a sink is bounded.
#[derive(Clone, Copy, Debug)]
pub struct SinkOptions {
    /// A secret: keys of inner tables come from peers.
    pub seed: u64,
    /// Series whose id is remembered, about 100 bytes each.
    pub series_cache_max: usize,
}

/// The record that `reject` would undo.
#[derive(Clone, Copy)]
enum Open {
    None,
    Log,
    Span,
    Sample,
    Histogram,
    Exemplar,
    /// A new row, or the row whose `LastSeen` changed and what it was.
    Metadata(Option<(u32, i64)>),
}

/// A state of the sink to return to.
#[derive(Clone, Copy)]
pub struct Mark {
    counts: Counts,
    pending: usize,
    last_seen_changes: usize,
    replaced: u64,
    unparsed: u64,
}

/// See the head of this file.
pub struct ColumnSink {
    options: SinkOptions,
    seen: Arc<SeenSeries>,
    cache: SeriesCache,
    /// One for each arrival hour that was met since the last `take`; rarely more than one.
    columns: Vec<(u64, Columns)>,
    columns_sequence: u64,
    current: usize,

    tenant: String,
    tenant_number: u32,
    protocol_number: u32,
    signal: Signal,
    arrival_nanos: i64,
    day: u32,

    resource: u32,
    scope: u32,
    owner: u32,
    open: Open,
    series: u32,
    /// The key that `series` was found under.
    series_key: Option<u128>,

    encoder: Encoder,
    owner_encoding: OwnerEncoding,
    /// Hash of tenant, resource and scope, once a series asks for it.
    full_context: Option<u128>,
    labels_context: u128,

    /// Cache slots changed since the mark, as they were.
    touched: Vec<(u128, Slot)>,
    /// Rows of `metric_series` written since the last `take_pending`.
    pending: Vec<(SeriesId, u32)>,
    last_seen_changes: Vec<(u32, i64)>,
    bodies_replaced: u64,
    /// About the bytes that came to columns since they were last measured.
    grown: usize,
    /// Records kept as text since the last [`ColumnSink::take_unparsed`], by endpoint; and the present one's.
    unparsed: [u64; ENDPOINT_COUNT],
    endpoint: usize,
    /// Of columns already taken; less those of undone rows.
    replaced_before: u64,
    replaced_undone: u64,
}

impl ColumnSink {
    #[must_use]
    pub fn new(options: SinkOptions, seen: Arc<SeenSeries>) -> Self {
        Self {
            options,
            seen,
            cache: SeriesCache::new(options.series_cache_max),
            columns: Vec::new(),
            columns_sequence: 0,
            current: 0,
            tenant: String::new(),
            tenant_number: 0,
            protocol_number: 0,
            signal: Signal::Logs,
            arrival_nanos: 0,
            day: 0,
            resource: 0,
            scope: 0,
            owner: NONE,
            open: Open::None,
            series: NONE,
            series_key: None,
            encoder: Encoder::default(),
            owner_encoding: OwnerEncoding::default(),
            full_context: None,
            labels_context: 0,
            touched: Vec::new(),
            pending: Vec::new(),
            last_seen_changes: Vec::new(),
            bodies_replaced: 0,
            grown: 0,
            unparsed: [0; ENDPOINT_COUNT],
            endpoint: 0,
            replaced_before: 0,
            replaced_undone: 0,
        }
    }

    /// Starts an entry: its tenant, protocol and hour of arrival hold for what follows.
    pub fn begin(&mut self, envelope: &Envelope<'_>) {
        let hour = envelope.arrival_nanos / NANOS_PER_HOUR;
        self.current = match self.columns.iter().position(|(_, columns)| columns.hour() == hour) {
            Some(index) => index,
            None => {
                self.columns_sequence += 1;
                let columns = Columns::new(hour, self.options.seed);
                self.columns.push((self.columns_sequence, columns));
                self.columns.len() - 1
            }
        };
        self.arrival_nanos = i64::try_from(envelope.arrival_nanos).unwrap_or(i64::MAX);
        self.day = u32::try_from(hour / 24).unwrap_or(u32::MAX - 1);
        self.signal = envelope.route.signal();
        self.endpoint = endpoint_index(Some(envelope.route));
        self.tenant.clear();
        self.tenant.push_str(envelope.tenant);
        self.labels_context = xxh3_128_with_seed(envelope.tenant.as_bytes(), self.options.seed);
        let columns = &mut self.columns[self.current].1;
        self.tenant_number = columns.texts.intern(envelope.tenant.as_bytes());
        self.protocol_number = columns.texts.intern(envelope.route.protocol().as_bytes());
        (self.resource, self.scope, self.owner, self.series) = (0, 0, NONE, NONE);
        self.series_key = None;
        self.open = Open::None;
        self.touched.clear();
        self.last_seen_changes.clear();
        // Nothing of the entry before, whatever this one's signal: ids depend on their entry alone.
        encode_resource(&mut self.encoder, &Nothing, &mut self.owner_encoding.resource);
        encode_scope(&mut self.encoder, (b"", b""), &Nothing, &mut self.owner_encoding.scope);
        self.full_context = None;
    }

    /// The state to return to if the entry that was just begun fails.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark {
            counts: self.columns[self.current].1.counts(),
            pending: self.pending.len(),
            last_seen_changes: self.last_seen_changes.len(),
            replaced: self.replaced_now(),
            unparsed: self.unparsed[self.endpoint],
        }
    }

    /// Undoes everything since `mark`, which was taken for the entry that is being decoded. Holds
    /// after a panic of the decoder as well.
    pub fn rollback(&mut self, mark: &Mark) {
        let columns = &mut self.columns[self.current].1;
        for (row, last_seen) in self.last_seen_changes.drain(mark.last_seen_changes..).rev() {
            if let Some(metadata) = columns.metadata.get_mut(at(row)) {
                metadata.1 = last_seen;
            }
        }
        columns.truncate(&mark.counts);
        self.pending.truncate(mark.pending);
        self.unparsed[self.endpoint] = mark.unparsed;
        for (key, before) in self.touched.drain(..).rev() {
            self.cache.restore(key, before);
        }
        self.replaced_undone += self.replaced_now() - mark.replaced;
        (self.resource, self.scope, self.owner, self.series) = (0, 0, NONE, NONE);
        self.series_key = None;
        self.open = Open::None;
    }

    /// Bytes that the columns hold.
    #[must_use]
    pub fn size(&self) -> usize {
        self.columns.iter().map(|(_, columns)| columns.size()).sum()
    }

    /// Whether the columns hold `size_max` bytes. Measured once they have grown by a share of it, as
    /// this is asked after every record.
    #[inline]
    pub fn is_full(&mut self, size_max: usize) -> bool {
        const STEP_MAX: usize = 1024 * 1024;
        if self.grown < (size_max / 16).min(STEP_MAX) {
            return false;
        }
        self.grown = 0;
        self.size() >= size_max
    }

    /// Hands out the columns of every arrival hour in the middle of an entry, between two records, and
    /// goes on with empty ones in which the present owners stand. What was handed out is beyond the
    /// reach of [`ColumnSink::rollback`].
    pub fn take_part(&mut self) -> Vec<Columns> {
        let current = self.current;
        let taken = self.take();
        let from = &taken[current];
        self.columns_sequence += 1;
        let mut columns = Columns::new(from.hour(), self.options.seed);
        self.tenant_number = columns.texts.intern(self.tenant.as_bytes());
        self.protocol_number = columns.texts.intern(from.texts.text(self.protocol_number));
        if self.resource != 0 {
            self.resource = columns.copy_resource(from, self.resource);
        }
        if self.scope != 0 {
            self.scope = columns.copy_scope(from, self.scope);
        }
        self.owner = NONE;
        if self.series != NONE {
            let (id, _) = from.numbers[at(self.series)];
            columns.numbers.push((id, self.tenant_number));
            self.series = 0;
            if let Some(slot) = self.series_key.and_then(|key| self.cache.find(key)) {
                (slot.columns, slot.number) = (self.columns_sequence, 0);
            }
        }
        self.open = Open::None;
        self.touched.clear();
        self.last_seen_changes.clear();
        self.columns.push((self.columns_sequence, columns));
        self.current = 0;
        taken
    }

    /// Hands out the columns of every arrival hour and starts empty ones.
    pub fn take(&mut self) -> Vec<Columns> {
        self.replaced_before +=
            self.columns.iter().map(|(_, columns)| columns.replaced()).sum::<u64>();
        std::mem::take(&mut self.columns).into_iter().map(|(_, columns)| columns).collect()
    }

    /// Rows of `metric_series` written since this was last called: to be marked as seen once their
    /// plan is done.
    pub fn take_pending(&mut self) -> Vec<(SeriesId, u32)> {
        std::mem::take(&mut self.pending)
    }

    /// Records that were kept as text since this was last called, by endpoint.
    pub fn take_unparsed(&mut self) -> [u64; ENDPOINT_COUNT] {
        std::mem::replace(&mut self.unparsed, [0; ENDPOINT_COUNT])
    }

    /// Texts kept in which bad UTF-8 was replaced, since the sink was made.
    #[must_use]
    pub fn texts_replaced(&self) -> u64 {
        self.replaced_now() - self.replaced_undone
    }

    /// Forgets rows and series: what was written will not be published.
    pub fn abandon(&mut self) {
        self.replaced_undone = self.replaced_now();
        self.take();
        self.pending.clear();
        self.unparsed = [0; ENDPOINT_COUNT];
        self.cache.clear();
    }

    fn replaced_now(&self) -> u64 {
        let columns: u64 = self.columns.iter().map(|(_, columns)| columns.replaced()).sum();
        self.replaced_before + self.bodies_replaced + columns
    }

    fn owner(&mut self) -> u32 {
        if self.owner == NONE {
            let owners = &mut self.columns[self.current].1.owners;
            self.owner = place(owners.len());
            owners.push(Owner {
                resource: self.resource,
                scope: self.scope,
                tenant: self.tenant_number,
                protocol: self.protocol_number,
            });
        }
        self.owner
    }

    /// What determines a series besides its raw bytes.
    fn context(&mut self, identity: Identity) -> u128 {
        if identity == Identity::Labels {
            return self.labels_context;
        }
        if let Some(context) = self.full_context {
            return context;
        }
        let mut hash = Xxh3::with_seed(self.options.seed);
        for part in
            [self.tenant.as_bytes(), &self.owner_encoding.resource, &self.owner_encoding.scope]
        {
            hash.update(&part.len().to_le_bytes());
            hash.update(part);
        }
        let context = hash.digest128();
        self.full_context = Some(context);
        context
    }

    /// What determines a series of this scope besides its labels. Each hash has a seed of its own, so
    /// that texts which change places do not cancel out.
    fn metric_key(&self, series: &Series<'_>) -> u128 {
        let kind = (series.metric_type as u64) << 8
            | (series.temporality as u64) << 4
            | u64::from(series.is_monotonic);
        let seed = self.options.seed;
        xxh3_128_with_seed(series.name.0, seed ^ (1 << 32 | kind))
            ^ xxh3_128_with_seed(series.unit.0, seed ^ (2 << 32))
    }

    fn id(&mut self, series: &Series<'_>) -> SeriesId {
        let parts = SeriesParts {
            identity: series.identity,
            tenant: &self.tenant,
            name: series.name.0,
            unit: series.unit.0,
            metric_type: series.metric_type,
            temporality: series.temporality,
            is_monotonic: series.is_monotonic,
            owner: &self.owner_encoding,
            labels: series.labels,
        };
        series_id(&mut self.encoder, &parts)
    }

    /// The slot of a series, made if need be.
    fn slot(&mut self, series: &Series<'_>) -> (u128, Slot) {
        let (key, id) = match series.raw {
            Some(raw) => {
                let mut key = xxh3_128_with_seed(raw, self.options.seed);
                key ^= self.context(series.identity);
                if series.identity == Identity::Full {
                    key ^= self.metric_key(series);
                }
                (key, None)
            }
            None => {
                let id = self.id(series);
                // Seeded once more, as ids can be computed by peers.
                (xxh3_128_with_seed(&id, !self.options.seed), Some(id))
            }
        };
        if let Some(slot) = self.cache.find(key) {
            return (key, *slot);
        }
        let id = id.unwrap_or_else(|| self.id(series));
        (key, *self.cache.insert(key, Slot { id, ..Slot::default() }))
    }

    fn write_series_row(&mut self, series: &Series<'_>) {
        let owner = self.owner();
        let columns = &mut self.columns[self.current].1;
        let before = columns.series_labels.size();
        columns.series_labels.push(&mut columns.keys, &mut columns.cells, series.labels);
        self.grown += size_of::<SeriesRow>() + columns.series_labels.size() - before;
        let row = columns.series_labels.len() - 1;
        let service = match series.identity {
            Identity::Labels => {
                let job = columns.keys.intern(b"job");
                let job = columns.series_labels.find(row, job).unwrap_or_default();
                columns.texts.intern(job)
            }
            Identity::Full => columns.resources[at(self.resource)].service,
        };
        columns.series.push(SeriesRow {
            series: self.series,
            owner,
            name: columns.texts.intern(series.name.0),
            unit: columns.texts.intern(series.unit.0),
            description: columns.texts.intern(series.description.0),
            service,
            metric_type: series.metric_type,
            temporality: series.temporality,
            is_monotonic: series.is_monotonic,
            first_seen_nanos: self.arrival_nanos,
        });
    }
}

impl RecordSink for ColumnSink {
    const FILLS: bool = true;

    fn resource(&mut self, resource: &Resource<'_>) {
        let columns = &mut self.columns[self.current].1;
        columns.resource_attributes.push(
            &mut columns.keys,
            &mut columns.cells,
            resource.attributes,
        );
        let service = columns.keys.intern(b"service.name");
        let last = columns.resource_attributes.len() - 1;
        let service = columns.resource_attributes.find(last, service);
        let service = columns.texts.intern(service.unwrap_or_default());
        let schema_url = columns.texts.intern(resource.schema_url.0);
        self.resource = columns.add_resource(ResourceRow { service, schema_url });
        (self.scope, self.owner, self.series_key) = (0, NONE, None);
        if self.signal == Signal::Metrics {
            let into = &mut self.owner_encoding.resource;
            encode_resource(&mut self.encoder, resource.attributes, into);
            encode_scope(&mut self.encoder, (b"", b""), &Nothing, &mut self.owner_encoding.scope);
            self.full_context = None;
        }
    }

    fn scope(&mut self, scope: &Scope<'_>) {
        let columns = &mut self.columns[self.current].1;
        columns.scope_attributes.push(&mut columns.keys, &mut columns.cells, scope.attributes);
        let row = ScopeRow {
            name: columns.texts.intern(scope.name.0),
            version: columns.texts.intern(scope.version.0),
            schema_url: columns.texts.intern(scope.schema_url.0),
        };
        self.scope = columns.add_scope(row);
        (self.owner, self.series_key) = (NONE, None);
        if self.signal == Signal::Metrics {
            let names = (scope.name.0, scope.version.0);
            let into = &mut self.owner_encoding.scope;
            encode_scope(&mut self.encoder, names, scope.attributes, into);
            self.full_context = None;
        }
    }

    fn log(&mut self, log: &Log<'_>) {
        let owner = self.owner();
        let columns = &mut self.columns[self.current].1;
        let before = columns.log_bodies.bytes.len() + columns.log_attributes.size();
        self.bodies_replaced += append_value(&mut columns.log_bodies.bytes, log.body);
        columns.log_bodies.end_row();
        columns.log_attributes.push(&mut columns.keys, &mut columns.cells, log.attributes);
        let mut intern = |text: Text<'_>| {
            if text.is_empty() { Interner::EMPTY } else { columns.texts.intern(text.0) }
        };
        columns.logs.push(LogRow {
            time_nanos: log.time_nanos,
            observed_time_nanos: log.observed_time_nanos,
            trace_id: log.trace_id.unwrap_or_default(),
            span_id: log.span_id.unwrap_or_default(),
            owner,
            severity_text: intern(log.severity_text),
            severity_number: log.severity_number,
            event_name: intern(log.event_name),
            trace_flags: log.trace_flags,
        });
        let after = columns.log_bodies.bytes.len() + columns.log_attributes.size();
        self.grown += size_of::<LogRow>() + after - before;
        self.open = Open::Log;
    }

    fn span(&mut self, span: &Span<'_>) {
        let owner = self.owner();
        let columns = &mut self.columns[self.current].1;
        let before = columns.span_maps_size();
        let Columns { texts, keys, cells, .. } = columns;
        let mut intern = |text: Text<'_>| {
            if text.is_empty() { Interner::EMPTY } else { texts.intern(text.0) }
        };
        columns.span_attributes.push(keys, cells, span.attributes);
        // Attributes first: a panic inside leaves what truncating to the spans before removes.
        span.events.walk(&mut |event| {
            columns.event_attributes.push(keys, cells, event.attributes);
            let name = intern(event.name);
            columns.events.push_value(EventRow { time_nanos: event.time_nanos, name });
        });
        columns.events.end_row();
        span.links.walk(&mut |link| {
            columns.link_attributes.push(keys, cells, link.attributes);
            columns.links.push_value(LinkRow {
                trace_id: link.trace_id.unwrap_or_default(),
                span_id: link.span_id.unwrap_or_default(),
                trace_state: intern(link.trace_state),
            });
        });
        columns.links.end_row();
        columns.spans.push(SpanRow {
            start_time_nanos: span.start_time_nanos,
            duration_nanos: span.duration_nanos,
            trace_id: span.trace_id,
            span_id: span.span_id,
            parent_span_id: span.parent_span_id.unwrap_or_default(),
            owner,
            name: intern(span.name),
            trace_state: intern(span.trace_state),
            status_message: intern(span.status_message),
            trace_flags: span.trace_flags,
            kind: span.kind,
            status_code: span.status_code,
        });
        self.grown += size_of::<SpanRow>() + columns.span_maps_size() - before;
        self.open = Open::Span;
    }

    fn series(&mut self, series: &Series<'_>) {
        let (key, mut slot) = self.slot(series);
        if self.series_key == Some(key) {
            return;
        }
        self.series_key = Some(key);
        let (columns_number, columns) = &mut self.columns[self.current];
        let day = self.day + 1;
        if slot.columns == *columns_number && slot.day == day {
            self.series = slot.number;
            return;
        }
        let before = slot;
        if slot.columns != *columns_number {
            slot.columns = *columns_number;
            slot.number = place(columns.numbers.len());
            columns.numbers.push((slot.id, self.tenant_number));
        }
        self.series = slot.number;
        if slot.day != day {
            if !self.seen.contains(&slot.id, self.day) {
                self.write_series_row(series);
                self.pending.push((slot.id, self.day));
            }
            slot.day = day;
        }
        // First what it was: a panic in between leaves a restoration too much, which does no harm.
        self.touched.push((key, before));
        if let Some(into) = self.cache.find(key) {
            *into = slot;
        }
    }

    #[inline]
    fn sample(&mut self, sample: &Sample) {
        assert!(self.series != NONE, "a sample comes after its series");
        let columns = &mut self.columns[self.current].1;
        if let Some(int) = sample.value_int {
            columns.sample_ints.push((place(columns.samples.len()), int));
        }
        columns.samples.push(SampleRow {
            time_nanos: sample.time_nanos,
            value: sample.value,
            start_time_nanos: sample.start_time_nanos,
            series: self.series,
            flags: sample.flags,
        });
        self.grown += size_of::<SampleRow>();
        self.open = Open::Sample;
    }

    fn histogram(&mut self, histogram: &Histogram<'_>) {
        assert!(self.series != NONE, "a histogram comes after its series");
        let columns = &mut self.columns[self.current].1;
        let lists = &mut columns.histogram_lists;
        let values = histogram.bounds.len()
            + histogram.bucket_counts.len()
            + histogram.positive_counts.len()
            + histogram.negative_counts.len()
            + histogram.custom_bounds.len()
            + 2 * histogram.quantiles.len();
        self.grown += size_of::<HistogramRow>() + values * size_of::<f64>();
        lists.bounds.push(histogram.bounds);
        lists.bucket_counts.push(histogram.bucket_counts);
        lists.positive_counts.push(histogram.positive_counts);
        lists.negative_counts.push(histogram.negative_counts);
        lists.custom_bounds.push(histogram.custom_bounds);
        lists.quantiles.push(histogram.quantiles);
        columns.histograms.push(HistogramRow {
            time_nanos: histogram.time_nanos,
            start_time_nanos: histogram.start_time_nanos,
            count: histogram.count,
            sum: histogram.sum,
            min: histogram.min,
            max: histogram.max,
            zero_threshold: histogram.zero_threshold,
            zero_count: histogram.zero_count,
            series: self.series,
            flags: histogram.flags,
            scale: histogram.scale,
            positive_offset: histogram.positive_offset,
            negative_offset: histogram.negative_offset,
            kind: histogram.kind,
            reset_hint: histogram.reset_hint,
        });
        self.open = Open::Histogram;
    }

    fn exemplar(&mut self, exemplar: &Exemplar<'_>) {
        assert!(self.series != NONE, "an exemplar comes after its series");
        let columns = &mut self.columns[self.current].1;
        let before = columns.exemplar_attributes.size();
        columns.exemplar_attributes.push(
            &mut columns.keys,
            &mut columns.cells,
            exemplar.attributes,
        );
        columns.exemplars.push(ExemplarRow {
            time_nanos: exemplar.time_nanos,
            value: exemplar.value,
            trace_id: exemplar.trace_id.unwrap_or_default(),
            span_id: exemplar.span_id.unwrap_or_default(),
            series: self.series,
        });
        self.grown += size_of::<ExemplarRow>() + columns.exemplar_attributes.size() - before;
        self.open = Open::Exemplar;
    }

    fn metadata(&mut self, metadata: &Metadata<'_>) {
        let columns = &mut self.columns[self.current].1;
        let key = MetadataKey {
            tenant: self.tenant_number,
            family: columns.texts.intern(metadata.family.0),
            metric_type: metadata.metric_type,
            unit: columns.texts.intern(metadata.unit.0),
            help: columns.texts.intern(metadata.help.0),
        };
        // Agents repeat this every minute: one row per part is enough.
        if let Some(&row) = columns.metadata_places.get(&key) {
            let last_seen = &mut columns.metadata[at(row)].1;
            let change = (row, *last_seen);
            self.last_seen_changes.push(change);
            *last_seen = self.arrival_nanos.max(*last_seen);
            self.open = Open::Metadata(Some(change));
            return;
        }
        columns.metadata_places.insert(key, place(columns.metadata.len()));
        columns.metadata.push((key, self.arrival_nanos));
        self.open = Open::Metadata(None);
    }

    fn unparsed(&mut self) {
        self.unparsed[self.endpoint] += 1;
    }

    #[inline]
    fn keep(&mut self) {
        self.open = Open::None;
    }

    fn reject(&mut self, _cause: RejectCause) {
        let columns = &mut self.columns[self.current].1;
        let before = |count: usize| count.saturating_sub(1);
        match std::mem::replace(&mut self.open, Open::None) {
            Open::None => {}
            Open::Log => columns.truncate_logs(before(columns.logs.len())),
            Open::Span => columns.truncate_spans(before(columns.spans.len())),
            Open::Sample => columns.truncate_samples(before(columns.samples.len())),
            Open::Histogram => columns.truncate_histograms(before(columns.histograms.len())),
            Open::Exemplar => columns.truncate_exemplars(before(columns.exemplars.len())),
            Open::Metadata(None) => columns.truncate_metadata(before(columns.metadata.len())),
            Open::Metadata(Some((row, last_seen))) => columns.metadata[at(row)].1 = last_seen,
        }
    }
}

#[cfg(test)]
#[path = "column_sink_tests.rs"]
mod tests;
