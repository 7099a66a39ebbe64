//! How long the server takes to say goodbye.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::units::duration;

/// The section `shutdown`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ShutdownConfig {
    /// The longest that a shutdown takes. Connections are closed spread over the first half of it, so that their clients
    /// do not all come back at once.
    ///
    /// Default `10s`, as long as container managers wait; `FOLKMOOT__SHUTDOWN__TIMEOUT`.
    #[serde(with = "duration")]
    pub timeout: Duration,
}

impl Default for ShutdownConfig {
    fn default() -> Self {
        ShutdownConfig { timeout: Duration::from_secs(10) }
    }
}
