//! What one can say to a [`GroupRegistry`](super::GroupRegistry).
//!
//! Each message names what it does in the imperative; its reply type stands right under the derive. They are sent to
//! [`Hub::registry`](crate::Hub::registry), from any thread:
//!
//! ```
//! use folkmoot::messages::{Join, Members, Refusal};
//! use folkmoot::{ConnectionId, GroupName, Hub, Target, User};
//!
//! async fn welcome(hub: &Hub<User>, id: ConnectionId, group: GroupName) -> Result<usize, actix::MailboxError> {
//!     let join = Join { connection: id, target: Target::Group(group.clone()) };
//!     let joined: Result<(), Refusal> = hub.registry().send(join).await?;
//!     if joined.is_err() {
//!         return Ok(0);
//!     }
//!     let page = hub.registry().send(Members::new(group, 10)).await?;
//!     Ok(page.map_or(0, |page| page.members.len()))
//! }
//! ```

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix::{Addr, Message, Recipient};
use bytes::Bytes;

use super::fanout::Fanout;
use super::membership::Place;
use super::window::Permit;
use crate::auth::permissions::{Action, Permissions};
use crate::error::{Disconnect as Reason, ErrorCode};
use crate::event::{Connection, Event};
use crate::ids::{ConnectionId, GroupName, Target, UserId};
use crate::outbound::Moment;
use crate::protocol::Data;

/// Why the registry did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The error's name on the wire.
    pub code: ErrorCode,
    /// A sentence for the one who asked.
    pub message: Cow<'static, str>,
}

impl Refusal {
    /// A refusal with its sentence.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Refusal { code, message: message.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.message)
    }
}

impl std::error::Error for Refusal {}

/// The data of a message and what travels beside it.
#[derive(Debug, Clone)]
pub struct Content {
    /// The data.
    pub data: Data,
    /// Metadata: a JSON object of texts, already checked.
    pub metadata: Option<Bytes>,
    /// When it need not be delivered any more, where its sender has said so.
    pub(crate) expires: Option<Moment>,
}

impl Content {
    /// The same, which after `life` need not be delivered any more to who was away meanwhile.
    #[must_use]
    pub fn lasting(mut self, life: Duration) -> Self {
        self.expires = Some(Moment::now().after(life));
        self
    }

    /// Bytes that a publish of it keeps in memory, which is what it takes of the window.
    pub(crate) fn len(&self) -> usize {
        self.data.len() + self.metadata.as_ref().map_or(0, Bytes::len)
    }
}

impl From<Data> for Content {
    fn from(data: Data) -> Self {
        Content { data, metadata: None, expires: None }
    }
}

/// Adds a connection and makes it a member of `groups`. Its first frame is queued before anything else can be.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Connect<U: 'static> {
    /// The connection.
    pub connection: Arc<Connection<U>>,
    /// What it may do.
    pub permissions: Arc<Permissions>,
    /// The groups it is put into: join rules, the user's further groups, a token's claim.
    pub groups: Vec<GroupName>,
    /// Where it is served.
    pub(crate) place: Place,
    /// The fan-out that serves it.
    pub(crate) fanout: Addr<Fanout>,
    /// Whether its peer may come back by another socket.
    pub(crate) recoverable: bool,
    /// When it has to end, where its token's expiry counts.
    pub(crate) expires_at: Option<Moment>,
}

/// Takes a connection out of all its groups. Sent once per connection, whatever ended it.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Disconnect {
    /// The connection.
    pub connection: ConnectionId,
    /// Why it ended.
    pub reason: Reason,
    /// By which of its sockets this is said: it counts only of the one that it goes on by.
    pub(crate) incarnation: u32,
}

/// Makes a connection a member of a group, or a listener of a mask. Joining twice succeeds and changes nothing.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), Refusal>")]
pub struct Join {
    /// The connection.
    pub connection: ConnectionId,
    /// The group or mask.
    pub target: Target,
}

/// Takes a connection out of a group or a joined mask. Leaving what one is not in succeeds.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), Refusal>")]
pub struct Leave {
    /// The connection.
    pub connection: ConnectionId,
    /// The group or mask.
    pub target: Target,
}

/// Allows a connection an action in one group, or in all, from now on and over what its roles say.
///
/// Refused as `NotFound` where there is no such connection, and as `LimitReached` where it has permissions for as many
/// groups as it may.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), Refusal>")]
pub struct Grant {
    /// The connection.
    pub connection: ConnectionId,
    /// What is allowed.
    pub action: Action,
    /// The group; `None` for all.
    pub group: Option<GroupName>,
}

