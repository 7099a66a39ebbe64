//! A self-hosted WebSocket groups server and the library it is built from.

mod auth;
mod config;
mod ids;
mod mask;
mod protocol;
mod session;
mod transport;
mod user;
mod users;

pub use auth::permissions::{HubRole, Permissions, Role, RoleError};
pub use ids::{ConnectionId, GroupName, HubName, NameError, Target, UserId};
pub use mask::{Mask, MaskError};
pub use user::{User, UserData};

/// What the fuzz targets in `fuzz/` need to see. Exists in their builds only.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::transport::decoder::{Decoder, DecoderLimits, Inbound, Violation};
}
