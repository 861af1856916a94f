"""Records what Datadog's tracers and clients post, as golden vectors.

    INTEROP_WORK=… python record_datadog.py FOLDER

The recorder answers as Datadog's agent and its API do. Of each it prints the
request line and the fields of the head that belong to the body.
"""

import hashlib
import http.server
import json
import os
import pathlib
import subprocess
import sys
import threading

import datadog_points
import firehose_delivery

HERE = pathlib.Path(__file__).parent
INFO = json.dumps({
    "version": "7.70.0", "endpoints": ["/v0.3/traces", "/v0.4/traces", "/v0.5/traces", "/v0.7/traces"],
    "client_drop_p0s": False, "span_events": True, "span_meta_structs": True, "config": {},
}).encode()
RATES = b'{"rate_by_service":{"service:,env:":1}}'
# What changes between two machines, or names a secret, is left out.
FIELDS = ("content-type", "content-encoding", "datadog-", "x-datadog-", "x-amz-firehose-", "user-agent")


class Recorder(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    taken = []

    def read_body(self):
        if "chunked" not in self.headers.get("transfer-encoding", ""):
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def handle_any(self):
        body = self.read_body()
        path = self.path.split("?")[0]
        if path == "/info":
            self.reply(200, INFO)
        elif path.endswith("/traces"):
            self.taken.append((self.command, self.path, self.headers, body))
            self.reply(200, RATES)
        elif path.endswith("/series"):
            self.taken.append((self.command, self.path, self.headers, body))
            self.reply(202, b'{"errors":[]}' if "/v2/" in path else b'{"status":"ok"}')
        elif path == "/firehose/logs":
            self.taken.append((self.command, self.path, self.headers, body))
            self.reply(200, json.dumps({"requestId": self.headers["x-amz-firehose-request-id"], "timestamp": 1}).encode())
        elif path.startswith("/telemetry/"):
            self.reply(202, b"")
        else:
            self.reply(404, b"{}")

    do_GET = do_POST = do_PUT = handle_any

    def reply(self, status, body):
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.send_header("datadog-agent-state", hashlib.sha256(INFO).hexdigest())
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main(folder):
    folder = pathlib.Path(folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"

    def save(name):
        """The one body that came since the last time; empty traces are a tracer's way to say hello."""
        taken = [one for one in Recorder.taken if one[3] not in (b"", b"\x90", b"\xdd\0\0\0\0")]
        Recorder.taken.clear()
        assert len(taken) == 1, f"{name}: {len(taken)} bodies, of {[len(one[3]) for one in taken]} bytes"
        method, path, headers, body = taken[0]
        (folder / name).write_bytes(body)
        fields = [f"{key}: {value}" for key, value in headers.items() if key.lower().startswith(FIELDS)]
        fields = [field for field in fields if not field.lower().startswith(("datadog-entity-id", "datadog-container-id", "x-amz-firehose-access-key"))]
        print(f"{name}: {len(body)} bytes\n  {method} {path}\n  " + "\n  ".join(fields))

    environment = os.environ | {
        "DD_TRACE_AGENT_URL": url, "DD_ENV": "interop", "DD_VERSION": "3.2.1", "DD_REMOTE_CONFIGURATION_ENABLED": "false",
        "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false", "DD_TRACE_STARTUP_LOGS": "false",
    }
    # Tracers name the folder that they run in.
    options = {"check": True, "stdout": subprocess.DEVNULL, "timeout": 60, "cwd": HERE}
    for version, events, ending in (("v0.4", "0", ""), ("v0.4", "1", "-events"), ("v0.5", "0", "")):
        subprocess.run(
            [sys.executable, HERE / "datadog_spans.py"], **options,
            env=environment | {"DD_TRACE_API_VERSION": version, "DD_TRACE_NATIVE_SPAN_EVENTS": events},
        )
        save(f"ddtrace-python-{version}{ending}.msgpack")
    subprocess.run(["node", HERE / "datadog_spans.js", url], **options, env=environment)
    save("dd-trace-js-v0.4.msgpack")

    base = f"{url}/datadog"
    for compress, ending in ((False, ""), (True, ".zlib")):
        datadog_points.datadogpy(base, "none", compress)
        save(f"datadogpy-series-v1.json{ending}")
    endings = {None: "", "deflate": ".zlib", "gzip": ".gz", "zstd1": ".zst"}
    for coding in datadog_points.CODINGS["V1"]:
        datadog_points.client_v1(base, "none", coding)
        save(f"datadog-api-client-series-v1.json{endings[coding]}")
    for coding in datadog_points.CODINGS["V2"]:
        datadog_points.client_v2(base, "none", coding)
        save(f"datadog-api-client-series-v2.json{endings[coding]}")

    for kind, ending in ((False, ""), (True, ".gz")):
        firehose_delivery.deliver(url, "none", firehose_delivery.cloudwatch(), is_gzip=kind)
        save(f"firehose-cloudwatch.json{ending}")
    firehose_delivery.deliver(url, "none", firehose_delivery.direct())
    save("firehose-direct.json")


if __name__ == "__main__":
    main(sys.argv[1])
