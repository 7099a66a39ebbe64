//! A coarse monotonic clock that fits beside each connection.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A moment, in milliseconds since the process first asked. Never goes back, whatever the wall clock does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// One that does not come.
    pub const NEVER: Moment = Moment(u64::MAX);

    /// This moment.
    pub fn now() -> Self {
        static START: OnceLock<Instant> = OnceLock::new();
        Moment(START.get_or_init(Instant::now).elapsed().as_millis() as u64)
    }

    /// This much later.
    pub fn after(self, duration: Duration) -> Self {
        Moment(self.0.saturating_add(duration.as_millis() as u64))
    }

    /// How long after the start it is.
    pub fn since_start(self) -> Duration {
        Duration::from_millis(self.0)
    }

    /// How long after an earlier moment it is; nothing where that one is not earlier.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Which of the steps of `length` it lies in, counted from the start.
    pub fn step(self, length: Duration) -> u64 {
        self.0 / (length.as_millis() as u64).max(1)
    }
}
