//! What a stock Datadog Agent and tracers ask and post besides their telemetry, against the real server.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

#[path = "support/server.rs"]
mod server;

use std::io::Write;

use server::{Reply, Server, command, read_reply, request};

fn start(settings: &[(&str, &str)]) -> (tempfile::TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"), settings);
    (folder, server)
}

/// Without a key.
fn bare(server: &Server, method: &str, path: &str, fields: &str, body: &[u8]) -> Reply {
    let mut stream = server.connect();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\n{fields}Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    read_reply(&mut stream).unwrap()
}

#[test]
fn posts_without_telemetry_are_answered_and_counted() {
    let (_folder, server) = start(&[]);
    let mut stream = server.connect();
    let large = vec![b'x'; 3 << 20];
    for (method, path, status, body) in [
        ("POST", "/datadog/api/v1/check_run", 202, "{\"status\":\"ok\"}"),
        ("POST", "/api/v1/check_run", 202, "{\"status\":\"ok\"}"),
        ("POST", "/datadog/intake/?api_key=x", 200, "{}"),
        ("POST", "/datadog/api/v1/metadata", 200, "{}"),
        ("POST", "/datadog/api/v2/host_metadata", 202, "{\"status\":\"ok\"}"),
        ("POST", "/api/v0.2/stats", 202, "{}"),
        ("PUT", "/telemetry/proxy/api/v2/apmtelemetry", 202, ""),
    ] {
        // The connection lives on, whatever the size and the framing.
        for sent in [&b""[..], b"anything", &large] {
            stream.write_all(&request(method, path, &[], sent)).unwrap();
            let reply = read_reply(&mut stream).unwrap();
            assert_eq!((reply.status, reply.text().as_str()), (status, body), "{path}");
            let fields = [("Transfer-Encoding", "chunked")];
            let mut chunked = Vec::new();
            for piece in sent.chunks(70_000) {
                chunked.extend(format!("{:x}\r\n", piece.len()).into_bytes());
                chunked.extend_from_slice(piece);
                chunked.extend_from_slice(b"\r\n");
            }
            chunked.extend_from_slice(b"0\r\n\r\n");
            stream.write_all(&request(method, path, &fields, &chunked)).unwrap();
            let reply = read_reply(&mut stream).unwrap();
            assert_eq!((reply.status, reply.text().as_str()), (status, body), "{path} in chunks");
        }
    }
    // The reply waits for the body, and 100 for its sender.
    let head = "POST /intake/ HTTP/1.1\r\nHost: x\r\nDD-Api-Key: end-to-end-key-0123456789\r\n\
                Expect: 100-continue\r\nContent-Length: 6\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut told = [0; 25];
    std::io::Read::read_exact(&mut stream, &mut told).unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"abcdef").unwrap();
    assert_eq!(read_reply(&mut stream).unwrap().status, 200);
    let count = |path: &str| server.metric(&format!("inrush_unkept_total{{path=\"{path}\"}}"));
    assert_eq!(count("/datadog/api/v1/check_run"), 12.0);
    assert_eq!(count("/datadog/intake"), 7.0);
    assert_eq!(count("/telemetry/proxy"), 6.0);
    // Nothing of it is an ingestion.
    assert_eq!(server.metric("inrush_records_total{tenant=\"acme\",signal=\"metrics\"}"), 0.0);
    assert!(server.stop().success());
}

#[test]
fn they_need_a_key_where_their_senders_have_one() {
    let (_folder, server) = start(&[]);
    let reply = bare(&server, "POST", "/datadog/api/v1/check_run", "", b"{}");
    assert_eq!(reply.status, 401);
    assert_eq!(reply.text(), "{\"errors\":[\"no ingestion key was presented\"]}");
    assert_eq!(bare(&server, "POST", "/telemetry/proxy/api/v2/x", "", b"{}").status, 202);
    // A body that is too large is refused before it comes.
    let mut stream = server.connect();
    let head = "POST /telemetry/proxy/x HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    assert_eq!(read_reply(&mut stream).unwrap().status, 413);
    assert!(server.stop().success());
}

