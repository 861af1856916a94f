//! One line of samples, taken apart.
//!
//! ```text
//! name { label = "value" , "label" = "value" , "name" } value time # { label = "value" } value time
//! └──── series ────────────────────────────────────────┘            └── exemplar, any number ──────┘
//! ```
//!
//! Blanks may stand between any two parts. Strings hold every delimiter, so the closing brace is
//! reached by walking, never searched for. Names without quotes may hold whatever does not delimit:
//! `{` and blanks end a metric's, `=` a label's. Nothing is copied but strings with escapes, and of
//! those only names where nobody wants values.
#![deny(clippy::indexing_slicing)]

use super::scan;
use crate::batch::RejectCause;
use crate::decode::wire::number;
use crate::limits;

/// Why a line is not kept, and where in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineFault {
    pub cause: RejectCause,
    pub offset: usize,
}

type Parse<T> = Result<T, LineFault>;

#[cold]
fn fault<T>(cause: RejectCause, offset: usize) -> Parse<T> {
    Err(LineFault { cause, offset })
}

/// A text, by where it stands: in the line, among the strings whose escapes were resolved, or among
/// the labels of the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    start: u32,
    length: u32,
}

const RESOLVED: u32 = 1 << 30;
const OF_REQUEST: u32 = 1 << 31;
const _: () = assert!(limits::EXPOSITION_LINE_SIZE_MAX < 1 << 30);
const _: () = assert!(limits::REQUEST_FIELDS_SIZE_MAX < 1 << 30);

impl Piece {
    #[inline]
    fn new(start: usize, end: usize, from: u32) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "lines are far below 2^30 bytes")]
        Self { start: start as u32 | from, length: (end - start) as u32 }
    }

    pub fn of_request(start: usize, end: usize) -> Self {
        Self::new(start, end, OF_REQUEST)
    }

    pub const fn is_empty(self) -> bool {
        self.length == 0
    }
}

/// Where pieces stand.
#[derive(Clone, Copy)]
pub struct Texts<'a> {
    pub line: &'a [u8],
    pub resolved: &'a [u8],
    pub of_request: &'a [u8],
}

impl<'a> Texts<'a> {
    #[inline]
    pub fn resolve(self, piece: Piece) -> &'a [u8] {
        let text = match piece.start & (RESOLVED | OF_REQUEST) {
            0 => self.line,
            RESOLVED => self.resolved,
            _ => self.of_request,
        };
        let start = (piece.start & (RESOLVED - 1)) as usize;
        text.get(start..start + piece.length as usize).unwrap_or_default()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    pub name: Piece,
    pub value: Piece,
    /// Where the name stands in the line.
    at: u32,
}

impl Label {
    pub const fn of_request(name: Piece, value: Piece) -> Self {
        Self { name, value, at: u32::MAX }
    }
}

/// Memory for the parts of one line.
#[derive(Default)]
pub struct Parts {
    /// Labels with a name and a value, in the line's order or sorted, see [`parse`].
    pub labels: Vec<Label>,
    pub exemplar_labels: Vec<Label>,
    /// Strings of this line without their escapes.
    pub resolved: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    pub name: Piece,
    /// Name and labels as they stand.
    pub series: &'a [u8],
    pub value: &'a [u8],
    pub time: Option<&'a [u8]>,
    /// Behind the first `#` that follows.
    pub trailer: Option<usize>,
}

/// An exemplar but for its labels, which are in [`Parts::exemplar_labels`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExemplarPart<'a> {
    pub value: &'a [u8],
    pub time: Option<&'a [u8]>,
    /// Behind the `#` that follows it.
    pub trailer: Option<usize>,
}

