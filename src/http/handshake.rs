//! The head of a WebSocket handshake: whether it is one, and how its client wants to speak. Who the client is does not
//! matter here.

use std::net::SocketAddr;

use actix_http::header::{self, HeaderMap};
use actix_http::ws;
use actix_web::http::{Method, StatusCode, Version};

use super::{Entrance, Problem};
use crate::auth::host::HostPort;
use crate::config::{HubConfig, RawClients};
use crate::ids::Target;
use crate::protocol::Subprotocol;
use crate::session::RawMode;

/// The head of a WebSocket handshake.
#[derive(Debug, Clone, Copy)]
pub struct Handshake<'a> {
    /// The method.
    pub method: &'a Method,
    /// The HTTP version.
    pub version: Version,
    /// The path, percent-encoded as it came.
    pub path: &'a str,
    /// The query, as it came.
    pub query: Option<&'a str>,
    /// The header lines.
    pub headers: &'a HeaderMap,
    /// The socket's other end.
    pub peer: Option<SocketAddr>,
    /// Whether the socket is under TLS.
    pub tls: bool,
    /// Which listener it came in by.
    pub entrance: Entrance,
}

/// RFC 6455, 4.2.1: the parts that actix-http lets pass are checked here too.
///
/// # Errors
/// The [`Problem`] that the client is answered.
pub fn check(handshake: Handshake<'_>) -> Result<(), Problem> {
    if handshake.method != Method::GET {
        return Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "A WebSocket handshake is a GET."));
    }
    if handshake.version != Version::HTTP_11 {
        return Err(Problem::bad_request("A WebSocket handshake is HTTP/1.1."));
    }
    let headers = handshake.headers;
    // RFC 9112, 3.2, asks every server for this, wherever it listens.
    if !matches!(HostPort::of_request(headers), Ok(Some(_))) {
        return Err(Problem::bad_request("The request has no 'Host', more than one, or one that is none."));
    }
    // A list would be allowed, but actix-http hands over what follows the head only for `websocket` alone.
    let mut upgrades = headers.get_all(header::UPGRADE);
    let alone = upgrades.next().is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    if !alone || upgrades.next().is_some() {
        return Err(Problem::bad_request("The request has no 'Upgrade: websocket', or something beside it."));
    }
    let connection = headers.get_all(header::CONNECTION).filter_map(|value| value.to_str().ok());
    if !connection.flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case("upgrade")) {
        return Err(Problem::bad_request("The request has no 'Connection: Upgrade'."));
    }
    // What a proxy takes for a body must not become frames of a session here.
    let has_body = headers.get_all(header::CONTENT_LENGTH).any(|length| length != "0");
    if has_body || headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(Problem::bad_request("A WebSocket handshake has no body."));
    }
    // Once, also when both say 13 (RFC 6455, 11.3.5): whatever stands in front of us may have read the other one.
    let mut versions = headers.get_all(header::SEC_WEBSOCKET_VERSION);
    if versions.next().is_none_or(|version| version != "13") || versions.next().is_some() {
        return Err(Problem::new(StatusCode::UPGRADE_REQUIRED, "Only WebSocket version 13 is spoken here."));
    }
    let mut keys = headers.get_all(header::SEC_WEBSOCKET_KEY);
    let valid = keys.next().is_some_and(|key| is_key(key.as_bytes())) && keys.next().is_none();
    if !valid {
        return Err(Problem::bad_request("'Sec-WebSocket-Key' must be there once, 16 bytes in base64."));
    }
    Ok(())
}

fn is_key(key: &[u8]) -> bool {
    use base64::prelude::{BASE64_STANDARD, Engine};

    let mut bytes = [0; 18];
    key.len() == 24 && BASE64_STANDARD.decode_slice(key, &mut bytes) == Ok(16)
}

/// The answer to the key that was checked above (RFC 6455, 4.2.2).
pub fn accept_key(headers: &HeaderMap) -> String {
    let key = headers.get(header::SEC_WEBSOCKET_KEY).map(|key| key.as_bytes()).unwrap_or_default();
    String::from_utf8_lossy(&ws::hash_key(key)).into_owned()
}

/// The subprotocol, and how the client spelled it.
pub fn negotiate(headers: &HeaderMap) -> (Subprotocol, Option<String>) {
    let lines = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).filter_map(|line| line.to_str().ok());
    let (subprotocol, echo) = Subprotocol::negotiate(lines);
    (subprotocol, echo.map(str::to_owned))
}

/// The one of the subprotocols that the client offers which somebody has chosen. One that is not known here makes a raw
/// client, to which it is confirmed.
pub fn choose(headers: &HeaderMap, name: &str) -> (Subprotocol, Option<String>) {
    let lines = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).filter_map(|line| line.to_str().ok());
    match Subprotocol::offered(lines).find(|offered| offered.eq_ignore_ascii_case(name)) {
        Some(offered) => (Subprotocol::negotiate([offered]).0, Some(offered.to_owned())),
        None => (Subprotocol::Raw, None),
    }
}

/// What the frames of a raw client mean: the query says, or the hub's settings.
///
/// # Errors
/// 400 for a query that cannot be heeded.
pub fn raw_mode(query: Option<&str>, config: &HubConfig) -> Result<RawMode, Problem> {
    let (mut mode, mut group, mut no_echo) = (None, None, false);
    // The last value wins when one is repeated (Web PubSub emulator).
    for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match &*name {
            "webpubsub_mode" => mode = Some(value.into_owned()),
            "group" => group = Some(value.into_owned()),
            "noEcho" if value.eq_ignore_ascii_case("true") => no_echo = true,
            "noEcho" if value.eq_ignore_ascii_case("false") => no_echo = false,
            "noEcho" => return Err(Problem::bad_request("'noEcho' is true or false.")),
            _ => {}
        }
    }
    match mode {
        Some(mode) if mode.eq_ignore_ascii_case("sendEvent") => Ok(RawMode::Event),
        Some(mode) if mode.eq_ignore_ascii_case("sendToGroup") => {
            let group = group.ok_or_else(|| Problem::bad_request("'webpubsub_mode=sendToGroup' needs a 'group'."))?;
            let target =
                Target::parse(&group, config.masks).map_err(|error| Problem::bad_request(error.to_string()))?;
            Ok(RawMode::SendToGroup { target, no_echo })
        }
        Some(_) => Err(Problem::bad_request("'webpubsub_mode' is sendEvent or sendToGroup.")),
        None => Ok(match config.raw_clients {
            RawClients::OwnGroups => RawMode::OwnGroups { no_echo },
            RawClients::Event => RawMode::Event,
        }),
    }
}
