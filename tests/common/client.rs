//! A WebSocket client that somebody else wrote (tungstenite), and as much HTTP as the tests need.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Deref;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use socket2::{Domain, SockRef, Socket, Type};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::HandshakeError;
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket, client};

use super::process::PATIENCE;

/// What comes from the server.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// A frame of the JSON subprotocol.
    Frame(Value),
    /// A close frame.
    Closed(u16, String),
    /// The connection ended without a close frame.
    Lost,
}

/// A socket that goes on where a system call was interrupted. That comes without any handler of signals: a thread that
/// starts a child blocks them for a moment, a SIGCHLD of that moment wakes another thread, and where this waits with a time
/// limit, Linux does not go on by itself (signal(7)). tungstenite takes it for the end.
pub struct Unshaken(pub TcpStream);

impl Deref for Unshaken {
    type Target = TcpStream;

    fn deref(&self) -> &TcpStream {
        &self.0
    }
}

impl Read for &Unshaken {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        uninterrupted(|| (&self.0).read(buffer))
    }
}

impl Write for &Unshaken {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        uninterrupted(|| (&self.0).write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        (&self.0).flush()
    }
}

impl Read for Unshaken {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }
}

impl Write for Unshaken {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self).flush()
    }
}

fn uninterrupted(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// A connection that speaks the JSON subprotocol.
pub struct Client {
    pub socket: WebSocket<Unshaken>,
    pub id: String,
    waiting: VecDeque<Value>,
}

impl Client {
    /// As [`connect`](Client::connect), but with so little room for what is not read that the server soon notices.
    pub fn connect_with_small_buffer(address: SocketAddr, login: &str, password: &str) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(&address.into()).unwrap();
        Client::try_connect_over(socket.into(), "/ws", &[("Authorization", &basic(login, password))]).unwrap()
    }

    /// Connects and takes the `connected` frame, which must be the first.
    pub fn connect(address: SocketAddr, login: &str, password: &str) -> Self {
        Client::try_connect(address, &[("Authorization", &basic(login, password))])
            .unwrap_or_else(|status| panic!("{login} could not connect: {status}"))
    }

    /// The same with any headers; the status when it is refused.
    pub fn try_connect(address: SocketAddr, headers: &[(&str, &str)]) -> Result<Self, u16> {
        Client::try_connect_to(address, "/ws", headers)
    }

    /// The same on any path.
    pub fn try_connect_to(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Result<Self, u16> {
        Client::try_connect_over(TcpStream::connect(address).unwrap(), path, headers)
    }

    /// The same over a socket that is open already.
    pub fn try_connect_over(stream: TcpStream, path: &str, headers: &[(&str, &str)]) -> Result<Self, u16> {
        let address = stream.peer_addr().unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
        let all = [&[("Sec-WebSocket-Protocol", "json.webpubsub.azure.v1")], headers].concat();
        for (name, value) in all {
            let name = tokio_tungstenite::tungstenite::http::HeaderName::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().append(name, value.parse().unwrap());
        }
        let socket = match client(request, Unshaken(stream)) {
            Ok((socket, _)) => socket,
            Err(HandshakeError::Failure(Error::Http(response))) => return Err(response.status().as_u16()),
            Err(error) => panic!("the handshake failed: {error}"),
        };
        let mut client = Client { socket, id: String::new(), waiting: VecDeque::new() };
        let first = client.frame();
        assert_eq!(first["event"], "connected", "{first}");
        client.id = first["connectionId"].as_str().unwrap().to_owned();
        Ok(client)
    }

    pub fn send(&mut self, frame: &Value) {
        self.socket.send(Message::text(frame.to_string())).unwrap();
    }

    /// What comes next, set aside or from the network.
    pub fn hear(&mut self) -> Heard {
        match self.waiting.pop_front() {
            Some(frame) => Heard::Frame(frame),
            None => self.read(),
        }
    }

    /// The same, or `None` when nothing comes for so long.
    pub fn hear_within(&mut self, patience: Duration) -> Option<Heard> {
        if let Some(frame) = self.waiting.pop_front() {
            return Some(Heard::Frame(frame));
        }
        self.try_read(patience)
    }

    fn read(&mut self) -> Heard {
        self.try_read(PATIENCE).expect("nothing was heard in time")
    }

    fn try_read(&mut self, patience: Duration) -> Option<Heard> {
        let deadline = Instant::now() + patience;
        loop {
            // Pings come in between, and do not count.
            let left = deadline.saturating_duration_since(Instant::now());
            self.socket.get_ref().set_read_timeout(Some(left.max(Duration::from_millis(1)))).unwrap();
            return match self.socket.read() {
                Ok(Message::Ping(_) | Message::Pong(_)) if left.is_zero() => None,
                Ok(Message::Text(text)) => Some(Heard::Frame(serde_json::from_str(&text).unwrap())),
                Ok(Message::Close(Some(close))) => {
                    let closed = Heard::Closed(close.code.into(), close.reason.to_string());
                    // Answered by the library while it flushes.
                    let _: Result<(), Error> = self.socket.flush();
                    Some(closed)
                }
                Ok(_) => continue,
                Err(Error::Io(error)) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => None,
                Err(_) => Some(Heard::Lost),
            };
        }
    }

    /// The next frame, which must not be the end.
    pub fn frame(&mut self) -> Value {
        match self.hear() {
            Heard::Frame(frame) => frame,
            end => panic!("a frame was expected: {end:?}"),
        }
    }

    /// Sends a request and waits for its ack; what comes before is set aside.
    pub fn ask(&mut self, mut request: Value, ack_id: u64) -> Value {
        request["ackId"] = ack_id.into();
        self.send(&request);
        let mut before = VecDeque::new();
        loop {
            let frame = match self.read() {
                Heard::Frame(frame) => frame,
                end => panic!("an ack was expected: {end:?}"),
            };
            if frame["type"] == "ack" && frame["ackId"] == ack_id {
                self.waiting.append(&mut before);
                return frame;
            }
            before.push_back(frame);
        }
    }

    pub fn join(&mut self, group: &str, ack_id: u64) {
        let ack = self.ask(json!({ "type": "joinGroup", "group": group }), ack_id);
        assert_eq!(ack["success"], true, "{ack}");
    }

    /// Reads until the end and returns it with the frames before it.
    pub fn rest(&mut self) -> (Vec<Value>, Heard) {
        let mut frames = Vec::new();
        loop {
            match self.hear() {
                Heard::Frame(frame) => frames.push(frame),
                end => return (frames, end),
            }
        }
    }

    /// Ends the connection by a reset, as a machine does that loses its network.
    pub fn abort(self) {
        let stream = self.socket.get_ref().try_clone().unwrap();
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
}

/// A text to a group, as a client publishes it.
pub fn publish(group: &str, text: &str) -> Value {
    json!({ "type": "sendToGroup", "group": group, "dataType": "text", "data": text })
}

/// A text frame as a client writes it, for those who write without a [`Client`].
pub fn text_frame(text: &str) -> Vec<u8> {
    // FIN and text; masked, where a mask of zeros leaves the text as it is.
    let mut frame = vec![0x81];
    match u16::try_from(text.len()).unwrap() {
        length @ 0..126 => frame.push(0x80 | length as u8),
        length => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&length.to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(text.as_bytes());
    frame
}

/// The value of an `Authorization` header.
pub fn basic(login: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{login}:{password}")))
}

/// A request on a connection of its own: status and body.
pub fn http(address: SocketAddr, request: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    http_on(&mut TcpStream::connect(address).unwrap(), request, headers, body)
}

/// A request on an open connection, which may be used again.
pub fn http_on(stream: &mut TcpStream, request: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let host = stream.peer_addr().unwrap();
    let mut head = format!("{request} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head = head + name + ": " + value + "\r\n";
    }
    stream.write_all((head + "\r\n" + body).as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).unwrap_or_else(|| panic!("no status in {line:?}")).parse().unwrap();
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        match line.trim_end().to_lowercase().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().unwrap(),
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (status, String::from_utf8(body).unwrap())
}

/// How long something took.
pub fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    (run(), start.elapsed())
}
