//! Hosts and base URLs in the form in which audiences, origins and `Host` are compared.
//!
//! Who may use them is decided in `origin.rs` and `token.rs`. No name is ever resolved here.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use actix_http::header::{self, HeaderMap};

/// Longest host name (RFC 1035: 253 characters; an IPv6 address is shorter).
const MAX_HOST_BYTES: usize = 253;

/// A text that is not a host, an origin or a base URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Not `host` or `host:port`.
    #[error("not a host with an optional port")]
    Host,
    /// More than one `Host` header.
    #[error("more than one Host header")]
    Repeated,
    /// Not `http(s)://host[:port][/path]`.
    #[error("'{0}' is not a URL such as https://chat.example.com or https://example.com/chat")]
    Url(String),
}

/// A host in lower case with the port that was written, if one was.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPort {
    host: String,
    port: Option<u16>,
}

impl HostPort {
    /// Takes `host`, `host:port`, `[ipv6]` or `[ipv6]:port`.
    ///
    /// # Errors
    /// [`HostError::Host`] for anything else, user information and percent-encoding included.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        // The longest: a name, ':' and five digits.
        if text.len() > MAX_HOST_BYTES + 6 {
            return Err(HostError::Host);
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, rest) = rest.split_once(']').ok_or(HostError::Host)?;
                // Several spellings of one IPv6 address become one.
                let address: Ipv6Addr = address.parse().map_err(|_| HostError::Host)?;
                let port = match rest {
                    "" => None,
                    _ => Some(rest.strip_prefix(':').ok_or(HostError::Host)?),
                };
                (format!("[{address}]"), port)
            }
            None => {
                let (name, port) = match text.split_once(':') {
                    Some((name, port)) => (name, Some(port)),
                    None => (text, None),
                };
                let valid = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
                if name.is_empty() || name.len() > MAX_HOST_BYTES || !valid {
                    return Err(HostError::Host);
                }
                (name.to_ascii_lowercase(), port)
            }
        };
        // RFC 3986 allows `host:` and means the default port by it.
        let port = match port {
            None | Some("") => None,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                Some(digits.parse().map_err(|_| HostError::Host)?)
            }
            Some(_) => return Err(HostError::Host),
        };
        Ok(HostPort { host, port })
    }

    /// The `Host` header of a request; `None` where it has none.
    ///
    /// # Errors
    /// [`HostError`] for a malformed header and for more than one.
    pub fn of_request(headers: &HeaderMap) -> Result<Option<Self>, HostError> {
        let mut values = headers.get_all(header::HOST);
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(HostError::Repeated);
        }
        let text = value.to_str().map_err(|_| HostError::Host)?;
        HostPort::parse(text).map(Some)
    }

    /// The host without its port, in lower case, IPv6 in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, or the one that the scheme implies.
    pub fn port_for(&self, secure: bool) -> u16 {
        self.port.unwrap_or(if secure { 443 } else { 80 })
    }

    /// Whether both name one host and port when a written 80 or 443 counts as none.
    ///
    /// The scheme is left open: behind a proxy that ends TLS the server does not know which one the client wrote.
    pub fn same_place(&self, other: &HostPort) -> bool {
        let port = |place: &HostPort| place.port.filter(|port| !matches!(port, 80 | 443));
        self.host == other.host && port(self) == port(other)
    }

    /// Whether the name itself means this machine: no attacker's DNS can point there.
    pub fn is_loopback_name(&self) -> bool {
        let address = self.host.trim_start_matches('[').trim_end_matches(']');
        self.host == "localhost"
            || self.host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
            || address.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback())
    }

    /// Whether anybody could have this name in a DNS of their own, and have it mean any machine: not an address, and
    /// not a name without a dot, which nobody can register.
    pub fn can_be_anybodys(&self) -> bool {
        !self.host.starts_with('[') && self.host.contains('.') && self.host.parse::<Ipv4Addr>().is_err()
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

/// A URL under which the server is known: scheme, host and base path, no trailing `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    /// Whether the scheme is `https`.
    pub secure: bool,
    /// Host and port.
    pub host: HostPort,
    path: String,
}

impl BaseUrl {
    /// A URL without a base path, as a request's own scheme and `Host` give it.
    pub fn of_host(secure: bool, host: HostPort) -> Self {
        BaseUrl { secure, host, path: String::new() }
    }

