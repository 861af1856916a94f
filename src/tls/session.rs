//! One connection's TLS: records in, plaintext out, and back.

use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, InsufficientSizeError,
    UnbufferedStatus, WriteTraffic,
};

use super::{Acceptor, TlsFault};
use crate::limits::{KIB, TLS_PARTIAL_SIZE_MAX};

/// The application protocol that both sides agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    Http11,
    H2,
}

/// What records held, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened<'a> {
    /// The handshake is done.
    Begun {
        alpn: Option<Alpn>,
        is_resumed: bool,
    },
    Bytes(&'a [u8]),
    /// The peer said `close_notify`: it sends no more.
    Ended,
}

/// Type, version, length (RFC 8446, section 5.1).
const RECORD_HEADER_SIZE: usize = 5;
/// The most that a cipher adds to a record (RFC 8446, section 5.2).
const RECORD_EXPANSION_MAX: usize = 256;
const RECORD_OVERHEAD: usize = RECORD_HEADER_SIZE + RECORD_EXPANSION_MAX;
const RECORD_SIZE_MAX: usize = 16 * KIB;

pub struct Session {
    inner: UnbufferedServerConnection,
    /// The beginning of a record whose end has not come.
    partial: Vec<u8>,
    /// Records to send: handshake, alerts, replies.
    outgoing: Vec<u8>,
    was_handshaking: bool,
    is_untouched: bool,
    has_failed: bool,
    is_exhausted: bool,
    peer_ended: bool,
    has_ended: bool,
}

impl Session {
    /// # Errors
    ///
    /// The library cannot make one: no random bytes, for example.
    pub fn new(acceptor: &Acceptor) -> Result<Self, TlsFault> {
        let inner = UnbufferedServerConnection::new(std::sync::Arc::clone(&acceptor.0));
        Ok(Self {
            inner: inner.map_err(|error| TlsFault::of(&error))?,
            partial: Vec::new(),
            outgoing: Vec::new(),
            was_handshaking: true,
            is_untouched: true,
            has_failed: false,
            is_exhausted: false,
            peer_ended: false,
            has_ended: false,
        })
    }

    #[must_use]
    pub const fn is_handshaking(&self) -> bool {
        self.was_handshaking
    }

    /// A fault has ended it: what comes is not looked at, what is to be sent goes nowhere.
    #[must_use]
    pub const fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// Whether anything has come yet: checks of load balancers open a connection and close it.
    #[must_use]
    pub const fn is_untouched(&self) -> bool {
        self.is_untouched
    }

    fn alpn(&self) -> Option<Alpn> {
        match self.inner.alpn_protocol()? {
            b"h2" => Some(Alpn::H2),
            _ => Some(Alpn::Http11),
        }
    }

    fn is_resumed(&self) -> bool {
        self.inner.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    }

    /// Keeps bytes for [`Session::receive`]. False: they are more than should wait.
    #[must_use]
    pub fn keep(&mut self, bytes: &[u8]) -> bool {
        if self.partial.len() + bytes.len() > TLS_PARTIAL_SIZE_MAX {
            return false;
        }
        self.is_untouched = false;
        self.partial.extend_from_slice(bytes);
        true
    }

    /// Memory of what waits for the rest of its record, or for its turn.
    #[must_use]
    pub const fn partial_size(&self) -> usize {
        self.partial.capacity()
    }

