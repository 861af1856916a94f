//! The tables: their names, columns and order. What is written here is what readers' queries name.
//!
//! Place: between the columns, which fill a table, and the store, which writes it. Names, types and
//! value forms follow the OpenTelemetry exporter for ClickHouse where it has them.

use std::sync::{Arc, LazyLock};

use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

/// One table of the store; also the name of its folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    Logs,
    Spans,
    MetricSeries,
    MetricSamples,
    MetricHistograms,
    MetricExemplars,
    MetricMetadata,
}

impl Table {
    pub const ALL: [Self; 7] = [
        Self::Logs,
        Self::Spans,
        Self::MetricSeries,
        Self::MetricSamples,
        Self::MetricHistograms,
        Self::MetricExemplars,
        Self::MetricMetadata,
    ];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Spans => "spans",
            Self::MetricSeries => "metric_series",
            Self::MetricSamples => "metric_samples",
            Self::MetricHistograms => "metric_histograms",
            Self::MetricExemplars => "metric_exemplars",
            Self::MetricMetadata => "metric_metadata",
        }
    }

    /// The columns by which rows ascend inside a part.
    #[must_use]
    pub const fn sorted_by(self) -> &'static [&'static str] {
        match self {
            Self::Logs | Self::Spans => &["ServiceName", "Timestamp"],
            Self::MetricSeries => &["SeriesId"],
            Self::MetricSamples | Self::MetricHistograms | Self::MetricExemplars => {
                &["SeriesId", "Timestamp"]
            }
            Self::MetricMetadata => &["MetricFamily"],
        }
    }

    #[must_use]
    pub fn schema(self) -> SchemaRef {
        static SCHEMAS: LazyLock<[SchemaRef; 7]> =
            LazyLock::new(|| Table::ALL.map(|table| Arc::new(Schema::new(fields(table)))));
        Arc::clone(&SCHEMAS[self as usize])
    }
}

/// Nanoseconds since the Unix epoch, UTC.
#[must_use]
pub(super) fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))
}

/// A map of unique keys; `text` is Utf8, or a dictionary of it on the way to the file.
pub(super) fn map_entries(key: DataType, value: DataType) -> Arc<Field> {
    let fields =
        Fields::from(vec![Field::new("key", key, false), Field::new("value", value, false)]);
    Arc::new(Field::new("key_value", DataType::Struct(fields), false))
}

fn attributes() -> DataType {
    DataType::Map(map_entries(DataType::Utf8, DataType::Utf8), false)
}

pub(super) fn element(inner: DataType) -> Arc<Field> {
    Arc::new(Field::new("element", inner, false))
}

pub(super) fn quantile_fields() -> Fields {
    Fields::from(vec![
        Field::new("Quantile", DataType::Float64, false),
        Field::new("Value", DataType::Float64, false),
    ])
}

/// One event of a span.
pub(super) const EVENT_FIELDS: [&str; 3] = ["Timestamp", "Name", "Attributes"];
/// One link of a span.
pub(super) const LINK_FIELDS: [&str; 4] = ["TraceId", "SpanId", "TraceState", "Attributes"];

fn named<const N: usize>(names: [&str; N], types: [DataType; N]) -> Fields {
    names
        .into_iter()
        .zip(types)
        .map(|(name, data_type)| Field::new(name, data_type, false))
        .collect()
}

