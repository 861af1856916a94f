//! Where a request may carry its key: six fields, the same names in the query, and Basic.
//!
//! A candidate is a bare secret: `Bearer` stripped, Basic decoded, the query's percent signs undone. Names
//! are in any case in both places, and in the query they may be percent-encoded too.
//! Copied into memory that lives as long as the shard, because decoding needs room anyway.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::http::head::RequestHead;
use crate::limits;

/// Fields that hold a key, in the order in which they are believed; also the names in the query.
const NAMES: [&str; 6] =
    ["token", "apikey", "api_key", "dd-api-key", "x-amz-firehose-access-key", "authorization"];

/// The only user name that Basic may give.
const BASIC_USER: &[u8] = b"groundcover";

/// Senders differ in whether they pad.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The longest Basic credential as sent.
const BASIC_SIZE_MAX: usize = (limits::CREDENTIAL_SIZE_MAX + BASIC_USER.len() + 1).div_ceil(3) * 4;

/// The credentials of one request, in the order in which they are tried.
#[derive(Default)]
pub struct Candidates {
    /// All of them, one behind the other.
    bytes: Vec<u8>,
    ends: [usize; limits::CREDENTIAL_COUNT_MAX],
    count: usize,
    presented: bool,
}

impl Candidates {
    /// Memory for the usual request is taken here, once; more only if a request needs it.
    #[must_use]
    pub fn new() -> Self {
        Self { bytes: Vec::with_capacity(2 * limits::CREDENTIAL_SIZE_MAX), ..Self::default() }
    }

    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().take(self.count).map(move |&end| {
            let candidate = self.bytes.get(start..end).unwrap_or_default();
            start = end;
            candidate
        })
    }

    /// Whether the request carried anything in a place for keys, even if it was empty or unreadable.
    #[must_use]
    pub const fn is_presented(&self) -> bool {
        self.presented
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
        self.presented = false;
    }

    /// Adds what `write` appends; nothing if it is empty, too long, or there is no place left.
    fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>) -> bool) {
        self.presented = true;
        let start = self.bytes.len();
        let Some(end) = self.ends.get_mut(self.count) else {
            return;
        };
        let good = write(&mut self.bytes);
        let size = self.bytes.len() - start;
        if good && size > 0 && size <= limits::CREDENTIAL_SIZE_MAX {
            *end = self.bytes.len();
            self.count += 1;
        } else {
            self.bytes.truncate(start);
        }
    }

    fn push(&mut self, secret: &[u8]) {
        self.push_with(|bytes| {
            let fits = secret.len() <= limits::CREDENTIAL_SIZE_MAX;
            if fits {
                bytes.extend_from_slice(secret);
            }
            fits
        });
    }
}

impl std::fmt::Debug for Candidates {
    /// How many, never which.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Candidates").field("count", &self.count).finish_non_exhaustive()
    }
}

/// Collects the credentials of a request: fields, then query, then Basic. Beyond
/// [`limits::CREDENTIAL_COUNT_MAX`] the first ones count.
pub fn candidates(head: &RequestHead<'_>, into: &mut Candidates) {
    into.clear();
    for name in NAMES {
        for value in head.fields.all(name) {
            if name != "authorization" {
                into.push(value);
            } else if without_scheme(value, b"basic").is_none() {
                into.push(without_scheme(value, b"bearer").unwrap_or(value));
            }
        }
    }
    if let Some(query) = head.query {
        for name in NAMES {
            for pair in query.split('&') {
                if let Some((found, value)) = pair.split_once('=')
                    && is_name(found, name)
                {
                    into.push_with(|bytes| query_secret(name, value.as_bytes(), bytes));
                }
            }
        }
    }
    for value in head.fields.all("authorization") {
        // The gateway asks for no blank behind the word; a value without one was tried as a key as well.
        if let Some(encoded) = without_word(value, b"basic") {
            into.push_with(|bytes| basic_password(crate::http::trim_blanks(encoded), bytes));
        }
    }
}

