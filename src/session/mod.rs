//! In work.

#[allow(dead_code, reason = "used by the session, which is not written yet")]
pub(crate) mod ack_ids;
