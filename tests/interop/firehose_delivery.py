"""Deliveries as AWS specifies them for Amazon Data Firehose's HTTP endpoint, and what CloudWatch Logs
puts into their records. Nobody but AWS has the sender itself."""

import base64
import gzip
import http.client
import json
import urllib.parse

MILLIS = 1_700_000_000_123
REQUEST_ID = "ed4acda5-034f-9f42-bba1-f29aea6d7d8f"
ARN = "arn:aws:firehose:eu-west-1:123456789012:deliverystream/shop-logs"
COMMON = {"deployment": "blue", "team": "käse"}


def message(kind, events, **fields):
    """One record of a subscription: gzip around one object of JSON."""
    body = {
        "messageType": kind, "owner": "123456789012", "logGroup": "/aws/lambda/shop", "logStream": "2023/11/14/[$LATEST]0a1b",
        "subscriptionFilters": ["to-firehose"], "logEvents": events,
    } | fields
    return gzip.compress(json.dumps(body).encode(), 6, mtime=0)


def event(n, text, **fields):
    return {"id": f"{3788 * 10**52 + n:056d}", "timestamp": MILLIS + n, "message": text} | fields


def cloudwatch():
    """Two of logs, the control message between them, and one whose gzip has two members."""
    control = message(
        "CONTROL_MESSAGE",
        [{"id": "", "timestamp": MILLIS, "message": "CWL CONTROL MESSAGE: Checking health of destination Firehose."}],
        owner="CloudwatchLogs", logGroup="", logStream="", subscriptionFilters=[],
    )
    return [
        message("DATA_MESSAGE", [event(0, "START RequestId: 7\n"), event(1, '{"level":"error","käse":"🧀"}')]),
        control,
        message("DATA_MESSAGE", [event(2, "third", extractedFields={"@aws.account": "123456789012"})], logGroup="other"),
        message("DATA_MESSAGE", []),
        message("DATA_MESSAGE", [event(3, "member one")]) + message("DATA_MESSAGE", [event(4, "member two")]),
    ]


def direct():
    """What programs put there themselves: lines, objects by line, objects glued, nothing, and bytes."""
    return [
        b"a plain line\nand another\n",
        b'{"message":"by line 1","n":1}\n{"message":"by line 2","n":2}\n',
        b'{"message":"glued 1","n":3}{"message":"glued 2","n":4}',
        b"",
        gzip.compress(b'{"message":"packed","n":5}', mtime=0),
        gzip.decompress(message("DATA_MESSAGE", [event(9, "unpacked by Firehose")])),
    ]


def deliver(url, key, records, request_id=REQUEST_ID, is_gzip=False, common=COMMON, path="/firehose/logs"):
    """Answers status, fields and body."""
    body = json.dumps({
        "requestId": request_id, "timestamp": MILLIS + 1000,
        "records": [{"data": base64.b64encode(record).decode()} for record in records],
    }).encode()
    headers = {
        "X-Amz-Firehose-Protocol-Version": "1.0",
        "X-Amz-Firehose-Request-Id": request_id,
        "X-Amz-Firehose-Source-Arn": ARN,
        "X-Amz-Firehose-Access-Key": key,
        "Content-Type": "application/json",
        "User-Agent": "Amazon Kinesis Data Firehose Agent/1.0",
        "X-Amzn-Trace-Id": "Root=1-5f5fbd1c-882eda68278d63dd8ddbf6d4",
    }
    if common is not None:
        headers["X-Amz-Firehose-Common-Attributes"] = json.dumps({"commonAttributes": common})
    if is_gzip:
        headers["Content-Encoding"] = "gzip"
        body = gzip.compress(body, mtime=0)
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=30)
    connection.request("POST", path, body, headers)
    reply = connection.getresponse()
    answer = reply.status, dict((name.lower(), value) for name, value in reply.getheaders()), reply.read()
    connection.close()
    return answer
