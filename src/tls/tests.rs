//! TLS sessions against a client in memory: whole, byte by byte, cut at each index, and damaged.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion, version};

use super::files::{self, CertificateError, Paths};
use super::{Acceptor, Alpn, ClientAuth, Opened, Session, Tickets, TlsFault};

const VERSIONS: [&SupportedProtocolVersion; 2] = [&version::TLS12, &version::TLS13];

#[expect(clippy::disallowed_methods, reason = "clients look at the clock too")]
fn now() -> std::time::SystemTime {
    std::time::SystemTime::now()
}

struct Authority {
    pem: String,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

fn authority() -> Authority {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let pem = parameters.self_signed(&key).unwrap().pem();
    Authority { pem, issuer: rcgen::Issuer::new(parameters, key) }
}

/// A certificate of `authority` and its key, as PEM.
fn signed(authority: &Authority, name: &str) -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = parameters.signed_by(&key, &authority.issuer).unwrap();
    (certificate.pem(), key.serialize_pem())
}

struct World {
    folder: tempfile::TempDir,
    tickets: Tickets,
    paths: Paths,
    acceptor: Acceptor,
}

fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let tickets = Tickets::new().unwrap();
    let paths = files::development(folder.path(), now()).unwrap();
    let acceptor = files::load(&paths, &tickets).unwrap().acceptor;
    World { folder, tickets, paths, acceptor }
}

impl World {
    fn client(
        &self,
        version: &'static SupportedProtocolVersion,
        protocols: &[&str],
        own: Option<&(String, String)>,
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.paths.certificate).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder
                .with_client_auth_cert(
                    vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                    PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
                )
                .unwrap(),
        };
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        config.resumption = Resumption::in_memory_sessions(8);
        config
    }
}

fn connect(config: &Arc<ClientConfig>) -> ClientConnection {
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(Arc::clone(config), name).unwrap();
    client.set_buffer_limit(None);
    client
}

/// What a session told.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    begun: Option<(Option<Alpn>, bool)>,
    plain: Vec<u8>,
    has_ended: bool,
    fault: Option<TlsFault>,
}

/// Both ends, and how their bytes are cut on the way to the server.
struct Pair {
    client: ClientConnection,
    session: Session,
    told: Told,
    work: Vec<u8>,
    cuts: Box<dyn Fn(usize) -> Vec<usize>>,
    sent: usize,
    replied: Vec<u8>,
}

