//! gRPC over HTTP/2 (grpc `doc/PROTOCOL-HTTP2.md`): the framing of messages, deadlines, faults.
//!
//! Place: between DATA and a message's own coding. A unary call has exactly one message: five bytes of
//! prefix (flag, length) and its content, cut into DATA frames anywhere.

use super::head::{Fields, RequestHead};
use super::{Method, Version};

/// Flag and length before every message.
pub const PREFIX_SIZE: usize = 5;
/// The codings of messages that we read.
pub const ACCEPT_ENCODING: &str = "identity,gzip,zstd,snappy,deflate";
/// `grpc.health.v1.Health/Check`
pub const HEALTH_PATH: &str = "/grpc.health.v1.Health/Check";

/// The numbers of `grpc-status` that we send (grpc `doc/statuscodes.md`).
pub mod code {
    pub const OK: u8 = 0;
    pub const UNKNOWN: u8 = 2;
    pub const INVALID_ARGUMENT: u8 = 3;
    pub const DEADLINE_EXCEEDED: u8 = 4;
    pub const NOT_FOUND: u8 = 5;
    pub const PERMISSION_DENIED: u8 = 7;
    pub const RESOURCE_EXHAUSTED: u8 = 8;
    pub const UNIMPLEMENTED: u8 = 12;
    pub const INTERNAL: u8 = 13;
    pub const UNAVAILABLE: u8 = 14;
    pub const UNAUTHENTICATED: u8 = 16;
}

/// What is wrong with a call, apart from what is wrong with its message's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GrpcFault {
    TimeoutMalformed,
    DeadlineExceeded,
    FlagUnknown,
    EncodingMissing,
    EncodingUnknown,
    MessageMissing,
    MessageTruncated,
    MessageRepeated,
    MessageTooLarge,
    /// Asked of the health service.
    ServiceUnknown,
}

impl GrpcFault {
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::DeadlineExceeded => code::DEADLINE_EXCEEDED,
            Self::EncodingUnknown => code::UNIMPLEMENTED,
            Self::MessageTooLarge => code::RESOURCE_EXHAUSTED,
            Self::ServiceUnknown => code::NOT_FOUND,
            Self::MessageMissing | Self::MessageRepeated => code::UNIMPLEMENTED,
            Self::TimeoutMalformed
            | Self::FlagUnknown
            | Self::EncodingMissing
            | Self::MessageTruncated => code::INTERNAL,
        }
    }

    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::TimeoutMalformed => "grpc-timeout is not one to eight digits and a unit",
            Self::DeadlineExceeded => "the deadline passed before the message was kept",
            Self::FlagUnknown => "the message's flag byte is neither 0 nor 1",
            Self::EncodingMissing => {
                "the message is compressed, but grpc-encoding does not say how"
            }
            Self::EncodingUnknown => {
                "grpc-encoding is none of identity, gzip, zstd, snappy and deflate"
            }
            Self::MessageMissing => "a unary call holds one message, this one none",
            Self::MessageTruncated => "the message breaks off",
            Self::MessageRepeated => "a unary call holds one message, this one more",
            Self::MessageTooLarge => "the message is larger than this server takes",
            Self::ServiceUnknown => "there is no such service",
        }
    }

    /// The label in `inrush_refusals_total`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::TimeoutMalformed => "grpc_timeout",
            Self::DeadlineExceeded => "deadline",
            Self::FlagUnknown | Self::MessageMissing | Self::MessageTruncated => "grpc_message",
            Self::MessageRepeated => "grpc_message",
            Self::EncodingMissing | Self::EncodingUnknown => "content_coding",
            Self::MessageTooLarge => "body_too_large",
            Self::ServiceUnknown => "not_found",
        }
    }
}

/// Whether a request speaks gRPC: `application/grpc`, alone or with a format or parameters behind it.
/// `application/grpc-web` begins alike and is another protocol.
#[must_use]
pub fn is_grpc(head: &RequestHead<'_>) -> bool {
    head.version == Version::Http2
        && head.method == Method::Post
        && head.fields.first("content-type").is_some_and(is_grpc_type)
}

