//! What clients ask for themselves: permissions, limits and acks, on top of what the registry can do for anybody.

use actix::Handler;
use serde_json::{Map, Value, json};

use super::deliver::{Answer, Deliver, Publication};
use super::inner::{Command, FromSession, Publish, Request, Turn};
use super::membership::{Counts, Hears, Membership, Place};
use super::messages::Refusal;
use super::registry::GroupRegistry;
use crate::error::ErrorCode;
use crate::ids::{ConnectionId, GroupName, Target};
use crate::mask::Mask;
use crate::metrics::Limit;
use crate::outbound::Moment;
use crate::user::UserData;

type Fields = Option<Map<String, Value>>;

impl<U: UserData> Handler<Turn<U>> for GroupRegistry<U> {
    type Result = ();

    fn handle(&mut self, turn: Turn<U>, ctx: &mut Self::Context) {
        for message in turn.0 {
            match message {
                FromSession::Connect(connect) => self.handle(connect, ctx),
                FromSession::Recover(recover) => self.recover(recover),
                FromSession::Request(request) => self.answer(request),
                FromSession::Disconnect(disconnect) => self.handle(disconnect, ctx),
            }
        }
    }
}

impl<U: UserData> GroupRegistry<U> {
    fn answer(&mut self, request: Request) {
        let entry = self.membership.get(request.connection).filter(|entry| !entry.ending);
        let Some(entry) = entry else { return };
        let (place, id, ack_id) = (entry.place, request.connection, request.ack_id);
        // Whoever asked by a socket that is gone does not wait any more: asked again, it is a duplicate.
        let answered = request.is_answered() && entry.incarnation == request.incarnation;
        let result = match ack_id {
            Some(ack_id) if entry.acks.contains(ack_id) => {
                Err(Refusal::new(ErrorCode::Duplicate, format!("Message with ack-id: {ack_id} has been processed")))
            }
            _ => self.carry_out(id, place, request.command),
        };
        match (&result, ack_id, self.membership.get_mut(id)) {
            (Ok(_), Some(ack_id), Some(entry)) => {
                entry.acks.insert(ack_id);
            }
            (Err(_), _, _) => self.metrics.requests_refused.increment(1),
            _ => {}
        }
        if answered {
            self.deliver(place.worker, Deliver::Answer { slot: place.slot, answer: Answer { ack_id, result } });
        }
    }

    fn carry_out(&mut self, id: ConnectionId, place: Place, command: Command) -> Result<Fields, Refusal> {
        match command {
            Command::Join(target) => {
                self.may_join(id, &target)?;
                if let Target::Group(group) = &target {
                    // Where it costs nothing, it is free for those in debt too.
                    match self.membership.cost_of_founding(group.as_str()) {
                        0 => {}
                        cost => self.pay(id, |_| cost)?,
                    }
                }
                let all = self.membership.get(id).is_some_and(|entry| entry.permissions.may_join_all());
                let hears = if all { Hears::All } else { Hears::WhatItMayJoin };
                self.join_target(id, &target, hears).map(|()| None)
            }
            Command::Leave(target) => {
                self.may_join(id, &target)?;
                self.leave_target(id, &target).map(|()| None)
            }
            Command::Publish(publish) => self.publish_for(id, place, publish).map(|()| None),
            Command::ListMembers { group, after, limit } => self.list_members(id, &group, after, limit).map(Some),
            Command::ListGroups { among, after, limit } => self.list_groups(id, among, after, limit).map(Some),
            Command::CountMembers(target) => self.count_members(id, &target).map(Some),
            Command::Settle(outcome) => outcome.map(|()| None),
        }
    }

    fn may_join(&self, id: ConnectionId, target: &Target) -> Result<(), Refusal> {
        let permissions = self.membership.get(id).map(|entry| &entry.permissions);
        let allowed = permissions.is_some_and(|permissions| match target {
            Target::Group(group) => permissions.may_join(group.as_str()),
            Target::Mask(_) => permissions.may_join_masks(),
        });
        if allowed {
            return Ok(());
        }
        Err(Refusal::new(ErrorCode::Forbidden, format!("No role allows joining or leaving '{}'.", target.as_str())))
    }

