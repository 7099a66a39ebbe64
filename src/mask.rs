//! Masks: patterns over group names, read once and matched in linear time.
//!
//! `*` is any run of characters (`/` included), `?` any one character, `[abc]`, `[!abc]` and `[a-z]` one character in
//! or out of a set. A character is a Unicode scalar and case counts. Which groups exist, and who may use a mask, is
//! decided elsewhere; the length of a mask is bounded by [`Target`](crate::Target).
//!
//! A mask is a first and a last [`Segment`] tied to the ends of the name, and between two `*` segments that may be
//! anywhere. Each takes a fixed number of characters, so the leftmost place for each is always the right one and
//! nothing is ever tried twice.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Serialize, Serializer};

use self::segment::{Floating, Segment};

mod segment;

/// Most wildcards in a mask. A run of `*` is one: it means and costs the same as a single `*`.
pub const MAX_WILDCARDS: usize = 5;

/// Why a text is not a mask.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MaskError {
    /// A `[` without its `]`.
    #[error("the mask has a '[' without its ']'")]
    UnclosedSet,
    /// A set that no character, or every character, would match.
    #[error("the mask has an empty set, '[]' or '[!]'")]
    EmptySet,
    /// A range whose first character stands behind its last.
    #[error("the mask has the reversed range '{0}-{1}'")]
    ReversedRange(char, char),
    /// More than five wildcards.
    #[error("the mask has more than {MAX_WILDCARDS} wildcards")]
    TooManyWildcards,
}

/// A pattern over group names. Cloning is cheap; comparing goes by the text.
///
/// A text without any wildcard is a mask that matches only itself. A set cannot hold `]`; `-` stands for itself at
/// either end of a set, and `!` anywhere but at its beginning.
///
/// ```
/// use folkmoot::Mask;
///
/// let mask = Mask::parse("sales/*")?;
/// assert!(mask.matches("sales/eu/west"));
/// assert!(!mask.matches("Sales/eu"));
/// assert_eq!(mask.literal_prefix(), "sales/");
/// # Ok::<(), folkmoot::MaskError>(())
/// ```
#[derive(Clone)]
pub struct Mask(Arc<Parsed>);

struct Parsed {
    text: Box<str>,
    /// Bytes of `text` before the first wildcard.
    literal_prefix: usize,
    /// What the name begins with; without any `*` it is the whole name.
    first: Segment,
    rest: Option<Rest>,
}

/// What follows the first `*`.
struct Rest {
    middle: Box<[Floating]>,
    last: Segment,
}

impl Mask {
    /// Whether a character makes a text a mask.
    pub fn is_wildcard(c: char) -> bool {
        matches!(c, '*' | '?' | '[')
    }

    /// Takes a mask from outside.
    ///
    /// # Errors
    /// [`MaskError`] for a set that is unclosed, empty or has a reversed range, and for more than five wildcards.
    pub fn parse(text: &str) -> Result<Self, MaskError> {
        let mut segments = segment::split(text)?;
        let first = if segments.is_empty() { Segment::default() } else { segments.remove(0) };
        let rest = segments.pop().map(|last| {
            // Two neighbouring stars have nothing between them to look for.
            let middle = segments.into_iter().filter(|segment| !segment.is_empty()).map(Floating::new).collect();
            Rest { middle, last }
        });
        let literal_prefix = text.find(Mask::is_wildcard).unwrap_or(text.len());
        Ok(Mask(Arc::new(Parsed { text: text.into(), literal_prefix, first, rest })))
    }

    /// The mask as it was written.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The text before the first wildcard: every name that matches begins with it, which bounds an ordered scan.
    pub fn literal_prefix(&self) -> &str {
        self.0.text.get(..self.0.literal_prefix).unwrap_or_default()
    }

    /// Whether the mask is `*` (or a run of it) and thus matches every name.
    pub fn is_everything(&self) -> bool {
        !self.0.text.is_empty() && self.0.text.bytes().all(|byte| byte == b'*')
    }

