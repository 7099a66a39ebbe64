//! Messages from a back end: to a hub, a user, a group or a mask, without some connections, or only to those whom a
//! filter means.
//!
//! Who passes a filter is found out a bounded step at a time. What goes to connections is sent in the same step; what goes
//! to groups needs their publish, so those who passed are collected here and named to the fan-outs, by their ids: nobody
//! who joins meanwhile, and was not looked at, hears it.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use actix::{Handler, Message, MessageResult};

use super::{ConnectionFilter, CountSome, Hearing, LOOKED_AT, Reach, Step};
use crate::filter::Filter;
use crate::groups::hub::Hub;
use crate::groups::membership::Place;
use crate::groups::messages::{Content, Receiver, Refusal};
use crate::groups::registry::GroupRegistry;
use crate::groups::window::Permit;
use crate::ids::{ConnectionId, Target};
use crate::protocol::Data;
use crate::user::UserData;

/// A message from the server, and to which of those that it goes to it does not.
#[derive(Debug, Clone)]
pub struct Mail {
    /// What is sent.
    pub content: Content,
    /// Who does not get it.
    pub excluded: Vec<ConnectionId>,
    /// Only those of whom this is true get it.
    pub filter: Option<Arc<Filter>>,
}

impl From<Data> for Mail {
    fn from(data: Data) -> Self {
        Mail { content: data.into(), excluded: Vec::new(), filter: None }
    }
}

/// How far a message to a group or mask went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Posted {
    /// Groups that it went to.
    pub groups: usize,
    /// Connections that it went to, each counted once; nothing where counting them would take longer than sending it.
    pub connections: Option<usize>,
}

/// A message to a group or mask, with all that only the API can say.
#[derive(Message)]
#[rtype(result = "Result<Posted, Refusal>")]
pub(in crate::groups) struct Post {
    target: Target,
    must_exist: bool,
    excluded: Vec<ConnectionId>,
    only: Option<Arc<HashSet<ConnectionId>>>,
    content: Content,
    permit: Option<Permit>,
}

/// A message to every connection of the hub.
#[derive(Message)]
#[rtype(result = "usize")]
pub(in crate::groups) struct SendToAll {
    excluded: Vec<ConnectionId>,
    content: Content,
    permit: Option<Permit>,
}

/// A message to some of the connections that pass a filter; tells how many, and behind which the next step begins.
#[derive(Message)]
#[rtype(result = "(usize, Option<ConnectionId>)")]
pub(in crate::groups) struct SendToSome {
    filter: Arc<ConnectionFilter>,
    excluded: Arc<BTreeSet<ConnectionId>>,
    content: Content,
    permit: Option<Permit>,
    after: Option<ConnectionId>,
}

/// Which of some connections a filter means.
#[derive(Message)]
#[rtype(result = "Vec<ConnectionId>")]
pub(in crate::groups) struct Sift {
    filter: Arc<Filter>,
    among: Vec<ConnectionId>,
}

impl<U: UserData> Hub<U> {
    /// Sends a message from the server to a group or mask. Where it must exist and does not, nobody gets it.
    ///
    /// # Errors
    /// [`Refusal`] when there is no group that must exist.
    pub async fn post(&self, target: Target, mail: Mail, must_exist: bool) -> Result<Posted, Refusal> {
        let Mail { content, excluded, filter } = mail;
        let only = match filter {
            Some(filter) => Some(Arc::new(self.sift(&target, filter, &excluded).await)),
            None => None,
        };
        let permit = self.window().acquire(content.len()).await;
        let post = Post { target, must_exist, excluded, only, content, permit };
        self.registry().send(post).await.unwrap_or_else(|_| Ok(Posted::default()))
    }

    /// Sends a message from the server to every connection, or to those whom its filter means; tells how many those are.
    pub async fn send_to_all(&self, mail: Mail) -> usize {
        let Mail { content, excluded, filter } = mail;
        if filter.is_some() {
            let filter = ConnectionFilter { matching: filter, ..ConnectionFilter::default() };
            return self.send_to_some(filter, content, excluded).await;
        }
        let permit = self.window().acquire(content.len()).await;
        self.registry().send(SendToAll { excluded, content, permit }).await.unwrap_or(0)
    }

