//! The line editor, on a thread of its own, and the paper that does not spoil the line being edited.
//!
//! The editor and whoever prints take turns (`Turn`): rustyline takes a text while it edits and shows it above the line;
//! while a line is carried out, the text is written as it is; and in between, when the editor sets up the terminal,
//! printing has to wait.

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::{History, MemHistory};
use rustyline::validate::Validator;
use rustyline::{ColorMode, Config, Context, Editor, ExternalPrinter, Helper};
use tokio::sync::mpsc;

use super::commands::COMMANDS;
use super::conversation::Desk;
use super::history::{HistoryFile, LINES};
use super::output::{Look, prompt};
use super::pipe::Input;
use super::screen::Paper;
use crate::cli::text::printable;

/// How long printing waits for the editor at most. It takes microseconds, but could be stopped by a debugger or Ctrl-Z.
const EDITOR_START: Duration = Duration::from_secs(1);
/// Candidates of one completion.
const CANDIDATES: usize = 200;

/// Whose turn it is to write to the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// The editor sets up the terminal: nobody else writes.
    Starting,
    /// The editor writes, and takes texts to show above the line.
    Editing,
    /// The editor waits.
    Printing,
}

#[derive(Debug)]
struct Turns {
    turn: Mutex<Turn>,
    changed: Condvar,
}

impl Turns {
    fn set(&self, turn: Turn) {
        *self.turn.lock().unwrap_or_else(PoisonError::into_inner) = turn;
        self.changed.notify_all();
    }

    fn wait_for_printing(&self) {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        // Whatever has happened after that time, what there is to say is said.
        drop(self.changed.wait_timeout_while(turn, EDITOR_START, |turn| *turn == Turn::Starting));
    }
}

/// Everything at the terminal.
pub struct Terminal {
    /// Where to print.
    pub paper: Box<dyn Paper>,
    /// What is typed.
    pub inputs: mpsc::Receiver<Input>,
    /// Lets the editor begin.
    pub begin: Sender<()>,
    /// Puts the terminal back.
    pub restore: Restore,
}

/// Sets up the editor; its first prompt waits for [`Terminal::begin`].
pub fn start(desk: Arc<Mutex<Desk>>, look: Look) -> anyhow::Result<Terminal> {
    let turns = Arc::new(Turns { turn: Mutex::new(Turn::Printing), changed: Condvar::new() });
    let restore = Restore { before: tcgetattr(io::stdin()).ok(), turns: turns.clone() };
    let (inputs, receiver) = mpsc::channel(1);
    let (begin, begun) = channel();
    let (made, printer) = channel();
    let (begin_again, turns_of_editor) = (begin.clone(), turns.clone());
    thread::spawn(move || {
        let editor = editor(&desk, look, &turns_of_editor).map(|mut editor| {
            // A terminal that can do nothing has no such printer, and no line to spoil.
            let printer = editor.create_external_printer().ok();
            (editor, printer)
        });
        match editor {
            Err(error) => drop(made.send(Err(error))),
            Ok((editor, printer)) => {
                drop(made.send(Ok(printer.map(|printer| Box::new(printer) as Box<dyn ExternalPrinter + Send>))));
                edit(editor, &desk, look, &turns_of_editor, &inputs, &begun, &begin_again);
            }
        }
    });
    let printer = printer.recv()??;
    Ok(Terminal { paper: Box::new(Above { printer, turns }), inputs: receiver, begin, restore })
}

type LineEditor = Editor<Assistant, MemHistory>;

fn editor(desk: &Arc<Mutex<Desk>>, look: Look, turns: &Arc<Turns>) -> rustyline::Result<LineEditor> {
    let color = if look.colors { ColorMode::Enabled } else { ColorMode::Disabled };
    let config = Config::builder().max_history_size(LINES)?.history_ignore_space(true).color_mode(color).build();
    let mut history = MemHistory::with_config(&config);
    for line in HistoryFile::of_user().load() {
        history.add_owned(line)?;
    }
    let mut editor = Editor::with_history(config, history)?;
    editor.set_helper(Some(Assistant { desk: desk.clone(), turns: turns.clone() }));
    Ok(editor)
}

/// Reads lines until the end, each after the one before has been carried out.
fn edit(
    mut editor: LineEditor,
    desk: &Mutex<Desk>,
    look: Look,
    turns: &Turns,
    inputs: &mpsc::Sender<Input>,
    may_go_on: &Receiver<()>,
    go_on: &Sender<()>,
) {
    let file = HistoryFile::of_user();
    while may_go_on.recv().is_ok() {
        let target = desk.lock().unwrap_or_else(PoisonError::into_inner).target.clone();
        let read = editor.readline(&prompt(target.as_deref(), look));
        turns.set(Turn::Printing);
        let input = match read {
            Ok(line) => {
                if !line.trim().is_empty() && editor.add_history_entry(line.as_str()).unwrap_or(false) {
                    file.add(&line);
                }
                Input::Line(line, Some(go_on.clone()))
            }
            Err(ReadlineError::Eof) => Input::End,
            Err(ReadlineError::Interrupted) => Input::Interrupt,
            Err(error) => Input::Broken(format!("the terminal cannot be read: {error}")),
        };
        if inputs.blocking_send(input).is_err() {
            return;
        }
    }
}

