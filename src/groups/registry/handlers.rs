//! The registry's message handlers: they unpack, call a method, and deliver what follows.

use std::collections::HashSet;
use std::sync::Arc;

use actix::{ActorContext, AsyncContext, Context, Handler, MessageResult};

use super::{GroupRegistry, Listener};
use crate::clock;
use crate::event::{Disconnected, Event};
use crate::groups::deliver::{Deliver, Publication};
use crate::groups::inner::{
    Announce, EndStoreUser, IsDuplicate, ListenAsOwn, Probe, Reconfigure, Retire, StoreUsers, Watch,
};
use crate::groups::membership::{Counts, Entry, Gone, Hears, Place};
use crate::groups::messages::{
    Broadcast, BroadcastTo, Close, Connect, Count, Counted, Disconnect, Groups, GroupsPage, Join, Leave, Listen,
    Members, MembersPage, Reached, Refusal, Send,
};
use crate::ids::{GroupName, Target, UserId};
use crate::protocol::Data;
use crate::user::UserData;

/// Groups that an ended connection leaves before others get their turn: a millisecond's work.
const LEAVES_AT_A_TIME: usize = 1000;

impl<U: UserData> Handler<Connect<U>> for GroupRegistry<U> {
    type Result = ();

    fn handle(&mut self, connect: Connect<U>, _: &mut Self::Context) {
        let Connect { connection, permissions, groups, place, fanout, recoverable, expires_at } = connect;
        self.know_worker(place.worker, fanout);
        let id = connection.id;
        let mut entry = Entry::new(connection.clone(), permissions, place);
        entry.connected_at = clock::now();
        (entry.recoverable, entry.expires_at) = (recoverable, expires_at);
        self.membership.connect(entry);
        self.emit(Event::Connected(connection.clone()));

        // First all memberships, then the greeting that names them, then what they cause.
        let mut changes = Vec::new();
        for group in groups {
            match self.membership.join(id, &group) {
                Ok(Some(change)) => changes.push(change),
                Ok(None) => {}
                Err(error) => {
                    let refusal = self.refusal(error);
                    log::info!("connection.id":% = id, "group.name":% = group, reason:% = refusal; "a join rule was not followed");
                }
            }
        }
        let groups = changes.iter().map(|change| change.group.clone()).collect();
        self.deliver(place.worker, Deliver::Welcome { slot: place.slot, groups });
        for change in changes {
            self.deliver(place.worker, Deliver::Join { slot: place.slot, audience: change.audience });
            self.joined(connection.clone(), change);
        }
    }
}

impl<U: UserData> Handler<Disconnect> for GroupRegistry<U> {
    type Result = ();

    fn handle(&mut self, disconnect: Disconnect, ctx: &mut Self::Context) {
        let entry = self.membership.get(disconnect.connection);
        // A socket that the connection does not go on by has nothing to say about its end.
        if entry.is_none_or(|entry| entry.incarnation != disconnect.incarnation) {
            return;
        }
        let reason = disconnect.reason.leave_reason();
        let left = self.membership.leave_some(disconnect.connection, LEAVES_AT_A_TIME);
        if let Some((place, connection)) = self.place_and_connection(disconnect.connection)
            && !left.is_empty()
        {
            for change in left {
                self.deliver(place.worker, Deliver::Leave { slot: place.slot, audience: change.audience });
                self.left(&connection, change, reason);
            }
            // Behind what others have sent meanwhile.
            return ctx.address().do_send(disconnect);
        }
        let Some(Gone { connection, place, left, audiences }) = self.membership.disconnect(disconnect.connection)
        else {
            return;
        };
        self.deliver(place.worker, Deliver::Detach { slot: place.slot, audiences });
        self.metrics.connections.decrement(1);
        self.metrics.closed(disconnect.reason.kind());
        for change in left {
            self.left(&connection, change, reason);
        }
        self.emit(Event::Disconnected(Arc::new(Disconnected { connection, reason: disconnect.reason })));
        self.end_if_empty(ctx);
    }
}

impl<U: UserData> Handler<Join> for GroupRegistry<U> {
    type Result = Result<(), Refusal>;

    fn handle(&mut self, join: Join, _: &mut Self::Context) -> Self::Result {
        // Whoever sends this from the inside decides what the connection hears.
        self.join_target(join.connection, &join.target, Hears::All)
    }
}

impl<U: UserData> Handler<Leave> for GroupRegistry<U> {
    type Result = Result<(), Refusal>;

    fn handle(&mut self, leave: Leave, _: &mut Self::Context) -> Self::Result {
        self.leave_target(leave.connection, &leave.target)
    }
}

impl<U: UserData> Handler<Broadcast> for GroupRegistry<U> {
    type Result = MessageResult<Broadcast>;

    fn handle(&mut self, broadcast: Broadcast, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.broadcast_content(&broadcast.target, broadcast.content, broadcast.permit))
    }
}

impl<U: UserData> Handler<BroadcastTo> for GroupRegistry<U> {
    type Result = Result<Reached, Refusal>;

    fn handle(&mut self, broadcast: BroadcastTo, _: &mut Self::Context) -> Self::Result {
        if !self.has_group(&broadcast.group) {
            return Err(Refusal::group_not_found(broadcast.group.as_str()));
        }
        Ok(self.broadcast_content(&Target::Group(broadcast.group), broadcast.content, broadcast.permit))
    }
}

impl<U: UserData> Handler<Announce> for GroupRegistry<U> {
    type Result = ();

