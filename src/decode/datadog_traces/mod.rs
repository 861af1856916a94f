//! Datadog traces as tracers post them: v0.3 and v0.4 (`MessagePack` or JSON), v0.5 and v0.7; and as
//! an Agent does, in protobuf.
//!
//! Source: datadog-agent `pkg/trace/api` and libdatadog `libdd-trace-protobuf`.
//!
//! ```text
//! v0.3, v0.4   [ chunk: [ span: { name: …, meta: { … }, … } ] ]
//! v0.5         [ [ text … ], [ chunk: [ span: [ service, name, … twelve fields ] ] ] ]
//! v0.7         { env: …, tags: { … }, chunks: [ { priority: …, tags: { … }, spans: [ span ] } ] }
//! an Agent     host, environment and tags of all; many of what v0.7 has one of
//! ```
//!
//! A span stays on the wire: what is kept of it is where its fields stand. JSON and protobuf are first
//! written as `MessagePack`. The wire has the low half of a trace id; the high half is a tag of one span of the
//! chunk, so a chunk that is kept is walked twice.
#![deny(clippy::indexing_slicing)]

mod agent;
mod ids;
mod json;
mod mapping;
mod span;
#[cfg(test)]
mod tests;
mod written;

use super::wire::json::line_column;
use super::wire::msgpack::{Kind, ReadError, Reader};
use super::{DecodeError, Fault, Verdict};
use crate::batch::{RecordSink, RejectCause};
use crate::envelope::{Envelope, FieldId, RequestFields, Route};
use crate::limits;
use ids::HighHalves;
use mapping::Said;
use span::{Dictionary, Form, RawSpan};
use written::Written;

/// Reused from body to body.
#[derive(Default)]
pub struct Scratch {
    /// v0.5: where each text of the dictionary stands.
    texts: Vec<(u32, u32)>,
    high_halves: HighHalves,
    /// A JSON or protobuf body as `MessagePack`.
    written: Vec<u8>,
    said: Said,
}

/// Memory that is kept from body to body: what usual bodies need.
const TEXT_COUNT_KEPT: usize = limits::LARGE_BODY / 64;

/// What a request, a payload or a chunk says of all its spans.
#[derive(Clone, Copy, Default)]
struct Common<'a> {
    language: &'a [u8],
    language_version: &'a [u8],
    interpreter: &'a [u8],
    tracer_version: &'a [u8],
    container_id: &'a [u8],
    container_name: &'a [u8],
    pod_uid: &'a [u8],
    runtime_id: &'a [u8],
    env: &'a [u8],
    hostname: &'a [u8],
    app_version: &'a [u8],
    /// Maps of text to text, of the payload and of the chunk.
    payload_tags: Option<Reader<'a>>,
    chunk_tags: Option<Reader<'a>>,
    origin: &'a [u8],
    priority: Option<i64>,
    arrival_nanos: i64,
    /// Bytes of both maps of tags.
    tags_size: usize,
}

impl<'a> Common<'a> {
    fn of(envelope: &Envelope<'a>) -> Self {
        let fields: RequestFields<'a> = envelope.fields;
        let field = |id| fields.find(id).unwrap_or_default();
        let container_id = field(FieldId::DatadogContainerId);
        let entity = field(FieldId::DatadogEntityId);
        let environment = field(FieldId::DatadogExternalEnv);
        let of_container = |mark: &[u8]| {
            let mut parts = environment.split(|&byte| byte == b',');
            parts.find_map(|part| part.trim_ascii().strip_prefix(mark)).unwrap_or_default()
        };
        Self {
            language: field(FieldId::DatadogLanguage),
            language_version: field(FieldId::DatadogLanguageVersion),
            interpreter: field(FieldId::DatadogInterpreter),
            tracer_version: field(FieldId::DatadogTracerVersion),
            container_id: if container_id.is_empty() { container_of(entity) } else { container_id },
            container_name: of_container(b"cn-"),
            pod_uid: of_container(b"pu-"),
            arrival_nanos: i64::try_from(envelope.arrival_nanos).unwrap_or(i64::MAX),
            ..Self::default()
        }
    }

