-- inrush's Parquet files as the tables of the OpenTelemetry exporter for ClickHouse, in DuckDB.
--
--   cd /where/the/server/runs && duckdb -init views/duckdb.sql
--
-- Column names, types and order are the exporter's; Tenant is added at the end. Nested columns are lists named
-- "Exemplars.Value" and so on. A table's folder must exist: run this after the first data of each kind came.
-- Samples of Prometheus have no type of their own and stand in otel_metrics_gauge; for theirs see metric_metadata.

-- A series is written again each day: read it as a set.
CREATE OR REPLACE VIEW metric_series AS
SELECT DISTINCT ON (SeriesId, Tenant) * FROM read_parquet('inrush-data/store/metric_series/*/*.parquet');

CREATE OR REPLACE VIEW metric_samples AS SELECT * FROM read_parquet('inrush-data/store/metric_samples/*/*.parquet');
CREATE OR REPLACE VIEW metric_histograms AS SELECT * FROM read_parquet('inrush-data/store/metric_histograms/*/*.parquet');
CREATE OR REPLACE VIEW metric_exemplars AS SELECT * FROM read_parquet('inrush-data/store/metric_exemplars/*/*.parquet');

-- An exemplar belongs to the first point of its series that is not older.
CREATE OR REPLACE VIEW metric_samples_exemplars AS
SELECT
    point.SeriesId, point.Tenant, point.Timestamp,
    list(exemplar.Attributes ORDER BY exemplar.Timestamp) AS FilteredAttributes,
    list(exemplar.Timestamp ORDER BY exemplar.Timestamp) AS TimeUnix,
    list(exemplar.Value ORDER BY exemplar.Timestamp) AS Value,
    list(exemplar.SpanId ORDER BY exemplar.Timestamp) AS SpanId,
    list(exemplar.TraceId ORDER BY exemplar.Timestamp) AS TraceId
FROM metric_exemplars AS exemplar
ASOF JOIN metric_samples AS point
    ON exemplar.SeriesId = point.SeriesId AND exemplar.Tenant = point.Tenant AND exemplar.Timestamp <= point.Timestamp
GROUP BY point.SeriesId, point.Tenant, point.Timestamp;

-- An exemplar belongs to the first point of its series that is not older.
CREATE OR REPLACE VIEW metric_histograms_exemplars AS
SELECT
    point.SeriesId, point.Tenant, point.Timestamp,
    list(exemplar.Attributes ORDER BY exemplar.Timestamp) AS FilteredAttributes,
    list(exemplar.Timestamp ORDER BY exemplar.Timestamp) AS TimeUnix,
    list(exemplar.Value ORDER BY exemplar.Timestamp) AS Value,
    list(exemplar.SpanId ORDER BY exemplar.Timestamp) AS SpanId,
    list(exemplar.TraceId ORDER BY exemplar.Timestamp) AS TraceId
FROM metric_exemplars AS exemplar
ASOF JOIN metric_histograms AS point
    ON exemplar.SeriesId = point.SeriesId AND exemplar.Tenant = point.Tenant AND exemplar.Timestamp <= point.Timestamp
GROUP BY point.SeriesId, point.Tenant, point.Timestamp;

CREATE OR REPLACE VIEW otel_metrics_gauge AS
SELECT
    series.ResourceAttributes,
    '' AS ResourceSchemaUrl,
    series.ScopeName,
    series.ScopeVersion,
    series.ScopeAttributes,
    0::UINTEGER AS ScopeDroppedAttrCount,
    '' AS ScopeSchemaUrl,
    series.ServiceName,
    series.MetricName,
    series.Description AS MetricDescription,
    series.Unit AS MetricUnit,
    series.Labels AS Attributes,
    point.StartTimestamp AS StartTimeUnix,
    point.Timestamp AS TimeUnix,
    point.Value,
    point.Flags,
    coalesce(exemplars.FilteredAttributes, []) AS "Exemplars.FilteredAttributes",
    coalesce(exemplars.TimeUnix, []) AS "Exemplars.TimeUnix",
    coalesce(exemplars.Value, []) AS "Exemplars.Value",
    coalesce(exemplars.SpanId, []) AS "Exemplars.SpanId",
    coalesce(exemplars.TraceId, []) AS "Exemplars.TraceId",
    Tenant
