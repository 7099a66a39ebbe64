//! How much publishing of a hub may be under way between the sessions and the sockets.
//!
//! Mailboxes between actors have no bound of their own that anybody waits for; this is the bound. A publish takes its
//! size from the window before it is sent to the registry, and what its receivers will cost by the publishes before it;
//! the registry puts that right once it knows them. Everything is given back when the last fan-out has written it. So
//! publishers that outrun the fan-outs wait, in turn; nothing is buffered for them, and whoever publishes to a small
//! group waits behind a bounded piece of work.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

/// What a publish costs besides its bytes: messages and envelopes on the way, so that empty ones are bounded too.
const OVERHEAD_BYTES: usize = 512;
/// What a receiver costs: the work of a delivery, told in bytes so that one number bounds both. 16 MiB are 32,768
/// deliveries, some hundredths of a second.
const RECEIVER_BYTES: usize = 512;

/// The window of one hub, shared by all who publish there.
#[derive(Debug, Clone)]
pub struct Window(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    semaphore: Semaphore,
    bytes: usize,
    /// What publishes cost beyond what there was: paid back before anything is free again.
    debt: AtomicUsize,
    /// What the receivers of a publish have cost lately, in the mean.
    expected: AtomicUsize,
}

/// The part of the window that one publish holds until it is dropped.
#[derive(Debug)]
pub struct Permit {
    window: Arc<Inner>,
    held: usize,
    /// How much of it is for receivers.
    receivers: usize,
    /// When it was let in.
    since: Instant,
}

impl Window {
    /// A window of this many bytes.
    pub fn new(bytes: usize) -> Self {
        let bytes = bytes.clamp(OVERHEAD_BYTES, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        Window(Arc::new(Inner {
            semaphore: Semaphore::new(bytes),
            bytes,
            debt: AtomicUsize::new(0),
            expected: AtomicUsize::new(0),
        }))
    }

    /// A permit for a publish of `bytes`, if there is room now and nobody waits.
    pub fn try_acquire(&self, bytes: usize) -> Option<Permit> {
        let (cost, receivers) = self.cost(bytes);
        self.0.semaphore.try_acquire_many(cost).ok()?.forget();
        Some(self.permit(cost, receivers))
    }

    /// The same for what pays for its bytes only: announcements, which are dropped where they find no room.
    pub fn try_acquire_bytes(&self, bytes: usize) -> Option<Permit> {
        let own = self.own_cost(bytes);
        self.0.semaphore.try_acquire_many(own as u32).ok()?.forget();
        Some(self.permit(own as u32, 0))
    }

    /// A permit for a publish of `bytes`, after those who came before.
    pub async fn acquire(&self, bytes: usize) -> Option<Permit> {
        let (cost, receivers) = self.cost(bytes);
        // The semaphore is never closed, so there is always a permit in the end.
        self.0.semaphore.acquire_many(cost).await.ok()?.forget();
        Some(self.permit(cost, receivers))
    }

    fn permit(&self, cost: u32, receivers: usize) -> Permit {
        Permit { window: self.0.clone(), held: cost as usize, receivers, since: Instant::now() }
    }

    /// What a publish takes, and how much of that is for its receivers. One larger than the whole window takes all of it.
    fn cost(&self, bytes: usize) -> (u32, usize) {
        let own = self.own_cost(bytes);
        let receivers = self.0.expected.load(Ordering::Relaxed).min(self.0.bytes - own);
        ((own + receivers) as u32, receivers)
    }

    /// At most the whole window, which fits into 32 bits.
    fn own_cost(&self, bytes: usize) -> usize {
        bytes.saturating_add(OVERHEAD_BYTES).min(self.0.bytes)
    }
}

impl Permit {
    /// How long ago it was let in.
    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }

