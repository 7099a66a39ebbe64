//! Layers of settings over the built-in defaults: file, environment, flags, each later one on top.
//!
//! Every setting keeps its origin, and is tried alone, so that all mistakes are found at once and each names the place
//! to change. Reading files is left to `load.rs`, rules between keys to `validate.rs`.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::Config;
use super::error::{ConfigError, ConfigErrors};
use super::schema::{self, DECLARED_HUBS, DEFAULTS};
use super::yaml::{Entry, Node};
use crate::ids::HubName;

/// The beginning of every environment variable that is a setting.
pub(super) const ENV_PREFIX: &str = "FOLKMOOT__";

/// One value for one key, and where it comes from.
struct Setting {
    path: Vec<String>,
    value: Value,
    origin: String,
}

/// The settings given so far, and what was wrong with them.
#[derive(Default)]
pub(super) struct Overlay {
    settings: Vec<Setting>,
    errors: Vec<ConfigError>,
}

impl Overlay {
    /// Lays a document over what is there. `name` is the file's name for errors.
    pub(super) fn add_document(&mut self, name: &str, document: Node) {
        let origin = |line: Option<u64>| line.map_or_else(|| name.to_owned(), |line| format!("{name}:{line}"));
        self.add_node(&mut Vec::new(), document, &origin, None);
    }

    /// Lays one variable over what is there; variables without our prefix are somebody else's.
    pub(super) fn add_variable(&mut self, name: &str, text: &str) {
        if let Some(key) = name.strip_prefix(ENV_PREFIX) {
            let path: Vec<_> = key.split("__").map(str::to_lowercase).collect();
            self.add_text(&path, text, name);
        }
    }

    /// Lays one `key.path=value` over what is there.
    pub(super) fn add_flag(&mut self, flag: &str) {
        let Some((key, text)) = flag.split_once('=') else {
            // Not repeated: it may be a secret with its key forgotten.
            return self.fail("--set", "is written as --set key.path=value".to_owned());
        };
        let path: Vec<_> = key.trim().split('.').map(str::to_owned).collect();
        self.add_text(&path, text, &format!("--set {}", key.trim()));
    }

    /// The configuration that comes out, and where each key that was given comes from.
    pub(super) fn finish(mut self) -> Result<(Config, Origins), ConfigErrors> {
        for setting in &self.settings {
            if let Err(message) = read([setting]) {
                let message = format!("'{}': {message}", setting.path.join("."));
                self.errors.push(ConfigError { origin: Some(setting.origin.clone()), message });
            }
        }
        ConfigErrors::none(self.errors)?;
        // A declared hub starts from `hubs.settings` as they are in the end, so these come first.
        let (of_hubs, general): (Vec<_>, Vec<_>) =
            self.settings.iter().partition(|setting| schema::is_in_declared_hub(&setting.path));
        match read(general.into_iter().chain(of_hubs)) {
            Ok(config) => {
                // The values stay behind: some are secrets.
                let given = self.settings.into_iter().map(|setting| (setting.path, setting.origin));
                Ok((config, Origins(given.collect())))
            }
            Err(message) => Err(ConfigError { origin: None, message }.into()),
        }
    }

    fn fail(&mut self, origin: &str, message: String) {
        self.errors.push(ConfigError { origin: Some(origin.to_owned()), message });
    }

    /// A value from the environment or a flag: JSON where the key wants more than a text.
    fn add_text(&mut self, path: &[String], text: &str, origin: &str) {
        let Some(value) = read_text(schema::default_at(path), text) else {
            return self.fail(origin, format!("'{}': not valid JSON", path.join(".")));
        };
        let node = path.iter().rev().fold(Node::from(value), |node, key| node.wrapped_in(key));
        self.add_node(&mut Vec::new(), node, &|_| origin.to_owned(), None);
    }

    fn add_node(
        &mut self,
        path: &mut Vec<String>,
        node: Node,
        origin: &dyn Fn(Option<u64>) -> String,
        line: Option<u64>,
    ) {
        let default = schema::default_at(path);
        match (default, node) {
            // A section whose keys are all commented out is a null in YAML.
            (Some(Value::Object(_)), Node::Value(Value::Null)) => {}
            (Some(Value::Object(section)), Node::Map(entries)) => {
                self.add_section(path, section, entries, origin);
            }
            (Some(Value::Object(_)), Node::Value(_)) => {
                let what =
                    if path.is_empty() { "the configuration".to_owned() } else { format!("'{}'", path.join(".")) };
                self.fail(&origin(line), format!("{what} is a mapping of keys to values"));
            }
            (default, node) => {
                let mut value = node.into_value();
                if matches!(default, Some(Value::Array(_))) && !value.is_array() && !value.is_null() {
                    value = Value::Array(vec![value]);
                }
                self.settings.push(Setting { path: path.clone(), value, origin: origin(line) });
            }
        }
    }