impl Pair {
    fn new(config: &Arc<ClientConfig>, acceptor: &Acceptor) -> Self {
        Self {
            client: connect(config),
            session: Session::new(acceptor).unwrap(),
            told: Told::default(),
            work: Vec::new(),
            cuts: Box::new(|length| vec![length]),
            sent: 0,
            replied: Vec::new(),
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        let mut start = 0;
        for end in (self.cuts)(bytes.len()) {
            if self.session.has_failed() {
                return;
            }
            let told = &mut self.told;
            let result =
                self.session.receive(
                    &bytes[start..end],
                    &mut self.work,
                    &mut |opened| match opened {
                        Opened::Begun { alpn, is_resumed } => {
                            assert!(told.plain.is_empty(), "told of before the first byte");
                            told.begun = Some((alpn, is_resumed));
                        }
                        Opened::Bytes(bytes) => told.plain.extend_from_slice(bytes),
                        Opened::Ended => told.has_ended = true,
                    },
                );
            self.told.fault = self.told.fault.or(result.err());
            start = end;
        }
    }

    /// Until neither has anything to say.
    fn settle(&mut self) {
        loop {
            let mut bytes = Vec::new();
            while self.client.wants_write() {
                self.client.write_tls(&mut bytes).unwrap();
            }
            self.sent += bytes.len();
            self.feed(&bytes);
            let reply = std::mem::take(self.session.outgoing());
            if bytes.is_empty() && reply.is_empty() {
                return;
            }
            let mut reply = reply.as_slice();
            while !reply.is_empty() && self.client.read_tls(&mut reply).is_ok() {
                if self.client.process_new_packets().is_err() {
                    return;
                }
                let _ = self.client.reader().read_to_end(&mut self.replied);
            }
        }
    }

    fn request(&mut self, bytes: &[u8]) {
        self.client.writer().write_all(bytes).unwrap();
        self.settle();
    }
}

#[test]
fn a_handshake_and_a_request_come_through_in_any_pieces() {
    let world = world();
    for version in VERSIONS {
        let config = Arc::new(world.client(version, &["h2", "http/1.1"], None));
        let exchange = |cuts: Box<dyn Fn(usize) -> Vec<usize>>| {
            let mut fresh = (*config).clone();
            fresh.resumption = Resumption::disabled();
            let mut pair = Pair::new(&Arc::new(fresh), &world.acceptor);
            pair.cuts = cuts;
            // Goes out together with the end of the handshake where the version lets it.
            pair.request(b"request");
            assert_eq!(pair.told.begun, Some((Some(Alpn::H2), false)));
            assert_eq!(pair.told.plain, b"request");
            assert!(!pair.session.is_handshaking() && pair.session.unsent() == 0);
            assert!(pair.session.send(b"reply"));
            pair.settle();
            assert_eq!(pair.replied, b"reply");
            pair.sent
        };
        let length = exchange(Box::new(|length| vec![length]));
        exchange(Box::new(|length| (1..=length).collect()));
        for cut in 0..length {
            exchange(Box::new(move |length| vec![cut.min(length), length]));
        }
    }
}

#[test]
fn large_replies_are_many_records() {
    let world = world();
    let reply: Vec<u8> = (0..100_000u32).map(|i| i.to_le_bytes()[0]).collect();
    for version in VERSIONS {
        let mut pair = Pair::new(&Arc::new(world.client(version, &[], None)), &world.acceptor);
        pair.request(&reply);
        assert!(pair.told.plain == reply);
        assert!(pair.session.send(&reply));
        pair.settle();
        assert!(pair.replied == reply);
    }
}

/// Records end where the pieces do not; a change of keys stands between them, and the end behind them.
#[test]
fn bulk_comes_through_in_pieces_of_any_size() {
    let world = world();
    let bulk: Vec<u8> = (0..150_000u32).map(|i| (i % 251).to_le_bytes()[0]).collect();
    for version in VERSIONS {
        for size in [1, 2, 4, 5, 6, 100, 4096, 16_384, 16_389, 16_406, 16_640, 40_000, 1 << 20] {
            let mut pair = Pair::new(&Arc::new(world.client(version, &[], None)), &world.acceptor);
            pair.cuts = Box::new(move |length| {
                (size..length).step_by(size).chain(std::iter::once(length)).collect()
            });
            pair.request(&bulk);
            assert!(pair.told.plain == bulk, "pieces of {size}");
            assert_eq!(pair.session.partial_size(), 0, "nothing is kept behind whole records");
            let _ = pair.client.refresh_traffic_keys();
            pair.client.writer().write_all(&bulk).unwrap();
            pair.client.send_close_notify();
            pair.settle();
            assert!(pair.told.plain == bulk.repeat(2), "pieces of {size}");
            assert!(pair.told.has_ended && pair.told.fault.is_none());
        }
    }
}

#[test]
fn nothing_is_sealed_before_the_handshake_is_done() {
    let world = world();
    let mut session = Session::new(&world.acceptor).unwrap();
    assert!(!session.send(b"early"));
    session.end();
    assert_eq!(session.unsent(), 0);
    assert!(session.is_untouched());
}

#[test]
fn the_application_protocol_is_agreed_on() {
    let world = world();
    let agreed = |protocols: &[&str]| {
        let config = Arc::new(world.client(&version::TLS13, protocols, None));
        let mut pair = Pair::new(&config, &world.acceptor);
        pair.settle();
        (pair.told.begun.map(|(alpn, _)| alpn), pair.told.fault)
    };
    assert_eq!(agreed(&["http/1.1", "h2"]), (Some(Some(Alpn::H2)), None));
    assert_eq!(agreed(&["http/1.1"]), (Some(Some(Alpn::Http11)), None));
    assert_eq!(agreed(&["foo", "http/1.1"]), (Some(Some(Alpn::Http11)), None));
    assert_eq!(agreed(&[]), (Some(None), None));
    assert_eq!(agreed(&["foo"]), (None, Some(TlsFault::NoProtocol)));
}

#[test]
fn sessions_are_resumed_also_after_a_reload() {
    let world = world();
    for version in VERSIONS {
        let config = Arc::new(world.client(version, &["h2"], None));
        let mut first = Pair::new(&config, &world.acceptor);
        first.request(b"one");
        assert_eq!(first.told.begun, Some((Some(Alpn::H2), false)));
        let reloaded = files::load(&world.paths, &world.tickets).unwrap().acceptor;
        let mut second = Pair::new(&config, &reloaded);
        second.request(b"two");
        assert_eq!(second.told.begun, Some((Some(Alpn::H2), true)));
        assert_eq!(second.told.plain, b"two");
    }
}

#[test]
fn an_ended_session_still_replies() {
    let world = world();
    for version in VERSIONS {
        let mut pair = Pair::new(&Arc::new(world.client(version, &[], None)), &world.acceptor);
        pair.client.writer().write_all(b"request").unwrap();
        pair.settle();
        pair.client.send_close_notify();
        pair.settle();
        assert!(pair.told.has_ended);
        assert!(pair.session.send(b"reply"));
        pair.session.end();
        pair.settle();
        assert_eq!(pair.replied, b"reply");
        // An end without an error: `close_notify` came.
        assert_eq!(pair.client.reader().read(&mut [0]).unwrap(), 0);
    }
}

fn with_clients(world: &World, authority: &Authority, auth: ClientAuth) -> Acceptor {
    let path = world.folder.path().join("clients.pem");
    std::fs::write(&path, &authority.pem).unwrap();
    let paths = Paths { clients: Some((path, auth)), ..world.paths.clone() };
    files::load(&paths, &world.tickets).unwrap().acceptor
}

#[test]
fn clients_show_certificates_where_they_must() {
    let world = world();
    let (ours, other) = (authority(), authority());
    let (good, wrong) = (signed(&ours, "agent"), signed(&other, "agent"));
    for version in VERSIONS {
        let fault = |acceptor: &Acceptor, own: Option<&(String, String)>| {
            let mut pair = Pair::new(&Arc::new(world.client(version, &[], own)), acceptor);
            pair.client.writer().write_all(b"request").unwrap();
            pair.settle();
            assert_eq!(pair.told.plain.is_empty(), pair.told.fault.is_some());
            pair.told.fault
        };
        let refused = Some(TlsFault::ClientCertificate);
        let required = with_clients(&world, &ours, ClientAuth::Required);
        assert_eq!(fault(&required, Some(&good)), None);
        assert_eq!(fault(&required, None), refused);
        assert_eq!(fault(&required, Some(&wrong)), refused);
        let optional = with_clients(&world, &ours, ClientAuth::Optional);
        assert_eq!(fault(&optional, Some(&good)), None);
        assert_eq!(fault(&optional, None), None);
        assert_eq!(fault(&optional, Some(&wrong)), refused);
    }
}

/// A session that began without a certificate is not resumed where one is required.
#[test]
fn a_resumed_session_does_not_pass_for_a_certificate() {
    let world = world();
    let required = with_clients(&world, &authority(), ClientAuth::Required);
    for version in VERSIONS {
        let config = Arc::new(world.client(version, &[], None));
        Pair::new(&config, &world.acceptor).request(b"one");
        let mut pair = Pair::new(&config, &required);
        pair.client.writer().write_all(b"two").unwrap();
        pair.settle();
        assert_eq!(pair.told.fault, Some(TlsFault::ClientCertificate));
    }
}

#[test]
fn a_peer_that_does_not_trust_us_is_told_apart() {
    let world = world();
    let mut config = world.client(&version::TLS13, &[], None);
    config = {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority().pem.as_bytes()).unwrap()).unwrap();
        let mut distrusting = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        distrusting.alpn_protocols = config.alpn_protocols;
        distrusting
    };
    let mut pair = Pair::new(&Arc::new(config), &world.acceptor);
    pair.settle();
    // The client's error is in its own hands; its alert is still to come here.
    pair.settle();
    assert_eq!(pair.told.fault, Some(TlsFault::RefusedByPeer));
}

