//! One WebSocket to a server: the handshake, the reading, the writing. What the frames say is no concern of this file.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_http::ws::Item;
use awc::error::{ConnectError, SendRequestError, WsClientError};
use awc::http::{StatusCode, Version};
use awc::ws::{CloseCode, CloseReason, Codec, Frame, Message};
use awc::{BoxedSocket, Connector};
use bytes::{Bytes, BytesMut};
use futures_util::future::LocalBoxFuture;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{FutureExt, SinkExt, StreamExt};
use rustls::ClientConfig;
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, interval, timeout};

use super::target::Target;
use crate::bench::Credential;
use crate::cli::text::printable;
use crate::cli::tls::client_config;
use crate::error::{Disconnect, DisconnectKind};
use crate::protocol::Subprotocol;

/// Largest frame that is read: the largest message of a server, written as JSON, where each byte may take six.
const MAX_FRAME_BYTES: usize = 8 << 20;
/// Frames that wait to be written: all groups that are joined anew, and a window of lines.
const OUTGOING: usize = 1024;
/// How long the handshake may take, hooks and password hashing of the server included.
const HANDSHAKE: Duration = Duration::from_secs(20);
/// How often the server is asked for a sign of life.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// How long it may be silent: three pings.
const SILENCE: Duration = Duration::from_secs(65);
/// How long the answer to our close frame may take.
const GOODBYE: Duration = Duration::from_secs(3);

/// Why there is no connection.
#[derive(Debug)]
pub struct OpenError {
    /// A sentence for the user.
    pub sentence: String,
    /// What it means.
    pub kind: OpenErrorKind,
}

/// What an [`OpenError`] means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenErrorKind {
    /// The server does not let us in.
    Denied,
    /// It will not work later either.
    Lasting,
    /// It may work later.
    Passing,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

/// Opens connections to one server.
pub struct Dialer {
    target: Target,
    credential: Credential,
    authority: Option<Arc<ClientConfig>>,
}

impl Dialer {
    /// Trusts the certificates of the system, or only those of a file.
    pub fn new(target: Target, credential: Credential, ca: Option<&Path>) -> anyhow::Result<Self> {
        let tls = target.is_under_tls() || ca.is_some();
        let authority = tls.then(|| client_config(ca).map(Arc::new)).transpose()?;
        Ok(Dialer { target, credential, authority })
    }

    /// Where it goes, without secrets.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Begins a handshake.
    pub fn open(&self) -> LocalBoxFuture<'static, Result<Link, OpenError>> {
        let connector = match &self.authority {
            Some(authority) => Connector::new().rustls_0_23(authority.clone()),
            // A WebSocket is no stream of HTTP/2.
            None => Connector::new().max_http_version(Version::HTTP_11),
        };
        let client = awc::Client::builder().connector(connector.timeout(HANDSHAKE)).timeout(HANDSHAKE).finish();
        let request = client.ws(self.target.url()).max_frame_size(MAX_FRAME_BYTES);
        let request = request.protocols(Subprotocol::Json.name());
        let request = match &self.credential {
            Credential::None => request,
            Credential::Basic { login, password } => request.basic_auth(login, Some(password)),
            Credential::Token(token) => request.bearer_auth(token.as_str()),
        };
        let (shown, how) = (self.target.to_string(), self.how());
        async move {
            match request.connect().await {
                Ok((response, socket)) if response.headers().contains_key("sec-websocket-protocol") => {
                    Ok(Link::new(socket.split()))
                }
                Ok(_) => Err(OpenError {
                    sentence: format!(
                        "{shown} is a WebSocket, but not one of Folkmoot: it does not speak the subprotocol"
                    ),
                    kind: OpenErrorKind::Lasting,
                }),
                Err(error) => Err(explain(&shown, how, &error)),
            }
        }
        .boxed_local()
    }

    /// What we came with, for the sentence that tells that it was not enough.
    fn how(&self) -> &'static str {
        match &self.credential {
            Credential::Basic { .. } => "the login or the password is wrong, or the user is disabled",
            Credential::Token(_) => "the token is wrong or has expired",
            Credential::None if self.target.has_token() => "the token in the address is wrong or has expired",
            Credential::None => "it wants to know who you are: --login NAME, or --token TOKEN",
        }
    }
}

