//! How things look on a terminal or in a pipe. All that others wrote goes through [`text`](super::text) here, whole lines
//! at a time, so that nothing can be forgotten.

use anstyle::{AnsiColor, Style};

use super::text::{printable_json_line, printable_lines, shortened};
use crate::cli::text::printable;

/// Longest name that is shown: it stands before every message.
const NAME: usize = 60;
/// Most characters of one message on a terminal.
const MESSAGE: usize = 8000;

/// Something for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// What somebody said; without a group it came from the server to this connection.
    Message { group: Option<String>, mask: Option<String>, sender: Option<String>, text: String },
    /// Who came or went.
    Announcement { group: Option<String>, text: String },
    /// A frame as it came.
    Frame(String),
    /// The answer to a command.
    Answer(Vec<String>),
    /// What happened to us.
    Notice(String),
    /// What did not work.
    Problem(String),
}

/// The look of all of it.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Whether styles are written.
    pub colors: bool,
    /// Whether a person reads it, for whom long messages are cut.
    pub terminal: bool,
}

impl Shown {
    /// Whether it is what was asked for, and not about the way it came: pipes get only this.
    pub fn is_content(&self) -> bool {
        !matches!(self, Shown::Notice(_) | Shown::Problem(_))
    }

    /// The text, without the end of its last line.
    pub fn render(&self, look: Look) -> String {
        let painted = |style: Style, text: &str| {
            if look.colors { format!("{style}{text}{style:#}") } else { text.to_owned() }
        };
        let dim = Style::new().dimmed();
        match self {
            Shown::Message { group, mask, sender, text } => {
                let place = painted(AnsiColor::Cyan.on_default(), &place(group.as_deref(), mask.as_deref()));
                let text = printable_lines(if look.terminal { shortened(text, MESSAGE) } else { text.into() }.as_ref());
                match (sender, group) {
                    (Some(sender), _) => format!("{place} {}: {text}", painted(Style::new().bold(), &name(sender))),
                    (None, Some(_)) => format!("{place} (unnamed): {text}"),
                    (None, None) => format!("{place} {text}"),
                }
            }
            Shown::Announcement { group, text } => {
                let text = printable_lines(&shortened(text, MESSAGE));
                painted(dim, &format!("{} * {text}", place(group.as_deref(), None)))
            }
            Shown::Frame(json) => printable_json_line(json),
            Shown::Answer(lines) => lines.iter().map(|line| printable(line)).collect::<Vec<_>>().join("\n"),
            Shown::Notice(text) => painted(dim, &format!("-- {}", printable(text))),
            Shown::Problem(text) => painted(AnsiColor::Red.on_default(), &format!("!! {}", printable(text))),
        }
    }
}

fn name(text: &str) -> String {
    printable(&shortened(text, NAME)).into_owned()
}

fn place(group: Option<&str>, mask: Option<&str>) -> String {
    match (group, mask) {
        (Some(group), Some(mask)) => format!("[{} by {}]", name(group), name(mask)),
        (Some(group), None) => format!("[{}]", name(group)),
        (None, _) => "(server)".to_owned(),
    }
}

/// The prompt before the cursor, plain and painted: whom a line goes to.
pub fn prompt(target: Option<&str>, look: Look) -> (String, String) {
    let target =
        target.map_or_else(|| "(no group)".to_owned(), |target| printable(&shortened(target, 30)).into_owned());
    let style = AnsiColor::Cyan.on_default();
    let painted = if look.colors { format!("{style}{target}{style:#}> ") } else { format!("{target}> ") };
    (format!("{target}> "), painted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Look = Look { colors: false, terminal: true };

    fn message(group: &str, sender: &str, text: &str) -> Shown {
        Shown::Message { group: Some(group.into()), mask: None, sender: Some(sender.into()), text: text.into() }
    }

    #[test]
    fn each_thing_has_its_look() {
        let server = Shown::Message { group: None, mask: None, sender: None, text: "hi".into() };
        let mask = Shown::Message { group: Some("a".into()), mask: Some("*".into()), sender: None, text: "hi".into() };
        for (shown, look) in [
            (message("Sales", "Mark", "hi"), "[Sales] Mark: hi"),
            (mask, "[a by *] (unnamed): hi"),
            (server, "(server) hi"),
            (Shown::Announcement { group: Some("a".into()), text: "Mark came.".into() }, "[a] * Mark came."),
            (Shown::Notice("x".into()), "-- x"),
            (Shown::Problem("x".into()), "!! x"),
            (Shown::Answer(vec!["a".into(), "b".into()]), "a\nb"),
            (Shown::Frame("{\n}".into()), "{ }"),
        ] {
            assert_eq!(shown.render(PLAIN), look);
        }
    }

    #[test]
    fn nothing_of_others_reaches_the_terminal_raw() {
        let evil = "\x1b[2J\u{9b}1m\u{202e}\r\nx";
        for shown in [
            message(evil, evil, evil),
            Shown::Announcement { group: Some(evil.into()), text: evil.into() },
            Shown::Answer(vec![evil.into()]),
            Shown::Notice(evil.into()),
            Shown::Problem(evil.into()),
            Shown::Frame(evil.into()),
        ] {
            let text = shown.render(PLAIN);
            assert!(!text.contains(['\x1b', '\u{9b}', '\u{202e}', '\r']), "{text:?}");
        }
        assert!(!prompt(Some(evil), PLAIN).1.contains('\x1b'));
    }

    #[test]
    fn colours_are_there_only_when_wanted() {
        let colored = Look { colors: true, terminal: true };
        assert!(message("Sales", "Mark", "hi").render(colored).contains("\x1b["));
        assert_eq!(prompt(Some("Sales"), colored).0, "Sales> ");
        assert!(prompt(Some("Sales"), colored).1.contains("\x1b["));
    }

    #[test]
    fn a_person_is_spared_a_megabyte() {
        let text = "x".repeat(1_000_000);
        assert!(message("a", "b", &text).render(PLAIN).len() < 9000);
        assert!(message("a", "b", &text).render(Look { terminal: false, ..PLAIN }).len() > 1_000_000);
    }
}
