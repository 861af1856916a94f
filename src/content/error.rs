//! What is wrong with a coded body.

/// A fault of a content coding. Offsets are bytes of the coded input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentError {
    /// The output would pass the limit: a body too large, or a bomb.
    OutputOverLimit,
    /// The input ends before the coding does.
    Truncated,
    /// Bytes that the coding does not allow.
    Corrupt { offset: u64 },
    /// A checksum or length at the end of a member contradicts its content.
    ChecksumWrong { offset: u64 },
    /// Bytes after the last member that begin no further one.
    TrailingGarbage { offset: u64 },
    /// zstd: a window larger than we hold.
    WindowOverLimit,
    /// zstd: a frame that needs a dictionary.
    DictionaryNeeded,
}
