//! The one message that takes a connection out of everything, sent once whatever happens to the session.

use crate::error::{Disconnect as Reason, DisconnectKind};
use crate::groups::Hub;
use crate::groups::messages::{Disconnect, End};
use crate::ids::ConnectionId;
use crate::metrics::Metrics;
use crate::user::UserData;

/// Sends `Disconnect` when told to, or at the latest when dropped: a session that panics is dropped while unwinding.
pub struct Farewell<U: UserData> {
    connection: ConnectionId,
    hub: Hub<U>,
    metrics: Metrics,
    sent: bool,
}

impl<U: UserData> Farewell<U> {
    /// The farewell of a connection that the registry was told of.
    pub fn new(connection: ConnectionId, hub: Hub<U>, metrics: Metrics) -> Self {
        Farewell { connection, hub, metrics, sent: false }
    }

    /// Tells the registry, the first time it is called. Does not panic.
    pub fn send(&mut self, reason: Reason) {
        if std::mem::replace(&mut self.sent, true) {
            return;
        }
        let end = match reason.kind() {
            DisconnectKind::Lost => End::Lost,
            _ => End::Final,
        };
        // Not bounded by a mailbox, but by the number of connections: a lost farewell would leave a ghost.
        self.hub.registry().do_send(Disconnect { connection: self.connection, end, reason });
        self.metrics.connections.decrement(1.0);
        self.metrics.connections_closed.increment(1);
    }
}

impl<U: UserData> Drop for Farewell<U> {
    fn drop(&mut self) {
        self.send(Reason::new(DisconnectKind::SessionLost));
    }
}
