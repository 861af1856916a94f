//! A second look at a deflate stream (RFC 1951) that libdeflate refused: is it cut, or wrong, and where.
//!
//! Place: behind a failure in [`super::inflate`], never on the way of a good body. It decodes symbol
//! by symbol and keeps nothing but the length of the output, so it is slow and needs no memory; its
//! work is bounded, as a peer can send bad bodies as fast as good ones.

/// Symbols looked at: about 3 ms. Beyond them a cut body is called corrupt at its start.
const SYMBOL_COUNT_MAX: usize = 64 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Walk {
    /// The input ends before the stream does.
    Truncated,
    /// A fault, near this byte.
    Corrupt { at: usize },
    /// Nothing wrong as far as we looked.
    Unknown,
}

/// Walks `input`, which some decoder refused.
#[cold]
pub(super) fn walk(input: &[u8]) -> Walk {
    let mut bits = Bits { input, at: 0, held: 0, count: 0 };
    match walk_blocks(&mut bits) {
        Ok(()) => Walk::Unknown,
        Err(Stop::Truncated) => Walk::Truncated,
        Err(Stop::Corrupt) => Walk::Corrupt { at: bits.at.saturating_sub(1) },
        Err(Stop::Tired) => Walk::Unknown,
    }
}

enum Stop {
    Truncated,
    Corrupt,
    Tired,
}

struct Bits<'a> {
    input: &'a [u8],
    at: usize,
    held: u32,
    count: u32,
}

impl Bits<'_> {
    /// Up to 16 bits, least significant first.
    fn take(&mut self, count: u32) -> Result<usize, Stop> {
        while self.count < count {
            let byte = *self.input.get(self.at).ok_or(Stop::Truncated)?;
            self.at += 1;
            self.held |= u32::from(byte) << self.count;
            self.count += 8;
        }
        let value = self.held & ((1 << count) - 1);
        self.held >>= count;
        self.count -= count;
        Ok(value as usize)
    }

    fn skip_to_byte(&mut self) {
        self.held = 0;
        self.count = 0;
    }
}

/// A canonical code: how many codes of each length, and the symbols in the order of their codes.
struct Code {
    counts: [u16; 16],
    symbols: [u16; 288],
}

impl Code {
    fn new(lengths: &[u8]) -> Result<Self, Stop> {
        let mut code = Self { counts: [0; 16], symbols: [0; 288] };
        for &length in lengths {
            if let Some(count) = code.counts.get_mut(usize::from(length)) {
                *count += 1;
            }
        }
        let mut free = 1i32;
        for &count in code.counts.iter().skip(1) {
            free = free * 2 - i32::from(count);
            if free < 0 {
                return Err(Stop::Corrupt);
            }
        }
        let mut place = 0;
        for wanted in 1..=15u8 {
            for (symbol, _) in (0u16..).zip(lengths).filter(|(_, length)| **length == wanted) {
                if let Some(slot) = code.symbols.get_mut(place) {
                    *slot = symbol;
                }
                place += 1;
            }
        }
        Ok(code)
    }

    fn read(&self, bits: &mut Bits<'_>) -> Result<usize, Stop> {
        let (mut value, mut first, mut place) = (0usize, 0usize, 0usize);
        for &count in self.counts.iter().skip(1) {
            let count = usize::from(count);
            value |= bits.take(1)?;
            if value < first + count {
                let symbol = self.symbols.get(place + value - first).ok_or(Stop::Corrupt)?;
                return Ok(usize::from(*symbol));
            }
            place += count;
            first = (first + count) << 1;
            value <<= 1;
        }
        Err(Stop::Corrupt)
    }
}

