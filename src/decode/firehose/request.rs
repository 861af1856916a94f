//! What head and body say about all records of a request.
//!
//! | from | goes to |
//! |---|---|
//! | `X-Amz-Firehose-Request-Id`, else `requestId` | attribute `aws.firehose.request_id` of every log: retries carry the same |
//! | `X-Amz-Firehose-Source-Arn` | resource `aws.firehose.arn`, `cloud.provider`, `cloud.region` |
//! | `X-Amz-Firehose-Common-Attributes` | resource, where nothing else says the same key |
//! | `timestamp` | the time of records that have none |
//!
//! None of it can make a request fail. Common attributes that cannot be read are kept as they came,
//! under `aws.firehose.common_attributes`.

#![deny(clippy::indexing_slicing)]

use std::borrow::Cow;

use super::is;
use crate::decode::json_logs::record::PairList;
use crate::decode::wire::json::{ReadError, Reader};
use crate::envelope::{Envelope, FieldId};
use crate::limits;

#[derive(Default)]
pub(super) struct About<'a> {
    request_id: Cow<'a, [u8]>,
    pub time_nanos: Option<i64>,
}

impl<'a> About<'a> {
    /// Fills `resource` with what all records share.
    pub fn read(envelope: &Envelope<'a>, payload: &'a [u8], resource: &mut PairList) -> Self {
        let find = |id| envelope.fields.find(id).filter(|value| !value.is_empty());
        let mut about = Self::default();
        // What is wrong with the body is for the walk over its records to say.
        let _ = about.read_body(payload);
        if let Some(id) = find(FieldId::FirehoseRequestId) {
            about.request_id = Cow::Borrowed(id);
        }
        resource.clear();
        let arn = find(FieldId::FirehoseSourceArn);
        let region = arn.and_then(region);
        let stream: [(&[u8], Option<&[u8]>); 3] = [
            (b"cloud.provider", arn.map(|_| b"aws".as_slice())),
            (b"cloud.region", region),
            (b"aws.firehose.arn", arn),
        ];
        for (key, value) in stream {
            if let Some(value) = value {
                resource.push(key, value);
            }
        }
        if let Some(text) = find(FieldId::FirehoseCommonAttributes) {
            let is_said =
                |key: &[u8]| stream.iter().any(|&(said, value)| said == key && value.is_some());
            match common_attributes(text) {
                Some(pairs) => {
                    for (place, (key, value)) in pairs.iter().enumerate() {
                        let mut later = pairs.iter().skip(place + 1);
                        if !is_said(key) && later.all(|(later, _)| later != key) {
                            resource.push(key, value);
                        }
                    }
                }
                None => resource.push(b"aws.firehose.common_attributes", text),
            }
        }
        about
    }

    pub fn attribute(&self) -> Option<(&'static str, &[u8])> {
        let id = &*self.request_id;
        let id = id.get(..limits::FIREHOSE_REQUEST_ID_SIZE_MAX).unwrap_or(id);
        (!id.is_empty()).then_some(("aws.firehose.request_id", id))
    }

    fn read_body(&mut self, payload: &'a [u8]) -> Result<(), ReadError> {
        let mut reader = Reader::at(payload, 0);
        reader.begin_object()?;
        let mut is_first = true;
        while let Some(key) = reader.next_key(&mut is_first)? {
            let first = reader.peek();
            if is(key, b"requestId") && first == Some(b'"') {
                self.request_id = reader.string()?.text();
            } else if is(key, b"timestamp")
                && matches!(first, Some(b'"' | b'-' | b'0'..=b'9'))
                && let Ok(digits) = { reader }.number()
            {
                self.time_nanos = from_millis(digits);
                reader.pass_value()?;
            } else {
                reader.pass_value()?;
            }
        }
        Ok(())
    }
}

/// Nanoseconds of a whole number of milliseconds; zero is no time.
pub(super) fn from_millis(digits: &[u8]) -> Option<i64> {
    let millis: i64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    millis.checked_mul(1_000_000).filter(|&nanos| nanos != 0)
}

/// `arn:PARTITION:firehose:REGION:ACCOUNT:deliverystream/NAME`
fn region(arn: &[u8]) -> Option<&[u8]> {
    let mut parts = arn.split(|&byte| byte == b':');
    let is_arn = parts.next() == Some(b"arn");
    let region = parts.nth(2).filter(|region| !region.is_empty())?;
    (is_arn && parts.next().is_some()).then_some(region)
}

/// About the bytes that every log of the request is stored with.
pub(super) fn shared_size(envelope: &Envelope<'_>) -> usize {
    [FieldId::FirehoseSourceArn, FieldId::FirehoseCommonAttributes]
        .into_iter()
        .filter_map(|id| envelope.fields.find(id))
        .map(<[u8]>::len)
        .sum()
}

type Pairs<'a> = Vec<(Cow<'a, [u8]>, Cow<'a, [u8]>)>;

/// `{"commonAttributes":{…}}`, which AWS' own example prints without the outer braces.
fn common_attributes(text: &[u8]) -> Option<Pairs<'_>> {
    let mut reader = Reader::at(text, 0);
    let has_braces = reader.peek() == Some(b'{');
    if has_braces {
        reader.begin_object().ok()?;
        let (mut is_first, mut found) = (true, None);
        while let Some(key) = reader.next_key(&mut is_first).ok()? {
            if is(key, b"commonAttributes") {
                found = Some(pairs(&mut reader)?);
            } else {
                reader.check_value(1).ok()?;
            }
        }
        return if reader.peek().is_none() { found } else { None };
    }
    let key = reader.string().ok()?;
    if !is(key, b"commonAttributes") || reader.peek() != Some(b':') || !reader.take(b":") {
        return None;
    }
    let found = pairs(&mut reader)?;
    reader.peek().is_none().then_some(found)
}

fn pairs<'a>(reader: &mut Reader<'a>) -> Option<Pairs<'a>> {
    reader.begin_object().ok()?;
    let (mut is_first, mut pairs) = (true, Pairs::new());
    while let Some(key) = reader.next_key(&mut is_first).ok()? {
        let value = reader.string().ok()?;
        pairs.push((key.text(), value.text()));
        if pairs.len() > limits::FIREHOSE_ATTRIBUTE_COUNT_MAX {
            return None;
        }
    }
    Some(pairs)
}
