"""Amazon Data Firehose: deliveries as AWS specifies them, and the strict shape of the replies."""

import itertools
import json

import firehose_delivery
from firehose_delivery import ARN, COMMON, MILLIS, REQUEST_ID, deliver, event
from support import KEY, TENANT, WORK, Server, equal, finish, scenario

STREAM = {"cloud.provider": "aws", "cloud.region": "eu-west-1", "aws.firehose.arn": ARN}


def check_reply(answer, status, request_id):
    """Firehose takes anything else for a failure and sends the batch again."""
    found, headers, body = answer
    equal(found, status, f"status, with {body}")
    equal(headers["content-type"].split(";")[0], "application/json", "content type")
    equal(headers["content-length"], str(len(body)), "content length")
    assert not {"content-encoding", "transfer-encoding"} & set(headers), headers
    told = json.loads(body)
    equal(told["requestId"], request_id, "request id")
    assert type(told["timestamp"]) is int and told["timestamp"] > MILLIS, f"timestamp: {told}"
    equal(set(told), {"requestId", "timestamp"} | ({"errorMessage"} if status != 200 else set()), "members")
    if status != 200:
        assert 0 < len(told["errorMessage"]) <= 8192, told


def cloudwatch_rows():
    first, other = "/aws/lambda/shop", "other"
    rows = [(0, "START RequestId: 7\n", first), (1, '{"level":"error","käse":"🧀"}', first), (2, "third", other)]
    rows += [(3, "member one", first), (4, "member two", first)]
    return sorted((MILLIS * 10**6 + n * 10**6, text, group, event(n, text)["id"]) for n, text, group in rows)


def check_cloudwatch(rows, request_id, what):
    for row in rows:
        equal((row["Tenant"], row["Protocol"]), (TENANT, "firehose"), f"{what}, tenant and protocol")
        resource = STREAM | COMMON | {"cloud.account.id": "123456789012", "aws.log.stream.names": '["2023/11/14/[$LATEST]0a1b"]'}
        found = dict(row["ResourceAttributes"])
        group, = json.loads(found.pop("aws.log.group.names"))
        equal(found, resource, f"{what}, resource")
        row["group"] = group
        attributes = dict(row["LogAttributes"])
        equal(attributes.pop("aws.firehose.request_id"), request_id, f"{what}, request id")
        row["id"] = attributes.pop("aws.log.event.id")
        extracted = attributes.pop("aws.log.event.extracted_fields", None)
        equal(json.loads(extracted) if extracted else None, {"@aws.account": "123456789012"} if group == "other" else None, f"{what}, fields")
        equal(attributes, {}, f"{what}, attributes")
    found = sorted((row["Timestamp"], row["Body"], row["group"], row["id"]) for row in rows)
    equal(found, cloudwatch_rows(), f"{what}, rows")


def main():
    server = Server(WORK)
    ids = (f"{REQUEST_ID[:-4]}{n:04x}" for n in itertools.count())
    cases = {}
    with scenario("Firehose: deliveries of CloudWatch, raw and gzip; one comes again"):
        for name, is_gzip in (("raw", False), ("gzip", True)):
            cases[name] = next(ids)
            answer = deliver(server.url, KEY, firehose_delivery.cloudwatch(), cases[name], is_gzip)
            check_reply(answer, 200, cases[name])
        answer = deliver(server.url, KEY, firehose_delivery.cloudwatch(), cases["raw"])
        check_reply(answer, 200, cases["raw"])
    with scenario("Firehose: records of programs; nothing but a control message; no records; a broken record"):
        cases["direct"] = next(ids)
        check_reply(deliver(server.url, KEY, firehose_delivery.direct(), cases["direct"], common=None), 200, cases["direct"])
        for records in (firehose_delivery.cloudwatch()[1:2], [], [b""]):
            check_reply(deliver(server.url, KEY, records, "nothing"), 200, "nothing")
        cases["broken"] = next(ids)
        broken = [b"\x1f\x8b\x08\0broken", b"good", b"\xff\xfe not UTF-8"]
        check_reply(deliver(server.url, KEY, broken, cases["broken"], common={}), 200, cases["broken"])
    with scenario("Firehose: common attributes as large as AWS permits"):
        large = {f"{n:02}{'k' * 254}": "v" * 1024 for n in range(50)}
        cases["large"] = next(ids)
        check_reply(deliver(server.url, KEY, [b"large"], cases["large"], common=large), 200, cases["large"])
    with scenario("Firehose: refusals have its shape too"):
        check_reply(deliver(server.url, "wrong", [b"refused"], "refused-1"), 401, "refused-1")
        check_reply(deliver(server.url, "", [b"refused"], "refused-2"), 401, "refused-2")
    server.assert_healthy()
    server.stop()
    rows = server.rows("logs")
    of = lambda name: [row for row in rows if row["LogAttributes"].get("aws.firehose.request_id") == cases[name]]
    with scenario("Firehose: rows of CloudWatch"):
        check_cloudwatch(of("gzip"), cases["gzip"], "gzip")
        # Both deliveries of a batch are kept, under one request id.
        twice = sorted(of("raw"), key=lambda row: (row["Timestamp"], row["ObservedTimestamp"]))
        check_cloudwatch(twice[::2], cases["raw"], "raw")
        check_cloudwatch(twice[1::2], cases["raw"], "raw, again")
    with scenario("Firehose: rows of programs"):
        direct = of("direct")
        expected = {
            "a plain line": {}, "and another": {}, "by line 1": {"n": "1"}, "by line 2": {"n": "2"}, "glued 1": {"n": "3"},
            "glued 2": {"n": "4"}, "packed": {"n": "5"}, "unpacked by Firehose": {"aws.log.event.id": event(9, "")["id"]},
        }
        found = {row["Body"]: {k: v for k, v in row["LogAttributes"].items() if k != "aws.firehose.request_id"} for row in direct}
        equal(found, expected, "bodies and attributes")
        equal(len(direct), len(expected), "rows")
        times = {row["Timestamp"] for row in direct if row["Body"] != "unpacked by Firehose"}
        equal(times, {(MILLIS + 1000) * 10**6}, "times: that of the request")
        plain = next(row for row in direct if row["Body"] == "by line 1")
        equal(plain["ResourceAttributes"], STREAM, "resource")
    with scenario("Firehose: a broken record is kept and costs nobody else"):
        broken = of("broken")
        equal(len(broken), 3, "rows")
        good, = (row for row in broken if row["Body"] == "good")
        assert "_parse_error" not in good["LogAttributes"], good
    with scenario("Firehose: nothing of what was refused"):
        assert not [row for row in rows if row["Body"] == "refused"], "a refused delivery has rows"
        named = sum(len(of(name)) for name in cases)
        equal(len(rows), named, "rows, all of them with a request id")
    finish()


main()
