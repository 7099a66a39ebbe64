//! What a delivery costs beside the kernel: publishes to the connections of one worker, over sockets that take
//! everything and do nothing.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use folkmoot::internals::{
    Entry, Greeting, HeartbeatSettings, Link, LinkSettings, Membership, MembershipLimits, Metrics, OutboundLimits,
    Publication, Slots, SlowConsumers, Subprotocol, Transport,
};
use folkmoot::{Authority, Connection, ConnectionId, Data, GroupName, HubName, Target, Upstream, UserId};

fn main() {
    divan::main();
}

const MEMBERS: usize = 1_000;

/// A socket that takes everything.
struct Sink;

impl Transport for Sink {
    fn poll_read(&mut self, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(black_box(bytes).len())
    }

    fn poll_writable(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// One worker's connections, all of them in one group.
fn worker(subprotocol: Subprotocol) -> (Slots, Publication) {
    let metrics = Metrics::new();
    let settings = Rc::new(LinkSettings {
        limits: OutboundLimits { bytes: 1 << 20, messages: 4096 },
        write_timeout: Duration::from_secs(10),
        requests_in_flight: 16,
        metrics: metrics.clone(),
    });
    let heartbeat = HeartbeatSettings { ping_interval: Duration::from_secs(25), pong_timeout: Duration::from_secs(20) };
    let mut slots = Slots::new(0, heartbeat, metrics);
    let limits =
        MembershipLimits { groups_per_connection: 10, masks_per_connection: 10, groups_per_hub: 10, masks_per_hub: 10 };
    let mut membership = Membership::<()>::new(limits, []);
    let group = GroupName::parse("sales/europe", true).expect("a valid name");
    for _ in 0..MEMBERS {
        let id = ConnectionId::random();
        let link = Rc::new(Link::new(Sink, settings.clone(), SlowConsumers::Close));
        let place =
            slots.attach(id, link, subprotocol, Greeting { user_id: None, user: None, reconnection_token: None });
        let connection = Connection {
            id,
            hub: HubName::parse("chat").expect("a valid name"),
            user_id: None,
            authority: Authority::Token,
            login: None,
            user: None,
            address: None,
            subprotocol: None,
            upstream: Upstream::default(),
        };
        membership.connect(Entry::new(Arc::new(connection), Arc::default(), place));
        let joined = membership.join(id, &group).expect("room for it").expect("a new member");
        slots.welcome(place.slot, &[]);
        slots.join(joined.audience, place.slot);
    }
    slots.flush();
    let route = membership.route(&Target::Group(group), |_| true).expect("the group exists");
    let publication = Publication {
        audiences: route.audiences,
        mask: None,
        from: UserId::parse("user-2").ok(),
        except: None,
        excluded: Vec::new(),
        only: None,
        content: Data::text("x".repeat(128)).into(),
        announcement: None,
        permit: None,
    };
    (slots, publication)
}

/// `batch` messages that came together, to each of a thousand members.
#[divan::bench(args = [1, 16])]
fn json_to_1_000_members(bencher: Bencher, batch: usize) {
    deliver(bencher, batch, Subprotocol::Json);
}

#[divan::bench(args = [1, 16])]
fn raw_to_1_000_members(bencher: Bencher, batch: usize) {
    deliver(bencher, batch, Subprotocol::Raw);
}

fn deliver(bencher: Bencher, batch: usize, subprotocol: Subprotocol) {
    let (mut slots, publication) = worker(subprotocol);
    bencher.counter(ItemsCount::new(batch * MEMBERS)).bench_local(|| {
        for _ in 0..batch {
            slots.publish(&publication);
        }
        slots.flush();
    });
}
