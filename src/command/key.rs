//! `inrush key add | list | remove`, and what the server loads of it.
//!
//! ```text
//! DATA/keys.toml     names, tenants, digests; replaced as a whole
//! DATA/keys.secret   32 random bytes that key the digests, mode 0600; written once
//! DATA/keys.lock     held while either is changed
//! ```
//!
//! Needs no server and disturbs none: the folder may be one that no server has used yet, and a running
//! server finds a new file at the old path or the old one, never half of one. (Its own lock of the folder
//! is another file.)

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use crate::auth::keys_file::{self, KeyEntry, KeysFileError};
use crate::auth::table::{Digest, KeyTable};
use crate::limits;

const KEYS_FILE: &str = "keys.toml";
const SECRET_FILE: &str = "keys.secret";
const LOCK_FILE: &str = "keys.lock";

/// Shorter keys could be guessed at the rate of a fast server.
pub const KEY_SIZE_MIN: usize = 8;

/// Where the key itself comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// Drawn, and given back to be printed once.
    Generated,
    /// `--secret VALUE`
    Value(String),
    /// `--secret-file FILE`; one line end behind the key is not part of it.
    File(PathBuf),
    /// `--secret-file -`
    Stdin,
}

/// What `add` did.
#[derive(Debug, PartialEq, Eq)]
pub struct Added {
    pub name: String,
    pub tenant: String,
    /// The key, if it was generated: it is written down nowhere else.
    pub generated: Option<String>,
}

/// What the server needs to build its table.
pub struct KeySet {
    /// Keys the digests.
    pub secret: [u8; 32],
    /// By index: what `authenticate` answers with.
    pub tenants: Vec<String>,
    pub entries: Vec<(Digest, u32)>,
}

impl KeySet {
    #[must_use]
    pub fn table(&self) -> KeyTable {
        KeyTable::new(&self.secret, self.entries.iter().copied())
    }
}

impl std::fmt::Debug for KeySet {
    /// Without the secret.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("KeySet").field("tenants", &self.tenants).finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub enum KeyError {
    Io {
        path: PathBuf,
        source: io::Error,
    },
    File {
        path: PathBuf,
        source: KeysFileError,
    },
    /// `keys.secret` is not 32 bytes long.
    SecretFileInvalid {
        path: PathBuf,
    },
    /// `keys.toml` lists keys, but the secret that keyed their digests is gone.
    SecretFileMissing {
        path: PathBuf,
    },
    NameTaken(String),
    NameUnknown(String),
    /// The key is already there, under this name.
    KeyTaken(String),
    KeyTooShort,
    KeyTooLong,
    /// A key that no header could carry.
    KeyNotText,
    Random,
}

impl std::fmt::Display for KeyError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io { path, source } => write!(formatter, "{}: {source}", path.display()),
            Self::File { path, source } => write!(formatter, "{}: {source}", path.display()),
            Self::SecretFileInvalid { path } => {
                write!(formatter, "{}: expected exactly 32 bytes", path.display())
            }
            Self::SecretFileMissing { path } => write!(
                formatter,
                "{}: missing, and without it no key in {KEYS_FILE} can be recognised; restore it, \
                 or remove {KEYS_FILE} and add the keys again",
                path.display()
            ),
            Self::NameTaken(name) => write!(formatter, "there is already a key named {name:?}"),
            Self::NameUnknown(name) => write!(formatter, "there is no key named {name:?}"),
            Self::KeyTaken(name) => write!(formatter, "this key is already there, named {name:?}"),
            Self::KeyTooShort => {
                write!(formatter, "a key needs at least {KEY_SIZE_MIN} bytes")
            }
            Self::KeyTooLong => {
                write!(formatter, "a key has at most {} bytes", limits::CREDENTIAL_SIZE_MAX)
            }
            Self::KeyNotText => write!(
                formatter,
                "a key is printable ASCII without blanks: anything else does not survive a header"
            ),
            Self::Random => write!(formatter, "the system gave no random bytes"),
        }
    }
}

