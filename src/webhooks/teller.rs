//! The actor that tells a hub's webhooks what happened, in the order of the registry.

use std::sync::Arc;

use actix::{Actor, Addr, ArbiterHandle, Context, Handler};

use super::hub::HubWebhooks;
use super::letter::{Letter, Subject};
use crate::config::SystemEvent;
use crate::event::Event;
use crate::metrics::Metrics;
use crate::user::UserData;

/// Events that may wait for their teller, whose thread is the only one that can be late.
const MAILBOX: usize = 8192;

/// Turns what happens in one hub into letters, which takes no time, so that its mailbox is mostly empty.
pub struct Teller<U: UserData> {
    hub: Arc<HubWebhooks>,
    metrics: Metrics,
    #[expect(dead_code, reason = "held to be counted")]
    telling: Arc<()>,
    user: std::marker::PhantomData<fn() -> U>,
}

impl<U: UserData> Teller<U> {
    /// Starts one on the thread of webhooks. It ends with the registry that it listens to.
    pub(super) fn launch(
        arbiter: &ArbiterHandle,
        hub: Arc<HubWebhooks>,
        metrics: Metrics,
        telling: &Arc<()>,
    ) -> Addr<Self> {
        let telling = telling.clone();
        Teller::start_in_arbiter(arbiter, move |ctx| {
            ctx.set_mailbox_capacity(MAILBOX);
            Teller { hub, metrics, telling, user: std::marker::PhantomData }
        })
    }
}

impl<U: UserData> Actor for Teller<U> {
    type Context = Context<Self>;
}

impl<U: UserData> Handler<Event<U>> for Teller<U> {
    type Result = ();

    fn handle(&mut self, event: Event<U>, _: &mut Self::Context) {
        self.metrics.hook_queue.decrement(1);
        match &event {
            Event::Connected(connection) => {
                self.hub.tell(SystemEvent::Connected, None, || Letter::connected(Subject::from(&**connection)));
            }
            Event::Joined(joined) => {
                let (event, group) = (SystemEvent::Joined, &joined.group);
                let letter = || Letter::membership(event, Subject::from(&*joined.connection), group);
                self.hub.tell(event, Some(group), letter);
            }
            Event::Left(left) => {
                let (event, group) = (SystemEvent::Left, &left.group);
                let letter = || Letter::membership(event, Subject::from(&*left.connection), group);
                self.hub.tell(event, Some(group), letter);
            }
            Event::Disconnected(gone) => {
                let letter = || Letter::disconnected(Subject::from(&*gone.connection), gone.reason.message());
                self.hub.tell(SystemEvent::Disconnected, None, letter);
            }
        }
    }
}
