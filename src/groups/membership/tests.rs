//! The membership against a naive model: sets, and a scan of everything for every question.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::auth::permissions::{Action, Role};
use crate::event::{Authority, Upstream};
use crate::ids::{HubName, Target};

const LIMITS: MembershipLimits =
    MembershipLimits { groups_per_connection: 4, masks_per_connection: 2, groups_per_hub: 6, masks_per_hub: 100 };

fn group(name: &str) -> GroupName {
    GroupName::parse(name, true).expect("a valid name")
}

fn mask(text: &str) -> Mask {
    Mask::parse(text).expect("a valid mask")
}

fn entry(user: Option<&str>, worker: u32) -> Entry<()> {
    let connection = Connection {
        id: ConnectionId::random(),
        hub: HubName::parse("chat").expect("a valid name"),
        user_id: user.map(|user| UserId::parse(user).expect("a valid id")),
        authority: Authority::Token,
        login: None,
        user: None,
        address: None,
        subprotocol: None,
        upstream: Upstream::default(),
    };
    let permissions = Permissions::of([Role::JoinLeaveGroup(None)]).expect("one role is not too many");
    Entry::new(Arc::new(connection), Arc::new(permissions), Place { worker, slot: 0 })
}

/// Who is where, as plain sets.
#[derive(Default)]
struct Model {
    users: BTreeMap<ConnectionId, (usize, u32)>,
    groups: BTreeMap<String, BTreeSet<ConnectionId>>,
    masks: BTreeMap<String, BTreeSet<ConnectionId>>,
    /// Who may not join everything: which of the names, and whether all others.
    restricted: BTreeMap<ConnectionId, (BTreeSet<String>, bool)>,
}

impl Model {
    fn joined(sets: &BTreeMap<String, BTreeSet<ConnectionId>>, id: ConnectionId) -> usize {
        sets.values().filter(|set| set.contains(&id)).count()
    }

    fn others_of_user(&self, id: ConnectionId, members: &BTreeSet<ConnectionId>) -> bool {
        let user = self.users[&id].0;
        members.iter().any(|other| *other != id && self.users.get(other).is_some_and(|(theirs, _)| *theirs == user))
    }

    fn drop_empty(&mut self) {
        self.groups.retain(|_, members| !members.is_empty());
        self.masks.retain(|_, listeners| !listeners.is_empty());
    }

    fn listening_to(&self, name: &str) -> BTreeSet<ConnectionId> {
        let masks = self.masks.iter().filter(|(text, _)| mask(text).matches(name));
        masks.flat_map(|(_, listeners)| listeners.iter().copied()).filter(|id| self.may_join(*id, name)).collect()
    }

    fn may_join(&self, id: ConnectionId, name: &str) -> bool {
        self.restricted.get(&id).is_none_or(|(names, _)| names.contains(name))
    }

    fn permit(&mut self, id: ConnectionId, name: Option<&str>, allowed: bool) {
        let all = || (NAMES.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>(), true);
        let (names, others) = self.restricted.entry(id).or_insert_with(all);
        match (name, allowed) {
            (None, true) => (*names, *others) = all(),
            (None, false) => (*names, *others) = (BTreeSet::new(), false),
            (Some(name), true) => drop(names.insert(name.to_owned())),
            (Some(name), false) => drop(names.remove(name)),
        }
    }

    /// Each receiver with the first group by which it hears a publish, and the workers concerned.
    fn heard(&self, target: &Target) -> (BTreeMap<ConnectionId, String>, BTreeSet<u32>) {
        let mut heard = BTreeMap::new();
        for (name, members) in self.groups.iter().filter(|(name, _)| target.matches(name)) {
            for id in members.iter().copied().chain(self.listening_to(name)) {
                heard.entry(id).or_insert_with(|| name.clone());
            }
        }
        let workers = heard.keys().map(|id| self.users[id].1).collect();
        (heard, workers)
    }
}

#[derive(Debug, Clone)]
enum Step {
    Connect { user: usize, worker: u32 },
    Disconnect(prop::sample::Index),
    Join(prop::sample::Index, usize),
    Leave(prop::sample::Index, usize),
    Listen(prop::sample::Index, usize),
    Unlisten(prop::sample::Index, usize),
    Permit { who: prop::sample::Index, name: Option<usize>, allowed: bool },
}

