//! What one can say to a [`GroupRegistry`](super::GroupRegistry), and what it says to the fan-outs.
//!
//! Each message names what it does in the imperative; its reply type stands right under the derive.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix::{Addr, Message, Recipient};
use bytes::Bytes;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::fanout::Fanout;
use super::membership::{Audience, Place};
use super::window::Permit;
use crate::auth::permissions::Permissions;
use crate::error::{Disconnect as Reason, ErrorCode};
use crate::event::{Connection, Event};
use crate::ids::{ConnectionId, GroupName, Target, UserId};
use crate::mask::Mask;
use crate::protocol::json::{EncodedTail, GroupMessage};
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
}

impl From<Data> for Content {
    fn from(data: Data) -> Self {
        Content { data, metadata: None }
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
    pub place: Place,
    /// The fan-out that serves it.
    pub fanout: Addr<Fanout>,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It is over.
    Final,
    /// The network is gone, the logical connection could be recovered. The plain subprotocol treats it as final.
    Lost,
}

/// Takes a connection out of all its groups. Sent once per connection, whatever ended it.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Disconnect {
    /// The connection.
    pub connection: ConnectionId,
    /// Whether it can come back.
    pub end: End,
    /// Why it ended.
    pub reason: Reason,
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

/// Tells the members of a group about one of their own. Stands below messages: dropped where a queue is over half.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Announce {
    /// The group.
    pub group: GroupName,
    /// The text.
    pub text: String,
    /// The `announcement` property: a JSON object.
    pub announcement: Box<RawValue>,
    /// Its part of the hub's window.
    pub permit: Permit,
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

/// What a client asks for itself: permissions and limits apply, and the answer comes by its fan-out.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Request {
    /// The client's connection.
    pub connection: ConnectionId,
    /// The number of the ack it wants.
    pub ack_id: Option<u64>,
    /// What it wants.
    pub command: Command,
}

/// The kinds of [`Request`].
#[derive(Debug)]
pub(crate) enum Command {
    /// Join a group or mask.
    Join(Target),
    /// Leave a group or mask.
    Leave(Target),
    /// Publish to a group or mask.
    Publish(Publish),
    /// List the members of a group.
    ListMembers { group: GroupName, after: Option<ConnectionId>, limit: usize },
    /// List groups.
    ListGroups { among: Option<Target>, after: Option<GroupName>, limit: usize },
    /// Count whom a publish would reach.
    CountMembers(Target),
    /// Nothing: the outcome was decided elsewhere and only its ack must keep its place.
    Settle(Result<(), Refusal>),
}

/// A client's publish.
#[derive(Debug)]
pub(crate) struct Publish {
    /// Where to; `None` is every group the sender is in.
    pub target: Option<Target>,
    /// What.
    pub content: Content,
    /// The sender does not hear itself.
    pub no_echo: bool,
    /// A target that reaches no existing group is an error.
    pub must_exist: bool,
    /// Its part of the hub's window.
    pub permit: Permit,
}

impl Request {
    /// Whether an answer will come by the fan-out.
    pub fn is_answered(&self) -> bool {
        self.ack_id.is_some() || !matches!(self.command, Command::Publish(_))
    }
}

/// Asks whether a request with this ack id was done already, before a hook is called for it.
#[derive(Debug, Message)]
#[rtype(result = "bool")]
pub(crate) struct IsDuplicate {
    pub connection: ConnectionId,
    pub ack_id: u64,
}

/// Has the events of the hub sent to a recipient, which must not slow it down: what its mailbox refuses is counted.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Listen<U: 'static>(pub Recipient<Event<U>>)
where
    U: std::marker::Send + Sync;

/// The store users who have a connection here.
#[derive(Debug, Message)]
#[rtype(result = "Vec<UserId>")]
pub(crate) struct StoreUsers;

/// Ends the connections of a store user, and not those of a token whose `sub` happens to be the same.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct EndStoreUser {
    pub login: UserId,
    pub reason: Reason,
}

/// The hub has ended: its registry stops when everything sent before is done.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Retire;

/// The answer to a [`Request`].
#[derive(Debug)]
pub struct Answer {
    /// The number of the ack, if one is wanted.
    pub ack_id: Option<u64>,
    /// Fields of the ack, or why not.
    pub result: Result<Option<Map<String, Value>>, Refusal>,
}

/// A publish on its way to the fan-outs, shared by all of them.
#[derive(Debug)]
pub struct Publication {
    /// Groups by name, each followed by the joined masks that hear it.
    pub audiences: Vec<(Audience, GroupName)>,
    /// The target, when it was a mask.
    pub mask: Option<Mask>,
    /// Who sent it; `None` for the server.
    pub from: Option<UserId>,
    /// Who does not get it.
    pub except: Option<Place>,
    /// What is sent.
    pub content: Content,
    /// The `announcement` property, which also makes it one that may be dropped.
    pub announcement: Option<Box<RawValue>>,
    /// Given back when the last fan-out is done.
    pub permit: Option<Permit>,
}

impl Publication {
    /// The part of the encoded message that is the same in every group.
    pub fn encode_tail(&self) -> EncodedTail {
        GroupMessage {
            from_user_id: self.from.as_ref(),
            mask: self.mask.as_ref(),
            data: &self.content.data,
            metadata: self.content.metadata.as_deref(),
            announcement: self.announcement.as_deref(),
        }
        .encode_tail()
    }
}

/// What the registry tells a fan-out, in the order in which it decided.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum Deliver {
    /// Queue a connection's first frame.
    Welcome { slot: u32, groups: Vec<GroupName> },
    /// Make a connection part of an audience.
    Join { slot: u32, audience: Audience },
    /// Take it out again.
    Leave { slot: u32, audience: Audience },
    /// Let a connection go.
    Detach { slot: u32, audiences: Vec<Audience> },
    /// Answer a request.
    Answer { slot: u32, answer: Answer },
    /// Queue a server message for some connections.
    Send { slots: Vec<u32>, content: Content, permit: Option<Arc<Permit>> },
    /// Queue a publish for everybody in its audiences.
    Publish(Arc<Publication>),
    /// End a connection.
    End { slot: u32, reason: Reason },
    /// End all connections, spread over this time, because the server goes away.
    Drain { over: Duration },
}
