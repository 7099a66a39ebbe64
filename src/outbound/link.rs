//! One connection's shared corner: the session reads through it, the worker's fan-out writes through it.
//!
//! Both live on one thread, so there is no lock. Whatever wants the connection to end says so here, once; the session
//! hears of it from its stream of frames and runs the one clean-up path.

mod reliable;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{Batch, Frame, Full, Gate, Moment, OutboundLimits, Queue, Replay, Run, Scratch, SlowConsumers, Written};
use crate::error::{Disconnect, DisconnectKind};
use crate::metrics::Metrics;
use crate::transport::Transport;

/// What every connection of a worker has in common.
#[derive(Debug, Clone)]
pub struct LinkSettings {
    /// Bounds of each outbound queue.
    pub limits: OutboundLimits,
    /// How long the peer may take nothing while something waits.
    pub write_timeout: Duration,
    /// Requests of one connection that may be unanswered at a time.
    pub requests_in_flight: u32,
    /// Where what happens is counted.
    pub metrics: Metrics,
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It is in a queue that was empty, which has to be flushed.
    First,
    /// It is behind others.
    Behind,
    /// It is dropped: the connection is ending or too slow, or the frame did not matter enough.
    Dropped,
}

/// What became of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Frames that are written or queued.
    pub frames: usize,
    /// Bytes written at once; those of a queue count themselves.
    pub bytes: usize,
    /// Announcements for which the connection is too far behind.
    pub announcements_dropped: usize,
}

impl std::ops::AddAssign for Delivered {
    fn add_assign(&mut self, other: Delivered) {
        self.frames += other.frames;
        self.bytes += other.bytes;
        self.announcements_dropped += other.announcements_dropped;
    }
}

/// A connection as its session and its fan-out share it.
pub struct Link<T: ?Sized = dyn Transport> {
    /// Whether the session may read on.
    pub gate: Gate,
    settings: Rc<LinkSettings>,
    queue: RefCell<Queue>,
    slow_consumers: SlowConsumers,
    /// What may have to be sent again, on a reliable connection.
    replay: RefCell<Option<Box<Replay>>>,
    /// There is no peer: what comes is kept for the socket by which it comes back.
    parked: bool,
    /// A task waits for the kernel to take more.
    blocked: Cell<bool>,
    /// When the peer was last heard.
    heard: Cell<Moment>,
    end: RefCell<Option<Disconnect>>,
    /// Nothing is queued any more; what ends the connection is under way.
    closed: Cell<bool>,
    /// Nothing is written any more either.
    dropped: Cell<bool>,
    drainer: RefCell<Option<Waker>>,
    io: RefCell<T>,
}

impl<T: Transport> Link<T> {
    /// A link whose gate is shut until the registry welcomes the connection.
    pub fn new(io: T, settings: Rc<LinkSettings>, slow_consumers: SlowConsumers) -> Self {
        Link {
            gate: Gate::new(settings.requests_in_flight),
            settings,
            queue: RefCell::default(),
            slow_consumers,
            replay: RefCell::new(None),
            parked: false,
            blocked: Cell::new(false),
            heard: Cell::new(Moment::now()),
            end: RefCell::new(None),
            closed: Cell::new(false),
            dropped: Cell::new(false),
            drainer: RefCell::new(None),
            io: RefCell::new(io),
        }
    }

    /// The same for a reliable connection, which loses no message: where too many wait, it ends.
    pub fn reliable(io: T, settings: Rc<LinkSettings>, replay: Replay) -> Self {
        Link { replay: RefCell::new(Some(Box::new(replay))), ..Link::new(io, settings, SlowConsumers::Close) }
    }
}

