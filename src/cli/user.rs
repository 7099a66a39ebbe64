//! `folkmoot user`: the users of the store, from a terminal or a script.
//!
//! It works on the database itself, beside a running server, which notices by the store's revision. No hash and no
//! password is ever printed.

mod import;

use std::io::{self, BufRead, IsTerminal, Read, Write};

use anyhow::{Context, bail};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::text::printable_json;
use super::{EXIT_DATA, Failure};
use crate::auth::permissions::HubRole;
use crate::config::Config;
use crate::ids::{GroupName, NameError, UserId};
use crate::user::json_bytes;
use crate::users::{
    self, HubAccess, MAX_PASSWORD_BYTES, StoreError, UserRecord, UserStore, check_new_password, hash_password,
};

/// Users read at a time for `list`.
const PAGE: u32 = 500;

const ADD_EXAMPLES: &str = "Examples:
  folkmoot user add mark --username Mark --department sales/europe --phone +55431588744134 --age 22
  folkmoot user add ops --role folkmoot.admin --hub '*' --password-stdin < password.txt
  folkmoot user add ines --group admin --group board --role chat:webpubsub.sendToGroup.board";

const PASSWD_EXAMPLES: &str = "Examples:
  folkmoot user passwd mark
  printf '%s' \"$PASSWORD\" | folkmoot user passwd mark --password-stdin";

const LIST_EXAMPLES: &str = "Examples:
  folkmoot user list
  folkmoot user list --json | jq -r 'select(.disabled) | .login'";

const ABOUT: &str = "\
A running server need not be restarted: within seconds it closes the connections of users who were disabled or removed; \
other changes hold from a user's next connect. The store is the one that users.database names.";

/// Adds, shows and changes users of the store.
#[derive(Debug, clap::Args)]
#[command(after_help = ABOUT)]
pub struct UserArgs {
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Debug, clap::Subcommand)]
enum UserCommand {
    /// Add a user, whose password is asked for
    #[command(after_help = ADD_EXAMPLES)]
    Add(Box<AddArgs>),
    /// Add the users of a file, or change them
    Import(import::ImportArgs),
    /// Set a user's password, by which a demo user becomes an ordinary one
    #[command(after_help = PASSWD_EXAMPLES)]
    Passwd {
        /// Whose password.
        #[arg(value_name = "LOGIN", value_parser = UserId::parse)]
        login: UserId,
        /// Read the password from the first line of the standard input.
        #[arg(long)]
        password_stdin: bool,
    },
    /// List all users, sorted by login
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// One JSON object a line instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Show everything about one user but the password
    Show {
        /// Which user.
        #[arg(value_name = "LOGIN", value_parser = UserId::parse)]
        login: UserId,
        /// As a JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Refuse a user's logins and close their connections
    Disable {
        /// Which user.
        #[arg(value_name = "LOGIN", value_parser = UserId::parse)]
        login: UserId,
    },
    /// Let a disabled user log in again
    Enable {
        /// Which user.
        #[arg(value_name = "LOGIN", value_parser = UserId::parse)]
        login: UserId,
    },
    /// Remove a user and close their connections
    Remove {
        /// Which user.
        #[arg(value_name = "LOGIN", value_parser = UserId::parse)]
        login: UserId,
    },
}

#[derive(Debug, clap::Args)]
struct AddArgs {
    /// What the user logs in with. It is the user id of their connections too.
    #[arg(value_name = "LOGIN", value_parser = UserId::parse)]
    login: UserId,
    /// The name others see.
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// The department; "{department}" in a hub's join rules makes it a group, so it must be a group name.
    #[arg(long)]
    department: Option<String>,
    /// A telephone number. Others do not see it unless `users.public_fields` has it.
    #[arg(long, allow_hyphen_values = true)]
    phone: Option<String>,
    /// Age in years. Others do not see it unless `users.public_fields` has it.
    #[arg(long, value_name = "YEARS")]
    age: Option<u32>,
    /// A group to join at connect, besides those of the join rules. May be repeated.
    #[arg(long = "group", value_name = "GROUP", value_parser = group)]
    groups: Vec<GroupName>,
    /// A role, such as webpubsub.sendToGroup, or with a hub before it chat:webpubsub.sendToGroup. May be repeated.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<HubRole>,
    /// A hub that the user may enter, or '*' for all. May be repeated. Without it: the default hub.
    #[arg(long = "hub", value_name = "HUB")]
    hubs: Vec<String>,
    /// Free-form data: a JSON object.
    #[arg(long, value_name = "JSON", value_parser = object)]
    data: Option<Map<String, Value>>,
    /// Read the password from the first line of the standard input.
    #[arg(long)]
    password_stdin: bool,
}

impl AddArgs {
    fn record(&self) -> anyhow::Result<UserRecord> {
        let record = UserRecord {
            username: self.username.clone(),
            department: self.department.clone(),
            phone: self.phone.clone(),
            age: self.age,
            groups: self.groups.clone(),
            roles: self.roles.clone(),
            hubs: HubAccess::parse(&self.hubs)?,
            data: self.data.clone().unwrap_or_default(),
            ..UserRecord::new(self.login.clone())
        };
        record.validate()?;
        Ok(record)
    }
}

fn group(text: &str) -> Result<GroupName, NameError> {
    GroupName::parse(text, true)
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("not a JSON object: {error}"))
}

