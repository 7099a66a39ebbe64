//! `folkmoot connect` at a terminal: the program behind a pseudo-terminal, and what a person sees there.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};
use std::thread;

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::client::{Client, publish};
use super::process::{Program, Workplace, eventually};

const COLUMNS: usize = 100;

/// A person at a terminal.
struct Person {
    child: Box<dyn Child + Send + Sync>,
    keyboard: Box<dyn Write + Send>,
    sent: Arc<Mutex<Vec<u8>>>,
    _terminal: Box<dyn MasterPty + Send>,
}

impl Person {
    fn start(office: &Workplace, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let size = PtySize { rows: 200, cols: COLUMNS as u16, ..PtySize::default() };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_folkmoot"));
        command.env_clear();
        command.env("TERM", "xterm-256color");
        command.env("HOME", office.path());
        std::env::vars()
            .filter(|(name, _)| name.starts_with("LLVM_PROFILE"))
            .for_each(|(name, value)| command.env(name, value));
        environment.iter().for_each(|(name, value)| command.env(name, value));
        command.cwd(office.path());
        command.arg("connect");
        command.args(arguments);
        let child = pair.slave.spawn_command(command).unwrap();
        // The end of the program must be the end of what can be read.
        drop(pair.slave);
        let sent = Arc::<Mutex<Vec<u8>>>::default();
        let (mut source, ours) = (pair.master.try_clone_reader().unwrap(), sent.clone());
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(length @ 1..) = source.read(&mut chunk) {
                ours.lock().unwrap().extend_from_slice(&chunk[..length]);
            }
        });
        Person { child, keyboard: pair.master.take_writer().unwrap(), sent, _terminal: pair.master }
    }

    /// Connected, with the prompt of their group.
    fn sit_down(office: &Workplace, server: &Program, number: u32, group: &str) -> Self {
        Person::sit_down_with(office, server, number, group, &[])
    }

    fn sit_down_with(
        office: &Workplace,
        server: &Program,
        number: u32,
        group: &str,
        environment: &[(&str, &str)],
    ) -> Self {
        let (login, password) = (format!("user-{number}"), format!("password-{number}"));
        let url = format!("ws://{}", server.address);
        let environment = [&[("FOLKMOOT_PASSWORD", password.as_str())], environment].concat();
        let person = Person::start(office, &[&url, "--login", &login], &environment);
        person.sees_line(&format!("{group}>"));
        person
    }

    fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self.keyboard.flush().unwrap();
    }

    fn raw(&self) -> String {
        String::from_utf8_lossy(&self.sent.lock().unwrap()).into_owned()
    }

    /// The lines on the screen.
    fn screen(&self) -> Vec<String> {
        let mut screen = Screen::default();
        screen.show(&self.raw());
        screen.lines.iter().map(|line| line.iter().collect::<String>().trim_end().to_owned()).collect()
    }

    fn sees(&self, text: &str) {
        eventually(&format!("'{text}' on the screen"), || self.screen().iter().any(|line| line.contains(text)));
    }

    /// The last line that is not empty is this.
    fn sees_line(&self, text: &str) {
        eventually(&format!("'{text}' as the last line"), || {
            self.screen().iter().rev().find(|line| !line.is_empty()).is_some_and(|line| line == text)
        });
    }

    fn leaves_with(&mut self) -> u32 {
        eventually("the end of the program", || self.child.try_wait().unwrap().is_some());
        // What it wrote last may still be on its way through the thread that reads.
        eventually("the end of what it wrote", || Arc::strong_count(&self.sent) == 1);
        self.child.wait().unwrap().exit_code()
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        let _: std::io::Result<()> = self.child.kill();
        let _: std::io::Result<portable_pty::ExitStatus> = self.child.wait();
        if thread::panicking() {
            eprintln!(
                "--- the screen\n{}\n--- and all that was written to it\n{:?}",
                self.screen().join("\n"),
                self.raw()
            );
        }
    }
}

/// As much of a terminal as a line editor uses; styles are left out.
#[derive(Default)]
struct Screen {
    lines: Vec<Vec<char>>,
    row: usize,
    column: usize,
}

impl Screen {
    fn show(&mut self, text: &str) {
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            match c {
                '\x1b' => self.escape(&mut rest),
                '\r' => self.column = 0,
                '\n' => self.row += 1,
                '\x08' => self.column = self.column.saturating_sub(1),
                c if c.is_control() => {}
                c => self.put(c),
            }
        }
    }

    fn line(&mut self) -> &mut Vec<char> {
        if self.lines.len() <= self.row {
            self.lines.resize(self.row + 1, Vec::new());
        }
        &mut self.lines[self.row]
    }

    fn put(&mut self, c: char) {
        if self.column == COLUMNS {
            (self.row, self.column) = (self.row + 1, 0);
        }
        let column = self.column;
        let line = self.line();
        line.resize(line.len().max(column + 1), ' ');
        line[column] = c;
        self.column += 1;
    }

    fn escape(&mut self, rest: &mut std::str::Chars<'_>) {
        if rest.next() != Some('[') {
            return;
        }
        let mut parameters = String::new();
        let end = loop {
            match rest.next() {
                Some(c @ '\x40'..='\x7e') => break c,
                Some(c) => parameters.push(c),
                None => return,
            }
        };
        let number = parameters.parse().unwrap_or(1);
        let column = self.column;
        match end {
            'A' => self.row = self.row.saturating_sub(number),
            'B' => self.row += number,
            'C' => self.column += number,
            'D' => self.column = self.column.saturating_sub(number),
            'G' => self.column = number - 1,
            'K' if parameters == "2" => self.line().clear(),
            'K' => self.line().truncate(column),
            'J' if parameters.is_empty() || parameters == "0" => {
                self.line().truncate(column);
                self.lines.truncate(self.row + 1);
            }
            'J' | 'H' => panic!("the program clears the screen"),
            _ => {}
        }
    }
}

