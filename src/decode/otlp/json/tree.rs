//! The three levels above every OTLP item: request, resource, scope.
//!
//! Place: between `json` and the signals, which differ in names and in the item. Where owners must be
//! said first, each holder is read twice; see the head of `json`.
#![deny(clippy::indexing_slicing)]

use super::common::{Field, Pairs, attributes, each, fields, kept, members};
use crate::batch::RecordSink;
use crate::batch::record::{Resource, Scope, Text};
use crate::decode::wire::json::{Reader, Str, key};
use crate::decode::{DecodeError, Verdict};

/// What the levels are called in a signal's messages.
pub struct Names {
    pub resources: &'static str,
    pub scopes: &'static str,
    pub items: &'static str,
}

fields! { ResourceField { Dropped = "droppedAttributesCount", ; Attributes = "attributes", } }
fields! { ScopeField {
    Name = "name",
    Version = "version",
    Dropped = "droppedAttributesCount",
    ;
    Attributes = "attributes",
} }

/// Resource or scope, as read.
#[derive(Default)]
struct Owner<'a> {
    name: Str<'a>,
    version: Str<'a>,
    attributes: Option<usize>,
    schema_url: Str<'a>,
    /// Of its text.
    size: usize,
}

/// A member of a holder.
#[derive(Clone, Copy)]
enum Held {
    Owner,
    SchemaUrl,
    Owned,
}

/// One level: what its owner and its owned are called, and how an owner is read.
struct Level {
    owner: &'static str,
    owned: &'static str,
    read_owner: for<'a> fn(&mut Reader<'a>) -> Result<Owner<'a>, DecodeError>,
}

impl Level {
    #[inline]
    fn held(&self, name: Str<'_>) -> Option<Held> {
        key(name, |raw| {
            if raw == self.owned.as_bytes() {
                Some(Held::Owned)
            } else if raw == self.owner.as_bytes() {
                Some(Held::Owner)
            } else {
                (raw == b"schemaUrl").then_some(Held::SchemaUrl)
            }
        })
    }

    /// Reads all members of a holder; answers its owner.
    #[inline]
    fn read<'a>(
        &self,
        reader: &mut Reader<'a>,
        mut owned: impl FnMut(&mut Reader<'a>) -> Result<(), DecodeError>,
    ) -> Result<Owner<'a>, DecodeError> {
        let mut owner = Owner::default();
        let mut schema_url = Str::default();
        reader.begin_object()?;
        let mut is_first = true;
        while let Some(name) = reader.next_key(&mut is_first)? {
            match self.held(name) {
                None => reader.check_value(0)?,
                Some(_) if reader.take_null()? => {}
                Some(Held::Owned) => owned(reader)?,
                Some(Held::Owner) => {
                    let start = reader.place();
                    owner = (self.read_owner)(reader)
                        .map_err(|error| error.within(self.owner, None))?;
                    owner.size = reader.place() - start;
                }
                Some(Held::SchemaUrl) => {
                    schema_url = reader
                        .string()
                        .map_err(|error| DecodeError::from(error).within("schemaUrl", None))?;
                }
            }
        }
        owner.schema_url = schema_url;
        owner.size += schema_url.raw.len();
        Ok(owner)
    }

    /// Reads what a holder owns and passes over the rest, which was read before.
    #[inline]
    fn read_owned<'a>(
        &self,
        reader: &mut Reader<'a>,
        mut owned: impl FnMut(&mut Reader<'a>) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        reader.begin_object()?;
        let mut is_first = true;
        while let Some(name) = reader.next_key(&mut is_first)? {
            match self.held(name) {
                Some(Held::Owned) if !reader.take_null()? => owned(reader)?,
                Some(Held::Owned) => {}
                _ => reader.pass_value()?,
            }
        }
        Ok(())
    }

    /// Reads a holder: owner first where the sink looks at it. The owner's bytes are counted with each
    /// record that it owns.
    #[inline]
    fn walk<'a, S: RecordSink>(
        &self,
        reader: &mut Reader<'a>,
        sink: &mut S,
        verdict: &mut Verdict,
        say: impl FnOnce(&Owner<'a>, &mut S),
        mut owned: impl FnMut(&mut Reader<'a>, &mut S, &mut Verdict) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let before = verdict.owned();
        let owner = if S::FILLS {
            let mut again = *reader;
            let owner = self.read(reader, |reader| Ok(reader.pass_value()?))?;
            say(&owner, sink);
            self.read_owned(&mut again, |reader| owned(reader, sink, verdict))?;
            owner
        } else {
            say(&Owner::default(), sink);
            self.read(reader, |reader| owned(reader, sink, verdict))?
        };
        verdict.repeat(owner.size, verdict.owned() - before);
        Ok(())
    }
}

