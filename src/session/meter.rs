//! How many messages and bytes one client may send in a second.
//!
//! What is counted is a message, and not a chunk of it: a message of the largest size always passes once, however small
//! the rate. It is counted when it is whole, before it is parsed; one that never gets whole is bounded by its size.
//!
//! While the gate is shut we take nothing, and what the client sends in that time waits in the kernel. It may make up for
//! that time: until a read finds no more there than fits into a chunk, the time counts as saved.

use std::time::Duration;

use crate::metrics::Limit;
use crate::outbound::Rate;

/// How fast a peer may send.
#[derive(Debug, Clone, Copy)]
pub struct InboundRates {
    /// Messages, pings and pongs.
    pub messages_per_second: usize,
    /// Bytes, with the headers of frames.
    pub bytes_per_second: usize,
}

/// What one client has sent of late.
#[derive(Debug)]
pub(super) struct Meter {
    rates: InboundRates,
    messages: Rate,
    bytes: Rate,
    /// Bytes of the message that is not whole yet.
    unpaid: usize,
    /// For how long the client was not listened to, as long as it has not made up for it.
    kept: Duration,
}

impl Meter {
    pub(super) fn new(rates: InboundRates) -> Self {
        Meter { rates, messages: Rate::default(), bytes: Rate::default(), unpaid: 0, kept: Duration::ZERO }
    }

    /// Notes that the client was not listened to for so long.
    pub(super) fn kept_waiting(&mut self, time: Duration) {
        self.kept = self.kept.saturating_add(time);
    }

    /// Notes that nothing waits of what the client has sent.
    pub(super) fn caught_up(&mut self) {
        self.kept = Duration::ZERO;
    }

    /// Notes bytes that belong to the next message.
    pub(super) fn add(&mut self, bytes: usize) {
        self.unpaid = self.unpaid.saturating_add(bytes);
    }

    /// A message is whole; which limit it breaks.
    pub(super) fn message(&mut self, now: Duration) -> Result<(), Limit> {
        let bytes = std::mem::take(&mut self.unpaid);
        if !self.messages.take_after(self.kept, now, 1, self.rates.messages_per_second) {
            return Err(Limit::MessagesPerSecond);
        }
        if !self.bytes.take_after(self.kept, now, bytes, self.rates.bytes_per_second) {
            return Err(Limit::BytesPerSecond);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(messages_per_second: usize, bytes_per_second: usize) -> Meter {
        Meter::new(InboundRates { messages_per_second, bytes_per_second })
    }

    #[test]
    fn a_steady_sender_at_the_rate_is_never_refused() {
        let mut meter = meter(100, 1000);
        for number in 0..1000 {
            meter.add(10);
            assert_eq!(meter.message(Duration::from_millis(5000 + number * 10)), Ok(()), "message {number}");
        }
    }

    #[test]
    fn one_message_beyond_all_rates_passes_and_the_next_does_not() {
        let mut meter = meter(100, 1000);
        let at = Duration::from_secs;
        for _ in 0..64 {
            meter.add(16 * 1024);
        }
        assert_eq!(meter.message(at(5)), Ok(()));
        meter.add(10);
        assert_eq!(meter.message(at(6)), Err(Limit::BytesPerSecond));
    }

    #[test]
    fn who_was_kept_waiting_may_make_up_for_it_once() {
        let mut meter = meter(100, 1000);
        let at = Duration::from_secs;
        assert_eq!(meter.message(at(5)), Ok(()));
        meter.kept_waiting(at(10));
        let passed = (0..5000).take_while(|_| meter.message(at(15)).is_ok()).count();
        assert!((1000..=1101).contains(&passed), "{passed} messages at once");
        meter.caught_up();
        let passed = (0..5000).take_while(|_| meter.message(at(25)).is_ok()).count();
        assert!((100..=101).contains(&passed), "{passed} messages at once");
    }

    #[test]
    fn empty_messages_count_too() {
        let mut meter = meter(100, 1000);
        let at = Duration::from_secs(5);
        let passed = (0..1000).take_while(|_| meter.message(at).is_ok()).count();
        assert!((100..=101).contains(&passed), "{passed} messages at once");
    }
}
