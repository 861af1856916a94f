//! One aligned piece of memory with an explicit filled length.
//!
//! ```text
//!   start (aligned)                              capacity (a multiple of the alignment)
//!   ├──────────── filled ────────────┤─ unwritten ─┤
//! ```
//!
//! All bytes are initialised (zeroed once, then reused), so that a buffer handed to the device never
//! carries memory that nobody wrote.

#![allow(unsafe_code, reason = "the one place that allocates memory with an alignment")]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::slice;

pub struct AlignedBuffer {
    start: NonNull<u8>,
    layout: Layout,
    filled: usize,
}

// SAFETY: the memory is owned by this value alone; nothing in it is bound to a thread.
unsafe impl Send for AlignedBuffer {}

impl AlignedBuffer {
    /// Zeroed memory of `capacity` bytes rounded up to `alignment`, a power of two.
    pub fn new(capacity: usize, alignment: usize) -> Self {
        assert!(alignment.is_power_of_two());
        assert!(capacity > 0);
        let capacity = capacity.next_multiple_of(alignment);
        let layout = Layout::from_size_align(capacity, alignment)
            .expect("a capacity bounded by limits.rs and a power of two make a layout");
        // SAFETY: the layout's size is not zero, asserted above.
        let start = unsafe { alloc_zeroed(layout) };
        let Some(start) = NonNull::new(start) else { handle_alloc_error(layout) };
        Self { start, layout, filled: 0 }
    }

    pub const fn capacity(&self) -> usize {
        self.layout.size()
    }

    pub const fn alignment(&self) -> usize {
        self.layout.align()
    }

    pub const fn len(&self) -> usize {
        self.filled
    }

    pub const fn is_empty(&self) -> bool {
        self.filled == 0
    }

    pub const fn remaining(&self) -> usize {
        self.capacity() - self.filled
    }

    pub fn clear(&mut self) {
        self.filled = 0;
    }

    /// Declares the first `filled` bytes as content; what lies beyond keeps its old bytes.
    pub fn set_len(&mut self, filled: usize) {
        assert!(filled <= self.capacity());
        self.filled = filled;
    }

    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        let from = self.filled;
        self.whole_mut()[from..from + bytes.len()].copy_from_slice(bytes);
        self.filled = from + bytes.len();
    }

    /// Fills with zeros up to the next multiple of `alignment`.
    pub fn pad_to(&mut self, alignment: usize) {
        let from = self.filled;
        let to = from.next_multiple_of(alignment);
        self.whole_mut()[from..to].fill(0);
        self.filled = to;
    }

    /// The content.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `filled <= capacity` is asserted by `set_len` and by the slices of the writers;
        // all bytes are initialised since `alloc_zeroed`.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.filled) }
    }

    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        let filled = self.filled;
        &mut self.whole_mut()[..filled]
    }

    /// The whole capacity, content or not.
    pub fn whole_mut(&mut self) -> &mut [u8] {
        // SAFETY: the allocation has exactly this many initialised bytes and `self` is borrowed
        // exclusively.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.layout.size()) }
    }

    /// For the kernel. Valid while the buffer lives; the ring holds it until the completion.
    pub(crate) const fn as_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }
}

impl Drop for AlignedBuffer {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this very layout and never freed elsewhere.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

impl std::fmt::Debug for AlignedBuffer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "AlignedBuffer({} of {})", self.filled, self.capacity())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_aligned_zeroed_and_padded() {
        let mut buffer = AlignedBuffer::new(5000, 4096);
        assert_eq!(buffer.capacity(), 8192);
        assert_eq!(buffer.as_ptr() as usize % 4096, 0);
        assert!(buffer.whole_mut().iter().all(|&byte| byte == 0));
        buffer.extend_from_slice(b"abc");
        buffer.whole_mut()[3] = 7;
        buffer.pad_to(512);
        assert_eq!(buffer.len(), 512);
        assert_eq!(&buffer.as_slice()[..4], b"abc\0", "padding overwrites what lay there");
        buffer.clear();
        assert_eq!((buffer.len(), buffer.remaining()), (0, 8192));
    }
}
