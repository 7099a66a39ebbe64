//! A WebSocket client, with words for what tests do.

use std::collections::VecDeque;
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use base64::prelude::{BASE64_STANDARD, Engine};
use futures_util::{SinkExt, StreamExt};
use rustls::ClientConfig;
use serde_json::{Value, json};
use socket2::SockRef;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::{DEADLINE, Stream};

/// Each socket has ack ids of its own, also where it goes on with a connection.
static NEXT_ACK_ID: AtomicU64 = AtomicU64::new(1 << 32);

/// The subprotocol of JSON clients.
pub const SUBPROTOCOL: &str = "json.webpubsub.azure.v1";

/// The value of `Authorization` for a login and its password.
pub fn basic(login: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{login}:{password}")))
}

/// A handshake that is being put together: `/ws` with the JSON subprotocol and no credential.
#[derive(Clone)]
pub struct Handshake {
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    path: String,
    subprotocols: Vec<String>,
    headers: Vec<(String, String)>,
}

/// The answer to a handshake that was refused.
#[derive(Debug)]
pub struct Refused {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
}

impl Handshake {
    pub(super) fn new(address: SocketAddr, tls: Option<Arc<ClientConfig>>) -> Self {
        Handshake { address, tls, path: "/ws".into(), subprotocols: vec![SUBPROTOCOL.into()], headers: Vec::new() }
    }

    /// At another of the server's addresses, in plain text.
    pub fn at(self, address: SocketAddr) -> Self {
        Handshake { address, tls: None, ..self }
    }

    /// Another path, with its query.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Other subprotocols to offer; none makes a raw client.
    pub fn subprotocols(mut self, names: &[&str]) -> Self {
        self.subprotocols = names.iter().map(ToString::to_string).collect();
        self
    }

    /// A further header line, or another value for one that is there.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// HTTP Basic.
    pub fn basic(self, login: &str, password: &str) -> Self {
        self.header("authorization", basic(login, password))
    }

    /// A token in the query.
    pub fn token(mut self, token: impl ToString) -> Self {
        let separator = if self.path.contains('?') { '&' } else { '?' };
        self.path = format!("{}{separator}access_token={}", self.path, token.to_string());
        self
    }

    /// Connects, and takes the greeting of a JSON client.
    pub async fn connect(self) -> Result<Client, Refused> {
        let stream = Stream::connect(self.address, self.tls.clone()).await;
        self.connect_over(stream).await
    }

    /// The same over a stream that is open.
    pub async fn connect_over(self, stream: Stream) -> Result<Client, Refused> {
        let mut client = self.shake_hands(stream).await?;
        client.take_greeting().await;
        Ok(client)
    }

    /// Connects where no greeting comes.
    pub async fn connect_ungreeted(self) -> Client {
        let stream = Stream::connect(self.address, self.tls.clone()).await;
        self.shake_hands(stream).await.unwrap()
    }

    async fn shake_hands(self, stream: Stream) -> Result<Client, Refused> {
        let mut request = format!("ws://{}{}", self.address, self.path).into_client_request().unwrap();
        let headers = request.headers_mut();
        if !self.subprotocols.is_empty() {
            headers.insert("sec-websocket-protocol", self.subprotocols.join(", ").parse().unwrap());
        }
        for (name, value) in &self.headers {
            headers.insert(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
        }
        match timeout(DEADLINE, client_async(request, stream)).await.expect("no answer to the handshake") {
            Ok((socket, response)) => {
                let subprotocol = response.headers().get("sec-websocket-protocol");
                let subprotocol = subprotocol.map(|name| name.to_str().unwrap().to_owned());
                // Ack ids far from those that tests choose themselves.
                let (stash, early, next_ack_id) =
                    (VecDeque::new(), VecDeque::new(), NEXT_ACK_ID.fetch_add(1 << 20, Relaxed));
                Ok(Client { socket, stash, early, next_ack_id, subprotocol, greeting: Value::Null })
            }
            Err(Error::Http(response)) => {
                let (head, body) = response.into_parts();
                let body = String::from_utf8(body.unwrap_or_default()).unwrap();
                Err(Refused { status: head.status, headers: head.headers, body })
            }
            Err(error) => panic!("the handshake failed: {error}"),
        }
    }

    /// Connects, and expects to be refused with this status.
    pub async fn refused(self, status: u16) -> Refused {
        match self.connect().await {
            Ok(_) => panic!("the connection was accepted; {status} was expected"),
            Err(refused) => {
                assert_eq!(refused.status.as_u16(), status, "{}", refused.body);
                refused
            }
        }
    }
}

/// A client that is connected.
pub struct Client {
    socket: WebSocketStream<Stream>,
    /// What came before an ack that was waited for.
    stash: VecDeque<Value>,
    /// What a raw client heard before it was known to be connected.
    early: VecDeque<Message>,
    next_ack_id: u64,
    /// The subprotocol that the server chose.
    pub subprotocol: Option<String>,
    /// The greeting; null for a raw client.
    pub greeting: Value,
}

impl Client {
    async fn take_greeting(&mut self) {
        // Of another one, that an application speaks, the server knows nothing.
        if self.subprotocol.as_ref().is_some_and(|name| name.to_ascii_lowercase().starts_with("json.")) {
            self.greeting = self.next_json().await;
            assert_eq!(self.greeting["event"], "connected", "{}", self.greeting);
        } else {
            self.wait_until_known().await;
        }
    }