    fn add_section(
        &mut self,
        path: &mut Vec<String>,
        section: &Map<String, Value>,
        entries: Vec<Entry>,
        origin: &dyn Fn(Option<u64>) -> String,
    ) {
        let are_hubs = schema::is_declared_hubs(path);
        for Entry { mut key, line, node } in entries {
            if are_hubs {
                match HubName::parse(&key) {
                    Ok(hub) => key = hub.to_string(),
                    Err(error) => {
                        self.fail(&origin(line), format!("'{}': '{key}': {error}", path.join(".")));
                        continue;
                    }
                }
            } else if !section.contains_key(&key) {
                self.unknown_key(path, &key, &origin(line));
                continue;
            }
            path.push(key);
            if are_hubs {
                // Declares the hub, also when nothing differs in it.
                self.settings.push(Setting {
                    path: path.clone(),
                    value: Value::Object(Map::new()),
                    origin: origin(line),
                });
            }
            self.add_node(path, node, origin, line);
            path.pop();
        }
    }

    fn unknown_key(&mut self, section: &[String], key: &str, origin: &str) {
        let whole = section.iter().map(String::as_str).chain([key]).collect::<Vec<_>>().join(".");
        let hint = schema::nearest(section, key).map(|key| format!(" – did you mean '{key}'?")).unwrap_or_default();
        self.fail(origin, format!("unknown key '{whole}'{hint}"));
    }
}

/// Where each given key of a configuration comes from; none of a configuration that code put together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(HashMap<Vec<String>, String>);

impl Origins {
    /// The origin of the value that counts.
    pub(super) fn of(&self, key: &str) -> Option<String> {
        let path: Vec<_> = key.split('.').map(str::to_owned).collect();
        self.at(&path).map(str::to_owned)
    }

    /// The same for a path. What a declared hub has from `hubs.settings` comes from there.
    pub(super) fn at(&self, path: &[String]) -> Option<&str> {
        let inherited = || {
            let rest = path.get(DECLARED_HUBS.len() + 1..).filter(|_| schema::is_in_declared_hub(path))?;
            self.0.get(&[&["hubs".to_owned(), "settings".to_owned()], rest].concat())
        };
        self.0.get(path).or_else(inherited).map(String::as_str)
    }

    /// Tells another origin of a key.
    pub(super) fn set(&mut self, key: &str, origin: String) {
        self.0.insert(key.split('.').map(str::to_owned).collect(), origin);
    }
}

/// What a text stands for at a key with this default; `None` where it must be JSON and is not.
fn read_text(default: Option<&Value>, text: &str) -> Option<Value> {
    let json = serde_json::from_str::<Value>(text);
    let plain = || Value::String(text.to_owned());
    Some(match (default, json) {
        (Some(Value::Object(_)), json) => json.ok()?,
        // A text is taken as it stands, even one that looks like a number: it may be an access key.
        (Some(Value::String(_)), Ok(Value::String(text))) => Value::String(text),
        (Some(Value::String(_)), _) => plain(),
        (Some(Value::Null), Ok(value @ (Value::String(_) | Value::Null))) => value,
        (Some(Value::Null), _) => plain(),
        (Some(Value::Array(_)), Ok(value @ (Value::Array(_) | Value::String(_)))) => value,
        (Some(Value::Array(_)), _) if text.trim_start().starts_with('[') => return None,
        (Some(Value::Array(_)), _) => plain(),
        (_, json) => json.unwrap_or_else(|_| plain()),
    })
}

/// The defaults with some settings over them.
fn read<'a>(settings: impl IntoIterator<Item = &'a Setting>) -> Result<Config, String> {
    let mut tree = DEFAULTS.clone();
    for setting in settings {
        put(&mut tree, &setting.path, &setting.value);
    }
    serde_json::from_value(tree).map_err(|error| plain_words(&error.to_string()))
}

/// Sets one key. A declared hub comes into being as a copy of `hubs.settings`.
fn put(tree: &mut Value, path: &[String], value: &Value) {
    let settings = tree["hubs"]["settings"].clone();
    let mut place = tree;
    for (depth, key) in path.iter().enumerate() {
        let Value::Object(section) = place else { return };
        let is_hub = depth == DECLARED_HUBS.len() && schema::is_in_declared_hub(path);
        place = section.entry(key.clone()).or_insert_with(|| if is_hub { settings.clone() } else { Value::Null });
    }
    let declares_hub = schema::is_in_declared_hub(path) && path.len() == DECLARED_HUBS.len() + 1;
    if !declares_hub {
        *place = value.clone();
    }
}

/// serde names Rust's types; the reader may not know them.
fn plain_words(message: &str) -> String {
    let words = [
        ("expected u16", "expected a whole number up to 65535"),
        ("expected u32", "expected a whole number"),
        ("expected usize", "expected a whole number"),
        ("expected a boolean", "expected true or false"),
        ("expected a string", "expected a text"),
        ("invalid type: ", "found "),
        ("invalid value: ", "found "),
    ];
    words.iter().fold(message.to_owned(), |message, (rust, plain)| message.replace(rust, plain))
}
