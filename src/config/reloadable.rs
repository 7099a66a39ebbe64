//! What of a configuration can change while the server runs, and what is different between two of them.
//!
//! [`Takes::of`] says it of each key; the log of a reload, the dashboard and `docs/configuration.md` tell it.

use serde::Serialize;
use serde_json::Value;

use super::Config;
use super::listing::list;
use super::overlay::Origins;
use super::secret::HIDDEN;

/// When a changed key counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Takes {
    /// At once.
    Now,
    /// For connections that come later; those that are open keep what they began with.
    Later,
    /// When the server is started again.
    Restart,
}

impl Takes {
    /// When a change of this key counts, while the server runs.
    ///
    /// ```
    /// use folkmoot::config::Takes;
    ///
    /// assert_eq!(Takes::of("limits.connections"), Takes::Now);
    /// assert_eq!(Takes::of("hubs.declared.chat.join"), Takes::Later);
    /// assert_eq!(Takes::of("server.port"), Takes::Restart);
    /// ```
    pub fn of(key: &str) -> Takes {
        let is_in =
            |section: &str| key.strip_prefix(section).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        if let Some(key) = key_of_hub(key) {
            return match key {
                // What a group may be called is fixed while there may be groups.
                "masks" => Takes::Restart,
                key if LATER_IN_HUB.contains(&key) => Takes::Later,
                _ => Takes::Now,
            };
        }
        if RESTART.iter().any(|section| is_in(section)) {
            Takes::Restart
        } else if LATER.contains(&key) {
            Takes::Later
        } else {
            Takes::Now
        }
    }

    /// In a word, as the documentation has it.
    pub const fn word(self) -> &'static str {
        match self {
            Takes::Now => "now",
            Takes::Later => "later",
            Takes::Restart => "restart",
        }
    }
}

/// A key that differs between two configurations.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Changed {
    /// The key, as `section.key`.
    pub key: String,
    /// What it was; `null` where there was no such key (a hub that is declared now), `"***"` for a secret.
    pub from: Value,
    /// What it is to be.
    pub to: Value,
    /// When that counts.
    pub takes: Takes,
}

/// Keys, and sections of them, that are used once at the start: addresses, threads, the store, what is built from them.
const RESTART: [&str; 19] = [
    "auth.hashing",
    "data_dir",
    "fanout",
    "heartbeat",
    "hooks",
    "limits.http_head_timeout",
    "limits.http_keep_alive",
    "server.bind",
    "server.internal",
    "server.port",
    "server.tls",
    "server.workers",
    "users.cache_ttl",
    "users.database",
    "users.database_file",
    "users.demo",
    "users.revision_interval",
    "log.format",
    "webhooks",
];

/// Keys that a connection is given when it connects, and keeps.
const LATER: [&str; 14] = [
    "limits.bytes_per_second",
    "limits.json_depth",
    "limits.max_fragments",
    "limits.max_frame_bytes",
    "limits.max_message_bytes",
    "limits.messages_per_second",
    "limits.outbound_bytes",
    "limits.outbound_messages",
    "limits.requests_in_flight",
    "limits.write_timeout",
    "reliable.buffer_bytes",
    "reliable.buffer_messages",
    "reliable.recovery_window",
    "users.max_record_bytes",
];

/// The same of the keys of a hub, under `hubs.settings` or a declared hub.
const LATER_IN_HUB: [&str; 7] =
    ["anonymous", "default_roles", "enforce_expiry", "join", "raw_clients", "slow_consumers", "user_groups"];

/// The key among those of a hub. Names of hubs may contain dots, keys do not, but `announcements` has keys of its own.
fn key_of_hub(key: &str) -> Option<&str> {
    if let Some(key) = key.strip_prefix("hubs.settings.") {
        return Some(key);
    }
    let (_, key) = key.strip_prefix("hubs.declared.")?.rsplit_once('.')?;
    Some(key)
}

