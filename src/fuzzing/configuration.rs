//! The configuration: whatever stands in the file, the environment and the flags, what is refused is told with its
//! place or its key, and what is taken is valid and does not depend on how it was given.

use crate::config::{Config, ConfigErrors, Takes, from_layers};
use crate::user::User;

/// The file's text, and behind each NUL one variable (`FOLKMOOT__…=value`) or one `key.path=value`.
pub fn configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut parts = text.split('\0');
    let document = parts.next().unwrap_or_default();
    let (env, sets): (Vec<&str>, Vec<&str>) = parts.partition(|part| part.starts_with("FOLKMOOT__"));
    let env = env.iter().filter_map(|part| part.split_once('='));
    let env: Vec<(String, String)> = env.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let sets: Vec<String> = sets.into_iter().map(str::to_owned).collect();

    let read = load(document, env.clone(), &sets);
    match &read {
        Ok(config) => {
            assert_eq!(config.validate(), Ok(()));
            // To say it twice changes nothing.
            let twice: Vec<String> = sets.iter().chain(&sets).cloned().collect();
            assert_eq!(load(document, env, &twice).as_ref(), Ok(config));
            assert_reload(config);
        }
        Err(errors) => assert_told(errors),
    }
    for set in &sets {
        assert_flag_is_variable(set);
    }
}

fn load(document: &str, env: Vec<(String, String)>, sets: &[String]) -> Result<Config, ConfigErrors> {
    from_layers::<User>(Some(("config.yaml", document)), env, sets).map(|(config, _)| config)
}

/// A running server that reads this goes on with what takes a restart, and with nothing else.
fn assert_reload(wanted: &Config) {
    let before = Config::default();
    assert_eq!(wanted.changes_to(wanted), []);
    let mut kept = wanted.clone();
    kept.keep_until_restart(&before);
    let waits = |config: &Config| before.changes_to(config).into_iter().filter(|change| change.takes == Takes::Restart);
    // A hub that was not declared has the masks of all the others, which are kept for it.
    assert_eq!(waits(&kept).find(|change| !change.key.starts_with("hubs.declared.")), None);
    let lost = kept.changes_to(wanted).into_iter().find(|change| change.takes != Takes::Restart);
    assert_eq!(lost, None);
}

fn assert_told(errors: &ConfigErrors) {
    assert!(errors.iter().count() > 0);
    for error in errors.iter() {
        let names_key = error.message.contains('\'');
        assert!(error.origin.is_some() || names_key, "neither a place nor a key: {error}");
        assert!(!error.message.is_empty());
    }
}

/// The same key and value as a flag and as a variable come to the same.
fn assert_flag_is_variable(set: &str) {
    let Some((key, value)) = set.split_once('=') else { return };
    // A variable has no case, and two underscores are its dot.
    if !key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'.' || byte == b'_') || key.contains("__") {
        return;
    }
    let parts: Vec<&str> = key.split('.').collect();
    if parts.iter().any(|part| part.is_empty() || part.starts_with('_') || part.ends_with('_')) {
        return;
    }
    let name = format!("FOLKMOOT__{}", parts.join("__").to_uppercase());
    let by_flag = load("", Vec::new(), &[set.to_owned()]).ok();
    let by_variable = load("", vec![(name, value.to_owned())], &[]).ok();
    assert_eq!(by_flag, by_variable, "{key}");
}
