//! `folkmoot connections`: who is connected to a hub, from where, and how they keep up.

use clap::Args;

use super::Failure;
use super::listing::{Listing, ListingArgs, cell, text};
use super::remote::{self, RemoteArgs};
use crate::config::Config;

const EXAMPLES: &str = "\
Examples:
  folkmoot connections
  folkmoot connections --user mark
  folkmoot connections --group sales/europe --address 10.0.0.7
  folkmoot connections --json | jq 'select(.queue.bytes > 100000)'

At a terminal a table; elsewhere one connection a line: id, user, address, groups, queued messages, connected since and \
last activity, with tabs between.";

/// List the connections of a hub
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{}", remote::EXIT_STATUS))]
pub struct ConnectionsArgs {
    /// Only those of this user
    #[arg(long)]
    user: Option<String>,
    /// Only those in this group
    #[arg(long)]
    group: Option<String>,
    /// Only those from this address
    #[arg(long)]
    address: Option<String>,
    #[command(flatten)]
    listing: ListingArgs,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(super) fn run(args: &ConnectionsArgs, config: &Config) -> Result<(), Failure> {
    remote::run(&args.remote, config, async |remote| {
        let path = remote.hub().word("connections").query_if("user", args.user.as_deref());
        let path = path.query_if("group", args.group.as_deref()).query_if("address", args.address.as_deref());
        let headings = ["CONNECTION", "USER", "ADDRESS", "GROUPS", "QUEUED", "CONNECTED", "LAST ACTIVITY"];
        let listing = Listing::new(&args.listing, headings, |entry| {
            let queued = cell(entry.get("queue").and_then(|queue| queue.get("messages")));
            let [id, user, address, groups] =
                ["connectionId", "userId", "address", "groups"].map(|name| text(entry, name));
            [id, user, address, groups, queued, text(entry, "connectedAt"), text(entry, "lastActivity")]
        });
        listing.print(&remote, path).await
    })
}