impl Config {
    /// What is different in another configuration, by key.
    pub fn changes_to(&self, other: &Config) -> Vec<Changed> {
        let values = |config: &Config| {
            let listed = list(config, &Origins::default()).into_iter();
            listed.map(|listed| (listed.key, listed.value)).collect::<std::collections::BTreeMap<_, _>>()
        };
        let (mut from, mut to) = (values(self), values(other));
        // A listing shows of a secret only that there is one.
        let mut secrets = vec![
            ("auth.access_keys".to_owned(), self.auth.access_keys != other.auth.access_keys),
            ("users.database".to_owned(), self.users.database != other.users.database),
            ("hubs.settings.webhooks".to_owned(), self.hubs.settings.webhooks != other.hubs.settings.webhooks),
        ];
        for (name, hub) in &self.hubs.declared {
            let differs = other.hubs.declared.get(name).is_some_and(|other| hub.webhooks != other.webhooks);
            secrets.push((format!("hubs.declared.{name}.webhooks"), differs));
        }
        for (key, differs) in secrets {
            let shown = from.get(&key) != to.get(&key);
            if differs && !shown {
                to.insert(key, format!("{HIDDEN}, another one").into());
            }
        }
        let keys: std::collections::BTreeSet<String> = from.keys().chain(to.keys()).cloned().collect();
        let changes = keys.into_iter().map(|key| {
            let (from, to) = (from.remove(&key).unwrap_or_default(), to.remove(&key).unwrap_or_default());
            Changed { takes: Takes::of(&key), from, to, key }
        });
        changes.filter(|change| change.from != change.to).collect()
    }

