//! A self-hosted WebSocket groups server and the library it is built from.
//!
//! Clients connect and authenticate; every connection carries its user's data; connections belong to named groups; and
//! anyone permitted sends to one group, to a mask of groups (`sales/*`), or to all members (`*`). A connection that ends
//! is out of every group without anyone having to remember it.
//!
//! # The map
//!
//! A [`Server`] is put together from a [`Config`](config::Config), [`Hooks`] and your own actix-web `App`, and started; what
//! [runs](Running) has an address and can be stopped. The `folkmoot` program is that and a command line.
//!
//! Each WebSocket is a session actor on the worker that accepted it. It holds a [`Connection<U>`](Connection): identity, hub,
//! and the data of its user, of any type that implements [`UserData`] ([`User`] is the server's own). Sessions read; a
//! fan-out actor per worker writes.
//!
//! Each hub, an isolated namespace, has one [`GroupRegistry`] actor, the only writer of membership. What can be said to it is
//! in [`messages`]: `Connect`, `Disconnect`, `Join`, `Leave`, `Broadcast`, `BroadcastTo`, `Send` and the questions. A
//! [`Hub`] is its handle: hooks get one with each call, [`Running::hub`] gives one to everybody else. Its
//! [window](Hub::window) bounds the publishes that are under way.
//!
//! Names are valid from the moment they exist: [`HubName`], [`GroupName`], [`UserId`], [`Mask`], and [`Target`], which is a
//! group or a mask. What may be done is told by [`Role`]s, what is sent is [`Data`], what happened is an [`Event`], and what can
//! go wrong stands in two tables, [`ErrorCode`] for acks and [`DisconnectKind`] for closing. Users come from a
//! [store](users::UserStore), from tokens, or from your `authenticate` hook.
//!
//! The repository has the rest: `docs/protocol.md` for clients, `docs/configuration.md` for operators, and
//! `docs/architecture.md` for why it is built this way.
//!
//! # A message of your own
//!
//! Here people have user data of their own type and log in against your code, and an event of a client becomes a message to
//! the registry, which no other connection can get in between.
//!
//! ```no_run
//! use std::borrow::Cow;
//! use std::sync::Arc;
//!
//! use actix::{Handler, Message};
//! use folkmoot::config::Config;
//! use folkmoot::{
//!     Authentication, ConnectionId, Data, GroupName, GroupRegistry, Hooks, Hub, Identity, Incoming, LoginAttempt, Role, Said,
//!     Server, Target, UserData, UserId, Verdict,
//! };
//!
//! #[derive(serde::Serialize)]
//! struct Employee {
//!     username: String,
//!     department: String,
//! }
//!
//! impl UserData for Employee {
//!     const FIELDS: &'static [&'static str] = &["username", "department"];
//!
//!     fn field(&self, name: &str) -> Option<Cow<'_, str>> {
//!         match name {
//!             "username" => Some(Cow::Borrowed(&self.username)),
//!             "department" => Some(Cow::Borrowed(&self.department)),
//!             _ => None,
//!         }
//!     }
//! }
//!
//! /// Tells every group of a connection how many are in it.
//! #[derive(Message)]
//! #[rtype(result = "usize")]
//! struct HeadCount {
//!     asked_by: ConnectionId,
//! }
//!
//! impl Handler<HeadCount> for GroupRegistry<Employee> {
//!     type Result = usize;
//!
//!     fn handle(&mut self, ask: HeadCount, _: &mut Self::Context) -> usize {
//!         let groups: Vec<GroupName> = self.groups_of(ask.asked_by);
//!         for group in &groups {
//!             let text = format!("{group} has {} members", self.members(group).len());
//!             self.broadcast(&Target::Group(group.clone()), Data::text(text));
//!         }
//!         groups.len()
//!     }
//! }
//!
//! struct Office;
//!
//! impl Hooks<Employee> for Office {
//!     async fn authenticate(&self, attempt: &LoginAttempt) -> Authentication<Employee> {
//!         if (attempt.login.as_str(), attempt.password.as_str()) != ("user-1", "password-1") {
//!             return Authentication::Denied;
//!         }
//!         let mark = Employee { username: "Mark".into(), department: "Sales".into() };
//!         let roles = vec![Role::SendToGroup(None), Role::JoinLeaveGroup(None)];
//!         let user_id = UserId::parse(&attempt.login).ok();
//!         // The join rule "{department}" puts Mark into Sales.
//!         Authentication::Accepted(Identity { user_id, user: Some(Arc::new(mark)), roles, groups: Vec::new() })
//!     }
//!
//!     async fn message(&self, hub: &Hub<Employee>, incoming: &Incoming<Employee>) -> Verdict {
//!         match &incoming.said {
//!             Said::Event(name) if name == "headCount" => {
//!                 match hub.registry().send(HeadCount { asked_by: incoming.connection.id }).await {
//!                     Ok(_) => Verdict::Handled,
//!                     Err(_) => Verdict::Deny("The hub has ended.".into()),
//!                 }
//!             }
//!             _ => Verdict::Allow,
//!         }
//!     }
//! }
//!
//! #[actix_web::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let config = Config::load_for::<Employee>(None, std::env::vars(), &[])?.config;
//!     let running = Server::with_user_data(config, |_| None).hooks(Office).start().await?;
//!     println!("ws://{}/ws", running.address());
//!     tokio::signal::ctrl_c().await?;
//!     running.stop().await;
//!     Ok(())
//! }
//! ```
//!
//! # Features
//!
//! All are on by default. Without them there is the library alone, for which you bring a [store](Server::store) of your own.
//!
//! | feature | what it adds |
//! | --- | --- |
//! | `cli` | the `folkmoot` program: arguments, log output, passwords typed at a terminal |
//! | `mount` | the same sessions inside an `actix_web::HttpServer` of yours, by actix-web-actors |
//! | `postgres` | the user store in PostgreSQL |
//! | `sqlite` | the user store in an SQLite file, which is the default store |

