//! What the server does, seen from outside: a real server, real WebSocket clients, one file for each behaviour.
#![cfg(feature = "sqlite")]

mod announcements;
mod api_tokens;
mod authentication;
mod framing;
mod groups;
mod handshake;
mod hooks;
mod hubs;
mod internal;
mod library;
mod limits;
mod listeners;
mod logins;
mod many_groups;
mod masks;
mod messages;
mod mount;
mod operations;
mod order;
mod origins;
mod pages;
mod permissions;
mod porch;
mod questions;
mod questions_cost;
mod rates;
mod raw_clients;
mod reference;
mod seats;
mod support;
mod tls;
mod tokens;
mod user_data;
