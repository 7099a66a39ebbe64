//! The socket taken over from actix-http: plain TCP.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_rt::net::TcpStream;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Transport;

impl Transport for TcpStream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        match AsyncRead::poll_read(Pin::new(self), cx, &mut buffer) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(buffer.filled().len())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }

    // Not `poll_write`: that counts against tokio's budget of a task, and a fan-out writes to a thousand sockets in one go.
    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        TcpStream::try_write(self, bytes)
    }

    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write_ready(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_shutdown(Pin::new(self), cx)
    }
}

/// Prepares a socket for connections that live long: no delay for small frames, and an end when bytes stay
/// unacknowledged for `user_timeout` (Linux; elsewhere the heartbeat alone finds out).
///
/// What is set on a listener, Linux sets on all that it accepts, without a system call for each.
pub fn tune(socket: &SockRef<'_>, user_timeout: Duration) {
    let keepalive = TcpKeepalive::new().with_time(user_timeout).with_interval(user_timeout / 3);
    let set = socket
        .set_tcp_nodelay(true)
        .and_then(|()| socket.set_tcp_keepalive(&keepalive))
        .and_then(|()| user_timeout_of(socket, user_timeout));
    // A refused option costs precision, not the connection.
    if let Err(error) = set {
        log::debug!(error:%; "a socket option was refused");
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn user_timeout_of(socket: &SockRef<'_>, timeout: Duration) -> io::Result<()> {
    socket.set_tcp_user_timeout(Some(timeout))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn user_timeout_of(_: &SockRef<'_>, _: Duration) -> io::Result<()> {
    Ok(())
}
