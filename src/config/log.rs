//! How much is logged, and how.

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
    /// How lines are written.
    ///
    /// Default `auto`; `FOLKMOOT__LOG__FORMAT`.
    pub format: LogFormat,
}

/// How log lines are written to standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// As text at a terminal, else as JSON: what is no terminal is a collector of logs.
    Auto,
    /// As text: the message, then the fields as `key=value`.
    Text,
    /// As JSON: one object per line, with `time`, `level`, `target`, `message`, and the fields.
    Json,
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig { level: LevelFilter::Info, format: LogFormat::Auto }
    }
}

fn lower_case<S: serde::Serializer>(level: &LevelFilter, serializer: S) -> Result<S::Ok, S::Error> {
    text::serialize(&level.as_str().to_lowercase(), serializer)
}