const NAMES: [&str; 8] = ["a", "b", "b/1", "b/2", "b/2/x", "c/1", "é", "é/1"];
const MASKS: [&str; 6] = ["*", "b/*", "?", "b/[12]", "é*", "zzz*"];

fn step() -> impl Strategy<Value = Step> {
    let who = any::<prop::sample::Index>;
    prop_oneof![
        2 => (0usize..4, 0u32..3).prop_map(|(user, worker)| Step::Connect { user, worker }),
        1 => who().prop_map(Step::Disconnect),
        6 => (who(), 0..NAMES.len()).prop_map(|(who, name)| Step::Join(who, name)),
        3 => (who(), 0..NAMES.len()).prop_map(|(who, name)| Step::Leave(who, name)),
        3 => (who(), 0..MASKS.len()).prop_map(|(who, mask)| Step::Listen(who, mask)),
        2 => (who(), 0..MASKS.len()).prop_map(|(who, mask)| Step::Unlisten(who, mask)),
        3 => (who(), prop::option::weighted(0.8, 0..NAMES.len()), any::<bool>())
            .prop_map(|(who, name, allowed)| Step::Permit { who, name, allowed }),
    ]
}

/// User 0 is nobody: anonymous connections are not the same user as one another.
fn user_name(user: usize) -> Option<&'static str> {
    [None, Some("anna"), Some("mark"), Some("ines")][user]
}

fn check(membership: &Membership<()>, model: &Model) -> Result<(), TestCaseError> {
    prop_assert_eq!(membership.connection_count(), model.users.len());
    prop_assert_eq!(membership.group_count(), model.groups.len());
    for target in NAMES.iter().chain(&MASKS).map(|text| Target::parse(text, true).expect("a valid target")) {
        let (heard, workers) = model.heard(&target);
        let exists = matches!(target, Target::Mask(_)) || model.groups.contains_key(target.as_str());
        let route = membership.route(&target, |_| true);
        prop_assert_eq!(route.is_some(), exists);
        let route = route.unwrap_or_default();
        let concerned: BTreeSet<_> =
            (0..).zip(&route.workers).filter(|(_, is)| **is).map(|(worker, _)| worker).collect();
        prop_assert_eq!(concerned, workers);
        // Whoever goes through the audiences in order finds each receiver first under the model's name.
        let mut found = BTreeMap::new();
        for (audience, name) in &route.audiences {
            let hearers = membership.groups.iter().map(|(_, group)| &group.hearers);
            let hearers = hearers.chain(membership.listened.iter().map(|(_, listened)| &listened.hearers));
            for id in hearers.filter(|hearers| hearers.audience == *audience).flat_map(|hearers| &hearers.connections) {
                found.entry(*id).or_insert_with(|| name.to_string());
            }
        }
        prop_assert_eq!(&found, &heard);
        let groups = model.groups.keys().filter(|name| target.matches(name)).count();
        let counts = membership.count(&target, |_| true);
        prop_assert_eq!((counts.groups, counts.connections), (groups, heard.len()));
    }
    for (name, members) in &model.groups {
        let page = membership.members(name, None, 100).expect("the group exists");
        let ids: Vec<_> = page.items.iter().map(|entry| entry.connection.id).collect();
        prop_assert_eq!(&ids, &members.iter().copied().collect::<Vec<_>>());
        let listeners = model.listening_to(name).difference(members).count();
        prop_assert_eq!(membership.listeners(name), listeners);
    }
    for id in model.users.keys() {
        let own: Vec<_> =
            model.groups.iter().filter(|(_, members)| members.contains(id)).map(|(name, _)| group(name)).collect();
        prop_assert_eq!(membership.groups_of(*id), own);
    }
    Ok(())
}