/// Takes a line apart that is neither blank nor a comment. With `FILLS` the labels are sorted and
/// escapes in values resolved; without, [`Parts::labels`] may be left empty. Refused is the same either
/// way.
#[inline]
pub fn parse<'a, const FILLS: bool>(line: &'a [u8], parts: &mut Parts) -> Parse<Line<'a>> {
    parts.labels.clear();
    parts.resolved.clear();
    let start = skip_blanks(line, 0);
    let rest = line.get(start..).unwrap_or_default();
    let name_end = start + memchr::memchr3(b'{', b' ', b'\t', rest).unwrap_or(rest.len());
    // Most lines, where nobody wants their values, end here.
    if !FILLS
        && name_end > start
        && line.get(name_end) == Some(&b'{')
        && let Some(series_end) = scan::labels(line, name_end + 1)
    {
        let Tail { value, time, trailer } = Tail::read(line, series_end)?;
        let series = line.get(start..series_end).unwrap_or_default();
        return Ok(Line { name: Piece::new(start, name_end, 0), series, value, time, trailer });
    }
    let mut list = List {
        line,
        labels: &mut parts.labels,
        resolved: &mut parts.resolved,
        name: Piece::new(start, name_end, 0),
        has_name: name_end > start,
        order: Order::default(),
    };
    let mut series_end = name_end;
    let open = skip_blanks(line, name_end);
    if line.get(open) == Some(&b'{') {
        series_end = list.read::<FILLS>(open + 1)?;
    }
    if !list.has_name {
        return fault(RejectCause::NameMissing, start);
    }
    let (name, ascends) = (list.name, list.order.ascends);
    let tail = Tail::read(line, series_end)?;
    if !ascends {
        unique::<FILLS>(line, parts)?;
    }
    let series = line.get(start..series_end).unwrap_or_default();
    Ok(Line { name, series, value: tail.value, time: tail.time, trailer: tail.trailer })
}

/// Reads the exemplar that begins at `start`, behind a `#`. `None` where a comment stands instead.
pub fn exemplar<'a, const FILLS: bool>(
    line: &'a [u8],
    start: usize,
    parts: &mut Parts,
) -> Parse<Option<ExemplarPart<'a>>> {
    let open = skip_blanks(line, start);
    if line.get(open) != Some(&b'{') {
        return Ok(None);
    }
    parts.exemplar_labels.clear();
    let mut list = List {
        line,
        labels: &mut parts.exemplar_labels,
        resolved: &mut parts.resolved,
        name: Piece::default(),
        has_name: false,
        order: Order::default(),
    };
    let end = list.read::<FILLS>(open + 1)?;
    if list.has_name {
        return fault(RejectCause::NameRepeated, open);
    }
    let tail = Tail::read(line, end)?;
    Ok(Some(ExemplarPart { value: tail.value, time: tail.time, trailer: tail.trailer }))
}

/// What stands behind the labels.
struct Tail<'a> {
    value: &'a [u8],
    time: Option<&'a [u8]>,
    trailer: Option<usize>,
}

impl<'a> Tail<'a> {
    #[inline]
    fn read(line: &'a [u8], start: usize) -> Parse<Self> {
        let is_token = |byte| !matches!(byte, b' ' | b'\t' | b'#');
        let start = skip_blanks(line, start);
        let end = start + count(line, start, is_token);
        let value = line.get(start..end).unwrap_or_default();
        if !number::is_number(value) {
            let is_missing = value.is_empty();
            let cause =
                if is_missing { RejectCause::ValueMissing } else { RejectCause::ValueNotANumber };
            return fault(cause, start);
        }
        let start = skip_blanks(line, end);
        let end = start + count(line, start, is_token);
        let mut time = None;
        if end > start {
            let text = line.get(start..end).unwrap_or_default();
            if !number::is_time(text) {
                return fault(RejectCause::TimeNotANumber, start);
            }
            time = Some(text);
        }
        let start = skip_blanks(line, end);
        match line.get(start) {
            None => Ok(Self { value, time, trailer: None }),
            Some(b'#') => Ok(Self { value, time, trailer: Some(start + 1) }),
            Some(_) => fault(RejectCause::TextBehindTime, start),
        }
    }
}

/// A list of labels, up to its brace.
struct List<'a, 'p> {
    line: &'a [u8],
    labels: &'p mut Vec<Label>,
    resolved: &'p mut Vec<u8>,
    name: Piece,
    has_name: bool,
    order: Order,
}

impl List<'_, '_> {
    /// Reads on behind the opening brace and answers with the place behind the closing one.
    #[inline]
    fn read<const FILLS: bool>(&mut self, start: usize) -> Parse<usize> {
        let line = self.line;
        let mut at = start;
        loop {
            at = skip_blanks(line, at);
            let name_at = at;
            let name;
            match line.get(at) {
                Some(b'}') => return Ok(at + 1),
                Some(b'"') => {
                    (name, at) = self.string::<true>(at)?;
                    at = skip_blanks(line, at);
                    if line.get(at) != Some(&b'=') {
                        self.take_name(name, name_at)?;
                        match self.behind_item(at)? {
                            (at, true) => return Ok(at),
                            (next, false) => at = next,
                        }
                        continue;
                    }
                }
                Some(_) => (name, at) = self.plain_name(at)?,
                None => return fault(RejectCause::BraceMissing, at),
            }
            // At the equals sign.
            at = skip_blanks(line, at + 1);
            if line.get(at) != Some(&b'"') {
                return fault(RejectCause::QuoteMissing, at);
            }
            let value;
            (value, at) = self.string::<FILLS>(at)?;
            self.push(name, name_at, value)?;
            match self.behind_item(at)? {
                (at, true) => return Ok(at),
                (next, false) => at = next,
            }
        }
    }

