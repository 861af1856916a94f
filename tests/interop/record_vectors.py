"""Records the golden vectors in tests/vectors, and writes the rows they must decode to beside them.

    INTEROP_WORK=… python record_vectors.py FOLDER

The rows come from Google's protobuf library (bodies) and Python's json module: no code of ours.
"""

import base64
import gzip
import http.server
import json
import os
import pathlib
import subprocess
import sys
import threading

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

HERE = pathlib.Path(__file__).parent
MESSAGES = {"logs": ExportLogsServiceRequest, "traces": ExportTraceServiceRequest, "metrics": ExportMetricsServiceRequest}
KINDS = ["Unspecified", "Internal", "Server", "Client", "Producer", "Consumer"]
CODES = ["Unset", "Ok", "Error"]
TEMPORALITIES = ["Unspecified", "Delta", "Cumulative"]

# --- bodies as rows ------------------------------------------------------------------------------


def value(any_value):
    kind = any_value.WhichOneof("value")
    if kind is None:
        return None
    inner = getattr(any_value, kind)
    if kind == "array_value":
        return [value(element) for element in inner.values]
    if kind == "kvlist_value":
        return pairs(inner.values)
    if kind == "bytes_value":
        return {"bytes": inner.hex()}
    return inner


def pairs(attributes):
    found = {pair.key: value(pair.value) for pair in attributes}
    assert len(found) == len(attributes), "keys are unique"
    return found


def identifier(raw):
    return raw.hex() if any(raw) else None


def owners(request, scopes):
    for holder in request:
        for scope in getattr(holder, scopes):
            yield scope, {
                "resource": pairs(holder.resource.attributes), "scope": scope.scope.name,
                "version": scope.scope.version, "scope_attributes": pairs(scope.scope.attributes),
            }


def log_rows(request):
    for scope, owner in owners(request.resource_logs, "scope_logs"):
        for log in scope.log_records:
            yield owner | {
                "row": "log", "time": log.time_unix_nano or log.observed_time_unix_nano, "observed": log.observed_time_unix_nano,
                "trace_id": identifier(log.trace_id), "span_id": identifier(log.span_id), "flags": log.flags & 0xFF,
                "severity_text": log.severity_text, "severity_number": log.severity_number,
                "body": value(log.body), "attributes": pairs(log.attributes), "event_name": log.event_name,
            }


def trace_rows(request):
    for scope, owner in owners(request.resource_spans, "scope_spans"):
        for span in scope.spans:
            yield owner | {
                "row": "span", "trace_id": span.trace_id.hex(), "span_id": span.span_id.hex(),
                "parent_span_id": identifier(span.parent_span_id), "trace_state": span.trace_state, "flags": span.flags & 0xFF,
                "name": span.name, "kind": KINDS[span.kind], "start": span.start_time_unix_nano,
                "duration": max(0, span.end_time_unix_nano - span.start_time_unix_nano),
                "attributes": pairs(span.attributes), "status": CODES[span.status.code], "status_message": span.status.message,
                "events": [{"time": e.time_unix_nano, "name": e.name, "attributes": pairs(e.attributes)} for e in span.events],
                "links": [
                    {"trace_id": l.trace_id.hex(), "span_id": l.span_id.hex(), "trace_state": l.trace_state, "attributes": pairs(l.attributes)}
                    for l in span.links
                ],
            }


def optional(point, name):
    return float(getattr(point, name)) if point.HasField(name) else None