    /// Opens the records that are whole now and hands on what they hold.
    ///
    /// `work` is memory for the records, of any content; decryption is in place.
    ///
    /// # Errors
    ///
    /// The peer does not keep to TLS, or refuses ours. The alert is among the bytes to send.
    pub fn receive(
        &mut self,
        bytes: &[u8],
        work: &mut Vec<u8>,
        take: &mut dyn FnMut(Opened<'_>),
    ) -> Result<(), TlsFault> {
        self.is_untouched &= bytes.is_empty();
        let mut bytes = bytes;
        work.clear();
        // Bulk: a record is hardly ever cut where the receive buffers are. The one that was begun is
        // completed and opened where it lies.
        match self.missing(&[]) {
            Some(missing) if missing > bytes.len() => {
                self.partial.extend_from_slice(bytes);
                return Ok(());
            }
            Some(missing) if missing > 0 => {
                let (end, behind) = bytes.split_at(missing);
                let mut record = std::mem::take(&mut self.partial);
                record.extend_from_slice(end);
                let used = self.open(&mut record, take)?;
                // All of it, but for a part of a handshake message, which waits for its other parts.
                record.drain(..used);
                self.partial = record;
                bytes = behind;
                if self.partial.is_empty()
                    && let Some(size) = self.missing(bytes).filter(|&size| size > bytes.len())
                {
                    self.partial.reserve(size);
                    self.partial.extend_from_slice(bytes);
                    return Ok(());
                }
            }
            _ => {}
        }
        work.extend_from_slice(&self.partial);
        work.extend_from_slice(bytes);
        let used = self.open(work, take)?;
        self.keep_rest(&work[used..]);
        Ok(())
    }

    /// How many bytes the record lacks that `partial`, or else `bytes`, begins with. Nothing while the
    /// handshake lasts, or where the library has to look: no whole header, or none of a record that may
    /// come (RFC 8446, section 5.1).
    fn missing(&self, bytes: &[u8]) -> Option<usize> {
        let begun = if self.partial.is_empty() { bytes } else { &self.partial };
        let (&[kind, 3, _, high, low], _) = begun.split_first_chunk()? else { return None };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let may_come = matches!(kind, 20..=23) && length <= RECORD_SIZE_MAX + RECORD_EXPANSION_MAX;
        if self.was_handshaking || self.peer_ended || !may_come {
            return None;
        }
        Some((RECORD_HEADER_SIZE + length).saturating_sub(self.partial.len()))
    }

    /// Opens the whole records that `records` begins with and answers how many bytes those are.
    fn open(
        &mut self,
        records: &mut [u8],
        take: &mut dyn FnMut(Opened<'_>),
    ) -> Result<usize, TlsFault> {
        let mut start = 0;
        loop {
            if self.was_handshaking && !self.inner.is_handshaking() {
                self.was_handshaking = false;
                take(Opened::Begun { alpn: self.alpn(), is_resumed: self.is_resumed() });
            }
            let UnbufferedStatus { discard, state } =
                self.inner.process_tls_records(&mut records[start..]);
            match state {
                // In one breath with the end of the handshake: told first, then read.
                Ok(ConnectionState::ReadTraffic(_)) if self.was_handshaking => {}
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record.map_err(|error| TlsFault::of(&error))?;
                        take(Opened::Bytes(record.payload));
                    }
                }
                // Never offered, so it never comes.
                Ok(ConnectionState::ReadEarlyData(_)) => {}
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, &mut self.outgoing),
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => {
                    self.peer_ended = true;
                    take(Opened::Ended);
                }
                Ok(
                    ConnectionState::BlockedHandshake
                    | ConnectionState::WriteTraffic(_)
                    | ConnectionState::Closed,
                ) => {
                    start += discard;
                    // Once more, to tell of a handshake that ends without a word of ours.
                    if self.was_handshaking && !self.inner.is_handshaking() {
                        continue;
                    }
                    break;
                }
                Ok(_) => {
                    return Err(self.fail(TlsFault::Malformed, &mut records[start + discard..]));
                }
                Err(error) => {
                    let fault = TlsFault::of(&error);
                    return Err(self.fail(fault, &mut records[start + discard..]));
                }
            }
            start += discard;
        }
        Ok(start)
    }

    /// What is left has memory only while there is something: most connections are idle.
    fn keep_rest(&mut self, rest: &[u8]) {
        self.partial.clear();
        if rest.is_empty() || self.peer_ended {
            self.partial = Vec::new();
        } else {
            self.partial.extend_from_slice(rest);
        }
    }

    /// Nothing more is read; the alert that names the fault is to be sent. `rest` are the bytes behind it.
    fn fail(&mut self, fault: TlsFault, rest: &mut [u8]) -> TlsFault {
        self.has_failed = true;
        self.partial = Vec::new();
        // The library gives out what it has to say before it looks at the bytes, and must not look at them
        // again.
        while self.inner.wants_write() {
            match self.inner.process_tls_records(rest).state {
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, &mut self.outgoing),
                _ => break,
            }
        }
        fault
    }

    /// Seals `plain` into records to be sent. False: not now, the handshake is not done.
    pub fn send(&mut self, plain: &[u8]) -> bool {
        if self.has_failed || self.has_ended {
            return true;
        }
        let before = self.outgoing.len();
        let is_done = self.write(|mut traffic, out| {
            let records = plain.len() / RECORD_SIZE_MAX + 1;
            append(out, plain.len() + records * RECORD_OVERHEAD, |room| {
                traffic.encrypt(plain, room)
            });
        });
        // TLS 1.2 ends when its keys are used up, after some 2^24 records.
        self.is_exhausted |= is_done && self.outgoing.len() == before;
        is_done
    }

    /// Says that nothing more will be sent.
    pub fn end(&mut self) {
        if self.has_failed || self.has_ended || self.was_handshaking {
            return;
        }
        self.has_ended = self.write(|mut traffic, out| {
            append(out, RECORD_OVERHEAD, |room| traffic.queue_close_notify(room));
        });
    }

    fn write(
        &mut self,
        mut put: impl FnMut(WriteTraffic<'_, rustls::server::ServerConnectionData>, &mut Vec<u8>),
    ) -> bool {
        loop {
            // With what is left of the last receive: the library has places in it in mind.
            let UnbufferedStatus { discard, state } =
                self.inner.process_tls_records(&mut self.partial);
            let is_done = match state {
                Ok(ConnectionState::WriteTraffic(traffic)) => {
                    put(traffic, &mut self.outgoing);
                    Some(true)
                }
                Ok(ConnectionState::EncodeTlsData(data)) => {
                    encode(data, &mut self.outgoing);
                    None
                }
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    None
                }
                Ok(ConnectionState::PeerClosed) => None,
                Ok(ConnectionState::BlockedHandshake) => Some(false),
                // Closed both ways, or broken: nobody reads it.
                _ => Some(true),
            };
            self.partial.drain(..discard);
            if let Some(is_done) = is_done {
                return is_done;
            }
        }
    }

    /// Nothing can be sent any more, though something should be.
    #[must_use]
    pub const fn is_exhausted(&self) -> bool {
        self.is_exhausted
    }

    #[must_use]
    pub fn unsent(&self) -> usize {
        self.outgoing.len()
    }

    /// The records to send, to be taken away.
    pub const fn outgoing(&mut self) -> &mut Vec<u8> {
        &mut self.outgoing
    }
}

fn encode<Data>(mut data: EncodeTlsData<'_, Data>, out: &mut Vec<u8>) {
    append(out, 0, |room| {
        data.encode(room).map_err(|error| match error {
            EncodeError::InsufficientSize(size) => EncryptError::InsufficientSize(size),
            EncodeError::AlreadyEncoded => EncryptError::EncryptExhausted,
        })
    });
}

/// Gives `put` at least `guess` bytes of room behind `out`, or what it asks for; keeps what it wrote.
fn append(
    out: &mut Vec<u8>,
    guess: usize,
    mut put: impl FnMut(&mut [u8]) -> Result<usize, EncryptError>,
) {
    let start = out.len();
    out.resize(start + guess, 0);
    let written = match put(&mut out[start..]) {
        Err(EncryptError::InsufficientSize(InsufficientSizeError { required_size })) => {
            out.resize(start + required_size, 0);
            put(&mut out[start..])
        }
        result => result,
    };
    out.truncate(start + written.unwrap_or(0));
}

/// Whether a peer's first bytes are a request in the clear: no TLS record begins with a letter.
#[must_use]
pub fn looks_like_http(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(u8::is_ascii_uppercase)
}
