//! What of the library's errors is which fault.

use rustls::Error;

use crate::counters::TlsFault;

impl TlsFault {
    pub(super) const fn of(error: &Error) -> Self {
        match error {
            Error::AlertReceived(_) => Self::RefusedByPeer,
            Error::PeerIncompatible(_) => Self::Incompatible,
            Error::NoApplicationProtocol => Self::NoProtocol,
            Error::InvalidCertificate(_)
            | Error::NoCertificatesPresented
            | Error::UnsupportedNameType
            | Error::InvalidCertRevocationList(_) => Self::ClientCertificate,
            _ => Self::Malformed,
        }
    }
}
