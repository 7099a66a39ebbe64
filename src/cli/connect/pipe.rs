//! Lines from a pipe: read by a thread of its own, no further ahead than a few.

use std::io::{self, BufRead, Read};
use std::thread;

use tokio::sync::mpsc;

use super::conversation::MAX_TEXT_BYTES;

/// Lines that are read before they are needed.
const AHEAD: usize = 16;

/// What the user wants.
#[derive(Debug)]
pub enum Input {
    /// A line. A line editor waits until it may go on.
    Line(String, Option<std::sync::mpsc::Sender<()>>),
    /// A line that cannot be one, and why.
    Unfit(&'static str),
    /// There will be no more.
    End,
    /// Ctrl-C in the line editor.
    Interrupt,
    /// There will be no more, because of an error.
    Broken(String),
}

/// Reads the standard input to its end.
pub fn lines() -> mpsc::Receiver<Input> {
    let (inputs, receiver) = mpsc::channel(AHEAD);
    thread::spawn(move || {
        let mut source = io::stdin().lock();
        loop {
            let input = next(&mut source);
            let last = matches!(input, Input::End | Input::Broken(_));
            if inputs.blocking_send(input).is_err() || last {
                return;
            }
        }
    });
    receiver
}

fn next(source: &mut impl BufRead) -> Input {
    let mut line = Vec::new();
    // Room for the end of the line, so that the longest one can be told from one that is longer.
    match source.by_ref().take(MAX_TEXT_BYTES as u64 + 2).read_until(b'\n', &mut line) {
        Ok(0) => return Input::End,
        Ok(_) => {}
        Err(error) => return Input::Broken(format!("the standard input cannot be read: {error}")),
    }
    let whole = line.ends_with(b"\n");
    if whole {
        line.pop();
        if line.ends_with(b"\r") {
            line.pop();
        }
    }
    if line.len() > MAX_TEXT_BYTES {
        if !whole && let Err(error) = skip_line(source) {
            return Input::Broken(format!("the standard input cannot be read: {error}"));
        }
        return Input::Unfit("A line is not sent: it is longer than 1,000,000 bytes.");
    }
    match String::from_utf8(line) {
        Ok(line) => Input::Line(line, None),
        Err(_) => Input::Unfit("A line is not sent: it is not valid UTF-8."),
    }
}

/// Goes to the next line without keeping the rest of this one.
fn skip_line(source: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = source.fill_buf()?;
        let (length, end) = (buffer.len(), memchr::memchr(b'\n', buffer));
        source.consume(end.map_or(length, |end| end + 1));
        if end.is_some() || length == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Vec<String> {
        let mut source = text;
        let mut found = Vec::new();
        loop {
            match next(&mut source) {
                Input::Line(line, _) => found.push(line),
                Input::Unfit(why) => found.push(format!("!{}", why.len())),
                Input::End => return found,
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn lines_end_as_they_do_everywhere() {
        assert_eq!(read(b"a\nb c\r\n\nd"), ["a", "b c", "", "d"]);
        assert_eq!(read(b""), [""; 0]);
    }

    #[test]
    fn what_cannot_be_sent_does_not_hold_up_the_next_line() {
        let longest = "x".repeat(MAX_TEXT_BYTES);
        assert_eq!(read(format!("{longest}\nb").as_bytes()), [longest.as_str(), "b"]);
        for more in [1, 2, 3, 5_000_000] {
            let found = read(format!("{longest}{}\nb\n", "y".repeat(more)).as_bytes());
            assert!(found.len() == 2 && found[0].starts_with('!') && found[1] == "b", "{more}");
        }
        assert_eq!(read(b"\xff\nb").len(), 2);
    }
}
