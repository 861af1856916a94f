"""A real Prometheus, a target for it to scrape, and what its own API says it has scraped."""

import http.server
import json
import random
import struct
import threading
import time
import urllib.parse
import urllib.request

from support import (
    KEY, STALE, TENANT, WORK, Server, equal, free_port, scenario, spawn, terminate, wait_for,
)

NATIVE_LATENCIES = 5  # Buckets of the native histogram, all in one span.


# --- the target ----------------------------------------------------------------------------------


class Target:
    """An exporter with the values that are easy to get wrong. Speaks the text format, and protobuf
    to those who ask for it, as only that carries native histograms and an exemplar of a counter."""

    def __init__(self):
        target = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                target.scrapes += 1
                if "application/vnd.google.protobuf" in self.headers.get("Accept", ""):
                    body = protobuf_page(target.scrapes)
                    media = (
                        "application/vnd.google.protobuf; "
                        "proto=io.prometheus.client.MetricFamily; encoding=delimited"
                    )
                else:
                    body = text_page(target.scrapes).encode()
                    media = "text/plain; version=0.0.4; charset=utf-8"
                self.send_response(200)
                self.send_header("Content-Type", media)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.scrapes = 0
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


LABEL = 'say "hi"\\ and\nkäse'
SPECIAL = {
    "nan": float("nan"),
    "inf": float("inf"),
    "-inf": float("-inf"),
    "-0": -0.0,
    "least": 5e-324,
    "most": 1.7976931348623157e308,
    "third": 1 / 3,
}


def text_page(scrapes):
    escaped = LABEL.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
    lines = [
        "# HELP interop_requests_total Requests, and a \\\\ in the help.",
        "# TYPE interop_requests_total counter",
        f'interop_requests_total{{path="{escaped}"}} {scrapes}',
        "# TYPE interop_special gauge",
    ]
    lines += [f'interop_special{{kind="{kind}"}} {value!r}' for kind, value in SPECIAL.items()]
    lines += ["# TYPE interop_many gauge"]
    lines += [f'interop_many{{index="{index}"}} {scrapes * 1000 + index}' for index in range(200)]
    return "\n".join(lines) + "\n"


def field(number, content):
    """One protobuf field: bytes and text by length, floats fixed, whole numbers as varints."""
    if isinstance(content, str):
        content = content.encode()
    if isinstance(content, bytes):
        return varint(number << 3 | 2) + varint(len(content)) + content
    if isinstance(content, float):
        return varint(number << 3 | 1) + struct.pack("<d", content)
    return varint(number << 3) + varint(content)


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out) + bytes([number])


def zigzag(number):
    return number * 2 if number >= 0 else -number * 2 - 1


def family(name, help_text, kind, metrics):
    message = field(1, name) + field(2, help_text) + field(3, kind)
    message += b"".join(field(4, metric) for metric in metrics)
    return varint(len(message)) + message


def label(name, value):
    return field(1, field(1, name) + field(2, value))


def exemplar_of(scrapes):
    now = time.time()
    labels = label("trace_id", f"{scrapes:032x}") + label("span_id", f"{scrapes:016x}")
    stamp = field(1, int(now)) + field(2, int(now % 1 * 1000) * 1_000_000)
    return labels + label("user", "ä") + field(2, scrapes + 0.5) + field(3, stamp)


def native_histogram(scrapes):
    # Every bucket holds `scrapes` observations; the wire has the difference to the one before.
    deltas = [scrapes] + [0] * (NATIVE_LATENCIES - 1)
    packed = b"".join(varint(zigzag(delta)) for delta in deltas)
    span = field(1, zigzag(-2)) + field(2, NATIVE_LATENCIES)
    return (
        field(1, scrapes * (NATIVE_LATENCIES + 1)) + field(2, scrapes * 1.25)
        + field(5, zigzag(3)) + field(6, 1e-128) + field(7, scrapes)
        + field(12, span) + field(13, packed)
    )


def classic_histogram(scrapes):
    bounds = [(0.1, scrapes), (1.0, 2 * scrapes), (float("inf"), 3 * scrapes)]
    buckets = b"".join(field(3, field(1, count) + field(2, bound)) for bound, count in bounds)
    return field(1, 3 * scrapes) + field(2, scrapes * 2.5) + buckets


