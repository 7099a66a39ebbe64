//! What the frames of a client without a subprotocol mean.

use actix::Context;
use bytes::Bytes;

use super::Session;
use super::inbound::{Draft, Proposal};
use crate::error::{Disconnect, DisconnectKind, ErrorCode};
use crate::groups::messages::Refusal;
use crate::ids::Target;
use crate::protocol::{Data, DataType, Subprotocol};
use crate::user::UserData;

/// What each frame of a raw client is taken for; fixed when it connects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawMode {
    /// An event named `message`.
    Event,
    /// A publish to one group or mask.
    SendToGroup {
        /// Where to.
        target: Target,
        /// Whether the client goes without a copy.
        no_echo: bool,
    },
    /// A publish to every group that the connection is in and may send to.
    OwnGroups {
        /// Whether the client goes without a copy.
        no_echo: bool,
    },
}

impl<U: UserData> Session<U> {
    /// A message of a raw client.
    pub(super) fn on_raw(&mut self, payload: Bytes, binary: bool, ctx: &mut Context<Self>) {
        let data_type = if binary { DataType::Binary } else { DataType::Text };
        let data = match Data::from_payload(data_type, payload, self.settings.parse.max_json_depth) {
            Ok(data) => data,
            // The decoder has checked that text is UTF-8, so this cannot be the peer's doing.
            Err(_) => return self.fail(DisconnectKind::InvalidData.into()),
        };
        let (target, no_echo) = match &self.raw {
            RawMode::Event => return self.propose(Proposal::from(data), None, ctx),
            RawMode::SendToGroup { target, no_echo } => (Some(target.clone()), *no_echo),
            RawMode::OwnGroups { no_echo } => (None, *no_echo),
        };
        let draft = Draft { target, content: data.into(), no_echo, must_exist: false };
        self.propose(Proposal::Publish(draft), None, ctx);
    }

    /// An event that nobody handles: an ack for those who speak JSON, the end for a raw client (protocol 1.10).
    pub(super) fn on_unhandled(&self, ack_id: Option<u64>) {
        match self.subprotocol {
            Subprotocol::Json | Subprotocol::ReliableJson => {
                self.settle(ack_id, Err(Refusal::new(ErrorCode::NotFound, "Nobody handles this event.")));
            }
            Subprotocol::Raw => self.link.end(DisconnectKind::Unhandled.into()),
        }
    }

    /// An event that a webhook should have handled: as one that nobody handles, but trying again may help.
    pub(super) fn on_failed(&self, ack_id: Option<u64>) {
        match self.subprotocol {
            Subprotocol::Json | Subprotocol::ReliableJson => {
                let refusal =
                    Refusal::new(ErrorCode::InternalServerError, "The application could not handle this event.");
                self.settle(ack_id, Err(refusal));
            }
            Subprotocol::Raw => {
                let sentence = "the application could not handle this message";
                self.link.end(Disconnect::with_message(DisconnectKind::Unhandled, sentence));
            }
        }
    }
}
