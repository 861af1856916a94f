"""Python's `h2`, which follows RFC 9113 to the letter and checks every frame it gets, and `hyperframe`, which
says anything that a frame can say: an honest peer, and a scripted one."""

import json
import socket
import ssl
import time

import h2.config
import h2.connection
import h2.events
import h2.settings
import hpack
import hyperframe.frame as frames
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from support import KEY, TENANT, WORK, Server, equal, finish, scenario

EXPORT = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def connect(server, secure):
    address = server.https if secure else server.http
    host, port = address.rsplit(":", 1)
    plain = socket.create_connection((host, int(port)), timeout=20)
    if not secure:
        return plain
    context = ssl.create_default_context(cafile=str(server.certificate))
    context.set_alpn_protocols(["h2"])
    return context.wrap_socket(plain, server_hostname="localhost")


def head(path, *more, content_type="application/json"):
    fields = [(":method", "POST"), (":scheme", "https"), (":authority", "localhost"), (":path", path)]
    return fields + [("apikey", KEY), ("content-type", content_type), *more]


class Peer:
    """A client over the state machine of `h2`."""

    def __init__(self, server, secure=True):
        self.socket = connect(server, secure)
        self.connection = h2.connection.H2Connection(config=h2.config.H2Configuration(header_encoding="utf-8"))
        self.connection.initiate_connection()
        self.replies, self.ended = {}, False
        self.flush()

    def flush(self):
        self.socket.sendall(self.connection.data_to_send())

    def begin(self, fields):
        stream = self.connection.get_next_available_stream_id()
        self.connection.send_headers(stream, fields)
        self.replies[stream] = {"head": None, "body": b"", "trailers": None, "done": False}
        self.flush()
        return stream

    def turn(self):
        data = self.socket.recv(65536)
        assert data, "the server ended the connection"
        for event in self.connection.receive_data(data):
            reply = self.replies.get(getattr(event, "stream_id", None))
            if isinstance(event, h2.events.ResponseReceived):
                reply["head"] = dict(event.headers)
            elif isinstance(event, h2.events.DataReceived):
                reply["body"] += event.data
                self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.TrailersReceived):
                reply["trailers"] = dict(event.headers)
            elif isinstance(event, h2.events.StreamEnded):
                reply["done"] = True
            elif isinstance(event, h2.events.StreamReset):
                raise AssertionError(f"stream {event.stream_id} was reset: {event.error_code}")
            elif isinstance(event, h2.events.ConnectionTerminated):
                self.ended = True
        self.flush()

    def upload(self, bodies):
        """Sends all bodies, a piece of each in turn, as the windows let it."""
        left = {stream: memoryview(body) for stream, body in bodies.items()}
        while left:
            moved = False
            for stream in list(left):
                room = min(self.connection.local_flow_control_window(stream), self.connection.max_outbound_frame_size)
                piece = left[stream][: max(room, 0)]
                if not piece and left[stream]:
                    continue
                left[stream] = left[stream][len(piece) :]
                ends = not left[stream]
                self.connection.send_data(stream, bytes(piece), end_stream=ends)
                self.flush()
                moved = True
                if ends:
                    del left[stream]
            if not moved:
                self.turn()
        return {stream: self.reply(stream) for stream in bodies}

    def reply(self, stream):
        while not self.replies[stream]["done"]:
            self.turn()
        return self.replies[stream]


def call(text):
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.add().body.string_value = text
    message = request.SerializeToString()
    return b"\0" + len(message).to_bytes(4, "big") + message


