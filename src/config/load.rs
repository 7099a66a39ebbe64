//! Reading a configuration: built-in defaults < file < environment < flags.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::error::{ConfigError, ConfigErrors};
use super::overlay::{Origins, Overlay};
use super::secret_files::{self, ReadSecret};
use super::{Config, yaml};
use crate::user::{User, UserData};

/// The file that is read when none is named.
pub const DEFAULT_FILE: &str = "config.yaml";

/// A configuration and where it comes from.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Loaded {
    /// The settings, validated.
    pub config: Config,
    /// The file that was read, or `None` where there was none.
    pub file: Option<PathBuf>,
    /// Where each key comes from that was given.
    pub origins: Origins,
}

impl Config {
    /// Reads the configuration of a server whose connections carry [`User`].
    ///
    /// `file` must exist when named; else `config.yaml` in the working directory is read where there is one. `env` are
    /// the variables of the process, of which those beginning with `FOLKMOOT__` count; `sets` are `key.path=value`.
    ///
    /// ```
    /// use folkmoot::config::Config;
    ///
    /// let env = [("FOLKMOOT__SERVER__PORT".to_owned(), "9000".to_owned())];
    /// let loaded = Config::load(None, env, &["limits.outbound_bytes=2MiB".to_owned()])?;
    /// assert_eq!(loaded.config.server.port, 9000);
    /// assert_eq!(loaded.config.limits.outbound_bytes, 2 << 20);
    /// # Ok::<(), folkmoot::config::ConfigErrors>(())
    /// ```
    ///
    /// # Errors
    /// Everything that is wrong: an unreadable file, unknown keys, values of the wrong kind, and values that do not go
    /// together, each with its line, variable or flag.
    pub fn load(
        file: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
        sets: &[String],
    ) -> Result<Loaded, ConfigErrors> {
        Config::load_for::<User>(file, env, sets)
    }

    /// The same for connections that carry another type, whose fields join rules and announcements may name.
    ///
    /// # Errors
    /// As [`load`](Config::load).
    pub fn load_for<U: UserData>(
        file: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
        sets: &[String],
    ) -> Result<Loaded, ConfigErrors> {
        let document = read_file(file)?;
        let text = document.as_ref().map(|(file, text)| (file.display().to_string(), text.as_str()));
        let document_text = text.as_ref().map(|(name, text)| (name.as_str(), *text));
        let (config, origins) = put_together::<U>(document_text, env, sets, &secret_files::from_disk)?;
        Ok(Loaded { config, file: document.map(|(file, _)| file), origins })
    }
}

/// The file and its text, or `None` where no file was named and none is there.
fn read_file(named: Option<&Path>) -> Result<Option<(PathBuf, String)>, ConfigErrors> {
    let file = named.unwrap_or(Path::new(DEFAULT_FILE));
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some((file.to_owned(), text))),
        Err(error) if named.is_none() && error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let message = format!("the configuration file cannot be read: {error}");
            Err(ConfigErrors::from(ConfigError { origin: Some(file.display().to_string()), message }))
        }
    }
}

/// The layers without a look at the disk: files with secrets cannot be read.
#[cfg(any(test, fuzzing))]
pub(crate) fn from_layers<U: UserData>(
    document: Option<(&str, &str)>,
    env: impl IntoIterator<Item = (String, String)>,
    sets: &[String],
) -> Result<(Config, Origins), ConfigErrors> {
    put_together::<U>(document, env, sets, &|_| Err("cannot be read here".to_owned()))
}