fn explain(target: &str, how: &str, error: &WsClientError) -> OpenError {
    use OpenErrorKind::{Denied, Lasting, Passing};
    let (sentence, kind) = match error {
        WsClientError::InvalidResponseStatus(status) => match *status {
            StatusCode::UNAUTHORIZED => (format!("{target} does not let you in: {how}"), Denied),
            StatusCode::FORBIDDEN => (format!("{target} does not let you in: you may not enter this hub"), Denied),
            StatusCode::NOT_FOUND => (format!("{target} does not exist there; is it the right path or hub?"), Lasting),
            StatusCode::TOO_MANY_REQUESTS => {
                (format!("{target} has too many connections or failed logins of yours; try again later"), Passing)
            }
            status if status.is_server_error() => {
                (format!("{target} takes no connection now (status {status}); try again later"), Passing)
            }
            status => (format!("{target} is no WebSocket for us (status {status})"), Lasting),
        },
        WsClientError::SendRequest(SendRequestError::Connect(error)) => {
            let why = reason(error);
            // A certificate that is not trusted now is not trusted later.
            let tls = why.to_lowercase().contains("certificate");
            let advice = match tls {
                true => "--ca FILE trusts another authority",
                // What rustls says of an answer in plain text.
                false if why.contains("corrupt message") => "it may not speak TLS: then its address begins with ws://",
                false => "is the server running?",
            };
            (format!("{target} cannot be reached: {why} ({advice})"), if tls { Lasting } else { Passing })
        }
        WsClientError::SendRequest(error @ SendRequestError::Timeout) => {
            (format!("{target} cannot be reached: {error}"), Passing)
        }
        WsClientError::SendRequest(error) => (format!("{target} cannot be reached: {error}"), Passing),
        error => (format!("{target} does not answer as a WebSocket does: {error}"), Lasting),
    };
    OpenError { sentence, kind }
}

/// The innermost cause: what is around it repeats it.
fn reason(error: &ConnectError) -> String {
    match error {
        ConnectError::Resolver(error) => format!("the host's address is not found: {error}"),
        error => error.to_string(),
    }
}

/// What a connection brings.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// A frame of the subprotocol.
    Text(String),
    /// The end: a sentence, and whether it makes sense to come back.
    End {
        /// Why, for the user.
        why: String,
        /// Whether the server wants us back.
        come_back: bool,
        /// The least time to wait before, where the server names one.
        after: Duration,
    },
}

/// A connection that is open.
pub struct Link {
    outgoing: mpsc::Sender<Message>,
    incoming: SplitStream<actix_codec::Framed<BoxedSocket, Codec>>,
    /// The parts of a message so far.
    parts: BytesMut,
    heard_at: Instant,
    pings: Interval,
}

type Halves =
    (SplitSink<actix_codec::Framed<BoxedSocket, Codec>, Message>, SplitStream<actix_codec::Framed<BoxedSocket, Codec>>);

impl Link {
    fn new((sink, incoming): Halves) -> Self {
        let (outgoing, frames) = mpsc::channel(OUTGOING);
        // Writing must not wait for reading: the server may wait for us to read before it reads.
        actix_rt::spawn(write(sink, frames));
        let mut pings = interval(PING_INTERVAL);
        pings.reset();
        Link { outgoing, incoming, parts: BytesMut::new(), heard_at: Instant::now(), pings }
    }

    /// Sends a frame; `false` when too many wait.
    pub fn send(&self, text: String) -> bool {
        self.outgoing.try_send(Message::Text(text.into())).is_ok()
    }

    /// The next frame, or the end. Nothing is lost when this is not waited for to its end.
    pub async fn next(&mut self) -> Heard {
        loop {
            tokio::select! {
                frame = self.incoming.next() => {
                    self.heard_at = Instant::now();
                    let heard = match frame {
                        Some(Ok(frame)) => self.on_frame(frame),
                        Some(Err(error)) => Some(lost(&format!("the connection is broken: {error}"))),
                        None => Some(lost("the server ended the connection without a word")),
                    };
                    if let Some(heard) = heard {
                        return heard;
                    }
                }
                _ = self.pings.tick() => {
                    if self.heard_at.elapsed() > SILENCE {
                        return lost("the server is silent");
                    }
                    // Where this does not fit, enough waits to be written that shows the same.
                    let _: Result<(), _> = self.outgoing.try_send(Message::Ping(Bytes::new()));
                }
            }
        }
    }

