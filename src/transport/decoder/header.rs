//! Frame headers as a client sends them: what can be refused by looking at one header alone.
//!
//! Whether a frame may come now, and whether it is too big, depends on the connection and is decided in `mod.rs`.

use super::Violation;
use crate::transport::opcode::Opcode;

/// Two bytes, eight of length, four of masking key.
pub(super) const MAX_HEADER_BYTES: usize = 14;
/// Largest payload of a control frame (section 5.5).
const MAX_CONTROL_BYTES: u64 = 125;

/// A whole header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) fin: bool,
    pub(super) opcode: Opcode,
    pub(super) key: [u8; 4],
    /// As claimed by the peer: nothing is reserved because of it.
    pub(super) len: u64,
}

impl Header {
    /// Reads a header from the front of `bytes` and says how many bytes it took; `None` if it is not all there.
    ///
    /// What is wrong is refused with the byte that shows it, also when the rest has not arrived.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Header, usize)>, Violation> {
        let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
        let (fin, opcode) = parse_first(first)?;
        let Some((&second, rest)) = rest.split_first() else { return Ok(None) };
        let short_len = parse_second(second, opcode)?;
        let (len, rest) = match short_len {
            126 => match rest.split_first_chunk::<2>() {
                Some((len, rest)) => (u64::from(u16::from_be_bytes(*len)), rest),
                None => return Ok(None),
            },
            127 => match rest.split_first_chunk::<8>() {
                Some((len, rest)) => (u64::from_be_bytes(*len), rest),
                None => return Ok(None),
            },
            len => (len, rest),
        };
        if (short_len == 126 && len < 126) || (short_len == 127 && len <= u64::from(u16::MAX)) {
            return Err(Violation::NonMinimalLength);
        }
        let Some((&key, rest)) = rest.split_first_chunk::<4>() else { return Ok(None) };
        Ok(Some((Header { fin, opcode, key, len }, bytes.len() - rest.len())))
    }

    /// Whether the frame is a message or a control event by itself.
    pub(super) fn stands_alone(&self) -> bool {
        self.fin && self.opcode != Opcode::Continuation
    }
}

fn parse_first(byte: u8) -> Result<(bool, Opcode), Violation> {
    if byte & 0x70 != 0 {
        return Err(Violation::ReservedBits);
    }
    let opcode = Opcode::from_bits(byte).ok_or(Violation::UnknownOpcode(byte & 0x0F))?;
    let fin = byte & 0x80 != 0;
    if opcode.is_control() && !fin {
        return Err(Violation::FragmentedControl);
    }
    Ok((fin, opcode))
}

fn parse_second(byte: u8, opcode: Opcode) -> Result<u64, Violation> {
    if byte & 0x80 == 0 {
        return Err(Violation::Unmasked);
    }
    let len = u64::from(byte & 0x7F);
    if opcode.is_control() && len > MAX_CONTROL_BYTES {
        return Err(Violation::LongControl);
    }
    Ok(len)
}

/// The beginning of a header whose rest has not arrived.
#[derive(Debug, Default)]
pub(super) struct PartialHeader {
    bytes: [u8; MAX_HEADER_BYTES],
    len: u8,
}

impl PartialHeader {
    /// Whether nothing is kept.
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes bytes from the front of `input` until the header is whole, and is empty again then.
    pub(super) fn complete(&mut self, input: &mut &mut [u8]) -> Result<Option<Header>, Violation> {
        while let Some(byte) = input.split_off_first_mut() {
            let at = usize::from(self.len);
            // The slot exists: a header is whole with its 14th byte at the latest, and `len` is 0 after it.
            let Some(slot) = self.bytes.get_mut(at) else { return Ok(None) };
            *slot = *byte;
            self.len += 1;
            if let Some((header, _)) = Header::parse(&self.bytes[..=at])? {
                self.len = 0;
                return Ok(Some(header));
            }
        }
        Ok(None)
    }
}

/// Removes the masking (section 5.3), eight bytes at a time, which the compiler widens to vectors.
///
/// `key` belongs to the first byte of `payload`; the returned key belongs to the byte after it.
pub(super) fn unmask(payload: &mut [u8], key: [u8; 4]) -> [u8; 4] {
    let [a, b, c, d] = key;
    let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for bytes in words {
        *bytes = (u64::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.into_iter().cycle()) {
        *byte ^= key;
    }
    let mut next = key;
    next.rotate_left(payload.len() % 4);
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unmasking_in_pieces_is_unmasking_byte_by_byte() {
        let key = [0x12, 0x34, 0x56, 0x78];
        for len in 0..40usize {
            for cut in 0..=len {
                let plain: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();
                let mut masked: Vec<u8> = plain.iter().zip(key.iter().cycle()).map(|(b, k)| b ^ k).collect();
                let (front, back) = masked.split_at_mut(cut);
                let next = unmask(front, key);
                unmask(back, next);
                assert_eq!(masked, plain, "length {len} cut at {cut}");
            }
        }
    }

    #[test]
    fn every_prefix_of_a_header_asks_for_more() {
        let header = [0x82, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4];
        for end in 0..header.len() {
            assert_eq!(Header::parse(&header[..end]), Ok(None), "{end} bytes");
        }
        let whole = Header { fin: true, opcode: Opcode::Binary, key: [1, 2, 3, 4], len: 65_536 };
        assert_eq!(Header::parse(&header), Ok(Some((whole, 14))));
    }
}
