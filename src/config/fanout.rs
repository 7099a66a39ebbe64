//! How much may be under way between the registry and the connections.

use serde::{Deserialize, Serialize};

use super::units::bytes;

/// The section `fanout`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct FanoutConfig {
    /// Publishes of one hub between the sessions and the sockets, in bytes, each counted with a fixed overhead and with
    /// 512 bytes for every receiver. Beyond it publishers wait for their turn, and nothing more is read from them.
    ///
    /// Default `16MiB`: sixteen of the largest messages, or 32,768 deliveries, which are some hundredths of a second;
    /// `FOLKMOOT__FANOUT__WINDOW_BYTES`.
    #[serde(with = "bytes")]
    pub window_bytes: usize,
}

impl Default for FanoutConfig {
    fn default() -> Self {
        FanoutConfig { window_bytes: 16 << 20 }
    }
}
