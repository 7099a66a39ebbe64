//! What a reliable client acknowledges, and when: as the SDKs do, every second where something has come, and at once after
//! many messages.

use std::time::Duration;

use tokio::time::Instant;

/// How long an acknowledgement waits for more to be acknowledged with it.
const EVERY: Duration = Duration::from_secs(1);
/// After how many messages it does not wait.
const AT_ONCE: u64 = 300;

/// The numbers of one connection.
#[derive(Debug, Default)]
pub struct Acks {
    received: u64,
    acknowledged: u64,
    /// When what was received has to be acknowledged.
    due: Option<Instant>,
}

impl Acks {
    /// Notes the number at the end of a message, if it has one.
    pub fn hear(&mut self, text: &[u8], now: Instant) {
        let Some(number) = number_of(text) else { return };
        self.received = self.received.max(number);
        self.due.get_or_insert(now + EVERY);
    }

    /// When something has to be acknowledged.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The frame that is to be sent now, if it is time.
    pub fn take(&mut self, now: Instant) -> Option<String> {
        let is_due = self.due.is_some_and(|due| due <= now) || self.received - self.acknowledged >= AT_ONCE;
        if !is_due {
            return None;
        }
        (self.acknowledged, self.due) = (self.received, None);
        Some(format!(r#"{{"type":"sequenceAck","sequenceId":{}}}"#, self.received))
    }
}

/// Folkmoot puts it last, so nothing else has to be read.
fn number_of(text: &[u8]) -> Option<u64> {
    const NAME: &[u8] = br#","sequenceId":"#;
    let text = text.strip_suffix(b"}")?;
    let digits = text.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (before, digits) = text.split_at_checked(text.len() - digits)?;
    before.ends_with(NAME).then(|| std::str::from_utf8(digits).ok()?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_the_last_that_a_message_says() {
        assert_eq!(number_of(br#"{"data":"x","sequenceId":42}"#), Some(42));
        for none in [&br#"{"data":"x"}"#[..], br#"{"data":7}"#, br#"{"data":",sequenceId:"}"#, b"", b"}"] {
            assert_eq!(number_of(none), None);
        }
    }

    #[test]
    fn what_came_is_acknowledged_after_a_second_or_many_messages_and_once() {
        let (mut acks, now) = (Acks::default(), Instant::now());
        let message = |number: u64| format!(r#"{{"data":"x","sequenceId":{number}}}"#);
        acks.hear(message(1).as_bytes(), now);
        assert_eq!((acks.take(now), acks.due()), (None, Some(now + EVERY)));
        assert_eq!(acks.take(now + EVERY).as_deref(), Some(r#"{"type":"sequenceAck","sequenceId":1}"#));
        assert_eq!((acks.take(now + 2 * EVERY), acks.due()), (None, None));
        (2..=301).for_each(|number| acks.hear(message(number).as_bytes(), now));
        assert_eq!(acks.take(now).as_deref(), Some(r#"{"type":"sequenceAck","sequenceId":301}"#));
    }
}
