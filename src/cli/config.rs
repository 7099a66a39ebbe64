//! `folkmoot config …`: looks at a configuration and starts nothing.

use std::io::{self, Write};

use anyhow::Context;
use clap::Subcommand;

use super::{Failure, Settings};

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Read file, environment and flags as the server would, and say what is wrong
    ///
    /// Prints one line and ends with status 0, or prints every mistake with its place and ends with status 78.
    Check,
}

pub(super) fn run(command: &ConfigCommand, settings: Settings) -> Result<(), Failure> {
    match command {
        ConfigCommand::Check => {
            let loaded = settings.load()?;
            let out = &mut io::stdout();
            let told = match loaded.file {
                Some(file) => writeln!(out, "ok: {}", file.display()),
                None => writeln!(out, "ok: no file, the defaults hold"),
            };
            Ok(told.context("standard output cannot be written")?)
        }
    }
}
