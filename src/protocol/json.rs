//! The JSON subprotocol `json.webpubsub.azure.v1`: reading what clients write, and writing what they read.

mod read;
mod write;

pub use read::{ParseOptions, check_metadata, parse};
pub(super) use write::write_string;
pub use write::{
    EncodedTail, GroupMessage, SEQUENCE_ID, ack_error, ack_ok, connected, disconnected, dropped, group_message, pong,
    sequenced, server_message,
};