proptest! {
    // Each step is followed by every question there is; 2,000 cases have passed by hand.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_membership_says_what_plain_sets_say(steps in prop::collection::vec(step(), 1..80)) {
        let mut membership = Membership::new(LIMITS, []);
        let (mut model, mut strangers) = (Model::default(), 0);
        for step in steps {
            let ids: Vec<_> = model.users.keys().copied().collect();
            if ids.is_empty() && !matches!(step, Step::Connect { .. }) {
                continue;
            }
            match step {
                Step::Connect { user, worker } => {
                    let entry = entry(user_name(user), worker);
                    // Anonymous connections have nobody in common.
                    strangers += 1;
                    let user = if user == 0 { 100 + strangers } else { user };
                    model.users.insert(entry.connection.id, (user, worker));
                    membership.connect(entry);
                }
                Step::Disconnect(who) => {
                    let id = *who.get(&ids);
                    let gone = membership.disconnect(id).expect("it is connected");
                    let mut expected = Vec::new();
                    for (name, members) in &mut model.groups {
                        if members.remove(&id) {
                            expected.push((name.clone(), members.len()));
                        }
                    }
                    let left: Vec<_> = gone.left.iter().map(|change| (change.group.to_string(), change.members)).collect();
                    prop_assert_eq!(left, expected);
                    for change in &gone.left {
                        let members = &model.groups[change.group.as_str()];
                        prop_assert_eq!(change.alone_of_user, !model.others_of_user(id, members));
                    }
                    prop_assert_eq!(gone.audiences.len(), gone.left.len() + Model::joined(&model.masks, id));
                    model.masks.values_mut().for_each(|listeners| { listeners.remove(&id); });
                    model.users.remove(&id);
                    prop_assert!(membership.disconnect(id).is_none());
                }
                Step::Join(who, name) => {
                    let (id, name) = (*who.get(&ids), NAMES[name]);
                    let members = model.groups.get(name).cloned().unwrap_or_default();
                    let expected = match () {
                        () if members.contains(&id) => Ok(None),
                        () if Model::joined(&model.groups, id) >= LIMITS.groups_per_connection => Err(JoinError::TooManyGroups),
                        () if members.is_empty() && model.groups.len() >= LIMITS.groups_per_hub => Err(JoinError::HubFull),
                        () => Ok(Some((members.len() + 1, !model.others_of_user(id, &members)))),
                    };
                    let joined = membership.join(id, &group(name));
                    let joined = joined.map(|change| change.map(|change| (change.members, change.alone_of_user)));
                    prop_assert_eq!(&joined, &expected);
                    if let Ok(Some(_)) = joined {
                        model.groups.entry(name.to_owned()).or_default().insert(id);
                    }
                }
                Step::Leave(who, name) => {
                    let (id, name) = (*who.get(&ids), NAMES[name]);
                    let was = model.groups.get_mut(name).is_some_and(|members| members.remove(&id));
                    let left = membership.leave(id, name);
                    prop_assert_eq!(left.is_some(), was);
                    if let Some(change) = left {
                        let members = &model.groups[name];
                        prop_assert_eq!(change.members, members.len());
                        prop_assert_eq!(change.alone_of_user, !model.others_of_user(id, members));
                    }
                }
                Step::Listen(who, text) => {
                    let (id, text) = (*who.get(&ids), MASKS[text]);
                    let listens = model.masks.get(text).is_some_and(|listeners| listeners.contains(&id));
                    let full = Model::joined(&model.masks, id) >= LIMITS.masks_per_connection;
                    let all = membership.get(id).is_some_and(|entry| entry.permissions.may_join_all());
                    let hears = if all { Hears::All } else { Hears::WhatItMayJoin };
                    let listened = membership.listen(id, &mask(text), hears).map(|audience| audience.is_some());
                    let expected = if listens { Ok(false) } else if full { Err(JoinError::TooManyMasks) } else { Ok(true) };
                    prop_assert_eq!(listened, expected);
                    if listened == Ok(true) {
                        model.masks.entry(text.to_owned()).or_default().insert(id);
                    }
                }
                Step::Unlisten(who, text) => {
                    let (id, text) = (*who.get(&ids), MASKS[text]);
                    let was = model.masks.get_mut(text).is_some_and(|listeners| listeners.remove(&id));
                    prop_assert_eq!(membership.unlisten(id, &mask(text)).is_some(), was);
                }
                Step::Permit { who, name, allowed } => {
                    let (id, name) = (*who.get(&ids), name.map(|name| NAMES[name]));
                    let (action, group) = (Action::JoinLeaveGroup, name.map(group));
                    let moved = match allowed {
                        true => membership.grant(id, action, group.as_ref()),
                        false => membership.revoke(id, action, group.as_ref()),
                    }
                    .expect("few names are not too many");
                    prop_assert_eq!(moved.left.len(), moved.joined.len());
                    prop_assert!(moved.left.iter().all(|audience| !moved.joined.contains(audience)));
                    model.permit(id, name, allowed);
                }
            }
            model.drop_empty();
            check(&membership, &model)?;
        }
        // Nothing is left behind when everybody is gone.
        for id in model.users.keys() {
            membership.disconnect(*id);
        }
        prop_assert!(membership.groups.is_empty() && membership.listened.is_empty() && membership.users.is_empty());
        prop_assert_eq!(membership.group_count(), 0);
    }
}

