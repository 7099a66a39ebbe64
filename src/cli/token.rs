//! `folkmoot token`: tokens under the access key of the configuration, made and looked at without asking a server.
//!
//! What is printed on the standard output are secrets, which is what these commands are for; nothing is logged.

mod check;
mod foreign;
mod new;

use std::io::{self, Write};

use clap::{Args, Subcommand};

use super::place;
use crate::auth::host::BaseUrl;
use crate::config::Config;

const EXAMPLES: &str = "\
They use the access key of the configuration, or the one that the server made in its data folder: run them where the \
server runs, as its user, or set FOLKMOOT__AUTH__ACCESS_KEYS.";

const CONNECTION_STRING_EXAMPLES: &str = "\
Examples:
  folkmoot token connection-string
  export WebPubSubConnectionString=\"$(folkmoot token connection-string --endpoint https://chat.example.com)\"

Whoever has it may do everything: keep it where you keep passwords. The SDKs take it as the connection string of
Azure Web PubSub.";

/// Make tokens, look at them, and tell what an SDK connects with
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Sign a token for a client of a hub, or for the HTTP API
    New(Box<new::NewArgs>),
    /// Tell what a token says, and whether this server would take it
    Check(check::CheckArgs),
    /// Print the endpoint and the access key as the Web PubSub SDKs want them
    #[command(after_help = CONNECTION_STRING_EXAMPLES)]
    ConnectionString {
        /// The URL under which the SDKs reach the server [default: the first of server.public_urls, or the listener]
        #[arg(long, value_name = "URL", value_parser = BaseUrl::parse)]
        endpoint: Option<BaseUrl>,
    },
}

pub(super) fn run(args: TokenArgs, config: &Config) -> anyhow::Result<()> {
    super::unless_nobody_reads(match args.command {
        TokenCommand::New(args) => args.run(config),
        TokenCommand::Check(args) => args.run(config),
        TokenCommand::ConnectionString { endpoint } => connection_string(endpoint, config),
    })
}

fn connection_string(endpoint: Option<BaseUrl>, config: &Config) -> anyhow::Result<()> {
    let endpoint = endpoint.map_or_else(|| place::public_url(config), Ok)?;
    let keys = place::access_keys(config)?;
    writeln!(io::stdout(), "Endpoint={endpoint};AccessKey={};Version=1.0;", keys.expose_signing())?;
    Ok(())
}
