//! Bytes of the journal: commit headers, entry headers, envelopes. No IO.
//!
//! All numbers are little-endian. Header checksums are crc32c, start from incarnation, shard and
//! generation and cover the absolute position and the content's checksum, so that bytes of a segment's
//! former life, of another shard's file or of another journal are never taken for an entry.

use crate::envelope::{Coding, Codings, Envelope, RequestFields, Route};
use crate::limits::{self, size};

pub const VERSION: u32 = 1;
pub const COMMIT_HEADER_SIZE: usize = 64;
pub const ENTRY_HEADER_SIZE: usize = 48;
const COMMIT_MAGIC: u64 = u64::from_le_bytes(*b"inrushC\x01");
const ENTRY_MAGIC: u32 = u32::from_le_bytes(*b"inE\x01");
/// Entries within a packed block start at multiples of this.
pub const ENTRY_ALIGNMENT: usize = 8;
const ENVELOPE_FIXED_SIZE: usize = 20;
/// The largest envelope.
pub const ENVELOPE_SIZE_MAX: usize =
    ENVELOPE_FIXED_SIZE + limits::TENANT_SIZE_MAX + limits::REQUEST_FIELDS_SIZE_MAX;

/// Whose bytes these are: the seed of every checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    pub incarnation: u64,
    pub shard: u32,
    pub generation: u64,
}

impl Life {
    fn seed(self) -> u32 {
        let mut bytes = [0; 20];
        bytes[..8].copy_from_slice(&self.incarnation.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.shard.to_le_bytes());
        bytes[12..].copy_from_slice(&self.generation.to_le_bytes());
        crc32c::crc32c(&bytes)
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
}

/// The start of a commit.
///
/// ```text
/// magic u64 │ version u32 │ shard u32 │ incarnation u64 │ generation u64
/// base u64 │ position u64 │ length u64 │ entry_count u32 │ crc u32
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitHeader {
    /// Position of the segment's first byte.
    pub base: u64,
    pub position: u64,
    /// Bytes of the commit with header and padding.
    pub length: u64,
    pub entry_count: u32,
}

impl CommitHeader {
    pub fn encode(&self, life: Life) -> [u8; COMMIT_HEADER_SIZE] {
        let mut bytes = [0; COMMIT_HEADER_SIZE];
        bytes[..8].copy_from_slice(&COMMIT_MAGIC.to_le_bytes());
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&life.shard.to_le_bytes());
        bytes[16..24].copy_from_slice(&life.incarnation.to_le_bytes());
        bytes[24..32].copy_from_slice(&life.generation.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.base.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.position.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.length.to_le_bytes());
        bytes[56..60].copy_from_slice(&self.entry_count.to_le_bytes());
        let crc = crc32c::crc32c_append(life.seed(), &bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// `None` unless the bytes are a commit header of this very life.
    pub fn parse(bytes: &[u8], life: Life) -> Option<Self> {
        let bytes = bytes.get(..COMMIT_HEADER_SIZE)?;
        if u64_at(bytes, 0) != COMMIT_MAGIC
            || u32_at(bytes, 8) != VERSION
            || u32_at(bytes, 60) != crc32c::crc32c_append(life.seed(), &bytes[..60])
        {
            return None;
        }
        let header = Self {
            base: u64_at(bytes, 32),
            position: u64_at(bytes, 40),
            length: u64_at(bytes, 48),
            entry_count: u32_at(bytes, 56),
        };
        (header.base <= header.position && header.length >= COMMIT_HEADER_SIZE as u64)
            .then_some(header)
    }
}

/// The start of an entry.
///
/// ```text
/// magic u32 │ header_crc u32 │ position u64 │ padded_length u64 │ body_length u64
/// envelope_length u32 │ content_crc u32 │ zero u64
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryHeader {
    pub position: u64,
    /// From this header to the next one, or to the end of the commit.
    pub padded_length: u64,
    pub body_length: u64,
    pub envelope_length: u32,
    /// Over envelope and body.
    pub content_crc: u32,
}

impl EntryHeader {
    /// Header, envelope and body, without padding.
    pub const fn length(&self) -> u64 {
        ENTRY_HEADER_SIZE as u64 + self.envelope_length as u64 + self.body_length
    }

