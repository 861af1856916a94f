"""One TLS port, and one in the clear, tried with what people have at hand: curl, openssl, grpcio by hand,
nghttp and h2load."""

import glob
import json
import os
import re
import shutil
import subprocess

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from support import KEY, TENANT, WORK, Server, equal, finish, scenario

EXPORT = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"


def run(*arguments, text=None):
    # Libraries of what was unpacked and not installed.
    folders = glob.glob(f"{WORK.parent}/debian/nghttp2-client/usr/lib/*-linux-gnu")
    environment = os.environ | {"LD_LIBRARY_PATH": ":".join(folders)} if arguments[0] in ("nghttp", "h2load") else None
    done = subprocess.run([str(part) for part in arguments], input=text, capture_output=True, timeout=60, env=environment)
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


def body(text):
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.add().body.string_value = text
    return request.SerializeToString()


def refusal(call, *arguments, **options):
    try:
        call(*arguments, **options)
    except grpc.RpcError as error:
        return error.code().name, error.details()
    raise AssertionError("the call should be refused")


def curl(server, sent):
    secure = f"https://localhost:{server.https.split(':')[1]}"
    trust = ["--cacert", server.certificate]
    forms = {
        "tls-http1": (secure, [*trust, "--http1.1"], "1.1"),
        "tls-http2": (secure, [*trust, "--http2"], "2"),
        "tls12-http2": (secure, [*trust, "--http2", "--tls-max", "1.2"], "2"),
        "h2c": (server.url, ["--http2-prior-knowledge"], "2"),
        "http1": (server.url, [], "1.1"),
    }
    for name, (url, arguments, version) in forms.items():
        code, said = run(
            "curl", "-sS", *arguments, "-H", f"apikey: {KEY}", "-H", "Content-Type: application/json", "-d",
            json.dumps([{"message": name}]), "-w", " %{http_code} %{http_version}", f"{url}/json/logs",
        )
        equal((code, said), (0, "{} 200 " + version), name)
        sent.append(name)
    code, said = run("curl", "-sS", f"{secure}/health")
    equal(code, 60, f"a certificate that nobody vouches for: {said}")
    code, said = run("curl", "-sS", "-w", "%{http_code}", f"http://{server.https}/health")
    assert "https://" in said and said.endswith("400"), said


def openssl(server):
    def connect(*arguments):
        return run("openssl", "s_client", "-connect", server.https, "-CAfile", server.certificate, "-verify_return_error",
                   "-servername", "localhost", *arguments, text=b"")

    for version in ("-tls1_2", "-tls1_3"):
        for offered, agreed in (("h2,http/1.1", "h2"), ("http/1.1", "http/1.1"), ("foo,h2", "h2")):
            code, said = connect(version, "-alpn", offered)
            equal(code, 0, said)
            assert f"ALPN protocol: {agreed}" in said and "Verify return code: 0 (ok)" in said, said
    code, said = connect("-alpn", "foo")
    assert code != 0 and "no application protocol" in said, said
    code, said = connect("-tls1_1")
    assert code != 0, "TLS 1.1 must not be spoken"


