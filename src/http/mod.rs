//! The HTTP side: who may connect, and the routes beside the WebSocket.

pub mod access;
pub mod admission;
pub(crate) mod api;
mod body;
mod cors;
mod entrance;
pub mod handshake;
pub mod health;
pub mod identity;
mod live;
mod login;
mod metrics;
#[cfg(feature = "mount")]
pub mod mounted;
pub mod pages;
pub mod porch;
mod problem;
pub mod recovery;
mod routes;
mod seats;
pub mod services;
pub mod upgrade;
mod upstream;

pub use entrance::Entrance;
pub use live::{Live, SettingsError};
pub use problem::Problem;
pub use routes::Routes;
pub use seats::{Seat, Seats, Share, Shares};
pub use services::Services;
