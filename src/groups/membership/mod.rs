//! Who is in which group, and who listens to which mask. Pure data: no actor, no clock, nothing sent.
//!
//! The registry is its only writer. Every method keeps the indexes, the per-worker counts and the connections' own
//! lists in step; what has to be told to fan-outs and hooks is what the methods return.

mod listening;
mod questions;
mod route;
mod scan;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashMap;
use slab::Slab;

use super::ack_ids::AckIds;
use super::index::{GroupIndex, MaskIndex};
use crate::auth::permissions::Permissions;
use crate::event::Connection;
use crate::ids::{ConnectionId, GroupName, UserId};
use crate::mask::Mask;
use crate::metrics::Limit;
use crate::outbound::{Moment, Rate};

pub use self::listening::{Hears, Moved};
pub use self::questions::{Counts, Page};
pub use self::route::Route;
pub use self::scan::{ConnectionFilter, GroupFilter, Hearing, Named, Reach, Step};

type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// Where a connection is served now. A recovery may change it; the connection's id says nothing about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The worker.
    pub worker: u32,
    /// The connection's slot in that worker's fan-out.
    pub slot: u32,
}

/// Who hears a group or a joined mask, under the number by which the fan-outs know them. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Audience(u64);

impl Audience {
    /// One that was never used before.
    pub(super) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Audience(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Why a membership cannot begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinError {
    /// No such connection.
    ConnectionNotFound,
    /// The connection is in as many groups as it may be.
    TooManyGroups,
    /// The connection listens to as many masks as it may.
    TooManyMasks,
    /// The hub has as many groups as it may.
    HubFull,
    /// As many different masks are listened to in the hub as may be.
    TooManyMasksInHub,
}

impl JoinError {
    /// The limit that is reached.
    pub fn limit(self) -> Option<Limit> {
        match self {
            JoinError::ConnectionNotFound => None,
            JoinError::TooManyGroups => Some(Limit::GroupsPerConnection),
            JoinError::TooManyMasks => Some(Limit::MasksPerConnection),
            JoinError::HubFull => Some(Limit::GroupsPerHub),
            JoinError::TooManyMasksInHub => Some(Limit::MasksPerHub),
        }
    }
}

/// Bounds of a hub and its connections.
#[derive(Debug, Clone, Copy)]
pub struct MembershipLimits {
    /// Groups that one connection may be in.
    pub groups_per_connection: usize,
    /// Masks that one connection may listen to.
    pub masks_per_connection: usize,
    /// Groups that the hub may have.
    pub groups_per_hub: usize,
    /// Different masks that may be listened to in the hub.
    pub masks_per_hub: usize,
}

/// A connection as the registry keeps it.
pub struct Entry<U> {
    /// The connection itself.
    pub connection: Arc<Connection<U>>,
    /// What it may do.
    pub permissions: Arc<Permissions>,
    /// Where it is served.
    pub place: Place,
    /// The requests that were done already.
    pub acks: AckIds,
    /// What its masks have cost lately.
    pub scans: Rate,
    /// When it began, in milliseconds since 1970.
    pub connected_at: u64,
    /// Which of its sockets it goes on by: a reliable connection may have several, one after another.
    pub incarnation: u32,
    /// How many sockets were asked for.
    pub claims: u32,
    /// Whether there may be another socket.
    pub recoverable: bool,
    /// When it has to end, where its token's expiry counts.
    pub expires_at: Option<Moment>,
    /// Keys of its groups, in order.
    groups: Vec<u32>,
    /// Keys of the masks it listens to, in order.
    masks: Vec<u32>,
    /// It has ended, but is still being taken out of its groups: it asks for nothing and joins nothing any more.
    pub ending: bool,
}

impl<U> Entry<U> {
    /// A connection that is in no group yet.
    pub fn new(connection: Arc<Connection<U>>, permissions: Arc<Permissions>, place: Place) -> Self {
        Entry {
            connection,
            permissions,
            place,
            acks: AckIds::default(),
            scans: Rate::default(),
            connected_at: 0,
            incarnation: 0,
            claims: 0,
            recoverable: false,
            expires_at: None,
            groups: Vec::new(),
            masks: Vec::new(),
            ending: false,
        }
    }
}

/// The connections of an audience, with how many each worker serves.
#[derive(Debug)]
struct Hearers {
    audience: Audience,
    connections: BTreeSet<ConnectionId>,
    by_worker: Vec<u32>,
}

impl Hearers {
    fn new() -> Self {
        Hearers { audience: Audience::next(), connections: BTreeSet::new(), by_worker: Vec::new() }
    }

    fn insert(&mut self, id: ConnectionId, worker: u32) {
        if self.connections.insert(id) {
            self.count_in(worker);
        }
    }

    fn remove(&mut self, id: ConnectionId, worker: u32) {
        if self.connections.remove(&id) {
            self.count_out(worker);
        }
    }

    /// One of the connections is served by another worker.
    fn relocate(&mut self, from: u32, to: u32) -> Audience {
        self.count_out(from);
        self.count_in(to);
        self.audience
    }

    fn count_in(&mut self, worker: u32) {
        let worker = worker as usize;
        if self.by_worker.len() <= worker {
            self.by_worker.resize(worker + 1, 0);
        }
        self.by_worker[worker] += 1;
    }

    fn count_out(&mut self, worker: u32) {
        if let Some(count) = self.by_worker.get_mut(worker as usize) {
            *count -= 1;
        }
    }

    fn add_workers_to(&self, workers: &mut Vec<bool>) {
        for (worker, count) in self.by_worker.iter().enumerate() {
            if workers.len() <= worker {
                workers.resize(worker + 1, false);
            }
            workers[worker] |= *count > 0;
        }
    }
}

#[derive(Debug)]
struct Group {
    name: GroupName,
    hearers: Hearers,
    /// Keys of the joined masks that match the name.
    listened_by: Vec<u32>,
    /// Exists without members too.
    declared: bool,
}

impl Group {
    /// Has the listeners by a mask hear it, or not.
    fn be_heard_by(&mut self, key: u32, heard: bool) {
        match (heard, self.listened_by.contains(&key)) {
            (true, false) => self.listened_by.push(key),
            (false, true) => self.listened_by.retain(|other| *other != key),
            _ => {}
        }
    }
}

#[derive(Debug)]
struct Listened {
    mask: Mask,
    /// Who alone hears by it, and only groups that it may join; `None` for those who hear every group.
    only: Option<ConnectionId>,
    hearers: Hearers,
}

/// A membership that began or ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The group.
    pub group: GroupName,
    /// Who hears it.
    pub audience: Audience,
    /// Members now.
    pub members: usize,
    /// Whether none of the user's other connections is a member.
    pub alone_of_user: bool,
}

/// What a connection leaves behind.
pub struct Gone<U> {
    /// The connection.
    pub connection: Arc<Connection<U>>,
    /// Where it was served.
    pub place: Place,
    /// The groups it was in, by name.
    pub left: Vec<Change>,
    /// The audiences it was part of, those of joined masks included.
    pub audiences: Vec<Audience>,
}

/// All memberships of one hub.
pub struct Membership<U> {
    limits: MembershipLimits,
    connections: Map<ConnectionId, Box<Entry<U>>>,
    /// All of them in order, to be paged through.
    order: BTreeSet<ConnectionId>,
    users: Map<UserId, Vec<ConnectionId>>,
    /// The connections that were made another user's than the one of the store who has logged in, by the latter.
    renamed: Map<UserId, Vec<ConnectionId>>,
    groups: Slab<Group>,
    index: GroupIndex,
    listened: Slab<Listened>,
    masks: MaskIndex,
}

impl<U> Membership<U> {
    /// No connections, and the groups that the configuration declares.
    pub fn new(limits: MembershipLimits, declared: impl IntoIterator<Item = GroupName>) -> Self {
        let mut membership = Membership {
            limits,
            connections: Map::default(),
            order: BTreeSet::new(),
            users: Map::default(),
            renamed: Map::default(),
            groups: Slab::new(),
            index: GroupIndex::default(),
            listened: Slab::new(),
            masks: MaskIndex::default(),
        };
        for name in declared {
            let key = membership.group_key(&name);
            membership.groups[key as usize].declared = true;
        }
        membership
    }

