//! In work.

#[allow(dead_code, reason = "used by the socket, which is not written yet")]
pub(crate) mod decoder;
#[allow(dead_code, reason = "used by the socket, which is not written yet")]
pub(crate) mod encoder;
#[allow(dead_code, reason = "used by the decoder and the encoder")]
pub(crate) mod opcode;
