"""The server is killed while Prometheus writes, and started again on the same folder.

What is asserted, and why it is not simply "each sample once":

* Each sample that Prometheus' API reports is there, with its bits. What was acknowledged is kept, and
  what was not is sent again by Prometheus, for as long as it takes.
* Nothing else is there but stale markers.
* A request that was durable when the server died, but whose reply never left, is sent a second time,
  and is a second request to the server. Prometheus has one such request a shard of its queue, and
  is given one shard; so each kill may double at most one request's samples, and no sample more
  often than there were kills. Everything beyond that would be ours.
"""

import random
import time

from support import KEY, WORK, Server, equal, finish, free_port, scenario, wait_for
from support_prometheus import Prometheus, Snapshot, Stored, Target

KILLS = 4
SAMPLES_PER_REQUEST = 100


def main():
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    address = f"127.0.0.1:{free_port()}"
    server = Server(WORK, http=address)
    target = Target()
    with scenario(f"Prometheus remote write: {KILLS} kills of the server, seed {seed}") as remarks:
        prometheus = Prometheus(
            WORK, server, target, interval="200ms",
            auth=f"basic_auth: {{username: groundcover, password: {KEY}}}",
            # Small requests, so that one is under way whenever the kill comes.
            queue=f"max_shards: 1, max_samples_per_send: {SAMPLES_PER_REQUEST}, "
            "batch_send_deadline: 100ms, max_backoff: 200ms",
        )
        for _ in range(KILLS):
            wait_for("requests to arrive", lambda: server.metric("inrush_records_total") > 1000)
            time.sleep(chance.uniform(0.3, 1.0))
            server.kill()
            time.sleep(chance.uniform(0.0, 0.5))
            server = Server(WORK, http=address)
        wait_for("requests to arrive", lambda: server.metric("inrush_records_total") > 1000)
        snapshot = Snapshot(prometheus)
        time.sleep(1)
        name = "prometheus_remote_storage_samples_"
        equal(prometheus.own_metric(name + "failed_total"), 0, "samples that Prometheus gave up")
        equal(prometheus.own_metric(name + "dropped_total"), 0, "samples that it dropped")
        retried = prometheus.own_metric(name + "retried_total")
        assert retried > 0, "no kill has cut a request off"
        server.assert_healthy()
        prometheus.stop()
        server.stop()

        stored = Stored(server)
        doubled = stored.assert_holds(snapshot, most_doubled=KILLS * SAMPLES_PER_REQUEST)
        most = max(len(rows) for rows in stored.samples.values())
        assert most <= 1 + KILLS, f"a sample stands there {most} times"
        remarks.append(f"{len(snapshot.samples)} samples, {retried:g} sent again, {doubled} doubled")
    finish()


main()
