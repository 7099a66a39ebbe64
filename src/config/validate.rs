//! Rules that a type alone cannot hold: no zero where zero stops the server, and values that must fit together.

use std::net::IpAddr;
use std::time::Duration;

use url::Url;

use super::error::{ConfigError, ConfigErrors};
use super::{AnnouncementsConfig, AuthConfig, Config, HubConfig, UsersConfig, WebhookConfig, WebhooksConfig};
use crate::ids::GroupName;
use crate::template::Template;
use crate::user::{User, UserData};

/// Fields that an announcement has besides those of the user data. `username` falls back to the user id.
const ANNOUNCEMENT_FIELDS: [&str; 6] = ["username", "userId", "connectionId", "group", "hub", "reason"];

/// A value that breaks a rule.
pub(super) struct Problem {
    key: String,
    message: String,
}

impl Problem {
    /// The error to show, with the origin that `origin` finds for the key.
    pub(super) fn into_error(self, origin: impl Fn(&str) -> Option<String>) -> ConfigError {
        ConfigError { origin: origin(&self.key), message: format!("'{}': {}", self.key, self.message) }
    }
}

impl Config {
    /// Checks a configuration that was made in code; [`load`](Config::load) has checked what it returns.
    ///
    /// ```
    /// use folkmoot::config::Config;
    ///
    /// let mut config = Config::default();
    /// assert!(config.validate().is_ok());
    /// config.limits.connections = 0;
    /// assert_eq!(config.validate().unwrap_err().to_string(), "'limits.connections': must be at least 1");
    /// ```
    ///
    /// # Errors
    /// Every value that breaks a rule, with its key.
    pub fn validate(&self) -> Result<(), ConfigErrors> {
        self.validate_for::<User>()
    }

    /// The same for connections that carry another type than [`User`].
    ///
    /// # Errors
    /// As [`validate`](Config::validate).
    pub fn validate_for<U: UserData>(&self) -> Result<(), ConfigErrors> {
        ConfigErrors::none(self.problems::<U>().into_iter().map(|problem| problem.into_error(|_| None)).collect())
    }

    pub(super) fn problems<U: UserData>(&self) -> Vec<Problem> {
        let mut check = Check { problems: Vec::new() };
        self.check_numbers(&mut check);
        self.check_durations(&mut check);
        self.check_server(&mut check);
        self.check_users::<U>(&mut check);
        self.check_fit(&mut check);
        self.check_hubs::<U>(&mut check);
        check.problems
    }

    fn check_numbers(&self, check: &mut Check) {
        let (limits, failures, hooks) = (&self.limits, &self.auth.failures, &self.hooks);
        for (key, value) in [
            ("auth.failures.address_per_minute", failures.address_per_minute as usize),
            ("auth.failures.login_address_per_minute", failures.login_address_per_minute as usize),
            ("auth.failures.login_per_minute", failures.login_per_minute as usize),
            ("auth.failures.table_entries", failures.table_entries),
            ("auth.hashing.waiting", self.auth.hashing.waiting),
            ("limits.max_frame_bytes", limits.max_frame_bytes),
            ("limits.max_message_bytes", limits.max_message_bytes),
            ("limits.max_fragments", limits.max_fragments),
            ("limits.json_depth", limits.json_depth),
            ("limits.messages_per_second", limits.messages_per_second),
            ("limits.bytes_per_second", limits.bytes_per_second),
            ("limits.outbound_bytes", limits.outbound_bytes),
            ("limits.outbound_messages", limits.outbound_messages),
            ("limits.connections", limits.connections),
            ("limits.connections_per_user", limits.connections_per_user),
            ("limits.connections_per_address", limits.connections_per_address),
            ("limits.http_connections", limits.http_connections),
            ("limits.pending_handshakes", limits.pending_handshakes),
            ("limits.groups_per_connection", limits.groups_per_connection),
            ("limits.masks_per_connection", limits.masks_per_connection),
            ("limits.groups_per_hub", limits.groups_per_hub),
            ("limits.masks_per_hub", limits.masks_per_hub),
            ("limits.requests_in_flight", limits.requests_in_flight),
            ("limits.mask_scan_per_second", limits.mask_scan_per_second),
            ("limits.list_page", limits.list_page),
            ("limits.idempotency_keys", limits.idempotency_keys),
            ("reliable.buffer_messages", self.reliable.buffer_messages),
            ("users.max_record_bytes", self.users.max_record_bytes),
            ("fanout.window_bytes", self.fanout.window_bytes),
            ("hooks.queue", hooks.queue),
            ("hooks.threads", hooks.threads),
            ("hooks.concurrency", hooks.concurrency),
            ("webhooks.concurrency", self.webhooks.concurrency),
            ("webhooks.lanes", self.webhooks.lanes),
            ("webhooks.backlog", self.webhooks.backlog),
            ("webhooks.max_answer_bytes", self.webhooks.max_answer_bytes),
        ] {
            check.that(value > 0, key, || "must be at least 1".to_owned());
        }
    }

