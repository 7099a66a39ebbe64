//! How values are written for a person: spans, and texts that came from outside.

use std::borrow::Cow;
use std::time::Duration;

/// A text from outside as a terminal may show it: control characters, which could move its cursor or recolour it, are
/// written as escapes.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unprintable) {
        return Cow::Borrowed(text);
    }
    let escape = |c: char| if is_unprintable(c) { c.escape_unicode().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(escape).collect())
}

/// JSON as a terminal may show it: what could steer it is written as JSON's own escape, which means the same. The line
/// breaks between its parts stay; those in texts are escapes already.
pub(super) fn printable_json(json: &str) -> Cow<'_, str> {
    let is_harmful = |c: char| c != '\n' && is_unprintable(c);
    if !json.contains(is_harmful) {
        return Cow::Borrowed(json);
    }
    // All of them are in the first plane, so one escape is enough.
    let escape = |c: char| if is_harmful(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    Cow::Owned(json.chars().map(escape).collect())
}

/// Control characters, and those that turn the direction of what follows.
fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_steer_a_terminal_is_escaped_and_the_rest_stays() {
        assert_eq!(printable("Ünïcode <b> ☺"), "Ünïcode <b> ☺");
        assert_eq!(printable("a\u{1b}[2Jb\n\u{202e}c"), "a\\u{1b}[2Jb\\u{a}\\u{202e}c");
    }

    #[test]
    fn json_means_the_same_and_steers_no_terminal() {
        let value = serde_json::json!({ "a\u{9b}2J": ["\u{1b}]0;x\u{7}", "\u{202e}b\nc", "ü"] });
        for json in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let shown = printable_json(&json);
            assert!(!shown.contains(|c| c != '\n' && is_unprintable(c)), "{shown:?}");
            assert_eq!(shown.lines().count(), json.lines().count());
            assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        }
    }

    #[test]
    fn spans_have_one_unit() {
        let spans = [59, 119, 3_599, 7_199, 90_000, 172_800].map(|seconds| span(Duration::from_secs(seconds)));
        assert_eq!(spans, ["59s", "119s", "59m", "119m", "25h", "2d"]);
    }
}
