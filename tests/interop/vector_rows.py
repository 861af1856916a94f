"""Writes beside the golden vectors of Datadog, Firehose and JSON logs the rows that they must decode to.

    python vector_rows.py FOLDER

By msgpack's and Python's own readers and the plainest code that follows the protocols: no code of ours.
Everything arrived when `ARRIVAL` says, as in the tests. Values of samples stand as their bits.
"""

import base64
import datetime
import gzip
import json
import pathlib
import struct
import sys
import zlib

import msgpack
import zstandard

import firehose_delivery

ARRIVAL = 1_767_225_600_123_456_789
KINDS = {"server": "Server", "client": "Client", "producer": "Producer", "consumer": "Consumer", "internal": "Internal"}
NO_SCOPE = {"scope": "", "version": "", "scope_attributes": {}}

# --- traces of Datadog's tracers -----------------------------------------------------------------

# What the heads said, as README.md has them.
PYTHON = {"language": "python", "language_version": "3.11.7", "interpreter": "CPython", "tracer": "4.16.0"}
NODE = {"language": "nodejs", "language_version": "v20.20.2", "interpreter": None, "tracer": "5.132.0"}
RENAMED = {
    "error.type": "exception.type", "error.msg": "exception.message", "error.message": "exception.message",
    "error.stack": "exception.stacktrace", "http.url": "url.full", "http.method": "http.request.method",
    "http.status_code": "http.response.status_code", "http.useragent": "user_agent.original",
}


def unpacked(body):
    return msgpack.unpackb(body, strict_map_key=False)


def spans_of_v05(body):
    """As v0.4 has them."""
    texts, traces = unpacked(body)
    names = ["service", "name", "resource", "trace_id", "span_id", "parent_id", "start", "duration", "error", "meta", "metrics", "type"]
    for trace in traces:
        chunk = []
        for fields in trace:
            span = dict(zip(names, fields, strict=True))
            for name in ("service", "name", "resource", "type"):
                span[name] = texts[span[name]]
            span["meta"] = {texts[key]: texts[value] for key, value in span["meta"].items()}
            span["metrics"] = {key if isinstance(key, str) else texts[key]: value for key, value in span["metrics"].items()}
            chunk.append(span)
        yield chunk


def typed(value):
    member = ["string_value", "bool_value", "int_value", "double_value", "array_value"][value["type"]]
    default = ["", False, 0, 0.0, {"values": []}][value["type"]]
    found = value.get(member, default)
    return [typed(inner) for inner in found["values"]] if member == "array_value" else found


def links(span, meta):
    for link in span.get("span_links") or []:
        yield {
            "trace_id": f"{link.get('trace_id_high', 0):016x}{link['trace_id']:016x}", "span_id": f"{link['span_id']:016x}",
            "trace_state": link.get("tracestate", ""), "attributes": link.get("attributes", {}),
        }
    for link in json.loads(meta.get("_dd.span_links", "[]")):
        yield {
            "trace_id": link["trace_id"], "span_id": link["span_id"],
            "trace_state": link.get("tracestate", ""), "attributes": link.get("attributes", {}),
        }


def events(span, meta):
    for event in span.get("span_events") or []:
        attributes = {key: typed(value) for key, value in event.get("attributes", {}).items()}
        yield {"time": event["time_unix_nano"], "name": event["name"], "attributes": attributes}
    for event in json.loads(meta.get("events", "[]")):
        yield {"time": event["time_unix_nano"], "name": event["name"], "attributes": event.get("attributes", {})}


