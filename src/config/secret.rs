//! Values that a log or an error message must not show: access keys and database addresses.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;
use zeroize::Zeroizing;

/// What stands in the place of a secret.
pub(super) const HIDDEN: &str = "***";

/// A key that signs and checks tokens: its UTF-8 bytes are the HMAC key, as in a Web PubSub connection string.
///
/// Neither `Debug` nor `Serialize` shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey(Zeroizing<String>);

/// Why a text is no access key. The text itself is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AccessKeyError {
    /// Fewer than 32 bytes: shorter than the output of HS256, and so easier to guess than it.
    #[error("an access key needs at least 32 bytes")]
    TooShort,
    /// A `;`, which ends the key in a connection string, or a control character.
    #[error("an access key has no ';' and no control characters")]
    Character,
    /// White space at an end, which connection strings lose.
    #[error("an access key does not begin or end with a blank")]
    Blank,
}

impl AccessKey {
    /// Shortest key, in bytes.
    pub const MIN_BYTES: usize = 32;

    /// The key itself; its UTF-8 bytes sign.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccessKey {
    type Err = AccessKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() < Self::MIN_BYTES {
            return Err(AccessKeyError::TooShort);
        }
        if text.contains(|c: char| c == ';' || c.is_control()) {
            return Err(AccessKeyError::Character);
        }
        if text.trim() != text {
            return Err(AccessKeyError::Blank);
        }
        Ok(AccessKey(Zeroizing::new(text.to_owned())))
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessKey({HIDDEN})")
    }
}

impl Serialize for AccessKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}

impl<'de> Deserialize<'de> for AccessKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // serde's own message for a wrong type would quote the value.
        let text = String::deserialize(deserializer).map(Zeroizing::new);
        let text = text.map_err(|_| serde::de::Error::custom("an access key is a text (in quotes)"))?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Where the users are kept: `sqlite://path` or `postgres://user:password@host/database`.
///
/// `Display` and `Debug` show it without the password; [`expose`](DatabaseUrl::expose) gives all of it.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

/// Why a text is no database address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a database is written as sqlite://path or postgres://user:password@host/database")]
pub struct DatabaseUrlError;

impl DatabaseUrl {
    /// The address with its password, for the driver.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The embedded database in a file, whose path may hold any character.
    pub(super) fn sqlite_file(path: &str) -> Self {
        // The driver ends the path at '?' and decodes what is percent-encoded.
        DatabaseUrl(format!("sqlite://{}", path.replace('%', "%25").replace('?', "%3F")))
    }

    /// Whether this is the embedded SQLite.
    pub fn is_sqlite(&self) -> bool {
        self.0.starts_with("sqlite:")
    }
}

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = text.strip_prefix("sqlite:").map(|path| path.strip_prefix("//").unwrap_or(path));
        let server = text.starts_with("postgres://") || text.starts_with("postgresql://");
        if path.is_some_and(|path| !path.is_empty()) || (server && Url::parse(text).is_ok()) {
            return Ok(DatabaseUrl(text.to_owned()));
        }
        Err(DatabaseUrlError)
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_sqlite() {
            return f.write_str(&self.0);
        }
        let Ok(mut url) = Url::parse(&self.0) else { return f.write_str(HIDDEN) };
        if url.password().is_some() {
            let _ = url.set_password(Some(HIDDEN));
        }
        // The driver also takes a password as a parameter.
        url.set_query(None);
        f.write_str(url.as_str())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for DatabaseUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DatabaseUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer).map_err(|_| serde::de::Error::custom(DatabaseUrlError))?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH";

    #[test]
    fn an_access_key_is_long_and_fits_into_a_connection_string() {
        assert_eq!(KEY.parse::<AccessKey>().map(|key| key.expose().to_owned()), Ok(KEY.to_owned()));
        assert_eq!(KEY[..31].parse::<AccessKey>(), Err(AccessKeyError::TooShort));
        assert_eq!(format!("{KEY};").parse::<AccessKey>(), Err(AccessKeyError::Character));
        assert_eq!(format!("{KEY}\u{7f}").parse::<AccessKey>(), Err(AccessKeyError::Character));
        assert_eq!(format!(" {KEY}").parse::<AccessKey>(), Err(AccessKeyError::Blank));
    }

    #[test]
    fn secrets_are_not_shown() {
        let key: AccessKey = KEY.parse().unwrap();
        assert!(!format!("{key:?} {}", serde_json::to_string(&key).unwrap()).contains("ABC"));

        let database: DatabaseUrl = "postgres://app:hunter2@db/users?password=hunter2".parse().unwrap();
        assert_eq!(database.to_string(), "postgres://app:***@db/users");
        assert!(!format!("{database:?} {}", serde_json::to_string(&database).unwrap()).contains("hunter2"));
        assert!(database.expose().contains("hunter2"));
    }

    #[test]
    fn only_sqlite_and_postgres_are_databases() {
        for good in ["sqlite://./data/folkmoot.db", "sqlite::memory:", "postgres://db/users", "postgresql://db/users"] {
            assert!(good.parse::<DatabaseUrl>().is_ok(), "{good}");
        }
        for bad in ["", "sqlite", "sqlite://", "mysql://db/users", "./data/folkmoot.db"] {
            assert_eq!(bad.parse::<DatabaseUrl>(), Err(DatabaseUrlError), "{bad}");
        }
    }
}
