//! Header blocks, and what a decoder makes of them and remembers.

use inrush::http::http2::hpack::{Decoder, FieldList, HpackError, integer};

pub type Pairs = Vec<(String, String)>;

/// Bytes from the hexadecimal digits that the RFC shows.
pub fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u32> = digits.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks_exact(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap()).collect()
}

pub fn pairs(fields: &[(&str, &str)]) -> Pairs {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub fn pairs_of(list: &FieldList) -> Pairs {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    list.iter().map(|(name, value)| (text(name), text(value))).collect()
}

pub fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Pairs, HpackError> {
    let mut list = FieldList::new();
    decoder.decode(block, &mut list)?;
    Ok(pairs_of(&list))
}

/// What a decoder without history makes of a block.
pub fn decode_fresh(block: &[u8]) -> Result<Pairs, HpackError> {
    decode(&mut Decoder::new(), block)
}

#[track_caller]
pub fn refuses(block: &[u8], error: HpackError) {
    assert_eq!(decode_fresh(block), Err(error), "{}", block.escape_ascii());
}

pub fn indexed(index: usize) -> Vec<u8> {
    number(0x80, 7, index)
}

pub fn number(first: u8, bits: u32, number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    integer::encode(first, bits, number, &mut bytes);
    bytes
}

pub fn string(text: &str) -> Vec<u8> {
    let mut bytes = number(0, 7, text.len());
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// A literal with a new name; `first` says whether it is indexed.
pub fn literal(first: u8, name: &str, value: &str) -> Vec<u8> {
    [vec![first], string(name), string(value)].concat()
}

pub const INDEXED: u8 = 0x40;
pub const NOT_INDEXED: u8 = 0x00;
pub const NEVER_INDEXED: u8 = 0x10;

pub fn size_update(size: usize) -> Vec<u8> {
    number(0x20, 5, size)
}

/// The dynamic table, newest first. Indexed fields and errors leave it as it is, so it can be asked.
pub fn table(decoder: &mut Decoder) -> Pairs {
    let mut found = Vec::new();
    loop {
        match decode(decoder, &indexed(62 + found.len())) {
            Ok(mut fields) => found.append(&mut fields),
            Err(error) => {
                assert_eq!(error, HpackError::IndexTooLarge);
                return found;
            }
        }
    }
}
