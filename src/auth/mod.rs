//! From credentials to an identity, and from roles to permissions.

pub mod access_keys;
pub mod audience;
pub mod basic;
pub mod host;
pub mod origin;
pub mod peer;
pub mod permissions;
pub mod token;
