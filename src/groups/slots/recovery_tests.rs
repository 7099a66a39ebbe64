//! One reliable connection that goes from socket to socket on two workers, beside a model that only counts: whatever is
//! cut when, everything arrives once and in order.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

use proptest::prelude::*;

use super::tests::{Socket, run};
use super::*;
use crate::groups::deliver::{Deliver, HandOver};
use crate::groups::fanout::Fanout;
use crate::groups::membership::Audience;
use crate::outbound::{LinkSettings, OutboundLimits, Replay, ReplayLimits};

const LIMITS: ReplayLimits = ReplayLimits { messages: 1_000_000, bytes: 1 << 30 };

/// Two workers with their mailboxes, and what a registry would do.
struct World {
    workers: [Slots; 2],
    mailboxes: [VecDeque<Deliver>; 2],
    addrs: [actix::Addr<Fanout>; 2],
    settings: Rc<LinkSettings>,
    metrics: Metrics,
    id: ConnectionId,
    audience: Audience,
    group: GroupName,
    /// Where the registry has the connection.
    place: Place,
    socket: Socket,
    link: Rc<Link>,
    /// The current socket is not cut.
    alive: bool,
    /// What the client has read of this socket.
    read: usize,
    published: u64,
    /// The number of the last message that the client has.
    received: u64,
    /// Last words that parked connections have said.
    last_words: Rc<RefCell<Vec<Disconnect>>>,
}

impl World {
    fn new() -> Self {
        let metrics = Metrics::new();
        let hour = Duration::from_secs(3600);
        let heartbeat = HeartbeatSettings { ping_interval: hour, pong_timeout: hour };
        let mut workers = [0, 1].map(|worker| Slots::new(worker, heartbeat, metrics.clone()));
        let addrs =
            [0, 1].map(|worker| Fanout::launch(Rc::new(RefCell::new(Slots::new(worker, heartbeat, metrics.clone())))));
        let limits = OutboundLimits { bytes: 1 << 40, messages: usize::MAX };
        let settings =
            Rc::new(LinkSettings { limits, write_timeout: hour, requests_in_flight: 16, metrics: metrics.clone() });
        let (id, socket) = (ConnectionId::random(), Socket::default());
        let link: Rc<Link> = Rc::new(Link::reliable(socket.clone(), settings.clone(), Replay::new(LIMITS)));
        let greeting = Greeting { user_id: None, user: None, reconnection_token: None };
        let place = workers[0].attach(id, link.clone(), Subprotocol::ReliableJson, greeting);
        workers[0].welcome(place.slot, &[]);
        workers[0].sit(place.slot, Box::new(()));
        let (audience, group) = (Audience::next(), GroupName::parse("a", true).unwrap());
        workers[0].join(audience, place.slot);
        World {
            workers,
            mailboxes: Default::default(),
            addrs,
            settings,
            metrics,
            id,
            audience,
            group,
            place,
            socket,
            link,
            alive: true,
            read: 0,
            published: 0,
            received: 0,
            last_words: Rc::default(),
        }
    }

    fn publish(&mut self, bytes: usize) {
        self.published += 1;
        let text = ".".repeat(bytes) + &self.published.to_string();
        self.mailboxes[self.place.worker as usize].push_back(Deliver::Publish(std::sync::Arc::new(Publication {
            audiences: vec![(self.audience, self.group.clone())],
            mask: None,
            from: None,
            except: None,
            excluded: Vec::new(),
            only: None,
            content: Data::text(text).into(),
            announcement: None,
            permit: None,
        })));
    }

    /// The socket is gone, and its session leaves.
    fn cut(&mut self) {
        if !std::mem::replace(&mut self.alive, false) {
            return;
        }
        self.link.end(DisconnectKind::Lost.into());
        let said = self.last_words.clone();
        let lost = Lost {
            last_word: Box::new(move |reason| said.borrow_mut().push(reason)),
            reason: self.link.take_end().unwrap(),
            window: Duration::from_secs(30),
        };
        // Refused where it was not greeted yet, which this one was, or was handed over, which a new socket tells.
        assert!(self.workers[self.place.worker as usize].park(self.place.slot, &self.link, lost).is_ok());
    }

