"""JSON logs in the shapes and codings in which agents send them, from clients that others wrote.

urllib labels every body a form unless told otherwise, requests keeps connections and can send chunks,
curl strips newlines from a file: each is used as its users use it.
"""

import gzip
import itertools
import json
import subprocess
import time
import urllib.error
import urllib.request
import zlib

import pyarrow as pa
import requests
import zstandard

from support import KEY, TENANT, WORK, Server, equal, finish, scenario

COUNT = 20
SECOND = 1_700_000_000
HEADERS = {"apikey": KEY}

# --- bodies --------------------------------------------------------------------------------------


def record(case, n):
    """What an application logs, and what must stand in the table."""
    sent = {
        "timestamp": f"2023-11-14T22:13:{20 + n:02}.123456789Z",
        "message": f"line {n} of {case}: käse \"🧀\"\tend\n",
        "level": ["info", "WARN", "error"][n % 3],
        "service": {"name": "shop"},
        "n": n,
        "ratio": n / 4 + 0.1,
        "big": 2**63 - 1,
        "is_ok": n % 2 == 0,
        "nothing": None,
        "list": [1, "x", None],
        "http": {"request": {"method": "GET"}, "status": 200},
        "trace_id": f"{n + 1:032x}",
        "span_id": f"{n + 1:016x}",
        "case": case,
    }
    stored = {
        "Timestamp": (SECOND + n) * 10**9 + 123456789,
        "Body": sent["message"],
        "SeverityText": sent["level"],
        "SeverityNumber": [9, 13, 17][n % 3],
        "TraceId": sent["trace_id"],
        "SpanId": sent["span_id"],
        "ServiceName": "shop",
        "ResourceAttributes": {"service.name": "shop"},
        "LogAttributes": {
            "level": sent["level"],
            "n": str(n),
            "ratio": json.dumps(n / 4 + 0.1),
            "big": str(2**63 - 1),
            "is_ok": "true" if n % 2 == 0 else "false",
            "nothing": "",
            "list": '[1,"x",null]',
            "http.request.method": "GET",
            "http.status": "200",
            "case": case,
        },
    }
    return sent, stored


def fluent_bit(case, n):
    """Fluent Bit's own time key: seconds with a fraction."""
    sent = {"date": SECOND + n + 0.5, "log": f"fluent {n}", "case": case, "n": n}
    stored = {
        "Timestamp": (SECOND + n) * 10**9 + 500_000_000,
        "Body": f"fluent {n}",
        "SeverityNumber": 0,
        "LogAttributes": {"case": case, "n": str(n)},
    }
    return sent, stored


def gelf(case, n):
    sent = {
        "version": "1.1",
        "host": "machine-1",
        "short_message": f"gelf {n}",
        "timestamp": SECOND + n + 0.25,
        "level": 4,
        "_case": case,
        "_n": n,
    }
    stored = {
        "Timestamp": (SECOND + n) * 10**9 + 250_000_000,
        "Body": f"gelf {n}",
        "SeverityNumber": 13,
        "SeverityText": "WARN",
        "LogAttributes": {"version": "1.1", "host": "machine-1", "level": "4", "_case": case, "_n": str(n)},
    }
    return sent, stored


def texts(records):
    """As a mixture of encoders would: bare text and escapes, with and without blanks."""
    return [
        json.dumps(record, ensure_ascii=bool(n % 2), separators=(",", ":") if n % 3 else None)
        for n, record in enumerate(records)
    ]


# Name: records, how many, content type (None: the client's own), and how they are joined.
SHAPES = {
    "array": (record, COUNT, "application/json; charset=utf-8", lambda t: f"[{','.join(t)}]"),
    "pretty array": (
        record, COUNT, "application/json",
        lambda t: json.dumps([json.loads(x) for x in t], indent=2),
    ),
    "NDJSON": (record, COUNT, "application/x-ndjson", "\n".join),
    "NDJSON, CRLF and blank lines": (
        record, COUNT, "application/x-ndjson", lambda t: "\r\n\r\n".join(t) + "\r\n",
    ),
    "concatenated": (record, COUNT, "application/json", "".join),
    "one object": (record, 1, "application/json", "".join),
    "batch in an object": (record, COUNT, None, lambda t: f'{{"logs":[{",".join(t)}]}}'),
    "Fluent Bit array": (fluent_bit, COUNT, "application/json", lambda t: f"[{','.join(t)}]"),
    "Fluent Bit stream": (fluent_bit, COUNT, "application/json", "".join),
    "GELF lines": (gelf, COUNT, "application/json", lambda t: "\n".join(t) + "\n"),
}


def zstd_streamed(body):
    """No content size in the header, and a second frame behind the first."""
    compressor = zstandard.ZstdCompressor(level=3)
    half = len(body) // 2
    return b"".join(
        stream.compress(part) + stream.flush()
        for part in (body[:half], body[half:])
        for stream in [compressor.compressobj()]
    )


