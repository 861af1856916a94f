//! JSON of v0.3 and v0.4 as `MessagePack`: no present-day tracer sends it, so one decoder does for both.
#![deny(clippy::indexing_slicing)]

use super::written::Written;
use crate::decode::wire::json::{ReadError, Reader};
use crate::decode::{DecodeError, Fault};
use crate::limits;

/// Writes all of `payload` from `start` on, and no more than the largest body: an empty list and a short
/// fraction are longer there. Ids are beyond what a double holds, so integers stay such.
pub fn write(payload: &[u8], start: usize, written: &mut Written<'_>) -> Result<(), DecodeError> {
    written.reserve(payload.len());
    let mut reader = Reader::at(payload, start);
    let result = value(&mut reader, written, 1).and_then(|()| match reader.peek() {
        Some(_) => Err(reader.fault(Fault::JsonSyntax)),
        None => Ok(()),
    });
    result.map_err(DecodeError::from)
}

fn value(
    reader: &mut Reader<'_>,
    written: &mut Written<'_>,
    depth: usize,
) -> Result<(), ReadError> {
    if depth > limits::NESTING_DEPTH_MAX {
        return Err(reader.fault(Fault::NestingOverLimit));
    }
    if written.len() > limits::PAYLOAD_SIZE_MAX {
        return Err(reader.fault(Fault::JsonGrowthOverLimit));
    }
    let first = reader.peek();
    written.comes_from(reader.place());
    match first {
        Some(b'{') => {
            reader.begin_object()?;
            let header = written.begin_map();
            let (mut is_first, mut count) = (true, 0u32);
            while let Some(key) = reader.next_key(&mut is_first)? {
                written.json_text(key);
                value(reader, written, depth + 1)?;
                count += 1;
            }
            written.end(header, count);
        }
        Some(b'[') => {
            reader.begin_array()?;
            let header = written.begin_array();
            let (mut is_first, mut count) = (true, 0u32);
            while reader.next_element(&mut is_first)? {
                value(reader, written, depth + 1)?;
                count += 1;
            }
            written.end(header, count);
        }
        Some(b'"') => written.json_text(reader.string()?),
        Some(b't' | b'f') => written.boolean(reader.boolean()?),
        Some(b'n') => {
            if !reader.take_null()? {
                return Err(reader.fault(Fault::JsonSyntax));
            }
            written.nil();
        }
        _ => number(reader.number()?, written),
    }
    Ok(())
}

/// Checked JSON numbers: an integer if 64 bits hold it.
fn number(digits: &[u8], written: &mut Written<'_>) {
    let digits = std::str::from_utf8(digits).unwrap_or_default();
    if let Ok(number) = digits.parse::<u64>() {
        written.unsigned(number);
    } else if let Ok(number) = digits.parse::<i64>() {
        written.signed(number);
    } else {
        written.double(digits.parse::<f64>().unwrap_or(f64::NAN));
    }
}
