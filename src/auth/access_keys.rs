//! The access keys: the secrets under which tokens are signed and verified, from the configuration or a file.
//!
//! A key's UTF-8 bytes are the HMAC key, as in a Web PubSub connection string. Tokens themselves are in `token.rs`.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::{fmt, slice};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use zeroize::Zeroizing;

/// Shortest key, in bytes: the size of the HMAC-SHA-256 digest (RFC 7518, 3.2).
pub const MIN_ACCESS_KEY_BYTES: usize = 32;
/// Longest key, in bytes. Nothing needs more; a bound keeps a wrong file from being read as a key.
pub const MAX_ACCESS_KEY_BYTES: usize = 512;
/// How many keys may be valid at once: the old and the new one while clients change over.
pub const MAX_ACCESS_KEYS: usize = 2;
/// The file in the data folder that keeps a generated key.
pub const ACCESS_KEY_FILE: &str = "access.key";

/// Why there are no usable keys.
#[derive(Debug, thiserror::Error)]
pub enum AccessKeyError {
    /// No key, or more than two.
    #[error("there must be one access key, or two while rotating; {0} are given")]
    Count(usize),
    /// Too short or too long.
    #[error(
        "access key {0} must have {MIN_ACCESS_KEY_BYTES} to {MAX_ACCESS_KEY_BYTES} bytes; \
         `openssl rand -base64 48` makes a good one"
    )]
    Length(usize),
    /// A character that a connection string cannot carry.
    #[error("access key {0} must not have ';', control characters, or blanks at its ends")]
    Character(usize),
    /// Nothing is configured, and the data folder has no key yet.
    #[error(
        "there is no access key: none is configured, and {path} is not there; run this where the server's data folder \
         is, with its configuration (-c FILE), or set auth.access_keys"
    )]
    Missing {
        /// The key file.
        path: PathBuf,
    },
    /// The key file can be read by others.
    #[error("{path} can be read by other users of this machine; run `chmod 600 {path}`, or remove it for a new key")]
    Exposed {
        /// The key file.
        path: PathBuf,
    },
    /// What is in the key file is not a key.
    #[error("{path} holds no usable key ({error}); remove it for a new one, which ends the validity of all tokens")]
    File {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it.
        error: Box<AccessKeyError>,
    },
    /// The key file could not be read or written.
    #[error("cannot read or write the access key in {path}: {error}")]
    Io {
        /// The key file or its folder.
        path: PathBuf,
        /// What the operating system said.
        error: io::Error,
    },
    /// The operating system gave no random bytes.
    #[error("this machine has no source of randomness for an access key")]
    Randomness,
}

/// One or two access keys. The first one signs, each of them verifies. Never shown, wiped when dropped.
#[derive(Clone)]
pub struct AccessKeys(Vec<Zeroizing<String>>);

impl AccessKeys {
    /// Takes the keys of the configuration.
    ///
    /// # Errors
    /// [`AccessKeyError`], which names a bad key by its place and never shows it.
    pub fn new<K: AsRef<str>>(keys: &[K]) -> Result<Self, AccessKeyError> {
        if keys.is_empty() || keys.len() > MAX_ACCESS_KEYS {
            return Err(AccessKeyError::Count(keys.len()));
        }
        let check = |(place, key): (usize, &K)| {
            let key = key.as_ref();
            if !(MIN_ACCESS_KEY_BYTES..=MAX_ACCESS_KEY_BYTES).contains(&key.len()) {
                return Err(AccessKeyError::Length(place + 1));
            }
            if key.contains(|c: char| c == ';' || c.is_control()) || key.trim() != key {
                return Err(AccessKeyError::Character(place + 1));
            }
            Ok(Zeroizing::new(key.to_owned()))
        };
        keys.iter().enumerate().map(check).collect::<Result<_, _>>().map(AccessKeys)
    }

    /// Takes the configured keys, or else the key that the data folder keeps. Unlike a server, which makes one, this
    /// refuses when there is none: a key that no server has signs nothing of use.
    ///
    /// # Errors
    /// [`AccessKeyError`], as for [`load_or_generate`](AccessKeys::load_or_generate), and [`AccessKeyError::Missing`].
    pub fn load<K: AsRef<str>>(configured: &[K], data_dir: &Path) -> Result<Self, AccessKeyError> {
        if !configured.is_empty() {
            return AccessKeys::new(configured);
        }
        let path = data_dir.join(ACCESS_KEY_FILE);
        match File::open(&path) {
            Ok(file) => read_key(file, &path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(AccessKeyError::Missing { path }),
            Err(error) => Err(AccessKeyError::Io { path, error }),
        }
    }

    /// Takes the configured keys; where there are none, the key that the data folder keeps, made at the first start.
    ///
    /// The folder is made with mode 0700 and the file with 0600.
    ///
    /// # Errors
    /// [`AccessKeyError`] for invalid keys, and for a key file that is exposed, broken or cannot be written.
    pub fn load_or_generate<K: AsRef<str>>(configured: &[K], data_dir: &Path) -> Result<Self, AccessKeyError> {
        match AccessKeys::load(configured, data_dir) {
            Err(AccessKeyError::Missing { path }) => generate(data_dir, &path),
            loaded => loaded,
        }
    }

    /// The key that signs. It is a secret: not for logs.
    #[cfg(any(test, feature = "cli"))]
    pub fn expose_signing(&self) -> &str {
        self.0.first().map_or("", |key| key.as_str())
    }

    /// The keys, the signing one first.
    pub(crate) fn iter(&self) -> slice::Iter<'_, Zeroizing<String>> {
        self.0.iter()
    }
}

