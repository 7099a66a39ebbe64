//! Frames from the server to a client: never masked, never fragmented.
//!
//! A payload can be written straight behind the room for its header ([`text`]), so that what is encoded once for a
//! whole group is also copied never.

use bytes::Bytes;

use super::opcode::Opcode;

/// Longest header of an unmasked frame: two bytes and eight of length.
pub const MAX_HEADER_BYTES: usize = 10;
/// Largest payload of a control frame (RFC 6455 section 5.5).
const MAX_CONTROL_BYTES: usize = 125;
/// What a close frame leaves for its reason after the code.
pub const MAX_CLOSE_REASON_BYTES: usize = 123;

/// The header of a frame with `len` bytes of payload: the bytes, and how many of them count.
pub fn header(opcode: Opcode, len: usize) -> ([u8; MAX_HEADER_BYTES], usize) {
    let first = 0x80 | opcode as u8;
    // usize is at most 64 bits wide on every platform that Rust knows.
    let [a, b, c, d, e, f, g, h] = (len as u64).to_be_bytes();
    match len {
        0..=125 => ([first, h, 0, 0, 0, 0, 0, 0, 0, 0], 2),
        126..=0xFFFF => ([first, 126, g, h, 0, 0, 0, 0, 0, 0], 4),
        _ => ([first, 127, a, b, c, d, e, f, g, h], 10),
    }
}

/// How long the header of an encoded frame is.
pub fn header_len(frame: &[u8]) -> usize {
    match frame.get(1) {
        None => frame.len(),
        Some(126) => 4,
        Some(127) => MAX_HEADER_BYTES,
        Some(_) => 2,
    }
    .min(frame.len())
}

/// Appends a frame.
pub fn encode_into(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    let (header, header_len) = header(opcode, payload.len());
    out.reserve(header_len + payload.len());
    out.extend_from_slice(header.get(..header_len).unwrap_or_default());
    out.extend_from_slice(payload);
}

/// A frame of its own, in one allocation without slack.
pub fn encode(opcode: Opcode, payload: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(header(opcode, payload.len()).1 + payload.len());
    encode_into(&mut out, opcode, payload);
    Bytes::from(out)
}

/// A text frame whose payload `write` appends to the vector that it is given.
///
/// The vector is not empty: room for the header stands in front, and what stands there is not to be touched.
pub fn text(write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut frame = FrameBuilder::new(Opcode::Text, 256);
    write(frame.payload());
    frame.finish()
}

/// A ping. A payload beyond 125 bytes is cut.
pub fn ping(payload: &[u8]) -> Bytes {
    control(Opcode::Ping, payload)
}

/// The answer to a ping with this payload. A payload beyond 125 bytes, which no valid ping has, is cut.
pub fn pong(payload: &[u8]) -> Bytes {
    control(Opcode::Pong, payload)
}

/// A close frame. A reason beyond 123 bytes is cut between two characters.
///
/// The code must be one that may be sent: not 1004, 1005, 1006 or 1015.
pub fn close(code: u16, reason: &str) -> Bytes {
    debug_assert!(matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999), "{code} may not be sent");
    let reason = reason.get(..reason.floor_char_boundary(MAX_CLOSE_REASON_BYTES)).unwrap_or_default();
    let mut payload = Vec::with_capacity(2 + reason.len());
    payload.extend_from_slice(&code.to_be_bytes());
    payload.extend_from_slice(reason.as_bytes());
    encode(Opcode::Close, &payload)
}

/// A close frame without code and reason: the answer to one that has none.
pub fn close_without_code() -> Bytes {
    encode(Opcode::Close, &[])
}

fn control(opcode: Opcode, payload: &[u8]) -> Bytes {
    encode(opcode, payload.get(..MAX_CONTROL_BYTES).unwrap_or(payload))
}

