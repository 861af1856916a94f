//! The process's heap, where a shard has something to say about it.

#![allow(unsafe_code, reason = "one call of the allocator that has no safe form")]

/// Gives free pages of this thread's heap back to the system. For a moment after much was freed: the
/// allocator does it by itself only when more is asked of it.
///
/// Without mimalloc as the allocator (in unit tests) there is nothing to give.
pub fn give_back() {
    // SAFETY: may be called at any time, on any thread; looks at the calling thread's heap alone.
    unsafe { libmimalloc_sys::mi_collect(false) };
}
