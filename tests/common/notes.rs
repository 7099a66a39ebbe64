//! What a test tells of a machine on which it has nothing to do.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::io::Write;

/// Tells that a test had nothing to do because something is not installed; `.ci/run` takes that for a failure.
pub fn skipped(test: &str, why: &str) {
    say("SKIPPED", test, why);
}

/// Tells that this machine does not allow what a test would do, which is nobody's failure.
pub fn not_done(test: &str, why: &str) {
    say("NOT DONE", test, why);
}

/// Not `eprintln!`, which the test harness keeps to itself when a test succeeds. In one piece, as tests run side by side.
fn say(verdict: &str, test: &str, why: &str) {
    let _ = std::io::stderr().write_all(format!("{verdict} {test}: {why}\n").as_bytes());
}
