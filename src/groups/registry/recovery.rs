//! How a reliable connection goes on by another socket: everything that the registry knows of it stays, and its place
//! becomes another.
//!
//! What was decided before goes to the place that it had, what comes later to the new one. The fan-out of the first hands
//! over what its peer may not have received, behind all of the former; the other keeps the latter until that has come.

use actix::{Handler, MessageResult};

use super::GroupRegistry;
use crate::error::DisconnectKind;
use crate::groups::deliver::{Deliver, HandOver};
use crate::groups::inner::{Claim, Claimed, Recover};
use crate::user::UserData;

impl<U: UserData> Handler<Claim<U>> for GroupRegistry<U> {
    type Result = MessageResult<Claim<U>>;

    fn handle(&mut self, claim: Claim<U>, _: &mut Self::Context) -> Self::Result {
        let entry = self.membership.get_mut(claim.connection);
        MessageResult(entry.filter(|entry| entry.recoverable && !entry.ending).map(|entry| {
            entry.claims += 1;
            let (connection, incarnation) = (entry.connection.clone(), entry.claims);
            Claimed { connection, incarnation, expires_at: entry.expires_at }
        }))
    }
}

impl<U: UserData> GroupRegistry<U> {
    /// Has a connection be served by another socket. Nobody is told: to all others it was never gone.
    pub(in crate::groups) fn recover(&mut self, recover: Recover) {
        let Recover { connection: id, incarnation, place, fanout } = recover;
        self.know_worker(place.worker, fanout.clone());
        let entry = self.membership.get_mut(id);
        let entry = entry.filter(|entry| !entry.ending && incarnation > entry.incarnation);
        let moved =
            entry.map(|entry| entry.incarnation = incarnation).and_then(|()| self.membership.relocate(id, place));
        let Some((before, audiences)) = moved else {
            // It ended between the claim and now, or somebody who claimed it later was faster.
            self.metrics.recoveries_refused.increment(1);
            self.deliver(
                place.worker,
                Deliver::End { slot: place.slot, reason: DisconnectKind::RecoveryRefused.into() },
            );
            return self.deliver(place.worker, Deliver::Detach { slot: place.slot, audiences: Vec::new() });
        };
        self.deliver(place.worker, Deliver::Adopt { slot: place.slot, audiences: audiences.clone() });
        let hand_over = HandOver { slot: before.slot, id, audiences, to: fanout, to_slot: place.slot };
        self.deliver(before.worker, Deliver::HandOver(Box::new(hand_over)));
    }
}
