//! JSON of v0.3 and v0.4 as `MessagePack`: no present-day tracer sends it, so one decoder does for both.
#![deny(clippy::indexing_slicing)]

use crate::decode::wire::json::line_column;
use crate::decode::wire::json::{ReadError, Reader};
use crate::decode::{DecodeError, Fault};
use crate::limits;

/// Writes all of `payload` into `written`, which takes no more than the largest body: an empty list and a
/// short fraction are longer there. Ids are beyond what a double holds, so integers stay such.
pub fn write_msgpack(payload: &[u8], written: &mut Vec<u8>) -> Result<(), DecodeError> {
    written.clear();
    written.reserve_exact(payload.len());
    let mut reader = Reader::at(payload, 0);
    let result = value(&mut reader, written, 1).and_then(|()| match reader.peek() {
        Some(_) => Err(reader.fault(Fault::JsonSyntax)),
        None => Ok(()),
    });
    result.map_err(|error| DecodeError {
        line_column: Some(line_column(payload, error.at)),
        ..error.into()
    })
}

fn value(reader: &mut Reader<'_>, written: &mut Vec<u8>, depth: usize) -> Result<(), ReadError> {
    if depth > limits::NESTING_DEPTH_MAX {
        return Err(reader.fault(Fault::NestingOverLimit));
    }
    if written.len() > limits::PAYLOAD_SIZE_MAX {
        return Err(reader.fault(Fault::JsonGrowthOverLimit));
    }
    match reader.peek() {
        Some(b'{') => {
            reader.begin_object()?;
            let header = begin(written, 0xdf);
            let (mut is_first, mut count) = (true, 0u32);
            while let Some(key) = reader.next_key(&mut is_first)? {
                text(&key.text(), written);
                value(reader, written, depth + 1)?;
                count += 1;
            }
            end(written, header, count);
        }
        Some(b'[') => {
            reader.begin_array()?;
            let header = begin(written, 0xdd);
            let (mut is_first, mut count) = (true, 0u32);
            while reader.next_element(&mut is_first)? {
                value(reader, written, depth + 1)?;
                count += 1;
            }
            end(written, header, count);
        }
        Some(b'"') => text(&reader.string()?.text(), written),
        Some(b't' | b'f') => written.push(if reader.boolean()? { 0xc3 } else { 0xc2 }),
        Some(b'n') => {
            if !reader.take_null()? {
                return Err(reader.fault(Fault::JsonSyntax));
            }
            written.push(0xc0);
        }
        _ => number(reader.number()?, written),
    }
    Ok(())
}

fn begin(written: &mut Vec<u8>, kind: u8) -> usize {
    written.extend_from_slice(&[kind, 0, 0, 0, 0]);
    written.len() - 4
}

fn end(written: &mut [u8], header: usize, count: u32) {
    if let Some(place) = written.get_mut(header..header + 4) {
        place.copy_from_slice(&count.to_be_bytes());
    }
}

fn text(text: &[u8], written: &mut Vec<u8>) {
    // A payload is below 4 GiB.
    match u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes() {
        [0, 0, 0, size @ 0..=31] => written.push(0xa0 | size),
        [0, 0, 0, size] => written.extend_from_slice(&[0xd9, size]),
        [0, 0, high, low] => written.extend_from_slice(&[0xda, high, low]),
        [first, second, third, last] => {
            written.extend_from_slice(&[0xdb, first, second, third, last]);
        }
    }
    written.extend_from_slice(text);
}

/// Checked JSON numbers: an integer if 64 bits hold it.
fn number(digits: &[u8], written: &mut Vec<u8>) {
    let digits = std::str::from_utf8(digits).unwrap_or_default();
    if let Ok(number) = digits.parse::<u64>() {
        match number.to_be_bytes() {
            [0, 0, 0, 0, 0, 0, 0, small @ 0..=0x7f] => written.push(small),
            [0, 0, 0, 0, 0, 0, high, low] => written.extend_from_slice(&[0xcd, high, low]),
            bytes => {
                written.push(0xcf);
                written.extend_from_slice(&bytes);
            }
        }
    } else if let Ok(number) = digits.parse::<i64>() {
        written.push(0xd3);
        written.extend_from_slice(&number.to_be_bytes());
    } else {
        written.push(0xcb);
        let number = digits.parse::<f64>().unwrap_or(f64::NAN);
        written.extend_from_slice(&number.to_be_bytes());
    }
}