    /// Taken when the entry is appended, while its bytes are warm; the header's own checksum binds it
    /// to life and position once these are known.
    pub fn content_crc(envelope: &[u8], body: &[u8]) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c(envelope), body)
    }

    pub fn encode(&self, life: Life) -> [u8; ENTRY_HEADER_SIZE] {
        let mut bytes = [0; ENTRY_HEADER_SIZE];
        bytes[..4].copy_from_slice(&ENTRY_MAGIC.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.position.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.padded_length.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.body_length.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.envelope_length.to_le_bytes());
        bytes[36..40].copy_from_slice(&self.content_crc.to_le_bytes());
        let crc = crc32c::crc32c_append(life.seed(), &bytes[8..]);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// `None` unless the bytes are an entry header of this life at this very position.
    pub fn parse(bytes: &[u8], life: Life, position: u64) -> Option<Self> {
        let bytes = bytes.get(..ENTRY_HEADER_SIZE)?;
        if u32_at(bytes, 0) != ENTRY_MAGIC
            || u64_at(bytes, 8) != position
            || u32_at(bytes, 4) != crc32c::crc32c_append(life.seed(), &bytes[8..])
        {
            return None;
        }
        let header = Self {
            position,
            padded_length: u64_at(bytes, 16),
            body_length: u64_at(bytes, 24),
            envelope_length: u32_at(bytes, 32),
            content_crc: u32_at(bytes, 36),
        };
        let length = header
            .body_length
            .checked_add(ENTRY_HEADER_SIZE as u64 + u64::from(header.envelope_length))?;
        (length <= header.padded_length).then_some(header)
    }
}

/// Appends the envelope's bytes (drawn in `envelope.rs`).
pub fn encode_envelope(envelope: &Envelope<'_>, into: &mut Vec<u8>) {
    let tenant = envelope.tenant.as_bytes();
    assert!(tenant.len() <= limits::TENANT_SIZE_MAX);
    let tenant_length = u16::try_from(tenant.len()).unwrap_or(u16::MAX);
    let fields = envelope.fields.as_bytes();
    assert!(fields.len() <= limits::REQUEST_FIELDS_SIZE_MAX);
    let fields_length = u32::try_from(fields.len()).unwrap_or(u32::MAX);
    into.extend_from_slice(&envelope.route.number().to_le_bytes());
    into.push(envelope.codings.0[0] as u8);
    into.push(envelope.codings.0[1] as u8);
    into.extend_from_slice(&tenant_length.to_le_bytes());
    into.extend_from_slice(&[0; 2]);
    into.extend_from_slice(&envelope.arrival_nanos.to_le_bytes());
    into.extend_from_slice(&fields_length.to_le_bytes());
    into.extend_from_slice(tenant);
    into.extend_from_slice(fields);
}

/// Sets the arrival time of an encoded envelope: known only when the body is complete.
pub fn patch_arrival(envelope: &mut [u8], arrival_nanos: u64) {
    envelope[8..16].copy_from_slice(&arrival_nanos.to_le_bytes());
}

/// Sets the codings of an encoded envelope: what the body is, not what its sender called it.
pub fn patch_codings(envelope: &mut [u8], codings: Codings) {
    envelope[2] = codings.0[0] as u8;
    envelope[3] = codings.0[1] as u8;
}

/// Bytes that [`encode_envelope`] will append.
pub fn envelope_size(tenant: &str, fields: RequestFields<'_>) -> usize {
    ENVELOPE_FIXED_SIZE + tenant.len() + fields.as_bytes().len()
}

/// `None` for a route, a coding or a shape that this version does not know.
pub fn parse_envelope(bytes: &[u8]) -> Option<Envelope<'_>> {
    let (fixed, rest) = bytes.split_at_checked(ENVELOPE_FIXED_SIZE)?;
    let route = Route::from_number(u16::from_le_bytes([fixed[0], fixed[1]]))?;
    let codings = Codings([Coding::from_number(fixed[2])?, Coding::from_number(fixed[3])?]);
    let tenant_length = usize::from(u16::from_le_bytes([fixed[4], fixed[5]]));
    let arrival_nanos = u64_at(fixed, 8);
    let fields_length = size(u64::from(u32_at(fixed, 16)));
    let (tenant, rest) = rest.split_at_checked(tenant_length)?;
    let fields = rest.get(..fields_length)?;
    if rest.len() != fields_length {
        return None;
    }
    Some(Envelope {
        route,
        codings,
        tenant: std::str::from_utf8(tenant).ok()?,
        arrival_nanos,
        fields: RequestFields::new(fields),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::FieldId;

    const LIFE: Life = Life { incarnation: 7, shard: 3, generation: 9 };

    #[test]
    fn headers_are_bound_to_their_life_and_place() {
        let commit = CommitHeader { base: 4096, position: 8192, length: 4096, entry_count: 2 };
        let bytes = commit.encode(LIFE);
        assert_eq!(CommitHeader::parse(&bytes, LIFE), Some(commit));
        for other in [
            Life { incarnation: 8, ..LIFE },
            Life { shard: 2, ..LIFE },
            Life { generation: 10, ..LIFE },
        ] {
            assert_eq!(CommitHeader::parse(&bytes, other), None);
        }
        let entry = EntryHeader {
            position: 8256,
            padded_length: 128,
            body_length: 60,
            envelope_length: 20,
            content_crc: 5,
        };
        let bytes = entry.encode(LIFE);
        assert_eq!(EntryHeader::parse(&bytes, LIFE, 8256), Some(entry));
        assert_eq!(EntryHeader::parse(&bytes, LIFE, 8264), None);
        assert_eq!(EntryHeader::parse(&bytes, Life { generation: 1, ..LIFE }, 8256), None);
    }

    #[test]
    fn any_flipped_bit_of_a_header_is_seen() {
        let commit = CommitHeader { base: 0, position: 0, length: 4096, entry_count: 2 };
        let bytes = commit.encode(LIFE);
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(CommitHeader::parse(&bad, LIFE), None, "bit {bit}");
        }
        for cut in 0..bytes.len() {
            assert_eq!(CommitHeader::parse(&bytes[..cut], LIFE), None);
        }
    }

    #[test]
    fn envelopes_survive_the_round_trip_and_reject_every_cut() {
        let mut fields = Vec::new();
        assert!(RequestFields::push(&mut fields, FieldId::ContentType, b"application/json"));
        assert!(RequestFields::push(&mut fields, FieldId::GroundcoverSource, b"x"));
        let envelope = Envelope {
            route: Route::JsonLogs,
            codings: Codings([Coding::Gzip, Coding::Zstd]),
            tenant: "acme",
            arrival_nanos: 1_234_567_890_123_456_789,
            fields: RequestFields::new(&fields),
        };
        let mut bytes = Vec::new();
        encode_envelope(&envelope, &mut bytes);
        assert_eq!(bytes.len(), envelope_size("acme", envelope.fields));
        let read = parse_envelope(&bytes).unwrap();
        assert_eq!(read.route, Route::JsonLogs);
        assert_eq!(read.codings, envelope.codings);
        assert_eq!(read.tenant, "acme");
        assert_eq!(read.arrival_nanos, envelope.arrival_nanos);
        assert_eq!(read.fields.find(FieldId::GroundcoverSource), Some(&b"x"[..]));
        for cut in 0..bytes.len() {
            assert!(parse_envelope(&bytes[..cut]).is_none());
        }
    }
}
