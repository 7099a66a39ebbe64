//! What operators look for in a hub, a bounded step at a time, so that a hub of any size goes on meanwhile.

use std::net::IpAddr;
use std::sync::Arc;

use hashbrown::HashSet;

use super::{Entry, Membership};
use crate::filter::{Facts, Filter, GroupSet};
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

/// Whom a publish would reach, as far as was looked.
#[derive(Debug, Default)]
pub struct Hearing {
    /// Groups.
    pub groups: usize,
    /// Members and listeners.
    pub connections: HashSet<ConnectionId, foldhash::fast::RandomState>,
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
    /// This is true of it.
    pub matching: Option<Arc<Filter>>,
}

impl ConnectionFilter {
    /// What it costs to apply it to a connection, where looking at one costs one.
    fn weight(&self) -> usize {
        self.matching.as_ref().map_or(1, |filter| filter.weight())
    }
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

    /// Adds whom a publish to the groups behind `after` would reach to those that are `known`. Tells behind which group
    /// the next step begins, once `most` names and hearers were looked at; those of one group are never divided.
    pub fn scan_hearers(
        &self,
        target: &Target,
        after: Option<&str>,
        most: usize,
        known: &mut Hearing,
    ) -> Option<GroupName> {
        let mut looked_at = 0;
        let mut last: Option<&GroupName> = None;
        // A group comes before all whose names begin with its own.
        let names = match target {
            Target::Group(_) => 1,
            Target::Mask(_) => usize::MAX,
        };
        for (name, key) in self.index.with_prefix(target.literal_prefix(), after).take(names) {
            if looked_at >= most {
                return last.cloned();
            }
            looked_at += 1;
            last = Some(name);
            if !target.matches(name.as_str()) {
                continue;
            }
            known.groups += 1;
            let group = &self.groups[key as usize];
            let listened = group.listened_by.iter().map(|key| &self.listened[*key as usize].hearers);
            for hearers in [&group.hearers].into_iter().chain(listened) {
                looked_at += hearers.connections.len();
                known.connections.extend(&hearers.connections);
            }
        }
        None
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
        let weight = filter.weight();
        for id in ids {
            if looked_at >= reach.looked_at {
                return Step { found, next: last };
            }
            looked_at += weight;
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
            && filter.matching.as_ref().is_none_or(|filter| self.is_meant(entry, filter))
    }

    /// Those of some connections whom a filter means.
    pub fn meant<'a>(&'a self, ids: &'a [ConnectionId], filter: &'a Filter) -> impl Iterator<Item = ConnectionId> + 'a {
        let entries = ids.iter().filter_map(|id| self.get(*id));
        entries.filter(|entry| !entry.ending && self.is_meant(entry, filter)).map(|entry| entry.connection.id)
    }

    fn is_meant(&self, entry: &Entry<U>, filter: &Filter) -> bool {
        let connection = &entry.connection;
        filter.matches(&Facts {
            connection_id: &connection.id.to_string(),
            user_id: connection.user_id.as_ref().map(UserId::as_str),
            subprotocol: connection.subprotocol,
            groups: &OwnGroups { membership: self, keys: &entry.groups },
        })
    }
}

/// The groups of a connection, as a filter sees them.
struct OwnGroups<'a, U> {
    membership: &'a Membership<U>,
    /// In order.
    keys: &'a [u32],
}

