//! A self-hosted WebSocket groups server and the library it is built from.

mod auth;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
pub mod config;
mod ids;
mod mask;
mod protocol;
mod template;
mod transport;
mod user;
mod users;

pub use auth::permissions::{HubRole, Permissions, Role, RoleError};
pub use ids::{ConnectionId, GroupName, HubName, NameError, Target, UserId};
pub use mask::{Mask, MaskError};
pub use template::{Template, TemplateError};
pub use user::{User, UserData};
