//! What joining, leaving and ending cost the registry, by the number of groups that a connection is in.

use std::sync::Arc;

use divan::{Bencher, black_box};
use folkmoot::internals::{Entry, Membership, MembershipLimits, Place};
use folkmoot::{Authority, Connection, ConnectionId, GroupName, HubName, Target, Upstream, UserId};

fn main() {
    divan::main();
}

const LIMITS: MembershipLimits = MembershipLimits {
    groups_per_connection: 20_000,
    masks_per_connection: 10,
    groups_per_hub: 1_000_000,
    masks_per_hub: 100,
};

/// A connection of the user of this number.
fn connect(membership: &mut Membership<()>, user: usize) -> ConnectionId {
    let id = ConnectionId::random();
    let connection = Connection {
        id,
        hub: HubName::parse("chat").expect("a valid name"),
        user_id: UserId::parse(&format!("user-{user}")).ok(),
        authority: Authority::Token,
        login: None,
        user: None,
        address: None,
        subprotocol: None,
        upstream: Upstream::default(),
    };
    membership.connect(Entry::new(Arc::new(connection), Arc::default(), Place { worker: 0, slot: user as u32 }));
    id
}

fn names(count: usize) -> Vec<GroupName> {
    (0..count).map(|number| GroupName::parse(&format!("group/{number}"), true).expect("a valid name")).collect()
}

/// A thousand others in the first hundred groups, and one connection that is in `count`.
fn populated(count: usize) -> (Membership<()>, ConnectionId) {
    let mut membership = Membership::new(LIMITS, []);
    let names = names(count.max(100));
    for user in 0..1_000 {
        let id = connect(&mut membership, user);
        membership.join(id, &names[user % 100]).expect("room for it");
    }
    let id = connect(&mut membership, 1_000);
    for name in &names[..count] {
        membership.join(id, name).expect("room for it");
    }
    (membership, id)
}

#[divan::bench(args = [1, 100, 10_000])]
fn join_and_leave_one_more_group(bencher: Bencher, groups: usize) {
    let (mut membership, id) = populated(groups);
    let name = GroupName::parse("one/more", true).expect("a valid name");
    bencher.bench_local(|| {
        let joined = membership.join(id, black_box(&name)).expect("room for it");
        (joined, membership.leave(id, name.as_str()))
    });
}

#[divan::bench(args = [1, 100, 10_000], sample_count = 20, sample_size = 1)]
fn the_end_of_a_connection(bencher: Bencher, groups: usize) {
    bencher
        .with_inputs(|| populated(groups))
        .bench_local_refs(|(membership, id)| membership.disconnect(*id).map(|gone| gone.left.len()));
}

#[divan::bench]
fn the_route_of_a_publish_to_a_group(bencher: Bencher) {
    let (membership, _) = populated(1);
    let target = Target::parse("group/7", true).expect("a valid target");
    bencher.bench(|| membership.route(black_box(&target), |_| true).map(|route| route.groups));
}

#[divan::bench]
fn the_route_of_a_publish_to_100_groups(bencher: Bencher) {
    let (membership, _) = populated(1);
    let target = Target::parse("group/*", true).expect("a valid target");
    bencher.bench(|| membership.route(black_box(&target), |_| true).map(|route| route.groups));
}
