//! One client frame becomes at most one request to the registry, which answers by the fan-out.
//!
//! Requests are sent in the order of the frames. Where something has to be waited for (room in the window, a hook), the
//! gate is shut until the request is sent, so the next frame cannot overtake it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use bytes::Bytes;

use super::Session;
use crate::error::ErrorCode;
use crate::groups::inner::{Command, FromSession, IsDuplicate, Publish, Request};
use crate::groups::messages::{Content, Receiver, Refusal};
use crate::groups::{Hub, Permit};
use crate::hooks::{HookCalls, Incoming, Said, Verdict};
use crate::ids::Target;
use crate::metrics::Limit;
use crate::protocol::frame::Page;
use crate::protocol::{ClientFrame, Data, json};
use crate::transport::encoder;
use crate::user::UserData;
use crate::webhooks::HubWebhooks;

/// A publish that has no room in the window yet.
pub(super) struct Draft {
    pub target: Option<Target>,
    pub content: Content,
    pub no_echo: bool,
    pub must_exist: bool,
}

/// What a hook may look at, and what happens when it allows it.
pub(super) enum Proposal {
    Publish(Draft),
    Event { name: String, content: Content },
}

/// What became of a proposal.
pub(super) enum Decision {
    Publish(Draft, Option<Permit>),
    Settle(Result<(), Refusal>),
    /// An event that no hook or webhook handles.
    Unhandled,
    /// An event that a webhook should have handled, and has not.
    Failed,
    /// Done before; the registry says so to the client.
    Duplicate,
}

impl<U: UserData> Session<U> {
    /// A text message on the JSON subprotocol.
    pub(super) fn on_json(&mut self, text: &Bytes, ctx: &mut Context<Self>) {
        match json::parse(text, &self.settings.parse) {
            Ok(frame) => self.on_client_frame(frame, ctx),
            Err(error) => {
                if error.too_deep {
                    self.settings.metrics.reached(Limit::JsonDepth);
                }
                match error.ack_id {
                    Some(ack_id) => self.settle(Some(ack_id), Err(Refusal::new(ErrorCode::BadRequest, error.message))),
                    None => self.fail(error.into()),
                }
            }
        }
    }

    fn on_client_frame(&mut self, frame: ClientFrame, ctx: &mut Context<Self>) {
        match frame {
            ClientFrame::JoinGroup { target, ack_id } => self.ask(ack_id, Command::Join(target)),
            ClientFrame::LeaveGroup { target, ack_id } => self.ask(ack_id, Command::Leave(target)),
            ClientFrame::SendToGroup { target, data, metadata, no_echo, must_exist, ttl_seconds, ack_id } => {
                let content = Content { metadata, ..Content::from(data) };
                let content = match ttl_seconds {
                    Some(seconds) => content.lasting(Duration::from_secs(seconds.into())),
                    None => content,
                };
                let draft = Draft { target: Some(target), content, no_echo, must_exist };
                self.propose(Proposal::Publish(draft), ack_id, ctx);
            }
            ClientFrame::Event { name, data, metadata, ack_id } => {
                let content = Content { metadata, ..Content::from(data) };
                self.propose(Proposal::Event { name: name.as_str().to_owned(), content }, ack_id, ctx);
            }
            ClientFrame::Ping => self.reply(encoder::text(json::pong)),
            ClientFrame::SequenceAck { sequence_id } => self.link.acknowledge(sequence_id),
            ClientFrame::ListMembers { group, page, ack_id } => match read_token(&page, |token| token.parse().ok()) {
                Ok(after) => {
                    let limit = usize::from(page.limit);
                    self.ask(Some(ack_id), Command::ListMembers { group, after, limit });
                }
                Err(refusal) => self.settle(Some(ack_id), Err(refusal)),
            },
            ClientFrame::ListGroups { mask, page, ack_id } => {
                let masks = self.settings.parse.masks;
                match read_token(&page, |token| crate::ids::GroupName::parse(token, masks).ok()) {
                    Ok(after) => {
                        let limit = usize::from(page.limit);
                        self.ask(Some(ack_id), Command::ListGroups { among: mask, after, limit });
                    }
                    Err(refusal) => self.settle(Some(ack_id), Err(refusal)),
                }
            }
            ClientFrame::CountMembers { target, ack_id } => self.ask(Some(ack_id), Command::CountMembers(target)),
        }
    }

