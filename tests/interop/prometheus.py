"""Debian's Prometheus scrapes itself and a target, and writes all of it to inrush.

The table must hold what Prometheus' own API reports, bit for bit and once; metadata, exemplars and
native histograms too; and the stale markers of a target that went away, which no API shows.
"""

import time

from support import KEY, STALE, WORK, Server, equal, finish, scenario, wait_for
from support_prometheus import (
    LABEL, NATIVE_LATENCIES, SPECIAL, Prometheus, Snapshot, Stored, Target, bits, key, milliseconds,
    stored_bits,
)


def check_samples(prometheus_address, target, snapshot, stored, remarks):
    stored.assert_holds(snapshot)
    labels = {"job": "prometheus", "instance": prometheus_address, "replica": "a"}
    of_target = {"job": "target", "instance": target.address, "replica": "a", "zone": "north"}

    def values(wanted):
        return [rows[0]["Value"] for (labels, _), rows in stored.samples.items() if labels == key(wanted)]

    up = values(labels | {"__name__": "up"})
    assert len(up) >= 6 and set(up) == {1.0}, f"up of Prometheus: {up}"
    assert set(values(of_target | {"__name__": "up"})) == {0.0, 1.0}, "up of the target goes down"
    build = [dict(labels) for labels in stored.series.values() if dict(labels)["__name__"] == "prometheus_build_info"]
    equal(len(build), 1, "series of prometheus_build_info")
    assert build[0]["version"].startswith("2.") and build[0].items() >= labels.items(), build
    counts = values(of_target | {"__name__": "interop_requests_total", "path": LABEL})
    assert len(counts) >= 5, f"the label that must be escaped: {counts}"
    special = {
        dict(labels)["kind"]: {row["ValueBits"] for row in rows} - {STALE}
        for (labels, _), rows in stored.samples.items()
        if dict(labels)["__name__"] == "interop_special" and rows[0]["ValueBits"] != STALE
    }
    expected = {kind: {bits(value)} for kind, value in SPECIAL.items()}
    # Protobuf brings a NaN as the target wrote it, and it must leave with those bits.
    expected["nan"] = {0x7FF8_0000_0000_0000}
    equal(special, expected, "special values")
    remarks.append(f"{len(snapshot.samples)} samples of {len(stored.series)} series")


def check_steps(ranges, stored):
    """Prometheus' stepped answer, computed anew from the stored rows."""
    lookback = 5 * 60 * 1000
    checked = 0
    for series in ranges:
        labels = key(series["metric"] | {"replica": "a"})
        own = sorted((stamp, rows[0]) for (at, stamp), rows in stored.samples.items() if at == labels)
        for stamp, value in series["values"]:
            step = milliseconds(stamp)
            last = [row for at, row in own if step - lookback < at <= step][-1]
            equal(stored_bits(last), bits(float(value)), f"{labels} at {step}")
            checked += 1
    # How many there are depends on how often a busy machine lets Prometheus scrape.
    assert checked > 50, f"only {checked} steps"


def check_stale(target, snapshot, stored, remarks):
    """One marker for each series of the target, behind its last sample; `up` and the scrape's own
    series go on."""
    ours = {}
    for labels, stamp in snapshot.samples:
        names = dict(labels)
        if names["job"] == "target" and not names["__name__"].startswith(("up", "scrape_")):
            ours[labels] = max(stamp, ours.get(labels, 0))
    assert len(ours) >= 8, f"series of the target: {len(ours)}"
    for labels, last in ours.items():
        markers = [
            stamp for (at, stamp), rows in stored.samples.items()
            if at == labels and rows[0]["ValueBits"] == STALE
        ]
        equal(len(markers), 1, f"markers of {labels}")
        assert last < markers[0] <= last + 5000, f"marker of {labels} {markers[0] - last} ms behind"
    going_on = stored.stale(lambda labels: labels["__name__"] == "up")
    equal(going_on, set(), "markers of up")
    remarks.append(f"{len(ours)} series ended")


def check_metadata(server, metadata, remarks):
    rows = {}
    for row in server.rows("metric_metadata"):
        found = row["MetricType"], row["Help"], row["Unit"]
        rows.setdefault(row["MetricFamily"], set()).add(found)
    for family, entries in metadata.items():
        expected = {(entry["type"], entry["help"], entry["unit"]) for entry in entries}
        assert family in rows, f"no metadata of {family}"
        lowered = {(kind.lower(), text, unit) for kind, text, unit in rows[family]}
        assert expected <= lowered, f"metadata of {family}: found {rows[family]}, expected {expected}"
    assert ("gauge", "Maximum number of open file descriptors.", "") in {
        (kind.lower(), text, unit) for kind, text, unit in rows["process_max_fds"]
    }, rows["process_max_fds"]
    equal({text for _, text, _ in rows["interop_requests_total"]}, {"Requests, and a \\ in the help."}, "help")
    remarks.append(f"{len(metadata)} families")


