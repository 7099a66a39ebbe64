//! Reliable connections between two sockets: parked where the first one was, handed over to where the next one is.
//!
//! A connection that has lost its peer keeps its slot and goes on collecting what is sent to it. Its session is gone, and
//! has left its last word here: it is said when nobody has come back in time, or when somebody ends the connection.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use actix::Addr;

use super::{Slot, Slots};
use crate::error::{Disconnect, DisconnectKind};
use crate::groups::deliver::{HandOver, Resume};
use crate::groups::fanout::Fanout;
use crate::groups::membership::Place;
use crate::ids::ConnectionId;
use crate::outbound::{Link, Moment};
use crate::protocol::Subprotocol;

/// Tells the registry that a connection is over. Dropped, it does so too.
type LastWord = Box<dyn FnOnce(Disconnect)>;

/// What a session leaves when its peer is lost.
pub struct Lost {
    /// What it would have said to the registry.
    pub last_word: LastWord,
    /// How the peer was lost.
    pub reason: Disconnect,
    /// How long the peer may take to come back.
    pub window: Duration,
}

/// What only a reliable connection has.
#[derive(Default)]
pub(super) struct Corner {
    /// Its place among the connections that the server allows, which it keeps from socket to socket.
    seat: Option<Box<dyn Send>>,
    parked: Option<Box<Parked>>,
    /// Its session has said that the connection is over.
    is_over: bool,
    /// Where it goes on, when it was asked for before there was something to hand over.
    onward: Option<(Addr<Fanout>, u32)>,
}

struct Parked {
    last_word: LastWord,
    reason: Disconnect,
    until: Moment,
}

impl Slot {
    /// Whether it has no peer.
    pub(super) fn is_parked(&self) -> bool {
        self.corner.as_ref().is_some_and(|corner| corner.parked.is_some())
    }

    /// Why the connection is over, where that is decided and is more than the loss of its peer.
    fn is_over(&self) -> Option<Disconnect> {
        let is_said = self.corner.as_ref().is_some_and(|corner| corner.is_over);
        self.link.verdict().or_else(|| is_said.then(|| DisconnectKind::RecoveryRefused.into()))
    }
}

impl Slots {
    /// Takes a connection in that goes on by this link as soon as the one before is handed over.
    pub fn attach_again(&mut self, id: ConnectionId, link: Rc<Link>) -> Place {
        self.insert(id, link, Subprotocol::ReliableJson, None)
    }

    /// Gives a reliable connection its place among those that the server allows.
    pub fn sit(&mut self, slot: u32, seat: Box<dyn Send>) {
        if let Some(corner) = self.slots.get_mut(slot as usize).and_then(|member| member.corner.as_mut()) {
            corner.seat = Some(seat);
        }
    }

    /// Takes the place back at the end of a session, if the connection is still served by its link: it is over then.
    pub fn leave_seat(&mut self, slot: u32, link: &Rc<Link>) -> Option<Box<dyn Send>> {
        let member = self.slots.get_mut(slot as usize).filter(|member| Rc::ptr_eq(&member.link, link))?;
        let corner = member.corner.as_mut()?;
        corner.is_over = true;
        corner.seat.take()
    }

    /// Keeps a connection without a peer, and its link no more.
    ///
    /// # Errors
    /// Gives back what was to be left where nobody can come back: the connection was never greeted, has been handed over,
    /// or has too much unacknowledged.
    pub fn park(&mut self, slot: u32, link: &Rc<Link>, lost: Lost) -> Result<(), Lost> {
        let member = self.slots.get_mut(slot as usize).filter(|member| Rc::ptr_eq(&member.link, link));
        let Some(member) = member else { return Err(lost) };
        let (Some(corner), None, true) = (&mut member.corner, &member.greeting, link.can_be_parked()) else {
            return Err(lost);
        };
        let until = Moment::now().after(lost.window);
        corner.parked = Some(Box::new(Parked { last_word: lost.last_word, reason: lost.reason, until }));
        member.link = link.park();
        self.wheel.schedule(member.key(slot), until);
        self.metrics.suspended.increment(1);
        Ok(())
    }

