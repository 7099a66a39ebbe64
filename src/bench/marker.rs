//! What is sent: a text that tells our own messages from all others (announcements, other people's), who published it,
//! as which of theirs, and when.

use std::time::Duration;

use memchr::memmem::Finder;

/// `fmb`, the run, and in hexadecimal: publisher, number, microseconds.
const FIXED_BYTES: usize = 3 + 1 + 8 + 1 + 8 + 1 + 8 + 1 + 16;

/// Makes and recognises the messages of one run.
#[derive(Debug, Clone)]
pub struct Marker {
    finder: Finder<'static>,
    prefix: String,
}

/// What stands in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Who published it.
    pub publisher: u32,
    /// Which of that publisher's messages it is.
    pub number: u32,
    /// When it was sent, or should have been.
    pub at: Duration,
}

impl Marker {
    /// A marker that no other run has.
    pub fn new(run: u32) -> Self {
        let prefix = format!("fmb-{run:08x}-");
        Marker { finder: Finder::new(&prefix).into_owned(), prefix }
    }

    /// Appends a text of `len` bytes, or of as many as it takes.
    pub fn write(&self, out: &mut Vec<u8>, stamp: Stamp, len: usize) {
        use std::io::Write;
        let (publisher, number, at) = (stamp.publisher, stamp.number, stamp.at.as_micros() as u64);
        // A vector takes everything.
        let _: std::io::Result<()> = write!(out, "{}{publisher:08x}-{number:08x}-{at:016x}", self.prefix);
        out.resize(out.len() + len.saturating_sub(FIXED_BYTES), b'.');
    }

    /// What stands in a frame, if it is one of ours.
    pub fn read(&self, frame: &[u8]) -> Option<Stamp> {
        let start = self.finder.find(frame)? + self.prefix.len();
        let text = std::str::from_utf8(frame.get(start..start + 34)?).ok()?;
        let mut parts = text.splitn(3, '-');
        let mut part = || u64::from_str_radix(parts.next()?, 16).ok();
        let (publisher, number, at) = (part()?, part()?, part()?);
        Some(Stamp { publisher: publisher as u32, number: number as u32, at: Duration::from_micros(at) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_comes_back_out_of_a_message_and_of_no_other_runs() {
        let marker = Marker::new(7);
        let stamp = Stamp { publisher: 3, number: u32::MAX, at: Duration::from_micros(123_456_789) };
        for len in [0, FIXED_BYTES, 128] {
            let mut frame = br#"{"type":"message","data":""#.to_vec();
            let before = frame.len();
            marker.write(&mut frame, stamp, len);
            assert_eq!(frame.len() - before, len.max(FIXED_BYTES));
            frame.extend_from_slice(b"\"}");
            assert_eq!(marker.read(&frame), Some(stamp));
            assert_eq!(Marker::new(8).read(&frame), None);
        }
        assert_eq!(marker.read(b"fmb-00000007-short"), None);
        assert_eq!(marker.read("Mark has logged in.".as_bytes()), None);
    }
}
