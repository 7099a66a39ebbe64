//! One encoded frame on its way to one connection.

use bytes::Bytes;

use crate::protocol::{Subprotocol, json};
use crate::transport::encoder::{self, MAX_HEADER_BYTES};
use crate::transport::opcode::Opcode;

/// A frame as bytes: what all receivers share, and what only this one gets.
#[derive(Debug, Clone)]
pub struct Frame {
    shared: Bytes,
    /// Boxed, because hardly any frame has it.
    own: Option<Box<Own>>,
    /// How it is written, when it is a message and not an ack or another frame that its receiver waits for.
    message: Option<Subprotocol>,
}

/// What stands around the shared bytes of a message that says something to this receiver alone.
#[derive(Debug, Clone)]
struct Own {
    header: [u8; MAX_HEADER_BYTES],
    header_len: usize,
    tail: Vec<u8>,
    missing: u64,
}

impl Frame {
    /// A message, which a receiver who is slow may have to do without.
    pub fn message(shared: Bytes, subprotocol: Subprotocol) -> Self {
        Frame { shared, own: None, message: Some(subprotocol) }
    }

    /// A message with its number on a reliable connection, out of the bytes that it shares with others.
    pub fn sequenced(encoded: &Bytes, number: u64) -> Self {
        let shared = object(encoded);
        let mut tail = Vec::with_capacity(24);
        json::sequenced(&mut tail, number);
        let (header, header_len) = encoder::header(Opcode::Text, shared.len() + tail.len());
        let own = Some(Box::new(Own { header, header_len, tail, missing: 0 }));
        Frame { shared, own, message: Some(Subprotocol::ReliableJson) }
    }

    /// Appends the same without making a frame of it.
    pub fn write_sequenced(&self, out: &mut Vec<u8>, number: u64) {
        let start = encoder::header_len(&self.shared);
        let object = self.shared.get(start..self.shared.len().saturating_sub(1).max(start)).unwrap_or_default();
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(number);
        let payload = object.len() + json::SEQUENCE_ID.len() + digits.len() + 1;
        let (header, header_len) = encoder::header(Opcode::Text, payload);
        out.extend_from_slice(header.get(..header_len).unwrap_or_default());
        out.extend_from_slice(object);
        out.extend_from_slice(json::SEQUENCE_ID.as_bytes());
        out.extend_from_slice(digits.as_bytes());
        out.push(b'}');
    }

    /// What it shares with other receivers.
    pub fn shared(&self) -> &Bytes {
        &self.shared
    }

    /// Whether it is a message.
    pub fn is_message(&self) -> bool {
        self.message.is_some()
    }

    /// How many bytes the frame takes on the wire.
    pub fn len(&self) -> usize {
        self.shared.len() + self.own.as_ref().map_or(0, |own| own.header_len + own.tail.len())
    }

    /// What is left after `written` bytes.
    pub fn pieces(&self, written: usize) -> [&[u8]; 3] {
        let Some(own) = &self.own else { return [self.shared.get(written..).unwrap_or_default(), &[], &[]] };
        let mut skip = written;
        [own.header.get(..own.header_len).unwrap_or_default(), &self.shared, &own.tail].map(|piece| {
            let rest = piece.get(skip..).unwrap_or_default();
            skip = skip.saturating_sub(piece.len());
            rest
        })
    }

    /// The whole frame, where nothing of it is the connection's own.
    pub fn in_one_piece(&self) -> Option<&[u8]> {
        self.own.is_none().then_some(&self.shared)
    }

    /// How many messages it says are missing before it.
    pub fn missing_before(&self) -> u64 {
        self.own.as_ref().map_or(0, |own| own.missing)
    }

    /// Has the message say so, where its subprotocol has a way to. It must not have begun to be written.
    pub fn tell_missing(&mut self, missing: u64) {
        if self.message != Some(Subprotocol::Json) {
            return;
        }
        if self.own.is_none() {
            self.shared = object(&self.shared);
        }
        let mut tail = Vec::with_capacity(32);
        json::dropped(&mut tail, missing);
        let (header, header_len) = encoder::header(Opcode::Text, self.shared.len() + tail.len());
        self.own = Some(Box::new(Own { header, header_len, tail, missing }));
    }
}

/// An encoded message without its header, whose length becomes another, and without the brace that closes the object.
fn object(encoded: &Bytes) -> Bytes {
    let start = encoder::header_len(encoded);
    encoded.slice(start..encoded.len().saturating_sub(1).max(start))
}

impl From<Bytes> for Frame {
    fn from(shared: Bytes) -> Self {
        Frame { shared, own: None, message: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(len: usize) -> Frame {
        let bytes = encoder::text(|out| out.extend_from_slice(format!(r#"{{"x":"{}"}}"#, "x".repeat(len)).as_bytes()));
        Frame::message(bytes, Subprotocol::Json)
    }

    #[test]
    fn a_message_tells_what_is_missing_whatever_becomes_of_its_header() {
        for len in [0, 100, 110, 120, 125, 65_500, 65_525, 65_530, 70_000] {
            let mut frame = message(len);
            let plain = frame.pieces(0).concat();
            let object = &plain[encoder::header_len(&plain)..plain.len() - 1];
            for missing in [7, 12_345] {
                frame.tell_missing(missing);
                assert_eq!(frame.missing_before(), missing);
                let payload = [object, format!(",\"dropped\":{missing}}}").as_bytes()].concat();
                assert_eq!(frame.pieces(0).concat(), encoder::encode(Opcode::Text, &payload), "{len} bytes");
                assert_eq!(frame.len(), frame.pieces(0).concat().len());
            }
        }
    }

    #[test]
    fn a_number_stands_at_the_end_of_a_message_however_it_is_written() {
        for len in [0, 95, 100, 110, 120, 65_500, 65_520, 70_000] {
            let plain = message(len);
            let object = &plain.shared[encoder::header_len(&plain.shared)..plain.shared.len() - 1];
            for number in [1, 1000, u64::MAX] {
                let payload = [object, format!(",\"sequenceId\":{number}}}").as_bytes()].concat();
                let expected = encoder::encode(Opcode::Text, &payload);
                let frame = Frame::sequenced(&plain.shared, number);
                assert_eq!((frame.pieces(0).concat(), frame.len()), (expected.to_vec(), expected.len()));
                let mut out = Vec::new();
                plain.write_sequenced(&mut out, number);
                assert_eq!(out, expected, "{len} bytes");
            }
        }
    }

    #[test]
    fn pieces_follow_what_was_written_across_all_of_them() {
        let mut frame = message(3);
        frame.tell_missing(1);
        let whole = frame.pieces(0).concat();
        for written in 0..=whole.len() {
            assert_eq!(frame.pieces(written).concat(), whole[written..]);
        }
        let frame = Frame::from(Bytes::from_static(b"abc"));
        for written in 0..=3 {
            assert_eq!(frame.pieces(written).concat(), b"abc"[written..]);
        }
    }

    #[test]
    fn what_hardly_any_frame_has_makes_no_frame_larger() {
        assert!(size_of::<Frame>() <= 48);
    }
}