    /// Sends a request; its answer comes by the fan-out.
    pub(super) fn ask(&self, ack_id: Option<u64>, command: Command) {
        let (connection, incarnation) = (self.connection.id, self.incarnation);
        let request = Request { connection, incarnation, ack_id, command };
        if request.is_answered() {
            self.link.gate.asked();
        }
        // Bounded by the gate (answered requests) and by the window (publishes), not by the mailbox.
        self.outbox.say(FromSession::Request(request));
    }

    /// Has the registry give an ack its place behind everything sent before.
    pub(super) fn settle(&self, ack_id: Option<u64>, outcome: Result<(), Refusal>) {
        match (ack_id, &outcome) {
            (Some(_), _) => self.ask(ack_id, Command::Settle(outcome)),
            (None, Err(_)) => self.settings.metrics.requests_refused.increment(1),
            (None, Ok(())) => {}
        }
    }

    /// Carries out a publish or an event, after the hooks have seen it.
    pub(super) fn propose(&mut self, proposal: Proposal, ack_id: Option<u64>, ctx: &mut Context<Self>) {
        let hub = self.outbox.hub().clone();
        let hooks = self.settings.hooks.clone().filter(|hooks| !hooks.ignores_messages());
        let webhooks = self.webhooks_for(&proposal);
        let decision = match (hooks, proposal) {
            (None, Proposal::Publish(draft)) => match hub.window().try_acquire(draft.content.len()) {
                Some(permit) => return self.publish(draft, permit, ack_id),
                None => {
                    return self.wait_for(ack_id, ctx, async move {
                        let permit = hub.window().acquire(draft.content.len()).await;
                        Decision::Publish(draft, permit)
                    });
                }
            },
            (None, Proposal::Event { .. }) if webhooks.is_none() => Decision::Unhandled,
            (hooks, proposal) => {
                // What the hook and the question before it lead to comes behind what the client asked for earlier.
                self.outbox.flush();
                let (connection, max_json_depth) = (self.connection.clone(), self.settings.parse.max_json_depth);
                let decide = Proposed { connection, hub, hooks, webhooks, max_json_depth, ack_id, proposal };
                return self.wait_for(ack_id, ctx, decide.decide());
            }
        };
        self.carry_out(decision, ack_id);
    }

    /// Who handles it if no hook does.
    fn webhooks_for(&self, proposal: &Proposal) -> Option<Arc<HubWebhooks>> {
        let Proposal::Event { name, .. } = proposal else { return None };
        self.settings.webhooks.as_ref()?.of(&self.connection.hub).filter(|webhooks| webhooks.handles(name))
    }

    /// Keeps the gate shut until the decision is made and carried out.
    fn wait_for(
        &mut self,
        ack_id: Option<u64>,
        ctx: &mut Context<Self>,
        decision: impl Future<Output = Decision> + 'static,
    ) {
        self.link.gate.shut();
        ctx.spawn(decision.into_actor(self).map(move |decision, session, _| {
            session.carry_out(decision, ack_id);
            session.open_gate();
        }));
    }

    fn carry_out(&mut self, decision: Decision, ack_id: Option<u64>) {
        match decision {
            Decision::Publish(draft, Some(permit)) => self.publish(draft, permit, ack_id),
            Decision::Publish(_, None) => {
                self.settle(ack_id, Err(Refusal::new(ErrorCode::InternalServerError, "The hub has ended.")));
            }
            Decision::Settle(outcome) => self.settle(ack_id, outcome),
            Decision::Unhandled => self.on_unhandled(ack_id),
            Decision::Failed => self.on_failed(ack_id),
            Decision::Duplicate => self.settle(ack_id, Ok(())),
        }
    }

    fn publish(&self, draft: Draft, permit: Permit, ack_id: Option<u64>) {
        let Draft { target, content, no_echo, must_exist } = draft;
        self.ask(ack_id, Command::Publish(Publish { target, content, no_echo, must_exist, permit }));
    }
}

