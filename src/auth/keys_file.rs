//! The text of `keys.toml`: names, tenants and digests of all keys. Never a key itself.
//!
//! ```toml
//! version = 1
//!
//! [[key]]
//! name = "prometheus-eu"
//! tenant = "production"
//! digest = "…64 hexadecimal digits…"
//! ```
//!
//! The secret that keys the digests stands in a file of its own, so that this one may be shown.

use serde::{Deserialize, Serialize};

use super::table::Digest;
use crate::limits;

/// The only version there is.
pub const VERSION: u32 = 1;
/// Bytes of a key's name.
pub const NAME_SIZE_MAX: usize = 128;

/// One key as the file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyEntry {
    pub name: String,
    pub tenant: String,
    pub digest: Digest,
}

/// Why the text is no list of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeysFileError {
    /// Not TOML, or TOML of another shape; in the words of the TOML parser.
    Malformed(String),
    VersionUnsupported(u32),
    /// A name that is empty, too long, or holds blanks or control characters.
    NameInvalid(String),
    TenantInvalid {
        name: String,
        tenant: String,
    },
    /// Not 64 hexadecimal digits.
    DigestInvalid {
        name: String,
    },
    NameRepeated(String),
    /// Two names for one key: it could stand for one tenant only.
    KeyRepeated {
        first: String,
        second: String,
    },
}

impl std::fmt::Display for KeysFileError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed(text) => write!(formatter, "{}", text.trim_end()),
            Self::VersionUnsupported(version) => {
                write!(formatter, "version {version} is not known, only version {VERSION}")
            }
            Self::NameInvalid(name) => write!(
                formatter,
                "{name:?} is not a name: 1 to {NAME_SIZE_MAX} bytes, no blanks or control characters"
            ),
            Self::TenantInvalid { name, tenant } => write!(
                formatter,
                "{tenant:?}, the tenant of key {name:?}, is not a name: 1 to {} bytes, no blanks \
                 or control characters",
                limits::TENANT_SIZE_MAX
            ),
            Self::DigestInvalid { name } => {
                write!(formatter, "the digest of key {name:?} is not 64 hexadecimal digits")
            }
            Self::NameRepeated(name) => write!(formatter, "there are two keys named {name:?}"),
            Self::KeyRepeated { first, second } => {
                write!(formatter, "{first:?} and {second:?} are the same key")
            }
        }
    }
}

