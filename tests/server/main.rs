//! What the server does, seen from outside: a real server, real WebSocket clients, one file for each behaviour.
#![cfg(feature = "sqlite")]

mod messages;
mod mount;
mod support;
