//! The columns of all tables for one hour of arrival, until they become parts.
//!
//! Place: filled by [`super::ColumnSink`] row by row, read out in any order by [`Gather`]. A row is a
//! fixed struct, plus its texts and maps at the same index of their columns. Whatever rows share is
//! stored once: an owner (resource, scope, tenant, protocol), a series, a repeating text.
//!
//! ```text
//! logs row ──► owner ──► resource ──► service name, schema URL, attributes
//!      │             └─► scope, tenant, protocol
//!      └─► body, attributes, event name
//! spans row ─► owner; texts, attributes; a run of event rows, a run of link rows
//! sample row ──► series number ──► id, tenant
//! ```
//!
//! Guarantee: `truncate` to counts taken earlier undoes everything pushed since, even where a push
//! was broken off by a panic.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_array::types::{Float64Type, Int32Type, Int64Type, UInt8Type, UInt32Type, UInt64Type};
use arrow_array::{ArrayRef, BooleanArray, PrimitiveArray, RecordBatch};
use arrow_schema::{Field, Schema, SchemaRef};

use super::gather::{self, ListColumn, Result};
use super::interner::Interner;
use super::map::MapColumn;
use super::record::{HistogramKind, MetricType, SpanKind, StatusCode, Temporality};
use super::series_id::{SeriesId, temporality_name};
use super::table::Table;
use super::text::{TextColumn, at, place};