/// Runs the command on the store that `users.database` names.
pub(super) fn run(args: UserArgs, config: &Config) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match super::unless_nobody_reads(runtime.block_on(execute(args.command, config))) {
        Err(error) => Err(match error.downcast::<import::Mistakes>() {
            Ok(mistakes) => Failure { status: EXIT_DATA, message: mistakes.to_string() },
            Err(error) => error.into(),
        }),
        Ok(()) => Ok(()),
    }
}

async fn execute(command: UserCommand, config: &Config) -> anyhow::Result<()> {
    let database = config.database();
    let database = database.expose();
    // Only adding makes an embedded database: the others would find nobody in it, and the server would take it for one
    // in use and not add the demo users.
    let store = async || users::open_existing(database).await;
    let out = &mut io::stdout().lock();
    match command {
        UserCommand::Add(args) => add(&args, database, config, out).await?,
        UserCommand::Import(args) => import::run(&args, config, out).await?,
        UserCommand::Passwd { login, password_stdin } => passwd(&*store().await?, &login, password_stdin, out).await?,
        UserCommand::List { json } => list(&*store().await?, json, out).await?,
        UserCommand::Show { login, json } => show(&find(&*store().await?, &login).await?, json, out)?,
        UserCommand::Disable { login } => {
            store().await?.set_disabled(&login, true).await?;
            writeln!(out, "'{login}' is disabled.")?;
        }
        UserCommand::Enable { login } => {
            store().await?.set_disabled(&login, false).await?;
            writeln!(out, "'{login}' is enabled.")?;
        }
        UserCommand::Remove { login } => {
            store().await?.remove(&login).await?;
            writeln!(out, "'{login}' is removed.")?;
        }
    }
    Ok(())
}

