//! The six opcodes of RFC 6455 section 5.2. What a frame of each may look like is the decoder's concern.

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// A further part of a fragmented message.
    Continuation = 0x0,
    /// A text message, or its first part.
    Text = 0x1,
    /// A binary message, or its first part.
    Binary = 0x2,
    /// The last frame of its direction.
    Close = 0x8,
    /// A question whether the other side lives.
    Ping = 0x9,
    /// The answer to a ping, or a sign of life that nobody asked for.
    Pong = 0xA,
}

impl Opcode {
    /// Reads the low four bits of a frame's first byte; `None` for the ten values that the RFC reserves.
    pub fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits & 0x0F {
            0x0 => Opcode::Continuation,
            0x1 => Opcode::Text,
            0x2 => Opcode::Binary,
            0x8 => Opcode::Close,
            0x9 => Opcode::Ping,
            0xA => Opcode::Pong,
            _ => return None,
        })
    }

    /// Whether it is a control opcode: never fragmented, at most 125 bytes, allowed between fragments.
    pub fn is_control(self) -> bool {
        matches!(self, Opcode::Close | Opcode::Ping | Opcode::Pong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_opcode_reads_back_as_itself_and_ten_are_reserved() {
        let known: Vec<_> = (0..16).filter_map(|bits| Opcode::from_bits(bits).map(|o| (bits, o))).collect();
        assert_eq!(known.len(), 6);
        assert!(known.iter().all(|&(bits, opcode)| opcode as u8 == bits));
    }
}
