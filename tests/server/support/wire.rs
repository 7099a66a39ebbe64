//! A WebSocket connection at the level of bytes, for what no client library would send.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Answer, DEADLINE, SUBPROTOCOL, basic};

/// A frame of the server.
#[derive(Debug, PartialEq)]
pub struct WireFrame {
    /// FIN, the reserved bits and the opcode.
    pub first: u8,
    /// The payload.
    pub payload: Vec<u8>,
}

impl WireFrame {
    /// The code and the reason of a close frame.
    pub fn close(&self) -> (u16, &str) {
        assert_eq!(self.first, 0x88, "{self:?}");
        let (code, reason) = self.payload.split_at(2);
        (u16::from_be_bytes([code[0], code[1]]), std::str::from_utf8(reason).unwrap())
    }
}

/// The header of a masked frame; the mask is all zeros, so that payloads stand as they are.
pub fn client_header(first: u8, len: usize) -> Vec<u8> {
    let mut header = vec![first];
    match len {
        0..126 => header.push(0x80 | len as u8),
        126..0x1_0000 => {
            header.push(0x80 | 126);
            header.extend_from_slice(&(len as u16).to_be_bytes());
        }
        _ => {
            header.push(0x80 | 127);
            header.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    header.extend_from_slice(&[0; 4]);
    header
}

/// A masked frame.
pub fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    [client_header(first, payload.len()).as_slice(), payload].concat()
}

/// The bytes of a connection, once the handshake is done.
pub struct Wire {
    stream: TcpStream,
}

/// A valid handshake by `user-1`, whose lines may be replaced.
pub fn handshake(address: SocketAddr) -> String {
    format!(
        "GET /ws HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\nAuthorization: {}\r\n\r\n",
        basic("user-1", "password-1")
    )
}

impl Wire {
    /// Connects `user-1` on the JSON subprotocol and sends `early` in the same segment as the handshake.
    pub async fn connect(address: SocketAddr, early: &[u8]) -> Wire {
        let (answer, mut wire) = Wire::upgrade(address, &handshake(address), early).await;
        assert_eq!(answer.status, 101, "{}", answer.head);
        let greeting = wire.next_text().await;
        assert!(greeting.contains("connected"), "{greeting}");
        wire
    }

    /// Sends a handshake and `early` in one segment, and gives the head of the answer and what follows it.
    pub async fn upgrade(address: SocketAddr, handshake: &str, early: &[u8]) -> (Answer, Wire) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(&[handshake.as_bytes(), early].concat()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(timeout(DEADLINE, stream.read_u8()).await.expect("no answer").unwrap());
        }
        (Answer::parse(&String::from_utf8(head).unwrap()), Wire { stream })
    }

    /// Sends a request as it is and reads the answer, which is not a WebSocket.
    pub async fn refused(address: SocketAddr, request: &str) -> Answer {
        super::http::send(address, request.as_bytes()).await
    }

    /// Sends bytes.
    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next frame; `None` when the server has closed the connection.
    pub async fn next(&mut self) -> Option<WireFrame> {
        let read = async {
            let first = self.stream.read_u8().await.ok()?;
            let len = match self.stream.read_u8().await.ok()? {
                126 => usize::from(self.stream.read_u16().await.ok()?),
                127 => usize::try_from(self.stream.read_u64().await.ok()?).unwrap(),
                len => usize::from(len),
            };
            let mut payload = vec![0; len];
            self.stream.read_exact(&mut payload).await.ok()?;
            Some(WireFrame { first, payload })
        };
        timeout(DEADLINE, read).await.expect("nothing came")
    }

    /// The next frame, a whole text message.
    pub async fn next_text(&mut self) -> String {
        let frame = self.next().await.expect("the connection has ended");
        assert_eq!(frame.first, 0x81, "{frame:?}");
        String::from_utf8(frame.payload).unwrap()
    }

    /// Expects `disconnected`, then the close frame with this code, then the end; gives the reason.
    pub async fn expect_close(&mut self, code: u16) -> String {
        let text = self.next_text().await;
        assert!(text.contains(r#""event":"disconnected""#), "{text}");
        let frame = self.next().await.expect("there was no close frame");
        let (found, reason) = frame.close();
        assert_eq!(found, code, "{reason}");
        // A server that mounts us waits a second for a peer that does not.
        self.stream.shutdown().await.unwrap();
        assert_eq!(self.next().await, None);
        reason.to_owned()
    }
}
