"""Senders for Node: the OpenTelemetry SDK, whose bodies always come in chunks, and the package
prometheus-remote-write, which labels its body neither with a coding nor with a version.
"""

import json
import os
import shutil
import subprocess

from support import KEY, ROOT, WORK, Server, equal, finish, scenario

TIME = 1_700_000_000_123_456_789


def check_logs(server, service):
    rows = [row for row in server.rows("logs") if row["ServiceName"] == service]
    equal(len(rows), 1501, f"rows of {service}")
    equal({(row["ScopeName"], row["ScopeVersion"]) for row in rows}, {("interop.js", "3.2.1")}, "scope")
    equal({row["ResourceAttributes"]["host.cpus"] for row in rows}, {"2"}, "resource")
    equal({row["Timestamp"] for row in rows}, {TIME}, "times")
    first = next(row for row in rows if row["SeverityText"] == "ERROR")
    equal(first["SeverityNumber"], 17, "severity")
    equal(json.loads(first["Body"]), {"event": "all", "list": [1, "x", None]}, "body")
    attributes = first["LogAttributes"]
    for name in ("texts", "nested"):
        attributes[name] = json.loads(attributes[name])
    expected = {
        "text": "käse 🧀", "int": "42", "double": "0.1", "yes": "true", "texts": ["a", "b"],
        "nested": {"a": {"b": [1, 2.5]}}, "bytes": '"AP/+"',
    }
    equal(attributes, expected, "attributes")
    others = sorted((row["Body"], row["LogAttributes"]["index"]) for row in rows if row is not first)
    equal(others, sorted((f"row {n}", str(n)) for n in range(1500)), "the other rows")


def main():
    if not shutil.which("node") or not (WORK.parent / "npm/installed.stamp").exists():
        print("SKIP Node: node and npm are needed")
        finish()
    server = Server(WORK)
    with scenario("Node: what its senders were told") as remarks:
        done = subprocess.run(
            ["node", ROOT / "tests/interop/node.js", server.url, KEY],
            stdout=subprocess.PIPE, stderr=open(WORK / "node.log", "wb"), timeout=60, env=os.environ,
        )
        equal(done.returncode, 0, f"exit code of node, see {WORK}/node.log")
        told = json.loads(done.stdout)
        for coding in ("none", "gzip"):
            assert told[coding] and set(told[coding]) == {0}, f"{coding}: {told}"
        assert told["refused"] and set(told["refused"]) == {1}, f"with a wrong key: {told}"
        equal((told["samples"], told["samplesRefused"]), (204, 401), "statuses of remote write")
        server.assert_healthy()
        server.stop()
        remarks.append(f"{len(told['none']) + len(told['gzip'])} requests")
    for coding in ("none", "gzip"):
        with scenario(f"Node: OpenTelemetry SDK logs in chunks, {coding}"):
            check_logs(server, f"js-{coding}")
    with scenario("Node: prometheus-remote-write"):
        series = {
            row["SeriesId"]: row["Labels"]["index"]
            for row in server.rows("metric_series") if row["MetricName"] == "interop_js"
        }
        found = sorted(
            (series[row["SeriesId"]], row["Timestamp"] // 10**6, row["Value"])
            for row in server.rows("metric_samples")
        )
        first, second = 1700000000123, 1700000001123
        expected = [(str(n), at, value) for n in range(3) for at, value in [(first, n + 0.5), (second, -1.0)]]
        equal(found, expected, "samples")
    with scenario("Node: nothing of what was refused"):
        services = {row["ServiceName"] for row in server.rows("logs")}
        equal(services, {"js-none", "js-gzip"}, "services")
    finish()


main()