async fn add(args: &AddArgs, database: &str, config: &Config, out: &mut dyn Write) -> anyhow::Result<()> {
    // What can be refused is refused before anybody types a password, and before a database is made.
    let record = args.record()?;
    let (bytes, max_bytes) = (json_bytes(&record.user()), config.users.max_record_bytes);
    if bytes > max_bytes {
        bail!(
            "the data of '{}' has {bytes} bytes as JSON, more than users.max_record_bytes ({max_bytes})",
            record.login
        );
    }
    match users::open_existing(database).await {
        Ok(store) if store.find(&record.login).await?.is_some() => {
            return Err(StoreError::Conflict(record.login).into());
        }
        Ok(_) | Err(StoreError::Missing(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let password = new_password(&record.login, args.password_stdin)?;
    let hash = hash_password(&password)?;
    users::open(database).await?.insert(&record, &hash).await?;
    writeln!(out, "'{}' is added.", record.login)?;
    if record.roles.is_empty() && config.hubs.default_roles(&config.hubs.default).is_empty() {
        // The safe choice, and the first thing that everybody wonders about.
        writeln!(
            out,
            "They hear their groups, and may not send or join: that takes --role webpubsub.sendToGroup and \
             --role webpubsub.joinLeaveGroup, or hubs.settings.default_roles for everybody."
        )?;
    }
    Ok(())
}

async fn passwd(store: &dyn UserStore, login: &UserId, from_stdin: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    let user = find(store, login).await?;
    let password = new_password(login, from_stdin)?;
    store.set_password(login, &hash_password(&password)?).await?;
    let demo = if user.demo { "; it is no demo user any more" } else { "" };
    writeln!(out, "The password of '{login}' is set{demo}.")?;
    Ok(())
}

fn show(user: &UserRecord, json: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    if json {
        writeln!(out, "{}", printable_json(&serde_json::to_string_pretty(user)?))?;
    } else {
        write!(out, "{}", details(user))?;
    }
    Ok(())
}

async fn find(store: &dyn UserStore, login: &UserId) -> Result<UserRecord, StoreError> {
    store.find(login).await?.map(|user| user.record).ok_or_else(|| StoreError::NotFound(login.clone()))
}

/// The new password: typed twice, or the first line of the standard input.
fn new_password(login: &UserId, from_stdin: bool) -> anyhow::Result<Zeroizing<String>> {
    if from_stdin {
        return password_line(&mut io::stdin().lock());
    }
    if !io::stdin().is_terminal() {
        bail!("there is no terminal to type the password at; pass it with --password-stdin");
    }
    let ask = |prompt: String| rpassword::prompt_password(prompt).map(Zeroizing::new).context("reading the password");
    let password = ask(format!("Password for '{login}': "))?;
    check_new_password(&password)?;
    if *password != *ask("The same again: ".to_owned())? {
        bail!("the two passwords differ; nothing is changed");
    }
    Ok(password)
}

fn password_line(input: &mut dyn BufRead) -> anyhow::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::with_capacity(MAX_PASSWORD_BYTES + 2));
    // Room for the longest password and CR LF; what is longer fails the check instead of filling the memory.
    input.take(MAX_PASSWORD_BYTES as u64 + 2).read_line(&mut line).context("reading the password")?;
    if line.ends_with('\n') {
        line.pop();
        if line.ends_with('\r') {
            line.pop();
        }
    }
    if line.is_empty() {
        bail!("the standard input has no password in its first line");
    }
    check_new_password(&line)?;
    Ok(line)
}

/// Writes page by page, so that a million users need no more memory than a page of them.
async fn list(store: &dyn UserStore, json: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut widths = None;
    let mut after = None;
    loop {
        let page = store.list(after.as_ref(), PAGE).await?;
        if json {
            for user in &page {
                writeln!(out, "{}", printable_json(&serde_json::to_string(user)?))?;
            }
        } else {
            // The columns are as wide as the first page needs them.
            let rows: Vec<_> = page.iter().map(row).collect();
            if widths.is_none() {
                widths = Some(widths_of(&rows));
                write_row(out, &HEADINGS.map(str::to_owned), widths.as_ref())?;
            }
            for row in &rows {
                write_row(out, row, widths.as_ref())?;
            }
        }
        match page.last() {
            Some(last) if page.len() >= PAGE as usize => after = Some(last.login.clone()),
            _ => return Ok(()),
        }
    }
}

const HEADINGS: [&str; 6] = ["LOGIN", "USERNAME", "DEPARTMENT", "GROUPS", "HUBS", "STATE"];

/// The cells of one user in the table.
fn row(user: &UserRecord) -> [String; 6] {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    let groups = if user.groups.is_empty() { "-".into() } else { join(&user.groups) };
    [
        user.login.to_string(),
        or_dash(&user.username),
        or_dash(&user.department),
        groups,
        user.hubs.to_string(),
        state(user).into(),
    ]
}

fn state(user: &UserRecord) -> &'static str {
    match (user.disabled, user.demo) {
        (false, false) => "enabled",
        (false, true) => "demo",
        (true, false) => "disabled",
        (true, true) => "disabled, demo",
    }
}

fn widths_of(rows: &[[String; 6]]) -> [usize; 6] {
    let mut widths = HEADINGS.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    widths
}

