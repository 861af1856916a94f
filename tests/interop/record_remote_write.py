"""Records the golden vectors of remote write 2.0 in tests/vectors: what a Prometheus 3 sends, and the
rows it must decode to.

    pip install cramjam grpcio-tools
    PROMETHEUS=/usr/bin/prometheus INTEROP_WORK=… python record_remote_write.py FOLDER

The rows come from Google's protobuf library, with messages made from proto/remote_write_v2.proto.
"""

import http.server
import importlib
import json
import os
import pathlib
import struct
import subprocess
import sys
import threading
import time
import types

import cramjam
from grpc_tools import protoc

HERE = pathlib.Path(__file__).parent
WORK = pathlib.Path(os.environ["INTEROP_WORK"])
STALE = 0x7FF0000000000002
CONFIG = """\
global: {{scrape_interval: 1s, external_labels: {{replica: a}}}}
scrape_configs:
  - job_name: target
    convert_classic_histograms_to_nhcb: true
    static_configs: [{{targets: ["{target}"]}}]
remote_write:
  - url: http://127.0.0.1:{port}/api/v1/write
    protobuf_message: io.prometheus.write.v2.Request
    send_exemplars: true
    send_native_histograms: true
    queue_config: {{batch_send_deadline: 300ms, max_shards: 1}}
"""
TYPES = ["unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset"]
MILLI = 1_000_000


def messages():
    folder = WORK / "messages"
    folder.mkdir(parents=True, exist_ok=True)
    proto = HERE.parent.parent / "proto"
    arguments = ["", f"-I{proto}", f"--python_out={folder}", "remote_write_v2.proto"]
    assert protoc.main(arguments) == 0
    sys.path.insert(0, str(folder))
    return importlib.import_module("remote_write_v2_pb2")


def bits(value):
    return struct.pack(">d", value).hex()


def dense(spans, counts, shift):
    """Buckets from the first to the last; Prometheus' bucket i is OpenTelemetry's i - 1."""
    places, place = [], 0
    for span in spans:
        place += span.offset
        places += range(place, place + span.length)
        place += span.length
    assert len(places) == len(counts)
    if not places:
        return [0, []]
    filled = [0.0] * (places[-1] - places[0] + 1)
    for place, count in zip(places, counts):
        filled[place - places[0]] = float(count)
    return [places[0] - shift, filled]


def summed(deltas):
    total, counts = 0, []
    for delta in deltas:
        total += delta
        counts.append(total)
    return counts


def histogram_row(message):
    is_integer = message.WhichOneof("count") != "count_float"
    shift = 0 if message.schema == -53 else 1

    def side(name):
        counts = summed(getattr(message, name + "_deltas")) if is_integer else getattr(message, name + "_counts")
        return dense(getattr(message, name + "_spans"), counts, shift)

    return {
        "row": "histogram", "time": message.timestamp * MILLI, "start": message.start_timestamp * MILLI,
        "count": float(message.count_int if is_integer else message.count_float),
        "sum": bits(message.sum), "scale": message.schema, "zero_threshold": bits(message.zero_threshold),
        "zero_count": float(message.zero_count_int if is_integer else message.zero_count_float),
        "positive": side("positive"), "negative": side("negative"),
        "custom_bounds": list(message.custom_values), "hint": message.reset_hint,
    }


def rows(request):
    symbols = list(request.symbols)

    def pairs(refs):
        return {symbols[name]: symbols[value] for name, value in zip(refs[::2], refs[1::2])}

    for series in request.timeseries:
        labels = {"labels": pairs(series.labels_refs)}
        if (series.metadata.type, series.metadata.help_ref, series.metadata.unit_ref) != (0, 0, 0):
            yield {
                "row": "metadata", "family": labels["labels"]["__name__"],
                "type": TYPES[series.metadata.type], "help": symbols[series.metadata.help_ref],
                "unit": symbols[series.metadata.unit_ref],
            }
        for sample in series.samples:
            start = sample.start_timestamp * MILLI
            yield labels | {"row": "sample", "time": sample.timestamp * MILLI, "start": start, "value": bits(sample.value)}
        for histogram in series.histograms:
            yield labels | histogram_row(histogram)
        for exemplar in series.exemplars:
            attributes = pairs(exemplar.labels_refs)
            ids = {name: attributes.pop(name, None) for name in ("trace_id", "span_id")}
            value = bits(exemplar.value)
            yield labels | ids | {"row": "exemplar", "time": exemplar.timestamp * MILLI, "value": value, "attributes": attributes}


def capture():
    """Bodies of Prometheus until some time after its target has ended."""
    bodies = []

    class Receiver(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            assert self.headers["Content-Type"] == "application/x-protobuf;proto=io.prometheus.write.v2.Request"
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.send_header("X-Prometheus-Remote-Write-Samples-Written", "1")
            self.end_headers()

        def log_message(self, *_):
            pass

    receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    receiver.daemon_threads = True
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    # The target needs nothing of what the scenarios need.
    support = types.ModuleType("support")
    support.__getattr__ = lambda _: None
    sys.modules["support"] = support
    target = importlib.import_module("support_prometheus").Target()
    config = WORK / "prometheus.yml"
    config.write_text(CONFIG.format(target=target.address, port=receiver.server_port))
    arguments = [
        os.environ.get("PROMETHEUS", "prometheus"), f"--config.file={config}",
        f"--storage.tsdb.path={WORK}/tsdb", "--web.listen-address=127.0.0.1:0",
        "--enable-feature=exemplar-storage,native-histograms,metadata-wal-records",
    ]
    with (WORK / "prometheus.log").open("w") as log:
        prometheus = subprocess.Popen(arguments, stdout=log, stderr=log)
    try:
        time.sleep(10)
        target.stop()
        time.sleep(3)
    finally:
        prometheus.terminate()
        prometheus.wait()
    return bodies


def main():
    folder = pathlib.Path(sys.argv[1])
    request = messages().Request
    parsed = []
    for body in capture():
        parsed.append((body, request.FromString(bytes(cramjam.snappy.decompress_raw(body)))))
    is_stale = bits(struct.unpack("<d", struct.pack("<Q", STALE))[0])
    found = {
        "samples": next(p for p in parsed if any(s.exemplars for s in p[1].timeseries)),
        "stale": next(p for p in parsed if any(bits(h.sum) == is_stale for s in p[1].timeseries for h in s.histograms)),
    }
    for name, (body, message) in found.items():
        path = folder / f"prometheus-3.5-{name}.snappy"
        path.write_bytes(body)
        lines = [json.dumps(row, sort_keys=True, ensure_ascii=False) for row in rows(message)]
        pathlib.Path(f"{path}.rows").write_text("\n".join(lines) + "\n")
        print(f"{path}: {len(body)} bytes, {len(lines)} rows")


main()