fn fields(table: Table) -> Fields {
    let text = || DataType::Utf8;
    let double = || DataType::Float64;
    let id = || DataType::FixedSizeBinary(16);
    let doubles = || DataType::List(element(DataType::Float64));
    let structs = |fields: Fields| DataType::List(element(DataType::Struct(fields)));
    let columns: Vec<(&str, DataType)> = match table {
        Table::Logs => vec![
            ("Timestamp", timestamp()),
            ("ObservedTimestamp", timestamp()),
            ("TraceId", text()),
            ("SpanId", text()),
            ("TraceFlags", DataType::UInt32),
            ("SeverityText", text()),
            ("SeverityNumber", DataType::Int32),
            ("ServiceName", text()),
            ("Body", text()),
            ("ResourceSchemaUrl", text()),
            ("ResourceAttributes", attributes()),
            ("ScopeSchemaUrl", text()),
            ("ScopeName", text()),
            ("ScopeVersion", text()),
            ("ScopeAttributes", attributes()),
            ("LogAttributes", attributes()),
            ("EventName", text()),
            ("Tenant", text()),
            ("Protocol", text()),
        ],
        Table::Spans => vec![
            ("Timestamp", timestamp()),
            ("TraceId", text()),
            ("SpanId", text()),
            ("ParentSpanId", text()),
            ("TraceState", text()),
            ("TraceFlags", DataType::UInt32),
            ("SpanName", text()),
            ("SpanKind", text()),
            ("ServiceName", text()),
            ("ResourceAttributes", attributes()),
            ("ScopeName", text()),
            ("ScopeVersion", text()),
            ("SpanAttributes", attributes()),
            ("Duration", DataType::UInt64),
            ("StatusCode", text()),
            ("StatusMessage", text()),
            ("Events", structs(named(EVENT_FIELDS, [timestamp(), text(), attributes()]))),
            ("Links", structs(named(LINK_FIELDS, [text(), text(), text(), attributes()]))),
            ("Tenant", text()),
            ("Protocol", text()),
        ],
        Table::MetricSeries => vec![
            ("SeriesId", id()),
            ("MetricName", text()),
            ("MetricType", text()),
            ("Unit", text()),
            ("Description", text()),
            ("Temporality", text()),
            ("IsMonotonic", DataType::Boolean),
            ("Labels", attributes()),
            ("ResourceAttributes", attributes()),
            ("ScopeName", text()),
            ("ScopeVersion", text()),
            ("ScopeAttributes", attributes()),
            ("ServiceName", text()),
            ("Tenant", text()),
            ("Protocol", text()),
            ("FirstSeen", timestamp()),
        ],
        Table::MetricSamples => vec![
            ("SeriesId", id()),
            ("Timestamp", timestamp()),
            ("Value", double()),
            ("ValueInt", DataType::Int64),
            ("StartTimestamp", timestamp()),
            ("Flags", DataType::UInt32),
            ("Tenant", text()),
        ],
        Table::MetricHistograms => vec![
            ("SeriesId", id()),
            ("Timestamp", timestamp()),
            ("StartTimestamp", timestamp()),
            ("Flags", DataType::UInt32),
            ("Kind", text()),
            ("Count", double()),
            ("Sum", double()),
            ("Min", double()),
            ("Max", double()),
            ("Bounds", doubles()),
            ("BucketCounts", doubles()),
            ("Scale", DataType::Int32),
            ("ZeroThreshold", double()),
            ("ZeroCount", double()),
            ("PositiveOffset", DataType::Int32),
            ("PositiveCounts", doubles()),
            ("NegativeOffset", DataType::Int32),
            ("NegativeCounts", doubles()),
            ("CustomBounds", doubles()),
            ("Quantiles", structs(quantile_fields())),
            ("ResetHint", DataType::UInt8),
            ("Tenant", text()),
        ],
        Table::MetricExemplars => vec![
            ("SeriesId", id()),
            ("Timestamp", timestamp()),
            ("Value", double()),
            ("TraceId", text()),
            ("SpanId", text()),
            ("Attributes", attributes()),
            ("Tenant", text()),
        ],
        Table::MetricMetadata => vec![
            ("MetricFamily", text()),
            ("MetricType", text()),
            ("Unit", text()),
            ("Help", text()),
            ("Tenant", text()),
            ("LastSeen", timestamp()),
        ],
    };
    columns
        .into_iter()
        .map(|(name, data_type)| Field::new(name, data_type, is_nullable(table, name)))
        .collect()
}

/// Absent text is empty, absent time zero, as in the ClickHouse tables; only these can be null.
fn is_nullable(table: Table, column: &str) -> bool {
    matches!(
        (table, column),
        (Table::MetricSamples, "ValueInt") | (Table::MetricHistograms, "Sum" | "Min" | "Max")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names are in users' queries: this list is the design's, word by word.
    #[test]
    fn columns_stand_as_documented() {
        let expected = [
            (
                Table::Logs,
                "Timestamp ObservedTimestamp TraceId SpanId TraceFlags SeverityText SeverityNumber \
                 ServiceName Body ResourceSchemaUrl ResourceAttributes ScopeSchemaUrl ScopeName \
                 ScopeVersion ScopeAttributes LogAttributes EventName Tenant Protocol",
            ),
            (
                Table::Spans,
                "Timestamp TraceId SpanId ParentSpanId TraceState TraceFlags SpanName SpanKind \
                 ServiceName ResourceAttributes ScopeName ScopeVersion SpanAttributes Duration \
                 StatusCode StatusMessage Events Links Tenant Protocol",
            ),
            (
                Table::MetricSeries,
                "SeriesId MetricName MetricType Unit Description Temporality IsMonotonic Labels \
                 ResourceAttributes ScopeName ScopeVersion ScopeAttributes ServiceName Tenant \
                 Protocol FirstSeen",
            ),
            (Table::MetricSamples, "SeriesId Timestamp Value ValueInt StartTimestamp Flags Tenant"),
            (
                Table::MetricHistograms,
                "SeriesId Timestamp StartTimestamp Flags Kind Count Sum Min Max Bounds BucketCounts \
                 Scale ZeroThreshold ZeroCount PositiveOffset PositiveCounts NegativeOffset \
                 NegativeCounts CustomBounds Quantiles ResetHint Tenant",
            ),
            (Table::MetricExemplars, "SeriesId Timestamp Value TraceId SpanId Attributes Tenant"),
            (Table::MetricMetadata, "MetricFamily MetricType Unit Help Tenant LastSeen"),
        ];
        assert_eq!(expected.len(), Table::ALL.len());
        for (table, names) in expected {
            let schema = table.schema();
            let actual: Vec<&str> =
                schema.fields().iter().map(|field| field.name().as_str()).collect();
            assert_eq!(actual, names.split_whitespace().collect::<Vec<_>>(), "{}", table.name());
            assert!(table.sorted_by().iter().all(|name| actual.contains(name)));
        }
    }
}
