//! Prometheus text exposition and OpenMetrics: one lenient reader, line by line.
//!
//! Place: behind `decode`. A payload is one block of a body, cut at line ends; blocks are decoded on
//! their own, but for the metadata of the family that a cut falls into.
//!
//! ```text
//! request.rs    path and query ─ labels of every series, a time
//! line.rs       one line ─ name, labels, value, time, exemplar
//! scan.rs       labels as they usually are, without taking them apart
//! metadata.rs   # TYPE, # HELP, # UNIT ─ one record a family
//! ```
//!
//! A line that cannot be read is rejected alone, with the fault and its place. Only a line over
//! [`limits::EXPOSITION_LINE_SIZE_MAX`] and bad arguments refuse the body. Where formats differ,
//! VictoriaMetrics' reading is taken: times by their magnitude, `__name__` in braces is the metric's
//! name (a second name otherwise), an empty value is an absent label, an empty name is dropped.
//! Histograms and summaries come as the plain series that they are here; `_created` as well: its value
//! is the time, in seconds, at which its neighbours began to count.
#![deny(clippy::indexing_slicing)]

mod line;
mod metadata;
mod request;
mod scan;

#[cfg(test)]
mod tests;

use super::wire::{hex, number};
use super::{DecodeError, Fault, Verdict};
use crate::batch::record::{
    Attributes, Exemplar, Identity, Metadata, MetricType, Sample, Series, Temporality, Text, Value,
};
use crate::batch::{RecordSink, RejectCause};
use crate::envelope::{Envelope, FieldId};
use crate::limits;
use line::{Label, Line, LineFault, Parts, Texts};
use metadata::Family;
use request::Request;
pub use request::{Request as RequestLabels, is_extra_label};

/// Memory reused from block to block, bounded by one line and one request's arguments.
#[derive(Default)]
pub struct Scratch {
    open_family: Vec<u8>,
    parts: Parts,
    family: metadata::Memory,
    request: Request,
    key: Vec<u8>,
}

impl Scratch {
    /// After a decode: the metadata lines (`# TYPE …`, `# UNIT …`, `# HELP …`) of the family that is
    /// open where the block ends, to be carried into the next block of the same body as
    /// `FieldId::OpenFamily`. Empty where none is open.
    pub fn open_family(&self) -> &[u8] {
        &self.open_family
    }
}

