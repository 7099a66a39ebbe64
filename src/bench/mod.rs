//! The load generator behind `folkmoot bench`: many clients against a server at any URL, and what they saw.
//!
//! It is a client and nothing else: it speaks to the server as everybody does, and knows of its inside only the
//! protocol. What is asked for and how it is printed is in `cli/bench.rs`.

mod acks;
mod client;
mod crowd;
mod error;
mod frames;
mod handshake;
mod histogram;
mod machine;
mod marker;
mod progress;
mod publishing;
mod report;
pub mod scenario;
mod tally;
mod target;

pub use crowd::Bench;
pub use error::BenchError;
pub use machine::raise_descriptor_limit;
pub use progress::Progress;
pub use publishing::Pace;
pub use report::Report;
pub use target::{Credential, Target};
