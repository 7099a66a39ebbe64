//! The configuration: every setting with its default and its reason, one file per section.
//!
//! Built-in defaults are overlaid by a file, the file by the environment, the environment by flags. What comes out
//! has been validated, so the rest of the code never looks at a value twice. Nothing here opens a socket or a
//! database.

mod auth;
mod error;
mod fanout;
mod heartbeat;
mod hooks;
mod hubs;
mod limits;
mod load;
mod log;
mod overlay;
mod schema;
mod secret;
mod server;
mod shutdown;
mod units;
mod users;
mod validate;
mod yaml;

use std::borrow::Cow;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use self::auth::{AuthConfig, FailuresConfig, HashingConfig};
pub use self::error::{ConfigError, ConfigErrors};
pub use self::fanout::FanoutConfig;
pub use self::heartbeat::HeartbeatConfig;
pub use self::hooks::HooksConfig;
pub use self::hubs::{AnnouncePer, AnnouncementsConfig, HubConfig, HubsConfig, RawClients};
pub use self::limits::LimitsConfig;
pub use self::load::{DEFAULT_FILE, Loaded};
pub use self::log::LogConfig;
pub use self::secret::{AccessKey, AccessKeyError, DatabaseUrl, DatabaseUrlError};
pub use self::server::ServerConfig;
pub use self::shutdown::ShutdownConfig;
pub use self::users::UsersConfig;

/// All settings of a server.
///
/// The default is valid and starts a server for this machine alone:
///
/// ```
/// use folkmoot::config::Config;
///
/// let mut config = Config::default();
/// config.server.port = 0;
/// assert_eq!(config.database().expose(), "sqlite://./data/folkmoot.db");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The folder for what the server keeps: the embedded database, a generated access key. Made when absent (0700).
    ///
    /// Default `./data`; `FOLKMOOT__DATA_DIR`.
    pub data_dir: PathBuf,
    /// Where the server listens.
    pub server: ServerConfig,
    /// Who may log in.
    pub auth: AuthConfig,
    /// Where the users are kept.
    pub users: UsersConfig,
    /// Which hubs there are.
    pub hubs: HubsConfig,
    /// What one connection, and all together, may take.
    pub limits: LimitsConfig,
    /// How much may be under way to the connections.
    pub fanout: FanoutConfig,
    /// How soon a vanished peer is noticed.
    pub heartbeat: HeartbeatConfig,
    /// What hooks may take.
    pub hooks: HooksConfig,
    /// How long a shutdown takes.
    pub shutdown: ShutdownConfig,
    /// How much is logged.
    pub log: LogConfig,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            data_dir: PathBuf::from("./data"),
            server: ServerConfig::default(),
            auth: AuthConfig::default(),
            users: UsersConfig::default(),
            hubs: HubsConfig::default(),
            limits: LimitsConfig::default(),
            fanout: FanoutConfig::default(),
            heartbeat: HeartbeatConfig::default(),
            hooks: HooksConfig::default(),
            shutdown: ShutdownConfig::default(),
            log: LogConfig::default(),
        }
    }
}

impl Config {
    /// The user store: `users.database`, or else the file `folkmoot.db` in the data folder.
    pub fn database(&self) -> Cow<'_, DatabaseUrl> {
        match &self.users.database {
            Some(database) => Cow::Borrowed(database),
            None => Cow::Owned(DatabaseUrl::sqlite_file(&self.data_dir.join("folkmoot.db").to_string_lossy())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_database_lies_in_the_data_folder() {
        let mut config = Config { data_dir: "/var/lib/50%?".into(), ..Config::default() };
        assert_eq!(config.database().expose(), "sqlite:///var/lib/50%25%3F/folkmoot.db");
        config.users.database = "postgres://db/users".parse().ok();
        assert_eq!(config.database().expose(), "postgres://db/users");
    }

    #[test]
    fn the_defaults_survive_being_written_and_read() {
        let written = serde_json::to_value(Config::default()).unwrap();
        assert_eq!(serde_json::from_value::<Config>(written).unwrap(), Config::default());
    }
}