impl std::error::Error for KeyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::File { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Adds a key. The tenant is named like the key unless told otherwise.
pub fn add(
    data_dir: &Path,
    name: &str,
    tenant: Option<&str>,
    source: &SecretSource,
) -> Result<Added, KeyError> {
    let tenant = tenant.unwrap_or(name);
    // Read before the lock is taken: standard input may take its time.
    let given = match source {
        SecretSource::Generated => None,
        SecretSource::Value(value) => Some(value.clone()),
        SecretSource::File(path) => Some(without_line_end(
            fs::read(path).map_err(|source| KeyError::Io { path: path.clone(), source })?,
        )?),
        SecretSource::Stdin => Some(without_line_end(read_stdin()?)?),
    };
    if let Some(key) = &given {
        check_key(key)?;
    }
    let key = match &given {
        Some(key) => key.clone(),
        None => generate()?,
    };
    create_folder(data_dir)?;
    let _lock = lock(data_dir)?;
    let mut entries = read_entries(data_dir)?;
    if entries.iter().any(|entry| entry.name == name) {
        return Err(KeyError::NameTaken(name.to_owned()));
    }
    let secret = match read_secret(data_dir)? {
        Some(secret) => secret,
        None if entries.is_empty() => create_secret(data_dir)?,
        None => return Err(KeyError::SecretFileMissing { path: data_dir.join(SECRET_FILE) }),
    };
    let digest = KeyTable::digest(&secret, key.as_bytes());
    if let Some(taken) = entries.iter().find(|entry| entry.digest == digest) {
        return Err(KeyError::KeyTaken(taken.name.clone()));
    }
    entries.push(KeyEntry { name: name.to_owned(), tenant: tenant.to_owned(), digest });
    write_entries(data_dir, &entries)?;
    Ok(Added {
        name: name.to_owned(),
        tenant: tenant.to_owned(),
        generated: given.is_none().then_some(key),
    })
}

/// All keys, in the order in which they were added.
pub fn list(data_dir: &Path) -> Result<Vec<KeyEntry>, KeyError> {
    read_entries(data_dir)
}

pub fn remove(data_dir: &Path, name: &str) -> Result<(), KeyError> {
    // No lock file is left in a folder that holds no keys.
    if !read_entries(data_dir)?.iter().any(|entry| entry.name == name) {
        return Err(KeyError::NameUnknown(name.to_owned()));
    }
    let _lock = lock(data_dir)?;
    let mut entries = read_entries(data_dir)?;
    let count = entries.len();
    entries.retain(|entry| entry.name != name);
    if entries.len() == count {
        return Err(KeyError::NameUnknown(name.to_owned()));
    }
    write_entries(data_dir, &entries)
}

/// What the server needs: empty where no key was ever added.
pub fn load(data_dir: &Path) -> Result<KeySet, KeyError> {
    let entries = read_entries(data_dir)?;
    let secret = match read_secret(data_dir)? {
        Some(secret) => secret,
        // Without keys nothing will ever be equal to its digest, whatever the secret.
        None if entries.is_empty() => [0; 32],
        None => return Err(KeyError::SecretFileMissing { path: data_dir.join(SECRET_FILE) }),
    };
    let mut tenants: Vec<String> = Vec::new();
    let mut pairs = Vec::with_capacity(entries.len());
    for entry in entries {
        let index = match tenants.iter().position(|tenant| *tenant == entry.tenant) {
            Some(index) => index,
            None => {
                tenants.push(entry.tenant);
                tenants.len() - 1
            }
        };
        // The file would need 2^32 tenants to get past this.
        pairs.push((entry.digest, u32::try_from(index).unwrap_or(u32::MAX)));
    }
    Ok(KeySet { secret, tenants, entries: pairs })
}

/// The path whose change tells a server to load again.
#[must_use]
pub fn watched_path(data_dir: &Path) -> PathBuf {
    data_dir.join(KEYS_FILE)
}

fn check_key(key: &str) -> Result<(), KeyError> {
    if key.len() < KEY_SIZE_MIN {
        Err(KeyError::KeyTooShort)
    } else if key.len() > limits::CREDENTIAL_SIZE_MAX {
        Err(KeyError::KeyTooLong)
    } else if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        Err(KeyError::KeyNotText)
    } else {
        Ok(())
    }
}

