//! Who hears groups by a joined mask, and which of them.
//!
//! Most who join a mask may join every group, so they share one audience. Who may join some only has an audience of its
//! own, which stands with exactly those groups: a publish costs no question for it.

use super::{Audience, Hearers, JoinError, Listened, Membership};
use crate::auth::permissions::{Action, Permissions, TooManyRoles};
use crate::ids::{ConnectionId, GroupName};
use crate::mask::Mask;

/// Which groups a listener hears by its mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hears {
    /// All that the mask matches.
    All,
    /// Those that the connection may join.
    WhatItMayJoin,
}

/// The audiences that a connection is no longer part of, and those that it is part of now.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// No longer.
    pub left: Vec<Audience>,
    /// From now on.
    pub joined: Vec<Audience>,
}

impl<U> Membership<U> {
    /// Makes a connection a listener; `None` when it was one already.
    ///
    /// # Errors
    /// [`JoinError`]; nothing has changed then.
    pub fn listen(&mut self, id: ConnectionId, mask: &Mask, hears: Hears) -> Result<Option<Audience>, JoinError> {
        let entry = self.get(id).filter(|entry| !entry.ending).ok_or(JoinError::ConnectionNotFound)?;
        if self.key_of_listener(id, mask).is_some() {
            return Ok(None);
        }
        if entry.masks.len() >= self.limits.masks_per_connection {
            return Err(JoinError::TooManyMasks);
        }
        let is_new = hears == Hears::WhatItMayJoin || self.shared_key(mask).is_none();
        if is_new && self.listened.len() >= self.limits.masks_per_hub {
            return Err(JoinError::TooManyMasksInHub);
        }
        Ok(self.begin_listening(id, mask, hears))
    }

    /// Ends a listener's mask; `None` when it did not listen to it.
    pub fn unlisten(&mut self, id: ConnectionId, mask: &Mask) -> Option<Audience> {
        let key = self.key_of_listener(id, mask)?;
        self.end_listening(id, key)
    }

    /// Allows an action in a group, or in all, and has the connection's masks follow.
    ///
    /// # Errors
    /// [`TooManyRoles`]; nothing has changed then.
    pub fn grant(
        &mut self,
        id: ConnectionId,
        action: Action,
        group: Option<&GroupName>,
    ) -> Result<Moved, TooManyRoles> {
        self.change_permissions(id, |permissions| permissions.grant(action, group.cloned()))?;
        match action {
            // Who shares an audience hears everything already.
            Action::JoinLeaveGroup => Ok(self.follow_permissions(id, group, |listened| listened.only.is_some())),
            Action::SendToGroup => Ok(Moved::default()),
        }
    }

    /// Denies an action in a group, or in all. What the connection hears by its masks there is silent at once; a group
    /// that it is a member of stays.
    ///
    /// # Errors
    /// [`TooManyRoles`]; nothing has changed then.
    pub fn revoke(
        &mut self,
        id: ConnectionId,
        action: Action,
        group: Option<&GroupName>,
    ) -> Result<Moved, TooManyRoles> {
        self.change_permissions(id, |permissions| permissions.revoke(action, group.cloned()))?;
        match action {
            Action::JoinLeaveGroup => Ok(self.follow_permissions(id, group, |_| true)),
            Action::SendToGroup => Ok(Moved::default()),
        }
    }

    fn change_permissions(
        &mut self,
        id: ConnectionId,
        change: impl FnOnce(&mut Permissions) -> Result<(), TooManyRoles>,
    ) -> Result<(), TooManyRoles> {
        let Some(entry) = self.get_mut(id) else { return Ok(()) };
        change(std::sync::Arc::make_mut(&mut entry.permissions))
    }

    /// Brings the masks of a connection that are `concerned` and match what has changed in line with what it may join.
    ///
    /// Where everything has changed, that costs one pass over the names that each mask matches, in one turn: what joining
    /// the mask has cost, for at most `limits.masks_per_connection` of them. Only an operator can ask for it.
    fn follow_permissions(
        &mut self,
        id: ConnectionId,
        changed: Option<&GroupName>,
        concerned: impl Fn(&Listened) -> bool,
    ) -> Moved {
        let mut moved = Moved::default();
        let keys = self.get(id).map(|entry| entry.masks.clone()).unwrap_or_default();
        for key in keys {
            let listened = &self.listened[key as usize];
            if !concerned(listened) || changed.is_some_and(|group| !listened.mask.matches(group.as_str())) {
                continue;
            }
            match changed {
                Some(group) if listened.only.is_some() => self.follow_in_group(id, key, group),
                None if listened.only.is_some() => self.follow_in_all(id, key),
                _ => {
                    let mask = listened.mask.clone();
                    moved.left.extend(self.end_listening(id, key));
                    moved.joined.extend(self.begin_listening(id, &mask, Hears::WhatItMayJoin));
                }
            }
        }
        moved
    }

