//! The chunked transfer coding (RFC 9112, section 7.1), taken off while the bytes arrive.
//!
//! Place: between the connection's bytes and the body. Keeps no bytes: it tells which range of its
//! input is body. Line ends are CR LF and nothing else, trailers are checked and thrown away, and
//! what surrounds the data is bounded for the body as a whole.
//!
//! ```text
//!      ┌──────────────────────────────────────────────────────────┐
//!      ▼                                                          │
//! ExpectSize ─ ; ► extension ─ CR LF ► ExpectData ─ CR LF after ──┘
//!      │  0 CR LF
//!      ▼
//! ExpectTrailer ─ line ─► ExpectTrailer ─ CR LF ► Ended
//! ```

use super::super::is_token_byte;
use crate::limits;

/// What one look at the input brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkStep {
    /// All of the input was framing, `consumed` is its length, and the body goes on.
    NeedMore { consumed: usize },
    /// `input[start..end]` is body; `end` bytes are consumed. Never empty.
    Data { start: usize, end: usize },
    /// The body is complete; what follows the `consumed` bytes is the next head.
    End { consumed: usize },
}

/// What is wrong with the chunks. The connection is lost with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChunkError {
    /// A chunk size without digits, or with anything but hexadecimal digits.
    SizeInvalid,
    /// More digits than 64 bits have, or a size past them.
    SizeOverLimit,
    /// A CR without LF, or a LF without CR, where a line ends.
    LineEndInvalid,
    /// A chunk extension that is no `;name`, `;name=token` or `;name="text"`.
    ExtensionInvalid,
    /// More extension bytes in one body than its limit.
    ExtensionOverLimit,
    /// More bytes around the data than its limit.
    FramingOverLimit,
    TrailerInvalid,
    /// Trailers beyond their bytes or their count.
    TrailerOverLimit,
}

impl ChunkError {
    /// The fault in words.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::SizeInvalid => "a chunk size is not a hexadecimal number",
            Self::SizeOverLimit => "a chunk size has too many digits",
            Self::LineEndInvalid => "a line of the chunked body does not end in CR LF",
            Self::ExtensionInvalid => "a chunk extension is malformed",
            Self::ExtensionOverLimit => "the chunk extensions are too long",
            Self::FramingOverLimit => "the chunks are too small for the bytes around them",
            Self::TrailerInvalid => "a trailer field is malformed",
            Self::TrailerOverLimit => "the trailer fields are too many or too long",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The first digit, or a further one.
    ExpectSize,
    /// After `;`: the first byte of a name.
    ExpectExtensionName,
    ExtensionName,
    /// After `=`: a token or a quoted text.
    ExpectExtensionValue,
    ExtensionValue,
    ExtensionQuoted,
    ExtensionEscape,
    /// After a closing quote: another extension or the line's end.
    ExpectExtensionEnd,
    ExpectSizeLineFeed,
    /// `remaining` bytes of data.
    ExpectData,
    ExpectDataReturn,
    ExpectDataLineFeed,
    /// At the start of a trailer line, or of the last line of all.
    ExpectTrailer,
    TrailerName,
    TrailerValue,
    ExpectTrailerLineFeed,
    ExpectLastLineFeed,
    Ended,
}

/// The state between two pieces of a body. One for each body.
#[derive(Clone, Debug)]
pub struct Decoder {
    state: State,
    remaining: u64,
    digit_count: usize,
    extension_size: usize,
    framing_size: u64,
    data_size: u64,
    trailer_size: usize,
    trailer_count: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    #[must_use]
    pub const fn new() -> Self {
        Self {
            state: State::ExpectSize,
            remaining: 0,
            digit_count: 0,
            extension_size: 0,
            framing_size: 0,
            data_size: 0,
            trailer_size: 0,
            trailer_count: 0,
        }
    }

    /// Bytes of the current chunk that are still to come: what the body will need at least.
    #[must_use]
    pub fn announced(&self) -> u64 {
        match self.state {
            State::ExpectData => self.remaining,
            _ => 0,
        }
    }

    /// Looks at `input`, which goes on where the last step stopped consuming. Must not be called
    /// again after an error; after the end it consumes nothing.
    pub fn step(&mut self, input: &[u8]) -> Result<ChunkStep, ChunkError> {
        for (index, &byte) in input.iter().enumerate() {
            match self.state {
                State::ExpectData => {
                    let here = (input.len() - index) as u64;
                    let taken = here.min(self.remaining);
                    self.remaining -= taken;
                    self.data_size += taken;
                    if self.remaining == 0 {
                        self.state = State::ExpectDataReturn;
                    }
                    return Ok(ChunkStep::Data { start: index, end: index + limits::size(taken) });
                }
                State::Ended => return Ok(ChunkStep::End { consumed: index }),
                _ => {
                    self.framing_size += 1;
                    self.handle_framing(byte)?;
                    if self.state == State::Ended {
                        return Ok(ChunkStep::End { consumed: index + 1 });
                    }
                }
            }
        }
        match self.state {
            State::Ended => Ok(ChunkStep::End { consumed: input.len() }),
            _ => Ok(ChunkStep::NeedMore { consumed: input.len() }),
        }
    }

