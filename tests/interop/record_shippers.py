"""Records what programs that ship logs as JSON post, as golden vectors: syslog-ng, winston and pino.

    INTEROP_WORK=… INTEROP_ROOT=… INRUSH_BIN=none python record_shippers.py FOLDER

Of each form the first body with all its records. Of each it prints the head's fields that belong to it.
"""

import http.server
import pathlib
import shutil
import socket
import subprocess
import sys
import threading

import shippers
from support import ROOT, WORK, free_port, terminate, wait_for

SCRIPT = ROOT / "tests/interop/shippers.js"


class Recorder(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    taken = []

    def do_POST(self):
        if "chunked" in self.headers.get("transfer-encoding", ""):
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers["content-length"]))
        self.taken.append((self.headers, body))
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


def main(folder):
    folder = pathlib.Path(folder)
    WORK.mkdir(parents=True, exist_ok=True)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"

    def save(name, is_it):
        """The first of the bodies since the last time that `is_it` is true of."""
        found = [one for one in Recorder.taken if is_it(one[1])]
        assert found, f"{name}: none of {[body[:200] for _, body in Recorder.taken]}"
        headers, body = found[0]
        (folder / name).write_bytes(body)
        fields = [f"{key}: {value}" for key, value in headers.items() if key.lower().startswith(("content-type", "user-agent", "x-syslog"))]
        print(f"{name}: {len(body)} bytes\n  " + "\n  ".join(fields))

    port = free_port()
    child = shippers.start_syslog_ng(shutil.which("syslog-ng"), port, url)

    def connected():
        try:
            return socket.create_connection(("127.0.0.1", port), 5)
        except ConnectionRefusedError:
            return None

    with wait_for("syslog-ng to listen", connected) as stream:
        for n in range(10):
            line = f'<{8 + n % 8}>1 2023-11-14T22:13:20.123000Z box shop-syslog {100 + n} - [x@1 key="käse \\"{n}\\""] \ufeffline {n}: "🧀"\\\n'
            stream.sendall(line.encode())
    wait_for("its bodies", lambda: sum(body.count(b'"pid"') for _, body in list(Recorder.taken)) >= 30)
    terminate(child)
    for form, count in (("default", 1), ("lines", 10), ("array", 10)):
        is_it = lambda body: body.count(f'"form":"{form}"'.encode()) == count
        save(f"syslog-ng-{form}.json", is_it)

    Recorder.taken.clear()
    subprocess.run(["node", SCRIPT, "winston", url, "none"], check=True, timeout=60)
    save("winston-one.json", lambda body: body.count(b'"message"') == 1)
    save("winston-batch.json", lambda body: body.count(b'"message"') == 4)
    lines = subprocess.run(["node", SCRIPT, "pino"], check=True, stdout=subprocess.PIPE, timeout=60).stdout
    for form in ("json", "ndjson"):
        Recorder.taken.clear()
        command = ["node", WORK.parent / "npm/node_modules/.bin/pino-http-send", "--url", f"{url}/json/logs"]
        command += ["--bodyType", form, "--batchSize", "6", "--timeout", "200", "--username", "groundcover", "--password", "none"]
        subprocess.run(command, input=lines, check=True, stdout=subprocess.DEVNULL, timeout=60)
        save(f"pino-http-send-{form}.json", lambda body: body.count(b'"level"') == 6)


if __name__ == "__main__":
    main(sys.argv[1])
