//! Huffman-coded strings (RFC 7541, section 5.2), four bits at a time.

use super::HpackError;
use super::tables::HUFFMAN_CODES;

/// Inner nodes of the code's tree: one less than its leaves.
const NODE_COUNT: usize = 256;
const END_OF_STRING: u16 = 256;

/// What four bits do in a state.
#[derive(Clone, Copy)]
struct Step {
    next: u8,
    /// The byte that they complete, if any.
    byte: Option<u8>,
    /// They complete the end of string, which must not stand in one.
    ends: bool,
    /// The string may end behind them: fewer than eight bits of padding, all of them ones.
    is_final: bool,
}

/// A child of a node: another node, or a leaf with 512 added.
type Child = u16;
const LEAF: u16 = 512;
const NONE: u16 = u16::MAX;

#[allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "evaluated at compile time, where a wrong index does not compile"
)]
const fn tree() -> [[Child; 2]; NODE_COUNT] {
    let mut nodes = [[NONE; 2]; NODE_COUNT];
    let mut count = 1;
    let mut symbol = 0;
    while symbol < HUFFMAN_CODES.len() {
        let (code, length) = HUFFMAN_CODES[symbol];
        let mut node = 0;
        let mut bit = length;
        while bit > 1 {
            bit -= 1;
            let side = (code >> bit & 1) as usize;
            if nodes[node][side] == NONE {
                nodes[node][side] = count as u16;
                count += 1;
            }
            node = nodes[node][side] as usize;
        }
        nodes[node][(code & 1) as usize] = LEAF + symbol as u16;
        symbol += 1;
    }
    assert!(count == NODE_COUNT);
    nodes
}

#[allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "evaluated at compile time, where a wrong index does not compile"
)]
const fn steps() -> [[Step; 16]; NODE_COUNT] {
    let nodes = tree();
    let nothing = Step { next: 0, byte: None, ends: false, is_final: false };
    let mut steps = [[nothing; 16]; NODE_COUNT];
    // Nodes on the way of ones only, and their depth.
    let mut padding = [false; NODE_COUNT];
    let (mut node, mut depth) = (0, 0);
    while depth < 8 {
        padding[node] = true;
        node = nodes[node][1] as usize;
        depth += 1;
    }
    let mut start = 0;
    while start < NODE_COUNT {
        let mut nibble = 0;
        while nibble < 16 {
            let mut step = nothing;
            let mut node = start;
            let mut bit = 4;
            while bit > 0 {
                bit -= 1;
                let child = nodes[node][nibble >> bit & 1];
                if child >= LEAF {
                    match child - LEAF {
                        END_OF_STRING => step.ends = true,
                        symbol => step.byte = Some(symbol as u8),
                    }
                    node = 0;
                } else {
                    node = child as usize;
                }
            }
            step.next = node as u8;
            step.is_final = padding[node];
            steps[start][nibble] = step;
            nibble += 1;
        }
        start += 1;
    }
    steps
}

static STEPS: [[Step; 16]; NODE_COUNT] = steps();

/// Appends the decoded string, at most `room` bytes of it: what is over the limit is only checked.
/// Answers with its true length.
pub fn decode(coded: &[u8], room: usize, into: &mut Vec<u8>) -> Result<usize, HpackError> {
    let mut state = 0u8;
    let mut is_final = true;
    let mut length = 0;
    for &byte in coded {
        for nibble in [byte >> 4, byte & 15] {
            let step = STEPS.get(usize::from(state)).and_then(|row| row.get(usize::from(nibble)));
            let Some(step) = step else { return Err(HpackError::HuffmanPadding) };
            if step.ends {
                return Err(HpackError::HuffmanEndOfString);
            }
            if let Some(byte) = step.byte {
                if length < room {
                    into.push(byte);
                }
                length += 1;
            }
            state = step.next;
            is_final = step.is_final;
        }
    }
    if is_final { Ok(length) } else { Err(HpackError::HuffmanPadding) }
}
