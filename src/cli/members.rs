//! `folkmoot members`: who is in a group.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::Failure;
use super::listing::{Listing, ListingArgs, cell, text};
use super::remote::{self, RemoteArgs};
use crate::config::Config;

const EXAMPLES: &str = "\
Examples:
  folkmoot members sales/europe
  folkmoot members admin --json | jq -r .userId | sort -u

At a terminal a table; elsewhere one member a line: connection, user, username and department with tabs between.";

/// List the members of a group
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{}", remote::EXIT_STATUS))]
pub struct MembersArgs {
    /// The group
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    group: String,
    #[command(flatten)]
    listing: ListingArgs,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(super) fn run(args: &MembersArgs, config: &Config) -> Result<(), Failure> {
    remote::run(&args.remote, config, async |remote| {
        let path = remote.hub().word("groups").name(&args.group).word("connections");
        let headings = ["CONNECTION", "USER", "USERNAME", "DEPARTMENT"];
        let listing = Listing::new(&args.listing, headings, |entry| {
            let user = |field| cell(entry.get("user").and_then(|user| user.get(field)));
            [text(entry, "connectionId"), text(entry, "userId"), user("username"), user("department")]
        });
        listing.print(&remote, path).await
    })
}
