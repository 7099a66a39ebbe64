//! The webhooks of one hub: which of them an event is for, and the way there.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::oneshot;

use super::Webhooks;
use super::answer::{Answer, Wishes};
use super::connect::ConnectBody;
use super::courier::{Ask, NoAnswer, Reply, Run, Validate};
use super::endpoint::{Endpoint, Put};
use super::letter::{Letter, Subject};
use super::pledge::Pledge;
use crate::config::{HubsConfig, SystemEvent, WebhookConfig};
use crate::event::Connection;
use crate::groups::messages::Content;
use crate::ids::{GroupName, HubName};
use crate::protocol::Data;

/// The webhooks of one hub.
pub struct HubWebhooks {
    name: HubName,
    webhooks: Webhooks,
    endpoints: ArcSwap<Vec<Arc<Endpoint>>>,
}

/// A connection that the application lets in.
pub struct Welcome {
    /// What it wants of the connection.
    pub wishes: Wishes,
    /// What it is owed.
    pub pledge: Pledge,
}

impl HubWebhooks {
    /// Those of a hub, as the configuration has them.
    pub(super) fn new(webhooks: &Webhooks, name: HubName, hubs: &HubsConfig) -> Arc<Self> {
        let hub = HubWebhooks { name, webhooks: webhooks.clone(), endpoints: ArcSwap::default() };
        hub.reconfigure(hubs);
        Arc::new(hub)
    }

    /// Goes by another configuration. A webhook that is in both goes on, with what waits for it.
    pub(super) fn reconfigure(&self, hubs: &HubsConfig) {
        let old = self.endpoints.load_full();
        let keep_or_make = |config: &WebhookConfig| {
            let kept = old.iter().find(|endpoint| endpoint.config == *config);
            kept.cloned().unwrap_or_else(|| self.make(config))
        };
        let new: Vec<_> = hubs.hub(&self.name).webhooks.iter().map(keep_or_make).collect();
        self.endpoints.store(Arc::new(new));
    }

    fn make(&self, config: &WebhookConfig) -> Arc<Endpoint> {
        let (limits, metrics) = (self.webhooks.limits().clone(), self.webhooks.metrics().clone());
        let endpoint = Arc::new(Endpoint::new(self.name.clone(), config.clone(), limits, metrics));
        self.webhooks.courier().do_send(Validate(endpoint.clone()));
        endpoint
    }

    fn first(&self, is_for: impl Fn(&Endpoint) -> bool) -> Option<Arc<Endpoint>> {
        self.endpoints.load().iter().find(|endpoint| is_for(endpoint)).cloned()
    }

    /// Whether somebody handles an event of a client.
    pub fn handles(&self, event: &str) -> bool {
        self.first(|endpoint| endpoint.handles(event)).is_some()
    }

    /// Asks the application whether a connection may begin; `None` where nobody wants to be asked.
    ///
    /// # Errors
    /// [`NoAnswer`], of which [`NoAnswer::Status`] is the application's own no.
    pub async fn connect<U>(
        self: &Arc<Self>,
        connection: &Connection<U>,
        body: impl FnOnce() -> ConnectBody,
        masks: bool,
    ) -> Option<Result<Welcome, NoAnswer>> {
        let endpoint = self.first(|endpoint| endpoint.wants(SystemEvent::Connect, None))?;
        let body = body();
        let subject = Subject::from(connection);
        let pledge = Pledge::new(self.clone(), subject.clone());
        let (answer, pledge) = self.ask(&endpoint, Letter::connect(subject, body.to_json()), Some(pledge)).await;
        let welcome = || {
            let answer = accepted(answer?)?;
            let wishes = answer.wishes(masks)?;
            body.check(&wishes)?;
            if let Some(state) = &answer.state {
                connection.upstream.set_state(state);
            }
            // Only one that was asked nothing has none.
            let pledge = pledge.ok_or(NoAnswer::Ending)?;
            Ok(Welcome { wishes, pledge })
        };
        Some(welcome().inspect_err(|error| self.tell_of(&endpoint, error)))
    }

    /// Hands an event of a client to the application that handles it; `None` where none does. What comes back is the
    /// message that the client is to get.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub async fn event<U>(
        &self,
        name: &str,
        connection: &Connection<U>,
        content: &Content,
        max_json_depth: usize,
    ) -> Option<Result<Option<Data>, NoAnswer>> {
        let endpoint = self.first(|endpoint| endpoint.handles(name))?;
        let letter = Letter::event(name, Subject::from(connection), content);
        let (answer, _) = self.ask(&endpoint, letter, None).await;
        let message = || {
            let answer = accepted(answer?)?;
            let message = answer.message(max_json_depth)?;
            if let Some(state) = &answer.state {
                connection.upstream.set_state(state);
            }
            Ok(message)
        };
        Some(message().inspect_err(|error| self.tell_of(&endpoint, error)))
    }

    async fn ask(&self, endpoint: &Arc<Endpoint>, letter: Letter, pledge: Option<Pledge>) -> Reply {
        let Some(place) = endpoint.place() else {
            self.webhooks.metrics().webhook_dropped.increment(1);
            return (Err(NoAnswer::Busy), None);
        };
        let (reply, answer) = oneshot::channel();
        let letter = letter.numbered(self.webhooks.number());
        self.webhooks.courier().do_send(Ask { endpoint: endpoint.clone(), letter, place, pledge, reply });
        answer.await.unwrap_or((Err(NoAnswer::Ending), None))
    }

    /// An application that says no does what it is for; everything else is for the operator.
    fn tell_of(&self, endpoint: &Endpoint, error: &NoAnswer) {
        match error {
            NoAnswer::Status(status) if status.is_client_error() => {
                log::debug!(hub:% = self.name, status = status.as_u16(); "a webhook refuses");
            }
            error => endpoint.complain(format_args!("{error}")),
        }
    }

    /// Tells the webhook that wants to know, some time soon.
    pub(super) fn tell(&self, event: SystemEvent, group: Option<&GroupName>, letter: impl FnOnce() -> Letter) {
        let wants = |endpoint: &Endpoint| endpoint.wants(event, group.map(GroupName::as_str));
        let Some(endpoint) = self.first(wants) else { return };
        match endpoint.put(letter().numbered(self.webhooks.number())) {
            Put::Waits => {}
            Put::First(lane) => self.webhooks.courier().do_send(Run { endpoint, lane }),
            Put::Full => {
                self.webhooks.metrics().webhook_dropped.increment(1);
                endpoint.complain(format_args!("has webhooks.backlog events waiting for it; it is not told of others"));
            }
        }
    }
}

fn accepted(answer: Answer) -> Result<Answer, NoAnswer> {
    if answer.status.is_success() { Ok(answer) } else { Err(NoAnswer::Status(answer.status)) }
}
