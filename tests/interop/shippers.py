"""Programs that ship logs as JSON over HTTP: syslog-ng of Debian in the forms that its users write,
winston's own transport, and pino with pino-http-send. Debian 12's rsyslog has no module that posts JSON."""

import os
import pathlib
import shutil
import socket
import subprocess

from support import KEY, ROOT, TENANT, WORK, Server, equal, finish, free_port, scenario, spawn, terminate, wait_for

TIME = 1_700_000_000_123_000_000
COUNT = 25
LEVELS = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"]
# The OpenTelemetry data model's numbers of syslog's severities.
NUMBERS = [21, 19, 18, 17, 13, 10, 9, 5]

# --- syslog-ng -----------------------------------------------------------------------------------

TEMPLATE = (
    '"$(format-json timestamp=$ISODATE message=$MESSAGE level=$LEVEL service.name=$PROGRAM host=$HOST '
    "pid=int64($PID) form={form} --key .SDATA.*)\\n\""
)
CONFIG = """\
@version: 3.35
options {{ keep-hostname(yes); use-dns(no); keep-timestamp(yes); frac-digits(6); stats-freq(0); }};
source s_in {{ network(ip("127.0.0.1") port({port}) transport("tcp") flags(syslog-protocol)); }};
"""
# Form: what its users add to the destination.
FORMS = {
    # It labels its bodies as forms unless it is told otherwise.
    "default": "",
    "lines": 'headers("Content-Type: application/x-ndjson") batch-lines(10) batch-timeout(100)',
    "array": 'headers("Content-Type: application/json") batch-lines(10) batch-timeout(100) '
             'body-prefix("[") delimiter(",") body-suffix("]")',
}


def configuration(port, url):
    text = CONFIG.format(port=port)
    for form, options in FORMS.items():
        body = TEMPLATE.replace("{form}", form)
        text += (
            f'log {{ source(s_in); destination {{ http(url("{url}/json/logs") method("POST") workers(1) timeout(10) persist-name("{form}") '
            f'user("groundcover") password("{KEY}") body({body}) {options}); }}; }};\n'
        )
    return text


def start_syslog_ng(program, port, url):
    """Unpacked, it finds neither its libraries nor its modules by itself."""
    (WORK / "syslog-ng.conf").write_text(configuration(port, url))
    command = [program, "--foreground", "--no-caps", "--cfgfile", WORK / "syslog-ng.conf"]
    command += ["--persist-file", WORK / "persist", "--pidfile", WORK / "pid", "--control", WORK / "control"]
    environment = dict(os.environ)
    root = WORK.parent / "debian/syslog-ng-core"
    if pathlib.Path(program).is_relative_to(root):
        command += ["--module-path", next(root.glob("usr/lib/syslog-ng/3*"))]
        folders = [root / "usr/lib/syslog-ng", *root.glob("usr/lib/*-linux-gnu*"), *root.glob("lib/*-linux-gnu*")]
        environment["LD_LIBRARY_PATH"] = ":".join(map(str, folders))
    return spawn(command, WORK / "syslog-ng.log", env=environment)


