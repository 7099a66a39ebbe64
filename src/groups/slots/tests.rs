//! A worker's connections over sockets that take bytes in portions, beside a model that only writes down who gets what.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;
use serde_json::Value;
use tokio::task::{LocalSet, yield_now};

use super::*;
use crate::outbound::{LinkSettings, OutboundLimits, SlowConsumers};
use crate::transport::Transport;

/// What the kernel of one peer has room for, and what it took.
#[derive(Debug, Default)]
struct Wire {
    taken: Vec<u8>,
    room: usize,
    writer: Option<Waker>,
    calls: u32,
}

#[derive(Debug, Default, Clone)]
pub(super) struct Socket(Rc<RefCell<Wire>>);

impl Socket {
    /// What was taken so far.
    pub(super) fn wire(&self) -> Vec<u8> {
        self.0.borrow().taken.clone()
    }

    /// How many hold it, the test included.
    pub(super) fn holders(&self) -> usize {
        Rc::strong_count(&self.0)
    }

    pub(super) fn make_room(&self, room: usize) {
        let mut wire = self.0.borrow_mut();
        wire.room = room;
        if let Some(writer) = wire.writer.take() {
            writer.wake();
        }
    }
}

impl Transport for Socket {
    fn poll_read(&mut self, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut wire = self.0.borrow_mut();
        // Every third call is interrupted, as by a signal.
        wire.calls += 1;
        if wire.calls.is_multiple_of(3) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let count = bytes.len().min(wire.room);
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        wire.taken.extend_from_slice(&bytes[..count]);
        wire.room -= count;
        Ok(count)
    }

    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut wire = self.0.borrow_mut();
        if wire.room > 0 {
            return Poll::Ready(Ok(()));
        }
        wire.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What a connection should get: an ack, or a message with its number, which an announcement may be dropped without a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Ack(u64),
    Message { number: u64, is_announcement: bool },
}

/// What it got: an ack, or a message and how many it says are missing before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Got {
    Ack(u64),
    Message { number: u64, dropped: u64 },
}

struct Member {
    slot: u32,
    socket: Socket,
    link: Rc<Link>,
    subprotocol: Subprotocol,
    due: Vec<Due>,
    /// The server has ended it; what comes later is nothing to it.
    ended: bool,
}

impl Member {
    fn is_due(&mut self, due: Due) {
        if !self.ended {
            self.due.push(due);
        }
    }

    fn got(&self) -> Vec<Got> {
        let wire = self.socket.0.borrow();
        let (mut got, mut rest) = (Vec::new(), &wire.taken[..]);
        while let [_, length, ..] = *rest {
            let (start, length) = match length {
                127 => (10, u64::from_be_bytes(rest[2..10].try_into().unwrap()) as usize),
                126 => (4, usize::from(u16::from_be_bytes([rest[2], rest[3]]))),
                short => (2, usize::from(short)),
            };
            let payload = rest.get(start..start + length).expect("no frame is cut off");
            rest = &rest[start + length..];
            got.push(self.read(payload));
        }
        got
    }

    fn read(&self, payload: &[u8]) -> Got {
        let number = |text: &str| text.trim_start_matches('.').parse().unwrap();
        if self.subprotocol == Subprotocol::Raw {
            return Got::Message { number: number(std::str::from_utf8(payload).unwrap()), dropped: 0 };
        }
        let frame: Value = serde_json::from_slice(payload).unwrap();
        match frame["ackId"].as_u64() {
            Some(ack_id) => Got::Ack(ack_id),
            None => Got::Message {
                number: number(frame["data"].as_str().unwrap()),
                dropped: frame["dropped"].as_u64().unwrap_or_default(),
            },
        }
    }
}

/// One worker, its groups, and the model beside it.
struct Worker {
    slots: Slots,
    metrics: Metrics,
    members: Vec<Member>,
    /// Each with who is in it.
    groups: Vec<(Audience, GroupName, Vec<bool>)>,
    numbers: u64,
}