#[test]
fn who_ends_in_many_groups_leaves_a_few_at_a_time_each_once_and_joins_no_more() {
    let limits = MembershipLimits { groups_per_connection: 100, groups_per_hub: 100, ..LIMITS };
    let mut membership = Membership::new(limits, []);
    let (one, other) = (entry(Some("mark"), 0), entry(Some("mark"), 0));
    let (id, other_id) = (one.connection.id, other.connection.id);
    membership.connect(one);
    membership.connect(other);
    let names: Vec<_> = (0..10).map(|number| group(&format!("g{number}"))).collect();
    for name in &names {
        membership.join(id, name).unwrap();
    }
    membership.join(other_id, &names[5]).unwrap();
    let mut left = Vec::new();
    loop {
        let some = membership.leave_some(id, 4);
        assert!(some.len() <= 4);
        if some.is_empty() {
            break;
        }
        for change in &some {
            assert!(!membership.is_member(id, change.group.as_str()), "{} was left", change.group);
        }
        left.extend(some);
        let still = names.len() - left.len();
        assert_eq!(membership.groups_of(id).len(), still, "and is a member of the others");
        assert_eq!(membership.join(id, &group("new")), Err(JoinError::ConnectionNotFound));
        assert_eq!(membership.listen(id, &mask("g*"), Hears::All), Err(JoinError::ConnectionNotFound));
    }
    assert!((4..names.len()).contains(&left.len()), "some are left for the end");
    left.extend(membership.disconnect(id).unwrap().left);
    assert_eq!(left.iter().map(|change| &change.group).collect::<BTreeSet<_>>(), names.iter().collect());
    assert_eq!(left.len(), names.len(), "each once");
    let kept: Vec<_> = left.iter().filter(|change| !change.alone_of_user).map(|change| &change.group).collect();
    assert_eq!(kept, [&names[5]], "the user's other connection is in there");
}

#[test]
fn a_mask_with_a_thousand_listeners_costs_the_groups_that_it_does_not_match_nothing() {
    let mut membership = Membership::new(LIMITS, []);
    let member = entry(None, 0);
    let id = member.connection.id;
    membership.connect(member);
    membership.join(id, &group("accounting")).unwrap();
    membership.join(id, &group("sales/europe")).unwrap();
    let route = |membership: &Membership<()>, name: &str| {
        crate::groups::index::comparisons::reset();
        let route = membership.route(&Target::Group(group(name)), |_| true).unwrap();
        (route, crate::groups::index::comparisons::count())
    };
    let before = route(&membership, "accounting");
    for _ in 0..1000 {
        let listener = entry(None, 1);
        let id = listener.connection.id;
        membership.connect(listener);
        membership.listen(id, &mask("sales/*"), Hears::All).unwrap();
    }
    assert_eq!(route(&membership, "accounting"), before, "the same audiences and workers");
    let (heard, comparisons) = route(&membership, "sales/europe");
    assert_eq!((heard.audiences.len(), heard.workers, comparisons), (2, vec![true, true], 0));
    // Only a new name is compared, once with the mask and not once with each of its listeners.
    crate::groups::index::comparisons::reset();
    membership.join(id, &group("sales/asia")).unwrap();
    assert_eq!(crate::groups::index::comparisons::count(), 1);
}

#[test]
fn a_declared_group_exists_without_members_and_after_its_last() {
    let mut membership = Membership::new(LIMITS, [group("accounting")]);
    let target = Target::Group(group("accounting"));
    assert_eq!(membership.route(&target, |_| true).map(|route| (route.groups, route.audiences.len())), Some((1, 0)));
    let ines = entry(Some("ines"), 0);
    let id = ines.connection.id;
    membership.connect(ines);
    assert!(matches!(membership.join(id, &group("accounting")), Ok(Some(_))));
    membership.disconnect(id);
    assert!(membership.has_group("accounting"));
    assert_eq!(membership.group_count(), 1);
}

