//! Where the server is and who knocks there. A secret that is given is never shown.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
use url::Url;
use zeroize::Zeroizing;

use super::BenchError;
use crate::protocol::Subprotocol;

/// Who connects. All clients of a bench are the same user.
pub enum Credential {
    /// Nobody, for hubs that let anonymous clients in; or the address itself says it.
    None,
    /// A user of the store.
    Basic {
        /// The login.
        login: String,
        /// The password.
        password: Zeroizing<String>,
    },
    /// A token, as the server's `/auth/token` or an application makes it.
    Token(Zeroizing<String>),
}

impl Credential {
    /// The value of the `Authorization` header.
    fn header(&self) -> Option<Zeroizing<String>> {
        match self {
            Credential::None => None,
            Credential::Basic { login, password } => {
                let both = Zeroizing::new(format!("{login}:{}", password.as_str()));
                Some(Zeroizing::new(format!("Basic {}", BASE64_STANDARD.encode(both.as_bytes()))))
            }
            Credential::Token(token) => Some(Zeroizing::new(format!("Bearer {}", token.as_str()))),
        }
    }
}

/// Where the server is, and the request that opens a connection.
pub struct Target {
    host: String,
    port: u16,
    path: String,
    request: Zeroizing<String>,
    reliable: bool,
}

impl Target {
    /// Reads `ws://host:port/path` (`http://` is the same). Without a path it is the default hub.
    ///
    /// # Errors
    /// [`BenchError::Url`], without the password that may stand in the URL.
    pub fn parse(text: &str, credential: Credential) -> Result<Self, BenchError> {
        let wrong = |why: &str| BenchError::Url { url: without_secrets(text), why: why.to_owned() };
        let url = Url::parse(text).map_err(|error| wrong(&format!("{error} (ws://127.0.0.1:8080/ws is one)")))?;
        match url.scheme() {
            "ws" | "http" => {}
            "wss" | "https" => {
                return Err(wrong(
                    "the generator speaks no TLS, which would cost it more than the server; measure a server without it",
                ));
            }
            _ => return Err(wrong("it has to begin with ws:// or http://")),
        }
        let host = url.host_str().ok_or_else(|| wrong("it names no host"))?;
        let port = url.port_or_known_default().unwrap_or(80);
        let path = if url.path() == "/" { "/ws" } else { url.path() };
        let credential = match (&credential, url.password()) {
            (Credential::None, Some(password)) => Credential::Basic {
                login: percent_decode_str(url.username()).decode_utf8_lossy().into_owned(),
                password: Zeroizing::new(percent_decode_str(password).decode_utf8_lossy().into_owned()),
            },
            _ => credential,
        };
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let request = request(&format!("{path}{query}"), &format!("{host}:{port}"), &credential);
        // The brackets of an IPv6 address belong to the URL.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Target { host, port, path: path.to_owned(), request, reliable: false })
    }

    /// Has all clients speak the reliable subprotocol.
    #[must_use]
    pub fn reliable(mut self) -> Self {
        let line =
            |subprotocol: Subprotocol| format!("{PROTOCOL_HEADER}{}\r\n", subprotocol.name().unwrap_or_default());
        let (plain, reliable) = (line(Subprotocol::Json), line(Subprotocol::ReliableJson));
        self.request = Zeroizing::new(self.request.replacen(&plain, &reliable, 1));
        self.reliable = true;
        self
    }

    /// Whether messages have numbers, which are to be acknowledged.
    pub fn is_reliable(&self) -> bool {
        self.reliable
    }

    /// Host and port, to connect to.
    pub fn address(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// The request of the handshake.
    pub fn request(&self) -> &[u8] {
        self.request.as_bytes()
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Target { host, port, path, .. } = self;
        if host.contains(':') { write!(f, "ws://[{host}]:{port}{path}") } else { write!(f, "ws://{host}:{port}{path}") }
    }
}

const PROTOCOL_HEADER: &str = "Sec-WebSocket-Protocol: ";

fn request(path: &str, host: &str, credential: &Credential) -> Zeroizing<String> {
    let subprotocol = Subprotocol::Json.name().unwrap_or_default();
    // Every connection may use the same key: it only proves that the other side speaks WebSocket.
    let key = BASE64_STANDARD.encode(*b"folkmoot bench..");
    let mut request = Zeroizing::new(format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: {key}\r\n{PROTOCOL_HEADER}{subprotocol}\r\n"
    ));
    if let Some(header) = credential.header() {
        request.push_str("Authorization: ");
        request.push_str(&header);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    request
}

/// A URL as it may be shown: a password and a token may stand in it.
fn without_secrets(text: &str) -> String {
    let text = text.split_once('?').map_or(text, |(before, _)| before);
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://…@{rest}"),
        (None, Some((_, rest))) => format!("…@{rest}"),
        (_, None) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Target {
        Target::parse(url, Credential::None).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn a_url_says_where_to_and_a_login_in_it_becomes_a_header() {
        let target = parse("ws://user-1:pass%3Aword@127.0.0.1:8080/client/hubs/chat?x=1");
        assert_eq!(target.address(), ("127.0.0.1", 8080));
        assert_eq!(target.to_string(), "ws://127.0.0.1:8080/client/hubs/chat");
        let request = std::str::from_utf8(target.request()).unwrap();
        assert!(request.starts_with("GET /client/hubs/chat?x=1 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"), "{request}");
        let header = format!("Authorization: Basic {}\r\n", BASE64_STANDARD.encode("user-1:pass:word"));
        assert!(request.contains(&header), "{request}");
    }

    #[test]
    fn without_a_path_it_is_the_default_hub_and_without_a_port_that_of_http() {
        assert_eq!(parse("http://example.com").to_string(), "ws://example.com:80/ws");
        assert_eq!(parse("ws://[::1]:9000/").to_string(), "ws://[::1]:9000/ws");
        assert_eq!(parse("ws://[::1]:9000/").address(), ("::1", 9000));
    }

    #[test]
    fn the_reliable_subprotocol_is_offered_where_it_is_asked_for() {
        let target = parse("ws://user-1:password-1@localhost/ws").reliable();
        let request = std::str::from_utf8(target.request()).unwrap();
        assert!(request.contains("Sec-WebSocket-Protocol: json.reliable.webpubsub.azure.v1\r\n"), "{request}");
        assert!(target.is_reliable() && request.ends_with("\r\n\r\n") && request.contains("Authorization: Basic "));
    }

    #[test]
    fn an_explicit_credential_wins_over_that_of_the_url() {
        let token = Credential::Token(Zeroizing::new("t0ken".into()));
        let target = Target::parse("ws://user-1:password-1@localhost/ws", token).unwrap_or_else(|e| panic!("{e}"));
        let request = std::str::from_utf8(target.request()).unwrap();
        assert!(request.contains("Authorization: Bearer t0ken\r\n") && !request.contains("Basic"), "{request}");
    }

    #[test]
    fn a_wrong_url_is_told_without_its_secrets() {
        for url in ["wss://user:s3cret@host/ws?access_token=s3cret", "ftp://user:s3cret@host", "user:s3cret@host:80"] {
            let error = Target::parse(url, Credential::None).err().unwrap().to_string();
            assert!(!error.contains("s3cret") && error.contains("host"), "{error}");
        }
    }
}
