//! One span where it stands, in either of its two forms.
#![deny(clippy::indexing_slicing)]

use crate::decode::wire::msgpack::{Kind, ReadError, Reader};
use crate::decode::{DecodeError, Fault};
use crate::limits;

/// How the spans of a body are written.
#[derive(Clone, Copy)]
pub enum Form<'a> {
    /// v0.3, v0.4, v0.7: a map of names to fields.
    Map,
    /// v0.5: twelve fields; texts are references.
    Array(Dictionary<'a>),
}

impl<'a> Form<'a> {
    /// The next text; nil is none.
    #[inline]
    fn text(self, body: &mut Reader<'a>) -> Result<&'a [u8], ReadError> {
        match self {
            Self::Map => InPlace.text(body),
            Self::Array(dictionary) => dictionary.text(body),
        }
    }
}

/// How the texts of a span are written.
trait Texts<'a>: Copy {
    /// Whether a text costs a byte or three in the body, whatever its length in columns.
    const ARE_SHARED: bool;

    /// The next text; nil is none.
    fn text(self, body: &mut Reader<'a>) -> Result<&'a [u8], ReadError>;

    /// The size of the next text, which nobody looks at.
    fn size(self, body: &mut Reader<'a>) -> Result<usize, ReadError>;
}

/// Texts stand where they belong.
#[derive(Clone, Copy)]
struct InPlace;

impl<'a> Texts<'a> for InPlace {
    const ARE_SHARED: bool = false;

    #[inline]
    fn text(self, body: &mut Reader<'a>) -> Result<&'a [u8], ReadError> {
        super::optional_text(body)
    }

    #[inline]
    fn size(self, body: &mut Reader<'a>) -> Result<usize, ReadError> {
        super::optional_text(body).map(<[u8]>::len)
    }
}

/// Texts are references: where each begins in `payload`, and its size.
#[derive(Clone, Copy)]
pub struct Dictionary<'a> {
    pub payload: &'a [u8],
    pub texts: &'a [(u32, u32)],
}

impl<'a> Dictionary<'a> {
    /// Where the next text begins in the payload, and its size.
    #[inline(always)]
    fn find(self, body: &mut Reader<'a>) -> Result<(usize, usize), ReadError> {
        let mut ahead = *body;
        let text = ahead.take_small().and_then(|place| self.texts.get(place));
        let Some(&(start, size)) = text else { return self.find_unusual(body) };
        *body = ahead;
        Ok((limits::size(u64::from(start)), limits::size(u64::from(size))))
    }

    /// A wide reference, one past the end, or text in its place.
    #[cold]
    fn find_unusual(self, body: &mut Reader<'a>) -> Result<(usize, usize), ReadError> {
        let at = body.place();
        let Some(place) = body.reference()? else {
            let text = super::optional_text(body)?;
            return Ok((body.place() - text.len(), text.len()));
        };
        match usize::try_from(place).ok().and_then(|place| self.texts.get(place)) {
            Some(&(start, size)) => {
                Ok((limits::size(u64::from(start)), limits::size(u64::from(size))))
            }
            None => Err(ReadError { fault: Fault::DatadogTextPastEnd, at }),
        }
    }
}

impl<'a> Texts<'a> for Dictionary<'a> {
    const ARE_SHARED: bool = true;

    #[inline(always)]
    fn text(self, body: &mut Reader<'a>) -> Result<&'a [u8], ReadError> {
        let (start, size) = self.find(body)?;
        Ok(self.payload.get(start..start + size).unwrap_or_default())
    }

    #[inline(always)]
    fn size(self, body: &mut Reader<'a>) -> Result<usize, ReadError> {
        self.find(body).map(|(_, size)| size)
    }
}

/// Fields of a span. What has members is where it stands, checked.
#[derive(Clone, Copy, Default)]
pub struct RawSpan<'a> {
    pub service: &'a [u8],
    pub name: &'a [u8],
    pub resource: &'a [u8],
    pub kind: &'a [u8],
    pub trace_id: u64,
    pub span_id: u64,
    pub parent_id: u64,
    pub start: i64,
    pub duration: i64,
    pub error: i64,
    pub meta: Option<Reader<'a>>,
    pub metrics: Option<Reader<'a>>,
    pub meta_struct: Option<Reader<'a>>,
    pub links: Option<Reader<'a>>,
    pub events: Option<Reader<'a>>,
    /// What the span takes in columns beyond its own bytes, in values of eight bytes.
    pub weight: u64,
}

impl<'a> RawSpan<'a> {
    /// The next span; none for a nil in its place. All that it holds is checked.
    #[inline]
    pub fn read(body: &mut Reader<'a>, form: Form<'a>) -> Result<Option<Self>, DecodeError> {
        if body.take_nil() {
            return Ok(None);
        }
        match form {
            Form::Map => Self::read_map(body).map(Some),
            Form::Array(texts) => Self::read_array(body, texts).map(Some),
        }
    }

