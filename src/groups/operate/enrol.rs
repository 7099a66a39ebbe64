//! Putting many connections into groups and taking them out again, a bounded step at a time.

use std::sync::Arc;

use actix::{Handler, Message, MessageResult};

use super::{ConnectionFilter, LOOKED_AT, Reach, Step};
use crate::groups::hub::Hub;
use crate::groups::membership::Hears;
use crate::groups::messages::Refusal;
use crate::groups::registry::GroupRegistry;
use crate::ids::{ConnectionId, Target};
use crate::user::UserData;

/// Memberships that one message begins or ends.
const CHANGED_AT_A_TIME: usize = 1000;

/// What is to become of some connections: members of groups and listeners of masks, or no longer.
#[derive(Debug, Clone)]
pub struct Enrolment {
    /// Which connections.
    pub connections: Arc<ConnectionFilter>,
    /// The groups and masks.
    pub targets: Arc<[Target]>,
    /// Whether they join them; otherwise they leave them.
    pub joins: bool,
}

/// A step of an enrolment.
#[derive(Message)]
#[rtype(result = "Enrolled")]
pub(in crate::groups) struct EnrolSome {
    enrolment: Enrolment,
    after: Option<ConnectionId>,
}

pub(in crate::groups) struct Enrolled {
    refused: usize,
    first: Option<Refusal>,
    next: Option<ConnectionId>,
}

impl<U: UserData> Hub<U> {
    /// Makes connections members of groups, or ends their memberships. What one of them is refused, for its limits say, is
    /// no reason to refuse others.
    ///
    /// # Errors
    /// How many memberships were refused, and why the first was.
    pub async fn enrol(&self, enrolment: Enrolment) -> Result<(), (usize, Refusal)> {
        let (mut refused, mut first, mut after) = (0, None, None);
        loop {
            // A hub that has ended has nobody.
            let step = self.registry().send(EnrolSome { enrolment: enrolment.clone(), after }).await;
            let Ok(step) = step else { return Ok(()) };
            refused += step.refused;
            first = first.or(step.first);
            after = step.next;
            if after.is_none() {
                return first.map_or(Ok(()), |first| Err((refused, first)));
            }
        }
    }
}

impl<U: UserData> Handler<EnrolSome> for GroupRegistry<U> {
    type Result = MessageResult<EnrolSome>;

    fn handle(&mut self, EnrolSome { enrolment, after }: EnrolSome, _: &mut Self::Context) -> Self::Result {
        let Enrolment { connections, targets, joins } = enrolment;
        let reach = Reach { found: (CHANGED_AT_A_TIME / targets.len().max(1)).max(1), looked_at: LOOKED_AT };
        let Step { found, next } = self.membership.scan_connections(&connections, after, reach);
        let ids: Vec<_> = found.into_iter().map(|entry| entry.connection.id).collect();
        let mut enrolled = Enrolled { refused: 0, first: None, next };
        for id in ids {
            for target in targets.iter() {
                let changed = match joins {
                    true => self.join_target(id, target, Hears::All),
                    false => self.leave_target(id, target),
                };
                if let Err(refusal) = changed {
                    enrolled.refused += 1;
                    enrolled.first.get_or_insert(refusal);
                }
            }
        }
        MessageResult(enrolled)
    }
}