    /// A raw client gets no greeting, and the registry may learn of it after others' messages. Its session, which
    /// answers a ping, begins when the registry has been told.
    async fn wait_until_known(&mut self) {
        self.send(Message::Ping("known?".into())).await;
        loop {
            match self.next_from_socket().await {
                Message::Pong(_) => return,
                message => self.early.push_back(message),
            }
        }
    }

    /// The connection's id.
    pub fn id(&self) -> &str {
        self.greeting["connectionId"].as_str().expect("a raw client is not told its id")
    }

    /// Sends a WebSocket message.
    pub async fn send(&mut self, message: Message) {
        self.socket.send(message).await.unwrap();
    }

    /// Sends a text message.
    pub async fn send_text(&mut self, text: &str) {
        self.send(Message::text(text)).await;
    }

    /// Sends a JSON frame.
    pub async fn send_json(&mut self, frame: Value) {
        self.send_text(&frame.to_string()).await;
    }

    /// The next WebSocket message, heartbeats aside.
    pub async fn next(&mut self) -> Message {
        assert!(self.stash.is_empty(), "read these first: {:?}", self.stash);
        match self.early.pop_front() {
            Some(message) => message,
            None => self.next_from_socket().await,
        }
    }

    async fn next_from_socket(&mut self) -> Message {
        loop {
            let next = timeout(DEADLINE, self.socket.next()).await.expect("nothing came");
            match next.expect("the connection has ended").unwrap() {
                Message::Ping(_) => {}
                message => return message,
            }
        }
    }

    /// The next text message.
    pub async fn next_text(&mut self) -> String {
        match self.next().await {
            Message::Text(text) => text.to_string(),
            other => panic!("not a text message: {other:?}"),
        }
    }

    /// The next JSON frame.
    pub async fn next_json(&mut self) -> Value {
        match self.stash.pop_front() {
            Some(frame) => frame,
            None => self.next_json_from_socket().await,
        }
    }

    async fn next_json_from_socket(&mut self) -> Value {
        match self.next_from_socket().await {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("not a JSON frame: {other:?}"),
        }
    }

    /// Expects this JSON frame next.
    pub async fn expect(&mut self, frame: Value) {
        assert_eq!(self.next_json().await, frame);
    }

    /// Expects a message with this text to this group next, and gives all of it.
    pub async fn expect_message(&mut self, group: &str, data: impl Into<Value>) -> Value {
        let frame = self.next_json().await;
        assert_eq!(
            (&frame["type"], &frame["group"], &frame["data"]),
            (&json!("message"), &json!(group), &data.into()),
            "{frame}"
        );
        frame
    }

    /// Sends a frame with an `ackId` and gives its ack. What comes before the ack can be read afterwards.
    pub async fn ask(&mut self, mut frame: Value) -> Value {
        let ack_id = self.next_ack_id;
        self.next_ack_id += 1;
        frame["ackId"] = ack_id.into();
        self.send_json(frame).await;
        self.ack_of(ack_id).await
    }

    /// Waits for an ack. What comes before it can be read afterwards.
    pub async fn ack_of(&mut self, ack_id: u64) -> Value {
        loop {
            let frame = self.next_json_from_socket().await;
            if frame["type"] == "ack" && frame["ackId"] == ack_id {
                return frame;
            }
            self.stash.push_back(frame);
        }
    }

