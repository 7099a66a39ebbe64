//! What a full queue does: refuse, or drop messages so that its connection can stay.
//!
//! Only messages are dropped, never acks and what else a client waits for, and never one that has begun to be written.
//! The order of what is left stays; the next message behind the gap tells how many are missing.

use serde::{Deserialize, Serialize};

use super::{Full, OutboundLimits, Queue};
use crate::outbound::Frame;

/// What becomes of a connection that does not read as fast as it is sent to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlowConsumers {
    /// It is closed: nobody misses a message without knowing.
    #[default]
    Close,
    /// It loses the oldest messages that wait for it, for those to whom the latest state matters.
    DropOldest,
    /// It loses the messages that come while nothing more fits.
    DropNewest,
}

/// What a full queue lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// How many messages.
    pub messages: u64,
    /// Whether the one that was to be added is among them.
    pub itself: bool,
}

impl Queue {
    /// Adds a frame to a queue that is full for it.
    ///
    /// # Errors
    /// [`Full`] when the policy is to close, or the frame is no message and nothing can be dropped for it.
    pub fn push_over(&mut self, frame: Frame, limits: OutboundLimits, policy: SlowConsumers) -> Result<Lost, Full> {
        if policy == SlowConsumers::Close {
            return Err(Full);
        }
        // One that fits only into an empty queue is not worth all the others.
        let lost_itself = frame.is_message() && (policy == SlowConsumers::DropNewest || frame.len() > limits.bytes);
        let mut messages = 0;
        if !lost_itself {
            while !self.has_room(&frame, limits)
                && let Some(place) = self.most_dispensable(policy)
            {
                self.drop_at(place);
                messages += 1;
            }
            if self.has_room(&frame, limits) {
                self.push_last(frame);
                return Ok(Lost { messages, itself: false });
            }
        }
        if !frame.is_message() {
            return Err(Full);
        }
        self.miss();
        Ok(Lost { messages: messages + 1, itself: true })
    }

    /// Notes that a message was not added, for the next one to tell.
    pub fn miss(&mut self) {
        self.untold += 1;
    }

    /// The message to drop first.
    fn most_dispensable(&self, policy: SlowConsumers) -> Option<usize> {
        let begun = usize::from(self.written > 0);
        let mut messages = self.frames.iter().enumerate().skip(begun).filter(|(_, frame)| frame.is_message());
        let found = match policy {
            SlowConsumers::DropNewest => messages.next_back(),
            SlowConsumers::DropOldest | SlowConsumers::Close => messages.next(),
        };
        found.map(|(place, _)| place)
    }

