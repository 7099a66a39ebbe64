//! For which groups one action is allowed.

use hashbrown::HashMap;

use super::TooManyRoles;
use crate::auth::pattern::GroupPattern;
use crate::ids::GroupName;

/// Most groups that are allowed or denied by name, for each action (Web PubSub: 1,000 literal rules an action and
/// connection).
pub const MAX_GROUP_ROLES: usize = 1000;

/// Most patterns, for each action (Web PubSub: 10). Each is compared with the name of every message that no name decides.
pub const MAX_PATTERN_ROLES: usize = 10;

/// What is said of a group by its name stands above what patterns say, which only allow.
///
/// Small, because every connection has some and most are all or nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    all: bool,
    rules: Option<Box<Rules>>,
}

/// What is said of some groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Rules {
    named: HashMap<GroupName, bool, foldhash::fast::RandomState>,
    patterns: Vec<GroupPattern>,
}

impl Scope {
    /// Whether this group is in it: one look-up, unless patterns have to decide.
    pub fn covers(&self, group: &str) -> bool {
        let Some(rules) = &self.rules else { return self.all };
        let allowed = || self.all || rules.patterns.iter().any(|pattern| pattern.matches(group));
        rules.named.get(group).copied().unwrap_or_else(allowed)
    }

    /// Whether every group is in it.
    pub fn covers_all(&self) -> bool {
        self.all && self.named().all(|allowed| allowed)
    }

    /// Whether no group is.
    pub fn is_empty(&self) -> bool {
        !self.covers_more_than_names() && !self.named().any(|allowed| allowed)
    }

    /// Whether it holds for more than names one by one.
    pub fn covers_more_than_names(&self) -> bool {
        self.all || self.rules.as_ref().is_some_and(|rules| !rules.patterns.is_empty())
    }

    /// Allows a group, or all of them, what was denied by name included.
    pub fn allow(&mut self, group: Option<GroupName>) -> Result<(), TooManyRoles> {
        let Some(group) = group else {
            self.all = true;
            if let Some(rules) = &mut self.rules {
                rules.named.retain(|_, allowed| *allowed);
            }
            return Ok(());
        };
        self.say(group, true)
    }

    /// Denies a group, or all of them, whatever was allowed before.
    pub fn deny(&mut self, group: Option<GroupName>) -> Result<(), TooManyRoles> {
        match group {
            None => *self = Scope::default(),
            // What nothing allows need not be denied.
            Some(group) if !self.covers_more_than_names() => {
                if let Some(rules) = &mut self.rules {
                    rules.named.remove(&group);
                }
            }
            Some(group) => self.say(group, false)?,
        }
        Ok(())
    }

    /// Allows the groups of a pattern.
    pub fn allow_pattern(&mut self, pattern: GroupPattern) -> Result<(), TooManyRoles> {
        if pattern.is_all() {
            return self.allow(None);
        }
        let patterns = &mut self.rules.get_or_insert_default().patterns;
        if patterns.contains(&pattern) {
            return Ok(());
        }
        if patterns.len() >= MAX_PATTERN_ROLES {
            return Err(TooManyRoles::Patterns);
        }
        patterns.push(pattern);
        Ok(())
    }

    fn say(&mut self, group: GroupName, allowed: bool) -> Result<(), TooManyRoles> {
        let named = &mut self.rules.get_or_insert_default().named;
        if named.len() >= MAX_GROUP_ROLES && !named.contains_key(&group) {
            return Err(TooManyRoles::Groups);
        }
        named.insert(group, allowed);
        Ok(())
    }

    /// What is said of groups by their names.
    fn named(&self) -> impl Iterator<Item = bool> {
        self.rules.iter().flat_map(|rules| rules.named.values().copied())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn group(name: &str) -> GroupName {
        GroupName::parse(name, false).unwrap()
    }

    #[test]
    fn a_thousand_names_fit_and_no_more_but_one_that_is_known_can_change() {
        let mut scope = Scope::default();
        for n in 0..MAX_GROUP_ROLES {
            assert_eq!(scope.allow(Some(group(&n.to_string()))), Ok(()));
        }
        assert_eq!(scope.allow(Some(group("one more"))), Err(TooManyRoles::Groups));
        assert_eq!(scope.deny(Some(group("7"))), Ok(()));
        assert!(!scope.covers("7") && scope.covers("8"));
        assert_eq!(scope.allow(Some(group("one more"))), Ok(()));
    }

    #[test]
    fn ten_patterns_fit_and_no_more_but_the_same_again_costs_nothing() {
        let mut scope = Scope::default();
        for n in 0..MAX_PATTERN_ROLES {
            assert_eq!(scope.allow_pattern(format!("{n}.*").parse().unwrap()), Ok(()));
        }
        assert_eq!(scope.allow_pattern("3.*".parse().unwrap()), Ok(()));
        assert_eq!(scope.allow_pattern("x.*".parse().unwrap()), Err(TooManyRoles::Patterns));
        assert_eq!(scope.allow_pattern("**".parse().unwrap()), Ok(()));
        assert!(scope.covers_all());
    }

    #[test]
    fn a_scope_without_rules_is_small() {
        assert!(size_of::<Scope>() <= 16);
    }

    #[derive(Debug, Clone)]
    enum Said {
        Allow(Option<usize>),
        Deny(Option<usize>),
    }

    fn said() -> impl Strategy<Value = Said> {
        let which = prop_oneof![4 => (0..4usize).prop_map(Some), 1 => Just(None)];
        (any::<bool>(), which).prop_map(|(allow, which)| if allow { Said::Allow(which) } else { Said::Deny(which) })
    }

    proptest! {
        #[test]
        fn the_last_word_on_a_group_counts(words in prop::collection::vec(said(), 0..30)) {
            const NAMES: [&str; 4] = ["a", "b", "c", "d"];
            let mut scope = Scope::default();
            let (mut expected, mut others) = ([false; 4], false);
            for word in words {
                match word {
                    Said::Allow(None) => { scope.allow(None).unwrap(); expected = [true; 4]; others = true; }
                    Said::Deny(None) => { scope.deny(None).unwrap(); expected = [false; 4]; others = false; }
                    Said::Allow(Some(n)) => { scope.allow(Some(group(NAMES[n]))).unwrap(); expected[n] = true; }
                    Said::Deny(Some(n)) => { scope.deny(Some(group(NAMES[n]))).unwrap(); expected[n] = false; }
                }
                for (name, expected) in NAMES.iter().zip(expected) {
                    prop_assert_eq!(scope.covers(name), expected, "{}", name);
                }
                prop_assert_eq!(scope.covers("other"), others);
                prop_assert_eq!(scope.is_empty(), !others && !expected.contains(&true));
                prop_assert_eq!(scope.covers_all(), others && !expected.contains(&false));
            }
        }
    }
}