    /// Takes from the configuration in effect what cannot change while the server runs.
    pub(crate) fn keep_until_restart(&mut self, old: &Config) {
        self.data_dir.clone_from(&old.data_dir);
        self.server.bind = old.server.bind;
        self.server.port = old.server.port;
        self.server.workers = old.server.workers;
        self.server.internal.clone_from(&old.server.internal);
        self.server.tls.clone_from(&old.server.tls);
        self.auth.hashing.clone_from(&old.auth.hashing);
        self.users.database.clone_from(&old.users.database);
        self.users.database_file.clone_from(&old.users.database_file);
        self.users.demo = old.users.demo;
        self.users.cache_ttl = old.users.cache_ttl;
        self.users.revision_interval = old.users.revision_interval;
        self.limits.http_head_timeout = old.limits.http_head_timeout;
        self.limits.http_keep_alive = old.limits.http_keep_alive;
        self.fanout.clone_from(&old.fanout);
        self.heartbeat.clone_from(&old.heartbeat);
        self.hooks.clone_from(&old.hooks);
        self.webhooks.clone_from(&old.webhooks);
        self.log.format = old.log.format;
        // Of hubs that were not declared, too: they may be open.
        self.hubs.settings.masks = old.hubs.settings.masks;
        for (name, hub) in &mut self.hubs.declared {
            hub.masks = old.hubs.hub(name).masks;
        }
        // One that is declared no more is as all the others, except for its masks.
        for (name, hub) in &old.hubs.declared {
            if hub.masks != old.hubs.settings.masks && !self.hubs.declared.contains_key(name) {
                let settings = super::HubConfig { masks: hub.masks, ..self.hubs.settings.clone() };
                self.hubs.declared.insert(name.clone(), settings);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::schema;

    const KEY: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH";

    /// Another value of the same kind.
    fn other(value: &Value) -> Vec<Value> {
        let texts = ["drop_oldest", "event", "true", "user", "debug", "text", "/tmp/x", "10.0.0.1", "x", "31s"];
        match value {
            Value::Bool(value) => vec![json!(!value)],
            Value::Number(number) => vec![json!(number.as_u64().unwrap() + 1)],
            Value::Array(_) => {
                let items = ["webpubsub.joinLeaveGroup", "https://a.example.com", "10.0.0.0/8", "phone", KEY];
                let issuer = json!({"issuer": "a", "jwks": "keys.json", "audiences": ["b"]});
                let webhook = json!({"url": "http://localhost/", "user_events": "*"});
                items.map(Value::from).into_iter().chain([issuer, webhook]).map(|item| json!([item])).collect()
            }
            Value::String(text) => {
                let longer = format!("1{text}");
                [longer.as_str()].iter().chain(&texts).map(|text| json!(text)).collect()
            }
            _ => {
                [json!(4711)].into_iter().chain(texts.map(|text| json!(text))).chain([json!("sqlite://x.db")]).collect()
            }
        }
    }

    /// The defaults with one key changed, whatever its type.
    fn with_other(key: &str) -> Option<Config> {
        let path = format!("/{}", key.replace('.', "/"));
        let mut tree = schema::DEFAULTS.clone();
        let default = tree.pointer(&path)?.clone();
        other(&default).into_iter().find_map(|value| {
            *tree.pointer_mut(&path)? = value;
            let config: Config = serde_json::from_value(tree.clone()).ok()?;
            (config != Config::default()).then_some(config)
        })
    }

    #[test]
    fn what_takes_a_restart_is_kept_and_everything_else_is_not() {
        let default = Config::default();
        for key in schema::keys().iter().filter(|key| *key != "hubs.declared") {
            let wanted = with_other(key).unwrap_or_else(|| panic!("no other value is known for {key}"));
            let changes = default.changes_to(&wanted);
            let keys: Vec<_> = changes.iter().map(|change| (change.key.as_str(), change.takes)).collect();
            assert_eq!(keys, [(key.as_str(), Takes::of(key))]);
            let mut config = wanted.clone();
            config.keep_until_restart(&default);
            match Takes::of(key) {
                Takes::Restart => assert_eq!(config, default, "{key} is not kept"),
                Takes::Now | Takes::Later => assert_eq!(config, wanted, "{key} is lost"),
            }
        }
    }

    #[test]
    fn a_secret_that_changes_is_told_without_being_shown() {
        let keys = |key: &str| Config { auth: auth(key), ..Config::default() };
        fn auth(key: &str) -> crate::config::AuthConfig {
            crate::config::AuthConfig { access_keys: vec![key.parse().unwrap()], ..Default::default() }
        }
        let changes = keys(KEY).changes_to(&keys(&KEY.replace('A', "B")));
        let told = serde_json::to_string(&changes).unwrap();
        assert!(changes.len() == 1 && changes[0].key == "auth.access_keys" && !told.contains("CDEFGH"), "{told}");
        assert_eq!(keys(KEY).changes_to(&keys(KEY)), []);

        let hook = |code: &str| {
            let mut config = Config::default();
            let url = format!("http://localhost/?code={code}").parse().unwrap();
            config.hubs.settings.webhooks = vec![crate::config::WebhookConfig::new(url)];
            config
        };
        let changes = hook("one").changes_to(&hook("two"));
        let told = serde_json::to_string(&changes).unwrap();
        assert!(changes.len() == 1 && changes[0].key == "hubs.settings.webhooks" && !told.contains("two"), "{told}");
    }

    #[test]
    fn the_masks_of_a_hub_outlive_its_declaration() {
        let hub = crate::ids::HubName::parse("plain.names").unwrap();
        let mut old = Config::default();
        let declared = crate::config::HubConfig { masks: false, ..Default::default() };
        old.hubs.declared.insert(hub.clone(), declared);
        let mut new = Config::default();
        let changes = old.changes_to(&new);
        assert!(
            changes
                .iter()
                .any(|change| change.key == "hubs.declared.plain.names.masks" && change.takes == Takes::Restart)
        );
        new.keep_until_restart(&old);
        assert!(!new.hubs.hub(&hub).masks);
    }

    #[test]
    fn the_documentation_says_of_each_key_when_it_counts() {
        let text = include_str!("../../docs/configuration.md");
        let rows: Vec<_> = text.lines().filter(|line| line.starts_with("| `")).collect();
        for key in schema::keys().iter().filter(|key| *key != "hubs.declared") {
            let row = rows.iter().find(|row| row.starts_with(&format!("| `{key}`")));
            let row = row.unwrap_or_else(|| panic!("docs/configuration.md has no row for {key}"));
            let word = row.trim_end_matches('|').trim().rsplit('|').next().unwrap().trim();
            assert_eq!(word, Takes::of(key).word(), "of {key}");
        }
    }
}
