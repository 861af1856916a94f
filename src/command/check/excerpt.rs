//! A few bytes around a fault: as text where they are text, else in hexadecimal.

use std::io::{self, Write};

/// Bytes shown before the fault and after it.
const BEFORE: usize = 40;
const AFTER: usize = 32;
/// Bytes of a row in hexadecimal.
const ROW: usize = 16;

/// The neighbourhood of a fault, kept when the rest is gone.
pub(super) struct Place {
    what: &'static str,
    bytes: Vec<u8>,
    /// Of the fault in `bytes`.
    at: u64,
    /// Where `bytes` begin.
    base: u64,
}

impl Place {
    /// Around byte `at` of `bytes`, which stand `base` bytes behind the start.
    pub(super) fn around(what: &'static str, bytes: &[u8], at: u64, base: u64) -> Self {
        const KEPT: usize = 4 * ROW;
        let place = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
        let start = place.saturating_sub(KEPT) / ROW * ROW;
        let end = place.saturating_add(KEPT).min(bytes.len());
        Self {
            what,
            bytes: bytes.get(start..end).unwrap_or_default().to_vec(),
            at: (place - start) as u64,
            base: base + start as u64,
        }
    }

    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        write(self.what, &self.bytes, self.at, self.base, out)
    }
}

/// Writes the surroundings of byte `at`, which may lie at the end. `base` is added to places.
fn write(what: &str, bytes: &[u8], at: u64, base: u64, out: &mut impl Write) -> io::Result<()> {
    let at = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
    if bytes.is_empty() {
        return Ok(());
    }
    match line_around(bytes, at) {
        Some((before, after)) => {
            writeln!(out, "    {what}: {before}{after}")?;
            let blanks = what.chars().count() + 2 + before.chars().count();
            writeln!(out, "    {}^ byte {}", " ".repeat(blanks), at as u64 + base)
        }
        None => write_rows(what, bytes, at, base, out),
    }
}

/// The line of the fault before and behind it, if the neighbourhood is text.
fn line_around(bytes: &[u8], at: usize) -> Option<(String, String)> {
    let (before, after) = bytes.split_at_checked(at)?;
    let before = before.get(before.len().saturating_sub(BEFORE)..)?;
    text(before)?;
    let before = match memchr::memrchr(b'\n', before) {
        Some(end) => before.get(end + 1..)?,
        None => before,
    };
    let after = after.get(..after.len().min(AFTER))?;
    text(after)?;
    let after = match memchr::memchr(b'\n', after) {
        Some(end) => after.get(..end)?,
        None => after,
    };
    let (before, after) = (text(before)?, text(after)?);
    (!before.is_empty() || !after.is_empty()).then_some((before, after))
}

/// `None` where bytes are no text. Characters cut at either end are left out.
fn text(bytes: &[u8]) -> Option<String> {
    let mut start = 0;
    while start < 4 && bytes.get(start).is_some_and(|byte| byte & 0xc0 == 0x80) {
        start += 1;
    }
    let bytes = bytes.get(start..)?;
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(bytes.get(..error.valid_up_to())?).ok()?
        }
        Err(_) => return None,
    };
    if text.chars().any(|char| char.is_control() && !matches!(char, '\t' | '\r' | '\n')) {
        return None;
    }
    // One column each, so that the mark below stands right.
    Some(super::words::printable(&text.replace(['\t', '\r', '\n'], " ")))
}

fn write_rows(
    what: &str,
    bytes: &[u8],
    at: usize,
    base: u64,
    out: &mut impl Write,
) -> io::Result<()> {
    writeln!(out, "    {what}:")?;
    let row_of = at / ROW * ROW;
    let place = at as u64 + base;
    for start in [row_of.wrapping_sub(ROW), row_of, row_of + ROW] {
        let Some(row) = bytes.get(start..(start.saturating_add(ROW)).min(bytes.len())) else {
            if start == row_of {
                writeln!(out, "      {:width$}^ byte {place}, the end", "", width = 10)?;
            }
            continue;
        };
        if !row.is_empty() {
            let hex: Vec<String> = row.iter().map(|byte| format!("{byte:02x}")).collect();
            let text: String = row
                .iter()
                .map(|&byte| if (0x20..0x7f).contains(&byte) { char::from(byte) } else { '.' })
                .collect();
            writeln!(out, "      {:08x}  {:<47}  {text}", start as u64 + base, hex.join(" "))?;
        }
        if start == row_of {
            let blanks = 10 + 3 * (at - row_of);
            let end = if at == bytes.len() { ", the end" } else { "" };
            writeln!(out, "      {:blanks$}^ byte {place}{end}", "")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    fn written(bytes: &[u8], at: u64) -> String {
        let mut out = Vec::new();
        Place::around("payload", bytes, at, 0).write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_is_shown_as_its_line() {
        assert_eq!(
            written(b"[{\"a\":1},\n {\"b\":2},]\n", 20),
            "    payload:  {\"b\":2},]\n                       ^ byte 20\n"
        );
    }

    #[test]
    fn other_bytes_are_shown_in_rows() {
        let bytes: Vec<u8> = (0..40).collect();
        assert_eq!(
            written(&bytes, 17),
            "    payload:\n      \
             00000000  00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f  ................\n      \
             00000010  10 11 12 13 14 15 16 17 18 19 1a 1b 1c 1d 1e 1f  ................\n                   \
             ^ byte 17\n      \
             00000020  20 21 22 23 24 25 26 27                           !\"#$%&'\n"
        );
    }

    /// Offsets come from decoders; one past the end, or far past it, must not panic.
    #[test]
    fn every_place_of_every_length_can_be_shown() {
        for length in 0..70_u8 {
            let binary: Vec<u8> = (0..length).map(|byte| byte.wrapping_mul(37)).collect();
            let text = "aä\n".repeat(usize::from(length));
            for bytes in [&binary[..], text.as_bytes()] {
                for at in (0..80).chain([u64::MAX]) {
                    let shown = written(bytes, at);
                    let mark = at.min(bytes.len() as u64);
                    assert!(
                        bytes.is_empty() || shown.contains(&format!("^ byte {mark}")),
                        "{shown}"
                    );
                }
            }
        }
    }
}
