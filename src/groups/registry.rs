//! The actor that owns the membership of one hub.
//!
//! It handles its mailbox in order: update the membership, tell the fan-outs, emit the event. It never awaits, never
//! touches a socket and never talks to a database; it lives on an arbiter of its own, never on a worker.

mod handlers;
mod permissions;
mod recovery;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, Addr, Context, Recipient};

use super::deliver::{Deliver, Publication};
use super::fanout::Fanout;
use super::fatal::exit_if_panicking;
use super::membership::{Change, JoinError, Membership, MembershipLimits, Place, Route};
use super::messages::{Content, Reached, Receiver, Refusal};
use super::watch::{Happening, Watcher};
use super::window::Permit;
use crate::error::{ErrorCode, LeaveReason};
use crate::event::{Connection, Event, Joined, Left};
use crate::ids::{ConnectionId, GroupName, HubName, Target, UserId};
use crate::metrics::Metrics;
use crate::protocol::Data;
use crate::user::UserData;

/// How often it is told that hooks are behind: who joins and leaves as fast as possible keeps their queue at its bound.
const TELL_BEHIND_EVERY: Duration = Duration::from_secs(60);

/// What a hub's registry has to know of the configuration.
#[derive(Debug, Clone)]
pub struct RegistrySettings {
    /// The hub.
    pub hub: HubName,
    /// Bounds of memberships.
    pub limits: MembershipLimits,
    /// Groups that exist without members.
    pub declared_groups: Vec<GroupName>,
    /// What others see of a user.
    pub public_fields: Vec<String>,
    /// Most entries of one page.
    pub list_page: usize,
    /// Names that one connection's masks may be compared with, a second.
    pub mask_scan_per_second: usize,
}

/// The only writer of a hub's membership.
///
/// Extend it by a message of your own and `impl Handler<YourMessage> for GroupRegistry<U>`: the methods below are what
/// such a handler needs. It runs between two other messages of the hub, so it must not block; what it knows of members
/// holds until it returns. A handler that panics ends the process: without its registry a hub is dead.
///
/// ```
/// use folkmoot::{Data, GroupName, GroupRegistry, Target, User};
///
/// /// Moves everybody from one group to another, and tells how many those were.
/// #[derive(actix::Message)]
/// #[rtype(result = "usize")]
/// struct MoveAll {
///     from: GroupName,
///     to: GroupName,
/// }
///
/// impl actix::Handler<MoveAll> for GroupRegistry<User> {
///     type Result = usize;
///
///     fn handle(&mut self, message: MoveAll, _: &mut Self::Context) -> usize {
///         let members = self.members(&message.from);
///         for member in &members {
///             self.leave(member.id, message.from.as_str());
///             // Refused only where the member has reached the limit of groups.
///             let _ = self.join(member.id, &message.to);
///         }
///         self.broadcast(&Target::Group(message.to), Data::text("Some people have moved in."));
///         members.len()
///     }
/// }
/// ```
pub struct GroupRegistry<U: UserData> {
    pub(super) settings: RegistrySettings,
    pub(super) membership: Membership<U>,
    pub(super) metrics: Metrics,
    workers: Vec<Option<Addr<Fanout>>>,
    listeners: Vec<Listener<U>>,
    /// Who sees what happens in all hubs, while somebody looks.
    pub(super) watcher: Option<Watcher>,
    /// When it was told last that a listener has refused an event.
    told_behind: Option<Instant>,
    /// It ends with its last connection.
    pub(super) retired: bool,
}

impl<U: UserData> GroupRegistry<U> {
    /// An empty hub that nobody listens to.
    pub(crate) fn new(settings: RegistrySettings, metrics: Metrics) -> Self {
        let membership = Membership::new(settings.limits, settings.declared_groups.iter().cloned());
        metrics.groups.increment(membership.group_count() as u64);
        GroupRegistry {
            settings,
            membership,
            metrics,
            workers: Vec::new(),
            listeners: Vec::new(),
            watcher: None,
            told_behind: None,
            retired: false,
        }
    }

