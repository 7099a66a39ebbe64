//! The HTTP API: what operators and application servers ask and tell a running server.

pub(super) mod server;
