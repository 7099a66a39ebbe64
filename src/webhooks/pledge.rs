//! Whoever let a connection in is told of its end, also where it never began.

use std::sync::Arc;

use super::hub::HubWebhooks;
use super::letter::{Letter, Subject};
use crate::config::SystemEvent;

/// What is owed to an application that has said yes to a connection: unless the connection is [kept](Pledge::keep), which
/// the hub then tells it of, it is told that it is gone.
pub struct Pledge {
    hub: Arc<HubWebhooks>,
    subject: Option<Subject>,
    is_given: bool,
}

impl Pledge {
    /// What will be owed for this connection.
    pub fn new(hub: Arc<HubWebhooks>, subject: Subject) -> Self {
        Pledge { hub, subject: Some(subject), is_given: false }
    }

    /// The application has said yes.
    pub fn give(&mut self) {
        self.is_given = true;
    }

    /// The connection is there: its end is the registry's to tell.
    pub fn keep(mut self) {
        self.subject = None;
    }
}

impl Drop for Pledge {
    fn drop(&mut self) {
        if let (true, Some(subject)) = (self.is_given, self.subject.take()) {
            let letter = || Letter::disconnected(subject, "the connection was not opened");
            self.hub.tell(SystemEvent::Disconnected, None, letter);
        }
    }
}
