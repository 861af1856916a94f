//! TLS 1.2 and 1.3 between a socket's bytes and a connection's.
//!
//! Place: `connection` hands in what the ring brought and gets plaintext; what it wants to send comes back
//! as records. This folder alone knows the library that does it, [rustls], whose unbuffered interface changes
//! with its next release. No socket and no clock here; certificates are read in [`files`].
//!
//! [rustls]: https://docs.rs/rustls

mod fault;
pub mod files;
mod session;
#[cfg(test)]
mod tests;

pub use crate::counters::TlsFault;
pub use session::{Alpn, Opened, Session, looks_like_http};

use std::sync::Arc;

use rustls::server::{NoServerSessionStorage, ProducesTickets, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};

/// What the server prefers, in this order (RFC 7301, section 3.2). A peer that offers none of them gets
/// the fatal alert `no_application_protocol`; one that offers nothing speaks HTTP/1.1.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Whether a peer shows a certificate of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    #[default]
    None,
    /// One that is shown must be good.
    Optional,
    Required,
}

/// What new sessions are made with; cheap to clone, the same for every shard.
#[derive(Clone)]
pub struct Acceptor(Arc<ServerConfig>);

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Acceptor")
    }
}

/// What resumed sessions are recognised by, in every shard and over reloads: sealed tickets (RFC 8446,
/// section 4.6.1; RFC 5077), so that nothing is kept for peers that never come back.
#[derive(Clone)]
pub struct Tickets(Arc<dyn ProducesTickets>);

impl Tickets {
    /// Keys of their own, which change every few hours.
    ///
    /// # Errors
    ///
    /// The system gives no random bytes.
    pub fn new() -> Result<Self, files::CertificateError> {
        let ticketer = rustls::crypto::aws_lc_rs::Ticketer::new();
        ticketer.map(Self).map_err(files::CertificateError::of)
    }
}

impl Acceptor {
    fn new(
        certified: CertifiedKey,
        clients: Option<(RootCertStore, ClientAuth)>,
        tickets: &Tickets,
    ) -> Result<Self, files::CertificateError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(files::CertificateError::of)?;
        let builder = match clients {
            None | Some((_, ClientAuth::None)) => builder.with_no_client_auth(),
            Some((roots, auth)) => {
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = match auth {
                    ClientAuth::Optional => verifier.allow_unauthenticated(),
                    _ => verifier,
                };
                let verifier = verifier.build().map_err(files::CertificateError::of)?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let resolver = rustls::sign::SingleCertAndKey::from(certified);
        let mut config = builder.with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = Arc::clone(&tickets.0);
        // Early data could be replayed (RFC 8446, section 8): a request would be kept twice.
        config.max_early_data_size = 0;
        Ok(Self(Arc::new(config)))
    }
}
