//! Announcements: who joined and who left, as text for the members of the group.
//!
//! Built on the events that hooks get, on an arbiter that no caller's code runs on. They stand below messages: dropped
//! and counted where the hub's publishers are ahead of its fan-outs.

use std::borrow::Cow;

use actix::{Actor, Addr, Arbiter, Context, Handler, Message};
use serde_json::value::to_raw_value;
use serde_json::{Value, json};

use crate::config::{AnnouncePer, AnnouncementsConfig};
use crate::error::LeaveReason;
use crate::event::{Connection, Event, Joined, Left};
use crate::groups::Hub;
use crate::groups::inner::Announce;
use crate::ids::GroupName;
use crate::metrics::Metrics;
use crate::template::Template;
use crate::user::UserData;

/// Announces the joins and leaves of one hub.
pub struct Announcer<U: UserData> {
    hub: Hub<U>,
    config: AnnouncementsConfig,
    public_fields: Vec<String>,
    metrics: Metrics,
}

impl<U: UserData> Announcer<U> {
    /// Starts an announcer for `hub` on an arbiter of its own; at most `queue` events wait for it.
    pub fn launch(
        hub: Hub<U>,
        config: AnnouncementsConfig,
        public_fields: Vec<String>,
        queue: usize,
        metrics: Metrics,
    ) -> Addr<Self> {
        Announcer::start_in_arbiter(&Arbiter::new().handle(), move |ctx| {
            ctx.set_mailbox_capacity(queue);
            Announcer { hub, config, public_fields, metrics }
        })
    }

    fn joined(&self, joined: &Joined<U>) {
        if joined.members > self.config.max_members || !self.counts(joined.first_of_user) {
            return;
        }
        let details = json!({ "event": "joined" });
        self.announce(&self.config.joined, &joined.connection, &joined.group, None, details);
    }

    fn left(&self, left: &Left<U>) {
        // Compared with what it was before, so that a group falls silent at the same size in both directions.
        if left.members >= self.config.max_members || !self.counts(left.last_of_user) {
            return;
        }
        let template = match left.reason {
            LeaveReason::Left => &self.config.left,
            LeaveReason::Disconnected | LeaveReason::Kicked | LeaveReason::Timeout => self.config.on_disconnect(),
        };
        let details = json!({ "event": "left", "reason": left.reason });
        self.announce(template, &left.connection, &left.group, Some(left.reason), details);
    }

    fn counts(&self, alone_of_user: bool) -> bool {
        self.config.per == AnnouncePer::Connection || alone_of_user
    }

    fn announce(
        &self,
        template: &Template,
        connection: &Connection<U>,
        group: &GroupName,
        reason: Option<LeaveReason>,
        mut details: Value,
    ) {
        let field = |name: &str| match name {
            "userId" => connection.user_id.as_ref().map(|id| Cow::Borrowed(id.as_str())),
            "connectionId" => Some(Cow::Owned(connection.id.to_string())),
            "group" => Some(Cow::Borrowed(group.as_str())),
            "hub" => Some(Cow::Borrowed(connection.hub.as_str())),
            "reason" => Some(Cow::Borrowed(reason.map_or("joined", LeaveReason::name))),
            "username" => user_field(connection, name)
                .or_else(|| connection.user_id.as_ref().map(|id| Cow::Borrowed(id.as_str()))),
            _ => user_field(connection, name),
        };
        let Some(text) = template.render(field) else {
            self.metrics.announcements_dropped.increment(1);
            log::debug!("connection.id":% = connection.id, "group.name":% = group; "an announcement was not sent: its user has no value for the template");
            return;
        };
        let public = connection.user.as_ref().map(|user| user.public(&self.public_fields));
        if let Value::Object(details) = &mut details {
            let about: [(&str, Value); 3] = [
                ("connectionId", connection.id.to_string().into()),
                ("userId", connection.user_id.as_ref().map(|id| id.as_str().to_owned()).into()),
                ("user", public.unwrap_or_default().into()),
            ];
            details.extend(about.map(|(name, value)| (name.to_owned(), value)));
        }
        let Some(permit) = self.hub.window().try_acquire_bytes(text.len()) else {
            self.metrics.announcements_dropped.increment(1);
            return;
        };
        let Ok(announcement) = to_raw_value(&details) else { return };
        self.hub.registry().do_send(Announce { group: group.clone(), text, announcement, permit });
    }
}

fn user_field<'a, U: UserData>(connection: &'a Connection<U>, name: &str) -> Option<Cow<'a, str>> {
    connection.user.as_ref().and_then(|user| user.field(name))
}

/// The configuration has changed: what is announced from now on, and what of the users.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Reannounce {
    /// The hub's announcements.
    pub config: AnnouncementsConfig,
    /// What others see of a user.
    pub public_fields: Vec<String>,
}

impl<U: UserData> Handler<Reannounce> for Announcer<U> {
    type Result = ();

    fn handle(&mut self, Reannounce { config, public_fields }: Reannounce, _: &mut Self::Context) {
        self.config = config;
        self.public_fields = public_fields;
    }
}

impl<U: UserData> Actor for Announcer<U> {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Self::Context) {
        // The arbiter is this announcer's own; without this, each hub that comes and goes would leave a thread behind.
        if let Some(arbiter) = Arbiter::try_current() {
            arbiter.stop();
        }
    }
}

impl<U: UserData> Handler<Event<U>> for Announcer<U> {
    type Result = ();

    fn handle(&mut self, event: Event<U>, _: &mut Self::Context) {
        self.metrics.hook_queue.decrement(1);
        // Switched off while the hub was open; it may be switched on again.
        if !self.config.enabled {
            return;
        }
        match event {
            Event::Joined(joined) => self.joined(&joined),
            Event::Left(left) => self.left(&left),
            Event::Connected(_) | Event::Disconnected(_) => {}
        }
    }
}