    fn recover(&mut self, worker: u32) {
        self.socket = Socket::default();
        self.link = Rc::new(Link::reliable(self.socket.clone(), self.settings.clone(), Replay::waiting(LIMITS)));
        (self.alive, self.read) = (true, 0);
        let place = self.workers[worker as usize].attach_again(self.id, self.link.clone());
        let before = std::mem::replace(&mut self.place, place);
        let audiences = vec![self.audience];
        self.mailboxes[worker as usize].push_back(Deliver::Adopt { slot: place.slot, audiences: audiences.clone() });
        let to = self.addrs[worker as usize].clone();
        let hand_over = HandOver { slot: before.slot, id: self.id, audiences, to, to_slot: place.slot };
        self.mailboxes[before.worker as usize].push_back(Deliver::HandOver(Box::new(hand_over)));
    }

    /// All that is under way arrives.
    fn settle(&mut self) {
        while self.mailboxes.iter().any(|mailbox| !mailbox.is_empty()) {
            (0..2).for_each(|worker| self.turn(worker, usize::MAX));
        }
    }

    /// A worker handles so many messages.
    fn turn(&mut self, worker: usize, most: usize) {
        for _ in 0..most {
            let Some(deliver) = self.mailboxes[worker].pop_front() else { break };
            let slots = &mut self.workers[worker];
            let passed = match deliver {
                Deliver::Publish(publication) => {
                    slots.publish(&publication);
                    None
                }
                Deliver::Adopt { slot, audiences } => {
                    audiences.into_iter().for_each(|audience| slots.join(audience, slot));
                    None
                }
                Deliver::HandOver(hand_over) => slots.hand_over(*hand_over),
                Deliver::Resume(resume) => slots.resume(*resume),
                other => panic!("nobody sends {other:?}"),
            };
            if let Some((to, resume)) = passed {
                let to = self.addrs.iter().position(|addr| *addr == to).unwrap();
                self.mailboxes[to].push_back(Deliver::Resume(Box::new(resume)));
            }
        }
        self.workers[worker].flush();
    }

    /// The client reads what the socket has room for, and acknowledges all of it or not.
    fn read(&mut self, acknowledges: bool) {
        let wire = self.socket.wire();
        let mut rest = &wire[self.read..];
        // A frame that is cut off waits for the rest of it.
        while let Some((payload, behind)) = whole_frame(rest) {
            self.read += rest.len() - behind.len();
            rest = behind;
            let frame: serde_json::Value = serde_json::from_slice(payload).unwrap();
            let Some(number) = frame["sequenceId"].as_u64() else { continue };
            let text = frame["data"].as_str().unwrap().trim_start_matches('.');
            assert_eq!(text, number.to_string(), "a message changed its number");
            assert!(number <= self.received + 1, "{} is missing before {number}", self.received + 1);
            self.received = self.received.max(number);
        }
        if acknowledges && self.alive && self.link.gate.is_open() {
            self.link.acknowledge(self.received);
        }
    }
}

fn whole_frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = match bytes.get(1)? {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    let length = match start {
        2 => usize::from(bytes[1]),
        4 => usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)),
        _ => u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize,
    };
    (bytes.len() >= start + length).then(|| bytes[start..].split_at(length))
}

#[derive(Debug, Clone)]
enum Act {
    Publish(usize),
    Cut,
    Recover(u32),
    Turn(usize, usize),
    Room(usize),
    Read(bool),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        8 => prop_oneof![9 => 0usize..200, 1 => 30_000usize..140_000].prop_map(Act::Publish),
        2 => Just(Act::Cut),
        3 => (0u32..2).prop_map(Act::Recover),
        8 => (0usize..2, 1usize..6).prop_map(|(worker, most)| Act::Turn(worker, most)),
        3 => prop_oneof![0usize..300, 0usize..200_000].prop_map(Act::Room),
        4 => any::<bool>().prop_map(Act::Read),
    ];
    prop::collection::vec(act, 1..150)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_is_cut_and_wherever_it_goes_on_everything_arrives_once_and_in_order(acts in acts()) {
        run(async move {
            let mut world = World::new();
            for act in acts {
                match act {
                    Act::Publish(bytes) => world.publish(bytes),
                    Act::Cut => world.cut(),
                    Act::Recover(worker) => world.recover(worker),
                    Act::Turn(worker, most) => world.turn(worker, most),
                    Act::Room(room) => {
                        world.socket.make_room(room);
                        tokio::task::yield_now().await;
                    }
                    Act::Read(acknowledges) => world.read(acknowledges),
                }
            }
            world.recover(1);
            // Hand-overs go to and fro.
            world.settle();
            world.socket.make_room(usize::MAX);
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            world.read(true);
            prop_assert_eq!(world.received, world.published);
            // One slot is left, on one worker, with one seat and nothing to be kept.
            let slots: usize = world.workers.iter().map(|slots| slots.slots.len()).sum();
            prop_assert_eq!(slots, 1);
            prop_assert_eq!(world.link.take_replay().map(|replay| replay.messages()), Some(0));
            let seat = world.workers[1].leave_seat(world.place.slot, &world.link);
            prop_assert!(seat.is_some());
            // Nobody has ended it, so nobody has said so.
            prop_assert_eq!(world.last_words.borrow().len(), 0);
            prop_assert!(world.metrics.render().contains("folkmoot_connections_suspended 0"));
            Ok(())
        })?;
    }
}