    fn read_map(body: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut span = Self::default();
        for _ in 0..body.map()? {
            let key = body.text()?;
            let read = match key {
                b"service" => InPlace.text(body).map(|text| span.service = text),
                b"name" => InPlace.text(body).map(|text| span.name = text),
                b"resource" => InPlace.text(body).map(|text| span.resource = text),
                b"type" => InPlace.text(body).map(|text| span.kind = text),
                b"trace_id" => unsigned(body).map(|id| span.trace_id = id),
                b"span_id" => unsigned(body).map(|id| span.span_id = id),
                b"parent_id" => unsigned(body).map(|id| span.parent_id = id),
                b"start" => signed(body).map(|nanos| span.start = nanos),
                b"duration" => signed(body).map(|nanos| span.duration = nanos),
                b"error" => signed(body).map(|error| span.error = error),
                b"meta" => span.read_meta(body, InPlace),
                b"metrics" => span.read_metrics(body, InPlace),
                b"meta_struct" => span.read_meta_struct(body),
                b"span_links" => span.read_links(body),
                b"span_events" => span.read_events(body),
                // Tracers are ahead of us.
                _ => body.skip(),
            };
            read.map_err(|error| DecodeError::from(error).within(field_name(key), None))?;
        }
        Ok(span)
    }

    #[inline]
    fn read_array(body: &mut Reader<'a>, texts: Dictionary<'a>) -> Result<Self, DecodeError> {
        const FIELD_COUNT: usize = 12;
        let at = *body;
        if body.array()? != FIELD_COUNT {
            return Err(at.fault(Fault::DatadogSpanLengthWrong).into());
        }
        let field = |name: &'static str| {
            move |error: ReadError| DecodeError::from(error).within(name, None)
        };
        let mut span = Self {
            service: texts.text(body).map_err(field("service"))?,
            name: texts.text(body).map_err(field("name"))?,
            resource: texts.text(body).map_err(field("resource"))?,
            trace_id: unsigned(body).map_err(field("trace_id"))?,
            span_id: unsigned(body).map_err(field("span_id"))?,
            parent_id: unsigned(body).map_err(field("parent_id"))?,
            start: signed(body).map_err(field("start"))?,
            duration: signed(body).map_err(field("duration"))?,
            error: signed(body).map_err(field("error"))?,
            ..Self::default()
        };
        span.read_meta(body, texts).map_err(field("meta"))?;
        span.read_metrics(body, texts).map_err(field("metrics"))?;
        span.kind = texts.text(body).map_err(field("type"))?;
        // Names are references, so they cost a byte here and their length in columns.
        let named = span.service.len() + span.name.len() + span.resource.len() + span.kind.len();
        span.weight += named as u64 / 8;
        Ok(span)
    }