mod app;
mod auth;
#[cfg(feature = "cli")]
mod bench;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
mod clock;
pub mod config;
mod error;
mod event;
pub mod filter;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod groups;
mod hooks;
mod http;
mod ids;
mod issuers;
mod mask;
mod metrics;
mod monitor;
mod outbound;
mod protocol;
mod session;
mod template;
mod transport;
mod user;
pub mod users;
mod webhooks;

#[cfg(feature = "mount")]
pub use app::Mount;
pub use app::{CertificateError, ReloadError, Running, Server, StartError};
pub use auth::pattern;
pub use auth::permissions::{Action, HubRole, Permissions, Role, RoleError, TooManyRoles};
pub use error::{Disconnect, DisconnectKind, ErrorCode, LeaveReason};
pub use event::{Authority, Connection, Disconnected, Event, Joined, Left, Upstream};
pub use groups::{EnterError, GroupRegistry, Hub, Lease, Permit, Window, messages};
pub use hooks::{Authentication, Connecting, Hooks, Identity, Incoming, LoginAttempt, Said, Verdict};
pub use http::{Problem, Routes, SettingsError};
pub use ids::{ConnectionId, GroupName, HubName, NameError, Target, UserId};
pub use mask::{Mask, MaskError};
pub use protocol::{Data, DataError, DataType};
pub use template::{Template, TemplateError};
pub use user::{User, UserData};

/// What `benches/` measure and nobody else may use: it changes without notice.
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals {
    pub use crate::groups::Slots;
    pub use crate::groups::deliver::Publication;
    pub use crate::groups::internals::{Entry, GroupIndex, MaskIndex, Membership};
    pub use crate::groups::{Greeting, HeartbeatSettings, MembershipLimits, Place};
    pub use crate::metrics::Metrics;
    pub use crate::outbound::{Link, LinkSettings, OutboundLimits, SlowConsumers};
    pub use crate::protocol::Subprotocol;
    pub use crate::protocol::json::{GroupMessage, ParseOptions, group_message, parse};
    pub use crate::transport::Transport;
    pub use crate::transport::decoder::{Decoder, DecoderLimits};
    pub use crate::transport::encoder::{encode, text as encode_text};
    pub use crate::transport::opcode::Opcode;
}

/// The README's example, which is compiled as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
