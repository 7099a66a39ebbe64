//! Whether a session may read its next frame.
//!
//! This is how one connection is slowed down without stopping its timers or its mailbox: the stream of frames yields
//! nothing while the gate is shut.

use std::cell::{Cell, RefCell};
use std::task::{Context, Waker};

use super::Moment;

/// Shut while the session waits for something, or while too many of its requests are unanswered.
#[derive(Debug)]
pub struct Gate {
    shut: Cell<u32>,
    unanswered: Cell<u32>,
    most_unanswered: u32,
    opened_at: Cell<Moment>,
    reader: RefCell<Option<Waker>>,
}

impl Gate {
    /// A gate that is shut once, until the registry has welcomed the connection.
    pub fn new(most_unanswered: u32) -> Self {
        Gate {
            shut: Cell::new(1),
            unanswered: Cell::new(0),
            most_unanswered: most_unanswered.max(1),
            opened_at: Cell::default(),
            reader: RefCell::new(None),
        }
    }

    /// Shuts the gate until the matching [`open`](Gate::open).
    pub fn shut(&self) {
        self.shut.set(self.shut.get() + 1);
    }

    /// Takes one [`shut`](Gate::shut) back.
    pub fn open(&self, now: Moment) {
        self.shut.set(self.shut.get().saturating_sub(1));
        self.opened_at.set(now);
        self.wake();
    }

    /// A request went to the registry.
    pub fn asked(&self) {
        self.unanswered.set(self.unanswered.get() + 1);
    }

    /// The registry's answer was queued for the connection.
    pub fn answered(&self, now: Moment) {
        if !self.is_open() {
            self.opened_at.set(now);
        }
        self.unanswered.set(self.unanswered.get().saturating_sub(1));
        self.wake();
    }

    /// Whether the next frame may be read.
    pub fn is_open(&self) -> bool {
        self.shut.get() == 0 && self.unanswered.get() < self.most_unanswered
    }

    /// When the gate was last opened: silence before that is ours, not the peer's.
    pub fn opened_at(&self) -> Moment {
        self.opened_at.get()
    }

    /// Has the reader polled again when something changes.
    pub fn register(&self, cx: &Context<'_>) {
        let mut reader = self.reader.borrow_mut();
        match &mut *reader {
            Some(waker) => waker.clone_from(cx.waker()),
            None => *reader = Some(cx.waker().clone()),
        }
    }

    /// Has the reader look again.
    pub fn wake(&self) {
        if let Some(waker) = self.reader.borrow_mut().take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_is_open_only_when_welcomed_and_not_waiting() {
        let gate = Gate::new(2);
        assert!(!gate.is_open());
        let now = Moment::now();
        gate.open(now);
        assert!(gate.is_open());
        assert_eq!(gate.opened_at(), now);
        gate.shut();
        assert!(!gate.is_open());
        gate.open(now);
        assert!(gate.is_open());
    }

    #[test]
    fn too_many_unanswered_requests_shut_it() {
        let gate = Gate::new(2);
        gate.open(Moment::now());
        gate.asked();
        assert!(gate.is_open());
        gate.asked();
        assert!(!gate.is_open());
        gate.answered(Moment::now());
        assert!(gate.is_open());
    }
}