    /// Holds what this many receivers cost, instead of what was expected. The publish is not stopped by it, but those
    /// after it are, until it is paid.
    pub fn set_receivers(&mut self, receivers: usize) {
        let cost = receivers.saturating_mul(RECEIVER_BYTES).min(self.window.bytes);
        if cost > self.receivers {
            let more = cost - self.receivers;
            let taken = self.window.semaphore.forget_permits(more);
            self.window.debt.fetch_add(more - taken, Ordering::AcqRel);
            self.held += more;
        } else {
            let less = self.receivers - cost;
            self.held -= less;
            self.window.give_back(less);
        }
        self.receivers = cost;
        // A publish that is lost between reading and writing is one of many.
        let expected = self.window.expected.load(Ordering::Relaxed);
        self.window.expected.store((expected * 7 + cost) / 8, Ordering::Relaxed);
    }
}

impl Inner {
    fn give_back(&self, amount: usize) {
        let mut paid = 0;
        // The closure always has a value, so this cannot fail.
        let _ = self.debt.fetch_update(Ordering::AcqRel, Ordering::Acquire, |debt| {
            paid = debt.min(amount);
            Some(debt - paid)
        });
        self.semaphore.add_permits(amount - paid);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.window.give_back(self.held);
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

    #[test]
    fn receivers_are_paid_for_before_the_next_publish_is_let_in() {
        let window = Window::new(2000);
        let mut first = window.try_acquire(0).expect("room");
        let second = window.try_acquire(0).expect("room");
        first.set_receivers(20);
        assert!(window.try_acquire(0).is_none());
        drop(second);
        assert!(window.try_acquire(0).is_none(), "what is given back pays the debt first");
        drop(first);
        assert!(window.try_acquire(2000).is_some(), "in the end all of it is there again");
    }

    #[test]
    fn a_publish_is_expected_to_cost_what_those_before_it_did_and_pays_what_it_does() {
        let window = Window::new(100_000);
        for _ in 0..40 {
            window.try_acquire(0).expect("room").set_receivers(100);
        }
        let mut permits: Vec<_> = std::iter::from_fn(|| window.try_acquire(0)).collect();
        assert!((1..=3).contains(&permits.len()), "{} of 52 KB each", permits.len());
        permits.iter_mut().for_each(|permit| permit.set_receivers(1));
        let more: Vec<_> = std::iter::from_fn(|| window.try_acquire(0)).collect();
        assert!(!more.is_empty(), "what was not needed is free at once: {}", more.len());
    }

    #[test]
    fn what_pays_for_its_bytes_only_does_not_pay_for_the_receivers_of_others() {
        let window = Window::new(10_000);
        for _ in 0..40 {
            window.try_acquire(0).expect("room").set_receivers(100);
        }
        let publish = window.try_acquire(0).expect("room for one");
        assert!(window.try_acquire(0).is_none());
        drop(publish);
        let announcements: Vec<_> = std::iter::from_fn(|| window.try_acquire_bytes(88)).collect();
        assert_eq!(announcements.len(), 10_000 / 600);
    }

    #[test]
    fn a_window_is_whole_again_however_much_its_publishes_cost() {
        let window = Window::new(10_000);
        for receivers in [0, 1, 7, 39, 1_000_000] {
            let mut permits: Vec<_> = (0..5).filter_map(|_| window.try_acquire(receivers)).collect();
            permits.iter_mut().for_each(|permit| permit.set_receivers(receivers));
            while permits.pop().is_some() {}
            assert_eq!(window.0.semaphore.available_permits(), 10_000);
            assert_eq!(window.0.debt.load(Ordering::Acquire), 0);
        }
    }

    #[actix_rt::test]
    async fn who_waits_is_let_in_when_the_debt_is_paid() {
        let window = Window::new(2000);
        let mut first = window.try_acquire(0).expect("room");
        first.set_receivers(1000);
        let waiting = actix_rt::spawn({
            let window = window.clone();
            async move { window.acquire(100).await.is_some() }
        });
        actix_rt::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        assert!(waiting.await.expect("no panic"));
    }
}