#[test]
fn what_is_not_tls_ends_with_an_alert() {
    let world = world();
    for bytes in
        [b"\x00\x01\x02\x03\x04\x05\x06\x07".as_slice(), b"\x16\x03\x01\xff\xff\x01", b"hello"]
    {
        let mut session = Session::new(&world.acceptor).unwrap();
        let fault = session.receive(bytes, &mut Vec::new(), &mut |_| unreachable!());
        assert_eq!(fault, Err(TlsFault::Malformed), "{bytes:?}");
        assert!(session.has_failed());
        let alert = std::mem::take(session.outgoing());
        assert_eq!(alert.first(), Some(&21), "an alert record");
        // Nothing goes out behind it.
        assert!(session.send(b"reply"));
        assert_eq!(session.unsent(), 0);
    }
}

#[test]
fn damaged_records_never_pass_and_never_panic() {
    let seed = std::env::var("INRUSH_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| {
        u64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() & 0xffff_ffff).unwrap()
    });
    println!("INRUSH_TEST_SEED={seed}");
    let mut state = seed | 1;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 16).unwrap()
    };
    let world = world();
    for round in 0..400 {
        let version = VERSIONS[round % 2];
        let mut pair = Pair::new(&Arc::new(world.client(version, &[], None)), &world.acceptor);
        if round % 3 != 0 {
            pair.settle();
        }
        pair.client.writer().write_all(b"request").unwrap();
        let mut bytes = Vec::new();
        while pair.client.wants_write() {
            pair.client.write_tls(&mut bytes).unwrap();
        }
        let cut = random();
        pair.cuts = Box::new(move |length| vec![cut % (length + 1), length]);
        let before = pair.told.begun.is_some();
        // A sealed record's outer type and version are of no meaning (RFC 8446, sections 5.1 and 5.2).
        let place = random() % bytes.len();
        if matches!(place, 0..=2) {
            continue;
        }
        bytes[place] ^= u8::try_from(1 + random() % 255).unwrap();
        pair.feed(&bytes);
        // A record whose header grew waits for its rest; none is opened that was touched.
        assert!(!before || pair.told.plain.is_empty(), "byte {place} of round {round}");
    }
}