    pub(super) fn join_target(&mut self, id: ConnectionId, target: &Target, hears: Hears) -> Result<(), Refusal> {
        match target {
            Target::Group(group) => self.join(id, group).map(|_| ()),
            Target::Mask(mask) => {
                self.pay_for_scan(id, mask)?;
                if let Some(audience) = self.membership.listen(id, mask, hears).map_err(|error| self.refusal(error))?
                    && let Some(Place { worker, slot }) = self.membership.get(id).map(|entry| entry.place)
                {
                    self.deliver(worker, Deliver::Join { slot, audience });
                }
                Ok(())
            }
        }
    }

    pub(super) fn leave_target(&mut self, id: ConnectionId, target: &Target) -> Result<(), Refusal> {
        match target {
            Target::Group(group) => {
                self.leave(id, group.as_str());
            }
            Target::Mask(mask) => {
                if let Some(audience) = self.membership.unlisten(id, mask)
                    && let Some(Place { worker, slot }) = self.membership.get(id).map(|entry| entry.place)
                {
                    self.deliver(worker, Deliver::Leave { slot, audience });
                }
            }
        }
        Ok(())
    }

    fn publish_for(&mut self, id: ConnectionId, place: Place, publish: Publish) -> Result<(), Refusal> {
        let Publish { target, content, no_echo, must_exist, permit } = publish;
        let Some(entry) = self.membership.get(id) else { return Ok(()) };
        let (permissions, from) = (entry.permissions.clone(), entry.connection.user_id.clone());
        let allowed = match &target {
            Some(Target::Group(group)) => permissions.may_send(group.as_str()),
            Some(Target::Mask(_)) | None => permissions.may_send_somewhere(),
        };
        if !allowed {
            let to = target.as_ref().map_or("a group", Target::as_str);
            return Err(Refusal::new(ErrorCode::Forbidden, format!("No role allows sending to '{to}'.")));
        }
        if let Some(Target::Mask(mask)) = &target {
            self.pay_for_scan(id, mask)?;
        }
        let route = match &target {
            Some(target) => {
                self.membership.route(target, |group| permissions.may_send_all() || permissions.may_send(group))
            }
            None => self.membership.route_to_own_groups(id),
        };
        let route = route.filter(|route| !must_exist || route.groups > 0);
        let mask = match target {
            Some(Target::Mask(mask)) => Some(mask),
            Some(Target::Group(group)) if must_exist && route.is_none() => {
                return Err(Refusal::group_not_found(group.as_str()));
            }
            _ => None,
        };
        let Some(route) = route else {
            return match mask {
                Some(mask) if must_exist => Err(Refusal::no_group_matches(mask.as_str())),
                _ => Ok(()),
            };
        };
        if mask.is_some() {
            self.charge(id, route.audiences.len());
        }
        let except = no_echo.then_some(place);
        let (permit, announcement) = (Some(permit), None);
        let publication = Publication {
            audiences: Vec::new(),
            mask,
            from,
            except,
            excluded: Vec::new(),
            only: None,
            content,
            announcement,
            permit,
        };
        self.publish(route, publication);
        Ok(())
    }

    /// Charges a mask's cost to its sender: as many names as share its literal prefix are about to be looked at.
    fn pay_for_scan(&mut self, id: ConnectionId, mask: &Mask) -> Result<(), Refusal> {
        // Bounded, so that measuring costs no more than what is allowed.
        let most = self.settings.mask_scan_per_second;
        self.pay(id, |membership| membership.names_with_prefix(mask.literal_prefix(), most))
    }

    /// Has a connection pay for work that it asks for, before it is done.
    fn pay(&mut self, id: ConnectionId, units: impl FnOnce(&Membership<U>) -> usize) -> Result<(), Refusal> {
        let (per_second, now) = (self.settings.mask_scan_per_second, Moment::now().since_start());
        let Some(entry) = self.membership.get_mut(id) else { return Ok(()) };
        // Asked before anything is measured: a refusal must not cost what is refused.
        if !entry.scans.take(now, 0, per_second) {
            self.metrics.reached(Limit::MaskScanPerSecond);
            return Err(Refusal::new(
                ErrorCode::LimitReached,
                "The masks and questions of this connection look at more groups and members than allowed in a second; send fewer, or longer prefixes.",
            ));
        }
        let units = units(&self.membership);
        if let Some(entry) = self.membership.get_mut(id) {
            entry.scans.take(now, units, per_second);
        }
        Ok(())
    }