impl Worker {
    fn new(policy: SlowConsumers, limits: OutboundLimits) -> Self {
        let metrics = Metrics::new();
        let hour = Duration::from_secs(3600);
        let heartbeat = HeartbeatSettings { ping_interval: hour, pong_timeout: hour };
        let mut slots = Slots::new(0, heartbeat, metrics.clone());
        let settings =
            Rc::new(LinkSettings { limits, write_timeout: hour, requests_in_flight: 16, metrics: metrics.clone() });
        let members = (0..6).map(|number| {
            let socket = Socket::default();
            let link: Rc<Link> = Rc::new(Link::new(socket.clone(), settings.clone(), policy));
            let subprotocol = if number % 3 == 2 { Subprotocol::Raw } else { Subprotocol::Json };
            let greeting = Greeting { user_id: None, user: None, reconnection_token: None };
            let place = slots.attach(ConnectionId::random(), link.clone(), subprotocol, greeting);
            Member { slot: place.slot, socket, link, subprotocol, due: Vec::new(), ended: false }
        });
        let members: Vec<_> = members.collect();
        let group = |name| (Audience::next(), GroupName::parse(name, true).unwrap(), vec![false; members.len()]);
        let groups = ["a", "b", "c"].map(group).to_vec();
        Worker { slots, metrics, members, groups, numbers: 0 }
    }

    fn toggle(&mut self, group: usize, member: usize) {
        let (audience, _, of) = &mut self.groups[group];
        of[member] = !of[member];
        match of[member] {
            true => self.slots.join(*audience, self.members[member].slot),
            false => self.slots.leave(*audience, self.members[member].slot),
        }
    }

    /// Publishes to some groups at once, as to a mask.
    fn publish(&mut self, groups: &[usize], bytes: usize, except: Option<usize>, is_announcement: bool) {
        self.numbers += 1;
        let number = self.numbers;
        let except_slot = except.map(|member| Place { worker: 0, slot: self.members[member].slot });
        let announcement = is_announcement.then(|| RawValue::from_string("{}".to_owned()).unwrap());
        self.slots.publish(&Publication {
            audiences: groups.iter().map(|group| (self.groups[*group].0, self.groups[*group].1.clone())).collect(),
            mask: None,
            from: None,
            except: except_slot,
            excluded: Vec::new(),
            only: None,
            content: Data::text(".".repeat(bytes) + &number.to_string()).into(),
            announcement,
            permit: None,
        });
        for (place, member) in self.members.iter_mut().enumerate() {
            if except != Some(place) && groups.iter().any(|group| self.groups[*group].2[place]) {
                member.is_due(Due::Message { number, is_announcement });
            }
        }
    }

    fn send(&mut self, member: usize) {
        self.numbers += 1;
        let number = self.numbers;
        self.slots.send(&[self.members[member].slot], &Data::text(number.to_string()).into());
        self.members[member].is_due(Due::Message { number, is_announcement: false });
    }

    fn ack(&mut self, member: usize) {
        self.numbers += 1;
        let ack_id = self.numbers;
        self.slots.answer(self.members[member].slot, &Answer { ack_id: Some(ack_id), result: Ok(None) });
        if self.members[member].subprotocol == Subprotocol::Json {
            self.members[member].is_due(Due::Ack(ack_id));
        }
    }

    async fn everything_is_taken(&mut self) {
        self.slots.flush();
        for member in &self.members {
            member.socket.make_room(usize::MAX);
        }
        for _ in 0..20 {
            yield_now().await;
        }
    }

    fn counted(&self, name: &str) -> u64 {
        let text = self.metrics.render();
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap()
    }
}

#[derive(Debug, Clone)]
enum Act {
    Toggle(usize, usize),
    Publish {
        groups: Vec<usize>,
        bytes: usize,
        except: Option<usize>,
        is_announcement: bool,
    },
    Send(usize),
    Ack(usize),
    /// The turn ends, and the peers' kernels have room for so much.
    Turn([usize; 6]),
    End(usize),
}