    /// The hub's name.
    pub fn hub(&self) -> &HubName {
        &self.settings.hub
    }

    /// A connection with its user's data.
    pub fn connection(&self, id: ConnectionId) -> Option<&Arc<Connection<U>>> {
        self.membership.get(id).map(|entry| &entry.connection)
    }

    /// How many connections the hub has.
    pub fn connection_count(&self) -> usize {
        self.membership.connection_count()
    }

    /// The connections of a user.
    pub fn connections_of(&self, user_id: &UserId) -> Vec<Arc<Connection<U>>> {
        self.membership.of_user(user_id).map(|entry| entry.connection.clone()).collect()
    }

    /// The members of a group with their users' data, by connection id; nobody when there is no such group.
    pub fn members(&self, group: &GroupName) -> Vec<Arc<Connection<U>>> {
        let page = self.membership.members(group.as_str(), None, usize::MAX);
        page.map(|page| page.items.into_iter().map(|entry| entry.connection.clone()).collect()).unwrap_or_default()
    }

    /// Whether the connection is a member of the group.
    pub fn is_member(&self, connection: ConnectionId, group: &GroupName) -> bool {
        self.membership.is_member(connection, group.as_str())
    }

    /// Whether the group exists: it has a member, or the configuration declares it.
    pub fn has_group(&self, group: &GroupName) -> bool {
        self.membership.has_group(group.as_str())
    }

    /// The groups of a connection, by name.
    pub fn groups_of(&self, connection: ConnectionId) -> Vec<GroupName> {
        self.membership.groups_of(connection)
    }

    /// Makes a connection a member of a group; `false` when it was one.
    ///
    /// # Errors
    /// [`Refusal`] when there is no such connection or a limit is reached.
    pub fn join(&mut self, connection: ConnectionId, group: &GroupName) -> Result<bool, Refusal> {
        let Some(change) = self.membership.join(connection, group).map_err(|error| self.refusal(error))? else {
            return Ok(false);
        };
        if let Some((place, connection)) = self.place_and_connection(connection) {
            self.deliver(place.worker, Deliver::Join { slot: place.slot, audience: change.audience });
            self.joined(connection, change);
        }
        Ok(true)
    }

    /// Takes a connection out of a group; `false` when it was not in it.
    pub fn leave(&mut self, connection: ConnectionId, group: &str) -> bool {
        let Some(change) = self.membership.leave(connection, group) else { return false };
        if let Some((place, connection)) = self.place_and_connection(connection) {
            self.deliver(place.worker, Deliver::Leave { slot: place.slot, audience: change.audience });
            self.left(&connection, change, LeaveReason::Left);
        }
        true
    }

    /// Sends a message from the server to a group or to the groups that a mask matches.
    pub fn broadcast(&mut self, target: &Target, data: Data) -> Reached {
        self.broadcast_content(target, data.into(), None)
    }

    /// Sends a message from the server to a connection or to a user; tells how many connections it went to.
    pub fn send(&mut self, to: &Receiver, data: Data) -> usize {
        self.send_content(to, data.into(), None)
    }

    fn place_and_connection(&self, id: ConnectionId) -> Option<(Place, Arc<Connection<U>>)> {
        self.membership.get(id).map(|entry| (entry.place, entry.connection.clone()))
    }

    pub(super) fn broadcast_content(&mut self, target: &Target, content: Content, permit: Option<Permit>) -> Reached {
        let (reached, _) = self.broadcast_to_some(target, content, permit, Vec::new(), None);
        reached
    }

