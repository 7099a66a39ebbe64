//! The seam to the network: what a session needs of a connection, and the WebSocket framing on top of it.
//!
//! A transport moves bytes and nothing else: no queue, no timer, no knowledge of frames. It has one owner on one
//! thread, because a TLS stream can be used only that way.

use std::io;
use std::task::{Context, Poll};

#[cfg(feature = "mount")]
pub mod body;
pub mod decoder;
pub mod encoder;
pub mod opcode;
pub mod socket;
pub mod tls;
pub mod trust;

/// The bytes of one connection after its WebSocket handshake.
pub trait Transport: 'static {
    /// Reads what is there into `buffer` and tells how much; 0 is the end.
    ///
    /// # Errors
    /// Whatever the network says; the connection is over then.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Writes as much of `bytes` as is possible now, without waiting.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when nothing can be taken now: then `poll_writable` is waited for.
    /// Anything else means that the connection is over.
    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Whether some of what `try_write` took is not on its way yet. Then `poll_writable` is waited for too: it sends that
    /// first.
    fn holds_back(&self) -> bool {
        false
    }

    /// Waits until `try_write` is worth another try. Spurious readiness is allowed.
    ///
    /// # Errors
    /// Whatever the network says; the connection is over then.
    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Says that nothing more will be written, so that the peer sees an end and not a reset.
    ///
    /// # Errors
    /// Whatever the network says.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}