FROM metric_samples AS point
JOIN metric_series AS series USING (SeriesId, Tenant)
LEFT JOIN metric_samples_exemplars AS exemplars USING (SeriesId, Tenant, Timestamp)
WHERE series.MetricType <> 'sum';

CREATE OR REPLACE VIEW otel_metrics_sum AS
SELECT
    series.ResourceAttributes,
    '' AS ResourceSchemaUrl,
    series.ScopeName,
    series.ScopeVersion,
    series.ScopeAttributes,
    0::UINTEGER AS ScopeDroppedAttrCount,
    '' AS ScopeSchemaUrl,
    series.ServiceName,
    series.MetricName,
    series.Description AS MetricDescription,
    series.Unit AS MetricUnit,
    series.Labels AS Attributes,
    point.StartTimestamp AS StartTimeUnix,
    point.Timestamp AS TimeUnix,
    point.Value,
    point.Flags,
    coalesce(exemplars.FilteredAttributes, []) AS "Exemplars.FilteredAttributes",
    coalesce(exemplars.TimeUnix, []) AS "Exemplars.TimeUnix",
    coalesce(exemplars.Value, []) AS "Exemplars.Value",
    coalesce(exemplars.SpanId, []) AS "Exemplars.SpanId",
    coalesce(exemplars.TraceId, []) AS "Exemplars.TraceId",
    coalesce(list_position(['delta', 'cumulative'], lower(series.Temporality)), 0)::INTEGER AS AggregationTemporality,
    series.IsMonotonic,
    Tenant
FROM metric_samples AS point
JOIN metric_series AS series USING (SeriesId, Tenant)
LEFT JOIN metric_samples_exemplars AS exemplars USING (SeriesId, Tenant, Timestamp)
WHERE series.MetricType = 'sum';

CREATE OR REPLACE VIEW otel_metrics_histogram AS
SELECT
    series.ResourceAttributes,
    '' AS ResourceSchemaUrl,
    series.ScopeName,
    series.ScopeVersion,
    series.ScopeAttributes,
    0::UINTEGER AS ScopeDroppedAttrCount,
    '' AS ScopeSchemaUrl,
    series.ServiceName,
    series.MetricName,
    series.Description AS MetricDescription,
    series.Unit AS MetricUnit,
    series.Labels AS Attributes,
    point.StartTimestamp AS StartTimeUnix,
    point.Timestamp AS TimeUnix,
    CAST(point.Count AS UBIGINT) AS Count,
    coalesce(point.Sum, 0) AS Sum,
    CAST(point.BucketCounts AS UBIGINT[]) AS BucketCounts,
    point.Bounds AS ExplicitBounds,
    coalesce(exemplars.FilteredAttributes, []) AS "Exemplars.FilteredAttributes",
    coalesce(exemplars.TimeUnix, []) AS "Exemplars.TimeUnix",
    coalesce(exemplars.Value, []) AS "Exemplars.Value",
    coalesce(exemplars.SpanId, []) AS "Exemplars.SpanId",
    coalesce(exemplars.TraceId, []) AS "Exemplars.TraceId",
    point.Flags,
    coalesce(point.Min, 0) AS Min,
    coalesce(point.Max, 0) AS Max,
    coalesce(list_position(['delta', 'cumulative'], lower(series.Temporality)), 0)::INTEGER AS AggregationTemporality,
    Tenant
FROM metric_histograms AS point
JOIN metric_series AS series USING (SeriesId, Tenant)
LEFT JOIN metric_histograms_exemplars AS exemplars USING (SeriesId, Tenant, Timestamp)
WHERE point.Kind = 'classic';