    fn check_durations(&self, check: &mut Check) {
        for (key, value) in [
            ("auth.token_ttl", self.auth.token_ttl),
            ("auth.session_ttl", self.auth.session_ttl),
            ("users.revision_interval", self.users.revision_interval),
            ("limits.write_timeout", self.limits.write_timeout),
            ("limits.handshake_timeout", self.limits.handshake_timeout),
            ("limits.http_head_timeout", self.limits.http_head_timeout),
            ("limits.http_keep_alive", self.limits.http_keep_alive),
            ("limits.idempotency_ttl", self.limits.idempotency_ttl),
            ("heartbeat.ping_interval", self.heartbeat.ping_interval),
            ("heartbeat.pong_timeout", self.heartbeat.pong_timeout),
            ("heartbeat.tcp_user_timeout", self.heartbeat.tcp_user_timeout),
            ("hooks.timeout", self.hooks.timeout),
            ("webhooks.timeout", self.webhooks.timeout),
            ("shutdown.timeout", self.shutdown.timeout),
        ] {
            check.that(value > Duration::ZERO, key, || "must be longer than 0s".to_owned());
        }
    }

    fn check_server(&self, check: &mut Check) {
        for (key, urls) in [("server.public_urls", &self.server.public_urls), ("server.origins", &self.server.origins)]
        {
            for url in urls {
                let plain = matches!(url.scheme(), "http" | "https") && is_bare(url);
                check.that(plain, key, || format!("'{url}' is not an address such as https://chat.example.com"));
            }
        }
        for url in &self.server.origins {
            check.that(url.path() == "/", "server.origins", || format!("'{url}': an origin has no path"));
        }
        let (tls, internal) = (&self.server.tls, &self.server.internal);
        check.that(tls.cert.is_none() || tls.key.is_some(), "server.tls.key", || {
            "server.tls.cert needs the file with its private key".to_owned()
        });
        check.that(tls.key.is_none() || tls.cert.is_some(), "server.tls.cert", || {
            "server.tls.key needs the file with its certificate".to_owned()
        });
        // Port 0 is another one each time.
        let same_port = internal.port == Some(self.server.port) && self.server.port != 0;
        let same_bind = [self.server.bind, internal.bind].iter().any(IpAddr::is_unspecified);
        check.that(!same_port || !(same_bind || self.server.bind == internal.bind), "server.internal.port", || {
            "must be another port than server.port".to_owned()
        });
    }

