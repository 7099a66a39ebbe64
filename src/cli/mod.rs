//! The command line: what can be asked for, and the status the program ends with. One file per command.

mod bench;
mod close;
mod completions;
mod config;
mod connect;
mod connections;
mod groups;
mod listing;
mod logging;
mod members;
mod place;
mod publish;
mod remote;
mod serve;
mod supervisor;
mod table;
mod text;
mod tls;
mod token;
mod user;

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::app::StartError;
use crate::config::{Config, ConfigErrors, Loaded};
use crate::http::SettingsError;

/// Status for a wrong configuration: `EX_CONFIG` of sysexits.h, which service managers can be told not to retry.
const EXIT_CONFIG: u8 = 78;
/// Status for wrong arguments, which clap uses too.
const EXIT_USAGE: u8 = 2;
/// Status for a file to import that has mistakes: `EX_DATAERR` of sysexits.h.
const EXIT_DATA: u8 = 65;
/// Status for a server that cannot be reached, or does not answer: `EX_UNAVAILABLE` of sysexits.h.
const EXIT_UNAVAILABLE: u8 = 69;
/// Status for a server that refuses us: `EX_NOPERM` of sysexits.h.
const EXIT_DENIED: u8 = 77;
/// Status for everything else that goes wrong.
const EXIT_FAILURE: u8 = 1;

const EXAMPLES: &str = "\
Examples:
  folkmoot                                    serve, with ./config.yaml where there is one
  folkmoot -c /etc/folkmoot.yaml              serve, with this file
  folkmoot --set server.port=9000             serve, with one setting of it changed
  FOLKMOOT__SERVER__PORT=9000 folkmoot        the same by a variable
  folkmoot config check -c new.yaml           say what is wrong with a file before it is used

Exit status:
  0   the command succeeded, or the server was stopped by a signal
  1   something failed; one sentence on standard error says what
  2   the arguments were wrong
  65  the file of `folkmoot user import` has mistakes; nothing was imported
  69  the server that a command is about cannot be reached, or is going away
  70  the server ended itself because a part of it was broken; start it again
  77  that server refuses the access key, the login, or the request
  78  the configuration was wrong; every mistake is on standard error with its place";

/// A self-hosted WebSocket groups server.
///
/// Clients connect and authenticate, connections belong to named groups, and anyone permitted broadcasts to one group,
/// to a mask of groups (sales/*), or to all members (*).
#[derive(Debug, Parser)]
#[command(name = "folkmoot", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

/// What there is to do; without a command, the server runs.
#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server (also what happens without a command)
    Serve,
    /// Look at the configuration
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Add, show and change users of the store
    User(user::UserArgs),
    /// Talk in groups, from a terminal or a pipe
    Connect(Box<connect::ConnectArgs>),
    /// Send a message to a group, a mask of groups, a user or a connection
    Publish(publish::PublishArgs),
    /// List the groups of a hub
    Groups(groups::GroupsArgs),
    /// List the members of a group
    Members(members::MembersArgs),
    /// List the connections of a hub
    Connections(connections::ConnectionsArgs),
    /// Close a connection, or those of a user or a group
    Close(close::CloseArgs),
    /// Make tokens, look at them, and tell what an SDK connects with
    Token(token::TokenArgs),
    /// Measure a server: deliveries, connects, memory
    Bench(bench::BenchArgs),
    /// Print what makes a shell complete the arguments of folkmoot
    Completions(completions::CompletionsArgs),
}

// Options of every command, accepted before and after its name; see `command()`. Not a `///` comment, which clap would show
// in the place of each command's own.
#[derive(Debug, Default, Args)]
struct Settings {
    /// Configuration file, which must exist [default: config.yaml where there is one]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Change one setting, such as limits.connections=100; may be repeated and wins over file and environment
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Let the demo users, whose passwords are public, log in from other machines
    #[arg(long)]
    allow_demo_users: bool,
}

impl Settings {
    /// Both together; where only one can count, it is the later.
    fn and(mut self, later: Settings) -> Self {
        self.set.extend(later.set);
        Settings {
            config: later.config.or(self.config),
            set: self.set,
            allow_demo_users: self.allow_demo_users || later.allow_demo_users,
        }
    }

    fn load(&self) -> Result<Loaded, Failure> {
        let demo = self.allow_demo_users.then(|| "auth.allow_demo_users=true".to_owned());
        let set: Vec<String> = self.set.iter().cloned().chain(demo).collect();
        Ok(Config::load(self.config.as_deref(), environment()?, &set)?)
    }
}

/// The variables of the process. Those that are not text are an error where they are ours.
fn environment() -> Result<Vec<(String, String)>, Failure> {
    let ours = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let ours = ours.filter(|(name, _)| name.starts_with("FOLKMOOT__"));
    ours.map(|(name, value)| match value.into_string() {
        Ok(value) => Ok((name, value)),
        Err(_) => Err(Failure { status: EXIT_CONFIG, message: format!("{name}: the value is not valid UTF-8") }),
    })
    .collect()
}

/// Why the program ends early: what to say, and its status.
#[derive(Debug)]
struct Failure {
    status: u8,
    message: String,
}