/// Denies a connection an action in one group, or in all, from now on. It stays where it is a member, and what it hears
/// by a joined mask of groups that it may not join any more is silent at once. Refused like a [`Grant`].
#[derive(Debug, Message)]
#[rtype(result = "Result<(), Refusal>")]
pub struct Revoke {
    /// The connection.
    pub connection: ConnectionId,
    /// What is denied.
    pub action: Action,
    /// The group; `None` for all, which also ends what its roles allow.
    pub group: Option<GroupName>,
}

/// Whether a connection may do something in one group, or in all; `false` where there is no such connection.
#[derive(Debug, Message)]
#[rtype(result = "bool")]
pub struct HasPermission {
    /// The connection.
    pub connection: ConnectionId,
    /// What.
    pub action: Action,
    /// The group; `None` for all.
    pub group: Option<GroupName>,
}

/// How far a broadcast went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// Groups it went to.
    pub groups: usize,
}

/// Sends a message to a group or to all groups that a mask matches. A missing group is reached without an error.
#[derive(Debug, Message)]
#[rtype(result = "Reached")]
pub struct Broadcast {
    /// The group or mask.
    pub target: Target,
    /// What is sent.
    pub content: Content,
    /// Its part of the hub's window; `None` for the few messages of a server that are bounded otherwise.
    pub permit: Option<Permit>,
}

/// Sends a message to a group that must exist.
#[derive(Debug, Message)]
#[rtype(result = "Result<Reached, Refusal>")]
pub struct BroadcastTo {
    /// The group.
    pub group: GroupName,
    /// What is sent.
    pub content: Content,
    /// Its part of the hub's window.
    pub permit: Option<Permit>,
}

/// Whom a [`Send`] is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receiver {
    /// One connection.
    Connection(ConnectionId),
    /// Every connection of a user.
    User(UserId),
}

/// Sends a message from the server to a connection or to a user; tells how many connections it went to.
#[derive(Debug, Message)]
#[rtype(result = "usize")]
pub struct Send {
    /// Whom it is for.
    pub to: Receiver,
    /// What is sent.
    pub content: Content,
    /// Its part of the hub's window.
    pub permit: Option<Permit>,
}

/// Ends connections; tells how many.
#[derive(Debug, Message)]
#[rtype(result = "usize")]
pub struct Close {
    /// Whose connections.
    pub of: Receiver,
    /// Why.
    pub reason: Reason,
}

/// One page of the members of a group, by connection id.
#[derive(Message)]
#[rtype(result = "Result<MembersPage<U>, Refusal>")]
pub struct Members<U: 'static> {
    /// The group.
    pub group: GroupName,
    /// Behind this connection.
    pub after: Option<ConnectionId>,
    /// At most this many.
    pub limit: usize,
    /// Names the user-data type of the hub.
    pub user: std::marker::PhantomData<U>,
}

impl<U: 'static> Members<U> {
    /// The first page.
    pub fn new(group: GroupName, limit: usize) -> Self {
        Members { group, after: None, limit, user: std::marker::PhantomData }
    }
}

/// The answer to [`Members`].
pub struct MembersPage<U> {
    /// The members with their user data.
    pub members: Vec<Arc<Connection<U>>>,
    /// Whether there are more behind the last.
    pub more: bool,
    /// How many connections hear the group by a joined mask only.
    pub listeners: usize,
}

/// One page of the groups of a hub, by name, with their number of members.
#[derive(Debug, Message)]
#[rtype(result = "GroupsPage")]
pub struct Groups {
    /// Only these.
    pub among: Option<Target>,
    /// Behind this name.
    pub after: Option<GroupName>,
    /// At most this many.
    pub limit: usize,
}

/// The answer to [`Groups`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupsPage {
    /// Names and numbers of members.
    pub groups: Vec<(GroupName, usize)>,
    /// Whether there are more behind the last.
    pub more: bool,
}

/// How many groups and connections a broadcast to `target` would reach now.
#[derive(Debug, Message)]
#[rtype(result = "Counted")]
pub struct Count {
    /// The group or mask.
    pub target: Target,
}

/// The answer to [`Count`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Existing groups.
    pub groups: usize,
    /// Members and listeners, each counted once.
    pub connections: usize,
}

/// Has the events of the hub sent to a recipient, which must not slow it down: what its mailbox refuses is counted.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Listen<U: 'static>(pub Recipient<Event<U>>)
where
    U: std::marker::Send + Sync;
