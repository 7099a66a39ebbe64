//! A self-hosted WebSocket groups server and the library it is built from.

mod auth;
#[cfg(feature = "cli")]
pub mod cli;
mod config;
mod ids;
mod mask;
mod protocol;
mod transport;
mod user;
pub mod users;

pub use auth::permissions::{HubRole, Permissions, Role, RoleError};
pub use ids::{ConnectionId, GroupName, HubName, NameError, Target, UserId};
pub use mask::{Mask, MaskError};
pub use user::{User, UserData};
