//! A self-hosted WebSocket groups server and the library it is built from.

mod auth;
mod config;
mod error;
mod ids;
mod mask;
#[allow(dead_code, unused_imports, reason = "the session, which uses it, is not written yet")]
mod protocol;
mod session;
mod transport;
mod user;
mod users;

pub use auth::permissions::{HubRole, Permissions, Role, RoleError};
pub use error::{Disconnect, DisconnectKind, ErrorCode, LeaveReason};
pub use ids::{ConnectionId, GroupName, HubName, NameError, Target, UserId};
pub use mask::{Mask, MaskError};
pub use protocol::{Data, DataError, DataType};
pub use user::{User, UserData};

/// What the fuzz targets in `fuzz/` need to see. Exists in their builds only.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::transport::decoder::{Decoder, DecoderLimits, Inbound, Violation};
}
