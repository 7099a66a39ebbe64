//! What operators look for in a hub, a bounded step at a time, so that a hub of any size goes on meanwhile.

use std::net::IpAddr;

use super::{Entry, Membership};
use crate::ids::{ConnectionId, GroupName, Target, UserId};

/// What one step of a search found.
#[derive(Debug, PartialEq, Eq)]
pub struct Step<T, K> {
    /// What was found, in order.
    pub found: Vec<T>,
    /// Behind what the next step begins; `None` when everything was looked at.
    pub next: Option<K>,
}

/// How far a step goes, whichever comes first.
#[derive(Debug, Clone, Copy)]
pub struct Reach {
    /// So much was found, and there is more. At least one.
    pub found: usize,
    /// So much was looked at.
    pub looked_at: usize,
}

/// Which groups are looked for.
#[derive(Debug, Clone, Default)]
pub struct GroupFilter {
    /// What their names begin with.
    pub prefix: String,
    /// What goes to them.
    pub among: Option<Target>,
    /// Groups whose names have this behind the prefix are told as one, up to and with it.
    pub delimiter: Option<String>,
}

/// A group, or what several have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// One group.
    Group {
        /// Its name.
        name: GroupName,
        /// How many members it has.
        members: usize,
        /// How many hear it by a joined mask only.
        listeners: usize,
    },
    /// What the names of several groups begin with.
    Prefix {
        /// The beginning, which ends with the delimiter.
        prefix: String,
        /// How many groups those are.
        groups: usize,
    },
}

/// Which connections are looked for; everything that is there has to be so.
#[derive(Debug, Clone, Default)]
pub struct ConnectionFilter {
    /// It is this one.
    pub id: Option<ConnectionId>,
    /// It is a member of this group.
    pub group: Option<GroupName>,
    /// It is this user's.
    pub user: Option<UserId>,
    /// It comes from this address.
    pub address: Option<IpAddr>,
}

impl<U> Membership<U> {
    /// Looks for groups behind `after`, by name.
    pub fn scan_groups(&self, filter: &GroupFilter, after: Option<&str>, reach: Reach) -> Step<Named, String> {
        let literal = filter.among.as_ref().map_or("", Target::literal_prefix);
        // Where neither begins with the other, no name passes both.
        let prefix = if literal.len() > filter.prefix.len() { literal } else { &filter.prefix };
        let mut found: Vec<Named> = Vec::new();
        let (mut looked_at, mut last) = (0, None);
        for (name, key) in self.index.with_prefix(prefix, after) {
            if looked_at >= reach.looked_at {
                return Step { found, next: last };
            }
            looked_at += 1;
            let text = name.as_str();
            let wanted =
                text.starts_with(&filter.prefix) && filter.among.as_ref().is_none_or(|among| among.matches(text));
            let common = wanted.then(|| filter.common_prefix(text)).flatten();
            let is_full = found.len() >= reach.found;
            match (found.last_mut(), common) {
                _ if !wanted => {}
                (Some(Named::Prefix { prefix, groups }), Some(common)) if prefix == common => *groups += 1,
                _ if is_full => return Step { found, next: last },
                (_, Some(common)) => found.push(Named::Prefix { prefix: common.to_owned(), groups: 1 }),
                (_, None) => {
                    let members = self.groups[key as usize].hearers.connections.len();
                    looked_at += self.cost_of_counting(text);
                    found.push(Named::Group { name: name.clone(), members, listeners: self.listeners(text) });
                }
            }
            last = Some(text.to_owned());
        }
        Step { found, next: None }
    }

    /// Looks for connections behind `after`, by id.
    pub fn scan_connections(
        &self,
        filter: &ConnectionFilter,
        after: Option<ConnectionId>,
        reach: Reach,
    ) -> Step<&Entry<U>, ConnectionId> {
        use std::ops::Bound::{Excluded, Unbounded};

        let mut found = Vec::new();
        let (mut looked_at, mut last) = (0, None);
        let range = (after.map_or(Unbounded, Excluded), Unbounded);
        let ids: Box<dyn Iterator<Item = ConnectionId>> = match filter {
            ConnectionFilter { id: Some(id), .. } => {
                Box::new([*id].into_iter().filter(|id| after.is_none_or(|after| *id > after)))
            }
            ConnectionFilter { group: Some(group), .. } => {
                let Some(key) = self.index.get(group.as_str()) else { return Step { found, next: None } };
                Box::new(self.groups[key as usize].hearers.connections.range(range).copied())
            }
            ConnectionFilter { user: Some(user), .. } => {
                let ids = self.users.get(user).into_iter().flatten().copied();
                let mut ids: Vec<_> = ids.filter(|id| after.is_none_or(|after| *id > after)).collect();
                ids.sort_unstable();
                Box::new(ids.into_iter())
            }
            _ => Box::new(self.order.range(range).copied()),
        };
        for id in ids {
            if looked_at >= reach.looked_at {
                return Step { found, next: last };
            }
            looked_at += 1;
            if let Some(entry) = self.get(id).filter(|entry| !entry.ending && self.passes(entry, filter)) {
                if found.len() >= reach.found {
                    return Step { found, next: last };
                }
                found.push(entry);
            }
            last = Some(id);
        }
        Step { found, next: None }
    }

    fn passes(&self, entry: &Entry<U>, filter: &ConnectionFilter) -> bool {
        let connection = &entry.connection;
        filter.user.as_ref().is_none_or(|user| connection.user_id.as_ref() == Some(user))
            && filter.address.is_none_or(|address| connection.address == Some(address))
            && filter.group.as_ref().is_none_or(|group| self.is_member(connection.id, group.as_str()))
    }
}

impl GroupFilter {
    /// The part of a name, prefix included, that ends with the first delimiter behind the prefix.
    fn common_prefix<'a>(&self, name: &'a str) -> Option<&'a str> {
        let delimiter = self.delimiter.as_deref()?;
        let rest = name.get(self.prefix.len()..)?;
        name.get(..self.prefix.len() + rest.find(delimiter)? + delimiter.len())
    }
}