def protobuf_page(scrapes):
    counter = label("path", LABEL) + field(3, field(1, float(scrapes)) + field(2, exemplar_of(scrapes)))
    gauges = [label("kind", kind) + field(2, field(1, value)) for kind, value in SPECIAL.items()]
    return (
        family("interop_requests_total", "Requests, and a \\ in the help.", 0, [counter])
        + family("interop_special", "", 1, gauges)
        + family("interop_native_seconds", "Native.", 4, [field(7, native_histogram(scrapes))])
        + family("interop_classic_seconds", "Classic.", 4, [field(7, classic_histogram(scrapes))])
    )


# --- Prometheus ----------------------------------------------------------------------------------

CONFIG = """\
global:
  scrape_interval: {interval}
  scrape_timeout: {interval}
  external_labels: {{replica: "a"}}
scrape_configs:
  - job_name: prometheus
    static_configs: [{{targets: ["{own}"]}}]
  - job_name: target
    static_configs: [{{targets: ["{target}"], labels: {{zone: "north"}}}}]
remote_write:
  - url: {url}/api/v1/write
    {auth}
    send_exemplars: true
    send_native_histograms: {native}
    metadata_config: {{send: true, send_interval: 2s}}
    queue_config: {{{queue}}}
"""


class Prometheus:
    def __init__(self, folder, inrush, target, auth, interval, queue, features=()):
        self.folder = folder
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        (folder / "prometheus.yml").write_text(CONFIG.format(
            interval=interval, own=self.address, target=target.address, url=inrush.url, auth=auth,
            queue=queue, native="true" if "native-histograms" in features else "false",
        ))
        arguments = [
            "prometheus", f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/tsdb", f"--web.listen-address={self.address}",
        ]
        if features:
            arguments.append(f"--enable-feature={','.join(features)}")
        self.child = spawn(arguments, folder / "prometheus.log", cwd=folder)
        wait_for("Prometheus to be ready", self._is_ready)

    def _is_ready(self):
        assert self.child.poll() is None, f"Prometheus ended, see {self.folder}/prometheus.log"
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=2):
                return True
        except OSError:
            return False

    def api(self, path, **query):
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as reply:
            answer = json.load(reply)
        equal(answer["status"], "success", path)
        return answer["data"]

    def own_metric(self, name):
        """The sum over the label sets of one of its own metrics, as it is now."""
        with urllib.request.urlopen(f"http://{self.address}/metrics", timeout=10) as reply:
            lines = reply.read().decode().splitlines()
        found = [line for line in lines if line.split("{")[0].split(" ")[0] == name]
        assert found, f"Prometheus has no metric {name}"
        return sum(float(line.rsplit(" ", 1)[1]) for line in found)

    def wait_until_read(self, snapshot):
        """Its queue is fed from the write-ahead log, a moment behind: waits until it is past the
        snapshot. What is in the queue then is flushed by `stop`."""
        name = "prometheus_remote_storage_queue_highest_sent_timestamp_seconds"
        wait_for("Prometheus to send the snapshot", lambda: self.own_metric(name) > snapshot.time)

    def stop(self):
        """SIGTERM: the queue is flushed before it exits."""
        equal(terminate(self.child, 60), 0, "exit code of Prometheus")


class Snapshot:
    """Every raw sample that Prometheus has at one moment.

    An instant query for a range returns samples as they were scraped, which is stricter than
    query_range, whose steps repeat the last value. Stale markers are not in the answer.
    """

    def __init__(self, prometheus):
        self.time = time.time()
        matrix = prometheus.api("query", query='{__name__!=""}[10m]', time=f"{self.time:.3f}")["result"]
        self.samples = {}
        self.histograms = {}
        for series in matrix:
            # What its remote write adds; the API does not show it.
            labels = key(series["metric"] | {"replica": "a"})
            for stamp, value in series.get("values", []):
                self.samples[labels, milliseconds(stamp)] = bits(float(value))
            for stamp, value in series.get("histograms", []):
                self.histograms[labels, milliseconds(stamp)] = value

    @property
    def milliseconds(self):
        return int(self.time * 1000)


def key(labels):
    return tuple(sorted(labels.items()))


def milliseconds(seconds):
    return round(float(seconds) * 1000)


NAN = "NaN"


def bits(value):
    """The bits of a double as remote write brings them. Its encoder leaves out what equals 0, so
    that -0 arrives as 0; the API has one text for every NaN."""
    if value != value:
        return NAN
    if value == 0:
        return 0
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def stored_bits(row):
    """Bits of a row in the same form; a stale marker stays what it is."""
    is_nan = row["Value"] != row["Value"]
    return NAN if is_nan and row["ValueBits"] != STALE else row["ValueBits"]


# --- what inrush has of it -----------------------------------------------------------------------