fn read_resource<'a>(reader: &mut Reader<'a>) -> Result<Owner<'a>, DecodeError> {
    let mut owner = Owner::default();
    members(reader, |reader, field| {
        match field {
            ResourceField::Attributes => owner.attributes = attributes(reader, field.name())?,
            ResourceField::Dropped => {
                reader.number()?;
            }
        }
        Ok(())
    })?;
    Ok(owner)
}

fn read_scope<'a>(reader: &mut Reader<'a>) -> Result<Owner<'a>, DecodeError> {
    let mut owner = Owner::default();
    members(reader, |reader, field| {
        match field {
            ScopeField::Name => owner.name = reader.string()?,
            ScopeField::Version => owner.version = reader.string()?,
            ScopeField::Attributes => owner.attributes = attributes(reader, field.name())?,
            ScopeField::Dropped => {
                reader.number()?;
            }
        }
        Ok(())
    })?;
    Ok(owner)
}

/// Walks a request, says every resource and scope to the sink, and hands every item to `item`, which
/// counts its records in the verdict.
#[inline]
pub fn walk<'a, S: RecordSink>(
    reader: &mut Reader<'a>,
    names: &Names,
    sink: &mut S,
    verdict: &mut Verdict,
    mut item: impl FnMut(&mut Reader<'a>, &mut S, &mut Verdict) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let payload = reader.payload();
    let resource = Level { owner: "resource", owned: names.scopes, read_owner: read_resource };
    let scope = Level { owner: "scope", owned: names.items, read_owner: read_scope };
    reader.begin_object()?;
    let mut is_first = true;
    while let Some(name) = reader.next_key(&mut is_first)? {
        if key(name, |raw| (raw == names.resources.as_bytes()).then_some(())).is_none() {
            reader.check_value(0)?;
            continue;
        }
        if reader.take_null()? {
            continue;
        }
        each(reader, names.resources, |reader| {
            let say = |owner: &Owner<'_>, sink: &mut S| say_resource(payload, owner, sink);
            resource.walk(reader, sink, verdict, say, |reader, sink, verdict| {
                each(reader, names.scopes, |reader| {
                    let say = |owner: &Owner<'_>, sink: &mut S| say_scope(payload, owner, sink);
                    scope.walk(reader, sink, verdict, say, |reader, sink, verdict| {
                        each(reader, names.items, |reader| item(reader, sink, verdict)).map(drop)
                    })
                })
                .map(drop)
            })
        })?;
    }
    Ok(())
}

fn say_resource<S: RecordSink>(payload: &[u8], owner: &Owner<'_>, sink: &mut S) {
    let attributes = Pairs { payload, list: owner.attributes };
    let schema_url = kept::<S>(owner.schema_url);
    sink.resource(&Resource { attributes: &attributes, schema_url: Text(&schema_url) });
}

fn say_scope<S: RecordSink>(payload: &[u8], owner: &Owner<'_>, sink: &mut S) {
    sink.scope(&Scope {
        name: Text(&kept::<S>(owner.name)),
        version: Text(&kept::<S>(owner.version)),
        attributes: &Pairs { payload, list: owner.attributes },
        schema_url: Text(&kept::<S>(owner.schema_url)),
    });
}
