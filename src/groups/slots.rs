//! The connections of one worker and their share of every audience: what a fan-out does, without the actor around it.

mod recovery;

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use indexmap::IndexSet;
use serde_json::value::RawValue;
use slab::Slab;

use self::recovery::Corner;
pub use self::recovery::Lost;
use super::deliver::{Answer, Publication};
use super::heartbeat::Wheel;
use super::membership::{Audience, Place};
use super::messages::Content;
use super::operate::Load;
use crate::error::{Disconnect, DisconnectKind};
use crate::ids::{ConnectionId, GroupName, UserId};
use crate::metrics::Metrics;
use crate::outbound::{Batch, Delivered, Frame, Item, Link, Moment, Pushed, Queued, Run, Scratch};
use crate::protocol::{Data, Subprotocol, json, raw};
use crate::transport::encoder;
use crate::transport::opcode::Opcode;

/// When silent peers are asked, and how long they may take to answer.
#[derive(Debug, Clone, Copy)]
pub struct HeartbeatSettings {
    /// Silence after which a peer is pinged.
    pub ping_interval: Duration,
    /// Time a pinged peer has to be heard of.
    pub pong_timeout: Duration,
}

impl HeartbeatSettings {
    /// How often the wheel turns: fine enough for the intervals, rare enough to cost nothing.
    pub fn tick(&self) -> Duration {
        let shorter = self.ping_interval.min(self.pong_timeout);
        (shorter / 8).clamp(Duration::from_millis(20), Duration::from_secs(1))
    }
}

/// What the first frame of a connection will tell it.
#[derive(Debug)]
pub struct Greeting {
    /// The user's id.
    pub user_id: Option<UserId>,
    /// The user's own data, as JSON.
    pub user: Option<Box<RawValue>>,
    /// What lets its peer come back, where it may.
    pub reconnection_token: Option<String>,
}

/// Connections whose links are looked at together before they are written to.
const SIDE_BY_SIDE: usize = 16;
/// What a turn may hold before it is written: a publish to a mask is encoded anew for every group, and a turn has many of
/// them, whose part of the hub's window is given back when they are queued here. Enough to save writes, and less than
/// the window.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// Places for connections with something to be written that are kept for the next turn.
const KEPT_DIRTY: usize = 16 * 1024;

struct Slot {
    id: ConnectionId,
    link: Rc<Link>,
    subprotocol: Subprotocol,
    greeting: Option<Box<Greeting>>,
    /// What only a reliable connection has.
    corner: Option<Box<Corner>>,
    /// The last publish that came by here, so that each connection gets at most one copy.
    last_seen: u64,
    /// What publishes of this turn it gets, in front of which stands what its link has queued.
    run: Run,
    /// When an unanswered ping was sent.
    pinged: Option<Moment>,
    /// The deadline has passed, but what the peer sent may still wait to be read.
    overdue: bool,
    /// Tells this connection's place in the wheel from that of an earlier one in the same slot.
    stamp: u32,
}

impl Slot {
    fn key(&self, slot: u32) -> u64 {
        u64::from(self.stamp) << 32 | u64::from(slot)
    }

    /// Makes a message the next of those that the connection gets of this turn.
    fn receive(&mut self, slot: u32, item: Item, batch: &mut Batch, dirty: &mut Vec<u32>) {
        if self.run.is_empty() {
            dirty.push(slot);
        }
        self.run = batch.extend(self.run, item);
    }
}

/// The connections of one worker.
pub struct Slots {
    worker: u32,
    slots: Slab<Slot>,
    audiences: HashMap<Audience, IndexSet<u32, foldhash::fast::RandomState>, foldhash::fast::RandomState>,
    attached: u32,
    publishes: u64,
    /// Who has something to be written at the end of the turn.
    dirty: Vec<u32>,
    batch: Batch,
    /// What became of runs that were queued before the end of the turn.
    delivered: Delivered,
    scratch: Scratch,
    heartbeat: HeartbeatSettings,
    wheel: Wheel,
    metrics: Metrics,
}

impl Slots {
    /// No connections yet.
    pub fn new(worker: u32, heartbeat: HeartbeatSettings, metrics: Metrics) -> Self {
        let horizon = heartbeat.ping_interval + heartbeat.pong_timeout;
        Slots {
            worker,
            slots: Slab::new(),
            audiences: HashMap::default(),
            attached: 0,
            publishes: 0,
            dirty: Vec::new(),
            batch: Batch::default(),
            delivered: Delivered::default(),
            scratch: Scratch::default(),
            heartbeat,
            wheel: Wheel::new(heartbeat.tick(), horizon, Moment::now()),
            metrics,
        }
    }