fn acts(sizes: impl Strategy<Value = usize> + Clone + 'static) -> impl Strategy<Value = Vec<Act>> {
    let groups = prop::sample::subsequence(vec![0usize, 1, 2], 1..=3);
    let room = prop_oneof![Just(0), 0usize..300, 0usize..100_000];
    let act = prop_oneof![
        4 => (0usize..3, 0usize..6).prop_map(|(group, member)| Act::Toggle(group, member)),
        8 => (groups, sizes, prop::option::of(0usize..6), prop::bool::weighted(0.2)).prop_map(
            |(groups, bytes, except, is_announcement)| Act::Publish { groups, bytes, except, is_announcement }
        ),
        1 => (0usize..6).prop_map(Act::Send),
        2 => (0usize..6).prop_map(Act::Ack),
        3 => prop::array::uniform6(room).prop_map(Act::Turn),
        1 => (0usize..60).prop_map(Act::End),
    ];
    prop::collection::vec(act, 1..120)
}

/// Plays it, and has everybody read everything in the end.
async fn play(worker: &mut Worker, acts: Vec<Act>) {
    // Everybody is in one group from the start.
    (0..worker.members.len()).for_each(|member| worker.toggle(0, member));
    for act in acts {
        match act {
            Act::Toggle(group, member) => worker.toggle(group, member),
            Act::Publish { groups, bytes, except, is_announcement } => {
                worker.publish(&groups, bytes, except, is_announcement);
            }
            Act::Send(member) => worker.send(member),
            Act::Ack(member) => worker.ack(member),
            Act::Turn(rooms) => {
                worker.slots.flush();
                for (member, room) in worker.members.iter().zip(rooms) {
                    member.socket.make_room(room);
                }
                yield_now().await;
            }
            Act::End(member) => {
                // Mostly nobody.
                if let Some(member) = worker.members.get_mut(member) {
                    member.ended = true;
                    worker.slots.end(member.slot, Disconnect::from(DisconnectKind::Kicked));
                }
            }
        }
    }
    worker.everything_is_taken().await;
}

pub(super) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    LocalSet::new().block_on(&runtime, test)
}

const GENEROUS: OutboundLimits = OutboundLimits { bytes: 1 << 40, messages: usize::MAX };
const TIGHT: OutboundLimits = OutboundLimits { bytes: 3000, messages: 12 };

fn number(due: &Due) -> u64 {
    match due {
        Due::Ack(number) | Due::Message { number, .. } => *number,
    }
}

/// Acks and messages stand in the order in which they were due, however many are missing.
fn is_in_order(member: &Member, got: &[Got]) -> bool {
    let got = got.iter().map(|got| match got {
        Got::Ack(number) | Got::Message { number, .. } => *number,
    });
    let mut due = member.due.iter().map(number);
    got.into_iter().all(|got| due.any(|due| due == got))
}

fn messages(got: &[Got]) -> Vec<(u64, u64)> {
    let message = |got: &Got| match got {
        Got::Message { number, dropped } => Some((*number, *dropped)),
        Got::Ack(_) => None,
    };
    got.iter().filter_map(message).collect()
}