    /// Holds to other limits from now on, and has these groups exist without members. Nobody loses a membership by it.
    pub fn reconfigure(&mut self, limits: MembershipLimits, declared: &[GroupName]) {
        self.limits = limits;
        let dropped = |group: &Group| group.declared && !declared.contains(&group.name);
        let dropped: Vec<_> = self.groups.iter().filter(|(_, group)| dropped(group)).map(|(key, _)| key).collect();
        for key in dropped {
            let group = &mut self.groups[key];
            group.declared = false;
            if group.hearers.connections.is_empty() {
                let name = self.groups.remove(key).name;
                self.index.remove(name.as_str());
            }
        }
        for name in declared {
            let key = self.group_key(name);
            self.groups[key as usize].declared = true;
        }
    }

    /// Adds a connection.
    pub fn connect(&mut self, entry: Entry<U>) {
        let id = entry.connection.id;
        if let Some(user_id) = &entry.connection.user_id {
            self.users.entry(user_id.clone()).or_default().push(id);
        }
        if let Some(login) = other_login(&entry.connection) {
            self.renamed.entry(login.clone()).or_default().push(id);
        }
        self.order.insert(id);
        self.connections.insert(id, Box::new(entry));
    }

    /// The connection of this id.
    pub fn get(&self, id: ConnectionId) -> Option<&Entry<U>> {
        self.connections.get(&id).map(|entry| &**entry)
    }