    /// Where what happens is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// How often [`beat`](Slots::beat) is to be called.
    pub fn tick(&self) -> Duration {
        self.heartbeat.tick()
    }

    /// Takes a connection in; it hears nothing until it is welcomed.
    pub fn attach(&mut self, id: ConnectionId, link: Rc<Link>, subprotocol: Subprotocol, greeting: Greeting) -> Place {
        self.insert(id, link, subprotocol, Some(Box::new(greeting)))
    }

    fn insert(
        &mut self,
        id: ConnectionId,
        link: Rc<Link>,
        subprotocol: Subprotocol,
        greeting: Option<Box<Greeting>>,
    ) -> Place {
        let corner = link.is_reliable().then(Box::default);
        self.attached = self.attached.wrapping_add(1);
        let stamp = self.attached;
        let (last_seen, run, pinged, overdue) = (0, Run::default(), None, false);
        let member = Slot { id, link, subprotocol, greeting, corner, last_seen, run, pinged, overdue, stamp };
        let slot = self.slots.insert(member) as u32;
        let key = u64::from(stamp) << 32 | u64::from(slot);
        self.wheel.schedule(key, Moment::now().after(self.heartbeat.ping_interval));
        Place { worker: self.worker, slot }
    }

    /// Lets a connection go, and with it its part in `audiences`.
    pub fn detach(&mut self, slot: u32, audiences: &[Audience]) {
        audiences.iter().for_each(|audience| self.leave(*audience, slot));
        self.slots.try_remove(slot as usize);
    }

    /// Queues the connection's first frame and lets its session read.
    pub fn welcome(&mut self, slot: u32, groups: &[GroupName]) {
        let Some(member) = self.slots.get_mut(slot as usize) else { return };
        let link = member.link.clone();
        if let (true, Some(greeting)) = (member.subprotocol.is_json(), member.greeting.take()) {
            let id = member.id;
            let Greeting { user_id, user, reconnection_token } = *greeting;
            let (user_id, user, token) = (user_id.as_ref(), user.as_deref(), reconnection_token.as_deref());
            let frame = encoder::text(|out| json::connected(out, user_id, id, token, user, groups));
            self.push(slot, frame);
        }
        // The answer to its handshake may wait for this, also where no frame follows it.
        self.dirty.push(slot);
        link.gate.open(Moment::now());
    }

    /// Makes a connection part of an audience.
    pub fn join(&mut self, audience: Audience, slot: u32) {
        self.audiences.entry(audience).or_default().insert(slot);
    }

    /// Takes a connection out of an audience.
    pub fn leave(&mut self, audience: Audience, slot: u32) {
        if let Some(members) = self.audiences.get_mut(&audience) {
            members.swap_remove(&slot);
            if members.is_empty() {
                self.audiences.remove(&audience);
            }
        }
    }

    /// Queues the answer to a request, behind everything that the registry sent before it.
    pub fn answer(&mut self, slot: u32, answer: &Answer) {
        let Some(member) = self.slots.get(slot as usize) else { return };
        let (link, subprotocol) = (member.link.clone(), member.subprotocol);
        if let (Some(ack_id), true) = (answer.ack_id, subprotocol.is_json()) {
            let frame = encoder::text(|out| match &answer.result {
                Ok(fields) => json::ack_ok(out, ack_id, fields.as_ref()),
                Err(refusal) => json::ack_error(out, ack_id, refusal.code, &refusal.message),
            });
            self.push(slot, frame);
        }
        link.gate.answered(Moment::now());
    }

    /// Queues a server message for some connections.
    pub fn send(&mut self, slots: &[u32], message: &Content) {
        let mut items = Items::default();
        for slot in slots {
            let Some(member) = self.slots.get_mut(*slot as usize) else { continue };
            let encode = || encoder::text(|out| json::server_message(out, &message.data, message.metadata.as_deref()));
            let item = items.get(member.subprotocol, &mut self.batch, false, message, encode);
            member.receive(*slot, item, &mut self.batch, &mut self.dirty);
        }
        self.flush_if_large();
    }

