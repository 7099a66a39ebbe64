//! One sample of a server: what the counters say, and what they said a second ago.

use std::time::Duration;

use serde::Serialize;

use crate::clock;
use crate::metrics::{Counter, Counts, Metrics};
use crate::users::PoolState;

/// What the server was and did in one second. The names are those of the dashboard's protocol.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Sample {
    /// When it was taken, in milliseconds since 1970.
    pub t: u64,
    /// Connections that were open.
    pub connections: u64,
    /// Users who had one.
    pub users: u64,
    /// Groups.
    pub groups: u64,
    /// Frames with data that clients sent, a second.
    pub messages_in: u64,
    /// Messages queued for connections, a second.
    pub messages_out: u64,
    /// Bytes read, a second.
    pub bytes_in: u64,
    /// Bytes written, a second.
    pub bytes_out: u64,
    /// What half of the deliveries took at most; none where nothing was delivered.
    pub delivery_p50_ms: Option<f64>,
    /// What 99 of 100 deliveries took at most.
    pub delivery_p99_ms: Option<f64>,
    /// Connections ended as slow consumers since the sample before.
    pub slow_consumers: u64,
    /// Credentials refused since the sample before.
    pub auth_failures: u64,
    /// The most bytes that waited for one connection since the sample before.
    pub queue_bytes_high: u64,
}

/// What a sample needs that is not counted where it happens.
#[derive(Debug, Clone, Copy, Default)]
pub struct Surroundings {
    /// Users who have a connection.
    pub users: usize,
    /// The connections to the store's database, where it has any.
    pub pool: Option<PoolState>,
}

/// What the counters said when the last sample was taken.
pub struct Readings {
    messages_in: u64,
    messages_out: u64,
    bytes_in: u64,
    bytes_out: u64,
    slow_consumers: u64,
    auth_failures: u64,
    delivery: Counts,
}

impl Readings {
    /// What they say now.
    pub fn of(metrics: &Metrics) -> Self {
        Readings {
            messages_in: metrics.messages_in.get(),
            messages_out: metrics.messages_out.get(),
            bytes_in: metrics.bytes_in.get(),
            bytes_out: metrics.bytes_out.get(),
            slow_consumers: metrics.slow_consumers.get(),
            auth_failures: metrics.auth_failures.get(),
            delivery: metrics.delivery.counts(),
        }
    }

    /// The sample of the time since these readings, which become those of now.
    pub fn sample(&mut self, metrics: &Metrics, took: Duration) -> Sample {
        let since = |before: &mut u64, counter: &Counter| {
            let now = counter.get();
            now.saturating_sub(std::mem::replace(before, now))
        };
        let seconds = took.as_secs_f64().max(0.001);
        let rate = |before: &mut u64, counter: &Counter| (since(before, counter) as f64 / seconds).round() as u64;
        let now = metrics.delivery.counts();
        let delivery = now.since(std::mem::replace(&mut self.delivery, now));
        let quantile = |part| delivery.quantile(part).map(milliseconds);
        Sample {
            t: clock::now(),
            connections: metrics.connections.get(),
            users: metrics.users.get(),
            groups: metrics.groups.get(),
            messages_in: rate(&mut self.messages_in, &metrics.messages_in),
            messages_out: rate(&mut self.messages_out, &metrics.messages_out),
            bytes_in: rate(&mut self.bytes_in, &metrics.bytes_in),
            bytes_out: rate(&mut self.bytes_out, &metrics.bytes_out),
            delivery_p50_ms: quantile(0.5),
            delivery_p99_ms: quantile(0.99),
            slow_consumers: since(&mut self.slow_consumers, &metrics.slow_consumers),
            auth_failures: since(&mut self.auth_failures, &metrics.auth_failures),
            queue_bytes_high: metrics.queue_peak.take(),
        }
    }
}

/// To the microsecond: what is beyond is not known.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_tells_what_happened_since_the_one_before() {
        let metrics = Metrics::new();
        metrics.messages_in.increment(1000);
        let mut readings = Readings::of(&metrics);
        metrics.connections.set(7);
        metrics.messages_in.increment(100);
        metrics.auth_failures.increment(3);
        metrics.queue_peak.see(4096);
        metrics.delivery.observe(Duration::from_micros(1500));
        let sample = readings.sample(&metrics, Duration::from_secs(2));
        assert_eq!((sample.connections, sample.messages_in, sample.auth_failures), (7, 50, 3));
        assert_eq!((sample.queue_bytes_high, sample.delivery_p50_ms), (4096, Some(1.5)));

        let sample = readings.sample(&metrics, Duration::from_secs(1));
        assert_eq!((sample.connections, sample.messages_in, sample.auth_failures), (7, 0, 0));
        assert_eq!((sample.queue_bytes_high, sample.delivery_p50_ms), (0, None));
    }
}
