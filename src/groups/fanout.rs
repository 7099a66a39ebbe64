//! The actor that serves the connections of one worker thread, for all hubs.
//!
//! The registries tell it who joined and what was published; it queues and writes. Started by the first connection of
//! its thread, it lives as long as the thread. It never awaits anything but its own turn.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use actix::fut::ActorFuture;
use actix::{Actor, Addr, AsyncContext, Context, Handler, WrapFuture};

use super::deliver::{Deliver, Publication, Resume};
use super::fatal::exit_if_panicking;
use super::operate::Load;
use super::slots::Slots;
use super::window::Permit;
use crate::ids::ConnectionId;
use crate::metrics::Metrics;
use crate::outbound::Moment;

/// Publishes that are queued before they are written and other work of the thread gets its turn.
///
/// Larger saves writes when publishers are fast, smaller saves memory and latency of others; beyond 64 the cost of a
/// write is spread so thin that nothing is left to save.
const BATCH: usize = 64;

/// Serves the connections of one worker.
pub struct Fanout {
    slots: Rc<RefCell<Slots>>,
    batch: usize,
    /// Publishes of this turn, whose part of the window is given back when they are written.
    published: Vec<Arc<Publication>>,
    /// The same of messages that were sent to some connections.
    sent: Vec<Arc<Permit>>,
}

impl Fanout {
    /// A fan-out over `slots`, which the sessions of the thread share.
    pub fn new(slots: Rc<RefCell<Slots>>) -> Self {
        Fanout { slots, batch: 0, published: Vec::new(), sent: Vec::new() }
    }

    /// Starts it on the current thread.
    pub fn launch(slots: Rc<RefCell<Slots>>) -> Addr<Fanout> {
        Fanout::new(slots).start()
    }

    /// What only this thread knows of a connection.
    pub(super) fn load_of(&self, slot: u32, id: ConnectionId, now: Moment) -> Option<Load> {
        self.slots.borrow().load_of(slot, id, now)
    }

    fn flush(&mut self) {
        if std::mem::take(&mut self.batch) > 0 {
            let _turn = Turn::begin();
            let mut slots = self.slots.borrow_mut();
            slots.flush();
            if !self.published.is_empty() || !self.sent.is_empty() {
                self.tell_how_long(slots.metrics());
                self.published.clear();
                self.sent.clear();
            }
        }
    }

    /// Tells how long each message of the turn took to get here, by one look at the clock.
    fn tell_how_long(&self, metrics: &Metrics) {
        let now = Instant::now();
        let published = self.published.iter().filter_map(|publication| publication.permit.as_ref());
        let permits = published.chain(self.sent.iter().map(|permit| &**permit));
        metrics.delivery.observe_all(permits.map(|permit| permit.age(now)));
    }
}

/// Held while the fan-out works. A panic in there would leave all connections of the thread open and dead.
///
/// Not `Drop` of the fan-out itself: that also runs when somebody else panics on the thread that it lives on. It may even
/// have a last turn then, which is not to blame.
struct Turn {
    others_panic: bool,
}

impl Turn {
    fn begin() -> Self {
        Turn { others_panic: std::thread::panicking() }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.others_panic {
            exit_if_panicking("the fan-out of a worker");
        }
    }
}

/// How often the next connections are sent away while the server drains.
const DRAIN_STEP: Duration = Duration::from_millis(10);

impl Fanout {
    /// Ends the connections one after another, so that they do not all come back at once.
    fn drain(&mut self, mut plan: Vec<(Moment, u32)>, over: Duration, ctx: &mut Context<Self>) {
        // The soonest last, to be popped.
        plan.reverse();
        ctx.run_interval(DRAIN_STEP, move |fanout, _| {
            let now = Moment::now();
            while let Some((_, slot)) = plan.pop_if(|(at, _)| *at <= now) {
                fanout.slots.borrow_mut().send_away(slot, over);
            }
        });
    }
}

impl Actor for Fanout {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let _turn = Turn::begin();
        // An actor whose thread ends before its first turn is started when it is dropped; there are no timers any more.
        if tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        ctx.spawn(FlushAfterMailbox);
        let tick = self.slots.borrow().tick();
        ctx.run_interval(tick, |fanout, _| {
            let _turn = Turn::begin();
            let mut slots = fanout.slots.borrow_mut();
            slots.beat(Moment::now());
            slots.flush();
        });
    }
}

/// Polled by the actor's context each time after its mailbox: what one drain brought is written together.
struct FlushAfterMailbox;

