//! What the listings of a running server have in common: how much of them, and how it is printed.

use std::io::{self, Write};

use clap::Args;
use serde_json::{Map, Value};

use super::remote::{ApiPath, Remote};
use super::table::Table;
use super::text::printable_json;

/// How a listing is printed, and how much of it.
#[derive(Debug, Args)]
pub(super) struct ListingArgs {
    /// No more than this many
    #[arg(long, value_name = "COUNT")]
    pub(super) limit: Option<u64>,
    /// One JSON object a line, with everything that the server tells
    #[arg(long)]
    pub(super) json: bool,
}

/// A listing of a server, as it is printed.
pub(super) struct Listing<'a, const N: usize> {
    args: &'a ListingArgs,
    table: Table<N>,
    row: fn(&Map<String, Value>) -> [String; N],
}

impl<'a, const N: usize> Listing<'a, N> {
    /// A listing whose entries `row` makes rows of.
    pub(super) fn new(
        args: &'a ListingArgs,
        headings: [&'static str; N],
        row: fn(&Map<String, Value>) -> [String; N],
    ) -> Self {
        Listing { args, table: Table::new(headings), row }
    }

    /// Reads and prints it, page by page.
    pub(super) async fn print(mut self, remote: &Remote, path: ApiPath) -> anyhow::Result<()> {
        let out = &mut io::stdout().lock();
        let page = |entries: &[Map<String, Value>]| {
            if self.args.json {
                return entries
                    .iter()
                    .try_for_each(|entry| writeln!(out, "{}", printable_json(&serde_json::to_string(entry)?)));
            }
            let rows: Vec<_> = entries.iter().map(self.row).collect();
            self.table.write(out, &rows)
        };
        remote.pages(path, self.args.limit, page).await
    }
}

/// A field as a cell: what is not there is a dash.
pub(super) fn text(entry: &Map<String, Value>, name: &str) -> String {
    cell(entry.get(name))
}

pub(super) fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    }
}
