//! Roles as they are written.
//!
//! Sources: the role table of `docs/protocol.md`, which takes `webpubsub.*` from the Web PubSub client specification
//! and adds `folkmoot.*`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::auth::pattern::{GroupPattern, PatternError};
use crate::ids::{GroupName, HubName, NameError};

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
    /// Join and leave the groups of a pattern.
    JoinLeaveGroups(GroupPattern),
    /// Publish to every group, or to the one named.
    SendToGroup(Option<GroupName>),
    /// Publish to the groups of a pattern.
    SendToGroups(GroupPattern),
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
        "unknown role '{0}'; roles are webpubsub.joinLeaveGroup[.group], webpubsub.joinLeaveGroups.pattern, \
         webpubsub.sendToGroup[.group], webpubsub.sendToGroups.pattern, folkmoot.listMembers[.group], folkmoot.listGroups, folkmoot.admin and folkmoot.admin.read"
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
    /// The pattern that the role names is none.
    #[error("role '{role}': {error}")]
    Pattern {
        /// The role as written.
        role: String,
        /// What is wrong with its pattern.
        error: PatternError,
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
const JOIN_LEAVE_GROUPS: &str = "webpubsub.joinLeaveGroups";
const SEND_TO_GROUP: &str = "webpubsub.sendToGroup";
const SEND_TO_GROUPS: &str = "webpubsub.sendToGroups";
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
        let pattern_of = |name: &str| -> Result<Option<GroupPattern>, RoleError> {
            let Some(pattern) = text.strip_prefix(name).and_then(|rest| rest.strip_prefix('.')) else {
                return Ok(None);
            };
            let pattern = pattern.parse().map_err(|error| RoleError::Pattern { role: text.to_owned(), error })?;
            Ok(Some(pattern))
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
        if let Some(pattern) = pattern_of(JOIN_LEAVE_GROUPS)? {
            return Ok(Role::JoinLeaveGroups(pattern));
        }
        if let Some(pattern) = pattern_of(SEND_TO_GROUPS)? {
            return Ok(Role::SendToGroups(pattern));
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
            Role::JoinLeaveGroups(pattern) => return write!(f, "{JOIN_LEAVE_GROUPS}.{pattern}"),
            Role::SendToGroups(pattern) => return write!(f, "{SEND_TO_GROUPS}.{pattern}"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_roles_are_refused_by_name() {
        for bad in ["", "admin", "webpubsub.sendToGroupX", "webpubsub.joinLeaveGroup.", "webpubsub.sendToGroups"] {
            assert!(bad.parse::<Role>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_pattern_is_written_as_it_was_read_and_a_wrong_one_is_refused() {
        for text in ["webpubsub.sendToGroups.sales.*", "webpubsub.joinLeaveGroups.**", r"webpubsub.sendToGroups.a\*"] {
            assert_eq!(text.parse::<Role>().unwrap().to_string(), text);
        }
        for bad in ["webpubsub.sendToGroups.", r"webpubsub.sendToGroups.a\b", "webpubsub.joinLeaveGroups.a*b*c*d*e*f*"]
        {
            assert!(matches!(bad.parse::<Role>(), Err(RoleError::Pattern { .. })), "{bad:?}");
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
