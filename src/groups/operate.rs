//! What operators ask of a hub and do to it: searches, sends and closes that no client may ask for.
//!
//! Nobody limits how much an operator asks, so each message is a bounded step, and what needs many is put together here,
//! outside of the registry, which serves its hub between two of them. A hub that has ended has nothing and nobody.

mod enrol;
mod handlers;
mod mail;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use actix::{Addr, Message};

pub use self::enrol::Enrolment;
pub use self::mail::{Mail, Posted};
use super::fanout::Fanout;
use super::hub::Hub;
pub use super::membership::{ConnectionFilter, GroupFilter, Named};
use super::membership::{Hearing, Page, Place, Reach, Step};
use super::messages::{Count, Counted, Leave};
use crate::error::Disconnect as Reason;
use crate::event::Connection;
use crate::ids::{ConnectionId, GroupName, Target};
use crate::user::UserData;

/// Names or connections that one message looks at: a millisecond's work.
const LOOKED_AT: usize = 10_000;
/// Connections that one message ends.
const CLOSED_AT_A_TIME: usize = 1000;
/// Groups of a connection that one message tells.
const GROUPS_AT_A_TIME: usize = 1000;

/// A step of a search for groups.
#[derive(Message)]
#[rtype(result = "Step<Named, String>")]
pub(super) struct FindGroups {
    filter: Arc<GroupFilter>,
    after: Option<String>,
    reach: Reach,
}

/// A step of a search for connections.
#[derive(Message)]
#[rtype(result = "FoundConnections<U>")]
pub(super) struct FindConnections<U: 'static> {
    filter: Arc<ConnectionFilter>,
    after: Option<ConnectionId>,
    reach: Reach,
    user: std::marker::PhantomData<U>,
}

pub(super) struct FoundConnections<U> {
    step: Step<Found<U>, ConnectionId>,
    fanouts: BTreeMap<u32, Addr<Fanout>>,
}

pub(super) struct Found<U> {
    connection: Arc<Connection<U>>,
    connected_at: u64,
    groups: usize,
    place: Place,
}

/// A step of counting whom a publish would reach: on with those that are known, behind a group.
#[derive(Message)]
#[rtype(result = "(Hearing, Option<GroupName>)")]
pub(super) struct CountSome {
    target: Arc<Target>,
    after: Option<GroupName>,
    known: Hearing,
}

/// Some of the groups of a connection.
#[derive(Message)]
#[rtype(result = "Option<Page<GroupName>>")]
pub(super) struct GroupsOf {
    connection: ConnectionId,
    after: Option<GroupName>,
    limit: usize,
}

/// Ends some of the connections that pass a filter; tells behind which the next step begins.
#[derive(Message)]
#[rtype(result = "Option<ConnectionId>")]
pub(super) struct CloseSome {
    filter: Arc<ConnectionFilter>,
    excluded: Arc<BTreeSet<ConnectionId>>,
    reason: Reason,
    after: Option<ConnectionId>,
}

/// How large the hub is.
#[derive(Message)]
#[rtype(result = "HubSize")]
pub(super) struct Measure;

/// How large a hub is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HubSize {
    /// Its connections.
    pub connections: usize,
    /// Its groups.
    pub groups: usize,
}

/// Asks a fan-out about connections that it serves, by their slots.
#[derive(Message)]
#[rtype(result = "Vec<Option<Load>>")]
pub(super) struct Inspect(Vec<(u32, ConnectionId)>);

/// What only the thread that serves a connection knows of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Messages that wait in its queue.
    pub messages: usize,
    /// Their bytes.
    pub bytes: usize,
    /// For how long nothing was heard of its peer.
    pub silent: Duration,
}

/// A connection as operators see it.
pub struct Seen<U> {
    /// The connection.
    pub connection: Arc<Connection<U>>,
    /// When it began, in milliseconds since 1970.
    pub connected_at: u64,
    /// How many groups it is in.
    pub groups: usize,
    /// Nothing where it has ended meanwhile.
    pub load: Option<Load>,
}

/// One page of a search.
pub struct Results<T> {
    /// What was found, in order.
    pub items: Vec<T>,
    /// Whether there is more behind the last.
    pub more: bool,
}

impl<U: UserData> Hub<U> {
    /// Groups behind `after`, by name.
    pub async fn find_groups(&self, filter: GroupFilter, after: Option<String>, limit: usize) -> Results<Named> {
        let (filter, mut after, mut items) = (Arc::new(filter), after, Vec::<Named>::new());
        loop {
            // One more than wanted tells whether there is more, and that what came before it is complete.
            let reach = Reach { found: limit + 1 - items.len(), looked_at: LOOKED_AT };
            let find = FindGroups { filter: filter.clone(), after, reach };
            let Ok(Step { found, next }) = self.registry().send(find).await else {
                return Results { items, more: false };
            };
            for named in found {
                match (items.last_mut(), &named) {
                    (Some(Named::Prefix { prefix, groups }), Named::Prefix { prefix: same, groups: further })
                        if prefix == same =>
                    {
                        *groups += further;
                    }
                    _ => items.push(named),
                }
            }
            let more = items.len() > limit;
            if more || next.is_none() {
                items.truncate(limit);
                return Results { items, more };
            }
            after = next;
        }
    }

