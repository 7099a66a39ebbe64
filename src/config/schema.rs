//! Which keys there are. The serialized defaults are the schema, so that no list has to be kept in step with the types.

use std::sync::LazyLock;

use serde_json::Value;

use super::Config;

/// The built-in defaults as a tree.
pub(super) static DEFAULTS: LazyLock<Value> =
    LazyLock::new(|| serde_json::to_value(Config::default()).expect("the defaults are plain data"));

/// Where the declared hubs are: the one mapping whose keys are names given by the operator.
pub(super) const DECLARED_HUBS: [&str; 2] = ["hubs", "declared"];

/// Whether `path` is below the declared hubs, that is, begins with the name of one.
pub(super) fn is_in_declared_hub<S: AsRef<str>>(path: &[S]) -> bool {
    path.len() > DECLARED_HUBS.len() && is_declared_hubs(&path[..DECLARED_HUBS.len()])
}

/// Whether `path` is the mapping of declared hubs itself.
pub(super) fn is_declared_hubs<S: AsRef<str>>(path: &[S]) -> bool {
    path.iter().map(AsRef::as_ref).eq(DECLARED_HUBS)
}

/// The default at a path, or `None` where there is no such key. A declared hub has the keys of `hubs.settings`.
pub(super) fn default_at<S: AsRef<str>>(path: &[S]) -> Option<&'static Value> {
    let follow = |tree: &'static Value, path: &[S]| path.iter().try_fold(tree, |tree, key| tree.get(key.as_ref()));
    if is_in_declared_hub(path) {
        follow(&DEFAULTS["hubs"]["settings"], &path[DECLARED_HUBS.len() + 1..])
    } else {
        follow(&DEFAULTS, path)
    }
}

/// Every key that holds a value, as `section.key`.
pub(super) fn keys() -> Vec<String> {
    fn collect(path: &str, tree: &Value, keys: &mut Vec<String>) {
        match tree {
            Value::Object(section) if !section.is_empty() => {
                for (key, inner) in section {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    collect(&path, inner, keys);
                }
            }
            _ => keys.push(path.to_owned()),
        }
    }
    let mut keys = Vec::new();
    collect("", &DEFAULTS, &mut keys);
    keys
}

/// What an unknown key was probably meant to be: a sibling with a similar name, or the same name in another section.
pub(super) fn nearest(section: &[String], unknown: &str) -> Option<String> {
    let siblings = default_at(section).and_then(Value::as_object).into_iter().flatten().map(|(key, _)| key);
    let similar = siblings.map(|key| (strsim::normalized_damerau_levenshtein(key, unknown), key));
    let best = similar.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(likeness, _)| *likeness >= 0.6);
    best.map(|(_, key)| key.clone()).or_else(|| {
        let last = |key: &String| key.rsplit('.').next() == Some(unknown);
        // The one that lies least deep: `server.port` is meant more often than that of its internal listener.
        keys().into_iter().filter(last).min_by_key(|key| key.matches('.').count())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declared_hub_has_the_keys_of_every_hub() {
        assert_eq!(default_at(&["hubs", "declared", "chat", "masks"]), Some(&Value::Bool(true)));
        assert_eq!(default_at(&["hubs", "declared", "chat", "mask"]), None);
        assert_eq!(default_at(&["hubs", "settings", "announcements", "max_members"]), Some(&500.into()));
    }

    #[test]
    fn a_typo_and_a_key_in_the_wrong_section_are_recognised() {
        let section = |name: &str| vec![name.to_owned()];
        assert_eq!(nearest(&section("limits"), "max_frame_byte").as_deref(), Some("max_frame_bytes"));
        assert_eq!(nearest(&section("limits"), "ping_interval").as_deref(), Some("heartbeat.ping_interval"));
        assert_eq!(nearest(&[], "port").as_deref(), Some("server.port"));
        assert_eq!(nearest(&section("limits"), "colour"), None);
    }
}
