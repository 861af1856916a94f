// What dd-trace sends: run with the server's address; prints the spans with the identifiers that it drew.
"use strict";

const { createRequire } = require("node:module");
const load = createRequire(`${process.env.INTEROP_WORK}/npm/`);
const [url] = process.argv.slice(2);
const tracer = load("dd-trace").init({
  url, service: "shop-js", env: "interop", version: "3.2.1", startupLogs: false, flushInterval: 300, plugins: false,
});

const START = 1700000000000;
const made = [];

function end(span, start, duration) {
  span.finish(START + start + duration);
  const context = span.context();
  made.push({
    trace: context.toTraceId(true).padStart(32, "0"),
    span: context.toSpanId(true).padStart(16, "0"),
    name: context._name, start, duration,
  });
}

const root = tracer.startSpan("web.request", {
  startTime: START + 1,
  tags: { "resource.name": "GET /käse/{id}", "span.type": "web", "span.kind": "server", text: "käse \"🧀\"\n", yes: true, ratio: 0.1, int: -42 },
});
const child = tracer.startSpan("db.query", {
  startTime: START + 2, childOf: root, tags: { "service.name": "shop-db", "span.type": "sql", "span.kind": "client" },
});
const error = new TypeError("broken käse");
// The engine's own names the folder that this file lies in.
error.stack = "TypeError: broken käse\n    at buy (shop.js:7:1)\n";
child.setTag("error", error);
end(child, 2, 123);
const linked = tracer.startSpan("queue.send", { startTime: START + 3, childOf: root, tags: { "span.kind": "producer" } });
linked.addLink({ context: child.context(), attributes: { "link.kind": "follows", n: 7 } });
linked.addEvent("rich", { text: "käse", yes: true, int: -3, double: 0.5, texts: ["a", "b"] }, START + 4);
end(linked, 3, 0);
end(root, 1, 2500);
const last = tracer.startSpan("last", { startTime: START });
end(last, 0, 1);

console.log(JSON.stringify(made));
// Both traces go in one body, 300 ms after the first.
setTimeout(() => process.exit(0), 1500);