    #[inline]
    fn read_meta<T: Texts<'a>>(
        &mut self,
        body: &mut Reader<'a>,
        texts: T,
    ) -> Result<(), ReadError> {
        if body.take_nil() {
            self.meta = None;
            return Ok(());
        }
        let map = *body;
        let mut referred = 0;
        for _ in 0..body.map()? {
            let key = texts.text(body)?;
            let mut value = *body;
            let value_size = texts.size(body)?;
            referred += key.len() + value_size;
            if matches!(key, b"_dd.span_links" | b"events") {
                // JSON, which becomes links and events: no more of them than braces.
                let braces = memchr::memchr_iter(b'{', texts.text(&mut value)?).count();
                self.weight += limits::EVENT_WEIGHT * braces as u64;
            }
        }
        if T::ARE_SHARED {
            self.weight += referred as u64 / 8;
        }
        self.meta = Some(map);
        Ok(())
    }

    #[inline]
    fn read_metrics<T: Texts<'a>>(
        &mut self,
        body: &mut Reader<'a>,
        texts: T,
    ) -> Result<(), ReadError> {
        if body.take_nil() {
            self.metrics = None;
            return Ok(());
        }
        let map = *body;
        let mut referred = 0;
        for _ in 0..body.map()? {
            // Java's tracer has text for a key here, where all others have a reference.
            referred += texts.size(body)?;
            if !body.take_nil() {
                body.number()?;
            }
        }
        if T::ARE_SHARED {
            self.weight += referred as u64 / 8;
        }
        self.metrics = Some(map);
        Ok(())
    }

    fn read_meta_struct(&mut self, body: &mut Reader<'a>) -> Result<(), ReadError> {
        if body.take_nil() {
            self.meta_struct = None;
            return Ok(());
        }
        let map = *body;
        for _ in 0..body.map()? {
            body.text()?;
            if !body.take_nil() {
                body.text()?;
            }
        }
        self.meta_struct = Some(map);
        Ok(())
    }

    fn read_links(&mut self, body: &mut Reader<'a>) -> Result<(), ReadError> {
        if body.take_nil() {
            self.links = None;
            return Ok(());
        }
        let array = *body;
        for _ in 0..body.array()? {
            if !body.take_nil() {
                RawLink::read(body)?;
                self.weight += limits::EVENT_WEIGHT;
            }
        }
        self.links = Some(array);
        Ok(())
    }

    fn read_events(&mut self, body: &mut Reader<'a>) -> Result<(), ReadError> {
        if body.take_nil() {
            self.events = None;
            return Ok(());
        }
        let array = *body;
        for _ in 0..body.array()? {
            if !body.take_nil() {
                RawEvent::read(body)?;
                self.weight += limits::EVENT_WEIGHT;
            }
        }
        self.events = Some(array);
        Ok(())
    }
}

/// Pairs of `meta`, checked before.
pub fn each_meta<'a>(
    map: Option<Reader<'a>>,
    form: Form<'a>,
    mut visit: impl FnMut(&'a [u8], &'a [u8]),
) {
    let Some(mut map) = map else { return };
    for _ in 0..map.map().unwrap_or_default() {
        let (Ok(key), Ok(value)) = (form.text(&mut map), form.text(&mut map)) else { return };
        visit(key, value);
    }
}

/// Pairs of `metrics`, checked before; those without a number are left out.
pub fn each_metric<'a>(
    map: Option<Reader<'a>>,
    form: Form<'a>,
    mut visit: impl FnMut(&'a [u8], f64),
) {
    let Some(mut map) = map else { return };
    for _ in 0..map.map().unwrap_or_default() {
        let Ok(key) = form.text(&mut map) else { return };
        if map.take_nil() {
            continue;
        }
        let Ok(number) = map.number() else { return };
        visit(key, number);
    }
}

/// A link where it stands.
#[derive(Clone, Copy, Default)]
pub struct RawLink<'a> {
    pub trace_id: u64,
    pub trace_id_high: u64,
    pub span_id: u64,
    pub attributes: Option<Reader<'a>>,
    pub trace_state: &'a [u8],
    pub flags: u64,
}

impl<'a> RawLink<'a> {
    pub fn read(body: &mut Reader<'a>) -> Result<Self, ReadError> {
        let mut link = Self::default();
        for _ in 0..body.map()? {
            match body.text()? {
                b"trace_id" => link.trace_id = unsigned(body)?,
                b"trace_id_high" => link.trace_id_high = unsigned(body)?,
                b"span_id" => link.span_id = unsigned(body)?,
                b"attributes" => link.attributes = super::text_map(body)?,
                b"tracestate" => link.trace_state = super::optional_text(body)?,
                b"flags" => link.flags = unsigned(body)?,
                _ => body.skip()?,
            }
        }
        Ok(link)
    }
}

/// An event where it stands.
#[derive(Clone, Copy, Default)]
pub struct RawEvent<'a> {
    pub time_nanos: u64,
    pub name: &'a [u8],
    /// A map of text to [`Typed`].
    pub attributes: Option<Reader<'a>>,
}

impl<'a> RawEvent<'a> {
    pub fn read(body: &mut Reader<'a>) -> Result<Self, ReadError> {
        let mut event = Self::default();
        for _ in 0..body.map()? {
            match body.text()? {
                b"time_unix_nano" => event.time_nanos = unsigned(body)?,
                b"name" => event.name = super::optional_text(body)?,
                b"attributes" => {
                    if body.take_nil() {
                        continue;
                    }
                    event.attributes = Some(*body);
                    for _ in 0..body.map()? {
                        body.text()?;
                        Typed::read(body, 1)?;
                    }
                }
                _ => body.skip()?,
            }
        }
        Ok(event)
    }
}

