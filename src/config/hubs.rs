//! The hubs: which there are, and the settings of each.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::WebhookConfig;
use crate::auth::permissions::Role;
use crate::ids::{GroupName, HubName};
use crate::outbound::SlowConsumers;
use crate::template::Template;

/// The section `hubs`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HubsConfig {
    /// The hub behind `/ws`, and the one that store users may enter unless their `hubs` say otherwise. It always exists.
    ///
    /// Default `chat`; `FOLKMOOT__HUBS__DEFAULT`.
    pub default: HubName,
    /// Whether a connection may open a hub that is not declared. Such a hub ends with its last connection.
    ///
    /// Default `true`; `FOLKMOOT__HUBS__ALLOW_UNDECLARED`.
    pub allow_undeclared: bool,
    /// Undeclared hubs at the same time. Each is an actor with tables of its own, and whoever may name one opens it.
    ///
    /// Default 100; `FOLKMOOT__HUBS__MAX_UNDECLARED`.
    pub max_undeclared: usize,
    /// The settings of every hub, which a declared hub may override key by key.
    pub settings: HubConfig,
    /// The declared hubs. In a file each names only what differs from `settings`.
    ///
    /// Default none; `FOLKMOOT__HUBS__DECLARED__<HUB>__<KEY>`.
    pub declared: BTreeMap<HubName, HubConfig>,
}

impl Default for HubsConfig {
    fn default() -> Self {
        HubsConfig {
            default: Self::default_hub(),
            allow_undeclared: true,
            max_undeclared: 100,
            settings: HubConfig::default(),
            declared: BTreeMap::new(),
        }
    }
}

impl HubsConfig {
    fn default_hub() -> HubName {
        HubName::parse("chat").expect("'chat' follows the grammar of hub names")
    }

    /// Whether the hub exists without a request opening it: declared, or the default hub.
    pub fn is_declared(&self, hub: &HubName) -> bool {
        *hub == self.default || self.declared.contains_key(hub)
    }

    /// The settings of a hub: its own where it is declared, else those of every hub.
    ///
    /// Hubs of Folkmoot itself (`folkmoot.…`) have settings that nobody can change: whoever enters them is put into the
    /// groups that they are for, and no others.
    pub fn hub(&self, hub: &HubName) -> &HubConfig {
        static RESERVED: LazyLock<HubConfig> =
            LazyLock::new(|| HubConfig { join: Vec::new(), user_groups: false, ..HubConfig::default() });
        if hub.is_reserved() {
            return &RESERVED;
        }
        self.declared.get(hub).unwrap_or(&self.settings)
    }

    /// The roles that a store user has in the hub without being given them.
    pub fn default_roles(&self, hub: &HubName) -> &[Role] {
        &self.hub(hub).default_roles
    }
}

/// The settings of one hub: `hubs.settings`, and `hubs.declared.<hub>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HubConfig {
    /// Whether `*`, `?` and `[` make a target a mask. Off, they are ordinary characters of group names.
    ///
    /// Default `true`; `FOLKMOOT__HUBS__SETTINGS__MASKS`.
    pub masks: bool,
    /// Whether a client without any credential may connect. It has no roles and no user id.
    ///
    /// Default `false`; `FOLKMOOT__HUBS__SETTINGS__ANONYMOUS`.
    pub anonymous: bool,
    /// Roles that every user of the store has in this hub, besides the user's own. Tokens do not get them.
    ///
    /// Default none; `FOLKMOOT__HUBS__SETTINGS__DEFAULT_ROLES`.
    pub default_roles: Vec<Role>,
    /// The groups that a connection is put into when it connects: templates over its user data and `userId`. A rule with
    /// a field that the user lacks, or that comes out empty, is skipped.
    ///
    /// Default `["{department}"]`; `FOLKMOOT__HUBS__SETTINGS__JOIN`.
    pub join: Vec<Template>,
    /// Whether a connection is also put into the further groups that the store lists with its user.
    ///
    /// Default `true`; `FOLKMOOT__HUBS__SETTINGS__USER_GROUPS`.
    pub user_groups: bool,
    /// Groups that exist without members, so that a publish that insists on an existing group may name them.
    ///
    /// Default none; `FOLKMOOT__HUBS__SETTINGS__GROUPS`.
    pub groups: Vec<String>,
    /// What becomes of the frames of a client without a subprotocol that did not choose by `webpubsub_mode`.
    ///
    /// Default `own_groups`; `FOLKMOOT__HUBS__SETTINGS__RAW_CLIENTS`.
    pub raw_clients: RawClients,
    /// Whether a connection is closed when its token expires. Off, `exp` is looked at only on connect, as SDKs expect.
    ///
    /// Default `false`; `FOLKMOOT__HUBS__SETTINGS__ENFORCE_EXPIRY`.
    pub enforce_expiry: bool,
    /// What becomes of a connection for which more waits than `limits.outbound_bytes` or `outbound_messages`: it is
    /// closed, or loses the oldest or the newest messages, of which JSON clients are told the number. One that takes
    /// nothing at all for `limits.write_timeout` is closed in any case.
    ///
    /// Default `close`, because nobody then misses anything unknowingly; `FOLKMOOT__HUBS__SETTINGS__SLOW_CONSUMERS`.
    pub slow_consumers: SlowConsumers,
    /// The HTTP servers of the application that are told and asked what happens in this hub. Of those that an event is
    /// for, the first in the list gets it.
    ///
    /// Default none; `FOLKMOOT__HUBS__SETTINGS__WEBHOOKS`.
    pub webhooks: Vec<WebhookConfig>,
    /// The texts that tell members who comes and goes.
    pub announcements: AnnouncementsConfig,
}

