//! What can be said on the command line, and where the password comes from.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use zeroize::Zeroizing;

use super::target::Target;
use crate::bench::Credential;
use crate::cli::text::some_time;

/// Longest password file: a password has at most 1 KiB.
const MAX_FILE_BYTES: u64 = 64 * 1024;

const AFTER_HELP: &str = "\
Examples:
  folkmoot connect --login user-1
  folkmoot connect wss://chat.example.com --hub board --login ines --group admin
  echo 'Backup done.' | FOLKMOOT_PASSWORD=… folkmoot connect --login ops --group admin
  folkmoot connect --login ops --join 'sales/*' --listen --json </dev/null | jq .data

At a terminal, lines go to the group before the cursor; /help tells the commands, Tab completes them and the groups. \
In a pipe each line is sent as it is, / at its beginning or not, and the next ones wait while 16 have no ack. After the \
last one the connection is closed (1000), as soon as all have their acks. What could not be acked because the connection \
broke is not sent again.

Environment:
  FOLKMOOT_PASSWORD   the password, where --password-file is not given
  FOLKMOOT_TOKEN      a token, where there is neither --token nor --login
  NO_COLOR            where it is set, --color auto is never

Exit status:
  0    ended by you, by the end of the input with everything acked, or by --count
  1    something failed: a line was refused or not acked (in a pipe), the server ended the
       connection, or --timeout came before the rest was done
  2    the arguments were wrong
  69   the server cannot be reached, or there is no WebSocket to be had from it
  77   the server did not let you in (401, 403)
  78   the configuration, which is read for the address only, was wrong
  129, 130, 143   ended by SIGHUP, Ctrl-C (SIGINT), SIGTERM";

/// When styles are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    /// At a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// Whether they are written to an output that is a terminal or not.
    pub fn wanted(self, terminal: bool) -> bool {
        match self {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        }
    }
}

/// Talks in groups from a terminal or a pipe.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct ConnectArgs {
    /// The server: ws://, wss://, http:// or https:// [default: the server of the configuration, on this machine]
    #[arg(value_name = "URL")]
    url: Option<String>,
    /// Who you are; the password is asked for
    #[arg(short, long, value_name = "LOGIN")]
    login: Option<String>,
    /// A file whose first line is the password
    #[arg(long, value_name = "FILE", requires = "login")]
    password_file: Option<PathBuf>,
    /// A token in the place of login and password (seen by everybody who can list this machine's processes; better in
    /// FOLKMOOT_TOKEN)
    #[arg(long, conflicts_with = "login")]
    token: Option<String>,
    /// The hub, where it is not the one of the URL
    #[arg(long)]
    pub hub: Option<String>,
    /// Whom lines go to: a group, or a mask such as sales/* [default: your first group]
    #[arg(short, long, value_name = "GROUP")]
    pub group: Option<String>,
    /// A group to join at the beginning, or a mask to listen to; may be repeated
    #[arg(short, long, value_name = "GROUP")]
    pub join: Vec<String>,
    /// Trust the certificates of this file (PEM) only
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Print the frames of the server, one a line
    #[arg(long)]
    pub json: bool,
    /// Go on after the end of the input
    #[arg(long)]
    pub listen: bool,
    /// End after this many messages, announcements not counted; includes --listen
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// End after this time
    #[arg(long, value_name = "TIME", value_parser = some_time)]
    pub timeout: Option<Duration>,
    /// Do not connect again when the connection is lost
    #[arg(long)]
    pub no_reconnect: bool,
    /// Hear your own messages too
    #[arg(long)]
    pub echo: bool,
    /// Refuse lines for a group that does not exist
    #[arg(long)]
    pub must_exist: bool,
    /// Take commands from a pipe too
    #[arg(long)]
    pub commands: bool,
    /// When to use colours
    #[arg(long, value_name = "WHEN", value_enum, default_value = "auto")]
    pub color: Color,
}

impl ConnectArgs {
    /// The address that was given.
    pub fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// Who we are, asking at the terminal where there is one.
    pub fn credential(&self, target: &mut Target) -> anyhow::Result<Credential> {
        if let Some(token) = &self.token {
            return Ok(Credential::Token(Zeroizing::new(token.clone())));
        }
        let in_url = target.login.take();
        let Some(login) = self.login.clone() else {
            return Ok(match (in_url, std::env::var("FOLKMOOT_TOKEN")) {
                (Some((login, password)), _) => Credential::Basic { login, password },
                (None, Ok(token)) if !target.has_token() => Credential::Token(Zeroizing::new(token)),
                (None, _) => Credential::None,
            });
        };
        if login.contains(':') {
            bail!("a login has no ':'");
        }
        let password = match &self.password_file {
            Some(file) => first_line(file)?,
            None => match (std::env::var("FOLKMOOT_PASSWORD"), in_url) {
                (Ok(password), _) => Zeroizing::new(password),
                (Err(std::env::VarError::NotUnicode(_)), _) => bail!("FOLKMOOT_PASSWORD is not valid UTF-8"),
                (Err(_), Some((in_url, password))) if in_url == login => password,
                (Err(_), _) => typed(&login)?,
            },
        };
        Ok(Credential::Basic { login, password })
    }
}

fn typed(login: &str) -> anyhow::Result<Zeroizing<String>> {
    // Where the lines come from a pipe, the terminal is still there to be asked.
    if !(io::stdin().is_terminal() || io::stderr().is_terminal()) {
        bail!(
            "the password of {login} is needed, and there is no terminal to ask at: FOLKMOOT_PASSWORD, or --password-file FILE"
        );
    }
    rpassword::prompt_password(format!("Password of {login}: "))
        .map(Zeroizing::new)
        .context("the password cannot be read")
}

fn first_line(file: &Path) -> anyhow::Result<Zeroizing<String>> {
    use std::io::{BufRead, BufReader, Read};
    let opened = std::fs::File::open(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let mut line = Zeroizing::new(String::with_capacity(1024));
    let read = BufReader::new(opened.take(MAX_FILE_BYTES)).read_line(&mut line);
    read.with_context(|| format!("{} cannot be read", file.display()))?;
    Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        connect: ConnectArgs,
    }

    fn parse(line: &[&str]) -> Result<ConnectArgs, clap::Error> {
        Cli::try_parse_from(["folkmoot"].iter().chain(line)).map(|cli| cli.connect)
    }

    #[test]
    fn a_password_is_the_first_line_of_its_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "pass word:1\r\nnot this\n").unwrap();
        let path = file.path().to_str().unwrap();
        let args = parse(&["--login", "user-1", "--password-file", path]).unwrap();
        match args.credential(&mut Target::parse("ws://h", None).unwrap()).unwrap() {
            Credential::Basic { login, password } => {
                assert_eq!((login.as_str(), password.as_str()), ("user-1", "pass word:1"))
            }
            _ => panic!("no login"),
        }
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        for line in [
            &["--token", "t", "--login", "l"][..],
            &["--password-file", "f"],
            &["--count", "0"],
            &["--timeout", "soon"],
            &["--timeout", "0s"],
            &["--color", "red"],
        ] {
            assert_eq!(parse(line).err().map(|error| error.exit_code()), Some(2), "{line:?}");
        }
        let colon = parse(&["--login", "a:b"]).unwrap();
        assert!(colon.credential(&mut Target::parse("ws://h", None).unwrap()).is_err());
    }

    #[test]
    fn colours_can_be_forced_and_forbidden() {
        assert!(Color::Always.wanted(false));
        assert!(!Color::Never.wanted(true));
        assert!(!Color::Auto.wanted(false));
    }
}
