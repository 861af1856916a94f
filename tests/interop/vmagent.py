"""Debian's vmagent scrapes a target and itself, and writes what it read to inrush.

It has no API to ask, but the target counts its scrapes, so what must be stored is known: each count
once, in the order of time. The server is stopped in between: vmagent keeps what it could not send.
"""

import time

from support import KEY, STALE, WORK, Server, equal, finish, free_port, scenario, spawn, terminate, wait_for
from support_prometheus import LABEL, SPECIAL, Stored, Target, bits, key, stored_bits

CONFIG = """\
global: {{scrape_interval: 1s, external_labels: {{replica: "v"}}}}
scrape_configs:
  - job_name: vmagent
    static_configs: [{{targets: ["{own}"]}}]
  - job_name: target
    static_configs: [{{targets: ["{target}"]}}]
"""


def main():
    address = f"127.0.0.1:{free_port()}"
    server = Server(WORK, http=address)
    target = Target()
    own = f"127.0.0.1:{free_port()}"
    (WORK / "scrape.yml").write_text(CONFIG.format(own=own, target=target.address))
    (WORK / "key").write_text(KEY)
    with scenario("vmagent remote write: every scrape once, through a stop of the server") as remarks:
        agent = spawn(
            ["vmagent", f"-promscrape.config={WORK}/scrape.yml", f"-httpListenAddr={own}"]
            + [f"-remoteWrite.url={server.url}/api/v1/write", f"-remoteWrite.bearerTokenFile={WORK}/key"]
            + [f"-remoteWrite.tmpDataPath={WORK}/queue", "-remoteWrite.flushInterval=200ms"]
            + ["-remoteWrite.queues=1"],
            WORK / "vmagent.log",
        )
        wait_for("three scrapes", lambda: target.scrapes >= 3)
        wait_for("samples", lambda: server.metric("inrush_records_total") > 500)
        server.stop()
        time.sleep(1.5)
        server = Server(WORK, http=address)
        wait_for("eight scrapes", lambda: target.scrapes >= 8)
        time.sleep(0.5)
        target.stop()
        scrapes = target.scrapes
        time.sleep(2.5)
        equal(terminate(agent), 0, "exit code of vmagent")
        equal(server.metric("inrush_refusals_total"), 0, "refusals")
        server.assert_healthy()
        server.stop()

        stored = Stored(server)
        labels = {"job": "target", "instance": target.address, "replica": "v"}

        def samples(name, **more):
            wanted = key(labels | more | {"__name__": name})
            found = sorted((at[1], rows) for at, rows in stored.samples.items() if at[0] == wanted)
            for stamp, rows in found:
                equal(len(rows), 1, f"rows of {name}{more} at {stamp}")
            return [rows[0] for _, rows in found]

        counts = samples("interop_requests_total", path=LABEL)
        equal([row["Value"] for row in counts[:-1]], [float(n) for n in range(1, scrapes + 1)], "counts")
        equal(counts[-1]["ValueBits"], STALE, "the last one, when the target was gone")
        for index in range(200):
            values = [row["Value"] for row in samples("interop_many", index=str(index))[:-1]]
            equal(values, [n * 1000.0 + index for n in range(1, scrapes + 1)], f"values of {index}")
        for kind, value in SPECIAL.items():
            found = {stored_bits(row) for row in samples("interop_special", kind=kind)}
            equal(found, {bits(value), STALE}, f"special value {kind}")
        up = [row["Value"] for row in samples("up")]
        equal(sorted(set(up)), [0.0, 1.0], "up")
        doubled = {at for at, rows in stored.samples.items() if len(rows) > 1}
        equal(doubled, set(), "doubled samples")
        remarks.append(f"{len(stored.samples)} samples of {len(stored.series)} series")
    finish()


main()
