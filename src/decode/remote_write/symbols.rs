//! The table of symbols of remote write 2.0, and label pairs that are references into it.
//!
//! Place: under `v2`. The table stays on the wire; what is kept of a symbol is where it stands and its
//! first eight bytes as a number. So names are put in order without a look at their text, and a
//! series' check touches the table once for each name and, as a rule, never for a value:
//!
//! ```text
//! wire     22 00 │ 22 08 __name__ │ 22 02 up │ …        symbols, anywhere in the request
//! table    (prefix, start, size) …                      one of 16 bytes each
//! refs     1 2 │ 3 17 │ …                               name and value, in one packed run as a rule
//! ```
//!
//! All symbols that stand together are checked for UTF-8 together. References mean nothing outside
//! their request.
#![deny(clippy::indexing_slicing)]

use super::labels::{METRIC_NAME, METRIC_NAME_PREFIX, check_text, hex_id, is_ascii, prefix_within};
use crate::batch::record::{Attributes, Text, Value};
use crate::decode::wire::protobuf::{Known, LENGTH, Reader, VARINT, WireError, tag};
use crate::decode::{DecodeError, Fault};
use crate::limits;

/// `TimeSeries.labels_refs` and `Exemplar.labels_refs`, as one run and as single numbers.
pub const PACKED_REFS: u32 = tag(1, LENGTH);
pub const SINGLE_REF: u32 = tag(1, VARINT);

const SYMBOL: u32 = tag(4, LENGTH);

/// Symbols whose memory is kept from body to body: what a body that is decoded on a shard has, if its
/// symbols are no shorter than their place in the table.
const SYMBOL_COUNT_KEPT: usize = limits::LARGE_BODY / size_of::<Symbol>();
const _: () = assert!(
    limits::SYMBOL_COUNT_MAX * size_of::<Symbol>() <= limits::REMOTE_WRITE_SIZE_MAX,
    "the table is no larger than the payload it is read from"
);

/// A symbol by its place in the payload.
#[derive(Clone, Copy)]
struct Symbol {
    prefix: u64,
    start: u32,
    size: u32,
}

/// The table's memory.
#[derive(Default)]
pub struct Table {
    symbols: Vec<Symbol>,
    /// A symbol beside the first is empty, so that a value's number does not tell whether it is.
    any_empty: bool,
    /// Of the longest symbol.
    size_max: u32,
}

impl Table {
    pub fn clear(&mut self) {
        self.symbols.clear();
        self.symbols.shrink_to(SYMBOL_COUNT_KEPT);
        self.any_empty = false;
        self.size_max = 0;
    }

    /// Reads the symbols that stand one after another at the place of `request`, and leaves it behind
    /// them.
    pub fn read_run(&mut self, request: &mut Reader<'_>) -> Result<(), DecodeError> {
        let start = *request;
        let first = self.symbols.len();
        self.read_plain(request);
        while let [0x22, ..] = request.rest() {
            let mut ahead = *request;
            ahead.tag()?;
            let text = ahead.message().map_err(|error| self.in_symbol(error))?;
            let size = text.rest().len() + ahead.rest().len();
            let from_text = request.rest().get(request.rest().len() - size..).unwrap_or_default();
            self.push(text, from_text)?;
            request.continue_at(ahead.rest());
        }
        let size = start.rest().len() - request.rest().len();
        // Tags are ASCII, and so are lengths below 128.
        if is_ascii(start.rest().get(..size).unwrap_or_default()) {
            return Ok(());
        }
        Self::check_one_by_one(start, request.rest().len(), first)
    }

    /// Passes over symbols as every sender writes them: the empty one first, then others shorter than 128
    /// bytes. Stops in front of anything else.
    #[inline(always)]
    fn read_plain(&mut self, request: &mut Reader<'_>) {
        let mut rest = request.rest();
        let end = request.offset() + rest.len() as u64;
        let mut count = self.symbols.len();
        while let [0x22, length @ 0..0x80, from_text @ ..] = rest
            && (*length == 0) == (count == 0)
            && count < limits::SYMBOL_COUNT_MAX
        {
            let (Some((text, behind)), Ok(start)) = (
                from_text.split_at_checked(usize::from(*length)),
                u32::try_from(end - from_text.len() as u64),
            ) else {
                break;
            };
            let prefix = if count == 0 { 0 } else { prefix_within(from_text, text) };
            self.size_max = self.size_max.max(u32::from(*length));
            self.symbols.push(Symbol { prefix, start, size: u32::from(*length) });
            count += 1;
            rest = behind;
        }
        request.continue_at(rest);
    }

    /// A symbol whose tag is written in a longer form than need be.
    #[cold]
    pub fn read_one(&mut self, text: Reader<'_>) -> Result<(), DecodeError> {
        check_text(&text).map_err(|error| self.in_symbol(error))?;
        self.push(text, text.rest())
    }

