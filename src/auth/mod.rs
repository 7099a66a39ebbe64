//! From credentials to an identity, and from roles to permissions.

pub mod permissions;