    /// Queues a publish for everybody in its audiences, one copy each.
    pub fn publish(&mut self, publication: &Publication) {
        self.publishes += 1;
        let except = publication.except.filter(|place| place.worker == self.worker).map(|place| place.slot);
        let mut excluded = places_on(self.worker, &publication.excluded);
        excluded.sort_unstable();
        let (content, is_announcement) = (&publication.content, publication.announcement.is_some());
        let mut tail = None;
        let mut items = Items::default();
        for (audience, group) in &publication.audiences {
            let Some(members) = self.audiences.get(audience) else { continue };
            // The name of the group stands in it.
            items.json = None;
            for slot in members {
                let Some(member) = self.slots.get_mut(*slot as usize) else { continue };
                if std::mem::replace(&mut member.last_seen, self.publishes) == self.publishes || except == Some(*slot) {
                    continue;
                }
                if !excluded.is_empty() && excluded.binary_search(slot).is_ok() {
                    continue;
                }
                if publication.only.as_ref().is_some_and(|only| !only.contains(&member.id)) {
                    continue;
                }
                let encode = || {
                    let tail = tail.get_or_insert_with(|| publication.encode_tail());
                    encoder::text(|out| json::group_message(out, group, tail))
                };
                let item = items.get(member.subprotocol, &mut self.batch, is_announcement, content, encode);
                member.receive(*slot, item, &mut self.batch, &mut self.dirty);
            }
            if self.flush_if_large() {
                items = Items::default();
            }
        }
    }

    /// Writes a turn out before it holds too much; the items of its batch are no more then.
    fn flush_if_large(&mut self) -> bool {
        let is_large = self.batch.held() > BATCH_BYTES;
        if is_large {
            self.flush();
        }
        is_large
    }

    /// Ends a connection; its session does the rest.
    pub fn end(&mut self, slot: u32, disconnect: Disconnect) {
        // What was decided before it ends is still for it.
        self.settle(slot);
        if let Some(member) = self.slots.get(slot as usize) {
            member.link.end(disconnect);
            self.end_if_parked(slot);
        }
    }

    /// Who has to be ended when, for the server to be empty after `over`.
    pub fn drain_plan(&self, now: Moment, over: Duration) -> Vec<(Moment, u32)> {
        let count = self.slots.len().max(1) as u32;
        self.slots.iter().zip(0..).map(|((slot, _), place)| (now.after(over * place / count), slot as u32)).collect()
    }

    /// Ends a connection because the server goes away, with advice of its own when to come back.
    pub fn send_away(&mut self, slot: u32, over: Duration) {
        self.settle(slot);
        if let Some(member) = self.slots.get(slot as usize) {
            member.link.end(Disconnect::going_away(member.id.share_of(over)));
            self.end_if_parked(slot);
        }
    }

    /// Writes what was queued since the last time, one write per connection.
    pub fn flush(&mut self) {
        let mut delivered = std::mem::take(&mut self.delivered);
        let dirty = std::mem::take(&mut self.dirty);
        for slots in dirty.chunks(SIDE_BY_SIDE) {
            self.look_at_links(slots);
            for slot in slots {
                let Some(member) = self.slots.get_mut(*slot as usize) else { continue };
                let run = std::mem::take(&mut member.run);
                if run.is_empty() {
                    member.link.flush(&mut self.scratch);
                } else {
                    delivered += member.link.deliver(run, &mut self.batch, &mut self.scratch);
                    if member.is_parked() {
                        self.end_if_parked(*slot);
                    }
                }
            }
        }
        self.dirty = dirty;
        self.dirty.clear();
        self.dirty.shrink_to(KEPT_DIRTY);
        // Counted together: counters that all workers share are no business of each write.
        self.metrics.messages_out.increment(delivered.frames as u64);
        self.metrics.bytes_out.increment(delivered.bytes as u64);
        self.metrics.announcements_dropped.increment(delivered.announcements_dropped as u64);
        self.batch.clear();
    }

    /// Touches what the next writes will need. The links lie scattered in memory, and the kernel's work between two writes
    /// has them forgotten by the processor's caches: together they are waited for once, one after another each time.
    fn look_at_links(&self, slots: &[u32]) {
        let at_rest =
            slots.iter().filter(|slot| self.slots.get(**slot as usize).is_some_and(|slot| slot.link.is_at_rest()));
        std::hint::black_box(at_rest.count());
    }

    /// Asks who was silent for too long, and ends who did not answer.
    pub fn beat(&mut self, now: Moment) {
        for key in self.wheel.due(now) {
            let slot = key as u32;
            let Some(member) = self.slots.get(slot as usize) else { continue };
            if member.key(slot) == key
                && !member.link.is_ending()
                && let Some(next) = self.look_at(slot, now)
            {
                self.wheel.schedule(key, next);
            }
        }
    }