#[test]
fn a_mask_goes_only_to_the_groups_that_the_sender_may_send_to() {
    let mut membership = Membership::new(LIMITS, [group("sales/asia"), group("sales/europe")]);
    let mark = entry(None, 0);
    let id = mark.connection.id;
    membership.connect(mark);
    for name in ["sales/asia", "sales/europe"] {
        assert!(matches!(membership.join(id, &group(name)), Ok(Some(_))));
    }
    let route = membership.route(&Target::Mask(mask("sales/*")), |name| name == "sales/europe").unwrap_or_default();
    let names: Vec<_> = route.audiences.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["sales/europe"]);
}

#[test]
fn pages_of_members_follow_one_another_without_gap_or_repeat() {
    let limits =
        MembershipLimits { groups_per_connection: 1, masks_per_connection: 0, groups_per_hub: 1, masks_per_hub: 1 };
    let mut membership = Membership::new(limits, []);
    for _ in 0..25 {
        let one = entry(None, 0);
        let id = one.connection.id;
        membership.connect(one);
        assert!(matches!(membership.join(id, &group("all")), Ok(Some(_))));
    }
    let (mut seen, mut after) = (BTreeSet::new(), None);
    loop {
        let page = membership.members("all", after, 10).expect("the group exists");
        seen.extend(page.items.iter().map(|entry| entry.connection.id));
        after = page.items.last().map(|entry| entry.connection.id);
        if !page.more {
            break;
        }
        assert_eq!(page.items.len(), 10);
    }
    assert_eq!(seen.len(), 25);
}

#[test]
fn what_is_granted_or_revoked_everywhere_costs_one_look_at_each_name_and_silence_none() {
    let names = ["sales/asia", "sales/europe", "sales/africa"];
    let mut membership = Membership::new(LIMITS, names.map(group));
    let (one, other) = (entry(None, 0), entry(None, 0));
    let (id, other_id) = (one.connection.id, other.connection.id);
    membership.connect(one);
    membership.connect(other);
    for id in [id, other_id] {
        membership.listen(id, &mask("sales/*"), Hears::All).unwrap();
    }
    let permit = |membership: &mut Membership<()>, allowed| {
        crate::groups::index::comparisons::reset();
        let moved = match allowed {
            true => membership.grant(id, Action::JoinLeaveGroup, None).unwrap(),
            false => membership.revoke(id, Action::JoinLeaveGroup, None).unwrap(),
        };
        let cost = crate::groups::index::comparisons::count();
        (moved.left.len(), cost, names.map(|name| membership.listeners(name)))
    };
    // Out of what it shares with the other, and into an audience of its own, which stays its own.
    assert_eq!(permit(&mut membership, false), (1, 0, [1; 3]));
    assert_eq!(permit(&mut membership, true), (0, 3, [2; 3]));
    assert_eq!(permit(&mut membership, false), (0, 3, [1; 3]));
}

#[test]
fn who_has_logged_in_is_found_by_whatever_name_the_connection_goes() {
    let mut membership = Membership::new(LIMITS, []);
    let login = |text: &str| UserId::parse(text).ok();
    let mut connect = |user: Option<&str>, store: Option<&str>| {
        let mut one = entry(user, 0);
        Arc::get_mut(&mut one.connection).unwrap().login = store.and_then(login);
        let id = one.connection.id;
        membership.connect(one);
        id
    };
    let (own, renamed) = (connect(Some("mark"), Some("mark")), connect(Some("ann"), Some("mark")));
    let nameless = connect(None, Some("mark"));
    // Tokens and hooks may speak of a Mark, too.
    connect(Some("mark"), None);
    connect(Some("mark"), Some("ann"));
    let found = |membership: &Membership<()>| {
        let found: BTreeSet<_> =
            membership.of_login(&login("mark").unwrap()).map(|entry| entry.connection.id).collect();
        found
    };
    assert_eq!(found(&membership), BTreeSet::from([own, renamed, nameless]));
    membership.disconnect(renamed);
    assert_eq!(found(&membership), BTreeSet::from([own, nameless]));
    let all: Vec<_> = membership.connections().map(|entry| entry.connection.id).collect();
    all.into_iter().for_each(|id| drop(membership.disconnect(id)));
    assert!(membership.users.is_empty() && membership.renamed.is_empty());
}
