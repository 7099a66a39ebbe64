//! `folkmoot connect`: a client for people and scripts.
//!
//! [`conversation`] is what it does, without a socket or a screen; [`client`] is the socket, [`terminal`] and [`pipe`] are
//! where lines come from, [`screen`] is where things are shown, and [`session`] is the loop around them. It knows a server
//! by its protocol only, as any other client does.

mod arguments;
mod client;
mod commands;
mod conversation;
mod frames;
mod history;
mod output;
mod pipe;
mod requests;
mod screen;
mod session;
mod signals;
mod target;
mod terminal;
mod text;

use std::io::{self, IsTerminal};

use anyhow::Context;
use tokio::time::Instant;

pub use self::arguments::ConnectArgs;
use self::client::Dialer;
use self::conversation::{Conversation, Manner};
use self::output::Look;
use self::screen::{Pipe, Screen};
use self::session::{Rules, Session};
use self::target::Target;
use super::{EXIT_USAGE, Failure, Settings};

/// Status for Ctrl-C, as shells give it.
const EXIT_INTERRUPTED: u8 = 130;

/// Connects, talks until the end, and closes.
pub(super) fn run(args: &ConnectArgs, settings: Settings) -> Result<(), Failure> {
    let wrong = |error: anyhow::Error| Failure { status: EXIT_USAGE, message: format!("{error:#}") };
    let hub = args.hub.as_deref();
    let mut target = match args.url() {
        Some(url) => Target::parse(url, hub),
        None => Target::of(&settings.load()?.config, hub),
    }
    .map_err(wrong)?;
    let credential = args.credential(&mut target).map_err(wrong)?;
    let dialer = Dialer::new(target, credential, args.ca.as_deref()).map_err(wrong)?;
    actix_rt::System::new().block_on(talk(args, dialer))
}

async fn talk(args: &ConnectArgs, dialer: Dialer) -> Result<(), Failure> {
    let at_terminal = io::stdout().is_terminal();
    let terminal = !args.json && at_terminal && io::stdin().is_terminal();
    let manner =
        Manner { commands: terminal || args.commands, echo: args.echo, must_exist: args.must_exist, json: args.json };
    let conversation = Conversation::new(manner, args.group.clone(), args.join.iter().cloned().collect());
    let look = Look { colors: !args.json && args.color.wanted(at_terminal), terminal };
    let rules = Rules {
        terminal,
        listen: args.listen,
        count: args.count,
        deadline: args.timeout.and_then(|time| Instant::now().checked_add(time)),
        reconnect: !args.no_reconnect,
    };
    let broken =
        |error| Failure::from(anyhow::Error::new(error).context("the signals of the system cannot be listened to"));
    if !terminal {
        let screen = Screen::new(Box::new(Pipe), look);
        return Session::new(dialer, conversation, screen, pipe::lines(), None, rules).map_err(broken)?.run().await;
    }
    let terminal = terminal::start(conversation.desk(), look).context("the terminal cannot be used")?;
    let screen = Screen::new(terminal.paper, look);
    let session = Session::new(dialer, conversation, screen, terminal.inputs, Some(terminal.begin), rules);
    let result = session.map_err(broken)?.run().await;
    terminal.restore.now();
    result
}