impl fmt::Debug for AccessKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessKeys({} hidden)", self.0.len())
    }
}

fn read_key(file: File, path: &Path) -> Result<AccessKeys, AccessKeyError> {
    let io_error = |error| AccessKeyError::Io { path: path.to_owned(), error };
    // The open file is asked, not the path, so that nobody can exchange it in between.
    if is_exposed(&file).map_err(io_error)? {
        return Err(AccessKeyError::Exposed { path: path.to_owned() });
    }
    let mut text = Zeroizing::new(String::with_capacity(MAX_ACCESS_KEY_BYTES + 2));
    let limit = MAX_ACCESS_KEY_BYTES as u64 + 2;
    file.take(limit).read_to_string(&mut text).map_err(io_error)?;
    // An editor leaves a line break at the end.
    AccessKeys::new(&[text.trim_end_matches(['\r', '\n'])])
        .map_err(|error| AccessKeyError::File { path: path.to_owned(), error: Box::new(error) })
}

fn generate(data_dir: &Path, path: &Path) -> Result<AccessKeys, AccessKeyError> {
    let io_error = |error| AccessKeyError::Io { path: path.to_owned(), error };
    let mut bytes = Zeroizing::new([0; 48]);
    aws_lc_rs::rand::fill(&mut *bytes).map_err(|_| AccessKeyError::Randomness)?;
    let key = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(*bytes));
    private_folder().create(data_dir).map_err(io_error)?;
    match write_new(path, &key) {
        Ok(()) => AccessKeys::new(&[key.as_str()]),
        // Another process started at the same moment and was first: its key is the key.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            read_key(File::open(path).map_err(io_error)?, path)
        }
        Err(error) => Err(io_error(error)),
    }
}

fn write_new(path: &Path, key: &str) -> io::Result<()> {
    let mut file = private_file().open(path)?;
    let written = file.write_all(key.as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a key on a full disk would stop every later start; the error that matters is the first one.
        let _ = std::fs::remove_file(path);
    }
    written
}

fn private_folder() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(unix)]
fn is_exposed(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(file.metadata()?.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_exposed(_: &File) -> io::Result<bool> {
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH";
    const NONE: &[&str] = &[];

    fn text(keys: &AccessKeys) -> Vec<&str> {
        keys.iter().map(|key| key.as_str()).collect()
    }

    #[test]
    fn one_key_or_two_are_taken_and_never_shown() {
        let keys = AccessKeys::new(&[GOOD, &"é".repeat(16)]).unwrap();
        assert_eq!(text(&keys).len(), 2);
        assert!(!format!("{keys:?}").contains("ABC"));
    }

    #[test]
    fn weak_or_unusable_keys_are_refused_by_their_place() {
        let bad = |keys: &[&str]| AccessKeys::new(keys).unwrap_err();
        assert!(matches!(bad(&[]), AccessKeyError::Count(0)));
        assert!(matches!(bad(&[GOOD; 3]), AccessKeyError::Count(3)));
        assert!(matches!(bad(&["short"]), AccessKeyError::Length(1)));
        assert!(matches!(bad(&[GOOD, &"x".repeat(513)]), AccessKeyError::Length(2)));
        for key in [format!("{GOOD};"), format!("{GOOD}\n"), format!(" {GOOD}"), format!("a\0{GOOD}")] {
            assert!(matches!(bad(&[GOOD, &key]), AccessKeyError::Character(2)), "{key:?}");
        }
    }

    #[test]
    fn a_generated_key_is_kept_and_read_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let first = AccessKeys::load_or_generate(NONE, &data).unwrap();
        let again = AccessKeys::load_or_generate(NONE, &data).unwrap();
        assert_eq!(text(&first), text(&again));
        let other = AccessKeys::load_or_generate(NONE, &folder.path().join("other")).unwrap();
        assert_ne!(text(&first), text(&other));
    }

    #[test]
    fn looking_for_a_key_makes_none_and_finds_the_one_that_a_server_made() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let missing = AccessKeys::load(NONE, &data).unwrap_err();
        assert!(matches!(&missing, AccessKeyError::Missing { .. }) && !data.exists(), "{missing}");
        let made = AccessKeys::load_or_generate(NONE, &data).unwrap();
        assert_eq!(AccessKeys::load(NONE, &data).unwrap().expose_signing(), made.expose_signing());
        assert_eq!(AccessKeys::load(&[GOOD], &data).unwrap().expose_signing(), GOOD);
    }

    #[test]
    fn configured_keys_leave_the_folder_alone() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        assert_eq!(text(&AccessKeys::load_or_generate(&[GOOD], &data).unwrap()), [GOOD]);
        assert!(!data.exists());
    }

    #[test]
    fn a_broken_key_file_is_an_error_and_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(ACCESS_KEY_FILE);
        write_new(&path, "").unwrap();
        let error = AccessKeys::load_or_generate(NONE, folder.path()).unwrap_err();
        assert!(matches!(error, AccessKeyError::File { .. }), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }

    #[cfg(unix)]
    #[test]
    fn the_key_file_is_private_and_an_exposed_one_is_refused() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        AccessKeys::load_or_generate(NONE, &data).unwrap();
        let path = data.join(ACCESS_KEY_FILE);
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&data), mode(&path)), (0o700, 0o600));

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = AccessKeys::load_or_generate(NONE, &data).unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
}