fn without_line_end(mut bytes: Vec<u8>) -> Result<String, KeyError> {
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    String::from_utf8(bytes).map_err(|_| KeyError::KeyNotText)
}

fn read_stdin() -> Result<Vec<u8>, KeyError> {
    let mut bytes = Vec::new();
    // One byte more than allowed is enough to tell that it is too long.
    let limit = limits::CREDENTIAL_SIZE_MAX as u64 + 3;
    io::stdin()
        .lock()
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(|source| KeyError::Io { path: PathBuf::from("standard input"), source })?;
    Ok(bytes)
}

/// 32 random bytes in an alphabet that needs no escapes in headers, queries, shells and YAML.
fn generate() -> Result<String, KeyError> {
    use base64::Engine;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random()?))
}

fn random() -> Result<[u8; 32], KeyError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| KeyError::Random)?;
    Ok(bytes)
}

fn create_folder(data_dir: &Path) -> Result<(), KeyError> {
    fs::create_dir_all(data_dir).map_err(at(data_dir))
}

/// Held until the file is dropped.
fn lock(data_dir: &Path) -> Result<File, KeyError> {
    let path = data_dir.join(LOCK_FILE);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(at(&path))?;
    loop {
        match rustix::fs::flock(&file, FlockOperation::LockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(at(&path)(error.into())),
        }
    }
}

fn read_entries(data_dir: &Path) -> Result<Vec<KeyEntry>, KeyError> {
    let path = data_dir.join(KEYS_FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(at(&path)(error)),
    };
    keys_file::parse(&text).map_err(|source| KeyError::File { path, source })
}

fn write_entries(data_dir: &Path, entries: &[KeyEntry]) -> Result<(), KeyError> {
    let path = data_dir.join(KEYS_FILE);
    let text = keys_file::serialise(entries)
        .map_err(|source| KeyError::File { path: path.clone(), source })?;
    replace(data_dir, KEYS_FILE, text.as_bytes())
}

fn read_secret(data_dir: &Path) -> Result<Option<[u8; 32]>, KeyError> {
    let path = data_dir.join(SECRET_FILE);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(&path)(error)),
    };
    match bytes.try_into() {
        Ok(secret) => Ok(Some(secret)),
        Err(_) => Err(KeyError::SecretFileInvalid { path }),
    }
}

fn create_secret(data_dir: &Path) -> Result<[u8; 32], KeyError> {
    let secret = random()?;
    replace(data_dir, SECRET_FILE, &secret)?;
    Ok(secret)
}

/// Puts a file in place of another: after a crash there is the old one or the new one, whole.
/// Only under the lock, as the temporary name is fixed.
fn replace(data_dir: &Path, name: &str, bytes: &[u8]) -> Result<(), KeyError> {
    let path = data_dir.join(name);
    let temporary = data_dir.join(format!("{name}.new"));
    let written = (|| {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&temporary)?;
        // A file left by a crash keeps the mode it was made with.
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        file.write_all(bytes)?;
        file.sync_all()
    })();
    written.map_err(at(&temporary))?;
    fs::rename(&temporary, &path).map_err(at(&path))?;
    // The name itself is data of the folder.
    File::open(data_dir).and_then(|folder| folder.sync_all()).map_err(at(data_dir))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> KeyError + use<> {
    let path = path.to_owned();
    move |source| KeyError::Io { path, source }
}
