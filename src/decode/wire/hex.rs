//! Ids in hexadecimal.
#![deny(clippy::indexing_slicing)]

/// An id of exactly `SIZE` bytes in digits of either case, not all of them 0: that is no id.
#[must_use]
pub fn id<const SIZE: usize>(text: &[u8]) -> Option<[u8; SIZE]> {
    let mut id = [0; SIZE];
    let (digits, []) = text.as_chunks::<2>() else { return None };
    if digits.len() != SIZE {
        return None;
    }
    for (byte, [high, low]) in id.iter_mut().zip(digits) {
        let value = char::from(*high).to_digit(16)? << 4 | char::from(*low).to_digit(16)?;
        *byte = u8::try_from(value).ok()?;
    }
    (id != [0; SIZE]).then_some(id)
}
