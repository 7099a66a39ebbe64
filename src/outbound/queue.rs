//! The bounded queue of one connection: frames that are decided but not yet written.

mod dropping;

use std::collections::VecDeque;
use std::io;

pub use self::dropping::SlowConsumers;
use super::Frame;
use super::batch::GATHER_BYTES;

/// How much may wait for one connection.
#[derive(Debug, Clone, Copy)]
pub struct OutboundLimits {
    /// Bytes of encoded frames.
    pub bytes: usize,
    /// Frames.
    pub messages: usize,
}

/// The queue is full: the connection is a slow consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// What came of an attempt to write.
#[derive(Debug)]
pub enum Written {
    /// Nothing is left.
    All,
    /// The kernel takes no more for now.
    Blocked,
    /// The connection is over.
    Broken,
}

/// Where small frames are gathered into one write, one per worker.
#[derive(Default)]
pub struct Scratch(pub(super) Vec<u8>);

impl Scratch {
    /// The front of `queue` as one run of bytes.
    fn gather(&mut self, queue: &VecDeque<Frame>, written: usize) -> &[u8] {
        self.0.clear();
        let mut skip = written;
        for frame in queue {
            if !self.0.is_empty() && self.0.len() + frame.len() > GATHER_BYTES {
                break;
            }
            for piece in frame.pieces(skip) {
                self.0.extend_from_slice(piece);
            }
            skip = 0;
        }
        &self.0
    }
}

/// Frames in the order in which they will be written.
///
/// Empty it owns no memory.
#[derive(Debug, Default)]
pub struct Queue {
    frames: VecDeque<Frame>,
    bytes: usize,
    /// How much of the first frame is written already.
    written: usize,
    /// Messages that were dropped behind everything that is here, for the next one to tell.
    untold: u64,
}

impl Queue {
    /// Adds a frame; an empty queue takes one of any size.
    ///
    /// # Errors
    /// [`Full`] when a limit would be passed; the queue is unchanged.
    pub fn push(&mut self, frame: Frame, limits: OutboundLimits) -> Result<(), Full> {
        if !self.has_room(&frame, limits) {
            return Err(Full);
        }
        self.push_last(frame);
        Ok(())
    }

    fn has_room(&self, frame: &Frame, limits: OutboundLimits) -> bool {
        let fits = self.bytes + frame.len() <= limits.bytes && self.frames.len() < limits.messages;
        fits || self.frames.is_empty()
    }

    /// Adds a frame whatever the limits: the few that end a connection.
    pub fn push_last(&mut self, mut frame: Frame) {
        if self.untold > 0 && frame.is_message() {
            frame.tell_missing(std::mem::take(&mut self.untold));
        }
        self.bytes += frame.len();
        self.frames.push_back(frame);
    }