    /// `from_text`: the request from the symbol's text on, so that one load can take its prefix.
    #[inline]
    fn push(&mut self, text: Reader<'_>, from_text: &[u8]) -> Result<(), DecodeError> {
        let count = self.symbols.len();
        let bytes = text.rest();
        let (Ok(start), Ok(size)) = (u32::try_from(text.offset()), u32::try_from(bytes.len()))
        else {
            return Err(self.in_symbol(text.fault(Fault::SymbolCountOverLimit)));
        };
        if count >= limits::SYMBOL_COUNT_MAX {
            return Err(self.in_symbol(text.fault(Fault::SymbolCountOverLimit)));
        }
        if bytes.is_empty() {
            self.any_empty |= count > 0;
        } else if count == 0 {
            return Err(self.in_symbol(text.fault(Fault::SymbolZeroNotEmpty)));
        }
        self.size_max = self.size_max.max(size);
        let prefix = if bytes.is_empty() { 0 } else { prefix_within(from_text, bytes) };
        self.symbols.push(Symbol { prefix, start, size });
        Ok(())
    }

    #[cold]
    fn in_symbol(&self, error: WireError) -> DecodeError {
        let index = u32::try_from(self.symbols.len()).unwrap_or(u32::MAX);
        DecodeError::from(error).within("symbols", Some(index))
    }

    #[inline(never)]
    fn check_one_by_one(mut run: Reader<'_>, left: usize, first: usize) -> Result<(), DecodeError> {
        let mut index = u32::try_from(first).unwrap_or(u32::MAX);
        while run.rest().len() > left && run.tag()? == Some(SYMBOL) {
            check_text(&run.message()?)
                .map_err(|error| DecodeError::from(error).within("symbols", Some(index)))?;
            index = index.saturating_add(1);
        }
        Ok(())
    }

    pub fn symbols<'s>(&'s self, payload: &'s [u8]) -> Symbols<'s> {
        let Self { ref symbols, any_empty, size_max } = *self;
        Symbols { payload, symbols, any_empty, size_max }
    }
}

/// The symbols of a request that were read.
#[derive(Clone, Copy)]
pub struct Symbols<'s> {
    payload: &'s [u8],
    symbols: &'s [Symbol],
    any_empty: bool,
    /// Of the longest symbol.
    pub size_max: u32,
}

