//! Where a publish goes.

use super::{Audience, Membership};
use crate::ids::{ConnectionId, GroupName, Target};

/// Where a publish goes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// The groups by name, each followed by the joined masks that hear it.
    pub audiences: Vec<(Audience, GroupName)>,
    /// Which workers serve at least one of the receivers.
    pub workers: Vec<bool>,
    /// How many groups it goes to.
    pub groups: usize,
    /// How many deliveries it is at most: who is in several of the groups gets only one.
    pub receivers: usize,
}

impl<U> Membership<U> {
    /// Where a publish to `target` goes, among the groups that `may` allows. `None`: a group that does not exist.
    pub fn route(&self, target: &Target, may: impl Fn(&str) -> bool) -> Option<Route> {
        let mut route = Route::default();
        match target {
            Target::Group(name) => {
                let key = self.index.get(name.as_str())?;
                self.add_to_route(&mut route, key);
            }
            Target::Mask(mask) => {
                let allowed = self.index.matching(mask).filter(|(name, _)| may(name.as_str()));
                allowed.for_each(|(_, key)| self.add_to_route(&mut route, key));
            }
        }
        Some(route)
    }

    /// Who hears a group that may be gone already: its listeners still want to know who was the last to leave.
    pub fn route_or_listeners(&self, name: &GroupName) -> Route {
        if let Some(route) = self.route(&Target::Group(name.clone()), |_| true) {
            return route;
        }
        let mut route = Route::default();
        for key in self.masks_that_hear(name.as_str()) {
            let hearers = &self.listened[key as usize].hearers;
            route.audiences.push((hearers.audience, name.clone()));
            route.receivers += hearers.connections.len();
            hearers.add_workers_to(&mut route.workers);
        }
        route
    }

    fn add_to_route(&self, route: &mut Route, key: u32) {
        let group = &self.groups[key as usize];
        route.groups += 1;
        let listened = group.listened_by.iter().map(|key| &self.listened[*key as usize].hearers);
        for hearers in [&group.hearers].into_iter().chain(listened) {
            if !hearers.connections.is_empty() {
                route.audiences.push((hearers.audience, group.name.clone()));
                route.receivers += hearers.connections.len();
                hearers.add_workers_to(&mut route.workers);
            }
        }
    }

    /// Everything that this connection may send to by being a member of it.
    pub fn route_to_own_groups(&self, id: ConnectionId) -> Option<Route> {
        let entry = self.get(id)?;
        let mut keys: Vec<_> = entry
            .groups
            .iter()
            .filter(|key| entry.permissions.may_send(self.groups[**key as usize].name.as_str()))
            .collect();
        keys.sort_unstable_by_key(|key| &self.groups[**key as usize].name);
        let mut route = Route::default();
        keys.into_iter().for_each(|key| self.add_to_route(&mut route, *key));
        Some(route)
    }
}
