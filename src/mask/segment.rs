//! What stands between the stars of a mask: a fixed number of characters, each literal, any, or one of a set.
//!
//! At the ends of a mask a [`Segment`] is compared in place; between two stars it is a [`Floating`] one, looked for from
//! the left. Both never read a character of the name more often than the segment has parts.

use std::str::Chars;

use memchr::memmem;

use super::{MAX_WILDCARDS, MaskError};

/// Parts in a floating segment: two of the wildcards are the stars around it, and literals alternate with the others.
const MAX_PARTS: usize = 2 * (MAX_WILDCARDS - 2) + 1;

/// A run of literal text, or one wildcard for one character.
enum Part {
    Literal(Box<str>),
    Any,
    Set(Set),
}

impl Part {
    fn accepts(&self, c: char) -> bool {
        match self {
            Part::Literal(text) => text.starts_with(c),
            Part::Any => true,
            Part::Set(set) => set.contains(c),
        }
    }
}

/// What stands before, between or after the stars of a mask.
#[derive(Default)]
pub struct Segment(Vec<Part>);

impl Segment {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The rest of `name` behind this segment, if the name begins with it.
    pub fn strip_from_start<'n>(&self, name: &'n str) -> Option<&'n str> {
        self.0.iter().try_fold(name, |name, part| match part {
            Part::Literal(text) => name.strip_prefix(&**text),
            one => {
                let mut chars = name.chars();
                one.accepts(chars.next()?).then_some(chars.as_str())
            }
        })
    }

    /// What stands before this segment, if the name ends with it.
    pub fn strip_from_end<'n>(&self, name: &'n str) -> Option<&'n str> {
        self.0.iter().rev().try_fold(name, |name, part| match part {
            Part::Literal(text) => name.strip_suffix(&**text),
            one => {
                let mut chars = name.chars();
                one.accepts(chars.next_back()?).then_some(chars.as_str())
            }
        })
    }
}

/// A segment between two stars, ready to be looked for.
pub enum Floating {
    /// Literal text alone, which is by far the commonest.
    Literal(Box<memmem::Finder<'static>>),
    /// Text with `?` or sets, one needle a part.
    Mixed(Vec<Needle>),
}

impl Floating {
    pub fn new(segment: Segment) -> Self {
        if let [Part::Literal(text)] = segment.0.as_slice() {
            return Floating::Literal(Box::new(memmem::Finder::new(text.as_bytes()).into_owned()));
        }
        let mut offset = 0;
        let needles = segment.0.into_iter().map(|part| {
            let needle = Needle::new(offset, part);
            offset += needle.len();
            needle
        });
        Floating::Mixed(needles.collect())
    }

    /// The rest of `name` behind the leftmost occurrence of this segment.
    pub fn strip_through<'n>(&self, name: &'n str) -> Option<&'n str> {
        match self {
            Floating::Literal(finder) => name.get(finder.find(name.as_bytes())? + finder.needle().len()..),
            Floating::Mixed(needles) => strip_through_all(needles, name),
        }
    }
}

/// Moves one cursor per needle forward until all of them agree where the segment begins.
///
/// A place that one needle refuses is skipped by all, and no cursor ever goes back: that makes it linear where trying
/// the whole segment at every place would be quadratic.
fn strip_through_all<'n>(needles: &[Needle], name: &'n str) -> Option<&'n str> {
    let mut cursors: [Cursor<'n>; MAX_PARTS] = std::array::from_fn(|_| Cursor::new(name));
    let mut start = 0;
    let mut agreed = 0;
    loop {
        for (needle, cursor) in needles.iter().zip(&mut cursors) {
            let found = cursor.seek(needle, start + needle.offset)? - needle.offset;
            agreed = if found == start { agreed + 1 } else { 1 };
            start = found;
            if agreed >= needles.len() {
                // The last needle ends where the segment ends, and it stands exactly behind its occurrence.
                let last = needles.len().checked_sub(1)?;
                let (needle, cursor) = (needles.get(last)?, cursors.get_mut(last)?);
                cursor.seek(needle, start + needle.offset)?;
                return Some(cursor.rest.as_str());
            }
        }
    }
}

/// A part of a floating segment, and how many characters into the segment it stands.
pub struct Needle {
    offset: usize,
    pattern: Pattern,
}

enum Pattern {
    One(Part),
    /// Knuth, Morris and Pratt: `borders[i]` is how much of the text is already matched when `text[i + 1]` is not.
    Text {
        text: Box<[char]>,
        borders: Box<[usize]>,
    },
}

impl Needle {
    fn new(offset: usize, part: Part) -> Self {
        let pattern = match part {
            Part::Literal(text) => {
                let text: Box<[char]> = text.chars().collect();
                Pattern::Text { borders: borders(&text), text }
            }
            one => Pattern::One(one),
        };
        Needle { offset, pattern }
    }

