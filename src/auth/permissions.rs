//! What a connection may do, as its roles add up to it.

mod role;
mod scope;

pub use self::role::{HubRole, Role, RoleError};
use self::scope::Scope;
pub use self::scope::{MAX_GROUP_ROLES, MAX_PATTERN_ROLES};
use crate::ids::GroupName;

/// What is granted and revoked for groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// To join and leave.
    JoinLeaveGroup,
    /// To publish.
    SendToGroup,
}

/// More is allowed, or denied, one by one than a connection may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooManyRoles {
    /// More than `MAX_GROUP_ROLES` groups by name.
    #[error("a connection has roles and permissions for at most {MAX_GROUP_ROLES} groups by name, for each action")]
    Groups,
    /// More than `MAX_PATTERN_ROLES` patterns.
    #[error("a connection has roles with at most {MAX_PATTERN_ROLES} patterns, for each action")]
    Patterns,
}

/// What a connection may do: the sum of its roles.
///
/// ```
/// use folkmoot::Permissions;
///
/// let mark = Permissions::of(["webpubsub.sendToGroup.Sales".parse()?, "webpubsub.joinLeaveGroups.news.*".parse()?])?;
/// assert!(mark.may_send("Sales"));
/// assert!(!mark.may_send("accounting"));
/// assert!(mark.may_join("news.world") && !mark.may_join("Sales"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permissions {
    join: Scope,
    send: Scope,
    members: Scope,
    list_groups: bool,
}

impl Permissions {
    /// What these roles add up to.
    ///
    /// # Errors
    /// [`TooManyRoles`] for more groups or patterns than a connection may have.
    pub fn of(roles: impl IntoIterator<Item = Role>) -> Result<Self, TooManyRoles> {
        let mut permissions = Permissions::default();
        for role in roles {
            match role {
                Role::JoinLeaveGroup(group) => permissions.join.allow(group)?,
                Role::JoinLeaveGroups(pattern) => permissions.join.allow_pattern(pattern)?,
                Role::SendToGroup(group) => permissions.send.allow(group)?,
                Role::SendToGroups(pattern) => permissions.send.allow_pattern(pattern)?,
                Role::ListMembers(group) => permissions.members.allow(group)?,
                Role::ListGroups => permissions.list_groups = true,
                // What operators may do is asked of the roles themselves, where they come in.
                Role::Admin | Role::AdminRead => {}
            }
        }
        Ok(permissions)
    }

    /// Allows an action in one group, or in all.
    ///
    /// # Errors
    /// [`TooManyRoles`]; nothing has changed then.
    pub fn grant(&mut self, action: Action, group: Option<GroupName>) -> Result<(), TooManyRoles> {
        self.scope_mut(action).allow(group)
    }

    /// Denies an action in one group, or in all; patterns cannot allow it there any more.
    ///
    /// # Errors
    /// [`TooManyRoles`]; nothing has changed then.
    pub fn revoke(&mut self, action: Action, group: Option<GroupName>) -> Result<(), TooManyRoles> {
        self.scope_mut(action).deny(group)
    }

    /// Whether an action is allowed in this group, or in all.
    pub fn has(&self, action: Action, group: Option<&str>) -> bool {
        let scope = match action {
            Action::JoinLeaveGroup => &self.join,
            Action::SendToGroup => &self.send,
        };
        group.map_or_else(|| scope.covers_all(), |group| scope.covers(group))
    }

    fn scope_mut(&mut self, action: Action) -> &mut Scope {
        match action {
            Action::JoinLeaveGroup => &mut self.join,
            Action::SendToGroup => &mut self.send,
        }
    }

    /// Whether the connection may join and leave this group.
    pub fn may_join(&self, group: &str) -> bool {
        self.join.covers(group)
    }

    /// Whether it may join and leave every group.
    pub fn may_join_all(&self) -> bool {
        self.join.covers_all()
    }

    /// Whether it may join masks: it may join groups of which it does not know the names.
    pub fn may_join_masks(&self) -> bool {
        self.join.covers_more_than_names()
    }

    /// Whether it may join anywhere at all.
    pub fn may_join_somewhere(&self) -> bool {
        !self.join.is_empty()
    }

    /// Whether it may publish to this group.
    pub fn may_send(&self, group: &str) -> bool {
        self.send.covers(group)
    }

    /// Whether it may publish to every group.
    pub fn may_send_all(&self) -> bool {
        self.send.covers_all()
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permissions(roles: &[&str]) -> Permissions {
        Permissions::of(roles.iter().map(|role| role.parse::<Role>().unwrap())).unwrap()
    }

    #[test]
    fn a_role_without_a_group_covers_all_and_one_with_a_group_only_it() {
        let all = permissions(&["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup.a"]);
        assert!(all.may_join("a") && all.may_join("b") && all.may_join_all());
        assert!(all.may_send("a") && !all.may_send("b") && !all.may_send_all() && all.may_send_somewhere());
        let joins = permissions(&["webpubsub.joinLeaveGroup"]);
        assert!(joins.may_join_somewhere() && !joins.may_send_somewhere());
        assert!(!permissions(&["webpubsub.sendToGroup"]).may_join_somewhere());
    }

    #[test]
    fn a_star_in_a_role_is_an_ordinary_character_and_in_a_pattern_it_is_not() {
        assert!(!permissions(&["webpubsub.sendToGroup.sales.*"]).may_send("sales.europe"));
        let pattern = permissions(&["webpubsub.sendToGroups.sales.*"]);
        assert!(pattern.may_send("sales.europe") && !pattern.may_send("sales.europe.west") && !pattern.may_send_all());
        assert!(pattern.may_send_somewhere());
    }

    #[test]
    fn masks_are_joined_by_those_who_may_join_more_than_named_groups() {
        assert!(permissions(&["webpubsub.joinLeaveGroups.a*"]).may_join_masks());
        assert!(permissions(&["webpubsub.joinLeaveGroup"]).may_join_masks());
        assert!(!permissions(&["webpubsub.joinLeaveGroup.a", "webpubsub.sendToGroup"]).may_join_masks());
    }

    #[test]
    fn what_is_revoked_by_name_stands_above_every_role() {
        let mut permissions = permissions(&["webpubsub.sendToGroup", "webpubsub.joinLeaveGroups.a*"]);
        for action in [Action::SendToGroup, Action::JoinLeaveGroup] {
            permissions.revoke(action, GroupName::parse("ab", false).ok()).unwrap();
        }
        assert!(!permissions.may_send("ab") && !permissions.may_join("ab"));
        assert!(permissions.may_send("ac") && permissions.may_join("ac") && !permissions.may_send_all());
        assert!(!permissions.has(Action::SendToGroup, None) && permissions.has(Action::SendToGroup, Some("x")));
    }
}
