//! Patterns of group names in roles: `webpubsub.sendToGroups.<pattern>`.
//!
//! They are Azure Web PubSub's, whose separator is the dot: `?` is one character and `*` any number of them, both without
//! dots; `**` is any number of characters. `\` takes its meaning from each of the three. Not to be confused with the
//! masks that clients publish to and join.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The longest pattern, in characters.
pub const MAX_PATTERN_CHARS: usize = 1024;

/// The most `*` in a pattern, those of `**` counted one by one.
pub const MAX_PATTERN_STARS: usize = 5;

/// Which groups a role is for.
///
/// ```
/// use folkmoot::pattern::GroupPattern;
///
/// let pattern: GroupPattern = "sales.*.news".parse()?;
/// assert!(pattern.matches("sales.europe.news"));
/// assert!(!pattern.matches("sales.europe.west.news"));
/// # Ok::<(), folkmoot::pattern::PatternError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GroupPattern {
    written: Box<str>,
    /// The literal before the first star.
    first: Box<[Unit]>,
    /// Each star with the literal behind it.
    rest: Box<[(Star, Box<[Unit]>)]>,
}

/// One character of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Unit {
    Is(char),
    NoDot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Star {
    /// `*`
    WithoutDots,
    /// `**`, or more of them
    Any,
}

/// A text that is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PatternError {
    /// No character at all.
    #[error("a pattern of groups needs at least one character")]
    Empty,
    /// More than [`MAX_PATTERN_CHARS`].
    #[error("a pattern of groups has at most {MAX_PATTERN_CHARS} characters")]
    TooLong,
    /// More than [`MAX_PATTERN_STARS`].
    #[error("a pattern of groups has at most {MAX_PATTERN_STARS} stars")]
    TooManyStars,
    /// `\` before something else than `*`, `?` or `\`.
    #[error("in a pattern of groups '\\' stands before '*', '?' or '\\' only")]
    Escape,
}

impl GroupPattern {
    /// Whether it is for this group. Takes time in proportion to the name for a pattern with one star, and to the name
    /// times the pattern at most.
    #[must_use]
    pub fn matches(&self, group: &str) -> bool {
        let Some(rest) = strip(group, &self.first) else { return false };
        match &*self.rest {
            [] => rest.is_empty(),
            [(star, literal)] => ends(rest, literal).is_some_and(|between| star.covers(between)),
            several => matches_rest(rest, several),
        }
    }

    /// Whether it is for every group.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.first.is_empty() && matches!(&*self.rest, [(Star::Any, literal)] if literal.is_empty())
    }
}

impl Star {
    fn covers(self, text: &str) -> bool {
        self == Star::Any || !text.contains('.')
    }
}

impl Unit {
    fn is(self, c: char) -> bool {
        match self {
            Unit::Is(wanted) => c == wanted,
            Unit::NoDot => c != '.',
        }
    }
}

/// What follows the literal, where the text begins with it.
fn strip<'a>(text: &'a str, literal: &[Unit]) -> Option<&'a str> {
    let mut chars = text.chars();
    literal.iter().all(|unit| chars.next().is_some_and(|c| unit.is(c))).then_some(chars.as_str())
}

/// What precedes the literal, where the text ends with it.
fn ends<'a>(text: &'a str, literal: &[Unit]) -> Option<&'a str> {
    let mut chars = text.chars();
    literal.iter().rev().all(|unit| chars.next_back().is_some_and(|c| unit.is(c))).then_some(chars.as_str())
}

/// Several stars: where in the text each literal can have ended, one after the other, so that no choice is tried twice.
fn matches_rest(text: &str, rest: &[(Star, Box<[Unit]>)]) -> bool {
    let mut ended = vec![false; text.len() + 1];
    if let Some(start) = ended.first_mut() {
        *start = true;
    }
    for (star, literal) in rest {
        let mut next = vec![false; text.len() + 1];
        // Whether the star can reach from one of the ends to here.
        let mut reached = false;
        for (at, c) in text.char_indices().map(|(at, c)| (at, Some(c))).chain([(text.len(), None)]) {
            reached |= ended.get(at).copied().unwrap_or(false);
            if reached
                && let Some(behind) = strip(&text[at..], literal)
                && let Some(end) = next.get_mut(text.len() - behind.len())
            {
                *end = true;
            }
            reached &= *star == Star::Any || c != Some('.');
        }
        ended = next;
    }
    ended.last().copied().unwrap_or(false)
}

