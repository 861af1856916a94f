// What the OpenTelemetry JavaScript SDK sends in all three signals: run with the server's address, the key,
// `json`, `protobuf` or `grpc`, a service name, and for gRPC the certificate to trust. Prints the exporters' result codes: 0 is success.
"use strict";

const { readFileSync } = require("node:fs");
const { createRequire } = require("node:module");
const load = createRequire(`${process.env.INTEROP_WORK}/npm/`);
const api = load("@opentelemetry/api");
const { SeverityNumber } = load("@opentelemetry/api-logs");
const { resourceFromAttributes } = load("@opentelemetry/resources");
const { BatchSpanProcessor, NodeTracerProvider } = load("@opentelemetry/sdk-trace-node");
const { BatchLogRecordProcessor, LoggerProvider } = load("@opentelemetry/sdk-logs");
const { AggregationType, MeterProvider, PeriodicExportingMetricReader } = load("@opentelemetry/sdk-metrics");

const [url, key, form, service, certificate] = process.argv.slice(2);
const suffix = { json: "http", protobuf: "proto", grpc: "grpc" }[form];
const { OTLPTraceExporter } = load(`@opentelemetry/exporter-trace-otlp-${suffix}`);
const { OTLPLogExporter } = load(`@opentelemetry/exporter-logs-otlp-${suffix}`);
const { OTLPMetricExporter } = load(`@opentelemetry/exporter-metrics-otlp-${suffix}`);

const TIME = 1700000000;
const at = (nanos) => [TIME, 123456000 + nanos];
const ATTRIBUTES = { text: "käse 🧀", yes: true, int: -42, double: 0.1, texts: ["a", "b"], ints: [1, 2] };

function overGrpc() {
  const { Metadata, credentials } = load("@grpc/grpc-js");
  const metadata = new Metadata();
  metadata.set("apikey", key);
  return { url, metadata, credentials: credentials.createSsl(readFileSync(certificate)), compression: "gzip", timeoutMillis: 5000 };
}

const codes = { logs: [], traces: [], metrics: [] };
function exporter(Exporter, signal) {
  const made = form === "grpc" ? new Exporter(overGrpc()) : new Exporter({ url: `${url}/v1/${signal}`, headers: { apikey: key }, compression: form === "json" ? "none" : "gzip", timeoutMillis: 5000 });
  const send = made.export.bind(made);
  made.export = (batch, done) => send(batch, (result) => { codes[signal].push(result.code); done(result); });
  return made;
}

async function main() {
  const resource = resourceFromAttributes({ "service.name": service, "host.cpus": 2 });
  const traces = new NodeTracerProvider({ resource, spanProcessors: [new BatchSpanProcessor(exporter(OTLPTraceExporter, "traces"))] });
  traces.register();
  const tracer = traces.getTracer("interop.traces", "1.2");
  const logs = new LoggerProvider({ resource, processors: [new BatchLogRecordProcessor({ exporter: exporter(OTLPLogExporter, "logs") })] });
  const logger = logs.getLogger("interop.logs", "0.1");
  const metrics = new MeterProvider({
    resource,
    readers: [new PeriodicExportingMetricReader({ exporter: exporter(OTLPMetricExporter, "metrics"), exportIntervalMillis: 3600000 })],
    views: [{ instrumentName: "interop.exponential", aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } }],
  });
  const meter = metrics.getMeter("interop.metrics", "2.0");
  meter.createCounter("interop.requests", { unit: "1", description: "Requests taken" }).add(3, { path: "/", ok: true });
  meter.createUpDownCounter("interop.level", { unit: "By" }).add(-5);
  const latency = meter.createHistogram("interop.latency", { unit: "ms", description: "How long", advice: { explicitBucketBoundaries: [1, 10, 100] } });
  const exponential = meter.createHistogram("interop.exponential", { unit: "s" });
  for (const value of [0.5, 5, 50, 500]) {
    latency.record(value, { path: "/" });
    exponential.record(value, { path: "/" });
  }
  exponential.record(0, { path: "/" });
  meter.createObservableGauge("interop.temperature", { unit: "Cel" }).addCallback((result) => {
    result.observe(21.5, { room: "a" });
    result.observe(-3, { room: "b" });
  });

  const server = tracer.startSpan("GET /käse", { kind: api.SpanKind.SERVER, attributes: ATTRIBUTES, startTime: at(0) });
  const inside = api.trace.setSpan(api.context.active(), server);
  const foreign = { traceId: "00000000000000000000000000000011", spanId: "0000000000000022", traceFlags: 1 };
  const client = tracer.startSpan("call", { kind: api.SpanKind.CLIENT, startTime: at(1000), links: [{ context: foreign, attributes: { why: "batch", n: 7 } }] }, inside);
  client.addEvent("retry", { attempt: 2 }, at(1500));
  client.addEvent("bare", at(1600));
  client.setStatus({ code: api.SpanStatusCode.ERROR, message: "timed out" });
  client.end(at(2500));
  logger.emit({ timestamp: at(0), observedTimestamp: at(1), severityNumber: SeverityNumber.WARN, severityText: "WARN", eventName: "interop.event", context: inside, body: { text: "a", list: [1, 2.5, null] }, attributes: ATTRIBUTES });
  logger.emit({ timestamp: at(0), observedTimestamp: at(2), severityNumber: SeverityNumber.INFO, body: "plain" });
  server.setStatus({ code: api.SpanStatusCode.OK });
  server.end(at(5000000));
  tracer.startSpan("internal", { kind: api.SpanKind.INTERNAL, startTime: at(0) }).end(at(0));

  for (const provider of [traces, logs, metrics]) {
    // Flushes too; flushed twice, metrics would be sent twice.
    await provider.shutdown().catch(() => {});
  }
  console.log(JSON.stringify(codes));
}

main();