def honest(server, secure, sent):
    name = "tls" if secure else "clear"
    peer = Peer(server, secure)
    # More bodies at a time than there is memory for at first sight.
    bodies = {}
    for at in range(24):
        texts = [f"{name}-large-{at}-{record} " + "x" * 15_000 for record in range(100)]
        bodies[peer.begin(head("/json/logs"))] = json.dumps([{"message": text} for text in texts]).encode()
        sent += texts
    for reply in peer.upload(bodies).values():
        equal((reply["head"][":status"], reply["body"]), ("200", b"{}"), "a large body")
    stream = peer.begin(head(EXPORT, ("te", "trailers"), content_type="application/grpc+proto"))
    reply = peer.upload({stream: call(f"{name}-grpc")})[stream]
    equal((reply["body"], reply["trailers"]["grpc-status"]), (b"\0\0\0\0\0", "0"), "a call")
    sent.append(f"{name}-grpc")
    # Windows of nothing, then of three bytes, while a refusal with a body is under way.
    peer.connection.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0})
    peer.flush()
    stream = peer.begin(head("/json/logs"))
    peer.connection.send_data(stream, b"[{]", end_stream=True)
    peer.flush()
    while not peer.replies[stream]["head"]:
        peer.turn()
    equal(peer.replies[stream]["body"], b"", "a closed window holds the body back")
    for _ in range(200):
        if peer.replies[stream]["done"]:
            break
        peer.connection.increment_flow_control_window(3, stream_id=stream)
        peer.connection.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 3})
        peer.flush()
        peer.turn()
    reply = peer.replies[stream]
    equal(reply["head"][":status"], "400", "a broken body")
    assert json.loads(reply["body"])["error"], reply["body"]


class Script:
    """Frames by hand."""

    def __init__(self, server):
        self.socket = connect(server, False)
        self.encoder, self.buffer = hpack.Encoder(), b""
        self.socket.sendall(PREFACE)
        self.send(frames.SettingsFrame(0))

    def send(self, *all_frames):
        self.socket.sendall(b"".join(frame.serialize() for frame in all_frames))

    def headers(self, stream, fields, *flags):
        return frames.HeadersFrame(stream, self.encoder.encode(fields), flags=["END_HEADERS", *flags])

    def next(self):
        while True:
            if len(self.buffer) >= 9:
                frame, length = frames.Frame.parse_frame_header(memoryview(self.buffer[:9]))
                if len(self.buffer) >= 9 + length:
                    frame.parse_body(memoryview(self.buffer[9 : 9 + length]))
                    self.buffer = self.buffer[9 + length :]
                    return frame
            data = self.socket.recv(65536)
            if not data:
                return None
            self.buffer += data

    def until(self, kind, **wanted):
        while frame := self.next():
            if isinstance(frame, kind) and all(getattr(frame, name) == value for name, value in wanted.items()):
                return frame
        raise AssertionError(f"no {kind.__name__} before the end")

    def ends_with(self, code, words=b""):
        frame = self.until(frames.GoAwayFrame)
        assert frame.error_code == code and words in frame.additional_data, frame
        # And then there is an end.
        while self.next():
            pass


def scripted(server, sent):
    body = json.dumps([{"message": "in pieces"}]).encode()
    fields = head("/json/logs")

    # Byte by byte, with everything a frame may carry besides.
    script = Script(server)
    block = script.encoder.encode(fields)
    data = frames.DataFrame(1, body, flags=["END_STREAM", "PADDED"])
    data.pad_length = 17
    odd = frames.HeadersFrame(1, block[:1], flags=["PRIORITY"])
    odd.depends_on, odd.stream_weight, odd.exclusive = 0, 15, False
    pieces = [frames.SettingsFrame(0, flags=["ACK"]), frames.PriorityFrame(7, depends_on=3, stream_weight=1), odd]
    pieces += [frames.ContinuationFrame(1, block[at : at + 1]) for at in range(1, len(block) - 1)]
    pieces += [frames.ContinuationFrame(1, block[-1:], flags=["END_HEADERS"]), frames.ExtensionFrame(0xBE, 1, body=b""), data]
    script.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in b"".join(frame.serialize() for frame in pieces):
        script.socket.sendall(bytes([byte]))
    script.until(frames.DataFrame, data=b"{}")
    sent.append("in pieces")
    script.send(frames.PingFrame(0, opaque_data=b"12345678"))
    assert "ACK" in script.until(frames.PingFrame, opaque_data=b"12345678").flags

    # One fault each, and the code that RFC 9113 has for it.
    PROTOCOL, FLOW, FRAME_SIZE, COMPRESSION, CALM = 1, 3, 6, 9, 11
    faults = {
        "the first frame is no SETTINGS": (None, PROTOCOL),
        "a push from a client": (frames.PushPromiseFrame(1, 2, b""), PROTOCOL),
        "a window update of nothing": (frames.WindowUpdateFrame(0, 0), PROTOCOL),
        "DATA without a stream": (frames.DataFrame(5, b"x"), PROTOCOL),
        "CONTINUATION without HEADERS": (frames.ContinuationFrame(1, b"", flags=["END_HEADERS"]), PROTOCOL),
        "a table index of nothing": (frames.HeadersFrame(1, b"\xff\xff\xff\x7f", flags=["END_HEADERS"]), COMPRESSION),
    }
    for name, (frame, code) in faults.items():
        script = Script(server)
        if frame is None:
            script = Script.__new__(Script)
            script.socket, script.buffer = connect(server, False), b""
            script.socket.sendall(PREFACE + frames.PingFrame(0, opaque_data=b"12345678").serialize())
        else:
            try:
                script.send(frame)
            except ValueError:
                # What the library will not write is written by hand: length, type, flags, stream, payload.
                script.socket.sendall(b"\0\0\4\x08\0\0\0\0\0\0\0\0\0")
        script.ends_with(code)
    script = Script(server)
    script.socket.sendall((65_537).to_bytes(3, "big") + b"\0\0\0\0\0\1")
    script.ends_with(FRAME_SIZE)

    # Rapid reset, and an honest connection beside it.
    neighbour = Peer(server, False)
    script = Script(server)
    script.send(frames.SettingsFrame(0, flags=["ACK"]))
    attack = []
    for stream in range(1, 4001, 2):
        attack += [script.headers(stream, fields), frames.RstStreamFrame(stream, 8)]
    try:
        script.send(*attack)
    except OSError:
        pass
    script.ends_with(CALM, b"too_many_resets")
    stream = neighbour.begin(fields)
    equal(neighbour.upload({stream: body.replace(b"in pieces", b"neighbour")})[stream]["head"][":status"], "200", "the neighbour")
    sent.append("neighbour")
    assert server.metrics()['inrush_http2_abuse_total{abuse="resets"}'] == 1