def trace_rows(chunks, tracer):
    for chunk in chunks:
        tids = {meta["_dd.p.tid"] for span in chunk if "_dd.p.tid" in (meta := span.get("meta") or {})}
        assert len(tids) <= 1
        high = tids.pop() if tids else "0" * 16
        for span in chunk:
            meta, metrics = span.get("meta") or {}, span.get("metrics") or {}
            resource = {
                "service.name": span["service"], "telemetry.sdk.name": "Datadog", "telemetry.sdk.language": tracer["language"],
                "telemetry.sdk.version": f"Datadog-{tracer['tracer']}", "process.runtime.name": tracer["interpreter"],
                "process.runtime.version": tracer["language_version"], "deployment.environment": meta.get("env"),
                "deployment.environment.name": meta.get("env"), "service.version": meta.get("version"),
            }
            elsewhere = {"service", "env", "version", "span.kind", "_dd.p.tid", "_dd.span_links", "events"}
            attributes = {
                "dd.span.Resource": span["resource"], "datadog.trace.id": str(span["trace_id"]), "datadog.span.id": str(span["span_id"]),
            }
            if span.get("type"):
                attributes["span.type"] = span["type"]
            attributes |= {RENAMED.get(key, key): value for key, value in meta.items() if key not in elsewhere}
            attributes |= {RENAMED.get(key, key): float(value) for key, value in metrics.items()}
            by_type = {"web": "Server", "http": "Client"}.get(span.get("type"), "Unspecified")
            parent = span.get("parent_id") or 0
            is_error = bool(span.get("error"))
            yield {
                "resource": {key: value for key, value in resource.items() if value is not None},
                "scope": "Datadog", "version": tracer["tracer"], "scope_attributes": {}, "row": "span",
                "trace_id": f"{high}{span['trace_id']:016x}", "span_id": f"{span['span_id']:016x}",
                "parent_span_id": f"{parent:016x}" if parent else None, "trace_state": "", "flags": 0, "name": span["name"],
                "kind": KINDS.get(meta.get("span.kind", "").lower(), by_type), "start": span["start"], "duration": span["duration"],
                "attributes": attributes, "events": list(events(span, meta)), "links": list(links(span, meta)),
                "status": "Error" if is_error else "Unset",
                "status_message": meta.get("error.message", meta.get("error.msg", "")) if is_error else "",
            }


# --- metrics of Datadog's clients ----------------------------------------------------------------


def series_rows(body):
    for series in json.loads(body)["series"]:
        kind = {1: "count", 2: "rate", 3: "gauge"}.get(series.get("type"), series.get("type"))
        resource, labels = {}, {}
        resources = series.get("resources", []) + [{"type": "host", "name": series.get("host") or ""}]
        for one in resources + [{"type": "device", "name": series.get("device") or ""}]:
            if one["name"] and one["type"] == "host":
                resource["host.name"] = one["name"]
            elif one["name"]:
                labels[one["type"]] = one["name"]
        for tag in series.get("tags") or []:
            key, colon, value = tag.partition(":")
            if key == "env":
                resource["deployment.environment.name"] = value
            else:
                labels.setdefault(key, []).append(value if colon else "no_label_value")
        labels = {key: value[0] if isinstance(value, list) and len(value) == 1 else value for key, value in labels.items()}
        is_sum, interval = kind in ("count", "rate"), series.get("interval") or 0
        for point in series["points"]:
            time, value = (point["timestamp"], point["value"]) if isinstance(point, dict) else point
            time = int(time * 2) * 500_000_000
            value = float(value) * (interval if kind == "rate" else 1)
            yield NO_SCOPE | {
                "resource": resource, "name": series["metric"], "unit": series.get("unit") or "", "description": "",
                "type": "sum" if is_sum else "gauge", "temporality": "Delta" if is_sum else "Unspecified", "monotonic": False,
                "labels": labels, "row": "sample", "time": time, "start": time - interval * 10**9 if is_sum else 0, "flags": 0,
                "value": struct.pack(">d", value).hex(), "int": None,
            }


# --- JSON logs -----------------------------------------------------------------------------------

LEVELS = {
    "trace": 1, "debug": 5, "info": 9, "notice": 10, "warn": 13, "warning": 13, "error": 17, "err": 17, "crit": 18, "alert": 19,
    "emerg": 21, "fatal": 21,
}
PINO = {10: (1, "TRACE"), 20: (5, "DEBUG"), 30: (9, "INFO"), 40: (13, "WARN"), 50: (17, "ERROR"), 60: (21, "FATAL")}


def values(text):
    """Values one after another, with anything blank or nothing between."""
    decoder, at = json.JSONDecoder(), 0
    while (at := len(text) - len(text[at:].lstrip())) < len(text):
        value, at = decoder.raw_decode(text, at)
        yield from value if isinstance(value, list) else value["logs"] if set(value) == {"logs"} else [value]


