//! The server's side of RFC 6455 framing: bytes from a client become messages, pings, pongs and a close.
//!
//! Pure: no socket, no clock, no actor. One chunk that was read into a buffer shared by all connections of a worker is
//! unmasked in place; a frame that is whole in it costs one copy, and only what is incomplete is kept here. Frames are
//! refused by their header, before any of their payload is kept. Answering pings and closes is not done here.

mod header;
mod pending;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
mod violation;

use bytes::Bytes;

use self::header::{Header, unmask};
use self::pending::{Pending, Progress};
pub use self::violation::Violation;
use crate::transport::opcode::Opcode;

/// What a peer may make us hold. Control frames have their own limit in the RFC (125 bytes) and are not measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecoderLimits {
    /// Largest payload of one data frame.
    pub max_frame_bytes: usize,
    /// Largest message, all its fragments together.
    pub max_message_bytes: usize,
    /// Most frames that one message may come in, empty ones included.
    pub max_fragments: u32,
}

/// What a peer sent, complete and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inbound {
    /// A text message; the bytes are UTF-8.
    Text(Bytes),
    /// A binary message.
    Binary(Bytes),
    /// A ping, to be answered by a pong with the same payload.
    Ping(Bytes),
    /// A pong. Its payload is dropped: any pong proves that the peer lives.
    Pong,
    /// The peer closes, with a code and a reason if it gave any. Nothing comes after it.
    Close(Option<(u16, String)>),
}

/// Decodes what one client sends.
///
/// Idle, it is 40 bytes without heap memory. It never holds more than `max_message_bytes`, one control frame (125 bytes)
/// and 96 bytes of bookkeeping.
#[derive(Debug)]
pub struct Decoder {
    limits: DecoderLimits,
    pending: Option<Box<Pending>>,
    stopped: bool,
}

impl Decoder {
    /// A decoder for a connection that has sent nothing yet.
    pub fn new(limits: DecoderLimits) -> Self {
        Decoder { limits, pending: None, stopped: false }
    }

    /// Takes bytes from the front of `input` up to the end of the next event, unmasking in place.
    ///
    /// `Ok(None)` means that all of `input` was taken and what was incomplete is kept, so its memory may be reused; call
    /// again with the rest of `input` otherwise. After a close or a violation all further input is dropped unread.
    ///
    /// # Errors
    /// [`Violation`], once: the connection is to be closed with its code.
    pub fn decode(&mut self, input: &mut &mut [u8]) -> Result<Option<Inbound>, Violation> {
        if self.stopped {
            std::mem::take(input);
            return Ok(None);
        }
        let outcome = self.next_event(input);
        if matches!(outcome, Err(_) | Ok(Some(Inbound::Close(_)))) {
            self.stopped = true;
            self.pending = None;
            std::mem::take(input);
        }
        self.pending.take_if(|pending| pending.is_idle());
        outcome
    }

    /// Heap memory held for what is incomplete.
    #[cfg(any(test, fuzzing))]
    pub fn buffered_bytes(&self) -> usize {
        self.pending.as_ref().map_or(0, |pending| pending.bytes())
    }

    fn next_event(&mut self, input: &mut &mut [u8]) -> Result<Option<Inbound>, Violation> {
        loop {
            if !self.pending.as_ref().is_some_and(|pending| pending.has_open_frame()) {
                let Some(header) = self.next_header(input)? else { return Ok(None) };
                let len = self.admit(&header)?;
                if header.stands_alone()
                    && let Some(payload) = input.split_off_mut(..len)
                {
                    unmask(payload, header.key);
                    return whole_event(header.opcode, payload).map(Some);
                }
                self.pending.get_or_insert_default().open(header, len);
            }
            match self.pending.get_or_insert_default().fill(input, &self.limits)? {
                Progress::NeedMore => return Ok(None),
                Progress::Fragment => {}
                Progress::Event(event) => return Ok(Some(event)),
            }
        }
    }

    /// The next header, from the input alone if it is all there and nothing was kept.
    fn next_header(&mut self, input: &mut &mut [u8]) -> Result<Option<Header>, Violation> {
        if self.pending.as_ref().is_none_or(|pending| pending.header.is_empty()) {
            if input.is_empty() {
                return Ok(None);
            }
            if let Some((header, len)) = Header::parse(input)?
                && input.split_off_mut(..len).is_some()
            {
                return Ok(Some(header));
            }
        }
        self.pending.get_or_insert_default().header.complete(input)
    }

    /// Whether a frame may come now and is within the limits; its length, which is then one that we can hold.
    fn admit(&self, header: &Header) -> Result<usize, Violation> {
        let len = usize::try_from(header.len).map_err(|_| Violation::TooBig)?;
        if header.opcode.is_control() {
            return Ok(len);
        }
        let open = self.pending.as_ref().and_then(|pending| pending.message());
        let assembled = match (header.opcode, open) {
            (Opcode::Continuation, None) => return Err(Violation::UnexpectedContinuation),
            (Opcode::Continuation, Some(message)) if message.fragments() >= self.limits.max_fragments => {
                return Err(Violation::TooManyFragments);
            }
            (Opcode::Continuation, Some(message)) => message.len(),
            (_, Some(_)) => return Err(Violation::InterruptedMessage),
            (_, None) => 0,
        };
        let room = self.limits.max_message_bytes.saturating_sub(assembled);
        if len > self.limits.max_frame_bytes.min(room) {
            return Err(Violation::TooBig);
        }
        Ok(len)
    }
}

/// The event of a frame that stands alone and was whole in the input.
fn whole_event(opcode: Opcode, payload: &[u8]) -> Result<Inbound, Violation> {
    match opcode {
        Opcode::Text if std::str::from_utf8(payload).is_err() => Err(Violation::InvalidUtf8),
        Opcode::Text => Ok(Inbound::Text(Bytes::copy_from_slice(payload))),
        Opcode::Binary => Ok(Inbound::Binary(Bytes::copy_from_slice(payload))),
        _ => control_event(opcode, payload),
    }
}

fn control_event(opcode: Opcode, payload: &[u8]) -> Result<Inbound, Violation> {
    match opcode {
        Opcode::Ping => Ok(Inbound::Ping(Bytes::copy_from_slice(payload))),
        Opcode::Close => parse_close(payload).map(Inbound::Close),
        _ => Ok(Inbound::Pong),
    }
}

fn parse_close(payload: &[u8]) -> Result<Option<(u16, String)>, Violation> {
    if payload.is_empty() {
        return Ok(None);
    }
    let (code, reason) = payload.split_first_chunk::<2>().ok_or(Violation::TruncatedCloseCode)?;
    let code = u16::from_be_bytes(*code);
    // Section 7.4 and IANA's registry: 1004 is reserved, 1005, 1006 and 1015 are never sent.
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(Violation::CloseCode(code));
    }
    let reason = std::str::from_utf8(reason).map_err(|_| Violation::InvalidUtf8)?;
    Ok(Some((code, reason.to_owned())))
}