    fn check_users<U: UserData>(&self, check: &mut Check) {
        check.that(!self.data_dir.as_os_str().is_empty(), "data_dir", || "must name a folder".to_owned());

        for (key, named, is_read) in [
            ("auth.access_keys_file", &self.auth.access_keys_file, !self.auth.access_keys.is_empty()),
            ("users.database_file", &self.users.database_file, self.users.database.is_some()),
        ] {
            // Such a server would come up with a key or a store of its own, and nobody would know why.
            check.that(named.is_none() || is_read, key, || {
                "the file has not been read, which Config::load does; code gives the value itself".to_owned()
            });
        }
        let keys = &self.auth.access_keys;
        check.that(keys.len() <= AuthConfig::MAX_ACCESS_KEYS, "auth.access_keys", || {
            format!("at most {} keys, the new and the old one", AuthConfig::MAX_ACCESS_KEYS)
        });
        for problem in self.auth.jwt.problems() {
            check.fail("auth.jwt.issuers", problem);
        }
        // The built-in list may name what another user type does not have; that shows less, never more.
        if self.users.public_fields != UsersConfig::default().public_fields {
            for field in self.users.public_fields.iter().filter(|field| !U::FIELDS.contains(&field.as_str())) {
                check.fail("users.public_fields", format!("there is no field '{field}'; {}", known(U::FIELDS)));
            }
        }
    }

    fn check_fit(&self, check: &mut Check) {
        let limits = &self.limits;
        let two_messages = limits.max_message_bytes.saturating_mul(2);
        check.that(two_messages <= limits.outbound_bytes, "limits.outbound_bytes", || {
            "must be at least twice limits.max_message_bytes, or who is behind by one large message is closed by the next"
                .to_owned()
        });
        check.that(limits.max_message_bytes <= self.fanout.window_bytes, "fanout.window_bytes", || {
            "must be at least limits.max_message_bytes, or the largest message can never be published".to_owned()
        });
        check.that(limits.max_message_bytes <= self.reliable.buffer_bytes, "reliable.buffer_bytes", || {
            "must be at least limits.max_message_bytes, or one large message closes who receives it".to_owned()
        });
        let longest = Duration::from_secs(600);
        check.that(self.reliable.recovery_window <= longest, "reliable.recovery_window", || {
            "must be at most 10m: whoever is away that long is gone".to_owned()
        });
        check.that(limits.json_depth <= 128, "limits.json_depth", || "must be at most 128".to_owned());
        check.that(limits.list_page <= 200, "limits.list_page", || "must be at most 200".to_owned());
        check.that(self.heartbeat.pong_timeout <= self.heartbeat.ping_interval, "heartbeat.pong_timeout", || {
            "must be at most heartbeat.ping_interval, so that one ping is under way at a time".to_owned()
        });
        check.that(self.hooks.timeout <= limits.handshake_timeout, "hooks.timeout", || {
            "must be at most limits.handshake_timeout, which includes the hooks at connect".to_owned()
        });
        self.check_webhooks_fit(check);
    }

    fn check_webhooks_fit(&self, check: &mut Check) {
        let webhooks = &self.webhooks;
        // Where there are none, what they may take is nobody's concern.
        let mut hubs = [&self.hubs.settings].into_iter().chain(self.hubs.declared.values());
        let any = hubs.any(|hub| !hub.webhooks.is_empty());
        check.that(!any || webhooks.timeout <= self.limits.handshake_timeout, "webhooks.timeout", || {
            "must be at most limits.handshake_timeout, which includes the webhook at connect".to_owned()
        });
        let key = "webhooks.max_answer_bytes";
        check.that(webhooks.max_answer_bytes <= WebhooksConfig::MAX_ANSWER_BYTES, key, || {
            "must be at most 16MiB".to_owned()
        });
        check.that(!any || webhooks.max_answer_bytes <= self.fanout.window_bytes, key, || {
            "must be at most fanout.window_bytes, or the largest answer can never be sent to a client".to_owned()
        });
        // Web servers take no longer heads: Node 16 KiB in all.
        check.that(webhooks.max_state_bytes <= 64 << 10, "webhooks.max_state_bytes", || {
            "must be at most 64KiB, since it travels in a header".to_owned()
        });
    }