fn walk_blocks(bits: &mut Bits<'_>) -> Result<(), Stop> {
    let mut produced = 0usize;
    let mut budget = SYMBOL_COUNT_MAX;
    loop {
        let is_last = bits.take(1)? == 1;
        match bits.take(2)? {
            0 => {
                bits.skip_to_byte();
                let (size, complement) = (bits.take(16)?, bits.take(16)?);
                if size != complement ^ 0xffff {
                    return Err(Stop::Corrupt);
                }
                bits.at += size;
                if bits.at > bits.input.len() {
                    return Err(Stop::Truncated);
                }
                produced += size;
                budget = budget.checked_sub(1).ok_or(Stop::Tired)?;
            }
            1 => {
                let mut lengths = [8u8; 288];
                for (symbol, length) in lengths.iter_mut().enumerate() {
                    *length = match symbol {
                        0..=143 => 8,
                        144..=255 => 9,
                        256..=279 => 7,
                        _ => 8,
                    };
                }
                let code = Code::new(&lengths)?;
                walk_symbols(bits, &code, &Code::new(&[5; 30])?, &mut produced, &mut budget)?;
            }
            2 => {
                let (literals, distances) = read_codes(bits)?;
                budget = budget.checked_sub(64).ok_or(Stop::Tired)?;
                walk_symbols(bits, &literals, &distances, &mut produced, &mut budget)?;
            }
            _ => return Err(Stop::Corrupt),
        }
        if is_last {
            return Ok(());
        }
    }
}

/// RFC 1951, section 3.2.7.
fn read_codes(bits: &mut Bits<'_>) -> Result<(Code, Code), Stop> {
    const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    let literal_count = bits.take(5)? + 257;
    let distance_count = bits.take(5)? + 1;
    let order_count = bits.take(4)? + 4;
    let mut lengths = [0u8; 19];
    for &place in ORDER.iter().take(order_count) {
        let length = bits.take(3)?;
        if let Some(slot) = lengths.get_mut(place) {
            *slot = u8::try_from(length).unwrap_or_default();
        }
    }
    let lengths_code = Code::new(&lengths)?;
    let mut lengths = [0u8; 320];
    let wanted = literal_count + distance_count;
    let (mut filled, mut last) = (0, 0u8);
    while filled < wanted {
        let (value, repeat) = match lengths_code.read(bits)? {
            symbol @ 0..=15 => (u8::try_from(symbol).unwrap_or_default(), 1),
            16 if filled == 0 => return Err(Stop::Corrupt),
            16 => (last, 3 + bits.take(2)?),
            17 => (0, 3 + bits.take(3)?),
            _ => (0, 11 + bits.take(7)?),
        };
        last = value;
        if filled + repeat > wanted {
            return Err(Stop::Corrupt);
        }
        lengths.get_mut(filled..filled + repeat).ok_or(Stop::Corrupt)?.fill(value);
        filled += repeat;
    }
    let (literals, rest) = lengths.split_at_checked(literal_count).ok_or(Stop::Corrupt)?;
    let distances = rest.get(..distance_count).ok_or(Stop::Corrupt)?;
    if literal_count > 286 || literals.get(256) == Some(&0) {
        return Err(Stop::Corrupt);
    }
    Ok((Code::new(literals)?, Code::new(distances)?))
}

fn walk_symbols(
    bits: &mut Bits<'_>,
    literals: &Code,
    distances: &Code,
    produced: &mut usize,
    budget: &mut usize,
) -> Result<(), Stop> {
    loop {
        *budget = budget.checked_sub(1).ok_or(Stop::Tired)?;
        match literals.read(bits)? {
            0..=255 => *produced += 1,
            256 => return Ok(()),
            symbol @ 257..=285 => {
                let (base, extra) = match symbol - 257 {
                    code @ 0..=7 => (3 + code, 0),
                    28 => (258, 0),
                    code => {
                        let extra = code / 4 - 1;
                        (3 + ((4 + code % 4) << extra), extra)
                    }
                };
                let length = base + bits.take(u32::try_from(extra).unwrap_or_default())?;
                let distance = match distances.read(bits)? {
                    code @ 0..=3 => 1 + code,
                    code @ 4..=29 => {
                        let extra = code / 2 - 1;
                        let more = bits.take(u32::try_from(extra).unwrap_or_default())?;
                        1 + ((2 + code % 2) << extra) + more
                    }
                    _ => return Err(Stop::Corrupt),
                };
                if distance > *produced {
                    return Err(Stop::Corrupt);
                }
                *produced += length;
            }
            _ => return Err(Stop::Corrupt),
        }
    }
}
