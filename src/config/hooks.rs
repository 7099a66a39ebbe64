//! What hooks may take: time, threads, waiting notifications.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::units::duration;

/// The section `hooks`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HooksConfig {
    /// How long a connection waits for the answer of `authenticate`, `connect` or `message`; a late one is a refusal.
    ///
    /// Default `5s`; `FOLKMOOT__HOOKS__TIMEOUT`.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// Notifications (`client_added`, `client_removed`, `disconnect`) that may wait in one hub; beyond it the newest are
    /// dropped, counted and logged.
    ///
    /// Default 8192; `FOLKMOOT__HOOKS__QUEUE`.
    pub queue: usize,
    /// Threads that hooks run on. A hook that blocks holds one of them.
    ///
    /// Default 4; `FOLKMOOT__HOOKS__THREADS`.
    pub threads: usize,
    /// Awaited calls under way at the same time; the next is refused.
    ///
    /// Default 256; `FOLKMOOT__HOOKS__CONCURRENCY`.
    pub concurrency: usize,
}

impl Default for HooksConfig {
    fn default() -> Self {
        HooksConfig { timeout: Duration::from_secs(5), queue: 8192, threads: 4, concurrency: 256 }
    }
}