    /// When to look at the connection again, or `None` when it has just been ended.
    fn look_at(&mut self, slot: u32, now: Moment) -> Option<Moment> {
        let HeartbeatSettings { ping_interval, pong_timeout } = self.heartbeat;
        let member = self.slots.get_mut(slot as usize)?;
        if member.is_parked() {
            return self.look_at_parked(slot, now);
        }
        let heard = member.link.heard();
        // Heard in the millisecond of the ping is its answer: whoever was heard shortly before it is not pinged.
        let Some(pinged) = member.pinged.filter(|pinged| heard < *pinged) else {
            member.overdue = false;
            member.pinged = None;
            if heard.after(ping_interval) > now {
                return Some(heard.after(ping_interval));
            }
            member.pinged = Some(now);
            let link = member.link.clone();
            self.push(slot, encoder::ping(&[]));
            link.flush(&mut self.scratch);
            return Some(now.after(pong_timeout));
        };
        // Only time in which the session was reading counts: the rest is our own slowness.
        if !member.link.gate.is_open() {
            return Some(now.after(pong_timeout));
        }
        let deadline = pinged.max(member.link.gate.opened_at()).after(pong_timeout);
        if deadline > now {
            return Some(deadline);
        }
        if !std::mem::replace(&mut member.overdue, true) {
            return Some(now.after(self.heartbeat.tick()));
        }
        self.metrics.heartbeat_timeouts.increment(1);
        member.link.end(Disconnect::from(DisconnectKind::PingTimeout));
        None
    }

    /// What waits for a connection, and for how long it was silent; `None` where it has left its slot.
    pub fn load_of(&self, slot: u32, id: ConnectionId, now: Moment) -> Option<Load> {
        let member = self.slots.get(slot as usize).filter(|member| member.id == id)?;
        let (messages, bytes) = member.link.waiting();
        Some(Load { messages, bytes, silent: now.since(member.link.heard()) })
    }

    /// Queues a frame for one connection, behind what it gets of the publishes so far.
    fn push(&mut self, slot: u32, frame: impl Into<Frame>) {
        self.settle(slot);
        if let Some(member) = self.slots.get(slot as usize)
            && member.link.push(frame.into(), &mut self.scratch) == Pushed::First
        {
            self.dirty.push(slot);
        }
    }

    /// Queues what a connection gets of the publishes so far, so that other frames can follow.
    fn settle(&mut self, slot: u32) {
        let Some(member) = self.slots.get_mut(slot as usize).filter(|member| !member.run.is_empty()) else { return };
        let run = std::mem::take(&mut member.run);
        self.delivered += member.link.hold(run, &mut self.batch, &mut self.scratch);
        if member.is_parked() {
            self.end_if_parked(slot);
        }
    }
}

fn places_on(worker: u32, places: &[Place]) -> Vec<u32> {
    places.iter().filter(|place| place.worker == worker).map(|place| place.slot).collect()
}

/// One message in a batch, as each subprotocol writes it, encoded when the first receiver needs it.
#[derive(Default)]
struct Items {
    json: Option<Item>,
    raw: Option<Item>,
}

impl Items {
    fn get(
        &mut self,
        subprotocol: Subprotocol,
        batch: &mut Batch,
        is_announcement: bool,
        content: &Content,
        encode_json: impl FnOnce() -> Bytes,
    ) -> Item {
        let until = content.expires.unwrap_or(Moment::NEVER);
        let mut add = |bytes, subprotocol| {
            batch.add(Queued { frame: Frame::message(bytes, subprotocol), is_announcement, until })
        };
        match subprotocol {
            // Both read the same bytes; a link adds the number that only its own connection gives them.
            Subprotocol::Json | Subprotocol::ReliableJson => {
                *self.json.get_or_insert_with(|| add(encode_json(), Subprotocol::Json))
            }
            Subprotocol::Raw => *self.raw.get_or_insert_with(|| add(raw_frame(&content.data), Subprotocol::Raw)),
        }
    }
}

fn raw_frame(data: &Data) -> Bytes {
    let message = raw::message(data);
    encoder::encode(if message.binary { Opcode::Binary } else { Opcode::Text }, &message.payload)
}

#[cfg(test)]
mod recovery_tests;
#[cfg(test)]
mod tests;