impl<'s> Symbols<'s> {
    #[inline]
    fn find(&self, reference: u32) -> Option<&'s Symbol> {
        self.symbols.get(reference as usize)
    }

    #[inline]
    fn bytes(&self, symbol: &Symbol) -> &'s [u8] {
        let start = symbol.start as usize;
        self.payload.get(start..start + symbol.size as usize).unwrap_or_default()
    }

    /// The text of a reference that was checked.
    #[inline]
    pub fn text(&self, reference: u32) -> Text<'s> {
        Text(self.find(reference).map(|symbol| self.bytes(symbol)).unwrap_or_default())
    }

    /// Whether a reference lies within the table.
    #[inline]
    pub const fn holds(&self, reference: u32) -> bool {
        (reference as usize) < self.symbols.len()
    }

    #[inline]
    fn is_empty(&self, reference: u32) -> bool {
        reference == 0
            || self.any_empty && self.find(reference).is_some_and(|symbol| symbol.size == 0)
    }

    /// Checks one packed run of label pairs, which are all of a series' labels. A fault of the body is
    /// an error; whether the names are in order, and the rest, is in the answer. `names` are those of
    /// the series before: as far as they come again, only the values are looked at.
    #[inline]
    pub fn check_run(&self, run: Reader<'_>, names: &mut Names) -> Result<Checked, DecodeError> {
        let mut refs = run;
        let mut checked = Checked::default();
        if !self.any_empty {
            self.check_known(&mut refs, names, &mut checked);
        }
        while let Some(name) =
            names.refs.get(..names.count).and_then(|refs| refs.get(checked.count as usize))
        {
            let mut ahead = refs;
            let (Ok(name_ref), Ok(value_ref)) = (ahead.uint32(), ahead.uint32()) else { break };
            if name_ref != *name || !self.holds(value_ref) || self.is_empty(value_ref) {
                break;
            }
            if checked.count == names.metric_name {
                checked.metric_name = value_ref;
            }
            checked.count += 1;
            refs = ahead;
        }
        names.count = checked.count as usize;
        if checked.count <= names.metric_name {
            // Another name may come to stand there.
            names.metric_name = u32::MAX;
        }
        if !refs.is_empty() {
            self.check_rest(run, refs, names, &mut checked)?;
        }
        Ok(checked)
    }

    /// Passes over pairs that every sender writes: a name below 128 that stood here in the series before,
    /// and a value of up to three bytes, all of it in one load that may reach behind the run. Stops in front of
    /// anything else. No value is empty unless it is number 0.
    #[inline(always)]
    fn check_known(&self, refs: &mut Reader<'_>, names: &Names, checked: &mut Checked) {
        let run = refs.rest();
        // What a load reaches behind the run is never looked at: the pair has to end within it.
        let from_run = self.payload.get(limits::size(refs.offset())..).unwrap_or_default();
        let highest = u32::try_from(self.symbols.len()).unwrap_or(u32::MAX).saturating_sub(1);
        let mut at = 0;
        let mut count = 0;
        for &name in names.refs.get(..names.count).unwrap_or_default() {
            let Some(pair) = from_run.get(at..).and_then(<[u8]>::first_chunk::<4>) else { break };
            let pair = u32::from_le_bytes(*pair);
            let value = pair >> 8;
            let stops = !value & 0x0080_8080;
            let end = at + 1 + (stops.trailing_zeros() as usize).div_ceil(8);
            let groups = value & (stops ^ stops.wrapping_sub(1)) & 0x007f_7f7f;
            let value = groups & 0x7f | (groups & 0x7f00) >> 1 | (groups & 0x007f_0000) >> 2;
            // A first byte with its high bit set is a name's of more bytes.
            let is_known = pair & 0xff == name && pair & 0x80 == 0;
            let is_value = stops != 0 && end <= run.len() && value.wrapping_sub(1) < highest;
            if !is_known || !is_value {
                break;
            }
            if count == names.metric_name {
                checked.metric_name = value;
            }
            count += 1;
            at = end;
        }
        checked.count = count;
        if let Some(rest) = run.get(at..) {
            refs.continue_at(rest);
        }
    }

    /// The label pairs from `refs` on, behind those whose names were known.
    fn check_rest(
        &self,
        run: Reader<'_>,
        mut refs: Reader<'_>,
        names: &mut Names,
        checked: &mut Checked,
    ) -> Result<(), DecodeError> {
        const NONE: Symbol = Symbol { prefix: 0, start: 0, size: 0 };
        let last = names.count.checked_sub(1).and_then(|last| names.refs.get(last));
        let mut previous = last.and_then(|&last| self.find(last)).copied().unwrap_or(NONE);
        let mut is_known = true;
        while !refs.is_empty() {
            let at = refs;
            let name_ref = refs.uint32().map_err(|error| in_refs(error, 2 * checked.count))?;
            let value_at = refs;
            if refs.is_empty() {
                return Err(odd(&run));
            }
            let value_ref = refs.uint32().map_err(|error| in_refs(error, 2 * checked.count + 1))?;
            let Some(name) = self.find(name_ref) else {
                return Err(past_end(&at, 2 * checked.count));
            };
            if !self.holds(value_ref) {
                return Err(past_end(&value_at, 2 * checked.count + 1));
            }
            checked.count += 1;
            if name.size == 0 {
                checked.empty_name = true;
                is_known = false;
                continue;
            }
            if self.is_empty(value_ref) {
                is_known = false;
                continue;
            }
            if name.prefix <= previous.prefix
                && (name.prefix < previous.prefix || self.bytes(name) <= self.bytes(&previous))
            {
                checked.unordered = true;
                is_known = false;
            }
            let is_metric_name =
                name.prefix == METRIC_NAME_PREFIX && name.size as usize == METRIC_NAME.len();
            if is_metric_name {
                checked.metric_name = value_ref;
            }
            if is_known && let Some(slot) = names.refs.get_mut(names.count) {
                *slot = name_ref;
                if is_metric_name {
                    names.metric_name = checked.count - 1;
                }
                names.count += 1;
            } else {
                is_known = false;
            }
            previous = *name;
        }
        Ok(())
    }

    /// Checks label references in whatever form they stand in `message`, and gives the pairs that have
    /// a value to `pair`.
    pub fn check_scattered(
        &self,
        message: Reader<'_>,
        mut pair: impl FnMut(u32, u32),
    ) -> Result<Checked, DecodeError> {
        let mut checked = Checked::default();
        let mut refs = Refs::of(message);
        let mut index = 0;
        while let Some((name, at)) = refs.next().map_err(|error| in_refs(error, index))? {
            if !self.holds(name) {
                return Err(past_end(&at, index));
            }
            let Some((value, at)) = refs.next().map_err(|error| in_refs(error, index + 1))? else {
                return Err(odd(&message));
            };
            if !self.holds(value) {
                return Err(past_end(&at, index + 1));
            }
            index = index.saturating_add(2);
            checked.count = checked.count.saturating_add(1);
            checked.empty_name |= self.is_empty(name);
            if !self.is_empty(value) {
                pair(name, value);
            }
        }
        Ok(checked)
    }
}

