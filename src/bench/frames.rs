//! RFC 6455 from the client's side: frames are masked on the way out and come unmasked.
//!
//! The server's own framing (`transport`) is the other half and cannot serve here. What a server must not send ends the
//! connection with a sentence; nothing is made of it.

/// Longest header of a frame from a server.
const MAX_HEADER_BYTES: usize = 10;
/// Larger than any message that the server was asked to send.
const MAX_FRAME_BYTES: u64 = 64 << 20;

/// What a frame from the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text message.
    Text,
    /// A binary message.
    Binary,
    /// A question whether we live.
    Ping,
    /// The answer to one of ours.
    Pong,
    /// The end.
    Close,
}

impl Kind {
    fn bits(self) -> u8 {
        match self {
            Kind::Text => 0x1,
            Kind::Binary => 0x2,
            Kind::Close => 0x8,
            Kind::Ping => 0x9,
            Kind::Pong => 0xA,
        }
    }
}

/// Appends a masked frame. The key may be any: it protects proxies from attackers, and we are none.
pub fn write(out: &mut Vec<u8>, kind: Kind, payload: &[u8], key: [u8; 4]) {
    out.push(0x80 | kind.bits());
    let len = payload.len();
    match len {
        0..=125 => out.push(0x80 | len as u8),
        126..=0xFFFF => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        _ => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&key);
    out.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
}

/// Takes the next whole frame from the front of `input`; `None` when more has to come first.
///
/// # Errors
/// What is wrong with the frame.
pub fn next<'a>(input: &mut &'a [u8]) -> Result<Option<(Kind, &'a [u8])>, &'static str> {
    let Some((kind, header, len)) = header(input)? else { return Ok(None) };
    let Some(frame) = input.get(..header + len) else { return Ok(None) };
    *input = input.get(header + len..).unwrap_or_default();
    Ok(Some((kind, frame.get(header..).unwrap_or_default())))
}

/// What a frame is, and how long its header and its payload are.
fn header(input: &[u8]) -> Result<Option<(Kind, usize, usize)>, &'static str> {
    let [first, second, rest @ ..] = input else { return Ok(None) };
    let kind = match first {
        0x81 => Kind::Text,
        0x82 => Kind::Binary,
        0x88 => Kind::Close,
        0x89 => Kind::Ping,
        0x8A => Kind::Pong,
        0x00..=0x7F => return Err("the server sends a message in fragments, which Folkmoot does not"),
        _ => return Err("the server sends a frame that WebSocket does not know"),
    };
    let (header, len) = match (second, rest) {
        (0..=125, _) => (2, u64::from(*second)),
        (126, [a, b, ..]) => (4, u64::from(u16::from_be_bytes([*a, *b]))),
        (127, [a, b, c, d, e, f, g, h, ..]) => (MAX_HEADER_BYTES, u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h])),
        (126 | 127, _) => return Ok(None),
        _ => return Err("the server masks its frames, which it must not"),
    };
    if len > MAX_FRAME_BYTES {
        return Err("the server sends a frame of more than 64 MiB");
    }
    Ok(Some((kind, header, len as usize)))
}

/// Code and reason of a close frame.
pub fn close_reason(payload: &[u8]) -> String {
    match payload {
        [a, b, reason @ ..] => {
            let code = u16::from_be_bytes([*a, *b]);
            format!("closed with {code}: {}", String::from_utf8_lossy(reason))
        }
        _ => "closed without a reason".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::encoder;
    use crate::transport::opcode::Opcode;

    #[test]
    fn what_the_server_writes_is_read_in_any_pieces() {
        let lengths = [0, 1, 125, 126, 65_535, 65_536];
        let mut sent = Vec::new();
        for len in lengths {
            encoder::encode_into(&mut sent, Opcode::Text, &vec![b'x'; len]);
        }
        encoder::encode_into(&mut sent, Opcode::Close, &[0x03, 0xE9, b'b', b'y', b'e']);
        let mut input = &sent[..];
        for len in lengths {
            let before = input;
            for cut in [0, 1, 2, 5, 9, 10, len].into_iter().filter(|cut| *cut < len) {
                assert_eq!(next(&mut &before[..cut]), Ok(None), "{cut} of {len}");
            }
            let (kind, payload) = next(&mut input).unwrap().unwrap();
            assert_eq!((kind, payload.len()), (Kind::Text, len));
        }
        let (kind, payload) = next(&mut input).unwrap().unwrap();
        assert_eq!((kind, close_reason(payload).as_str()), (Kind::Close, "closed with 1001: bye"));
        assert!(input.is_empty());
    }

    #[test]
    fn what_is_written_the_server_reads() {
        use crate::transport::decoder::{Decoder, DecoderLimits, Inbound};
        let limits = DecoderLimits { max_frame_bytes: 1 << 20, max_message_bytes: 1 << 20, max_fragments: 1 };
        for len in [0, 125, 126, 65_535, 65_536] {
            let mut sent = Vec::new();
            write(&mut sent, Kind::Text, &vec![b'x'; len], [1, 2, 3, 4]);
            let read = Decoder::new(limits).decode(&mut &mut sent[..]).unwrap().unwrap();
            assert_eq!(read, Inbound::Text(vec![b'x'; len].into()));
        }
    }

    #[test]
    fn what_a_server_must_not_send_is_said() {
        for (bytes, said) in [
            (&[0x01, 0x00][..], "fragments"),
            (&[0xC1, 0x00], "does not know"),
            (&[0x81, 0x80, 0, 0, 0, 0], "masks"),
            (&[0x82, 127, 0xFF, 0, 0, 0, 0, 0, 0, 0], "64 MiB"),
        ] {
            assert!(next(&mut &bytes[..]).unwrap_err().contains(said), "{bytes:?}");
        }
    }
}