/// A frame whose payload is written in place, for writers that can fail or whose size is known; else see [`text`].
#[derive(Debug)]
pub struct FrameBuilder {
    opcode: Opcode,
    /// [`MAX_HEADER_BYTES`] of room, then the payload.
    out: Vec<u8>,
}

impl FrameBuilder {
    /// An empty frame with memory for a payload of `capacity` bytes.
    pub fn new(opcode: Opcode, capacity: usize) -> Self {
        let mut out = Vec::with_capacity(MAX_HEADER_BYTES.saturating_add(capacity));
        out.resize(MAX_HEADER_BYTES, 0);
        FrameBuilder { opcode, out }
    }

    /// Where the payload is to be appended. What stands in it already is room for the header.
    pub fn payload(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// The frame. The header is written right before the payload, and the bytes begin there.
    pub fn finish(mut self) -> Bytes {
        if self.out.len() < MAX_HEADER_BYTES {
            debug_assert!(false, "the writer removed the room for the header");
            self.out.resize(MAX_HEADER_BYTES, 0);
        }
        let (header, header_len) = header(self.opcode, self.out.len() - MAX_HEADER_BYTES);
        let start = MAX_HEADER_BYTES - header_len;
        for (room, byte) in self.out.iter_mut().skip(start).zip(header.into_iter().take(header_len)) {
            *room = byte;
        }
        Bytes::from(self.out).slice(start..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_in_the_fewest_bytes() {
        let cases: [(usize, &[u8]); 7] = [
            (0, &[0x81, 0]),
            (125, &[0x81, 125]),
            (126, &[0x81, 126, 0, 126]),
            (65_535, &[0x81, 126, 0xFF, 0xFF]),
            (65_536, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
            (0x0102_0304, &[0x81, 127, 0, 0, 0, 0, 1, 2, 3, 4]),
            (usize::MAX >> 1, &[0x81, 127, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
        ];
        for (len, expected) in cases {
            let (bytes, used) = header(Opcode::Text, len);
            assert_eq!(&bytes[..used], expected, "{len} bytes");
            assert_eq!(header_len(expected), used);
        }
    }

    #[test]
    fn a_payload_written_in_place_gives_the_same_frame_as_a_copied_one() {
        for len in [0, 1, 125, 126, 300, 65_535, 65_536, 70_000] {
            let payload = vec![b'x'; len];
            let built = text(|out| out.extend_from_slice(&payload));
            assert_eq!(built, encode(Opcode::Text, &payload), "{len} bytes");
        }
    }

    #[test]
    fn frames_follow_each_other_in_one_vector() {
        let mut out = Vec::new();
        encode_into(&mut out, Opcode::Text, b"Hello");
        encode_into(&mut out, Opcode::Binary, &[1]);
        assert_eq!(out, [0x81, 5, b'H', b'e', b'l', b'l', b'o', 0x82, 1, 1]);
    }

    #[test]
    fn a_close_has_its_code_then_its_reason() {
        assert_eq!(close(1008, "no").as_ref(), [0x88, 4, 0x03, 0xF0, b'n', b'o']);
        assert_eq!(close_without_code().as_ref(), [0x88, 0]);
    }

    #[test]
    fn a_long_close_reason_is_cut_between_characters() {
        // 122 bytes, then a character of two bytes over the limit of 123.
        let reason = format!("{}é and more", "x".repeat(122));
        let frame = close(1000, &reason);
        assert_eq!(frame.len(), 2 + 2 + 122);
        assert!(std::str::from_utf8(&frame[4..]).is_ok());
        assert_eq!(close(1000, &"x".repeat(200)).len(), 2 + 125);
    }

    #[test]
    fn pings_and_pongs_carry_at_most_125_bytes() {
        assert_eq!(pong(b"id").as_ref(), [0x8A, 2, b'i', b'd']);
        assert_eq!(ping(&[7; 125]).len(), 127);
        assert_eq!(ping(&[7; 126]).len(), 127);
    }
}
