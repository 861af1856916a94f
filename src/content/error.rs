//! What is wrong with a coded body.

/// A fault of a content coding. Offsets are bytes of the coded input; of two stacked codings, of
/// the input of the one that failed.
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
    /// zstd or zlib: a frame that needs a dictionary.
    DictionaryNeeded,
    /// So many members, frames or chunks for so little input that they can only be there to burn
    /// time.
    MemberCountOverLimit { offset: u64 },
}

impl ContentError {
    /// The fault in words, without place.
    pub const fn message(self) -> &'static str {
        match self {
            Self::OutputOverLimit => "the body is too large once decompressed",
            Self::Truncated => "the compressed body breaks off",
            Self::Corrupt { .. } => "the compressed body has bytes its coding does not allow",
            Self::ChecksumWrong { .. } => {
                "a checksum or length of the compressed body contradicts its content"
            }
            Self::TrailingGarbage { .. } => "the compressed body is followed by other bytes",
            Self::WindowOverLimit => "the zstd window is larger than 8 MiB",
            Self::DictionaryNeeded => "the compressed body needs a dictionary",
            Self::MemberCountOverLimit { .. } => "the compressed body has too many tiny members",
        }
    }

    /// The same fault of a member that begins at `start`.
    #[cold]
    pub(super) const fn moved(self, start: u64) -> Self {
        match self {
            Self::Corrupt { offset } => Self::Corrupt { offset: start + offset },
            Self::ChecksumWrong { offset } => Self::ChecksumWrong { offset: start + offset },
            Self::TrailingGarbage { offset } => Self::TrailingGarbage { offset: start + offset },
            other => other,
        }
    }

    /// Where in the coded input, if that is known.
    pub const fn offset(self) -> Option<u64> {
        match self {
            Self::Corrupt { offset }
            | Self::ChecksumWrong { offset }
            | Self::TrailingGarbage { offset }
            | Self::MemberCountOverLimit { offset } => Some(offset),
            Self::OutputOverLimit
            | Self::Truncated
            | Self::WindowOverLimit
            | Self::DictionaryNeeded => None,
        }
    }
}

impl std::fmt::Display for ContentError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.message())?;
        match self.offset() {
            Some(offset) => write!(formatter, " at byte {offset}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ContentError {}
