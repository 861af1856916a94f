//! Bodies without a bound: walked block by block, as the server cuts them.
//!
//! ```text
//! file ─ 64 KiB ─▶ codings ─▶ block, 1 MiB ─▶ validate ─▶ summary
//!                              ▲ begun line │
//!                              └────────────┘
//! ```

use std::io::{self, Read};

use super::request::Body;
use super::summary::Summary;
use super::{Place, Progress, envelope};
use crate::batch::Validating;
use crate::content::Arena;
use crate::content::stream::Stream;
use crate::decode::{self, DecodeError, Scratch, Verdict};
use crate::envelope::{Codings, FieldId, RequestFields};
use crate::ingest::{self, Refusal};
use crate::limits::{BLOCK_SIZE_MAX, KIB};
use crate::outcome::Cause;

/// Bytes read at once.
const INPUT_SIZE: usize = 64 * KIB;

/// What all blocks together came to.
pub(super) struct Walked {
    pub(super) verdict: Verdict,
    pub(super) summary: Summary,
    pub(super) coded_size: u64,
    pub(super) payload_size: u64,
    pub(super) fault: Option<(Cause, Option<Place>)>,
    /// The first few lines that were rejected.
    pub(super) rejects: Vec<Reject>,
}

/// A line that was rejected alone.
pub(super) struct Reject {
    pub(super) line: u64,
    pub(super) cause: &'static str,
    pub(super) place: Place,
}

/// Lines that are shown.
const REJECT_COUNT_MAX: usize = 5;

struct Walk<'a> {
    body: &'a Body,
    scratch: &'a mut Scratch,
    arena: &'a mut Arena,
    arrival_nanos: u64,
    fields: Vec<u8>,
    walked: Walked,
    /// Lines in front of the block.
    line_count: u64,
}

/// Walks a body to its end or to its first fault.
pub(super) fn walk(
    body: &Body,
    codings: Codings,
    input: &mut dyn Read,
    scratch: &mut Scratch,
    arena: &mut Arena,
    progress: &mut Progress,
) -> io::Result<Walked> {
    let arrival_nanos = progress.clock.now().wall_nanos;
    let mut walk = Walk {
        body,
        scratch,
        arena,
        arrival_nanos,
        fields: body.fields.clone(),
        walked: Walked {
            verdict: Verdict::default(),
            summary: Summary::new(body.route, arrival_nanos),
            coded_size: 0,
            payload_size: 0,
            fault: None,
            rejects: Vec::new(),
        },
        line_count: 0,
    };
    let mut stream = Stream::new(codings);
    let mut coded = vec![0; INPUT_SIZE];
    let (mut start, mut end, mut is_read) = (0, 0, false);
    let mut block = vec![0; BLOCK_SIZE_MAX];
    let mut filled = 0;
    loop {
        if start == end && !is_read {
            (start, end) = (0, input.read(&mut coded)?);
            is_read = end == 0;
            walk.walked.coded_size += end as u64;
            progress.add(end as u64);
        }
        let bytes = coded.get(start..end).unwrap_or_default();
        let space = block.get_mut(filled..).unwrap_or_default();
        let step = match stream.step(bytes, is_read, space) {
            Ok(step) => step,
            Err(error) => {
                walk.walked.fault = Some((Cause::Content(error), None));
                return Ok(walk.walked);
            }
        };
        start += step.read;
        filled += step.written;
        let is_last = is_read && start == end && filled < BLOCK_SIZE_MAX;
        if filled == BLOCK_SIZE_MAX || is_last {
            match walk.block(block.get(..filled).unwrap_or_default(), is_last) {
                Ok(size) => {
                    block.copy_within(size..filled, 0);
                    filled -= size;
                }
                Err(fault) => {
                    walk.walked.fault = Some(*fault);
                    return Ok(walk.walked);
                }
            }
        }
        if is_last {
            return Ok(walk.walked);
        }
    }
}

impl Walk<'_> {
    /// Takes the whole lines of a full block, or all of the last one. Answers how many bytes.
    fn block(&mut self, text: &[u8], is_last: bool) -> Result<usize, Box<(Cause, Option<Place>)>> {
        let before = self.walked.payload_size;
        let moved = |mut error: DecodeError| {
            let place = Place::around("payload", text, error.offset, before);
            error.offset += before;
            Box::new((Cause::Decode(error), Some(place)))
        };
        let size = ingest::block_end(text, is_last).map_err(moved)?;
        let text = text.get(..size).unwrap_or_default();
        let envelope =
            envelope(self.body.route, Codings::IDENTITY, self.arrival_nanos, &self.fields);
        let limit = BLOCK_SIZE_MAX;
        let refused = |refusal| match refusal {
            Refusal::Cause(Cause::Decode(error)) => moved(error),
            Refusal::Cause(cause) => Box::new((cause, None)),
            Refusal::Large => Box::new((Cause::Internal, None)),
        };
        let (arena, scratch) = (&mut *self.arena, &mut *self.scratch);
        let mut verdict = ingest::walk(&envelope, text, limit, arena, scratch, &mut Validating)
            .map_err(refused)?;
        let summary = &mut self.walked.summary;
        ingest::walk(&envelope, text, limit, arena, scratch, summary)
            .map_err(|_| Box::new((Cause::Internal, None)))?;
        let mut fields = self.body.fields.clone();
        let open_family = scratch.exposition.open_family();
        if !open_family.is_empty() {
            // As the server does: without, the rows are the same.
            let _ = RequestFields::push(&mut fields, FieldId::OpenFamily, open_family);
        }
        self.fields = fields;
        if verdict.rejected > 0 {
            self.find_rejects(text);
        }
        if let Some((_, place)) = &mut verdict.first_reject {
            *place += before;
        }
        self.walked.verdict.add(&verdict);
        self.walked.payload_size += size as u64;
        self.line_count += memchr::memchr_iter(b'\n', text).count() as u64;
        Ok(size)
    }

    /// Decodes line by line: each stands for itself.
    fn find_rejects(&mut self, text: &[u8]) {
        let envelope =
            envelope(self.body.route, Codings::IDENTITY, self.arrival_nanos, &self.body.fields);
        let mut at = 0;
        for (index, line) in text.split_inclusive(|&byte| byte == b'\n').enumerate() {
            if self.walked.rejects.len() == REJECT_COUNT_MAX {
                return;
            }
            let decoded = decode::decode(&envelope, line, self.scratch, &mut Validating);
            if let Ok(Verdict { first_reject: Some((cause, offset)), .. }) = decoded {
                let base = self.walked.payload_size + at;
                self.walked.rejects.push(Reject {
                    line: self.line_count + index as u64 + 1,
                    cause: cause.message(),
                    place: Place::around("line", line, offset, base),
                });
            }
            at += line.len() as u64;
        }
    }
}
