//! How values are written for a person: spans, and texts from outside, made harmless for a terminal: nothing in them moves
//! a cursor, sets a title, recolours or turns around what stands beside it.

use std::borrow::Cow;
use std::fmt::Write;
use std::time::Duration;

use crate::config::parse_duration;

/// Whether a terminal would do something else with it than show it: control characters, line separators, and the marks
/// that change the direction of the text around them or cannot be seen at all. All of them are in the first plane.
pub(super) fn is_unprintable(c: char) -> bool {
    let invisible = matches!(c,
        '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}');
    invisible || c.is_control()
}

/// A text on one line. What is harmful is shown as `\u{1b}`, so that nobody is deceived about what came.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
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

/// JSON in which everything harmful is written as JSON's own escape, which means the same. The line breaks between its
/// parts stay; those in texts are escapes already.
pub(super) fn printable_json(json: &str) -> Cow<'_, str> {
    if !json.contains(|c| c != '\n' && is_unprintable(c)) {
        return Cow::Borrowed(json);
    }
    let mut shown = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        match c {
            '\n' => shown.push(c),
            // Only between its parts, where there may be any blank.
            '\r' | '\t' => shown.push(' '),
            c if is_unprintable(c) => {
                // Writing into a String does not fail.
                let _ = write!(shown, "\\u{:04x}", u32::from(c));
            }
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// A span in its largest whole unit: `59m`, `3d`.
pub(super) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A time given as an argument, which is longer than none.
pub(super) fn some_time(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Some(time) if time > Duration::ZERO => Ok(time),
        _ => Err("a duration such as 500ms, 10s or 1m is wanted".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn escape_sequences_become_visible_and_other_text_stays() {
        assert_eq!(printable("\x1b]0;owned\x07\x1b[2J"), "\\u{1b}]0;owned\\u{7}\\u{1b}[2J");
        assert_eq!(printable("a\u{9b}31m\u{202e}b"), "a\\u{9b}31m\\u{202e}b");
        assert_eq!(printable("a\tb\nc"), "a b\\u{a}c");
        for text in ["Grüße, 世界", "👩\u{200d}💻", "Ünïcode <b> ☺", ""] {
            assert!(matches!(printable(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_nothing_harmful_is_left(text in any::<String>()) {
            let once = printable(&text);
            prop_assert!(!once.contains(is_unprintable));
            prop_assert_eq!(printable(&once), once.as_ref());
        }

        #[test]
        fn json_means_the_same_and_has_nothing_harmful(key in any::<String>(), text in "\\PC*[\u{1b}\u{9b}\u{202e}\n]?") {
            let value = json!({ key: [text, 1.5, null] });
            for json in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let shown = printable_json(&json);
                prop_assert!(!shown.contains(|c| c != '\n' && is_unprintable(c)));
                prop_assert_eq!(shown.lines().count(), json.lines().count());
                prop_assert_eq!(&serde_json::from_str::<Value>(&shown).unwrap(), &value);
            }
        }
    }

    #[test]
    fn spans_have_one_unit() {
        let spans = [59, 119, 3_599, 7_199, 90_000, 172_800].map(|seconds| span(Duration::from_secs(seconds)));
        assert_eq!(spans, ["59s", "119s", "59m", "119m", "25h", "2d"]);
    }
}
