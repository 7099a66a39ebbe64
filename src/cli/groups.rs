//! `folkmoot groups`: the groups of a hub and how many members each has.

use clap::Args;

use super::Failure;
use super::listing::{Listing, ListingArgs, text};
use super::remote::{self, RemoteArgs};
use crate::config::Config;

const EXAMPLES: &str = "\
Examples:
  folkmoot groups
  folkmoot groups 'sales/*' --limit 20
  folkmoot groups --json | jq -r 'select(.members > 100) | .group'

At a terminal a table; elsewhere one group a line, a tab between name and count.";

/// List the groups of a hub
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{}", remote::EXIT_STATUS))]
pub struct GroupsArgs {
    /// Only those that this mask means, such as 'sales/*'
    mask: Option<String>,
    #[command(flatten)]
    listing: ListingArgs,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(super) fn run(args: &GroupsArgs, config: &Config) -> Result<(), Failure> {
    remote::run(&args.remote, config, async |remote| {
        let path = remote.hub().word("groups").query_if("mask", args.mask.as_deref());
        let listing =
            Listing::new(&args.listing, ["GROUP", "MEMBERS"], |entry| [text(entry, "group"), text(entry, "members")]);
        listing.print(&remote, path).await
    })
}
