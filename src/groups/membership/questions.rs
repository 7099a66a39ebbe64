//! What one may ask of a membership: pages of members and groups, counts.

use hashbrown::HashSet;

use super::{Entry, Membership};
use crate::ids::{ConnectionId, GroupName, Target};

/// One page of an answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The entries, in order.
    pub items: Vec<T>,
    /// Whether there are more behind the last.
    pub more: bool,
}

/// What a publish would reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Groups.
    pub groups: usize,
    /// Connections, each once.
    pub connections: usize,
    /// How many were looked at for that, one in several groups as often.
    pub looked_at: usize,
}

impl<U> Membership<U> {
    /// Whether the connection is a member of the group.
    pub fn is_member(&self, id: ConnectionId, name: &str) -> bool {
        let Some(key) = self.index.get(name) else { return false };
        self.get(id).is_some_and(|entry| entry.groups.binary_search(&key).is_ok())
    }

    /// Whether the group exists.
    pub fn has_group(&self, name: &str) -> bool {
        self.index.get(name).is_some()
    }

    /// The members of a group by connection id, behind `after`; `None` when the group does not exist.
    pub fn members(&self, name: &str, after: Option<ConnectionId>, limit: usize) -> Option<Page<&Entry<U>>> {
        use std::ops::Bound::{Excluded, Unbounded};

        let group = self.groups.get(self.index.get(name)? as usize)?;
        let mut ids = group.hearers.connections.range((after.map_or(Unbounded, Excluded), Unbounded));
        let items = ids.by_ref().take(limit).filter_map(|id| self.get(*id)).collect();
        Some(Page { items, more: ids.next().is_some() })
    }

    /// How many members a group has.
    pub fn member_count(&self, name: &str) -> usize {
        let group = self.index.get(name).and_then(|key| self.groups.get(key as usize));
        group.map_or(0, |group| group.hearers.connections.len())
    }

    /// How many members and listeners have to be looked at to count those of a group; none where the group has members
    /// only, whose number is known.
    pub fn cost_of_counting(&self, name: &str) -> usize {
        let Some(group) = self.index.get(name).and_then(|key| self.groups.get(key as usize)) else { return 0 };
        if group.listened_by.is_empty() {
            return 0;
        }
        let listeners = group.listened_by.iter().map(|key| self.listened[*key as usize].hearers.connections.len());
        group.hearers.connections.len() + listeners.sum::<usize>()
    }

    /// What the first join of a group costs: its name is compared with joined masks, the longer the name the slower. None
    /// where the group exists.
    pub fn cost_of_founding(&self, name: &str) -> usize {
        /// Bytes of a name that are compared in the time in which another name is looked at.
        const BYTES_AT_A_TIME: usize = 16;
        match self.index.get(name) {
            Some(_) => 0,
            None => self.masks.comparisons_with(name) * name.len().div_ceil(BYTES_AT_A_TIME),
        }
    }

    /// How many connections listen to a group by a joined mask.
    pub fn listeners(&self, name: &str) -> usize {
        let Some(group) = self.index.get(name).and_then(|key| self.groups.get(key as usize)) else { return 0 };
        let ids = group.listened_by.iter().flat_map(|key| &self.listened[*key as usize].hearers.connections);
        ids.filter(|id| !group.hearers.connections.contains(id))
            .collect::<HashSet<_, foldhash::fast::RandomState>>()
            .len()
    }

    /// Groups by name behind `after` with their number of members, among those that `wanted` allows.
    pub fn groups(
        &self,
        among: Option<&Target>,
        after: Option<&str>,
        limit: usize,
        wanted: impl Fn(&str) -> bool,
    ) -> Page<(GroupName, usize)> {
        let prefix = among.map_or("", Target::literal_prefix);
        let mut groups = self
            .index
            .with_prefix(prefix, after)
            .filter(|(name, _)| among.is_none_or(|among| among.matches(name.as_str())) && wanted(name.as_str()))
            .map(|(name, key)| (name.clone(), self.groups[key as usize].hearers.connections.len()));
        let items = groups.by_ref().take(limit).collect();
        let more = groups.next().is_some();
        Page { items, more }
    }

    /// The same among the groups that a connection is in.
    pub fn own_groups(
        &self,
        id: ConnectionId,
        among: Option<&Target>,
        after: Option<&str>,
        limit: usize,
    ) -> Page<(GroupName, usize)> {
        let mut names = self.groups_of(id).into_iter().filter(|name| {
            among.is_none_or(|among| among.matches(name.as_str())) && after.is_none_or(|after| name.as_str() > after)
        });
        let members = |name: GroupName| {
            let key = self.index.get(name.as_str())?;
            Some((name, self.groups[key as usize].hearers.connections.len()))
        };
        let items = names.by_ref().take(limit).filter_map(members).collect();
        Page { items, more: names.next().is_some() }
    }

    /// How many names begin with `prefix`, counted no further than `most`.
    pub fn names_with_prefix(&self, prefix: &str, most: usize) -> usize {
        match prefix {
            "" => self.index.count().min(most),
            _ => self.index.with_prefix(prefix, None).take(most).count(),
        }
    }

    /// How many groups a connection is in.
    pub fn group_count_of(&self, id: ConnectionId) -> usize {
        self.get(id).map_or(0, |entry| entry.groups.len())
    }

    /// The names of a connection's groups, in order.
    pub fn groups_of(&self, id: ConnectionId) -> Vec<GroupName> {
        let keys = self.get(id).map(|entry| entry.groups.as_slice()).unwrap_or_default();
        let mut names: Vec<_> = keys.iter().map(|key| self.groups[*key as usize].name.clone()).collect();
        names.sort_unstable();
        names
    }

    /// How many groups and connections a publish to `target` would reach, among the groups that `may` allows.
    pub fn count(&self, target: &Target, may: impl Fn(&str) -> bool) -> Counts {
        let single = match target {
            Target::Group(name) => self.index.get(name.as_str()).filter(|_| may(name.as_str())),
            Target::Mask(_) => None,
        };
        let keys: Vec<u32> = match target {
            Target::Group(_) => single.into_iter().collect(),
            Target::Mask(mask) => {
                self.index.matching(mask).filter(|(name, _)| may(name.as_str())).map(|(_, key)| key).collect()
            }
        };
        let hearers = |key: &u32| {
            let group = &self.groups[*key as usize];
            let listened = group.listened_by.iter().map(|key| &self.listened[*key as usize].hearers);
            [&group.hearers].into_iter().chain(listened)
        };
        if let [key] = keys.as_slice()
            && let group = &self.groups[*key as usize]
            && group.listened_by.is_empty()
        {
            return Counts { groups: 1, connections: group.hearers.connections.len(), looked_at: 0 };
        }
        let looked_at = keys.iter().flat_map(hearers).map(|hearers| hearers.connections.len()).sum();
        let connections = keys.iter().flat_map(hearers).flat_map(|hearers| &hearers.connections);
        let connections = connections.collect::<HashSet<_, foldhash::fast::RandomState>>().len();
        Counts { groups: keys.len(), connections, looked_at }
    }
}
