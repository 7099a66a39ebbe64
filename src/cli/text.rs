//! How values are written for a person: times, spans, and texts that came from outside.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

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

/// Whether a terminal would do something else with it than show it: control characters, line separators, and the marks
/// that change the direction of the text around them or cannot be seen at all.
pub(super) fn is_unprintable(c: char) -> bool {
    let invisible = matches!(c,
        '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}');
    invisible || c.is_control()
}

/// A time as `2026-11-23T12:00:00Z`.
pub(super) fn timestamp(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// The date of a day after 1970-01-01, counted in years that begin in March, so that the leap day is the last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year_of_era + next_year, month, day)
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
    fn times_are_written_in_utc() {
        let at = |seconds| timestamp(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(at(1_767_225_599), "2025-12-31T23:59:59Z");
        assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00Z");
    }

    #[test]
    fn spans_have_one_unit() {
        let spans = [59, 119, 3_599, 7_199, 90_000, 172_800].map(|seconds| span(Duration::from_secs(seconds)));
        assert_eq!(spans, ["59s", "119s", "59m", "119m", "25h", "2d"]);
    }
}