    /// The connection of this id, to change what is its own.
    pub fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Entry<U>> {
        self.connections.get_mut(&id).map(|entry| &mut **entry)
    }

    /// The connections of a user.
    pub fn of_user(&self, user_id: &UserId) -> impl Iterator<Item = &Entry<U>> {
        self.users.get(user_id).into_iter().flatten().filter_map(|id| self.get(*id))
    }

    /// The connections that a user of the user store has logged in with, whoever they were made since.
    pub fn of_login(&self, login: &UserId) -> impl Iterator<Item = &Entry<U>> {
        let renamed = self.renamed.get(login).into_iter().flatten().filter_map(|id| self.get(*id));
        self.of_user(login).filter(|entry| entry.connection.login.as_ref() == Some(login)).chain(renamed)
    }

    /// Every connection, in no order.
    pub fn connections(&self) -> impl Iterator<Item = &Entry<U>> {
        self.connections.values().map(|entry| &**entry)
    }

    /// How many connections there are.
    pub fn connection_count(&self) -> usize {
        self.connections.len()
    }

    /// How many groups exist.
    pub fn group_count(&self) -> usize {
        self.index.count()
    }

    /// Makes a connection a member; `None` when it was one already.
    ///
    /// # Errors
    /// [`JoinError`]; nothing has changed then.
    pub fn join(&mut self, id: ConnectionId, name: &GroupName) -> Result<Option<Change>, JoinError> {
        let entry = self.get(id).filter(|entry| !entry.ending).ok_or(JoinError::ConnectionNotFound)?;
        let known = self.index.get(name.as_str());
        if known.is_some_and(|key| entry.groups.binary_search(&key).is_ok()) {
            return Ok(None);
        }
        if entry.groups.len() >= self.limits.groups_per_connection {
            return Err(JoinError::TooManyGroups);
        }
        if known.is_none() && self.index.count() >= self.limits.groups_per_hub {
            return Err(JoinError::HubFull);
        }
        let alone_of_user = !self.has_other_of_user(entry, known);
        let key = self.group_key(name);
        let entry = self.connections.get_mut(&id).ok_or(JoinError::ConnectionNotFound)?;
        if let Err(place) = entry.groups.binary_search(&key) {
            entry.groups.insert(place, key);
        }
        let group = &mut self.groups[key as usize];
        group.hearers.insert(id, entry.place.worker);
        Ok(Some(Change {
            group: group.name.clone(),
            audience: group.hearers.audience,
            members: group.hearers.connections.len(),
            alone_of_user,
        }))
    }

    /// Ends a membership; `None` when there was none.
    pub fn leave(&mut self, id: ConnectionId, name: &str) -> Option<Change> {
        let key = self.index.get(name)?;
        let entry = self.connections.get_mut(&id)?;
        let place = entry.groups.binary_search(&key).ok()?;
        entry.groups.remove(place);
        let worker = entry.place.worker;
        Some(self.remove_member(id, worker, key))
    }

    /// Has a connection be served at another place. Tells where it was and what it hears; `None` when it is not here.
    pub fn relocate(&mut self, id: ConnectionId, place: Place) -> Option<(Place, Vec<Audience>)> {
        let entry = self.connections.get_mut(&id)?;
        let before = std::mem::replace(&mut entry.place, place);
        let mut audiences = Vec::with_capacity(entry.groups.len() + entry.masks.len());
        for key in &entry.groups {
            audiences.push(self.groups[*key as usize].hearers.relocate(before.worker, place.worker));
        }
        for key in &entry.masks {
            audiences.push(self.listened[*key as usize].hearers.relocate(before.worker, place.worker));
        }
        Some((before, audiences))
    }