/// Whether a `Content-Type` is gRPC's: the name, a subtype behind `+`, parameters behind `;`.
#[must_use]
pub fn is_grpc_type(value: &[u8]) -> bool {
    value.split_at_checked(16).is_some_and(|(name, rest)| {
        name.eq_ignore_ascii_case(b"application/grpc")
            && matches!(rest.first(), None | Some(b'+' | b';'))
    })
}

/// `grpc-timeout` in nanoseconds: at most eight digits and a unit.
pub fn timeout_nanos(fields: &Fields<'_>) -> Result<Option<u64>, GrpcFault> {
    let Some(value) = fields.last("grpc-timeout") else { return Ok(None) };
    let malformed = Err(GrpcFault::TimeoutMalformed);
    let Some((unit, digits)) = value.split_last() else { return malformed };
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return malformed;
    }
    let number = digits.iter().fold(0u64, |number, digit| number * 10 + u64::from(digit & 15));
    let nanos = match unit {
        b'H' => 3_600_000_000_000,
        b'M' => 60_000_000_000,
        b'S' => 1_000_000_000,
        b'm' => 1_000_000,
        b'u' => 1_000,
        b'n' => 1,
        _ => return malformed,
    };
    Ok(Some(number.saturating_mul(nanos)))
}

/// The prefix of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    pub is_compressed: bool,
    pub length: usize,
}

/// Reads one message's framing from DATA as it comes.
#[derive(Debug)]
pub struct MessageReader {
    bytes: [u8; PREFIX_SIZE],
    count: usize,
    prefix: Option<Prefix>,
    /// Bytes of content so far.
    received: usize,
    /// What a compressed message means where the call named no coding that we know.
    uncoded: GrpcFault,
}

impl Default for MessageReader {
    fn default() -> Self {
        Self::new(GrpcFault::EncodingMissing)
    }
}

impl MessageReader {
    /// `uncoded` is the fault of a compressed message in a call that names no known coding.
    #[must_use]
    pub const fn new(uncoded: GrpcFault) -> Self {
        Self { bytes: [0; PREFIX_SIZE], count: 0, prefix: None, received: 0, uncoded }
    }

    #[must_use]
    pub const fn uncoded(&self) -> GrpcFault {
        self.uncoded
    }

    /// Takes what of `bytes` is prefix and answers with the rest; the prefix is known once it is whole.
    pub fn read_prefix<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], GrpcFault> {
        let mut rest = bytes;
        while self.prefix.is_none() {
            let Some((&byte, behind)) = rest.split_first() else { return Ok(rest) };
            if let Some(slot) = self.bytes.get_mut(self.count) {
                *slot = byte;
            }
            self.count += 1;
            rest = behind;
            if self.count == PREFIX_SIZE {
                let [flag, l0, l1, l2, l3] = self.bytes;
                if flag > 1 {
                    return Err(GrpcFault::FlagUnknown);
                }
                let length = u64::from(u32::from_be_bytes([l0, l1, l2, l3]));
                let length = crate::limits::size(length);
                self.prefix = Some(Prefix { is_compressed: flag == 1, length });
            }
        }
        Ok(rest)
    }

    #[must_use]
    pub const fn prefix(&self) -> Option<Prefix> {
        self.prefix
    }

    /// Counts content.
    pub fn note_content(&mut self, count: usize) -> Result<(), GrpcFault> {
        self.received += count;
        match self.prefix {
            Some(prefix) if self.received > prefix.length => Err(GrpcFault::MessageRepeated),
            _ => Ok(()),
        }
    }

    /// Bytes of content that are still to come.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.prefix.map_or(0, |prefix| prefix.length.saturating_sub(self.received))
    }

    /// The call is complete: is the message?
    pub fn check_end(&self) -> Result<(), GrpcFault> {
        match self.prefix {
            None if self.count == 0 => Err(GrpcFault::MessageMissing),
            Some(prefix) if prefix.length == self.received => Ok(()),
            _ => Err(GrpcFault::MessageTruncated),
        }
    }
}