impl Default for HubConfig {
    fn default() -> Self {
        HubConfig {
            masks: true,
            anonymous: false,
            default_roles: Vec::new(),
            join: vec![template("{department}")],
            user_groups: true,
            groups: Vec::new(),
            raw_clients: RawClients::default(),
            enforce_expiry: false,
            slow_consumers: SlowConsumers::default(),
            webhooks: Vec::new(),
            announcements: AnnouncementsConfig::default(),
        }
    }
}

impl HubConfig {
    /// The declared groups as names. `validate()` has seen to it that all of them are.
    pub fn declared_groups(&self) -> impl Iterator<Item = GroupName> {
        self.groups.iter().filter_map(|group| GroupName::parse(group, self.masks).ok())
    }
}

/// What becomes of a raw client's frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RawClients {
    /// They are published to every group that the connection is in and may send to.
    #[default]
    OwnGroups,
    /// They are the event `message`, which a hook answers.
    Event,
}

/// `announcements` of a hub.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AnnouncementsConfig {
    /// Whether joins and leaves are announced to the members of the group.
    ///
    /// Default `false`; `FOLKMOOT__HUBS__SETTINGS__ANNOUNCEMENTS__ENABLED`.
    pub enabled: bool,
    /// The text when somebody joins. Fields: login, username, department, phone, age, data.x, userId, connectionId,
    /// group, hub, reason.
    ///
    /// Default `{username} has logged in.`; `FOLKMOOT__HUBS__SETTINGS__ANNOUNCEMENTS__JOINED`.
    pub joined: Template,
    /// The text when somebody leaves the group and stays connected.
    ///
    /// Default `{username} has disconnected.`; `FOLKMOOT__HUBS__SETTINGS__ANNOUNCEMENTS__LEFT`.
    pub left: Template,
    /// The text when a connection ends.
    ///
    /// Default none, which is as `left`; `FOLKMOOT__HUBS__SETTINGS__ANNOUNCEMENTS__DISCONNECTED`.
    pub disconnected: Option<Template>,
    /// Whether every connection of a user is announced, or only the first to come and the last to go.
    ///
    /// Default `connection`; `FOLKMOOT__HUBS__SETTINGS__ANNOUNCEMENTS__PER`.
    pub per: AnnouncePer,
    /// Members above which a group's joins and leaves are not announced: n leaving a group of n cost n² frames.
    ///
    /// Default 500; `FOLKMOOT__HUBS__SETTINGS__ANNOUNCEMENTS__MAX_MEMBERS`.
    pub max_members: usize,
}

impl Default for AnnouncementsConfig {
    fn default() -> Self {
        AnnouncementsConfig {
            enabled: false,
            joined: template("{username} has logged in."),
            left: template("{username} has disconnected."),
            disconnected: None,
            per: AnnouncePer::default(),
            max_members: 500,
        }
    }
}

impl AnnouncementsConfig {
    /// The text when a connection ends: its own, or that of leaving.
    pub fn on_disconnect(&self) -> &Template {
        self.disconnected.as_ref().unwrap_or(&self.left)
    }
}

/// What is announced once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnnouncePer {
    /// Each connection, as in the original.
    #[default]
    Connection,
    /// Each user, however many connections the user has in the group.
    User,
}

fn template(text: &str) -> Template {
    text.parse().expect("the built-in templates are well-formed")
}
