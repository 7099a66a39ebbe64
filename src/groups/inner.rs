//! What the server's own parts say to the registry: sessions for their clients, announcements, the end of a hub.
//!
//! Not for others: permissions and bounds are the business of those who send these.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Addr, Message, Recipient};
use serde_json::value::RawValue;

use super::fanout::Fanout;
use super::membership::Place;
use super::messages::{Connect, Content, Disconnect, Refusal};
use super::registry::RegistrySettings;
use super::watch::Watcher;
use super::window::Permit;
use crate::error::Disconnect as Reason;
use crate::event::{Connection, Event};
use crate::ids::{ConnectionId, GroupName, Target, UserId};
use crate::outbound::Moment;
use crate::user::UserData;

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

/// What the sessions of one worker said to the registry in one turn of their thread, in that order.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Turn<U: UserData>(pub Vec<FromSession<U>>);

/// What a session says to the registry.
pub enum FromSession<U: UserData> {
    /// Its connection is there.
    Connect(Connect<U>),
    /// Its connection goes on by another socket.
    Recover(Recover),
    /// What its client asks for.
    Request(Request),
    /// Its connection is gone.
    Disconnect(Disconnect),
}

/// Asks for a connection that somebody wants to go on with by another socket; `None` where that cannot be.
#[derive(Message)]
#[rtype(result = "Option<Claimed<U>>")]
pub struct Claim<U: UserData> {
    /// The connection.
    pub connection: ConnectionId,
    /// Names the user-data type of the hub.
    pub user: PhantomData<U>,
}

/// A connection that may go on by another socket. Nothing has happened to it yet.
pub struct Claimed<U> {
    /// The connection.
    pub connection: Arc<Connection<U>>,
    /// The number of the next socket; the latest claim that is made use of wins.
    pub incarnation: u32,
    /// When it has to end, where its token's expiry counts.
    pub expires_at: Option<Moment>,
}

/// Has a connection go on where its new socket is served.
#[derive(Debug)]
pub struct Recover {
    /// The connection.
    pub connection: ConnectionId,
    /// The number that the claim was given.
    pub incarnation: u32,
    /// Where it is served from now on.
    pub place: Place,
    /// The fan-out that serves it there.
    pub fanout: Addr<Fanout>,
}

/// What a client asks for itself: permissions and limits apply, and the answer comes by its fan-out.
#[derive(Debug)]
pub struct Request {
    /// The client's connection.
    pub connection: ConnectionId,
    /// By which of its sockets it asks, and is answered.
    pub incarnation: u32,
    /// The number of the ack it wants.
    pub ack_id: Option<u64>,
    /// What it wants.
    pub command: Command,
}

/// The kinds of [`Request`].
#[derive(Debug)]
pub enum Command {
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
pub struct Publish {
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
pub struct IsDuplicate {
    pub connection: ConnectionId,
    pub ack_id: u64,
}

/// The store users who have a connection here.
#[derive(Debug, Message)]
#[rtype(result = "Vec<UserId>")]
pub struct StoreUsers;

/// Ends the connections that a store user has logged in with, whoever they were made since, and not those of a token whose
/// `sub` happens to be the same.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct EndStoreUser {
    pub login: UserId,
    pub reason: Reason,
}

/// The hub has ended: its registry stops when everything sent before is done and the last connection is out of it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Retire;

/// The configuration has changed.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Reconfigure(pub RegistrySettings);

/// As [`Listen`](super::messages::Listen), for those of the server's own that take an event off `hook_queue` when they
/// get to it.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ListenAsOwn<U: UserData>(pub Recipient<Event<U>>);

/// Has somebody see what happens in the hub, as long as they look.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Watch(pub Watcher);

/// Does nothing but wait its turn, so that it is known how long that takes.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct Probe {
    sent: Instant,
    /// As many holders as probes are under way, and one more.
    #[expect(dead_code, reason = "held to be counted")]
    round: Arc<()>,
}

impl Probe {
    /// A probe that is sent now.
    pub fn new(round: &Arc<()>) -> Self {
        Probe { sent: Instant::now(), round: round.clone() }
    }

    /// How long it has waited.
    pub fn waited(&self) -> Duration {
        self.sent.elapsed()
    }
}