#[test]
fn what_is_typed_edited_and_recalled_is_sent() {
    let office = Workplace::demo();
    let server = office.serve(&[]);
    let mut anna = Client::connect(server.address, "user-2", "password-2");
    anna.join("Sales", 1);
    let mut mark = Person::sit_down(&office, &server, 1, "Sales");
    mark.types("Helo\x7flo.\r");
    let mut heard = || loop {
        let frame = anna.frame();
        if frame["fromUserId"] == "user-1" {
            return frame["data"].as_str().unwrap().to_owned();
        }
    };
    assert_eq!(heard(), "Hello.");
    mark.sees_line("Sales>");
    mark.types("\x1b[A");
    mark.sees_line("Sales> Hello.");
    mark.types("\x1b[D Again\r");
    assert_eq!(heard(), "Hello Again.");
    // What one has typed oneself is on the screen already.
    assert!(!mark.screen().iter().any(|line| line.starts_with("[Sales] Mark:")), "{:?}", mark.screen());
}

#[test]
fn a_message_that_comes_while_a_line_is_edited_leaves_the_line_whole() {
    let office = Workplace::demo();
    let server = office.serve(&[]);
    let mut anna = Client::connect(server.address, "user-2", "password-2");
    anna.join("Sales", 100);
    let mut mark = Person::sit_down(&office, &server, 1, "Sales");
    mark.types("I am writi");
    mark.sees_line("Sales> I am writi");
    for number in 1..=20 {
        anna.ask(publish("Sales", &format!("message {number}")), number);
    }
    mark.sees("[Sales] Anna: message 20");
    mark.types("ng.");
    mark.sees_line("Sales> I am writing.");
    let screen = mark.screen();
    let messages: Vec<_> = screen.iter().filter(|line| line.contains("message ")).collect();
    let expected: Vec<_> = (1..=20).map(|number| format!("[Sales] Anna: message {number}")).collect();
    assert_eq!(messages, expected.iter().collect::<Vec<_>>());
    assert_eq!(screen.iter().filter(|line| line.contains("writi")).count(), 1, "{screen:?}");
    mark.types("\r");
    while anna.frame()["data"] != "I am writing." {}
}

#[test]
fn commands_tell_who_is_there_and_change_where_lines_go() {
    let office = Workplace::demo();
    let server = office.serve(&[]);
    let mut anna = Client::connect(server.address, "user-2", "password-2");
    let _kenji = Client::connect(server.address, "user-3", "password-3");
    let mut mark = Person::sit_down(&office, &server, 1, "Sales");
    mark.types("/who\r");
    mark.sees("Sales: 1 member");
    mark.sees("  Mark (user-1), Sales");
    mark.types("/to sales/*\r");
    mark.sees("You write to sales/*: 2 connections in 2 groups.");
    mark.sees_line("sales/*>");
    mark.types("To all of you.\r");
    while anna.frame()["data"] != "To all of you." {}
    mark.types("/jion chess\r");
    mark.sees("did you mean /join?");
    mark.types("/join chess\r");
    mark.sees_line("chess>");
    mark.types("/leave\r");
    mark.sees_line("Sales>");
    mark.types("/me\r");
    mark.sees("You are Mark (user-1) on connection ");
    mark.types("/help\r");
    mark.sees("/quit");
    mark.types("//quit\r");
    mark.types("/quit\r");
    assert_eq!(mark.leaves_with(), 0);
}

#[test]
fn commands_and_groups_are_completed() {
    let office = Workplace::demo();
    let server = office.serve(&[]);
    let mut mark = Person::sit_down(&office, &server, 1, "Sales");
    mark.types("/gr\t");
    mark.sees_line("Sales> /groups");
    mark.types("\x15/to Sa\t");
    mark.sees_line("Sales> /to Sales");
}

#[test]
fn colours_are_there_for_a_person_who_does_not_say_no() {
    let office = Workplace::demo();
    let server = office.serve(&[]);
    let mut anna = Client::connect(server.address, "user-2", "password-2");
    anna.join("Sales", 1);
    let styled = |person: &Person| person.raw().contains("\x1b[1m") || person.raw().contains("\x1b[36m");
    for (environment, wanted) in [(&[][..], true), (&[("NO_COLOR", "1")], false)] {
        let person = Person::sit_down_with(&office, &server, 1, "Sales", environment);
        anna.send(&publish("Sales", "Hello."));
        person.sees("[Sales] Anna: Hello.");
        assert_eq!(styled(&person), wanted, "{environment:?}: {:?}", person.raw());
    }
}

