//! The samples of the last quarter of an hour.

use std::collections::VecDeque;

use super::Sample;

/// Samples that are kept: 15 minutes.
const MOST_SAMPLES: usize = 900;
/// Samples of the last minute.
const MINUTE: usize = 60;

/// Samples in the order of time.
#[derive(Debug, Default)]
pub struct History(VecDeque<Sample>);

impl History {
    /// Adds the latest; the oldest one goes when there are as many as are kept.
    pub fn add(&mut self, sample: Sample) {
        if self.0.len() == MOST_SAMPLES {
            self.0.pop_front();
        }
        self.0.push_back(sample);
    }

    /// All of them, the oldest first.
    pub fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.0.iter()
    }

    /// The most that waited for one connection in the last minute.
    pub fn queue_high(&self) -> u64 {
        self.0.iter().rev().take(MINUTE).map(|sample| sample.queue_bytes_high).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_samples_go_when_there_are_as_many_as_are_kept() {
        let mut history = History::default();
        for t in 0..1000 {
            history.add(Sample { t, ..Sample::default() });
        }
        let kept: Vec<_> = history.samples().map(|sample| sample.t).collect();
        assert_eq!(kept, (100..1000).collect::<Vec<_>>());
    }

    #[test]
    fn the_largest_queue_is_that_of_the_last_minute() {
        let mut history = History::default();
        assert_eq!(history.queue_high(), 0);
        for queue_bytes_high in [900, 70, 50] {
            history.add(Sample { queue_bytes_high, ..Sample::default() });
        }
        assert_eq!(history.queue_high(), 900);
        (0..58).for_each(|_| history.add(Sample::default()));
        assert_eq!(history.queue_high(), 70);
    }
}