    /// Bytes that every span is stored with, in its resource or beside its own.
    fn size(&self) -> usize {
        let texts = [
            self.language,
            self.language_version,
            self.tracer_version,
            self.container_id,
            self.runtime_id,
            self.env,
            self.hostname,
            self.app_version,
            self.origin,
        ];
        texts.iter().map(|text| text.len()).sum::<usize>() + self.tags_size
    }
}

/// `cid-ID`, `ci-ID` or the bare id; `in-INODE` is of the container's control group, which names nothing.
fn container_of(entity: &[u8]) -> &[u8] {
    if entity.starts_with(b"in-") {
        return &[];
    }
    let id = entity.strip_prefix(b"cid-").or_else(|| entity.strip_prefix(b"ci-"));
    id.unwrap_or(entity)
}

pub fn decode<S: RecordSink>(
    envelope: &Envelope<'_>,
    payload: &[u8],
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<Verdict, DecodeError> {
    if payload.is_empty() {
        // Discovery: anything but 404 means that the route is there.
        return Ok(Verdict::default());
    }
    let Scratch { texts, high_halves, written, said } = scratch;
    let common = Common::of(envelope);
    said.clear();
    let mut walk =
        Walk { sink, said, high_halves, form: Form::Map, verdict: Verdict::default(), index: 0 };
    match envelope.route {
        Route::DatadogTracesV05 => {
            let mut body = Reader::new(payload);
            // The Agent ignores the announced count as well: one tracer has it wrong.
            let count = body.array()?;
            if count < 2 {
                return Err(body.fault(Fault::DatadogBodyLengthWrong).into());
            }
            read_texts(&mut body, texts)?;
            walk.form = Form::Array(Dictionary { payload, texts });
            let result = walk.v05(body, count, &common);
            texts.clear();
            texts.shrink_to(TEXT_COUNT_KEPT);
            result
        }
        Route::DatadogTracesV07 => {
            let mut body = Reader::new(payload);
            walk.tracer_payload(&mut body, common)?;
            walk.finish(body)
        }
        Route::DatadogAgentTraces => {
            let agent = agent::write(payload, &mut Written::new(written, 0));
            let result = agent.and_then(|agent| {
                let common = Common { hostname: agent.hostname, env: agent.env, ..common };
                let walked = walk.agent_payload(written, common, agent.not_taken.rejected);
                let verdict = placed(walked, |sought| {
                    let mut written = Written::new(written, sought);
                    // It went well before.
                    let _ = agent::write(payload, &mut written);
                    written.source()
                })?;
                Ok(with_rejects(verdict, &agent.not_taken))
            });
            written.clear();
            written.shrink_to(limits::LARGE_BODY);
            result
        }
        _ => match json_start(payload) {
            Some(start) => {
                let result = json::write(payload, start, &mut Written::new(written, 0));
                let result = result.and_then(|()| {
                    placed(walk.v04(written, &common), |sought| {
                        let mut written = Written::new(written, sought);
                        let _ = json::write(payload, start, &mut written);
                        written.source()
                    })
                });
                written.clear();
                written.shrink_to(limits::LARGE_BODY);
                result.map_err(|error| DecodeError {
                    line_column: Some(line_column(payload, limits::size(error.offset))),
                    ..error
                })
            }
            None => walk.v04(payload, &common),
        },
    }
}

fn with_rejects(mut verdict: Verdict, rejects: &Verdict) -> Verdict {
    let both = [rejects.first_reject, verdict.first_reject].into_iter().flatten();
    verdict.first_reject = both.min_by_key(|&(_, offset)| offset);
    verdict.rejected += rejects.rejected;
    verdict
}

/// Where JSON begins, by the bytes, which are plain about it: no `MessagePack` array begins like JSON
/// text or like the mark that some tools put in front of it.
fn json_start(payload: &[u8]) -> Option<usize> {
    const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
    let start = if payload.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    let text = payload.get(start..).unwrap_or_default();
    matches!(text.trim_ascii_start().first(), Some(b'[' | b'n')).then_some(start)
}

/// A verdict on what was written, with its places turned into those of the body by `source`.
fn placed(
    result: Result<Verdict, DecodeError>,
    mut source: impl FnMut(usize) -> usize,
) -> Result<Verdict, DecodeError> {
    match result {
        Ok(verdict) if verdict.first_reject.is_none() => Ok(verdict),
        Ok(mut verdict) => {
            if let Some((_, offset)) = verdict.first_reject.as_mut() {
                *offset = source(limits::size(*offset)) as u64;
            }
            Ok(verdict)
        }
        Err(error) => {
            Err(DecodeError { offset: source(limits::size(error.offset)) as u64, ..error })
        }
    }
}

/// The dictionary of v0.5. Lengths are looked at here, so that a reference costs one look.
fn read_texts(body: &mut Reader<'_>, texts: &mut Vec<(u32, u32)>) -> Result<(), DecodeError> {
    texts.clear();
    let start = *body;
    let count = body.array()?;
    if count > limits::DATADOG_TEXT_COUNT_MAX {
        return Err(start.fault(Fault::DatadogTextCountOverLimit).into());
    }
    texts.reserve_exact(count);
    for index in 0..count {
        // The Agent takes nil for the empty text as well.
        let text = optional_text(body).map_err(|error| within(error, "strings", index))?;
        let start = body.place() - text.len();
        match (u32::try_from(start), u32::try_from(text.len())) {
            (Ok(start), Ok(size)) => texts.push((start, size)),
            _ => return Err(within(body.fault(Fault::MsgpackTruncated), "strings", index)),
        }
    }
    Ok(())
}

#[cold]
fn within(error: impl Into<DecodeError>, name: &'static str, index: usize) -> DecodeError {
    error.into().within(name, Some(u32::try_from(index).unwrap_or(u32::MAX)))
}

struct Walk<'a, 's, S> {
    sink: &'s mut S,
    said: &'s mut Said,
    high_halves: &'s mut HighHalves,
    form: Form<'a>,
    verdict: Verdict,
    /// The chunk's place in the body, for faults.
    index: usize,
}

impl<'a, S: RecordSink> Walk<'a, '_, S> {
    fn finish(self, body: Reader<'a>) -> Result<Verdict, DecodeError> {
        if body.is_empty() {
            Ok(self.verdict)
        } else {
            Err(body.fault(Fault::DatadogTrailingBytes).into())
        }
    }

    fn v04(mut self, payload: &'a [u8], common: &Common<'a>) -> Result<Verdict, DecodeError> {
        let mut body = Reader::new(payload);
        self.traces(&mut body, common)?;
        self.finish(body)
    }

    /// What stands behind the dictionary, which is the first of `count` values.
    fn v05(
        mut self,
        mut body: Reader<'a>,
        count: usize,
        common: &Common<'a>,
    ) -> Result<Verdict, DecodeError> {
        self.traces(&mut body, common)?;
        for _ in 2..count {
            body.skip()?;
        }
        self.finish(body)
    }

    /// The chunks of v0.3 to v0.5.
    fn traces(&mut self, body: &mut Reader<'a>, common: &Common<'a>) -> Result<(), DecodeError> {
        if body.take_nil() {
            return Ok(());
        }
        for index in 0..body.array()? {
            self.index = index;
            self.chunk(body, common).map_err(|error| within(error, "traces", index))?;
        }
        Ok(())
    }

    /// A list of tracer payloads, and `not_taken` of other forms.
    fn agent_payload(
        mut self,
        payloads: &'a [u8],
        common: Common<'a>,
        not_taken: u64,
    ) -> Result<Verdict, DecodeError> {
        for _ in 0..not_taken {
            self.sink.reject(RejectCause::TracesNotTaken);
        }
        let mut body = Reader::new(payloads);
        for index in 0..body.array()? {
            // Each is a resource of its own.
            self.said.clear();
            self.tracer_payload(&mut body, common)
                .map_err(|error| within(error, "tracerPayloads", index))?;
        }
        self.finish(body)
    }

    fn tracer_payload(
        &mut self,
        body: &mut Reader<'a>,
        mut common: Common<'a>,
    ) -> Result<(), DecodeError> {
        let mut chunks = None;
        for _ in 0..body.map()? {
            match body.text()? {
                b"container_id" => common.container_id = optional_text(body)?,
                b"language_name" => common.language = optional_text(body)?,
                b"language_version" => common.language_version = optional_text(body)?,
                b"tracer_version" => common.tracer_version = optional_text(body)?,
                b"runtime_id" => common.runtime_id = optional_text(body)?,
                b"env" => common.env = optional_text(body)?,
                b"hostname" => common.hostname = optional_text(body)?,
                b"app_version" => common.app_version = optional_text(body)?,
                b"tags" => {
                    let start = body.place();
                    common.payload_tags = text_map(body)?;
                    common.tags_size += body.place() - start;
                }
                b"chunks" => {
                    // Looked at once everything that stands beside it is known.
                    chunks = Some(*body);
                    body.skip()?;
                }
                _ => body.skip()?,
            }
        }
        let Some(mut chunks) = chunks else { return Ok(()) };
        if chunks.take_nil() {
            return Ok(());
        }
        for index in 0..chunks.array()? {
            self.index = index;
            self.trace_chunk(&mut chunks, common)
                .map_err(|error| within(error, "chunks", index))?;
        }
        Ok(())
    }

    /// A chunk of v0.7.
    fn trace_chunk(
        &mut self,
        body: &mut Reader<'a>,
        mut common: Common<'a>,
    ) -> Result<(), DecodeError> {
        if body.take_nil() {
            return Ok(());
        }
        let mut spans = None;
        for _ in 0..body.map()? {
            match body.text()? {
                b"priority" if !body.take_nil() => {
                    // The smallest number of its first form stands for none.
                    let priority = body.signed()?;
                    common.priority = (priority != -128).then_some(priority);
                }
                b"origin" => common.origin = optional_text(body)?,
                b"tags" => {
                    let start = body.place();
                    common.chunk_tags = text_map(body)?;
                    common.tags_size += body.place() - start;
                }
                b"spans" => {
                    spans = Some(*body);
                    body.skip()?;
                }
                b"priority" => {}
                _ => body.skip()?,
            }
        }
        match spans {
            Some(mut spans) => self.chunk(&mut spans, &common),
            None => Ok(()),
        }
    }

    /// The spans of one chunk: an array, or nothing.
    fn chunk(&mut self, body: &mut Reader<'a>, common: &Common<'a>) -> Result<(), DecodeError> {
        if body.take_nil() {
            return Ok(());
        }
        if S::FILLS {
            self.high_halves.clear();
            let mut ahead = *body;
            for _ in 0..ahead.array()? {
                match RawSpan::read(&mut ahead, self.form) {
                    Ok(Some(span)) => self.high_halves.note(&span, self.form),
                    Ok(None) => {}
                    // The second walk comes to it as well, and says where.
                    Err(_) => break,
                }
            }
            self.high_halves.finish(common);
        }
        let before = self.verdict.spans;
        for index in 0..body.array()? {
            let at = body.place() as u64;
            let span =
                RawSpan::read(body, self.form).map_err(|error| within(error, "spans", index))?;
            let Some(span) = span else { continue };
            self.verdict.values += span.weight;
            if span.trace_id == 0 || span.span_id == 0 {
                self.verdict.count_reject(RejectCause::IdInvalid, at);
                self.sink.reject(RejectCause::IdInvalid);
                continue;
            }
            let high = if S::FILLS { self.high_halves.find(span.trace_id) } else { 0 };
            mapping::say(&span, high, self.form, common, self.said, self.sink);
            self.verdict.spans += 1;
        }
        self.verdict.repeat(common.size(), self.verdict.spans - before);
        Ok(())
    }
}

#[inline(always)]
fn optional_text<'a>(body: &mut Reader<'a>) -> Result<&'a [u8], ReadError> {
    match body.take_short_text() {
        Some(text) => Ok(text),
        None if body.take_nil() => Ok(&[]),
        None => body.long_text(),
    }
}

/// A map of text to text, checked; where it stands is the answer.
fn text_map<'a>(body: &mut Reader<'a>) -> Result<Option<Reader<'a>>, ReadError> {
    if body.take_nil() {
        return Ok(None);
    }
    let map = *body;
    for _ in 0..body.map()? {
        optional_text(body)?;
        match body.kind()? {
            Kind::Nil => drop(body.take_nil()),
            _ => drop(body.text()?),
        }
    }
    Ok(Some(map))
}