    fn len(&self) -> usize {
        match &self.pattern {
            Pattern::One(_) => 1,
            Pattern::Text { text, .. } => text.len(),
        }
    }

    /// How much of the needle is matched after reading `c` when `matched` was matched before it.
    fn step(&self, matched: usize, c: char) -> usize {
        match &self.pattern {
            Pattern::One(part) => usize::from(part.accepts(c)),
            Pattern::Text { text, borders } => advance(text, borders, matched, c),
        }
    }
}

fn advance(text: &[char], borders: &[usize], mut matched: usize, c: char) -> usize {
    loop {
        if text.get(matched) == Some(&c) {
            return matched + 1;
        }
        match matched.checked_sub(1).and_then(|last| borders.get(last)) {
            Some(border) => matched = *border,
            None => return 0,
        }
    }
}

fn borders(text: &[char]) -> Box<[usize]> {
    let mut borders = Vec::with_capacity(text.len());
    let mut matched = 0;
    for (i, c) in text.iter().enumerate() {
        if i > 0 {
            matched = advance(text, &borders, matched, *c);
        }
        borders.push(matched);
    }
    borders.into()
}

/// How far one needle has been looked for, in characters.
struct Cursor<'n> {
    rest: Chars<'n>,
    read: usize,
    matched: usize,
}

impl<'n> Cursor<'n> {
    fn new(name: &'n str) -> Self {
        Cursor { rest: name.chars(), read: 0, matched: 0 }
    }

    /// Where the needle next begins, not before `from`; the cursor then stands behind it.
    fn seek(&mut self, needle: &Needle, from: usize) -> Option<usize> {
        let len = needle.len();
        while self.matched < len || self.read < from + len {
            self.matched = needle.step(self.matched, self.rest.next()?);
            self.read += 1;
        }
        Some(self.read - len)
    }
}

/// A set of characters: sorted ranges that do not touch one another, so that looking one up takes a binary search.
struct Set {
    negated: bool,
    ranges: Box<[(char, char)]>,
}

impl Set {
    fn contains(&self, c: char) -> bool {
        let after = self.ranges.partition_point(|(first, _)| *first <= c);
        let held = after.checked_sub(1).and_then(|i| self.ranges.get(i)).is_some_and(|(_, last)| c <= *last);
        held != self.negated
    }

    /// Reads a set whose `[` has been read, through its `]`.
    fn read(chars: &mut Chars<'_>) -> Result<Self, MaskError> {
        let negated = chars.as_str().starts_with('!');
        if negated {
            chars.next();
        }
        let mut ranges = Vec::new();
        loop {
            let first = chars.next().ok_or(MaskError::UnclosedSet)?;
            if first == ']' {
                break;
            }
            let mut ahead = chars.clone();
            let last = match (ahead.next(), ahead.next()) {
                (Some('-'), None) => return Err(MaskError::UnclosedSet),
                (Some('-'), Some(last)) if last != ']' => {
                    *chars = ahead;
                    last
                }
                _ => first,
            };
            if last < first {
                return Err(MaskError::ReversedRange(first, last));
            }
            ranges.push((first, last));
        }
        if ranges.is_empty() {
            return Err(MaskError::EmptySet);
        }
        Ok(Set { negated, ranges: merge(ranges) })
    }
}

fn merge(mut ranges: Vec<(char, char)>) -> Box<[(char, char)]> {
    ranges.sort_unstable();
    ranges.dedup_by(|next, kept| {
        let overlaps = next.0 <= kept.1;
        if overlaps {
            kept.1 = kept.1.max(next.1);
        }
        overlaps
    });
    ranges.into()
}

/// The segments of a mask: one more than it has runs of stars.
pub fn split(text: &str) -> Result<Vec<Segment>, MaskError> {
    let mut segments = vec![Segment::default()];
    let mut wildcards = 0;
    let mut chars = text.chars();
    while !chars.as_str().is_empty() {
        let rest = chars.as_str();
        let literal = rest.find(super::Mask::is_wildcard).unwrap_or(rest.len());
        let part = match rest.split_at(literal) {
            ("", wildcard) => {
                wildcards += 1;
                if wildcards > MAX_WILDCARDS {
                    return Err(MaskError::TooManyWildcards);
                }
                if wildcard.starts_with('*') {
                    chars = wildcard.trim_start_matches('*').chars();
                    segments.push(Segment::default());
                    continue;
                }
                match chars.next() {
                    Some('[') => Part::Set(Set::read(&mut chars)?),
                    _ => Part::Any,
                }
            }
            (literal, rest) => {
                chars = rest.chars();
                Part::Literal(literal.into())
            }
        };
        if let Some(segment) = segments.last_mut() {
            segment.0.push(part);
        }
    }
    Ok(segments)
}
