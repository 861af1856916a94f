//! A CloudWatch Logs subscription message: one document that holds the events of one log stream.
//!
//! | member | goes to |
//! |---|---|
//! | `messageType` | `DATA_MESSAGE` holds events; `CONTROL_MESSAGE` is a test of the destination and leaves nothing |
//! | `owner` `logGroup` `logStream` | resource `cloud.account.id`, `aws.log.group.names`, `aws.log.stream.names` (lists, as OpenTelemetry has them) |
//! | `logEvents[].message` `.timestamp` | body as it is, time |
//! | `logEvents[].id` `.extractedFields` | attributes `aws.log.event.id`, `aws.log.event.extracted_fields` |
//!
//! A document that does not have this form in full is no such message, and is kept as any other is.

#![deny(clippy::indexing_slicing)]

use memchr::memmem;

use super::is;
use super::request::from_millis;
use crate::batch::record::{Attributes, Text, Value, Values};
use crate::decode::wire::json::{ReadError, Reader, Str};
use crate::limits;

/// A message that was read to its end and found whole.
pub(super) struct Message<'a> {
    owner: Str<'a>,
    group: Str<'a>,
    stream: Str<'a>,
    /// The document from its list of events on.
    events: Option<Reader<'a>>,
    pub event_count: u64,
}

#[derive(Default)]
pub(super) struct Event<'a> {
    id: Str<'a>,
    pub message: Str<'a>,
    /// Digits of milliseconds; only who stores the event makes a number of them.
    millis: &'a [u8],
    /// JSON text of an object.
    extracted: Option<&'a [u8]>,
}

impl<'a> Message<'a> {
    /// Where, from `start` on, the member stands that every message has.
    pub fn mark(text: &[u8], start: usize) -> Option<usize> {
        memmem::find(text.get(start..)?, b"\"messageType\"").map(|place| start + place)
    }

    /// The message that the object at `start` is, and where it ends.
    pub fn read(text: &'a [u8], start: usize) -> Option<(Self, usize)> {
        let mut reader = Reader::at(text, start);
        let message = Self::read_members(&mut reader).ok().flatten()?;
        Some((message, reader.place()))
    }

    fn read_members(reader: &mut Reader<'a>) -> Result<Option<Self>, ReadError> {
        let (mut is_first, mut is_whole, mut is_data) = (true, true, None);
        let empty = Str::default();
        let mut message =
            Self { owner: empty, group: empty, stream: empty, events: None, event_count: 0 };
        reader.begin_object()?;
        while let Some(key) = reader.next_key(&mut is_first)? {
            let is_text = reader.peek() == Some(b'"');
            let place = match key.raw {
                b"owner" => &mut message.owner,
                b"logGroup" => &mut message.group,
                b"logStream" => &mut message.stream,
                b"messageType" if is_text => {
                    is_data = match reader.string()?.raw {
                        b"DATA_MESSAGE" => Some(true),
                        b"CONTROL_MESSAGE" => Some(false),
                        _ => None,
                    };
                    continue;
                }
                b"logEvents" if reader.peek() == Some(b'[') => {
                    message.events = Some(*reader);
                    reader.begin_array()?;
                    let mut is_first = true;
                    message.event_count = 0;
                    while reader.next_element(&mut is_first)? {
                        is_whole &= Event::read(reader)?.is_some();
                        message.event_count += 1;
                    }
                    continue;
                }
                name => {
                    is_whole &= !matches!(name, b"messageType" | b"logEvents");
                    reader.check_value(1)?;
                    continue;
                }
            };
            if is_text {
                *place = reader.string()?;
                // Each event is stored with these.
                is_whole &= place.raw.len() <= limits::CLOUDWATCH_NAME_SIZE_MAX;
            } else {
                is_whole = false;
                reader.check_value(1)?;
            }
        }
        match is_data {
            Some(true) if is_whole && message.events.is_some() => Ok(Some(message)),
            Some(false) => Ok(Some(Self { events: None, event_count: 0, ..message })),
            _ => Ok(None),
        }
    }

    /// Bytes that its events share.
    pub fn size(&self) -> usize {
        self.owner.raw.len() + self.group.raw.len() + self.stream.raw.len()
    }

    /// Walks the events again.
    pub fn walk(&self, visit: &mut dyn FnMut(&Event<'a>)) {
        let Some(mut reader) = self.events else { return };
        let mut is_first = true;
        if reader.begin_array().is_err() {
            return;
        }
        while reader.next_element(&mut is_first) == Ok(true) {
            let Ok(Some(event)) = Event::read(&mut reader) else { return };
            visit(&event);
        }
    }
}

impl Attributes for Message<'_> {
    /// What the resource has of a message.
    fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
        visit("cloud.provider".into(), Value::Text("aws".into()));
        if !self.owner.raw.is_empty() {
            visit("cloud.account.id".into(), Value::Text(Text(&self.owner.text())));
        }
        for (key, name) in
            [("aws.log.group.names", self.group), ("aws.log.stream.names", self.stream)]
        {
            if !name.raw.is_empty() {
                visit(key.into(), Value::Array(&One(&name.text())));
            }
        }
    }
}

/// A list of one text.
struct One<'a>(&'a [u8]);

impl Values for One<'_> {
    fn walk(&self, visit: &mut dyn FnMut(Value<'_>)) {
        visit(Value::Text(Text(self.0)));
    }
}

impl<'a> Event<'a> {
    pub fn time_nanos(&self) -> Option<i64> {
        from_millis(self.millis)
    }

    /// `None` if it is JSON, but no event.
    fn read(reader: &mut Reader<'a>) -> Result<Option<Self>, ReadError> {
        if reader.peek() != Some(b'{') {
            reader.check_value(2)?;
            return Ok(None);
        }
        reader.begin_object()?;
        let mut event = Self::default();
        let (mut is_first, mut has_message) = (true, false);
        while let Some(key) = reader.next_key(&mut is_first)? {
            let first = reader.peek();
            let start = reader.place();
            match (key.raw, first) {
                (b"message", Some(b'"')) => {
                    event.message = reader.string()?;
                    has_message = true;
                }
                (b"timestamp", Some(b'-' | b'0'..=b'9')) => {
                    event.millis = reader.number()?;
                }
                (b"id", Some(b'"')) => event.id = reader.string()?,
                (b"extractedFields", Some(b'{')) => {
                    reader.check_value(3)?;
                    event.extracted = reader.payload().get(start..reader.place());
                }
                _ => {
                    has_message &= !is(key, b"message");
                    reader.check_value(3)?;
                }
            }
        }
        Ok(has_message.then_some(event))
    }
}

/// What a log has of an event, besides an attribute of all logs.
pub(super) struct EventAttributes<'a> {
    pub event: &'a Event<'a>,
    pub request: Option<(&'static str, &'a [u8])>,
}

impl Attributes for EventAttributes<'_> {
    fn walk(&self, visit: &mut dyn FnMut(Text<'_>, Value<'_>)) {
        if let Some((key, value)) = self.request {
            visit(key.into(), Value::Text(Text(value)));
        }
        if !self.event.id.raw.is_empty() {
            visit("aws.log.event.id".into(), Value::Text(Text(&self.event.id.text())));
        }
        if let Some(text) = self.event.extracted {
            let json = String::from_utf8_lossy(text);
            visit("aws.log.event.extracted_fields".into(), Value::Json(&json));
        }
    }
}
