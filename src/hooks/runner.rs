//! The actor that tells a hub's hooks what happened, in the order of the registry, on an arbiter of its own.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix::{Actor, ActorFutureExt, Addr, Arbiter, AsyncContext, Context, Handler, WrapFuture};
use futures_util::FutureExt;

use super::calls::{AnyHooks, HookCalls};
use crate::event::Event;
use crate::groups::Hub;
use crate::metrics::Metrics;
use crate::user::UserData;

/// How hooks are called.
#[derive(Debug, Clone)]
pub struct HookSettings {
    /// How long one call may take.
    pub timeout: Duration,
    /// Notifications that may wait, per hub.
    pub queue: usize,
    /// Awaited calls that may be under way, for all hubs.
    pub concurrency: usize,
}

/// Tells hooks what happened in one hub, one event after another.
pub struct HookRunner<U: UserData> {
    hooks: Arc<dyn AnyHooks<U>>,
    hub: Hub<U>,
    settings: HookSettings,
    metrics: Metrics,
    #[expect(dead_code, reason = "held for its drop")]
    counted: Counted,
}

/// How many runners of a server have not told their hooks everything yet.
#[derive(Debug, Clone, Default)]
pub struct Runners(Arc<AtomicUsize>);

/// One of them, until it is dropped.
struct Counted(Runners);

impl Runners {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    fn one_more(&self) -> Counted {
        self.0.fetch_add(1, Ordering::AcqRel);
        Counted(self.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl<U: UserData> HookRunner<U> {
    /// Starts a runner for `hub` on an arbiter of its own.
    pub fn launch(calls: &HookCalls<U>, hub: Hub<U>, metrics: Metrics) -> Addr<Self> {
        let (hooks, settings, counted) = (calls.hooks().clone(), calls.settings().clone(), calls.runners().one_more());
        HookRunner::start_in_arbiter(&Arbiter::new().handle(), move |ctx| {
            ctx.set_mailbox_capacity(settings.queue);
            HookRunner { hooks, hub, settings, metrics, counted }
        })
    }
}

impl<U: UserData> Actor for HookRunner<U> {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Self::Context) {
        // The arbiter is this runner's own.
        if let Some(arbiter) = Arbiter::try_current() {
            arbiter.stop();
        }
    }
}

impl<U: UserData> Handler<Event<U>> for HookRunner<U> {
    type Result = ();

    fn handle(&mut self, event: Event<U>, ctx: &mut Self::Context) {
        self.metrics.hook_queue.decrement(1);
        let (hooks, hub, metrics) = (self.hooks.clone(), self.hub.clone(), self.metrics.clone());
        let call = async move {
            match &event {
                // The `connect` hook has seen it.
                Event::Connected(_) => {}
                Event::Joined(joined) => hooks.client_added(&hub, joined).await,
                Event::Left(left) => hooks.client_removed(&hub, left).await,
                Event::Disconnected(disconnected) => hooks.disconnect(&hub, disconnected).await,
            }
        };
        let call = tokio::time::timeout(self.settings.timeout, AssertUnwindSafe(call).catch_unwind());
        // In order, so the next event waits for this call.
        ctx.wait(call.into_actor(self).map(move |outcome, runner, _| {
            let what = match outcome {
                Ok(Ok(())) => return,
                Ok(Err(_)) => "panicked",
                Err(_) => "took too long",
            };
            metrics.hook_failures.increment(1);
            log::error!(hub:% = runner.hub.name(); "a hook {what} while it was told of an event");
        }));
    }
}
