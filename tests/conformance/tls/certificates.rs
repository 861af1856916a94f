//! Files that change while connections live, and what an idle connection costs.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::{Stream, World, post, trusting};
use crate::server::read_reply;

/// Signed by one authority, so that clients trust all of them.
struct Renewals {
    parameters: rcgen::CertificateParams,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Renewals {
    fn new(folder: &Path) -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut authority = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        std::fs::write(folder.join("ca.pem"), authority.self_signed(&key).unwrap().pem()).unwrap();
        let parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let renewals = Self { parameters, issuer: rcgen::Issuer::new(authority, key) };
        renewals.renew(folder, 0);
        renewals
    }

    /// Key and certificate are replaced one after the other, as tools do; every time with another kind of
    /// key.
    fn renew(&self, folder: &Path, round: usize) -> CertificateDer<'static> {
        let kinds =
            [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519];
        let key = rcgen::KeyPair::generate_for(kinds[round % kinds.len()]).unwrap();
        let certificate = self.parameters.signed_by(&key, &self.issuer).unwrap();
        for (name, text) in [("server.key", key.serialize_pem()), ("server.crt", certificate.pem())]
        {
            let new = folder.join("new");
            std::fs::write(&new, text).unwrap();
            std::fs::rename(&new, folder.join(name)).unwrap();
        }
        CertificateDer::from_pem_file(folder.join("server.crt")).unwrap()
    }
}

fn world() -> (World, Renewals) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let renewals = Renewals::new(folder.path());
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (certificate, key) = (path("server.crt"), path("server.key"));
    let world = World::start_in(folder, &["--tls-cert", &certificate, "--tls-key", &key]);
    (world, renewals)
}

fn config(world: &World) -> Arc<rustls::ClientConfig> {
    let mut config = rustls::ClientConfig::builder()
        .with_root_certificates(trusting(&world.path().join("ca.pem")))
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}

fn shown(world: &World) -> CertificateDer<'static> {
    let mut stream = world.connect(&config(world));
    assert_eq!(post(&mut stream).unwrap().status, 200);
    stream.conn.peer_certificates().unwrap()[0].clone()
}

/// 64 connections under load, half of them made anew for every request, and 20 renewals in 10 s: not one
/// request fails, and the last certificate is what new connections see.
#[test]
fn reloads_under_load_fail_nobody() {
    let (world, renewals) = world();
    let (done, requests) = (AtomicBool::new(false), AtomicU64::new(0));
    let config = config(&world);
    let last = std::thread::scope(|scope| {
        for connection in 0..64 {
            let (world, config, done, requests) = (&world, &config, &done, &requests);
            scope.spawn(move || {
                let mut stream = world.connect(config);
                while !done.load(Ordering::Relaxed) {
                    if connection % 2 == 0 {
                        stream = world.connect(config);
                    }
                    assert_eq!(post(&mut stream).expect("a reply").status, 200);
                    requests.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
        }
        let mut last = None;
        for round in 1..=20 {
            last = Some(renewals.renew(world.path(), round));
            std::thread::sleep(Duration::from_millis(500));
        }
        done.store(true, Ordering::Relaxed);
        last.unwrap()
    });
    assert!(requests.load(Ordering::Relaxed) > 1000, "{requests:?}");
    assert_eq!(shown(&world), last);
}

#[test]
fn broken_files_change_nothing_until_they_are_mended() {
    let (world, renewals) = world();
    let before = shown(&world);
    std::fs::write(world.path().join("server.crt"), "nothing").unwrap();
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(shown(&world), before);
    // The signal means all files, changed or not.
    world.server.signal(1);
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(shown(&world), before);
    let after = renewals.renew(world.path(), 1);
    let deadline = Instant::now() + Duration::from_secs(10);
    while shown(&world) != after {
        assert!(Instant::now() < deadline, "the new certificate is not shown");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn resident_bytes(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Connections that wait after their first reply: at most 8 KiB each. Four thousand of them, as memory comes
/// in huge pages of 2 MiB.
fn idle_connections_take_at_most_8_kib(protocol: &str, ask: &[u8], is_answered: fn(&mut Stream)) {
    use rustix::process::{Resource, getrlimit, setrlimit};
    const COUNT: usize = 4000;
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let world = World::start(&[]);
    let config = world.client(&[protocol]);
    let open = |count: usize| -> Vec<_> {
        (0..count)
            .map(|_| {
                let mut stream = world.connect(&config);
                stream.write_all(ask).unwrap();
                is_answered(&mut stream);
                stream
            })
            .collect()
    };
    // What is made once is there before.
    let first = open(100);
    std::thread::sleep(Duration::from_secs(4));
    let before = resident_bytes(world.server.pid());
    let idle = open(COUNT);
    std::thread::sleep(Duration::from_secs(4));
    let each = resident_bytes(world.server.pid()).saturating_sub(before) / COUNT as u64;
    println!("an idle connection over TLS, {protocol}, takes {each} bytes");
    assert!(each <= 8 * 1024, "{each} bytes each");
    drop((first, idle));
}

#[test]
fn idle_connections_are_small() {
    let ask = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n";
    idle_connections_take_at_most_8_kib("http/1.1", ask, |stream| {
        assert_eq!(read_reply(stream).unwrap().status, 200);
    });
}

/// With the header table that a client fills, and after a call.
#[test]
fn idle_connections_of_http_2_are_small() {
    use inrush::http::http2::PREFACE;
    use inrush::http::http2::frame::{FrameHeader, Kind, flag, push_header};
    use inrush::http::http2::hpack::encode;
    let mut ask = PREFACE.to_vec();
    push_header(&mut ask, 0, Kind::Settings, 0, 0);
    push_header(&mut ask, 0, Kind::Settings, flag::ACK, 0);
    let mut block = Vec::new();
    for (name, value) in
        [(":method", "GET"), (":scheme", "https"), (":path", "/health"), (":authority", "a")]
    {
        encode::field(name, value.as_bytes(), &mut block);
    }
    // Literals with incremental indexing, as every gRPC client sends its metadata.
    for index in 0..6 {
        block.extend_from_slice(&[0x40, 10]);
        block.extend_from_slice(format!("x-header-{index}").as_bytes());
        block.push(60);
        block.extend_from_slice(&[b'v'; 60]);
    }
    push_header(&mut ask, block.len(), Kind::Headers, flag::END_HEADERS | flag::END_STREAM, 1);
    ask.extend_from_slice(&block);
    idle_connections_take_at_most_8_kib("h2", &ask, |stream| {
        loop {
            let mut header = [0; 9];
            stream.read_exact(&mut header).unwrap();
            let header = FrameHeader::parse(&header).unwrap();
            let mut payload = vec![0; header.length];
            stream.read_exact(&mut payload).unwrap();
            if header.stream == 1 && header.has(flag::END_STREAM) {
                return;
            }
        }
    });
}
