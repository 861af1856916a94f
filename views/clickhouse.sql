-- inrush's Parquet files as the tables of the OpenTelemetry exporter for ClickHouse, in ClickHouse.
--
--   cd /where/the/server/runs && clickhouse local --multiquery < views/clickhouse.sql
--
-- Column names, types and order are the exporter's; Tenant is added at the end. A ClickHouse server reads below its
-- `user_files`: put a link there, or use `s3(…)`. A table's folder must exist: run this after the first data of each kind.
-- Samples of Prometheus have no type of their own and stand in otel_metrics_gauge; for theirs see metric_metadata.

-- A series is written again each day: read it as a set.
CREATE OR REPLACE VIEW metric_series AS
SELECT * FROM file('inrush-data/store/metric_series/*/*.parquet', Parquet) LIMIT 1 BY SeriesId, Tenant;

CREATE OR REPLACE VIEW metric_samples AS SELECT * FROM file('inrush-data/store/metric_samples/*/*.parquet', Parquet);
CREATE OR REPLACE VIEW metric_histograms AS SELECT * FROM file('inrush-data/store/metric_histograms/*/*.parquet', Parquet);
CREATE OR REPLACE VIEW metric_exemplars AS SELECT * FROM file('inrush-data/store/metric_exemplars/*/*.parquet', Parquet);

-- An exemplar belongs to the first point of its series that is not older.
CREATE OR REPLACE VIEW metric_samples_exemplars AS
SELECT
    SeriesId, Tenant, PointTimestamp AS Timestamp,
    groupArray(Attributes) AS FilteredAttributes, groupArray(ExemplarTimestamp) AS TimeUnix, groupArray(Value) AS Value,
    groupArray(SpanId) AS SpanId, groupArray(TraceId) AS TraceId
FROM (
    SELECT
        exemplar.SeriesId AS SeriesId, exemplar.Tenant AS Tenant, point.Timestamp AS PointTimestamp,
        exemplar.Timestamp AS ExemplarTimestamp, exemplar.Attributes AS Attributes, exemplar.Value AS Value,
        exemplar.SpanId AS SpanId, exemplar.TraceId AS TraceId
    FROM metric_exemplars AS exemplar
    ASOF JOIN metric_samples AS point
        ON exemplar.SeriesId = point.SeriesId AND exemplar.Tenant = point.Tenant AND exemplar.Timestamp <= point.Timestamp
    ORDER BY exemplar.Timestamp
)
GROUP BY SeriesId, Tenant, PointTimestamp;

-- An exemplar belongs to the first point of its series that is not older.
CREATE OR REPLACE VIEW metric_histograms_exemplars AS
SELECT
    SeriesId, Tenant, PointTimestamp AS Timestamp,
    groupArray(Attributes) AS FilteredAttributes, groupArray(ExemplarTimestamp) AS TimeUnix, groupArray(Value) AS Value,
    groupArray(SpanId) AS SpanId, groupArray(TraceId) AS TraceId
FROM (
    SELECT
        exemplar.SeriesId AS SeriesId, exemplar.Tenant AS Tenant, point.Timestamp AS PointTimestamp,
        exemplar.Timestamp AS ExemplarTimestamp, exemplar.Attributes AS Attributes, exemplar.Value AS Value,
        exemplar.SpanId AS SpanId, exemplar.TraceId AS TraceId
    FROM metric_exemplars AS exemplar
    ASOF JOIN metric_histograms AS point
        ON exemplar.SeriesId = point.SeriesId AND exemplar.Tenant = point.Tenant AND exemplar.Timestamp <= point.Timestamp
    ORDER BY exemplar.Timestamp
)
GROUP BY SeriesId, Tenant, PointTimestamp;

CREATE OR REPLACE VIEW otel_metrics_gauge AS
SELECT
    series.ResourceAttributes AS ResourceAttributes,
    '' AS ResourceSchemaUrl,
    series.ScopeName AS ScopeName,
    series.ScopeVersion AS ScopeVersion,
    series.ScopeAttributes AS ScopeAttributes,
    toUInt32(0) AS ScopeDroppedAttrCount,
    '' AS ScopeSchemaUrl,
    series.ServiceName AS ServiceName,
    series.MetricName AS MetricName,
    series.Description AS MetricDescription,
    series.Unit AS MetricUnit,
    series.Labels AS Attributes,
    point.StartTimestamp AS StartTimeUnix,
    point.Timestamp AS TimeUnix,
    point.Value AS Value,
    point.Flags AS Flags,
    exemplars.FilteredAttributes AS `Exemplars.FilteredAttributes`,
    exemplars.TimeUnix AS `Exemplars.TimeUnix`,
    exemplars.Value AS `Exemplars.Value`,
    exemplars.SpanId AS `Exemplars.SpanId`,
    exemplars.TraceId AS `Exemplars.TraceId`,
    point.Tenant AS Tenant