    /// Has a connection that is parked and was ended say its last word. Its slot stays until the registry lets it go.
    pub(super) fn end_if_parked(&mut self, slot: u32) {
        let Some(member) = self.slots.get_mut(slot as usize) else { return };
        let Some(corner) = member.corner.as_mut().filter(|corner| corner.parked.is_some()) else { return };
        let Some(reason) = member.link.take_end() else { return };
        let Some(parked) = corner.parked.take() else { return };
        // A third socket that waits here finds it gone. Nothing is kept any more, and nothing is sent.
        drop(member.link.take_replay());
        self.metrics.suspended.decrement(1);
        (parked.last_word)(reason);
    }

    /// When to look at a parked connection again, or `None` when its time is over.
    pub(super) fn look_at_parked(&mut self, slot: u32, now: Moment) -> Option<Moment> {
        let member = self.slots.get_mut(slot as usize)?;
        let parked = member.corner.as_ref()?.parked.as_ref()?;
        if parked.until > now {
            return Some(parked.until);
        }
        member.link.end(parked.reason.clone());
        self.end_if_parked(slot);
        None
    }

    /// Lets a connection go that goes on by another socket, and gives what is to be sent there.
    ///
    /// `None` where it is not known yet, since the socket before this one has not handed it over: it is passed on then.
    pub fn hand_over(&mut self, hand_over: HandOver) -> Option<(Addr<Fanout>, Resume)> {
        let HandOver { slot, id, audiences, to, to_slot } = hand_over;
        audiences.iter().for_each(|audience| self.leave(*audience, slot));
        self.settle(slot);
        let member = self.slots.get_mut(slot as usize).filter(|member| member.id == id);
        let Some(member) = member else {
            let over = Err(DisconnectKind::RecoveryRefused.into());
            return Some((to, Resume { slot: to_slot, id, replay: over, seat: None }));
        };
        let over = member.is_over();
        match member.corner.as_mut().map(|corner| corner.parked.take()) {
            // Its last word is about a connection that goes on; the registry will not listen.
            Some(Some(_)) => self.metrics.suspended.decrement(1),
            // A socket that still seems to be alive. Its session ends, and its last word is the same.
            _ => member.link.end(DisconnectKind::Displaced.into()),
        }
        if over.is_none() && member.link.is_waiting() {
            if let Some(corner) = &mut member.corner {
                corner.onward = Some((to, to_slot));
            }
            return None;
        }
        let replay = member.link.take_replay();
        // Who ended it did not know of the next socket, and means the connection.
        let replay = match over {
            Some(reason) => Err(reason),
            None => replay.ok_or_else(|| DisconnectKind::RecoveryRefused.into()),
        };
        let seat = self.let_go(slot);
        Some((to, Resume { slot: to_slot, id, replay, seat }))
    }

    /// Goes on with a connection where another socket ended; gives what is to be passed on where there is a third already.
    pub fn resume(&mut self, resume: Resume) -> Option<(Addr<Fanout>, Resume)> {
        let Resume { slot, id, replay, seat } = resume;
        // What came here of this turn comes behind what is still to be sent.
        self.settle(slot);
        let member = self.slots.get_mut(slot as usize).filter(|member| member.id == id && member.link.is_waiting())?;
        let corner = member.corner.as_mut()?;
        corner.seat = seat;
        let onward = corner.onward.take();
        let link = member.link.clone();
        let replay = match replay {
            Ok(before) => {
                link.resume(*before);
                onward.is_some().then(|| link.take_replay().ok_or_else(|| DisconnectKind::RecoveryRefused.into()))
            }
            Err(reason) => {
                link.end(reason.clone());
                onward.is_some().then_some(Err(reason))
            }
        };
        if let (Some((to, to_slot)), Some(replay)) = (onward, replay) {
            let seat = self.let_go(slot);
            return Some((to, Resume { slot: to_slot, id, replay, seat }));
        }
        self.end_if_parked(slot);
        self.dirty.push(slot);
        self.metrics.recoveries.increment(1);
        link.gate.open(Moment::now());
        None
    }

    /// Empties a slot whose connection goes on elsewhere, and gives its seat.
    fn let_go(&mut self, slot: u32) -> Option<Box<dyn Send>> {
        self.slots.try_remove(slot as usize)?.corner?.seat
    }
}

impl fmt::Debug for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lost").field("reason", &self.reason).finish_non_exhaustive()
    }
}