impl Link {
    /// Reads from the transport and notes that the peer was heard at `now`.
    pub fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8], now: Moment) -> Poll<io::Result<usize>> {
        let read = self.io.borrow_mut().poll_read(cx, buffer);
        if let Poll::Ready(Ok(_)) = read {
            self.heard.set(now);
        }
        read
    }

    /// When the peer was last heard.
    pub fn heard(&self) -> Moment {
        self.heard.get()
    }

    /// How many messages wait to be written, and how many bytes they are.
    pub fn waiting(&self) -> (usize, usize) {
        match &*self.replay.borrow() {
            Some(replay) if self.parked => (replay.messages(), replay.bytes()),
            _ => {
                let queue = self.queue.borrow();
                (queue.messages(), queue.bytes())
            }
        }
    }

    /// Has the connection end, for the first reason that is given. That a reliable one has lost its peer is none yet.
    pub fn end(&self, disconnect: Disconnect) {
        let mut end = self.end.borrow_mut();
        let is_undecided = end.as_ref().is_none_or(|first| self.is_reliable() && first.kind().is_loss());
        if is_undecided {
            *end = Some(disconnect);
        }
        drop(end);
        self.gate.wake();
    }

    /// Whether somebody asked for the end.
    pub fn is_ending(&self) -> bool {
        self.closed.get() || self.end.borrow().is_some()
    }

    /// Why the connection ends, where nobody has taken note of it yet and it is not the loss of a peer who may come back.
    pub fn verdict(&self) -> Option<Disconnect> {
        self.end.borrow().clone().filter(|end| !end.kind().is_loss())
    }

    /// Why the connection ends; asked once, by its session.
    pub fn take_end(&self) -> Option<Disconnect> {
        self.end.borrow_mut().take()
    }

    /// Queues a frame. A queue that is full makes the connection a slow consumer: it is ended, or loses messages, and
    /// nobody else notices.
    pub fn push(self: &Rc<Self>, frame: Frame, scratch: &mut Scratch) -> Pushed {
        if self.is_ending() || self.parked {
            return Pushed::Dropped;
        }
        let limits = self.limits();
        let first = self.queue.borrow().is_empty();
        let pushed = self.queue.borrow_mut().push(frame.clone(), limits);
        let pushed = match pushed {
            // What one drain of the fan-out brings may be more than a queue holds: that alone makes nobody slow.
            Err(Full) if !self.blocked.get() => {
                self.flush(scratch);
                self.queue.borrow_mut().push(frame.clone(), limits)
            }
            pushed => pushed,
        };
        if self.blocked.get() {
            self.settings.metrics.queue_peak.see(self.queue.borrow().bytes() as u64);
        }
        match pushed {
            Ok(()) if first => Pushed::First,
            Ok(()) => Pushed::Behind,
            Err(Full) => self.overflow(frame),
        }
    }

    /// Does what the hub wants for a connection whose queue is full.
    fn overflow(&self, frame: Frame) -> Pushed {
        let metrics = &self.settings.metrics;
        if !self.is_ending() {
            let pushed = self.queue.borrow_mut().push_over(frame, self.limits(), self.slow_consumers);
            if let Ok(lost) = pushed {
                metrics.messages_dropped.increment(lost.messages);
                return if lost.itself { Pushed::Dropped } else { Pushed::Behind };
            }
            metrics.slow_consumers.increment(1);
            self.end(Disconnect::from(DisconnectKind::SlowConsumer));
        }
        // The memory is free at once; the others do not notice.
        self.queue.borrow_mut().abandon();
        Pushed::Dropped
    }

    /// Whether a run can be written at once: nothing is ahead of it, and nothing ends.
    pub fn is_at_rest(&self) -> bool {
        !self.is_ending() && !self.blocked.get() && self.queue.borrow().is_at_rest()
    }

    /// Writes a run, straight from the batch where nothing is ahead of it; what the kernel does not take is queued.
    pub fn deliver(self: &Rc<Self>, run: Run, batch: &mut Batch, scratch: &mut Scratch) -> Delivered {
        if self.is_reliable() {
            let delivered = self.deliver_numbered(run, batch, scratch, true);
            self.flush(scratch);
            return self.counted(delivered);
        }
        let mut delivered = Delivered::default();
        if self.is_at_rest()
            && let Some(bytes) = batch.bytes(run)
        {
            match self.io.borrow_mut().try_write(bytes) {
                Ok(count) if count > 0 => delivered.bytes = count,
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Ok(_) | Err(_) => {
                    self.broken();
                    return delivered;
                }
            }
            if delivered.bytes == bytes.len() {
                delivered.frames = batch.len(run);
                self.wait_where_held_back();
                return self.counted(delivered);
            }
        }
        self.queue_rest(run, batch, &mut delivered, scratch);
        self.flush(scratch);
        self.counted(delivered)
    }

    /// Queues a run without writing it, because more follows.
    pub fn hold(self: &Rc<Self>, run: Run, batch: &mut Batch, scratch: &mut Scratch) -> Delivered {
        if self.is_reliable() {
            let delivered = self.deliver_numbered(run, batch, scratch, false);
            return self.counted(delivered);
        }
        let mut delivered = Delivered::default();
        self.queue_rest(run, batch, &mut delivered, scratch);
        self.counted(delivered)
    }

    /// What of it counts among what the connections of the worker get: nothing where nobody is shown it.
    fn counted(&self, delivered: Delivered) -> Delivered {
        if self.settings.metrics.is_shown() { delivered } else { Delivered::default() }
    }

    /// Queues what of a run is not written.
    fn queue_rest(self: &Rc<Self>, run: Run, batch: &Batch, delivered: &mut Delivered, scratch: &mut Scratch) {
        let mut written = delivered.bytes;
        for queued in batch.frames(run) {
            let frame = queued.frame.clone();
            if written >= frame.len() {
                written -= frame.len();
            } else if written > 0 {
                self.queue.borrow_mut().resume(frame, written);
                written = 0;
            } else if queued.is_announcement && self.queue.borrow().is_over_half(self.settings.limits) {
                if self.slow_consumers != SlowConsumers::Close {
                    self.queue.borrow_mut().miss();
                }
                delivered.announcements_dropped += 1;
                continue;
            } else if self.push(frame, scratch) == Pushed::Dropped {
                continue;
            }
            delivered.frames += 1;
        }
    }

    /// Writes what waits. What the kernel does not take now is written by a task that exists only until it does.
    pub fn flush(self: &Rc<Self>, scratch: &mut Scratch) {
        if self.blocked.get() || self.parked {
            return;
        }
        match self.write(scratch).0 {
            Written::All => self.wait_where_held_back(),
            Written::Blocked => self.wait(),
            Written::Broken => self.broken(),
        }
    }

    /// What the transport took and could not send goes out also when nothing follows it.
    fn wait_where_held_back(self: &Rc<Self>) {
        if self.io.borrow().holds_back() {
            self.wait();
        }
    }

    fn wait(self: &Rc<Self>) {
        self.blocked.set(true);
        self.settings.metrics.queue_peak.see(self.queue.borrow().bytes() as u64);
        actix_rt::spawn(self.clone().drain());
    }

    /// Writes what the kernel takes, and tells how many bytes that were.
    fn write(&self, scratch: &mut Scratch) -> (Written, usize) {
        let mut queue = self.queue.borrow_mut();
        let mut io = self.io.borrow_mut();
        let metrics = &self.settings.metrics;
        let mut taken = 0;
        let written = queue.write(scratch, |bytes| {
            let count = io.try_write(bytes)?;
            taken += count;
            Ok(count)
        });
        metrics.bytes_out.increment(taken as u64);
        (written, taken)
    }

    fn broken(&self) {
        self.queue.borrow_mut().abandon();
        self.end(Disconnect::from(DisconnectKind::Lost));
    }

    /// Waits for the kernel and writes on, until nothing is left or the peer took nothing for too long.
    async fn drain(self: Rc<Self>) {
        let mut scratch = Scratch::default();
        let mut deadline = Instant::now() + self.settings.write_timeout;
        loop {
            let writable = std::future::poll_fn(|cx| self.poll_writable(cx));
            let (written, taken) = match timeout_at(deadline, writable).await {
                Err(_) => {
                    // Who is ended already has been counted, or is not slow but gone.
                    if !self.is_ending() {
                        self.settings.metrics.slow_consumers.increment(1);
                    }
                    self.end(Disconnect::from(DisconnectKind::WriteTimeout));
                    self.queue.borrow_mut().abandon();
                    break;
                }
                Ok(Ok(())) => self.write(&mut scratch),
                Ok(Err(_)) => (Written::Broken, 0),
            };
            match written {
                Written::All if self.io.borrow().holds_back() => {}
                Written::All => break,
                Written::Broken => {
                    self.broken();
                    break;
                }
                Written::Blocked => {}
            }
            // Not what is left: others may queue more meanwhile than a slow but living peer takes.
            if taken > 0 {
                deadline = Instant::now() + self.settings.write_timeout;
            }
        }
        self.blocked.set(false);
        self.gate.wake();
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.dropped.get() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        *self.drainer.borrow_mut() = Some(cx.waker().clone());
        self.io.borrow_mut().poll_writable(cx)
    }

    /// Gives up on what is not written yet.
    pub(super) fn abandon(&self) {
        self.dropped.set(true);
        self.queue.borrow_mut().abandon();
        if let Some(drainer) = self.drainer.borrow_mut().take() {
            drainer.wake();
        }
    }

    /// Stops taking frames; `last` are queued as the last ones. Tells whether this was the first time.
    pub(super) fn seal(&self, last: impl IntoIterator<Item = Frame>) -> bool {
        if self.closed.replace(true) {
            return false;
        }
        let mut queue = self.queue.borrow_mut();
        last.into_iter().for_each(|frame| queue.push_last(frame));
        true
    }

    /// Waits until everything queued is written, for at most `patience`. Tells whether it was.
    pub(super) async fn written(self: &Rc<Self>, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        self.flush(&mut Scratch::default());
        let empty = std::future::poll_fn(|cx| {
            let all = self.queue.borrow().is_empty() && !self.io.borrow().holds_back();
            if all || !self.blocked.get() {
                return Poll::Ready(all);
            }
            self.gate.register(cx);
            Poll::Pending
        });
        timeout_at(deadline, empty).await.unwrap_or(false)
    }

    /// The transport, for the end of the connection.
    pub(super) fn io(&self) -> &RefCell<dyn Transport> {
        &self.io
    }
}
