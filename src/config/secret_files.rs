//! Secrets that lie in files of their own (`auth.access_keys_file`, `users.database_file`), as Docker, Kubernetes and
//! systemd hand them out.
//!
//! They are read when the configuration is: once at the start, and again by each reload.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::str::FromStr;

use zeroize::Zeroizing;

use super::Config;
use super::error::{ConfigError, ConfigErrors};
use super::overlay::Origins;
use super::secret::AccessKey;

/// Largest file that is read: two keys and a database address are far less, and a wrong path may name anything.
const MAX_BYTES: u64 = 64 << 10;

/// Gives what a file holds.
pub(super) type ReadSecret<'a> = &'a dyn Fn(&Path) -> Result<Zeroizing<String>, String>;

/// Puts what the files hold in the place of the keys that they stand for. Those count as given where the file was named.
pub(super) fn read_into(config: &mut Config, origins: &mut Origins, read: ReadSecret<'_>) -> Result<(), ConfigErrors> {
    let mut errors = Vec::new();
    if let Some(file) = config.auth.access_keys_file.clone() {
        let secret = Secret { key: "auth.access_keys", file: &file };
        match secret.value(!config.auth.access_keys.is_empty(), read, access_keys) {
            Ok(keys) => config.auth.access_keys = keys,
            Err(message) => errors.push(secret.error(origins, message)),
        }
        secret.tell_origin(origins);
    }
    if let Some(file) = config.users.database_file.clone() {
        let secret = Secret { key: "users.database", file: &file };
        match secret.value(config.users.database.is_some(), read, parse) {
            Ok(database) => config.users.database = Some(database),
            Err(message) => errors.push(secret.error(origins, message)),
        }
        secret.tell_origin(origins);
    }
    ConfigErrors::none(errors)
}

/// The content of a file, within bounds.
pub(super) fn from_disk(file: &Path) -> Result<Zeroizing<String>, String> {
    let cannot = |error: io::Error| format!("cannot be read: {error}");
    let mut text = Zeroizing::new(String::new());
    let mut opened = File::open(file).map_err(cannot)?.take(MAX_BYTES + 1);
    opened.read_to_string(&mut text).map_err(cannot)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(format!("has more than {} KiB", MAX_BYTES >> 10));
    }
    Ok(text)
}

/// A key whose value lies in a file.
struct Secret<'a> {
    key: &'a str,
    file: &'a Path,
}

impl Secret<'_> {
    fn file_key(&self) -> String {
        format!("{}_file", self.key)
    }

    fn value<T>(
        &self,
        is_set: bool,
        read: ReadSecret<'_>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, String> {
        if is_set {
            return Err(format!("is given together with '{}'; one of them must go", self.key));
        }
        let of_file = |message| format!("{} {message}", self.file.display());
        let text = read(self.file).map_err(of_file)?;
        // Editors and `echo` end a file with a line end, which nobody means.
        let text = text.trim_end_matches(['\r', '\n']);
        if text.trim().is_empty() {
            return Err(of_file("is empty".to_owned()));
        }
        parse(text).map_err(|message| of_file(format!("is wrong: {message}")))
    }

    fn error(&self, origins: &Origins, message: String) -> ConfigError {
        let key = self.file_key();
        ConfigError { origin: origins.of(&key), message: format!("'{key}': {message}") }
    }

    fn tell_origin(&self, origins: &mut Origins) {
        if let Some(origin) = origins.of(&self.file_key()) {
            origins.set(self.key, format!("{origin} ({})", self.file.display()));
        }
    }
}

/// One key per line; empty lines are none.
fn access_keys(text: &str) -> Result<Vec<AccessKey>, String> {
    let lines = text.lines().zip(1..).filter(|(line, _)| !line.is_empty());
    lines.map(|(line, number)| parse(line).map_err(|message: String| format!("line {number}: {message}"))).collect()
}

