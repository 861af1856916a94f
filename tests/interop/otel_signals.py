"""All three signals of the OpenTelemetry SDKs: over OTLP/HTTP Python as protobuf with gzip, JavaScript as
JSON and as protobuf with gzip; over gRPC with TLS both. What was emitted is read back from Parquet."""

import json
import os
import shutil
import subprocess

import grpc

import signals
from support import KEY, ROOT, TENANT, WORK, Server, equal, finish, scenario

TIME = signals.TIME
ATTRIBUTES = {"text": "käse 🧀", "yes": "true", "int": "-42", "double": "0.1", "texts": ["a", "b"], "ints": [1, 2]}


def attributes(found, python):
    found = dict(found)
    for name in ("texts", "ints"):
        found[name] = json.loads(found[name])
    whole = found.pop("whole", None)
    assert whole is None if not python else float(whole) == 3.0, whole
    return found


def check_traces(server, service, python):
    # The clock of JavaScript's SDK ends at microseconds; both are told the same ones.
    start = TIME if python else TIME - 789
    rows = {row["SpanName"]: row for row in server.rows("spans") if row["ServiceName"] == service}
    equal(set(rows), {"GET /käse", "call", "internal"}, "names of spans")
    outer, call, internal = rows["GET /käse"], rows["call"], rows["internal"]
    for row in rows.values():
        equal((row["Tenant"], row["Protocol"]), (TENANT, "otlp"), "tenant and protocol")
        equal((row["ScopeName"], row["ScopeVersion"]), ("interop.traces", "1.2"), "scope")
        equal(row["ResourceAttributes"]["host.cpus"], "2", "resource")
        equal((len(row["TraceId"]), len(row["SpanId"])), (32, 16), "sizes of ids")
    equal([row["SpanKind"] for row in (outer, call, internal)], ["Server", "Client", "Internal"], "kinds")
    equal([row["StatusCode"] for row in (outer, call, internal)], ["Ok", "Error", "Unset"], "statuses")
    equal(call["StatusMessage"], "timed out", "status message")
    equal((call["TraceId"], call["ParentSpanId"]), (outer["TraceId"], outer["SpanId"]), "the inner span's parent")
    equal((outer["ParentSpanId"], internal["ParentSpanId"]), ("", ""), "spans without a parent")
    equal([row["Timestamp"] for row in (outer, call)], [start, start + 1000], "starts")
    equal([row["Duration"] for row in (outer, call, internal)], [5_000_000, 1500, 0], "durations")
    equal(attributes(outer["SpanAttributes"], python), ATTRIBUTES, "attributes of the span")
    events = [(int(event["Timestamp"].value), event["Name"], dict(event["Attributes"])) for event in call["Events"]]
    equal(events, [(start + 1500, "retry", {"attempt": "2"}), (start + 1600, "bare", {})], "events")
    link, = call["Links"]
    equal((link["TraceId"], link["SpanId"]), (f"{0x11:032x}", f"{0x22:016x}"), "the link")
    equal(dict(link["Attributes"]), {"why": "batch", "n": "7"}, "attributes of the link")
    return outer


def check_logs(server, service, python, outer):
    start = TIME if python else TIME - 789
    rows = [row for row in server.rows("logs") if row["ServiceName"] == service]
    equal(len(rows), 2, "log records")
    event, = (row for row in rows if row["EventName"] == "interop.event")
    plain, = (row for row in rows if row is not event)
    equal((event["Timestamp"], event["ObservedTimestamp"]), (start, start + 1), "times")
    equal((event["SeverityNumber"], event["SeverityText"], event["ScopeName"]), (13, "WARN", "interop.logs"), "the record")
    equal(json.loads(event["Body"]), {"text": "a", "list": [1, 2.5, None]}, "body")
    equal(attributes(event["LogAttributes"], python), ATTRIBUTES, "attributes of the record")
    equal((event["TraceId"], event["SpanId"], event["TraceFlags"] & 1), (outer["TraceId"], outer["SpanId"], 1), "trace context")
    equal((plain["Body"], plain["SeverityNumber"], plain["TraceId"]), ("plain", 9, ""), "the plain record")


