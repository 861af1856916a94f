"""`curl --data-binary` of 300 MB of text exposition: acknowledged, within the memory bound that the server
printed, and every line a row. `inrush check` walks the same file."""

import os
import re
import subprocess
import time

import pyarrow.compute as pc
import pyarrow.parquet as pq

from support import BINARY, KEY, WORK, Server, equal, finish, scenario

SIZE = 300 << 20
TIME = 1_700_000_000_000
SERIES = 20_000


def write_file(path):
    """Series like a node exporter's, again and again with a later time. Answers lines and the sum of values."""
    lines = total = 0
    with open(path, "wb", 1 << 20) as file:
        written = scrape = 0
        while written < SIZE:
            chunk = [b"# HELP large_requests_total Requests.\n# TYPE large_requests_total counter\n"]
            stamp = TIME + 15_000 * scrape
            for number in range(SERIES):
                value = scrape * 7 + number % 1000
                total += value
                chunk.append(
                    b'large_requests_total{instance="10.0.%d.%d:9100",job="node",mode="%s",cpu="%d",datacenter="eu-north-1"} %d %d\n'
                    % (number // 250, number % 250, (b"idle", b"user", b"system")[number % 3], number % 64, value, stamp)
                )
            lines += SERIES
            scrape += 1
            written += file.write(b"".join(chunk))
    return lines, total


def memory(pid, name):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(name))


def main():
    path = WORK / "large.prom"
    lines, total = write_file(path)
    size = path.stat().st_size
    server = Server(WORK)
    with scenario("300 MB of exposition by curl --data-binary") as remarks:
        bound = next(int(n) for line in server.said for n in re.findall(r"memory bound (\d+) bytes", line))
        begin = time.monotonic()
        curl = subprocess.run(
            ["curl", "--silent", "--show-error", "--write-out", "%{http_code}", "--max-time", "120", "-T", path, "-X", "POST"]
            + ["-H", f"apikey: {KEY}", f"{server.url}/api/v1/import/prometheus"],
            stdout=subprocess.PIPE, timeout=130,
        )
        equal((curl.returncode, curl.stdout), (0, b"204"), "curl's exit code and the status")
        seconds = time.monotonic() - begin
        peak = memory(server.child.pid, "VmHWM")
        remarks.append(f"{size >> 20} MiB in {seconds:.1f}s, {lines / seconds / 1000:.0f}k lines/s until durable")
        server.assert_healthy()
        server.stop_seconds = 120
        begin = time.monotonic()
        server.stop()
        remarks.append(f"stored {time.monotonic() - begin:.1f}s later")
        remarks.append(f"RSS at most {peak >> 20} MiB of {bound >> 20} MiB")
        assert peak < bound, f"{peak} bytes were resident, the bound is {bound}"
    with scenario("300 MB of exposition: every line is a row, once"):
        files = sorted((server.data / "store/metric_samples").glob("*/*.parquet"))
        tables = [pq.read_table(file, columns=["SeriesId", "Timestamp", "Value"]) for file in files]
        equal(sum(table.num_rows for table in tables), lines, "rows")
        equal(sum(pc.sum(table["Value"]).as_py() for table in tables), float(total), "sum of all values")
        stamps = {stamp for table in tables for stamp in pc.unique(table["Timestamp"].cast("int64")).to_pylist()}
        expected = {(TIME + 15_000 * scrape) * 1_000_000 for scrape in range(lines // SERIES)}
        equal(stamps, expected, "times")
        known = {row["SeriesId"] for row in server.rows("metric_series")}
        equal(len(known), SERIES, "series")
    with scenario("300 MB of exposition: inrush check") as remarks:
        begin = time.monotonic()
        process = subprocess.Popen(
            [BINARY, "check", path, "--as", "/api/v1/import/prometheus"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        said, progress = process.communicate(timeout=120)
        equal(process.returncode, 0, f"exit code, having said {said!r}")
        assert f"{lines} samples" in said.decode() and f"{SERIES} series" in said.decode(), said
        seconds = time.monotonic() - begin
        if seconds > 3:
            assert b"inrush check: file 1 of 1, " in progress, progress
        remarks.append(f"{seconds:.1f}s")
    os.unlink(path)
    finish()


main()