impl std::error::Error for KeysFileError {}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileForm {
    version: u32,
    #[serde(default)]
    key: Vec<KeyForm>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyForm {
    name: String,
    tenant: String,
    digest: String,
}

/// Reads the text and checks every entry.
pub fn parse(text: &str) -> Result<Vec<KeyEntry>, KeysFileError> {
    let form: FileForm =
        toml::from_str(text).map_err(|error| KeysFileError::Malformed(error.to_string()))?;
    if form.version != VERSION {
        return Err(KeysFileError::VersionUnsupported(form.version));
    }
    let mut entries = Vec::with_capacity(form.key.len());
    for KeyForm { name, tenant, digest } in form.key {
        let Some(digest) = digest_from_hex(&digest) else {
            return Err(KeysFileError::DigestInvalid { name });
        };
        entries.push(KeyEntry { name, tenant, digest });
    }
    check(&entries)?;
    Ok(entries)
}

/// The text for `entries`, which must pass [`check`].
pub fn serialise(entries: &[KeyEntry]) -> Result<String, KeysFileError> {
    check(entries)?;
    let form = FileForm {
        version: VERSION,
        key: entries
            .iter()
            .map(|entry| KeyForm {
                name: entry.name.clone(),
                tenant: entry.tenant.clone(),
                digest: digest_to_hex(&entry.digest),
            })
            .collect(),
    };
    toml::to_string(&form).map_err(|error| KeysFileError::Malformed(error.to_string()))
}

/// Names that are names, each once, and each key once.
pub fn check(entries: &[KeyEntry]) -> Result<(), KeysFileError> {
    let mut names = std::collections::HashSet::new();
    let mut keys = std::collections::HashMap::new();
    for entry in entries {
        if !is_name(&entry.name, NAME_SIZE_MAX) {
            return Err(KeysFileError::NameInvalid(entry.name.clone()));
        }
        if !is_name(&entry.tenant, limits::TENANT_SIZE_MAX) {
            return Err(KeysFileError::TenantInvalid {
                name: entry.name.clone(),
                tenant: entry.tenant.clone(),
            });
        }
        if !names.insert(&entry.name) {
            return Err(KeysFileError::NameRepeated(entry.name.clone()));
        }
        if let Some(first) = keys.insert(entry.digest, &entry.name) {
            return Err(KeysFileError::KeyRepeated {
                first: first.clone(),
                second: entry.name.clone(),
            });
        }
    }
    Ok(())
}

fn is_name(name: &str, size_max: usize) -> bool {
    !name.is_empty()
        && name.len() <= size_max
        && !name.chars().any(|character| character.is_control() || character.is_whitespace())
}

fn digest_to_hex(digest: &Digest) -> String {
    use std::fmt::Write as _;
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn digest_from_hex(text: &str) -> Option<Digest> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut digest = [0; 32];
    for (index, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    fn entry(name: &str, tenant: &str, fill: u8) -> KeyEntry {
        KeyEntry { name: name.into(), tenant: tenant.into(), digest: [fill; 32] }
    }

    #[test]
    fn text_comes_back_as_the_same_entries() {
        let entries = [entry("a", "one", 1), entry("b\"c", "zwei-é", 0xfe), entry("c", "one", 3)];
        let text = serialise(&entries).unwrap();
        assert_eq!(parse(&text).unwrap(), entries);
        assert!(text.starts_with("version = 1\n"), "{text}");
        assert_eq!(parse("version = 1\n").unwrap(), []);
    }

    #[test]
    fn digests_are_read_in_either_case() {
        let text =
            format!("version=1\n[[key]]\nname='a'\ntenant='t'\ndigest='{}'", "aB".repeat(32));
        assert_eq!(parse(&text).unwrap()[0].digest, [0xab; 32]);
    }

    #[test]
    fn each_fault_is_named() {
        let one = |name: &str, tenant: &str, digest: &str| {
            parse(&format!(
                "version = 1\n[[key]]\nname = {name:?}\ntenant = {tenant:?}\ndigest = {digest:?}\n"
            ))
            .unwrap_err()
        };
        let good = "00".repeat(32);
        assert_eq!(parse("version = 2").unwrap_err(), KeysFileError::VersionUnsupported(2));
        assert!(matches!(parse("version = 1\nkeys = []"), Err(KeysFileError::Malformed(_))));
        assert!(matches!(parse(""), Err(KeysFileError::Malformed(_))));
        assert!(matches!(
            parse("version = 1\n[[key]]\nname='a'"),
            Err(KeysFileError::Malformed(_))
        ));
        assert_eq!(one("", "t", &good), KeysFileError::NameInvalid(String::new()));
        assert_eq!(one("a b", "t", &good), KeysFileError::NameInvalid("a b".into()));
        assert_eq!(
            one("a", &"t".repeat(129), &good),
            KeysFileError::TenantInvalid { name: "a".into(), tenant: "t".repeat(129) }
        );
        for digest in [&good[1..], &format!("{good}0"), &format!("+{}", &good[1..]), ""] {
            assert_eq!(one("a", "t", digest), KeysFileError::DigestInvalid { name: "a".into() });
        }
        assert_eq!(
            check(&[entry("a", "t", 1), entry("a", "t", 2)]),
            Err(KeysFileError::NameRepeated("a".into()))
        );
        assert_eq!(
            check(&[entry("a", "t", 1), entry("b", "u", 1)]),
            Err(KeysFileError::KeyRepeated { first: "a".into(), second: "b".into() })
        );
    }
}
