//! What all clients of a run count together, without a lock.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::histogram::Histogram;
use super::marker::{Marker, Stamp};

/// Counts of a run.
#[derive(Debug)]
pub struct Tally {
    /// Tells messages of this run from others.
    pub marker: Marker,
    began: Instant,
    delivered: AtomicU64,
    order_errors: AtomicU64,
    lost: AtomicU64,
    first_loss: OnceLock<String>,
    /// The clients are going: an end is none that matters.
    over: AtomicBool,
    /// Times from publish to delivery, of the clients that take samples.
    pub latency: Histogram,
    /// The number of deliveries that somebody waits for.
    wanted: AtomicU64,
    reached: Notify,
}

impl Tally {
    /// Nothing happened yet in this run.
    pub fn new(run: u32) -> Self {
        Tally {
            marker: Marker::new(run),
            began: Instant::now(),
            delivered: AtomicU64::new(0),
            order_errors: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            first_loss: OnceLock::new(),
            over: AtomicBool::new(false),
            latency: Histogram::default(),
            wanted: AtomicU64::new(u64::MAX),
            reached: Notify::new(),
        }
    }

    /// Time since the run began, which stamps count in.
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Messages of this run that came.
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Acquire)
    }

    /// Messages that came before an earlier one of the same publisher, twice, or after a gap.
    pub fn order_errors(&self) -> u64 {
        self.order_errors.load(Ordering::Relaxed)
    }

    /// Connections that ended before we ended them.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Why the first of them ended.
    pub fn first_loss(&self) -> Option<&str> {
        self.first_loss.get().map(String::as_str)
    }

    /// Notes deliveries, and wakes who waits for so many.
    pub fn count(&self, deliveries: u64) {
        let delivered = self.delivered.fetch_add(deliveries, Ordering::AcqRel) + deliveries;
        if delivered >= self.wanted.load(Ordering::Acquire) {
            self.reached.notify_one();
        }
    }

    /// Notes the end of a connection.
    pub fn lose(&self, why: String) {
        if !self.over.load(Ordering::Relaxed) {
            self.lost.fetch_add(1, Ordering::Relaxed);
            // Only the first is told.
            let _: Result<(), String> = self.first_loss.set(why);
        }
    }

    /// From here on connections may end.
    pub fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Waits until so many deliveries came. One at a time may wait.
    pub async fn wait_for(&self, deliveries: u64) {
        self.wanted.store(deliveries, Ordering::Release);
        while self.delivered() < deliveries {
            self.reached.notified().await;
        }
        self.wanted.store(u64::MAX, Ordering::Release);
    }
}

/// Whether a client hears every publisher's messages once and in order. Only some of the clients look.
#[derive(Debug)]
pub struct Sampler {
    /// The number that each publisher's next message should have, once it was heard.
    next: Mutex<Vec<Option<u32>>>,
}

/// Publishers that a sampler follows; those above it are only timed.
const FOLLOWED: usize = 65_536;

impl Sampler {
    /// Heard nobody yet.
    pub fn new() -> Self {
        Sampler { next: Mutex::default() }
    }

    /// Looks at one delivery.
    pub fn hear(&self, tally: &Tally, stamp: Stamp) {
        tally.latency.record(tally.now().saturating_sub(stamp.at));
        let publisher = stamp.publisher as usize;
        let mut next = self.next.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if publisher < FOLLOWED && next.len() <= publisher {
            next.resize(publisher + 1, None);
        }
        if let Some(next) = next.get_mut(publisher)
            && next.replace(stamp.number.wrapping_add(1)).is_some_and(|expected| expected != stamp.number)
        {
            tally.order_errors.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_a_repetition_and_a_late_one_are_each_noticed() {
        let tally = Tally::new(1);
        let sampler = Sampler::new();
        let hear = |publisher, number| {
            let before = tally.order_errors();
            sampler.hear(&tally, Stamp { publisher, number, at: Duration::ZERO });
            tally.order_errors() - before
        };
        assert_eq!([hear(0, 0), hear(0, 1), hear(5, 9), hear(0, 2)], [0; 4]);
        assert_eq!([hear(0, 2), hear(0, 4), hear(0, 3)], [1; 3]);
        assert_eq!(tally.latency.count(), 7);
    }

    #[tokio::test]
    async fn who_waits_for_deliveries_is_woken_by_the_last_of_them() {
        let tally = std::sync::Arc::new(Tally::new(1));
        let waiting = tokio::spawn({
            let tally = tally.clone();
            async move { tally.wait_for(3).await }
        });
        tokio::task::yield_now().await;
        tally.count(2);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        tally.count(1);
        waiting.await.unwrap();
    }

    #[test]
    fn an_end_after_the_run_is_no_loss() {
        let tally = Tally::new(1);
        tally.lose("first".into());
        tally.lose("second".into());
        tally.end();
        tally.lose("third".into());
        assert_eq!((tally.lost(), tally.first_loss()), (2, Some("first")));
    }
}
