//! `folkmoot user import`: many users at once, from a file.
//!
//! The file is read twice: once to find everything that is wrong with it, before anything is changed, and once to do it.
//! So no more than a few users are held at a time (and the logins seen, to notice one that comes twice). What cannot be
//! read twice, such as the standard input, is kept in memory, up to a limit; never in a file, as it has passwords.

mod cutter;
mod entry;
mod progress;
mod rows;
mod source;
mod writing;

use std::collections::HashMap;
use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use serde_json::json;

use self::entry::{Entry, Secret};
use self::progress::Progress;
use self::rows::Row;
use self::source::Source;
use self::writing::hashed;
use crate::config::Config;
use crate::ids::UserId;
use crate::users::{self, StoreError, UserRecord, UserStore};

/// Most users of one file: their logins are kept in memory.
const MAX_ROWS: usize = 1_000_000;
/// Most mistakes that are told; the rest is counted.
const MAX_TOLD: usize = 100;
/// Passwords hashed before their users are written: enough to keep all cores busy.
const BATCH: usize = 32;

const EXAMPLES: &str = "\
Examples:
  folkmoot user import people.csv --dry-run
  folkmoot user import people.json --update
  other-program | folkmoot user import - --format json

CSV has a first line that names its columns, in any order; all but login may be left out:
  login,password,password_hash,username,department,phone,age,groups,roles,hubs,data,disabled
  mark,correct horse,,Mark,Sales,+55431588744134,22,admin;board,webpubsub.sendToGroup,*,,false
Lists are separated by semicolons, or written as JSON. JSON is a list of objects with these keys, or one object after \
another, as `folkmoot user list --json` prints them (the demo mark of a user is not imported).

A new user needs a password (at least 8 characters), or a password_hash: an Argon2id PHC string, which is stored as it is. \
With --update, what the file has no column or key for stays as it is; an empty cell or null clears it; the password of a \
user is kept where the file has none.

Nothing is changed unless the whole file is right. Should the store fail half-way, the same command with --update goes on.

Exit status: 0 when everybody is imported, 1 when something failed, 65 when the file has mistakes, each of which is on \
standard error with its line.";

/// Adds the users of a file.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ImportArgs {
    /// A .csv or .json file; - reads the standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What the file is, where its name does not tell.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Change those who are there already, instead of refusing the file.
    #[arg(long)]
    update: bool,
    /// Find mistakes and say what would be done, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print the summary as a JSON object.
    #[arg(long)]
    json: bool,
}

/// What kind of file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Csv,
    Json,
}

/// Something wrong with the file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mistake {
    line: u64,
    message: String,
}

/// What is wrong with the file: nothing was imported.
#[derive(Debug, Default)]
pub(super) struct Mistakes {
    told: Vec<Mistake>,
    more: usize,
}

impl Mistakes {
    fn add(&mut self, mistake: Mistake) {
        if self.told.len() < MAX_TOLD {
            self.told.push(mistake);
        } else {
            self.more += 1;
        }
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Mistake { line, message } in &self.told {
            writeln!(f, "line {line}: {message}")?;
        }
        if self.more > 0 {
            writeln!(f, "and {} more mistakes", self.more)?;
        }
        f.write_str("nothing was imported")
    }
}

impl std::error::Error for Mistakes {}

/// What was done, or would be.
#[derive(Debug, Default)]
struct Summary {
    added: usize,
    changed: usize,
    unchanged: usize,
}

impl Summary {
    fn all(&self) -> usize {
        self.added + self.changed + self.unchanged
    }
}

