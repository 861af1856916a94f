//! A body on its way in, behind room for its entry header and its envelope.
//!
//! ```text
//!  header room │ envelope │ body so far │ … up to `end`, or growing through size classes
//! ```

use crate::buffer::{AlignedBuffer, Pool, PoolError};
use crate::http::http1::chunked::Decoder;
use crate::ingest::Admission;
use crate::journal::format::ENTRY_HEADER_SIZE;
use crate::limits::{BODY_CLASS_SIZE_MIN, BODY_RATE_MIN, BODY_RATE_WINDOW, KIB, size};
use crate::ring::clock::Now;

/// A rest at least this long is received in place.
const IN_PLACE_SIZE_MIN: usize = 24 * KIB;

pub struct BodyState {
    pub admission: Admission,
    pub sequence: u64,
    buffer: Option<AlignedBuffer>,
    /// Where a body of known length ends in the buffer.
    end: Option<usize>,
    pub chunked: Decoder,
    alignment: usize,
    /// Bytes since the rate window began.
    window_bytes: usize,
}

impl BodyState {
    /// `length` is `None` for a chunked body.
    pub fn new(admission: Admission, sequence: u64, length: Option<u64>, alignment: usize) -> Self {
        let end = length.map(|length| admission.front() + size(length));
        Self {
            admission,
            sequence,
            buffer: None,
            end,
            chunked: Decoder::new(),
            alignment,
            window_bytes: 0,
        }
    }

    /// Bytes of memory that the body needs first.
    pub fn needed(&self) -> usize {
        match self.end {
            Some(end) => end.next_multiple_of(self.alignment),
            None => self.admission.front() + BODY_CLASS_SIZE_MIN - 8 * KIB,
        }
    }

    /// Takes the memory, and puts the envelope in front.
    pub fn begin(&mut self, mut buffer: AlignedBuffer, envelope: &[u8]) {
        buffer.clear();
        buffer.extend_from_slice(&[0; ENTRY_HEADER_SIZE]);
        buffer.extend_from_slice(envelope);
        self.buffer = Some(buffer);
    }

    pub const fn is_chunked(&self) -> bool {
        self.end.is_none()
    }

    fn length(&self) -> usize {
        self.buffer.as_ref().map_or(0, AlignedBuffer::len)
    }

    /// Bytes of a body of known length that are still to come.
    pub fn missing(&self) -> usize {
        self.end.map_or(0, |end| end - self.length())
    }

    pub fn is_complete(&self) -> bool {
        self.end.is_some_and(|end| self.length() >= end)
    }

    /// Appends bytes of a body of known length; the caller cut them to `missing`.
    pub fn append(&mut self, bytes: &[u8]) {
        if let Some(buffer) = &mut self.buffer {
            buffer.extend_from_slice(bytes);
        }
    }

    /// Appends bytes of a chunked body, moving it to a larger class where it must. The next class is
    /// taken before the old one returns.
    pub fn append_growing(&mut self, bytes: &[u8], pool: &mut Pool) -> Result<(), PoolError> {
        self.reserve(self.length() + bytes.len(), pool)?;
        self.append(bytes);
        Ok(())
    }

    /// Moves to memory for `total` bytes, header room and envelope counted, if there is less.
    pub fn reserve(&mut self, total: usize, pool: &mut Pool) -> Result<(), PoolError> {
        let Some(buffer) = &mut self.buffer else { return Ok(()) };
        let needed = total.next_multiple_of(self.alignment);
        if needed > buffer.capacity() {
            let mut larger = pool.acquire_body(needed)?;
            larger.extend_from_slice(buffer.as_slice());
            pool.release(std::mem::replace(buffer, larger));
        }
        Ok(())
    }

    /// Makes room for `more` bytes.
    pub fn grow(&mut self, more: usize, pool: &mut Pool) -> Result<(), PoolError> {
        self.reserve(self.length() + more, pool)
    }

    /// Bytes that fit without growing.
    pub fn room(&self) -> usize {
        self.buffer.as_ref().map_or(0, AlignedBuffer::remaining)
    }

    pub const fn has_buffer(&self) -> bool {
        self.buffer.is_some()
    }

    /// Bytes of the body so far.
    pub fn body_length(&self) -> usize {
        self.length().saturating_sub(self.admission.front())
    }

    /// Where a receive in place may end, if one pays.
    pub fn in_place_end(&self) -> Option<usize> {
        let end = self.end?;
        (self.buffer.is_none() || end - self.length() >= IN_PLACE_SIZE_MIN).then_some(end)
    }

    pub fn take_buffer(&mut self) -> Option<AlignedBuffer> {
        self.buffer.take()
    }

    pub fn put_back(&mut self, buffer: AlignedBuffer) {
        self.buffer = Some(buffer);
    }

    /// Counts progress; answers when the rate window began.
    pub fn note_progress(&mut self, count: usize, since_nanos: u64, now: Now) -> u64 {
        self.window_bytes += count;
        if self.window_bytes >= BODY_RATE_MIN * size(BODY_RATE_WINDOW.as_secs()) {
            self.window_bytes = 0;
            return now.monotonic_nanos;
        }
        since_nanos
    }
}