impl Failure {
    /// For a terminal: a server or a file may have had its part in it.
    fn shown(&self) -> String {
        self.message.lines().map(text::printable).collect::<Vec<_>>().join("\n")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<ConfigErrors> for Failure {
    fn from(errors: ConfigErrors) -> Self {
        Failure { status: EXIT_CONFIG, message: errors.to_string() }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        anyhow::Error::from(error).into()
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        // What only the start can see of a configuration, the files that it names, is as wrong as what is seen before.
        let status = match error.downcast_ref() {
            Some(
                StartError::Config(_) | StartError::Certificate(_) | StartError::Settings(SettingsError::Issuer(_)),
            ) => EXIT_CONFIG,
            _ => EXIT_FAILURE,
        };
        // With its causes, in one line.
        Failure { status, message: format!("{error:#}") }
    }
}

/// The definition of the command line: [`Cli`], with [`Settings`] at each level.
///
/// With clap's own global options, those given before a command's name would be forgotten when it is followed by some.
fn command() -> clap::Command {
    fn with_settings(command: clap::Command) -> clap::Command {
        Settings::augment_args(command.mut_subcommands(with_settings))
    }
    with_settings(Cli::command())
}

/// What was asked for, and the options of all levels together.
fn read(matches: &ArgMatches) -> Result<(Cli, Settings), clap::Error> {
    let mut settings = Settings::from_arg_matches(matches)?;
    let mut level = matches;
    while let Some((_, below)) = level.subcommand() {
        settings = settings.and(Settings::from_arg_matches(below)?);
        level = below;
    }
    Ok((Cli::from_arg_matches(matches)?, settings))
}

/// What a command ended with, when nobody reads what it prints any more: `folkmoot user list | head` is no mistake.
fn unless_nobody_reads(done: anyhow::Result<()>) -> anyhow::Result<()> {
    let nobody_reads = |error: &anyhow::Error| {
        error
            .chain()
            .filter_map(|cause| cause.downcast_ref::<io::Error>())
            .any(|e| e.kind() == io::ErrorKind::BrokenPipe)
    };
    match done {
        Err(error) if nobody_reads(&error) => Ok(()),
        done => done,
    }
}

/// Runs the program with the arguments and the environment of the process.
pub fn main() -> ExitCode {
    let (cli, settings) = read(&command().get_matches()).unwrap_or_else(|error| error.exit());
    match run(cli.command.unwrap_or(Command::Serve), settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Where nobody can be told, there is still the status. It is all there is to say where a user ended it.
            if !failure.message.is_empty() {
                let _: io::Result<()> = writeln!(io::stderr(), "{}", failure.shown());
            }
            ExitCode::from(failure.status)
        }
    }
}

fn run(command: Command, settings: Settings) -> Result<(), Failure> {
    match command {
        Command::Serve => {
            let loaded = settings.load()?;
            logging::init(&loaded.config.log);
            match &loaded.file {
                Some(file) => log::info!(file:% = file.display(); "configuration read"),
                None => log::info!("no configuration file, the defaults hold"),
            }
            Ok(serve::run(loaded, || settings.load())?)
        }
        Command::Config(command) => config::run(&command, settings),
        Command::Connect(args) => connect::run(&args, settings),
        Command::Bench(args) => bench::run(&args),
        Command::Publish(args) => publish::run(&args, &settings.load()?.config),
        Command::Groups(args) => groups::run(&args, &settings.load()?.config),
        Command::Members(args) => members::run(&args, &settings.load()?.config),
        Command::Connections(args) => connections::run(&args, &settings.load()?.config),
        Command::Close(args) => close::run(&args, &settings.load()?.config),
        Command::Completions(args) => Ok(completions::run(&args)?),
        Command::Token(args) => Ok(token::run(args, &settings.load()?.config)?),
        Command::User(args) => user::run(args, &settings.load()?.config),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<(Cli, Settings), clap::Error> {
        let all = ["folkmoot"].iter().chain(arguments);
        command().try_get_matches_from(all).and_then(|matches| read(&matches))
    }

    #[test]
    fn the_command_line_is_well_defined() {
        command().debug_assert();
    }

    #[test]
    fn options_before_and_after_the_command_add_up() {
        for arguments in [
            &["-c", "a.yaml", "--set", "a=1", "--set=b=2", "--allow-demo-users"][..],
            &["-c", "a.yaml", "--set", "a=1", "serve", "--set", "b=2", "--allow-demo-users"],
            &["--set", "a=1", "--allow-demo-users", "config", "check", "--set", "b=2", "-c", "a.yaml"],
            &["-c", "b.yaml", "--allow-demo-users", "config", "--set=a=1", "--set=b=2", "check", "--config=a.yaml"],
        ] {
            let (_, settings) = parse(arguments).unwrap();
            assert_eq!(settings.config, Some("a.yaml".into()), "{arguments:?}");
            assert_eq!(settings.set, ["a=1", "b=2"], "{arguments:?}");
            assert!(settings.allow_demo_users, "{arguments:?}");
        }
    }

    #[test]
    fn each_command_tells_about_itself() {
        let about = command().find_subcommand("serve").unwrap().get_about().unwrap().to_string();
        assert_eq!(about, "Run the server (also what happens without a command)");
    }

    #[test]
    fn what_a_failure_tells_steers_no_terminal() {
        let message = "line 1: \u{1b}]0;x\u{7}\nline 2: \u{9b}2J\u{202e}".to_owned();
        let shown = Failure { status: 1, message }.shown();
        assert_eq!(shown, "line 1: \\u{1b}]0;x\\u{7}\nline 2: \\u{9b}2J\\u{202e}");
    }

    #[test]
    fn unknown_arguments_are_refused() {
        for arguments in [&["sevre"][..], &["--port", "1"], &["config"], &["serve", "check"]] {
            assert_eq!(parse(arguments).unwrap_err().exit_code(), 2, "{arguments:?}");
        }
    }

    #[test]
    fn a_wrong_setting_is_status_78_and_a_flag_reaches_the_configuration() {
        let wrong = Settings { set: vec!["server.prot=1".into()], ..Settings::default() };
        assert_eq!(wrong.load().unwrap_err().status, EXIT_CONFIG);
        let demo = Settings { allow_demo_users: true, ..Settings::default() };
        assert!(demo.load().unwrap().config.auth.allow_demo_users);
    }
}
