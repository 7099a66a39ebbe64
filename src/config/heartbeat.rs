//! How soon a peer that is gone without a word is noticed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::units::duration;

/// The section `heartbeat`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HeartbeatConfig {
    /// How long a connection may be silent before it is pinged.
    ///
    /// Default `25s`: below the half minute after which many proxies drop a silent connection.
    /// `FOLKMOOT__HEARTBEAT__PING_INTERVAL`.
    #[serde(with = "duration")]
    pub ping_interval: Duration,
    /// How long a pinged connection has for any sign of life. Time in which the server itself was not reading does not
    /// count. At most `ping_interval`, so that one ping is under way at a time.
    ///
    /// Default `20s`; `FOLKMOOT__HEARTBEAT__PONG_TIMEOUT`.
    #[serde(with = "duration")]
    pub pong_timeout: Duration,
    /// How long the kernel may wait for the peer to confirm data (`TCP_USER_TIMEOUT`; Linux only).
    ///
    /// Default `30s`; `FOLKMOOT__HEARTBEAT__TCP_USER_TIMEOUT`.
    #[serde(with = "duration")]
    pub tcp_user_timeout: Duration,
}

impl Default for HeartbeatConfig {
    fn default() -> Self {
        HeartbeatConfig {
            ping_interval: Duration::from_secs(25),
            pong_timeout: Duration::from_secs(20),
            tcp_user_timeout: Duration::from_secs(30),
        }
    }
}