/// The errors of secrets do not repeat them.
fn parse<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH";

    /// What comes of these variables, where each file holds `content`.
    fn load(content: &str, env: &[(&str, &str)]) -> Result<super::super::Loaded, String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret");
        std::fs::write(&file, content).unwrap();
        // In the place of the file's name, which is another one each time.
        let env = env
            .iter()
            .map(|(name, value)| (format!("FOLKMOOT__{name}"), value.replace("FILE", file.to_str().unwrap())));
        let nothing = dir.path().join("config.yaml");
        std::fs::write(&nothing, "").unwrap();
        let errors = |errors: ConfigErrors| errors.to_string().replace(file.to_str().unwrap(), "FILE");
        Config::load(Some(&nothing), env, &[]).map_err(errors)
    }

    #[test]
    fn access_keys_come_from_a_file_one_per_line() {
        let other = KEY.replace('A', "B");
        for content in [format!("{KEY}\n{other}\n"), format!("{KEY}\r\n\r\n{other}"), format!("\n{KEY}\n{other}\n\n")] {
            let loaded = load(&content, &[("AUTH__ACCESS_KEYS_FILE", "FILE")]).unwrap();
            let keys: Vec<_> = loaded.config.auth.access_keys.iter().map(AccessKey::expose).collect();
            assert_eq!(keys, [KEY, &other]);
            let shown = format!("{:?} {}", loaded.config, serde_json::to_string(&loaded.list()).unwrap());
            assert!(!shown.contains("CDEF"), "{shown}");
            let listed = loaded.list().into_iter().find(|listed| listed.key == "auth.access_keys").unwrap();
            assert!(listed.origin.starts_with("FOLKMOOT__AUTH__ACCESS_KEYS_FILE ("), "{}", listed.origin);
        }
    }

    #[test]
    fn a_database_comes_from_a_file_and_its_password_is_not_shown() {
        let database = "postgres://app:hunter2@db/users";
        let loaded = load(&format!("{database}\n"), &[("USERS__DATABASE_FILE", "FILE")]).unwrap();
        assert_eq!(loaded.config.database().expose(), database);
        let shown = format!("{:?} {}", loaded.config, serde_json::to_string(&loaded.list()).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
        assert_eq!(loaded.config.validate(), Ok(()));
    }

    #[test]
    fn a_key_and_its_file_do_not_go_together() {
        let both = [
            ("USERS__DATABASE", "sqlite://x.db"),
            ("USERS__DATABASE_FILE", "FILE"),
            ("AUTH__ACCESS_KEYS", KEY),
            ("AUTH__ACCESS_KEYS_FILE", "FILE"),
        ];
        assert_eq!(
            load("x", &both).unwrap_err(),
            "FOLKMOOT__AUTH__ACCESS_KEYS_FILE: 'auth.access_keys_file': is given together with 'auth.access_keys'; one \
             of them must go\nFOLKMOOT__USERS__DATABASE_FILE: 'users.database_file': is given together with \
             'users.database'; one of them must go"
        );
        let taken_back = [("USERS__DATABASE", "null"), ("USERS__DATABASE_FILE", "FILE")];
        assert!(load("sqlite://x.db", &taken_back).is_ok());
    }

    #[test]
    fn a_file_that_is_missing_empty_large_or_wrong_is_named_and_not_quoted() {
        let keys = |content: &str| load(content, &[("AUTH__ACCESS_KEYS_FILE", "FILE")]).unwrap_err();
        let named = "FOLKMOOT__AUTH__ACCESS_KEYS_FILE: 'auth.access_keys_file': FILE";
        assert_eq!(keys(" \n\n"), format!("{named} is empty"));
        assert_eq!(keys(&"x".repeat((64 << 10) + 1)), format!("{named} has more than 64 KiB"));
        let short = keys(&format!("{KEY}\nABCDEF\n"));
        assert_eq!(short, format!("{named} is wrong: line 2: an access key needs at least 32 bytes"));
        let three = keys(&[KEY; 3].join("\n"));
        assert!(three.contains("ACCESS_KEYS_FILE (FILE)") && three.contains("at most 2"), "{three}");
        let missing = load("", &[("USERS__DATABASE_FILE", "FILE.not")]).unwrap_err();
        assert!(missing.contains("'users.database_file': FILE.not cannot be read: No such file"), "{missing}");
        let wrong = load("mysql://app:hunter2@db", &[("USERS__DATABASE_FILE", "FILE")]).unwrap_err();
        assert!(wrong.contains("is wrong: a database is written as") && !wrong.contains("hunter2"), "{wrong}");
    }

    #[test]
    fn a_file_that_code_names_must_have_been_read() {
        let mut config = Config::default();
        config.users.database_file = Some("secret".into());
        config.auth.access_keys_file = Some("secret".into());
        assert_eq!(config.validate().unwrap_err().iter().count(), 2);
    }
}
