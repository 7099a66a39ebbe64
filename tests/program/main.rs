//! The program as a person at a terminal meets it: the real binary, each test in a folder of its own.

#![expect(clippy::disallowed_methods, reason = "these tests watch a process from outside; there is no worker to block")]

#[path = "../common/authority.rs"]
mod authority;
mod bench;
#[path = "../common/client.rs"]
mod client;
mod configuration;
mod connect;
mod connect_terminal;
mod import;
mod issuers;
#[path = "../common/notes.rs"]
mod notes;
#[path = "../common/process.rs"]
mod process;
mod reload;
mod remote;
mod secrets;
mod shutdown;
mod start;
mod supervisor;
mod tls;
mod token;
mod users;
