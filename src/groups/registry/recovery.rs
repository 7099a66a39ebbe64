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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::io;
    use std::rc::Rc;
    use std::sync::Arc;
    use std::task::{Context, Poll};
    use std::time::Duration;

    use super::*;
    use crate::error::Disconnect as Reason;
    use crate::event::{Authority, Connection};
    use crate::groups::inner::{Command, FromSession, Request, Turn};
    use crate::groups::messages::{Connect, Disconnect};
    use crate::groups::{Fanouts, Greeting, HeartbeatSettings, Hub, MembershipLimits, RegistrySettings};
    use crate::ids::{ConnectionId, HubName};
    use crate::metrics::Metrics;
    use crate::outbound::{Link, LinkSettings, OutboundLimits, Replay, ReplayLimits};
    use crate::protocol::Subprotocol;
    use crate::transport::Transport;
    use crate::user::User;

    #[derive(Clone, Default)]
    struct Paper(Rc<RefCell<Vec<u8>>>);

    impl Paper {
        fn says(&self, text: &str) -> bool {
            String::from_utf8_lossy(&self.0.borrow()).contains(text)
        }
    }

    impl Transport for Paper {
        fn poll_read(&mut self, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
            Poll::Pending
        }

        fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn poll_writable(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }

        fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn settings(hub: HubName) -> RegistrySettings {
        let limits = MembershipLimits {
            groups_per_connection: 10,
            masks_per_connection: 10,
            groups_per_hub: 10,
            masks_per_hub: 10,
        };
        let (declared_groups, public_fields) = (Vec::new(), Vec::new());
        RegistrySettings { hub, limits, declared_groups, public_fields, list_page: 10, mask_scan_per_second: 1000 }
    }

    #[test]
    fn what_a_socket_says_that_the_connection_does_not_go_on_by_is_done_and_neither_answered_nor_its_end() {
        actix_rt::System::new().block_on(async {
            let (metrics, hour) = (Metrics::new(), Duration::from_secs(3600));
            let name = HubName::parse("here").unwrap();
            let hub: Hub<User> = Hub::open(settings(name.clone()), 1 << 20, metrics.clone());
            let heartbeat = HeartbeatSettings { ping_interval: hour, pong_timeout: hour };
            let fanout = Fanouts::new(heartbeat, metrics.clone()).local();
            let limits = OutboundLimits { bytes: 1 << 20, messages: 100 };
            let of_links = Rc::new(LinkSettings { limits, write_timeout: hour, requests_in_flight: 16, metrics });
            let kept = ReplayLimits { messages: 10, bytes: 1 << 20 };
            let (old, new) = (Paper::default(), Paper::default());
            let id = ConnectionId::random();
            let link = Rc::new(Link::reliable(old.clone(), of_links.clone(), Replay::new(kept)));
            let greeting = Greeting { user_id: None, user: None, reconnection_token: None };
            let place = fanout.slots().borrow_mut().attach(id, link, Subprotocol::ReliableJson, greeting);
            let connection = Arc::new(Connection {
                id,
                hub: name,
                user_id: None,
                authority: Authority::Anonymous,
                login: None,
                user: None,
                address: None,
                subprotocol: Subprotocol::ReliableJson.name(),
                upstream: Default::default(),
            });
            let fanout_addr = fanout.addr().clone();
            let connect = Connect {
                connection,
                permissions: Arc::default(),
                groups: Vec::new(),
                place,
                fanout: fanout_addr.clone(),
                recoverable: true,
                expires_at: None,
            };
            let link = Rc::new(Link::reliable(new.clone(), of_links, Replay::waiting(kept)));
            let place = fanout.slots().borrow_mut().attach_again(id, link);
            let recover = Recover { connection: id, incarnation: 1, place, fanout: fanout_addr };
            let settle = |incarnation, ack_id| {
                let command = Command::Settle(Ok(()));
                FromSession::Request(Request { connection: id, incarnation, ack_id: Some(ack_id), command })
            };
            let reason = Reason::new(DisconnectKind::Lost);
            let goodbye = Disconnect { connection: id, reason, incarnation: 0 };
            let said = vec![
                FromSession::Connect(connect),
                FromSession::Recover(recover),
                settle(0, 2),
                FromSession::Disconnect(goodbye),
                settle(1, 3),
                // Done by the socket before, though it was not told.
                settle(1, 2),
            ];
            assert!(hub.registry().send(Turn(said)).await.is_ok());
            let deadline = std::time::Instant::now() + Duration::from_secs(30);
            while !new.says(r#""ackId":2"#) {
                assert!(std::time::Instant::now() < deadline, "no answer");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            assert!(!old.says(r#""ackId":2"#));
            assert!(new.says(r#""ackId":3,"success":true"#) && new.says(r#""ackId":2,"success":false"#));
            assert!(!new.says(r#""ackId":2,"success":true"#), "an answer to the socket before");
        });
    }
}
