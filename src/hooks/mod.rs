//! The caller's own code at the points of a connection's life.
//!
//! Hooks never run inside the registry, a fan-out or a worker thread, so a hook that blocks or panics harms only those
//! who wait for its answer. Announcements are built on the same events.

pub mod announcements;
mod calls;
mod runner;
mod threads;

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use zeroize::Zeroizing;

pub use calls::{AnyHooks, HookCalls};
pub use runner::{HookRunner, HookSettings};
pub use threads::HookThreads;

use crate::auth::permissions::Role;
use crate::event::{Connection, Disconnected, Joined, Left};
use crate::groups::Hub;
use crate::ids::{GroupName, HubName, Target, UserId};
use crate::protocol::Data;
use crate::user::UserData;

/// Somebody wants to log in with HTTP Basic.
pub struct LoginAttempt {
    /// The hub to be entered.
    pub hub: HubName,
    /// The login.
    pub login: String,
    /// The password; wiped from memory when dropped.
    pub password: Zeroizing<String>,
    /// The client's address.
    pub address: Option<IpAddr>,
}

/// Who somebody turned out to be.
#[derive(Debug)]
pub struct Identity<U> {
    /// The user's id.
    pub user_id: Option<UserId>,
    /// The user's data, carried by the connection from now on.
    pub user: Option<Arc<U>>,
    /// What the user may do in this hub, besides the hub's default roles.
    pub roles: Vec<Role>,
    /// Groups the connection is put into.
    pub groups: Vec<GroupName>,
}

impl<U> Identity<U> {
    /// A user who has the hub's default roles and is put into the groups of its join rules.
    pub fn new(user_id: UserId, user: U) -> Self {
        Identity { user_id: Some(user_id), user: Some(Arc::new(user)), roles: Vec::new(), groups: Vec::new() }
    }
}

/// What a hook says to a login.
///
/// ```
/// use folkmoot::{Authentication, Identity, LoginAttempt, Role, User, UserId};
///
/// fn check(attempt: &LoginAttempt) -> Authentication<User> {
///     if attempt.login != "user-1" || *attempt.password != "password-1" {
///         return Authentication::Denied;
///     }
///     let user = User { username: Some("Mark".into()), department: Some("Sales".into()), ..User::default() };
///     let user_id = UserId::parse(&attempt.login).expect("'user-1' is a valid id");
///     Authentication::Accepted(Identity { roles: vec![Role::SendToGroup(None)], ..Identity::new(user_id, user) })
/// }
/// ```
#[derive(Debug)]
pub enum Authentication<U> {
    /// Not this hook's business: the user store decides.
    Undecided,
    /// Welcome.
    Accepted(Identity<U>),
    /// Wrong.
    Denied,
}

/// A connection that is authenticated and about to be accepted. A hook may change what it starts with.
#[derive(Debug)]
pub struct Connecting<U> {
    /// The connection.
    pub connection: Connection<U>,
    /// What it may do.
    pub roles: Vec<Role>,
    /// Groups it will be put into.
    pub groups: Vec<GroupName>,
}

/// What a client said.
#[derive(Debug, Clone)]
pub enum Said {
    /// A publish; `None` is a raw client's publish to all of its groups.
    SendToGroup(Option<Target>),
    /// An event by its name. What a raw client sends in event mode is the event `message`.
    Event(String),
}

/// A message on its way in, before the registry sees it.
#[derive(Debug)]
pub struct Incoming<U> {
    /// Who sends it.
    pub connection: Arc<Connection<U>>,
    /// What it is.
    pub said: Said,
    /// Its data.
    pub data: Data,
}

/// What becomes of a message.
#[derive(Debug)]
pub enum Verdict {
    /// Go on as if there were no hook: a publish is published, an event has not been handled.
    Allow,
    /// Refused, with a reason for the sender.
    Deny(String),
    /// Go on with other data.
    Replace(Data),
    /// Handled here: nothing is published, and the sender gets its ack.
    Handled,
    /// As `Handled`, and the sender gets a message from the server first.
    Reply(Data),
    /// What the default of [`Hooks::message`] says; the hub does not ask again.
    #[doc(hidden)]
    NotImplemented,
}

/// The caller's own code at the points of a connection's life; every method has a default that does nothing.
///
/// `authenticate`, `connect` and `message` are awaited by that one connection for at most `hooks.timeout`; one that is
/// late or panics refuses. `client_added`, `client_removed` and `disconnect` are told in the order of the registry and
/// delay nobody; what does not fit `hooks.queue` is counted and logged.
///
/// ```
/// use folkmoot::{Hooks, Hub, Joined, User};
///
/// struct Greeter;
///
/// impl Hooks<User> for Greeter {
///     async fn client_added(&self, _hub: &Hub<User>, joined: &Joined<User>) {
///         println!("{:?} is in {}", joined.connection.user_id, joined.group);
///     }
/// }
/// ```
pub trait Hooks<U: UserData>: Send + Sync + 'static {
    /// Decides a login with a password before the user store does: on a handshake with HTTP Basic, and where a login is
    /// exchanged for a token (`POST /auth/token`).
    ///
    /// Whoever is accepted here gets no token, since one of ours means a user of the store. Bearers of a token are not
    /// asked about again; [`connect`](Hooks::connect) sees everybody. Refusals count as failed logins, and beyond those
    /// limits (`auth.failures`) an acceptance is refused too.
    fn authenticate(&self, attempt: &LoginAttempt) -> impl Future<Output = Authentication<U>> + Send {
        let _ = attempt;
        async { Authentication::Undecided }
    }

    /// Accepts, changes or refuses (403, with the sentence) a connection that is authenticated.
    fn connect(&self, connecting: &mut Connecting<U>) -> impl Future<Output = Result<(), String>> + Send {
        let _ = connecting;
        async { Ok(()) }
    }

    /// A connection has become a member of a group.
    fn client_added(&self, hub: &Hub<U>, joined: &Joined<U>) -> impl Future<Output = ()> + Send {
        let _ = (hub, joined);
        async {}
    }

    /// A connection has stopped being a member of a group.
    fn client_removed(&self, hub: &Hub<U>, left: &Left<U>) -> impl Future<Output = ()> + Send {
        let _ = (hub, left);
        async {}
    }

    /// Sees every publish, event and raw message before the registry does. Costs nothing where it is not implemented.
    fn message(&self, hub: &Hub<U>, incoming: &Incoming<U>) -> impl Future<Output = Verdict> + Send {
        let _ = (hub, incoming);
        async { Verdict::NotImplemented }
    }

    /// A connection is gone.
    fn disconnect(&self, hub: &Hub<U>, disconnected: &Disconnected<U>) -> impl Future<Output = ()> + Send {
        let _ = (hub, disconnected);
        async {}
    }
}