/// Rows of one Arrow batch: enough to spread the cost of a call, few enough to stay in cache.
const BATCH_ROWS_MAX: usize = 8 * 1024;
/// Text of one Arrow batch. Rows share their resource, so few rows can ask for a lot of text.
const BATCH_SIZE_MAX: usize = 16 * 1024 * 1024;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) resource: u32,
    pub(super) scope: u32,
    pub(super) tenant: u32,
    pub(super) protocol: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct ResourceRow {
    pub(super) service: u32,
    pub(super) schema_url: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct ScopeRow {
    pub(super) name: u32,
    pub(super) version: u32,
    pub(super) schema_url: u32,
}

#[derive(Clone, Copy)]
pub(super) struct LogRow {
    pub(super) time_nanos: i64,
    pub(super) observed_time_nanos: i64,
    pub(super) trace_id: [u8; 16],
    pub(super) span_id: [u8; 8],
    pub(super) owner: u32,
    pub(super) severity_text: u32,
    pub(super) severity_number: i32,
    pub(super) event_name: u32,
    pub(super) trace_flags: u8,
}

#[derive(Clone, Copy)]
pub(super) struct SpanRow {
    pub(super) start_time_nanos: i64,
    pub(super) duration_nanos: u64,
    pub(super) trace_id: [u8; 16],
    pub(super) span_id: [u8; 8],
    pub(super) parent_span_id: [u8; 8],
    pub(super) owner: u32,
    pub(super) name: u32,
    pub(super) trace_state: u32,
    pub(super) status_message: u32,
    pub(super) trace_flags: u8,
    pub(super) kind: SpanKind,
    pub(super) status_code: StatusCode,
}

#[derive(Clone, Copy)]
pub(super) struct EventRow {
    pub(super) time_nanos: i64,
    pub(super) name: u32,
}

#[derive(Clone, Copy)]
pub(super) struct LinkRow {
    pub(super) trace_id: [u8; 16],
    pub(super) span_id: [u8; 8],
    pub(super) trace_state: u32,
}

#[derive(Clone, Copy)]
pub(super) struct SeriesRow {
    pub(super) series: u32,
    pub(super) owner: u32,
    pub(super) name: u32,
    pub(super) unit: u32,
    pub(super) description: u32,
    pub(super) service: u32,
    pub(super) metric_type: MetricType,
    pub(super) temporality: Temporality,
    pub(super) is_monotonic: bool,
    pub(super) first_seen_nanos: i64,
}

#[derive(Clone, Copy)]
pub(super) struct SampleRow {
    pub(super) time_nanos: i64,
    pub(super) value: f64,
    pub(super) start_time_nanos: i64,
    pub(super) series: u32,
    pub(super) flags: u32,
}

#[derive(Clone, Copy)]
pub(super) struct HistogramRow {
    pub(super) time_nanos: i64,
    pub(super) start_time_nanos: i64,
    pub(super) count: f64,
    pub(super) sum: Option<f64>,
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
    pub(super) zero_threshold: f64,
    pub(super) zero_count: f64,
    pub(super) series: u32,
    pub(super) flags: u32,
    pub(super) scale: i32,
    pub(super) positive_offset: i32,
    pub(super) negative_offset: i32,
    pub(super) kind: HistogramKind,
    pub(super) reset_hint: u8,
}

#[derive(Default)]
pub(super) struct HistogramLists {
    pub(super) bounds: ListColumn<f64>,
    pub(super) bucket_counts: ListColumn<f64>,
    pub(super) positive_counts: ListColumn<f64>,
    pub(super) negative_counts: ListColumn<f64>,
    pub(super) custom_bounds: ListColumn<f64>,
    pub(super) quantiles: ListColumn<(f64, f64)>,
}

#[derive(Clone, Copy)]
pub(super) struct ExemplarRow {
    pub(super) time_nanos: i64,
    pub(super) value: f64,
    pub(super) trace_id: [u8; 16],
    pub(super) span_id: [u8; 8],
    pub(super) series: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct MetadataKey {
    pub(super) tenant: u32,
    pub(super) family: u32,
    pub(super) metric_type: MetricType,
    pub(super) unit: u32,
    pub(super) help: u32,
}

/// Rows of each kind at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counts {
    resources: usize,
    scopes: usize,
    owners: usize,
    pub(super) logs: usize,
    spans: usize,
    numbers: usize,
    series: usize,
    pub(super) samples: usize,
    pub(super) histograms: usize,
    pub(super) exemplars: usize,
    pub(super) metadata: usize,
}

/// See the head of this file.
pub struct Columns {
    /// Hours since the epoch.
    hour: u64,
    seed: u64,
    pub(super) texts: Interner,
    pub(super) keys: Interner,
    /// Numbers the map cells, never repeating: see [`MapColumn`].
    pub(super) cells: u64,
    pub(super) resources: Vec<ResourceRow>,
    pub(super) resource_attributes: MapColumn,
    pub(super) scopes: Vec<ScopeRow>,
    pub(super) scope_attributes: MapColumn,
    /// Resources and scopes by the hash of what they say. A place may be out of use since a rollback.
    resource_places: HashMap<u64, u32>,
    scope_places: HashMap<u64, u32>,
    pub(super) owners: Vec<Owner>,
    pub(super) logs: Vec<LogRow>,
    pub(super) log_bodies: TextColumn,
    pub(super) log_attributes: MapColumn,
    pub(super) spans: Vec<SpanRow>,
    pub(super) span_attributes: MapColumn,
    /// Of every span; the rows' attributes stand at the same index.
    pub(super) events: ListColumn<EventRow>,
    pub(super) event_attributes: MapColumn,
    pub(super) links: ListColumn<LinkRow>,
    pub(super) link_attributes: MapColumn,
    pub(super) numbers: Vec<(SeriesId, u32)>,
    pub(super) series: Vec<SeriesRow>,
    pub(super) series_labels: MapColumn,
    pub(super) samples: Vec<SampleRow>,
    /// Rows whose exact integer does not fit a double; ascending.
    pub(super) sample_ints: Vec<(u32, i64)>,
    pub(super) histograms: Vec<HistogramRow>,
    pub(super) histogram_lists: HistogramLists,
    pub(super) exemplars: Vec<ExemplarRow>,
    pub(super) exemplar_attributes: MapColumn,
    pub(super) metadata: Vec<(MetadataKey, i64)>,
    pub(super) metadata_places: HashMap<MetadataKey, u32>,
}

impl Columns {
    pub(super) fn new(hour: u64, seed: u64) -> Self {
        let mut columns = Self {
            hour,
            seed,
            texts: Interner::new(seed),
            keys: Interner::new(seed),
            cells: 0,
            resources: Vec::new(),
            resource_attributes: MapColumn::default(),
            scopes: Vec::new(),
            scope_attributes: MapColumn::default(),
            resource_places: HashMap::new(),
            scope_places: HashMap::new(),
            owners: Vec::new(),
            logs: Vec::new(),
            log_bodies: TextColumn::default(),
            log_attributes: MapColumn::default(),
            spans: Vec::new(),
            span_attributes: MapColumn::default(),
            events: ListColumn::default(),
            event_attributes: MapColumn::default(),
            links: ListColumn::default(),
            link_attributes: MapColumn::default(),
            numbers: Vec::new(),
            series: Vec::new(),
            series_labels: MapColumn::default(),
            samples: Vec::new(),
            sample_ints: Vec::new(),
            histograms: Vec::new(),
            histogram_lists: HistogramLists::default(),
            exemplars: Vec::new(),
            exemplar_attributes: MapColumn::default(),
            metadata: Vec::new(),
            metadata_places: HashMap::new(),
        };
        // Row 0 of both: what a record has that comes without resource or scope.
        let empty = Interner::EMPTY;
        columns.resources.push(ResourceRow { service: empty, schema_url: empty });
        columns.resource_attributes.push_empty();
        columns.scopes.push(ScopeRow { name: empty, version: empty, schema_url: empty });
        columns.scope_attributes.push_empty();
        columns
    }

    /// The number of the resource whose attributes were pushed last: of an equal one that stands here
    /// already, as senders say the same few in turns, or its own.
    pub(super) fn add_resource(&mut self, row: ResourceRow) -> u32 {
        let last = self.resources.len();
        let seed = self.seed ^ u64::from(row.schema_url);
        let hash = self.resource_attributes.row_hash(last, seed);
        if let Some(&known) = self.resource_places.get(&hash)
            && self.resources[..last].get(at(known)).is_some_and(|resource| *resource == row)
            && self.resource_attributes.is_equal(at(known), last)
        {
            self.resource_attributes.pop();
            return known;
        }
        self.resource_places.insert(hash, place(last));
        self.resources.push(row);
        place(last)
    }

    /// The same for a scope.
    pub(super) fn add_scope(&mut self, row: ScopeRow) -> u32 {
        let last = self.scopes.len();
        let texts = u64::from(row.name) << 32 | u64::from(row.version);
        let seed = self.seed ^ texts ^ u64::from(row.schema_url).rotate_left(16);
        let hash = self.scope_attributes.row_hash(last, seed);
        if let Some(&known) = self.scope_places.get(&hash)
            && self.scopes[..last].get(at(known)).is_some_and(|scope| *scope == row)
            && self.scope_attributes.is_equal(at(known), last)
        {
            self.scope_attributes.pop();
            return known;
        }
        self.scope_places.insert(hash, place(last));
        self.scopes.push(row);
        place(last)
    }

    /// Appends a resource of other columns.
    pub(super) fn copy_resource(&mut self, from: &Self, number: u32) -> u32 {
        let number = at(number);
        self.resource_attributes.push_row(
            &mut self.keys,
            &from.resource_attributes,
            &from.keys,
            number,
        );
        let row = from.resources[number];
        let mut copy = |text| self.texts.intern(from.texts.text(text));
        let row = ResourceRow { service: copy(row.service), schema_url: copy(row.schema_url) };
        self.add_resource(row)
    }

    /// Appends a scope of other columns.
    pub(super) fn copy_scope(&mut self, from: &Self, number: u32) -> u32 {
        let number = at(number);
        self.scope_attributes.push_row(&mut self.keys, &from.scope_attributes, &from.keys, number);
        let row = from.scopes[number];
        let mut copy = |text| self.texts.intern(from.texts.text(text));
        let row = ScopeRow {
            name: copy(row.name),
            version: copy(row.version),
            schema_url: copy(row.schema_url),
        };
        self.add_scope(row)
    }

    /// Hours since the epoch; all rows arrived in it.
    #[must_use]
    pub const fn hour(&self) -> u64 {
        self.hour
    }

    #[must_use]
    pub const fn row_count(&self, table: Table) -> usize {
        match table {
            Table::Logs => self.logs.len(),
            Table::Spans => self.spans.len(),
            Table::MetricSeries => self.series.len(),
            Table::MetricSamples => self.samples.len(),
            Table::MetricHistograms => self.histograms.len(),
            Table::MetricExemplars => self.exemplars.len(),
            Table::MetricMetadata => self.metadata.len(),
        }
    }

    pub(super) const fn counts(&self) -> Counts {
        Counts {
            resources: self.resources.len(),
            scopes: self.scopes.len(),
            owners: self.owners.len(),
            logs: self.logs.len(),
            spans: self.spans.len(),
            numbers: self.numbers.len(),
            series: self.series.len(),
            samples: self.samples.len(),
            histograms: self.histograms.len(),
            exemplars: self.exemplars.len(),
            metadata: self.metadata.len(),
        }
    }

    /// Undoes everything pushed since `counts` was taken.
    pub(super) fn truncate(&mut self, counts: &Counts) {
        self.resources.truncate(counts.resources);
        self.resource_attributes.truncate(counts.resources);
        self.scopes.truncate(counts.scopes);
        self.scope_attributes.truncate(counts.scopes);
        self.owners.truncate(counts.owners);
        self.truncate_logs(counts.logs);
        self.truncate_spans(counts.spans);
        self.numbers.truncate(counts.numbers);
        self.series.truncate(counts.series);
        self.series_labels.truncate(counts.series);
        self.truncate_samples(counts.samples);
        self.truncate_histograms(counts.histograms);
        self.truncate_exemplars(counts.exemplars);
        self.truncate_metadata(counts.metadata);
    }

    pub(super) fn truncate_logs(&mut self, rows: usize) {
        self.logs.truncate(rows);
        self.log_bodies.truncate(rows);
        self.log_attributes.truncate(rows);
    }

    pub(super) fn truncate_spans(&mut self, rows: usize) {
        self.spans.truncate(rows);
        self.span_attributes.truncate(rows);
        self.events.truncate(rows);
        self.event_attributes.truncate(self.events.value_count());
        self.links.truncate(rows);
        self.link_attributes.truncate(self.links.value_count());
    }

    pub(super) fn truncate_samples(&mut self, rows: usize) {
        self.samples.truncate(rows);
        while self.sample_ints.last().is_some_and(|&(row, _)| at(row) >= rows) {
            self.sample_ints.pop();
        }
    }

    pub(super) fn truncate_histograms(&mut self, rows: usize) {
        self.histograms.truncate(rows);
        let lists = &mut self.histogram_lists;
        lists.bounds.truncate(rows);
        lists.bucket_counts.truncate(rows);
        lists.positive_counts.truncate(rows);
        lists.negative_counts.truncate(rows);
        lists.custom_bounds.truncate(rows);
        lists.quantiles.truncate(rows);
    }

    pub(super) fn truncate_exemplars(&mut self, rows: usize) {
        self.exemplars.truncate(rows);
        self.exemplar_attributes.truncate(rows);
    }

    pub(super) fn truncate_metadata(&mut self, rows: usize) {
        while self.metadata.len() > rows {
            if let Some((key, _)) = self.metadata.pop() {
                self.metadata_places.remove(&key);
            }
        }
    }

    /// Bytes of what differs in size from record to record, whatever its kind: texts and maps.
    pub(super) const fn varying_size(&self) -> usize {
        self.texts.text_size()
            + self.keys.text_size()
            + self.log_bodies.bytes.len()
            + self.log_attributes.size()
            + self.span_attributes.size()
            + self.events.size()
            + self.event_attributes.size()
            + self.links.size()
            + self.link_attributes.size()
            + self.series_labels.size()
            + self.exemplar_attributes.size()
    }

    /// Bytes in use.
    pub(super) fn size(&self) -> usize {
        let lists = &self.histogram_lists;
        self.texts.size()
            + self.keys.size()
            + self.resources.len() * size_of::<ResourceRow>()
            + self.resource_attributes.size()
            + self.scopes.len() * size_of::<ScopeRow>()
            + self.scope_attributes.size()
            // A map's slot each, and some that are empty.
            + (self.resource_places.len() + self.scope_places.len()) * 32
            + self.owners.len() * size_of::<Owner>()
            + self.logs.len() * size_of::<LogRow>()
            + self.log_bodies.size()
            + self.log_attributes.size()
            + self.spans.len() * size_of::<SpanRow>()
            + self.span_attributes.size()
            + self.events.size()
            + self.event_attributes.size()
            + self.links.size()
            + self.link_attributes.size()
            + self.numbers.len() * size_of::<(SeriesId, u32)>()
            + self.series.len() * size_of::<SeriesRow>()
            + self.series_labels.size()
            + self.samples.len() * size_of::<SampleRow>()
            + self.histograms.len() * size_of::<HistogramRow>()
            + lists.bounds.size()
            + lists.bucket_counts.size()
            + lists.positive_counts.size()
            + lists.negative_counts.size()
            + lists.custom_bounds.size()
            + lists.quantiles.size()
            + self.exemplars.len() * size_of::<ExemplarRow>()
            + self.exemplar_attributes.size()
            // Twice, as its places are kept in a map.
            + self.metadata.len() * 2 * size_of::<(MetadataKey, i64)>()
    }

    /// Texts in which bad UTF-8 was replaced, those of undone rows included.
    pub(super) const fn replaced(&self) -> u64 {
        self.texts.replaced
            + self.keys.replaced
            + self.resource_attributes.replaced
            + self.scope_attributes.replaced
            + self.log_attributes.replaced
            + self.span_attributes.replaced
            + self.event_attributes.replaced
            + self.link_attributes.replaced
            + self.series_labels.replaced
            + self.exemplar_attributes.replaced
    }

    /// The rows of a table in the order of [`Table::sorted_by`]; equal rows as they came.
    #[must_use]
    pub fn sorted(&self, table: Table) -> Vec<u32> {
        let by_series = |rows: &mut dyn Iterator<Item = (u32, i64)>| {
            let ranks = ranks(self.numbers.len(), |a, b| self.numbers[a].0.cmp(&self.numbers[b].0));
            sorted_by_rank(rows.map(|(series, time)| (ranks[at(series)], time)))
        };
        let by_service = |rows: &mut dyn Iterator<Item = (u32, i64)>| {
            let ranks = self.text_ranks();
            sorted_by_rank(rows.map(|(owner, time)| {
                let owner = self.owners[at(owner)];
                (ranks[at(self.resources[at(owner.resource)].service)], time)
            }))
        };
        match table {
            Table::Logs => by_service(&mut self.logs.iter().map(|row| (row.owner, row.time_nanos))),
            Table::Spans => {
                by_service(&mut self.spans.iter().map(|row| (row.owner, row.start_time_nanos)))
            }
            Table::MetricSeries => {
                by_series(&mut self.series.iter().map(|row| (row.series, row.first_seen_nanos)))
            }
            Table::MetricSamples => {
                by_series(&mut self.samples.iter().map(|row| (row.series, row.time_nanos)))
            }
            Table::MetricHistograms => {
                by_series(&mut self.histograms.iter().map(|row| (row.series, row.time_nanos)))
            }
            Table::MetricExemplars => {
                by_series(&mut self.exemplars.iter().map(|row| (row.series, row.time_nanos)))
            }
            Table::MetricMetadata => {
                let ranks = self.text_ranks();
                sorted_by_rank(
                    self.metadata.iter().map(|&(key, seen)| (ranks[at(key.family)], seen)),
                )
            }
        }
    }

    fn text_ranks(&self) -> Vec<u32> {
        ranks(self.texts.len(), |a, b| self.texts.text(place(a)).cmp(self.texts.text(place(b))))
    }

    /// The rows of a table as batches of bounded size, in the order given.
    pub fn gather<'a>(&'a self, table: Table, order: &'a [u32]) -> Result<Gather<'a>> {
        let texts = gather::texts(&self.texts)?;
        let keys = gather::texts(&self.keys)?;
        Ok(Gather { columns: self, table, rest: order, texts, keys })
    }
}

/// For each of `count` things its place in the order of `compare`.
fn ranks(count: usize, compare: impl Fn(usize, usize) -> std::cmp::Ordering) -> Vec<u32> {
    let mut order: Vec<u32> = (0..place(count)).collect();
    order.sort_unstable_by(|&a, &b| compare(at(a), at(b)));
    let mut ranks = vec![0; count];
    for (rank, thing) in order.into_iter().enumerate() {
        ranks[at(thing)] = place(rank);
    }
    ranks
}

/// Row numbers by rank, time and number: one integer comparison each.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "fields of the key")]
fn sorted_by_rank(rows: impl Iterator<Item = (u32, i64)>) -> Vec<u32> {
    let key = |(row, (rank, time)): (usize, (u32, i64))| {
        let time = (time as u64) ^ (1 << 63);
        u128::from(rank) << 96 | u128::from(time) << 32 | u128::from(place(row))
    };
    let mut keys: Vec<u128> = rows.enumerate().map(key).collect();
    if !keys.is_sorted() {
        keys.sort_unstable();
    }
    keys.into_iter().map(|key| key as u32).collect()
}

/// An iterator over the Arrow batches of one table.
pub struct Gather<'a> {
    columns: &'a Columns,
    table: Table,
    rest: &'a [u32],
    texts: ArrayRef,
    keys: ArrayRef,
}