/// A proposal on its way through the hooks.
struct Proposed<U: UserData> {
    connection: Arc<crate::event::Connection<U>>,
    hub: Hub<U>,
    hooks: Option<HookCalls<U>>,
    webhooks: Option<Arc<HubWebhooks>>,
    max_json_depth: usize,
    ack_id: Option<u64>,
    proposal: Proposal,
}

impl<U: UserData> Proposed<U> {
    async fn decide(mut self) -> Decision {
        let connection = self.connection.id;
        if let Some(ack_id) = self.ack_id
            && self.hub.registry().send(IsDuplicate { connection, ack_id }).await.unwrap_or(false)
        {
            return Decision::Duplicate;
        }
        if let Some(hooks) = self.hooks.take()
            && let Some(decision) = self.ask_hooks(&hooks).await
        {
            return decision;
        }
        match self.proposal {
            Proposal::Publish(draft) => {
                let permit = self.hub.window().acquire(draft.content.len()).await;
                Decision::Publish(draft, permit)
            }
            Proposal::Event { .. } => self.ask_webhooks().await,
        }
    }

    /// What the caller's hook decides; `None` where all goes on, maybe with other data.
    async fn ask_hooks(&mut self, hooks: &HookCalls<U>) -> Option<Decision> {
        let (said, content) = match &mut self.proposal {
            Proposal::Publish(draft) => (Said::SendToGroup(draft.target.clone()), &mut draft.content),
            Proposal::Event { name, content } => (Said::Event(name.clone()), content),
        };
        let incoming = Incoming { connection: self.connection.clone(), said, data: content.data.clone() };
        let verdict = match hooks.message(self.hub.clone(), incoming).await {
            Ok(verdict) => verdict,
            Err(no_answer) => {
                let refusal = Refusal::new(ErrorCode::InternalServerError, format!("Not done: {no_answer}."));
                return Some(Decision::Settle(Err(refusal)));
            }
        };
        match verdict {
            Verdict::Allow | Verdict::NotImplemented => None,
            Verdict::Replace(data) => {
                content.data = data;
                None
            }
            Verdict::Handled => Some(Decision::Settle(Ok(()))),
            Verdict::Deny(reason) => Some(Decision::Settle(Err(Refusal::new(ErrorCode::Forbidden, reason)))),
            Verdict::Reply(data) => Some(self.reply(data).await),
        }
    }

    /// What the application behind the server makes of an event.
    ///
    /// In a task of its own: the application has done it, and its answer must reach a connection that goes on by another
    /// socket meanwhile.
    async fn ask_webhooks(self) -> Decision {
        let asked = async move {
            let (Some(webhooks), Proposal::Event { name, content }) = (&self.webhooks, &self.proposal) else {
                return Decision::Unhandled;
            };
            match webhooks.event(name, &self.connection, content, self.max_json_depth).await {
                // A reload has taken the webhook away meanwhile.
                None => Decision::Unhandled,
                Some(Ok(None)) => Decision::Settle(Ok(())),
                Some(Ok(Some(data))) => self.reply(data).await,
                Some(Err(_)) => Decision::Failed,
            }
        };
        actix_rt::spawn(asked).await.unwrap_or(Decision::Failed)
    }

    /// Sends a message to the client, which is to have it before its ack.
    async fn reply(&self, data: Data) -> Decision {
        let sent = self.hub.send(Receiver::Connection(self.connection.id), data).await;
        Decision::Settle(sent.map(|_| ()))
    }
}

/// Reads where the page before ended.
fn read_token<T>(page: &Page, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Refusal> {
    let Some(token) = &page.continuation_token else { return Ok(None) };
    let unknown = || Refusal::new(ErrorCode::BadRequest, "'continuationToken' is not one that this server gave out.");
    read(token).map(Some).ok_or_else(unknown)
}

impl From<Data> for Proposal {
    fn from(data: Data) -> Self {
        Proposal::Event { name: "message".to_owned(), content: data.into() }
    }
}
