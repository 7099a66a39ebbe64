//! `folkmoot close`: ends connections.

use actix_web::http::Method;
use clap::builder::NonEmptyStringValueParser;
use clap::{ArgGroup, Args};

use super::Failure;
use super::remote::{self, RemoteArgs};
use crate::config::Config;

const EXAMPLES: &str = "\
Examples:
  folkmoot close a8248c4cd8bbe37c9c910fa303a102d6
  folkmoot close --user mark --reason 'See you tomorrow'
  folkmoot close --group 'sales/*' --kick

A client may connect again; `folkmoot user disable LOGIN` keeps a user of the store out. A user or a group without \
connections is no error.";

/// Close a connection, or those of a user or a group
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{}", remote::EXIT_STATUS))]
#[command(group = ArgGroup::new("whom").required(true).args(["connection", "user", "group"]))]
pub struct CloseArgs {
    /// The connection
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    connection: Option<String>,
    /// All connections of this user
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    user: Option<String>,
    /// All members of this group, or of those that this mask means
    #[arg(long, value_name = "GROUP|MASK", value_parser = NonEmptyStringValueParser::new())]
    group: Option<String>,
    /// What the clients are told
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// With close code 1008 instead of 1000, after which SDKs do not try to come back by themselves
    #[arg(long)]
    kick: bool,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(super) fn run(args: &CloseArgs, config: &Config) -> Result<(), Failure> {
    let CloseArgs { connection, user, group, reason, kick, remote } = args;
    remote::run(remote, config, async |remote| {
        let (method, path) = match (connection, user, group) {
            (Some(connection), ..) => {
                let path = remote.hub().word("connections").name(connection);
                // Closing what is not there succeeds, for the sake of those who try twice; a person may have mistyped.
                remote.ask(Method::GET, path.clone(), None).await?;
                (Method::DELETE, path)
            }
            (_, Some(user), _) => (Method::POST, remote.hub().word("users").name(user).word(":closeConnections")),
            (.., group) => {
                let group = group.as_deref().unwrap_or_default();
                (Method::POST, remote.hub().word("groups").name(group).word(":closeConnections"))
            }
        };
        let path = path.query_if("reason", reason.as_deref()).query_if("kick", kick.then_some("true"));
        remote.ask(method, path, None).await.map(drop)
    })
}