impl Iterator for Gather<'_> {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let (rows, rest) = self.rest.split_at(self.batch_length());
        self.rest = rest;
        Some(self.batch(rows))
    }
}

impl Gather<'_> {
    fn batch_length(&self) -> usize {
        let mut size = 0;
        let (mut owners, mut last) = (SharedMaps::default(), None);
        for (count, &row) in self.rest.iter().enumerate().take(BATCH_ROWS_MAX) {
            let owner = self.owner(at(row));
            if owner != last {
                last = owner;
                size += owner.map_or(0, |owner| owners.size_of(self.columns, owner));
            }
            size += self.text_size(at(row));
            if size > BATCH_SIZE_MAX && count > 0 {
                return count;
            }
        }
        self.rest.len().min(BATCH_ROWS_MAX)
    }

    fn owner(&self, row: usize) -> Option<u32> {
        match self.table {
            Table::Logs => Some(self.columns.logs[row].owner),
            Table::Spans => Some(self.columns.spans[row].owner),
            Table::MetricSeries => Some(self.columns.series[row].owner),
            _ => None,
        }
    }

    /// About the bytes that a row's maps and texts take in a batch, besides what it shares with others.
    fn text_size(&self, row: usize) -> usize {
        /// Of a map entry besides its value's bytes.
        const ENTRY_SIZE: usize = 32;
        let columns = self.columns;
        let owner_size = |owner: u32| {
            let owner = columns.owners[at(owner)];
            (columns.resource_attributes.row(at(owner.resource)).len()
                + columns.scope_attributes.row(at(owner.scope)).len())
                * ENTRY_SIZE
        };
        match self.table {
            Table::Logs => {
                owner_size(columns.logs[row].owner)
                    + columns.log_bodies.row(row).len()
                    + columns.log_attributes.row_size(row)
            }
            Table::Spans => {
                let sizes = |maps: &MapColumn, rows: std::ops::Range<usize>| {
                    rows.map(|row| ENTRY_SIZE + maps.row_size(row)).sum::<usize>()
                };
                owner_size(columns.spans[row].owner)
                    + columns.span_attributes.row_size(row)
                    + sizes(&columns.event_attributes, columns.events.range(row))
                    + sizes(&columns.link_attributes, columns.links.range(row))
            }
            Table::MetricSeries => {
                owner_size(columns.series[row].owner) + columns.series_labels.row_size(row)
            }
            Table::MetricExemplars => columns.exemplar_attributes.row_size(row),
            _ => 0,
        }
    }

    fn batch(&self, rows: &[u32]) -> Result<RecordBatch> {
        let columns = match self.table {
            Table::Logs => self.logs(rows),
            Table::Spans => self.spans(rows),
            Table::MetricSeries => self.series(rows),
            Table::MetricSamples => self.samples(rows),
            Table::MetricHistograms => self.histograms(rows),
            Table::MetricExemplars => self.exemplars(rows),
            Table::MetricMetadata => self.metadata(rows),
        }?;
        let schema = batch_schema(&self.table.schema(), &columns);
        RecordBatch::try_new(schema, columns)
    }

    fn dictionary(&self, numbers: impl Iterator<Item = u32>) -> Result<ArrayRef> {
        gather::dictionary(numbers.collect(), &self.texts)
    }

    fn logs(&self, order: &[u32]) -> Result<Vec<ArrayRef>> {
        let columns = self.columns;
        let rows = || order.iter().map(|&row| &columns.logs[at(row)]);
        let indexes = || order.iter().map(|&row| at(row));
        let owners = || rows().map(|row| columns.owners[at(row.owner)]);
        let resources = || owners().map(|owner| columns.resources[at(owner.resource)]);
        let scopes = || owners().map(|owner| columns.scopes[at(owner.scope)]);
        let resource_maps = &columns.resource_attributes;
        let scope_maps = &columns.scope_attributes;
        Ok(vec![
            gather::timestamps(rows().map(|row| row.time_nanos).collect()),
            gather::timestamps(rows().map(|row| row.observed_time_nanos).collect()),
            gather::hex(rows().map(|row| &row.trace_id))?,
            gather::hex(rows().map(|row| &row.span_id))?,
            primitive::<UInt32Type>(rows().map(|row| u32::from(row.trace_flags))),
            self.dictionary(rows().map(|row| row.severity_text))?,
            primitive::<Int32Type>(rows().map(|row| row.severity_number)),
            self.dictionary(resources().map(|resource| resource.service))?,
            Arc::new(gather::strings(indexes().map(|row| columns.log_bodies.row(row)))?),
            self.dictionary(resources().map(|resource| resource.schema_url))?,
            gather::shared_maps(
                resource_maps,
                owners().map(|owner| at(owner.resource)),
                &self.keys,
            )?,
            self.dictionary(scopes().map(|scope| scope.schema_url))?,
            self.dictionary(scopes().map(|scope| scope.name))?,
            self.dictionary(scopes().map(|scope| scope.version))?,
            gather::shared_maps(scope_maps, owners().map(|owner| at(owner.scope)), &self.keys)?,
            gather::maps(&columns.log_attributes, indexes(), &self.keys)?,
            self.dictionary(rows().map(|row| row.event_name))?,
            self.dictionary(owners().map(|owner| owner.tenant))?,
            self.dictionary(owners().map(|owner| owner.protocol))?,
        ])
    }

    fn spans(&self, order: &[u32]) -> Result<Vec<ArrayRef>> {
        let columns = self.columns;
        let rows = || order.iter().map(|&row| &columns.spans[at(row)]);
        let indexes = || order.iter().map(|&row| at(row));
        let owners = || rows().map(|row| columns.owners[at(row.owner)]);
        let resources = || owners().map(|owner| columns.resources[at(owner.resource)]);
        let scopes = || owners().map(|owner| columns.scopes[at(owner.scope)]);
        Ok(vec![
            gather::timestamps(rows().map(|row| row.start_time_nanos).collect()),
            gather::hex(rows().map(|row| &row.trace_id))?,
            gather::hex(rows().map(|row| &row.span_id))?,
            gather::hex(rows().map(|row| &row.parent_span_id))?,
            self.dictionary(rows().map(|row| row.trace_state))?,
            primitive::<UInt32Type>(rows().map(|row| u32::from(row.trace_flags))),
            self.dictionary(rows().map(|row| row.name))?,
            names(rows().map(|row| row.kind.name()))?,
            self.dictionary(resources().map(|resource| resource.service))?,
            gather::shared_maps(
                &columns.resource_attributes,
                owners().map(|owner| at(owner.resource)),
                &self.keys,
            )?,
            self.dictionary(scopes().map(|scope| scope.name))?,
            self.dictionary(scopes().map(|scope| scope.version))?,
            gather::maps(&columns.span_attributes, indexes(), &self.keys)?,
            primitive::<UInt64Type>(rows().map(|row| row.duration_nanos)),
            names(rows().map(|row| row.status_code.name()))?,
            self.dictionary(rows().map(|row| row.status_message))?,
            self.events(order)?,
            self.links(order)?,
            self.dictionary(owners().map(|owner| owner.tenant))?,
            self.dictionary(owners().map(|owner| owner.protocol))?,
        ])
    }

    fn events(&self, order: &[u32]) -> Result<ArrayRef> {
        let column = &self.columns.events;
        let places = || order.iter().flat_map(|&row| column.range(at(row)));
        let rows = || places().map(|place| column.value(place));
        gather::struct_lists(
            super::table::EVENT_FIELDS,
            order.iter().map(|&row| column.range(at(row)).len()),
            vec![
                gather::timestamps(rows().map(|event| event.time_nanos).collect()),
                self.dictionary(rows().map(|event| event.name))?,
                gather::maps(&self.columns.event_attributes, places(), &self.keys)?,
            ],
        )
    }

    fn links(&self, order: &[u32]) -> Result<ArrayRef> {
        let column = &self.columns.links;
        let places = || order.iter().flat_map(|&row| column.range(at(row)));
        let rows = || places().map(|place| column.value(place));
        gather::struct_lists(
            super::table::LINK_FIELDS,
            order.iter().map(|&row| column.range(at(row)).len()),
            vec![
                gather::hex(rows().map(|link| &link.trace_id))?,
                gather::hex(rows().map(|link| &link.span_id))?,
                self.dictionary(rows().map(|link| link.trace_state))?,
                gather::maps(&self.columns.link_attributes, places(), &self.keys)?,
            ],
        )
    }

    fn series(&self, order: &[u32]) -> Result<Vec<ArrayRef>> {
        let columns = self.columns;
        let rows = || order.iter().map(|&row| &columns.series[at(row)]);
        let owners = || rows().map(|row| columns.owners[at(row.owner)]);
        let scopes = || owners().map(|owner| columns.scopes[at(owner.scope)]);
        let resource_maps = &columns.resource_attributes;
        let scope_maps = &columns.scope_attributes;
        let labels = order.iter().map(|&row| at(row));
        Ok(vec![
            self.series_ids(rows().map(|row| row.series))?,
            self.dictionary(rows().map(|row| row.name))?,
            names(rows().map(|row| row.metric_type.name()))?,
            self.dictionary(rows().map(|row| row.unit))?,
            self.dictionary(rows().map(|row| row.description))?,
            names(rows().map(|row| temporality_name(row.temporality)))?,
            Arc::new(rows().map(|row| Some(row.is_monotonic)).collect::<BooleanArray>()),
            gather::maps(&columns.series_labels, labels, &self.keys)?,
            gather::shared_maps(
                resource_maps,
                owners().map(|owner| at(owner.resource)),
                &self.keys,
            )?,
            self.dictionary(scopes().map(|scope| scope.name))?,
            self.dictionary(scopes().map(|scope| scope.version))?,
            gather::shared_maps(scope_maps, owners().map(|owner| at(owner.scope)), &self.keys)?,
            self.dictionary(rows().map(|row| row.service))?,
            self.dictionary(owners().map(|owner| owner.tenant))?,
            self.dictionary(owners().map(|owner| owner.protocol))?,
            gather::timestamps(rows().map(|row| row.first_seen_nanos).collect()),
        ])
    }

    fn samples(&self, order: &[u32]) -> Result<Vec<ArrayRef>> {
        let columns = self.columns;
        let rows = || order.iter().map(|&row| &columns.samples[at(row)]);
        let ints = &columns.sample_ints;
        let int = |&row: &u32| {
            if ints.is_empty() {
                return None;
            }
            let place = ints.binary_search_by_key(&row, |&(with_int, _)| with_int).ok()?;
            Some(ints[place].1)
        };
        Ok(vec![
            self.series_ids(rows().map(|row| row.series))?,
            gather::timestamps(rows().map(|row| row.time_nanos).collect()),
            primitive::<Float64Type>(rows().map(|row| row.value)),
            Arc::new(order.iter().map(int).collect::<PrimitiveArray<Int64Type>>()),
            gather::timestamps(rows().map(|row| row.start_time_nanos).collect()),
            primitive::<UInt32Type>(rows().map(|row| row.flags)),
            self.series_tenants(rows().map(|row| row.series))?,
        ])
    }

    fn histograms(&self, order: &[u32]) -> Result<Vec<ArrayRef>> {
        let columns = self.columns;
        let rows = || order.iter().map(|&row| &columns.histograms[at(row)]);
        let indexes = || order.iter().map(|&row| at(row));
        let lists = &columns.histogram_lists;
        let optional = |value: &dyn Fn(&HistogramRow) -> Option<f64>| -> ArrayRef {
            Arc::new(rows().map(value).collect::<PrimitiveArray<Float64Type>>())
        };
        Ok(vec![
            self.series_ids(rows().map(|row| row.series))?,
            gather::timestamps(rows().map(|row| row.time_nanos).collect()),
            gather::timestamps(rows().map(|row| row.start_time_nanos).collect()),
            primitive::<UInt32Type>(rows().map(|row| row.flags)),
            names(rows().map(|row| row.kind.name()))?,
            primitive::<Float64Type>(rows().map(|row| row.count)),
            optional(&|row| row.sum),
            optional(&|row| row.min),
            optional(&|row| row.max),
            gather::double_lists(&lists.bounds, indexes())?,
            gather::double_lists(&lists.bucket_counts, indexes())?,
            primitive::<Int32Type>(rows().map(|row| row.scale)),
            primitive::<Float64Type>(rows().map(|row| row.zero_threshold)),
            primitive::<Float64Type>(rows().map(|row| row.zero_count)),
            primitive::<Int32Type>(rows().map(|row| row.positive_offset)),
            gather::double_lists(&lists.positive_counts, indexes())?,
            primitive::<Int32Type>(rows().map(|row| row.negative_offset)),
            gather::double_lists(&lists.negative_counts, indexes())?,
            gather::double_lists(&lists.custom_bounds, indexes())?,
            gather::quantile_lists(&lists.quantiles, indexes())?,
            primitive::<UInt8Type>(rows().map(|row| row.reset_hint)),
            self.series_tenants(rows().map(|row| row.series))?,
        ])
    }

    fn exemplars(&self, order: &[u32]) -> Result<Vec<ArrayRef>> {
        let columns = self.columns;
        let rows = || order.iter().map(|&row| &columns.exemplars[at(row)]);
        let indexes = order.iter().map(|&row| at(row));
        Ok(vec![
            self.series_ids(rows().map(|row| row.series))?,
            gather::timestamps(rows().map(|row| row.time_nanos).collect()),
            primitive::<Float64Type>(rows().map(|row| row.value)),
            gather::hex(rows().map(|row| &row.trace_id))?,
            gather::hex(rows().map(|row| &row.span_id))?,
            gather::maps(&columns.exemplar_attributes, indexes, &self.keys)?,
            self.series_tenants(rows().map(|row| row.series))?,
        ])
    }

    fn metadata(&self, order: &[u32]) -> Result<Vec<ArrayRef>> {
        let columns = self.columns;
        let rows = || order.iter().map(|&row| &columns.metadata[at(row)]);
        Ok(vec![
            self.dictionary(rows().map(|(key, _)| key.family))?,
            names(rows().map(|(key, _)| key.metric_type.name()))?,
            self.dictionary(rows().map(|(key, _)| key.unit))?,
            self.dictionary(rows().map(|(key, _)| key.help))?,
            self.dictionary(rows().map(|(key, _)| key.tenant))?,
            gather::timestamps(rows().map(|&(_, seen)| seen).collect()),
        ])
    }

    fn series_ids(&self, numbers: impl Iterator<Item = u32>) -> Result<ArrayRef> {
        gather::ids(numbers.map(|number| &self.columns.numbers[at(number)].0))
    }

    fn series_tenants(&self, numbers: impl Iterator<Item = u32>) -> Result<ArrayRef> {
        self.dictionary(numbers.map(|number| self.columns.numbers[at(number)].1))
    }
}