/// Names of labels as one series has them: references in strict order, each with a value. The next
/// series of a metric has the same as a rule.
pub struct Names {
    refs: [u32; Self::COUNT_MAX],
    count: usize,
    /// The place of `__name__`, if it is below `count`.
    metric_name: u32,
}

impl Names {
    const COUNT_MAX: usize = 32;

    pub const fn new() -> Self {
        Self { refs: [0; Self::COUNT_MAX], count: 0, metric_name: u32::MAX }
    }
}

/// What a walk over a series' label references found; the references themselves are good.
#[derive(Clone, Copy, Default)]
pub struct Checked {
    /// Pairs, those without a value among them.
    pub count: u32,
    /// The reference of the value of `__name__`; 0, which is empty, if there is none.
    pub metric_name: u32,
    pub empty_name: bool,
    /// Names that have a value do not ascend strictly.
    pub unordered: bool,
}

#[cold]
fn in_refs(error: WireError, index: u32) -> DecodeError {
    DecodeError::from(error).within("labels_refs", Some(index))
}

#[cold]
fn past_end(at: &Reader<'_>, index: u32) -> DecodeError {
    in_refs(at.fault(Fault::SymbolRefPastEnd), index)
}

#[cold]
fn odd(run: &Reader<'_>) -> DecodeError {
    DecodeError::from(run.fault(Fault::LabelRefsOdd)).within("labels_refs", None)
}

/// The references of one message in wire order: single numbers, packed runs, or both.
#[derive(Clone, Copy)]
struct Refs<'a> {
    message: Reader<'a>,
    run: Reader<'a>,
}

impl<'a> Refs<'a> {
    const fn of(message: Reader<'a>) -> Self {
        Self { message, run: Reader::new(&[]) }
    }

    /// The next reference and where it stands.
    fn next(&mut self) -> Result<Option<(u32, Reader<'a>)>, WireError> {
        loop {
            if !self.run.is_empty() {
                let at = self.run;
                return Ok(Some((self.run.uint32()?, at)));
            }
            match self.message.tag()? {
                None => return Ok(None),
                Some(PACKED_REFS) => self.run = self.message.message()?,
                Some(SINGLE_REF) => {
                    let at = self.message;
                    return Ok(Some((self.message.uint32()?, at)));
                }
                Some(other) => self.message.skip(other, Known::fields(&[]))?,
            }
        }
    }
}

/// Labels in order in one packed run that was checked, without `__name__`.
#[derive(Clone, Copy)]
pub struct Ordered<'s> {
    pub symbols: Symbols<'s>,
    pub run: Reader<'s>,
}

impl Attributes for Ordered<'_> {
    fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
        let mut run = self.run;
        while let (Ok(name), Ok(value)) = (run.uint32(), run.uint32()) {
            let (name, value) = (self.symbols.text(name), self.symbols.text(value));
            if name.0 != METRIC_NAME && !value.is_empty() {
                visit(name, Value::Text(value));
            }
        }
    }
}

/// Ids that an exemplar's labels hold, and which of its labels they were.
#[derive(Clone, Copy, Default)]
pub struct ExemplarIds {
    pub trace_id: Option<[u8; 16]>,
    pub span_id: Option<[u8; 8]>,
    names: [Option<u32>; 2],
}

impl ExemplarIds {
    /// Looks at one label that has a value; `place` counts those. As in 1.0, the first `trace_id` and
    /// `span_id` that are ids in hex are taken out; what is not an id stays a label.
    pub fn read_label(&mut self, place: u32, name: Text<'_>, value: Text<'_>) {
        let [trace_place, span_place] = &mut self.names;
        match name.0 {
            b"trace_id" if self.trace_id.is_none() => {
                self.trace_id = hex_id(value.0);
                *trace_place = self.trace_id.map(|_| place);
            }
            b"span_id" if self.span_id.is_none() => {
                self.span_id = hex_id(value.0);
                *span_place = self.span_id.map(|_| place);
            }
            _ => {}
        }
    }
}

/// An exemplar's labels in wire order, without those that became ids.
#[derive(Clone, Copy)]
pub struct OfExemplar<'s> {
    pub symbols: Symbols<'s>,
    pub message: Reader<'s>,
    pub ids: ExemplarIds,
}

impl Attributes for OfExemplar<'_> {
    fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
        let mut place = 0;
        // What is walked here was checked before.
        let _ = self.symbols.check_scattered(self.message, |name, value| {
            if !self.ids.names.contains(&Some(place)) {
                visit(self.symbols.text(name), Value::Text(self.symbols.text(value)));
            }
            place += 1;
        });
    }
}