/// A value with its type beside it: `{ type, string_value | bool_value | int_value | double_value | array_value }`.
#[derive(Clone, Copy, Default)]
pub enum Typed<'a> {
    #[default]
    Empty,
    Text(&'a [u8]),
    Bool(bool),
    Int(i64),
    Double(f64),
    /// The array of values, checked.
    Array(Reader<'a>),
}

impl<'a> Typed<'a> {
    const NO_VALUES: Self = Self::Array(Reader::new(&[0x90]));

    /// The member that the type names, in its default where it is not there: Go's tracer leaves out
    /// what is `false` or zero, others write every member. Without a type that we know, the member
    /// that is there.
    pub fn read(body: &mut Reader<'a>, depth: usize) -> Result<Self, ReadError> {
        if depth > limits::NESTING_DEPTH_MAX {
            return Err(body.fault(Fault::NestingOverLimit));
        }
        if body.take_nil() {
            return Ok(Self::Empty);
        }
        let mut members = TypedMembers::default();
        for _ in 0..body.map()? {
            let key = body.text()?;
            if body.kind()? == Kind::Nil {
                body.take_nil();
                continue;
            }
            match key {
                b"type" if body.kind()? == Kind::Int => members.named = Some(body.unsigned()?),
                b"string_value" => members.text = members.put(Self::Text(body.text()?)),
                b"bool_value" => members.bool = members.put(Self::Bool(body.boolean()?)),
                b"int_value" => {
                    members.int = members.put(Self::Int(body.unsigned()?.cast_signed()));
                }
                b"double_value" => members.double = members.put(Self::Double(body.number()?)),
                b"array_value" => members.array = members.put(Self::read_array(body, depth)?),
                _ => body.skip()?,
            }
        }
        Ok(members.choose())
    }

    fn read_array(body: &mut Reader<'a>, depth: usize) -> Result<Self, ReadError> {
        let mut value = Self::NO_VALUES;
        for _ in 0..body.map()? {
            if body.text()? == b"values" && body.kind()? == Kind::Array {
                value = Self::Array(*body);
                for _ in 0..body.array()? {
                    Self::read(body, depth + 1)?;
                }
            } else {
                body.skip()?;
            }
        }
        Ok(value)
    }
}

/// What stands in the map of a [`Typed`].
#[derive(Default)]
struct TypedMembers<'a> {
    named: Option<u64>,
    text: Option<Typed<'a>>,
    bool: Option<Typed<'a>>,
    int: Option<Typed<'a>>,
    double: Option<Typed<'a>>,
    array: Option<Typed<'a>>,
    last: Typed<'a>,
}

impl<'a> TypedMembers<'a> {
    fn put(&mut self, value: Typed<'a>) -> Option<Typed<'a>> {
        self.last = value;
        Some(value)
    }

    fn choose(self) -> Typed<'a> {
        match self.named {
            Some(0) => self.text.unwrap_or(Typed::Text(&[])),
            Some(1) => self.bool.unwrap_or(Typed::Bool(false)),
            Some(2) => self.int.unwrap_or(Typed::Int(0)),
            Some(3) => self.double.unwrap_or(Typed::Double(0.0)),
            Some(4) => self.array.unwrap_or(Typed::NO_VALUES),
            _ => self.last,
        }
    }
}

#[inline]
fn unsigned(body: &mut Reader<'_>) -> Result<u64, ReadError> {
    if body.take_nil() { Ok(0) } else { body.unsigned() }
}

#[inline]
fn signed(body: &mut Reader<'_>) -> Result<i64, ReadError> {
    if body.take_nil() { Ok(0) } else { body.signed() }
}

/// Known names, for faults.
fn field_name(key: &[u8]) -> &'static str {
    const NAMES: [&str; 15] = [
        "service",
        "name",
        "resource",
        "type",
        "trace_id",
        "span_id",
        "parent_id",
        "start",
        "duration",
        "error",
        "meta",
        "metrics",
        "meta_struct",
        "span_links",
        "span_events",
    ];
    NAMES.into_iter().find(|name| name.as_bytes() == key).unwrap_or("unknown field")
}
