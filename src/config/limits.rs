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
    /// Messages per second that one connection may send, those that are refused, pings and pongs included; a second's worth
    /// may come at once. Beyond it, it is closed (1008 "rate limit").
    ///
    /// Default 5000: far more than an application sends, and twenty such connections are what one core parses.
    /// `FOLKMOOT__LIMITS__MESSAGES_PER_SECOND`.
    pub messages_per_second: usize,
    /// Bytes per second that one connection may send, frame headers included, in the same way. A message that is larger than
    /// this passes, and has to be paid for before the next.
    ///
    /// Default `32MiB`: a quarter of a gigabit, and thirty-two of the largest messages.
    /// `FOLKMOOT__LIMITS__BYTES_PER_SECOND`.
    #[serde(with = "bytes")]
    pub bytes_per_second: usize,
    /// Bytes that may wait for one connection to read them; beyond it, it is closed as a slow consumer (1008).
    ///
    /// Default `4MiB`: a few of the largest messages, and 250 stalled clients are one GiB. At least twice
    /// `max_message_bytes`, so that who is behind by one large message is not closed by the next.
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
    /// Connections of one user at the same time, in all hubs together; the next is answered 429.
    ///
    /// Default 100: a person has some devices with some tabs each, and who is announced per user is looked for among all
    /// connections of that user. `FOLKMOOT__LIMITS__CONNECTIONS_PER_USER`.
    pub connections_per_user: usize,
    /// Connections of one client address (IPv6: one /64) at the same time; the next is answered 429.
    ///
    /// Default 10000, half of all: an office behind one address needs hundreds, and behind a proxy that is not in
    /// `server.trusted_proxies` everybody has one address. `FOLKMOOT__LIMITS__CONNECTIONS_PER_ADDRESS`.
    pub connections_per_address: usize,
    /// Connections to the server's own port that are not WebSockets: requests, and clients that have not asked for
    /// anything yet. When another comes, the one that has been there longest is closed for it.
    ///
    /// Default 4096: a burst of reconnects after a restart, far more than probes and logins need. Not of a mounted server,
    /// whose `HttpServer` has settings of its own, as of the next two.
    /// `FOLKMOOT__LIMITS__HTTP_CONNECTIONS`.
    pub http_connections: usize,
    /// How long such a connection has for the head of its first request.
    ///
    /// Default `5s`; `FOLKMOOT__LIMITS__HTTP_HEAD_TIMEOUT`.
    #[serde(with = "duration")]
    pub http_head_timeout: Duration,
    /// How long such a connection is kept for its next request.
    ///
    /// Default `15s`, as long as probes and scrapers leave between two; `FOLKMOOT__LIMITS__HTTP_KEEP_ALIVE`.
    #[serde(with = "duration")]
    pub http_keep_alive: Duration,
    /// Upgrade requests under way: not yet authenticated or not yet registered; the next is answered 503. Under
    /// TLS also as many handshakes of TLS, of which the one that has taken longest is closed for the next.
    ///
    /// Default 1024; `FOLKMOOT__LIMITS__PENDING_HANDSHAKES`.
    pub pending_handshakes: usize,
    /// How long an upgrade request may take, from its head to the `connected` message, and how long the form of a login or
    /// a TLS handshake.
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
    /// Different masks that may be listened to in one hub: a new group's name is compared with those that share its prefix.
    ///
    /// Default 10000, as many as a thousand connections may have; `FOLKMOOT__LIMITS__MASKS_PER_HUB`.
    pub masks_per_hub: usize,
    /// Frames of one connection that wait for their answer; beyond it, no more is read from its socket.
    ///
    /// Default 16; `FOLKMOOT__LIMITS__REQUESTS_IN_FLIGHT`.
    pub requests_in_flight: usize,
    /// Group names per second that the masks of one connection may be compared with, and members that its questions may
    /// count.
    ///
    /// Default 500000, some hundredths of the registry's time; `FOLKMOOT__LIMITS__MASK_SCAN_PER_SECOND`.
    pub mask_scan_per_second: usize,
    /// Most entries of one page of a list (members, groups).
    ///
    /// Default 200; `FOLKMOOT__LIMITS__LIST_PAGE`.
    pub list_page: usize,
    /// Requests to the HTTP API whose `Idempotency-Key` is remembered; beyond it, the oldest is forgotten.
    ///
    /// Default 10000, some megabytes: a back end's retries of minutes; `FOLKMOOT__LIMITS__IDEMPOTENCY_KEYS`.
    pub idempotency_keys: usize,
    /// For how long it is.
    ///
    /// Default `10m`: longer than clients try again; `FOLKMOOT__LIMITS__IDEMPOTENCY_TTL`.
    #[serde(with = "duration")]
    pub idempotency_ttl: Duration,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        LimitsConfig {
            max_frame_bytes: 1 << 20,
            max_message_bytes: 1 << 20,
            max_fragments: 1024,
            json_depth: 64,
            messages_per_second: 5000,
            bytes_per_second: 32 << 20,
            outbound_bytes: 4 << 20,
            outbound_messages: 4096,
            write_timeout: Duration::from_secs(10),
            connections: 20_000,
            connections_per_user: 100,
            connections_per_address: 10_000,
            http_connections: 4096,
            http_head_timeout: Duration::from_secs(5),
            http_keep_alive: Duration::from_secs(15),
            pending_handshakes: 1024,
            handshake_timeout: Duration::from_secs(10),
            groups_per_connection: 100,
            masks_per_connection: 10,
            groups_per_hub: 1_000_000,
            masks_per_hub: 10_000,
            requests_in_flight: 16,
            mask_scan_per_second: 500_000,
            list_page: 200,
            idempotency_keys: 10_000,
            idempotency_ttl: Duration::from_secs(600),
        }
    }
}
