//! Memory for replies, lent by the shard: a connection that has nothing to say holds none.

use crate::limits::{REPLY_BUFFER_COUNT, REPLY_BUFFER_SIZE_MAX};

#[derive(Default)]
pub struct Buffers {
    free: Vec<Vec<u8>>,
}

impl Buffers {
    /// Makes sure that `buffer` has memory.
    pub fn lend(&mut self, buffer: &mut Vec<u8>) {
        if buffer.capacity() == 0
            && let Some(free) = self.free.pop()
        {
            *buffer = free;
        }
    }

    /// Takes a buffer back; an uncommonly large one, or one too many, is not kept.
    pub fn take_back(&mut self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        if capacity > 0 && capacity <= REPLY_BUFFER_SIZE_MAX && self.free.len() < REPLY_BUFFER_COUNT
        {
            buffer.clear();
            self.free.push(buffer);
        }
    }

    /// Takes back what holds nothing.
    pub fn take_back_empty(&mut self, buffer: &mut Vec<u8>) {
        if buffer.is_empty() {
            self.take_back(std::mem::take(buffer));
        }
    }
}
