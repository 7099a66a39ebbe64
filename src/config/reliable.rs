//! How reliable connections outlive their sockets.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::units::{bytes, duration};

/// The section `reliable`: the subprotocol `json.reliable.webpubsub.azure.v1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ReliableConfig {
    /// How long a connection that has lost its socket waits for its client to come back. Meanwhile it is a member of its
    /// groups, what is sent to it is kept, and nobody is told. `0s` has it end at once.
    ///
    /// Default `30s`, as long as the Web PubSub SDKs try; at most `10m`. `FOLKMOOT__RELIABLE__RECOVERY_WINDOW`.
    #[serde(with = "duration")]
    pub recovery_window: Duration,
    /// Messages of one connection that its client may leave unacknowledged; beyond it, it is closed (1008).
    ///
    /// Default 1000, as the Web PubSub service: the SDKs acknowledge every second, and sooner after 300.
    /// `FOLKMOOT__RELIABLE__BUFFER_MESSAGES`.
    pub buffer_messages: usize,
    /// Bytes of the same. For each connection: what goes to many is in memory once and counts in full for each of them. The
    /// worst case of a server, where nobody acknowledges and each is sent something of its own, is this times its
    /// connections; 64 such clients are one GiB.
    ///
    /// Default `16MiB`, as the Web PubSub service. At least `limits.max_message_bytes`.
    /// `FOLKMOOT__RELIABLE__BUFFER_BYTES`.
    #[serde(with = "bytes")]
    pub buffer_bytes: usize,
}

impl Default for ReliableConfig {
    fn default() -> Self {
        ReliableConfig { recovery_window: Duration::from_secs(30), buffer_messages: 1000, buffer_bytes: 16 << 20 }
    }
}