def metric_rows(request):
    for scope, owner in owners(request.resource_metrics, "scope_metrics"):
        for metric in scope.metrics:
            kind = metric.WhichOneof("data")
            data = getattr(metric, kind)
            for point in data.data_points:
                row = owner | {
                    "name": metric.name, "unit": metric.unit, "description": metric.description, "type": kind.replace("_", ""),
                    "temporality": TEMPORALITIES[getattr(data, "aggregation_temporality", 0)],
                    "monotonic": getattr(data, "is_monotonic", False), "labels": pairs(point.attributes),
                }
                times = {"time": point.time_unix_nano, "start": point.start_time_unix_nano, "flags": point.flags}
                if kind in ("gauge", "sum"):
                    is_int = point.WhichOneof("value") == "as_int"
                    number = point.as_int if is_int else point.as_double
                    big = number if is_int and abs(number) > 2**53 else None
                    yield row | times | {"row": "sample", "value": float(number), "int": big}
                else:
                    yield row | times | {"row": "histogram"} | histogram(kind, point)
                for exemplar in point.exemplars:
                    number = getattr(exemplar, exemplar.WhichOneof("value"))
                    yield row | {
                        "row": "exemplar", "time": exemplar.time_unix_nano, "value": float(number),
                        "trace_id": identifier(exemplar.trace_id), "span_id": identifier(exemplar.span_id),
                        "attributes": pairs(exemplar.filtered_attributes),
                    }


def histogram(kind, point):
    common = {"count": float(point.count), "sum": optional(point, "sum"), "min": optional(point, "min"), "max": optional(point, "max")}
    if kind == "histogram":
        return common | {"kind": "classic", "bounds": list(point.explicit_bounds), "counts": [float(c) for c in point.bucket_counts]}
    return common | {
        "kind": "exponential", "scale": point.scale, "zero_count": float(point.zero_count), "zero_threshold": point.zero_threshold,
        "positive": [point.positive.offset, [float(c) for c in point.positive.bucket_counts]],
        "negative": [point.negative.offset, [float(c) for c in point.negative.bucket_counts]],
    }


ROWS = {"logs": log_rows, "traces": trace_rows, "metrics": metric_rows}


def message(signal, body, is_json):
    if not is_json:
        return MESSAGES[signal].FromString(body)
    text = json.loads(body)
    # OTLP's JSON has ids in hexadecimal where protobuf's has base64.
    def fix(node):
        if isinstance(node, dict):
            for key, inner in node.items():
                if key in ("traceId", "spanId", "parentSpanId") and isinstance(inner, str):
                    node[key] = base64.b64encode(bytes.fromhex(inner)).decode()
                else:
                    fix(inner)
        elif isinstance(node, list):
            for inner in node:
                fix(inner)
    fix(text)
    return json_format.ParseDict(text, MESSAGES[signal]())


# --- recording -----------------------------------------------------------------------------------


def main(folder):
    folder = pathlib.Path(folder)
    sender = None

    class Recorder(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            if "chunked" in self.headers.get("transfer-encoding", ""):
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            else:
                body = self.rfile.read(int(self.headers["content-length"]))
            signal = self.path.split("/")[-1]
            is_json = self.headers["content-type"].startswith("application/json")
            is_gzip = self.headers.get("content-encoding") == "gzip"
            name = f"{sender}-{signal}-all" + (".json" if is_json else ".protobuf") + (".gz" if is_gzip else "")
            assert not (folder / name).exists(), f"{name} came twice"
            (folder / name).write_bytes(body)
            payload = gzip.decompress(body) if is_gzip else body
            rows = ROWS[signal](message(signal, payload, is_json))
            lines = [json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in rows]
            (folder / f"{name}.rows").write_text("".join(lines))
            print(f"{name}: {len(body)} bytes, {len(lines)} rows")
            self.send_response(200)
            self.send_header("content-type", self.headers["content-type"])
            reply = b"{}" if is_json else b""
            self.send_header("content-length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"

    sender = "opentelemetry-python"
    import signals
    signals.send(url, {"apikey": "none"}, "checkout")
    sender = "opentelemetry-js"
    for form in ("json", "protobuf"):
        subprocess.run(["node", HERE / "signals.js", url, "none", form, "checkout"], check=True, env=os.environ)


if __name__ == "__main__":
    main(sys.argv[1])