def drained(server, sent):
    """SIGTERM in the middle of a body: GOAWAY, the rest of the body, its reply, the end. By hand, as `h2` takes
    nothing more on a connection that was told to go away."""
    script = Script(server)
    text = json.dumps([{"message": "drained"}]).encode()
    script.send(frames.SettingsFrame(0, flags=["ACK"]), script.headers(1, head("/json/logs")), frames.DataFrame(1, text[:9]))
    time.sleep(0.3)
    server.child.terminate()
    equal(script.until(frames.GoAwayFrame).last_stream_id, 2**31 - 1, "the announcement")
    ping = script.until(frames.PingFrame)
    # This one was begun before its sender had read the announcement.
    late = json.dumps([{"message": "late"}]).encode()
    script.send(script.headers(3, head("/json/logs")), frames.DataFrame(3, late, flags=["END_STREAM"]))
    script.send(frames.PingFrame(0, opaque_data=ping.opaque_data, flags=["ACK"]))
    goaway = script.until(frames.GoAwayFrame)
    equal((goaway.last_stream_id, goaway.error_code), (3, 0), "the last word")
    # And that one after the last word: nobody looks at it, and nobody else suffers.
    script.send(script.headers(5, head("/json/logs")), frames.DataFrame(5, late, flags=["END_STREAM"]))
    script.send(frames.DataFrame(1, text[9:], flags=["END_STREAM"]))
    script.until(frames.DataFrame, stream_id=1, data=b"{}")
    while script.next():
        pass
    sent.append("drained")
    equal(server.child.wait(30), 0, "the exit code")


def main():
    server = Server(WORK, arguments=["--https", "127.0.0.1:0"])
    sent = []
    for secure in (True, False):
        with scenario(f"Python h2, {'with TLS' if secure else 'in the clear'}: large bodies, gRPC, tiny windows"):
            honest(server, secure, sent)
    with scenario("hyperframe: frames in pieces, faults and their codes, rapid reset beside a neighbour"):
        scripted(server, sent)
    server.assert_healthy()
    with scenario("hyperframe: a drain in the middle of a body"):
        drained(server, sent)
    with scenario("Python h2 and hyperframe: rows, each once"):
        rows = server.rows("logs")
        equal({row["Tenant"] for row in rows}, {TENANT}, "tenants")
        equal(sorted(row["Body"] for row in rows), sorted(sent), "bodies")
    finish()


main()