fn write_row(out: &mut dyn Write, cells: &[String; 6], widths: Option<&[usize; 6]>) -> io::Result<()> {
    let padded: Vec<String> = match widths {
        Some(widths) => cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect(),
        None => cells.to_vec(),
    };
    writeln!(out, "{}", padded.join("  ").trim_end())
}

/// One user, a line for each thing that is known.
fn details(user: &UserRecord) -> String {
    let lines = [
        ("login", Some(user.login.to_string())),
        ("username", user.username.clone()),
        ("department", user.department.clone()),
        ("phone", user.phone.clone()),
        ("age", user.age.map(|age| age.to_string())),
        ("groups", (!user.groups.is_empty()).then(|| join(&user.groups))),
        ("roles", (!user.roles.is_empty()).then(|| join(&user.roles))),
        ("hubs", Some(user.hubs.to_string())),
        ("data", (!user.data.is_empty()).then(|| Value::Object(user.data.clone()).to_string())),
        ("state", Some(state(user).to_owned())),
    ];
    let known = lines.into_iter().filter_map(|(name, value)| Some(format!("{name:<11} {}\n", value?)));
    known.collect()
}

fn join<T: ToString>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        user: UserArgs,
    }

    fn added(line: &[&str]) -> Result<UserRecord, String> {
        let line = ["folkmoot", "add"].iter().chain(line);
        match Cli::try_parse_from(line).map_err(|error| error.to_string())?.user.command {
            UserCommand::Add(args) => args.record().map_err(|error| error.to_string()),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn every_field_of_a_user_can_be_given() {
        let user = added(&[
            "mark",
            "--username",
            "Mark",
            "--department",
            "Sales",
            "--phone",
            "+55431588744134",
            "--age",
            "22",
            "--group",
            "admin",
            "--group",
            "a,b",
            "--role",
            "chat:webpubsub.sendToGroup",
            "--hub",
            "chat",
            "--data",
            r#"{"desk":7}"#,
        ]);
        let user = serde_json::to_value(user.unwrap()).unwrap();
        let expected = serde_json::json!({
            "login": "mark", "username": "Mark", "department": "Sales", "phone": "+55431588744134", "age": 22,
            "groups": ["admin", "a,b"], "roles": ["chat:webpubsub.sendToGroup"], "hubs": ["chat"],
            "data": {"desk": 7}, "disabled": false, "demo": false,
        });
        assert_eq!(user, expected);
    }

    #[test]
    fn what_cannot_be_stored_is_refused_with_its_reason() {
        for (line, reason) in [
            (["mark", "--department", "sales/*"], "wildcard"),
            (["mark", "--group", "sales/*"], "wildcard"),
            (["mark", "--role", "webpubsub.fly"], "unknown role"),
            (["mark", "--hub", "a-b"], "hub"),
            (["mark", "--data", "[1]"], "not a JSON object"),
            (["a:b", "--age", "22"], "':'"),
        ] {
            let error = added(&line).unwrap_err();
            assert!(error.contains(reason), "{line:?}: {error}");
        }
    }

    #[test]
    fn a_password_is_the_first_line_without_its_end() {
        let read = |mut text: &[u8]| password_line(&mut text).map(|line| line.to_string()).ok();
        for text in ["pass word:1", "pass word:1\n", "pass word:1\r\n", "pass word:1\nnot this"] {
            assert_eq!(read(text.as_bytes()).as_deref(), Some("pass word:1"), "{text:?}");
        }
        for bad in ["", "\n", "short\n", &"x".repeat(5000)] {
            assert_eq!(read(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn the_table_is_aligned_by_characters() {
        let user = |login: &str, username: &str| UserRecord {
            username: Some(username.into()),
            ..UserRecord::new(UserId::parse(login).unwrap())
        };
        let rows = [row(&user("a", "Ünïcode Person")), row(&user("longer-login", "B"))];
        let widths = widths_of(&rows);
        let columns = rows.iter().map(|row| {
            let mut line = Vec::new();
            write_row(&mut line, row, Some(&widths)).unwrap();
            let line = String::from_utf8(line).unwrap();
            line.find(" (default hub)").map(|at| line[..at].chars().count())
        });
        let columns: Vec<_> = columns.collect();
        assert!(columns[0].is_some() && columns[0] == columns[1], "{columns:?}");
    }
}
