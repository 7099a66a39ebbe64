//! The command line (a stand-in on this branch, to compile `user.rs`).

pub mod user;
