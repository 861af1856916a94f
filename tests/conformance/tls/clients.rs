//! Client certificates (RFC 8446, section 4.4.2).

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{World, post, trusting};

struct Authority {
    path: PathBuf,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

fn authority(folder: &std::path::Path, name: &str) -> Authority {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let path = folder.join(name);
    std::fs::write(&path, parameters.self_signed(&key).unwrap().pem()).unwrap();
    Authority { path, issuer: rcgen::Issuer::new(parameters, key) }
}

fn showing(world: &World, by: &Authority) -> Arc<ClientConfig> {
    let key = rcgen::KeyPair::generate().unwrap();
    let parameters = rcgen::CertificateParams::new(vec!["agent".to_owned()]).unwrap();
    let certificate = parameters.signed_by(&key, &by.issuer).unwrap().pem();
    let config = ClientConfig::builder()
        .with_root_certificates(trusting(&world.development()))
        .with_client_auth_cert(
            vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap(),
        )
        .unwrap();
    Arc::new(config)
}

#[test]
fn certificates_are_asked_for_where_authorities_are_given() {
    for (auth, without) in [("required", false), ("optional", true)] {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let (ours, other) =
            (authority(folder.path(), "ours.pem"), authority(folder.path(), "other.pem"));
        let path = ours.path.to_str().unwrap().to_owned();
        let world = World::start_in(folder, &["--tls-client-ca", &path, "--tls-client-auth", auth]);
        let status =
            |config: &Arc<ClientConfig>| post(&mut world.connect(config)).map(|reply| reply.status);
        assert_eq!(status(&showing(&world, &ours)), Some(200));
        assert_eq!(status(&showing(&world, &other)), None);
        assert_eq!(status(&world.client(&["http/1.1"])), without.then_some(200));
        let failures = "inrush_tls_failures_total{cause=\"client_certificate\"}";
        assert_eq!(world.server.metric(failures), if without { 1.0 } else { 2.0 });
        // A certificate is no key.
        let mut stream = world.connect(&showing(&world, &ours));
        std::io::Write::write_all(
            &mut stream,
            b"POST /json/logs HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        )
        .unwrap();
        assert_eq!(crate::server::read_reply(&mut stream).unwrap().status, 401);
    }
}
