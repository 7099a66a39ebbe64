//! How many publishes of a hub may be under way between the sessions and the sockets' queues.
//!
//! Mailboxes between actors have no bound of their own that anybody waits for; this is the bound. A publish takes its
//! size from the window before it is sent to the registry and gives it back when the last fan-out has queued it, so
//! publishers that outrun the fan-outs wait, in turn, and nothing is buffered for them.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What a publish costs besides its bytes: messages and envelopes on the way, so that empty ones are bounded too.
const OVERHEAD_BYTES: usize = 512;

/// The window of one hub, shared by all who publish there.
#[derive(Debug, Clone)]
pub struct Window {
    semaphore: Arc<Semaphore>,
    bytes: usize,
}

/// The part of the window that one publish holds until it is dropped.
#[derive(Debug)]
pub struct Permit(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Window {
    /// A window of this many bytes.
    pub fn new(bytes: usize) -> Self {
        let bytes = bytes.clamp(OVERHEAD_BYTES, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        Window { semaphore: Arc::new(Semaphore::new(bytes)), bytes }
    }

    /// A permit for a publish of `bytes`, if there is room now and nobody waits.
    pub fn try_acquire(&self, bytes: usize) -> Option<Permit> {
        self.semaphore.clone().try_acquire_many_owned(self.cost(bytes)).ok().map(Permit)
    }

    /// A permit for a publish of `bytes`, after those who came before.
    pub async fn acquire(&self, bytes: usize) -> Option<Permit> {
        // The semaphore is never closed, so there is always a permit in the end.
        self.semaphore.clone().acquire_many_owned(self.cost(bytes)).await.ok().map(Permit)
    }

    /// A publish larger than the whole window takes all of it.
    fn cost(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.saturating_add(OVERHEAD_BYTES).min(self.bytes)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_window_has_room_again_when_a_permit_is_dropped() {
        let window = Window::new(2000);
        let first = window.try_acquire(1000);
        assert!(first.is_some());
        assert!(window.try_acquire(100).is_none());
        drop(first);
        assert!(window.try_acquire(100).is_some());
    }

    #[test]
    fn a_publish_larger_than_the_window_is_not_locked_out() {
        let window = Window::new(2000);
        assert!(window.try_acquire(1 << 20).is_some());
    }
}
