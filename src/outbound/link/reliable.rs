//! What is different on a reliable connection: messages have numbers, are kept until they are acknowledged, and go on by
//! another socket where this one is lost.

use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::{Delivered, Link, Pushed};
use crate::error::{Disconnect, DisconnectKind};
use crate::metrics::Limit;
use crate::outbound::batch::GATHER_BYTES;
use crate::outbound::{Batch, Frame, Full, Moment, OutboundLimits, Replay, Run, Scratch, SlowConsumers};
use crate::transport::Transport;

/// Most bytes that a number adds to a message: its name, twenty digits, and a longer header.
const OWN_BYTES: usize = 48;

/// No peer is there.
struct Nobody;

impl Transport for Nobody {
    fn poll_read(&mut self, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn try_write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn poll_writable(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Link {
    /// Whether messages are numbered and kept. No more so when they were handed to another socket.
    pub fn is_reliable(&self) -> bool {
        self.replay.borrow().is_some()
    }

    /// Whether it waits for what another socket has left.
    pub fn is_waiting(&self) -> bool {
        self.replay.borrow().as_ref().is_some_and(|replay| replay.is_waiting())
    }

    /// Whether somebody could go on with it.
    pub fn can_be_parked(&self) -> bool {
        self.replay.borrow().as_ref().is_some_and(|replay| !replay.is_full())
    }

    /// Forgets what the peer says to have received.
    pub fn acknowledge(&self, number: u64) {
        if let Some(replay) = &mut *self.replay.borrow_mut() {
            replay.acknowledge(number);
        }
    }

    /// A link without a peer that goes on keeping what comes. This one has nothing to keep any more, and can be closed.
    pub fn park(&self) -> Rc<Link> {
        let link = Link::new(Nobody, self.settings.clone(), SlowConsumers::Close);
        link.heard.set(self.heard.get());
        *link.replay.borrow_mut() = self.replay.take();
        Rc::new(Link { parked: true, ..link })
    }

    /// Takes what is kept, for another socket or for good.
    pub fn take_replay(&self) -> Option<Box<Replay>> {
        self.replay.take()
    }

    /// Goes on where another socket ended: what it left comes first, then what came here meanwhile.
    pub fn resume(self: &Rc<Self>, before: Replay) {
        let mut replay = self.replay.borrow_mut();
        let Some(resumed) = replay.as_mut() else { return };
        if resumed.resume(before) == Err(Full) {
            drop(replay);
            return self.overflowed();
        }
        if self.is_ending() || self.parked {
            return;
        }
        let mut queue = self.queue.borrow_mut();
        // Bounded by what may be kept.
        resumed.frames(Moment::now()).for_each(|frame| queue.push_last(frame));
    }

    /// Gives up on a socket whose connection goes on by another, where what waits is sent again. A peer that takes nothing
    /// is not waited for; tells whether this one still takes the last frames.
    pub fn displace(&self) -> bool {
        self.queue.borrow_mut().abandon();
        if self.blocked.get() {
            self.seal([]);
            self.abandon();
        }
        !self.dropped.get()
    }

    /// How much may wait. What is kept anyway may also wait here, or nobody could come back to a full buffer.
    pub(super) fn limits(&self) -> OutboundLimits {
        let limits = self.settings.limits;
        let Some(kept) = self.replay.borrow().as_ref().map(|replay| replay.limits()) else { return limits };
        OutboundLimits {
            bytes: limits.bytes.saturating_add(kept.bytes),
            messages: limits.messages.saturating_add(kept.messages),
        }
    }

    /// Numbers a run and keeps it; writes it where nothing is ahead of it and the rest may follow at once.
    ///
    /// What is written so is gathered from the bytes that all receivers share: frames of its own are made only of what the
    /// kernel does not take.
    pub(super) fn deliver_numbered(
        self: &Rc<Self>,
        run: Run,
        batch: &mut Batch,
        scratch: &mut Scratch,
        write: bool,
    ) -> Delivered {
        let at_once = write && self.is_at_rest() && batch.size(run) + OWN_BYTES * batch.len(run) <= GATHER_BYTES;
        let (mut first, mut kept, mut full) = (None, 0, false);
        scratch.0.clear();
        if let Some(replay) = &mut *self.replay.borrow_mut() {
            for queued in batch.list(run) {
                let Ok(number) = replay.keep(queued.frame.shared(), queued.until) else {
                    full = true;
                    break;
                };
                if let Some(number) = number {
                    first.get_or_insert(number);
                    kept += 1;
                    if at_once && !self.parked {
                        queued.frame.write_sequenced(&mut scratch.0, number);
                    }
                }
            }
        }
        let delivered = match first {
            Some(first) if !self.parked => self.send_numbered(run, batch, (first, kept), at_once, scratch),
            _ => Delivered::default(),
        };
        if full {
            self.overflowed();
        }
        delivered
    }

    /// Sends the first `count` frames of a run, which have the numbers from `first` on and are gathered where they are to be
    /// written at once.
    fn send_numbered(
        self: &Rc<Self>,
        run: Run,
        batch: &mut Batch,
        (first, count): (u64, usize),
        at_once: bool,
        scratch: &mut Scratch,
    ) -> Delivered {
        let mut delivered = Delivered::default();
        if at_once {
            match self.io.borrow_mut().try_write(&scratch.0) {
                Ok(taken) if taken > 0 => delivered.bytes = taken,
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Ok(_) | Err(_) => {
                    self.broken();
                    return delivered;
                }
            }
            if delivered.bytes == scratch.0.len() {
                delivered.frames = count;
                self.wait_where_held_back();
                return delivered;
            }
        }
        let mut written = delivered.bytes;
        for (number, queued) in (first..).zip(batch.list(run)).take(count) {
            let frame = Frame::sequenced(queued.frame.shared(), number);
            if written >= frame.len() {
                written -= frame.len();
            } else if written > 0 {
                self.queue.borrow_mut().resume(frame, written);
                written = 0;
            } else if self.push(frame, scratch) == Pushed::Dropped {
                continue;
            }
            delivered.frames += 1;
        }
        delivered
    }

    fn overflowed(&self) {
        self.settings.metrics.reached(Limit::ReliableBuffer);
        let reason = "The reliable message buffer is full.";
        self.end(Disconnect::with_message(DisconnectKind::SlowConsumer, reason));
    }
}
