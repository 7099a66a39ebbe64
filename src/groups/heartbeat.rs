//! One wheel for the heartbeats of all connections of a worker, instead of a timer each. Pure data.

use std::time::Duration;

use crate::outbound::Moment;

/// Keys by the moment at which they have to be looked at.
#[derive(Debug)]
pub struct Wheel {
    tick: Duration,
    turned_to: u64,
    buckets: Vec<Vec<u64>>,
}

impl Wheel {
    /// A wheel that is precise to `tick` and reaches `horizon` ahead; what lies farther is looked at early.
    pub fn new(tick: Duration, horizon: Duration, now: Moment) -> Self {
        let buckets = horizon.as_millis() / tick.as_millis().max(1) + 2;
        Wheel { tick, turned_to: now.step(tick), buckets: vec![Vec::new(); buckets as usize] }
    }

    /// Has `key` looked at when `at` has come.
    pub fn schedule(&mut self, key: u64, at: Moment) {
        let reach = self.turned_to + self.buckets.len() as u64 - 1;
        let step = (at.step(self.tick) + 1).clamp(self.turned_to + 1, reach);
        let bucket = (step % self.buckets.len() as u64) as usize;
        self.buckets[bucket].push(key);
    }

    /// Turns the wheel to `now` and takes what has become due.
    pub fn due(&mut self, now: Moment) -> Vec<u64> {
        let mut due = Vec::new();
        let target = now.step(self.tick);
        // After a long pause every bucket is due, once.
        let steps = target.saturating_sub(self.turned_to).min(self.buckets.len() as u64);
        for step in 1..=steps {
            let bucket = ((self.turned_to + step) % self.buckets.len() as u64) as usize;
            due.append(&mut self.buckets[bucket]);
        }
        self.turned_to = self.turned_to.max(target);
        due
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_long_pause_loses_nobody_and_repeats_nobody() {
        let now = Moment::default();
        let mut wheel = Wheel::new(Duration::from_secs(1), Duration::from_secs(10), now);
        for slot in 0..20 {
            wheel.schedule(slot, now.after(Duration::from_secs(slot / 2)));
        }
        let mut due = wheel.due(now.after(Duration::from_secs(1000)));
        due.sort_unstable();
        assert_eq!(due, (0..20).collect::<Vec<_>>());
        assert_eq!(wheel.due(now.after(Duration::from_secs(2000))), Vec::<u64>::new());
    }

    proptest! {
        #[test]
        fn everyone_is_due_within_a_tick_after_their_moment_and_never_before(
            plan in prop::collection::vec((0u64..9000, 1u64..3000), 1..50),
        ) {
            let tick = Duration::from_millis(100);
            let mut now = Moment::default();
            let mut wheel = Wheel::new(tick, Duration::from_secs(10), now);
            let mut waiting = std::collections::HashMap::new();
            for (slot, (delay, pause)) in plan.into_iter().enumerate() {
                let at = now.after(Duration::from_millis(delay));
                wheel.schedule(slot as u64, at);
                waiting.insert(slot as u64, at);
                now = now.after(Duration::from_millis(pause));
                for slot in wheel.due(now) {
                    prop_assert!(waiting.remove(&slot).is_some_and(|at| at <= now), "early or twice: {}", slot);
                }
                prop_assert!(waiting.values().all(|at| at.after(tick) >= now || at.step(tick) == now.step(tick)));
            }
        }
    }
}