impl ActorFuture<Fanout> for FlushAfterMailbox {
    type Output = ();

    fn poll(self: Pin<&mut Self>, fanout: &mut Fanout, _: &mut Context<Fanout>, _: &mut TaskContext<'_>) -> Poll<()> {
        fanout.flush();
        Poll::Pending
    }
}

impl Handler<Deliver> for Fanout {
    type Result = ();

    fn handle(&mut self, deliver: Deliver, ctx: &mut Self::Context) {
        let _turn = Turn::begin();
        let mut slots = self.slots.borrow_mut();
        match deliver {
            Deliver::Welcome { slot, groups } => slots.welcome(slot, &groups),
            Deliver::Join { slot, audience } => slots.join(audience, slot),
            Deliver::Leave { slot, audience } => slots.leave(audience, slot),
            Deliver::Detach { slot, audiences } => slots.detach(slot, &audiences),
            Deliver::Adopt { slot, audiences } => audiences.into_iter().for_each(|audience| slots.join(audience, slot)),
            Deliver::HandOver(hand_over) => pass_on(slots.hand_over(*hand_over)),
            Deliver::Resume(resume) => pass_on(slots.resume(*resume)),
            Deliver::Answer { slot, answer } => slots.answer(slot, &answer),
            Deliver::Send { slots: to, content, permit } => {
                slots.send(&to, &content);
                self.sent.extend(permit);
            }
            Deliver::Publish(publication) => {
                slots.publish(&publication);
                self.published.push(publication);
            }
            Deliver::Probe(probe) => slots.metrics().fanout_lag.observe(probe.waited()),
            Deliver::End { slot, reason } => slots.end(slot, reason),
            Deliver::Drain { over } => {
                let plan = slots.drain_plan(Moment::now(), over);
                drop(slots);
                return self.drain(plan, over, ctx);
            }
        }
        drop(slots);
        self.batch += 1;
        if self.batch >= BATCH {
            self.flush();
            // The mailbox may never be empty while publishers are fast; reading and writing must go on too.
            ctx.wait(tokio::task::yield_now().into_actor(self));
        }
    }
}

/// Not bounded by the mailbox: each connection is handed over once for each time that it was recovered.
fn pass_on(handed: Option<(Addr<Fanout>, Resume)>) {
    if let Some((to, resume)) = handed {
        to.do_send(Deliver::Resume(Box::new(resume)));
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::groups::slots::HeartbeatSettings;

    #[test]
    fn a_panic_in_a_fan_out_ends_the_process() {
        const CHILD: &str = "FOLKMOOT_TEST_PANIC_IN_FAN_OUT";
        if std::env::var_os(CHILD).is_some() {
            return panic_in_a_fan_out();
        }
        let test = "groups::fanout::tests::a_panic_in_a_fan_out_ends_the_process";
        let mut command = Command::new(std::env::current_exe().unwrap());
        let output = command.args(["--exact", test]).env(CHILD, "yes").output().unwrap();
        assert_eq!(output.status.code(), Some(70), "{output:?}");
    }

    #[test]
    fn a_panic_of_somebody_else_on_its_thread_is_not_that_of_a_fan_out() {
        let panicked = std::panic::catch_unwind(|| {
            actix_rt::System::new().block_on(async {
                Fanout::launch(slots()).do_send(detach());
                // With the runtime, the fan-out is dropped, for which actix has it look at its mailbox once more.
                std::panic::resume_unwind(Box::new("a panic of somebody else"));
            });
        });
        assert!(panicked.is_err());
    }

    #[test]
    fn a_fan_out_whose_thread_ends_before_its_first_turn_ends_quietly() {
        actix_rt::System::new().block_on(async { drop(Fanout::launch(slots())) });
    }

    fn slots() -> Rc<RefCell<Slots>> {
        let minute = Duration::from_secs(60);
        let heartbeat = HeartbeatSettings { ping_interval: minute, pong_timeout: minute };
        Rc::new(RefCell::new(Slots::new(0, heartbeat, Metrics::new())))
    }

    fn detach() -> Deliver {
        Deliver::Detach { slot: 0, audiences: Vec::new() }
    }

    fn panic_in_a_fan_out() {
        actix_rt::System::new().block_on(async {
            let slots = slots();
            let fanout = Fanout::launch(slots.clone());
            assert!(fanout.send(detach()).await.is_ok());
            // It cannot borrow what is borrowed for good.
            std::mem::forget(slots.borrow_mut());
            assert!(fanout.send(detach()).await.is_err());
        });
    }
}