/// The shared maps of one batch, whose values stand in it once each.
#[derive(Default)]
struct SharedMaps {
    resources: HashSet<u32>,
    scopes: HashSet<u32>,
}

impl SharedMaps {
    /// About the bytes that an owner's maps add.
    fn size_of(&mut self, columns: &Columns, owner: u32) -> usize {
        let Owner { resource, scope, .. } = columns.owners[at(owner)];
        let mut size = 0;
        if self.resources.insert(resource) {
            size += columns.resource_attributes.row_size(at(resource));
        }
        if self.scopes.insert(scope) {
            size += columns.scope_attributes.row_size(at(scope));
        }
        size
    }
}

fn primitive<T: arrow_array::types::ArrowPrimitiveType>(
    values: impl Iterator<Item = T::Native>,
) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::from_iter_values(values))
}

fn names(rows: impl Iterator<Item = &'static str>) -> Result<ArrayRef> {
    Ok(Arc::new(gather::strings(rows.map(str::as_bytes))?))
}

/// The table's schema, with dictionaries where the arrays are such.
fn batch_schema(table: &SchemaRef, arrays: &[ArrayRef]) -> SchemaRef {
    let fields: Vec<Field> = table
        .fields()
        .iter()
        .zip(arrays)
        .map(|(field, array)| {
            Field::new(field.name(), array.data_type().clone(), field.is_nullable())
        })
        .collect();
    Arc::new(Schema::new(fields))
}
