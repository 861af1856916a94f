//! Header compression (RFC 7541): a decoder with its dynamic table, and an encoder without one.

mod decode;
pub mod encode;
mod fields;
pub mod huffman;
pub mod integer;
mod tables;

pub use decode::Decoder;
pub use fields::{FieldList, FieldPlace};

/// Why a header block cannot be decoded. The connection ends: both sides' tables may differ now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HpackError {
    IndexZero,
    IndexTooLarge,
    IntegerTooLarge,
    Truncated,
    HuffmanPadding,
    HuffmanEndOfString,
    SizeUpdateMisplaced,
    SizeUpdateTooLarge,
    /// Far beyond the limits of a header list.
    Flood,
}

impl HpackError {
    /// The fault in words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::IndexZero => "a header field of index 0",
            Self::IndexTooLarge => "a header field's index is beyond the table",
            Self::IntegerTooLarge => "a number in a header block is too large",
            Self::Truncated => "a header block breaks off",
            Self::HuffmanPadding => "a Huffman-coded string is padded wrongly",
            Self::HuffmanEndOfString => "a Huffman-coded string holds its end",
            Self::SizeUpdateMisplaced => "a table size update is not at the start of its block",
            Self::SizeUpdateTooLarge => "a table size update is above what was agreed",
            Self::Flood => "header_list_too_large",
        }
    }
}
