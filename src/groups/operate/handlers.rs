//! How the registry and the fan-outs answer operators.

use actix::{Handler, MessageResult};

use super::{
    CLOSED_AT_A_TIME, CloseSome, CountSome, FindConnections, FindGroups, Found, FoundConnections, GroupsOf, HubSize,
    Inspect, Load, Measure,
};
use crate::groups::deliver::Deliver;
use crate::groups::fanout::Fanout;
use crate::groups::membership::{Page, Place, Reach, Step};
use crate::groups::registry::GroupRegistry;
use crate::ids::GroupName;
use crate::outbound::Moment;
use crate::user::UserData;

impl<U: UserData> Handler<FindGroups> for GroupRegistry<U> {
    type Result = MessageResult<FindGroups>;

    fn handle(&mut self, find: FindGroups, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.membership.scan_groups(&find.filter, find.after.as_deref(), find.reach))
    }
}

impl<U: UserData> Handler<FindConnections<U>> for GroupRegistry<U> {
    type Result = MessageResult<FindConnections<U>>;

    fn handle(&mut self, find: FindConnections<U>, _: &mut Self::Context) -> Self::Result {
        let Step { found, next } = self.membership.scan_connections(&find.filter, find.after, find.reach);
        let found: Vec<_> = found
            .into_iter()
            .map(|entry| Found {
                connection: entry.connection.clone(),
                connected_at: entry.connected_at,
                groups: self.membership.group_count_of(entry.connection.id),
                place: entry.place,
            })
            .collect();
        let fanouts = found.iter().map(|found| found.place.worker);
        let fanouts = fanouts.filter_map(|worker| Some((worker, self.fanout(worker)?.clone()))).collect();
        MessageResult(FoundConnections { step: Step { found, next }, fanouts })
    }
}

impl<U: UserData> Handler<CountSome> for GroupRegistry<U> {
    type Result = MessageResult<CountSome>;

    fn handle(&mut self, CountSome { target, after, mut known }: CountSome, _: &mut Self::Context) -> Self::Result {
        let after = after.as_ref().map(GroupName::as_str);
        let next = self.membership.scan_hearers(&target, after, super::LOOKED_AT, &mut known);
        MessageResult((known, next))
    }
}

impl<U: UserData> Handler<GroupsOf> for GroupRegistry<U> {
    type Result = MessageResult<GroupsOf>;

    fn handle(&mut self, ask: GroupsOf, _: &mut Self::Context) -> Self::Result {
        let after = ask.after.as_ref().map(GroupName::as_str);
        MessageResult(self.membership.get(ask.connection).map(|_| {
            let Page { items, more } = self.membership.own_groups(ask.connection, None, after, ask.limit);
            Page { items: items.into_iter().map(|(name, _)| name).collect(), more }
        }))
    }
}

impl<U: UserData> Handler<CloseSome> for GroupRegistry<U> {
    type Result = MessageResult<CloseSome>;

    fn handle(&mut self, close: CloseSome, _: &mut Self::Context) -> Self::Result {
        let reach = Reach { found: CLOSED_AT_A_TIME, looked_at: super::LOOKED_AT };
        let Step { found, next } = self.membership.scan_connections(&close.filter, close.after, reach);
        for entry in found.into_iter().filter(|entry| !close.excluded.contains(&entry.connection.id)) {
            let Place { worker, slot } = entry.place;
            self.deliver(worker, Deliver::End { slot, reason: close.reason.clone() });
        }
        MessageResult(next)
    }
}

impl<U: UserData> Handler<Measure> for GroupRegistry<U> {
    type Result = MessageResult<Measure>;

    fn handle(&mut self, _: Measure, _: &mut Self::Context) -> Self::Result {
        MessageResult(HubSize {
            connections: self.membership.connection_count(),
            groups: self.membership.group_count(),
        })
    }
}

impl Handler<Inspect> for Fanout {
    type Result = Vec<Option<Load>>;

    fn handle(&mut self, Inspect(slots): Inspect, _: &mut Self::Context) -> Self::Result {
        let now = Moment::now();
        slots.into_iter().map(|(slot, id)| self.load_of(slot, id, now)).collect()
    }
}