pub(super) async fn run(args: &ImportArgs, config: &Config, out: &mut dyn Write) -> anyhow::Result<()> {
    let format = args.format.or_else(|| format_of(&args.file));
    let format = format.context("the name of the file does not tell what it is; add --format csv or --format json")?;
    let source = Source::open(&args.file)?;
    let database = config.database();
    let import = Import { args, format, source: &source, max_bytes: config.users.max_record_bytes };
    let store = match users::open_existing(database.expose()).await {
        Ok(store) => Some(store),
        Err(StoreError::Missing(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let planned = import.examine(store.as_deref()).await?;
    let done = match store {
        _ if args.dry_run => planned,
        Some(store) => import.perform(store, planned.all()).await?,
        None => import.perform(users::open(database.expose()).await?, planned.all()).await?,
    };
    write_summary(&done, args, out)
}

fn format_of(file: &std::path::Path) -> Option<Format> {
    let extension = file.extension()?.to_str()?.to_ascii_lowercase();
    match extension.as_str() {
        "csv" => Some(Format::Csv),
        "json" | "jsonl" | "ndjson" => Some(Format::Json),
        _ => None,
    }
}

fn write_summary(summary: &Summary, args: &ImportArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let Summary { added, changed, unchanged } = summary;
    if args.json {
        let told = json!({ "added": added, "changed": changed, "unchanged": unchanged, "dryRun": args.dry_run });
        writeln!(out, "{told}")?;
        return Ok(());
    }
    let dry = if args.dry_run { " (dry run: nothing was changed)" } else { "" };
    writeln!(out, "{added} added, {changed} changed, {unchanged} unchanged{dry}.")?;
    Ok(())
}

struct Import<'a> {
    args: &'a ImportArgs,
    format: Format,
    source: &'a Source,
    max_bytes: usize,
}

/// What is to be done about one user.
enum Step {
    Add(Entry, Secret),
    Change { before: UserRecord, entry: Entry },
}

impl Import<'_> {
    /// Finds everything that is wrong; changes nothing.
    async fn examine(&self, store: Option<&dyn UserStore>) -> anyhow::Result<Summary> {
        let mut progress = Progress::new("checked", None);
        let (mut summary, mut mistakes, mut seen) = (Summary::default(), Mistakes::default(), HashMap::new());
        for row in self.source.rows(self.format)? {
            let checked = match row {
                Ok(row) => self.check(row, &mut seen, store).await?,
                Err(mistake) => Err(vec![mistake]),
            };
            match checked {
                Ok(Step::Add(..)) => summary.added += 1,
                Ok(Step::Change { before, entry }) if is_unchanged(&before, &entry) => summary.unchanged += 1,
                Ok(Step::Change { .. }) => summary.changed += 1,
                Err(wrong) => wrong.into_iter().for_each(|mistake| mistakes.add(mistake)),
            }
            if seen.len() > MAX_ROWS {
                bail!("the file has more than {MAX_ROWS} users; divide it");
            }
            progress.tell(summary.all());
        }
        progress.end();
        if mistakes.told.is_empty() { Ok(summary) } else { Err(mistakes.into()) }
    }

    async fn check(
        &self,
        row: Row,
        seen: &mut HashMap<UserId, u64>,
        store: Option<&dyn UserStore>,
    ) -> anyhow::Result<Result<Step, Vec<Mistake>>> {
        let line = row.line;
        let wrong = |message: String| Ok(Err(vec![Mistake { line, message }]));
        let login = match entry::login(&row) {
            Ok(login) => login,
            Err(message) => return wrong(message),
        };
        if let Some(first) = seen.insert(login.clone(), line) {
            return wrong(format!("the user '{login}' is in line {first} already"));
        }
        self.step(row, login, store).await
    }

    /// What is to be done about a row.
    async fn step(
        &self,
        row: Row,
        login: UserId,
        store: Option<&dyn UserStore>,
    ) -> anyhow::Result<Result<Step, Vec<Mistake>>> {
        let line = row.line;
        let before = match store {
            Some(store) => store.find(&login).await?.map(|user| user.record),
            None => None,
        };
        let mistakes = |messages: Vec<String>| {
            Ok(Err(messages.into_iter().map(|message| Mistake { line, message }).collect::<Vec<_>>()))
        };
        if before.is_some() && !self.args.update {
            return mistakes(vec![format!("there is a user '{login}' already; --update changes those who are there")]);
        }
        let base = before.clone().unwrap_or_else(|| UserRecord::new(login));
        let mut entry = match entry::read(row, base, self.max_bytes) {
            Ok(entry) => entry,
            Err(messages) => return mistakes(messages),
        };
        match (before, entry.secret.take()) {
            (Some(before), secret) => Ok(Ok(Step::Change { before, entry: Entry { secret, ..entry } })),
            (None, Some(secret)) => Ok(Ok(Step::Add(entry, secret))),
            (None, None) => mistakes(vec![format!(
                "the new user '{}' has neither a password nor a password_hash",
                entry.record.login
            )]),
        }
    }

    /// Does it, a few users at a time.
    async fn perform(&self, store: Arc<dyn UserStore>, all: usize) -> anyhow::Result<Summary> {
        let mut progress = Progress::new("imported", Some(all));
        let mut summary = Summary::default();
        let mut rows = self.source.rows(self.format)?;
        loop {
            let mut batch = Vec::with_capacity(BATCH);
            for row in rows.by_ref().take(BATCH) {
                batch.push(self.again(row, &*store).await.with_context(|| after(&summary))?);
            }
            if batch.is_empty() {
                progress.end();
                return Ok(summary);
            }
            for step in hashed(batch).await? {
                step.write(&*store, &mut summary).await.with_context(|| after(&summary))?;
                progress.tell(summary.all());
            }
        }
    }

    async fn again(&self, row: Result<Row, Mistake>, store: &dyn UserStore) -> anyhow::Result<Step> {
        let changed = |mistake: Mistake| {
            anyhow::anyhow!("line {}: {} (the file or the store changed meanwhile)", mistake.line, mistake.message)
        };
        let row = row.map_err(changed)?;
        let line = row.line;
        let login = entry::login(&row).map_err(|message| changed(Mistake { line, message }))?;
        self.step(row, login, Some(store)).await?.map_err(|mut mistakes| changed(mistakes.swap_remove(0)))
    }
}

fn after(summary: &Summary) -> String {
    format!("after {} users; the same with --update goes on", summary.all())
}

fn is_unchanged(before: &UserRecord, entry: &Entry) -> bool {
    *before == entry.record && entry.secret.is_none()
}
