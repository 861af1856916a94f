//! Numbers with a prefix (RFC 7541, section 5.1).

use super::HpackError;

/// Continuation bytes of the largest number that we need: 2^28 and above is no length of ours. Zeroes
/// that carry nothing count too.
const CONTINUATION_MAX: u32 = 4;

/// Reads a number whose prefix has `bits` bits of `first`; answers with what follows it.
pub fn decode(first: u8, bits: u32, mut rest: &[u8]) -> Result<(usize, &[u8]), HpackError> {
    let mask = (1usize << bits) - 1;
    let mut number = usize::from(first) & mask;
    if number < mask {
        return Ok((number, rest));
    }
    for place in 0..CONTINUATION_MAX {
        let Some((&byte, behind)) = rest.split_first() else { return Err(HpackError::Truncated) };
        rest = behind;
        number += usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok((number, rest));
        }
    }
    Err(HpackError::IntegerTooLarge)
}

/// Appends a number; `first` holds the bits above the prefix.
pub fn encode(first: u8, bits: u32, number: usize, out: &mut Vec<u8>) {
    let mask = (1usize << bits) - 1;
    let byte = |number: usize| u8::try_from(number).unwrap_or(u8::MAX);
    if number < mask {
        return out.push(first | byte(number));
    }
    out.push(first | byte(mask));
    let mut number = number - mask;
    while number >= 0x80 {
        out.push(byte(number & 0x7f) | 0x80);
        number >>= 7;
    }
    out.push(byte(number));
}