def client_certificates():
    """Only whom the authority vouches for may speak; openssl makes the authority and two clients."""
    folder = WORK / "clients"
    folder.mkdir()

    def made(*arguments):
        code, said = run("openssl", *arguments)
        equal(code, 0, said)

    for name in ("authority", "stranger"):
        made("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
             "-subj", f"/CN={name}", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt")
    made("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=agent",
         "-keyout", folder / "agent.key", "-out", folder / "agent.csr")
    # Version 3, which only extensions make of it.
    (folder / "agent.ext").write_text("basicConstraints = CA:FALSE\nextendedKeyUsage = clientAuth\n")
    made("x509", "-req", "-extfile", folder / "agent.ext", "-in", folder / "agent.csr", "-CA", folder / "authority.crt", "-CAkey", folder / "authority.key",
         "-CAcreateserial", "-days", "2", "-out", folder / "agent.crt")
    server = Server(WORK / "mutual", arguments=["--https", "127.0.0.1:0", "--tls-client-ca", str(folder / "authority.crt")])
    text = json.dumps([{"message": "mutual"}])
    request = (f"POST /json/logs HTTP/1.1\r\nHost: a\r\napikey: {KEY}\r\nContent-Type: application/json\r\n"
               f"Content-Length: {len(text)}\r\nConnection: close\r\n\r\n{text}").encode()
    for version in ("-tls1_2", "-tls1_3"):
        for client, is_welcome in (("agent", True), ("stranger", False), (None, False)):
            own = ["-cert", folder / f"{client}.crt", "-key", folder / f"{client}.key"] if client else []
            code, said = run("openssl", "s_client", "-connect", server.https, "-CAfile", server.certificate, "-servername",
                             "localhost", version, "-quiet", *own, text=request)
            equal("200 OK" in said, is_welcome, f"{client} over {version}: {said}")
    server.stop()
    equal([row["Body"] for row in server.rows("logs")], ["mutual"] * 2, "rows of the client that is known")


def calls(channel, sent, name):
    export = channel.unary_unary(EXPORT)
    key = (("apikey", KEY),)
    equal(export(body(name), metadata=key), b"", "the reply")
    sent.append(name)
    equal(refusal(export, body("refused"))[0], "UNAUTHENTICATED", "no key")
    equal(refusal(export, body("refused"), metadata=(("apikey", "wrong"),))[0], "UNAUTHENTICATED", "a wrong key")
    equal(refusal(channel.unary_unary("/opentelemetry.proto.collector.logs.v1.LogsService/Other"), b"", metadata=key)[0], "UNIMPLEMENTED", "an unknown method")
    equal(refusal(channel.unary_unary("/some.Service/Method"), b"", metadata=key)[0], "UNIMPLEMENTED", "an unknown service")
    code, details = refusal(export, b"\xff\xff", metadata=key)
    equal(code, "INVALID_ARGUMENT", "a broken body")
    assert details, "what is wrong with it"
    # HealthCheckResponse { status: SERVING }
    equal(channel.unary_unary("/grpc.health.v1.Health/Check")(b""), b"\x08\x01", "health")
    for compression in (grpc.Compression.Gzip, grpc.Compression.Deflate):
        export(body(f"{name}-{compression.name}"), metadata=key, compression=compression)
        sent.append(f"{name}-{compression.name}")
    pending = [export.future(body(f"{name}-{at}"), metadata=key, timeout=20) for at in range(200)]
    for at, call in enumerate(pending):
        equal(call.result(), b"", f"call {at}")
        sent.append(f"{name}-{at}")


def nghttp(server, sent):
    secure = f"https://localhost:{server.https.split(':')[1]}"
    path = WORK / "body.json"
    path.write_text(json.dumps([{"message": "nghttp"}]))
    headers = ["-H", f"apikey: {KEY}", "-H", "content-type: application/json"]
    for url in (secure, server.url):
        code, said = run("nghttp", "-v", "-n", *headers, "-d", path, f"{url}/json/logs")
        assert code == 0 and ":status: 200" in re.sub(r"\x1b\[[0-9;]*m", "", said), said
        sent.append("nghttp")
        code, said = run("h2load", "-n", "2000", "-c", "4", "-m", "8", *headers, "-d", path, f"{url}/json/logs")
        assert "2000 succeeded, 0 failed, 0 errored, 0 timeout" in said and "2000 2xx" in said, said
        sent += ["nghttp"] * 2000


def main():
    server = Server(WORK, arguments=["--https", "127.0.0.1:0"])
    sent = []
    with scenario("curl over TLS and in the clear, HTTP/1.1 and HTTP/2"):
        curl(server, sent)
    if shutil.which("openssl"):
        with scenario("openssl s_client: protocols, versions, the certificate"):
            openssl(server)
        with scenario("openssl s_client: certificates of clients"):
            client_certificates()
    credentials = grpc.ssl_channel_credentials(server.certificate.read_bytes())
    with scenario("grpcio by hand, with TLS"), grpc.secure_channel(f"localhost:{server.https.split(':')[1]}", credentials) as channel:
        calls(channel, sent, "grpcs")
    with scenario("grpcio by hand, in the clear"), grpc.insecure_channel(server.http) as channel:
        calls(channel, sent, "grpc")
    if shutil.which("nghttp") and shutil.which("h2load"):
        with scenario("nghttp and h2load, with TLS and in the clear"):
            nghttp(server, sent)
    else:
        print("SKIP nghttp and h2load: they are missing")
    server.assert_healthy()
    server.stop()
    with scenario("one port: rows, each once") as remarks:
        rows = server.rows("logs")
        equal({row["Tenant"] for row in rows}, {TENANT}, "tenants")
        equal(sorted(row["Body"] for row in rows), sorted(sent), "bodies")
        remarks.append(f"{len(rows)} rows")
    finish()


main()
