//! A rate limit in eight bytes: the generic cell rate algorithm (ITU-T I.371), one second of burst.

use std::time::Duration;

/// When the next unit would be due if all that was taken had been taken evenly.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rate(u64);

impl Rate {
    /// Takes `units` at `now` (any monotonic clock) of `per_second`; `false`, and nothing taken, when that is too much.
    ///
    /// A connection that was quiet for a second may take a second's worth at once, and one request larger than that
    /// passes but has to be paid for before the next.
    pub fn take(&mut self, now: Duration, units: usize, per_second: usize) -> bool {
        self.take_after(Duration::ZERO, now, units, per_second)
    }

    /// The same for one who was kept from taking anything for `kept` besides, and may make up for it.
    pub fn take_after(&mut self, kept: Duration, now: Duration, units: usize, per_second: usize) -> bool {
        const SECOND: u64 = 1_000_000_000;
        let now = now.as_nanos() as u64 + SECOND;
        let due = self.0.max((now - SECOND).saturating_sub(kept.as_nanos() as u64));
        if due > now {
            return false;
        }
        // In 64 bits, which hold eighteen milliards of units: this is done for every message.
        let cost = (units as u64).saturating_mul(SECOND) / per_second.max(1) as u64;
        self.0 = due.saturating_add(cost);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_allowed_and_then_the_rate_holds() {
        let mut rate = Rate::default();
        let at = |ms| Duration::from_millis(ms);
        assert!(rate.take(at(5000), 100, 100));
        assert!(rate.take(at(5000), 100, 100));
        assert!(!rate.take(at(5000), 1, 100));
        assert!(!rate.take(at(5900), 1, 100));
        assert!(rate.take(at(6100), 1, 100));
    }

    #[test]
    fn one_large_request_passes_and_is_paid_for_afterwards() {
        let mut rate = Rate::default();
        let at = Duration::from_secs;
        assert!(rate.take(at(1), 1000, 100));
        assert!(!rate.take(at(5), 1, 100));
        assert!(rate.take(at(12), 1, 100));
    }

    #[test]
    fn taking_nothing_costs_nothing_and_tells_who_is_in_debt() {
        let mut rate = Rate::default();
        let at = Duration::from_secs;
        for _ in 0..10 {
            assert!(rate.take(at(1), 0, 100));
        }
        assert!(rate.take(at(1), 1000, 100));
        assert!(!rate.take(at(5), 0, 100));
        assert!(rate.take(at(12), 0, 100));
    }
}
