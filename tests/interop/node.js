// The senders of node.py: run with the server's address and the key, prints what each was told.
"use strict";

const { createRequire } = require("node:module");
const load = createRequire(`${process.env.INTEROP_WORK}/npm/`);
const { SeverityNumber } = load("@opentelemetry/api-logs");
const { OTLPLogExporter } = load("@opentelemetry/exporter-logs-otlp-proto");
const { resourceFromAttributes } = load("@opentelemetry/resources");
const { BatchLogRecordProcessor, LoggerProvider } = load("@opentelemetry/sdk-logs");
const { pushTimeseries } = load("prometheus-remote-write");

const [url, key] = process.argv.slice(2);
const TIME = [1700000000, 123456789];

/** Sends by the SDK; answers the result codes that its exporter gave it: 0 is success. */
async function logs(service, compression, headers) {
  const exporter = new OTLPLogExporter({ url: `${url}/v1/logs`, compression, headers, timeoutMillis: 5000 });
  const codes = [];
  const send = exporter.export.bind(exporter);
  exporter.export = (batch, done) => send(batch, (result) => { codes.push(result.code); done(result); });
  const provider = new LoggerProvider({
    resource: resourceFromAttributes({ "service.name": service, "host.cpus": 2 }),
    processors: [new BatchLogRecordProcessor({ exporter })],
  });
  const logger = provider.getLogger("interop.js", "3.2.1");
  logger.emit({
    timestamp: TIME,
    observedTimestamp: TIME,
    severityNumber: SeverityNumber.ERROR,
    severityText: "ERROR",
    body: { event: "all", list: [1, "x", null] },
    attributes: {
      text: "käse 🧀",
      int: 42,
      double: 0.1,
      yes: true,
      texts: ["a", "b"],
      nested: { a: { b: [1, 2.5] } },
      bytes: new Uint8Array([0, 255, 254]),
    },
  });
  for (let index = 0; index < 1500; index++) {
    logger.emit({ timestamp: TIME, body: `row ${index}`, attributes: { index } });
  }
  await provider.forceFlush().catch(() => {});
  await provider.shutdown().catch(() => {});
  return codes;
}

/** Sends samples by a package that tells neither the coding nor the version. */
async function samples(password) {
  const series = [0, 1, 2].map((index) => ({
    labels: { __name__: "interop_js", job: "js", index: `${index}` },
    samples: [{ value: index + 0.5, timestamp: 1700000000123 }, { value: -1, timestamp: 1700000001123 }],
  }));
  const auth = { username: "groundcover", password };
  const reply = await pushTimeseries(series, { url: `${url}/api/v1/write`, auth, fetch });
  return reply.status;
}

async function main() {
  const wrong = { apikey: "wrong" };
  console.log(JSON.stringify({
    none: await logs("js-none", "none", { apikey: key }),
    gzip: await logs("js-gzip", "gzip", { authorization: `Bearer ${key}` }),
    refused: await logs("js-refused", "gzip", wrong),
    samples: await samples(key),
    samplesRefused: await samples("wrong"),
  }));
}

main();
