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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    fn value(text: &str) -> SecretSource {
        SecretSource::Value(text.to_owned())
    }

    fn tenant_of(data: &Path, key: &str) -> Option<String> {
        let keys = load(data).unwrap();
        let index = keys.table().lookup(key.as_bytes())?;
        Some(keys.tenants[usize::try_from(index).unwrap()].clone())
    }

    #[test]
    fn keys_can_be_added_before_any_server_ran() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("not/there/yet");
        assert_eq!(list(&data).unwrap(), []);
        assert!(load(&data).unwrap().entries.is_empty());
        let added = add(&data, "agent", None, &SecretSource::Generated).unwrap();
        assert_eq!((added.name.as_str(), added.tenant.as_str()), ("agent", "agent"));
        let key = added.generated.unwrap();
        assert_eq!(key.len(), 43, "32 bytes in base64");
        check_key(&key).unwrap();
        assert_eq!(tenant_of(&data, &key).as_deref(), Some("agent"));
        assert_eq!(tenant_of(&data, "something else"), None);
    }

    #[test]
    fn several_keys_may_stand_for_one_tenant() {
        let data = tempfile::tempdir().unwrap();
        add(data.path(), "old", Some("shop"), &value("first-key")).unwrap();
        add(data.path(), "other", Some("bank"), &value("other-key")).unwrap();
        let added = add(data.path(), "new", Some("shop"), &value("second-key")).unwrap();
        assert_eq!(added.generated, None, "what was given is not printed");
        assert_eq!(load(data.path()).unwrap().tenants, ["shop", "bank"]);
        for (key, tenant) in [("first-key", "shop"), ("second-key", "shop"), ("other-key", "bank")]
        {
            assert_eq!(tenant_of(data.path(), key).as_deref(), Some(tenant));
        }
        remove(data.path(), "old").unwrap();
        assert_eq!(tenant_of(data.path(), "first-key"), None);
        assert_eq!(tenant_of(data.path(), "second-key").as_deref(), Some("shop"));
        let names: Vec<_> =
            list(data.path()).unwrap().into_iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["other", "new"]);
    }

    #[test]
    fn names_and_keys_are_unique() {
        let data = tempfile::tempdir().unwrap();
        add(data.path(), "a", None, &value("the-same-key")).unwrap();
        assert!(matches!(
            add(data.path(), "a", None, &value("another-key")),
            Err(KeyError::NameTaken(name)) if name == "a"
        ));
        assert!(matches!(
            add(data.path(), "b", None, &value("the-same-key")),
            Err(KeyError::KeyTaken(name)) if name == "a"
        ));
        assert!(matches!(
            remove(data.path(), "b"),
            Err(KeyError::NameUnknown(name)) if name == "b"
        ));
        assert_eq!(list(data.path()).unwrap().len(), 1);
    }

    #[test]
    fn a_key_comes_from_a_file_without_its_line_end() {
        let data = tempfile::tempdir().unwrap();
        let file = data.path().join("key.txt");
        for (index, end) in ["", "\n", "\r\n"].iter().enumerate() {
            let key = format!("key-from-file-{index}");
            fs::write(&file, format!("{key}{end}")).unwrap();
            add(data.path(), &key, None, &SecretSource::File(file.clone())).unwrap();
            assert_eq!(tenant_of(data.path(), &key), Some(key));
        }
        fs::write(&file, "two\nlines\n").unwrap();
        let error = add(data.path(), "x", None, &SecretSource::File(file.clone())).unwrap_err();
        assert!(matches!(error, KeyError::KeyNotText), "{error}");
        let missing = SecretSource::File(data.path().join("missing"));
        let error = add(data.path(), "x", None, &missing).unwrap_err();
        assert!(error.to_string().contains("missing"), "{error}");
    }

    #[test]
    fn keys_that_no_header_could_carry_are_refused() {
        let data = tempfile::tempdir().unwrap();
        let long = "k".repeat(limits::CREDENTIAL_SIZE_MAX + 1);
        for (key, good) in [
            ("1234567", false),
            ("12345678", true),
            ("with blank", false),
            ("tab\tinside", false),
            ("umläut-key", false),
            (&long, false),
            (&long[1..], true),
        ] {
            let added = add(data.path(), &format!("name-{}", key.len()), None, &value(key));
            assert_eq!(added.is_ok(), good, "{key:.20}");
        }
    }

    #[test]
    fn names_are_checked_before_anything_is_written() {
        let data = tempfile::tempdir().unwrap();
        for (name, tenant) in
            [("", None), ("a b", None), ("a\n", None), ("a", Some("")), ("a", Some("b c"))]
        {
            let error = add(data.path(), name, tenant, &value("some-long-key")).unwrap_err();
            assert!(matches!(error, KeyError::File { .. }), "{name:?}: {error}");
        }
        assert!(!data.path().join(KEYS_FILE).exists());
    }

    /// Whoever can read the files must be the one who runs the server, and reads no key even then.
    #[test]
    fn files_are_private_and_hold_no_key() {
        let data = tempfile::tempdir().unwrap();
        add(data.path(), "a", Some("t"), &value("very-secret-key")).unwrap();
        for name in [KEYS_FILE, SECRET_FILE] {
            let path = data.path().join(name);
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
            let bytes = fs::read(&path).unwrap();
            assert!(!bytes.windows(11).any(|window| window == b"very-secret"), "{name}");
            assert!(!data.path().join(format!("{name}.new")).exists());
        }
        assert_eq!(fs::read(data.path().join(SECRET_FILE)).unwrap().len(), 32);
    }

    /// A file left behind by a crash is in nobody's way.
    #[test]
    fn leftovers_of_a_crash_are_overwritten() {
        let data = tempfile::tempdir().unwrap();
        for name in [KEYS_FILE, SECRET_FILE] {
            let path = data.path().join(format!("{name}.new"));
            fs::write(&path, "half a fi".repeat(1000)).unwrap();
        }
        add(data.path(), "a", None, &value("some-long-key")).unwrap();
        assert_eq!(tenant_of(data.path(), "some-long-key").as_deref(), Some("a"));
        let mode = fs::metadata(data.path().join(SECRET_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    /// With another secret every key would be wrong: that must be an error, not a mass refusal.
    #[test]
    fn a_lost_or_damaged_secret_is_told() {
        let data = tempfile::tempdir().unwrap();
        add(data.path(), "a", None, &value("some-long-key")).unwrap();
        let path = data.path().join(SECRET_FILE);
        let secret = fs::read(&path).unwrap();
        fs::write(&path, &secret[..31]).unwrap();
        assert!(matches!(load(data.path()), Err(KeyError::SecretFileInvalid { .. })));
        fs::remove_file(&path).unwrap();
        assert!(matches!(load(data.path()), Err(KeyError::SecretFileMissing { .. })));
        assert!(matches!(
            add(data.path(), "b", None, &value("other-long-key")),
            Err(KeyError::SecretFileMissing { .. })
        ));
        assert!(!path.exists(), "no new secret under old digests");
        // The last key may still be removed, and then all starts anew.
        remove(data.path(), "a").unwrap();
        add(data.path(), "b", None, &value("other-long-key")).unwrap();
        assert_eq!(tenant_of(data.path(), "other-long-key").as_deref(), Some("b"));
    }

    #[test]
    fn a_damaged_list_is_told_with_its_path() {
        let data = tempfile::tempdir().unwrap();
        fs::write(data.path().join(KEYS_FILE), "version = 1\n[[key]]\nname = 3\n").unwrap();
        let error = load(data.path()).unwrap_err().to_string();
        assert!(error.contains("keys.toml") && error.contains("line 3"), "{error}");
        assert!(add(data.path(), "b", None, &value("other-long-key")).is_err());
    }

    /// Two commands at once: both keys are there afterwards.
    #[test]
    fn commands_at_the_same_time_lose_nothing() {
        let data = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let data = data.path();
                scope.spawn(move || {
                    for number in 0..5 {
                        let name = format!("key-{thread}-{number}");
                        add(data, &name, None, &value(&format!("secret-{name}"))).unwrap();
                    }
                });
            }
        });
        assert_eq!(list(data.path()).unwrap().len(), 20);
        assert_eq!(tenant_of(data.path(), "secret-key-3-4").as_deref(), Some("key-3-4"));
    }
}