class Stored:
    """The metric tables, joined."""

    def __init__(self, server):
        self.series = {}
        ids = {}
        for row in server.rows("metric_series"):
            labels = row["Labels"]
            equal(row["Tenant"], TENANT, "tenant of a series")
            equal(row["ServiceName"], labels.get("job", ""), "service of a series")
            name = labels.get("__name__", row["MetricName"])
            equal(name, row["MetricName"], "name of a series")
            labels = key(labels | {"__name__": name})
            # Written again after a restart: the same id must mean the same labels, both ways.
            equal(self.series.setdefault(row["SeriesId"], labels), labels, "labels of a series id")
            equal(ids.setdefault(labels, row["SeriesId"]), row["SeriesId"], f"id of {labels}")
        self.samples = self._by_series(server.rows("metric_samples"))
        self.histograms = self._by_series(server.rows("metric_histograms"))
        self.exemplars = self._by_series(server.rows("metric_exemplars"))

    def _by_series(self, rows):
        found = {}
        for row in rows:
            assert row["SeriesId"] in self.series, f"a row of a series without its row: {row}"
            equal(row["Timestamp"] % 1_000_000, 0, "whole milliseconds")
            place = self.series[row["SeriesId"]], row["Timestamp"] // 1_000_000
            found.setdefault(place, []).append(row)
        return found

    def assert_holds(self, snapshot, most_doubled=0):
        """Each sample of the API is there with its very bits, and nothing else but stale markers.
        Answers how many rows are doubles, all of one value."""
        for place, value in snapshot.samples.items():
            assert place in self.samples, f"missing: {place}"
            equal({stored_bits(row) for row in self.samples[place]}, {value}, f"value of {place}")
        # What was scraped within the last second may not have been committed at the snapshot.
        for place, rows in self.samples.items():
            if place not in snapshot.samples and place[1] < snapshot.milliseconds - 1500:
                equal({row["ValueBits"] for row in rows}, {STALE}, f"what the API lacks at {place}")
        doubled = sum(len(rows) - 1 for rows in self.samples.values())
        assert doubled <= most_doubled, f"{doubled} doubled rows, at most {most_doubled} may be"
        return doubled

    def stale(self, labels_filter):
        """Places of stale markers of the series that the filter takes."""
        return {
            place
            for place, rows in self.samples.items()
            if labels_filter(dict(place[0])) and any(row["ValueBits"] == STALE for row in rows)
        }


# --- a server that goes away while Prometheus writes ---------------------------------------------

INTERRUPTIONS = 4
SAMPLES_PER_REQUEST = 100


def interrupt(name, end, most_doubled):
    """Starts the server again and again after `end(server)` and lets Prometheus catch up. Each
    sample of its API must then be stored, nothing else but stale markers, and no more doubles than
    `most_doubled` in all."""
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    address = f"127.0.0.1:{free_port()}"
    server = Server(WORK, http=address)
    target = Target()

    def wait_for_requests():
        wait_for("requests to arrive", lambda: server.metric("inrush_records_total") > 1000)

    with scenario(f"Prometheus remote write: {INTERRUPTIONS} {name}, seed {seed}") as remarks:
        prometheus = Prometheus(
            WORK, server, target, interval="200ms",
            auth=f"basic_auth: {{username: groundcover, password: {KEY}}}",
            # Small requests, so that one is under way whenever the end comes.
            queue=f"max_shards: 1, max_samples_per_send: {SAMPLES_PER_REQUEST}, "
            "batch_send_deadline: 100ms, max_backoff: 200ms",
        )
        for _ in range(INTERRUPTIONS):
            wait_for_requests()
            time.sleep(chance.uniform(0.3, 1.0))
            end(server)
            time.sleep(chance.uniform(0.0, 0.5))
            server = Server(WORK, http=address)
        wait_for_requests()
        snapshot = Snapshot(prometheus)
        prometheus.wait_until_read(snapshot)
        counters = "prometheus_remote_storage_samples_"
        equal(prometheus.own_metric(counters + "failed_total"), 0, "samples that Prometheus gave up")
        equal(prometheus.own_metric(counters + "dropped_total"), 0, "samples that it dropped")
        retried = prometheus.own_metric(counters + "retried_total")
        assert retried > 0, "Prometheus has never met a server that was away"
        server.assert_healthy()
        prometheus.stop()
        server.stop()

        stored = Stored(server)
        doubled = stored.assert_holds(snapshot, most_doubled)
        most = max(len(rows) for rows in stored.samples.values())
        assert most <= 1 + INTERRUPTIONS, f"a sample stands there {most} times"
        remarks.append(f"{len(snapshot.samples)} samples, {retried:g} sent again, {doubled} doubled")
