//! Descriptors between those who own them and a ring, which only knows their numbers.

#![allow(unsafe_code, reason = "the kernel hands descriptors out as numbers")]

use std::os::fd::{BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

/// An open socket or file. Whoever closes it is the last to use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Descriptor(pub RawFd);

/// Opens nothing: takes over a descriptor that a completion handed out.
///
/// The caller promises that nobody else owns it.
pub fn own(descriptor: Descriptor) -> OwnedFd {
    // SAFETY: accepted descriptors are handed out once, with their completion.
    unsafe { OwnedFd::from_raw_fd(descriptor.0) }
}

/// Gives up ownership so that the ring closes the descriptor.
pub fn disown(owned: OwnedFd) -> Descriptor {
    Descriptor(owned.into_raw_fd())
}

/// For system calls that have no place in a ring, such as socket options.
pub fn borrow(descriptor: &Descriptor) -> BorrowedFd<'_> {
    // SAFETY: the caller holds the descriptor open for as long as the borrow lasts.
    unsafe { BorrowedFd::borrow_raw(descriptor.0) }
}