def check_exemplars(exemplars, stored, remarks):
    expected = {}
    for series in exemplars:
        labels = key(series["seriesLabels"] | {"replica": "a"})
        for exemplar in series["exemplars"]:
            place = labels, milliseconds(exemplar["timestamp"])
            expected[place] = float(exemplar["value"]), exemplar["labels"]
    assert len(expected) >= 4, f"exemplars by the API: {expected}"
    for place, (value, labels) in expected.items():
        equal(len(stored.exemplars.get(place, [])), 1, f"exemplars at {place}")
        row = stored.exemplars[place][0]
        equal(row["Value"], value, f"value of the exemplar at {place}")
        equal((row["TraceId"], row["SpanId"]), (labels["trace_id"], labels["span_id"]), "its ids")
        equal(row["Attributes"], {"user": "ä"}, "its other labels")
    remarks.append(f"{len(expected)} exemplars")


def check_native(snapshot, stored, remarks):
    expected = snapshot.histograms
    assert len(expected) >= 4, f"native histograms by the API: {len(expected)}"
    for place, value in expected.items():
        equal(len(stored.histograms.get(place, [])), 1, f"histograms at {place}")
        row = stored.histograms[place][0]
        equal((row["Kind"].lower(), row["Count"], row["Sum"]), ("native", float(value["count"]), float(value["sum"])), f"histogram at {place}")
        scrapes = row["Count"] / (NATIVE_LATENCIES + 1)
        equal((row["Scale"], row["ZeroCount"], row["ZeroThreshold"]), (3, scrapes, 1e-128), "scale and zero bucket")
        # The first span begins at -2; empty buckets around are no difference.
        counts = {row["PositiveOffset"] + n: c for n, c in enumerate(row["PositiveCounts"]) if c}
        indexes = sorted(counts)
        equal(list(counts.values()), [scrapes] * NATIVE_LATENCIES, "positive counts")
        equal(indexes, list(range(indexes[0], indexes[0] + NATIVE_LATENCIES)), "positive places")
        buckets = [(float(b[1]), float(b[2])) for b in value["buckets"] if b[0] != 3]
        # OpenTelemetry's index i covers (base^i, base^(i+1)], as the offset is stored.
        for (low, high), index in zip(buckets, indexes):
            assert abs(2 ** (index / 8) - low) < 1e-9 * low, f"bucket {index} begins at {low}"
            assert abs(2 ** ((index + 1) / 8) - high) < 1e-9 * high, f"bucket {index} ends at {high}"
    stale = [rows for rows in stored.histograms.values() if rows[0]["SumBits"] == STALE]
    equal(len(stale), 1, "stale markers of the native histogram")
    remarks.append(f"{len(expected)} histograms")


def main():
    server = Server(WORK)
    target = Target()
    with scenario("Prometheus remote write: metrics of its own say all was taken") as remarks:
        prometheus = Prometheus(
            WORK, server, target, auth=f"authorization: {{credentials: {KEY}}}", interval="1s",
            queue="batch_send_deadline: 300ms", features=("exemplar-storage", "native-histograms"),
        )
        address = prometheus.address
        # It begins to scrape 5 s after its start.
        wait_for("seven scrapes", lambda: target.scrapes >= 7)
        time.sleep(0.5)
        target.stop()
        down = 'up{job="target"} == 0'
        wait_for("the target to be down", lambda: prometheus.api("query", query=down)["result"])
        time.sleep(0.5)
        snapshot = Snapshot(prometheus)
        ranges = prometheus.api(
            "query_range", query='{__name__=~"up|scrape_samples_scraped|go_goroutines|prometheus_http_requests_total"}',
            start=snapshot.time - 8, end=snapshot.time - 1, step="500ms",
        )["result"]
        metadata = prometheus.api("metadata")
        exemplars = prometheus.api(
            "query_exemplars", query="interop_requests_total", start=snapshot.time - 60, end=snapshot.time
        )
        prometheus.wait_until_read(snapshot)
        sent = "prometheus_remote_storage_metadata_total"
        before = prometheus.own_metric(sent)
        wait_for("metadata to be sent again", lambda: prometheus.own_metric(sent) > before)
        for kind in ("samples", "exemplars", "histograms", "metadata"):
            for end in ("failed_total", "retried_total"):
                name = f"prometheus_remote_storage_{kind}_{end}"
                equal(prometheus.own_metric(name), 0, name)
        requests = server.metric("inrush_requests_total")
        equal(server.metric("inrush_refusals_total"), 0, "refusals")
        server.assert_healthy()
        prometheus.stop()
        server.stop()
        remarks.append(f"{requests:g} requests")
    stored = Stored(server)
    with scenario("Prometheus remote write: samples as its API has them, once") as remarks:
        check_samples(address, target, snapshot, stored, remarks)
    with scenario("Prometheus remote write: query_range computed from the rows"):
        check_steps(ranges, stored)
    with scenario("Prometheus remote write: stale markers of a target that ended") as remarks:
        check_stale(target, snapshot, stored, remarks)
    with scenario("Prometheus remote write: metadata") as remarks:
        check_metadata(server, metadata, remarks)
    with scenario("Prometheus remote write: exemplars") as remarks:
        check_exemplars(exemplars, stored, remarks)
    with scenario("Prometheus remote write: native histograms") as remarks:
        check_native(snapshot, stored, remarks)
    finish()


main()
