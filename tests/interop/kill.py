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

from support import Server, finish
from support_prometheus import INTERRUPTIONS, SAMPLES_PER_REQUEST, interrupt

interrupt("kills of the server", Server.kill, most_doubled=INTERRUPTIONS * SAMPLES_PER_REQUEST)
finish()
