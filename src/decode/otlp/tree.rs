//! The three levels above every OTLP item: request, resource, scope.
//!
//! Place: between `otlp` and the signals. All signals number these fields alike, so one walk serves
//! them; they differ in the names of an error's path and in the item.
//!
//! A resource or a scope may stand after what it owns, or twice. So each holder is walked twice: first
//! for the owner, passing over the owned by their lengths, then for the owned.
#![deny(clippy::indexing_slicing)]

use super::common::{MergedKeyValues, check_key_value};
use crate::batch::RecordSink;
use crate::batch::record::{Resource, Scope, Text};
use crate::decode::wire::protobuf::{Known, LENGTH, Reader, VARINT, tag};
use crate::decode::{DecodeError, Verdict};

/// Export…ServiceRequest: its resources.
const RESOURCES: u32 = tag(1, LENGTH);
const REQUEST: Known = Known::fields(&[1]);

/// Resource… and Scope…: the owner, the owned, the owner's schema.
const OWNER: u32 = tag(1, LENGTH);
const OWNED: u32 = tag(2, LENGTH);
const SCHEMA_URL: u32 = tag(3, LENGTH);
const HOLDER: Known = Known::fields(&[1, 2, 3]);

const RESOURCE_ATTRIBUTES: u32 = tag(1, LENGTH);
const RESOURCE_DROPPED_COUNT: u32 = tag(2, VARINT);
const RESOURCE_ENTITY_REFS: u32 = tag(3, LENGTH);
const RESOURCE: Known = Known::fields(&[1, 2, 3]);

/// EntityRef has texts only, numbered 1 to 4. They name attributes that the resource has anyway.
const ENTITY_REF: Known = Known::fields(&[1, 2, 3, 4]);

const SCOPE_NAME: u32 = tag(1, LENGTH);
const SCOPE_VERSION: u32 = tag(2, LENGTH);
const SCOPE_ATTRIBUTES: u32 = tag(3, LENGTH);
const SCOPE_DROPPED_COUNT: u32 = tag(4, VARINT);
const SCOPE: Known = Known::fields(&[1, 2, 3, 4]);

/// What the levels are called in a signal's messages.
pub struct Names {
    pub resources: &'static str,
    pub scopes: &'static str,
    pub items: &'static str,
}