/// Hands on the query without the pairs that may hold a key; nothing where nothing is left.
pub fn push_query(query: &str, push: impl FnOnce(&[u8]) -> bool) -> bool {
    let is_secret = |pair: &str| {
        let name = pair.split('=').next().unwrap_or_default();
        NAMES.iter().any(|secret| is_name(name, secret))
    };
    if query.is_empty() {
        return true;
    }
    if !query.split('&').any(is_secret) {
        return push(query.as_bytes());
    }
    let mut kept = String::with_capacity(query.len());
    for pair in query.split('&').filter(|pair| !is_secret(pair)) {
        if !kept.is_empty() {
            kept.push('&');
        }
        kept.push_str(pair);
    }
    kept.is_empty() || push(kept.as_bytes())
}

/// What follows the scheme, in any case, and at least one blank.
fn without_scheme<'a>(value: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let rest = without_word(value, scheme)?;
    rest.starts_with(b" ").then(|| crate::http::trim_blanks(rest))
}

/// What follows a word that the value begins with, in any case.
fn without_word<'a>(value: &'a [u8], word: &[u8]) -> Option<&'a [u8]> {
    let (found, rest) = value.split_at_checked(word.len())?;
    found.eq_ignore_ascii_case(word).then_some(rest)
}

/// Whether a name of the query, with `%XX` undone and in any case, is `lowercase`.
fn is_name(found: &str, lowercase: &str) -> bool {
    let mut rest = found.as_bytes();
    for &wanted in lowercase.as_bytes() {
        let (byte, after) = match rest {
            [b'%', high, low, after @ ..] => match (hex_digit(*high), hex_digit(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, after),
                _ => return false,
            },
            [byte, after @ ..] => (*byte, after),
            [] => return false,
        };
        if !byte.eq_ignore_ascii_case(&wanted) {
            return false;
        }
        rest = after;
    }
    rest.is_empty()
}

/// Appends the key that stands in the query under `name`.
fn query_secret(name: &str, value: &[u8], into: &mut Vec<u8>) -> bool {
    let start = into.len();
    if !percent_decode(value, into) {
        return false;
    }
    let decoded = into.get(start..).unwrap_or_default();
    if name == "authorization"
        && let Some(rest @ [b' ', ..]) = without_word(decoded, b"bearer")
    {
        let blank_count = rest.iter().take_while(|&&byte| byte == b' ').count();
        let skipped = decoded.len() - rest.len() + blank_count;
        into.drain(start..start + skipped);
    }
    true
}

/// Appends the password, which is all behind the first colon: it may hold colons itself.
fn basic_password(encoded: &[u8], into: &mut Vec<u8>) -> bool {
    if encoded.len() > BASIC_SIZE_MAX {
        return false;
    }
    let mut decoded = [0; BASIC_SIZE_MAX];
    let Ok(size) = BASE64.decode_slice(encoded, &mut decoded) else {
        return false;
    };
    let decoded = decoded.get(..size).unwrap_or_default();
    match decoded.strip_prefix(BASIC_USER).and_then(|rest| rest.strip_prefix(b":")) {
        Some(password) => {
            into.extend_from_slice(password);
            true
        }
        None => false,
    }
}

/// Appends `value` with `%XX` undone, once. `+` stays: keys hold no blanks, but may hold `+`.
fn percent_decode(value: &[u8], into: &mut Vec<u8>) -> bool {
    if value.len() > 3 * limits::CREDENTIAL_SIZE_MAX {
        return false;
    }
    let mut rest = value;
    loop {
        rest = match rest {
            [] => return true,
            [b'%', high, low, after @ ..] => {
                let (Some(high), Some(low)) = (hex_digit(*high), hex_digit(*low)) else {
                    return false;
                };
                into.push(high << 4 | low);
                after
            }
            [b'%', ..] => return false,
            [byte, after @ ..] => {
                into.push(*byte);
                after
            }
        };
    }
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
