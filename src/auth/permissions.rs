//! Roles as they are written, and the permissions they add up to.
//!
//! Sources: the role table of `docs/protocol.md`, which takes `webpubsub.*` from the Web PubSub client specification
//! and adds `folkmoot.*`. Role patterns (`webpubsub.sendToGroups.…`) are not understood yet and are refused.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::{GroupName, HubName, NameError};

/// Most roles that name one group, for each action (Web PubSub: 1,000 literal rules an action and connection).
pub const MAX_GROUP_ROLES: usize = 1000;

/// One right, as it stands in a token's `role` claim, in `default_roles` or with a user of the store.
///
/// ```
/// use folkmoot::Role;
///
/// let role: Role = "webpubsub.sendToGroup.sales/europe".parse()?;
/// assert_eq!(role.to_string(), "webpubsub.sendToGroup.sales/europe");
/// assert!("webpubsub.sendtogroup".parse::<Role>().is_err());
/// # Ok::<(), folkmoot::RoleError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Role {
    /// Join and leave every group, or the one named.
    JoinLeaveGroup(Option<GroupName>),
    /// Publish to every group, or to the one named.
    SendToGroup(Option<GroupName>),
    /// List the members of every group, or of the one named, without being a member.
    ListMembers(Option<GroupName>),
    /// List the groups of the hub.
    ListGroups,
    /// Everything that the admin pages and the API can do.
    Admin,
    /// What the admin pages and the API can show.
    AdminRead,
}

/// A text that is not a role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoleError {
    /// No role has this name.
    #[error(
        "unknown role '{0}'; roles are webpubsub.joinLeaveGroup[.group], webpubsub.sendToGroup[.group], \
         folkmoot.listMembers[.group], folkmoot.listGroups, folkmoot.admin and folkmoot.admin.read"
    )]
    Unknown(String),
    /// The group that the role names is not a valid group name.
    #[error("role '{role}': {error}")]
    Group {
        /// The role as written.
        role: String,
        /// What is wrong with its group.
        error: NameError,
    },
    /// The hub before the `:` is not a valid hub name.
    #[error("role '{role}': {error}")]
    Hub {
        /// The role as written.
        role: String,
        /// What is wrong with its hub.
        error: NameError,
    },
}

const JOIN_LEAVE_GROUP: &str = "webpubsub.joinLeaveGroup";
const SEND_TO_GROUP: &str = "webpubsub.sendToGroup";
const LIST_MEMBERS: &str = "folkmoot.listMembers";

impl Role {
    /// Whether it leads into reserved hubs, to look at least.
    pub(crate) fn is_for_operators(&self) -> bool {
        matches!(self, Role::Admin | Role::AdminRead)
    }
}

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let group_of = |name: &str| -> Result<Option<Option<GroupName>>, RoleError> {
            let Some(rest) = text.strip_prefix(name) else { return Ok(None) };
            if rest.is_empty() {
                return Ok(Some(None));
            }
            let Some(group) = rest.strip_prefix('.') else { return Ok(None) };
            // The group in a role is literal: `*` there is an ordinary character (Web PubSub client specification).
            let group =
                GroupName::parse(group, false).map_err(|error| RoleError::Group { role: text.to_owned(), error })?;
            Ok(Some(Some(group)))
        };
        match text {
            "folkmoot.listGroups" => return Ok(Role::ListGroups),
            "folkmoot.admin" => return Ok(Role::Admin),
            "folkmoot.admin.read" => return Ok(Role::AdminRead),
            _ => {}
        }
        if let Some(group) = group_of(JOIN_LEAVE_GROUP)? {
            return Ok(Role::JoinLeaveGroup(group));
        }
        if let Some(group) = group_of(SEND_TO_GROUP)? {
            return Ok(Role::SendToGroup(group));
        }
        if let Some(group) = group_of(LIST_MEMBERS)? {
            return Ok(Role::ListMembers(group));
        }
        Err(RoleError::Unknown(text.to_owned()))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, group) = match self {
            Role::JoinLeaveGroup(group) => (JOIN_LEAVE_GROUP, group),
            Role::SendToGroup(group) => (SEND_TO_GROUP, group),
            Role::ListMembers(group) => (LIST_MEMBERS, group),
            Role::ListGroups => return f.write_str("folkmoot.listGroups"),
            Role::Admin => return f.write_str("folkmoot.admin"),
            Role::AdminRead => return f.write_str("folkmoot.admin.read"),
        };
        match group {
            Some(group) => write!(f, "{name}.{group}"),
            None => f.write_str(name),
        }
    }
}

/// A role of a store user: valid in every hub the user may enter, or (`hub:role`) in one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HubRole {
    /// The hub it is limited to.
    pub hub: Option<HubName>,
    /// The right itself.
    pub role: Role,
}

impl HubRole {
    /// Whether the role counts in `hub`.
    pub fn counts_in(&self, hub: &HubName) -> bool {
        self.hub.as_ref().is_none_or(|only| only == hub)
    }
}

impl FromStr for HubRole {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Group names may contain ':', so only a part that is no role prefix itself can be a hub.
        match text.split_once(':') {
            Some((hub, role)) if !hub.starts_with("webpubsub.") && !hub.starts_with("folkmoot.list") => {
                let hub = HubName::parse(hub).map_err(|error| RoleError::Hub { role: text.to_owned(), error })?;
                Ok(HubRole { hub: Some(hub), role: role.parse()? })
            }
            _ => Ok(HubRole { hub: None, role: text.parse()? }),
        }
    }
}