    /// Connections behind `after`, by id, with what waits for them.
    pub async fn find_connections(
        &self,
        filter: ConnectionFilter,
        after: Option<ConnectionId>,
        limit: usize,
    ) -> Results<Seen<U>> {
        let (filter, mut after, mut items) = (Arc::new(filter), after, Vec::new());
        let mut fanouts = BTreeMap::new();
        loop {
            let reach = Reach { found: limit + 1 - items.len(), looked_at: LOOKED_AT };
            let find = FindConnections { filter: filter.clone(), after, reach, user: std::marker::PhantomData };
            let Ok(FoundConnections { step, fanouts: known }) = self.registry().send(find).await else { break };
            items.extend(step.found);
            fanouts.extend(known);
            after = step.next;
            if items.len() > limit || after.is_none() {
                break;
            }
        }
        let more = items.len() > limit;
        items.truncate(limit);
        let mut loads = inspect(&items, &fanouts).await;
        let seen = items.into_iter().map(|found| Seen {
            load: loads.remove(&found.connection.id),
            connection: found.connection,
            connected_at: found.connected_at,
            groups: found.groups,
        });
        Results { items: seen.collect(), more }
    }

    /// Whom a message to a group or mask would reach.
    pub async fn count(&self, target: Target) -> Counted {
        const NOBODY: Counted = Counted { groups: 0, connections: 0 };
        if let Target::Group(_) = target {
            return self.registry().send(Count { target }).await.unwrap_or(NOBODY);
        }
        let Hearing { groups, connections } = self.hearing(target).await;
        Counted { groups, connections: connections.len() }
    }

    /// The groups of a connection behind `after`, by name; `None` when there is no such connection.
    pub async fn groups_of(
        &self,
        connection: ConnectionId,
        after: Option<GroupName>,
        limit: usize,
    ) -> Option<Results<GroupName>> {
        let page = self.registry().send(GroupsOf { connection, after, limit }).await.ok()??;
        Some(Results { items: page.items, more: page.more })
    }

    /// Takes a connection out of all its groups.
    pub async fn leave_all(&self, connection: ConnectionId) {
        let mut after = None;
        while let Some(page) = self.groups_of(connection, after.take(), GROUPS_AT_A_TIME).await {
            for group in &page.items {
                // It may have left meanwhile, or be gone.
                let _ = self.registry().send(Leave { connection, target: Target::Group(group.clone()) }).await;
            }
            match page.items.last() {
                Some(last) if page.more => after = Some(last.clone()),
                _ => return,
            }
        }
    }

    /// Ends the connections that pass a filter, except some.
    pub async fn close(&self, filter: ConnectionFilter, excluded: &[ConnectionId], reason: Reason) {
        let excluded: BTreeSet<_> = excluded.iter().copied().collect();
        let (filter, excluded, mut after) = (Arc::new(filter), Arc::new(excluded), None);
        loop {
            let close =
                CloseSome { filter: filter.clone(), excluded: Arc::clone(&excluded), reason: reason.clone(), after };
            match self.registry().send(close).await {
                Ok(Some(next)) => after = Some(next),
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// How large the hub is.
    pub async fn size(&self) -> HubSize {
        self.registry().send(Measure).await.unwrap_or_default()
    }
}

/// Asks each fan-out once about all connections that it serves.
async fn inspect<U>(found: &[Found<U>], fanouts: &BTreeMap<u32, Addr<Fanout>>) -> BTreeMap<ConnectionId, Load> {
    let mut by_worker: BTreeMap<u32, Vec<(u32, ConnectionId)>> = BTreeMap::new();
    for Found { connection, place, .. } in found {
        by_worker.entry(place.worker).or_default().push((place.slot, connection.id));
    }
    let asked = by_worker.into_iter().filter_map(|(worker, slots)| Some((fanouts.get(&worker)?, slots)));
    let answers = asked.map(|(fanout, slots)| async move {
        let ids: Vec<_> = slots.iter().map(|(_, id)| *id).collect();
        // A worker that has ended has no connections any more.
        let loads = fanout.send(Inspect(slots)).await.unwrap_or_default();
        ids.into_iter().zip(loads)
    });
    let answers = futures_util::future::join_all(answers).await;
    answers.into_iter().flatten().filter_map(|(id, load)| Some((id, load?))).collect()
}
