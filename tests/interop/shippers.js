// What two loggers for Node write: `winston URL KEY` posts by its own transport, `pino` prints lines for
// pino-http-send to post.
"use strict";

const { createRequire } = require("node:module");
const load = createRequire(`${process.env.INTEROP_WORK}/npm/`);
const [which, url, key] = process.argv.slice(2);
const LEVELS = ["error", "warn", "info", "debug"];

function winston() {
  const { createLogger, transports, format } = load("winston");
  const { hostname: host, port } = new URL(url);
  const options = { host, port, path: "/json/logs", headers: { apikey: key }, batchInterval: 100, batchCount: 5 };
  for (const batch of [false, true]) {
    const logger = createLogger({
      level: "silly",
      format: format.combine(format((info) => ({ ...info, timestamp: "2023-11-14T22:13:20.123Z" }))(), format.json()),
      defaultMeta: { "service.name": "shop-winston" },
      transports: [new transports.Http({ ...options, batch })],
    });
    LEVELS.forEach((level, n) => logger.log(level, `käse ${n}`, { batch, n, user: { id: 7 } }));
  }
  setTimeout(() => process.exit(0), 500);
}

function pino() {
  const logger = load("pino")({ level: "trace", base: { "service.name": "shop-pino" }, timestamp: () => ',"time":1700000000123' });
  LEVELS.concat(["trace", "fatal"]).forEach((level, n) => logger[level]({ n, user: { id: 7 } }, `käse ${n}`));
}

({ winston, pino })[which]();
