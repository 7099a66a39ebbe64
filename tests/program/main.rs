//! The program as a person at a terminal meets it: the real binary, each test in a folder of its own.

mod client;
mod configuration;
mod process;
mod secrets;
mod shutdown;
mod start;
mod users;
