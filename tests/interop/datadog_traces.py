"""Datadog's tracers, which send no key: ddtrace for Python as v0.4 and v0.5, dd-trace for Node. Each prints
the identifiers that it drew; names, links, times, tags, errors and events are read back from Parquet."""

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request

from support import ROOT, TENANT, WORK, Server, equal, finish, scenario

SECOND = 1_700_000_000 * 10**9
INTEROP = ROOT / "tests/interop"


def run(name, command, **options):
    """What the tracer printed; it is told what of its environment matters, and nothing else."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("DD_", "OTEL_"))}
    with open(WORK / f"{name}.log", "wb") as log:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=log, timeout=60, cwd=INTEROP,
            env=environment | {"DD_ENV": "interop", "DD_VERSION": "3.2.1", "DD_CRASHTRACKING_ENABLED": "false"} | options,
        )
    equal(done.returncode, 0, f"exit code, see {WORK}/{name}.log")
    return json.loads(done.stdout)


def tags(found, expected, what):
    for name, value in expected.items():
        value_found = found.get(name)
        if isinstance(value, float) and value_found is not None:
            value_found = float(value_found)
        equal(value_found, value, f"{what}, attribute {name}")


def events(row):
    """Texts of the store, so lists are JSON."""
    return [(int(event["Timestamp"].value), event["Name"], dict(event["Attributes"])) for event in row["Events"]]


def links(row):
    return [(link["TraceId"], link["SpanId"], link["TraceState"], dict(link["Attributes"])) for link in row["Links"]]


def check_common(row, sdk, services):
    equal((row["Tenant"], row["Protocol"]), (TENANT, "datadog"), "tenant and protocol")
    resource = row["ResourceAttributes"]
    equal(row["ServiceName"] in services, True, f"service {row['ServiceName']}")
    language, version = sdk
    tags(resource, {
        "service.name": row["ServiceName"], "telemetry.sdk.name": "Datadog", "telemetry.sdk.language": language,
        "telemetry.sdk.version": f"Datadog-{version}", "deployment.environment": "interop", "deployment.environment.name": "interop",
    }, f"resource of {row['SpanName']}")
    tags(row["SpanAttributes"], {
        "datadog.trace.id": str(int(row["TraceId"][16:], 16)), "datadog.span.id": str(int(row["SpanId"], 16)),
    }, row["SpanName"])


def check_python(made, rows):
    import ddtrace

    found = {row["SpanId"]: row for row in rows}
    equal(set(found), {span["span"] for span in made}, "identifiers of spans")
    named = {}
    for span in made:
        row = named[span["name"]] = found[span["span"]]
        check_common(row, ("python", ddtrace.__version__), {"shop", "shop-db"})
        equal(
            (row["TraceId"], row["ParentSpanId"], row["SpanName"], row["ServiceName"], row["Timestamp"], row["Duration"]),
            (span["trace"], span["parent"] or "", span["name"], span["service"], span["start"], span["duration"]),
            f"span {span['name']}",
        )
        tags(row["SpanAttributes"], {"dd.span.Resource": span["resource"]}, span["name"])
    assert int(named["web.request"]["TraceId"][:16], 16), "the trace has 128 bits"
    kinds = {name: row["SpanKind"] for name, row in named.items()}
    equal((kinds["web.request"], kinds["db.query"], kinds["queue.send"]), ("Server", "Client", "Producer"), "kinds")
    assert kinds["inner"] == kinds["last"] and kinds["last"] in ("Internal", "Unspecified"), kinds
    status = {name: (row["StatusCode"], row["StatusMessage"]) for name, row in named.items()}
    equal(status.pop("inner"), ("Error", "broken käse"), "status of what failed")
    equal(set(status.values()), {("Unset", "")}, "statuses of what did not")
    tags(named["web.request"]["SpanAttributes"], {
        "http.request.method": "GET", "url.full": "http://shop.test/käse/7?q=1", "text": "käse \"🧀\"\n\t\\", "empty": "",
        "ratio": 0.1, "big": float(2**53), "negative": -42.0, "_sampling_priority_v1": 1.0, "language": "python",
    }, "web.request")
    tags(named["inner"]["SpanAttributes"], {
        "exception.type": "builtins.ValueError", "exception.message": "broken käse",
        "exception.stacktrace": "Traceback (most recent call last):\n  File \"shop.py\", line 7, in buy\nValueError: broken käse\n",
    }, "inner")
    linked = named["queue.send"]
    equal(links(linked), [
        ("0123456789abcdeffedcba9876543210", "8877665544332211", "", {"link.kind": "follows", "n": "7"}),
        (f"{5:032x}", f"{6:016x}", "dd=s:1", {}),
    ], "links")
    equal(events(linked), [
        (SECOND + 6_006, "plain", {}),
        (SECOND + 7_007, "rich", {
            "text": "käse", "yes": "true", "int": "-3", "double": "0.5", "texts": '["a","b"]', "ints": "[1,2]",
        }),
    ], "events")
    equal([len(row["Links"]) + len(row["Events"]) for name, row in named.items() if row is not linked], [0] * 4, "no others")


def check_node(made, rows):
    version = json.loads((WORK.parent / "npm/node_modules/dd-trace/package.json").read_text())["version"]
    found = {row["SpanId"]: row for row in rows}
    equal(set(found), {span["span"] for span in made}, "identifiers of spans")
    named = {}
    for span in made:
        row = named[span["name"]] = found[span["span"]]
        check_common(row, ("nodejs", version), {"shop-js", "shop-db"})
        equal((row["TraceId"], row["SpanName"], row["Duration"]), (span["trace"], span["name"], span["duration"] * 10**6), "span")
        # It counts nanoseconds in doubles.
        assert abs(row["Timestamp"] - SECOND - span["start"] * 10**6) <= 256, f"start of {span['name']}: {row['Timestamp']}"
        tags(row["ResourceAttributes"], {"service.version": "3.2.1"}, span["name"])
    root, child, linked, last = (named[name] for name in ("web.request", "db.query", "queue.send", "last"))
    assert int(root["TraceId"][:16], 16), "the trace has 128 bits"
    equal(
        [row["ParentSpanId"] for row in (root, child, linked, last)], ["", root["SpanId"], root["SpanId"], ""], "parents",
    )
    equal([row["ServiceName"] for row in (root, child, linked, last)], ["shop-js", "shop-db", "shop-js", "shop-js"], "services")
    equal([row["SpanKind"] for row in (root, child, linked)], ["Server", "Client", "Producer"], "kinds")
    equal((child["StatusCode"], child["StatusMessage"]), ("Error", "broken käse"), "status of what failed")
    equal({row["StatusCode"] for row in (root, linked, last)}, {"Unset"}, "statuses of what did not")
    tags(root["SpanAttributes"], {
        "dd.span.Resource": "GET /käse/{id}", "text": "käse \"🧀\"\n", "yes": 1.0, "ratio": 0.1, "int": -42.0,
    }, "web.request")
    tags(child["SpanAttributes"], {"exception.type": "TypeError", "exception.message": "broken käse"}, "db.query")
    equal(links(linked), [(child["TraceId"], child["SpanId"], "", {"link.kind": "follows", "n": "7"})], "links")
    equal(events(linked), [
        (SECOND + 4 * 10**6, "rich", {"text": "käse", "yes": "true", "int": "-3", "double": "0.5", "texts": '["a","b"]'}),
    ], "events")


def is_implemented(server):
    """A body of no traces, as tracers send to say hello."""
    request = urllib.request.Request(f"{server.url}/v0.4/traces", b"\x90", {"Content-Type": "application/msgpack"}, method="PUT")
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            equal((reply.status, json.loads(reply.read())), (200, {"rate_by_service": {"service:,env:": 1}}), "reply to no traces")
    except urllib.error.HTTPError as error:
        equal(error.code, 501, "status of no traces")
        return False
    return True


def main():
    server = Server(WORK, arguments=["--http-tenant", TENANT])
    if not is_implemented(server):
        print("SKIP Datadog traces: this version does not take them")
        finish()
    # Name of a run: what the tracer said that it sent.
    made = {}
    for name, options in {
        "v0.4": {"DD_TRACE_API_VERSION": "v0.4"},
        "v0.4 with native events": {"DD_TRACE_API_VERSION": "v0.4", "DD_TRACE_NATIVE_SPAN_EVENTS": "1"},
        "v0.5": {"DD_TRACE_API_VERSION": "v0.5"},
    }.items():
        with scenario(f"ddtrace for Python, {name}: sends"):
            made[name] = run(
                f"python-{name.replace(' ', '-')}", [sys.executable, "datadog_spans.py"], DD_TRACE_AGENT_URL=server.url, **options,
            )
            log = (WORK / f"python-{name.replace(' ', '-')}.log").read_text()
            assert "rror" not in log and "failed" not in log, f"the tracer complains: {log}"
    if shutil.which("node") and (WORK.parent / "npm/installed.stamp").exists():
        with scenario("dd-trace for Node: sends"):
            made["node"] = run("node", ["node", "datadog_spans.js", server.url])
            log = (WORK / "node.log").read_text()
            assert "rror" not in log, f"the tracer complains: {log}"
    else:
        print("SKIP dd-trace for Node: node and npm are needed")
    server.assert_healthy()
    server.stop()
    rows = server.rows("spans")
    for name, spans in made.items():
        with scenario(f"Datadog traces, {name}: rows") as remarks:
            traces = {span["trace"] for span in spans}
            of_run = [row for row in rows if row["TraceId"] in traces]
            equal(len(of_run), len(spans), "rows")
            (check_node if name == "node" else check_python)(spans, of_run)
            remarks.append(f"{len(of_run)} spans")
    with scenario("Datadog traces: no rows besides"):
        equal(len(rows), sum(len(spans) for spans in made.values()), "rows")
    finish()


main()