/// Whether a `HealthCheckRequest` asks for a service that is here: the whole server, or one of its own.
#[must_use]
pub fn names_known_service(message: &[u8]) -> bool {
    match message {
        [] => true,
        [0x0a, length, name @ ..] if name.len() == usize::from(*length) => {
            name.is_empty()
                || crate::envelope::Route::ALL.iter().any(|route| {
                    let path = route.path().as_bytes();
                    path.strip_prefix(b"/").and_then(|path| path.strip_prefix(name))
                        == Some(b"/Export")
                })
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{GrpcFault, MessageReader, Prefix, names_known_service, timeout_nanos};
    use crate::http::head::Fields;

    fn timeout(value: &str) -> Result<Option<u64>, GrpcFault> {
        let bytes = format!("grpc-timeout{value}");
        let mut fields = Fields::new(bytes.as_bytes());
        assert!(fields.push((0, 12), (12, value.len())));
        timeout_nanos(&fields)
    }

    #[test]
    fn timeouts_have_at_most_eight_digits_and_a_unit() {
        assert_eq!(timeout("10S"), Ok(Some(10_000_000_000)));
        assert_eq!(timeout("99999999H"), Ok(Some(u64::MAX)));
        assert_eq!(timeout("250m"), Ok(Some(250_000_000)));
        assert_eq!(timeout("7u"), Ok(Some(7_000)));
        assert_eq!(timeout("0n"), Ok(Some(0)));
        assert_eq!(timeout("2M"), Ok(Some(120_000_000_000)));
        for bad in ["S", "10", "123456789S", "1s", "-1S", "1.5S"] {
            assert!(timeout(bad).is_err(), "{bad}");
        }
        assert_eq!(timeout_nanos(&Fields::new(b"")), Ok(None));
    }

    #[test]
    fn a_message_is_read_whole_and_byte_by_byte() {
        let bytes = [1, 0, 0, 0, 3, 7, 8, 9];
        for step in 1..=bytes.len() {
            let mut reader = MessageReader::default();
            let mut content = Vec::new();
            for piece in bytes.chunks(step) {
                let rest = reader.read_prefix(piece).unwrap();
                reader.note_content(rest.len()).unwrap();
                content.extend_from_slice(rest);
            }
            assert_eq!(reader.prefix(), Some(Prefix { is_compressed: true, length: 3 }));
            assert_eq!((content.as_slice(), reader.check_end()), (&[7, 8, 9][..], Ok(())));
        }
    }

    #[test]
    fn what_is_not_one_message_has_a_name() {
        assert_eq!(MessageReader::default().check_end(), Err(GrpcFault::MessageMissing));
        let mut reader = MessageReader::default();
        assert_eq!(reader.read_prefix(&[2, 0, 0, 0, 0]), Err(GrpcFault::FlagUnknown));
        for cut in 1..7 {
            let mut reader = MessageReader::default();
            let rest = reader.read_prefix(&[0, 0, 0, 0, 2, 5, 6][..cut]).unwrap();
            reader.note_content(rest.len()).unwrap();
            assert_eq!(reader.check_end(), Err(GrpcFault::MessageTruncated), "{cut}");
        }
        let mut reader = MessageReader::default();
        let rest = reader.read_prefix(&[0, 0, 0, 0, 1, 5, 6]).unwrap();
        assert_eq!(reader.note_content(rest.len()), Err(GrpcFault::MessageRepeated));
    }

    #[test]
    fn health_knows_the_server_and_its_services() {
        assert!(names_known_service(&[]));
        let mut message = vec![0x0a, 51];
        message.extend_from_slice(b"opentelemetry.proto.collector.logs.v1.LogsService");
        message[1] = u8::try_from(message.len() - 2).unwrap();
        assert!(names_known_service(&message));
        message[5] = b'x';
        assert!(!names_known_service(&message));
        assert!(!names_known_service(&[0x0a]));
    }
}
