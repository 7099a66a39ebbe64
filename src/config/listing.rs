//! Every key of a configuration in effect, with its value and where that comes from: for people who wonder why.
//!
//! Secrets are not in it.

use serde::Serialize;
use serde_json::Value;

use super::overlay::Origins;
use super::reloadable::Takes;
use super::schema;
use super::{Config, Loaded};

/// One key of a configuration.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Listed {
    /// The key, as `section.key`.
    pub key: String,
    /// Its value, as a configuration file would have it; `"***"` in the place of a secret.
    pub value: Value,
    /// Where the value comes from: `config.yaml:12`, a variable, a flag, `default`, or `program` where code set it.
    pub origin: String,
    /// When a change of it would count.
    pub takes: Takes,
}

impl Loaded {
    /// Every key with its value and origin, section by section.
    ///
    /// ```
    /// use folkmoot::config::Config;
    ///
    /// let loaded = Config::load(None, [], &["server.port=9000".to_owned()])?;
    /// let listed = loaded.list();
    /// let port = listed.iter().find(|listed| listed.key == "server.port").expect("a key");
    /// assert_eq!((port.value.as_u64(), port.origin.as_str()), (Some(9000), "--set server.port"));
    /// # Ok::<(), folkmoot::config::ConfigErrors>(())
    /// ```
    pub fn list(&self) -> Vec<Listed> {
        list(&self.config, &self.origins)
    }
}

/// Every key of `config`, of which `origins` tell where they were given.
///
/// A declared hub is listed with all its settings, also those that it has from `hubs.settings`.
pub fn list(config: &Config, origins: &Origins) -> Vec<Listed> {
    // Plain data; a tree that could not be written would be no listing at all.
    let tree = serde_json::to_value(config).unwrap_or_default();
    let mut listed = Vec::new();
    collect(&mut Vec::new(), tree, origins, &mut listed);
    listed
}

fn collect(path: &mut Vec<String>, tree: Value, origins: &Origins, listed: &mut Vec<Listed>) {
    match tree {
        Value::Object(section) if !section.is_empty() => {
            for (key, inner) in section {
                path.push(key);
                collect(path, inner, origins, listed);
                path.pop();
            }
        }
        value => {
            let default = || {
                let is_default = schema::default_at(path) == Some(&value);
                // A hub that code declares differs from no default of its own.
                if is_default { "default" } else { "program" }.to_owned()
            };
            let origin = origins.at(path).map_or_else(default, str::to_owned);
            let key = path.join(".");
            listed.push(Listed { takes: Takes::of(&key), key, value, origin });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::{AccessKey, DEFAULT_FILE};
    use crate::ids::HubName;

    fn find<'a>(listed: &'a [Listed], key: &str) -> &'a Listed {
        listed.iter().find(|listed| listed.key == key).unwrap_or_else(|| panic!("{key} is not listed"))
    }

    #[test]
    fn each_key_is_listed_with_its_value_and_where_that_comes_from() {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(DEFAULT_FILE);
        let env = [("FOLKMOOT__LIMITS__CONNECTIONS".to_owned(), "7".to_owned())];
        let sets = ["server.port=9000".to_owned(), "hubs.declared.sales.masks=false".to_owned()];
        let loaded = Config::load(Some(&file), env, &sets).unwrap();
        let listed = loaded.list();

        assert_eq!(find(&listed, "limits.connections").value, json!(7));
        assert_eq!(find(&listed, "limits.connections").origin, "FOLKMOOT__LIMITS__CONNECTIONS");
        assert_eq!(find(&listed, "server.port").origin, "--set server.port");
        assert_eq!(find(&listed, "hubs.declared.sales.masks").origin, "--set hubs.declared.sales.masks");
        let text = std::fs::read_to_string(&file).unwrap();
        let line = 1 + text.lines().position(|line| line.trim_start().starts_with("list_page:")).unwrap();
        assert_eq!(find(&listed, "limits.list_page").origin, format!("{}:{line}", file.display()));
        for key in schema::keys().iter().filter(|key| *key != "hubs.declared") {
            find(&listed, key);
        }
    }

    #[test]
    fn a_key_that_nobody_gave_is_a_default_and_one_that_code_set_is_the_programs() {
        let mut config = Config::default();
        config.limits.connections = 3;
        config.hubs.declared.insert(HubName::parse("folkmoot").unwrap(), config.hubs.settings.clone());
        let listed = list(&config, &Origins::default());
        assert_eq!(find(&listed, "limits.connections").origin, "program");
        assert_eq!(find(&listed, "limits.list_page").origin, "default");
        assert_eq!(find(&listed, "hubs.declared.folkmoot.masks").origin, "default");
    }

    #[test]
    fn what_a_declared_hub_has_from_the_settings_of_all_comes_from_there() {
        let sets = ["hubs.declared.sales.anonymous=true".to_owned(), "hubs.settings.masks=false".to_owned()];
        let listed = Config::load_for::<crate::user::User>(None, [], &sets).unwrap().list();
        assert_eq!(find(&listed, "hubs.declared.sales.masks").value, json!(false));
        assert_eq!(find(&listed, "hubs.declared.sales.masks").origin, "--set hubs.settings.masks");
    }

    #[test]
    fn no_secret_is_listed() {
        const KEY: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH";
        let mut config = Config::default();
        config.auth.access_keys = vec![KEY.parse::<AccessKey>().unwrap()];
        config.users.database = "postgres://app:hunter2@db/users".parse().ok();
        let listed = list(&config, &Origins::default());
        assert_eq!(find(&listed, "auth.access_keys").value, json!(["***"]));
        let text = serde_json::to_string(&listed).unwrap();
        assert!(!text.contains(KEY) && !text.contains("hunter2"), "{text}");
    }
}