/// Walks a request, says every resource and scope to the sink, and hands every item to `item`, which
/// counts its records in the verdict. The owners' bytes are counted here, with the records they own.
#[inline]
pub fn walk<S: RecordSink>(
    payload: &[u8],
    names: &Names,
    sink: &mut S,
    mut item: impl FnMut(Reader<'_>, &mut S, &mut Verdict) -> Result<(), DecodeError>,
) -> Result<Verdict, DecodeError> {
    let mut verdict = Verdict::default();
    let mut request = Reader::new(payload);
    let mut index = 0;
    while let Some(tag) = request.tag()? {
        match tag {
            RESOURCES => {
                let holder = request.message()?;
                walk_resource(holder, names, sink, &mut verdict, &mut item)
                    .map_err(|error| error.within(names.resources, Some(index)))?;
                index += 1;
            }
            other => request.skip(other, REQUEST)?,
        }
    }
    Ok(verdict)
}

#[inline]
fn walk_resource<S: RecordSink>(
    holder: Reader<'_>,
    names: &Names,
    sink: &mut S,
    verdict: &mut Verdict,
    item: &mut impl FnMut(Reader<'_>, &mut S, &mut Verdict) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let mut size = 0;
    let schema_url = read_owner(holder, |resource| {
        size += resource.rest().len();
        check_resource(resource).map_err(|error| error.within("resource", None))
    })?;
    let attributes = MergedKeyValues {
        holder: holder.rest(),
        message: OWNER >> 3,
        number: RESOURCE_ATTRIBUTES >> 3,
    };
    sink.resource(&Resource { attributes: &attributes, schema_url });

    let before = verdict.owned();
    walk_owned(holder, |scope_holder, index| {
        walk_scope(scope_holder, names, sink, verdict, item)
            .map_err(|error| error.within(names.scopes, Some(index)))
    })?;
    verdict.repeat(size + schema_url.0.len(), verdict.owned() - before);
    Ok(())
}

#[inline]
fn walk_scope<S: RecordSink>(
    holder: Reader<'_>,
    names: &Names,
    sink: &mut S,
    verdict: &mut Verdict,
    item: &mut impl FnMut(Reader<'_>, &mut S, &mut Verdict) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let mut name = Text::EMPTY;
    let mut version = Text::EMPTY;
    let mut size = 0;
    let schema_url = read_owner(holder, |scope| {
        size += scope.rest().len();
        check_scope(scope, &mut name, &mut version).map_err(|error| error.within("scope", None))
    })?;
    let attributes = MergedKeyValues {
        holder: holder.rest(),
        message: OWNER >> 3,
        number: SCOPE_ATTRIBUTES >> 3,
    };
    sink.scope(&Scope { name, version, attributes: &attributes, schema_url });

    let before = verdict.owned();
    walk_owned(holder, |owned, index| {
        item(owned, sink, verdict).map_err(|error| error.within(names.items, Some(index)))
    })?;
    verdict.repeat(size + schema_url.0.len(), verdict.owned() - before);
    Ok(())
}

/// The first walk: every occurrence of the owner, the last schema URL.
#[inline]
fn read_owner<'a>(
    mut holder: Reader<'a>,
    mut owner: impl FnMut(Reader<'a>) -> Result<(), DecodeError>,
) -> Result<Text<'a>, DecodeError> {
    let mut schema_url = Text::EMPTY;
    while let Some(tag) = holder.tag()? {
        match tag {
            OWNED => drop(holder.bytes()?),
            OWNER => owner(holder.message()?)?,
            SCHEMA_URL => schema_url = Text(holder.bytes()?),
            other => holder.skip(other, HOLDER)?,
        }
    }
    Ok(schema_url)
}

/// The second walk: the owned. Everything else was looked at by the first.
#[inline]
fn walk_owned<'a>(
    mut holder: Reader<'a>,
    mut owned: impl FnMut(Reader<'a>, u32) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let mut index = 0;
    while let Some(tag) = holder.tag()? {
        match tag {
            OWNED => {
                owned(holder.message()?, index)?;
                index += 1;
            }
            other => holder.skip(other, Known::fields(&[]))?,
        }
    }
    Ok(())
}

fn check_resource(mut resource: Reader<'_>) -> Result<(), DecodeError> {
    let mut attribute_index = 0;
    let mut entity_index = 0;
    while let Some(tag) = resource.tag()? {
        match tag {
            RESOURCE_ATTRIBUTES => {
                let pair = resource.message()?;
                check_key_value(pair, 0)
                    .map_err(|error| error.within("attributes", Some(attribute_index)))?;
                attribute_index += 1;
            }
            RESOURCE_DROPPED_COUNT => drop(resource.varint()?),
            RESOURCE_ENTITY_REFS => {
                let entity = resource.message()?;
                check_entity_ref(entity)
                    .map_err(|error| error.within("entity_refs", Some(entity_index)))?;
                entity_index += 1;
            }
            other => resource.skip(other, RESOURCE)?,
        }
    }
    Ok(())
}

fn check_entity_ref(mut entity: Reader<'_>) -> Result<(), DecodeError> {
    while let Some(found) = entity.tag()? {
        match found {
            0..=39 if found & 7 == LENGTH && found >> 3 >= 1 => drop(entity.bytes()?),
            other => entity.skip(other, ENTITY_REF)?,
        }
    }
    Ok(())
}

/// Name and version are those of the last occurrence that has them: an absent field merges nothing.
fn check_scope<'a>(
    mut scope: Reader<'a>,
    name: &mut Text<'a>,
    version: &mut Text<'a>,
) -> Result<(), DecodeError> {
    let mut index = 0;
    while let Some(tag) = scope.tag()? {
        match tag {
            SCOPE_NAME => *name = Text(scope.bytes()?),
            SCOPE_VERSION => *version = Text(scope.bytes()?),
            SCOPE_ATTRIBUTES => {
                let pair = scope.message()?;
                check_key_value(pair, 0)
                    .map_err(|error| error.within("attributes", Some(index)))?;
                index += 1;
            }
            SCOPE_DROPPED_COUNT => drop(scope.varint()?),
            other => scope.skip(other, SCOPE)?,
        }
    }
    Ok(())
}
