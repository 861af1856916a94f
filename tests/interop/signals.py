"""What the OpenTelemetry Python SDK sends in all three signals, over OTLP/HTTP protobuf or gRPC.

Every kind of instrument, span, link, event and attribute that the SDK knows. `otel_signals.py` sends it
to the real binary, `record_vectors.py` records it.
"""

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc import _log_exporter as grpc_log
from opentelemetry.exporter.otlp.proto.grpc import metric_exporter as grpc_metric
from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as grpc_trace
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.metrics import Observation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

HTTP = OTLPSpanExporter, OTLPLogExporter, OTLPMetricExporter
GRPC = grpc_trace.OTLPSpanExporter, grpc_log.OTLPLogExporter, grpc_metric.OTLPMetricExporter

TIME = 1_700_000_000_123_456_789
ATTRIBUTES = {"text": "käse 🧀", "yes": True, "int": -42, "double": 0.1, "whole": 3.0, "texts": ["a", "b"], "ints": [1, 2]}


def send(url, headers, service, credentials=None, compression=Compression.Gzip):
    """Emits and flushes everything; with credentials over gRPC. A refusal shows in the rows that are missing."""
    resource = Resource({"service.name": service, "host.cpus": 2})

    def options(signal):
        if credentials is not None:
            return {"endpoint": url, "headers": headers, "compression": compression, "credentials": credentials}
        return {"endpoint": f"{url}/v1/{signal}", "headers": headers, "compression": compression}

    spans, records, metrics = GRPC if credentials is not None else HTTP
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(spans(**options("traces"))))
    tracer = tracers.get_tracer("interop.traces", "1.2", attributes={"scope": "t"})
    foreign = SpanContext(0x11, 0x22, True, TraceFlags(1), TraceState([("vendor", "x")]))

    logs = LoggerProvider(resource=resource)
    logs.add_log_record_processor(BatchLogRecordProcessor(records(**options("logs"))))
    logger = logs.get_logger("interop.logs", "0.1")

    reader = PeriodicExportingMetricReader(metrics(**options("metrics")), 3_600_000)
    meters = MeterProvider(
        [reader], resource=resource, exemplar_filter=AlwaysOnExemplarFilter(),
        views=[View(instrument_name="interop.exponential", aggregation=ExponentialBucketHistogramAggregation())],
    )
    meter = meters.get_meter("interop.metrics", "2.0")
    requests = meter.create_counter("interop.requests", "1", "Requests taken")
    level = meter.create_up_down_counter("interop.level", "By")
    latency = meter.create_histogram("interop.latency", "ms", "How long", explicit_bucket_boundaries_advisory=[1, 10, 100])
    exponential = meter.create_histogram("interop.exponential", "s")
    meter.create_observable_gauge("interop.temperature", [lambda _: [Observation(21.5, {"room": "a"}), Observation(-3, {"room": "b"})]], "Cel")
    meter.create_gauge("interop.setting").set(2**60, {"big": "yes"})

    server = tracer.start_span("GET /käse", kind=SpanKind.SERVER, attributes=ATTRIBUTES, start_time=TIME)
    with trace.use_span(server, end_on_exit=False):
        client = tracer.start_span("call", kind=SpanKind.CLIENT, start_time=TIME + 1000, links=[Link(foreign, {"why": "batch", "n": 7})])
        client.add_event("retry", {"attempt": 2}, TIME + 1500)
        client.add_event("bare", timestamp=TIME + 1600)
        client.set_status(Status(StatusCode.ERROR, "timed out"))
        client.end(TIME + 2500)
        for value in (0.5, 5, 50, 500):
            latency.record(value, {"path": "/"})
            exponential.record(value, {"path": "/"})
        exponential.record(0, {"path": "/"})
        requests.add(3, {"path": "/", "ok": True})
        requests.add(1.5, {"path": "/float"})
        level.add(-5)
        logger.emit(LogRecord(
            timestamp=TIME, observed_timestamp=TIME + 1, severity_text="WARN", severity_number=SeverityNumber.WARN,
            body={"text": "a", "list": [1, 2.5, None]}, attributes=ATTRIBUTES, context=None, event_name="interop.event",
        ))
    server.set_status(Status(StatusCode.OK))
    server.end(TIME + 5_000_000)
    internal = tracer.start_span("internal", kind=SpanKind.INTERNAL, start_time=TIME)
    internal.end(TIME)
    logger.emit(LogRecord(timestamp=TIME, observed_timestamp=TIME + 2, body="plain", severity_number=SeverityNumber.INFO))

    for provider in (tracers, logs, meters):
        # Flushes too; flushed twice, metrics would be sent twice.
        provider.shutdown()