// ── Files ─────────────────────────────────────────────────────────────────────────────────────

#[test]
fn the_development_certificate_is_made_once_and_is_no_authority() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("deep/tls");
    let paths = files::development(&folder, now()).unwrap();
    let text = std::fs::read_to_string(&paths.certificate).unwrap();
    let mode = std::fs::metadata(&paths.key).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let fingerprint = files::load(&paths, &Tickets::new().unwrap()).unwrap().fingerprint;
    assert_eq!(fingerprint.split(':').count(), 32);
    assert_eq!(files::development(&folder, now()).unwrap(), paths);
    assert_eq!(std::fs::read_to_string(&paths.certificate).unwrap(), text);
    // BasicConstraints (2.5.29.19), critical, with an empty sequence: `cA` is FALSE.
    let der = CertificateDer::from_pem_file(&paths.certificate).unwrap();
    let constraints = [0x55, 0x1d, 0x13, 0x01, 0x01, 0xff, 0x04, 0x02, 0x30, 0x00];
    assert!(der.windows(constraints.len()).any(|window| window == constraints));
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let world = world();
    let other = tempfile::tempdir().unwrap();
    let other = files::development(other.path(), now()).map(|paths| (other, paths)).unwrap();
    let words = |paths: &Paths| match files::load(paths, &world.tickets) {
        Ok(_) => panic!("{paths:?} should not load"),
        Err(error) => error,
    };
    let with = |certificate: &Path, key: &Path| Paths {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        clients: None,
    };
    let Paths { certificate, key, .. } = &world.paths;
    let mismatch = words(&with(certificate, &other.1.key));
    assert!(matches!(mismatch, CertificateError::Mismatch { .. }), "{mismatch}");
    let missing = words(&with(Path::new("/nowhere/a.crt"), key)).to_string();
    assert!(missing.contains("/nowhere/a.crt") && missing.contains("certificate"), "{missing}");
    let swapped = words(&with(key, certificate)).to_string();
    assert!(swapped.contains("holds no certificate"), "{swapped}");
    let no_key = words(&with(certificate, certificate)).to_string();
    assert!(no_key.contains("holds no private key"), "{no_key}");
    let broken = world.folder.path().join("broken.crt");
    std::fs::write(&broken, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        .unwrap();
    let broken = words(&with(&broken, key)).to_string();
    assert!(broken.contains("broken.crt"), "{broken}");
}
