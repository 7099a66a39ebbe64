//! The frame decoder: how the bytes are cut changes nothing, what it holds is bounded, and what it read is what a
//! client would have to send to say the same in the plainest way.

use bytes::Bytes;

use crate::transport::decoder::{Decoder, DecoderLimits, Inbound};
use crate::transport::opcode::Opcode;

const LIMITS: DecoderLimits = DecoderLimits { max_frame_bytes: 2048, max_message_bytes: 4096, max_fragments: 8 };
/// A control frame and the bookkeeping.
const CONSTANT: usize = 125 + 96;

/// The first byte tells where the others are cut.
pub fn frame_reader(bytes: &[u8]) {
    let Some((&cut, bytes)) = bytes.split_first() else { return };
    let whole = decode(LIMITS, bytes, bytes.len().max(1));
    assert_eq!(decode(LIMITS, bytes, usize::from(cut) + 1), whole, "cut and whole");

    let (events, _) = whole;
    let payload: usize = events.iter().map(payload_len).sum();
    assert!(payload <= bytes.len(), "{payload} bytes of payload out of {}", bytes.len());
    let plain: Vec<u8> = events.iter().flat_map(plainest).collect();
    // A message may be as long as its fragments together, here in one frame.
    let limits = DecoderLimits { max_frame_bytes: LIMITS.max_message_bytes, ..LIMITS };
    assert_eq!(decode(limits, &plain, plain.len().max(1)), (events, false), "written again");
}

/// What was read, and whether anything was refused.
fn decode(limits: DecoderLimits, bytes: &[u8], chunk: usize) -> (Vec<Inbound>, bool) {
    let mut decoder = Decoder::new(limits);
    let (mut events, mut refused) = (Vec::new(), false);
    for chunk in bytes.chunks(chunk) {
        let mut chunk = chunk.to_vec();
        let mut input = chunk.as_mut_slice();
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(_) => refused = true,
            }
        }
        assert!(decoder.buffered_bytes() <= limits.max_message_bytes + CONSTANT);
    }
    (events, refused)
}

fn payload_len(event: &Inbound) -> usize {
    match event {
        Inbound::Text(payload) | Inbound::Binary(payload) | Inbound::Ping(payload) => payload.len(),
        Inbound::Pong => 0,
        Inbound::Close(close) => close.as_ref().map_or(0, |(_, reason)| 2 + reason.len()),
    }
}

/// One unfragmented frame that says the same.
fn plainest(event: &Inbound) -> Vec<u8> {
    let (opcode, payload) = match event {
        Inbound::Text(payload) => (Opcode::Text, payload.clone()),
        Inbound::Binary(payload) => (Opcode::Binary, payload.clone()),
        Inbound::Ping(payload) => (Opcode::Ping, payload.clone()),
        Inbound::Pong => (Opcode::Pong, Bytes::new()),
        Inbound::Close(None) => (Opcode::Close, Bytes::new()),
        Inbound::Close(Some((code, reason))) => {
            (Opcode::Close, [&code.to_be_bytes(), reason.as_bytes()].concat().into())
        }
    };
    let mut frame = vec![0x80 | opcode as u8];
    match u16::try_from(payload.len()).expect("within the limits") {
        len @ 0..=125 => frame.push(0x80 | len as u8),
        len => frame.extend([&[0x80 | 126], &len.to_be_bytes()[..]].concat()),
    }
    let key = [0x11, 0x22, 0x33, 0x44];
    frame.extend(key);
    frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}
