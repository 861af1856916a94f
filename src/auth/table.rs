//! Digests of all keys, laid out for one look-up.
//!
//! Keys are never kept: only their BLAKE3 digests, keyed with a secret of this installation, so that
//! neither the table nor its file lets anyone guess keys, and so that no sender can aim at one slot.

use std::sync::atomic::{AtomicU64, Ordering};

use subtle::ConstantTimeEq;

/// The keyed digest of a key's bytes.
pub type Digest = [u8; 32];

/// Digests to tenants: open addressing over the digests' first bytes, at most half full.
#[derive(Clone)]
pub struct KeyTable {
    secret: [u8; 32],
    slots: Box<[Slot]>,
    mask: usize,
    generation: u64,
}

#[derive(Clone, Copy)]
struct Slot {
    digest: Digest,
    tenant: Option<u32>,
}

/// Tells tables apart, so that what was remembered of one is not believed of the next.
static GENERATION: AtomicU64 = AtomicU64::new(1);

impl KeyTable {
    /// Builds the table. Of two entries with one digest the first holds.
    pub fn new(secret: &[u8; 32], entries: impl Iterator<Item = (Digest, u32)>) -> Self {
        let entries: Vec<(Digest, u32)> = entries.collect();
        let size = (entries.len() * 2).next_power_of_two().max(8);
        let slots = vec![Slot { digest: [0; 32], tenant: None }; size].into_boxed_slice();
        let generation = GENERATION.fetch_add(1, Ordering::Relaxed);
        let mut table = Self { secret: *secret, slots, mask: size - 1, generation };
        for (digest, tenant) in entries {
            table.insert(digest, tenant);
        }
        table
    }

    fn insert(&mut self, digest: Digest, tenant: u32) {
        for step in 0..=self.mask {
            let index = (start(&digest) + step) & self.mask;
            match self.slots.get_mut(index) {
                Some(slot) if slot.tenant.is_none() => {
                    *slot = Slot { digest, tenant: Some(tenant) };
                    return;
                }
                Some(slot) if slot.digest == digest => return,
                _ => {}
            }
        }
    }

    /// The digest under which a key is filed.
    #[must_use]
    pub fn digest(secret: &[u8; 32], key: &[u8]) -> Digest {
        *blake3::keyed_hash(secret, key).as_bytes()
    }

    /// The tenant of a key. How long it takes tells nothing about how near a wrong key came.
    #[must_use]
    pub fn lookup(&self, secret_bytes: &[u8]) -> Option<u32> {
        let digest = Self::digest(&self.secret, secret_bytes);
        for step in 0..=self.mask {
            let slot = self.slots.get((start(&digest) + step) & self.mask)?;
            let tenant = slot.tenant?;
            if equal_words(&slot.digest, &digest) {
                return Some(tenant);
            }
        }
        None
    }

    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }
}

/// Equality in a time that does not depend on the content: eight bytes at once, where `subtle` takes
/// a slice byte by byte.
pub(super) fn equal_words<const SIZE: usize>(left: &[u8; SIZE], right: &[u8; SIZE]) -> bool {
    const { assert!(SIZE.is_multiple_of(8)) };
    let (left, right) = (left.as_chunks::<8>().0, right.as_chunks::<8>().0);
    let difference = left.iter().zip(right).fold(0, |difference, (left, right)| {
        difference | (u64::from_le_bytes(*left) ^ u64::from_le_bytes(*right))
    });
    difference.ct_eq(&0).into()
}

fn start(digest: &Digest) -> usize {
    let [a, b, c, d, e, f, g, h, ..] = *digest;
    crate::limits::size(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
}

impl std::fmt::Debug for KeyTable {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("KeyTable").field("slots", &self.slots.len()).finish_non_exhaustive()
    }
}