    /// Adds the first frame, of which `written` bytes are out already.
    pub fn resume(&mut self, frame: Frame, written: usize) {
        debug_assert!(self.is_empty() && written < frame.len());
        self.push_last(frame);
        self.written = written;
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Whether nothing waits, nor anything to be told with the next message.
    pub fn is_at_rest(&self) -> bool {
        self.frames.is_empty() && self.untold == 0
    }

    /// Messages that wait, one that is half written included.
    pub fn messages(&self) -> usize {
        self.frames.len()
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.bytes - self.written
    }

    /// Whether more than half of a limit is taken.
    pub fn is_over_half(&self, limits: OutboundLimits) -> bool {
        self.bytes() > limits.bytes / 2 || self.frames.len() > limits.messages / 2
    }

    /// Drops what has not begun to be written. A frame that has must be finished, or the peer cannot read the next.
    pub fn abandon(&mut self) {
        self.frames.truncate(usize::from(self.written > 0));
        self.frames.shrink_to_fit();
        self.bytes = self.frames.iter().map(Frame::len).sum();
    }

    /// Writes as much as `write` takes.
    pub fn write(&mut self, scratch: &mut Scratch, mut write: impl FnMut(&[u8]) -> io::Result<usize>) -> Written {
        while let Some(first) = self.frames.front() {
            let pieces = first.pieces(self.written);
            let mut left = pieces.iter().filter(|piece| !piece.is_empty());
            let bytes = match (left.next(), left.next()) {
                (Some(piece), None) if self.frames.len() == 1 || piece.len() >= GATHER_BYTES => piece,
                // Too large to be copied for the few bytes around it.
                (Some(piece), _) if first.len() >= GATHER_BYTES => piece,
                _ => scratch.gather(&self.frames, self.written),
            };
            match write(bytes) {
                Ok(0) => return Written::Broken,
                Ok(count) => self.advance(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Written::Blocked,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Written::Broken,
            }
        }
        self.frames = VecDeque::new();
        Written::All
    }

    fn advance(&mut self, count: usize) {
        self.written += count;
        while let Some(first) = self.frames.front() {
            let length = first.len();
            if self.written < length {
                return;
            }
            self.written -= length;
            self.bytes -= length;
            self.frames.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    const LIMITS: OutboundLimits = OutboundLimits { bytes: 100, messages: 3 };

    fn frame(bytes: &[u8]) -> Frame {
        Frame::from(Bytes::copy_from_slice(bytes))
    }

    #[test]
    fn a_full_queue_refuses_by_bytes_and_by_messages() {
        let mut queue = Queue::default();
        assert_eq!(queue.push(frame(&[0; 60]), LIMITS), Ok(()));
        assert_eq!(queue.push(frame(&[0; 41]), LIMITS), Err(Full));
        assert_eq!(queue.push(frame(&[0; 20]), LIMITS), Ok(()));
        assert_eq!(queue.push(frame(&[0; 20]), LIMITS), Ok(()));
        assert_eq!(queue.push(frame(&[]), LIMITS), Err(Full));
        assert_eq!(queue.bytes(), 100);
    }

    #[test]
    fn an_empty_queue_takes_a_frame_larger_than_the_limit() {
        assert_eq!(Queue::default().push(frame(&[0; 500]), LIMITS), Ok(()));
    }

    #[test]
    fn abandoning_keeps_a_frame_that_has_begun_so_that_the_next_can_be_read() {
        let mut queue = Queue::default();
        let limits = OutboundLimits { bytes: 1000, messages: 10 };
        for text in [b"first", b"secnd", b"third"] {
            assert_eq!(queue.push(frame(text), limits), Ok(()));
        }
        let mut out = Vec::new();
        let mut room = 7;
        let blocked = queue.write(&mut Scratch::default(), |bytes| take(&mut out, &mut room, bytes));
        assert!(matches!(blocked, Written::Blocked));
        queue.abandon();
        queue.push_last(frame(b"close"));
        let mut room = 100;
        queue.write(&mut Scratch::default(), |bytes| take(&mut out, &mut room, bytes));
        assert_eq!(out, b"firstsecndclose");
        assert_eq!(queue.bytes(), 0);
    }

    fn take(out: &mut Vec<u8>, room: &mut usize, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(*room);
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        out.extend_from_slice(&bytes[..count]);
        *room -= count;
        Ok(count)
    }

    proptest! {
        #[test]
        fn bytes_come_out_in_order_however_the_kernel_takes_them(
            pushes in prop::collection::vec((prop::collection::vec(any::<u8>(), 1..40), 0usize..60), 1..40),
        ) {
            let limits = OutboundLimits { bytes: usize::MAX / 2, messages: usize::MAX };
            // Two connections share the scratch and some of their frames, as members of one group do.
            let (mut queues, mut outs) = ([Queue::default(), Queue::default()], [Vec::new(), Vec::new()]);
            let (mut scratch, mut expected) = (Scratch::default(), Vec::new());
            for (bytes, mut room) in pushes {
                let shared = frame(&bytes);
                expected.extend_from_slice(&bytes);
                for (queue, out) in queues.iter_mut().zip(&mut outs) {
                    prop_assert_eq!(queue.push(shared.clone(), limits), Ok(()));
                    queue.write(&mut scratch, |bytes| take(out, &mut room, bytes));
                    prop_assert_eq!(out.len() + queue.bytes(), expected.len());
                }
            }
            for (queue, out) in queues.iter_mut().zip(&mut outs) {
                let mut room = usize::MAX;
                prop_assert!(matches!(queue.write(&mut scratch, |bytes| take(out, &mut room, bytes)), Written::All));
                prop_assert_eq!(&*out, &expected);
            }
        }
    }
}