/// Refuses a request whose arguments [`decode`] would refuse: before its body is read. `path_rest` is
/// what stands in the path behind the route's own.
pub fn check_request(query: Option<&[u8]>, path_rest: &[u8]) -> Result<(), DecodeError> {
    request::check(query, path_rest)
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Walks one block: whole lines, the last with or without its newline.
pub fn decode<S: RecordSink>(
    envelope: &Envelope<'_>,
    payload: &[u8],
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<Verdict, DecodeError> {
    let find = |id| envelope.fields.find(id);
    let Scratch { open_family, parts, family: memory, request, key } = scratch;
    open_family.clear();
    request.read(find(FieldId::Query), find(FieldId::PathLabels).unwrap_or_default())?;
    let arrival_nanos = i64::try_from(envelope.arrival_nanos).unwrap_or(i64::MAX);
    let default_time_nanos = request.time_nanos.unwrap_or(arrival_nanos);
    let verdict = Verdict::default();
    let mut walk = Walk { sink, verdict, parts, request, key, default_time_nanos };

    let mut family = Family::default();
    for line in find(FieldId::OpenFamily).unwrap_or_default().split(|&byte| byte == b'\n') {
        if let [b'#', ..] = line {
            family.comment(line, 1, memory, |_| {});
        }
    }
    family.carried();

    let mut rest = payload;
    while !rest.is_empty() {
        let offset = payload.len() - rest.len();
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let line = rest.get(..end).unwrap_or_default();
        rest = rest.get(end + 1..).unwrap_or_default();
        if line.len() > limits::EXPOSITION_LINE_SIZE_MAX {
            return Err(DecodeError::at(Fault::LineOverLimit, offset as u64));
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if offset == 0 && line.starts_with(BYTE_ORDER_MARK) {
            // Editors of one system put it in front of text.
            rest = payload.get(BYTE_ORDER_MARK.len()..).unwrap_or_default();
            continue;
        }
        let start = line::skip_blanks(line, 0);
        match line.get(start) {
            None => {}
            Some(b'#') => {
                family.comment(line, start + 1, memory, |record| walk.metadata(record));
            }
            Some(_) => match walk.parse(line) {
                Ok(read) => {
                    let name = walk.texts(line).resolve(read.name);
                    if family.is_open() && !family.owns(name, memory) {
                        family.close(memory, |record| walk.metadata(record));
                    }
                    walk.sample(line, &read, offset);
                }
                Err(LineFault { cause, offset: place }) => {
                    walk.verdict.count_reject(cause, (offset + place) as u64);
                }
            },
        }
    }
    family.push(memory, |record| walk.metadata(record));
    let mut verdict = walk.verdict;
    // A sample is a series in the worst case, and each series has the request's labels. A block is small,
    // and any number of them make a body: counted as what columns hold.
    verdict.values += verdict.samples * (request.text().len() as u64 / 8);
    family.carry(open_family);
    Ok(verdict)
}

/// One walk over one block.
struct Walk<'s, S> {
    sink: &'s mut S,
    verdict: Verdict,
    parts: &'s mut Parts,
    request: &'s Request,
    key: &'s mut Vec<u8>,
    default_time_nanos: i64,
}

impl<S: RecordSink> Walk<'_, S> {
    fn texts<'t>(&'t self, line: &'t [u8]) -> Texts<'t> {
        Texts { line, resolved: &self.parts.resolved, of_request: self.request.text() }
    }

    #[inline]
    fn parse<'l>(&mut self, line: &'l [u8]) -> Result<Line<'l>, LineFault> {
        if S::FILLS {
            line::parse::<true>(line, self.parts)
        } else {
            line::parse::<false>(line, self.parts)
        }
    }

    fn metadata(&mut self, record: &Metadata<'_>) {
        self.sink.metadata(record);
        self.sink.keep();
        self.verdict.metadata += 1;
    }

    /// A line that was read: its series, its sample, its exemplars.
    #[inline]
    fn sample(&mut self, text: &[u8], line: &Line<'_>, offset: usize) {
        let mut sample_time_nanos = 0;
        if S::FILLS {
            sample_time_nanos = self.time_nanos(line.time, self.default_time_nanos);
            self.say_sample(text, line, sample_time_nanos);
        }
        self.verdict.samples += 1;
        if let Some(start) = line.trailer {
            self.exemplars(text, start, offset, sample_time_nanos);
        }
    }

    fn time_nanos(&self, text: Option<&[u8]>, otherwise: i64) -> i64 {
        text.and_then(number::time_nanos).unwrap_or(otherwise)
    }

    fn say_sample(&mut self, text: &[u8], line: &Line<'_>, time_nanos: i64) {
        let mut raw = line.series;
        let mut name = line.name;
        let request = self.request;
        if !request.is_empty() {
            self.key.clear();
            self.key.extend_from_slice(line.series);
            self.key.extend_from_slice(request.key());
            raw = self.key;
            name = request.name().unwrap_or(name);
            let Parts { labels, resolved, .. } = &mut *self.parts;
            request.apply(labels, Texts { line: text, resolved, of_request: request.text() });
        }
        let texts =
            Texts { line: text, resolved: &self.parts.resolved, of_request: request.text() };
        self.sink.series(&Series {
            identity: Identity::Labels,
            name: Text(texts.resolve(name)),
            metric_type: MetricType::Unknown,
            unit: Text::EMPTY,
            description: Text::EMPTY,
            temporality: Temporality::Unspecified,
            is_monotonic: false,
            labels: &Labels { texts, labels: &self.parts.labels },
            raw: Some(raw),
        });
        let (value, value_int) = number::value(line.value).unwrap_or((number::NORMAL_NAN, None));
        self.sink.sample(&Sample { time_nanos, value, value_int, start_time_nanos: 0, flags: 0 });
        self.sink.keep();
    }

    /// Exemplars, each behind its own `#`, up to the first comment or fault.
    #[inline(never)]
    fn exemplars(&mut self, text: &[u8], start: usize, offset: usize, sample_time_nanos: i64) {
        let mut trailer = Some(start);
        while let Some(start) = trailer {
            let read = if S::FILLS {
                line::exemplar::<true>(text, start, self.parts)
            } else {
                line::exemplar::<false>(text, start, self.parts)
            };
            let read = match read {
                Ok(Some(read)) => read,
                Ok(None) => return,
                Err(fault) => {
                    let place = (offset + fault.offset) as u64;
                    self.verdict.count_reject(RejectCause::ExemplarInvalid, place);
                    return;
                }
            };
            trailer = read.trailer;
            if S::FILLS {
                self.say_exemplar(text, read.value, read.time, sample_time_nanos);
            }
            self.verdict.exemplars += 1;
        }
    }

    fn say_exemplar(
        &mut self,
        text: &[u8],
        value: &[u8],
        time: Option<&[u8]>,
        sample_time_nanos: i64,
    ) {
        let Parts { exemplar_labels, resolved, .. } = &mut *self.parts;
        let texts = Texts { line: text, resolved, of_request: &[] };
        let (mut trace_id, mut span_id) = (None, None);
        // The first of each kind that is an id; what is none stays a label.
        exemplar_labels.retain(|label| {
            let value = texts.resolve(label.value);
            match texts.resolve(label.name) {
                b"trace_id" if trace_id.is_none() => {
                    trace_id = hex::id(value);
                    trace_id.is_none()
                }
                b"span_id" if span_id.is_none() => {
                    span_id = hex::id(value);
                    span_id.is_none()
                }
                _ => true,
            }
        });
        self.sink.exemplar(&Exemplar {
            time_nanos: time.and_then(number::time_nanos).unwrap_or(sample_time_nanos),
            value: number::value(value).map_or(number::NORMAL_NAN, |(value, _)| value),
            trace_id,
            span_id,
            attributes: &Labels { texts, labels: exemplar_labels },
        });
        self.sink.keep();
    }
}

/// Labels as a sink walks them.
struct Labels<'a> {
    texts: Texts<'a>,
    labels: &'a [Label],
}

impl Attributes for Labels<'_> {
    fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
        for label in self.labels {
            let name = Text(self.texts.resolve(label.name));
            visit(name, Value::Text(Text(self.texts.resolve(label.value))));
        }
    }
}