CODINGS = {
    None: lambda body: body,
    "gzip": gzip.compress,
    "gzip, two members": lambda b: gzip.compress(b[: len(b) // 2]) + gzip.compress(b[len(b) // 2 :]),
    "deflate": zlib.compress,
    "zstd": lambda body: zstandard.ZstdCompressor().compress(body),
    "zstd, streamed": zstd_streamed,
    "snappy": lambda body: pa.Codec("snappy").compress(body, asbytes=True),
}


# --- clients -------------------------------------------------------------------------------------


def by_urllib(url, headers, body):
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")
    with urllib.request.urlopen(request, timeout=10) as reply:
        return reply.status, reply.read()


session = requests.Session()


def by_requests(url, headers, body):
    reply = session.post(url, data=body, headers=headers, timeout=10)
    return reply.status_code, reply.content


def by_requests_chunked(url, headers, body):
    pieces = (body[at : at + 777] for at in range(0, len(body), 777))
    reply = session.post(url, data=pieces, headers=headers, timeout=10)
    return reply.status_code, reply.content


def by_curl(url, headers, body):
    file = WORK / "curl.body"
    file.write_bytes(body)
    command = ["curl", "--silent", "--show-error", "--max-time", "10", "--write-out", "\n%{http_code}"]
    command += [option for pair in headers.items() for option in ("--header", ": ".join(pair))]
    done = subprocess.run(command + ["--data-binary", f"@{file}", url], check=True, capture_output=True)
    body, status = done.stdout.rsplit(b"\n", 1)
    return int(status), body


CLIENTS = [by_urllib, by_requests, by_requests_chunked, by_curl]

# --- checks --------------------------------------------------------------------------------------


def check(row, stored, what):
    for column, value in stored.items():
        equal(row[column], value, f"{what}, {column}")
    equal((row["Tenant"], row["Protocol"]), (TENANT, "json"), f"{what}, tenant and protocol")
    age = time.time_ns() - row["ObservedTimestamp"]
    assert 0 <= age < 300 * 10**9, f"{what}: observed {age} ns ago"


def main():
    server = Server(WORK)
    url = f"{server.url}/json/logs"
    clients = itertools.cycle(CLIENTS)
    expected = {}
    for coding, encode in CODINGS.items():
        with scenario(f"JSON logs, {coding or 'no coding'}") as remarks:
            for shape, (make, count, media, join) in SHAPES.items():
                client = next(clients)
                case = f"{shape}/{coding}/{client.__name__}"
                pairs = [make(case, n) for n in range(count)]
                body = encode(join(texts([sent for sent, _ in pairs])).encode())
                headers = dict(HEADERS)
                if media:
                    headers["Content-Type"] = media
                if coding:
                    headers["Content-Encoding"] = coding.split(",")[0]
                equal(client(url, headers, body), (200, b"{}"), f"reply to {case}")
                expected[case] = [stored for _, stored in pairs]
            # Moves the clients on, so that every shape meets several of them.
            next(clients)
            server.wait_until_stored()
            found = {}
            for row in server.rows("logs"):
                attributes = row["LogAttributes"]
                found.setdefault(attributes.get("case", attributes.get("_case")), []).append(row)
            equal(set(found), set(expected), "cases that arrived")
            for case, stored in expected.items():
                rows = sorted(found[case], key=lambda row: row["Timestamp"])
                equal(len(rows), len(stored), f"rows of {case}")
                for n, pair in enumerate(zip(rows, stored)):
                    check(*pair, f"{case} {n}")
            remarks.append(f"{len(SHAPES)} shapes")

    with scenario("JSON logs, curl -d @file strips the newlines"):
        file = WORK / "lines.ndjson"
        file.write_text("".join(json.dumps({"msg": f"glued {n}"}) + "\n" for n in range(5)))
        command = ["curl", "-sS", "--fail-with-body", "--max-time", "10", "-u", f"groundcover:{KEY}"]
        subprocess.run(command + ["-d", f"@{file}", url], check=True, stdout=subprocess.DEVNULL)
        server.wait_until_stored()
        bodies = [row["Body"] for row in server.rows("logs") if row["Body"].startswith("glued")]
        equal(sorted(bodies), [f"glued {n}" for n in range(5)], "bodies")

    with scenario("JSON logs, fields of the head, a body over 1 MiB with Expect, and refusals"):
        before = len(server.rows("logs"))
        fields = {"x-groundcover-service-name": "from-head", "x-groundcover-env-name": "prod"}
        lines = [json.dumps({"message": f"head {n}", "pad": "x" * 200}) for n in range(10_000)]
        headers = HEADERS | fields | {"Content-Type": "application/x-ndjson", "Expect": "100-continue"}
        equal(by_curl(url, headers, "\n".join(lines).encode()), (200, b"{}"), "reply")
        for status, headers, body in [
            (401, {"apikey": "wrong"}, b'[{"message":"refused"}]'),
            (401, {}, b'[{"message":"refused"}]'),
            (400, HEADERS, b'[{"message":"refused"},'),
            (415, HEADERS | {"Content-Encoding": "br"}, b"refused"),
            (415, HEADERS | {"Content-Type": "application/msgpack"}, b"\x91\x80"),
            (400, HEADERS | {"Content-Encoding": "gzip"}, b"refused"),
        ]:
            for client in CLIENTS:
                try:
                    found = client(url, headers, body)[0]
                except urllib.error.HTTPError as error:
                    found = error.code
                equal(found, status, f"status by {client.__name__} for {headers} {body}")
        server.assert_healthy()
        server.stop()
        rows = server.rows("logs")
        equal(len(rows), before + 10_000, "rows")
        of_head = [row for row in rows if row["ServiceName"] == "from-head"]
        equal({row["Body"] for row in of_head}, {f"head {n}" for n in range(10_000)}, "bodies")
        resources = {tuple(sorted(row["ResourceAttributes"].items())) for row in of_head}
        equal(resources, {(("env_name", "prod"), ("service.name", "from-head"))}, "resource")
    finish()


main()
