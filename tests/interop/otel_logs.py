"""The OpenTelemetry Python SDK: logs over OTLP/HTTP protobuf, in all its codings.

Every attribute type there is, trace context of an active span, resource and scope; the key in its
own header and as Basic password. A wrong key must end in a failure that the SDK reports, and in no
row.
"""

import base64
import json
import logging

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import (
    BatchLogRecordProcessor,
    LogRecordExportResult,
    SimpleLogRecordProcessor,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from support import KEY, TENANT, WORK, Server, equal, finish, scenario

BASIC = "Basic " + base64.b64encode(f"groundcover:{KEY}".encode()).decode()
TIME = 1_700_000_000_123_456_789

ATTRIBUTES = {
    "text": "käse 🧀 \"quoted\"\n\x00end",
    "empty": "",
    "yes": True,
    "no": False,
    "int": 42,
    "least": -(2**63),
    "most": 2**63 - 1,
    "double": 0.1,
    "whole double": 3.0,
    "bytes": b"\x00\xff\xfe",
    "none": None,
    "texts": ["a", "b"],
    "ints": [1, 2, 3],
    "mixed": ["a", 1, 2.5, True, None, b"\x01"],
    "nested": {"inner": {"deep": [1, {"x": "y"}]}, "none": None},
    "http.request.header.x": ["one"],
}
# Text stays as it is; all else is JSON, bytes in base64, an empty value empty text.
STORED = {
    "text": "käse 🧀 \"quoted\"\n\x00end",
    "empty": "",
    "yes": "true",
    "no": "false",
    "int": "42",
    "least": str(-(2**63)),
    "most": str(2**63 - 1),
    "double": "0.1",
    "bytes": "\"AP/+\"",
    "none": "",
}
STORED_JSON = {
    "whole double": 3.0,
    "texts": ["a", "b"],
    "ints": [1, 2, 3],
    "mixed": ["a", 1, 2.5, True, None, "AQ=="],
    "nested": {"inner": {"deep": [1, {"x": "y"}]}, "none": None},
    "http.request.header.x": ["one"],
}
BODIES = {
    "text": ("plain text ä", "plain text ä"),
    "int": (7, 7),
    "map": ({"event": "login", "ok": True, "ids": [1, 2]}, {"event": "login", "ok": True, "ids": [1, 2]}),
    "array": (["x", 1.5, None], ["x", 1.5, None]),
    "bytes": (b"\x00\x01\x02", "AAEC"),
}


class Remembering(OTLPLogExporter):
    """The SDK's exporter, and what it answered the SDK."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.results = []

    def export(self, batch):
        self.results.append(super().export(batch))
        return self.results[-1]


def provider(server, service, compression, headers, processor=BatchLogRecordProcessor):
    exporter = Remembering(
        endpoint=f"{server.url}/v1/logs", compression=compression, headers=headers, timeout=5
    )
    resource = Resource({
        "service.name": service,
        "service.instance.id": "i-1",
        "host.cpus": 2,
        "host.tags": ("a", "b"),
    }, schema_url="https://opentelemetry.io/schemas/1.27.0")
    logs = LoggerProvider(resource=resource)
    logs.add_log_record_processor(processor(exporter))
    return logs, exporter


def send(server, compression, headers):
    service = f"shop-{compression.value}"
    logs, exporter = provider(server, service, compression, headers)
    logger = logs.get_logger(
        "interop.scope", "1.2.3", schema_url="https://example.com/scope", attributes={"team": "red"}
    )
    spans = TracerProvider(resource=Resource({})).get_tracer("interop")
    with spans.start_as_current_span("work") as span:
        context = span.get_span_context()
        logger.emit(LogRecord(
            timestamp=TIME, observed_timestamp=TIME + 1, body="with everything",
            severity_number=SeverityNumber.WARN3, severity_text="WARNING",
            attributes=ATTRIBUTES, event_name="interop.event",
        ))
    for name, (body, _) in BODIES.items():
        logger.emit(LogRecord(
            timestamp=TIME, body=body, severity_number=SeverityNumber.FATAL,
            attributes={"body.kind": name},
        ))
    # Enough for several requests, and for a body that is worth compressing.
    for index in range(2000):
        logger.emit(LogRecord(observed_timestamp=TIME + index, body=f"row {index}", attributes={"index": index}))
    assert logs.force_flush(), "flushed"
    logs.shutdown()
    assert exporter.results and set(exporter.results) == {LogRecordExportResult.SUCCESS}, exporter.results
    return service, context


def check(server, service, context):
    found = [row for row in server.rows("logs") if row["ServiceName"] == service]
    equal(len(found), 1 + len(BODIES) + 2000, f"rows of {service}")
    for row in found:
        equal((row["Tenant"], row["Protocol"]), (TENANT, "otlp"), "tenant and protocol")
        equal((row["ScopeName"], row["ScopeVersion"]), ("interop.scope", "1.2.3"), "scope")
        equal(row["ScopeAttributes"], {"team": "red"}, "scope attributes")
        equal(row["ScopeSchemaUrl"], "https://example.com/scope", "scope schema")
        equal(row["ResourceSchemaUrl"], "https://opentelemetry.io/schemas/1.27.0", "resource schema")
        resource = row["ResourceAttributes"]
        equal(resource["service.name"], service, "service.name")
        equal(resource["service.instance.id"], "i-1", "service.instance.id")
        equal(resource["host.cpus"], "2", "host.cpus")
        equal(json.loads(resource["host.tags"]), ["a", "b"], "host.tags")

    full = next(row for row in found if row["Body"] == "with everything")
    equal((full["Timestamp"], full["ObservedTimestamp"]), (TIME, TIME + 1), "times")
    equal((full["SeverityNumber"], full["SeverityText"]), (15, "WARNING"), "severity")
    equal(full["EventName"], "interop.event", "event name")
    equal(full["TraceId"], f"{context.trace_id:032x}", "trace id")
    equal(full["SpanId"], f"{context.span_id:016x}", "span id")
    equal(full["TraceFlags"], int(context.trace_flags) & 0xFF, "trace flags")
    attributes = full["LogAttributes"]
    equal(set(attributes), set(STORED) | set(STORED_JSON), "attribute names")
    for name, value in STORED.items():
        equal(attributes[name], value, f"attribute {name}")
    for name, value in STORED_JSON.items():
        equal(json.loads(attributes[name]), value, f"attribute {name}")

    for name, (_, body) in BODIES.items():
        row = next(row for row in found if row["LogAttributes"].get("body.kind") == name)
        stored = row["Body"] if name == "text" else json.loads(row["Body"])
        equal(stored, body, f"body {name}")
        equal((row["TraceId"], row["SpanId"], row["SeverityNumber"]), ("", "", 21), "no span, fatal")

    indexes = {}
    for row in found:
        if "index" in row["LogAttributes"]:
            index = int(row["LogAttributes"]["index"])
            equal(row["Body"], f"row {index}", "body and attribute of the same row")
            # Without a time of its own the observed one stands for it.
            equal(row["Timestamp"], TIME + index, "time of a row that has only the observed one")
            indexes[index] = indexes.get(index, 0) + 1
    equal(indexes, dict.fromkeys(range(2000), 1), "each index once")


def main():
    logging.disable(logging.CRITICAL)  # The SDK tells of the refusal that is provoked.
    server = Server(WORK)
    for compression, headers, way in [
        (Compression.NoCompression, {"apikey": KEY}, "apikey"),
        (Compression.Gzip, {"Authorization": BASIC}, "Basic"),
        (Compression.Deflate, {"apikey": KEY}, "apikey"),
    ]:
        with scenario(f"OpenTelemetry SDK logs, {compression.value}, key by {way}") as remarks:
            service, context = send(server, compression, headers)
            server.wait_until_stored()
            check(server, service, context)
            remarks.append(f"{1 + len(BODIES) + 2000} rows")

    with scenario("OpenTelemetry SDK logs, wrong key") as remarks:
        count = len(server.rows("logs"))
        wrong = "Basic " + base64.b64encode(b"groundcover:wrong").decode()
        for headers in [{"apikey": "wrong"}, {"Authorization": wrong}, {}]:
            logs, exporter = provider(
                server, "intruder", Compression.Gzip, headers, SimpleLogRecordProcessor
            )
            logs.get_logger("x").emit(LogRecord(timestamp=TIME, body="must not arrive"))
            logs.shutdown()
            equal(exporter.results, [LogRecordExportResult.FAILURE], f"result with {list(headers)}")
        server.assert_healthy()
        server.stop()
        equal(len(server.rows("logs")), count, "rows after refusals")
    finish()


main()
