//! What has to hold for any bytes from outside, one property a file: run by the fuzz targets in `fuzz/` on bytes that
//! libFuzzer makes up, and by ordinary tests on every file of the corpora that it left behind.
//!
//! Exists in those two builds only. Each property takes any bytes, compares our answer with one that was found in
//! another, simpler way, and panics where they differ.

mod api_request;
mod client_frame;
mod configuration;
#[cfg(test)]
mod corpora;
mod credentials;
mod filter;
mod frame_reader;
mod names;

pub use api_request::api_request;
pub use client_frame::client_frame;
pub use configuration::configuration;
pub use credentials::credentials;
pub use filter::filter;
pub use frame_reader::frame_reader;
pub use names::names;