impl<U> GroupSet for OwnGroups<'_, U> {
    fn contains(&self, group: &str) -> bool {
        self.membership.index.get(group).is_some_and(|key| self.keys.binary_search(&key).is_ok())
    }

    fn count(&self) -> usize {
        self.keys.len()
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::auth::permissions::Permissions;
    use crate::event::{Authority, Connection, Upstream};
    use crate::groups::membership::{MembershipLimits, Place};
    use crate::ids::HubName;

    fn group(name: &str) -> GroupName {
        GroupName::parse(name, true).unwrap()
    }

    /// A hub in which each connection is some user's and in some groups.
    fn membership(connections: &[(u8, Vec<String>)]) -> Membership<()> {
        let many = 1000;
        let limits = MembershipLimits {
            groups_per_connection: many,
            masks_per_connection: many,
            groups_per_hub: many,
            masks_per_hub: many,
        };
        let mut membership = Membership::new(limits, []);
        for (user, groups) in connections {
            let connection = Connection {
                id: ConnectionId::random(),
                hub: HubName::parse("chat").unwrap(),
                user_id: Some(UserId::parse(&format!("user-{user}")).unwrap()),
                authority: Authority::Store,
                login: None,
                user: None,
                address: None,
                subprotocol: None,
                upstream: Upstream::default(),
            };
            let (id, place) = (connection.id, Place { worker: 0, slot: 0 });
            membership.connect(Entry::new(Arc::new(connection), Arc::new(Permissions::default()), place));
            for name in groups {
                membership.join(id, &group(name)).unwrap();
            }
        }
        membership
    }

    fn all_groups(membership: &Membership<()>, filter: &GroupFilter, reach: Reach) -> Vec<Named> {
        let (mut all, mut after) = (Vec::<Named>::new(), None);
        loop {
            let Step { found, next } = membership.scan_groups(filter, after.as_deref(), reach);
            assert!(found.len() <= reach.found);
            for named in found {
                match (all.last_mut(), &named) {
                    (Some(Named::Prefix { prefix, groups }), Named::Prefix { prefix: same, groups: further })
                        if prefix == same =>
                    {
                        *groups += further;
                    }
                    _ => all.push(named),
                }
            }
            let Some(next) = next else { return all };
            assert!(after.is_none_or(|after| after < next), "a step gets on");
            after = Some(next);
        }
    }

    proptest! {
        #[test]
        fn however_small_the_steps_all_that_passes_the_filter_is_found_once(
            connections in prop::collection::vec((0..3u8, prop::collection::vec("[ab/]{1,4}", 0..5)), 0..12),
            prefix in "[ab/]{0,2}",
            mask in prop::option::of("[ab/]{0,2}[*][ab/]{0,1}"),
            delimited in any::<bool>(),
            user in prop::option::of(0..3u8),
            member_of in prop::option::of("[ab/]{1,2}"),
            matching in any::<bool>(),
            found in 1..4usize,
            looked_at in 1..6usize,
        ) {
            let membership = membership(&connections);
            let reach = Reach { found, looked_at };
            let filter = GroupFilter {
                prefix: prefix.clone(),
                among: mask.as_ref().map(|mask| Target::parse(mask, true).unwrap()),
                delimiter: delimited.then(|| "/".to_owned()),
            };
            let mut expected: Vec<(String, usize)> = Vec::new();
            for (name, _) in membership.groups(filter.among.as_ref(), None, usize::MAX, |name| name.starts_with(&prefix)).items {
                let rest = &name.as_str()[prefix.len()..];
                let shown = match rest.find('/').filter(|_| delimited) {
                    Some(end) => format!("{prefix}{}", &rest[..=end]),
                    None => name.to_string(),
                };
                let is_prefix = delimited && rest.contains('/');
                match expected.last_mut() {
                    Some((last, count)) if is_prefix && *count > 0 && *last == shown => *count += 1,
                    _ => expected.push((shown, usize::from(is_prefix))),
                }
            }
            let told = all_groups(&membership, &filter, reach).into_iter().map(|named| match named {
                Named::Group { name, .. } => (name.to_string(), 0),
                Named::Prefix { prefix, groups } => (prefix, groups),
            });
            prop_assert_eq!(told.collect::<Vec<_>>(), expected);

            if let Some(among) = &filter.among {
                let (mut hearing, mut after) = (Hearing::default(), None);
                loop {
                    let next = membership.scan_hearers(among, after.as_ref().map(GroupName::as_str), looked_at, &mut hearing);
                    match next {
                        Some(next) => prop_assert!(after.replace(next.clone()).is_none_or(|after| after < next)),
                        None => break,
                    }
                }
                let counts = membership.count(among, |_| true);
                prop_assert_eq!((hearing.groups, hearing.connections.len()), (counts.groups, counts.connections));
            }

            let filter = ConnectionFilter {
                group: member_of.as_deref().map(group),
                user: user.map(|user| UserId::parse(&format!("user-{user}")).unwrap()),
                matching: matching.then(|| Arc::new("length(groups) gt 1 or 'a' in groups".parse().unwrap())),
                ..ConnectionFilter::default()
            };
            let is_meant = |id| membership.group_count_of(id) > 1 || membership.is_member(id, "a");
            let mut expected: Vec<_> = membership
                .connections()
                .map(|entry| &entry.connection)
                .filter(|one| filter.user.is_none() || one.user_id == filter.user)
                .filter(|one| filter.group.as_ref().is_none_or(|group| membership.is_member(one.id, group.as_str())))
                .map(|one| one.id)
                .filter(|id| !matching || is_meant(*id))
                .collect();
            expected.sort_unstable();
            if let Some(filter) = &filter.matching {
                let mut all: Vec<_> = membership.connections().map(|entry| entry.connection.id).collect();
                all.retain(|id| is_meant(*id));
                all.sort_unstable();
                let ids: Vec<_> = membership.order.iter().copied().collect();
                prop_assert_eq!(membership.meant(&ids, filter).collect::<Vec<_>>(), all);
            }
            let (mut told, mut after) = (Vec::new(), None);
            loop {
                let step = membership.scan_connections(&filter, after, reach);
                prop_assert!(step.found.len() <= found);
                told.extend(step.found.iter().map(|entry| entry.connection.id));
                after = step.next;
                if after.is_none() {
                    break;
                }
            }
            prop_assert_eq!(told, expected);
        }
    }
}