    /// A name up to its equals sign, where it leaves off.
    #[inline]
    fn plain_name(&self, start: usize) -> Parse<(Piece, usize)> {
        let line = self.line;
        let mut end = start + count(line, start, is_plain);
        if line.get(end) == Some(&b'=') {
            return Ok((Piece::new(start, end, 0), end));
        }
        // Odd characters, blanks inside, or no equals sign at all.
        let stop =
            start + count(line, start, |byte| !matches!(byte, b'=' | b'"' | b',' | b'{' | b'}'));
        match line.get(stop) {
            Some(b'=') => {}
            None => return fault(RejectCause::BraceMissing, stop),
            Some(_) => return fault(RejectCause::QuoteMissing, stop),
        }
        end = stop;
        while end > start && matches!(line.get(end - 1), Some(b' ' | b'\t')) {
            end -= 1;
        }
        Ok((Piece::new(start, end, 0), stop))
    }

    /// A quoted string whose opening quote is at `start`; answers with the place behind its closing
    /// one. Unless resolved, a string with escapes is only known not to be empty.
    #[inline]
    fn string<const RESOLVES: bool>(&mut self, start: usize) -> Parse<(Piece, usize)> {
        let line = self.line;
        let end = start + 1 + count(line, start + 1, |byte| !matches!(byte, b'"' | b'\\'));
        match line.get(end) {
            Some(b'"') => Ok((Piece::new(start + 1, end, 0), end + 1)),
            Some(_) => self.string_with_escapes::<RESOLVES>(start, end),
            None => fault(RejectCause::QuoteUnclosed, start),
        }
    }

    /// Likewise, with the first backslash at `escape`.
    #[inline(never)]
    fn string_with_escapes<const RESOLVES: bool>(
        &mut self,
        start: usize,
        escape: usize,
    ) -> Parse<(Piece, usize)> {
        let mut at = escape;
        loop {
            let rest = self.line.get(at..).unwrap_or_default();
            match memchr::memchr2(b'"', b'\\', rest) {
                None => return fault(RejectCause::QuoteUnclosed, start),
                Some(place) if rest.get(place) == Some(&b'"') => {
                    at += place;
                    break;
                }
                Some(place) => at += place + 2,
            }
        }
        let piece = if RESOLVES {
            let from = self.resolved.len();
            unescape(self.line.get(start + 1..at).unwrap_or_default(), self.resolved);
            Piece::new(from, self.resolved.len(), RESOLVED)
        } else {
            Piece::new(start + 1, at, 0)
        };
        Ok((piece, at + 1))
    }

    /// A comma, or the end of the list, which is told by `true`.
    #[inline]
    fn behind_item(&self, at: usize) -> Parse<(usize, bool)> {
        let at = skip_blanks(self.line, at);
        match self.line.get(at) {
            Some(b',') => Ok((at + 1, false)),
            Some(b'}') => Ok((at + 1, true)),
            None => fault(RejectCause::BraceMissing, at),
            Some(_) => fault(RejectCause::CommaMissing, at),
        }
    }

    fn take_name(&mut self, name: Piece, at: usize) -> Parse<()> {
        if self.has_name {
            return fault(RejectCause::NameRepeated, at);
        }
        if name.is_empty() {
            return fault(RejectCause::NameMissing, at);
        }
        (self.name, self.has_name) = (name, true);
        Ok(())
    }

    #[inline]
    fn push(&mut self, name: Piece, at: usize, value: Piece) -> Parse<()> {
        // Absent, either way.
        if name.is_empty() || value.is_empty() {
            return Ok(());
        }
        let texts = Texts { line: self.line, resolved: self.resolved, of_request: &[] };
        let text = texts.resolve(name);
        if text == b"__name__" {
            return self.take_name_label(value, at);
        }
        if self.labels.len() >= limits::LABEL_COUNT_MAX {
            return fault(RejectCause::OverLimit, at);
        }
        self.order.add(texts, name, text);
        #[expect(clippy::cast_possible_truncation, reason = "lines are far below 2^32 bytes")]
        self.labels.push(Label { name, value, at: at as u32 });
        Ok(())
    }