    fn on_frame(&mut self, frame: Frame) -> Option<Heard> {
        match frame {
            Frame::Text(text) => Some(self.text(&text)),
            Frame::Ping(data) => {
                let _: Result<(), _> = self.outgoing.try_send(Message::Pong(data));
                None
            }
            Frame::Close(reason) => Some(closed(reason)),
            Frame::Continuation(Item::FirstText(part)) => {
                self.parts = BytesMut::from(&part[..]);
                None
            }
            Frame::Continuation(Item::Continue(part) | Item::Last(part))
                if self.parts.len() + part.len() > MAX_FRAME_BYTES =>
            {
                Some(lost("a message of the server is too long"))
            }
            Frame::Continuation(Item::Continue(part)) => {
                self.parts.extend_from_slice(&part);
                None
            }
            Frame::Continuation(Item::Last(part)) => {
                self.parts.extend_from_slice(&part);
                let whole = std::mem::take(&mut self.parts);
                Some(self.text(&whole))
            }
            // The subprotocol has no binary frames.
            Frame::Continuation(Item::FirstBinary(_)) | Frame::Binary(_) | Frame::Pong(_) => None,
        }
    }

    fn text(&self, bytes: &[u8]) -> Heard {
        match std::str::from_utf8(bytes) {
            Ok(text) => Heard::Text(text.to_owned()),
            Err(_) => lost("the server sent what is no text"),
        }
    }

    /// Says goodbye (1000) and waits a moment for the answer.
    pub async fn close(mut self) {
        let goodbye = Message::Close(Some(CloseReason { code: CloseCode::Normal, description: None }));
        let answered = async {
            if self.outgoing.send(goodbye).await.is_ok() {
                while let Heard::Text(_) = self.next().await {}
            }
        };
        let _: Result<(), _> = timeout(GOODBYE, answered).await;
    }
}

async fn write(
    mut sink: SplitSink<actix_codec::Framed<BoxedSocket, Codec>, Message>,
    mut frames: mpsc::Receiver<Message>,
) {
    while let Some(frame) = frames.recv().await {
        if sink.send(frame).await.is_err() {
            // Reading tells why.
            return;
        }
    }
}

fn lost(why: &str) -> Heard {
    Heard::End { why: why.to_owned(), come_back: true, after: Duration::ZERO }
}

/// What a close frame says.
fn closed(reason: Option<CloseReason>) -> Heard {
    let Some(CloseReason { code, description }) = reason else { return lost("the server closed the connection") };
    let code = u16::from(code);
    let description = description.unwrap_or_default();
    let come_back = match code {
        1000 => false,
        // Policy: who was put out stays out, whatever reason the administrator gave.
        1008 => DisconnectKind::ALL.iter().map(|kind| Disconnect::new(*kind)).any(|known| {
            known.close_code() == code && known.should_reconnect() && description.starts_with(known.message())
        }),
        _ => true,
    };
    let milliseconds = description.split_once("retry_after_ms=").and_then(|(_, rest)| rest.parse::<u32>().ok());
    let after = Duration::from_millis(milliseconds.unwrap_or(0).min(60_000).into());
    // How long to wait is said in words of our own.
    let told = description.split_once("; retry_after_ms=").map_or(description.as_str(), |(told, _)| told);
    // One line of it, as it may be the last that is shown, behind everything that makes texts of others harmless.
    let told = if told.is_empty() { String::new() } else { format!(": {}", printable(told)) };
    Heard::End { why: format!("the server closed the connection ({code}{told})"), come_back, after }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::text::is_unprintable;

    fn come_back(code: u16, reason: &str) -> (bool, Duration) {
        let reason = CloseReason { code: code.into(), description: Some(reason.to_owned()) };
        match closed(Some(reason)) {
            Heard::End { come_back, after, .. } => (come_back, after),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_reason_of_a_server_is_one_line_that_steers_no_terminal() {
        let description = Some("bye\u{1b}[2J\r\n\u{202e}$ ".to_owned());
        match closed(Some(CloseReason { code: CloseCode::Policy, description })) {
            Heard::End { why, .. } => assert!(!why.contains(is_unprintable) && why.contains("bye"), "{why:?}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn who_was_put_out_does_not_come_back_and_everybody_else_does() {
        let going = Disconnect::going_away(Duration::from_millis(250));
        assert_eq!(come_back(1001, going.reason()), (true, Duration::from_millis(250)));
        assert_eq!(come_back(1001, "retry_after_ms=99999999").1, Duration::from_secs(60));
        for kind in [DisconnectKind::SlowConsumer, DisconnectKind::PingTimeout, DisconnectKind::TokenExpired] {
            assert!(come_back(1008, Disconnect::new(kind).reason()).0, "{kind:?}");
        }
        for kind in [DisconnectKind::Kicked, DisconnectKind::UserDisabled, DisconnectKind::UserRemoved] {
            assert!(!come_back(1008, Disconnect::new(kind).reason()).0, "{kind:?}");
        }
        assert!(!come_back(1008, "spam").0);
        assert!(!come_back(1000, "").0);
        assert!(come_back(1011, "").0);
    }
}