def check_metrics(server, service, python, outer):
    series = {row["SeriesId"]: row for row in server.rows("metric_series") if row["ServiceName"] == service}
    labels = lambda row: tuple(sorted(series[row["SeriesId"]]["Labels"].items()))
    name = lambda row: series[row["SeriesId"]]["MetricName"]
    samples = {(name(row), labels(row)): row for row in server.rows("metric_samples") if row["SeriesId"] in series}
    expected = {
        ("interop.requests", (("ok", "true"), ("path", "/"))): 3.0,
        ("interop.level", ()): -5.0,
        ("interop.temperature", (("room", "a"),)): 21.5,
        ("interop.temperature", (("room", "b"),)): -3.0,
    }
    if python:
        expected[("interop.requests", (("path", "/float"),))] = 1.5
        expected[("interop.setting", (("big", "yes"),))] = float(2**60)
    equal({key: row["Value"] for key, row in samples.items()}, expected, "samples")
    if python:
        equal(samples[("interop.setting", (("big", "yes"),))]["ValueInt"], 2**60, "an integer beyond 2^53")
    kinds = {row["MetricName"]: (row["MetricType"], row["Unit"], row["Temporality"], row["IsMonotonic"]) for row in series.values()}
    equal(kinds["interop.requests"], ("sum", "1", "cumulative", True), "counter")
    equal(kinds["interop.level"][::3], ("sum", False), "up-down counter")
    equal(kinds["interop.temperature"][:2], ("gauge", "Cel"), "gauge")
    histograms = {name(row): row for row in server.rows("metric_histograms") if row["SeriesId"] in series}
    equal(set(histograms), {"interop.latency", "interop.exponential"}, "histograms")
    latency, exponential = histograms["interop.latency"], histograms["interop.exponential"]
    equal((latency["Kind"], latency["Count"], latency["Sum"], latency["Min"], latency["Max"]), ("classic", 4.0, 555.5, 0.5, 500.0), "histogram")
    equal((latency["Bounds"], latency["BucketCounts"]), ([1.0, 10.0, 100.0], [1.0] * 4), "buckets")
    equal((exponential["Kind"], exponential["Count"], exponential["ZeroCount"], exponential["Sum"]), ("exponential", 5.0, 1.0, 555.5), "exponential histogram")
    base = 2 ** (2 ** -exponential["Scale"])
    found = [exponential["PositiveOffset"] + at for at, count in enumerate(exponential["PositiveCounts"]) if count]
    for value, index in zip((0.5, 5, 50, 500), found, strict=True):
        assert base**index * (1 - 1e-9) < value <= base ** (index + 1) * (1 + 1e-9), f"{value} in bucket {index}"
    exemplars = [row for row in server.rows("metric_exemplars") if row["SeriesId"] in series and name(row) == "interop.latency"]
    if python:
        equal(sorted(row["Value"] for row in exemplars), [0.5, 5.0, 50.0, 500.0], "exemplars")
        equal({(row["TraceId"], row["SpanId"]) for row in exemplars}, {(outer["TraceId"], outer["SpanId"])}, "their spans")
    return len(samples) + len(histograms)


def main():
    server = Server(WORK, arguments=["--https", "127.0.0.1:0"])
    services = {"python": True}
    with scenario("OpenTelemetry SDK for Python: sends all signals as protobuf with gzip"):
        signals.send(server.url, {"apikey": KEY}, "python")
        server.assert_healthy()
    # By its name: the certificate is for that.
    secure = f"https://localhost:{server.https.split(':')[1]}"
    for compression in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
        service = f"python-grpc-{compression.name.lower()}"
        services[service] = True
        with scenario(f"OpenTelemetry SDK for Python: sends all signals over gRPC with TLS, {compression.name}"):
            credentials = grpc.ssl_channel_credentials(server.certificate.read_bytes())
            signals.send(secure, (("apikey", KEY),), service, credentials, compression)
            server.assert_healthy()
    if shutil.which("node") and (WORK.parent / "npm/installed.stamp").exists():
        for form in ("json", "protobuf", "grpc"):
            services[f"js-{form}"] = False
            with scenario(f"OpenTelemetry SDK for JavaScript: sends all signals as {form}"):
                done = subprocess.run(
                    ["node", ROOT / "tests/interop/signals.js", secure if form == "grpc" else server.url, KEY, form, f"js-{form}", server.certificate],
                    stdout=subprocess.PIPE, stderr=open(WORK / "node.log", "ab"), timeout=60, env=os.environ,
                )
                equal(done.returncode, 0, f"exit code of node, see {WORK}/node.log")
                equal(json.loads(done.stdout), {"logs": [0], "traces": [0], "metrics": [0]}, "result codes")
    else:
        print("SKIP OpenTelemetry SDK for JavaScript: node and npm are needed")
    server.assert_healthy()
    server.stop()
    for service, python in services.items():
        with scenario(f"OpenTelemetry SDK, {service}: rows of all signals") as remarks:
            outer = check_traces(server, service, python)
            check_logs(server, service, python, outer)
            remarks.append(f"{5 + check_metrics(server, service, python, outer)} rows")
    finish()


main()