impl fmt::Display for HubRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(hub) = &self.hub {
            write!(f, "{hub}:")?;
        }
        self.role.fmt(f)
    }
}

macro_rules! serde_as_text {
    ($($name:ident),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

serde_as_text!(Role, HubRole);

/// All groups, or the ones named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Scope {
    all: bool,
    groups: Vec<GroupName>,
}

impl Scope {
    fn add(&mut self, group: Option<GroupName>) {
        let Some(group) = group else {
            self.all = true;
            return;
        };
        if let Err(place) = self.groups.binary_search(&group)
            && self.groups.len() < MAX_GROUP_ROLES
        {
            self.groups.insert(place, group);
        }
    }

    fn covers(&self, group: &str) -> bool {
        self.all || self.groups.binary_search_by(|known| known.as_str().cmp(group)).is_ok()
    }

    fn is_empty(&self) -> bool {
        !self.all && self.groups.is_empty()
    }
}

/// What a connection may do: the sum of its roles.
///
/// ```
/// use folkmoot::Permissions;
///
/// let mark: Permissions = ["webpubsub.sendToGroup.Sales".parse()?].into_iter().collect();
/// assert!(mark.may_send("Sales"));
/// assert!(!mark.may_send("accounting"));
/// assert!(!mark.may_join("Sales"));
/// # Ok::<(), folkmoot::RoleError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permissions {
    join: Scope,
    send: Scope,
    members: Scope,
    list_groups: bool,
    admin: bool,
    admin_read: bool,
}

impl Permissions {
    /// Whether the connection may join and leave this group.
    pub fn may_join(&self, group: &str) -> bool {
        self.join.covers(group)
    }

    /// Whether it may join and leave every group, which joining a mask takes.
    pub fn may_join_all(&self) -> bool {
        self.join.all
    }

    /// Whether it may publish to this group.
    pub fn may_send(&self, group: &str) -> bool {
        self.send.covers(group)
    }

    /// Whether it may publish to every group.
    pub fn may_send_all(&self) -> bool {
        self.send.all
    }

    /// Whether it may publish anywhere at all: without that, a mask is `Forbidden` too.
    pub fn may_send_somewhere(&self) -> bool {
        !self.send.is_empty()
    }

    /// Whether it may list the members of a group that it is not in.
    pub fn may_list_members(&self, group: &str) -> bool {
        self.members.covers(group)
    }

    /// Whether it may list the groups of the hub.
    pub fn may_list_groups(&self) -> bool {
        self.list_groups
    }

    /// Whether it may enter a reserved hub and change things there.
    pub fn is_admin(&self) -> bool {
        self.admin
    }

    /// Whether it may enter a reserved hub and look.
    pub fn may_read_admin(&self) -> bool {
        self.admin || self.admin_read
    }
}

impl Extend<Role> for Permissions {
    fn extend<I: IntoIterator<Item = Role>>(&mut self, roles: I) {
        for role in roles {
            match role {
                Role::JoinLeaveGroup(group) => self.join.add(group),
                Role::SendToGroup(group) => self.send.add(group),
                Role::ListMembers(group) => self.members.add(group),
                Role::ListGroups => self.list_groups = true,
                Role::Admin => self.admin = true,
                Role::AdminRead => self.admin_read = true,
            }
        }
    }
}

impl FromIterator<Role> for Permissions {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        let mut permissions = Permissions::default();
        permissions.extend(roles);
        permissions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permissions(roles: &[&str]) -> Permissions {
        roles.iter().map(|role| role.parse::<Role>().unwrap()).collect()
    }

    #[test]
    fn a_role_without_a_group_covers_all_and_one_with_a_group_only_it() {
        let all = permissions(&["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup.a"]);
        assert!(all.may_join("a") && all.may_join("b") && all.may_join_all());
        assert!(all.may_send("a") && !all.may_send("b") && !all.may_send_all() && all.may_send_somewhere());
        assert!(!permissions(&["webpubsub.joinLeaveGroup"]).may_send_somewhere());
    }

    #[test]
    fn a_star_in_a_role_is_an_ordinary_character() {
        let star = permissions(&["webpubsub.sendToGroup.sales/*"]);
        assert!(!star.may_send("sales/europe"));
    }

    #[test]
    fn unknown_roles_are_refused_by_name() {
        for bad in ["", "admin", "webpubsub.sendToGroups.a*", "webpubsub.sendToGroupX", "webpubsub.joinLeaveGroup."] {
            assert!(bad.parse::<Role>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_hub_limits_a_role_and_a_colon_in_a_group_does_not() {
        let limited: HubRole = "Chat:webpubsub.sendToGroup".parse().unwrap();
        assert_eq!(limited.hub, Some(HubName::parse("chat").unwrap()));
        assert!(!limited.counts_in(&HubName::parse("other").unwrap()));
        let literal: HubRole = "webpubsub.sendToGroup.a:b".parse().unwrap();
        assert_eq!(literal.hub, None);
        assert_eq!(literal.to_string(), "webpubsub.sendToGroup.a:b");
    }
}