FROM metric_samples AS point
JOIN metric_series AS series ON point.SeriesId = series.SeriesId AND point.Tenant = series.Tenant
LEFT JOIN metric_samples_exemplars AS exemplars
    ON point.SeriesId = exemplars.SeriesId AND point.Tenant = exemplars.Tenant AND point.Timestamp = exemplars.Timestamp
WHERE series.MetricType <> 'sum';

CREATE OR REPLACE VIEW otel_metrics_sum AS
SELECT
    series.ResourceAttributes AS ResourceAttributes,
    '' AS ResourceSchemaUrl,
    series.ScopeName AS ScopeName,
    series.ScopeVersion AS ScopeVersion,
    series.ScopeAttributes AS ScopeAttributes,
    toUInt32(0) AS ScopeDroppedAttrCount,
    '' AS ScopeSchemaUrl,
    series.ServiceName AS ServiceName,
    series.MetricName AS MetricName,
    series.Description AS MetricDescription,
    series.Unit AS MetricUnit,
    series.Labels AS Attributes,
    point.StartTimestamp AS StartTimeUnix,
    point.Timestamp AS TimeUnix,
    point.Value AS Value,
    point.Flags AS Flags,
    exemplars.FilteredAttributes AS `Exemplars.FilteredAttributes`,
    exemplars.TimeUnix AS `Exemplars.TimeUnix`,
    exemplars.Value AS `Exemplars.Value`,
    exemplars.SpanId AS `Exemplars.SpanId`,
    exemplars.TraceId AS `Exemplars.TraceId`,
    toInt32(indexOf(['delta', 'cumulative'], lower(series.Temporality))) AS AggregationTemporality,
    series.IsMonotonic AS IsMonotonic,
    point.Tenant AS Tenant
FROM metric_samples AS point
JOIN metric_series AS series ON point.SeriesId = series.SeriesId AND point.Tenant = series.Tenant
LEFT JOIN metric_samples_exemplars AS exemplars
    ON point.SeriesId = exemplars.SeriesId AND point.Tenant = exemplars.Tenant AND point.Timestamp = exemplars.Timestamp
WHERE series.MetricType = 'sum';

CREATE OR REPLACE VIEW otel_metrics_histogram AS
SELECT
    series.ResourceAttributes AS ResourceAttributes,
    '' AS ResourceSchemaUrl,
    series.ScopeName AS ScopeName,
    series.ScopeVersion AS ScopeVersion,
    series.ScopeAttributes AS ScopeAttributes,
    toUInt32(0) AS ScopeDroppedAttrCount,
    '' AS ScopeSchemaUrl,
    series.ServiceName AS ServiceName,
    series.MetricName AS MetricName,
    series.Description AS MetricDescription,
    series.Unit AS MetricUnit,
    series.Labels AS Attributes,
    point.StartTimestamp AS StartTimeUnix,
    point.Timestamp AS TimeUnix,
    toUInt64(point.Count) AS Count,
    coalesce(point.Sum, 0.) AS Sum,
    CAST(point.BucketCounts AS Array(UInt64)) AS BucketCounts,
    point.Bounds AS ExplicitBounds,
    exemplars.FilteredAttributes AS `Exemplars.FilteredAttributes`,
    exemplars.TimeUnix AS `Exemplars.TimeUnix`,
    exemplars.Value AS `Exemplars.Value`,
    exemplars.SpanId AS `Exemplars.SpanId`,
    exemplars.TraceId AS `Exemplars.TraceId`,
    point.Flags AS Flags,
    coalesce(point.Min, 0.) AS Min,
    coalesce(point.Max, 0.) AS Max,
    toInt32(indexOf(['delta', 'cumulative'], lower(series.Temporality))) AS AggregationTemporality,
    point.Tenant AS Tenant
FROM metric_histograms AS point
JOIN metric_series AS series ON point.SeriesId = series.SeriesId AND point.Tenant = series.Tenant
LEFT JOIN metric_histograms_exemplars AS exemplars
    ON point.SeriesId = exemplars.SeriesId AND point.Tenant = exemplars.Tenant AND point.Timestamp = exemplars.Timestamp
WHERE point.Kind = 'classic';