    /// Charges what the prefix did not tell: every group that matched, and every joined mask that hears it, is a piece of
    /// work for the fan-outs too. Known only when it is done, so it has to be paid for before the next.
    fn charge(&mut self, id: ConnectionId, units: usize) {
        let per_second = self.settings.mask_scan_per_second;
        if let Some(entry) = self.membership.get_mut(id) {
            entry.scans.take(Moment::now().since_start(), units, per_second);
        }
    }

    fn list_members(
        &mut self,
        id: ConnectionId,
        group: &GroupName,
        after: Option<ConnectionId>,
        limit: usize,
    ) -> Result<Map<String, Value>, Refusal> {
        let entry = self.membership.get(id);
        let allowed = entry.is_some_and(|entry| entry.permissions.may_list_members(group.as_str()));
        if !allowed && !self.membership.is_member(id, group.as_str()) {
            return Err(Refusal::new(
                ErrorCode::Forbidden,
                format!("Only members of '{group}', or the role folkmoot.listMembers, may list its members."),
            ));
        }
        let limit = limit.min(self.settings.list_page);
        self.pay(id, |membership| {
            limit.min(membership.member_count(group.as_str())) + membership.cost_of_counting(group.as_str())
        })?;
        let page = self
            .membership
            .members(group.as_str(), after, limit)
            .ok_or_else(|| Refusal::group_not_found(group.as_str()))?;
        let token = page.items.last().filter(|_| page.more).map(|last| last.connection.id.to_string());
        let members: Vec<_> = page
            .items
            .into_iter()
            .map(|member| {
                let connection = &member.connection;
                let user = connection.user.as_ref().map(|user| user.public(&self.settings.public_fields));
                json!({ "connectionId": connection.id, "userId": connection.user_id, "user": user })
            })
            .collect();
        let listeners = self.membership.listeners(group.as_str());
        Ok(fields([("members", members.into()), ("listeners", listeners.into())], token))
    }

    fn list_groups(
        &mut self,
        id: ConnectionId,
        among: Option<Target>,
        after: Option<GroupName>,
        limit: usize,
    ) -> Result<Map<String, Value>, Refusal> {
        let limit = limit.min(self.settings.list_page);
        match &among {
            Some(Target::Mask(mask)) => self.pay_for_scan(id, mask)?,
            // One's own groups are looked at all of them, those of the hub no further than the page.
            _ => self.pay(id, |membership| limit.min(membership.group_count()).max(membership.group_count_of(id)))?,
        }
        let after = after.as_ref().map(GroupName::as_str);
        let all = self.membership.get(id).is_some_and(|entry| entry.permissions.may_list_groups());
        let page = match all {
            true => self.membership.groups(among.as_ref(), after, limit, |_| true),
            false => self.membership.own_groups(id, among.as_ref(), after, limit),
        };
        let token = page.items.last().filter(|_| page.more).map(|(name, _)| name.to_string());
        let groups: Vec<_> =
            page.items.into_iter().map(|(name, members)| json!({ "group": name, "members": members })).collect();
        Ok(fields([("groups", groups.into())], token))
    }

    fn count_members(&mut self, id: ConnectionId, target: &Target) -> Result<Map<String, Value>, Refusal> {
        match target {
            Target::Mask(mask) => self.pay_for_scan(id, mask)?,
            Target::Group(group) => self.pay(id, |membership| 1 + membership.cost_of_counting(group.as_str()))?,
        }
        let Some(entry) = self.membership.get(id) else { return Ok(Map::new()) };
        let Counts { groups, connections, looked_at } =
            self.membership.count(target, |group| entry.permissions.may_send(group));
        if matches!(target, Target::Mask(_)) {
            // Not only those found: who is in all of a thousand groups was looked at a thousand times.
            self.charge(id, looked_at.max(connections));
        }
        Ok(fields([("connections", connections.into()), ("groups", groups.into())], None))
    }
}

fn fields<const N: usize>(fields: [(&str, Value); N], continuation_token: Option<String>) -> Map<String, Value> {
    let token = continuation_token.map(|token| ("continuationToken", token.into()));
    fields.into_iter().chain(token).map(|(name, value)| (name.to_owned(), value)).collect()
}