    fn check_hubs<U: UserData>(&self, check: &mut Check) {
        let hubs = &self.hubs;
        let reserved = "names beginning with 'folkmoot.' are Folkmoot's own";
        check.that(!hubs.default.is_reserved(), "hubs.default", || reserved.to_owned());
        self.check_hub::<U>(check, "hubs.settings", &hubs.settings);
        for (name, hub) in &hubs.declared {
            let key = format!("hubs.declared.{name}");
            check.that(!name.is_reserved(), &key, || reserved.to_owned());
            self.check_hub::<U>(check, &key, hub);
        }
    }

    fn check_hub<U: UserData>(&self, check: &mut Check, hub: &str, settings: &HubConfig) {
        let key = format!("{hub}.groups");
        for group in &settings.groups {
            if let Err(error) = GroupName::parse(group, settings.masks) {
                check.fail(&key, format!("'{group}': {error}"));
            }
        }
        check.that(settings.groups.len() <= self.limits.groups_per_hub, &key, || {
            "more groups than limits.groups_per_hub".to_owned()
        });

        let key = format!("{hub}.join");
        for rule in settings.join.iter().filter(|rule| !HubConfig::default().join.contains(rule)) {
            check.fields(&key, rule, &[U::FIELDS, &["userId"]].concat());
            // What the template itself says must fit into a group name, whatever the fields bring.
            if let Err(error) = GroupName::parse(&with_any_value(rule), settings.masks) {
                check.fail(&key, format!("'{rule}': {error}"));
            }
        }

        let is_idle = |webhook: &WebhookConfig| webhook.system_events.is_empty() && webhook.user_events.is_empty();
        if let Some(idle) = settings.webhooks.iter().find(|webhook| is_idle(webhook)) {
            let why = "is for no event: name some in system_events or user_events";
            check.fail(&format!("{hub}.webhooks"), format!("'{}' {why}", idle.url));
        }

        let AnnouncementsConfig { enabled, joined, left, disconnected, .. } = &settings.announcements;
        for (name, text) in [("joined", Some(joined)), ("left", Some(left)), ("disconnected", disconnected.as_ref())] {
            if let Some(text) = text.filter(|_| *enabled) {
                let fields = [U::FIELDS, &ANNOUNCEMENT_FIELDS].concat();
                check.fields(&format!("{hub}.announcements.{name}"), text, &fields);
            }
        }
        check.that(settings.announcements.max_members > 0, &format!("{hub}.announcements.max_members"), || {
            "must be at least 1; announcements are turned off by 'enabled: false'".to_owned()
        });
    }
}

/// Collects what is wrong.
struct Check {
    problems: Vec<Problem>,
}

impl Check {
    fn fail(&mut self, key: &str, message: String) {
        self.problems.push(Problem { key: key.to_owned(), message });
    }

    fn that(&mut self, holds: bool, key: &str, message: impl FnOnce() -> String) {
        if !holds {
            self.fail(key, message());
        }
    }

    /// Every field of a template is known; of `data.x` the part before the dot.
    fn fields(&mut self, key: &str, template: &Template, fields: &[&str]) {
        for name in template.fields() {
            let top = name.split_once('.').map_or(name, |(top, _)| top);
            self.that(fields.contains(&top), key, || format!("there is no field '{{{name}}}'; {}", known(fields)));
        }
    }
}

fn known(fields: &[&str]) -> String {
    let mut fields = fields.to_vec();
    fields.sort_unstable();
    fields.dedup();
    format!("fields are {}", fields.join(", "))
}

/// A template with a harmless value in the place of each field.
fn with_any_value(template: &Template) -> String {
    template.render(|_| Some("x".into())).unwrap_or_default()
}

/// No user, no password, no query, no fragment.
fn is_bare(url: &Url) -> bool {
    let no_user = url.username().is_empty() && url.password().is_none();
    url.has_host() && no_user && url.query().is_none() && url.fragment().is_none()
}