    /// Takes a connection that has ended out of some of its groups if it is in more than `most`; nothing otherwise.
    ///
    /// For a while it is a member of the others, as if it had left one group after another.
    pub fn leave_some(&mut self, id: ConnectionId, most: usize) -> Vec<Change> {
        let Some(entry) = self.connections.get_mut(&id) else { return Vec::new() };
        if entry.groups.len() <= most {
            return Vec::new();
        }
        entry.ending = true;
        let worker = entry.place.worker;
        let keys: Vec<_> = entry.groups.drain(..most).collect();
        let mut left: Vec<_> = keys.into_iter().map(|key| self.remove_member(id, worker, key)).collect();
        left.sort_unstable_by(|a, b| a.group.cmp(&b.group));
        left
    }

    /// Removes a connection from everything; `None` when it is not here.
    pub fn disconnect(&mut self, id: ConnectionId) -> Option<Gone<U>> {
        let Entry { connection, place, groups, masks, .. } = *self.connections.remove(&id)?;
        self.order.remove(&id);
        if let Some(user_id) = &connection.user_id {
            forget(&mut self.users, user_id, id);
        }
        if let Some(login) = other_login(&connection) {
            forget(&mut self.renamed, login, id);
        }
        let mut audiences: Vec<_> = masks.into_iter().map(|key| self.remove_listener(id, place.worker, key)).collect();
        let user_id = connection.user_id.as_ref();
        let mut left: Vec<_> = groups
            .into_iter()
            .map(|key| {
                let alone_of_user = !self.is_user_in(user_id, key);
                Change { alone_of_user, ..self.remove_member(id, place.worker, key) }
            })
            .collect();
        left.sort_unstable_by(|a, b| a.group.cmp(&b.group));
        audiences.extend(left.iter().map(|change| change.audience));
        Some(Gone { connection, place, left, audiences })
    }

    fn group_key(&mut self, name: &GroupName) -> u32 {
        if let Some(key) = self.index.get(name.as_str()) {
            return key;
        }
        let listened_by = self.masks_that_hear(name.as_str()).collect();
        let group = Group { name: name.clone(), hearers: Hearers::new(), listened_by, declared: false };
        let key = self.groups.insert(group) as u32;
        self.index.insert(name.clone(), key);
        key
    }

    fn remove_member(&mut self, id: ConnectionId, worker: u32, key: u32) -> Change {
        let alone_of_user = self.get(id).is_some_and(|entry| !self.has_other_of_user(entry, Some(key)));
        let group = &mut self.groups[key as usize];
        group.hearers.remove(id, worker);
        let change = Change {
            group: group.name.clone(),
            audience: group.hearers.audience,
            members: group.hearers.connections.len(),
            alone_of_user,
        };
        if change.members == 0 && !group.declared {
            self.groups.remove(key as usize);
            self.index.remove(change.group.as_str());
        }
        change
    }

    fn has_other_of_user(&self, entry: &Entry<U>, key: Option<u32>) -> bool {
        let (Some(user_id), Some(key)) = (&entry.connection.user_id, key) else { return false };
        let mut others = self.of_user(user_id).filter(|other| other.connection.id != entry.connection.id);
        others.any(|other| other.groups.binary_search(&key).is_ok())
    }

    fn is_user_in(&self, user_id: Option<&UserId>, key: u32) -> bool {
        user_id.is_some_and(|user_id| self.of_user(user_id).any(|entry| entry.groups.binary_search(&key).is_ok()))
    }
}

/// As whom a connection has logged in, where it is another user's.
fn other_login<U>(connection: &Connection<U>) -> Option<&UserId> {
    connection.login.as_ref().filter(|login| connection.user_id.as_ref() != Some(login))
}

/// Takes a connection out of those of a user.
fn forget(users: &mut Map<UserId, Vec<ConnectionId>>, user: &UserId, id: ConnectionId) {
    let Some(ids) = users.get_mut(user) else { return };
    ids.retain(|other| *other != id);
    if ids.is_empty() {
        users.remove(user);
    }
}