    /// Sends a message from the server to a connection or a user, to those of their connections whom its filter means;
    /// tells how many those are.
    pub async fn send_mail(&self, to: Receiver, mail: Mail) -> usize {
        let Mail { content, excluded, filter } = mail;
        if filter.is_none() && excluded.is_empty() {
            // A hub that has ended has nobody.
            return self.send(to, content).await.unwrap_or(0);
        }
        let filter = match to {
            Receiver::Connection(id) => {
                ConnectionFilter { id: Some(id), matching: filter, ..ConnectionFilter::default() }
            }
            Receiver::User(user) => {
                ConnectionFilter { user: Some(user), matching: filter, ..ConnectionFilter::default() }
            }
        };
        self.send_to_some(filter, content, excluded).await
    }

    async fn send_to_some(&self, filter: ConnectionFilter, content: Content, excluded: Vec<ConnectionId>) -> usize {
        let (filter, excluded) = (Arc::new(filter), Arc::new(excluded.into_iter().collect()));
        let (mut sent, mut after) = (0, None);
        loop {
            let permit = self.window().acquire(content.len()).await;
            let (filter, excluded, content) = (Arc::clone(&filter), Arc::clone(&excluded), content.clone());
            let step = SendToSome { filter, excluded, content, permit, after };
            let Ok((further, next)) = self.registry().send(step).await else { return sent };
            sent += further;
            match next {
                Some(next) => after = Some(next),
                None => return sent,
            }
        }
    }

    /// Those who hear a group or mask and whom a filter means, except some.
    async fn sift(&self, target: &Target, filter: Arc<Filter>, excluded: &[ConnectionId]) -> HashSet<ConnectionId> {
        let mut hearing = self.hearing(target.clone()).await;
        excluded.iter().for_each(|id| {
            hearing.connections.remove(id);
        });
        let (all, mut passed) = (hearing.connections.into_iter().collect::<Vec<_>>(), HashSet::new());
        // The heavier the filter, the fewer at a time.
        for among in all.chunks((LOOKED_AT / filter.weight()).max(1)) {
            let sift = Sift { filter: Arc::clone(&filter), among: among.to_vec() };
            passed.extend(self.registry().send(sift).await.unwrap_or_default());
        }
        passed
    }

    /// Who hears a group, or the groups that a mask matches.
    pub(super) async fn hearing(&self, target: Target) -> Hearing {
        let (target, mut after, mut known) = (Arc::new(target), None, Hearing::default());
        while let Ok((further, next)) = self.registry().send(CountSome { target: target.clone(), after, known }).await {
            known = further;
            match next {
                Some(next) => after = Some(next),
                None => return known,
            }
        }
        Hearing::default()
    }
}

impl<U: UserData> Handler<Post> for GroupRegistry<U> {
    type Result = Result<Posted, Refusal>;

    fn handle(&mut self, post: Post, _: &mut Self::Context) -> Self::Result {
        let Post { target, must_exist, excluded, only, content, permit } = post;
        if must_exist && !self.reaches_some_group(&target) {
            return Err(match &target {
                Target::Group(group) => Refusal::group_not_found(group.as_str()),
                Target::Mask(mask) => Refusal::no_group_matches(mask.as_str()),
            });
        }
        let passed = only.as_ref().map(|only| only.len());
        let places = self.places(&excluded);
        let (reached, receivers) = self.broadcast_to_some(&target, content, permit, places, only);
        let connections = passed.or_else(|| self.count_receivers(&target, receivers, &excluded));
        Ok(Posted { groups: reached.groups, connections })
    }
}

impl<U: UserData> Handler<SendToAll> for GroupRegistry<U> {
    type Result = usize;

    fn handle(&mut self, send: SendToAll, _: &mut Self::Context) -> Self::Result {
        let excluded = self.places(&send.excluded);
        let places = self.membership.connections().map(|entry| entry.place);
        let places: Vec<_> = places.filter(|place| excluded.binary_search(place).is_err()).collect();
        self.send_to_places(&places, send.content, send.permit);
        places.len()
    }
}

impl<U: UserData> Handler<SendToSome> for GroupRegistry<U> {
    type Result = MessageResult<SendToSome>;

    fn handle(&mut self, send: SendToSome, _: &mut Self::Context) -> Self::Result {
        let reach = Reach { found: LOOKED_AT, looked_at: LOOKED_AT };
        let Step { found, next } = self.membership.scan_connections(&send.filter, send.after, reach);
        let found = found.into_iter().filter(|entry| !send.excluded.contains(&entry.connection.id));
        let places: Vec<_> = found.map(|entry| entry.place).collect();
        self.send_to_places(&places, send.content, send.permit);
        MessageResult((places.len(), next))
    }
}