def check_syslog_ng(server):
    program = shutil.which("syslog-ng")
    if not program:
        print("SKIP syslog-ng: it is not there")
        return
    with scenario("Shippers: syslog-ng posts one by one, lines, arrays") as remarks:
        port = free_port()
        child = start_syslog_ng(program, port, server.url)

        def connected():
            assert child.poll() is None, f"syslog-ng ended with {child.returncode}, see {WORK}/syslog-ng.log"
            try:
                return socket.create_connection(("127.0.0.1", port), 5)
            except ConnectionRefusedError:
                return None

        with wait_for("syslog-ng to listen", connected) as stream:
            for n in range(COUNT):
                line = f'<{8 + n % 8}>1 2023-11-14T22:13:20.123000Z box shop-syslog {100 + n} - [x@1 key="käse \\"{n}\\""] \ufeffline {n}: "🧀"\\\n'
                stream.sendall(line.encode())
        wait_for("its rows", lambda: len(of_service(server, "shop-syslog")) >= COUNT * len(FORMS))
        equal(terminate(child), 0, "exit code of syslog-ng")
        server.wait_until_stored()
        rows = of_service(server, "shop-syslog")
        for form in FORMS:
            of_form = {row["LogAttributes"]["pid"]: row for row in rows if row["LogAttributes"]["form"] == form}
            equal(len(of_form), COUNT, f"rows of {form}")
            for n in range(COUNT):
                row = of_form[str(100 + n)]
                equal((row["Timestamp"], row["Body"]), (TIME, f'line {n}: "🧀"\\'), f"time and body of {form} {n}")
                equal((row["SeverityNumber"], row["SeverityText"]), (NUMBERS[n % 8], LEVELS[n % 8]), f"severity of {form} {n}")
                expected = {"form": form, "host": "box", "pid": str(100 + n), "level": LEVELS[n % 8], "_SDATA.x@1.key": f'käse "{n}"'}
                equal(row["LogAttributes"], expected, f"attributes of {form} {n}")
        equal(len(rows), COUNT * len(FORMS), "rows")
        remarks.append(f"{len(rows)} rows")


# --- Node ----------------------------------------------------------------------------------------


def of_service(server, service):
    return [row for row in server.rows("logs") if row["ServiceName"] == service]


def check_winston(server):
    with scenario("Shippers: winston's transport, one by one and batches"):
        with open(WORK / "winston.log", "wb") as log:
            command = ["node", ROOT / "tests/interop/shippers.js", "winston", server.url, KEY]
            subprocess.run(command, check=True, stdout=log, stderr=log, timeout=60)
        server.wait_until_stored()
        found = sorted(
            (row["LogAttributes"]["batch"], row["LogAttributes"]["n"], row["Body"], row["SeverityNumber"], row["LogAttributes"]["user.id"], row["Timestamp"])
            for row in of_service(server, "shop-winston")
        )
        numbers = [17, 13, 9, 5]
        equal(found, [
            (batch, str(n), f"käse {n}", numbers[n], "7", TIME) for batch in ("false", "true") for n in range(4)
        ], "rows")


def check_pino(server):
    for form in ("json", "ndjson"):
        with scenario(f"Shippers: pino-http-send, {form}"):
            before = len(of_service(server, "shop-pino"))
            with open(WORK / "pino.log", "ab") as log:
                lines = subprocess.run(
                    ["node", ROOT / "tests/interop/shippers.js", "pino"], check=True, stdout=subprocess.PIPE, stderr=log, timeout=60,
                ).stdout
                command = ["node", WORK.parent / "npm/node_modules/.bin/pino-http-send", "--url", f"{server.url}/json/logs"]
                command += ["--bodyType", form, "--batchSize", "4", "--timeout", "200", "--username", "groundcover", "--password", KEY]
                subprocess.run(command, input=lines, check=True, stdout=log, stderr=log, timeout=60)
            server.wait_until_stored()
            rows = of_service(server, "shop-pino")[before:]
            found = sorted((row["LogAttributes"]["n"], row["Body"], row["SeverityNumber"], row["LogAttributes"]["user.id"], row["Timestamp"]) for row in rows)
            equal(found, [(str(n), f"käse {n}", number, "7", TIME) for n, number in enumerate([17, 13, 9, 5, 1, 21])], "rows")


def main():
    server = Server(WORK)
    check_syslog_ng(server)
    if shutil.which("node") and (WORK.parent / "npm/installed.stamp").exists():
        check_winston(server)
        check_pino(server)
    else:
        print("SKIP Shippers for Node: node and npm are needed")
    with scenario("Shippers: nothing besides"):
        server.assert_healthy()
        server.stop()
        equal({(row["Tenant"], row["Protocol"]) for row in server.rows("logs")}, {(TENANT, "json")}, "tenant and protocol")
    finish()


if __name__ == "__main__":
    main()
