"""The views in `views/`, by DuckDB and by ClickHouse (chdb): the tables of the OpenTelemetry exporter, with its
columns and the values that were sent."""

import os
import re

import chdb.session
import duckdb

import signals
from support import KEY, ROOT, WORK, Server, equal, finish, scenario

OWNER = {
    "ResourceAttributes": "Map(String, String)", "ResourceSchemaUrl": "String", "ScopeName": "String", "ScopeVersion": "String",
    "ScopeAttributes": "Map(String, String)", "ScopeDroppedAttrCount": "UInt32", "ScopeSchemaUrl": "String",
    "ServiceName": "String", "MetricName": "String", "MetricDescription": "String", "MetricUnit": "String",
    "Attributes": "Map(String, String)", "StartTimeUnix": "DateTime64(9)", "TimeUnix": "DateTime64(9)",
}
EXEMPLARS = {
    "Exemplars.FilteredAttributes": "Array(Map(String, String))", "Exemplars.TimeUnix": "Array(DateTime64(9))",
    "Exemplars.Value": "Array(Float64)", "Exemplars.SpanId": "Array(String)", "Exemplars.TraceId": "Array(String)",
}
RANGE = {"Flags": "UInt32", "Min": "Float64", "Max": "Float64", "AggregationTemporality": "Int32"}
# The exporter's columns in its order; indexes, codecs and low cardinality aside.
COLUMNS = {
    "otel_metrics_gauge": OWNER | {"Value": "Float64", "Flags": "UInt32"} | EXEMPLARS,
    "otel_metrics_sum": OWNER | {"Value": "Float64", "Flags": "UInt32"} | EXEMPLARS | {"AggregationTemporality": "Int32", "IsMonotonic": "Bool"},
    "otel_metrics_histogram": OWNER | {"Count": "UInt64", "Sum": "Float64", "BucketCounts": "Array(UInt64)", "ExplicitBounds": "Array(Float64)"} | EXEMPLARS | RANGE,
    "otel_metrics_exponential_histogram": OWNER | {
        "Count": "UInt64", "Sum": "Float64", "Scale": "Int32", "ZeroCount": "UInt64", "PositiveOffset": "Int32",
        "PositiveBucketCounts": "Array(UInt64)", "NegativeOffset": "Int32", "NegativeBucketCounts": "Array(UInt64)",
    } | EXEMPLARS | RANGE,
    "otel_metrics_summary": OWNER | {
        "Count": "UInt64", "Sum": "Float64", "ValueAtQuantiles.Quantile": "Array(Float64)", "ValueAtQuantiles.Value": "Array(Float64)", "Flags": "UInt32",
    },
    "otel_traces": {
        "Timestamp": "DateTime64(9)", "TraceId": "String", "SpanId": "String", "ParentSpanId": "String", "TraceState": "String",
        "SpanName": "String", "SpanKind": "String", "ServiceName": "String", "ResourceAttributes": "Map(String, String)",
        "ScopeName": "String", "ScopeVersion": "String", "SpanAttributes": "Map(String, String)", "Duration": "UInt64",
        "StatusCode": "String", "StatusMessage": "String", "Events.Timestamp": "Array(DateTime64(9))", "Events.Name": "Array(String)",
        "Events.Attributes": "Array(Map(String, String))", "Links.TraceId": "Array(String)", "Links.SpanId": "Array(String)",
        "Links.TraceState": "Array(String)", "Links.Attributes": "Array(Map(String, String))",
    },
    "otel_logs": {
        "Timestamp": "DateTime64(9)", "TimestampTime": "DateTime", "TraceId": "String", "SpanId": "String", "TraceFlags": "UInt8",
        "SeverityText": "String", "SeverityNumber": "UInt8", "ServiceName": "String", "Body": "String", "ResourceSchemaUrl": "String",
        "ResourceAttributes": "Map(String, String)", "ScopeSchemaUrl": "String", "ScopeName": "String", "ScopeVersion": "String",
        "ScopeAttributes": "Map(String, String)", "LogAttributes": "Map(String, String)", "EventName": "String",
    },
}
DUCKDB = {
    "VARCHAR": "String", "DOUBLE": "Float64", "UINTEGER": "UInt32", "INTEGER": "Int32", "UBIGINT": "UInt64", "UTINYINT": "UInt8",
    "BOOLEAN": "Bool", "MAP(VARCHAR, VARCHAR)": "Map(String, String)", "TIMESTAMPTZ_NS": "DateTime64(9)",
    "TIMESTAMP WITH TIME ZONE": "DateTime64(9)", "TIMESTAMP_NS": "DateTime64(9)",
}