impl<U: UserData> Handler<Sift> for GroupRegistry<U> {
    type Result = Vec<ConnectionId>;

    fn handle(&mut self, sift: Sift, _: &mut Self::Context) -> Self::Result {
        self.membership.meant(&sift.among, &sift.filter).collect()
    }
}

impl<U: UserData> GroupRegistry<U> {
    /// Where these connections are served, in order and each once: who is left out may be named a thousand times.
    fn places(&self, ids: &[ConnectionId]) -> Vec<Place> {
        let mut places: Vec<_> =
            ids.iter().filter_map(|id| self.membership.get(*id)).map(|entry| entry.place).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    fn reaches_some_group(&self, target: &Target) -> bool {
        match target {
            Target::Group(group) => self.has_group(group),
            Target::Mask(_) => !self.membership.groups(Some(target), None, 1, |_| true).items.is_empty(),
        }
    }

    /// How many connections a publish to `target` goes to, which are `receivers` where nobody is counted twice.
    fn count_receivers(&self, target: &Target, receivers: usize, excluded: &[ConnectionId]) -> Option<usize> {
        match target {
            Target::Group(group) if excluded.is_empty() && self.membership.cost_of_counting(group.as_str()) == 0 => {
                Some(receivers)
            }
            _ if receivers > LOOKED_AT => None,
            _ => {
                let mut hearing = Hearing::default();
                let rest = self.membership.scan_hearers(target, None, LOOKED_AT, &mut hearing);
                excluded.iter().for_each(|id| {
                    hearing.connections.remove(id);
                });
                rest.is_none().then_some(hearing.connections.len())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::Poll;

    use actix_web::web::Bytes;

    use super::*;
    use crate::groups::messages::Count;
    use crate::groups::{MembershipLimits, RegistrySettings};
    use crate::ids::{GroupName, HubName, UserId};
    use crate::metrics::Metrics;
    use crate::user::User;

    fn open(window_bytes: usize) -> Hub<User> {
        let limits =
            MembershipLimits { groups_per_connection: 1, masks_per_connection: 1, groups_per_hub: 1, masks_per_hub: 1 };
        let settings = RegistrySettings {
            hub: HubName::parse("here").unwrap(),
            limits,
            declared_groups: Vec::new(),
            public_fields: Vec::new(),
            list_page: 10,
            mask_scan_per_second: 1000,
        };
        Hub::open(settings, window_bytes, Metrics::new())
    }

    /// Whether a message waits for room in the window, and is not in the registry already.
    async fn waits(hub: &Hub<User>, sending: impl Future) {
        let (mut sending, all) = (pin!(sending), Target::parse("*", true).unwrap());
        for _ in 0..2 {
            let is_ready = std::future::poll_fn(|cx| Poll::Ready(sending.as_mut().poll(cx).is_ready())).await;
            assert!(!is_ready, "it did not wait");
            // Behind this, whatever was in the registry's mailbox is done.
            hub.registry().send(Count { target: all.clone() }).await.unwrap();
        }
    }

    #[test]
    fn metadata_takes_its_part_of_the_window_whoever_a_message_is_for() {
        actix_rt::System::new().block_on(async {
            let hub = open(4096);
            let held = hub.window().try_acquire(1500).expect("room");
            let metadata = Some(Bytes::from(format!(r#"{{"a":"{}"}}"#, "x".repeat(1600))));
            let content = Content { metadata, ..Content::from(Data::text("x")) };
            let mail = Mail { content: content.clone(), excluded: Vec::new(), filter: None };
            let filter: Option<Arc<Filter>> = "userId eq 'mark'".parse().map(Arc::new).ok();
            let filtered = Mail { filter, ..mail.clone() };
            let user = Receiver::User(UserId::parse("mark").unwrap());
            waits(&hub, hub.send(user.clone(), content)).await;
            waits(&hub, hub.send_mail(user, filtered)).await;
            waits(&hub, hub.send_to_all(mail.clone())).await;
            let group = Target::Group(GroupName::parse("a", true).unwrap());
            waits(&hub, hub.post(group.clone(), mail.clone(), false)).await;
            drop(held);
            assert_eq!(hub.post(group, mail, false).await.unwrap(), Posted { groups: 0, connections: Some(0) });
        });
    }
}
