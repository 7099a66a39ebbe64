//! Where the users are kept and what of them others see.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::secret::DatabaseUrl;
use super::units::{bytes, duration};

/// The section `users`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct UsersConfig {
    /// The user store, `sqlite://path` or `postgres://user:password@host/database`.
    ///
    /// Default none, which is the file `folkmoot.db` in [`data_dir`](super::Config::data_dir); see
    /// [`Config::database`](super::Config::database). `FOLKMOOT__USERS__DATABASE`.
    pub database: Option<DatabaseUrl>,
    /// A file with the address of the user store in its place, of at most 64 KiB.
    ///
    /// [`Config::load`](super::Config::load) reads it into `database`. Default none; `FOLKMOOT__USERS__DATABASE_FILE`.
    pub database_file: Option<PathBuf>,
    /// Puts the four demo users, whose passwords are public, into an embedded database that was just created.
    ///
    /// Default `false` (the repository's `config.yaml` sets it); `FOLKMOOT__USERS__DEMO`.
    pub demo: bool,
    /// What others see of a user: fields of the user data. A phone number is nobody's business unless listed.
    ///
    /// Default `[username, department]`; `FOLKMOOT__USERS__PUBLIC_FIELDS`.
    pub public_fields: Vec<String>,
    /// Largest data of one user, as JSON: each connection keeps it, and announcements may show parts of it. A larger
    /// one is not stored; a user who has one, from whatever source, is answered 403.
    ///
    /// Default `32KiB`: whatever the store takes fits. `FOLKMOOT__USERS__MAX_RECORD_BYTES`.
    #[serde(with = "bytes")]
    pub max_record_bytes: usize,
    /// How often the store is asked whether another process changed a user: the longest that somebody who was disabled
    /// stays connected.
    ///
    /// Default `2s`; `FOLKMOOT__USERS__REVISION_INTERVAL`.
    #[serde(with = "duration")]
    pub revision_interval: Duration,
    /// How long a verified password is remembered (as a keyed hash), so that a reconnect storm does not hash again.
    ///
    /// Default `1m`; `0s` turns it off. `FOLKMOOT__USERS__CACHE_TTL`.
    #[serde(with = "duration")]
    pub cache_ttl: Duration,
}

impl Default for UsersConfig {
    fn default() -> Self {
        UsersConfig {
            database: None,
            database_file: None,
            demo: false,
            public_fields: vec!["username".to_owned(), "department".to_owned()],
            max_record_bytes: 32 << 10,
            revision_interval: Duration::from_secs(2),
            cache_ttl: Duration::from_secs(60),
        }
    }
}