    /// Whether the whole of `name` matches, in time linear in its length.
    pub fn matches(&self, name: &str) -> bool {
        let Some(rest_of_name) = self.0.first.strip_from_start(name) else { return false };
        let Some(rest) = &self.0.rest else { return rest_of_name.is_empty() };
        let Some(mut between) = rest.last.strip_from_end(rest_of_name) else { return false };
        for segment in &rest.middle {
            match segment.strip_through(between) {
                Some(after) => between = after,
                None => return false,
            }
        }
        true
    }
}

impl AsRef<str> for Mask {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for Mask {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Mask {}

impl PartialOrd for Mask {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Mask {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Mask {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Display for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl Serialize for Mask {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(mask: &str, name: &str) -> bool {
        Mask::parse(mask).unwrap().matches(name)
    }

    #[test]
    fn a_star_crosses_levels() {
        assert!(matches("sales/*", "sales/eu/west"));
        assert!(matches("sales/*", "sales/"));
        assert!(!matches("sales/*", "sales"));
    }

    #[test]
    fn case_counts() {
        assert!(!matches("sales/*", "Sales"));
        assert!(!matches("sales/*", "Sales/eu"));
    }

    #[test]
    fn a_question_mark_is_one_character_whatever_its_bytes() {
        for name in ["aéb", "a😀b", "a/b"] {
            assert!(matches("a?b", name), "{name}");
        }
        assert!(!matches("a?b", "ab"));
        assert!(!matches("a??b", "aéb"));
    }

    #[test]
    fn sets_hold_single_characters_and_ranges() {
        assert!(matches("team-[a-cx]", "team-b"));
        assert!(matches("team-[a-cx]", "team-x"));
        assert!(!matches("team-[a-cx]", "team-d"));
        assert!(matches("[!a-c]", "é"));
        assert!(!matches("[!a-c]", "b"));
        assert!(!matches("[!a-c]", ""));
        assert!(matches("[-a]", "-") && matches("[a-]", "-") && matches("[a!]", "!"));
        assert!(!matches("[a-]", "b"));
    }

    #[test]
    fn malformed_sets_are_refused() {
        for unclosed in ["[", "a[bc", "[!", "[a-", "*["] {
            assert_eq!(Mask::parse(unclosed), Err(MaskError::UnclosedSet), "{unclosed}");
        }
        for empty in ["[]", "[!]", "[]a]"] {
            assert_eq!(Mask::parse(empty), Err(MaskError::EmptySet), "{empty}");
        }
        assert_eq!(Mask::parse("[z-a]"), Err(MaskError::ReversedRange('z', 'a')));
    }

    #[test]
    fn six_wildcards_are_too_many_and_a_run_of_stars_is_one() {
        assert!(Mask::parse("*a?b[c]d*e?").is_ok());
        assert_eq!(Mask::parse("*a?b[c]d*e?*"), Err(MaskError::TooManyWildcards));
        assert_eq!(Mask::parse("??????"), Err(MaskError::TooManyWildcards));
        assert!(matches("a***********b", "ab"));
    }

    #[test]
    fn the_ends_may_not_share_characters() {
        assert!(!matches("aba*ba", "aba"));
        assert!(matches("aba*ba", "ababa"));
        assert!(!matches("a?*?a", "aba"));
    }

    #[test]
    fn the_literal_prefix_ends_before_the_first_wildcard() {
        for (mask, prefix) in [("sales/*", "sales/"), ("é?", "é"), ("[a]b", ""), ("*", ""), ("plain", "plain")] {
            assert_eq!(Mask::parse(mask).unwrap().literal_prefix(), prefix, "{mask}");
        }
    }

    #[test]
    fn only_stars_alone_are_everything() {
        assert!(Mask::parse("*").unwrap().is_everything());
        assert!(Mask::parse("**").unwrap().is_everything());
        for other in ["", "?*", "*a", "a*"] {
            assert!(!Mask::parse(other).unwrap().is_everything(), "{other}");
        }
    }