    fn handle(&mut self, announce: Announce, _: &mut Self::Context) {
        let route = self.membership.route_or_listeners(&announce.group);
        let publication = Publication {
            audiences: Vec::new(),
            mask: None,
            from: None,
            except: None,
            excluded: Vec::new(),
            only: None,
            content: Data::text(announce.text).into(),
            announcement: Some(announce.announcement),
            permit: Some(announce.permit),
        };
        self.publish(route, publication);
    }
}

impl<U: UserData> Handler<Send> for GroupRegistry<U> {
    type Result = usize;

    fn handle(&mut self, send: Send, _: &mut Self::Context) -> Self::Result {
        self.send_content(&send.to, send.content, send.permit)
    }
}

impl<U: UserData> Handler<Close> for GroupRegistry<U> {
    type Result = usize;

    fn handle(&mut self, close: Close, _: &mut Self::Context) -> Self::Result {
        let places = self.places_of(&close.of);
        for place in &places {
            self.deliver(place.worker, Deliver::End { slot: place.slot, reason: close.reason.clone() });
        }
        places.len()
    }
}

impl<U: UserData> Handler<Members<U>> for GroupRegistry<U> {
    type Result = Result<MembersPage<U>, Refusal>;

    fn handle(&mut self, ask: Members<U>, _: &mut Self::Context) -> Self::Result {
        let page = self
            .membership
            .members(ask.group.as_str(), ask.after, ask.limit)
            .ok_or_else(|| Refusal::group_not_found(ask.group.as_str()))?;
        Ok(MembersPage {
            members: page.items.into_iter().map(|entry| entry.connection.clone()).collect(),
            more: page.more,
            listeners: self.membership.listeners(ask.group.as_str()),
        })
    }
}

impl<U: UserData> Handler<Groups> for GroupRegistry<U> {
    type Result = MessageResult<Groups>;

    fn handle(&mut self, ask: Groups, _: &mut Self::Context) -> Self::Result {
        let after = ask.after.as_ref().map(GroupName::as_str);
        let page = self.membership.groups(ask.among.as_ref(), after, ask.limit, |_| true);
        MessageResult(GroupsPage { groups: page.items, more: page.more })
    }
}

impl<U: UserData> Handler<Count> for GroupRegistry<U> {
    type Result = MessageResult<Count>;

    fn handle(&mut self, ask: Count, _: &mut Self::Context) -> Self::Result {
        let Counts { groups, connections, .. } = self.membership.count(&ask.target, |_| true);
        MessageResult(Counted { groups, connections })
    }
}

impl<U: UserData> Handler<IsDuplicate> for GroupRegistry<U> {
    type Result = bool;

    fn handle(&mut self, ask: IsDuplicate, _: &mut Self::Context) -> Self::Result {
        self.membership.get(ask.connection).is_some_and(|entry| entry.acks.contains(ask.ack_id))
    }
}

impl<U: UserData> Handler<StoreUsers> for GroupRegistry<U> {
    type Result = Vec<UserId>;

    fn handle(&mut self, _: StoreUsers, _: &mut Self::Context) -> Self::Result {
        let users: HashSet<_> =
            self.membership.connections().filter_map(|entry| entry.connection.login.clone()).collect();
        users.into_iter().collect()
    }
}

impl<U: UserData> Handler<EndStoreUser> for GroupRegistry<U> {
    type Result = ();

    fn handle(&mut self, end: EndStoreUser, _: &mut Self::Context) {
        for entry in self.membership.of_login(&end.login) {
            let Place { worker, slot } = entry.place;
            self.deliver(worker, Deliver::End { slot, reason: end.reason.clone() });
        }
    }
}

impl<U: UserData> Handler<Listen<U>> for GroupRegistry<U> {
    type Result = ();

    fn handle(&mut self, listen: Listen<U>, _: &mut Self::Context) {
        self.listeners.push(Listener { recipient: listen.0, is_own: false });
    }
}

impl<U: UserData> Handler<Reconfigure> for GroupRegistry<U> {
    type Result = ();

    fn handle(&mut self, Reconfigure(settings): Reconfigure, _: &mut Self::Context) {
        self.reconfigure(settings);
    }
}

impl<U: UserData> Handler<ListenAsOwn<U>> for GroupRegistry<U> {
    type Result = ();

    fn handle(&mut self, listen: ListenAsOwn<U>, _: &mut Self::Context) {
        self.listeners.push(Listener { recipient: listen.0, is_own: true });
    }
}

impl<U: UserData> Handler<Watch> for GroupRegistry<U> {
    type Result = ();

    fn handle(&mut self, watch: Watch, _: &mut Self::Context) {
        self.watcher = Some(watch.0);
    }
}

impl<U: UserData> Handler<Probe> for GroupRegistry<U> {
    type Result = ();

    fn handle(&mut self, probe: Probe, _: &mut Self::Context) {
        self.metrics.registry_lag.observe(probe.waited());
    }
}

impl<U: UserData> Handler<Retire> for GroupRegistry<U> {
    type Result = ();

    fn handle(&mut self, _: Retire, ctx: &mut Self::Context) {
        self.retired = true;
        self.end_if_empty(ctx);
    }
}

impl<U: UserData> GroupRegistry<U> {
    /// Ends a hub that has retired, once the last connection is out of it: of its groups it may leave only some at a time.
    fn end_if_empty(&mut self, ctx: &mut Context<Self>) {
        if self.retired && self.membership.connection_count() == 0 {
            self.metrics.groups.decrement(self.membership.group_count() as u64);
            ctx.stop();
        }
    }
}
