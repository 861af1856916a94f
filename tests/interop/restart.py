"""The server is stopped with SIGTERM while Prometheus writes, and started again on the same folder.

A graceful stop answers every request that it has taken, so that Prometheus sends again only what was
never taken: each sample stands there exactly once.
"""

from support import Server, finish
from support_prometheus import interrupt

interrupt("graceful stops of the server", Server.stop, most_doubled=0)
finish()
