"""What the scenarios share: the server, processes that never outlive us, Parquet as rows."""

import atexit
import contextlib
import ctypes
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import time
import traceback
import urllib.request

import pyarrow as pa
import pyarrow.parquet as pq

BINARY = os.environ["INRUSH_BIN"]
ROOT = pathlib.Path(os.environ["INTEROP_ROOT"])
# One folder a scenario, named as its file.
WORK = pathlib.Path(os.environ["INTEROP_WORK"]) / pathlib.Path(sys.argv[0]).stem
KEY = "interop-key-0123456789"
TENANT = "acme"
# Prometheus' mark of a series that has ended: a signalling NaN with these very bits.
STALE = 0x7FF0_0000_0000_0002

# --- verdicts ------------------------------------------------------------------------------------

_failures = 0


@contextlib.contextmanager
def scenario(name):
    """Prints the one line; what went wrong follows a FAIL."""
    global _failures
    begin = time.monotonic()
    try:
        remarks = []
        yield remarks
    except Exception as error:
        _failures += 1
        print(f"FAIL {name}: {type(error).__name__}: {error}")
        if not isinstance(error, AssertionError) or not str(error):
            traceback.print_exc(file=sys.stdout)
    else:
        remark = f" ({'; '.join(remarks)})" if remarks else ""
        print(f"PASS {name} {time.monotonic() - begin:.1f}s{remark}")
    sys.stdout.flush()


def finish():
    sys.exit(1 if _failures else 0)


def equal(found, expected, what):
    assert found == expected, f"{what}: found {found!r}, expected {expected!r}"


def wait_for(what, condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {seconds:g}s in vain: {what}"
        time.sleep(0.05)
    return value


# --- processes -----------------------------------------------------------------------------------

_children = []
_libc = ctypes.CDLL(None)


def _end_with_parent():
    _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: even if we are killed, nothing stays.


def spawn(arguments, log, **options):
    """Started from the main thread alone: the kernel takes the end of the thread for ours."""
    log = open(log, "ab")
    child = subprocess.Popen(
        [str(argument) for argument in arguments],
        stderr=log,
        stdin=subprocess.DEVNULL,
        preexec_fn=_end_with_parent,
        **({"stdout": log} | options),
    )
    log.close()
    _children.append(child)
    return child


def terminate(child, seconds=30):
    """Asks a process to end, by its pid, and answers its exit code."""
    child.send_signal(signal.SIGTERM)
    return child.wait(seconds)


@atexit.register
def _end_children():
    for child in _children:
        if child.poll() is None:
            child.kill()
            child.wait()


signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def free_port():
    """Free a moment ago, for those who cannot be told to choose one and say which.

    Below the ports that the kernel gives to connections and to listeners on port 0: scenarios run side by
    side, and one of theirs would take it before it is listened on, or while its server is down."""
    lowest = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(lowest // 2, lowest)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


# --- the server ----------------------------------------------------------------------------------


class Server:
    """`inrush serve` on free loopback ports, in a folder of its own."""

    stop_seconds = 30

    def __init__(self, folder, http="127.0.0.1:0", data="inrush-data", arguments=()):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data = self.folder / data
        environment = {k: v for k, v in os.environ.items() if not k.startswith("INRUSH_")}
        environment |= {
            "INRUSH_STORE_MAX_DELAY": "500ms",
            "INRUSH_JOURNAL_SEGMENT_SIZE": "66MiB",
        }
        options = {"cwd": self.folder, "env": environment}
        if not (self.data / "keys.toml").exists():
            subprocess.run(
                [BINARY, "key", "add", "interop", "--tenant", TENANT, "--secret-file", "-"]
                + ["--data-dir", self.data],
                input=KEY.encode(), check=True, stderr=subprocess.DEVNULL, **options,
            )
        self.child = spawn(
            [BINARY, "serve", "--http", http, "--admin", "127.0.0.1:0", "--shards", "1"]
            + ["--data-dir", self.data, *arguments],
            self.folder / "inrush.log", stdout=subprocess.PIPE, **options,
        )
        said = []
        for line in self.child.stdout:
            said.append(line.decode())
            if said[-1].startswith("then read"):
                break
        else:
            raise AssertionError(f"inrush ended at start with {self.child.wait()}: {''.join(said)}")
        self.said = said
        self.http = self._address(said, "listening")
        self.admin = self._address(said, "admin")
        self.url = f"http://{self.http}"
        # Of a server with `--https`.
        self.https = self._address(said, "listening", "https")
        self.certificate = self.data / "tls/development.crt"

    @staticmethod
    def _address(said, label, scheme="http"):
        found = [line.split(f" {scheme}://")[1] for line in said if line.startswith(label) and f" {scheme}://" in line]
        return found[0].split("/")[0].split()[0] if found else None

    def metrics(self):
        """Every sample of the admin page, by its name with labels."""
        with urllib.request.urlopen(f"http://{self.admin}/metrics", timeout=10) as reply:
            lines = reply.read().decode().splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def metric(self, name):
        """The sum over all label sets of one family."""
        return sum(v for k, v in self.metrics().items() if k.split("{")[0] == name)

    def wait_until_stored(self):
        lag = 'inrush_follower_lag_bytes{follower="store"}'
        wait_for("the store to catch up", lambda: self.metrics()[lag] == 0)

    def stop(self):
        """SIGTERM; afterwards everything acknowledged is in Parquet."""
        equal(terminate(self.child, self.stop_seconds), 0, "exit code of inrush after SIGTERM")

    def kill(self):
        self.child.kill()
        self.child.wait()

    def rows(self, table):
        return rows(self.data, table)

    def assert_healthy(self):
        """No refusal but those a scenario provokes, nothing set aside, nothing degraded."""
        for name, value in self.metrics().items():
            family = name.split("{")[0]
            if family in ("inrush_quarantined_entries_total", "inrush_degraded"):
                equal(value, 0, name)


# --- Parquet -------------------------------------------------------------------------------------


def tables(data, table):
    files = sorted(pathlib.Path(data).glob(f"store/{table}/arrived=*/*.parquet"))
    return [pq.ParquetFile(file).read() for file in files]


def rows(data, table):
    """Rows as dicts: times as ns since the epoch, maps as dicts, and beside `Value` and `Sum`
    their bits, which no NaN survives otherwise."""
    found = []
    for part in tables(data, table):
        columns = {}
        for field, column in zip(part.schema, part.columns):
            column = column.combine_chunks()
            if isinstance(column, pa.ChunkedArray):
                column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], field.type)
            if field.name in ("Value", "Sum"):
                columns[field.name + "Bits"] = column.view(pa.uint64()).to_pylist()
            if pa.types.is_timestamp(field.type):
                column = column.cast(pa.int64())
            values = column.to_pylist()
            if pa.types.is_map(field.type):
                for value in values:
                    equal(len(dict(value)), len(value), f"unique keys in {table}.{field.name}")
                values = [dict(value) for value in values]
            columns[field.name] = values
        names = list(columns)
        found += [dict(zip(names, row)) for row in zip(*columns.values())]
    return found
