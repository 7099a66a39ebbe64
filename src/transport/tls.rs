//! The socket taken over from actix-http under TLS: what is written is encrypted here, what is read was.
//!
//! rustls would keep what the kernel does not take, without telling anybody. So it is given no more than one record at a
//! time, and the next only when the last is out: what waits does so in the connection's own queue, where it is bounded.

use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_rt::net::TcpStream;
use rustls::ServerConnection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

use super::Transport;

/// Most bytes that are encrypted before the kernel has taken them: those of one record (RFC 8446, 5.1).
const RECORD_BYTES: usize = 16 * 1024;

/// Has a connection keep no more than one record of what it is given; to be called before its handshake.
pub fn bound(tls: &mut ServerConnection) {
    tls.set_buffer_limit(Some(RECORD_BYTES));
}

impl Transport for TlsStream<TcpStream> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(AsyncRead::poll_read(Pin::new(self), cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    // Not `poll_write`, for the reason told in `socket.rs`.
    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (tcp, tls) = self.get_mut();
        send(tcp, tls)?;
        let mut taken = 0;
        while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            let count = tls.writer().write(rest)?;
            taken += count;
            match send(tcp, tls) {
                Ok(()) if count > 0 => {}
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        if taken == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(taken) }
    }

    fn holds_back(&self) -> bool {
        self.get_ref().1.wants_write()
    }

    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (tcp, tls) = self.get_mut();
        loop {
            match send(tcp, tls) {
                Ok(()) => return tcp.poll_write_ready(cx),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(tcp.poll_write_ready(cx))?,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Says so within TLS first (`close_notify`), so that the peer can tell the end from a cut.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_shutdown(Pin::new(self), cx)
    }
}

/// Hands over to the kernel what is encrypted.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] while some of it is left.
fn send(tcp: &TcpStream, tls: &mut ServerConnection) -> io::Result<()> {
    while tls.wants_write() {
        match tls.write_tls(&mut NotWaiting(tcp)) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A socket as rustls wants it: written to without waiting.
struct NotWaiting<'a>(&'a TcpStream);

impl Write for NotWaiting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::crypto::aws_lc_rs::default_provider;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
    use rustls::{ClientConfig, RootCertStore, ServerConfig};
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;
    use tokio_rustls::{TlsAcceptor, TlsConnector, client};

    use super::*;

    /// Both ends of a connection whose sockets hold little.
    async fn pair() -> (TlsStream<TcpStream>, client::TlsStream<TcpStream>) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let cert: CertificateDer<'static> = made.cert.der().clone();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(default_provider());
        let server = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
        let server = server.unwrap().with_no_client_auth().with_single_cert(vec![cert.clone()], key).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(cert).unwrap();
        let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let client = client.unwrap().with_root_certificates(roots).with_no_client_auth();

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connected = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        socket2::SockRef::from(&accepted).set_send_buffer_size(16 * 1024).unwrap();
        socket2::SockRef::from(&connected).set_recv_buffer_size(16 * 1024).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let (server, client) = tokio::join!(
            TlsAcceptor::from(Arc::new(server)).accept_with(accepted, bound),
            TlsConnector::from(Arc::new(client)).connect(name, connected),
        );
        (server.unwrap(), client.unwrap())
    }

    /// Bytes of which each tells where it stands.
    fn text(len: usize) -> Vec<u8> {
        (0..len).map(|at| (at / 7 % 251) as u8).collect()
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_leaves_all_but_a_record_with_the_writer() {
        let (mut server, _client) = pair().await;
        let bytes = text(64 * 1024);
        let mut rounds = 0;
        let error = loop {
            rounds += 1;
            match server.try_write(&bytes) {
                Ok(_) => assert!(rounds < 1000, "it takes without bound"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(server.holds_back());
        // Of what waits inside nothing more can be written out, so it is the whole of it.
        let mut waiting = Vec::new();
        while server.get_mut().1.wants_write() {
            server.get_mut().1.write_tls(&mut waiting).unwrap();
        }
        assert!(waiting.len() <= RECORD_BYTES + 256, "{}", waiting.len());
    }

    #[tokio::test]
    async fn what_was_taken_reaches_the_peer_also_when_nothing_more_is_written() {
        let (mut server, mut client) = pair().await;
        let bytes = text(1 << 20);
        let mut taken = 0;
        while let Ok(count) = server.try_write(&bytes[taken..]) {
            taken += count;
        }
        assert!(server.holds_back() && taken < bytes.len());
        let reading = async {
            let mut read = vec![0; taken];
            client.read_exact(&mut read).await.unwrap();
            read
        };
        let writable = std::future::poll_fn(|cx| server.poll_writable(cx));
        let (read, writable) = tokio::join!(reading, writable);
        writable.unwrap();
        assert!(read == bytes[..taken], "the bytes are not those that were written");
        assert!(!server.holds_back());
    }

    #[tokio::test]
    async fn the_end_is_told_within_tls_and_behind_everything() {
        let (mut server, mut client) = pair().await;
        let bytes = text(1 << 20);
        let mut taken = 0;
        while let Ok(count) = server.try_write(&bytes[taken..]) {
            taken += count;
        }
        let mut read = Vec::new();
        // Without `close_notify` this read would fail at the end.
        let end = std::future::poll_fn(|cx| Transport::poll_shutdown(&mut server, cx));
        let (read_to_end, end) = tokio::join!(client.read_to_end(&mut read), end);
        end.unwrap();
        assert_eq!(read_to_end.unwrap(), taken);
        assert!(read == bytes[..taken]);
    }
}