    /// The same to those alone whom a filter means, and never to those that are left out; tells also how many connections
    /// that are at most: who is in several of the groups counts as often.
    pub(super) fn broadcast_to_some(
        &mut self,
        target: &Target,
        content: Content,
        permit: Option<Permit>,
        excluded: Vec<Place>,
        only: Option<Arc<HashSet<ConnectionId>>>,
    ) -> (Reached, usize) {
        let Some(mut route) = self.membership.route(target, |_| true) else { return (Reached { groups: 0 }, 0) };
        let reached = Reached { groups: route.groups };
        if let Some(only) = &only {
            route.receivers = route.receivers.min(only.len());
        }
        let receivers = route.receivers;
        let mask = match target {
            Target::Mask(mask) => Some(mask.clone()),
            Target::Group(_) => None,
        };
        let publication = Publication {
            audiences: Vec::new(),
            mask,
            from: None,
            except: None,
            excluded,
            only,
            content,
            announcement: None,
            permit,
        };
        self.publish(route, publication);
        (reached, receivers)
    }

    /// Says why a membership cannot begin, and counts the limit that is in its way.
    pub(super) fn refusal(&self, error: JoinError) -> Refusal {
        if let Some(limit) = error.limit() {
            self.metrics.reached(limit);
        }
        error.into()
    }

    fn send_content(&mut self, to: &Receiver, content: Content, permit: Option<Permit>) -> usize {
        let places = self.places_of(to);
        self.send_to_places(&places, content, permit);
        places.len()
    }

    pub(super) fn send_to_places(&mut self, places: &[Place], content: Content, permit: Option<Permit>) {
        let permit = permit.map(|mut permit| {
            permit.set_receivers(places.len());
            Arc::new(permit)
        });
        let mut by_worker: Vec<Vec<u32>> = vec![Vec::new(); self.workers.len()];
        for place in places {
            if let Some(slots) = by_worker.get_mut(place.worker as usize) {
                slots.push(place.slot);
            }
        }
        for (worker, slots) in by_worker.into_iter().enumerate().filter(|(_, slots)| !slots.is_empty()) {
            let (content, permit) = (content.clone(), permit.clone());
            self.deliver(worker as u32, Deliver::Send { slots, content, permit });
        }
    }

    fn places_of(&self, receiver: &Receiver) -> Vec<Place> {
        match receiver {
            Receiver::Connection(id) => self.membership.get(*id).map(|entry| entry.place).into_iter().collect(),
            Receiver::User(user_id) => self.membership.of_user(user_id).map(|entry| entry.place).collect(),
        }
    }

    /// Hands a publish to the workers that serve somebody it goes to: one message each, not one per member.
    pub(super) fn publish(&mut self, route: Route, publication: Publication) {
        let mut publication = Publication { audiences: route.audiences, ..publication };
        // Announcements have paid for their bytes only.
        if let (Some(permit), None) = (&mut publication.permit, &publication.announcement) {
            permit.set_receivers(route.receivers);
        }
        let publication = Arc::new(publication);
        for (worker, concerned) in route.workers.into_iter().enumerate() {
            if concerned {
                self.deliver(worker as u32, Deliver::Publish(publication.clone()));
            }
        }
    }

    /// Notes which fan-out serves the connections of a worker.
    fn know_worker(&mut self, worker: u32, fanout: Addr<Fanout>) {
        let worker = worker as usize;
        if self.workers.len() <= worker {
            self.workers.resize(worker + 1, None);
        }
        self.workers[worker] = Some(fanout);
    }

    /// The fan-out of a worker.
    pub(super) fn fanout(&self, worker: u32) -> Option<&Addr<Fanout>> {
        self.workers.get(worker as usize)?.as_ref()
    }

    /// Unbounded as a mailbox, bounded by the window (publishes) and by each connection's unanswered requests (the rest).
    pub(super) fn deliver(&self, worker: u32, deliver: Deliver) {
        if let Some(fanout) = self.fanout(worker) {
            fanout.do_send(deliver);
        }
    }

    /// Goes by other settings from now on; the hub's name stays.
    pub(super) fn reconfigure(&mut self, settings: RegistrySettings) {
        let before = self.membership.group_count() as u64;
        self.membership.reconfigure(settings.limits, &settings.declared_groups);
        let now = self.membership.group_count() as u64;
        self.metrics.groups.increment(now.saturating_sub(before));
        self.metrics.groups.decrement(before.saturating_sub(now));
        self.settings = RegistrySettings { hub: self.settings.hub.clone(), ..settings };
    }

