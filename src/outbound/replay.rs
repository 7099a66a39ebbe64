//! What a reliable connection has been sent and has not acknowledged, so that it can go on by another socket.
//!
//! A message is numbered here, in the order in which it is decided. It is kept as the bytes that it shares with all its
//! receivers; the frame around them, with its number, is made again when it has to be sent again.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{Frame, Full, Moment};

/// Capacity that is kept although little of it is used.
const KEPT_CAPACITY: usize = 64;

/// How much may be unacknowledged on one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayLimits {
    /// Messages; none where connections are not recovered, so that nothing need be kept.
    pub messages: usize,
    /// Bytes of the same.
    pub bytes: usize,
}

#[derive(Debug)]
struct Unacked {
    frame: Bytes,
    /// When it need not be sent any more.
    until: Moment,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Numbers are known.
    Going,
    /// They will be when that arrives which the socket before has left.
    Waiting,
    /// Too much was unacknowledged; the connection can only end.
    Full,
}

/// The messages of one connection that it may have to be sent again. Empty it owns no memory.
#[derive(Debug)]
pub struct Replay {
    limits: ReplayLimits,
    /// The number of the first that is kept, or of the next where none is.
    first: u64,
    unacked: VecDeque<Unacked>,
    bytes: usize,
    state: State,
}

impl Replay {
    /// That of a connection which begins; its first message has number 1.
    pub fn new(limits: ReplayLimits) -> Self {
        Replay { limits, first: 1, unacked: VecDeque::new(), bytes: 0, state: State::Going }
    }

    /// That of one which goes on by another socket. What comes for it is kept without a number until
    /// [`resume`](Replay::resume).
    pub fn waiting(limits: ReplayLimits) -> Self {
        Replay { state: State::Waiting, ..Replay::new(limits) }
    }

    /// Whether numbers are not known yet.
    pub fn is_waiting(&self) -> bool {
        self.state == State::Waiting
    }

    /// Whether too much was unacknowledged.
    pub fn is_full(&self) -> bool {
        self.state == State::Full
    }

    /// How much may be kept.
    pub fn limits(&self) -> ReplayLimits {
        self.limits
    }

    /// How many messages are kept.
    pub fn messages(&self) -> usize {
        self.unacked.len()
    }

    /// How many bytes they are.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number of the next message.
    fn next(&self) -> u64 {
        self.first + self.unacked.len() as u64
    }

    /// Keeps an encoded message and tells its number; `None` where it has none yet, or will never have one.
    ///
    /// # Errors
    /// [`Full`] the first time that it is too much; what was kept is forgotten, since nothing can be made of a part.
    pub fn keep(&mut self, frame: &Bytes, until: Moment) -> Result<Option<u64>, Full> {
        let number = match self.state {
            State::Full => return Ok(None),
            State::Waiting => None,
            State::Going => Some(self.next()),
        };
        if self.limits.messages == 0 {
            self.first += 1;
            return Ok(number);
        }
        let fits = self.unacked.len() < self.limits.messages && self.bytes + frame.len() <= self.limits.bytes;
        if !fits && !self.unacked.is_empty() {
            (self.unacked, self.bytes, self.state) = (VecDeque::new(), 0, State::Full);
            return Err(Full);
        }
        self.bytes += frame.len();
        self.unacked.push_back(Unacked { frame: frame.clone(), until });
        Ok(number)
    }

    /// Forgets everything up to a number: its receiver has it. A number that was not given yet means all.
    pub fn acknowledge(&mut self, number: u64) {
        if self.state != State::Going {
            return;
        }
        let count = number.saturating_add(1).saturating_sub(self.first);
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(self.unacked.len());
        self.bytes -= self.unacked.drain(..count).map(|unacked| unacked.frame.len()).sum::<usize>();
        self.first += count as u64;
        if self.unacked.is_empty() {
            self.unacked = VecDeque::new();
        } else if self.unacked.capacity() > KEPT_CAPACITY && self.unacked.len() < self.unacked.capacity() / 4 {
            self.unacked.shrink_to(self.unacked.len() * 2);
        }
    }

    /// Goes on where another ended, with what came meanwhile behind it.
    ///
    /// # Errors
    /// [`Full`] when both together are too much.
    pub fn resume(&mut self, before: Replay) -> Result<(), Full> {
        let Replay { limits, unacked, state, .. } = std::mem::replace(self, before);
        self.limits = limits;
        if state == State::Full {
            self.state = State::Full;
        }
        if self.is_full() {
            (self.unacked, self.bytes) = (VecDeque::new(), 0);
            return Err(Full);
        }
        unacked.iter().try_for_each(|unacked| self.keep(&unacked.frame, unacked.until).map(drop))
    }

