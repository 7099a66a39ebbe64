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
mod issuers;
mod limits;
mod listing;
mod load;
mod log;
mod overlay;
mod pages;
mod reliable;
mod reloadable;
mod schema;
mod secret;
mod secret_files;
mod server;
mod shutdown;
mod units;
mod users;
mod validate;
mod webhooks;
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
pub use self::issuers::{IssuerConfig, JwtConfig, KeySetLocation, KeySetLocationError};
pub use self::limits::LimitsConfig;
pub use self::listing::Listed;
pub(crate) use self::listing::list;
#[cfg(any(test, fuzzing))]
pub(crate) use self::load::from_layers;
pub use self::load::{DEFAULT_FILE, Loaded};
pub use self::log::{LogConfig, LogFormat};
pub use self::overlay::Origins;
pub use self::pages::{PagesConfig, ServePage};
pub use self::reliable::ReliableConfig;
pub use self::reloadable::{Changed, Takes};
pub use self::secret::{AccessKey, AccessKeyError, DatabaseUrl, DatabaseUrlError};
pub use self::server::{InternalConfig, ServerConfig, TlsConfig};
pub use self::shutdown::ShutdownConfig;
#[cfg(feature = "cli")]
pub(crate) use self::units::parse_duration;
pub use self::users::UsersConfig;
pub use self::webhooks::{
    SystemEvent, SystemEventError, UserEvents, UserEventsError, WebhookConfig, WebhookUrl, WebhookUrlError,
    WebhooksConfig,
};
pub use crate::auth::jwks::SigningAlgorithm;
pub use crate::outbound::SlowConsumers;

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
    /// How reliable connections outlive their sockets.
    pub reliable: ReliableConfig,
    /// What hooks may take.
    pub hooks: HooksConfig,
    /// What webhooks may take.
    pub webhooks: WebhooksConfig,
    /// How long a shutdown takes.
    pub shutdown: ShutdownConfig,
    /// Which pages are served.
    pub pages: PagesConfig,
    /// How much is logged, and how.
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
            reliable: ReliableConfig::default(),
            hooks: HooksConfig::default(),
            webhooks: WebhooksConfig::default(),
            shutdown: ShutdownConfig::default(),
            pages: PagesConfig::default(),
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
    use serde_json::Value;

    use super::*;
    use crate::ids::HubName;

    /// A file of the repository.
    fn read(file: &str) -> String {
        std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
    }

    #[test]
    fn the_embedded_database_lies_in_the_data_folder() {
        let mut config = Config { data_dir: "/var/lib/50%?".into(), ..Config::default() };
        assert_eq!(config.database().expose(), "sqlite:///var/lib/50%25%3F/folkmoot.db");
        config.users.database = "postgres://db/users".parse().ok();
        assert_eq!(config.database().expose(), "postgres://db/users");
    }

    #[test]
    fn the_defaults_are_valid_and_survive_being_written_and_read() {
        assert_eq!(Config::default().validate(), Ok(()));
        let written = serde_json::to_value(Config::default()).unwrap();
        assert_eq!(serde_json::from_value::<Config>(written).unwrap(), Config::default());
    }

    #[test]
    fn the_file_in_the_repository_is_the_defaults_and_the_demo() {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(DEFAULT_FILE);
        let mut config = Config::load(Some(&file), [], &[]).unwrap().config;

        assert!(std::mem::take(&mut config.users.demo));
        let chat = config.hubs.declared.remove(&HubName::parse("chat").unwrap()).unwrap();
        let default_roles = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"].map(|role| role.parse().unwrap());
        let announcements = AnnouncementsConfig { enabled: true, ..AnnouncementsConfig::default() };
        let demo = HubConfig { default_roles: default_roles.into(), announcements, ..HubConfig::default() };
        assert_eq!(chat, demo);
        assert_eq!(config, Config::default());
    }

    #[test]
    fn the_file_in_the_repository_lists_every_key() {
        let file = yaml::parse(&read(DEFAULT_FILE)).unwrap().into_value();
        let is_listed = |key: &str| key.split('.').try_fold(&file, |tree, key| tree.get(key)).is_some();
        let missing: Vec<_> = schema::keys().into_iter().filter(|key| !is_listed(key)).collect();
        assert!(missing.is_empty(), "config.yaml lacks {missing:?}");
    }

    #[test]
    fn the_page_about_the_configuration_lists_every_key_with_its_default_and_variable() {
        let page = read("docs/configuration.md");
        for key in schema::keys() {
            let path: Vec<_> = key.split('.').collect();
            let default = match schema::default_at(&path) {
                Some(Value::String(text)) => text.clone(),
                Some(value) => value.to_string(),
                None => panic!("no default for {key}"),
            };
            let variable = format!("{}{}", overlay::ENV_PREFIX, path.join("__").to_uppercase());
            let row = format!("| `{key}` | `{default}` | `{variable}` | ");
            assert!(page.contains(&row), "docs/configuration.md lacks: {row}");
        }
        let rows = page.lines().filter(|line| line.contains("| `FOLKMOOT__")).count();
        assert_eq!(rows, schema::keys().len(), "docs/configuration.md has a key that does not exist");
    }
}
