//! Certificates, keys and authorities in PEM files, and the certificate that is made for development.

use std::fmt;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustls::RootCertStore;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};

use super::{Acceptor, ClientAuth, Tickets};

/// Where the files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The server's own certificate first, then those that lead to an authority.
    pub certificate: PathBuf,
    /// PKCS #8, PKCS #1 or SEC 1; RSA, ECDSA or Ed25519.
    pub key: PathBuf,
    /// Authorities of client certificates.
    pub clients: Option<(PathBuf, ClientAuth)>,
}

/// Why files cannot be used, in words that say which and what to do.
#[derive(Debug)]
pub enum CertificateError {
    File {
        path: PathBuf,
        error: std::io::Error,
    },
    /// No PEM section of the kind, or one that is broken.
    Pem {
        path: PathBuf,
        wanted: &'static str,
        error: PemError,
    },
    /// The key is not the certificate's.
    Mismatch {
        certificate: PathBuf,
        key: PathBuf,
    },
    Key {
        path: PathBuf,
        words: String,
    },
    Authority {
        path: PathBuf,
        words: String,
    },
    Library(String),
}

impl CertificateError {
    pub(super) fn of(error: impl fmt::Display) -> Self {
        Self::Library(error.to_string())
    }
}

impl fmt::Display for CertificateError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, error } => {
                write!(formatter, "cannot use {}: {error}", path.display())
            }
            Self::Pem { path, wanted, error: PemError::NoItemsFound } => write!(
                formatter,
                "{} holds no {wanted} in PEM form (-----BEGIN …-----)",
                path.display()
            ),
            Self::Pem { path, wanted, error: PemError::Io(error) } => {
                write!(formatter, "cannot read the {wanted} {}: {error}", path.display())
            }
            Self::Pem { path, wanted, error } => {
                write!(formatter, "the {wanted} in {} cannot be read: {error}", path.display())
            }
            Self::Mismatch { certificate, key } => write!(
                formatter,
                "the key {} is not that of the certificate {}: the server's own certificate must be \
                 the first of the file",
                key.display(),
                certificate.display()
            ),
            Self::Key { path, words } => {
                write!(formatter, "the key {} cannot be used: {words}", path.display())
            }
            Self::Authority { path, words } => {
                write!(formatter, "a certificate of {} cannot be used: {words}", path.display())
            }
            Self::Library(words) => write!(formatter, "TLS cannot be set up: {words}"),
        }
    }
}

impl std::error::Error for CertificateError {}

/// What the files say at present.
pub struct Loaded {
    pub acceptor: Acceptor,
    /// SHA-256 of the server's own certificate, in hexadecimal pairs with colons.
    pub fingerprint: String,
}

/// Reads the files.
///
/// # Errors
///
/// One is missing or broken, or the key is not the certificate's.
pub fn load(paths: &Paths, tickets: &Tickets) -> Result<Loaded, CertificateError> {
    let chain = certificates(&paths.certificate)?;
    let fingerprint = chain.first().map(|own| fingerprint(own)).unwrap_or_default();
    let pem =
        |error| CertificateError::Pem { path: paths.key.clone(), wanted: "private key", error };
    let key = PrivateKeyDer::from_pem_file(&paths.key).map_err(pem)?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let certified = CertifiedKey::from_der(chain, key, &provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => CertificateError::Mismatch {
            certificate: paths.certificate.clone(),
            key: paths.key.clone(),
        },
        rustls::Error::InvalidCertificate(_) => CertificateError::Authority {
            path: paths.certificate.clone(),
            words: error.to_string(),
        },
        error => CertificateError::Key { path: paths.key.clone(), words: error.to_string() },
    })?;
    let clients = match &paths.clients {
        None => None,
        Some((path, auth)) => Some((authorities(path)?, *auth)),
    };
    // A resumed session shows no certificate again: what was good under other authorities is not resumed.
    let own_tickets;
    let tickets = if clients.is_some() {
        own_tickets = Tickets::new()?;
        &own_tickets
    } else {
        tickets
    };
    Ok(Loaded { acceptor: Acceptor::new(certified, clients, tickets)?, fingerprint })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let fail =
        |error| CertificateError::Pem { path: path.to_owned(), wanted: "certificate", error };
    let chain: Vec<_> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(fail)?;
    if chain.is_empty() {
        return Err(fail(PemError::NoItemsFound));
    }
    Ok(chain)
}

fn authorities(path: &Path) -> Result<RootCertStore, CertificateError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| CertificateError::Authority {
            path: path.to_owned(),
            words: error.to_string(),
        })?;
    }
    Ok(roots)
}

fn fingerprint(certificate: &[u8]) -> String {
    let pairs: Vec<String> =
        Sha256::digest(certificate).iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

/// Modification time, size and inode of each file: what changes when one is replaced.
pub type Stamp = Vec<Option<(SystemTime, u64, u64)>>;

#[must_use]
pub fn stamp(paths: &Paths) -> Stamp {
    let clients = paths.clients.iter().map(|(path, _)| path);
    [&paths.certificate, &paths.key]
        .into_iter()
        .chain(clients)
        .map(|path| {
            let metadata = fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
        })
        .collect()
}

// ── For development ───────────────────────────────────────────────────────────────────────────

const DEVELOPMENT_YEARS: u32 = 10;

/// A certificate for this machine alone, made once below `folder` and signed by nobody else: clients must
/// be told to trust it. It is no authority, so that nothing else can be signed with its key.
///
/// # Errors
///
/// The folder cannot be written, or no key can be made.
pub fn development(folder: &Path, now: SystemTime) -> Result<Paths, CertificateError> {
    let paths = Paths {
        certificate: folder.join("development.crt"),
        key: folder.join("development.key"),
        clients: None,
    };
    if paths.certificate.exists() && paths.key.exists() {
        return Ok(paths);
    }
    let (certificate, key) = make_certificate(now)?;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| CertificateError::File { path: folder.to_owned(), error })?;
    // The key first: a certificate that is there has its key.
    write(&paths.key, &key, 0o600)?;
    write(&paths.certificate, &certificate, 0o644)?;
    Ok(paths)
}

fn make_certificate(now: SystemTime) -> Result<(String, String), CertificateError> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if !host.is_empty() && !names.contains(&host) {
        names.push(host);
    }
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)
        .map_err(CertificateError::of)?;
    let mut parameters = match rcgen::CertificateParams::new(names) {
        Ok(parameters) => parameters,
        // A host's name may hold what a certificate's cannot.
        Err(_) => rcgen::CertificateParams::new(vec!["localhost".to_owned()])
            .map_err(CertificateError::of)?,
    };
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "inrush development");
    parameters.is_ca = rcgen::IsCa::ExplicitNoCa;
    parameters.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let day = std::time::Duration::from_secs(24 * 3600);
    let year = 365 * day;
    parameters.not_before = (now - day).into();
    parameters.not_after = (now + year * DEVELOPMENT_YEARS).into();
    let certificate = parameters.self_signed(&key).map_err(CertificateError::of)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), CertificateError> {
    let fail = |error| CertificateError::File { path: path.to_owned(), error };
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path)
        .map_err(fail)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(fail)
}