    fn drop_at(&mut self, place: usize) {
        let Some(frame) = self.frames.remove(place) else { return };
        self.bytes -= frame.len();
        let missing = frame.missing_before() + 1;
        match self.frames.iter_mut().skip(place).find(|next| next.is_message()) {
            Some(next) => {
                self.bytes -= next.len();
                next.tell_missing(next.missing_before() + missing);
                self.bytes += next.len();
            }
            None => self.untold += missing,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use bytes::Bytes;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::outbound::{Scratch, Written};
    use crate::protocol::Subprotocol;
    use crate::transport::encoder;

    /// Room for two of the messages below.
    const LIMITS: OutboundLimits = OutboundLimits { bytes: 120, messages: 100 };

    fn message(number: usize) -> Frame {
        let text = format!(r#"{{"type":"message","data":"{number:020}"}}"#);
        Frame::message(encoder::encode(crate::transport::opcode::Opcode::Text, text.as_bytes()), Subprotocol::Json)
    }

    fn ack(number: usize) -> Frame {
        encoder::text(|out| out.extend_from_slice(format!(r#"{{"ackId":{number}}}"#).as_bytes())).into()
    }

    fn push(queue: &mut Queue, frame: Frame, policy: SlowConsumers) -> Result<Lost, Full> {
        match queue.push(frame.clone(), LIMITS) {
            Ok(()) => Ok(Lost { messages: 0, itself: false }),
            Err(Full) => queue.push_over(frame, LIMITS, policy),
        }
    }

    fn write(queue: &mut Queue, out: &mut Vec<u8>, mut room: usize) {
        queue.write(&mut Scratch::default(), |bytes| {
            let count = bytes.len().min(room);
            if count == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            out.extend_from_slice(&bytes[..count]);
            room -= count;
            Ok(count)
        });
    }

    /// What a peer reads: the number of each frame, and how many messages it says are missing before it.
    fn read(out: &[u8]) -> Vec<(String, u64)> {
        let (mut read, mut rest) = (Vec::new(), out);
        while let [_, length, ..] = *rest {
            let (start, length) = match length {
                126 => (4, usize::from(u16::from_be_bytes([rest[2], rest[3]]))),
                short => (2, usize::from(short)),
            };
            let frame: Value = serde_json::from_slice(&rest[start..start + length]).unwrap();
            rest = &rest[start + length..];
            let number = match &frame["ackId"] {
                Value::Null => frame["data"].as_str().unwrap().trim_start_matches('0').to_owned(),
                ack => format!("ack {ack}"),
            };
            read.push((number, frame["dropped"].as_u64().unwrap_or_default()));
        }
        read
    }

    fn all_of(queue: &mut Queue) -> Vec<(String, u64)> {
        let mut out = Vec::new();
        write(queue, &mut out, usize::MAX);
        read(&out)
    }

    fn seen(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
        expected.iter().map(|(number, dropped)| ((*number).to_owned(), *dropped)).collect()
    }

    #[test]
    fn the_oldest_make_room_and_the_first_that_is_left_tells_how_many_they_were() {
        let mut queue = Queue::default();
        for number in 1..=7 {
            assert!(!push(&mut queue, message(number), SlowConsumers::DropOldest).unwrap().itself);
        }
        assert!(queue.bytes() <= LIMITS.bytes + 20);
        assert_eq!(all_of(&mut queue), seen(&[("6", 5), ("7", 0)]));
    }

    #[test]
    fn the_newest_are_not_added_and_the_next_that_is_tells_how_many_they_were() {
        let mut queue = Queue::default();
        for number in 1..=7 {
            let lost = push(&mut queue, message(number), SlowConsumers::DropNewest).unwrap();
            assert_eq!(lost.itself, number > 2);
        }
        assert_eq!(all_of(&mut queue), seen(&[("1", 0), ("2", 0)]));
        for number in 8..=9 {
            push(&mut queue, message(number), SlowConsumers::DropNewest).unwrap();
        }
        assert_eq!(all_of(&mut queue), seen(&[("8", 5), ("9", 0)]));
    }

    #[test]
    fn acks_take_the_place_of_messages_and_only_too_many_of_them_close() {
        for policy in [SlowConsumers::DropOldest, SlowConsumers::DropNewest] {
            let mut queue = Queue::default();
            push(&mut queue, message(1), policy).unwrap();
            push(&mut queue, message(2), policy).unwrap();
            let acks = (1..).take_while(|number| push(&mut queue, ack(*number), policy).is_ok()).count();
            assert!(acks > 5, "{acks}");
            push(&mut queue, message(3), policy).unwrap();
            let mut expected: Vec<_> = (1..=acks).map(|number| (format!("ack {number}"), 0)).collect();
            assert_eq!(all_of(&mut queue), expected);
            push(&mut queue, message(4), policy).unwrap();
            expected = seen(&[("4", 3)]);
            assert_eq!(all_of(&mut queue), expected);
        }
    }

    #[test]
    fn by_default_nothing_is_dropped() {
        let mut queue = Queue::default();
        (1..=2).for_each(|number| queue.push(message(number), LIMITS).unwrap());
        assert_eq!(queue.push_over(message(3), LIMITS, SlowConsumers::default()), Err(Full));
        assert_eq!(all_of(&mut queue), seen(&[("1", 0), ("2", 0)]));
    }

    #[test]
    fn a_raw_client_is_not_told() {
        let raw = |text: &'static str| Frame::message(Bytes::from_static(text.as_bytes()), Subprotocol::Raw);
        let limits = OutboundLimits { bytes: 100, messages: 2 };
        let mut queue = Queue::default();
        (0..2).for_each(|_| queue.push(raw("old"), limits).unwrap());
        for text in ["new", "newest"] {
            queue.push_over(raw(text), limits, SlowConsumers::DropOldest).unwrap();
        }
        let mut out = Vec::new();
        write(&mut queue, &mut out, usize::MAX);
        assert_eq!(out, b"newnewest");
    }

    proptest! {
        #[test]
        fn delivered_and_dropped_are_all_in_order_and_every_frame_is_whole(
            oldest in any::<bool>(),
            steps in prop::collection::vec((0usize..4, 0usize..150), 1..60),
        ) {
            let policy = if oldest { SlowConsumers::DropOldest } else { SlowConsumers::DropNewest };
            let (mut queue, mut out, mut pushed, mut acks) = (Queue::default(), Vec::new(), 0_u64, Vec::new());
            let mut lost = 0;
            for (messages, room) in steps {
                for _ in 0..messages {
                    pushed += 1;
                    lost += push(&mut queue, message(pushed as usize), policy).unwrap().messages;
                }
                if let Ok(made_room) = push(&mut queue, ack(room), policy) {
                    lost += made_room.messages;
                    acks.push(format!("ack {room}"));
                }
                prop_assert!(queue.bytes() <= LIMITS.bytes + 60);
                write(&mut queue, &mut out, room);
            }
            write(&mut queue, &mut out, usize::MAX);
            prop_assert!(matches!(queue.write(&mut Scratch::default(), |_| Ok(0)), Written::All));
            // The last one tells what the others have not.
            queue.push(message(pushed as usize + 1), LIMITS).unwrap();
            write(&mut queue, &mut out, usize::MAX);
            let read = read(&out);
            let (came, acked): (Vec<_>, Vec<_>) = read.into_iter().partition(|(number, _)| !number.starts_with("ack"));
            prop_assert_eq!(acked.into_iter().map(|(ack, _)| ack).collect::<Vec<_>>(), acks);
            let mut number = 0;
            for (came, dropped) in &came {
                number += dropped + 1;
                prop_assert_eq!(came, &number.to_string());
            }
            prop_assert_eq!(number, pushed + 1);
            prop_assert_eq!(came.len() as u64 + lost, pushed + 1);
        }
    }
}
