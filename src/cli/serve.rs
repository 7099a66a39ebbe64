//! `folkmoot serve`: runs the server until a signal ends it.

use crate::config::Config;

/// Placeholder until the server itself is merged.
pub(super) fn run(_config: Config) -> anyhow::Result<()> {
    anyhow::bail!("this build has no server yet")
}