    /// `__name__="…"`. The value's escapes must be resolved although values of labels may not be:
    /// whose family it is depends on the name.
    #[cold]
    fn take_name_label(&mut self, value: Piece, at: usize) -> Parse<()> {
        let on_line = Texts { line: self.line, resolved: &[], of_request: &[] };
        let text = on_line.resolve(value);
        let name = if value.start < RESOLVED && text.contains(&b'\\') {
            let from = self.resolved.len();
            unescape(text, self.resolved);
            Piece::new(from, self.resolved.len(), RESOLVED)
        } else {
            value
        };
        self.take_name(name, at)
    }
}

/// Whether names ascend so far: then none is repeated, and there is nothing to sort.
struct Order {
    ascends: bool,
    prefix: u64,
    name: Piece,
}

impl Default for Order {
    fn default() -> Self {
        Self { ascends: true, prefix: 0, name: Piece::default() }
    }
}

impl Order {
    #[inline]
    fn add(&mut self, texts: Texts<'_>, piece: Piece, name: &[u8]) {
        let prefix = prefix(name);
        self.ascends &= match self.prefix.cmp(&prefix) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Equal => texts.resolve(self.name) < name,
            std::cmp::Ordering::Greater => false,
        };
        (self.prefix, self.name) = (prefix, piece);
    }
}

/// The first eight bytes in an order that is the text's own.
#[inline]
fn prefix(name: &[u8]) -> u64 {
    if let Some(first) = name.first_chunk::<8>() {
        return u64::from_be_bytes(*first);
    }
    let mut first = [0; 8];
    for (place, &byte) in first.iter_mut().zip(name) {
        *place = byte;
    }
    u64::from_be_bytes(first)
}

/// Few enough to be compared with each other.
const COMPARED_COUNT_MAX: usize = 32;

/// Refuses labels of the same name where they do not ascend, at the first that repeats another.
fn unique<const FILLS: bool>(line: &[u8], parts: &mut Parts) -> Parse<()> {
    let texts = Texts { line, resolved: &parts.resolved, of_request: &[] };
    let labels = &mut parts.labels;
    if !FILLS && labels.len() <= COMPARED_COUNT_MAX {
        let mut prefixes = [0; COMPARED_COUNT_MAX];
        for (index, label) in labels.iter().enumerate() {
            let name = texts.resolve(label.name);
            let own = prefix(name);
            let before = prefixes.get(..index).unwrap_or_default();
            if before.contains(&own)
                && labels.iter().take(index).any(|other| texts.resolve(other.name) == name)
            {
                return fault(RejectCause::LabelRepeated, label.at as usize);
            }
            if let Some(place) = prefixes.get_mut(index) {
                *place = own;
            }
        }
        return Ok(());
    }
    labels.sort_unstable_by_key(|label| (texts.resolve(label.name), label.at));
    let repeated = labels.windows(2).filter_map(|two| match two {
        [left, right] if texts.resolve(left.name) == texts.resolve(right.name) => Some(right.at),
        _ => None,
    });
    match repeated.min() {
        Some(at) => fault(RejectCause::LabelRepeated, at as usize),
        None => Ok(()),
    }
}

/// Appends a string without its escapes: `\\`, `\"` and `\n`. A backslash before anything else stands
/// for itself, as in `domain\user`.
pub fn unescape(text: &[u8], into: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(place) = memchr::memchr(b'\\', rest) {
        let (plain, escaped) = rest.split_at_checked(place).unwrap_or((rest, &[]));
        into.extend_from_slice(plain);
        rest = match escaped {
            [b'\\', b'n', rest @ ..] => {
                into.push(b'\n');
                rest
            }
            [b'\\', byte @ (b'\\' | b'"'), rest @ ..] => {
                into.push(*byte);
                rest
            }
            [byte, rest @ ..] => {
                into.push(*byte);
                rest
            }
            [] => &[],
        };
    }
    into.extend_from_slice(rest);
}

const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[inline]
pub fn skip_blanks(line: &[u8], at: usize) -> usize {
    at + count(line, at, |byte| matches!(byte, b' ' | b'\t'))
}

/// How many bytes from `start` on are of a kind.
#[inline(always)]
fn count(line: &[u8], start: usize, is: impl Fn(u8) -> bool) -> usize {
    let rest = line.get(start..).unwrap_or_default();
    rest.iter().position(|&byte| !is(byte)).unwrap_or(rest.len())
}
