//! A self-hosted WebSocket groups server and the library it is built from.

mod app;
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

#[cfg(feature = "mount")]
pub use app::Mount;
pub use app::{Running, Server, StartError};
pub use auth::permissions::{HubRole, Permissions, Role, RoleError};
pub use error::{Disconnect, DisconnectKind, ErrorCode, LeaveReason};
pub use event::{Authority, Connection, Disconnected, Event, Joined, Left};
pub use groups::{EnterError, GroupRegistry, Hub, Lease, Permit, Window, messages};
pub use hooks::{Authentication, Connecting, Hooks, Identity, Incoming, LoginAttempt, Said, Verdict};
pub use http::{Problem, Routes};
pub use ids::{ConnectionId, GroupName, HubName, NameError, Target, UserId};
pub use mask::{Mask, MaskError};
pub use protocol::{Data, DataError, DataType};
pub use template::{Template, TemplateError};
pub use user::{User, UserData};

/// What the fuzz targets in `fuzz/` need to see. Exists in their builds only.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::transport::decoder::{Decoder, DecoderLimits, Inbound, Violation};
}