CREATE OR REPLACE VIEW otel_metrics_exponential_histogram AS
SELECT
    series.ResourceAttributes,
    '' AS ResourceSchemaUrl,
    series.ScopeName,
    series.ScopeVersion,
    series.ScopeAttributes,
    0::UINTEGER AS ScopeDroppedAttrCount,
    '' AS ScopeSchemaUrl,
    series.ServiceName,
    series.MetricName,
    series.Description AS MetricDescription,
    series.Unit AS MetricUnit,
    series.Labels AS Attributes,
    point.StartTimestamp AS StartTimeUnix,
    point.Timestamp AS TimeUnix,
    CAST(point.Count AS UBIGINT) AS Count,
    coalesce(point.Sum, 0) AS Sum,
    point.Scale,
    CAST(point.ZeroCount AS UBIGINT) AS ZeroCount,
    point.PositiveOffset,
    CAST(point.PositiveCounts AS UBIGINT[]) AS PositiveBucketCounts,
    point.NegativeOffset,
    CAST(point.NegativeCounts AS UBIGINT[]) AS NegativeBucketCounts,
    coalesce(exemplars.FilteredAttributes, []) AS "Exemplars.FilteredAttributes",
    coalesce(exemplars.TimeUnix, []) AS "Exemplars.TimeUnix",
    coalesce(exemplars.Value, []) AS "Exemplars.Value",
    coalesce(exemplars.SpanId, []) AS "Exemplars.SpanId",
    coalesce(exemplars.TraceId, []) AS "Exemplars.TraceId",
    point.Flags,
    coalesce(point.Min, 0) AS Min,
    coalesce(point.Max, 0) AS Max,
    coalesce(list_position(['delta', 'cumulative'], lower(series.Temporality)), 0)::INTEGER AS AggregationTemporality,
    Tenant
FROM metric_histograms AS point
JOIN metric_series AS series USING (SeriesId, Tenant)
LEFT JOIN metric_histograms_exemplars AS exemplars USING (SeriesId, Tenant, Timestamp)
WHERE point.Kind IN ('exponential', 'native');

CREATE OR REPLACE VIEW otel_metrics_summary AS
SELECT
    series.ResourceAttributes,
    '' AS ResourceSchemaUrl,
    series.ScopeName,
    series.ScopeVersion,
    series.ScopeAttributes,
    0::UINTEGER AS ScopeDroppedAttrCount,
    '' AS ScopeSchemaUrl,
    series.ServiceName,
    series.MetricName,
    series.Description AS MetricDescription,
    series.Unit AS MetricUnit,
    series.Labels AS Attributes,
    point.StartTimestamp AS StartTimeUnix,
    point.Timestamp AS TimeUnix,
    CAST(point.Count AS UBIGINT) AS Count,
    coalesce(point.Sum, 0) AS Sum,
    list_transform(point.Quantiles, lambda pair: pair.Quantile) AS "ValueAtQuantiles.Quantile",
    list_transform(point.Quantiles, lambda pair: pair.Value) AS "ValueAtQuantiles.Value",
    point.Flags,
    Tenant
FROM metric_histograms AS point
JOIN metric_series AS series USING (SeriesId, Tenant)
WHERE point.Kind = 'summary';

CREATE OR REPLACE VIEW otel_traces AS
SELECT
    Timestamp, TraceId, SpanId, ParentSpanId, TraceState, SpanName, SpanKind, ServiceName, ResourceAttributes,
    ScopeName, ScopeVersion, SpanAttributes, Duration, StatusCode, StatusMessage,
    list_transform(Events, lambda event: event.Timestamp) AS "Events.Timestamp",
    list_transform(Events, lambda event: event.Name) AS "Events.Name",
    list_transform(Events, lambda event: event.Attributes) AS "Events.Attributes",
    list_transform(Links, lambda link: link.TraceId) AS "Links.TraceId",
    list_transform(Links, lambda link: link.SpanId) AS "Links.SpanId",
    list_transform(Links, lambda link: link.TraceState) AS "Links.TraceState",
    list_transform(Links, lambda link: link.Attributes) AS "Links.Attributes",
    Tenant
FROM read_parquet('inrush-data/store/spans/*/*.parquet');

CREATE OR REPLACE VIEW otel_logs AS
SELECT
    Timestamp, date_trunc('second', Timestamp::TIMESTAMPTZ) AS TimestampTime, TraceId, SpanId, CAST(TraceFlags AS UTINYINT) AS TraceFlags,
    SeverityText, CAST(greatest(SeverityNumber, 0) AS UTINYINT) AS SeverityNumber, ServiceName, Body, ResourceSchemaUrl,
    ResourceAttributes, ScopeSchemaUrl, ScopeName, ScopeVersion, ScopeAttributes, LogAttributes, EventName, Tenant
FROM read_parquet('inrush-data/store/logs/*/*.parquet');
