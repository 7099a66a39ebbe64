//! How many messages and bytes one client may send in a second.
//!
//! What is counted is a message, and not a chunk of it: a message of the largest size always passes once, however small
//! the rate. It is counted when it is whole, before it is parsed; one that never gets whole is bounded by its size.
//!
//! A client that we kept waiting, with its gate shut for longer than a second, may have more than a second's worth
//! in the kernel's buffers. The limits have room for that: what keeps to a fifth of them can be kept waiting for five.

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
}

impl Meter {
    pub(super) fn new(rates: InboundRates) -> Self {
        Meter { rates, messages: Rate::default(), bytes: Rate::default(), unpaid: 0 }
    }

    /// Notes bytes that belong to the next message.
    pub(super) fn add(&mut self, bytes: usize) {
        self.unpaid = self.unpaid.saturating_add(bytes);
    }

    /// A message is whole; which limit it breaks.
    pub(super) fn message(&mut self, now: Duration) -> Result<(), Limit> {
        let bytes = std::mem::take(&mut self.unpaid);
        if !self.messages.take(now, 1, self.rates.messages_per_second) {
            return Err(Limit::MessagesPerSecond);
        }
        if !self.bytes.take(now, bytes, self.rates.bytes_per_second) {
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
    fn empty_messages_count_too() {
        let mut meter = meter(100, 1000);
        let at = Duration::from_secs(5);
        let passed = (0..1000).take_while(|_| meter.message(at).is_ok()).count();
        assert!((100..=101).contains(&passed), "{passed} messages at once");
    }
}