    /// Everything that is kept, as frames to be sent, except what need not be any more.
    pub fn frames(&self, now: Moment) -> impl Iterator<Item = Frame> {
        let numbered = (self.first..).zip(&self.unacked);
        let lasting = numbered.filter(move |(_, unacked)| unacked.until > now);
        lasting.map(|(number, unacked)| Frame::sequenced(&unacked.frame, number))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::transport::encoder;

    const LIMITS: ReplayLimits = ReplayLimits { messages: 10, bytes: 1000 };

    fn message(text: &str) -> Bytes {
        encoder::text(|out| out.extend_from_slice(format!(r#"{{"x":"{text}"}}"#).as_bytes()))
    }

    /// Texts and numbers of what would be sent now.
    fn sent(replay: &Replay, now: Moment) -> Vec<(String, u64)> {
        let read = |frame: Frame| {
            let bytes = frame.pieces(0).concat();
            let object: serde_json::Value =
                serde_json::from_slice(&bytes[encoder::header_len(&bytes)..]).expect("the frame is whole");
            (object["x"].as_str().unwrap().to_owned(), object["sequenceId"].as_u64().unwrap())
        };
        replay.frames(now).map(read).collect()
    }

    #[test]
    fn an_ack_covers_all_before_it_and_one_of_the_future_covers_what_there_is() {
        let mut replay = Replay::new(LIMITS);
        for number in 1..=5 {
            assert_eq!(replay.keep(&message("a"), Moment::NEVER), Ok(Some(number)));
        }
        replay.acknowledge(3);
        assert_eq!(sent(&replay, Moment::now()).iter().map(|(_, number)| *number).collect::<Vec<_>>(), [4, 5]);
        replay.acknowledge(2);
        replay.acknowledge(0);
        assert_eq!(replay.messages(), 2);
        replay.acknowledge(u64::MAX);
        assert_eq!((replay.messages(), replay.bytes(), replay.unacked.capacity()), (0, 0, 0));
        assert_eq!(replay.keep(&message("a"), Moment::NEVER), Ok(Some(6)));
    }

    #[test]
    fn too_many_messages_or_bytes_are_told_once_and_nothing_is_kept_then() {
        for (text, most) in [("a".to_owned(), 10), ("a".repeat(300), 3)] {
            let mut replay = Replay::new(LIMITS);
            for _ in 0..most {
                assert!(replay.keep(&message(&text), Moment::NEVER).is_ok());
            }
            assert_eq!(replay.keep(&message(&text), Moment::NEVER), Err(Full));
            assert_eq!(replay.keep(&message(&text), Moment::NEVER), Ok(None));
            assert!(replay.is_full());
            assert_eq!((replay.messages(), replay.bytes(), replay.unacked.capacity()), (0, 0, 0));
        }
    }

    #[test]
    fn one_message_beyond_the_bytes_is_kept_alone() {
        let mut replay = Replay::new(LIMITS);
        assert_eq!(replay.keep(&message(&"a".repeat(2000)), Moment::NEVER), Ok(Some(1)));
        assert_eq!(replay.keep(&message("a"), Moment::NEVER), Err(Full));
    }

    #[test]
    fn a_message_that_has_expired_is_not_sent_again_and_keeps_its_number() {
        let (mut replay, now) = (Replay::new(LIMITS), Moment::now());
        let in_a_second = now.after(Duration::from_secs(1));
        for (text, until) in [("a", Moment::NEVER), ("b", in_a_second), ("c", Moment::NEVER)] {
            assert!(replay.keep(&message(text), until).is_ok());
        }
        assert_eq!(sent(&replay, now).len(), 3);
        assert_eq!(sent(&replay, in_a_second), [("a".to_owned(), 1), ("c".to_owned(), 3)]);
    }

    #[test]
    fn where_nothing_is_recovered_messages_are_numbered_and_not_kept() {
        let mut replay = Replay::new(ReplayLimits { messages: 0, bytes: 0 });
        for number in 1..=2000 {
            assert_eq!(replay.keep(&message("a"), Moment::NEVER), Ok(Some(number)));
        }
        assert_eq!(replay.messages(), 0);
    }

    #[test]
    fn what_was_full_stays_full_on_the_next_socket() {
        let mut full = Replay::new(ReplayLimits { messages: 1, bytes: 1000 });
        assert!(full.keep(&message("a"), Moment::NEVER).is_ok() && full.keep(&message("b"), Moment::NEVER).is_err());
        let mut next = Replay::waiting(LIMITS);
        assert_eq!(next.resume(full), Err(Full));
        assert!(next.is_full());
    }

    proptest! {
        #[test]
        fn whatever_is_sent_acknowledged_and_moved_the_rest_is_there_in_order_with_its_numbers(
            steps in prop::collection::vec(prop_oneof![
                6 => Just(None),
                2 => (0u64..60).prop_map(Some),
                1 => Just(Some(u64::MAX)),
            ], 0..200),
        ) {
            let limits = ReplayLimits { messages: usize::MAX, bytes: usize::MAX };
            let (mut replay, mut sent_so_far, mut acked) = (Replay::new(limits), 0u64, 0u64);
            for step in steps {
                match step {
                    None => {
                        sent_so_far += 1;
                        let kept = replay.keep(&message(&sent_so_far.to_string()), Moment::NEVER);
                        prop_assert_eq!(kept, Ok(Some(sent_so_far)));
                    }
                    // A socket is exchanged, and two messages come in the meantime.
                    Some(u64::MAX) => {
                        let mut next = Replay::waiting(limits);
                        for _ in 0..2 {
                            sent_so_far += 1;
                            let kept = next.keep(&message(&sent_so_far.to_string()), Moment::NEVER);
                            prop_assert_eq!(kept, Ok(None));
                        }
                        prop_assert_eq!(next.resume(replay), Ok(()));
                        replay = next;
                    }
                    Some(number) => {
                        acked = acked.max(number.min(sent_so_far));
                        replay.acknowledge(number);
                    }
                }
                let expected: Vec<_> = (acked + 1..=sent_so_far).map(|number| (number.to_string(), number)).collect();
                prop_assert_eq!(sent(&replay, Moment::now()), expected);
            }
        }
    }
}
