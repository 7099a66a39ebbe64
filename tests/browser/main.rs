//! The pages as people meet them: the real program, and a real Chromium without a screen.

#![expect(clippy::disallowed_methods, reason = "these tests watch processes from outside; there is no worker to block")]

mod accessibility;
mod api_page;
mod cable;
mod chat;
mod chat_faults;
mod chat_looks;
mod chat_page;
#[path = "../common/client.rs"]
mod client;
mod crowd;
mod dashboard;
mod dashboard_places;
mod dashboard_scale;
mod driver;
mod harness;
#[path = "../common/notes.rs"]
mod notes;
#[path = "../common/process.rs"]
mod process;
mod support;
#[path = "../server/support/token.rs"]
mod token;
