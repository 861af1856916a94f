"""Makes the captures of this folder from the vectors of real senders, each by one named damage or mistake.

    python tests/check/make.py

Writes NAME.body, and the head of NAME.expected (endpoint and headers) where there is none yet.
"""

import base64
import gzip
import json
import pathlib
import struct
import zlib

HERE = pathlib.Path(__file__).parent
VECTORS = HERE.parent / "vectors"

# --- small tools ---------------------------------------------------------------------------------


def varint(number):
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out + bytes([number]))


def field(number, content):
    """A field of protobuf: bytes with their length, a float as a double, an int as a varint."""
    if isinstance(content, float):
        return varint(number << 3 | 1) + struct.pack("<d", content)
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    content = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(content)) + content


def snappy(payload):
    """A valid block of literals alone."""
    out = varint(len(payload))
    for start in range(0, len(payload), 60):
        piece = payload[start : start + 60]
        out += bytes([len(piece) - 1 << 2]) + piece
    return out


def unsnappy(block):
    size = shift = at = 0
    while True:
        size |= (block[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if block[at - 1] < 0x80:
            break
    out = bytearray()
    while at < len(block):
        tag, at = block[at], at + 1
        if tag & 3 == 0:
            length = tag >> 2
            if length >= 60:
                count = length - 59
                length, at = int.from_bytes(block[at : at + count], "little"), at + count
            out += block[at : at + length + 1]
            at += length + 1
            continue
        if tag & 3 == 1:
            length, offset, at = (tag >> 2 & 7) + 4, (tag >> 5) << 8 | block[at], at + 1
        else:
            count = 2 if tag & 3 == 2 else 4
            length, offset, at = (tag >> 2) + 1, int.from_bytes(block[at : at + count], "little"), at + count
        for _ in range(length):
            out.append(out[-offset])
    assert len(out) == size
    return bytes(out)


def crc32c(data):
    crc = 0xFFFF_FFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F6_3B78 if crc & 1 else 0)
    return crc ^ 0xFFFF_FFFF


def framed(payload):
    out = b"\xff\x06\x00\x00sNaPpY"
    for start in range(0, len(payload), 65536):
        piece = payload[start : start + 65536]
        crc = crc32c(piece)
        masked = (crc >> 15 | crc << 17) + 0xA282_EAD8 & 0xFFFF_FFFF
        out += b"\x01" + (len(piece) + 4).to_bytes(3, "little") + masked.to_bytes(4, "little") + piece
    return out


def zip_(payload):
    return gzip.compress(payload, mtime=0)


def damaged(body, old, new):
    assert body.count(old) >= 1, old
    return body.replace(old, new, 1)


# --- the captures --------------------------------------------------------------------------------

WRITE, LOGS, TRACES, METRICS, JSON = "/api/v1/write", "/v1/logs", "/v1/traces", "/v1/metrics", "/json/logs"
IMPORT = "/api/v1/import/prometheus"
SERIES_1, SERIES_2, SKETCHES = "/datadog/api/v1/series", "/datadog/api/v2/series", "/datadog/api/beta/sketches"
FIREHOSE = "/firehose/logs"
TRACES_4, TRACES_5, TRACES_7, AGENT = "/v0.4/traces", "/v0.5/traces", "/v0.7/traces", "/api/v0.2/traces"
block = (VECTORS / "prometheus-2.42-samples.snappy").read_bytes()
write = unsnappy(block)
zipped_logs = (VECTORS / "opentelemetry-python-logs.protobuf.gz").read_bytes()
logs = gzip.decompress(zipped_logs)
traces_json = (VECTORS / "opentelemetry-js-traces-all.json").read_bytes()
traces = gzip.decompress((VECTORS / "opentelemetry-python-traces-all.protobuf.gz").read_bytes())
metrics = gzip.decompress((VECTORS / "opentelemetry-js-metrics-all.protobuf.gz").read_bytes())
V2 = "Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request"


def label(name, value):
    return field(1, field(1, name) + field(2, value))


def series(*labels, rest=b""):
    return field(1, b"".join(labels) + (rest or field(2, field(1, 1.0) + field(2, 1_700_000_000_123))))


def v2(symbols, refs, rest=None):
    sample = field(2, field(1, 1.0) + field(2, 1_700_000_000_123)) if rest is None else rest
    return b"".join(field(4, s) for s in symbols) + field(5, field(1, bytes(refs)) + sample)


def native(count):
    """Two buckets of three and one, none at zero."""
    span = field(11, field(1, 0) + field(2, 2))
    return field(1, count) + field(3, 10.0) + field(4, 6) + field(6, 0) + span + field(12, bytes([6, 3])) + field(15, 1_700_000_000_123)


deep_value = field(1, "end")
for _ in range(70):
    deep_value = field(5, field(1, deep_value))
deep = field(1, field(2, field(2, field(5, deep_value))))


def datadog(*points, metric="system.load.1"):
    """A MetricPayload of one gauge, as an Agent writes it: a point's time before its value."""
    host = field(1, field(1, "host") + field(2, "web-1"))
    found = b"".join(field(4, field(2, at) + field(1, value)) for at, value in points)
    return field(1, host + field(2, metric) + field(3, "env:prod") + found + field(5, 3))


def sketch(keys, counts):
    bins = field(7, bytes(2 * key for key in keys)) + field(8, bytes(counts))
    dog = field(1, 1_700_000_000) + field(2, sum(counts)) + field(3, 1.0) + field(4, 2.0) + field(6, 3.0) + bins
    return field(1, field(1, "latency") + field(2, "web-1") + field(4, "env:prod") + field(7, dog))


datadog_json = {
    "series": [
        {"metric": "system.load.1", "host": "web-1", "tags": ["env:prod"], "points": [[1700000000, 0.5], [1700000010, 0.75]]},
        {"metric": "page.views", "type": "count", "interval": 10, "host": None, "points": [[1700000000.25, 1027]]},
    ]
}
v1_series = json.dumps(datadog_json).encode()
records = [{"message": f"line {n}", "level": "info", "service": "shop"} for n in range(4)]
array = json.dumps(records).encode()
event = {"id": "37", "timestamp": 1795435200000, "message": "START RequestId: 7d8f"}
subscription = json.dumps({"messageType": "DATA_MESSAGE", "owner": "123456789012", "logGroup": "g", "logStream": "s", "subscriptionFilters": [], "logEvents": [event, event]}).encode()
control = json.dumps({"messageType": "CONTROL_MESSAGE", "owner": "CloudwatchLogs", "logGroup": "", "logStream": "", "subscriptionFilters": [], "logEvents": [event]}).encode()


def delivery(*records):
    records = [{"data": base64.b64encode(record).decode()} for record in records]
    return json.dumps({"requestId": "ed4acda5", "timestamp": 1795435200000, "records": records}).replace(", \"records\"", ",\"records\"").encode()


v04 = (VECTORS / "ddtrace-python-v0.4.msgpack").read_bytes()
v05 = (VECTORS / "ddtrace-python-v0.5.msgpack").read_bytes()
node = (VECTORS / "dd-trace-js-v0.4.msgpack").read_bytes()
one_span = {"service": "shop", "name": "web.request", "resource": "GET /", "trace_id": 11, "span_id": 12, "parent_id": 0, "start": 1700000000000000000, "duration": 250000, "error": 0}
spans_json = json.dumps([[one_span], [one_span | {"span_id": 13, "metrics": {"rows": 2.5}}]]).encode()
# AgentPayload { tracerPayloads { chunks { spans } } }
agent_spans = [field(1, "shop") + field(2, "web.request") + field(4, 11) + field(5, n) for n in (12, 0)]
agent = field(5, field(2, "go") + field(6, b"".join(field(3, span) for span in agent_spans)))


exposition = (
    b"# HELP http_requests_total Requests.\n# TYPE http_requests_total counter\n"
    b'http_requests_total{method="GET",code="200"} 1027 1700000000123\n'
    b'http_requests_total{method="POST",code="200"} 3 1700000000123\n'
)
scope_of_json = json.loads(traces_json)
base64_ids = json.dumps(scope_of_json, separators=(",", ":"), ensure_ascii=False)
span = scope_of_json["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
base64_ids = base64_ids.replace(span["traceId"], "dlkanND+Pfx80GwMWDBlMg==").encode()
CAPTURES = {
    # Remote write.
    "write-cut-off": (block[:-200], WRITE, []),
    "write-labelled-gzip": (block, WRITE, ["Content-Encoding: gzip"]),
    "write-is-gzip": (zip_(write), WRITE, []),
    "write-not-compressed": (write, WRITE, []),
    "write-framed-snappy": (framed(write), WRITE, []),
    "write-as-json": (b'{"timeseries":[]}', WRITE, ["Content-Type: application/json"]),
    "write-without-name": (snappy(series(label("job", "x"))), WRITE, []),
    "write-label-twice": (snappy(series(label("__name__", "up"), label("job", "x"), label("job", "y"))), WRITE, []),
    "write-bad-utf8": (snappy(damaged(write, b"go_gc_duration_seconds", b"go_gc_duration_secon\xff\xfe")), WRITE, []),
    "write-histogram-contradicts": (snappy(series(label("__name__", "h"), rest=field(4, native(7)))), WRITE, []),
    "write-1-labelled-2": (block, WRITE, [V2]),
    "write-2-odd-refs": (snappy(v2(["", "__name__", "up"], [1, 2, 1])), WRITE, [V2]),
    "write-2-symbol-past-end": (snappy(v2(["", "__name__", "up"], [1, 9])), WRITE, [V2]),
    "write-2-first-symbol": (snappy(v2(["__name__", "up"], [0, 1])), WRITE, [V2]),
    # OTLP.
    "otlp-gzip-cut-off": (zipped_logs[:900], LOGS, []),
    "otlp-gzip-checksum": (zipped_logs[:-8] + b"\0\0\0\0" + zipped_logs[-4:], LOGS, []),
    "otlp-gzip-and-more": (zipped_logs + b"\r\n--boundary--\r\n", LOGS, []),
    "otlp-labelled-gzip": (logs, LOGS, ["Content-Encoding: gzip"]),
    "otlp-gzip-twice": (zip_(zipped_logs), LOGS, ["Content-Type: application/x-protobuf", "Content-Encoding: gzip"]),
    "otlp-brotli": (logs[:100], LOGS, ["Content-Encoding: br"]),
    "otlp-text-type": (logs, LOGS, ["Content-Type: text/plain"]),
    "otlp-is-remote-write": (write, LOGS, []),
    "otlp-cut-off": (logs[:5000], LOGS, []),
    "otlp-depth-bomb": (deep, LOGS, []),
    "otlp-wrong-wire-type": (damaged(logs, b"\x09", b"\x0d"), LOGS, []),
    "otlp-traces-to-logs": (traces, LOGS, []),
    "otlp-bomb": (zip_(bytes(65 << 20)), LOGS, []),
    "otlp-json-comma": (damaged(traces_json, b"]}", b",]}"), TRACES, []),
    "otlp-json-base64-ids": (base64_ids, TRACES, []),
    "otlp-json-cut-off": (traces_json[:700], TRACES, []),
    "otlp-short-trace-id": (damaged(traces, b"\x0a\x10", b"\x0a\x0f"), TRACES, []),
    # JSON logs.
    "json-trailing-comma": (array[:-1] + b",]", JSON, []),
    "json-cut-off": (array[:150], JSON, []),
    "json-python-repr": (repr(records).encode(), JSON, []),
    "json-is-html": (b"<html><body>502 Bad Gateway</body></html>\n", JSON, []),
    "json-msgpack": (b"\x92\xd7\x00e", JSON, ["Content-Type: application/msgpack"]),
    "json-numbers-between": (b'[{"message":"a"},1,2,{"message":"b"},null]', JSON, []),
    "json-broken-record": (b'{"message":"good"}\n{"message":"bad" "level":3}\n', JSON, ["Content-Type: application/x-ndjson"]),
    "json-depth-bomb": (b'[{"message":"deep","x":' + b"[" * 100 + b"]" * 100 + b"}]", JSON, []),
    # Firehose.
    "firehose-not-json": (b"requestId=ed4acda5&records=1", FIREHOSE, []),
    "firehose-is-json-logs": (array, FIREHOSE, []),
    "firehose-without-records": (b'{"requestId":"ed4acda5","timestamp":1795435200000}', FIREHOSE, []),
    "firehose-cut-off": (delivery(subscription)[:-20], FIREHOSE, []),
    "firehose-comma-missing": (delivery(subscription).replace(b',"records"', b'"records"'), FIREHOSE, []),
    "firehose-records-is-object": (b'{"requestId":"ed4acda5","timestamp":1795435200000,"records":{"data":"QQ=="}}', FIREHOSE, []),
    "firehose-not-base64": (delivery(subscription).replace(b'"data": "', b'"data": "%', 1), FIREHOSE, []),
    "firehose-data-is-object": (b'{"requestId":"ed4acda5","timestamp":1795435200000,"records":[{"data":{"a":1}},{"data":"eyJhIjoxfQ=="}]}', FIREHOSE, []),
    "firehose-gzip-cut-off": (delivery(zip_(subscription)[:-9], subscription), FIREHOSE, []),
    "firehose-json-cut-off": (delivery(subscription[:-30]), FIREHOSE, []),
    "firehose-control-message": (delivery(zip_(control)), FIREHOSE, []),
    "firehose-to-json-logs": (delivery(subscription, subscription), JSON, []),
    # Datadog traces.
    "traces-4-cut-off": (v04[:-300], TRACES_4, []),
    "traces-4-to-5": (v04, TRACES_5, []),
    "traces-5-to-4": (v05, TRACES_4, []),
    "traces-4-to-7": (node, TRACES_7, []),
    "traces-5-text-past-end": (damaged(v05, b"\x9c\x01\x02", b"\x9c\x01\x7e"), TRACES_5, []),
    "traces-4-name-is-number": (damaged(node, b"\xa4name\xab", b"\xa4name\x2b"), TRACES_4, []),
    "traces-json-metric-is-text": (damaged(spans_json, b"2.5", b'"many"'), TRACES_4, []),
    "traces-json-without-ids": (damaged(spans_json, b'"span_id": 13', b'"span_id": 0'), TRACES_4, []),
    "traces-json-comma": (spans_json[:-1] + b",]", TRACES_4, []),
    "traces-json-to-5": (spans_json, TRACES_5, []),
    "traces-agent-without-ids": (agent, AGENT, []),
    "traces-agent-cut-off": (agent[:-3], AGENT, []),
    "traces-agent-to-4": (agent, TRACES_4, []),
    "traces-4-to-agent": (v04, AGENT, []),
    # Exposition.
    "exposition-quote-missing": (exposition + b'http_requests_total{method="PUT,code="500"} 1\nup 1\n', IMPORT, []),
    "exposition-words": (exposition + b"Internal Server Error\nerrors_total\nerrors_total many\n", IMPORT, []),
    "exposition-bad-argument": (exposition, IMPORT + "?timestamp=yesterday", []),
    "exposition-endless-line": (zip_(exposition + b"a" * (300 << 10)), IMPORT, []),
    "exposition-gzip-cut-off": (zip_(exposition * 50)[:-20], IMPORT, []),
    # Datadog metrics.
    "datadog-series-cut-off": (v1_series[:150], SERIES_1, []),
    "datadog-series-nan": (damaged(v1_series, b"0.75", b"NaN"), SERIES_1, []),
    "datadog-series-distribution": (damaged(v1_series, b"0.5]", b"[0.5, 0.75]]"), SERIES_1, []),
    "datadog-series-words": (damaged(v1_series, b"1027", b'"many"'), SERIES_1, []),
    "datadog-series-no-name": (damaged(v1_series, b'"metric": "page', b'"name": "page'), SERIES_1, ["Content-Type: text/json"]),
    "datadog-series-milliseconds": (datadog((1_700_000_000_123, 1.0), (1_700_000_000, 2.0)), SERIES_2, []),
    "datadog-series-2-to-1": (datadog((1_700_000_000, 1.0)), SERIES_1, []),
    "datadog-series-1-to-2": (v1_series, SERIES_2, ["Content-Type: application/x-protobuf"]),
    "datadog-series-deflate-cut-off": (zlib.compress(datadog((1_700_000_000, 1.0)) * 9)[:-9], SERIES_2, ["Content-Encoding: deflate"]),
    "datadog-series-is-remote-write": (write, SERIES_2, []),
    "datadog-sketches-uneven": (sketch([3, 4], [1, 1]) + sketch([3, 4], [1]), SKETCHES, []),
    "datadog-sketches-cut-off": (sketch([3, 4], [1, 1])[:-1], SKETCHES, []),
}

for name, (body, endpoint, headers) in CAPTURES.items():
    (HERE / f"{name}.body").write_bytes(body)
    expected = HERE / f"{name}.expected"
    if not expected.exists():
        lines = [f"--as {endpoint}"] + [f"--header {header}" for header in headers]
        expected.write_text("\n".join(lines) + "\n")