impl FromStr for GroupPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if text.chars().nth(MAX_PATTERN_CHARS).is_some() {
            return Err(PatternError::TooLong);
        }
        // The literals, each but the first with the star before it.
        let mut parts = vec![(Star::Any, Vec::new())];
        let mut stars = 0;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let unit = match c {
                '*' => {
                    stars += 1;
                    let mut star = Star::WithoutDots;
                    while chars.next_if_eq(&'*').is_some() {
                        stars += 1;
                        star = Star::Any;
                    }
                    parts.push((star, Vec::new()));
                    continue;
                }
                '?' => Unit::NoDot,
                '\\' => Unit::Is(chars.next_if(|c| matches!(c, '*' | '?' | '\\')).ok_or(PatternError::Escape)?),
                other => Unit::Is(other),
            };
            if let Some((_, literal)) = parts.last_mut() {
                literal.push(unit);
            }
        }
        if stars > MAX_PATTERN_STARS {
            return Err(PatternError::TooManyStars);
        }
        let mut parts = parts.into_iter().map(|(star, literal)| (star, literal.into_boxed_slice()));
        let first = parts.next().map(|(_, literal)| literal).unwrap_or_default();
        Ok(GroupPattern { written: text.into(), first, rest: parts.collect() })
    }
}

impl fmt::Display for GroupPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> GroupPattern {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn a_star_stops_at_a_dot_and_two_do_not() {
        for (text, yes, no) in [
            (
                "sales.*",
                &["sales.", "sales.europe", "sales./"][..],
                &["sales", "sales.europe.west", "Sales.europe"][..],
            ),
            ("sales.**", &["sales.", "sales.europe.west"], &["sales", "asales.x"]),
            ("*", &["", "a", "sales/eu/west"], &["a.b"]),
            ("**", &["", "a.b.c"], &[]),
            ("****", &["a.b.c"], &[]),
            ("sales/*", &["sales/eu/west"], &["sales/eu.west"]),
            ("?", &["a", "ü"], &["", ".", "ab"]),
            ("a?c", &["abc", "aüc"], &["a.c", "ac"]),
            ("\\*", &["*"], &["a"]),
            ("a\\?\\\\", &["a?\\"], &["ab\\"]),
            ("*.news", &["eu.news", ".news"], &["eu.west.news", "news"]),
            ("*.*", &["a.b", "."], &["a", "a.b.c"]),
            ("a*b*c", &["abc", "aXbXc", "abcbc"], &["ab", "a.bc", "ab.c"]),
            ("a**b*c", &["a.x.bc", "ab.bc"], &["ab.c"]),
            ("*a*a*a*a*", &["aaaa", "xaxaxaxax"], &["aaa", "a.aaa"]),
            ("exact.name", &["exact.name"], &["exact.names", "exactXname"]),
        ] {
            let pattern = pattern(text);
            yes.iter().for_each(|name| assert!(pattern.matches(name), "{text} for {name}"));
            no.iter().for_each(|name| assert!(!pattern.matches(name), "{text} not for {name}"));
            assert_eq!(pattern.to_string(), text);
        }
        assert!(pattern("**").is_all() && pattern("***").is_all());
        assert!(!pattern("*").is_all() && !pattern("a**").is_all() && !pattern("**a").is_all());
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        assert_eq!("".parse::<GroupPattern>(), Err(PatternError::Empty));
        for escape in ["\\", "a\\", "\\a", "\\."] {
            assert_eq!(escape.parse::<GroupPattern>(), Err(PatternError::Escape), "{escape}");
        }
        assert_eq!("*a*a*a*a*a*".parse::<GroupPattern>(), Err(PatternError::TooManyStars));
        assert_eq!("******".parse::<GroupPattern>(), Err(PatternError::TooManyStars));
        assert_eq!("ü".repeat(MAX_PATTERN_CHARS + 1).parse::<GroupPattern>(), Err(PatternError::TooLong));
        assert!("ü".repeat(MAX_PATTERN_CHARS).parse::<GroupPattern>().is_ok());
        assert!("\\*\\*\\*\\*\\*\\*".parse::<GroupPattern>().is_ok());
    }

    /// What the documentation says, tried in every way.
    fn slowly(pattern: &[char], name: &[char]) -> bool {
        let Some((first, rest)) = pattern.split_first() else { return name.is_empty() };
        match first {
            '*' => {
                let stars = pattern.iter().take_while(|c| **c == '*').count();
                let without = slowly(&pattern[stars..], name);
                without
                    || name.split_first().is_some_and(|(c, behind)| (stars > 1 || *c != '.') && slowly(pattern, behind))
            }
            wanted => name
                .split_first()
                .is_some_and(|(c, behind)| (c == wanted || (*wanted == '?' && *c != '.')) && slowly(rest, behind)),
        }
    }

    proptest! {
        #[test]
        fn it_matches_what_the_documentation_says(text in "[ab.?*]{1,9}", name in "[ab.ü]{0,9}") {
            prop_assume!(text.matches('*').count() <= MAX_PATTERN_STARS);
            let (units, chars): (Vec<_>, Vec<_>) = (text.chars().collect(), name.chars().collect());
            prop_assert_eq!(pattern(&text).matches(&name), slowly(&units, &chars));
        }

        #[test]
        fn any_text_is_a_pattern_or_an_error(text in "\\PC{0,40}", name in "\\PC{0,40}") {
            if let Ok(pattern) = text.parse::<GroupPattern>() {
                let _: bool = pattern.matches(&name);
            }
        }
    }
}
