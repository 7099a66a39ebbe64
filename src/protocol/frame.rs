//! What a client says, whichever way it is written: names, targets and limits are checked, permissions are not.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use crate::error::{Disconnect, DisconnectKind};
use crate::ids::{GroupName, Target};
use crate::protocol::data::Data;

/// Longest event name, in characters (Web PubSub emulator).
pub const MAX_EVENT_NAME_CHARS: usize = 128;
/// Most entries on a page of members or groups, and how many there are if the client does not say.
pub const MAX_PAGE: u16 = 200;
/// Longest continuation token, in bytes. Ours hold at most one group name, which may be 4 KiB before base64.
pub const MAX_CONTINUATION_TOKEN_BYTES: usize = 8 * 1024;
/// Longest life of a message, in seconds (Web PubSub emulator).
pub const MAX_TTL_SECONDS: u16 = 300;

/// A frame of a client, read and checked.
///
/// A frame without `ackId` wants no answer. Questions always have one, since their answer is the ack.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientFrame {
    /// Become a member of a group, or a listener of a mask.
    JoinGroup {
        /// The group or mask.
        target: Target,
        /// What the ack refers to.
        ack_id: Option<u64>,
    },
    /// Stop being one.
    LeaveGroup {
        /// The group or mask.
        target: Target,
        /// What the ack refers to.
        ack_id: Option<u64>,
    },
    /// Publish to a group, or to all groups that a mask matches.
    SendToGroup {
        /// The group or mask.
        target: Target,
        /// The payload.
        data: Data,
        /// Properties for the receivers: the text of a JSON object from string to string, as it came.
        metadata: Option<Bytes>,
        /// Whether the sender goes without a copy.
        no_echo: bool,
        /// Whether a group that does not exist is an error.
        must_exist: bool,
        /// After how many seconds the message need not be delivered any more.
        ttl_seconds: Option<u16>,
        /// What the ack refers to.
        ack_id: Option<u64>,
    },
    /// Something for the application behind the server.
    Event {
        /// Which event.
        name: EventName,
        /// The payload.
        data: Data,
        /// As in [`SendToGroup`](ClientFrame::SendToGroup).
        metadata: Option<Bytes>,
        /// What the ack refers to.
        ack_id: Option<u64>,
    },
    /// A sign of life, to be answered.
    Ping,
    /// Everything up to this message has arrived. Without meaning outside the reliable subprotocol; SDKs do not send it
    /// there, and one that does is not worth a close.
    SequenceAck {
        /// The last message that arrived.
        sequence_id: u64,
    },
    /// Who is in a group?
    ListMembers {
        /// The group.
        group: GroupName,
        /// Which part of the answer.
        page: Page,
        /// What the ack refers to.
        ack_id: u64,
    },
    /// Which groups are there?
    ListGroups {
        /// Only those that match.
        mask: Option<Target>,
        /// Which part of the answer.
        page: Page,
        /// What the ack refers to.
        ack_id: u64,
    },
    /// How many connections would a message reach?
    CountMembers {
        /// The group or mask.
        target: Target,
        /// What the ack refers to.
        ack_id: u64,
    },
}

/// Which part of a long answer is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Most entries, 1 to [`MAX_PAGE`].
    pub limit: u16,
    /// Where the page before ended, as that answer said. Whoever reads it must expect any text.
    pub continuation_token: Option<Box<str>>,
}

/// The name of an event: an ASCII letter, then up to 127 letters, digits, `_`, `.` or `-`. Case is kept.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EventName(Box<str>);

impl EventName {
    /// Takes an event name from outside, or `None` where it breaks the grammar.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = text.bytes();
        let valid = text.len() <= MAX_EVENT_NAME_CHARS
            && bytes.next().is_some_and(|first| first.is_ascii_alphabetic())
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
        valid.then(|| EventName(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// A frame that is not valid: answered with `BadRequest` where an `ackId` could be read, else the connection ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FrameError {
    /// What the ack refers to; known even where other fields are wrong.
    pub ack_id: Option<u64>,
    /// What is wrong, for the peer. Never repeats unbounded input.
    pub message: Cow<'static, str>,
    /// Its data is nested too deep, which is a limit and not only a mistake.
    pub too_deep: bool,
}

impl FrameError {
    /// A mistake.
    pub fn new(ack_id: Option<u64>, message: Cow<'static, str>) -> Self {
        FrameError { ack_id, message, too_deep: false }
    }
}

impl From<FrameError> for Disconnect {
    /// The end of a connection that could not be told by an ack.
    fn from(error: FrameError) -> Self {
        Disconnect::with_message(DisconnectKind::InvalidData, error.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_names_follow_the_reference_grammar() {
        for good in ["a", "Poll.start-2_x", &format!("e{}", "x".repeat(127))] {
            assert_eq!(EventName::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "1a", "_a", "a b", "é", "aé", &"x".repeat(129)] {
            assert_eq!(EventName::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_frame_error_closes_with_1007_and_its_sentence() {
        let end = Disconnect::from(FrameError::new(None, "the frame has no 'type'".into()));
        assert_eq!((end.close_code(), end.reason()), (1007, "the frame has no 'type'"));
    }
}