fn due_messages(member: &Member) -> Vec<u64> {
    member.due.iter().filter(|due| matches!(due, Due::Message { .. })).map(number).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn everybody_gets_exactly_their_own_in_order_however_the_kernel_takes_it(
        acts in acts(prop_oneof![8 => 0usize..200, 1 => 30_000usize..140_000]),
    ) {
        run(async move {
            let mut worker = Worker::new(SlowConsumers::Close, GENEROUS);
            play(&mut worker, acts).await;
            let (mut written, mut delivered) = (0, 0);
            for member in &worker.members {
                let got = member.got();
                let due: Vec<_> = member.due.iter().map(|due| match *due {
                    Due::Ack(number) => Got::Ack(number),
                    Due::Message { number, .. } => Got::Message { number, dropped: 0 },
                }).collect();
                prop_assert_eq!(&got, &due);
                written += member.socket.0.borrow().taken.len() as u64;
                delivered += messages(&got).len() as u64;
            }
            prop_assert_eq!(worker.counted("folkmoot_bytes_out_total"), written);
            prop_assert_eq!(worker.counted("folkmoot_messages_out_total"), delivered);
            Ok(())
        })?;
    }

    #[test]
    fn who_may_lose_messages_is_told_of_every_one_of_them(
        acts in acts(0usize..400),
        policy in prop::sample::select(vec![SlowConsumers::DropOldest, SlowConsumers::DropNewest]),
    ) {
        run(async move {
            let mut worker = Worker::new(policy, TIGHT);
            let acts = acts.into_iter().filter(|act| !matches!(act, Act::End(_))).collect();
            play(&mut worker, acts).await;
            // The last one tells what the others have not.
            (0..worker.members.len()).for_each(|member| worker.send(member));
            worker.everything_is_taken().await;
            let mut lost = 0;
            for member in &worker.members {
                let (got, due) = (member.got(), due_messages(member));
                prop_assert!(is_in_order(member, &got), "{got:?} of {:?}", member.due);
                if member.link.is_ending() {
                    // Too many acks; what it was still owed is nobody's business.
                    return Ok(());
                }
                let messages = messages(&got);
                lost += (due.len() - messages.len()) as u64;
                let acks = |due: &&Due| matches!(due, Due::Ack(_));
                prop_assert_eq!(got.len() - messages.len(), member.due.iter().filter(acks).count());
                if member.subprotocol == Subprotocol::Json {
                    let mut place = 0;
                    for (number, dropped) in messages {
                        place += dropped as usize;
                        prop_assert_eq!(due.get(place), Some(&number));
                        place += 1;
                    }
                    prop_assert_eq!(place, due.len());
                }
            }
            let counted = worker.counted("folkmoot_messages_dropped_total")
                + worker.counted("folkmoot_announcements_dropped_total");
            prop_assert_eq!(counted, lost);
            Ok(())
        })?;
    }

    #[test]
    fn who_is_closed_for_being_slow_has_missed_nothing_but_announcements_until_then(acts in acts(0usize..400)) {
        run(async move {
            let mut worker = Worker::new(SlowConsumers::Close, TIGHT);
            play(&mut worker, acts).await;
            for member in &worker.members {
                let got = member.got();
                prop_assert!(is_in_order(member, &got), "{got:?} of {:?}", member.due);
                let indispensable = |due: &&Due| !matches!(due, Due::Message { is_announcement: true, .. });
                let due: Vec<_> = member.due.iter().filter(indispensable).map(number).collect();
                let got: Vec<_> = got.iter().map(|got| match got {
                    Got::Ack(number) | Got::Message { number, .. } => *number,
                }).filter(|number| due.contains(number)).collect();
                prop_assert!(due.starts_with(&got), "{got:?} of {due:?}");
                if !member.link.is_ending() {
                    prop_assert_eq!(got.len(), due.len());
                }
            }
            Ok(())
        })?;
    }
}

#[test]
fn a_turn_holds_little_however_large_its_messages_are_and_to_however_many_groups() {
    run(async {
        const LARGE: usize = 5 << 20;
        let mut worker = Worker::new(SlowConsumers::Close, GENEROUS);
        // A client of each subprotocol in each of two groups.
        [(0, 0), (0, 2), (1, 1), (1, 5)].into_iter().for_each(|(group, member)| worker.toggle(group, member));
        for _ in 0..4 {
            worker.publish(&[0, 1], LARGE, None, false);
            assert!(worker.slots.batch.held() < BATCH_BYTES + 3 * LARGE / 2, "{}", worker.slots.batch.held());
        }
        worker.everything_is_taken().await;
        for member in &worker.members {
            assert_eq!(messages(&member.got()).iter().map(|got| got.0).collect::<Vec<_>>(), due_messages(member));
        }
    });
}

#[test]
fn who_is_sent_away_gets_what_was_decided_before() {
    run(async {
        let mut worker = Worker::new(SlowConsumers::Close, GENEROUS);
        worker.toggle(0, 0);
        worker.publish(&[0], 10, None, false);
        worker.slots.send_away(worker.members[0].slot, Duration::from_secs(1));
        worker.everything_is_taken().await;
        assert_eq!(worker.members[0].got(), [Got::Message { number: 1, dropped: 0 }]);
    });
}
