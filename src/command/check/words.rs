//! Numbers, times and names as a reader wants them.

use std::collections::BTreeSet;

use crate::decode::Verdict;

/// `1 series`, `2 log records`.
pub(super) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// What a body held, kind by kind.
pub(super) fn kept(verdict: &Verdict) -> String {
    let kinds = [
        (verdict.logs, "log record", "log records"),
        (verdict.spans, "span", "spans"),
        (verdict.samples, "sample", "samples"),
        (verdict.histograms, "histogram", "histograms"),
        (verdict.exemplars, "exemplar", "exemplars"),
        (verdict.metadata, "metadata record", "metadata records"),
    ];
    let parts: Vec<String> = kinds
        .iter()
        .filter(|(count, ..)| *count > 0)
        .map(|&(count, one, many)| counted(count, one, many))
        .collect();
    if parts.is_empty() { "no records".to_owned() } else { parts.join(", ") }
}

/// Text of a peer, made harmless for a terminal.
pub(super) fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            safe.extend(char.escape_default());
        } else {
            safe.push(char);
        }
    }
    safe
}

/// The first few of many names.
#[derive(Default)]
pub(super) struct Names {
    known: BTreeSet<String>,
    is_over: bool,
}

impl Names {
    /// Names beyond this many are not told apart any more.
    const COUNT_MAX: usize = 4096;
    const SIZE_MAX: usize = 96;
    const SHOWN: usize = 8;

    pub(super) fn add(&mut self, name: &str) {
        if self.known.contains(name) {
            return;
        }
        if self.known.len() >= Self::COUNT_MAX {
            self.is_over = true;
        } else {
            self.known.insert(name.to_owned());
        }
    }

    pub(super) fn count(&self) -> usize {
        self.known.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// `keys (12): a, b, c …`
    pub(super) fn words(&self, title: &str) -> String {
        let at_least = if self.is_over { "at least " } else { "" };
        let shown: Vec<String> =
            self.known.iter().take(Self::SHOWN).map(|name| cut(name)).collect();
        let more = if self.known.len() > Self::SHOWN { ", …" } else { "" };
        format!("{title} ({at_least}{}): {}{more}", self.count(), shown.join(", "))
    }
}

fn cut(name: &str) -> String {
    if name.len() <= Names::SIZE_MAX {
        return printable(name);
    }
    let mut end = Names::SIZE_MAX;
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    printable(name.get(..end).unwrap_or_default()) + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peers_text_cannot_drive_the_terminal() {
        assert_eq!(printable("a\x1b[31m\r\n\u{202e}ä"), "a\\u{1b}[31m\\r\\n\\u{202e}ä");
    }

    #[test]
    fn names_are_bounded_and_cut() {
        let mut names = Names::default();
        for number in 0..Names::COUNT_MAX + 10 {
            names.add(&format!("{number:05}"));
        }
        assert_eq!(names.count(), Names::COUNT_MAX);
        let words = names.words("keys");
        assert!(words.starts_with("keys (at least 4096): 00000, 00001, "), "{words}");
        assert!(words.ends_with("00007, …"), "{words}");
        let mut names = Names::default();
        names.add(&"ä".repeat(100));
        assert_eq!(names.words("keys"), format!("keys (1): {}…", "ä".repeat(48)));
    }
}