    fn handle_framing(&mut self, byte: u8) -> Result<(), ChunkError> {
        self.state = match self.state {
            State::ExpectSize => return self.handle_size(byte),
            State::ExpectExtensionName
            | State::ExtensionName
            | State::ExpectExtensionValue
            | State::ExtensionValue
            | State::ExtensionQuoted
            | State::ExtensionEscape
            | State::ExpectExtensionEnd => return self.handle_extension(byte),
            State::ExpectSizeLineFeed => {
                expect(byte, b'\n')?;
                self.check_framing()?;
                self.digit_count = 0;
                if self.remaining == 0 { State::ExpectTrailer } else { State::ExpectData }
            }
            State::ExpectDataReturn => {
                expect(byte, b'\r')?;
                State::ExpectDataLineFeed
            }
            State::ExpectDataLineFeed => {
                expect(byte, b'\n')?;
                State::ExpectSize
            }
            State::ExpectTrailer
            | State::TrailerName
            | State::TrailerValue
            | State::ExpectTrailerLineFeed => return self.handle_trailer(byte),
            State::ExpectLastLineFeed => {
                expect(byte, b'\n')?;
                State::Ended
            }
            State::ExpectData | State::Ended => self.state,
        };
        Ok(())
    }

    fn handle_size(&mut self, byte: u8) -> Result<(), ChunkError> {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            b'\r' | b';' if self.digit_count > 0 => {
                self.state = if byte == b'\r' {
                    State::ExpectSizeLineFeed
                } else {
                    State::ExpectExtensionName
                };
                return Ok(());
            }
            b'\n' if self.digit_count > 0 => return Err(ChunkError::LineEndInvalid),
            _ => return Err(ChunkError::SizeInvalid),
        };
        // Sixteen digits fill 64 bits exactly: the shift below loses nothing.
        const { assert!(limits::CHUNK_SIZE_DIGIT_COUNT_MAX * 4 <= 64) };
        if self.digit_count == limits::CHUNK_SIZE_DIGIT_COUNT_MAX {
            return Err(ChunkError::SizeOverLimit);
        }
        if self.digit_count == 0 {
            self.remaining = 0;
        }
        self.digit_count += 1;
        self.remaining = (self.remaining << 4) | u64::from(digit);
        Ok(())
    }

    fn handle_extension(&mut self, byte: u8) -> Result<(), ChunkError> {
        self.extension_size += 1;
        if self.extension_size > limits::CHUNK_EXTENSION_SIZE_MAX {
            return Err(ChunkError::ExtensionOverLimit);
        }
        self.state = match (self.state, byte) {
            (State::ExpectExtensionName | State::ExtensionName, _) if is_token_byte(byte) => {
                State::ExtensionName
            }
            (State::ExtensionName, b'=') => State::ExpectExtensionValue,
            (State::ExpectExtensionValue, b'"') => State::ExtensionQuoted,
            (State::ExpectExtensionValue | State::ExtensionValue, _) if is_token_byte(byte) => {
                State::ExtensionValue
            }
            (State::ExtensionQuoted, b'"') => State::ExpectExtensionEnd,
            (State::ExtensionQuoted, b'\\') => State::ExtensionEscape,
            (State::ExtensionQuoted | State::ExtensionEscape, b'\t' | b' '..=0x7e | 0x80..) => {
                State::ExtensionQuoted
            }
            (State::ExtensionName | State::ExtensionValue | State::ExpectExtensionEnd, b';') => {
                State::ExpectExtensionName
            }
            (State::ExtensionName | State::ExtensionValue | State::ExpectExtensionEnd, b'\r') => {
                State::ExpectSizeLineFeed
            }
            (_, b'\n') => return Err(ChunkError::LineEndInvalid),
            _ => return Err(ChunkError::ExtensionInvalid),
        };
        Ok(())
    }

    fn handle_trailer(&mut self, byte: u8) -> Result<(), ChunkError> {
        self.trailer_size += 1;
        if self.trailer_size > limits::TRAILER_SIZE_MAX {
            return Err(ChunkError::TrailerOverLimit);
        }
        self.state = match (self.state, byte) {
            (State::ExpectTrailer, b'\r') => State::ExpectLastLineFeed,
            (State::ExpectTrailer, _) if is_token_byte(byte) => {
                self.trailer_count += 1;
                if self.trailer_count > limits::HEAD_FIELD_COUNT_MAX {
                    return Err(ChunkError::TrailerOverLimit);
                }
                State::TrailerName
            }
            (State::TrailerName, _) if is_token_byte(byte) => State::TrailerName,
            (State::TrailerName, b':') => State::TrailerValue,
            (State::TrailerValue, b'\r') => State::ExpectTrailerLineFeed,
            (State::TrailerValue, b'\t' | b' '..=0x7e | 0x80..) => State::TrailerValue,
            (State::ExpectTrailerLineFeed, b'\n') => State::ExpectTrailer,
            (_, b'\n') | (State::ExpectTrailerLineFeed, _) => {
                return Err(ChunkError::LineEndInvalid);
            }
            _ => return Err(ChunkError::TrailerInvalid),
        };
        Ok(())
    }

    /// Very many tiny chunks cost us more than they cost the sender.
    fn check_framing(&self) -> Result<(), ChunkError> {
        let free = limits::CHUNK_FRAMING_SIZE_FREE as u64;
        let ratio = limits::CHUNK_FRAMING_RATIO_MAX as u64;
        // What the coming chunk announces is not yet paid for.
        if self.framing_size > free && self.framing_size / ratio > self.data_size {
            return Err(ChunkError::FramingOverLimit);
        }
        Ok(())
    }
}

fn expect(byte: u8, wanted: u8) -> Result<(), ChunkError> {
    if byte == wanted { Ok(()) } else { Err(ChunkError::LineEndInvalid) }
}
