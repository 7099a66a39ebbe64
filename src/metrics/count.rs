//! Numbers that many threads change and anybody may read: those that only rise, those that also fall, and a maximum.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only rises. Alone in its cache line, so that workers who count different things do not disturb each other.
#[repr(align(64))]
pub struct Counter {
    value: AtomicU64,
    shown: metrics::Counter,
}

impl Counter {
    pub(super) fn new(shown: metrics::Counter) -> Self {
        Counter { value: AtomicU64::new(0), shown }
    }

    /// Counts so many more.
    pub fn increment(&self, by: u64) {
        self.value.fetch_add(by, Ordering::Relaxed);
    }

    /// How many there were.
    pub fn get(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }

    /// Has the next rendering tell it, zero included: a dashboard shall show zero and not nothing.
    pub(super) fn show(&self) {
        self.shown.absolute(self.get());
    }
}

/// A whole number that rises and falls.
#[repr(align(64))]
pub struct Gauge {
    value: AtomicU64,
    shown: metrics::Gauge,
}

impl Gauge {
    pub(super) fn new(shown: metrics::Gauge) -> Self {
        Gauge { value: AtomicU64::new(0), shown }
    }

    /// So many more.
    pub fn increment(&self, by: u64) {
        self.value.fetch_add(by, Ordering::Relaxed);
    }

    /// So many less.
    pub fn decrement(&self, by: u64) {
        self.value.fetch_sub(by, Ordering::Relaxed);
    }

    /// This many.
    pub fn set(&self, value: u64) {
        self.value.store(value, Ordering::Relaxed);
    }

    /// How many there are. What is taken away by one thread before another has added it counts as nothing meanwhile.
    pub fn get(&self) -> u64 {
        u64::try_from(self.value.load(Ordering::Relaxed).cast_signed()).unwrap_or_default()
    }

    pub(super) fn show(&self) {
        self.shown.set(self.get() as f64);
    }
}

/// The largest number that was seen since somebody took it.
#[derive(Default)]
#[repr(align(64))]
pub struct Peak(AtomicU64);

impl Peak {
    /// Sees a number. Mostly it is no new maximum, and then nothing is written.
    pub fn see(&self, value: u64) {
        if value > self.0.load(Ordering::Relaxed) {
            self.0.fetch_max(value, Ordering::Relaxed);
        }
    }

    /// The largest one; from now on those after it count.
    pub fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_is_the_largest_since_it_was_taken() {
        let peak = Peak::default();
        for value in [3, 7, 5] {
            peak.see(value);
        }
        assert_eq!((peak.take(), peak.take()), (7, 0));
    }

    #[test]
    fn what_is_taken_away_before_it_was_added_counts_as_nothing() {
        let gauge = Gauge::new(metrics::Gauge::noop());
        gauge.decrement(2);
        assert_eq!(gauge.get(), 0);
        gauge.increment(5);
        assert_eq!(gauge.get(), 3);
    }
}