CREATE OR REPLACE VIEW otel_metrics_exponential_histogram AS
SELECT
    series.ResourceAttributes AS ResourceAttributes,
    '' AS ResourceSchemaUrl,
    series.ScopeName AS ScopeName,
    series.ScopeVersion AS ScopeVersion,
    series.ScopeAttributes AS ScopeAttributes,
    toUInt32(0) AS ScopeDroppedAttrCount,
    '' AS ScopeSchemaUrl,
    series.ServiceName AS ServiceName,
    series.MetricName AS MetricName,
    series.Description AS MetricDescription,
    series.Unit AS MetricUnit,
    series.Labels AS Attributes,
    point.StartTimestamp AS StartTimeUnix,
    point.Timestamp AS TimeUnix,
    toUInt64(point.Count) AS Count,
    coalesce(point.Sum, 0.) AS Sum,
    point.Scale AS Scale,
    toUInt64(point.ZeroCount) AS ZeroCount,
    point.PositiveOffset AS PositiveOffset,
    CAST(point.PositiveCounts AS Array(UInt64)) AS PositiveBucketCounts,
    point.NegativeOffset AS NegativeOffset,
    CAST(point.NegativeCounts AS Array(UInt64)) AS NegativeBucketCounts,
    exemplars.FilteredAttributes AS `Exemplars.FilteredAttributes`,
    exemplars.TimeUnix AS `Exemplars.TimeUnix`,
    exemplars.Value AS `Exemplars.Value`,
    exemplars.SpanId AS `Exemplars.SpanId`,
    exemplars.TraceId AS `Exemplars.TraceId`,
    point.Flags AS Flags,
    coalesce(point.Min, 0.) AS Min,
    coalesce(point.Max, 0.) AS Max,
    toInt32(indexOf(['delta', 'cumulative'], lower(series.Temporality))) AS AggregationTemporality,
    point.Tenant AS Tenant
FROM metric_histograms AS point
JOIN metric_series AS series ON point.SeriesId = series.SeriesId AND point.Tenant = series.Tenant
LEFT JOIN metric_histograms_exemplars AS exemplars
    ON point.SeriesId = exemplars.SeriesId AND point.Tenant = exemplars.Tenant AND point.Timestamp = exemplars.Timestamp
WHERE point.Kind IN ('exponential', 'native');

CREATE OR REPLACE VIEW otel_metrics_summary AS
SELECT
    series.ResourceAttributes AS ResourceAttributes,
    '' AS ResourceSchemaUrl,
    series.ScopeName AS ScopeName,
    series.ScopeVersion AS ScopeVersion,
    series.ScopeAttributes AS ScopeAttributes,
    toUInt32(0) AS ScopeDroppedAttrCount,
    '' AS ScopeSchemaUrl,
    series.ServiceName AS ServiceName,
    series.MetricName AS MetricName,
    series.Description AS MetricDescription,
    series.Unit AS MetricUnit,
    series.Labels AS Attributes,
    point.StartTimestamp AS StartTimeUnix,
    point.Timestamp AS TimeUnix,
    toUInt64(point.Count) AS Count,
    coalesce(point.Sum, 0.) AS Sum,
    point.Quantiles.Quantile AS `ValueAtQuantiles.Quantile`,
    point.Quantiles.Value AS `ValueAtQuantiles.Value`,
    point.Flags AS Flags,
    point.Tenant AS Tenant
FROM metric_histograms AS point
JOIN metric_series AS series ON point.SeriesId = series.SeriesId AND point.Tenant = series.Tenant
WHERE point.Kind = 'summary';

CREATE OR REPLACE VIEW otel_traces AS
SELECT
    Timestamp, TraceId, SpanId, ParentSpanId, TraceState, SpanName, SpanKind, ServiceName, ResourceAttributes,
    ScopeName, ScopeVersion, SpanAttributes, Duration, StatusCode, StatusMessage,
    Events.Timestamp AS `Events.Timestamp`, Events.Name AS `Events.Name`, Events.Attributes AS `Events.Attributes`,
    Links.TraceId AS `Links.TraceId`, Links.SpanId AS `Links.SpanId`, Links.TraceState AS `Links.TraceState`,
    Links.Attributes AS `Links.Attributes`, Tenant
FROM file('inrush-data/store/spans/*/*.parquet', Parquet);

CREATE OR REPLACE VIEW otel_logs AS
SELECT
    Timestamp, toDateTime(Timestamp) AS TimestampTime, TraceId, SpanId, toUInt8(TraceFlags) AS TraceFlags,
    SeverityText, toUInt8(greatest(SeverityNumber, 0)) AS SeverityNumber, ServiceName, Body, ResourceSchemaUrl,
    ResourceAttributes, ScopeSchemaUrl, ScopeName, ScopeVersion, ScopeAttributes, LogAttributes, EventName, Tenant
FROM file('inrush-data/store/logs/*/*.parquet', Parquet);
