//! How long something took, as counts of observations up to fixed bounds: no memory grows with them.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper bounds, from what an idle server takes to what nobody waits for.
const BOUNDS: [Duration; 17] = [
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(200),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
];
/// One for each bound, and one for what is beyond the last.
const BUCKETS: usize = BOUNDS.len() + 1;

/// Observations of a duration.
#[derive(Default)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    nanoseconds: AtomicU64,
}

/// What a histogram has counted up to some moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts([u64; BUCKETS]);

impl Histogram {
    /// Counts one observation.
    pub fn observe(&self, took: Duration) {
        self.observe_all([took]);
    }

    /// Counts some at once: what all workers share is touched once for each bucket, and not for each of them.
    pub fn observe_all(&self, all: impl IntoIterator<Item = Duration>) {
        let (mut counts, mut nanoseconds) = (Counts::default(), 0);
        for took in all {
            let bucket = BOUNDS.partition_point(|bound| *bound < took);
            // There is one more bucket than bounds.
            if let Some(count) = counts.0.get_mut(bucket) {
                *count += 1;
            }
            nanoseconds += took.as_nanos() as u64;
        }
        for (bucket, count) in self.buckets.iter().zip(counts.0).filter(|(_, count)| *count > 0) {
            bucket.fetch_add(count, Ordering::Relaxed);
        }
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// What it has counted so far.
    pub fn counts(&self) -> Counts {
        Counts(std::array::from_fn(|bucket| self.buckets[bucket].load(Ordering::Relaxed)))
    }

    /// Writes it in the Prometheus text format.
    pub(super) fn write(&self, name: &str, text: &str, out: &mut String) {
        let counts = self.counts();
        let bounds = BOUNDS.iter().map(|bound| bound.as_secs_f64().to_string()).chain(["+Inf".to_owned()]);
        // Writing to a text cannot fail.
        let _ = writeln!(out, "# HELP {name} {text}\n# TYPE {name} histogram");
        let mut so_far = 0;
        for (bound, count) in bounds.zip(counts.0) {
            so_far += count;
            let _ = writeln!(out, "{name}_bucket{{le=\"{bound}\"}} {so_far}");
        }
        let sum = Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed)).as_secs_f64();
        let _ = writeln!(out, "{name}_sum {sum}\n{name}_count {so_far}\n");
    }
}

impl Counts {
    /// What came after an earlier moment.
    pub fn since(self, earlier: Counts) -> Counts {
        Counts(std::array::from_fn(|bucket| self.0[bucket].saturating_sub(earlier.0[bucket])))
    }

    /// The duration that this part of the observations did not pass, as far as the bounds tell; `None` of none.
    ///
    /// Between two bounds the observations are taken to be spread evenly; beyond the last bound it is that.
    pub fn quantile(self, part: f64) -> Option<Duration> {
        let all: u64 = self.0.iter().sum();
        let wanted = part.clamp(0.0, 1.0) * all as f64;
        let mut below = 0.0;
        let mut lower = Duration::ZERO;
        for (count, upper) in self.0.into_iter().zip(BOUNDS) {
            let count = count as f64;
            if count > 0.0 && below + count >= wanted {
                return Some(lower + (upper - lower).mul_f64(((wanted - below) / count).clamp(0.0, 1.0)));
            }
            below += count;
            lower = upper;
        }
        (all > 0).then_some(lower)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_observation_is_counted_up_to_every_bound_that_it_does_not_pass() {
        let histogram = Histogram::default();
        histogram.observe_all([Duration::from_micros(50), Duration::from_micros(51), Duration::from_secs(60)]);
        let mut text = String::new();
        histogram.write("took_seconds", "What it took.", &mut text);
        for line in [
            "# HELP took_seconds What it took.",
            "# TYPE took_seconds histogram",
            "took_seconds_bucket{le=\"0.00005\"} 1",
            "took_seconds_bucket{le=\"0.0001\"} 2",
            "took_seconds_bucket{le=\"10\"} 2",
            "took_seconds_bucket{le=\"+Inf\"} 3",
            "took_seconds_sum 60.000101",
            "took_seconds_count 3",
        ] {
            assert!(text.lines().any(|written| written == line), "{line} is not in:\n{text}");
        }
    }

    #[test]
    fn a_quantile_lies_between_the_bounds_of_its_bucket_and_is_none_of_nothing() {
        let histogram = Histogram::default();
        assert_eq!(histogram.counts().quantile(0.5), None);
        histogram.observe_all([Duration::from_millis(15); 98]);
        let before = histogram.counts();
        histogram.observe_all([Duration::from_secs(60); 2]);
        assert_eq!(histogram.counts().quantile(0.49), Some(Duration::from_millis(15)));
        assert_eq!(histogram.counts().quantile(0.99), Some(Duration::from_secs(10)));
        assert_eq!(histogram.counts().since(before).quantile(0.01), Some(Duration::from_secs(10)));
    }

    proptest! {
        #[test]
        fn quantiles_rise_with_the_part_and_stay_within_the_bounds(
            micros in prop::collection::vec(0u64..20_000_000, 1..50),
            parts in (0.0f64..=1.0, 0.0f64..=1.0),
        ) {
            let histogram = Histogram::default();
            histogram.observe_all(micros.into_iter().map(Duration::from_micros));
            let (lower, upper) = (parts.0.min(parts.1), parts.0.max(parts.1));
            let quantile = |part| histogram.counts().quantile(part).unwrap();
            prop_assert!(quantile(lower) <= quantile(upper));
            prop_assert!(quantile(upper) <= Duration::from_secs(10));
        }
    }
}