    /// Shapes for which a matcher that tries every place anew would need minutes.
    #[test]
    fn a_hostile_mask_on_a_long_name_ends_soon() {
        let name = "a".repeat(400_000);
        let half = "a".repeat(100_000);
        assert!(!matches(&format!("*{half}?{half}b*"), &name));
        assert!(!matches(&format!("*{half}b{half}*"), &name));
        assert!(!matches(&format!("*{half}[!a]{half}*"), &name));
    }

    /// The definition, written to be obviously right: tries every way.
    fn naive(mask: &[char], name: &[char]) -> bool {
        match mask.split_first() {
            None => name.is_empty(),
            Some(('*', rest)) => (0..=name.len()).any(|skip| naive(rest, &name[skip..])),
            Some(('?', rest)) => !name.is_empty() && naive(rest, &name[1..]),
            Some(('[', rest)) => {
                let close = rest.iter().position(|c| *c == ']').unwrap();
                let (set, rest) = (&rest[..close], &rest[close + 1..]);
                let (negated, set) = if set[0] == '!' { (true, &set[1..]) } else { (false, set) };
                let held = |c: char| match set {
                    [first, '-', last] => (*first..=*last).contains(&c),
                    _ => set.contains(&c),
                };
                name.split_first().is_some_and(|(c, name)| held(*c) != negated && naive(rest, name))
            }
            Some((literal, rest)) => name.first() == Some(literal) && naive(rest, &name[1..]),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn the_matcher_agrees_with_the_definition(
            mask in "([ab/é]{0,3}(\\*|\\?|\\[ab\\]|\\[!bé\\]|\\[a-b\\])){0,5}[abé]{0,3}",
            name in "[ab/é😀]{0,14}",
        ) {
            let parsed = Mask::parse(&mask).unwrap();
            let mask: Vec<char> = mask.chars().collect();
            let chars: Vec<char> = name.chars().collect();
            prop_assert_eq!(parsed.matches(&name), naive(&mask, &chars));
        }

        /// Two letters and a `?` between stars: occurrences overlap, and the parts refuse one another's places.
        #[test]
        fn a_floating_part_with_wildcards_is_found_wherever_it_is(
            mask in "\\*[ab]{1,4}(\\?|\\[!a\\])[ab]{0,3}\\??\\*a?",
            name in "[abé]{0,4}[ab]{0,16}",
        ) {
            let parsed = Mask::parse(&mask).unwrap();
            let mask: Vec<char> = mask.chars().collect();
            let chars: Vec<char> = name.chars().collect();
            prop_assert_eq!(parsed.matches(&name), naive(&mask, &chars));
        }

        #[test]
        fn a_name_made_from_the_mask_matches(
            parts in proptest::collection::vec("[ab]{0,3}", 1..6),
            fills in proptest::collection::vec("[abé]{0,4}", 5),
        ) {
            let mask = parts.join("*");
            let name: String = parts.iter().zip(fills.iter().map(Some).chain([None])).enumerate()
                .flat_map(|(i, (part, fill))| {
                    let last = i + 1 == parts.len();
                    [part.as_str(), if last { "" } else { fill.map_or("", String::as_str) }]
                })
                .collect();
            prop_assert!(Mask::parse(&mask).unwrap().matches(&name));
        }

        #[test]
        fn names_that_match_begin_with_the_literal_prefix(mask in "[ab]{0,3}[*?]{0,2}[ab]{0,2}", name in "[ab]{0,8}") {
            let mask = Mask::parse(&mask).unwrap();
            prop_assert!(!mask.matches(&name) || name.starts_with(mask.literal_prefix()));
        }

        #[test]
        fn any_text_is_a_mask_or_an_error(text in "\\PC{0,40}", name in "\\PC{0,40}") {
            if let Ok(mask) = Mask::parse(&text) {
                mask.matches(&name);
            }
        }
    }
}