def flat(record, prefix=""):
    for key, value in record.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def nanos(time):
    if isinstance(time, int):
        assert 10**11 < time < 10**14, "milliseconds"
        return time * 10**6
    parsed = datetime.datetime.fromisoformat(time.replace("Z", "+00:00"))
    return int(parsed.replace(microsecond=0).timestamp()) * 10**9 + parsed.microsecond * 1000


def log_row(record, **more):
    attributes = dict(flat(record))
    time = next((attributes.pop(key) for key in ("timestamp", "time") if key in attributes), None)
    body = next(attributes.pop(key) for key in ("message", "msg") if key in attributes)
    level = attributes.get("level")
    number, text = PINO[level] if isinstance(level, int) else (LEVELS.get(level, 0), level or "")
    resource = {"service.name": attributes.pop("service.name")} if "service.name" in attributes else {}
    return NO_SCOPE | {
        "resource": resource | more.get("resource", {}), "row": "log", "time": nanos(time) if time else more.get("time", ARRIVAL),
        "observed": ARRIVAL, "trace_id": None, "span_id": None, "flags": 0, "severity_text": text, "severity_number": number,
        "body": body, "attributes": attributes | more.get("attributes", {}), "event_name": "",
    }


def json_rows(body):
    return [log_row(record) for record in values(body.decode())]


# --- Firehose ------------------------------------------------------------------------------------


def firehose_rows(body):
    body = json.loads(body)
    request = {"aws.firehose.request_id": firehose_delivery.REQUEST_ID}
    stream = firehose_delivery.COMMON | {"cloud.provider": "aws", "cloud.region": "eu-west-1", "aws.firehose.arn": firehose_delivery.ARN}
    common = {"resource": stream, "attributes": request, "time": body["timestamp"] * 10**6}
    for record in body["records"]:
        record = base64.b64decode(record["data"])
        record = gzip.decompress(record) if record[:2] == b"\x1f\x8b" else record
        if not record.startswith(b"{"):
            for line in record.decode().splitlines():
                yield log_row({"message": line}, **common)
            continue
        for document in values(record.decode()):
            if "messageType" not in document:
                yield log_row(document, **common)
                continue
            if document["messageType"] == "CONTROL_MESSAGE":
                continue
            resource = stream | {
                "cloud.account.id": document["owner"], "aws.log.group.names": [document["logGroup"]], "aws.log.stream.names": [document["logStream"]],
            }
            for event in document["logEvents"]:
                attributes = request | {"aws.log.event.id": event["id"]}
                if "extractedFields" in event:
                    attributes["aws.log.event.extracted_fields"] = event["extractedFields"]
                row = log_row({"message": event["message"]}, resource=resource, attributes=attributes, time=event["timestamp"] * 10**6)
                yield row


# --- all of them ---------------------------------------------------------------------------------


def plain(body, ending):
    zstd = lambda coded: zstandard.ZstdDecompressor().decompressobj().decompress(coded)
    return {".gz": gzip.decompress, ".zlib": zlib.decompress, ".zst": zstd}.get(ending, lambda plain: plain)(body)


def rows(name, body):
    if name.startswith(("ddtrace-python", "dd-trace-js")):
        tracer = PYTHON if "python" in name else NODE
        return trace_rows(spans_of_v05(body) if "v0.5" in name else unpacked(body), tracer)
    if "-series-" in name:
        return series_rows(body)
    if name.startswith("firehose"):
        return firehose_rows(body)
    return json_rows(body)


def main(folder):
    folder = pathlib.Path(folder)
    for pattern in ("dd*.msgpack", "datadog*-series-*", "firehose-*", "winston-*", "pino-*", "syslog-ng-*"):
        for path in sorted(folder.glob(pattern)):
            if path.suffix == ".rows":
                continue
            found = rows(path.name, plain(path.read_bytes(), path.suffix))
            lines = [json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in found]
            path.with_name(f"{path.name}.rows").write_text("".join(lines))
            print(f"{path.name}: {len(lines)} rows")


if __name__ == "__main__":
    main(sys.argv[1])
