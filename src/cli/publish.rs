//! `folkmoot publish`: a message to a group, a mask of groups, a user, a connection, or everybody.

use std::io::{self, IsTerminal, Read};

use actix_web::http::Method;
use anyhow::{Context, bail};
use bytes::Bytes;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serde::de::IgnoredAny;

use super::remote::{self, Remote, RemoteArgs};
use super::{EXIT_USAGE, Failure};
use crate::config::Config;

/// Most bytes that are read from the standard input; what a server takes is its `limits.max_message_bytes`.
const MAX_INPUT_BYTES: u64 = 64 * 1024 * 1024;
/// How many groups a message went to.
const DELIVERED_GROUPS: &str = "folkmoot-delivered-groups";

const EXAMPLES: &str = "\
Examples:
  folkmoot publish admin 'Hello Admin Members.'
  folkmoot publish 'sales/*' 'Hello Sales Members.' --must-exist
  uptime | folkmoot publish ops -
  folkmoot publish board --json-data '{\"price\": 12}'
  folkmoot publish --user mark 'Hello Mark.'
  folkmoot publish news --binary - < picture.png

Text from the standard input loses one line end at its end; JSON and bytes are sent as they are.";

/// Send a message to a group, a mask of groups, a user or a connection
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{}", remote::EXIT_STATUS))]
pub struct PublishArgs {
    /// The group or the mask; left out with --user, --connection or --all
    #[arg(value_name = "GROUP|MASK", value_parser = NonEmptyStringValueParser::new())]
    target: Option<String>,
    /// What to send; - or nothing reads it from the standard input
    #[arg(value_name = "TEXT")]
    text: Option<String>,
    /// Fail when the group, or every group that the mask means, does not exist
    #[arg(long, conflicts_with_all = ["user", "connection", "all"])]
    must_exist: bool,
    /// To all connections of a user
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    user: Option<String>,
    /// To one connection
    #[arg(long, value_name = "ID", conflicts_with = "user", value_parser = NonEmptyStringValueParser::new())]
    connection: Option<String>,
    /// To all connections of the hub, members or not
    #[arg(long, conflicts_with_all = ["user", "connection"])]
    all: bool,
    /// Not to this connection; may be repeated
    #[arg(long, value_name = "ID", conflicts_with = "connection")]
    exclude: Vec<String>,
    /// TEXT is JSON, and is sent as such
    #[arg(long)]
    json_data: bool,
    /// Send the bytes of TEXT as a binary message
    #[arg(long, conflicts_with = "json_data")]
    binary: bool,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// Whom a message is for.
enum Recipient<'a> {
    Groups(&'a str),
    User(&'a str),
    Connection(&'a str),
    All,
}

pub(super) fn run(args: &PublishArgs, config: &Config) -> Result<(), Failure> {
    let (recipient, text) =
        args.words().map_err(|mistake| Failure { status: EXIT_USAGE, message: mistake.to_owned() })?;
    remote::run(&args.remote, config, async |remote| args.send(&remote, recipient, text).await)
}

impl PublishArgs {
    /// The recipient, and what to send: without a group the first word is the text.
    fn words(&self) -> Result<(Recipient<'_>, Option<&str>), &'static str> {
        let recipient = match (&self.user, &self.connection) {
            (Some(user), _) => Recipient::User(user),
            (_, Some(connection)) => Recipient::Connection(connection),
            _ if self.all => Recipient::All,
            _ => match &self.target {
                Some(target) => return Ok((Recipient::Groups(target), self.text.as_deref())),
                None => return Err("to whom? Name a group or a mask, or --user, --connection or --all"),
            },
        };
        if self.text.is_some() {
            return Err("a group beside --user, --connection or --all: send to one of them at a time");
        }
        Ok((recipient, self.target.as_deref()))
    }

    async fn send(&self, remote: &Remote, recipient: Recipient<'_>, text: Option<&str>) -> anyhow::Result<()> {
        let body = self.body(text)?;
        let path = match recipient {
            Recipient::Groups(target) => remote.hub().word("groups").name(target),
            Recipient::User(user) => remote.hub().word("users").name(user),
            Recipient::Connection(connection) => remote.hub().word("connections").name(connection),
            Recipient::All => remote.hub(),
        };
        let path = path.word(":send").query_if("mustExist", self.must_exist.then_some("true"));
        let path = self.exclude.iter().fold(path, |path, connection| path.query("excluded", connection));
        let answer = remote.ask(Method::POST, path, Some(body)).await?;
        let groups = answer.headers.get(DELIVERED_GROUPS).and_then(|count| count.to_str().ok()?.parse::<u64>().ok());
        if let Some(groups) = groups.filter(|_| io::stderr().is_terminal()) {
            eprintln!("sent to {groups} {}", if groups == 1 { "group" } else { "groups" });
        }
        Ok(())
    }

    /// The media type and the body.
    fn body(&self, text: Option<&str>) -> anyhow::Result<(&'static str, Bytes)> {
        let (mut bytes, typed) = match text {
            Some(text) if text != "-" => (text.as_bytes().to_vec(), true),
            _ => (read_input()?, false),
        };
        if self.binary {
            return Ok(("application/octet-stream", bytes.into()));
        }
        if self.json_data {
            serde_json::from_slice::<IgnoredAny>(&bytes).map_err(|error| anyhow::anyhow!("not JSON: {error}"))?;
            return Ok(("application/json", bytes.into()));
        }
        if !typed && bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        if std::str::from_utf8(&bytes).is_err() {
            bail!("the text is not UTF-8; --binary sends any bytes");
        }
        Ok(("text/plain; charset=utf-8", bytes.into()))
    }
}

fn read_input() -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let input = io::stdin().lock().take(MAX_INPUT_BYTES + 1);
    { input }.read_to_end(&mut bytes).context("the standard input cannot be read")?;
    if bytes.len() as u64 > MAX_INPUT_BYTES {
        bail!("the standard input has more than {} MiB", MAX_INPUT_BYTES >> 20);
    }
    Ok(bytes)
}