#[test]
fn escape_sequences_of_others_are_shown_and_not_carried_out() {
    let office = Workplace::demo();
    let server = office.serve(&[]);
    let mut anna = Client::connect(server.address, "user-2", "password-2");
    anna.join("Sales", 1);
    let mut mark = Person::sit_down(&office, &server, 1, "Sales");
    mark.types("half a line");
    anna.send(&publish("Sales", "\x1b]0;owned\x07\x1b[2J\x1b[H\u{9b}2J\r\u{202e}red\n[Sales] Boss: pay\x1b[6n"));
    mark.sees("[Sales] Anna: \\u{1b}]0;owned\\u{7}\\u{1b}[2J\\u{1b}[H\\u{9b}2J\\u{d}\\u{202e}red");
    mark.sees("    [Sales] Boss: pay\\u{1b}[6n");
    mark.sees_line("Sales> half a line");
    for sequence in ["\x1b]0;", "\x1b[2J", "\x1b[6n", "\u{9b}", "\u{202e}"] {
        assert!(!mark.raw().contains(sequence), "{sequence:?}");
    }
}

#[test]
fn the_end_is_clean_however_it_comes() {
    let office = Workplace::demo();
    let server = office.serve(&[]);
    for (keys, status) in [("\x04", 0), ("/quit\r", 0), ("\x03", 130), ("half a line\x03", 130)] {
        let mut mark = Person::sit_down(&office, &server, 1, "Sales");
        mark.types(keys);
        assert_eq!(mark.leaves_with(), status, "{keys:?}");
        let raw = mark.raw();
        // Whoever switches on the marking of pasted text switches it off.
        assert_eq!(raw.matches("\x1b[?2004h").count(), raw.matches("\x1b[?2004l").count(), "{raw:?}");
    }
}

#[test]
fn the_terminal_is_put_back_when_the_server_ends_it() {
    let office = Workplace::demo();
    let server = office.serve(&[]);
    let url = format!("ws://{}", server.address);
    let password = [("FOLKMOOT_PASSWORD", "password-1")];
    let mut mark = Person::start(&office, &[&url, "--login", "user-1", "--no-reconnect"], &password);
    mark.sees_line("Sales>");
    let before = mark.raw().matches("\x1b[?2004h").count();
    server.signal("TERM");
    assert_eq!(mark.leaves_with(), 1);
    assert_eq!(mark.raw().matches("\x1b[?2004l").count(), before, "{:?}", mark.raw());
    mark.sees("the server closed the connection (1001");
    let local = mark._terminal.get_termios().unwrap().local_flags;
    assert!(format!("{local:?}").contains("ICANON"), "{local:?}");
}

#[test]
fn the_password_is_asked_for_and_appears_nowhere() {
    let office = Workplace::demo();
    let server = office.serve(&[]);
    let url = format!("ws://{}", server.address);
    let mut mark = Person::start(&office, &[&url, "--login", "user-1"], &[]);
    mark.sees("Password of user-1:");
    // The question stands there before the echo is off: too short for a person, not for a test.
    eventually("no echo", || {
        let flags = format!("{:?}", mark._terminal.get_termios().unwrap().local_flags);
        !flags.split([' ', '(', ')', '|']).any(|flag| flag == "ECHO")
    });
    mark.types("password-1\r");
    mark.sees_line("Sales>");
    mark.types("Hello.\r");
    mark.types(" not kept\r");
    mark.types("/quit\r");
    assert_eq!(mark.leaves_with(), 0);
    assert!(!mark.raw().contains("password-1"));
    let history = office.path().join(".local/state/folkmoot/connect_history");
    assert_eq!(std::fs::read_to_string(&history).unwrap(), "Hello.\n/quit\n");
    assert_eq!(std::fs::metadata(&history).unwrap().permissions().mode() & 0o777, 0o600);
    let mut mark = Person::sit_down(&office, &server, 1, "Sales");
    mark.types("\x1b[A\x1b[A");
    mark.sees_line("Sales> Hello.");
}

#[test]
fn a_restart_of_the_server_is_told_and_what_was_typed_meanwhile_is_sent() {
    let office = Workplace::demo();
    let server = office.serve(&[]);
    let address = server.address;
    let mut mark = Person::sit_down(&office, &server, 1, "Sales");
    mark.types("/join chess\r");
    mark.sees_line("chess>");
    drop(server);
    mark.sees("!! The connection is lost");
    mark.types("Are you there?\r");
    mark.sees("There is no connection; the line waits for it.");
    mark.types("half a li");
    let server = office.serve_plainly(&["--set", &format!("server.port={}", address.port())]);
    mark.sees("-- Connected again as Mark (user-1), in Sales.");
    mark.sees("You are in chess.");
    mark.sees_line("chess> half a li");
    let mut anna = Client::connect(server.address, "user-2", "password-2");
    anna.join("chess", 1);
    mark.types("ne\r");
    while anna.frame()["data"] != "half a line" {}
}