#[test]
fn unknown_paths_are_404_and_counted_by_path() {
    let (_folder, server) = start(&[]);
    for path in ["/v0.7/config", "/api/intake/metrics/v3/series", "/v0.7/config?x=1"] {
        let reply = server.post(path, &[], b"{}");
        assert_eq!(reply.status, 404, "{path}");
    }
    let reply = server.post("/datadog/api/v1/distribution_points", &[], b"{}");
    assert_eq!(
        (reply.status, reply.field("content-type").unwrap().as_str()),
        (404, "application/json")
    );
    assert_eq!(reply.text(), "{\"errors\":[\"there is no such endpoint\"]}");
    let count =
        |path: &str| server.metric(&format!("inrush_unknown_paths_total{{path=\"{path}\"}}"));
    assert_eq!(count("/v0.7/config"), 2.0);
    assert_eq!(count("/api/intake/metrics/v3/series"), 1.0);
    // Whoever makes up paths makes one number.
    for number in 0..200 {
        assert_eq!(server.post(&format!("/made/up/{number}"), &[], b"").status, 404);
    }
    assert_eq!(count("other"), 139.0);
    let page = server.get_admin("/metrics").text();
    assert_eq!(page.matches("inrush_unknown_paths_total{").count(), 65);
    assert!(server.stop().success());
}

#[test]
fn tracers_find_what_they_ask_for() {
    let (_folder, server) = start(&[]);
    let info = bare(&server, "GET", "/info", "", b"");
    assert_eq!(info.status, 200);
    let parsed: serde_json::Value = serde_json::from_slice(&info.body).unwrap();
    assert_eq!(
        parsed["endpoints"],
        serde_json::json!(["/v0.3/traces", "/v0.4/traces", "/v0.5/traces", "/v0.7/traces"])
    );
    assert_eq!(parsed["client_drop_p0s"], false);
    assert_eq!(
        (&parsed["span_events"], &parsed["span_meta_structs"]),
        (&true.into(), &true.into())
    );
    // Made by `sha256sum` of the body.
    let state = {
        use sha2::Digest as _;
        let digest = sha2::Sha256::digest(&info.body);
        digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    // On every reply of a trace route, also on a refusal.
    let reply = server.post("/v0.4/traces", &[("Content-Type", "application/msgpack")], &[0x90]);
    assert_eq!(reply.field("datadog-agent-state"), Some(state.clone()));
    assert_eq!(bare(&server, "PUT", "/v0.5/traces", "", b"\x92\x90\x90").status, 401);
    let refused = bare(&server, "PUT", "/v0.5/traces", "", b"\x92\x90\x90");
    assert_eq!(refused.field("datadog-agent-state"), Some(state));
    assert!(server.stop().success());
}

#[test]
fn a_tenant_for_those_without_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"), &[("INRUSH_HTTP_TENANT", "local-dev")]);
    let json = "Content-Type: application/json\r\n";
    let body = b"[{\"message\":\"hello\"}]";
    assert_eq!(bare(&server, "POST", "/json/logs", json, body).status, 200);
    // Those with a key keep their own tenant, and a wrong key is still wrong.
    assert_eq!(
        server.post("/json/logs", &[("Content-Type", "application/json")], body).status,
        200
    );
    for wrong in ["apikey: nonsense\r\n", "Authorization: Bearer nonsense\r\n", "DD-Api-Key: x\r\n"]
    {
        let reply = bare(&server, "POST", "/json/logs", &format!("{json}{wrong}"), body);
        assert_eq!(reply.status, 401, "{wrong}");
    }
    assert_eq!(server.metric("inrush_records_total{tenant=\"local-dev\",signal=\"logs\"}"), 1.0);
    assert_eq!(server.metric("inrush_records_total{tenant=\"acme\",signal=\"logs\"}"), 1.0);
    // New keys do not change it.
    server::add_key(&server.data, "later", "later-key-0123456789", "later");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while server.post("/json/logs", &[("apikey", "later-key-0123456789")], body).status != 200 {
        assert!(std::time::Instant::now() < deadline);
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(bare(&server, "POST", "/json/logs", json, body).status, 200);
    assert_eq!(server.metric("inrush_records_total{tenant=\"local-dev\",signal=\"logs\"}"), 2.0);
    assert!(server.stop().success());
}

#[test]
fn a_tenant_without_a_key_is_for_this_machine_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(&folder.path().join("data"));
    let output = command
        .args(["serve", "--http", "0.0.0.0:0", "--admin", "127.0.0.1:0", "--http-tenant", "dev"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("--http-tenant-anywhere"), "{said}");
}
