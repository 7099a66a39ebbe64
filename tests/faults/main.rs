//! What happens when peers vanish, stall or flood, hooks misbehave and servers stop: whoever is not to blame notices
//! nothing, nothing is left behind, and nothing grows.

#![expect(clippy::disallowed_methods, reason = "these tests watch a process from outside; there is no worker to block")]

mod busy;
mod churn;
#[path = "../common/client.rs"]
mod client;
mod clock;
mod crowds;
mod descriptors;
mod endings;
mod floods;
mod full;
mod hooks;
#[path = "../common/notes.rs"]
mod notes;
#[path = "../common/process.rs"]
mod process;
mod slow_consumers;
mod stalls;
mod stopped;
mod store;
mod storms;
mod unplugged;
mod vanished;

/// Lets this process and its children open more files than the usual 1,024.
fn open_many_files() {
    let limit = rlimit::increase_nofile_limit(8192).unwrap();
    assert!(limit >= 4096, "these tests need 4096 open files, and the system allows {limit} (ulimit -Hn)");
}
