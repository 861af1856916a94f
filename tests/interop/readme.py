"""The README as a user pastes it: its curl lines, its environment of the SDK, its queries.

Blocks of `sh` whose first line is `# try: NAME` are run as they stand, blocks of `sql` that begin
with `-- query: NAME` in DuckDB; only the address is ours. What a block says it sends must arrive.
"""

import os
import pathlib
import re
import subprocess
import sys

import duckdb

from support import BINARY, KEY, ROOT, TENANT, WORK, Server, equal, finish, scenario

README = pathlib.Path(os.environ.get("INTEROP_README", ROOT / "README.md"))
# Any refusal ends the block, whatever the options in it.
PRELUDE = 'curl() { command curl --fail-with-body --max-time 20 "$@"; }\n'
# What arrives beside the messages that a block has as JSON.
SAMPLES = {
    "remote write": ("up", {"job": "try"}, 1.0),
    "exposition": ("try_requests_total", {"path": "/", "from": "readme"}, 3.0),
    "datadog series": ("try.load", {}, 0.5),
}
BODIES = {"otlp logs": ["hello from OTLP"], "firehose": ["hello from Firehose"]}

# Sends one log by the SDK's own reading of its environment.
SDK = """
import importlib, os
protocol = os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"].split("/")[0]
OTLPLogExporter = importlib.import_module(f"opentelemetry.exporter.otlp.proto.{protocol}._log_exporter").OTLPLogExporter
from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
logs = LoggerProvider()
logs.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter()))
logs.get_logger("readme").emit(LogRecord(body=f"by the environment over {protocol}"))
logs.shutdown()
"""


def blocks(language, mark=None):
    """Pairs of a name and the text of a fenced block."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    if mark is None:
        return [("", text) for text in found]
    pairs = [(re.match(rf"{mark}: *(\S.*)\n", text), text) for text in found]
    return [(name.group(1).strip(), text) for name, text in pairs if name]


def run(text, server):
    """Runs a block in the folder in which a user would have started the server."""
    text = text.replace("localhost:8443", f"localhost:{server.https.split(':')[1]}").replace("127.0.0.1:8080", server.http).replace("127.0.0.1:8081", server.admin)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("INRUSH_", "OTEL_"))}
    environment |= {"KEY": KEY, "PATH": f"{pathlib.Path(BINARY).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", PRELUDE + text], cwd=server.folder, env=environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
    )
    said = done.stdout.decode(errors="replace")
    equal(done.returncode, 0, f"exit code, having said {said!r}")
    for status in re.findall(r"^HTTP/\S+ (\d+)", said, re.MULTILINE):
        assert status in ("100", "200", "202", "204"), f"status {status} in {said!r}"
    return said


def check_rows(name, text, server):
    messages = [match.encode().decode("unicode_escape") for match in re.findall(r'"(?:message|msg)": ?"([^"]*)"', text)]
    messages += BODIES.get(name, [])
    bodies = [row["Body"] for row in server.rows("logs") if row["Tenant"] == TENANT]
    for message in messages:
        equal(bodies.count(message), 1, f"rows of {message!r}")
    if name in SAMPLES:
        metric, labels, value = SAMPLES[name]
        ids = [
            row["SeriesId"] for row in server.rows("metric_series")
            if row["MetricName"] == metric and row["Labels"].items() >= labels.items()
        ]
        equal(len(ids), 1, f"series of {metric}{labels}")
        values = [row["Value"] for row in server.rows("metric_samples") if row["SeriesId"] == ids[0]]
        equal(values, [value], f"samples of {metric}{labels}")


def main():
    if not README.exists():
        print("PASS README: there is none")
        finish()
    server = Server(WORK, arguments=["--https", "127.0.0.1:0"])
    tries = blocks("sh", "# try")
    with scenario("README: has blocks to try and to query"):
        assert tries, "no block begins with `# try: NAME`"
        assert blocks("sql", "-- query"), "no block begins with `-- query: NAME`"
    for name, text in tries:
        with scenario(f"README: try {name}") as remarks:
            before = server.metric("inrush_records_total")
            run(text, server)
            records = server.metric("inrush_records_total") - before
            if re.search(r"\s(-d|--data\S*|-T)\s", text):
                assert records > 0, "nothing was sent"
            server.wait_until_stored()
            check_rows(name, text, server)
            remarks.append(f"{records:g} records")

    for _, text in blocks("sh"):
        if "OTEL_EXPORTER_OTLP_" not in text:
            continue
        protocol = re.search(r"PROTOCOL=(\w+)", text).group(1)
        with scenario(f"README: environment of an OpenTelemetry SDK, {protocol}"):
            text = text.replace("YOUR_KEY", KEY)
            run(f"{text}\nexec {sys.executable} - <<'PYTHON'\n{SDK}\nPYTHON\n", server)
            server.wait_until_stored()
            bodies = [row["Body"] for row in server.rows("logs")]
            equal(bodies.count(f"by the environment over {protocol}"), 1, "rows of the SDK")

    server.assert_healthy()
    server.stop()
    os.chdir(server.folder)
    database = duckdb.connect()
    for name, text in blocks("sql", "-- query"):
        with scenario(f"README: query {name}") as remarks:
            remarks.append(f"{query(database, text)} rows")
    finish()


def query(database, text):
    """The rows of the block's queries and of the views that it makes."""
    def views():
        return {row[0] for row in database.sql("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()}

    total = 0
    known = views()
    for statement in database.extract_statements(text):
        rows = database.execute(statement).fetchall()
        if statement.type == duckdb.StatementType.SELECT:
            assert rows, f"no rows from {statement.query.strip()}"
            total += len(rows)
    for view in sorted(views() - known):
        rows = database.execute(f'SELECT * FROM "{view}"').fetchall()
        assert rows, f"no rows in the view {view}"
        total += len(rows)
    assert total, "a block without a query"
    return total


main()
