//! `# TYPE`, `# HELP` and `# UNIT`: one record a family.
//!
//! A family is open from its first such line until a line of another family; its samples keep it open.
//! Where it ends, or the block ends, it is pushed, unless all of it was carried in from the block
//! before, which has pushed it. A family that comes back after another is pushed again.
#![deny(clippy::indexing_slicing)]

use super::line::{skip_blanks, unescape};
use crate::batch::record::{Metadata, MetricType, Text};
use crate::limits;

/// The family that is open.
#[derive(Default)]
pub struct Family<'a> {
    is_open: bool,
    /// Whether a line of this block said something of it.
    is_changed: bool,
    metric_type: MetricTypeWord,
    /// As written, escapes and all.
    help: &'a [u8],
    unit: &'a [u8],
    /// The last line of each kind, whole.
    type_line: &'a [u8],
    unit_line: &'a [u8],
    help_line: &'a [u8],
}

struct MetricTypeWord(MetricType);

impl Default for MetricTypeWord {
    fn default() -> Self {
        Self(MetricType::Unknown)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keyword {
    Help,
    Type,
    Unit,
}

/// What a comment says, if it is one of the three.
struct MetadataLine<'a> {
    keyword: Keyword,
    /// As written, without quotes.
    name: &'a [u8],
    has_escapes: bool,
    rest: &'a [u8],
}

/// Reads the line behind its `#`.
fn read_comment(line: &[u8], start: usize) -> Option<MetadataLine<'_>> {
    let text = line.get(skip_blanks(line, start)..)?;
    let (word, text) = text.split_at_checked(4)?;
    let keyword = match word {
        b"HELP" => Keyword::Help,
        b"TYPE" => Keyword::Type,
        b"UNIT" => Keyword::Unit,
        _ => return None,
    };
    let name_at = skip_blanks(text, 0);
    if name_at == 0 {
        return None;
    }
    let text = text.get(name_at..)?;
    let (name, has_escapes, rest) = match text {
        [b'"', text @ ..] => {
            let mut end = 0;
            loop {
                end += memchr::memchr2(b'"', b'\\', text.get(end..)?)?;
                if text.get(end) == Some(&b'"') {
                    break;
                }
                end += 2;
            }
            let name = text.get(..end)?;
            (name, name.contains(&b'\\'), text.get(end + 1..)?)
        }
        _ => {
            let end = text.iter().position(|byte| matches!(byte, b' ' | b'\t'));
            let (name, rest) = text.split_at(end.unwrap_or(text.len()));
            (name, false, rest)
        }
    };
    let rest = rest.get(skip_blanks(rest, 0)..)?;
    (!name.is_empty()).then_some(MetadataLine { keyword, name, has_escapes, rest })
}

/// Memory for the open family.
#[derive(Default)]
pub struct Memory {
    name: Vec<u8>,
    candidate: Vec<u8>,
    help: Vec<u8>,
}

impl<'a> Family<'a> {
    /// Takes in a comment, which is a line whose first sign stands before `start`. `push` hears of the
    /// family that it ends.
    pub fn comment(
        &mut self,
        line: &'a [u8],
        start: usize,
        memory: &mut Memory,
        push: impl FnOnce(&Metadata<'_>),
    ) {
        let Some(read) = read_comment(line, start) else { return };
        memory.candidate.clear();
        if read.has_escapes {
            unescape(read.name, &mut memory.candidate);
        } else {
            memory.candidate.extend_from_slice(read.name);
        }
        if !self.is_open || memory.candidate != memory.name {
            self.push(memory, push);
            std::mem::swap(&mut memory.name, &mut memory.candidate);
            *self = Self { is_open: true, ..Self::default() };
        }
        let (before, metric_type) = match read.keyword {
            Keyword::Type => (&mut self.type_line, metric_type(read.rest.trim_ascii())),
            Keyword::Unit => (&mut self.unit_line, self.metric_type.0),
            Keyword::Help => (&mut self.help_line, self.metric_type.0),
        };
        // The same again, as when a block begins with a family's lines repeated, says nothing new.
        self.is_changed |= *before != line;
        *before = line;
        self.metric_type.0 = metric_type;
        match read.keyword {
            Keyword::Type => {}
            Keyword::Unit => self.unit = read.rest.trim_ascii(),
            Keyword::Help => self.help = read.rest,
        }
    }

    #[inline]
    pub const fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether a sample of this name is of the open family: of whatever type, as a suffix that its type
    /// does not have only keeps open what would be closed.
    #[inline]
    pub fn owns(&self, name: &[u8], memory: &Memory) -> bool {
        belongs(name, &memory.name)
    }

    /// Ends the family.
    pub fn close(&mut self, memory: &mut Memory, push: impl FnOnce(&Metadata<'_>)) {
        self.push(memory, push);
        *self = Self::default();
    }

    /// What was carried in has been pushed by the block before.
    pub const fn carried(&mut self) {
        self.is_changed = false;
    }

    /// Hands out what this block said of the family.
    pub fn push(&mut self, memory: &mut Memory, push: impl FnOnce(&Metadata<'_>)) {
        if !std::mem::take(&mut self.is_changed) {
            return;
        }
        memory.help.clear();
        unescape(self.help, &mut memory.help);
        push(&Metadata {
            family: Text(&memory.name),
            metric_type: self.metric_type.0,
            unit: Text(self.unit),
            help: Text(&memory.help),
        });
    }

    /// The lines that tell the next block of this family, bounded; help goes first.
    pub fn carry(&self, into: &mut Vec<u8>) {
        into.clear();
        for line in [self.type_line, self.unit_line, self.help_line] {
            if !line.is_empty() && into.len() + line.len() < limits::OPEN_FAMILY_SIZE_MAX {
                into.extend_from_slice(line);
                into.push(b'\n');
            }
        }
    }
}

fn belongs(name: &[u8], family: &[u8]) -> bool {
    match name.strip_prefix(family) {
        None => false,
        Some(suffix) => matches!(
            suffix,
            b"" | b"_total"
                | b"_created"
                | b"_bucket"
                | b"_count"
                | b"_sum"
                | b"_gcount"
                | b"_gsum"
                | b"_info"
        ),
    }
}

fn metric_type(word: &[u8]) -> MetricType {
    match word {
        b"counter" => MetricType::Counter,
        b"gauge" => MetricType::Gauge,
        b"histogram" => MetricType::Histogram,
        b"gaugehistogram" => MetricType::GaugeHistogram,
        b"summary" => MetricType::Summary,
        b"info" => MetricType::Info,
        b"stateset" => MetricType::StateSet,
        _ => MetricType::Unknown,
    }
}
