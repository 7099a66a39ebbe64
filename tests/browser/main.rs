//! The pages as people meet them: the real program, and a real Chromium without a screen.

#![expect(clippy::disallowed_methods, reason = "these tests watch processes from outside; there is no worker to block")]

mod driver;
mod harness;
#[path = "../program/process.rs"]
mod process;
mod support;
