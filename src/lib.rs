//! A self-hosted WebSocket groups server and the library it is built from.

mod auth;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
pub mod config;
mod error;
mod event;
mod groups;
mod hooks;
mod http;
mod ids;
mod mask;
mod metrics;
mod outbound;
mod protocol;
mod session;
mod template;
mod transport;
mod user;
pub mod users;

pub use auth::permissions::{HubRole, Permissions, Role, RoleError};
pub use ids::{ConnectionId, GroupName, HubName, NameError, Target, UserId};
pub use mask::{Mask, MaskError};
pub use user::{User, UserData};
