//! The names of a hub's groups in order, and the masks that listeners joined. Pure data, no actor.
//!
//! The literal prefix of a mask bounds the scan, so an answer costs what shares that prefix and not what exists.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::ids::GroupName;
use crate::mask::Mask;

/// Names in order, each with the key of its group.
#[derive(Debug, Default)]
pub struct GroupIndex {
    names: BTreeMap<GroupName, u32>,
}

impl GroupIndex {
    /// The group of this name.
    pub fn get(&self, name: &str) -> Option<u32> {
        self.names.get(name).copied()
    }

    /// Adds a group.
    pub fn insert(&mut self, name: GroupName, key: u32) {
        self.names.insert(name, key);
    }

    /// Removes a group.
    pub fn remove(&mut self, name: &str) {
        self.names.remove(name);
    }

    /// How many groups there are.
    pub fn count(&self) -> usize {
        self.names.len()
    }

    /// The groups that a mask matches, by name.
    pub fn matching<'a>(&'a self, mask: &'a Mask) -> impl Iterator<Item = (&'a GroupName, u32)> {
        self.with_prefix(mask.literal_prefix(), None).filter(|(name, _)| matches(mask, name.as_str()))
    }

    /// The groups whose names begin with `prefix` and come behind `after`, by name.
    pub fn with_prefix<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a GroupName, u32)> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        self.names
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(move |(name, _)| name.as_str().starts_with(prefix))
            .map(|(name, key)| (name, *key))
    }
}

/// Joined masks by their literal prefix, each with the key of its listeners.
#[derive(Debug, Default)]
pub struct MaskIndex {
    by_prefix: BTreeMap<Box<str>, Vec<(Mask, u32)>>,
}

impl MaskIndex {
    /// The listeners' keys of this mask: those who hear all that it matches share one, others have their own.
    pub fn get<'a>(&'a self, mask: &'a Mask) -> impl Iterator<Item = u32> {
        let masks = self.by_prefix.get(mask.literal_prefix()).into_iter().flatten();
        masks.filter(move |(known, _)| known == mask).map(|(_, key)| *key)
    }

    /// Adds a mask.
    pub fn insert(&mut self, mask: Mask, key: u32) {
        self.by_prefix.entry(mask.literal_prefix().into()).or_default().push((mask, key));
    }

    /// Removes a mask of these listeners.
    pub fn remove(&mut self, mask: &Mask, key: u32) {
        let Some(masks) = self.by_prefix.get_mut(mask.literal_prefix()) else { return };
        masks.retain(|(_, known)| *known != key);
        if masks.is_empty() {
            self.by_prefix.remove(mask.literal_prefix());
        }
    }

    /// The masks that match `name`.
    pub fn matching<'a>(&'a self, name: &'a str) -> impl Iterator<Item = u32> {
        self.candidates(name).flatten().filter(move |(mask, _)| matches(mask, name)).map(|(_, key)| *key)
    }

    /// How many masks a name has to be compared with.
    pub fn comparisons_with(&self, name: &str) -> usize {
        self.candidates(name).map(Vec::len).sum()
    }

    /// The masks whose literal prefix a name begins with.
    fn candidates<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Vec<(Mask, u32)>> {
        let ends = name.char_indices().map(|(end, _)| end).chain([name.len()]);
        // No listeners, no look-up.
        ends.take_while(|_| !self.by_prefix.is_empty()).filter_map(move |end| self.by_prefix.get(name.get(..end)?))
    }
}

fn matches(mask: &Mask, name: &str) -> bool {
    #[cfg(test)]
    comparisons::one_more();
    mask.matches(name)
}

/// How many names were compared with masks on this thread, for tests of what is not.
#[cfg(test)]
pub(super) mod comparisons {
    use std::cell::Cell;

    thread_local! {
        static COUNT: Cell<usize> = const { Cell::new(0) };
    }

    pub fn one_more() {
        COUNT.set(COUNT.get() + 1);
    }

    pub fn reset() {
        COUNT.set(0);
    }

    pub fn count() -> usize {
        COUNT.get()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn group(name: &str) -> GroupName {
        GroupName::parse(name, true).expect("a valid name")
    }

    fn mask(text: &str) -> Mask {
        Mask::parse(text).expect("a valid mask")
    }

    #[test]
    fn a_page_begins_behind_the_name_that_ended_the_last() {
        let mut index = GroupIndex::default();
        for (key, name) in ["b/1", "b/2", "b/3", "a", "c"].into_iter().enumerate() {
            index.insert(group(name), key as u32);
        }
        let names: Vec<_> = index.with_prefix("b/", Some("b/1")).map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["b/2", "b/3"]);
    }

    proptest! {
        #[test]
        fn the_index_answers_what_a_full_scan_answers(
            names in prop::collection::btree_set("[ab/é]{1,6}", 0..30),
            masks in prop::collection::btree_set("[ab/é]{0,3}[*?][ab/é]{0,2}", 0..10),
        ) {
            let (mut groups, mut listened) = (GroupIndex::default(), MaskIndex::default());
            for (key, name) in names.iter().enumerate() {
                groups.insert(group(name), key as u32);
            }
            for (key, text) in masks.iter().enumerate() {
                listened.insert(mask(text), key as u32);
            }
            for (key, text) in masks.iter().enumerate() {
                let mask = mask(text);
                let found: Vec<_> = groups.matching(&mask).map(|(name, _)| name.as_str().to_owned()).collect();
                let expected: Vec<_> = names.iter().filter(|name| mask.matches(name)).cloned().collect();
                prop_assert_eq!(found, expected);
                prop_assert_eq!(listened.get(&mask).collect::<Vec<_>>(), [key as u32]);
            }
            for name in &names {
                let mut found: Vec<_> = listened.matching(name).collect();
                found.sort_unstable();
                let expected: Vec<_> =
                    masks.iter().enumerate().filter(|(_, text)| mask(text).matches(name)).map(|(key, _)| key as u32).collect();
                prop_assert_eq!(found, expected);
            }
            for (key, text) in masks.iter().enumerate() {
                listened.remove(&mask(text), key as u32);
            }
            prop_assert!(listened.by_prefix.is_empty());
        }
    }
}
