//! How what others wrote is laid out on a terminal: the lines of a message, a frame on one line, names that are not too
//! long. What makes it harmless is [`printable`], for all commands.

use std::borrow::Cow;

use crate::cli::text::{printable, printable_json};

/// What begins the further lines of one message, so that none of them can look like a message of its own.
const CONTINUED: &str = "\n    ";

/// A text of several lines: the further ones are indented.
pub fn printable_lines(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join(CONTINUED)
}

/// JSON on one line. Line breaks stand between its parts only; those in texts are escapes already.
pub fn printable_json_line(json: &str) -> String {
    printable_json(json).replace('\n', " ")
}

/// At most `most` characters, the last of which says that there were more.
pub fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        None => Cow::Borrowed(text),
        Some(_) => Cow::Owned(text.chars().take(most.saturating_sub(1)).chain(['…']).collect()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::cli::text::is_unprintable;

    #[test]
    fn no_line_of_a_message_looks_like_another_message() {
        assert_eq!(printable_lines("hello\n[Sales] Boss: pay\r\n"), "hello\n    [Sales] Boss: pay");
        assert_eq!(printable_lines("a\rb"), "a\\u{d}b");
    }

    #[test]
    fn long_text_is_cut_at_a_character() {
        assert_eq!(shortened("äöü", 3), "äöü");
        assert_eq!(shortened("äöüß", 3), "äö…");
        assert_eq!(shortened("a", 0), "…");
    }

    proptest! {
        #[test]
        fn no_line_has_anything_harmful(text in any::<String>()) {
            prop_assert!(!printable_lines(&text).contains(|c| c != '\n' && is_unprintable(c)));
        }

        #[test]
        fn json_means_the_same_on_one_line_without_anything_harmful(key in any::<String>(), text in any::<String>()) {
            let value = json!({ key: [text, 1.5, null] });
            for written in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let line = printable_json_line(&written);
                prop_assert!(!line.contains(is_unprintable));
                prop_assert_eq!(&serde_json::from_str::<Value>(&line).unwrap(), &value);
            }
        }

        #[test]
        fn what_is_shortened_is_as_short_as_asked(text in any::<String>(), most in 1_usize..50) {
            prop_assert!(shortened(&text, most).chars().count() <= most);
        }
    }
}