#[test]
fn who_does_not_come_back_in_time_says_the_last_word_once() {
    run(async {
        let mut world = World::new();
        world.cut();
        let slots = &mut world.workers[0];
        let now = Moment::now();
        slots.beat(now.after(Duration::from_secs(29)));
        assert_eq!(*world.last_words.borrow(), []);
        slots.beat(now.after(Duration::from_secs(40)));
        slots.beat(now.after(Duration::from_secs(4000)));
        assert_eq!(*world.last_words.borrow(), [Disconnect::from(DisconnectKind::Lost)]);
        assert!(world.metrics.render().contains("folkmoot_connections_suspended 0"));
    });
}

#[test]
fn whoever_ends_a_connection_that_is_away_is_heard_at_once() {
    run(async {
        for away in [true, false] {
            let mut world = World::new();
            // A socket that is known to be lost, but whose session has not left yet, is no excuse.
            world.link.end(DisconnectKind::Lost.into());
            if away {
                let _ = world.link.take_end();
                world.cut();
            }
            world.workers[0].end(world.place.slot, DisconnectKind::Kicked.into());
            let heard = if away { world.last_words.borrow_mut().pop() } else { world.link.take_end() };
            assert_eq!(heard, Some(Disconnect::from(DisconnectKind::Kicked)));
        }
    });
}

#[test]
fn a_connection_that_is_away_keeps_no_transport_and_an_idle_one_no_buffer() {
    run(async {
        let mut world = World::new();
        let wire = world.socket.holders();
        world.cut();
        world.link =
            Rc::new(Link::new(Socket::default(), world.settings.clone(), crate::outbound::SlowConsumers::Close));
        assert!(world.socket.holders() < wire, "the socket is still held");
    });
}

#[test]
fn a_hand_over_of_what_is_gone_ends_the_new_socket() {
    run(async {
        let mut world = World::new();
        let slot = world.place.slot;
        world.workers[0].detach(slot, &[world.audience]);
        world.recover(1);
        world.settle();
        assert_eq!(world.link.take_end(), Some(Disconnect::from(DisconnectKind::RecoveryRefused)));
        let ids: BTreeSet<_> =
            world.workers.iter().flat_map(|slots| slots.slots.iter().map(|(_, slot)| slot.id)).collect();
        assert_eq!(ids, BTreeSet::from([world.id]));
    });
}

#[test]
fn who_is_ended_while_the_next_socket_is_under_way_is_ended_there() {
    run(async {
        for session_is_gone in [false, true] {
            let mut world = World::new();
            let (old, slot) = (world.link.clone(), world.place.slot);
            world.workers[0].end(slot, DisconnectKind::Kicked.into());
            if session_is_gone {
                assert_eq!(old.take_end(), Some(Disconnect::from(DisconnectKind::Kicked)));
                drop(world.workers[0].leave_seat(slot, &old));
            }
            world.recover(1);
            world.settle();
            let heard = if session_is_gone { DisconnectKind::RecoveryRefused } else { DisconnectKind::Kicked };
            assert_eq!(world.link.take_end(), Some(Disconnect::from(heard)));
        }
    });
}

#[test]
fn a_third_socket_that_crosses_the_end_of_the_first_is_ended_too() {
    run(async {
        let mut world = World::new();
        // The registry does not listen to the last word: somebody is there again.
        world.cut();
        world.workers[0].beat(Moment::now().after(Duration::from_secs(40)));
        assert_eq!(world.last_words.borrow().len(), 1);
        world.recover(1);
        world.recover(0);
        // The second hears that it is to pass the connection on before it hears that there is none.
        world.turn(1, usize::MAX);
        world.settle();
        assert_eq!(world.link.take_end(), Some(Disconnect::from(DisconnectKind::RecoveryRefused)));
    });
}
