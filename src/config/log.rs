//! How much is logged.

use log::LevelFilter;
use serde::{Deserialize, Serialize};

use super::units::text;

/// The section `log`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct LogConfig {
    /// The least important lines still written: `off`, `error`, `warn`, `info`, `debug` or `trace`. The variable
    /// `RUST_LOG`, where set, wins and can name modules.
    ///
    /// Default `info`; `FOLKMOOT__LOG__LEVEL`.
    #[serde(serialize_with = "lower_case", deserialize_with = "text::deserialize")]
    pub level: LevelFilter,
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig { level: LevelFilter::Info }
    }
}

fn lower_case<S: serde::Serializer>(level: &LevelFilter, serializer: S) -> Result<S::Ok, S::Error> {
    text::serialize(&level.as_str().to_lowercase(), serializer)
}
