"""What a browser does before it lets a page send: a preflight without a key, then the request with its
Origin. The page sees a reply only with the right headers, refusals too."""

import http.client
import json

from support import KEY, WORK, Server, equal, finish, scenario

ORIGIN = "https://shop.example"
BODY = json.dumps({"resourceLogs": [{
    "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "page"}}]},
    "scopeLogs": [{"logRecords": [{"timeUnixNano": "1700000000123456789", "body": {"stringValue": "from a page"}}]}],
}]})


def ask(server, method, path, headers, body=None):
    connection = http.client.HTTPConnection(server.http, timeout=10)
    connection.request(method, path, body, headers)
    reply = connection.getresponse()
    text = reply.read()
    connection.close()
    return reply.status, {name.lower(): value for name, value in reply.getheaders()}, text


def names(value):
    return {name.strip().lower() for name in value.split(",")}


def check_visible(headers):
    """What Fetch asks of a reply before a page with credentials may see it."""
    equal(headers.get("access-control-allow-origin"), ORIGIN, "allowed origin")
    equal(headers.get("access-control-allow-credentials"), "true", "allowed credentials")
    assert "origin" in names(headers.get("vary", "")), f"caches must tell origins apart: {headers}"


def main():
    server = Server(WORK)
    wanted = "apikey,content-type"
    for path in ("/v1/logs", "/v1/traces", "/v1/metrics", "/json/logs"):
        with scenario(f"browser: preflight of {path} without a key"):
            status, headers, body = ask(server, "OPTIONS", path, {
                "Origin": ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": wanted,
            })
            equal((status, body), (204, b""), "reply")
            check_visible(headers)
            assert "POST" in headers["access-control-allow-methods"], headers
            assert names(wanted) <= names(headers["access-control-allow-headers"]), headers
            assert int(headers["access-control-max-age"]) > 0, headers
    send = {"Origin": ORIGIN, "Content-Type": "application/json"}
    with scenario("browser: the request itself, OTLP as JSON"):
        status, headers, body = ask(server, "POST", "/v1/logs", send | {"apikey": KEY}, BODY)
        equal((status, headers.get("content-type"), body), (200, "application/json", b"{}"), "reply")
        check_visible(headers)
    for what, path, more, body, expected in [
        ("without a key", "/v1/logs", {}, BODY, 401),
        ("with a wrong key", "/v1/logs", {"apikey": "wrong"}, BODY, 401),
        ("with broken JSON", "/v1/logs", {"apikey": KEY}, BODY[:-5], 400),
        ("with an unknown coding", "/v1/logs", {"apikey": KEY, "Content-Encoding": "br"}, BODY, 415),
        ("to no endpoint", "/v1/nothing", {"apikey": KEY}, BODY, 404),
    ]:
        with scenario(f"browser: {what} the page sees why"):
            status, headers, _ = ask(server, "POST", path, send | more, body)
            equal(status, expected, "status")
            check_visible(headers)
            assert "retry-after" in names(headers["access-control-expose-headers"]), headers
    server.assert_healthy()
    server.stop()
    with scenario("browser: the one record"):
        rows = [(row["ServiceName"], row["Body"], row["Timestamp"]) for row in server.rows("logs")]
        equal(rows, [("page", "from a page", 1_700_000_000_123_456_789)], "rows")
    finish()


main()
