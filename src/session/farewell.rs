//! The one message that takes a connection out of everything, sent once whatever happens to the session.

use std::rc::Rc;

use crate::error::{Disconnect as Reason, DisconnectKind};
use crate::groups::inner::FromSession;
use crate::groups::messages::{Disconnect, End};
use crate::groups::{Lease, Outbox};
use crate::ids::ConnectionId;
use crate::metrics::Metrics;
use crate::user::UserData;

/// Sends `Disconnect` when told to, or at the latest when dropped: a session that panics is dropped while unwinding.
pub struct Farewell<U: UserData> {
    connection: ConnectionId,
    outbox: Rc<Outbox<U>>,
    metrics: Metrics,
    /// Keeps the hub open until the farewell is sent, with which it goes.
    lease: Option<Lease<U>>,
}

impl<U: UserData> Farewell<U> {
    /// The farewell of a connection that the registry was told of.
    pub fn new(connection: ConnectionId, outbox: Rc<Outbox<U>>, lease: Lease<U>, metrics: Metrics) -> Self {
        Farewell { connection, outbox, metrics, lease: Some(lease) }
    }

    /// Tells the registry, the first time it is called. Does not panic.
    pub fn send(&mut self, reason: Reason) {
        if let Some(lease) = self.lease.take() {
            self.outbox.say_last(self.last_word(reason), lease);
        }
    }

    // Not bounded by a mailbox, but by the number of connections: a lost farewell would leave a ghost.
    fn last_word(&self, reason: Reason) -> FromSession<U> {
        let end = match reason.kind() {
            DisconnectKind::Lost => End::Lost,
            _ => End::Final,
        };
        self.metrics.connections.decrement(1.0);
        self.metrics.connections_closed.increment(1);
        FromSession::Disconnect(Disconnect { connection: self.connection, end, reason })
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
