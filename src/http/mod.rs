//! The HTTP side: who may connect, and the routes beside the WebSocket.

pub mod admission;
mod health;
pub mod lobby;
mod login;
mod metrics;
#[cfg(feature = "mount")]
pub mod mounted;
mod problem;
mod routes;
mod seats;
pub mod services;
pub mod upgrade;

pub use problem::Problem;
pub use routes::Routes;
pub use seats::{Seat, Seats, Share, Shares};
pub use services::Services;
