//! `folkmoot config …`: looks at a configuration, or writes one to begin with, and starts nothing.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::text::printable;
use super::{Failure, Settings};
use crate::config::{DEFAULT_FILE, Listed, Loaded};

/// The commented configuration, as it is shipped.
const SHIPPED: &str = include_str!("../../config.yaml");

/// Widest column of keys and values before their origin; longer ones stand out.
const MAX_COLUMN: usize = 56;

const SHOW_EXAMPLES: &str = "\
Examples:
  folkmoot config show
  folkmoot config show --origin | grep -v '# default'
  FOLKMOOT__LIMITS__CONNECTIONS=50 folkmoot config show --json | jq .limits.connections
  folkmoot config show --origin --json | jq -r 'select(.origin != \"default\") | .key'

Secrets (access keys, the password of users.database) are shown as ***. A running server may have begun with another \
configuration: this is what one would begin with now.";

const INIT_EXAMPLES: &str = "\
Examples:
  folkmoot config init
  folkmoot config init /etc/folkmoot/config.yaml
  folkmoot config init - | less";

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Read file, environment and flags as the server would, and say what is wrong
    ///
    /// Prints one line and ends with status 0, or prints every mistake with its place and ends with status 78.
    Check,
    /// Print the configuration in effect: defaults, file, environment and flags together
    #[command(after_help = SHOW_EXAMPLES)]
    Show(ShowArgs),
    /// Write a configuration with every key, its default and its reason, to begin with
    #[command(after_help = INIT_EXAMPLES)]
    Init(InitArgs),
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// One key a line, each with where its value comes from
    #[arg(long)]
    origin: bool,
    /// As JSON: one object; with --origin an object a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// Where to; - prints it
    #[arg(default_value = DEFAULT_FILE)]
    file: PathBuf,
    /// Write over a file that is there
    #[arg(long)]
    force: bool,
}

pub(super) fn run(command: &ConfigCommand, settings: Settings) -> Result<(), Failure> {
    let done = match command {
        ConfigCommand::Check => check(&settings.load()?),
        ConfigCommand::Show(args) => show(args, &settings.load()?),
        ConfigCommand::Init(args) => init(&args.file, args.force),
    };
    Ok(super::unless_nobody_reads(done)?)
}

fn check(loaded: &Loaded) -> anyhow::Result<()> {
    let out = &mut io::stdout();
    let told = match &loaded.file {
        Some(file) => writeln!(out, "ok: {}", file.display()),
        None => writeln!(out, "ok: no file, the defaults hold"),
    };
    told.context("standard output cannot be written")
}

fn show(args: &ShowArgs, loaded: &Loaded) -> anyhow::Result<()> {
    let out = &mut io::stdout().lock();
    match (args.origin, args.json) {
        (false, false) => write!(out, "{}", serde_saphyr::to_string(&loaded.config)?)?,
        (false, true) => writeln!(out, "{}", serde_json::to_string_pretty(&loaded.config)?)?,
        (true, json) => {
            for Listed { key, value, origin, .. } in loaded.list() {
                if json {
                    writeln!(out, "{}", json!({ "key": key, "value": value, "origin": origin }))?;
                } else {
                    let setting = format!("{key}: {}", written(&value));
                    writeln!(out, "{setting:<MAX_COLUMN$}  # {}", printable(&origin))?;
                }
            }
        }
    }
    Ok(())
}

/// A value as one would write it after `--set key=`.
fn written(value: &Value) -> String {
    match value {
        Value::String(text) => printable(text).into_owned(),
        value => value.to_string(),
    }
}

fn init(file: &Path, force: bool) -> anyhow::Result<()> {
    if file.as_os_str() == "-" {
        io::stdout().write_all(SHIPPED.as_bytes())?;
        return Ok(());
    }
    let mut options = OpenOptions::new();
    options.write(true);
    let options = if force { options.create(true).truncate(true) } else { options.create_new(true) };
    match options.open(file).and_then(|mut opened| opened.write_all(SHIPPED.as_bytes())) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            bail!("{} is there already; --force writes over it", file.display());
        }
        Err(error) => bail!("{} cannot be written: {error}", file.display()),
    }
    let out = &mut io::stdout();
    writeln!(out, "{} is written. Lines marked DEMO let everybody on this machine in:", file.display())?;
    writeln!(out, "delete them before others use it. `folkmoot config check` tells whether it is right.")?;
    Ok(())
}
