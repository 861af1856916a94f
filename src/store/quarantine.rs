//! Entries that could not become rows, kept for `inrush replay`.
//!
//! Place: beside the parts of a plan. A file's name is the entry's place in the journal, so a plan
//! that is done again finds it there and writes nothing. Durable before the plan is done.
//!
//! ```text
//! one line of JSON: kind, cause, place, envelope, sizes, checksum of what follows
//! request fields as in the journal · body as it came       (damaged or unknown: the bytes as they are)
//! ```

use std::fs::{self, File};
use std::io::{self, Write as _};

use serde::{Deserialize, Serialize};

use super::fault::point;
use super::layout::{Layout, sync_folder};
use crate::envelope::Envelope;

/// The first line of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    pub version: u32,
    /// `entry`, `unknown` (a good checksum, but no envelope of this version) or `damaged`.
    pub kind: String,
    /// In words.
    pub cause: String,
    pub incarnation: String,
    pub shard: u32,
    pub position: u64,
    pub envelope: Option<EnvelopeHead>,
    /// Of the body, or of the bytes as they are.
    pub body_size: usize,
    pub crc32c: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvelopeHead {
    pub route: u16,
    pub codings: [u8; 2],
    pub tenant: String,
    pub arrival_nanos: u64,
    pub fields_size: usize,
}

/// Where an entry stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) incarnation: u64,
    pub(super) shard: u32,
    pub(super) position: u64,
}

/// What is kept.
pub(super) enum Kept<'a> {
    Entry { envelope: &'a Envelope<'a>, body: &'a [u8] },
    Unknown(&'a [u8]),
    Damaged(&'a [u8]),
}

/// Writes the file, durably. Answers false where it was there already.
pub(super) fn keep(
    layout: &Layout,
    place: Place,
    kept: &Kept<'_>,
    cause: &str,
) -> io::Result<bool> {
    let Place { incarnation, shard, position } = place;
    let path =
        layout.quarantine.join(format!("{incarnation:016x}-{shard:04x}-{position:016x}.entry"));
    if path.exists() {
        // Perhaps renamed by an attempt that ended before it synced the folder.
        sync_folder(&layout.quarantine)?;
        return Ok(false);
    }
    let (kind, fields, body): (&str, &[u8], &[u8]) = match kept {
        Kept::Entry { envelope, body } => ("entry", envelope.fields.as_bytes(), body),
        Kept::Unknown(bytes) => ("unknown", &[], bytes),
        Kept::Damaged(bytes) => ("damaged", &[], bytes),
    };
    let envelope = match kept {
        Kept::Entry { envelope, .. } => Some(EnvelopeHead {
            route: envelope.route.number(),
            codings: envelope.codings.0.map(|coding| coding as u8),
            tenant: envelope.tenant.to_string(),
            arrival_nanos: envelope.arrival_nanos,
            fields_size: fields.len(),
        }),
        _ => None,
    };
    let head = Head {
        version: 1,
        kind: kind.to_string(),
        cause: cause.to_string(),
        incarnation: format!("{incarnation:016x}"),
        shard,
        position,
        envelope,
        body_size: body.len(),
        crc32c: crc32c::crc32c_append(crc32c::crc32c(fields), body),
    };
    let mut line = serde_json::to_vec(&head)?;
    line.push(b'\n');
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary)?;
    for bytes in [&line[..], fields, body] {
        file.write_all(bytes)?;
    }
    file.sync_all()?;
    point("quarantine-before-rename");
    fs::rename(&temporary, &path)?;
    sync_folder(&layout.quarantine)?;
    Ok(true)
}