# What the Python SDK was told, in words that both engines know.
QUESTIONS = {
    "the counter": (
        "SELECT Value, AggregationTemporality, MetricUnit, ScopeName FROM otel_metrics_sum WHERE MetricName = 'interop.requests' AND IsMonotonic ORDER BY Value",
        [(1.5, 2, "1", "interop.metrics"), (3.0, 2, "1", "interop.metrics")],
    ),
    "the gauges": (
        "SELECT Value FROM otel_metrics_gauge WHERE MetricName = 'interop.temperature' AND ServiceName = 'views' ORDER BY Value", [(-3.0,), (21.5,)],
    ),
    "the histogram": (
        "SELECT Count, Sum, Min, Max FROM otel_metrics_histogram WHERE MetricName = 'interop.latency'", [(4, 555.5, 0.5, 500.0)],
    ),
    "the exponential histogram": (
        "SELECT Count, ZeroCount, Sum FROM otel_metrics_exponential_histogram WHERE MetricName = 'interop.exponential'", [(5, 1, 555.5)],
    ),
    "exemplars at their points": (
        'SELECT length("Exemplars.Value"), length("Exemplars.TraceId") FROM otel_metrics_histogram WHERE MetricName = \'interop.latency\'', [(4, 4)],
    ),
    "samples of Prometheus": (
        "SELECT Value FROM otel_metrics_gauge WHERE MetricName = 'views_up' ORDER BY Value", [(0.0,), (1.0,)],
    ),
    "spans": (
        'SELECT SpanName, SpanKind, StatusCode, Duration, length("Events.Name"), length("Links.SpanId") FROM otel_traces ORDER BY SpanName',
        [("GET /käse", "Server", "Ok", 5_000_000, 0, 0), ("call", "Client", "Error", 1500, 2, 1), ("internal", "Internal", "Unset", 0, 0, 0)],
    ),
    "logs": ("SELECT SeverityNumber, EventName FROM otel_logs ORDER BY SeverityNumber", [(9, ""), (13, "interop.event")]),
}


def simple(name):
    """A type of ClickHouse without what does not change its values."""
    name = re.sub(r"LowCardinality\((\w+)\)|Nullable\((\w+)\)", lambda m: m.group(1) or m.group(2), name)
    return re.sub(r"DateTime64\(9, '[^']*'\)", "DateTime64(9)", re.sub(r"DateTime\('[^']*'\)", "DateTime", name))


def of_duckdb(name):
    name = str(name)
    return f"Array({of_duckdb(name[:-2])})" if name.endswith("[]") else DUCKDB.get(name, name)


def main():
    server = Server(WORK)
    signals.send(server.url, {"apikey": KEY}, "views")
    with scenario("views: something of Prometheus besides"):
        import urllib.request
        body = b'views_up{job="a"} 1 1700000000123\nviews_up{job="b"} 0 1700000000123\n'
        request = urllib.request.Request(f"{server.url}/api/v1/import/prometheus", body, {"apikey": KEY})
        equal(urllib.request.urlopen(request, timeout=10).status, 204, "status")
    server.stop()
    os.chdir(server.folder)

    database = duckdb.connect()
    with scenario("views: DuckDB makes them all") as remarks:
        for statement in database.extract_statements((ROOT / "views/duckdb.sql").read_text()):
            database.execute(statement)
        remarks.append(f"{len(COLUMNS)} tables")
    for view, columns in COLUMNS.items():
        with scenario(f"views: DuckDB, columns of {view}"):
            described = database.execute(f"SELECT * FROM {view} LIMIT 0").description
            found = {column[0]: of_duckdb(column[1]) for column in described}
            expected = columns | {"Tenant": "String"}
            if "TimestampTime" in expected:
                found["TimestampTime"] = "DateTime"
            equal(found, expected, "types")
            equal(list(found), list(expected), "order")
    for what, (question, answer) in QUESTIONS.items():
        with scenario(f"views: DuckDB, {what}"):
            equal(database.execute(question).fetchall(), answer, question)

    session = chdb.session.Session()
    with scenario("views: ClickHouse makes them all"):
        for statement in (ROOT / "views/clickhouse.sql").read_text().split(";\n"):
            if statement.strip():
                session.query(statement)
    for view, columns in COLUMNS.items():
        with scenario(f"views: ClickHouse, columns of {view}"):
            rows = str(session.query(f"DESCRIBE TABLE {view}", "TabSeparatedRaw")).splitlines()
            found = {name: simple(kind) for name, kind in (row.split("\t")[:2] for row in rows)}
            expected = columns | {"Tenant": "String"}
            equal(found, expected, "types")
            equal(list(found), list(expected), "order")
    for what, (question, answer) in QUESTIONS.items():
        with scenario(f"views: ClickHouse, {what}"):
            rows = str(session.query(question, "TabSeparatedRaw")).splitlines()
            found = [tuple(type(value)(text) for value, text in zip(answer[0], row.split("\t"))) for row in rows]
            equal(found, answer, question)
    finish()


main()
