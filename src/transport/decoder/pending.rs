//! What a connection has sent only in part: a header, a frame, a fragmented message.
//!
//! This exists (on the heap) only while something is incomplete, so an idle connection pays nothing for it. Memory
//! follows the bytes that arrived, never the lengths that were claimed.

use bytes::Bytes;

use super::header::{Header, PartialHeader, unmask};
use super::{DecoderLimits, Inbound, Violation, control_event};
use crate::transport::opcode::Opcode;

/// Everything incomplete of one connection.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) header: PartialHeader,
    frame: Option<OpenFrame>,
    /// The payload so far of a control frame; apart from `message`, since it may come between two fragments.
    control: Vec<u8>,
    message: Option<Message>,
}

/// A frame whose header was admitted and whose payload is not all here.
#[derive(Debug)]
struct OpenFrame {
    fin: bool,
    opcode: Opcode,
    /// Turned so that it belongs to the next byte.
    key: [u8; 4],
    missing: usize,
}

/// How far the input brought the open frame.
pub(super) enum Progress {
    /// The input is used up and the frame is not complete.
    NeedMore,
    /// The frame is complete, its message is not.
    Fragment,
    /// The frame is complete and so is an event.
    Event(Inbound),
}

impl Pending {
    /// Whether nothing is incomplete any more, so that this can be freed.
    pub(super) fn is_idle(&self) -> bool {
        self.header.is_empty() && self.frame.is_none() && self.message.is_none()
    }

    pub(super) fn has_open_frame(&self) -> bool {
        self.frame.is_some()
    }

    pub(super) fn message(&self) -> Option<&Message> {
        self.message.as_ref()
    }

    /// Heap memory held, this structure included.
    #[cfg(any(test, fuzzing))]
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.control.capacity() + self.message.as_ref().map_or(0, |m| m.data.capacity())
    }

    /// Begins a frame that was admitted: its place in the order of frames is right and its size is within the limits.
    pub(super) fn open(&mut self, header: Header, missing: usize) {
        let Header { fin, opcode, key, .. } = header;
        if !opcode.is_control() {
            self.message.get_or_insert_with(|| Message::new(opcode)).fragments += 1;
        }
        self.frame = Some(OpenFrame { fin, opcode, key, missing });
    }

    /// Moves what the open frame still misses from the front of `input` into our own storage.
    pub(super) fn fill(&mut self, input: &mut &mut [u8], limits: &DecoderLimits) -> Result<Progress, Violation> {
        let Some(frame) = &mut self.frame else { return Ok(Progress::NeedMore) };
        let take = frame.missing.min(input.len());
        let payload = input.split_off_mut(..take).unwrap_or_default();
        frame.key = unmask(payload, frame.key);
        let (fin, opcode, expected) = (frame.fin, frame.opcode, frame.missing);
        frame.missing -= take;
        let complete = frame.missing == 0;
        if complete {
            self.frame = None;
        }
        if opcode.is_control() {
            let bound = self.control.len() + expected;
            append(&mut self.control, payload, bound);
            if !complete {
                return Ok(Progress::NeedMore);
            }
            let payload = std::mem::take(&mut self.control);
            return control_event(opcode, &payload).map(Progress::Event);
        }
        let Some(message) = &mut self.message else { return Ok(Progress::NeedMore) };
        let bound = if fin { message.data.len() + expected } else { limits.max_message_bytes };
        message.push(payload, bound)?;
        if !complete {
            return Ok(Progress::NeedMore);
        }
        match self.message.take_if(|_| fin) {
            Some(message) => message.finish().map(Progress::Event),
            None => Ok(Progress::Fragment),
        }
    }
}

/// A data message under assembly.
#[derive(Debug)]
pub(super) struct Message {
    is_text: bool,
    data: Vec<u8>,
    /// How much of `data` is known to be UTF-8. At most 3 bytes less than all of it, in a text.
    verified: usize,
    fragments: u32,
}

impl Message {
    fn new(opcode: Opcode) -> Self {
        Message { is_text: opcode == Opcode::Text, data: Vec::new(), verified: 0, fragments: 0 }
    }

    /// Bytes assembled so far.
    pub(super) fn len(&self) -> usize {
        self.data.len()
    }

    /// Frames begun so far.
    pub(super) fn fragments(&self) -> u32 {
        self.fragments
    }

    fn push(&mut self, payload: &[u8], bound: usize) -> Result<(), Violation> {
        append(&mut self.data, payload, bound);
        if !self.is_text {
            return Ok(());
        }
        // Only what is new is looked at, and a character that was cut: bad text fails with the byte that spoils it.
        match std::str::from_utf8(self.data.get(self.verified..).unwrap_or_default()) {
            Ok(_) => self.verified = self.data.len(),
            Err(error) if error.error_len().is_some() => return Err(Violation::InvalidUtf8),
            Err(error) => self.verified += error.valid_up_to(),
        }
        Ok(())
    }

    fn finish(self) -> Result<Inbound, Violation> {
        if !self.is_text {
            return Ok(Inbound::Binary(Bytes::from(self.data)));
        }
        if self.verified < self.data.len() {
            return Err(Violation::InvalidUtf8);
        }
        Ok(Inbound::Text(Bytes::from(self.data)))
    }
}

/// Appends, doubling the memory as needed but never beyond `bound`, which is what the limits or the frame allow.
fn append(data: &mut Vec<u8>, payload: &[u8], bound: usize) {
    let needed = data.len() + payload.len();
    if needed > data.capacity() {
        let target = needed.max(bound.min(data.capacity() * 2));
        data.reserve_exact(target - data.len());
    }
    data.extend_from_slice(payload);
}
