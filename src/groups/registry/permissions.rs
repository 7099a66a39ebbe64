//! What a connection may do, changed while it lives.

use actix::Handler;

use super::GroupRegistry;
use crate::auth::permissions::TooManyRoles;
use crate::error::ErrorCode;
use crate::groups::deliver::Deliver;
use crate::groups::membership::Moved;
use crate::groups::messages::{Grant, HasPermission, Refusal, Revoke};
use crate::ids::ConnectionId;
use crate::metrics::Limit;
use crate::user::UserData;

impl<U: UserData> Handler<Grant> for GroupRegistry<U> {
    type Result = Result<(), Refusal>;

    fn handle(&mut self, grant: Grant, _: &mut Self::Context) -> Self::Result {
        let Grant { connection, action, group } = grant;
        self.exists(connection)?;
        let moved = self.membership.grant(connection, action, group.as_ref());
        self.follow(connection, moved)
    }
}

impl<U: UserData> Handler<Revoke> for GroupRegistry<U> {
    type Result = Result<(), Refusal>;

    fn handle(&mut self, revoke: Revoke, _: &mut Self::Context) -> Self::Result {
        let Revoke { connection, action, group } = revoke;
        self.exists(connection)?;
        let moved = self.membership.revoke(connection, action, group.as_ref());
        self.follow(connection, moved)
    }
}

impl<U: UserData> Handler<HasPermission> for GroupRegistry<U> {
    type Result = bool;

    fn handle(&mut self, ask: HasPermission, _: &mut Self::Context) -> Self::Result {
        let entry = self.membership.get(ask.connection);
        entry.is_some_and(|entry| entry.permissions.has(ask.action, ask.group.as_ref().map(|group| group.as_str())))
    }
}

impl<U: UserData> GroupRegistry<U> {
    fn exists(&self, id: ConnectionId) -> Result<(), Refusal> {
        match self.membership.get(id).filter(|entry| !entry.ending) {
            Some(_) => Ok(()),
            None => Err(Refusal::new(ErrorCode::NotFound, format!("There is no connection '{id}'."))),
        }
    }

    /// Has the fan-out of a connection know what it hears by its masks from now on.
    fn follow(&self, id: ConnectionId, moved: Result<Moved, TooManyRoles>) -> Result<(), Refusal> {
        let Moved { left, joined } = moved.map_err(|error| {
            self.metrics.reached(Limit::PermissionsPerConnection);
            Refusal::new(ErrorCode::LimitReached, format!("Not done: {error}."))
        })?;
        let Some(place) = self.membership.get(id).map(|entry| entry.place) else { return Ok(()) };
        for audience in left {
            self.deliver(place.worker, Deliver::Leave { slot: place.slot, audience });
        }
        for audience in joined {
            self.deliver(place.worker, Deliver::Join { slot: place.slot, audience });
        }
        Ok(())
    }
}
