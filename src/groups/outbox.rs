//! What the sessions of one worker have to say to one registry, gathered over a turn of their thread.
//!
//! A message to another thread wakes it, and waking it for each frame of a busy thread costs more than handling the
//! frame. So the first message of a turn has the rest of that turn waited for: a task that stands behind everything that
//! is ready now sends them together, in the order in which they were said.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use super::hub::Hub;
use super::hubs::Lease;
use super::inner::{FromSession, Turn};
use crate::user::UserData;

/// The sessions' way to the registry of one hub, from one worker.
pub struct Outbox<U: UserData> {
    hub: Hub<U>,
    said: RefCell<Said<U>>,
}

struct Said<U: UserData> {
    messages: Vec<FromSession<U>>,
    /// Those who have said their last keep the hub open until it is sent.
    leases: Vec<Lease<U>>,
}

impl<U: UserData> Outbox<U> {
    /// A way to the registry of this hub, for the sessions of the current thread.
    pub fn new(hub: Hub<U>) -> Rc<Self> {
        Rc::new(Outbox { hub, said: RefCell::default() })
    }

    /// The hub.
    pub fn hub(&self) -> &Hub<U> {
        &self.hub
    }

    /// Says something at the end of this turn, behind what was said before.
    pub fn say(self: &Rc<Self>, message: FromSession<U>) {
        let first = {
            let mut said = self.said.borrow_mut();
            said.messages.push(message);
            said.messages.len() == 1
        };
        if first {
            let outbox = self.clone();
            actix_rt::spawn(async move { outbox.flush() });
        }
    }

    /// Says a session's last word at the end of this turn; its part in keeping the hub open ends with it.
    pub fn say_last(self: &Rc<Self>, message: FromSession<U>, lease: Lease<U>) {
        self.say(message);
        self.said.borrow_mut().leases.push(lease);
    }

    /// Says something at once, behind what was said before.
    pub fn say_now(&self, message: FromSession<U>) {
        self.said.borrow_mut().messages.push(message);
        self.flush();
    }

    /// Sends what was said so far, before something goes to the registry by another way.
    ///
    /// Not bounded by the mailbox but by the sessions: by each one's unanswered requests, and by the window.
    pub fn flush(&self) {
        let Said { messages, leases } = self.said.take();
        if !messages.is_empty() {
            self.hub.registry().do_send(Turn(messages));
        }
        drop(leases);
    }
}

impl<U: UserData> Drop for Outbox<U> {
    fn drop(&mut self) {
        self.flush();
    }
}

impl<U: UserData> Default for Said<U> {
    fn default() -> Self {
        Said { messages: Vec::new(), leases: Vec::new() }
    }
}

/// The outboxes of one worker.
pub struct Outboxes<U: UserData>(RefCell<Vec<Weak<Outbox<U>>>>);

impl<U: UserData> Outboxes<U> {
    /// The way to the registry of this hub, shared with the other sessions of the thread.
    pub fn to(&self, hub: &Hub<U>) -> Rc<Outbox<U>> {
        let mut outboxes = self.0.borrow_mut();
        // By its registry: a hub that ended and was opened again has another.
        let known = outboxes.iter().filter_map(Weak::upgrade).find(|outbox| outbox.hub.is_same(hub));
        known.unwrap_or_else(|| {
            outboxes.retain(|outbox| outbox.strong_count() > 0);
            let outbox = Outbox::new(hub.clone());
            outboxes.push(Rc::downgrade(&outbox));
            outbox
        })
    }
}

impl<U: UserData> Default for Outboxes<U> {
    fn default() -> Self {
        Outboxes(RefCell::default())
    }
}
