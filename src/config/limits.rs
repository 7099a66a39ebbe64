//! Bounds on what one connection, and all of them together, may take.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::units::{bytes, duration};

/// The section `limits`. Every limit is at least one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct LimitsConfig {
    /// Largest WebSocket frame from a client; a larger one is refused by its header, before its data is read (1009).
    ///
    /// Default `1MiB`, because clients send a message as one frame; `FOLKMOOT__LIMITS__MAX_FRAME_BYTES`.
    #[serde(with = "bytes")]
    pub max_frame_bytes: usize,
    /// Largest message from a client, put together from its fragments (1009).
    ///
    /// Default `1MiB`, as the Web PubSub service; `FOLKMOOT__LIMITS__MAX_MESSAGE_BYTES`.
    #[serde(with = "bytes")]
    pub max_message_bytes: usize,
    /// Fragments of one message: each costs a frame's work, however small it is (1009).
    ///
    /// Default 1024; `FOLKMOOT__LIMITS__MAX_FRAGMENTS`.
    pub max_fragments: usize,
    /// Nesting of JSON from a client, which a parser pays for with its stack.
    ///
    /// Default 64; `FOLKMOOT__LIMITS__JSON_DEPTH`.
    pub json_depth: usize,
    /// Bytes that may wait for one connection to read them; beyond it, it is closed as a slow consumer (1008).
    ///
    /// Default `1MiB`: a second of a busy group, and a thousand stalled clients are one GiB.
    /// `FOLKMOOT__LIMITS__OUTBOUND_BYTES`.
    #[serde(with = "bytes")]
    pub outbound_bytes: usize,
    /// Messages that may wait for one connection.
    ///
    /// Default 4096: a queue of small messages costs more than their bytes. `FOLKMOOT__LIMITS__OUTBOUND_MESSAGES`.
    pub outbound_messages: usize,
    /// How long a connection may leave what was written to it unread before it is dropped.
    ///
    /// Default `10s`; `FOLKMOOT__LIMITS__WRITE_TIMEOUT`.
    #[serde(with = "duration")]
    pub write_timeout: Duration,
    /// Connections at the same time; the next is answered 503. Each takes 2–3 KiB and a file descriptor.
    ///
    /// The process's limit of descriptors (`ulimit -n`) is raised at the start where that is allowed. Where it is too low
    /// nevertheless, fewer connections are let in than this, so that others can still ask for `/health`.
    ///
    /// Default 20000; `FOLKMOOT__LIMITS__CONNECTIONS`.
    pub connections: usize,
    /// Upgrade requests under way: not yet authenticated or not yet registered; the next is answered 503.
    ///
    /// Default 1024; `FOLKMOOT__LIMITS__PENDING_HANDSHAKES`.
    pub pending_handshakes: usize,
    /// How long an upgrade request may take, from its head to the `connected` message.
    ///
    /// Default `10s`: longer than the store and the hooks are given. `FOLKMOOT__LIMITS__HANDSHAKE_TIMEOUT`.
    #[serde(with = "duration")]
    pub handshake_timeout: Duration,
    /// Groups that one connection may be in.
    ///
    /// Default 100; `FOLKMOOT__LIMITS__GROUPS_PER_CONNECTION`.
    pub groups_per_connection: usize,
    /// Masks that one connection may listen to: every publish is compared with those that share its prefix.
    ///
    /// Default 10; `FOLKMOOT__LIMITS__MASKS_PER_CONNECTION`.
    pub masks_per_connection: usize,
    /// Groups that may exist in one hub.
    ///
    /// Default 1000000, some hundred megabytes with usual names; `FOLKMOOT__LIMITS__GROUPS_PER_HUB`.
    pub groups_per_hub: usize,
    /// Frames of one connection that wait for their answer; beyond it, no more is read from its socket.
    ///
    /// Default 16; `FOLKMOOT__LIMITS__REQUESTS_IN_FLIGHT`.
    pub requests_in_flight: usize,
    /// Group names per second that the masks of one connection may be compared with.
    ///
    /// Default 500000, some hundredths of the registry's time; `FOLKMOOT__LIMITS__MASK_SCAN_PER_SECOND`.
    pub mask_scan_per_second: usize,
    /// Most entries of one page of a list (members, groups).
    ///
    /// Default 200; `FOLKMOOT__LIMITS__LIST_PAGE`.
    pub list_page: usize,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        LimitsConfig {
            max_frame_bytes: 1 << 20,
            max_message_bytes: 1 << 20,
            max_fragments: 1024,
            json_depth: 64,
            outbound_bytes: 1 << 20,
            outbound_messages: 4096,
            write_timeout: Duration::from_secs(10),
            connections: 20_000,
            pending_handshakes: 1024,
            handshake_timeout: Duration::from_secs(10),
            groups_per_connection: 100,
            masks_per_connection: 10,
            groups_per_hub: 1_000_000,
            requests_in_flight: 16,
            mask_scan_per_second: 500_000,
            list_page: 200,
        }
    }
}
