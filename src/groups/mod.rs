//! Groups: who is in them, and how a message reaches everybody in them.
//!
//! [`GroupRegistry`] is the only writer of membership; a fan-out per worker serves that worker's connections. What
//! they say to each other, and what others may say to the registry, is in [`messages`].

mod ack_ids;
pub mod deliver;
mod fanout;
mod fatal;
mod heartbeat;
mod hub;
mod hubs;
pub mod index;
pub mod inner;
mod local;
mod membership;
pub mod messages;
pub mod operate;
mod outbox;
mod registry;
mod requests;
mod slots;
pub mod watch;
mod window;

pub use hub::Hub;
pub use hubs::{EnterError, HubRules, Hubs, Lease, OpenHub};
pub use local::{Fanouts, LocalFanout};
pub use membership::MembershipLimits;
#[cfg(any(test, feature = "internals"))]
pub use membership::Place;
pub use outbox::{Outbox, Outboxes};
pub use registry::{GroupRegistry, RegistrySettings};
pub use slots::{Greeting, HeartbeatSettings, Lost, Slots};
pub use window::{Permit, Window};

/// For `benches/`.
#[cfg(feature = "internals")]
pub mod internals {
    pub use super::index::{GroupIndex, MaskIndex};
    pub use super::membership::{Entry, Membership};
}
