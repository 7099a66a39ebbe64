//! What a client is connected by: a socket, or TLS over one.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::DEADLINE;

/// A connection in plain text or under TLS.
pub enum Stream {
    /// In plain text.
    Plain(TcpStream),
    /// Under TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Connects, under TLS where there is something to trust.
    pub async fn connect(address: SocketAddr, tls: Option<Arc<ClientConfig>>) -> Self {
        let tcp = TcpStream::connect(address).await.unwrap();
        Stream::over(tcp, tls).await.unwrap()
    }

    /// The same over a socket that is connected.
    pub async fn over(tcp: TcpStream, tls: Option<Arc<ClientConfig>>) -> io::Result<Self> {
        tcp.set_nodelay(true).unwrap();
        let Some(tls) = tls else { return Ok(Stream::Plain(tcp)) };
        let name = tcp.peer_addr().unwrap().ip().into();
        let shaken = timeout(DEADLINE, TlsConnector::from(tls).connect(name, tcp)).await;
        Ok(Stream::Tls(Box::new(shaken.expect("the TLS handshake does not end")?)))
    }

    /// The socket.
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Stream::Plain(tcp) => tcp,
            Stream::Tls(tls) => tls.get_ref().0,
        }
    }

    /// The state of TLS.
    pub fn tls(&self) -> &rustls::ClientConnection {
        match self {
            Stream::Plain(_) => panic!("this is no TLS"),
            Stream::Tls(tls) => tls.get_ref().1,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Stream::Tls(tls) => Pin::new(tls).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Stream::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Stream::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Stream::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
