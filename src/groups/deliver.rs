//! What a registry says to the fan-outs.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix::{Addr, Message};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::fanout::Fanout;
use super::inner::Probe;
use super::membership::{Audience, Place};
use super::messages::{Content, Refusal};
use super::window::Permit;
use crate::error::Disconnect as Reason;
use crate::ids::{ConnectionId, GroupName, UserId};
use crate::mask::Mask;
use crate::outbound::Replay;
use crate::protocol::json::{EncodedTail, GroupMessage};

/// The answer to a client's request.
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
    /// Others who do not get it.
    pub excluded: Vec<Place>,
    /// Who alone gets it, where not everybody does: those that passed a filter.
    pub only: Option<Arc<HashSet<ConnectionId>>>,
    /// What is sent.
    pub content: Content,
    /// The `announcement` property, which also makes it one that may be dropped.
    pub announcement: Option<Box<RawValue>>,
    /// Given back when the last fan-out has written it.
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

/// Has a connection go on by another socket.
#[derive(Debug)]
pub struct HandOver {
    /// Where it was.
    pub slot: u32,
    /// The connection.
    pub id: ConnectionId,
    /// What it hears.
    pub audiences: Vec<Audience>,
    /// Who serves it from now on.
    pub to: Addr<Fanout>,
    /// Where that is.
    pub to_slot: u32,
}

/// What one fan-out hands over to another, or to itself.
pub struct Resume {
    /// Where the connection is now.
    pub slot: u32,
    /// The connection.
    pub id: ConnectionId,
    /// What its peer may not have received; or why it was over already.
    pub replay: Result<Box<Replay>, Reason>,
    /// Its place among the connections that the server allows.
    pub seat: Option<Box<dyn Send>>,
}

impl fmt::Debug for Resume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resume").field("slot", &self.slot).field("id", &self.id).finish_non_exhaustive()
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
    /// Make a connection that goes on here part of everything that it hears.
    Adopt { slot: u32, audiences: Vec<Audience> },
    /// Hand a connection over to where it goes on.
    HandOver(Box<HandOver>),
    /// Go on with a connection; this comes from the fan-out that had it.
    Resume(Box<Resume>),
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
    /// Tell how long a message waits.
    Probe(Probe),
}