/// The layers put together; the document comes as its name and its text.
fn put_together<U: UserData>(
    document: Option<(&str, &str)>,
    env: impl IntoIterator<Item = (String, String)>,
    sets: &[String],
    read_secret: ReadSecret<'_>,
) -> Result<(Config, Origins), ConfigErrors> {
    let mut overlay = Overlay::default();
    if let Some((name, text)) = document {
        let tree = yaml::parse(text).map_err(|(line, message)| {
            let origin = line.map_or_else(|| name.to_owned(), |line| format!("{name}:{line}"));
            ConfigErrors::from(ConfigError { origin: Some(origin), message })
        })?;
        overlay.add_document(name, tree);
    }
    for (name, value) in env {
        overlay.add_variable(&name, &value);
    }
    for flag in sets {
        overlay.add_flag(flag);
    }
    let (mut config, mut origins) = overlay.finish()?;
    secret_files::read_into(&mut config, &mut origins, read_secret)?;
    let problems = config.problems::<U>().into_iter();
    ConfigErrors::none(problems.map(|problem| problem.into_error(|key| origins.of(key))).collect())?;
    Ok((config, origins))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::config::RawClients;
    use crate::ids::HubName;

    const KEY: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH";

    fn load(document: &str, env: &[(&str, &str)], sets: &[&str]) -> Result<Config, String> {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let sets: Vec<_> = sets.iter().map(|&set| set.to_owned()).collect();
        from_layers::<User>(Some(("config.yaml", document)), env, &sets)
            .map(|(config, _)| config)
            .map_err(|errors| errors.to_string())
    }

    fn file(document: &str) -> Result<Config, String> {
        load(document, &[], &[])
    }

    fn hub(name: &str) -> HubName {
        HubName::parse(name).unwrap()
    }

    #[test]
    fn each_layer_lies_over_the_one_before() {
        let document = "server:\n  port: 1\n  workers: 1\nlimits:\n  connections: 1\n";
        let env = [("FOLKMOOT__SERVER__PORT", "2"), ("FOLKMOOT__SERVER__WORKERS", "2"), ("PORT", "7")];
        let config = load(document, &env, &["server.port=3"]).unwrap();
        assert_eq!((config.server.port, config.server.workers, config.limits.connections), (3, 2, 1));
        assert_eq!(config.limits.list_page, Config::default().limits.list_page);
    }

    #[test]
    fn nothing_at_all_gives_the_defaults() {
        assert_eq!(file(""), Ok(Config::default()));
        assert_eq!(file("server:\nlimits: {}\nhubs:\n  declared:\n"), Ok(Config::default()));
    }

    #[test]
    fn an_unknown_key_is_named_with_its_place_and_the_nearest_spelling() {
        let document = "server:\n  port: 1\nlimits:\n  # why\n  max_frame_byte: 1KiB\n";
        let env = [("FOLKMOOT__SERVER__PROT", "2")];
        assert_eq!(
            load(document, &env, &["colour.sky=blue"]).unwrap_err(),
            "config.yaml:5: unknown key 'limits.max_frame_byte' – did you mean 'max_frame_bytes'?\n\
             FOLKMOOT__SERVER__PROT: unknown key 'server.prot' – did you mean 'port'?\n\
             --set colour.sky: unknown key 'colour'"
        );
    }

    #[test]
    fn a_wrong_value_is_named_with_its_place() {
        let document = "limits:\n  connections: many\nheartbeat:\n  ping_interval: 25\nlog: loud\n";
        let sets = ["server.port=70000", "hubs.settings.masks=yes", "nonsense"];
        assert_eq!(
            load(document, &[("FOLKMOOT__LIMITS__OUTBOUND_BYTES", "1MB")], &sets).unwrap_err(),
            "config.yaml:5: 'log' is a mapping of keys to values\n\
             --set: is written as --set key.path=value\n\
             config.yaml:2: 'limits.connections': found string \"many\", expected a whole number\n\
             config.yaml:4: 'heartbeat.ping_interval': found integer `25`, expected a duration such as 500ms, 30s, 5m \
             or 1h\n\
             FOLKMOOT__LIMITS__OUTBOUND_BYTES: 'limits.outbound_bytes': found string \"1MB\", expected a size such as \
             65536, 64KiB or 1MiB\n\
             --set server.port: 'server.port': found integer `70000`, expected a whole number up to 65535\n\
             --set hubs.settings.masks: 'hubs.settings.masks': found string \"yes\", expected true or false"
        );
    }

    #[test]
    fn values_that_do_not_fit_together_are_named_with_their_place() {
        let errors = file("heartbeat:\n  ping_interval: 10s\n  pong_timeout: 11s\nlimits:\n  connections: 0\n");
        assert_eq!(
            errors.unwrap_err(),
            "config.yaml:5: 'limits.connections': must be at least 1\n\
             config.yaml:3: 'heartbeat.pong_timeout': must be at most heartbeat.ping_interval, so that one ping is \
             under way at a time"
        );
    }

    #[test]
    fn broken_yaml_and_a_repeated_key_are_named_with_their_line() {
        assert!(file("server:\n  port: [1\n").unwrap_err().starts_with("config.yaml:2: "));
        let repeated = file("server:\n  port: 1\n  port: 2\n").unwrap_err();
        assert!(repeated.starts_with("config.yaml:3: ") && repeated.contains("duplicate"), "{repeated}");
        assert_eq!(file("- a\n"), Err("config.yaml: the configuration is a mapping of keys to values".to_owned()));
    }

    #[test]
    fn a_named_file_must_exist() {
        let missing = Path::new("no/such/folkmoot.yaml");
        let error = Config::load(Some(missing), [], &[]).unwrap_err().to_string();
        assert!(error.starts_with("no/such/folkmoot.yaml: the configuration file cannot be read"), "{error}");
    }

    #[test]
    fn access_keys_come_as_a_list_or_as_one_text_and_are_never_shown() {
        let digits = "1234".repeat(8);
        let list = format!("[\"{KEY}\", \"{digits}\"]");
        let keys = |value: &str| load("", &[("FOLKMOOT__AUTH__ACCESS_KEYS", value)], &[]).map(|c| c.auth.access_keys);
        assert_eq!(keys(&list).unwrap().len(), 2);
        assert_eq!(keys(&digits).unwrap()[0].expose(), digits);
        assert_eq!(keys(&format!("\"{KEY}\"")).unwrap()[0].expose(), KEY);
        assert_eq!(file(&format!("auth:\n  access_keys: {KEY}\n")).unwrap().auth.access_keys.len(), 1);

        let three = format!("[\"{KEY}1\", \"{KEY}2\", \"{KEY}3\"]");
        for bad in [&KEY[..31], "", &three, &format!("['{KEY}']"), &format!("[{{\"{KEY}\": 1}}]")] {
            let error = keys(bad).unwrap_err();
            assert!(error.starts_with("FOLKMOOT__AUTH__ACCESS_KEYS: ") && !error.contains("ABCDEF"), "{error}");
        }
        let number = file("auth:\n  access_keys: [98765432109876543210]\n").unwrap_err();
        assert!(!number.contains("9876"), "{number}");
    }

    #[test]
    fn a_declared_hub_starts_from_the_settings_of_every_hub() {
        let document =
            "hubs:\n  declared:\n    Chat:\n      masks: false\n    plain:\n  settings:\n    anonymous: true\n";
        let config = load(document, &[("FOLKMOOT__HUBS__SETTINGS__RAW_CLIENTS", "event")], &[]).unwrap();
        let chat = config.hubs.hub(&hub("chat"));
        assert!(!chat.masks && chat.anonymous && chat.raw_clients == RawClients::Event);
        assert_eq!(config.hubs.declared[&hub("plain")], config.hubs.settings);
        assert!(config.hubs.is_declared(&hub("plain")) && !config.hubs.is_declared(&hub("other")));
    }

    #[test]
    fn a_hub_can_be_declared_by_a_variable_or_a_flag() {
        let env = [("FOLKMOOT__HUBS__DECLARED__CHAT__ANNOUNCEMENTS__ENABLED", "true")];
        let sets = [r#"hubs.declared.chat.groups=["a","b"]"#, r#"hubs.declared={"b.c": {"masks": false}}"#];
        let config = load("", &env, &sets).unwrap();
        let chat = config.hubs.hub(&hub("chat"));
        assert!(chat.announcements.enabled && chat.declared_groups().count() == 2);
        assert!(!config.hubs.hub(&hub("b.c")).masks);
    }

    #[test]
    fn what_a_hub_inherits_is_blamed_on_where_it_stands() {
        let document =
            "hubs:\n  settings:\n    groups: [a, 'b*']\n  declared:\n    chat: {}\n    open: {masks: false}\n";
        assert_eq!(
            file(document).unwrap_err(),
            "config.yaml:3: 'hubs.settings.groups': 'b*': the group name has a wildcard ('*'), which only a mask may \
             have\nconfig.yaml:3: 'hubs.declared.chat.groups': 'b*': the group name has a wildcard ('*'), which only a \
             mask may have"
        );
    }

    #[test]
    fn templates_may_only_name_what_there_is() {
        let document = "hubs:\n  settings:\n    join: ['{department}', '{data.team}', 'all', '{reason}', 'x/*']\n    \
                        announcements: {enabled: true, joined: '{userId} {data.x} {group} {name}'}\n";
        let error = file(document).unwrap_err();
        let lines: Vec<_> = error.lines().collect();
        assert_eq!(lines.len(), 3, "{error}");
        assert!(lines[0].contains("there is no field '{reason}'; fields are age, data, department, login"), "{error}");
        assert!(lines[1].contains("'x/*': the group name has a wildcard"), "{error}");
        assert!(
            lines[2].starts_with("config.yaml:4: 'hubs.settings.announcements.joined': there is no field '{name}'")
        );
    }

    #[test]
    fn reserved_hubs_are_not_declared_and_give_no_roles() {
        let document = "hubs:\n  default: folkmoot.x\n  declared: {folkmoot.admin: {}}\n";
        assert_eq!(file(document).unwrap_err().lines().count(), 2);
        let config = file("hubs: {settings: {default_roles: folkmoot.listGroups}}\n").unwrap();
        assert_eq!(config.hubs.default_roles(&hub("any")).len(), 1);
        assert!(config.hubs.default_roles(&hub("folkmoot.admin")).is_empty());
    }

    #[test]
    fn a_variable_can_take_back_what_the_file_gave() {
        let document = "users:\n  database: postgres://app:secret@db/users\n";
        let config = load(document, &[("FOLKMOOT__USERS__DATABASE", "null")], &[]).unwrap();
        assert_eq!(config.users.database, None);
        assert!(!format!("{:?}", file(document).unwrap()).contains("secret"));
    }

    #[test]
    fn addresses_networks_and_times_are_read() {
        let document = "server:\n  bind: '::'\n  trusted_proxies: [10.0.0.0/8, '::1']\n  origins: https://a.example\n\
                        heartbeat: {pong_timeout: 500ms}\nlog: {level: debug}\n";
        let config = file(document).unwrap();
        assert_eq!(config.server.address(), "[::]:8080".parse().unwrap());
        assert_eq!(config.server.trusted_proxies[1], "::1/128".parse().unwrap());
        assert_eq!(config.heartbeat.pong_timeout, Duration::from_millis(500));
        assert_eq!(config.log.level, log::LevelFilter::Debug);
        for bad in ["bind: localhost", "trusted_proxies: [10.0.0.0/33]", "origins: [a.example]", "origins: ['ftp://a']"]
        {
            assert!(file(&format!("server:\n  {bad}\n")).unwrap_err().starts_with("config.yaml:2: "), "{bad}");
        }
        assert!(file("server: {origins: ['https://a.example/path']}").unwrap_err().contains("no path"));
    }

    proptest! {
        #[test]
        fn any_flag_is_read_or_refused_without_a_panic(key in "[a-z._]{0,20}", value in ".{0,20}") {
            let _ = load("", &[], &[&format!("{key}={value}"), &format!("hubs.declared.{key}={value}")]);
        }
    }
}