    /// Takes an entry of `server.public_urls`; `ws` and `wss` are taken for `http` and `https`.
    ///
    /// # Errors
    /// [`HostError::Url`] for another scheme, a malformed host, a query or a fragment.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        let bad = || HostError::Url(text.to_owned());
        let url = split_url(text).ok_or_else(bad)?;
        if url.rest.contains(|c: char| matches!(c, '?' | '#') || c.is_whitespace() || c.is_control()) {
            return Err(bad());
        }
        Ok(BaseUrl { secure: url.secure, host: url.host, path: url.rest.trim_end_matches('/').to_owned() })
    }

    /// The base path: empty, or beginning with `/` and not ending with it.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.host, self.path)
    }
}

/// Under which names a request may have meant this server.
#[derive(Debug, Clone, Copy)]
pub struct OwnNames<'a> {
    /// The effective host of the request (`ClientAddress::host`).
    pub host: Option<&'a HostPort>,
    /// `server.public_urls`.
    pub public_urls: &'a [BaseUrl],
}

/// An absolute URL cut into what the comparisons need; `rest` is path, query and fragment as written.
pub(super) struct SplitUrl<'a> {
    pub(super) secure: bool,
    pub(super) host: HostPort,
    pub(super) rest: &'a str,
}

/// Cuts an `http`, `https`, `ws` or `wss` URL, or says `None`.
pub(super) fn split_url(text: &str) -> Option<SplitUrl<'_>> {
    let (scheme, rest) = text.split_once("://")?;
    let secure = match scheme.to_ascii_lowercase().as_str() {
        "http" | "ws" => false,
        "https" | "wss" => true,
        _ => return None,
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, rest) = rest.split_at_checked(end)?;
    let host = HostPort::parse(host).ok()?;
    Some(SplitUrl { secure, host, rest })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hosts_are_read_with_and_without_a_port() {
        for (text, shown) in [
            ("Example.COM", "example.com"),
            ("example.com:8080", "example.com:8080"),
            ("example.com:", "example.com"),
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("[0:0::1]:9", "[::1]:9"),
            ("my_backend", "my_backend"),
        ] {
            assert_eq!(HostPort::parse(text).map(|host| host.to_string()).as_deref(), Ok(shown), "{text}");
        }
    }

    #[test]
    fn a_name_that_somebody_can_register_may_mean_any_machine() {
        for (text, anybodys) in [
            ("evil.example:8080", true),
            ("127.0.0.1.evil.example", true),
            ("127.1", true),
            ("localhost:8080", false),
            ("buildhost:8080", false),
            ("127.0.0.1:8080", false),
            ("10.0.0.7", false),
            ("[::ffff:127.0.0.1]:8080", false),
        ] {
            assert_eq!(HostPort::parse(text).unwrap().can_be_anybodys(), anybodys, "{text}");
        }
    }

    #[test]
    fn what_is_not_a_host_is_refused() {
        let long = "a".repeat(254);
        for text in ["", ":80", "a b", "user@host", "a:b:c", "a:65536", "a:+80", "[::1", "[::1]80", "[1.2.3.4]", &long]
        {
            assert_eq!(HostPort::parse(text), Err(HostError::Host), "{text:?}");
        }
    }

    #[test]
    fn only_names_of_this_machine_are_loopback_names() {
        for (text, loopback) in [
            ("localhost:1", true),
            ("127.0.0.1", true),
            ("[::1]:8080", true),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("[::2]", false),
        ] {
            assert_eq!(HostPort::parse(text).unwrap().is_loopback_name(), loopback, "{text}");
        }
    }

    #[test]
    fn base_urls_lose_their_trailing_slash_and_nothing_else() {
        for (text, shown) in [
            ("https://Example.com/", "https://example.com"),
            ("wss://example.com:444/base/", "https://example.com:444/base"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(BaseUrl::parse(text).unwrap().to_string(), shown);
        }
        for bad in ["example.com", "ftp://example.com", "https://", "https://u@example.com", "https://example.com/?a"] {
            assert_eq!(BaseUrl::parse(bad), Err(HostError::Url(bad.into())));
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text in "\\PC{0,40}", port in "[\\[\\]:0-9a-f./?#@]{0,20}") {
            let _ = HostPort::parse(&text);
            let _ = HostPort::parse(&port);
            let _ = BaseUrl::parse(&format!("http://{port}{text}"));
        }

        #[test]
        fn a_host_that_was_read_is_written_so_that_it_reads_the_same(text in "[a-z0-9.\\[\\]:-]{1,20}") {
            if let Ok(host) = HostPort::parse(&text) {
                prop_assert_eq!(HostPort::parse(&host.to_string()), Ok(host));
            }
        }
    }
}
