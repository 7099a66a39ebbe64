//! The one message that takes a connection out of everything, sent once whatever happens to the session.

use std::rc::Rc;

use crate::error::{Disconnect as Reason, DisconnectKind};
use crate::groups::inner::FromSession;
use crate::groups::messages::Disconnect;
use crate::groups::{Lease, Outbox};
use crate::ids::ConnectionId;
use crate::user::UserData;

/// Sends `Disconnect` when told to, or at the latest when dropped: a session that panics is dropped while unwinding.
pub struct Farewell<U: UserData> {
    connection: ConnectionId,
    incarnation: u32,
    outbox: Rc<Outbox<U>>,
    /// Keeps the hub open until the farewell is sent, with which it goes.
    lease: Option<Lease<U>>,
}

impl<U: UserData> Farewell<U> {
    /// The farewell of a connection that the registry was told of, by its socket of this number.
    pub fn new(connection: ConnectionId, incarnation: u32, outbox: Rc<Outbox<U>>, lease: Lease<U>) -> Self {
        Farewell { connection, incarnation, outbox, lease: Some(lease) }
    }

    /// Tells the registry, the first time it is called. Does not panic.
    pub fn send(&mut self, reason: Reason) {
        if let Some(lease) = self.lease.take() {
            self.outbox.say_last(self.last_word(reason), lease);
        }
    }

    // Not bounded by a mailbox, but by the number of connections: a lost farewell would leave a ghost.
    fn last_word(&self, reason: Reason) -> FromSession<U> {
        FromSession::Disconnect(Disconnect { connection: self.connection, reason, incarnation: self.incarnation })
    }
}

impl<U: UserData> Drop for Farewell<U> {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            // At once: a thread that ends has no further turn.
            self.outbox.say_now(self.last_word(Reason::new(DisconnectKind::SessionLost)));
            drop(lease);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::event::{Authority, Connection, Upstream};
    use crate::groups::inner::Retire;
    use crate::groups::messages::Connect;
    use crate::groups::{Fanouts, HeartbeatSettings, Hub, HubRules, Hubs, MembershipLimits, Place, RegistrySettings};
    use crate::ids::{GroupName, HubName};
    use crate::metrics::Metrics;
    use crate::user::User;

    /// A session of an undeclared hub, as far as the registry is told of it.
    struct Told {
        hubs: Arc<Hubs<User>>,
        hub: Hub<User>,
        farewell: Farewell<User>,
        metrics: Metrics,
    }

    fn tell_of_a_session() -> Told {
        let metrics = Metrics::new();
        let of_hub = metrics.clone();
        let open = move |name: &HubName| {
            let limits = MembershipLimits {
                groups_per_connection: 10,
                masks_per_connection: 10,
                groups_per_hub: 10,
                masks_per_hub: 10,
            };
            let settings = RegistrySettings {
                hub: name.clone(),
                limits,
                declared_groups: Vec::new(),
                public_fields: Vec::new(),
                list_page: 10,
                mask_scan_per_second: 1000,
            };
            Hub::open(settings, 1 << 20, of_hub.clone())
        };
        let hubs = Hubs::new(HubRules { declared: Vec::new(), max_undeclared: 1 }, Box::new(open));
        let lease = hubs.enter(&HubName::parse("here").unwrap()).unwrap();
        let (hub, outbox) = (lease.hub().clone(), Outbox::new(lease.hub().clone()));
        let id = ConnectionId::random();
        let connection = Connection {
            id,
            hub: hub.name().clone(),
            user_id: None,
            authority: Authority::Anonymous,
            login: None,
            user: None,
            address: None,
            subprotocol: None,
            upstream: Upstream::default(),
        };
        let minute = Duration::from_secs(60);
        let heartbeat = HeartbeatSettings { ping_interval: minute, pong_timeout: minute };
        let fanout = Fanouts::new(heartbeat, metrics.clone()).local();
        outbox.say(FromSession::Connect(Connect {
            connection: Arc::new(connection),
            permissions: Arc::default(),
            groups: vec![GroupName::parse("a", true).unwrap(), GroupName::parse("b", true).unwrap()],
            place: Place { worker: 0, slot: 0 },
            fanout: fanout.addr().clone(),
            recoverable: false,
            expires_at: None,
        }));
        let farewell = Farewell::new(id, 0, outbox, lease);
        Told { hubs, hub, farewell, metrics }
    }

    fn counted(metrics: &Metrics, name: &str) -> String {
        let text = metrics.render();
        text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
    }

    /// The registry is gone, and before it was, both leaves were.
    async fn has_ended(hub: &Hub<User>, metrics: &Metrics) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while hub.registry().connected() {
            assert!(Instant::now() < deadline, "the registry has not ended");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(counted(metrics, "folkmoot_leaves_total"), "2");
        assert_eq!(counted(metrics, "folkmoot_groups "), "0");
    }

    #[test]
    fn the_last_session_of_an_undeclared_hub_leaves_its_groups_before_the_hub_ends() {
        actix_rt::System::new().block_on(async {
            let Told { hubs, hub, mut farewell, metrics } = tell_of_a_session();
            farewell.send(Reason::new(DisconnectKind::ClosedByClient));
            assert_eq!(hubs.all().len(), 1, "the hub is open until the farewell is sent");
            has_ended(&hub, &metrics).await;
            assert!(hubs.all().is_empty());
        });
    }

    #[test]
    fn a_session_that_panics_leaves_its_groups_too_even_when_its_thread_has_no_further_turn() {
        actix_rt::System::new().block_on(async {
            let Told { hubs, hub, farewell, metrics } = tell_of_a_session();
            let panicked = catch_unwind(AssertUnwindSafe(move || {
                let _farewell = farewell;
                std::panic::resume_unwind(Box::new("a panic in a session"));
            }));
            assert!(panicked.is_err());
            assert!(hubs.all().is_empty(), "nothing waits for another turn");
            has_ended(&hub, &metrics).await;
        });
    }

    #[test]
    fn a_hub_that_has_retired_ends_with_its_last_connection_and_waits_for_it_at_rest() {
        actix_rt::System::new().block_on(async {
            let Told { hub, mut farewell, metrics, .. } = tell_of_a_session();
            tokio::task::yield_now().await;
            assert!(hub.registry().send(Retire).await.is_ok());
            assert!(hub.registry().connected());
            farewell.send(Reason::new(DisconnectKind::GoingAway));
            has_ended(&hub, &metrics).await;
        });
    }
}