/// Prints above the line being edited.
struct Above {
    printer: Option<Box<dyn ExternalPrinter + Send>>,
    turns: Arc<Turns>,
}

impl Paper for Above {
    fn content(&mut self, mut text: String) -> io::Result<()> {
        text.push('\n');
        match &mut self.printer {
            Some(printer) => {
                self.turns.wait_for_printing();
                printer.print(text).map_err(io::Error::other)
            }
            None => {
                let mut out = io::stdout().lock();
                out.write_all(text.as_bytes())?;
                out.flush()
            }
        }
    }

    fn remark(&mut self, text: String) -> io::Result<()> {
        self.content(text)
    }

    fn make_way(&mut self) {
        self.turns.set(Turn::Starting);
    }
}

/// Completes commands and groups, and tells that the editor has begun.
struct Assistant {
    desk: Arc<Mutex<Desk>>,
    turns: Arc<Turns>,
}

impl Helper for Assistant {}
impl Validator for Assistant {}

impl Highlighter for Assistant {}

impl Hinter for Assistant {
    type Hint = String;

    /// Gives no hint: the editor asks for one whenever it draws the line, and then it has set up the terminal.
    fn hint(&self, _line: &str, _pos: usize, _ctx: &Context<'_>) -> Option<String> {
        self.turns.set(Turn::Editing);
        None
    }
}

impl Completer for Assistant {
    type Candidate = String;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(complete(line.get(..pos).unwrap_or_default(), &desk))
    }
}

/// Where the word to be completed begins, and what it may become.
fn complete(typed: &str, desk: &Desk) -> (usize, Vec<String>) {
    let Some(command) = typed.strip_prefix('/') else { return (0, Vec::new()) };
    let Some((name, group)) = command.split_once(' ') else {
        let names = COMMANDS.iter().filter(|(name, _, _)| name.starts_with(command));
        let with_end = |(name, what, _): &(&str, &str, &str)| {
            if what.is_empty() { format!("/{name}") } else { format!("/{name} ") }
        };
        return (0, names.map(with_end).collect());
    };
    let start = typed.len() - group.len();
    if !COMMANDS.iter().any(|(known, what, _)| *known == name && !what.is_empty()) {
        return (start, Vec::new());
    }
    // What would do something to the terminal is not put into the line.
    let fit = desk.known.range(group.to_owned()..).take_while(|known| known.starts_with(group));
    let fit = fit.filter(|known| matches!(printable(known), Cow::Borrowed(_)));
    (start, fit.take(CANDIDATES).cloned().collect())
}

/// Puts the terminal back when the program ends while a line is edited.
pub struct Restore {
    before: Option<Termios>,
    turns: Arc<Turns>,
}

impl Restore {
    /// As it was before; the line being edited stays where it is, and what follows begins below it.
    pub fn now(self) {
        let editing = *self.turns.turn.lock().unwrap_or_else(PoisonError::into_inner) == Turn::Editing;
        if let Some(before) = self.before
            && editing
        {
            let _: nix::Result<()> = tcsetattr(io::stdin(), SetArg::TCSADRAIN, &before);
            // The editor has asked that pasted text be marked.
            let _: io::Result<()> = io::stdout().write_all(b"\x1b[?2004l\r\n").and_then(|()| io::stdout().flush());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(typed: &str) -> Vec<String> {
        let known = ["Sales", "sales/asia", "sales/europe", "sales/\x1b[2J"].map(str::to_owned).into();
        let (start, candidates) = complete(typed, &Desk { target: None, known });
        candidates.into_iter().map(|candidate| format!("{}{candidate}", &typed[..start])).collect()
    }

    #[test]
    fn commands_and_known_groups_are_completed() {
        assert_eq!(completed("/jo"), ["/join "]);
        assert_eq!(completed("/q"), ["/quit"]);
        assert_eq!(completed("/to sales/"), ["/to sales/asia", "/to sales/europe"]);
        assert_eq!(completed("/who S"), ["/who Sales"]);
        for nothing in ["hello Sa", "/quit Sa", "/x Sa", "/join x"] {
            assert_eq!(completed(nothing), [""; 0], "{nothing}");
        }
    }
}
