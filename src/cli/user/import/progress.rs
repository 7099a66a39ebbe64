//! How far an import is, for a person who waits for it.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

/// Tells a person who waits how far it is.
pub(super) struct Progress {
    verb: &'static str,
    all: Option<usize>,
    terminal: bool,
    told: Instant,
}

impl Progress {
    pub(super) fn new(verb: &'static str, all: Option<usize>) -> Self {
        Progress { verb, all, terminal: io::stderr().is_terminal(), told: Instant::now() }
    }

    pub(super) fn tell(&mut self, count: usize) {
        if self.terminal && self.told.elapsed() >= Duration::from_millis(100) {
            self.told = Instant::now();
            match self.all {
                Some(all) => eprint!("\r\x1b[K{} {count} of {all} users", self.verb),
                None => eprint!("\r\x1b[K{} {count} users", self.verb),
            }
        }
    }

    pub(super) fn end(&self) {
        if self.terminal {
            eprint!("\r\x1b[K");
        }
    }
}
