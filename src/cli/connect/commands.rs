//! What a typed line means: something to say, or a command. It knows nothing of connections.

/// A command's name, what may follow it, and what it does, in the order of `/help`.
pub const COMMANDS: [(&str, &str, &str); 8] = [
    ("join", "GROUP", "be in a group and write to it; or hear all groups that a mask matches (sales/*)"),
    ("leave", "[GROUP]", "be out of it (or of the one you write to)"),
    ("to", "GROUP", "write to this group, or to all that a mask matches, from now on"),
    ("who", "[GROUP]", "tell who is in it (or in the one you write to)"),
    ("groups", "[MASK]", "tell which groups there are"),
    ("me", "", "tell who you are here"),
    ("help", "", "tell this"),
    ("quit", "", "leave; Ctrl-D does the same"),
];

/// How many letters a mistyped name may differ in to be recognised.
const TYPING_ERRORS: usize = 2;

/// What a line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// Nothing: an empty line.
    Nothing,
    /// A text for whoever is written to.
    Say(String),
    /// Join a group or a mask.
    Join(String),
    /// Leave a group or a mask.
    Leave(Option<String>),
    /// Write to this from now on.
    To(String),
    /// List the members of a group.
    Who(Option<String>),
    /// List groups.
    Groups(Option<String>),
    /// Tell about the connection.
    Me,
    /// Tell the commands.
    Help,
    /// End.
    Quit,
}

/// Why a line is no command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// A misspelt name, and what it may have been.
    #[error("There is no command /{name}; did you mean /{nearest}? (//{name} sends it as text.)")]
    Misspelt {
        /// What was typed.
        name: String,
        /// What there is.
        nearest: &'static str,
    },
    /// A name that resembles none.
    #[error("There is no command /{0}; /help tells which there are. (//{0} sends it as text.)")]
    Unknown(String),
    /// Nothing where something is needed.
    #[error("/{name} needs more: /{name} {what}")]
    Missing {
        /// The command.
        name: &'static str,
        /// What has to follow it.
        what: &'static str,
    },
    /// Something where nothing can be.
    #[error("Nothing may follow /{0}.")]
    TooMuch(&'static str),
}

/// Reads a line. A `/` begins a command, `//` a text that begins with `/`. What follows the name is taken whole, because
/// names of groups may have blanks.
pub fn parse(line: &str) -> Result<Line, CommandError> {
    let line = line.trim_end_matches(['\r', '\n']);
    let Some(rest) = line.strip_prefix('/') else {
        return Ok(if line.trim().is_empty() { Line::Nothing } else { Line::Say(line.to_owned()) });
    };
    if rest.starts_with('/') {
        return Ok(Line::Say(rest.to_owned()));
    }
    let (typed, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let rest = Some(rest.trim()).filter(|rest| !rest.is_empty()).map(str::to_owned);
    let name = typed.to_lowercase();
    let Some(&(name, what, _)) = COMMANDS.iter().find(|(known, _, _)| *known == name) else {
        return Err(unknown(typed, &name));
    };
    let needed = || rest.clone().ok_or(CommandError::Missing { name, what });
    let none = |line| if rest.is_none() { Ok(line) } else { Err(CommandError::TooMuch(name)) };
    match name {
        "join" => Ok(Line::Join(needed()?)),
        "leave" => Ok(Line::Leave(rest)),
        "to" => Ok(Line::To(needed()?)),
        "who" => Ok(Line::Who(rest)),
        "groups" => Ok(Line::Groups(rest)),
        "me" => none(Line::Me),
        "help" => none(Line::Help),
        _ => none(Line::Quit),
    }
}

fn unknown(typed: &str, name: &str) -> CommandError {
    // A line that was pasted need not be repeated whole, nor compared.
    let typed: String = typed.chars().take(30).collect();
    let distances =
        COMMANDS.iter().map(|(known, _, _)| (strsim::damerau_levenshtein(known, &typed.to_lowercase()), *known));
    match distances.min() {
        // Two errors make any name of two letters another.
        Some((distance, nearest)) if distance <= TYPING_ERRORS && distance < nearest.len() && name.len() < 30 => {
            CommandError::Misspelt { name: typed, nearest }
        }
        _ => CommandError::Unknown(typed),
    }
}

/// The lines of `/help`.
pub fn help() -> Vec<String> {
    let commands = COMMANDS.iter().map(|(name, what, does)| format!("  {:<16} {does}", format!("/{name} {what}")));
    let text = [
        "  text             is sent to the group (or mask) that stands before the cursor",
        "  //text           sends a line that begins with /",
    ];
    text.iter().map(|line| (*line).to_owned()).chain(commands).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_command_is_read() {
        for (text, line) in [
            ("", Line::Nothing),
            ("  ", Line::Nothing),
            ("hello /who", Line::Say("hello /who".into())),
            (" /who", Line::Say(" /who".into())),
            ("//who", Line::Say("/who".into())),
            ("/join sales/*", Line::Join("sales/*".into())),
            ("/JOIN  the board \r\n", Line::Join("the board".into())),
            ("/leave", Line::Leave(None)),
            ("/leave chess", Line::Leave(Some("chess".into()))),
            ("/to *", Line::To("*".into())),
            ("/who", Line::Who(None)),
            ("/who Sales", Line::Who(Some("Sales".into()))),
            ("/groups a*", Line::Groups(Some("a*".into()))),
            ("/me", Line::Me),
            ("/help ", Line::Help),
            ("/quit", Line::Quit),
        ] {
            assert_eq!(parse(text), Ok(line), "{text}");
        }
    }

    #[test]
    fn what_is_no_command_is_told_with_the_nearest_spelling() {
        let told = |line: &str| parse(line).unwrap_err().to_string();
        assert_eq!(told("/jion chess"), "There is no command /jion; did you mean /join? (//jion sends it as text.)");
        assert!(told("/gruops").contains("did you mean /groups?"));
        assert!(told("/Whoo").contains("did you mean /who?"));
        assert!(told("/usr/local/bin").contains("/help tells"), "{}", told("/usr/local/bin"));
        assert!(told("/").contains("/help tells"));
        assert_eq!(told("/join"), "/join needs more: /join GROUP");
        assert_eq!(told("/quit now"), "Nothing may follow /quit.");
    }

    #[test]
    fn help_names_every_command() {
        let help = help().join("\n");
        assert!(COMMANDS.iter().all(|(name, _, does)| help.contains(&format!("/{name}")) && help.contains(does)));
    }

    proptest! {
        #[test]
        fn any_text_can_be_said_with_a_slash_before_its_own(text in "[^\r\n]{0,40}") {
            let line = parse(&format!("//{text}"));
            prop_assert_eq!(line, Ok(Line::Say(format!("/{text}"))));
        }

        #[test]
        fn no_line_is_too_strange(line in any::<String>()) {
            match parse(&line) {
                Ok(Line::Say(said)) => prop_assert!(line.contains(&said) && !said.is_empty()),
                Err(error) => prop_assert!(line.starts_with('/') && error.to_string().len() < 400),
                Ok(_) => {}
            }
        }
    }
}