    fn follow_in_group(&mut self, id: ConnectionId, key: u32, group: &GroupName) {
        let may_join = self.get(id).is_some_and(|entry| entry.permissions.may_join(group.as_str()));
        if let Some(group) = self.index.get(group.as_str()).and_then(|group| self.groups.get_mut(group as usize)) {
            group.be_heard_by(key, may_join);
        }
    }

    /// In place: an audience of its own stays what it is, whatever groups it stands with.
    fn follow_in_all(&mut self, id: ConnectionId, key: u32) {
        let Some(permissions) = self.get(id).map(|entry| entry.permissions.clone()) else { return };
        for (name, group) in self.index.matching(&self.listened[key as usize].mask) {
            self.groups[group as usize].be_heard_by(key, permissions.may_join(name.as_str()));
        }
    }

    /// The masks by which somebody hears the group of this name.
    pub(super) fn masks_that_hear<'a>(&'a self, name: &'a str) -> impl Iterator<Item = u32> {
        self.masks.matching(name).filter(move |key| self.is_heard_by(name, self.listened[*key as usize].only))
    }

    /// Whether a group that the mask matches is heard.
    fn is_heard_by(&self, name: &str, only: Option<ConnectionId>) -> bool {
        only.is_none_or(|id| self.get(id).is_some_and(|entry| entry.permissions.may_join(name)))
    }

    /// The mask that a connection hears by, whoever else does.
    fn key_of_listener(&self, id: ConnectionId, mask: &Mask) -> Option<u32> {
        let keys = &self.get(id)?.masks;
        keys.iter().copied().find(|key| self.listened[*key as usize].mask == *mask)
    }

    /// The mask that is shared by all who hear everything that it matches.
    fn shared_key(&self, mask: &Mask) -> Option<u32> {
        self.masks.get(mask).find(|key| self.listened[*key as usize].only.is_none())
    }

    /// Beyond `limits.masks_per_hub` too: who listened before does so in another way. An operator who takes rights away from
    /// many that share a mask gives each of them an audience of its own.
    fn begin_listening(&mut self, id: ConnectionId, mask: &Mask, hears: Hears) -> Option<Audience> {
        let only = (hears == Hears::WhatItMayJoin).then_some(id);
        let key = match self.shared_key(mask) {
            Some(key) if only.is_none() => key,
            _ => self.found_listening(mask, only),
        };
        let entry = self.connections.get_mut(&id)?;
        if let Err(place) = entry.masks.binary_search(&key) {
            entry.masks.insert(place, key);
        }
        let listened = &mut self.listened[key as usize];
        listened.hearers.insert(id, entry.place.worker);
        Some(listened.hearers.audience)
    }

    fn found_listening(&mut self, mask: &Mask, only: Option<ConnectionId>) -> u32 {
        let listened = Listened { mask: mask.clone(), only, hearers: Hearers::new() };
        let key = self.listened.insert(listened) as u32;
        self.masks.insert(mask.clone(), key);
        // Whoever has just lost every right hears nothing, which needs no look at any name.
        let may_hear = only.is_none_or(|id| self.get(id).is_some_and(|entry| entry.permissions.may_join_somewhere()));
        let matching = may_hear.then(|| self.index.matching(mask)).into_iter().flatten();
        let heard = matching.filter(|(name, _)| self.is_heard_by(name.as_str(), only));
        let groups: Vec<u32> = heard.map(|(_, group)| group).collect();
        for group in groups {
            self.groups[group as usize].listened_by.push(key);
        }
        key
    }

    fn end_listening(&mut self, id: ConnectionId, key: u32) -> Option<Audience> {
        let entry = self.connections.get_mut(&id)?;
        let place = entry.masks.binary_search(&key).ok()?;
        entry.masks.remove(place);
        let worker = entry.place.worker;
        Some(self.remove_listener(id, worker, key))
    }

    pub(super) fn remove_listener(&mut self, id: ConnectionId, worker: u32, key: u32) -> Audience {
        let listened = &mut self.listened[key as usize];
        listened.hearers.remove(id, worker);
        let audience = listened.hearers.audience;
        if listened.hearers.connections.is_empty() {
            let mask = self.listened.remove(key as usize).mask;
            self.masks.remove(&mask, key);
            for (_, group) in self.index.matching(&mask) {
                self.groups[group as usize].listened_by.retain(|other| *other != key);
            }
        }
        audience
    }
}
