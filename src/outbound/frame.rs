//! One encoded frame on its way to one connection.

use bytes::Bytes;

/// A frame as bytes: what all receivers share, and what only this one gets.
///
/// The tail is how a message that was encoded once will still carry a sequence id of its own.
#[derive(Debug, Clone)]
pub struct Frame {
    shared: Bytes,
    tail: Option<Box<[u8]>>,
}

impl Frame {
    /// How many bytes the frame takes on the wire.
    pub fn len(&self) -> usize {
        self.shared.len() + self.tail.as_ref().map_or(0, |tail| tail.len())
    }

    /// What is left after `written` bytes, in at most two pieces.
    pub fn pieces(&self, written: usize) -> [&[u8]; 2] {
        let shared = self.shared.get(written..).unwrap_or_default();
        let tail = self.tail.as_deref().unwrap_or_default();
        [shared, tail.get(written.saturating_sub(self.shared.len())..).unwrap_or_default()]
    }

    /// The whole frame, where nothing of it is the connection's own.
    pub fn in_one_piece(&self) -> Option<&[u8]> {
        self.tail.is_none().then_some(&self.shared)
    }

    /// Whether both are the same bytes in memory, so that what was gathered for one serves the other.
    pub fn is_same(&self, other: &Frame) -> bool {
        self.shared.as_ptr() == other.shared.as_ptr()
            && self.shared.len() == other.shared.len()
            && self.tail.is_none()
            && other.tail.is_none()
    }
}

impl From<Bytes> for Frame {
    fn from(shared: Bytes) -> Self {
        Frame { shared, tail: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_follow_what_was_written_across_the_tail() {
        let frame = Frame { shared: Bytes::from_static(b"abc"), tail: Some(Box::from(&b"de"[..])) };
        assert_eq!(frame.len(), 5);
        for written in 0..=5 {
            assert_eq!(frame.pieces(written).concat(), &b"abcde"[written..]);
        }
    }
}