    /// As [`ask`](Client::ask), for a frame that succeeds.
    pub async fn ask_ok(&mut self, frame: Value) -> Value {
        let ack = self.ask(frame).await;
        assert_eq!(ack["success"], true, "{ack}");
        ack
    }

    /// As [`ask`](Client::ask), for a frame that is refused under this name; gives the sentence.
    pub async fn ask_refused(&mut self, frame: Value, error: &str) -> String {
        let ack = self.ask(frame).await;
        assert_eq!((&ack["success"], &ack["error"]["name"]), (&json!(false), &json!(error)), "{ack}");
        ack["error"]["message"].as_str().expect("an error has a message").to_owned()
    }

    /// Joins a group or a mask.
    pub async fn join(&mut self, group: &str) {
        self.ask_ok(json!({"type": "joinGroup", "group": group})).await;
    }

    /// Leaves a group or a mask.
    pub async fn leave(&mut self, group: &str) {
        self.ask_ok(json!({"type": "leaveGroup", "group": group})).await;
    }

    /// Publishes a text to a group or a mask.
    pub async fn publish(&mut self, group: &str, text: &str) {
        self.ask_ok(text_to(group, text)).await;
    }

    /// Expects that nothing has been sent to this JSON client that it has not read.
    ///
    /// An ack stands behind everything that the registry sent before it, so no time has to pass. What others caused
    /// must have been acked to them.
    pub async fn expect_silence(&mut self) {
        let unread = self.drain().await;
        assert!(unread.is_empty(), "not silent: {unread:?}");
    }

    /// Everything that has been sent to this JSON client and that it has not read.
    pub async fn drain(&mut self) -> Vec<Value> {
        self.ask_ok(json!({"type": "listGroups"})).await;
        self.stash.drain(..).collect()
    }

    /// Expects the close frame next, behind nothing but the `disconnected` of a JSON client, and gives its reason.
    pub async fn expect_close(&mut self, code: u16, reason: &str) -> String {
        let close = match self.next().await {
            Message::Text(text) if self.subprotocol.is_some() => {
                let frame: Value = serde_json::from_str(&text).unwrap();
                assert_eq!(frame["event"], "disconnected", "{frame}");
                assert!(frame["message"].as_str().unwrap().contains(reason), "{frame}");
                self.next().await
            }
            other => other,
        };
        let Message::Close(Some(CloseFrame { code: found, reason: text })) = close else {
            panic!("no close frame with a code: {close:?}");
        };
        assert_eq!(u16::from(found), code, "{text}");
        assert!(text.contains(reason), "{text:?} does not say {reason:?}");
        text.to_string()
    }

    /// Reads the next message of a raw client; `true` for a close frame, which must have this code.
    pub async fn hears_close(&mut self, code: u16) -> bool {
        match self.next().await {
            Message::Close(close) => {
                assert_eq!(close.map(|close| u16::from(close.code)), Some(code));
                true
            }
            _ => false,
        }
    }

    /// Closes with a code, or without one, and gives what the server answers.
    pub async fn close(&mut self, code: Option<u16>) -> Option<u16> {
        let frame = code.map(|code| CloseFrame { code: code.into(), reason: "".into() });
        self.socket.close(frame).await.unwrap();
        loop {
            match self.next_from_socket().await {
                Message::Close(close) => return close.map(|close| close.code.into()),
                _ => continue,
            }
        }
    }

    /// Cuts the connection without a close frame.
    pub fn abort(self) {
        self.socket.get_ref().tcp().set_zero_linger().unwrap();
    }

    /// Cuts it in both directions, and stays.
    pub fn reset(&mut self) {
        SockRef::from(self.socket.get_ref().tcp()).shutdown(Shutdown::Both).unwrap();
    }

    /// Expects a close frame with this code and nothing before it, and gives its reason.
    pub async fn expect_bare_close(&mut self, code: u16) -> String {
        let Message::Close(Some(close)) = self.next().await else { panic!("no close frame with a code") };
        assert_eq!(u16::from(close.code), code, "{}", close.reason);
        close.reason.to_string()
    }
}

/// The frame that publishes a text.
pub fn text_to(group: &str, text: &str) -> Value {
    json!({"type": "sendToGroup", "group": group, "dataType": "text", "data": text})
}
