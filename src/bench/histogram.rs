//! Times that many threads note at once, in a fixed amount of memory. Known to 3 %, which is less than two runs differ.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Steps between two powers of two.
const STEPS: u64 = 32;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// Enough for 2⁴⁰ microseconds, which is twelve days.
const BUCKETS: usize = 36 * STEPS as usize;

/// Counts of times by their size.
#[derive(Debug)]
pub struct Histogram {
    buckets: Box<[AtomicU64]>,
    longest: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(), longest: AtomicU64::new(0) }
    }
}

impl Histogram {
    /// Notes one time.
    pub fn record(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.longest.fetch_max(micros, Ordering::Relaxed);
        if let Some(bucket) = self.buckets.get(place_of(micros).min(BUCKETS - 1)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many times were noted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum()
    }

    /// The longest of all.
    pub fn max(&self) -> Duration {
        Duration::from_micros(self.longest.load(Ordering::Relaxed))
    }

    /// The time that a share of all (0.5 is the median) did not exceed.
    pub fn quantile(&self, share: f64) -> Duration {
        let wanted = (self.count() as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (place, bucket) in self.buckets.iter().enumerate() {
            seen += bucket.load(Ordering::Relaxed);
            if seen >= wanted {
                return Duration::from_micros(largest_of(place)).min(self.max());
            }
        }
        self.max()
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.buckets.iter().chain([&self.longest]).for_each(|count| count.store(0, Ordering::Relaxed));
    }
}

/// Small values have a bucket each; above, the leading six bits of a value tell its bucket.
fn place_of(value: u64) -> usize {
    let shift = value.checked_ilog2().unwrap_or(0).saturating_sub(STEP_BITS);
    (u64::from(shift) * STEPS + (value >> shift)) as usize
}

/// The largest value that has this place.
fn largest_of(place: usize) -> u64 {
    let place = place as u64;
    if place < 2 * STEPS {
        return place;
    }
    let shift = place / STEPS - 1;
    ((STEPS + place % STEPS + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_at_most_one_step_above_what_was_noted() {
        let histogram = Histogram::default();
        for micros in 1..=100_000 {
            histogram.record(Duration::from_micros(micros));
        }
        for (share, exact) in [(0.5, 50_000.0), (0.9, 90_000.0), (0.99, 99_000.0), (1.0, 100_000.0)] {
            let told = histogram.quantile(share).as_micros() as f64;
            assert!((1.0..1.04).contains(&(told / exact)), "{share}: {told} for {exact}");
        }
        assert_eq!(histogram.max(), Duration::from_micros(100_000));
        assert_eq!(histogram.count(), 100_000);
    }

    #[test]
    fn places_follow_one_another_and_hold_what_they_are_said_to() {
        for value in (0..5_000).chain([1 << 20, (1 << 39) - 1]) {
            let place = place_of(value);
            assert!(place < BUCKETS, "{value}");
            assert!(largest_of(place) >= value, "{value}");
            assert!(place == 0 || largest_of(place - 1) < value, "{value}");
        }
    }

    #[test]
    fn what_is_longer_than_all_buckets_is_still_counted() {
        let histogram = Histogram::default();
        histogram.record(Duration::MAX);
        assert_eq!(histogram.count(), 1);
        histogram.clear();
        assert_eq!((histogram.count(), histogram.quantile(0.5)), (0, Duration::ZERO));
    }
}
