//! Texts that repeat: attribute keys, service names, severities. Each stands once; rows hold its number.
//!
//! Place: under the columns of one part. Numbers are valid until the part is written. Parquet gets
//! such a column as a dictionary, so no row copies the text. The hash is seeded with a secret: keys
//! come from peers, who could otherwise make them collide.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::text::{TextColumn, append_text, at, place};

/// Slots are a power of two, at most half full.
const SLOT_COUNT_MIN: usize = 256;

pub(super) struct Interner {
    /// Number of the text plus one; 0 is free.
    slots: Vec<u32>,
    hashes: Vec<u64>,
    texts: TextColumn,
    /// For each text, the map cell that used it last and where: finds a repeated key at once.
    pub(super) stamps: Vec<(u64, u32)>,
    seed: u64,
    /// Texts in which bad UTF-8 was replaced.
    pub(super) replaced: u64,
}

impl Interner {
    /// The number of the empty text.
    pub(super) const EMPTY: u32 = 0;

    pub(super) fn new(seed: u64) -> Self {
        let mut interner = Self {
            slots: vec![0; SLOT_COUNT_MIN],
            hashes: Vec::new(),
            texts: TextColumn::default(),
            stamps: Vec::new(),
            seed,
            replaced: 0,
        };
        let empty = interner.intern(b"");
        debug_assert_eq!(empty, Self::EMPTY);
        interner
    }

    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }

    pub(super) fn text(&self, number: u32) -> &[u8] {
        self.texts.row(at(number))
    }

    #[inline]
    pub(super) fn intern(&mut self, bytes: &[u8]) -> u32 {
        let hash = xxh3_64_with_seed(bytes, self.seed);
        let mut slot = self.slot(hash);
        loop {
            let number = self.slots[slot];
            if number == 0 {
                return self.insert(bytes, hash, slot);
            }
            if self.hashes[at(number - 1)] == hash && self.text(number - 1) == bytes {
                return number - 1;
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "masked by the slot count")]
    fn slot(&self, hash: u64) -> usize {
        hash as usize & (self.slots.len() - 1)
    }

    #[cold]
    fn insert(&mut self, bytes: &[u8], hash: u64, slot: usize) -> u32 {
        if std::str::from_utf8(bytes).is_err() {
            // The repaired text has a hash and perhaps a number of its own.
            self.replaced += 1;
            return self.intern(super::text::repaired(bytes).as_bytes());
        }
        append_text(&mut self.texts.bytes, bytes);
        self.texts.end_row();
        self.hashes.push(hash);
        self.stamps.push((0, 0));
        self.slots[slot] = place(self.texts.len());
        if self.texts.len() * 2 > self.slots.len() {
            self.grow();
        }
        place(self.texts.len() - 1)
    }

    fn grow(&mut self) {
        let count = self.slots.len() * 2;
        self.slots.clear();
        self.slots.resize(count, 0);
        for number in 0..self.texts.len() {
            let mut slot = self.slot(self.hashes[number]);
            while self.slots[slot] != 0 {
                slot = (slot + 1) & (count - 1);
            }
            self.slots[slot] = place(number + 1);
        }
    }

    /// Bytes of the texts.
    pub(super) const fn text_size(&self) -> usize {
        self.texts.bytes.len()
    }

    pub(super) fn size(&self) -> usize {
        self.slots.len() * 4 + self.hashes.len() * 24 + self.texts.size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_share_a_number_through_growth_and_repair() {
        let mut interner = Interner::new(7);
        assert_eq!(interner.intern(b""), Interner::EMPTY);
        let numbers: Vec<u32> =
            (0..5000).map(|index| interner.intern(format!("key.{index}").as_bytes())).collect();
        for (index, &number) in numbers.iter().enumerate() {
            let text = format!("key.{index}");
            assert_eq!(interner.intern(text.as_bytes()), number);
            assert_eq!(interner.text(number), text.as_bytes());
        }
        let repaired = interner.intern("a\u{fffd}".as_bytes());
        assert_eq!(interner.intern(b"a\xff"), repaired);
        assert_eq!(interner.intern(b"a\xfe"), repaired);
        assert_eq!((interner.replaced, interner.len()), (2, 5002));
    }
}
