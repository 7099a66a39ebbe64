//! A handle on one hub: the address of its registry and the window of its publishers.

use std::fmt;
use std::sync::Arc;

use actix::{Actor, Addr, Arbiter, MailboxError};

use super::messages::{Broadcast, BroadcastTo, Content, Reached, Receiver, Refusal, Send};
use super::registry::{GroupRegistry, RegistrySettings};
use super::window::Window;
use crate::error::ErrorCode;
use crate::ids::{GroupName, HubName, Target};
use crate::metrics::Metrics;
use crate::protocol::Data;
use crate::user::UserData;

/// A hub, as hooks and handlers get it; cheap to clone, usable from any thread.
///
/// ```
/// use folkmoot::messages::{Receiver, Refusal};
/// use folkmoot::{ConnectionId, Data, GroupName, Hub, Target, User};
///
/// async fn notices(hub: &Hub<User>, newcomer: ConnectionId) -> Result<(), Refusal> {
///     let everybody = Target::parse("*", true).expect("a mask");
///     hub.broadcast(everybody, Data::text("Hello All Members.")).await?;
///     let accounting = GroupName::parse("accounting", true).expect("a name");
///     hub.broadcast_to(accounting, Data::text("Hello Accounting Members.")).await?;
///     hub.send(Receiver::Connection(newcomer), Data::text("Only for you.")).await?;
///     Ok(())
/// }
/// ```
pub struct Hub<U: UserData>(Arc<Inner<U>>);

struct Inner<U: UserData> {
    name: HubName,
    registry: Addr<GroupRegistry<U>>,
    window: Window,
}

impl<U: UserData> Hub<U> {
    /// Starts the registry of a hub on an arbiter of its own. Must be called where an actix `System` runs.
    pub(crate) fn open(settings: RegistrySettings, window_bytes: usize, metrics: Metrics) -> Self {
        let name = settings.hub.clone();
        let registry =
            GroupRegistry::start_in_arbiter(&Arbiter::new().handle(), |_| GroupRegistry::new(settings, metrics));
        Hub(Arc::new(Inner { name, registry, window: Window::new(window_bytes) }))
    }

    /// The hub's name.
    pub fn name(&self) -> &HubName {
        &self.0.name
    }

    /// The address of its registry, for messages of your own.
    pub fn registry(&self) -> &Addr<GroupRegistry<U>> {
        &self.0.registry
    }

    /// Whether both are handles on one registry.
    pub(crate) fn is_same(&self, other: &Hub<U>) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// What bounds the publishes that are under way.
    pub fn window(&self) -> &Window {
        &self.0.window
    }

    /// Sends a message to a group or to all groups that a mask matches, and waits while publishers are ahead of the
    /// fan-outs. Reaching nobody is no error.
    ///
    /// # Errors
    /// [`Refusal`] when the hub has ended.
    pub async fn broadcast(&self, target: Target, data: Data) -> Result<Reached, Refusal> {
        let permit = self.window().acquire(data.len()).await;
        let sent = self.registry().send(Broadcast { target, content: data.into(), permit }).await;
        sent.map_err(hub_ended)
    }

    /// Sends a message to a group that must exist.
    ///
    /// # Errors
    /// [`Refusal`] when there is no such group, or when the hub has ended.
    pub async fn broadcast_to(&self, group: GroupName, data: Data) -> Result<Reached, Refusal> {
        let permit = self.window().acquire(data.len()).await;
        self.registry().send(BroadcastTo { group, content: data.into(), permit }).await.map_err(hub_ended)?
    }

    /// Sends a message from the server to a connection or to all connections of a user; tells how many those are.
    ///
    /// # Errors
    /// [`Refusal`] when the hub has ended.
    pub async fn send(&self, to: Receiver, content: impl Into<Content>) -> Result<usize, Refusal> {
        let content = content.into();
        let permit = self.window().acquire(content.len()).await;
        self.registry().send(Send { to, content, permit }).await.map_err(hub_ended)
    }
}

fn hub_ended(_: MailboxError) -> Refusal {
    Refusal::new(ErrorCode::NotFound, "The hub has ended.")
}

impl<U: UserData> Clone for Hub<U> {
    fn clone(&self) -> Self {
        Hub(self.0.clone())
    }
}

impl<U: UserData> fmt::Debug for Hub<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hub").field(&self.0.name).finish()
    }
}
