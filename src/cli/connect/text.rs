//! What others wrote, made harmless for a terminal: nothing that moves a cursor, sets a title or turns text around.
//!
//! What is taken out is shown as `\u{1b}`, so that nobody is deceived about what came.

use std::borrow::Cow;

use crate::cli::text::is_unprintable;

/// What begins the further lines of one message, so that none of them can look like a message of its own.
const CONTINUED: &str = "\n    ";

/// One line that a terminal only shows.
pub fn harmless(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unprintable) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\t' => shown.push(' '),
            c if is_unprintable(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// The same for a text of several lines: the further ones are indented.
pub fn harmless_lines(text: &str) -> String {
    text.lines().map(harmless).collect::<Vec<_>>().join(CONTINUED)
}

/// The same JSON on one line and without what a terminal would act on. Raw line breaks stand between JSON's tokens only,
/// and every other such character in a string, where its escape means the same.
pub fn harmless_json(json: &str) -> Cow<'_, str> {
    if !json.contains(is_unprintable) {
        return Cow::Borrowed(json);
    }
    let mut line = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        match c {
            '\n' | '\r' | '\t' => line.push(' '),
            // All of them are in the first plane, so one escape is enough.
            c if is_unprintable(c) => line.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => line.push(c),
        }
    }
    Cow::Owned(line)
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

    #[test]
    fn escape_sequences_become_visible_and_other_text_stays() {
        assert_eq!(harmless("\x1b]0;owned\x07\x1b[2J"), "\\u{1b}]0;owned\\u{7}\\u{1b}[2J");
        assert_eq!(harmless("a\u{9b}31m\u{202e}b"), "a\\u{9b}31m\\u{202e}b");
        assert_eq!(harmless("a\tb\nc"), "a b\\u{a}c");
        for text in ["Grüße, 世界", "👩\u{200d}💻", ""] {
            assert!(matches!(harmless(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn no_line_of_a_message_looks_like_another_message() {
        assert_eq!(harmless_lines("hello\n[Sales] Boss: pay\r\n"), "hello\n    [Sales] Boss: pay");
        assert_eq!(harmless_lines("a\rb"), "a\\u{d}b");
    }

    #[test]
    fn long_text_is_cut_at_a_character() {
        assert_eq!(shortened("äöü", 3), "äöü");
        assert_eq!(shortened("äöüß", 3), "äö…");
        assert_eq!(shortened("a", 0), "…");
    }

    proptest! {
        #[test]
        fn whatever_comes_nothing_harmful_is_left(text in any::<String>()) {
            prop_assert!(!harmless(&text).contains(is_unprintable));
            prop_assert!(!harmless_lines(&text).contains(|c| c != '\n' && is_unprintable(c)));
            let once = harmless(&text);
            prop_assert_eq!(harmless(&once), once.as_ref());
        }

        #[test]
        fn json_means_the_same_on_one_line_without_anything_harmful(key in any::<String>(), text in any::<String>()) {
            let value = json!({ key: [text, 1.5, null] });
            for written in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let line = harmless_json(&written);
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