    fn joined(&mut self, connection: Arc<Connection<U>>, change: Change) {
        self.metrics.joins.increment(1);
        if change.members == 1 && !self.settings.declared_groups.contains(&change.group) {
            self.metrics.groups.increment(1);
        }
        self.emit(Event::Joined(Arc::new(Joined {
            connection,
            group: change.group,
            members: change.members,
            first_of_user: change.alone_of_user,
        })));
    }

    fn left(&mut self, connection: &Arc<Connection<U>>, change: Change, reason: LeaveReason) {
        self.metrics.leaves.increment(1);
        if change.members == 0 && !self.membership.has_group(change.group.as_str()) {
            self.metrics.groups.decrement(1);
        }
        self.emit(Event::Left(Arc::new(Left {
            connection: connection.clone(),
            group: change.group,
            reason,
            members: change.members,
            last_of_user: change.alone_of_user,
        })));
    }

    fn emit(&mut self, event: Event<U>) {
        if let Some(watcher) = &self.watcher {
            watcher.see(|| Happening::of_event(&event));
        }
        let mut refused = 0;
        for Listener { recipient, is_own } in &self.listeners {
            match recipient.try_send(event.clone()) {
                Ok(()) if *is_own => self.metrics.hook_queue.increment(1),
                Ok(()) => {}
                Err(_) => refused += 1,
            }
        }
        self.metrics.hook_failures.increment(refused);
        // One line now and then, not one for each event nor each time that there was room for one.
        if refused > 0 && self.told_behind.is_none_or(|told| told.elapsed() >= TELL_BEHIND_EVERY) {
            self.told_behind = Some(Instant::now());
            log::warn!(hub:% = self.settings.hub; "a hook's queue is full; it is not told of events until it has room");
        }
    }
}

/// Who is told of events.
struct Listener<U: UserData> {
    recipient: Recipient<Event<U>>,
    /// One of the server's own, which counts what it has been told.
    is_own: bool,
}

impl<U: UserData> Actor for GroupRegistry<U> {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Self::Context) {
        // The arbiter is this registry's own.
        if let Some(arbiter) = actix::Arbiter::try_current() {
            arbiter.stop();
        }
    }
}

/// A hub without its registry is dead although the process looks healthy, so the process ends and is started anew.
impl<U: UserData> Drop for GroupRegistry<U> {
    fn drop(&mut self) {
        exit_if_panicking(format_args!("the registry of hub '{}'", self.settings.hub));
    }
}

impl From<JoinError> for Refusal {
    fn from(error: JoinError) -> Self {
        match error {
            JoinError::ConnectionNotFound => Refusal::new(ErrorCode::NotFound, "There is no such connection."),
            JoinError::TooManyGroups => {
                Refusal::new(ErrorCode::LimitReached, "The connection is in as many groups as it may be.")
            }
            JoinError::TooManyMasks => {
                Refusal::new(ErrorCode::LimitReached, "The connection listens to as many masks as it may.")
            }
            JoinError::HubFull => Refusal::new(ErrorCode::LimitReached, "The hub has as many groups as it may."),
            JoinError::TooManyMasksInHub => {
                Refusal::new(ErrorCode::LimitReached, "As many different masks are listened to in the hub as may be.")
            }
        }
    }
}

impl Refusal {
    /// The group does not exist: it has no member and is not declared.
    pub fn group_not_found(group: &str) -> Self {
        Refusal::new(ErrorCode::NotFound, format!("Group '{group}' does not exist."))
    }

    /// A mask that matches no group where it has to.
    pub fn no_group_matches(mask: &str) -> Self {
        Refusal::new(ErrorCode::NotFound, format!("No group matches '{mask}'."))
    }
}
