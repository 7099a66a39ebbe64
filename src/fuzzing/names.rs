//! Names and masks: each is refused or written as it reads; a mask matches what trying everything matches; and the
//! indexes find what looking at everything finds.

use std::collections::BTreeSet;

use crate::auth::permissions::Role;
use crate::groups::index::{GroupIndex, MaskIndex};
use crate::ids::{ConnectionId, GroupName, HubName, MAX_GROUP_NAME_CHARS, MAX_USER_ID_CHARS, Target, UserId};
use crate::mask::{MAX_WILDCARDS, Mask};

/// The slow way is quadratic.
const MAX_CHARS: usize = 300;
/// And it tries every name with every mask.
const MAX_LINES: usize = 24;

/// Each line is a name, and a mask where it can be one.
pub fn names(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let lines: Vec<&str> = text.split('\n').take(MAX_LINES).collect();
    for line in &lines {
        each_kind_of_name(line);
    }
    let lines: BTreeSet<&str> = lines.into_iter().filter(|line| line.chars().count() <= MAX_CHARS).collect();
    let masks: Vec<(Mask, Vec<Piece>)> = lines.iter().filter_map(|line| mask(line)).collect();
    for (mask, pieces) in &masks {
        for name in &lines {
            let name_chars: Vec<char> = name.chars().collect();
            assert_eq!(mask.matches(name), matches(pieces, &name_chars), "{mask:?} and {name:?}");
            assert!(!mask.matches(name) || name.starts_with(mask.literal_prefix()), "{mask:?} and {name:?}");
        }
    }
    let names: Vec<GroupName> = lines.iter().filter_map(|line| GroupName::parse(line, false).ok()).collect();
    let masks: Vec<Mask> = masks.into_iter().map(|(mask, _)| mask).collect();
    indexes(&names, &masks);
}

fn each_kind_of_name(line: &str) {
    let chars = line.chars().count();
    let is_plain = !line.trim().is_empty() && !line.chars().any(char::is_control);
    let has_wildcard = line.contains(['*', '?', '[']);

    let is_name = is_plain && chars <= MAX_GROUP_NAME_CHARS;
    assert_eq!(GroupName::parse(line, false).is_ok(), is_name);
    assert_eq!(GroupName::parse(line, true).is_ok(), is_name && !has_wildcard);
    assert_eq!(UserId::parse(line).is_ok(), is_plain && chars <= MAX_USER_ID_CHARS);
    match Target::parse(line, true) {
        Ok(Target::Mask(mask)) => assert!(is_name && has_wildcard && mask.as_str() == line),
        Ok(Target::Group(group)) => assert!(is_name && !has_wildcard && group.as_str() == line),
        Err(_) => assert!(!is_name || Mask::parse(line).is_err()),
    }
    if let Ok(hub) = HubName::parse(line) {
        assert!(line.is_ascii() && hub.as_str().eq_ignore_ascii_case(line) && line.len() <= 128);
        assert_eq!(HubName::parse(hub.as_str()), Ok(hub));
    }
    if let Ok(id) = line.parse::<ConnectionId>() {
        assert_eq!(id.to_string(), line.to_ascii_lowercase());
    }
    if let Ok(role) = line.parse::<Role>() {
        assert_eq!(role.to_string().parse::<Role>().as_ref(), Ok(&role));
    }
}

/// What stands for one character of a name, or for any run of them.
enum Piece {
    One(char),
    Any,
    Run,
    Set { negated: bool, ranges: Vec<(char, char)> },
}

/// The mask that a line is, read by us and read here.
fn mask(line: &str) -> Option<(Mask, Vec<Piece>)> {
    let (ours, pieces) = (Mask::parse(line).ok(), pieces(line));
    assert_eq!(ours.is_some(), pieces.is_some(), "is {line:?} a mask?");
    ours.zip(pieces)
}

fn pieces(line: &str) -> Option<Vec<Piece>> {
    let (mut found, mut rest) = (Vec::new(), line);
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '*' if matches!(found.last(), Some(Piece::Run)) => {}
            '*' => found.push(Piece::Run),
            '?' => found.push(Piece::Any),
            '[' => {
                let (inside, behind) = rest.split_once(']')?;
                rest = behind;
                found.push(set(inside)?);
            }
            c => found.push(Piece::One(c)),
        }
    }
    let wildcards = found.iter().filter(|piece| !matches!(piece, Piece::One(_))).count();
    (wildcards <= MAX_WILDCARDS).then_some(found)
}

fn set(inside: &str) -> Option<Piece> {
    let negated = inside.starts_with('!');
    let chars: Vec<char> = inside.chars().skip(usize::from(negated)).collect();
    let (mut ranges, mut at) = (Vec::new(), 0);
    while let Some(&from) = chars.get(at) {
        match (chars.get(at + 1), chars.get(at + 2)) {
            (Some('-'), Some(&to)) => {
                ranges.push((from, to));
                at += 3;
            }
            _ => {
                ranges.push((from, from));
                at += 1;
            }
        }
    }
    let valid = !ranges.is_empty() && ranges.iter().all(|(from, to)| from <= to);
    valid.then_some(Piece::Set { negated, ranges })
}

/// Tries everything: `reached[i]` tells whether the pieces so far can take exactly the first `i` characters.
fn matches(pieces: &[Piece], name: &[char]) -> bool {
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    for piece in pieces {
        let mut next = vec![false; name.len() + 1];
        for end in 0..=name.len() {
            next[end] = match piece {
                Piece::Run => reached[..=end].contains(&true),
                one => end > 0 && reached[end - 1] && accepts(one, name[end - 1]),
            };
        }
        reached = next;
    }
    reached[name.len()]
}

fn accepts(piece: &Piece, c: char) -> bool {
    match piece {
        Piece::One(one) => *one == c,
        Piece::Any | Piece::Run => true,
        Piece::Set { negated, ranges } => ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *negated,
    }
}

fn indexes(names: &[GroupName], masks: &[Mask]) {
    let (mut groups, mut listened) = (GroupIndex::default(), MaskIndex::default());
    for (key, name) in (0..).zip(names) {
        groups.insert(name.clone(), key);
    }
    for (key, mask) in (0..).zip(masks) {
        listened.insert(mask.clone(), key);
    }
    for mask in masks {
        let found: Vec<u32> = groups.matching(mask).map(|(_, key)| key).collect();
        let all = (0..).zip(names).filter(|(_, name)| mask.matches(name.as_str()));
        assert_eq!(found, all.map(|(key, _)| key).collect::<Vec<u32>>(), "{mask:?}");
    }
    for name in names {
        let mut found: Vec<u32> = listened.matching(name.as_str()).collect();
        found.sort_unstable();
        let all = (0..).zip(masks).filter(|(_, mask)| mask.matches(name.as_str()));
        assert_eq!(found, all.map(|(key, _)| key).collect::<Vec<u32>>(), "{name:?}");
    }
}
