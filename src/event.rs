//! Facts in the past tense, and the connection they are about.
//!
//! Events leave the registry in the order in which they happened; who listens is not known here.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::error::{Disconnect, LeaveReason};
use crate::ids::{ConnectionId, GroupName, HubName, UserId};

/// How a connection was authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authority {
    /// As a user of the user store, by password or by a token for such a user.
    Store,
    /// By a token that says everything itself; the store is never asked.
    Token,
    /// By the caller's `authenticate` hook.
    Hook,
    /// Not at all.
    Anonymous,
}

/// One connection as every hook, message and member list sees it: its identity and the data of its user.
#[derive(Debug)]
pub struct Connection<U> {
    /// The connection's id, unique for ever.
    pub id: ConnectionId,
    /// The hub it entered.
    pub hub: HubName,
    /// Who it belongs to; `None` for an anonymous connection.
    pub user_id: Option<UserId>,
    /// Who says so.
    pub authority: Authority,
    /// As which user of the user store it has logged in, if as one. That stays when a hook or a webhook makes it somebody
    /// else's: it ends when this user is disabled or gone.
    pub login: Option<UserId>,
    /// The user's data, as the authentication left it.
    pub user: Option<Arc<U>>,
    /// The client's address, behind a trusted proxy the one that the proxy tells.
    pub address: Option<IpAddr>,
    /// The subprotocol that was agreed on; `None` for a raw client.
    pub subprotocol: Option<&'static str>,
    /// What a webhook has said about it.
    pub upstream: Upstream,
}

/// What the application behind a webhook keeps with a connection. A pointer where it keeps nothing.
#[derive(Default)]
pub struct Upstream(ArcSwapOption<Kept>);

#[derive(Clone, Default)]
struct Kept {
    state: Option<Arc<str>>,
    subprotocol: Option<Arc<str>>,
}

impl Upstream {
    /// The state (`ce-connectionState`), which only the application understands.
    pub fn state(&self) -> Option<Arc<str>> {
        self.0.load().as_ref()?.state.clone()
    }

    /// The subprotocol that the application has agreed to speak and the server itself does not know.
    pub fn subprotocol(&self) -> Option<Arc<str>> {
        self.0.load().as_ref()?.subprotocol.clone()
    }

    pub(crate) fn set_state(&self, state: &str) {
        self.change(|kept| kept.state = Some(state.into()));
    }

    pub(crate) fn set_subprotocol(&self, name: &str) {
        self.change(|kept| kept.subprotocol = Some(name.into()));
    }

    fn change(&self, change: impl Fn(&mut Kept)) {
        self.0.rcu(|kept| {
            let mut kept = kept.as_deref().cloned().unwrap_or_default();
            change(&mut kept);
            Some(Arc::new(kept))
        });
    }
}

impl fmt::Debug for Upstream {
    // What an application keeps may be as secret as a payload.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").finish_non_exhaustive()
    }
}

/// Something that happened in a hub.
#[derive(Debug)]
pub enum Event<U> {
    /// A connection is there; it joins its first groups after this.
    Connected(Arc<Connection<U>>),
    /// A connection became a member of a group.
    Joined(Arc<Joined<U>>),
    /// A connection stopped being a member of a group.
    Left(Arc<Left<U>>),
    /// A connection is gone, after it left each of its groups.
    Disconnected(Arc<Disconnected<U>>),
}

impl<U> Clone for Event<U> {
    fn clone(&self) -> Self {
        match self {
            Event::Connected(connection) => Event::Connected(connection.clone()),
            Event::Joined(joined) => Event::Joined(joined.clone()),
            Event::Left(left) => Event::Left(left.clone()),
            Event::Disconnected(disconnected) => Event::Disconnected(disconnected.clone()),
        }
    }
}

impl<U> actix::Message for Event<U> {
    type Result = ();
}

/// A connection became a member of `group`.
#[derive(Debug)]
pub struct Joined<U> {
    /// The new member.
    pub connection: Arc<Connection<U>>,
    /// The group it joined.
    pub group: GroupName,
    /// How many members the group has now, the new one included.
    pub members: usize,
    /// Whether no other connection of the same user was a member already.
    pub first_of_user: bool,
}

/// A connection stopped being a member of `group`.
#[derive(Debug)]
pub struct Left<U> {
    /// The former member.
    pub connection: Arc<Connection<U>>,
    /// The group it left.
    pub group: GroupName,
    /// Whether it left, or why its connection ended.
    pub reason: LeaveReason,
    /// How many members the group has now.
    pub members: usize,
    /// Whether no other connection of the same user is still a member.
    pub last_of_user: bool,
}

/// A connection is gone.
#[derive(Debug)]
pub struct Disconnected<U> {
    /// The connection.
    pub connection: Arc<Connection<U>>,
    /// Why it ended.
    pub reason: Disconnect,
}
