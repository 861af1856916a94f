"""A Prometheus 3 scrapes itself and a target, and writes all of it to inrush by remote write 2.0.

It believes a reply only if that counts what was written, so its own metrics tell whether ours does. The
tables must hold what its API reports, bit for bit and once.
"""

import time

from support import KEY, STALE, WORK, Server, equal, finish, scenario, wait_for
from support_debian import use_next
from support_prometheus import NATIVE_LATENCIES, Prometheus, Snapshot, Stored, Target, key, milliseconds


def main():
    use_next("prometheus", "prometheus")
    server = Server(WORK)
    target = Target()
    with scenario("Prometheus 3 remote write 2.0: metrics of its own say all was taken") as remarks:
        prometheus = Prometheus(
            WORK, server, target, interval="1s", queue="batch_send_deadline: 300ms",
            auth=f"authorization: {{credentials: {KEY}}}\n    protobuf_message: io.prometheus.write.v2.Request",
            features=("exemplar-storage", "native-histograms", "metadata-wal-records"),
        )
        wait_for("seven scrapes", lambda: target.scrapes >= 7)
        time.sleep(0.5)
        target.stop()
        wait_for("the target to be down", lambda: prometheus.api("query", query='up{job="target"} == 0')["result"])
        time.sleep(0.5)
        snapshot = Snapshot(prometheus)
        metadata = prometheus.api("metadata")
        exemplars = prometheus.api(
            "query_exemplars", query="interop_requests_total", start=snapshot.time - 60, end=snapshot.time
        )
        prometheus.wait_until_read(snapshot)
        for kind in ("samples", "exemplars", "histograms"):
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
    with scenario("Prometheus 3 remote write 2.0: samples as its API has them, once") as remarks:
        build = [dict(labels) for labels in stored.series.values() if dict(labels)["__name__"] == "prometheus_build_info"]
        assert len(build) == 1 and build[0]["version"].startswith("3."), build
        stored.assert_holds(snapshot)
        of_target = {labels for labels in stored.series.values() if dict(labels).get("zone") == "north"}
        ended = {labels for labels, _ in stored.stale(lambda labels: labels.get("zone") == "north")}
        assert len(ended) >= 8 and ended <= of_target, f"stale markers: {ended}"
        remarks.append(f"{len(snapshot.samples)} samples of {len(stored.series)} series, {len(ended)} ended")
    with scenario("Prometheus 3 remote write 2.0: native histograms") as remarks:
        own = 0
        for place, expected in snapshot.histograms.items():
            equal(len(stored.histograms.get(place, [])), 1, f"histograms at {place}")
            row = stored.histograms[place][0]
            equal((row["Count"], row["Sum"]), (float(expected["count"]), float(expected["sum"])), f"histogram at {place}")
            # Prometheus 3 has some of its own.
            if dict(place[0])["__name__"] != "interop_native_seconds":
                continue
            own += 1
            counts = [count for count in row["PositiveCounts"] if count]
            equal(counts, [row["Count"] / (NATIVE_LATENCIES + 1)] * NATIVE_LATENCIES, "positive counts")
        assert own >= 4, f"by the API: {own}"
        stale = {place[0] for place, rows in stored.histograms.items() if rows[0]["SumBits"] == STALE}
        equal(len(stale), 1, "series of native histograms that ended")
        remarks.append(f"{len(snapshot.histograms)} histograms")
    with scenario("Prometheus 3 remote write 2.0: exemplars") as remarks:
        count = 0
        for series in exemplars:
            labels = key(series["seriesLabels"] | {"replica": "a"})
            for exemplar in series["exemplars"]:
                rows = stored.exemplars.get((labels, milliseconds(exemplar["timestamp"])), [])
                equal(len(rows), 1, f"exemplars at {labels} {exemplar}")
                ids = exemplar["labels"]["trace_id"], exemplar["labels"]["span_id"]
                equal((rows[0]["Value"], rows[0]["TraceId"], rows[0]["SpanId"]), (float(exemplar["value"]), *ids), "exemplar")
                count += 1
        assert count >= 4, exemplars
        remarks.append(f"{count} exemplars")
    with scenario("Prometheus 3 remote write 2.0: metadata that rides along with series") as remarks:
        rows = {}
        for row in server.rows("metric_metadata"):
            rows.setdefault(row["MetricFamily"], set()).add((row["MetricType"].lower(), row["Help"]))
        # It says types of series, so that a counter's family keeps its ending; what has no sample yet
        # is not said at all.
        names = {dict(labels)["__name__"] for labels in stored.series.values()}
        checked = 0
        for family, entries in metadata.items():
            if family in names:
                expected = {(entry["type"], entry["help"]) for entry in entries}
                equal(rows.get(family), expected, f"metadata of {family}")
                checked += 1
        assert checked > 50, f"only {checked} families"
        remarks.append(f"{checked} families")
    finish()


main()
