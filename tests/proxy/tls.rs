//! A client that reaches a proxy by TLS, from an address of its own on this machine.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::HandshakeError;
use tokio_tungstenite::tungstenite::http::HeaderName;
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket, client};

use crate::process::PATIENCE;

/// The name under which everybody knows the proxy.
pub const NAME: &str = "chat.example.com";

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// Somebody outside, who sees the proxy only.
pub struct Outside {
    proxy: SocketAddr,
    config: Arc<ClientConfig>,
    from: [u8; 4],
}

impl Outside {
    /// Trusts the one certificate `pem`, and connects from 127.0.0.1.
    pub fn new(proxy: SocketAddr, pem: &str) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        Outside { proxy, config: Arc::new(config), from: [127, 0, 0, 1] }
    }

    /// The same from another address of this machine (Linux has all of 127.0.0.0/8).
    pub fn from(&self, from: [u8; 4]) -> Self {
        Outside { proxy: self.proxy, config: self.config.clone(), from }
    }

    fn open(&self) -> Stream {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((self.from, 0)).into()).unwrap();
        socket.connect(&self.proxy.into()).unwrap();
        let socket = TcpStream::from(socket);
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let connection = ClientConnection::new(self.config.clone(), ServerName::try_from(NAME).unwrap()).unwrap();
        StreamOwned::new(connection, socket)
    }

    /// A WebSocket on any path; the status when it is refused. Its first frame, `connected`, is taken.
    pub fn connect(&self, path: &str, headers: &[(&str, &str)]) -> Result<Member, u16> {
        let mut request = format!("wss://{NAME}{path}").into_client_request().unwrap();
        for (name, value) in [&[("Sec-WebSocket-Protocol", "json.webpubsub.azure.v1")], headers].concat() {
            request.headers_mut().append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        let socket = match client(request, self.open()) {
            Ok((socket, _)) => socket,
            Err(HandshakeError::Failure(Error::Http(response))) => return Err(response.status().as_u16()),
            Err(error) => panic!("the handshake failed: {error}"),
        };
        let mut member = Member(socket);
        let first = member.frame();
        assert_eq!(first["event"], "connected", "{first}");
        Ok(member)
    }

    /// A plain request: its status and the text of everything behind the first line.
    pub fn request(&self, line: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
        let mut stream = self.open();
        let mut head = format!("{line} HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n");
        if !body.is_empty() {
            head += &format!("Content-Type: text/plain\r\nContent-Length: {}\r\n", body.len());
        }
        for (name, value) in headers {
            head = head + name + ": " + value + "\r\n";
        }
        stream.write_all((head + "\r\n" + body).as_bytes()).unwrap();
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            // A proxy may leave out the last word of TLS.
            Err(error) if error.kind() != ErrorKind::UnexpectedEof => panic!("no answer: {error}"),
            _ => {}
        }
        let answer = String::from_utf8(answer).unwrap();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.unwrap_or_else(|| panic!("no status in {answer:?}")), answer)
    }
}

/// A WebSocket through the proxy.
#[derive(Debug)]
pub struct Member(WebSocket<Stream>);

impl Member {
    pub fn send(&mut self, frame: &Value) {
        self.0.send(Message::text(frame.to_string())).unwrap();
    }

    /// The next frame with text.
    pub fn frame(&mut self) -> Value {
        loop {
            match self.0.read().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Close(close) => panic!("a frame was expected: {close:?}"),
                _ => {}
            }
        }
    }

    /// Frames until one is as wanted.
    pub fn frame_with(&mut self, key: &str, value: &str) -> Value {
        loop {
            let frame = self.frame();
            if frame[key] == value {
                return frame;
            }
        }
    }

    /// Stays silent and answers the server's pings, until so many have come.
    pub fn hear_pings(&mut self, mut pings: usize) -> Duration {
        let start = Instant::now();
        while pings > 0 {
            match self.0.read().unwrap() {
                Message::Ping(_) => pings -= 1,
                Message::Close(close) => panic!("the connection ended: {close:?}"),
                _ => {}
            }
        }
        start.elapsed()
    }

    /// How the connection ends: close code and reason.
    pub fn end(&mut self) -> (u16, String) {
        loop {
            match self.0.read() {
                Ok(Message::Close(Some(close))) => return (close.code.into(), close.reason.to_string()),
                Ok(_) => {}
                Err(error) => panic!("the connection ended without a close frame: {error}"),
            }
        }
    }
}
